//! What is asked of the kernel, as entries of the ring.

#![expect(
    unsafe_code,
    reason = "entries for the kernel name memory and descriptors"
)]

use base::cast::{u32_from, usize_from_u32};
use io_uring::types::{Fd, FsyncFlags};
use io_uring::{opcode, squeue};

use super::event::SocketId;
use super::{ACCEPT, CANCEL_RECEIVE, RECEIVE, SEND, SYNC, SocketRing, WAKE, user_data};
use crate::clock::monotonic;
use crate::listener::Listener;
use crate::receive_buffers::BUFFER_GROUP;
use crate::socket::Socket;
use crate::socket_slot::Receive;

/// Most bytes of one send entry; longer sends go in pieces.
const SEND_BYTES_MAX: usize = 1 << 30;

impl SocketRing {
    pub(super) fn arm_receive(&mut self, id: SocketId) {
        let Some(slot) = self.slot(id) else { return };
        let Some(fd) = slot.socket.as_ref().map(Socket::raw_fd) else {
            return;
        };
        slot.receive = Receive::Armed;
        self.in_flight += 1;
        let entry = opcode::RecvMulti::new(Fd(fd), BUFFER_GROUP).build();
        let entry = entry.user_data(user_data(RECEIVE, id.index, id.generation));
        // SAFETY: the slot keeps the descriptor until the receive has ended (`settle`), and the
        // buffers of the group live as long as the ring.
        unsafe { self.kernel.push(entry) };
    }

    pub(super) fn push_send(&mut self, id: SocketId) {
        let Some(slot) = self.slot(id) else { return };
        let (Some(socket), Some(sending)) = (&slot.socket, &slot.sending) else {
            return;
        };
        let rest = &sending.buffer[sending.position..];
        let len = u32_from(rest.len().min(SEND_BYTES_MAX));
        // The kernel goes on after a partial send by itself, which saves a completion for each
        // time the socket's buffer is full.
        let flags = libc::MSG_NOSIGNAL | libc::MSG_WAITALL;
        let entry = opcode::Send::new(Fd(socket.raw_fd()), rest.as_ptr(), len)
            .flags(flags)
            .build();
        let entry = entry.user_data(user_data(SEND, id.index, id.generation));
        self.in_flight += 1;
        // SAFETY: the slot keeps descriptor and buffer, and does not touch the buffer, until the
        // completion of this send was handled (`on_send`).
        unsafe { self.kernel.push(entry) };
    }

    pub(super) fn push_sync(&mut self) {
        let Some(file) = &self.syncing else { return };
        let entry = opcode::Fsync::new(Fd(file.raw_fd())).flags(FsyncFlags::DATASYNC);
        // `syncing` keeps the descriptor until the sync has ended (`on_sync`).
        self.push_plain(entry.build().user_data(user_data(SYNC, 0, 0)));
    }

    pub(super) fn cancel_receive(&mut self, id: SocketId) {
        if let Some(slot) = self.slot(id)
            && slot.receive == Receive::Armed
        {
            slot.receive = Receive::Cancelling;
            self.push_cancel(id, RECEIVE, CANCEL_RECEIVE);
        }
    }

    /// Queues the end of an entry; there is a completion only if that fails.
    pub(super) fn push_cancel(&mut self, id: SocketId, target: u64, kind: u64) {
        let entry = opcode::AsyncCancel::new(user_data(target, id.index, id.generation)).build();
        let entry = entry.flags(squeue::Flags::SKIP_SUCCESS);
        self.push_plain(entry.user_data(user_data(kind, id.index, id.generation)));
    }

    pub(super) fn arm_accept(&mut self, index: u32) {
        let Some(slot) = self.listeners.get_mut(usize_from_u32(index)) else {
            return;
        };
        if slot.is_armed || slot.is_stopped {
            return;
        }
        let Some(fd) = slot.listener.as_ref().map(Listener::raw_fd) else {
            return;
        };
        slot.is_armed = true;
        // Not SOCK_NONBLOCK: the ring would answer "try again" where it should wait.
        let entry = opcode::AcceptMulti::new(Fd(fd))
            .flags(libc::SOCK_CLOEXEC)
            .build();
        // The slot keeps the descriptor until the accept has ended (`on_accept`).
        self.push_plain(entry.user_data(user_data(ACCEPT, index, 0)));
    }

    pub(super) fn rouse_listeners(&mut self) {
        let now = monotonic();
        for index in 0..self.listeners.len() {
            let slot = &mut self.listeners[index];
            if slot.resting_until.is_some_and(|until| until <= now) {
                slot.resting_until = None;
                self.resting_listeners -= 1;
                self.arm_accept(u32_from(index));
            }
        }
    }

    pub(super) fn watch_waker(&mut self) {
        let fd = Fd(self.waker.ring_fd());
        let entry = opcode::PollAdd::new(fd, u32::from(libc::POLLIN.unsigned_abs())).multi(true);
        self.push_plain(entry.build().user_data(user_data(WAKE, 0, 0)));
    }

    /// Queues an entry that names no memory.
    pub(super) fn push_plain(&mut self, entry: squeue::Entry) {
        // SAFETY: all callers name at most a descriptor that `self` keeps open, or a time that the
        // caller keeps until the entry was submitted, when the kernel copies it.
        unsafe { self.kernel.push(entry) };
    }
}
