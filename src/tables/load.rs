//! Tables that come from a file or a log.
//!
//! ```text
//!   file: schemas -> rows in any order         log: records in their order
//!   then: settle, which leaves nothing half made
//! ```
//!
//! Not here: the bytes ([`crate::bytes`]).

use std::sync::Arc;

use base::ids::DbIndex;

use crate::bytes::{Damaged, row, section};
use crate::catalog::SchemaChange;
use crate::effects::{Record, RowImage};
use crate::schema::{IndexId, IndexState, Layout, Schema, TableId};
use crate::{Building, Tables};

/// What [`Tables::settle`] has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Indexes that were under way, whose statements nobody got an answer to; they are gone.
    pub dropped: usize,
    /// Indexes that were given the rows they lacked.
    pub built: usize,
}

impl Schema {
    /// Returns the table for a node of so many shards: rows of a table that was spread lie elsewhere with another
    /// number, and with one shard all are at home.
    #[must_use]
    pub fn for_shards(mut self, shards: u16) -> Self {
        if self.layout != Layout::Home {
            self.layout = match shards {
                0 | 1 => Layout::Home,
                shards => Layout::Spread { shards },
            };
        }
        self
    }
}

impl Tables {
    /// Adds a namespace or a table of a file. O(its columns).
    ///
    /// # Errors
    ///
    /// If it is there already.
    pub fn load_schema(&mut self, db: DbIndex, change: &SchemaChange) -> Result<(), Damaged> {
        self.check_change(db, change)?;
        self.apply(db, change);
        Ok(())
    }

    /// Adds a row of a file, as [`section::RowsOfSection`] has found it.
    ///
    /// # Errors
    ///
    /// [`Damaged`], also for a row that is there already or does not belong here, and for one that a unique index
    /// of this shard refuses.
    pub fn load_row(&mut self, db: DbIndex, table: TableId, bytes: &[u8]) -> Result<(), Damaged> {
        let there = self.table(db, table).ok_or(NO_TABLE)?;
        let image = section::read_row(&there.schema, bytes)?;
        let place = there.place(image.id).ok_or(ELSEWHERE)?;
        if there.rows.row(place).is_some() {
            return Err(Damaged("a row stands there twice"));
        }
        self.put_row(db, table, &image);
        let is_unique = self.with_table(db, table, |table, _| table.is_unique(place));
        match is_unique {
            Some(true) => Ok(()),
            Some(false) | None => Err(Damaged("two rows have the same values in a unique index")),
        }
    }

    /// Carries out a record of another part, which had the same rows before.
    ///
    /// # Errors
    ///
    /// [`Damaged`] if this part was another one.
    pub fn replay(&mut self, record: &Record) -> Result<(), Damaged> {
        match record {
            Record::Schema { db, change } => {
                self.check_change(*db, change)?;
                self.apply(*db, change);
            }
            Record::Put { db, table, row } => self.replay_put(*db, *table, row)?,
            Record::Delete { db, table, row } => {
                let (db, table, id) = (*db, *table, *row);
                // The sweep may have told that a row is dead before the transaction was told that has made it.
                let removed = self.with_table(db, table, |table, changes| {
                    if table.place(id).is_some_and(|place| table.remove(place)) {
                        changes.record_delete(db, table.schema.id, id);
                    }
                });
                removed.ok_or(NO_TABLE)?;
            }
            Record::Truncate { db, table } => {
                let (db, table) = (*db, *table);
                let emptied = self.with_table(db, table, |table, changes| {
                    changes.free(table.truncate());
                    changes.record_empty(db, table.schema.id);
                });
                emptied.ok_or(NO_TABLE)?;
            }
            Record::Clear { db } => self.clear(*db),
        }
        Ok(())
    }

    fn replay_put(&mut self, db: DbIndex, table: TableId, image: &RowImage) -> Result<(), Damaged> {
        let there = self.table(db, table).ok_or(NO_TABLE)?;
        row::check(&there.schema, image)?;
        there.place(image.id).ok_or(ELSEWHERE)?;
        self.put_row(db, table, image);
        Ok(())
    }

    /// Refuses a change that the catalog cannot take.
    fn check_change(&self, db: DbIndex, change: &SchemaChange) -> Result<(), Damaged> {
        let catalog = self.catalog(db);
        let is_there = |table: TableId| self.table(db, table).is_some();
        let is_right = match change {
            SchemaChange::CreateNamespace { name } => !catalog.has_namespace(name),
            SchemaChange::DropNamespace { name } => catalog.has_namespace(name),
            SchemaChange::CreateTable { schema } => {
                let mut databases = self.databases.iter();
                databases.all(|database| !database.tables.contains_key(&schema.id))
                    && catalog.lookup(&schema.name).is_none()
            }
            SchemaChange::DropTable { name, table } | SchemaChange::Truncate { name, table } => {
                let found = catalog.lookup(name);
                found.is_some_and(|schema| schema.id == *table) && is_there(*table)
            }
            SchemaChange::RenameTable { schema, from } => {
                let found = catalog.lookup(from);
                found.is_some_and(|found| found.id == schema.id)
                    && catalog.lookup(&schema.name).is_none()
                    && is_there(schema.id)
            }
            SchemaChange::AddColumn { schema, .. }
            | SchemaChange::DropColumn { schema, .. }
            | SchemaChange::RenameColumn { schema }
            | SchemaChange::AddIndex { schema, .. }
            | SchemaChange::IndexReady { schema, .. }
            | SchemaChange::DropIndex { schema, .. }
            | SchemaChange::Spread { schema } => {
                let found = catalog.lookup(&schema.name);
                found.is_some_and(|found| found.id == schema.id) && is_there(schema.id)
            }
        };
        if is_right {
            Ok(())
        } else {
            Err(Damaged("a change of schemas does not fit what is there"))
        }
    }

    /// Leaves nothing half made: drops indexes that were under way, and gives rows to those that lack some. When
    /// all rows are there. O(rows that indexes lack).
    pub fn settle(&mut self) -> Settled {
        let mut settled = Settled::default();
        for db in (0..).take(self.databases.len()).map(DbIndex) {
            let schemas: Vec<Arc<Schema>> = self.catalog(db).tables().cloned().collect();
            for schema in schemas {
                for index in &schema.indexes {
                    if index.state == IndexState::Building {
                        self.drop_index(db, schema.id, index.id);
                        settled.dropped += 1;
                    } else {
                        settled.built += usize::from(self.complete(db, schema.id, index.id));
                    }
                }
            }
        }
        self.unbuilt.clear();
        settled
    }

    fn drop_index(&mut self, db: DbIndex, table: TableId, index: IndexId) {
        if let Some(change) = self.catalog(db).plan_index_failed(table, index) {
            self.apply(db, &change);
        }
    }

    /// Gives an index the rows it lacks; returns whether it lacked any.
    fn complete(&mut self, db: DbIndex, id: TableId, index: IndexId) -> bool {
        let table = self.table(db, id);
        if table.is_none_or(|table| table.complete_index(index).is_some()) {
            return false;
        }
        // Rows whose time is over, now or later, may have values of others, so no row is refused here that was stored before.
        while self.build_step(db, id, index, (usize::MAX, u64::MAX)) == Building::More {}
        true
    }
}

const NO_TABLE: Damaged = Damaged("a row is of a table that is not there");
const ELSEWHERE: Damaged = Damaged("a row does not belong to this shard");
