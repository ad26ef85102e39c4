//! Files of a log on the disk of a simulated world, under the names of the real ones.

use std::io;
use std::path::Path;

use crate::disk::{self, Open};

/// A file that grows at its end. Clones are the same file.
#[derive(Clone, Debug)]
pub struct LogFile {
    file: Open,
}

impl LogFile {
    /// Makes a file; one that is there already is emptied.
    ///
    /// # Errors
    ///
    /// Those of the disk.
    pub fn create(path: &Path) -> io::Result<Self> {
        disk::create(path).map(|file| Self { file })
    }

    /// Appends bytes, not to the disk. Only some of them may be there after an error.
    ///
    /// # Errors
    ///
    /// Those of the disk.
    #[expect(clippy::ptr_arg, reason = "that of the real one")]
    pub fn append(&self, bytes: &mut Vec<u8>) -> io::Result<()> {
        disk::append(self.file, bytes)
    }

    /// Cuts the file.
    ///
    /// # Errors
    ///
    /// Those of the disk.
    pub fn cut(&self, bytes: u64) -> io::Result<()> {
        disk::cut(self.file, bytes)
    }

    /// Brings all that was appended to the disk.
    ///
    /// # Errors
    ///
    /// Those of the disk. What was appended before is lost then, whatever a later call says.
    pub fn sync(&self) -> io::Result<()> {
        disk::sync(self.file)
    }

    /// There is no room here: what is appended makes a file longer.
    ///
    /// # Errors
    ///
    /// None here.
    pub fn cut_room(&self) -> io::Result<()> {
        Ok(())
    }

    /// Returns whether there is room: never here.
    #[must_use]
    pub fn has_room(&self) -> bool {
        false
    }

    /// Returns whether room is to be made: never here.
    #[must_use]
    pub fn takes_room(&self) -> bool {
        false
    }

    /// Makes no room.
    ///
    /// # Errors
    ///
    /// None here.
    pub fn make_room(&self) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn open_file(&self) -> Open {
        self.file
    }
}

/// Cuts a file and brings that to the disk.
///
/// # Errors
///
/// Those of the disk.
pub fn cut(path: &Path, bytes: u64) -> io::Result<()> {
    let file = disk::open(path)?;
    disk::cut(file, bytes)?;
    disk::sync(file)
}

/// Brings a file to the disk, whoever has written it.
///
/// # Errors
///
/// Those of the disk.
pub fn sync(path: &Path) -> io::Result<()> {
    disk::sync(disk::open(path)?)
}

/// Brings the names in a directory to the disk.
///
/// # Errors
///
/// Those of the disk.
pub fn sync_directory(_: &Path) -> io::Result<()> {
    disk::sync_names()
}

/// Gives a file a second name. Done means: on disk, but for the name.
///
/// # Errors
///
/// Those of the disk.
pub fn link_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    disk::link(from, to)?;
    disk::sync(disk::open(to)?)
}

/// Returns the names in a directory.
///
/// # Errors
///
/// None here.
pub fn names_in(path: &Path) -> io::Result<Vec<String>> {
    Ok(disk::names_in(path))
}
