//! INSERT, UPDATE and DELETE: everything that can fail first, then the changes.

use base::cast::u64_from;
use base::ids::DbIndex;

use super::read::{self, next_batch, write_row};
use super::source::Source;
use super::{Budget, Phase, Progress, Stage};
use crate::changes::Changes;
use crate::claim::{Claim, Value};
use crate::datum::Cell;
use crate::decide::{self, Decision, Stored, check_present, key_of, not_unique};
use crate::encode::Encode;
use crate::error::TableError;
use crate::partial::{Met, Partial, is_condition};
use crate::plan::access;
use crate::plan::assign::{Assigned, NewCell};
use crate::plan::filter::Filter;
use crate::plan::{Action, Conflict, Inserting, Output, Plan, Updating};
use crate::schema::{ColumnId, Index, RowId};
use crate::statement::RowExpiry;
use crate::store::bits;
use crate::store::{Place, Row};
use crate::table::{CellChange, Table};

/// Works on one table.
pub(super) struct Writer<'a> {
    pub(super) table: &'a mut Table,
    pub(super) db: DbIndex,
    pub(super) plan: &'a Plan,
    pub(super) changes: &'a mut Changes,
}

/// The rows of one table, as they are at a time.
struct Here<'a> {
    table: &'a Table,
    now_ms: u64,
}

impl Stored for Here<'_> {
    fn holder(&mut self, _: Option<usize>, index: &Index, key: &[u8]) -> Option<RowId> {
        visible_holder(self.table, index, key, self.now_ms).map(|place| self.table.id(place))
    }

    fn cell(&self, id: RowId, column: ColumnId) -> Cell {
        let place = self.table.place(id);
        place.map_or(Cell::NULL, |place| self.table.cell(place, column))
    }
}

/// Returns the row that has the values, unless its time is over.
fn visible_holder(table: &Table, index: &Index, key: &[u8], now_ms: u64) -> Option<Place> {
    let mut found = None;
    table
        .index(index.id)?
        .walk(key, &table.rows, 0, &mut |place| {
            let row = table.rows.row(place);
            let is_visible = row.is_some_and(|row| !row.chunk.is_dead(row.offset, now_ms));
            if is_visible {
                found = Some(place);
            }
            !is_visible
        });
    found
}

