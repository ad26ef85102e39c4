//! Intsets: short sorted sequences of different integers in one piece of memory.
//!
//! ```text
//!   0        4        8
//!   +--------+--------+-------+-------+-- ... --+
//!   | width  | length | least |       |         |
//!   | u32    | u32    |       |       |         |
//!   +--------+--------+-------+-------+-- ... --+
//! ```
//!
//! All numbers are little endian; each integer has `width` bytes: 2, 4 or 8, as the widest of them
//! once needed. The bytes are those of Redis, so that DUMP and RESTORE copy them.
//!
//! Invariants
//! - There are no bytes, or a header and `length` integers, strictly ascending.
//! - The width never shrinks while there are integers.
//!
//! A change moves the bytes behind it, so an intset should stay small; what small is, sets decide.
//!
//! Source: payloads of DUMP of Redis 7.0.15.
//!
//! Not here: members that are no integers (`set`).

use std::cmp::Ordering;
use std::mem;

use base::cast;

use crate::listpack::Damaged;

/// Bytes before the first integer.
const HEADER_BYTES: usize = 8;

/// The bytes of an intset without integers: width 2, length 0.
const EMPTY: [u8; HEADER_BYTES] = [2, 0, 0, 0, 0, 0, 0, 0];

/// Allocations up to this size do not shrink by themselves.
const KEPT_CAPACITY_MAX: usize = 1024;

/// A sorted set of integers in one allocation. See the module for its form. A new one has no
/// memory.
#[derive(Clone, Debug, Default)]
pub struct Intset {
    /// Two words in a set. Behind the last integer there may be bytes without meaning.
    bytes: Box<[u8]>,
}

impl PartialEq for Intset {
    /// Compares the integers; equal ones may have different widths.
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Eq for Intset {}

impl Intset {
    /// Makes an empty intset, without memory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes from outside, such as a payload of RESTORE, and checks all of them. O(n).
    ///
    /// # Errors
    ///
    /// If the width is none, the length is wrong, or the integers do not ascend strictly.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, Damaged> {
        let (&[a, b, c, d, e, f, g, h], integers) = bytes.split_first_chunk().ok_or(Damaged)?;
        let width = u32::from_le_bytes([a, b, c, d]);
        let count = u64::from(u32::from_le_bytes([e, f, g, h]));
        if !matches!(width, 2 | 4 | 8) || count * u64::from(width) != cast::u64_from(integers.len())
        {
            return Err(Damaged);
        }
        let intset = Self {
            bytes: bytes.into(),
        };
        if !intset.iter().is_sorted_by(|one, next| one < next) {
            return Err(Damaged);
        }
        Ok(intset)
    }

    /// Makes an empty intset in this memory, whatever it holds.
    #[must_use]
    pub(crate) fn empty_in(mut memory: Vec<u8>) -> Self {
        memory.clear();
        if memory.capacity() < HEADER_BYTES {
            return Self::default();
        }
        memory.extend_from_slice(&EMPTY);
        Self::of_trusted(memory)
    }

    /// Wraps the bytes of an intset as [`Intset::as_bytes`] gave them.
    #[must_use]
    pub(crate) fn of_trusted(mut bytes: Vec<u8>) -> Self {
        debug_assert!(
            Self::from_bytes(bytes.clone()).is_ok(),
            "the bytes are of an intset"
        );
        // Nothing is allocated if the capacity is used up.
        bytes.resize(bytes.capacity(), 0);
        Self {
            bytes: bytes.into(),
        }
    }

    /// Returns the memory, with its contents.
    #[must_use]
    pub(crate) fn into_memory(self) -> Vec<u8> {
        self.bytes.into_vec()
    }

    /// Bytes that have a meaning: 0, or the header and all integers.
    #[inline]
    fn used_bytes(&self) -> usize {
        match self.bytes.first_chunk() {
            Some(&[width, _, _, _, a, b, c, d]) => {
                let count = cast::usize_from_u32(u32::from_le_bytes([a, b, c, d]));
                HEADER_BYTES + count * usize::from(width)
            }
            None => 0,
        }
    }

