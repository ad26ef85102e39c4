//! `export-sql`: tables as statements that SQLite takes.
//!
//! ```text
//!   BEGIN; CREATE TABLE ... ; INSERT ... VALUES (...), ... ; CREATE [UNIQUE] INDEX ... ; COMMIT;
//! ```
//!
//! The column `_id` has the ids of the rows. A name of a table is quoted whole, with its namespace. Strings that are
//! no UTF-8, or have a zero byte, become blobs.
//!
//! Not here: where the rows come from (`table_source`).

use std::path::PathBuf;

use anyhow::Result;
use tables::datum::{Cell, ColumnType, Datum};

use crate::output::Output;
use crate::progress;
use crate::table_source::{Row, Shape, Source, SourceOptions, Wanted};

/// Rows of one INSERT.
const ROWS: usize = 100;

/// What is wanted.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// One table, `namespace.table` or `table`; without it, and without --namespace, all.
    #[arg(long, conflicts_with = "namespace")]
    table: Option<String>,
    /// All tables of a namespace.
    #[arg(long)]
    namespace: Option<String>,
    /// The file; without it the statements go to standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    source: SourceOptions,
}

/// Exports; returns what is said of it.
///
/// # Errors
///
/// Those of reading and writing. A file that was there before is as it was then.
pub(crate) fn run(options: &Options) -> Result<String> {
    let mut source = Source::open(&options.source)?;
    let wanted = match (&options.table, &options.namespace) {
        (Some(table), _) => Wanted::Table(table),
        (None, Some(namespace)) => Wanted::Namespace(namespace),
        (None, None) => Wanted::All,
    };
    let shapes = source.shapes(wanted)?;
    let mut output = Output::create(options.output.as_deref())?;
    let bar = progress::rows(shapes.iter().map(|shape| shape.rows).sum());
    output.write(b"BEGIN;\n")?;
    let mut rows: u64 = 0;
    for shape in &shapes {
        output.write(&create(shape))?;
        let mut statement = Vec::new();
        let mut count = 0;
        source.rows(shape, &mut |row| {
            if count == 0 {
                statement = insert(shape);
            } else {
                statement.extend_from_slice(b",\n ");
            }
            push_row(&mut statement, shape, &row);
            count += 1;
            if count == ROWS {
                statement.extend_from_slice(b";\n");
                output.write(&statement)?;
                count = 0;
            }
            rows += 1;
            bar.set_position(rows);
            Ok(())
        })?;
        if count > 0 {
            statement.extend_from_slice(b";\n");
            output.write(&statement)?;
        }
        output.write(&create_indexes(shape))?;
    }
    output.write(b"COMMIT;\n")?;
    output.finish()?;
    bar.finish_and_clear();
    Ok(match &options.output {
        Some(path) => format!(
            "{} tables with {rows} rows in {}\n",
            shapes.len(),
            path.display()
        ),
        None => String::new(),
    })
}

/// Returns a name in quotes.
fn quoted(name: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(name).replace('\0', "\u{fffd}");
    format!("\"{}\"", text.replace('"', "\"\"")).into_bytes()
}

fn create(shape: &Shape) -> Vec<u8> {
    let mut out = b"CREATE TABLE ".to_vec();
    out.extend(quoted(&shape.name));
    out.extend_from_slice(b" (\n  \"_id\" INTEGER PRIMARY KEY");
    for column in &shape.columns {
        out.extend_from_slice(b",\n  ");
        out.extend(quoted(&column.name));
        out.extend_from_slice(match column.kind {
            ColumnType::String | ColumnType::Date | ColumnType::Timestamp => b" TEXT",
            ColumnType::Integer | ColumnType::Bool => b" INTEGER",
            ColumnType::Float => b" REAL",
        });
        if column.not_null {
            out.extend_from_slice(b" NOT NULL");
        }
        if let Some(default) = &column.default {
            out.extend_from_slice(b" DEFAULT (");
            push_value(&mut out, column.kind, Some(default));
            out.push(b')');
        }
    }
    out.extend_from_slice(b"\n);\n");
    out
}

fn create_indexes(shape: &Shape) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, index) in shape.indexes.iter().enumerate() {
        let unique: &[u8] = if index.unique { b"UNIQUE " } else { b"" };
        let name = format!("{}:{number}", String::from_utf8_lossy(&shape.name));
        let columns: Vec<Vec<u8>> = index
            .columns
            .iter()
            .map(|&place| quoted(&shape.columns[place].name))
            .collect();
        out.extend(
            [
                b"CREATE ",
                unique,
                b"INDEX ",
                &quoted(name.as_bytes()),
                b" ON ",
                &quoted(&shape.name),
                b" (",
                &columns.join(&b", "[..]),
                b");\n",
            ]
            .concat(),
        );
    }
    out
}

fn insert(shape: &Shape) -> Vec<u8> {
    let mut out = b"INSERT INTO ".to_vec();
    out.extend(quoted(&shape.name));
    out.extend_from_slice(b" VALUES\n ");
    out
}

fn push_row(out: &mut Vec<u8>, shape: &Shape, row: &Row) {
    out.extend_from_slice(format!("({}", row.id).as_bytes());
    for (column, cell) in shape.columns.iter().zip(&row.cells) {
        out.push(b',');
        push_value(out, column.kind, cell.as_deref());
    }
    out.push(b')');
}

/// Appends a value as SQL has it.
fn push_value(out: &mut Vec<u8>, kind: ColumnType, text: Option<&[u8]>) {
    let Some(text) = text else {
        return out.extend_from_slice(b"NULL");
    };
    match Cell::parse(kind, text).map(|cell| cell.datum) {
        // The only one whose digits alone are no integer for SQLite.
        Some(Datum::Integer(i64::MIN)) => out.extend_from_slice(b"(-9223372036854775807-1)"),
        Some(Datum::Integer(number)) => out.extend_from_slice(number.to_string().as_bytes()),
        Some(Datum::Float(number)) => out.extend_from_slice(format!("{number:e}").as_bytes()),
        Some(Datum::Bool(value)) => out.push(if value { b'1' } else { b'0' }),
        Some(Datum::String(_) | Datum::Date(_) | Datum::Timestamp(_) | Datum::Null) | None => {
            push_text(out, text);
        }
    }
}

fn push_text(out: &mut Vec<u8>, text: &[u8]) {
    if text.contains(&0) || std::str::from_utf8(text).is_err() {
        let digits: String = text.iter().map(|byte| format!("{byte:02x}")).collect();
        out.extend_from_slice(format!("X'{digits}'").as_bytes());
        return;
    }
    out.push(b'\'');
    for &byte in text {
        if byte == b'\'' {
            out.push(b'\'');
        }
        out.push(byte);
    }
    out.push(b'\'');
}
