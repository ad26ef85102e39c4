//! The data directory of a server, held while a task works on it.
//!
//! Not here: the log inside it (`log_directory`).

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use runtime::directory;
use runtime::file::DirectoryLock;
use storage::backup::Target;

use crate::log_directory;

/// Where the data of a server is, by the names of its directives.
#[derive(Args, Clone, Debug)]
pub(crate) struct DataDirectory {
    /// The data directory: `dir` of the server.
    #[arg(long = "dir", value_name = "DIR")]
    path: PathBuf,
    /// The name of the RDB file in it: `dbfilename`.
    #[arg(long = "dbfilename", value_name = "NAME", default_value = "dump.rdb")]
    rdb_file: String,
    /// The name of the directory of the log in it: `appenddirname`.
    #[arg(
        long = "appenddirname",
        value_name = "NAME",
        default_value = "appendonlydir"
    )]
    log_directory: String,
}

impl DataDirectory {
    /// Returns the paths.
    pub(crate) fn target(&self) -> Target<'_> {
        Target {
            directory: &self.path,
            rdb_file: &self.rdb_file,
            log_directory: &self.log_directory,
        }
    }

    /// Takes the directory, which has to be there, against servers and other tasks.
    pub(crate) fn hold(&self) -> Result<DirectoryLock> {
        if !directory::is_directory(&self.path) {
            bail!("there is no directory {}", self.path.display());
        }
        log_directory::lock(&self.path)
    }

    /// As [`Self::hold`], and creates it if it is not there.
    pub(crate) fn hold_or_create(&self) -> Result<DirectoryLock> {
        runtime::file::create_dir(&self.path)?;
        self.hold()
    }
}
