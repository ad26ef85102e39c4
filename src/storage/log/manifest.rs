//! The manifest: which files of the directory are the state. It is replaced whole.
//!
//! ```text
//!   trestle-log 1
//!   base base.3.rdb          or none, if the log begins with no data
//!   generation 3 shards 4
//!   generation 4 shards 2
//!   checksum 1a2b3c4d        CRC-32C of all before, in hexadecimal digits
//! ```
//!
//! Not here: what the files say.

use std::io;
use std::path::{Path, PathBuf};

use crc_fast::crc32_iscsi;

use crate::save::goal_of;

/// The name of the manifest in its directory.
pub const NAME: &str = "manifest";

/// A file beside logs that no manifest names yet, as the log was switched on and has no base so far. They do not count.
pub const FIRST_BASE: &str = "first-base-unfinished";

/// The first line.
const TITLE: &str = "trestle-log 1";

/// A longer manifest is none: each start of the server that is not followed by a rewrite adds a line.
const BYTES_MAX: u64 = 16 << 20;

/// The files of one run of the server, or of a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation {
    /// Its number.
    pub number: u64,
    /// How many shards wrote.
    pub shards: u16,
}

/// See the head of this file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// The file that the logs go on from.
    pub base: Option<String>,
    /// The logs, in the order in which they are read.
    pub generations: Vec<Generation>,
}

impl Manifest {
    /// Reads the manifest of a directory; nothing if it has none.
    ///
    /// # Errors
    ///
    /// Those of the file system; [`io::ErrorKind::InvalidData`] if the file is no manifest.
    pub fn load(directory: &Path) -> io::Result<Option<Self>> {
        let path = directory.join(NAME);
        let text = match runtime::file::read_to_string(&path, BYTES_MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the manifest is damaged");
        Self::parse(&text).map(Some).ok_or_else(damaged)
    }

    /// Puts this manifest in the place of the one before. Done means: on disk.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn store(&self, directory: &Path) -> io::Result<()> {
        runtime::file::write_atomically(&directory.join(NAME), self.text().as_bytes())
    }

    /// Returns its text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{TITLE}\nbase {}\n", self.base.as_deref().unwrap_or("none"));
        for Generation { number, shards } in &self.generations {
            text += &format!("generation {number} shards {shards}\n");
        }
        Self::sealed(&text)
    }

    /// Returns lines with the last one behind them, that of the checksum.
    #[must_use]
    pub fn sealed(lines: &str) -> String {
        let checksum = crc32_iscsi(lines.as_bytes());
        format!("{lines}checksum {checksum:08x}\n")
    }

    /// Reads the text of a manifest; nothing if it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (body, checksum) = text.strip_suffix('\n')?.rsplit_once("\nchecksum ")?;
        let covered = &text[..=body.len()];
        if u32::from_str_radix(checksum, 16).ok()? != crc32_iscsi(covered.as_bytes()) {
            return None;
        }
        let mut lines = body.lines();
        if lines.next()? != TITLE {
            return None;
        }
        let base = lines.next()?.strip_prefix("base ")?;
        if base != "none" {
            base_number(base)?;
        }
        let mut generations: Vec<Generation> = Vec::new();
        for line in lines {
            let (number, shards) = line.strip_prefix("generation ")?.split_once(" shards ")?;
            let number = number.parse().ok()?;
            if generations.last().is_some_and(|last| last.number >= number) {
                return None;
            }
            let shards = shards.parse().ok()?;
            generations.push(Generation { number, shards });
        }
        Some(Self {
            base: (base != "none").then(|| base.to_owned()),
            generations,
        })
    }

    /// Returns a number that no generation so far has had, and the base has not.
    #[must_use]
    pub fn next_number(&self) -> u64 {
        let last = self.generations.last().map_or(0, |last| last.number);
        let base = self.base.as_deref().and_then(base_number);
        last.max(base.unwrap_or(0)).saturating_add(1)
    }

    /// Returns whether the first generation has a file of each shard, with its head: it was begun together with the
    /// base, which counts only when these files are on the disk. One that is missing was not written and then lost.
    #[must_use]
    pub fn begins_with_all_files(&self) -> bool {
        let first = self.generations.first().map(|first| first.number);
        first.is_some() && self.base.as_deref().and_then(base_number) == first
    }

    /// Returns whether a file belongs to the log, by its name, but not to this manifest: what an end of the
    /// process in the middle of something has left behind.
    #[must_use]
    pub fn is_left_over(&self, name: &str) -> bool {
        if let Some(goal) = goal_of(name) {
            return is_replaced_whole(goal);
        }
        if base_number(name).is_some() {
            return self.base.as_deref() != Some(name);
        }
        log_numbers(name).is_some_and(|(shard, generation)| {
            let mut known = self.generations.iter();
            !known.any(|it| it.number == generation && shard < it.shards)
        })
    }
}

