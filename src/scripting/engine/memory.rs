//! The bytes of one interpreter: counted, and bounded while Lua's own code runs.
//!
//! Invariants
//! - `used` is the sum of the sizes of all blocks that Lua holds.
//! - A request is refused only if it would pass the bound while [`Ledger::is_strict`] holds, or if
//!   the allocator of the process has nothing left.

#![expect(
    unsafe_code,
    reason = "Lua asks for memory by a C function, with raw blocks"
)]

use std::alloc::{Layout, alloc, dealloc, realloc};
use std::cell::Cell;
use std::ffi::c_void;
use std::ptr::null_mut;

use super::context::Context;

/// Alignment of every block: what C promises for any object.
const ALIGNMENT: usize = 16;

/// What one interpreter holds and may hold, in bytes.
#[derive(Debug)]
pub(crate) struct Ledger {
    used: Cell<usize>,
    max: usize,
    is_strict: Cell<bool>,
    /// What was held after the last collection that shortage brought about.
    collected: Cell<usize>,
}

impl Ledger {
    /// Nothing held, bound not enforced yet.
    pub(crate) const fn new(max: usize) -> Self {
        Self {
            used: Cell::new(0),
            max,
            is_strict: Cell::new(false),
            collected: Cell::new(0),
        }
    }

    /// Bytes of all blocks that Lua holds.
    pub(crate) const fn used_bytes(&self) -> usize {
        self.used.get()
    }

    /// What may be held.
    pub(crate) const fn max_bytes(&self) -> usize {
        self.max
    }

    /// Whether more is held than allowed, which native functions may bring about.
    pub(crate) const fn is_exceeded(&self) -> bool {
        self.used.get() > self.max
    }

    /// Whether garbage should be looked for before the bound is met: three quarters are held, and an
    /// eighth more than after the last time. Lua itself would raise instead.
    pub(crate) const fn wants_collection(&self) -> bool {
        let used = self.used.get();
        used > self.max / 4 * 3 && used > self.collected.get() + self.max / 8
    }

    /// Remembers what a collection left.
    pub(crate) fn note_collection(&self) {
        self.collected.set(self.used.get());
    }

    /// Says whether requests above the bound are refused from now on; returns what held before.
    pub(crate) const fn set_strict(&self, is_strict: bool) -> bool {
        self.is_strict.replace(is_strict)
    }

    /// Accounts for a block that changes its size; false if it may not.
    fn change(&self, old_bytes: usize, new_bytes: usize) -> bool {
        let used = self.used.get() - old_bytes + new_bytes;
        if new_bytes > old_bytes && used > self.max && self.is_strict.get() {
            return false;
        }
        self.used.set(used);
        true
    }
}

/// The function that Lua calls for memory: `new_bytes` of 0 frees, a null `block` allocates.
///
/// # Safety
///
/// `context` points to the [`Context`] of the interpreter, and `block`, if not null, came from here
/// with size `old_bytes`.
pub(crate) unsafe extern "C" fn allocate(
    context: *mut c_void,
    block: *mut c_void,
    old_bytes: usize,
    new_bytes: usize,
) -> *mut c_void {
    // SAFETY: the interpreter was made with its context here, which outlives it.
    let context = unsafe { &*context.cast::<Context>() };
    let ledger = &context.ledger;
    let old_bytes = if block.is_null() { 0 } else { old_bytes };
    if !ledger.change(old_bytes, new_bytes) {
        return null_mut();
    }
    let (Ok(old), Ok(new)) = (
        Layout::from_size_align(old_bytes, ALIGNMENT),
        Layout::from_size_align(new_bytes, ALIGNMENT),
    ) else {
        ledger.change(new_bytes, old_bytes);
        return null_mut();
    };
    let block = block.cast::<u8>();
    let moved = match (old_bytes, new_bytes) {
        (0, 0) => null_mut(),
        // SAFETY: the size is not 0.
        (0, _) => unsafe { alloc(new) },
        (_, 0) => {
            // SAFETY: the block came from here with this size, which is not 0.
            unsafe { dealloc(block, old) };
            null_mut()
        }
        // SAFETY: the block came from here with this size; neither size is 0.
        _ => unsafe { realloc(block, old, new_bytes) },
    };
    if moved.is_null() && new_bytes > 0 {
        ledger.change(new_bytes, old_bytes);
    }
    moved.cast()
}
