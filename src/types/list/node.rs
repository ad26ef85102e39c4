//! One node of a list: a listpack, or a single element too large for one.
//!
//! Invariants
//! - The count is the number of elements. It stands here so that a walk over nodes to an index
//!   reads nothing of their listpacks.
//! - A plain node has exactly one element.
//!
//! Not here: the order of nodes (`chain.rs`).

use base::{cast, number};

use crate::Limits;
use crate::listpack::{self, Element, Listpack, TOTAL_BYTES_MAX};
use crate::memory;

use super::{End, NodeContent};

/// What a listpack without an element takes.
const EMPTY_LISTPACK_BYTES: usize = 7;

/// What an element is taken to need beside its bytes, when a node is asked whether it has room.
const ENTRY_OVERHEAD_BYTES: usize = 8;

/// More than an entry takes beside its bytes: prefix and length.
const ENTRY_OVERHEAD_BYTES_MAX: usize = 10;

/// Bytes of a node by its size class, from -1 on.
const CLASS_BYTES: [usize; 5] = [4096, 8192, 16_384, 32_768, 65_536];

/// Most bytes of a node if the number of its elements is limited.
const COUNTED_BYTES_MAX: usize = 8192;

/// Largest limit to the number of elements.
const COUNT_LIMIT_MAX: usize = 32_767;

/// Elements from this length on cannot lie in a listpack.
const PLAIN_BYTES_MIN: usize = TOTAL_BYTES_MAX - 32;

/// How much a node may hold. Elements of any size are taken; one that is larger than a node has a
/// node for itself.
///
/// Source: numbers of nodes that DEBUG OBJECT of Redis 7.0.15 tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeRule {
    count_max: usize,
    bytes_max: usize,
    plain_bytes_min: usize,
}

impl NodeRule {
    /// Returns what `list-max-listpack-size` says.
    #[must_use]
    pub fn of(limits: &Limits) -> Self {
        let size = limits.list_listpack_size;
        let (count_max, bytes_max) = match usize::try_from(size) {
            Ok(count) => (count.min(COUNT_LIMIT_MAX), COUNTED_BYTES_MAX),
            Err(_) => {
                let class = cast::usize_from_u32(size.unsigned_abs()) - 1;
                (usize::MAX, CLASS_BYTES[class.min(CLASS_BYTES.len() - 1)])
            }
        };
        Self {
            count_max,
            bytes_max,
            plain_bytes_min: PLAIN_BYTES_MIN,
        }
    }

    /// Makes elements from this length on plain, so that tests need no gigabytes.
    #[cfg(test)]
    pub(super) fn with_plain_bytes_min(mut self, bytes: usize) -> Self {
        self.plain_bytes_min = bytes;
        self
    }

    /// Tells whether an element of this length cannot lie in a listpack.
    #[inline]
    pub(super) fn is_plain(&self, element_bytes: usize) -> bool {
        element_bytes >= self.plain_bytes_min
    }

    /// Tells whether a listpack that is not empty takes one more element.
    #[inline]
    pub(super) fn has_room(
        &self,
        listpack_bytes: usize,
        count: usize,
        element: Element<'_>,
    ) -> bool {
        let bytes = element.len();
        !self.is_plain(bytes)
            && count < self.count_max
            && listpack_bytes + bytes + ENTRY_OVERHEAD_BYTES <= self.bytes_max
    }
}

/// Elements that lie together.
#[derive(Clone, Debug)]
pub(super) struct Node {
    body: Body,
    count: u32,
}

#[derive(Clone, Debug)]
enum Body {
    Packed(Listpack),
    Plain(Box<[u8]>),
}

impl Node {
    /// Makes a node of one element.
    pub(super) fn of(element: Element<'_>, rule: &NodeRule) -> Self {
        if rule.is_plain(element.len()) {
            return Self::plain(element.to_vec().into_boxed_slice());
        }
        let bytes = EMPTY_LISTPACK_BYTES + Listpack::encoded_bytes(element);
        let mut listpack = Listpack::with_capacity(bytes);
        listpack.push_back(element);
        Self {
            body: Body::Packed(listpack),
            count: 1,
        }
    }

