//! One numbered database: every read and write of keys.
//!
//! Invariants
//! - Each method that changes a key moves its watch version on and counts in `dirty`, so no caller
//!   can forget one; each that meets a dead key removes it first and then behaves as if it had never
//!   been there.
//! - No method keeps anything between calls but what the dict holds.
//!
//! Not here: replies and limits on lengths (`commands`), the table itself (`dict`).

use std::borrow::Cow;
use std::sync::Arc;

use base::clock::UnixMillis;
use base::ids::DbIndex;
use base::random::Random;
use types::Value;
use types::string::{self, Origin};

use crate::dict::{Dict, Place};
use crate::digest::{self, Digest};
use crate::effects::{EventClass, KeyEvent};
use crate::entry::{EntryRef, INLINE_VALUE_BYTES_MAX, NewEntry, NewValue, WrongType, apart_bytes};
use crate::memory::Ledger;
use crate::{Common, Key};

/// Strings that are edited in place move apart from their key beyond this many bytes, so that
/// further growth does not copy the key's block each time.
const INLINE_EDITED_BYTES_MAX: usize = 256;

/// Dead fields of a hash that a lookup removes in passing.
const FIELDS_PER_LOOKUP: usize = 64;

/// What becomes of a key's expiry when its value is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// The key lives until it is removed.
    Clear,
    /// The expiry stays as it is; a new key has none.
    Keep,
    /// The key dies at this moment.
    At(UnixMillis),
}

/// A value that was taken from its key with all that belongs to it, on its way to another key,
/// database or shard.
#[derive(Clone, Debug, PartialEq)]
pub struct Detached {
    /// The value.
    pub value: Value,
    /// When its key dies.
    pub expire_at: Option<UnixMillis>,
    access: u32,
    origin: Origin,
}

impl Detached {
    /// Wraps a value that comes from outside, such as a file: as if it had just been stored.
    #[must_use]
    pub fn new(value: Value, expire_at: Option<UnixMillis>) -> Self {
        Self {
            value,
            expire_at,
            access: 0,
            origin: Origin::Stored,
        }
    }

    /// Sets the note of the last access.
    pub(crate) fn with_access(self, access: u32) -> Self {
        Self { access, ..self }
    }

    /// Sets how the bytes of a string came about.
    pub(crate) fn with_origin(self, origin: Origin) -> Self {
        Self { origin, ..self }
    }
}

/// What [`Db::read_plain`] has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plain<R> {
    /// A plain string; it was read.
    Read(R),
    /// No such key. That was counted.
    Missing,
    /// A key that [`Db::lookup`] has to look at. Nothing was counted.
    Other,
}

/// A handle on one numbered database of a shard. See the head of this file.
#[derive(Debug)]
pub struct Db<'s> {
    pub(crate) dict: &'s mut Dict,
    pub(crate) common: &'s mut Common,
    pub(crate) index: DbIndex,
}

