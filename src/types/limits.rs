//! Where values change from a compact encoding to one for many elements.
//!
//! The fields are the directives of redis.conf with the same words; they may change at any time and
//! count when a value is written next.

/// Thresholds of encodings, from the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `list-max-listpack-size`: elements per node if positive; -1 to -5 for 4 to 64 KiB per node.
    pub list_listpack_size: i32,
    /// `hash-max-listpack-entries`: fields.
    pub hash_listpack_entries: usize,
    /// `hash-max-listpack-value`: bytes of a field or value.
    pub hash_listpack_value: usize,
    /// `set-max-intset-entries`: members.
    pub set_intset_entries: usize,
    /// `set-max-listpack-entries`: members.
    pub set_listpack_entries: usize,
    /// `set-max-listpack-value`: bytes of a member.
    pub set_listpack_value: usize,
    /// `zset-max-listpack-entries`: members.
    pub zset_listpack_entries: usize,
    /// `zset-max-listpack-value`: bytes of a member.
    pub zset_listpack_value: usize,
    /// `stream-node-max-bytes`: 0 for no limit.
    pub stream_node_bytes: usize,
    /// `stream-node-max-entries`: 0 for no limit.
    pub stream_node_entries: usize,
    /// `hll-sparse-max-bytes`.
    pub hll_sparse_bytes: usize,
}

impl Default for Limits {
    /// The defaults of Redis 7.0, and of 7.2 for sets in listpacks.
    fn default() -> Self {
        Self {
            list_listpack_size: -2,
            hash_listpack_entries: 512,
            hash_listpack_value: 64,
            set_intset_entries: 512,
            set_listpack_entries: 128,
            set_listpack_value: 64,
            zset_listpack_entries: 128,
            zset_listpack_value: 64,
            stream_node_bytes: 4096,
            stream_node_entries: 100,
            hll_sparse_bytes: 3000,
        }
    }
}
