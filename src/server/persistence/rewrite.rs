//! Rewriting the log: a base of all data takes the place of what the logs have told so far.
//!
//! ```text
//!   thread:     files of the next generation -> manifest names it too
//!   core 0:     transaction that claims all shards -> on each: snapshot begins, effects are cut
//!   each core:  what was told before the cut -> its old file; from then on the next one
//!   thread:     pieces -> base -> manifest: base and next generation only -> old files go
//! ```
//!
//! Invariants
//! - What the manifest names is the state, at every moment: first the old base, the old generations and the next
//!   one, then the new base and the next one. It is replaced whole, and files go only when it does not name them.
//! - A core writes to the next file only when all it has told before the cut is in the old one, and on the disk.
//! - Whatever fails leaves the log as it was, but for one more generation in it.
//! - Saves and rewritings follow each other: a shard has one snapshot at a time.
//!
//! Libraries of functions are of all cores and not of the cut: each core tells them anew when it goes over, so that
//! what another one has told before its own cut does not count as later.
//!
//! Not here: the snapshot and its file ([`super::save`]), the form of the files (crate `storage`).

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, TryRecvError, channel};
use std::time::Duration;

use base::cast::u64_from;
use base::clock::Monotonic;
use base::ids::ShardId;
use runtime::log_file::{self, LogFile};
use storage::log::manifest::{self, Generation, Manifest};
use storage::log::record::Head;
use types::effect;

use super::log::{CoreLog, Failure, Log, give_up};
use super::save::{self, Cutting, Intake, Plan, Written};
use crate::config::settings::SyncPolicy;
use crate::core_loop::Core;
use crate::engine::{Engine, Shared};

/// So many rewritings may fail before the next ones wait.
const FAILURES_FREE: u32 = 3;

/// The longest such wait, in minutes.
const WAIT_MINUTES_MAX: u64 = 60;

/// How often the thread looks whether the cores are still there.
const LOOK_PERIOD: Duration = Duration::from_millis(100);

/// What is known of rewriting the log.
#[derive(Clone, Debug)]
pub(crate) struct Rewrites {
    /// When the one under way began.
    pub(crate) under_way: Option<Monotonic>,
    /// One is to begin as soon as possible.
    pub(crate) is_scheduled: bool,
    /// Those that have begun.
    pub(crate) begun: u64,
    /// Those that have failed since the last that succeeded.
    pub(crate) failures: u32,
    /// When the last of them ended.
    pub(crate) failed_at: Option<Monotonic>,
    /// What came of the last one.
    pub(crate) last: Result<(), String>,
    /// How long it took.
    pub(crate) last_seconds: Option<u64>,
}

impl Default for Rewrites {
    fn default() -> Self {
        Self {
            under_way: None,
            is_scheduled: false,
            begun: 0,
            failures: 0,
            failed_at: None,
            last: Ok(()),
            last_seconds: None,
        }
    }
}

impl Rewrites {
    /// Returns whether the server, on its own, has to wait after those that have failed.
    fn has_to_wait(&self, now: Monotonic) -> bool {
        let Some(failed_at) = self.failed_at else {
            return false;
        };
        let Some(doublings) = self.failures.checked_sub(FAILURES_FREE) else {
            return false;
        };
        let minutes = (1_u64 << doublings.min(6)).min(WAIT_MINUTES_MAX);
        now.nanos_since(failed_at) < minutes * 60_000_000_000
    }
}

/// What the manifest says, and the generation that it names already though nobody may write it yet.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) manifest: Manifest,
    pub(super) next_number: u64,
    /// Bytes of the base.
    pub(super) base_bytes: u64,
    /// Bytes of the generations that nobody writes any more.
    pub(super) before_bytes: u64,
    /// Bytes of the whole when it was last rewritten.
    pub(super) rewritten_bytes: u64,
    pub(super) next: Option<Next>,
}

/// The generation that the cores go over to.
#[derive(Debug)]
pub(super) struct Next {
    generation: Generation,
    files: Vec<LogFile>,
    /// Each core that has gone over says how many bytes its old file has.
    switched: Sender<u64>,
}

/// A rewriting whose files are being prepared.
#[derive(Debug)]
pub(crate) struct Pending {
    prepared: Receiver<()>,
    program: Cutting,
}

