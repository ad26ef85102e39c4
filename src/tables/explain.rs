//! What a plan would do here, and what a table is, as data.

use crate::executor::read;
use crate::plan::access::{self, Access};
use crate::plan::{Action, Plan, operand_name};
use crate::schema::{IndexId, IndexKind};
use crate::table::Table;

/// How a plan would run on one shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// How rows are found: `scan`, `row by id`, `index a,b`, `union of 2`, or nothing to look for.
    pub way: String,
    /// How many rows are on that way here.
    pub rows: u64,
    /// Whether the condition must be asked about each of them.
    pub is_filtered: bool,
    /// How they are ordered: `by id`, `by index a`, `sorted by b,c`.
    pub order: String,
}

/// What a shard has of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableInfo {
    /// Rows, dead ones included that were not met yet.
    pub rows: u64,
    /// Rows that carry an end.
    pub ending: u64,
    /// Bytes of rows and indexes.
    pub bytes: u64,
    /// Its indexes.
    pub indexes: Vec<IndexInfo>,
}

/// What a shard has of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexInfo {
    /// Which.
    pub index: IndexId,
    /// Rows that are in it.
    pub rows: u64,
    /// Different values; of a btree, a guess.
    pub values: u64,
    /// Bytes.
    pub bytes: u64,
    /// Whether it has all rows.
    pub is_complete: bool,
}

pub(crate) fn explain(table: &Table, plan: &Plan) -> Explanation {
    let chosen = access::choose(table, &plan.ways);
    let mut rows = read::estimate(table, plan);
    let mut is_filtered = !plan.filter.parts().is_empty() && !chosen.is_exact;
    let way = match &plan.action {
        Action::Insert(insert) => {
            rows = base::cast::u64_from(insert.rows.len());
            "insert".to_owned()
        }
        Action::Read(_)
        | Action::Group(_)
        | Action::Count
        | Action::Update(_)
        | Action::Delete { .. } => {
            if rows == 0 && plan.ids.0 > plan.ids.1 {
                is_filtered = false;
                "nothing".to_owned()
            } else if plan.ids.0 == plan.ids.1 {
                is_filtered = !plan.filter.parts().is_empty();
                "row by id".to_owned()
            } else {
                way_name(table, chosen.access)
            }
        }
    };
    Explanation {
        way,
        rows,
        is_filtered,
        order: order_name(table, plan, chosen.access),
    }
}

fn way_name(table: &Table, access: &Access) -> String {
    match access {
        Access::All => "scan".to_owned(),
        Access::Ids(ids) => format!("{} rows by id", ids.len()),
        Access::Value { index, .. } | Access::Keys { index, .. } | Access::Ranges { index, .. } => {
            format!("index {}", index_name(table, *index))
        }
        Access::Union(branches) => {
            let names: Vec<String> = branches
                .iter()
                .map(|ways| way_name(table, access::choose(table, ways).access))
                .collect();
            format!("union of {}", names.join(", "))
        }
    }
}

/// Returns `btree a,b`, or `hash a`.
fn index_name(table: &Table, id: IndexId) -> String {
    let Some(index) = table.definition(id) else {
        return "?".to_owned();
    };
    let kind = match index.kind {
        IndexKind::Hash => "hash",
        IndexKind::Btree => "btree",
    };
    let columns: Vec<String> = index
        .columns
        .iter()
        .filter_map(|&id| table.schema.column_of(id))
        .map(|column| String::from_utf8_lossy(&column.name).into_owned())
        .collect();
    format!("{kind} {}", columns.join(","))
}

fn order_name(table: &Table, plan: &Plan, access: &Access) -> String {
    let Action::Read(reading) = &plan.action else {
        return "none".to_owned();
    };
    if reading.order.is_empty() {
        return "by id".to_owned();
    }
    if let Some(id) = read::ordered_index(table, plan, access) {
        return format!("by index {}", index_name(table, id));
    }
    let names: Vec<String> = reading
        .order
        .iter()
        .map(|(operand, _)| operand_name(&table.schema, *operand))
        .collect();
    format!("sorted by {}", names.join(","))
}

pub(crate) fn info(table: &Table) -> TableInfo {
    let indexes = table.indexes.iter().map(|index| IndexInfo {
        index: index.id,
        rows: index.rows(),
        values: index.values(),
        bytes: base::cast::u64_from(index.bytes()),
        is_complete: index.built_to == u64::MAX,
    });
    TableInfo {
        rows: table.rows.count(),
        ending: table.rows.ending(),
        bytes: base::cast::u64_from(table.bytes()),
        indexes: indexes.collect(),
    }
}
