//! A core's receiving side: its shard, the claims on it, and what waits for them.

mod behind;
mod changes;
mod exec;
mod operations;
mod returned;
mod saving;
mod waiters;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base::clock::{Monotonic, UnixMillis};
use base::hash::Map;
use base::ids::{ShardId, TxId};
use base::random::Random;
use commands::loans::Loans;
use commands::long_reply::LongReply;
use commands::run;
use commands::scope::Scope;
use commands::sort;
use commands::spec::{Context, Flags, Plan, ShardCommand, Spread};
use commands::table;
use commands::wait_form::Waiting;
use protocol::args::Args;
use protocol::reply::Reply;
use runtime::clock::monotonic;
use runtime::faults::{self, Fault};
use shard::Shard;
use shard::locks::{Claim, LockTable, Mode, Scheduled};
use shard::records::held::IN_PLACE;
use shard::watches::Author;

use self::waiters::WaitingRequests;
use crate::long_reply::GivenWalk;
use crate::message::queue::SentExec;
use crate::message::{
    Envelope, HopEnd, LateReply, Message, Operation, Origin, Outcome, OwnedRequest, Request,
    WaiterNumber, Watched,
};

/// No claims are kept and every hop runs at once: a build that is wrong on purpose, so that the
/// checkers of atomicity can show that they find it. Never for use.
pub(crate) const BYPASS: bool = cfg!(feature = "bypass-scheduler");

/// Hands out transaction ids; shared by all cores of a node.
#[derive(Clone, Debug, Default)]
pub struct TxIds(Arc<AtomicU64>);

impl TxIds {
    /// Creates a counter of which all ids are larger than `last`.
    #[must_use]
    pub fn behind(last: TxId) -> Self {
        Self(Arc::new(AtomicU64::new(last.0)))
    }

    /// Sees to it that all ids from now on are larger than `last`.
    pub fn raise(&self, last: TxId) {
        self.0.fetch_max(last.0, Ordering::Relaxed);
    }

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
    changes: changes::Changes,
    saving: saving::Saving,
    parked: Map<TxId, Parked>,
    moved: behind::Moved,
    pub(crate) waiting: WaitingRequests,
    /// The largest id of a transaction over several shards that has left here. One that comes later
    /// with a smaller id might stand before that one elsewhere, so it has to come back with a new id.
    passed: TxId,
    /// The id of the request that was parked last, or of the last guest.
    last_parked: TxId,
    /// Transactions of clients of other cores that were begun here, and the clients: their core and
    /// connection.
    guests: Vec<(TxId, (ShardId, u64))>,
    /// Connections whose statements go back: see `returned`.
    returned: Vec<(ShardId, u64)>,
    pub(crate) random: Random,
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
        /// It is not to run, but to be handed back: see `returned`.
        goes_back: bool,
    },
    /// An EXEC for this shard alone.
    Exec { from: ShardId, sent: Box<SentExec> },
    /// A transaction for this shard alone; `tx` is the coordinator's name for it.
    Alone {
        from: ShardId,
        tx: TxId,
        operations: Vec<Operation>,
    },
    /// A hop of a transaction over several shards.
    Hop(Hop),
    /// A request for this shard alone that may wait for its keys.
    Wait {
        from: ShardId,
        waiter: WaiterNumber,
        request: Box<OwnedRequest>,
        author: Option<Author>,
    },
}

/// A hop that has come: see [`Message::Hop`].
#[derive(Debug)]
struct Hop {
    from: ShardId,
    operations: Vec<Operation>,
    end: HopEnd,
    now: UnixMillis,
}

/// A request that has just run.
#[derive(Debug)]
pub struct Ran {
    /// The core of its connection.
    pub to: ShardId,
    /// Where its reply belongs.
    pub origin: Origin,
    /// The request.
    pub request: OwnedRequest,
    /// When it began to run.
    pub started: Monotonic,
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
            changes: changes::Changes::default(),
            saving: saving::Saving::default(),
            parked: Map::default(),
            moved: behind::Moved::default(),
            waiting: WaitingRequests::default(),
            passed: TxId(0),
            last_parked: TxId(0),
            guests: Vec::new(),
            returned: Vec::new(),
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
    pub fn run(&mut self, request: &Request<'_>, out: &mut Vec<u8>) -> Option<Box<LongReply>> {
        let later = run_on(&mut self.shard, &mut self.random, request, out);
        if later.is_none() {
            self.serve_if_ready();
        }
        later
    }

