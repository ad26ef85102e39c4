//! Loading: a thread finds the keys of a file, the cores make values of them.
//!
//! ```text
//!   thread: bytes -> parts -> batches of keys, by the shard that owns them -> inbox of each core
//!   core, a batch or some per turn: bytes of a value -> value -> its shard
//! ```
//!
//! Finding where values end is quick, making them is not; so all cores work. The inboxes are short: the
//! thread waits where a core is behind.
//!
//! A log that has to be made first, of Redis's files or for another number of shards, is made by the same thread; clients
//! are told that data is loaded.
//!
//! Whatever is wrong with the file ends the process, with the byte of the file and what can be done. The file
//! stays as it is.
//!
//! Not here: tables (`load_tables`), when a file is loaded (`startup`, `control::persistence`).

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::TryRecvError;
use std::sync::{Arc, OnceLock};

use base::cast::{u64_from, usize_from};
use base::clock::UnixMillis;
use base::ids::{DbIndex, ShardId};
use coordinator::route::SlotMap;
use runtime::channel::{Receiver, Sender, bounded};
use runtime::file::ReadFile;
use scripting::functions::RestorePolicy;
use shard::keyspace::Db;
use shard::values::Recency;
use shard::{Key, Shard};
use storage::rdb_file::{Entry, Fault, Part, RdbError, Reader, Use};
use types::rdb::Surroundings;

use crate::config::Config;
use crate::config::settings::Settings;
use crate::core_loop::Core;
use crate::engine::Shared;

use super::load_tables::{self, Share, Sorting};
use super::log::{FoundLog, Log};
use super::log_load::{self, Records};
use super::log_parts::{self, LooseEnd};

/// Bytes that are read from the file at a time.
pub(super) const READ_BYTES: usize = 1 << 20;
/// A batch is sent when it has so many bytes, or so many keys.
const BATCH_BYTES: usize = 256 * 1024;
const BATCH_KEYS: usize = 1024;
/// Keys whose parts of the table are loaded at the same time.
const KEYS_AHEAD: usize = 16;
/// A file has at most a key in so many of its bytes, as far as room is made before they are read.
const BYTES_PER_KEY_MIN: u64 = 16;
/// Batches that wait for a core.
pub(super) const BATCHES_MAX: usize = 4;
/// How long a turn may go on with loading, in nanoseconds. Nobody is served meanwhile.
const NANOS_PER_TURN: u64 = 1_000_000;
/// Time between two lines of the log.
const PROGRESS_NANOS: u64 = 2_000_000_000;

/// A file to be loaded.
#[derive(Debug)]
pub(crate) struct RdbFile {
    path: PathBuf,
    file: ReadFile,
}

/// Where data is loaded from.
#[derive(Debug)]
pub(crate) enum Source {
    /// A file, or nothing, and the log behind it if there is one.
    File(Option<RdbFile>),
    /// A log that has to be made first.
    ToBeMade(FoundLog),
}

/// What a file has for one core.
#[derive(Debug)]
pub(crate) struct Inbox {
    receiver: Receiver<Loaded>,
    origin: Arc<OnceLock<Origin>>,
}

/// Where it comes from: known before anything comes, but that something failed.
#[derive(Clone, Debug, Default)]
struct Origin {
    path: Arc<PathBuf>,
    /// The log that goes on from the file.
    log: Option<Arc<Log>>,
}

impl Origin {
    fn of(file: Option<&RdbFile>, log: Option<Arc<Log>>) -> Self {
        let path = file.map_or_else(|| PathBuf::from("no file"), |file| file.path.clone());
        Self {
            path: Arc::new(path),
            log,
        }
    }
}

/// Something on its way from the thread to a core.
enum Loaded {
    Keys(Batch),
    Tables(Share),
    /// Records of the log of this core's shard.
    Records(Records),
    /// The core gets about so many keys of a database.
    Expected(DbIndex, usize),
    /// All libraries of functions; for core 0 only.
    Libraries(Vec<Vec<u8>>),
    /// There is no more; with a log, the number of its next record.
    End(u64),
    Failed(String),
}

