//! A hash table for any number of elements in which no operation takes long: large sets, hashes and
//! the names of sorted sets.
//!
//! ```text
//! root, by the highest bits of the hash:  0.    10    11
//!                                          |     |     |
//! regions, each with a directory:       [....] [....] [....]   by the bits that follow
//!                                        | |/   see `region`
//! segments of up to 39 elements:        [ ][ ]                 see `segment`
//! ```
//!
//! This is extendible hashing twice: a full segment is split in two by the next bit of the hash, and a
//! region whose directory would pass 1024 words likewise; where elements are removed, sparse
//! neighbours merge. So one insertion or removal moves some 40 elements, at times the 64 KiB of a
//! region's segments, and rarely the root, which has a word per ten thousand elements or so. A table
//! of few elements is one segment that grows in steps of four.
//!
//! # Cursors
//!
//! A cursor is the lowest hash that a scan has not shown, its highest 48 bits. A scan shows segments
//! in the order of their hashes and pauses only between two. Each of its calls shows all elements from
//! its cursor to the next: of a segment that has come to lie around the cursor by merging, only those
//! from the cursor on. As the hash of an element never changes, an element that stays is shown exactly
//! once, whatever is inserted and removed meanwhile.
//!
//! Invariants
//! - A region of depth `d` fills an aligned run of `2^(root depth - d)` words of the root.
//! - An element is in the segment its hash leads to, and no key is there twice.
//! - `region_bytes` and `element_bytes` are the sums over all that is allocated, so they cost O(1).
//! - What the table does depends on its seed and its history alone.
//!
//! Hashes come from a keyed function. Should many keys agree in their leading bits all the same, the
//! root stops to double at eight words per region, and a segment grows long instead: slow, but right.
//!
//! Not here: what elements mean; small collections (`listpack`).

mod region;
mod segment;

use std::fmt;
use std::mem;

use base::cast;
use base::hash::KeyHasher;
use base::random::Random;

use crate::memory::allocated_bytes;
use region::Region;
use segment::{Segment, TAGS};

/// Bits of the hash that a cursor leaves out, so that it is positive wherever 64 bits have a sign and
/// exact wherever numbers have 53 bits.
const CURSOR_SHIFT: u32 = 16;

/// The root doubles only while it has fewer words per region than this. Regions of good hashes differ
/// in depth by one or two.
const ROOT_WORDS_PER_REGION: usize = 8;

/// What a [`Table`] holds.
pub trait Element {
    /// Returns the bytes by which the element is found. They never change while it is in a table.
    fn key(&self) -> &[u8];

    /// Returns the bytes allocated for the element outside itself, each allocation as
    /// [`allocated_bytes`] counts it. O(1).
    fn heap_bytes(&self) -> usize;
}

/// Knows the keys of elements that do not hold them themselves, such as numbers of places in an array.
pub trait Keys<T> {
    /// Returns the bytes by which the element is found. They never change while it is in a table.
    fn key<'a>(&'a self, element: &'a T) -> &'a [u8];

    /// Returns the bytes that the table counts for the element beside the element itself. O(1).
    fn heap_bytes(&self, element: &T) -> usize;
}

/// The keys of elements that hold them.
#[derive(Clone, Copy, Debug, Default)]
pub struct OwnKeys;

impl<T: Element> Keys<T> for OwnKeys {
    fn key<'a>(&'a self, element: &'a T) -> &'a [u8] {
        element.key()
    }

    fn heap_bytes(&self, element: &T) -> usize {
        element.heap_bytes()
    }
}

impl Element for Box<[u8]> {
    fn key(&self) -> &[u8] {
        self
    }

    fn heap_bytes(&self) -> usize {
        allocated_bytes(self.len())
    }
}

/// A set of elements with different keys. See the head of the module.
#[expect(
    clippy::vec_box,
    reason = "when the list of regions grows, it moves words instead of regions"
)]
pub struct Table<T, K = OwnKeys> {
    hasher: KeyHasher,
    keys: K,
    /// Numbers of regions; empty, or a power of two of them.
    root: Vec<u32>,
    regions: Vec<Box<Region<T>>>,
    /// Regions that are being freed; their elements are not in the table any more.
    remains: Vec<Box<Region<T>>>,
    len: usize,
    /// Bytes of `regions` and `remains`, without what elements own.
    region_bytes: usize,
    /// Bytes that elements own.
    element_bytes: usize,
    /// No segment has more elements than this.
    segment_len_max: usize,
}

