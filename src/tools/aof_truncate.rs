//! `aof-truncate`: takes a log back to a point in time, over the logs of all shards.
//!
//! ```text
//!   manifest:  base | 1 2 3 4          a record later than the time is found in generation 3
//!   after:     base | 1 2 5            5 has of 3 what is not later; 3 and 4 are in the copy
//! ```
//!
//! A shard keeps what stands before its first record that is later. Generations behind the first in which a
//! shard has one are left out: they were begun later than it.
//!
//! Invariants
//! - The manifest is what makes the change, in one step: whatever ends the task before leaves the log as it was,
//!   and no server finds half of it done.
//! - Before that all files have a second name in a directory beside. Nothing is removed that is not there.
//! - Doing it twice is doing it once.
//!
//! Not here: parts of transactions whose other parts are cut off, which the next start leaves out.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use base::clock::UnixMillis;
use indicatif::ProgressBar;
use runtime::file::ReadFile;
use runtime::{directory, log_file};
use storage::backup::TIME_FIELD;
use storage::log::manifest::{self, Generation, Manifest};
use storage::log::record::{HEAD_BYTES, Head};
use storage::rdb_file::{Part, Reader};
use storage::times;

use crate::aof_check::widen;
use crate::log_directory::{LogDirectory, damaged};
use crate::progress;

/// Bytes that are copied at a time.
const COPY_BYTES: usize = 1 << 20;

/// What a log file has before and behind the time.
#[derive(Debug, Default)]
struct Found {
    kept: u64,
    dropped: u64,
    /// Times of those that are kept, and of those that are not, as far as they can be read.
    kept_span: Option<(UnixMillis, UnixMillis)>,
    dropped_span: Option<(UnixMillis, UnixMillis)>,
}

/// What is to be done to a log.
struct Plan {
    /// Where in the manifest the generation stands that is cut.
    index: usize,
    /// Its files: their head, and the bytes they keep, with it.
    cuts: Vec<(Head, u64)>,
    found: Found,
}

/// Takes a log back to a time, or only says what that would do. Returns what is said of it.
pub(crate) fn run(prefix: &Path, until: UnixMillis, is_dry: bool) -> Result<String> {
    let log = LogDirectory::open(prefix)?;
    refuse_later_base(&log, until)?;
    let bar = progress::bar(log.bytes());
    let plan = plan(&log, until, &bar);
    bar.finish_and_clear();
    let plan = plan?;
    let mut text = String::new();
    let mut count = |what: &str, count: u64, span: Option<(UnixMillis, UnixMillis)>| {
        write!(text, "{what} {count} records").ok();
        if let Some((first, last)) = span {
            write!(text, ", {} to {}", times::shown(first), times::shown(last)).ok();
        }
        text.push('\n');
    };
    let found = &plan.found;
    count("kept:   ", found.kept, found.kept_span);
    count("dropped:", found.dropped, found.dropped_span);
    if plan.cuts.is_empty() {
        text += &format!(
            "nothing is later than {}: nothing is changed\n",
            times::shown(until)
        );
    } else if is_dry {
        text += "a dry run: nothing is changed\n";
    } else {
        let original = keep_original(&log)?;
        apply(&log, &plan)?;
        text += &format!(
            "{} is as of {}; what it was is in {}\n",
            log.path.display(),
            times::shown(until),
            original.display()
        );
    }
    Ok(text)
}

/// A base that was made later has what must not be there.
fn refuse_later_base(log: &LogDirectory, until: UnixMillis) -> Result<()> {
    let Some(name) = &log.manifest.base else {
        return Ok(());
    };
    let path = log.path.join(name);
    let made = time_of(&path).with_context(|| format!("read {}", path.display()))?;
    match made.filter(|made| *made > until) {
        Some(made) => bail!(
            "the log goes on from {}, which has the data of {}, later than {}: restore a backup from before, or \
             a copy of the directory from before it was rewritten",
            path.display(),
            times::shown(made),
            times::shown(until)
        ),
        None => Ok(()),
    }
}

