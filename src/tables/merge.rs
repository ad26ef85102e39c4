//! Joining what shards have found: order, limit, groups; and what all of them must say before rows change.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use base::cast::{u64_from, usize_from};
use base::hash::Map;

use crate::claim::{Claim, Value};
use crate::datum::{Cell, Datum};
use crate::decide::{self, Decision, Stored};
use crate::encode::Encode;
use crate::error::TableError;
use crate::executor::write;
use crate::group::{Group, Groups};
use crate::key::{self, Key};
use crate::partial::Partial;
use crate::plan::{Action, GroupItem, Grouping, Plan};
use crate::scalar;
use crate::schema::{ColumnId, Index, IndexId, RowId};

/// What a statement comes to.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// Rows.
    Rows {
        /// How many.
        count: u64,
        /// The rows, encoded, one after the other; behind what the partial was given to write to.
        bytes: Vec<u8>,
    },
    /// A number of rows.
    Count(u64),
    /// The id of each row of an INSERT; none for those left out.
    Ids(Vec<Option<RowId>>),
}

/// What a statement comes to if that is one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Single {
    /// A number of rows.
    Count(u64),
    /// The id of the only row of an INSERT; none if it was left out.
    Id(Option<RowId>),
}

/// Returns what a statement comes to of which one shard has done all, if that is one number.
#[must_use]
pub fn single(plan: &Plan, part: &Partial) -> Option<Single> {
    match &plan.action {
        Action::Insert(insert) if insert.returning.is_none() && insert.rows.len() == 1 => {
            Some(Single::Id(part.inserted.first().and_then(|(_, id)| *id)))
        }
        Action::Count
        | Action::Update(crate::plan::Updating {
            returning: None, ..
        })
        | Action::Delete { returning: None } => Some(Single::Count(part.count)),
        Action::Insert(_)
        | Action::Update(_)
        | Action::Delete { .. }
        | Action::Read(_)
        | Action::Group(_) => None,
    }
}

/// Joins the parts of all shards that have rows of the table.
///
/// # Errors
///
/// [`TableError::ScanLimit`] if all shards together looked at too many rows (a reading plan);
/// [`TableError::OutOfRange`] for sums that leave 64 bits.
pub fn merge(
    plan: &Plan,
    mut parts: Vec<Partial>,
    encode: &impl Encode,
) -> Result<Answer, TableError> {
    if !plan.is_write() {
        check_looked(plan, &parts)?;
    }
    match &plan.action {
        Action::Count => Ok(Answer::Count(parts.iter().map(|part| part.count).sum())),
        Action::Group(grouping) => groups(grouping, parts, encode),
        Action::Read(reading) => Ok(rows(plan, parts, reading.offset, reading.limit)),
        Action::Insert(insert) if insert.returning.is_none() => {
            let mut ids = vec![None; insert.rows.len()];
            for part in &mut parts {
                for (row, id) in part.inserted.drain(..) {
                    if id.is_some() {
                        ids[row] = id;
                    }
                }
            }
            Ok(Answer::Ids(ids))
        }
        Action::Insert(_)
        | Action::Update(crate::plan::Updating {
            returning: Some(_), ..
        })
        | Action::Delete { returning: Some(_) } => {
            for part in &mut parts {
                part.marks.sort_by_key(|mark| mark.id);
            }
            Ok(rows(plan, parts, 0, None))
        }
        Action::Update(_) | Action::Delete { .. } => {
            Ok(Answer::Count(parts.iter().map(|part| part.count).sum()))
        }
    }
}

fn check_looked(plan: &Plan, parts: &[Partial]) -> Result<(), TableError> {
    let looked: u64 = parts.iter().map(|part| part.looked).sum();
    if looked > plan.limits.scan_rows_max {
        return Err(TableError::ScanLimit);
    }
    Ok(())
}