impl<T: Element> Table<T> {
    /// Creates an empty table. It has no memory until the first insertion.
    #[must_use]
    pub const fn new(hasher: KeyHasher) -> Self {
        Self::with_keys(hasher, OwnKeys)
    }
}

impl<T, K: Keys<T>> Table<T, K> {
    /// Creates an empty table of elements whose keys `keys` knows.
    #[must_use]
    pub const fn with_keys(hasher: KeyHasher, keys: K) -> Self {
        Self {
            hasher,
            keys,
            root: Vec::new(),
            regions: Vec::new(),
            remains: Vec::new(),
            len: 0,
            region_bytes: 0,
            element_bytes: 0,
            segment_len_max: TAGS,
        }
    }

    /// Returns what knows the keys.
    #[must_use]
    pub const fn keys(&self) -> &K {
        &self.keys
    }

    /// Returns what knows the keys, for change. Those of elements in the table must stay.
    pub const fn keys_mut(&mut self) -> &mut K {
        &mut self.keys
    }

    /// Returns the number of elements.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Returns whether there is no element.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the bytes of all allocations, those that elements own included, without the `Table`
    /// itself. O(1).
    #[must_use]
    pub fn allocated_bytes(&self) -> usize {
        allocated_bytes(self.root.capacity() * size_of::<u32>())
            + allocated_bytes(self.regions.capacity() * size_of::<Box<Region<T>>>())
            + allocated_bytes(self.remains.capacity() * size_of::<Box<Region<T>>>())
            + self.region_bytes
            + self.element_bytes
    }

