//! One piece of a dict: a small open hash table of one-word slots.
//!
//! ```text
//! line 0    | used | deleted | volatile | start | number | -   |   64 bytes each,
//! line 1    | slot | slot | slot | slot | slot | slot | slot | slot |  aligned to a
//! line ...  | slot | ...                                      |   cache line
//!
//! slot, from its highest bit:  tag (16)  address of the entry (45)  flags (3)
//! ```
//!
//! Lines 1 and up are buckets. The tag is 16 fixed bits of the key's hash, never 0, and alone decides
//! the home bucket: `tag * buckets / 2^16`. So a segment can be laid out anew at any size without
//! touching an entry, and home buckets rise with tags, which is what cursors count on. Flag
//! [`VOLATILE`] says that the entry carries an expiry, so that walks after such entries touch no
//! others; [`MARK`] is for snapshots. A slot keeps its flags wherever it moves.
//!
//! Invariants
//! - An entry lies in its home bucket or in one of those after it, wrapping round, and no bucket
//!   between has an empty slot. Therefore a search ends at the first bucket with an empty slot.
//! - A deleted slot becomes empty only if its bucket has another empty slot. Proof that this keeps the
//!   first: a bucket once without empty slots stays so until the segment is laid out anew, hence one
//!   that has an empty slot never sent an entry on to the next.
//! - `start` is the lowest hash of the segment's range and `number` that of its block, so that a
//!   segment that is moved in memory can be found in the directory and freed.
//! - `used`, `deleted` and `volatile` count the slots; `used + deleted` stays at or below
//!   [`Segment::room`].
//!
//! Not here: which segment a hash belongs to, and when to grow or to split (`dict`).
#![expect(
    unsafe_code,
    reason = "pointer, length and depth share one directory word, so a prefetch \
    of a bucket needs one load: 65 instead of 158 ns per lookup at 10 M keys with its batch"
)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

use base::cast;

use crate::slab::{Dense, Slabs};

const SLOTS: usize = 8;
const LINE_BYTES: usize = size_of::<Line>();
const TAG_SHIFT: u32 = 48;
const ADDRESS_MASK: u64 = ((1 << TAG_SHIFT) - 1) & !7;
const EMPTY: u64 = 0;
const DELETED: u64 = 1 << 1;
const DEPTH_MASK: u64 = 63;

/// The flag of slots whose entry carries an expiry.
pub(crate) const VOLATILE: u64 = 1;

/// The flag of slots that a snapshot flips when it has their entries: see `dict/snapshot.rs`.
pub(crate) const MARK: u64 = 1 << 2;

const USED: usize = 0;
const DELETED_COUNT: usize = 1;
const VOLATILE_COUNT: usize = 2;
const START: usize = 3;
const NUMBER: usize = 4;

/// Bytes of segments, ascending: the size classes of the allocator that are whole lines. Four per
/// doubling, so that a segment is never far from full.
const SIZES: [usize; 19] = [
    128, 192, 256, 320, 384, 448, 512, 640, 768, 896, 1024, 1280, 1536, 1792, 2048, 2560, 3072,
    3584, 4096,
];

/// Buckets of the largest segment that is not split; larger ones exist only where splitting cannot
/// help.
pub(crate) const BUCKETS_SPLIT: usize = SIZES[SIZES.len() - 1] / LINE_BYTES - 1;

/// Most buckets of any segment: their number has 16 bits.
const BUCKETS_MAX: usize = (1 << 16) - 1;

/// Eight slots, or the counters.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u64; SLOTS]);

/// A segment, as one word: address of its lines (bits 6 to 47), depth (6 bits below), number of
/// buckets (16 bits above).
///
/// Not `Copy`, though a directory holds several words for one segment: see [`Segment::alias`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Segment(u64);

/// The hashes that belong to a segment: those whose highest `depth` bits are those of `start`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub(crate) start: u64,
    pub(crate) depth: u32,
}

/// Where segments come from: dense blocks for each size in [`SIZES`], the general allocator for
/// larger ones.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    sizes: [Dense; SIZES.len()],
}

impl Pool {
    fn large_layout(bytes: usize) -> Layout {
        Layout::from_size_align(bytes, LINE_BYTES).expect("a segment has at most 2^16 lines")
    }

