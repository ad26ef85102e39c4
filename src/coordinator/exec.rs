//! The steps of MULTI/EXEC.
//!
//! The whole transaction runs under one claim, so no one sees a part of it. Within it, commands that
//! need one shard each are sent together, each shard getting its own in order; a command over
//! several shards is a hop or more of its own between them. Commands that work on no shard (`PING`,
//! `CONFIG GET`) are answered by the coordinator after the last hop, in their order: they neither see
//! nor change data, so nobody can tell. Those that do look at data (`INFO`, `DEBUG`) are answered
//! where they stand. A command of the coordinator with a program of its own (`EVAL`) is a [`Part`]; its
//! claims are among those of the whole.

use base::ids::{DbIndex, ShardId};
use commands::spec::Spread;
use protocol::args::Args;
use protocol::reply::{Reply, Resp};
use shard::Shard;
use shard::locks::{Claim, Mode};

use crate::host::add_claim;
use crate::message::queue::{Queue, Queued};
use crate::message::{Operation, Outcome, Request, Watched};
use crate::program::program_of;
use crate::route::{Route, SlotMap, route};
use crate::step::{HopOutcome, Program, Step, Surroundings, push_operation};

/// A program that stands for one of the commands.
#[derive(Debug)]
pub struct Part {
    /// The index of the command.
    pub index: usize,
    /// What it claims.
    pub claims: Vec<(ShardId, Claim)>,
    /// Its steps.
    pub program: Box<dyn Program>,
}

/// Names the command that a part asks for in [`Step::Ask`].
const OF_PART: usize = usize::MAX;

/// What the program waits for.
#[derive(Debug, PartialEq, Eq)]
enum Awaited {
    Nothing,
    /// Whether watched keys are as they were, before anything else runs.
    Check,
    /// The replies of commands.
    Batch,
    /// A step of a command over several shards.
    Part,
    /// The reply of a command of the coordinator that a part asks for.
    AnswerToPart,
    /// The reply of a command of the coordinator.
    Answer(usize),
}

/// The program of one EXEC.
#[derive(Debug)]
pub struct Exec {
    around: Surroundings,
    map: SlotMap,
    me: ShardId,
    resp: Resp,
    watched: Vec<Watched>,
    /// The commands, with their replies as far as these have come.
    queue: Queue,
    next: usize,
    /// The commands of the coordinator before this one have been answered or left for the end.
    next_control: usize,
    part: Option<Box<dyn Program>>,
    /// The programs of commands to come.
    parts: Vec<Part>,
    awaited: Awaited,
}

impl Exec {
    /// Creates the program of an EXEC on core `me`.
    #[must_use]
    pub fn new(
        around: Surroundings,
        me: ShardId,
        resp: Resp,
        watched: Vec<Watched>,
        queue: Queue,
    ) -> Self {
        Self {
            around,
            map: around.map,
            me,
            resp,
            watched,
            queue,
            next: 0,
            next_control: 0,
            part: None,
            parts: Vec::new(),
            awaited: Awaited::Nothing,
        }
    }

    /// Adds programs that stand for some of the queued commands of the coordinator.
    #[must_use]
    pub fn with_parts(mut self, parts: Vec<Part>) -> Self {
        self.parts = parts;
        self
    }

    /// Returns what the transaction claims on each shard it needs. `shard` is any shard: all hash
    /// alike.
    #[must_use]
    pub fn claims(&self, shard: &Shard) -> Vec<(ShardId, Claim)> {
        let mut claims: Vec<(ShardId, Claim)> = Vec::new();
        for watched in &self.watched {
            let at = watched.shard;
            let hash = shard.key(&watched.key).hash;
            let key = (hash, Mode::Shared);
            claim_at(&mut claims, at).keys.push(key);
        }
        for (at, claim) in self.parts.iter().flat_map(|part| &part.claims) {
            let all = claim_at(&mut claims, *at);
            all.keys.extend_from_slice(&claim.keys);
            all.whole = match (all.whole, claim.whole) {
                (Some(Mode::Exclusive), _) | (_, Some(Mode::Exclusive)) => Some(Mode::Exclusive),
                (some, None) | (None, some) => some,
                (Some(Mode::Shared), Some(Mode::Shared)) => Some(Mode::Shared),
            };
        }
        for request in self.queue.requests() {
            for at in self.shards_of(&request) {
                let claim = claim_at(&mut claims, at);
                add_claim(shard, request.command, request.args, claim);
            }
        }
        claims
    }

    fn route_of(&self, request: &Request<'_>) -> Route {
        match route(self.map, request.command, request.args) {
            Route::Anywhere => Route::One(self.me),
            Route::Cursor => Route::One(cursor_shard(self.map, request)),
            other @ (Route::One(_) | Route::Several(_)) => other,
        }
    }

