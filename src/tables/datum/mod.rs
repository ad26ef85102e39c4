//! Values of cells: their types, their order, and what is stored of a text.
//!
//! Invariants
//! - A float is never NaN, and never negative zero: equal values have equal bits.
//! - A date and a timestamp lie in the years 0 to 9999, so that each has a canonical text that reads back.
//! - The canonical text of a value is text that its type accepts.
//!
//! Not here: what a text must look like (`text`), the calendar (`calendar`), sums (`arithmetic`).

pub mod arithmetic;
pub mod calendar;
pub mod text;

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// Any bytes.
    String,
    /// 64 bits with a sign.
    Integer,
    /// An IEEE 754 double, never NaN.
    Float,
    /// A day of the calendar.
    Date,
    /// True or false.
    Bool,
    /// A moment, in milliseconds.
    Timestamp,
}

impl ColumnType {
    /// All types.
    pub const ALL: [Self; 6] = [
        Self::String,
        Self::Integer,
        Self::Float,
        Self::Date,
        Self::Bool,
        Self::Timestamp,
    ];

    /// Returns the type that a word names, in any case.
    #[must_use]
    pub fn of_word(word: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| word.eq_ignore_ascii_case(kind.name().as_bytes()))
    }

    /// Returns its name, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Float => "float",
            Self::Date => "date",
            Self::Bool => "bool",
            Self::Timestamp => "timestamp",
        }
    }

    /// Returns whether SUM, AVG and arithmetic are for it.
    #[must_use]
    pub const fn is_number(self) -> bool {
        matches!(self, Self::Integer | Self::Float)
    }
}

/// The value of a cell. A missing cell is [`Datum::Null`].
///
/// Values are equal, ordered and hashed by what they mean, not by their text. The order is total: missing
/// cells first, then by type in the order of the variants, then by value (strings by their bytes).
#[derive(Clone, Debug)]
pub enum Datum {
    /// No value.
    Null,
    /// False or true.
    Bool(bool),
    /// A number.
    Integer(i64),
    /// A number, never NaN nor negative zero. Infinite only as the operand of a comparison.
    Float(f64),
    /// Days since 1970-01-01.
    Date(i32),
    /// Milliseconds since 1970-01-01T00:00:00Z.
    Timestamp(i64),
    /// Bytes.
    String(Box<[u8]>),
}

impl Datum {
    /// Returns a float without the sign of a negative zero. `value` must not be NaN.
    #[must_use]
    #[inline]
    pub fn float(value: f64) -> Self {
        debug_assert!(!value.is_nan(), "a datum has an order");
        Self::Float(value + 0.0)
    }

    /// Returns whether it is missing.
    #[must_use]
    #[inline]
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Returns the type of the columns that may hold it; none for a missing cell.
    #[must_use]
    pub const fn kind(&self) -> Option<ColumnType> {
        match self {
            Self::Null => None,
            Self::Bool(_) => Some(ColumnType::Bool),
            Self::Integer(_) => Some(ColumnType::Integer),
            Self::Float(_) => Some(ColumnType::Float),
            Self::Date(_) => Some(ColumnType::Date),
            Self::Timestamp(_) => Some(ColumnType::Timestamp),
            Self::String(_) => Some(ColumnType::String),
        }
    }

    const fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Integer(_) => 2,
            Self::Float(_) => 3,
            Self::Date(_) => 4,
            Self::Timestamp(_) => 5,
            Self::String(_) => 6,
        }
    }
}

impl Ord for Datum {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Integer(a), Self::Integer(b)) | (Self::Timestamp(a), Self::Timestamp(b)) => {
                a.cmp(b)
            }
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(b).unwrap_or(Ordering::Equal),
            (Self::Date(a), Self::Date(b)) => a.cmp(b),
            (Self::String(a), Self::String(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Datum {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Datum {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Datum {}

impl Hash for Datum {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.rank().hash(state);
        match self {
            Self::Null => {}
            Self::Bool(value) => value.hash(state),
            Self::Integer(value) | Self::Timestamp(value) => value.hash(state),
            Self::Float(value) => (value + 0.0).to_bits().hash(state),
            Self::Date(value) => value.hash(state),
            Self::String(bytes) => bytes.hash(state),
        }
    }
}

/// A datum with the text that it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// What is compared and indexed.
    pub datum: Datum,
    /// What clients get back, where it is not the canonical text of `datum` (`+5`, `1.50`).
    pub text: Option<Box<[u8]>>,
}

impl Cell {
    /// No value.
    pub const NULL: Self = Self {
        datum: Datum::Null,
        text: None,
    };

    /// Appends what clients get back; nothing for a missing cell.
    pub fn write_text(&self, out: &mut Vec<u8>) {
        match &self.text {
            Some(text) => out.extend_from_slice(text),
            None => self.datum.write_text(out),
        }
    }
}

impl From<Datum> for Cell {
    fn from(datum: Datum) -> Self {
        Self { datum, text: None }
    }
}

#[cfg(test)]
mod tests;
