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

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, TryRecvError};
use std::time::Duration;

use base::cast::u64_from;
use base::clock::Monotonic;
use base::ids::ShardId;
use runtime::channel::{Receiver, Sender, bounded};
use runtime::faults::{self, Fault};
use runtime::log_file::{self, LogFile};
use shard::Shard;
use shard::records::LARGE_BYTES;
use storage::log::manifest::{self, Generation, Manifest};
use storage::log::record::Head;
use types::effect;

use super::log::{self, Care, CoreLog, Failure, Log, give_up};
use super::pieces::Intake;
use super::save::{self, Cutting, Plan, Written};
use super::switch;
use crate::config::settings::{Settings, SyncPolicy};
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
    /// The cores write, or will from the next cut on.
    pub(super) is_on: bool,
    /// How often the log was switched on or off. What was begun before is not ended after.
    pub(super) switches: u64,
    /// The manifest says the state that the cores go on from. Not between switching on and the first base.
    pub(super) is_valid: bool,
    pub(super) manifest: Manifest,
    /// The last one could not be put in its place, or could and nobody knows: no file may go that it names.
    pub(super) is_manifest_unsure: bool,
    pub(super) next_number: u64,
    /// Bytes of the base.
    pub(super) base_bytes: u64,
    /// Bytes of the generations that nobody writes any more.
    pub(super) before_bytes: u64,
    /// Bytes of the whole when it was last rewritten.
    pub(super) rewritten_bytes: u64,
    pub(super) next: Option<NextFiles>,
}

/// The generation that the cores go over to.
#[derive(Debug)]
pub(super) struct NextFiles {
    generation: Generation,
    files: Vec<LogFile>,
    /// Each core that has gone over says how many bytes its old file has.
    switched: Sender<u64>,
}

/// Cuts the effects of shards, for a rewriting.
#[derive(Clone, Debug)]
pub(super) struct LogCut {
    log: Arc<Log>,
    switches: u64,
}

impl LogCut {
    /// Cuts those of a shard. One that has told nothing so far begins to.
    pub(super) fn cut(&self, shard: &mut Shard) {
        let is_wanted = self
            .log
            .chain
            .with(|chain| chain.is_on && chain.switches == self.switches);
        if is_wanted {
            if !shard.is_recording() {
                shard.record_changes(true, LARGE_BYTES);
            }
            shard.cut_effects();
        }
    }
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
    let (number, is_on, switches) = log.chain.with(|chain| {
        chain.next_number += 1;
        (chain.next_number - 1, chain.is_on, chain.switches)
    });
    let name = manifest::base_name(number);
    let cut = LogCut {
        log: Arc::clone(log),
        switches,
    };
    let (program, intake) = save::cutting(core, Some(cut));
    let (ready, prepared) = bounded(1);
    let work = Work {
        plan: Plan::new(core, log.directory.join(&name)),
        name,
        generation: is_on.then(|| Generation {
            number,
            shards: core.engine.map.shard_count(),
        }),
        switches,
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
        Err(error) => end(
            &shared,
            Err(Failed::World(format!("start a thread: {error}"))),
        ),
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
        let Some(log) = persistence.log() else { return };
        let settings = core.engine.config.settings();
        let (bytes, rewritten) = log.sizes();
        if !has_grown(bytes, rewritten, settings) {
            return;
        }
        tracing::info!(bytes, rewritten, "the log has grown");
    }
    if let Err(error) = switch::rewrite(core) {
        tracing::error!("{error}");
        let persistence = &core.engine.shared.persistence;
        persistence.rewrites(|rewrites| rewrites.is_scheduled = false);
    }
}

