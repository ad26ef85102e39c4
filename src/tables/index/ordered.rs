//! Rows in the order of their values: entries `values place` as bytes.
//!
//! Every row is in it, also those without values, which come first.

use super::blocks::{Blocks, Cursor};
use crate::key::{self, Key};
use crate::store::Place;

/// The index.
#[derive(Debug, Default)]
pub(crate) struct OrderedIndex {
    entries: Blocks<Key>,
    /// Of long keys.
    bytes: usize,
    scratch: Vec<u8>,
}

impl OrderedIndex {
    /// Returns how many rows are in the index.
    pub(crate) fn rows(&self) -> u64 {
        self.entries.len()
    }

    /// Returns the entries.
    pub(crate) fn entries(&self) -> &Blocks<Key> {
        &self.entries
    }

    /// Returns the first position that is not below these bytes.
    pub(crate) fn seek(&self, bytes: &[u8]) -> Cursor {
        self.entries.seek(|entry| entry.bytes() < bytes)
    }

    /// Returns how many rows lie in `low..high`.
    pub(crate) fn count(&self, low: &[u8], high: &[u8]) -> u64 {
        self.entries.count(self.seek(low), self.seek(high))
    }

    pub(super) fn insert(&mut self, values: &[u8], place: Place) {
        self.scratch.clear();
        self.scratch.extend_from_slice(values);
        key::push_place(&mut self.scratch, place.0);
        let entry = Key::new(&self.scratch);
        let bytes = entry.heap_bytes();
        if self.entries.insert(entry) {
            self.bytes += bytes;
        }
    }

    pub(super) fn remove(&mut self, values: &[u8], place: Place) {
        self.scratch.clear();
        self.scratch.extend_from_slice(values);
        key::push_place(&mut self.scratch, place.0);
        let wanted = &self.scratch[..];
        let removed = self.entries.remove(
            |entry| entry.bytes() < wanted,
            |entry| entry.bytes() == wanted,
        );
        self.bytes -= removed.map_or(0, |entry| entry.heap_bytes());
    }

    /// Frees a part; returns whether there is more.
    pub(super) fn free_step(&mut self) -> bool {
        self.entries.pop_block().is_some()
    }

    /// Returns what it has allocated.
    pub(crate) fn bytes(&self) -> usize {
        self.entries.bytes() + self.bytes
    }

    /// Counts that again from the parts.
    #[cfg(test)]
    pub(super) fn recounted(&self) -> usize {
        self.entries.bytes() + self.entries.iter().map(Key::heap_bytes).sum::<usize>()
    }

    /// Counts the different values of the first columns; samples if there are many rows.
    pub(crate) fn values(&self) -> u64 {
        let mut count = 0_u64;
        let mut last: &[u8] = &[];
        for entry in self.entries.iter().take(SAMPLE) {
            let (values, _) = key::split_place(entry.bytes());
            if count == 0 || values != last {
                count += 1;
                last = values;
            }
        }
        let seen = base::cast::u64_from(SAMPLE).min(self.rows());
        if seen == 0 {
            return 0;
        }
        // What the first rows have, taken for all.
        u64::try_from(u128::from(count) * u128::from(self.rows()) / u128::from(seen))
            .unwrap_or(u64::MAX)
    }
}

/// Rows that are looked at to guess the number of values.
const SAMPLE: usize = 1024;
