//! What the steps of a request are made of.
//!
//! Not here: the programs ([`crate::program`]), and who carries out their steps
//! ([`crate::transaction`]).

use std::fmt;

use base::ids::{DbIndex, ShardId};
use commands::spec::CommandError;
use protocol::args::{Args, PackedArgs};
use protocol::reply::{Reply, Resp};

use crate::message::queue::Queue;
use crate::message::{Operation, Outcome, OwnedRequest, Watched};
use crate::route::SlotMap;

/// What a program wants next.
#[derive(Debug)]
pub enum Step {
    /// A hop. Each shard stands in it once.
    Hop {
        /// What each shard does, in order.
        operations: Vec<(ShardId, Vec<Operation>)>,
        /// No hop follows: claims are released with it.
        last: bool,
    },
    /// The first hop of a program that may begin anew: it goes with the claims, to all shards at once. Either it
    /// changes nothing, or there is one shard beside this core's.
    Attempt {
        /// What the shards of other cores do, in order. This core's shard comes behind them: see
        /// [`Program::own_part`].
        operations: Vec<(ShardId, Vec<Operation>)>,
        /// Unless something is left to do, no hop follows: claims are released with it.
        last: bool,
    },
    /// The reply to the queued command of this index, which works on no shard (`PING` in a MULTI).
    /// Its words are [`Program::control_args`].
    Ask(usize),
    /// Nothing for anybody else: the next step follows at once. The first step of a program that may
    /// not begin before its claims are granted.
    Again,
    /// The program has used its time and goes on in the next turn.
    Pause,
    /// As [`Step::Pause`], and whoever waits for what is claimed comes first. Inside of MULTI and of scripts
    /// claims are kept.
    Yield,
    /// The end.
    Done {
        /// The reply.
        reply: Vec<u8>,
    },
    /// The end of [`crate::program::WatchKeys`]; the client is told `OK`.
    Watching {
        /// The keys and the versions they have.
        watched: Vec<Watched>,
    },
    /// The end, without a reply: the request waits for its keys, or waits on.
    Waiting,
}

/// What a shard gave in a hop.
#[derive(Debug)]
pub struct HopOutcome {
    /// The shard.
    pub shard: ShardId,
    /// One outcome per operation, in order.
    pub outcomes: Vec<Outcome>,
    /// How long they took together.
    pub nanos: u64,
}

/// The steps of one request.
pub trait Program: fmt::Debug {
    /// Returns the next step. `outcomes` is what the last hop gave, in the order of its shards; empty
    /// at first.
    fn step(&mut self, outcomes: Vec<HopOutcome>) -> Step;

    /// Returns what this core's shard does in [`Step::Attempt`], now that the others have given `outcomes`. With
    /// nothing, the next step is asked for at once; the claim here stands then.
    fn own_part(&mut self, _outcomes: &[HopOutcome]) -> Option<Vec<Operation>> {
        None
    }

    /// Takes back [`Step::Attempt`], which somebody has refused: the next step is a first one. `for_good`: no
    /// further attempt.
    fn withdraw(&mut self, _for_good: bool) {}

    /// Takes the reply to [`Step::Ask`].
    fn answer(&mut self, _reply: Vec<u8>) {}

    /// Returns the commands of a MULTI with their replies and times; nothing for other programs. Asked
    /// once, at the end.
    fn executed(&mut self) -> Option<Queue> {
        None
    }

    /// Returns the database and the protocol of the command of [`Step::Ask`], if they are not those of
    /// the client: a script has its own.
    fn asks_as(&self) -> Option<(DbIndex, Resp)> {
        None
    }

    /// Returns the words of the command of [`Step::Ask`].
    fn control_args(&self, _index: usize) -> Option<Args<'_>> {
        None
    }
}

/// What every program of a single command knows.
#[derive(Debug)]
pub(crate) struct Base {
    pub(crate) map: SlotMap,
    pub(crate) request: OwnedRequest,
    pub(crate) stage: u8,
    pub(crate) databases: u16,
}

impl Base {
    pub(crate) fn args(&self) -> Args<'_> {
        self.request.args.args()
    }

    pub(crate) fn resp(&self) -> Resp {
        self.request.resp
    }

    pub(crate) fn done(&self, write: impl FnOnce(&mut Reply<'_>)) -> Step {
        let mut out = Vec::new();
        write(&mut Reply {
            out: &mut out,
            resp: self.resp(),
        });
        Step::Done { reply: out }
    }

    pub(crate) fn fail(&self, error: CommandError) -> Step {
        let name = self.request.command.declaration.name;
        self.done(|reply| reply.error(&error.text(name, self.args())))
    }

    pub(crate) fn shard_of(&self, word: usize) -> ShardId {
        self.shard_of_key(self.args().word(word))
    }

    pub(crate) fn shard_of_key(&self, key: &[u8]) -> ShardId {
        self.map.shard_of_key(key)
    }

    pub(crate) fn key(&self, word: usize) -> Box<[u8]> {
        self.args().word(word).into()
    }

    /// A request for `command` with the words `args`.
    pub(crate) fn run(&self, args: PackedArgs) -> Operation {
        Operation::Run(Box::new(self.request_with(args)))
    }

    /// The same request with the words `args`.
    pub(crate) fn request_with(&self, args: PackedArgs) -> OwnedRequest {
        OwnedRequest {
            command: self.request.command,
            db: self.request.db,
            resp: self.request.resp,
            touch: self.request.touch,
            args,
            large: None,
            tag: self.request.tag,
        }
    }
}

/// What programs know of the configuration, and one random number.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings {
    /// Keys to shards.
    pub map: SlotMap,
    /// Numbered databases.
    pub databases: u16,
    /// Chance, for programs that need it.
    pub draw: u64,
}

/// Appends `operation` to what `shard` does.
pub(crate) fn push_operation(
    operations: &mut Vec<(ShardId, Vec<Operation>)>,
    shard: ShardId,
    operation: Operation,
) {
    match operations.iter_mut().find(|(at, _)| *at == shard) {
        Some((_, list)) => list.push(operation),
        None => operations.push((shard, vec![operation])),
    }
}
