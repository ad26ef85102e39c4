//! Rows, schemas and changes as bytes, for logs and files.
//!
//! ```text
//!   number   7 bits a byte, the lowest first; the highest bit says that more follow
//!   signed   a number: 0, -1, 1, -2, 2 ... are 0, 1, 2, 3, 4 ...
//!   string   number: its length | bytes
//!   id       of a table: u64, little endian
//! ```
//!
//! Invariants
//! - Any bytes may be read: they give what keeps the invariants of its type, or [`Damaged`].
//! - Reading allocates no more than a constant times the bytes that it is given.
//! - What is written is read back as it was.
//!
//! In reading order: `row.rs`, `schema.rs`, [`record`] (changes, for a log), [`section`] (what a file of all
//! data has of tables).
//!
//! Not here: the files (crate `storage`), and the frame of effects in a log (`types::effect`).

pub mod record;
pub(crate) mod row;
pub mod schema;
pub mod section;

use base::cast::{u64_from, usize_from};

/// The bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged(pub &'static str);

impl std::fmt::Display for Damaged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Damaged {}

/// The bytes end too early.
const SHORT: Damaged = Damaged("data of tables ends in the middle");

pub(crate) fn put_number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        let [low, ..] = value.to_le_bytes();
        out.push(low | 0x80);
        value >>= 7;
    }
    let [low, ..] = value.to_le_bytes();
    out.push(low);
}

pub(crate) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_number(out, ((value << 1) ^ (value >> 63)).cast_unsigned());
}

pub(crate) fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, u64_from(bytes.len()));
    out.extend_from_slice(bytes);
}

/// Bytes that are read from their beginning.
#[derive(Clone, Debug)]
pub(crate) struct Source<'a> {
    left: &'a [u8],
}

impl<'a> Source<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.left.len()
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Damaged> {
        let (array, left) = self.left.split_first_chunk().ok_or(SHORT)?;
        self.left = left;
        Ok(*array)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Damaged> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn number(&mut self) -> Result<u64, Damaged> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7F);
            // The tenth byte has one bit left.
            if shift == 63 && bits > 1 {
                return Err(Damaged("a number of tables has more than 64 bits"));
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Damaged("a number of tables has more than 64 bits"))
    }

    pub(crate) fn narrow<T: TryFrom<u64>>(&mut self) -> Result<T, Damaged> {
        let value = self.number()?;
        T::try_from(value).map_err(|_large| Damaged("a number of tables is out of range"))
    }

    pub(crate) fn signed(&mut self) -> Result<i64, Damaged> {
        let value = self.number()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// Reads a count of things of at least `bytes_min` bytes each; more than there can be is damage.
    pub(crate) fn count(&mut self, bytes_min: usize) -> Result<usize, Damaged> {
        let count = self.number()?;
        if count > u64_from(self.left.len() / bytes_min.max(1)) {
            return Err(SHORT);
        }
        Ok(usize_from(count))
    }

    pub(crate) fn string(&mut self) -> Result<&'a [u8], Damaged> {
        let len = self.count(1)?;
        let (string, left) = self.left.split_at_checked(len).ok_or(SHORT)?;
        self.left = left;
        Ok(string)
    }
}
