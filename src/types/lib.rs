//! Values and their encodings.
//!
//! A [`Value`] is what a key holds when the bytes do not fit beside the key. Short strings never come
//! here: the shard keeps them inside the key's own allocation. Each type is a module of its own; a
//! type offers [`Typed`], so that the shard can find, create and remove it without knowing more.
//!
//! Invariants
//! - A value owns all its memory and nothing else, so it may move from core to core. One exception: the
//!   bytes of a long string may be shared with replies, and then nobody changes them.
//! - [`Value::allocated_bytes`] costs O(1), as the memory ledger asks before and after each change.
//! - Nothing here reads a clock or the configuration: thresholds come as [`Limits`], chance and time
//!   as arguments.
//!
//! Not here: keys, expiry and access times of keys (`shard`), replies (`commands`).

pub mod bitfield;
pub mod bitmap;
pub mod block_map;
pub mod effect;
pub mod geo;
pub mod hash;
pub mod hyperloglog;
pub mod intset;
pub mod limits;
pub mod list;
pub mod listpack;
pub mod memory;
pub mod packed;
pub mod rdb;
pub mod schedule;
pub mod set;
pub mod sorted_set;
pub mod stream;
pub mod string;
pub mod table;

pub use crate::limits::Limits;

use std::sync::Arc;

use base::clock::UnixMillis;

use crate::hash::Hash;
use crate::intset::Intset;
use crate::list::List;
use crate::listpack::Listpack;
use crate::set::Set;
use crate::sorted_set::SortedSet;
use crate::stream::Stream;

/// A value of any type.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Bytes, at most `proto-max-bulk-len` of them.
    String(Vec<u8>),
    /// The same, shared with replies that are being sent. Made of a long string when one asks for it
    /// ([`Value::share`]); a change makes it a string of its own again ([`Value::string_mut`]).
    Shared(Arc<Vec<u8>>),
    /// A sequence of byte strings.
    List(List),
    /// Distinct byte strings.
    Set(Set),
    /// Fields with values.
    Hash(Hash),
    /// Distinct byte strings with scores, in the order of scores.
    SortedSet(SortedSet),
    /// An append-only log of entries, with consumer groups.
    Stream(Stream),
    /// Keeps the place of a value that is on loan to another shard for the length of a transaction.
    /// Nobody but the shard meets it: the key is claimed exclusively meanwhile.
    Lent(Kind),
}

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the whole meaning")]
pub enum Kind {
    String,
    List,
    Set,
    Hash,
    SortedSet,
    Stream,
}

impl Kind {
    /// Returns the name as the command TYPE says it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::List => "list",
            Self::Set => "set",
            Self::Hash => "hash",
            Self::SortedSet => "zset",
            Self::Stream => "stream",
        }
    }
}

/// What every type but strings offers to the shard.
pub trait Typed: Sized {
    /// The type.
    const KIND: Kind;

    /// Makes a value without contents, in `memory` if it begins as one piece of bytes.
    fn empty_in(memory: Vec<u8>) -> Self;

    /// Returns the value if it has this type.
    fn of(value: &Value) -> Option<&Self>;

    /// Returns the value for change if it has this type.
    fn of_mut(value: &mut Value) -> Option<&mut Self>;

    /// Wraps the value.
    fn into_value(self) -> Value;

    /// Returns the value if it has this type.
    fn from_value(value: Value) -> Option<Self>;

    /// Returns whether a key with this value has to be removed, because nothing is left of it.
    fn is_void(&self) -> bool;
}

/// Implements [`Typed`] for a type whose values vanish when they are empty, or never.
macro_rules! typed {
    ($type:ident, $void:expr, $empty:expr) => {
        impl Typed for $type {
            const KIND: Kind = Kind::$type;

            fn empty_in(memory: Vec<u8>) -> Self {
                let empty: fn(Vec<u8>) -> Self = $empty;
                empty(memory)
            }

            fn of(value: &Value) -> Option<&Self> {
                match value {
                    Value::$type(inner) => Some(inner),
                    _ => None,
                }
            }

            fn of_mut(value: &mut Value) -> Option<&mut Self> {
                match value {
                    Value::$type(inner) => Some(inner),
                    _ => None,
                }
            }

            fn into_value(self) -> Value {
                Value::$type(self)
            }

            fn from_value(value: Value) -> Option<Self> {
                match value {
                    Value::$type(inner) => Some(inner),
                    _ => None,
                }
            }

            fn is_void(&self) -> bool {
                let is_void: fn(&Self) -> bool = $void;
                is_void(self)
            }
        }
    };
}

typed!(List, List::is_empty, |memory| List::of_listpack(
    Listpack::empty_in(memory)
));
typed!(Set, Set::is_empty, |memory| Set::from_intset(
    Intset::empty_in(memory)
));
typed!(Hash, Hash::is_empty, |memory| Hash::of_listpack(
    Listpack::empty_in(memory)
));
typed!(SortedSet, SortedSet::is_empty, |memory| {
    SortedSet::of_listpack(Listpack::empty_in(memory))
});
// A stream without entries still has its last id and its groups.
typed!(Stream, |_| false, |_| Self::default());