    /// Returns the element with this key. O(1): one hash, one segment.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&T> {
        let hash = self.hasher.hash(key);
        let segment = self.region_of(hash)?.segment_for(hash);
        let is_it = |element: &T| self.keys.key(element) == key;
        let position = segment.position(tag_of(hash), is_it)?;
        segment.elements().get(position)
    }

    /// Returns whether there is an element with this key.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        self.get(key).is_some()
    }

    /// Changes the element with this key, and counts its bytes again. `change` must leave the key as
    /// it is. Returns what `change` does, or `None` if there is no such element.
    pub fn update<R>(&mut self, key: &[u8], change: impl FnOnce(&mut T) -> R) -> Option<R> {
        let found = self.find(self.hasher.hash(key), key)?;
        let region = self.regions.get_mut(found.region)?;
        let element = region.element_mut(found.segment, found.position);
        let before = self.keys.heap_bytes(element);
        let result = change(element);
        debug_assert!(self.keys.key(element) == key, "a change keeps the key");
        self.element_bytes = self.element_bytes + self.keys.heap_bytes(element) - before;
        Some(result)
    }

    /// Puts `new` in the place of `old`, an equal of which has to be in the table. The key of `old` is
    /// that which `new` is about to have, and the bytes counted for both must be equal. Returns
    /// whether `old` was there.
    pub fn rename(&mut self, old: &T, new: T) -> bool
    where
        T: PartialEq,
    {
        let hash = self.hasher.hash(self.keys.key(old));
        let Some(found) = self.find_by(hash, |element| element == old) else {
            return false;
        };
        *self.regions[found.region].element_mut(found.segment, found.position) = new;
        true
    }

    /// Inserts `element`. Returns the one with the same key that was there before, which leaves.
    ///
    /// Cost: mostly O(1); see the head of the module for the most it moves.
    pub fn insert(&mut self, element: T) -> Option<T> {
        let hash = self.hasher.hash(self.keys.key(&element));
        self.element_bytes += self.keys.heap_bytes(&element);
        if let Some(found) = self.find(hash, self.keys.key(&element)) {
            let place = self.regions[found.region].element_mut(found.segment, found.position);
            let old = mem::replace(place, element);
            self.element_bytes -= self.keys.heap_bytes(&old);
            return Some(old);
        }
        if self.regions.is_empty() {
            let region = Region::new();
            self.region_bytes += region.bytes();
            self.regions.push(region);
            self.root.push(0);
        }
        while self.is_full_at(hash) && self.split(hash) {}
        let index = self.region_index(hash);
        let segment = self.regions[index].segment_of(hash);
        let len = self.change_region(index, |region| {
            region.change(segment, |segment| {
                segment.push(tag_of(hash), element);
                segment.elements().len()
            })
        });
        self.segment_len_max = self.segment_len_max.max(len);
        self.len += 1;
        None
    }

    /// Takes out the element with this key.
    ///
    /// Cost: as [`Table::insert`].
    pub fn remove(&mut self, key: &[u8]) -> Option<T> {
        let hash = self.hasher.hash(key);
        let found = self.find(hash, key)?;
        Some(self.remove_found(hash, found))
    }

    /// Takes out the element that is equal to this one, which costs no comparison of keys.
    ///
    /// Cost: as [`Table::insert`].
    pub fn take(&mut self, element: &T) -> Option<T>
    where
        T: PartialEq,
    {
        let hash = self.hasher.hash(self.keys.key(element));
        let found = self.find_by(hash, |other| other == element)?;
        Some(self.remove_found(hash, found))
    }

    fn remove_found(&mut self, hash: u64, found: Found) -> T {
        let (element, merged) = self.change_region_with(found.region, |region, hasher, keys| {
            let tag = |element: &T| tag_of(hasher.hash(keys.key(element)));
            let (element, is_sparse) = region.change(found.segment, |segment| {
                let element = segment.remove(found.position, tag);
                (element, segment.is_sparse())
            });
            (element, is_sparse && region.merge_segments(hash))
        });
        self.len -= 1;
        self.element_bytes -= self.keys.heap_bytes(&element);
        while merged && self.merge_region(hash) {}
        element
    }

    /// Returns all elements, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        let segments = self.regions.iter().flat_map(|region| region.segments());
        segments.flat_map(Segment::elements)
    }

    /// Returns all elements, as [`Table::iter`].
    pub fn into_elements(self) -> impl Iterator<Item = T> {
        let regions = self.regions.into_iter();
        let segments = regions.flat_map(|region| region.into_segments());
        segments.flat_map(Segment::into_elements)
    }

    /// Shows elements from `cursor` on until there were `count` of them or somewhat more, as segments
    /// are shown whole. Returns the cursor to go on with, 0 at the end; a scan begins with 0.
    ///
    /// An element that is there from the first call to the last is shown exactly once; one that comes
    /// or goes meanwhile at most once for each time it comes. A cursor that no scan returned is taken
    /// as any other; above all of them is the end.
    ///
    /// Cost: O(count), at least one segment. Empty segments count as one element.
    pub fn scan(&self, cursor: u64, count: usize, each: &mut dyn FnMut(&T)) -> u64 {
        let mut shown = 0;
        let mut start = cursor << CURSOR_SHIFT;
        if start >> CURSOR_SHIFT != cursor {
            return 0;
        }
        while let Some(region) = self.region_of(start) {
            let segment = region.segment_for(start);
            let (lowest, end) = segment.range_around(start);
            for element in segment.elements() {
                if lowest == start || self.hasher.hash(self.keys.key(element)) >= start {
                    each(element);
                    shown += 1;
                }
            }
            shown += usize::from(segment.elements().is_empty());
            if shown >= count || end == 0 {
                return end >> CURSOR_SHIFT;
            }
            start = end;
        }
        0
    }

    /// Returns the cursor from which [`Table::scan`] shows the element with this key in its first
    /// segment: a short name for the key, which a few keys may share.
    #[must_use]
    pub fn cursor_of(&self, key: &[u8]) -> u64 {
        self.hasher.hash(key) >> CURSOR_SHIFT
    }

    /// Returns an element, each with the same chance. `None` if there is none.
    ///
    /// Cost: O(1) expected: some two to four tries, more after many removals.
    #[must_use]
    pub fn random(&self, random: &mut Random) -> Option<&T> {
        if self.is_empty() {
            return None;
        }
        // All places that could exist are as likely; those that do not are thrown again.
        let segments_max = match self.regions.as_slice() {
            [only] => only.segments().len(),
            _ => region::SEGMENTS_MAX,
        };
        let places = self.regions.len() * segments_max * self.segment_len_max;
        loop {
            let place = random.index(places);
            let (rest, position) = (place / self.segment_len_max, place % self.segment_len_max);
            let region = &self.regions[rest / segments_max];
            let segment = region.segments().get(rest % segments_max);
            if let Some(element) = segment.and_then(|it| it.elements().get(position)) {
                return Some(element);
            }
        }
    }

    /// Empties the table at once and frees its memory in steps: about `elements` elements now.
    /// Returns whether there is more to free. Meanwhile the table works as an empty one, whose
    /// [`Table::allocated_bytes`] include what is not free yet.
    ///
    /// Cost: O(elements), at least one segment.
    pub fn free_step(&mut self, elements: usize) -> bool {
        if !self.regions.is_empty() {
            self.root = Vec::new();
            self.remains.append(&mut self.regions);
            self.regions = Vec::new();
            self.len = 0;
            self.segment_len_max = TAGS;
        }
        let mut freed = 0;
        while let Some(region) = self.remains.last_mut() {
            if freed >= elements {
                return true;
            }
            let before = region.bytes();
            let Some(segment) = region.pop() else {
                self.region_bytes -= before;
                self.remains.pop();
                continue;
            };
            self.region_bytes -= before - region.bytes();
            let elements = segment.elements().iter();
            let owned: usize = elements.map(|it| self.keys.heap_bytes(it)).sum();
            self.element_bytes -= owned;
            freed += segment.elements().len().max(1);
        }
        self.remains = Vec::new();
        false
    }

    /// Returns the number of the region that `hash` belongs to. There must be one.
    fn region_index(&self, hash: u64) -> usize {
        cast::usize_from_u32(self.root[leading(hash, self.root_depth())])
    }

    fn region_of(&self, hash: u64) -> Option<&Region<T>> {
        let word = *self.root.get(leading(hash, self.root_depth()))?;
        self.regions
            .get(cast::usize_from_u32(word))
            .map(AsRef::as_ref)
    }

    /// Returns how many bits of the hash the root looks at.
    fn root_depth(&self) -> u32 {
        self.root.len().checked_ilog2().unwrap_or(0)
    }

    fn find(&self, hash: u64, key: &[u8]) -> Option<Found> {
        self.find_by(hash, |element| self.keys.key(element) == key)
    }

    fn find_by(&self, hash: u64, is_it: impl Fn(&T) -> bool) -> Option<Found> {
        let region = self.region_of(hash)?;
        let segment = region.segment_of(hash);
        let position = region.segments()[segment].position(tag_of(hash), is_it)?;
        Some(Found {
            region: self.region_index(hash),
            segment,
            position,
        })
    }

    fn is_full_at(&self, hash: u64) -> bool {
        self.region_of(hash)
            .is_some_and(|region| region.segment_for(hash).is_full())
    }

    /// Changes a region and counts its bytes again.
    fn change_region<R>(&mut self, index: usize, change: impl FnOnce(&mut Region<T>) -> R) -> R {
        self.change_region_with(index, |region, _, _| change(region))
    }

    /// As [`Table::change_region`], with what it takes to hash elements.
    fn change_region_with<R>(
        &mut self,
        index: usize,
        change: impl FnOnce(&mut Region<T>, &KeyHasher, &K) -> R,
    ) -> R {
        let region = &mut self.regions[index];
        let before = region.bytes();
        let result = change(region, &self.hasher, &self.keys);
        self.region_bytes = self.region_bytes + region.bytes() - before;
        result
    }

    /// Splits the segment that `hash` belongs to, or its region if its directory is full. Returns
    /// `false` if nothing can be split.
    fn split(&mut self, hash: u64) -> bool {
        let index = self.region_index(hash);
        if self.change_region_with(index, |region, hasher, keys| {
            region.split_segment(hash, |element| hasher.hash(keys.key(element)))
        }) {
            return true;
        }
        let depth = self.regions[index].depth();
        if depth == self.root_depth() {
            if self.root.len() >= ROOT_WORDS_PER_REGION * self.regions.len() {
                return false;
            }
            self.root = self.root.iter().flat_map(|&word| [word, word]).collect();
        }
        let high = self.change_region(index, Region::split);
        self.region_bytes += high.bytes();
        let count = self.regions.len();
        if count == self.regions.capacity() {
            self.regions.reserve_exact(1 + count / 8);
        }
        self.regions.push(high);
        let run = 1_usize << (self.root_depth() - depth);
        let start = leading(hash, depth) * run;
        self.root[start + run / 2..start + run].fill(cast::u32_from(count));
        true
    }

    /// Merges the region that `hash` belongs to with its neighbour if both are small. Returns whether
    /// it did.
    fn merge_region(&mut self, hash: u64) -> bool {
        let index = self.region_index(hash);
        let depth = self.regions[index].depth();
        if depth == 0 {
            return false;
        }
        let bit = 1 << (u64::BITS - depth);
        let (low, high) = (
            self.region_index(hash & !bit),
            self.region_index(hash | bit),
        );
        if !self.regions[low].fits_with(&self.regions[high]) {
            return false;
        }
        let last = cast::u32_from(self.regions.len() - 1);
        let (kept, gone) = (cast::u32_from(low), cast::u32_from(high));
        let removed = self.regions.swap_remove(high);
        // The last region has come into the place of the one that went.
        for word in &mut self.root {
            let merged = if *word == gone { kept } else { *word };
            *word = if merged == last { gone } else { merged };
        }
        let kept = if kept == last { high } else { low };
        self.region_bytes -= removed.bytes();
        self.change_region(kept, |region| region.merge(*removed));
        while self.root.len() > 1 && region::is_paired(&self.root) {
            self.root = region::halved(&self.root);
        }
        if self.regions.capacity() > 2 + self.regions.len() + self.regions.len() / 4 {
            let count = self.regions.len();
            self.regions.shrink_to(count + count / 8);
        }
        true
    }
}

