//! A row.
//!
//! ```text
//!   row    id number | end number, 0 is none | count number | cell ...
//!   cell   column number | form u8 | value | text string, if the form has bit 7
//!
//!   form   1 string: string        2 integer: signed      3 float: IEEE 754 double, little endian
//!          4 date: signed, days    5 bool: u8, 0 or 1     6 timestamp: signed, milliseconds
//! ```
//!
//! The cells stand in the order in which the row got its columns. The text of a cell is what clients get
//! back where that is not the canonical text of the value.

use base::cast::u64_from;

use super::{Damaged, Source, put_number, put_signed, put_string};
use crate::datum::calendar::{FIRST_DAY, FIRST_MOMENT, LAST_DAY, LAST_MOMENT};
use crate::datum::{Cell, ColumnType, Datum};
use crate::effects::RowImage;
use crate::scalar::{self, Value};
use crate::schema::{ColumnId, RowId, Schema};

const STRING: u8 = 1;
const INTEGER: u8 = 2;
const FLOAT: u8 = 3;
const DATE: u8 = 4;
const BOOL: u8 = 5;
const TIMESTAMP: u8 = 6;
/// Set in a form: a text follows.
const WITH_TEXT: u8 = 0x80;

/// Bytes of the shortest cell.
const CELL_BYTES_MIN: usize = 3;

const WRONG_CELL: Damaged = Damaged("a cell of a row is none");

/// Appends what stands before the cells of a row.
pub(crate) fn begin(out: &mut Vec<u8>, id: RowId, end: Option<u64>, cells: usize) {
    put_number(out, id.0);
    put_number(out, end.unwrap_or(0));
    put_number(out, u64_from(cells));
}

/// Appends a cell as it is stored.
pub(crate) fn put_stored(
    out: &mut Vec<u8>,
    column: ColumnId,
    (kind, value): (ColumnType, Value<'_>),
    odd_text: Option<&[u8]>,
) {
    put_number(out, u64::from(column.0));
    let with_text = if odd_text.is_some() { WITH_TEXT } else { 0 };
    match (kind, value) {
        (_, Value::Text(text)) => {
            out.push(STRING | with_text);
            put_string(out, text);
        }
        (ColumnType::Float, Value::Scalar(number)) => {
            out.push(FLOAT | with_text);
            out.extend_from_slice(&scalar::to_float(number).to_le_bytes());
        }
        (ColumnType::Bool, Value::Scalar(number)) => {
            out.push(BOOL | with_text);
            out.push(u8::from(number != 0));
        }
        (kind, Value::Scalar(number)) => {
            let form = match kind {
                ColumnType::Date => DATE,
                ColumnType::Timestamp => TIMESTAMP,
                _ => INTEGER,
            };
            out.push(form | with_text);
            put_signed(out, number);
        }
    }
    if let Some(text) = odd_text {
        put_string(out, text);
    }
}

/// Appends a cell with its column.
pub(crate) fn put_cell(out: &mut Vec<u8>, column: ColumnId, cell: &Cell) {
    if let (Some(value), Some(kind)) = (scalar::value_of(&cell.datum), cell.datum.kind()) {
        put_stored(out, column, (kind, value), cell.text.as_deref());
    }
}

/// Appends a row.
pub(crate) fn put(out: &mut Vec<u8>, row: &RowImage) {
    let present = row.cells.iter().filter(|(_, cell)| !cell.datum.is_null());
    begin(out, row.id, row.end, present.clone().count());
    for (column, cell) in present {
        put_cell(out, *column, cell);
    }
}

/// Reads a cell with its column.
pub(crate) fn cell(source: &mut Source<'_>) -> Result<(ColumnId, Cell), Damaged> {
    let column = ColumnId(source.narrow()?);
    let form = source.byte()?;
    let datum = match form & !WITH_TEXT {
        STRING => Datum::String(source.string()?.into()),
        INTEGER => Datum::Integer(source.signed()?),
        FLOAT => {
            let value = f64::from_le_bytes(source.array()?);
            if !value.is_finite() {
                return Err(WRONG_CELL);
            }
            Datum::float(value)
        }
        DATE => {
            let day = i32::try_from(source.signed()?).map_err(|_large| WRONG_CELL)?;
            if !(FIRST_DAY..=LAST_DAY).contains(&day) {
                return Err(WRONG_CELL);
            }
            Datum::Date(day)
        }
        BOOL => match source.byte()? {
            0 => Datum::Bool(false),
            1 => Datum::Bool(true),
            _ => return Err(WRONG_CELL),
        },
        TIMESTAMP => {
            let moment = source.signed()?;
            if !(FIRST_MOMENT..=LAST_MOMENT).contains(&moment) {
                return Err(WRONG_CELL);
            }
            Datum::Timestamp(moment)
        }
        _ => return Err(WRONG_CELL),
    };
    if form & WITH_TEXT == 0 {
        return Ok((column, Cell::from(datum)));
    }
    // The text has to mean the value.
    let text = source.string()?;
    let kind = datum.kind().ok_or(WRONG_CELL)?;
    let cell = Cell::parse(kind, text).filter(|cell| cell.datum == datum);
    Ok((column, cell.ok_or(WRONG_CELL)?))
}

/// Reads a row.
pub(crate) fn read(source: &mut Source<'_>) -> Result<RowImage, Damaged> {
    let id = RowId(source.number()?);
    if id.0 == 0 || id.0 == u64::MAX {
        return Err(Damaged("a row has an id that none can have"));
    }
    let end = source.number()?;
    let count = source.count(CELL_BYTES_MIN)?;
    let mut cells: Vec<(ColumnId, Cell)> = Vec::with_capacity(count);
    for _ in 0..count {
        cells.push(cell(source)?);
    }
    Ok(RowImage {
        id,
        cells,
        end: (end != 0).then_some(end),
    })
}

/// Refuses a row that a table cannot have. Cost: its cells by the columns.
///
/// # Errors
///
/// [`Damaged`].
pub(crate) fn check(schema: &Schema, row: &RowImage) -> Result<(), Damaged> {
    for (at, (column, cell)) in row.cells.iter().enumerate() {
        let is_known = schema
            .column_of(*column)
            .is_some_and(|known| Some(known.kind) == cell.datum.kind());
        if !is_known {
            return Err(Damaged("a row has a cell that its table has no column for"));
        }
        if row.cells[..at].iter().any(|(other, _)| other == column) {
            return Err(Damaged("a row has a column twice"));
        }
    }
    let is_there = |column: ColumnId| row.cells.iter().any(|(other, _)| *other == column);
    let mut needed = schema.columns.iter().filter(|column| column.not_null);
    if needed.any(|column| !is_there(column.id)) {
        return Err(Damaged("a row has no value of a column that is NOT NULL"));
    }
    Ok(())
}
