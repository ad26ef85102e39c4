//! The listpack of one node of a stream.
//!
//! ```text
//!   master   live | deleted | n | field .. field | 0
//!   entry    flags | ms | sequence |     value .. value            | length    flags & SAME_FIELDS
//!   entry    flags | ms | sequence | m | field | value .. | value  | length    otherwise
//! ```
//!
//! The master has how many entries live and how many are marked as deleted, and the fields of the
//! first entry. Entries with the same fields in the same order leave them out. `ms` and `sequence` are
//! differences to the id that the node is filed under, that of its first entry. `length` counts the
//! elements of the entry before it, for walking backwards.
//!
//! The bytes are those of Redis. Source: payloads of DUMP of redis-server 7.0.15.
//!
//! A sealed node (`body.rs`) begins with `n` and has neither the 0 nor any `length`; both forms are read
//! here.
//!
//! Not here: which nodes there are (`log.rs`).

use crate::listpack::elements::{Elements, Forward};
use crate::listpack::{Element, Listpack, Position};
use crate::stream::id::Id;

/// The entry has been deleted and only keeps its place.
pub(super) const DELETED: i64 = 1;
/// The entry has the fields of the master.
pub(super) const SAME_FIELDS: i64 = 2;

/// Gives the field and the value of each index below the number of pairs.
pub type Pair<'p, 'a> = &'p dyn Fn(usize) -> (&'a [u8], &'a [u8]);

/// A node opened for reading.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node<'a> {
    elements: Elements<'a>,
    master: Id,
    /// Fields of the master, and where the first of them or the end of the master is.
    field_count: usize,
    fields_at: Position,
}

/// One entry of a stream.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    node: Node<'a>,
    /// The id.
    pub id: Id,
    flags: i64,
    pair_count: usize,
    at: Position,
    /// Where the pairs begin, or the values if the fields are those of the master.
    content_at: Position,
}

/// The fields and values of an entry, in order.
#[derive(Clone, Debug)]
pub struct Pairs<'a> {
    left: usize,
    /// The fields of the master, if the entry has the same.
    fields: Option<Forward<'a>>,
    content: Forward<'a>,
}

impl<'a> Node<'a> {
    /// Opens a node; nothing if it is no node of a stream. O(1).
    pub(super) fn open(elements: Elements<'a>, master: Id) -> Option<Self> {
        let mut count_at = elements.first();
        if elements.has_lengths() {
            count_at = skip(elements, count_at, 2)?;
        }
        let field_count = usize::try_from(elements.integer(count_at)?).ok()?;
        Some(Self {
            elements,
            master,
            field_count,
            fields_at: elements.behind(count_at)?,
        })
    }

    /// Returns where the first entry begins, deleted or not. O(fields).
    pub(super) fn first(&self) -> Option<Position> {
        self.entry_behind(skip(self.elements, self.fields_at, self.field_count)?)
    }

    /// Returns where an entry begins behind `end`, where the elements of another one or the fields of the
    /// master end.
    fn entry_behind(&self, end: Position) -> Option<Position> {
        let at = if self.elements.has_lengths() {
            self.elements.behind(end)?
        } else {
            end
        };
        (!self.elements.is_end(at)).then_some(at)
    }

    /// Returns whether the node can be walked through backwards.
    pub(super) fn has_lengths(&self) -> bool {
        self.elements.has_lengths()
    }

    /// Returns where the last entry begins, deleted or not; nothing in a sealed node. O(its elements).
    pub(super) fn last(&self) -> Option<Position> {
        self.ending_at(self.elements.last()?)
    }

    /// Returns where the entry before the one at `position` begins; nothing in a sealed node. O(its
    /// elements).
    pub(super) fn before(&self, position: Position) -> Option<Position> {
        self.ending_at(self.elements.before(position)?)
    }

    /// Returns where the entry begins whose length is at `position`; nothing if that is the end of the
    /// master.
    fn ending_at(&self, position: Position) -> Option<Position> {
        let length = self.elements.integer(position)?;
        if length <= 0 {
            return None;
        }
        (0..length).try_fold(position, |at, _| self.elements.before(at))
    }

    /// Returns the entry at `position`. O(1).
    pub(super) fn entry(&self, position: Position) -> Option<Entry<'a>> {
        let elements = self.elements;
        let flags = elements.integer(position)?;
        let ms_at = elements.behind(position)?;
        let sequence_at = elements.behind(ms_at)?;
        let add = |base: u64, at| Some(base.wrapping_add_signed(elements.integer(at)?));
        let id = Id::new(
            add(self.master.ms, ms_at)?,
            add(self.master.sequence, sequence_at)?,
        );
        let mut content_at = elements.behind(sequence_at)?;
        let mut pair_count = self.field_count;
        if flags & SAME_FIELDS == 0 {
            pair_count = usize::try_from(elements.integer(content_at)?).ok()?;
            content_at = elements.behind(content_at)?;
        }
        Some(Entry {
            node: *self,
            id,
            flags,
            pair_count,
            at: position,
            content_at,
        })
    }

    /// Returns whether an entry with these fields may leave them out.
    fn has_fields<'b>(&self, count: usize, pair: Pair<'_, 'b>) -> bool {
        count == self.field_count
            && self
                .elements
                .iter_from(self.fields_at)
                .take(count)
                .enumerate()
                .all(|(index, field)| field.eq_bytes(pair(index).0))
    }
}

impl<'a> Entry<'a> {
    /// Returns whether the entry is only a mark that one was here.
    pub(super) fn is_deleted(&self) -> bool {
        self.flags & DELETED != 0
    }

    /// Returns where the entry begins.
    pub(super) fn at(&self) -> Position {
        self.at
    }