/// Returns whether a log of so many bytes is rewritten by itself.
fn has_grown(bytes: u64, rewritten: u64, settings: &Settings) -> bool {
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
    let care = Care::of(engine.config.settings(), &engine.shared);
    let (shared, me) = (&engine.shared, engine.me.index());
    if !log.records.is_empty() {
        log.write(shared, me, care);
        if !log.records.is_empty() {
            return false;
        }
    }
    if log.log.has_sync_failed() {
        // A later sync would not tell.
        return false;
    }
    log.end_file();
    // After a loss of power the next file may have its bytes though the old one has not, unless they were synced.
    if !faults::is_on(Fault::OldLogUnsynced)
        && let Err(error) = log.sync_now(shared, me)
    {
        if care.is_always {
            give_up("the log cannot be synced, and appendfsync is always");
        }
        log.log.note_failed_sync(shared, &error);
        // What comes next would outlive what is lost in front of it. Nothing is written any more.
        return false;
    }
    match begin_next(engine, &log.log, log.next, log.written_bytes) {
        Next::Failed => return false,
        // Nobody waits for that any more.
        Next::Gone => {}
        Next::Begun(file, bytes) => {
            log.written_bytes = bytes;
            log.file = file;
            tell_libraries(engine, log);
        }
    }
    log.is_turning_over = false;
    true
}

/// What has become of the wish for a file of the next generation.
enum Next {
    /// It is begun, and has so many bytes.
    Begun(LogFile, u64),
    /// The disk does not take it.
    Failed,
    /// There is no next generation any more.
    Gone,
}

/// Begins the file of a core in the next generation. `first` is the number of its first record, `old_bytes` are
/// those of its file before.
fn begin_next(engine: &Engine, log: &Arc<Log>, first: u64, old_bytes: u64) -> Next {
    let (shared, me) = (&engine.shared, engine.me.index());
    let next = log.chain.with(|chain| {
        let next = chain.next.as_ref()?;
        let file = next.files.get(me)?.clone();
        Some((file, next.generation, next.switched.clone()))
    });
    let Some((file, generation, switched)) = next else {
        return Next::Gone;
    };
    let head = Head {
        shard: engine.me.0,
        shards: generation.shards,
        generation: generation.number,
        first,
    };
    let mut head = head.bytes();
    if let Err(error) = file.append(&mut head) {
        tracing::error!(%error, "begin a file of the log; writes are refused until that works");
        let is_always = engine.config.settings().log_sync == SyncPolicy::Always;
        if is_always || file.cut(0).is_err() {
            give_up("the log cannot be written");
        }
        log.set_failure(shared, me, Some(Failure::of(&error)));
        return Next::Failed;
    }
    let bytes = u64_from(head.len());
    log.bytes.fetch_add(bytes, Ordering::Relaxed);
    log.set_file(me, &file);
    log.note_written(shared, me);
    // The thread ends before its time only with the process, or when the log is switched off.
    switched.send(old_bytes).ok();
    Next::Begun(file, bytes)
}

/// Tells the libraries of functions as they are, if there have ever been any.
fn tell_libraries(engine: &Engine, log: &mut CoreLog) {
    let (codes, number) = engine.shared.scripts.libraries();
    if number > 0 {
        let mut effects = Vec::new();
        effect::libraries(&mut effects, number, &codes);
        log.add_record(engine.now, &effects);
    }
}

/// Begins the log of a core whose shard has been cut, and has told nothing before.
pub(super) fn join(core: &mut Core) {
    let Some(log) = core.engine.shared.persistence.log().cloned() else {
        return;
    };
    // Numbers go on where they were if the log was on before: who waits for some of them compares.
    let first = log.last_record(core.engine.me.index()) + 1;
    match begin_next(&core.engine, &log, first, 0) {
        Next::Failed => {}
        Next::Gone => core.engine.host.shard.record_changes(false, LARGE_BYTES),
        Next::Begun(file, bytes) => {
            // There were none before the cut.
            drop(core.engine.host.shard.take_effects_before_cut());
            core.engine.scripts.take_change();
            let mut end = CoreLog::new(log, file, bytes, first);
            tell_libraries(&core.engine, &mut end);
            core.log = Some(end);
        }
    }
}

/// What the thread does.
struct Work {
    plan: Plan,
    /// The name of the base.
    name: String,
    /// None if the log is off.
    generation: Option<Generation>,
    /// [`Chain::switches`] when it began.
    switches: u64,
    intake: Intake,
    /// To core 0: the files are prepared.
    ready: Sender<()>,
    log: Arc<Log>,
    /// Old files stay.
    keeps_old: bool,
    shared: Arc<Shared>,
}

/// Why a rewriting is not on the disk.
enum Failed {
    /// The disk, mostly: one line.
    World(String),
    /// The log was switched on or off meanwhile.
    Switched,
}

