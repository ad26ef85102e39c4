//! The spelling of floating-point numbers: finds sign, digits and exponent, and no value yet.

use std::iter;

use num_bigint::BigUint;

/// Exponents are cut off here, far above the number of digits a text can have, so that sums with
/// digit counts neither overflow nor come near the finite range again.
const EXPONENT_MAX: i64 = 1 << 40;

/// Decimal exponents up to here are safe in the standard library's parser, which cuts off larger
/// ones without looking at how many zeros the digits begin or end with.
const STANDARD_EXPONENT_MAX: i64 = 10_000;

/// An unsigned number as it is spelled.
pub(super) enum Numeral<'a> {
    Infinity,
    Decimal(Decimal<'a>),
    Hexadecimal(Hexadecimal<'a>),
}

/// `whole.fraction * 10^exponent`. At least one of the two has digits, and only digits.
pub(super) struct Decimal<'a> {
    text: &'a [u8],
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

/// `whole.fraction * 2^exponent` with digits of base 16. At least one of the two is not empty.
pub(super) struct Hexadecimal<'a> {
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

/// Splits `text`, all of it, into whether it is negative and the number behind the sign. Returns
/// nothing if it is no number; NaN is none.
pub(super) fn scan(text: &[u8]) -> Option<(bool, Numeral<'_>)> {
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let numeral = match text {
        [b'0', b'x' | b'X', rest @ ..] => scan_hexadecimal(rest)?,
        [b'i' | b'I', ..] if is_infinity(text) => Numeral::Infinity,
        _ => scan_decimal(text)?,
    };
    Some((negative, numeral))
}

fn is_infinity(text: &[u8]) -> bool {
    text.eq_ignore_ascii_case(b"inf") || text.eq_ignore_ascii_case(b"infinity")
}

fn scan_decimal(text: &[u8]) -> Option<Numeral<'_>> {
    let (whole, fraction, rest) = split_digits(text, u8::is_ascii_digit)?;
    let exponent = scan_exponent(rest, b'e')?;
    Some(Numeral::Decimal(Decimal {
        text,
        whole,
        fraction,
        exponent,
    }))
}

fn scan_hexadecimal(text: &[u8]) -> Option<Numeral<'_>> {
    let (whole, fraction, rest) = split_digits(text, u8::is_ascii_hexdigit)?;
    let exponent = scan_exponent(rest, b'p')?;
    Some(Numeral::Hexadecimal(Hexadecimal {
        whole,
        fraction,
        exponent,
    }))
}

/// Splits off the digits before and after a point, which may be absent. Returns nothing if there is
/// no digit at all.
fn split_digits(text: &[u8], is_digit: fn(&u8) -> bool) -> Option<(&[u8], &[u8], &[u8])> {
    let (whole, rest) = split_run(text, is_digit);
    let (fraction, rest) = match rest {
        [b'.', after @ ..] => split_run(after, is_digit),
        _ => (&rest[..0], rest),
    };
    (!whole.is_empty() || !fraction.is_empty()).then_some((whole, fraction, rest))
}

fn split_run(text: &[u8], is_digit: fn(&u8) -> bool) -> (&[u8], &[u8]) {
    let end = text
        .iter()
        .position(|byte| !is_digit(byte))
        .unwrap_or(text.len());
    text.split_at(end)
}

/// Reads nothing (0), or `mark` in either case, an optional sign and decimal digits up to the end.
fn scan_exponent(text: &[u8], mark: u8) -> Option<i64> {
    let [first, rest @ ..] = text else {
        return Some(0);
    };
    if first.to_ascii_lowercase() != mark {
        return None;
    }
    let (negative, digits) = match rest {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let size = digits.iter().fold(0_i64, |size, &digit| {
        (size * 10 + i64::from(digit - b'0')).min(EXPONENT_MAX)
    });
    Some(if negative { -size } else { size })
}

impl Decimal<'_> {
    /// Returns whether all digits are 0.
    pub(super) fn is_zero(&self) -> bool {
        self.digits().all(|digit| digit == b'0')
    }

    /// Returns the number as `digits * 10^exponent`, if the digits fit into 64 bits.
    pub(super) fn to_u64(&self) -> Option<(u64, i64)> {
        let mut value = 0_u64;
        for digit in self.digits() {
            value = value
                .checked_mul(10)?
                .checked_add(u64::from(digit - b'0'))?;
        }
        Some((value, self.last_exponent()))
    }

    /// Returns the number as `digits * 10^exponent` without size limit, and how many digits there
    /// are; the first and the last of them are not 0. Returns nothing for zero.
    ///
    /// Cost: quadratic in the number of digits; the caller bounds the text.
    pub(super) fn to_big(&self) -> Option<(BigUint, i64, i64)> {
        let (digits, exponent) = self.significant();
        let value = BigUint::parse_bytes(&digits, 10)?;
        Some((value, exponent, count(&digits)))
    }

    /// Returns the nearest double, infinity and zero included; nothing if the number is far outside
    /// of the range. O(number of digits).
    pub(super) fn to_f64(&self) -> Option<f64> {
        if self.exponent.abs() <= STANDARD_EXPONENT_MAX {
            return std::str::from_utf8(self.text).ok()?.parse().ok();
        }
        let (digits, exponent) = self.significant();
        if digits.is_empty() {
            return Some(0.0);
        }
        let magnitude = exponent + count(&digits);
        if magnitude.abs() > STANDARD_EXPONENT_MAX {
            return None;
        }
        let text = format!("0.{}e{magnitude}", String::from_utf8(digits).ok()?);
        text.parse().ok()
    }

    /// Returns the digits without zeros at either end, and the power of ten of the last one.
    fn significant(&self) -> (Vec<u8>, i64) {
        let mut digits: Vec<u8> = self.digits().skip_while(|&digit| digit == b'0').collect();
        let mut exponent = self.last_exponent();
        while digits.last() == Some(&b'0') {
            digits.pop();
            exponent += 1;
        }
        (digits, exponent)
    }

    /// Returns the power of ten of the last digit.
    fn last_exponent(&self) -> i64 {
        self.exponent - count(self.fraction)
    }

    fn digits(&self) -> impl Iterator<Item = u8> {
        iter::chain(self.whole, self.fraction).copied()
    }
}

impl Hexadecimal<'_> {
    /// Returns the number as `(significand + rest) * 2^exponent`, where `rest` tells whether digits
    /// that are not 0 were left out; then the significand has more than 120 bits.
    pub(super) fn to_binary(&self) -> (u128, i32, bool) {
        let mut significand = 0_u128;
        let mut rest = false;
        let mut exponent = self.exponent - 4 * count(self.fraction);
        for &digit in iter::chain(self.whole, self.fraction) {
            let value = digit_value(digit);
            if significand >> 120 == 0 {
                significand = (significand << 4) | value;
            } else {
                rest |= value != 0;
                exponent += 4;
            }
        }
        // Anything beyond a million is far outside of every format, in either direction.
        let exponent = exponent.clamp(-1_000_000, 1_000_000);
        (
            significand,
            i32::try_from(exponent).expect("was clamped just now"),
            rest,
        )
    }
}

fn digit_value(digit: u8) -> u128 {
    let value = match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit - b'A' + 10,
    };
    u128::from(value)
}

fn count(digits: &[u8]) -> i64 {
    crate::cast::i64_from(digits.len())
}
