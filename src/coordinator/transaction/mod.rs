//! The coordinator of requests over several shards: schedule, run the hops, release.
//!
//! ```text
//! begin -> Schedule to all -> all accepted -> Hop, Hop, last Hop -> done
//!                          -> one refused  -> Release to all, new id, Schedule again
//! ```
//! With a log, the claims of a transaction that has changed something on several shards outlive the last hop until
//! all of these have written it: see `parts`.
//!
//! A transaction on one shard that needs one hop goes as [`Message::Alone`], without the first round. One
//! on this core's shard and another one goes as [`Message::Begin`]: see `pair`. So does one whose first hop may be
//! thrown away: see `attempt`.

mod attempt;
mod pair;
mod parts;
pub mod waits;

use base::clock::UnixMillis;
use base::hash::Map;
use base::ids::{DbIndex, ShardId, TxId};
use protocol::args::PackedArgs;
use protocol::reply::Resp;
use runtime::faults::{self, Fault};
use shard::locks::Claim;

use self::attempt::Attempt;
use self::pair::Pair;
use self::waits::Waits;
use crate::host::{Host, TxIds};
use crate::message::queue::Queue;
use crate::message::{Message, Operation, Origin, Outcome, OwnedRequest, WaiterNumber, Watched};
use crate::step::{HopOutcome, Program, Step};

/// The transactions that this core coordinates.
#[derive(Debug)]
pub struct Transactions {
    /// What has happened since the core loop looked last, in order.
    pub events: Vec<Event>,
    /// Counts so far.
    pub counters: Counters,
    ids: TxIds,
    pub(crate) active: Map<TxId, Transaction>,
    /// Those that go on in the next turn.
    paused: Vec<TxId>,
    pub(crate) waits: Waits,
}

/// Counts of transactions that this core coordinated.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Begun.
    pub begun: u64,
    /// Hops.
    pub hops: u64,
    /// Begun anew because a shard refused.
    pub retries: u64,
}

/// What the core loop has to see to.
#[derive(Debug)]
pub enum Event {
    /// A transaction is done.
    Done {
        /// Where the reply belongs.
        origin: Origin,
        /// The reply.
        reply: Vec<u8>,
        /// How long shards have run for it, added up.
        nanos: u64,
        /// The commands of a MULTI, with their replies and times.
        executed: Option<Queue>,
    },
    /// A request that its connection does not wait for is done.
    Late {
        /// Where the reply belongs.
        origin: Origin,
        /// The request.
        request: Box<OwnedRequest>,
        /// The reply.
        reply: Vec<u8>,
        /// How long shards have run for it, added up.
        nanos: u64,
    },
    /// Keys are being watched.
    Watching {
        /// Where the `OK` belongs.
        origin: Origin,
        /// The keys and their versions.
        watched: Vec<Watched>,
        /// How long shards have run for it, added up.
        nanos: u64,
    },
    /// A request that could wait for its keys is answered.
    Woken {
        /// Where the reply belongs.
        origin: Origin,
        /// The reply.
        reply: Vec<u8>,
        /// How long shards have run for it, added up.
        nanos: u64,
    },
    /// A request waits no more, as [`Transactions::end_wait`] has asked.
    Left {
        /// Where the reply belongs.
        origin: Origin,
        /// The reply that was asked for.
        reply: Vec<u8>,
    },
    /// A MULTI needs the reply to a command of the coordinator.
    Ask {
        /// The transaction.
        tx: TxId,
        /// Whose it is.
        origin: Origin,
        /// The words of the command.
        args: PackedArgs,
        /// The database and the protocol that count for it, if they are not those of the client.
        asks_as: Option<(DbIndex, Resp)>,
    },
}

/// What a shard gave in a hop, and the nanoseconds it took.
type Gave = (Vec<Outcome>, u64);

