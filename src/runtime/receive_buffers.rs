//! The buffers that the kernel receives into.
//!
//! All sockets of a core share one small ring of them, which stays in the processor's cache: more or
//! larger buffers are measurably slower. The kernel takes a buffer when data is there, not when a
//! receive is armed, so thousands of idle sockets need no memory.
//!
//! Invariants
//! - A buffer is in one of three places: offered to the kernel, lent to the user, or named by a
//!   completion nobody has read. Only a lent one is read here.
//! - Returned buffers are offered together, when [`ReceiveBuffers::publish`] stores the tail.

#![expect(unsafe_code, reason = "memory shared with the kernel")]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::BufRingEntry;

use crate::kernel_ring::KernelRing;

const PAGE_BYTES: usize = 4096;

/// The only group of buffers of a ring.
pub(crate) const BUFFER_GROUP: u16 = 0;

/// Most buffers a kernel takes in one group.
const BUFFER_COUNT_MAX: u16 = 1 << 15;

pub(crate) struct ReceiveBuffers {
    /// The descriptors the kernel reads, one page-aligned block.
    entries: Block,
    /// The buffers, one after the other.
    bytes: Block,
    count: u16,
    buffer_bytes: usize,
    /// Buffers offered since the start, wrapping; ahead of what the kernel sees until `publish`.
    tail: u16,
    published: u16,
    lent: u16,
}

impl ReceiveBuffers {
    /// Allocates `count` buffers (rounded up to a power of two) of `buffer_bytes` each; nothing is
    /// known to the kernel yet.
    pub(crate) fn new(count: u16, buffer_bytes: usize) -> Self {
        let count = count.clamp(1, BUFFER_COUNT_MAX).next_power_of_two();
        let entries = Block::new(usize::from(count) * size_of::<BufRingEntry>());
        let bytes = Block::new(usize::from(count) * buffer_bytes);
        let mut buffers = Self {
            entries,
            bytes,
            count,
            buffer_bytes,
            tail: 0,
            published: 0,
            lent: 0,
        };
        for buffer in 0..count {
            buffers.offer(buffer);
        }
        buffers.publish();
        buffers
    }

    /// Gives the buffers to `ring`.
    ///
    /// # Safety
    ///
    /// `self` is dropped only after `ring`, and that only after its `cancel_all` has succeeded.
    pub(crate) unsafe fn register(&self, ring: &mut KernelRing) -> io::Result<()> {
        let address = base::cast::u64_from(self.entries.start.as_ptr().addr());
        // SAFETY: the block is page-aligned, has `count` descriptors, each naming a whole buffer,
        // and the caller keeps it alive.
        unsafe { ring.register_buffers(address, self.count, BUFFER_GROUP) }
    }

    /// Notes that a completion has handed `buffer` to us.
    pub(crate) fn lend(&mut self, buffer: u16) {
        debug_assert!(buffer < self.count);
        self.lent += 1;
    }

    /// The first `len` bytes of a lent buffer.
    pub(crate) fn received(&self, buffer: u16, len: usize) -> &[u8] {
        assert!(
            buffer < self.count && len <= self.buffer_bytes,
            "a buffer of this ring"
        );
        let offset = usize::from(buffer) * self.buffer_bytes;
        // SAFETY: the offset is within the block, by the assertion.
        let start = unsafe { self.bytes.start.add(offset) };
        // SAFETY: `len` bytes from there are within the block and initialised (it was zeroed). The
        // kernel does not write to a buffer that is lent, and it cannot be returned while the
        // slice borrows `self`.
        unsafe { slice::from_raw_parts(start.as_ptr(), len) }
    }

    /// Takes a lent buffer back; the kernel may use it again after the next [`Self::publish`].
    pub(crate) fn recycle(&mut self, buffer: u16) {
        debug_assert!(self.lent > 0, "only a lent buffer comes back");
        self.lent -= 1;
        self.offer(buffer);
    }

    /// How many buffers are not lent.
    pub(crate) fn available(&self) -> u16 {
        self.count - self.lent
    }

    fn offer(&mut self, buffer: u16) {
        assert!(buffer < self.count, "a buffer of this ring");
        let offset = usize::from(buffer) * self.buffer_bytes;
        let address = base::cast::u64_from(self.bytes.start.as_ptr().addr() + offset);
        let slot = usize::from(self.tail & (self.count - 1));
        let entries = self.entries.start.cast::<BufRingEntry>();
        // SAFETY: `slot` is below `count`, the number of descriptors in the block.
        let mut entry = unsafe { entries.add(slot) };
        // SAFETY: the block is zeroed, which is a valid descriptor, and the kernel does not write
        // descriptors; it reads this one only when the tail has passed it.
        let entry = unsafe { entry.as_mut() };
        entry.set_addr(address);
        entry.set_len(base::cast::u32_from(self.buffer_bytes));
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Shows all offered buffers to the kernel.
    #[inline]
    pub(crate) fn publish(&mut self) {
        if self.published == self.tail {
            return;
        }
        self.published = self.tail;
        let entries = self.entries.start.cast::<BufRingEntry>();
        // SAFETY: the pointer is that of the first descriptor.
        let tail = unsafe { BufRingEntry::tail(entries.as_ptr()) };
        // SAFETY: the tail is an aligned u16 inside the block, which the kernel only reads, and
        // the reference does not outlive this statement.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        tail.store(self.published, Ordering::Release);
    }
}

/// Zeroed, page-aligned memory.
struct Block {
    start: NonNull<u8>,
    layout: Layout,
}

impl Block {
    fn new(bytes: usize) -> Self {
        let layout = Layout::from_size_align(bytes.max(1), PAGE_BYTES)
            .expect("buffers of a ring are far below the size of the address space");
        // SAFETY: the size of the layout is not zero.
        let start = unsafe { alloc_zeroed(layout) };
        let Some(start) = NonNull::new(start) else {
            handle_alloc_error(layout)
        };
        Self { start, layout }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: the block was allocated in `new` with this layout.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}
