//! One entry of a listpack as bytes.
//!
//! ```text
//!   first byte   rest of the prefix    content is
//!   0vvvvvvv                           integer 0..=127
//!   10nnnnnn                           string of n bytes, n < 64
//!   110vvvvv     v                     integer of 13 bits, two's complement, high bits first
//!   1110nnnn     n                     string of n bytes, n < 4096, high bits first
//!   11110000     n n n n               string of n bytes, little endian
//!   11110001     v v                   integer of 16 bits, little endian
//!   11110010     v v v                 24 bits
//!   11110011     v v v v               32 bits
//!   11110100     v v v v v v v v       64 bits
//!   11111111                           not an entry: the end
//! ```
//!
//! Prefix and string together are the *content*. Behind it follows its length, so that one can walk
//! backwards: groups of seven bits, high bits first, and all groups but the first have their top bit
//! set. The number of groups grows one byte of content earlier than it had to (16383 already takes
//! three), which readers that walk forward rely on.
//!
//! Source: payloads of DUMP of Redis 7.0.15, all boundaries included.
//!
//! Not here: header and end of the whole listpack (`mod.rs`).

use base::cast;
use base::number;

use super::Element;

/// What stands where an entry would begin, behind the last one.
pub(super) const END: u8 = 0xFF;

/// Longest string of which the length fits into the first byte.
const SHORT_BYTES_MAX: usize = 63;
/// Longest string of which the length fits into two bytes.
const MEDIUM_BYTES_MAX: usize = 4095;

/// Longest prefix: a first byte and an integer of 64 bits.
const PREFIX_BYTES_MAX: usize = 9;

/// Contents from these lengths on need two, three, four and five bytes for their length.
const LENGTH_STEPS: [usize; 4] = [0x80, 0x3FFF, 0x1F_FFFF, 0x0FFF_FFFF];

/// Bytes of a whole entry by its first byte; 0 where the first byte does not tell.
const WHOLE_BYTES: [u8; 256] = whole_bytes_table();

const fn whole_bytes_table() -> [u8; 256] {
    let mut table = [0_u8; 256];
    let mut first = 0_u8;
    while first < 0xF5 {
        let content = match first {
            0..=0x7F => 1,
            0x80..=0xBF => 1 + (first & 0x3F),
            0xC0..=0xDF => 2,
            0xF1 => 3,
            0xF2 => 4,
            0xF3 => 5,
            0xF4 => 9,
            _ => 0,
        };
        if content > 0 {
            table[first as usize] = content + 1;
        }
        first += 1;
    }
    table
}

/// Returns the bytes of the entry at the start of `bytes`, or nothing at the end of the listpack
/// and for damaged bytes. O(1); may reach beyond `bytes` if they are damaged.
#[inline]
pub(super) fn whole_bytes(bytes: &[u8]) -> Option<usize> {
    let &first = bytes.first()?;
    match WHOLE_BYTES[usize::from(first)] {
        0 => whole_bytes_of_string(bytes),
        whole => Some(usize::from(whole)),
    }
}

/// The same for strings of 64 bytes and more.
fn whole_bytes_of_string(bytes: &[u8]) -> Option<usize> {
    let content = content_bytes_of_string(bytes)?;
    Some(content + length_bytes(content))
}

/// Returns the bytes of the content at the start of `bytes`: of an entry without the length behind it.
/// Otherwise as [`whole_bytes`].
#[inline]
pub(super) fn content_bytes(bytes: &[u8]) -> Option<usize> {
    let &first = bytes.first()?;
    match WHOLE_BYTES[usize::from(first)] {
        0 => content_bytes_of_string(bytes),
        whole => Some(usize::from(whole) - 1),
    }
}

fn content_bytes_of_string(bytes: &[u8]) -> Option<usize> {
    Some(match *bytes {
        [first @ 0xE0..=0xEF, low, ..] => 2 + usize::from(u16::from_be_bytes([first & 0x0F, low])),
        [0xF0, a, b, c, d, ..] => 5 + cast::usize_from_u32(u32::from_le_bytes([a, b, c, d])),
        _ => return None,
    })
}

