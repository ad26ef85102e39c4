//! A core's receiving side: its shard, the claims on it, and what waits for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base::clock::{Monotonic, UnixMillis};
use base::hash::Map;
use base::ids::{DbIndex, ShardId, TxId};
use base::random::Random;
use commands::loans::Loans;
use commands::long_reply::LongReply;
use commands::parts;
use commands::run;
use commands::sort;
use commands::spec::{Context, Flags, Plan, ShardCommand, Spread};
use protocol::args::{Args, LargeWord};
use protocol::reply::Reply;
use runtime::clock::monotonic;
use shard::Shard;
use shard::loan::Loan;
use shard::locks::{Claim, LockTable, Mode, Scheduled};

use crate::long_reply::GivenWalk;
use crate::message::{
    Envelope, LateReply, Message, Operation, Origin, Outcome, OwnedRequest, Request, SortStep,
    Watched,
};

/// No claims are kept and every hop runs at once: a build that is wrong on purpose, so that the
/// checkers of atomicity can show that they find it. Never for use.
const BYPASS: bool = cfg!(feature = "bypass-scheduler");

/// Hands out transaction ids; shared by all cores of a node.
#[derive(Clone, Debug, Default)]
pub struct TxIds(Arc<AtomicU64>);

impl TxIds {
    /// Returns an id larger than every id handed out before.
    #[must_use]
    pub fn next(&self) -> TxId {
        TxId(self.0.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// One core's shard and what goes on at it.
#[derive(Debug)]
pub struct Host {
    /// The data.
    pub shard: Shard,
    /// Messages to other cores, in order; the core loop sends them.
    pub outbox: Vec<(ShardId, Message)>,
    /// Counts so far.
    pub counters: Counters,
    me: ShardId,
    pub(crate) ids: TxIds,
    pub(crate) locks: LockTable,
    /// Values that long replies walk over.
    pub(crate) walks: Vec<GivenWalk>,
    parked: Map<TxId, Parked>,
    /// The largest id of a transaction over several shards that has left here. One that comes later
    /// with a smaller id might stand before that one elsewhere, so it has to come back with a new id.
    passed: TxId,
    random: Random,
}

/// Counts of what happened at a shard.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Requests that came from other cores.
    pub remote_requests: u64,
    /// Envelopes that brought them.
    pub envelopes: u64,
    /// Requests that had to wait for a transaction.
    pub parked: u64,
    /// Claims of transactions over several shards.
    pub scheduled: u64,
    /// Claims refused because they came too late.
    pub refused: u64,
}

/// What waits for a claim to be granted.
#[derive(Debug)]
enum Parked {
    /// A request for this shard alone.
    Single {
        from: ShardId,
        origin: Origin,
        request: OwnedRequest,
    },
    /// A transaction for this shard alone; `tx` is the coordinator's name for it.
    Alone {
        from: ShardId,
        tx: TxId,
        operations: Vec<Operation>,
    },
    /// A hop of a transaction over several shards.
    Hop {
        from: ShardId,
        operations: Vec<Operation>,
        last: bool,
    },
}

/// A request that has just run, for a connection of core `to`.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) to: ShardId,
    pub(crate) origin: Origin,
    pub(crate) request: OwnedRequest,
    pub(crate) started: Monotonic,
}

impl Host {
    /// Creates the receiving side of core `me`.
    #[must_use]
    pub fn new(me: ShardId, shard: Shard, ids: TxIds) -> Self {
        let seed = runtime::clock::random_seed();
        Self {
            shard,
            outbox: Vec::new(),
            counters: Counters::default(),
            me,
            ids,
            locks: LockTable::default(),
            walks: Vec::new(),
            parked: Map::default(),
            passed: TxId(0),
            random: Random::new(seed.0 ^ seed.1),
        }
    }

    /// Sets the time that the requests of this turn see.
    pub fn set_now(&mut self, now: UnixMillis) {
        self.shard.set_now(now);
    }

    /// Runs a request, whatever is claimed: the caller has looked at [`Self::may_run`]. Returns its reply
    /// if that is made in steps, for [`Self::begin_long`]; nothing was written then.
    #[inline]
    #[must_use = "a reply that is made in steps is not in `out`"]
    pub fn run(&mut self, request: Request<'_>, out: &mut Vec<u8>) -> Option<Box<LongReply>> {
        run_on(&mut self.shard, &mut self.random, request, out)
    }

