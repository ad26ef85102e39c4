//! The commands that work on the data of shards: what they declare and what they do.
//!
//! Every command is a [`spec::ShardCommand`]: a declaration, the way it spreads over shards, and a
//! handler. A handler gets one shard, its words and a reply; it is synchronous and bounded, checks
//! its words in the order in which Redis 7.0 does, and either writes exactly one reply or returns
//! an error and has then changed nothing. Whoever calls it has checked the number of words
//! ([`spec::Declaration::resolve`]) and has made sure that all keys lie on the given shard.
//!
//! In reading order: [`spec`] is the contract, [`keys`] finds the keys of a request, [`run`]
//! calls handlers and lends them values ([`loans`]), [`long_reply`] is for replies in steps and [`long_change`] for
//! changes in steps, [`waiting`] is how one waits for its keys, [`cursor`] packs SCAN cursors, [`parts`] holds the steps that
//! one-shard handlers share with plans over
//! several shards; then one file for each family.
//!
//! Not here: commands about sessions and the server (`CLIENT`, `CONFIG`, `DEBUG`), looking up a
//! command by name, and everything that involves two shards.

pub mod bitfield;
pub mod bitmap;
pub mod cursor;
pub mod error;
pub mod geo;
pub mod geo_radius;
pub mod geo_search;
pub mod hash;
pub mod hash_expire;
pub mod hash_scan;
pub mod hash_volatile;
pub mod hyperloglog;
pub mod key;
pub mod key_dump;
pub mod key_expire;
pub mod key_move;
pub mod key_object;
pub mod key_scan;
pub mod keys;
pub mod keyspace;
pub mod lcs;
pub mod list;
pub mod list_index;
pub mod list_move;
pub mod list_search;
pub mod list_wait;
pub mod loans;
pub mod long_change;
pub mod long_reply;
pub mod parts;
pub mod pieces;
pub mod replay;
pub mod run;
pub mod scope;
pub mod set;
pub mod set_algebra;
pub mod set_random;
pub mod slots;
pub mod sort;
pub mod sorted_set;
pub mod sorted_set_algebra;
pub mod sorted_set_pop;
pub mod sorted_set_range;
pub mod sorted_set_wait;
pub mod spec;
pub mod stream;
pub mod stream_group;
pub mod stream_info;
pub mod stream_pending;
pub mod stream_read;
pub mod stream_wait;
pub mod string;
pub mod string_many;
pub mod string_number;
pub mod string_range;
pub mod table;
pub mod taken;
pub mod wait_form;
pub mod waiting;

mod counted;
mod drawing;
mod expiry_condition;
mod geo_query;
mod long_pop;
mod name_steps;
mod popping;
mod set_join;
mod set_steps;
mod sorted_set_scores;
mod sorted_set_steps;
mod sorted_set_words;
mod steps;
mod stream_reply;
mod stream_words;
mod words;

#[cfg(test)]
mod counting;
#[cfg(test)]
mod declarations;
#[cfg(test)]
mod transcripts;

use crate::spec::ShardCommand;

/// The commands of all families, one slice for each.
pub static FAMILIES: &[&[ShardCommand]] = &[
    string::COMMANDS,
    string_range::COMMANDS,
    string_number::COMMANDS,
    string_many::COMMANDS,
    lcs::COMMANDS,
    bitmap::COMMANDS,
    bitfield::COMMANDS,
    hyperloglog::COMMANDS,
    list::COMMANDS,
    list_index::COMMANDS,
    list_search::COMMANDS,
    list_move::COMMANDS,
    list_wait::COMMANDS,
    set::COMMANDS,
    set_algebra::COMMANDS,
    set_random::COMMANDS,
    hash::COMMANDS,
    hash_scan::COMMANDS,
    hash_expire::COMMANDS,
    hash_volatile::COMMANDS,
    sorted_set::COMMANDS,
    sorted_set_range::COMMANDS,
    sorted_set_pop::COMMANDS,
    sorted_set_algebra::COMMANDS,
    sorted_set_wait::COMMANDS,
    geo::COMMANDS,
    geo_search::COMMANDS,
    geo_radius::COMMANDS,
    stream::COMMANDS,
    stream_wait::COMMANDS,
    stream_group::COMMANDS,
    stream_pending::COMMANDS,
    stream_info::COMMANDS,
    key::COMMANDS,
    key_move::COMMANDS,
    key_dump::COMMANDS,
    key_expire::COMMANDS,
    key_scan::COMMANDS,
    key_object::COMMANDS,
    sort::COMMANDS,
    keyspace::COMMANDS,
    table::COMMANDS,
];

/// Lists every command once, family by family.
pub fn all() -> impl Iterator<Item = &'static ShardCommand> {
    FAMILIES.iter().copied().flatten()
}
