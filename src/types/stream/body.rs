//! The entries of one node: open to more of them, or sealed.
//!
//! ```text
//!   open     a listpack as Redis has it, see `node.rs`
//!   sealed   live | deleted | n | field .. field | entry ..
//!            u32    u32       entry: flags | ms | sequence |     value .. value        or
//!                                    flags | ms | sequence | m | field | value ..
//! ```
//!
//! Entries are added to the last node only, so the others are sealed: the same elements, without the lengths
//! behind each and the count of elements behind each entry, which serve for walking backwards. For short entries that
//! is half of the bytes. A sealed node still can have entries marked as deleted, in place. DUMP, and adding to a
//! sealed node, which happens when those behind it have gone, restore the listpack: byte by byte, as what is left out
//! follows from the rest.
//!
//! Not here: which nodes there are (`log.rs`), how entries are read (`node.rs`).

use std::borrow::Cow;

use base::cast;

use crate::listpack::elements::{Elements, integer_of};
use crate::listpack::{Listpack, Position};
use crate::memory;

use super::node::{self, DELETED, SAME_FIELDS};

/// Larger nodes stay open: they have large values, of which nothing can be left out.
const SEALED_BYTES_MAX: usize = 64 * 1024;

/// Bytes of the two numbers at the beginning of a sealed node.
const HEAD_BYTES: usize = 8;

/// See the head of this file.
#[derive(Clone, Debug)]
pub(super) enum Body {
    Open(Listpack),
    Sealed(Box<[u8]>),
}

impl PartialEq for Body {
    fn eq(&self, other: &Self) -> bool {
        *self.listpack() == *other.listpack()
    }
}

impl Body {
    /// Returns the elements, as [`node::Node::open`] reads them.
    #[inline]
    pub(super) fn elements(&self) -> Elements<'_> {
        match self {
            Self::Open(listpack) => listpack.elements(),
            Self::Sealed(bytes) => Elements::without_lengths(bytes, HEAD_BYTES),
        }
    }

    /// Returns how many entries live and how many are marked as deleted. O(1).
    #[inline]
    pub(super) fn header(&self) -> (u64, u64) {
        match self {
            Self::Open(listpack) => node::header(listpack),
            Self::Sealed(bytes) => (number(bytes, 0), number(bytes, 4)),
        }
    }

    /// Returns the bytes taken from the allocator. O(1).
    #[inline]
    pub(super) fn heap_bytes(&self) -> usize {
        memory::allocated_bytes(match self {
            Self::Open(listpack) => listpack.capacity_bytes(),
            Self::Sealed(bytes) => bytes.len(),
        })
    }

    /// Marks the entry at `position` as deleted; the header does not change, and places stay good. O(1).
    pub(super) fn mark_deleted(&mut self, position: Position) {
        match self {
            Self::Open(listpack) => node::mark_deleted(listpack, position),
            Self::Sealed(bytes) => {
                // Flags are small integers, which are their own encoding.
                let deleted = u8::try_from(DELETED).unwrap_or_default();
                bytes[position.offset()] |= deleted;
            }
        }
    }

    /// Turns `count` live entries of the header into deleted ones. O(1).
    pub(super) fn count_deleted(&mut self, count: u64) {
        match self {
            Self::Open(listpack) => node::count_deleted(listpack, count),
            Self::Sealed(bytes) => {
                let (live, deleted) = (number(bytes, 0), number(bytes, 4));
                set_number(bytes, 0, live.saturating_sub(count));
                set_number(bytes, 4, deleted.saturating_add(count));
            }
        }
    }

    /// Seals the node, if that is worth it. Returns the memory of the listpack, to be used again. O(n) in
    /// the bytes.
    pub(super) fn seal(&mut self) -> Option<Vec<u8>> {
        let Self::Open(listpack) = self else {
            return None;
        };
        if listpack.byte_len() <= SEALED_BYTES_MAX
            && let Some(bytes) = sealed(listpack)
        {
            let listpack = std::mem::take(listpack);
            *self = Self::Sealed(bytes);
            return Some(listpack.into_memory());
        }
        listpack.shrink();
        None
    }

    /// Returns the node as a listpack that can be changed. O(n) in the bytes if it is sealed.
    pub(super) fn open(&mut self) -> &mut Listpack {
        if let Self::Sealed(bytes) = self {
            *self = Self::Open(restored(bytes));
        }
        match self {
            Self::Open(listpack) => listpack,
            Self::Sealed(_) => unreachable!("it has just been opened"),
        }
    }

    /// Returns the listpack as Redis has it. O(n) in the bytes if the node is sealed.
    pub(super) fn listpack(&self) -> Cow<'_, Listpack> {
        match self {
            Self::Open(listpack) => Cow::Borrowed(listpack),
            Self::Sealed(bytes) => Cow::Owned(restored(bytes)),
        }
    }
}

