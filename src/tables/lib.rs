//! Tables: typed columns, indexes and an SQL-like language; one shard's part of them.
//!
//! ```text
//! words -> statement -> plan -> bounded steps on each shard -> merged answer
//! ```
//!
//! The crate is pure: no clock, no reply format, no knowledge of other shards. What a statement does
//! depends on its words, the catalog and the rows.
//!
//! In reading order: [`datum`], [`schema`] and [`statement`] are the words all share; [`plan`] binds a
//! statement; `store` has rows and `index` finds them, `table` keeps both together; [`executor`] runs a
//! plan, [`decide`] what becomes of new rows, [`merge`] joins the parts of shards; [`effects`] is what
//! changes leave behind.
//!
//! Not here: how statements spread over shards (`coordinator`), what replies look like on the wire
//! (`commands`).

pub mod bytes;
pub mod catalog;
mod changes;
pub mod claim;
pub mod datum;
pub mod decide;
pub mod effects;
pub mod encode;
pub mod error;
pub mod executor;
pub mod explain;
mod form;
mod group;
pub mod help;
mod index;
mod key;
pub mod load;
pub mod merge;
pub mod name;
pub mod parser;
pub mod partial;
pub mod plan;
mod scalar;
pub mod schema;
pub mod snapshot;
mod sorter;
pub mod statement;
mod store;
mod table;
#[cfg(test)]
mod tests;
pub mod unique;
pub mod walk;

use std::sync::atomic::Ordering;

use base::hash::{KeyHasher, Map};
use base::ids::{DbIndex, ShardId};

use catalog::{Catalog, SchemaChange};
use changes::Changes;
use claim::Claim;
use effects::RowImage;
use encode::Encode;
use error::TableError;
use executor::short::Bounds;
use executor::{Budget, Progress, Stepped};
use explain::{Explanation, TableInfo};
use partial::Partial;
use plan::Plan;
use schema::{IndexId, IndexState, RowId, Schema, TableId};
use table::{Built, Table};

/// Draws the id of the row of an INSERT that [`Tables::insert_row`] can store. Nothing for any other.
pub fn draw_row<'w>(schema: &Schema, words: impl Iterator<Item = &'w [u8]>) -> Option<RowId> {
    executor::plain::draw_id(schema, words)
}

/// One shard's part of all tables.
#[derive(Debug)]
pub struct Tables {
    shard: ShardId,
    hasher: KeyHasher,
    databases: Vec<Database>,
    /// What a database is that nobody has used.
    nothing: Catalog,
    changes: Changes,
    /// Of all tables.
    bytes: usize,
    /// Where the sweep goes on: database and table.
    sweep_at: (usize, TableId),
    /// Indexes of columns that came later: nobody reads them until they have all rows.
    unbuilt: Vec<(TableId, IndexId)>,
    /// Tables that a snapshot waits for.
    walking: Vec<TableId>,
}

#[derive(Debug, Default)]
struct Database {
    catalog: Catalog,
    tables: Map<TableId, Table>,
}

/// How far an index is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Building {
    /// There are rows left.
    More,
    /// It has all rows of the shard.
    Done,
    /// Two rows have the same value of a unique index.
    Failed(TableError),
}

impl Tables {
    /// Creates a part without tables. All shards of a node should have the same seed in `hasher`.
    #[must_use]
    pub fn new(shard: ShardId, hasher: KeyHasher) -> Self {
        Self {
            shard,
            hasher,
            databases: Vec::new(),
            nothing: Catalog::default(),
            changes: Changes::default(),
            bytes: 0,
            sweep_at: (0, TableId(0)),
            unbuilt: Vec::new(),
            walking: Vec::new(),
        }
    }

    /// Returns the schemas of a database.
    #[must_use]
    pub fn catalog(&self, db: DbIndex) -> &Catalog {
        match self.databases.get(db.index()) {
            Some(database) => &database.catalog,
            None => &self.nothing,
        }
    }

    fn database(&mut self, db: DbIndex) -> &mut Database {
        if db.index() >= self.databases.len() {
            self.databases
                .resize_with(db.index() + 1, Database::default);
        }
        &mut self.databases[db.index()]
    }

    fn table(&self, db: DbIndex, id: TableId) -> Option<&Table> {
        self.databases.get(db.index())?.tables.get(&id)
    }

    /// Runs `work` on a table and keeps the ledger.
    fn with_table<T>(
        &mut self,
        db: DbIndex,
        id: TableId,
        work: impl FnOnce(&mut Table, &mut Changes) -> T,
    ) -> Option<T> {
        let table = self.databases.get_mut(db.index())?.tables.get_mut(&id)?;
        let before = table.bytes();
        let result = work(table, &mut self.changes);
        self.bytes = self.bytes + table.bytes() - before;
        Some(result)
    }

