//! Table statements as programs: those that take several steps or several shards.
//!
//! ```text
//! planned where the client is -> an attempt, which may be all (see `running`)
//! prepare on the shard of the name
//!   a change of schemas   -> apply on all -> build an index in steps, giving the claims back in between
//!   a reading plan        -> steps on the shards with rows -> join
//!   a writing plan        -> steps that find rows and check -> ask all about unique values -> steps that change
//! ```
//! After each hop of steps the program pauses, so that a core serves others between two of them.
//!
//! Invariants
//! - Nothing changes on any shard before all shards have said that nothing can fail.
//! - All shards of the table are claimed; what a shard has found in one step is still so in the next.
//!
//! In reading order: this file has statements, `running` their plans under way, [`together`] several of one client,
//! `changing` changes of schemas, [`growing`] tables that spread.
//!
//! Not here: what happens on a shard (`commands::table::parts`), which statements come here
//! (`server::statements`).

mod changing;
pub mod growing;
mod running;
#[cfg(test)]
mod tests;
pub mod together;

use std::sync::Arc;

use base::ids::{DbIndex, ShardId};
use commands::scope::{RowStatement, Scope};
use commands::table::answers;
use commands::table::parts::{Planned, Prepared, TableOutcome, TableStep, Work};
use commands::table::{key_of, table_word};
use runtime::faults::{self, Fault};
use tables::error::TableError;
use tables::schema::{Layout, RowId, Schema};

use self::changing::Changing;
use self::running::{Next, Running};
use crate::message::{Operation, Outcome, OwnedRequest, Request};
use crate::step::{Base, HopOutcome, Program, Step, Surroundings};

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct TableProgram {
    base: Base,
    scope: Scope,
    /// The shard that plans, and of a table at home has all rows.
    lead: ShardId,
    state: State,
    ahead: Option<Ahead>,
}

/// A plan that was made before anything is claimed. It counts if all shards know the table as it was then.
#[derive(Debug)]
struct Ahead {
    planned: Planned,
    me: ShardId,
    /// How often it may still be tried in one round.
    attempts: u8,
}

/// Statements that come in each other's way too often in one round take more of them.
const ATTEMPTS: u8 = 3;

#[derive(Debug)]
enum State {
    Begin,
    /// Shards do what may have to be begun anew.
    Attempting(Box<Running>),
    Preparing,
    Changing(Box<Changing>),
    /// A plan rests between two steps.
    Paused(Box<Running>),
    Running(Box<Running>),
    /// All tell what they have of a table.
    Collecting(Arc<Schema>),
    /// All tell how a plan would run, or has run.
    Explaining(Box<Running>),
    /// The shard of the name tells of the changes.
    Telling(Vec<u8>),
}

impl TableProgram {
    /// Creates the program of a request.
    pub(crate) fn new(base: Base, scope: Scope) -> Self {
        let name = base.args().get(table_word(scope)).unwrap_or_default();
        let lead = base.shard_of_key(key_of(name));
        Self {
            base,
            scope,
            lead,
            state: State::Begin,
            ahead: None,
        }
    }

    /// Creates the program of a request that core `me` has planned.
    fn planned(base: Base, scope: Scope, planned: Planned, me: ShardId) -> Self {
        let attempts = if planned.is_short { ATTEMPTS } else { 0 };
        let ahead = Ahead {
            planned,
            me,
            attempts,
        };
        Self {
            ahead: Some(ahead),
            ..Self::new(base, scope)
        }
    }

    /// Takes the first step.
    fn first(&mut self) -> Step {
        let Some(ahead) = &mut self.ahead else {
            return self.prepare();
        };
        let (work, me) = (ahead.planned.work.clone(), ahead.me);
        let is_sure = ahead.planned.is_sure;
        if ahead.attempts == 0 {
            return self.begin(work);
        }
        ahead.attempts -= 1;
        let shards = self.shards_of(work.plan.schema());
        let mut running = Box::new(Running::new(work, shards));
        let Some(steps) = running.attempt(me, is_sure) else {
            self.withdraw(true);
            return self.first();
        };
        let last = running.is_over_at_once();
        self.state = State::Attempting(running);
        let operations = operations_of(self.base.request.db, steps);
        Step::Attempt { operations, last }
    }

    /// Takes what came of an attempt.
    fn attempted(&mut self, mut running: Box<Running>, outcomes: Vec<HopOutcome>) -> Step {
        let is_over = running.is_over_at_once();
        match running.take(outcomes) {
            Next::Again if !is_over => self.prepare(),
            // The claims are gone, and nothing has changed.
            Next::Again => {
                self.ahead = None;
                Step::Yield
            }
            Next::Pause if is_over => {
                self.withdraw(true);
                Step::Yield
            }
            next => self.follow(running, next),
        }
    }

