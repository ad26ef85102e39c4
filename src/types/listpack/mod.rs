//! Listpacks: short sequences of strings and integers in one piece of memory.
//!
//! ```text
//!   0         4       6                                       len - 1
//!   +---------+-------+---------+---------+-- ... --+---------+------+
//!   | total   | count | entry   | entry   |         | entry   | 0xFF |
//!   | u32     | u16   |         |         |         |         |      |
//!   +---------+-------+---------+---------+-- ... --+---------+------+
//! ```
//!
//! Both numbers of the header are little endian. The count 65535 means "count them". The bytes are
//! those of Redis, so that DUMP and RESTORE copy them.
//!
//! Elements have no type of their own: a string that is the decimal of an `i64`, in its one
//! spelling, lies there as an integer and reads as the same bytes again.
//!
//! Invariants
//! - The total is the length of the bytes, the count is right or 65535, the last byte is 0xFF.
//! - Every entry is whole and in its shortest encoding: equal elements are equal bytes.
//! - At most [`TOTAL_BYTES_MAX`] bytes.
//!
//! Nothing here allocates to read. A change moves the bytes behind it, so a listpack should stay
//! small; what small is, the types that use it decide.
//!
//! Source: payloads of DUMP of Redis 7.0.15.
//!
//! Not here: limits from the configuration, and what fields, scores or ids the elements are.

mod edit;
pub(crate) mod elements;
mod encoding;

use std::iter::{FusedIterator, Rev};

use base::cast;
use base::number;

use encoding::{END, Encoded};

/// Most bytes of a listpack, header and end included.
pub const TOTAL_BYTES_MAX: usize = (1 << 30) - 1;

/// Bytes before the first entry.
const HEADER_BYTES: usize = 6;
/// Bytes of an empty listpack.
const EMPTY_BYTES: usize = HEADER_BYTES + 1;
/// The count that says nothing.
const COUNT_UNKNOWN: u16 = u16::MAX;

/// A sequence of elements in one allocation. See the module for its form.
#[derive(Clone, Debug)]
pub struct Listpack {
    bytes: Vec<u8>,
}

/// Where an entry begins. Good until the listpack changes at or before it; a change behind it
/// leaves it good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(u32);

/// Bytes that are not a listpack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged;

impl Default for Listpack {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for Listpack {
    /// Compares the entries; one of two equal listpacks may not know its count.
    fn eq(&self, other: &Self) -> bool {
        self.bytes[HEADER_BYTES..] == other.bytes[HEADER_BYTES..]
    }
}

impl Eq for Listpack {}

impl Listpack {
    /// Takes bytes from outside, such as a payload of RESTORE, and checks all of them.
    ///
    /// Entries that are not in their shortest form, which Redis reads but never writes, are
    /// rewritten. O(n) in the bytes.
    ///
    /// # Errors
    ///
    /// If header, count, any entry or the end is wrong, or above [`TOTAL_BYTES_MAX`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, Damaged> {
        let (&[a, b, c, d, e, f], entries) = bytes.split_first_chunk().ok_or(Damaged)?;
        let total = cast::usize_from_u32(u32::from_le_bytes([a, b, c, d]));
        let (&end, entries) = entries.split_last().ok_or(Damaged)?;
        if total != bytes.len() || total > TOTAL_BYTES_MAX || end != END {
            return Err(Damaged);
        }
        let mut left = entries;
        let mut count = 0_usize;
        let mut is_shortest = true;
        while !left.is_empty() {
            let (element, whole) = encoding::check(left).ok_or(Damaged)?;
            is_shortest &= Encoded::new(element).matches(left);
            left = &left[whole..];
            count += 1;
        }
        let said = u16::from_le_bytes([e, f]);
        if said != COUNT_UNKNOWN && usize::from(said) != count {
            return Err(Damaged);
        }
        let mut listpack = Self { bytes };
        if is_shortest {
            listpack.write_count(count);
        } else {
            let mut rewritten = Self::with_capacity(total);
            rewritten.extend(listpack.iter());
            listpack = rewritten;
        }
        listpack.shrink();
        Ok(listpack)
    }