    /// As [`Self::run`], for those who need the whole reply at once, however long it is.
    pub fn run_whole(&mut self, request: Request<'_>, out: &mut Vec<u8>) {
        let (shard, random) = (&mut self.shard, &mut self.random);
        let foreign = run_with(shard, random, request, Loans::default(), out);
        debug_assert!(foreign.is_empty(), "nothing was lent from elsewhere");
    }

    /// Returns whether a request may run now, before all that waits here.
    #[inline]
    #[must_use]
    pub fn may_run(&self, request: &Request<'_>) -> bool {
        BYPASS || self.locks.is_empty() || !self.locks.claim_conflicts(&self.claim_of(request))
    }

    /// Returns whether a hop may run now.
    fn is_granted(&self, tx: TxId) -> bool {
        BYPASS || self.locks.is_granted(tx)
    }

    /// Returns what a request claims.
    #[must_use]
    pub fn claim_of(&self, request: &Request<'_>) -> Claim {
        let mut claim = Claim {
            keys: Vec::new(),
            whole: None,
        };
        add_claim(
            &self.shard,
            request.command,
            request.db,
            request.args,
            &mut claim,
        );
        if request.command.walks {
            // The value is away for as long as a long reply walks over it.
            for (_, mode) in &mut claim.keys {
                *mode = Mode::Exclusive;
            }
        }
        claim
    }

    /// Keeps a request of core `from` until it may run; its reply goes out as
    /// [`Message::LateReply`].
    pub fn park(&mut self, from: ShardId, origin: Origin, request: Request<'_>) {
        self.counters.parked += 1;
        let claim = self.claim_of(&request);
        let id = self.ids.next();
        let parked = Parked::Single {
            from,
            origin,
            request: OwnedRequest::new(request),
        };
        self.schedule_here(id, claim, parked);
    }

    /// Takes a new id's claim and keeps what it is for. A new id is larger than all others, so it
    /// cannot be refused; if it is granted at once it runs at once.
    fn schedule_here(&mut self, id: TxId, claim: Claim, parked: Parked) {
        match self.locks.schedule(id, claim) {
            Scheduled::Granted => {
                self.parked.insert(id, parked);
                self.run_granted(vec![id]);
            }
            Scheduled::Waiting => {
                self.parked.insert(id, parked);
            }
            Scheduled::Refused => {
                unreachable!("only larger ids refuse, and this one is the largest")
            }
        }
    }

    /// Takes a message of core `from` that is meant for the shard.
    ///
    /// # Panics
    ///
    /// If the message is an answer, which belongs to the coordinator.
    pub fn receive(&mut self, from: ShardId, message: Message) {
        match message {
            Message::Requests(envelope) => self.run_envelope(from, envelope),
            Message::Schedule { tx, claim } => self.schedule(from, tx, claim),
            Message::Hop {
                tx,
                operations,
                last,
            } => {
                if self.is_granted(tx) {
                    self.run_hop(from, tx, operations, last);
                } else {
                    self.parked.insert(
                        tx,
                        Parked::Hop {
                            from,
                            operations,
                            last,
                        },
                    );
                }
            }
            Message::Alone {
                tx,
                claim,
                operations,
            } => self.alone(from, tx, claim, operations),
            Message::Release { tx } => self.release(tx),
            Message::Return { tx, db, loan } => self.take_back(tx, db, *loan),
            Message::Replies(_)
            | Message::LateReply(_)
            | Message::Long(_)
            | Message::Wanted { .. }
            | Message::Scheduled { .. }
            | Message::HopDone { .. } => unreachable!("answers go to the coordinator"),
        }
    }

    pub(crate) fn send(&mut self, to: ShardId, message: Message) {
        self.outbox.push((to, message));
    }

    fn run_envelope(&mut self, from: ShardId, mut envelope: Box<Envelope>) {
        self.counters.envelopes += 1;
        let mut replies = std::mem::take(&mut envelope.replies);
        self.prefetch(&mut envelope);
        let mut started = monotonic();
        for index in 0..envelope.entries().len() {
            self.counters.remote_requests += 1;
            let request = envelope.request(index);
            let origin = envelope.entries()[index].origin;
            let mut is_late = false;
            if self.may_run(&request) {
                let later = run_on(&mut self.shard, &mut self.random, request, &mut replies);
                if let Some(later) = later {
                    is_late = true;
                    let ran = Ran {
                        to: from,
                        origin,
                        request: OwnedRequest::new(request),
                        started,
                    };
                    self.hand_over(ran, *later);
                }
            } else {
                is_late = true;
                self.park(from, origin, request);
            }
            let ended = monotonic();
            let entry = &mut envelope.entries_mut()[index];
            entry.is_late = is_late;
            entry.nanos = u32::try_from(ended.nanos_since(started)).unwrap_or(u32::MAX);
            entry.reply_end = replies.len();
            started = ended;
        }
        envelope.replies = replies;
        self.send(from, Message::Replies(envelope));
    }

