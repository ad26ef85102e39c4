//! All sockets of one core: accept, receive, send and close through one ring, and the syncs of its log.
//!
//! A turn of a core is: [`SocketRing::turn`], then [`SocketRing::next_event`] until it has no more,
//! then the work that came of it, with one [`SocketRing::send`] per connection that has output.
//! What was asked for goes to the kernel in the next turn, in one system call for all sockets.
//!
//! Receiving needs no asking: a socket is armed once and gives an event for each piece of data, in
//! a buffer that all sockets share and the user returns with [`SocketRing::recycle`].
//!
//! Invariants
//! - Events of one socket come in the order in which things happened to it.
//! - One send per socket is in flight; its buffer belongs to the ring until `Sent` or `SendFailed`.
//! - A slot is free only when the kernel has no entry of it left, and then gets a new generation, so
//!   a late completion never reaches the socket that has the slot next.
//! - After [`SocketRing::close`] or `Detached` there are no events of that [`SocketId`].
//! - One sync is in flight.
//!
//! Not here: how a core sleeps ([`crate::idle`] has [`SocketRing::wait`]), what bytes mean.

#![expect(
    unsafe_code,
    reason = "entries for the kernel name memory and descriptors"
)]

mod completions;
mod entries;
mod event;

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use base::cast::{u32_from, usize_from_u32};
use io_uring::{opcode, squeue};

pub use self::event::{ListenerId, Received, RingEvent, SocketId};
use crate::kernel_ring::{Completion, KernelRing};
use crate::listener::Listener;
use crate::log_file::LogFile;
use crate::park::{Alarm, Park};
use crate::receive_buffers::ReceiveBuffers;
use crate::socket::Socket;
use crate::socket_slot::{ListenerSlot, Phase, Receive, Sending, Slot};
use crate::waker::Waker;

/// Sizes of a [`SocketRing`].
#[derive(Clone, Copy, Debug)]
pub struct RingOptions {
    /// Operations between two system calls; more only cost a further call.
    pub entries: u32,
    /// Unread completions; the kernel keeps more aside, slower.
    pub completions: u32,
    /// Receive buffers of the core, rounded up to a power of two. `buffers * buffer_bytes` should
    /// fit the second-level cache.
    pub buffers: u16,
    /// Bytes of one receive buffer.
    pub buffer_bytes: u32,
}

impl Default for RingOptions {
    fn default() -> Self {
        Self {
            entries: 2048,
            completions: 8192,
            buffers: 128,
            buffer_bytes: 8192,
        }
    }
}

/// Kinds of entries, the top byte of what the kernel hands back with each completion.
const RECEIVE: u64 = 1;
const SEND: u64 = 2;
const CANCEL_RECEIVE: u64 = 3;
const CANCEL_SEND: u64 = 4;
const ACCEPT: u64 = 5;
const WAKE: u64 = 6;
const ALARM: u64 = 7;
const UNHEARD: u64 = 8;
const SYNC: u64 = 9;

const INDEX_BITS: u32 = 24;
const SOCKETS_MAX: usize = 1 << INDEX_BITS;

/// How long a listener rests after the process had no descriptors or memory for a connection.
const ACCEPT_PAUSE_NANOS: u64 = 100_000_000;

/// Packs what the kernel hands back: 8 bits kind, 24 bits index, 32 bits generation.
const fn user_data(kind: u64, index: u32, generation: u32) -> u64 {
    kind << 56 | (index as u64) << 32 | generation as u64
}

/// The sockets of one core. Lives on the thread that created it.
pub struct SocketRing {
    // Dropped before the memory that the kernel was given.
    pub(crate) kernel: KernelRing,
    buffers: ReceiveBuffers,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Slots in use.
    socket_count: usize,
    listeners: Vec<ListenerSlot>,
    resting_listeners: usize,
    /// Events that did not come as completions, oldest first; they go before any completion.
    queued: VecDeque<RingEvent>,
    /// Sockets that found no receive buffer, in the order they are armed again.
    starved: VecDeque<SocketId>,
    /// The file that is being synced.
    syncing: Option<LogFile>,
    /// Entries that name memory of ours and have not ended.
    in_flight: usize,
    /// Tells rings apart, so that a buffer is not recycled into the wrong one.
    number: u32,
    /// Receive events since the core last slept.
    pub(crate) burst: u32,
    pub(crate) waker: Waker,
    pub(crate) alarm: Alarm,
    pub(crate) park: Park,
}

