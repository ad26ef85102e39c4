//! Sections about the process and its surroundings: server, clients, persistence, replication, cpu,
//! cluster.

use std::sync::atomic::Ordering;

use super::facts::Facts;
use super::lines::Lines;
use crate::control::module;
use crate::core_loop::Core;
use crate::version;

/// Writes `modules`.
pub(super) fn modules(_core: &Core, _facts: &Facts, lines: &mut Lines) {
    let (name, version) = (module::NAME, module::VERSION);
    let rest = "api=1,filters=0,usedby=[],using=[],options=[]";
    lines.field("module", format!("name={name},ver={version},{rest}"));
}

/// Writes `server`.
pub(super) fn server(core: &Core, _facts: &Facts, lines: &mut Lines) {
    let shared = &core.engine.shared;
    let settings = core.engine.config.settings();
    let micros = runtime::clock::unix_micros();
    let nanos = runtime::clock::monotonic().nanos_since(shared.started);
    let uptime = nanos / 1_000_000_000;
    let mode = if shared.shard_ports.is_empty() {
        "standalone"
    } else {
        "cluster"
    };
    lines.field("redis_version", version::REDIS);
    lines.field("redis_git_sha1", "00000000");
    lines.field("redis_git_dirty", 0);
    lines.field("redis_build_id", build_id());
    lines.field("redis_mode", mode);
    lines.field("trestle_version", version::TRESTLE);
    lines.field("os", runtime::topology::operating_system());
    lines.field("arch_bits", usize::BITS);
    lines.field("monotonic_clock", "quanta");
    lines.field("multiplexing_api", "io_uring");
    lines.field("atomicvar_api", "rust-std");
    lines.field("process_id", std::process::id());
    lines.field("process_supervised", "no");
    lines.field("run_id", &shared.run_id);
    lines.field("tcp_port", settings.port);
    lines.field("server_time_usec", micros);
    lines.field("uptime_in_seconds", uptime);
    lines.field("uptime_in_days", uptime / 86_400);
    lines.field("hz", settings.hz);
    lines.field("configured_hz", settings.hz);
    let lru_clock = micros.div_euclid(1_000_000).rem_euclid(LRU_CLOCK_END);
    lines.field("lru_clock", lru_clock);
    lines.field("executable", executable());
    lines.field("config_file", config_file(core));
    lines.field("io_threads_active", 0);
    listeners(core, lines);
}

/// The clock of idle times has 24 bits of seconds.
const LRU_CLOCK_END: i64 = 1 << 24;

/// A fingerprint of what was built.
fn build_id() -> String {
    let hasher = base::hash::KeyHasher::new((0, 0));
    let what = format!("{}{}", version::TRESTLE, version::REDIS);
    format!("{:016x}", hasher.hash(what.as_bytes()))
}

fn executable() -> String {
    std::env::current_exe().map_or_else(|_| String::new(), |path| path.display().to_string())
}

fn config_file(core: &Core) -> String {
    let Some(path) = core.engine.config.file() else {
        return String::new();
    };
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    path.display().to_string()
}

fn listeners(core: &Core, lines: &mut Lines) {
    let settings = core.engine.config.settings();
    let mut count = 0;
    if settings.port != 0 {
        let binds: String = settings
            .bind
            .iter()
            .map(|bind| format!(",bind={}", bind.address))
            .collect();
        let port = settings.port;
        lines.field("listener0", format_args!("name=tcp{binds},port={port}"));
        count += 1;
    }
    if let Some(path) = &settings.unixsocket {
        let path = path.display();
        let name = format!("listener{count}");
        lines.field(&name, format_args!("name=unix,bind={path}"));
    }
}

/// Writes `clients`. The largest buffers are those of this moment.
pub(super) fn clients(core: &Core, facts: &Facts, lines: &mut Lines) {
    let count = core.engine.shared.client_count.load(Ordering::Relaxed);
    lines.field("connected_clients", count);
    lines.field("cluster_connections", 0);
    lines.field("maxclients", core.engine.config.settings().clients_max);
    let input = facts.max(|core| core.clients.input_bytes_max);
    let output = facts.max(|core| core.clients.output_bytes_max);
    lines.field("client_recent_max_input_buffer", input);
    lines.field("client_recent_max_output_buffer", output);
    lines.field("blocked_clients", facts.sum(|core| core.clients.blocked));
    let tracking = facts.sum(|core| core.clients.tracking);
    lines.field("tracking_clients", tracking);
    let listening = facts.sum(|core| core.clients.listening);
    lines.field("pubsub_clients", listening);
    let watching = facts.sum(|core| core.clients.watching);
    lines.field("watching_clients", watching);
    let timed = facts.sum(|core| core.clients.timed);
    lines.field("clients_in_timeout_table", timed);
}

