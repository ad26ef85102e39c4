//! Which key to drop when memory is short.
//!
//! As in Redis the choice is approximate: some keys drawn by chance are compared with the best
//! candidates of earlier draws, and the best of all goes. Source: the Redis documentation on key
//! eviction. Who decides that memory is short, and on which shard to evict, is the server.
//!
//! Invariants
//! - A candidate is looked up again before it is evicted; one that is gone, or on loan, is passed over.
//! - A draw costs O(samples); an eviction at most one draw per database with keys.

use base::ids::DbIndex;

use crate::dict::Place;
use crate::effects::EventClass;
use crate::entry::EntryRef;
use crate::{Shard, access};

/// Candidates that are kept between draws.
const POOL_MAX: usize = 16;

/// What is evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvictionPolicy {
    /// Only keys with an expiry.
    pub volatile_only: bool,
    /// Which of them first.
    pub order: EvictionOrder,
}

/// Which key goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvictionOrder {
    /// The one that was not used for the longest time.
    LeastRecent,
    /// The one that is used least often.
    LeastFrequent,
    /// Any.
    Random,
    /// The one that dies first anyway.
    SoonestDead,
}

/// A key that may be evicted.
#[derive(Debug)]
struct Candidate {
    /// The larger, the sooner it goes.
    score: u64,
    db: DbIndex,
    key: Box<[u8]>,
}

/// The best candidates so far, the best last.
#[derive(Debug, Default)]
pub(crate) struct EvictionPool {
    candidates: Vec<Candidate>,
    /// The policy by which they have their scores.
    policy: Option<EvictionPolicy>,
    next_db: u16,
}

impl EvictionPool {
    fn add(&mut self, score: u64, db: DbIndex, key: &[u8]) {
        let is_full = self.candidates.len() >= POOL_MAX;
        if is_full
            && self
                .candidates
                .first()
                .is_some_and(|worst| score <= worst.score)
        {
            return;
        }
        if self
            .candidates
            .iter()
            .any(|known| known.db == db && *known.key == *key)
        {
            return;
        }
        if is_full {
            self.candidates.remove(0);
        }
        let at = self
            .candidates
            .partition_point(|other| other.score <= score);
        let key = key.into();
        self.candidates.insert(at, Candidate { score, db, key });
    }
}

impl Shard {
    /// Evicts one key by `policy`, after a draw of `samples` keys per database, and returns the bytes
    /// it held. `None` if there is no key that the policy allows to evict.
    pub fn evict(&mut self, policy: EvictionPolicy, samples: usize) -> Option<usize> {
        if policy.order == EvictionOrder::Random {
            return self.evict_random(policy.volatile_only);
        }
        self.draw(policy, samples);
        while let Some(Candidate { db, key, .. }) = self.eviction_pool.candidates.pop() {
            let hash = self.common.hasher.hash(&key);
            let Some(place) = self.databases[db.index()].find(hash, &key) else {
                continue;
            };
            let entry = self.databases[db.index()].entry(place);
            if may_go(entry) && (!policy.volatile_only || entry.expire_at().is_some()) {
                return Some(self.evict_at(db, place));
            }
        }
        // All candidates of the draw were gone or on loan: take what there is.
        self.evict_random(policy.volatile_only)
    }

    /// Returns how soon the best candidate of this shard should go, to be compared with those of other
    /// shards under the same policy: larger goes first. `None` if the policy allows no key.
    pub fn best_candidate(&mut self, policy: EvictionPolicy, samples: usize) -> Option<u64> {
        if policy.order == EvictionOrder::Random {
            return (0..self.options.databases)
                .any(|db| self.evictable(DbIndex(db), policy.volatile_only) > 0)
                .then_some(0);
        }
        self.draw(policy, samples);
        self.eviction_pool.candidates.last().map(|best| best.score)
    }

    fn evictable(&self, db: DbIndex, volatile_only: bool) -> usize {
        let dict = &self.databases[db.index()];
        if volatile_only {
            dict.expires_len()
        } else {
            dict.len()
        }
    }

    /// Draws keys of every database into the pool.
    fn draw(&mut self, policy: EvictionPolicy, samples: usize) {
        if self.eviction_pool.policy.replace(policy) != Some(policy) {
            self.eviction_pool.candidates.clear();
        }
        let now = self.common.now;
        let decay = self.options.lfu_decay_minutes;
        for db in (0..self.options.databases).map(DbIndex) {
            let count = self.evictable(db, policy.volatile_only);
            for _ in 0..samples.min(count) {
                let dict = &self.databases[db.index()];
                let Some(place) = dict.random(&mut self.common.random, policy.volatile_only) else {
                    break;
                };
                let entry = dict.entry(place);
                if !may_go(entry) {
                    continue;
                }
                let score = match policy.order {
                    EvictionOrder::LeastRecent => access::idle_seconds(entry.access(), now),
                    EvictionOrder::LeastFrequent => {
                        let counter = access::decayed(entry.access(), now, decay);
                        u64::from(u8::MAX) - u64::from(counter.min(u32::from(u8::MAX)))
                    }
                    EvictionOrder::SoonestDead => {
                        let at = entry.expire_at().map_or(i64::MAX, |at| at.0.max(0));
                        u64::MAX - at.cast_unsigned()
                    }
                    EvictionOrder::Random => 0,
                };
                self.eviction_pool.add(score, db, entry.key());
            }
        }
    }

    /// Evicts any key, of the databases in turn.
    fn evict_random(&mut self, volatile_only: bool) -> Option<usize> {
        for _ in 0..self.options.databases {
            let db = DbIndex(self.eviction_pool.next_db);
            self.eviction_pool.next_db = (db.0 + 1) % self.options.databases;
            if self.evictable(db, volatile_only) == 0 {
                continue;
            }
            let dict = &self.databases[db.index()];
            if let Some(place) = dict.random(&mut self.common.random, volatile_only)
                && may_go(dict.entry(place))
            {
                return Some(self.evict_at(db, place));
            }
        }
        None
    }

    fn evict_at(&mut self, db: DbIndex, place: Place) -> usize {
        let entry = self.databases[db.index()].entry(place);
        let bytes = entry.bytes();
        let key: Box<[u8]> = entry.key().into();
        let key = self.key(&key);
        self.common.stats.evicted_keys += 1;
        self.common.touch(db, key.bytes);
        self.common.record(db, key);
        let mut handle = self.db(db);
        handle.remove_at(place);
        handle.event(EventClass::EVICTED, "evicted", key);
        bytes
    }
}

/// Returns whether an entry may be evicted: a value on loan comes back in a moment.
fn may_go(entry: EntryRef<'_>) -> bool {
    !entry.is_lent()
}
