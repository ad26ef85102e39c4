//! An ordered set in blocks: a list of short sorted lists.
//!
//! Beside a tree of nodes it has exact bytes, counts ranges without walking them, and is freed a block
//! at a time.
//!
//! Invariant: no block is empty, and all items of a block are smaller than those of the next one.

use base::cast::u64_from;

/// Most items of a block.
const BLOCK_MAX: usize = 256;
/// A block of fewer items joins its neighbour if both fit well.
const BLOCK_MIN: usize = 64;

/// The items.
#[derive(Debug)]
pub(crate) struct Blocks<T> {
    blocks: Vec<Vec<T>>,
    len: u64,
    capacity: usize,
}

impl<T> Default for Blocks<T> {
    fn default() -> Self {
        Self {
            blocks: Vec::new(),
            len: 0,
            capacity: 0,
        }
    }
}

/// A position in the order: of an item, or behind the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cursor {
    block: usize,
    at: usize,
}

impl<T: Ord> Blocks<T> {
    /// Returns the number of items.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Returns the first position whose item is not `before`; that must hold for a first part of the
    /// items and for no other. O(log n).
    pub(crate) fn seek(&self, before: impl Fn(&T) -> bool) -> Cursor {
        let next = self
            .blocks
            .partition_point(|block| block.first().is_some_and(&before));
        let Some(block) = next.checked_sub(1) else {
            return Cursor { block: 0, at: 0 };
        };
        let at = self.blocks[block].partition_point(&before);
        if at == self.blocks[block].len() {
            Cursor { block: next, at: 0 }
        } else {
            Cursor { block, at }
        }
    }

    /// Returns the item at a position; `None` behind the last one.
    pub(crate) fn at(&self, cursor: Cursor) -> Option<&T> {
        self.blocks.get(cursor.block)?.get(cursor.at)
    }

    /// Returns the position after one that has an item.
    pub(crate) fn next(&self, cursor: Cursor) -> Cursor {
        let len = self.blocks.get(cursor.block).map_or(0, Vec::len);
        if cursor.at + 1 < len {
            Cursor {
                at: cursor.at + 1,
                ..cursor
            }
        } else {
            Cursor {
                block: cursor.block + 1,
                at: 0,
            }
        }
    }

    /// Returns the position before this one; `None` before the first.
    pub(crate) fn previous(&self, cursor: Cursor) -> Option<Cursor> {
        if let Some(at) = cursor.at.checked_sub(1) {
            return Some(Cursor { at, ..cursor });
        }
        let block = cursor.block.checked_sub(1)?;
        let at = self.blocks[block].len() - 1;
        Some(Cursor { block, at })
    }

    /// Returns how many items stand in `from..to`. Linear in the blocks between them.
    pub(crate) fn count(&self, from: Cursor, to: Cursor) -> u64 {
        if from >= to {
            return 0;
        }
        let whole: usize = self.blocks[from.block..to.block.min(self.blocks.len())]
            .iter()
            .map(Vec::len)
            .sum();
        u64_from(whole + to.at - from.at)
    }

    /// Inserts an item; returns whether it is new. O(log n) and a move within a block.
    pub(crate) fn insert(&mut self, item: T) -> bool {
        let mut cursor = self.seek(|other| *other < item);
        if self.at(cursor) == Some(&item) {
            return false;
        }
        if cursor.at == 0 && cursor.block > 0 {
            // Between two blocks: the end of the earlier one, which is where ascending items come.
            cursor.block -= 1;
            cursor.at = self.blocks[cursor.block].len();
        }
        if self.blocks.is_empty() {
            self.push_block(0, Vec::new());
        }
        if self.blocks[cursor.block].len() == BLOCK_MAX {
            cursor = self.split(cursor);
        }
        let block = &mut self.blocks[cursor.block];
        let before = block.capacity();
        block.insert(cursor.at, item);
        self.capacity += block.capacity() - before;
        self.len += 1;
        true
    }

    /// Makes room at a position in a full block; returns where it is now.
    fn split(&mut self, cursor: Cursor) -> Cursor {
        let next = cursor.block + 1;
        let is_end = cursor.at == BLOCK_MAX && next == self.blocks.len();
        // Ascending items leave full blocks behind them.
        let middle = if is_end { BLOCK_MAX } else { BLOCK_MAX / 2 };
        let block = &mut self.blocks[cursor.block];
        let upper = block.split_off(middle);
        self.push_block(next, upper);
        if cursor.at > middle || is_end {
            Cursor {
                block: next,
                at: cursor.at - middle,
            }
        } else {
            cursor
        }
    }

