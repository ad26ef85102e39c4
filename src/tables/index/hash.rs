//! Which rows have a value: a hash table that holds no values, only places, and reads the values from
//! the rows.
//!
//! ```text
//! directory   by the bits of the hash behind the upper seven, 2^depth numbers of segments
//! segment     a table of at most 896 entries; a full one is split, the others stay as they are
//! entry       a place, or the number of a list of places
//! ```
//!
//! Growing therefore never costs more than the split of one segment, and now and then the doubling of
//! the directory, which has one number per some 600 values.
//!
//! The upper seven bits are those by which a segment tells its entries apart without looking at rows: they must differ
//! within a segment.
//!
//! Rows without one of the values are not in the index: nothing is equal to a missing value.

use base::cast::{u32_from, u64_from, usize_from, usize_from_u32};
use base::hash::KeyHasher;
use hashbrown::HashTable;

use super::places::Places;
use super::{Columns, row_has_key};
use crate::store::{Place, Rows};

/// Entries of a full segment: what a table of 1024 buckets takes.
const SEGMENT_MAX: usize = 896;
/// Deepest directory: 2^32 segments are more than memory has.
const DEPTH_MAX: u32 = 32;
/// Set in an entry that is the number of a list.
const LIST: u64 = 1 << 63;

/// The index.
#[derive(Debug)]
pub(crate) struct HashIndex {
    hasher: KeyHasher,
    depth: u32,
    directory: Vec<u32>,
    segments: Vec<Segment>,
    lists: Vec<Option<Places>>,
    free: Vec<u32>,
    values: u64,
    rows: u64,
    /// Of segments' tables and of lists.
    bytes: usize,
}

#[derive(Debug)]
struct Segment {
    depth: u32,
    table: HashTable<u64>,
}

impl Segment {
    fn bytes(&self) -> usize {
        self.table.allocation_size()
    }
}

impl HashIndex {
    pub(super) fn new(hasher: KeyHasher) -> Self {
        Self {
            hasher,
            depth: 0,
            directory: vec![0],
            segments: vec![Segment {
                depth: 0,
                table: HashTable::new(),
            }],
            lists: Vec::new(),
            free: Vec::new(),
            values: 0,
            rows: 0,
            bytes: 0,
        }
    }

    /// Returns how many different values there are.
    pub(crate) fn values(&self) -> u64 {
        self.values
    }

