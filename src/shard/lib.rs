//! Everything one core owns: its part of the keyspace.
//!
//! A [`Shard`] is plain data with synchronous methods: no I/O, no clock, no thread. The core loop
//! tells it the time once per turn with [`Shard::set_now`]; all work on keys goes through the handle
//! that [`Shard::db`] gives for one numbered database.
//!
//! ```text
//! Shard -> one dict per database -> segments -> slots -> entries: header, key, value
//!       -> watches, statistics, what the time is
//! ```
//!
//! In reading order: [`keyspace`] is what commands call ([`strings`] edits strings in place,
//! [`values`] is for other types, [`loan`] for commands over several keys), `dict` finds entries, `segment` is
//! a piece of it, [`entry`] is the
//! layout of one key, `access` notes its use, [`expiry`] removes
//! the dead ([`field_expiry`] those in hashes), [`eviction`] what there is no room for, `lazy_free` gives large values
//! back in steps, [`mod@tables`] is about tables, [`watches`] serves WATCH, [`waiters`] those who wait for keys,
//! [`memory`] counts bytes, [`snapshot`] hands all entries on to a [`sink`], [`names`] shows those of all keys, [`digest`] compares data sets,
//! [`effects`] counts what happened, [`records`] tells the log of it, and [`records::held`] what it is not to be told yet. Apart
//! from all of them, [`locks`] orders the transactions that touch several shards.
//!
//! Invariants
//! - What a method does depends on the shard and its arguments alone, so a run repeats exactly.
//! - Every method is bounded by its arguments and never by the number of keys, but where its
//!   documentation says so.

mod access;
mod dict;
pub mod digest;
pub mod effects;
pub mod entry;
pub mod eviction;
pub mod expiry;
pub mod field_expiry;
pub mod keyspace;
mod lazy_free;
pub mod loan;
pub mod locks;
pub mod memory;
pub mod names;
pub mod records;
mod segment;
pub mod sink;
mod slab;
pub mod snapshot;
pub mod strings;
pub mod tables;
pub mod values;
pub mod waiters;
pub mod watches;

use ::tables::Tables;
use ::tables::schema::TableId;
use base::clock::UnixMillis;
use base::hash::KeyHasher;
use base::ids::{DbIndex, ShardId};
use base::random::Random;
use types::Limits;

use crate::access::Policy;
use crate::dict::Dict;
use crate::effects::{EventClass, KeyEvent, Stats};
use crate::eviction::EvictionPool;
use crate::expiry::SweepPosition;
use crate::keyspace::Db;
use crate::lazy_free::LazyFree;
use crate::memory::Ledger;
use crate::records::Records;
use crate::snapshot::Snapshot;
use crate::values::Unpacked;
use crate::waiters::Waiters;
use crate::watches::{Author, Changed, Watches};

/// What a shard is made with, and may be told anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Number of databases, at least 1. Fixed for the life of the shard.
    pub databases: u16,
    /// Seed of the hash of keys, the same for all shards of a node. Fixed for the life of the shard.
    pub hash_seed: (u64, u64),
    /// Longest string, in bytes (`proto-max-bulk-len`); commands refuse longer ones.
    pub bulk_bytes_max: u64,
    /// The eviction policy is one of the LFU ones.
    pub lfu: bool,
    /// `lfu-log-factor`.
    pub lfu_log_factor: u32,
    /// `lfu-decay-time`, in minutes.
    pub lfu_decay_minutes: u32,
    /// Where values change their encoding.
    pub limits: Limits,
    /// The classes of events that are kept for [`Shard::take_events`].
    pub events: EventClass,
    /// Shards of the node. Fixed for the life of the shard.
    pub shards: u16,
    /// Rows of a table that a statement may look at where no index helps (`max_scan_limit`).
    pub scan_rows_max: u64,
    /// Rows of a table beyond which they lie on all shards (`table-spread-rows`).
    pub spread_rows: u64,
    /// Rows that a step of a table statement may change or write out: some tens of microseconds.
    pub table_step_rows: usize,
    /// A value that takes more bytes than this is handed to a save in parts.
    pub part_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            databases: 16,
            hash_seed: (0, 0),
            bulk_bytes_max: 512 * 1024 * 1024,
            lfu: false,
            lfu_log_factor: 10,
            lfu_decay_minutes: 1,
            limits: Limits::default(),
            events: EventClass::NONE,
            shards: 1,
            scan_rows_max: 100_000,
            spread_rows: 4096,
            table_step_rows: 256,
            part_bytes: 256 * 1024,
        }
    }
}

