//! The append-only log: what each core writes in a turn, and when it is on the disk.
//!
//! ```text
//!   turn: requests run -> effects of all changes -> one record -> write -> replies and messages leave,
//!                                                                          with `always` behind a sync (`commit`)
//! ```
//!
//! The core waits for the kernel to take the bytes, and for a device only if that is quick. With `everysec` a helper thread syncs the
//! files of all cores.
//!
//! Invariants
//! - No reply leaves a core before the record of what it has changed there was written, and with `always` synced; not
//!   synced while a save or a rewriting is under way if `no-appendfsync-on-rewrite` says so.
//! - Records are written in their order. After a write that failed nothing is written before that record is.
//! - While a record is not written, writes are refused. After a sync that failed they are refused for good:
//!   nobody knows what of the file is on the disk. With `always` either ends the process, before the replies
//!   leave.
//!
//! A transaction over several cores is a part of a record on each (`coordinator::transaction`); which of them count
//! after a crash is decided at the start (`log_parts`).
//!
//! Not here: what effects are (`shard::records`), the form of the files (crate `storage`), how they are read
//! (`log_load`), how the log is made shorter (`rewrite`).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use base::cast::u64_from;
use base::clock::UnixMillis;
use base::ids::TxId;
use runtime::facts::Facts;
use runtime::file::{DirectoryLock, lock_directory};
use runtime::helper::{self, Helper};
use runtime::log_file::{self, LogFile};
use shard::records::LARGE_BYTES;
use storage::log::manifest::{self, Generation, Manifest};
use storage::log::record::{self, EFFECTS_BYTES_MAX, Head};
use types::effect;

use crate::config::Config;
use crate::config::settings::{Settings, SyncPolicy};
use crate::core_loop::Core;
use crate::engine::Shared;

use super::import;
use super::log_parts;
use super::progress::Progress;
use super::remake;
use super::rewrite::{self, Chain};

/// How often the files are synced with `everysec`.
const SYNC_PERIOD: Duration = Duration::from_secs(1);

/// The log of this process, as found at the start.
#[derive(Debug)]
pub struct Log {
    pub(super) directory: PathBuf,
    /// What is to be replayed.
    pub(super) before: Manifest,
    /// What this process writes at first.
    generation: Generation,
    /// The end of each file of this process, if it is not synced; by shard.
    files: Facts<Vec<Option<LogFile>>>,
    unsynced: Box<[AtomicBool]>,
    /// By shard: the last record that was written, and the last that is on the disk.
    written: Box<[AtomicU64]>,
    synced: Box<[AtomicU64]>,
    /// Somebody waits for `synced`, and is woken when a sync ends.
    is_awaited: AtomicBool,
    /// A thread syncs for those who wait.
    is_syncing: AtomicBool,
    /// Bytes of all logs that count.
    pub(super) bytes: AtomicU64,
    /// What the manifest says, and what it will say.
    pub(super) chain: Facts<Chain>,
    /// Why writes are refused, by the way of the last core or thread that has failed.
    failures: Facts<Vec<Option<Failure>>>,
    _lock: DirectoryLock,
}

/// The directory of a log that was entered at the start, and what was found there.
#[derive(Debug)]
pub(crate) struct FoundLog {
    directory: PathBuf,
    lock: DirectoryLock,
    before: Before,
    shards: u16,
}

/// What a log goes on from.
#[derive(Debug)]
enum Before {
    /// A log.
    Log(Manifest),
    /// The append-only file of Redis: its files.
    Redis(Vec<PathBuf>),
    /// The RDB file, if there is one.
    Nothing,
}

impl FoundLog {
    /// Enters the directory of the log.
    ///
    /// # Errors
    ///
    /// One line with what is wrong and what can be done.
    pub(crate) fn enter(settings: &Settings, shards: u16) -> Result<Self, String> {
        let (directory, lock, manifest) = enter(settings)?;
        let before = match manifest {
            Some(manifest) => Before::Log(manifest),
            None => import::find(settings, &directory)?.map_or(Before::Nothing, Before::Redis),
        };
        Ok(Self {
            directory,
            lock,
            before,
            shards,
        })
    }

