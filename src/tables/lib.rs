//! Tables: typed columns, indexes and an SQL-like language; one shard's part of them.
//!
//! ```text
//! words -> statement -> plan -> bounded steps on each shard -> merged answer
//! ```
//!
//! The crate is pure: no clock, no reply format, no knowledge of other shards. What a statement does
//! depends on its words, the catalog and the rows.
//!
//! Not here: how statements spread over shards (`coordinator`), what replies look like on the wire
//! (`commands`).

pub mod catalog;
pub mod datum;
pub mod error;
pub mod help;
pub mod name;
pub mod parser;
pub mod schema;
pub mod statement;