    fn take(&mut self, slabs: &mut Slabs, bytes: usize) -> (usize, NonNull<u8>) {
        if let Ok(index) = SIZES.binary_search(&bytes) {
            return self.sizes[index].take(slabs, bytes);
        }
        let layout = Self::large_layout(bytes);
        // SAFETY: the layout is not empty.
        let block = unsafe { alloc(layout) };
        let Some(block) = NonNull::new(block) else {
            handle_alloc_error(layout)
        };
        (0, block)
    }

    /// Gives a block back; returns its address if another one moved there.
    fn give(
        &mut self,
        slabs: &mut Slabs,
        number: usize,
        bytes: usize,
        block: *mut u8,
    ) -> Option<NonNull<u8>> {
        if let Ok(index) = SIZES.binary_search(&bytes) {
            return self.sizes[index].give(slabs, number, bytes);
        }
        // SAFETY: `take` allocated it with this layout.
        unsafe { dealloc(block, Self::large_layout(bytes)) };
        None
    }
}

/// Returns the number of buckets to give to `entries`, so that they fill them to 0.8 at most.
pub(crate) fn buckets_for(entries: usize) -> usize {
    let slots = entries + entries / 4 + 1;
    SIZES
        .iter()
        .map(|bytes| bytes / LINE_BYTES - 1)
        .find(|buckets| buckets * SLOTS >= slots)
        .unwrap_or_else(|| slots.div_ceil(SLOTS).next_power_of_two().min(BUCKETS_MAX))
}

/// Returns the next larger number of buckets.
pub(crate) fn buckets_after(buckets: usize) -> usize {
    SIZES
        .iter()
        .map(|bytes| bytes / LINE_BYTES - 1)
        .find(|&larger| larger > buckets)
        .unwrap_or_else(|| (buckets * 2).min(BUCKETS_MAX))
}

/// Returns the tag of a hash: its low 16 bits, but never 0, so that empty slots match no tag.
#[inline]
pub(crate) fn tag_of(hash: u64) -> u16 {
    let low = u16::try_from(hash & 0xFFFF).expect("16 bits");
    low.max(1)
}

/// Returns the slot for an entry.
pub(crate) fn slot_of(tag: u16, address: u64, volatile: bool) -> u64 {
    debug_assert!(
        address & !ADDRESS_MASK == 0 && address != 0,
        "entries are aligned, below 2^48"
    );
    u64::from(tag) << TAG_SHIFT | address | if volatile { VOLATILE } else { 0 }
}

/// Returns the address of the entry in a slot.
#[inline]
pub(crate) fn address_of(slot: u64) -> u64 {
    slot & ADDRESS_MASK
}

/// Returns the tag in a slot.
#[inline]
pub(crate) fn tag_in(slot: u64) -> u16 {
    u16::try_from(slot >> TAG_SHIFT).expect("16 bits")
}

impl Segment {
    /// Makes a segment without entries for the hashes from `start` on.
    pub(crate) fn new(pool: &mut Pool, slabs: &mut Slabs, buckets: usize, range: Range) -> Self {
        assert!((1..=BUCKETS_MAX).contains(&buckets) && u64::from(range.depth) <= DEPTH_MASK);
        let (number, block) = pool.take(slabs, (buckets + 1) * LINE_BYTES);
        let address = cast::u64_from(block.as_ptr().expose_provenance());
        assert!(
            address >> TAG_SHIFT == 0,
            "user space addresses have 47 bits"
        );
        let first: NonNull<Line> = block.cast();
        for index in 0..=buckets {
            // SAFETY: the block has room for the line of counters and one for each bucket.
            let line = unsafe { first.add(index) };
            // SAFETY: as above; blocks are aligned to lines, and this one is not shared yet.
            unsafe { line.write(Line([EMPTY; SLOTS])) };
        }
        let mut segment =
            Self(cast::u64_from(buckets) << TAG_SHIFT | address | u64::from(range.depth));
        segment.lines_mut()[0].0[START] = range.start;
        segment.lines_mut()[0].0[NUMBER] = cast::u64_from(number);
        segment
    }

    /// Returns another word for the same segment, for another place of the directory. The dict
    /// replaces all words of a segment together and frees the segment once.
    pub(crate) fn alias(&self) -> Self {
        Self(self.0)
    }

