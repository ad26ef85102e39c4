//! The steps of a request over several shards.
//!
//! A program says what each shard does in the next hop, looks at what came back, and ends with a
//! reply. It knows nothing of claims and messages: those are the coordinator's.

use base::ids::{DbIndex, ShardId};
use commands::cursor;
use commands::parts::{self, CopyOptions};
use commands::sort;
use commands::spec::{CommandError, Join, Plan, Spread};
use protocol::args::PackedArgs;
use protocol::reply::Reply;
use protocol::value::skip_value;
use shard::keyspace::Detached;
use shard::loan::Loan;

use crate::lend::Lend;
use crate::message::{Operation, Outcome, OwnedRequest, Request, Watched};
use crate::sort::Sort;
use crate::step::{Base, HopOutcome, Program, Step, Surroundings, push_operation};
use crate::tables::TableProgram;

/// Creates the program of a request whose keys lie on several shards.
#[must_use]
pub fn program_of(around: Surroundings, request: Request<'_>) -> Box<dyn Program> {
    let Surroundings {
        map,
        databases,
        draw,
    } = around;
    let request_copy = OwnedRequest::new(request);
    let base = Base {
        map,
        request: request_copy,
        stage: 0,
        databases,
    };
    match request.command.spread {
        Spread::ByKey { step, join } => Box::new(ByKey {
            base,
            step,
            join,
            groups: Vec::new(),
        }),
        Spread::Everywhere(join) => Box::new(Everywhere { base, join }),
        Spread::OneShard => Box::new(OnOne { base }),
        Spread::Cursor => Box::new(Scan {
            base,
            shard: ShardId(0),
        }),
        Spread::Plan(Plan::SetIfNone) => Box::new(SetIfNone { base }),
        Spread::Plan(Plan::Rename) => Box::new(Rename {
            base,
            if_none: false,
        }),
        Spread::Plan(Plan::RenameIfNone) => Box::new(Rename {
            base,
            if_none: true,
        }),
        Spread::Plan(Plan::Copy) => Box::new(Copy {
            base,
            options: None,
        }),
        Spread::Plan(Plan::Sort) if sort::names_others(request.command, request.args) => {
            Box::new(Sort::new(base))
        }
        Spread::Plan(Plan::Lend | Plan::Sort) => Box::new(Lend::new(base)),
        Spread::Plan(Plan::RandomKey) => Box::new(RandomKey { base, draw }),
        Spread::Plan(Plan::Table(scope)) => Box::new(TableProgram::new(base, scope)),
    }
}

/// Returns the replies of a hop in which each shard ran one command.
fn replies(outcomes: &[HopOutcome]) -> impl Iterator<Item = &[u8]> {
    outcomes
        .iter()
        .flat_map(|it| &it.outcomes)
        .filter_map(|outcome| match outcome {
            Outcome::Reply { bytes, .. } => Some(bytes.as_slice()),
            Outcome::Lent(_)
            | Outcome::Replies(_)
            | Outcome::ReplyWith { .. }
            | Outcome::Elements(_)
            | Outcome::Values(_)
            | Outcome::Entry(_)
            | Outcome::Table(_)
            | Outcome::Integer(_)
            | Outcome::Done => None,
        })
}

/// Returns the first error among replies. All shards run the same command with the same options, so
/// any one speaks for all.
fn first_error(outcomes: &[HopOutcome]) -> Option<&[u8]> {
    replies(outcomes).find(|reply| reply.first() == Some(&b'-'))
}

fn integer_of(reply: &[u8]) -> i64 {
    let digits = reply
        .get(1..reply.len().saturating_sub(2))
        .unwrap_or_default();
    base::number::parse_i64(digits).unwrap_or_default()
}

