//! Texts of values: which are accepted, what they mean, and how values are written.
//!
//! | type | texts |
//! |---|---|
//! | string | any bytes, none too |
//! | integer | one `+` or `-` or none, digits; within 64 bits |
//! | float | one `+` or `-` or none, digits with at most one `.` before, between or behind them; finite |
//! | date | `YYYY-MM-DD`, a day that exists |
//! | bool | `true`, `false` in any case, `1`, `0` |
//! | timestamp | `YYYY-MM-DD[(T or blank)hh:mm[:ss[.fraction]][Z or ±hh:mm]]`, or an integer: milliseconds |
//!
//! The operand of a comparison with a float may have an exponent and be infinite as well.

use std::io::Write;

use base::number;

use super::calendar::{self, DAY_MS, FIRST_MOMENT, LAST_MOMENT};
use super::{Cell, ColumnType, Datum};

/// Floats of up to so many digits, point included, have no shorter text than their own.
const FLOAT_BYTES_EXACT: usize = 15;

/// Whole floats below it are written as integers.
const FLOAT_EXACT_MAX: f64 = 1e15;

impl Cell {
    /// Returns what is stored of `text` in a column of this type, or nothing if the type does not accept
    /// it. Cost: the length of the text; one allocation for a string, or for a text that is not canonical.
    #[must_use]
    pub fn parse(kind: ColumnType, text: &[u8]) -> Option<Self> {
        let (datum, canonical) = match kind {
            ColumnType::String => (Datum::String(text.into()), true),
            ColumnType::Integer => match number::parse_i64(text) {
                Some(value) => (Datum::Integer(value), true),
                None => (Datum::Integer(parse_integer(text)?), false),
            },
            ColumnType::Float => {
                let datum = Datum::float(parse_float(text)?);
                let canonical = is_canonical_float(text) || is_text_of(&datum, text);
                (datum, canonical)
            }
            ColumnType::Date => (Datum::Date(parse_date(text)?), true),
            ColumnType::Bool => (
                Datum::Bool(parse_bool(text)?),
                text == b"true" || text == b"false",
            ),
            ColumnType::Timestamp => {
                let datum = Datum::Timestamp(parse_timestamp(text)?);
                let canonical = is_text_of(&datum, text);
                (datum, canonical)
            }
        };
        Some(Self {
            datum,
            text: (!canonical).then(|| text.into()),
        })
    }
}

impl Datum {
    /// Returns the value that `text` has beside a column of this type in a comparison, or nothing if it
    /// cannot be compared with it. Cost: as [`Cell::parse`].
    #[must_use]
    pub fn operand(kind: ColumnType, text: &[u8]) -> Option<Self> {
        Some(match kind {
            ColumnType::String => Self::String(text.into()),
            ColumnType::Integer => Self::Integer(parse_integer(text)?),
            ColumnType::Float => Self::float(parse_float_operand(text)?),
            ColumnType::Date => Self::Date(parse_date(text)?),
            ColumnType::Bool => Self::Bool(parse_bool(text)?),
            ColumnType::Timestamp => Self::Timestamp(parse_timestamp(text)?),
        })
    }

    /// Appends the canonical text; nothing for a missing cell.
    ///
    /// Floats have the shortest digits that read back, without an exponent (`3`, `0.1`); timestamps are
    /// `2024-01-15T10:30:00Z`, with three digits behind the seconds unless they are zero.
    pub fn write_text(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => {}
            Self::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
            Self::Integer(value) => number::write_i64(out, *value),
            Self::Float(value) => write_float(out, *value),
            Self::Date(days) => write_date(out, *days),
            Self::Timestamp(millis) => write_timestamp(out, *millis),
            Self::String(bytes) => out.extend_from_slice(bytes),
        }
    }
}

/// Reads an integer: one `+` or `-` or none, digits. Returns nothing outside of 64 bits.
#[must_use]
pub fn parse_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = split_sign(text);
    if digits.is_empty() {
        return None;
    }
    let mut value = 0_i64;
    for &byte in digits {
        let digit = i64::from(digit(byte)?);
        value = value.checked_mul(10)?;
        value = if negative {
            value.checked_sub(digit)?
        } else {
            value.checked_add(digit)?
        };
    }
    Some(value)
}

