//! What happened on a core: calls and times per command, errors, the slow log, latency events.
//!
//! All of it is plain fields of one core, written by that core alone; whoever asks gathers the parts
//! of all cores ([`crate::gather`]). Nothing here is estimated.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use base::clock::{Monotonic, UnixMillis};
use commands::spec::{Declaration, Flags};
use protocol::args::PackedArgs;

use crate::command_index::CommandIndex;
use crate::config::Config;
use crate::observe::slow_log::SlowLog;
use crate::observe::times::Times;
use crate::session::Session;

pub mod latency;
pub mod slow_log;
pub mod times;

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
    pub times: Option<Box<Times>>,
}

/// What happened on a core.
#[derive(Debug)]
pub struct Observed {
    /// Per command.
    pub commands: Vec<CommandCounts>,
    /// Error replies by their first word.
    pub errors: BTreeMap<String, u64>,
    /// Error replies of all kinds.
    pub error_replies: u64,
    /// Slow commands.
    pub slow_log: SlowLog,
    /// Latency events.
    pub latency: latency::Events,
    /// Times are kept per command (`latency-tracking`).
    pub is_tracking: bool,
    /// Somebody listens to `MONITOR`.
    pub has_monitors: bool,
    /// A request is to be looked at more closely: it is shown to `MONITOR`, or refused while a script
    /// takes long. Renewed in each turn.
    pub is_attentive: bool,
    /// `maxmemory` is set, so writes have to ask for room.
    pub has_memory_limit: bool,
    /// When this core last told the others that memory is short.
    pub eviction_asked_at: Monotonic,
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
    /// Time spent in sweeps of dead keys.
    pub sweep_nanos: u64,
    /// A buffer that control commands write their replies into.
    pub scratch: Vec<u8>,
    /// By command: whether it is declared to be fast.
    is_fast: Box<[bool]>,
    rate: Rate,
    per_second: PerSecond,
}

/// What happened per second, over the last whole second or so.
#[derive(Clone, Copy, Debug, Default)]
pub struct PerSecond {
    /// Runs of commands.
    pub calls: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
}

/// What the last sample saw.
#[derive(Clone, Copy, Debug, Default)]
struct Rate {
    at: Monotonic,
    calls: u64,
    received_bytes: u64,
    sent_bytes: u64,
}

/// Commands that are measured together take less than this, in nanoseconds.
const TOGETHER_NANOS_MAX: u64 = 1_000_000;

/// Errors of different first words that are counted apart.
const ERRORS_MAX: usize = 128;