    /// As [`Self::run`], for a command inside of something larger. It gets its whole reply at once, however
    /// long it is; [`Self::serve_if_ready`] is for the caller, at the end of the whole.
    pub fn run_inside(&mut self, request: &Request<'_>, out: &mut Vec<u8>) {
        let (shard, random) = (&mut self.shard, &mut self.random);
        let mut context = context_of(shard, random, request, Loans::default(), out);
        run::run(request.command, &mut context, request.args);
        if context.loans.is_empty() {
            // Nothing hangs on it that would have to be dropped.
            std::mem::forget(context);
            return;
        }
        run::finish_now(&mut context, request.args, request.command);
        let foreign = run::end(&mut context);
        debug_assert!(foreign.is_empty(), "nothing was lent from elsewhere");
    }

    /// Returns whether a request may run now, before all that waits here.
    #[inline]
    #[must_use]
    pub fn may_run(&self, request: &Request<'_>) -> bool {
        BYPASS || self.locks.is_empty() || self.has_no_rival(&self.claim_of(request))
    }

    /// Returns whether something that claims this may run now, before all that waits here.
    #[must_use]
    pub fn is_free(&self, claim: &Claim) -> bool {
        BYPASS || self.locks.is_empty() || self.has_no_rival(claim)
    }

    fn has_no_rival(&self, claim: &Claim) -> bool {
        !self.locks.claim_conflicts(claim) && !self.changes_owed(claim)
    }

    /// Begins something that runs in place and may have to go on as a transaction: [`Self::end_in_place`], or
    /// [`Self::claim_running`]. `claim` is what it may use.
    pub fn begin_in_place(&mut self, claim: Option<&Claim>) {
        let claimed = claim.map_or(Some(&[][..]), |claim| {
            claim.whole.is_none().then_some(&claim.keys[..])
        });
        self.shard.hold(IN_PLACE, claimed);
    }

    /// Ends what runs in place, for now, or altogether.
    pub fn end_in_place(&mut self, is_over: bool) {
        self.shard.end_hold();
        if is_over {
            self.shard.release_held(IN_PLACE);
        }
    }

    /// Claims for a transaction that runs already: nothing else has run since it was found free.
    pub(crate) fn claim_running(&mut self, tx: TxId, claim: Claim) {
        if !BYPASS {
            let scheduled = self.locks.schedule(tx, claim);
            debug_assert_eq!(scheduled, Scheduled::Granted, "it was free");
            self.locks.start(tx);
        }
    }

    /// Returns whether a hop may run now.
    fn is_granted(&self, tx: TxId) -> bool {
        BYPASS
            || self.locks.is_granted(tx)
            || faults::is_on(Fault::OrderIgnored)
            || self.is_released_early(tx)
    }

    /// Returns whether a fault has ended the claim of `tx` before its last hop.
    fn is_released_early(&self, tx: TxId) -> bool {
        faults::is_on(Fault::ReleaseEarly) && tx <= self.passed
    }

    /// Returns what a request claims.
    #[must_use]
    pub fn claim_of(&self, request: &Request<'_>) -> Claim {
        let mut claim = Claim {
            keys: Vec::new(),
            whole: None,
        };
        add_claim(&self.shard, request.command, request.args, &mut claim);
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
        self.last_parked = id;
        let parked = Parked::Single {
            from,
            origin,
            request: OwnedRequest::new(request),
            goes_back: false,
        };
        self.schedule_here(id, claim, parked);
    }

