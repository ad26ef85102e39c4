//! The schedule of backups: five fields of cron, in UTC.
//!
//! Not here: what is done then (`persistence::backup`).

use base::clock::UnixMillis;
use chrono::{DateTime, Utc};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

fn parse(text: &str) -> Option<Cron> {
    let parser = CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .build();
    parser.parse(text).ok()
}

/// Returns whether a text is a schedule.
pub(super) fn is_valid(text: &str) -> bool {
    parse(text).is_some()
}

/// Returns the first time behind `after` that a schedule says. Nothing if there is none, such as for the 30th of
/// February.
#[must_use]
pub fn next(text: &str, after: UnixMillis) -> Option<UnixMillis> {
    let after = DateTime::<Utc>::from_timestamp_millis(after.0)?;
    let next = parse(text)?.find_next_occurrence(&after, false).ok()?;
    Some(UnixMillis(next.timestamp_millis()))
}

#[cfg(test)]
mod tests {
    use storage::times;

    use super::*;

    #[test]
    fn the_next_time_is_found_in_utc() {
        for (text, after, expected) in [
            (
                "0 */6 * * *",
                "2026-01-31T05:59:59Z",
                "2026-01-31T06:00:00Z",
            ),
            (
                "0 */6 * * *",
                "2026-01-31T06:00:00Z",
                "2026-01-31T12:00:00Z",
            ),
            (
                "*/15 * * * *",
                "2026-01-31T23:59:00Z",
                "2026-02-01T00:00:00Z",
            ),
            (
                "30 2 29 2 *",
                "2026-03-01T00:00:00Z",
                "2028-02-29T02:30:00Z",
            ),
            (
                "0 3 * * 1-5",
                "2026-01-30T04:00:00Z",
                "2026-02-02T03:00:00Z",
            ),
            (
                "0 0 1,15 * *",
                "2026-01-02T00:00:00Z",
                "2026-01-15T00:00:00Z",
            ),
        ] {
            let at = |text| times::parse(text).unwrap();
            assert_eq!(next(text, at(after)), Some(at(expected)), "{text}");
        }
        assert_eq!(next("0 0 30 2 *", UnixMillis(0)), None);
    }

    #[test]
    fn only_five_fields_are_a_schedule() {
        assert!(is_valid("* * * * *"));
        for text in [
            "",
            "* * * *",
            "* * * * * *",
            "61 * * * *",
            "* 25 * * *",
            "often",
        ] {
            assert!(!is_valid(text), "{text}");
        }
    }
}