    /// Returns whether [`Log::open`] reads and writes all data: files of Redis, or of another number of shards.
    pub(crate) fn has_to_be_made(&self) -> bool {
        match &self.before {
            Before::Log(manifest) => other_shards(manifest, self.shards).is_some(),
            Before::Redis(_) => true,
            Before::Nothing => false,
        }
    }
}

/// Returns the number of shards that have written a log, if it is another one.
fn other_shards(manifest: &Manifest, shards: u16) -> Option<u16> {
    let mut all = manifest.generations.iter().map(|it| it.shards);
    all.find(|other| *other != shards)
}

/// What the disk has refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Full,
    TooLarge,
    Other,
}

impl Failure {
    pub(super) fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            io::ErrorKind::FileTooLarge => Self::TooLarge,
            _ => Self::Other,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Full => "MISCONF Errors writing to the AOF file: No space left on device",
            Self::TooLarge => "MISCONF Errors writing to the AOF file: File too large",
            Self::Other => "MISCONF Errors writing to the AOF file: Input/output error",
        }
    }
}

impl Log {
    /// Goes on with the log that was found, or makes one, and begins a generation. A new log goes on from the
    /// append-only file of Redis, or from the RDB file, if there is one. `progress` learns how far the reading of files
    /// is, if the log has to be made.
    ///
    /// # Errors
    ///
    /// One line with what is wrong and what can be done.
    pub(crate) fn open(
        config: &Config,
        found: FoundLog,
        progress: &Arc<Progress>,
    ) -> Result<Arc<Self>, String> {
        let settings = config.settings();
        let FoundLog {
            directory,
            lock,
            before,
            shards,
        } = found;
        let shown = directory.display().to_string();
        let failed = |error: io::Error| format!("open the log in {shown}: {error}");
        let before = match before {
            Before::Log(before) => before,
            Before::Redis(files) => import::take_over(config, &directory, files, progress)?,
            Before::Nothing => new_manifest(settings, &directory).map_err(failed)?,
        };
        let before = match other_shards(&before, shards) {
            Some(other) => {
                let base = before.base.as_ref().map(|name| directory.join(name));
                let base_bytes = base.map_or(0, |path| size_of(&path));
                progress.add_files(base_bytes + bytes_before(&directory, &before));
                remake::for_other_shards(config, &directory, &before, (other, progress))?
            }
            None => before,
        };
        let generation = Generation {
            number: before.next_number(),
            shards,
        };
        let mut after = before.clone();
        after.generations.push(generation);
        after.store(&directory).map_err(failed)?;
        forget_first_base(&directory);
        if !settings.keeps_old_logs {
            rewrite::remove_left_over(&directory, &after);
        }
        let before_bytes = bytes_before(&directory, &before);
        let base = before.base.as_ref().map(|name| directory.join(name));
        let base_bytes = base.map_or(0, |path| size_of(&path));
        let chain = Chain {
            is_on: true,
            switches: 0,
            is_valid: true,
            is_manifest_unsure: false,
            next_number: after.next_number(),
            manifest: after,
            base_bytes,
            before_bytes,
            rewritten_bytes: base_bytes,
            next: None,
        };
        Ok(Self::new((directory, lock), before, generation, chain))
    }

    /// Enters the directory of a log for a server that does not write one yet.
    ///
    /// # Errors
    ///
    /// One line with what is wrong and what can be done.
    pub(super) fn open_unused(config: &Config, shards: u16) -> Result<Arc<Self>, String> {
        let (directory, lock, before) = enter(config.settings())?;
        let manifest = before.unwrap_or_default();
        let next_number = manifest.next_number();
        let chain = Chain {
            is_on: false,
            switches: 0,
            is_valid: false,
            is_manifest_unsure: false,
            next_number,
            manifest,
            base_bytes: 0,
            before_bytes: 0,
            rewritten_bytes: 0,
            next: None,
        };
        let nothing = Generation { number: 0, shards };
        Ok(Self::new(
            (directory, lock),
            Manifest::default(),
            nothing,
            chain,
        ))
    }

