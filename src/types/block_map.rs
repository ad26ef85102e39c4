//! An ordered map in blocks: what streams keep their nodes, groups and pending entries in.
//!
//! ```text
//!   blocks   [ block | block | block ]          a ring of arrays
//!               |       |       |
//!             k k k   k k k k   k k .           sorted, at most 64 each, none empty
//! ```
//!
//! Most keys come in rising order and go from the front. Then blocks are full, adding and removing cost
//! O(1), and nothing is kept beside keys and values but 24 bytes for each block.
//!
//! Invariants
//! - Keys rise within a block and from block to block; no block is empty.
//! - `block_bytes` is the sum of what all blocks take, so the memory is known without a walk.
//!
//! Costs, with n entries: finding O(log n); inserting and removing move at most one block and, once in
//! tens of entries, the ring of n/64 blocks.
//!
//! Not here: memory that keys and values own themselves.

use std::borrow::Borrow;
use std::collections::VecDeque;

use crate::memory;

/// Entries of a full block.
const BLOCK_LEN: usize = 64;

/// A map in the order of its keys. See the head of this file.
#[derive(Clone, Debug)]
pub struct BlockMap<K, V> {
    blocks: VecDeque<Vec<(K, V)>>,
    len: usize,
    block_bytes: usize,
}

/// Where an entry stands; good until the map changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    block: usize,
    index: usize,
}

