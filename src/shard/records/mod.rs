//! What a shard has to tell the log: effects of the changes since the log took the last ones.
//!
//! ```text
//!   a change of a key -> the key is noted --------------------> put or delete, as it is when they are taken
//!   a run that changes one large value, of a key not noted ---> run, at once, in the order of runs
//!   all keys of a database gone, databases swapped -----------> clear or swap, at once
//!   a change of a table --------------------------------------> what the table tells, at once
//! ```
//!
//! A key that changes a hundred times between two takes is told once, as it is at the end. That is what makes
//! it possible to tell small values whole. A value of more than [`LARGE_BYTES`] is told by the words of the
//! commands that change it, as long as these depend on nothing but the value and the time; otherwise whole.
//!
//! Invariants
//! - What was told so far and the puts and deletes of the noted keys together give the keys as they are.
//! - A run is told only while its key is not noted: all that was told before gives the value it has seen.
//! - Time is told by no effect: a key that dies has told when it does, and so have the fields of hashes.
//! - A shard that nobody listens to pays one comparison per change.
//!
//! Not here: the bytes of effects (`types::effect`), what tables tell (`tables::bytes::record`), who keeps
//! all of it (the server), and what of a transaction is kept apart until it is over ([`held`]).

pub mod held;
mod noted;

use base::ids::DbIndex;
use types::effect;
use types::rdb::{Object, Writer};

use crate::dict::Dict;
use crate::entry::{EntryRef, ValueRef, apart_bytes};
use crate::locks::Mode;
use crate::{Common, Key, Shard};

use self::held::Held;
use self::noted::Noted;

/// Above so many bytes a value is told by what changes it.
pub const LARGE_BYTES: usize = 4096;

/// See the head of this file.
#[derive(Debug, Default)]
pub(crate) struct Records {
    /// Effects, in order.
    pub(crate) told: Vec<u8>,
    /// What was told before the cut, if there was one.
    before_cut: Option<Vec<u8>>,
    /// Keys whose effects are still to be made.
    pub(crate) noted: Noted,
    /// What transactions have changed that are not over.
    pub(crate) held: Held,
    /// Whether the command which runs now may be told by its words, and the keys that it has changed.
    is_told_run: bool,
    changed: Noted,
    large_bytes: usize,
    writer: Writer,
}

impl Records {
    /// Notes a change of a key.
    #[cold]
    pub(crate) fn note(&mut self, db: DbIndex, key: Key<'_>) {
        if self.is_told_run {
            self.changed.insert(db, key);
        } else {
            self.note_for_later(db, key);
        }
    }

    fn note_for_later(&mut self, db: DbIndex, key: Key<'_>) {
        if !self.held.is_idle()
            && let Some(place) = self.held.place_of(key.hash)
        {
            place.insert(db, key);
        } else {
            self.noted.insert(db, key);
        }
    }

    /// Tells that all keys of a database are gone.
    pub(crate) fn clear(&mut self, db: DbIndex) {
        self.held.own_all();
        effect::clear(&mut self.told, db);
    }

    /// Tells of one key as it is.
    fn tell(&mut self, dict: &Dict, now: base::clock::UnixMillis, db: DbIndex, key: Key<'_>) {
        let entry = dict.find(key.hash, key.bytes);
        let entry = entry.map(|place| dict.entry(place));
        let Some(entry) = entry.filter(|entry| !entry.is_dead(now) && !entry.is_emptied(now))
        else {
            effect::delete(&mut self.told, db, key.bytes);
            return;
        };
        let value = entry.value();
        let object = match &value {
            ValueRef::String(bytes) => Object::String(bytes),
            ValueRef::Other(value) => Object::Value(value),
        };
        self.writer.clear();
        self.writer.object(object, now);
        let (at, object) = (entry.expire_at(), self.writer.bytes());
        effect::put(&mut self.told, db, key.bytes, at, object);
    }
}

impl Common {
    /// Notes a change of a key for the log.
    #[inline]
    pub(crate) fn record(&mut self, db: DbIndex, key: Key<'_>) {
        if let Some(records) = &mut self.records {
            records.note(db, key);
        }
    }
}

/// Tells of a key that was noted, before its value goes away for a while. Not of what a transaction has
/// changed: its values are back before it is over.
#[cold]
pub(crate) fn tell_before_loan(dict: &Dict, common: &mut Common, db: DbIndex, key: Key<'_>) {
    if let Some(records) = &mut common.records
        && !records.held.is_running()
        && records.noted.remove(db, key)
    {
        records.tell(dict, common.now, db, key);
    }
}

impl Shard {
    /// Begins or ends to tell of changes. Values above `large_bytes`, mostly [`LARGE_BYTES`], are told by
    /// what changes them. What was not taken is forgotten.
    pub fn record_changes(&mut self, is_on: bool, large_bytes: usize) {
        self.tables.set_recording(is_on);
        self.common.records = is_on.then(|| {
            Box::new(Records {
                large_bytes,
                ..Records::default()
            })
        });
    }

    /// Returns whether changes are told.
    #[inline]
    #[must_use]
    pub fn is_recording(&self) -> bool {
        self.common.records.is_some()
    }

    /// Returns whether [`Shard::take_effects`] has any.
    #[must_use]
    pub fn has_effects(&self) -> bool {
        let records = self.common.records.as_ref();
        self.tables.has_records()
            || records.is_some_and(|it| !it.told.is_empty() || !it.noted.is_empty())
    }

