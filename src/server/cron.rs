//! What a core does without being asked: expiry, timeouts, samples for INFO, spreading busy clients.

use std::sync::atomic::Ordering;

use base::clock::Monotonic;
use commands::table;

use crate::balance::{BUSY_PER_SECOND, CLIENTS_OF_ROUND, COMMANDS_TO_TELL};
use crate::core_loop::Core;
use crate::eviction;
use crate::observe::latency::EXPIRE_CYCLE;
use crate::persistence;

/// Slots that one step of the expiry sweep looks at per unit of `active-expire-effort`.
const SWEEP_SLOTS_PER_EFFORT: usize = 4096;

/// Chunks of 1024 rows of tables that a round of it looks at per unit of `active-expire-effort`.
const SWEEP_CHUNKS_PER_EFFORT: usize = 8;

/// Runs a round of housekeeping and returns when the next is due.
pub fn run(core: &mut Core) -> Monotonic {
    let now = core.engine.clock;
    let mut has_expiring_keys = false;
    // What is loaded may not change before all of it is there.
    if core.engine.observed.is_expiring && !core.engine.pause.is_active() && core.inbox.is_none() {
        let effort = usize::from(core.engine.config.settings().expire_effort);
        let begun = runtime::clock::monotonic();
        let swept = core
            .engine
            .host
            .shard
            .sweep(SWEEP_SLOTS_PER_EFFORT * effort, &mut |_, _| {});
        let now_ms = u64::try_from(core.engine.now.0).unwrap_or(0);
        let chunks = SWEEP_CHUNKS_PER_EFFORT * effort;
        let swept_rows = table::parts::sweep(&mut core.engine.host.shard, now_ms, chunks);
        let nanos = runtime::clock::monotonic().nanos_since(begun);
        core.engine.observed.sweep_nanos += nanos;
        core.engine.observed.latency.note(EXPIRE_CYCLE, nanos);
        has_expiring_keys =
            swept.volatile > 0 || swept.more || swept.fields.waiting || swept_rows > 0;
    }
    let bytes = core.net.counters;
    let is_second = core
        .engine
        .observed
        .sample(now, bytes.received_bytes, bytes.sent_bytes);
    if is_second {
        // The allocator gives memory back some time after it was freed, but only when it is called.
        runtime::memory::purge();
    }
    review_balance(core, is_second);
    review_monitors(core);
    review_tracking(core);
    review_memory(core);
    persistence::review(core);
    close_idle_clients(core, now);
    close_slow_readers(core, now);
    let hz = u64::from(core.engine.config.settings().hz.max(1));
    core.is_quiet = !has_expiring_keys;
    Monotonic(now.0 + 1_000_000_000 / hz)
}

/// Ends noting changes that nobody asks for any more.
fn review_tracking(core: &mut Core) {
    let count = core.engine.shared.tracking_count.load(Ordering::Acquire);
    core.engine.host.shard.note_changes(count > 0);
    if count == 0 {
        core.engine.caching.readers.clear();
    }
}

/// Counts busy clients, and sends some to cores that have fewer.
fn review_balance(core: &mut Core, is_second: bool) {
    let shared = &core.engine.shared;
    let (me, now) = (core.engine.me, core.engine.clock);
    if shared.shard_memory.len() == 1 || (core.net.len() > CLIENTS_OF_ROUND && !is_second) {
        return;
    }
    let nanos = now.nanos_since(core.balanced_at);
    core.balanced_at = now;
    let mut busy = 0;
    let mut movable = Vec::new();
    for (id, connection) in core.net.iter_mut() {
        let session = &mut connection.session;
        // A request that was put off was taken back from the count.
        let commands = session.commands.saturating_sub(session.commands_seen);
        session.commands_seen = session.commands;
        if commands.saturating_mul(1_000_000_000) / nanos.max(1) < BUSY_PER_SECOND {
            continue;
        }
        busy += 1;
        // After so many a client of one core would have its votes.
        let is_spread = session.commands > COMMANDS_TO_TELL && session.pin.leader().is_none();
        if is_spread && !session.special {
            movable.push(id);
        }
    }
    for (id, to) in movable.into_iter().zip(shared.balance.tell(me, busy)) {
        if let Some(connection) = core.net.connection_mut(id) {
            connection.session.pin.send_to(to);
        }
    }
}

fn review_monitors(core: &mut Core) {
    let count = core.engine.shared.monitor_count.load(Ordering::Relaxed);
    core.engine.observed.has_monitors = count > 0;
}

/// Takes notice of how much memory is used, and makes room where that is too much.
pub fn review_memory(core: &mut Core) {
    eviction::publish(&core.engine);
    let used = eviction::used_bytes(&core.engine.shared);
    core.engine.observed.note_memory(used);
    core.engine.observed.has_memory_limit =
        core.inbox.is_none() && core.engine.config.settings().memory_bytes_max > 0;
    eviction::review(&mut core.engine);
}

fn close_idle_clients(core: &mut Core, now: Monotonic) {
    let seconds = core.engine.config.settings().timeout_seconds;
    if seconds == 0 {
        return;
    }
    let limit = u64::from(seconds) * 1_000_000_000;
    let idle: Vec<_> = core
        .net
        .iter()
        .filter(|(_, connection)| {
            let session = &connection.session;
            // Who waits for the server is not idle, nor who only listens.
            !session.is_monitor
                && !session.is_subscriber()
                && !connection.is_waiting()
                && now.nanos_since(session.active_at) > limit
        })
        .map(|(id, _)| id)
        .collect();
    for id in idle {
        core.net.close(id, &mut core.engine);
    }
}

/// Closes clients whose output has exceeded the soft limit for too long.
fn close_slow_readers(core: &mut Core, now: Monotonic) {
    let limits = core.engine.config.settings().output_limits;
    if limits.normal.soft_bytes == 0 && core.engine.pubsub.listeners.is_empty() {
        return;
    }
    let mut slow = Vec::new();
    for (id, connection) in core.net.iter_mut() {
        // The directives may have changed since the client began to listen.
        core.engine.review_listening(connection);
        let limit = if connection.session.is_subscriber() {
            limits.pubsub
        } else {
            limits.normal
        };
        let nanos_max = limit.soft_seconds.saturating_mul(1_000_000_000);
        if limit.soft_bytes == 0 {
            continue;
        }
        if base::cast::u64_from(connection.unsent_bytes()) <= limit.soft_bytes {
            connection.session.over_soft_limit_since = None;
            continue;
        }
        let since = *connection.session.over_soft_limit_since.get_or_insert(now);
        if now.nanos_since(since) >= nanos_max {
            slow.push(id);
        }
    }
    for id in slow {
        core.net.counters.output_limit_closes += 1;
        core.net.close(id, &mut core.engine);
    }
}
