//! Plans: statements bound to one version of a table's schema. Names are found, values converted, ways
//! through indexes listed; a plan is made once and run on every shard that has rows.
//!
//! Invariant: all that can be wrong with a statement, apart from the rows it meets (unique values,
//! arithmetic, limits), is found here.
//!
//! Not here: running a plan (`executor`), joining the results of shards (`merge`).

pub(crate) mod access;
pub(crate) mod assign;
pub(crate) mod filter;
mod like;

use std::sync::Arc;

use crate::error::TableError;
use crate::schema::{ColumnId, IndexId, IndexKind, IndexState, Layout, RowId, Schema};
use crate::statement::{
    Aggregate, Assignment, Condition, Delete, Insert, Item, OnConflict, OrderBy, RowExpiry, Select,
    Statement, Update,
};
use crate::table::Table;

use access::Candidate;
use assign::{Assigned, NewRow, is_summable};
use filter::{Filter, Operand, Test};

/// The name of the row's id in conditions and replies.
pub const ID_NAME: &[u8] = b"_id";

/// Bounds that a server sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most rows that a condition may look at where no index answers it: `max_scan_limit`.
    pub scan_rows_max: u64,
}

/// A statement that can be run.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(crate) schema: Arc<Schema>,
    pub(crate) action: Action,
    pub(crate) filter: Filter,
    /// The ids that come into question.
    pub(crate) ids: (u64, u64),
    pub(crate) ways: Vec<Candidate>,
    pub(crate) limits: Limits,
}

/// What a plan does.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    Read(Reading),
    Group(Grouping),
    Count,
    Insert(Inserting),
    Update(Updating),
    Delete { returning: Option<Output> },
}

/// What a reply has of a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Output {
    /// All columns that the row has, in the order in which it got them.
    All,
    /// These, with their names.
    Items(Vec<(Box<[u8]>, Operand)>),
}

/// A plan that gives rows.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    pub(crate) output: Output,
    /// By what they are ordered; then, and without it, by id.
    pub(crate) order: Vec<(Operand, bool)>,
    pub(crate) limit: Option<u64>,
    pub(crate) offset: u64,
    /// Ordered indexes that have this order, behind so many columns that must be equal.
    pub(crate) ordered_by: Vec<(IndexId, usize)>,
}

/// A plan that gives groups.
#[derive(Clone, Debug)]
pub(crate) struct Grouping {
    /// What rows of a group have in common; without any, all rows are one group.
    pub(crate) by: Vec<Operand>,
    pub(crate) aggregates: Vec<(Aggregate, Option<Operand>)>,
    /// What the reply has of a group, with names.
    pub(crate) output: Vec<(Box<[u8]>, GroupItem)>,
    pub(crate) order: Vec<(GroupItem, bool)>,
    pub(crate) limit: Option<u64>,
    pub(crate) offset: u64,
}

/// A part of a group, by position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GroupItem {
    By(usize),
    Aggregate(usize),
}

/// A plan that inserts.
#[derive(Clone, Debug)]
pub(crate) struct Inserting {
    pub(crate) rows: Vec<NewRow>,
    pub(crate) conflict: Conflict,
    pub(crate) expiry: Option<RowExpiry>,
    pub(crate) returning: Option<Output>,
}

/// What to do with a row whose value is there already.
#[derive(Clone, Debug)]
pub(crate) enum Conflict {
    Fail,
    Skip(IndexId),
    /// Without assignments: all values of the new row.
    Update(IndexId, Option<Vec<Assigned>>),
}

/// A plan that changes rows.
#[derive(Clone, Debug)]
pub(crate) struct Updating {
    pub(crate) assignments: Vec<Assigned>,
    pub(crate) expiry: Option<RowExpiry>,
    pub(crate) returning: Option<Output>,
}

