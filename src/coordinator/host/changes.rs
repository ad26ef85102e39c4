//! Changes that a shard makes in steps.
//!
//! ```text
//! run, claim the keys, take the values out -> a step per turn -> values back, reply, release
//! ```
//! They are made where the keys are, whatever becomes of the client, and the keys stay claimed until all is in place.
//! KEYS names no keys and claims nothing; over several shards it is a hop whose outcome is told late.
//!
//! Invariants
//! - All of a change sees the time at which its command has run: nothing expires in the midst of it.
//! - The reply leaves in the turn in which the result is in place, as that of any command.
//!
//! Not here: what is done in a step (`commands::long_change`).

use std::collections::VecDeque;

use base::clock::UnixMillis;
use base::ids::{ShardId, TxId};
use commands::loans::Loans;
use commands::long_change::{LongChange, LongEnd};
use commands::long_reply::LongReply;
use commands::run;
use runtime::clock::monotonic;
use shard::locks::Scheduled;

use super::{Host, Ran, context_of, run_on};
use crate::long_reply::Source;
use crate::message::{LateReply, Message, Origin, Outcome, OwnedRequest};

/// Steps of all changes in one turn: some hundreds of microseconds.
const STEPS_PER_TURN: usize = 2;

/// The changes of a shard that are under way.
#[derive(Debug, Default)]
pub(super) struct Changes {
    queue: VecDeque<Underway>,
}

#[derive(Debug)]
struct Underway {
    /// The claim on the keys, if it has keys.
    tx: Option<TxId>,
    /// The hop of a transaction that it is, if it is no request of its own.
    hop: Option<TxId>,
    ran: Ran,
    change: Box<LongChange>,
    /// The time of the command.
    now: UnixMillis,
    /// How long all steps took.
    nanos: u64,
}

impl Host {
    /// Begins the change of a request that has just run here and left it to steps.
    ///
    /// # Panics
    ///
    /// If a key is claimed: the request would not have run.
    #[cold]
    pub fn begin_change(&mut self, ran: Ran, change: Box<LongChange>) {
        if !change.needs_claim() {
            return self.add_change((None, None), ran, change);
        }
        let claim = self.claim_of(&ran.request.as_request());
        let tx = self.ids.next();
        let scheduled = self.locks.schedule(tx, claim);
        // The request claims its keys exclusively, and has run because nothing conflicted.
        assert!(
            scheduled == Scheduled::Granted,
            "nothing stands before a request that has run"
        );
        self.locks.start(tx);
        self.add_change((Some(tx), None), ran, change);
    }

    /// The same for a request that has waited and has the claim `tx` already. Returns whether that ends.
    pub(crate) fn begin_change_under(
        &mut self,
        tx: TxId,
        ran: Ran,
        change: Box<LongChange>,
    ) -> bool {
        let is_over = !change.needs_claim();
        self.add_change(((!is_over).then_some(tx), None), ran, change);
        is_over
    }

    fn add_change(
        &mut self,
        (tx, hop): (Option<TxId>, Option<TxId>),
        ran: Ran,
        mut change: Box<LongChange>,
    ) {
        let request = &ran.request;
        let shard = (&mut self.shard, request.resp);
        change.take_out(shard, request.db, request.args.args());
        // Who waits for a key that is away waits on.
        self.serve_if_ready();
        let nanos = monotonic().nanos_since(ran.started);
        self.changes.queue.push_back(Underway {
            tx,
            hop,
            ran,
            change,
            now: self.shard.now(),
            nanos,
        });
    }

    /// Runs the only command of the only hop of a transaction, which may leave all to steps that need no claim: its
    /// outcome is told when they are done. The time is that of the transaction.
    pub(super) fn answer_with_names(&mut self, to: ShardId, tx: TxId, request: OwnedRequest) {
        let started = monotonic();
        let mut bytes = Vec::new();
        let wanted = request.as_request();
        let later = run_on(&mut self.shard, &mut self.random, &wanted, &mut bytes);
        if let Some(later) = later
            && let LongReply::Change(change) = *later
        {
            let (connection, place) = (u64::MAX, 0);
            let origin = Origin { connection, place };
            let ran = Ran {
                to,
                origin,
                request,
                started,
            };
            return self.add_change((None, Some(tx)), ran, change);
        }
        let nanos = monotonic().nanos_since(started);
        self.tell_hop(to, tx, bytes, nanos);
    }

    fn tell_hop(&mut self, to: ShardId, tx: TxId, bytes: Vec<u8>, nanos: u64) {
        let message = Message::HopDone {
            tx,
            outcomes: vec![Outcome::Reply { bytes, nanos }],
            nanos,
            is_held: false,
        };
        self.send(to, message);
    }

    /// Takes the steps of a turn. Returns whether there was anything to do.
    pub fn step_changes(&mut self) -> bool {
        let steps = self.changes.queue.len().min(STEPS_PER_TURN);
        for _ in 0..steps {
            let Some(mut underway) = self.changes.queue.pop_front() else {
                break;
            };
            let started = monotonic();
            let resp = underway.ran.request.resp;
            let has_more = underway.change.step(&mut self.shard, resp);
            underway.nanos += monotonic().nanos_since(started);
            if has_more {
                self.changes.queue.push_back(underway);
            } else {
                self.end_change(underway);
            }
        }
        steps > 0
    }

    /// Puts what the steps have made in place, answers, and lets go on what has waited for it.
    fn end_change(&mut self, underway: Underway) {
        let Underway {
            tx,
            hop,
            ran,
            change,
            now,
            nanos,
        } = underway;
        let started = monotonic();
        let mut bytes = Vec::new();
        let later = {
            let turn = self.shard.now();
            self.shard.set_now(now);
            let request = ran.request.as_request();
            let (shard, random) = (&mut self.shard, &mut self.random);
            let mut context = context_of(shard, random, &request, Loans::default(), &mut bytes);
            let later = run::finish_change(*change, request.command, &mut context, request.args);
            drop(context);
            self.shard.set_now(turn);
            later
        };
        let nanos = nanos + monotonic().nanos_since(started);
        if let Some(hop) = hop {
            if let Some(LongEnd::Pieces(mut pieces)) = later {
                while pieces.step(&mut bytes) {}
            }
            return self.tell_hop(ran.to, hop, bytes, nanos);
        }
        let source = later.map(|later| match later {
            LongEnd::Taken(taken) => Source::Taken(Box::new(taken)),
            LongEnd::Pieces(pieces) => Source::Pieces(pieces),
        });
        if let Some(source) = source {
            self.send_long_after(ran, source, nanos);
        } else {
            let late = LateReply {
                origin: ran.origin,
                request: ran.request,
                reply: bytes,
                nanos,
            };
            self.send(ran.to, Message::LateReply(Box::new(late)));
        }
        let mut granted = Vec::new();
        if let Some(tx) = tx {
            self.locks.release(tx, &mut granted);
        }
        self.serve_if_ready();
        self.run_granted(granted);
    }
}