    /// Returns how many bytes of effects there are already. Keys that have changed and are told whole are not
    /// counted. O(1).
    #[must_use]
    pub fn effects_bytes(&self) -> usize {
        let records = self.common.records.as_ref();
        records.map_or(0, |records| records.told.len())
    }

    /// Appends the effects of all changes since the last call (see `types::effect`). O(bytes of the keys
    /// that have changed and are told whole).
    pub fn take_effects(&mut self, out: &mut Vec<u8>) {
        self.tell_noted();
        self.tell_tables();
        if let Some(records) = &mut self.common.records
            && !records.told.is_empty()
        {
            records.held.take_marks(out);
            out.append(&mut records.told);
        }
    }

    /// Separates what was told so far from what is told from now on. The caller has claimed the whole shard, so
    /// that nothing is half done.
    pub fn cut_effects(&mut self) {
        if let Some(records) = &mut self.common.records
            && records.held.is_running()
        {
            // The cut is a step of a transaction itself; what the others have changed was told when it began.
            let told = records.held.take_told_by_others();
            records.before_cut.get_or_insert_with(Vec::new).extend(told);
            return;
        }
        self.tell_noted();
        self.tell_tables();
        if let Some(records) = &mut self.common.records {
            let told = std::mem::take(&mut records.told);
            records.before_cut.get_or_insert_with(Vec::new).extend(told);
        }
    }

    /// Returns whether there was a cut since the last [`Shard::take_effects_before_cut`].
    #[must_use]
    pub fn has_cut(&self) -> bool {
        let records = self.common.records.as_ref();
        records.is_some_and(|records| records.before_cut.is_some())
    }

    /// Takes the effects from before the cut, if there was one: they come before all that
    /// [`Shard::take_effects`] gives.
    pub fn take_effects_before_cut(&mut self) -> Option<Vec<u8>> {
        self.common.records.as_mut()?.before_cut.take()
    }

    /// Tells what tables have told so far.
    fn tell_tables(&mut self) {
        if let Some(records) = &mut self.common.records
            && self.tables.has_records()
        {
            let told = match records.held.whole_told() {
                Some(told) => told,
                None => &mut records.told,
            };
            effect::tables(told, &self.tables.take_records());
        }
    }

    /// Makes the effects of all keys that are noted.
    pub(crate) fn tell_noted(&mut self) {
        let Some(mut records) = self.common.records.take() else {
            return;
        };
        if !records.noted.is_empty() {
            let mut noted = std::mem::take(&mut records.noted);
            for (db, key) in noted.iter() {
                self.tell(&mut records, db, key);
            }
            noted.clear();
            records.noted = noted;
        }
        self.common.records = Some(records);
    }

    /// Makes the effects of those noted keys that have one of these hashes; of all if there are none.
    pub(crate) fn tell_claimed(&mut self, claimed: Option<&[(u64, Mode)]>) {
        let Some(claimed) = claimed else {
            return self.tell_noted();
        };
        let Some(mut records) = self.common.records.take() else {
            return;
        };
        if !records.noted.is_empty() {
            for (hash, _) in claimed {
                for noted in records.noted.take_hash(*hash) {
                    self.tell(&mut records, noted.db, noted.key());
                }
            }
        }
        self.common.records = Some(records);
    }

    fn tell(&self, records: &mut Records, db: DbIndex, key: Key<'_>) {
        let dict = &self.databases[db.index()];
        records.tell(dict, self.common.now, db, key);
    }

    /// Begins a run of a command that depends on nothing but its words, its key and the time, so that it may
    /// be told by its words.
    pub fn begin_told_run(&mut self) {
        if let Some(records) = &mut self.common.records {
            records.is_told_run = true;
        }
    }

    /// Ends it. `words` are the command's, its name as it is declared.
    pub fn end_told_run<'w>(
        &mut self,
        db: DbIndex,
        words: impl ExactSizeIterator<Item = &'w [u8]>,
    ) {
        let Some(mut records) = self.common.records.take() else {
            return;
        };
        records.is_told_run = false;
        if !records.changed.is_empty() {
            let mut changed = std::mem::take(&mut records.changed);
            let large = changed.only().filter(|&(changed_db, key)| {
                changed_db == db
                    && !records.noted.contains(db, key)
                    && self.is_large(db, key, records.large_bytes)
            });
            if let Some((_, key)) = large {
                records.held.own(key.hash);
                effect::run(&mut records.told, db, self.common.now, words);
            } else {
                for (db, key) in changed.iter() {
                    records.note_for_later(db, key);
                }
            }
            changed.clear();
            records.changed = changed;
        }
        self.common.records = Some(records);
    }

    fn is_large(&self, db: DbIndex, key: Key<'_>, large_bytes: usize) -> bool {
        let dict = &self.databases[db.index()];
        let place = dict.find(key.hash, key.bytes);
        place.is_some_and(|place| bytes_of(dict.entry(place)) > large_bytes)
    }

    /// Tells that two databases change places. Before they do.
    pub(crate) fn tell_swap(&mut self, one: DbIndex, other: DbIndex) {
        self.tell_noted();
        self.tell_tables();
        if let Some(records) = &mut self.common.records {
            records.held.own_all();
            effect::swap(&mut records.told, one, other);
        }
    }
}

/// Returns about how many bytes a value has.
fn bytes_of(entry: EntryRef<'_>) -> usize {
    match (entry.apart(), entry.value()) {
        (Some(value), _) => apart_bytes(value),
        (None, ValueRef::String(bytes)) => bytes.len(),
        (None, ValueRef::Other(_)) => 0,
    }
}
