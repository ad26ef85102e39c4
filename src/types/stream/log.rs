//! The entries of a stream: nodes in the order of ids, and what is known of all entries ever.
//!
//! Invariants
//! - A node is filed under the id of the first entry it got; ids rise within a node and from node to
//!   node. Nodes have an entry, live or marked as deleted.
//! - `len` counts live entries, `node_bytes` what all nodes take from the allocator.
//! - Only the last node is open to more entries; those before it are sealed, unless they are large.
//! - `first_id` is that of the first live entry, [`Id::MIN`] without one; `last_id` is never below
//!   any entry.
//!
//! Not here: the layout of a node (`node.rs`, `body.rs`), consumer groups (`group.rs`).

use std::borrow::Cow;

use crate::Limits;
use crate::block_map::{BlockMap, Place};
use crate::listpack::{self, Listpack, Position};
use crate::stream::body::Body;
use crate::stream::id::Id;
use crate::stream::node::{self, Entry, Node, Pair};

/// Most bytes of a node when the configuration has no limit, and of one entry at all.
const NODE_BYTES_MAX: usize = 1 << 30;

/// Bytes of an element beyond its own, at most; an entry has some elements beyond its pairs.
const ELEMENT_EXTRA_BYTES: usize = 10;

/// The entries of a stream. See the head of this file.
#[derive(Clone, Debug, Default)]
pub struct Log {
    nodes: BlockMap<Id, Body>,
    node_bytes: usize,
    len: u64,
    last_id: Id,
    first_id: Id,
    max_deleted_id: Id,
    entries_added: u64,
}

impl PartialEq for Log {
    /// Compares entries and ids, whatever room is left in the nodes.
    fn eq(&self, other: &Self) -> bool {
        let ids = |log: &Self| (log.last_id, log.first_id, log.max_deleted_id);
        (self.len, self.entries_added) == (other.len, other.entries_added)
            && ids(self) == ids(other)
            && self.nodes == other.nodes
    }
}

/// Which id a new entry gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewId {
    /// The time, or the next after the last one.
    Next {
        /// The time in milliseconds.
        now_ms: u64,
    },
    /// This time, and the next number of it.
    At {
        /// The time in milliseconds.
        ms: u64,
    },
    /// Exactly this one.
    Exactly(Id),
}

/// Why an entry cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The id is not above the last one.
    NotAbove,
    /// All numbers of the time are taken.
    NoNumberLeft,
    /// The entry is larger than a node can be.
    TooLarge,
}

/// Which entries to remove from the front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trim {
    /// What stays.
    pub keep: Keep,
    /// Remove whole nodes only, and fewer entries than asked for.
    pub is_approximate: bool,
    /// Stop before a node with which more entries would go than this; 0 for no limit.
    pub limit: u64,
}

/// What a trim leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The last so many entries.
    Last(u64),
    /// Entries from this id on.
    From(Id),
}

/// What is known of a stream beside its entries; see [`Log::from_nodes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// The number of live entries.
    pub len: u64,
    /// At least the id of every entry.
    pub last_id: Id,
    /// The largest id that was deleted by its id.
    pub max_deleted_id: Id,
    /// How many entries were ever added.
    pub entries_added: u64,
}

impl Log {
    /// Puts a log together from what RESTORE reads, and checks all of it. `None` if a listpack is no
    /// node, ids do not rise, or the figures do not fit the entries. O(n) in the bytes.
    #[must_use]
    pub fn from_nodes(nodes: Vec<(Id, Listpack)>, figures: &Figures) -> Option<Self> {
        let mut log = Self {
            last_id: figures.last_id,
            max_deleted_id: figures.max_deleted_id,
            entries_added: figures.entries_added,
            ..Self::default()
        };
        let mut before = None;
        let last = nodes.len();
        for (number, (master, listpack)) in (1..).zip(nodes) {
            let live = node::check(&listpack, master, &mut before)?;
            log.len = log.len.checked_add(live)?;
            let mut body = Body::Open(listpack);
            if number < last {
                body.seal();
            }
            log.node_bytes += body.heap_bytes();
            log.nodes.insert(master, body);
        }
        let fits = log.len == figures.len && before.is_none_or(|last| last <= figures.last_id);
        log.first_id = log.first_live_id();
        fits.then_some(log)
    }

