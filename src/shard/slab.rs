//! Memory in slabs of 64 KiB, and small blocks cut from them.
//!
//! Entries are many and small, so the sizes of the general allocator (16, 32, 48, 64...) would cost
//! more than the whole table: [`Blocks`] cuts them at every multiple of 8 bytes. Segments change
//! their sizes all at about the same time, which leaves holes in any allocator that cannot move
//! blocks: [`Dense`] can, and has none.
//!
//! ```text
//! region, from the general allocator:  | slab | slab | slab | slab | ...   each at a multiple of 64 KiB
//! slab of blocks:                      | header, 64 bytes | block | block | ... | never used yet |
//! dense slab:                          | block | block | block | ...
//! ```
//!
//! Invariants
//! - A slab is either in `Slabs::free` or has one owner that took it.
//! - The header of a slab of blocks lies at the multiple of 64 KiB below each of its blocks.
//! - A slab of blocks is in the list of its size exactly if it has room for one more block, and its
//!   header says where in that list.
//! - Dense blocks have the numbers `0..len`, without holes.
//!
//! Not here: what the blocks hold (`entry`, `segment`).
#![expect(
    unsafe_code,
    reason = "blocks of 40 bytes for a 13-byte key and a 16-byte value, where the \
    general allocator takes 48, and tables without holes: 81 -> 51 resident bytes per key"
)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

pub(crate) const SLAB_BYTES: usize = 64 * 1024;

/// Blocks up to this many bytes are cut from slabs.
pub(crate) const BLOCK_BYTES_MAX: usize = 512;

const BLOCK_STEP: usize = 8;
const HEADER_BYTES: usize = 64;

/// Sizes of the first, the second and all further regions in slabs, of which one is lost to alignment:
/// an almost empty shard shall stay small. 4 MiB hold two huge pages, and what is not touched of them
/// costs nothing else.
const REGION_SLABS: [usize; 3] = [4, 16, 64];

/// What the general allocator may add to a region without exceeding whole slabs.
const REGION_SLACK_BYTES: usize = 4096;

/// Free slabs kept beside those of a region that is given back, so that it is not taken again soon.
const SPARE_SLABS: usize = 16;

/// Memory from the general allocator.
#[derive(Debug)]
struct Region {
    /// As the allocator returned it.
    block: NonNull<u8>,
    layout: Layout,
    /// The first slab.
    base: NonNull<u8>,
    slabs: usize,
    free: usize,
}

impl Region {
    /// Allocates a region that takes, with what the allocator adds, `slabs` times [`SLAB_BYTES`].
    fn new(slabs: usize) -> Self {
        let bytes = slabs * SLAB_BYTES - REGION_SLACK_BYTES;
        let layout = Layout::from_size_align(bytes, 16).expect("a region is a few megabytes");
        // SAFETY: the layout is not empty.
        let block = unsafe { alloc(layout) };
        let Some(block) = NonNull::new(block) else {
            handle_alloc_error(layout)
        };
        let skipped = block.addr().get().next_multiple_of(SLAB_BYTES) - block.addr().get();
        // SAFETY: less than one slab is skipped, and the region is longer.
        let base = unsafe { block.add(skipped) };
        let slabs = (bytes - skipped) / SLAB_BYTES;
        Self {
            block,
            layout,
            base,
            slabs,
            free: slabs,
        }
    }

    fn holds(&self, slab: NonNull<u8>) -> bool {
        let start = self.base.addr().get();
        (start..start + self.slabs * SLAB_BYTES).contains(&slab.addr().get())
    }
}

/// Slabs to take and to give back.
#[derive(Debug, Default)]
pub(crate) struct Slabs {
    /// By address.
    regions: Vec<Region>,
    free: Vec<NonNull<u8>>,
    taken: usize,
    region_bytes: usize,
}

impl Slabs {
    /// Returns the bytes of all regions, whether their slabs are taken or free. O(1).
    pub(crate) fn bytes(&self) -> usize {
        self.region_bytes
    }

