//! New values that are computed from the old one: `SET c=c+1`.
//!
//! ```text
//! text:   column operator number        c+1   price*1.5   due-7
//! ```
//!
//! Not here: which column is meant (`plan`), the arithmetic of aggregates (`executor`).

use super::calendar::{FIRST_DAY, FIRST_MOMENT, LAST_DAY, LAST_MOMENT};
use super::text::{parse_float, parse_integer};
use super::{ColumnType, Datum};
use crate::error::TableError;

/// What is done with the old value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
}

impl Operator {
    const fn of_byte(byte: u8) -> Option<Self> {
        match byte {
            b'+' => Some(Self::Add),
            b'-' => Some(Self::Subtract),
            b'*' => Some(Self::Multiply),
            _ => None,
        }
    }
}

/// The words of a computed value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arithmetic<'a> {
    /// The column whose value is taken; not empty.
    pub column: &'a [u8],
    /// What is done with it.
    pub operator: Operator,
    /// The number, with a sign perhaps; not empty.
    pub number: &'a [u8],
}

impl<'a> Arithmetic<'a> {
    /// Reads `column operator number`, without blanks: the last operator counts, or the one before it if
    /// that one is the sign of the number (`c*-2`). Returns nothing for other texts.
    #[must_use]
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let last = text
            .iter()
            .rposition(|&byte| Operator::of_byte(byte).is_some())?;
        if last == 0 || last + 1 == text.len() {
            return None;
        }
        let is_sign = last > 1 && text[last] != b'*' && Operator::of_byte(text[last - 1]).is_some();
        let (at, number) = if is_sign {
            (last - 1, &text[last..])
        } else {
            (last, &text[last + 1..])
        };
        Some(Self {
            column: &text[..at],
            operator: Operator::of_byte(text[at])?,
            number,
        })
    }

    /// Returns the number as it is used with a column of this type: of the same type, days for a date,
    /// milliseconds for a timestamp. Nothing if the type has no arithmetic, or not this one, or if the
    /// number is none.
    #[must_use]
    pub fn operand(&self, kind: ColumnType) -> Option<Datum> {
        match (kind, self.operator) {
            (ColumnType::Integer, _)
            | (ColumnType::Date | ColumnType::Timestamp, Operator::Add | Operator::Subtract) => {
                parse_integer(self.number).map(Datum::Integer)
            }
            (ColumnType::Float, _) => parse_float(self.number).map(Datum::float),
            (ColumnType::String | ColumnType::Bool, _)
            | (ColumnType::Date | ColumnType::Timestamp, Operator::Multiply) => None,
        }
    }
}

/// Computes `left operator right`, where `right` is what [`Arithmetic::operand`] gave for the type of
/// `left`. A missing value stays missing.
///
/// # Errors
/// [`TableError::OutOfRange`] if the result leaves 64 bits, is not finite, or is no moment of the years 0
/// to 9999; [`TableError::ColumnOrType`] if the types do not fit.
pub fn compute(left: &Datum, operator: Operator, right: &Datum) -> Result<Datum, TableError> {
    match (left, right) {
        (Datum::Null, _) => Ok(Datum::Null),
        (&Datum::Integer(a), &Datum::Integer(b)) => integer(a, operator, b).map(Datum::Integer),
        (&Datum::Float(a), &Datum::Float(b)) => float(a, operator, b),
        (&Datum::Date(days), &Datum::Integer(b)) => {
            let sum = integer(i64::from(days), operator, b)?;
            i32::try_from(sum)
                .ok()
                .filter(|day| (FIRST_DAY..=LAST_DAY).contains(day))
                .map(Datum::Date)
                .ok_or(TableError::OutOfRange)
        }
        (&Datum::Timestamp(millis), &Datum::Integer(b)) => {
            let sum = integer(millis, operator, b)?;
            if (FIRST_MOMENT..=LAST_MOMENT).contains(&sum) {
                Ok(Datum::Timestamp(sum))
            } else {
                Err(TableError::OutOfRange)
            }
        }
        _ => Err(TableError::ColumnOrType),
    }
}

fn integer(a: i64, operator: Operator, b: i64) -> Result<i64, TableError> {
    match operator {
        Operator::Add => a.checked_add(b),
        Operator::Subtract => a.checked_sub(b),
        Operator::Multiply => a.checked_mul(b),
    }
    .ok_or(TableError::OutOfRange)
}

fn float(a: f64, operator: Operator, b: f64) -> Result<Datum, TableError> {
    let result = match operator {
        Operator::Add => a + b,
        Operator::Subtract => a - b,
        Operator::Multiply => a * b,
    };
    if result.is_finite() {
        Ok(Datum::float(result))
    } else {
        Err(TableError::OutOfRange)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<(String, Operator, String)> {
        Arithmetic::parse(text.as_bytes()).map(|found| {
            (
                String::from_utf8_lossy(found.column).into(),
                found.operator,
                String::from_utf8_lossy(found.number).into(),
            )
        })
    }

    fn expected(
        column: &str,
        operator: Operator,
        number: &str,
    ) -> Option<(String, Operator, String)> {
        Some((column.into(), operator, number.into()))
    }

    #[test]
    fn a_column_an_operator_and_a_number_are_arithmetic() {
        assert_eq!(parsed("c+1"), expected("c", Operator::Add, "1"));
        assert_eq!(parsed("c-1.5"), expected("c", Operator::Subtract, "1.5"));
        assert_eq!(parsed("c*-2"), expected("c", Operator::Multiply, "-2"));
        assert_eq!(parsed("c+-2"), expected("c", Operator::Add, "-2"));
        assert_eq!(parsed("a-b-3"), expected("a-b", Operator::Subtract, "3"));
        for text in ["", "c", "c+", "+1", "-1", "-", "c*", "+", "--"] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }

    #[test]
    fn results_outside_of_64_bits_are_errors() {
        for (a, operator, b) in [
            (i64::MAX, Operator::Add, 1),
            (i64::MIN, Operator::Subtract, 1),
            (i64::MAX, Operator::Multiply, 2),
            (i64::MIN, Operator::Multiply, -1),
        ] {
            assert_eq!(
                compute(&Datum::Integer(a), operator, &Datum::Integer(b)),
                Err(TableError::OutOfRange)
            );
        }
        assert_eq!(
            compute(
                &Datum::Float(1e308),
                Operator::Multiply,
                &Datum::Float(10.0)
            ),
            Err(TableError::OutOfRange)
        );
        assert_eq!(
            compute(&Datum::Date(LAST_DAY), Operator::Add, &Datum::Integer(1)),
            Err(TableError::OutOfRange)
        );
    }

    #[test]
    fn missing_values_stay_missing() {
        assert_eq!(
            compute(&Datum::Null, Operator::Add, &Datum::Integer(1)),
            Ok(Datum::Null)
        );
    }

    #[test]
    fn dates_count_in_days_and_timestamps_in_milliseconds() {
        let week = Arithmetic::parse(b"due+7").expect("arithmetic");
        let days = week.operand(ColumnType::Date).expect("days");
        assert_eq!(
            compute(&Datum::Date(10), week.operator, &days),
            Ok(Datum::Date(17))
        );
        assert_eq!(
            compute(&Datum::Timestamp(10), week.operator, &days),
            Ok(Datum::Timestamp(17))
        );
        let twice = Arithmetic::parse(b"due*2").expect("arithmetic");
        assert_eq!(twice.operand(ColumnType::Date), None);
        assert_eq!(week.operand(ColumnType::String), None);
    }
}
