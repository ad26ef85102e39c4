//! What is saved to files and loaded from them, and when.
//!
//! ```text
//!   start:  dump.rdb -> helper thread: parts -> inbox of each core: values -> its shard      (`load`)
//!   save:   cut on all shards -> each core: entries -> pieces -> helper thread: file         (`save`)
//!   log:    changes of a turn -> record -> file of the core; at the start back again         (`log`, `log_load`)
//! ```
//!
//! Invariants
//! - No core waits for the disk, helper threads do; but for the log, see there.
//! - A save has the data of all shards as they were at one moment: the snapshots of the shards begin in one
//!   transaction that claims all of them.
//! - While data is loaded nothing else is served, and a file that is not whole ends the process.
//!
//! In reading order: this file (what all cores know), `save`, `pieces`, `points` (when to save), `load`, `load_tables`,
//! `progress`, `log`, `log_load`, `log_parts` (what of the logs counts), `rewrite`, `switch`, `remake`, `import`, `backup` (saves that
//! are kept), `upload`, `restore`, `delivery` (copies for clients), `offline` (files of what
//! a server has left), `left_over` (what killed ones have left half done).
//!
//! Not here: the form of the file (crate `storage`), the walk over a shard (`shard::snapshot`), the
//! commands (`control::persistence`).

pub mod backup;
pub(crate) mod commit;
pub(crate) mod delivery;
mod import;
pub(crate) mod left_over;
pub mod load;
mod load_tables;
pub mod log;
mod log_load;
mod log_parts;
pub mod offline;
mod pieces;
pub mod points;
pub(crate) mod progress;
mod remake;
pub mod restore;
pub mod rewrite;
pub mod save;
pub(crate) mod switch;
pub mod upload;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use base::clock::{Monotonic, UnixMillis};
use base::ids::ShardId;
use commands::spec::Flags;
use runtime::facts::Facts;
use runtime::helper::Helper;
use runtime::waker::Waker;
use tables::unique::Values;

use self::backup::Backups;
use self::load_tables::SharedCounters;
use self::log::Log;
use self::progress::Progress;
use self::rewrite::Rewrites;
use self::upload::Uploads;
use crate::config::Config;
use crate::config::settings::{Settings, SyncPolicy};
use crate::core_loop::Core;

/// What clients are told while data is loaded.
const LOADING: &str = "LOADING Redis is loading the dataset in memory";

/// What those who write are told after a save has failed.
const UNSAVED: &str = "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to \
    persist to disk. Commands that may modify the data set are disabled, because this instance is \
    configured to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error \
    option). Please check the Redis logs for details about the RDB error.";

/// What all cores know of saving and loading.
#[derive(Debug)]
pub struct Persistence {
    /// Cores that have not loaded all yet.
    loading: AtomicUsize,
    /// What was loaded.
    pub(crate) loaded: Loaded,
    /// The last save failed.
    has_failed: AtomicBool,
    /// The log, if there is one, which may be off.
    log: OnceLock<Arc<Log>>,
    /// It is on.
    is_logged: AtomicBool,
    /// The log cannot be written.
    log_has_failed: AtomicBool,
    /// The files of the log are synced each second.
    syncs_each_second: AtomicBool,
    /// By shard: its changes so far, some time ago.
    dirty: Box<[AtomicU64]>,
    /// What is known of saves.
    saves: Facts<Saves>,
    /// What is known of rewriting the log.
    rewrites: Facts<Rewrites>,
    /// What is known of backups.
    pub(crate) backups: Facts<Backups>,
    /// What is known of those on their way to an object store.
    pub(crate) uploads: Facts<Uploads>,
    /// The process was asked to end.
    stop_wanted: AtomicBool,
    /// The thread of the last save or rewriting.
    thread: Facts<Option<Helper>>,
    wakers: OnceLock<Vec<Waker>>,
    /// Why the process ends.
    failure: Facts<Option<String>>,
}

/// What was loaded, or is being loaded.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// Of the bytes of all files: what was read.
    pub(crate) progress: Arc<Progress>,
    /// Keys that were kept, and that were dead.
    pub(crate) keys: AtomicU64,
    pub(crate) dead_keys: AtomicU64,
    /// Keys without elements, which were left out.
    pub(crate) empty_keys: AtomicU64,
    /// Rows of tables in the file.
    pub(crate) rows: AtomicU64,
    /// Where shards count the rows of each table, as long as they load.
    pub(crate) counters: SharedCounters,
    /// What the first shard that was done has of schemas.
    pub(crate) catalogs: Facts<Option<Vec<u8>>>,
    /// Values of unique indexes that the shards have which are done.
    pub(crate) unique_values: Facts<Vec<Arc<Vec<Values>>>>,
    /// Records of the log.
    pub(crate) records: AtomicU64,
    /// The libraries that the logs have: those of the last generation and change.
    pub(crate) libraries: Facts<Option<OrderedLibraries>>,
    /// When it began.
    pub(crate) begun: Facts<(Monotonic, UnixMillis)>,
}

