//! The directory of a log, held against servers while a task works on it.
//!
//! Not here: the form of its files (`storage::log`).

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use runtime::directory;
use runtime::file::{DirectoryLock, ReadFile, lock_directory};
use storage::log::manifest::{self, Generation, Manifest};
use storage::log::record::{Damage, Reader};

use crate::failure::Failure;

/// The name of the directory of the log in the data directory, unless `appenddirname` says another.
pub(crate) const USUAL_NAME: &str = "appendonlydir";

/// A log that no server uses.
#[derive(Debug)]
pub(crate) struct LogDirectory {
    pub(crate) path: PathBuf,
    pub(crate) manifest: Manifest,
    _lock: DirectoryLock,
}

/// A file of a log.
pub(crate) struct LogFile {
    pub(crate) path: PathBuf,
    pub(crate) shard: u16,
    pub(crate) bytes: u64,
    pub(crate) reader: Reader<ReadFile>,
}

impl LogDirectory {
    /// Takes the log that `prefix` names: its directory, the data directory around it, or a file in it.
    pub(crate) fn open(prefix: &Path) -> Result<Self> {
        let path = find(prefix)?;
        let lock = lock(&path)?;
        let manifest = load_manifest(&path)?;
        Ok(Self {
            path,
            manifest,
            _lock: lock,
        })
    }

    /// Returns all files that the manifest says, generation by generation.
    pub(crate) fn names(&self) -> impl Iterator<Item = (Generation, u16)> {
        let generations = self.manifest.generations.iter();
        generations.flat_map(|generation| (0..generation.shards).map(|shard| (*generation, shard)))
    }

    /// Returns the bytes of all files.
    pub(crate) fn bytes(&self) -> u64 {
        let size = |(generation, shard): (Generation, u16)| {
            let path = manifest::log_path(&self.path, generation.number, shard);
            let file = ReadFile::open(&path);
            file.and_then(|file| file.size_bytes()).unwrap_or(0)
        };
        self.names().map(size).sum()
    }

    /// Opens the file of a shard and generation. There is none if the server has ended before it made it.
    pub(crate) fn file(&self, generation: Generation, shard: u16) -> Result<Option<LogFile>> {
        let path = manifest::log_path(&self.path, generation.number, shard);
        let shown = path.display();
        let file = match ReadFile::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.with_context(|| format!("open {shown}"))?,
        };
        let bytes = file.size_bytes().with_context(|| format!("open {shown}"))?;
        let reader = Reader::open(file).map_err(|damage| damaged(&path, &damage))?;
        if let Some(head) = reader.head()
            && (head.shard != shard || head.generation != generation.number)
        {
            let text = format!("{shown}: it is the log of another shard or generation");
            return Err(Failure::Damaged(text).into());
        }
        Ok(Some(LogFile {
            path,
            shard,
            bytes,
            reader,
        }))
    }
}

/// Says what is wrong with a file.
pub(crate) fn damaged(path: &Path, damage: &Damage) -> anyhow::Error {
    Failure::Damaged(format!("{}: {damage}", path.display())).into()
}

/// Returns whether there is a log in a directory.
pub(crate) fn is_log(path: &Path) -> bool {
    directory::exists(&path.join(manifest::NAME)).unwrap_or(false)
}

fn find(prefix: &Path) -> Result<PathBuf> {
    let inside = prefix.join(USUAL_NAME);
    let around = prefix.parent().map(Path::to_owned).unwrap_or_default();
    let around = match around.as_os_str().is_empty() {
        true => PathBuf::from("."),
        false => around,
    };
    let all = [
        prefix.to_owned(),
        inside,
        around.clone(),
        around.join(USUAL_NAME),
    ];
    let found = all.into_iter().find(|path| is_log(path));
    found.ok_or_else(|| {
        anyhow!(
            "there is no log at {}: name the directory of the log, which has the file '{}' \
             (appenddirname in dir)",
            prefix.display(),
            manifest::NAME
        )
    })
}

/// Takes a directory against servers and other tasks.
pub(crate) fn lock(path: &Path) -> Result<DirectoryLock> {
    match lock_directory(path) {
        Ok(lock) => Ok(lock),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(Failure::InUse(format!("{error}; stop it first")).into())
        }
        Err(error) => Err(error).with_context(|| format!("lock {}", path.display())),
    }
}

fn load_manifest(path: &Path) -> Result<Manifest> {
    let shown = path.join(manifest::NAME).display().to_string();
    match Manifest::load(path) {
        Ok(Some(manifest)) => Ok(manifest),
        Ok(None) => bail!("{shown} is gone"),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(Failure::Damaged(format!(
            "{shown}: {error}; put back a whole copy of the directory"
        ))
        .into()),
        Err(error) => Err(error).with_context(|| format!("read {shown}")),
    }
}
