//! The append-only log: files of records, one file per shard and generation, and the manifest that says
//! which of them count.
//!
//! ```text
//!   directory:  manifest | base.G.rdb | shard-S.G.log ...
//!
//!   state = base + the logs of all generations in the manifest, in their order
//! ```
//!
//! A generation begins when the server starts, and when the log is rewritten. All shards have a file in each.
//!
//! Invariants
//! - A record is whole or it is not there: a checksum covers its length and its bytes.
//! - The records of a file have numbers without gaps, and those of a shard over its files too.
//! - What is not whole at the end of a file is its torn tail; what is not whole before a record that is, is
//!   damage. The two are told apart by looking for such a record.
//!
//! In reading order: [`record`], [`manifest`], [`parts`]; `spans` has checksums of what may be records.
//!
//! Not here: what the records say (`types::effect`), when they are written (the server).

pub mod manifest;
pub mod parts;
pub mod record;
mod spans;