impl SocketRing {
    /// Creates the ring of the calling thread. `waker` wakes it while it waits.
    ///
    /// # Errors
    ///
    /// Those of `io_uring_setup(2)`; [`crate::preflight`] explains the common ones.
    pub fn new(options: RingOptions, waker: Waker) -> io::Result<Self> {
        static RINGS: AtomicU32 = AtomicU32::new(0);
        let mut kernel = KernelRing::new(options.entries, options.completions)?;
        kernel.register_eventfd(waker.park_fd())?;
        let buffers = ReceiveBuffers::new(options.buffers, usize_from_u32(options.buffer_bytes));
        // SAFETY: both become fields of one value that drops `kernel` first; its `drop` keeps the
        // buffers for ever if the kernel does not let go of them.
        unsafe { buffers.register(&mut kernel) }?;
        let mut ring = Self {
            kernel,
            buffers,
            slots: Vec::new(),
            free: Vec::new(),
            socket_count: 0,
            listeners: Vec::new(),
            resting_listeners: 0,
            queued: VecDeque::new(),
            starved: VecDeque::new(),
            syncing: None,
            in_flight: 0,
            number: RINGS.fetch_add(1, Ordering::Relaxed),
            burst: 0,
            waker,
            alarm: Alarm::default(),
            park: Park::default(),
        };
        ring.watch_waker();
        Ok(ring)
    }

    /// Accepts connections of `listener` from the next turn on.
    pub fn listen(&mut self, listener: Listener) -> ListenerId {
        let index = u32_from(self.listeners.len());
        self.listeners.push(ListenerSlot {
            listener: Some(listener),
            is_armed: false,
            is_stopped: false,
            resting_until: None,
        });
        self.arm_accept(index);
        ListenerId(index)
    }

    /// Accepts no more connections; the listening socket is closed in one of the next turns.
    pub fn stop_listening(&mut self, id: ListenerId) {
        let slot = &mut self.listeners[usize_from_u32(id.0)];
        if slot.is_stopped {
            return;
        }
        slot.is_stopped = true;
        if slot.resting_until.take().is_some() {
            self.resting_listeners -= 1;
        }
        if slot.is_armed {
            let cancel = opcode::AsyncCancel::new(user_data(ACCEPT, id.0, 0)).build();
            let cancel = cancel.flags(squeue::Flags::SKIP_SUCCESS);
            self.push_plain(cancel.user_data(user_data(UNHEARD, 0, 0)));
        } else {
            slot.listener = None;
        }
    }

    /// Takes a socket into the ring and receives from it.
    ///
    /// # Panics
    ///
    /// If the ring has 2^24 sockets already, more than a process may have descriptors.
    pub fn add(&mut self, socket: Socket) -> SocketId {
        let index = self.free.pop().unwrap_or_else(|| {
            assert!(
                self.slots.len() < SOCKETS_MAX,
                "fewer sockets than descriptors of a process"
            );
            self.slots.push(Slot {
                generation: 0,
                socket: None,
                phase: Phase::Open,
                receive: Receive::Idle,
                is_receive_wanted: true,
                sending: None,
            });
            u32_from(self.slots.len() - 1)
        });
        let slot = &mut self.slots[usize_from_u32(index)];
        slot.socket = Some(socket);
        slot.phase = Phase::Open;
        slot.receive = Receive::Idle;
        slot.is_receive_wanted = true;
        self.socket_count += 1;
        let id = SocketId {
            index,
            generation: slot.generation,
        };
        self.settle(id);
        id
    }

    /// Takes the next event, if there is one. Call [`Self::turn`] or [`Self::wait`] for more.
    #[inline]
    pub fn next_event(&mut self) -> Option<RingEvent> {
        if let Some(event) = self.queued.pop_front() {
            return Some(event);
        }
        while let Some(completion) = self.kernel.pop() {
            if let Some(event) = self.handle(completion) {
                return Some(event);
            }
            if let Some(event) = self.queued.pop_front() {
                return Some(event);
            }
        }
        None
    }

    /// Returns the bytes of `received`.
    ///
    /// # Panics
    ///
    /// If `received` is of another ring.
    #[inline]
    #[must_use]
    pub fn received(&self, received: &Received) -> &[u8] {
        assert_eq!(received.ring, self.number, "received by this ring");
        self.buffers
            .received(received.buffer, usize_from_u32(received.len))
    }

