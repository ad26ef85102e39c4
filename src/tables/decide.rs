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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    /// It is stored.
    Stored(RowId),
    /// It is that row of the statement, which will be stored.
    New(usize),
}

/// A decision, ids not given yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Draft {
    Insert,
    Update(Holder),
    Skip,
}

/// What is known of the rows that are stored.
pub(crate) trait Stored {
    /// Returns the row that has a value of a unique index. The value is that of row `own` of the INSERT, if there is
    /// one, and otherwise one that a stored row is to get.
    fn holder(&mut self, own: Option<usize>, index: &Index, key: &[u8]) -> Option<RowId>;
    /// Returns a cell of a row that [`Stored::holder`] has named for a row of the INSERT.
    fn cell(&self, id: RowId, column: ColumnId) -> Cell;
}

struct Deciding<'a, S> {
    plan: &'a Plan,
    insert: &'a Inserting,
    stored: &'a mut S,
    drafts: Vec<Draft>,
    /// Values that rows of the statement have got, with the row, which may have got others since.
    taken: Map<(IndexId, Vec<u8>), Holder>,
    /// Cells that rows have got after they were there; only kept if the plan depends on cells.
    changed: Map<Holder, NewRow>,
    depends_on_cells: bool,
}

/// Decides about all rows and gives ids to those that will be stored.
///
/// # Errors
///
/// [`TableError::NotUnique`]; what arithmetic gives. No id is used up.
pub(crate) fn decide(
    plan: &Plan,
    insert: &Inserting,
    stored: &mut impl Stored,
) -> Result<Vec<Decision>, TableError> {
    if !plan.schema.indexes.iter().any(|index| index.unique) {
        let count = insert.rows.len();
        let first = draw_ids(&plan.schema, count);
        let ids = (first..).take(count);
        return Ok(ids.map(|id| Decision::Insert(RowId(id))).collect());
    }
    let drafts = drafts(plan, insert, stored)?;
    Ok(with_ids(&plan.schema, &drafts))
}

/// What becomes of each row, before those that will be stored have ids.
///
/// # Errors
///
/// See [`decide`].
pub(crate) fn drafts(
    plan: &Plan,
    insert: &Inserting,
    stored: &mut impl Stored,
) -> Result<Vec<Draft>, TableError> {
    let mut deciding = Deciding {
        plan,
        insert,
        stored,
        drafts: Vec::with_capacity(insert.rows.len()),
        taken: Map::default(),
        changed: Map::default(),
        depends_on_cells: depends_on_cells(&plan.schema, insert),
    };
    for row in 0..insert.rows.len() {
        let draft = deciding.row(row)?;
        deciding.drafts.push(draft);
    }
    Ok(deciding.drafts)
}

/// Returns whether what a row gets that is there already, or whether it may, depends on its cells: values are
/// computed, or belong to another unique index than the one that it was found by.
pub(crate) fn depends_on_cells(schema: &Schema, insert: &Inserting) -> bool {
    let Conflict::Update(target, assigned) = &insert.conflict else {
        return false;
    };
    let is_unique = |column: ColumnId, target: Option<IndexId>| {
        let mut unique = schema.indexes.iter().filter(|index| index.unique);
        unique.any(|index| Some(index.id) != target && index.columns.contains(&column))
    };
    match assigned {
        Some(list) => list.iter().any(|assigned| {
            matches!(assigned.value, NewCell::Computed { .. }) || is_unique(assigned.column, None)
        }),
        None => {
            let mut cells = insert.rows.iter().flatten();
            cells.any(|(column, _)| is_unique(*column, Some(*target)))
        }
    }
}

/// Draws the ids of so many new rows, which follow each other; returns the first one.
fn draw_ids(schema: &Schema, count: usize) -> u64 {
    let last = schema
        .last_row
        .fetch_add(u64_from(count), Ordering::Relaxed);
    last + 1
}

