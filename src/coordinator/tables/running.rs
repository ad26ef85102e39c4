//! A plan under way on the shards that have rows.
//!
//! Not here: what the hops of it are a part of (`super`).

use std::sync::Arc;

use base::ids::ShardId;
use commands::scope::RowStatement;
use commands::table::answers::{self, Cost};
use commands::table::parts::{self, TableOutcome, TableStep, Work};
use protocol::reply::Reply;
use tables::error::TableError;
use tables::executor::{Progress, Stepped};
use tables::merge;
use tables::partial::Partial;
use tables::schema::{Layout, Schema};

use super::table_outcomes;
use crate::step::HopOutcome;

/// A plan, and how far it is on each shard.
#[derive(Debug)]
pub(super) struct Running {
    work: Work,
    shards: Vec<OnShard>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Shards look for rows; nothing changes.
    Checking,
    /// Shards say whether they have values that rows of others are to get.
    Asking,
    /// Shards do all that there is to do.
    Doing,
}

#[derive(Debug)]
struct OnShard {
    shard: ShardId,
    progress: Option<Box<Progress>>,
    partial: Option<Box<Partial>>,
    is_done: bool,
    nanos: u64,
}

/// What a plan wants next.
pub(super) enum Next {
    /// These steps.
    Hop(Vec<(ShardId, TableStep)>),
    /// A pause, then more.
    Pause,
    /// Another plan: the table has changed.
    Again,
    /// Nothing: it is refused, and nothing has changed.
    Refused(TableError),
    /// Nothing.
    Done,
}

/// What came of a plan.
pub(super) struct Finished {
    pub(super) reply: Vec<u8>,
    /// What the shard of the name has to do, if something has changed.
    pub(super) note: Option<TableStep>,
}

/// Returns whether all shards have to be asked before one changes anything.
pub(super) fn has_check(work: &Work) -> bool {
    let plan = &work.plan;
    plan.is_write() && plan.schema().layout != Layout::Home && plan.needs_check()
}

impl Running {
    pub(super) fn new(work: Work, shards: Vec<ShardId>) -> Self {
        let on_shard = |shard| OnShard {
            shard,
            progress: None,
            partial: None,
            is_done: false,
            nanos: 0,
        };
        Self {
            work,
            shards: shards.into_iter().map(on_shard).collect(),
            stage: Stage::Doing,
        }
    }

    pub(super) fn statement(&self) -> RowStatement {
        self.work.statement
    }

    pub(super) fn schema(&self) -> &Schema {
        self.work.plan.schema()
    }

    pub(super) fn begin(&mut self) -> Next {
        let now = self.work.now_ms;
        let has_check = has_check(&self.work);
        if has_check {
            self.stage = Stage::Checking;
        } else if self.is_insert() && self.schema().layout != Layout::Home {
            return self.decide();
        }
        for on in &mut self.shards {
            let progress = if has_check {
                Progress::checking(now)
            } else {
                Progress::new(now)
            };
            on.progress = Some(Box::new(progress));
        }
        self.next()
    }

    fn is_insert(&self) -> bool {
        self.work.plan.insert_count() > 0
    }

    /// A step on each shard that is not done.
    pub(super) fn next(&mut self) -> Next {
        let mut steps = Vec::with_capacity(self.shards.len());
        for on in self.shards.iter_mut().filter(|on| !on.is_done) {
            if let Some(progress) = on.progress.take() {
                let step = TableStep::Run {
                    plan: Arc::clone(&self.work.plan),
                    resp: self.work.resp,
                    progress,
                    partial: on.partial.take().unwrap_or_default(),
                };
                steps.push((on.shard, step));
            }
        }
        Next::Hop(steps)
    }

