//! Tables to be exported: those of a running server, or those of an RDB file.
//!
//! A server is read in pages, each what comes after the last id of the page before, so memory holds one page;
//! what others write meanwhile may be in it or not. A file is read once per table; it is of one moment.
//!
//! Not here: what is made of the rows (`export_csv`, `export_sql`).

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use anyhow::{Context as _, Result, anyhow, bail};
use base::hash::Map;
use clap::Args;
use protocol::value::Value;
use runtime::file::ReadFile;
use storage::rdb_file::{Part, Reader};
use tables::bytes::section::{self, Section};
use tables::datum::ColumnType;
use tables::name::TableName;
use tables::schema::{Schema, TableId};

use crate::client::{Client, ServerOptions, bytes, elements, field};

/// Rows of a page.
const PAGE_ROWS: u64 = 1000;
/// Bytes that are read from a file at a time.
const READ_BYTES: usize = 1 << 20;

/// Where the tables are.
#[derive(Args, Clone, Debug)]
pub(crate) struct SourceOptions {
    /// Reads an RDB file in place of a running server.
    #[arg(long, value_name = "FILE")]
    rdb: Option<PathBuf>,
    #[command(flatten)]
    server: ServerOptions,
}

/// A column of a table.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: Vec<u8>,
    pub(crate) kind: ColumnType,
    pub(crate) not_null: bool,
    pub(crate) default: Option<Vec<u8>>,
}

/// An index of a table.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    /// Places in the columns.
    pub(crate) columns: Vec<usize>,
    pub(crate) unique: bool,
}

/// A table without its rows.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// Its full name.
    pub(crate) name: Vec<u8>,
    pub(crate) columns: Vec<Column>,
    pub(crate) indexes: Vec<Index>,
    /// How many rows it has, if that is known.
    pub(crate) rows: Option<u64>,
    id: Option<TableId>,
}

/// A row: its id, and the text of each column.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) id: u64,
    pub(crate) cells: Vec<Option<Vec<u8>>>,
}

/// Which tables are wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted<'a> {
    Table(&'a str),
    Namespace(&'a str),
    All,
}

impl Wanted<'_> {
    fn is(self, name: &[u8]) -> bool {
        match self {
            Self::Table(wanted) => *TableName::split(wanted.as_bytes()).full() == *name,
            Self::Namespace(wanted) => TableName::split(name).namespace == wanted.as_bytes(),
            Self::All => true,
        }
    }
}

/// See the head of this file.
#[derive(Debug)]
pub(crate) enum Source {
    Server(Box<Client>),
    File { path: PathBuf, db: u16 },
}

impl Source {
    /// Connects to the server, or names the file.
    pub(crate) fn open(options: &SourceOptions) -> Result<Self> {
        Ok(match &options.rdb {
            Some(path) => Self::File {
                path: path.clone(),
                db: options.server.db,
            },
            None => Self::Server(Box::new(Client::connect(&options.server)?)),
        })
    }

    /// Returns the tables that are wanted, by name.
    ///
    /// # Errors
    ///
    /// Also if there is none.
    pub(crate) fn shapes(&mut self, wanted: Wanted<'_>) -> Result<Vec<Shape>> {
        let mut shapes = match self {
            Self::Server(client) => shapes_of_server(client, wanted)?,
            Self::File { path, db } => shapes_of_file(path, *db, wanted)?,
        };
        if shapes.is_empty() {
            bail!("there is no such table");
        }
        shapes.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(shapes)
    }

    /// Calls `each` with all rows of a table.
    ///
    /// # Errors
    ///
    /// Those of reading, and of `each`.
    pub(crate) fn rows(
        &mut self,
        shape: &Shape,
        each: &mut dyn FnMut(Row) -> Result<()>,
    ) -> Result<()> {
        match self {
            Self::Server(client) => rows_of_server(client, shape, each),
            Self::File { path, db } => rows_of_file(path, *db, shape, each),
        }
    }
}

fn shapes_of_server(client: &mut Client, wanted: Wanted<'_>) -> Result<Vec<Shape>> {
    let mut shapes = Vec::new();
    for listed in elements(client.call(&["TABLE.NAMESPACE.VIEW"])?) {
        let listed = bytes(listed).context("the server names no table")?;
        let colon = listed.iter().position(|&byte| byte == b':');
        let colon = colon.context("the server names a table without a namespace")?;
        let name = [&listed[..colon], b".", &listed[colon + 1..]].concat();
        if wanted.is(&name) {
            shapes.push(shape_of_server(client, name)?);
        }
    }
    Ok(shapes)
}