/// Keys of one shard, packed into few allocations.
#[derive(Default)]
pub(super) struct Batch {
    /// Key and object of each, one after the other.
    bytes: Vec<u8>,
    keys: Vec<Found>,
}

/// A key in a batch.
struct Found {
    key_len: usize,
    object_len: usize,
    offset: u64,
    database: u64,
    expire_at: Option<UnixMillis>,
    last_use: Option<Use>,
    kind: u8,
    version: u16,
}

impl Batch {
    pub(super) fn push(&mut self, entry: &Entry<'_>) {
        self.bytes.extend_from_slice(&entry.key);
        self.bytes.extend_from_slice(entry.object);
        self.keys.push(Found {
            key_len: entry.key.len(),
            object_len: entry.object.len(),
            offset: entry.offset,
            database: entry.database,
            expire_at: entry.expire_at,
            last_use: entry.last_use,
            kind: entry.kind,
            version: entry.version,
        });
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= BATCH_BYTES || self.keys.len() >= BATCH_KEYS
    }

    fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let mut left = self.bytes.as_slice();
        self.keys.iter().map(move |found| {
            let (key, rest) = left.split_at(found.key_len);
            let (object, rest) = rest.split_at(found.object_len);
            left = rest;
            Entry {
                offset: found.offset,
                database: found.database,
                key: Cow::Borrowed(key),
                expire_at: found.expire_at,
                last_use: found.last_use,
                kind: found.kind,
                object,
                version: found.version,
            }
        })
    }

    /// Puts the keys into a shard, but for those that are dead at `now`.
    ///
    /// # Errors
    ///
    /// [`RdbError`]; some of the keys may be there.
    pub(super) fn store(&self, shard: &mut Shard, now: UnixMillis) -> Result<Stored, RdbError> {
        let options = *shard.options();
        let surroundings = Surroundings {
            limits: &options.limits,
            hash_seed: options.hash_seed,
            now,
        };
        let mut stored = Stored::default();
        let mut entries = self.entries();
        let mut ahead: Vec<(Entry<'_>, DbIndex, u64)> = Vec::with_capacity(KEYS_AHEAD);
        loop {
            // The parts of the table where some keys go are loaded at the same time.
            for entry in entries.by_ref().take(KEYS_AHEAD) {
                let db = u16::try_from(entry.database).ok();
                let db = db.filter(|db| *db < options.databases);
                let db = DbIndex(db.ok_or(RdbError {
                    offset: entry.offset,
                    fault: Fault::Database(entry.database),
                })?);
                let hash = shard.key(&entry.key).hash;
                shard.prefetch_insertion(db, hash);
                ahead.push((entry, db, hash));
            }
            if ahead.is_empty() {
                return Ok(stored);
            }
            for (entry, db, hash) in ahead.drain(..) {
                let bytes = &*entry.key;
                let key = Key { bytes, hash };
                store_one(&entry, shard.db(db), key, &surroundings, &mut stored)?;
            }
        }
    }
}

/// Puts a key into its database, unless it is dead or without elements.
fn store_one(
    entry: &Entry<'_>,
    mut db: Db<'_>,
    key: Key<'_>,
    around: &Surroundings<'_>,
    stored: &mut Stored,
) -> Result<(), RdbError> {
    let recency = match entry.last_use {
        None => Recency::Now,
        Some(Use::Idle(seconds)) => Recency::Idle(seconds),
        Some(Use::Frequency(counter)) => Recency::Frequency(counter),
    };
    let is_dead = entry.expire_at.is_some_and(|at| at < around.now);
    let is_new = if let Some(string) = entry.string()? {
        is_dead || db.load_string(key, string, entry.expire_at, recency)
    } else {
        let value = entry.read(around)?;
        if !is_dead && value.is_void() {
            stored.empty_keys += 1;
            return Ok(());
        }
        is_dead || db.load(key, value, entry.expire_at, recency)
    };
    if !is_new {
        return Err(RdbError {
            offset: entry.offset,
            fault: Fault::twice(&entry.key),
        });
    }
    *(if is_dead {
        &mut stored.dead_keys
    } else {
        &mut stored.keys
    }) += 1;
    Ok(())
}

