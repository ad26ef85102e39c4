//! Values as bytes, in the form of RDB: what DUMP gives out and RESTORE takes in.
//!
//! A value is written as redis-server 7.0.15 writes it, RDB version 10, and byte for byte the same
//! wherever the order of elements is defined. Read is all that a Redis of that version reads (the
//! forms of older versions included, modules not), and the forms that 7.2 and 7.4 have added.
//!
//! ```text
//!   type, u8 | length | length | bytes ...       see `write.rs` for each type
//!
//!   length   00nnnnnn                            below 64
//!            01nnnnnn nnnnnnnn                   below 16384
//!            10000000 u32                        big endian
//!            10000001 u64                        big endian
//!   string   length, bytes
//!            11000000 i8, 11000001 i16, 11000010 i32    little endian; reads as its decimal
//!            11000011 length length bytes        LZF: packed and unpacked length
//! ```
//!
//! Of hashes with fields that expire, which version 10 cannot express, the forms are those of Redis
//! 7.4 and the version is 12.
//!
//! Invariants
//! - Any bytes may be read: they give a value that keeps the invariants of its type, or an error.
//! - Reading allocates no more than a constant times the bytes that it is given.
//! - What is written is read back as an equal value.
//!
//! In reading order: `payload.rs` (footer), `lzf.rs`, `sink.rs`, `write.rs` and `steps.rs`, `source.rs`
//! and `read.rs`, `streams.rs`, `legacy.rs` (older forms), and [`libraries`], the payload of FUNCTION DUMP.
//!
//! Source: payloads of DUMP of redis-server 7.0.15, the public description of RDB for older forms,
//! and the release notes of Redis 7.4.
//!
//! For files of many keys there are [`extent`], which finds where an object ends, [`read_object`] and
//! [`Writer`].
//!
//! Not here: what else stands in files of many keys (crate `storage`).

pub mod extent;
mod legacy;
pub mod libraries;
mod lzf;
mod payload;
mod read;
mod sink;
mod source;
mod steps;
mod streams;
mod write;
mod writer;

use std::borrow::Cow;

use base::clock::UnixMillis;

use crate::{Limits, Value};
use sink::Sink as _;
use source::Source;

pub use payload::{Checksum, crc64};
pub use steps::Steps;
pub use writer::Writer;

/// The version of RDB that is written for what it can express: that of Redis 7.0.
pub const VERSION: u16 = 10;

/// The version for hashes with fields that expire: that of Redis 7.4. No later one is read.
pub const VERSION_MAX: u16 = 12;

/// First bytes of objects.
mod kind {
    pub(super) const STRING: u8 = 0;
    pub(super) const LIST: u8 = 1;
    pub(super) const SET: u8 = 2;
    pub(super) const SORTED_SET_TEXT: u8 = 3;
    pub(super) const HASH: u8 = 4;
    pub(super) const SORTED_SET: u8 = 5;
    /// Of versions of the API of modules that were never released.
    pub(super) const MODULE_EARLY: u8 = 6;
    pub(super) const MODULE: u8 = 7;
    pub(super) const HASH_ZIPMAP: u8 = 9;
    pub(super) const LIST_ZIPLIST: u8 = 10;
    pub(super) const SET_INTSET: u8 = 11;
    pub(super) const SORTED_SET_ZIPLIST: u8 = 12;
    pub(super) const HASH_ZIPLIST: u8 = 13;
    pub(super) const LIST_ZIPLISTS: u8 = 14;
    pub(super) const STREAM: u8 = 15;
    pub(super) const HASH_LISTPACK: u8 = 16;
    pub(super) const SORTED_SET_LISTPACK: u8 = 17;
    pub(super) const LIST_NODES: u8 = 18;
    pub(super) const STREAM_WITH_FIGURES: u8 = 19;
    pub(super) const SET_LISTPACK: u8 = 20;
    pub(super) const STREAM_WITH_ACTIVITY: u8 = 21;
    pub(super) const HASH_EXPIRING: u8 = 24;
    pub(super) const HASH_EXPIRING_LISTPACK: u8 = 25;
}

/// What an object is to a client, by its first byte; nothing for those that are none, or unknown.
#[must_use]
pub fn type_name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        kind::STRING => "string",
        kind::LIST | kind::LIST_ZIPLIST | kind::LIST_ZIPLISTS | kind::LIST_NODES => "list",
        kind::SET | kind::SET_INTSET | kind::SET_LISTPACK => "set",
        kind::SORTED_SET_TEXT
        | kind::SORTED_SET
        | kind::SORTED_SET_ZIPLIST
        | kind::SORTED_SET_LISTPACK => "zset",
        kind::HASH
        | kind::HASH_ZIPMAP
        | kind::HASH_ZIPLIST
        | kind::HASH_LISTPACK
        | kind::HASH_EXPIRING
        | kind::HASH_EXPIRING_LISTPACK => "hash",
        kind::STREAM | kind::STREAM_WITH_FIGURES | kind::STREAM_WITH_ACTIVITY => "stream",
        kind::MODULE_EARLY | kind::MODULE => "module",
        _ => return None,
    })
}

