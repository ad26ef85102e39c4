//! What the kernel has done, as events.

#![expect(unsafe_code, reason = "the kernel hands over descriptors")]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

use base::cast::usize_from_u32;
use base::clock::Monotonic;

use super::event::{ListenerId, Received, RingEvent, SocketId};
use super::{
    ACCEPT, ACCEPT_PAUSE_NANOS, ALARM, CANCEL_RECEIVE, CANCEL_SEND, INDEX_BITS, RECEIVE, SEND,
    SYNC, SocketRing, WAKE,
};
use crate::clock::monotonic;
use crate::kernel_ring::Completion;
use crate::socket::Socket;
use crate::socket_slot::{Phase, Receive, Sending};

impl SocketRing {
    pub(super) fn handle(&mut self, completion: Completion) -> Option<RingEvent> {
        let kind = completion.user_data >> 56;
        let index = u32::try_from((completion.user_data >> 32) & ((1 << INDEX_BITS) - 1))
            .expect("24 bits fit");
        let generation =
            u32::try_from(completion.user_data & u64::from(u32::MAX)).expect("32 bits fit");
        let id = SocketId { index, generation };
        match kind {
            RECEIVE => self.on_receive(id, completion),
            SEND => self.on_send(id, completion.result),
            CANCEL_RECEIVE | CANCEL_SEND => {
                self.on_cancel_failed(id, kind);
                None
            }
            ACCEPT => self.on_accept(index, completion),
            WAKE => {
                if !completion.more {
                    self.watch_waker();
                }
                None
            }
            ALARM => {
                self.alarm.ended();
                None
            }
            SYNC => self.on_sync(completion.result),
            _ => None,
        }
    }

    fn on_receive(&mut self, id: SocketId, completion: Completion) -> Option<RingEvent> {
        if let Some(buffer) = completion.buffer {
            self.buffers.lend(buffer);
        }
        if !completion.more {
            self.in_flight -= 1;
        }
        let Some(slot) = self.slot(id) else {
            self.recycle_buffer(completion.buffer);
            return None;
        };
        if !completion.more {
            slot.receive = Receive::Idle;
        }
        let phase = slot.phase;
        let event = match (completion.result, completion.buffer) {
            (len @ 1.., Some(buffer)) if phase != Phase::Closing => {
                self.burst = self.burst.saturating_add(1);
                let len = len.unsigned_abs();
                Some(RingEvent::Received(Received {
                    id,
                    buffer,
                    len,
                    ring: self.number,
                }))
            }
            (result, buffer) => {
                self.recycle_buffer(buffer);
                if result <= 0 && !completion.more {
                    self.on_receive_ended(id, -result)
                } else {
                    None
                }
            }
        };
        self.settle(id);
        event
    }

    /// The kernel receives no more for this socket; `error` is 0 at the end of the stream.
    fn on_receive_ended(&mut self, id: SocketId, error: i32) -> Option<RingEvent> {
        let slot = self.slot(id)?;
        let is_open = slot.phase == Phase::Open;
        match error {
            libc::ENOBUFS => {
                slot.receive = Receive::Starved;
                self.starved.push_back(id);
                None
            }
            libc::ECANCELED | libc::EINTR | libc::EAGAIN => None,
            _ => {
                slot.receive = Receive::Ended;
                let error = (error != 0).then(|| io::Error::from_raw_os_error(error));
                is_open.then_some(RingEvent::Closed { id, error })
            }
        }
    }

    fn on_send(&mut self, id: SocketId, result: i32) -> Option<RingEvent> {
        self.in_flight -= 1;
        let slot = self.slot(id)?;
        let is_closing = slot.phase == Phase::Closing;
        let sending = slot.sending.as_mut()?;
        let is_transient = matches!(-result, libc::EINTR | libc::EAGAIN);
        if let Ok(count) = usize::try_from(result) {
            sending.position += count;
        }
        let is_unfinished = sending.position < sending.buffer.len();
        if !is_closing && is_unfinished && (result > 0 || is_transient) {
            self.push_send(id);
            return None;
        }
        let Sending {
            mut buffer,
            start,
            position,
        } = slot.sending.take()?;
        buffer.clear();
        self.settle(id);
        if is_closing {
            return None;
        }
        if is_unfinished {
            let error = if result == 0 {
                io::Error::from(io::ErrorKind::WriteZero)
            } else {
                io::Error::from_raw_os_error(-result)
            };
            return Some(RingEvent::SendFailed { id, error, buffer });
        }
        Some(RingEvent::Sent {
            id,
            buffer,
            bytes: position - start,
        })
    }

    fn on_sync(&mut self, result: i32) -> Option<RingEvent> {
        if matches!(-result, libc::EINTR | libc::EAGAIN) {
            self.push_sync();
            return None;
        }
        self.syncing = None;
        Some(RingEvent::Synced(if result < 0 {
            Err(io::Error::from_raw_os_error(-result))
        } else {
            Ok(())
        }))
    }

    /// The kernel did not find what was to be cancelled, or it was just at it. If it has not ended
    /// in the meantime, it is cancelled again; a closing socket is also shut down, which ends
    /// everything.
    fn on_cancel_failed(&mut self, id: SocketId, kind: u64) {
        let Some(slot) = self.slot(id) else { return };
        let is_in_flight = match kind {
            CANCEL_SEND => slot.sending.is_some(),
            _ => slot.receive == Receive::Cancelling,
        };
        if !is_in_flight {
            return;
        }
        if slot.phase == Phase::Closing
            && let Some(socket) = &slot.socket
        {
            socket.shut_down();
        }
        let target = if kind == CANCEL_SEND { SEND } else { RECEIVE };
        self.push_cancel(id, target, kind);
    }

    fn on_accept(&mut self, index: u32, completion: Completion) -> Option<RingEvent> {
        let id = ListenerId(index);
        let slot = self.listeners.get_mut(usize_from_u32(index))?;
        if !completion.more {
            slot.is_armed = false;
            if slot.is_stopped {
                slot.listener = None;
            }
        }
        if completion.result >= 0 {
            // SAFETY: the kernel has just given us this descriptor and nobody else knows it.
            let fd = unsafe { OwnedFd::from_raw_fd(completion.result) };
            let is_stopped = slot.is_stopped;
            self.arm_accept(index);
            let socket = Socket::from_blocking(fd);
            return (!is_stopped).then_some(RingEvent::Accepted {
                listener: id,
                socket,
            });
        }
        if slot.is_stopped {
            return None;
        }
        match -completion.result {
            libc::ECANCELED | libc::EINTR | libc::EAGAIN | libc::ECONNABORTED => {
                self.arm_accept(index);
                None
            }
            code => {
                let until = Monotonic(monotonic().0.saturating_add(ACCEPT_PAUSE_NANOS));
                if !slot.is_armed && slot.resting_until.replace(until).is_none() {
                    self.resting_listeners += 1;
                }
                let error = io::Error::from_raw_os_error(code);
                Some(RingEvent::AcceptFailed {
                    listener: id,
                    error,
                })
            }
        }
    }
}
