//! Tests of the whole crate: words in, answers out, over one or several shards.

mod files;
mod harness;
mod model;
mod random;
mod statements;
