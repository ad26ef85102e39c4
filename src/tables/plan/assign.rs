//! New values of rows: found columns, converted values, arithmetic.

use crate::datum::arithmetic::{self, Arithmetic, Operator};
use crate::datum::{Cell, ColumnType, Datum};
use crate::error::TableError;
use crate::schema::{Column, ColumnId, Schema};
use crate::statement::{Assignment, NewValue};

/// A column's new value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Assigned {
    pub(crate) column: ColumnId,
    pub(crate) value: NewCell,
}

/// Where the value comes from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum NewCell {
    /// The statement; `Datum::Null` takes the value away.
    Fixed(Cell),
    /// The row.
    Computed {
        from: ColumnId,
        operator: Operator,
        number: Datum,
    },
}

/// A row to be inserted.
pub(crate) type NewRow = Vec<(ColumnId, Cell)>;

/// Binds SET and UNSET; of several for one column the last one counts.
///
/// # Errors
///
/// [`TableError::ColumnOrType`] for an unknown column and for a text that is neither a value nor
/// arithmetic, [`TableError::NotNull`].
pub(crate) fn bind_set(
    schema: &Schema,
    assignments: &[Assignment<'_>],
) -> Result<Vec<Assigned>, TableError> {
    let mut bound: Vec<Assigned> = Vec::with_capacity(assignments.len());
    for assignment in assignments {
        let column = schema
            .column(assignment.column)
            .ok_or(TableError::ColumnOrType)?;
        let value = bind_value(schema, column, &assignment.value)?;
        let assigned = Assigned {
            column: column.id,
            value,
        };
        match bound.iter_mut().find(|other| other.column == column.id) {
            Some(other) => *other = assigned,
            None => bound.push(assigned),
        }
    }
    Ok(bound)
}

fn bind_value(
    schema: &Schema,
    column: &Column,
    value: &NewValue<'_>,
) -> Result<NewCell, TableError> {
    let text = match value {
        NewValue::Null if schema.must_have_value(column) => return Err(not_null(column)),
        NewValue::Null => return Ok(NewCell::Fixed(Cell::NULL)),
        NewValue::Text(text) => text,
    };
    if let Some(cell) = Cell::parse(column.kind, text) {
        return Ok(NewCell::Fixed(cell));
    }
    let computed = Arithmetic::parse(text).and_then(|sum| {
        let from = schema.column(sum.column)?;
        (from.kind == column.kind).then_some(())?;
        Some(NewCell::Computed {
            from: from.id,
            operator: sum.operator,
            number: sum.operand(column.kind)?,
        })
    });
    computed.ok_or(TableError::ColumnOrType)
}

/// Binds a row of INSERT: converts, fills in defaults, checks NOT NULL.
///
/// # Errors
///
/// [`TableError::ColumnOrType`], [`TableError::NotNull`].
pub(crate) fn bind_row(
    schema: &Schema,
    assignments: &[Assignment<'_>],
) -> Result<NewRow, TableError> {
    let mut row: NewRow = Vec::with_capacity(assignments.len());
    for assignment in assignments {
        let column = schema
            .column(assignment.column)
            .ok_or(TableError::ColumnOrType)?;
        let cell = match &assignment.value {
            NewValue::Null => Cell::NULL,
            NewValue::Text(text) => {
                Cell::parse(column.kind, text).ok_or(TableError::ColumnOrType)?
            }
        };
        match row.iter_mut().find(|(other, _)| *other == column.id) {
            Some((_, other)) => *other = cell,
            None => row.push((column.id, cell)),
        }
    }
    for column in &schema.columns {
        let given = row.iter().find(|(other, _)| *other == column.id);
        match (given, &column.default) {
            (None, Some(default)) => row.push((column.id, default.clone())),
            (Some((_, cell)), _) if !cell.datum.is_null() => {}
            (Some(_) | None, _) if schema.must_have_value(column) => {
                return Err(not_null(column));
            }
            (Some(_) | None, _) => {}
        }
    }
    row.retain(|(_, cell)| !cell.datum.is_null());
    Ok(row)
}

fn not_null(column: &Column) -> TableError {
    TableError::NotNull(String::from_utf8_lossy(&column.name).into())
}

impl NewCell {
    /// Computes the value for a row, of which `cell_of` knows the cells. `None` where the result of
    /// arithmetic is a missing value in a column that must have one.
    ///
    /// # Errors
    ///
    /// [`TableError::OutOfRange`].
    pub(crate) fn of_row(&self, cell_of: impl Fn(ColumnId) -> Cell) -> Result<Cell, TableError> {
        match self {
            Self::Fixed(cell) => Ok(cell.clone()),
            Self::Computed {
                from,
                operator,
                number,
            } => {
                let left = cell_of(*from).datum;
                arithmetic::compute(&left, *operator, number).map(Cell::from)
            }
        }
    }
}

/// Returns the types that have sums and means.
pub(crate) fn is_summable(kind: ColumnType) -> bool {
    kind.is_number()
}
