//! `rdb-check`: whether an RDB file is whole, and what is in it.
//!
//! Every value is made, so a file that passes here can be loaded. Memory holds one of them at a time.
//!
//! Not here: the form of the file (`storage::rdb_file`).

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::io::Read;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use base::cast::u64_from;
use base::clock::UnixMillis;
use runtime::file::ReadFile;
use storage::rdb_file::{Entry, Part, Reader};
use types::Limits;
use types::rdb::{Surroundings, type_name};

use crate::failure::Failure;
use crate::progress;
use crate::rdb_tables::Tables;

const READ_BYTES: usize = 1 << 20;

/// Keys of one kind.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    keys: u64,
    /// Bytes of keys and values in the file.
    bytes: u64,
    /// Of the largest.
    bytes_max: u64,
}

/// What is in a file.
#[derive(Debug, Default)]
struct Report {
    version: u16,
    about: Vec<(String, String)>,
    libraries: u64,
    by_type: BTreeMap<&'static str, Count>,
    by_database: BTreeMap<u64, u64>,
    tables: Tables,
    expires: u64,
    dead: u64,
    empty: u64,
    bytes: u64,
}

/// Checks a file; returns what is said of it.
///
/// # Errors
///
/// If the file cannot be read, or is not whole: then with the byte that is wrong, and what was found before.
pub(crate) fn run(path: &Path, is_checked: bool) -> Result<String> {
    let shown = path.display();
    let mut file = ReadFile::open(path).with_context(|| format!("open {shown}"))?;
    let size = file.size_bytes().with_context(|| format!("open {shown}"))?;
    let bar = progress::bar(size);
    let now = runtime::clock::unix_millis();
    let mut report = Report::default();
    let advance = |at| bar.set_position(at);
    let checked = check(&mut file, is_checked, now, &mut report, &advance);
    bar.finish_and_clear();
    match checked {
        Ok(()) => {
            let checksum = match (is_checked, report.version) {
                (_, ..5) => "files of this version have no checksum",
                (true, _) => "the checksum is right, or there is none",
                (false, _) => "the checksum was not compared",
            };
            Ok(format!("{shown}: whole; {checksum}\n{report}"))
        }
        Err(error) => {
            let text = format!("{shown}: {error:#}\nbefore that: {report}");
            Err(Failure::Damaged(text.trim_end().to_owned()).into())
        }
    }
}

fn check(
    file: &mut impl Read,
    is_checked: bool,
    now: UnixMillis,
    report: &mut Report,
    advance: &dyn Fn(u64),
) -> Result<()> {
    let mut reader = Reader::new(is_checked);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match reader.part()? {
            Some(Part::End) => return Ok(()),
            Some(Part::Version(version)) => report.version = version,
            Some(Part::About { name, value }) => {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                report.about.push((text(&name), text(&value)));
            }
            Some(Part::Library(_)) => report.libraries += 1,
            Some(Part::Sizes { .. }) => {}
            Some(Part::Tables { offset, piece }) => report
                .tables
                .take(&piece)
                .map_err(|damaged| anyhow!("at byte {offset}: {damaged}"))?,
            Some(Part::Entry(entry)) => report.take(&entry, now)?,
            None => {
                let count = file
                    .read(&mut buffer)
                    .map_err(|error| anyhow!("read at byte {}: {error}", report.bytes))?;
                if count == 0 {
                    reader.end();
                }
                reader.feed(&buffer[..count]);
                report.bytes += u64_from(count);
                advance(report.bytes);
            }
        }
    }
}

impl Report {
    fn take(&mut self, entry: &Entry<'_>, now: UnixMillis) -> Result<()> {
        let limits = Limits::default();
        let value = entry.read(&Surroundings {
            limits: &limits,
            hash_seed: (0, 0),
            now,
        })?;
        let bytes = u64_from(entry.key.len() + entry.object.len());
        let count = self
            .by_type
            .entry(type_name(entry.kind).unwrap_or("unknown"))
            .or_default();
        count.keys += 1;
        count.bytes += bytes;
        count.bytes_max = count.bytes_max.max(bytes);
        *self.by_database.entry(entry.database).or_default() += 1;
        self.expires += u64::from(entry.expire_at.is_some());
        self.dead += u64::from(entry.expire_at.is_some_and(|at| at < now));
        self.empty += u64::from(value.is_void());
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "version {}, {} bytes", self.version, self.bytes)?;
        for (name, value) in &self.about {
            writeln!(f, "  {name}: {value}")?;
        }
        let mut keys = 0;
        for (name, count) in &self.by_type {
            keys += count.keys;
            writeln!(
                f,
                "{name:>8}: {} keys, {} bytes, the largest {}",
                count.keys, count.bytes, count.bytes_max
            )?;
        }
        let mut databases = String::new();
        for (number, count) in &self.by_database {
            write!(databases, ", {count} in database {number}")?;
        }
        writeln!(f, "{keys} keys{databases}")?;
        write!(f, "{}", self.tables)?;
        writeln!(
            f,
            "{} expire, {} of them before now; {} without elements; {} libraries of functions",
            self.expires, self.dead, self.empty, self.libraries
        )
    }
}

#[cfg(test)]
mod tests {
    use storage::rdb_file::{About, Writer};
    use types::rdb::{Object, crc64};

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

    fn file() -> Vec<u8> {
        let mut writer = Writer::new(true);
        let about = About {
            server_version: "7.4.0",
            now: NOW,
            used_bytes: 1,
        };
        writer.begin(false, &about);
        writer.library(b"code");
        writer.database(3);
        for (key, at) in [("a", None), ("b", Some(1)), ("c", Some(NOW.0 + 1))] {
            let marks = (at.map(UnixMillis), None);
            writer.entry(key.as_bytes(), Object::String(b"text"), marks, NOW);
        }
        writer.end();
        let mut bytes = writer.take();
        let checksum = crc64(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    fn report(bytes: &[u8]) -> (Result<()>, Report) {
        let mut report = Report::default();
        let checked = check(&mut &*bytes, true, NOW, &mut report, &|_| {});
        (checked, report)
    }

    #[test]
    fn a_whole_file_is_counted() {
        let (checked, report) = report(&file());
        checked.unwrap();
        let text = report.to_string();
        for line in [
            "version 10, ",
            "  redis-ver: 7.4.0\n",
            "  string: 3 keys, 18 bytes, the largest 6\n",
            "3 keys, 3 in database 3\n",
            "2 expire, 1 of them before now; 0 without elements; 1 libraries of functions\n",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }

    #[test]
    fn a_damaged_file_is_refused_with_its_byte() {
        let whole = file();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            let (checked, _) = report(&bytes);
            let text = checked.unwrap_err().to_string();
            assert!(text.starts_with("at byte "), "{text}");
        }
        let (checked, before) = report(&whole[..whole.len() - 12]);
        assert!(
            checked
                .unwrap_err()
                .to_string()
                .contains("ends in the middle")
        );
        assert_eq!(before.by_database[&3], 2);
    }
}
