//! What a table is: its columns, its indexes, where its rows lie.
//!
//! A schema never changes: a change makes a new one with a larger version, the same on all shards.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::datum::{Cell, ColumnType};

/// A table, as long as it lives. A table of the same name that is created later has another id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableId(pub u64);

/// A column of a table, as long as it lives: never given again in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ColumnId(pub u16);

/// An index of a table, as long as it lives: never given again in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IndexId(pub u16);

/// A row of a table: 1, 2, 3, ... and never given again while the table lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowId(pub u64);

/// A table.
#[derive(Clone, Debug)]
pub struct Schema {
    /// Its identity.
    pub id: TableId,
    /// Grows with each change of this table.
    pub version: u64,
    /// Its full name, `namespace.table`.
    pub name: Box<[u8]>,
    /// Its columns, in the order of their declaration.
    pub columns: Vec<Column>,
    /// Its indexes.
    pub indexes: Vec<Index>,
    /// Where its rows lie.
    pub layout: Layout,
    /// The id of the row that was inserted last; one for all shards.
    pub last_row: Arc<AtomicU64>,
    /// The id that the next new column gets.
    pub next_column: u16,
    /// The id that the next new index gets.
    pub next_index: u16,
}

/// Where the rows of a table lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// All on the shard of the table's name.
    Home,
    /// Row n on shard `n % shards`.
    Spread {
        /// The number of shards.
        shards: u16,
    },
}

/// A column.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its identity.
    pub id: ColumnId,
    /// Its name.
    pub name: Box<[u8]>,
    /// Its type.
    pub kind: ColumnType,
    /// The word that the type was declared with, in its own spelling.
    pub kind_text: Box<[u8]>,
    /// Whether each row must have a value.
    pub not_null: bool,
    /// The value of a new row that gives none.
    pub default: Option<Cell>,
}

/// An index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// Its identity.
    pub id: IndexId,
    /// What it is ordered by: one or more columns.
    pub columns: Vec<ColumnId>,
    /// What it can answer.
    pub kind: IndexKind,
    /// Whether no two rows may have the same values; rows without one of the values are free.
    pub unique: bool,
    /// Whether it is the primary key: unique, and each row must have all values.
    pub primary: bool,
    /// Whether it holds all rows yet.
    pub state: IndexState,
}

/// What an index can answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexKind {
    /// Equality.
    Hash,
    /// Equality, ranges, prefixes, order.
    Btree,
}

/// How far an index is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexState {
    /// Kept up to date by writes, not yet complete, not yet read. A unique one refuses duplicates
    /// already.
    Building,
    /// Complete.
    Ready,
}

impl Schema {
    /// Returns the column of this name. Cost: linear in the columns.
    #[must_use]
    pub fn column(&self, name: &[u8]) -> Option<&Column> {
        self.columns.iter().find(|column| *column.name == *name)
    }

    /// Returns the column of this id.
    #[must_use]
    pub fn column_of(&self, id: ColumnId) -> Option<&Column> {
        self.columns.iter().find(|column| column.id == id)
    }
}