/// Opens the file that the settings name; nothing if there is none.
///
/// # Errors
///
/// One line with what is wrong and what can be done.
pub(crate) fn open(settings: &Settings) -> Result<Option<RdbFile>, String> {
    let path = settings.data_dir.join(&settings.rdb_file);
    match ReadFile::open(&path) {
        Ok(file) => Ok(Some(RdbFile { path, file })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!(
            "open {}: {error}; make it readable, or choose another with --dir or --dbfilename",
            path.display()
        )),
    }
}

/// Opens the base of a log; nothing if it has none.
///
/// # Errors
///
/// One line with what is wrong and what can be done.
pub(crate) fn open_base(log: &Log) -> Result<Option<RdbFile>, String> {
    let Some(path) = log.base_path() else {
        return Ok(None);
    };
    let file = ReadFile::open(&path).map_err(|error| {
        format!(
            "open {}, which the log goes on from: {error}; put back a whole copy of the directory",
            path.display()
        )
    })?;
    Ok(Some(RdbFile { path, file }))
}

/// Begins to load a file: returns what each core has to take, in the order of their shards. From now on
/// commands are refused until all cores have taken all.
///
/// # Errors
///
/// If no thread can be started.
pub(crate) fn begin(
    shared: &Arc<Shared>,
    config: &Arc<Config>,
    source: Source,
) -> io::Result<Vec<Inbox>> {
    let shards = shared.shard_memory.len();
    let map = SlotMap::new(u16::try_from(shards).unwrap_or(1));
    let (senders, inboxes): (Vec<_>, Vec<_>) = (0..shards).map(|_| bounded(BATCHES_MAX)).unzip();
    let persistence = &shared.persistence;
    let loaded = &persistence.loaded;
    for count in [
        &loaded.keys,
        &loaded.dead_keys,
        &loaded.empty_keys,
        &loaded.rows,
    ] {
        count.store(0, Ordering::Relaxed);
    }
    loaded.progress.begin();
    let begun = (runtime::clock::monotonic(), runtime::clock::unix_millis());
    loaded.begun.with(|at| *at = begun);
    loaded.forget_tables();
    persistence.loading.store(shards, Ordering::Release);
    let origin = Arc::default();
    let sending = Sending {
        batches: (0..shards).map(|_| Batch::default()).collect(),
        shared: Arc::clone(shared),
        senders,
        map,
        known: Arc::clone(&origin),
        origin: match &source {
            Source::File(file) => Origin::of(file.as_ref(), persistence.log().cloned()),
            Source::ToBeMade(_) => Origin::default(),
        },
        config: Arc::clone(config),
        loose_end: LooseEnd::at_start(config.settings().loads_torn),
        tables: Sorting::new(loaded.counters.clone(), map, config.settings().databases),
    };
    drop(runtime::helper::start("load", move || {
        sending.run(source);
    })?);
    let inbox = |receiver| Inbox {
        receiver,
        origin: Arc::clone(&origin),
    };
    Ok(inboxes.into_iter().map(inbox).collect())
}

/// The thread that reads a file.
struct Sending {
    /// For the cores, once it is known.
    known: Arc<OnceLock<Origin>>,
    origin: Origin,
    config: Arc<Config>,
    shared: Arc<Shared>,
    map: SlotMap,
    senders: Vec<Sender<Loaded>>,
    batches: Vec<Batch>,
    loose_end: LooseEnd,
    tables: Sorting,
}

/// Why the thread stops.
enum Stopped {
    Rdb(RdbError),
    Io(io::Error),
    /// By a log.
    Log(log_load::Stopped),
    /// The log cannot be made.
    Unmade(String),
    /// The cores are gone: the process ends.
    Gone,
}

impl Sending {
    fn run(mut self, source: Source) {
        let text = match self.load(source) {
            Ok(()) | Err(Stopped::Gone | Stopped::Log(log_load::Stopped::Gone)) => return,
            Err(Stopped::Unmade(text) | Stopped::Log(log_load::Stopped::Failed(text))) => text,
            Err(Stopped::Rdb(error)) => refusal(&self.origin.path, &error),
            Err(Stopped::Io(error)) => format!("read {}: {error}", self.origin.path.display()),
        };
        // Any core will do; if none is there, the process ends anyway.
        self.send(ShardId(0), Loaded::Failed(text)).ok();
    }