/// Writes a content and its length into `room`, which has exactly their bytes.
pub(super) fn write_content(room: &mut [u8], content: &[u8]) {
    let (start, length) = room.split_at_mut(content.len());
    start.copy_from_slice(content);
    write_length(length, content.len());
}

/// Returns the element at the start of `bytes` and the bytes of its content; nothing at the end and
/// for damaged bytes. Does not look at the length behind the content. O(1).
#[inline]
pub(super) fn decode(bytes: &[u8]) -> Option<(Element<'_>, usize)> {
    let (&first, rest) = bytes.split_first()?;
    let (value, content) = match first {
        0..=0x7F => (i64::from(first), 1),
        0x80..=0xBF => {
            let string = rest.get(..usize::from(first & 0x3F))?;
            return Some((Element::Bytes(string), 1 + string.len()));
        }
        0xC0..=0xDF => {
            let high_first = u16::from_be_bytes([first & 0x1F, *rest.first()?]);
            (i64::from((high_first << 3).cast_signed() >> 3), 2)
        }
        0xE0..=0xEF => {
            let (&low, rest) = rest.split_first()?;
            let len = usize::from(u16::from_be_bytes([first & 0x0F, low]));
            return Some((Element::Bytes(rest.get(..len)?), 2 + len));
        }
        0xF0 => {
            let (len, rest) = rest.split_first_chunk::<4>()?;
            let len = cast::usize_from_u32(u32::from_le_bytes(*len));
            return Some((Element::Bytes(rest.get(..len)?), 5 + len));
        }
        0xF1 => (i64::from(i16::from_le_bytes(*rest.first_chunk()?)), 3),
        0xF2 => {
            let [a, b, c] = *rest.first_chunk()?;
            (i64::from(i32::from_le_bytes([0, a, b, c]) >> 8), 4)
        }
        0xF3 => (i64::from(i32::from_le_bytes(*rest.first_chunk()?)), 5),
        0xF4 => (i64::from_le_bytes(*rest.first_chunk()?), 9),
        0xF5..=END => return None,
    };
    Some((Element::Integer(value), content))
}

/// Returns the bytes that the length of a content takes, 1 to 5.
#[inline]
pub(super) fn length_bytes(content: usize) -> usize {
    if content < LENGTH_STEPS[0] {
        return 1;
    }
    1 + LENGTH_STEPS.iter().filter(|&&step| content >= step).count()
}

/// Writes the length of a content into `room`, which has [`length_bytes`] bytes.
#[inline]
fn write_length(room: &mut [u8], content: usize) {
    let mut left = content;
    for byte in room.iter_mut().rev() {
        *byte = last_seven_bits(left) | 0x80;
        left >>= 7;
    }
    if let Some(first) = room.first_mut() {
        *first &= 0x7F;
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "seven bits fit into a byte"
)]
#[inline]
fn last_seven_bits(value: usize) -> u8 {
    (value & 0x7F) as u8
}

/// Reads the length that ends at the end of `before`, backwards.
///
/// Returns the bytes of the whole entry that ends there, or nothing for damaged bytes. O(5).
#[inline]
pub(super) fn whole_bytes_before(before: &[u8]) -> Option<usize> {
    let &last = before.last()?;
    if last < 0x80 {
        return Some(usize::from(last) + 1);
    }
    let mut content = 0_usize;
    for (group, &byte) in before.iter().rev().take(5).enumerate() {
        content |= usize::from(byte & 0x7F) << (7 * group);
        if byte < 0x80 {
            return Some(content + group + 1);
        }
    }
    None
}

/// Checks the entry at the start of `bytes` completely: content, its length behind it.
///
/// Returns the element and the bytes of the entry, nothing if anything is damaged. O(1).
pub(super) fn check(bytes: &[u8]) -> Option<(Element<'_>, usize)> {
    let (element, content) = decode(bytes)?;
    let mut room = [0_u8; 5];
    let length = &mut room[..length_bytes(content)];
    write_length(length, content);
    let whole = content + length.len();
    (bytes.get(content..whole)? == &*length).then_some((element, whole))
}

