//! What the process uses: bytes it has allocated, resident memory, processor time.
//!
//! [`CountingAllocator`] counts every allocation in a cell of the allocating thread, so that "used
//! memory" is exact and costs about a nanosecond. Memory freed on another core than it was
//! allocated on makes one cell too large and another too small by the same amount; only the sum
//! means something.

#![expect(
    unsafe_code,
    reason = "an allocator, and counters of the system without wrapper in std"
)]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::ffi::{CStr, c_char, c_void};
use std::fs;
use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use mimalloc::MiMalloc;

use crate::large_blocks::{self, LARGE_BYTES_MIN, PAGE_BYTES};
use crate::spsc::Padded;

/// Threads with a cell of their own; later ones share the last cell and pay for an atomic addition.
const CELL_COUNT: usize = 256;
const SHARED_CELL: usize = CELL_COUNT - 1;

static CELLS: [Padded<AtomicI64>; CELL_COUNT] = [const { Padded(AtomicI64::new(0)) }; CELL_COUNT];
static CELLS_TAKEN: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// This thread's cell, `usize::MAX` before its first allocation.
    static CELL: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// mimalloc and, for blocks of megabytes, mappings ([`crate::large_blocks`]), with a count of the bytes
/// handed out. Make it the global allocator of the program.
#[derive(Clone, Copy, Debug, Default)]
pub struct CountingAllocator;

/// Returns whether an allocation is a mapping of its own.
#[inline]
fn is_large(size: usize, alignment: usize) -> bool {
    size >= LARGE_BYTES_MIN && alignment <= PAGE_BYTES
}

// SAFETY: who serves a block follows from its layout alone, so every call for it goes to the same one
// of two allocators, unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for CountingAllocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let start = if is_large(layout.size(), layout.align()) {
            large_blocks::map(layout.size())
        } else {
            // SAFETY: the caller's promises are those that this call asks for.
            unsafe { MiMalloc.alloc(layout) }
        };
        if !start.is_null() {
            count(signed(layout.size()));
        }
        start
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let start = if is_large(layout.size(), layout.align()) {
            large_blocks::map(layout.size())
        } else {
            // SAFETY: the caller's promises are those that this call asks for.
            unsafe { MiMalloc.alloc_zeroed(layout) }
        };
        if !start.is_null() {
            count(signed(layout.size()));
        }
        start
    }

    #[inline]
    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        if is_large(layout.size(), layout.align()) {
            // SAFETY: by its layout the block is a mapping, and the caller gives it up.
            unsafe { large_blocks::release(start, layout.size()) };
        } else {
            // SAFETY: the caller's promises are those that this call asks for.
            unsafe { MiMalloc.dealloc(start, layout) };
        }
        count(-signed(layout.size()));
    }

    #[inline]
    unsafe fn realloc(&self, start: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if is_large(layout.size().max(new_size), layout.align()) {
            // SAFETY: the caller's promises are those that this call asks for.
            return unsafe { realloc_large(start, layout, new_size) };
        }
        // SAFETY: the caller's promises are those that this call asks for.
        let moved = unsafe { MiMalloc.realloc(start, layout, new_size) };
        if !moved.is_null() {
            count(signed(new_size) - signed(layout.size()));
        }
        moved
    }
}

/// [`GlobalAlloc::realloc`] where the block is a mapping before or after.
///
/// # Safety
///
/// That of [`GlobalAlloc::realloc`].
#[cold]
unsafe fn realloc_large(start: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
    let (old_size, alignment) = (layout.size(), layout.align());
    if is_large(old_size, alignment) && is_large(new_size, alignment) {
        // SAFETY: by its layout the block is a mapping of `old_size`, and the caller takes its new place.
        let moved = unsafe { large_blocks::grow(start, old_size, new_size) };
        if !moved.is_null() {
            count(signed(new_size) - signed(old_size));
        }
        return moved;
    }
    let Ok(new_layout) = Layout::from_size_align(new_size, alignment) else {
        return null_mut();
    };
    // SAFETY: the caller promises that the new size is not zero.
    let moved = unsafe { CountingAllocator.alloc(new_layout) };
    if !moved.is_null() {
        // SAFETY: both blocks have that many bytes, and the new one is nobody else's.
        unsafe { moved.copy_from_nonoverlapping(start, old_size.min(new_size)) };
        // SAFETY: the caller gives the old block up, of this layout.
        unsafe { CountingAllocator.dealloc(start, layout) };
    }
    moved
}

