//! `import-csv`: rows of a CSV file into a table that is there.
//!
//! ```text
//!   header -> columns;  lines -> INSERTs of many rows, some sent ahead of their replies
//! ```
//!
//! An INSERT is there whole or not at all. After the first that is refused no more are sent; those that were sent
//! ahead are told of, so that what is there is known to the line.
//!
//! A cell without a value is left out, so that its column gets its default if it has one.
//!
//! Not here: which fields have no value (`csv_cells`).

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use csv::ByteRecord;
use protocol::value::Value;
use runtime::file::ReadFile;
use tables::datum::{Cell, ColumnType};
use tables::name::TableName;

use crate::client::{Client, ServerOptions};
use crate::csv_cells::cell_of;
use crate::progress;
use crate::table_source::{Shape, shape_of_server};

/// INSERTs that are sent ahead of their replies.
const AHEAD_MAX: usize = 4;

/// What is wanted.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// The file; its first line has headers.
    file: PathBuf,
    /// The table, `namespace.table` or `table`.
    #[arg(long)]
    table: String,
    /// Takes the field under a header as a column of another name; no name passes the field over.
    #[arg(long, value_name = "HEADER=COLUMN")]
    column: Vec<String>,
    /// Takes an empty field as one without a value.
    #[arg(long)]
    empty_is_null: bool,
    /// Rows of one INSERT.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    batch: u64,
    /// Only reads the file and looks whether each field is a value of its column; nothing is written.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    server: ServerOptions,
}

/// A field that becomes a cell.
#[derive(Debug)]
struct Mapped {
    field: usize,
    column: Vec<u8>,
    kind: ColumnType,
}

/// Rows on their way into the table.
struct Batch {
    words: Vec<Vec<u8>>,
    rows: u64,
    /// The line of the first.
    line: u64,
}

/// Imports; returns what is said of it.
///
/// # Errors
///
/// What is wrong with which line of the file, or why the server refuses; and how much is there.
pub(crate) fn run(options: &Options) -> Result<String> {
    let mut client = Client::connect(&options.server)?;
    let name = TableName::split(options.table.as_bytes()).full().to_vec();
    let shape = shape_of_server(&mut client, name)?;
    let path = &options.file;
    let shown = path.display();
    let file = ReadFile::open(path).with_context(|| format!("open {shown}"))?;
    let bar = progress::bar(file.size_bytes()?);
    let mut reader = csv::Reader::from_reader(file);
    let headers = reader
        .byte_headers()
        .with_context(|| format!("read {shown}"))?;
    let mapped = map(headers, &shape, &options.column)?;
    let mut importing = Importing {
        client,
        path,
        table: shape.name,
        sent: VecDeque::new(),
        done: 0,
        is_dry: options.dry_run,
    };
    let mut record = ByteRecord::new();
    let mut batch = importing.batch(0);
    while reader
        .read_byte_record(&mut record)
        .map_err(|error| importing.stopped(&error))?
    {
        let line = record.position().map_or(0, csv::Position::line);
        if batch.rows == 0 {
            batch = importing.batch(line);
        }
        let pushed = push(&mut batch, &record, &mapped, options.empty_is_null);
        pushed.map_err(|error| importing.stopped(&format!("line {line}: {error}")))?;
        if batch.rows == options.batch {
            let full = std::mem::replace(&mut batch, importing.batch(0));
            importing.send(full)?;
        }
        bar.set_position(reader.position().byte());
    }
    if batch.rows > 0 {
        importing.send(batch)?;
    }
    importing.drain(0)?;
    bar.finish_and_clear();
    let done = importing.done;
    Ok(if options.dry_run {
        format!("{done} rows could be read; nothing was written\n")
    } else {
        format!("{done} rows\n")
    })
}