fn number(bytes: &[u8], at: usize) -> u64 {
    let number = bytes.get(at..).and_then(|rest| rest.first_chunk());
    u64::from(u32::from_le_bytes(*number.unwrap_or(&[0; 4])))
}

fn set_number(bytes: &mut [u8], at: usize, number: u64) {
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
}

/// Returns the bytes of the sealed node; nothing if the listpack is no node.
fn sealed(listpack: &Listpack) -> Option<Box<[u8]>> {
    let (live, deleted) = node::header(listpack);
    let mut room = Room {
        bytes: vec![0; HEAD_BYTES + listpack.byte_len()],
        len: HEAD_BYTES,
    };
    set_number(&mut room.bytes, 0, live);
    set_number(&mut room.bytes, 4, deleted);
    let mut contents = listpack.elements().contents().skip(2);
    let field_count = room.take_count(&mut contents)?;
    room.take(&mut contents, field_count)?;
    // What ends the fields is left out.
    contents.next()?;
    while let Some(flags) = contents.next() {
        room.put(flags);
        room.take(&mut contents, 2)?;
        let values = if integer_of(flags)? & SAME_FIELDS != 0 {
            field_count
        } else {
            room.take_count(&mut contents)?.checked_mul(2)?
        };
        room.take(&mut contents, values)?;
        // So is the number of elements.
        contents.next()?;
    }
    // A copy, as an allocator may leave what shrinks in a block as large as before.
    Some(Box::from(&room.bytes[..room.len]))
}

/// Takes contents, with room for all that come.
struct Room {
    bytes: Vec<u8>,
    len: usize,
}

impl Room {
    #[inline]
    fn put(&mut self, content: &[u8]) {
        let end = self.len + content.len();
        match content {
            // Most are short.
            [byte] => self.bytes[self.len] = *byte,
            _ => self.bytes[self.len..end].copy_from_slice(content),
        }
        self.len = end;
    }

    /// Takes `count` contents; nothing if there are fewer.
    fn take<'a>(
        &mut self,
        contents: &mut impl Iterator<Item = &'a [u8]>,
        count: usize,
    ) -> Option<()> {
        for _ in 0..count {
            self.put(contents.next()?);
        }
        Some(())
    }

    /// Takes a content that is a count, and returns it.
    fn take_count<'a>(&mut self, contents: &mut impl Iterator<Item = &'a [u8]>) -> Option<usize> {
        let content = contents.next()?;
        self.put(content);
        usize::try_from(integer_of(content)?).ok()
    }
}

/// Makes the listpack of a sealed node, byte by byte what it was.
fn restored(bytes: &[u8]) -> Listpack {
    let elements = Elements::without_lengths(bytes, HEAD_BYTES);
    let mut contents = elements.contents();
    // A length for each element, which has two bytes at least.
    let mut listpack = Listpack::with_capacity(bytes.len() + bytes.len() / 2);
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    listpack.push_back(signed(number(bytes, 0)));
    listpack.push_back(signed(number(bytes, 4)));
    let mut copy = |listpack: &mut Listpack, count: usize| {
        let mut last = None;
        for content in contents.by_ref().take(count) {
            listpack.push_content(content);
            last = Some(content);
        }
        last.and_then(integer_of).unwrap_or(0)
    };
    let of_count = |number: i64| usize::try_from(number).unwrap_or(0);
    let field_count = of_count(copy(&mut listpack, 1));
    copy(&mut listpack, field_count);
    listpack.push_back(0);
    let mut left = listpack.len();
    loop {
        let flags = copy(&mut listpack, 1);
        if listpack.len() == left {
            break;
        }
        copy(&mut listpack, 2);
        let (values, own_fields) = if flags & SAME_FIELDS != 0 {
            (field_count, 0)
        } else {
            (2 * of_count(copy(&mut listpack, 1)), 1)
        };
        copy(&mut listpack, values);
        listpack.push_back(cast::i64_from(values + own_fields + 3));
        left = listpack.len();
    }
    listpack.shrink();
    listpack
}

