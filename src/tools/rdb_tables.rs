//! Tables in an RDB file, looked at one row at a time.
//!
//! Not here: the form of the pieces (`tables::bytes::section`).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use base::hash::Map;
use base::ids::DbIndex;
use tables::bytes::Damaged;
use tables::bytes::section::{self, Section};
use tables::schema::{Schema, TableId};

/// What a file has said of tables so far.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    counters: Map<TableId, Arc<AtomicU64>>,
    tables: Map<(DbIndex, TableId), Counted>,
    namespaces: usize,
}

/// A table, and what of it was there.
#[derive(Debug)]
struct Counted {
    schema: Schema,
    rows: u64,
    bytes: u64,
}

impl Tables {
    /// Looks at a piece. Every row is made, as when it is loaded; that no row stands there twice is not looked at.
    pub(crate) fn take(&mut self, piece: &[u8]) -> Result<(), Damaged> {
        match section::read(piece, &mut self.counters)? {
            Section::Schemas {
                db,
                namespaces,
                schemas,
            } => {
                self.namespaces += namespaces.len();
                for schema in schemas {
                    let counted = Counted {
                        schema,
                        rows: 0,
                        bytes: 0,
                    };
                    let before = self.tables.insert((db, counted.schema.id), counted);
                    if before.is_some() {
                        return Err(Damaged("a table stands there twice"));
                    }
                }
            }
            Section::Rows {
                db,
                table,
                mut rows,
            } => {
                let table = self.tables.get_mut(&(db, table));
                let table = table.ok_or(Damaged("rows are of a table that is not there"))?;
                while let Some(row) = rows.next_row()? {
                    section::read_row(&table.schema, row.bytes)?;
                    table.rows += 1;
                    table.bytes += base::cast::u64_from(row.bytes.len());
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.tables.is_empty() && self.namespaces == 0 {
            return Ok(());
        }
        let rows: u64 = self.tables.values().map(|table| table.rows).sum();
        writeln!(
            f,
            "{} tables with {rows} rows, {} namespaces beside default",
            self.tables.len(),
            self.namespaces
        )?;
        let mut tables: Vec<_> = self.tables.iter().collect();
        tables.sort_unstable_by_key(|((db, _), table)| (db.0, table.schema.name.clone()));
        for ((db, _), table) in tables {
            writeln!(
                f,
                "  {} in database {}: {} rows, {} bytes, {} columns, {} indexes",
                table.schema.name.escape_ascii(),
                db.0,
                table.rows,
                table.bytes,
                table.schema.columns.len(),
                table.schema.indexes.len()
            )?;
        }
        Ok(())
    }
}
