//! What the shard's data costs in memory, counted and not estimated.
//!
//! Every allocation of a dict is added when made and taken off when released, at the size the
//! allocator really hands out, so the sum can be compared with the resident size of the process.
//!
//! Not here: memory of connections and of the runtime; budgets, which the node sets over all shards.

/// Bytes that the data of a shard, or of one database, holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Keys, dead ones that were not met yet included.
    pub keys: usize,
    /// Keys that carry an expiry.
    pub expires: usize,
    /// Bytes of entries: header, key and value, whether the value is inside or apart.
    pub entry_bytes: usize,
    /// Bytes of the hash tables.
    pub dict_bytes: usize,
    /// Bytes taken for entries and tables, but holding none at the moment.
    pub unused_bytes: usize,
}

impl Ledger {
    /// Returns all bytes together.
    #[must_use]
    pub fn total_bytes(&self) -> usize {
        self.entry_bytes + self.dict_bytes + self.unused_bytes
    }

    /// Adds the figures of `other`.
    pub fn add(&mut self, other: &Self) {
        self.keys += other.keys;
        self.expires += other.expires;
        self.entry_bytes += other.entry_bytes;
        self.dict_bytes += other.dict_bytes;
        self.unused_bytes += other.unused_bytes;
    }
}
