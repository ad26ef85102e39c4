//! Intent locks and the order of transactions on one shard.
//!
//! A transaction that touches several shards first claims its keys on each of them, then runs its
//! hops, then releases. The table keeps every claim from the moment it is scheduled to its release
//! and says which transactions may run: those before whom no conflicting claim with a smaller id is
//! left. As ids come from one counter of the node, all shards serve transactions that conflict in
//! the same order, and as waiting always goes from a larger id to a smaller one, no circle of
//! waiting can form.
//!
//! Messages between cores may overtake each other, so a smaller id can arrive after a larger one.
//! If the larger one has not started it steps back, even if it was granted before, and is reported
//! again later. If it has started the newcomer is refused: its coordinator cancels it on the other
//! shards and tries again with a new id. Each started transaction refuses another at most once, so
//! this ends.
//!
//! [`LockTable::start_first`] puts a claim before all that wait, whatever their ids. That is for what follows at once
//! on a change as a part of it, uses this shard alone and waits for nothing: it can close no circle.
//!
//! Two claims conflict if they share a key, or if one takes the whole shard and the other anything,
//! and at least one of the two modes is exclusive.
//!
//! Invariants
//! - No two started transactions conflict.
//! - A transaction is granted exactly while no conflicting claim stands before it, by id or as a first one; each change
//!   from waiting to granted is reported once, by the release that caused it.
//! - A key without claims takes no memory.
//!
//! Keys are known here by fingerprint only. Two keys with the same one seem to conflict, which costs
//! a wait and nothing else.
//!
//! Not here: what runs, messages, and requests on one key. Those run at once while
//! [`LockTable::is_empty`], and otherwise unless [`LockTable::conflicts`]; they may not overtake a
//! claim that only waits, or it would wait forever on a busy key.

use base::hash::Map;
use base::ids::TxId;

/// How a key or a shard is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Read only; any number of these at a time.
    Shared,
    /// Changed; nothing else at the same time.
    Exclusive,
}

/// What one transaction uses on one shard.
#[derive(Clone, Debug, Default)]
pub struct Claim {
    /// The fingerprint of a key, which is the hash of its name, and the use. The key is claimed in all
    /// databases, as COPY, MOVE and scripts may write it in another one. Two keys with one fingerprint
    /// only wait for each other without need. Any order; a key may come more than once, and then the
    /// strongest mode counts.
    pub keys: Vec<(u64, Mode)>,
    /// The use of the whole shard, as `FLUSHALL` (exclusive) and `DBSIZE` (shared) have it.
    pub whole: Option<Mode>,
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheduled {
    /// Kept; no smaller id is in the way. A smaller one may still come before the start: ask
    /// [`LockTable::is_granted`] then.
    Granted,
    /// Kept; will be reported by the [`LockTable::release`] that clears the way.
    Waiting,
    /// Not kept: a conflicting claim with a larger id has started here.
    Refused,
}

/// All claims on one shard. One per core.
#[derive(Debug, Default)]
pub struct LockTable {
    transactions: Map<TxId, Transaction>,
    /// For each claimed key its claims by id, never none.
    queues: Map<u64, Vec<Place>>,
    /// The transactions that claim the whole shard, by id.
    wholes: Vec<TxId>,
}

/// Where a claim stands among those that it conflicts with: smaller ones run before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// It was not put before all others.
    is_ordinary: bool,
    tx: TxId,
}

/// A claim that was kept.
#[derive(Debug)]
struct Transaction {
    /// Sorted by fingerprint, each once, without those that `whole` covers.
    keys: Vec<(u64, Mode)>,
    reach: Reach,
    rank: Rank,
    /// The keys at which a smaller id is in the way, plus the smaller ids that conflict through the
    /// claim on the whole shard of either. Granted at 0.
    obstacles: usize,
    started: bool,
}

/// One claim on one key.
#[derive(Clone, Copy, Debug)]
struct Place {
    rank: Rank,
    mode: Mode,
}

/// What decides about conflicts through the whole shard.
#[derive(Clone, Copy, Debug)]
struct Reach {
    whole: Option<Mode>,
    /// The strongest mode of anything claimed; none for an empty claim.
    strongest: Option<Mode>,
}

impl LockTable {
    /// Creates an empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps the claim of `tx` at its place by id, unless that is too late.
    ///
    /// Granted transactions with larger ids that conflict and have not started wait again.
    /// On [`Scheduled::Refused`] the table is unchanged.
    /// Cost: O(k log k + k h), with k keys and at most h claims on each; O(number of transactions)
    /// more if `claim` takes the whole shard, O(number of claims on the whole shard) more else.
    ///
    /// # Panics
    ///
    /// If `tx` has a claim here already.
    pub fn schedule(&mut self, tx: TxId, claim: Claim) -> Scheduled {
        let rank = Rank {
            is_ordinary: true,
            tx,
        };
        self.insert(rank, claim)
    }

