//! Values as the store and the indexes see them.
//!
//! All types of fixed size are one 64-bit number whose order is that of the values, so that a range is
//! two comparisons whatever the type; strings are bytes.
//!
//! Invariant: two values of a column are equal exactly if their scalars, or bytes, are; `-0.0` is stored
//! as `0.0`.

use crate::datum::{ColumnType, Datum};

/// A present value of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// Of a type of fixed size.
    Scalar(i64),
    /// Of a string.
    Text(&'a [u8]),
}

/// Returns the value of a datum; `None` for a missing one.
pub(crate) fn value_of(datum: &Datum) -> Option<Value<'_>> {
    Some(match datum {
        Datum::Null => return None,
        Datum::Bool(value) => Value::Scalar(i64::from(*value)),
        Datum::Integer(value) | Datum::Timestamp(value) => Value::Scalar(*value),
        Datum::Float(value) => Value::Scalar(from_float(*value)),
        Datum::Date(days) => Value::Scalar(i64::from(*days)),
        Datum::String(text) => Value::Text(text),
    })
}

/// Returns the datum of a value of a column of this type.
pub(crate) fn datum_of(kind: ColumnType, value: Value<'_>) -> Datum {
    match (kind, value) {
        (_, Value::Text(text)) => Datum::String(text.into()),
        (ColumnType::String, Value::Scalar(_)) => Datum::Null,
        (ColumnType::Integer, Value::Scalar(number)) => Datum::Integer(number),
        (ColumnType::Float, Value::Scalar(number)) => Datum::Float(to_float(number)),
        (ColumnType::Date, Value::Scalar(number)) => Datum::Date(clamp_days(number)),
        (ColumnType::Bool, Value::Scalar(number)) => Datum::Bool(number != 0),
        (ColumnType::Timestamp, Value::Scalar(number)) => Datum::Timestamp(number),
    }
}

/// Returns the scalar of a double: the same order, and one form of zero.
pub(crate) fn from_float(value: f64) -> i64 {
    // Adding zero makes -0.0 into 0.0 and changes nothing else.
    flip((value + 0.0).to_bits().cast_signed())
}

/// Returns the double of a scalar.
pub(crate) fn to_float(scalar: i64) -> f64 {
    f64::from_bits(flip(scalar).cast_unsigned())
}

/// Turns the magnitude of negative numbers round, so that bits compare as the doubles do; and back.
fn flip(bits: i64) -> i64 {
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

/// Days of a stored date, which came from 32 bits.
pub(crate) fn clamp_days(scalar: i64) -> i32 {
    i32::try_from(scalar).unwrap_or(if scalar < 0 { i32::MIN } else { i32::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_of_doubles_keep_their_order_and_come_back() {
        let values = [
            f64::NEG_INFINITY,
            -1e300,
            -1.5,
            -1.0,
            -1e-300,
            0.0,
            1e-300,
            1.0,
            1.5,
            1e300,
            f64::INFINITY,
        ];
        for pair in values.windows(2) {
            assert!(from_float(pair[0]) < from_float(pair[1]), "{pair:?}");
        }
        for value in values {
            assert_eq!(to_float(from_float(value)).to_bits(), value.to_bits());
        }
        assert_eq!(from_float(-0.0), from_float(0.0));
    }
}
