//! Latency events: what took longer than `latency-monitor-threshold`, by kind of event.
//!
//! Kinds are those of Redis that can happen here: `command` and `fast-command` for commands,
//! `expire-cycle` for the sweep of dead keys, `eviction-cycle` for eviction. Per kind and second the longest time is kept.

use std::collections::{BTreeMap, VecDeque};

use base::clock::UnixMillis;

/// A command took long.
pub const COMMAND: &str = "command";

/// A command that is declared to be fast took long.
pub const FAST_COMMAND: &str = "fast-command";

/// A round of the sweep of dead keys took long.
pub const EXPIRE_CYCLE: &str = "expire-cycle";

/// A round of eviction took long.
pub const EVICTION_CYCLE: &str = "eviction-cycle";

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
    now_seconds: i64,
    /// By kind.
    pub series: BTreeMap<&'static str, Series>,
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

    /// Sets the second that events are noted under.
    #[inline]
    pub fn set_now(&mut self, now: UnixMillis) {
        self.now_seconds = now.seconds();
    }

    /// Notes a command that took so long. `is_fast`: it is declared to be fast.
    #[cold]
    pub fn note_command(&mut self, nanos: u64, is_fast: bool) {
        self.note(if is_fast { FAST_COMMAND } else { COMMAND }, nanos);
    }

    /// Notes an event of `kind`, if it is one.
    pub fn note(&mut self, kind: &'static str, nanos: u64) {
        if self.is_slow(nanos) {
            let series = self.series.entry(kind).or_default();
            series.add(Sample {
                at_seconds: self.now_seconds,
                millis: nanos / 1_000_000,
            });
        }
    }

    /// Forgets the events of the given kinds, or all if there is none. Returns which there were.
    pub fn reset(&mut self, kinds: &[Vec<u8>]) -> Vec<&'static str> {
        let is_meant = |name: &str| {
            let is_named = |kind: &Vec<u8>| name.as_bytes().eq_ignore_ascii_case(kind);
            kinds.is_empty() || kinds.iter().any(is_named)
        };
        let gone: Vec<&'static str> = self
            .series
            .keys()
            .copied()
            .filter(|name| is_meant(name))
            .collect();
        for name in &gone {
            self.series.remove(name);
        }
        gone
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

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at_seconds: i64, millis: u64) -> Sample {
        Sample { at_seconds, millis }
    }

    #[test]
    fn the_longest_time_of_a_second_counts() {
        let mut events = Events::new(10);
        events.set_now(UnixMillis(5_000));
        for millis in [20, 70, 9, 30] {
            events.note_command(millis * 1_000_000, false);
        }
        events.set_now(UnixMillis(6_999));
        events.note_command(12_000_000, false);
        events.note_command(15_000_000, true);
        let series = &events.series[COMMAND];
        assert_eq!(series.samples, [sample(5, 70), sample(6, 12)]);
        assert_eq!(series.longest_millis, 70);
        assert_eq!(events.series[FAST_COMMAND].samples, [sample(6, 15)]);
    }

    #[test]
    fn joined_series_keep_the_longest_time_of_each_second() {
        let mut one = Series::default();
        let mut other = Series::default();
        for (at, millis) in [(1, 10), (3, 30)] {
            one.add(sample(at, millis));
        }
        for (at, millis) in [(1, 40), (2, 20), (3, 5)] {
            other.add(sample(at, millis));
        }
        one.join(&other);
        assert_eq!(one.samples, [sample(1, 40), sample(2, 20), sample(3, 30)]);
        assert_eq!(one.longest_millis, 40);
    }

    #[test]
    fn a_reset_by_name_forgets_that_kind_alone() {
        let mut events = Events::new(1);
        events.note(EXPIRE_CYCLE, 2_000_000);
        events.note_command(2_000_000, true);
        assert_eq!(events.reset(&[b"Expire-Cycle".to_vec()]), [EXPIRE_CYCLE]);
        assert_eq!(events.reset(&[b"nothing".to_vec()]).len(), 0);
        assert_eq!(events.reset(&[]), [FAST_COMMAND]);
    }

    #[test]
    fn a_threshold_of_zero_notes_nothing() {
        let mut events = Events::new(0);
        events.note(EXPIRE_CYCLE, u64::MAX - 1);
        assert!(events.series.is_empty());
    }
}