    /// Returns all bytes, header included, as DUMP writes them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        if self.bytes.is_empty() {
            &EMPTY
        } else {
            &self.bytes[..self.used_bytes()]
        }
    }

    /// Returns the bytes requested from the allocator, 0 before the first integer comes. O(1).
    #[must_use]
    pub fn allocated_len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns the number of integers. O(1).
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.integers().len() / self.width()
    }

    /// Tells whether there is no integer. O(1).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.integers().is_empty()
    }

    /// Returns the integer with this index, counted from the least; nothing behind the greatest.
    /// O(1).
    #[inline]
    #[must_use]
    pub fn get(&self, index: usize) -> Option<i64> {
        let width = self.width();
        let at = index.checked_mul(width)?;
        read(self.integers().get(at..at.checked_add(width)?)?)
    }

    /// Tells whether `value` is there. O(log n).
    #[must_use]
    pub fn contains(&self, value: i64) -> bool {
        width_of(value) <= self.width() && self.search(value).is_ok()
    }

    /// Adds `value` and returns whether it was not there. O(n) in the bytes.
    ///
    /// # Panics
    ///
    /// If there are 2^32 integers: the caller bounds an intset.
    pub fn insert(&mut self, value: i64) -> bool {
        let Err(index) = self.search(value) else {
            return false;
        };
        let count = self.len();
        if width_of(value) > self.width() {
            self.widen(width_of(value));
        }
        let width = self.width();
        let mut bytes = self.take();
        let (len, at) = (bytes.len(), HEADER_BYTES + index * width);
        bytes.reserve_exact(width);
        bytes.resize(len + width, 0);
        bytes.copy_within(at..len, at + width);
        bytes[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
        self.put(bytes, count + 1);
        true
    }

    /// Removes `value` and returns whether it was there. O(n) in the bytes.
    pub fn remove(&mut self, value: i64) -> bool {
        if width_of(value) > self.width() {
            return false;
        }
        let Ok(index) = self.search(value) else {
            return false;
        };
        self.remove_at(index);
        true
    }

    /// Removes the integer with this index; there must be one. O(n) in the bytes.
    pub fn remove_at(&mut self, index: usize) {
        let (count, width) = (self.len(), self.width());
        let at = HEADER_BYTES + index * width;
        let mut bytes = self.take();
        bytes.drain(at..at + width);
        self.put(bytes, count - 1);
    }

    /// Keeps the integers for which `keep` says so; asks once for each, ascending. O(n).
    pub fn retain(&mut self, mut keep: impl FnMut(i64) -> bool) {
        let width = self.width();
        let mut bytes = self.take();
        let mut kept = HEADER_BYTES;
        for at in (HEADER_BYTES..bytes.len()).step_by(width) {
            if read(&bytes[at..at + width]).is_some_and(&mut keep) {
                bytes.copy_within(at..at + width, kept);
                kept += width;
            }
        }
        bytes.truncate(kept);
        self.put(bytes, (kept - HEADER_BYTES) / width);
    }

    /// Iterates over all integers, ascending.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter {
            left: self.integers(),
            width: self.width(),
        }
    }

    /// Returns the index of `value`, or where it would be.
    fn search(&self, value: i64) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            match self
                .get(middle)
                .map_or(Ordering::Greater, |it| it.cmp(&value))
            {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return Ok(middle),
                Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    #[inline]
    fn integers(&self) -> &[u8] {
        self.bytes
            .get(HEADER_BYTES..self.used_bytes())
            .unwrap_or_default()
    }

    /// Bytes of each integer: 2, 4 or 8.
    #[inline]
    fn width(&self) -> usize {
        self.bytes.first().map_or(2, |&width| usize::from(width))
    }

    /// Gives every integer `width` bytes.
    fn widen(&mut self, width: usize) {
        let mut wide = Vec::with_capacity(HEADER_BYTES + self.len() * width);
        wide.extend_from_slice(&self.as_bytes()[..HEADER_BYTES]);
        wide[0] = u8::try_from(width).expect("a width is 2, 4 or 8");
        for value in self.iter() {
            wide.extend_from_slice(&value.to_le_bytes()[..width]);
        }
        self.bytes = wide.into();
    }

    /// Takes the bytes out for a change; there is a header.
    fn take(&mut self) -> Vec<u8> {
        if self.bytes.is_empty() {
            return EMPTY.to_vec();
        }
        let used = self.used_bytes();
        let mut bytes = mem::take(&mut self.bytes).into_vec();
        bytes.truncate(used);
        bytes
    }

    /// Puts the bytes of `count` integers back. Memory of more than 1 KiB that is half empty shrinks.
    fn put(&mut self, mut bytes: Vec<u8>, count: usize) {
        bytes[4..HEADER_BYTES].copy_from_slice(&cast::u32_from(count).to_le_bytes());
        if bytes.capacity() > KEPT_CAPACITY_MAX.max(2 * bytes.len()) {
            bytes.shrink_to_fit();
        }
        bytes.resize(bytes.capacity(), 0);
        self.bytes = bytes.into();
    }
}

impl<'a> IntoIterator for &'a Intset {
    type Item = i64;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// The integers of an intset, ascending.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    left: &'a [u8],
    width: usize,
}

