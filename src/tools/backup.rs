//! `backup`: keeps a copy of the data of a server that does not run.
//!
//! The data is the RDB file. A log says more than that, and to make one file of it takes a server: then the
//! task is refused and says how.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use runtime::directory;
use runtime::file::{PendingFile, ReadFile};
use storage::backup::{self, Refused};

use crate::data_directory::DataDirectory;
use crate::failure::Failure;
use crate::progress;
use crate::verify::about;

/// Makes a backup in the directory `to`; returns what is said of it.
pub(crate) fn run(data: &DataDirectory, to: &Path) -> Result<String> {
    let target = data.target();
    let held = data.hold()?;
    if target.has_log()? {
        bail!(
            "the data of {} is in its log, {}, too: copy the whole directory while no server runs, or start the \
             server with it, say BGSAVE, and keep {}",
            target.directory.display(),
            target.log_path().display(),
            target.rdb_path().display()
        );
    }
    let from = target.rdb_path();
    let shown = from.display();
    if !directory::exists(&from)? {
        bail!(
            "there is no data in {}: no file {shown}",
            target.directory.display()
        );
    }
    runtime::file::create_dir(to).with_context(|| format!("create {}", to.display()))?;
    let path = to.join(backup::name(runtime::clock::unix_millis()));
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
