//! A file of Redis on its way to the disk.
//!
//! The file grows beside the one it is to replace, and takes its place when it is whole and on the disk.
//! Until then, and for ever if anything fails, the old one stays.
//!
//! Not here: what is in the file ([`crate::rdb_file`]).

use std::io;
use std::path::Path;

use base::cast;
use runtime::file::PendingFile;
use types::rdb::Checksum;

/// A file that is being written. Its calls wait for the disk: they are for a helper thread.
#[derive(Debug)]
pub struct Saving {
    file: PendingFile,
    checksum: Option<Checksum>,
    bytes: u64,
}

impl Saving {
    /// Begins the file that is to become `path`. It ends with a checksum if `has_checksum`
    /// (`rdbchecksum`), otherwise with zeros in its place.
    ///
    /// # Errors
    ///
    /// Those of `open(2)`.
    pub fn create(path: &Path, has_checksum: bool) -> io::Result<Self> {
        Ok(Self {
            file: PendingFile::create(path)?,
            checksum: has_checksum.then(Checksum::default),
            bytes: 0,
        })
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
        self.file.write(bytes)
    }

    /// Ends the file behind the byte that says so, and puts it in its place. Returns how many bytes it
    /// has. Done means: on disk.
    ///
    /// # Errors
    ///
    /// Those of the file system; the old file is unchanged then, see [`PendingFile::commit`].
    pub fn finish(mut self) -> io::Result<u64> {
        let checksum = self.checksum.take().map_or(0, |checksum| checksum.value());
        self.write(&checksum.to_le_bytes())?;
        self.file.commit()?;
        Ok(self.bytes)
    }
}