    fn new(
        (directory, lock): (PathBuf, DirectoryLock),
        before: Manifest,
        generation: Generation,
        chain: Chain,
    ) -> Arc<Self> {
        let shards = usize::from(generation.shards);
        Arc::new(Self {
            directory,
            before,
            generation,
            files: Facts::new(vec![None; shards]),
            unsynced: (0..shards).map(|_| AtomicBool::new(false)).collect(),
            written: (0..shards).map(|_| AtomicU64::new(0)).collect(),
            synced: (0..shards).map(|_| AtomicU64::new(0)).collect(),
            is_awaited: AtomicBool::new(false),
            is_syncing: AtomicBool::new(false),
            bytes: AtomicU64::new(chain.before_bytes),
            chain: Facts::new(chain),
            failures: Facts::new(vec![None; shards + 1]),
            _lock: lock,
        })
    }

    /// Notes that the cores are to write from the next cut on, or no more. What the manifest says does not lead to
    /// what they have.
    pub(super) fn switch(&self, is_on: bool) {
        self.chain.with(|chain| {
            chain.is_on = is_on;
            chain.switches += 1;
            chain.is_valid = false;
            chain.base_bytes = 0;
            chain.before_bytes = 0;
            chain.rewritten_bytes = 0;
        });
        self.bytes.store(0, Ordering::Relaxed);
    }

    /// Forgets why writes were refused.
    pub(super) fn forget_failures(&self, shared: &Shared) {
        self.failures.with(|all| all.fill(None));
        shared.persistence.set_log_failed(false);
    }

    /// Returns the number behind which those of transactions of this process begin.
    #[must_use]
    pub fn first_transaction(&self) -> TxId {
        log_parts::first_transaction(self.generation.number)
    }

    /// Returns the base, if the log has one.
    pub(crate) fn base_path(&self) -> Option<PathBuf> {
        let name = self.before.base.as_ref();
        name.map(|name| self.directory.join(name))
    }

    /// Returns how many bytes the logs have that are to be replayed.
    pub(super) fn bytes_before(&self) -> u64 {
        bytes_before(&self.directory, &self.before)
    }

    /// Returns how many bytes the log has, and had when it was last rewritten. One that has not been since the
    /// start counts from its base.
    pub(crate) fn sizes(&self) -> (u64, u64) {
        let written = self.bytes.load(Ordering::Relaxed);
        self.chain
            .with(|chain| (chain.base_bytes + written, chain.rewritten_bytes))
    }

