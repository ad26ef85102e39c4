//! Bytes of long words that wait for a later turn.
//!
//! Bytes of a long word go to memory that nobody has touched before, and each new page costs the kernel, and the host
//! of a virtual machine, some microseconds to tens of them. A sender that is fast fills all receive buffers in each
//! turn; to take all of them at once would be milliseconds in which nobody else is served. So a turn takes a bounded
//! number, and the rest stays in the receive buffers. Until that is taken the connection is not received from: the buffers
//! that become free are for others, and the kernel holds the sender back, as if the core were slow.
//!
//! Invariants
//! - What is put off belongs to connections that await a long word, and is taken in the order in which it came, before
//!   anything of these connections that comes later.
//! - Each turn takes at least one buffer, so nothing waits for ever, and buffers for others become free.

use std::collections::VecDeque;

use runtime::socket_ring::{RingEvent, SocketId};

/// Bytes of long words that a turn takes, or somewhat more.
const LARGE_BYTES_PER_TURN: usize = 128 * 1024;

/// What was put off. See the head of this file.
#[derive(Debug, Default)]
pub(crate) struct PutOff {
    events: VecDeque<(SocketId, RingEvent)>,
    /// Connections that are not received from for what they have here.
    held: Vec<SocketId>,
    /// Bytes that this turn has taken.
    taken: usize,
}

impl PutOff {
    pub(crate) fn begin_turn(&mut self) {
        self.taken = 0;
    }

    /// Counts bytes of a long word that were taken.
    pub(crate) fn count(&mut self, bytes: usize) {
        self.taken += bytes;
    }

    /// Returns whether this turn takes no more of long words.
    pub(crate) fn is_over(&self) -> bool {
        self.taken >= LARGE_BYTES_PER_TURN
    }

    /// Puts an event off; returns whether the connection is to be held now. Whoever takes all that is there and puts
    /// back what has to wait keeps the order.
    pub(crate) fn push(&mut self, id: SocketId, event: RingEvent) -> bool {
        self.events.push_back((id, event));
        let is_new = !self.held.contains(&id);
        if is_new {
            self.held.push(id);
        }
        is_new
    }

    pub(crate) fn pop(&mut self) -> Option<RingEvent> {
        self.events.pop_front().map(|(_, event)| event)
    }

    /// Returns a connection that needs to be held no more, if there is one. O(events).
    pub(crate) fn take_free(&mut self) -> Option<SocketId> {
        let has_events = |id: &SocketId| self.events.iter().any(|(of, _)| of == id);
        let at = self.held.iter().position(|id| !has_events(id))?;
        Some(self.held.swap_remove(at))
    }

    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }
}
