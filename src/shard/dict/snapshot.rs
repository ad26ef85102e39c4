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
//! # Large values
//!
//! A value that takes more than some hundred kilobytes is handed on in parts, one per step, if the sink takes parts. It
//! is marked behind the last. Until then its key is *owed*: who would change it is asked to wait ([`Dict::owes`]), and it
//! comes before others then. Who does not wait has the rest of it handed on in one go. A value that leaves its key is kept
//! here and handed on as all others. Long strings are handed on as a share of their bytes.
//!
//! Not here: what becomes of the entries ([`crate::sink`]), who waits (crate `coordinator`).

use std::collections::VecDeque;

use base::clock::UnixMillis;
use base::ids::DbIndex;
use types::Value;

use super::{Dict, Place};
use crate::entry::{EntryRef, apart_bytes};
use crate::segment::{MARK, address_of, prefetch_address, tag_of};
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
    /// Values that take more bytes than this are handed on in parts; none if the sink takes no parts.
    part_bytes: usize,
    in_parts: InParts,
}

/// What is handed on in parts.
#[derive(Debug, Default)]
struct InParts {
    current: Option<Current>,
    /// Hashes of keys that somebody waits for.
    wanted: VecDeque<u64>,
    /// Values that have left their keys, with what stands before them.
    left: VecDeque<(Vec<u8>, Box<Value>)>,
    /// The one of them that was handed on.
    done: Option<Box<Value>>,
}

/// A value of which a part was handed on.
#[derive(Debug)]
enum Current {
    Of { hash: u64, key: Box<[u8]> },
    Left(Box<Value>),
}

/// What the snapshot keeps of an entry that is about to go.
#[derive(Debug)]
pub(super) enum Kept {
    /// It has what it needs.
    Nothing,
    /// The value, of which it has a part.
    Rest,
    /// The value; this stands before it.
    Whole(Vec<u8>),
}