    fn load(&mut self, source: Source) -> Result<(), Stopped> {
        let file = match source {
            Source::File(file) => file,
            Source::ToBeMade(found) => self.make(found).map_err(Stopped::Unmade)?,
        };
        self.known.get_or_init(|| self.origin.clone());
        let bytes = match &file {
            Some(file) => file.file.size_bytes().map_err(Stopped::Io)?,
            None => 0,
        };
        let loaded = &self.shared.persistence.loaded;
        // What was made of other files is read behind them.
        let log = self.origin.log.as_ref();
        loaded
            .progress
            .add_files(bytes + log.map_or(0, |log| log.bytes_before()));
        tracing::info!(path = %self.origin.path.display(), bytes, "loading begins");
        if let Some(file) = file {
            self.read(file.file, self.config.settings().has_rdb_checksum)?;
        }
        self.go_on()
    }

    /// Makes the log, which the cores write from then on. Returns its base.
    fn make(&mut self, found: FoundLog) -> Result<Option<RdbFile>, String> {
        let persistence = &self.shared.persistence;
        let log = Log::open(&self.config, found, &persistence.loaded.progress)?;
        self.shared.tx_ids.raise(log.first_transaction());
        persistence.keep_log(Arc::clone(&log));
        persistence.set_logged(true);
        let base = open_base(&log)?;
        self.origin = Origin::of(base.as_ref(), Some(log));
        Ok(base)
    }

    fn read(&mut self, mut file: ReadFile, is_checked: bool) -> Result<(), Stopped> {
        let mut reader = Reader::new(is_checked);
        let mut libraries = Vec::new();
        let mut told = runtime::clock::monotonic();
        loop {
            match reader.part().map_err(Stopped::Rdb)? {
                Some(Part::Entry(entry)) => {
                    let shard = self.map.shard_of_key(&entry.key);
                    let batch = &mut self.batches[shard.index()];
                    batch.push(&entry);
                    if batch.is_full() {
                        self.send_batch(shard)?;
                    }
                }
                Some(Part::Tables { offset, piece }) => {
                    let shares = self.tables.sort(offset, &piece).map_err(Stopped::Rdb)?;
                    for (shard, share) in shares {
                        self.send(shard, Loaded::Tables(share))?;
                    }
                }
                Some(Part::Library(code)) => libraries.push(code.into_owned()),
                Some(Part::Sizes { database, keys, .. }) => self.announce(database, keys)?,
                Some(Part::Version(_) | Part::About { .. }) => {}
                Some(Part::End) => break,
                None => {
                    let count = reader.feed_from(&mut file, READ_BYTES);
                    let count = count.map_err(Stopped::Io)?;
                    if count == 0 {
                        reader.end();
                    }
                    let loaded = &self.shared.persistence.loaded;
                    loaded.progress.count(u64_from(count));
                    let now = runtime::clock::monotonic();
                    if now.nanos_since(told) > PROGRESS_NANOS {
                        told = now;
                        self.tell_progress();
                    }
                }
            }
        }
        for shard in self.map.shards() {
            self.send_batch(shard)?;
        }
        self.send(ShardId(0), Loaded::Libraries(libraries))?;
        Ok(())
    }

    /// Ends the loading, or begins to replay the logs, on a thread for each.
    fn go_on(&self) -> Result<(), Stopped> {
        let Some(log) = &self.origin.log else {
            for shard in self.map.shards() {
                self.send(shard, Loaded::End(0))?;
            }
            return Ok(());
        };
        let left_out = log_parts::look_over(&log.directory, &log.before, self.loose_end);
        let left_out = Arc::new(left_out.map_err(Stopped::Log)?);
        for shard in self.map.shards() {
            let (log, shared) = (Arc::clone(log), Arc::clone(&self.shared));
            let loose_end = self.loose_end;
            let left_out = Arc::clone(&left_out);
            let sender = self.senders[shard.index()].clone();
            let started = runtime::helper::start("replay", move || {
                let send = |loaded| {
                    let sent = sender.send(loaded);
                    shared.persistence.wake(shard);
                    sent.map_err(|_gone| log_load::Stopped::Gone)
                };
                let (directory, manifest) = (&log.directory, &log.before);
                let take = |records| send(Loaded::Records(records));
                let progress = &shared.persistence.loaded.progress;
                let around = (&left_out, &**progress);
                let read = log_load::read(directory, manifest, shard.0, loose_end, around, take);
                let last = match read {
                    Ok(next) => Loaded::End(next),
                    Err(log_load::Stopped::Failed(text)) => Loaded::Failed(text),
                    Err(log_load::Stopped::Gone) => return,
                };
                // If the core is gone, the process ends anyway.
                send(last).ok();
            });
            drop(started.map_err(Stopped::Io)?);
        }
        Ok(())
    }

