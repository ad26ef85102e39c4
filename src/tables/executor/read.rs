//! Candidates, the condition, and what becomes of the rows that are left.

use base::cast::u64_from;

use super::evaluate;
use super::output::{RowWriter, push_sort_key, value_of};
use super::source::{self, Batch, Source};
use super::{Budget, Progress, Stage};
use crate::datum::Datum;
use crate::encode::Encode;
use crate::error::TableError;
use crate::group::{GROUPS_MAX, Group, Sum, push_group_key};
use crate::index::Body;
use crate::key::{self, Key};
use crate::partial::{Mark, Partial, is_condition};
use crate::plan::access::{self, Access};
use crate::plan::filter::{self, Filter, Operand};
use crate::plan::{Action, Grouping, Output, Plan, Reading};
use crate::scalar;
use crate::schema::{IndexId, IndexKind, IndexState};
use crate::sorter::Sorter;
use crate::statement::Aggregate;
use crate::store::bits::{self, Bits};
use crate::store::{Place, Row};
use crate::table::Table;

/// Makes a step; returns whether the plan is done.
pub(super) fn step(
    table: &Table,
    plan: &Plan,
    at: &mut Progress,
    budget: Budget,
    encode: &impl Encode,
    out: &mut Partial,
) -> Result<bool, TableError> {
    let mut budget = budget;
    let reader = Reader {
        table,
        plan,
        encode,
    };
    loop {
        match at.stage {
            Stage::Begin => {
                if reader.answer_at_once(at, out) {
                    at.stage = Stage::Done;
                } else {
                    if let Action::Group(grouping) = &plan.action
                        && grouping.by.is_empty()
                    {
                        // Without GROUP BY there is one group, even of no rows.
                        let new = || new_group(grouping, &[], Vec::new());
                        out.groups.group(&[], new);
                    }
                    begin(table, plan, at)?;
                }
            }
            Stage::Gather => {
                if !gather(table, at, &mut budget) {
                    return Ok(false);
                }
            }
            Stage::Rows => {
                if !reader.rows(at, &mut budget, out)? {
                    return Ok(false);
                }
                at.stage = if at.sorter.is_some() {
                    Stage::Sorted
                } else {
                    Stage::Done
                };
            }
            Stage::Sorted => {
                if !reader.sorted(at, &mut budget, out) {
                    return Ok(false);
                }
                at.stage = Stage::Done;
            }
            Stage::Apply | Stage::Done => return Ok(true),
        }
    }
}

/// Chooses the way to the rows.
pub(super) fn begin(table: &Table, plan: &Plan, at: &mut Progress) -> Result<(), TableError> {
    at.next = table.place_from(plan.ids.0);
    if matches!(plan.filter, Filter::False) || plan.ids.0 > plan.ids.1 {
        at.stage = Stage::Done;
        return Ok(());
    }
    let is_one = plan.ids.0 == plan.ids.1;
    let chosen = match access::only_value(table, &plan.ways) {
        Some(chosen) => chosen,
        None => access::choose(table, &plan.ways),
    };
    // A row that is named is looked up, whatever indexes there are.
    let (way, is_exact, rows) = if is_one {
        (&Access::All, !is_condition(&plan.filter), 1)
    } else {
        (chosen.access, chosen.is_exact, chosen.rows)
    };
    at.is_exact = is_exact || !is_condition(&plan.filter);
    let ordered = source::ordered_walk(table, plan, way);
    let ids = filter::ids_in(plan.ids.0, plan.ids.1, u64::MAX);
    if !at.is_exact
        && reads_all(plan, ordered.is_some())
        && rows.min(ids) > plan.limits.scan_rows_max
    {
        return Err(TableError::ScanLimit);
    }
    if let Action::Read(reading) = &plan.action {
        at.is_ordered = reading.order.is_empty() || ordered.is_some();
        if !at.is_ordered {
            let wanted = reading
                .limit
                .map(|limit| limit.saturating_add(reading.offset));
            at.sorter = Some(Sorter::new(wanted));
        }
    }
    let mut source = Source::new(way, ordered);
    source.gather(table, way);
    at.stage = match &source {
        Source::Gather { .. } => Stage::Gather,
        Source::Scan | Source::Value { .. } | Source::Set(_) | Source::Ordered(_) => Stage::Rows,
    };
    at.source = Some(source);
    Ok(())
}

