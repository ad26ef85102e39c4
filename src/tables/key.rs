//! Values as bytes whose order is theirs: what indexes, sorting and grouping compare.
//!
//! ```text
//! missing   00
//! scalar    01  8 bytes, big-endian, sign turned
//! string    01  bytes, each 00 as 00 FF  00 00
//! ```
//!
//! Several values stand one after the other. No encoding is the beginning of another one of the same
//! columns, so a descending column is the complement of its bytes.
//!
//! In an ordered index the place of the row follows, in [`PLACE_BYTES`] bytes. What follows a value is
//! therefore always below `FF`, and the entries of a value `k` are those in `k .. k FF`.

use std::cmp::Ordering;
use std::fmt;

use crate::scalar::Value;

/// First byte of a missing value.
pub(crate) const MISSING: u8 = 0;
/// First byte of a present value.
pub(crate) const PRESENT: u8 = 1;
/// Above every value.
pub(crate) const BEYOND: u8 = 2;
/// Above everything that follows a value.
pub(crate) const AFTER: u8 = 0xFF;
/// Bytes of a place at the end of an entry: 2^47 rows that were ever inserted, per shard.
pub(crate) const PLACE_BYTES: usize = 6;

const SIGN: u64 = 1 << 63;
const INLINE_BYTES: usize = 15;

/// Appends a value.
pub(crate) fn push(out: &mut Vec<u8>, value: Option<Value<'_>>) {
    match value {
        None => out.push(MISSING),
        Some(Value::Scalar(number)) => {
            out.push(PRESENT);
            out.extend_from_slice(&scalar_bytes(number));
        }
        Some(Value::Text(text)) => {
            out.push(PRESENT);
            push_text(out, text);
            out.extend_from_slice(&[0, 0]);
        }
    }
}

/// Appends the bytes of a string without its end.
pub(crate) fn push_text(out: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    while let Some(zero) = rest.iter().position(|&byte| byte == 0) {
        out.extend_from_slice(&rest[..zero]);
        out.extend_from_slice(&[0, 0xFF]);
        rest = &rest[zero + 1..];
    }
    out.extend_from_slice(rest);
}

fn scalar_bytes(number: i64) -> [u8; 8] {
    (number.cast_unsigned() ^ SIGN).to_be_bytes()
}

/// Takes the bytes of `value` off the front of `key`; `None` if it begins with another value.
pub(crate) fn strip<'k>(key: &'k [u8], value: Option<Value<'_>>) -> Option<&'k [u8]> {
    let (&first, rest) = key.split_first()?;
    match value {
        None => (first == MISSING).then_some(rest),
        Some(_) if first != PRESENT => None,
        Some(Value::Scalar(number)) => rest.strip_prefix(&scalar_bytes(number)),
        Some(Value::Text(text)) => {
            let mut rest = rest;
            let mut text = text;
            while let Some(zero) = text.iter().position(|&byte| byte == 0) {
                rest = rest.strip_prefix(&text[..zero])?.strip_prefix(&[0, 0xFF])?;
                text = &text[zero + 1..];
            }
            rest.strip_prefix(text)?.strip_prefix(&[0, 0])
        }
    }
}

/// Appends a place.
pub(crate) fn push_place(out: &mut Vec<u8>, place: u64) {
    out.extend_from_slice(&place.to_be_bytes()[8 - PLACE_BYTES..]);
}

/// Splits an entry into its values and its place.
pub(crate) fn split_place(entry: &[u8]) -> (&[u8], u64) {
    let at = entry.len().saturating_sub(PLACE_BYTES);
    let (values, place) = entry.split_at(at);
    let place = place
        .iter()
        .fold(0, |sum, &byte| sum << 8 | u64::from(byte));
    (values, place)
}

/// Returns the smallest bytes above everything that begins with `prefix`.
pub(crate) fn after_prefix(prefix: &[u8]) -> Box<[u8]> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 0xFF {
            end.push(last + 1);
            break;
        }
    }
    end.into()
}

/// Some bytes, compared as such: up to 15 of them inside, more in memory of their own.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Key {
    /// Inside.
    Short(Length, [u8; INLINE_BYTES]),
    /// Outside.
    Long(Box<LongKey>),
}

const _: () = assert!(
    size_of::<Key>() == 16,
    "a key and its length share 16 bytes"
);

/// The bytes of a long key; boxed once more, so that a key is 16 bytes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct LongKey(Box<[u8]>);

/// A length of 0 to 15. As an enum it leaves room in its byte for the other variant of a key.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Length {
    L0,
    L1,
    L2,
    L3,
    L4,
    L5,
    L6,
    L7,
    L8,
    L9,
    L10,
    L11,
    L12,
    L13,
    L14,
    L15,
}

