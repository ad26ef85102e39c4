//! A transaction that says on each of its shards who it is for, so that this client is not told of the
//! changes (`CLIENT TRACKING` with NOLOOP).
//!
//! Not here: who is told of what (`server::invalidate`).

use base::ids::DbIndex;
use protocol::args::Args;
use protocol::reply::Resp;
use shard::watches::Author;

use crate::message::Operation;
use crate::message::queue::Queue;
use crate::step::{HopOutcome, Program, Step};

/// A program whose hops all begin with [`Operation::Sign`].
#[derive(Debug)]
pub struct Signed {
    author: Author,
    program: Box<dyn Program>,
}

impl Signed {
    /// Returns `program`, its hops signed with `author` if there is one.
    #[must_use]
    pub fn if_any(author: Option<Author>, program: Box<dyn Program>) -> Box<dyn Program> {
        match author {
            Some(author) => Box::new(Self { author, program }),
            None => program,
        }
    }

    /// As [`Signed::if_any`], for a program that has asked for its first step already.
    #[must_use]
    pub fn from_step_if_any(
        author: Option<Author>,
        program: Box<dyn Program>,
        step: Step,
    ) -> (Box<dyn Program>, Step) {
        let step = match author {
            Some(author) => sign(author, step),
            None => step,
        };
        (Self::if_any(author, program), step)
    }
}

fn sign(author: Author, mut step: Step) -> Step {
    if let Step::Hop { operations, .. } | Step::Attempt { operations, .. } = &mut step {
        for (_, list) in operations {
            list.insert(0, Operation::Sign(author));
        }
    }
    step
}

impl Program for Signed {
    fn step(&mut self, mut outcomes: Vec<HopOutcome>) -> Step {
        for hop in &mut outcomes {
            // What became of the signature; a shard that has done nothing gives nothing.
            if !hop.outcomes.is_empty() {
                hop.outcomes.remove(0);
            }
        }
        sign(self.author, self.program.step(outcomes))
    }

    fn own_part(&mut self, outcomes: &[HopOutcome]) -> Option<Vec<Operation>> {
        let mut part = self.program.own_part(outcomes)?;
        part.insert(0, Operation::Sign(self.author));
        Some(part)
    }

    fn withdraw(&mut self, for_good: bool) {
        self.program.withdraw(for_good);
    }

    fn answer(&mut self, reply: Vec<u8>) {
        self.program.answer(reply);
    }

    fn executed(&mut self) -> Option<Queue> {
        self.program.executed()
    }

    fn asks_as(&self) -> Option<(DbIndex, Resp)> {
        self.program.asks_as()
    }

    fn control_args(&self, index: usize) -> Option<Args<'_>> {
        self.program.control_args(index)
    }
}