    fn prepare(&mut self) -> Step {
        self.state = State::Preparing;
        let request = OwnedRequest::new(self.base.request.as_request());
        let step = TableStep::Prepare {
            scope: self.scope,
            resp: request.resp,
            args: request.args,
        };
        self.hop(vec![(self.lead, step)])
    }

    fn hop(&self, steps: Vec<(ShardId, TableStep)>) -> Step {
        hop(self.base.request.db, steps, false)
    }

    fn last_hop(&self, steps: Vec<(ShardId, TableStep)>) -> Step {
        hop(self.base.request.db, steps, true)
    }

    fn refused(&self, error: &TableError) -> Step {
        self.base.done(|reply| reply.error(&format!("ERR {error}")))
    }

    fn prepared(&mut self, prepared: Prepared) -> Step {
        match prepared {
            Prepared::Reply(reply) => Step::Done { reply },
            Prepared::Refused(error) => self.refused(&error),
            Prepared::Change(change) => {
                let changing = Changing::new(self.base.map, self.lead, change);
                self.state = State::Changing(Box::new(changing));
                self.change(Vec::new())
            }
            Prepared::Work(work) => self.begin(*work),
            Prepared::Info(schema) => {
                let shards = self.shards_of(&schema).into_iter();
                let steps = shards.map(|shard| (shard, TableStep::Info(schema.id)));
                let hop = self.hop(steps.collect());
                self.state = State::Collecting(schema);
                hop
            }
        }
    }

    /// Returns the shards that have rows of a table.
    fn shards_of(&self, schema: &Schema) -> Vec<ShardId> {
        match schema.layout {
            Layout::Home => vec![self.lead],
            Layout::Spread { .. } => self.base.map.shards().collect(),
        }
    }

    fn change(&mut self, outcomes: Vec<HopOutcome>) -> Step {
        let State::Changing(mut changing) = std::mem::replace(&mut self.state, State::Begin) else {
            unreachable!("a change is under way");
        };
        let next = changing.step(outcomes);
        self.state = State::Changing(changing);
        match next {
            changing::Next::Hop(steps) => self.hop(steps),
            changing::Next::Pause => Step::Pause,
            changing::Next::Yield => Step::Yield,
            changing::Next::Done(None) => self.base.done(|reply| reply.ok()),
            changing::Next::Done(Some(error)) => self.refused(&error),
        }
    }

    fn begin(&mut self, work: Work) -> Step {
        let mut shards = self.shards_of(work.plan.schema());
        if let Layout::Spread { shards: count } = work.plan.schema().layout
            && let Some(row) = work.plan.only_row()
            && !running::has_check(&work)
        {
            shards = vec![shard_of_row(row, count)];
        }
        let is_explained = work.statement == RowStatement::Explain;
        let mut running = Box::new(Running::new(work, shards));
        if is_explained {
            return self.explain(running);
        }
        let next = running.begin();
        self.follow(running, next)
    }

    fn follow(&mut self, running: Box<Running>, next: Next) -> Step {
        match next {
            Next::Hop(steps) => {
                self.state = State::Running(running);
                self.hop(steps)
            }
            Next::LastHop(steps) => {
                self.state = State::Running(running);
                self.last_hop(steps)
            }
            Next::Pause => {
                self.state = State::Paused(running);
                if faults::is_on(Fault::UpdateInHalves) {
                    return Step::Yield;
                }
                Step::Pause
            }
            // A plan that was made before anything was claimed, and had only one hop.
            Next::Again if running.has_ended() && !faults::is_on(Fault::OldPlanKept) => {
                self.ahead = None;
                Step::Yield
            }
            Next::Again => self.prepare(),
            Next::Refused(error) => self.refused(&error),
            Next::Done if running.statement() == RowStatement::Profile => self.explain(running),
            Next::Done => self.done(*running),
        }
    }

    /// Asks all shards of a plan how it would run there.
    fn explain(&mut self, running: Box<Running>) -> Step {
        let steps = running.explanations();
        self.state = State::Explaining(running);
        self.hop(steps)
    }

    fn explained(&self, running: &Running, outcomes: Vec<HopOutcome>) -> Step {
        let explained: Vec<_> = table_outcomes(outcomes)
            .filter_map(|(_, outcome)| match outcome {
                TableOutcome::Explained(explained) => explained.map(|explained| *explained),
                _ => None,
            })
            .collect();
        let costs = running.costs();
        self.base.done(|reply| {
            answers::write_explanation(reply, running.schema(), &explained, &costs);
        })
    }