/// Returns whether all candidates will be looked at, which LIMIT may prevent.
fn reads_all(plan: &Plan, is_walk: bool) -> bool {
    match &plan.action {
        Action::Read(reading) => reading.limit.is_none() || (!reading.order.is_empty() && !is_walk),
        Action::Group(_)
        | Action::Count
        | Action::Insert(_)
        | Action::Update(_)
        | Action::Delete { .. } => true,
    }
}

/// Collects candidates; returns whether all are collected.
pub(super) fn gather(table: &Table, at: &mut Progress, budget: &mut Budget) -> bool {
    let is_more = match &mut at.source {
        Some(source) => source.collect(table, budget),
        None => false,
    };
    if !is_more {
        at.stage = Stage::Rows;
    }
    !is_more
}

/// Returns the next rows for which the condition is true, and goes on behind them; the caller sets
/// `at.next` back if it does not take all.
pub(super) fn next_batch(
    table: &Table,
    plan: &Plan,
    at: &mut Progress,
    budget: &mut Budget,
    out: &mut Partial,
) -> Result<Option<Batch>, TableError> {
    let end = plan.end_place(table);
    let Some(source) = &at.source else {
        return Ok(None);
    };
    let Some(mut batch) = source.batch(table, at.next, end) else {
        return Ok(None);
    };
    at.next = Place::at(batch.number + 1, 0).0;
    let Some(chunk) = table.rows.chunk(batch.number) else {
        batch.mask = [0; bits::WORDS];
        return Ok(Some(batch));
    };
    let visible = chunk.visible(at.now_ms);
    for (word, visible) in batch.mask.iter_mut().zip(visible) {
        *word &= visible;
    }
    let count = bits::count(&batch.mask);
    budget.look = budget.look.saturating_sub(count);
    if !at.is_exact {
        look(plan, out, u64_from(count))?;
        evaluate::narrow(table, batch.number, chunk, &plan.filter, &mut batch.mask);
    }
    Ok(Some(batch))
}

fn look(plan: &Plan, out: &mut Partial, rows: u64) -> Result<(), TableError> {
    out.looked += rows;
    if out.looked > plan.limits.scan_rows_max {
        return Err(TableError::ScanLimit);
    }
    Ok(())
}

struct Reader<'a, E> {
    table: &'a Table,
    plan: &'a Plan,
    encode: &'a E,
}