    /// Frees the segment, not its entries. The caller drops all aliases. Another segment of the same
    /// size may move into its place: if so, returns its lowest hash and its new address, with which
    /// the caller renews all its words (see [`Segment::moved_to`]).
    pub(crate) fn free(self, pool: &mut Pool, slabs: &mut Slabs) -> Option<(u64, NonNull<u8>)> {
        let number = self.number();
        let moved = pool.give(slabs, number, self.bytes(), self.first_line().cast())?;
        let line: NonNull<Line> = moved.cast();
        // SAFETY: a segment moved here, which begins with its line of counters; the words that led
        // to its old place are renewed before anybody uses them.
        let mut counts = unsafe { line.read() };
        counts.0[NUMBER] = cast::u64_from(number);
        // SAFETY: as above.
        unsafe { line.write(counts) };
        Some((counts.0[START], moved))
    }

    /// Returns the word for this segment after it moved.
    pub(crate) fn moved_to(&self, block: NonNull<u8>) -> Self {
        let address = cast::u64_from(block.as_ptr().expose_provenance());
        Self(self.0 & !(ADDRESS_MASK & !DEPTH_MASK) | address)
    }

    /// Returns the number of the segment's block among those of its size.
    pub(crate) fn number(&self) -> usize {
        self.count(NUMBER)
    }

    #[inline]
    fn first_line(&self) -> *mut Line {
        let address = self.0 & ADDRESS_MASK & !DEPTH_MASK;
        std::ptr::with_exposed_provenance_mut(cast::usize_from(address))
    }

    /// Returns the number of buckets.
    #[inline]
    pub(crate) fn buckets(&self) -> usize {
        cast::usize_from(self.0 >> TAG_SHIFT)
    }

    /// Returns how many leading bits of the hash all entries share.
    #[inline]
    pub(crate) fn depth(&self) -> u32 {
        cast::u32_from(cast::usize_from(self.0 & DEPTH_MASK))
    }

    /// Returns the allocated bytes.
    pub(crate) fn bytes(&self) -> usize {
        (self.buckets() + 1) * LINE_BYTES
    }

    /// Returns the number of slots.
    pub(crate) fn slots(&self) -> usize {
        self.buckets() * SLOTS
    }

    /// Returns how many slots may be used or deleted before the segment must change its size: 0.92
    /// of all, or all of a small one, where a search is short anyway.
    fn room(&self) -> usize {
        let slots = self.slots();
        if self.buckets() <= 4 {
            slots
        } else {
            slots - slots / 12
        }
    }

    #[inline]
    fn lines(&self) -> &[Line] {
        // SAFETY: `new` allocated this many lines, initialised; they are freed only when no word for
        // the segment is left, and changed only through a dict that is borrowed exclusively.
        unsafe { std::slice::from_raw_parts(self.first_line(), self.buckets() + 1) }
    }

    #[inline]
    fn lines_mut(&mut self) -> &mut [Line] {
        // SAFETY: as in `lines`; the dict lets only one borrow reach a segment while it is changed.
        unsafe { std::slice::from_raw_parts_mut(self.first_line(), self.buckets() + 1) }
    }

    #[inline]
    fn count(&self, counter: usize) -> usize {
        cast::usize_from(self.lines()[0].0[counter])
    }

    /// Returns the number of entries.
    pub(crate) fn used(&self) -> usize {
        self.count(USED)
    }

    /// Returns the number of entries that carry an expiry.
    pub(crate) fn volatile(&self) -> usize {
        self.count(VOLATILE_COUNT)
    }