    fn shards_of(&self, request: &Request<'_>) -> Vec<ShardId> {
        match self.route_of(request) {
            Route::One(shard) => vec![shard],
            Route::Several(shards) if !shards.is_empty() => shards,
            Route::Several(_) | Route::Anywhere | Route::Cursor => self.map.shards().collect(),
        }
    }

    fn check(&self) -> Vec<(ShardId, Vec<Operation>)> {
        let mut by_shard: Vec<(ShardId, Vec<Watched>)> = Vec::new();
        for watched in &self.watched {
            let at = watched.shard;
            match by_shard.iter_mut().find(|(shard, _)| *shard == at) {
                Some((_, list)) => list.push(watched.clone()),
                None => by_shard.push((at, vec![watched.clone()])),
            }
        }
        by_shard
            .into_iter()
            .map(|(at, list)| (at, vec![Operation::CheckWatches(list)]))
            .collect()
    }

    /// Takes what the last hop gave. Returns a step if it is already decided.
    fn take(&mut self, outcomes: Vec<HopOutcome>) -> Option<Step> {
        match std::mem::replace(&mut self.awaited, Awaited::Nothing) {
            Awaited::Nothing | Awaited::Answer(_) => None,
            Awaited::Check => is_changed(&outcomes).then(|| self.aborted()),
            Awaited::Batch => {
                if is_changed(&outcomes) {
                    return Some(self.aborted());
                }
                for outcome in outcomes.iter().flat_map(|hop| &hop.outcomes) {
                    if let Outcome::Replies(part) = outcome {
                        self.queue.take_part(part);
                    }
                }
                None
            }
            Awaited::Part => {
                let nanos = outcomes.iter().map(|it| it.nanos).sum();
                self.queue.add_nanos(self.next, nanos);
                let part = self.part.as_mut().expect("a part is under way");
                let step = part.step(outcomes);
                self.take_part(step)
            }
            Awaited::AnswerToPart => {
                let part = self.part.as_mut().expect("a part is under way");
                let step = part.step(outcomes);
                self.take_part(step)
            }
        }
    }

    fn take_part(&mut self, mut step: Step) -> Option<Step> {
        while matches!(step, Step::Again) {
            let part = self.part.as_mut().expect("a part is under way");
            step = part.step(Vec::new());
        }
        match step {
            Step::Hop { operations, last } => {
                self.awaited = Awaited::Part;
                let last = last && !self.has_shard_work_from(self.next + 1);
                Some(Step::Hop { operations, last })
            }
            Step::Done { reply } => {
                self.queue.set_reply(self.next, &reply);
                self.next += 1;
                self.part = None;
                None
            }
            Step::Pause | Step::Yield => {
                self.awaited = Awaited::Part;
                Some(Step::Pause)
            }
            Step::Ask(_) => {
                self.awaited = Awaited::AnswerToPart;
                Some(Step::Ask(OF_PART))
            }
            Step::Attempt { .. } | Step::Again | Step::Watching { .. } | Step::Waiting => {
                unreachable!("no part of an EXEC claims, watches or waits")
            }
        }
    }

    /// Returns whether claims are needed for a command from `index` on.
    fn has_shard_work_from(&self, index: usize) -> bool {
        let rest = (index..self.queue.len()).filter_map(|index| self.queue.get(index));
        rest.into_iter().any(|queued| match queued {
            Queued::Shard(_) => true,
            Queued::Control { sees_data, .. } => sees_data,
        })
    }

    fn aborted(&mut self) -> Step {
        self.queue.abort();
        self.done()
    }

    /// Collects commands from `next` on up to the first that needs several shards; each shard gets its
    /// own, behind what `operations` has for it.
    fn batch(&mut self, mut operations: Vec<(ShardId, Vec<Operation>)>) -> Option<Step> {
        let mut parts: Vec<(ShardId, Box<Queue>)> = Vec::new();
        while let Some(queued) = self.queue.get(self.next) {
            match queued {
                Queued::Shard(request) => {
                    let Route::One(shard) = self.route_of(&request) else {
                        break;
                    };
                    if request.command.spread == Spread::Cursor {
                        break;
                    }
                    let index = parts
                        .iter()
                        .position(|(at, _)| *at == shard)
                        .unwrap_or_else(|| {
                            parts.push((shard, Box::default()));
                            parts.len() - 1
                        });
                    parts[index].1.push_part(&self.queue, self.next);
                }
                Queued::Control { sees_data, .. } => {
                    if sees_data {
                        break;
                    }
                }
            }
            self.next += 1;
        }
        for (shard, part) in parts {
            push_operation(&mut operations, shard, Operation::RunAll(part));
        }
        if operations.is_empty() {
            return None;
        }
        self.awaited = Awaited::Batch;
        let last = !self.has_shard_work_from(self.next);
        Some(Step::Hop { operations, last })
    }