impl<E: Encode> Reader<'_, E> {
    /// Gives what needs no row: numbers of rows, and ends of indexes.
    fn answer_at_once(&self, at: &Progress, out: &mut Partial) -> bool {
        let (table, plan) = (self.table, self.plan);
        let is_everything = plan.ids == (1, u64::MAX);
        if table.rows.ending() > 0 || !is_everything {
            return false;
        }
        match &plan.action {
            Action::Count => match self.count_at_once() {
                Some(count) => out.count = count,
                None => return false,
            },
            Action::Group(grouping) if grouping.by.is_empty() => {
                let sums: Option<Vec<Sum>> = grouping
                    .aggregates
                    .iter()
                    .map(|&(aggregate, operand)| self.sum_at_once(aggregate, operand))
                    .collect();
                let Some(sums) = sums else {
                    return false;
                };
                out.groups.group(&[], || Group {
                    key: [].into(),
                    by: Vec::new(),
                    sums,
                });
            }
            Action::Group(_)
            | Action::Read(_)
            | Action::Insert(_)
            | Action::Update(_)
            | Action::Delete { .. } => return false,
        }
        debug_assert!(at.source.is_none(), "nothing was begun");
        true
    }

    fn count_at_once(&self) -> Option<u64> {
        if !is_condition(&self.plan.filter) {
            return Some(self.table.rows.count());
        }
        if matches!(self.plan.filter, Filter::False) {
            return Some(0);
        }
        let chosen = access::choose(self.table, &self.plan.ways);
        // Branches of a union may share rows, and ids may have none.
        let is_counted = match chosen.access {
            Access::Value { .. } | Access::Keys { .. } | Access::Ranges { .. } => chosen.is_exact,
            Access::All | Access::Ids(_) | Access::Union(_) => false,
        };
        is_counted.then_some(chosen.rows)
    }

    fn sum_at_once(&self, aggregate: Aggregate, operand: Option<Operand>) -> Option<Sum> {
        if aggregate == Aggregate::Count && operand.is_none() {
            let mut sum = Sum::new(aggregate, crate::datum::ColumnType::Integer);
            sum.add_rows(self.count_at_once()?);
            return Some(sum);
        }
        if is_condition(&self.plan.filter) {
            return None;
        }
        let Some(Operand::Column(column, kind)) = operand else {
            return None;
        };
        let is_last = match aggregate {
            Aggregate::Minimum => false,
            Aggregate::Maximum => true,
            Aggregate::Count | Aggregate::Sum | Aggregate::Average => return None,
        };
        let definition = self.table.schema.indexes.iter().find(|index| {
            index.kind == IndexKind::Btree
                && index.state == IndexState::Ready
                && index.columns.first() == Some(&column)
        })?;
        let Body::Ordered(ordered) = &self.table.complete_index(definition.id)?.body else {
            return None;
        };
        let cursor = if is_last {
            ordered.entries().previous(ordered.seek(&[key::BEYOND]))
        } else {
            Some(ordered.seek(&[key::PRESENT]))
        };
        let mut sum = Sum::new(aggregate, kind);
        if let Some(entry) = cursor.and_then(|cursor| ordered.entries().at(cursor)) {
            let place = Place(key::split_place(entry.bytes()).1);
            sum.add(self.table.rows.row(place)?.value(column));
        }
        Some(sum)
    }

    /// Takes rows from the source; returns whether all were taken.
    fn rows(
        &self,
        at: &mut Progress,
        budget: &mut Budget,
        out: &mut Partial,
    ) -> Result<bool, TableError> {
        if let Some(Source::Ordered(_)) = at.source {
            return self.ordered(at, budget, out);
        }
        if let (Action::Read(reading), Some(Source::Value { .. }), true, true) =
            (&self.plan.action, &at.source, at.is_exact, at.is_ordered)
        {
            return Ok(self.value_rows(reading, at, budget, out));
        }
        loop {
            if self.is_full(at, out) {
                return Ok(true);
            }
            if budget.look == 0 || budget.write == 0 {
                return Ok(false);
            }
            let Some(batch) = next_batch(self.table, self.plan, at, budget, out)? else {
                return Ok(true);
            };
            self.take(at, &batch, budget, out);
            if out.groups.list.len() > GROUPS_MAX {
                return Err(TableError::other("GROUP BY gives more than 1000000 groups"));
            }
        }
    }

    /// Takes the rows of one value, all of which are wanted; returns whether all were taken.
    fn value_rows(
        &self,
        reading: &Reading,
        at: &mut Progress,
        budget: &mut Budget,
        out: &mut Partial,
    ) -> bool {
        let table = self.table;
        let source = at.source.take();
        let Some(Source::Value { index, key }) = &source else {
            return true;
        };
        let end = self.plan.end_place(table);
        let mut is_done = true;
        if let Some(index) = table.index(*index) {
            index.walk(key.bytes(), &table.rows, at.next, &mut |place| {
                if place.0 >= end || self.is_full(at, out) {
                    return false;
                }
                if budget.look == 0 || budget.write == 0 {
                    at.next = place.0;
                    is_done = false;
                    return false;
                }
                budget.look -= 1;
                if let Some(row) = table.rows.row(place)
                    && !row.chunk.is_dead(row.offset, at.now_ms)
                    && !self.skips(reading, at)
                {
                    budget.write -= 1;
                    self.write(reading, place, row, out);
                }
                true
            });
        }
        at.source = source;
        is_done
    }

    fn take(&self, at: &mut Progress, batch: &Batch, budget: &mut Budget, out: &mut Partial) {
        match &self.plan.action {
            Action::Count => out.count += u64_from(bits::count(&batch.mask)),
            Action::Group(grouping) => self.take_groups(grouping, batch, out),
            Action::Read(reading) if at.is_ordered => {
                self.take_rows(reading, at, batch, budget, out);
            }
            Action::Read(reading) => self.take_keys(reading, at, batch, out),
            Action::Insert(_) | Action::Update(_) | Action::Delete { .. } => {}
        }
    }

    fn take_rows(
        &self,
        reading: &Reading,
        at: &mut Progress,
        batch: &Batch,
        budget: &mut Budget,
        out: &mut Partial,
    ) {
        let Some(chunk) = self.table.rows.chunk(batch.number) else {
            return;
        };
        for offset in bits::offsets(&batch.mask) {
            let place = Place::at(batch.number, offset);
            if self.is_full(at, out) || budget.write == 0 {
                at.next = place.0;
                return;
            }
            if self.skips(reading, at) {
                continue;
            }
            budget.write -= 1;
            let row = Row { chunk, offset };
            self.write(reading, place, row, out);
        }
    }

    /// Returns whether a row belongs to OFFSET. Over several shards that is decided when joining.
    fn skips(&self, reading: &Reading, at: &mut Progress) -> bool {
        let skips = !self.plan.is_spread() && at.skipped < reading.offset;
        at.skipped += u64::from(skips);
        skips
    }

    fn write(&self, reading: &Reading, place: Place, row: Row<'_>, out: &mut Partial) {
        let at = (place, row);
        write_row(self.table, self.plan, &reading.output, at, self.encode, out);
    }

    fn is_full(&self, at: &Progress, out: &Partial) -> bool {
        match &self.plan.action {
            Action::Read(reading) if at.sorter.is_none() || at.stage == Stage::Sorted => {
                let more = if self.plan.is_spread() {
                    reading.offset
                } else {
                    0
                };
                let limit = reading.limit.map(|limit| limit.saturating_add(more));
                limit.is_some_and(|limit| out.encoded >= limit)
            }
            Action::Read(_)
            | Action::Group(_)
            | Action::Count
            | Action::Insert(_)
            | Action::Update(_)
            | Action::Delete { .. } => false,
        }
    }

    fn take_keys(&self, reading: &Reading, at: &mut Progress, batch: &Batch, out: &mut Partial) {
        let (Some(sorter), Some(chunk)) = (&mut at.sorter, self.table.rows.chunk(batch.number))
        else {
            return;
        };
        for offset in bits::offsets(&batch.mask) {
            let place = Place::at(batch.number, offset);
            out.scratch.clear();
            let row = Row { chunk, offset };
            push_sort_key(self.table, &reading.order, place, row, &mut out.scratch);
            sorter.push(&out.scratch, place.0);
        }
    }

    fn take_groups(&self, grouping: &Grouping, batch: &Batch, out: &mut Partial) {
        let Some(chunk) = self.table.rows.chunk(batch.number) else {
            return;
        };
        if grouping.by.is_empty() {
            self.take_one_group(grouping, batch, out);
            return;
        }
        let mut key = Vec::new();
        for offset in bits::offsets(&batch.mask) {
            let place = Place::at(batch.number, offset);
            let row = Row { chunk, offset };
            key.clear();
            let values = || {
                let by = grouping.by.iter();
                by.map(|&operand| value_of(self.table, operand, place, row))
            };
            push_group_key(&mut key, values());
            let by = || -> Vec<Datum> {
                let kinds = grouping.by.iter().map(|operand| operand.kind());
                let pairs = kinds.zip(values());
                pairs
                    .map(|(kind, value)| match value {
                        Some(value) => scalar::datum_of(kind, value),
                        None => Datum::Null,
                    })
                    .collect()
            };
            let group = out.groups.group(&key, || new_group(grouping, &key, by()));
            for (sum, (_, operand)) in group.sums.iter_mut().zip(&grouping.aggregates) {
                match operand {
                    None => sum.add_rows(1),
                    Some(operand) => sum.add(value_of(self.table, *operand, place, row)),
                }
            }
        }
    }

    /// The same for all rows as one group: a column after the other.
    fn take_one_group(&self, grouping: &Grouping, batch: &Batch, out: &mut Partial) {
        let Some(chunk) = self.table.rows.chunk(batch.number) else {
            return;
        };
        let group = out
            .groups
            .group(&[], || new_group(grouping, &[], Vec::new()));
        for (sum, (_, operand)) in group.sums.iter_mut().zip(&grouping.aggregates) {
            match operand {
                None => sum.add_rows(u64_from(bits::count(&batch.mask))),
                Some(operand) => {
                    for offset in bits::offsets(&batch.mask) {
                        let place = Place::at(batch.number, offset);
                        sum.add(value_of(self.table, *operand, place, Row { chunk, offset }));
                    }
                }
            }
        }
    }

    /// Takes rows in the order of an index; returns whether all were taken.
    fn ordered(
        &self,
        at: &mut Progress,
        budget: &mut Budget,
        out: &mut Partial,
    ) -> Result<bool, TableError> {
        let Action::Read(reading) = &self.plan.action else {
            return Ok(true);
        };
        loop {
            if self.is_full(at, out) {
                return Ok(true);
            }
            if budget.look == 0 || budget.write == 0 {
                return Ok(false);
            }
            let Some(Source::Ordered(walk)) = &mut at.source else {
                return Ok(true);
            };
            let Some(place) = walk.next(self.table) else {
                return Ok(true);
            };
            budget.look -= 1;
            let Some(row) = self.table.rows.row(place) else {
                continue;
            };
            let id = self.table.id(place).0;
            let is_asked = (self.plan.ids.0..=self.plan.ids.1).contains(&id);
            if !is_asked || row.chunk.is_dead(row.offset, at.now_ms) {
                continue;
            }
            if !at.is_exact {
                look(self.plan, out, 1)?;
                let mut mask: Bits = [0; bits::WORDS];
                bits::set(&mut mask, row.offset);
                let filter = &self.plan.filter;
                evaluate::narrow(self.table, place.chunk(), row.chunk, filter, &mut mask);
                if bits::is_empty(&mask) {
                    continue;
                }
            }
            if !self.skips(reading, at) {
                budget.write -= 1;
                self.write(reading, place, row, out);
            }
        }
    }

    /// Writes sorted rows; returns whether all were written.
    fn sorted(&self, at: &mut Progress, budget: &mut Budget, out: &mut Partial) -> bool {
        let Action::Read(reading) = &self.plan.action else {
            return true;
        };
        loop {
            if self.is_full(at, out) {
                return true;
            }
            if budget.write == 0 {
                return false;
            }
            let Some((_, place)) = at.sorter.as_mut().and_then(Sorter::pop) else {
                return true;
            };
            let place = Place(place);
            let Some(row) = self.table.rows.row(place) else {
                continue;
            };
            budget.write -= 1;
            if !self.skips(reading, at) {
                self.write(reading, place, row, out);
            }
        }
    }
}