    /// Keeps the claim of `tx` before all that wait and starts it, unless something that conflicts has started.
    /// Returns whether it was kept.
    ///
    /// Granted transactions that conflict wait again. Cost: as [`LockTable::schedule`].
    ///
    /// # Panics
    ///
    /// If `tx` has a claim here already.
    pub fn start_first(&mut self, tx: TxId, claim: Claim) -> bool {
        let rank = Rank {
            is_ordinary: false,
            tx,
        };
        let is_kept = self.insert(rank, claim) == Scheduled::Granted;
        if is_kept {
            self.start(tx);
        }
        is_kept
    }

    fn insert(&mut self, rank: Rank, claim: Claim) -> Scheduled {
        let tx = rank.tx;
        assert!(
            !self.transactions.contains_key(&tx),
            "a transaction claims once on each shard"
        );
        let reach = claim.reach();
        let keys = claim.into_distinct_keys();
        let rivals = self.rivals_by_whole(reach);
        if self.is_too_late(rank, &keys, &rivals) {
            return Scheduled::Refused;
        }
        let mut obstacles = 0;
        for &(fingerprint, mode) in &keys {
            let queue = self.queues.entry(fingerprint).or_default();
            if !insert_place(queue, Place { rank, mode }, &mut self.transactions) {
                obstacles += 1;
            }
        }
        for rival in rivals {
            let rival = known(&mut self.transactions, rival);
            if rival.rank < rank {
                obstacles += 1;
            } else {
                rival.obstacles += 1;
            }
        }
        if reach.whole.is_some() {
            let at = self.wholes.partition_point(|&other| other < tx);
            self.wholes.insert(at, tx);
        }
        self.transactions.insert(
            tx,
            Transaction {
                keys,
                reach,
                rank,
                obstacles,
                started: false,
            },
        );
        if obstacles == 0 {
            Scheduled::Granted
        } else {
            Scheduled::Waiting
        }
    }

    /// Gives the claim of `tx`, which has not started, to `new`, which is larger than all ids here. Whoever waits for
    /// it has to be given a larger one too: nobody is told that he is granted. Cost: as [`LockTable::schedule`].
    ///
    /// # Panics
    ///
    /// If `tx` has no claim here, or `new` has one.
    pub fn renew(&mut self, tx: TxId, new: TxId) {
        let old = known(&mut self.transactions, tx);
        debug_assert!(!old.started, "what has begun stays where it is");
        let claim = Claim {
            keys: old.keys.clone(),
            whole: old.reach.whole,
        };
        self.release(tx, &mut Vec::new());
        let scheduled = self.schedule(new, claim);
        debug_assert!(
            scheduled != Scheduled::Refused,
            "only larger ids refuse, and this one is the largest"
        );
    }

    /// Returns the transactions that have not started, in no particular order.
    pub fn waiting(&self) -> impl Iterator<Item = TxId> {
        let all = self.transactions.iter();
        all.filter(|(_, it)| !it.started).map(|(tx, _)| *tx)
    }

    /// Marks that the first hop of `tx` runs now; from here on no smaller id gets in front of it.
    /// Starting again, for a later hop, changes nothing.
    ///
    /// # Panics
    ///
    /// If `tx` is not granted.
    pub fn start(&mut self, tx: TxId) {
        let transaction = known(&mut self.transactions, tx);
        assert!(
            transaction.obstacles == 0,
            "a transaction runs only when it is its turn"
        );
        transaction.started = true;
    }

    /// Removes the claim of `tx`, which has ended or is cancelled, in any state. Appends to
    /// `granted`, by id, every transaction that thereby changed from waiting to granted.
    ///
    /// Cost: as [`LockTable::schedule`].
    ///
    /// # Panics
    ///
    /// If `tx` has no claim here; a refused one has none.
    pub fn release(&mut self, tx: TxId, granted: &mut Vec<TxId>) {
        let ended = self
            .transactions
            .remove(&tx)
            .expect("only a kept claim is released");
        let granted_before = granted.len();
        for (fingerprint, _) in ended.keys {
            let queue = self
                .queues
                .get_mut(&fingerprint)
                .expect("a kept claim is in its queues");
            remove_place(queue, ended.rank, |cleared| {
                remove_obstacle(&mut self.transactions, cleared, granted);
            });
            if queue.is_empty() {
                self.queues.remove(&fingerprint);
            }
        }
        if ended.reach.whole.is_some() {
            self.wholes.retain(|&other| other != tx);
        }
        for rival in self.rivals_by_whole(ended.reach) {
            if self.transactions[&rival].rank > ended.rank {
                remove_obstacle(&mut self.transactions, rival, granted);
            }
        }
        granted[granted_before..].sort_unstable();
    }

