//! The coordinator's side of requests that wait for their keys.
//!
//! ```text
//! one shard       Wait ----------------------------------------> Woken
//! several         look under claims, join the queues ... Offer, hop ---> done, Forget to the others
//!                                                              -> nothing: wait on
//! given up        one shard: Forget ---> Forgotten (or Woken before it); several: Forget to all
//! ```
//! A request on one shard is answered by that shard, so who gives up has to ask it whether it is too
//! late. With several shards none runs the request unless it is told to: giving up needs no answer.
//!
//! Invariants
//! - A request gets one reply, whatever comes together: a key, the end of its time, CLIENT UNBLOCK.
//! - What a shard has taken from a key for a request is its reply, unless the client has left.
//! - One offer at a time is looked at; every other one is declined at once.
//!
//! Not here: the shard's side (`host::waiters`), timers and connections (`server`).

use base::hash::Map;
use base::ids::{ShardId, TxId};
use runtime::faults::{self, Fault};
use shard::locks::Claim;
use shard::watches::Author;

use crate::host::{Host, add_claim};
use crate::lend::{self, Lend};
use crate::message::{Message, Operation, Origin, Outcome, OwnedRequest, WaiterNumber, Woken};
use crate::signed::Signed;
use crate::step::{Base, HopOutcome, Program, Step, Surroundings};
use crate::transaction::{Event, Transaction, Transactions};

/// The requests of one coordinator that wait for their keys, or may begin to.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    last: u64,
    active: Map<WaiterNumber, Wait>,
}

/// Whose request it is that may wait.
#[derive(Clone, Copy, Debug)]
pub struct Whose {
    /// Where the reply belongs.
    pub origin: Origin,
    /// Who is not to be told of its changes.
    pub author: Option<Author>,
}

#[derive(Debug)]
struct Wait {
    origin: Origin,
    phase: Phase,
    /// The shards at whose keys it waits.
    shards: Vec<ShardId>,
    /// Its only shard answers it without asking.
    is_alone: bool,
    /// A request that moves an element to another shard: what runs when the source is ready.
    moves: Option<(Surroundings, OwnedRequest)>,
    /// Who is not to be told of its changes.
    author: Option<Author>,
    /// Offers that came while it was joining its queues.
    early: Vec<(ShardId, TxId, Box<[u8]>)>,
    /// Shards that were told to wait with their offers.
    put_off: Vec<ShardId>,
    /// It is to end with this reply.
    ending: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It looks at its keys, and joins the queues if there is nothing.
    Joining,
    Waiting,
    /// It tries its luck with an offer.
    Trying,
    /// Its shard was asked whether it is too late to leave.
    Leaving,
}

impl Transactions {
    /// Begins a request that may wait, of which all keys lie on `shard`.
    pub fn wait_on_one(
        &mut self,
        host: &mut Host,
        whose: Whose,
        shard: ShardId,
        request: OwnedRequest,
    ) -> WaiterNumber {
        let Whose { origin, author } = whose;
        let waiter = self.waits.begin(Wait {
            phase: Phase::Waiting,
            is_alone: true,
            ..Wait::new(origin, vec![shard])
        });
        let request = Box::new(request);
        let wait = Message::Wait {
            waiter,
            request,
            author,
        };
        host.outbox.push((shard, wait));
        waiter
    }

    /// Begins a request that may wait, of which the keys lie on several shards.
    pub fn wait_on_several(
        &mut self,
        host: &mut Host,
        whose: Whose,
        claims: Vec<(ShardId, Claim)>,
        around: Surroundings,
        request: OwnedRequest,
    ) -> WaiterNumber {
        let Whose { origin, author } = whose;
        let copy = OwnedRequest::new(request.as_request());
        let base = base_of(around, request);
        let shards: Vec<ShardId> = lend::words_by_shard(&base)
            .into_iter()
            .map(|(shard, _)| shard)
            .collect();
        // With keys that it does not wait at, it needs more than the shard that offers one.
        let form = copy.command.wait;
        let awaited = form.map_or(0, |form| (form.keys)(copy.args.args()).len());
        let mut keys = 0;
        let declaration = &copy.command.declaration;
        commands::keys::positions(declaration, copy.args.args(), |_, _| keys += 1);
        let waiter = self.waits.begin(Wait {
            moves: (keys > awaited).then_some((around, copy)),
            author,
            ..Wait::new(origin, shards)
        });
        let wait = lend::Wait {
            waiter,
            is_known: false,
        };
        let program = Signed::if_any(author, Box::new(Lend::waiting(base, wait)));
        let mut transaction = Transaction::new(origin, claims, program);
        transaction.waiter = Some((waiter, false));
        self.begin_transaction(host, transaction);
        waiter
    }

