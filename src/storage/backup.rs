//! Backups: RDB files that say which server has made them, and when; and putting one in the place of data.
//!
//! ```text
//!   backup-20260131T123000.250Z.rdb      of one moment, with a checksum; as all files that a server writes it has
//!                                        the fields "trestle-ver" and "trestle-time"
//!
//!   restore:  copy, which is checked on the way -> what was there moves aside -> copy takes its place
//! ```
//!
//! Invariants
//! - A backup is loaded by whatever loads RDB files: there is no other form to convert from or to.
//! - Nothing that was in the directory is removed, and nothing is moved before the whole copy is on the disk.
//!
//! Not here: when backups are made (the server), and who holds the directory meanwhile (the caller).

use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use base::cast::u64_from;
use base::clock::UnixMillis;
use runtime::file::{PendingFile, ReadFile, lock_directory};
use runtime::{directory, log_file};

use crate::rdb_file::{Part, RdbError, Reader};
use crate::times;

/// The field of a file with the version of the server.
pub const VERSION_FIELD: &[u8] = b"trestle-ver";

/// The field of a file with the time of its data, in milliseconds since 1970: nothing in it is later.
pub const TIME_FIELD: &[u8] = b"trestle-time";

/// Bytes that are read at a time.
const READ_BYTES: usize = 1 << 20;

const PREFIX: &str = "backup-";
const SUFFIX: &str = ".rdb";

/// Returns the name of a backup of this time; names are in the order of times.
#[must_use]
pub fn name(at: UnixMillis) -> String {
    format!("{PREFIX}{}{SUFFIX}", times::in_name(at))
}

/// Returns the time in the name of a backup; nothing if it is none.
#[must_use]
pub fn time_of_name(name: &str) -> Option<UnixMillis> {
    times::of_name(name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?)
}

/// What a backup is, found by reading all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The version of the server that has made it; nothing if it is an RDB file of somebody else.
    pub server_version: Option<String>,
    /// The time of its data, if it says.
    pub made_at: Option<UnixMillis>,
    /// Keys.
    pub keys: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// The file has a checksum; it was right.
    pub has_checksum: bool,
}

/// Why a file is no backup.
#[derive(Debug)]
pub enum Refused {
    /// It cannot be read.
    Io(io::Error),
    /// It is not whole.
    Rdb(RdbError),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::Rdb(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for Refused {}

/// Reads a backup from its first byte to its last; `each` gets the bytes as they are read. Values are found but
/// not made.
///
/// # Errors
///
/// [`Refused`]; what `each` returns is an error of reading, too.
pub fn read(
    source: &mut dyn Read,
    each: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> Result<Summary, Refused> {
    let mut reader = Reader::new(true);
    let mut buffer = vec![0; READ_BYTES];
    let mut summary = Summary::default();
    // The last bytes of the file, its checksum: zeros are none.
    let mut tail = Vec::new();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    loop {
        match reader.part().map_err(Refused::Rdb)? {
            Some(Part::End) => break,
            Some(Part::About { name, value }) => match &*name {
                VERSION_FIELD => summary.server_version = Some(text(&value)),
                TIME_FIELD => summary.made_at = text(&value).parse().ok().map(UnixMillis),
                _ => {}
            },
            Some(Part::Entry(_)) => summary.keys += 1,
            Some(
                Part::Version(_) | Part::Library(_) | Part::Sizes { .. } | Part::Tables { .. },
            ) => {}
            None => {
                let count = source.read(&mut buffer).map_err(Refused::Io)?;
                let bytes = &buffer[..count];
                if bytes.is_empty() {
                    reader.end();
                }
                reader.feed(bytes);
                each(bytes).map_err(Refused::Io)?;
                summary.bytes += u64_from(count);
                tail.extend_from_slice(&bytes[bytes.len().saturating_sub(8)..]);
                tail.drain(..tail.len().saturating_sub(8));
            }
        }
    }
    summary.has_checksum = tail.iter().any(|byte| *byte != 0);
    Ok(summary)
}

/// The data of a server, on the disk.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The data directory (`dir`).
    pub directory: &'a Path,
    /// The name of the RDB file (`dbfilename`).
    pub rdb_file: &'a str,
    /// The name of the directory of the log (`appenddirname`).
    pub log_directory: &'a str,
}

impl Target<'_> {
    /// Returns the path of the RDB file.
    #[must_use]
    pub fn rdb_path(&self) -> PathBuf {
        self.directory.join(self.rdb_file)
    }

    /// Returns the path of the log.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.directory.join(self.log_directory)
    }

