//! Replaying the log at the start: a thread per shard reads records, the core of the shard applies them.
//!
//! ```text
//!   load: base, if there is one -> each core
//!         then a look at all logs: what is left out (`log_parts`)
//!         then per shard: files of all generations, in their order -> batches of records -> its core
//! ```
//!
//! What a process has written that was killed may not be on the disk yet: it is brought there before anything goes on
//! from it. A torn tail is cut off with a line in the log of the server. Anything else that is wrong ends the process
//! with the file, its byte and what can be done; the files stay as they are.
//!
//! Not here: the form of the files (crate `storage`), what an effect does to a shard (`commands::replay`).

use std::io;
use std::path::Path;
use std::sync::Arc;

use base::cast::u64_from;
use base::clock::UnixMillis;
use commands::replay::Replay;
use runtime::file::ReadFile;
use runtime::{faults, log_file};
use shard::Shard;
use storage::log::manifest::{self, Manifest};
use storage::log::record::{Fault, Reader};
use types::effect::{Effect, Effects};

use super::OrderedLibraries;
use super::log::Log;
use super::log_parts::{LeftOut, LooseEnd};
use super::progress::Progress;
use crate::core_loop::Core;

/// A batch is sent when it has so many bytes.
const BATCH_BYTES: usize = 256 * 1024;

/// Records of one shard, packed into few allocations.
#[derive(Debug, Default)]
pub(super) struct Records {
    effects: Vec<u8>,
    /// Of each: its length, when it was made, and where it begins in its file.
    records: Vec<(usize, UnixMillis, u64)>,
    generation: u64,
    shard: u16,
    left_out: Arc<LeftOut>,
}

/// Why replaying stops.
#[derive(Debug)]
pub(super) enum Stopped {
    /// One line with what is wrong and what can be done.
    Failed(String),
    /// The core is gone: the process ends.
    Gone,
}

/// Reads all records of a shard that a manifest names and hands them to `send`. Returns the number of the next
/// record. `progress` learns how far it is.
pub(super) fn read(
    directory: &Path,
    manifest: &Manifest,
    shard: u16,
    loose_end: LooseEnd,
    (left_out, progress): (&Arc<LeftOut>, &Progress),
    mut send: impl FnMut(Records) -> Result<(), Stopped>,
) -> Result<u64, Stopped> {
    // A log that was rewritten begins with any number.
    let mut next = None;
    // A file with a torn tail, which has to be the last with records.
    let mut torn: Option<String> = None;
    for (index, generation) in manifest.generations.iter().enumerate() {
        let path = manifest::log_path(directory, generation.number, shard);
        let refused = |damage: &dyn std::fmt::Display| failed(&path, &damage.to_string());
        let is_first = index == 0;
        let may_be_unbegun = !(is_first && manifest.begins_with_all_files());
        let file = match ReadFile::open(&path) {
            // The server has ended before it began to write there.
            Err(error) if error.kind() == io::ErrorKind::NotFound && may_be_unbegun => continue,
            other => other.map_err(|error| refused(&error))?,
        };
        let mut reader = Reader::open(file).map_err(|damage| refused(&damage))?;
        let Some(head) = reader.head() else {
            if may_be_unbegun {
                continue;
            }
            return Err(refused(
                &"it is empty, and its first bytes were on the disk",
            ));
        };
        if head.shard != shard || head.generation != generation.number {
            return Err(refused(&"it is the log of another shard or generation"));
        }
        // Whoever finds no records before begins with the first.
        let expected = next.or((!is_first).then_some(1));
        if let Some(expected) = expected.filter(|expected| *expected != head.first) {
            let found = head.first;
            return Err(refused(&Fault::Number { found, expected }));
        }
        let new_batch = || Records::new(generation.number, shard, Arc::clone(left_out));
        let mut batch = new_batch();
        let mut noted = 0;
        while let Some(record) = reader.record().map_err(|damage| refused(&damage))? {
            if let Some(torn) = &torn {
                return Err(Stopped::Failed(format!(
                    "{torn}, and the log goes on behind that"
                )));
            }
            if left_out.has_record(shard, record.number) {
                let next = record.number;
                send(batch)?;
                return Ok(next);
            }
            batch.effects.extend_from_slice(record.effects);
            let length = record.effects.len();
            batch.records.push((length, record.at, record.offset));
            if batch.effects.len() >= BATCH_BYTES {
                let full = std::mem::replace(&mut batch, new_batch());
                send(full)?;
                progress.note(record.offset - noted);
                noted = record.offset;
            }
        }
        send(batch)?;
        progress.note(reader.offset().saturating_sub(noted));
        next = Some(reader.next_number());
        if reader.torn_bytes() > 0 {
            let (offset, bytes) = (reader.offset(), reader.torn_bytes());
            if loose_end == LooseEnd::Refused {
                return Err(Stopped::Failed(format!(
                    "{} ends with a torn record at byte {offset}; start with --aof-load-truncated yes to have it cut \
                     off",
                    path.display()
                )));
            }
            if loose_end == LooseEnd::CutOff {
                tracing::warn!(path = %path.display(), offset, bytes, "the last record is not whole and is cut off");
                log_file::cut(&path, offset).map_err(|error| refused(&error))?;
            }
            torn = Some(format!(
                "{} ends with a torn record at byte {offset}",
                path.display()
            ));
        } else if reader.room_bytes() > 0 && loose_end == LooseEnd::CutOff {
            log_file::cut(&path, reader.offset()).map_err(|error| refused(&error))?;
        } else if !faults::is_on(faults::Fault::TailUnsynced) {
            // What comes now goes on from it, and may be on the disk before it.
            log_file::sync(&path).map_err(|error| refused(&error))?;
        }
    }
    Ok(next.unwrap_or(1))
}