    /// Answers all requests for this shard alone that wait with an error, and forgets them.
    pub fn refuse_waiting(&mut self, text: &str) {
        let waiting: Vec<TxId> = self
            .parked
            .iter()
            .filter(|(_, parked)| matches!(parked, Parked::Single { .. } | Parked::Wait { .. }))
            .map(|(id, _)| *id)
            .collect();
        let mut granted = Vec::new();
        for id in waiting {
            let refusal = |resp| {
                let mut out = Vec::new();
                Reply {
                    out: &mut out,
                    resp,
                }
                .error(text);
                out
            };
            match self.parked.remove(&id) {
                Some(Parked::Single {
                    from,
                    origin,
                    request,
                    ..
                }) => {
                    let reply = refusal(request.resp);
                    let late = LateReply {
                        origin,
                        request,
                        reply,
                        nanos: 0,
                    };
                    self.send(from, Message::LateReply(Box::new(late)));
                }
                Some(Parked::Wait {
                    from,
                    waiter,
                    request,
                    ..
                }) => self.refuse_wait((from, waiter), refusal(request.resp)),
                Some(Parked::Alone { .. } | Parked::Exec { .. } | Parked::Hop(_)) | None => {
                    continue;
                }
            }
            self.forget_move(id);
            self.locks.release(id, &mut granted);
        }
        granted.retain(|id| self.parked.contains_key(id));
        self.run_granted(granted);
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
            Message::Schedule {
                tx,
                connection,
                claim,
            } => self.schedule((from, connection), tx, claim),
            Message::Hop {
                tx,
                operations,
                end,
                now,
            } => {
                let hop = Hop {
                    from,
                    operations,
                    end,
                    now,
                };
                self.run_or_park_hop(tx, hop);
            }
            Message::Begin {
                tx,
                connection,
                claim,
                operations,
                end,
                now,
            } => {
                if self.accept((from, connection), tx, claim) {
                    let hop = Hop {
                        from,
                        operations,
                        end,
                        now,
                    };
                    self.run_or_park_hop(tx, hop);
                } else {
                    self.send(from, Message::Refused { tx, operations });
                }
            }
            Message::Alone {
                tx,
                claim,
                operations,
            } => self.alone(from, tx, claim, operations),
            Message::Exec(sent) => self.take_exec(from, sent),
            Message::Release { tx } => self.release(tx),
            Message::Return { tx, db, loans } => self.take_back(tx, db, loans),
            Message::Wait {
                waiter,
                request,
                author,
            } => self.wait(from, waiter, request, author),
            Message::Forget {
                waiter,
                is_answered,
            } => self.forget(from, waiter, is_answered),
            Message::Later { tx, waiter } => {
                self.put_off(from, waiter);
                self.release(tx);
            }
            Message::Again { waiter } => self.want_again(from, waiter),
            Message::Noticed { connection } => self.end_return((from, connection)),
            Message::Replies(_)
            | Message::LateReply(_)
            | Message::Long(_)
            | Message::Wanted { .. }
            | Message::Scheduled { .. }
            | Message::Refused { .. }
            | Message::HopDone { .. }
            | Message::Executed(_)
            | Message::Offer { .. }
            | Message::Woken(_)
            | Message::Forgotten { .. } => unreachable!("answers go to the coordinator"),
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
        let mut has_returned = !self.returned.is_empty();
        for index in 0..envelope.entries().len() {
            self.counters.remote_requests += 1;
            let request = envelope.request(index);
            let origin = envelope.entries()[index].origin;
            let mut is_late = false;
            if has_returned && self.goes_back((from, origin.connection), &request) {
                is_late = true;
                self.hand_back(from, origin, OwnedRequest::new(request));
            } else if self.may_run(&request) {
                match self.run(&request, &mut replies) {
                    None => {}
                    Some(later) => {
                        is_late = true;
                        let ran = Ran {
                            to: from,
                            origin,
                            request: OwnedRequest::new(request),
                            started,
                        };
                        self.hand_over(ran, *later);
                        has_returned = !self.returned.is_empty();
                    }
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

    /// `asker` is the connection that the transaction is for, and its core.
    fn schedule(&mut self, asker: (ShardId, u64), tx: TxId, claim: Claim) {
        let accepted = self.accept(asker, tx, claim);
        self.send(asker.0, Message::Scheduled { tx, accepted });
    }

    /// Gives the claim of a transaction its place, unless it comes too late. Returns whether it has one.
    pub(crate) fn accept(&mut self, asker: (ShardId, u64), tx: TxId, mut claim: Claim) -> bool {
        self.counters.scheduled += 1;
        if faults::is_on(Fault::IntentMissing) {
            claim.keys.pop();
        }
        let is_late = tx <= self.passed && !faults::is_on(Fault::LateAccepted)
            || self.has_earlier_request(asker, tx);
        let accepted = BYPASS || !is_late && self.locks.schedule(tx, claim) != Scheduled::Refused;
        if !accepted {
            self.counters.refused += 1;
        }
        accepted
    }

    /// Returns whether a request of the same connection waits here with a larger id than `tx`. It was
    /// sent before the transaction, but got its id when it was parked, or when it began as a guest; the
    /// transaction would overtake it. O(what is parked), but only for an id that was under way while
    /// something was parked.
    fn has_earlier_request(&self, asker: (ShardId, u64), tx: TxId) -> bool {
        if tx >= self.last_parked || faults::is_on(Fault::OvertakesItself) {
            return false;
        }
        self.parked.iter().any(|(id, parked)| match parked {
            Parked::Single { from, origin, .. } => *id > tx && (*from, origin.connection) == asker,
            Parked::Exec { from, sent } => *id > tx && (*from, sent.origin.connection) == asker,
            Parked::Alone { .. } | Parked::Hop(_) | Parked::Wait { .. } => false,
        }) || self
            .guests
            .iter()
            .any(|(id, guest)| *id > tx && *guest == asker)
    }

    fn alone(&mut self, from: ShardId, tx: TxId, claim: Claim, operations: Vec<Operation>) {
        if self.is_free(&claim) {
            self.answer_alone(from, tx, operations);
            self.serve_if_ready();
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

    fn run_or_park_hop(&mut self, tx: TxId, hop: Hop) {
        if self.is_granted(tx) && !self.waits_for_save(tx) {
            self.run_hop(tx, hop);
        } else {
            self.parked.insert(tx, Parked::Hop(hop));
        }
    }

    fn run_hop(&mut self, tx: TxId, hop: Hop) {
        if !BYPASS && !faults::is_on(Fault::OrderIgnored) && !self.is_released_early(tx) {
            self.locks.start(tx);
        }
        let is_over = hop.end == HopEnd::Ends;
        self.answer_in_time(tx, hop);
        if is_over || faults::is_on(Fault::ReleaseEarly) {
            self.release(tx);
        }
    }

    fn release(&mut self, tx: TxId) {
        if self.is_released_early(tx) {
            return;
        }
        let mut granted = Vec::new();
        self.parked.remove(&tx);
        self.leave(tx, &mut granted);
        self.serve_if_ready();
        if faults::is_on(Fault::WakeLost) {
            granted.clear();
        }
        self.run_granted(granted);
    }

    /// Ends the claim of a transaction over several shards.
    fn leave(&mut self, tx: TxId, granted: &mut Vec<TxId>) {
        self.end_offer(tx);
        self.guests.retain(|(guest, _)| *guest != tx);
        self.shard.release_held(tx);
        if !BYPASS {
            self.passed = self.passed.max(tx);
            self.locks.release(tx, granted);
        }
    }

    /// Claims keys under a new id, which is larger than all others: it cannot be refused. Returns
    /// the id.
    pub(crate) fn claim_next(&mut self, claim: Claim) -> TxId {
        let id = self.ids.next();
        if !BYPASS {
            let scheduled = self.locks.schedule(id, claim);
            debug_assert!(scheduled != Scheduled::Refused, "this id is the largest");
        }
        id
    }

    /// Claims keys under a new id, before all that wait for them. What uses them has left. Returns the id.
    pub(crate) fn claim_first(&mut self, claim: Claim) -> TxId {
        let id = self.ids.next();
        if !BYPASS {
            let is_kept = self.locks.start_first(id, claim);
            assert!(is_kept, "nobody uses a key that is offered");
        }
        id
    }

    /// Claims keys for a transaction of a client of another core, under a new id. What this client sends
    /// later does not get in front of it, though it may have a smaller id. Returns the id.
    pub(crate) fn claim_for_guest(&mut self, asker: (ShardId, u64), claim: Claim) -> TxId {
        let tx = self.claim_next(claim);
        self.last_parked = tx;
        self.guests.push((tx, asker));
        tx
    }

    /// Keeps a request that may wait until its keys are free.
    pub(crate) fn park_wait(
        &mut self,
        from: ShardId,
        waiter: WaiterNumber,
        request: Box<OwnedRequest>,
        author: Option<Author>,
    ) {
        self.counters.parked += 1;
        let claim = self.claim_of(&request.as_request());
        let id = self.ids.next();
        let parked = Parked::Wait {
            from,
            waiter,
            request,
            author,
        };
        self.schedule_here(id, claim, parked);
    }

    /// Runs what became free, in the order of ids; each that ends may free others.
    pub(crate) fn run_granted(&mut self, mut granted: Vec<TxId>) {
        let mut next = 0;
        while next < granted.len() {
            let tx = granted[next];
            next += 1;
            // An offer may have come before it; the end of that grants it again.
            if !self.locks.is_granted(tx) || self.waits_for_save(tx) {
                continue;
            }
            self.forget_move(tx);
            match self.parked.remove(&tx) {
                Some(Parked::Single {
                    from,
                    origin,
                    request,
                    goes_back: true,
                }) => {
                    self.locks.release(tx, &mut granted);
                    self.hand_back(from, origin, request);
                }
                Some(Parked::Single {
                    from,
                    origin,
                    request,
                    goes_back: false,
                }) => {
                    self.locks.start(tx);
                    if self.run_single(tx, from, origin, request) {
                        self.locks.release(tx, &mut granted);
                    }
                }
                Some(Parked::Wait {
                    from,
                    waiter,
                    request,
                    author,
                }) => {
                    self.locks.start(tx);
                    self.run_parked_wait((from, waiter), &request, author);
                    self.locks.release(tx, &mut granted);
                }
                Some(Parked::Exec { from, sent }) => {
                    self.locks.start(tx);
                    self.run_exec(from, sent);
                    self.locks.release(tx, &mut granted);
                }
                Some(Parked::Alone {
                    from,
                    tx: name,
                    operations,
                }) => {
                    self.locks.start(tx);
                    self.answer_alone(from, name, operations);
                    self.locks.release(tx, &mut granted);
                }
                Some(Parked::Hop(hop)) => {
                    self.locks.start(tx);
                    let is_over = hop.end == HopEnd::Ends;
                    self.answer_in_time(tx, hop);
                    if is_over || faults::is_on(Fault::ReleaseEarly) {
                        self.leave(tx, &mut granted);
                    }
                }
                // Granted before its hop came: the hop will find it so.
                None => {}
            }
            self.serve_if_ready();
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
            &request.as_request(),
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

    /// Runs a hop, at the time of the transaction. What others have met as dead since is not there any
    /// more. The log gets nothing of it before the transaction is over, or says so.
    fn answer_in_time(&mut self, tx: TxId, mut hop: Hop) {
        let now = self.shard.now();
        self.shard.set_now(hop.now);
        if let (HopEnd::Ends, [Operation::Names(_)]) = (&hop.end, &hop.operations[..])
            && let Some(Operation::Names(request)) = hop.operations.pop()
        {
            self.answer_with_names(hop.from, tx, *request);
            self.shard.set_now(now);
            return;
        }
        let claimed = if BYPASS { None } else { self.locks.keys_of(tx) };
        self.shard.hold(tx, claimed);
        let (outcomes, nanos) = self.run_timed_operations(hop.from, hop.operations);
        let has_changes = self.shard.end_hold();
        if let HopEnd::IsWritten(shards) = hop.end {
            self.shard.write_part(tx, shards);
        }
        let is_held = has_changes && hop.end == HopEnd::Stays;
        self.shard.set_now(now);
        let message = Message::HopDone {
            tx,
            outcomes,
            nanos,
            is_held,
        };
        self.send(hop.from, message);
    }

    /// Runs a transaction of one hop and tells core `to` what it gave and how long it took.
    fn answer_alone(&mut self, to: ShardId, tx: TxId, operations: Vec<Operation>) {
        let (outcomes, nanos) = self.run_timed_operations(to, operations);
        let message = Message::HopDone {
            tx,
            outcomes,
            nanos,
            is_held: false,
        };
        self.send(to, message);
    }

    fn run_timed_operations(
        &mut self,
        from: ShardId,
        operations: Vec<Operation>,
    ) -> (Vec<Outcome>, u64) {
        let started = monotonic();
        let outcomes = self.run_operations(from, operations, started);
        (outcomes, monotonic().nanos_since(started))
    }

    /// Ends the watches and returns whether all keys are as they were.
    fn check_watches(&mut self, watched: &[Watched]) -> bool {
        let mut is_same = true;
        for watched in watched {
            let Watched {
                db, key, version, ..
            } = watched;
            is_same &= self.shard.watch_version(*db, key) == *version;
            self.shard.unwatch(*db, key);
        }
        is_same || faults::is_on(Fault::WatchUnchecked)
    }

    /// Returns the core this is.
    #[must_use]
    pub fn me(&self) -> ShardId {
        self.me
    }

    /// Returns whether something waits for a claim here, or is on offer, since before id `limit` was
    /// drawn. O(what waits).
    #[must_use]
    pub fn has_work_before(&self, limit: TxId) -> bool {
        self.has_parked_before(limit) || self.waiting.has_offer_before(limit)
    }

    /// Returns how many transactions and requests wait or hold claims here.
    #[must_use]
    pub fn claims(&self) -> usize {
        self.locks.len()
    }
}

/// Adds what a request claims on `shard` to `claim`: its keys, or the whole shard if it works on the
/// keyspace without naming keys, or reads keys that nobody can name yet.
pub fn add_claim(shard: &Shard, command: &ShardCommand, args: Args<'_>, claim: &mut Claim) {
    let flags = command.declaration.flags_of(args);
    if let Spread::Plan(Plan::Table(scope)) = command.spread {
        return add_table_claim(shard, scope, flags, args, claim);
    }
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
        claim.keys.push((key.hash, mode));
    });
}

/// The same for a table command. A table is claimed by its name, in whatever way that is written, on all the
/// shards that take part.
fn add_table_claim(shard: &Shard, scope: Scope, flags: Flags, args: Args<'_>, claim: &mut Claim) {
    let mode = if flags.has(Flags::WRITE) {
        Mode::Exclusive
    } else {
        Mode::Shared
    };
    let mut has_names = false;
    table::claimed_names(scope, args, &mut |name| {
        has_names = true;
        claim.keys.push((shard.key(name).hash, mode));
    });
    if !has_names && (mode == Mode::Exclusive || claim.whole.is_none()) {
        claim.whole = Some(mode);
    }
}

#[inline]
fn run_on(
    shard: &mut Shard,
    random: &mut Random,
    request: &Request<'_>,
    out: &mut Vec<u8>,
) -> Option<Box<LongReply>> {
    let mut context = context_of(shard, random, request, Loans::default(), out);
    run::run(request.command, &mut context, request.args);
    if context.loans.is_empty() {
        // Nothing hangs on it that would have to be dropped.
        std::mem::forget(context);
        return None;
    }
    if BYPASS || faults::is_on(Fault::RunInside) {
        // The value may be claimed by others.
        run::finish_now(&mut context, request.args, request.command);
    }
    let later = run::take_later(&mut context);
    let foreign = run::end(&mut context);
    debug_assert!(foreign.is_empty(), "nothing was lent from elsewhere");
    later
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
        waiting: Waiting::Never,
    }
}