    fn push_block(&mut self, at: usize, block: Vec<T>) {
        self.capacity += block.capacity();
        self.blocks.insert(at, block);
    }

    /// Removes the item at which `before` ends, if `is_it`; returns it.
    pub(crate) fn remove(
        &mut self,
        before: impl Fn(&T) -> bool,
        is_it: impl Fn(&T) -> bool,
    ) -> Option<T> {
        let cursor = self.seek(before);
        if !self.at(cursor).is_some_and(is_it) {
            return None;
        }
        let item = self.blocks[cursor.block].remove(cursor.at);
        self.len -= 1;
        self.shrink(cursor.block);
        Some(item)
    }

    /// Removes a block that is empty, and joins one that is small with the next.
    fn shrink(&mut self, at: usize) {
        let len = self.blocks[at].len();
        if len == 0 {
            self.drop_block(at);
        } else if len < BLOCK_MIN
            && let Some(next) = self.blocks.get(at + 1).map(Vec::len)
            && next + len <= BLOCK_MAX / 2
        {
            let mut upper = self.drop_block(at + 1);
            let block = &mut self.blocks[at];
            let before = block.capacity();
            block.append(&mut upper);
            self.capacity += block.capacity() - before;
        }
    }

    fn drop_block(&mut self, at: usize) -> Vec<T> {
        let block = self.blocks.remove(at);
        self.capacity -= block.capacity();
        block
    }

    /// Removes the last block with all its items; returns it, if there was one.
    pub(crate) fn pop_block(&mut self) -> Option<Vec<T>> {
        let block = self.blocks.pop()?;
        self.capacity -= block.capacity();
        self.len -= u64_from(block.len());
        Some(block)
    }

    /// Returns what it has allocated; what its items have is not in it.
    pub(crate) fn bytes(&self) -> usize {
        self.capacity * size_of::<T>() + self.blocks.capacity() * size_of::<Vec<T>>()
    }

    /// Returns all items, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.blocks.iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use base::random::Random;

    use super::*;

    #[test]
    fn blocks_are_a_sorted_set() {
        let seed = std::env::var("SEED").map_or(1, |seed| seed.parse().unwrap());
        println!("SEED={seed}");
        let mut random = Random::new(seed);
        for span in [300, 3000, 100_000] {
            let (mut blocks, mut model) = (Blocks::default(), BTreeSet::new());
            for step in 0..20_000_u64 {
                let item = random.below(span);
                // More insertions at first, more removals then.
                if random.below(20_000) > step {
                    assert_eq!(blocks.insert(item), model.insert(item));
                } else {
                    let removed = blocks.remove(|other| *other < item, |other| *other == item);
                    assert_eq!(removed.is_some(), model.remove(&item));
                }
                if step % 997 == 0 {
                    check(&blocks, &model, &mut random, span);
                }
            }
            check(&blocks, &model, &mut random, span);
            while let Some(block) = blocks.pop_block() {
                assert!(!block.is_empty());
            }
            assert_eq!((blocks.len(), blocks.capacity), (0, 0));
        }
    }

    fn check(blocks: &Blocks<u64>, model: &BTreeSet<u64>, random: &mut Random, span: u64) {
        assert!(blocks.iter().eq(model));
        assert_eq!(blocks.len(), u64_from(model.len()));
        let capacity: usize = blocks.blocks.iter().map(Vec::capacity).sum();
        assert_eq!(blocks.capacity, capacity);
        let (low, high) = (random.below(span), random.below(span));
        let (low, high) = (low.min(high), low.max(high));
        let (from, to) = (
            blocks.seek(|&item| item < low),
            blocks.seek(|&item| item < high),
        );
        assert_eq!(
            blocks.count(from, to),
            u64_from(model.range(low..high).count())
        );
        assert_eq!(blocks.at(from), model.range(low..).next());
        let before = blocks.previous(from).and_then(|cursor| blocks.at(cursor));
        assert_eq!(before, model.range(..low).next_back());
        if blocks.at(from).is_some() {
            assert_eq!(blocks.at(blocks.next(from)), model.range(low..).nth(1));
        }
    }

    #[test]
    fn ascending_items_leave_full_blocks() {
        let mut blocks = Blocks::default();
        for item in 0..100_000_u64 {
            blocks.insert(item);
        }
        assert!(blocks.bytes() < 100_000 * 9, "{}", blocks.bytes());
    }
}
