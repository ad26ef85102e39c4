//! Changing strings in the middle, in place.
//!
//! A handler says what it does to the bytes; finding the key, checking the type, making the key, and all
//! that depends on a change (memory, watches, events, statistics) happen here. A string that lies
//! apart from its key is never copied, however long it is.
//!
//! Not here: storing whole strings, appending and overwriting (`keyspace`).

use types::string::{self, Origin};

use crate::Key;
use crate::dict::Place;
use crate::effects::Change;
use crate::entry::{WrongType, apart_bytes};
use crate::keyspace::{Db, Expiry};

impl Db<'_> {
    /// Changes the bytes of a string, which is made, or filled up with zeros, to be at least `len_min`
    /// bytes long. `change` is told whether that was so; it returns a result and what it did.
    ///
    /// A string that has become longer is a change of its own: [`Change::NONE`] is then counted as
    /// one. Without a key and with `len_min` 0, `change` sees no bytes and no key is made.
    ///
    /// Cost: that of `change`, amortised over growth. The caller has bounded the length.
    ///
    /// # Errors
    ///
    /// [`WrongType`] if the key holds no string; `change` was not called.
    pub fn edit_bytes<R>(
        &mut self,
        key: Key<'_>,
        len_min: usize,
        change: impl FnOnce(&mut [u8], bool) -> (R, Change),
    ) -> Result<R, WrongType> {
        let Some(place) = self.live(key) else {
            let mut value = vec![0; len_min];
            let (result, change) = change(&mut value, len_min > 0);
            if len_min > 0 {
                self.create_edited(key, value, change);
            }
            return Ok(result);
        };
        let old = self.dict.entry(place).string()?;
        let len = old.len();
        let (result, change) = if len >= len_min || self.dict.entry(place).is_apart() {
            self.note_access(place);
            self.edit_in_place(place, len_min, change)?
        } else {
            let mut value = vec![0; len_min];
            value[..len].copy_from_slice(old);
            self.note_access(place);
            let outcome = change(&mut value, true);
            self.put_edited(key, place, value);
            outcome
        };
        // To have grown is a change of its own.
        let count = change.count.max(u64::from(len < len_min));
        if count > 0 {
            self.note_change(key, Change { count, ..change });
        }
        Ok(result)
    }

    /// Changes a string that lies apart, or is long enough.
    fn edit_in_place<R>(
        &mut self,
        place: Place,
        len_min: usize,
        change: impl FnOnce(&mut [u8], bool) -> R,
    ) -> Result<R, WrongType> {
        self.dict.with_entry(place, |entry, heap| {
            if let Some(value) = entry.apart_mut() {
                let before = apart_bytes(value);
                let bytes = value.string_mut().ok_or(WrongType)?;
                let grown = string::grow(bytes, len_min);
                let result = change(bytes, grown);
                heap.resized(before, apart_bytes(value));
                entry.set_origin(Origin::Edited);
                return Ok(result);
            }
            let value = entry.inline_bytes_mut(Origin::Edited).ok_or(WrongType)?;
            Ok(change(value, false))
        })
    }

    /// Changes a string, of any length before and after; a key that does not exist has an empty one.
    /// `change` returns a result and what it did: with [`Change::NONE`] it must have left the bytes as
    /// they were, and no key is made.
    ///
    /// Cost: that of `change`, and O(bytes) for a string of at most 4 KiB.
    ///
    /// # Errors
    ///
    /// [`WrongType`] if the key holds no string; `change` was not called.
    pub fn edit_string<R>(
        &mut self,
        key: Key<'_>,
        change: impl FnOnce(&mut Vec<u8>) -> (R, Change),
    ) -> Result<R, WrongType> {
        let Some(place) = self.live(key) else {
            let mut value = Vec::new();
            let (result, change) = change(&mut value);
            if change.count > 0 {
                self.create_edited(key, value, change);
            }
            return Ok(result);
        };
        let old = self.dict.entry(place).string()?;
        let is_apart = self.dict.entry(place).is_apart();
        let mut inline = if is_apart { Vec::new() } else { old.to_vec() };
        self.note_access(place);
        let (result, change) = if is_apart {
            self.dict.with_entry(place, |entry, heap| {
                let value = entry.apart_mut().ok_or(WrongType)?;
                let before = apart_bytes(value);
                let outcome = change(value.string_mut().ok_or(WrongType)?);
                heap.resized(before, apart_bytes(value));
                entry.set_origin(Origin::Edited);
                Ok(outcome)
            })?
        } else {
            let outcome = change(&mut inline);
            let in_place = self.dict.with_entry(place, |entry, _| {
                entry.replace_inline(&inline, Origin::Edited)
            });
            if !in_place {
                self.put_edited(key, place, inline);
            }
            outcome
        };
        if change.count > 0 {
            self.note_change(key, change);
        }
        Ok(result)
    }

    /// Makes a key with a string that was edited from nothing.
    fn create_edited(&mut self, key: Key<'_>, value: Vec<u8>, change: Change) {
        self.set_string_owned(key, value, Expiry::Clear, Origin::Edited);
        // Storing has counted once.
        let count = change.count.saturating_sub(1);
        self.note_change(key, Change { count, ..change });
    }
}

