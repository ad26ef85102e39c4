//! Reading and changing values of other types than strings.
//!
//! A handler says what it does to a value of its type; finding the key, checking the type, making the
//! key, removing it when nothing is left, and all that depends on a change (memory, watches, events,
//! statistics) happen here.
//!
//! A small value lies packed beside its key. To be read or changed it is copied into the one value of
//! [`Unpacked`], whose memory is used again and again, and copied back if it was changed. It moves
//! apart from its key when it no longer fits, and back when it has become much smaller.
//!
//! Not here: what values are (`types`).

use std::borrow::Cow;

use base::clock::UnixMillis;
use types::packed::Packed;
use types::string::Origin;
use types::{Typed, Value};

use crate::access;
use crate::dict::{Dict, Place};
use crate::effects::{Change, EventClass, KeyEvent};
use crate::entry::{
    Entry, EntryRef, Heap, INLINE_VALUE_BYTES_MAX, NewEntry, NewValue, ValueRef, WrongType,
    apart_bytes, packed_block_bytes,
};
use crate::keyspace::{Db, Detached, Expiry};
use crate::{Common, Key};

impl<'a> EntryRef<'a> {
    /// Returns the value as a `T`.
    ///
    /// # Errors
    ///
    /// [`WrongType`] if it is of another type.
    pub fn typed<T: Typed + Clone>(self) -> Result<Cow<'a, T>, WrongType> {
        self.check::<T>()?;
        match self.value() {
            ValueRef::Other(Cow::Borrowed(value)) => T::of(value).map(Cow::Borrowed),
            ValueRef::Other(Cow::Owned(value)) => T::from_value(value).map(Cow::Owned),
            ValueRef::String(_) => None,
        }
        .ok_or(WrongType)
    }

    /// Checks that the value is a `T`. O(1).
    ///
    /// # Errors
    ///
    /// [`WrongType`] if it is of another type.
    pub fn check<T: Typed>(self) -> Result<(), WrongType> {
        if self.kind() == T::KIND {
            Ok(())
        } else {
            Err(WrongType)
        }
    }
}

/// A value returns beside its key when its block has at most this many bytes: half of what it may grow
/// to there, so that it does not go to and fro.
const RETURN_BYTES_MAX: usize = 256;

/// A larger memory is not kept for the next value.
const KEPT_BYTES_MAX: usize = 4096;

/// The value that was unpacked last, so that its memory can be used for the next one.
#[derive(Debug)]
pub(crate) struct Unpacked(Value);

impl Default for Unpacked {
    fn default() -> Self {
        Self(Value::String(Vec::new()))
    }
}

impl Unpacked {
    /// Unpacks a value. O(bytes).
    fn load(&mut self, packed: Packed<'_>) -> &mut Value {
        self.0 = packed.unpack(self.take_memory());
        &mut self.0
    }

    /// Takes the memory out, with any contents.
    fn take_memory(&mut self) -> Vec<u8> {
        self.take().into_memory()
    }

    fn take(&mut self) -> Value {
        std::mem::replace(&mut self.0, Value::String(Vec::new()))
    }

    /// Keeps the memory of a value nobody needs any more, if it is not too large.
    fn keep_memory(&mut self, value: Value) {
        let memory = value.into_memory();
        if memory.capacity() <= KEPT_BYTES_MAX {
            self.0 = Value::String(memory);
        }
    }
}

/// When, or how often, a value that comes from outside was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recency {
    /// As a new one: it is used now.
    Now,
    /// So many seconds ago; counts for any policy but the LFU ones, for which it is new.
    Idle(u64),
    /// This counter; counts for the LFU policies only.
    Frequency(u8),
}

/// What was done to a value.
struct Applied<R> {
    result: R,
    change: Change,
    rest: Rest,
    /// When the first of its fields dies, before and after.
    expiries: (Option<UnixMillis>, Option<UnixMillis>),
}

/// What is left to do for the entry of a changed value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    Nothing,
    /// It lies apart, and nothing is left of it.
    Void,
    /// It was unpacked, and does not fit where it was.
    Unpacked,
    /// It lies apart, and has become small.
    MayReturn,
}