    /// Gives the buffer of `received` back for receiving.
    ///
    /// # Panics
    ///
    /// If `received` is of another ring.
    #[inline]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the bytes are gone after this"
    )]
    pub fn recycle(&mut self, received: Received) {
        assert_eq!(received.ring, self.number, "received by this ring");
        self.buffers.recycle(received.buffer);
    }

    /// Sends `buffer[from..]`. Ends with `Sent` or `SendFailed`; without either if the socket is
    /// closed before. Ignored if the socket is gone already.
    ///
    /// # Panics
    ///
    /// If a send of this socket is in flight, or `from` is beyond the end.
    pub fn send(&mut self, id: SocketId, mut buffer: Vec<u8>, from: usize) {
        let Some(slot) = self.open_slot(id) else {
            return;
        };
        assert!(slot.sending.is_none(), "one send per socket is in flight");
        assert!(from <= buffer.len(), "the start lies inside the buffer");
        if from == buffer.len() {
            buffer.clear();
            self.queued.push_back(RingEvent::Sent {
                id,
                buffer,
                bytes: 0,
            });
            return;
        }
        slot.sending = Some(Sending {
            buffer,
            start: from,
            position: from,
        });
        self.push_send(id);
    }

    /// Brings what was appended to `file` so far to the disk. Ends with [`RingEvent::Synced`]; the core goes on
    /// meanwhile, as a thread of the kernel waits for the device.
    ///
    /// # Panics
    ///
    /// If a sync is in flight.
    pub fn sync(&mut self, file: &LogFile) {
        assert!(self.syncing.is_none(), "one sync is in flight");
        self.syncing = Some(file.clone());
        self.push_sync();
    }

    /// Whether a send of this socket is in flight.
    #[must_use]
    pub fn is_sending(&self, id: SocketId) -> bool {
        self.slots
            .get(id.index())
            .is_some_and(|slot| slot.generation == id.generation && slot.sending.is_some())
    }

    /// Stops receiving from a socket. Data that the kernel has already handed over still comes;
    /// that the peer has gone is noticed only after [`Self::resume_receive`].
    pub fn pause_receive(&mut self, id: SocketId) {
        let Some(slot) = self.open_slot(id) else {
            return;
        };
        slot.is_receive_wanted = false;
        self.cancel_receive(id);
    }

    /// Receives again.
    pub fn resume_receive(&mut self, id: SocketId) {
        let Some(slot) = self.open_slot(id) else {
            return;
        };
        slot.is_receive_wanted = true;
        self.settle(id);
    }

    /// Ends a socket: what is in flight is cancelled, what the kernel has already taken is still
    /// sent. No events of `id` come after this call. Ignored if the socket is gone already.
    pub fn close(&mut self, id: SocketId) {
        let Some(slot) = self.slot(id) else { return };
        if slot.phase == Phase::Closing {
            return;
        }
        slot.phase = Phase::Closing;
        let is_sending = slot.sending.is_some();
        self.forget_events(id);
        if is_sending {
            self.push_cancel(id, SEND, CANCEL_SEND);
        }
        self.cancel_receive(id);
        self.settle(id);
    }

    /// Stops receiving from a socket and hands it out, by `Detached`, when nothing of it is in
    /// flight. All data received before comes as events before.
    pub fn detach(&mut self, id: SocketId) {
        let Some(slot) = self.open_slot(id) else {
            return;
        };
        slot.phase = Phase::Detaching;
        self.cancel_receive(id);
        self.settle(id);
    }

    /// Returns the socket behind `id`, to ask it for its addresses.
    #[must_use]
    pub fn socket(&self, id: SocketId) -> Option<&Socket> {
        let slot = self.slots.get(id.index())?;
        if slot.generation == id.generation {
            slot.socket.as_ref()
        } else {
            None
        }
    }

    /// Returns the number of sockets in the ring, those still closing included.
    #[must_use]
    pub fn socket_count(&self) -> usize {
        self.socket_count
    }

    /// Hands to the kernel what was asked for, and takes what it has ready. Does not wait, and makes
    /// no system call if there is nothing to hand over and nothing put off in the kernel.
    ///
    /// # Errors
    ///
    /// If the ring is broken; the core cannot go on.
    #[inline]
    pub fn turn(&mut self) -> io::Result<()> {
        self.prepare();
        if self.kernel.needs_enter() {
            self.kernel.enter()
        } else {
            Ok(())
        }
    }

    /// Whether [`Self::next_event`] or [`Self::turn`] has something to do.
    #[inline]
    #[must_use]
    pub fn has_work(&mut self) -> bool {
        !self.queued.is_empty()
            || self.kernel.has_completion()
            || self.kernel.needs_enter()
            || (!self.starved.is_empty() && self.buffers.available() > 0)
    }

    /// Handles the completions that give no event, so that none of them ends the next wait.
    pub(crate) fn skip_to_event(&mut self) {
        if self.queued.is_empty()
            && let Some(event) = self.next_event()
        {
            // Whatever that event has queued came after it.
            self.queued.push_front(event);
        }
    }

    /// Puts into the queue what waits for its time.
    pub(crate) fn prepare(&mut self) {
        self.buffers.publish();
        // No more than there are buffers for, or the rest would only starve again.
        for _ in 0..self.buffers.available() {
            let Some(id) = self.starved.pop_front() else {
                break;
            };
            if let Some(slot) = self.slot(id)
                && slot.receive == Receive::Starved
            {
                slot.receive = Receive::Idle;
                self.settle(id);
            }
        }
        if self.resting_listeners > 0 {
            self.rouse_listeners();
        }
    }

    /// How long the core may sleep at most, as a listener rests.
    pub(crate) fn sleep_max(&self) -> Option<Duration> {
        (self.resting_listeners > 0).then_some(Duration::from_nanos(ACCEPT_PAUSE_NANOS))
    }

    /// Queues a timer that ends `delay` from now; the kernel copies the time when it is submitted.
    pub(crate) fn push_alarm(&mut self, entry: squeue::Entry) {
        self.push_plain(entry.user_data(user_data(ALARM, 0, 0)));
    }

    /// Queues a change of the timer.
    pub(crate) fn push_alarm_change(&mut self, entry: squeue::Entry) {
        // It fails only if the timer has just ended, and that has a completion of its own.
        let entry = entry.flags(squeue::Flags::SKIP_SUCCESS);
        self.push_plain(entry.user_data(user_data(UNHEARD, 0, 0)));
    }

    /// What the timer is known by to the kernel.
    pub(crate) const fn alarm_user_data() -> u64 {
        user_data(ALARM, 0, 0)
    }

    // --- what follows from the state of a slot ---

    /// Does what the state of a slot asks for: arms the receive, hands out, or frees.
    fn settle(&mut self, id: SocketId) {
        let Some(slot) = self.slot(id) else { return };
        match slot.phase {
            Phase::Open if slot.receive == Receive::Idle && slot.is_receive_wanted => {
                self.arm_receive(id);
            }
            Phase::Open => {}
            Phase::Detaching | Phase::Closing => {
                let is_quiet = !matches!(slot.receive, Receive::Armed | Receive::Cancelling)
                    && slot.sending.is_none();
                if !is_quiet {
                    return;
                }
                let is_detaching = slot.phase == Phase::Detaching;
                let socket = self.release(id);
                if let Some(socket) = socket
                    && is_detaching
                {
                    self.queued.push_back(RingEvent::Detached { id, socket });
                }
            }
        }
    }

    /// Takes the events of a socket out of the queue.
    fn forget_events(&mut self, id: SocketId) {
        for _ in 0..self.queued.len() {
            match self.queued.pop_front() {
                Some(RingEvent::Received(received)) if received.id == id => self.recycle(received),
                Some(event) if event.socket() != Some(id) => self.queued.push_back(event),
                Some(_) | None => {}
            }
        }
    }

    /// Frees a slot and returns its socket.
    fn release(&mut self, id: SocketId) -> Option<Socket> {
        let slot = self.slot(id)?;
        let socket = slot.socket.take();
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.index);
        self.socket_count -= 1;
        socket
    }

    fn slot(&mut self, id: SocketId) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(id.index())?;
        (slot.generation == id.generation && slot.socket.is_some()).then_some(slot)
    }

    fn open_slot(&mut self, id: SocketId) -> Option<&mut Slot> {
        self.slot(id).filter(|slot| slot.phase == Phase::Open)
    }

    fn recycle_buffer(&mut self, buffer: Option<u16>) {
        if let Some(buffer) = buffer {
            self.buffers.recycle(buffer);
        }
    }
}

