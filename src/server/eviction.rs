//! Keeping within `maxmemory`: when to evict, and how much on which core.
//!
//! The limit is one for the node, and so is the memory that counts ([`used_bytes`]): what all threads have
//! allocated, without what the shards hold of it to put further keys in.
//! What is too much is shared out among the shards by the bytes they hold, so that keys go about as if
//! there were one shard: keys are spread by their hash. A core evicts its share at the beginning of a
//! turn and before a write that it serves ([`make_room`]), and tells cores that may be asleep to do
//! the same.
//!
//! Invariants
//! - A write is refused only if memory is short and all keys that the policy lets go are not enough.
//! - Memory may exceed the limit by what is on its way: the writes of one turn, and values that are
//!   freed in steps.

use std::sync::atomic::{AtomicU64, Ordering};

use base::cast::u64_from;
use base::clock::Monotonic;

use crate::core_loop::Core;
use crate::engine::{Engine, Shared};
use crate::gather::{Asker, Finished, Gather, Whom};
use crate::observe::latency::EVICTION_CYCLE;

/// Elements freed at a time when memory is short.
const FREE_STEP: usize = 4096;

/// A shard that could give less than this part of the average, in percent, is spared.
const SPARED_PERCENT: u64 = 95;

/// A core tells the others that memory is short once in so many nanoseconds.
const ASK_NANOS_MIN: u64 = 1_000_000;

/// What the cores tell each other about one shard.
#[derive(Debug)]
pub struct ShardMemory {
    /// Bytes of the keys that the policy lets go, about, as of its last turn.
    evictable_bytes: AtomicU64,
    /// Bytes it has allocated for entries and tables, but that hold none, as of then.
    unused_bytes: AtomicU64,
}

impl ShardMemory {
    /// Creates what is known of a shard at the start.
    #[must_use]
    pub fn new() -> Self {
        Self {
            evictable_bytes: AtomicU64::new(0),
            unused_bytes: AtomicU64::new(0),
        }
    }
}

impl Default for ShardMemory {
    fn default() -> Self {
        Self::new()
    }
}

/// Makes room for a write. Returns false if there is none, and it has to be refused.
pub fn make_room(engine: &mut Engine) -> bool {
    let Some(excess) = excess(engine) else {
        return true;
    };
    evict_share(engine, excess);
    let Some(excess) = self::excess(engine) else {
        return true;
    };
    tell_others(engine);
    evictable_bytes(engine) >= excess
}

/// Evicts this core's share of what is too much. Called at the beginning of each turn.
#[inline]
pub fn review(engine: &mut Engine) {
    if engine.observed.has_memory_limit {
        keep_within(engine);
    }
}

fn keep_within(engine: &mut Engine) {
    publish(engine);
    if let Some(excess) = excess(engine) {
        evict_share(engine, excess);
    }
}

/// Returns the bytes that are used: allocated by any thread, but for what the shards hold unused.
///
/// The shards tell of the latter in each turn, without `maxmemory` ten times a second. Cost: a load for
/// each thread that ever was and for each shard.
#[must_use]
pub fn used_bytes(shared: &Shared) -> u64 {
    let unused = shared.shard_memory.iter();
    let unused: u64 = unused
        .map(|shard| shard.unused_bytes.load(Ordering::Relaxed))
        .sum();
    u64_from(runtime::memory::allocated_bytes()).saturating_sub(unused)
}

