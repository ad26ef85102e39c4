//! Streams: logs of entries with rising ids, and consumer groups that read them.
//!
//! ```text
//!   Stream -> log     nodes in the order of ids: up to 100 entries, 4 KiB as a listpack
//!             groups  by name: last id, pending entries, consumers with theirs
//! ```
//!
//! A stream is one pointer, so that values stay small. In reading order: [`id`], [`node`] is the layout
//! of a listpack, `body` that of a node nothing is added to, [`log`] all entries, [`group`] the groups.
//!
//! Not here: parsing of words, replies, time (an argument).

mod body;
pub mod group;
pub mod id;
pub mod log;
pub mod node;

#[cfg(doc)]
use crate::memory;
use crate::stream::group::Groups;
use crate::stream::log::Log;

/// A log of entries with its consumer groups.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stream {
    parts: Box<Parts>,
}

/// Both parts of a stream, to be read and changed apart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parts {
    /// The entries.
    pub log: Log,
    /// The groups.
    pub groups: Groups,
}

impl Stream {
    /// Returns the entries.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.parts.log
    }

    /// Returns the groups.
    #[must_use]
    pub fn groups(&self) -> &Groups {
        &self.parts.groups
    }

    /// Returns both for change.
    pub fn parts_mut(&mut self) -> &mut Parts {
        &mut self.parts
    }

    /// Returns whether there is no entry. Such a stream stays, with its ids and groups.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.log.is_empty()
    }

    /// Returns the bytes allocated. `round` is the rounding of [`memory::allocated_bytes`], which parts
    /// count with as they change. O(1).
    #[must_use]
    pub fn allocated_bytes(&self, round: fn(usize) -> usize) -> usize {
        let parts = &self.parts;
        round(size_of::<Parts>()) + parts.log.allocated_bytes() + parts.groups.allocated_bytes()
    }

    /// Frees about `elements` allocations; returns whether there is more.
    pub fn free_step(&mut self, elements: usize) -> bool {
        self.parts.groups.drop_parts(elements) || self.parts.log.drop_nodes(elements)
    }

    /// Returns about how many allocations there are to free. O(1).
    #[must_use]
    pub fn free_effort(&self) -> usize {
        1 + self.parts.log.node_count() + self.parts.groups.free_effort()
    }
}

#[cfg(test)]
mod tests;
