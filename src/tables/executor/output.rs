//! Rows as parts of a reply.

use crate::datum::ColumnType;
use crate::encode::Encode;
use crate::form::{Form, FormCell, Name};
use crate::key;
use crate::plan::Output;
use crate::plan::filter::Operand;
use crate::scalar::{self, Value};
use crate::schema::ColumnId;
use crate::store::column::Column;
use crate::store::orders::OrderCode;
use crate::store::{Place, Row};
use crate::table::Table;

/// Writes rows.
pub(super) struct RowWriter<'a, E> {
    pub(super) table: &'a Table,
    pub(super) encode: &'a E,
    pub(super) out: &'a mut Vec<u8>,
    pub(super) scratch: &'a mut Vec<u8>,
    pub(super) form: &'a mut Form,
}

impl<E: Encode> RowWriter<'_, E> {
    /// Appends a row: names and values in turns. What is missing is left out, or is nothing where columns
    /// were named.
    pub(super) fn row(&mut self, output: &Output, place: Place, row: Row<'_>) {
        let items = match output {
            Output::All => return self.all(row),
            Output::Items(items) => items,
        };
        self.encode.array(self.out, items.len() * 2);
        for (name, operand) in items {
            self.encode.bulk(self.out, name);
            match *operand {
                Operand::Id => {
                    // Every id is below 2^63.
                    let id = i64::try_from(self.table.id(place).0).unwrap_or(i64::MAX);
                    self.encode.integer(self.out, id);
                }
                Operand::Column(id, kind) => {
                    let column = row.chunk.column(id);
                    let cell = column.and_then(|column| Some((column, column.value(row.offset)?)));
                    match cell {
                        Some((column, value)) => self.value((column, row.offset), kind, value),
                        None => self.encode.null(self.out),
                    }
                }
            }
        }
    }

    fn all(&mut self, row: Row<'_>) {
        let code: OrderCode = row.chunk.order(row.offset);
        if self.form.made == Some(code) {
            return self.formed(row);
        }
        let table = self.table;
        let declared: Vec<ColumnId>;
        let order = if let Some(order) = table.rows.orders().at(code) {
            order
        } else {
            declared = table.schema.columns.iter().map(|c| c.id).collect();
            &declared
        };
        if self.form.last == Some(code) {
            self.make_form(code, order);
            return self.formed(row);
        }
        self.form.last = Some(code);
        self.columns(order, row);
    }

    fn make_form(&mut self, code: OrderCode, order: &[ColumnId]) {
        let (table, encode) = (self.table, self.encode);
        let written = |write: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = Vec::new();
            write(&mut bytes);
            bytes
        };
        self.form.made = Some(code);
        let cells = order.iter().filter_map(|&column| {
            let definition = &table.schema.columns[table.position(column)?];
            let name = written(&|out| encode.bulk(out, &definition.name));
            Some(FormCell {
                column,
                kind: definition.kind,
                name: Name::new(&name),
            })
        });
        self.form.cells.clear();
        self.form.cells.extend(cells);
        // The order may have columns that the table has lost.
        let count = self.form.cells.len();
        self.form.head = written(&|out| encode.array(out, count * 2)).into();
    }

    /// Writes a row of the order that the form is for.
    fn formed(&mut self, row: Row<'_>) {
        let begin = self.out.len();
        self.out.extend_from_slice(&self.form.head);
        let body = self.out.len();
        let mut count = 0;
        let cells = std::mem::take(&mut self.form.cells);
        for cell in &cells {
            let Some(column) = row.chunk.column(cell.column) else {
                continue;
            };
            if let Some((text, len)) = column.short_text(row.offset) {
                cell.name.push_to(self.out);
                self.encode.short(self.out, text, len);
            } else if let Some(value) = column.value(row.offset) {
                cell.name.push_to(self.out);
                self.value((column, row.offset), cell.kind, value);
            } else {
                continue;
            }
            count += 1;
        }
        let is_whole = count == cells.len();
        self.form.cells = cells;
        if !is_whole {
            self.correct_head((begin, body), count);
        }
    }

    fn columns(&mut self, columns: &[ColumnId], row: Row<'_>) {
        let begin = self.out.len();
        // Nearly always a row has all the columns of its order.
        self.encode.array(self.out, columns.len() * 2);
        let body = self.out.len();
        let mut count = 0;
        for &id in columns {
            let Some(position) = self.table.position(id) else {
                continue;
            };
            if let Some(column) = row.chunk.column(id)
                && let Some(value) = column.value(row.offset)
            {
                count += 1;
                let definition = &self.table.schema.columns[position];
                self.encode.bulk(self.out, &definition.name);
                self.value((column, row.offset), definition.kind, value);
            }
        }
        if count < columns.len() {
            self.correct_head((begin, body), count);
        }
    }

    /// Gives a row that begins at `begin`, with cells from `body` on, the head of one with so many cells.
    fn correct_head(&mut self, (begin, body): (usize, usize), count: usize) {
        let cells = self.out.split_off(body);
        self.out.truncate(begin);
        self.encode.array(self.out, count * 2);
        self.out.extend_from_slice(&cells);
    }

    #[inline]
    fn value(&mut self, (column, offset): (&Column, usize), kind: ColumnType, value: Value<'_>) {
        let number = match value {
            Value::Text(text) => return self.encode.bulk(self.out, text),
            Value::Scalar(number) => number,
        };
        if let Some(text) = column.odd_text(offset) {
            self.encode.bulk(self.out, text);
            return;
        }
        if kind == ColumnType::Integer {
            self.encode.integer(self.out, number);
            return;
        }
        self.scratch.clear();
        scalar::datum_of(kind, value).write_text(self.scratch);
        self.encode.bulk(self.out, self.scratch);
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