    /// Returns where the next entry begins. O(elements).
    pub(super) fn next_at(&self) -> Option<Position> {
        let per_pair = if self.flags & SAME_FIELDS == 0 { 2 } else { 1 };
        let node = &self.node;
        let end = skip(node.elements, self.content_at, self.pair_count * per_pair)?;
        node.entry_behind(end)
    }

    /// Returns the number of fields.
    #[must_use]
    pub fn pair_count(&self) -> usize {
        self.pair_count
    }

    /// Iterates over fields and values.
    #[must_use]
    pub fn pairs(&self) -> Pairs<'a> {
        let elements = self.node.elements;
        Pairs {
            left: self.pair_count,
            fields: (self.flags & SAME_FIELDS != 0)
                .then(|| elements.iter_from(self.node.fields_at)),
            content: elements.iter_from(self.content_at),
        }
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (Element<'a>, Element<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let field = match &mut self.fields {
            Some(fields) => fields.next()?,
            None => self.content.next()?,
        };
        Some((field, self.content.next()?))
    }
}

/// Makes the listpack of a node whose first entry has these fields, without that entry, in `memory`.
pub(super) fn create<'a>(memory: Vec<u8>, count: usize, pair: Pair<'_, 'a>) -> Listpack {
    let mut listpack = Listpack::empty_in(memory);
    listpack.push_back(0);
    listpack.push_back(0);
    listpack.push_back(integer(count));
    for index in 0..count {
        listpack.push_back(pair(index).0);
    }
    listpack.push_back(0);
    listpack
}

/// Checks all of a listpack from outside: that it is the node `master`, with one entry or more whose
/// ids rise, also above `before`, which becomes the last of them. Returns the number of live entries,
/// nothing if anything is wrong. O(n).
pub(super) fn check(listpack: &Listpack, master: Id, before: &mut Option<Id>) -> Option<u64> {
    let mut numbers = listpack.iter().map(|element| element.integer());
    let mut number = || u64::try_from(numbers.next()??).ok();
    let (live, deleted) = (number()?, number()?);
    let elements = listpack.elements();
    let node = Node::open(elements, master)?;
    let end = skip(elements, node.fields_at, node.field_count)?;
    if elements.integer(end) != Some(0) || before.is_some_and(|it| it >= master) {
        return None;
    }
    let (mut live_seen, mut deleted_seen) = (0, 0);
    let mut next = node.entry_behind(end);
    while let Some(at) = next {
        let entry = node.entry(at)?;
        let rises = entry.id >= master && before.is_none_or(|it| it < entry.id);
        if entry.flags & !(DELETED | SAME_FIELDS) != 0 || !rises {
            return None;
        }
        *before = Some(entry.id);
        let (own_fields, per_pair) = match entry.flags & SAME_FIELDS {
            0 => (1, 2),
            _ => (0, 1),
        };
        let content = entry.pair_count.checked_mul(per_pair)?;
        let length_at = skip(elements, entry.content_at, content)?;
        if elements.integer(length_at) != Some(integer(content + own_fields + 3)) {
            return None;
        }
        if entry.is_deleted() {
            deleted_seen += 1;
        } else {
            live_seen += 1;
        }
        next = node.entry_behind(length_at);
    }
    let is_sound = (live, deleted) == (live_seen, deleted_seen) && live + deleted > 0;
    is_sound.then_some(live)
}

/// Adds an entry behind the last; its id has to be the largest. O(fields), but for growing.
pub(super) fn append<'a>(
    listpack: &mut Listpack,
    master: Id,
    id: Id,
    count: usize,
    pair: Pair<'_, 'a>,
) {
    let is_same =
        Node::open(listpack.elements(), master).is_some_and(|node| node.has_fields(count, pair));
    add_to_header(listpack, 1, 0);
    let flags = if is_same { SAME_FIELDS } else { 0 };
    listpack.push_back(flags);
    listpack.push_back(id.ms.wrapping_sub(master.ms).cast_signed());
    listpack.push_back(id.sequence.wrapping_sub(master.sequence).cast_signed());
    let mut length = integer(count) + 3;
    if !is_same {
        length += integer(count) + 1;
        listpack.push_back(integer(count));
    }
    for index in 0..count {
        let (field, value) = pair(index);
        if !is_same {
            listpack.push_back(field);
        }
        listpack.push_back(value);
    }
    listpack.push_back(length);
}

/// Marks the entry at `position` as deleted; the header does not change. O(1).
pub(super) fn mark_deleted(listpack: &mut Listpack, position: Position) {
    let flags = listpack.get(position).integer().unwrap_or(0);
    listpack.replace(position, flags | DELETED);
}

/// Turns `count` live entries of the header into deleted ones.
pub(super) fn count_deleted(listpack: &mut Listpack, count: u64) {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    add_to_header(listpack, -count, count);
}

/// Returns how many entries live and how many are marked as deleted.
pub(super) fn header(listpack: &Listpack) -> (u64, u64) {
    let mut numbers = listpack.iter().map(|element| {
        let number = element.integer().unwrap_or(0);
        u64::try_from(number).unwrap_or(0)
    });
    (
        numbers.next().unwrap_or_default(),
        numbers.next().unwrap_or_default(),
    )
}

fn add_to_header(listpack: &mut Listpack, live: i64, deleted: i64) {
    let mut position = listpack.first();
    for added in [live, deleted] {
        let Some(at) = position else {
            return;
        };
        if added != 0 {
            let number = listpack.get(at).integer().unwrap_or(0);
            listpack.replace(at, number.saturating_add(added));
        }
        position = listpack.next(at);
    }
}

fn skip(elements: Elements<'_>, from: Position, count: usize) -> Option<Position> {
    (0..count).try_fold(from, |at, _| elements.behind(at))
}

fn integer(count: usize) -> i64 {
    base::cast::i64_from(count)
}