    /// Tells whether one more entry may be put.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        self.count(USED) + self.count(DELETED_COUNT) < self.room()
    }

    /// Returns the home bucket of a tag. Rises with the tag.
    #[inline]
    pub(crate) fn home(&self, tag: u16) -> usize {
        (usize::from(tag) * self.buckets()) >> 16
    }

    /// Returns the lowest tag whose home is `bucket` or after; 2^16 if there is none.
    pub(crate) fn first_tag(&self, bucket: usize) -> usize {
        (bucket << 16).div_ceil(self.buckets())
    }

    /// Returns the slot at a position.
    #[inline]
    pub(crate) fn slot(&self, position: usize) -> u64 {
        self.lines()[1 + position / SLOTS].0[position % SLOTS]
    }

    /// Returns the position after the last one.
    #[inline]
    fn after(&self, bucket: usize) -> usize {
        if bucket + 1 == self.buckets() {
            0
        } else {
            bucket + 1
        }
    }

    /// Finds the entry with this tag at whose address `matches` says yes. Returns its position.
    #[inline]
    pub(crate) fn find(&self, tag: u16, matches: impl FnMut(u64) -> bool) -> Option<usize> {
        let (bucket, index, _) = self.search(tag, matches)?;
        Some(bucket * SLOTS + index)
    }

    /// As [`Segment::find`], and returns the address.
    #[inline]
    pub(crate) fn find_address(&self, tag: u16, matches: impl FnMut(u64) -> bool) -> Option<u64> {
        let (_, _, address) = self.search(tag, matches)?;
        Some(address)
    }

    /// Returns the bucket, the place in it and the address of the entry with this tag at whose address
    /// `matches` says yes.
    #[inline]
    fn search(
        &self,
        tag: u16,
        mut matches: impl FnMut(u64) -> bool,
    ) -> Option<(usize, usize, u64)> {
        let (_, buckets) = self.lines().split_first()?;
        let mut bucket = self.home(tag);
        for _ in 0..buckets.len() {
            let slots = &buckets[bucket].0;
            let mut hits = with_tag(slots, tag);
            while hits != 0 {
                let index = first_hit(hits);
                let address = address_of(slots[index]);
                if matches(address) {
                    return Some((bucket, index, address));
                }
                hits &= hits - 1;
            }
            if slots.contains(&EMPTY) {
                return None;
            }
            bucket = self.after(bucket);
        }
        None
    }

    /// Adds a slot. The caller has made sure of [`Segment::has_room`].
    pub(crate) fn put(&mut self, slot: u64) {
        let mut bucket = self.home(tag_in(slot));
        for _ in 0..self.buckets() {
            let after = self.after(bucket);
            let lines = self.lines_mut();
            let free = |&slot: &u64| slot == EMPTY || slot == DELETED;
            if let Some(index) = lines[1 + bucket].0.iter().position(free) {
                let old = std::mem::replace(&mut lines[1 + bucket].0[index], slot);
                let counts = &mut lines[0].0;
                counts[USED] += 1;
                counts[DELETED_COUNT] -= u64::from(old == DELETED);
                counts[VOLATILE_COUNT] += slot & VOLATILE;
                return;
            }
            bucket = after;
        }
        unreachable!("the caller has made room");
    }

    /// Replaces a used slot by another with the same tag; returns the old one.
    pub(crate) fn replace(&mut self, position: usize, slot: u64) -> u64 {
        let lines = self.lines_mut();
        let old = std::mem::replace(&mut lines[1 + position / SLOTS].0[position % SLOTS], slot);
        debug_assert_eq!(tag_in(old), tag_in(slot));
        let volatile = &mut lines[0].0[VOLATILE_COUNT];
        *volatile = *volatile + (slot & VOLATILE) - (old & VOLATILE);
        old
    }

    /// Sets the mark of a used slot to that in `mark`.
    pub(crate) fn set_mark(&mut self, position: usize, mark: u64) {
        let slot = &mut self.lines_mut()[1 + position / SLOTS].0[position % SLOTS];
        *slot = *slot & !MARK | mark;
    }

    /// Takes a used slot out; returns it.
    pub(crate) fn take(&mut self, position: usize) -> u64 {
        let lines = self.lines_mut();
        let slots = &mut lines[1 + position / SLOTS].0;
        let left = if slots.contains(&EMPTY) {
            EMPTY
        } else {
            DELETED
        };
        let old = std::mem::replace(&mut slots[position % SLOTS], left);
        debug_assert!(address_of(old) != 0, "the slot was used");
        let counts = &mut lines[0].0;
        counts[USED] -= 1;
        counts[DELETED_COUNT] += u64::from(left == DELETED);
        counts[VOLATILE_COUNT] -= old & VOLATILE;
        old
    }

    /// Returns the used slots, each with its position, from bucket `first` on.
    pub(crate) fn used_slots(&self, first: usize) -> impl Iterator<Item = (usize, u64)> {
        let positions = first * SLOTS..self.slots();
        positions
            .map(|at| (at, self.slot(at)))
            .filter(|(_, slot)| address_of(*slot) != 0)
    }

    /// Shows the used slots whose home is `bucket`, wherever they lie.
    pub(crate) fn with_home(&self, bucket: usize, each: &mut dyn FnMut(u64)) {
        let mut at = bucket;
        for _ in 0..self.buckets() {
            let slots = &self.lines()[1 + at].0;
            for &slot in slots {
                if address_of(slot) != 0 && self.home(tag_in(slot)) == bucket {
                    each(slot);
                }
            }
            if slots.contains(&EMPTY) {
                return;
            }
            at = self.after(at);
        }
    }

    /// Begins to load the home bucket of a tag.
    #[inline]
    pub(crate) fn prefetch(&self, tag: u16) {
        // The line of the counters comes first. Wrapping: the address is only a hint.
        prefetch_line(self.first_line().wrapping_add(1 + self.home(tag)).cast());
    }

    /// Begins to load the counters, which an insertion needs beside the bucket.
    #[inline]
    pub(crate) fn prefetch_counters(&self) {
        prefetch_line(self.first_line().cast());
    }

    /// Begins to load the entry that the home bucket, or if that is full the next, names for a tag.
    #[inline]
    pub(crate) fn prefetch_entry(&self, tag: u16) {
        let home = self.home(tag);
        for bucket in [home, self.after(home)] {
            let slots = &self.lines()[1 + bucket].0;
            let hits = with_tag(slots, tag);
            if hits != 0 {
                prefetch_address(address_of(slots[first_hit(hits)]));
                return;
            }
            if slots.contains(&EMPTY) {
                return;
            }
        }
    }
}

