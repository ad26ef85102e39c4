//! A save: the cut, the pieces of each core, and the thread that makes a file of them.
//!
//! ```text
//!   core 0: begin -> transaction that claims all shards -> on each: snapshot begins, piece "begin"
//!   each core, a step per turn:   entries, parts of large values, rows -> pieces -> thread     (`pieces`)
//!   thread: header, schemas of tables (when all have begun) -> pieces as they come -> end, checksum, rename
//! ```
//!
//! A core that finds the channel full keeps its pieces and goes on with the walk when they have gone;
//! entries that change are written in any case, so memory grows by those at most. Who would change a large value waits
//! until it is written (`coordinator::host`), if he has claimed its key.
//!
//! Not here: who asks for a save ([`super::points`], `control::persistence`), and how a client gets one
//! ([`super::delivery`]).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::cast::u64_from;
use base::clock::UnixMillis;
use base::ids::{DbIndex, ShardId};
use coordinator::message::{Operation, Origin, Visit};
use coordinator::step::{HopOutcome, Program, Step};
use runtime::channel::bounded;
use runtime::faults::{self, Fault};
use runtime::file::ScratchFile;
use shard::locks::{Claim, Mode};
use shard::snapshot::Step as Walked;
use storage::backup::{TIME_FIELD, VERSION_FIELD};
use storage::rdb_file::{About, CHECKSUM_FIELD, Writer};
use storage::save::Saving;
use tables::bytes::section;
use types::rdb::Checksum;

use super::backup::{self, Keeping, Made};
use super::delivery::Delivery;
use super::pieces::{Cut, Form, Intake, PIECE_BYTES, Piece, Sender, cut, pieces_of};
use super::rewrite::LogCut;
use super::{Begun, Persistence};
use crate::config::settings::Settings;
use crate::core_loop::Core;
use crate::engine::Shared;

/// Entries of one step; between steps the clock is read.
const ENTRIES_PER_STEP: usize = 32;
/// How long a turn may go on with the walk, in nanoseconds: as long as the rest of it has taken, within these. So a core
/// that has much to do gives at most half of its time to the walk.
const NANOS_PER_TURN_MIN: u64 = 20_000;
const NANOS_PER_TURN_MAX: u64 = 100_000;

/// The origin of the transaction that cuts: nobody waits for its reply.
const NOBODY: Origin = Origin {
    connection: u64::MAX,
    place: 0,
};

/// Who wants a save.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// A client that waits for it, or the end of the process.
    Waited,
    /// BGSAVE, or a save point.
    InBackground,
    /// A backup, into a file of its own.
    Backup,
}

/// Why no save begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnderWay {
    /// Another one has not ended.
    Save,
    /// The log is being rewritten.
    Rewrite,
}

/// What the thread has to know.
pub(super) struct Plan {
    pub(super) path: PathBuf,
    purpose: Purpose,
    shards: usize,
    is_compressed: bool,
    has_checksum: bool,
    pub(super) now: UnixMillis,
    used_bytes: u64,
    pub(super) takes_tables: bool,
}

/// What a file is for.
enum Purpose {
    /// It is the data: `dump.rdb`, or the base of a log.
    Data,
    /// It is a backup.
    Backup(Keeping),
    /// A client gets it. It has no name, and takes its room in the directory of the path.
    Client(Delivery),
}

impl Plan {
    /// Plans a file of what all cores have.
    pub(super) fn new(core: &Core, path: PathBuf) -> Self {
        let engine = &core.engine;
        let shards = engine.map.shards().count();
        Self::of(engine.config.settings(), path, shards, engine.now)
    }

    /// Plans a backup, which always has a checksum.
    fn of_backup(core: &Core) -> Self {
        let settings = core.engine.config.settings();
        let path = backup::path(settings, core.engine.now);
        Self {
            purpose: Purpose::Backup(Keeping::of(settings)),
            has_checksum: true,
            ..Self::new(core, path)
        }
    }

    /// Plans what `dump.rdb` would be, for a client.
    fn of_copy(core: &Core, delivery: Delivery) -> Self {
        let settings = core.engine.config.settings();
        Self {
            purpose: Purpose::Client(delivery),
            takes_tables: settings.has_rdb_tables,
            ..Self::new(core, settings.data_dir.join("copy for a client"))
        }
    }