/// What becomes of the wish for a rewriting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// It has begun.
    Begun,
    /// It begins when the save under way has ended.
    Scheduled,
    /// One is under way.
    UnderWay,
}

/// Begins to rewrite the log; on core 0.
pub(crate) fn begin(core: &mut Core, log: &Arc<Log>) -> Wanted {
    let shared = Arc::clone(&core.engine.shared);
    let persistence = &shared.persistence;
    if persistence.is_rewriting() {
        return Wanted::UnderWay;
    }
    if persistence.saves(|saves| saves.under_way.is_some()) {
        persistence.rewrites(|rewrites| {
            rewrites.is_scheduled = true;
            rewrites.failures = 0;
        });
        return Wanted::Scheduled;
    }
    let clock = core.engine.clock;
    persistence.rewrites(|rewrites| {
        rewrites.under_way = Some(clock);
        rewrites.is_scheduled = false;
        rewrites.begun += 1;
    });
    persistence.saves(|saves| (saves.keys, saves.keys_written) = (0, 0));
    let number = log.chain.with(|chain| {
        chain.next_number += 1;
        chain.next_number - 1
    });
    let name = manifest::base_name(number);
    let (program, intake) = save::cutting(core, true);
    let (ready, prepared) = std::sync::mpsc::sync_channel(1);
    let work = Work {
        plan: Plan::new(core, log.directory.join(&name)),
        name,
        generation: Generation {
            number,
            shards: core.engine.map.shard_count(),
        },
        intake,
        ready,
        log: Arc::clone(log),
        keeps_old: core.engine.config.settings().keeps_old_logs,
        shared: Arc::clone(&shared),
    };
    tracing::info!(path = %work.plan.path.display(), "rewriting the log begins");
    match runtime::helper::start("rewrite", move || work.run()) {
        Ok(thread) => {
            core.rewriting = Some(Box::new(Pending { prepared, program }));
            persistence.keep_thread(thread);
        }
        Err(error) => end(&shared, Err(format!("start a thread: {error}"))),
    }
    Wanted::Begun
}

/// Goes on with a rewriting when its files are prepared; on core 0. Returns whether it did.
pub(super) fn step(core: &mut Core) -> bool {
    let Some(pending) = &core.rewriting else {
        return false;
    };
    match pending.prepared.try_recv() {
        Err(TryRecvError::Empty) => false,
        Err(TryRecvError::Disconnected) => {
            core.rewriting = None;
            false
        }
        Ok(()) => {
            if let Some(pending) = core.rewriting.take() {
                save::begin_cut(core, pending.program);
            }
            true
        }
    }
}

/// Begins a rewriting if one is due; on core 0.
pub(super) fn review(core: &mut Core) {
    let persistence = &core.engine.shared.persistence;
    let Some(log) = persistence.log() else { return };
    if persistence.is_loading() || persistence.saves(|saves| saves.under_way.is_some()) {
        return;
    }
    let clock = core.engine.clock;
    let (may_begin, is_scheduled) = persistence.rewrites(|rewrites| {
        let may_begin = rewrites.under_way.is_none() && !rewrites.has_to_wait(clock);
        (may_begin, rewrites.is_scheduled)
    });
    if !may_begin {
        return;
    }
    if !is_scheduled {
        let settings = core.engine.config.settings();
        let (bytes, rewritten) = log.sizes();
        if !has_grown(bytes, rewritten, settings) {
            return;
        }
        tracing::info!(bytes, rewritten, "the log has grown");
    }
    let log = Arc::clone(log);
    begin(core, &log);
}

/// Returns whether a log of so many bytes is rewritten by itself.
fn has_grown(bytes: u64, rewritten: u64, settings: &crate::config::settings::Settings) -> bool {
    let percent = u128::from(settings.log_growth_percent);
    let limit = u128::from(rewritten.max(1)) * (100 + percent);
    percent > 0 && bytes > settings.log_bytes_min && u128::from(bytes) * 100 >= limit
}

