//! All sockets of one simulated core: accept, receive, send and close; and the syncs of its log.
//!
//! The same contract as over the kernel: events of one socket come in the order in which things
//! happened to it, one send per socket is under way, and after a close or a detach there are no events
//! of that name. What the network does with the bytes is decided in [`crate::world`].

use std::collections::VecDeque;
use std::io;

use base::cast::{u32_from, usize_from_u32};

use crate::disk;
use crate::listener::Listener;
use crate::log_file::LogFile;
use crate::socket::Socket;
use crate::waker::Waker;
use crate::world;

/// Sizes of a [`SocketRing`].
#[derive(Clone, Copy, Debug)]
pub struct RingOptions {
    /// Operations between two system calls: no bound here.
    pub entries: u32,
    /// Unread completions: no bound here.
    pub completions: u32,
    /// Receive buffers of the core.
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

/// A socket in the ring it was added to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId {
    index: u32,
    generation: u32,
}

impl SocketId {
    /// Returns the place of the socket in an array.
    #[must_use]
    pub fn index(self) -> usize {
        usize_from_u32(self.index)
    }

    /// Returns the name as one number.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        // Both casts widen.
        (self.index as u64) << 32 | self.generation as u64
    }

    /// Returns the name of [`Self::to_bits`].
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        let low = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(0);
        Self {
            index: low(bits >> 32),
            generation: low(bits),
        }
    }
}

/// A listener in the ring it was given to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerId(u32);

/// Bytes that have come for a socket, in a buffer of the ring.
#[derive(Debug)]
#[must_use = "a buffer that is not recycled is lost for receiving"]
pub struct Received {
    /// Whose bytes they are.
    pub id: SocketId,
    buffer: usize,
    len: usize,
}

impl Received {
    /// Returns the number of bytes, never 0.
    #[must_use]
    #[expect(
        clippy::len_without_is_empty,
        reason = "there is always at least one byte"
    )]
    pub fn len(&self) -> usize {
        self.len
    }
}

/// What has happened to a socket or a listener.
#[derive(Debug)]
pub enum RingEvent {
    /// A client has connected.
    Accepted {
        /// Where it has connected to.
        listener: ListenerId,
        /// The connection.
        socket: Socket,
    },
    /// No connection could be accepted: does not happen here.
    AcceptFailed {
        /// Which listener.
        listener: ListenerId,
        /// Why.
        error: io::Error,
    },
    /// Data has come.
    Received(Received),
    /// The peer sends no more.
    Closed {
        /// Which socket.
        id: SocketId,
        /// None at an orderly end.
        error: Option<io::Error>,
    },
    /// All bytes of a send are on their way.
    Sent {
        /// Which socket.
        id: SocketId,
        /// The buffer of the send, empty.
        buffer: Vec<u8>,
        /// How many bytes were sent.
        bytes: usize,
    },
    /// The bytes of a send did not all get out.
    SendFailed {
        /// Which socket.
        id: SocketId,
        /// Why.
        error: io::Error,
        /// The buffer of the send, empty.
        buffer: Vec<u8>,
    },
    /// Nothing of a detached socket is under way any more.
    Detached {
        /// Its name so far.
        id: SocketId,
        /// The connection.
        socket: Socket,
    },
    /// A sync has ended.
    Synced(io::Result<()>),
}

#[derive(Debug)]
struct Sending {
    buffer: Vec<u8>,
    start: usize,
    position: usize,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    /// None if the slot is free.
    socket: Option<Socket>,
    /// When it goes to the user.
    detach_at: Option<u64>,
    is_receive_paused: bool,
    /// The end of what the client sends was told.
    is_ended: bool,
    sending: Option<Sending>,
}

/// The sockets of one core.
#[derive(Debug)]
pub struct SocketRing {
    slots: Vec<Slot>,
    free: Vec<u32>,
    socket_count: usize,
    listener_count: u32,
    queued: VecDeque<RingEvent>,
    /// A sync that is under way.
    syncing: Option<disk::Sync>,
    /// The bytes that are lent, by buffer.
    buffers: Vec<Option<Vec<u8>>>,
    buffer_bytes: usize,
    waker: Waker,
}

impl SocketRing {
    /// Creates the ring of the core that `waker` wakes.
    ///
    /// # Errors
    ///
    /// None here.
    pub fn new(options: RingOptions, waker: Waker) -> io::Result<Self> {
        Ok(Self {
            slots: Vec::new(),
            free: Vec::new(),
            socket_count: 0,
            listener_count: 0,
            queued: VecDeque::new(),
            syncing: None,
            buffers: (0..options.buffers).map(|_| None).collect(),
            buffer_bytes: usize_from_u32(options.buffer_bytes),
            waker,
        })
    }

