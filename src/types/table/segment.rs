//! Up to 39 elements whose hashes begin alike, without gaps, and a byte of each one's hash.
//!
//! ```text
//! 64 bytes:  tag tag tag ... tag depth | place, length and capacity of the elements
//!             0   1   2       38   39
//! ```
//!
//! A search compares eight tags at a time and then the keys of those that agree: one in 256 does by
//! chance. As the elements have no gaps, their array is as long as they need, give or take a step.
//!
//! Invariants
//! - Tag `i` belongs to element `i`. Elements from 39 on have none and are compared by their keys.
//!   Only hashes that agree in more bits than a table divides by lead there.
//! - The highest `depth` bits of all hashes are equal.
//!
//! Not here: which segment is whose (`region`), hashing.

use std::mem;

use base::cast;

use crate::memory::allocated_bytes;

/// Elements with a tag; more are kept only where division does not help.
pub(super) const TAGS: usize = 39;

/// Two neighbours with no more than this together become one: half-way between the 20 of a fresh
/// half and what would soon divide again.
const MERGED_MAX: usize = 26;

/// A segment with more elements does not look whether it could merge; of two that can, one has less.
const SPARSE_MAX: usize = MERGED_MAX / 2;

/// Capacities up to 32 are multiples of this.
const STEP: usize = 4;

/// See the head of the file.
#[derive(Clone, Debug)]
pub(super) struct Segment<T> {
    tags: [u8; TAGS + 1],
    elements: Vec<T>,
}

impl<T> Segment<T> {
    /// Creates one without elements and without memory for them.
    pub(super) fn new(depth: u32) -> Self {
        let mut segment = Self {
            tags: [0; TAGS + 1],
            elements: Vec::new(),
        };
        segment.tags[TAGS] = u8::try_from(depth).expect("a depth is at most 48");
        segment
    }

    /// Returns how many bits of the hashes are alike.
    pub(super) fn depth(&self) -> u32 {
        u32::from(self.tags[TAGS])
    }

    /// Returns the lowest hash that belongs here, and the lowest above that does not: 0 for 2^64.
    /// `hash` is any that belongs here.
    pub(super) fn range_around(&self, hash: u64) -> (u64, u64) {
        let prefix = cast::u64_from(super::leading(hash, self.depth()));
        let lowest = |prefix: u64| {
            let shifted = prefix.checked_shl(u64::BITS - self.depth());
            shifted.unwrap_or(0)
        };
        (lowest(prefix), lowest(prefix + 1))
    }

    pub(super) fn elements(&self) -> &[T] {
        &self.elements
    }

    pub(super) fn element_mut(&mut self, index: usize) -> &mut T {
        &mut self.elements[index]
    }

    pub(super) fn into_elements(self) -> Vec<T> {
        self.elements
    }

    /// Returns the bytes of the array of elements, without what elements own elsewhere.
    pub(super) fn bytes(&self) -> usize {
        allocated_bytes(self.elements.capacity() * size_of::<T>())
    }

    /// Returns whether the next element has no tag.
    pub(super) fn is_full(&self) -> bool {
        self.elements.len() >= TAGS
    }

    /// Returns whether it is worth looking at the neighbour.
    pub(super) fn is_sparse(&self) -> bool {
        self.elements.len() <= SPARSE_MAX
    }

    /// Returns whether both fit in one and leave it room.
    pub(super) fn fits_with(&self, other: &Self) -> bool {
        self.elements.len() + other.elements.len() <= MERGED_MAX
    }

    /// Returns the place of the element that `is_it` says it is; `tag` is that of its hash.
    #[inline]
    pub(super) fn position(&self, tag: u8, is_it: impl Fn(&T) -> bool) -> Option<usize> {
        const ONES: u64 = 0x0101_0101_0101_0101;
        let pattern = ONES * u64::from(tag);
        let len = self.elements.len();
        let is_at = |index: &usize| self.elements.get(*index).is_some_and(&is_it);
        let (words, _) = self.tags.as_chunks::<8>();
        for (word, first) in words.iter().zip((0..len).step_by(8)) {
            // Marks the bytes that are zero, and perhaps some above such a one: the key decides.
            let differences = u64::from_le_bytes(*word) ^ pattern;
            let mut marks = differences.wrapping_sub(ONES) & !differences & (ONES << 7);
            while marks != 0 {
                let index = first + cast::usize_from_u32(marks.trailing_zeros() / 8);
                if is_at(&index) {
                    return Some(index);
                }
                marks &= marks - 1;
            }
        }
        (TAGS..len).find(is_at)
    }

    /// Adds an element whose key is not there.
    pub(super) fn push(&mut self, tag: u8, element: T) {
        let len = self.elements.len();
        if len == self.elements.capacity() {
            self.elements.reserve_exact(capacity_for(len + 1) - len);
        }
        if len < TAGS {
            self.tags[len] = tag;
        }
        self.elements.push(element);
    }

    /// Takes an element out; the last one comes into its place. `tag_of` gives the tag of an
    /// element that had none.
    pub(super) fn remove(&mut self, index: usize, tag_of: impl FnOnce(&T) -> u8) -> T {
        let last = self.elements.len() - 1;
        if index < TAGS {
            self.tags[index] = if last < TAGS {
                self.tags[last]
            } else {
                tag_of(&self.elements[last])
            };
        }
        let removed = self.elements.swap_remove(index);
        if self.elements.capacity() >= last + 2 * STEP {
            self.elements.shrink_to(match last {
                0 => 0,
                _ => capacity_for(last + 1),
            });
        }
        removed
    }

    /// Moves the elements whose next bit of the hash is 1 to a new segment, and returns it.
    pub(super) fn split(&mut self, hash_of: impl Fn(&T) -> u64) -> Self {
        let depth = self.depth() + 1;
        let elements = mem::take(&mut self.elements);
        let hashes: Vec<u64> = elements.iter().map(hash_of).collect();
        let is_high = |hash: u64| (hash >> (u64::BITS - depth)) & 1 == 1;
        let high_count = hashes.iter().filter(|&&hash| is_high(hash)).count();
        let (mut low, mut high) = (Self::new(depth), Self::new(depth));
        low.elements
            .reserve_exact(capacity_for(elements.len() - high_count));
        high.elements.reserve_exact(capacity_for(high_count));
        for (element, hash) in elements.into_iter().zip(hashes) {
            let half = if is_high(hash) { &mut high } else { &mut low };
            half.push(super::tag_of(hash), element);
        }
        *self = low;
        high
    }

    /// Takes over the elements of the neighbour; see [`Segment::fits_with`].
    pub(super) fn merge(&mut self, other: Self) {
        self.tags[TAGS] -= 1;
        let len = self.elements.len();
        let other_len = other.elements.len();
        self.tags[len..len + other_len].copy_from_slice(&other.tags[..other_len]);
        if self.elements.capacity() < len + other_len {
            let capacity = capacity_for(len + other_len);
            self.elements.reserve_exact(capacity - len);
        }
        self.elements.extend(other.elements);
    }
}

/// Returns the capacity for `len` elements: multiples of four, as are the sizes of the allocator at
/// four per doubling, so that little is lost to rounding.
fn capacity_for(len: usize) -> usize {
    match len {
        0..=32 => len.next_multiple_of(STEP),
        33..=TAGS => TAGS,
        _ => len + len / 4,
    }
}