/// Goes over to the file of the next generation, as far as the disk takes what belongs into the old one. Returns
/// whether the core may tell more: what comes from now on belongs into the next one.
pub(super) fn turn_over(engine: &mut Engine, log: &mut CoreLog) -> bool {
    if let Some(effects) = engine.host.shard.take_effects_before_cut() {
        log.add_record(engine.now, &effects);
        log.is_turning_over = true;
    }
    let is_always = engine.config.settings().log_sync == SyncPolicy::Always;
    let (shared, me) = (&engine.shared, engine.me.index());
    if !log.records.is_empty() {
        log.write(shared, me, is_always);
        if !log.records.is_empty() {
            return false;
        }
    }
    let next = log.log.chain.with(|chain| {
        let next = chain.next.as_ref()?;
        let file = next.files.get(me)?.clone();
        Some((file, next.generation, next.switched.clone()))
    });
    let Some((file, generation, switched)) = next else {
        log.is_turning_over = false;
        return true;
    };
    // After a loss of power the next file may have its bytes though the old one has not, unless they were synced.
    if !is_always && let Err(error) = log.file.sync() {
        tracing::error!(%error, "sync the log; writes are refused until the server is started again");
        log.log.set_failure(
            shared,
            engine.map.shards().count(),
            Some(Failure::of(&error)),
        );
    }
    let head = Head {
        shard: engine.me.0,
        shards: generation.shards,
        generation: generation.number,
        first: log.next,
    };
    let head = head.bytes();
    if let Err(error) = file.append(&head) {
        tracing::error!(%error, "begin a file of the log; writes are refused until that works");
        if is_always || file.cut(0).is_err() {
            give_up("the log cannot be written");
        }
        log.log.set_failure(shared, me, Some(Failure::of(&error)));
        return false;
    }
    let old_bytes = log.written_bytes;
    log.log
        .bytes
        .fetch_add(u64_from(head.len()), Ordering::Relaxed);
    log.written_bytes = u64_from(head.len());
    log.log.set_file(me, &file);
    log.file = file;
    log.is_turning_over = false;
    // The thread ends before its time only with the process.
    switched.send(old_bytes).ok();
    let (codes, number) = shared.scripts.libraries();
    if number > 0 {
        let mut effects = Vec::new();
        effect::libraries(&mut effects, number, &codes);
        log.add_record(engine.now, &effects);
    }
    true
}

/// What the thread does.
struct Work {
    plan: Plan,
    /// The name of the base.
    name: String,
    generation: Generation,
    intake: Intake,
    /// To core 0: the files are prepared.
    ready: SyncSender<()>,
    log: Arc<Log>,
    /// Old files stay.
    keeps_old: bool,
    shared: Arc<Shared>,
}

/// A rewriting that is on the disk.
struct Rewritten {
    written: Written,
    /// Bytes of the logs that count.
    log_bytes: u64,
}

impl Work {
    fn run(mut self) {
        let outcome = match self.prepare() {
            Ok(switched) => self.write(&switched),
            Err(error) => {
                self.remove_new();
                Err(error)
            }
        };
        self.log.chain.with(|chain| chain.next = None);
        let outcome = outcome.map(|rewritten| {
            tracing::info!(
                path = %self.plan.path.display(),
                bytes = rewritten.written.bytes,
                keys = rewritten.written.keys,
                log_bytes = rewritten.log_bytes,
                "the log is rewritten"
            );
        });
        end(&self.shared, outcome);
    }

    /// Makes the files of the next generation and names it in the manifest.
    fn prepare(&self) -> Result<Receiver<u64>, String> {
        let directory = &self.log.directory;
        let failed = |error| format!("begin a generation in {}: {error}", directory.display());
        let path = |shard| manifest::log_path(directory, self.generation.number, shard);
        let files = (0..self.generation.shards).map(|shard| LogFile::create(&path(shard)));
        let files = files.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        log_file::sync_directory(directory).map_err(failed)?;
        // The cores do so again when they go over, and then have little to wait for.
        self.log.sync(&self.shared);
        let mut manifest = self.log.chain.with(|chain| chain.manifest.clone());
        manifest.generations.push(self.generation);
        manifest.store(directory).map_err(failed)?;
        let (switched, receiver) = channel();
        self.log.chain.with(|chain| {
            chain.manifest = manifest;
            chain.next = Some(Next {
                generation: self.generation,
                files,
                switched,
            });
        });
        Ok(receiver)
    }

