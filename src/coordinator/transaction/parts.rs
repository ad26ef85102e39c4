//! How what a transaction has changed on several shards gets to their logs: all of it, or nothing that counts.
//!
//! ```text
//! last hop, or a hop for this alone -> each shard: all its changes as one part, written -> HopDone
//!                                      all have answered -> the reply, Release to all
//! ```
//! A shard answers when its log is written, with `appendfsync always` when it is on the disk: messages of a turn
//! leave behind that. So when the first shard releases the keys, all parts are written, and what can rest on the
//! transaction comes later. A start that does not find all parts leaves out those that it finds.
//!
//! If one shard alone has changes, they are a record like any other: written with the last hop, or before it is
//! answered. Without a log, and for what only reads, nothing is different.
//!
//! Not here: what shards keep back (`shard::records::held`), what a start does with parts (`server::persistence`).

use base::ids::{ShardId, TxId};

use super::{Phase, Transaction, Transactions};
use crate::host::Host;
use crate::message::changes::may_change;
use crate::message::{HopEnd, Message, Operation};
use crate::step::Step;

/// Returns how a hop of `shard` ends. `writers` are the shards that have something to write with the last one.
pub(super) fn end_of(shard: ShardId, last: bool, writers: &[ShardId]) -> HopEnd {
    if !last {
        HopEnd::Stays
    } else if writers.len() > 1 && writers.contains(&shard) {
        HopEnd::IsWritten(u16::try_from(writers.len()).unwrap_or(u16::MAX))
    } else {
        HopEnd::Ends
    }
}

impl Transactions {
    /// Notes that a shard keeps changes of a transaction back.
    pub(super) fn note_held(&mut self, from: ShardId, tx: TxId) {
        if let Some(transaction) = self.active.get_mut(&tx)
            && !transaction.held.contains(&from)
        {
            transaction.held.push(from);
        }
    }
}

impl Transaction {
    /// Returns the shards that have something to write when the last hop has run; nothing without a log. Those that
    /// may get something with it count, as all of them have to know how many there are.
    pub(super) fn writers_of_last(
        &mut self,
        host: &Host,
        operations: &[(ShardId, Vec<Operation>)],
    ) -> Vec<ShardId> {
        let mut writers = std::mem::take(&mut self.held);
        if host.shard.is_recording() {
            for (shard, operations) in operations {
                if !writers.contains(shard) && may_change(operations) {
                    writers.push(*shard);
                }
            }
        }
        writers
    }

    /// Ends the claims of shards that have nothing to do in the last hop, unless they have something to write.
    /// Returns the shards that have.
    pub(super) fn release_with_last(
        &mut self,
        host: &mut Host,
        tx: TxId,
        operations: &[(ShardId, Vec<Operation>)],
    ) -> Vec<ShardId> {
        let writers = self.writers_of_last(host, operations);
        let is_asked = |shard: ShardId| operations.iter().any(|(at, _)| *at == shard);
        for shard in std::mem::take(&mut self.holders) {
            let is_writer = writers.contains(&shard);
            if is_writer && writers.len() > 1 {
                self.holders.push(shard);
            } else if !is_writer && !is_asked(shard) {
                host.outbox.push((shard, Message::Release { tx }));
            }
        }
        for &shard in writers.iter().filter(|shard| !is_asked(**shard)) {
            self.write_part(host, tx, shard, &writers);
        }
        writers
    }

    /// Has a shard write what it keeps back, which nothing else is to be done on.
    pub(super) fn write_part(
        &mut self,
        host: &mut Host,
        tx: TxId,
        shard: ShardId,
        writers: &[ShardId],
    ) {
        let end = end_of(shard, true, writers);
        if end == HopEnd::Ends {
            self.holders.retain(|holder| *holder != shard);
        }
        if let Phase::Running { awaited } = &mut self.phase {
            *awaited += 1;
        }
        let now = *self.now.get_or_insert_with(|| host.shard.now());
        let hop = Message::Hop {
            tx,
            operations: Vec::new(),
            end,
            now,
        };
        host.outbox.push((shard, hop));
    }

    /// Has the shards write what they keep back before a step that ends the claims. Returns the step if nothing has
    /// to be waited for.
    pub(super) fn write_parts_before(
        &mut self,
        host: &mut Host,
        tx: TxId,
        step: Step,
    ) -> Option<Step> {
        match step {
            Step::Hop { .. } | Step::Attempt { .. } | Step::Ask(_) | Step::Again | Step::Pause => {
                return Some(step);
            }
            Step::Yield | Step::Done { .. } | Step::Watching { .. } | Step::Waiting => {}
        }
        let writers = std::mem::take(&mut self.held);
        if writers == [host.me()] {
            // Its claim ends in this turn, and the reply leaves behind its record.
            return Some(step);
        }
        self.phase = Phase::Running { awaited: 0 };
        for &shard in &writers {
            self.write_part(host, tx, shard, &writers);
        }
        self.behind = Some(step);
        None
    }
}
