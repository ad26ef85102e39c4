//! Declarations of the control-plane commands: those that work on sessions and on the server.
//!
//! One file per family. A subcommand is a constant of its own (`CLIENT_ID`) and stands in the
//! `subcommands` of its container (`CLIENT`).
//!
//! Invariants
//! - Names are lower case and unique, also against the commands of the crate `commands`.
//! - A container's own flags are those that Redis shows for it; what counts for a request are the
//!   flags of the subcommand.
//!
//! Not here: the handlers, and the replies of `COMMAND` that are made from declarations
//! (`super::command`).
//!
//! `tests/commands_agree.py` compares all of it with a running Redis.

pub(crate) mod acl;
pub(crate) mod cluster;
pub(crate) mod connection;
pub(crate) mod diagnostics;
pub(crate) mod persistence;
pub(crate) mod pubsub;
pub(crate) mod replication;
pub(crate) mod scripting;
pub(crate) mod server;
pub(crate) mod transaction;

#[cfg(test)]
use commands::spec::Declaration;
use commands::spec::Flags;

/// Needs no data, so it runs while data is loaded and on a replica that lost its primary.
const ANY_TIME: Flags = Flags::LOADING.and(Flags::STALE);

/// Works on the session of who sends it, which a script has not.
const SESSION: Flags = ANY_TIME.and(Flags::NO_SCRIPT);

/// A session that has not logged in may send it too.
const BEFORE_LOGIN: Flags = SESSION
    .and(Flags::FAST)
    .and(Flags::NO_AUTH)
    .and(Flags::ALLOW_BUSY);

/// For operators.
const OPERATOR: Flags = SESSION.and(Flags::ADMIN);

/// Every control-plane command, by family; the test of `control` compares it with the handlers.
#[cfg(test)]
pub(crate) const ALL: &[&Declaration] = &[
    &acl::ACL,
    &connection::PING,
    &connection::ECHO,
    &connection::QUIT,
    &connection::RESET,
    &connection::HELLO,
    &connection::AUTH,
    &connection::SELECT,
    &connection::CLIENT,
    &server::COMMAND,
    &server::CONFIG,
    &server::INFO,
    &server::TIME,
    &persistence::SAVE,
    &persistence::BGSAVE,
    &persistence::BGREWRITEAOF,
    &persistence::LASTSAVE,
    &persistence::BACKUP,
    &replication::REPLCONF,
    &replication::SYNC,
    &replication::PSYNC,
    &server::SHUTDOWN,
    &server::DEBUG,
    &server::MONITOR,
    &server::ROLE,
    &server::WAIT,
    &server::WAITAOF,
    &server::LOLWUT,
    &server::MODULE,
    &diagnostics::SLOWLOG,
    &diagnostics::LATENCY,
    &diagnostics::MEMORY,
    &transaction::MULTI,
    &transaction::EXEC,
    &transaction::DISCARD,
    &transaction::WATCH,
    &transaction::UNWATCH,
    &pubsub::SUBSCRIBE,
    &pubsub::UNSUBSCRIBE,
    &pubsub::PSUBSCRIBE,
    &pubsub::PUNSUBSCRIBE,
    &pubsub::SSUBSCRIBE,
    &pubsub::SUNSUBSCRIBE,
    &pubsub::PUBLISH,
    &pubsub::SPUBLISH,
    &pubsub::PUBSUB,
    &scripting::EVAL,
    &scripting::EVALSHA,
    &scripting::EVAL_RO,
    &scripting::EVALSHA_RO,
    &scripting::FCALL,
    &scripting::FCALL_RO,
    &scripting::SCRIPT,
    &scripting::FUNCTION,
    &cluster::CLUSTER,
    &cluster::READONLY,
    &cluster::READWRITE,
];
