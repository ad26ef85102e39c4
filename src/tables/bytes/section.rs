//! What a file of all data has of tables: schemas, and rows in pieces.
//!
//! ```text
//!   schemas   1 u8 | database number | count number | namespaces, strings | count number | schema ...
//!   rows      2 u8 | database number | id of the table | count number | { length number | row } ...
//! ```
//!
//! The schemas of a database come before its rows. Pieces of rows may stand in any order. A row stands in one
//! of them only.
//!
//! Not here: the frame of a piece in the file (`storage::rdb_file`).

use base::cast::u64_from;
use base::ids::DbIndex;

use super::schema::{self, Counters};
use super::{Damaged, Source, put_number, put_string, row};
use crate::catalog::Catalog;
use crate::effects::RowImage;
use crate::schema::{RowId, Schema, TableId};

const SCHEMAS: u8 = 1;
const ROWS: u8 = 2;

/// Bytes of the shortest row, and of the shortest schema.
const ROW_BYTES_MIN: usize = 4;
const SCHEMA_BYTES_MIN: usize = 16;

/// Returns the schemas of a database as bytes.
#[must_use]
pub fn schemas(db: DbIndex, catalog: &Catalog) -> Vec<u8> {
    let mut out = vec![SCHEMAS];
    put_number(&mut out, u64::from(db.0));
    put_number(&mut out, u64_from(catalog.namespaces().count()));
    for name in catalog.namespaces() {
        put_string(&mut out, name);
    }
    put_number(&mut out, u64_from(catalog.table_count()));
    for schema in catalog.tables() {
        schema::put(&mut out, schema);
    }
    out
}

/// Returns the same without what may differ between two shards for a moment, in an order that does not
/// depend on the shard: equal catalogs give equal bytes. O(t log t) for t tables.
#[must_use]
pub fn fingerprint(db: DbIndex, catalog: &Catalog) -> Vec<u8> {
    let mut out = Vec::new();
    put_number(&mut out, u64::from(db.0));
    for name in catalog.namespaces() {
        put_string(&mut out, name);
    }
    let mut tables: Vec<&Schema> = catalog.tables().map(AsRef::as_ref).collect();
    tables.sort_unstable_by_key(|schema| schema.id);
    for schema in tables {
        schema::put_with(&mut out, schema, 0);
    }
    out
}

/// Returns the bytes that stand before the rows of a piece.
pub(crate) fn begin_rows(db: DbIndex, table: TableId, count: u64) -> Vec<u8> {
    let mut out = vec![ROWS];
    put_number(&mut out, u64::from(db.0));
    schema::put_id(&mut out, table);
    put_number(&mut out, count);
    out
}

/// A piece that was read.
#[derive(Debug)]
pub enum Section<'a> {
    /// The schemas of a database.
    Schemas {
        /// The database.
        db: DbIndex,
        /// Its namespaces, without `default`.
        namespaces: Vec<Box<[u8]>>,
        /// Its tables.
        schemas: Vec<Schema>,
    },
    /// Rows of a table.
    Rows {
        /// The database.
        db: DbIndex,
        /// The table.
        table: TableId,
        /// The rows.
        rows: RowsOfSection<'a>,
    },
}

/// Rows of a piece, not yet looked at.
#[derive(Clone, Debug)]
pub struct RowsOfSection<'a> {
    source: Source<'a>,
    left: u64,
}

/// A row of a piece: its id, and its bytes with their length before them.
#[derive(Clone, Copy, Debug)]
pub struct PackedRow<'a> {
    /// Its id.
    pub id: RowId,
    /// Its bytes, for [`crate::Tables::load_row`].
    pub bytes: &'a [u8],
}

impl<'a> RowsOfSection<'a> {
    /// Finds the next row; nothing behind the last one.
    ///
    /// # Errors
    ///
    /// [`Damaged`].
    pub fn next_row(&mut self) -> Result<Option<PackedRow<'a>>, Damaged> {
        if self.left == 0 {
            return match self.source.is_empty() {
                true => Ok(None),
                false => Err(Damaged("bytes stand behind the rows of a table")),
            };
        }
        self.left -= 1;
        let bytes = self.source.string()?;
        let id = RowId(Source::new(bytes).number()?);
        Ok(Some(PackedRow { id, bytes }))
    }
}

/// Reads a row that [`RowsOfSection::next_row`] has found.
///
/// # Errors
///
/// [`Damaged`], also for a row that the table cannot have.
pub fn read_row(schema: &Schema, bytes: &[u8]) -> Result<RowImage, Damaged> {
    let mut source = Source::new(bytes);
    let image = row::read(&mut source)?;
    if !source.is_empty() {
        return Err(Damaged("bytes stand behind a row"));
    }
    row::check(schema, &image)?;
    Ok(image)
}

/// Reads a piece. Schemas count their rows with `counters`.
///
/// # Errors
///
/// [`Damaged`].
pub fn read<'a>(bytes: &'a [u8], counters: &mut dyn Counters) -> Result<Section<'a>, Damaged> {
    let mut source = Source::new(bytes);
    let tag = source.byte()?;
    let db = DbIndex(source.narrow()?);
    match tag {
        SCHEMAS => {
            let count = source.count(1)?;
            let names = (0..count).map(|_| source.string().map(Box::from));
            let namespaces: Vec<Box<[u8]>> = names.collect::<Result<_, _>>()?;
            let count = source.count(SCHEMA_BYTES_MIN)?;
            let mut schemas: Vec<Schema> = Vec::with_capacity(count);
            for _ in 0..count {
                schemas.push(schema::read(&mut source, counters)?);
            }
            if !source.is_empty() {
                return Err(Damaged("bytes stand behind the schemas of tables"));
            }
            check_names(&namespaces, &schemas)?;
            Ok(Section::Schemas {
                db,
                namespaces,
                schemas,
            })
        }
        ROWS => {
            let table = schema::id(&mut source)?;
            let left = source.number()?;
            if left > u64_from(source.len() / ROW_BYTES_MIN) {
                return Err(Damaged("a piece of rows is shorter than it says"));
            }
            let rows = RowsOfSection { source, left };
            Ok(Section::Rows { db, table, rows })
        }
        _ => Err(Damaged("a piece of tables is none that is known")),
    }
}

/// Refuses a table that stands twice, or in a namespace that is not there.
fn check_names(namespaces: &[Box<[u8]>], schemas: &[Schema]) -> Result<(), Damaged> {
    let mut names: Vec<&[u8]> = schemas.iter().map(|schema| &*schema.name).collect();
    let mut ids: Vec<TableId> = schemas.iter().map(|schema| schema.id).collect();
    names.sort_unstable();
    ids.sort_unstable();
    let has_double = names.windows(2).any(|pair| pair[0] == pair[1])
        || ids.windows(2).any(|pair| pair[0] == pair[1]);
    if has_double {
        return Err(Damaged("a table stands there twice"));
    }
    let known: std::collections::BTreeSet<&[u8]> = namespaces.iter().map(AsRef::as_ref).collect();
    let is_known = |name: &[u8]| {
        let namespace = crate::name::TableName::split(name).namespace;
        namespace == crate::name::DEFAULT_NAMESPACE || known.contains(namespace)
    };
    if !names.into_iter().all(is_known) {
        return Err(Damaged("a table is in a namespace that is not there"));
    }
    Ok(())
}
