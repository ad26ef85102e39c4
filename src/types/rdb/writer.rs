//! Lengths, strings and objects, put one behind the other: what files of many keys are made of.
//!
//! Not here: the order in which they stand in a file (crate `storage`).

use base::clock::UnixMillis;

use super::sink::{self, Bytes, Sink as _};
use super::{Object, write};

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