/// Gives ids to the rows that will be stored.
pub(crate) fn with_ids(schema: &Schema, drafts: &[Draft]) -> Vec<Decision> {
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
        let (plan, insert) = (self.plan, self.insert);
        let target = match &insert.conflict {
            Conflict::Fail => None,
            Conflict::Skip(index) | Conflict::Update(index, _) => Some(*index),
        };
        let unique = || plan.schema.indexes.iter().filter(|index| index.unique);
        if let Some(index) = unique().find(|index| Some(index.id) == target)
            && let Some(key) = key_of(index, &insert.rows[row])
            && let Some(holder) = self.holder(Some(row), index, &key)
        {
            return match &insert.conflict {
                Conflict::Update(_, assigned) => {
                    if self.depends_on_cells {
                        self.update(row, holder, assigned.as_deref())?;
                    }
                    Ok(Draft::Update(holder))
                }
                Conflict::Skip(_) | Conflict::Fail => Ok(Draft::Skip),
            };
        }
        for index in unique() {
            if let Some(key) = key_of(index, &insert.rows[row]) {
                if self.holder(Some(row), index, &key).is_some() {
                    return Err(not_unique(&plan.schema, index));
                }
                // Nobody asks what the last row has taken.
                if row + 1 < insert.rows.len() {
                    self.taken.insert((index.id, key), Holder::New(row));
                }
            }
        }
        Ok(Draft::Insert)
    }

    /// Returns the row that has a value now, that is, after the rows before. See [`Stored::holder`].
    fn holder(&mut self, own: Option<usize>, index: &Index, key: &[u8]) -> Option<Holder> {
        // Most INSERTs have one row: nothing is taken then.
        if !self.taken.is_empty()
            && let Some(&holder) = self.taken.get(&(index.id, key.to_vec()))
            && self.has_still(holder, index, key)
        {
            return Some(holder);
        }
        let holder = Holder::Stored(self.stored.holder(own, index, key)?);
        self.has_still(holder, index, key).then_some(holder)
    }

    /// Returns whether a row that had a value of an index has not got another one since.
    fn has_still(&self, holder: Holder, index: &Index, key: &[u8]) -> bool {
        if !self.changed.contains_key(&holder) {
            return true;
        }
        let cells = index.columns.iter();
        let cells: NewRow = cells
            .map(|&column| (column, self.cell(holder, column)))
            .collect();
        key_of(index, &cells).is_some_and(|present| present == key)
    }

    /// Returns a cell of a row as the rows before have left it.
    fn cell(&self, holder: Holder, column: ColumnId) -> Cell {
        let of = |cells: &NewRow| {
            let mut cells = cells.iter();
            let found = cells.find(|(other, _)| *other == column);
            found.map(|(_, cell)| cell.clone())
        };
        if let Some(cell) = self.changed.get(&holder).and_then(of) {
            return cell;
        }
        match holder {
            Holder::Stored(id) => self.stored.cell(id, column),
            Holder::New(row) => of(&self.insert.rows[row]).unwrap_or(Cell::NULL),
        }
    }

    /// Computes what a row gets that is there already, checks it, and remembers it for the rows behind.
    fn update(
        &mut self,
        row: usize,
        holder: Holder,
        assigned: Option<&[Assigned]>,
    ) -> Result<(), TableError> {
        let cells: NewRow = match assigned {
            Some(list) => {
                let mut cells = Vec::with_capacity(list.len());
                for assigned in list {
                    let cell = assigned.value.of_row(|column| self.cell(holder, column))?;
                    check_present(&self.plan.schema, assigned.column, &cell)?;
                    cells.push((assigned.column, cell));
                }
                cells
            }
            None => self.insert.rows[row].clone(),
        };
        self.claim(row, holder, &cells)?;
        let changed = self.changed.entry(holder).or_default();
        for (column, cell) in cells {
            match changed.iter_mut().find(|(other, _)| *other == column) {
                Some((_, present)) => *present = cell,
                None => changed.push((column, cell)),
            }
        }
        Ok(())
    }

    /// Checks the values of unique indexes that a row gets with `cells`, which is there already.
    fn claim(&mut self, row: usize, holder: Holder, cells: &NewRow) -> Result<(), TableError> {
        let given = |column: &ColumnId| cells.iter().find(|(other, _)| other == column);
        let (plan, insert) = (self.plan, self.insert);
        let (target, takes_all) = match &insert.conflict {
            Conflict::Update(index, None) => (Some(*index), true),
            Conflict::Update(_, Some(_)) | Conflict::Skip(_) | Conflict::Fail => (None, false),
        };
        for index in plan.schema.indexes.iter().filter(|index| index.unique) {
            // With all values of the new row, the row keeps those that it was found by.
            let mut columns = index.columns.iter();
            if Some(index.id) == target || !columns.any(|column| given(column).is_some()) {
                continue;
            }
            let values = index.columns.iter().map(|column| match given(column) {
                Some((_, cell)) => (*column, cell.clone()),
                None => (*column, self.cell(holder, *column)),
            });
            let values: NewRow = values.collect();
            let Some(key) = key_of(index, &values) else {
                continue;
            };
            let mut columns = index.columns.iter();
            let is_own = takes_all && columns.all(|column| given(column).is_some());
            let other = self.holder(is_own.then_some(row), index, &key);
            if other.is_some_and(|other| other != holder) {
                return Err(not_unique(&plan.schema, index));
            }
            self.taken.insert((index.id, key), holder);
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
    match schema.column_of(column) {
        Some(found) if schema.must_have_value(found) => Err(TableError::NotNull(
            String::from_utf8_lossy(&found.name).into(),
        )),
        Some(_) | None => Ok(()),
    }
}
