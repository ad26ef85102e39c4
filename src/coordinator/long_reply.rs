//! Long replies between the shard of their key and the core of their connection.
//!
//! A command whose reply is long ends with what makes the reply in steps (`commands::long_reply`). The
//! steps are taken on the core of the connection, which knows how fast the client reads; so what they
//! need goes there.
//!
//! ```text
//! shard                                     core of the connection
//! run, claim the key, take its value out
//!   Long{walk, value}            --------->  a step per turn, while the client reads
//! somebody waits for the key
//!   Wanted                       --------->  a step per turn, whether it reads or not
//! put the value back, release    <---------  Return{value}
//! ```
//!
//! Shares of strings need no claim and no way back.
//!
//! Invariants
//! - The claim is exclusive, and is taken in the same call in which the command has run: what comes later
//!   waits, so the reply shows the value as the command met it.
//! - The value comes back whether or not the client is there to the end.
//! - Nobody waits for a client: once somebody waits for the key the reply is made without its reading.
//!
//! Not here: the steps themselves (`server::long_replies`).

use base::clock::Monotonic;
use base::ids::{DbIndex, ShardId, TxId};
use commands::long_reply::{LongReply, Pieces, Walk};
use protocol::reply::{Reply, Resp};
use runtime::clock::monotonic;
use shard::loan::Loan;
use shard::locks::{Claim, Mode, Scheduled};

use crate::host::{Host, fingerprint};
use crate::message::{Message, Origin, OwnedRequest, Request};

/// A long reply on its way to the core of its connection.
#[derive(Debug)]
pub struct Handed {
    /// Where it belongs.
    pub origin: Origin,
    /// The request, for statistics and the slow log.
    pub request: OwnedRequest,
    /// How long the command ran before its first step.
    pub nanos: u64,
    /// What makes it.
    pub source: Source,
}

/// What makes a long reply.
#[derive(Debug)]
pub enum Source {
    /// Bytes and shares.
    Pieces(Pieces),
    /// A walk over a value.
    Walk(Box<WalkSource>),
}

/// A walk with the value that was taken out for it.
#[derive(Debug)]
pub struct WalkSource {
    walk: Walk,
    tx: TxId,
    db: DbIndex,
    loan: Loan,
    home: ShardId,
}

/// A request that has just run, for a connection of core `to`.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) to: ShardId,
    pub(crate) origin: Origin,
    pub(crate) request: OwnedRequest,
    pub(crate) started: Monotonic,
}

/// A value that is away for a long reply.
#[derive(Debug)]
pub(crate) struct GivenWalk {
    tx: TxId,
    to: ShardId,
    is_told: bool,
}

impl Source {
    /// Adds the next part of the reply to `out`. Returns whether there is more. Cost: tens of
    /// microseconds.
    pub fn step(&mut self, out: &mut Vec<u8>, resp: Resp) -> bool {
        match self {
            Self::Pieces(pieces) => pieces.step(out),
            Self::Walk(source) => {
                let mut reply = Reply::new(out, resp);
                match source.loan.value() {
                    Some(value) => source.walk.step(value, &mut reply),
                    None => false,
                }
            }
        }
    }

    /// Returns whether this is the walk that `tx` keeps a key for.
    #[must_use]
    pub fn is_walk_of(&self, tx: TxId) -> bool {
        matches!(self, Self::Walk(source) if source.tx == tx)
    }

    /// Ends the reply, complete or not. Returns where to give its value back, and how.
    #[must_use]
    pub fn end(self) -> Option<(ShardId, Message)> {
        match self {
            Self::Pieces(_) => None,
            Self::Walk(source) => {
                let WalkSource {
                    tx, db, loan, home, ..
                } = *source;
                let loan = Box::new(loan);
                Some((home, Message::Return { tx, db, loan }))
            }
        }
    }
}

impl Host {
    /// Begins a long reply of a request that has just run here, for a connection of core `to`.
    ///
    /// # Panics
    ///
    /// If the key is claimed: the request would not have run.
    #[cold]
    pub fn begin_long(&mut self, to: ShardId, request: &Request<'_>, reply: LongReply) -> Source {
        let walk = match reply {
            LongReply::Pieces(pieces) => return Source::Pieces(pieces),
            LongReply::Walk(walk) => walk,
        };
        let key = self.shard.key(request.args.word(1));
        let claim = Claim {
            keys: vec![(fingerprint(request.db, key.hash), Mode::Exclusive)],
            whole: None,
        };
        let tx = self.ids.next();
        let scheduled = self.locks.schedule(tx, claim);
        // The request claims its key exclusively, and has run because nothing conflicted.
        assert!(
            scheduled == Scheduled::Granted,
            "nothing stands before a request that has run"
        );
        self.locks.start(tx);
        self.take_out(tx, to, request, walk)
    }

    /// Takes the value out under the claim of `tx`.
    fn take_out(&mut self, tx: TxId, to: ShardId, request: &Request<'_>, walk: Walk) -> Source {
        self.walks.push(GivenWalk {
            tx,
            to,
            is_told: false,
        });
        let key = self.shard.key(request.args.word(1));
        // The command has counted and noted the access.
        let loan = self.shard.db(request.db).lend(key, false, false);
        Source::Walk(Box::new(WalkSource {
            walk,
            tx,
            db: request.db,
            loan,
            home: self.me(),
        }))
    }

    /// Hands over the long reply of a request that has just run.
    #[cold]
    pub(crate) fn hand_over(&mut self, ran: Ran, reply: LongReply) {
        let source = self.begin_long(ran.to, &ran.request.as_request(), reply);
        self.send_long(ran, source);
    }

    /// The same for a request that has waited and has the claim `tx` already. Returns whether that ends.
    pub(crate) fn hand_over_under(&mut self, tx: TxId, ran: Ran, reply: LongReply) -> bool {
        let (source, is_over) = match reply {
            LongReply::Pieces(pieces) => (Source::Pieces(pieces), true),
            LongReply::Walk(walk) => {
                let request = ran.request.as_request();
                (self.take_out(tx, ran.to, &request, walk), false)
            }
        };
        self.send_long(ran, source);
        is_over
    }

    fn send_long(&mut self, ran: Ran, source: Source) {
        let handed = Handed {
            origin: ran.origin,
            request: ran.request,
            nanos: monotonic().nanos_since(ran.started),
            source,
        };
        self.send(ran.to, Message::Long(Box::new(handed)));
    }

    /// Puts a value back that a long reply has walked over, and lets go on what has waited for it.
    pub(crate) fn take_back(&mut self, tx: TxId, db: DbIndex, loan: Loan) {
        self.walks.retain(|walk| walk.tx != tx);
        commands::run::settle(&mut self.shard, db, loan);
        let mut granted = Vec::new();
        self.locks.release(tx, &mut granted);
        self.run_granted(granted);
    }

    /// Tells the makers of long replies for whose values somebody waits. O(long replies); a load if
    /// there are none.
    #[inline]
    pub fn tell_wanted(&mut self) {
        if !self.walks.is_empty() {
            self.look_for_wanted();
        }
    }

    fn look_for_wanted(&mut self) {
        for walk in &mut self.walks {
            if !walk.is_told && self.locks.is_wanted(walk.tx) {
                walk.is_told = true;
                let message = Message::Wanted { tx: walk.tx };
                self.outbox.push((walk.to, message));
            }
        }
    }
}