/// Returns whether an object is a string.
#[must_use]
pub const fn is_string(kind: u8) -> bool {
    kind == kind::STRING
}

/// Returns whether an object is that of a module.
#[must_use]
pub fn is_of_module(kind: u8) -> bool {
    matches!(kind, kind::MODULE_EARLY | kind::MODULE)
}

/// How a node of a list is written.
mod node_form {
    pub(super) const PLAIN: u64 = 1;
    pub(super) const PACKED: u64 = 2;
}

/// A value to be written; strings may lie anywhere.
#[derive(Clone, Copy, Debug)]
pub enum Object<'a> {
    /// The bytes of a string.
    String(&'a [u8]),
    /// A value of any type.
    Value(&'a Value),
}

/// What reading needs to know of its surroundings.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'l> {
    /// Thresholds of encodings.
    pub limits: &'l Limits,
    /// 128 bits that clients cannot guess, for tables.
    pub hash_seed: (u64, u64),
    /// The time: fields of hashes that are dead by then are left out.
    pub now: UnixMillis,
}

/// Why a payload was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The version is unknown, or the checksum is not that of the bytes.
    Footer,
    /// The bytes are whole and no value.
    Object,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Footer => "unknown version or wrong checksum",
            Self::Object => "the bytes are no value",
        })
    }
}

impl std::error::Error for Refused {}

/// Returns the payload of DUMP: type, object and footer. Fields of hashes that are dead at `now` are
/// left out. O(n) in the bytes.
#[must_use]
pub fn dump(object: Object<'_>, now: UnixMillis) -> Vec<u8> {
    let kind = write::type_of(object, now);
    let mut sink = sink::Bytes::default();
    sink.put(&[kind]);
    write::object(&mut sink, object, now);
    let version = match kind {
        kind::HASH_EXPIRING | kind::HASH_EXPIRING_LISTPACK => VERSION_MAX,
        _ => VERSION,
    };
    let mut payload = sink.bytes;
    payload::seal(&mut payload, version);
    payload
}

/// Returns how many bytes the object takes in a payload, type and footer not counted: what Redis
/// calls `serializedlength`. O(n) in the bytes, without building them.
#[must_use]
pub fn object_bytes(object: Object<'_>, now: UnixMillis) -> usize {
    let mut count = sink::Count::default();
    write::object(&mut count, object, now);
    count.bytes
}

/// Reads a payload of DUMP. O(n) in the bytes; O(n log n) for sorted sets. Bytes between the object
/// and the footer are passed over, as in Redis.
///
/// The value may be void if it is a hash all of whose fields have expired.
///
/// # Errors
///
/// [`Refused`].
pub fn restore(payload: &[u8], surroundings: &Surroundings<'_>) -> Result<Value, Refused> {
    let (object, version) = payload::open(payload).ok_or(Refused::Footer)?;
    let (&kind, object) = object.split_first().ok_or(Refused::Object)?;
    let mut source = Source::new(object);
    let value = read::object(kind, &mut source, version, surroundings);
    let has_no_place = |value: &Value| value.is_void() && !may_expire(kind);
    value
        .filter(|value| !has_no_place(value))
        .ok_or(Refused::Object)
}

/// Returns whether an object of a kind may be void because its fields have expired.
fn may_expire(kind: u8) -> bool {
    matches!(kind, kind::HASH_EXPIRING | kind::HASH_EXPIRING_LISTPACK)
}

/// Reads an object of a file: its kind, and the bytes that [`extent::Extent`] has found.
///
/// A value may be void: nothing is left of a hash whose fields have expired, and old versions of Redis
/// have written keys without elements. O(n) in the bytes; O(n log n) for sorted sets.
///
/// # Errors
///
/// [`Refused::Object`].
pub fn read_object(
    kind: u8,
    object: &[u8],
    version: u16,
    surroundings: &Surroundings<'_>,
) -> Result<Value, Refused> {
    let mut source = Source::new(object);
    let value = read::object(kind, &mut source, version, surroundings);
    value.filter(|_| source.is_empty()).ok_or(Refused::Object)
}

/// Reads a string of a file; nothing if the bytes are not exactly one. O(n).
#[must_use]
pub fn read_string(bytes: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut source = Source::new(bytes);
    let string = source.string()?;
    source.is_empty().then_some(string)
}

/// Returns whether a payload has a version that is known and its right checksum. O(n).
#[must_use]
pub fn is_sealed(payload: &[u8]) -> bool {
    payload::open(payload).is_some()
}

#[cfg(test)]
mod tests;
