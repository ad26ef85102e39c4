//! Values on loan: how a command works on several keys at once, wherever they live.
//!
//! A handler cannot borrow two values of one shard at the same time, and a value of another shard not
//! at all. So it takes them out: [`Db::lend`] moves the value out of its entry and leaves
//! [`Value::Lent`] in its place, or copies a small one that lies beside its key; [`Db::settle`] puts it back with what has become of it. Between two
//! shards the same loan travels in messages; a large value moves as a pointer, nothing is copied.
//!
//! Invariants
//! - A key whose value is on loan is claimed exclusively, or the loan is settled within the same call
//!   of the shard: no command meets [`Value::Lent`].
//! - A loan that was not changed leaves no trace when it is settled: no change is counted, no watch is
//!   touched.
//! - A key that was removed or overwritten while its value was on loan stays as it is: the loan is
//!   dropped if it was not changed.

use base::clock::UnixMillis;
use types::string::Origin;
use types::{Typed, Value};

use crate::effects::{Change, EventClass};
use crate::entry::{WrongType, apart_bytes};
use crate::keyspace::{Db, Detached};
use crate::{Key, records};

/// The value of one key, taken out; one that lies beside its key is copied.
#[derive(Debug)]
pub struct Loan {
    /// The key.
    pub key: Box<[u8]>,
    value: Option<Value>,
    expire_at: Option<UnixMillis>,
    access: u32,
    origin: Origin,
    changes: Vec<Change>,
    is_used: bool,
}

impl Loan {
    /// Returns the value; `None` if there is no such key.
    #[must_use]
    pub fn value(&self) -> Option<&Value> {
        self.value.as_ref()
    }

    /// Returns the value as a `T`; `None` if there is no such key.
    ///
    /// # Errors
    ///
    /// [`WrongType`] if it is of another type.
    pub fn typed<T: Typed>(&self) -> Result<Option<&T>, WrongType> {
        self.value
            .as_ref()
            .map(|value| T::of(value).ok_or(WrongType))
            .transpose()
    }

    /// Returns the bytes of a string; `None` if there is no such key.
    ///
    /// # Errors
    ///
    /// [`WrongType`] if the value is no string.
    pub fn string(&self) -> Result<Option<&[u8]>, WrongType> {
        match &self.value {
            Some(Value::String(bytes)) => Ok(Some(bytes)),
            Some(Value::Shared(bytes)) => Ok(Some(bytes)),
            Some(_) => Err(WrongType),
            None => Ok(None),
        }
    }

    /// Returns whether it was changed.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Notes that a command looks at it; returns whether one has done so before.
    pub fn note_use(&mut self) -> bool {
        std::mem::replace(&mut self.is_used, true)
    }

    /// Returns when the key dies.
    #[must_use]
    pub fn expire_at(&self) -> Option<UnixMillis> {
        self.expire_at
    }

    /// Turns a loan into a value for another key, with all that belongs to it; `None` if there is no
    /// such key. The key it came from has to be removed.
    #[must_use]
    pub fn into_detached(self) -> Option<Detached> {
        let detached = Detached::new(self.value?, self.expire_at);
        Some(detached.with_access(self.access).with_origin(self.origin))
    }

    /// Changes the value, if there is one. See [`Db::edit`].
    ///
    /// # Errors
    ///
    /// [`WrongType`] if it is of another type; `change` was not called.
    pub fn edit<T: Typed, R>(
        &mut self,
        change: impl FnOnce(&mut T) -> (R, Change),
    ) -> Result<Option<R>, WrongType> {
        let Some(value) = &mut self.value else {
            return Ok(None);
        };
        let (result, change) = change(T::of_mut(value).ok_or(WrongType)?);
        if change.count > 0 {
            self.changes.push(change);
        }
        Ok(Some(result))
    }

    /// Changes the value; a key that does not exist gets the default value first. See
    /// [`Db::edit_or_create`].
    ///
    /// # Errors
    ///
    /// [`WrongType`] if it is of another type; `change` was not called.
    pub fn edit_or_create<T: Typed + Default, R>(
        &mut self,
        change: impl FnOnce(&mut T) -> (R, Change),
    ) -> Result<R, WrongType> {
        if let Some(value) = &mut self.value {
            let (result, change) = change(T::of_mut(value).ok_or(WrongType)?);
            if change.count > 0 {
                self.changes.push(change);
            }
            return Ok(result);
        }
        let mut value = T::default();
        let (result, change) = change(&mut value);
        if change.count > 0 && !value.is_void() {
            self.value = Some(value.into_value());
            self.changes.push(change);
        }
        Ok(result)
    }