impl Db<'_> {
    /// Returns the key for a read: counts a hit or a miss, tells the miss, and notes the access if
    /// `touch`.
    #[inline]
    pub fn lookup(&mut self, key: Key<'_>, touch: bool) -> Option<EntryRef<'_>> {
        let place = self.find_to_read(key, touch)?;
        Some(self.dict.entry(place))
    }

    /// As [`Db::lookup`], but returns where the key is.
    #[inline]
    pub(crate) fn find_to_read(&mut self, key: Key<'_>, touch: bool) -> Option<Place> {
        let Some(place) = self.live(key) else {
            self.note_miss(key);
            return None;
        };
        self.common.stats.hits += 1;
        if touch {
            self.note_access(place);
        }
        Some(place)
    }

    fn note_miss(&mut self, key: Key<'_>) {
        self.common.stats.misses += 1;
        self.event(EventClass::KEY_MISS, "keymiss", key);
    }

    /// Hands the bytes of a string to `read`, if it lies beside its key and does not expire, and counts and
    /// notes that as [`Db::lookup`] does: one search for the most common of all keys.
    #[inline]
    pub fn read_plain<R>(
        &mut self,
        key: Key<'_>,
        touch: bool,
        read: impl FnOnce(&[u8]) -> R,
    ) -> Plain<R> {
        let (note, lfu) = (self.common.note, self.common.access.lfu);
        let found = self.dict.with_found(key.hash, key.bytes, |entry, _| {
            if lfu {
                return None;
            }
            let result = read(entry.as_ref().plain_string()?);
            // Most accesses fall into the second of the one before: the line stays clean.
            if touch && entry.as_ref().access() != note {
                entry.set_access(note);
            }
            Some(result)
        });
        match found {
            Some(Some(result)) => {
                self.common.stats.hits += 1;
                Plain::Read(result)
            }
            Some(None) => Plain::Other,
            None => {
                self.note_miss(key);
                Plain::Missing
            }
        }
    }

    /// Returns the key for a look at how it is kept: counts a hit or a miss, and nothing else.
    pub fn inspect(&mut self, key: Key<'_>) -> Option<EntryRef<'_>> {
        let place = self.live(key);
        let stats = &mut self.common.stats;
        stats.hits += u64::from(place.is_some());
        stats.misses += u64::from(place.is_none());
        place.map(|place| self.dict.entry(place))
    }

    /// Returns the key without counting or noting anything.
    pub fn peek(&mut self, key: Key<'_>) -> Option<EntryRef<'_>> {
        let place = self.live(key)?;
        Some(self.dict.entry(place))
    }

    /// Returns a share of the bytes of a long string, which stays as they are whatever becomes of the key;
    /// counts and notes nothing. `None` unless the key holds a string that lies apart from it. O(1).
    pub fn share_string(&mut self, key: Key<'_>) -> Option<Arc<Vec<u8>>> {
        let place = self.live(key)?;
        self.dict
            .with_entry(place, |entry, _| entry.apart_mut()?.share())
    }

    /// Tells whether the key exists, without counting or noting anything.
    pub fn contains(&mut self, key: Key<'_>) -> bool {
        self.live(key).is_some()
    }

    /// Stores a string, whatever the key held before.
    pub fn set_string(&mut self, key: Key<'_>, value: &[u8], expiry: Expiry) {
        self.set_string_from(key, value, expiry, Origin::Stored);
    }

    /// As [`Db::set_string`], for commands whose result Redis does not try to encode as an integer:
    /// `origin` decides what OBJECT ENCODING says.
    pub fn set_string_from(&mut self, key: Key<'_>, value: &[u8], expiry: Expiry, origin: Origin) {
        self.set_string_cow(key, Cow::Borrowed(value), expiry, origin);
    }

    /// As [`Db::set_string_from`] with bytes that exist already: long ones are not copied.
    pub fn set_string_owned(
        &mut self,
        key: Key<'_>,
        value: Vec<u8>,
        expiry: Expiry,
        origin: Origin,
    ) {
        self.set_string_cow(key, Cow::Owned(value), expiry, origin);
    }

    #[inline]
    fn set_string_cow(
        &mut self,
        key: Key<'_>,
        value: Cow<'_, [u8]>,
        expiry: Expiry,
        origin: Origin,
    ) {
        if !matches!(expiry, Expiry::At(_)) && self.replace_plain(key, &value, origin) {
            return;
        }
        let place = self.live(key);
        self.changed(key);
        let old = place.map(|place| self.dict.entry(place));
        let expire_at = match expiry {
            Expiry::Clear => None,
            Expiry::Keep => old.and_then(EntryRef::expire_at),
            Expiry::At(at) => Some(at),
        };
        let access = match old {
            Some(old) if self.common.access.lfu => old.access(),
            Some(_) | None => self.first_access(),
        };
        let same_shape = old.is_some_and(|old| old.expire_at().is_some() == expire_at.is_some());
        if let Some(place) = place
            && same_shape
            && self.dict.with_entry(place, |entry, _| {
                let replaced = entry.replace_inline(&value, origin);
                if replaced {
                    entry.set_access(access);
                }
                replaced
            })
        {
            if let Some(at) = expire_at {
                self.dict.set_expire_at(place, at);
            }
            return;
        }
        let inline;
        let value = if value.len() <= INLINE_VALUE_BYTES_MAX {
            inline = value;
            NewValue::Inline(&inline)
        } else {
            NewValue::Apart(Box::new(Value::String(value.into_owned())))
        };
        self.put(
            key,
            place,
            NewEntry {
                key: key.bytes,
                value,
                expire_at,
                access,
                origin,
            },
        );
    }

    /// Replaces a string that lies beside its key and does not expire, in place if it fits there: one
    /// search. Returns whether it did.
    #[inline]
    fn replace_plain(&mut self, key: Key<'_>, value: &[u8], origin: Origin) -> bool {
        self.dict.before_change(key.hash, key.bytes);
        let (note, lfu) = (self.common.note, self.common.access.lfu);
        let replaced = self.dict.with_found(key.hash, key.bytes, |entry, _| {
            let replaced = entry.as_ref().is_plain() && entry.replace_inline(value, origin);
            if replaced && !lfu {
                entry.set_access(note);
            }
            replaced
        });
        if replaced == Some(true) {
            self.changed(key);
        }
        replaced == Some(true)
    }

    /// Adds `tail` to the end of a string, made if the key does not exist. Returns the new length.
    ///
    /// Cost: O(`tail`), amortised over growth. The caller has bounded the new length.
    ///
    /// # Errors
    ///
    /// [`WrongType`] if the key holds no string; nothing is changed.
    pub fn append(&mut self, key: Key<'_>, tail: &[u8]) -> Result<usize, WrongType> {
        let Some(place) = self.live(key) else {
            self.set_string(key, tail, Expiry::Clear);
            return Ok(tail.len());
        };
        let len = self.dict.entry(place).string()?.len();
        self.write_at(key, place, len, tail)
    }

    /// Writes `bytes` at `offset` of a string, made of zeros as far as it does not reach. Returns
    /// the new length. Empty `bytes` change nothing.
    ///
    /// Cost: O(`bytes`), amortised over growth. The caller has bounded the new length.
    ///
    /// # Errors
    ///
    /// [`WrongType`] if the key holds no string; nothing is changed.
    pub fn overwrite(
        &mut self,
        key: Key<'_>,
        offset: usize,
        bytes: &[u8],
    ) -> Result<usize, WrongType> {
        let Some(place) = self.live(key) else {
            if bytes.is_empty() {
                return Ok(0);
            }
            let mut value = Vec::new();
            let len = string::overwrite(&mut value, offset, bytes);
            self.set_string_from(key, &value, Expiry::Clear, Origin::Edited);
            return Ok(len);
        };
        let len = self.dict.entry(place).string()?.len();
        if bytes.is_empty() {
            return Ok(len);
        }
        self.write_at(key, place, offset, bytes)
    }

    /// Writes `bytes` at `offset` of the string at `place`.
    fn write_at(
        &mut self,
        key: Key<'_>,
        place: Place,
        offset: usize,
        bytes: &[u8],
    ) -> Result<usize, WrongType> {
        self.changed(key);
        let access = self.first_access();
        let lfu = self.common.access.lfu;
        let end = offset + bytes.len();
        let in_place = self.dict.with_entry(place, |entry, heap| {
            if !lfu {
                entry.set_access(access);
            }
            if let Some(value) = entry.apart_mut() {
                let before = apart_bytes(value);
                let len = string::overwrite(value.string_mut()?, offset, bytes);
                heap.resized(before, apart_bytes(value));
                entry.set_origin(Origin::Edited);
                return Some(len);
            }
            let value = entry.inline_bytes_mut(Origin::Edited)?;
            value.get_mut(offset..end)?.copy_from_slice(bytes);
            Some(value.len())
        });
        if let Some(len) = in_place {
            return Ok(len);
        }
        // The string lies beside its key and must grow.
        let old = self.dict.entry(place).string()?;
        let mut value = Vec::with_capacity(end.max(old.len()));
        value.extend_from_slice(old);
        let len = string::overwrite(&mut value, offset, bytes);
        self.put_edited(key, place, value);
        Ok(len)
    }

    /// Puts a string that was edited into the place of its old bytes; all else of the key stays.
    pub(crate) fn put_edited(&mut self, key: Key<'_>, place: Place, value: Vec<u8>) {
        let entry = self.dict.entry(place);
        let (expire_at, access) = (entry.expire_at(), entry.access());
        let origin = Origin::Edited;
        let inline;
        let value = if value.len() <= INLINE_EDITED_BYTES_MAX {
            inline = value;
            NewValue::Inline(&inline)
        } else {
            NewValue::Apart(Box::new(Value::String(value)))
        };
        self.put(
            key,
            Some(place),
            NewEntry {
                key: key.bytes,
                value,
                expire_at,
                access,
                origin,
            },
        );
    }

    /// Removes the key. Returns whether it existed.
    pub fn remove(&mut self, key: Key<'_>) -> bool {
        let Some(place) = self.live(key) else {
            return false;
        };
        self.changed(key);
        self.remove_at(place);
        true
    }

    /// Removes the key and returns its value with all that belongs to it.
    pub fn detach(&mut self, key: Key<'_>) -> Option<Detached> {
        let place = self.live(key)?;
        self.changed(key);
        let entry = self.dict.entry(place);
        let (expire_at, access, origin) = (entry.expire_at(), entry.access(), entry.origin());
        let beside = (!entry.is_apart()).then(|| entry.value().into_owned());
        let apart = self.dict.remove(place);
        let value = beside.or_else(|| apart.map(|value| *value))?;
        Some(Detached {
            value,
            expire_at,
            access,
            origin,
        })
    }

    /// Puts a value at the key, whatever the key held before. What was there counts as removed, so
    /// the key is told as a new one either way.
    pub fn attach(&mut self, key: Key<'_>, detached: Detached) {
        self.changed(key);
        if self.live(key).is_some() {
            self.event(EventClass::NEW, "new", key);
        }
        self.put_detached(key, detached);
    }

    /// As [`Db::attach`], without counting a change.
    pub(crate) fn put_detached(&mut self, key: Key<'_>, detached: Detached) {
        let place = self.live(key);
        let Detached {
            value,
            expire_at,
            access,
            origin,
        } = detached;
        let value = match NewValue::beside(&value, key.bytes.len(), expire_at.is_some()) {
            Some(beside) => beside,
            None => NewValue::Apart(Box::new(value)),
        };
        self.put(
            key,
            place,
            NewEntry {
                key: key.bytes,
                value,
                expire_at,
                access,
                origin,
            },
        );
    }

    /// Removes the key without counting a change. Returns whether it existed.
    pub(crate) fn discard(&mut self, key: Key<'_>) -> bool {
        let place = self.live(key);
        if let Some(place) = place {
            self.remove_at(place);
        }
        place.is_some()
    }

    /// Returns a copy of the value with all that belongs to it.
    pub fn copy_of(&mut self, key: Key<'_>) -> Option<Detached> {
        let entry = self.peek(key)?;
        let value = entry.value().into_owned();
        let (expire_at, access, origin) = (entry.expire_at(), entry.access(), entry.origin());
        Some(Detached {
            value,
            expire_at,
            access,
            origin,
        })
    }

    /// Sets or clears the expiry. Returns whether the key exists and, to clear it, had one.
    pub fn set_expiry(&mut self, key: Key<'_>, expire_at: Option<UnixMillis>) -> bool {
        let Some(place) = self.live(key) else {
            return false;
        };
        let had = self.dict.entry(place).expire_at().is_some();
        match expire_at {
            None if !had => return false,
            Some(at) if had => self.dict.set_expire_at(place, at),
            Some(_) | None => self.dict.remake(place, expire_at),
        }
        self.changed(key);
        true
    }

    /// Returns the number of keys, dead ones that were not met yet included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.dict.len()
    }

    /// Tells whether there is no key at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of keys that carry an expiry.
    #[must_use]
    pub fn expires_len(&self) -> usize {
        self.dict.expires_len()
    }

    /// Returns the mean time the volatile keys have left, in milliseconds; 0 without such keys.
    #[must_use]
    pub fn average_ttl_ms(&self) -> i64 {
        self.dict
            .mean_expire_at()
            .map_or(0, |at| at.saturating_sub(self.common.now.0).max(0))
    }

    /// Returns a live key, each about equally likely; `None` if there is none.
    pub fn random_key(&mut self, random: &mut Random) -> Option<&[u8]> {
        let place = loop {
            let place = self.dict.random(random, false)?;
            let entry = self.dict.entry(place);
            if entry.is_emptied(self.common.now) {
                self.expire_fields(place, FIELDS_PER_LOOKUP);
            } else if entry.is_dead(self.common.now) {
                self.expire(place);
            } else {
                break place;
            }
        };
        Some(self.dict.entry(place).key())
    }

    /// Shows about `count` keys from `cursor` on, and returns the cursor to go on with, 0 after the
    /// last. Dead keys are left out.
    ///
    /// `cursor` is 0 or what the call before returned: 53 bits at most; any other value is harmless.
    /// Every key that is there from the first call to the last is shown at least once.
    pub fn scan(&mut self, cursor: u64, count: usize, each: &mut dyn FnMut(EntryRef<'_>)) -> u64 {
        self.scan_removing(cursor, count, &|_| false, each)
    }

    /// As [`Db::scan`], and removes those dead keys it meets that `may_go` names.
    pub fn scan_removing(
        &mut self,
        cursor: u64,
        count: usize,
        may_go: &dyn Fn(&[u8]) -> bool,
        each: &mut dyn FnMut(EntryRef<'_>),
    ) -> u64 {
        let now = self.common.now;
        let mut dead: Vec<Box<[u8]>> = Vec::new();
        let next = self.dict.scan(cursor, count, &mut |entry| {
            if !entry.is_dead(now) && !entry.is_emptied(now) {
                each(entry);
            } else if may_go(entry.key()) {
                dead.push(entry.key().into());
            }
        });
        for key in dead {
            let hash = self.common.hasher.hash(&key);
            self.live(Key { bytes: &key, hash });
        }
        next
    }

    /// Shows every live key once. O(keys): for small databases and tests.
    pub fn for_each(&mut self, each: &mut dyn FnMut(EntryRef<'_>)) {
        let mut cursor = 0;
        loop {
            cursor = self.scan(cursor, usize::MAX, each);
            if cursor == 0 {
                return;
            }
        }
    }

    /// Removes all keys and returns how many there were.
    pub fn clear(&mut self) -> usize {
        let (dict, hasher) = (&*self.dict, &self.common.hasher);
        self.common
            .watches
            .touch_where(self.index, |key| dict.find(hasher.hash(key), key).is_some());
        self.common.waiters.note_all(self.index);
        self.common.watches.note_clear();
        let mut old = self.dict.take_all();
        let len = old.len();
        match &mut self.common.snapshot {
            Some(snapshot) if snapshot.goes_over(&old) => snapshot.emptied.push(old),
            Some(_) | None => {
                // A walk over names.
                old.finish_snapshot();
                self.common.lazy_free.dict(old);
            }
        }
        self.common.stats.dirty += base::cast::u64_from(len);
        if let Some(records) = &mut self.common.records {
            records.clear(self.index);
        }
        len
    }

    /// Returns the bytes this database holds.
    #[must_use]
    pub fn memory(&self) -> Ledger {
        self.dict.ledger()
    }

    /// Returns the fingerprint of all live keys, to be joined with those of the other shards and
    /// passed to [`digest::mix_database`].
    pub fn digest(&mut self) -> Digest {
        let mut digest = Digest::default();
        self.for_each(&mut |entry| digest::join(&mut digest, &digest::key_and_value(entry)));
        digest
    }

    /// Finds the key; a dead one is removed first.
    #[inline]
    pub(crate) fn live(&mut self, key: Key<'_>) -> Option<Place> {
        let place = self.dict.find(key.hash, key.bytes)?;
        if self.dict.entry(place).is_plain() {
            return Some(place);
        }
        self.live_at(place)
    }

    /// Removes what is dead at a place, and returns it if something is left.
    fn live_at(&mut self, place: Place) -> Option<Place> {
        let entry = self.dict.entry(place);
        let now = self.common.now;
        if entry.is_dead(now) {
            self.expire(place);
            return None;
        }
        if entry.next_expiry().is_some_and(|at| at < now) {
            if self.dict.is_owed_at(place) && !entry.is_emptied(now) {
                // A save has yet to write it. What is dead is not seen either way.
                return Some(place);
            }
            return self
                .expire_fields(place, FIELDS_PER_LOOKUP)
                .then_some(place);
        }
        Some(place)
    }

    fn expire(&mut self, place: Place) {
        self.common.stats.expired_keys += 1;
        self.common.touch(self.index, self.dict.entry(place).key());
        if self.common.wanted_events.meets(EventClass::EXPIRED) {
            let key = self.dict.entry(place).key();
            self.common.events.push(KeyEvent::expired(self.index, key));
        }
        self.remove_at(place);
    }

    /// Removes an entry and frees its value, a large one in steps.
    pub(crate) fn remove_at(&mut self, place: Place) {
        let value = self.dict.discard(place);
        self.common.lazy_free.value(value);
    }

    #[inline]
    pub(crate) fn note_access(&mut self, place: Place) {
        let old = self.dict.entry(place).access();
        let new = self.common.note_after(old);
        // Most accesses fall into the second of the one before: the line stays clean.
        if new != old {
            self.dict.set_access(place, new);
        }
    }

    pub(crate) fn first_access(&self) -> u32 {
        self.common.note
    }

    fn changed(&mut self, key: Key<'_>) {
        self.common.stats.dirty += 1;
        self.common.touch(self.index, key.bytes);
        self.common.record(self.index, key);
    }

    fn put(&mut self, key: Key<'_>, place: Option<Place>, new: NewEntry<'_>) {
        match place {
            Some(place) => {
                let old = self.dict.replace(place, new);
                self.common.lazy_free.value(old);
            }
            None => {
                self.event(EventClass::NEW, "new", key);
                self.dict.insert(key.hash, new);
            }
        }
    }
}
