//! `INSERT column=value ...` of one row, and `UPDATE WHERE column=value SET column=value ...` by a hash index: the
//! commonest changes, without a plan of them.
//!
//! Invariant: what they do is what a plan of the statement would do (`super::write`). What is not as simple as that is
//! left to one, and what is wrong with a statement is said by it.

use std::sync::atomic::Ordering;

use base::ids::DbIndex;
use base::number;

use super::short::index_of;
use crate::changes::Changes;
use crate::datum::{Cell, ColumnType};
use crate::parser;
use crate::scalar::{self, Value};
use crate::schema::{ColumnId, Layout, RowId, Schema};
use crate::store::{NewCell, Place};
use crate::table::{Changed, Table};

/// Rows that an UPDATE changes here at most.
const ROWS_MAX: usize = 16;

/// Stores the row of `INSERT column=value ...`, of which these are the words, in a table without unique indexes, and
/// returns its id: `drawn`, or the next one, of a table at home. Nothing, and nothing is done, if that takes a plan.
pub(crate) fn insert_row<'w>(
    (table, changes): (&mut Table, &mut Changes),
    db: DbIndex,
    drawn: Option<RowId>,
    words: impl Iterator<Item = &'w [u8]>,
) -> Option<RowId> {
    let cells = row_of(&table.schema, words)?;
    let id = match drawn {
        Some(id) => id,
        None if table.schema.layout == Layout::Home => next_id(&table.schema),
        None => return None,
    };
    let place = table.place(id)?;
    table.insert_cells(place, cells.into_iter());
    changes.record_row(db, table, place);
    Some(id)
}

/// Draws the id of the row of such an INSERT. Nothing if it takes a plan.
pub(crate) fn draw_id<'w>(schema: &Schema, words: impl Iterator<Item = &'w [u8]>) -> Option<RowId> {
    row_of(schema, words)?;
    Some(next_id(schema))
}

fn next_id(schema: &Schema) -> RowId {
    RowId(schema.last_row.fetch_add(1, Ordering::Relaxed) + 1)
}

/// Returns the row of such an INSERT, if nothing can be wrong with it.
fn row_of<'w>(schema: &Schema, words: impl Iterator<Item = &'w [u8]>) -> Option<Vec<NewCell<'w>>> {
    if schema.indexes.iter().any(|index| index.unique) {
        return None;
    }
    let cells = cells_of(schema, words)?;
    let is_given = |column: ColumnId| cells.iter().any(|cell| cell.column == column);
    // Without a unique index there is no primary key.
    let is_whole = schema
        .columns
        .iter()
        .all(|column| !column.not_null && column.default.is_none() || is_given(column.id));
    is_whole.then_some(cells)
}

/// Changes the rows of `UPDATE table WHERE condition SET column=value ...`, of which `words` are those behind SET, and
/// returns how many they are. Nothing, and nothing is done, if that takes a plan.
pub(crate) fn update_value<'w>(
    (table, changes): (&mut Table, &mut Changes),
    db: DbIndex,
    condition: &[u8],
    words: impl Iterator<Item = &'w [u8]>,
    now_ms: u64,
) -> Option<usize> {
    let (index, key) = index_of(table, condition)?;
    let cells = cells_of(&table.schema, words)?;
    let mut unique = table.schema.indexes.iter().filter(|index| index.unique);
    if unique.any(|index| cells.iter().any(|it| index.columns.contains(&it.column))) {
        return None;
    }
    let (mut places, mut count, mut looked) = ([Place(0); ROWS_MAX], 0, 0);
    index.walk(key.bytes(), &table.rows, 0, &mut |place| {
        looked += 1;
        let row = table.rows.row(place);
        if looked <= ROWS_MAX && row.is_some_and(|row| !row.chunk.is_dead(row.offset, now_ms)) {
            places[count] = place;
            count += 1;
        }
        looked <= ROWS_MAX
    });
    if looked > ROWS_MAX {
        return None;
    }
    let changed = cells.iter().map(|cell| Changed {
        column: cell.column,
        value: Some(cell.value),
        odd_text: None,
    });
    for &place in &places[..count] {
        table.change_cells(place, changed.clone());
        changes.record_row(db, table, place);
    }
    Some(count)
}

/// Reads words `column=value`, one or more. Nothing if one is not that, is not the canonical text of a value, or if a
/// column stands twice.
fn cells_of<'w>(
    schema: &Schema,
    words: impl Iterator<Item = &'w [u8]>,
) -> Option<Vec<NewCell<'w>>> {
    let mut cells: Vec<NewCell<'w>> = Vec::with_capacity(schema.columns.len());
    for word in words {
        let (name, text) = parser::assigned(word)?;
        let column = schema.column(name)?;
        if cells.iter().any(|cell| cell.column == column.id) {
            return None;
        }
        cells.push(NewCell {
            column: column.id,
            kind: column.kind,
            value: value_of(column.kind, text)?,
            odd_text: None,
        });
    }
    (!cells.is_empty()).then_some(cells)
}

fn value_of(kind: ColumnType, text: &[u8]) -> Option<Value<'_>> {
    match kind {
        ColumnType::String => Some(Value::Text(text)),
        ColumnType::Integer => number::parse_i64(text).map(Value::Scalar),
        ColumnType::Float | ColumnType::Date | ColumnType::Bool | ColumnType::Timestamp => {
            let cell = Cell::parse(kind, text)?;
            match scalar::value_of(&cell.datum)? {
                Value::Scalar(number) if cell.text.is_none() => Some(Value::Scalar(number)),
                Value::Scalar(_) | Value::Text(_) => None,
            }
        }
    }
}