    /// Plans a file of what `shards` shards have.
    pub(super) fn of(settings: &Settings, path: PathBuf, shards: usize, now: UnixMillis) -> Self {
        Self {
            path,
            purpose: Purpose::Data,
            shards,
            is_compressed: settings.is_rdb_compressed,
            has_checksum: settings.has_rdb_checksum,
            now,
            used_bytes: u64_from(runtime::memory::allocated_bytes()),
            takes_tables: true,
        }
    }

    /// Returns how entries are written, under these settings.
    pub(super) fn form(&self, settings: &Settings) -> Form {
        Form {
            takes_tables: self.takes_tables,
            ..Form::of(settings)
        }
    }

    /// Begins the file.
    fn file(&self) -> io::Result<Saving> {
        match &self.purpose {
            Purpose::Data => {}
            Purpose::Backup(_) => backup::prepare_directory(&self.path)?,
            Purpose::Client(_) => {
                let directory = self.path.parent().unwrap_or(&self.path);
                return Saving::create_nameless(directory, self.has_checksum);
            }
        }
        Saving::create(&self.path, self.has_checksum)
    }
}

impl Persistence {
    /// Returns what came of a save, once it has ended.
    pub(crate) fn outcome(&self, number: u64) -> Option<Result<(), String>> {
        self.saves(|saves| (saves.ended >= number).then(|| saves.last.clone()))
    }
}

/// Begins a save; on core 0. Returns its number, for [`Persistence::outcome`].
///
/// # Errors
///
/// If one is under way, or the log is being rewritten: a shard has one snapshot at a time.
pub(crate) fn begin(core: &mut Core, wanted: Wanted) -> Result<u64, UnderWay> {
    let number = claim(core, wanted == Wanted::InBackground)?;
    let settings = core.engine.config.settings();
    let plan = match wanted {
        Wanted::Waited | Wanted::InBackground => {
            let persistence = &core.engine.shared.persistence;
            persistence.saves(|saves| saves.is_scheduled = false);
            Plan {
                takes_tables: settings.has_rdb_tables,
                ..Plan::new(core, settings.data_dir.join(&settings.rdb_file))
            }
        }
        Wanted::Backup => Plan::of_backup(core),
    };
    start(core, plan);
    Ok(number)
}

/// Begins a copy of all data for a client; on core 0.
///
/// # Errors
///
/// As for [`begin`].
pub(super) fn begin_copy(core: &mut Core, delivery: Delivery) -> Result<(), UnderWay> {
    claim(core, false)?;
    let plan = Plan::of_copy(core, delivery);
    start(core, plan);
    Ok(())
}

/// Notes that a save is under way, and returns its number.
fn claim(core: &Core, is_in_background: bool) -> Result<u64, UnderWay> {
    let persistence = &core.engine.shared.persistence;
    if persistence.is_rewriting() {
        return Err(UnderWay::Rewrite);
    }
    persistence.saves(|saves| {
        if saves.under_way.is_some() {
            return Err(UnderWay::Save);
        }
        saves.under_way = Some(Begun {
            at: core.engine.clock,
            is_in_background,
        });
        (saves.keys, saves.keys_written) = (0, 0);
        Ok(saves.ended + 1)
    })
}

/// Starts the thread that makes the file, and cuts.
fn start(core: &mut Core, plan: Plan) {
    let shared = Arc::clone(&core.engine.shared);
    let (mut program, mut intake) = cutting(core, None);
    program.form.takes_tables = plan.takes_tables;
    match &plan.purpose {
        Purpose::Data | Purpose::Backup(_) => {
            tracing::info!(path = %plan.path.display(), "saving begins");
        }
        Purpose::Client(_) => tracing::info!("a copy of the data for a client begins"),
    }
    let thread_shared = Arc::clone(&shared);
    // What the thread would own is still here if there is none.
    let (hand_over, plans) = bounded(1);
    let started = runtime::helper::start("save", move || {
        let Ok(plan) = plans.recv() else {
            return;
        };
        let outcome = write_noted(&plan, &mut intake, &thread_shared);
        // The next save may begin only when no shard is in the middle of this one.
        intake.drain();
        end(&thread_shared, plan, outcome);
    });
    match started {
        Ok(thread) => {
            // It waits for that.
            hand_over.send(plan).ok();
            shared.persistence.keep_thread(thread);
            begin_cut(core, program);
        }
        Err(error) => fail(&shared, plan.purpose, format!("start a thread: {error}")),
    }
}