    /// Ends the waiting of a request with `reply`, unless it is answered before:
    /// [`Event::Left`] or [`Event::Woken`], now or later.
    pub fn end_wait(&mut self, host: &mut Host, waiter: WaiterNumber, reply: Vec<u8>) {
        let Some(wait) = self.waits.active.get_mut(&waiter) else {
            return;
        };
        match wait.phase {
            Phase::Leaving => {}
            Phase::Joining | Phase::Trying => wait.ending = Some(reply),
            Phase::Waiting => {
                let is_answered = wait.is_alone;
                for &shard in &wait.shards {
                    let forget = Message::Forget {
                        waiter,
                        is_answered,
                    };
                    host.outbox.push((shard, forget));
                }
                if is_answered {
                    wait.phase = Phase::Leaving;
                    wait.ending = Some(reply);
                } else {
                    let origin = wait.origin;
                    self.waits.active.remove(&waiter);
                    self.events.push(Event::Left { origin, reply });
                }
            }
        }
    }

    /// As [`Self::end_wait`], for a request whose client has left.
    pub fn abandon_wait(&mut self, host: &mut Host, waiter: WaiterNumber) {
        let wait = self.waits.active.get(&waiter);
        let is_alone = |wait: &Wait| wait.phase == Phase::Waiting && wait.is_alone;
        if !wait.is_some_and(is_alone) {
            self.end_wait(host, waiter, Vec::new());
        } else if let Some(wait) = self.waits.active.remove(&waiter) {
            // Nobody is left to be told.
            for shard in wait.shards {
                let forget = Message::Forget {
                    waiter,
                    is_answered: false,
                };
                host.outbox.push((shard, forget));
            }
            self.events.push(Event::Left {
                origin: wait.origin,
                reply: Vec::new(),
            });
        }
    }

    /// Takes the word of a shard that it has let a request go.
    pub(crate) fn forgotten(&mut self, waiter: WaiterNumber) {
        // It may have been answered before.
        if let Some(wait) = self.waits.active.remove(&waiter) {
            self.events.push(Event::Left {
                origin: wait.origin,
                reply: wait.ending.unwrap_or_default(),
            });
        }
    }

    /// Takes the reply of a request that waited on one shard.
    pub(crate) fn woken(&mut self, woken: Woken) {
        if let Some(wait) = self.waits.active.remove(&woken.waiter) {
            self.events.push(Event::Woken {
                origin: wait.origin,
                reply: woken.reply,
                nanos: woken.nanos,
            });
        }
    }

    /// Takes the reply of a request that ran as a transaction: it waits nowhere any more.
    pub(crate) fn answered(
        &mut self,
        host: &mut Host,
        waiter: WaiterNumber,
        reply: Vec<u8>,
        nanos: u64,
    ) {
        let Some(wait) = self.waits.active.remove(&waiter) else {
            return;
        };
        if wait.phase == Phase::Trying {
            for shard in wait.shards {
                let forget = Message::Forget {
                    waiter,
                    is_answered: false,
                };
                host.outbox.push((shard, forget));
            }
        }
        self.events.push(Event::Woken {
            origin: wait.origin,
            reply,
            nanos,
        });
    }

    /// Notes that a request stands in its queues, or that an offer has come to nothing.
    pub(crate) fn unanswered(&mut self, host: &mut Host, waiter: WaiterNumber) {
        let Some(wait) = self.waits.active.get_mut(&waiter) else {
            return;
        };
        wait.phase = Phase::Waiting;
        let early = std::mem::take(&mut wait.early);
        if let Some(reply) = wait.ending.take() {
            self.end_wait(host, waiter, reply);
        } else {
            for shard in std::mem::take(&mut wait.put_off) {
                host.outbox.push((shard, Message::Again { waiter }));
            }
        }
        for (from, tx, key) in early {
            self.offered(host, from, waiter, tx, key);
        }
    }