    /// Carries out a change of schemas that was planned on a catalog equal to this one.
    pub fn apply(&mut self, db: DbIndex, change: &SchemaChange) {
        self.database(db).catalog.apply(change);
        self.changes.record_change(db, change);
        if let SchemaChange::CreateTable { schema } = change {
            let table = Table::new(schema.clone(), self.shard.0, &self.hasher);
            self.bytes += table.bytes();
            self.database(db).tables.insert(schema.id, table);
        } else if let Some(schema) = change.schema() {
            self.with_table(db, schema.id, |table, changes| {
                changes.free(table.adopt(schema.clone()));
            });
            self.note_unbuilt(db, schema);
        }
        match change {
            SchemaChange::DropTable { table, .. } => {
                if let Some(table) = self.database(db).tables.remove(table) {
                    self.bytes -= table.bytes();
                    self.changes.free(table.into_garbage());
                }
            }
            SchemaChange::Truncate { table, .. } => {
                self.with_table(db, *table, |table, changes| {
                    changes.free(table.truncate());
                });
            }
            SchemaChange::CreateNamespace { .. }
            | SchemaChange::DropNamespace { .. }
            | SchemaChange::CreateTable { .. }
            | SchemaChange::AddColumn { .. }
            | SchemaChange::DropColumn { .. }
            | SchemaChange::RenameColumn { .. }
            | SchemaChange::RenameTable { .. }
            | SchemaChange::AddIndex { .. }
            | SchemaChange::IndexReady { .. }
            | SchemaChange::DropIndex { .. }
            | SchemaChange::Spread { .. } => {}
        }
    }

    /// Notes indexes that are said to be complete and have rows missing: those of a new column.
    fn note_unbuilt(&mut self, db: DbIndex, schema: &Schema) {
        let ready = schema.indexes.iter();
        let ready = ready.filter(|index| index.state == IndexState::Ready);
        for index in ready {
            let table = self.table(db, schema.id);
            let name = (schema.id, index.id);
            if table.is_some_and(|table| table.complete_index(index.id).is_none())
                && !self.unbuilt.contains(&name)
            {
                self.unbuilt.push(name);
            }
        }
    }