    /// Returns the bytes of all slabs that are taken.
    #[cfg(test)]
    fn taken_bytes(&self) -> usize {
        self.taken * SLAB_BYTES
    }

    /// Takes a slab: 64 KiB at a multiple of 64 KiB, not initialised, the caller's alone until it is
    /// given back.
    fn take(&mut self) -> NonNull<u8> {
        if self.free.is_empty() {
            self.add_region();
        }
        let slab = self.free.pop().expect("a new region has free slabs");
        let region = self.region_of(slab);
        self.regions[region].free -= 1;
        self.taken += 1;
        slab
    }

    /// Gives back a slab that was taken here.
    fn give(&mut self, slab: NonNull<u8>) {
        self.taken -= 1;
        self.free.push(slab);
        let at = self.region_of(slab);
        let region = &mut self.regions[at];
        region.free += 1;
        if region.free == region.slabs && self.free.len() >= region.slabs + SPARE_SLABS {
            let region = self.regions.remove(at);
            self.free.retain(|&slab| !region.holds(slab));
            self.region_bytes -= region.layout.size();
            release(&region);
        }
    }

    /// Gives the memory of one region back, although slabs of it may be taken: for an owner that is
    /// about to go and looks at none of them any more. Returns whether there was one.
    pub(crate) fn abandon_region(&mut self) -> bool {
        let Some(region) = self.regions.pop() else {
            return false;
        };
        self.region_bytes -= region.layout.size();
        release(&region);
        true
    }

    fn add_region(&mut self) {
        let region = Region::new(REGION_SLABS[self.regions.len().min(REGION_SLABS.len() - 1)]);
        self.region_bytes += region.layout.size();
        for index in (0..region.slabs).rev() {
            // SAFETY: inside the region.
            self.free
                .push(unsafe { region.base.add(index * SLAB_BYTES) });
        }
        let at = self
            .regions
            .partition_point(|other| other.base < region.base);
        self.regions.insert(at, region);
    }

    fn region_of(&self, slab: NonNull<u8>) -> usize {
        let after = self.regions.partition_point(|region| region.base <= slab);
        after.checked_sub(1).expect("every slab lies in a region")
    }
}

impl Drop for Slabs {
    fn drop(&mut self) {
        self.regions.iter().for_each(release);
    }
}

fn release(region: &Region) {
    // SAFETY: `Region::new` allocated it with this layout, and it leaves the list of regions.
    unsafe { dealloc(region.block.as_ptr(), region.layout) };
}

/// What a slab of blocks begins with.
#[derive(Debug)]
#[repr(C)]
struct Header {
    /// Bytes of each block.
    block_bytes: usize,
    /// Offset of the first block that was freed, 0 if there is none; it holds that of the next.
    freed: usize,
    /// Offset of the first block that was never used.
    fresh: usize,
    used: usize,
    /// Where the slab is in the list of its size.
    listed_at: Option<usize>,
}

const _: () = assert!(
    size_of::<Header>() <= HEADER_BYTES,
    "blocks begin behind the header"
);

/// A slab that has been cut into blocks.
#[derive(Clone, Copy, Debug)]
struct BlockSlab(NonNull<Header>);

impl BlockSlab {
    fn new(slab: NonNull<u8>, block_bytes: usize) -> Self {
        let (freed, fresh) = (0, HEADER_BYTES);
        let header = Header {
            block_bytes,
            freed,
            fresh,
            used: 0,
            listed_at: None,
        };
        // SAFETY: a slab is large enough, aligned, and belongs to the caller.
        unsafe { slab.cast::<Header>().write(header) };
        Self(slab.cast())
    }

    /// Returns the slab of a block.
    fn of(block: NonNull<u8>) -> Self {
        let header = block.map_addr(|address| {
            let start = address.get() & !(SLAB_BYTES - 1);
            start.try_into().expect("no slab lies at address 0")
        });
        Self(header.cast())
    }

    fn header(&mut self) -> &mut Header {
        // SAFETY: `new` wrote it, and only one method of `Blocks` at a time works on a slab.
        unsafe { self.0.as_mut() }
    }