/// Asks a server what a table is.
pub(crate) fn shape_of_server(client: &mut Client, name: Vec<u8>) -> Result<Shape> {
    let mut columns = Vec::new();
    for column in elements(client.call(&[&b"TABLE.SCHEMA.VIEW"[..], &name])?) {
        let mut words = elements(column).into_iter().map(bytes);
        let name = words.next().flatten().context("a column without a name")?;
        let kind = words.next().flatten().unwrap_or_default();
        let kind = ColumnType::of_word(&kind);
        columns.push(Column {
            name,
            kind: kind.context("a column of a type that is not known here")?,
            not_null: false,
            default: None,
        });
    }
    let info = client.call(&[&b"TABLE.INFO"[..], &name])?;
    for definition in elements(field(&info, "definitions").unwrap_or(Value::Null)) {
        let name = field(&definition, "column").and_then(bytes);
        let mut columns = columns.iter_mut();
        if let Some(column) = columns.find(|column| Some(&column.name) == name.as_ref()) {
            column.not_null = field(&definition, "not_null") == Some(Value::Integer(1));
            column.default = field(&definition, "default").and_then(bytes);
        }
    }
    let mut indexes = Vec::new();
    for index in elements(field(&info, "indexes").unwrap_or(Value::Null)) {
        let names = field(&index, "columns").and_then(bytes).unwrap_or_default();
        let is_unique = field(&index, "unique") == Some(Value::Integer(1));
        if let Some(columns) = places_of(&columns, &names) {
            indexes.push(Index {
                columns,
                unique: is_unique,
            });
        }
    }
    let rows = match field(&info, "rows") {
        Some(Value::Integer(rows)) => u64::try_from(rows).ok(),
        _ => None,
    };
    Ok(Shape {
        name,
        columns,
        indexes,
        rows,
        id: None,
    })
}

/// Returns the places of columns whose names stand between commas; nothing if names have commas themselves.
fn places_of(columns: &[Column], names: &[u8]) -> Option<Vec<usize>> {
    let place = |name: &[u8]| columns.iter().position(|column| column.name == name);
    if let Some(only) = place(names) {
        return Some(vec![only]);
    }
    names.split(|&byte| byte == b',').map(place).collect()
}

fn rows_of_server(
    client: &mut Client,
    shape: &Shape,
    each: &mut dyn FnMut(Row) -> Result<()>,
) -> Result<()> {
    let count = (shape.columns.len() + 1).to_string();
    let limit = PAGE_ROWS.to_string();
    let request = |after: u64| {
        let mut words: Vec<Vec<u8>> = vec![b"TABLE.SELECT".to_vec(), shape.name.clone()];
        words.extend([b"AFTER".to_vec(), after.to_string().into_bytes()]);
        words.extend([&b"COLUMNS"[..], count.as_bytes(), b"_id"].map(<[u8]>::to_vec));
        words.extend(shape.columns.iter().map(|column| column.name.clone()));
        words.extend([&b"LIMIT"[..], limit.as_bytes()].map(<[u8]>::to_vec));
        words
    };
    let mut after = 0;
    loop {
        let page = elements(client.call(&request(after))?);
        let is_last = page.len() < usize::try_from(PAGE_ROWS)?;
        for row in page {
            let row = row_of(row, shape)?;
            after = row.id;
            each(row)?;
        }
        if is_last {
            return Ok(());
        }
    }
}

fn row_of(row: Value, shape: &Shape) -> Result<Row> {
    let mut values = elements(row).into_iter().skip(1).step_by(2).map(bytes);
    let id = values.next().flatten().context("a row without an id")?;
    let id = String::from_utf8(id)?.parse()?;
    let cells: Vec<_> = values.collect();
    if cells.len() != shape.columns.len() {
        bail!("row {id} has other columns than its table had before");
    }
    Ok(Row { id, cells })
}

