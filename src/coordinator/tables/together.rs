//! Statements about one spread table that one client has sent one behind the other: all in one round.
//!
//! ```text
//! attempt   each other shard runs them in order, up to the first that does not end there at once
//!           this core's shard runs as many                                                -> their replies
//! then      those that are left, one by one, each under claims of its own                 -> theirs
//! ```
//! All of them read, or all are sure changes and there are two shards (see `running`). So nothing fails on one shard
//! after it was done on another, and the order on each shard is that in which they were sent. Nobody comes between
//! them, which nobody can tell from what a client that waits for no reply may see.
//!
//! Not here: which statements go together (`server::together`).

use std::sync::Arc;

use base::ids::{DbIndex, ShardId};
use commands::scope::Scope;
use commands::table::answers;
use commands::table::parts::{self, Many, Pace, Planned, TableOutcome, TableStep, Work};
use protocol::reply::Reply;
use runtime::faults::{self, Fault};
use tables::partial::Partial;

use super::{ATTEMPTS, TableProgram};
use crate::message::queue::Queue;
use crate::message::{Operation, Outcome, OwnedRequest};
use crate::step::{Base, HopOutcome, Program, Step, Surroundings};

/// See the head of this file.
#[derive(Debug)]
pub struct Together {
    around: Surroundings,
    me: ShardId,
    /// The statements, with the replies of those that are answered.
    queue: Queue,
    works: Arc<Vec<Work>>,
    answered: usize,
    /// How often they may still be tried in one round.
    attempts: u8,
    state: State,
    /// How long shards have run for them.
    nanos: u64,
}

#[derive(Debug)]
enum State {
    Begin,
    Attempting,
    /// One that is left runs by itself.
    Alone(Box<TableProgram>),
}

impl Together {
    /// Creates the program of the statements in `queue`, of which core `me` has made these plans.
    #[must_use]
    pub fn new(around: Surroundings, me: ShardId, queue: Queue, planned: Vec<Planned>) -> Self {
        let works = planned.into_iter().map(|planned| planned.work);
        Self {
            around,
            me,
            queue,
            works: Arc::new(works.collect()),
            answered: 0,
            attempts: ATTEMPTS,
            state: State::Begin,
            nanos: 0,
        }
    }

    fn is_write(&self) -> bool {
        self.works.iter().any(|work| work.plan.is_write())
    }

    fn operation(&self, count: usize, pace: Pace, elsewhere: Option<Vec<u64>>) -> Vec<Operation> {
        let db = self
            .queue
            .request(0)
            .map_or(DbIndex(0), |request| request.db);
        let step = TableStep::RunMany(Many {
            works: Arc::clone(&self.works),
            count,
            pace,
            elsewhere,
        });
        vec![Operation::Table(db, Box::new(step))]
    }

    fn first(&mut self) -> Step {
        if self.attempts == 0 {
            return self.alone();
        }
        self.attempts -= 1;
        self.state = State::Attempting;
        let pace = if self.is_write() {
            Pace::Step
        } else {
            Pace::Attempt
        };
        let others = self.around.map.shards().filter(|shard| *shard != self.me);
        let operations = others.map(|shard| (shard, self.operation(self.works.len(), pace, None)));
        Step::Attempt {
            operations: operations.collect(),
            last: true,
        }
    }

    /// Takes what all shards have found, and answers as many as have ended on all of them.
    fn attempted(&mut self, mut outcomes: Vec<HopOutcome>) -> Step {
        outcomes.sort_unstable_by_key(|hop| hop.shard);
        let found = outcomes.into_iter().flat_map(|hop| hop.outcomes);
        let mut parts: Vec<_> = found.filter_map(partials_of).map(Vec::into_iter).collect();
        let is_whole = parts.len() == usize::from(self.around.map.shard_count());
        while is_whole && self.answered < self.works.len() {
            let partials: Vec<Partial> = parts.iter_mut().filter_map(Iterator::next).collect();
            if partials.len() < parts.len() {
                break;
            }
            self.answer(partials);
        }
        self.go_on()
    }