/// Generation and change of libraries, and their sources.
pub(crate) type OrderedLibraries = ((u64, u64), Vec<Vec<u8>>);

/// What is known of saves.
#[derive(Clone, Debug)]
pub(crate) struct Saves {
    /// The save under way: when it began, and whether a client waits for it.
    pub(crate) under_way: Option<Begun>,
    /// Saves that have ended, one way or the other.
    pub(crate) ended: u64,
    /// Those that have succeeded.
    pub(crate) succeeded: u64,
    /// When the last one succeeded, or the process began.
    pub(crate) saved_at: UnixMillis,
    /// When the last one that failed has ended.
    pub(crate) failed_at: Option<Monotonic>,
    /// What came of the last one.
    pub(crate) last: Result<(), String>,
    /// How long the last one in the background took.
    pub(crate) last_seconds: Option<u64>,
    /// By shard: changes that were saved, or need not be.
    pub(crate) saved_dirty: Vec<u64>,
    /// One is to begin as soon as possible.
    pub(crate) is_scheduled: bool,
    /// Keys of the file that is being written, of a save or of a log that is rewritten, and how many are there.
    pub(crate) keys: u64,
    pub(crate) keys_written: u64,
}

/// A save under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun {
    pub(crate) at: Monotonic,
    pub(crate) is_in_background: bool,
}

impl Persistence {
    /// Creates what is known at the start of the process.
    #[must_use]
    pub fn new(shard_count: u16, now: UnixMillis) -> Self {
        Self {
            loading: AtomicUsize::new(0),
            loaded: Loaded::default(),
            has_failed: AtomicBool::new(false),
            log: OnceLock::new(),
            is_logged: AtomicBool::new(false),
            log_has_failed: AtomicBool::new(false),
            syncs_each_second: AtomicBool::new(false),
            dirty: (0..shard_count).map(|_| AtomicU64::new(0)).collect(),
            saves: Facts::new(Saves {
                under_way: None,
                ended: 0,
                succeeded: 0,
                saved_at: now,
                failed_at: None,
                last: Ok(()),
                last_seconds: None,
                saved_dirty: vec![0; usize::from(shard_count)],
                is_scheduled: false,
                keys: 0,
                keys_written: 0,
            }),
            rewrites: Facts::default(),
            backups: Facts::default(),
            uploads: Facts::default(),
            stop_wanted: AtomicBool::new(false),
            thread: Facts::new(None),
            wakers: OnceLock::new(),
            failure: Facts::new(None),
        }
    }

    /// Says how cores are woken. Once.
    pub fn set_wakers(&self, wakers: Vec<Waker>) {
        self.wakers.get_or_init(|| wakers);
    }

    /// Wakes all cores.
    pub(crate) fn wake_all(&self) {
        for waker in self.wakers.get().into_iter().flatten() {
            waker.wake();
        }
    }

    /// Wakes one core.
    pub(crate) fn wake(&self, shard: ShardId) {
        let wakers = self.wakers.get();
        if let Some(waker) = wakers.and_then(|wakers| wakers.get(shard.index())) {
            waker.wake();
        }
    }

    /// Returns whether commands have to ask [`Persistence::refusal`].
    #[inline]
    #[must_use]
    pub fn is_attentive(&self) -> bool {
        self.is_loading()
            || self.has_failed.load(Ordering::Relaxed)
            || self.log_has_failed.load(Ordering::Relaxed)
    }

    /// Returns whether data is being loaded.
    #[inline]
    #[must_use]
    pub fn is_loading(&self) -> bool {
        self.loading.load(Ordering::Acquire) > 0
    }

