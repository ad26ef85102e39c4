//! Sections about what happened: stats, commandstats, errorstats, latencystats, keyspace, and our own
//! section `trestle`.

use base::cast::u64_from;
use hdrhistogram::Histogram;

use super::facts::{CoreFacts, Facts};
use super::lines::{Lines, quotient};
use crate::core_loop::Core;
use crate::subscriptions::Kind;
use crate::table::Command;

/// Writes `stats`.
pub(super) fn stats(core: &Core, facts: &Facts, lines: &mut Lines) {
    lines.field("total_connections_received", facts.sum(|it| it.accepted));
    lines.field("total_commands_processed", facts.calls());
    let per_second = facts.sum(|it| it.per_second.calls);
    lines.field("instantaneous_ops_per_sec", per_second);
    traffic(facts, lines);
    lines.field("rejected_connections", facts.sum(|it| it.turned_away));
    lines.zeros(&["sync_full", "sync_partial_ok", "sync_partial_err"]);
    expiry(facts, lines);
    lines.field("keyspace_hits", facts.sum(|it| it.stats.hits));
    lines.field("keyspace_misses", facts.sum(|it| it.stats.misses));
    for (name, kind) in [
        ("pubsub_channels", Kind::Channel),
        ("pubsub_patterns", Kind::Pattern),
        ("pubsubshard_channels", Kind::Shard),
    ] {
        lines.field(name, facts.listened_names(kind));
    }
    lines.zeros(&[
        "latest_fork_usec",
        "total_forks",
        "migrate_cached_sockets",
        "slave_expires_tracked_keys",
        "active_defrag_hits",
        "active_defrag_misses",
        "active_defrag_key_hits",
        "active_defrag_key_misses",
        "total_active_defrag_time",
        "current_active_defrag_time",
    ]);
    let keys = facts.sum(|it| u64_from(it.tracked.0));
    lines.field("tracking_total_keys", keys);
    let items = facts.sum(|it| u64_from(it.tracked.1));
    lines.field("tracking_total_items", items);
    lines.field("tracking_total_prefixes", facts.prefix_count());
    lines.zeros(&["unexpected_error_replies"]);
    lines.field("total_error_replies", facts.sum(|it| it.error_replies));
    lines.zeros(&["dump_payload_sanitizations"]);
    lines.field("total_reads_processed", facts.sum(|it| it.net.reads));
    lines.field("total_writes_processed", facts.sum(|it| it.net.writes));
    lines.zeros(&[
        "io_threaded_reads_processed",
        "io_threaded_writes_processed",
        "reply_buffer_shrinks",
        "reply_buffer_expands",
    ]);
    let closes = facts.sum(|it| it.net.input_limit_closes);
    lines.field("client_query_buffer_limit_disconnections", closes);
    let closes = facts.sum(|it| it.net.output_limit_closes);
    lines.field("client_output_buffer_limit_disconnections", closes);
    let denied = core.engine.shared.acl.log.with(|log| log.counts());
    lines.field("acl_access_denied_auth", denied.auth);
    lines.field("acl_access_denied_cmd", denied.command);
    lines.field("acl_access_denied_key", denied.key);
    lines.field("acl_access_denied_channel", denied.channel);
}

fn traffic(facts: &Facts, lines: &mut Lines) {
    let kib = |bytes: u64| format!("{:.2}", quotient(bytes, 1024));
    lines.field(
        "total_net_input_bytes",
        facts.sum(|it| it.net.received_bytes),
    );
    lines.field("total_net_output_bytes", facts.sum(|it| it.net.sent_bytes));
    lines.zeros(&["total_net_repl_input_bytes", "total_net_repl_output_bytes"]);
    let received = facts.sum(|it| it.per_second.received_bytes);
    lines.field("instantaneous_input_kbps", kib(received));
    let sent = facts.sum(|it| it.per_second.sent_bytes);
    lines.field("instantaneous_output_kbps", kib(sent));
    lines.field("instantaneous_input_repl_kbps", kib(0));
    lines.field("instantaneous_output_repl_kbps", kib(0));
}

fn expiry(facts: &Facts, lines: &mut Lines) {
    lines.field("expired_keys", facts.sum(|it| it.stats.expired_keys));
    lines.field("expired_subkeys", facts.sum(|it| it.stats.expired_subkeys));
    // Each shard knows the share among its own volatile keys.
    let volatile = facts.sum(|it| u64_from(it.ledger.expires));
    let stale = facts.sum(|it| {
        it.stats
            .expired_stale_ppm
            .saturating_mul(u64_from(it.ledger.expires))
    });
    let percent = quotient(stale, volatile) / 10_000.0;
    lines.field("expired_stale_perc", format_args!("{percent:.2}"));
    let capped = facts.sum(|it| it.stats.expired_time_cap_reached);
    lines.field("expired_time_cap_reached_count", capped);
    let nanos = facts.sum(|it| it.sweep_nanos);
    lines.field("expire_cycle_cpu_milliseconds", nanos / 1_000_000);
    lines.field("evicted_keys", facts.sum(|it| it.stats.evicted_keys));
    lines.zeros(&[
        "evicted_clients",
        "total_eviction_exceeded_time",
        "current_eviction_exceeded_time",
    ]);
}

