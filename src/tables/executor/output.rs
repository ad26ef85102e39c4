//! Rows as parts of a reply.

use crate::datum::ColumnType;
use crate::encode::Encode;
use crate::key;
use crate::plan::Output;
use crate::plan::filter::Operand;
use crate::scalar::{self, Value};
use crate::schema::ColumnId;
use crate::store::orders::OrderCode;
use crate::store::{Place, Row};
use crate::table::Table;

/// Appends a row: names and values in turns. What is missing is left out, or is nothing where columns
/// were named.
pub(super) fn write_row(
    table: &Table,
    output: &Output,
    place: Place,
    row: Row<'_>,
    encode: &impl Encode,
    out: &mut Vec<u8>,
    scratch: &mut Vec<u8>,
) {
    match output {
        Output::All => write_all(table, row, encode, out, scratch),
        Output::Items(items) => {
            encode.array(out, items.len() * 2);
            for (name, operand) in items {
                encode.bulk(out, name);
                match *operand {
                    Operand::Id => {
                        scratch.clear();
                        base::number::write_u64(scratch, table.id(place).0);
                        encode.bulk(out, scratch);
                    }
                    Operand::Column(id, kind) => match row.value(id) {
                        Some(value) => write_value(row, id, kind, value, encode, out, scratch),
                        None => encode.null(out),
                    },
                }
            }
        }
    }
}

fn write_all(
    table: &Table,
    row: Row<'_>,
    encode: &impl Encode,
    out: &mut Vec<u8>,
    scratch: &mut Vec<u8>,
) {
    let code: OrderCode = row.chunk.order(row.offset);
    let Some(order) = table.rows.orders().at(code) else {
        let declared: Vec<ColumnId> = table.schema.columns.iter().map(|c| c.id).collect();
        write_columns(table, &declared, row, encode, out, scratch);
        return;
    };
    write_columns(table, order, row, encode, out, scratch);
}

fn write_columns(
    table: &Table,
    columns: &[ColumnId],
    row: Row<'_>,
    encode: &impl Encode,
    out: &mut Vec<u8>,
    scratch: &mut Vec<u8>,
) {
    let is_present = |id: ColumnId| {
        let column = row.chunk.column(id);
        column.is_some_and(|column| crate::store::bits::has(column.valid(), row.offset))
            && table.position(id).is_some()
    };
    let count = columns.iter().filter(|&&id| is_present(id)).count();
    encode.array(out, count * 2);
    for &id in columns {
        let Some(position) = table.position(id) else {
            continue;
        };
        if let Some(value) = row.value(id) {
            let column = &table.schema.columns[position];
            encode.bulk(out, &column.name);
            write_value(row, id, column.kind, value, encode, out, scratch);
        }
    }
}

#[inline]
fn write_value(
    row: Row<'_>,
    id: ColumnId,
    kind: ColumnType,
    value: Value<'_>,
    encode: &impl Encode,
    out: &mut Vec<u8>,
    scratch: &mut Vec<u8>,
) {
    match value {
        Value::Text(text) => encode.bulk(out, text),
        Value::Scalar(number) => {
            if let Some(text) = row.odd_text(id) {
                encode.bulk(out, text);
                return;
            }
            scratch.clear();
            if kind == ColumnType::Integer {
                base::number::write_i64(scratch, number);
            } else {
                scalar::datum_of(kind, value).write_text(scratch);
            }
            encode.bulk(out, scratch);
        }
    }
}

/// Appends what rows are sorted by; descending parts are turned round.
pub(super) fn push_sort_key(
    table: &Table,
    order: &[(Operand, bool)],
    place: Place,
    row: Row<'_>,
    out: &mut Vec<u8>,
) {
    for &(operand, descending) in order {
        let from = out.len();
        key::push(out, value_of(table, operand, place, row));
        if descending {
            for byte in &mut out[from..] {
                *byte = !*byte;
            }
        }
    }
}

/// Returns what an operand is for a row.
pub(super) fn value_of<'a>(
    table: &Table,
    operand: Operand,
    place: Place,
    row: Row<'a>,
) -> Option<Value<'a>> {
    match operand {
        Operand::Id => {
            let id = i64::try_from(table.id(place).0);
            Some(Value::Scalar(id.unwrap_or(i64::MAX)))
        }
        Operand::Column(id, _) => row.value(id),
    }
}