    /// Returns the number of entries.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Returns whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the id of the entry that was added last, or what XSETID made of it.
    #[must_use]
    pub fn last_id(&self) -> Id {
        self.last_id
    }

    /// Returns the id of the first entry, [`Id::MIN`] if there is none.
    #[must_use]
    pub fn first_id(&self) -> Id {
        self.first_id
    }

    /// Returns the largest id that was ever deleted by its id; trimming does not count.
    #[must_use]
    pub fn max_deleted_id(&self) -> Id {
        self.max_deleted_id
    }

    /// Returns how many entries were ever added.
    #[must_use]
    pub fn entries_added(&self) -> u64 {
        self.entries_added
    }

    /// Returns the number of nodes.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// Returns the number of arrays that the nodes are filed in.
    #[must_use]
    pub fn block_count(&self) -> usize {
        self.nodes.block_count()
    }

    /// Iterates over nodes: the id each is filed under, and the listpack that Redis would have. O(n) in the
    /// bytes of each.
    pub fn nodes(&self) -> impl Iterator<Item = (Id, Cow<'_, Listpack>)> {
        self.nodes_from(Id::MIN)
    }

    /// Does the same from the first node on that is filed under `id` or a larger one.
    pub fn nodes_from(&self, id: Id) -> impl Iterator<Item = (Id, Cow<'_, Listpack>)> {
        let nodes = self.nodes.iter_from(&id);
        nodes.map(|(id, body)| (*id, body.listpack()))
    }

    /// Returns the bytes taken from the allocator. O(1).
    #[must_use]
    pub fn allocated_bytes(&self) -> usize {
        self.node_bytes + self.nodes.allocated_bytes()
    }

    /// Returns what all nodes take from the allocator, counted anew.
    #[cfg(test)]
    pub(super) fn counted_node_bytes(&self) -> usize {
        self.nodes.iter().map(|(_, body)| body.heap_bytes()).sum()
    }

    /// Frees up to `count` nodes; returns whether there are more.
    pub(super) fn drop_nodes(&mut self, count: usize) -> bool {
        self.node_bytes = 0;
        self.nodes.drop_entries(count)
    }

    /// Sets what XSETID sets. `None` leaves a figure as it is.
    pub fn set_ids(&mut self, last_id: Id, entries_added: Option<u64>, max_deleted_id: Option<Id>) {
        self.last_id = last_id;
        self.entries_added = entries_added.unwrap_or(self.entries_added);
        self.max_deleted_id = max_deleted_id.unwrap_or(self.max_deleted_id);
    }

    /// Returns the id that a new entry gets.
    ///
    /// # Errors
    ///
    /// [`Refused::NotAbove`] and [`Refused::NoNumberLeft`].
    pub fn new_id(&self, wanted: NewId) -> Result<Id, Refused> {
        let id = match wanted {
            NewId::Next { now_ms } if now_ms > self.last_id.ms => Id::new(now_ms, 0),
            NewId::Next { .. } => self.last_id.next().ok_or(Refused::NotAbove)?,
            NewId::At { ms } if ms == self.last_id.ms => {
                let next = self.last_id.sequence.checked_add(1);
                Id::new(ms, next.ok_or(Refused::NoNumberLeft)?)
            }
            NewId::At { ms } => Id::new(ms, 0),
            NewId::Exactly(id) => id,
        };
        if id > self.last_id {
            Ok(id)
        } else {
            Err(Refused::NotAbove)
        }
    }

