//! `verify`: whether backups are whole; and what one is, in words.
//!
//! All bytes are read and compared with the checksum; values are found but not made (`rdb-check` does).

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use runtime::file::ReadFile;
use runtime::{directory, log_file};
use storage::backup::{self, Refused, Summary};
use storage::times;

use crate::failure::Failure;
use crate::progress;

/// Verifies a backup, or all of a directory; returns what is said of them.
pub(crate) fn run(path: &Path) -> Result<String> {
    let files = files(path)?;
    if files.is_empty() {
        let text = format!("there are no backups in {}", path.display());
        return Err(Failure::Damaged(text).into());
    }
    let (mut text, mut damages) = (String::new(), Vec::new());
    for file in &files {
        match verify(file) {
            Ok(summary) => {
                text += &format!("{}: whole, {}\n", file.display(), about(&summary));
            }
            Err(error) if error.is::<Failure>() => damages.push(format!("{error:#}")),
            Err(error) => return Err(error),
        }
    }
    if damages.is_empty() {
        return Ok(text);
    }
    Err(Failure::Damaged(text + &damages.join("\n")).into())
}

fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if !directory::is_directory(path) {
        return Ok(vec![path.to_owned()]);
    }
    let mut names = log_file::names_in(path).with_context(|| format!("read {}", path.display()))?;
    names.retain(|name| backup::time_of_name(name).is_some());
    names.sort_unstable();
    Ok(names.iter().map(|name| path.join(name)).collect())
}

/// Reads a backup through.
pub(crate) fn verify(path: &Path) -> Result<Summary> {
    let shown = path.display();
    let mut file = ReadFile::open(path).with_context(|| format!("open {shown}"))?;
    let bar = progress::bar(file.size_bytes().with_context(|| format!("open {shown}"))?);
    let read = backup::read(&mut file, &mut |bytes| {
        bar.inc(base::cast::u64_from(bytes.len()));
        Ok(())
    });
    bar.finish_and_clear();
    match read {
        Ok(summary) if !summary.has_checksum => {
            let text = format!("{shown}: it has no checksum, so nobody knows whether it is whole");
            Err(Failure::Damaged(text).into())
        }
        Ok(summary) => Ok(summary),
        Err(Refused::Rdb(error)) => Err(Failure::Damaged(format!("{shown}: {error}")).into()),
        Err(Refused::Io(error)) => Err(error).with_context(|| format!("read {shown}")),
    }
}

/// Says what a backup is.
pub(crate) fn about(summary: &Summary) -> String {
    let by = match &summary.server_version {
        Some(version) => format!(" by Trestle {version}"),
        None => String::new(),
    };
    let at = match summary.made_at {
        Some(at) => format!(", of {}", times::shown(at)),
        None => String::new(),
    };
    format!("{} keys, {} bytes{at}{by}", summary.keys, summary.bytes)
}