    pub(super) fn plain(bytes: Box<[u8]>) -> Self {
        Self {
            body: Body::Plain(bytes),
            count: 1,
        }
    }

    pub(super) fn packed(listpack: Listpack) -> Self {
        Self {
            count: cast::u32_from(listpack.len()),
            body: Body::Packed(listpack),
        }
    }

    /// Returns the number of elements.
    #[inline]
    pub(super) fn count(&self) -> usize {
        cast::usize_from_u32(self.count)
    }

    /// Returns the bytes of the listpack or of the one element.
    pub(super) fn byte_len(&self) -> usize {
        match &self.body {
            Body::Packed(listpack) => listpack.byte_len(),
            Body::Plain(bytes) => bytes.len(),
        }
    }

    /// Returns the bytes that the allocator takes for what the node points to.
    #[inline]
    pub(super) fn heap_bytes(&self) -> usize {
        memory::allocated_bytes(match &self.body {
            Body::Packed(listpack) => listpack.capacity_bytes(),
            Body::Plain(bytes) => bytes.len(),
        })
    }

    /// Returns what the node holds.
    pub(super) fn content(&self) -> NodeContent<'_> {
        match &self.body {
            Body::Packed(listpack) => NodeContent::Packed(listpack),
            Body::Plain(bytes) => NodeContent::Plain(bytes),
        }
    }

    /// Returns the listpack, or the node itself if it is plain.
    pub(super) fn into_listpack(self) -> Result<Listpack, Self> {
        match self.body {
            Body::Packed(listpack) => Ok(listpack),
            Body::Plain(bytes) => Err(Self::plain(bytes)),
        }
    }

    /// Tells whether the node takes one more element.
    #[inline]
    pub(super) fn has_room(&self, element: Element<'_>, rule: &NodeRule) -> bool {
        match &self.body {
            Body::Packed(listpack) => rule.has_room(listpack.byte_len(), self.count(), element),
            Body::Plain(_) => false,
        }
    }

    /// Tells whether both nodes may become one.
    pub(super) fn may_join(&self, next: &Self, rule: &NodeRule) -> bool {
        let (Body::Packed(first), Body::Packed(second)) = (&self.body, &next.body) else {
            return false;
        };
        first.byte_len() + second.byte_len() - EMPTY_LISTPACK_BYTES <= rule.bytes_max
            && self.count() + next.count() <= rule.count_max
    }

    /// Takes the elements of `next` over. Both are packed: [`Node::may_join`] has said so.
    pub(super) fn join(&mut self, next: &Self) {
        if let (Body::Packed(first), Body::Packed(second)) = (&mut self.body, &next.body) {
            first.append_all(second);
            self.count += next.count;
        }
    }

    /// Adds an element at one end. The node [has room](Node::has_room).
    #[inline]
    pub(super) fn push(&mut self, end: End, element: Element<'_>) {
        if let Body::Packed(listpack) = &mut self.body {
            match end {
                End::Head => listpack.push_front(element),
                End::Tail => listpack.push_back(element),
            }
            self.count += 1;
        }
    }

    /// As [`Node::push`], for a node at the end of a list that grows there: it passes through few sizes.
    #[inline]
    pub(super) fn push_growing(&mut self, end: End, element: Element<'_>, rule: &NodeRule) {
        if let Body::Packed(listpack) = &mut self.body {
            listpack.reserve_doubling(element.len() + ENTRY_OVERHEAD_BYTES_MAX, rule.bytes_max);
        }
        self.push(end, element);
    }

    /// Gives back what [`Node::push_growing`] has taken and nothing was put into.
    pub(super) fn fit(&mut self) {
        if let Body::Packed(listpack) = &mut self.body {
            listpack.fit();
        }
    }

    /// Inserts an element before the one at `offset`, or at the end. The node
    /// [has room](Node::has_room). O(n) in the bytes.
    pub(super) fn insert(&mut self, offset: usize, element: Element<'_>) {
        if let Body::Packed(listpack) = &mut self.body {
            match listpack.position(cast::i64_from(offset)) {
                Some(position) => listpack.insert_before(position, element),
                None => listpack.push_back(element),
            }
            self.count += 1;
        }
    }

    /// Puts an element into the place of the one at `offset`, whatever room the rule gives, and
    /// tells whether that was possible: it is not if one of the two is plain, or if no listpack
    /// could be as large. O(n) in the bytes.
    pub(super) fn replace(&mut self, offset: usize, element: Element<'_>, rule: &NodeRule) -> bool {
        let is_plain = rule.is_plain(element.len());
        match &mut self.body {
            Body::Packed(listpack) => !is_plain && replace_in(listpack, offset, element),
            Body::Plain(bytes) => {
                if is_plain {
                    *bytes = element.to_vec().into_boxed_slice();
                }
                is_plain
            }
        }
    }

    /// Removes `count` elements from `offset` on; fewer than all. O(n) in the bytes.
    pub(super) fn remove(&mut self, offset: usize, count: usize) {
        debug_assert!(count < self.count(), "an empty node is removed as a whole");
        if let Body::Packed(listpack) = &mut self.body
            && let Some(position) = listpack.position(cast::i64_from(offset))
        {
            listpack.remove_range(position, count);
            self.count -= cast::u32_from(count);
        }
    }

    /// Moves the elements from `offset` on, which is inside, into a node of their own. O(n) in the
    /// bytes.
    pub(super) fn split_off(&mut self, offset: usize) -> Option<Self> {
        let Body::Packed(listpack) = &mut self.body else {
            return None;
        };
        let position = listpack.position(cast::i64_from(offset))?;
        let tail = Self {
            body: Body::Packed(listpack.split_off(position)),
            count: self.count - cast::u32_from(offset),
        };
        self.count = cast::u32_from(offset);
        Some(tail)
    }

    /// Moves the elements of one end into a node of their own; `before` of all, at least one and not all, are before the cut. O(n) in
    /// the bytes.
    pub(super) fn cut(&mut self, end: End, before: usize) -> Option<Self> {
        let Body::Packed(listpack) = &mut self.body else {
            return None;
        };
        let taken = Self::packed(cut(listpack, end, before));
        self.count -= taken.count;
        Some(taken)
    }

    /// Returns the offset of the first element equal to `needle`. O(n).
    pub(super) fn offset_of(&self, needle: Needle<'_>) -> Option<usize> {
        match &self.body {
            Body::Packed(listpack) => offset_in(listpack, needle),
            Body::Plain(bytes) => (**bytes == *needle.bytes).then_some(0),
        }
    }

    /// Returns how many elements are equal to `needle`. O(n).
    pub(super) fn count_of(&self, needle: Needle<'_>) -> usize {
        match &self.body {
            Body::Packed(listpack) => count_in(listpack, needle),
            Body::Plain(bytes) => usize::from(**bytes == *needle.bytes),
        }
    }

    /// Removes of the elements equal to `needle` the first `count` behind the first `skip`; there
    /// are as many. Tells whether the node is empty now. O(n).
    pub(super) fn remove_equal(&mut self, needle: Needle<'_>, skip: usize, count: usize) -> bool {
        match &mut self.body {
            Body::Packed(listpack) => remove_equal_in(listpack, needle, skip, count),
            // Good for nothing now: the caller drops the node.
            Body::Plain(_) => {}
        }
        self.count -= cast::u32_from(count);
        self.count == 0
    }

    /// Iterates over all elements.
    #[inline]
    pub(super) fn iter(&self) -> NodeIter<'_> {
        match &self.body {
            Body::Packed(listpack) => NodeIter::Packed(listpack.iter()),
            Body::Plain(bytes) => NodeIter::Plain(Some(bytes)),
        }
    }

    /// Iterates from the element at `offset`, which is inside, to the last.
    pub(super) fn iter_from(&self, offset: usize) -> NodeIter<'_> {
        match &self.body {
            Body::Packed(listpack) => iter_in(listpack, offset),
            Body::Plain(bytes) => NodeIter::Plain(Some(bytes)),
        }
    }
}