impl Plan {
    /// Binds a statement to a table.
    ///
    /// # Errors
    ///
    /// What is wrong with its names, values and clauses. Whether a value is unique shows when it runs.
    pub fn new(
        schema: &Arc<Schema>,
        statement: &Statement<'_>,
        limits: Limits,
    ) -> Result<Self, TableError> {
        match statement {
            Statement::Select(select) => Self::select(schema, select, limits),
            Statement::Count(count) => {
                Self::with_condition(schema, Action::Count, count.condition.as_ref(), limits)
            }
            Statement::Get(get) => {
                let select = Select {
                    items: get.items.clone(),
                    ..Select::default()
                };
                let mut plan = Self::select(schema, &select, limits)?;
                plan.ids = (get.id.0, get.id.0);
                Ok(plan)
            }
            Statement::Insert(insert) => Self::insert(schema, insert, limits),
            Statement::Update(update) => Self::update(schema, update, limits),
            Statement::Delete(delete) => Self::delete(schema, delete, limits),
        }
    }

    fn with_condition(
        schema: &Arc<Schema>,
        action: Action,
        condition: Option<&Condition<'_>>,
        limits: Limits,
    ) -> Result<Self, TableError> {
        let filter = match condition {
            Some(condition) => Filter::bind(schema, condition)?,
            None => Filter::True,
        };
        let (first, last, filter) = filter::split_ids(filter);
        let ways = access::candidates(schema, &filter);
        Ok(Self {
            schema: Arc::clone(schema),
            action,
            filter,
            ids: (first, last),
            ways,
            limits,
        })
    }

    fn select(
        schema: &Arc<Schema>,
        select: &Select<'_>,
        limits: Limits,
    ) -> Result<Self, TableError> {
        let is_grouped = !select.group_by.is_empty()
            || select
                .items
                .iter()
                .any(|item| matches!(item, Item::Aggregate(..)));
        let action = if is_grouped {
            Action::Group(bind_groups(schema, select)?)
        } else {
            Action::Read(Reading {
                output: bind_output(schema, &select.items)?,
                order: bind_order(schema, &select.order_by)?,
                limit: select.limit,
                offset: select.offset,
                ordered_by: Vec::new(),
            })
        };
        let mut plan = Self::with_condition(schema, action, select.condition.as_ref(), limits)?;
        if let Some(after) = select.after {
            plan.ids.0 = plan.ids.0.max(after.0.saturating_add(1));
        }
        if let Action::Read(reading) = &mut plan.action {
            reading.ordered_by = ordered_by(schema, &plan.filter, &reading.order);
        }
        Ok(plan)
    }

    fn insert(
        schema: &Arc<Schema>,
        insert: &Insert<'_>,
        limits: Limits,
    ) -> Result<Self, TableError> {
        let rows: Result<Vec<_>, _> = insert
            .rows
            .iter()
            .map(|row| assign::bind_row(schema, row))
            .collect();
        let conflict = match &insert.on_conflict {
            OnConflict::Fail => Conflict::Fail,
            OnConflict::Nothing { column } => Conflict::Skip(unique_index(schema, column)?),
            OnConflict::Update {
                column,
                assignments,
            } => {
                let assigned = if assignments.is_empty() {
                    None
                } else {
                    Some(assign::bind_set(schema, assignments)?)
                };
                Conflict::Update(unique_index(schema, column)?, assigned)
            }
        };
        let action = Action::Insert(Inserting {
            rows: rows?,
            conflict,
            expiry: insert.expiry,
            returning: bind_returning(schema, insert.returning.as_deref())?,
        });
        Self::with_condition(schema, action, None, limits)
    }

