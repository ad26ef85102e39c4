//! Small files, read and written whole while nothing else waits: settings, identity, locks.
//!
//! Not here: the log and snapshots, which must not stop a core.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Name of the lock file inside a locked directory.
const LOCK_FILE: &str = "lock";

/// Replaces the file `path` by one with content `bytes`. A reader sees the old or the new content,
/// never a mixture, also after a power failure.
///
/// Done means: on disk, name and content.
///
/// # Errors
///
/// Those of the file system; the old file is then unchanged, and no temporary file is left unless
/// removing it fails too.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = parent(path);
    let temporary = temporary_name(path)?;
    let result = write_and_sync(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    if result.is_err() {
        // The first error is the one to tell.
        drop(fs::remove_file(&temporary));
        return result;
    }
    // The rename is on disk only when the directory is.
    File::open(directory)?.sync_all()
}

/// Reads a file as text.
///
/// # Errors
///
/// Those of the file system; [`io::ErrorKind::InvalidData`] if it is not UTF-8 or is longer than
/// `bytes_max`.
pub fn read_to_string(path: &Path, bytes_max: u64) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?
        .take(bytes_max.saturating_add(1))
        .read_to_string(&mut text)?;
    if base::cast::u64_from(text.len()) > bytes_max {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the file is too long",
        ));
    }
    Ok(text)
}

/// Creates a directory and those above it; one that exists is fine.
///
/// # Errors
///
/// Those of the file system.
pub fn create_dir(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

/// Says that a directory is this process's; ends when dropped or when the process ends in any way.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
}

/// Locks the existing directory `path` against other processes that do the same.
///
/// # Errors
///
/// [`io::ErrorKind::WouldBlock`] if another process has it, its process id in the message if known;
/// those of the file system otherwise.
pub fn lock_directory(path: &Path) -> io::Result<DirectoryLock> {
    let name = path.join(LOCK_FILE);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(name)?;
    match file.try_lock() {
        Ok(()) => {
            // The number is for people who wonder who has the lock; the lock itself is the kernel's.
            file.set_len(0)?;
            file.write_all(std::process::id().to_string().as_bytes())?;
            Ok(DirectoryLock { _file: file })
        }
        Err(TryLockError::Error(error)) => Err(error),
        Err(TryLockError::WouldBlock) => {
            let mut owner = String::new();
            let is_known = file.take(20).read_to_string(&mut owner).is_ok() && !owner.is_empty();
            let owner = if is_known {
                format!(" (process {owner})")
            } else {
                String::new()
            };
            let message = format!("{} is in use by another server{owner}", path.display());
            Err(io::Error::new(io::ErrorKind::WouldBlock, message))
        }
    }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}

/// A name in the same directory, as a rename does not cross file systems.
fn temporary_name(path: &Path) -> io::Result<PathBuf> {
    let Some(name) = path.file_name() else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the path names no file",
        ));
    };
    let mut temporary = name.to_os_string();
    temporary.push(format!(".{}.tmp", std::process::id()));
    Ok(path.with_file_name(temporary))
}

fn write_and_sync(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Removes a file.
///
/// # Errors
///
/// Those of `unlink(2)`.
pub fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path)
}

/// A file that lines are appended to, from any thread. Each write goes to the kernel at once and whole,
/// so lines of several threads do not mix.
#[derive(Debug)]
pub struct AppendFile(File);

impl AppendFile {
    /// Opens `path`, creating it if it is not there.
    ///
    /// # Errors
    ///
    /// Those of `open(2)`.
    pub fn open(path: &Path) -> io::Result<Self> {
        OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .map(Self)
    }
}

impl Write for &AppendFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("runtime-{name}-{}", std::process::id()));
        create_dir(&path).unwrap();
        path
    }

    #[test]
    fn an_atomic_write_replaces_and_leaves_nothing_behind() {
        let directory = directory("write");
        let path = directory.join("file");
        write_atomically(&path, b"first").unwrap();
        write_atomically(&path, b"second").unwrap();
        assert_eq!(read_to_string(&path, 6).unwrap(), "second");
        assert_eq!(
            read_to_string(&path, 5).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
        assert!(write_atomically(&directory.join("missing/file"), b"").is_err());
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_second_lock_is_refused_until_the_first_is_gone() {
        let directory = directory("lock");
        let lock = lock_directory(&directory).unwrap();
        let error = lock_directory(&directory).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(error.to_string().contains(&std::process::id().to_string()));
        drop(lock);
        drop(lock_directory(&directory).unwrap());
        fs::remove_dir_all(&directory).unwrap();
    }
}