impl Drop for SocketRing {
    fn drop(&mut self) {
        let mut is_quiet = self.kernel.cancel_all().is_ok();
        while let Some(completion) = self.kernel.pop() {
            drop(self.handle_at_end(completion));
        }
        is_quiet &= self.in_flight == 0;
        if !is_quiet {
            // The kernel may still touch this memory, so it is never given back.
            mem::forget(mem::replace(&mut self.buffers, ReceiveBuffers::new(1, 1)));
            mem::forget(mem::take(&mut self.slots));
        }
    }
}

impl SocketRing {
    /// Counts what has ended; sockets that were accepted last are closed.
    fn handle_at_end(&mut self, completion: Completion) -> Option<OwnedFd> {
        match completion.user_data >> 56 {
            RECEIVE if !completion.more => self.in_flight -= 1,
            SEND => self.in_flight -= 1,
            ACCEPT if completion.result >= 0 => {
                // SAFETY: the kernel has given us this descriptor and nobody else knows it.
                return Some(unsafe { OwnedFd::from_raw_fd(completion.result) });
            }
            _ => {}
        }
        None
    }
}

impl std::fmt::Debug for SocketRing {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("SocketRing")
            .field("sockets", &self.socket_count)
            .field("in_flight", &self.in_flight)
            .field("starved", &self.starved.len())
            .field("buffers", &self.buffers.available())
            .field("kernel", &self.kernel)
            .finish_non_exhaustive()
    }
}