    /// Adds an entry of `count` pairs of field and value. O(pairs) and the bytes.
    ///
    /// # Errors
    ///
    /// [`Refused`]; nothing has changed.
    pub fn append<'a>(
        &mut self,
        wanted: NewId,
        count: usize,
        pair: Pair<'_, 'a>,
        limits: &Limits,
    ) -> Result<Id, Refused> {
        let id = self.new_id(wanted)?;
        let mut content = 0_usize;
        for index in 0..count {
            let (field, value) = pair(index);
            content = content
                .saturating_add(field.len())
                .saturating_add(value.len());
        }
        // The fields of a new node stand in it twice if they are not those of the master: never.
        let extra = (3 * count + 16) * ELEMENT_EXTRA_BYTES;
        if content > listpack::TOTAL_BYTES_MAX - 64 - extra.min(NODE_BYTES_MAX / 2) {
            return Err(Refused::TooLarge);
        }
        let has_room = |listpack: &Listpack| fits(listpack, content, content + extra, limits);
        let mut memory = Vec::new();
        if let Some(place) = self.nodes.last_place() {
            let master = *self.nodes.at(place).0;
            let body = self.nodes.at_mut(place);
            let bytes_before = body.heap_bytes();
            let listpack = body.open();
            let is_taken = has_room(listpack);
            if is_taken {
                node::append(listpack, master, id, count, pair);
            } else {
                memory = body.seal().unwrap_or_default();
            }
            self.node_bytes += body.heap_bytes();
            self.node_bytes -= bytes_before;
            if is_taken {
                self.note_added(id);
                return Ok(id);
            }
        }
        let mut listpack = node::create(memory, count, pair);
        node::append(&mut listpack, id, id, count, pair);
        let body = Body::Open(listpack);
        self.node_bytes += body.heap_bytes();
        self.nodes.insert(id, body);
        self.note_added(id);
        Ok(id)
    }

    fn note_added(&mut self, id: Id) {
        self.entries_added = self.entries_added.wrapping_add(1);
        self.last_id = id;
        if self.len == 0 {
            self.first_id = id;
        }
        self.len += 1;
    }

    /// Deletes the entries with these ids; returns how many there were.
    pub fn delete(&mut self, ids: impl Iterator<Item = Id>) -> usize {
        let mut deleted = 0;
        let mut was_first = false;
        for id in ids {
            if self.delete_one(id) {
                was_first |= id == self.first_id;
                self.max_deleted_id = self.max_deleted_id.max(id);
                deleted += 1;
            }
        }
        if deleted > 0 && (was_first || self.len == 0) {
            self.first_id = self.first_live_id();
        }
        deleted
    }

    fn delete_one(&mut self, id: Id) -> bool {
        let Some((place, entry)) = self.locate(id) else {
            return false;
        };
        let at = entry.at();
        self.len -= 1;
        if self.nodes.at(place).1.header().0 <= 1 {
            self.remove_node(place);
            return true;
        }
        let body = self.nodes.at_mut(place);
        self.node_bytes -= body.heap_bytes();
        body.mark_deleted(at);
        body.count_deleted(1);
        self.node_bytes += body.heap_bytes();
        true
    }

    fn remove_node(&mut self, place: Place) {
        let (_, body) = self.nodes.remove_at(place);
        self.node_bytes -= body.heap_bytes();
    }

    /// Removes entries from the front; returns how many. O(nodes that go), and O(n) in the entries
    /// of one node.
    pub fn trim(&mut self, trim: Trim) -> u64 {
        let mut deleted = 0;
        while let Some(place) = self.nodes.first_place() {
            if matches!(trim.keep, Keep::Last(count) if self.len <= count) {
                break;
            }
            let (live, _) = self.nodes.at(place).1.header();
            if trim.limit > 0 && deleted + live > trim.limit {
                break;
            }
            let is_whole = match trim.keep {
                Keep::Last(count) => self.len.saturating_sub(live) >= count,
                Keep::From(id) => self.is_before(place, id),
            };
            if is_whole {
                self.remove_node(place);
                self.len = self.len.saturating_sub(live);
                deleted += live;
                continue;
            }
            if !trim.is_approximate {
                deleted += self.trim_node(place, trim.keep);
            }
            break;
        }
        if deleted > 0 || self.len == 0 {
            self.first_id = self.first_live_id();
        }
        deleted
    }

    /// Marks entries at the front of a node as deleted; returns how many.
    fn trim_node(&mut self, place: Place, keep: Keep) -> u64 {
        let mut next = self.open(place).and_then(|node| node.first());
        let mut deleted = 0;
        while let Some(at) = next {
            // Opened again each time, as marking changes the node; O(1).
            let entry = self.open(place).and_then(|node| node.entry(at));
            let Some(entry) = entry else {
                break;
            };
            let stops = match keep {
                Keep::Last(count) => self.len <= count,
                Keep::From(id) => entry.id >= id,
            };
            if stops {
                break;
            }
            next = entry.next_at();
            if !entry.is_deleted() {
                // Both flags together take one byte, as one does: places behind stay good.
                self.nodes.at_mut(place).mark_deleted(at);
                self.len = self.len.saturating_sub(1);
                deleted += 1;
            }
        }
        let body = self.nodes.at_mut(place);
        self.node_bytes -= body.heap_bytes();
        body.count_deleted(deleted);
        self.node_bytes += body.heap_bytes();
        deleted
    }

    /// Returns whether all entries of a node, deleted or not, come before `id`. O(1) if there is a node
    /// behind it that does not begin behind `id`.
    fn is_before(&self, place: Place, id: Id) -> bool {
        let next = self.nodes.next_place(place);
        if next.is_some_and(|next| *self.nodes.at(next).0 <= id) {
            return true;
        }
        let Some(node) = self.open(place) else {
            return true;
        };
        let mut entries = std::iter::successors(node.first(), |at| node.entry(*at)?.next_at());
        entries.all(|at| node.entry(at).is_none_or(|entry| entry.id < id))
    }

    /// Returns the entry with this id. O(log n), and O(n) in the entries of one node.
    #[must_use]
    pub fn entry(&self, id: Id) -> Option<Entry<'_>> {
        Some(self.locate(id)?.1)
    }

    fn locate(&self, id: Id) -> Option<(Place, Entry<'_>)> {
        let place = self.nodes.place_up_to(&id)?;
        let node = self.open(place)?;
        let mut next = node.first();
        while let Some(at) = next {
            let entry = node.entry(at)?;
            if entry.id >= id {
                return (entry.id == id && !entry.is_deleted()).then_some((place, entry));
            }
            next = entry.next_at();
        }
        None
    }

    /// Iterates over entries from `start` to `end`, both included.
    #[must_use]
    pub fn range(&self, start: Id, end: Id) -> Range<'_> {
        let place = self.nodes.place_up_to(&start);
        Range::new(self, place.or(self.nodes.first_place()), start, end, false)
    }

    /// Iterates over entries from `end` back to `start`, both included.
    #[must_use]
    pub fn range_back(&self, end: Id, start: Id) -> Range<'_> {
        Range::new(self, self.nodes.place_up_to(&end), start, end, true)
    }

    /// Counts entries from `start` to `end`, both included. O(nodes), and O(n) in the entries of two nodes.
    #[must_use]
    pub fn count(&self, start: Id, end: Id) -> u64 {
        let mut count = 0;
        let mut next = self.nodes.place_up_to(&start).or(self.nodes.first_place());
        while let Some(place) = next {
            let (&master, body) = self.nodes.at(place);
            if master > end {
                break;
            }
            next = self.nodes.next_place(place);
            let next_master = next.map(|place| *self.nodes.at(place).0);
            if master >= start && next_master.is_some_and(|it| it <= end) {
                count += body.header().0;
                continue;
            }
            let last = next_master.and_then(Id::previous).unwrap_or(Id::MAX);
            let entries = self.range(start.max(master), end.min(last)).count();
            count += base::cast::u64_from(entries);
        }
        count
    }

    /// Returns the first entry.
    #[must_use]
    pub fn first(&self) -> Option<Entry<'_>> {
        self.range(Id::MIN, Id::MAX).next()
    }

    /// Returns the last entry.
    #[must_use]
    pub fn last(&self) -> Option<Entry<'_>> {
        self.range_back(Id::MAX, Id::MIN).next()
    }

    fn first_live_id(&self) -> Id {
        self.first().map_or(Id::MIN, |entry| entry.id)
    }

    fn open(&self, place: Place) -> Option<Node<'_>> {
        let (master, body) = self.nodes.at(place);
        Node::open(body.elements(), *master)
    }

    /// Returns whether an entry from `start` on may be missing because it was deleted.
    #[must_use]
    pub fn has_gap_from(&self, start: Id) -> bool {
        self.len > 0 && !self.is_whole() && start <= self.max_deleted_id
    }

    /// Returns whether no entry behind the first one has been deleted by its id.
    fn is_whole(&self) -> bool {
        self.max_deleted_id == Id::MIN || self.max_deleted_id < self.first_id
    }

    /// Returns how many entries were added up to the one with this id, as far as that is known.
    /// The rules are those of Redis 7.0.15.
    #[must_use]
    pub fn entries_up_to(&self, id: Id) -> Option<u64> {
        if self.entries_added == 0 {
            return Some(0);
        }
        if self.len == 0 && id <= self.last_id {
            return Some(self.entries_added);
        }
        if id >= self.last_id {
            return (id == self.last_id).then_some(self.entries_added);
        }
        let before_first = self.entries_added.wrapping_sub(self.len);
        match id.cmp(&self.first_id) {
            std::cmp::Ordering::Less if self.is_whole() => Some(before_first),
            std::cmp::Ordering::Equal if self.is_whole() => Some(before_first.wrapping_add(1)),
            _ => None,
        }
    }
}