    /// Takes what came of a hop.
    pub(super) fn take(&mut self, outcomes: Vec<HopOutcome>) -> Next {
        for hop in &outcomes {
            if let Some(on) = self.shards.iter_mut().find(|on| on.shard == hop.shard) {
                on.nanos += hop.nanos;
            }
        }
        let mut refusal = None;
        let mut is_old = false;
        for (shard, outcome) in table_outcomes(outcomes) {
            let Some(on) = self.shards.iter_mut().find(|on| on.shard == shard) else {
                continue;
            };
            match outcome {
                TableOutcome::Ran {
                    progress,
                    partial,
                    result,
                } => {
                    on.progress = Some(progress);
                    on.partial = Some(partial);
                    match result {
                        Ok(Stepped::More) => {}
                        Ok(Stepped::End) => on.is_done = true,
                        Ok(Stepped::Again) => is_old = true,
                        Err(error) => refusal = Some(error),
                    }
                }
                TableOutcome::Refused(progress, refused) => {
                    on.progress = Some(progress);
                    refusal = refused.or(refusal);
                }
                _ => unreachable!("a plan runs, or asks for values"),
            }
        }
        if let Some(error) = refusal {
            return Next::Refused(error);
        }
        if is_old {
            return Next::Again;
        }
        self.after_hop()
    }

    fn after_hop(&mut self) -> Next {
        match self.stage {
            Stage::Asking => self.allow(),
            Stage::Checking | Stage::Doing if self.shards.iter().any(|on| !on.is_done) => {
                Next::Pause
            }
            Stage::Checking if self.is_insert() => self.decide(),
            Stage::Checking => self.ask(),
            Stage::Doing => Next::Done,
        }
    }

    fn take_partials(&mut self) -> Vec<Partial> {
        let partials = self.shards.iter_mut().filter_map(|on| on.partial.take());
        partials.map(|partial| *partial).collect()
    }

    /// Decides what becomes of the rows of an INSERT.
    fn decide(&mut self) -> Next {
        let partials = self.take_partials();
        let decisions = match merge::decide(&self.work.plan, &partials) {
            Ok(decisions) => decisions,
            Err(error) => return Next::Refused(error),
        };
        self.stage = Stage::Doing;
        for on in &mut self.shards {
            on.is_done = false;
            let progress = Progress::deciding(self.work.now_ms, decisions.clone());
            on.progress = Some(Box::new(progress));
        }
        self.next()
    }

    /// All shards have found their rows; asks them about unique values.
    fn ask(&mut self) -> Next {
        let mut partials = self.take_partials();
        let claims = match merge::checked(&self.work.plan, &mut partials) {
            Ok(claims) => Arc::new(claims),
            Err(error) => return Next::Refused(error),
        };
        for (on, partial) in self.shards.iter_mut().zip(partials) {
            on.partial = Some(Box::new(partial));
        }
        if claims.is_empty() {
            return self.allow();
        }
        self.stage = Stage::Asking;
        let mut steps = Vec::with_capacity(self.shards.len());
        for on in &mut self.shards {
            if let Some(progress) = on.progress.take() {
                let step = TableStep::Refuse {
                    plan: Arc::clone(&self.work.plan),
                    claims: Arc::clone(&claims),
                    progress,
                };
                steps.push((on.shard, step));
            }
        }
        Next::Hop(steps)
    }

    /// Nothing can fail any more.
    fn allow(&mut self) -> Next {
        self.stage = Stage::Doing;
        for on in &mut self.shards {
            on.is_done = false;
            if let Some(progress) = &mut on.progress {
                progress.allow();
            }
        }
        self.next()
    }

    pub(super) fn explanations(&self) -> Vec<(ShardId, TableStep)> {
        let step = || TableStep::Explain(Arc::clone(&self.work.plan));
        self.shards.iter().map(|on| (on.shard, step())).collect()
    }

    /// Returns what it took on each shard; nothing if it has not run.
    pub(super) fn costs(&self) -> Vec<Cost> {
        let ran = self.shards.iter().filter(|on| on.is_done);
        let costs = ran.map(|on| Cost {
            shard: on.shard,
            nanos: Some(on.nanos),
            looked: on.partial.as_ref().map_or(0, |partial| partial.looked()),
        });
        costs.collect()
    }

    pub(super) fn finish(mut self) -> Result<Finished, TableError> {
        let partials = self.take_partials();
        let count = partials.iter().map(Partial::count).sum();
        let work = &self.work;
        let answer = parts::merge(&work.plan, partials, work.resp)?;
        let mut reply = Vec::new();
        answers::write_answer(&mut Reply::new(&mut reply, work.resp), work, answer);
        let event = parts::event_of(work.statement).filter(|_| count > 0);
        let note = event.map(|event| TableStep::Note {
            key: parts::key_of_table(self.schema()).into(),
            event,
            count,
        });
        Ok(Finished { reply, note })
    }
}