    /// Starts the memory accesses of all requests before the first of them runs, and notes the hashes
    /// of their keys.
    fn prefetch(&self, envelope: &mut Envelope) {
        for index in 0..envelope.entries().len() {
            let request = envelope.request(index);
            let declaration = &request.command.declaration;
            // Word 1 is the key of nearly all commands; only its hash can be kept.
            if commands::keys::first_key(declaration, request.args) == Some(1) {
                let hash = self.shard.key(request.args.word(1)).hash;
                self.shard.prefetch_bucket(request.db, hash);
                envelope.entries_mut()[index].first_hash = Some(hash);
            }
        }
        for entry in envelope.entries() {
            if let Some(hash) = entry.first_hash {
                self.shard.prefetch_entry(entry.db, hash);
            }
        }
    }

    fn schedule(&mut self, from: ShardId, tx: TxId, claim: Claim) {
        self.counters.scheduled += 1;
        let accepted =
            BYPASS || tx > self.passed && self.locks.schedule(tx, claim) != Scheduled::Refused;
        if !accepted {
            self.counters.refused += 1;
        }
        self.send(from, Message::Scheduled { tx, accepted });
    }

    fn alone(&mut self, from: ShardId, tx: TxId, claim: Claim, operations: Vec<Operation>) {
        if BYPASS || self.locks.is_empty() || !self.locks.claim_conflicts(&claim) {
            self.answer_hop(from, tx, operations);
        } else {
            self.counters.parked += 1;
            let id = self.ids.next();
            self.schedule_here(
                id,
                claim,
                Parked::Alone {
                    from,
                    tx,
                    operations,
                },
            );
        }
    }

    fn run_hop(&mut self, from: ShardId, tx: TxId, operations: Vec<Operation>, last: bool) {
        if !BYPASS {
            self.locks.start(tx);
        }
        self.answer_hop(from, tx, operations);
        if last {
            self.release(tx);
        }
    }

    fn release(&mut self, tx: TxId) {
        if BYPASS {
            return;
        }
        self.parked.remove(&tx);
        let mut granted = Vec::new();
        self.leave(tx, &mut granted);
        self.run_granted(granted);
    }

    /// Ends the claim of a transaction over several shards.
    fn leave(&mut self, tx: TxId, granted: &mut Vec<TxId>) {
        self.passed = self.passed.max(tx);
        self.locks.release(tx, granted);
    }

    /// Runs what became free, in the order of ids; each that ends may free others.
    pub(crate) fn run_granted(&mut self, mut granted: Vec<TxId>) {
        let mut next = 0;
        while next < granted.len() {
            let tx = granted[next];
            next += 1;
            match self.parked.remove(&tx) {
                Some(Parked::Single {
                    from,
                    origin,
                    request,
                }) => {
                    self.locks.start(tx);
                    if self.run_single(tx, from, origin, request) {
                        self.locks.release(tx, &mut granted);
                    }
                }
                Some(Parked::Alone {
                    from,
                    tx: name,
                    operations,
                }) => {
                    self.locks.start(tx);
                    self.answer_hop(from, name, operations);
                    self.locks.release(tx, &mut granted);
                }
                Some(Parked::Hop {
                    from,
                    operations,
                    last,
                }) => {
                    self.locks.start(tx);
                    self.answer_hop(from, tx, operations);
                    if last {
                        self.leave(tx, &mut granted);
                    }
                }
                // Granted before its hop came: the hop will find it so.
                None => {}
            }
        }
    }

    /// Runs a request that has waited. Returns whether its claim ends with it: not if its reply walks
    /// over the value.
    fn run_single(
        &mut self,
        tx: TxId,
        from: ShardId,
        origin: Origin,
        request: OwnedRequest,
    ) -> bool {
        let mut reply = Vec::new();
        let started = monotonic();
        let later = run_on(
            &mut self.shard,
            &mut self.random,
            request.as_request(),
            &mut reply,
        );
        if let Some(later) = later {
            let ran = Ran {
                to: from,
                origin,
                request,
                started,
            };
            return self.hand_over_under(tx, ran, *later);
        }
        let nanos = monotonic().nanos_since(started);
        let late = LateReply {
            origin,
            request,
            reply,
            nanos,
        };
        self.send(from, Message::LateReply(Box::new(late)));
        true
    }

