//! A command on one shard with values that other shards lend it.
//!
//! Three hops: every other shard takes the values of its keys out, the command runs where it belongs,
//! the values go back. Large values travel as pointers, so the cost does not depend on their size.
//! All keys are claimed exclusively for that long.

use base::ids::ShardId;
use commands::keys;
use protocol::args::PackedArgs;
use shard::loan::Loan;

use crate::message::{Operation, Outcome};
use crate::step::{Base, HopOutcome, Program, Step, push_operation};

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct Lend {
    base: Base,
    /// Where the command runs.
    home: ShardId,
    stage: Stage,
    reply: Vec<u8>,
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
        let run = Operation::RunWith {
            request: Box::new(request),
            loans,
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
        Step::Hop {
            operations,
            last: true,
        }
    }

    fn end(&mut self) -> Step {
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
                Some(Outcome::ReplyWith { bytes, loans, .. }) => {
                    self.reply = bytes;
                    self.settle(loans)
                }
                _ => unreachable!("a run gives a reply"),
            },
            Stage::Ended => self.end(),
        }
    }
}
