//! Files of a log: appended to by one core, brought to the disk by it or by a helper thread.
//!
//! Invariant: after a write that failed the file is as long as before, or the next write makes it so first.
//!
//! Every call may wait for the disk. A core that appends waits for the kernel to take the bytes; one that is not to
//! wait for the device has its ring sync ([`crate::socket_ring::SocketRing::sync`]).
//!
//! Not here: what the bytes mean (crate `storage`).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::path::Path;
use std::sync::Arc;

/// A file that grows at its end. Clones are the same file.
#[derive(Clone, Debug)]
pub struct LogFile {
    file: Arc<File>,
}

impl LogFile {
    /// Makes a file; one that is there already is emptied.
    ///
    /// # Errors
    ///
    /// Those of `open(2)`.
    pub fn create(path: &Path) -> io::Result<Self> {
        drop(File::create(path)?);
        let file = OpenOptions::new().append(true).open(path)?;
        Ok(Self {
            file: Arc::new(file),
        })
    }

    /// Appends bytes: to the kernel, not to the disk. Only some of them may be there after an error.
    ///
    /// # Errors
    ///
    /// Those of `write(2)`.
    pub fn append(&self, bytes: &[u8]) -> io::Result<()> {
        (&*self.file).write_all(bytes)
    }

    /// Cuts the file.
    ///
    /// # Errors
    ///
    /// Those of `ftruncate(2)`.
    pub fn cut(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }

    /// Brings all that was appended to the disk.
    ///
    /// # Errors
    ///
    /// Those of `fdatasync(2)`. What was appended before may be lost then, whatever a later call says.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    pub(crate) fn raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

/// Cuts a file and brings that to the disk.
///
/// # Errors
///
/// Those of the file system.
pub fn cut(path: &Path, bytes: u64) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(bytes)?;
    file.sync_all()
}

/// Brings a file to the disk, whoever has written it.
///
/// # Errors
///
/// Those of the file system.
pub fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Brings the names in a directory to the disk.
///
/// # Errors
///
/// Those of the file system.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Gives a file a second name, or copies it where the file system knows no second names. Done means: on
/// disk, but for the name.
///
/// # Errors
///
/// Those of the file system.
pub fn link_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    if fs::hard_link(from, to).is_err() {
        fs::copy(from, to)?;
    }
    File::open(to)?.sync_all()
}

/// Returns the names in a directory; those that are no text are left out.
///
/// # Errors
///
/// Those of the file system.
pub fn names_in(path: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        names.extend(entry?.file_name().into_string());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_appended_is_there_and_what_is_cut_is_not() {
        let directory = std::env::temp_dir().join(format!("log-file-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let (path, other) = (directory.join("one"), directory.join("other"));
        let file = LogFile::create(&path).unwrap();
        file.append(b"first ").unwrap();
        file.append(b"second").unwrap();
        file.cut(6).unwrap();
        file.append(b"third").unwrap();
        file.sync().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"first third");
        link_or_copy(&path, &other).unwrap();
        cut(&path, 5).unwrap();
        sync_directory(&directory).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"first");
        let mut names = names_in(&directory).unwrap();
        names.sort_unstable();
        assert_eq!(names, ["one", "other"]);
        fs::remove_dir_all(&directory).unwrap();
    }
}