    /// Runs the operations of a hop and tells core `to` what they gave and how long they took.
    fn answer_hop(&mut self, to: ShardId, tx: TxId, operations: Vec<Operation>) {
        let started = monotonic();
        let outcomes = self.run_operations(operations, started);
        let nanos = monotonic().nanos_since(started);
        let message = Message::HopDone {
            tx,
            outcomes,
            nanos,
        };
        self.send(to, message);
    }

    fn run_operations(&mut self, operations: Vec<Operation>, begun: Monotonic) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(operations.len());
        let mut started = begun;
        for operation in operations {
            let is_check = matches!(operation, Operation::CheckWatches(_));
            let outcome = self.run_operation(operation, &mut started);
            let is_changed = is_check && matches!(outcome, Outcome::Integer(0));
            outcomes.push(outcome);
            if is_changed {
                break;
            }
        }
        outcomes
    }

    fn run_operation(&mut self, operation: Operation, started: &mut Monotonic) -> Outcome {
        match operation {
            Operation::Run(mut request) => {
                if let Some(large) = request.large.take() {
                    return self.run_large(&request, large, started);
                }
                let (bytes, nanos, _) = self.run_timed(&request, Loans::default(), started);
                Outcome::Reply { bytes, nanos }
            }
            Operation::Lend {
                db,
                key,
                read,
                touch,
            } => {
                let key = self.shard.key(&key);
                Outcome::Lent(Box::new(self.shard.db(db).lend(key, read, touch)))
            }
            Operation::RunWith { request, loans } => {
                let loans = Loans::foreign(loans);
                let (bytes, nanos, loans) = self.run_timed(&request, loans, started);
                Outcome::ReplyWith {
                    bytes,
                    nanos,
                    loans,
                }
            }
            Operation::Settle { db, loan } => {
                run::settle(&mut self.shard, db, *loan);
                Outcome::Done
            }
            Operation::Fetch { db, key, touch } => {
                Outcome::Entry(parts::fetch(&mut self.shard, db, &key, touch).map(Box::new))
            }
            Operation::Store {
                db,
                key,
                entry,
                event,
            } => {
                parts::store(&mut self.shard, db, &key, *entry);
                parts::tell(&mut self.shard, db, event, &key);
                Outcome::Done
            }
            Operation::Remove { db, key, event } => {
                let hashed = self.shard.key(&key);
                let existed = self.shard.db(db).remove(hashed);
                if existed {
                    parts::tell(&mut self.shard, db, event, &key);
                }
                Outcome::Integer(i64::from(existed))
            }
            Operation::Exists { db, keys } => {
                let count = keys
                    .iter()
                    .filter(|key| parts::exists(&mut self.shard, db, key));
                Outcome::Integer(base::cast::i64_from(count.count()))
            }
            Operation::Size { db } => {
                Outcome::Integer(base::cast::i64_from(self.shard.db(db).len()))
            }
            Operation::Watch { db, key } => {
                Outcome::Integer(self.shard.watch(db, &key).cast_signed())
            }
            Operation::Sort(step) => self.run_sort_step(step),
            Operation::CheckWatches(watched) => {
                Outcome::Integer(i64::from(self.check_watches(&watched)))
            }
        }
    }

    fn run_sort_step(&mut self, step: SortStep) -> Outcome {
        match step {
            SortStep::Elements {
                db,
                key,
                touch,
                order,
            } => {
                let taken = sort::elements(&mut self.shard, db, &key, touch, order);
                Outcome::Elements(Box::new(taken))
            }
            SortStep::LookUp {
                db,
                keys,
                field,
                touch,
            } => {
                let field = field.as_deref();
                Outcome::Values(sort::look_up(&mut self.shard, db, &keys, field, touch))
            }
            SortStep::Store { db, key, shown } => {
                sort::store(&mut self.shard, db, &key, &shown);
                Outcome::Done
            }
        }
    }

    /// Runs a request as a step of a hop; returns its reply, its time since `started`, which moves on,
    /// and the loans that go back to other shards.
    fn run_timed(
        &mut self,
        request: &OwnedRequest,
        loans: Loans,
        started: &mut Monotonic,
    ) -> (Vec<u8>, u64, Vec<Loan>) {
        let mut bytes = Vec::new();
        let (shard, random) = (&mut self.shard, &mut self.random);
        let loans = run_with(shard, random, request.as_request(), loans, &mut bytes);
        let ended = monotonic();
        let nanos = ended.nanos_since(*started);
        *started = ended;
        (bytes, nanos, loans)
    }

