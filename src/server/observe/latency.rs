//! Latency events: what took longer than `latency-monitor-threshold`, by kind of event.
//!
//! Kinds are those of Redis that can happen here: `command` and `fast-command` for commands,
//! `expire-cycle` for the sweep of dead keys. Per kind and second the longest time is kept.

use std::collections::{BTreeMap, VecDeque};

use base::clock::UnixMillis;

/// Seconds kept per kind, as in Redis.
const SAMPLES_MAX: usize = 160;

/// The longest time of one second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The second.
    pub at_seconds: i64,
    /// The longest time in it, in milliseconds.
    pub millis: u64,
}

/// The samples of one kind of event.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// Oldest first.
    pub samples: VecDeque<Sample>,
    /// The longest time since the last reset.
    pub longest_millis: u64,
}

/// The latency events of a core.
#[derive(Clone, Debug, Default)]
pub struct Events {
    threshold_nanos: u64,
    /// By kind.
    pub series: BTreeMap<&'static str, Series>,
    pending: Vec<(&'static str, u64)>,
}

impl Events {
    /// Creates a log of events of at least `threshold_ms` milliseconds; 0 switches it off.
    #[must_use]
    pub fn new(threshold_ms: u64) -> Self {
        let mut events = Self::default();
        events.set_threshold(threshold_ms);
        events
    }

    /// Sets the threshold.
    pub fn set_threshold(&mut self, millis: u64) {
        self.threshold_nanos = if millis == 0 {
            u64::MAX
        } else {
            millis.saturating_mul(1_000_000)
        };
    }

    /// Returns whether something of this length is an event.
    #[inline]
    #[must_use]
    pub fn is_slow(&self, nanos: u64) -> bool {
        nanos >= self.threshold_nanos
    }

    /// Notes a command that took so long.
    #[cold]
    pub fn note_command(&mut self, nanos: u64) {
        self.pending.push(("command", nanos / 1_000_000));
    }

    /// Notes an event of `kind`.
    pub fn note(&mut self, kind: &'static str, nanos: u64) {
        if self.is_slow(nanos) {
            self.pending.push((kind, nanos / 1_000_000));
        }
    }

    /// Files what was noted, as of `now`.
    pub fn file(&mut self, now: UnixMillis) {
        for (kind, millis) in std::mem::take(&mut self.pending) {
            let series = self.series.entry(kind).or_default();
            series.add(Sample {
                at_seconds: now.seconds(),
                millis,
            });
        }
    }

    /// Forgets the events of `kind`, or all. Returns how many kinds there were.
    pub fn reset(&mut self, kind: Option<&[u8]>) -> usize {
        let before = self.series.len();
        match kind {
            None => self.series.clear(),
            Some(kind) => {
                self.series
                    .retain(|name, _| !name.as_bytes().eq_ignore_ascii_case(kind));
            }
        }
        before - self.series.len()
    }
}

impl Series {
    /// Adds a sample; within one second the longest counts.
    pub fn add(&mut self, sample: Sample) {
        self.longest_millis = self.longest_millis.max(sample.millis);
        match self.samples.back_mut() {
            Some(last) if last.at_seconds == sample.at_seconds => {
                last.millis = last.millis.max(sample.millis);
            }
            Some(_) | None => self.samples.push_back(sample),
        }
        if self.samples.len() > SAMPLES_MAX {
            self.samples.pop_front();
        }
    }

    /// Joins the samples of the same kind from two cores.
    pub fn join(&mut self, other: &Self) {
        let mut all: Vec<Sample> = self.samples.iter().chain(&other.samples).copied().collect();
        all.sort_by_key(|sample| sample.at_seconds);
        let longest = self.longest_millis.max(other.longest_millis);
        *self = Self::default();
        for sample in all {
            self.add(sample);
        }
        self.longest_millis = longest;
    }
}