#[derive(Debug)]
pub(crate) struct Transaction {
    pub(crate) origin: Origin,
    pub(crate) program: Box<dyn Program>,
    pub(crate) claims: Vec<(ShardId, Claim)>,
    /// The first step, while it waits for the shards to accept.
    pub(crate) first: Option<Step>,
    /// What this core's shard does of the first hop, while the other shard has it.
    pair: Option<Pair>,
    /// The first hop is one that may be thrown away, and is under way.
    attempt: Option<Attempt>,
    pub(crate) phase: Phase,
    /// The shards of the hop under way, and what they gave.
    hop: Vec<(ShardId, Option<Gave>)>,
    /// How long shards have run for it.
    nanos: u64,
    /// The time that its hops see, that of the first.
    now: Option<UnixMillis>,
    /// The shards that hold a claim.
    pub(crate) holders: Vec<ShardId>,
    /// The shards that keep changes of it back from the log.
    held: Vec<ShardId>,
    /// What comes when the hop under way has written them.
    behind: Option<Step>,
    /// The request that waits for its keys, or may begin to, and whether a shard has offered a key.
    pub(crate) waiter: Option<(WaiterNumber, bool)>,
    /// How many transactions its core had begun with it; stays when it comes back with a new id.
    pub(crate) serial: u64,
    /// The request, if its connection does not wait for it.
    late: Option<Box<OwnedRequest>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Scheduling { awaited: usize, refused: bool },
    Running { awaited: usize },
}

impl Transactions {
    /// Creates the coordinator of a core.
    #[must_use]
    pub fn new(ids: TxIds) -> Self {
        Self {
            events: Vec::new(),
            counters: Counters::default(),
            ids,
            active: Map::default(),
            paused: Vec::new(),
            waits: Waits::default(),
        }
    }

    /// Returns how many transactions are under way.
    #[must_use]
    pub fn len(&self) -> usize {
        self.active.len()
    }

    /// Returns whether one of the first `count` transactions that this core has begun is under way.
    /// O(transactions).
    #[must_use]
    pub fn has_begun_before(&self, count: u64) -> bool {
        self.active.values().any(|it| it.serial <= count)
    }

