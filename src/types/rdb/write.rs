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
//! Not here: the type and the footer before and behind.

use base::clock::UnixMillis;

use super::sink::{Sink, count, length, string};
use super::{Object, kind, node_form, streams};
use crate::Value;
use crate::hash::Hash;
use crate::list::{List, NodeContent};
use crate::listpack::{Element, Listpack};
use crate::set::Set;
use crate::sorted_set::SortedSet;

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
    match value {
        Value::String(bytes) => string(sink, bytes),
        Value::Shared(bytes) => string(sink, bytes),
        Value::List(list) => write_list(sink, list),
        Value::Set(set) => write_set(sink, set),
        Value::Hash(hash) => write_hash(sink, hash, now),
        Value::SortedSet(set) => write_sorted_set(sink, set),
        Value::Stream(stream) => streams::write(sink, stream),
        // The key is claimed while its value is away: nobody asks.
        Value::Lent(_) => string(sink, b""),
    }
}

fn element(sink: &mut impl Sink, element: Element<'_>) {
    element.with_bytes(|bytes| string(sink, bytes));
}

fn write_list(sink: &mut impl Sink, list: &List) {
    count(sink, list.nodes().count());
    for node in list.nodes() {
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
}

fn write_set(sink: &mut impl Sink, set: &Set) {
    if let Some(intset) = set.as_intset() {
        return string(sink, intset.as_bytes());
    }
    count(sink, set.len());
    for member in set {
        element(sink, member);
    }
}

fn write_sorted_set(sink: &mut impl Sink, set: &SortedSet) {
    if let Some(listpack) = set.as_listpack() {
        return string(sink, listpack.as_bytes());
    }
    count(sink, set.len());
    for (member, score) in set.pairs(0..set.len(), true) {
        element(sink, member);
        sink.put(&score.to_le_bytes());
    }
}

/// How a hash is written. Dead fields do not count.
enum HashForm<'a> {
    Packed(&'a Listpack),
    Table,
    /// With the moment the first live field dies.
    ExpiringPacked(UnixMillis),
    ExpiringTable(UnixMillis),
}

impl<'a> HashForm<'a> {
    fn of(hash: &'a Hash, now: UnixMillis) -> Self {
        if let Some(listpack) = hash.as_listpack() {
            return Self::Packed(listpack);
        }
        let is_table = hash.encoding_name() == "hashtable";
        let mut first = None;
        if hash.next_expiry().is_some() {
            hash.for_each_with_expiry(now, &mut |_, _, expire_at| {
                first = match (first, expire_at) {
                    (Some(first), Some(at)) => Some(std::cmp::min::<UnixMillis>(first, at)),
                    (first, at) => first.or(at),
                };
            });
        }
        match first {
            Some(first) if is_table => Self::ExpiringTable(first),
            Some(first) => Self::ExpiringPacked(first),
            None => Self::Table,
        }
    }
}

fn write_hash(sink: &mut impl Sink, hash: &Hash, now: UnixMillis) {
    match HashForm::of(hash, now) {
        HashForm::Packed(listpack) => string(sink, listpack.as_bytes()),
        HashForm::Table => {
            count(sink, hash.len(now));
            hash.for_each(now, &mut |field, value| {
                element(sink, field);
                element(sink, value);
            });
        }
        HashForm::ExpiringPacked(first) => {
            sink.put(&first.0.to_le_bytes());
            let mut triples = Listpack::new();
            hash.for_each_with_expiry(now, &mut |field, value, expire_at| {
                triples.push_back(field);
                triples.push_back(value);
                triples.push_back(expire_at.map_or(0, |at| at.0));
            });
            string(sink, triples.as_bytes());
        }
        HashForm::ExpiringTable(first) => {
            sink.put(&first.0.to_le_bytes());
            count(sink, hash.len(now));
            hash.for_each_with_expiry(now, &mut |field, value, expire_at| {
                let after = |at: UnixMillis| at.0.saturating_sub(first.0).unsigned_abs() + 1;
                length(sink, expire_at.map_or(0, after));
                element(sink, field);
                element(sink, value);
            });
        }
    }
}
