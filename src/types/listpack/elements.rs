//! Elements one after the other, for walking forward: those of a listpack, or the same without the length
//! that a listpack has behind each of them for walking backwards.
//!
//! ```text
//!   content | length | content | length | ..      of a listpack
//!   content | content | content | ..              without lengths: a byte less for each, mostly
//! ```
//!
//! Not here: what the bytes before the first element say, and changes.

use super::{Element, HEADER_BYTES, Listpack, Position, encoding};

/// Elements for reading. See the head of this file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Elements<'a> {
    /// All bytes up to the end of the last element.
    bytes: &'a [u8],
    start: usize,
    has_lengths: bool,
}

/// Iterates forward. See [`Elements::iter_from`].
#[derive(Clone, Debug)]
pub(crate) struct Forward<'a> {
    left: &'a [u8],
    has_lengths: bool,
}

impl<'a> Elements<'a> {
    /// Wraps elements without lengths, which begin at `start` of `bytes` and reach to their end.
    pub(crate) fn without_lengths(bytes: &'a [u8], start: usize) -> Self {
        Self {
            bytes,
            start,
            has_lengths: false,
        }
    }

    /// Returns whether these are elements of a listpack.
    #[inline]
    pub(crate) fn has_lengths(&self) -> bool {
        self.has_lengths
    }

    /// Returns where the first element is, or the end.
    #[inline]
    pub(crate) fn first(&self) -> Position {
        Position::at(self.start)
    }

    /// Returns whether no element is at `position`, but the end.
    #[inline]
    pub(crate) fn is_end(&self, position: Position) -> bool {
        position.offset() >= self.bytes.len()
    }

    /// Returns the place behind the element at `position`, which may be the end; nothing if there is no
    /// element. O(1).
    #[inline]
    pub(crate) fn behind(&self, position: Position) -> Option<Position> {
        let rest = self.bytes.get(position.offset()..)?;
        let bytes = whole_bytes(rest, self.has_lengths)?;
        Some(Position::at(position.offset() + bytes))
    }

    /// Returns the place before `position`, nothing if that is the first or there are no lengths. O(1).
    #[inline]
    pub(crate) fn before(&self, position: Position) -> Option<Position> {
        let before = self.bytes.get(self.start..position.offset())?;
        let bytes = encoding::whole_bytes_before(before).filter(|_| self.has_lengths)?;
        Some(Position::at(position.offset() - bytes))
    }

    /// Returns the place of the last element, nothing if there is none or there are no lengths. O(1).
    pub(crate) fn last(&self) -> Option<Position> {
        self.before(Position::at(self.bytes.len()))
    }

    /// Returns the element at `position`, nothing at the end. O(1).
    #[inline]
    pub(crate) fn read(&self, position: Position) -> Option<Element<'a>> {
        let (element, _) = encoding::decode(self.bytes.get(position.offset()..)?)?;
        Some(element)
    }

    /// Returns the integer at `position`, nothing if there is none. O(20).
    #[inline]
    pub(crate) fn integer(&self, position: Position) -> Option<i64> {
        self.read(position)?.integer()
    }

    /// Iterates from the element at `position`, that one included, to the last.
    #[inline]
    pub(crate) fn iter_from(&self, position: Position) -> Forward<'a> {
        Forward {
            left: self.bytes.get(position.offset()..).unwrap_or_default(),
            has_lengths: self.has_lengths,
        }
    }

    /// Iterates over the contents of all elements: what is left of each without its length.
    pub(crate) fn contents(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut left = self.iter_from(self.first());
        std::iter::from_fn(move || {
            let bytes = encoding::content_bytes(left.left)?;
            let (content, behind) = left.left.split_at_checked(bytes)?;
            left.left = if left.has_lengths {
                behind.get(encoding::length_bytes(bytes)..)?
            } else {
                behind
            };
            Some(content)
        })
    }
}

#[inline]
fn whole_bytes(bytes: &[u8], has_lengths: bool) -> Option<usize> {
    if has_lengths {
        encoding::whole_bytes(bytes)
    } else {
        encoding::content_bytes(bytes)
    }
}

impl<'a> Iterator for Forward<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        let (element, content) = encoding::decode(self.left)?;
        let whole = if self.has_lengths {
            content + encoding::length_bytes(content)
        } else {
            content
        };
        self.left = self.left.get(whole..).unwrap_or_default();
        Some(element)
    }
}

impl Listpack {
    /// Returns the elements for walking forward.
    #[inline]
    pub(crate) fn elements(&self) -> Elements<'_> {
        Elements {
            bytes: &self.bytes[..self.end()],
            start: HEADER_BYTES,
            has_lengths: true,
        }
    }
}

/// Returns the integer of a content, nothing if it is none.
pub(crate) fn integer_of(content: &[u8]) -> Option<i64> {
    encoding::decode(content)?.0.integer()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listpack() -> Listpack {
        let mut listpack = Listpack::new();
        for element in ["1", "text", "-70000", "", "5000000000"] {
            listpack.push_back(element.as_bytes());
        }
        listpack.push_back(&vec![b'x'; 200]);
        listpack.push_back(&vec![b'y'; 70_000]);
        listpack
    }

    #[test]
    fn elements_without_lengths_are_those_of_the_listpack() {
        let listpack = listpack();
        let elements = listpack.elements();
        let mut bytes = vec![7, 7];
        elements
            .contents()
            .for_each(|content| bytes.extend_from_slice(content));
        assert!(bytes.len() < listpack.byte_len() - listpack.len());
        let bare = Elements::without_lengths(&bytes, 2);
        assert!(bare.iter_from(bare.first()).eq(listpack.iter()));
        assert!(bare.contents().eq(elements.contents()));
        let mut copy = Listpack::new();
        bare.contents()
            .for_each(|content| copy.push_content(content));
        assert_eq!(copy.as_bytes(), listpack.as_bytes());
    }

    #[test]
    fn places_lead_from_the_first_element_to_the_end() {
        let listpack = listpack();
        let bytes: Vec<u8> = listpack.elements().contents().flatten().copied().collect();
        for elements in [listpack.elements(), Elements::without_lengths(&bytes, 0)] {
            let mut at = elements.first();
            let mut places = Vec::new();
            while let Some(behind) = elements.behind(at) {
                assert!(!elements.is_end(at));
                places.push(at);
                at = behind;
            }
            assert!(elements.is_end(at) && elements.read(at).is_none());
            assert_eq!(places.len(), listpack.len());
            assert_eq!(elements.integer(places[2]), Some(-70_000));
            assert_eq!(elements.integer(places[1]), None);
            let last = elements.has_lengths().then_some(places[6]);
            assert_eq!(elements.last(), last);
            let before = elements.has_lengths().then_some(places[0]);
            assert_eq!(elements.before(places[1]), before);
        }
    }
}