    /// Returns whether there is a log, of this server or of Redis.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn has_log(&self) -> io::Result<bool> {
        let path = self.log_path();
        if !directory::is_directory(&path) {
            return Ok(false);
        }
        Ok(log_file::names_in(&path)?.iter().any(|name| name != "lock"))
    }
}

/// What was done.
#[derive(Clone, Debug)]
pub struct Restored {
    /// What the backup is.
    pub summary: Summary,
    /// Where the data is that was there before.
    pub moved_to: Option<PathBuf>,
}

/// Why nothing was restored. All data is as it was, or in the directory that is named.
#[derive(Debug)]
pub enum RestoreError {
    /// There is data at this path, and nobody has said that it may be moved aside.
    Occupied(PathBuf),
    /// A server uses the log.
    InUse(String),
    /// The backup is none.
    Backup(PathBuf, Refused),
    /// The disk has refused something.
    Io(String, io::Error),
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Occupied(path) => write!(f, "there is data at {}", path.display()),
            Self::InUse(text) => f.write_str(text),
            Self::Backup(path, refused) => write!(f, "{}: {refused}", path.display()),
            Self::Io(what, error) => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for RestoreError {}

/// Puts a backup in the place of the data of a server that does not run; the caller holds the directory.
///
/// With `is_forced` the data that is there moves into a directory beside, otherwise it is in the way. `advance` is told
/// how many bytes of how many were copied.
///
/// # Errors
///
/// [`RestoreError`].
pub fn restore(
    backup: &Path,
    target: &Target<'_>,
    is_forced: bool,
    advance: &mut dyn FnMut(u64, u64),
) -> Result<Restored, RestoreError> {
    let failed = |what: String| move |error| RestoreError::Io(what, error);
    let (rdb, log) = (target.rdb_path(), target.log_path());
    let shown = target.directory.display();
    let look = || failed(format!("look at {shown}"));
    let has_rdb = directory::exists(&rdb).map_err(look())?;
    let has_log = target.has_log().map_err(look())?;
    if !is_forced && (has_rdb || has_log) {
        return Err(RestoreError::Occupied(if has_rdb { rdb } else { log }));
    }
    let lock = if has_log {
        Some(lock_directory(&log).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => RestoreError::InUse(error.to_string()),
            _ => RestoreError::Io(format!("lock {}", log.display()), error),
        })?)
    } else {
        None
    };
    let refused = |refused| RestoreError::Backup(backup.to_owned(), refused);
    let mut source = ReadFile::open(backup).map_err(|error| refused(Refused::Io(error)))?;
    let total = source
        .size_bytes()
        .map_err(|error| refused(Refused::Io(error)))?;
    let mut copy = PendingFile::create(&rdb).map_err(failed(format!("write in {shown}")))?;
    let mut done = 0;
    let summary = read(&mut source, &mut |bytes| {
        copy.write(bytes)?;
        done += u64_from(bytes.len());
        advance(done, total);
        Ok(())
    });
    let summary = summary.map_err(refused)?;
    let moved_to = if has_rdb || has_log {
        let stamp = times::in_name(runtime::clock::unix_millis());
        let aside = target.directory.join(format!("before-restore-{stamp}"));
        let moving = || failed(format!("move the data aside to {}", aside.display()));
        directory::create_new(&aside).map_err(moving())?;
        if has_rdb {
            // A second name, so that there is data at any moment.
            log_file::link_or_copy(&rdb, &aside.join(target.rdb_file)).map_err(moving())?;
            log_file::sync_directory(&aside).map_err(moving())?;
        }
        if has_log {
            directory::rename(&log, &aside.join(target.log_directory)).map_err(moving())?;
        }
        Some(aside)
    } else {
        None
    };
    drop(lock);
    copy.commit().map_err(failed(format!(
        "put the copy in the place of {}",
        rdb.display()
    )))?;
    Ok(Restored { summary, moved_to })
}

#[cfg(test)]
mod tests {
    use types::rdb::{Object, crc64};

    use super::*;
    use crate::rdb_file::{About, Writer};

    const AT: UnixMillis = UnixMillis(1_769_862_600_250);

