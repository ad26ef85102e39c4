//! Where exported bytes go: a file that is there when all of it is on the disk, or standard output.

use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use runtime::file::PendingFile;

/// See the head of this file.
pub(crate) enum Output {
    File(Box<PendingFile>),
    Standard,
}

impl Output {
    /// Begins a file, or standard output if there is none.
    pub(crate) fn create(path: Option<&Path>) -> Result<Self> {
        Ok(match path {
            Some(path) => {
                let file = PendingFile::create(path);
                Self::File(Box::new(
                    file.with_context(|| format!("write {}", path.display()))?,
                ))
            }
            None => Self::Standard,
        })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Self::File(file) => file.write(bytes)?,
            Self::Standard => io::stdout().lock().write_all(bytes)?,
        }
        Ok(())
    }

    /// Puts the file in its place.
    pub(crate) fn finish(self) -> Result<()> {
        match self {
            Self::File(file) => file.commit()?,
            Self::Standard => io::stdout().lock().flush()?,
        }
        Ok(())
    }
}
