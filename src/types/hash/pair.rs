//! A field of a large hash with its value, and when it expires: a pointer to one block.
//!
//! ```text
//!   joined:  [ head 1 | field length | value length | expiry 8 if any | field | value ]
//!   apart:   [ head 1 | field length | value length | expiry 8 if any | address 8 | field ]
//!                                                                         +-> [ value ]
//! ```
//!
//! Lengths take 1, 2 or 4 bytes each. The head has the width of the field's length in its lowest two
//! bits, that of the value's in the next two, then whether there is an expiry and whether the value
//! lies apart. It does only where the size classes of the allocator make that cheaper: a value of 1024
//! bytes would take 1280 together with its field.
//!
//! Invariants
//! - A block is as long as its head and lengths say, and belongs to one pair.
//! - The address of a value that lies apart is that of a boxed slice of its length, which the pair owns.
//!
//! Not here: which fields there are (`fields`).
#![expect(
    unsafe_code,
    reason = "a table has an array of these: 8 bytes for each field instead of 16"
)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::fmt;
use std::ptr::NonNull;

use base::cast;
use base::clock::UnixMillis;

use crate::memory::allocated_bytes;
use crate::table::Element;

/// The bit of the head that says that there is an expiry.
const EXPIRES: u8 = 1 << 4;

/// The bit of the head that says that the value lies apart.
const APART: u8 = 1 << 5;

/// Bytes of an expiry, and of an address.
const WORD_BYTES: usize = 8;

/// Longest prefix: head, two lengths, expiry, address.
const PREFIX_BYTES_MAX: usize = 1 + 4 + 4 + 2 * WORD_BYTES;

/// See the head of the file.
pub(super) struct Pair {
    block: NonNull<u8>,
}

const _: () = assert!(size_of::<Pair>() == 8, "a table has an array of these");

// SAFETY: a pair owns its block and its value and shares them with nobody.
unsafe impl Send for Pair {}

// SAFETY: whoever borrows a pair can only read it.
unsafe impl Sync for Pair {}

/// What stands before the field.
#[derive(Clone, Copy, Debug)]
struct Prefix {
    field_len: usize,
    value_len: usize,
    expire_at: Option<UnixMillis>,
    /// The address of a value that lies apart.
    apart: Option<NonNull<u8>>,
    /// Bytes of the prefix itself.
    bytes: usize,
}

impl Prefix {
    /// Returns the bytes of the whole block.
    fn block_bytes(&self) -> usize {
        let value = if self.apart.is_some() {
            0
        } else {
            self.value_len
        };
        self.bytes + self.field_len + value
    }

    /// Reads the prefix at the start of a block.
    #[inline]
    fn read(bytes: &[u8]) -> Self {
        let head = bytes[0];
        // Nearly all: both lengths below 256, and nothing else.
        if let [0, field_len, value_len, ..] = *bytes {
            return Self {
                field_len: usize::from(field_len),
                value_len: usize::from(value_len),
                expire_at: None,
                apart: None,
                bytes: 3,
            };
        }
        Self::read_long(head, bytes)
    }

    #[inline(never)]
    fn read_long(head: u8, bytes: &[u8]) -> Self {
        let (field_width, value_width) = (width_of_code(head), width_of_code(head >> 2));
        let mut at = 1;
        let mut take = |width: usize| {
            let mut word = [0_u8; WORD_BYTES];
            word[..width].copy_from_slice(&bytes[at..at + width]);
            at += width;
            u64::from_le_bytes(word)
        };
        let field_len = cast::usize_from(take(field_width));
        let value_len = cast::usize_from(take(value_width));
        let expire_at = (head & EXPIRES != 0).then(|| UnixMillis(take(WORD_BYTES).cast_signed()));
        let apart = if head & APART == 0 {
            None
        } else {
            let address = cast::usize_from(take(WORD_BYTES));
            NonNull::new(std::ptr::with_exposed_provenance_mut(address))
        };
        Self {
            field_len,
            value_len,
            expire_at,
            apart,
            bytes: at,
        }
    }
}

