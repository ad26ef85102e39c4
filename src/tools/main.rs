//! `trestle-tools`: work on files of data while no server has them, and tables out of and into running servers.
//!
//! One subcommand, one module. Each says what it has found on standard output and why it failed on standard
//! error; the exit code is 0 only if all is well, see `failure`.
//!
//! Not here: what the files are (crate `storage`).

mod aof_check;
mod aof_dump;
mod aof_truncate;
mod backup;
mod client;
mod convert;
mod csv_cells;
mod data_directory;
mod export_csv;
mod export_sql;
mod failure;
mod import_csv;
mod log_directory;
mod output;
mod progress;
mod rdb_check;
mod rdb_tables;
mod restore;
mod table_records;
mod table_source;
mod verify;

use std::io::{self, BufWriter, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use base::clock::UnixMillis;
use clap::{Parser, Subcommand};
use trestle::persistence::offline::Wanted;

use self::data_directory::DataDirectory;

/// Work on files of data of Trestle and of Redis, while no server uses them; tables out of and into servers.
#[derive(Debug, Parser)]
#[command(
    name = "trestle-tools",
    version,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 all is well; 1 a file is damaged or not what it should be; 2 wrong arguments; \
                  3 the directory is in use; 4 anything else."
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Reads an RDB file of Redis or Trestle from its first byte to its last, and says what is in it.
    #[command(visible_alias = "snapshot-check")]
    RdbCheck {
        /// The file, such as dump.rdb.
        file: PathBuf,
        /// Does not compare the checksum at the end.
        #[arg(long)]
        no_checksum: bool,
    },
    /// Reads a log from its base to its last record, and says whether it is whole.
    AofCheck {
        #[command(flatten)]
        log: Log,
    },
    /// Prints a log, a line per effect: shard, number, time, database, key, what.
    AofDump {
        #[command(flatten)]
        log: Log,
        /// Prints objects of JSON.
        #[arg(long)]
        json: bool,
        /// Only of this shard.
        #[arg(long)]
        shard: Option<u16>,
    },
    /// Takes a log back to a point in time; the log as it was is kept beside.
    AofTruncate {
        #[command(flatten)]
        log: Log,
        /// What was written later goes: RFC 3339, `YYYY-MM-DD HH:MM:SS` in UTC, or seconds or milliseconds since 1970.
        #[arg(long, value_name = "TIME", value_parser = time)]
        until: UnixMillis,
        /// Only says what would be done.
        #[arg(long)]
        dry_run: bool,
    },
    /// Makes a backup of a data directory.
    Backup {
        #[command(flatten)]
        data: DataDirectory,
        /// The directory the backup is put into.
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        /// How many numbered databases there are: `databases` of the server.
        #[arg(long, default_value_t = 16)]
        databases: u16,
    },
    /// Makes an RDB file of a log, of an append-only file of Redis, or of another RDB file.
    Convert {
        /// The directory of the log or of the append-only files, the data directory around it, or a file.
        from: PathBuf,
        /// The file, which must not be there.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        /// How many numbered databases there are: `databases` of the server.
        #[arg(long, default_value_t = 16)]
        databases: u16,
        /// Leaves tables out: Redis does not load a file that has some.
        #[arg(long)]
        no_tables: bool,
    },
    /// Reads a backup, or all backups of a directory, and says whether they are whole.
    Verify {
        /// The file or directory.
        path: PathBuf,
    },
    /// Puts a backup in the place of the data of a directory.
    Restore {
        /// The backup, or any RDB file; or its address: `s3://BUCKET/KEY`, `gs://BUCKET/KEY`, `az://CONTAINER/KEY`.
        file: PathBuf,
        #[command(flatten)]
        store: restore::Store,
        #[command(flatten)]
        data: DataDirectory,
        /// Moves data that is there aside, into a directory beside it.
        #[arg(long)]
        force: bool,
    },
    /// Writes tables of a server or an RDB file as statements that SQLite takes.
    ExportSql(export_sql::Options),
    /// Writes a table of a server or an RDB file as CSV.
    ExportCsv(export_csv::Options),
    /// Inserts the rows of a CSV file into a table of a server.
    ImportCsv(import_csv::Options),
}

/// Which log.
#[derive(clap::Args, Debug)]
struct Log {
    /// The directory of the log (appenddirname in dir), the data directory, or a file in either.
    #[arg(long, value_name = "PREFIX")]
    file: PathBuf,
}

fn time(text: &str) -> Result<UnixMillis, &'static str> {
    storage::times::parse(text).ok_or("that is no time")
}

#[expect(clippy::print_stderr, reason = "what a command line tool is for")]
fn main() -> ExitCode {
    let Arguments { task } = Arguments::parse();
    match run(task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if failure::is_unread(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("trestle-tools: {error:#}");
            ExitCode::from(failure::exit_code(&error))
        }
    }
}

fn run(task: Task) -> Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    let text = match task {
        Task::RdbCheck { file, no_checksum } => rdb_check::run(&file, !no_checksum)?,
        Task::AofCheck { log } => aof_check::run(&log.file)?,
        Task::AofDump { log, json, shard } => {
            let wanted = aof_dump::Wanted {
                shard,
                is_json: json,
            };
            return aof_dump::run(&log.file, wanted, &mut out);
        }
        Task::AofTruncate {
            log,
            until,
            dry_run,
        } => aof_truncate::run(&log.file, until, dry_run)?,
        Task::Backup {
            data,
            to,
            databases,
        } => backup::run(&data, &to, databases)?,
        Task::Convert {
            from,
            to,
            databases,
            no_tables,
        } => {
            let wanted = Wanted {
                databases,
                has_tables: !no_tables,
            };
            convert::run(&from, &to, wanted)?
        }
        Task::Verify { path } => verify::run(&path)?,
        Task::Restore {
            file,
            store,
            data,
            force,
        } => restore::run(&file, &store, &data, force)?,
        Task::ExportSql(options) => export_sql::run(&options)?,
        Task::ExportCsv(options) => export_csv::run(&options)?,
        Task::ImportCsv(options) => import_csv::run(&options)?,
    };
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}