/// Writes `persistence`. There is no copy on write, so what Redis says of that is 0.
pub(super) fn persistence(core: &Core, facts: &Facts, lines: &mut Lines) {
    let persistence = &core.engine.shared.persistence;
    let saves = persistence.saves(|saves| saves.clone());
    lines.field("loading", u8::from(persistence.is_loading()));
    lines.zeros(&[
        "async_loading",
        "current_cow_peak",
        "current_cow_size",
        "current_cow_size_age",
    ]);
    let rewrites = persistence.rewrites(|rewrites| rewrites.clone());
    let (keys, written) = if saves.under_way.is_some() || rewrites.under_way.is_some() {
        (saves.keys, saves.keys_written)
    } else {
        (0, 0)
    };
    lines.field("current_fork_perc", percent(written, keys));
    lines.field("current_save_keys_processed", written);
    lines.field("current_save_keys_total", keys);
    let changes: u64 = facts.sum(|core| core.stats.dirty);
    let saved = persistence.saved_changes();
    let unsaved = changes.saturating_sub(saved);
    lines.field("rdb_changes_since_last_save", unsaved);
    let background = saves.under_way.filter(|begun| begun.is_in_background);
    lines.field("rdb_bgsave_in_progress", u8::from(background.is_some()));
    // As in Redis, a server that has never saved counts from its start.
    lines.field("rdb_last_save_time", saves.saved_at.seconds());
    let status = if saves.last.is_ok() { "ok" } else { "err" };
    lines.field("rdb_last_bgsave_status", status);
    let seconds = |seconds: Option<u64>| seconds.map_or("-1".to_owned(), |it| it.to_string());
    lines.field("rdb_last_bgsave_time_sec", seconds(saves.last_seconds));
    let now = core.engine.clock;
    let current = background.map(|begun| now.nanos_since(begun.at) / 1_000_000_000);
    lines.field("rdb_current_bgsave_time_sec", seconds(current));
    lines.field("rdb_saves", saves.succeeded);
    lines.field("rdb_last_cow_size", 0);
    let loaded = &persistence.loaded;
    let dead = loaded.dead_keys.load(Ordering::Relaxed);
    lines.field("rdb_last_load_keys_expired", dead);
    let loaded_keys = loaded.keys.load(Ordering::Relaxed);
    lines.field("rdb_last_load_keys_loaded", loaded_keys);
    let log = persistence.log();
    // One that is being made is on, too.
    let is_made = persistence.is_loading() && core.engine.config.settings().is_logged;
    lines.field("aof_enabled", u8::from(log.is_some() || is_made));
    let since = rewrites.under_way;
    lines.field("aof_rewrite_in_progress", u8::from(since.is_some()));
    let is_scheduled = u8::from(rewrites.is_scheduled);
    lines.field("aof_rewrite_scheduled", is_scheduled);
    lines.field("aof_last_rewrite_time_sec", seconds(rewrites.last_seconds));
    let current = since.map(|since| now.nanos_since(since) / 1_000_000_000);
    lines.field("aof_current_rewrite_time_sec", seconds(current));
    let status = if rewrites.last.is_ok() { "ok" } else { "err" };
    lines.field("aof_last_bgrewrite_status", status);
    lines.field("aof_rewrites", rewrites.begun);
    lines.field("aof_rewrites_consecutive_failures", rewrites.failures);
    let is_written = log.is_none_or(|log| log.refusal().is_none());
    let status = if is_written { "ok" } else { "err" };
    lines.field("aof_last_write_status", status);
    lines.zeros(&[
        "aof_last_cow_size",
        "module_fork_in_progress",
        "module_fork_last_cow_size",
    ]);
    if let Some(log) = log {
        let (bytes, rewritten) = log.sizes();
        lines.field("aof_current_size", bytes);
        lines.field("aof_base_size", rewritten);
        lines.field("aof_pending_rewrite", is_scheduled);
    }
    if persistence.is_loading() {
        loading(core, lines);
    }
    backups(core, lines);
}

