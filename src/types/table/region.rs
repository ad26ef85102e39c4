//! A part of a table with its own directory of at most 1024 words: some ten to twenty thousand
//! elements. It exists so that no array of the table ever grows long.
//!
//! Invariants
//! - The directory has `2^bits` words; it is indexed by the bits of the hash after the first `depth`.
//! - A segment of depth `d` fills an aligned run of `2^(depth + bits - d)` words.
//! - `bytes` is the sum over all allocations of the region.
//!
//! Not here: the search inside a segment (`segment`), which region a hash belongs to (`super`).

use super::leading;
use super::segment::Segment;
use crate::memory::allocated_bytes;

/// Most bits that a directory is indexed by.
pub(super) const BITS_MAX: u32 = 10;

/// Most segments of a region, as each has a word in the directory.
pub(super) const SEGMENTS_MAX: usize = 1 << BITS_MAX;

/// Two regions become one when they have no more segments than this together; a region has 700 to
/// 900 when it divides.
const MERGED_SEGMENTS_MAX: usize = 512;

/// See the head of the file.
#[derive(Clone, Debug)]
pub(super) struct Region<T> {
    depth: u32,
    bits: u32,
    directory: Vec<u16>,
    segments: Vec<Segment<T>>,
    bytes: usize,
}

impl<T> Region<T> {
    /// Creates the only region of a table, with one segment.
    pub(super) fn new() -> Box<Self> {
        Box::new(Self::with(0, 0, vec![0], vec![Segment::new(0)]))
    }

    fn with(depth: u32, bits: u32, directory: Vec<u16>, segments: Vec<Segment<T>>) -> Self {
        let mut region = Self {
            depth,
            bits,
            directory,
            segments,
            bytes: 0,
        };
        region.recount();
        region
    }

    /// Returns how many bits of the hashes are alike.
    pub(super) fn depth(&self) -> u32 {
        self.depth
    }

