//! `aof-dump`: what is in a log, a line per effect, in the order of their times.
//!
//! ```text
//!   shard  number  time  database  key  what
//! ```
//!
//! Bytes that are no printable ASCII are shown as `\xNN`, in JSON too. Memory holds a record per shard.
//!
//! Not here: whether the log is whole (`aof_check`); a log that is not is shown up to there.

use std::io::Write;
use std::path::Path;

use anyhow::Result;
use base::clock::UnixMillis;
use base::hash::Map;
use commands::keys::first_key;
use commands::spec::Declaration;
use protocol::args::PackedArgs;
use serde_json::{Value, json};
use storage::log::manifest::Generation;
use storage::times;
use types::effect::{Effect, Effects};
use types::rdb::type_name;

use crate::failure::Failure;
use crate::log_directory::{LogDirectory, LogFile, damaged};
use crate::table_records;

/// Longer words of commands are cut.
const SHOWN_BYTES_MAX: usize = 64;

/// What is shown, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// Only this shard.
    pub(crate) shard: Option<u16>,
    /// An object of JSON per line.
    pub(crate) is_json: bool,
}

/// A record that is to be shown next of its shard.
struct Waiting {
    file: LogFile,
    number: u64,
    at: UnixMillis,
    offset: u64,
    effects: Vec<u8>,
}

/// An effect in words.
struct Line<'a> {
    database: Option<u16>,
    key: Option<&'a [u8]>,
    effect: &'static str,
    what: String,
    expire_at: Option<UnixMillis>,
}

/// Prints a log.
pub(crate) fn run(prefix: &Path, wanted: Wanted, out: &mut dyn Write) -> Result<()> {
    let log = LogDirectory::open(prefix)?;
    let named = |it: &'static commands::spec::ShardCommand| {
        (it.declaration.name.as_bytes(), &it.declaration)
    };
    let commands: Map<&[u8], &Declaration> = commands::all().map(named).collect();
    for generation in &log.manifest.generations {
        dump_generation(&log, *generation, wanted, &commands, out)?;
    }
    out.flush()?;
    Ok(())
}

fn dump_generation(
    log: &LogDirectory,
    generation: Generation,
    wanted: Wanted,
    commands: &Map<&[u8], &Declaration>,
    out: &mut dyn Write,
) -> Result<()> {
    let mut waiting = Vec::new();
    for shard in 0..generation.shards {
        if wanted.shard.is_some_and(|it| it != shard) {
            continue;
        }
        if let Some(file) = log.file(generation, shard)? {
            waiting.extend(next(file)?);
        }
    }
    while let Some((index, _)) = waiting
        .iter()
        .enumerate()
        .min_by_key(|(_, it)| (it.at, it.file.shard))
    {
        let record = waiting.swap_remove(index);
        for effect in Effects::new(&record.effects) {
            let effect = effect.map_err(|damaged| {
                let path = record.file.path.display();
                Failure::Damaged(format!("{path}: at byte {}: {damaged}", record.offset))
            })?;
            let line = line_of(&effect, commands);
            if wanted.is_json {
                writeln!(out, "{}", json_of(&line, &record, generation))?;
            } else {
                writeln!(out, "{}", text_of(&line, &record))?;
            }
        }
        waiting.extend(next(record.file)?);
    }
    Ok(())
}

/// Reads the next record of a file.
fn next(mut file: LogFile) -> Result<Option<Waiting>> {
    let read = file
        .reader
        .record()
        .map_err(|damage| damaged(&file.path, &damage))?;
    let Some(record) = read else { return Ok(None) };
    let (number, at, offset) = (record.number, record.at, record.offset);
    let effects = record.effects.to_vec();
    Ok(Some(Waiting {
        file,
        number,
        at,
        offset,
        effects,
    }))
}

fn line_of<'a>(effect: &Effect<'a>, commands: &Map<&[u8], &Declaration>) -> Line<'a> {
    let line = |database, key, effect, what| Line {
        database,
        key,
        effect,
        what,
        expire_at: None,
    };
    match effect {
        Effect::Put {
            db,
            key,
            expire_at,
            kind,
            object,
        } => {
            let name = type_name(*kind).unwrap_or("unknown");
            let what = format!("{name}, {} bytes", object.len());
            Line {
                expire_at: *expire_at,
                ..line(Some(db.0), Some(*key), "put", what)
            }
        }
        Effect::Delete { db, key } => line(Some(db.0), Some(*key), "delete", String::new()),
        Effect::Run { db, now: _, words } => {
            let shown: Vec<_> = words
                .iter()
                .map(|word| shown(word, SHOWN_BYTES_MAX))
                .collect();
            line(Some(db.0), key_of(words, commands), "run", shown.join(" "))
        }
        Effect::Clear { db } => line(Some(db.0), None, "clear", String::new()),
        Effect::Swap { one, other } => line(
            Some(one.0),
            None,
            "swap",
            format!("with database {}", other.0),
        ),
        Effect::Libraries { number, codes } => {
            let what = format!("change {number}, {} libraries", codes.len());
            line(None, None, "libraries", what)
        }
        Effect::Part {
            transaction,
            shards,
        } => {
            let what = format!("transaction {transaction} of {shards} shards");
            line(None, None, "part", what)
        }
        Effect::Released { transaction } => {
            line(None, None, "released", format!("transaction {transaction}"))
        }
        Effect::Tables { records } => {
            let what = table_records::describe(records);
            line(
                None,
                None,
                "tables",
                what.unwrap_or_else(|damaged| damaged.to_string()),
            )
        }
    }
}

/// Returns the key of a command.
fn key_of<'a>(words: &[&'a [u8]], commands: &Map<&[u8], &Declaration>) -> Option<&'a [u8]> {
    let declaration = commands.get(words.first()?)?;
    let mut packed = PackedArgs::new();
    words.iter().for_each(|word| packed.push_word(word));
    words.get(first_key(declaration, packed.args())?).copied()
}

fn shown(bytes: &[u8], bytes_max: usize) -> String {
    let text = bytes[..bytes.len().min(bytes_max)].escape_ascii();
    if bytes.len() > bytes_max {
        format!("\"{text}\"...")
    } else {
        format!("\"{text}\"")
    }
}

fn text_of(line: &Line<'_>, record: &Waiting) -> String {
    let database = line
        .database
        .map_or_else(|| "-".to_owned(), |it| it.to_string());
    let key = line
        .key
        .map_or_else(|| "-".to_owned(), |key| shown(key, usize::MAX));
    let (shard, number, at) = (record.file.shard, record.number, times::shown(record.at));
    let mut text = format!("{shard} {number} {at} {database} {key} {}", line.effect);
    if !line.what.is_empty() {
        text += &format!(" {}", line.what);
    }
    if let Some(at) = line.expire_at {
        text += &format!(", expires {}", times::shown(at));
    }
    text
}

fn json_of(line: &Line<'_>, record: &Waiting, generation: Generation) -> Value {
    json!({
        "shard": record.file.shard,
        "generation": generation.number,
        "number": record.number,
        "time": times::shown(record.at),
        "database": line.database,
        "key": line.key.map(|key| key.escape_ascii().to_string()),
        "effect": line.effect,
        "what": line.what,
        "expires": line.expire_at.map(times::shown),
    })
}