/// Joins sorted rows.
fn rows(plan: &Plan, mut parts: Vec<Partial>, offset: u64, limit: Option<u64>) -> Answer {
    if !plan.is_spread() {
        let part = parts.pop().unwrap_or_default();
        return Answer::Rows {
            count: part.encoded,
            bytes: part.bytes,
        };
    }
    let mut heads: BinaryHeap<Reverse<(&Key, u64, usize)>> = BinaryHeap::new();
    let mut next = vec![0; parts.len()];
    for (number, part) in parts.iter().enumerate() {
        if let Some(mark) = part.marks.first() {
            heads.push(Reverse((&mark.key, mark.id, number)));
        }
    }
    let whole: usize = parts.iter().map(|part| part.bytes.len()).sum();
    let mut bytes = Vec::with_capacity(if limit.is_some() { 0 } else { whole });
    let (mut skipped, mut count) = (0, 0);
    while let Some(Reverse((_, _, number))) = heads.pop() {
        if limit.is_some_and(|limit| count >= limit) {
            break;
        }
        let part = &parts[number];
        let mark = &part.marks[next[number]];
        next[number] += 1;
        if let Some(following) = part.marks.get(next[number]) {
            heads.push(Reverse((&following.key, following.id, number)));
        }
        if skipped < offset {
            skipped += 1;
            continue;
        }
        count += 1;
        bytes.extend_from_slice(&part.bytes[mark.begin..mark.end]);
    }
    Answer::Rows { count, bytes }
}

fn groups(
    grouping: &Grouping,
    parts: Vec<Partial>,
    encode: &impl Encode,
) -> Result<Answer, TableError> {
    let mut bytes = Vec::new();
    let mut all = Groups::default();
    for mut part in parts {
        if bytes.is_empty() {
            bytes = std::mem::take(&mut part.bytes);
        }
        all.join(part.take_groups());
    }
    let mut sorted = Vec::with_capacity(all.list.len());
    for group in all.list {
        let sums: Result<Vec<Datum>, TableError> =
            group.sums.iter().map(|sum| sum.value()).collect();
        let sums = sums?;
        let mut sort_key = Vec::new();
        for &(item, descending) in &grouping.order {
            let from = sort_key.len();
            key::push(
                &mut sort_key,
                scalar::value_of(item_of(&group, &sums, item)),
            );
            if descending {
                for byte in &mut sort_key[from..] {
                    *byte = !*byte;
                }
            }
        }
        // Groups of equal order, and all without one, by what they have in common.
        sort_key.extend_from_slice(&group.key);
        sorted.push((sort_key, group, sums));
    }
    sorted.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    let offset = usize_from(grouping.offset.min(u64_from(sorted.len())));
    let limit = grouping.limit.map_or(usize::MAX, |limit| {
        usize_from(limit.min(u64_from(sorted.len())))
    });
    let mut count = 0;
    let mut text = Vec::new();
    for (_, group, sums) in sorted.iter().skip(offset).take(limit) {
        count += 1;
        encode.array(&mut bytes, grouping.output.len() * 2);
        for (name, item) in &grouping.output {
            encode.bulk(&mut bytes, name);
            let datum = item_of(group, sums, *item);
            if datum.is_null() {
                encode.null(&mut bytes);
            } else {
                text.clear();
                datum.write_text(&mut text);
                encode.bulk(&mut bytes, &text);
            }
        }
    }
    Ok(Answer::Rows { count, bytes })
}

fn item_of<'g>(group: &'g Group, sums: &'g [Datum], item: GroupItem) -> &'g Datum {
    match item {
        GroupItem::By(position) => &group.by[position],
        GroupItem::Aggregate(position) => &sums[position],
    }
}

/// Looks at what the checks of all shards have found, for an UPDATE or DELETE.
///
/// Returns the values of unique indexes that rows are to get: if there are any, each shard has to say
/// that it has none of them ([`crate::Tables::refuse_claims`]) before the changes begin.
///
/// # Errors
///
/// [`TableError::ScanLimit`], [`TableError::NotUnique`].
pub fn checked(plan: &Plan, parts: &mut [Partial]) -> Result<Vec<Claim>, TableError> {
    check_looked(plan, parts)?;
    let mut claims = Vec::new();
    for part in parts {
        claims.append(&mut part.claims);
    }
    write::refuse_doubles(plan, &mut claims)?;
    Ok(claims)
}