impl Iterator for Iter<'_> {
    type Item = i64;

    #[inline]
    fn next(&mut self) -> Option<i64> {
        let (first, left) = self.left.split_at_checked(self.width)?;
        self.left = left;
        read(first)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = self.left.len() / self.width;
        (len, Some(len))
    }
}

impl ExactSizeIterator for Iter<'_> {}

/// Reads an integer of 2, 4 or 8 bytes.
#[inline]
fn read(bytes: &[u8]) -> Option<i64> {
    Some(match *bytes {
        [a, b] => i64::from(i16::from_le_bytes([a, b])),
        [a, b, c, d] => i64::from(i32::from_le_bytes([a, b, c, d])),
        _ => i64::from_le_bytes(*bytes.first_chunk()?),
    })
}

/// Returns the least width that has `value`.
fn width_of(value: i64) -> usize {
    if i16::try_from(value).is_ok() {
        2
    } else if i32::try_from(value).is_ok() {
        4
    } else {
        8
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use base::random::Random;

    use super::*;

    fn of(values: &[i64]) -> Intset {
        let mut intset = Intset::new();
        for &value in values {
            assert!(intset.insert(value));
        }
        intset
    }

    #[test]
    fn bytes_are_those_that_redis_dumps() {
        assert_eq!(Intset::new().as_bytes(), EMPTY);
        assert_eq!(
            of(&[3, -1, 2]).as_bytes(),
            [2, 0, 0, 0, 3, 0, 0, 0, 0xFF, 0xFF, 2, 0, 3, 0]
        );
        assert_eq!(
            of(&[1, -32_769]).as_bytes(),
            [4, 0, 0, 0, 2, 0, 0, 0, 0xFF, 0x7F, 0xFF, 0xFF, 1, 0, 0, 0]
        );
        let wide = of(&[1, 1 << 31]);
        assert_eq!(wide.as_bytes()[..9], [8, 0, 0, 0, 2, 0, 0, 0, 1]);
        assert_eq!(wide.as_bytes().len(), 24);
    }

    #[test]
    fn intset_is_a_sorted_set() {
        let seed = std::env::var("SEED").map_or(1, |seed| seed.parse().unwrap());
        println!("SEED={seed}");
        let mut random = Random::new(seed);
        for width in [8, 15, 16, 31, 32, 63] {
            let (mut intset, mut model) = (Intset::new(), BTreeSet::new());
            for step in 0..4000 {
                let range = 1 << width.min(if step < 1000 { 9 } else { 63 });
                let value = random.below(range).cast_signed() - (range / 2).cast_signed();
                if random.below(if step < 2500 { 4 } else { 2 }) > 0 {
                    assert_eq!(intset.insert(value), model.insert(value));
                } else {
                    let there = model.iter().nth(random.index(model.len().max(1))).copied();
                    let value = there.unwrap_or(value);
                    assert_eq!(intset.remove(value), model.remove(&value));
                }
                assert_eq!(intset.contains(value), model.contains(&value));
                assert_eq!(
                    (intset.len(), intset.is_empty()),
                    (model.len(), model.is_empty())
                );
            }
            assert!(intset.iter().eq(model.iter().copied()));
            let copy = Intset::from_bytes(intset.as_bytes().to_vec()).unwrap();
            assert_eq!(copy, intset);
            let mut asked = Vec::new();
            intset.retain(|value| {
                asked.push(value);
                value % 3 == 0
            });
            assert!(asked.iter().eq(model.iter()));
            model.retain(|value| value % 3 == 0);
            assert!(intset.iter().eq(model.iter().copied()));
            assert_eq!(intset.len(), model.len());
            let len = intset.as_bytes().len();
            assert!(intset.allocated_len() >= len && intset.allocated_len() <= 1024.max(2 * len));
        }
    }

    #[test]
    fn damaged_bytes_are_refused() {
        let good = of(&[1, 2, 300_000]).as_bytes().to_vec();
        assert!(Intset::from_bytes(good.clone()).is_ok());
        for len in 0..good.len() {
            assert!(Intset::from_bytes(good[..len].to_vec()).is_err(), "{len}");
        }
        for (at, byte) in [
            (0, 3),
            (0, 2),
            (1, 1),
            (4, 2),
            (4, 4),
            (7, 0x80),
            (8, 2),
            (8, 9),
        ] {
            let mut bytes = good.clone();
            bytes[at] = byte;
            assert!(Intset::from_bytes(bytes).is_err(), "{at}: {byte}");
        }
        assert!(Intset::from_bytes(EMPTY.to_vec()).unwrap().is_empty());
    }
}
