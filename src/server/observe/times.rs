//! How long the runs of one command took.
//!
//! Nearly every run takes less than a microsecond: those are counted one by one in a plain array, in
//! two instructions; the rest goes into a histogram of two significant figures. Both together are the
//! histogram that INFO and LATENCY show.

use base::cast::{u64_from, usize_from};
use hdrhistogram::Histogram;

/// Times below this are counted apart, in nanoseconds. Two significant figures tell no more of them.
const SHORT_NANOS: u64 = 1024;

/// Nanoseconds per count of the array.
const STEP_NANOS: u64 = 4;

const SHORT_COUNTS: usize = 256;

const _: () = assert!(
    SHORT_NANOS == STEP_NANOS * 256,
    "the array covers the short times"
);

/// Longest time that is told apart, in nanoseconds: one minute.
const NANOS_MAX: u64 = 60_000_000_000;

/// Times of runs.
#[derive(Clone, Debug)]
pub struct Times {
    short: [u64; SHORT_COUNTS],
    long: Histogram<u64>,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            short: [0; SHORT_COUNTS],
            long: empty(),
        }
    }
}

fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1, NANOS_MAX, 2)
        .expect("one nanosecond to a minute in two figures is a valid range")
}

impl Times {
    /// Adds `runs` runs of this length.
    #[inline]
    pub fn record(&mut self, nanos: u64, runs: u64) {
        match self.short.get_mut(usize_from(nanos / STEP_NANOS)) {
            Some(count) => *count += runs,
            None => self.record_long(nanos, runs),
        }
    }

    #[cold]
    fn record_long(&mut self, nanos: u64, runs: u64) {
        self.long.saturating_record_n(nanos, runs);
    }

    /// Returns all times as one histogram, in nanoseconds.
    #[must_use]
    pub fn histogram(&self) -> Histogram<u64> {
        let mut all = self.long.clone();
        for (index, count) in self.short.iter().enumerate() {
            if *count > 0 {
                let nanos = u64_from(index) * STEP_NANOS + STEP_NANOS / 2;
                all.saturating_record_n(nanos, *count);
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_times_are_one_histogram() {
        let mut times = Times::default();
        for nanos in [0, 3, 4, 100, 1023, 1024, 5000, 1_000_000, u64::MAX] {
            times.record(nanos, 1);
        }
        times.record(2000, 3);
        let all = times.histogram();
        assert_eq!(all.len(), 12);
        assert_eq!(all.count_between(1900, 2100), 3);
        assert_eq!(all.count_between(0, 7), 3);
        assert_eq!(all.count_between(90, 110), 1);
        assert_eq!(all.count_between(1000, 1100), 2);
    }
}
