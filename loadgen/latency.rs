//! From a histogram to the rows of a report.
//!
//! Values are microseconds. The iterations are bounded by construction: over the percentiles by 64
//! halvings, over the values by the histogram's highest one.
//!
//! Not here: how rows are printed (`report`).

use anyhow::{Context, Result};
use hdrhistogram::Histogram;

/// Halvings of the distance to 100 % after which no further percentile is told apart.
const HALVINGS_MAX: u32 = 64;

/// One row of a distribution: so many measurements were no longer than this.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Row {
    /// Share in percent: asked for (percentiles) or found (cumulative).
    pub(crate) percent: f64,
    /// Highest latency of the row's bucket, in microseconds.
    pub(crate) value_us: u64,
    /// Measurements up to that value.
    pub(crate) count: u64,
}

/// Returns an empty histogram of microseconds with `figures` significant figures.
///
/// With `compat` it has redis-benchmark's bounds, 10 us to 3 s, and so its buckets of 8 us; else
/// 1 us to 60 s. Values outside are taken as the bound.
///
/// # Errors
///
/// If the library refuses the bounds, which it does not for 0 to 4 figures.
pub(crate) fn histogram(compat: bool, figures: u8) -> Result<Histogram<u64>> {
    let (least, most) = if compat {
        (10, 3_000_000)
    } else {
        (1, 60_000_000)
    };
    Histogram::new_with_bounds(least, most, figures).context("make a histogram")
}

/// Returns the distribution at 0, 50, 75, 87.5 ... 100 percent; rows in which the count did not
/// grow are left out.
pub(crate) fn percentile_rows(latencies: &Histogram<u64>) -> Vec<Row> {
    let total = latencies.len();
    let mut rows = Vec::new();
    let mut count = 0;
    let mut goal = 0.0;
    let mut halvings = 0;
    for bucket in latencies.iter_recorded() {
        count += bucket.count_since_last_iteration();
        let share = percent_of(count, total);
        if share < goal && count < total {
            continue;
        }
        let value_us = latencies.highest_equivalent(bucket.value_iterated_to());
        rows.push(Row {
            percent: goal,
            value_us,
            count,
        });
        if count == total {
            rows.push(Row {
                percent: 100.0,
                value_us,
                count,
            });
            break;
        }
        while goal <= share && halvings < HALVINGS_MAX {
            goal += (100.0 - goal) / 2.0;
            halvings += 1;
        }
    }
    rows
}

/// Returns the share of measurements up to each 100 us (to 2.1 ms), then each ms; rows in which the
/// count did not grow are left out.
pub(crate) fn cumulative_rows(latencies: &Histogram<u64>) -> Vec<Row> {
    let total = latencies.len();
    let mut rows: Vec<Row> = Vec::new();
    let mut buckets = latencies.iter_recorded().peekable();
    let mut count = 0;
    let mut level_us = 100;
    while total > 0 && count < total {
        let value_us = latencies.highest_equivalent(level_us);
        while let Some(bucket) = buckets.peek()
            && bucket.value_iterated_to() <= value_us
        {
            count += bucket.count_since_last_iteration();
            buckets.next();
        }
        if rows.last().is_none_or(|row| row.count != count) {
            rows.push(Row {
                percent: percent_of(count, total),
                value_us,
                count,
            });
        }
        level_us += if level_us > 2_000 { 1_000 } else { 100 };
    }
    rows
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a share is printed with three decimals"
)]
fn percent_of(count: u64, total: u64) -> f64 {
    100.0 * count as f64 / total as f64
}

/// Returns milliseconds with their fraction.
pub(crate) fn msec(micros: u64) -> f64 {
    count(micros) / 1000.0
}

/// Returns a count as a number to compute with.
#[expect(clippy::cast_precision_loss, reason = "printed with three decimals")]
pub(crate) fn count(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compat_of(values: &[(u64, u64)]) -> Histogram<u64> {
        let mut latencies = histogram(true, 3).unwrap();
        for &(value, times) in values {
            latencies.saturating_record_n(value, times);
        }
        latencies
    }

    fn texts(rows: &[Row]) -> Vec<String> {
        rows.iter()
            .map(|row| format!("{:.3} {} {}", row.percent, row.value_us, row.count))
            .collect()
    }

    #[test]
    fn compat_buckets_are_eight_microseconds_wide() {
        let latencies = compat_of(&[(17, 1), (100, 2)]);
        assert_eq!(latencies.min(), 16);
        assert_eq!(latencies.max(), 103);
        assert_eq!(latencies.value_at_quantile(0.5), 103);
    }

    #[test]
    fn values_beyond_three_seconds_count_as_three_seconds() {
        let latencies = compat_of(&[(9_000_000, 1)]);
        assert_eq!(latencies.max(), 3_000_319);
    }

    /// The counts by value are those of a recorded run of redis-benchmark, and so are the rows.
    #[test]
    fn percentiles_come_out_as_redis_benchmark_prints_them() {
        let latencies = compat_of(&[
            (23, 1),
            (63, 108),
            (79, 42),
            (103, 30),
            (135, 7),
            (559, 6),
            (703, 3),
            (2591, 2),
            (2599, 1),
        ]);
        assert_eq!(
            texts(&percentile_rows(&latencies)),
            [
                "0.000 23 1",
                "50.000 63 109",
                "75.000 79 151",
                "87.500 103 181",
                "93.750 135 188",
                "96.875 559 194",
                "98.438 703 197",
                "99.219 2591 199",
                "99.609 2599 200",
                "100.000 2599 200",
            ]
        );
        assert_eq!(
            texts(&cumulative_rows(&latencies)),
            [
                "90.500 103 181",
                "94.000 207 188",
                "97.000 607 194",
                "98.500 703 197",
                "100.000 3103 200",
            ]
        );
    }

    #[test]
    fn first_cumulative_row_is_there_even_if_empty() {
        assert_eq!(
            texts(&cumulative_rows(&compat_of(&[(767, 20)]))),
            ["0.000 103 0", "100.000 807 20"]
        );
    }

    #[test]
    fn steps_change_to_milliseconds_after_two() {
        let latencies = compat_of(&[(1900, 1), (2050, 1), (2500, 1), (3900, 1)]);
        assert_eq!(
            texts(&cumulative_rows(&latencies)),
            [
                "0.000 103 0",
                "25.000 1903 1",
                "50.000 2103 2",
                "75.000 3103 3",
                "100.000 4103 4",
            ]
        );
    }

    #[test]
    fn empty_histogram_has_no_rows() {
        assert!(percentile_rows(&compat_of(&[])).is_empty());
        assert!(cumulative_rows(&compat_of(&[])).is_empty());
    }

    #[test]
    fn enormous_counts_end() {
        let latencies = compat_of(&[(50, u64::MAX / 4), (90, 1), (200, 1)]);
        assert_eq!(percentile_rows(&latencies).last().unwrap().percent, 100.0);
    }
}
