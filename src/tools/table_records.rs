//! Changes of tables in a log, for people.
//!
//! Not here: their bytes (`tables::bytes::record`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use base::hash::Map;
use tables::bytes::Damaged;
use tables::bytes::record::Records;
use tables::effects::Record;
use tables::schema::TableId;

/// Says what records do: how many rows of which tables they put and delete, and which schemas change.
///
/// # Errors
///
/// If they are none.
pub(crate) fn describe(records: &[u8]) -> Result<String, Damaged> {
    let mut counters: Map<TableId, Arc<AtomicU64>> = Map::default();
    let mut records = Records::new(records);
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    while let Some(record) = records.next(&mut counters)? {
        let what = match record {
            Record::Schema { db, change } => match change.schema() {
                Some(schema) => format!(
                    "schema of {} in database {}, version {}",
                    schema.name.escape_ascii(),
                    db.0,
                    schema.version
                ),
                None => format!("catalog of database {}", db.0),
            },
            Record::Put { db, table, .. } => put("put", db.0, table),
            Record::Delete { db, table, .. } => put("delete", db.0, table),
            Record::Truncate { db, table } => put("empty", db.0, table),
            Record::Clear { db } => format!("clear database {}", db.0),
        };
        *counts.entry(what).or_default() += 1;
    }
    let counts: Vec<String> = counts
        .into_iter()
        .map(|(what, count)| match count {
            1 => what,
            count => format!("{what} {count} times"),
        })
        .collect();
    Ok(counts.join(", "))
}

fn put(what: &str, db: u16, table: TableId) -> String {
    format!("{what} of table {:016x} in database {db}", table.0)
}