    fn update(
        schema: &Arc<Schema>,
        update: &Update<'_>,
        limits: Limits,
    ) -> Result<Self, TableError> {
        let assignments: &[Assignment<'_>] = &update.assignments;
        let action = Action::Update(Updating {
            assignments: assign::bind_set(schema, assignments)?,
            expiry: update.expiry,
            returning: bind_returning(schema, update.returning.as_deref())?,
        });
        Self::with_condition(schema, action, update.condition.as_ref(), limits)
    }

    fn delete(
        schema: &Arc<Schema>,
        delete: &Delete<'_>,
        limits: Limits,
    ) -> Result<Self, TableError> {
        let returning = bind_returning(schema, delete.returning.as_deref())?;
        let action = Action::Delete { returning };
        Self::with_condition(schema, action, delete.condition.as_ref(), limits)
    }

    /// Returns the schema it was made for.
    #[must_use]
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// Returns whether it changes rows.
    #[must_use]
    pub fn is_write(&self) -> bool {
        match self.action {
            Action::Insert(_) | Action::Update(_) | Action::Delete { .. } => true,
            Action::Read(_) | Action::Group(_) | Action::Count => false,
        }
    }

    /// Returns whether the rows that a shard writes are the answer as they stand: rows, of a table of which
    /// that shard has all.
    #[must_use]
    pub fn answers_in_order(&self) -> bool {
        matches!(self.action, Action::Read(_)) && !self.is_spread()
    }

    /// Returns the only row that can be concerned, if the condition says which one: then only its shard
    /// need be asked.
    #[must_use]
    pub fn only_row(&self) -> Option<RowId> {
        let is_insert = matches!(self.action, Action::Insert(_));
        (!is_insert && self.ids.0 == self.ids.1).then_some(RowId(self.ids.0))
    }

    /// As [`Plan::only_row`], if moreover no other row can be in the way: the row gets no value that must be
    /// unique.
    #[must_use]
    pub fn concerned_row(&self) -> Option<RowId> {
        let row = self.only_row()?;
        (!self.sets_unique()).then_some(row)
    }

    /// Returns whether it is an UPDATE that sets a column of a unique index.
    fn sets_unique(&self) -> bool {
        match &self.action {
            Action::Update(update) => {
                let mut assigned = update.assignments.iter();
                assigned.any(|assigned| self.is_in_unique(assigned.column))
            }
            Action::Read(_)
            | Action::Group(_)
            | Action::Count
            | Action::Insert(_)
            | Action::Delete { .. } => false,
        }
    }

    /// Returns whether it changes rows that are there, to what does not depend on any row.
    pub(crate) fn changes_plainly(&self) -> bool {
        match &self.action {
            Action::Update(update) => {
                let mut assigned = update.assignments.iter();
                let is_fixed =
                    assigned.all(|assigned| matches!(assigned.value, assign::NewCell::Fixed(_)));
                is_fixed && !self.sets_unique()
            }
            Action::Delete { .. } => true,
            Action::Read(_) | Action::Group(_) | Action::Count | Action::Insert(_) => false,
        }
    }

    /// Returns the number of rows that it inserts.
    #[must_use]
    pub fn insert_count(&self) -> usize {
        match &self.action {
            Action::Insert(insert) => insert.rows.len(),
            Action::Read(_)
            | Action::Group(_)
            | Action::Count
            | Action::Update(_)
            | Action::Delete { .. } => 0,
        }
    }

    /// Returns whether other shards must be asked before it may change anything: it could still fail on one
    /// of them, for a value that is not unique, for arithmetic, for too many rows to look at.
    #[must_use]
    pub fn needs_check(&self) -> bool {
        let has_condition = !matches!(self.filter, Filter::True);
        match &self.action {
            Action::Insert(_) => self.schema.indexes.iter().any(|index| index.unique),
            Action::Update(update) => {
                has_condition
                    || self.sets_unique()
                    || update
                        .assignments
                        .iter()
                        .any(|assigned| matches!(assigned.value, assign::NewCell::Computed { .. }))
            }
            Action::Delete { .. } => has_condition,
            Action::Read(_) | Action::Group(_) | Action::Count => false,
        }
    }

    /// Returns the place behind the last row that comes into question.
    pub(crate) fn end_place(&self, table: &Table) -> u64 {
        match self.ids.1.checked_add(1) {
            Some(id) => table.place_from(id),
            None => u64::MAX,
        }
    }

    /// Returns whether a unique index has the column.
    pub(crate) fn is_in_unique(&self, column: ColumnId) -> bool {
        let indexes = self.schema.indexes.iter();
        indexes
            .filter(|index| index.unique)
            .any(|index| index.columns.contains(&column))
    }

    /// Returns whether rows of several shards are joined, so that each needs its key and its id.
    pub(crate) fn is_spread(&self) -> bool {
        matches!(self.schema.layout, Layout::Spread { .. })
    }
}

/// Returns the unique index whose columns are written so: names with commas between them.
fn unique_index(schema: &Schema, columns: &[u8]) -> Result<IndexId, TableError> {
    let names = columns.split(|&byte| byte == b',');
    let ids: Result<Vec<ColumnId>, TableError> = names
        .map(|name| {
            let column = schema.column(name).ok_or(TableError::ColumnOrType)?;
            Ok(column.id)
        })
        .collect();
    let ids = ids?;
    let is_it = |index: &&crate::schema::Index| index.unique && index.columns == ids;
    match schema.indexes.iter().find(is_it) {
        Some(index) => Ok(index.id),
        None => Err(TableError::other(
            "ON CONFLICT needs the columns of a unique index",
        )),
    }
}

fn bind_returning(
    schema: &Schema,
    items: Option<&[Item<'_>]>,
) -> Result<Option<Output>, TableError> {
    items.map(|items| bind_output(schema, items)).transpose()
}

fn bind_output(schema: &Schema, items: &[Item<'_>]) -> Result<Output, TableError> {
    if items.is_empty() {
        return Ok(Output::All);
    }
    let bound: Result<Vec<_>, TableError> = items
        .iter()
        .map(|item| match item {
            Item::Column(name) => Ok(((*name).into(), Operand::find(schema, name)?)),
            Item::Aggregate(..) => Err(TableError::other("aggregates are for SELECT only")),
        })
        .collect();
    bound.map(Output::Items)
}

fn bind_order(
    schema: &Schema,
    order_by: &[OrderBy<'_>],
) -> Result<Vec<(Operand, bool)>, TableError> {
    let mut order: Vec<(Operand, bool)> = Vec::with_capacity(order_by.len());
    for part in order_by {
        let Item::Column(name) = part.item else {
            return Err(TableError::other(
                "ORDER BY of an aggregate needs GROUP BY or an aggregate in COLUMNS",
            ));
        };
        let operand = Operand::find(schema, name)?;
        if !order.iter().any(|(other, _)| *other == operand) {
            order.push((operand, part.descending));
        }
        if operand == Operand::Id {
            // Ids are unique: what comes after them decides nothing.
            break;
        }
    }
    if order == [(Operand::Id, false)] {
        order.clear();
    }
    Ok(order)
}

/// Finds ordered indexes that give rows in the order that is asked for.
fn ordered_by(
    schema: &Schema,
    filter: &Filter,
    order: &[(Operand, bool)],
) -> Vec<(IndexId, usize)> {
    let Some(&(_, descending)) = order.first() else {
        return Vec::new();
    };
    if order.iter().any(|(_, other)| *other != descending) {
        return Vec::new();
    }
    let columns: Option<Vec<ColumnId>> = order
        .iter()
        .map(|(operand, _)| match operand {
            Operand::Column(column, _) => Some(*column),
            Operand::Id => None,
        })
        .collect();
    let Some(columns) = columns else {
        return Vec::new();
    };
    let is_fixed = |column: &ColumnId| {
        filter.parts().iter().any(|part| {
            matches!(part, Filter::Test(Operand::Column(other, _), test)
                if other == column && is_one_value(test))
        })
    };
    let fitting = schema.indexes.iter().filter_map(|index| {
        let is_usable = index.kind == IndexKind::Btree && index.state == IndexState::Ready;
        let fixed = index.columns.iter().take_while(|c| is_fixed(c)).count();
        // Rows of equal values stand in the order of ids only if no other column comes between.
        let is_fitting = |skip: &usize| index.columns[*skip..] == columns[..];
        let skip = (0..=fixed).find(is_fitting)?;
        is_usable.then_some((index.id, skip))
    });
    fitting.collect()
}

fn is_one_value(test: &Test) -> bool {
    match test {
        Test::Scalar {
            low, high, negated, ..
        } => low == high && !negated,
        Test::Texts { values, negated } => values.len() == 1 && !negated,
        Test::Scalars { .. } | Test::Text { .. } | Test::Like { .. } | Test::Null { .. } => false,
    }
}

fn bind_groups(schema: &Schema, select: &Select<'_>) -> Result<Grouping, TableError> {
    if select.after.is_some() {
        return Err(TableError::other("AFTER does not go with groups"));
    }
    let by: Result<Vec<_>, _> = select
        .group_by
        .iter()
        .map(|name| Operand::find(schema, name))
        .collect();
    let mut groups = Grouping {
        by: by?,
        aggregates: Vec::new(),
        output: Vec::new(),
        order: Vec::new(),
        limit: select.limit,
        offset: select.offset,
    };
    for item in &select.items {
        let bound = groups.item(schema, item)?;
        groups.output.push((label(item), bound));
    }
    if select.items.is_empty() {
        for (position, name) in select.group_by.iter().enumerate() {
            groups
                .output
                .push(((*name).into(), GroupItem::By(position)));
        }
    }
    for part in &select.order_by {
        let bound = groups.item(schema, &part.item)?;
        groups.order.push((bound, part.descending));
    }
    Ok(groups)
}

impl Grouping {
    /// Finds a part of a group; an aggregate that is new is added.
    fn item(&mut self, schema: &Schema, item: &Item<'_>) -> Result<GroupItem, TableError> {
        let (aggregate, column) = match item {
            Item::Column(name) => {
                let operand = Operand::find(schema, name)?;
                let position = self.by.iter().position(|other| *other == operand);
                return position.map(GroupItem::By).ok_or_else(|| {
                    TableError::other("a column beside aggregates must stand in GROUP BY")
                });
            }
            Item::Aggregate(aggregate, column) => (*aggregate, column),
        };
        let operand = match column {
            Some(name) => Some(Operand::find(schema, name)?),
            None => None,
        };
        match (aggregate, operand) {
            (Aggregate::Sum | Aggregate::Average, Some(operand))
                if !is_summable(operand.kind()) =>
            {
                return Err(TableError::ColumnOrType);
            }
            (Aggregate::Count, None) | (_, Some(_)) => {}
            (_, None) => return Err(TableError::other("only COUNT goes without a column")),
        }
        let wanted = (aggregate, operand);
        let position = self.aggregates.iter().position(|other| *other == wanted);
        Ok(GroupItem::Aggregate(position.unwrap_or_else(|| {
            self.aggregates.push(wanted);
            self.aggregates.len() - 1
        })))
    }
}

/// Returns the name of an item in replies: the column's, or `SUM(column)`.
fn label(item: &Item<'_>) -> Box<[u8]> {
    match item {
        Item::Column(name) => (*name).into(),
        Item::Aggregate(aggregate, column) => {
            let name: &[u8] = match aggregate {
                Aggregate::Count => b"COUNT",
                Aggregate::Sum => b"SUM",
                Aggregate::Average => b"AVG",
                Aggregate::Minimum => b"MIN",
                Aggregate::Maximum => b"MAX",
            };
            [name, b"(", column.unwrap_or(b"*"), b")"].concat().into()
        }
    }
}

/// Returns the name of an operand, for people.
pub(crate) fn operand_name(schema: &Schema, operand: Operand) -> String {
    let name = match operand {
        Operand::Id => ID_NAME,
        Operand::Column(id, _) => schema
            .column_of(id)
            .map_or(&b"?"[..], |column| &column.name),
    };
    String::from_utf8_lossy(name).into_owned()
}