/// Makes both ends of a cut, of all there is: what begins the snapshots, and what gets their pieces.
pub(super) fn cutting(core: &Core, log_cut: Option<LogCut>) -> (Cutting, Intake) {
    let shards: Vec<ShardId> = core.engine.map.shards().collect();
    let (sender, intake) = pieces_of(shards.len());
    let program = Cutting {
        shards,
        form: Form::of(core.engine.config.settings()),
        sender,
        log_cut,
    };
    (program, intake)
}

/// Begins the transaction that cuts.
pub(super) fn begin_cut(core: &mut Core, program: Cutting) {
    let whole = Claim {
        keys: Vec::new(),
        whole: (!faults::is_on(Fault::CutUnclaimed)).then_some(Mode::Exclusive),
    };
    let claims = program.shards.iter().map(|shard| (*shard, whole.clone()));
    let (claims, program) = (claims.collect(), Box::new(program));
    let engine = &mut core.engine;
    engine.flush_envelopes();
    engine
        .transactions
        .begin(&mut engine.host, NOBODY, claims, program);
}

/// Goes on with the snapshot of this core, at the end of a turn, when its replies have left. Returns whether there is
/// more to do.
pub(crate) fn step(core: &mut Core) -> bool {
    let host = &mut core.engine.host;
    if !host.shard.has_snapshot() {
        return false;
    }
    let begun = runtime::clock::monotonic();
    let nanos = begun.nanos_since(core.engine.clock);
    let nanos_max = nanos.clamp(NANOS_PER_TURN_MIN, NANOS_PER_TURN_MAX);
    loop {
        match host.step_snapshot(ENTRIES_PER_STEP) {
            Walked::More => {}
            Walked::Idle | Walked::Waiting | Walked::Done => return true,
        }
        if runtime::clock::monotonic().nanos_since(begun) > nanos_max {
            return true;
        }
    }
}

/// The transaction that begins the snapshots of all shards at one moment.
#[derive(Debug)]
pub(super) struct Cutting {
    shards: Vec<ShardId>,
    form: Form,
    sender: Sender,
    /// The log goes over to its next generation at the same moment.
    log_cut: Option<LogCut>,
}

impl Program for Cutting {
    fn step(&mut self, outcomes: Vec<HopOutcome>) -> Step {
        if !outcomes.is_empty() {
            return Step::Done { reply: Vec::new() };
        }
        let operations = self.shards.iter().map(|&shard| {
            let (form, sender) = (self.form, self.sender.clone());
            let log_cut = self.log_cut.clone();
            let visit = Visit::new(move |shard| {
                if let Some(log_cut) = log_cut {
                    log_cut.cut(shard);
                }
                cut(shard, form, sender, false);
            });
            (shard, vec![Operation::Visit(visit)])
        });
        Step::Hop {
            operations: operations.collect(),
            last: true,
        }
    }
}

/// What the thread has learnt of a save that is on the disk.
pub(super) struct Written {
    pub(super) bytes: u64,
    /// The file, if it has no name.
    nameless: Option<ScratchFile>,
    pub(super) keys: u64,
    rows: u64,
    dirty: Vec<(ShardId, u64)>,
}

/// As [`write`], for the shards of the cores: notes how far it is.
pub(super) fn write_noted(
    plan: &Plan,
    intake: &mut Intake,
    shared: &Shared,
) -> Result<Written, String> {
    // Those of the moment of the cut are among them. With a log, later ones are there again.
    let libraries = || shared.scripts.libraries().0;
    write(plan, intake, libraries, |total, written| {
        shared.persistence.saves(|saves| {
            saves.keys = total;
            saves.keys_written = written;
        });
    })
}