impl Writer<'_> {
    /// Makes a step; returns whether the plan, or its check, is done.
    pub(super) fn step(
        &mut self,
        at: &mut Progress,
        budget: Budget,
        encode: &impl Encode,
        out: &mut Partial,
    ) -> Result<bool, TableError> {
        let mut budget = budget;
        loop {
            let is_done = match (at.stage, &self.plan.action) {
                (Stage::Begin, Action::Insert(insert)) => {
                    // As below: a caller that cannot make several steps gives up before ids are.
                    if !at.has_paused && insert.rows.len() > budget.write {
                        at.has_paused = true;
                        return Ok(false);
                    }
                    self.check_insert(insert, at, out)?
                }
                (Stage::Begin, Action::Delete { returning: None }) if self.is_all(at) => {
                    self.truncate(at, out);
                    true
                }
                (Stage::Begin, _) => {
                    read::begin(self.table, self.plan, at)?;
                    if at.stage == Stage::Done {
                        return Ok(true);
                    }
                    true
                }
                (Stage::Gather, _) => read::gather(self.table, at, &mut budget),
                (Stage::Rows, _) => {
                    let is_found = self.find(at, &mut budget, out)?;
                    if is_found {
                        self.check_found(at, out)?;
                        // Nobody may see a part of the changes: they begin in this step only if they
                        // also end in it, or if the caller has seen that there is more to do.
                        if at.phase == Phase::Whole && at.places.len() > budget.write {
                            return Ok(false);
                        }
                    }
                    is_found
                }
                (Stage::Apply, _) => {
                    let is_done = self.apply(at, &mut budget, encode, out);
                    if is_done {
                        at.stage = Stage::Done;
                    }
                    is_done
                }
                (Stage::Sorted | Stage::Done, _) => return Ok(true),
            };
            if !is_done {
                return Ok(false);
            }
        }
    }

    /// Returns whether a DELETE means all rows.
    fn is_all(&self, at: &Progress) -> bool {
        at.phase != Phase::Check
            && !is_condition(&self.plan.filter)
            && self.plan.ids == (1, u64::MAX)
            && self.table.rows.ending() == 0
    }

    fn truncate(&mut self, at: &mut Progress, out: &mut Partial) {
        out.count += self.table.rows.count();
        if self.table.rows.count() > 0 {
            self.changes.free(self.table.truncate());
            let (db, table) = (self.db, self.table.schema.id);
            self.changes.record_empty(db, table);
            at.has_changed = true;
        }
        at.stage = Stage::Done;
    }

    /// Decides about the rows of an INSERT, or tells the coordinator what there is to decide about.
    fn check_insert(
        &self,
        insert: &Inserting,
        at: &mut Progress,
        out: &mut Partial,
    ) -> Result<bool, TableError> {
        if at.phase == Phase::Check {
            self.report_met(insert, at.now_ms, out);
            at.stage = Stage::Done;
            return Ok(true);
        }
        let mut here = Here {
            table: self.table,
            now_ms: at.now_ms,
        };
        at.decisions = decide::decide(self.plan, insert, &mut here)?;
        at.stage = Stage::Apply;
        Ok(true)
    }

    fn report_met(&self, insert: &Inserting, now_ms: u64, out: &mut Partial) {
        let schema = &*self.plan.schema;
        let target = match &insert.conflict {
            Conflict::Update(target, _) if decide::depends_on_cells(schema, insert) => {
                Some(*target)
            }
            Conflict::Update(..) | Conflict::Skip(_) | Conflict::Fail => None,
        };
        for (row, cells) in insert.rows.iter().enumerate() {
            for index in schema.indexes.iter().filter(|index| index.unique) {
                let key = key_of(index, cells);
                let holder = |key: Vec<u8>| visible_holder(self.table, index, &key, now_ms);
                let Some(place) = key.and_then(holder) else {
                    continue;
                };
                let (index, id) = (index.id, self.table.id(place));
                out.met.push(Met { row, index, id });
                if Some(index) == target {
                    let columns = schema.columns.iter();
                    let cells =
                        columns.map(|column| (id, column.id, self.table.cell(place, column.id)));
                    out.met_cells.extend(cells);
                }
            }
        }
    }

    /// Computes values to see whether they can be.
    fn compute(&self, assigned: &[Assigned], id: RowId) -> Result<(), TableError> {
        if let Some(place) = self.table.place(id) {
            for assigned in assigned {
                if matches!(assigned.value, NewCell::Computed { .. }) {
                    let cell_of = |column| self.table.cell(place, column);
                    let cell = assigned.value.of_row(cell_of)?;
                    check_present(&self.plan.schema, assigned.column, &cell)?;
                }
            }
        }
        Ok(())
    }

    /// Finds the rows that are to be changed; returns whether all are found.
    fn find(
        &self,
        at: &mut Progress,
        budget: &mut Budget,
        out: &mut Partial,
    ) -> Result<bool, TableError> {
        if at.is_exact && matches!(at.source, Some(Source::Value { .. })) {
            return self.find_value(at, budget, out);
        }
        loop {
            if budget.look == 0 {
                return Ok(false);
            }
            let Some(batch) = next_batch(self.table, self.plan, at, budget, out)? else {
                return Ok(true);
            };
            for offset in bits::offsets(&batch.mask) {
                self.take_found(Place::at(batch.number, offset), at, out)?;
            }
        }
    }

    /// The same for the rows of one value, all of which are meant.
    fn find_value(
        &self,
        at: &mut Progress,
        budget: &mut Budget,
        out: &mut Partial,
    ) -> Result<bool, TableError> {
        let source = at.source.take();
        let mut found = Ok(true);
        if let Some(Source::Value { index, key }) = &source
            && let Some(index) = self.table.index(*index)
        {
            let rows = &self.table.rows;
            let end = self.plan.end_place(self.table);
            index.walk(key.bytes(), rows, at.next, &mut |place| {
                if place.0 >= end {
                    return false;
                }
                if budget.look == 0 {
                    at.next = place.0;
                    found = Ok(false);
                    return false;
                }
                budget.look -= 1;
                let row = rows.row(place);
                if row.is_some_and(|row| !row.chunk.is_dead(row.offset, at.now_ms))
                    && let Err(error) = self.take_found(place, at, out)
                {
                    found = Err(error);
                }
                found.is_ok()
            });
        }
        at.source = source;
        found
    }

    /// Notes a row that is to be changed, and what it is to get.
    fn take_found(
        &self,
        place: Place,
        at: &mut Progress,
        out: &mut Partial,
    ) -> Result<(), TableError> {
        if let Action::Update(update) = &self.plan.action {
            self.compute(&update.assignments, self.table.id(place))?;
            self.push_claims(update, place, out)?;
        }
        at.places.push(place);
        Ok(())
    }

    /// Notes the values of unique indexes that a row is to get.
    fn push_claims(
        &self,
        update: &Updating,
        place: Place,
        out: &mut Partial,
    ) -> Result<(), TableError> {
        let assigned = |column: &ColumnId| {
            let mut list = update.assignments.iter();
            list.find(|assigned| assigned.column == *column)
        };
        for index in self.plan.schema.indexes.iter().filter(|i| i.unique) {
            if !index
                .columns
                .iter()
                .any(|column| assigned(column).is_some())
            {
                continue;
            }
            let cell_of = |column| self.table.cell(place, column);
            let mut cells = Vec::with_capacity(index.columns.len());
            for &column in &index.columns {
                let cell = match assigned(&column) {
                    Some(assigned) => assigned.value.of_row(cell_of)?,
                    None => cell_of(column),
                };
                cells.push((column, cell));
            }
            if let Some(key) = key_of(index, &cells) {
                out.claims.push(Claim {
                    index: index.id,
                    key: key.into(),
                    row: self.table.id(place),
                });
            }
        }
        Ok(())
    }

    /// Checks what all rows together are to get, if this shard can.
    fn check_found(&self, at: &mut Progress, out: &mut Partial) -> Result<(), TableError> {
        if at.phase == Phase::Check {
            at.stage = Stage::Done;
            return Ok(());
        }
        let mut claims = std::mem::take(&mut out.claims);
        refuse_doubles(self.plan, &mut claims)?;
        refuse_held(self.table, self.plan, at, &claims)?;
        at.stage = Stage::Apply;
        Ok(())
    }

    /// Makes changes; returns whether all were made.
    fn apply(
        &mut self,
        at: &mut Progress,
        budget: &mut Budget,
        encode: &impl Encode,
        out: &mut Partial,
    ) -> bool {
        let plan = self.plan;
        let len = match &plan.action {
            Action::Insert(_) => at.decisions.len(),
            Action::Update(_)
            | Action::Delete { .. }
            | Action::Read(_)
            | Action::Group(_)
            | Action::Count => at.places.len(),
        };
        while at.applied < len {
            if budget.write == 0 {
                return false;
            }
            budget.write -= 1;
            let next = at.applied;
            at.applied += 1;
            at.has_changed = true;
            match &plan.action {
                Action::Insert(insert) => self.apply_insert(insert, next, at, encode, out),
                Action::Update(update) => {
                    self.apply_update(update, at.places[next], at.now_ms, encode, out);
                }
                Action::Delete { returning } => {
                    self.apply_delete(returning.as_ref(), at.places[next], encode, out);
                }
                Action::Read(_) | Action::Group(_) | Action::Count => {}
            }
        }
        true
    }

    fn apply_insert(
        &mut self,
        insert: &Inserting,
        number: usize,
        at: &Progress,
        encode: &impl Encode,
        out: &mut Partial,
    ) {
        let end = end_of(insert.expiry, at.now_ms);
        let place = match at.decisions[number] {
            Decision::Insert(id) => {
                let Some(place) = self.table.place(id) else {
                    return;
                };
                self.remove_dead(&insert.rows[number], at.now_ms);
                let end = end.unwrap_or(None);
                self.table.insert(place, &insert.rows[number], end);
                out.inserted.push((number, Some(id)));
                place
            }
            Decision::Update(id) => {
                let Some(place) = self.table.place(id) else {
                    return;
                };
                if self.table.rows.row(place).is_none() {
                    // Its time was over between the check and now, and it was swept.
                    out.inserted.push((number, None));
                    return;
                }
                let changes = self.conflict_changes(insert, number, place);
                self.table.change(place, &changes);
                if let Some(end) = end {
                    self.table.rows.set_end(place, end);
                }
                out.inserted.push((number, Some(id)));
                place
            }
            Decision::Skip => {
                out.inserted.push((number, None));
                return;
            }
        };
        out.count += 1;
        self.after_change(place, insert.returning.as_ref(), encode, out);
    }

    /// Removes dead rows that have a value which a new row gets: they are gone for everybody, but not
    /// from the indexes.
    fn remove_dead(&mut self, cells: &[(ColumnId, Cell)], now_ms: u64) {
        if self.table.rows.ending() == 0 {
            return;
        }
        let plan = self.plan;
        for index in plan.schema.indexes.iter().filter(|index| index.unique) {
            let mut dead = Vec::new();
            if let (Some(key), Some(found)) = (key_of(index, cells), self.table.index(index.id)) {
                found.walk(&key, &self.table.rows, 0, &mut |place| {
                    let row = self.table.rows.row(place);
                    if row.is_some_and(|row| row.chunk.is_dead(row.offset, now_ms)) {
                        dead.push(place);
                    }
                    true
                });
            }
            for place in dead {
                self.remove(place);
            }
        }
    }

    fn remove(&mut self, place: Place) {
        let row = self.table.id(place);
        if self.table.remove(place) {
            let (db, table) = (self.db, self.table.schema.id);
            self.changes.record_delete(db, table, row);
        }
    }

    fn conflict_changes(&self, insert: &Inserting, number: usize, place: Place) -> Vec<CellChange> {
        match &insert.conflict {
            Conflict::Update(_, Some(assigned)) => self.changes_of(assigned, place),
            Conflict::Update(_, None) | Conflict::Skip(_) | Conflict::Fail => {
                let cells = insert.rows[number].iter();
                cells
                    .map(|(column, cell)| CellChange {
                        column: *column,
                        cell: cell.clone(),
                    })
                    .collect()
            }
        }
    }

    fn changes_of(&self, assigned: &[Assigned], place: Place) -> Vec<CellChange> {
        let cell_of = |column| self.table.cell(place, column);
        let changes = assigned.iter().filter_map(|assigned| {
            // It was computed once to see that it can be.
            let cell = assigned.value.of_row(cell_of).ok()?;
            Some(CellChange {
                column: assigned.column,
                cell,
            })
        });
        changes.collect()
    }

    fn apply_update(
        &mut self,
        update: &Updating,
        place: Place,
        now_ms: u64,
        encode: &impl Encode,
        out: &mut Partial,
    ) {
        if self.table.rows.row(place).is_none() {
            return;
        }
        let changes = self.changes_of(&update.assignments, place);
        self.table.change(place, &changes);
        if let Some(end) = end_of(update.expiry, now_ms) {
            self.table.rows.set_end(place, end);
        }
        out.count += 1;
        self.after_change(place, update.returning.as_ref(), encode, out);
    }

    fn after_change(
        &mut self,
        place: Place,
        returning: Option<&Output>,
        encode: &impl Encode,
        out: &mut Partial,
    ) {
        self.changes.record_row(self.db, self.table, place);
        self.give(place, returning, encode, out);
    }

    fn give(
        &self,
        place: Place,
        returning: Option<&Output>,
        encode: &impl Encode,
        out: &mut Partial,
    ) {
        let row: Option<Row<'_>> = self.table.rows.row(place);
        if let (Some(output), Some(row)) = (returning, row) {
            write_row(self.table, self.plan, output, (place, row), encode, out);
        }
    }

    fn apply_delete(
        &mut self,
        returning: Option<&Output>,
        place: Place,
        encode: &impl Encode,
        out: &mut Partial,
    ) {
        if self.table.rows.row(place).is_none() {
            return;
        }
        self.give(place, returning, encode, out);
        self.remove(place);
        out.count += 1;
    }
}

