//! Making a base from what another writer has left, before the cores serve: another number of shards, or Redis.
//!
//! ```text
//!   a thread per old shard:  a shard of its own <- base, logs -> snapshot -> pieces
//!   the caller:              pieces -> new base -> manifest that names nothing else
//! ```
//!
//! A record may have the words of a command over several keys that lay on one core, so records cannot be handed to
//! the cores that own the keys now. The old shards are made as they were, and their entries written to a file that
//! any number of cores loads.
//!
//! Invariant: what is there stays as it is until the manifest names the new base, whatever fails before.
//!
//! Not here: Redis's files ([`super::import`]), the rewriting of a log that is in use ([`super::rewrite`]).

use std::io;
use std::path::Path;
use std::sync::Arc;

use base::clock::UnixMillis;
use base::ids::ShardId;
use commands::replay::Replay;
use coordinator::route::SlotMap;
use runtime::channel::{Receiver, Sender, bounded};
use runtime::file::ReadFile;
use shard::Shard;
use shard::effects::EventClass;
use shard::snapshot::Step;
use storage::log::manifest::{self, Manifest};
use storage::rdb_file::{Part, Reader};

use super::OrderedLibraries;
use super::load::{self, BATCHES_MAX, Batch, READ_BYTES};
use super::load_tables::{Share, SharedCounters, Sorting};
use super::log_load::{self, Records, Stopped, keep_later};
use super::log_parts::{self, LeftOut, LooseEnd};
use super::pieces;
use super::progress::{Counted, Progress};
use super::save::{self, Plan, Written};
use crate::config::Config;
use crate::layer_options;

/// Entries of a step of a snapshot.
const ENTRIES_PER_STEP: usize = 1024;

/// Puts into a shard what it had; returns the libraries that it knows of. On a thread of its own.
pub(super) type Fill =
    Box<dyn FnOnce(&mut Shard) -> Result<Option<OrderedLibraries>, String> + Send>;

/// Gives shards what they wait for, and returns the libraries that count if no shard knows later ones.
pub(super) type Feed = Box<dyn FnOnce() -> Result<Libraries, String>>;

/// The sources of libraries of functions.
pub(super) type Libraries = Vec<Vec<u8>>;

/// Makes the log anew whose logs were written by another number of shards than there are now. Returns its manifest.
///
/// # Errors
///
/// One line with what is wrong and what can be done.
pub(super) fn for_other_shards(
    config: &Config,
    directory: &Path,
    before: &Manifest,
    (old_shards, progress): (u16, &Arc<Progress>),
) -> Result<Manifest, String> {
    tracing::info!(
        path = %directory.display(),
        old_shards,
        "the log was written by another number of shards: it is made anew"
    );
    let loose_end = LooseEnd::at_start(config.settings().loads_torn);
    let (fills, feed) =
        old_shards_of(config, directory, before, (old_shards, loose_end), progress)?;
    make(config, directory, before.next_number(), fills, feed)
}