/// Returns a time that nothing in an RDB file is later than, as far as it says so.
fn time_of(path: &Path) -> Result<Option<UnixMillis>> {
    let mut file = ReadFile::open(path)?;
    let mut reader = Reader::new(false);
    let mut buffer = vec![0; COPY_BYTES];
    let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<i64>().ok();
    let mut begun_at = None;
    loop {
        match reader.part()? {
            Some(Part::About { name, value }) => match &*name {
                TIME_FIELD => return Ok(number(&value).map(UnixMillis)),
                // Files of Redis say only in which second they were begun, which is when their data is of.
                b"ctime" => {
                    let end = number(&value).and_then(|it| it.checked_mul(1000)?.checked_add(999));
                    begun_at = end.map(UnixMillis);
                }
                _ => {}
            },
            Some(Part::Version(_) | Part::Library(_) | Part::Sizes { .. }) => {}
            Some(Part::Entry(_) | Part::Tables { .. } | Part::End) => return Ok(begun_at),
            None => match io::Read::read(&mut file, &mut buffer)? {
                0 => reader.end(),
                count => reader.feed(&buffer[..count]),
            },
        }
    }
}

/// Finds the first generation with a record that is later, and where its files are cut.
fn plan(log: &LogDirectory, until: UnixMillis, bar: &ProgressBar) -> Result<Plan> {
    let mut found = Found::default();
    for (index, generation) in log.manifest.generations.iter().enumerate() {
        let mut cuts = Vec::new();
        let mut is_cut = false;
        for shard in 0..generation.shards {
            let before = found.dropped;
            cuts.extend(scan(log, (*generation, shard), until, &mut found, bar)?);
            is_cut |= found.dropped > before;
        }
        if is_cut {
            for later in &log.manifest.generations[index + 1..] {
                for shard in 0..later.shards {
                    drop_all(log, (*later, shard), &mut found, bar);
                }
            }
            return Ok(Plan { index, cuts, found });
        }
    }
    Ok(Plan {
        index: log.manifest.generations.len(),
        cuts: Vec::new(),
        found,
    })
}

/// Counts the records of a file. Returns its head and how many of its bytes are not later than the time;
/// nothing if there is no file, or no head.
///
/// # Errors
///
/// Damage before the first record that is later. What stands behind that one does not matter.
fn scan(
    log: &LogDirectory,
    (generation, shard): (Generation, u16),
    until: UnixMillis,
    found: &mut Found,
    bar: &ProgressBar,
) -> Result<Option<(Head, u64)>> {
    let Some(mut file) = log.file(generation, shard)? else {
        return Ok(None);
    };
    let Some(head) = file.reader.head() else {
        return Ok(None);
    };
    let position = bar.position();
    let mut cut = None;
    loop {
        let read = match file.reader.record() {
            Ok(read) => read,
            Err(_damage) if cut.is_some() => break,
            Err(damage) => {
                return Err(damaged(&file.path, &damage)
                    .context("only a time before the damage can be gone back to"));
            }
        };
        let Some(record) = read else { break };
        bar.set_position(position + record.offset);
        if cut.is_none() && record.at > until {
            cut = Some(record.offset);
        }
        if cut.is_none() {
            found.kept += 1;
            widen(&mut found.kept_span, record.at);
        } else {
            found.dropped += 1;
            widen(&mut found.dropped_span, record.at);
        }
    }
    bar.set_position(position + file.bytes);
    Ok(Some((head, cut.unwrap_or_else(|| file.reader.offset()))))
}

/// Counts the records of a file that is left out, as far as it can be read.
fn drop_all(log: &LogDirectory, file: (Generation, u16), found: &mut Found, bar: &ProgressBar) {
    if let Ok(Some(mut file)) = log.file(file.0, file.1) {
        while let Ok(Some(record)) = file.reader.record() {
            found.dropped += 1;
            widen(&mut found.dropped_span, record.at);
        }
        bar.inc(file.bytes);
    }
}