/// Notes an access and changes a value in its entry, as far as it fits there.
fn apply<T: Typed, R>(
    entry: &mut Entry,
    heap: &mut Heap,
    common: &mut Common,
    change: impl FnOnce(&mut T) -> (R, Change),
) -> Result<Applied<R>, WrongType> {
    entry.as_ref().check::<T>()?;
    let old_note = entry.as_ref().access();
    let new_note = common.note_after(old_note);
    if new_note != old_note {
        entry.set_access(new_note);
    }
    let key_len = entry.as_ref().key().len();
    let expires = entry.as_ref().expire_at().is_some();
    if let Some(packed) = entry.as_ref().packed() {
        let value = common.unpacked.load(packed);
        let (result, change) = change(T::of_mut(value).ok_or(WrongType)?);
        let value = &common.unpacked.0;
        let rest = if change.count == 0 {
            debug_assert_eq!(value.packed(), entry.as_ref().packed());
            Rest::Nothing
        } else {
            match NewValue::beside(value, key_len, expires) {
                Some(NewValue::Packed(packed))
                    if !value.is_void() && entry.replace_packed(packed) =>
                {
                    Rest::Nothing
                }
                _ => Rest::Unpacked,
            }
        };
        return Ok(Applied {
            result,
            change,
            rest,
            expiries: (None, None),
        });
    }
    let value = entry.apart_mut().ok_or(WrongType)?;
    let before = apart_bytes(value);
    let expiry_before = value.next_expiry();
    let typed = T::of_mut(value).ok_or(WrongType)?;
    let (result, change) = change(typed);
    let is_void = change.count > 0 && typed.is_void();
    heap.resized(before, apart_bytes(value));
    let is_small = |packed| packed_block_bytes(packed, key_len, expires) <= RETURN_BYTES_MAX;
    let rest = if is_void {
        Rest::Void
    } else if value.packed().is_some_and(is_small) {
        Rest::MayReturn
    } else {
        Rest::Nothing
    };
    Ok(Applied {
        result,
        change,
        rest,
        expiries: (expiry_before, value.next_expiry()),
    })
}

