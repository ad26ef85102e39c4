//! The table of one database's keys.

use std::collections::BTreeMap;

use base::clock::UnixMillis;
use base::random::Random;

use crate::entry::{Entry, EntryRef, Heap, NewEntry};
use crate::memory::Ledger;
use types::Value;

/// Where an entry is, until the dict changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    hash: u64,
    index: usize,
}

/// Entries by the hash of their keys.
#[derive(Debug, Default)]
pub(crate) struct Dict {
    table: BTreeMap<u64, Vec<Entry>>,
    len: usize,
    expires: usize,
    heap: Heap,
}

const CURSOR_SHIFT: u32 = 11;

impl Dict {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Returns how many entries carry an expiry.
    pub(crate) fn expires_len(&self) -> usize {
        self.expires
    }

    pub(crate) fn prefetch_bucket(&self, _hash: u64) {}

    pub(crate) fn prefetch_entry(&self, _hash: u64) {}

    pub(crate) fn find(&self, hash: u64, key: &[u8]) -> Option<Place> {
        let index = self
            .table
            .get(&hash)?
            .iter()
            .position(|entry| entry.as_ref().key() == key)?;
        Some(Place { hash, index })
    }

    pub(crate) fn entry(&self, place: Place) -> EntryRef<'_> {
        self.table[&place.hash][place.index].as_ref()
    }

    /// Changes an entry in place; whether it has an expiry stays as it is.
    pub(crate) fn with_entry<R>(
        &mut self,
        place: Place,
        change: impl FnOnce(&mut Entry, &mut Heap) -> R,
    ) -> R {
        let entries = self
            .table
            .get_mut(&place.hash)
            .expect("the place was found");
        change(&mut entries[place.index], &mut self.heap)
    }

    /// Adds an entry whose key is not there yet.
    pub(crate) fn insert(&mut self, hash: u64, new: NewEntry<'_>) {
        self.len += 1;
        self.expires += usize::from(new.expire_at.is_some());
        let entry = self.heap.create(new);
        self.table.entry(hash).or_default().push(entry);
    }

    /// Puts another entry with the same key in the place of one; returns a value that lay apart.
    pub(crate) fn replace(&mut self, place: Place, new: NewEntry<'_>) -> Option<Box<Value>> {
        self.expires += usize::from(new.expire_at.is_some());
        self.expires -= usize::from(self.entry(place).expire_at().is_some());
        let entries = self
            .table
            .get_mut(&place.hash)
            .expect("the place was found");
        let old = std::mem::replace(&mut entries[place.index], self.heap.create(new));
        self.heap.destroy(old)
    }

    /// Removes an entry; returns a value that lay apart.
    pub(crate) fn remove(&mut self, place: Place) -> Option<Box<Value>> {
        self.len -= 1;
        self.expires -= usize::from(self.entry(place).expire_at().is_some());
        let entries = self
            .table
            .get_mut(&place.hash)
            .expect("the place was found");
        let old = entries.swap_remove(place.index);
        if entries.is_empty() {
            self.table.remove(&place.hash);
        }
        self.heap.destroy(old)
    }

    /// Shows about `count` entries from `cursor` on; returns where to go on, 0 at the end.
    pub(crate) fn scan(
        &self,
        cursor: u64,
        count: usize,
        each: &mut dyn FnMut(EntryRef<'_>),
    ) -> u64 {
        let mut seen = 0;
        let mut last = None;
        for (&hash, entries) in self.table.range(cursor << CURSOR_SHIFT..) {
            let group = hash >> CURSOR_SHIFT;
            if seen >= count.max(1) && last != Some(group) {
                return group;
            }
            last = Some(group);
            seen += entries.len();
            entries.iter().for_each(|entry| each(entry.as_ref()));
        }
        0
    }

    pub(crate) fn random(&self, random: &mut Random) -> Option<Place> {
        if self.len == 0 {
            return None;
        }
        let start = random.next_u64();
        let entry = self
            .table
            .range(start..)
            .next()
            .or_else(|| self.table.iter().next());
        entry.map(|(&hash, entries)| Place {
            hash,
            index: random.index(entries.len()),
        })
    }

    pub(crate) fn clear(&mut self) -> usize {
        let len = self.len;
        for entry in std::mem::take(&mut self.table).into_values().flatten() {
            drop(self.heap.destroy(entry));
        }
        self.len = 0;
        self.expires = 0;
        len
    }

    /// Moves the expiry of an entry that has one.
    pub(crate) fn set_expire_at(&mut self, place: Place, at: UnixMillis) {
        let moved = self.with_entry(place, |entry, _| entry.set_expire_at(at));
        assert!(moved, "the entry has room for an expiry");
    }

    /// Makes an entry anew with or without an expiry; all else stays.
    pub(crate) fn remake(&mut self, place: Place, expire_at: Option<UnixMillis>) {
        self.expires += usize::from(expire_at.is_some());
        self.expires -= usize::from(self.entry(place).expire_at().is_some());
        let entries = self
            .table
            .get_mut(&place.hash)
            .expect("the place was found");
        let entry = &mut entries[place.index];
        let new = self.heap.recreate(entry, expire_at);
        let old = std::mem::replace(entry, new);
        drop(self.heap.destroy(old));
    }

    pub(crate) fn mean_expire_at(&self) -> Option<i64> {
        let mut sum = 0_i128;
        for entry in self.table.values().flatten() {
            sum += entry.as_ref().expire_at().map_or(0, |at| i128::from(at.0));
        }
        i64::try_from(sum.checked_div(i128::try_from(self.expires).ok()?)?).ok()
    }

    pub(crate) fn ledger(&self) -> Ledger {
        Ledger {
            keys: self.len,
            expires: self.expires,
            entry_bytes: self.heap.bytes(),
            dict_bytes: self.len * 48,
        }
    }

    /// Looks at about `slots` slots from `cursor` on, shows the entries that carry an expiry, and
    /// removes those for which `keep` returns false. Returns where to go on, 0 at the end.
    pub(crate) fn sweep(
        &mut self,
        cursor: u64,
        slots: usize,
        keep: &mut dyn FnMut(EntryRef<'_>) -> bool,
    ) -> u64 {
        let mut gone = Vec::new();
        let next = {
            let mut each = |entry: EntryRef<'_>| {
                if entry.expire_at().is_some() && !keep(entry) {
                    gone.push(entry.key().to_vec());
                }
            };
            self.scan(cursor, slots, &mut each)
        };
        let hashes: Vec<(u64, Vec<u8>)> =
            gone.into_iter()
                .filter_map(|key| {
                    let hash = self.table.iter().find(|(_, entries)| {
                        entries.iter().any(|entry| entry.as_ref().key() == key)
                    })?;
                    Some((*hash.0, key))
                })
                .collect();
        for (hash, key) in hashes {
            if let Some(place) = self.find(hash, &key) {
                drop(self.remove(place));
            }
        }
        next
    }
}

impl Drop for Dict {
    fn drop(&mut self) {
        self.clear();
    }
}
