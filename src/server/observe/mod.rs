//! What happened on a core: calls and times per command, errors, the slow log, latency events.
//!
//! All of it is plain fields of one core, written by that core alone; whoever asks gathers the parts
//! of all cores ([`crate::gather`]). Nothing here is estimated.

use std::collections::BTreeMap;

use base::clock::{Monotonic, UnixMillis};
use commands::spec::Flags;
use hdrhistogram::Histogram;
use protocol::args::Args;

use crate::config::Config;
use crate::observe::slow_log::SlowLog;
use crate::session::Session;
use crate::table::CommandIndex;

pub mod latency;
pub mod slow_log;

/// What happened to one command on one core.
#[derive(Clone, Debug, Default)]
pub struct CommandCounts {
    /// Runs.
    pub calls: u64,
    /// Time of all runs.
    pub nanos: u64,
    /// Refused before they ran.
    pub rejected: u64,
    /// Ran and ended with an error.
    pub failed: u64,
    /// Times in nanoseconds, if they are tracked.
    pub times: Option<Box<Histogram<u64>>>,
}

/// What happened on a core.
#[derive(Debug)]
pub struct Observed {
    /// Per command.
    pub commands: Vec<CommandCounts>,
    /// Error replies by their first word.
    pub errors: BTreeMap<String, u64>,
    /// Slow commands.
    pub slow_log: SlowLog,
    /// Latency events.
    pub latency: latency::Events,
    /// Times are kept per command (`latency-tracking`).
    pub is_tracking: bool,
    /// Somebody listens to `MONITOR`.
    pub has_monitors: bool,
    /// `maxmemory` is exceeded.
    pub is_out_of_memory: bool,
    /// Dead keys are swept (`DEBUG SET-ACTIVE-EXPIRE`).
    pub is_expiring: bool,
    /// Most bytes ever allocated, as seen by the rounds of housekeeping.
    pub peak_bytes: usize,
    /// Connections accepted here.
    pub accepted: u64,
    /// Connections turned away.
    pub turned_away: u64,
    /// Connections that moved to another core.
    pub moved_out: u64,
    /// Requests sent to other cores.
    pub sent_requests: u64,
    /// A buffer that control commands write their replies into.
    pub scratch: Vec<u8>,
    rate: Rate,
}

/// Commands per second over the last seconds.
#[derive(Clone, Copy, Debug, Default)]
struct Rate {
    at: Monotonic,
    calls: u64,
    per_second: u64,
}

/// Errors of different first words that are counted apart.
const ERRORS_MAX: usize = 128;

/// Longest time that a histogram tells apart, in nanoseconds: one minute.
const TIME_NANOS_MAX: u64 = 60_000_000_000;

impl Observed {
    /// Creates empty counts for `command_count` commands.
    #[must_use]
    pub fn new(config: &Config, command_count: usize) -> Self {
        let settings = config.settings();
        Self {
            commands: vec![CommandCounts::default(); command_count],
            errors: BTreeMap::new(),
            slow_log: SlowLog::new(
                settings.slowlog_slower_than_us,
                settings.slowlog_entries_max,
            ),
            latency: latency::Events::new(settings.latency_monitor_ms),
            is_tracking: settings.is_latency_tracked,
            has_monitors: false,
            is_out_of_memory: false,
            is_expiring: true,
            peak_bytes: 0,
            accepted: 0,
            turned_away: 0,
            moved_out: 0,
            sent_requests: 0,
            scratch: Vec::new(),
            rate: Rate::default(),
        }
    }

    /// Applies a changed configuration.
    pub fn review(&mut self, config: &Config) {
        let settings = config.settings();
        self.slow_log.review(
            settings.slowlog_slower_than_us,
            settings.slowlog_entries_max,
        );
        self.latency.set_threshold(settings.latency_monitor_ms);
        self.is_tracking = settings.is_latency_tracked;
    }

    /// Counts a run of a command and the reply it gave.
    #[inline]
    pub fn count(&mut self, command: CommandIndex, nanos: u64, reply: &[u8]) {
        let counts = &mut self.commands[command.index()];
        counts.calls += 1;
        counts.nanos += nanos;
        if self.is_tracking {
            record(counts, nanos);
        }
        if reply.first() == Some(&b'-') {
            counts.failed += 1;
            self.count_error(&reply[1..]);
        }
        if self.latency.is_slow(nanos) {
            self.latency.note_command(nanos);
        }
    }

    /// Counts a refusal before a command ran.
    pub fn reject(&mut self, command: CommandIndex) {
        self.commands[command.index()].rejected += 1;
    }

    /// Counts an error reply by its first word.
    #[cold]
    pub fn count_error(&mut self, text: &[u8]) {
        let end = text
            .iter()
            .position(|byte| byte.is_ascii_whitespace())
            .unwrap_or(text.len());
        let code = String::from_utf8_lossy(&text[..end.min(64)]);
        if let Some(count) = self.errors.get_mut(code.as_ref()) {
            *count += 1;
        } else if self.errors.len() < ERRORS_MAX {
            self.errors.insert(code.into_owned(), 1);
        }
    }

    /// Puts a command into the slow log.
    #[cold]
    pub fn note_slow(
        &mut self,
        now: UnixMillis,
        nanos: u64,
        flags: Flags,
        args: Args<'_>,
        session: Option<&Session>,
    ) {
        if !flags.has(Flags::SKIP_SLOWLOG) {
            self.slow_log.note(now, nanos, args, session);
        }
    }

    /// Takes notice of how much is allocated.
    pub fn note_memory(&mut self, bytes: usize) {
        self.peak_bytes = self.peak_bytes.max(bytes);
    }

    /// Updates the rate of commands, at most once a second.
    pub fn sample(&mut self, now: Monotonic) {
        let nanos = now.nanos_since(self.rate.at);
        if nanos < 1_000_000_000 {
            return;
        }
        let calls = self.calls();
        let delta = calls.saturating_sub(self.rate.calls);
        let per_second = u128::from(delta) * 1_000_000_000 / u128::from(nanos);
        let per_second = u64::try_from(per_second).unwrap_or(u64::MAX);
        self.rate = Rate {
            at: now,
            calls,
            per_second,
        };
    }

    /// Returns commands per second over the last whole second or so; 0 if that is long ago.
    #[must_use]
    pub fn calls_per_second(&self, now: Monotonic) -> u64 {
        if now.nanos_since(self.rate.at) > 3_000_000_000 {
            0
        } else {
            self.rate.per_second
        }
    }

    /// Returns the runs of all commands.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.commands.iter().map(|counts| counts.calls).sum()
    }

    /// Returns the error replies of all kinds.
    #[must_use]
    pub fn error_count(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Sets back what `CONFIG RESETSTAT` sets back.
    pub fn reset(&mut self) {
        for counts in &mut self.commands {
            *counts = CommandCounts::default();
        }
        self.errors.clear();
        self.accepted = 0;
        self.turned_away = 0;
        self.moved_out = 0;
        self.sent_requests = 0;
        self.rate = Rate::default();
    }
}

#[inline]
fn record(counts: &mut CommandCounts, nanos: u64) {
    if let Some(times) = &mut counts.times {
        times.saturating_record(nanos);
    } else {
        begin_recording(counts, nanos);
    }
}

#[cold]
fn begin_recording(counts: &mut CommandCounts, nanos: u64) {
    let times = Histogram::new_with_bounds(1, TIME_NANOS_MAX, 2);
    let mut times = times.expect("one nanosecond to a minute in two figures is a valid range");
    times.saturating_record(nanos);
    counts.times = Some(Box::new(times));
}