/// Gives all files of the log a second name in a directory beside it.
fn keep_original(log: &LogDirectory) -> Result<PathBuf> {
    let stamp = times::in_name(runtime::clock::unix_millis());
    let mut name = log.path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".before-{stamp}"));
    let original = log.path.with_file_name(name);
    let failed = || format!("keep the log as it is in {}", original.display());
    directory::create_new(&original).with_context(failed)?;
    for name in log_file::names_in(&log.path).with_context(failed)? {
        // The lock is the process's, and no data.
        if name != "lock" && !directory::is_directory(&log.path.join(&name)) {
            log_file::link_or_copy(&log.path.join(&name), &original.join(&name))
                .with_context(failed)?;
        }
    }
    log_file::sync_directory(&original).with_context(failed)?;
    Ok(original)
}

/// Writes the files that are cut anew, says so in the manifest, and removes those that no longer count.
fn apply(log: &LogDirectory, plan: &Plan) -> Result<()> {
    let Manifest { generations, .. } = &log.manifest;
    let (kept, left) = generations.split_at(plan.index);
    let number = log.manifest.next_number();
    for (head, bytes) in &plan.cuts {
        let from = manifest::log_path(&log.path, head.generation, head.shard);
        let to = manifest::log_path(&log.path, number, head.shard);
        let head = Head {
            generation: number,
            ..*head
        };
        copy(&from, &to, head, *bytes)
            .with_context(|| format!("write {}; the log is as it was", to.display()))?;
    }
    log_file::sync_directory(&log.path)?;
    let mut after = log.manifest.clone();
    after.generations = kept.to_vec();
    after.generations.push(Generation { number, ..left[0] });
    after
        .store(&log.path)
        .with_context(|| format!("replace the manifest of {}", log.path.display()))?;
    for generation in left {
        for shard in 0..generation.shards {
            let path = manifest::log_path(&log.path, generation.number, shard);
            match runtime::file::remove(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| {
                        format!("remove {}, which no longer counts", path.display())
                    });
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Copies the records of a file up to a byte behind another head.
fn copy(from: &Path, to: &Path, head: Head, bytes: u64) -> Result<()> {
    let mut source = ReadFile::open(from)?;
    let target = log_file::LogFile::create(to)?;
    target.append(&mut head.bytes())?;
    let mut buffer = Vec::with_capacity(COPY_BYTES);
    let mut old_head = [0; HEAD_BYTES];
    io::Read::read_exact(&mut source, &mut old_head)?;
    let mut left = io::Read::take(source, bytes - base::cast::u64_from(HEAD_BYTES));
    loop {
        buffer.clear();
        let mut piece = io::Read::take(&mut left, base::cast::u64_from(COPY_BYTES));
        if io::Read::read_to_end(&mut piece, &mut buffer)? == 0 {
            break;
        }
        target.append(&mut buffer)?;
    }
    target.sync()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use storage::log::record::{self, write};

    use super::*;

    /// A log of two shards and three generations: times, by generation and shard.
    const TIMES: [[&[i64]; 2]; 3] = [
        [&[1000, 2000], &[1500]],
        [&[3000, 4000, 3500, 5000], &[3200, 4200]],
        [&[6000], &[]],
    ];

    fn log(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("truncate-{name}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&path));
        let path = path.join("appendonlydir");
        runtime::file::create_dir(&path).unwrap();
        let mut manifest = Manifest::default();
        let mut next = [1, 1];
        for (generation, files) in (1..).zip(TIMES) {
            let shards = 2;
            manifest.generations.push(Generation {
                number: generation,
                shards,
            });
            for (shard, times) in (0..).zip(files) {
                let first = next[usize::from(shard)];
                let head = Head {
                    shard,
                    shards,
                    generation,
                    first,
                };
                let mut bytes = head.bytes();
                for (number, at) in (first..).zip(times) {
                    let mut effects = Vec::new();
                    types::effect::delete(
                        &mut effects,
                        base::ids::DbIndex(0),
                        at.to_string().as_bytes(),
                    );
                    write(&mut bytes, number, UnixMillis(*at), &effects);
                    next[usize::from(shard)] = number + 1;
                }
                std::fs::write(manifest::log_path(&path, generation, shard), bytes).unwrap();
            }
        }
        manifest.store(&path).unwrap();
        path
    }

    /// Returns the times of all records of each shard.
    fn times_of(path: &Path) -> Vec<Vec<i64>> {
        let log = LogDirectory::open(path).unwrap();
        let mut all = vec![Vec::new(), Vec::new()];
        for (generation, shard) in log.names() {
            let Some(mut file) = log.file(generation, shard).unwrap() else {
                continue;
            };
            while let Some(record) = file.reader.record().unwrap() {
                all[usize::from(shard)].push(record.at.0);
            }
        }
        all
    }

    #[test]
    fn each_shard_keeps_what_stands_before_its_first_later_record() {
        let path = log("cut");
        let before = times_of(&path);
        let dry = run(&path, UnixMillis(3999), true).unwrap();
        assert!(dry.contains("kept:    5 records"), "{dry}");
        assert!(dry.contains("dropped: 5 records"), "{dry}");
        assert_eq!(times_of(&path), before);
        let data = path.parent().unwrap();
        assert_eq!(log_file::names_in(data).unwrap().len(), 1);

        run(data, UnixMillis(3999), false).unwrap();
        // 3500 was written after the clock had gone back; it stands behind a later record.
        let expected = [vec![1000, 2000, 3000], vec![1500, 3200]];
        assert_eq!(times_of(&path), expected);
        crate::aof_check::run(&path).unwrap();
        let names = log_file::names_in(data).unwrap();
        let original = names.iter().find(|name| name.contains(".before-")).unwrap();
        assert_eq!(times_of(&data.join(original)), before);

        let again = run(&path, UnixMillis(3999), false).unwrap();
        assert!(again.contains("nothing is later than"), "{again}");
        assert_eq!(log_file::names_in(data).unwrap().len(), 2);
        std::fs::remove_dir_all(data).unwrap();
    }

    #[test]
    fn every_time_gives_what_was_there_then() {
        for until in [
            0, 999, 1000, 1500, 2000, 3000, 3200, 4200, 5000, 5999, 6000, 7000,
        ] {
            let path = log(&format!("each-{until}"));
            run(&path, UnixMillis(until), false).unwrap();
            let mut expected = vec![Vec::new(), Vec::new()];
            'generations: for files in TIMES {
                let mut is_cut = false;
                for (times, kept) in files.iter().zip(&mut expected) {
                    let count = times.iter().take_while(|at| **at <= until).count();
                    kept.extend_from_slice(&times[..count]);
                    is_cut |= count < times.len();
                }
                if is_cut {
                    break 'generations;
                }
            }
            assert_eq!(times_of(&path), expected, "{until}");
            crate::aof_check::run(&path).unwrap();
            std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
        }
    }

    #[test]
    fn damage_behind_the_time_does_not_matter_and_before_it_does() {
        let path = log("damage");
        let file = manifest::log_path(&path, 2, 0);
        let mut bytes = std::fs::read(&file).unwrap();
        // The second of four records, of 4000.
        bytes[HEAD_BYTES + record::FRAME_BYTES + 11 + 20] ^= 1;
        std::fs::write(&file, &bytes).unwrap();
        let checked = crate::aof_check::run(&path).unwrap_err();
        assert_eq!(crate::failure::exit_code(&checked), 1, "{checked:#}");
        let late = run(&path, UnixMillis(5000), false).unwrap_err();
        assert_eq!(crate::failure::exit_code(&late), 1, "{late:#}");
        // Nothing of shard 0 is read beyond the record of 3000 that is kept.
        let text = run(&path, UnixMillis(2500), false).unwrap();
        assert!(text.contains("kept:    3 records"), "{text}");
        crate::aof_check::run(&path).unwrap();
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[test]
    fn a_log_in_use_is_refused() {
        let path = log("used");
        let lock = runtime::file::lock_directory(&path).unwrap();
        let refused = run(&path, UnixMillis(0), false).unwrap_err();
        assert_eq!(crate::failure::exit_code(&refused), 3, "{refused:#}");
        drop(lock);
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }
}
