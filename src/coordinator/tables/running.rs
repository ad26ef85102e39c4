//! A plan under way on the shards that have rows.
//!
//! ```text
//! attempt   a reading plan that ends soon      all of it                    its claims end with it
//!           a sure change, two shards          there, then here             its claims end with it
//!           any other change                   looking and checking         the claims stay
//! later     all steps that are left; the last hop of changes tells of them, if it is one step
//! ```
//! A change is sure if it finds its rows by an index that answers the whole condition and gives them values that need
//! not be checked. Then it cannot fail on one shard when it has been made on the other.
//!
//! Not here: what the hops of it are a part of (`super`).

use std::sync::Arc;

use base::cast::u64_from;
use base::ids::ShardId;
use commands::scope::RowStatement;
use commands::table::answers::{self, Cost};
use commands::table::parts::{self, Pace, TableOutcome, TableStep, Telling, Work};
use protocol::reply::Reply;
use runtime::faults::{self, Fault};
use tables::claim::Value;
use tables::decide::Decision;
use tables::error::TableError;
use tables::executor::{Progress, Stepped};
use tables::merge::{self, Decided, Elsewhere};
use tables::partial::Partial;
use tables::schema::{Layout, Schema};

use super::{shard_of_row, table_outcomes};
use crate::message::Outcome;
use crate::step::HopOutcome;

/// A plan, and how far it is on each shard.
#[derive(Debug)]
pub(super) struct Running {
    work: Work,
    shards: Vec<OnShard>,
    stage: Stage,
    /// Changes have been told of.
    is_told: bool,
    /// What is known of stored rows that those of an INSERT meet, while it is asked for more.
    meeting: Option<Box<Meeting>>,
}

/// See [`Running`].
#[derive(Debug)]
struct Meeting {
    known: Elsewhere,
    /// The values that all shards are asked about.
    asked: Arc<Vec<Value>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Shards look for rows; nothing changes.
    Checking,
    /// Shards say whether they have values that rows of others are to get.
    Asking,
    /// Shards do all that there is to do.
    Doing,
    /// The same in one round, that of the claims, which end with it.
    DoingAtOnce,
}

#[derive(Debug)]
struct OnShard {
    shard: ShardId,
    progress: Option<Box<Progress>>,
    partial: Option<Box<Partial>>,
    is_done: bool,
    /// Rows that it is going to change, once that is known.
    planned_changes: u64,
    nanos: u64,
}