/// Makes a file of the pieces of all shards. On a thread of its own.
///
/// `libraries` is called when all shards have begun; `note` gets the number of all keys, and of those written.
pub(super) fn write<L: AsRef<[Vec<u8>]>>(
    plan: &Plan,
    intake: &mut Intake,
    libraries: impl FnOnce() -> L,
    note: impl Fn(u64, u64),
) -> Result<Written, String> {
    let shown = plan.path.display();
    let failed = |error| format!("write {shown}: {error}");
    let mut file = plan.file().map_err(failed)?;
    let mut cuts: Vec<Cut> = Vec::new();
    // What comes from shards that have begun before others.
    let mut early = Vec::new();
    while cuts.len() < plan.shards {
        match intake.next()? {
            Piece::Begin(cut) => cuts.push(cut),
            piece => early.push(piece),
        }
    }
    if !plan.takes_tables && cuts.iter().any(|cut| cut.has_tables) {
        tracing::warn!(
            path = %plan.path.display(),
            "the tables (TABLE.*) are not in the file, as rdb-tables is no: they are gone when the process \
             ends, unless they are in the log"
        );
    }
    let total = cuts.iter().flat_map(|cut| &cut.sizes);
    let total = total.map(|(_, keys, _)| *keys).sum();
    let (mut keys, mut rows) = (0, 0);
    let mut writer = Writer::new(plan.is_compressed);
    let mut put = |piece: Piece| match piece {
        Piece::Bytes(bytes, count) => {
            keys += count;
            note(total, keys);
            file.write(&bytes)
        }
        Piece::Part { bytes, is_last, .. } => {
            keys += u64::from(is_last);
            note(total, keys);
            file.write(&bytes)
        }
        Piece::String(head, bytes) => {
            keys += 1;
            note(total, keys);
            let mut outcome = file.write(&head);
            writer.string_in_pieces(&bytes, PIECE_BYTES, &mut |piece| {
                if outcome.is_ok() {
                    outcome = file.write(piece);
                }
            });
            outcome
        }
        Piece::Rows(piece) => {
            rows += piece.rows;
            writer.tables(&piece.bytes);
            file.write(&writer.take())
        }
        Piece::Begin(_) | Piece::End => Ok(()),
    };
    let libraries = libraries();
    put(Piece::Bytes(head(plan, &cuts, libraries.as_ref()), 0)).map_err(failed)?;
    for piece in early {
        put(piece).map_err(failed)?;
    }
    while intake.shards_left > 0 {
        put(intake.next()?).map_err(failed)?;
    }
    writer.end();
    file.write(&writer.take()).map_err(failed)?;
    let saved = file.finish().map_err(failed)?;
    let dirty = cuts.iter().map(|cut| (cut.shard, cut.dirty)).collect();
    Ok(Written {
        bytes: saved.bytes,
        nameless: saved.nameless,
        keys,
        rows,
        dirty,
    })
}

/// Returns what stands before the first key.
fn head(plan: &Plan, cuts: &[Cut], libraries: &[Vec<u8>]) -> Vec<u8> {
    let mut writer = Writer::new(plan.is_compressed);
    let about = About {
        server_version: crate::version::REDIS,
        now: plan.now,
        used_bytes: plan.used_bytes,
    };
    writer.begin(cuts.iter().any(|cut| cut.fields_expire), &about);
    writer.field(VERSION_FIELD, crate::version::TRESTLE.as_bytes());
    if plan.has_checksum {
        writer.field(CHECKSUM_FIELD, b"crc64");
    }
    // Nothing in the file is later, and nothing that was written before is missing.
    let cut_at = cuts.iter().map(|cut| cut.now).max().unwrap_or(plan.now);
    writer.field(TIME_FIELD, cut_at.0.to_string().as_bytes());
    for code in libraries {
        writer.library(code);
    }
    let mut sizes: Vec<(DbIndex, u64, u64)> = Vec::new();
    for &(db, keys, expires) in cuts.iter().flat_map(|cut| &cut.sizes) {
        match sizes.iter_mut().find(|(it, ..)| *it == db) {
            Some(size) => {
                size.1 += keys;
                size.2 += expires;
            }
            None => sizes.push((db, keys, expires)),
        }
    }
    for (db, catalog) in cuts.iter().flat_map(|cut| &cut.catalogs) {
        writer.tables(&section::schemas(*db, catalog));
    }
    sizes.sort_unstable_by_key(|(db, ..)| *db);
    for (db, keys, expires) in sizes {
        writer.database(u64::from(db.0));
        writer.sizes(keys, expires);
    }
    writer.take()
}