/// Finds the column of each header.
fn map(headers: &ByteRecord, shape: &Shape, renamed: &[String]) -> Result<Vec<Mapped>> {
    let mut others: Vec<(&str, &str)> = Vec::new();
    for word in renamed {
        let pair = word.split_once('=');
        others.push(pair.with_context(|| format!("--column {word}: HEADER=COLUMN is expected"))?);
    }
    let mut mapped: Vec<Mapped> = Vec::new();
    for (header, _) in &others {
        if !headers.iter().any(|known| known == header.as_bytes()) {
            bail!("--column {header}: the file has no such header");
        }
    }
    for (field, header) in headers.iter().enumerate() {
        let renamed = others.iter().find(|(from, _)| from.as_bytes() == header);
        let name = renamed.map_or(header, |(_, to)| to.as_bytes());
        if name.is_empty() || (renamed.is_none() && name == b"_id") {
            continue;
        }
        let column = shape.columns.iter().find(|column| column.name == name);
        let Some(column) = column else {
            bail!(
                "the table has no column {}; say which it is with --column HEADER=COLUMN, or --column HEADER= to \
                 pass it over",
                name.escape_ascii()
            );
        };
        if mapped.iter().any(|other| other.column == name) {
            bail!("two headers mean the column {}", name.escape_ascii());
        }
        mapped.push(Mapped {
            field,
            column: name.to_vec(),
            kind: column.kind,
        });
    }
    if mapped.is_empty() {
        bail!("no header is a column of the table");
    }
    Ok(mapped)
}

/// Adds a row to a batch.
fn push(
    batch: &mut Batch,
    record: &ByteRecord,
    mapped: &[Mapped],
    empty_is_null: bool,
) -> Result<(), String> {
    let before = batch.words.len();
    if batch.rows > 0 {
        batch.words.push(b"ROW".to_vec());
    }
    let begun = batch.words.len();
    for mapped in mapped {
        let field = record.get(mapped.field).unwrap_or_default();
        let Some(text) = cell_of(field).filter(|text| !(empty_is_null && text.is_empty())) else {
            continue;
        };
        if Cell::parse(mapped.kind, text).is_none() {
            batch.words.truncate(before);
            return Err(format!(
                "'{}' is no {} for the column {}",
                text.escape_ascii(),
                mapped.kind.name(),
                mapped.column.escape_ascii()
            ));
        }
        batch.words.push([&mapped.column, &b"="[..], text].concat());
    }
    if batch.words.len() == begun {
        batch.words.truncate(before);
        return Err("a row without any value cannot be inserted".to_owned());
    }
    batch.rows += 1;
    Ok(())
}

struct Importing<'a> {
    client: Client,
    path: &'a Path,
    table: Vec<u8>,
    /// Batches whose replies are awaited: their first lines and rows.
    sent: VecDeque<(u64, u64)>,
    /// Rows that are there.
    done: u64,
    is_dry: bool,
}

impl Importing<'_> {
    fn batch(&self, line: u64) -> Batch {
        Batch {
            words: vec![b"TABLE.INSERT".to_vec(), self.table.clone()],
            rows: 0,
            line,
        }
    }

    fn send(&mut self, batch: Batch) -> Result<()> {
        if self.is_dry {
            self.done += batch.rows;
            return Ok(());
        }
        self.drain(AHEAD_MAX - 1)?;
        self.client.send(&batch.words)?;
        self.sent.push_back((batch.line, batch.rows));
        Ok(())
    }

    /// Waits until no more than so many replies are awaited.
    fn drain(&mut self, left: usize) -> Result<()> {
        while self.sent.len() > left {
            self.take()?;
        }
        Ok(())
    }

    fn take(&mut self) -> Result<()> {
        let Some((line, rows)) = self.sent.pop_front() else {
            return Ok(());
        };
        match self.client.reply()? {
            Value::Error(text) => {
                let text = String::from_utf8_lossy(&text).into_owned();
                let later = self.later();
                bail!(
                    "{}: the {rows} rows from line {line} on are refused: {text}\nnothing of them was written; \
                     {} rows before them were{later}",
                    self.path.display(),
                    self.done
                )
            }
            _ => {
                self.done += rows;
                Ok(())
            }
        }
    }

    /// Says what came of the batches behind one that was refused.
    fn later(&mut self) -> String {
        let mut told = String::new();
        while let Some((line, rows)) = self.sent.pop_front() {
            let outcome = match self.client.reply() {
                Ok(Value::Error(_)) => "were refused too",
                Ok(_) => "were written",
                Err(_) => "have no answer",
            };
            told.push_str(&format!("; the {rows} rows from line {line} on {outcome}"));
        }
        told
    }

    /// Ends what was begun, and says how much is there.
    fn stopped(&mut self, error: &dyn std::fmt::Display) -> anyhow::Error {
        match self.drain(0) {
            Err(refused) => refused,
            Ok(()) => anyhow::anyhow!(
                "{}: {error}\n{} rows before that {}",
                self.path.display(),
                self.done,
                if self.is_dry {
                    "are right"
                } else {
                    "were written"
                }
            ),
        }
    }
}
