//! Rounding of exact binary values to a floating-point format, to nearest, ties to even.

use std::cmp::Ordering;

/// A binary floating-point format. A value is `mantissa * 2^exponent` with a mantissa below
/// `2^bits`; except at the smallest exponent the mantissa's top bit is set.
pub(super) struct Format {
    pub(super) bits: u32,
    pub(super) exponent_min: i32,
    pub(super) exponent_max: i32,
}

/// IEEE 754 binary64.
pub(super) const DOUBLE: Format = Format {
    bits: 53,
    exponent_min: -1074,
    exponent_max: 971,
};

/// The 80-bit extended format of x87: 64 bits of mantissa, 15 of exponent.
pub(super) const EXTENDED: Format = Format {
    bits: 64,
    exponent_min: -16_445,
    exponent_max: 16_320,
};

/// Rounds `(significand + rest) * 2^exponent` to `format`, where `rest` tells whether something
/// between 0 and 1, both excluded, is to be added.
///
/// `rest` needs a significand with at least two bits more than the format has, unless the result is
/// below the normal range. Returns mantissa and exponent, or nothing on overflow; the mantissa is 0
/// if the value is, or rounds to, zero.
pub(super) fn round(
    format: &Format,
    significand: u128,
    exponent: i32,
    rest: bool,
) -> Option<(u64, i32)> {
    if significand == 0 {
        return Some((0, format.exponent_min));
    }
    let length = signed(128 - significand.leading_zeros());
    let excess = (length - signed(format.bits)).max(format.exponent_min - exponent);
    let mut exponent = exponent + excess;
    let mut mantissa = if excess > 0 {
        shift_right(significand, excess.unsigned_abs(), rest)
    } else {
        debug_assert!(!rest, "a rest below the last bit kept would be lost");
        significand << excess.unsigned_abs()
    };
    if mantissa >> format.bits != 0 {
        // Rounding up has carried into a new bit; all others are 0 now.
        mantissa >>= 1;
        exponent += 1;
    }
    let mantissa = u64::try_from(mantissa).expect("the mantissa of a format has at most 64 bits");
    (exponent <= format.exponent_max).then_some((mantissa, exponent))
}

/// Returns `(value + rest) / 2^count` rounded to nearest, ties to even; `rest` as for [`round`].
///
/// `count` is at least 1 and may be above 128.
pub(super) fn shift_right(value: u128, count: u32, rest: bool) -> u128 {
    if count > 128 {
        return 0;
    }
    let kept = value.checked_shr(count).unwrap_or(0);
    let lost = value - kept.checked_shl(count).unwrap_or(0);
    let up = match lost.cmp(&(1 << (count - 1))) {
        Ordering::Less => false,
        Ordering::Equal => rest || kept & 1 == 1,
        Ordering::Greater => true,
    };
    kept + u128::from(up)
}

/// Returns `mantissa * 2^exponent`, which must be a rounded value of [`DOUBLE`].
pub(super) fn double_from_parts(mantissa: u64, exponent: i32) -> f64 {
    let top_bit = 1 << (DOUBLE.bits - 1);
    if mantissa < top_bit {
        return f64::from_bits(mantissa);
    }
    let biased = u64::from((exponent - DOUBLE.exponent_min).unsigned_abs()) + 1;
    f64::from_bits((biased << (DOUBLE.bits - 1)) | (mantissa - top_bit))
}

/// Converts a count of bits.
pub(super) fn signed(bits: u32) -> i32 {
    i32::try_from(bits).expect("a count of bits is small")
}
