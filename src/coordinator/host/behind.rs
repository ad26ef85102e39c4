//! Requests of this shard alone that make room for an offer.
//!
//! Who waits for a key is to have it before all that came later. An offer that needs a second key, to which an element
//! is moved, may have to wait for that, so it takes its place in the order of ids like every claim: behind all that
//! wait here already. What waits here and uses no other shard has not begun anywhere, so it can come back under a
//! larger id, as if it had arrived just now.
//!
//! Invariants
//! - Requests that move keep their order among each other, and to all they would run behind: none moves that a
//!   transaction over several shards may wait for here.
//!
//! Not here: offers that need one key, which stand before all others ([`shard::locks::LockTable::start_first`]).

use base::hash::Map;
use base::ids::TxId;

use super::{Host, Parked};

/// What has moved.
#[derive(Debug, Default)]
pub(super) struct Moved {
    /// The ids under which requests came first, by those they have now.
    first_ids: Map<TxId, TxId>,
    /// Those that could run at their new place, and are to.
    granted: Vec<TxId>,
}

impl Moved {
    /// Returns the id under which a request has come.
    fn first_id(&self, tx: TxId) -> TxId {
        self.first_ids.get(&tx).copied().unwrap_or(tx)
    }
}

impl Host {
    /// Puts requests of this shard alone behind `offer`, which has the largest id. O(claims log claims).
    pub(super) fn make_room(&mut self, offer: TxId) {
        let is_alone = |parked: &Parked| match parked {
            Parked::Single { .. }
            | Parked::Exec { .. }
            | Parked::Alone { .. }
            | Parked::Wait { .. } => true,
            Parked::Hop(_) => false,
        };
        let waiting = self.locks.waiting().filter(|tx| *tx != offer);
        let (mut alone, others): (Vec<TxId>, Vec<TxId>) =
            waiting.partition(|tx| self.parked.get(tx).is_some_and(is_alone));
        let last = others.into_iter().max().unwrap_or(TxId(0));
        alone.retain(|tx| *tx > last);
        alone.sort_unstable();
        for tx in alone {
            self.move_behind(tx);
        }
    }

    fn move_behind(&mut self, tx: TxId) {
        let Some(parked) = self.parked.remove(&tx) else {
            return;
        };
        let id = self.ids.next();
        self.last_parked = id;
        self.locks.renew(tx, id);
        self.parked.insert(id, parked);
        let first = self.moved.first_id(tx);
        self.moved.first_ids.remove(&tx);
        self.moved.first_ids.insert(id, first);
        // Whoever was about to run it knows it by its old id.
        self.moved.granted.push(id);
    }

    /// Runs requests that have moved and are in nobody's way. What they were waiting for grants the others.
    pub(super) fn run_moved(&mut self) {
        if !self.moved.granted.is_empty() {
            let granted = std::mem::take(&mut self.moved.granted);
            self.run_granted(granted);
        }
    }

    /// Notes that a request runs, or is refused.
    pub(super) fn forget_move(&mut self, tx: TxId) {
        if !self.moved.first_ids.is_empty() {
            self.moved.first_ids.remove(&tx);
        }
    }

    /// Returns whether something waits for a claim here since before id `limit` was drawn.
    pub(super) fn has_parked_before(&self, limit: TxId) -> bool {
        let mut ids = self.parked.keys();
        ids.any(|tx| self.moved.first_id(*tx) < limit)
    }
}