/// Returns what fills the shards that have written a log, as they were when it ended, and what feeds them with its base.
///
/// # Errors
///
/// One line with what is wrong and what can be done.
pub(super) fn old_shards_of(
    config: &Config,
    directory: &Path,
    before: &Manifest,
    (old_shards, loose_end): (u16, LooseEnd),
    progress: &Arc<Progress>,
) -> Result<(Vec<Fill>, Feed), String> {
    if before.generations.iter().any(|it| it.shards != old_shards) {
        return Err(format!(
            "the manifest in {} has logs of different numbers of shards, which no server writes; put back a \
             whole copy of the directory",
            directory.display()
        ));
    }
    let settings = config.settings();
    let is_checked = settings.has_rdb_checksum;
    let map = SlotMap::new(old_shards);
    let left_out = match log_parts::look_over(directory, before, loose_end) {
        Ok(left_out) => Arc::new(left_out),
        Err(Stopped::Failed(text)) => return Err(text),
        Err(Stopped::Gone) => return Err("the server has ended".to_owned()),
    };
    let source = Arc::new((directory.to_owned(), before.clone(), left_out));
    let counters = SharedCounters::default();
    let sorting = Sorting::new(counters.clone(), map, settings.databases);
    let (senders, fills): (Vec<_>, Vec<_>) = map
        .shards()
        .map(|shard| {
            let (sender, inbox) = bounded(BATCHES_MAX);
            let source = Arc::clone(&source);
            let replay_counters = counters.clone();
            let progress = Arc::clone(progress);
            let fill: Fill = Box::new(move |into| {
                let (directory, manifest, left_out) = &*source;
                let replay = Replay::new(Box::new(replay_counters));
                restore(
                    into,
                    (directory, manifest, left_out),
                    (shard, loose_end),
                    (&inbox, replay),
                    &progress,
                )
            });
            (sender, fill)
        })
        .unzip();
    let base = before.base.as_ref().map(|name| directory.join(name));
    let progress = Arc::clone(progress);
    let feed = move || match base {
        None => Ok(Vec::new()),
        Some(path) => hand_out((&path, progress), is_checked, (map, sorting), &senders),
    };
    Ok((fills, Box::new(feed)))
}

/// What a base has for one shard.
enum Handed {
    Keys(Batch),
    Tables(Share),
}

/// Makes an old shard as it was when its log ended.
fn restore(
    into: &mut Shard,
    (directory, manifest, left_out): (&Path, &Manifest, &Arc<LeftOut>),
    (shard, loose_end): (ShardId, LooseEnd),
    (inbox, mut replay): (&Receiver<Handed>, Replay),
    progress: &Progress,
) -> Result<Option<OrderedLibraries>, String> {
    while let Ok(handed) = inbox.recv() {
        let stored = match handed {
            // Nothing is dead yet: the log may say that it lives longer.
            Handed::Keys(batch) => batch.store(into, UnixMillis(i64::MIN)).map(drop),
            Handed::Tables(share) => share.store(into.tables_mut()).map(drop),
        };
        stored.map_err(|error| {
            let name = manifest.base.as_deref().unwrap_or_default();
            load::refusal(&directory.join(name), &error)
        })?;
    }
    let mut libraries = None;
    let take = |records: Records| {
        let applied = records.apply_to(into, &mut replay, &mut libraries, directory);
        applied.map_err(Stopped::Failed)
    };
    let read = log_load::read(
        directory,
        manifest,
        shard.0,
        loose_end,
        (left_out, progress),
        take,
    );
    match read {
        Ok(_next) => Ok(libraries),
        Err(Stopped::Failed(text)) => Err(text),
        Err(Stopped::Gone) => Err("the server has ended".to_owned()),
    }
}

/// Reads an RDB file and hands its keys and tables to the shards that own them. Returns its libraries.
fn hand_out(
    (path, progress): (&Path, Arc<Progress>),
    is_checked: bool,
    (map, mut sorting): (SlotMap, Sorting),
    senders: &[Sender<Handed>],
) -> Result<Libraries, String> {
    let failed = |error: io::Error| format!("read {}: {error}", path.display());
    let file = ReadFile::open(path).map_err(failed)?;
    let mut file = Counted::new(file, progress);
    let mut reader = Reader::new(is_checked);
    let mut batches: Vec<Batch> = senders.iter().map(|_| Batch::default()).collect();
    let send = |shard: usize, handed: Handed| {
        // Who is gone has said why.
        let sent = senders[shard].send(handed);
        sent.map_err(|_gone| "a shard could not be made".to_owned())
    };
    let mut libraries = Vec::new();
    loop {
        match reader.part().map_err(|error| load::refusal(path, &error))? {
            Some(Part::Entry(entry)) => {
                let shard = map.shard_of_key(&entry.key).index();
                batches[shard].push(&entry);
                if batches[shard].is_full() {
                    send(shard, Handed::Keys(std::mem::take(&mut batches[shard])))?;
                }
            }
            Some(Part::Tables { offset, piece }) => {
                let shares = sorting.sort(offset, &piece);
                for (shard, share) in shares.map_err(|error| load::refusal(path, &error))? {
                    send(shard.index(), Handed::Tables(share))?;
                }
            }
            Some(Part::Library(code)) => libraries.push(code.into_owned()),
            Some(Part::Version(_) | Part::About { .. } | Part::Sizes { .. }) => {}
            Some(Part::End) => break,
            None => {
                let count = reader.feed_from(&mut file, READ_BYTES);
                if count.map_err(failed)? == 0 {
                    reader.end();
                }
            }
        }
    }
    for (shard, batch) in batches.into_iter().enumerate() {
        send(shard, Handed::Keys(batch))?;
    }
    Ok(libraries)
}