const LENGTHS: [Length; INLINE_BYTES + 1] = [
    Length::L0,
    Length::L1,
    Length::L2,
    Length::L3,
    Length::L4,
    Length::L5,
    Length::L6,
    Length::L7,
    Length::L8,
    Length::L9,
    Length::L10,
    Length::L11,
    Length::L12,
    Length::L13,
    Length::L14,
    Length::L15,
];

impl Key {
    /// Copies the bytes.
    pub(crate) fn new(bytes: &[u8]) -> Self {
        match LENGTHS.get(bytes.len()) {
            Some(&length) => {
                let mut inside = [0; INLINE_BYTES];
                inside[..bytes.len()].copy_from_slice(bytes);
                Self::Short(length, inside)
            }
            None => Self::Long(Box::new(LongKey(bytes.into()))),
        }
    }

    /// Returns the encoding of one value.
    pub(crate) fn of(value: Value<'_>) -> Self {
        let mut inside = [0; INLINE_BYTES];
        inside[0] = PRESENT;
        let len = match value {
            Value::Scalar(number) => {
                inside[1..9].copy_from_slice(&scalar_bytes(number));
                9
            }
            // Two zeros end it.
            Value::Text(text) if text.len() <= INLINE_BYTES - 3 && !text.contains(&0) => {
                inside[1..=text.len()].copy_from_slice(text);
                text.len() + 3
            }
            Value::Text(_) => {
                let mut bytes = Vec::new();
                push(&mut bytes, Some(value));
                return Self::new(&bytes);
            }
        };
        Self::Short(LENGTHS[len], inside)
    }

    /// Returns the bytes.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Short(length, inside) => &inside[..*length as usize],
            Self::Long(outside) => &outside.0,
        }
    }

    /// Returns what it has allocated.
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::Short(..) => 0,
            Self::Long(outside) => outside.0.len() + size_of::<LongKey>(),
        }
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes().cmp(other.bytes())
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?})", self.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(value: Option<Value<'_>>) -> Vec<u8> {
        let mut out = Vec::new();
        push(&mut out, value);
        out
    }

    #[test]
    fn bytes_have_the_order_of_the_values_and_so_have_complements() {
        let ascending = [
            None,
            Some(Value::Scalar(i64::MIN)),
            Some(Value::Scalar(-1)),
            Some(Value::Scalar(0)),
            Some(Value::Scalar(255)),
            Some(Value::Scalar(i64::MAX)),
        ];
        let texts: [&[u8]; 8] = [b"", b"\0", b"\0\0", b"\x01", b"a", b"a\0", b"a\0b", b"ab"];
        let texts: Vec<_> = texts.iter().map(|text| Some(Value::Text(text))).collect();
        for values in [&ascending[..], &texts] {
            for pair in values.windows(2) {
                let (low, high) = (encoded(pair[0]), encoded(pair[1]));
                assert!(low < high, "{pair:?}");
                let turned = |bytes: &[u8]| -> Vec<u8> { bytes.iter().map(|b| !b).collect() };
                assert!(turned(&low) > turned(&high), "{pair:?}");
                assert!(encoded(pair[0]) < [&low[..], &[AFTER]].concat());
                assert!([&low[..], &[AFTER]].concat() < high);
            }
        }
    }

    #[test]
    fn strip_takes_off_exactly_what_push_wrote() {
        let texts: [&[u8]; 7] = [
            b"",
            b"\0",
            b"a\0b",
            b"ab",
            b"\0\0",
            b"twelve bytes",
            b"more than twelve",
        ];
        let mut values: Vec<_> = texts.iter().map(|text| Some(Value::Text(text))).collect();
        values.extend([None, Some(Value::Scalar(7)), Some(Value::Scalar(-7))]);
        for &one in &values {
            let mut bytes = encoded(one);
            bytes.push(9);
            let alone = one.map(|value| Key::of(value).bytes().to_vec());
            assert_eq!(alone.unwrap_or(vec![MISSING]), encoded(one));
            for &other in &values {
                let rest = strip(&bytes, other);
                assert_eq!(rest == Some(&[9][..]), one == other, "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn keys_of_all_lengths_give_their_bytes_back() {
        for len in 0..40 {
            let bytes = vec![7; len];
            let key = Key::new(&bytes);
            assert_eq!(key.bytes(), bytes);
            assert_eq!(key.heap_bytes() > 0, len > INLINE_BYTES);
        }
        assert_eq!(*after_prefix(&[1, 0xFF, 0xFF]), [2]);
        let mut entry = vec![1, 2];
        push_place(&mut entry, 77_000_000);
        assert_eq!(split_place(&entry), (&[1, 2][..], 77_000_000));
    }
}
