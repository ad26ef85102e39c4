//! Transactions of this core's shard and one other: claim and first hop in one message.
//!
//! ```text
//! claim here, at once -> Begin to the other: accepted, run -> HopDone -> the hop here -> done
//!                                           refused -> Refused, with the operations -> a new id
//! ```
//! Who claims for a transaction asks for the word of all its shards before anything runs, as a hop cannot be
//! taken back. The word of this core's shard is there at once: an id that was drawn just now is larger
//! than all it has seen. So the other one decides alone, and may run its part as soon as it has accepted. Its
//! claim may end with that: what has not run here yet is claimed here under the same id.
//!
//! Not here: transactions of more shards, which schedule first ([`super`]).

use base::ids::{ShardId, TxId};
use runtime::faults::{self, Fault};
use shard::locks::Claim;

use super::{Phase, Transaction, Transactions, parts};
use crate::host::Host;
use crate::message::{HopEnd, Message, Operation};
use crate::step::Step;

/// The rest of a first hop of which another shard does its part.
#[derive(Debug)]
pub(super) struct Pair {
    other: ShardId,
    /// What this core's shard does, if it has a part.
    own: Option<Vec<Operation>>,
    /// This core's shard comes first in the hop.
    own_is_first: bool,
    last: bool,
    /// How the hop ends here.
    end: HopEnd,
}

impl Transactions {
    /// Takes back the operations of a shard that has refused.
    pub(super) fn refused(
        &mut self,
        host: &mut Host,
        from: ShardId,
        tx: TxId,
        theirs: Vec<Operation>,
    ) {
        let Some(transaction) = self.active.get_mut(&tx) else {
            return;
        };
        if transaction.attempt.is_some() {
            self.attempted(host, from, tx, None);
            return;
        }
        let Some(pair) = transaction.pair.take() else {
            return;
        };
        let mut operations = vec![(from, theirs)];
        if let Some(own) = pair.own {
            let index = usize::from(!pair.own_is_first);
            operations.insert(index, (host.me(), own));
        }
        transaction.first = Some(Step::Hop {
            operations,
            last: pair.last,
        });
        self.come_back(host, tx);
    }
}

impl Transaction {
    /// Sends the first hop of a transaction along with its claim, if only this core's shard and one other
    /// take part. Gives the step back if that cannot be.
    pub(super) fn try_as_pair(&mut self, host: &mut Host, tx: TxId, first: Step) -> Option<Step> {
        let me = host.me();
        let (own, other) = match &self.claims[..] {
            [own, other] | [other, own] if own.0 == me && other.0 != me => (own, other),
            [..] => return Some(first),
        };
        let (at, claim) = other.clone();
        let (mut operations, last) = match first {
            Step::Hop { operations, last }
                if operations.iter().any(|(it, _)| *it == at)
                    && !operations.iter().any(|(_, list)| is_told_late(list)) =>
            {
                (operations, last)
            }
            first => return Some(first),
        };
        let connection = self.origin.connection;
        let now = *self.now.get_or_insert_with(|| host.shard.now());
        if !is_unclaimed(last) {
            if !host.accept((me, connection), tx, own.1.clone()) {
                return Some(Step::Hop { operations, last });
            }
            self.holders.push(me);
        }
        self.phase = Phase::Running {
            awaited: operations.len(),
        };
        self.hop = operations.iter().map(|(shard, _)| (*shard, None)).collect();
        let own_is_first = operations[0].0 == me;
        let writers = if last {
            self.writers_of_last(host, &operations)
        } else {
            Vec::new()
        };
        let mut take = |shard| {
            let index = operations.iter().position(|(it, _)| *it == shard)?;
            Some(operations.swap_remove(index).1)
        };
        let theirs = take(at).unwrap_or_default();
        self.pair = Some(Pair {
            other: at,
            own: take(me),
            own_is_first,
            last,
            end: parts::end_of(me, last, &writers),
        });
        let message = Message::Begin {
            tx,
            connection,
            claim,
            operations: theirs,
            end: parts::end_of(at, last, &writers),
            now,
        };
        host.outbox.push((at, message));
        None
    }

    /// Has this core's shard do its part of the first hop, now that the other one has.
    pub(super) fn run_own_part(&mut self, host: &mut Host, tx: TxId, from: ShardId, pair: Pair) {
        debug_assert_eq!(from, pair.other, "nobody else was asked");
        let last = pair.last;
        if pair.end == HopEnd::Ends {
            self.holders.clear();
        } else {
            self.holders.push(from);
        }
        let me = host.me();
        let now = *self.now.get_or_insert_with(|| host.shard.now());
        match pair.own {
            Some(operations) if is_unclaimed(last) => {
                let claim = Claim::default();
                let alone = Message::Alone {
                    tx,
                    claim,
                    operations,
                };
                host.outbox.push((me, alone));
            }
            None if is_unclaimed(last) => {}
            Some(operations) => host.outbox.push((
                me,
                Message::Hop {
                    tx,
                    operations,
                    end: pair.end,
                    now,
                },
            )),
            None if last => host.outbox.push((me, Message::Release { tx })),
            None => {}
        }
    }
}

/// Returns whether the outcome of a hop may come long after its claims have ended. Nobody is to wait for that.
fn is_told_late(operations: &[Operation]) -> bool {
    matches!(operations, [Operation::Names(_)])
}

/// Returns whether a fault leaves out the claim here, of a transaction of one hop.
fn is_unclaimed(last: bool) -> bool {
    last && faults::is_on(Fault::PairUnclaimed)
}
