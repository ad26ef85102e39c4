//! What a table is: its columns, its indexes, where its rows lie.
//!
//! A schema never changes: a change makes a new one with a larger version, the same on all shards.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use base::limits::INDEX_COLUMNS_MAX;

use crate::datum::{Cell, ColumnType};
use crate::error::{TableError, printable};

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

impl Layout {
    /// Returns the row that lies on a shard at a place, see `store`.
    #[inline]
    pub(crate) fn row_at(self, shard: u16, place: u64) -> RowId {
        match self {
            Self::Home => RowId(place + 1),
            Self::Spread { shards } => RowId(place * u64::from(shards.max(1)) + u64::from(shard)),
        }
    }
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

    /// Returns the index of this id.
    #[must_use]
    pub fn index_of(&self, id: IndexId) -> Option<&Index> {
        self.indexes.iter().find(|index| index.id == id)
    }

    /// Returns the indexes of exactly these columns, in this order.
    pub fn indexes_of<'s>(&'s self, columns: &'s [ColumnId]) -> impl Iterator<Item = &'s Index> {
        self.indexes
            .iter()
            .filter(move |index| index.columns == columns)
    }

    /// Returns whether a complete index begins with this column.
    #[must_use]
    pub fn is_indexed(&self, column: ColumnId) -> bool {
        self.indexes
            .iter()
            .any(|index| index.state == IndexState::Ready && index.columns.first() == Some(&column))
    }

    /// Returns the columns that a word names: the one of this name, otherwise those of its parts between
    /// commas, in their order.
    ///
    /// # Errors
    /// [`TableError::ColumnMissing`] if a part is none; an error with a text of its own for a column that
    /// is named twice, and for more than [`INDEX_COLUMNS_MAX`].
    pub fn columns_named(&self, word: &[u8]) -> Result<Vec<ColumnId>, TableError> {
        if let Some(column) = self.column(word) {
            return Ok(vec![column.id]);
        }
        let mut columns = Vec::new();
        for name in word.split(|&byte| byte == b',') {
            let id = self.column(name).ok_or(TableError::ColumnMissing)?.id;
            if columns.contains(&id) {
                return Err(TableError::other("a column stands twice in the index"));
            }
            if columns.len() == INDEX_COLUMNS_MAX {
                return Err(TableError::other("an index has at most 16 columns"));
            }
            columns.push(id);
        }
        Ok(columns)
    }

    /// Returns whether each row must have a value of the column: it is NOT NULL, or belongs to the primary key.
    #[must_use]
    pub fn must_have_value(&self, column: &Column) -> bool {
        let mut indexes = self.indexes.iter();
        column.not_null || indexes.any(|index| index.primary && index.columns.contains(&column.id))
    }

    /// Returns the names of these columns with commas between them, as [`TableError::NotUnique`] has them.
    #[must_use]
    pub fn names_of(&self, columns: &[ColumnId]) -> Box<str> {
        let names: Vec<&[u8]> = columns
            .iter()
            .filter_map(|&id| self.column_of(id))
            .map(|column| &*column.name)
            .collect();
        printable(&names.join(&b','))
    }
}

impl IndexKind {
    /// Returns whether an index of this kind answers all that one of the other kind does.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        self == Self::Btree || other == Self::Hash
    }

    /// Returns its name, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hash => "hash",
            Self::Btree => "btree",
        }
    }
}