fn sum_of_integers(outcomes: &[HopOutcome]) -> i64 {
    outcomes
        .iter()
        .flat_map(|it| &it.outcomes)
        .map(|outcome| match outcome {
            Outcome::Integer(value) => *value,
            Outcome::Reply { .. }
            | Outcome::Replies(_)
            | Outcome::Lent(_)
            | Outcome::ReplyWith { .. }
            | Outcome::Elements(_)
            | Outcome::Values(_)
            | Outcome::Entry(_)
            | Outcome::Table(_)
            | Outcome::Done => 0,
        })
        .sum()
}

/// One command on a single shard, as a step of something larger.
#[derive(Debug)]
struct OnOne {
    base: Base,
}

impl Program for OnOne {
    fn step(&mut self, outcomes: Vec<HopOutcome>) -> Step {
        if let Some(reply) = replies(&outcomes).next() {
            return Step::Done {
                reply: reply.to_vec(),
            };
        }
        let declaration = &self.base.request.command.declaration;
        let shard = commands::keys::first_key(declaration, self.base.args())
            .map_or(ShardId(0), |word| self.base.shard_of(word));
        let run = self.base.run(PackedArgs::from_args(self.base.args()));
        Step::Hop {
            operations: vec![(shard, vec![run])],
            last: true,
        }
    }
}

/// One step of a SCAN, on the shard that its cursor names.
#[derive(Debug)]
struct Scan {
    base: Base,
    shard: ShardId,
}

impl Program for Scan {
    fn step(&mut self, outcomes: Vec<HopOutcome>) -> Step {
        if let Some(reply) = replies(&outcomes).next() {
            return self.with_wire_cursor(reply);
        }
        let args = self.base.args();
        let cursor = match cursor::parse(args.word(1)) {
            Ok(cursor) => cursor,
            Err(error) => return self.base.fail(error),
        };
        let (shard, local) = cursor::unpack(cursor, self.base.map.shard_count());
        let mut words = PackedArgs::default();
        for (index, word) in args.iter().enumerate() {
            if index == 1 {
                words.push_word(local.to_string().as_bytes());
            } else {
                words.push_word(word);
            }
        }
        let run = self.base.run(words);
        self.shard = shard;
        Step::Hop {
            operations: vec![(shard, vec![run])],
            last: true,
        }
    }
}

impl Scan {
    /// Puts the client's cursor in the place of the shard's.
    fn with_wire_cursor(&self, reply: &[u8]) -> Step {
        if reply.first() == Some(&b'-') {
            return Step::Done {
                reply: reply.to_vec(),
            };
        }
        // An array of two: the cursor as a bulk string, then the keys.
        let mut lines = reply.splitn(4, |&byte| byte == b'\n');
        let (_, _, local, keys) = (lines.next(), lines.next(), lines.next(), lines.next());
        let digits = local
            .and_then(|line| line.strip_suffix(b"\r"))
            .unwrap_or_default();
        let local = base::number::parse_u64(digits).unwrap_or(0);
        let next = cursor::next_shard(self.shard, local, self.base.map.shard_count());
        self.base.done(|reply| {
            reply.array(2);
            reply.bulk(next.to_string().as_bytes());
            reply.raw(keys.unwrap_or_default());
        })
    }
}

/// Groups of words that each begin with a key: each shard gets its own.
#[derive(Debug)]
struct ByKey {
    base: Base,
    step: usize,
    join: Join,
    /// The shard of each group, in request order.
    groups: Vec<ShardId>,
}

impl Program for ByKey {
    fn step(&mut self, outcomes: Vec<HopOutcome>) -> Step {
        if !outcomes.is_empty() {
            return self.join(&outcomes);
        }
        let args = self.base.args();
        if !(args.len() - 1).is_multiple_of(self.step) {
            return self.base.fail(CommandError::WordCount);
        }
        let mut parts: Vec<(ShardId, PackedArgs)> = Vec::new();
        let mut groups = Vec::new();
        for first in (1..args.len()).step_by(self.step) {
            let shard = self.base.shard_of(first);
            groups.push(shard);
            let index = parts
                .iter()
                .position(|(at, _)| *at == shard)
                .unwrap_or_else(|| {
                    let mut words = PackedArgs::default();
                    words.push_word(args.word(0));
                    parts.push((shard, words));
                    parts.len() - 1
                });
            for word in first..args.len().min(first + self.step) {
                parts[index].1.push_word(args.word(word));
            }
        }
        let operations = parts
            .into_iter()
            .map(|(at, words)| (at, vec![self.base.run(words)]))
            .collect();
        self.groups = groups;
        Step::Hop {
            operations,
            last: true,
        }
    }
}

