//! Values and their encodings.
//!
//! A [`Value`] is what a key holds when the bytes do not fit beside the key: today a string; each
//! further type is one more variant. Short strings never come here: the shard keeps them inside the
//! key's own allocation.
//!
//! Invariants
//! - A value owns all its memory and nothing else, so it may move from core to core.
//! - [`Value::allocated_bytes`] costs O(1), as the memory ledger asks before and after each change.
//!
//! Not here: keys, expiry and access times (`shard`), replies (`commands`).

pub mod string;

/// A value of any type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Bytes, at most `proto-max-bulk-len` of them.
    String(Vec<u8>),
}

impl Value {
    /// Returns the type as the command TYPE names it.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::String(_) => "string",
        }
    }

    /// Returns the bytes requested from the allocator for the value's contents, without the `Value`
    /// itself, one number per allocation: the ledger rounds each to the allocator's size.
    #[must_use]
    pub fn allocated_bytes(&self, round: fn(usize) -> usize) -> usize {
        match self {
            Self::String(bytes) => round(bytes.capacity()),
        }
    }
}