    /// Returns all bytes, header and end included, as DUMP writes them.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the length of [`Listpack::as_bytes`], at least 7. O(1).
    #[inline]
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns the bytes requested from the allocator. O(1).
    #[inline]
    #[must_use]
    pub fn capacity_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// Returns the bytes that `element` takes in any listpack. O(20).
    #[inline]
    #[must_use]
    pub fn encoded_bytes<'a>(element: impl Into<Element<'a>>) -> usize {
        Encoded::new(element.into()).whole_bytes()
    }

    /// Tells whether `bytes` more keep the listpack within [`TOTAL_BYTES_MAX`]. The bytes of an
    /// element are at most its length and 10 more; exactly, [`Listpack::encoded_bytes`].
    #[inline]
    #[must_use]
    pub fn would_fit(&self, bytes: usize) -> bool {
        bytes <= TOTAL_BYTES_MAX - self.bytes.len()
    }

    /// Returns the number of elements. O(1) below 65535, otherwise O(n).
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.known_count().unwrap_or_else(|| self.iter().count())
    }

    /// Tells whether there is no element. O(1).
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.len() == EMPTY_BYTES
    }

    /// Returns the position of the first element, nothing if there is none. O(1).
    #[inline]
    #[must_use]
    pub fn first(&self) -> Option<Position> {
        self.position_from(HEADER_BYTES)
    }

    /// Returns the position of the last element, nothing if there is none. O(1).
    #[inline]
    #[must_use]
    pub fn last(&self) -> Option<Position> {
        self.position_before(self.end())
    }

    /// Returns the position behind `position`, nothing behind the last. O(1).
    #[inline]
    #[must_use]
    pub fn next(&self, position: Position) -> Option<Position> {
        self.position_from(self.after(position))
    }

    /// Returns the position before `position`, nothing before the first. O(1).
    #[inline]
    #[must_use]
    pub fn previous(&self, position: Position) -> Option<Position> {
        self.position_before(position.offset())
    }

    /// Returns the position of the element with this index; negative ones count from the end, -1
    /// being the last. Nothing if there is no such element. Walks from the nearer end: O(n).
    #[must_use]
    pub fn position(&self, index: i64) -> Option<Position> {
        let steps = usize::try_from(index.unsigned_abs()).ok()?;
        let from_end = index < 0;
        let Some(count) = self.known_count() else {
            return if from_end {
                self.walk_back(steps)
            } else {
                self.walk(steps)
            };
        };
        let forward = if from_end {
            count.checked_sub(steps)?
        } else {
            steps
        };
        if forward >= count {
            None
        } else if forward <= count / 2 {
            self.walk(forward)
        } else {
            self.walk_back(count - forward)
        }
    }

    /// Returns the element at `position`. O(1).
    ///
    /// # Panics
    ///
    /// May panic, or return some other element, if `position` is not of this listpack.
    #[inline]
    #[must_use]
    pub fn get(&self, position: Position) -> Element<'_> {
        let (element, _) = encoding::decode(&self.bytes[position.offset()..])
            .expect("a position is where an entry begins");
        element
    }

    /// Returns the position of the first element equal to `needle`, looking at `from` and then at
    /// every element after `skip` others: 1 finds a field among fields and values. O(n); the
    /// needle is parsed once and elements are compared as they lie there.
    #[must_use]
    pub fn find<'a>(
        &self,
        from: Position,
        needle: impl Into<Element<'a>>,
        skip: usize,
    ) -> Option<Position> {
        self.find_encoded(from.offset(), &Encoded::new(needle.into()), skip)
    }

    fn find_encoded(&self, from: usize, needle: &Encoded<'_>, skip: usize) -> Option<Position> {
        let mut left = &self.bytes[from..];
        loop {
            if needle.matches(left) {
                return Some(Position::at(self.bytes.len() - left.len()));
            }
            for _ in 0..=skip {
                // Nothing at the end.
                left = left.get(encoding::whole_bytes(left)?..)?;
            }
        }
    }

    /// Iterates over all elements, from both ends.
    #[inline]
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter {
            entries: &self.bytes[HEADER_BYTES..self.end()],
        }
    }

    /// Iterates from the element at `from`, that one included, to the last.
    #[inline]
    #[must_use]
    pub fn iter_from(&self, from: Position) -> Iter<'_> {
        Iter {
            entries: &self.bytes[from.offset()..self.end()],
        }
    }

    /// Iterates from the last element to the first.
    #[inline]
    pub fn iter_rev(&self) -> Rev<Iter<'_>> {
        self.iter().rev()
    }

    /// Iterates from the element at `from`, that one included, back to the first.
    #[inline]
    pub fn iter_rev_from(&self, from: Position) -> Rev<Iter<'_>> {
        let entries = &self.bytes[HEADER_BYTES..self.after(from)];
        Iter { entries }.rev()
    }

    /// Offset of the byte 0xFF behind the last entry.
    #[inline]
    fn end(&self) -> usize {
        self.bytes.len() - 1
    }

    /// Offset behind the entry at `position`.
    #[inline]
    fn after(&self, position: Position) -> usize {
        let whole = encoding::whole_bytes(&self.bytes[position.offset()..])
            .expect("a position is where an entry begins");
        position.offset() + whole
    }

    #[inline]
    fn position_from(&self, offset: usize) -> Option<Position> {
        (offset < self.end()).then(|| Position::at(offset))
    }

    #[inline]
    fn position_before(&self, offset: usize) -> Option<Position> {
        let before = &self.bytes[HEADER_BYTES..offset];
        let whole = encoding::whole_bytes_before(before)?;
        Some(Position::at(offset - whole))
    }

    fn walk(&self, steps: usize) -> Option<Position> {
        let mut position = self.first()?;
        for _ in 0..steps {
            position = self.next(position)?;
        }
        Some(position)
    }

    /// One step is the last element.
    fn walk_back(&self, steps: usize) -> Option<Position> {
        let mut position = self.last()?;
        for _ in 1..steps {
            position = self.previous(position)?;
        }
        Some(position)
    }

    /// The number of elements, if the header has it.
    #[inline]
    fn known_count(&self) -> Option<usize> {
        let count = u16::from_le_bytes([self.bytes[4], self.bytes[5]]);
        (count != COUNT_UNKNOWN).then_some(usize::from(count))
    }
}

