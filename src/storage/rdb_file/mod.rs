//! Files of Redis, `dump.rdb`.
//!
//! ```text
//!   "REDIS" | version, 4 digits | part ... | 255 | CRC-64 of all before, u64, from version 5 on
//!
//!   part   250 string string          a field about the file: name, value
//!          245 string                 the code of a library of functions
//!          247 length module data     what a module has beside keys; of one of them, tables: `tables.rs`
//!          244 length length length   a slot of a cluster: its number, its keys, those that expire
//!          254 length                 the database that the keys from here on are in
//!          251 length length          how many keys it has, and how many of them expire
//!          { 252 i64 or 253 i32 }     the next key expires: in milliseconds or seconds since 1970
//!          { 248 length or 249 u8 }   seconds since it was used, or how often it was
//!          kind key object            a key and its value: see `types::rdb`
//! ```
//!
//! Numbers are little endian where nothing else is said; lengths and strings are those of `types::rdb`.
//! Read are the versions 1 to 12, those of Redis 2.4 to 7.4 and of Valkey 8. Written is version 10, that
//! of Redis 7.0, or 12 where fields of hashes expire.
//!
//! Data of modules cannot be kept, but for tables, which Redis takes for those of a module that it does not have. A key of a module is refused, and so is what a module has beside its
//! keys, unless it is nothing but zeros and empty strings: that is what modules write that have no data.
//!
//! Invariants
//! - A reader holds the bytes of one part and of what it was fed with last, and nothing else.
//! - No part is handed on before all its bytes are there.
//! - Every error says at which byte of the file.
//!
//! In reading order: `error.rs`, `reader.rs`, `module.rs` (data of modules), `tables.rs`, `writer.rs`.
//!
//! Source: files written by redis-server 7.0.15, the public description of the format for older
//! versions, and the release notes of Redis 7.2 and 7.4 and of Valkey 8.
//!
//! Not here: values (`types::rdb`), and where the bytes come from.

mod error;
mod module;
mod reader;
mod tables;
mod writer;

pub use error::{Fault, RdbError};
pub use reader::{Entry, Part, Reader, Use};
pub use writer::{About, Marks, Writer};

/// The latest version that is read.
pub const VERSION_MAX: u16 = types::rdb::VERSION_MAX;

/// The field of a file that ends with a checksum: zeros there do not say that there is none.
pub const CHECKSUM_FIELD: &[u8] = b"trestle-checksum";

/// Bytes of the first word and the version.
pub const HEADER_BYTES: usize = 9;

/// What parts begin with, other than keys.
mod opcode {
    pub(super) const SLOT: u8 = 244;
    pub(super) const LIBRARY: u8 = 245;
    pub(super) const LIBRARY_EARLY: u8 = 246;
    pub(super) const MODULE: u8 = 247;
    pub(super) const IDLE: u8 = 248;
    pub(super) const FREQUENCY: u8 = 249;
    pub(super) const ABOUT: u8 = 250;
    pub(super) const SIZES: u8 = 251;
    pub(super) const EXPIRE_MS: u8 = 252;
    pub(super) const EXPIRE_SECONDS: u8 = 253;
    pub(super) const DATABASE: u8 = 254;
    pub(super) const END: u8 = 255;
}

#[cfg(test)]
mod tests;
