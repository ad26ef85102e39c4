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
use crate::effects::{Change, EventClass, KeyEvent};
use crate::entry::{Entry, EntryRef, Heap, NewEntry, NewValue, ValueRef, WrongType, apart_bytes};
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

/// What was done to a value.
struct Applied<R> {
    result: R,
    change: Change,
    /// Nothing is left of it.
    is_void: bool,
    /// When the first of its fields dies, before and after.
    expiries: (Option<UnixMillis>, Option<UnixMillis>),
}

/// Notes an access and changes a value in its entry.
fn apply<T: Typed, R>(
    entry: &mut Entry,
    heap: &mut Heap,
    note: impl FnOnce(u32) -> u32,
    change: impl FnOnce(&mut T) -> (R, Change),
) -> Result<Applied<R>, WrongType> {
    let old_note = entry.as_ref().access();
    let value = entry.apart_mut().ok_or(WrongType)?;
    let before = apart_bytes(value);
    let expiry_before = value.next_expiry();
    let typed = T::of_mut(value).ok_or(WrongType)?;
    let (result, change) = change(typed);
    let is_void = change.count > 0 && typed.is_void();
    heap.resized(before, apart_bytes(value));
    let expiries = (expiry_before, value.next_expiry());
    let new_note = note(old_note);
    if new_note != old_note {
        entry.set_access(new_note);
    }
    Ok(Applied {
        result,
        change,
        is_void,
        expiries,
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
        let mut value = T::default();
        let (result, change) = change(&mut value);
        if change.count > 0 && !value.is_void() {
            self.create(key, value.into_value());
            self.note_change(key, change);
        }
        Ok(result)
    }

    /// Changes the value of a key and returns what `change` does, or `change` itself if there is no such
    /// key. One search, but where something of the key is dead.
    fn edit_found<T: Typed, R, F: FnOnce(&mut T) -> (R, Change)>(
        &mut self,
        key: Key<'_>,
        change: F,
    ) -> Result<Result<R, F>, WrongType> {
        let common = &mut *self.common;
        let mut change = Some(change);
        let found = self.dict.with_found(key.hash, key.bytes, |entry, heap| {
            if entry.as_ref().is_due(common.now) {
                return Ok(None);
            }
            let note = |old| common.note_after(old);
            change
                .take()
                .map(|change| apply(entry, heap, note, change))
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
        let applied = self.dict.with_entry(place, |entry, heap| {
            apply(entry, heap, |old| common.note_after(old), change)
        })?;
        Ok(Ok(self.conclude(key, applied)))
    }

    /// Sees to what follows from a change of a value.
    fn conclude<R>(&mut self, key: Key<'_>, applied: Applied<R>) -> R {
        let (before, after) = applied.expiries;
        self.dict.reschedule(key.bytes, before, after);
        if applied.change.count > 0 {
            self.note_change(key, applied.change);
        }
        if applied.is_void {
            if let Some(place) = self.dict.find(key.hash, key.bytes) {
                self.remove_at(place);
            }
            self.event(EventClass::GENERIC, "del", key);
        }
        applied.result
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