/// Where an element is: the numbers of its region, of the segment there, and its place in that.
#[derive(Clone, Copy)]
struct Found {
    region: usize,
    segment: usize,
    position: usize,
}

impl<T: Clone, K: Keys<T> + Clone> Clone for Table<T, K> {
    /// Copies the elements. O(len); remains that [`Table::free_step`] left are not copied.
    fn clone(&self) -> Self {
        let mut regions = self.regions.clone();
        // Copies have no spare room.
        for region in &mut regions {
            region.recount();
        }
        Self {
            hasher: self.hasher.clone(),
            keys: self.keys.clone(),
            root: self.root.clone(),
            remains: Vec::new(),
            len: self.len,
            region_bytes: regions.iter().map(|region| region.bytes()).sum(),
            element_bytes: self.iter().map(|it| self.keys.heap_bytes(it)).sum(),
            segment_len_max: self.segment_len_max,
            regions,
        }
    }
}

impl<T: fmt::Debug, K: Keys<T>> fmt::Debug for Table<T, K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.iter()).finish()
    }
}

impl<T: PartialEq, K: Keys<T>> PartialEq for Table<T, K> {
    /// Compares as sets: neither order nor seed matter.
    fn eq(&self, other: &Self) -> bool {
        let mut elements = self.iter();
        self.len == other.len && elements.all(|it| other.get(self.keys.key(it)) == Some(it))
    }
}

impl<T: Eq, K: Keys<T>> Eq for Table<T, K> {}

/// Returns the byte of a hash that segments keep. Its highest bits choose the segment.
fn tag_of(hash: u64) -> u8 {
    let [low, ..] = hash.to_le_bytes();
    low
}

/// Returns the number that the highest `count` bits of `hash` are, at most 63 of them.
#[inline]
fn leading(hash: u64, count: u32) -> usize {
    cast::usize_from(hash >> 1 >> (63 - count))
}

#[cfg(test)]
mod tests;