    /// Tells the cores how many keys a database has, as far as the file is long enough for them.
    fn announce(&self, database: u64, keys: u64) -> Result<(), Stopped> {
        let loaded = &self.shared.persistence.loaded;
        let keys = keys.min(loaded.progress.sizes().0 / BYTES_PER_KEY_MIN);
        let each = keys / u64_from(self.senders.len());
        let Ok(db) = u16::try_from(database) else {
            // Its first key says what is wrong.
            return Ok(());
        };
        for shard in self.map.shards() {
            self.send(shard, Loaded::Expected(DbIndex(db), usize_from(each)))?;
        }
        Ok(())
    }

    fn send_batch(&mut self, shard: ShardId) -> Result<(), Stopped> {
        let batch = std::mem::take(&mut self.batches[shard.index()]);
        self.send(shard, Loaded::Keys(batch))
    }

    /// Waits until the core has room.
    fn send(&self, shard: ShardId, loaded: Loaded) -> Result<(), Stopped> {
        let sent = self.senders[shard.index()].send(loaded);
        self.shared.persistence.wake(shard);
        sent.map_err(|_gone| Stopped::Gone)
    }

    fn tell_progress(&self) {
        let loaded = &self.shared.persistence.loaded;
        let percent = loaded.progress.percent();
        let keys = loaded.keys.load(Ordering::Relaxed);
        tracing::info!(path = %self.origin.path.display(), percent, keys, "loading");
    }
}

/// Returns what is said of a file that cannot be loaded.
pub(super) fn refusal(path: &Path, error: &RdbError) -> String {
    format!(
        "load {}: {error}; look at the file with `trestle-tools rdb-check`, put back a whole copy of it, or \
         move it away to start without data",
        path.display()
    )
}

/// Takes what the thread has sent. Returns whether there was anything.
pub(super) fn step(core: &mut Core) -> bool {
    let begun = runtime::clock::monotonic();
    let mut is_busy = false;
    loop {
        let Some(inbox) = &core.inbox else {
            return is_busy;
        };
        let loaded = match inbox.receiver.try_recv() {
            Ok(loaded) => loaded,
            Err(TryRecvError::Empty) => return is_busy,
            Err(TryRecvError::Disconnected) => {
                // It says why, but to another core.
                core.inbox = None;
                return is_busy;
            }
        };
        is_busy = true;
        let Origin { path, log } = inbox.origin.get().cloned().unwrap_or_default();
        match loaded {
            Loaded::Keys(batch) => {
                if let Err(error) = store(core, &batch, log.is_some()) {
                    fail(core, refusal(&path, &error));
                }
            }
            Loaded::Tables(share) => {
                let stored = share.store(core.engine.host.shard.tables_mut());
                let loaded = &core.engine.shared.persistence.loaded;
                match stored {
                    Ok(rows) => {
                        loaded.rows.fetch_add(rows, Ordering::Relaxed);
                    }
                    Err(error) => fail(core, refusal(&path, &error)),
                }
            }
            Loaded::Records(records) => {
                if let Some(log) = &log
                    && let Err(error) = records.apply(core, log)
                {
                    fail(core, error);
                }
            }
            Loaded::Expected(db, keys) => {
                let shard = &mut core.engine.host.shard;
                if db.0 < shard.options().databases {
                    shard.db(db).expect(keys);
                }
            }
            Loaded::Libraries(codes) => restore_libraries(core, &codes),
            Loaded::Failed(text) => fail(core, text),
            Loaded::End(next) => {
                core.inbox = None;
                let settled = load_tables::settle(core);
                let compared = || load_tables::compare_unique_values(core, &path, log.is_some());
                if let Err(error) = settled.and_then(|()| compared()) {
                    fail(core, error);
                    return true;
                }
                if let Some(log) = &log
                    && let Err(error) = log_load::end(core, log, next)
                {
                    fail(core, error);
                    return true;
                }
                restore_logged_libraries(core);
                end(core);
            }
        }
        if runtime::clock::monotonic().nanos_since(begun) > NANOS_PER_TURN {
            return is_busy;
        }
    }
}