    fn done(&mut self, running: Running) -> Step {
        let finished = match running.finish() {
            Ok(finished) => finished,
            Err(error) => return self.refused(&error),
        };
        let Some(note) = finished.note else {
            return Step::Done {
                reply: finished.reply,
            };
        };
        self.state = State::Telling(finished.reply);
        // Nothing comes after it: the claims end with this hop.
        self.last_hop(vec![(self.lead, note)])
    }

    fn collected(&self, schema: &Schema, outcomes: Vec<HopOutcome>) -> Step {
        let infos: Vec<_> = table_outcomes(outcomes)
            .filter_map(|(shard, outcome)| match outcome {
                TableOutcome::Info(info) => info.map(|info| (shard, *info)),
                _ => None,
            })
            .collect();
        self.base
            .done(|reply| answers::write_info(reply, schema, &infos))
    }
}

impl Program for TableProgram {
    fn step(&mut self, outcomes: Vec<HopOutcome>) -> Step {
        match std::mem::replace(&mut self.state, State::Begin) {
            State::Begin => self.first(),
            State::Attempting(running) => self.attempted(running, outcomes),
            State::Preparing => match table_outcomes(outcomes).next() {
                Some((_, TableOutcome::Prepared(prepared))) => self.prepared(*prepared),
                _ => unreachable!("a shard that prepares says what it has made"),
            },
            changing @ State::Changing(_) => {
                self.state = changing;
                self.change(outcomes)
            }
            State::Paused(mut running) => {
                let next = running.next();
                self.follow(running, next)
            }
            State::Running(mut running) => {
                let next = running.take(outcomes);
                self.follow(running, next)
            }
            State::Explaining(running) => self.explained(&running, outcomes),
            State::Collecting(schema) => self.collected(&schema, outcomes),
            State::Telling(reply) => Step::Done { reply },
        }
    }

    fn own_part(&mut self, outcomes: &[HopOutcome]) -> Option<Vec<Operation>> {
        let (State::Attempting(running), Some(ahead)) = (&mut self.state, &self.ahead) else {
            return None;
        };
        let step = running.own_part(ahead.me, outcomes)?;
        let db = self.base.request.db;
        Some(vec![Operation::Table(db, Box::new(step))])
    }

    fn withdraw(&mut self, for_good: bool) {
        self.state = State::Begin;
        if let Some(ahead) = &mut self.ahead
            && for_good
        {
            ahead.attempts = 0;
        }
    }
}

/// Creates the program of a statement about a spread table that core `me` has planned with what it knows of the table.
#[must_use]
pub fn program_of_plan(
    surroundings: Surroundings,
    request: Request<'_>,
    planned: Planned,
    me: ShardId,
) -> Box<dyn Program> {
    let base = Base {
        map: surroundings.map,
        request: OwnedRequest::new(request),
        stage: 0,
        databases: surroundings.databases,
    };
    let scope = Scope::Rows(planned.work.statement);
    Box::new(TableProgram::planned(base, scope, planned, me))
}

/// Returns the hop of these steps.
fn hop(db: DbIndex, steps: Vec<(ShardId, TableStep)>, last: bool) -> Step {
    let operations = operations_of(db, steps);
    Step::Hop { operations, last }
}

fn operations_of(db: DbIndex, steps: Vec<(ShardId, TableStep)>) -> Vec<(ShardId, Vec<Operation>)> {
    let mut operations = Vec::with_capacity(steps.len());
    for (shard, step) in steps {
        let operation = Operation::Table(db, Box::new(step));
        crate::step::push_operation(&mut operations, shard, operation);
    }
    operations
}

/// Returns the shard that row `row` of a table spread over `shards` lies on.
fn shard_of_row(row: RowId, shards: u16) -> ShardId {
    ShardId(u16::try_from(row.0 % u64::from(shards.max(1))).unwrap_or(0))
}

/// Returns what came of the steps of a hop.
fn table_outcomes(hops: Vec<HopOutcome>) -> impl Iterator<Item = (ShardId, TableOutcome)> {
    hops.into_iter().flat_map(|hop| {
        let shard = hop.shard;
        hop.outcomes
            .into_iter()
            .filter_map(move |outcome| match outcome {
                Outcome::Table(outcome) => Some((shard, *outcome)),
                Outcome::Reply { .. }
                | Outcome::Lent(_)
                | Outcome::ReplyWith { .. }
                | Outcome::Elements(_)
                | Outcome::Values(_)
                | Outcome::Entry(_)
                | Outcome::Replies(_)
                | Outcome::Integer(_)
                | Outcome::Done => None,
            })
    })
}
