//! Bytes of an object, read one after the other. Every reader returns nothing where the bytes end or
//! are wrong.
//!
//! Not here: which objects (`read.rs`).

use std::borrow::Cow;

use super::lzf;

/// The bytes still to be read.
#[derive(Clone, Debug)]
pub(super) struct Source<'a> {
    left: &'a [u8],
}

/// A length, or the form of a string that has none.
enum Prefix {
    Length(u64),
    Special(u8),
}

impl<'a> Source<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    pub(super) fn left_len(&self) -> usize {
        self.left.len()
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (&byte, left) = self.left.split_first()?;
        self.left = left;
        Some(byte)
    }

    pub(super) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, left) = self.left.split_at_checked(len)?;
        self.left = left;
        Some(bytes)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, left) = self.left.split_first_chunk()?;
        self.left = left;
        Some(*array)
    }

    fn prefix(&mut self) -> Option<Prefix> {
        let first = self.byte()?;
        let low = first & 0x3F;
        Some(match (first >> 6, low) {
            (0, _) => Prefix::Length(u64::from(low)),
            (1, _) => Prefix::Length(u64::from(u16::from_be_bytes([low, self.byte()?]))),
            (2, 0) => Prefix::Length(u64::from(u32::from_be_bytes(self.array()?))),
            (2, 1) => Prefix::Length(u64::from_be_bytes(self.array()?)),
            (2, _) => return None,
            _ => Prefix::Special(low),
        })
    }

    /// Reads a length.
    pub(super) fn length(&mut self) -> Option<u64> {
        match self.prefix()? {
            Prefix::Length(length) => Some(length),
            Prefix::Special(_) => None,
        }
    }

    /// Reads how many elements follow, each of at least a byte; never more than there are bytes, so
    /// that memory may be taken for them.
    pub(super) fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(self.length()?).ok()?;
        (count <= self.left.len()).then_some(count)
    }

    /// Reads a string.
    pub(super) fn string(&mut self) -> Option<Cow<'a, [u8]>> {
        let decimal = |value: i64| Cow::Owned(value.to_string().into_bytes());
        Some(match self.prefix()? {
            Prefix::Length(length) => Cow::Borrowed(self.bytes(usize::try_from(length).ok()?)?),
            Prefix::Special(0) => decimal(i64::from(i8::from_le_bytes(self.array()?))),
            Prefix::Special(1) => decimal(i64::from(i16::from_le_bytes(self.array()?))),
            Prefix::Special(2) => decimal(i64::from(i32::from_le_bytes(self.array()?))),
            Prefix::Special(3) => {
                let packed = usize::try_from(self.length()?).ok()?;
                let len = usize::try_from(self.length()?).ok()?;
                Cow::Owned(lzf::decompress(self.bytes(packed)?, len)?)
            }
            Prefix::Special(_) => return None,
        })
    }

    /// Reads a score: eight bytes. NaN is none.
    pub(super) fn score(&mut self) -> Option<f64> {
        let score = f64::from_le_bytes(self.array()?);
        (!score.is_nan()).then_some(score)
    }

    /// Reads a score of old: a byte of length and its text, or one of three special lengths.
    pub(super) fn score_text(&mut self) -> Option<f64> {
        match self.byte()? {
            // 253 is NaN.
            253 => None,
            254 => Some(f64::INFINITY),
            255 => Some(f64::NEG_INFINITY),
            len => base::number::parse_f64(self.bytes(usize::from(len))?),
        }
    }

    /// Reads milliseconds since 1970.
    pub(super) fn millis(&mut self) -> Option<i64> {
        Some(i64::from_le_bytes(self.array()?))
    }
}