/// Puts keys into the shard of a core.
///
/// With a log behind the file nothing is dead yet: the log may say that it lives longer.
fn store(core: &mut Core, batch: &Batch, has_log: bool) -> Result<(), RdbError> {
    let now = if has_log {
        UnixMillis(i64::MIN)
    } else {
        core.engine.now
    };
    let stored = batch.store(&mut core.engine.host.shard, now)?;
    let loaded = &core.engine.shared.persistence.loaded;
    loaded.keys.fetch_add(stored.keys, Ordering::Relaxed);
    loaded
        .dead_keys
        .fetch_add(stored.dead_keys, Ordering::Relaxed);
    loaded
        .empty_keys
        .fetch_add(stored.empty_keys, Ordering::Relaxed);
    Ok(())
}

/// What has become of the keys of a batch.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stored {
    pub(super) keys: u64,
    dead_keys: u64,
    empty_keys: u64,
}

/// Puts the libraries of the file in the place of those there are.
fn restore_libraries(core: &mut Core, codes: &[Vec<u8>]) {
    let scripts = std::rc::Rc::clone(&core.engine.scripts);
    let restored = scripts.change_libraries(|scripting| {
        let log = &mut crate::scripts::program::log;
        scripting.restore_libraries(codes, RestorePolicy::Flush, log)
    });
    if let Err(error) = restored {
        let error = String::from_utf8_lossy(&error.0).into_owned();
        fail(
            core,
            format!(
                "load the functions of the RDB file: {error}; remove that library where the file \
                     comes from, and save again"
            ),
        );
    }
}

/// Restores the libraries that the logs say, as far as they are read: the last core to do so knows all.
fn restore_logged_libraries(core: &mut Core) {
    let shared = Arc::clone(&core.engine.shared);
    shared.persistence.loaded.libraries.with(|last| {
        if let Some((_, codes)) = last {
            restore_libraries(core, codes);
        }
    });
}

/// Notes that this core has taken all.
fn end(core: &Core) {
    let shared = &core.engine.shared;
    let persistence = &shared.persistence;
    let dirty = core.engine.host.shard.stats().dirty;
    persistence.saves(|saves| {
        if let Some(saved) = saves.saved_dirty.get_mut(core.engine.me.index()) {
            *saved = dirty;
        }
    });
    if persistence.loading.fetch_sub(1, Ordering::AcqRel) > 1 {
        return;
    }
    let loaded = &persistence.loaded;
    let (begun, _) = loaded.begun.with(|begun| *begun);
    let nanos = runtime::clock::monotonic().nanos_since(begun);
    tracing::info!(
        keys = loaded.keys.load(Ordering::Relaxed),
        dead_keys = loaded.dead_keys.load(Ordering::Relaxed),
        empty_keys = loaded.empty_keys.load(Ordering::Relaxed),
        rows = loaded.rows.load(Ordering::Relaxed),
        records = loaded.records.load(Ordering::Relaxed),
        milliseconds = nanos / 1_000_000,
        "loaded"
    );
    loaded.forget_tables();
    persistence.wake_all();
}

/// Ends the process: what was loaded is not all there is.
fn fail(core: &mut Core, text: String) {
    core.inbox = None;
    let shared = &core.engine.shared;
    tracing::error!("{text}");
    shared.persistence.failure.with(|failure| {
        failure.get_or_insert(text);
    });
    shared.stopping.store(true, Ordering::Relaxed);
    shared.persistence.wake_all();
}