/// Reads a float as it may be stored: one `+` or `-` or none, digits with at most one point. Returns
/// nothing for what would be infinite.
#[must_use]
pub fn parse_float(text: &[u8]) -> Option<f64> {
    let (_, digits) = split_sign(text);
    let points = digits.iter().filter(|&&byte| byte == b'.').count();
    let are_digits = digits
        .iter()
        .all(|byte| byte.is_ascii_digit() || *byte == b'.');
    if points > 1 || !are_digits || digits.len() == points {
        return None;
    }
    read_float(text).filter(|value| value.is_finite())
}

/// Reads a float that something is compared with: also with an exponent (`1e5`), and `inf` or `infinity`
/// in any case.
#[must_use]
pub fn parse_float_operand(text: &[u8]) -> Option<f64> {
    if let Some(value) = parse_float(text) {
        return Some(value);
    }
    let (_, unsigned) = split_sign(text);
    if unsigned.eq_ignore_ascii_case(b"inf") || unsigned.eq_ignore_ascii_case(b"infinity") {
        return read_float(text);
    }
    let at = text
        .iter()
        .position(|byte| byte.eq_ignore_ascii_case(&b'e'))?;
    parse_float(&text[..at])?;
    parse_integer(&text[at + 1..])?;
    read_float(text).filter(|value| value.is_finite())
}

/// Reads a day: `YYYY-MM-DD`, in days since 1970-01-01.
#[must_use]
pub fn parse_date(text: &[u8]) -> Option<i32> {
    if text.len() != 10 || text[4] != b'-' || text[7] != b'-' {
        return None;
    }
    calendar::day(
        digits(&text[..4])?,
        digits(&text[5..7])?,
        digits(&text[8..])?,
    )
}

/// Reads `true`, `false`, `1` or `0`.
#[must_use]
pub fn parse_bool(text: &[u8]) -> Option<bool> {
    if text == b"1" || text.eq_ignore_ascii_case(b"true") {
        Some(true)
    } else if text == b"0" || text.eq_ignore_ascii_case(b"false") {
        Some(false)
    } else {
        None
    }
}

/// Reads a moment of the years 0 to 9999, in milliseconds since 1970-01-01T00:00:00Z. What is finer than
/// a millisecond is cut off.
#[must_use]
pub fn parse_timestamp(text: &[u8]) -> Option<i64> {
    let millis = match parse_integer(text) {
        Some(millis) => millis,
        None => parse_moment(text)?,
    };
    (FIRST_MOMENT..=LAST_MOMENT)
        .contains(&millis)
        .then_some(millis)
}

/// Appends `YYYY-MM-DD`.
pub fn write_date(out: &mut Vec<u8>, days: i32) {
    let (year, month, day) = calendar::date(days);
    push_two_digits(out, year / 100);
    push_two_digits(out, year % 100);
    out.push(b'-');
    push_two_digits(out, month);
    out.push(b'-');
    push_two_digits(out, day);
}

/// Appends `YYYY-MM-DDThh:mm:ssZ`, with `.mmm` before the `Z` unless it is zero.
pub fn write_timestamp(out: &mut Vec<u8>, millis: i64) {
    let days = i32::try_from(millis.div_euclid(DAY_MS)).unwrap_or(calendar::LAST_DAY);
    let within = i32::try_from(millis.rem_euclid(DAY_MS)).unwrap_or_default();
    write_date(out, days);
    let (seconds, fraction) = (within / 1000, within % 1000);
    for (mark, part) in [
        (b'T', seconds / 3600),
        (b':', seconds / 60 % 60),
        (b':', seconds % 60),
    ] {
        out.push(mark);
        push_two_digits(out, part);
    }
    if fraction != 0 {
        out.push(b'.');
        push_digit(out, fraction / 100);
        push_two_digits(out, fraction % 100);
    }
    out.push(b'Z');
}

/// Appends the shortest digits that read back as `value`, without an exponent.
pub fn write_float(out: &mut Vec<u8>, value: f64) {
    if value.abs() < FLOAT_EXACT_MAX && value.trunc() == value {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a whole number below 10^15 converts exactly"
        )]
        number::write_i64(out, value as i64);
    } else {
        write!(out, "{value}").expect("memory takes all bytes");
    }
}