    /// Accepts connections of `listener` from now on.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the listener belongs to the ring from here on"
    )]
    pub fn listen(&mut self, listener: Listener) -> ListenerId {
        let id = self.listener_count;
        self.listener_count += 1;
        world::open_door(listener.door(), self.core(), id);
        ListenerId(id)
    }

    /// Accepts no more connections.
    pub fn stop_listening(&mut self, id: ListenerId) {
        world::close_door(self.core(), id.0);
    }

    /// Takes a socket into the ring and receives from it.
    pub fn add(&mut self, socket: Socket) -> SocketId {
        world::set_home(socket.link(), Some(self.core()));
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            u32_from(self.slots.len() - 1)
        });
        let slot = &mut self.slots[usize_from_u32(index)];
        *slot = Slot {
            generation: slot.generation,
            socket: Some(socket),
            ..Slot::default()
        };
        self.socket_count += 1;
        SocketId {
            index,
            generation: slot.generation,
        }
    }

    /// Takes the next event, if there is one.
    pub fn next_event(&mut self) -> Option<RingEvent> {
        if let Some(event) = self.queued.pop_front() {
            return Some(event);
        }
        if let Some(sync) = self.syncing.take_if(|sync| sync.ends_at <= world::now()) {
            return Some(RingEvent::Synced(sync.end()));
        }
        if let Some((listener, link)) = world::accept(self.core()) {
            return Some(RingEvent::Accepted {
                listener: ListenerId(listener),
                socket: Socket::of_link(link),
            });
        }
        let count = self.slots.len();
        let first = usize::try_from(world::draw() % 64).unwrap_or(0);
        (0..count).find_map(|offset| self.event_of((first + offset) % count))
    }

    fn event_of(&mut self, index: usize) -> Option<RingEvent> {
        let slot = &self.slots[index];
        let link = slot.socket.as_ref()?.link();
        let id = SocketId {
            index: u32_from(index),
            generation: slot.generation,
        };
        if let Some(at) = slot.detach_at {
            return (at <= world::now()).then(|| self.let_go(id))?;
        }
        if slot.sending.is_some()
            && let Some(event) = self.go_on_sending(id)
        {
            return Some(event);
        }
        let slot = &self.slots[index];
        if slot.is_receive_paused || slot.is_ended {
            return None;
        }
        let free = self.buffers.iter().position(Option::is_none)?;
        if let Some(bytes) = world::server_read(link, self.buffer_bytes) {
            let len = bytes.len();
            self.buffers[free] = Some(bytes);
            return Some(RingEvent::Received(Received {
                id,
                buffer: free,
                len,
            }));
        }
        let is_cut = world::server_sees_end(link)?;
        self.slots[index].is_ended = true;
        let error = is_cut.then(|| io::ErrorKind::ConnectionReset.into());
        Some(RingEvent::Closed { id, error })
    }

    /// Hands out a detached socket, unless something of it is still under way.
    fn let_go(&mut self, id: SocketId) -> Option<RingEvent> {
        if self.slots[id.index()].sending.is_some() {
            return None;
        }
        let socket = self.release(id)?;
        world::set_home(socket.link(), None);
        Some(RingEvent::Detached { id, socket })
    }

    fn go_on_sending(&mut self, id: SocketId) -> Option<RingEvent> {
        let slot = &mut self.slots[id.index()];
        let link = slot.socket.as_ref()?.link();
        let sending = slot.sending.as_mut()?;
        let written = world::server_write(link, &sending.buffer[sending.position..]);
        if let Ok(count) = written {
            sending.position += count;
            if sending.position < sending.buffer.len() {
                return None;
            }
        }
        let Sending {
            mut buffer, start, ..
        } = slot.sending.take()?;
        let bytes = buffer.len() - start;
        buffer.clear();
        Some(match written {
            Ok(_) => RingEvent::Sent { id, buffer, bytes },
            Err(()) => RingEvent::SendFailed {
                id,
                error: io::ErrorKind::BrokenPipe.into(),
                buffer,
            },
        })
    }

    /// Returns the bytes of `received`.
    #[must_use]
    pub fn received(&self, received: &Received) -> &[u8] {
        self.buffers[received.buffer].as_deref().unwrap_or(&[])
    }

    /// Gives the buffer of `received` back for receiving.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the bytes are gone after this"
    )]
    pub fn recycle(&mut self, received: Received) {
        self.buffers[received.buffer] = None;
    }

    /// Sends `buffer[from..]`. Ends with `Sent` or `SendFailed`; without either if the socket is closed
    /// before. Ignored if the socket is gone already.
    ///
    /// # Panics
    ///
    /// If a send of this socket is under way, or `from` is beyond the end.
    pub fn send(&mut self, id: SocketId, buffer: Vec<u8>, from: usize) {
        let Some(slot) = self.slot(id) else { return };
        if slot.detach_at.is_some() {
            return;
        }
        assert!(slot.sending.is_none(), "one send per socket is in flight");
        assert!(from <= buffer.len(), "the start lies inside the buffer");
        slot.sending = Some(Sending {
            buffer,
            start: from,
            position: from,
        });
    }

    /// Brings what was appended to `file` so far to the disk. Ends with [`RingEvent::Synced`].
    ///
    /// # Panics
    ///
    /// If a sync is under way.
    pub fn sync(&mut self, file: &LogFile) {
        assert!(self.syncing.is_none(), "one sync is in flight");
        let sync = disk::Sync::begin(file.open_file());
        world::wake_core(self.core(), sync.ends_at);
        self.syncing = Some(sync);
    }

    /// Whether a send of this socket is under way.
    #[must_use]
    pub fn is_sending(&self, id: SocketId) -> bool {
        self.slots
            .get(id.index())
            .is_some_and(|slot| slot.generation == id.generation && slot.sending.is_some())
    }

    /// Stops receiving from a socket.
    pub fn pause_receive(&mut self, id: SocketId) {
        if let Some(slot) = self.slot(id) {
            slot.is_receive_paused = true;
        }
    }

    /// Receives again.
    pub fn resume_receive(&mut self, id: SocketId) {
        if let Some(slot) = self.slot(id) {
            slot.is_receive_paused = false;
        }
    }

    /// Ends a socket. No events of `id` come after this call.
    pub fn close(&mut self, id: SocketId) {
        self.queued.retain(|event| match event {
            RingEvent::Closed { id: of, .. } | RingEvent::Sent { id: of, .. } => *of != id,
            _ => true,
        });
        drop(self.release(id));
    }

    /// Stops receiving from a socket and hands it out, by `Detached`, a moment later.
    pub fn detach(&mut self, id: SocketId) {
        let at = world::now() + world::delay();
        let core = self.core();
        if let Some(slot) = self.slot(id)
            && slot.detach_at.is_none()
        {
            slot.detach_at = Some(at);
            world::wake_core(core, at);
        }
    }

    /// Returns the socket behind `id`.
    #[must_use]
    pub fn socket(&self, id: SocketId) -> Option<&Socket> {
        let slot = self.slots.get(id.index())?;
        if slot.generation == id.generation {
            slot.socket.as_ref()
        } else {
            None
        }
    }

    /// Returns the number of sockets in the ring.
    #[must_use]
    pub fn socket_count(&self) -> usize {
        self.socket_count
    }

    /// Starts the sends that were asked for.
    ///
    /// # Errors
    ///
    /// None here.
    pub fn turn(&mut self) -> io::Result<()> {
        for index in 0..self.slots.len() {
            let slot = &self.slots[index];
            if slot.sending.is_some() {
                let id = SocketId {
                    index: u32_from(index),
                    generation: slot.generation,
                };
                let event = self.go_on_sending(id);
                self.queued.extend(event);
            }
        }
        Ok(())
    }

    /// Whether [`Self::next_event`] has something to give.
    #[must_use]
    pub fn has_work(&mut self) -> bool {
        !self.queued.is_empty() || self.next_at().is_some_and(|at| at <= world::now())
    }

    /// When [`Self::next_event`] has something to give, as far as is known now.
    pub(crate) fn next_at(&self) -> Option<u64> {
        let sockets = self.slots.iter().filter_map(|slot| {
            let link = slot.socket.as_ref()?.link();
            match slot.detach_at {
                Some(at) if slot.sending.is_none() => Some(at),
                Some(_) => None,
                None if slot.is_receive_paused || slot.is_ended => None,
                None => world::server_readable_at(link),
            }
        });
        let sync = self.syncing.as_ref().map(|sync| sync.ends_at);
        let others = world::accept_at(self.core()).into_iter().chain(sync);
        sockets.chain(others).min()
    }

    /// Frees a slot and returns its socket.
    fn release(&mut self, id: SocketId) -> Option<Socket> {
        let slot = self.slot(id)?;
        let socket = slot.socket.take();
        slot.sending = None;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.index);
        self.socket_count -= 1;
        socket
    }

    fn slot(&mut self, id: SocketId) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(id.index())?;
        (slot.generation == id.generation && slot.socket.is_some()).then_some(slot)
    }

    pub(crate) fn core(&self) -> usize {
        self.waker.core()
    }

    pub(crate) fn is_called(&self) -> bool {
        self.waker.is_called()
    }

    pub(crate) fn take_call(&self) {
        self.waker.take_call();
    }
}
