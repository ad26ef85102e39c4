//! Files: small ones, read and written whole while nothing else waits (settings, identity, locks), and
//! large ones, which [`crate::helper`] threads read and write piece by piece.
//!
//! Every call here may wait for the disk, so a core makes none for a large file.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
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

/// A file that takes the place of another when it is whole. Dropped before that, it leaves nothing
/// behind; [`remove_abandoned`] removes what a process has left that was killed.
#[derive(Debug)]
pub struct PendingFile {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
    is_committed: bool,
    /// Bytes that were written since the last were brought to the disk.
    unsynced_bytes: usize,
}

/// So many bytes are brought to the disk together, so that the end need not wait for all of them.
const SYNC_BYTES: usize = 32 << 20;

impl PendingFile {
    /// Begins a file that is to become `path`, in the same directory.
    ///
    /// # Errors
    ///
    /// Those of `open(2)`.
    pub fn create(path: &Path) -> io::Result<Self> {
        let temporary = temporary_name(path)?;
        let file = File::create(&temporary)?;
        // Says that somebody writes it. Where files cannot be locked, nobody removes it as abandoned either.
        drop(file.try_lock());
        Ok(Self {
            file,
            temporary,
            path: path.to_owned(),
            is_committed: false,
            unsynced_bytes: 0,
        })
    }

    /// Appends bytes.
    ///
    /// # Errors
    ///
    /// Those of `write(2)` and `fdatasync(2)`.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.unsynced_bytes += bytes.len();
        if self.unsynced_bytes >= SYNC_BYTES {
            self.unsynced_bytes = 0;
            self.file.sync_data()?;
        }
        Ok(())
    }

    /// Puts the file in its place. Done means: on disk, name and content.
    ///
    /// # Errors
    ///
    /// Those of the file system; what was in the place is unchanged then, but for the last one: the
    /// directory may not be on the disk yet.
    pub fn commit(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.temporary, &self.path)?;
        self.is_committed = true;
        File::open(parent(&self.path))?.sync_all()
    }
}

impl Drop for PendingFile {
    fn drop(&mut self) {
        if !self.is_committed {
            // There is nobody to tell; the file is not in the way of another.
            drop(fs::remove_file(&self.temporary));
        }
    }
}

/// Removes the temporary file of a [`PendingFile`] whose process is gone, or that of [`write_atomically`]. Returns
/// whether it did: what somebody writes stays, whichever process that is.
///
/// # Errors
///
/// Those of the file system; also if it knows no locks.
pub fn remove_abandoned(temporary: &Path) -> io::Result<bool> {
    let file = File::open(temporary)?;
    match file.try_lock() {
        Ok(()) => fs::remove_file(temporary).map(|()| true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// A file without a name: written, then read back by who has written it. Nothing of it is left when it is
/// dropped, or when the process ends in any way.
#[derive(Debug)]
pub struct ScratchFile(File);

impl ScratchFile {
    /// Creates one that takes its room where `directory` is.
    ///
    /// # Errors
    ///
    /// Those of `open(2)` and `unlink(2)`.
    pub fn create(directory: &Path) -> io::Result<Self> {
        let name = temporary_name(&directory.join("scratch"))?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        let file = options.open(&name)?;
        fs::remove_file(&name)?;
        Ok(Self(file))
    }

    /// Appends bytes.
    ///
    /// # Errors
    ///
    /// Those of `write(2)`.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    /// Goes back to the first byte, to read all that was written.
    ///
    /// # Errors
    ///
    /// Those of `lseek(2)`.
    pub fn rewind(&mut self) -> io::Result<()> {
        self.0.rewind()
    }
}

impl Read for ScratchFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

/// A file that is read from its beginning.
#[derive(Debug)]
pub struct ReadFile(File);

impl ReadFile {
    /// Opens a file.
    ///
    /// # Errors
    ///
    /// Those of `open(2)`.
    pub fn open(path: &Path) -> io::Result<Self> {
        File::open(path).map(Self)
    }

    /// Returns how many bytes it has now.
    ///
    /// # Errors
    ///
    /// Those of `fstat(2)`.
    pub fn size_bytes(&self) -> io::Result<u64> {
        self.0.metadata().map(|metadata| metadata.len())
    }
}

impl Read for ReadFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
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
    fn a_pending_file_takes_its_place_whole_or_not_at_all() {
        let directory = directory("pending");
        let path = directory.join("file");
        write_atomically(&path, b"before").unwrap();
        let mut dropped = PendingFile::create(&path).unwrap();
        dropped.write(b"half").unwrap();
        drop(dropped);
        assert_eq!(read_to_string(&path, 10).unwrap(), "before");
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
        let mut whole = PendingFile::create(&path).unwrap();
        whole.write(b"aft").unwrap();
        whole.write(b"er").unwrap();
        whole.commit().unwrap();
        let mut file = ReadFile::open(&path).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), file.size_bytes().unwrap()), ("after", 5));
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_scratch_file_is_read_back_and_has_no_name() {
        let directory = directory("scratch");
        let mut file = ScratchFile::create(&directory).unwrap();
        let mut other = ScratchFile::create(&directory).unwrap();
        other.write(b"other").unwrap();
        file.write(b"first ").unwrap();
        file.write(b"second").unwrap();
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
        file.rewind().unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "first second");
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
