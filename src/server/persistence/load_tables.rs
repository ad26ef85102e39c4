//! Tables of a file on their way to the shards that they belong to.
//!
//! ```text
//!   thread: piece of the file -> schemas, for all cores
//!                             -> rows, by the shards they lie on here -> a batch for each
//!   core:   schemas -> catalog       rows -> tables and their indexes
//!   end:    each core settles its tables and compares its catalog and unique values with those of the others
//! ```
//!
//! The number of shards may be another one than when the file was written: rows of a table at home go to the shard
//! of its name, those of a spread one by their ids.
//!
//! Not here: the form of the pieces (`tables::bytes`).

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use base::cast::u64_from;
use base::hash::Map;
use base::ids::{DbIndex, ShardId};
use commands::table::key_of;
use coordinator::route::SlotMap;
use runtime::facts::Facts;
use storage::rdb_file::{Fault, RdbError};
use tables::Tables;
use tables::bytes::Damaged;
use tables::bytes::schema::Counters;
use tables::bytes::section::{self, RowsOfSection, Section};
use tables::catalog::SchemaChange;
use tables::schema::{Layout, RowId, Schema, TableId};
use tables::unique;

use super::Loaded;
use crate::core_loop::Core;

/// Counts rows for all shards while they load.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedCounters(Arc<Facts<Map<TableId, Arc<AtomicU64>>>>);

impl Counters for SharedCounters {
    fn counter(&mut self, table: TableId) -> Arc<AtomicU64> {
        self.0.with(|counters| counters.counter(table))
    }
}

impl Loaded {
    /// Forgets what cores had to know of each other's tables while these were loaded.
    pub(super) fn forget_tables(&self) {
        self.counters.0.with(Map::clear);
        self.catalogs.with(|catalogs| *catalogs = None);
        self.unique_values.with(Vec::clear);
    }
}

/// Namespaces and tables of a database.
#[derive(Clone)]
pub(super) struct Schemas {
    db: DbIndex,
    changes: Arc<Vec<SchemaChange>>,
    offset: u64,
}

/// Rows of a table that lie on one shard.
pub(super) struct Rows {
    db: DbIndex,
    table: TableId,
    /// All rows, one after the other, and the length of each.
    bytes: Vec<u8>,
    lengths: Vec<usize>,
    offset: u64,
}

/// What one shard is to have of a piece.
pub(super) enum Share {
    Schemas(Schemas),
    Rows(Rows),
}

impl Share {
    /// Adds it to the tables of the shard. Returns how many rows it has.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(super) fn store(&self, tables: &mut Tables) -> Result<u64, RdbError> {
        match self {
            Self::Schemas(schemas) => schemas.store(tables).map(|()| 0),
            Self::Rows(rows) => rows.store(tables),
        }
    }
}

/// The thread's part.
pub(super) struct Sorting {
    counters: SharedCounters,
    map: SlotMap,
    databases: u16,
    /// Where the rows of each table lie.
    layouts: Map<(DbIndex, TableId), (Layout, ShardId)>,
}

fn fault(offset: u64, damaged: Damaged) -> RdbError {
    let fault = Fault::Tables(damaged.to_string());
    RdbError { offset, fault }
}

impl Sorting {
    pub(super) fn new(counters: SharedCounters, map: SlotMap, databases: u16) -> Self {
        Self {
            counters,
            map,
            databases,
            layouts: Map::default(),
        }
    }

    /// Sorts a piece that begins at a byte of the file: returns who is to have what.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(super) fn sort(
        &mut self,
        offset: u64,
        piece: &[u8],
    ) -> Result<Vec<(ShardId, Share)>, RdbError> {
        let read = section::read(piece, &mut self.counters);
        let (Section::Schemas { db, .. } | Section::Rows { db, .. }) =
            *read.as_ref().map_err(|damaged| fault(offset, *damaged))?;
        if db.0 >= self.databases {
            let fault = Fault::Database(u64::from(db.0));
            return Err(RdbError { offset, fault });
        }
        match read {
            Ok(Section::Schemas {
                db,
                namespaces,
                schemas,
            }) => {
                let schemas = self.schemas((db, offset), namespaces, schemas);
                let share = |shard| (shard, Share::Schemas(schemas.clone()));
                Ok(self.map.shards().map(share).collect())
            }
            Ok(Section::Rows { db, table, rows }) => {
                let sorted = self.rows((db, table, offset), rows);
                let sorted = sorted.map_err(|damaged| fault(offset, damaged))?;
                let share = |(shard, rows)| (shard, Share::Rows(rows));
                Ok(sorted.into_iter().map(share).collect())
            }
            Err(damaged) => Err(fault(offset, damaged)),
        }
    }

    fn schemas(
        &mut self,
        (db, offset): (DbIndex, u64),
        namespaces: Vec<Box<[u8]>>,
        schemas: Vec<Schema>,
    ) -> Schemas {
        let mut changes: Vec<_> = namespaces
            .into_iter()
            .map(|name| SchemaChange::CreateNamespace { name })
            .collect();
        for schema in schemas {
            let schema = Arc::new(schema.for_shards(self.map.shard_count()));
            let home = self.map.shard_of_key(key_of(&schema.name));
            self.layouts.insert((db, schema.id), (schema.layout, home));
            changes.push(SchemaChange::CreateTable { schema });
        }
        Schemas {
            db,
            changes: Arc::new(changes),
            offset,
        }
    }

    fn rows(
        &self,
        (db, table, offset): (DbIndex, TableId, u64),
        mut rows: RowsOfSection<'_>,
    ) -> Result<Vec<(ShardId, Rows)>, Damaged> {
        let known = self.layouts.get(&(db, table));
        let &(layout, home) = known.ok_or(Damaged("rows are of a table that is not there"))?;
        let mut sorted: Vec<(ShardId, Rows)> = Vec::new();
        while let Some(row) = rows.next_row()? {
            let shard = match layout {
                Layout::Home => home,
                Layout::Spread { shards } => shard_of(row.id, shards),
            };
            let at = sorted.iter().position(|(known, _)| *known == shard);
            let at = at.unwrap_or_else(|| {
                let empty = Rows {
                    db,
                    table,
                    bytes: Vec::new(),
                    lengths: Vec::new(),
                    offset,
                };
                sorted.push((shard, empty));
                sorted.len() - 1
            });
            let (_, batch) = &mut sorted[at];
            batch.bytes.extend_from_slice(row.bytes);
            batch.lengths.push(row.bytes.len());
        }
        Ok(sorted)
    }
}

