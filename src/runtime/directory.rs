//! Directories: what is in them, and moving it. All of it waits for the disk.
//!
//! Not here: files ([`crate::file`]), locks on directories (there too).

use std::fs;
use std::io;
use std::path::Path;

use crate::log_file::sync_directory;

/// Returns whether there is something of this name.
///
/// # Errors
///
/// Those of the file system, but for "not found".
pub fn exists(path: &Path) -> io::Result<bool> {
    path.try_exists()
}

/// Returns whether there is a directory of this name.
#[must_use]
pub fn is_directory(path: &Path) -> bool {
    path.is_dir()
}

/// Creates one directory, which must not be there yet, and brings its name to the disk.
///
/// # Errors
///
/// Those of `mkdir(2)`; [`io::ErrorKind::AlreadyExists`] if there is something of this name.
pub fn create_new(path: &Path) -> io::Result<()> {
    fs::create_dir(path)?;
    sync_parent(path)
}

/// Gives a file or directory another name on the same file system. Done means: on disk.
///
/// # Errors
///
/// Those of `rename(2)`; the old name stays then.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    sync_parent(to)?;
    sync_parent(from)
}

fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_directory(parent),
        Some(_) | None => sync_directory(Path::new(".")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_made_once_and_moves_with_what_is_in_it() {
        let directory = std::env::temp_dir().join(format!("directory-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let (one, other) = (directory.join("one"), directory.join("other"));
        assert!(!exists(&one).unwrap());
        create_new(&one).unwrap();
        let again = create_new(&one).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        fs::write(one.join("file"), "text").unwrap();
        rename(&one, &other).unwrap();
        assert!(!exists(&one).unwrap() && is_directory(&other));
        assert!(!is_directory(&other.join("file")));
        assert_eq!(fs::read(other.join("file")).unwrap(), b"text");
        fs::remove_dir_all(&directory).unwrap();
    }
}