/// Writes `commandstats`: commands that were called or refused.
pub(super) fn command_stats(core: &Core, facts: &Facts, lines: &mut Lines) {
    for (command, counts) in core.engine.shared.table.iter().zip(facts.commands()) {
        if counts.calls + counts.rejected + counts.failed == 0 {
            continue;
        }
        let micros = counts.nanos / 1000;
        let each = quotient(counts.nanos, counts.calls) / 1000.0;
        lines.field(
            &format!("cmdstat_{}", command.full_name),
            format_args!(
                "calls={},usec={micros},usec_per_call={each:.2},rejected_calls={},failed_calls={}",
                counts.calls, counts.rejected, counts.failed
            ),
        );
    }
}

/// Writes `errorstats`.
pub(super) fn error_stats(_core: &Core, facts: &Facts, lines: &mut Lines) {
    for (code, count) in facts.errors() {
        lines.field(&format!("errorstat_{code}"), format_args!("count={count}"));
    }
}

/// Returns the commands whose times are known, with their times in nanoseconds.
pub(crate) fn times_of(core: &Core, facts: &Facts) -> Vec<(Command, Histogram<u64>)> {
    let commands = core.engine.shared.table.iter().zip(facts.commands());
    commands
        .filter_map(|(command, counts)| Some((*command, *counts.times?)))
        .collect()
}

/// Writes `latencystats`.
pub(super) fn latency_stats(core: &Core, facts: &Facts, lines: &mut Lines) {
    let percentiles = &core.engine.config.settings().latency_percentiles;
    if percentiles.is_empty() {
        return;
    }
    for (command, times) in times_of(core, facts) {
        let shown: Vec<String> = percentiles
            .iter()
            .map(|percentile| {
                let nanos = times.value_at_percentile(*percentile);
                format!("p{percentile}={:.3}", quotient(nanos, 1000))
            })
            .collect();
        lines.field(
            &format!("latency_percentiles_usec_{}", command.full_name),
            shown.join(","),
        );
    }
}

/// Writes `keyspace`.
pub(super) fn keyspace(_core: &Core, facts: &Facts, lines: &mut Lines) {
    for database in facts.databases() {
        lines.field(
            &format!("db{}", database.db),
            format_args!(
                "keys={},expires={},avg_ttl={}",
                database.keys,
                database.expires,
                database.average_ttl_ms()
            ),
        );
    }
}

/// Writes `trestle`: the sums, and a line per shard.
pub(super) fn trestle(_core: &Core, facts: &Facts, lines: &mut Lines) {
    lines.field("shards", facts.cores.len());
    for (name, figure) in FIGURES {
        lines.field(&format!("total_{name}"), facts.sum(figure));
    }
    for core in &facts.cores {
        let figures: Vec<String> = FIGURES
            .iter()
            .map(|(name, figure)| format!("{name}={}", figure(core)))
            .collect();
        lines.field(&format!("shard{}", core.shard.0), figures.join(","));
    }
}

/// A figure of a core and what it is called.
type Figure = (&'static str, fn(&CoreFacts) -> u64);

/// What the section `trestle` shows.
///
/// `requests` are runs of commands sent by clients of the core; `remote_sent` those among them that
/// went to another core, `remote_received` those that came from one, in `envelopes`; `parked` had to
/// wait for a transaction. `transactions` were begun here, in `hops`, with `retries`. Of the scripts and
/// functions of its clients, `scripts_here` ran here, `scripts_there` on the core of their keys,
/// `scripts_several` over several cores, `scripts_everywhere` under claims on all. `spins_won` and
/// `spins_lost` ended with and without work, `ring_waits` and `parks` are sleeps. `moved_out` are
/// connections that went to the core of their keys.
const FIGURES: &[Figure] = &[
    ("keys", |it| u64_from(it.ledger.keys)),
    ("bytes", |it| u64_from(it.ledger.total_bytes())),
    ("clients", |it| it.clients.count),
    ("requests", CoreFacts::calls),
    ("remote_sent", |it| it.sent_requests),
    ("remote_received", |it| it.host.remote_requests),
    ("envelopes", |it| it.host.envelopes),
    ("parked", |it| it.host.parked),
    ("transactions", |it| it.transactions.begun),
    ("hops", |it| it.transactions.hops),
    ("retries", |it| it.transactions.retries),
    ("scripts_here", |it| it.scripts.here),
    ("scripts_there", |it| it.scripts.there),
    ("scripts_several", |it| it.scripts.several),
    ("scripts_everywhere", |it| it.scripts.everywhere),
    ("spins_won", |it| it.idle.spins_won),
    ("spins_lost", |it| it.idle.spins_lost),
    ("ring_waits", |it| it.idle.ring_waits),
    ("parks", |it| it.idle.parks),
    ("moved_out", |it| it.moved_out),
];