impl ByKey {
    fn join(&self, outcomes: &[HopOutcome]) -> Step {
        if let Some(error) = first_error(outcomes) {
            return Step::Done {
                reply: error.to_vec(),
            };
        }
        match self.join {
            Join::Interleave => self.interleave(outcomes),
            Join::AllOk | Join::Sum | Join::Concatenate | Join::Digest => self
                .base
                .done(|reply| join_replies(self.join, outcomes, reply)),
        }
    }

    /// Puts the elements of the shards' arrays back into the order of the keys.
    fn interleave(&self, outcomes: &[HopOutcome]) -> Step {
        let mut rests: Vec<(ShardId, &[u8])> = outcomes
            .iter()
            .zip(replies(outcomes))
            .map(|(outcome, reply)| (outcome.shard, after_header(reply)))
            .collect();
        self.base.done(|reply| {
            reply.array(self.groups.len());
            for shard in &self.groups {
                let rest = rests.iter_mut().find(|(at, _)| at == shard);
                let (_, rest) = rest.expect("each group's shard was asked");
                let length = length_of_value(rest);
                reply.raw(&rest[..length]);
                *rest = &rest[length..];
            }
        })
    }
}

/// Returns the length of the first value of a reply that a shard has written.
fn length_of_value(reply: &[u8]) -> usize {
    skip_value(reply).expect("a shard's reply is whole")
}

/// Returns what follows the first line of an array.
fn after_header(reply: &[u8]) -> &[u8] {
    let end = reply
        .iter()
        .position(|&byte| byte == b'\n')
        .map_or(reply.len(), |at| at + 1);
    &reply[end..]
}

/// Returns the number of elements that the first line of an array declares.
fn declared_elements(reply: &[u8]) -> usize {
    let line = reply
        .split(|&byte| byte == b'\r')
        .next()
        .unwrap_or_default();
    let count = base::number::parse_i64(line.get(1..).unwrap_or_default());
    count
        .and_then(|count| usize::try_from(count).ok())
        .unwrap_or(0)
}

fn join_replies(join: Join, outcomes: &[HopOutcome], reply: &mut Reply<'_>) {
    match join {
        Join::AllOk => reply.ok(),
        Join::Sum => reply.integer(replies(outcomes).map(integer_of).sum()),
        Join::Concatenate | Join::Interleave => {
            reply.array(replies(outcomes).map(declared_elements).sum());
            for part in replies(outcomes) {
                reply.raw(after_header(part));
            }
        }
        Join::Digest => {
            let mut digest = [0_u8; 20];
            for part in replies(outcomes) {
                for (index, byte) in digest.iter_mut().enumerate() {
                    *byte ^= hex_byte(part, 1 + 2 * index);
                }
            }
            let text: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            reply.simple(&text);
        }
    }
}

fn hex_byte(text: &[u8], at: usize) -> u8 {
    let digits = text
        .get(at..at + 2)
        .and_then(|pair| std::str::from_utf8(pair).ok());
    digits
        .and_then(|pair| u8::from_str_radix(pair, 16).ok())
        .unwrap_or(0)
}

/// The same words on every shard.
#[derive(Debug)]
struct Everywhere {
    base: Base,
    join: Join,
}