impl Pair {
    pub(super) fn new(field: &[u8], value: &[u8], expire_at: Option<UnixMillis>) -> Self {
        let bytes = prefix_bytes(field.len(), value.len(), expire_at.is_some());
        let joined = allocated_bytes(bytes + field.len() + value.len());
        let apart =
            allocated_bytes(bytes + WORD_BYTES + field.len()) + allocated_bytes(value.len());
        let is_apart = apart < joined;
        let mut prefix = [0_u8; PREFIX_BYTES_MAX];
        let mut at = 1;
        let mut put = |bytes: &[u8]| {
            prefix[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        let (field_code, value_code) = (code_for(field.len()), code_for(value.len()));
        let mut head = field_code | value_code << 2;
        for (len, code) in [(field.len(), field_code), (value.len(), value_code)] {
            put(&cast::u32_from(len).to_le_bytes()[..width_of_code(code)]);
        }
        if let Some(at) = expire_at {
            head |= EXPIRES;
            put(&at.0.to_le_bytes());
        }
        let mut tail = value;
        if is_apart {
            head |= APART;
            let value: Box<[u8]> = value.into();
            let address = Box::into_raw(value).cast::<u8>().expose_provenance();
            put(&cast::u64_from(address).to_le_bytes());
            tail = &[];
        }
        prefix[0] = head;
        Self::of_parts([&prefix[..at], field, tail])
    }

    /// Allocates a block and writes the parts of it, one behind the other.
    fn of_parts(parts: [&[u8]; 3]) -> Self {
        let layout = layout_of(parts.iter().map(|part| part.len()).sum());
        // SAFETY: a block has a head, so the layout is not empty.
        let block = unsafe { alloc(layout) };
        let Some(block) = NonNull::new(block) else {
            handle_alloc_error(layout)
        };
        let mut offset = 0;
        for part in parts {
            // SAFETY: the lengths of all parts before are within the block.
            let place = unsafe { block.add(offset) };
            // SAFETY: the block has room for the sum of all parts and is known to nobody else.
            unsafe {
                place
                    .as_ptr()
                    .copy_from_nonoverlapping(part.as_ptr(), part.len());
            }
            offset += part.len();
        }
        Self { block }
    }

    #[inline]
    fn prefix(&self) -> Prefix {
        // SAFETY: every block begins with its head.
        let head = unsafe { self.block.read() };
        let widths = width_of_code(head) + width_of_code(head >> 2);
        let words = usize::from(head & EXPIRES != 0) + usize::from(head & APART != 0);
        // SAFETY: the head says that so many bytes stand before the field.
        let bytes = unsafe { self.slice(1 + widths + words * WORD_BYTES) };
        Prefix::read(bytes)
    }

    /// Returns the first `len` bytes of the block.
    ///
    /// # Safety
    ///
    /// The block has so many.
    #[inline]
    unsafe fn slice(&self, len: usize) -> &[u8] {
        // SAFETY: the caller knows that they are there; all were written when the block was made, and
        // nobody changes them while the pair is borrowed.
        unsafe { std::slice::from_raw_parts(self.block.as_ptr(), len) }
    }

    #[inline]
    pub(super) fn field(&self) -> &[u8] {
        let prefix = self.prefix();
        let end = prefix.bytes + prefix.field_len;
        // SAFETY: the field stands behind the prefix.
        let bytes = unsafe { self.slice(end) };
        &bytes[prefix.bytes..]
    }

    pub(super) fn value(&self) -> &[u8] {
        let prefix = self.prefix();
        if let Some(value) = prefix.apart {
            // SAFETY: the address is that of a slice of this length, which the pair owns.
            return unsafe { std::slice::from_raw_parts(value.as_ptr(), prefix.value_len) };
        }
        // SAFETY: this is the length of the block.
        let bytes = unsafe { self.slice(prefix.block_bytes()) };
        &bytes[prefix.bytes + prefix.field_len..]
    }

    pub(super) fn expire_at(&self) -> Option<UnixMillis> {
        self.prefix().expire_at
    }

    /// Puts another value in the place of the old one.
    pub(super) fn set_value(&mut self, value: &[u8]) {
        let prefix = self.prefix();
        if value.len() != prefix.value_len {
            *self = Self::new(self.field(), value, prefix.expire_at);
            return;
        }
        let place = match prefix.apart {
            Some(place) => place,
            // SAFETY: the value stands behind the field.
            None => unsafe { self.block.add(prefix.bytes + prefix.field_len) },
        };
        // SAFETY: the old value has the same length there, and nobody else borrows the pair.
        unsafe {
            place
                .as_ptr()
                .copy_from_nonoverlapping(value.as_ptr(), value.len());
        }
    }

    pub(super) fn set_expire_at(&mut self, expire_at: Option<UnixMillis>) {
        if self.expire_at() != expire_at {
            *self = Self::new(self.field(), self.value(), expire_at);
        }
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        let prefix = self.prefix();
        if let Some(value) = prefix.apart {
            let value = std::ptr::slice_from_raw_parts_mut(value.as_ptr(), prefix.value_len);
            // SAFETY: it came out of a box of this length, which the pair owns.
            drop(unsafe { Box::from_raw(value) });
        }
        let layout = layout_of(prefix.block_bytes());
        // SAFETY: the block was allocated with this layout, as the prefix never changes.
        unsafe { dealloc(self.block.as_ptr(), layout) };
    }
}

impl Clone for Pair {
    fn clone(&self) -> Self {
        Self::new(self.field(), self.value(), self.expire_at())
    }
}

impl PartialEq for Pair {
    fn eq(&self, other: &Self) -> bool {
        self.field() == other.field()
            && self.value() == other.value()
            && self.expire_at() == other.expire_at()
    }
}

impl fmt::Debug for Pair {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Pair")
            .field("field", &self.field().escape_ascii().to_string())
            .field("value", &self.value().escape_ascii().to_string())
            .field("expire_at", &self.expire_at())
            .finish()
    }
}

impl Element for Pair {
    #[inline]
    fn key(&self) -> &[u8] {
        self.field()
    }

