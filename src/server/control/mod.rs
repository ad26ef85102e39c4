//! Control-plane commands: those that work on sessions and on the server, not on the data of shards.
//!
//! A handler sees its client's session and the engine of the client's core. What it can say at once
//! it writes to [`ControlContext::out`]; what needs other cores it hands back as a
//! [`crate::gather::Gather`], what needs shards as a transaction, and the client waits.
//!
//! In reading order: [`declarations`] what they declare; then one file per family.

mod acl;
mod acl_recheck;
pub(crate) mod client;
mod client_kill;
pub(crate) mod client_list;
mod client_pause;
mod client_unblock;
pub(crate) mod cluster;
pub(crate) mod command;
pub(crate) mod config;
pub(crate) mod connection;
pub(crate) mod debug;
pub(crate) mod declarations;
pub(crate) mod exec_on_one;
mod function;
pub(crate) mod info;
pub(crate) mod latency;
mod lolwut;
pub(crate) mod memory;
mod module;
pub(crate) mod monitor;
mod persistence;
pub(crate) mod pubsub;
mod replication;
mod script;
pub(crate) mod server;
pub(crate) mod slowlog;
pub(crate) mod sort_patterns;
mod tracking;
pub(crate) mod transaction;

use std::time::Duration;

use base::ids::ShardId;
use commands::spec::{CommandError, Declaration};
use coordinator::message::queue::SentExec;
use coordinator::step::{Program, Step};
use net::connection::Connection;
use protocol::args::Args;
use protocol::reply::Reply;
use runtime::socket_ring::SocketId;
use shard::locks::Claim;

use crate::engine::Engine;
use crate::gather::Gather;
use crate::pubsub::wishes::Act;
use crate::scripts::forward::Sent;
use crate::session::Session;
use crate::timers::LogWait;

/// A command of the control plane.
pub struct ControlCommand {
    /// What clients are told.
    pub declaration: &'static Declaration,
    /// The handler; for a container that of all its subcommands.
    pub run: ControlRun,
}

/// The handler of a control command. If it fails, it has changed nothing.
pub type ControlRun = fn(&mut ControlContext<'_>, Args<'_>) -> Result<Answer, CommandError>;

/// What a handler works on.
pub struct ControlContext<'a> {
    /// The core that the client lives on.
    pub engine: &'a mut Engine,
    /// The client's connection.
    pub id: SocketId,
    /// The same.
    pub connection: &'a mut Connection<Session>,
    /// Where a reply goes that can be given at once.
    pub out: &'a mut Vec<u8>,
    /// The command stands in a MULTI, so it may not wait and must give one reply.
    pub is_in_exec: bool,
}

/// How a handler answers.
pub enum Answer {
    /// With what is in [`ControlContext::out`].
    Now,
    /// Not at all.
    Silence,
    /// With what comes of an act on channels.
    PubSub(Act),
    /// With what is in [`ControlContext::out`]; then the connection is closed.
    Close,
    /// With these bytes when so much time is over, or never.
    Later(Option<Duration>, &'static [u8]),
    /// With whether the log is on the disk, when it is, or when so much time is over.
    LogWait(Option<Duration>, LogWait),
    /// With what comes out of a question to other cores.
    Gather(Gather),
    /// With what comes out of a transaction.
    Transaction(Vec<(ShardId, Claim)>, Box<dyn Program>),
    /// With what comes out of a program that has begun on this core's shard, under this claim, and now
    /// wants this step.
    Begun(Option<Claim>, Box<dyn Program>, Step),
    /// With the reply of a script that another core runs.
    Elsewhere(ShardId, Box<Sent>),
    /// With what comes out of the transaction of an EXEC.
    Exec(Vec<(ShardId, Claim)>, Box<dyn Program>),
    /// With what comes of an EXEC that runs on one shard, later or elsewhere.
    ExecOn(ShardId, Box<SentExec>),
}

impl ControlContext<'_> {
    /// Returns the encoder of the reply.
    pub fn reply(&mut self) -> Reply<'_> {
        Reply {
            out: self.out,
            resp: self.connection.session.resp,
        }
    }

    /// Replies `OK`.
    pub fn ok(&mut self) -> Answer {
        self.reply().ok();
        Answer::Now
    }

    /// Returns the client's session.
    pub fn session(&mut self) -> &mut Session {
        &mut self.connection.session
    }
}

/// Returns all control commands.
pub fn all() -> impl Iterator<Item = &'static ControlCommand> {
    [
        acl::COMMANDS,
        connection::COMMANDS,
        client::COMMANDS,
        server::COMMANDS,
        persistence::COMMANDS,
        replication::COMMANDS,
        config::COMMANDS,
        debug::COMMANDS,
        lolwut::COMMANDS,
        monitor::COMMANDS,
        pubsub::COMMANDS,
        transaction::COMMANDS,
        script::COMMANDS,
        function::COMMANDS,
        info::COMMANDS,
        slowlog::COMMANDS,
        latency::COMMANDS,
        memory::COMMANDS,
        module::COMMANDS,
        cluster::COMMANDS,
    ]
    .into_iter()
    .flatten()
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_declared_command_has_a_handler() {
        let mut handled: Vec<_> = super::all().map(|it| it.declaration.name).collect();
        let mut declared: Vec<_> = super::declarations::ALL.iter().map(|it| it.name).collect();
        handled.sort_unstable();
        declared.sort_unstable();
        assert_eq!(handled, declared);
    }
}