/// Returns the bytes of a file that has the libraries of functions, or nothing, and no data.
pub(super) fn without_data(core: &Core, libraries: &[Vec<u8>]) -> Vec<u8> {
    let plan = Plan::new(core, PathBuf::new());
    let mut writer = Writer::new(plan.is_compressed);
    writer.end();
    let mut bytes = head(&plan, &[], libraries);
    bytes.extend_from_slice(&writer.take());
    let mut checksum = Checksum::default();
    if plan.has_checksum {
        checksum.update(&bytes);
    }
    bytes.extend_from_slice(&checksum.value().to_le_bytes());
    bytes
}

/// Notes how a save has ended. On the thread.
fn end(shared: &Arc<Shared>, plan: Plan, outcome: Result<Written, String>) {
    let written = match outcome {
        Ok(written) => written,
        Err(error) => return fail(shared, plan.purpose, error),
    };
    match plan.purpose {
        Purpose::Data => end_save(shared, &plan.path, written),
        Purpose::Backup(keeping) => {
            let now = runtime::clock::monotonic();
            let begun = shared.persistence.saves(|saves| saves.under_way.take());
            let made = Made {
                path: plan.path,
                at: plan.now,
                bytes: written.bytes,
                millis: begun.map_or(0, |begun| now.nanos_since(begun.at) / 1_000_000),
            };
            backup::end(shared, &keeping, Ok(made));
        }
        Purpose::Client(delivery) => {
            // Others may save while the client reads.
            shared.persistence.saves(|saves| saves.under_way = None);
            let (bytes, keys) = (written.bytes, written.keys);
            tracing::info!(bytes, keys, "a client gets a copy of the data");
            match written.nameless {
                Some(file) => delivery.send_file(shared, written.bytes, file),
                None => delivery.fail(shared, "the copy is gone".to_owned()),
            }
        }
    }
}

/// Notes that the data is on the disk.
fn end_save(shared: &Arc<Shared>, path: &Path, written: Written) {
    let now = runtime::clock::monotonic();
    let unix = runtime::clock::unix_millis();
    let persistence = &shared.persistence;
    let seconds = persistence.saves(|saves| {
        let begun = saves.under_way.take();
        let seconds = begun.map_or(0, |begun| now.nanos_since(begun.at) / 1_000_000_000);
        saves.ended += 1;
        saves.succeeded += 1;
        saves.saved_at = unix;
        saves.failed_at = None;
        saves.last = Ok(());
        if begun.is_some_and(|begun| begun.is_in_background) {
            saves.last_seconds = Some(seconds);
        }
        for (shard, dirty) in written.dirty {
            if let Some(saved) = saves.saved_dirty.get_mut(shard.index()) {
                *saved = dirty;
            }
        }
        seconds
    });
    persistence.set_failed(false);
    tracing::info!(
        path = %path.display(),
        bytes = written.bytes,
        keys = written.keys,
        rows = written.rows,
        seconds,
        "saved"
    );
    persistence.wake_all();
}

/// Notes that a save, or whatever else the file was for, has failed.
fn fail(shared: &Arc<Shared>, purpose: Purpose, error: String) {
    match purpose {
        Purpose::Data => fail_save(shared, error),
        Purpose::Backup(keeping) => {
            shared.persistence.saves(|saves| saves.under_way = None);
            backup::end(shared, &keeping, Err(error));
        }
        Purpose::Client(delivery) => {
            shared.persistence.saves(|saves| saves.under_way = None);
            delivery.fail(shared, error);
        }
    }
}

fn fail_save(shared: &Shared, error: String) {
    tracing::error!(
        error,
        "saving failed; the file before is as it was. Make room in the directory or change dir"
    );
    let now = runtime::clock::monotonic();
    let persistence = &shared.persistence;
    persistence.set_failed(true);
    persistence.saves(|saves| {
        let begun = saves.under_way.take();
        saves.ended += 1;
        saves.failed_at = Some(now);
        saves.last = Err(error);
        if let Some(begun) = begun.filter(|begun| begun.is_in_background) {
            saves.last_seconds = Some(now.nanos_since(begun.at) / 1_000_000_000);
        }
    });
    persistence.wake_all();
}