/// Makes shards, one for each of `fills`, and of them a base with this number and a manifest that names only that.
///
/// # Errors
///
/// One line with what is wrong and what can be done.
pub(super) fn make(
    config: &Config,
    directory: &Path,
    number: u64,
    fills: Vec<Fill>,
    feed: Feed,
) -> Result<Manifest, String> {
    let begun = runtime::clock::monotonic();
    let now = runtime::clock::unix_millis();
    let name = manifest::base_name(number);
    let path = directory.join(&name);
    let plan = Plan::of(config.settings(), path, fills.len(), now);
    let written = write_file(config, &plan, fills, feed)?;
    let manifest = Manifest {
        base: Some(name),
        generations: Vec::new(),
    };
    manifest
        .store(directory)
        .map_err(|error| format!("write the manifest in {}: {error}", directory.display()))?;
    let milliseconds = runtime::clock::monotonic().nanos_since(begun) / 1_000_000;
    tracing::info!(
        path = %plan.path.display(),
        keys = written.keys,
        bytes = written.bytes,
        milliseconds,
        "the log was made anew"
    );
    Ok(manifest)
}

/// Makes shards, one for each of `fills`, and of them a file.
///
/// # Errors
///
/// One line with what is wrong and what can be done.
pub(super) fn write_file(
    config: &Config,
    plan: &Plan,
    fills: Vec<Fill>,
    feed: Feed,
) -> Result<Written, String> {
    let (count, now) = (fills.len(), plan.now);
    let (sender, mut intake) = pieces::pieces_of(count);
    let (outcomes, results) = bounded(count);
    let mut gates = Vec::new();
    for (index, fill) in fills.into_iter().enumerate() {
        let shards = u16::try_from(count).unwrap_or(u16::MAX);
        let options = shard::Options {
            events: EventClass::NONE,
            ..layer_options::shard(config, runtime::clock::random_seed(), shards)
        };
        let (gate, is_open) = bounded::<()>(1);
        gates.push(gate);
        let form = plan.form(config.settings());
        let (sender, outcomes) = (sender.clone(), outcomes.clone());
        let id = ShardId(u16::try_from(index).unwrap_or(u16::MAX));
        let started = runtime::helper::start("remake", move || {
            let mut shard = Shard::new(id, options);
            let outcome = fill(&mut shard);
            let is_filled = outcome.is_ok();
            if outcomes.send(outcome).is_err() || !is_filled || is_open.recv().is_err() {
                return;
            }
            shard.set_now(now);
            pieces::cut(&mut shard, form, sender, true);
            while matches!(
                shard.snapshot_step(ENTRIES_PER_STEP),
                Step::More | Step::Waiting
            ) {}
        });
        drop(started.map_err(|error| format!("start a thread: {error}"))?);
    }
    drop((sender, outcomes));
    let fed = feed();
    let mut libraries = None;
    for _ in 0..count {
        let outcome = results.recv();
        let outcome = outcome.map_err(|_gone| "a shard could not be made".to_owned())?;
        if let Some(known) = outcome? {
            keep_later(&mut libraries, known);
        }
    }
    let fed = fed?;
    for gate in gates {
        // Its thread waits for that, or is gone, which the file tells.
        gate.send(()).ok();
    }
    let libraries = libraries.map_or(fed, |(_, codes)| codes);
    save::write(plan, &mut intake, || libraries, |_, _| {})
}