/// Tells the other cores how much this one could evict, and what it holds unused.
pub fn publish(engine: &Engine) {
    let policy = engine.config.settings().memory_policy;
    let memory = engine.host.shard.memory();
    let keys = match policy {
        Some(policy) if policy.volatile_only => memory.expires,
        Some(_) => memory.keys,
        None => 0,
    };
    // By their number: what each holds is not counted apart.
    let held = memory.total_bytes() - memory.unused_bytes;
    let bytes = u128::from(u64_from(held)) * u128::from(u64_from(keys))
        / u128::from(u64_from(memory.keys.max(1)));
    let me = usize::from(engine.me.0);
    engine.shared.shard_memory[me]
        .evictable_bytes
        .store(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
    engine.shared.shard_memory[me]
        .unused_bytes
        .store(u64_from(memory.unused_bytes), Ordering::Relaxed);
}

/// Returns about how much all shards together could evict, in bytes.
fn evictable_bytes(engine: &Engine) -> u64 {
    let shards = &engine.shared.shard_memory;
    shards
        .iter()
        .map(|shard| shard.evictable_bytes.load(Ordering::Relaxed))
        .sum()
}

/// Returns how much more than the limit is used, in bytes.
fn excess(engine: &Engine) -> Option<u64> {
    let limit = engine.config.settings().memory_bytes_max;
    let used = used_bytes(&engine.shared);
    (limit > 0 && used > limit).then(|| used - limit)
}

/// Evicts keys of this core until memory is within the limit, its share of `excess` is gone, or the
/// time for it is over.
fn evict_share(engine: &mut Engine, excess: u64) {
    let settings = engine.config.settings();
    let Some(policy) = settings.memory_policy else {
        return;
    };
    let samples = settings.eviction_samples;
    let budget = budget_nanos(settings.eviction_tenacity);
    let me = usize::from(engine.me.0);
    let share = share_of(engine, me, excess);
    if share == 0 {
        return;
    }
    let begun = runtime::clock::monotonic();
    let mut evicted = 0;
    while evicted < share {
        // What was removed before counts until it is freed.
        while engine.host.shard.free_step(FREE_STEP) && self::excess(engine).is_some() {}
        if self::excess(engine).is_none() {
            break;
        }
        let Some(bytes) = engine.host.shard.evict(policy, samples) else {
            break;
        };
        evicted += u64_from(bytes);
        publish(engine);
        if runtime::clock::monotonic().nanos_since(begun) > budget {
            break;
        }
    }
    let nanos = runtime::clock::monotonic().nanos_since(begun);
    engine.observed.latency.note(EVICTION_CYCLE, nanos);
}

/// Returns the part of `excess` that a shard has to give: by what it could give, and nothing if that
/// is clearly less than the others could, so that the shard whose core serves most writes does not
/// give most.
fn share_of(engine: &Engine, shard: usize, excess: u64) -> u64 {
    let shards = &engine.shared.shard_memory;
    let own = shards[shard].evictable_bytes.load(Ordering::Relaxed);
    let total = evictable_bytes(engine);
    let average = total / u64_from(shards.len());
    if own == 0 || own < average / 100 * SPARED_PERCENT {
        return 0;
    }
    let share = u128::from(excess) * u128::from(own) / u128::from(total.max(1));
    u64::try_from(share).unwrap_or(excess).max(1)
}

/// Returns how long an eviction may hold up other work. Source: the description of
/// `maxmemory-eviction-tenacity`: 500 microseconds at 10, growing by 15 percent with each step
/// above; no limit at 100.
fn budget_nanos(tenacity: u32) -> u64 {
    match tenacity {
        0..=10 => 50_000 * u64::from(tenacity),
        11..=99 => (10..tenacity).fold(500_000, |nanos, _| nanos + nanos * 15 / 100),
        _ => u64::MAX,
    }
}

/// Has all cores evict their share, also those that sleep; not too often.
fn tell_others(engine: &mut Engine) {
    let now = runtime::clock::monotonic();
    let asked = engine.observed.eviction_asked_at;
    if asked != Monotonic::default() && now.nanos_since(asked) < ASK_NANOS_MIN {
        return;
    }
    engine.observed.eviction_asked_at = now;
    let job = |core: &mut Core| keep_within(&mut core.engine);
    let finish = |_: &mut Core, _: Vec<()>| Finished::Reply(Vec::new());
    engine.ask(Asker::Nobody, Gather::new(Whom::All, job, finish));
}
