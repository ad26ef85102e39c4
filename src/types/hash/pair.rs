//! A field of a large hash with its value, and when it expires.
//!
//! ```text
//!   joined:  [ head 1 | field length 1, 2 or 4 | expiry 8 if any | field | value ]
//!   apart:   [ expiry, pointers and lengths ] -> [ field ], [ value ]
//! ```
//!
//! One allocation, unless the size classes of the allocator make three of them cheaper: a value of
//! exactly 1024 bytes would otherwise take 1280 together with its field. The head has the width of the
//! length in its two lowest bits and whether there is an expiry in the third; the value is the rest.
//!
//! Not here: which fields there are (`fields`).

use base::cast;
use base::clock::UnixMillis;

use crate::memory::allocated_bytes;
use crate::table::Element;

/// The bit of the head that says that there is an expiry.
const EXPIRES: u8 = 4;

/// Bytes of an expiry.
const EXPIRY_BYTES: usize = 8;

/// See the head of the file.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Pair {
    Joined(Box<[u8]>),
    Apart(Box<Apart>),
}

/// A pair in three allocations.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Apart {
    field: Box<[u8]>,
    value: Box<[u8]>,
    expire_at: Option<UnixMillis>,
}

const _: () = assert!(size_of::<Pair>() == 16, "a table has an array of these");

impl Pair {
    pub(super) fn new(field: &[u8], value: &[u8], expire_at: Option<UnixMillis>) -> Self {
        let width = width_of(field.len());
        let start = field_start(width, expire_at.is_some());
        let joined = start + field.len() + value.len();
        let apart = allocated_bytes(size_of::<Apart>())
            + allocated_bytes(field.len())
            + allocated_bytes(value.len());
        if apart < allocated_bytes(joined) {
            return Self::Apart(Box::new(Apart {
                field: field.into(),
                value: value.into(),
                expire_at,
            }));
        }
        let mut bytes = Vec::with_capacity(joined);
        let expires = if expire_at.is_some() { EXPIRES } else { 0 };
        let length = cast::u32_from(field.len()).to_le_bytes();
        let (code, length) = match width {
            1 => (0, &length[..1]),
            2 => (1, &length[..2]),
            _ => (2, &length[..]),
        };
        bytes.push(code | expires);
        bytes.extend_from_slice(length);
        if let Some(at) = expire_at {
            bytes.extend_from_slice(&at.0.to_le_bytes());
        }
        bytes.extend_from_slice(field);
        bytes.extend_from_slice(value);
        Self::Joined(bytes.into_boxed_slice())
    }

    pub(super) fn field(&self) -> &[u8] {
        match self {
            Self::Joined(bytes) => {
                let (start, end) = field_range(bytes);
                &bytes[start..end]
            }
            Self::Apart(apart) => &apart.field,
        }
    }

    pub(super) fn value(&self) -> &[u8] {
        match self {
            Self::Joined(bytes) => &bytes[field_range(bytes).1..],
            Self::Apart(apart) => &apart.value,
        }
    }

    pub(super) fn expire_at(&self) -> Option<UnixMillis> {
        match self {
            Self::Joined(bytes) => {
                if bytes[0] & EXPIRES == 0 {
                    return None;
                }
                let (start, _) = field_range(bytes);
                let (_, expiry) = bytes[..start].split_last_chunk::<EXPIRY_BYTES>()?;
                Some(UnixMillis(i64::from_le_bytes(*expiry)))
            }
            Self::Apart(apart) => apart.expire_at,
        }
    }

    /// Puts another value in the place of the old one.
    pub(super) fn set_value(&mut self, value: &[u8]) {
        if let Self::Joined(bytes) = self {
            let (_, end) = field_range(bytes);
            if let Some(place) = bytes.get_mut(end..)
                && place.len() == value.len()
            {
                place.copy_from_slice(value);
                return;
            }
        }
        *self = Self::new(self.field(), value, self.expire_at());
    }

    pub(super) fn set_expire_at(&mut self, expire_at: Option<UnixMillis>) {
        if self.expire_at() != expire_at {
            *self = Self::new(self.field(), self.value(), expire_at);
        }
    }
}

impl Element for Pair {
    #[inline]
    fn key(&self) -> &[u8] {
        self.field()
    }

    fn heap_bytes(&self) -> usize {
        match self {
            Self::Joined(bytes) => allocated_bytes(bytes.len()),
            Self::Apart(apart) => {
                allocated_bytes(size_of::<Apart>())
                    + allocated_bytes(apart.field.len())
                    + allocated_bytes(apart.value.len())
            }
        }
    }
}

/// Returns the bytes that the length of a field takes.
fn width_of(len: usize) -> usize {
    match len {
        0..=0xFF => 1,
        0x100..=0xFFFF => 2,
        _ => 4,
    }
}

fn field_start(width: usize, expires: bool) -> usize {
    1 + width + if expires { EXPIRY_BYTES } else { 0 }
}

/// Returns where the field begins and ends in a joined pair.
#[inline]
fn field_range(bytes: &[u8]) -> (usize, usize) {
    let expires = bytes[0] & EXPIRES != 0;
    let (width, len) = match bytes[0] & 3 {
        0 => (1, usize::from(bytes[1])),
        1 => (2, usize::from(u16::from_le_bytes([bytes[1], bytes[2]]))),
        _ => {
            let len = u32::from_le_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]);
            (4, cast::usize_from_u32(len))
        }
    };
    let start = field_start(width, expires);
    (start, start + len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_all_lengths_keep_their_parts() {
        let lengths = [
            0, 1, 2, 13, 255, 256, 300, 1000, 1024, 65_535, 65_536, 100_000,
        ];
        for field_len in lengths {
            for value_len in lengths {
                for at in [None, Some(UnixMillis(5)), Some(UnixMillis(i64::MAX))] {
                    let (field, value) = (vec![b'f'; field_len], vec![b'v'; value_len]);
                    let mut pair = Pair::new(&field, &value, at);
                    assert_eq!(pair.field(), field);
                    assert_eq!(pair.value(), value);
                    assert_eq!(pair.expire_at(), at);
                    pair.set_value(b"other");
                    pair.set_expire_at(Some(UnixMillis(7)));
                    let expected = Pair::new(&field, b"other", Some(UnixMillis(7)));
                    assert_eq!(pair, expected);
                    pair.set_expire_at(None);
                    assert_eq!(pair.value(), b"other");
                    assert_eq!(pair.expire_at(), None);
                }
            }
        }
    }

    #[test]
    fn pair_is_parted_where_the_classes_of_the_allocator_make_that_cheaper() {
        let joined = Pair::new(b"field", &[0; 100], None);
        assert!(matches!(joined, Pair::Joined(_)));
        let parted = Pair::new(b"field", &[0; 1024], None);
        assert!(matches!(parted, Pair::Apart(_)));
        assert_eq!(parted.heap_bytes(), 1024 + 8 + 48);
    }
}
