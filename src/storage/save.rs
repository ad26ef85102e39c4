//! A file of Redis on its way to the disk.
//!
//! A file with a name grows beside the one it is to replace, and takes its place when it is whole and on the disk.
//! Until then, and for ever if anything fails, the old one stays. One without a name is for who reads it back at once.
//!
//! Not here: what is in the file ([`crate::rdb_file`]).

use std::io;
use std::path::Path;

use base::cast;
use runtime::file::{PendingFile, ScratchFile};
use types::rdb::Checksum;

/// Returns the name of the file that a temporary one was to become; nothing if it is none of ours. Both lie in the
/// same directory.
#[must_use]
pub fn goal_of(temporary: &str) -> Option<&str> {
    let (goal, process) = temporary.strip_suffix(".tmp")?.rsplit_once('.')?;
    process.parse::<u32>().is_ok().then_some(goal)
}

/// A file that is being written. Its calls wait for the disk: they are for a helper thread.
#[derive(Debug)]
pub struct Saving {
    file: Medium,
    checksum: Option<Checksum>,
    bytes: u64,
}

#[derive(Debug)]
enum Medium {
    Named(PendingFile),
    Nameless(ScratchFile),
}

/// A file that is whole.
#[derive(Debug)]
pub struct Saved {
    /// How many bytes it has.
    pub bytes: u64,
    /// The file, at its first byte, if it has no name. One with a name is in its place and on the disk.
    pub nameless: Option<ScratchFile>,
}

impl Saving {
    /// Begins the file that is to become `path`. It ends with a checksum if `has_checksum`
    /// (`rdbchecksum`), otherwise with zeros in its place.
    ///
    /// # Errors
    ///
    /// Those of `open(2)`.
    pub fn create(path: &Path, has_checksum: bool) -> io::Result<Self> {
        Ok(Self::of(
            Medium::Named(PendingFile::create(path)?),
            has_checksum,
        ))
    }

    /// Begins a file without a name, which takes its room in `directory` as long as it is held.
    ///
    /// # Errors
    ///
    /// Those of `open(2)` and `unlink(2)`.
    pub fn create_nameless(directory: &Path, has_checksum: bool) -> io::Result<Self> {
        let file = ScratchFile::create(directory)?;
        Ok(Self::of(Medium::Nameless(file), has_checksum))
    }

    fn of(file: Medium, has_checksum: bool) -> Self {
        Self {
            file,
            checksum: has_checksum.then(Checksum::default),
            bytes: 0,
        }
    }

    /// Appends the next bytes that a [`crate::rdb_file::Writer`] has made.
    ///
    /// # Errors
    ///
    /// Those of `write(2)` and `fdatasync(2)`.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(checksum) = &mut self.checksum {
            checksum.update(bytes);
        }
        self.bytes += cast::u64_from(bytes.len());
        match &mut self.file {
            Medium::Named(file) => file.write(bytes),
            Medium::Nameless(file) => file.write(bytes),
        }
    }

    /// Ends the file behind the byte that says so, and puts it in its place if it has one. Done means then: on
    /// disk.
    ///
    /// # Errors
    ///
    /// Those of the file system; the old file is unchanged then, see [`PendingFile::commit`].
    pub fn finish(mut self) -> io::Result<Saved> {
        let checksum = self.checksum.take().map_or(0, |checksum| checksum.value());
        self.write(&checksum.to_le_bytes())?;
        let nameless = match self.file {
            Medium::Named(file) => {
                file.commit()?;
                None
            }
            Medium::Nameless(mut file) => {
                file.rewind()?;
                Some(file)
            }
        };
        Ok(Saved {
            bytes: self.bytes,
            nameless,
        })
    }
}