    /// Returns whether no transaction is under way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.active.is_empty()
    }

    /// Begins a transaction. Its messages go to the outbox of `host`, behind what is there.
    pub fn begin(
        &mut self,
        host: &mut Host,
        origin: Origin,
        claims: Vec<(ShardId, Claim)>,
        program: Box<dyn Program>,
    ) {
        self.begin_transaction(host, Transaction::new(origin, claims, program));
    }

    /// As [`Self::begin`], for a request that its connection does not wait for: [`Event::Late`] tells of
    /// its end.
    pub fn begin_late(
        &mut self,
        host: &mut Host,
        (origin, request): (Origin, Box<OwnedRequest>),
        claims: Vec<(ShardId, Claim)>,
        program: Box<dyn Program>,
    ) {
        let mut transaction = Transaction::new(origin, claims, program);
        transaction.late = Some(request);
        self.begin_transaction(host, transaction);
    }

    /// As [`Self::begin_late`], under a claim that shard `home` has made already: `tx` is its id, and the
    /// only one.
    pub fn begin_claimed(
        &mut self,
        host: &mut Host,
        (origin, request): (Origin, Box<OwnedRequest>),
        (home, tx): (ShardId, TxId),
        program: Box<dyn Program>,
    ) {
        self.counters.begun += 1;
        let mut transaction = Transaction::new(origin, Vec::new(), program);
        transaction.serial = self.counters.begun;
        transaction.late = Some(request);
        transaction.holders.push(home);
        self.active.insert(tx, transaction);
        self.follow(host, tx, Step::Again);
    }

    pub(crate) fn begin_transaction(&mut self, host: &mut Host, mut transaction: Transaction) {
        self.counters.begun += 1;
        transaction.serial = self.counters.begun;
        let tx = self.ids.next();
        let first = transaction.program.step(Vec::new());
        self.start(host, tx, transaction, first);
    }

    /// Begins with the first step, under an id that was drawn just now.
    fn start(&mut self, host: &mut Host, tx: TxId, mut transaction: Transaction, first: Step) {
        let Some(first) = transaction.try_as_pair(host, tx, first) else {
            self.active.insert(tx, transaction);
            return;
        };
        match first {
            Step::Hop {
                operations,
                last: true,
            } if transaction.claims.len() == 1 && operations.len() == 1 => {
                self.run_alone(host, tx, transaction, operations);
            }
            Step::Attempt { operations, last } => {
                self.begin_attempt(host, tx, transaction, (operations, last));
            }
            Step::Hop { .. } | Step::Ask(_) | Step::Again if !transaction.claims.is_empty() => {
                transaction.first = Some(first);
                transaction.schedule(host, tx);
                self.active.insert(tx, transaction);
            }
            Step::Hop { .. }
            | Step::Ask(_)
            | Step::Again
            | Step::Pause
            | Step::Yield
            | Step::Done { .. }
            | Step::Watching { .. }
            | Step::Waiting => {
                self.active.insert(tx, transaction);
                self.follow(host, tx, first);
            }
        }
    }

    /// Takes over a transaction that has begun at once, on this core's shard, and now wants `step`. What
    /// it claims there has been free, and nothing else has run since.
    pub fn adopt(
        &mut self,
        host: &mut Host,
        origin: Origin,
        claim: Option<Claim>,
        program: Box<dyn Program>,
        step: Step,
    ) {
        self.counters.begun += 1;
        let tx = self.ids.next();
        let mut transaction = Transaction::new(origin, Vec::new(), program);
        transaction.serial = self.counters.begun;
        if let Some(claim) = claim {
            host.claim_running(tx, claim);
            transaction.holders.push(host.me());
            if host.shard.adopt_held(tx) {
                transaction.held.push(host.me());
            }
        }
        transaction.now = Some(host.shard.now());
        self.active.insert(tx, transaction);
        self.follow(host, tx, step);
    }

    /// Begins a transaction of `asker`, a connection of another core, which claims keys of this core's
    /// shard alone. They are claimed from now on.
    pub fn begin_guest(
        &mut self,
        host: &mut Host,
        origin: Origin,
        asker: (ShardId, u64),
        claim: Claim,
        mut program: Box<dyn Program>,
    ) {
        self.counters.begun += 1;
        let tx = host.claim_for_guest(asker, claim);
        let first = program.step(Vec::new());
        let mut transaction = Transaction::new(origin, Vec::new(), program);
        transaction.serial = self.counters.begun;
        transaction.holders.push(host.me());
        self.active.insert(tx, transaction);
        self.follow(host, tx, first);
    }

    fn run_alone(
        &mut self,
        host: &mut Host,
        tx: TxId,
        mut transaction: Transaction,
        operations: Vec<(ShardId, Vec<Operation>)>,
    ) {
        self.counters.hops += 1;
        transaction.hop = operations.iter().map(|(shard, _)| (*shard, None)).collect();
        transaction.phase = Phase::Running { awaited: 1 };
        let claims = std::mem::take(&mut transaction.claims);
        self.active.insert(tx, transaction);
        for ((shard, operations), (_, claim)) in operations.into_iter().zip(claims) {
            host.outbox.push((
                shard,
                Message::Alone {
                    tx,
                    claim,
                    operations,
                },
            ));
        }
    }

    /// Takes an answer of shard `from`.
    pub fn receive(&mut self, host: &mut Host, from: ShardId, message: Message) {
        match message {
            Message::Scheduled { tx, accepted } => self.scheduled(host, from, tx, accepted),
            Message::Refused { tx, operations } => self.refused(host, from, tx, operations),
            Message::HopDone {
                tx,
                outcomes,
                nanos,
                is_held,
            } => {
                if is_held {
                    self.note_held(from, tx);
                }
                self.hop_done(host, from, tx, (outcomes, nanos));
            }
            Message::Offer { waiter, tx, key } => self.offered(host, from, waiter, tx, key),
            Message::Woken(woken) => self.woken(*woken),
            Message::Forgotten { waiter } => self.forgotten(waiter),
            Message::Requests(_)
            | Message::Replies(_)
            | Message::LateReply(_)
            | Message::Long(_)
            | Message::Wanted { .. }
            | Message::Return { .. }
            | Message::Exec(_)
            | Message::Executed(_)
            | Message::Schedule { .. }
            | Message::Hop { .. }
            | Message::Begin { .. }
            | Message::Alone { .. }
            | Message::Release { .. }
            | Message::Wait { .. }
            | Message::Forget { .. }
            | Message::Later { .. }
            | Message::Again { .. }
            | Message::Noticed { .. } => unreachable!("only answers come to the coordinator"),
        }
    }

    fn scheduled(&mut self, host: &mut Host, from: ShardId, tx: TxId, accepted: bool) {
        let Some(transaction) = self.active.get_mut(&tx) else {
            return;
        };
        let Phase::Scheduling { awaited, refused } = &mut transaction.phase else {
            return;
        };
        *awaited -= 1;
        if accepted {
            transaction.holders.push(from);
        } else {
            *refused = true;
        }
        let is_enough = accepted && faults::is_on(Fault::HopEarly);
        if *awaited > 0 && !is_enough {
            return;
        }
        if *refused {
            self.come_back(host, tx);
        } else if let Some(first) = transaction.first.take() {
            transaction.phase = Phase::Running { awaited: 0 };
            self.follow(host, tx, first);
        }
    }

    /// Does what is to be done when a shard has refused.
    fn come_back(&mut self, host: &mut Host, tx: TxId) {
        match self.active.get(&tx).and_then(|it| it.waiter) {
            // The shard that has offered the key will do so again.
            Some((waiter, true)) => {
                self.end(host, tx);
                self.unanswered(host, waiter);
            }
            Some((_, false)) | None => self.retry(host, tx),
        }
    }

    /// Withdraws and comes back with a new id, which no shard has passed yet.
    fn retry(&mut self, host: &mut Host, tx: TxId) {
        self.counters.retries += 1;
        self.claim_anew(host, tx);
    }

    /// Claims everything anew, under an id that is larger than all others.
    fn claim_anew(&mut self, host: &mut Host, tx: TxId) {
        let Some(mut transaction) = self.active.remove(&tx) else {
            return;
        };
        if faults::is_on(Fault::WithdrawalLost) {
            transaction.holders.clear();
        }
        transaction.release(host, tx);
        let tx = self.ids.next();
        if let Some(first) = transaction.first.take() {
            transaction.first = transaction.try_as_pair(host, tx, first);
        }
        if transaction.first.is_some() {
            transaction.schedule(host, tx);
        }
        self.active.insert(tx, transaction);
    }

    fn hop_done(
        &mut self,
        host: &mut Host,
        from: ShardId,
        tx: TxId,
        (outcomes, nanos): (Vec<Outcome>, u64),
    ) {
        let Some(transaction) = self.active.get_mut(&tx) else {
            return;
        };
        if transaction.attempt.is_some() {
            self.attempted(host, from, tx, Some((outcomes, nanos)));
            return;
        }
        let Phase::Running { awaited } = &mut transaction.phase else {
            return;
        };
        *awaited -= 1;
        transaction.nanos += nanos;
        let is_complete = *awaited == 0;
        if let Some(pair) = transaction.pair.take() {
            self.counters.hops += 1;
            transaction.run_own_part(host, tx, from, pair);
        }
        // A shard that did its part of an attempt before now says only that it has written that.
        if let Some((_, place @ None)) =
            transaction.hop.iter_mut().find(|(shard, _)| *shard == from)
        {
            *place = Some((outcomes, nanos));
        }
        if is_complete {
            if let Some(step) = transaction.behind.take() {
                return self.follow(host, tx, step);
            }
            let outcomes = transaction.take_hop();
            let step = transaction.program.step(outcomes);
            self.follow(host, tx, step);
        }
    }

    /// Gives the reply to [`Event::Ask`].
    pub fn answer(&mut self, host: &mut Host, tx: TxId, reply: Vec<u8>) {
        let Some(transaction) = self.active.get_mut(&tx) else {
            return;
        };
        transaction.program.answer(reply);
        let step = transaction.program.step(Vec::new());
        self.follow(host, tx, step);
    }

    /// Returns whether a transaction goes on in the next turn, without waiting for anybody.
    #[must_use]
    pub fn has_paused(&self) -> bool {
        !self.paused.is_empty()
    }

    /// Goes on with the transactions that have paused in an earlier turn.
    pub fn go_on(&mut self, host: &mut Host) {
        for tx in std::mem::take(&mut self.paused) {
            let has_yielded = |it: &Transaction| it.first.is_some();
            if self.active.get(&tx).is_some_and(has_yielded) {
                self.claim_anew(host, tx);
            } else {
                self.follow(host, tx, Step::Again);
            }
        }
    }

    pub(crate) fn follow(&mut self, host: &mut Host, tx: TxId, mut step: Step) {
        let Some(transaction) = self.active.get_mut(&tx) else {
            return;
        };
        let origin = transaction.origin;
        while matches!(step, Step::Again) {
            step = transaction.program.step(Vec::new());
        }
        if !transaction.held.is_empty() {
            let Some(next) = transaction.write_parts_before(host, tx, step) else {
                return;
            };
            step = next;
        }
        match step {
            Step::Again => {}
            Step::Pause => self.paused.push(tx),
            Step::Yield => {
                transaction.release(host, tx);
                transaction.first = Some(Step::Again);
                self.paused.push(tx);
            }
            Step::Hop { operations, last } => {
                self.counters.hops += 1;
                transaction.run_hop(host, tx, operations, last);
            }
            Step::Attempt { .. } => unreachable!("an attempt claims, so it comes first"),
            Step::Ask(index) => {
                let args = transaction.program.control_args(index);
                let args = args.map(PackedArgs::from_args).unwrap_or_default();
                let asks_as = transaction.program.asks_as();
                self.events.push(Event::Ask {
                    tx,
                    origin,
                    args,
                    asks_as,
                });
            }
            Step::Done { reply } => {
                let (nanos, executed) = (transaction.nanos, transaction.program.executed());
                let waiter = transaction.waiter;
                let late = transaction.late.take();
                self.end(host, tx);
                if let Some((waiter, _)) = waiter {
                    self.answered(host, waiter, reply, nanos);
                    return;
                }
                if let Some(request) = late {
                    self.events.push(Event::Late {
                        origin,
                        request,
                        reply,
                        nanos,
                    });
                    return;
                }
                self.events.push(Event::Done {
                    origin,
                    reply,
                    nanos,
                    executed,
                });
            }
            Step::Watching { watched } => {
                let nanos = transaction.nanos;
                self.end(host, tx);
                self.events.push(Event::Watching {
                    origin,
                    watched,
                    nanos,
                });
            }
            Step::Waiting => {
                let waiter = transaction.waiter;
                self.end(host, tx);
                if let Some((waiter, _)) = waiter {
                    self.unanswered(host, waiter);
                }
            }
        }
    }

    fn end(&mut self, host: &mut Host, tx: TxId) {
        if let Some(mut transaction) = self.active.remove(&tx) {
            transaction.release(host, tx);
        }
    }
}