    /// Runs a request of which a long word came by itself.
    fn run_large(
        &mut self,
        request: &OwnedRequest,
        large: LargeWord,
        started: &mut Monotonic,
    ) -> Outcome {
        let mut bytes = Vec::new();
        let (shard, random) = (&mut self.shard, &mut self.random);
        let wanted = request.as_request();
        let mut context = context_of(shard, random, &wanted, Loans::default(), &mut bytes);
        run::run_large(request.command, &mut context, wanted.args, large);
        run::finish_now(&mut context, wanted.args);
        run::end(&mut context);
        let ended = monotonic();
        let nanos = ended.nanos_since(*started);
        *started = ended;
        Outcome::Reply { bytes, nanos }
    }

    /// Ends the watches and returns whether all keys are as they were.
    fn check_watches(&mut self, watched: &[Watched]) -> bool {
        let mut is_same = true;
        for Watched { db, key, version } in watched {
            is_same &= self.shard.watch_version(*db, key) == *version;
            self.shard.unwatch(*db, key);
        }
        is_same
    }

    /// Returns the core this is.
    #[must_use]
    pub fn me(&self) -> ShardId {
        self.me
    }

    /// Returns how many transactions and requests wait or hold claims here.
    #[must_use]
    pub fn claims(&self) -> usize {
        self.locks.len()
    }
}

/// Adds what a request claims on `shard` to `claim`: its keys, or the whole shard if it works on the
/// keyspace without naming keys, or reads keys that nobody can name yet.
pub fn add_claim(
    shard: &Shard,
    command: &ShardCommand,
    db: DbIndex,
    args: Args<'_>,
    claim: &mut Claim,
) {
    let flags = command.declaration.flags;
    let names_others =
        command.spread == Spread::Plan(Plan::Sort) && sort::names_others(command, args);
    // A value that is lent is away for everybody.
    let is_lent = match command.spread {
        Spread::Plan(Plan::Lend) => true,
        Spread::Plan(Plan::Sort) => !names_others,
        _ => false,
    };
    if names_others && claim.whole.is_none() {
        claim.whole = Some(Mode::Shared);
    }
    let mode = if flags.has(Flags::WRITE) || is_lent {
        Mode::Exclusive
    } else {
        Mode::Shared
    };
    let declaration = &command.declaration;
    if declaration.keys.is_empty() && declaration.subcommands.is_empty() {
        if mode == Mode::Exclusive || claim.whole.is_none() {
            claim.whole = Some(mode);
        }
        return;
    }
    commands::keys::positions(declaration, args, |index, _| {
        let key = shard.key(args.word(index));
        claim.keys.push((fingerprint(db, key.hash), mode));
    });
}

/// Names a key of a database in a lock table. Two keys with one fingerprint only wait for each other
/// without need.
#[must_use]
pub fn fingerprint(db: DbIndex, hash: u64) -> u64 {
    hash ^ u64::from(db.0).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

#[inline]
fn run_on(
    shard: &mut Shard,
    random: &mut Random,
    request: Request<'_>,
    out: &mut Vec<u8>,
) -> Option<Box<LongReply>> {
    let mut context = context_of(shard, random, &request, Loans::default(), out);
    run::run(request.command, &mut context, request.args);
    if context.loans.is_empty() {
        return None;
    }
    if BYPASS {
        run::finish_now(&mut context, request.args);
    }
    let later = run::take_later(&mut context);
    let foreign = run::end(&mut context);
    debug_assert!(foreign.is_empty(), "nothing was lent from elsewhere");
    later
}

/// Runs a request with values that other shards have lent for it, and returns those.
fn run_with(
    shard: &mut Shard,
    random: &mut Random,
    request: Request<'_>,
    loans: Loans,
    out: &mut Vec<u8>,
) -> Vec<Loan> {
    let mut context = context_of(shard, random, &request, loans, out);
    run::run(request.command, &mut context, request.args);
    run::finish_now(&mut context, request.args);
    run::end(&mut context)
}

#[inline]
fn context_of<'a>(
    shard: &'a mut Shard,
    random: &'a mut Random,
    request: &Request<'_>,
    loans: Loans,
    out: &'a mut Vec<u8>,
) -> Context<'a> {
    let now = shard.now();
    Context {
        shard,
        random,
        db: request.db,
        reply: Reply {
            out,
            resp: request.resp,
        },
        now,
        touch: request.touch,
        first_hash: request.first_hash,
        loans,
    }
}