impl Program for Everywhere {
    fn step(&mut self, outcomes: Vec<HopOutcome>) -> Step {
        if outcomes.is_empty() {
            let run = |shard| {
                let args = PackedArgs::from_args(self.base.args());
                let operation = match self.join {
                    Join::Concatenate => Operation::Names(Box::new(self.base.request_with(args))),
                    Join::AllOk | Join::Sum | Join::Interleave | Join::Digest => {
                        self.base.run(args)
                    }
                };
                (shard, vec![operation])
            };
            let operations = self.base.map.shards().map(run).collect();
            return Step::Hop {
                operations,
                last: true,
            };
        }
        if let Some(error) = first_error(&outcomes) {
            return Step::Done {
                reply: error.to_vec(),
            };
        }
        self.base
            .done(|reply| join_replies(self.join, &outcomes, reply))
    }
}

/// What one shard has to do for an `MSETNX`.
struct PairsOfShard {
    shard: ShardId,
    /// The command on the pairs of this shard.
    words: PackedArgs,
    keys: Vec<Box<[u8]>>,
}

/// `MSETNX`: one hop looks whether a key exists, the next sets all.
#[derive(Debug)]
struct SetIfNone {
    base: Base,
}

impl Program for SetIfNone {
    fn step(&mut self, outcomes: Vec<HopOutcome>) -> Step {
        let args = self.base.args();
        let stage = self.base.stage;
        if stage == 0 && args.len().is_multiple_of(2) {
            return self.base.fail(CommandError::WordCount);
        }
        if stage == 1 && sum_of_integers(&outcomes) > 0 {
            return self.base.done(|reply| reply.integer(0));
        }
        if stage == 2 {
            let reply = replies(&outcomes).next().unwrap_or_default().to_vec();
            return Step::Done { reply };
        }
        let mut parts: Vec<PairsOfShard> = Vec::new();
        for word in (1..args.len()).step_by(2) {
            let shard = self.base.shard_of(word);
            let index = parts
                .iter()
                .position(|part| part.shard == shard)
                .unwrap_or_else(|| {
                    let mut words = PackedArgs::default();
                    words.push_word(args.word(0));
                    parts.push(PairsOfShard {
                        shard,
                        words,
                        keys: Vec::new(),
                    });
                    parts.len() - 1
                });
            parts[index].words.push_word(args.word(word));
            parts[index].words.push_word(args.word(word + 1));
            parts[index].keys.push(self.base.key(word));
        }
        let db = self.base.request.db;
        let operations = parts
            .into_iter()
            .map(|part| match stage {
                0 => {
                    let keys = part.keys;
                    (part.shard, vec![Operation::Exists { db, keys }])
                }
                _ => (part.shard, vec![self.base.run(part.words)]),
            })
            .collect();
        self.base.stage += 1;
        Step::Hop {
            operations,
            last: stage == 1,
        }
    }
}

/// `RENAME` and `RENAMENX`: borrow the value, then store it there and remove it here. A large value
/// moves as a pointer.
#[derive(Debug)]
struct Rename {
    base: Base,
    if_none: bool,
}

impl Rename {
    fn begin(&self) -> Step {
        let db = self.base.request.db;
        let lend = Operation::Lend {
            db,
            key: self.base.key(1),
            read: false,
            touch: self.base.request.touch,
        };
        let exists = Operation::Exists {
            db,
            keys: vec![self.base.key(2)],
        };
        Step::Hop {
            operations: vec![
                (self.base.shard_of(1), vec![lend]),
                (self.base.shard_of(2), vec![exists]),
            ],
            last: false,
        }
    }

    fn finish(&mut self, outcomes: Vec<HopOutcome>) -> Step {
        let (source, target) = (self.base.shard_of(1), self.base.shard_of(2));
        let db = self.base.request.db;
        let exists = sum_of_integers(&outcomes) > 0;
        let Some(loan) = take_loan(outcomes).filter(|loan| loan.value().is_some()) else {
            return self.base.fail(CommandError::NoSuchKey);
        };
        if self.if_none && exists {
            self.base.stage = REFUSED;
            return Step::Hop {
                operations: vec![(source, vec![Operation::Settle { db, loan }])],
                last: true,
            };
        }
        let Some(entry) = loan.into_detached() else {
            return self.base.fail(CommandError::NoSuchKey);
        };
        let remove = Operation::Remove {
            db,
            key: self.base.key(1),
            event: parts::RENAMED_FROM,
        };
        let store = Operation::Store {
            db,
            key: self.base.key(2),
            entry: Box::new(entry),
            event: parts::RENAMED_TO,
        };
        Step::Hop {
            operations: vec![(source, vec![remove]), (target, vec![store])],
            last: true,
        }
    }
}