    fn answer(&mut self, partials: Vec<Partial>) {
        let work = &self.works[self.answered];
        let mut bytes = Vec::new();
        let mut reply = Reply::new(&mut bytes, work.resp);
        match parts::merge(&work.plan, partials, work.resp) {
            Ok(answer) => answers::write_answer(&mut reply, work, answer),
            Err(error) => reply.error(&format!("ERR {error}")),
        }
        self.queue.set_reply(self.answered, &bytes);
        self.answered += 1;
    }

    /// Goes on with what is left, or ends.
    fn go_on(&mut self) -> Step {
        self.attempts = 0;
        if self.answered < self.queue.len() {
            return Step::Yield;
        }
        let mut reply = Vec::new();
        for index in 0..self.queue.len() {
            reply.extend_from_slice(self.queue.reply(index).unwrap_or_default());
        }
        if let Some(last) = self.queue.len().checked_sub(1) {
            self.queue.note_nanos(0..=last, self.nanos);
        }
        Step::Done { reply }
    }

    /// Begins the next one that is left, by itself.
    fn alone(&mut self) -> Step {
        let Some(request) = self.queue.request(self.answered) else {
            return self.go_on();
        };
        let base = Base {
            map: self.around.map,
            request: OwnedRequest::new(request),
            stage: 0,
            databases: self.around.databases,
        };
        let statement = self.works[self.answered].statement;
        let mut program = Box::new(TableProgram::new(base, Scope::Rows(statement)));
        let step = program.step(Vec::new());
        self.follow(program, step)
    }

    fn follow(&mut self, program: Box<TableProgram>, step: Step) -> Step {
        if let Step::Done { reply } = step {
            self.queue.set_reply(self.answered, &reply);
            self.answered += 1;
            return self.go_on();
        }
        self.state = State::Alone(program);
        step
    }
}

impl Program for Together {
    fn step(&mut self, outcomes: Vec<HopOutcome>) -> Step {
        self.nanos += outcomes.iter().map(|hop| hop.nanos).sum::<u64>();
        match std::mem::replace(&mut self.state, State::Begin) {
            State::Begin => self.first(),
            State::Attempting => self.attempted(outcomes),
            State::Alone(mut program) => {
                let step = program.step(outcomes);
                self.follow(program, step)
            }
        }
    }

    fn own_part(&mut self, outcomes: &[HopOutcome]) -> Option<Vec<Operation>> {
        let found: Vec<&[Partial]> = outcomes
            .iter()
            .flat_map(|hop| &hop.outcomes)
            .filter_map(|outcome| match outcome {
                Outcome::Table(outcome) => match &**outcome {
                    TableOutcome::RanMany(partials) => Some(&partials[..]),
                    _ => None,
                },
                _ => None,
            })
            .collect();
        let count = found.iter().map(|partials| partials.len()).min()?;
        if count == 0 {
            return None;
        }
        if !self.is_write() {
            return Some(self.operation(count, Pace::Attempt, None));
        }
        // What the other shard has changed is changed here, too, whatever it takes.
        let made = |at: usize| -> u64 { found.iter().map(|partials| partials[at].count()).sum() };
        let elsewhere =
            (!faults::is_on(Fault::TableUnnoted)).then(|| (0..count).map(made).collect());
        Some(self.operation(count, Pace::Whole, elsewhere))
    }

    fn withdraw(&mut self, for_good: bool) {
        self.state = State::Begin;
        if for_good {
            self.attempts = 0;
        }
    }

    fn executed(&mut self) -> Option<Queue> {
        Some(std::mem::take(&mut self.queue))
    }
}

/// Returns whether a statement that was planned may go together with others of its kind, of which a table lies on so
/// many shards: it reads, or it is a sure change and there are two.
#[must_use]
pub fn may_go_together(planned: &Planned, shards: u16) -> bool {
    planned.is_short && (!planned.work.plan.is_write() || planned.is_sure && shards == 2)
}

fn partials_of(outcome: Outcome) -> Option<Vec<Partial>> {
    match outcome {
        Outcome::Table(outcome) => match *outcome {
            TableOutcome::RanMany(partials) => Some(partials),
            _ => None,
        },
        _ => None,
    }
}
