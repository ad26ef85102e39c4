//! Changes, one behind the other: what a shard tells a log of its tables.
//!
//! ```text
//!   record   tag u8 | database number | fields
//!
//!   1  put             id | row                      2  delete           id | row number
//!   3  empty           id                            4  clear
//!   5  new namespace   string                        6  namespace gone   string
//!   7  table gone      string | id                   8  truncate         string | id
//!   9  new table       schema                       10  new column       schema | column number
//!  11  column gone     schema | column number | indexes
//!  12  column renamed  schema                       13  table renamed    schema | string: its old name
//!  14  new index       schema | index number        15  index complete   schema | index number
//!  16  indexes gone    schema | indexes             17  spread           schema
//!
//!   indexes   count number | numbers
//! ```
//!
//! A put and a delete are of one row, an empty is of the rows of this shard. The others are changes of the
//! catalog, which all shards have.

use std::sync::Arc;

use base::cast::u64_from;
use base::ids::DbIndex;

use super::schema::{self, Counters};
use super::{Damaged, Source, put_number, put_string, row};
use crate::catalog::SchemaChange;
use crate::effects::{Record, RowImage};
use crate::schema::{ColumnId, IndexId, RowId, TableId};

mod tag {
    pub(super) const PUT: u8 = 1;
    pub(super) const DELETE: u8 = 2;
    pub(super) const EMPTY: u8 = 3;
    pub(super) const CLEAR: u8 = 4;
    pub(super) const CREATE_NAMESPACE: u8 = 5;
    pub(super) const DROP_NAMESPACE: u8 = 6;
    pub(super) const DROP_TABLE: u8 = 7;
    pub(super) const TRUNCATE: u8 = 8;
    pub(super) const CREATE_TABLE: u8 = 9;
    pub(super) const ADD_COLUMN: u8 = 10;
    pub(super) const DROP_COLUMN: u8 = 11;
    pub(super) const RENAME_COLUMN: u8 = 12;
    pub(super) const RENAME_TABLE: u8 = 13;
    pub(super) const ADD_INDEX: u8 = 14;
    pub(super) const INDEX_READY: u8 = 15;
    pub(super) const DROP_INDEX: u8 = 16;
    pub(super) const SPREAD: u8 = 17;
}

fn begin(out: &mut Vec<u8>, tag: u8, db: DbIndex) {
    out.push(tag);
    put_number(out, u64::from(db.0));
}

/// Appends the beginning of a put; the row follows.
pub(crate) fn begin_put(out: &mut Vec<u8>, db: DbIndex, table: TableId) {
    begin(out, tag::PUT, db);
    schema::put_id(out, table);
}

/// Appends a put.
pub(crate) fn put(out: &mut Vec<u8>, db: DbIndex, table: TableId, image: &RowImage) {
    begin_put(out, db, table);
    row::put(out, image);
}

/// Appends a delete.
pub(crate) fn delete(out: &mut Vec<u8>, db: DbIndex, table: TableId, id: RowId) {
    begin(out, tag::DELETE, db);
    schema::put_id(out, table);
    put_number(out, id.0);
}

/// Appends that a table has no rows on this shard any more.
pub(crate) fn empty(out: &mut Vec<u8>, db: DbIndex, table: TableId) {
    begin(out, tag::EMPTY, db);
    schema::put_id(out, table);
}

/// Appends that a database has no tables any more.
pub(crate) fn clear(out: &mut Vec<u8>, db: DbIndex) {
    begin(out, tag::CLEAR, db);
}

/// Appends a change of the catalog.
pub(crate) fn change(out: &mut Vec<u8>, db: DbIndex, change: &SchemaChange) {
    let tag = match change {
        SchemaChange::CreateNamespace { .. } => tag::CREATE_NAMESPACE,
        SchemaChange::DropNamespace { .. } => tag::DROP_NAMESPACE,
        SchemaChange::DropTable { .. } => tag::DROP_TABLE,
        SchemaChange::Truncate { .. } => tag::TRUNCATE,
        SchemaChange::CreateTable { .. } => tag::CREATE_TABLE,
        SchemaChange::AddColumn { .. } => tag::ADD_COLUMN,
        SchemaChange::DropColumn { .. } => tag::DROP_COLUMN,
        SchemaChange::RenameColumn { .. } => tag::RENAME_COLUMN,
        SchemaChange::RenameTable { .. } => tag::RENAME_TABLE,
        SchemaChange::AddIndex { .. } => tag::ADD_INDEX,
        SchemaChange::IndexReady { .. } => tag::INDEX_READY,
        SchemaChange::DropIndex { .. } => tag::DROP_INDEX,
        SchemaChange::Spread { .. } => tag::SPREAD,
    };
    begin(out, tag, db);
    if let Some(after) = change.schema() {
        schema::put(out, after);
    }
    match change {
        SchemaChange::CreateNamespace { name } | SchemaChange::DropNamespace { name } => {
            put_string(out, name);
        }
        SchemaChange::DropTable { name, table } | SchemaChange::Truncate { name, table } => {
            put_string(out, name);
            schema::put_id(out, *table);
        }
        SchemaChange::AddColumn { column, .. } => put_number(out, u64::from(column.0)),
        SchemaChange::DropColumn {
            column, indexes, ..
        } => {
            put_number(out, u64::from(column.0));
            put_indexes(out, indexes);
        }
        SchemaChange::RenameTable { from, .. } => put_string(out, from),
        SchemaChange::AddIndex { index, .. } | SchemaChange::IndexReady { index, .. } => {
            put_number(out, u64::from(index.0));
        }
        SchemaChange::DropIndex { indexes, .. } => put_indexes(out, indexes),
        SchemaChange::CreateTable { .. }
        | SchemaChange::RenameColumn { .. }
        | SchemaChange::Spread { .. } => {}
    }
}