/// Returns the bytes that are allocated by all threads now.
///
/// As asked for, without what the allocator rounds up. 0 unless [`CountingAllocator`] is the global allocator. Cost: one load per thread that
/// ever was, 256 at most.
#[must_use]
pub fn allocated_bytes() -> usize {
    let taken = CELLS_TAKEN.load(Ordering::Relaxed).min(CELL_COUNT);
    let mut sum: i64 = CELLS[..taken]
        .iter()
        .map(|cell| cell.0.load(Ordering::Relaxed))
        .sum();
    if taken < CELL_COUNT {
        sum += CELLS[SHARED_CELL].0.load(Ordering::Relaxed);
    }
    // A moment between an allocation here and its release there may show too little, never below 0
    // for long.
    usize::try_from(sum).unwrap_or(0)
}

#[inline]
fn count(bytes: i64) {
    // The cell number has no destructor, so it can be read until the thread is gone for good.
    let index = CELL.try_with(Cell::get).unwrap_or(SHARED_CELL);
    if index < SHARED_CELL {
        let cell = &CELLS[index].0;
        // Only this thread writes to the cell, so no addition is lost between load and store.
        cell.store(cell.load(Ordering::Relaxed) + bytes, Ordering::Relaxed);
    } else {
        count_slow(index, bytes);
    }
}

#[cold]
#[inline(never)]
fn count_slow(index: usize, bytes: i64) {
    let index = if index == usize::MAX {
        let taken = CELLS_TAKEN.fetch_add(1, Ordering::Relaxed).min(SHARED_CELL);
        // Fails only in a thread that is almost gone; the shared cell is right for that too.
        CELL.try_with(|cell| cell.set(taken))
            .map_or(SHARED_CELL, |()| taken)
    } else {
        index
    };
    CELLS[index].0.fetch_add(bytes, Ordering::Relaxed);
}

#[inline]
fn signed(bytes: usize) -> i64 {
    // A layout is at most isize::MAX bytes.
    bytes.cast_signed() as i64
}

/// Returns the name and the version of the allocator, such as `mimalloc-2.1.7`.
#[must_use]
pub fn allocator_name() -> String {
    // SAFETY: the call takes no arguments and reads a constant.
    let version = unsafe { libmimalloc_sys::mi_version() };
    // Two digits each for minor and patch.
    let (major, minor, patch) = (version / 10_000, version / 100 % 100, version % 100);
    format!("mimalloc-{major}.{minor}.{patch}")
}

/// Gives back to the system what the calling thread has freed and what lies abandoned.
///
/// Other threads have to call it for themselves. Cost: a walk over those pages of the thread that are not full, some
/// microseconds, and a call of the system for each piece that was freed a second ago or earlier.
pub fn purge() {
    // SAFETY: the call takes no pointers; it touches only memory that nobody owns.
    unsafe { libmimalloc_sys::mi_collect(false) };
}

/// Returns the bytes that the allocator holds from the system for all threads, used or not, large blocks
/// included.
#[must_use]
pub fn committed_bytes() -> usize {
    let mut committed = 0;
    // SAFETY: the call writes to the places it is given; it leaves out those that are null.
    unsafe {
        libmimalloc_sys::mi_process_info(
            null_mut(),
            null_mut(),
            null_mut(),
            null_mut(),
            null_mut(),
            &raw mut committed,
            null_mut(),
            null_mut(),
        );
    };
    committed + large_blocks::mapped_bytes()
}

/// Returns what the allocator says of itself, for people to read.
#[must_use]
pub fn allocator_statistics() -> String {
    let mut text: Vec<u8> = Vec::new();
    // SAFETY: `append` gets back the pointer that is given here, which is valid until the call
    // returns and which nothing else uses meanwhile.
    unsafe {
        libmimalloc_sys::mi_stats_print_out(Some(append), (&raw mut text).cast::<c_void>());
    };
    String::from_utf8_lossy(&text).into_owned()
}

