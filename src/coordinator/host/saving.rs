//! Large values that a save writes in parts, and who waits for one.
//!
//! ```text
//!   who would change a key that is owed:   finds it here -> the save claims the key, before all that wait -> parked
//!   steps of the save:                     part, part ... last -> release -> what waited runs
//! ```
//! A save claims a key only when somebody would change it, and as a reader: who reads the key goes on. Nobody has begun
//! with a key that is claimed so, and the steps wait for no claim, so no circle can close.
//!
//! Invariants
//! - What claims a key exclusively does not begin while its value is owed ([`Shard::owes`](shard::Shard::owes)).
//! - While a snapshot is under way the lock table is not empty, so that every request looks.
//!
//! What claims a whole shard may change any key and does not wait: a value that it changes has what is left of it written
//! in one go. So has one that expires or is evicted, unless it leaves its key whole.
//!
//! Not here: which part comes next (`shard::snapshot`), and when (the core loop).

use base::ids::TxId;
use shard::locks::{Claim, Mode};
use shard::snapshot::Step;

use super::{BYPASS, Host};
use crate::message::{Outcome, Visit};

/// What a save claims on a shard.
#[derive(Debug, Default)]
pub(super) struct Saving {
    /// Stands for the snapshot in the lock table; it has no keys.
    mark: Option<TxId>,
    /// Claims on keys that are owed.
    claims: Vec<(TxId, Vec<u64>)>,
}

impl Host {
    /// Has a visit do its work, and notes that a snapshot has begun, if one has.
    pub(super) fn visit(&mut self, visit: Visit) -> Outcome {
        let outcome = visit.run(&mut self.shard);
        if !BYPASS && self.saving.mark.is_none() && self.shard.has_snapshot() {
            let mark = self.claim_next(Claim::default());
            self.locks.start(mark);
            self.saving.mark = Some(mark);
        }
        outcome
    }

    /// Returns whether something with this claim would change a value that a save has not written yet.
    pub(super) fn changes_owed(&self, claim: &Claim) -> bool {
        self.saving.mark.is_some()
            && claim.whole.is_none()
            && self.owed_of(&claim.keys).next().is_some()
    }

    fn owed_of<'a>(&'a self, keys: &'a [(u64, Mode)]) -> impl Iterator<Item = u64> + 'a {
        let changed = keys.iter().filter(|(_, mode)| *mode == Mode::Exclusive);
        let changed = changed.map(|(hash, _)| *hash);
        changed.filter(|hash| self.shard.owes(*hash))
    }

    /// Has a transaction that is granted and has not begun wait, if it would change a value that a save has not written
    /// yet. Returns whether it does.
    pub(super) fn waits_for_save(&mut self, tx: TxId) -> bool {
        if self.saving.mark.is_none() || self.locks.has_started(tx) {
            return false;
        }
        let Some(keys) = self.locks.keys_of(tx) else {
            return false;
        };
        let owed: Vec<u64> = self.owed_of(keys).collect();
        if owed.is_empty() {
            return false;
        }
        for &hash in &owed {
            self.shard.hurry(hash);
        }
        let claim = Claim {
            keys: owed.iter().map(|hash| (*hash, Mode::Shared)).collect(),
            whole: None,
        };
        let id = self.claim_first(claim);
        self.saving.claims.push((id, owed));
        true
    }

    /// Goes on with the snapshot of the shard by about `entries` entries, or a part of a large value, and lets go on what
    /// has waited for it.
    pub fn step_snapshot(&mut self, entries: usize) -> Step {
        let step = self.shard.snapshot_step(entries);
        let mut granted = Vec::new();
        if !self.shard.has_snapshot()
            && let Some(mark) = self.saving.mark.take()
        {
            self.locks.release(mark, &mut granted);
        }
        for (id, owed) in std::mem::take(&mut self.saving.claims) {
            if owed.iter().any(|hash| self.shard.owes(*hash)) {
                self.saving.claims.push((id, owed));
            } else {
                self.locks.release(id, &mut granted);
            }
        }
        if !granted.is_empty() {
            self.serve_if_ready();
            self.run_granted(granted);
        }
        step
    }
}
