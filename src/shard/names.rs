//! A walk over the names of all keys of a database, as they are when it begins, while they change.
//!
//! It is a snapshot of one dict that keeps nothing but names, so it shares with a save what tells old entries from
//! new ones, and a dict has one of both at a time.
//!
//! Invariants
//! - Each key that was alive at the beginning is shown once, whatever becomes of it meanwhile, and no other.
//! - Who wants the dict for something else ends the walk in one go: a save that begins, or the end of all keys.
//!
//! Not here: how a dict hands on its entries (`dict/snapshot.rs`).

use base::ids::DbIndex;

use crate::Shard;
use crate::entry::EntryRef;
use crate::sink::{SharedSink, Sink};

/// See the head of this file.
#[derive(Debug)]
pub struct Names(SharedSink);

/// Shows names.
struct NameSink<F>(F);

impl<F: FnMut(&[u8])> Sink for NameSink<F> {
    fn entry(&mut self, _db: DbIndex, entry: EntryRef<'_>) {
        (self.0)(entry.key());
    }

    fn has_room(&mut self) -> bool {
        true
    }

    fn end(&mut self) -> bool {
        true
    }
}

impl Shard {
    /// Returns whether [`Shard::begin_names`] can begin. O(1).
    #[must_use]
    pub fn may_begin_names(&self, db: DbIndex) -> bool {
        !self.databases[db.index()].has_snapshot()
    }

    /// Begins a walk, which shows each name to `each` in one of its steps or when the key is about to change.
    ///
    /// # Panics
    ///
    /// If it may not begin.
    pub fn begin_names(&mut self, db: DbIndex, each: impl FnMut(&[u8]) + 'static) -> Names {
        let sink = SharedSink::new(NameSink(each));
        let now = self.common.now;
        self.databases[db.index()].begin_snapshot((db, now), &sink, usize::MAX);
        Names(sink)
    }

    /// Shows about `entries` names more. Returns whether there are more. O(`entries`).
    pub fn names_step(&mut self, names: &Names, entries: usize) -> bool {
        let mut dicts = self.databases.iter_mut();
        // Databases may have changed places.
        let Some(dict) = dicts.find(|dict| dict.hands_on_to(&names.0)) else {
            return false;
        };
        dict.snapshot_step(entries);
        dict.has_snapshot()
    }
}