/// What shards have told of their rows, for the rows of an INSERT.
#[derive(Debug, Default)]
pub struct Elsewhere {
    /// By row of the INSERT and unique index: the row that has its values.
    holders: Map<(usize, IndexId), RowId>,
    /// Cells of such rows.
    cells: Map<(RowId, ColumnId), Cell>,
    /// The same for values that stored rows are to get.
    of_values: Map<(IndexId, Vec<u8>), Option<RowId>>,
    /// Those of them that nobody was asked about yet.
    unknown: Vec<(IndexId, Vec<u8>)>,
}

/// What becomes of the rows of an INSERT.
#[derive(Debug, PartialEq, Eq)]
pub enum Decided {
    /// This, row by row. Each shard gets all decisions and acts on its own.
    All(Vec<Decision>),
    /// That depends on who has these values: all shards have to be asked ([`crate::Tables::holders`]).
    Unknown(Vec<Value>),
}

impl Elsewhere {
    /// Takes what the checks of all shards have found. No parts, if the table has no unique index.
    #[must_use]
    pub fn new(parts: &mut [Partial]) -> Self {
        let mut elsewhere = Self::default();
        for part in parts {
            for met in part.met.drain(..) {
                elsewhere.holders.insert((met.row, met.index), met.id);
            }
            for (id, column, cell) in part.met_cells.drain(..) {
                elsewhere.cells.insert((id, column), cell);
            }
        }
        elsewhere
    }

    /// Takes what a shard has said of values: the row that has each of them.
    pub fn add(&mut self, values: &[Value], holders: &[Option<RowId>]) {
        for (value, holder) in values.iter().zip(holders) {
            let known = self.of_values.entry((value.index, value.key.clone()));
            let known = known.or_default();
            *known = known.or(*holder);
        }
    }

    /// Decides what becomes of the rows of an INSERT, and gives them ids.
    ///
    /// # Errors
    ///
    /// [`TableError::NotUnique`]; what arithmetic gives. No id is used up.
    pub fn decide(&mut self, plan: &Plan) -> Result<Decided, TableError> {
        let Action::Insert(insert) = &plan.action else {
            return Ok(Decided::All(Vec::new()));
        };
        if !decide::depends_on_cells(&plan.schema, insert) {
            return decide::decide(plan, insert, self).map(Decided::All);
        }
        let drafts = decide::drafts(plan, insert, self);
        // What was decided as if nobody had them counts for nothing, errors included.
        if !self.unknown.is_empty() {
            let unknown = self.unknown.drain(..);
            let values = unknown.map(|(index, key)| Value { index, key });
            return Ok(Decided::Unknown(values.collect()));
        }
        Ok(Decided::All(decide::with_ids(&plan.schema, &drafts?)))
    }
}

impl Stored for Elsewhere {
    fn holder(&mut self, own: Option<usize>, index: &Index, key: &[u8]) -> Option<RowId> {
        if let Some(row) = own {
            return self.holders.get(&(row, index.id)).copied();
        }
        let value = (index.id, key.to_vec());
        if let Some(known) = self.of_values.get(&value) {
            return *known;
        }
        self.unknown.push(value);
        None
    }

    fn cell(&self, id: RowId, column: ColumnId) -> Cell {
        self.cells.get(&(id, column)).cloned().unwrap_or(Cell::NULL)
    }
}

/// Refuses that two rows have one value of a unique index; for rows that are there already, before the
/// index is declared complete.
///
/// # Errors
///
/// [`TableError::NotUnique`].
pub fn refuse_doubles(
    schema: &crate::schema::Schema,
    mut claims: Vec<Claim>,
) -> Result<(), TableError> {
    claims.sort_unstable();
    for pair in claims.windows(2) {
        if pair[0].index == pair[1].index && pair[0].key == pair[1].key {
            let index = schema.indexes.iter().find(|i| i.id == pair[0].index);
            return Err(match index {
                Some(index) => decide::not_unique(schema, index),
                None => TableError::NotUnique("".into()),
            });
        }
    }
    Ok(())
}