    fn heap_bytes(&self) -> usize {
        let prefix = self.prefix();
        let apart = if prefix.apart.is_some() {
            allocated_bytes(prefix.value_len)
        } else {
            0
        };
        allocated_bytes(prefix.block_bytes()) + apart
    }
}

/// Returns the bytes before the field of a joined pair.
fn prefix_bytes(field_len: usize, value_len: usize, expires: bool) -> usize {
    1 + width_of_code(code_for(field_len))
        + width_of_code(code_for(value_len))
        + if expires { WORD_BYTES } else { 0 }
}

fn code_for(len: usize) -> u8 {
    match len {
        0..=0xFF => 0,
        0x100..=0xFFFF => 1,
        _ => 2,
    }
}

/// Returns the bytes of a length from the lowest two bits of its code.
#[inline]
fn width_of_code(code: u8) -> usize {
    1 << (code & 3)
}

fn layout_of(bytes: usize) -> Layout {
    Layout::from_size_align(bytes, 1).expect("fields and values are bounded far below 2^63")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_all_lengths_keep_their_parts() {
        let lengths: &[usize] = if cfg!(miri) {
            &[0, 13, 256, 1024]
        } else {
            &[
                0, 1, 2, 13, 255, 256, 300, 1000, 1024, 65_535, 65_536, 100_000,
            ]
        };
        for &field_len in lengths {
            for &value_len in lengths {
                for at in [None, Some(UnixMillis(5)), Some(UnixMillis(i64::MAX))] {
                    let (field, value) = (vec![b'f'; field_len], vec![b'v'; value_len]);
                    let mut pair = Pair::new(&field, &value, at);
                    assert_eq!(pair.field(), field);
                    assert_eq!(pair.value(), value);
                    assert_eq!(pair.expire_at(), at);
                    assert_eq!(pair.clone(), pair);
                    let other = vec![b'w'; value_len];
                    pair.set_value(&other);
                    assert_eq!((pair.field(), pair.value()), (&field[..], &other[..]));
                    pair.set_value(b"other");
                    pair.set_expire_at(Some(UnixMillis(7)));
                    let expected = Pair::new(&field, b"other", Some(UnixMillis(7)));
                    assert_eq!(pair, expected);
                    pair.set_expire_at(None);
                    assert_eq!(pair.value(), b"other");
                    assert_eq!(pair.expire_at(), None);
                    assert_eq!(pair.field(), field);
                }
            }
        }
    }

    #[test]
    fn pair_is_parted_where_the_classes_of_the_allocator_make_that_cheaper() {
        let bytes = |value_len| Pair::new(b"field", &vec![0; value_len], None).heap_bytes();
        assert_eq!(bytes(100), 112);
        assert_eq!(bytes(1024), 1024 + 32);
        for value_len in (0..5000).step_by(if cfg!(miri) { 61 } else { 1 }) {
            let joined = allocated_bytes(3 + usize::from(value_len > 255) + 5 + value_len);
            assert!(bytes(value_len) <= joined, "{value_len}");
        }
    }
}