/// Writes what is ours of `persistence`.
fn backups(core: &Core, lines: &mut Lines) {
    let backups = core
        .engine
        .shared
        .persistence
        .backups
        .with(|backups| backups.clone());
    let is_enabled = core.engine.config.settings().has_backups;
    lines.field("backup_enabled", u8::from(is_enabled));
    lines.field("backup_in_progress", u8::from(backups.under_way.is_some()));
    lines.field("backups_made", backups.made);
    lines.field("backups_failed", backups.failed);
    let status = match (&backups.failure, &backups.last) {
        (Some(_), _) => "err",
        (None, Some(_)) => "ok",
        (None, None) => "none",
    };
    lines.field("backup_last_status", status);
    if let Some(last) = &backups.last {
        lines.field("backup_last_time", last.at.seconds());
        lines.field("backup_last_duration_ms", last.millis);
        lines.field("backup_last_size", last.bytes);
        lines.field("backup_last_file", last.path.display());
    }
    if let Some(at) = backups.next_at().filter(|_| is_enabled) {
        lines.field("backup_next_time", at.seconds());
    }
    if core.engine.config.settings().has_cloud_backups {
        cloud_backups(core, lines);
    }
}

/// Writes how backups get to an object store.
fn cloud_backups(core: &Core, lines: &mut Lines) {
    let uploads = core
        .engine
        .shared
        .persistence
        .uploads
        .with(|uploads| uploads.clone());
    lines.field("backup_cloud_waiting", uploads.waiting());
    lines.field("backup_cloud_sent", uploads.sent);
    lines.field("backup_cloud_failed", uploads.failed);
    let status = match (&uploads.failure, &uploads.last) {
        (Some(_), _) => "err",
        (None, Some(_)) => "ok",
        (None, None) => "none",
    };
    lines.field("backup_cloud_last_status", status);
    if let Some((at, url)) = &uploads.last {
        lines.field("backup_cloud_last_time", at.seconds());
        lines.field("backup_cloud_last_url", url);
    }
}

/// Returns a part of a whole in percent, with two digits behind the point.
fn percent(part: u64, whole: u64) -> String {
    let hundredths = u128::from(part) * 10_000 / u128::from(whole.max(1));
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// Writes what Redis adds while data is loaded.
fn loading(core: &Core, lines: &mut Lines) {
    let loaded = &core.engine.shared.persistence.loaded;
    let (begun, since) = loaded.begun.with(|begun| *begun);
    let (total, read) = loaded.progress.sizes();
    let seconds = core.engine.clock.nanos_since(begun) / 1_000_000_000;
    let left = total.saturating_sub(read);
    lines.field("loading_start_time", since.seconds());
    lines.field("loading_total_bytes", total);
    lines.field("loading_rdb_used_mem", 0);
    lines.field("loading_loaded_bytes", read);
    lines.field("loading_loaded_perc", percent(read, total));
    let eta = left
        .checked_mul(seconds)
        .and_then(|it| it.checked_div(read));
    lines.field("loading_eta_seconds", eta.unwrap_or(1));
}

/// Writes `replication`: a primary without replicas.
pub(super) fn replication(core: &Core, _facts: &Facts, lines: &mut Lines) {
    let run_id = &core.engine.shared.run_id;
    lines.field("role", "master");
    lines.field("connected_slaves", 0);
    lines.field("master_failover_state", "no-failover");
    let id = super::super::cluster::derived_id(run_id, "replication");
    lines.field("master_replid", id);
    lines.field("master_replid2", "0".repeat(40));
    lines.field("master_repl_offset", 0);
    lines.field("second_repl_offset", -1);
    lines.field("repl_backlog_active", 0);
    let size = core.engine.config.get(&["repl-backlog-size"]);
    let size = size.first().map_or("0", |(_, size)| size.as_str());
    lines.field("repl_backlog_size", size);
    lines.zeros(&["repl_backlog_first_byte_offset", "repl_backlog_histlen"]);
}

/// Writes `cpu`. The threads of all cores serve commands, so together they stand where Redis shows its
/// main thread.
pub(super) fn cpu(_core: &Core, facts: &Facts, lines: &mut Lines) {
    let process = runtime::memory::process_cpu();
    let children = runtime::memory::children_cpu();
    let mut field = |name: &str, time: std::time::Duration| {
        lines.field(name, format_args!("{:.6}", time.as_secs_f64()));
    };
    field("used_cpu_sys", process.system);
    field("used_cpu_user", process.user);
    field("used_cpu_sys_children", children.system);
    field("used_cpu_user_children", children.user);
    let system = facts.cores.iter().map(|core| core.cpu.system).sum();
    let user = facts.cores.iter().map(|core| core.cpu.user).sum();
    field("used_cpu_sys_main_thread", system);
    field("used_cpu_user_main_thread", user);
}

/// Writes `cluster`.
pub(super) fn cluster(core: &Core, _facts: &Facts, lines: &mut Lines) {
    let is_on = !core.engine.shared.shard_ports.is_empty();
    lines.field("cluster_enabled", u8::from(is_on));
}
