//! What of the logs counts: a look at all of them before they are replayed.
//!
//! ```text
//!   a thread per shard reads the records of all generations -> parts and marks
//!   all together: transactions that are not whole (`storage::log::parts`)
//!                 logs that have lost what others rest on are cut
//! ```
//! A part and its mark may lie in two generations of one run of the server. Numbers of transactions are not used
//! again by later runs: see [`first_transaction`].
//!
//! All cuts are made before a core begins to write a new file. A start that ends in the midst leaves files
//! about which the next one decides the same. Parts that are left out stay in the files; each start leaves them out
//! again, for the same reasons.
//!
//! Not here: how it is decided (crate `storage`), the replay (`log_load`).

use std::io;
use std::path::{Path, PathBuf};

use base::hash::Set;
use base::ids::TxId;
use runtime::channel::bounded;
use runtime::faults::{self, Fault};
use runtime::file::ReadFile;
use runtime::log_file;
use storage::log::manifest::{self, Manifest};
use storage::log::parts::{Said, decide};
use storage::log::record::Reader;
use types::effect::{Effect, Effects};

use super::log_load::{Stopped, failed};

/// What is left out of the logs.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    /// The transactions that are not whole.
    transactions: Set<u64>,
    /// By shard, the number of the first record that does not count, if the files were not cut there.
    ends: Vec<Option<u64>>,
}

impl LeftOut {
    /// Returns whether a transaction is left out.
    pub(super) fn has(&self, transaction: u64) -> bool {
        self.transactions.contains(&transaction)
    }

    /// Returns whether a record of a shard does not count.
    pub(super) fn has_record(&self, shard: u16, number: u64) -> bool {
        let end = self.ends.get(usize::from(shard)).copied().flatten();
        end.is_some_and(|end| number >= end)
    }
}

/// What becomes of the end of a log that does not count: a torn record, or those that rest on what is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LooseEnd {
    /// It is cut off.
    CutOff,
    /// It is an error.
    Refused,
    /// It is passed over, and the files stay as they are.
    PassedOver,
}

impl LooseEnd {
    /// Returns what a start does with it.
    pub(super) fn at_start(cuts_torn: bool) -> Self {
        if cuts_torn {
            Self::CutOff
        } else {
            Self::Refused
        }
    }
}

/// Returns the number behind which those of transactions begin, in a run of the server that begins with this
/// generation: no run before has reached it.
pub(super) fn first_transaction(generation: u64) -> TxId {
    TxId(generation << TRANSACTION_BITS)
}

/// A run of the server has fewer transactions than 2 to the power of this.
const TRANSACTION_BITS: u32 = 40;

/// Looks at all logs of a manifest, and cuts those that have to be cut. O(bytes of the logs), and memory for each
/// part. All generations have as many shards.
pub(super) fn look_over(
    directory: &Path,
    manifest: &Manifest,
    loose_end: LooseEnd,
) -> Result<LeftOut, Stopped> {
    let shards = manifest.generations.last().map_or(0, |last| last.shards);
    if shards < 2 || faults::is_on(Fault::PartsUnchecked) {
        return Ok(LeftOut::default());
    }
    let files: Vec<Vec<PathBuf>> = (0..shards)
        .map(|shard| {
            let generations = manifest.generations.iter();
            let paths = generations.map(|it| manifest::log_path(directory, it.number, shard));
            paths.collect()
        })
        .collect();
    let said = scan(&files)?;
    let decided = decide(&said);
    if decided.transactions.is_empty() {
        return Ok(LeftOut::default());
    }
    let parts = said.iter().flatten().filter(|it| it.part_of.is_some());
    let parts = parts.filter(|it| decided.transactions.contains(&it.transaction));
    let (parts, count) = (parts.count(), decided.transactions.len());
    tracing::warn!(
        transactions = count,
        parts,
        "transactions over several shards were not over when a server ended, and are left out"
    );
    let mut left_out = LeftOut {
        transactions: decided.transactions,
        ends: Vec::new(),
    };
    if loose_end == LooseEnd::PassedOver {
        left_out.ends = decided.cuts;
        return Ok(left_out);
    }
    for (files, cut) in files.iter().zip(&decided.cuts) {
        if let Some(number) = cut {
            cut_before(files, *number, loose_end == LooseEnd::CutOff)?;
        }
    }
    Ok(left_out)
}

/// Reads the logs of all shards, on a thread for each.
fn scan(files: &[Vec<PathBuf>]) -> Result<Vec<Vec<Said>>, Stopped> {
    let (sender, receiver) = bounded(files.len());
    for (shard, files) in files.iter().enumerate() {
        let (sender, files) = (sender.clone(), files.clone());
        let started = runtime::helper::start("scan", move || {
            // Nobody takes it if another one has failed.
            sender.send((shard, scan_one(&files))).ok();
        });
        started.map_err(|error| Stopped::Failed(format!("start a thread: {error}")))?;
    }
    drop(sender);
    let mut all = vec![Vec::new(); files.len()];
    while let Ok((shard, said)) = receiver.recv() {
        all[shard] = said?;
    }
    Ok(all)
}

/// Returns what one log says of transactions, in all its files, up to their ends or torn tails.
fn scan_one(files: &[PathBuf]) -> Result<Vec<Said>, Stopped> {
    let mut all = Vec::new();
    let mut take = |number, offset, effects: &[u8]| {
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
                | Effect::Libraries { .. }
                | Effect::Tables { .. } => continue,
            };
            all.push(Said {
                record: number,
                transaction,
                part_of,
            });
        }
        Ok(())
    };
    for path in files {
        each_record(path, &mut take)?;
    }
    Ok(all)
}

/// Calls `work` with number, place and effects of each record. Returns the number with which the file begins, 0 if it
/// has no head; nothing if there is no file.
fn each_record(
    path: &Path,
    mut work: impl FnMut(u64, u64, &[u8]) -> Result<(), String>,
) -> Result<Option<u64>, Stopped> {
    let refused = |what: &dyn std::fmt::Display| failed(path, &what.to_string());
    let file = match ReadFile::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|error| refused(&error))?,
    };
    let mut reader = Reader::open(file).map_err(|damage| refused(&damage))?;
    let first = reader.head().map_or(0, |head| head.first);
    while let Some(record) = reader.record().map_err(|damage| refused(&damage))? {
        let done = work(record.number, record.offset, record.effects);
        done.map_err(|what| refused(&what))?;
    }
    Ok(Some(first))
}

/// Cuts the log of a shard before a record: what comes last goes first, so that the files fit together after each
/// step.
fn cut_before(files: &[PathBuf], number: u64, may_cut: bool) -> Result<(), Stopped> {
    for path in files.iter().rev() {
        let (mut at, mut records) = (None, 0_u64);
        let first = each_record(path, |found, offset, _| {
            if found >= number {
                at.get_or_insert(offset);
                records += 1;
            }
            Ok(())
        })?;
        let offset = match (first, at) {
            // A file without its head is one that was never begun.
            (Some(first), _) if first > number => 0,
            (_, Some(offset)) => offset,
            (_, None) => continue,
        };
        if !may_cut {
            let what = "records rest on a transaction of which another log has lost its part, and \
                        aof-load-truncated no keeps them from being cut off";
            return Err(failed(path, &format!("from byte {offset} on, {what}")));
        }
        tracing::warn!(
            path = %path.display(),
            offset,
            records,
            "records rest on a transaction of which another log has lost its part, and are cut off"
        );
        log_file::cut(path, offset).map_err(|error| failed(path, &error.to_string()))?;
    }
    Ok(())
}
