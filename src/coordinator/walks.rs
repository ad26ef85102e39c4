//! The beginning and the end of long replies at the shard of their key.
//!
//! Not here: what travels between the two cores, and when ([`crate::long_reply`]).

use base::ids::{DbIndex, ShardId, TxId};
use commands::long_reply::{LongReply, Reach, Walk};
use runtime::clock::monotonic;
use shard::loan::Loan;
use shard::locks::{Claim, Mode, Scheduled};

use crate::host::{Host, Ran};
use crate::long_reply::{GivenWalk, Source, WalkSource};
use crate::message::{Handed, Message, Request};

impl Host {
    /// Begins a long reply of a request that has just run here, for a connection of core `to`.
    ///
    /// # Panics
    ///
    /// If the key is claimed: the request would not have run. If it is a change, for which there is
    /// [`Host::begin_change`].
    #[cold]
    pub fn begin_long(&mut self, to: ShardId, request: &Request<'_>, reply: LongReply) -> Source {
        let walk = match reply {
            LongReply::Pieces(pieces) => {
                self.serve_if_ready();
                return Source::Pieces(pieces);
            }
            LongReply::Taken(taken) => {
                self.serve_if_ready();
                return Source::Taken(Box::new(taken));
            }
            LongReply::Walk(walk) => walk,
            LongReply::Change(_) => unreachable!("a change begins without a reply"),
            LongReply::Statement(Reach::Everywhere, _) => return Source::Statement(None),
            LongReply::Statement(Reach::Here, _) => {
                let claim = self.claim_of(request);
                let tx = self.ids.next();
                // It has begun: a smaller id that came in front of it would also come in front of what its client has
                // sent behind it, and of others that have run beside it.
                self.claim_running(tx, claim);
                return Source::Statement(Some((self.me(), tx)));
            }
        };
        let claim = self.claim_of_walk(request, &walk);
        let tx = self.ids.next();
        let scheduled = self.locks.schedule(tx, claim);
        // The request claims its keys exclusively, and has run because nothing conflicted.
        assert!(
            scheduled == Scheduled::Granted,
            "nothing stands before a request that has run"
        );
        self.locks.start(tx);
        let source = self.take_out(tx, to, request, walk);
        // Who waits for a key that is away waits on.
        self.serve_if_ready();
        source
    }

    /// Returns what a walk claims: the keys of its values.
    fn claim_of_walk(&self, request: &Request<'_>, walk: &Walk) -> Claim {
        let key = |&word: &usize| self.shard.key(request.args.word(word)).hash;
        let keys = walk.keys().iter().map(key);
        Claim {
            keys: keys.map(|hash| (hash, Mode::Exclusive)).collect(),
            whole: None,
        }
    }

    /// Takes the values out under the claim of `tx`.
    fn take_out(&mut self, tx: TxId, to: ShardId, request: &Request<'_>, walk: Walk) -> Source {
        self.walks.push(GivenWalk {
            tx,
            to,
            is_told: false,
        });
        // The command has counted and noted the access.
        let lend = |&word: &usize| {
            let key = self.shard.key(request.args.word(word));
            self.shard.db(request.db).lend(key, false, false)
        };
        let loans = walk.keys().iter().map(lend).collect();
        Source::Walk(Box::new(WalkSource {
            walk,
            tx,
            db: request.db,
            loans,
            home: self.me(),
        }))
    }

    /// Hands over the long reply of a request that has just run.
    #[cold]
    pub(crate) fn hand_over(&mut self, ran: Ran, reply: LongReply) {
        if let LongReply::Change(change) = reply {
            return self.begin_change(ran, change);
        }
        let source = self.begin_long(ran.to, &ran.request.as_request(), reply);
        if matches!(source, Source::Statement(None)) {
            self.begin_return((ran.to, ran.origin.connection));
        }
        self.send_long(ran, source);
    }

    /// The same for a request that has waited and has the claim `tx` already. Returns whether that ends.
    pub(crate) fn hand_over_under(&mut self, tx: TxId, ran: Ran, reply: LongReply) -> bool {
        let (source, is_over) = match reply {
            LongReply::Pieces(pieces) => (Source::Pieces(pieces), true),
            LongReply::Taken(taken) => (Source::Taken(Box::new(taken)), true),
            LongReply::Walk(walk) => {
                let request = ran.request.as_request();
                (self.take_out(tx, ran.to, &request, walk), false)
            }
            LongReply::Change(change) => {
                return self.begin_change_under(tx, ran, change);
            }
            LongReply::Statement(Reach::Everywhere, _) => {
                self.begin_return((ran.to, ran.origin.connection));
                (Source::Statement(None), true)
            }
            LongReply::Statement(Reach::Here, _) => {
                (Source::Statement(Some((self.me(), tx))), false)
            }
        };
        self.send_long(ran, source);
        is_over
    }

    pub(crate) fn send_long(&mut self, ran: Ran, source: Source) {
        let nanos = monotonic().nanos_since(ran.started);
        self.send_long_after(ran, source, nanos);
    }

    /// The same for a request that has run for so long.
    pub(crate) fn send_long_after(&mut self, ran: Ran, source: Source, nanos: u64) {
        let handed = Handed {
            origin: ran.origin,
            request: ran.request,
            nanos,
            source,
        };
        self.send(ran.to, Message::Long(Box::new(handed)));
    }

    /// Puts values back that a long reply has walked over, and lets go on what has waited for it.
    pub(crate) fn take_back(&mut self, tx: TxId, db: DbIndex, loans: Box<[Loan]>) {
        self.walks.retain(|walk| walk.tx != tx);
        for loan in loans {
            commands::run::settle(&mut self.shard, db, loan);
        }
        let mut granted = Vec::new();
        self.locks.release(tx, &mut granted);
        self.serve_if_ready();
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
