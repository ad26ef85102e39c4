//! The arithmetic of `INCRBYFLOAT` and `HINCRBYFLOAT`: C's `long double` as it is on x86-64.
//!
//! Clients see the digits, so the format has to be the same everywhere: 64 bits of mantissa, 15 of
//! exponent, each operation rounded to nearest, ties to even. All of it is done in integers, exact
//! up to the one rounding; big integers appear only for texts of more than 19 digits and for values
//! above `2^128`.
//!
//! Not here: which errors commands make of infinity (they ask [`LongDouble::is_finite`]).

use std::ops::Add;

use num_bigint::BigUint;

use super::numeral::{self, Decimal, Numeral};
use super::rounding::{self, EXTENDED};

/// Texts of this length and above are not read, in bytes. The limit of Redis' buffer, less its NUL.
pub const TEXT_BYTES_MAX: usize = 5 * 1024 - 1;

/// Digits written after the point, before zeros at the end are dropped.
const FRACTION_DIGITS: usize = 17;
const FRACTION_SCALE: u128 = 10_u128.pow(17);

/// No decimal number of this many digits before the point is finite, and none with this many zeros
/// behind the point is above zero.
const DECIMAL_EXPONENT_MAX: i64 = 5_000;

/// A number of the 80-bit extended format.
#[derive(Clone, Copy, Debug)]
pub struct LongDouble {
    negative: bool,
    magnitude: Magnitude,
}

/// The value without its sign. Finite ones are `mantissa * 2^exponent` as `EXTENDED` has it.
#[derive(Clone, Copy, Debug)]
enum Magnitude {
    Finite { mantissa: u64, exponent: i32 },
    Infinite,
    NotANumber,
}

impl LongDouble {
    /// Reads a number by the rules of [`super::parse_f64`], in this format's wider range, from at
    /// most [`TEXT_BYTES_MAX`] bytes. Infinity is a number here; NaN is not.
    ///
    /// Cost: O(`text.len()`) up to 19 digits, else quadratic in the number of digits.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
        let (negative, numeral) = numeral::scan(text)?;
        let (mantissa, exponent) = match numeral {
            Numeral::Infinity => {
                return Some(Self {
                    negative,
                    magnitude: Magnitude::Infinite,
                });
            }
            Numeral::Decimal(digits) => round_decimal(&digits)?,
            Numeral::Hexadecimal(digits) => {
                let (significand, exponent, rest) = digits.to_binary();
                let rounded = rounding::round(&EXTENDED, significand, exponent, rest)?;
                if rounded.0 == 0 && significand != 0 {
                    return None;
                }
                rounded
            }
        };
        Some(Self {
            negative,
            magnitude: Magnitude::Finite { mantissa, exponent },
        })
    }

    /// Converts exactly.
    #[must_use]
    pub fn from_i64(value: i64) -> Self {
        // Zero takes the smallest exponent; everything else has its top bit set.
        let size = value.unsigned_abs();
        let (mantissa, exponent) = match size.leading_zeros() {
            64 => (0, EXTENDED.exponent_min),
            lift => (size << lift, -rounding::signed(lift)),
        };
        Self {
            negative: value < 0,
            magnitude: Magnitude::Finite { mantissa, exponent },
        }
    }

    /// Returns whether this is neither infinite nor NaN.
    #[must_use]
    pub fn is_finite(self) -> bool {
        matches!(self.magnitude, Magnitude::Finite { .. })
    }

    /// Appends the value with at most 17 digits after the point, rounded, without zeros at the end
    /// and never with an exponent; `0` for everything that rounds to zero. `inf`, `-inf`, `nan`.
    ///
    /// At most 4934 bytes. Cost: constant below `2^128`, else quadratic in the number of digits.
    pub fn write(self, out: &mut Vec<u8>) {
        let (mantissa, exponent) = match self.magnitude {
            Magnitude::Finite { mantissa, exponent } => (mantissa, exponent),
            Magnitude::Infinite => {
                out.extend_from_slice(if self.negative { b"-inf" } else { b"inf" });
                return;
            }
            Magnitude::NotANumber => {
                out.extend_from_slice(if self.negative { b"-nan" } else { b"nan" });
                return;
            }
        };
        if exponent < 0 {
            // Below 2^64 * 10^17 < 2^121.
            let scaled = u128::from(mantissa) * FRACTION_SCALE;
            let rounded = rounding::shift_right(scaled, exponent.unsigned_abs(), false);
            self.write_scaled(out, rounded);
        } else {
            if self.negative && mantissa != 0 {
                out.push(b'-');
            }
            if exponent <= 64 {
                let value = u128::from(mantissa) << exponent.unsigned_abs();
                out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
            } else {
                let value = BigUint::from(mantissa) << exponent.unsigned_abs();
                out.extend_from_slice(value.to_string().as_bytes());
            }
        }
    }

    /// Appends `scaled / 10^17`.
    fn write_scaled(self, out: &mut Vec<u8>, scaled: u128) {
        if self.negative && scaled != 0 {
            out.push(b'-');
        }
        let mut buffer = itoa::Buffer::new();
        out.extend_from_slice(buffer.format(scaled / FRACTION_SCALE).as_bytes());
        let fraction = scaled % FRACTION_SCALE;
        if fraction == 0 {
            return;
        }
        let digits = buffer.format(fraction).as_bytes();
        out.push(b'.');
        out.extend((digits.len()..FRACTION_DIGITS).map(|_| b'0'));
        let last = digits.iter().rposition(|&digit| digit != b'0').unwrap_or(0);
        out.extend_from_slice(&digits[..=last]);
    }

    /// Adds a finite number to this one, whose parts are `mantissa` and `exponent`; the other's
    /// exponent is lower by `distance`.
    fn add_smaller(
        self,
        mantissa: u64,
        exponent: i32,
        other_negative: bool,
        other_mantissa: u64,
        distance: u32,
    ) -> Self {
        // Both move up by 62 bits, so that the lower one keeps all its bits up to that distance. Of
        // what falls off beyond it, one set bit in the lowest place is enough: it lies far below the
        // last bit that the result keeps, as a number with a higher exponent has its top bit set.
        const ROOM: u32 = 62;
        let upper = u128::from(mantissa) << ROOM;
        let moved = u128::from(other_mantissa) << ROOM;
        let mut lower = moved.checked_shr(distance).unwrap_or(0);
        if lower.checked_shl(distance) != Some(moved) && other_mantissa != 0 {
            lower |= 1;
        }
        let (negative, sum) = if self.negative == other_negative {
            (self.negative, upper + lower)
        } else if upper >= lower {
            (self.negative, upper - lower)
        } else {
            (other_negative, lower - upper)
        };
        let rounded = rounding::round(&EXTENDED, sum, exponent - rounding::signed(ROOM), false);
        let magnitude = match rounded {
            Some((mantissa, exponent)) => Magnitude::Finite { mantissa, exponent },
            None => Magnitude::Infinite,
        };
        Self {
            negative,
            magnitude,
        }
    }
}

