//! Lengths, strings and objects, put one behind the other: what files of many keys are made of.
//!
//! Not here: the order in which they stand in a file (crate `storage`).

use base::clock::UnixMillis;

use super::sink::{self, Bytes, Sink as _};
use super::steps::Steps;
use super::{Object, kind, write};
use crate::Value;

/// Collects bytes. It keeps what it needs to compress strings, 256 KiB, from the first that it
/// compresses on.
#[derive(Debug, Default)]
pub struct Writer {
    sink: Bytes,
}

impl Writer {
    /// Creates a writer without bytes. It compresses strings if `compresses`.
    #[must_use]
    pub fn new(compresses: bool) -> Self {
        let mut writer = Self::default();
        writer.sink.is_plain = !compresses;
        writer
    }

    /// Returns the bytes so far.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.sink.bytes
    }

    /// Takes the bytes so far out.
    #[must_use]
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.sink.bytes)
    }

    /// Appends bytes as they are.
    pub fn put(&mut self, bytes: &[u8]) {
        self.sink.put(bytes);
    }

    /// Appends a length.
    pub fn length(&mut self, value: u64) {
        sink::length(&mut self.sink, value);
    }

    /// Appends a string.
    pub fn string(&mut self, bytes: &[u8]) {
        sink::string(&mut self.sink, bytes);
    }

    /// Appends a key and its value: kind, key, object. Fields of hashes that are dead at `now` are left
    /// out. O(n) in the bytes.
    pub fn entry(&mut self, key: &[u8], object: Object<'_>, now: UnixMillis) {
        self.put(&[write::type_of(object, now)]);
        self.string(key);
        write::object(&mut self.sink, object, now);
    }

    /// Appends the kind of a value and a key, behind which the value belongs: [`Writer::step`].
    pub fn begin(&mut self, key: &[u8], value: &Value, now: UnixMillis) {
        self.put(&[write::type_of(Object::Value(value), now)]);
        self.string(key);
    }

    /// The same for a string that [`Writer::string_in_pieces`] hands on.
    pub fn begin_string(&mut self, key: &[u8]) {
        self.put(&[kind::STRING]);
        self.string(key);
    }

    /// Goes on with a value by about `bytes` bytes. Returns whether there is more. O(`bytes`), or one element. Between two
    /// steps the value stays as it is.
    ///
    /// # Panics
    ///
    /// If it is a value of another type than before.
    pub fn step(&mut self, steps: &mut Steps, value: &Value, bytes: usize) -> bool {
        let enough = self.sink.bytes.len().saturating_add(bytes);
        steps.step(&mut self.sink, value, enough)
    }

    /// Hands on what [`Writer::string`] would append for a long string, in pieces of about `piece_bytes` bytes. O(n),
    /// without a copy of it.
    pub fn string_in_pieces(
        &mut self,
        bytes: &[u8],
        piece_bytes: usize,
        each: &mut dyn FnMut(&[u8]),
    ) {
        let compressor = (!self.sink.is_plain).then_some(&mut self.sink.compressor);
        sink::string_in_pieces((bytes, piece_bytes), compressor, each);
    }

    /// Appends a value alone: kind and object, as [`Writer::entry`] does. O(n) in the bytes.
    pub fn object(&mut self, object: Object<'_>, now: UnixMillis) {
        self.put(&[write::type_of(object, now)]);
        write::object(&mut self.sink, object, now);
    }

    /// Forgets the bytes so far and keeps the memory for others.
    pub fn clear(&mut self) {
        self.sink.bytes.clear();
    }
}