/// Returns whether a file of this name is written under a temporary one first.
#[must_use]
pub fn is_replaced_whole(name: &str) -> bool {
    name == NAME || base_number(name).is_some()
}

/// Returns the name of the log of a shard.
#[must_use]
pub fn log_path(directory: &Path, generation: u64, shard: u16) -> PathBuf {
    directory.join(format!("shard-{shard}.{generation}.log"))
}

/// Returns whether a file of this name is a log.
#[must_use]
pub fn is_log(name: &str) -> bool {
    log_numbers(name).is_some()
}

/// Returns shard and generation of a log by its name.
fn log_numbers(name: &str) -> Option<(u16, u64)> {
    let numbers = name.strip_prefix("shard-")?.strip_suffix(".log")?;
    let (shard, generation) = numbers.split_once('.')?;
    Some((shard.parse().ok()?, generation.parse().ok()?))
}

/// Returns the name of the base that a generation begins with.
#[must_use]
pub fn base_name(generation: u64) -> String {
    format!("base.{generation}.rdb")
}

/// Returns the number in the name of a base.
fn base_number(name: &str) -> Option<u64> {
    let number = name.strip_prefix("base.")?.strip_suffix(".rdb")?;
    number.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Manifest {
        Manifest {
            base: Some(base_name(3)),
            generations: vec![
                Generation {
                    number: 3,
                    shards: 4,
                },
                Generation {
                    number: 4,
                    shards: 2,
                },
            ],
        }
    }

    #[test]
    fn a_manifest_is_read_back() {
        let directory = std::env::temp_dir().join(format!("manifest-{}", std::process::id()));
        runtime::file::create_dir(&directory).unwrap();
        assert_eq!(Manifest::load(&directory).unwrap(), None);
        for manifest in [some(), Manifest::default()] {
            manifest.store(&directory).unwrap();
            assert_eq!(Manifest::load(&directory).unwrap(), Some(manifest));
        }
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn only_files_of_a_log_that_do_not_count_are_left_over() {
        let manifest = some();
        let cases = [
            ("base.3.rdb", false),
            ("base.2.rdb", true),
            ("base.3.rdb.77.tmp", true),
            ("manifest", false),
            ("manifest.77.tmp", true),
            ("shard-3.3.log", false),
            ("shard-4.3.log", true),
            ("shard-0.4.log", false),
            ("shard-2.4.log", true),
            ("shard-0.5.log", true),
            ("shard-0.log", false),
            ("lock", false),
            ("base.x.rdb", false),
            ("appendonly.aof.manifest", false),
            ("other.77.tmp", false),
            (".tmp", false),
            ("base.3.rdb.x.tmp", false),
        ];
        for (name, is_left_over) in cases {
            assert_eq!(manifest.is_left_over(name), is_left_over, "{name}");
        }
    }

    #[test]
    fn a_new_number_is_above_those_of_the_logs_and_of_the_base() {
        assert_eq!(Manifest::default().next_number(), 1);
        assert_eq!(some().next_number(), 5);
        let alone = Manifest {
            base: Some(base_name(7)),
            generations: Vec::new(),
        };
        assert_eq!(alone.next_number(), 8);
    }

    #[test]
    fn a_changed_manifest_is_none() {
        let text = some().text();
        for at in 0..text.len() {
            for bit in 0..7 {
                let mut damaged = text.clone().into_bytes();
                damaged[at] ^= 1 << bit;
                let damaged = String::from_utf8(damaged).unwrap();
                // A checksum may be written with large letters too.
                let is_same = damaged.eq_ignore_ascii_case(&text) && at > text.len() - 10;
                assert_eq!(Manifest::parse(&damaged).is_some(), is_same, "{at} {bit}");
            }
            assert_eq!(Manifest::parse(&text[..at]), None, "{at}");
        }
    }
}
