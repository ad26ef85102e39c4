//! A table without its rows.
//!
//! ```text
//!   schema   id | version number | name string | last row number | next column number | next index number
//!            | shards number, 0: all rows at home | count number | column ... | count number | index ...
//!   column   number | type u8 | name string | type as declared string | marks u8 | default cell, if marked
//!   index    number | kind u8: 1 hash, 2 btree | marks u8 | count number | columns, numbers
//!
//!   type     1 string  2 integer  3 float  4 date  5 bool  6 timestamp
//!   marks    of a column: 1 NOT NULL, 2 has a default        of an index: 1 unique, 2 primary, 4 not complete
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base::cast::u64_from;
use base::limits::{
    COLUMN_NAME_BYTES_MAX, INDEX_COLUMNS_MAX, TABLE_COLUMNS_MAX, TABLE_INDEXES_MAX,
};

use super::{Damaged, Source, put_number, put_string, row};
use crate::datum::ColumnType;
use crate::name::TableName;
use crate::schema::{
    Column, ColumnId, Index, IndexId, IndexKind, IndexState, Layout, Schema, TableId,
};

const KINDS: [(u8, ColumnType); 6] = [
    (1, ColumnType::String),
    (2, ColumnType::Integer),
    (3, ColumnType::Float),
    (4, ColumnType::Date),
    (5, ColumnType::Bool),
    (6, ColumnType::Timestamp),
];

const NOT_NULL: u8 = 1;
const WITH_DEFAULT: u8 = 2;

const HASH: u8 = 1;
const BTREE: u8 = 2;

const UNIQUE: u8 = 1;
const PRIMARY: u8 = 2;
const BUILDING: u8 = 4;

/// Bytes of the shortest column, and of the shortest index.
const PART_BYTES_MIN: usize = 4;

const WRONG_COLUMN: Damaged = Damaged("a column of a table is none");
const WRONG_INDEX: Damaged = Damaged("an index of a table is none");

/// Where the last ids of rows are counted while data is loaded: one counter per table for all shards.
pub trait Counters {
    /// Returns the counter of a table.
    fn counter(&mut self, table: TableId) -> Arc<AtomicU64>;
}

impl Counters for base::hash::Map<TableId, Arc<AtomicU64>> {
    fn counter(&mut self, table: TableId) -> Arc<AtomicU64> {
        Arc::clone(self.entry(table).or_default())
    }
}

pub(crate) fn put_id(out: &mut Vec<u8>, id: TableId) {
    out.extend_from_slice(&id.0.to_le_bytes());
}

pub(crate) fn id(source: &mut Source<'_>) -> Result<TableId, Damaged> {
    source.array().map(u64::from_le_bytes).map(TableId)
}

/// Appends a schema; `last_row` is the id of its last row so far.
pub(crate) fn put_with(out: &mut Vec<u8>, schema: &Schema, last_row: u64) {
    put_id(out, schema.id);
    put_number(out, schema.version);
    put_string(out, &schema.name);
    put_number(out, last_row);
    put_number(out, u64::from(schema.next_column));
    put_number(out, u64::from(schema.next_index));
    let shards = match schema.layout {
        Layout::Home => 0,
        Layout::Spread { shards } => shards,
    };
    put_number(out, u64::from(shards));
    put_number(out, u64_from(schema.columns.len()));
    for column in &schema.columns {
        put_column(out, column);
    }
    put_number(out, u64_from(schema.indexes.len()));
    for index in &schema.indexes {
        put_index(out, index);
    }
}

/// Appends a schema.
pub(crate) fn put(out: &mut Vec<u8>, schema: &Schema) {
    put_with(out, schema, schema.last_row.load(Ordering::Relaxed));
}

fn put_column(out: &mut Vec<u8>, column: &Column) {
    put_number(out, u64::from(column.id.0));
    let kind = KINDS.iter().find(|(_, kind)| *kind == column.kind);
    out.push(kind.map_or(0, |(code, _)| *code));
    put_string(out, &column.name);
    put_string(out, &column.kind_text);
    let not_null = if column.not_null { NOT_NULL } else { 0 };
    match &column.default {
        None => out.push(not_null),
        Some(cell) => {
            out.push(not_null | WITH_DEFAULT);
            row::put_cell(out, column.id, cell);
        }
    }
}

fn put_index(out: &mut Vec<u8>, index: &Index) {
    put_number(out, u64::from(index.id.0));
    out.push(match index.kind {
        IndexKind::Hash => HASH,
        IndexKind::Btree => BTREE,
    });
    let marks = [
        (index.unique, UNIQUE),
        (index.primary, PRIMARY),
        (index.state == IndexState::Building, BUILDING),
    ];
    let marks = marks.iter().filter(|(is_set, _)| *is_set);
    out.push(marks.fold(0, |all, (_, mark)| all | mark));
    put_number(out, u64_from(index.columns.len()));
    for column in &index.columns {
        put_number(out, u64::from(column.0));
    }
}