    /// Returns the error of writes while the disk takes none.
    pub(crate) fn refusal(&self) -> Option<&'static str> {
        let failure = self
            .failures
            .with(|all| all.iter().copied().flatten().next());
        failure.map(Failure::text)
    }

    pub(super) fn set_failure(&self, shared: &Shared, place: usize, failure: Option<Failure>) {
        let has_failed = self.failures.with(|all| {
            all[place] = failure;
            all.iter().any(Option::is_some)
        });
        shared.persistence.set_log_failed(has_failed);
    }

    /// Says which file a core writes from now on.
    pub(super) fn set_file(&self, me: usize, file: &LogFile) {
        self.files.with(|files| files[me] = Some(file.clone()));
        self.unsynced[me].store(true, Ordering::Release);
    }

    /// Notes that the disk has taken what a core has written.
    pub(super) fn note_written(&self, shared: &Shared, me: usize) {
        if self.failures.with(|all| all[me].is_some()) {
            tracing::info!("the log is written again");
            self.set_failure(shared, me, None);
        }
    }

    /// Notes that a sync has failed: nobody knows what is on the disk.
    pub(super) fn note_failed_sync(&self, shared: &Shared, error: &io::Error) {
        tracing::error!(%error, "sync the log; writes are refused until the server is started again");
        self.set_failure(shared, self.unsynced.len(), Some(Failure::of(error)));
    }

    /// Returns whether a sync has failed: nothing is written any more then.
    pub(super) fn has_sync_failed(&self) -> bool {
        let last = |all: &mut Vec<Option<Failure>>| all.last().is_some_and(Option::is_some);
        self.failures.with(last)
    }

    /// Syncs what was written since the last time. For helper threads, and for the end.
    pub(super) fn sync(&self, shared: &Shared) {
        if self.has_sync_failed() {
            // It would bring to the disk what stands behind what is lost.
            return;
        }
        for index in 0..self.unsynced.len() {
            if !self.unsynced[index].swap(false, Ordering::AcqRel) {
                continue;
            }
            // Before the file: what stands in one before it was synced when this one took its place.
            let written = self.written[index].load(Ordering::Acquire);
            let Some(file) = self.files.with(|files| files[index].clone()) else {
                continue;
            };
            match file.sync() {
                Ok(()) => {
                    self.synced[index].fetch_max(written, Ordering::AcqRel);
                }
                Err(error) => {
                    self.note_failed_sync(shared, &error);
                }
            }
        }
        self.wake_who_wait(shared);
    }

    /// Notes that the log of a core is on the disk up to this record.
    pub(super) fn note_synced(&self, shared: &Shared, me: usize, record: u64) {
        self.synced[me].fetch_max(record, Ordering::AcqRel);
        self.wake_who_wait(shared);
    }

    fn wake_who_wait(&self, shared: &Shared) {
        if self.is_awaited.swap(false, Ordering::AcqRel) {
            shared.persistence.wake_all();
        }
    }

    /// Returns the number of the last record of a shard that this process has written, or 0.
    pub(super) fn last_record(&self, shard: usize) -> u64 {
        self.written[shard].load(Ordering::Acquire)
    }

    /// Returns whether the logs of all shards are on the disk up to these records.
    pub(crate) fn is_synced(&self, records: &[u64]) -> bool {
        let all = self.synced.iter().zip(records);
        all.into_iter()
            .all(|(synced, record)| synced.load(Ordering::Acquire) >= *record)
    }

    /// Has the logs synced soon, and all cores woken then, so that they look again.
    pub(crate) fn want_sync(self: &Arc<Self>, shared: &Arc<Shared>) {
        self.is_awaited.store(true, Ordering::Release);
        // With `always` the cores sync by themselves. Whoever syncs looks for those who wait afterwards.
        let mut unsynced = self.unsynced.iter();
        if !unsynced.any(|it| it.load(Ordering::Acquire)) {
            return;
        }
        if self.is_syncing.swap(true, Ordering::AcqRel) {
            return;
        }
        let (log, shared) = (Arc::clone(self), Arc::clone(shared));
        let started = helper::start("sync", move || {
            log.sync(&shared);
            log.is_syncing.store(false, Ordering::Release);
            // Who has come meanwhile was not heard.
            log.wake_who_wait(&shared);
        });
        if let Err(error) = started {
            tracing::error!(%error, "start a thread that syncs the log");
            self.is_syncing.store(false, Ordering::Release);
        }
    }
}

/// Enters the directory of the log: locks it, and reads its manifest if it has one.
fn enter(settings: &Settings) -> Result<(PathBuf, DirectoryLock, Option<Manifest>), String> {
    let directory = settings.data_dir.join(&settings.log_dir);
    let shown = directory.display().to_string();
    runtime::file::create_dir(&directory)
        .map_err(|error| format!("open the log in {shown}: {error}"))?;
    let lock = lock_directory(&directory)
        .map_err(|error| format!("{error}; stop it, or choose another directory with --dir"))?;
    let before = Manifest::load(&directory).map_err(|error| {
        format!(
            "read {shown}/{}: {error}; put back a whole copy of the directory",
            manifest::NAME
        )
    })?;
    if before.is_none() {
        look_for_lost(&directory)?;
    }
    Ok((directory, lock, before))
}

/// Fails if a directory without a manifest has logs that count: it has lost its manifest. Those of a log that was being
/// switched on when its process ended do not count.
fn look_for_lost(directory: &Path) -> Result<(), String> {
    let shown = directory.display();
    let names = log_file::names_in(directory).map_err(|error| format!("read {shown}: {error}"))?;
    if names.iter().any(|name| name == manifest::FIRST_BASE) {
        return Ok(());
    }
    let mut logs = names.iter().filter(|name| manifest::is_log(name));
    match logs.next() {
        None => Ok(()),
        Some(name) => Err(format!(
            "{shown} has logs ({name}) and no {}, which says what of them counts; put that file back from a copy of the \
             directory, or move the directory away to start without the log",
            manifest::NAME
        )),
    }
}

