//! What of the logs counts: a look at all of them before they are replayed.
//!
//! ```text
//!   for each generation: a thread per shard reads records -> parts and marks
//!                        all together: transactions that are not whole (`storage::log::parts`)
//!                        logs that have lost what others rest on are cut
//! ```
//! All cuts are made before a core begins to write a new file. A start that ends in the midst leaves files
//! about which the next one decides the same. Parts that are left out stay in the files; each start leaves them out
//! again, for the same reasons.
//!
//! Not here: how it is decided (crate `storage`), the replay (`log_load`).

use std::io;
use std::path::Path;
use std::sync::mpsc::channel;

use base::hash::{Map, Set};
use runtime::file::ReadFile;
use runtime::log_file;
use storage::log::manifest::{self, Generation};
use storage::log::parts::{Said, decide};
use storage::log::record::Reader;
use types::effect::{Effect, Effects};

use super::log::Log;
use super::log_load::{Stopped, failed};

/// What is left out of the logs, by generation: the transactions that are not whole.
#[derive(Debug, Default)]
pub(super) struct LeftOut(Map<u64, Set<u64>>);

impl LeftOut {
    /// Returns whether a transaction is left out.
    pub(super) fn has(&self, generation: u64, transaction: u64) -> bool {
        let left_out = self.0.get(&generation);
        left_out.is_some_and(|left_out| left_out.contains(&transaction))
    }
}

/// Looks at all logs, and cuts those that have to be cut. O(bytes of the logs), and memory for each part.
pub(super) fn look_over(log: &Log) -> Result<LeftOut, Stopped> {
    let mut left_out = LeftOut::default();
    for generation in &log.before.generations {
        if generation.shards < 2 {
            continue;
        }
        let said = scan(log, *generation)?;
        let decided = decide(&said);
        if decided.transactions.is_empty() {
            continue;
        }
        tell(*generation, &said, &decided.transactions);
        for (shard, cut) in (0..).zip(&decided.cuts) {
            if let Some(number) = cut {
                let path = manifest::log_path(&log.directory, generation.number, shard);
                cut_before(&path, *number)?;
            }
        }
        left_out.0.insert(generation.number, decided.transactions);
    }
    Ok(left_out)
}

fn tell(generation: Generation, said: &[Vec<Said>], transactions: &Set<u64>) {
    let parts = said.iter().flatten().filter(|it| it.part_of.is_some());
    let parts = parts.filter(|it| transactions.contains(&it.transaction));
    let (parts, count) = (parts.count(), transactions.len());
    let generation = generation.number;
    tracing::warn!(
        generation,
        transactions = count,
        parts,
        "transactions over several shards were not over when the server ended, and are left out"
    );
}

/// Reads all logs of a generation, on a thread for each.
fn scan(log: &Log, generation: Generation) -> Result<Vec<Vec<Said>>, Stopped> {
    let (sender, receiver) = channel();
    for shard in 0..generation.shards {
        let path = manifest::log_path(&log.directory, generation.number, shard);
        let sender = sender.clone();
        let started = runtime::helper::start("scan", move || {
            // Nobody takes it if another one has failed.
            sender.send((shard, scan_one(&path))).ok();
        });
        started.map_err(|error| Stopped::Failed(format!("start a thread: {error}")))?;
    }
    drop(sender);
    let mut all = vec![Vec::new(); usize::from(generation.shards)];
    for (shard, said) in receiver {
        all[usize::from(shard)] = said?;
    }
    Ok(all)
}

/// Returns what one log says of transactions, up to its end, or its torn tail.
fn scan_one(path: &Path) -> Result<Vec<Said>, Stopped> {
    let mut all = Vec::new();
    each_record(path, |number, offset, effects| {
        for effect in Effects::new(effects) {
            let effect = effect.map_err(|damaged| format!("at byte {offset}: {damaged}"))?;
            let (transaction, part_of) = match effect {
                Effect::Part { transaction: 0, .. } => continue,
                Effect::Part {
                    transaction,
                    shards,
                } => (transaction, Some(shards)),
                Effect::Released { transaction } => (transaction, None),
                Effect::Put { .. }
                | Effect::Delete { .. }
                | Effect::Run { .. }
                | Effect::Clear { .. }
                | Effect::Swap { .. }
                | Effect::Libraries { .. } => continue,
            };
            all.push(Said {
                record: number,
                transaction,
                part_of,
            });
        }
        Ok(true)
    })?;
    Ok(all)
}

/// Calls `work` with number, place and effects of each record, as long as it wants more.
fn each_record(
    path: &Path,
    mut work: impl FnMut(u64, u64, &[u8]) -> Result<bool, String>,
) -> Result<(), Stopped> {
    let refused = |what: &dyn std::fmt::Display| failed(path, &what.to_string());
    let file = match ReadFile::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(|error| refused(&error))?,
    };
    let mut reader = Reader::open(file).map_err(|damage| refused(&damage))?;
    while let Some(record) = reader.record().map_err(|damage| refused(&damage))? {
        let wants_more = work(record.number, record.offset, record.effects);
        if !wants_more.map_err(|what| refused(&what))? {
            break;
        }
    }
    Ok(())
}

/// Cuts a log before a record.
fn cut_before(path: &Path, number: u64) -> Result<(), Stopped> {
    let (mut at, mut records) = (None, 0_u64);
    each_record(path, |found, offset, _| {
        if found == number {
            at = Some(offset);
        }
        records += u64::from(found >= number);
        Ok(true)
    })?;
    let Some(offset) = at else { return Ok(()) };
    tracing::warn!(
        path = %path.display(),
        offset,
        records,
        "records rest on a transaction of which another log has lost its part, and are cut off"
    );
    log_file::cut(path, offset).map_err(|error| failed(path, &error.to_string()))
}