    fn is_full(&mut self) -> bool {
        let header = self.header();
        header.freed == 0 && header.fresh + header.block_bytes > SLAB_BYTES
    }

    /// Takes a block out; the slab must not be full.
    fn take(&mut self) -> NonNull<u8> {
        let start = self.0.cast::<u8>();
        let header = self.header();
        header.used += 1;
        if header.freed == 0 {
            let offset = header.fresh;
            header.fresh += header.block_bytes;
            // SAFETY: not full, so the block ends inside the slab.
            return unsafe { start.add(offset) };
        }
        // SAFETY: offsets of freed blocks are inside the slab.
        let block = unsafe { start.add(header.freed) };
        // SAFETY: `give` wrote the word into the block, which nobody has used since.
        header.freed = unsafe { block.cast::<usize>().read() };
        block
    }

    fn give(&mut self, block: NonNull<u8>) {
        let start = self.0.addr().get();
        let header = self.header();
        // SAFETY: the block is at least 8 bytes, aligned to 8, and its owner gave it back.
        unsafe { block.cast::<usize>().write(header.freed) };
        header.freed = block.addr().get() - start;
        header.used -= 1;
    }
}

/// Blocks of every multiple of 8 bytes up to [`BLOCK_BYTES_MAX`].
#[derive(Debug)]
pub(crate) struct Blocks {
    /// Slabs with room, by size of their blocks in steps.
    with_room: Vec<Vec<BlockSlab>>,
}

impl Default for Blocks {
    fn default() -> Self {
        Self {
            with_room: vec![Vec::new(); BLOCK_BYTES_MAX / BLOCK_STEP + 1],
        }
    }
}

impl Blocks {
    /// Takes a block of `bytes` bytes, a multiple of 8 up to [`BLOCK_BYTES_MAX`] and not 0. It is
    /// aligned to 8 and not initialised.
    pub(crate) fn take(&mut self, slabs: &mut Slabs, bytes: usize) -> NonNull<u8> {
        let list = &mut self.with_room[bytes / BLOCK_STEP];
        if list.is_empty() {
            let mut slab = BlockSlab::new(slabs.take(), bytes);
            slab.header().listed_at = Some(0);
            list.push(slab);
        }
        let slab = list.last_mut().expect("one was just added");
        let block = slab.take();
        if slab.is_full() {
            slab.header().listed_at = None;
            list.pop();
        }
        block
    }

    /// Gives a block back to the slab it was cut from.
    pub(crate) fn give(&mut self, slabs: &mut Slabs, block: NonNull<u8>) {
        let mut slab = BlockSlab::of(block);
        slab.give(block);
        let header = slab.header();
        let list = &mut self.with_room[header.block_bytes / BLOCK_STEP];
        let at = *header.listed_at.get_or_insert(list.len());
        let unused = header.used == 0;
        if at == list.len() {
            list.push(slab);
        }
        // The last slab of a size stays, as it is likely to be needed again.
        if unused && list.len() > 1 {
            list.swap_remove(at);
            if let Some(moved) = list.get_mut(at) {
                moved.header().listed_at = Some(at);
            }
            slabs.give(slab.0.cast());
        }
    }
}

/// Blocks of one size without holes: when one is given back, the last one moves into its place.
#[derive(Debug, Default)]
pub(crate) struct Dense {
    slabs: Vec<NonNull<u8>>,
    len: usize,
}

impl Dense {
    /// Takes a block of `bytes` bytes, a power of two or a multiple of 64, the same in every call.
    /// Returns its number and its address, a multiple of 64. It is not initialised.
    pub(crate) fn take(&mut self, slabs: &mut Slabs, bytes: usize) -> (usize, NonNull<u8>) {
        let number = self.len;
        if number == self.slabs.len() * (SLAB_BYTES / bytes) {
            self.slabs.push(slabs.take());
        }
        self.len += 1;
        (number, self.block(number, bytes))
    }