/// Appends a piece of text to the vector that `text` points to.
unsafe extern "C" fn append(piece: *const c_char, text: *mut c_void) {
    // SAFETY: the allocator calls this with a text that ends with a zero byte.
    let piece = unsafe { CStr::from_ptr(piece) };
    // SAFETY: this is the pointer that `allocator_statistics` has handed over.
    let text = unsafe { &mut *text.cast::<Vec<u8>>() };
    text.extend_from_slice(piece.to_bytes());
}

/// Returns the memory of this process that is in the machine's memory now, in bytes; 0 if the
/// kernel does not tell.
#[must_use]
pub fn resident_bytes() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| {
            let resident = text.split_ascii_whitespace().nth(1)?;
            resident.parse::<u64>().ok()
        });
    pages.unwrap_or(0).saturating_mul(page_bytes())
}

/// Returns the memory of the machine in bytes; 0 if the kernel does not tell.
#[must_use]
pub fn total_system_memory() -> u64 {
    let Ok(text) = fs::read_to_string("/proc/meminfo") else {
        return 0;
    };
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0).saturating_mul(1024)
}

fn page_bytes() -> u64 {
    // SAFETY: the call takes no pointers.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(bytes).unwrap_or(4096)
}

/// Returns the processor time of the calling thread in nanoseconds.
#[must_use]
pub fn thread_cpu_nanos() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the call writes to the given local only.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    if status != 0 {
        return 0;
    }
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

/// Processor time of the whole process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTime {
    /// In the program itself.
    pub user: Duration,
    /// In the kernel.
    pub system: Duration,
}

/// Returns the processor time this process has used since it started.
#[must_use]
pub fn process_cpu() -> CpuTime {
    usage(libc::RUSAGE_SELF)
}

/// Returns the processor time of the children this process has waited for.
#[must_use]
pub fn children_cpu() -> CpuTime {
    usage(libc::RUSAGE_CHILDREN)
}

/// Returns the processor time of the calling thread, split as for the process.
#[must_use]
pub fn thread_cpu() -> CpuTime {
    usage(libc::RUSAGE_THREAD)
}

fn usage(who: libc::c_int) -> CpuTime {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the call writes to the given local only.
    let status = unsafe { libc::getrusage(who, usage.as_mut_ptr()) };
    if status != 0 {
        return CpuTime::default();
    }
    // SAFETY: a zeroed `rusage` is valid, and the kernel has filled it in.
    let usage = unsafe { usage.assume_init() };
    CpuTime {
        user: duration(usage.ru_utime),
        system: duration(usage.ru_stime),
    }
}

fn duration(time: libc::timeval) -> Duration {
    let seconds = Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or(0));
    seconds + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[global_allocator]
    static ALLOCATOR: CountingAllocator = CountingAllocator;

    #[test]
    fn an_allocation_is_counted_and_its_release_too() {
        const BYTES: usize = 64 << 20;
        let block = vec![1_u8; BYTES];
        let with_block = allocated_bytes();
        assert!(with_block >= BYTES);
        // Other tests allocate at the same time, but nothing near this size is left by them.
        std::thread::Builder::new()
            .spawn(move || drop(block))
            .unwrap()
            .join()
            .unwrap();
        assert!(allocated_bytes() + BYTES / 2 < with_block);
    }

    #[test]
    fn the_allocator_tells_about_itself() {
        assert!(allocator_name().starts_with("mimalloc-"));
        let block = vec![1_u8; 8 << 20];
        assert!(committed_bytes() >= block.len());
        drop(block);
        purge();
        assert!(!allocator_statistics().is_empty());
    }

    #[test]
    fn the_system_tells_memory_and_time() {
        assert!(resident_bytes() > 100_000);
        assert!(total_system_memory() > resident_bytes());
        let before = thread_cpu_nanos();
        let mut sum = 0_u64;
        while thread_cpu_nanos() < before + 1_000_000 {
            sum = sum.wrapping_add(std::hint::black_box(1));
        }
        assert!(sum > 0);
        let CpuTime { user, system } = process_cpu();
        assert!(user + system > Duration::from_micros(500));
    }
}