    /// Notes a change that was made by several edits, which have told nothing of it.
    pub fn note(&mut self, change: Change) {
        if change.count > 0 {
            self.changes.push(change);
        }
    }

    /// Puts another value in the place of what is there, without an expiry. `None` removes the key. Returns what was
    /// there, which may take long to free.
    pub fn replace(&mut self, value: Option<Value>, change: Change) -> Option<Value> {
        self.expire_at = None;
        self.origin = Origin::Stored;
        self.changes.push(change);
        std::mem::replace(&mut self.value, value)
    }
}

impl Db<'_> {
    /// Takes the value of a key out, for [`Db::settle`] to put it back. With `read` it counts as a
    /// hit or a miss.
    pub fn lend(&mut self, key: Key<'_>, read: bool, touch: bool) -> Loan {
        let mut loan = Loan {
            key: key.bytes.into(),
            value: None,
            expire_at: None,
            access: self.first_access(),
            origin: Origin::Stored,
            changes: Vec::new(),
            is_used: false,
        };
        let place = self.live(key);
        if read {
            self.count_read(key, place.is_some());
        }
        let Some(place) = place else {
            return loan;
        };
        if touch {
            self.note_access(place);
        }
        if self.common.records.is_some() {
            records::tell_before_loan(self.dict, self.common, self.index, key);
        }
        let entry = self.dict.entry(place);
        loan.expire_at = entry.expire_at();
        (loan.access, loan.origin) = (entry.access(), entry.origin());
        let kind = entry.kind();
        let fields_due = entry.next_expiry();
        self.dict.reschedule(key.bytes, fields_due, None);
        let apart = self.dict.with_entry(place, |entry, heap| {
            let value = entry.apart_mut()?;
            let before = apart_bytes(value);
            let taken = std::mem::replace(value, Value::Lent(kind));
            heap.resized(before, apart_bytes(value));
            Some(taken)
        });
        // What lies beside its key is a copy.
        let copy = || self.dict.entry(place).value().into_owned();
        loan.value = Some(apart.unwrap_or_else(copy));
        loan
    }

    /// Counts a read of a key that was found, or was not; tells the miss.
    pub fn count_read(&mut self, key: Key<'_>, found: bool) {
        if found {
            self.common.stats.hits += 1;
        } else {
            self.common.stats.misses += 1;
            self.event(EventClass::KEY_MISS, "keymiss", key);
        }
    }

    /// Ends a loan of this key: puts the value back as it has become, makes the key if it is new, or
    /// removes it if nothing is left.
    pub fn settle(&mut self, key: Key<'_>, loan: Loan) {
        let Loan {
            value,
            expire_at,
            access,
            origin,
            changes,
            ..
        } = loan;
        let is_kept = value.as_ref().is_some_and(|value| !value.is_void());
        if changes.is_empty() {
            if let Some(value) = value {
                self.put_back(key, value);
            }
            return;
        }
        if let Some(value) = value.filter(|_| is_kept) {
            let detached = Detached::new(value, expire_at).with_access(access);
            self.put_loaned(key, detached.with_origin(origin));
        }
        for change in changes {
            self.note_change(key, change);
        }
        if !is_kept && self.discard(key) {
            self.event(EventClass::GENERIC, "del", key);
        }
    }

    /// Puts a value that was not changed back into the place it was lent from; frees it if that is gone.
    fn put_back(&mut self, key: Key<'_>, value: Value) {
        let Some(place) = self.dict.find(key.hash, key.bytes) else {
            self.common.lazy_free.value(Some(Box::new(value)));
            return;
        };
        let mut value = Some(value);
        let fields_due = self.dict.with_entry(place, |entry, heap| {
            let Some(lent @ Value::Lent(_)) = entry.apart_mut() else {
                return None;
            };
            let before = apart_bytes(lent);
            *lent = value.take()?;
            heap.resized(before, apart_bytes(lent));
            lent.next_expiry()
        });
        self.common.lazy_free.value(value.map(Box::new));
        self.dict.reschedule(key.bytes, None, fields_due);
    }

    /// Puts a changed value back; where it was lent from if that is still there and expires as before.
    fn put_loaned(&mut self, key: Key<'_>, detached: Detached) {
        if let Some(place) = self.live(key)
            && self.dict.entry(place).expire_at() == detached.expire_at
            && !matches!(detached.value, Value::String(_) | Value::Shared(_))
            && self.dict.entry(place).is_lent()
        {
            self.put_back(key, detached.value);
            return;
        }
        self.put_detached(key, detached);
    }
}
