//! Random values of each type, as texts, and what they mean.

use base::random::Random;
use rusqlite::types::Value;

use super::schema::Kind;
use crate::support::{one_in, pick};

const STRINGS: &[&str] = &[
    "", "a", "b", "ab", "abc", "ABC", "abd", "b%", "a_c", "a\\b", "x y", "\u{e4}", "\u{e4}bc", "z",
    "10", "9", "NULL", "AND", "WHERE", "a=b", "1>=2", "(", ")",
];

const LARGE: &[&str] = &[
    "9223372036854775807",
    "-9223372036854775808",
    "4611686018427387904",
    "-1",
    "0",
    "1",
];

/// Draws a text that a column of this type takes.
pub(super) fn text(random: &mut Random, kind: Kind) -> String {
    match kind {
        Kind::String => (*pick(random, STRINGS)).to_owned(),
        Kind::LargeInteger => (*pick(random, LARGE)).to_owned(),
        Kind::Integer => {
            let number = signed(random, 12);
            if number >= 0 && one_in(random, 8) {
                format!("{}{number}", pick(random, &["+", "0", "+00"]))
            } else {
                number.to_string()
            }
        }
        Kind::Float => {
            // Quarters, so that every sum is exact whatever its order.
            let number = signed(random, 12);
            let fraction = pick(random, &["", ".", ".0", ".25", ".50", ".75", ".500"]);
            format!("{number}{fraction}")
        }
        Kind::Date => format!(
            "20{:02}-{:02}-{:02}",
            19 + random.below(4),
            1 + random.below(3),
            1 + random.below(28)
        ),
        Kind::Bool => (*pick(random, &["true", "false", "1", "0", "TRUE"])).to_owned(),
        Kind::Timestamp => {
            let millis = 1_600_000_000_000 + 500 * random.below(20);
            if one_in(random, 2) {
                millis.to_string()
            } else {
                moment(millis)
            }
        }
    }
}

fn signed(random: &mut Random, limit: u64) -> i64 {
    i64::try_from(random.below(2 * limit + 1)).unwrap() - i64::try_from(limit).unwrap()
}

/// A moment of 2020-09-13, the day of 1,600,000,000,000.
fn moment(millis: u64) -> String {
    let within = millis - 1_599_955_200_000;
    let (seconds, fraction) = (within / 1000, within % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let zone = "Z";
    if fraction == 0 {
        format!("2020-09-13T{hour:02}:{minute:02}:{second:02}{zone}")
    } else {
        format!("2020-09-13T{hour:02}:{minute:02}:{second:02}.{fraction:03}{zone}")
    }
}

/// Returns what a text means to the mirror.
pub(super) fn value(kind: Kind, text: &str) -> Value {
    match kind {
        Kind::String => Value::Text(text.to_owned()),
        Kind::Integer | Kind::LargeInteger => {
            Value::Integer(text.trim_start_matches('+').parse().unwrap())
        }
        Kind::Float => Value::Real(text.parse().unwrap()),
        Kind::Date => Value::Text(text.to_owned()),
        Kind::Bool => Value::Integer(i64::from(text == "1" || text.eq_ignore_ascii_case("true"))),
        Kind::Timestamp => Value::Integer(millis(text)),
    }
}

fn millis(text: &str) -> i64 {
    if let Ok(number) = text.parse() {
        return number;
    }
    let time = text.strip_prefix("2020-09-13T").unwrap();
    let time = time.strip_suffix('Z').unwrap();
    let mut parts = time
        .split([':', '.'])
        .map(|part| part.parse::<i64>().unwrap());
    let mut next = || parts.next().unwrap_or(0);
    let (hour, minute, second, fraction) = (next(), next(), next(), next());
    1_599_955_200_000 + ((hour * 60 + minute) * 60 + second) * 1000 + fraction
}
