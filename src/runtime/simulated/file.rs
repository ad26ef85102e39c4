//! Files on the disk of a simulated world, under the names of the real ones.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::disk::{self, Open};
use crate::faults::{self, Fault};
use crate::world;

/// Replaces `path` as a whole.
///
/// # Errors
///
/// Those of the disk.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = PendingFile::create(path)?;
    file.write(bytes)?;
    file.commit()
}

/// Reads a file as text.
///
/// # Errors
///
/// [`io::ErrorKind::NotFound`]; [`io::ErrorKind::InvalidData`] if it is not UTF-8 or is longer than `bytes_max`.
pub fn read_to_string(path: &Path, bytes_max: u64) -> io::Result<String> {
    let mut file = ReadFile::open(path)?;
    if file.size_bytes()? > bytes_max {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text)
}

/// Does nothing: every directory is there.
///
/// # Errors
///
/// None here.
pub fn create_dir(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Says that a directory is this process's; ends when dropped, or with a crash.
#[derive(Debug)]
pub struct DirectoryLock(PathBuf);

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        disk::unlock(&self.0);
    }
}

/// Locks a directory against other processes of the world.
///
/// # Errors
///
/// [`io::ErrorKind::WouldBlock`] if another one has it.
pub fn lock_directory(path: &Path) -> io::Result<DirectoryLock> {
    if disk::lock(path) {
        Ok(DirectoryLock(path.to_owned()))
    } else {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

/// A file that takes the place of another when it is whole.
#[derive(Debug)]
pub struct PendingFile {
    file: Open,
    temporary: PathBuf,
    path: PathBuf,
    is_committed: bool,
}

impl PendingFile {
    /// Begins a file that is to become `path`.
    ///
    /// # Errors
    ///
    /// Those of the disk.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(format!(".{}.tmp", world::process_id()));
        let temporary = PathBuf::from(temporary);
        Ok(Self {
            file: disk::create(&temporary)?,
            temporary,
            path: path.to_owned(),
            is_committed: false,
        })
    }

    /// Appends bytes.
    ///
    /// # Errors
    ///
    /// Those of the disk.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        disk::append(self.file, bytes)
    }

    /// Puts the file in its place. Done means: on disk, name and content.
    ///
    /// # Errors
    ///
    /// Those of the disk; as with the real one.
    pub fn commit(mut self) -> io::Result<()> {
        if !faults::is_on(Fault::FileUnsynced) {
            disk::sync(self.file)?;
        }
        disk::rename(&self.temporary, &self.path)?;
        self.is_committed = true;
        disk::sync_names()
    }
}

impl Drop for PendingFile {
    fn drop(&mut self) {
        if !self.is_committed {
            drop(disk::remove(&self.temporary));
        }
    }
}

/// Removes the temporary file of a process that is gone. The disk of a world has one process at a time.
///
/// # Errors
///
/// Those of the disk.
pub fn remove_abandoned(temporary: &Path) -> io::Result<bool> {
    disk::remove(temporary).map(|()| true)
}

/// A file without a name, which takes no room of the disk.
#[derive(Debug)]
pub struct ScratchFile {
    bytes: Vec<u8>,
    at: usize,
}

impl ScratchFile {
    /// Creates one.
    ///
    /// # Errors
    ///
    /// None here.
    pub fn create(_: &Path) -> io::Result<Self> {
        Ok(Self {
            bytes: Vec::new(),
            at: 0,
        })
    }

    /// Appends bytes.
    ///
    /// # Errors
    ///
    /// None here.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Goes back to the first byte.
    ///
    /// # Errors
    ///
    /// None here.
    pub fn rewind(&mut self) -> io::Result<()> {
        self.at = 0;
        Ok(())
    }
}

impl Read for ScratchFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = (&self.bytes[self.at..]).read(buffer)?;
        self.at += count;
        Ok(count)
    }
}

/// A file that is read from its beginning.
#[derive(Debug)]
pub struct ReadFile {
    file: Open,
    at: u64,
}

impl ReadFile {
    /// Opens a file.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`].
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = disk::open(path)?;
        Ok(Self { file, at: 0 })
    }

    /// Returns how many bytes it has now.
    ///
    /// # Errors
    ///
    /// None here.
    pub fn size_bytes(&self) -> io::Result<u64> {
        Ok(disk::size(self.file))
    }
}

impl Read for ReadFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = disk::read(self.file, self.at, buffer);
        self.at += base::cast::u64_from(count);
        Ok(count)
    }
}

/// Removes a file.
///
/// # Errors
///
/// Those of the disk.
pub fn remove(path: &Path) -> io::Result<()> {
    disk::remove(path)
}

/// A file that lines are appended to.
#[derive(Debug)]
pub struct AppendFile(Open);

impl AppendFile {
    /// Opens `path`, creating it if it is not there.
    ///
    /// # Errors
    ///
    /// Those of the disk.
    pub fn open(path: &Path) -> io::Result<Self> {
        disk::open(path).or_else(|_| disk::create(path)).map(Self)
    }
}

impl Write for &AppendFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        disk::append(self.0, bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
