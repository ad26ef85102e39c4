//! Blocks of megabytes, each a mapping of its own.
//!
//! An allocator that serves such blocks from its heap copies them when they grow, and gives them back
//! in one go: for a string of half a gigabyte either holds a core up for a good part of a second. A
//! mapping grows by moving its page table ([`grow`]), and can be given back a piece at a time
//! ([`release_step`]): a core that has asked for it ([`defer_releases`]) only notes the block when it
//! is freed.
//!
//! ```text
//! dealloc -> list of this thread, linked through the first bytes of the blocks
//!                 -> release_step: unmaps so many bytes from the end of the first block
//! ```
//!
//! Invariants
//! - Every block is a whole number of pages, mapped by itself, and nobody else unmaps a part of it.
//! - A block on the list belongs to the list alone: its owner has freed it.
//!
//! Not here: which allocations are served this way, and their count (`memory`).

#![expect(unsafe_code, reason = "mappings have no wrapper in std")]

use std::cell::Cell;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Allocations from this size on are mappings.
pub(crate) const LARGE_BYTES_MIN: usize = 2 * 1024 * 1024;

/// A mapping is aligned to this, and allocations that ask for more are none of ours.
pub(crate) const PAGE_BYTES: usize = 4096;

/// Bytes of all mappings that are in use or wait for their release.
static MAPPED_BYTES: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Whether this thread releases in steps.
    static IS_DEFERRING: Cell<bool> = const { Cell::new(false) };
    /// The first block of this thread that waits for its release.
    static RELEASED: Cell<Option<NonNull<Released>>> = const { Cell::new(None) };
}

/// What the first bytes of a freed block say.
struct Released {
    /// Bytes still mapped, whole pages.
    bytes: usize,
    next: Option<NonNull<Self>>,
}

/// Maps a block of zeros; null if the system has no room for it.
pub(crate) fn map(size: usize) -> *mut u8 {
    let start = map_once(size);
    if !start.is_null() {
        return start;
    }
    // What waits for its release may be what there is no room for.
    while release_step(usize::MAX) {}
    map_once(size)
}

fn map_once(size: usize) -> *mut u8 {
    let Some(bytes) = whole_pages(size) else {
        return null_mut();
    };
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping at a place that the kernel chooses touches no memory that anybody has.
    let start = unsafe { libc::mmap(null_mut(), bytes, access, kind, -1, 0) };
    if start == libc::MAP_FAILED {
        return null_mut();
    }
    MAPPED_BYTES.fetch_add(bytes, Ordering::Relaxed);
    start.cast()
}

/// Makes a block larger or smaller, with its contents; null if there is no room, and then it is as it
/// was.
///
/// # Safety
///
/// `start` came from [`map`] or [`grow`] for `old_size`, and is not used any more unless this fails.
pub(crate) unsafe fn grow(start: *mut u8, old_size: usize, new_size: usize) -> *mut u8 {
    let (Some(old), Some(new)) = (whole_pages(old_size), whole_pages(new_size)) else {
        return null_mut();
    };
    // SAFETY: the caller owns the mapping of `old` bytes, and takes the place it moves to.
    let moved = unsafe { libc::mremap(start.cast(), old, new, libc::MREMAP_MAYMOVE) };
    if moved == libc::MAP_FAILED {
        return null_mut();
    }
    MAPPED_BYTES.fetch_add(new, Ordering::Relaxed);
    MAPPED_BYTES.fetch_sub(old, Ordering::Relaxed);
    moved.cast()
}

/// Gives a block back: at once, or in steps on a thread that has asked for it.
///
/// # Safety
///
/// `start` came from [`map`] or [`grow`] for `size`, and nobody uses it any more.
pub(crate) unsafe fn release(start: *mut u8, size: usize) {
    let (Some(bytes), Some(block)) = (whole_pages(size), NonNull::new(start)) else {
        return;
    };
    let is_deferring = IS_DEFERRING.try_with(Cell::get).unwrap_or(false);
    if !is_deferring {
        // SAFETY: the caller owns the mapping and gives it up.
        unsafe { unmap(start, bytes) };
        return;
    }
    let block = block.cast::<Released>();
    let next = RELEASED.try_with(Cell::get).unwrap_or(None);
    // SAFETY: the block is aligned to a page, longer than this, and belongs to the list from now on.
    unsafe { block.write(Released { bytes, next }) };
    // A thread that is almost gone keeps no list; the process then ends with the block mapped.
    RELEASED.try_with(|first| first.set(Some(block))).ok();
}