/// Notes that a log is being switched on that has no base so far, and so no manifest. Done means: the name is there; the
/// caller syncs the directory.
pub(super) fn note_first_base(directory: &Path) -> io::Result<()> {
    runtime::file::write_atomically(&directory.join(manifest::FIRST_BASE), b"")
}

/// Ends that: the manifest is there.
pub(super) fn forget_first_base(directory: &Path) {
    let path = directory.join(manifest::FIRST_BASE);
    match runtime::file::remove(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "remove an old file");
        }
        _ => {}
    }
}

/// Returns how many bytes the logs of processes before have; one that is missing has none.
fn bytes_before(directory: &Path, before: &Manifest) -> u64 {
    let generations = before.generations.iter();
    let paths = generations
        .flat_map(|it| (0..it.shards).map(|shard| manifest::log_path(directory, it.number, shard)));
    paths.map(|path| size_of(&path)).sum()
}

/// Returns the bytes of a file; one that cannot be looked at has none.
pub(super) fn size_of(path: &Path) -> u64 {
    let file = runtime::file::ReadFile::open(path);
    file.and_then(|file| file.size_bytes()).unwrap_or(0)
}

/// Makes the manifest of a new log.
fn new_manifest(settings: &Settings, directory: &Path) -> io::Result<Manifest> {
    let rdb = settings.data_dir.join(&settings.rdb_file);
    let name = manifest::base_name(0);
    let base = match runtime::file::ReadFile::open(&rdb) {
        Ok(_) => {
            let path = directory.join(&name);
            match runtime::file::remove(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => log_file::link_or_copy(&rdb, &path)?,
            }
            tracing::info!(path = %rdb.display(), "a new log goes on from the RDB file");
            Some(name)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let manifest = Manifest {
        base,
        generations: Vec::new(),
    };
    manifest.store(directory)?;
    Ok(manifest)
}

/// Starts the thread that syncs the files each second, as long as the policy says so. It ends with the process.
///
/// # Errors
///
/// If there can be no thread.
pub(crate) fn start_syncing(shared: &Arc<Shared>) -> io::Result<Helper> {
    let shared = Arc::clone(shared);
    helper::start_every("sync", SYNC_PERIOD, move || {
        let persistence = &shared.persistence;
        if let Some(log) = persistence.log()
            && persistence.syncs_each_second()
        {
            log.sync(&shared);
        }
        !shared.stopping.load(Ordering::Relaxed)
    })
}

/// A core's end of the log.
#[derive(Debug)]
pub(crate) struct CoreLog {
    pub(super) log: Arc<Log>,
    pub(super) file: LogFile,
    /// Bytes of the file that are records.
    pub(super) written_bytes: u64,
    /// The number of the next record.
    pub(super) next: u64,
    effects: Vec<u8>,
    /// Records that are not written yet.
    pub(super) records: Vec<u8>,
    /// With `always`: something was told or written that no sync covers which has begun.
    pub(super) needs_sync: bool,
    /// The last record that was written is not known to be on the disk.
    has_unsynced: bool,
    /// It is to go over to the next generation; what is in `records` still belongs to this one.
    pub(super) is_turning_over: bool,
}

/// Begins to write the log of a core, whose shard is as the log says. `next` is the number of its next record.
///
/// # Errors
///
/// Those of the file system.
pub(super) fn begin(core: &mut Core, log: &Arc<Log>, next: u64) -> io::Result<()> {
    let me = core.engine.me;
    let head = Head {
        shard: me.0,
        shards: log.generation.shards,
        generation: log.generation.number,
        first: next,
    };
    let file = LogFile::create(&manifest::log_path(
        &log.directory,
        log.generation.number,
        me.0,
    ))?;
    let mut bytes = head.bytes();
    file.append(&mut bytes)?;
    file.sync()?;
    log_file::sync_directory(&log.directory)?;
    log.files
        .with(|files| files[me.index()] = Some(file.clone()));
    log.bytes
        .fetch_add(u64_from(bytes.len()), Ordering::Relaxed);
    core.log = Some(CoreLog::new(
        Arc::clone(log),
        file,
        u64_from(bytes.len()),
        next,
    ));
    core.engine.scripts.take_change();
    core.engine.host.shard.record_changes(true, LARGE_BYTES);
    Ok(())
}

/// Writes the record of what has changed, before replies and messages leave. With `always` it is written when its
/// sync begins ([`write_for_sync`]), and until then the log needs one.
#[inline]
pub(crate) fn flush(core: &mut Core) {
    if core.log.is_some() {
        flush_effects(core, When::AsTheyCome);
    } else if core.engine.host.shard.is_recording() {
        rewrite::join(core);
        flush_effects(core, When::AsTheyCome);
    }
}

/// Writes what has changed since the last sync began, as one record.
pub(super) fn write_for_sync(core: &mut Core) {
    flush_effects(core, When::Now);
}

/// When effects are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Now,
    /// Now, but with a sync if each write has one.
    AsTheyCome,
}

/// More effects than that are written before their sync begins.
const UNWRITTEN_BYTES_MAX: usize = 32 << 20;

/// Ends the log of a core: it was switched off. What was told so far is written and synced.
pub(super) fn leave(core: &mut Core) {
    close(core);
    core.engine.host.shard.record_changes(false, LARGE_BYTES);
}

fn flush_effects(core: &mut Core, when: When) {
    let Core { engine, log, .. } = core;
    let Some(log) = log else { return };
    if (log.is_turning_over || engine.host.shard.has_cut()) && !rewrite::turn_over(engine, log) {
        return;
    }
    let has_effects = engine.host.shard.has_effects();
    if !has_effects && !engine.scripts.has_changed() && log.records.is_empty() {
        return;
    }
    let care = Care::of(engine.config.settings(), &engine.shared);
    if when == When::AsTheyCome
        && care.syncs
        && engine.host.shard.effects_bytes() < UNWRITTEN_BYTES_MAX
    {
        log.needs_sync = true;
        return;
    }
    let libraries = engine.scripts.take_change();
    engine.host.shard.take_effects(&mut log.effects);
    if let Some((codes, number)) = libraries {
        effect::libraries(&mut log.effects, number, &codes);
    }
    let mut effects = std::mem::take(&mut log.effects);
    log.add_record(engine.now, &effects);
    effects.clear();
    effects.shrink_to(KEPT_BYTES_MAX);
    log.effects = effects;
    log.write(&engine.shared, engine.me.index(), care);
}

/// What a write is followed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Care {
    /// No reply says more than was written: `appendfsync always`.
    pub(super) is_always: bool,
    /// It is brought to the disk at once.
    pub(super) syncs: bool,
}