#[cfg(test)]
mod tests {
    use base::random::Random;

    use super::super::id::Id;
    use super::*;

    /// Makes a node of random entries, of which some are marked as deleted.
    fn random_node(random: &mut Random) -> (Id, Listpack) {
        let master = Id::new(1_000_000, random.below(1000));
        let pairs = |random: &mut Random| {
            let count = 1 + random.index(3);
            let word = |random: &mut Random| match random.below(3) {
                0 => random.below(1 << 40).to_string().into_bytes(),
                1 => vec![b'x'; random.index(200)],
                _ => vec![b'a' + u8::try_from(random.below(3)).unwrap()],
            };
            (0..count)
                .map(|_| (word(random), word(random)))
                .collect::<Vec<_>>()
        };
        let mut drawn = pairs(random);
        let create = |drawn: &[(Vec<u8>, Vec<u8>)]| {
            node::create(Vec::new(), drawn.len(), &|index| {
                (&drawn[index].0, &drawn[index].1)
            })
        };
        let mut listpack = create(&drawn);
        let mut id = master;
        for _ in 0..1 + random.index(40) {
            let pair = |index: usize| (&drawn[index].0[..], &drawn[index].1[..]);
            node::append(&mut listpack, master, id, drawn.len(), &pair);
            id = Id::new(id.ms + random.below(100_000), id.sequence + 1);
            if random.below(2) == 0 {
                drawn = pairs(random);
            }
        }
        (master, listpack)
    }

    fn places(body: &Body, master: Id) -> Vec<Position> {
        let node = node::Node::open(body.elements(), master).unwrap();
        std::iter::successors(node.first(), |at| node.entry(*at).unwrap().next_at()).collect()
    }

    #[test]
    fn a_sealed_node_is_the_same_node_in_fewer_bytes() {
        let mut random = Random::new(5);
        for _ in 0..200 {
            let (master, listpack) = random_node(&mut random);
            let (mut open, mut sealed) = (Body::Open(listpack.clone()), Body::Open(listpack));
            assert!(sealed.seal().is_some());
            assert!(
                matches!(&sealed, Body::Sealed(bytes) if bytes.len() < open.listpack().byte_len())
            );
            let (in_open, in_sealed) = (places(&open, master), places(&sealed, master));
            assert_eq!(in_open.len(), in_sealed.len());
            for (&one, &other) in in_open.iter().zip(&in_sealed) {
                if random.below(3) == 0 {
                    open.mark_deleted(one);
                    open.count_deleted(1);
                    sealed.mark_deleted(other);
                    sealed.count_deleted(1);
                }
            }
            assert_eq!(open.header(), sealed.header());
            assert_eq!(open.listpack().as_bytes(), sealed.listpack().as_bytes());
            assert_eq!(sealed.open().as_bytes(), open.open().as_bytes());
        }
    }

    #[test]
    fn a_node_of_large_values_stays_open() {
        let value = vec![b'x'; SEALED_BYTES_MAX];
        let pair = |_: usize| (&b"field"[..], &value[..]);
        let mut listpack = node::create(Vec::new(), 1, &pair);
        node::append(&mut listpack, Id::new(1, 1), Id::new(1, 1), 1, &pair);
        let mut body = Body::Open(listpack);
        assert!(body.seal().is_none());
        assert!(matches!(body, Body::Open(_)));
    }
}