/// Returns whether nothing on this shard can be against the changes of a plan.
pub(crate) fn cannot_fail(table: &Table, plan: &Plan) -> bool {
    let is_found = access::only_value(table, &plan.ways).is_some();
    let is_looked_for = is_condition(&plan.filter) && !matches!(plan.filter, Filter::False);
    plan.changes_plainly() && (is_found || !is_looked_for)
}

/// Returns the end that rows get, if the statement says anything about it.
fn end_of(expiry: Option<RowExpiry>, now_ms: u64) -> Option<Option<u64>> {
    expiry.map(|expiry| match expiry {
        // An end of 0 means none: the first millisecond is over in any case.
        RowExpiry::In(ms) => Some(now_ms.saturating_add(ms).max(1)),
        RowExpiry::At(ms) => Some(ms.max(1)),
        RowExpiry::Never => None,
    })
}

/// Returns the rows that have values, where there is one here.
pub(crate) fn holders(table: &Table, values: &[Value], now_ms: u64) -> Vec<Option<RowId>> {
    let holder = |value: &Value| {
        let index = table.definition(value.index)?;
        let place = visible_holder(table, index, &value.key, now_ms)?;
        Some(table.id(place))
    };
    values.iter().map(holder).collect()
}

/// Refuses that two rows get one value.
///
/// # Errors
///
/// [`TableError::NotUnique`].
pub(crate) fn refuse_doubles(plan: &Plan, claims: &mut [Claim]) -> Result<(), TableError> {
    claims.sort_unstable();
    for pair in claims.windows(2) {
        let is_same = pair[0].index == pair[1].index && pair[0].key == pair[1].key;
        if is_same && pair[0].row != pair[1].row {
            return Err(refused(plan, &pair[0]));
        }
    }
    Ok(())
}

/// Refuses values that another row of this shard has and keeps: one that the plan does not change.
///
/// # Errors
///
/// [`TableError::NotUnique`].
pub(crate) fn refuse_held(
    table: &Table,
    plan: &Plan,
    at: &Progress,
    claims: &[Claim],
) -> Result<(), TableError> {
    for claim in claims {
        let Some(index) = table.definition(claim.index) else {
            continue;
        };
        let holder = visible_holder(table, index, &claim.key, at.now_ms);
        // A row that the plan changes gets another value, or is the one that claims it.
        if holder.is_some_and(|place| at.places.binary_search(&place).is_err()) {
            return Err(refused(plan, claim));
        }
    }
    debug_assert!(
        u64_from(at.places.len()) <= table.rows.count(),
        "rows that are there"
    );
    Ok(())
}

fn refused(plan: &Plan, claim: &Claim) -> TableError {
    match plan.schema.indexes.iter().find(|i| i.id == claim.index) {
        Some(index) => not_unique(&plan.schema, index),
        None => TableError::NotUnique("".into()),
    }
}