impl Value {
    /// Returns a share of the bytes of a string: it keeps them as they are, whatever becomes of the value.
    /// `None` for other types. O(1).
    pub fn share(&mut self) -> Option<Arc<Vec<u8>>> {
        if let Self::String(bytes) = self {
            *self = Self::Shared(Arc::new(std::mem::take(bytes)));
        }
        match self {
            Self::Shared(bytes) => Some(Arc::clone(bytes)),
            _ => None,
        }
    }

    /// Returns the bytes of a string for change; `None` for other types. O(1), and O(bytes) while somebody
    /// has a share of them.
    pub fn string_mut(&mut self) -> Option<&mut Vec<u8>> {
        if let Self::Shared(bytes) = self {
            let bytes = std::mem::take(bytes);
            *self = Self::String(Arc::try_unwrap(bytes).unwrap_or_else(|bytes| bytes.to_vec()));
        }
        match self {
            Self::String(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Returns the type.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::String(_) | Self::Shared(_) => Kind::String,
            Self::List(_) => Kind::List,
            Self::Set(_) => Kind::Set,
            Self::Hash(_) => Kind::Hash,
            Self::SortedSet(_) => Kind::SortedSet,
            Self::Stream(_) => Kind::Stream,
            Self::Lent(kind) => *kind,
        }
    }

    /// Returns the type as the command TYPE names it.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        self.kind().name()
    }

    /// Returns the encoding as OBJECT ENCODING names it; strings have names of their own
    /// ([`string::encoding_name`]).
    #[must_use]
    pub fn encoding_name(&self) -> &'static str {
        match self {
            Self::String(_) | Self::Shared(_) => "raw",
            Self::List(list) => list.encoding_name(),
            Self::Set(set) => set.encoding_name(),
            Self::Hash(hash) => hash.encoding_name(),
            Self::SortedSet(sorted_set) => sorted_set.encoding_name(),
            Self::Stream(_) => "stream",
            Self::Lent(_) => "lent",
        }
    }

    /// Returns whether nothing is left of the value, so that its key has to go.
    #[must_use]
    pub fn is_void(&self) -> bool {
        match self {
            Self::String(_) | Self::Shared(_) | Self::Stream(_) | Self::Lent(_) => false,
            Self::List(list) => list.is_void(),
            Self::Set(set) => set.is_void(),
            Self::Hash(hash) => hash.is_void(),
            Self::SortedSet(sorted_set) => sorted_set.is_void(),
        }
    }

    /// Returns when the first field of a hash dies, or died. O(1).
    #[inline]
    #[must_use]
    pub fn next_expiry(&self) -> Option<UnixMillis> {
        match self {
            Self::Hash(hash) => hash.next_expiry(),
            Self::String(_)
            | Self::Shared(_)
            | Self::List(_)
            | Self::Set(_)
            | Self::SortedSet(_)
            | Self::Stream(_)
            | Self::Lent(_) => None,
        }
    }

    /// Returns the bytes requested from the allocator for the value's contents, without the `Value`
    /// itself; `round` turns a request into what the allocator takes for it. O(1).
    #[must_use]
    pub fn allocated_bytes(&self, round: fn(usize) -> usize) -> usize {
        match self {
            Self::String(bytes) => round(bytes.capacity()),
            Self::Shared(bytes) => round(bytes.capacity()),
            Self::List(list) => list.allocated_bytes(round),
            Self::Set(set) => set.allocated_bytes(round),
            Self::Hash(hash) => hash.allocated_bytes(round),
            Self::SortedSet(sorted_set) => sorted_set.allocated_bytes(round),
            Self::Stream(stream) => stream.allocated_bytes(round),
            Self::Lent(_) => 0,
        }
    }

    /// Frees a part of the value, about `elements` elements of it, and returns whether there is more.
    /// What is left is good for nothing but more of this. O(`elements`).
    pub fn free_step(&mut self, elements: usize) -> bool {
        match self {
            Self::String(_) | Self::Shared(_) | Self::Lent(_) => false,
            Self::List(list) => list.free_step(elements),
            Self::Set(set) => set.free_step(elements),
            Self::Hash(hash) => hash.free_step(elements),
            Self::SortedSet(sorted_set) => sorted_set.free_step(elements),
            Self::Stream(stream) => stream.free_step(elements),
        }
    }

    /// Returns about how many allocations it takes to free the value: what [`Value::free_step`] counts.
    /// O(1).
    #[must_use]
    pub fn free_effort(&self) -> usize {
        match self {
            Self::String(_) | Self::Shared(_) | Self::Lent(_) => 1,
            Self::List(list) => list.free_effort(),
            Self::Set(set) => set.free_effort(),
            Self::Hash(hash) => hash.free_effort(),
            Self::SortedSet(sorted_set) => sorted_set.free_effort(),
            Self::Stream(stream) => stream.free_effort(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_keeps_its_bytes_when_the_string_changes() {
        let mut value = Value::String(b"before".to_vec());
        let share = value.share().unwrap();
        value.string_mut().unwrap().extend_from_slice(b" and after");
        assert_eq!(**share, *b"before");
        assert_eq!(value, Value::String(b"before and after".to_vec()));
    }

    #[test]
    fn a_string_that_is_shared_no_more_changes_in_place() {
        let mut value = Value::String(b"bytes".to_vec());
        let address = value.string_mut().unwrap().as_ptr();
        drop(value.share());
        assert_eq!(value.kind(), Kind::String);
        assert_eq!(value.string_mut().unwrap().as_ptr(), address);
        assert_eq!(Value::Set(Set::default()).share(), None);
    }
}
