//! Chunks by number.
//!
//! ```text
//! leaf by number / 512  ->  slot by number % 512  ->  chunk, or none
//! ```
//! Numbers grow for ever and old ones go, so leaves stand in a map, which has one entry for half a million rows: to
//! find a chunk is to take it from an array. A leaf is as long as its last chunk needs, and goes with the last one.
//!
//! Invariants: no leaf is without a chunk; `bytes` is what map and leaves have allocated, nodes of the map about.

use std::collections::BTreeMap;
use std::ops::RangeFrom;

use base::cast::{u64_from, usize_from};

use super::chunk::Chunk;

/// Slots of a leaf.
const LEAF: u64 = 512;

/// What a leaf costs in the map, about.
const NODE_BYTES: usize = 48;

const SLOT_BYTES: usize = size_of::<Option<Box<Chunk>>>();

/// The chunks of a table.
#[derive(Debug, Default)]
pub(super) struct Directory {
    leaves: BTreeMap<u64, Leaf>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Leaf {
    slots: Vec<Option<Box<Chunk>>>,
    /// Slots with a chunk.
    count: usize,
}

fn slot_of(number: u64) -> usize {
    usize_from(number % LEAF)
}

impl Directory {
    /// Returns the chunk of a number.
    #[inline]
    pub(super) fn get(&self, number: u64) -> Option<&Chunk> {
        let leaf = self.leaves.get(&(number / LEAF))?;
        leaf.slots.get(slot_of(number))?.as_deref()
    }

    /// Returns the same, for change.
    #[inline]
    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Chunk> {
        let leaf = self.leaves.get_mut(&(number / LEAF))?;
        leaf.slots.get_mut(slot_of(number))?.as_deref_mut()
    }

    /// Returns the chunk of a number, a new one if there is none.
    pub(super) fn get_or_insert(&mut self, number: u64, new: impl FnOnce() -> Chunk) -> &mut Chunk {
        let bytes = &mut self.bytes;
        let leaf = self.leaves.entry(number / LEAF).or_insert_with(|| {
            *bytes += NODE_BYTES;
            Leaf::default()
        });
        let slot = slot_of(number);
        if slot >= leaf.slots.len() {
            let before = leaf.slots.capacity();
            leaf.slots.resize_with(slot + 1, || None);
            *bytes += (leaf.slots.capacity() - before) * SLOT_BYTES;
        }
        let place = &mut leaf.slots[slot];
        leaf.count += usize::from(place.is_none());
        place.get_or_insert_with(|| Box::new(new()))
    }

    /// Takes a chunk out.
    pub(super) fn remove(&mut self, number: u64) -> Option<Box<Chunk>> {
        let leaf = self.leaves.get_mut(&(number / LEAF))?;
        let chunk = leaf.slots.get_mut(slot_of(number))?.take()?;
        leaf.count -= 1;
        if leaf.count == 0 {
            self.bytes -= NODE_BYTES + leaf.slots.capacity() * SLOT_BYTES;
            self.leaves.remove(&(number / LEAF));
        }
        Some(chunk)
    }

    /// Takes the last chunk out.
    pub(super) fn pop(&mut self) -> Option<Box<Chunk>> {
        let (&leaf, slots) = self.leaves.last_key_value()?;
        let slot = slots.slots.iter().rposition(Option::is_some)?;
        self.remove(leaf * LEAF + u64_from(slot))
    }

    /// Returns the chunks from a number on, with their numbers.
    pub(super) fn range(
        &self,
        numbers: RangeFrom<u64>,
    ) -> impl DoubleEndedIterator<Item = (u64, &Chunk)> {
        let first = numbers.start;
        let leaves = self.leaves.range(first / LEAF..);
        leaves.flat_map(move |(&leaf, slots)| {
            let begin = leaf * LEAF;
            let skipped = usize_from(first.saturating_sub(begin));
            let slots = slots.slots.iter().enumerate().skip(skipped);
            slots.filter_map(move |(slot, chunk)| Some((begin + u64_from(slot), chunk.as_deref()?)))
        })
    }

    /// Returns what it has allocated beside the chunks.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_found_by_their_numbers_and_leave_nothing() {
        let mut directory = Directory::default();
        let numbers = [0, 1, 511, 512, 1500, 1 << 40];
        for number in numbers.iter().rev() {
            directory.get_or_insert(*number, Chunk::new);
            directory.get_or_insert(*number, || unreachable!("it is there"));
        }
        let from = |first: u64| -> Vec<u64> {
            let found = directory.range(first..);
            found.map(|(number, _)| number).collect()
        };
        assert_eq!(from(0), numbers);
        assert_eq!(from(2), numbers[2..]);
        assert_eq!(from(512), numbers[3..]);
        assert_eq!(from(1501), numbers[5..]);
        assert!(from((1 << 40) + 1).is_empty());
        assert!(directory.get(511).is_some() && directory.get(510).is_none());
        assert!(directory.get_mut(1499).is_none() && directory.remove(1499).is_none());
        assert!(directory.remove(512).is_some() && directory.remove(512).is_none());
        let mut left = 0;
        while directory.pop().is_some() {
            left += 1;
        }
        assert_eq!((left, directory.bytes()), (5, 0));
    }
}