    /// Returns the bytes of all allocations, the region's own too, without what elements own.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn segments(&self) -> &[Segment<T>] {
        &self.segments
    }

    /// Takes a segment out to be freed; the region is of no other use from then on.
    pub(super) fn pop(&mut self) -> Option<Segment<T>> {
        let segment = self.segments.pop()?;
        self.bytes -= segment.bytes();
        Some(segment)
    }

    pub(super) fn into_segments(self) -> Vec<Segment<T>> {
        self.segments
    }

    /// Returns the number of the segment that `hash` belongs to.
    #[inline]
    pub(super) fn segment_of(&self, hash: u64) -> usize {
        usize::from(self.directory[self.word_of(hash)])
    }

    fn word_of(&self, hash: u64) -> usize {
        leading(hash << self.depth, self.bits)
    }

    /// Returns the segment that `hash` belongs to.
    #[inline]
    pub(super) fn segment_for(&self, hash: u64) -> &Segment<T> {
        &self.segments[self.segment_of(hash)]
    }

    /// Returns an element for a change that leaves the segment's own bytes as they are.
    pub(super) fn element_mut(&mut self, segment: usize, position: usize) -> &mut T {
        self.segments[segment].element_mut(position)
    }

    /// Changes a segment and counts its bytes again.
    pub(super) fn change<R>(
        &mut self,
        index: usize,
        change: impl FnOnce(&mut Segment<T>) -> R,
    ) -> R {
        let segment = &mut self.segments[index];
        let before = segment.bytes();
        let result = change(segment);
        self.bytes = self.bytes + segment.bytes() - before;
        result
    }

    /// Divides the segment that `hash` belongs to. Returns whether it did: not if the directory would
    /// have to be longer than it may be.
    ///
    /// Cost: its elements, of which the keys are hashed; at times an array of at most 64 KiB.
    pub(super) fn split_segment(&mut self, hash: u64, hash_of: impl Fn(&T) -> u64) -> bool {
        let index = self.segment_of(hash);
        let depth = self.segments[index].depth();
        if depth == self.depth + self.bits {
            if self.bits == BITS_MAX {
                return false;
            }
            self.double();
        }
        let frame = self.frame_bytes();
        let before = self.segments[index].bytes();
        let high = self.segments[index].split(hash_of);
        let after = self.segments[index].bytes() + high.bytes();
        let count = self.segments.len();
        if count == self.segments.capacity() {
            self.segments.reserve_exact(1 + count / 8);
        }
        self.segments.push(high);
        let run = 1_usize << (self.depth + self.bits - depth);
        let start = self.word_of(hash) & !(run - 1);
        self.directory[start + run / 2..start + run].fill(word_from(count));
        self.bytes = self.bytes + self.frame_bytes() + after - frame - before;
        true
    }

    /// Merges the segment that `hash` belongs to with its neighbours as long as both are sparse.
    /// Returns whether it did.
    ///
    /// Cost: at most [`BITS_MAX`] times 26 elements, and as often the directory is read.
    pub(super) fn merge_segments(&mut self, hash: u64) -> bool {
        let frame = self.frame_bytes();
        let mut merged = false;
        while self.merge_segment(hash) {
            merged = true;
        }
        if merged {
            let count = self.segments.len();
            if self.segments.capacity() > 2 + count + count / 4 {
                self.segments.shrink_to(count + count / 8);
            }
            self.bytes = self.bytes + self.frame_bytes() - frame;
        }
        merged
    }

    fn merge_segment(&mut self, hash: u64) -> bool {
        let index = self.segment_of(hash);
        let segment = &self.segments[index];
        let depth = segment.depth();
        if depth == self.depth || !segment.is_sparse() {
            return false;
        }
        let other = self.segment_of(hash ^ (1 << (u64::BITS - depth)));
        let neighbour = &self.segments[other];
        if neighbour.depth() != depth || !segment.fits_with(neighbour) {
            return false;
        }
        let last = word_from(self.segments.len() - 1);
        let (kept, gone) = (word_from(index), word_from(other));
        let removed = self.segments.swap_remove(other);
        // The last segment has come into the place of the one that went.
        for word in &mut self.directory {
            let merged = if *word == gone { kept } else { *word };
            *word = if merged == last { gone } else { merged };
        }
        let kept = if kept == last { other } else { index };
        let removed_bytes = removed.bytes();
        self.change(kept, |segment| segment.merge(removed));
        self.bytes -= removed_bytes;
        self.halve();
        true
    }

    /// Doubles the directory.
    fn double(&mut self) {
        let frame = self.frame_bytes();
        let words = self.directory.iter().flat_map(|&word| [word, word]);
        self.directory = words.collect();
        self.bits += 1;
        self.bytes = self.bytes + self.frame_bytes() - frame;
    }

    /// Halves the directory as long as no segment needs its last bit. The caller counts the bytes.
    fn halve(&mut self) {
        while self.bits > 0 && is_paired(&self.directory) {
            self.directory = halved(&self.directory);
            self.bits -= 1;
        }
    }

    /// Moves the upper half of the hashes to a new region and returns it. There must be more than one
    /// segment.
    ///
    /// Cost: [`SEGMENTS_MAX`] segments of 64 bytes are moved, no element.
    pub(super) fn split(&mut self) -> Box<Self> {
        let middle = self.directory.len() / 2;
        let mut numbers = vec![0_u16; self.segments.len()];
        let mut halves = [Vec::new(), Vec::new()];
        let mut is_high = vec![false; self.segments.len()];
        for &word in &self.directory[middle..] {
            is_high[usize::from(word)] = true;
        }
        let high_count = is_high.iter().filter(|&&high| high).count();
        halves[0].reserve_exact(self.segments.len() - high_count);
        halves[1].reserve_exact(high_count);
        let places = is_high.iter().zip(&mut numbers);
        for (segment, (&high, number)) in self.segments.drain(..).zip(places) {
            let half = &mut halves[usize::from(high)];
            *number = word_from(half.len());
            half.push(segment);
        }
        let renumbered = self
            .directory
            .iter()
            .map(|&word| numbers[usize::from(word)]);
        let mut low: Vec<u16> = renumbered.collect();
        let high = low.split_off(middle);
        low.shrink_to_fit();
        let [low_segments, high_segments] = halves;
        let (depth, bits) = (self.depth + 1, self.bits - 1);
        *self = Self::with(depth, bits, low, low_segments);
        let mut new = Self::with(depth, bits, high, high_segments);
        for half in [&mut *self, &mut new] {
            let frame = half.frame_bytes();
            half.halve();
            half.bytes = half.bytes + half.frame_bytes() - frame;
        }
        Box::new(new)
    }

    /// Returns whether `other`, the region of the neighbouring hashes, fits together with this one.
    pub(super) fn fits_with(&self, other: &Self) -> bool {
        self.depth == other.depth
            && self.bits.max(other.bits) < BITS_MAX
            && self.segments.len() + other.segments.len() <= MERGED_SEGMENTS_MAX
    }

    /// Takes over the segments of `high`, the region of the hashes after its own; see
    /// [`Region::fits_with`].
    pub(super) fn merge(&mut self, high: Self) {
        let bits = self.bits.max(high.bits);
        let offset = word_from(self.segments.len());
        let mut directory = Vec::with_capacity(2 << bits);
        for (part, added) in [(&*self, 0), (&high, offset)] {
            let run = 1_usize << (bits - part.bits);
            for &word in &part.directory {
                directory.extend(std::iter::repeat_n(word + added, run));
            }
        }
        let frame = self.frame_bytes();
        let elements_bytes = high.bytes - high.frame_bytes();
        self.depth -= 1;
        self.bits = bits + 1;
        self.directory = directory;
        self.segments.reserve_exact(high.segments.len());
        self.segments.extend(high.segments);
        self.halve();
        self.bytes = self.bytes + self.frame_bytes() + elements_bytes - frame;
    }

    /// Returns the bytes of the region without the arrays of elements.
    pub(super) fn frame_bytes(&self) -> usize {
        allocated_bytes(size_of::<Self>())
            + allocated_bytes(self.directory.capacity() * size_of::<u16>())
            + allocated_bytes(self.segments.capacity() * size_of::<Segment<T>>())
    }

    /// Counts all bytes anew. O(segments): for a region that was made in one go.
    pub(super) fn recount(&mut self) {
        let elements: usize = self.segments.iter().map(Segment::bytes).sum();
        self.bytes = self.frame_bytes() + elements;
    }
}

/// Returns whether the words come in pairs of equals.
pub(super) fn is_paired<W: PartialEq>(words: &[W]) -> bool {
    let (pairs, rest) = words.as_chunks::<2>();
    rest.is_empty() && pairs.iter().all(|[left, right]| left == right)
}

/// Returns every other word.
pub(super) fn halved<W: Copy>(words: &[W]) -> Vec<W> {
    let (pairs, _) = words.as_chunks::<2>();
    pairs.iter().map(|&[left, _]| left).collect()
}

fn word_from(index: usize) -> u16 {
    u16::try_from(index).expect("a region has at most 1024 segments")
}
