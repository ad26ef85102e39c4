//! How a snapshot goes over a dict while the dict changes.
//!
//! Each slot has a mark. A snapshot begins by changing what the mark means: all entries are then to be
//! handed on. A walk goes through the segments and hands on entry after entry; before an entry is
//! changed or removed it is handed on first, and what is put in anew has its mark already. So the
//! snapshot gets each entry once, as it was at the beginning, and nothing is copied.
//!
//! ```text
//!   begin: mark means "handed on" no more ->  walk:  [x][x][x][ ][ ][ ]   x: handed on
//!                                                           ^ next
//!   change of an entry behind `next`:                [x][x][x][ ][x][ ]   first the entry, then the change
//! ```
//!
//! Why the walk misses none: it passes a segment only when all its slots are marked, and marks move with
//! their slots when segments are split, joined or laid out anew. What is below `next` is thus marked,
//! wherever it lies: a new entry is born marked, a moved one was.
//!
//! Not here: what becomes of the entries ([`crate::sink`]).

use base::clock::UnixMillis;
use base::ids::DbIndex;

use super::{Dict, Place};
use crate::segment::{MARK, address_of, prefetch_address};
use crate::sink::SharedSink;

/// A snapshot on its way through a dict.
#[derive(Debug)]
pub(super) struct Walk {
    db: DbIndex,
    /// When the snapshot began: what was dead then is left out.
    now: UnixMillis,
    /// The hashes below have been handed on.
    next: u64,
    sink: SharedSink,
}

impl Dict {
    /// Begins a snapshot; none may be under way.
    pub(crate) fn begin_snapshot(&mut self, db: DbIndex, now: UnixMillis, sink: &SharedSink) {
        assert!(self.snapshot.is_none(), "a snapshot follows the one before");
        if self.len() == 0 {
            return;
        }
        self.mark ^= MARK;
        self.snapshot = Some(Box::new(Walk {
            db,
            now,
            next: 0,
            sink: sink.clone(),
        }));
    }

    /// Returns whether a snapshot waits for entries of this dict.
    pub(crate) fn has_snapshot(&self) -> bool {
        self.snapshot.is_some()
    }

    /// Returns whether a snapshot for this sink waits for entries of this dict.
    pub(crate) fn hands_on_to(&self, sink: &SharedSink) -> bool {
        let walk = self.snapshot.as_ref();
        walk.is_some_and(|walk| walk.sink.is(sink))
    }

    /// Ends a snapshot, if there is one, by handing on all that is left. O(entries).
    pub(crate) fn finish_snapshot(&mut self) {
        while self.has_snapshot() {
            self.snapshot_step(usize::MAX);
        }
    }

    /// Hands the entry of a key to the snapshot that waits for it. To be called before it changes.
    #[inline]
    pub(crate) fn before_change(&mut self, hash: u64, key: &[u8]) {
        if self.snapshot.is_some()
            && let Some(place) = self.find(hash, key)
        {
            self.hand_on(place);
        }
    }

    /// The same for the entry at a place.
    #[inline]
    pub(super) fn before_change_at(&mut self, place: Place) {
        if self.snapshot.is_some() {
            self.hand_on(place);
        }
    }

    /// Hands an entry on, unless it was. Returns whether it did.
    #[cold]
    fn hand_on(&mut self, place: Place) -> bool {
        let Some(walk) = &self.snapshot else {
            return false;
        };
        let slot = self.directory[place.word].slot(place.position);
        if slot & MARK == self.mark {
            return false;
        }
        let entry = self.at(address_of(slot));
        if !entry.is_dead(walk.now) && !entry.is_emptied(walk.now) {
            walk.sink.with(|sink| sink.entry(walk.db, entry));
        }
        let mark = self.mark;
        self.directory[place.word].set_mark(place.position, mark);
        true
    }

    /// Goes on with the walk by about `entries` entries, fewer if the sink has enough before; returns how many it has
    /// handed on. After the last one the snapshot is over for this dict.
    pub(crate) fn snapshot_step(&mut self, entries: usize) -> usize {
        let mut handed_on = 0;
        while let Some(walk) = &self.snapshot
            && handed_on < entries
        {
            let next = walk.next;
            if self.directory.is_empty() {
                self.snapshot = None;
                break;
            }
            let word = self.first_word(self.word_of(next));
            let segment = self.directory[word].alias();
            // The entries of the step are loaded at the same time.
            let waiting = segment.used_slots(0);
            let waiting = waiting.filter(|(_, slot)| slot & MARK != self.mark);
            for (_, slot) in waiting.take(entries - handed_on) {
                prefetch_address(address_of(slot));
            }
            for (position, _) in segment.used_slots(0) {
                if self.hand_on(Place { word, position }) {
                    handed_on += 1;
                    let walk = self.snapshot.as_ref();
                    let has_enough = walk.is_some_and(|it| it.sink.with(|sink| sink.has_enough()));
                    if handed_on == entries || has_enough {
                        return handed_on;
                    }
                }
            }
            let after = word + self.run_of(&segment);
            let is_last = after == self.directory.len();
            let next = if is_last { 0 } else { self.start_of(after) };
            match &mut self.snapshot {
                Some(walk) if !is_last => walk.next = next,
                Some(_) | None => self.snapshot = None,
            }
        }
        handed_on
    }
}