/// Returns the top bit of each group `index` of four bits for each slot `index` with this tag. Cost: about
/// 15 instructions.
#[cfg(target_arch = "x86_64")]
#[inline]
fn with_tag(slots: &[u64; SLOTS], tag: u16) -> u32 {
    // SAFETY: every x86-64 processor has SSE2.
    unsafe { with_tag_by_sse2(slots, tag) }
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "sse2")]
fn with_tag_by_sse2(slots: &[u64; SLOTS], tag: u16) -> u32 {
    use std::arch::x86_64::{
        _mm_cmpeq_epi16, _mm_loadu_si128, _mm_movemask_epi8, _mm_packs_epi16, _mm_set1_epi16,
    };

    let wanted = _mm_set1_epi16(tag.cast_signed());
    // Lanes 3 and 7 of a pair hold its tags: all ones where they are equal.
    let equal_lanes = |pair: usize| {
        let first: *const u64 = &raw const slots[2 * pair];
        // SAFETY: 16 bytes from an even slot on are two slots of the borrowed line; any alignment
        // will do.
        let both = unsafe { _mm_loadu_si128(first.cast()) };
        _mm_cmpeq_epi16(both, wanted)
    };
    // Each lane becomes a byte, each byte a bit.
    let four = |pair: usize| {
        let bytes = _mm_packs_epi16(equal_lanes(pair), equal_lanes(pair + 1));
        _mm_movemask_epi8(bytes).cast_unsigned()
    };
    (four(0) | four(2) << 16) & 0x8888_8888
}

/// Returns the top bit of each group `index` of four bits for each slot `index` with this tag.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn with_tag(slots: &[u64; SLOTS], tag: u16) -> u32 {
    let tag = u64::from(tag);
    let mut hits = 0;
    for (index, &slot) in slots.iter().enumerate() {
        hits |= u32::from(slot >> TAG_SHIFT == tag) << (4 * index + 3);
    }
    hits
}

/// Returns the slot that the lowest bit of [`with_tag`] stands for.
#[inline]
fn first_hit(hits: u32) -> usize {
    cast::usize_from_u32(hits.trailing_zeros() / 4) % SLOTS
}

/// Small entries span at most two lines; both are wanted.
#[inline]
pub(crate) fn prefetch_address(address: u64) {
    const SMALL_ENTRY_BYTES: usize = 40;
    let first: *const u8 = std::ptr::without_provenance(cast::usize_from(address));
    prefetch_line(first);
    if first.addr() % LINE_BYTES + SMALL_ENTRY_BYTES > LINE_BYTES {
        prefetch_line(first.wrapping_add(SMALL_ENTRY_BYTES - 1));
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn prefetch_line(address: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch is a hint: it faults on no address, and every x86-64 has it.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn prefetch_line(_address: *const u8) {}
