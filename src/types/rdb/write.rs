//! Values to bytes.
//!
//! ```text
//!   string              string
//!   list                count | node form, string ...         a node is a listpack or one element
//!   set    intset       string                                the intset
//!          hashtable    count | string ...
//!   hash   listpack     string                                the listpack
//!          hashtable    count | string string ...
//!          listpackex   i64 | string                          first expiry; listpack of triples
//!          with expiry  i64 | count | length string string ...  0 or expiry - first + 1; field, value
//!   zset   listpack     string                                the listpack
//!          skiplist     count | string f64 ...                from the highest on
//!   stream              see `streams.rs`
//! ```
//!
//! Not here: how far a value has been written (`steps.rs`), the type and the footer before and behind.

use base::clock::UnixMillis;

use super::sink::{Sink, length, string};
use super::steps::Steps;
use super::{Object, kind, node_form};
use crate::Value;
use crate::hash::Hash;
use crate::list::NodeContent;
use crate::listpack::{Element, Listpack};

/// Returns the first byte of the object.
pub(super) fn type_of(object: Object<'_>, now: UnixMillis) -> u8 {
    let value = match object {
        Object::String(_) => return kind::STRING,
        Object::Value(value) => value,
    };
    match value {
        Value::String(_) | Value::Shared(_) | Value::Lent(_) => kind::STRING,
        Value::List(_) => kind::LIST_NODES,
        Value::Set(set) if set.as_intset().is_some() => kind::SET_INTSET,
        Value::Set(_) => kind::SET,
        Value::Hash(hash) => match HashForm::of(hash, now) {
            HashForm::Packed(_) => kind::HASH_LISTPACK,
            HashForm::Table => kind::HASH,
            HashForm::ExpiringPacked(_) => kind::HASH_EXPIRING_LISTPACK,
            HashForm::ExpiringTable(_) => kind::HASH_EXPIRING,
        },
        Value::SortedSet(set) if set.as_listpack().is_some() => kind::SORTED_SET_LISTPACK,
        Value::SortedSet(_) => kind::SORTED_SET,
        Value::Stream(_) => kind::STREAM_WITH_FIGURES,
    }
}

/// Writes an object without its first byte.
pub(super) fn object(sink: &mut impl Sink, object: Object<'_>, now: UnixMillis) {
    let value = match object {
        Object::String(bytes) => return string(sink, bytes),
        Object::Value(value) => value,
    };
    Steps::new(now).step(sink, value, usize::MAX);
}

pub(super) fn element(sink: &mut impl Sink, element: Element<'_>) {
    element.with_bytes(|bytes| string(sink, bytes));
}

pub(super) fn node(sink: &mut impl Sink, node: NodeContent<'_>) {
    match node {
        NodeContent::Plain(bytes) => {
            length(sink, node_form::PLAIN);
            string(sink, bytes);
        }
        NodeContent::Packed(listpack) => {
            length(sink, node_form::PACKED);
            string(sink, listpack.as_bytes());
        }
    }
}

/// How a hash is written. Dead fields do not count.
pub(super) enum HashForm<'a> {
    Packed(&'a Listpack),
    Table,
    /// With the moment the first live field dies.
    ExpiringPacked(UnixMillis),
    ExpiringTable(UnixMillis),
}

impl<'a> HashForm<'a> {
    pub(super) fn of(hash: &'a Hash, now: UnixMillis) -> Self {
        if let Some(listpack) = hash.as_listpack() {
            return Self::Packed(listpack);
        }
        let is_table = hash.encoding_name() == "hashtable";
        let first = hash.next_live_expiry(now);
        match first {
            Some(first) if is_table => Self::ExpiringTable(first),
            Some(first) => Self::ExpiringPacked(first),
            None => Self::Table,
        }
    }
}

/// Writes a small hash with fields that expire, the first of which dies at `first`.
pub(super) fn triples(sink: &mut impl Sink, hash: &Hash, first: UnixMillis, now: UnixMillis) {
    sink.put(&first.0.to_le_bytes());
    let mut triples = Listpack::new();
    hash.for_each_with_expiry(now, &mut |field, value, expire_at| {
        triples.push_back(field);
        triples.push_back(value);
        triples.push_back(expire_at.map_or(0, |at| at.0));
    });
    string(sink, triples.as_bytes());
}