    fn file(has_checksum: bool) -> Vec<u8> {
        let mut writer = Writer::new(true);
        let about = About {
            server_version: "7.4.0",
            now: AT,
            used_bytes: 1,
        };
        writer.begin(false, &about);
        writer.field(VERSION_FIELD, b"1.2.3");
        writer.field(TIME_FIELD, AT.0.to_string().as_bytes());
        writer.database(0);
        for key in ["a", "b"] {
            writer.entry(key.as_bytes(), Object::String(b"text"), (None, None), AT);
        }
        writer.end();
        let mut bytes = writer.take();
        let checksum = if has_checksum { crc64(&bytes) } else { 0 };
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Makes a directory with a backup in it, and one for data.
    fn directories(name: &str) -> (PathBuf, PathBuf, PathBuf) {
        let path = std::env::temp_dir().join(format!("backup-{name}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&path));
        let data = path.join("data");
        runtime::file::create_dir(&data).unwrap();
        let backup = path.join(super::name(AT));
        std::fs::write(&backup, file(true)).unwrap();
        (path, backup, data)
    }

    fn target(data: &Path) -> Target<'_> {
        Target {
            directory: data,
            rdb_file: "dump.rdb",
            log_directory: "appendonlydir",
        }
    }

    #[test]
    fn a_backup_says_what_it_is() {
        assert_eq!(name(AT), "backup-20260131T123000.250Z.rdb");
        assert_eq!(time_of_name(&name(AT)), Some(AT));
        assert_eq!(time_of_name("backup-.rdb"), None);
        let bytes = file(true);
        let mut copied = Vec::new();
        let summary = read(&mut bytes.as_slice(), &mut |bytes| {
            copied.extend_from_slice(bytes);
            Ok(())
        });
        let expected = Summary {
            server_version: Some("1.2.3".to_owned()),
            made_at: Some(AT),
            keys: 2,
            bytes: u64_from(bytes.len()),
            has_checksum: true,
        };
        assert_eq!(summary.unwrap(), expected);
        assert_eq!(copied, bytes);
        let unchecked = read(&mut file(false).as_slice(), &mut |_| Ok(())).unwrap();
        assert!(!unchecked.has_checksum);
    }

    #[test]
    fn a_backup_goes_into_an_empty_directory() {
        let (path, backup, data) = directories("empty");
        let restored = restore(&backup, &target(&data), false, &mut |_, _| {}).unwrap();
        assert_eq!((restored.summary.keys, restored.moved_to), (2, None));
        assert_eq!(std::fs::read(data.join("dump.rdb")).unwrap(), file(true));
        assert_eq!(log_file::names_in(&data).unwrap().len(), 1);
        std::fs::remove_dir_all(&path).unwrap();
    }

    #[test]
    fn data_is_in_the_way_and_moves_aside_when_that_is_said() {
        let (path, backup, data) = directories("forced");
        std::fs::write(data.join("dump.rdb"), "before").unwrap();
        let log = data.join("appendonlydir");
        runtime::file::create_dir(&log).unwrap();
        std::fs::write(log.join("manifest"), "log").unwrap();
        let refused = restore(&backup, &target(&data), false, &mut |_, _| {}).unwrap_err();
        assert!(matches!(refused, RestoreError::Occupied(_)), "{refused}");

        let lock = lock_directory(&log).unwrap();
        let refused = restore(&backup, &target(&data), true, &mut |_, _| {}).unwrap_err();
        assert!(matches!(refused, RestoreError::InUse(_)), "{refused}");
        drop(lock);

        let restored = restore(&backup, &target(&data), true, &mut |_, _| {}).unwrap();
        let aside = restored.moved_to.unwrap();
        assert_eq!(std::fs::read(aside.join("dump.rdb")).unwrap(), b"before");
        assert_eq!(
            std::fs::read(aside.join("appendonlydir/manifest")).unwrap(),
            b"log"
        );
        assert_eq!(std::fs::read(data.join("dump.rdb")).unwrap(), file(true));
        assert!(!log.exists());
        std::fs::remove_dir_all(&path).unwrap();
    }

    #[test]
    fn a_damaged_backup_changes_nothing() {
        let (path, backup, data) = directories("damaged");
        std::fs::write(data.join("dump.rdb"), "before").unwrap();
        let whole = file(true);
        for at in [0, 20, whole.len() - 1] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&backup, bytes).unwrap();
            let refused = restore(&backup, &target(&data), true, &mut |_, _| {}).unwrap_err();
            assert!(
                matches!(refused, RestoreError::Backup(..)),
                "{at}: {refused}"
            );
            assert_eq!(std::fs::read(data.join("dump.rdb")).unwrap(), b"before");
            assert_eq!(log_file::names_in(&data).unwrap().len(), 1);
        }
        std::fs::remove_dir_all(&path).unwrap();
    }
}