/// What a plan wants next.
pub(super) enum Next {
    /// These steps.
    Hop(Vec<(ShardId, TableStep)>),
    /// These steps, behind which there is nothing to do.
    LastHop(Vec<(ShardId, TableStep)>),
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
            planned_changes: 0,
            nanos: 0,
        };
        Self {
            work,
            shards: shards.into_iter().map(on_shard).collect(),
            stage: Stage::Doing,
            is_told: false,
            meeting: None,
        }
    }

    /// Begins with what other shards than `me` do in one round with their claims; nothing if there is no such thing.
    pub(super) fn attempt(
        &mut self,
        me: ShardId,
        is_sure: bool,
    ) -> Option<Vec<(ShardId, TableStep)>> {
        let now = self.work.now_ms;
        let is_write = self.work.plan.is_write();
        if !is_write || is_sure && self.shards.len() == 2 {
            self.stage = Stage::DoingAtOnce;
        } else if has_check(&self.work) {
            self.stage = Stage::Checking;
        } else {
            return None;
        }
        for on in &mut self.shards {
            let progress = match self.stage {
                Stage::Checking => Progress::checking(now),
                Stage::DoingAtOnce | Stage::Asking | Stage::Doing => Progress::new(now),
            };
            on.progress = Some(Box::new(progress));
        }
        let pace = if is_write { Pace::Step } else { Pace::Attempt };
        let others = self.shards.iter_mut().filter(|on| on.shard != me);
        let work = &self.work;
        Some(
            others
                .filter_map(|on| Some((on.shard, on.step(work, pace, None)?)))
                .collect(),
        )
    }

    /// Returns whether an attempt is all that there is to do.
    pub(super) fn is_over_at_once(&self) -> bool {
        self.stage == Stage::DoingAtOnce
    }

    /// Returns what shard `me` does in an attempt, behind what the others have done: nothing if they make that vain.
    pub(super) fn own_part(&mut self, me: ShardId, outcomes: &[HopOutcome]) -> Option<TableStep> {
        let mut elsewhere = 0;
        for outcome in outcomes.iter().flat_map(|hop| &hop.outcomes) {
            let Outcome::Table(outcome) = outcome else {
                continue;
            };
            let TableOutcome::Ran {
                partial, result, ..
            } = &**outcome
            else {
                continue;
            };
            elsewhere += partial.count();
            match result {
                Ok(Stepped::End) => {}
                Ok(Stepped::More) if self.stage == Stage::Checking => {}
                Ok(Stepped::More | Stepped::Again) | Err(_) => return None,
            }
        }
        let is_write = self.work.plan.is_write();
        let (pace, telling) = match self.stage {
            // The other shard has made its changes: now they are made here, too, whatever it takes.
            Stage::DoingAtOnce if is_write => {
                self.is_told = true;
                (Pace::Whole, self.telling(elsewhere))
            }
            Stage::DoingAtOnce => (Pace::Attempt, None),
            Stage::Checking | Stage::Asking | Stage::Doing => (Pace::Step, None),
        };
        let on = self.shards.iter_mut().find(|on| on.shard == me)?;
        on.step(&self.work, pace, telling)
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
        Next::Hop(self.steps())
    }

    fn steps(&mut self) -> Vec<(ShardId, TableStep)> {
        let work = &self.work;
        let left = self.shards.iter_mut().filter(|on| !on.is_done);
        left.filter_map(|on| Some((on.shard, on.step(work, Pace::Step, None)?)))
            .collect()
    }

    /// The steps that change `count` rows, of which all is known: shards without any have nothing to do.
    fn change(&mut self, count: u64) -> Next {
        self.stage = Stage::Doing;
        for on in &mut self.shards {
            on.is_done = on.planned_changes == 0;
        }
        let is_short = self.shards.iter().all(|on| {
            let progress = on.progress.as_ref();
            progress.is_none_or(|progress| progress.changes() <= self.work.step_rows)
        });
        let mut steps = self.steps();
        if steps.is_empty() {
            return Next::Done;
        }
        if !is_short {
            return Next::Hop(steps);
        }
        self.is_told = true;
        // Any shard will do: who watches the table does so on all. It tells only if it has made its changes: the plan
        // may turn out to be too old.
        let first = self.shards.iter().find(|on| on.shard == steps[0].0);
        let own = first.map_or(0, |on| on.planned_changes);
        if let TableStep::Run { telling, .. } = &mut steps[0].1 {
            *telling = self.telling(count - own);
        }
        Next::LastHop(steps)
    }

    /// Returns what the shard that tells of changed rows has to know.
    fn telling(&self, elsewhere: u64) -> Option<Telling> {
        let event =
            parts::event_of(self.work.statement).filter(|_| !faults::is_on(Fault::TableUnnoted));
        event.map(|event| Telling { event, elsewhere })
    }

    /// Returns whether the last hop is sent: the claims are gone with it.
    pub(super) fn has_ended(&self) -> bool {
        self.is_told
    }

    /// Returns what tells of changed rows.
    fn note(&self, count: u64) -> Option<TableStep> {
        let is_told = count > 0 && !faults::is_on(Fault::TableUnnoted);
        let event = parts::event_of(self.work.statement).filter(|_| is_told)?;
        Some(TableStep::Note {
            key: parts::key_of_table(self.schema()).into(),
            event,
            count,
        })
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
                TableOutcome::Holders(holders) => {
                    if let Some(meeting) = &mut self.meeting {
                        meeting.known.add(&meeting.asked, &holders);
                    }
                }
                TableOutcome::Refused(progress, refused) => {
                    on.progress = Some(progress);
                    refusal = refused.or(refusal);
                }
                // The changes are told of.
                TableOutcome::Done => {}
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
            Stage::Asking => match self.meeting.take() {
                Some(meeting) => self.decide_with(meeting.known),
                None => self.allow(),
            },
            Stage::Checking | Stage::Doing | Stage::DoingAtOnce
                if self.shards.iter().any(|on| !on.is_done) =>
            {
                Next::Pause
            }
            Stage::Checking if self.is_insert() => self.decide(),
            Stage::Checking => self.ask(),
            Stage::Doing | Stage::DoingAtOnce => Next::Done,
        }
    }

    fn take_partials(&mut self) -> Vec<Partial> {
        let partials = self.shards.iter_mut().filter_map(|on| on.partial.take());
        partials.map(|partial| *partial).collect()
    }

    /// Decides what becomes of the rows of an INSERT.
    fn decide(&mut self) -> Next {
        let mut partials = self.take_partials();
        let mut known = partials.len();
        if faults::is_on(Fault::UniqueUnasked) {
            known = known.min(1);
        }
        self.decide_with(Elsewhere::new(&mut partials[..known]))
    }

    fn decide_with(&mut self, mut known: Elsewhere) -> Next {
        let decisions = match known.decide(&self.work.plan) {
            Ok(Decided::All(decisions)) => decisions,
            Ok(Decided::Unknown(values)) => return self.ask_for_holders(known, values),
            Err(error) => return Next::Refused(error),
        };
        let (schema, now) = (self.work.plan.schema(), self.work.now_ms);
        let mut count = 0;
        for on in &mut self.shards {
            let is_here = |row| match schema.layout {
                Layout::Home => true,
                Layout::Spread { shards } => shard_of_row(row, shards) == on.shard,
            };
            let is_own = |decision: &&Decision| match decision {
                Decision::Insert(row) | Decision::Update(row) => is_here(*row),
                Decision::Skip => false,
            };
            on.planned_changes = u64_from(decisions.iter().filter(is_own).count());
            count += on.planned_changes;
            on.progress = (on.planned_changes > 0)
                .then(|| Box::new(Progress::deciding(now, decisions.clone())));
        }
        self.change(count)
    }

    /// Asks all shards which rows have values that stored ones are to get.
    fn ask_for_holders(&mut self, known: Elsewhere, values: Vec<Value>) -> Next {
        let (table, now_ms) = (self.work.plan.schema().id, self.work.now_ms);
        let asked = Arc::new(values);
        let step = |on: &OnShard| {
            let values = Arc::clone(&asked);
            let step = TableStep::Holders {
                table,
                values,
                now_ms,
            };
            (on.shard, step)
        };
        let steps = self.shards.iter().map(step).collect();
        self.stage = Stage::Asking;
        self.meeting = Some(Box::new(Meeting { known, asked }));
        Next::Hop(steps)
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
        if claims.is_empty() || faults::is_on(Fault::UniqueUnasked) {
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
        let mut count = 0;
        for on in &mut self.shards {
            if let Some(progress) = &mut on.progress {
                progress.allow();
                on.planned_changes = u64_from(progress.changes());
                count += on.planned_changes;
            }
        }
        self.change(count)
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
        let note = if self.is_told { None } else { self.note(count) };
        Ok(Finished { reply, note })
    }
}

impl OnShard {
    /// Returns the next step; nothing if there is none.
    fn step(&mut self, work: &Work, pace: Pace, telling: Option<Telling>) -> Option<TableStep> {
        Some(TableStep::Run {
            plan: Arc::clone(&work.plan),
            resp: work.resp,
            progress: self.progress.take()?,
            partial: self.partial.take().unwrap_or_default(),
            pace,
            telling,
        })
    }
}
