//! A snapshot of a shard: every entry, and every row of tables, as it was at one moment, while the shard goes on.
//!
//! ```text
//!   begin -> step, step ... step -> all entries have gone to the sink, which is told so
//!             ^ between the steps commands run; an entry that one changes goes to the sink first
//! ```
//!
//! Invariants
//! - The sink gets each entry that was alive at the beginning once, as it was then, in any order.
//! - A step is bounded by the entries it hands on, or is a part of a large value. It ends when the sink has enough.
//! - A large value is as it was at the beginning until its last part was handed on: who would change it waits
//!   ([`Shard::owes`]), or what is left of it is handed on in one go.
//! - At the beginning no value is on loan: the caller has claimed the whole shard for that moment.
//!
//! Not here: the walk over a dict (`dict/snapshot.rs`) and over tables (`tables::snapshot`), the sink
//! ([`crate::sink`]).

use std::cmp::Reverse;

use ::tables::snapshot::Walked;
use base::ids::DbIndex;

use crate::Shard;
use crate::dict::Dict;
use crate::sink::SharedSink;

/// Rows of tables that cost about as much as an entry.
const ROWS_PER_ENTRY: usize = 2;

/// What a step has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// There is no snapshot.
    Idle,
    /// It has handed entries on, and there may be more.
    More,
    /// The sink has no room, or is not done with the last entries.
    Waiting,
    /// The snapshot is over.
    Done,
}

/// The snapshot of a shard.
#[derive(Debug)]
pub(crate) struct Snapshot {
    sink: SharedSink,
    /// Dicts that were emptied meanwhile, with entries that the snapshot waits for.
    pub(crate) emptied: Vec<Dict>,
}

impl Snapshot {
    /// Returns whether it waits for entries of a dict.
    pub(crate) fn goes_over(&self, dict: &Dict) -> bool {
        dict.hands_on_to(&self.sink)
    }
}

impl Shard {
    /// Begins a snapshot of all databases. O(databases).
    ///
    /// # Panics
    ///
    /// If one is under way.
    pub fn begin_snapshot(&mut self, sink: SharedSink) {
        assert!(
            self.common.snapshot.is_none(),
            "a snapshot follows the one before"
        );
        let now = self.common.now;
        for (index, dict) in self.databases.iter_mut().enumerate() {
            let db = DbIndex(u16::try_from(index).expect("databases have numbers of 16 bits"));
            // A walk over names, which is over sooner than it would have been.
            dict.finish_snapshot();
            dict.begin_snapshot((db, now), &sink, self.options.part_bytes);
        }
        if sink.with(|sink| sink.takes_rows()) {
            self.tables.begin_snapshot();
        }
        self.common.snapshot = Some(Snapshot {
            sink,
            emptied: Vec::new(),
        });
    }

    /// Returns whether a snapshot is under way.
    #[inline]
    #[must_use]
    pub fn has_snapshot(&self) -> bool {
        self.common.snapshot.is_some()
    }

    /// Returns whether the snapshot has yet to get the value of a key with this hash in parts: who changes it before has
    /// what is left of it handed on in one go. O(databases).
    #[must_use]
    pub fn owes(&self, hash: u64) -> bool {
        self.has_snapshot() && self.databases.iter().any(|dict| dict.owes(hash))
    }

    /// Has the values of keys with this hash, if they are owed, handed on before others. O(databases).
    pub fn hurry(&mut self, hash: u64) {
        for dict in &mut self.databases {
            dict.hurry(hash);
        }
    }

    /// Goes on with the snapshot by about `entries` entries, or a part of a large value. O(`entries`) and the bytes of
    /// these.
    pub fn snapshot_step(&mut self, entries: usize) -> Step {
        let Some(snapshot) = &mut self.common.snapshot else {
            return Step::Idle;
        };
        if !snapshot.sink.with(|sink| sink.has_room()) {
            return Step::Waiting;
        }
        let Snapshot { sink, emptied } = snapshot;
        let dicts = self.databases.iter_mut().chain(emptied.iter_mut());
        let dicts = dicts.filter(|dict| dict.hands_on_to(sink));
        if let Some(dict) = dicts.min_by_key(|dict| Reverse(dict.urgency())) {
            dict.snapshot_step(entries);
            self.common.lazy_free.value(dict.take_handed_on());
            if let Some(index) = emptied.iter().position(|dict| !dict.has_snapshot()) {
                self.common.lazy_free.dict(emptied.swap_remove(index));
            }
            return Step::More;
        }
        if self.tables.has_snapshot() {
            let piece = match self
                .tables
                .snapshot_step(entries.saturating_mul(ROWS_PER_ENTRY))
            {
                Walked::More(piece) => piece,
                Walked::Done => None,
            };
            if let Some(piece) = piece {
                snapshot.sink.with(|sink| sink.rows(piece));
            }
            return Step::More;
        }
        if !snapshot.sink.with(|sink| sink.end()) {
            return Step::Waiting;
        }
        self.common.snapshot = None;
        Step::Done
    }

    /// Returns whether fields of some hash expire. O(databases).
    #[must_use]
    pub fn has_field_expiries(&self) -> bool {
        let mut dicts = self.databases.iter();
        dicts.any(|dict| dict.first_field_expiry().is_some())
    }
}

#[cfg(test)]
mod tests;
