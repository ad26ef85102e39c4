//! What statements and changes of schemas leave for a log, a replica or a snapshot.
//!
//! Images of rows, not statements, so that replay depends on nothing but the records. A swap of databases is the
//! shard's to tell.
//!
//! Not here: their bytes ([`crate::bytes`]).

use base::ids::DbIndex;

use crate::catalog::SchemaChange;
use crate::datum::Cell;
use crate::schema::{ColumnId, RowId, TableId};

/// All that a row is.
#[derive(Clone, Debug, PartialEq)]
pub struct RowImage {
    /// Its id.
    pub id: RowId,
    /// Its values, in the order in which it got its columns; none is missing.
    pub cells: Vec<(ColumnId, Cell)>,
    /// When it ends, in milliseconds since 1970.
    pub end: Option<u64>,
}

/// A change of what a shard holds.
#[derive(Clone, Debug)]
pub enum Record {
    /// A schema is another one now.
    Schema {
        /// Its database.
        db: DbIndex,
        /// What has changed.
        change: SchemaChange,
    },
    /// A row is this now.
    Put {
        /// Its database.
        db: DbIndex,
        /// Its table.
        table: TableId,
        /// The row.
        row: RowImage,
    },
    /// A row is gone.
    Delete {
        /// Its database.
        db: DbIndex,
        /// Its table.
        table: TableId,
        /// The row.
        row: RowId,
    },
    /// A database has no tables any more.
    Clear {
        /// The database.
        db: DbIndex,
    },
    /// All rows of a table are gone on this shard.
    Truncate {
        /// Its database.
        db: DbIndex,
        /// The table.
        table: TableId,
    },
}