/// Iterates from the element at `offset` to the last.
pub(super) fn iter_in(listpack: &Listpack, offset: usize) -> NodeIter<'_> {
    match listpack.position(cast::i64_from(offset)) {
        Some(position) => NodeIter::Packed(listpack.iter_from(position)),
        None => NodeIter::default(),
    }
}

/// Cuts a listpack behind `before` elements and returns the part at `end`; the other one stays.
pub(super) fn cut(listpack: &mut Listpack, end: End, before: usize) -> Listpack {
    let Some(position) = listpack.position(cast::i64_from(before)) else {
        return Listpack::new();
    };
    let tail = listpack.split_off(position);
    match end {
        End::Head => std::mem::replace(listpack, tail),
        End::Tail => tail,
    }
}

/// Puts an element into the place of the one at `offset`, if the listpack does not get too large.
pub(super) fn replace_in(listpack: &mut Listpack, offset: usize, element: Element<'_>) -> bool {
    let would_fit = listpack.would_fit(element.len() + ENTRY_OVERHEAD_BYTES_MAX);
    match listpack.position(cast::i64_from(offset)) {
        Some(position) if would_fit => {
            listpack.replace(position, element);
            true
        }
        Some(_) | None => false,
    }
}

/// Returns the offset of the first element equal to `needle`. O(n).
pub(super) fn offset_in(listpack: &Listpack, needle: Needle<'_>) -> Option<usize> {
    let found = listpack.find(listpack.first()?, needle.bytes, 0)?;
    // Most listpacks do not have the element, so only this one is walked for the offset.
    let mut position = listpack.first()?;
    let mut offset = 0;
    while position != found {
        position = listpack.next(position)?;
        offset += 1;
    }
    Some(offset)
}

