//! What the configuration says to the layers below: one function for each of them.
//!
//! Used at start and again after every change of the configuration.

use std::time::Duration;

use runtime::idle::IdleOptions;
use shard::effects::EventClass;
use shard::eviction::EvictionOrder;

use crate::acl::Defaults;
use crate::config::Config;

/// Longest sleep of a core on which nothing expires, in nanoseconds.
pub const QUIET_NANOS: u64 = 1_000_000_000;

/// See [`shard::Options::table_step_rows`]. Few in simulated worlds, whose tables are small.
const TABLE_STEP_ROWS: usize = if cfg!(feature = "simulation") { 2 } else { 256 };

/// See [`shard::Options::part_bytes`]: what is made into bytes in less than a millisecond is done in one go. In simulated
/// worlds all that does not lie beside its key.
const PART_BYTES: usize = if cfg!(feature = "simulation") {
    0
} else {
    256 * 1024
};

/// Returns what the configuration says of new users.
#[must_use]
pub(crate) fn acl(config: &Config) -> Defaults {
    Defaults {
        has_all_channels: config.settings().has_new_user_all_channels,
    }
}

/// Returns what the configuration says to a shard.
#[must_use]
pub fn shard(config: &Config, hash_seed: (u64, u64), shards: u16) -> shard::Options {
    let settings = config.settings();
    shard::Options {
        databases: settings.databases,
        hash_seed,
        bulk_bytes_max: settings.bulk_bytes_max,
        lfu: settings
            .memory_policy
            .is_some_and(|policy| policy.order == EvictionOrder::LeastFrequent),
        lfu_log_factor: settings.lfu_log_factor,
        lfu_decay_minutes: settings.lfu_decay_minutes,
        limits: settings.limits,
        shards,
        scan_rows_max: settings.scan_rows_max,
        spread_rows: settings.spread_rows,
        table_step_rows: TABLE_STEP_ROWS,
        part_bytes: PART_BYTES,
        events: if settings.notify.is_told() {
            settings.notify.classes
        } else {
            EventClass::NONE
        },
    }
}

/// Returns what the configuration says to the connections.
#[must_use]
pub fn net(config: &Config) -> net::options::Options {
    let settings = config.settings();
    net::options::Options {
        bulk_bytes_max: settings.bulk_bytes_max,
        input_bytes_max: base::cast::usize_from(settings.query_bytes_max),
        output_bytes_max: base::cast::usize_from(settings.output_limits.normal.hard_bytes),
        ..net::options::Options::default()
    }
}

/// Returns how a core waits when it has nothing to do.
///
/// Where there are more cores than processors
/// (`is_crowded`) it yields while it polls: what it waits for may be the work of a core that needs its
/// processor.
#[must_use]
pub fn idle(config: &Config, shard_count: u16, is_crowded: bool) -> IdleOptions {
    let default = IdleOptions::default();
    IdleOptions {
        spin: Duration::from_micros(u64::from(config.settings().spin_us)),
        spin_yields: is_crowded,
        // A gather would delay what other cores send.
        gather_burst_min: if shard_count == 1 {
            default.gather_burst_min
        } else {
            0
        },
        // As long as nothing else runs on the core, its socket ring is the cheapest place to sleep.
        ring_wait: Duration::from_nanos(QUIET_NANOS),
        ..default
    }
}