/// The stage of a RENAMENX whose target exists.
const REFUSED: u8 = 10;

impl Program for Rename {
    fn step(&mut self, outcomes: Vec<HopOutcome>) -> Step {
        let stage = self.base.stage;
        self.base.stage += 1;
        match stage {
            0 => self.begin(),
            1 => self.finish(outcomes),
            _ if self.if_none => {
                let renamed = i64::from(stage < REFUSED);
                self.base.done(|reply| reply.integer(renamed))
            }
            _ => self.base.done(|reply| reply.ok()),
        }
    }
}

fn take_loan(outcomes: Vec<HopOutcome>) -> Option<Box<Loan>> {
    outcomes
        .into_iter()
        .flat_map(|it| it.outcomes)
        .find_map(|outcome| match outcome {
            Outcome::Lent(loan) => Some(loan),
            Outcome::Reply { .. }
            | Outcome::Replies(_)
            | Outcome::ReplyWith { .. }
            | Outcome::Elements(_)
            | Outcome::Values(_)
            | Outcome::Entry(_)
            | Outcome::Table(_)
            | Outcome::Integer(_)
            | Outcome::Done => None,
        })
}

fn take_entry(outcomes: Vec<HopOutcome>) -> Option<Box<Detached>> {
    outcomes
        .into_iter()
        .flat_map(|it| it.outcomes)
        .find_map(|outcome| match outcome {
            Outcome::Entry(entry) => entry,
            Outcome::Reply { .. }
            | Outcome::Replies(_)
            | Outcome::Lent(_)
            | Outcome::ReplyWith { .. }
            | Outcome::Elements(_)
            | Outcome::Values(_)
            | Outcome::Table(_)
            | Outcome::Integer(_)
            | Outcome::Done => None,
        })
}

/// `COPY`: fetch, then store.
#[derive(Debug)]
struct Copy {
    base: Base,
    options: Option<CopyOptions>,
}

impl Copy {
    fn target_db(&self) -> DbIndex {
        self.options
            .map_or(self.base.request.db, |options| options.target_db)
    }
}

impl Program for Copy {
    fn step(&mut self, outcomes: Vec<HopOutcome>) -> Step {
        let (source, target) = (self.base.shard_of(1), self.base.shard_of(2));
        let db = self.base.request.db;
        let stage = self.base.stage;
        self.base.stage += 1;
        match stage {
            0 => {
                match parts::parse_copy_options(self.base.args(), db, self.base.databases) {
                    Ok(options) => self.options = Some(options),
                    Err(error) => return self.base.fail(error),
                }
                let fetch = Operation::Fetch {
                    db,
                    key: self.base.key(1),
                    touch: self.base.request.touch,
                };
                let db = self.target_db();
                let exists = Operation::Exists {
                    db,
                    keys: vec![self.base.key(2)],
                };
                Step::Hop {
                    operations: vec![(source, vec![fetch]), (target, vec![exists])],
                    last: false,
                }
            }
            1 => {
                let exists = sum_of_integers(&outcomes) > 0;
                let replace = self.options.as_ref().is_some_and(|options| options.replace);
                match take_entry(outcomes) {
                    Some(entry) if replace || !exists => {
                        let db = self.target_db();
                        let store = Operation::Store {
                            db,
                            key: self.base.key(2),
                            entry,
                            event: parts::COPIED_TO,
                        };
                        Step::Hop {
                            operations: vec![(target, vec![store])],
                            last: true,
                        }
                    }
                    Some(_) | None => self.base.done(|reply| reply.integer(0)),
                }
            }
            _ => self.base.done(|reply| reply.integer(1)),
        }
    }
}

