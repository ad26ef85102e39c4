//! Moves of connections between cores, counted, so that a question about all clients misses none.
//!
//! A connection on its way is on no core. Who asks all cores about clients compares the counts from
//! before and behind the question, and asks again if a connection could have slipped through.
//!
//! Invariant: a core counts a move before it answers a question that has not met the connection any
//! more.

use std::sync::atomic::{AtomicU64, Ordering};

/// Moves of all cores.
#[derive(Debug, Default)]
pub struct Moves {
    begun: AtomicU64,
    ended: AtomicU64,
}

/// The counts at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    begun: u64,
    ended: u64,
}

/// How often a question is asked again: connections move rarely, unless somebody makes them.
pub(crate) const QUESTIONS_MAX: u32 = 32;

impl Moves {
    /// Counts a connection that has left its core.
    pub(crate) fn begin(&self) {
        self.begun.fetch_add(1, Ordering::SeqCst);
    }

    /// Counts a connection that has come to its new core.
    pub(crate) fn end(&self) {
        self.ended.fetch_add(1, Ordering::SeqCst);
    }

    /// Reads the counts.
    pub(crate) fn read(&self) -> Reading {
        // In this order equal counts mean that nobody was on his way at the second look.
        let ended = self.ended.load(Ordering::SeqCst);
        let begun = self.begun.load(Ordering::SeqCst);
        Reading { begun, ended }
    }
}

impl Reading {
    /// Returns whether no connection was on its way between this reading and a later one.
    pub(crate) fn is_still_at(self, later: Self) -> bool {
        self.begun == self.ended && self.begun == later.begun
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_that_was_under_way_or_has_begun_is_noticed() {
        let moves = Moves::default();
        let before = moves.read();
        assert!(before.is_still_at(moves.read()));
        moves.begin();
        assert!(!before.is_still_at(moves.read()));
        let amid = moves.read();
        moves.end();
        assert!(!amid.is_still_at(moves.read()));
        assert!(moves.read().is_still_at(moves.read()));
    }
}