#[cfg(test)]
mod tests {
    use base::ids::{DbIndex, ShardId};
    use base::random::Random;

    use super::*;
    use crate::effects::EventClass;
    use crate::{Options, Shard};

    const DB: DbIndex = DbIndex(0);
    const CHANGED: Change = Change {
        count: 1,
        event: Some((EventClass::STRING, "setbit")),
    };

    fn shard() -> Shard {
        let options = Options {
            events: EventClass::STRING,
            ..Options::default()
        };
        Shard::new(ShardId(0), options)
    }

    fn string_of(shard: &mut Shard, key: &[u8]) -> Option<Vec<u8>> {
        let key = shard.key(key);
        let mut db = shard.db(DB);
        db.peek(key).map(|entry| entry.string().unwrap().to_vec())
    }

    #[test]
    fn edits_agree_with_a_vector_and_keep_the_ledger_right() {
        let seed = std::env::var("SEED").map_or(1, |text| text.parse().unwrap());
        eprintln!("SEED={seed}");
        let mut random = Random::new(seed);
        for _ in 0..200 {
            let mut shard = shard();
            let empty = shard.memory().entry_bytes;
            let mut model: Vec<u8> = Vec::new();
            let key = shard.key(b"k");
            for _ in 0..40 {
                let limit = [40, 300, 5_000, 20_000][random.index(4)];
                let byte = random.next_u64().to_le_bytes()[0];
                if random.below(2) == 0 {
                    let len = 1 + random.index(limit);
                    let grown = shard.db(DB).edit_bytes(key, len, |bytes, grown| {
                        bytes[len - 1] = byte;
                        (grown, CHANGED)
                    });
                    assert_eq!(grown, Ok(model.len() < len));
                    model.resize(model.len().max(len), 0);
                    model[len - 1] = byte;
                } else {
                    let len = random.index(limit);
                    let edited = shard.db(DB).edit_string(key, |bytes| {
                        bytes.resize(len, byte);
                        ((), CHANGED)
                    });
                    assert_eq!(edited, Ok(()));
                    model.resize(len, byte);
                }
                assert_eq!(string_of(&mut shard, b"k"), Some(model.clone()));
            }
            assert!(shard.db(DB).remove(key));
            assert_eq!(shard.memory().entry_bytes, empty);
        }
    }

    #[test]
    fn long_strings_are_edited_where_they_lie() {
        let mut shard = shard();
        let key = shard.key(b"k");
        let mut places = Vec::new();
        for _ in 0..3 {
            let place = shard.db(DB).edit_bytes(key, 1 << 20, |bytes, _| {
                bytes[1 << 19] += 1;
                (bytes.as_ptr(), CHANGED)
            });
            places.push(place);
            let place = shard.db(DB).edit_string(key, |bytes| {
                bytes[0] += 1;
                (bytes.as_ptr(), CHANGED)
            });
            places.push(place);
        }
        assert!(places.iter().all(|place| *place == places[0]));
        assert_eq!(shard.stats().dirty, 6);
    }

    #[test]
    fn nothing_is_noted_where_nothing_changes() {
        let mut shard = shard();
        let key = shard.key(b"k");
        let looked = shard.db(DB).edit_string(key, |_| ((), Change::NONE));
        assert_eq!(looked, Ok(()));
        let looked = shard.db(DB).edit_bytes(key, 0, |_, grown| (grown, CHANGED));
        assert_eq!(looked, Ok(false));
        assert_eq!(string_of(&mut shard, b"k"), None);
        assert_eq!(shard.stats().dirty, 0);

        let made = shard.db(DB).edit_bytes(key, 3, |_, _| ((), CHANGED));
        assert_eq!(made, Ok(()));
        assert_eq!(shard.stats().dirty, 1);
        let events: Vec<_> = shard.take_events().iter().map(|event| event.name).collect();
        assert_eq!(events, ["setbit"]);

        let version = shard.watch(DB, b"k");
        let looked = shard.db(DB).edit_bytes(key, 3, |_, _| ((), Change::NONE));
        assert_eq!(looked, Ok(()));
        assert_eq!(shard.watch_version(DB, b"k"), version);
        let grown = shard.db(DB).edit_bytes(key, 4, |_, _| ((), Change::NONE));
        assert_eq!(grown, Ok(()));
        assert_ne!(shard.watch_version(DB, b"k"), version);
        assert_eq!(shard.stats().dirty, 2);
        assert_eq!(shard.take_events(), []);
    }
}