fn put_indexes(out: &mut Vec<u8>, indexes: &[IndexId]) {
    put_number(out, u64_from(indexes.len()));
    for index in indexes {
        put_number(out, u64::from(index.0));
    }
}

/// Reads records, one after the other. After an error there are no more.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    source: Source<'a>,
}

impl<'a> Records<'a> {
    /// Begins to read.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            source: Source::new(bytes),
        }
    }

    /// Reads the next record; nothing behind the last one. Schemas count their rows with `counters`.
    ///
    /// # Errors
    ///
    /// [`Damaged`].
    pub fn next(&mut self, counters: &mut dyn Counters) -> Result<Option<Record>, Damaged> {
        if self.source.is_empty() {
            return Ok(None);
        }
        let read = read(&mut self.source, counters);
        if read.is_err() {
            self.source = Source::new(&[]);
        }
        read.map(Some)
    }
}

fn read(source: &mut Source<'_>, counters: &mut dyn Counters) -> Result<Record, Damaged> {
    let tag = source.byte()?;
    let db = DbIndex(source.narrow()?);
    Ok(match tag {
        tag::PUT => Record::Put {
            db,
            table: schema::id(source)?,
            row: row::read(source)?,
        },
        tag::DELETE => Record::Delete {
            db,
            table: schema::id(source)?,
            row: RowId(source.number()?),
        },
        tag::EMPTY => Record::Truncate {
            db,
            table: schema::id(source)?,
        },
        tag::CLEAR => Record::Clear { db },
        _ => Record::Schema {
            db,
            change: read_change(tag, source, counters)?,
        },
    })
}

fn read_change(
    tag: u8,
    source: &mut Source<'_>,
    counters: &mut dyn Counters,
) -> Result<SchemaChange, Damaged> {
    let name = |source: &mut Source<'_>| source.string().map(Box::from);
    let mut schema = |source: &mut Source<'_>| schema::read(source, counters).map(Arc::new);
    Ok(match tag {
        tag::CREATE_NAMESPACE => SchemaChange::CreateNamespace {
            name: name(source)?,
        },
        tag::DROP_NAMESPACE => SchemaChange::DropNamespace {
            name: name(source)?,
        },
        tag::DROP_TABLE => SchemaChange::DropTable {
            name: name(source)?,
            table: schema::id(source)?,
        },
        tag::TRUNCATE => SchemaChange::Truncate {
            name: name(source)?,
            table: schema::id(source)?,
        },
        tag::CREATE_TABLE => SchemaChange::CreateTable {
            schema: schema(source)?,
        },
        tag::ADD_COLUMN => SchemaChange::AddColumn {
            schema: schema(source)?,
            column: ColumnId(source.narrow()?),
        },
        tag::DROP_COLUMN => SchemaChange::DropColumn {
            schema: schema(source)?,
            column: ColumnId(source.narrow()?),
            indexes: indexes(source)?,
        },
        tag::RENAME_COLUMN => SchemaChange::RenameColumn {
            schema: schema(source)?,
        },
        tag::RENAME_TABLE => SchemaChange::RenameTable {
            schema: schema(source)?,
            from: name(source)?,
        },
        tag::ADD_INDEX => SchemaChange::AddIndex {
            schema: schema(source)?,
            index: IndexId(source.narrow()?),
        },
        tag::INDEX_READY => SchemaChange::IndexReady {
            schema: schema(source)?,
            index: IndexId(source.narrow()?),
        },
        tag::DROP_INDEX => SchemaChange::DropIndex {
            schema: schema(source)?,
            indexes: indexes(source)?,
        },
        tag::SPREAD => SchemaChange::Spread {
            schema: schema(source)?,
        },
        _ => return Err(Damaged("a change of tables is none that is known")),
    })
}

fn indexes(source: &mut Source<'_>) -> Result<Vec<IndexId>, Damaged> {
    let count = source.count(1)?;
    (0..count).map(|_| source.narrow().map(IndexId)).collect()
}
