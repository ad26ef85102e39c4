//! Transactions that claim and begin in one round, whatever the number of their shards.
//!
//! ```text
//! claim here, at once -> Begin to all others: accepted, run -> HopDone
//!                                             refused       -> Refused
//! all have run     -> the part here -> on, or done
//! one has refused  -> Release to those that have not let go, a new id, the first step anew
//! ```
//! A shard runs its part before it is known whether the others accept. So what others do changes nothing, or there is
//! only one other, which decides alone. If one refuses, what the others gave is forgotten. If none does, all have run
//! at their places in the order of ids.
//!
//! Requests for one shard have no ids. So that nobody changes something where a part has run, and then something where
//! it has not, shards keep their claims until all have run: what they gave is what they had at one time. With one other
//! shard the claim here does that.
//!
//! The part here comes last, for two reasons. It may change something, as nobody refuses any more; and until it has
//! run, smaller ids may still come before it, as the claim here has not begun. If it ran first, two cores that
//! begin at the same time would refuse each other.
//!
//! Not here: transactions whose first hop cannot be taken back ([`super::pair`], [`super`]).

use base::ids::{ShardId, TxId};

use super::{Gave, Phase, Transaction, Transactions, parts};
use crate::host::Host;
use crate::message::changes::may_change;
use crate::message::{Message, Operation};
use crate::step::{HopOutcome, Step};

/// A first hop that other shards do.
#[derive(Debug)]
pub(super) struct Attempt {
    last: bool,
    /// The others keep their claims until all have done their part.
    stays: bool,
    /// Shards that have not answered.
    awaited: usize,
    refused: bool,
}

impl Transactions {
    /// Begins a transaction with an attempt; `operations` are those of other shards.
    pub(super) fn begin_attempt(
        &mut self,
        host: &mut Host,
        tx: TxId,
        mut transaction: Transaction,
        (operations, last): (Vec<(ShardId, Vec<Operation>)>, bool),
    ) {
        if transaction.claim_here(host, tx) {
            self.counters.hops += 1;
            transaction.send_attempt(host, tx, operations, last);
        } else {
            // Something that this client has sent before waits here.
            transaction.program.withdraw(true);
            transaction.first = Some(Step::Again);
            transaction.schedule(host, tx);
        }
        self.active.insert(tx, transaction);
    }

    /// Takes what a shard gave in an attempt, or that it has refused.
    pub(super) fn attempted(
        &mut self,
        host: &mut Host,
        from: ShardId,
        tx: TxId,
        gave: Option<Gave>,
    ) {
        let Some(transaction) = self.active.get_mut(&tx) else {
            return;
        };
        let Some(attempt) = &mut transaction.attempt else {
            return;
        };
        attempt.awaited -= 1;
        match gave {
            Some(gave) => {
                transaction.nanos += gave.1;
                if !attempt.last || attempt.stays {
                    transaction.holders.push(from);
                }
                let place = transaction.hop.iter_mut().find(|(at, _)| *at == from);
                if let Some((_, place)) = place {
                    *place = Some(gave);
                }
            }
            None => attempt.refused = true,
        }
        if attempt.awaited > 0 {
            return;
        }
        let (last, refused) = (attempt.last, attempt.refused);
        transaction.attempt = None;
        if refused {
            self.attempt_again(host, tx);
            return;
        }
        let outcomes = transaction.take_hop();
        if let Some(own) = transaction.program.own_part(&outcomes) {
            transaction.run_after(host, tx, outcomes, (own, last));
        } else {
            let step = transaction.program.step(outcomes);
            self.follow(host, tx, step);
        }
    }

    fn attempt_again(&mut self, host: &mut Host, tx: TxId) {
        let Some(mut transaction) = self.active.remove(&tx) else {
            return;
        };
        self.counters.retries += 1;
        transaction.hop.clear();
        transaction.held.clear();
        transaction.release(host, tx);
        transaction.program.withdraw(false);
        let first = transaction.program.step(Vec::new());
        let tx = self.ids.next();
        self.start(host, tx, transaction, first);
    }
}

impl Transaction {
    fn claim_here(&mut self, host: &mut Host, tx: TxId) -> bool {
        let me = host.me();
        let own = self.claims.iter().find(|(shard, _)| *shard == me);
        let Some((_, claim)) = own else {
            return true;
        };
        let accepted = host.accept((me, self.origin.connection), tx, claim.clone());
        if accepted {
            self.holders.push(me);
        }
        accepted
    }

    fn send_attempt(
        &mut self,
        host: &mut Host,
        tx: TxId,
        mut operations: Vec<(ShardId, Vec<Operation>)>,
        last: bool,
    ) {
        let (me, connection) = (host.me(), self.origin.connection);
        let now = *self.now.get_or_insert_with(|| host.shard.now());
        self.hop = operations.iter().map(|(shard, _)| (*shard, None)).collect();
        let is_changing = operations.iter().any(|(_, list)| may_change(list));
        // Several shards do not all read at one time; what each has read must stay so until the last one has.
        let is_several = self.claims.len() > 2;
        let stays = last && (is_several || is_changing && host.shard.is_recording());
        let mut awaited = 0;
        for (shard, claim) in self.claims.iter().filter(|(shard, _)| *shard != me) {
            let part = operations.iter_mut().find(|(at, _)| at == shard);
            let operations = part.map(|(_, list)| std::mem::take(list));
            awaited += 1;
            host.outbox.push((
                *shard,
                Message::Begin {
                    tx,
                    connection,
                    claim: claim.clone(),
                    operations: operations.unwrap_or_default(),
                    end: parts::end_of(*shard, last && !stays, &[]),
                    now,
                },
            ));
        }
        debug_assert!(awaited > 0, "others take part");
        self.phase = Phase::Running { awaited };
        self.attempt = Some(Attempt {
            last,
            stays,
            awaited,
            refused: false,
        });
    }

    /// Has this core's shard do its part, now that the others have.
    fn run_after(
        &mut self,
        host: &mut Host,
        tx: TxId,
        others: Vec<HopOutcome>,
        (operations, last): (Vec<Operation>, bool),
    ) {
        let me = host.me();
        let now = *self.now.get_or_insert_with(|| host.shard.now());
        self.phase = Phase::Running { awaited: 1 };
        self.hop = others
            .into_iter()
            .map(|it| (it.shard, Some((it.outcomes, it.nanos))))
            .collect();
        self.hop.push((me, None));
        let own = vec![(me, operations)];
        let writers = if last {
            self.release_with_last(host, tx, &own)
        } else {
            Vec::new()
        };
        for (me, operations) in own {
            let end = parts::end_of(me, last, &writers);
            let hop = Message::Hop {
                tx,
                operations,
                end,
                now,
            };
            host.outbox.push((me, hop));
        }
    }
}
