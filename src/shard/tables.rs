//! The tables of a shard, and what follows from their changes.
//!
//! Rows are no keys: no command about keys sees them, and nothing evicts them. A table is watched, waited for by
//! clients that cache, and told of in events by its name as a key, though.
//!
//! Not here: all about the rows themselves (crate `tables`).

use std::sync::atomic::Ordering;

use base::ids::DbIndex;
use tables::Tables;
use tables::schema::{Layout, Schema, TableId};

use crate::Shard;
use crate::effects::{EventClass, KeyEvent};

impl Shard {
    /// Returns the tables.
    #[inline]
    #[must_use]
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// Returns the tables, for change. [`Shard::note_table`] has to be told what has changed.
    #[inline]
    pub fn tables_mut(&mut self) -> &mut Tables {
        &mut self.tables
    }

    /// Notes that a table has changed, by its name as a key: `count` rows, told by the event `name`.
    pub fn note_table(&mut self, db: DbIndex, key: &[u8], name: &'static str, count: u64) {
        self.common.stats.dirty += count;
        self.common.touch(db, key);
        if self.common.wanted_events.meets(EventClass::TABLE) {
            self.common.events.push(KeyEvent {
                class: EventClass::TABLE,
                name,
                db,
                key: key.into(),
            });
        }
    }

    /// Lets clients who watch a table know that it is not as it was; no event tells of it.
    pub fn touch_table(&mut self, db: DbIndex, key: &[u8]) {
        self.common.touch(db, key);
    }

    /// Notes a table that has grown beyond `spread_rows`, for its rows to go to all shards.
    pub fn review_spread(&mut self, db: DbIndex, schema: &Schema) {
        let limit = self.options.spread_rows;
        let is_candidate = self.options.shards > 1
            && schema.layout == Layout::Home
            && schema.last_row.load(Ordering::Relaxed) > limit;
        if is_candidate
            && self.tables.table_rows(db, schema.id) > limit
            && !self.growing.iter().any(|(_, id, _)| *id == schema.id)
        {
            self.growing.push((db, schema.id, schema.name.clone()));
        }
    }

    /// Returns whether [`Shard::take_growing`] has any.
    #[inline]
    #[must_use]
    pub fn has_growing(&self) -> bool {
        !self.growing.is_empty()
    }

    /// Takes the tables that are to lie on all shards: database, identity, full name.
    pub fn take_growing(&mut self) -> Vec<(DbIndex, TableId, Box<[u8]>)> {
        std::mem::take(&mut self.growing)
    }

    /// Notes that all tables of a database are others now, for those who watch one.
    pub(crate) fn touch_tables(&mut self, db: DbIndex) {
        let catalog = self.tables.catalog(db);
        self.common
            .watches
            .touch_where(db, |key| catalog.lookup(key).is_some());
    }
}