impl Dict {
    /// Begins a snapshot; none may be under way. Values that take more than `part_bytes` are handed on in parts, if the
    /// sink takes any.
    pub(crate) fn begin_snapshot(
        &mut self,
        (db, now): (DbIndex, UnixMillis),
        sink: &SharedSink,
        part_bytes: usize,
    ) {
        assert!(self.snapshot.is_none(), "a snapshot follows the one before");
        if self.len() == 0 {
            return;
        }
        self.mark ^= MARK;
        let takes_parts = sink.with(|sink| sink.takes_parts());
        self.snapshot = Some(Box::new(Walk {
            db,
            now,
            next: 0,
            sink: sink.clone(),
            part_bytes: if takes_parts { part_bytes } else { usize::MAX },
            in_parts: InParts::default(),
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

    /// Returns how soon the next step of the snapshot has to be here: a sink has a part of one value at a time, and
    /// somebody may wait for one.
    pub(crate) fn urgency(&self) -> u8 {
        let Some(walk) = &self.snapshot else {
            return 0;
        };
        match &walk.in_parts {
            parts if parts.current.is_some() => 2,
            parts if !parts.wanted.is_empty() || !parts.left.is_empty() => 1,
            _ => 0,
        }
    }

    /// Ends a snapshot, if there is one, by handing on all that is left. O(entries).
    pub(crate) fn finish_snapshot(&mut self) {
        while self.has_snapshot() {
            self.snapshot_step(usize::MAX);
            drop(self.take_handed_on());
        }
    }

    /// Returns whether the snapshot has yet to get the value of a key with this hash, in parts.
    pub(crate) fn owes(&self, hash: u64) -> bool {
        self.owed_at(hash).is_some()
    }

    /// Has the value of the key with this hash, if it is owed, handed on before others.
    pub(crate) fn hurry(&mut self, hash: u64) {
        if !self.owes(hash) {
            return;
        }
        if let Some(walk) = &mut self.snapshot
            && !walk.in_parts.wanted.contains(&hash)
        {
            walk.in_parts.wanted.push_back(hash);
        }
    }

    /// The same for the entry at a place.
    pub(crate) fn is_owed_at(&self, place: Place) -> bool {
        self.is_owed(self.directory[place.word].slot(place.position))
    }

    fn owed_at(&self, hash: u64) -> Option<Place> {
        let walk = self.snapshot.as_ref()?;
        if walk.part_bytes == usize::MAX {
            return None;
        }
        let word = self.word_of(hash);
        let segment = self.directory.get(word)?;
        let is_it = |address| {
            let entry = self.at(address);
            walk.takes_in_parts(entry) && self.hasher.hash(entry.key()) == hash
        };
        let position = segment.find(tag_of(hash), is_it)?;
        let is_marked = segment.slot(position) & MARK == self.mark;
        (!is_marked).then_some(Place { word, position })
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

    /// The same for an entry of which nothing stays. Returns what is to be done with the value.
    #[inline]
    pub(super) fn before_end_at(&mut self, place: Place) -> Kept {
        if self.snapshot.is_some() {
            self.hand_on_at_end(place)
        } else {
            Kept::Nothing
        }
    }

    #[cold]
    fn hand_on_at_end(&mut self, place: Place) -> Kept {
        let slot = self.directory[place.word].slot(place.position);
        if let Some(walk) = &self.snapshot
            && slot & MARK != self.mark
        {
            let entry = self.at(address_of(slot));
            if walk.takes_in_parts(entry) {
                if walk.is_at(entry.key()) {
                    return Kept::Rest;
                }
                return Kept::Whole(walk.sink.with(|sink| sink.head(walk.db, entry)));
            }
        }
        self.hand_on(place);
        Kept::Nothing
    }

    /// Keeps a value that has left its entry, if the snapshot wants it; returns it otherwise.
    #[inline]
    pub(super) fn keep(&mut self, kept: Kept, value: Option<Box<Value>>) -> Option<Box<Value>> {
        let (Some(walk), Some(value)) = (&mut self.snapshot, value) else {
            return None;
        };
        match kept {
            Kept::Nothing => return Some(value),
            Kept::Rest => walk.in_parts.current = Some(Current::Left(value)),
            Kept::Whole(head) => walk.in_parts.left.push_back((head, value)),
        }
        None
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
        if !walk.wants(entry) {
        } else if walk.takes_in_parts(entry) && walk.is_at(entry.key()) {
            let rest = entry.apart();
            walk.sink
                .with(|sink| while rest.is_some_and(|value| sink.part(value, true)) {});
            self.end_part();
        } else if walk.takes_share(entry) {
            self.hand_on_share(place);
        } else {
            walk.sink.with(|sink| sink.entry(walk.db, entry));
        }
        self.set_mark(place);
        true
    }

    /// Hands on a long string.
    fn hand_on_share(&mut self, place: Place) {
        let share = self.with_entry_noted(place, |entry, _| entry.apart_mut()?.share());
        if let Some(walk) = &self.snapshot
            && let Some(share) = share
        {
            let entry = self.entry(place);
            walk.sink.with(|sink| {
                let head = sink.head(walk.db, entry);
                sink.shared(head, share);
            });
        }
    }

    fn set_mark(&mut self, place: Place) {
        let mark = self.mark;
        self.directory[place.word].set_mark(place.position, mark);
    }

    fn end_part(&mut self) -> Option<Current> {
        self.snapshot.as_mut()?.in_parts.current.take()
    }

    /// Begins with a value that is handed on in parts.
    fn begin_part(&mut self, place: Place) {
        let slot = self.directory[place.word].slot(place.position);
        let entry = self.at(address_of(slot));
        let key: Box<[u8]> = entry.key().into();
        if let Some(walk) = &self.snapshot {
            walk.sink.with(|sink| {
                let head = sink.head(walk.db, entry);
                sink.begin(head);
            });
        }
        let hash = self.hasher.hash(&key);
        if let Some(walk) = &mut self.snapshot {
            walk.in_parts.current = Some(Current::Of { hash, key });
        }
    }

    /// Hands on a part of a value, if there is one that comes before other entries. Returns whether there was.
    fn step_of_parts(&mut self) -> bool {
        if !self.begin_next_part() {
            return false;
        }
        let Some(current) = self.end_part() else {
            return false;
        };
        let place = match &current {
            Current::Left(_) => None,
            Current::Of { hash, key } => self.find(*hash, key),
        };
        let Some(walk) = &mut self.snapshot else {
            return false;
        };
        let sink = walk.sink.clone();
        match (current, place) {
            (Current::Left(value), _) => {
                if sink.with(|sink| sink.part(&value, false)) {
                    walk.in_parts.current = Some(Current::Left(value));
                } else {
                    walk.in_parts.done = Some(value);
                }
            }
            (current @ Current::Of { .. }, place) => {
                let place = place.expect("what leaves its key in the midst of it is kept");
                let value = self.entry(place).apart();
                let has_more = value.is_some_and(|value| sink.with(|sink| sink.part(value, false)));
                if !has_more {
                    self.set_mark(place);
                } else if let Some(walk) = &mut self.snapshot {
                    walk.in_parts.current = Some(current);
                }
            }
        }
        true
    }

    /// Sees to it that a part can be handed on, if something comes before other entries.
    fn begin_next_part(&mut self) -> bool {
        let Some(walk) = &mut self.snapshot else {
            return false;
        };
        let parts = &mut walk.in_parts;
        if parts.current.is_some() {
            return true;
        }
        if let Some((head, value)) = parts.left.pop_front() {
            parts.current = Some(Current::Left(value));
            walk.sink.with(|sink| sink.begin(head));
            return true;
        }
        while let Some(walk) = &mut self.snapshot
            && let Some(hash) = walk.in_parts.wanted.pop_front()
        {
            if let Some(place) = self.owed_at(hash) {
                self.begin_part(place);
                return true;
            }
        }
        false
    }

    /// Returns a value that nobody needs any more, for its memory to come back in steps. To be called after each step.
    pub(crate) fn take_handed_on(&mut self) -> Option<Box<Value>> {
        self.snapshot.as_mut()?.in_parts.done.take()
    }

    /// Goes on with the walk by about `entries` entries, fewer if the sink has enough before, or by a part of a value;
    /// returns how many it has handed on. After the last one the snapshot is over for this dict.
    pub(crate) fn snapshot_step(&mut self, entries: usize) -> usize {
        let mut handed_on = 0;
        while let Some(walk) = &self.snapshot
            && handed_on < entries
        {
            let (next, has_done) = (walk.next, walk.in_parts.done.is_some());
            if self.step_of_parts() {
                return handed_on + 1;
            }
            if has_done {
                // They are taken before all is over.
                return handed_on;
            }
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
            for (position, slot) in segment.used_slots(0) {
                let place = Place { word, position };
                if self.is_owed(slot) {
                    self.begin_part(place);
                    return handed_on;
                }
                if self.hand_on(place) {
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

    /// Returns whether the entry of a slot is to be handed on in parts.
    fn is_owed(&self, slot: u64) -> bool {
        slot & MARK != self.mark
            && self.snapshot.as_ref().is_some_and(|walk| {
                walk.part_bytes < usize::MAX && walk.takes_in_parts(self.at(address_of(slot)))
            })
    }
}

impl Walk {
    /// Returns whether an entry belongs to the snapshot.
    fn wants(&self, entry: EntryRef<'_>) -> bool {
        !entry.is_dead(self.now) && !entry.is_emptied(self.now)
    }

    fn takes_in_parts(&self, entry: EntryRef<'_>) -> bool {
        let is_large = match entry.apart() {
            None | Some(Value::String(_) | Value::Shared(_) | Value::Lent(_)) => false,
            Some(
                value @ (Value::List(_)
                | Value::Set(_)
                | Value::Hash(_)
                | Value::SortedSet(_)
                | Value::Stream(_)),
            ) => apart_bytes(value) > self.part_bytes,
        };
        is_large && self.wants(entry)
    }

    fn takes_share(&self, entry: EntryRef<'_>) -> bool {
        match entry.apart() {
            Some(Value::String(bytes)) => bytes.len() > self.part_bytes,
            Some(Value::Shared(bytes)) => bytes.len() > self.part_bytes,
            Some(
                Value::List(_)
                | Value::Set(_)
                | Value::Hash(_)
                | Value::SortedSet(_)
                | Value::Stream(_)
                | Value::Lent(_),
            )
            | None => false,
        }
    }

    /// Returns whether a part of the value of this key was handed on.
    fn is_at(&self, key: &[u8]) -> bool {
        match &self.in_parts.current {
            Some(Current::Of { key: current, .. }) => **current == *key,
            Some(Current::Left(_)) | None => false,
        }
    }
}
