//! Values of cells: types, and what is stored of a text.

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

/// The value of a cell. A missing cell is [`Datum::Null`].
#[derive(Clone, Debug, PartialEq)]
pub enum Datum {
    /// No value.
    Null,
    /// False or true.
    Bool(bool),
    /// A number.
    Integer(i64),
    /// A number, never NaN.
    Float(f64),
    /// Days since 1970-01-01.
    Date(i32),
    /// Milliseconds since 1970-01-01T00:00:00Z.
    Timestamp(i64),
    /// Bytes.
    String(Box<[u8]>),
}

/// A datum with the text that it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// What is compared and indexed.
    pub datum: Datum,
    /// What clients get back, where it is not the canonical text of `datum` (`+5`, `1.50`).
    pub text: Option<Box<[u8]>>,
}
