//! What follows from changes: records, if anybody wants them, memory that is freed later, and rows that a snapshot
//! still waits for though their table has gone.

use base::ids::DbIndex;

use crate::bytes::record;
use crate::catalog::SchemaChange;
use crate::effects::RowImage;
use crate::schema::{RowId, TableId};
use crate::store::Place;
use crate::table::{Garbage, Table};
use crate::walk::Detached;

/// What changes leave behind.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    is_recording: bool,
    /// Records as bytes, see [`crate::bytes::record`].
    records: Vec<u8>,
    garbage: Vec<Garbage>,
    pub(crate) detached: Vec<Detached>,
}

impl Changes {
    pub(crate) fn set_recording(&mut self, is_recording: bool) {
        self.is_recording = is_recording;
        self.records = Vec::new();
    }

    #[inline]
    pub(crate) fn has_records(&self) -> bool {
        !self.records.is_empty()
    }

    /// Records what the row at a place is now.
    #[inline]
    pub(crate) fn record_row(&mut self, db: DbIndex, table: &Table, place: Place) {
        if self.is_recording {
            record::begin_put(&mut self.records, db, table.schema.id);
            table.put_row_bytes(place, &mut self.records);
        }
    }

    /// Records a row that was stored.
    pub(crate) fn record_put(&mut self, db: DbIndex, table: TableId, row: &RowImage) {
        if self.is_recording {
            record::put(&mut self.records, db, table, row);
        }
    }

    /// Records that a row is gone.
    #[inline]
    pub(crate) fn record_delete(&mut self, db: DbIndex, table: TableId, row: RowId) {
        if self.is_recording {
            record::delete(&mut self.records, db, table, row);
        }
    }

    /// Records that a table has no rows here any more.
    pub(crate) fn record_empty(&mut self, db: DbIndex, table: TableId) {
        if self.is_recording {
            record::empty(&mut self.records, db, table);
        }
    }

    /// Records that a database has no tables any more.
    pub(crate) fn record_clear(&mut self, db: DbIndex) {
        if self.is_recording {
            record::clear(&mut self.records, db);
        }
    }

    /// Records a change of the catalog.
    pub(crate) fn record_change(&mut self, db: DbIndex, change: &SchemaChange) {
        if self.is_recording {
            record::change(&mut self.records, db, change);
        }
    }

    pub(crate) fn take_records(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.records)
    }

    /// Takes over what is to be freed.
    pub(crate) fn free(&mut self, garbage: Vec<Garbage>) {
        for garbage in garbage {
            match garbage {
                Garbage::Walked(detached) => self.detached.push(*detached),
                garbage => self.garbage.push(garbage),
            }
        }
    }

    /// Frees up to so many parts, each a chunk or a block; returns whether there is more.
    pub(crate) fn free_step(&mut self, parts: usize) -> bool {
        for _ in 0..parts {
            match self.garbage.last_mut() {
                None => return false,
                Some(last) => {
                    if !last.free_step() {
                        self.garbage.pop();
                    }
                }
            }
        }
        !self.garbage.is_empty()
    }
}
