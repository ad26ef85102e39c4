//! Points in time as people and names of files have them, always in UTC.
//!
//! Not here: clocks (`runtime::clock`).

use base::clock::UnixMillis;
use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};

/// How a time stands in the name of a file: names are in the order of their times.
const IN_NAME: &str = "%Y%m%dT%H%M%S%.3fZ";

/// Times without a zone that are understood.
const WITHOUT_ZONE: [&str; 2] = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"];

/// Numbers from here on are milliseconds since 1970, smaller ones seconds: 1973 and the year 5138.
const MILLISECONDS_MIN: i64 = 100_000_000_000;

/// Returns a time as in `2026-01-31T12:30:00.000Z`; one beyond the calendar as its milliseconds.
#[must_use]
pub fn shown(at: UnixMillis) -> String {
    match DateTime::<Utc>::from_timestamp_millis(at.0) {
        Some(time) => time.to_rfc3339_opts(SecondsFormat::Millis, true),
        None => format!("{} ms", at.0),
    }
}

/// Returns a time as in `20260131T123000.000Z`, for names of files.
#[must_use]
pub fn in_name(at: UnixMillis) -> String {
    match DateTime::<Utc>::from_timestamp_millis(at.0) {
        Some(time) => time.format(IN_NAME).to_string(),
        None => at.0.to_string(),
    }
}

/// Reads what [`in_name`] has written.
#[must_use]
pub fn of_name(text: &str) -> Option<UnixMillis> {
    let time = NaiveDateTime::parse_from_str(text, IN_NAME).ok()?;
    let at = UnixMillis(time.and_utc().timestamp_millis());
    (in_name(at) == text).then_some(at)
}

/// Reads a time as people write it: RFC 3339; `YYYY-MM-DD HH:MM:SS`, with a `T` too, in UTC; or seconds or
/// milliseconds since 1970.
#[must_use]
pub fn parse(text: &str) -> Option<UnixMillis> {
    let text = text.trim();
    if let Ok(number) = text.parse::<i64>() {
        return Some(UnixMillis(if number.abs() < MILLISECONDS_MIN {
            number * 1000
        } else {
            number
        }));
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(UnixMillis(time.timestamp_millis()));
    }
    WITHOUT_ZONE
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
        .map(|time| UnixMillis(time.and_utc().timestamp_millis()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: UnixMillis = UnixMillis(1_769_862_600_250);

    #[test]
    fn a_time_is_read_in_each_form() {
        for text in [
            "2026-01-31T12:30:00.250Z",
            "2026-01-31T14:30:00.250+02:00",
            "2026-01-31 12:30:00.250",
            "2026-01-31T12:30:00.250",
            "1769862600250",
        ] {
            assert_eq!(parse(text), Some(AT), "{text}");
        }
        let second = UnixMillis(1_769_862_600_000);
        for text in ["2026-01-31 12:30:00", "1769862600"] {
            assert_eq!(parse(text), Some(second), "{text}");
        }
        for text in ["", "yesterday", "2026-02-30 00:00:00", "12:30"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        assert_eq!(shown(AT), "2026-01-31T12:30:00.250Z");
        assert_eq!(parse(&shown(AT)), Some(AT));
        assert_eq!(in_name(AT), "20260131T123000.250Z");
        assert_eq!(of_name(&in_name(AT)), Some(AT));
        for name in ["20260131T123000Z", "20260131T123000.250", "dump"] {
            assert_eq!(of_name(name), None, "{name}");
        }
        assert_eq!(shown(UnixMillis(i64::MAX)), "9223372036854775807 ms");
    }
}