    /// Returns whether another claim conflicts with that of `tx`, and so waits for it. O(keys + claims on
    /// the whole shard).
    #[must_use]
    pub fn is_wanted(&self, tx: TxId) -> bool {
        let Some(transaction) = self.transactions.get(&tx) else {
            return false;
        };
        let is_shared_with = |(fingerprint, mode): &(u64, Mode)| {
            let queue = self.queues.get(fingerprint);
            queue.is_some_and(|queue| {
                let others = queue.iter().filter(|place| place.rank.tx != tx);
                others.into_iter().any(|place| exclude(place.mode, *mode))
            })
        };
        transaction.keys.iter().any(is_shared_with)
            || self
                .rivals_by_whole(transaction.reach)
                .iter()
                .any(|&rival| rival != tx)
    }

    /// Returns the keys that `tx` claims here, sorted; nothing if it has no claim, or one on the whole shard.
    #[must_use]
    pub fn keys_of(&self, tx: TxId) -> Option<&[(u64, Mode)]> {
        let transaction = self.transactions.get(&tx)?;
        let is_whole = transaction.reach.whole.is_some();
        (!is_whole).then_some(&transaction.keys)
    }

    /// Returns whether nothing is scheduled, so that no request has to look further.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.transactions.is_empty()
    }

    /// Returns the number of claims, granted and waiting.
    #[must_use]
    pub fn len(&self) -> usize {
        self.transactions.len()
    }

    /// Returns whether a request on one key conflicts with any claim, granted or waiting, and so has
    /// to queue up behind it. O(claims on the key + claims on the whole shard).
    #[must_use]
    pub fn conflicts(&self, fingerprint: u64, mode: Mode) -> bool {
        let by_key = self.queues.get(&fingerprint);
        by_key.is_some_and(|queue| queue.iter().any(|place| exclude(place.mode, mode)))
            || self.wholes.iter().any(|whole| {
                let whole_mode = self.transactions[whole].reach.whole;
                whole_mode.is_some_and(|whole_mode| exclude(whole_mode, mode))
            })
    }

    /// Returns whether `claim` conflicts with any claim, granted or waiting. Cost: as
    /// [`LockTable::schedule`], without the sorting.
    #[must_use]
    pub fn claim_conflicts(&self, claim: &Claim) -> bool {
        !self.rivals_by_whole(claim.reach()).is_empty()
            || claim
                .keys
                .iter()
                .any(|&(fingerprint, mode)| self.conflicts(fingerprint, mode))
    }

    /// Returns whether a transaction that uses the key has started and not ended: what it has changed
    /// is not yet for others to see. O(claims on the key + claims on the whole shard).
    #[must_use]
    pub fn is_in_use(&self, fingerprint: u64) -> bool {
        let has_started = |tx: &TxId| self.transactions[tx].started;
        let by_key = self.queues.get(&fingerprint);
        by_key.is_some_and(|queue| queue.iter().any(|place| has_started(&place.rank.tx)))
            || self.wholes.iter().any(has_started)
    }

    /// Returns whether `tx` has a claim here and no conflicting smaller id is before it.
    #[must_use]
    pub fn is_granted(&self, tx: TxId) -> bool {
        self.transactions
            .get(&tx)
            .is_some_and(|transaction| transaction.obstacles == 0)
    }

    /// Returns whether the first hop of `tx` has run.
    #[must_use]
    pub fn has_started(&self, tx: TxId) -> bool {
        self.transactions.get(&tx).is_some_and(|it| it.started)
    }

    /// Returns whether a conflicting transaction that would stand behind `rank` has started; nothing that has started
    /// may stand before a first one either.
    fn is_too_late(&self, rank: Rank, keys: &[(u64, Mode)], rivals: &[TxId]) -> bool {
        let has_started = |other: TxId| {
            let other = &self.transactions[&other];
            (other.rank > rank || !rank.is_ordinary) && other.started
        };
        let at_key = |&(fingerprint, mode): &(u64, Mode)| {
            let queue = self.queues.get(&fingerprint).map_or(&[][..], Vec::as_slice);
            // Started ones are among the clear ones at the front of each queue. In the usual case,
            // an id larger than all before, nothing is left to look up.
            let larger = queue[..clear_count(queue)]
                .iter()
                .rev()
                .take_while(|place| place.rank > rank || !rank.is_ordinary);
            larger
                .into_iter()
                .any(|place| exclude(place.mode, mode) && has_started(place.rank.tx))
        };
        keys.iter().any(at_key) || rivals.iter().any(|&rival| has_started(rival))
    }

    /// Returns the transactions that conflict with a claim of this reach because one of the two
    /// takes the whole shard; in no particular order. Allocates only if there are some.
    fn rivals_by_whole(&self, reach: Reach) -> Vec<TxId> {
        let conflicts = |tx: &TxId| reach.conflicts(self.transactions[tx].reach);
        if reach.whole.is_some() {
            self.transactions
                .keys()
                .filter(|&tx| conflicts(tx))
                .copied()
                .collect()
        } else {
            self.wholes
                .iter()
                .filter(|&tx| conflicts(tx))
                .copied()
                .collect()
        }
    }
}