    fn block(&self, number: usize, bytes: usize) -> NonNull<u8> {
        let per_slab = SLAB_BYTES / bytes;
        assert!(
            number < self.len,
            "blocks have the numbers below the length"
        );
        // SAFETY: the slab holds `per_slab` blocks of this size.
        unsafe { self.slabs[number / per_slab].add(number % per_slab * bytes) }
    }

    /// Gives a block back. Returns the address of the block that is in its place now, if another
    /// block moved there: its contents are the same, its number is the one given back.
    pub(crate) fn give(
        &mut self,
        slabs: &mut Slabs,
        number: usize,
        bytes: usize,
    ) -> Option<NonNull<u8>> {
        let (hole, last) = (self.block(number, bytes), self.block(self.len - 1, bytes));
        let moved = hole != last;
        if moved {
            // SAFETY: both are blocks of this size, and different ones.
            unsafe { hole.as_ptr().copy_from_nonoverlapping(last.as_ptr(), bytes) };
        }
        self.len -= 1;
        if self.slabs.len() > self.len.div_ceil(SLAB_BYTES / bytes) {
            slabs.give(self.slabs.pop().expect("it had a block"));
        }
        moved.then_some(hole)
    }
}

#[cfg(test)]
mod tests {
    use base::random::Random;

    use super::*;

    fn seed() -> u64 {
        let seed = std::env::var("SEED")
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(1);
        println!("SEED={seed}");
        seed
    }

    #[test]
    fn blocks_never_overlap_and_slabs_come_back() {
        let mut random = Random::new(seed());
        let (mut slabs, mut blocks) = (Slabs::default(), Blocks::default());
        let mut live: Vec<(usize, usize)> = Vec::new();
        for round in 0..60_000_u32 {
            let filling = round / 10_000 % 2 == 0;
            if live.is_empty() || random.below(4) < if filling { 3 } else { 1 } {
                let bytes = 8 * (1 + random.index(64));
                let block = blocks.take(&mut slabs, bytes);
                assert_eq!(block.addr().get() % 8, 0);
                live.push((block.as_ptr().expose_provenance(), bytes));
            } else {
                let (address, _) = live.swap_remove(random.index(live.len()));
                let pointer = std::ptr::with_exposed_provenance_mut(address);
                blocks.give(&mut slabs, NonNull::new(pointer).unwrap());
            }
        }
        live.sort_unstable();
        assert!(
            live.windows(2)
                .all(|pair| pair[0].0 + pair[0].1 <= pair[1].0)
        );
        for (address, _) in live {
            let pointer = std::ptr::with_exposed_provenance_mut(address);
            blocks.give(&mut slabs, NonNull::new(pointer).unwrap());
        }
        assert!(
            slabs.taken_bytes() <= 64 * SLAB_BYTES,
            "one slab of each size may stay"
        );
        let kept: usize = slabs.regions.iter().map(|region| region.slabs).sum();
        assert_eq!(kept, slabs.taken + slabs.free.len());
    }

    #[test]
    fn dense_blocks_keep_their_contents_as_they_move() {
        const BYTES: usize = 3584;
        let mut random = Random::new(seed());
        let (mut slabs, mut dense) = (Slabs::default(), Dense::default());
        let mut contents: Vec<u64> = Vec::new();
        for round in 0..20_000 {
            if contents.is_empty() || random.below(10) < if round < 10_000 { 6 } else { 3 } {
                let (number, block) = dense.take(&mut slabs, BYTES);
                assert_eq!((number, block.addr().get() % 64), (contents.len(), 0));
                // SAFETY: the block is new and large enough for a word.
                unsafe { block.cast::<u64>().write(round) };
                contents.push(round);
            } else {
                let number = random.index(contents.len());
                let moved = dense.give(&mut slabs, number, BYTES);
                contents.swap_remove(number);
                assert_eq!(moved.is_some(), number < contents.len());
                if let Some(block) = moved {
                    // SAFETY: the block that moved holds the word written above.
                    assert_eq!(unsafe { block.cast::<u64>().read() }, contents[number]);
                }
            }
        }
        while dense.len > 0 {
            dense.give(&mut slabs, 0, BYTES);
        }
        assert_eq!(slabs.taken_bytes(), 0);
    }
}
