//! The only part of the configuration that touches files.

use std::io::{self, Read as _, Write as _};
use std::path::Path;

/// What the configuration needs from the file system.
pub trait Files {
    /// Returns the text of a file; the path `-` is standard input.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is not UTF-8.
    fn read(&self, path: &Path) -> io::Result<String>;

    /// Returns the names in a directory, in any order; names that are not UTF-8 are left out.
    ///
    /// # Errors
    ///
    /// The directory cannot be read.
    fn list(&self, directory: &Path) -> io::Result<Vec<String>>;
}

/// The real file system. It blocks: for the start, and for a core that may wait.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<String> {
        if path == Path::new("-") {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text)?;
            return Ok(text);
        }
        std::fs::read_to_string(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(directory)? {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }
}

/// Replaces a file as a whole, so that a crash leaves the old text or the new one. One that is not there is made.
///
/// Done means: on disk, name included.
///
/// # Errors
///
/// Whatever the file system says; the old file is then as it was.
pub fn replace_file(path: &Path, text: &str) -> io::Result<()> {
    // A link stays a link: what it points to is replaced.
    let path = match std::fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_path_buf(),
        found => found?,
    };
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = write_and_rename(&temporary, &path, text);
    if written.is_err() {
        // The first error is the one to tell; the rest may not even exist.
        drop(std::fs::remove_file(&temporary));
    }
    written
}

fn write_and_rename(temporary: &Path, path: &Path, text: &str) -> io::Result<()> {
    let mut file = std::fs::File::create(temporary)?;
    if let Ok(before) = std::fs::metadata(path) {
        file.set_permissions(before.permissions())?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(temporary, path)?;
    if let Some(directory) = path.parent() {
        std::fs::File::open(directory)?.sync_all()?;
    }
    Ok(())
}