impl<K, V> Default for BlockMap<K, V> {
    fn default() -> Self {
        Self {
            blocks: VecDeque::new(),
            len: 0,
            block_bytes: 0,
        }
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for BlockMap<K, V> {
    /// Compares the entries, however they are spread over blocks.
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<K, V> BlockMap<K, V> {
    /// Returns the number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the number of blocks.
    #[must_use]
    pub fn block_count(&self) -> usize {
        self.blocks.len()
    }

    /// Returns the bytes that ring and blocks take from the allocator. O(1).
    #[must_use]
    pub fn allocated_bytes(&self) -> usize {
        let ring = self.blocks.capacity() * size_of::<Vec<(K, V)>>();
        memory::allocated_bytes(ring) + self.block_bytes
    }

    /// Returns the first entry.
    #[must_use]
    pub fn first(&self) -> Option<(&K, &V)> {
        let (key, value) = self.blocks.front()?.first()?;
        Some((key, value))
    }

    /// Returns the last entry.
    #[must_use]
    pub fn last(&self) -> Option<(&K, &V)> {
        let (key, value) = self.blocks.back()?.last()?;
        Some((key, value))
    }

    /// Returns where the first entry stands.
    #[must_use]
    pub fn first_place(&self) -> Option<Place> {
        let place = Place { block: 0, index: 0 };
        (self.len > 0).then_some(place)
    }

    /// Returns where the last entry stands.
    #[must_use]
    pub fn last_place(&self) -> Option<Place> {
        let block = self.blocks.len().checked_sub(1)?;
        let index = self.blocks[block].len() - 1;
        Some(Place { block, index })
    }

    /// Returns the place behind `place`.
    #[must_use]
    pub fn next_place(&self, place: Place) -> Option<Place> {
        let Place { block, index } = place;
        if index + 1 < self.blocks.get(block)?.len() {
            let index = index + 1;
            return Some(Place { block, index });
        }
        let next = Place {
            block: block + 1,
            index: 0,
        };
        (next.block < self.blocks.len()).then_some(next)
    }

    /// Returns the place before `place`.
    #[must_use]
    pub fn previous_place(&self, place: Place) -> Option<Place> {
        let Place { block, index } = place;
        if let Some(index) = index.checked_sub(1) {
            return Some(Place { block, index });
        }
        let block = block.checked_sub(1)?;
        let index = self.blocks[block].len() - 1;
        Some(Place { block, index })
    }

    /// Returns the entry at `place`.
    ///
    /// # Panics
    ///
    /// If `place` is from before a change.
    #[must_use]
    pub fn at(&self, place: Place) -> (&K, &V) {
        let (key, value) = &self.blocks[place.block][place.index];
        (key, value)
    }

    /// Returns the value at `place` for change.
    ///
    /// # Panics
    ///
    /// If `place` is from before a change.
    pub fn at_mut(&mut self, place: Place) -> &mut V {
        &mut self.blocks[place.block][place.index].1
    }

    /// Removes the entry at `place`.
    ///
    /// # Panics
    ///
    /// If `place` is from before a change.
    pub fn remove_at(&mut self, place: Place) -> (K, V) {
        let block = &mut self.blocks[place.block];
        let removed = block.remove(place.index);
        self.len -= 1;
        if block.is_empty() {
            self.drop_block(place.block);
        } else if block.len() * 4 <= block.capacity() {
            self.block_bytes -= bytes_of(block);
            block.shrink_to(block.len() * 2);
            self.block_bytes += bytes_of(block);
            self.join(place.block);
        }
        removed
    }

    /// Iterates over all entries in order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.blocks
            .iter()
            .flatten()
            .map(|(key, value)| (key, value))
    }

    /// Removes up to `count` entries from the end; returns whether there are more.
    pub fn drop_entries(&mut self, count: usize) -> bool {
        for _ in 0..count {
            let Some(place) = self.last_place() else {
                return false;
            };
            drop(self.remove_at(place));
        }
        self.len > 0
    }

    fn drop_block(&mut self, index: usize) {
        if let Some(block) = self.blocks.remove(index) {
            self.block_bytes -= bytes_of(&block);
        }
        if self.blocks.len() * 4 <= self.blocks.capacity() {
            self.blocks.shrink_to(self.blocks.len() * 2);
        }
    }

    /// Joins a block with the one behind it, if both together are small.
    fn join(&mut self, index: usize) {
        let Some(next) = self.blocks.get_mut(index + 1) else {
            return;
        };
        if next.len() + self.blocks[index].len() > BLOCK_LEN / 2 {
            return;
        }
        let mut tail = std::mem::take(&mut self.blocks[index + 1]);
        self.block_bytes -= bytes_of(&tail);
        let block = &mut self.blocks[index];
        self.block_bytes -= bytes_of(block);
        block.append(&mut tail);
        self.block_bytes += bytes_of(block);
        drop(tail);
        self.drop_block(index + 1);
    }

    /// Makes room for one more entry in a block that is not full; sizes double.
    fn reserve(&mut self, index: usize) {
        let block = &mut self.blocks[index];
        if block.len() == block.capacity() {
            self.block_bytes -= bytes_of(block);
            block.reserve_exact(block.len().max(1));
            self.block_bytes += bytes_of(block);
        }
    }

    fn add_block(&mut self, index: usize, block: Vec<(K, V)>) {
        if self.blocks.len() == self.blocks.capacity() {
            self.blocks.reserve_exact(self.blocks.len().max(1));
        }
        self.block_bytes += bytes_of(&block);
        self.blocks.insert(index, block);
    }
}

impl<K: Ord, V> BlockMap<K, V> {
    /// Returns the place of the first key that is not below `key`.
    #[must_use]
    pub fn place_from<Q: Ord + ?Sized>(&self, key: &Q) -> Option<Place>
    where
        K: Borrow<Q>,
    {
        let block = self
            .blocks
            .partition_point(|block| block.last().is_some_and(|(last, _)| last.borrow() < key));
        let index = self
            .blocks
            .get(block)?
            .partition_point(|(each, _)| each.borrow() < key);
        Some(Place { block, index })
    }

    /// Returns the place of the last key that is not above `key`.
    #[must_use]
    pub fn place_up_to<Q: Ord + ?Sized>(&self, key: &Q) -> Option<Place>
    where
        K: Borrow<Q>,
    {
        match self.place_from(key) {
            None => self.last_place(),
            Some(place) if self.at(place).0.borrow() == key => Some(place),
            Some(place) => self.previous_place(place),
        }
    }

    /// Returns the place of `key`.
    #[must_use]
    pub fn find<Q: Ord + ?Sized>(&self, key: &Q) -> Option<Place>
    where
        K: Borrow<Q>,
    {
        let place = self.place_from(key)?;
        (self.at(place).0.borrow() == key).then_some(place)
    }

    /// Returns the value of `key`.
    #[must_use]
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.find(key).map(|place| self.at(place).1)
    }

    /// Returns the value of `key` for change.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let place = self.find(key)?;
        Some(self.at_mut(place))
    }

