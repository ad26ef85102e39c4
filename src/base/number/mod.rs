//! Numbers as clients write and read them, with the rules of Redis.
//!
//! Integers are strict: one spelling for each value, so that a string that reads as an integer can
//! be stored as one and comes back byte for byte. Doubles are read as C's `strtod` does, but without
//! spaces around them and without values that overflow or vanish; they are written with 17
//! significant digits. [`long_double`] has the arithmetic of `INCRBYFLOAT`.
//!
//! Invariants
//! - What [`write_f64`] writes, [`parse_f64`] reads back to the same value, NaN excepted.
//! - Nothing here depends on locale, platform or the processor's rounding mode.
//!
//! Source: observed on Redis 7.0.15; `number/vectors.txt` holds the observations.

pub mod long_double;
mod numeral;
mod rounding;

use std::io::Write;

use numeral::Numeral;
use rounding::DOUBLE;

/// Longest text of an `i64` or `u64`, in bytes: 19 digits and a sign, or 20 digits.
const INTEGER_BYTES_MAX: usize = 20;

/// Powers of ten below this print without an exponent; 17 significant digits reach just so far.
const FIXED_POINT_EXPONENT_MAX: i32 = 17;

/// Reads a signed integer in its only spelling: `0`, or an optional `-` and digits of which the
/// first is not `0`. Nothing else: no `+`, no spaces, no `-0`, no empty text.
///
/// Returns nothing too if the value is outside of `i64`. O(20) at most.
#[inline]
#[must_use]
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    match text {
        [b'-', digits @ ..] => match parse_u64(digits)? {
            0 => None,
            magnitude => 0_i64.checked_sub_unsigned(magnitude),
        },
        digits => i64::try_from(parse_u64(digits)?).ok(),
    }
}

/// Reads an unsigned integer in its only spelling: `0`, or digits of which the first is not `0`.
///
/// Returns nothing too if the value is outside of `u64`. O(20) at most.
#[inline]
#[must_use]
pub fn parse_u64(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > INTEGER_BYTES_MAX || (text[0] == b'0' && text.len() > 1) {
        return None;
    }
    let mut value = 0_u64;
    for &byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(value)
}

/// Reads a double as commands accept it: decimal (`1`, `-1.5`, `.5`, `5.`, `1e-5`), hexadecimal
/// (`0x1.8p3`), `inf` or `infinity` in any case; each with an optional sign.
///
/// Returns nothing for NaN, spaces, empty text, and for finite numbers that round to infinity or,
/// not being zero, to zero. The result is the nearest double, ties to even. O(`text.len()`).
#[must_use]
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    let (negative, numeral) = numeral::scan(text)?;
    let magnitude = match numeral {
        Numeral::Infinity => f64::INFINITY,
        Numeral::Decimal(digits) => {
            let value = digits.to_f64()?;
            if value.is_infinite() || (value == 0.0 && !digits.is_zero()) {
                return None;
            }
            value
        }
        Numeral::Hexadecimal(digits) => {
            let (significand, exponent, rest) = digits.to_binary();
            let (mantissa, exponent) = rounding::round(&DOUBLE, significand, exponent, rest)?;
            if mantissa == 0 && significand != 0 {
                return None;
            }
            rounding::double_from_parts(mantissa, exponent)
        }
    };
    Some(if negative { -magnitude } else { magnitude })
}

/// Appends `value` in decimal.
#[inline]
pub fn write_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends `value` in decimal.
#[inline]
pub fn write_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends `value` as C's `%.17g` writes it, at most 24 bytes: `3`, `3.1000000000000001`,
/// `1.0000000000000001e-18`, `-0`, `inf`, `-inf`, `nan`, `-nan`.
pub fn write_f64(out: &mut Vec<u8>, value: f64) {
    if value.is_sign_negative() {
        out.push(b'-');
    }
    let magnitude = value.abs();
    if magnitude.is_nan() {
        out.extend_from_slice(b"nan");
    } else if magnitude.is_infinite() {
        out.extend_from_slice(b"inf");
    } else if magnitude < 1e17 && magnitude.trunc() == magnitude {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a whole number in 0..10^17 converts exactly"
        )]
        write_u64(out, magnitude as u64);
    } else {
        write_seventeen_digits(out, magnitude);
    }
}

/// Appends a positive finite number, rounded to 17 significant digits, without zeros at the end.
fn write_seventeen_digits(out: &mut Vec<u8>, magnitude: f64) {
    let mut buffer = [0_u8; 32];
    let mut free = &mut buffer[..];
    write!(free, "{magnitude:.16e}").expect("18 bytes of digits and 5 of exponent fit");
    let used = 32 - free.len();
    let text = &buffer[..used];
    // The form is d.dddddddddddddddde[-]x.
    let exponent_text =
        std::str::from_utf8(&text[19..]).expect("the formatter of doubles writes ASCII");
    let exponent: i32 = exponent_text
        .parse()
        .expect("the formatter wrote this exponent");
    let mut digits = [0_u8; 17];
    digits[0] = text[0];
    digits[1..].copy_from_slice(&text[2..18]);
    let kept = digits
        .iter()
        .rposition(|&digit| digit != b'0')
        .map_or(1, |last| last + 1);
    if !(-4..FIXED_POINT_EXPONENT_MAX).contains(&exponent) {
        write_point_after(out, &digits[..kept], 1);
        write_exponent(out, exponent);
    } else if let Ok(exponent) = usize::try_from(exponent) {
        // Here the point lies inside or at the end of the 17 digits; zeros before it stay.
        write_point_after(out, &digits[..kept.max(exponent + 1)], exponent + 1);
    } else {
        out.extend_from_slice(b"0.");
        let zeros = exponent.unsigned_abs() - 1;
        out.extend((0..zeros).map(|_| b'0'));
        out.extend_from_slice(&digits[..kept]);
    }
}

/// Appends `digits` with a point after the first `whole_count`, unless nothing would follow it.
fn write_point_after(out: &mut Vec<u8>, digits: &[u8], whole_count: usize) {
    let (whole, fraction) = digits.split_at(whole_count);
    out.extend_from_slice(whole);
    if !fraction.is_empty() {
        out.push(b'.');
        out.extend_from_slice(fraction);
    }
}

/// Appends `e`, the sign and at least two digits.
fn write_exponent(out: &mut Vec<u8>, exponent: i32) {
    out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
    let size = exponent.unsigned_abs();
    if size < 10 {
        out.push(b'0');
    }
    write_u64(out, u64::from(size));
}

#[cfg(test)]
mod tests;
