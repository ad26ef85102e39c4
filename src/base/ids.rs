//! One type for each kind of name, so that two integers are never confused.

use std::fmt;

/// A shard of this node, which is also the core that owns it: `0..shard_count`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ShardId(pub u16);

impl ShardId {
    /// Returns the position of this shard in an array with one element per shard.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

/// A cluster hash slot: `0..16384`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SlotId(pub u16);

/// A numbered database: `0..databases`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct DbIndex(pub u16);

impl DbIndex {
    /// Returns the position of this database in an array with one element per database.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A client connection for its whole life, unique in the process, as `CLIENT ID` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ClientId(pub u64);

/// A transaction over shards. Ids are handed out by one counter of the node; a smaller id is served
/// before a larger one where their keys meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TxId(pub u64);