fn push_two_digits(out: &mut Vec<u8>, value: i32) {
    push_digit(out, value / 10);
    push_digit(out, value % 10);
}

/// Appends a number of one digit.
fn push_digit(out: &mut Vec<u8>, value: i32) {
    out.push(b'0' + u8::try_from(value % 10).unwrap_or_default());
}

/// Returns whether a float's text is surely its canonical one; otherwise it may be or not.
fn is_canonical_float(text: &[u8]) -> bool {
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    if unsigned.len() > FLOAT_BYTES_EXACT || text == b"-0" {
        return false;
    }
    let mut parts = unsigned.split(|&byte| byte == b'.');
    let whole = parts.next().unwrap_or_default();
    let is_whole = match whole {
        [b'0'] => true,
        [first, ..] => (b'1'..=b'9').contains(first),
        [] => false,
    };
    let is_fraction = parts
        .next()
        .is_none_or(|fraction| matches!(fraction.last(), Some(b'1'..=b'9')));
    is_whole && is_fraction
}

fn is_text_of(datum: &Datum, text: &[u8]) -> bool {
    let mut canonical = Vec::with_capacity(32);
    datum.write_text(&mut canonical);
    canonical == text
}

fn parse_moment(text: &[u8]) -> Option<i64> {
    let days = i64::from(parse_date(text.get(..10)?)?);
    let rest = &text[10..];
    let (within, rest) = match rest {
        [] => (0, rest),
        [b'T' | b't' | b' ', time @ ..] => parse_time(time)?,
        _ => return None,
    };
    let offset_minutes = match rest {
        [] | [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), hours @ ..] => {
            let minutes = parse_offset(hours)?;
            if *sign == b'-' { -minutes } else { minutes }
        }
        _ => return None,
    };
    Some(days * DAY_MS + within - offset_minutes * 60_000)
}

/// Reads `hh:mm[:ss[.fraction]]`; returns milliseconds since midnight and what follows.
fn parse_time(text: &[u8]) -> Option<(i64, &[u8])> {
    let (minutes, mut rest) = parse_minutes(text)?;
    let mut millis = minutes * 60_000;
    if let [b':', seconds @ ..] = rest {
        millis += two_digits(seconds, 59)? * 1000;
        rest = &seconds[2..];
        if let [b'.', fraction @ ..] = rest {
            let length = fraction
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            if !(1..=9).contains(&length) {
                return None;
            }
            let mut scale = 100;
            for &byte in &fraction[..length] {
                millis += i64::from(digit(byte)?) * scale;
                scale /= 10;
            }
            rest = &fraction[length..];
        }
    }
    Some((millis, rest))
}

/// Reads `hh:mm` or `hhmm`, to the end.
fn parse_offset(text: &[u8]) -> Option<i64> {
    if let [_, _, _, _] = text {
        return Some(two_digits(text, 23)? * 60 + two_digits(&text[2..], 59)?);
    }
    parse_minutes(text)
        .filter(|(_, rest)| rest.is_empty())
        .map(|(minutes, _)| minutes)
}

/// Reads `hh:mm`; returns minutes and what follows.
fn parse_minutes(text: &[u8]) -> Option<(i64, &[u8])> {
    let hours = two_digits(text, 23)?;
    let rest = text[2..].strip_prefix(b":")?;
    let minutes = two_digits(rest, 59)?;
    Some((hours * 60 + minutes, &rest[2..]))
}

/// Reads a number of two digits at the beginning of `text`.
fn two_digits(text: &[u8], max: i64) -> Option<i64> {
    let value = i64::from(digits(text.get(..2)?)?);
    (value <= max).then_some(value)
}

/// Reads a few digits, and nothing else.
fn digits(text: &[u8]) -> Option<i32> {
    let mut value = 0;
    for &byte in text {
        value = value * 10 + i32::from(digit(byte)?);
    }
    Some(value)
}

fn digit(byte: u8) -> Option<u8> {
    byte.is_ascii_digit().then(|| byte - b'0')
}

fn split_sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

fn read_float(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}