    /// Removes `key`; returns its value.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let place = self.find(key)?;
        Some(self.remove_at(place).1)
    }

    /// Iterates in order from the first key that is not below `key`.
    pub fn iter_from<'a, Q: Ord + ?Sized>(
        &'a self,
        key: &Q,
    ) -> impl Iterator<Item = (&'a K, &'a V)> + use<'a, K, V, Q>
    where
        K: Borrow<Q>,
    {
        let place = self.place_from(key);
        std::iter::successors(place, |&place| self.next_place(place)).map(|place| self.at(place))
    }

    /// Sets the value of `key`; returns the one it had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let place = match self.last() {
            // The usual case needs no search.
            Some((last, _)) if *last < key => None,
            Some(_) | None => self.place_from(&key),
        };
        match place {
            None => self.push(key, value),
            Some(place) if *self.at(place).0 == key => {
                return Some(std::mem::replace(self.at_mut(place), value));
            }
            Some(place) => self.insert_at(place, key, value),
        }
        self.len += 1;
        None
    }

    fn push(&mut self, key: K, value: V) {
        if self
            .blocks
            .back()
            .is_none_or(|block| block.len() == BLOCK_LEN)
        {
            self.add_block(self.blocks.len(), Vec::with_capacity(1));
        }
        let last = self.blocks.len() - 1;
        self.reserve(last);
        self.blocks[last].push((key, value));
    }

    fn insert_at(&mut self, place: Place, key: K, value: V) {
        let Place {
            mut block,
            mut index,
        } = place;
        if self.blocks[block].len() == BLOCK_LEN {
            let tail = self.blocks[block].split_off(BLOCK_LEN / 2);
            self.add_block(block + 1, tail);
            if let Some(beyond) = index.checked_sub(BLOCK_LEN / 2) {
                (block, index) = (block + 1, beyond);
            }
        }
        self.reserve(block);
        self.blocks[block].insert(index, (key, value));
    }
}

/// Returns the bytes that a block takes from the allocator.
fn bytes_of<E>(block: &Vec<E>) -> usize {
    memory::allocated_bytes(block.capacity() * size_of::<E>())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use base::random::Random;

    use super::*;

    fn check(map: &BlockMap<u64, u64>, model: &BTreeMap<u64, u64>, probe: u64) {
        assert_eq!(map.len(), model.len());
        assert!(map.iter().eq(model.iter()));
        assert!(map.iter_from(&probe).eq(model.range(probe..)));
        let up_to = map.place_up_to(&probe).map(|place| map.at(place));
        assert_eq!(up_to, model.range(..=probe).next_back());
        assert_eq!(map.first(), model.first_key_value());
        assert_eq!(map.last(), model.last_key_value());
        assert!(map.blocks.iter().all(|block| !block.is_empty()));
        let bytes: usize = map.blocks.iter().map(bytes_of).sum();
        assert_eq!(map.block_bytes, bytes);
    }

    fn seed() -> u64 {
        let seed = std::env::var("SEED")
            .ok()
            .and_then(|text| text.parse().ok());
        let seed = seed.unwrap_or(0x0B10_C4B5);
        println!("SEED={seed}");
        seed
    }

    #[test]
    fn it_holds_what_a_tree_holds() {
        let mut random = Random::new(seed());
        for round in 0..40 {
            let mut map = BlockMap::default();
            let mut model = BTreeMap::new();
            let removals = random.below(10);
            for step in 0..600 {
                let key = random.below(400);
                if random.below(10) < removals {
                    assert_eq!(map.remove(&key), model.remove(&key));
                } else {
                    assert_eq!(map.insert(key, step), model.insert(key, step));
                }
                if step % 50 == 0 {
                    check(&map, &model, random.below(420));
                }
            }
            check(&map, &model, round);
            while map.drop_entries(7) {}
            check(&map, &BTreeMap::new(), 0);
            assert_eq!(map.block_bytes, 0);
        }
    }

    #[test]
    fn rising_keys_fill_blocks() {
        let mut map = BlockMap::default();
        for key in 0..64_000_u64 {
            map.insert(key, 1_u64);
        }
        assert_eq!(map.block_count(), 1000);
        assert!(map.allocated_bytes() <= 64_000 * 16 + 1024 * 24);
        while let Some(place) = map.first_place().filter(|_| map.len() > 10) {
            map.remove_at(place);
        }
        assert!(map.allocated_bytes() < 1024, "{}", map.allocated_bytes());
    }

    #[test]
    fn steps_go_forward_and_back() {
        let mut map = BlockMap::default();
        for key in 0..200_u64 {
            map.insert(key, ());
        }
        let mut place = map.first_place();
        let mut seen = 0;
        while let Some(at) = place {
            assert_eq!(*map.at(at).0, seen);
            place = map.next_place(at);
            if let Some(next) = place {
                assert_eq!(map.previous_place(next), Some(at));
            }
            seen += 1;
        }
        assert_eq!(seen, 200);
    }
}