impl Db<'_> {
    /// Returns the value of a key for a read: counts a hit or a miss, and notes the access if
    /// `touch`. `None` if there is no such key.
    ///
    /// # Errors
    ///
    /// [`WrongType`] if the key holds something else.
    #[inline]
    pub fn read<T: Typed>(&mut self, key: Key<'_>, touch: bool) -> Result<Option<&T>, WrongType> {
        let Some(place) = self.find_to_read(key, touch) else {
            return Ok(None);
        };
        let entry = self.dict.entry(place);
        entry.check::<T>()?;
        let value = match entry.packed() {
            Some(packed) => self.common.unpacked.load(packed),
            None => entry.apart().ok_or(WrongType)?,
        };
        T::of(value).map(Some).ok_or(WrongType)
    }

    /// Changes the value of a key, if there is one, and removes the key when nothing is left.
    ///
    /// `change` returns a result and what it did; with [`Change::NONE`] it must have changed nothing.
    ///
    /// # Errors
    ///
    /// [`WrongType`] if the key holds something else; `change` was not called.
    pub fn edit<T: Typed, R>(
        &mut self,
        key: Key<'_>,
        change: impl FnOnce(&mut T) -> (R, Change),
    ) -> Result<Option<R>, WrongType> {
        Ok(self.edit_found(key, change)?.ok())
    }

    /// As [`Db::edit`], but a key that does not exist is made with the default value first. If
    /// `change` leaves nothing in a new value, or reports no change, no key is made.
    ///
    /// # Errors
    ///
    /// [`WrongType`] if the key holds something else; `change` was not called.
    pub fn edit_or_create<T: Typed + Default, R>(
        &mut self,
        key: Key<'_>,
        change: impl FnOnce(&mut T) -> (R, Change),
    ) -> Result<R, WrongType> {
        let change = match self.edit_found(key, change)? {
            Ok(result) => return Ok(result),
            Err(change) => change,
        };
        let mut value = T::empty_in(self.common.unpacked.take_memory());
        let (result, change) = change(&mut value);
        let is_void = value.is_void();
        let value = value.into_value();
        if change.count > 0 && !is_void {
            self.create(key, value);
            self.note_change(key, change);
        } else {
            self.common.unpacked.keep_memory(value);
        }
        Ok(result)
    }

    /// Changes the value of a key and returns what `change` does, or `change` itself if there is no such
    /// key. One search, but where something of the key is dead or its value changes its place.
    fn edit_found<T: Typed, R, F: FnOnce(&mut T) -> (R, Change)>(
        &mut self,
        key: Key<'_>,
        change: F,
    ) -> Result<Result<R, F>, WrongType> {
        self.dict.before_change(key.hash, key.bytes);
        let common = &mut *self.common;
        let mut change = Some(change);
        let found = self.dict.with_found(key.hash, key.bytes, |entry, heap| {
            if entry.as_ref().is_due(common.now) {
                return Ok(None);
            }
            change
                .take()
                .map(|change| apply(entry, heap, common, change))
                .transpose()
        });
        let is_there = match found.transpose()? {
            Some(Some(applied)) => return Ok(Ok(self.conclude(key, applied))),
            Some(None) => true,
            None => false,
        };
        let Some(change) = change else {
            unreachable!("only a change that was applied is gone");
        };
        // What is dead goes first.
        let place = if is_there { self.live(key) } else { None };
        let Some(place) = place else {
            return Ok(Err(change));
        };
        let common = &mut *self.common;
        let applied = self
            .dict
            .with_entry(place, |entry, heap| apply(entry, heap, common, change))?;
        Ok(Ok(self.conclude(key, applied)))
    }

    /// Sees to what follows from a change of a value.
    fn conclude<R>(&mut self, key: Key<'_>, applied: Applied<R>) -> R {
        let Applied {
            result,
            change,
            rest,
            expiries: (before, after),
        } = applied;
        self.dict.reschedule(key.bytes, before, after);
        let place = match rest {
            Rest::Nothing => None,
            Rest::Void | Rest::Unpacked | Rest::MayReturn => self.dict.find(key.hash, key.bytes),
        };
        let Some(place) = place else {
            if change.count > 0 {
                self.note_change(key, change);
            }
            return result;
        };
        match rest {
            Rest::Unpacked => self.finish_packed(key, place, change),
            Rest::Void => {
                self.note_change(key, change);
                self.remove_at(place);
                self.event(EventClass::GENERIC, "del", key);
            }
            Rest::Nothing | Rest::MayReturn => {
                if change.count > 0 {
                    self.note_change(key, change);
                }
                self.return_beside(key, place);
            }
        }
        result
    }

    /// Puts the unpacked value back, which was changed and does not fit where it was.
    fn finish_packed(&mut self, key: Key<'_>, place: Place, change: Change) {
        let value = &self.common.unpacked.0;
        if value.is_void() {
            self.note_change(key, change);
            self.remove_at(place);
            self.event(EventClass::GENERIC, "del", key);
            return;
        }
        let expires = self.dict.entry(place).expire_at().is_some();
        if let Some(beside) = NewValue::beside(value, key.bytes.len(), expires) {
            put_beside(self.dict, key, place, beside);
        } else {
            let mut value = self.common.unpacked.take();
            value.shrink();
            put_value(self.dict, key, place, NewValue::Apart(Box::new(value)));
        }
        self.note_change(key, change);
    }

    /// Moves a value that lies apart beside its key, if it has become small enough.
    fn return_beside(&mut self, key: Key<'_>, place: Place) {
        let entry = self.dict.entry(place);
        let expires = entry.expire_at().is_some();
        let packed = entry.apart().and_then(Value::packed);
        let is_small = packed.is_some_and(|packed| {
            packed_block_bytes(packed, key.bytes.len(), expires) <= RETURN_BYTES_MAX
        });
        if !is_small {
            return;
        }
        let value = self.dict.with_entry(place, |entry, heap| {
            let value = entry.apart_mut()?;
            let before = apart_bytes(value);
            let taken = std::mem::replace(value, Value::String(Vec::new()));
            heap.resized(before, apart_bytes(value));
            Some(taken)
        });
        if let Some(value) = value
            && let Some(beside) = NewValue::beside(&value, key.bytes.len(), expires)
        {
            put_value(self.dict, key, place, beside);
        }
    }

    /// Stores a value, whatever the key held before; one of which nothing is left removes the key.
    /// Counts as one change; tells no event.
    pub fn store(&mut self, key: Key<'_>, value: Value, expiry: Expiry) {
        if value.is_void() {
            self.remove(key);
            return;
        }
        let expire_at = match expiry {
            Expiry::Clear => None,
            Expiry::Keep => self.peek(key).and_then(EntryRef::expire_at),
            Expiry::At(at) => Some(at),
        };
        let access = self.first_access();
        self.note_change(key, Change::UNTOLD);
        self.put_detached(key, Detached::new(value, expire_at).with_access(access));
    }

    /// Stores a value with its expiry and its use, whatever the key held before. Counts as one change;
    /// tells no event but that of a new key.
    pub fn restore(
        &mut self,
        key: Key<'_>,
        value: Value,
        expire_at: Option<UnixMillis>,
        recency: Recency,
    ) {
        let access = self.note_of(recency);
        self.attach(key, Detached::new(value, expire_at).with_access(access));
    }

    /// Adds a key out of a file. Counts as no change and tells no event. Returns whether it has done so: a
    /// key that is there already stays as it is.
    #[must_use]
    pub fn load(
        &mut self,
        key: Key<'_>,
        value: Value,
        expire_at: Option<UnixMillis>,
        recency: Recency,
    ) -> bool {
        match NewValue::beside(&value, key.bytes.len(), expire_at.is_some()) {
            Some(beside) => self.load_new(key, beside, expire_at, recency),
            None => {
                let apart = NewValue::Apart(Box::new(value));
                self.load_new(key, apart, expire_at, recency)
            }
        }
    }

    /// As [`Db::load`], with a string, which is copied only once if it is short.
    #[must_use]
    pub fn load_string(
        &mut self,
        key: Key<'_>,
        value: Cow<'_, [u8]>,
        expire_at: Option<UnixMillis>,
        recency: Recency,
    ) -> bool {
        if value.len() <= INLINE_VALUE_BYTES_MAX {
            return self.load_new(key, NewValue::Inline(&value), expire_at, recency);
        }
        let value = Value::String(value.into_owned());
        self.load_new(key, NewValue::Apart(Box::new(value)), expire_at, recency)
    }

    /// Makes room in the table for so many keys, if it has none yet. O(keys / 300).
    pub fn expect(&mut self, keys: usize) {
        self.dict.expect(keys);
    }

    fn load_new(
        &mut self,
        key: Key<'_>,
        value: NewValue<'_>,
        expire_at: Option<UnixMillis>,
        recency: Recency,
    ) -> bool {
        if self.dict.find(key.hash, key.bytes).is_some() {
            return false;
        }
        let access = self.note_of(recency);
        let new = NewEntry {
            key: key.bytes,
            value,
            expire_at,
            access,
            origin: Origin::Stored,
        };
        self.dict.insert(key.hash, new);
        true
    }

    fn note_of(&self, recency: Recency) -> u32 {
        let (policy, now) = (self.common.access, self.common.now);
        match recency {
            Recency::Idle(seconds) if !policy.lfu => access::used_before(now, seconds),
            Recency::Frequency(counter) if policy.lfu => access::used_often(now, counter),
            Recency::Now | Recency::Idle(_) | Recency::Frequency(_) => self.first_access(),
        }
    }

    /// Keeps an event for [`crate::Shard::take_events`], if somebody wants its class. Costs one test
    /// otherwise.
    #[inline]
    pub fn event(&mut self, class: EventClass, name: &'static str, key: Key<'_>) {
        if self.common.wanted_events.meets(class) {
            self.keep_event(class, name, key);
        }
    }

    #[cold]
    fn keep_event(&mut self, class: EventClass, name: &'static str, key: Key<'_>) {
        self.common.events.push(KeyEvent {
            class,
            name,
            db: self.index,
            key: key.bytes.into(),
        });
    }

    /// Counts a change that came from outside the handles of this crate's own methods.
    pub(crate) fn note_change(&mut self, key: Key<'_>, change: Change) {
        self.common.stats.dirty += change.count;
        self.common.record(self.index, key);
        if change.is_watched() {
            self.common.watches.touch(self.index, key.bytes);
        }
        self.common.waiters.note(self.index, key.bytes);
        if let Some((class, name)) = change.event {
            self.event(class.without_marks(), name, key);
        }
    }

    fn create(&mut self, key: Key<'_>, value: Value) {
        let access = self.first_access();
        self.event(EventClass::NEW, "new", key);
        if let Some(beside) = NewValue::beside(&value, key.bytes.len(), false) {
            let new = new_entry(key, beside, access);
            self.dict.insert(key.hash, new);
            self.common.unpacked.keep_memory(value);
        } else {
            let mut value = Box::new(value);
            value.shrink();
            let new = new_entry(key, NewValue::Apart(value), access);
            self.dict.insert(key.hash, new);
        }
    }
}

/// Returns a new entry of a value that is no string and does not expire.
fn new_entry<'a>(key: Key<'a>, value: NewValue<'a>, access: u32) -> NewEntry<'a> {
    NewEntry {
        key: key.bytes,
        value,
        expire_at: None,
        access,
        origin: Origin::Stored,
    }
}

/// Replaces a value that lies beside its key by one that may lie there too, in place if its block has
/// the right size.
fn put_beside(dict: &mut Dict, key: Key<'_>, place: Place, value: NewValue<'_>) {
    let in_place = match value {
        NewValue::Packed(packed) => dict.with_entry(place, |entry, _| entry.replace_packed(packed)),
        NewValue::Inline(_) | NewValue::Apart(_) => false,
    };
    if !in_place {
        put_value(dict, key, place, value);
    }
}

/// Replaces the value of an entry by one of another type than a string; all else of it stays.
fn put_value(dict: &mut Dict, key: Key<'_>, place: Place, value: NewValue<'_>) {
    let entry = dict.entry(place);
    let new = NewEntry {
        expire_at: entry.expire_at(),
        ..new_entry(key, value, entry.access())
    };
    // What lay apart was moved away before.
    drop(dict.replace(place, new));
}

#[cfg(test)]
mod tests;