/// From now on blocks that this thread frees are given back by [`release_step`] only.
pub fn defer_releases() {
    IS_DEFERRING.set(true);
}

/// Gives back up to `bytes` bytes, at least one page, of the blocks that this thread has freed.
///
/// Returns whether there was anything. Cost: a system call and about a microsecond per 16 KiB; a load if
/// there is nothing.
#[inline]
pub fn release_step(bytes: usize) -> bool {
    let Ok(Some(block)) = RELEASED.try_with(Cell::get) else {
        return false;
    };
    release_from(block, bytes);
    true
}

fn release_from(block: NonNull<Released>, limit: usize) {
    // SAFETY: a block on the list begins with what `release` has written, and only this thread has it.
    let Released { bytes, next } = unsafe { block.read() };
    let piece = (limit / PAGE_BYTES).max(1).saturating_mul(PAGE_BYTES);
    let start = block.cast::<u8>().as_ptr();
    if piece >= bytes {
        RELEASED.set(next);
        // SAFETY: the list has owned what is left of the mapping, and has just forgotten it.
        unsafe { unmap(start, bytes) };
        return;
    }
    let kept = bytes - piece;
    // SAFETY: `kept` is below the mapped bytes.
    let end = unsafe { start.add(kept) };
    // SAFETY: the list owns the mapping, and keeps the part before `end`.
    unsafe { unmap(end, piece) };
    // SAFETY: the first page stays mapped: `kept` is at least a page, both numbers being whole pages.
    unsafe { block.write(Released { bytes: kept, next }) };
}

/// Returns the bytes of all mappings that are in use or wait for their release.
#[must_use]
pub fn mapped_bytes() -> usize {
    MAPPED_BYTES.load(Ordering::Relaxed)
}

/// Unmaps whole pages.
///
/// # Safety
///
/// The pages are a part of a mapping of [`map`] that the caller owns and gives up.
unsafe fn unmap(start: *mut u8, bytes: usize) {
    // SAFETY: the caller's promise.
    let status = unsafe { libc::munmap(start.cast(), bytes) };
    if status == 0 {
        MAPPED_BYTES.fetch_sub(bytes, Ordering::Relaxed);
    }
}

fn whole_pages(size: usize) -> Option<usize> {
    size.checked_next_multiple_of(PAGE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_a_thread(run: impl FnOnce() + Send + 'static) {
        std::thread::Builder::new()
            .spawn(run)
            .unwrap()
            .join()
            .unwrap();
    }

    #[test]
    fn a_vector_grows_over_the_border_and_shrinks_with_its_contents() {
        let mut bytes: Vec<u8> = Vec::new();
        let mut number = 0_u32;
        while bytes.len() < 4 * LARGE_BYTES_MIN {
            bytes.extend_from_slice(&number.to_le_bytes());
            number += 1;
        }
        bytes.shrink_to_fit();
        for (index, word) in bytes.chunks_exact(4).enumerate() {
            assert_eq!(word, u32::try_from(index).unwrap().to_le_bytes());
        }
        bytes.truncate(1000);
        bytes.shrink_to_fit();
        assert_eq!(bytes[996..], 249_u32.to_le_bytes());
    }

    #[test]
    fn zeroed_blocks_are_zero_and_can_be_written_to_their_end() {
        let mut bytes = vec![0_u8; LARGE_BYTES_MIN + 1];
        assert!(bytes.iter().all(|&byte| byte == 0));
        bytes[LARGE_BYTES_MIN] = 7;
        assert_eq!(bytes.last(), Some(&7));
    }

    #[test]
    fn freed_blocks_are_given_back_in_steps() {
        on_a_thread(|| {
            defer_releases();
            assert!(!release_step(PAGE_BYTES));
            let first = vec![1_u8; 2 * LARGE_BYTES_MIN];
            let second = vec![2_u8; LARGE_BYTES_MIN];
            drop(first);
            drop(second);
            let mut steps = 0;
            while release_step(LARGE_BYTES_MIN / 4) {
                steps += 1;
            }
            assert_eq!(steps, 3 * 4, "a quarter of the smallest block at a time");
            assert!(!release_step(PAGE_BYTES));
        });
    }

    #[test]
    fn a_block_may_be_freed_by_another_thread_than_its_own() {
        let block = vec![3_u8; 3 * LARGE_BYTES_MIN];
        on_a_thread(move || {
            defer_releases();
            drop(block);
            let mut steps = 0;
            while release_step(LARGE_BYTES_MIN) {
                steps += 1;
            }
            assert_eq!(steps, 3);
        });
    }
}
