//! `aof-check`: whether a log is whole, from the first byte of its base to the last record of each shard.
//!
//! Every effect is read and every value made. Memory holds one record at a time.
//!
//! Not here: cutting what is damaged off (`aof_truncate`).

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use base::cast::u64_from;
use base::clock::UnixMillis;
use indicatif::ProgressBar;
use storage::log::manifest::{self, Generation};
use storage::log::record::Record;
use storage::times;
use types::Limits;
use types::effect::{Effect, Effects};
use types::rdb::{self, Surroundings};

use crate::failure::Failure;
use crate::log_directory::{LogDirectory, LogFile};
use crate::{progress, rdb_check, table_records};

/// What is known of the files of a shard so far.
#[derive(Clone, Debug, Default)]
struct Shard {
    /// The number of the next record, once there was one file.
    next: Option<u64>,
    /// A file that ends with a torn record: nothing may follow it.
    torn: Option<String>,
    expects: Expects,
}

/// What the next file of a shard has to be like, beside what the one before says.
#[derive(Clone, Copy, Debug, Default)]
struct Expects {
    /// Its first record may have any number: the log was rewritten before it.
    any_number: bool,
    /// It is there and has a head.
    a_head: bool,
}

/// What has been found.
#[derive(Debug, Default)]
struct Report {
    text: String,
    damages: Vec<String>,
    records: u64,
    effects: u64,
    span: Option<(UnixMillis, UnixMillis)>,
}

/// Checks a log; returns what is said of it.
pub(crate) fn run(prefix: &Path) -> Result<String> {
    let log = LogDirectory::open(prefix)?;
    let mut report = Report::default();
    let shown = log.path.display();
    let count = log.manifest.generations.len();
    report.line(&format!("{shown}: {count} generations"));
    match &log.manifest.base {
        None => report.line("base: none, the log begins without data"),
        Some(name) => match rdb_check::run(&log.path.join(name), true) {
            Ok(_) => report.line(&format!("base: {name}, whole")),
            Err(error) => report.damages.push(format!("base: {error:#}")),
        },
    }
    let bar = progress::bar(log.bytes());
    let mut shards: Vec<Shard> = Vec::new();
    let mut shards_before = 0;
    for (generation, shard) in log.names() {
        if shard == 0 && generation.shards != shards_before {
            // Other shards number their records anew.
            shards = vec![Shard::default(); usize::from(generation.shards)];
            shards_before = generation.shards;
        }
        let is_first = log.manifest.generations.first() == Some(&generation);
        let state = &mut shards[usize::from(shard)];
        state.expects = Expects {
            any_number: is_first,
            a_head: is_first && log.manifest.begins_with_all_files(),
        };
        check_file(&log, (generation, shard), state, &mut report, &bar);
    }
    bar.finish_and_clear();
    report.finish()
}

fn check_file(
    log: &LogDirectory,
    (generation, shard): (Generation, u16),
    state: &mut Shard,
    report: &mut Report,
    bar: &ProgressBar,
) {
    let path = manifest::log_path(&log.path, generation.number, shard);
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let file = match log.file(generation, shard) {
        Ok(Some(file)) => file,
        Ok(None) if state.expects.a_head => {
            return report
                .damages
                .push(format!("{}: it is not there", path.display()));
        }
        Ok(None) => return report.line(&format!("{name}: not there, its server has ended before")),
        Err(error) => return report.damages.push(format!("{error:#}")),
    };
    let bytes = file.bytes;
    let before = bar.position();
    let checked = check_records(file, &name, state, report, &|at| {
        bar.set_position(before + at);
    });
    bar.set_position(before + bytes);
    if let Err(error) = checked {
        report.damages.push(format!("{}: {error}", path.display()));
    }
}

/// Checks the records of a file.
///
/// # Errors
///
/// What is wrong with it, in one line.
fn check_records(
    mut file: LogFile,
    name: &str,
    state: &mut Shard,
    report: &mut Report,
    advance: &dyn Fn(u64),
) -> Result<(), String> {
    let Some(head) = file.reader.head() else {
        if state.expects.a_head {
            return Err("it is empty, and its first bytes were on the disk".to_owned());
        }
        report.line(&format!(
            "{name}: empty, its server has ended before it wrote"
        ));
        return Ok(());
    };
    // Whoever finds no records before begins with the first.
    let next = state.next.or((!state.expects.any_number).then_some(1));
    if let Some(next) = next.filter(|next| *next != head.first) {
        let first = head.first;
        return Err(format!(
            "it begins with record {first} in the place of {next}"
        ));
    }
    let (mut records, mut effects, mut span) = (0_u64, 0, None);
    while let Some(record) = file.reader.record().map_err(|damage| damage.to_string())? {
        if let Some(torn) = &state.torn {
            return Err(format!("{torn}, and this file goes on behind that"));
        }
        effects +=
            check_effects(&record).map_err(|what| format!("at byte {}: {what}", record.offset))?;
        records += 1;
        widen(&mut span, record.at);
        advance(record.offset);
    }
    state.next = Some(file.reader.next_number());
    report.records += records;
    report.effects += effects;
    let mut line = format!(
        "{name}: {records} records, {effects} effects, {} bytes",
        file.bytes
    );
    if let Some((first, last)) = span {
        widen(&mut report.span, first);
        widen(&mut report.span, last);
        let numbers = (head.first, file.reader.next_number() - 1);
        write!(line, ", numbers {} to {}", numbers.0, numbers.1).ok();
        write!(line, ", {} to {}", times::shown(first), times::shown(last)).ok();
    }
    let torn = file.reader.torn_bytes();
    if torn > 0 {
        let offset = file.reader.offset();
        write!(
            line,
            "; the last record is torn: the next start cuts {torn} bytes off at byte {offset}"
        )
        .ok();
        state.torn = Some(format!("{name} ends with a torn record at byte {offset}"));
    }
    report.line(&line);
    Ok(())
}

/// Returns how many effects a record has.
fn check_effects(record: &Record<'_>) -> Result<u64, &'static str> {
    let limits = Limits::default();
    let surroundings = Surroundings {
        limits: &limits,
        hash_seed: (0, 0),
        now: record.at,
    };
    let mut count = 0_usize;
    for effect in Effects::new(record.effects) {
        let effect = effect.map_err(|_damaged| "the effects of a record are none")?;
        if let Effect::Put { kind, object, .. } = effect {
            let value = rdb::read_object(kind, object, rdb::VERSION_MAX, &surroundings);
            value.map_err(|_refused| "the bytes of a value are none")?;
        }
        if let Effect::Tables { records } = effect {
            table_records::describe(records).map_err(|damaged| damaged.0)?;
        }
        count += 1;
    }
    Ok(u64_from(count))
}

/// Makes a span of time contain a point of it.
pub(crate) fn widen(span: &mut Option<(UnixMillis, UnixMillis)>, at: UnixMillis) {
    *span = Some(match *span {
        None => (at, at),
        Some((first, last)) => (first.min(at), last.max(at)),
    });
}

impl Report {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn finish(mut self) -> Result<String> {
        let mut line = format!("{} records, {} effects", self.records, self.effects);
        if let Some((first, last)) = self.span {
            write!(line, ", {} to {}", times::shown(first), times::shown(last)).ok();
        }
        self.line(&line);
        if self.damages.is_empty() {
            self.line("whole");
            return Ok(self.text);
        }
        let damages = self.damages.join("\n");
        Err(Failure::Damaged(format!(
            "{}\n{damages}\nput back a whole copy of the directory, or go back to a time before the damage with \
             aof-truncate",
            self.text.trim_end()
        ))
        .into())
    }
}
