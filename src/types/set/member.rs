//! The bytes of one member of a large set, in one word.
//!
//! ```text
//!   up to 7 bytes     [bytes ..         ][len + 1]
//!   more              [address          ][0      ] -> [len][bytes ..]
//!                                     255 and more: [255][len, u64][bytes ..]
//! ```
//!
//! The last byte of the word tells both apart: addresses have 56 bits at most.
//!
//! Invariants
//! - If the last byte is 0, the word is the exposed address of a boxed slice, header and bytes
//!   complete, that this member alone owns.
//! - Nothing changes a member once it is made.
//!
//! Not here: tables (`table`).

#![expect(
    unsafe_code,
    reason = "a member in one word: 27 bytes for one of 13 in a table of a million, 36 with Box<[u8]>"
)]

use std::{fmt, ptr, slice};

use base::cast;

use crate::memory::allocated_bytes;
use crate::table::Element;

/// Most bytes that lie in the word itself.
const INLINE_BYTES_MAX: usize = WORD_BYTES - 1;

const WORD_BYTES: usize = size_of::<usize>();

/// The first byte of a slice whose length follows in eight more.
const LONG: u8 = u8::MAX;

/// Bytes before a long member.
const LONG_HEADER_BYTES: usize = 9;

const _: () = assert!(WORD_BYTES == 8, "an address leaves a byte of a word");

/// Immutable bytes. See the head of the file.
pub(super) struct Member {
    word: [u8; WORD_BYTES],
}

/// What lies outside of the word.
#[derive(Clone, Copy)]
struct Outside {
    start: *mut u8,
    header_bytes: usize,
    len: usize,
}

impl Member {
    /// Copies `bytes`.
    pub(super) fn new(bytes: &[u8]) -> Self {
        let mut word = [0; WORD_BYTES];
        if bytes.len() <= INLINE_BYTES_MAX {
            word[..bytes.len()].copy_from_slice(bytes);
            word[INLINE_BYTES_MAX] = u8::try_from(bytes.len() + 1).unwrap_or_default();
            return Self { word };
        }
        let mut slice = Vec::with_capacity(header_bytes(bytes.len()) + bytes.len());
        match u8::try_from(bytes.len()) {
            Ok(len) if len < LONG => slice.push(len),
            Ok(_) | Err(_) => {
                slice.push(LONG);
                slice.extend_from_slice(&cast::u64_from(bytes.len()).to_le_bytes());
            }
        }
        slice.extend_from_slice(bytes);
        let start: *mut u8 = Box::into_raw(slice.into_boxed_slice()).cast();
        word = start.expose_provenance().to_le_bytes();
        assert!(word[INLINE_BYTES_MAX] == 0, "an address has 56 bits");
        Self { word }
    }

    /// Returns the bytes.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        let tag = self.word[INLINE_BYTES_MAX];
        if tag != 0 {
            return &self.word[..usize::from(tag - 1)];
        }
        let outside = self.outside();
        // SAFETY: the slice goes on behind the header.
        let behind = unsafe { outside.start.add(outside.header_bytes) };
        // SAFETY: `len` bytes are there, which live and stay as they are while `self` is borrowed.
        unsafe { slice::from_raw_parts(behind, outside.len) }
    }

    #[inline]
    fn is_inline(&self) -> bool {
        self.word[INLINE_BYTES_MAX] != 0
    }

    /// Finds what the word is the address of; it must be one.
    #[inline]
    fn outside(&self) -> Outside {
        let start = ptr::with_exposed_provenance_mut::<u8>(usize::from_le_bytes(self.word));
        // SAFETY: every slice has a header of at least one byte.
        let first = unsafe { start.read() };
        if first < LONG {
            return Outside {
                start,
                header_bytes: 1,
                len: usize::from(first),
            };
        }
        // SAFETY: behind this first byte there are eight more of the header.
        let behind = unsafe { start.add(1) };
        // SAFETY: the same; an array of bytes has no alignment.
        let len = unsafe { behind.cast::<[u8; 8]>().read() };
        Outside {
            start,
            header_bytes: LONG_HEADER_BYTES,
            len: cast::usize_from(u64::from_le_bytes(len)),
        }
    }
}

impl Drop for Member {
    #[inline]
    fn drop(&mut self) {
        if !self.is_inline() {
            let outside = self.outside();
            let len = outside.header_bytes + outside.len;
            let slice = ptr::slice_from_raw_parts_mut(outside.start, len);
            // SAFETY: `new` has made this slice from a box, with this length, and leaves it here only.
            drop(unsafe { Box::from_raw(slice) });
        }
    }
}

impl Element for Member {
    #[inline]
    fn key(&self) -> &[u8] {
        self.bytes()
    }

    fn heap_bytes(&self) -> usize {
        if self.is_inline() {
            return 0;
        }
        let outside = self.outside();
        allocated_bytes(outside.header_bytes + outside.len)
    }
}

impl Clone for Member {
    fn clone(&self) -> Self {
        Self::new(self.bytes())
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "\"{}\"", self.bytes().escape_ascii())
    }
}

impl PartialEq for Member {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for Member {}

fn header_bytes(len: usize) -> usize {
    if len < usize::from(LONG) {
        1
    } else {
        LONG_HEADER_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_every_length_keep_their_bytes() {
        for len in (0..600).chain([4095, 70_000]) {
            let bytes: Vec<u8> = (0..len).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let member = Member::new(&bytes);
            assert_eq!(member.bytes(), bytes);
            let copy = member.clone();
            assert_eq!(copy, member);
            drop(member);
            assert_eq!(copy.bytes(), bytes);
            let owned = copy.heap_bytes();
            assert_eq!(owned == 0, len <= INLINE_BYTES_MAX);
            assert!(owned == 0 || owned > len);
        }
        assert_ne!(Member::new(b"a"), Member::new(b"b"));
        assert_ne!(Member::new(b""), Member::new(b"\0"));
        assert_eq!(size_of::<Member>(), 8);
        assert_eq!(format!("{:?}", Member::new(b"ab\xFF")), r#""ab\xff""#);
    }
}