impl Claim {
    fn reach(&self) -> Reach {
        let modes = self.keys.iter().map(|&(_, mode)| mode).chain(self.whole);
        Reach {
            whole: self.whole,
            strongest: modes.reduce(stronger),
        }
    }

    /// Returns the keys sorted, each once, without those for which the claim on the whole shard
    /// already speaks.
    fn into_distinct_keys(self) -> Vec<(u64, Mode)> {
        let mut keys = self.keys;
        match self.whole {
            Some(Mode::Exclusive) => keys.clear(),
            Some(Mode::Shared) => keys.retain(|&(_, mode)| mode == Mode::Exclusive),
            None => {}
        }
        keys.sort_unstable_by_key(|&(fingerprint, _)| fingerprint);
        keys.dedup_by(|later, kept| {
            let is_same = later.0 == kept.0;
            if is_same {
                kept.1 = stronger(kept.1, later.1);
            }
            is_same
        });
        keys
    }
}

impl Reach {
    /// Returns whether two claims conflict because one takes the whole shard.
    fn conflicts(self, other: Self) -> bool {
        let covers = |whole: Option<Mode>, strongest: Option<Mode>| {
            whole
                .zip(strongest)
                .is_some_and(|(whole, strongest)| exclude(whole, strongest))
        };
        covers(self.whole, other.strongest) || covers(other.whole, self.strongest)
    }
}

/// Returns whether two uses of one thing exclude each other.
fn exclude(first: Mode, second: Mode) -> bool {
    stronger(first, second) == Mode::Exclusive
}

fn stronger(first: Mode, second: Mode) -> Mode {
    if first == Mode::Exclusive {
        first
    } else {
        second
    }
}

/// Returns how many claims at the front of `queue` have nothing in their way at this key: one that
/// is exclusive, or all shared ones up to the first exclusive one.
fn clear_count(queue: &[Place]) -> usize {
    let shared = queue
        .iter()
        .take_while(|place| place.mode == Mode::Shared)
        .count();
    if shared == 0 {
        queue.len().min(1)
    } else {
        shared
    }
}

/// Inserts `place` by id and returns whether it is clear. Whoever is clear no more through this gets
/// one obstacle more.
fn insert_place(
    queue: &mut Vec<Place>,
    place: Place,
    transactions: &mut Map<TxId, Transaction>,
) -> bool {
    let clear_before = clear_count(queue);
    let at = queue.partition_point(|other| other.rank < place.rank);
    queue.insert(at, place);
    let clear = clear_count(queue);
    // The claims that were clear and stand behind the new one have moved up by one.
    for blocked in queue.iter().take(clear_before + 1).skip(clear.max(at + 1)) {
        known(transactions, blocked.rank.tx).obstacles += 1;
    }
    at < clear
}

/// Removes the place of `rank` and calls `on_clear` for each claim that becomes clear through this.
fn remove_place(queue: &mut Vec<Place>, rank: Rank, mut on_clear: impl FnMut(TxId)) {
    let clear_before = clear_count(queue);
    let at = queue.partition_point(|place| place.rank < rank);
    let removed = queue.remove(at);
    assert!(removed.rank == rank, "a kept claim is in its queues");
    // The claims that were clear and stand behind the removed one have moved down by one.
    let first = at.max(clear_before - 1);
    for cleared in queue.iter().take(clear_count(queue)).skip(first) {
        on_clear(cleared.rank.tx);
    }
}

fn remove_obstacle(transactions: &mut Map<TxId, Transaction>, tx: TxId, granted: &mut Vec<TxId>) {
    let transaction = known(transactions, tx);
    transaction.obstacles -= 1;
    if transaction.obstacles == 0 {
        granted.push(tx);
    }
}

fn known(transactions: &mut Map<TxId, Transaction>, tx: TxId) -> &mut Transaction {
    transactions
        .get_mut(&tx)
        .expect("the transaction has a claim on this shard")
}

#[cfg(test)]
mod tests;