/// Returns whether one more entry belongs into a node, of which `needed` bounds the bytes it adds.
fn fits(listpack: &Listpack, content: usize, needed: usize, limits: &Limits) -> bool {
    let bytes_max = match limits.stream_node_bytes {
        0 => NODE_BYTES_MAX,
        bytes => bytes.min(NODE_BYTES_MAX),
    };
    if listpack.byte_len().saturating_add(content) >= bytes_max || !listpack.would_fit(needed) {
        return false;
    }
    let (live, deleted) = node::header(listpack);
    let entries_max = base::cast::u64_from(limits.stream_node_entries);
    entries_max == 0 || live + deleted < entries_max
}

/// Entries between two ids, in either direction. See [`Log::range`].
#[derive(Clone, Debug)]
pub struct Range<'a> {
    log: &'a Log,
    place: Option<Place>,
    node: Option<Node<'a>>,
    /// The entry to look at next, in `node`.
    at: Option<Position>,
    /// Those before it, in a sealed node that is walked through backwards.
    before: Vec<Position>,
    start: Id,
    end: Id,
    is_backward: bool,
}

impl<'a> Range<'a> {
    fn new(log: &'a Log, place: Option<Place>, start: Id, end: Id, is_backward: bool) -> Self {
        let mut range = Self {
            log,
            place: place.filter(|_| start <= end),
            node: None,
            at: None,
            before: Vec::new(),
            start,
            end,
            is_backward,
        };
        range.open();
        range
    }

