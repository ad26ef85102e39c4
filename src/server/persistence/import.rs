//! Taking over the append-only file of Redis, before the cores serve.
//!
//! Its commands run on one shard that has all keys, through the same handlers as those of clients, and a base is made
//! of what comes out. Redis's files stay as they are.
//!
//! Nothing dies while they run: Redis has written a DEL for each key that did. What follows MULTI runs when its EXEC
//! has come, so a transaction at a torn end is not there at all.
//!
//! Not here: the form of the files (`storage::redis_log`), the new base ([`super::remake`]).

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::cast::u64_from;
use base::clock::UnixMillis;
use base::ids::DbIndex;
use commands::replay::Replay;
use runtime::file::ReadFile;
use scripting::functions::RestorePolicy;
use scripting::scripts::{Limits, ScriptError, Scripting};
use shard::Shard;
use storage::log::manifest::Manifest;
use storage::rdb_file::{Part, Reader};
use storage::redis_log::{self, Commands, Fault};

use super::load::{self, Batch, READ_BYTES};
use super::log::size_of;
use super::progress::{Counted, Progress};
use super::remake::{self, Fill};
use crate::config::Config;
use crate::config::settings::Settings;

/// A longer manifest is none.
const MANIFEST_BYTES_MAX: u64 = 16 << 20;

/// The first bytes of an RDB file.
const RDB_MAGIC: &[u8] = b"REDIS";

/// Returns the files that a Redis server has left, in the order in which they are read; nothing if there are none.
///
/// # Errors
///
/// One line with what is wrong and what can be done.
pub(super) fn find(settings: &Settings, directory: &Path) -> Result<Option<Vec<PathBuf>>, String> {
    if let Some(files) = files_in(settings, directory)? {
        return Ok(Some(files));
    }
    let path = settings.data_dir.join(&settings.redis_log_file);
    match ReadFile::open(&path) {
        Ok(_) => Ok(Some(vec![path])),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("open {}: {error}", path.display())),
    }
}