    /// Returns the error of a command that may not run now.
    #[must_use]
    pub fn refusal(&self, flags: Flags, config: &Config) -> Option<&'static str> {
        if self.is_loading() && !flags.has(Flags::LOADING) {
            return Some(LOADING);
        }
        if !flags.has(Flags::WRITE) && !flags.has(Flags::NEEDS_DISK) {
            return None;
        }
        if self.log_has_failed.load(Ordering::Relaxed) {
            return self.log().and_then(|log| log.refusal());
        }
        let settings = config.settings();
        let is_refused = self.has_failed.load(Ordering::Relaxed)
            && settings.stops_writes_unsaved
            && !settings.save_points.is_empty();
        is_refused.then_some(UNSAVED)
    }

    /// Asks for the end of the process. Returns whether that was asked for before.
    #[must_use]
    pub fn want_stop(&self) -> bool {
        self.stop_wanted.swap(true, Ordering::Relaxed)
    }

    /// Keeps the thread of a save, or of a rewriting of the log, to wait for it at the end.
    pub(crate) fn keep_thread(&self, thread: Helper) {
        self.thread.with(|last| *last = Some(thread));
    }

    /// Waits for the thread of the last save, which gives up when the cores are gone. For the end of the
    /// process, so that no half of a file stays behind.
    pub fn join(&self) {
        if let Some(thread) = self.thread.with(Option::take) {
            thread.join();
        }
    }

    /// Returns why the process ends, if it does so because of a file.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.failure.with(|failure| failure.clone())
    }

    /// Sets the log, which is off. Once.
    pub(crate) fn keep_log(&self, log: Arc<Log>) {
        self.log.get_or_init(|| log);
    }

    /// Says whether the log is on.
    pub(crate) fn set_logged(&self, is_logged: bool) {
        self.is_logged.store(is_logged, Ordering::Release);
    }

    /// Returns the log, if it is on (`appendonly yes`).
    #[must_use]
    pub fn log(&self) -> Option<&Arc<Log>> {
        let is_logged = self.is_logged.load(Ordering::Acquire);
        self.log.get().filter(|_| is_logged)
    }

    /// Returns the log, on or off, if the process has entered its directory.
    pub(crate) fn opened_log(&self) -> Option<&Arc<Log>> {
        self.log.get()
    }

    /// Returns whether the files of the log are synced each second.
    #[must_use]
    pub fn syncs_each_second(&self) -> bool {
        self.syncs_each_second.load(Ordering::Relaxed)
    }

    /// Notes whether the log can be written.
    pub(crate) fn set_log_failed(&self, has_failed: bool) {
        self.log_has_failed.store(has_failed, Ordering::Relaxed);
    }

    /// Notes whether the last save has failed.
    pub(crate) fn set_failed(&self, has_failed: bool) {
        self.has_failed.store(has_failed, Ordering::Relaxed);
    }

    /// Looks at what is known of saves, or changes it.
    pub(crate) fn saves<R>(&self, work: impl FnOnce(&mut Saves) -> R) -> R {
        self.saves.with(work)
    }

    /// Looks at what is known of rewriting the log, or changes it.
    pub(crate) fn rewrites<R>(&self, work: impl FnOnce(&mut Rewrites) -> R) -> R {
        self.rewrites.with(work)
    }

    /// Returns whether the log is being rewritten.
    pub(crate) fn is_rewriting(&self) -> bool {
        self.rewrites(|rewrites| rewrites.under_way.is_some())
    }

    /// Returns whether the log is not to be synced now, as the disk has enough to do
    /// (`no-appendfsync-on-rewrite`).
    pub(crate) fn puts_off_syncs(&self, settings: &Settings) -> bool {
        settings.puts_off_syncs
            && (self.is_rewriting() || self.saves(|saves| saves.under_way.is_some()))
    }

    /// Returns the changes of all shards that were not saved, as far as is known here.
    pub(crate) fn unsaved_changes(&self) -> u64 {
        let dirty: u64 = self.dirty.iter().map(|it| it.load(Ordering::Relaxed)).sum();
        dirty.saturating_sub(self.saved_changes())
    }

    /// Returns how many of the changes so far were saved.
    pub(crate) fn saved_changes(&self) -> u64 {
        self.saves(|saves| saves.saved_dirty.iter().sum())
    }
}

/// Does what a turn has to do for saving and loading. Returns whether there was anything.
pub(crate) fn step(core: &mut Core) -> bool {
    let mut is_busy = rewrite::step(core);
    if core.inbox.is_some() {
        is_busy |= load::step(core);
    }
    if core.engine.me == ShardId(0)
        && core
            .engine
            .shared
            .persistence
            .stop_wanted
            .load(Ordering::Relaxed)
    {
        is_busy |= points::stop(core);
    }
    is_busy
}

/// Does what housekeeping has to do for saving.
pub(crate) fn review(core: &mut Core) {
    let dirty = core.engine.host.shard.stats().dirty;
    let persistence = &core.engine.shared.persistence;
    persistence.dirty[core.engine.me.index()].store(dirty, Ordering::Relaxed);
    log::flush(core);
    if core.engine.me == ShardId(0) {
        let settings = core.engine.config.settings();
        let persistence = &core.engine.shared.persistence;
        let syncs = match settings.log_sync {
            SyncPolicy::EverySecond => !persistence.puts_off_syncs(settings),
            // What was put off, of cores that write nothing more.
            SyncPolicy::Always => settings.puts_off_syncs && !persistence.puts_off_syncs(settings),
            SyncPolicy::Never => false,
        };
        persistence
            .syncs_each_second
            .store(syncs, Ordering::Relaxed);
        rewrite::review(core);
        // Before save points, which may be due all the time.
        backup::review(core);
        points::review(core);
    }
}

#[cfg(test)]
mod tests;
