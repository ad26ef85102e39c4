//! Random statements on tables, compared with SQLite on the same data.
//!
//! ```text
//! seed -> schema, statements -+-> words -> server (1, 2, 4 shards) -> reply --+-> equal?
//!                             +-> SQL   -> SQLite in memory        -> rows  --+
//! ```
//!
//! For each column of a table the mirror has two: one with the value, which is compared and computed with,
//! and one with the text that was inserted, which SELECT gives back. Ids are taken from the server and
//! checked: each is larger than all before.
//!
//! Not here: forms that SQL does not have (row TTL, the module's own forms), which have transcripts.

mod compare;
mod mirror;
mod random;
mod schema;
mod statement;

use base::random::Random;

use crate::support::server::Server;
use crate::support::{number, seed};

/// Statements of a run on each number of shards, unless `STATEMENTS` says otherwise.
const STATEMENT_COUNT: u64 = 4_000;

/// Statements on one table before another one comes.
const STATEMENTS_PER_TABLE: u64 = 150;

#[test]
fn random_statements_give_what_sqlite_gives_on_one_shard() {
    compare_with_sqlite(1);
}

#[test]
fn random_statements_give_what_sqlite_gives_on_two_shards() {
    compare_with_sqlite(2);
}

#[test]
fn random_statements_give_what_sqlite_gives_on_four_shards() {
    compare_with_sqlite(4);
}

/// Half of the tables outgrow one shard soon, as far as there are more.
fn compare_with_sqlite(shards: u32) {
    let seed = seed("random statements", 11);
    let count = number("STATEMENTS", STATEMENT_COUNT);
    let server = Server::trestle(shards, &["--table-spread-rows", "30"]);
    let mut client = server.client();
    let mut counts = compare::Counts::default();
    for table in 0..count.div_ceil(STATEMENTS_PER_TABLE) {
        let origin = seed.wrapping_mul(1_000_003).wrapping_add(table);
        let mut random = Random::new(origin);
        let mut run = compare::Run::new(&mut random, &mut client, table);
        for number in 0..STATEMENTS_PER_TABLE {
            if let Err(difference) = run.statement(&mut random, &mut counts) {
                panic!(
                    "{shards} shards, SEED={seed}, table {table}, statement {number}:\n{difference}\n\
                     statements so far:\n{}",
                    run.history()
                );
            }
        }
        run.check_all_rows()
            .unwrap_or_else(|difference| panic!("SEED={seed}, table {table}: {difference}"));
    }
    eprintln!("{shards} shards: {counts}");
    counts.assert_each_kind_was_there();
}
