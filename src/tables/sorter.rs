//! Sorting in bounded steps: short sorted runs that are merged while they are read, or only the first few.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use base::cast::usize_from;

use crate::key::Key;

/// Items of a run.
const RUN: usize = 1024;
/// Up to so many first items are kept in a heap, instead of all in runs.
const HEAP_MAX: u64 = 4096;

/// What is sorted: by key, then by number.
type Item = (Key, u64);

/// The items.
#[derive(Debug)]
pub(crate) struct Sorter {
    /// How many are wanted, if they are few.
    keep: Option<usize>,
    first: BinaryHeap<Item>,
    runs: Vec<Vec<Item>>,
    heads: BinaryHeap<Reverse<(Item, usize)>>,
    is_reading: bool,
}

impl Sorter {
    /// Creates a sorter of which the first `wanted` items will be read.
    pub(crate) fn new(wanted: Option<u64>) -> Self {
        Self {
            keep: wanted.filter(|&wanted| wanted <= HEAP_MAX).map(usize_from),
            first: BinaryHeap::new(),
            runs: Vec::new(),
            heads: BinaryHeap::new(),
            is_reading: false,
        }
    }

    /// Adds an item. O(log) of what is kept, and now and then the sorting of a run.
    pub(crate) fn push(&mut self, key: &[u8], number: u64) {
        if let Some(keep) = self.keep {
            if self.first.len() < keep {
                self.first.push((Key::new(key), number));
            } else if let Some(mut last) = self.first.peek_mut()
                && (key, number) < (last.0.bytes(), last.1)
            {
                *last = (Key::new(key), number);
            }
            return;
        }
        match self.runs.last_mut() {
            Some(run) if run.len() < RUN => run.push((Key::new(key), number)),
            Some(_) | None => {
                if let Some(run) = self.runs.last_mut() {
                    run.sort_unstable_by(|one, other| other.cmp(one));
                }
                self.runs.push(vec![(Key::new(key), number)]);
            }
        }
    }

    /// Returns the next item; nothing can be added any more.
    pub(crate) fn pop(&mut self) -> Option<Item> {
        if !self.is_reading {
            self.is_reading = true;
            self.begin();
        }
        let Reverse((item, run)) = self.heads.pop()?;
        if let Some(next) = self.runs[run].pop() {
            self.heads.push(Reverse((next, run)));
        }
        Some(item)
    }

    /// Makes runs of which the smallest item is the last.
    fn begin(&mut self) {
        let first = std::mem::take(&mut self.first);
        if !first.is_empty() {
            let mut run = first.into_sorted_vec();
            run.reverse();
            self.runs.push(run);
        }
        if let Some(run) = self.runs.last_mut() {
            run.sort_unstable_by(|one, other| other.cmp(one));
        }
        for (number, run) in self.runs.iter_mut().enumerate() {
            if let Some(item) = run.pop() {
                self.heads.push(Reverse((item, number)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use base::random::Random;

    use super::*;

    #[test]
    fn items_come_out_sorted_and_only_as_many_as_are_wanted() {
        let mut random = Random::new(5);
        for wanted in [None, Some(0), Some(1), Some(100), Some(4096), Some(5000)] {
            for len in [0, 1, 1000, 1024, 1025, 6000] {
                let mut sorter = Sorter::new(wanted);
                let mut all: Vec<(u8, u64)> = Vec::new();
                for number in 0..len {
                    let key = u8::try_from(random.below(50)).unwrap();
                    sorter.push(&[key], number);
                    all.push((key, number));
                }
                all.sort_unstable();
                let count = wanted.map_or(all.len(), usize_from).min(all.len());
                for item in &all[..count] {
                    let (key, number) = sorter.pop().expect("an item");
                    assert_eq!((key.bytes()[0], number), *item);
                }
            }
        }
    }
}