    /// Writes the base, and then what makes it count.
    fn write(&mut self, switched: &Receiver<u64>) -> Result<Rewritten, String> {
        let gone = || "the server has ended".to_owned();
        self.ready.send(()).map_err(|_gone| gone())?;
        self.shared.persistence.wake(ShardId(0));
        let written = save::write_noted(&self.plan, &mut self.intake, &self.shared);
        // The next snapshot may begin only when no shard is in the middle of this one.
        self.intake.drain();
        let mut old_bytes = 0;
        for _ in 0..self.generation.shards {
            old_bytes += self.wait_for(switched).ok_or_else(gone)?;
        }
        let finished = written.and_then(|written| self.finish(written, old_bytes));
        if finished.is_err() {
            self.log.chain.with(|chain| chain.before_bytes += old_bytes);
        }
        finished
    }

    /// Waits until a core has gone over; nothing if the process ends before.
    fn wait_for(&self, switched: &Receiver<u64>) -> Option<u64> {
        loop {
            match switched.recv_timeout(LOOK_PERIOD) {
                Ok(bytes) => return Some(bytes),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {
                    if self.shared.stopping.load(Ordering::Relaxed) {
                        return switched.try_recv().ok();
                    }
                }
            }
        }
    }

    /// Puts the base and the next generation in the place of all before.
    fn finish(&self, written: Written, old_bytes: u64) -> Result<Rewritten, String> {
        let directory = &self.log.directory;
        // Who has gone over has written the head of its file, without which the file would count as empty.
        let files = self.log.chain.with(|chain| chain.next.take());
        for file in files.iter().flat_map(|next| &next.files) {
            let synced = file.sync();
            synced.map_err(|error| format!("sync the logs in {}: {error}", directory.display()))?;
        }
        let manifest = Manifest {
            base: Some(self.name.clone()),
            generations: vec![self.generation],
        };
        manifest
            .store(directory)
            .map_err(|error| format!("write the manifest in {}: {error}", directory.display()))?;
        let log_bytes = self.log.chain.with(|chain| {
            let gone = chain.before_bytes + old_bytes;
            let before = self.log.bytes.fetch_sub(gone, Ordering::Relaxed);
            let log_bytes = before.saturating_sub(gone);
            chain.manifest = manifest.clone();
            chain.base_bytes = written.bytes;
            chain.before_bytes = 0;
            chain.rewritten_bytes = written.bytes + log_bytes;
            log_bytes
        });
        if !self.keeps_old {
            remove_left_over(directory, &manifest);
        }
        Ok(Rewritten { written, log_bytes })
    }

    /// Removes the files of a generation that nobody has written.
    fn remove_new(&self) {
        let manifest = self.log.chain.with(|chain| chain.manifest.clone());
        remove_left_over(&self.log.directory, &manifest);
    }
}

/// Removes the files of a log that its manifest does not name.
pub(super) fn remove_left_over(directory: &Path, manifest: &Manifest) {
    let names = match log_file::names_in(directory) {
        Ok(names) => names,
        Err(error) => {
            tracing::warn!(path = %directory.display(), %error, "look for files that are left over");
            return;
        }
    };
    for name in names.iter().filter(|name| manifest.is_left_over(name)) {
        let path = directory.join(name);
        match runtime::file::remove(&path) {
            Ok(()) => {
                tracing::info!(path = %path.display(), "removed, as the log does not need it");
            }
            Err(error) => tracing::warn!(path = %path.display(), %error, "remove an old file"),
        }
    }
}

/// Notes how a rewriting has ended.
fn end(shared: &Shared, outcome: Result<(), String>) {
    let now = runtime::clock::monotonic();
    if let Err(error) = &outcome {
        tracing::error!(
            error,
            "rewriting the log failed; it goes on as it was. Make room in its directory"
        );
    }
    let persistence = &shared.persistence;
    persistence.rewrites(|rewrites| {
        let begun = rewrites.under_way.take();
        rewrites.last_seconds = begun.map(|begun| now.nanos_since(begun) / 1_000_000_000);
        if outcome.is_ok() {
            (rewrites.failures, rewrites.failed_at) = (0, None);
        } else {
            rewrites.failures = rewrites.failures.saturating_add(1);
            rewrites.failed_at = Some(now);
        }
        rewrites.last = outcome;
    });
    persistence.wake_all();
}