pub(super) fn failed(path: &Path, what: &str) -> Stopped {
    Stopped::Failed(format!(
        "replay {}: {what}; put back a whole copy of the directory, or cut all its logs of that shard there \
         (`truncate`), which loses what stands behind",
        path.display()
    ))
}

impl Records {
    fn new(generation: u64, shard: u16, left_out: Arc<LeftOut>) -> Self {
        Self {
            generation,
            shard,
            left_out,
            ..Self::default()
        }
    }

    /// Applies all effects to the shard of a core.
    ///
    /// # Errors
    ///
    /// One line.
    pub(super) fn apply(&self, core: &mut Core, log: &Log) -> Result<(), String> {
        let replay = core.replay.get_or_insert_with(|| {
            let counters = core.engine.shared.persistence.loaded.counters.clone();
            Box::new(Replay::new(Box::new(counters)))
        });
        let shard = &mut core.engine.host.shard;
        let mut libraries = None;
        self.apply_to(shard, replay, &mut libraries, &log.directory)?;
        if let Some(libraries) = libraries {
            let loaded = &core.engine.shared.persistence.loaded;
            loaded.libraries.with(|last| keep_later(last, libraries));
        }
        // Nobody was there to be told.
        drop(core.engine.host.shard.take_events());
        let now = core.engine.now;
        core.engine.host.shard.set_now(now);
        let loaded = &core.engine.shared.persistence.loaded;
        loaded.records.fetch_add(
            u64_from(self.records.len()),
            std::sync::atomic::Ordering::Relaxed,
        );
        Ok(())
    }

    /// Applies all effects to a shard, and to the last libraries so far.
    ///
    /// # Errors
    ///
    /// One line.
    pub(super) fn apply_to(
        &self,
        shard: &mut Shard,
        replay: &mut Replay,
        libraries: &mut Option<OrderedLibraries>,
        directory: &Path,
    ) -> Result<(), String> {
        let mut left = self.effects.as_slice();
        for &(length, at, offset) in &self.records {
            let (effects, rest) = left.split_at(length);
            left = rest;
            let mut is_left_out = false;
            for effect in Effects::new(effects) {
                let applied = match effect {
                    Ok(Effect::Part { transaction, .. }) => {
                        is_left_out = self.left_out.has(transaction);
                        continue;
                    }
                    Ok(Effect::Released { .. }) => continue,
                    Ok(_) if is_left_out => continue,
                    Ok(Effect::Libraries { number, codes }) => {
                        let codes = codes.iter().map(|code| code.to_vec()).collect();
                        keep_later(libraries, ((self.generation, number), codes));
                        continue;
                    }
                    Ok(effect) => replay
                        .apply(shard, at, &effect)
                        .map_err(|refused| refused.to_string()),
                    Err(damaged) => Err(damaged.to_string()),
                };
                applied.map_err(|error| {
                    let path = manifest::log_path(directory, self.generation, self.shard);
                    format!("replay {}: at byte {offset}: {error}", path.display())
                })?;
            }
        }
        Ok(())
    }
}

/// Keeps those libraries that are the later ones.
pub(super) fn keep_later(last: &mut Option<OrderedLibraries>, libraries: OrderedLibraries) {
    if last.as_ref().is_none_or(|last| last.0 < libraries.0) {
        *last = Some(libraries);
    }
}

/// Begins to write where the log of a core ends.
pub(super) fn end(core: &mut Core, log: &Arc<Log>, next: u64) -> Result<(), String> {
    core.replay = None;
    super::log::begin(core, log, next).map_err(|error| {
        format!(
            "begin a file in {}: {error}; make room there",
            log.directory.display()
        )
    })
}