/// An element in its shortest form, ready to be written or to be compared with entries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Encoded<'a> {
    prefix: [u8; PREFIX_BYTES_MAX],
    prefix_bytes: usize,
    string: &'a [u8],
}

impl<'a> Encoded<'a> {
    /// Encodes an element; bytes that are the decimal of an `i64` become an integer. O(20).
    #[inline]
    pub(super) fn new(element: Element<'a>) -> Self {
        match element {
            Element::Integer(value) => Self::of_integer(value),
            Element::Bytes(bytes) => match number::parse_i64(bytes) {
                Some(value) => Self::of_integer(value),
                None => Self::of_string(bytes),
            },
        }
    }

    fn of_integer(value: i64) -> Self {
        let [b0, b1, b2, b3, ..] = value.to_le_bytes();
        match value {
            0..=127 => Self::with_prefix([b0], &[]),
            -4096..=4095 => Self::with_prefix([0xC0 | (b1 & 0x1F), b0], &[]),
            -0x8000..=0x7FFF => Self::with_prefix([0xF1, b0, b1], &[]),
            -0x80_0000..=0x7F_FFFF => Self::with_prefix([0xF2, b0, b1, b2], &[]),
            -0x8000_0000..=0x7FFF_FFFF => Self::with_prefix([0xF3, b0, b1, b2, b3], &[]),
            _ => {
                let mut prefix = [0xF4; PREFIX_BYTES_MAX];
                prefix[1..].copy_from_slice(&value.to_le_bytes());
                Self::with_prefix(prefix, &[])
            }
        }
    }

    fn of_string(string: &'a [u8]) -> Self {
        // A string that does not fit into 32 bits is refused where it would be written.
        let [b0, b1, b2, b3] = u32::try_from(string.len())
            .unwrap_or(u32::MAX)
            .to_le_bytes();
        if string.len() <= SHORT_BYTES_MAX {
            Self::with_prefix([0x80 | b0], string)
        } else if string.len() <= MEDIUM_BYTES_MAX {
            Self::with_prefix([0xE0 | b1, b0], string)
        } else {
            Self::with_prefix([0xF0, b0, b1, b2, b3], string)
        }
    }

    fn with_prefix<const N: usize>(bytes: [u8; N], string: &'a [u8]) -> Self {
        let mut prefix = [0; PREFIX_BYTES_MAX];
        prefix[..N].copy_from_slice(&bytes);
        Self {
            prefix,
            prefix_bytes: N,
            string,
        }
    }

    #[inline]
    fn content_bytes(&self) -> usize {
        self.prefix_bytes + self.string.len()
    }

    /// Returns the bytes of the whole entry.
    #[inline]
    pub(super) fn whole_bytes(&self) -> usize {
        let content = self.content_bytes();
        content + length_bytes(content)
    }

    /// Writes the entry into `room`, which has exactly [`Encoded::whole_bytes`].
    pub(super) fn write(&self, room: &mut [u8]) {
        let content = self.content_bytes();
        let (prefix, rest) = room.split_at_mut(self.prefix_bytes);
        prefix.copy_from_slice(&self.prefix[..self.prefix_bytes]);
        let (string, length) = rest.split_at_mut(self.string.len());
        string.copy_from_slice(self.string);
        write_length(length, content);
    }

    /// Tells whether the entry at the start of `bytes` holds this element. The first byte has type
    /// and, of short strings, the length; most entries differ there.
    #[inline]
    pub(super) fn matches(&self, bytes: &[u8]) -> bool {
        bytes.first() == Some(&self.prefix[0])
            && bytes
                .strip_prefix(&self.prefix[..self.prefix_bytes])
                .is_some_and(|rest| rest.starts_with(self.string))
    }
}
