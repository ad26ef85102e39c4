//! What becomes of each row of an INSERT, before any of them is stored.
//!
//! Rows are decided about in their order, each as if those before it were stored already.

use base::cast::u64_from;
use base::hash::Map;
use std::sync::atomic::Ordering;

use crate::datum::Cell;
use crate::error::TableError;
use crate::key;
use crate::plan::assign::{Assigned, NewCell, NewRow};
use crate::plan::{Conflict, Inserting, Plan};
use crate::scalar;
use crate::schema::{ColumnId, Index, IndexId, RowId, Schema};

/// What becomes of a row of an INSERT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It gets this id.
    Insert(RowId),
    /// This row gets its values, or those of ON CONFLICT.
    Update(RowId),
    /// It is left out.
    Skip,
}

/// A row that has a value already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    /// It is stored.
    Stored(RowId),
    /// It is that row of the statement.
    New(usize),
}

/// A decision, ids not given yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Draft {
    Insert,
    Update(Holder),
    Skip,
}

/// What is known of the rows that are stored.
pub(crate) trait Stored {
    /// Returns the row that has the values of an INSERT's row in a unique index.
    fn holder(&self, row: usize, index: &Index, key: &[u8]) -> Option<RowId>;
    /// Returns the cells of a row, if they are at hand.
    fn cell(&self, id: RowId, column: ColumnId) -> Option<Cell>;
}

struct Deciding<'a, S> {
    plan: &'a Plan,
    insert: &'a Inserting,
    stored: &'a S,
    drafts: Vec<Draft>,
    /// Values that rows of the statement have got, with the row.
    taken: Map<(IndexId, Vec<u8>), Holder>,
}

/// Decides about all rows and gives ids to those that will be stored.
///
/// # Errors
///
/// [`TableError::NotUnique`]; what arithmetic gives; clauses that cannot be decided. No id is used up.
pub(crate) fn decide(
    plan: &Plan,
    insert: &Inserting,
    stored: &impl Stored,
) -> Result<Vec<Decision>, TableError> {
    if !plan.schema.indexes.iter().any(|index| index.unique) {
        let count = insert.rows.len();
        let first = draw_ids(&plan.schema, count);
        let ids = (first..).take(count);
        return Ok(ids.map(|id| Decision::Insert(RowId(id))).collect());
    }
    let mut deciding = Deciding {
        plan,
        insert,
        stored,
        drafts: Vec::with_capacity(insert.rows.len()),
        taken: Map::default(),
    };
    for row in 0..insert.rows.len() {
        let draft = deciding.row(row)?;
        deciding.drafts.push(draft);
    }
    Ok(with_ids(&plan.schema, &deciding.drafts))
}

/// Draws the ids of so many new rows, which follow each other; returns the first one.
fn draw_ids(schema: &Schema, count: usize) -> u64 {
    let last = schema
        .last_row
        .fetch_add(u64_from(count), Ordering::Relaxed);
    last + 1
}

fn with_ids(schema: &Schema, drafts: &[Draft]) -> Vec<Decision> {
    let count = drafts
        .iter()
        .filter(|draft| **draft == Draft::Insert)
        .count();
    let mut next = draw_ids(schema, count);
    let mut decisions: Vec<Decision> = Vec::with_capacity(drafts.len());
    for draft in drafts {
        decisions.push(match *draft {
            Draft::Insert => {
                next += 1;
                Decision::Insert(RowId(next - 1))
            }
            Draft::Update(Holder::Stored(id)) => Decision::Update(id),
            // An earlier row of the statement, which was inserted.
            Draft::Update(Holder::New(row)) => match decisions.get(row) {
                Some(&(Decision::Insert(id) | Decision::Update(id))) => Decision::Update(id),
                Some(Decision::Skip) | None => Decision::Skip,
            },
            Draft::Skip => Decision::Skip,
        });
    }
    decisions
}