/// A key with its hash, which is computed once per request.
#[derive(Clone, Copy, Debug)]
pub struct Key<'k> {
    /// The key as the client sent it.
    pub bytes: &'k [u8],
    /// Its hash by the seed of the node.
    pub hash: u64,
}

/// What all databases of a shard share.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) now: UnixMillis,
    pub(crate) access: Policy,
    /// The note of a key that is stored now, and under an LRU policy of one that is read now:
    /// computed once per turn, not per key.
    pub(crate) note: u32,
    pub(crate) hasher: KeyHasher,
    pub(crate) random: Random,
    pub(crate) watches: Watches,
    pub(crate) waiters: Waiters,
    pub(crate) stats: Stats,
    /// The classes of events that are kept.
    pub(crate) wanted_events: EventClass,
    /// Events nobody has taken yet.
    pub(crate) events: Vec<KeyEvent>,
    pub(crate) lazy_free: LazyFree,
    pub(crate) unpacked: Unpacked,
    pub(crate) snapshot: Option<Snapshot>,
    /// What the log is to be told, if there is one.
    pub(crate) records: Option<Box<Records>>,
}

impl Common {
    /// Returns the note of a key with the note `old` after an access now.
    #[inline]
    fn note_after(&mut self, old: u32) -> u32 {
        if self.access.lfu {
            access::next(self.access, old, self.now, &mut self.random)
        } else {
            self.note
        }
    }

    /// Notes a change of a key for those who watch it and those who wait for it.
    #[inline]
    pub(crate) fn touch(&mut self, db: DbIndex, key: &[u8]) {
        self.watches.touch(db, key);
        self.waiters.note(db, key);
    }
}

/// All data of one core. See the head of this file.
#[derive(Debug)]
pub struct Shard {
    id: ShardId,
    options: Options,
    databases: Vec<Dict>,
    common: Common,
    tables: Tables,
    /// Tables that are to lie on all shards.
    growing: Vec<(DbIndex, TableId, Box<[u8]>)>,
    sweep_position: SweepPosition,
    eviction_pool: EvictionPool,
}

impl Shard {
    /// Creates a shard without keys, at the beginning of 1970.
    ///
    /// # Panics
    ///
    /// If there is to be no database.
    #[must_use]
    pub fn new(id: ShardId, options: Options) -> Self {
        assert!(options.databases > 0, "a shard has at least one database");
        let hasher = KeyHasher::new(options.hash_seed);
        let seed = options.hash_seed.0 ^ options.hash_seed.1.rotate_left(16) ^ u64::from(id.0);
        Self {
            id,
            options,
            databases: (0..options.databases)
                .map(|_| Dict::new(hasher.clone()))
                .collect(),
            common: Common {
                now: UnixMillis::default(),
                access: policy(&options),
                note: access::first(policy(&options), UnixMillis::default()),
                hasher,
                random: Random::new(seed),
                watches: Watches::default(),
                waiters: Waiters::default(),
                stats: Stats::default(),
                wanted_events: options.events,
                events: Vec::new(),
                lazy_free: LazyFree::default(),
                unpacked: Unpacked::default(),
                snapshot: None,
                records: None,
            },
            tables: Tables::new(id, KeyHasher::new(options.hash_seed)),
            growing: Vec::new(),
            sweep_position: SweepPosition::default(),
            eviction_pool: EvictionPool::default(),
        }
    }