impl Care {
    /// Returns what is wanted now.
    pub(super) fn of(settings: &Settings, shared: &Shared) -> Self {
        let is_always = settings.log_sync == SyncPolicy::Always;
        Self {
            is_always,
            syncs: is_always && !shared.persistence.puts_off_syncs(settings),
        }
    }
}

/// Larger buffers are not kept for the next turn.
const KEPT_BYTES_MAX: usize = 1 << 20;

impl CoreLog {
    /// Creates an end that goes on with a file of so many bytes, and with a record of this number.
    pub(super) fn new(log: Arc<Log>, file: LogFile, written_bytes: u64, next: u64) -> Self {
        Self {
            log,
            file,
            written_bytes,
            next,
            effects: Vec::new(),
            records: Vec::new(),
            needs_sync: false,
            has_unsynced: false,
            is_turning_over: false,
        }
    }

    /// Makes a record of effects, if there are any.
    pub(super) fn add_record(&mut self, now: UnixMillis, effects: &[u8]) {
        if effects.len() > EFFECTS_BYTES_MAX {
            give_up("a turn has changed more than 4 GiB, which no record holds");
        }
        if !effects.is_empty() {
            record::write(&mut self.records, self.next, now, effects);
            self.next += 1;
        }
    }

    /// Writes the records that wait; if a sync is wanted, nothing leaves the core before they are synced. They stay
    /// where they are if that fails.
    pub(super) fn write(&mut self, shared: &Shared, me: usize, care: Care) {
        if self.log.has_sync_failed() {
            // What stands in front of it may be lost, and the file would be damaged in its middle.
            if care.is_always {
                give_up("the log could not be synced, and appendfsync is always");
            }
            return;
        }
        // A loss of power may take any of the blocks that are not synced. Into room two records are never written
        // without a sync between them, or the first could be lost and the second be there.
        if self.has_unsynced
            && self.file.has_room()
            && let Err(error) = self.file.cut_room()
        {
            tracing::warn!(%error, "cut off the room of the log");
        }
        if let Err(error) = self.file.append(&mut self.records) {
            tracing::error!(%error, "write the log; writes are refused until that works");
            if care.is_always {
                give_up("the log cannot be written, and appendfsync is always");
            }
            self.log.set_failure(shared, me, Some(Failure::of(&error)));
            if let Err(error) = self.file.cut(self.written_bytes) {
                // What stands there is a torn record. The next write would stand behind it.
                tracing::error!(%error, "cut what was written of a record");
                give_up("the log can be neither written nor cut");
            }
            return;
        }
        self.log.written[me].store(self.next - 1, Ordering::Release);
        let bytes = u64_from(self.records.len());
        self.written_bytes += bytes;
        self.log.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.records.clear();
        self.records.shrink_to(KEPT_BYTES_MAX);
        self.log.note_written(shared, me);
        self.has_unsynced = true;
        if care.syncs {
            self.needs_sync = true;
            self.ask_for_room();
        } else {
            self.log.unsynced[me].store(true, Ordering::Release);
        }
    }