    /// Opens the node at `place` at the end where the walk begins.
    fn open(&mut self) {
        self.node = self.place.and_then(|place| self.log.open(place));
        self.at = self.node.and_then(|node| {
            if !self.is_backward {
                node.first()
            } else if node.has_lengths() {
                node.last()
            } else {
                let places = std::iter::successors(node.first(), |at| node.entry(*at)?.next_at());
                self.before.extend(places);
                self.before.pop()
            }
        });
    }

    fn open_next(&mut self) {
        self.place = self.place.and_then(|place| {
            if self.is_backward {
                self.log.nodes.previous_place(place)
            } else {
                self.log.nodes.next_place(place)
            }
        });
        self.open();
    }
}

impl<'a> Iterator for Range<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            let node = self.node?;
            let Some(at) = self.at else {
                self.open_next();
                continue;
            };
            let entry = node.entry(at)?;
            let is_beyond = if self.is_backward {
                self.at = self.before.pop().or_else(|| node.before(at));
                entry.id < self.start
            } else {
                self.at = entry.next_at();
                entry.id > self.end
            };
            if is_beyond {
                self.node = None;
                return None;
            }
            if !entry.is_deleted() && entry.id >= self.start && entry.id <= self.end {
                return Some(entry);
            }
        }
    }
}
