//! Texts of LATENCY GRAPH and LATENCY DOCTOR, for people.

use std::collections::BTreeMap;

use crate::observe::latency::{EXPIRE_CYCLE, Sample, Series};

/// Rows of a graph.
const ROWS: usize = 4;

/// Levels that one row tells apart.
const LEVELS: &[char] = &['_', '-', '`'];

/// Draws the samples of `series`, oldest on the left, each with its age under it. `now` is in seconds
/// since 1970.
pub(super) fn graph(kind: &str, series: &Series, now: i64) -> String {
    let millis = || series.samples.iter().map(|sample| sample.millis);
    let (high, low) = (millis().max().unwrap_or(0), millis().min().unwrap_or(0));
    let longest = series.longest_millis;
    let mut text = format!("{kind} - high {high} ms, low {low} ms (all time high {longest} ms)\n");
    text.push_str(&"-".repeat(80));
    text.push('\n');
    for row in (0..ROWS).rev() {
        let line: String = series
            .samples
            .iter()
            .map(|sample| mark(*sample, low, high, row))
            .collect();
        text.push_str(&line);
        text.push('\n');
    }
    text.push('\n');
    let ages: Vec<String> = series
        .samples
        .iter()
        .map(|sample| age(now.saturating_sub(sample.at_seconds).max(0)))
        .collect();
    let depth = ages.iter().map(String::len).max().unwrap_or(0);
    for place in 0..depth {
        let line: String = ages
            .iter()
            .map(|age| age.chars().nth(place).unwrap_or(' '))
            .collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Returns what stands for a sample in a row; row 0 is the lowest.
fn mark(sample: Sample, low: u64, high: u64, row: usize) -> char {
    if sample.millis == high && row == ROWS - 1 {
        return '#';
    }
    let level_count = ROWS * LEVELS.len();
    let span = usize::try_from(high - low).unwrap_or(usize::MAX).max(1);
    let above = usize::try_from(sample.millis - low).unwrap_or(usize::MAX);
    let level = above.saturating_mul(level_count - 1) / span;
    match row.cmp(&(level / LEVELS.len())) {
        std::cmp::Ordering::Less => '|',
        std::cmp::Ordering::Equal => LEVELS[level % LEVELS.len()],
        std::cmp::Ordering::Greater => ' ',
    }
}

/// Returns an age in its largest whole unit.
fn age(seconds: i64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Says what the events mean and what may help.
pub(super) fn doctor(joined: &BTreeMap<&'static str, Series>, is_on: bool) -> String {
    if !is_on {
        return "Latency events are not recorded: latency-monitor-threshold is 0. Set it to the \
                number of milliseconds from which an event counts, for example CONFIG SET \
                latency-monitor-threshold 100.\n"
            .to_owned();
    }
    if joined.is_empty() {
        return "No latency event was recorded since the start or the last LATENCY RESET.\n"
            .to_owned();
    }
    let mut text = String::from("Latency events were recorded:\n\n");
    for (number, (kind, series)) in joined.iter().enumerate() {
        text.push_str(&describe(number + 1, kind, series));
    }
    text.push_str("\nWhat may help:\n\n");
    if joined.keys().any(|kind| *kind != EXPIRE_CYCLE) {
        text.push_str(
            "- SLOWLOG GET names the slow requests. Their cost grows with the number of keys and \
             bytes they touch: split them, or use SCAN in place of KEYS.\n\
             - A request that is declared to be fast was slow (fast-command): the machine took the \
             processor away. Give every shard a processor of its own and look at the load beside \
             this server.\n",
        );
    }
    if joined.contains_key(EXPIRE_CYCLE) {
        text.push_str(
            "- Many keys expire at the same time (expire-cycle): spread their times, or lower \
             active-expire-effort.\n",
        );
    }
    text
}

fn describe(number: usize, kind: &str, series: &Series) -> String {
    let count = series.samples.len().max(1) as f64;
    let millis = || series.samples.iter().map(|sample| sample.millis as f64);
    let mean = millis().sum::<f64>() / count;
    let deviation = millis().map(|it| (it - mean).abs()).sum::<f64>() / count;
    let first = series.samples.front().map_or(0, |sample| sample.at_seconds);
    let last = series.samples.back().map_or(0, |sample| sample.at_seconds);
    let period = (last - first) as f64 / count;
    format!(
        "{number}. {kind}: {} latency spikes (average {mean:.0}ms, mean deviation \
         {deviation:.0}ms, period {period:.2} sec). Worst all time event {}ms.\n",
        series.samples.len(),
        series.longest_millis
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(samples: &[(i64, u64)]) -> Series {
        let mut series = Series::default();
        for (at_seconds, millis) in samples {
            series.add(Sample {
                at_seconds: *at_seconds,
                millis: *millis,
            });
        }
        series
    }

    #[test]
    fn a_graph_shows_heights_and_ages() {
        let drawn = graph("command", &series(&[(10, 300), (11, 600), (12, 1203)]), 12);
        let lines: Vec<&str> = drawn.lines().collect();
        assert_eq!(
            lines[0],
            "command - high 1203 ms, low 300 ms (all time high 1203 ms)"
        );
        assert_eq!(lines[1], "-".repeat(80));
        assert_eq!(&lines[2..], ["  #", "  |", " _|", "_||", "", "210", "sss"]);
    }

    #[test]
    fn equal_samples_and_single_ones_are_drawn() {
        for samples in [&[(5, 7)][..], &[(5, 7), (6, 7)], &[]] {
            assert!(
                graph("command", &series(samples), 1_000_000)
                    .lines()
                    .count()
                    > 5
            );
        }
    }

    #[test]
    fn the_doctor_tells_off_from_quiet() {
        assert!(doctor(&BTreeMap::new(), false).contains("latency-monitor-threshold is 0"));
        assert!(doctor(&BTreeMap::new(), true).contains("No latency event"));
        let joined = BTreeMap::from([("command", series(&[(1, 100), (3, 200)]))]);
        let text = doctor(&joined, true);
        assert!(text.contains("1. command: 2 latency spikes (average 150ms"));
        assert!(text.contains("SLOWLOG GET"));
    }
}