/// Returns how many elements are equal to `needle`. O(n).
pub(super) fn count_in(listpack: &Listpack, needle: Needle<'_>) -> usize {
    let mut count = 0;
    let mut from = listpack.first();
    while let Some(position) = from {
        let Some(found) = listpack.find(position, needle.bytes, 0) else {
            break;
        };
        count += 1;
        from = listpack.next(found);
    }
    count
}

/// Removes of the elements equal to `needle` the first `count` behind the first `skip`. O(n).
pub(super) fn remove_equal_in(
    listpack: &mut Listpack,
    needle: Needle<'_>,
    skip: usize,
    count: usize,
) {
    if count > 1 {
        // Each removal moves all bytes behind it; to write the rest anew is linear.
        let mut rest = Listpack::with_capacity(listpack.byte_len());
        let mut found = 0;
        for element in listpack.iter() {
            if needle.is(element) {
                found += 1;
                if found > skip && found <= skip + count {
                    continue;
                }
            }
            rest.push_back(element);
        }
        rest.shrink();
        *listpack = rest;
        return;
    }
    let mut from = listpack.first();
    for _ in 0..skip {
        from = from
            .and_then(|position| listpack.find(position, needle.bytes, 0))
            .and_then(|found| listpack.next(found));
    }
    if let Some(found) = from.and_then(|position| listpack.find(position, needle.bytes, 0)) {
        listpack.remove(found);
    }
}

/// Bytes to compare elements with, parsed once.
#[derive(Clone, Copy, Debug)]
pub struct Needle<'a> {
    bytes: &'a [u8],
    integer: Option<i64>,
}

impl<'a> Needle<'a> {
    /// Parses the bytes. O(20).
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            integer: number::parse_i64(bytes),
        }
    }

    /// Tells whether `element` reads as the bytes.
    #[inline]
    #[must_use]
    pub fn is(&self, element: Element<'_>) -> bool {
        match element {
            Element::Integer(value) => self.integer == Some(value),
            Element::Bytes(bytes) => self.bytes == bytes,
        }
    }
}

/// The elements of one node, from both ends.
#[derive(Clone, Debug)]
pub(super) enum NodeIter<'a> {
    Packed(listpack::Iter<'a>),
    Plain(Option<&'a [u8]>),
}

impl Default for NodeIter<'_> {
    fn default() -> Self {
        Self::Plain(None)
    }
}

impl<'a> Iterator for NodeIter<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        match self {
            Self::Packed(elements) => elements.next(),
            Self::Plain(bytes) => bytes.take().map(Element::Bytes),
        }
    }
}

impl DoubleEndedIterator for NodeIter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        match self {
            Self::Packed(elements) => elements.next_back(),
            Self::Plain(bytes) => bytes.take().map(Element::Bytes),
        }
    }
}
