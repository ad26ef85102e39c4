//! Changes of a listpack. All go through [`Listpack::make_room`], which keeps total and end right;
//! the count follows in the same function that changes the entries.
//!
//! Allocation: one, of a size that allocators have anyway (four sizes for each power of two), so
//! growing costs no memory that rounding would not have cost. It shrinks when more than half of it
//! would be unused, unless it is small: small listpacks lie packed beside keys, and what is changed
//! is a copy in memory that is used again.

use super::encoding::{END, Encoded};
use super::{COUNT_UNKNOWN, EMPTY_BYTES, Element, HEADER_BYTES, Listpack, Position};
use super::{TOTAL_BYTES_MAX, encoding};

use base::cast;

/// Smallest allocation, and smallest step between two sizes of allocations.
const CAPACITY_STEP: usize = 16;

/// Allocations up to this size do not shrink by themselves.
const KEPT_CAPACITY_MAX: usize = 1024;

/// Sizes that double begin and end here.
const DOUBLING_BYTES_MIN: usize = 1024;
const DOUBLING_BYTES_MAX: usize = 64 * 1024;

impl Listpack {
    /// Makes an empty listpack.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(EMPTY_BYTES)
    }

    /// Makes an empty listpack with room for `bytes` in all, at least the 7 of an empty one.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self::empty_in(Vec::with_capacity(capacity_for(bytes)))
    }

    /// Makes an empty listpack in this memory, whatever it holds.
    #[must_use]
    pub(crate) fn empty_in(mut memory: Vec<u8>) -> Self {
        memory.clear();
        memory.resize(HEADER_BYTES, 0);
        memory.push(END);
        let mut listpack = Self { bytes: memory };
        listpack.write_total();
        listpack
    }

    /// Wraps the bytes of a listpack as [`Listpack::as_bytes`] gave them.
    #[must_use]
    pub(crate) fn of_trusted(bytes: Vec<u8>) -> Self {
        debug_assert_eq!(
            Self::from_bytes(bytes.clone()).map(|it| it.bytes),
            Ok(bytes.clone())
        );
        Self { bytes }
    }

    /// Returns the memory, with its contents.
    #[must_use]
    pub(crate) fn into_memory(self) -> Vec<u8> {
        self.bytes
    }

    /// Adds an element behind the last. O(1) but for growing.
    ///
    /// # Panics
    ///
    /// Like everything that adds, if the listpack passes [`TOTAL_BYTES_MAX`]: the caller asks
    /// [`Listpack::would_fit`] where that can happen.
    #[inline]
    pub fn push_back<'a>(&mut self, element: impl Into<Element<'a>>) {
        self.insert_at(self.end(), &Encoded::new(element.into()));
    }

    /// Adds an element before the first. O(n) in the bytes.
    ///
    /// # Panics
    ///
    /// As [`Listpack::push_back`].
    #[inline]
    pub fn push_front<'a>(&mut self, element: impl Into<Element<'a>>) {
        self.insert_at(HEADER_BYTES, &Encoded::new(element.into()));
    }

    /// Inserts an element before the one at `position`; afterwards `position` is the new one's.
    /// O(n) in the bytes behind it.
    ///
    /// # Panics
    ///
    /// As [`Listpack::push_back`].
    #[inline]
    pub fn insert_before<'a>(&mut self, position: Position, element: impl Into<Element<'a>>) {
        self.insert_at(position.offset(), &Encoded::new(element.into()));
    }

    /// Inserts an element behind the one at `position`, and returns where it is. O(n) in the bytes
    /// behind it.
    ///
    /// # Panics
    ///
    /// As [`Listpack::push_back`].
    #[inline]
    pub fn insert_after<'a>(
        &mut self,
        position: Position,
        element: impl Into<Element<'a>>,
    ) -> Position {
        let at = self.after(position);
        self.insert_at(at, &Encoded::new(element.into()));
        Position::at(at)
    }

    /// Adds an element behind the last, which is given as the content that [`Elements::contents`] shows.
    ///
    /// [`Elements::contents`]: super::elements::Elements::contents
    ///
    /// # Panics
    ///
    /// As [`Listpack::push_back`].
    pub(crate) fn push_content(&mut self, content: &[u8]) {
        let bytes = content.len() + encoding::length_bytes(content.len());
        let room = self.make_room(self.end(), 0, bytes);
        encoding::write_content(room, content);
        self.add_count(1);
    }

    fn insert_at(&mut self, at: usize, entry: &Encoded<'_>) {
        let room = self.make_room(at, 0, entry.whole_bytes());
        entry.write(room);
        self.add_count(1);
    }

    /// Puts an element into the place of the one at `position`, which stays good. O(1) if both
    /// take the same bytes, otherwise O(n) in the bytes behind it.
    ///
    /// # Panics
    ///
    /// As [`Listpack::push_back`].
    #[inline]
    pub fn replace<'a>(&mut self, position: Position, element: impl Into<Element<'a>>) {
        self.replace_encoded(position, &Encoded::new(element.into()));
    }

    fn replace_encoded(&mut self, position: Position, entry: &Encoded<'_>) {
        let at = position.offset();
        let old_bytes = self.after(position) - at;
        let room = self.make_room(at, old_bytes, entry.whole_bytes());
        entry.write(room);
    }

    /// Removes the element at `position`, and returns the position of the one behind it, nothing
    /// if it was the last. O(n) in the bytes behind it.
    pub fn remove(&mut self, position: Position) -> Option<Position> {
        self.remove_range(position, 1)
    }

    /// Removes `count` elements from `position` on, or as many as there are, and returns the
    /// position of the one behind them, nothing if there is none. O(n) in elements removed and
    /// bytes behind them.
    pub fn remove_range(&mut self, position: Position, count: usize) -> Option<Position> {
        let at = position.offset();
        let end = self.end();
        let mut stop = at;
        let mut removed = 0;
        while removed < count && stop < end {
            stop = self.after(Position::at(stop));
            removed += 1;
        }
        self.make_room(at, stop - at, 0);
        self.subtract_count(removed);
        self.position_from(at)
    }

    /// Removes the element at `position` and all behind it. O(n) in elements.
    pub fn truncate(&mut self, position: Position) {
        let at = position.offset();
        let removed = self.count_from(position);
        self.make_room(at, self.end() - at, 0);
        self.subtract_count(removed);
    }

    /// Moves the element at `position` and all behind it into a listpack of their own. O(n) in
    /// elements and the bytes moved.
    #[must_use]
    pub fn split_off(&mut self, position: Position) -> Self {
        let count = self.count_from(position);
        let entries = &self.bytes[position.offset()..self.end()];
        let mut tail = Self::with_capacity(EMPTY_BYTES + entries.len());
        tail.make_room(HEADER_BYTES, 0, entries.len())
            .copy_from_slice(entries);
        tail.write_count(count);
        self.make_room(position.offset(), tail.bytes.len() - EMPTY_BYTES, 0);
        self.subtract_count(count);
        tail
    }

    /// Adds all elements of `other` behind the last. O(n) in the bytes of `other`, and in its
    /// elements if there are more than 65534.
    ///
    /// # Panics
    ///
    /// As [`Listpack::push_back`].
    pub fn append_all(&mut self, other: &Self) {
        let entries = &other.bytes[HEADER_BYTES..other.end()];
        self.make_room(self.end(), 0, entries.len())
            .copy_from_slice(entries);
        self.add_count(other.len());
    }

    /// Gives memory back that the elements do not need, but for rounding. O(n) if there is any.
    pub fn shrink(&mut self) {
        self.bytes.shrink_to(capacity_for(self.bytes.len()));
    }

    /// Makes room for `bytes` more at once, for callers that know what they will add. O(n).
    pub fn reserve(&mut self, bytes: usize) {
        let needed = self.bytes.len().saturating_add(bytes);
        if needed > self.bytes.capacity() {
            let len = self.bytes.len();
            self.bytes.reserve_exact(capacity_for(needed) - len);
        }
    }

    /// Makes room for `bytes` more in a size that doubles, up to `bytes_max`: what grows for long, one element
    /// at a time, then passes through few sizes. O(n) when it grows.
    #[inline]
    pub(crate) fn reserve_doubling(&mut self, bytes: usize, bytes_max: usize) {
        let (len, needed) = (self.bytes.len(), self.bytes.len().saturating_add(bytes));
        if needed > self.bytes.capacity() && needed <= DOUBLING_BYTES_MAX {
            let doubled = needed.next_power_of_two().max(DOUBLING_BYTES_MIN);
            self.bytes
                .reserve_exact(doubled.min(bytes_max).saturating_sub(len));
        }
    }

    /// Moves the bytes into an allocation that fits, if theirs does not. Unlike [`Listpack::shrink`] it
    /// always moves them then: an allocator may leave what shrinks in a block as large as before.
    pub(crate) fn fit(&mut self) {
        let capacity = capacity_for(self.bytes.len());
        if capacity < self.bytes.capacity() {
            let mut bytes = Vec::with_capacity(capacity);
            bytes.extend_from_slice(&self.bytes);
            self.bytes = bytes;
        }
    }

    /// Replaces `removed` bytes at `at` by `inserted` others, which the caller writes: the room
    /// returned holds any bytes. Count and entries are wrong until then.
    fn make_room(&mut self, at: usize, removed: usize, inserted: usize) -> &mut [u8] {
        let len = self.bytes.len();
        if inserted > removed {
            let added = inserted - removed;
            assert!(self.would_fit(added), "the caller bounds a listpack");
            self.reserve(added);
            self.bytes.resize(len + added, 0);
            self.bytes.copy_within(at + removed..len, at + inserted);
            self.write_total();
        } else if inserted < removed {
            self.bytes.copy_within(at + removed..len, at + inserted);
            self.bytes.truncate(len - (removed - inserted));
            let capacity = self.bytes.capacity();
            if capacity > KEPT_CAPACITY_MAX && capacity > 2 * capacity_for(self.bytes.len()) {
                self.shrink();
            }
            self.write_total();
        }
        &mut self.bytes[at..at + inserted]
    }

    fn write_total(&mut self) {
        debug_assert!(self.bytes.len() <= TOTAL_BYTES_MAX, "checked when it grew");
        let total = cast::u32_from(self.bytes.len()).to_le_bytes();
        self.bytes[..4].copy_from_slice(&total);
    }

    pub(super) fn write_count(&mut self, count: usize) {
        let count = u16::try_from(count).unwrap_or(COUNT_UNKNOWN).to_le_bytes();
        self.bytes[4..HEADER_BYTES].copy_from_slice(&count);
    }

    #[inline]
    fn add_count(&mut self, added: usize) {
        if let Some(count) = self.known_count() {
            self.write_count(count + added);
        }
    }

    /// A listpack that did not know its count does not know it afterwards either, unless it is
    /// empty now: to count costs more than most changes.
    fn subtract_count(&mut self, removed: usize) {
        if self.is_empty() {
            self.write_count(0);
        } else if let Some(count) = self.known_count() {
            self.write_count(count - removed);
        }
    }

    /// Counts the elements from `position` on; walks through the shorter part if it may choose.
    fn count_from(&self, position: Position) -> usize {
        let at = position.offset();
        match self.known_count() {
            Some(count) if at < self.bytes.len() / 2 => {
                let entries = &self.bytes[HEADER_BYTES..at];
                count - count_entries(entries)
            }
            _ => count_entries(&self.bytes[at..self.end()]),
        }
    }
}

impl<'a> Extend<Element<'a>> for Listpack {
    /// Adds all elements behind the last.
    ///
    /// # Panics
    ///
    /// As [`Listpack::push_back`].
    fn extend<I: IntoIterator<Item = Element<'a>>>(&mut self, elements: I) {
        for element in elements {
            self.push_back(element);
        }
    }
}

fn count_entries(entries: &[u8]) -> usize {
    let mut left = entries;
    let mut count = 0;
    while let Some(whole) = encoding::whole_bytes(left) {
        left = left.get(whole..).unwrap_or_default();
        count += 1;
    }
    count
}

/// Rounds up to a size that allocators have: multiples of 16, from 128 on four for each power of
/// two. At most a quarter more than needed.
fn capacity_for(bytes: usize) -> usize {
    let needed = bytes.clamp(EMPTY_BYTES, TOTAL_BYTES_MAX);
    let power = 1_usize << (needed - 1).ilog2();
    needed.next_multiple_of((power / 4).max(CAPACITY_STEP))
}