    /// Takes the offer of a shard.
    pub(crate) fn offered(
        &mut self,
        host: &mut Host,
        from: ShardId,
        waiter: WaiterNumber,
        tx: TxId,
        key: Box<[u8]>,
    ) {
        let Some(wait) = self.waits.active.get_mut(&waiter) else {
            host.outbox.push((from, Message::Release { tx }));
            return;
        };
        match wait.phase {
            Phase::Waiting => self.begin_try(host, from, waiter, tx, key),
            Phase::Trying if faults::is_on(Fault::SecondOfferTaken) => {
                self.begin_try(host, from, waiter, tx, key);
            }
            Phase::Joining => wait.early.push((from, tx, key)),
            Phase::Trying => {
                wait.put_off.push(from);
                host.outbox.push((from, Message::Later { tx, waiter }));
            }
            Phase::Leaving => host.outbox.push((from, Message::Release { tx })),
        }
    }

    /// Runs a request with a key that `from` has claimed under `tx`.
    fn begin_try(
        &mut self,
        host: &mut Host,
        from: ShardId,
        waiter: WaiterNumber,
        tx: TxId,
        key: Box<[u8]>,
    ) {
        let Some(wait) = self.waits.active.get_mut(&waiter) else {
            return;
        };
        wait.phase = Phase::Trying;
        self.counters.begun += 1;
        let mut claims = Vec::new();
        let program: Box<dyn Program> = match &wait.moves {
            None => Box::new(Wake {
                shard: from,
                waiter,
                key,
                is_sent: false,
            }),
            Some((around, request)) => {
                let mut claim = Claim::default();
                let (command, args) = (request.command, request.args.args());
                add_claim(&host.shard, command, args, &mut claim);
                commands::keys::positions(&command.declaration, args, |word, _| {
                    let shard = around.map.shard_of_key(args.word(word));
                    if shard != from && !claims.iter().any(|(at, _)| *at == shard) {
                        claims.push((shard, claim.clone()));
                    }
                });
                let request = OwnedRequest::new(request.as_request());
                let wait = lend::Wait {
                    waiter,
                    is_known: true,
                };
                Box::new(Lend::waiting(base_of(*around, request), wait))
            }
        };
        let mut program = Signed::if_any(wait.author, program);
        let first = program.step(Vec::new());
        let mut transaction = Transaction::new(wait.origin, claims, program);
        transaction.serial = self.counters.begun;
        transaction.waiter = Some((waiter, true));
        transaction.holders.push(from);
        if transaction.claims.is_empty() {
            self.active.insert(tx, transaction);
            self.follow(host, tx, first);
        } else {
            transaction.first = Some(first);
            transaction.schedule(host, tx);
            self.active.insert(tx, transaction);
        }
    }
}

impl Waits {
    /// Returns how many requests wait, or are about to be answered.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.active.len()
    }

    fn begin(&mut self, wait: Wait) -> WaiterNumber {
        self.last += 1;
        let waiter = WaiterNumber(self.last);
        self.active.insert(waiter, wait);
        waiter
    }
}

impl Wait {
    fn new(origin: Origin, shards: Vec<ShardId>) -> Self {
        Self {
            origin,
            phase: Phase::Joining,
            shards,
            is_alone: false,
            moves: None,
            author: None,
            early: Vec::new(),
            put_off: Vec::new(),
            ending: None,
        }
    }
}

fn base_of(around: Surroundings, request: OwnedRequest) -> Base {
    Base {
        map: around.map,
        request,
        stage: 0,
        databases: around.databases,
    }
}

/// Runs a request that waits on the shard that has offered a key.
#[derive(Debug)]
struct Wake {
    shard: ShardId,
    waiter: WaiterNumber,
    key: Box<[u8]>,
    is_sent: bool,
}

impl Program for Wake {
    fn step(&mut self, outcomes: Vec<HopOutcome>) -> Step {
        if !self.is_sent {
            self.is_sent = true;
            let wake = Operation::Wake {
                waiter: self.waiter,
                key: std::mem::take(&mut self.key),
            };
            return Step::Hop {
                operations: vec![(self.shard, vec![wake])],
                last: true,
            };
        }
        let given = outcomes.into_iter().flat_map(|hop| hop.outcomes).next();
        match given {
            Some(Outcome::Reply { bytes, .. }) => Step::Done { reply: bytes },
            _ => Step::Waiting,
        }
    }
}