    /// Returns how many rows are in the index.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    fn segment_of(&self, hash: u64) -> usize {
        let at = if self.depth == 0 {
            0
        } else {
            usize_from(route(hash) >> (64 - self.depth))
        };
        usize_from_u32(self.directory[at])
    }

    /// Returns the place whose row says what the value of an entry is.
    fn witness(&self, entry: u64) -> Place {
        if entry & LIST == 0 {
            return Place(entry);
        }
        let list = self.lists[usize_from(entry & !LIST)].as_ref();
        Place(list.and_then(Places::first).unwrap_or(0))
    }

    fn find(&self, hash: u64, key: &[u8], columns: &Columns, rows: &Rows) -> Option<u64> {
        let table = &self.segments[self.segment_of(hash)].table;
        table
            .find(hash, |&entry| {
                row_has_key(rows, self.witness(entry), columns, key)
            })
            .copied()
    }

    /// Returns how many rows have the value.
    pub(crate) fn count(&self, key: &[u8], columns: &Columns, rows: &Rows) -> u64 {
        match self.find(self.hasher.hash(key), key, columns, rows) {
            None => 0,
            Some(entry) if entry & LIST == 0 => 1,
            Some(entry) => self.lists[usize_from(entry & !LIST)]
                .as_ref()
                .map_or(0, Places::len),
        }
    }

    /// Calls `each` with the rows of the value from the place `first` on, ascending, while it says so.
    pub(crate) fn walk(
        &self,
        key: &[u8],
        columns: &Columns,
        rows: &Rows,
        first: u64,
        each: &mut impl FnMut(Place) -> bool,
    ) {
        match self.find(self.hasher.hash(key), key, columns, rows) {
            None => {}
            Some(entry) if entry & LIST == 0 => {
                let _more = entry >= first && each(Place(entry));
            }
            Some(entry) => {
                if let Some(list) = &self.lists[usize_from(entry & !LIST)] {
                    list.walk(first, each);
                }
            }
        }
    }

    /// Adds a row, whose values are in `rows` already. A row that is in the index stays as it is.
    pub(super) fn insert(&mut self, key: &[u8], place: Place, columns: &Columns, rows: &Rows) {
        let hash = self.hasher.hash(key);
        if let Some(entry) = self.find(hash, key, columns, rows) {
            self.add_to(hash, entry, place.0);
            return;
        }
        let mut segment = self.segment_of(hash);
        while self.segments[segment].table.len() >= SEGMENT_MAX
            && self.segments[segment].depth < DEPTH_MAX
        {
            self.split(segment, hash, columns, rows);
            segment = self.segment_of(hash);
        }
        let before = self.segments[segment].bytes();
        let (hasher, lists) = (&self.hasher, &self.lists);
        let rehash = |&entry: &u64| entry_hash(hasher, lists, entry, columns, rows);
        let table = &mut self.segments[segment].table;
        table.insert_unique(hash, place.0, rehash);
        self.bytes = self.bytes + self.segments[segment].bytes() - before;
        self.values += 1;
        self.rows += 1;
    }

    /// Adds a place to the rows of an entry that is there.
    fn add_to(&mut self, hash: u64, entry: u64, place: u64) {
        if entry & LIST != 0 {
            if let Some(Some(list)) = self.lists.get_mut(usize_from(entry & !LIST)) {
                let before = list.bytes();
                self.rows += u64::from(list.insert(place));
                self.bytes = self.bytes + list.bytes() - before;
            }
        } else if entry != place {
            let list = Places::new(entry, place);
            self.bytes += list.bytes();
            let number = self.keep(list);
            self.replace(hash, entry, LIST | number);
            self.rows += 1;
        }
    }

    fn keep(&mut self, list: Places) -> u64 {
        if let Some(number) = self.free.pop() {
            self.lists[usize_from_u32(number)] = Some(list);
            return u64::from(number);
        }
        self.lists.push(Some(list));
        u64_from(self.lists.len() - 1)
    }

    fn replace(&mut self, hash: u64, old: u64, new: u64) {
        let segment = self.segment_of(hash);
        let table = &mut self.segments[segment].table;
        if let Some(entry) = table.find_mut(hash, |&entry| entry == old) {
            *entry = new;
        }
    }

    /// Takes a row out; its values must still be in `rows`. Nothing happens if it is not in the index.
    pub(super) fn remove(&mut self, key: &[u8], place: Place, columns: &Columns, rows: &Rows) {
        let hash = self.hasher.hash(key);
        let Some(entry) = self.find(hash, key, columns, rows) else {
            return;
        };
        if entry & LIST == 0 {
            if entry == place.0 {
                let segment = self.segment_of(hash);
                let table = &mut self.segments[segment].table;
                if let Ok(found) = table.find_entry(hash, |&other| other == entry) {
                    found.remove();
                    self.values -= 1;
                    self.rows -= 1;
                }
            }
            return;
        }
        let number = usize_from(entry & !LIST);
        let Some(Some(list)) = self.lists.get_mut(number) else {
            return;
        };
        let before = list.bytes();
        self.rows -= u64::from(list.remove(place.0));
        self.bytes = self.bytes + list.bytes() - before;
        if list.len() == 1 {
            let last = list.first().unwrap_or(0);
            self.bytes -= list.bytes();
            self.lists[number] = None;
            self.free.push(u32_from(number));
            self.replace(hash, entry, last);
        }
    }

    /// Splits a segment by the next bit of the hash; `hash` is one that leads to it.
    fn split(&mut self, segment: usize, hash: u64, columns: &Columns, rows: &Rows) {
        let depth = self.segments[segment].depth + 1;
        if depth > self.depth {
            let doubled = self.directory.iter().flat_map(|&number| [number; 2]);
            self.directory = doubled.collect();
            self.depth = depth;
        }
        let (hasher, lists) = (&self.hasher, &self.lists);
        let hash_of = |entry: u64| entry_hash(hasher, lists, entry, columns, rows);
        let before = self.segments[segment].bytes();
        let old = std::mem::take(&mut self.segments[segment].table);
        let mut halves = [
            HashTable::with_capacity(SEGMENT_MAX / 2),
            HashTable::with_capacity(SEGMENT_MAX / 2),
        ];
        for entry in old {
            let hash = hash_of(entry);
            let upper = usize_from(route(hash) >> (64 - depth) & 1);
            halves[upper].insert_unique(hash, entry, |&other| hash_of(other));
        }
        let [lower, upper] = halves;
        self.segments[segment] = Segment {
            depth,
            table: lower,
        };
        self.segments.push(Segment {
            depth,
            table: upper,
        });
        let number = u32_from(self.segments.len() - 1);
        // The part of the directory that leads to the old segment; its upper half leads to the new one.
        let span = 1 << (self.depth - depth);
        let first = usize_from(route(hash) >> (64 - depth) | 1) * span;
        self.directory[first..first + span].fill(number);
        let after = self.segments[segment].bytes() + self.segments[self.segments.len() - 1].bytes();
        self.bytes = self.bytes + after - before;
    }

    #[cfg(test)]
    fn recount(&self) -> usize {
        let segments: usize = self.segments.iter().map(Segment::bytes).sum();
        let lists: usize = self.lists.iter().flatten().map(Places::bytes).sum();
        segments + lists
    }

    /// Frees a part; returns whether there is more. The index is of no other use then.
    pub(super) fn free_step(&mut self) -> bool {
        if self.lists.pop().is_none() && self.segments.pop().is_none() {
            return false;
        }
        true
    }

    /// Returns what it has allocated.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
            + self.directory.capacity() * size_of::<u32>()
            + self.segments.capacity() * size_of::<Segment>()
            + self.lists.capacity() * size_of::<Option<Places>>()
            + self.free.capacity() * size_of::<u32>()
    }

    /// Counts that again from the parts.
    #[cfg(test)]
    pub(super) fn recounted(&self) -> usize {
        self.bytes() - self.bytes + self.recount()
    }

    /// Returns the rows of each value, in no order of values.
    #[cfg(test)]
    pub(super) fn contents(&self) -> Vec<Vec<u64>> {
        let entries = self
            .segments
            .iter()
            .flat_map(|segment| segment.table.iter());
        let rows_of = |&entry: &u64| {
            let mut rows = Vec::new();
            if entry & LIST == 0 {
                rows.push(entry);
            } else if let Some(list) = &self.lists[usize_from(entry & !LIST)] {
                list.walk(0, &mut |place| {
                    rows.push(place.0);
                    true
                });
            }
            rows
        };
        let mut contents: Vec<_> = entries.map(rows_of).collect();
        contents.sort_unstable();
        contents
    }
}

/// Returns the bits of a hash that lead to its segment, uppermost first.
fn route(hash: u64) -> u64 {
    hash << 7
}

/// Returns the hash of the value that an entry stands for, read from its row.
fn entry_hash(
    hasher: &KeyHasher,
    lists: &[Option<Places>],
    entry: u64,
    columns: &Columns,
    rows: &Rows,
) -> u64 {
    let place = if entry & LIST == 0 {
        entry
    } else {
        let list = lists[usize_from(entry & !LIST)].as_ref();
        list.and_then(Places::first).unwrap_or(0)
    };
    let mut key = Vec::with_capacity(32);
    super::push_row_key(rows, Place(place), columns, &mut key);
    hasher.hash(&key)
}