impl Transaction {
    pub(crate) fn new(
        origin: Origin,
        claims: Vec<(ShardId, Claim)>,
        program: Box<dyn Program>,
    ) -> Self {
        Self {
            origin,
            program,
            claims,
            first: None,
            pair: None,
            attempt: None,
            phase: Phase::Running { awaited: 0 },
            hop: Vec::new(),
            nanos: 0,
            now: None,
            holders: Vec::new(),
            held: Vec::new(),
            behind: None,
            waiter: None,
            serial: 0,
            late: None,
        }
    }

    /// Returns what the shards of a hop gave.
    fn take_hop(&mut self) -> Vec<HopOutcome> {
        let hop = std::mem::take(&mut self.hop).into_iter();
        hop.map(|(shard, given)| {
            let (outcomes, nanos) = given.unwrap_or_default();
            HopOutcome {
                shard,
                outcomes,
                nanos,
            }
        })
        .collect()
    }

    pub(crate) fn schedule(&mut self, host: &mut Host, tx: TxId) {
        self.phase = Phase::Scheduling {
            awaited: self.claims.len(),
            refused: false,
        };
        for (shard, claim) in &self.claims {
            host.outbox.push((
                *shard,
                Message::Schedule {
                    tx,
                    connection: self.origin.connection,
                    claim: claim.clone(),
                },
            ));
        }
    }

    /// Sends a hop. With the last one, shards that have no part in it are released too, unless they have
    /// something to write.
    fn run_hop(
        &mut self,
        host: &mut Host,
        tx: TxId,
        operations: Vec<(ShardId, Vec<Operation>)>,
        last: bool,
    ) {
        let now = *self.now.get_or_insert_with(|| host.shard.now());
        self.phase = Phase::Running {
            awaited: operations.len(),
        };
        self.hop = operations.iter().map(|(shard, _)| (*shard, None)).collect();
        let writers = if last {
            self.release_with_last(host, tx, &operations)
        } else {
            Vec::new()
        };
        for (shard, operations) in operations {
            let end = parts::end_of(shard, last, &writers);
            host.outbox.push((
                shard,
                Message::Hop {
                    tx,
                    operations,
                    end,
                    now,
                },
            ));
        }
    }

    /// Withdraws the claims, if they are still held.
    fn release(&mut self, host: &mut Host, tx: TxId) {
        for shard in std::mem::take(&mut self.holders) {
            host.outbox.push((shard, Message::Release { tx }));
        }
    }
}