impl<'a> IntoIterator for &'a Listpack {
    type Item = Element<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl Position {
    #[inline]
    fn at(offset: usize) -> Self {
        Self(cast::u32_from(offset))
    }

    #[inline]
    pub(crate) fn offset(self) -> usize {
        cast::usize_from_u32(self.0)
    }
}

impl std::fmt::Display for Damaged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the bytes are not a listpack")
    }
}

impl std::error::Error for Damaged {}

/// The elements of a listpack in order, and backwards.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    /// The entries to come, all whole.
    entries: &'a [u8],
}

impl<'a> Iterator for Iter<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        let (element, content) = encoding::decode(self.entries)?;
        let whole = content + encoding::length_bytes(content);
        self.entries = &self.entries[whole..];
        Some(element)
    }
}

impl DoubleEndedIterator for Iter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        let whole = encoding::whole_bytes_before(self.entries)?;
        let (left, entry) = self.entries.split_at(self.entries.len() - whole);
        self.entries = left;
        Some(encoding::decode(entry)?.0)
    }
}

impl FusedIterator for Iter<'_> {}

/// An element as it lies in a listpack, or as it is to be put into one.
///
/// Of an element in a listpack, bytes are never the decimal of an `i64`; given to a listpack, they
/// may be, and become an integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element<'a> {
    /// Reads as its decimal.
    Integer(i64),
    /// Any bytes.
    Bytes(&'a [u8]),
}

#[expect(
    clippy::len_without_is_empty,
    reason = "nobody asks whether an element is empty"
)]
impl Element<'_> {
    /// Returns the length in bytes, of an integer that of its decimal. O(1).
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        match *self {
            Self::Integer(value) => {
                let digits = value.unsigned_abs().checked_ilog10().unwrap_or(0) + 1;
                cast::usize_from_u32(digits) + usize::from(value < 0)
            }
            Self::Bytes(bytes) => bytes.len(),
        }
    }

    /// Tells whether the element reads as `bytes`.
    #[inline]
    #[must_use]
    pub fn eq_bytes(&self, bytes: &[u8]) -> bool {
        match *self {
            Self::Integer(value) => number::parse_i64(bytes) == Some(value),
            Self::Bytes(own) => own == bytes,
        }
    }

    /// Returns the integer that the element is, nothing if it is no decimal of an `i64`. O(20).
    #[inline]
    #[must_use]
    pub fn integer(&self) -> Option<i64> {
        match *self {
            Self::Integer(value) => Some(value),
            Self::Bytes(bytes) => number::parse_i64(bytes),
        }
    }

    /// Calls `read` with the bytes; those of an integer lie on the stack.
    #[inline]
    pub fn with_bytes<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
        match *self {
            Self::Integer(value) => read(itoa::Buffer::new().format(value).as_bytes()),
            Self::Bytes(bytes) => read(bytes),
        }
    }

    /// Appends the bytes to `out`.
    #[inline]
    pub fn write_to(&self, out: &mut Vec<u8>) {
        self.with_bytes(|bytes| out.extend_from_slice(bytes));
    }

    /// Returns the bytes in an allocation of their length.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        self.with_bytes(<[u8]>::to_vec)
    }
}

impl From<i64> for Element<'_> {
    #[inline]
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl<'a> From<&'a [u8]> for Element<'a> {
    #[inline]
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(bytes)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Element<'a> {
    #[inline]
    fn from(bytes: &'a [u8; N]) -> Self {
        Self::Bytes(bytes)
    }
}

impl<'a> From<&'a Vec<u8>> for Element<'a> {
    #[inline]
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

#[cfg(test)]
mod tests;