    fn begin_part(&mut self) -> Option<Step> {
        let mut part = match self.queue.get(self.next)? {
            Queued::Shard(request) => program_of(self.around, request),
            Queued::Control { .. } => {
                let at = self.parts.iter().position(|part| part.index == self.next)?;
                // It answers for itself, so it is not asked for.
                self.next_control = self.next_control.max(self.next + 1);
                self.parts.swap_remove(at).program
            }
        };
        let step = part.step(Vec::new());
        self.part = Some(part);
        self.take_part(step)
    }

    /// Asks for the reply to the next command of the coordinator before `end`: those that change
    /// what later ones answer (`SELECT`, `HELLO`) keep their order among each other.
    fn ask(&mut self, end: usize) -> Option<Step> {
        let is_control = |index: &usize| {
            let queued = self.queue.get(*index);
            matches!(queued, Some(Queued::Control { .. }))
        };
        let index = (self.next_control..end).find(is_control)?;
        self.next_control = index + 1;
        self.awaited = Awaited::Answer(index);
        Some(Step::Ask(index))
    }

    fn done(&self) -> Step {
        let mut out = Vec::new();
        self.queue.write_reply(&mut Reply {
            out: &mut out,
            resp: self.resp,
        });
        Step::Done { reply: out }
    }
}

impl Program for Exec {
    fn step(&mut self, outcomes: Vec<HopOutcome>) -> Step {
        if let Some(step) = self.take(outcomes) {
            return step;
        }
        if !self.watched.is_empty() {
            let check = self.check();
            self.watched.clear();
            // On one shard the check leads the batch, and a failed check stops it there. On several,
            // no shard may run before all have checked.
            if self.is_on_one_shard(&check) {
                if let Some(step) = self.batch(check) {
                    return step;
                }
            } else {
                self.awaited = Awaited::Check;
                return Step::Hop {
                    operations: check,
                    last: !self.has_shard_work_from(0),
                };
            }
        }
        loop {
            if let Some(step) = self.batch(Vec::new()) {
                return step;
            }
            if self.next >= self.queue.len() {
                return self.ask(self.next).unwrap_or_else(|| self.done());
            }
            if let Some(Queued::Control { .. }) = self.queue.get(self.next) {
                let is_part = self.parts.iter().any(|part| part.index == self.next);
                let end = if is_part { self.next } else { self.next + 1 };
                if let Some(step) = self.ask(end) {
                    return step;
                }
                if !is_part {
                    self.next += 1;
                    continue;
                }
            }
            if let Some(step) = self.begin_part() {
                return step;
            }
        }
    }

    fn answer(&mut self, reply: Vec<u8>) {
        match self.awaited {
            Awaited::Answer(index) => self.queue.set_reply(index, &reply),
            Awaited::AnswerToPart => {
                if let Some(part) = &mut self.part {
                    part.answer(reply);
                }
            }
            Awaited::Nothing | Awaited::Check | Awaited::Batch | Awaited::Part => {}
        }
    }

    fn executed(&mut self) -> Option<Queue> {
        Some(std::mem::take(&mut self.queue))
    }

    fn asks_as(&self) -> Option<(DbIndex, Resp)> {
        self.part.as_ref()?.asks_as()
    }

    fn control_args(&self, index: usize) -> Option<Args<'_>> {
        if index == OF_PART {
            return self.part.as_ref()?.control_args(index);
        }
        match self.queue.get(index) {
            Some(Queued::Control { args, .. }) => Some(args),
            Some(Queued::Shard(_)) | None => None,
        }
    }
}

impl Exec {
    fn is_on_one_shard(&self, check: &[(ShardId, Vec<Operation>)]) -> bool {
        let [(only, _)] = check else { return false };
        self.queue.iter().all(|queued| match queued {
            Queued::Shard(request) => self.shards_of(&request) == [*only],
            Queued::Control { sees_data, .. } => !sees_data,
        })
    }
}

fn claim_at(claims: &mut Vec<(ShardId, Claim)>, at: ShardId) -> &mut Claim {
    let index = claims
        .iter()
        .position(|(shard, _)| *shard == at)
        .unwrap_or_else(|| {
            claims.push((
                at,
                Claim {
                    keys: Vec::new(),
                    whole: None,
                },
            ));
            claims.len() - 1
        });
    &mut claims[index].1
}

fn is_changed(outcomes: &[HopOutcome]) -> bool {
    // Only a watch check gives a number in a batch.
    outcomes
        .iter()
        .flat_map(|it| &it.outcomes)
        .any(|it| matches!(it, Outcome::Integer(0)))
}

fn cursor_shard(map: SlotMap, request: &Request<'_>) -> ShardId {
    let cursor = request
        .args
        .get(1)
        .and_then(|word| commands::cursor::parse(word).ok())
        .unwrap_or(0);
    commands::cursor::unpack(cursor, map.shard_count()).0
}