fn shard_of(row: RowId, shards: u16) -> ShardId {
    ShardId(u16::try_from(row.0 % u64::from(shards.max(1))).unwrap_or(0))
}

impl Schemas {
    /// Adds them to the catalog of a shard.
    pub(super) fn store(&self, tables: &mut Tables) -> Result<(), RdbError> {
        for change in self.changes.iter() {
            let loaded = tables.load_schema(self.db, change);
            loaded.map_err(|damaged| fault(self.offset, damaged))?;
        }
        Ok(())
    }
}

impl Rows {
    /// Adds them to the tables of a shard. Returns how many they are.
    pub(super) fn store(&self, tables: &mut Tables) -> Result<u64, RdbError> {
        let mut left = self.bytes.as_slice();
        for &length in &self.lengths {
            let (row, rest) = left.split_at(length);
            left = rest;
            let loaded = tables.load_row(self.db, self.table, row);
            loaded.map_err(|damaged| fault(self.offset, damaged))?;
        }
        Ok(u64_from(self.lengths.len()))
    }
}

/// Leaves no table of this core half made, when all of them are there.
///
/// # Errors
///
/// One line if other cores have other tables: then their logs do not belong together.
pub(super) fn settle(core: &mut Core) -> Result<(), String> {
    let tables = core.engine.host.shard.tables_mut();
    let settled = tables.settle();
    if settled.dropped > 0 && core.engine.me == ShardId(0) {
        tracing::warn!(
            indexes = settled.dropped,
            "ADD INDEX was under way when the server ended: those indexes are dropped"
        );
    }
    let databases = core.engine.host.shard.options().databases;
    let tables = core.engine.host.shard.tables();
    let mut mine = Vec::new();
    for db in (0..databases).map(DbIndex) {
        if !tables.catalog(db).is_empty() {
            mine.extend(section::fingerprint(db, tables.catalog(db)));
        }
    }
    let loaded = &core.engine.shared.persistence.loaded;
    let is_same = loaded
        .catalogs
        .with(|catalogs| *catalogs.get_or_insert_with(|| mine.clone()) == mine);
    if is_same {
        return Ok(());
    }
    Err(
        "the logs of two shards say different things of the schemas of tables; put back a whole copy of the \
         directory of the log"
            .to_owned(),
    )
}

/// Compares the unique values of this core with those of the cores that are done: each pair of cores once, as one of
/// them is done before the other.
///
/// # Errors
///
/// One line if two cores have the same value. With a log that is only said: a loss of power may have taken a row's
/// new value from the log of one core, and left on another one the row that got its old value.
pub(super) fn compare_unique_values(core: &Core, path: &Path, has_log: bool) -> Result<(), String> {
    let tables = core.engine.host.shard.tables();
    let mine = Arc::new(tables.unique_values_of_all());
    if mine.is_empty() {
        return Ok(());
    }
    let known = &core.engine.shared.persistence.loaded.unique_values;
    let others = known.with(|known| {
        let others = known.clone();
        known.push(Arc::clone(&mine));
        others
    });
    let mut doubles = others.iter().map(|other| unique::double(&mine, other));
    let Some(double) = doubles.find_map(|double| double) else {
        return Ok(());
    };
    let (table, columns) = match tables.catalog(double.db).table_of(double.table) {
        Some(schema) => {
            let index = schema.index_of(double.index);
            let columns = index.map_or("?".into(), |index| schema.names_of(&index.columns));
            (String::from_utf8_lossy(&schema.name).into_owned(), columns)
        }
        None => ("?".to_owned(), "?".into()),
    };
    if has_log {
        tracing::warn!(
            table,
            columns = &*columns,
            "two rows on different cores have the same values, which must be unique; a loss of power may have done it"
        );
        return Ok(());
    }
    Err(format!(
        "load {}: two rows of table {table} have the same values of {columns}, which must be unique; put back a \
         whole copy of the file, or move it away to start without data",
        path.display()
    ))
}