    /// Leaves the file without room, as nothing more comes.
    pub(super) fn end_file(&self) {
        if let Err(error) = self.file.cut_room() {
            tracing::warn!(%error, "cut off the room of the log, which is cut at the next start");
        }
    }

    /// Has room made for what comes, if there is too little.
    fn ask_for_room(&self) {
        if self.file.takes_room() {
            let file = self.file.clone();
            let started = helper::start("room", move || {
                if let Err(error) = file.make_room() {
                    tracing::info!(%error, "no room is made in front of the log: each sync makes its file longer");
                }
            });
            if let Err(error) = started {
                tracing::warn!(%error, "start a thread that makes room for the log");
            }
        }
    }

    /// Syncs what was written, and waits for the device.
    pub(super) fn sync_now(&mut self, shared: &Shared, me: usize) -> io::Result<()> {
        self.file.sync()?;
        self.needs_sync = false;
        self.note_synced(shared, me, self.next - 1);
        Ok(())
    }

    /// Notes that the log is on the disk up to this record.
    pub(super) fn note_synced(&mut self, shared: &Shared, me: usize, record: u64) {
        self.has_unsynced &= record + 1 < self.next;
        self.log.note_synced(shared, me, record);
    }
}

/// Writes what has changed so far, for who wants to wait until it is on the disk. Returns the number of the last
/// record, or 0 without a log.
pub(crate) fn last_record(core: &mut Core) -> u64 {
    flush(core);
    let has_more = core.engine.host.shard.has_effects() || core.engine.scripts.has_changed();
    let unwritten = u64::from(has_more);
    core.log.as_ref().map_or(0, |log| log.next - 1 + unwritten)
}

/// Writes what is left and syncs it. For the end of the process.
pub(crate) fn close(core: &mut Core) {
    flush(core);
    write_for_sync(core);
    if let Some(mut log) = core.log.take() {
        log.end_file();
        let is_always = core.engine.config.settings().log_sync == SyncPolicy::Always;
        if is_always && let Err(error) = log.sync_now(&core.engine.shared, core.engine.me.index()) {
            tracing::error!(%error, "sync the log");
            give_up("the log cannot be synced, and appendfsync is always");
        }
        log.log.sync(&core.engine.shared);
    }
}

/// Ends the process before a reply leaves that says more than the disk has, as Redis does.
pub(super) fn give_up(why: &str) -> ! {
    tracing::error!("the server ends: {why}. Make room on the disk and start it again");
    runtime::process::end(1)
}