/// Returns the files that a manifest of Redis names; nothing if there is none in the directory.
///
/// # Errors
///
/// As for [`find`].
pub(super) fn files_in(
    settings: &Settings,
    directory: &Path,
) -> Result<Option<Vec<PathBuf>>, String> {
    let path = directory.join(format!("{}.manifest", settings.redis_log_file));
    match runtime::file::read_to_string(&path, MANIFEST_BYTES_MAX) {
        Ok(text) => {
            let names = redis_log::files_of(&text).map_err(|line| {
                format!(
                    "take over {}: {line} names no file; put back a whole copy of the directory, or move it \
                     away to start from the RDB file",
                    path.display()
                )
            })?;
            let paths = names.iter().map(|name| directory.join(name));
            Ok(Some(paths.collect()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("read {}: {error}", path.display())),
    }
}

/// Returns whether a file begins as RDB files do.
pub(super) fn is_rdb(path: &Path) -> Result<bool, String> {
    let failed = |error: io::Error| format!("open {}: {error}", path.display());
    let file = ReadFile::open(path).map_err(failed)?;
    let mut first = Vec::new();
    let limit = u64_from(RDB_MAGIC.len());
    file.take(limit).read_to_end(&mut first).map_err(failed)?;
    Ok(first == RDB_MAGIC)
}

/// Takes over the files of a Redis server. Returns the manifest of the log made of them.
///
/// # Errors
///
/// One line with what is wrong and what can be done.
pub(super) fn take_over(
    config: &Config,
    directory: &Path,
    files: Vec<PathBuf>,
    progress: &Arc<Progress>,
) -> Result<Manifest, String> {
    tracing::info!(
        path = %directory.display(),
        files = files.len(),
        "taking over the append-only file of Redis, which stays as it is"
    );
    let number = Manifest::default().next_number();
    progress.add_files(files.iter().map(|path| size_of(path)).sum());
    let fills = vec![fill_of(config.settings(), files, Arc::clone(progress))];
    remake::make(
        config,
        directory,
        number,
        fills,
        Box::new(|| Ok(Vec::new())),
    )
}

/// Returns what fills a shard with all that the files of a Redis server say.
pub(super) fn fill_of(settings: &Settings, files: Vec<PathBuf>, progress: Arc<Progress>) -> Fill {
    let (is_checked, may_be_torn) = (settings.has_rdb_checksum, settings.loads_torn);
    Box::new(move |shard| {
        let mut reading = Reading {
            shard,
            replay: Replay::default(),
            scripting: Scripting::new(Limits::default()),
            db: DbIndex(0),
            transaction: None,
            commands: 0,
            progress,
        };
        for (index, path) in files.iter().enumerate() {
            let is_last = index + 1 == files.len();
            reading
                .file(path, is_checked, is_last && may_be_torn)
                .map_err(|error| {
                    format!(
                        "take over {}: {error}; let Redis write it anew (BGREWRITEAOF), or take over its RDB \
                         file instead",
                        path.display()
                    )
                })?;
        }
        let commands = reading.commands;
        tracing::info!(commands, "the append-only file of Redis is read");
        let libraries = reading.scripting.libraries();
        let codes = libraries.map(|library| library.code.to_vec()).collect();
        Ok(Some(((0, 0), codes)))
    })
}

/// What the commands so far have made.
struct Reading<'s> {
    shard: &'s mut Shard,
    replay: Replay,
    scripting: Scripting,
    db: DbIndex,
    /// The commands since MULTI, each by its words.
    transaction: Option<Vec<Vec<Vec<u8>>>>,
    commands: u64,
    progress: Arc<Progress>,
}

impl Reading<'_> {
    fn file(&mut self, path: &Path, is_checked: bool, may_be_torn: bool) -> Result<(), String> {
        let failed = |error: io::Error| error.to_string();
        let file = ReadFile::open(path).map_err(failed)?;
        let mut file = Counted::new(file, Arc::clone(&self.progress));
        let mut first = vec![0; RDB_MAGIC.len()];
        let mut count = 0;
        while count < first.len() {
            match file.read(&mut first[count..]).map_err(failed)? {
                0 => break,
                read => count += read,
            }
        }
        first.truncate(count);
        let mut offset = u64_from(count);
        if first == RDB_MAGIC {
            (first, offset) = self.preamble(&mut file, &first, path, is_checked)?;
        } else if path.extension().is_some_and(|form| form == "rdb") {
            // One that is empty would be a file of no commands.
            return Err("it does not begin as an RDB file, and has the name of one".to_owned());
        }
        // As in Redis, each file begins in the first database.
        self.db = DbIndex(0);
        let mut commands = Commands::new(file, first, offset);
        loop {
            let begun = commands.offset();
            match commands.command() {
                Ok(Some(words)) => self
                    .command(&words)
                    .map_err(|error| format!("behind byte {begun}: {error}"))?,
                Ok(None) => break,
                Err(damage) if damage.fault == Fault::Torn && may_be_torn => {
                    tracing::warn!(path = %path.display(), "{damage}: it is left out");
                    break;
                }
                Err(damage) => return Err(damage.to_string()),
            }
        }
        match self.transaction.take() {
            None => Ok(()),
            Some(_) if may_be_torn => {
                tracing::warn!(path = %path.display(), "the last transaction has no end: it is left out");
                Ok(())
            }
            Some(_) => Err("the file ends in the middle of a transaction".to_owned()),
        }
    }

    /// Reads the RDB file that a file begins with. Returns what was read behind it, and where that ends.
    fn preamble(
        &mut self,
        file: &mut impl Read,
        first: &[u8],
        path: &Path,
        is_checked: bool,
    ) -> Result<(Vec<u8>, u64), String> {
        let mut reader = Reader::of_preamble(is_checked);
        reader.feed(first);
        let mut read_bytes = u64_from(first.len());
        let mut buffer = vec![0; READ_BYTES];
        let mut batch = Batch::default();
        loop {
            match reader.part().map_err(|error| load::refusal(path, &error))? {
                Some(Part::Entry(entry)) => batch.push(&entry),
                Some(Part::Library(code)) => self
                    .scripting
                    .load_library(&code, true, &mut |_, _| {})
                    .map(drop)
                    .map_err(|error| text_of(&error))?,
                Some(Part::Tables { .. }) => {
                    return Err("it has tables, which no Redis writes".to_owned());
                }
                Some(Part::Version(_) | Part::About { .. } | Part::Sizes { .. }) => {}
                Some(Part::End) => break,
                None => {
                    let count = file.read(&mut buffer).map_err(|error| error.to_string())?;
                    if count == 0 {
                        reader.end();
                    }
                    read_bytes += u64_from(count);
                    reader.feed(&buffer[..count]);
                }
            }
            if batch.is_full() {
                self.store(&std::mem::take(&mut batch), path)?;
            }
        }
        self.store(&batch, path)?;
        Ok((reader.into_rest(), read_bytes))
    }

    fn store(&mut self, batch: &Batch, path: &Path) -> Result<(), String> {
        let stored = batch.store(self.shard, UnixMillis(i64::MIN));
        stored
            .map(drop)
            .map_err(|error| load::refusal(path, &error))
    }

    /// Runs a command, or keeps it for its EXEC.
    fn command(&mut self, words: &[&[u8]]) -> Result<(), String> {
        let name = words
            .first()
            .map_or(Vec::new(), |word| word.to_ascii_lowercase());
        match (name.as_slice(), &mut self.transaction) {
            (b"multi", None) => self.transaction = Some(Vec::new()),
            (b"multi", Some(_)) => return Err("MULTI in MULTI".to_owned()),
            (b"exec", None) => return Err("EXEC without MULTI".to_owned()),
            (b"exec", Some(queue)) => {
                let queue = std::mem::take(queue);
                self.transaction = None;
                for words in &queue {
                    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
                    self.run(&words)?;
                }
            }
            (_, Some(queue)) => queue.push(words.iter().map(|word| word.to_vec()).collect()),
            (_, None) => self.run(words)?,
        }
        Ok(())
    }

    fn run(&mut self, words: &[&[u8]]) -> Result<(), String> {
        self.commands += 1;
        let name = words
            .first()
            .map_or(Vec::new(), |word| word.to_ascii_lowercase());
        match (name.as_slice(), words) {
            (b"select", [_, db]) => self.db = self.database(db)?,
            (b"flushdb", _) => {
                self.shard.db(self.db).clear();
            }
            (b"flushall", _) => {
                for db in (0..self.shard.options().databases).map(DbIndex) {
                    self.shard.db(db).clear();
                }
            }
            (b"swapdb", [_, one, other]) => {
                let (one, other) = (self.database(one)?, self.database(other)?);
                self.shard.swap_dbs(one, other);
            }
            (b"function", [_, what, args @ ..]) => self.function(what, args)?,
            (b"eval" | b"evalsha" | b"fcall", _) => {
                return Err("it has calls of scripts, and what they did is not known".to_owned());
            }
            // Scripts are not kept over the end of the process, and there is nobody to publish to.
            (b"script" | b"publish" | b"spublish", _) => {}
            _ => self
                .replay
                .run(self.shard, time_of(&name, words), self.db, (&name, words))
                .map_err(|refused| refused.to_string())?,
        }
        Ok(())
    }

    fn database(&self, word: &[u8]) -> Result<DbIndex, String> {
        let databases = self.shard.options().databases;
        let number = std::str::from_utf8(word).ok();
        let number = number.and_then(|text| text.parse::<u16>().ok());
        number
            .filter(|number| *number < databases)
            .map(DbIndex)
            .ok_or_else(|| {
                let shown = String::from_utf8_lossy(word);
                format!("there is no database {shown}; raise databases above that")
            })
    }

    fn function(&mut self, what: &[u8], args: &[&[u8]]) -> Result<(), String> {
        let log = &mut |_, _: &[u8]| {};
        let what = what.to_ascii_lowercase();
        let done = match (what.as_slice(), args) {
            (b"load", [code]) => self.scripting.load_library(code, false, log).map(drop),
            (b"load", [option, code]) if option.eq_ignore_ascii_case(b"replace") => {
                self.scripting.load_library(code, true, log).map(drop)
            }
            (b"delete", [name]) => {
                self.scripting.delete_library(name);
                Ok(())
            }
            (b"flush", _) => {
                self.scripting.flush_libraries();
                Ok(())
            }
            (b"restore", [payload, policy @ ..]) => {
                let codes = types::rdb::libraries::restore(payload);
                let codes = codes.map_err(|_refused| "the payload of FUNCTION RESTORE is none")?;
                let policy = match policy {
                    [word] if word.eq_ignore_ascii_case(b"flush") => RestorePolicy::Flush,
                    [word] if word.eq_ignore_ascii_case(b"replace") => RestorePolicy::Replace,
                    _ => RestorePolicy::Append,
                };
                self.scripting.restore_libraries(&codes, policy, log)
            }
            _ => return Err("it has a FUNCTION that is not known here".to_owned()),
        };
        done.map_err(|error| text_of(&error))
    }
}

/// Returns the time at which a command runs: so early that nothing is dead. XCLAIM says when an entry was delivered,
/// which may not be later than now.
fn time_of(name: &[u8], words: &[&[u8]]) -> UnixMillis {
    let mut options = words.windows(2).skip(5);
    let said = options.find(|pair| name == b"xclaim" && pair[0].eq_ignore_ascii_case(b"time"));
    let said = said.and_then(|pair| std::str::from_utf8(pair[1]).ok());
    UnixMillis(said.and_then(|text| text.parse().ok()).unwrap_or(0))
}

fn text_of(error: &ScriptError) -> String {
    String::from_utf8_lossy(&error.0).into_owned()
}