impl Add for LongDouble {
    type Output = Self;

    /// Returns the sum, rounded once. Infinity if it overflows; NaN for infinity less infinity.
    fn add(self, other: Self) -> Self {
        match (self.magnitude, other.magnitude) {
            (
                Magnitude::Finite {
                    mantissa: first,
                    exponent: first_exponent,
                },
                Magnitude::Finite {
                    mantissa: second,
                    exponent: second_exponent,
                },
            ) => {
                // Of equal exponents either may lead; the subtraction below sees to the sign.
                if first_exponent >= second_exponent {
                    let distance = (first_exponent - second_exponent).unsigned_abs();
                    self.add_smaller(first, first_exponent, other.negative, second, distance)
                } else {
                    let distance = (second_exponent - first_exponent).unsigned_abs();
                    other.add_smaller(second, second_exponent, self.negative, first, distance)
                }
            }
            (Magnitude::NotANumber, _) | (_, Magnitude::NotANumber) => Self {
                negative: false,
                magnitude: Magnitude::NotANumber,
            },
            (Magnitude::Infinite, Magnitude::Infinite) if self.negative != other.negative => Self {
                negative: true,
                magnitude: Magnitude::NotANumber,
            },
            (Magnitude::Infinite, _) => self,
            (Magnitude::Finite { .. }, Magnitude::Infinite) => other,
        }
    }
}

/// Returns mantissa and exponent of the nearest number, nothing if that is infinite, or zero though
/// the digits are not.
fn round_decimal(digits: &Decimal<'_>) -> Option<(u64, i32)> {
    let short = digits
        .to_u64()
        .and_then(|(value, exponent)| scale_short(value, exponent));
    let (significand, exponent, rest) = match short {
        Some(parts) => parts,
        None if digits.is_zero() => (0, 0, false),
        None => scale_big(digits)?,
    };
    let rounded = rounding::round(&EXTENDED, significand, exponent, rest)?;
    (rounded.0 != 0 || significand == 0).then_some(rounded)
}

/// Returns `value * 10^exponent` in the form that [`rounding::round`] takes, if 128 bits do for it.
fn scale_short(value: u64, exponent: i64) -> Option<(u128, i32, bool)> {
    if value == 0 {
        return Some((0, 0, false));
    }
    let power = 10_u128.pow(
        u32::try_from(exponent.unsigned_abs())
            .ok()
            .filter(|&size| size < 19)?,
    );
    if exponent >= 0 {
        // Below 2^64 * 10^18 < 2^124.
        return Some((u128::from(value) * power, 0, false));
    }
    // The dividend has its top bit set and the divisor is below 2^60, so that the quotient has more
    // bits than are kept.
    let lift = u128::from(value).leading_zeros();
    let dividend = u128::from(value) << lift;
    Some((
        dividend / power,
        -rounding::signed(lift),
        dividend % power != 0,
    ))
}

/// As [`scale_short`] for any number that is not zero. Returns nothing if it is far out of range.
fn scale_big(digits: &Decimal<'_>) -> Option<(u128, i32, bool)> {
    const QUOTIENT_BITS: i64 = 70;
    let (value, exponent, count) = digits.to_big()?;
    if (exponent + count).abs() > DECIMAL_EXPONENT_MAX {
        return None;
    }
    let power = BigUint::from(10_u32).pow(u32::try_from(exponent.unsigned_abs()).ok()?);
    let (mut dividend, mut divisor) = if exponent >= 0 {
        (value * power, BigUint::from(1_u32))
    } else {
        (value, power)
    };
    let bits = |number: &BigUint| i64::try_from(number.bits()).ok();
    let lift = QUOTIENT_BITS + bits(&divisor)? - bits(&dividend)?;
    if lift >= 0 {
        dividend <<= lift.unsigned_abs();
    } else {
        divisor <<= lift.unsigned_abs();
    }
    let quotient = &dividend / &divisor;
    let rest = dividend != &quotient * &divisor;
    // 70 or 71 bits.
    Some((
        u128::try_from(quotient).ok()?,
        i32::try_from(-lift).ok()?,
        rest,
    ))
}