    /// Makes a step of a plan. Between two steps nobody may change the table.
    ///
    /// # Errors
    ///
    /// What the rows make of the statement: values that are not unique, arithmetic out of range, too many
    /// rows looked at. Nothing has changed then.
    #[expect(
        clippy::too_many_arguments,
        reason = "the table, the plan and how far it is are three things of three owners"
    )]
    pub fn step(
        &mut self,
        db: DbIndex,
        plan: &Plan,
        at: &mut Progress,
        budget: Budget,
        encode: &impl Encode,
        out: &mut Partial,
    ) -> Result<Stepped, TableError> {
        if !plan.is_write() {
            return match self.table(db, plan.schema().id) {
                Some(table) => executor::read(table, plan, at, budget, encode, out),
                None => Ok(Stepped::Again),
            };
        }
        let step = |table: &mut Table, changes: &mut Changes| {
            let mut run = executor::Run { table, db, changes };
            run.write(plan, at, budget, encode, out)
        };
        self.with_table(db, plan.schema().id, step)
            .unwrap_or(Ok(Stepped::Again))
    }

    /// Appends the rows of `SELECT table WHERE condition`, all columns of each, if they are found by one value of a hash
    /// index, and returns how many there are. Nothing, and `out` as it was, for any other statement, a wrong one too, and
    /// for too many rows: it takes a plan then.
    pub fn select_value(
        &self,
        (db, id): (DbIndex, TableId),
        condition: &[u8],
        bounds: Bounds,
        encode: &impl Encode,
        out: &mut Vec<u8>,
    ) -> Option<usize> {
        let table = self.table(db, id)?;
        executor::short::select_value(table, condition, bounds, encode, out)
    }

    /// Stores the row of `INSERT table column=value ...`, if the table has no unique index and nothing can be wrong with
    /// it, and returns its id: `drawn`, or the next one, of a table at home. Nothing for any other statement, a wrong
    /// one too: it takes a plan then, and nothing has changed.
    pub fn insert_row<'w>(
        &mut self,
        (db, id): (DbIndex, TableId),
        drawn: Option<RowId>,
        words: impl Iterator<Item = &'w [u8]>,
    ) -> Option<RowId> {
        self.with_table(db, id, |table, changes| {
            executor::plain::insert_row((table, changes), db, drawn, words)
        })?
    }

    /// Changes the rows of `UPDATE table WHERE condition SET column=value ...`, of which `words` are those behind SET, if
    /// they are few, found by one value of a hash index, and nothing can be wrong with that; returns how many they are.
    /// Nothing for any other statement, as in [`Tables::insert_row`].
    pub fn update_value<'w>(
        &mut self,
        (db, id): (DbIndex, TableId),
        condition: &[u8],
        words: impl Iterator<Item = &'w [u8]>,
        now_ms: u64,
    ) -> Option<usize> {
        self.with_table(db, id, |table, changes| {
            executor::plain::update_value((table, changes), db, condition, words, now_ms)
        })?
    }

    /// Refuses values of unique indexes that a row here has and keeps. `at` is the progress of the plan's
    /// check on this shard.
    ///
    /// # Errors
    ///
    /// [`TableError::NotUnique`].
    pub fn refuse_claims(
        &self,
        db: DbIndex,
        plan: &Plan,
        at: &Progress,
        claims: &[Claim],
    ) -> Result<(), TableError> {
        match self.table(db, plan.schema().id) {
            Some(table) => executor::write::refuse_held(table, plan, at, claims),
            None => Ok(()),
        }
    }

    /// Returns the rows that have values of a table's unique indexes at a time, where there is one here.
    #[must_use]
    pub fn holders(
        &self,
        db: DbIndex,
        id: TableId,
        values: &[claim::Value],
        now_ms: u64,
    ) -> Vec<Option<RowId>> {
        match self.table(db, id) {
            Some(table) => executor::write::holders(table, values, now_ms),
            None => vec![None; values.len()],
        }
    }

    /// Returns how many rows a plan leads to here, about. O(keys of the condition).
    #[must_use]
    pub fn estimate(&self, db: DbIndex, plan: &Plan) -> u64 {
        let table = self.table(db, plan.schema().id);
        table.map_or(0, |table| executor::read::estimate(table, plan))
    }

    /// Returns whether a plan changes rows in a way that nothing here can be against: it finds them by an index that
    /// answers the whole condition, and gives them values that do not depend on them and need not be unique.
    #[must_use]
    pub fn cannot_fail(&self, db: DbIndex, plan: &Plan) -> bool {
        let table = self.table(db, plan.schema().id);
        table.is_some_and(|table| executor::write::cannot_fail(table, plan))
    }

    /// Returns how a plan would run here.
    #[must_use]
    pub fn explain(&self, db: DbIndex, plan: &Plan) -> Option<Explanation> {
        let table = self.table(db, plan.schema().id)?;
        Some(explain::explain(table, plan))
    }

    /// Returns what there is of a table here.
    #[must_use]
    pub fn info(&self, db: DbIndex, table: TableId) -> Option<TableInfo> {
        self.table(db, table).map(explain::info)
    }

    /// Returns the bytes of all tables. O(1).
    #[must_use]
    pub fn memory(&self) -> usize {
        self.bytes
    }

    /// Returns the number of rows of a table here, dead ones included. O(1).
    #[must_use]
    pub fn table_rows(&self, db: DbIndex, id: TableId) -> u64 {
        self.table(db, id).map_or(0, |table| table.rows.count())
    }

    /// Returns the number of rows of a database, dead ones included. Linear in its tables.
    #[must_use]
    pub fn rows(&self, db: DbIndex) -> u64 {
        let tables = self.databases.get(db.index());
        let counts = tables.into_iter().flat_map(|database| {
            let tables = database.tables.values();
            tables.map(|table| table.rows.count())
        });
        counts.sum()
    }

    /// Removes all tables and namespaces of a database.
    pub fn clear(&mut self, db: DbIndex) {
        if self.catalog(db).is_empty() {
            return;
        }
        let database = std::mem::take(self.database(db));
        for table in database.tables.into_values() {
            self.bytes -= table.bytes();
            self.changes.free(table.into_garbage());
        }
        self.changes.record_clear(db);
    }

    /// Exchanges two databases. That leaves no record: the shard tells of it, whose keys are exchanged too.
    pub fn swap(&mut self, one: DbIndex, other: DbIndex) {
        if one != other {
            self.database(one.max(other));
            self.databases.swap(one.index(), other.index());
        }
    }

    /// Frees up to so many chunks and blocks of what was dropped; with nothing left of that, adds as many
    /// rows to indexes of columns that came later. Returns whether there is more to do.
    pub fn free_step(&mut self, parts: usize) -> bool {
        if self.changes.free_step(parts) {
            return true;
        }
        let Some(&(id, index)) = self.unbuilt.last() else {
            return false;
        };
        let mut databases = self.databases.iter();
        let db = databases.position(|database| database.tables.contains_key(&id));
        let is_more = db.and_then(|db| u16::try_from(db).ok()).is_some_and(|db| {
            self.build_step(DbIndex(db), id, index, (parts, 0)) == Building::More
        });
        if !is_more {
            self.unbuilt.pop();
        }
        !self.unbuilt.is_empty()
    }

    /// Adds up to `rows` rows to an index. Rows whose time is over at `now_ms` may have values of others.
    pub fn build_step(
        &mut self,
        db: DbIndex,
        id: TableId,
        index: IndexId,
        (rows, now_ms): (usize, u64),
    ) -> Building {
        let built = self.with_table(db, id, |table, _| table.build_step(index, rows, now_ms));
        match built {
            Some(Built::More) => Building::More,
            Some(Built::Done) | None => Building::Done,
            Some(Built::Double(error)) => Building::Failed(error),
        }
    }

    /// Returns the values that up to `rows` rows from `at` on have of a unique index, and moves `at` on:
    /// to `u64::MAX` behind the last row. [`merge::refuse_doubles`] then says whether they are unique over
    /// shards. Rows whose time is over at `now_ms` are left out.
    #[must_use]
    pub fn unique_values(
        &self,
        db: DbIndex,
        id: TableId,
        index: IndexId,
        at: &mut u64,
        (rows, now_ms): (usize, u64),
    ) -> Vec<Claim> {
        match self.table(db, id) {
            Some(table) => table.unique_values(index, at, (rows, now_ms)),
            None => {
                *at = u64::MAX;
                Vec::new()
            }
        }
    }

    /// Removes dead rows of one table, looking at up to so many chunks of 1024; returns the table and how many rows
    /// went, if any did. The next call goes on behind them.
    pub fn sweep(&mut self, now_ms: u64, chunks: usize) -> Option<(DbIndex, TableId, usize)> {
        let (db, id) = self.next_ending()?;
        let db = DbIndex(u16::try_from(db).ok()?);
        let swept = self.with_table(db, id, |table, changes| {
            let dead = table.dead_places(now_ms, chunks);
            for &place in &dead {
                let row = table.id(place);
                table.remove(place);
                changes.record_delete(db, id, row);
            }
            dead.len()
        });
        let rows = swept.filter(|rows| *rows > 0)?;
        Some((db, id, rows))
    }

    /// Returns the next table with rows that carry an end.
    fn next_ending(&mut self) -> Option<(usize, TableId)> {
        let ending = |database: &Database, above: Option<TableId>| {
            let tables = database.tables.iter();
            tables
                .filter(|(id, table)| table.rows.ending() > 0 && above.is_none_or(|a| **id > a))
                .map(|(&id, _)| id)
                .min()
        };
        let (from, last) = self.sweep_at;
        let len = self.databases.len();
        let here = self.databases.get(from);
        let found = here
            .and_then(|database| ending(database, Some(last)))
            .map(|id| (from, id))
            .or_else(|| {
                let others = (1..=len).map(|step| (from + step) % len);
                let mut found = others.map(|db| (db, ending(&self.databases[db], None)));
                found.find_map(|(db, id)| Some((db, id?)))
            });
        if let Some(found) = found {
            self.sweep_at = found;
        }
        found
    }

    /// Takes up to `rows` rows out of a table, for it to go from one shard to all. Empty when none is left.
    pub fn take_rows(&mut self, db: DbIndex, id: TableId, rows: usize) -> Vec<RowImage> {
        let taken = self.with_table(db, id, |table, changes| {
            let images = table.first_images(rows);
            for image in &images {
                if let Some(place) = table.place(image.id) {
                    table.remove(place);
                }
                changes.record_delete(db, id, image.id);
            }
            images
        });
        taken.unwrap_or_default()
    }

    /// Stores those of these rows that belong to this shard.
    pub fn put_rows(&mut self, db: DbIndex, id: TableId, rows: &[RowImage]) {
        for row in rows {
            self.put_row(db, id, row);
        }
    }

    fn put_row(&mut self, db: DbIndex, id: TableId, row: &RowImage) {
        self.with_table(db, id, |table, changes| {
            if table.owns(row.id) {
                table.put(row);
                table.schema.last_row.fetch_max(row.id.0, Ordering::Relaxed);
                changes.record_put(db, id, row);
            }
        });
    }

    /// Returns whether a row belongs to this shard.
    #[must_use]
    pub fn owns(&self, db: DbIndex, id: TableId, row: RowId) -> bool {
        self.table(db, id).is_some_and(|table| table.owns(row))
    }

    /// Switches on or off that changes leave records.
    pub fn set_recording(&mut self, is_recording: bool) {
        self.changes.set_recording(is_recording);
    }

    /// Returns whether [`Tables::take_records`] has any.
    #[inline]
    #[must_use]
    pub fn has_records(&self) -> bool {
        self.changes.has_records()
    }

    /// Takes the records of all changes since the last call, as [`bytes::record::Records`] reads them.
    pub fn take_records(&mut self) -> Vec<u8> {
        self.changes.take_records()
    }
}