impl From<String> for Failed {
    fn from(text: String) -> Self {
        Self::World(text)
    }
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
                Err(Failed::World(error))
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
        if outcome.is_err() && self.log.chain.with(|chain| chain.is_on && !chain.is_valid) {
            // What the cores write does not count before there is a base.
            let persistence = &self.shared.persistence;
            persistence.rewrites(|rewrites| rewrites.is_scheduled = true);
        }
        end(&self.shared, outcome);
    }

    /// Makes the files of the next generation and names it in the manifest.
    fn prepare(&self) -> Result<Receiver<u64>, String> {
        let directory = &self.log.directory;
        let failed = |error| format!("begin a generation in {}: {error}", directory.display());
        let shards = self.generation.map_or(0, |it| it.shards);
        // Each core says it once.
        let (switched, receiver) = bounded(usize::from(shards).max(1));
        let Some(generation) = self.generation else {
            return Ok(receiver);
        };
        if self.log.chain.with(|chain| !chain.is_valid)
            && Manifest::load(directory).map_err(failed)?.is_none()
        {
            // A start finds these files and no manifest, until there is a base.
            log::note_first_base(directory).map_err(failed)?;
        }
        let path = |shard| manifest::log_path(directory, generation.number, shard);
        let files = (0..generation.shards).map(|shard| LogFile::create(&path(shard)));
        let files = files.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        log_file::sync_directory(directory).map_err(failed)?;
        // The cores do so again when they go over, and then have little to wait for.
        self.log.sync(&self.shared);
        let (mut manifest, is_valid) = self
            .log
            .chain
            .with(|chain| (chain.manifest.clone(), chain.is_valid));
        if is_valid {
            manifest.generations.push(generation);
            if faults::is_on(Fault::ManifestEarly) {
                manifest.base = Some(self.name.clone());
                manifest.generations = vec![generation];
            }
            self.store(&manifest).map_err(failed)?;
        }
        self.log.chain.with(|chain| {
            chain.manifest = manifest;
            chain.next = Some(NextFiles {
                generation,
                files,
                switched,
            });
        });
        Ok(receiver)
    }

    /// Writes the base, and then what makes it count.
    fn write(&mut self, switched: &Receiver<u64>) -> Result<Rewritten, Failed> {
        let gone = || {
            let is_lost = self.log.has_sync_failed();
            let why = if is_lost {
                "the log could not be synced"
            } else {
                "the server has ended"
            };
            why.to_owned()
        };
        self.ready.send(()).map_err(|_gone| gone())?;
        self.shared.persistence.wake(ShardId(0));
        let written = save::write_noted(&self.plan, &mut self.intake, &self.shared);
        // The next snapshot may begin only when no shard is in the middle of this one.
        self.intake.drain();
        let mut old_bytes = 0;
        for _ in 0..self.generation.map_or(0, |it| it.shards) {
            old_bytes += self.wait_for(switched).ok_or_else(|| {
                if self.is_switched() {
                    Failed::Switched
                } else {
                    Failed::World(gone())
                }
            })?;
        }
        let finished = match written {
            Ok(written) => self.finish(written, old_bytes),
            Err(error) => Err(Failed::World(error)),
        };
        if finished.is_err() {
            self.log.chain.with(|chain| {
                if chain.switches == self.switches {
                    chain.before_bytes += old_bytes;
                }
            });
        }
        finished
    }

    /// Returns whether the log was switched on or off since this rewriting began.
    fn is_switched(&self) -> bool {
        self.log.chain.with(|chain| chain.switches != self.switches)
    }

    /// Waits until a core has gone over; nothing if the process ends before, or a sync has failed.
    fn wait_for(&self, switched: &Receiver<u64>) -> Option<u64> {
        loop {
            match switched.recv_timeout(LOOK_PERIOD) {
                Ok(bytes) => return Some(bytes),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {
                    if self.shared.stopping.load(Ordering::Relaxed)
                        || self.is_switched()
                        || self.log.has_sync_failed()
                    {
                        return switched.try_recv().ok();
                    }
                }
            }
        }
    }

    /// Puts the base and the next generation in the place of all before.
    fn finish(&self, written: Written, old_bytes: u64) -> Result<Rewritten, Failed> {
        let directory = &self.log.directory;
        // Who has gone over has written the head of its file, without which the file would count as empty.
        let files = self.log.chain.with(|chain| chain.next.take());
        for file in files.iter().flat_map(|next| &next.files) {
            if let Err(error) = file.sync() {
                // The cores have written there already, and their own syncs would not tell.
                self.log.note_failed_sync(&self.shared, &error);
                let shown = directory.display();
                return Err(format!("sync the logs in {shown}: {error}").into());
            }
        }
        let manifest = Manifest {
            base: Some(self.name.clone()),
            generations: self.generation.into_iter().collect(),
        };
        if self.is_switched() {
            return Err(Failed::Switched);
        }
        self.store(&manifest)
            .map_err(|error| format!("write the manifest in {}: {error}", directory.display()))?;
        let log_bytes = self.log.chain.with(|chain| {
            chain.manifest = manifest.clone();
            // Otherwise it was switched in the last moment. What the manifest says is true, but it ends there.
            if chain.switches != self.switches {
                return 0;
            }
            let gone = chain.before_bytes + old_bytes;
            let before = self.log.bytes.load(Ordering::Relaxed);
            let gone = gone.min(before);
            let log_bytes = self.log.bytes.fetch_sub(gone, Ordering::Relaxed) - gone;
            chain.is_valid = chain.is_on;
            chain.base_bytes = written.bytes;
            chain.before_bytes = 0;
            chain.rewritten_bytes = written.bytes + log_bytes;
            log_bytes
        });
        log::forget_first_base(directory);
        if !self.keeps_old {
            remove_left_over(directory, &manifest);
        }
        Ok(Rewritten { written, log_bytes })
    }

    /// Puts a manifest in the place of the one before. After an error either may be on the disk.
    fn store(&self, manifest: &Manifest) -> io::Result<()> {
        let stored = manifest.store(&self.log.directory);
        self.log
            .chain
            .with(|chain| chain.is_manifest_unsure = stored.is_err());
        stored
    }

    /// Removes the files of a generation that nobody has written, if it is sure that no manifest names them.
    fn remove_new(&self) {
        let (manifest, is_unsure) = self
            .log
            .chain
            .with(|chain| (chain.manifest.clone(), chain.is_manifest_unsure));
        if !is_unsure {
            remove_left_over(&self.log.directory, &manifest);
        }
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
fn end(shared: &Shared, outcome: Result<(), Failed>) {
    let now = runtime::clock::monotonic();
    let outcome = match outcome {
        Ok(()) => Some(Ok(())),
        Err(Failed::World(error)) => {
            tracing::error!(
                error,
                "rewriting the log failed; it goes on as it was. Make room in its directory"
            );
            Some(Err(error))
        }
        Err(Failed::Switched) => None,
    };
    let persistence = &shared.persistence;
    persistence.rewrites(|rewrites| {
        let begun = rewrites.under_way.take();
        let Some(outcome) = outcome else { return };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_three_failures_the_server_waits_longer_and_longer() {
        let minute = 60_000_000_000;
        let mut rewrites = Rewrites::default();
        let now = Monotonic(1000 * minute);
        assert!(!rewrites.has_to_wait(now));
        for (failures, minutes) in [(2, 0), (3, 1), (4, 2), (5, 4), (9, 60), (u32::MAX, 60)] {
            rewrites.failures = failures;
            let before = |minutes: u64| Some(Monotonic(now.0 - minutes * minute));
            rewrites.failed_at = before(minutes);
            assert!(!rewrites.has_to_wait(now), "{failures}");
            rewrites.failed_at = before(minutes.saturating_sub(1));
            assert_eq!(rewrites.has_to_wait(now), minutes > 0, "{failures}");
        }
    }

    #[test]
    fn a_log_is_rewritten_when_it_has_grown_by_so_much() {
        let mut settings = crate::config::Config::defaults().settings().clone();
        settings.log_bytes_min = 1000;
        settings.log_growth_percent = 50;
        assert!(has_grown(1500, 1000, &settings));
        assert!(!has_grown(1499, 1000, &settings));
        assert!(!has_grown(1000, 10, &settings));
        assert!(has_grown(1001, 0, &settings));
        assert!(has_grown(u64::MAX, u64::MAX / 2, &settings));
        settings.log_growth_percent = 0;
        assert!(!has_grown(u64::MAX, 1, &settings));
    }
}