impl<S: Stored> Deciding<'_, S> {
    fn row(&mut self, row: usize) -> Result<Draft, TableError> {
        let plan = self.plan;
        let target = match &self.insert.conflict {
            Conflict::Fail => None,
            Conflict::Skip(index) | Conflict::Update(index, _) => Some(*index),
        };
        let unique = || plan.schema.indexes.iter().filter(|index| index.unique);
        if let Some(index) = unique().find(|index| Some(index.id) == target)
            && let Some(key) = key_of(index, &self.insert.rows[row])
            && let Some(holder) = self.holder(row, index, &key)
        {
            return match &self.insert.conflict {
                Conflict::Update(_, assigned) => {
                    self.update(row, holder, assigned.as_deref())?;
                    Ok(Draft::Update(holder))
                }
                Conflict::Skip(_) | Conflict::Fail => Ok(Draft::Skip),
            };
        }
        for index in unique() {
            if let Some(key) = key_of(index, &self.insert.rows[row]) {
                if self.holder(row, index, &key).is_some() {
                    return Err(not_unique(&plan.schema, index));
                }
                // Nobody asks what the last row has taken.
                if row + 1 < self.insert.rows.len() {
                    self.taken.insert((index.id, key), Holder::New(row));
                }
            }
        }
        Ok(Draft::Insert)
    }

    fn holder(&self, row: usize, index: &Index, key: &[u8]) -> Option<Holder> {
        // Most INSERTs have one row: nothing is taken then.
        if !self.taken.is_empty()
            && let Some(holder) = self.taken.get(&(index.id, key.to_vec()))
        {
            return Some(*holder);
        }
        self.stored.holder(row, index, key).map(Holder::Stored)
    }

    /// Checks what a row gets that is there already.
    fn update(
        &mut self,
        row: usize,
        holder: Holder,
        assigned: Option<&[Assigned]>,
    ) -> Result<(), TableError> {
        let is_computed = assigned.is_some_and(|list| {
            let mut values = list.iter();
            values.any(|assigned| matches!(assigned.value, NewCell::Computed { .. }))
        });
        let is_again = self.drafts.contains(&Draft::Update(holder));
        if is_computed && (is_again || matches!(holder, Holder::New(_))) {
            return Err(TableError::other(
                "ON CONFLICT UPDATE with arithmetic would change one row twice",
            ));
        }
        if is_computed && let Holder::Stored(id) = holder {
            for assigned in assigned.unwrap_or_default() {
                let cell_of = |column| self.stored.cell(id, column).unwrap_or(Cell::NULL);
                let cell = assigned.value.of_row(cell_of)?;
                check_present(&self.plan.schema, assigned.column, &cell)?;
            }
        }
        self.claim(row, holder, assigned)
    }

    /// Checks the values of unique indexes that a row gets which is there already.
    fn claim(
        &mut self,
        row: usize,
        holder: Holder,
        assigned: Option<&[Assigned]>,
    ) -> Result<(), TableError> {
        let new_row = &self.insert.rows[row];
        let changes = |column: &ColumnId| match assigned {
            Some(list) => list.iter().any(|assigned| assigned.column == *column),
            None => new_row.iter().any(|(other, _)| other == column),
        };
        let target = match &self.insert.conflict {
            Conflict::Update(index, None) => Some(*index),
            Conflict::Update(_, Some(_)) | Conflict::Skip(_) | Conflict::Fail => None,
        };
        let plan = self.plan;
        for index in plan.schema.indexes.iter().filter(|index| index.unique) {
            // With all values of the new row, the row keeps those that it was found by.
            if Some(index.id) == target || !index.columns.iter().any(changes) {
                continue;
            }
            let (Holder::Stored(id), false) = (holder, plan.is_spread()) else {
                return Err(TableError::other(
                    "ON CONFLICT UPDATE cannot set a unique column here",
                ));
            };
            let cell_of = |column| self.stored.cell(id, column).unwrap_or(Cell::NULL);
            let mut cells: NewRow = Vec::with_capacity(index.columns.len());
            for &column in &index.columns {
                let cell = match assigned {
                    Some(list) => match list.iter().find(|other| other.column == column) {
                        Some(assigned) => assigned.value.of_row(cell_of)?,
                        None => cell_of(column),
                    },
                    None => match new_row.iter().find(|(other, _)| *other == column) {
                        Some((_, cell)) => cell.clone(),
                        None => cell_of(column),
                    },
                };
                cells.push((column, cell));
            }
            if let Some(key) = key_of(index, &cells) {
                let other = self.holder(row, index, &key);
                if other.is_some_and(|other| other != holder) {
                    return Err(not_unique(&plan.schema, index));
                }
                self.taken.insert((index.id, key), holder);
            }
        }
        Ok(())
    }
}

/// Returns the key of an index that cells have; nothing if one of them is missing.
pub(crate) fn key_of(index: &Index, cells: &[(ColumnId, Cell)]) -> Option<Vec<u8>> {
    let mut key = Vec::with_capacity(32);
    for column in &index.columns {
        let (_, cell) = cells.iter().find(|(other, _)| other == column)?;
        let value = scalar::value_of(&cell.datum)?;
        key::push(&mut key, Some(value));
    }
    Some(key)
}

/// Returns the error of an index whose value is there already.
pub(crate) fn not_unique(schema: &Schema, index: &Index) -> TableError {
    let names = index.columns.iter().map(|&id| {
        let name = schema
            .column_of(id)
            .map_or(&b"?"[..], |column| &column.name);
        String::from_utf8_lossy(name)
    });
    TableError::NotUnique(names.collect::<Vec<_>>().join(",").into())
}

/// Refuses a missing value where there must be one.
///
/// # Errors
///
/// [`TableError::NotNull`].
pub(crate) fn check_present(
    schema: &Schema,
    column: ColumnId,
    cell: &Cell,
) -> Result<(), TableError> {
    if !cell.datum.is_null() {
        return Ok(());
    }
    let is_primary = |index: &Index| index.primary && index.columns.contains(&column);
    match schema.column_of(column) {
        Some(found) if found.not_null || schema.indexes.iter().any(is_primary) => Err(
            TableError::NotNull(String::from_utf8_lossy(&found.name).into()),
        ),
        Some(_) | None => Ok(()),
    }
}
