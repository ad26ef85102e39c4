//! Forms in which versions of Redis before 7.0 kept small values. They become listpacks.
//!
//! ```text
//!   ziplist   u32 bytes | u32 offset of the last entry | u16 count or 65535 | entry ... | 0xFF
//!   entry     bytes of the entry before: u8 below 254, or 0xFE u32 | content
//!   content   00nnnnnn bytes            01nnnnnn nnnnnnnn bytes        10...... u32 bytes (big endian)
//!             0xC0 i16   0xD0 i32   0xE0 i64   0xF0 i24   0xFE i8      0xF1..0xFD: 0 to 12
//!
//!   zipmap    u8 count, or 254 | pair ... | 0xFF
//!   pair      length | field | length | u8 unused | value | unused bytes
//!   length    u8 below 254, or 0xFE u32
//! ```
//!
//! All little endian where nothing else is said.
//!
//! Not here: whether elements are there twice or in order (`read.rs` and the types).

use base::cast;

use super::source::Source;
use crate::list::List;
use crate::listpack::{Element, Listpack};

/// Bytes of a ziplist before the first entry.
const ZIPLIST_HEADER_BYTES: usize = 10;
/// A count that says nothing.
const COUNT_UNKNOWN: u16 = u16::MAX;
/// The same, of a zipmap.
const ZIPMAP_COUNT_UNKNOWN: u8 = 254;
/// The first byte of a length in five bytes.
const LONG: u8 = 254;
/// The last byte of both forms.
const END: u8 = 255;

/// Reads a list of so many ziplists.
pub(super) fn list(source: &mut Source<'_>, count: usize) -> Option<List> {
    let mut list = List::new();
    for _ in 0..count {
        list.push_listpack(ziplist(source)?);
    }
    Some(list)
}

/// Reads a string that is a ziplist.
pub(super) fn ziplist(source: &mut Source<'_>) -> Option<Listpack> {
    let bytes = source.string()?;
    let mut header = Source::new(&bytes);
    let total = cast::usize_from_u32(u32::from_le_bytes(header.array()?));
    let tail = cast::usize_from_u32(u32::from_le_bytes(header.array()?));
    let said = u16::from_le_bytes(header.array()?);
    let (&end, entries) = bytes.get(ZIPLIST_HEADER_BYTES..)?.split_last()?;
    if total != bytes.len() || end != END {
        return None;
    }
    let mut listpack = Listpack::with_capacity(bytes.len());
    let mut left = entries;
    let mut at = ZIPLIST_HEADER_BYTES;
    let (mut before, mut last, mut count) = (0, ZIPLIST_HEADER_BYTES, 0_usize);
    while !left.is_empty() {
        let mut entry = Source::new(left);
        if zip_length(&mut entry)? != before {
            return None;
        }
        push(&mut listpack, zip_element(&mut entry)?)?;
        before = left.len() - entry.left_len();
        left = &left[before..];
        last = at;
        at += before;
        count += 1;
    }
    let knows = said == COUNT_UNKNOWN || usize::from(said) == count;
    (knows && tail == last).then_some(listpack)
}

fn push(listpack: &mut Listpack, element: Element<'_>) -> Option<()> {
    let fits = listpack.would_fit(Listpack::encoded_bytes(element));
    fits.then(|| listpack.push_back(element))
}

/// Reads a length of one or five bytes.
fn zip_length(source: &mut Source<'_>) -> Option<usize> {
    match source.byte()? {
        END => None,
        LONG => Some(cast::usize_from_u32(u32::from_le_bytes(source.array()?))),
        short => Some(usize::from(short)),
    }
}

fn zip_element<'a>(source: &mut Source<'a>) -> Option<Element<'a>> {
    let first = source.byte()?;
    let low = first & 0x3F;
    let len = match first >> 6 {
        0 => usize::from(low),
        1 => usize::from(u16::from_be_bytes([low, source.byte()?])),
        2 => cast::usize_from_u32(u32::from_be_bytes(source.array()?)),
        _ => return zip_integer(first, source).map(Element::Integer),
    };
    Some(Element::Bytes(source.bytes(len)?))
}

fn zip_integer(first: u8, source: &mut Source<'_>) -> Option<i64> {
    Some(match first {
        0xC0 => i64::from(i16::from_le_bytes(source.array()?)),
        0xD0 => i64::from(i32::from_le_bytes(source.array()?)),
        0xE0 => i64::from_le_bytes(source.array()?),
        0xF0 => {
            let [a, b, c] = source.array()?;
            // The sign is in the highest byte.
            i64::from(i32::from_le_bytes([0, a, b, c]) >> 8)
        }
        0xFE => i64::from(i8::from_le_bytes(source.array()?)),
        0xF1..=0xFD => i64::from(first & 0x0F) - 1,
        _ => return None,
    })
}

/// Reads a string that is a zipmap, as fields and values in turns.
pub(super) fn zipmap(source: &mut Source<'_>) -> Option<Listpack> {
    let bytes = source.string()?;
    let (&end, pairs) = bytes.split_last()?;
    let mut pairs = Source::new(pairs);
    let said = pairs.byte()?;
    if end != END {
        return None;
    }
    let mut listpack = Listpack::with_capacity(bytes.len());
    let mut count = 0_usize;
    while !pairs.is_empty() {
        let len = zip_length(&mut pairs)?;
        push(&mut listpack, Element::Bytes(pairs.bytes(len)?))?;
        let len = zip_length(&mut pairs)?;
        let unused = usize::from(pairs.byte()?);
        push(&mut listpack, Element::Bytes(pairs.bytes(len)?))?;
        pairs.bytes(unused)?;
        count += 1;
    }
    (said >= ZIPMAP_COUNT_UNKNOWN || usize::from(said) == count).then_some(listpack)
}
