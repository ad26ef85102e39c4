//! `trestle-tools`: work on files of data while no server has them.
//!
//! One subcommand, one module. Each says what it has found on standard output and why it failed on standard
//! error; the exit code is 0 only if all is well.
//!
//! Not here: what the files are (crate `storage`).

mod rdb_check;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Work on files of data of Trestle and of Redis.
#[derive(Debug, Parser)]
#[command(name = "trestle-tools", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Reads an RDB file of Redis or Trestle from its first byte to its last, and says what is in it.
    RdbCheck {
        /// The file, such as dump.rdb.
        file: PathBuf,
        /// Does not compare the checksum at the end.
        #[arg(long)]
        no_checksum: bool,
    },
}

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what a command line tool is for"
)]
fn main() -> ExitCode {
    let Arguments { task } = Arguments::parse();
    let done = match task {
        Task::RdbCheck { file, no_checksum } => rdb_check::run(&file, !no_checksum),
    };
    match done {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("trestle-tools: {error:#}");
            ExitCode::FAILURE
        }
    }
}
