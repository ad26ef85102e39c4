//! Commands over cores.
//!
//! Words: the **coordinator** of a request is the core on which its connection lives. A **hop** is one
//! round of messages to shards and back. A **transaction** is a command or a MULTI that touches
//! several shards, or one that has to wait for such a one.
//!
//! The promise is Redis's own: every command and every MULTI/EXEC is atomic and isolated, however
//! many cores its keys lie on (strict serializability on one node).
//!
//! How it is kept
//! - A request whose keys lie on one shard runs there in one piece. If no transaction has claimed
//!   its keys it runs at once; otherwise it gets a transaction id and waits in that shard's
//!   lock table.
//! - A request over several shards takes an id from one counter and schedules its claims on all of
//!   them in parallel. A shard refuses a claim whose place in the order of ids is already past (a
//!   conflicting larger id runs, or any larger id has come and gone); then
//!   the coordinator withdraws everywhere and comes back with a new id. When all shards have
//!   accepted, it runs in one or more hops; each shard runs a hop when every smaller
//!   conflicting id has left, and releases the claim with the last hop.
//! - Waits go from larger ids to smaller ones only, so there is no deadlock. Nothing waits for a
//!   socket while somebody waits for its claim: replies are built in memory, long ones in steps.
//!
//! Messages from one core to another arrive in the order they were sent, so a connection's requests
//! to one key keep their order; `server` starts nothing behind a request over several shards until
//! it is done.
//!
//! In reading order: [`route`] says which shards a request needs, [`message`] what crosses cores,
//! [`host`] is a core's receiving side, [`program`] the steps of requests over several shards,
//! [`exec`] those of MULTI/EXEC, [`single`] that of a request with a large word, [`signed`] says who they
//! are for, [`transaction`] is their coordinator; [`long_reply`] and `walks` are about replies in steps; `host::waiters` and
//! `transaction::waits` are the two sides of requests that wait for their keys.

pub mod exec;
pub mod host;
mod lend;
pub mod long_reply;
pub mod message;
pub mod program;
pub mod route;
pub mod signed;
pub mod single;
mod sort;
pub mod step;
pub mod tables;
pub mod transaction;
mod walks;

#[cfg(test)]
mod log_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod waiting_tests;