impl Observed {
    /// Creates empty counts for `commands`, which stand in the order of their positions.
    /// `slow_numbers` is what all cores number the entries of their slow logs from.
    #[must_use]
    pub fn new<'d>(
        config: &Config,
        commands: impl Iterator<Item = &'d Declaration>,
        slow_numbers: Arc<AtomicU64>,
    ) -> Self {
        let settings = config.settings();
        let is_fast: Box<[bool]> = commands
            .map(|declaration| declaration.flags.has(Flags::FAST))
            .collect();
        Self {
            commands: vec![CommandCounts::default(); is_fast.len()],
            errors: BTreeMap::new(),
            error_replies: 0,
            slow_log: SlowLog::new(
                settings.slowlog_slower_than_us,
                settings.slowlog_entries_max,
                slow_numbers,
            ),
            latency: latency::Events::new(settings.latency_monitor_ms),
            is_tracking: settings.is_latency_tracked,
            has_monitors: false,
            is_attentive: false,
            eviction_asked_at: Monotonic::default(),
            has_memory_limit: settings.memory_bytes_max > 0,
            is_expiring: true,
            peak_bytes: 0,
            accepted: 0,
            turned_away: 0,
            moved_out: 0,
            sent_requests: 0,
            sweep_nanos: 0,
            scratch: Vec::new(),
            is_fast,
            rate: Rate::default(),
            per_second: PerSecond::default(),
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
        self.note_reply(command, reply);
        self.note_time(command, 1, nanos);
    }

    /// Counts the reply of a command whose time is noted later.
    #[inline]
    pub fn note_reply(&mut self, command: CommandIndex, reply: &[u8]) {
        if reply.first() == Some(&b'-') {
            self.commands[command.index()].failed += 1;
            self.count_error(&reply[1..]);
        }
    }

    /// Counts `runs` runs of a command, at least one, that took `nanos` together.
    #[inline]
    pub fn note_time(&mut self, command: CommandIndex, runs: u32, nanos: u64) {
        let counts = &mut self.commands[command.index()];
        let runs = u64::from(runs);
        counts.calls += runs;
        counts.nanos += nanos;
        if self.is_tracking {
            let each = nanos / runs.max(1);
            counts.times.get_or_insert_default().record(each, runs);
        }
        if self.latency.is_slow(nanos) {
            let is_fast = self.is_fast[command.index()];
            self.latency.note_command(nanos, is_fast);
        }
    }

    /// Returns whether commands may be measured together: not if so short a time would be an event or
    /// belong into the slow log, for then each has to be known.
    #[inline]
    #[must_use]
    pub fn may_measure_together(&self) -> bool {
        !self.slow_log.is_slow(TOGETHER_NANOS_MAX) && !self.latency.is_slow(TOGETHER_NANOS_MAX)
    }

    /// Counts a refusal before a command ran.
    pub fn reject(&mut self, command: CommandIndex) {
        self.commands[command.index()].rejected += 1;
    }

    /// Counts an error reply by its first word.
    #[cold]
    pub fn count_error(&mut self, text: &[u8]) {
        self.error_replies += 1;
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

    /// Puts a command into the slow log, given by its words as [`slow_log::cut`] left them.
    #[cold]
    pub fn note_slow(
        &mut self,
        now: UnixMillis,
        nanos: u64,
        declaration: &Declaration,
        words: PackedArgs,
        session: Option<&Session>,
    ) {
        if !declaration.flags.has(Flags::SKIP_SLOWLOG) {
            self.slow_log.note(now, nanos, words, session);
        }
    }

    /// Takes notice of how much is allocated.
    pub fn note_memory(&mut self, bytes: usize) {
        self.peak_bytes = self.peak_bytes.max(bytes);
    }

    /// Updates the rates, at most once a second. The bytes are those of the sockets so far.
    pub fn sample(&mut self, now: Monotonic, received_bytes: u64, sent_bytes: u64) {
        let nanos = now.nanos_since(self.rate.at);
        if nanos < 1_000_000_000 {
            return;
        }
        let calls = self.calls();
        let rate = |count: u64, before: u64| {
            let delta = count.saturating_sub(before);
            let per_second = u128::from(delta) * 1_000_000_000 / u128::from(nanos);
            u64::try_from(per_second).unwrap_or(u64::MAX)
        };
        self.per_second = PerSecond {
            calls: rate(calls, self.rate.calls),
            received_bytes: rate(received_bytes, self.rate.received_bytes),
            sent_bytes: rate(sent_bytes, self.rate.sent_bytes),
        };
        self.rate = Rate {
            at: now,
            calls,
            received_bytes,
            sent_bytes,
        };
    }

    /// Returns the rates over the last whole second or so; 0 if that is long ago.
    #[must_use]
    pub fn per_second(&self, now: Monotonic) -> PerSecond {
        if now.nanos_since(self.rate.at) > 3_000_000_000 {
            PerSecond::default()
        } else {
            self.per_second
        }
    }

    /// Returns the runs of all commands.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.commands.iter().map(|counts| counts.calls).sum()
    }

    /// Sets back what `CONFIG RESETSTAT` sets back.
    pub fn reset(&mut self) {
        for counts in &mut self.commands {
            *counts = CommandCounts::default();
        }
        self.errors.clear();
        self.error_replies = 0;
        self.peak_bytes = 0;
        self.sweep_nanos = 0;
        self.accepted = 0;
        self.turned_away = 0;
        self.moved_out = 0;
        self.sent_requests = 0;
        self.rate = Rate {
            at: self.rate.at,
            ..Rate::default()
        };
    }
}
