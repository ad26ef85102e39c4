//! `export-csv`: a table as CSV, with a row of headers.
//!
//! Not here: where the rows come from (`table_source`), what becomes of cells without a value (`csv_cells`).

use std::path::PathBuf;

use anyhow::Result;

use crate::csv_cells::field_of;
use crate::output::Output;
use crate::progress;
use crate::table_source::{Source, SourceOptions, Wanted};

/// What is wanted.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// The table, `namespace.table` or `table`.
    #[arg(long)]
    table: String,
    /// Begins each row with its id, under the header `_id`. An import gives new ones.
    #[arg(long)]
    with_id: bool,
    /// The file; without it the rows go to standard output.
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
    let shapes = source.shapes(Wanted::Table(&options.table))?;
    let Some(shape) = shapes.into_iter().next() else {
        anyhow::bail!("there is no such table");
    };
    let mut output = Output::create(options.output.as_deref())?;
    let bar = progress::rows(shape.rows);
    let mut lines = csv::Writer::from_writer(Vec::new());
    let id = options.with_id.then(|| b"_id".to_vec());
    let names = shape.columns.iter().map(|column| column.name.clone());
    lines.write_record(id.into_iter().chain(names))?;
    let mut rows: u64 = 0;
    source.rows(&shape, &mut |row| {
        let id = options.with_id.then(|| row.id.to_string().into_bytes());
        let cells = row.cells.into_iter().map(field_of);
        lines.write_record(id.into_iter().chain(cells))?;
        rows += 1;
        bar.set_position(rows);
        if rows.is_multiple_of(1024) {
            let full = std::mem::replace(&mut lines, csv::Writer::from_writer(Vec::new()));
            output.write(&full.into_inner().map_err(unwritten)?)?;
        }
        Ok(())
    })?;
    output.write(&lines.into_inner().map_err(unwritten)?)?;
    output.finish()?;
    bar.finish_and_clear();
    Ok(match &options.output {
        Some(path) => format!("{rows} rows in {}\n", path.display()),
        None => String::new(),
    })
}

/// Says that lines of CSV could not be put together.
fn unwritten<W>(error: csv::IntoInnerError<W>) -> anyhow::Error {
    anyhow::anyhow!("{error}")
}
