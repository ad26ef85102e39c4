//! `SELECT ... WHERE column=value` by the only index of the column, a hash index: the commonest statement, without a
//! plan of it.
//!
//! Invariant: what it writes is what a plan of the statement would give (`super::read`). What is not as simple as that
//! is left to one.

use super::output::RowWriter;
use crate::datum::{ColumnType, Datum};
use crate::encode::Encode;
use crate::form::Form;
use crate::index::RowIndex;
use crate::key::Key;
use crate::parser;
use crate::plan::Output;
use crate::scalar::{self, Value};
use crate::schema::{IndexKind, IndexState, Layout, Schema};
use crate::table::Table;

/// What it may do in one piece.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The time of the statement.
    pub now_ms: u64,
    /// Rows that it may look at.
    pub rows_max: usize,
}

/// Appends the rows for which the word `condition` is true, and returns how many there are. Nothing, and `out` as it was,
/// if that takes a plan, or is wrong.
pub(crate) fn select_value(
    table: &Table,
    condition: &[u8],
    bounds: Bounds,
    encode: &impl Encode,
    out: &mut Vec<u8>,
) -> Option<usize> {
    let (index, key) = index_of(table, condition)?;
    let begun = out.len();
    let (mut count, mut looked) = (0, 0);
    let mut writer = RowWriter {
        table,
        encode,
        out: &mut *out,
        scratch: &mut Vec::new(),
        form: &mut Form::default(),
    };
    index.walk(key.bytes(), &table.rows, 0, &mut |place| {
        looked += 1;
        if looked > bounds.rows_max {
            return false;
        }
        if let Some(row) = table.rows.row(place)
            && !row.chunk.is_dead(row.offset, bounds.now_ms)
        {
            count += 1;
            writer.row(&Output::All, place, row);
        }
        true
    });
    if looked > bounds.rows_max {
        out.truncate(begun);
        return None;
    }
    Some(count)
}

/// Returns the index and the value by which a table at home finds the rows for which a word is true.
pub(super) fn index_of<'t>(table: &'t Table, condition: &[u8]) -> Option<(&'t RowIndex, Key)> {
    let schema: &Schema = &table.schema;
    if schema.layout != Layout::Home {
        return None;
    }
    let (name, value) = parser::equality(condition)?;
    let column = schema.column(name)?;
    let mut indexes = schema.indexes.iter().filter(|index| {
        index.state == IndexState::Ready && index.columns.first() == Some(&column.id)
    });
    let (index, other) = (indexes.next()?, indexes.next());
    if other.is_some() || index.kind != IndexKind::Hash || index.columns.len() > 1 {
        return None;
    }
    let index = table.complete_index(index.id)?;
    Some((index, key_of(column.kind, value)?))
}

fn key_of(kind: ColumnType, text: &[u8]) -> Option<Key> {
    if kind == ColumnType::String {
        return Some(Key::of(Value::Text(text)));
    }
    let datum = Datum::operand(kind, text)?;
    scalar::value_of(&datum).map(Key::of)
}
