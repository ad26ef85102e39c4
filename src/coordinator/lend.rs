//! A command on one shard with values that other shards lend it.
//!
//! Three hops: every other shard takes the values of its keys out, the command runs where it belongs,
//! the values go back. Large values travel as pointers, so the cost does not depend on their size.
//! All keys are claimed exclusively for that long.

use base::ids::ShardId;
use commands::keys;
use commands::wait_form::Waiting;
use protocol::args::PackedArgs;
use shard::loan::Loan;

use crate::message::{Operation, Outcome, WaiterNumber};
use crate::step::{Base, HopOutcome, Program, Step, push_operation};

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct Lend {
    base: Base,
    /// Where the command runs.
    home: ShardId,
    stage: Stage,
    reply: Vec<u8>,
    wait: Option<Wait>,
    /// The request has asked to wait.
    waits: bool,
}

/// A request that may wait for its keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    pub(crate) waiter: WaiterNumber,
    /// It stands in its queues already.
    pub(crate) is_known: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Lending,
    Running,
    Settling,
    Ended,
}

/// A key of the request, and whether the command reads it as such.
struct Wanted {
    word: usize,
    is_read: bool,
    is_written: bool,
}

impl Lend {
    pub(crate) fn new(base: Base) -> Self {
        Self {
            base,
            home: ShardId(0),
            stage: Stage::Lending,
            reply: Vec::new(),
            wait: None,
            waits: false,
        }
    }

    /// As [`Lend::new`], for a request that may wait. If it does, it is put into its queues in the last
    /// hop, under the claims of the look that has found nothing.
    pub(crate) fn waiting(base: Base, wait: Wait) -> Self {
        Self {
            wait: Some(wait),
            ..Self::new(base)
        }
    }

    /// Returns the keys of the request, each once.
    fn wanted(&self) -> Vec<Wanted> {
        let args = self.base.args();
        let mut seen = base::hash::Set::default();
        let mut wanted = Vec::new();
        keys::positions(
            &self.base.request.command.declaration,
            args,
            |word, spec| {
                if seen.insert(args.word(word)) {
                    let access = spec.flags.first().copied().unwrap_or_default();
                    wanted.push(Wanted {
                        word,
                        is_read: access == "RO",
                        is_written: matches!(access, "RW" | "OW" | "RM"),
                    });
                }
            },
        );
        wanted
    }

    fn lend(&mut self) -> Step {
        let wanted = self.wanted();
        let first = wanted.iter().find(|key| key.is_written);
        self.home = first
            .or(wanted.first())
            .map_or(ShardId(0), |key| self.base.shard_of(key.word));
        let mut operations = Vec::new();
        for key in wanted {
            let shard = self.base.shard_of(key.word);
            if shard != self.home {
                let lend = Operation::Lend {
                    db: self.base.request.db,
                    key: self.base.key(key.word),
                    read: key.is_read,
                    touch: self.base.request.touch,
                };
                push_operation(&mut operations, shard, lend);
            }
        }
        if operations.is_empty() {
            return self.run(Vec::new());
        }
        self.stage = Stage::Running;
        Step::Hop {
            operations,
            last: false,
        }
    }

    fn run(&mut self, loans: Vec<Loan>) -> Step {
        self.stage = Stage::Settling;
        let last = loans.is_empty();
        let request = self
            .base
            .request_with(PackedArgs::from_args(self.base.args()));
        let waiting = match self.wait {
            None => Waiting::Never,
            Some(Wait {
                is_known: false, ..
            }) => Waiting::Possible,
            Some(Wait { is_known: true, .. }) => Waiting::Again,
        };
        let run = Operation::RunWith {
            request: Box::new(request),
            loans,
            waiting,
        };
        Step::Hop {
            operations: vec![(self.home, vec![run])],
            last,
        }
    }

    fn settle(&mut self, loans: Vec<Loan>) -> Step {
        self.stage = Stage::Ended;
        if loans.is_empty() {
            return self.end();
        }
        let mut operations = Vec::new();
        for loan in loans {
            let shard = self.base.shard_of_key(&loan.key);
            let settle = Operation::Settle {
                db: self.base.request.db,
                loan: Box::new(loan),
            };
            push_operation(&mut operations, shard, settle);
        }
        if self.waits
            && let Some(Wait {
                waiter,
                is_known: false,
            }) = self.wait
        {
            self.join_queues(waiter, &mut operations);
        }
        Step::Hop {
            operations,
            last: true,
        }
    }

    /// Adds what each shard does so that the request waits at its keys there.
    fn join_queues(&self, waiter: WaiterNumber, operations: &mut Vec<(ShardId, Vec<Operation>)>) {
        for (shard, words) in words_by_shard(&self.base) {
            let request = self
                .base
                .request_with(PackedArgs::from_args(self.base.args()));
            let join = Operation::Await {
                waiter,
                request: Box::new(request),
                words,
            };
            push_operation(operations, shard, join);
        }
    }

    fn end(&mut self) -> Step {
        if self.waits {
            return Step::Waiting;
        }
        Step::Done {
            reply: std::mem::take(&mut self.reply),
        }
    }
}

impl Program for Lend {
    fn step(&mut self, outcomes: Vec<HopOutcome>) -> Step {
        let mut given = outcomes.into_iter().flat_map(|hop| hop.outcomes);
        match self.stage {
            Stage::Lending => self.lend(),
            Stage::Running => {
                let loans = given.filter_map(|outcome| match outcome {
                    Outcome::Lent(loan) => Some(*loan),
                    _ => None,
                });
                let loans = loans.collect();
                self.run(loans)
            }
            Stage::Settling => match given.next() {
                Some(Outcome::ReplyWith {
                    bytes,
                    loans,
                    waits,
                    ..
                }) => {
                    self.reply = bytes;
                    self.waits = waits;
                    self.settle(loans)
                }
                _ => unreachable!("a run gives a reply"),
            },
            Stage::Ended => self.end(),
        }
    }
}

/// Returns the words of a request that are keys it waits at, by the shards that own them.
pub(crate) fn words_by_shard(base: &Base) -> Vec<(ShardId, Vec<usize>)> {
    let mut by_shard: Vec<(ShardId, Vec<usize>)> = Vec::new();
    let form = base.request.command.wait;
    for word in form.map_or(0..0, |form| (form.keys)(base.args())) {
        let shard = base.shard_of(word);
        match by_shard.iter_mut().find(|(at, _)| *at == shard) {
            Some((_, words)) => words.push(word),
            None => by_shard.push((shard, vec![word])),
        }
    }
    by_shard
}
