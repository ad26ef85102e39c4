//! `backup`: keeps a copy of the data of a server that does not run.
//!
//! Without a log the data is the RDB file, which is copied. With one it is what a server would have that starts there:
//! shards are made of the base and the logs, in memory, and written to a file (`trestle::persistence::offline`).

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use runtime::directory;
use runtime::file::{PendingFile, ReadFile};
use storage::backup::{self, Refused};
use trestle::persistence::offline::{Wanted, make_rdb};

use crate::data_directory::DataDirectory;
use crate::failure::Failure;
use crate::verify::{self, about};
use crate::{log_directory, progress};

/// Makes a backup in the directory `to`; returns what is said of it.
pub(crate) fn run(data: &DataDirectory, to: &Path, databases: u16) -> Result<String> {
    let target = data.target();
    let held = data.hold()?;
    if target.has_log()? {
        let held_log = log_directory::lock(&target.log_path())?;
        let path = path_in(to)?;
        let wanted = Wanted {
            databases,
            has_tables: true,
        };
        let made = make_rdb(&target.log_path(), wanted, &path);
        made.map_err(|error| anyhow!("{error}; no backup was made"))?;
        drop((held, held_log));
        let summary = verify::verify(&path)?;
        return Ok(format!("{}: {}\n", path.display(), about(&summary)));
    }
    let from = target.rdb_path();
    let shown = from.display();
    if !directory::exists(&from)? {
        bail!(
            "there is no data in {}: no file {shown}",
            target.directory.display()
        );
    }
    let path = path_in(to)?;
    let failed = || format!("write {}", path.display());
    let mut source = ReadFile::open(&from).with_context(|| format!("open {shown}"))?;
    let bar = progress::bar(source.size_bytes()?);
    let mut copy = PendingFile::create(&path).with_context(failed)?;
    let read = backup::read(&mut source, &mut |bytes| {
        bar.inc(base::cast::u64_from(bytes.len()));
        copy.write(bytes)
    });
    bar.finish_and_clear();
    let summary = match read {
        Ok(summary) => summary,
        Err(Refused::Rdb(error)) => {
            return Err(Failure::Damaged(format!("{shown}: {error}; no backup was made")).into());
        }
        Err(Refused::Io(error)) => return Err(error).with_context(failed),
    };
    copy.commit().with_context(failed)?;
    drop(held);
    Ok(format!("{}: {}\n", path.display(), about(&summary)))
}

/// Returns the path of a backup of this moment in a directory, which is made if it is not there.
fn path_in(to: &Path) -> Result<PathBuf> {
    runtime::file::create_dir(to).with_context(|| format!("create {}", to.display()))?;
    Ok(to.join(backup::name(runtime::clock::unix_millis())))
}
