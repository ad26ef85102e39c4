//! Tests of the whole server, from outside: over the wire and over the source tree.
//!
//! In reading order: [`support`] starts servers and talks to them; [`acl`] is about users; [`differential`] compares every
//! reply with Redis' own; [`atomicity`] looks for commands that other clients see half done;
//! [`balance`] looks where clients end up; [`eviction`] fills servers beyond their limit; [`functions`] calls functions of libraries; [`hostile`] sends what no client should; [`large`]
//! asks for and sends many megabytes, [`steps`] has commands done in steps; [`waiting`] has many clients wait for keys; [`persistence`] saves
//! and loads files of Redis, [`copies`] has clients fetch them; [`log`] kills servers that write a log, [`rewrite`] while they
//! make it shorter, [`kill`] again and again, [`kill_amid`] saves and backups; [`full_disk`] takes their room away, and
//! [`misconf`] compares what clients are told then;
//! [`import`] starts from the append-only file of Redis, [`offline`] makes files without a server; [`subscribers`] counts what
//! many listeners get; [`tables`] is about TABLE.*;
//! [`layering`] and [`tidy`] read the source tree.
//!
//! The server under test is the binary of this package, or the program named in `TRESTLE_BIN`.
//! The reference is the `redis-server` on the path, or the one named in `REDIS_BIN`. Random tests
//! print their seed and take `SEED` from the environment.
//!
//! Not here: tests of one crate, which stand beside its code; client libraries in other languages
//! (`tests/clients`), applications (`tests/applications`) and command-line tools (`tests/cli.sh`),
//! which `tests/run` starts.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test stops at the first surprise, prints what it did, and has its own threads and clocks"
)]

mod acl;
mod atomicity;
mod balance;
mod copies;
mod differential;
mod dump;
mod eviction;
mod full_disk;
mod functions;
mod hostile;
mod import;
mod kill;
mod kill_amid;
mod large;
mod layering;
mod log;
mod misconf;
mod offline;
mod persistence;
mod rewrite;
mod save_parts;
mod steps;
mod subscribers;
mod support;
mod tables;
mod tidy;
mod waiting;