    /// Returns which shard this is.
    #[must_use]
    pub fn id(&self) -> ShardId {
        self.id
    }

    /// Returns the options.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Changes the options.
    ///
    /// # Panics
    ///
    /// If an option that is fixed for the life of the shard differs.
    pub fn set_options(&mut self, options: Options) {
        assert!(
            options.databases == self.options.databases
                && options.hash_seed == self.options.hash_seed,
            "the number of databases and the seed are fixed"
        );
        self.common.access = policy(&options);
        self.common.note = access::first(self.common.access, self.common.now);
        self.common.wanted_events = options.events;
        self.options = options;
    }

    /// Tells the shard what time it is; once per turn of the core loop.
    pub fn set_now(&mut self, now: UnixMillis) {
        self.common.now = now;
        self.common.note = access::first(self.common.access, now);
    }

    /// Returns the time the shard was last told.
    #[must_use]
    pub fn now(&self) -> UnixMillis {
        self.common.now
    }

    /// Returns the key with its hash.
    #[inline]
    #[must_use]
    pub fn key<'k>(&self, bytes: &'k [u8]) -> Key<'k> {
        Key {
            bytes,
            hash: self.common.hasher.hash(bytes),
        }
    }

    /// Tells whether [`Shard::prefetch_bucket`] and [`Shard::prefetch_entry`] are worth their while: not
    /// for few keys, which lie in the cache.
    #[inline]
    #[must_use]
    pub fn gains_by_prefetch(&self, db: DbIndex) -> bool {
        !self.databases[db.index()].is_small()
    }

    /// Begins to load the part of the table where a key with this hash would be.
    #[inline]
    pub fn prefetch_bucket(&self, db: DbIndex, hash: u64) {
        self.databases[db.index()].prefetch_bucket(hash);
    }

    /// Begins to load what has to be there to add a key with this hash.
    #[inline]
    pub fn prefetch_insertion(&self, db: DbIndex, hash: u64) {
        self.databases[db.index()].prefetch_insertion(hash);
    }

    /// Begins to load the entry of a key with this hash; useful some tens of nanoseconds after
    /// [`Shard::prefetch_bucket`].
    #[inline]
    pub fn prefetch_entry(&self, db: DbIndex, hash: u64) {
        self.databases[db.index()].prefetch_entry(hash);
    }

    /// Returns the handle on one numbered database.
    ///
    /// # Panics
    ///
    /// If there is no such database: SELECT has checked the number.
    #[inline]
    pub fn db(&mut self, db: DbIndex) -> Db<'_> {
        Db {
            dict: &mut self.databases[db.index()],
            common: &mut self.common,
            index: db,
        }
    }

    /// Exchanges the contents of two databases. Watched keys that are in either count as changed.
    /// O(watched keys).
    pub fn swap_dbs(&mut self, one: DbIndex, other: DbIndex) {
        if one == other {
            return;
        }
        self.tell_swap(one, other);
        let Common {
            watches, hasher, ..
        } = &mut self.common;
        let (first, second) = (&self.databases[one.index()], &self.databases[other.index()]);
        for db in [one, other] {
            watches.touch_where(db, |key| {
                let hash = hasher.hash(key);
                first.find(hash, key).is_some() || second.find(hash, key).is_some()
            });
        }
        for db in [one, other] {
            self.touch_tables(db);
        }
        self.tables.swap(one, other);
        for db in [one, other] {
            self.touch_tables(db);
        }
        self.common.waiters.note_all(one);
        self.common.waiters.note_all(other);
        self.databases.swap(one.index(), other.index());
        self.common.stats.dirty += 1;
    }

    /// Counts one more watcher of a key and returns the key's version. A dead key is removed first,
    /// so its later removal does not count as a change.
    pub fn watch(&mut self, db: DbIndex, key: &[u8]) -> u64 {
        let hashed = self.key(key);
        self.db(db).contains(hashed);
        self.common.watches.watch(db, key)
    }

    /// Counts one watcher of a key less.
    pub fn unwatch(&mut self, db: DbIndex, key: &[u8]) {
        self.common.watches.unwatch(db, key);
    }

    /// Returns the version of a watched key, 0 if nobody watches it. A key that died meanwhile is
    /// removed first, which is a change.
    pub fn watch_version(&mut self, db: DbIndex, key: &[u8]) -> u64 {
        let hashed = self.key(key);
        self.db(db).contains(hashed);
        self.common.watches.version(db, key)
    }

    /// Returns who waits at which keys.
    #[inline]
    #[must_use]
    pub fn waiters(&self) -> &Waiters {
        &self.common.waiters
    }

    /// Returns who waits at which keys, for change.
    pub fn waiters_mut(&mut self) -> &mut Waiters {
        &mut self.common.waiters
    }

    /// Begins or ends to note the changes of all keys for [`Shard::take_changes`].
    pub fn note_changes(&mut self, is_on: bool) {
        self.common.watches.note_changes(is_on);
    }

    /// Says who makes the changes from now on that [`Shard::take_changes`] tells of; mostly that is not
    /// known. Returns who did before, for whoever runs a request in the midst of another.
    pub fn sign_changes(&mut self, author: Option<Author>) -> Option<Author> {
        self.common.watches.sign(author)
    }

    /// Returns whether [`Shard::take_changes`] has any.
    #[inline]
    #[must_use]
    pub fn has_changes(&self) -> bool {
        self.common.watches.has_changes()
    }

    /// Returns what has changed since the last call, in order; a key may stand there more than once.
    pub fn take_changes(&mut self) -> Vec<Changed> {
        std::mem::take(self.common.watches.changes())
    }

    /// Returns whether [`Shard::take_events`] has any.
    #[inline]
    #[must_use]
    pub fn has_events(&self) -> bool {
        !self.common.events.is_empty()
    }

    /// Returns what happened to keys since the last call, in order; only the classes of
    /// [`Options::events`].
    pub fn take_events(&mut self) -> Vec<KeyEvent> {
        std::mem::take(&mut self.common.events)
    }

    /// Frees a part, about `elements` elements, of what was removed and takes long to free. Returns
    /// whether there is more. O(1) if there is nothing.
    pub fn free_step(&mut self, elements: usize) -> bool {
        self.common.lazy_free.step(elements) || self.tables.free_step(elements)
    }

    /// Takes a value that belongs to no key any more, to be freed by [`Shard::free_step`] if that takes long.
    pub fn free_later(&mut self, value: types::Value) {
        self.common.lazy_free.value(Some(Box::new(value)));
    }

    /// Removes all keys and tables of a database.
    pub fn clear_db(&mut self, db: DbIndex) {
        self.db(db).clear();
        self.touch_tables(db);
        self.tables.clear(db);
    }

    /// Returns how many removed keys wait to be freed, and how many were freed that way.
    #[must_use]
    pub fn lazy_free_counts(&self) -> (u64, u64) {
        let lazy_free = &self.common.lazy_free;
        (lazy_free.pending(), lazy_free.freed())
    }

    /// Counts a change that belongs to no key, such as that of a library of functions.
    pub fn count_change(&mut self) {
        self.common.stats.dirty += 1;
    }

    /// Returns the counters since the shard was made or they were reset.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.common.stats
    }

    /// Sets the counters that CONFIG RESETSTAT resets to 0; `dirty` goes on.
    pub fn reset_stats(&mut self) {
        self.common.stats = Stats {
            dirty: self.common.stats.dirty,
            ..Stats::default()
        };
    }

    /// Returns the bytes all databases hold.
    #[must_use]
    pub fn memory(&self) -> Ledger {
        let mut ledger = Ledger::default();
        for dict in &self.databases {
            ledger.add(&dict.ledger());
        }
        ledger
    }
}

fn policy(options: &Options) -> Policy {
    Policy {
        lfu: options.lfu,
        log_factor: options.lfu_log_factor,
        decay_minutes: options.lfu_decay_minutes,
    }
}

#[cfg(test)]
mod tests;