/// `RANDOMKEY`: draw a shard by its number of keys, then a key of it.
///
/// Sizes count dead keys. A shard that had no others has none left when it has said so, and another
/// is drawn: at most one round per shard, as it stays claimed meanwhile.
#[derive(Debug)]
struct RandomKey {
    base: Base,
    draw: u64,
}

impl Program for RandomKey {
    fn step(&mut self, outcomes: Vec<HopOutcome>) -> Step {
        let stage = self.base.stage;
        self.base.stage += 1;
        match stage {
            0 => {
                let db = self.base.request.db;
                let size = |shard| (shard, vec![Operation::Size { db }]);
                Step::Hop {
                    operations: self.base.map.shards().map(size).collect(),
                    last: false,
                }
            }
            1 => {
                let total = u64::try_from(sum_of_integers(&outcomes)).unwrap_or(0);
                if total == 0 {
                    return self.base.done(|reply| reply.null());
                }
                let mut rest = i64::try_from(self.draw % total).unwrap_or(0);
                let drawn = outcomes.iter().find(|outcome| {
                    rest -= sum_of_integers(std::slice::from_ref(outcome));
                    rest < 0
                });
                let shard = drawn.map_or(ShardId(0), |outcome| outcome.shard);
                let run = self.base.run(PackedArgs::from_args(self.base.args()));
                Step::Hop {
                    operations: vec![(shard, vec![run])],
                    last: false,
                }
            }
            _ => {
                let reply = replies(&outcomes).next().unwrap_or_default().to_vec();
                if is_null(&reply) {
                    self.base.stage = 0;
                    return self.step(Vec::new());
                }
                Step::Done { reply }
            }
        }
    }
}

/// Returns whether a reply that a shard has written is a null of either protocol.
fn is_null(reply: &[u8]) -> bool {
    reply.starts_with(b"_") || reply.starts_with(b"$-1")
}

/// `WATCH`: begins to watch keys on their shards.
#[derive(Debug)]
pub struct WatchKeys {
    db: DbIndex,
    keys: Vec<(ShardId, Box<[u8]>)>,
}

impl WatchKeys {
    /// Creates the program; `keys` are distinct, not watched by this client yet, and stand behind the shards
    /// that they are to be watched on.
    #[must_use]
    pub fn new(db: DbIndex, keys: Vec<(ShardId, Box<[u8]>)>) -> Self {
        Self { db, keys }
    }

    fn versions(&self, outcomes: Vec<HopOutcome>) -> Vec<Watched> {
        let mut watched = Vec::with_capacity(self.keys.len());
        for HopOutcome {
            shard, outcomes, ..
        } in outcomes
        {
            let keys = self.keys.iter().filter(|(at, _)| *at == shard);
            for ((_, key), outcome) in keys.zip(outcomes) {
                if let Outcome::Integer(version) = outcome {
                    let version = version.cast_unsigned();
                    watched.push(Watched {
                        shard,
                        db: self.db,
                        key: key.clone(),
                        version,
                    });
                }
            }
        }
        watched
    }
}

impl Program for WatchKeys {
    fn step(&mut self, outcomes: Vec<HopOutcome>) -> Step {
        if !outcomes.is_empty() {
            return Step::Watching {
                watched: self.versions(outcomes),
            };
        }
        let mut operations = Vec::new();
        for (shard, key) in &self.keys {
            let mut same = self.keys.iter().filter(|(_, other)| other == key);
            let watch = Operation::Watch {
                db: self.db,
                key: key.clone(),
                is_alone: same.nth(1).is_none(),
            };
            push_operation(&mut operations, *shard, watch);
        }
        Step::Hop {
            operations,
            last: true,
        }
    }
}