fn new_group(grouping: &Grouping, key: &[u8], by: Vec<Datum>) -> Group {
    let sums = grouping.aggregates.iter().map(|(aggregate, operand)| {
        let kind = operand.map_or(crate::datum::ColumnType::Integer, Operand::kind);
        Sum::new(*aggregate, kind)
    });
    Group {
        key: key.into(),
        by,
        sums: sums.collect(),
    }
}

/// Writes a row behind the others; with its key and id if shards are joined.
pub(super) fn write_row(
    table: &Table,
    plan: &Plan,
    output: &Output,
    (place, row): (Place, Row<'_>),
    encode: &impl Encode,
    out: &mut Partial,
) {
    let (bytes, scratch) = (&mut out.bytes, &mut out.scratch);
    let begin = bytes.len();
    let mut writer = RowWriter {
        table,
        encode,
        out: &mut *bytes,
        scratch: &mut *scratch,
        form: &mut out.form,
    };
    writer.row(output, place, row);
    out.encoded += 1;
    if plan.is_spread() {
        scratch.clear();
        if let Action::Read(reading) = &plan.action {
            push_sort_key(table, &reading.order, place, row, scratch);
        }
        out.marks.push(Mark {
            key: Key::new(scratch),
            id: table.id(place).0,
            begin,
            end: bytes.len(),
        });
    }
}

/// Returns how many rows a way leads to here, for people.
pub(crate) fn estimate(table: &Table, plan: &Plan) -> u64 {
    if plan.ids.0 > plan.ids.1 || matches!(plan.filter, Filter::False) {
        return 0;
    }
    let chosen = access::choose(table, &plan.ways);
    filter::ids_in(plan.ids.0, plan.ids.1, chosen.rows)
}

/// Returns the index whose order a plan's rows come in, if they do.
pub(crate) fn ordered_index(table: &Table, plan: &Plan, access: &Access) -> Option<IndexId> {
    source::ordered_walk(table, plan, access).map(|walk| walk.index())
}
