//! Reading and changing values of other types than strings.
//!
//! A handler says what it does to a value of its type; finding the key, checking the type, making the
//! key, removing it when nothing is left, and all that depends on a change (memory, watches, events,
//! statistics) happen here.
//!
//! Not here: what values are (`types`).

use base::clock::UnixMillis;
use types::{Kind, Typed, Value};

use crate::Key;
use crate::access;
use crate::dict::Place;
use crate::effects::{Change, EventClass, KeyEvent};
use crate::entry::{EntryRef, NewEntry, NewValue, ValueRef, WrongType, apart_bytes};
use crate::keyspace::{Db, Detached, Expiry};

impl<'a> EntryRef<'a> {
    /// Returns the value as a `T`.
    ///
    /// # Errors
    ///
    /// [`WrongType`] if it is of another type.
    pub fn typed<T: Typed>(self) -> Result<&'a T, WrongType> {
        match self.value() {
            ValueRef::Other(value) => T::of(value).ok_or(WrongType),
            ValueRef::String(_) => Err(WrongType),
        }
    }

    /// Returns the type of the value.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self.value() {
            ValueRef::String(_) => Kind::String,
            ValueRef::Other(value) => value.kind(),
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

impl Db<'_> {
    /// Returns the value of a key for a read: counts a hit or a miss, and notes the access if
    /// `touch`. `None` if there is no such key.
    ///
    /// # Errors
    ///
    /// [`WrongType`] if the key holds something else.
    #[inline]
    pub fn read<T: Typed>(&mut self, key: Key<'_>, touch: bool) -> Result<Option<&T>, WrongType> {
        self.lookup(key, touch).map(EntryRef::typed).transpose()
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
        match self.live(key) {
            Some(place) => self.edit_at(key, place, change).map(Some),
            None => Ok(None),
        }
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
        if let Some(place) = self.live(key) {
            return self.edit_at(key, place, change);
        }
        let mut value = T::default();
        let (result, change) = change(&mut value);
        if change.count > 0 && !value.is_void() {
            self.create(key, value.into_value());
            self.note_change(key, change);
        }
        Ok(result)
    }

    fn edit_at<T: Typed, R>(
        &mut self,
        key: Key<'_>,
        place: Place,
        change: impl FnOnce(&mut T) -> (R, Change),
    ) -> Result<R, WrongType> {
        self.dict.entry(place).typed::<T>()?;
        self.note_access(place);
        let (result, change, is_void, expiries) = self.dict.with_entry(place, |entry, heap| {
            let value = entry.apart_mut().ok_or(WrongType)?;
            let before = apart_bytes(value);
            let expiry_before = value.next_expiry();
            let typed = T::of_mut(value).ok_or(WrongType)?;
            let (result, change) = change(typed);
            let is_void = change.count > 0 && typed.is_void();
            heap.resized(before, apart_bytes(value));
            let expiries = (expiry_before, value.next_expiry());
            Ok((result, change, is_void, expiries))
        })?;
        self.dict.reschedule(key.bytes, expiries.0, expiries.1);
        if change.count > 0 {
            self.note_change(key, change);
        }
        if is_void {
            self.remove_at(place);
            self.event(EventClass::GENERIC, "del", key);
        }
        Ok(result)
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
        let (policy, now) = (self.common.access, self.common.now);
        let access = match recency {
            Recency::Idle(seconds) if !policy.lfu => access::used_before(now, seconds),
            Recency::Frequency(counter) if policy.lfu => access::used_often(now, counter),
            Recency::Now | Recency::Idle(_) | Recency::Frequency(_) => self.first_access(),
        };
        self.attach(key, Detached::new(value, expire_at).with_access(access));
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
        self.dict.insert(
            key.hash,
            NewEntry {
                key: key.bytes,
                value: NewValue::Apart(Box::new(value)),
                expire_at: None,
                access,
                origin: types::string::Origin::Stored,
            },
        );
    }
}