/// Reads a schema, whose rows are counted by the counter of its table.
pub(crate) fn read(
    source: &mut Source<'_>,
    counters: &mut dyn Counters,
) -> Result<Schema, Damaged> {
    let id = id(source)?;
    let version = source.number()?;
    let name: Box<[u8]> = source.string()?.into();
    if !name.contains(&b'.') || TableName::split(&name).check().is_err() {
        return Err(Damaged("a table has a name that none can have"));
    }
    let last = source.number()?;
    let next_column = source.narrow()?;
    let next_index = source.narrow()?;
    let layout = match source.narrow()? {
        0 => Layout::Home,
        shards => Layout::Spread { shards },
    };
    let columns = columns(source, next_column)?;
    let indexes = indexes(source, &columns, next_index)?;
    let last_row = counters.counter(id);
    last_row.fetch_max(last, Ordering::Relaxed);
    Ok(Schema {
        id,
        version,
        name,
        columns,
        indexes,
        layout,
        last_row,
        next_column,
        next_index,
    })
}

fn columns(source: &mut Source<'_>, next: u16) -> Result<Vec<Column>, Damaged> {
    let count = source.count(PART_BYTES_MIN)?;
    if count == 0 || count > TABLE_COLUMNS_MAX {
        return Err(WRONG_COLUMN);
    }
    let mut columns: Vec<Column> = Vec::with_capacity(count);
    for _ in 0..count {
        let column = column(source)?;
        let is_double = |other: &Column| other.id == column.id || other.name == column.name;
        if column.id.0 >= next || columns.iter().any(is_double) {
            return Err(WRONG_COLUMN);
        }
        columns.push(column);
    }
    Ok(columns)
}

fn column(source: &mut Source<'_>) -> Result<Column, Damaged> {
    let id = ColumnId(source.narrow()?);
    let code = source.byte()?;
    let kind = KINDS.iter().find(|(known, _)| *known == code);
    let (_, kind) = *kind.ok_or(WRONG_COLUMN)?;
    let name = source.string()?;
    if name.len() > COLUMN_NAME_BYTES_MAX {
        return Err(WRONG_COLUMN);
    }
    let kind_text = source.string()?;
    if ColumnType::of_word(kind_text) != Some(kind) {
        return Err(WRONG_COLUMN);
    }
    let marks = source.byte()?;
    if marks > NOT_NULL | WITH_DEFAULT {
        return Err(WRONG_COLUMN);
    }
    let default = if marks & WITH_DEFAULT == 0 {
        None
    } else {
        let (column, cell) = row::cell(source)?;
        if column != id || cell.datum.kind() != Some(kind) {
            return Err(WRONG_COLUMN);
        }
        Some(cell)
    };
    Ok(Column {
        id,
        name: name.into(),
        kind,
        kind_text: kind_text.into(),
        not_null: marks & NOT_NULL != 0,
        default,
    })
}

fn indexes(source: &mut Source<'_>, columns: &[Column], next: u16) -> Result<Vec<Index>, Damaged> {
    let count = source.count(PART_BYTES_MIN)?;
    if count > TABLE_INDEXES_MAX {
        return Err(WRONG_INDEX);
    }
    let mut indexes: Vec<Index> = Vec::with_capacity(count);
    for _ in 0..count {
        let index = index(source)?;
        let is_column = |id: &ColumnId| columns.iter().any(|column| column.id == *id);
        let is_double = indexes.iter().any(|other| other.id == index.id);
        let is_second = index.primary && indexes.iter().any(|other| other.primary);
        if index.id.0 >= next || is_double || is_second || !index.columns.iter().all(is_column) {
            return Err(WRONG_INDEX);
        }
        indexes.push(index);
    }
    Ok(indexes)
}

fn index(source: &mut Source<'_>) -> Result<Index, Damaged> {
    let id = IndexId(source.narrow()?);
    let kind = match source.byte()? {
        HASH => IndexKind::Hash,
        BTREE => IndexKind::Btree,
        _ => return Err(WRONG_INDEX),
    };
    let marks = source.byte()?;
    let is_primary = marks & PRIMARY != 0;
    if marks > UNIQUE | PRIMARY | BUILDING || (is_primary && marks & UNIQUE == 0) {
        return Err(WRONG_INDEX);
    }
    let count = source.count(1)?;
    if count == 0 || count > INDEX_COLUMNS_MAX {
        return Err(WRONG_INDEX);
    }
    let mut columns = Vec::with_capacity(count);
    for _ in 0..count {
        let column = ColumnId(source.narrow()?);
        if columns.contains(&column) {
            return Err(WRONG_INDEX);
        }
        columns.push(column);
    }
    Ok(Index {
        id,
        columns,
        kind,
        unique: marks & UNIQUE != 0,
        primary: is_primary,
        state: if marks & BUILDING == 0 {
            IndexState::Ready
        } else {
            IndexState::Building
        },
    })
}