/// Calls `each` with all pieces of tables of a file, until it says that it has enough.
fn each_section(path: &Path, each: &mut dyn FnMut(Section<'_>) -> Result<()>) -> Result<()> {
    let shown = path.display();
    let mut file = ReadFile::open(path).with_context(|| format!("open {shown}"))?;
    let mut reader = Reader::new(true);
    let mut buffer = vec![0; READ_BYTES];
    let mut counters: Map<TableId, Arc<AtomicU64>> = Map::default();
    loop {
        match reader.part().with_context(|| format!("read {shown}"))? {
            Some(Part::End) => return Ok(()),
            Some(Part::Tables { offset, piece }) => {
                let section = section::read(&piece, &mut counters);
                each(section.map_err(|error| anyhow!("read {shown}: at byte {offset}: {error}"))?)?;
            }
            Some(_) => {}
            None => match file
                .read(&mut buffer)
                .with_context(|| format!("read {shown}"))?
            {
                0 => reader.end(),
                count => reader.feed(&buffer[..count]),
            },
        }
    }
}

fn shapes_of_file(path: &Path, wanted_db: u16, wanted: Wanted<'_>) -> Result<Vec<Shape>> {
    let mut shapes: Vec<Shape> = Vec::new();
    let mut counts: Map<TableId, u64> = Map::default();
    each_section(path, &mut |section| {
        match section {
            Section::Schemas { db, schemas, .. } if db.0 == wanted_db => {
                let schemas = schemas.iter().filter(|schema| wanted.is(&schema.name));
                shapes.extend(schemas.map(shape_of_schema));
            }
            Section::Rows {
                db,
                table,
                mut rows,
            } if db.0 == wanted_db => {
                while rows.next_row()?.is_some() {
                    *counts.entry(table).or_default() += 1;
                }
            }
            Section::Schemas { .. } | Section::Rows { .. } => {}
        }
        Ok(())
    })?;
    for shape in &mut shapes {
        let count = shape.id.and_then(|id| counts.get(&id));
        shape.rows = Some(count.copied().unwrap_or(0));
    }
    Ok(shapes)
}

fn shape_of_schema(schema: &Schema) -> Shape {
    let columns = schema.columns.iter().map(|column| Column {
        name: column.name.to_vec(),
        kind: column.kind,
        not_null: schema.must_have_value(column),
        default: column.default.as_ref().map(|cell| {
            let mut text = Vec::new();
            cell.write_text(&mut text);
            text
        }),
    });
    let place = |id| schema.columns.iter().position(|column| column.id == id);
    let indexes = schema.indexes.iter().map(|index| Index {
        columns: index.columns.iter().filter_map(|&id| place(id)).collect(),
        unique: index.unique,
    });
    Shape {
        name: schema.name.to_vec(),
        columns: columns.collect(),
        indexes: indexes.collect(),
        rows: None,
        id: Some(schema.id),
    }
}

fn rows_of_file(
    path: &Path,
    wanted_db: u16,
    shape: &Shape,
    each: &mut dyn FnMut(Row) -> Result<()>,
) -> Result<()> {
    let mut known: Option<Schema> = None;
    let now = u64::try_from(runtime::clock::unix_millis().0).unwrap_or(0);
    each_section(path, &mut |section| {
        match section {
            Section::Schemas { db, schemas, .. } if db.0 == wanted_db => {
                let found = schemas
                    .into_iter()
                    .find(|schema| Some(schema.id) == shape.id);
                known = found.or(known.take());
            }
            Section::Rows {
                db,
                table,
                mut rows,
            } if db.0 == wanted_db && Some(table) == shape.id => {
                let schema = known.as_ref().context("rows stand before their table")?;
                while let Some(row) = rows.next_row()? {
                    let image = section::read_row(schema, row.bytes)?;
                    if image.end.is_some_and(|end| end <= now) {
                        continue;
                    }
                    let text = |column: &tables::schema::Column| {
                        let mut cells = image.cells.iter();
                        let (_, cell) = cells.find(|(id, _)| *id == column.id)?;
                        let mut text = Vec::new();
                        cell.write_text(&mut text);
                        Some(text)
                    };
                    let cells = schema.columns.iter().map(text).collect();
                    each(Row {
                        id: image.id.0,
                        cells,
                    })?;
                }
            }
            Section::Schemas { .. } | Section::Rows { .. } => {}
        }
        Ok(())
    })
}
