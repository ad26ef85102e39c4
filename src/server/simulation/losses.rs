//! What a history with crashes has to be: as if only connections had been cut, but for what a crash may take.
//!
//! Requests whose keys have nothing to do with each other are looked at apart: an order of each group that goes with the
//! times is one of all.
//!
//! Not here: when something may be lost ([`super::disk`]), files of saves ([`super::saves`]).

use protocol::value::Value;

use super::checker::{self, Verdict, is_read, keys_of};
use super::client::is_refusal;
use super::history::{Action, Record};
use super::node::{Kept, Outcome};
use super::saves;

/// Acknowledged changes that a crash may have taken: those that were answered from the first moment on, and
/// asked for before the second, that of the crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Loss {
    pub(super) from: u64,
    pub(super) to: u64,
}

/// Looks for an order that explains what was seen.
pub(super) fn check(outcome: &Outcome) -> Verdict {
    let records = outcome.records.iter();
    let told: Vec<Record> = records
        .filter(|it| !saves::is_save(it) && !is_preparation(it))
        .filter_map(without_refusal)
        .filter(|it| it.answered_at.is_some() || !is_read(it))
        .collect();
    match &outcome.kept {
        Kept::All => check_groups(&told, outcome),
        Kept::Saved { crash_at } => {
            let mut outcome = outcome.clone();
            outcome.records.retain(saves::is_save);
            outcome.records.extend(told);
            saves::check(&outcome, *crash_at)
        }
        Kept::AllBut(losses) => check_with(losses, &told, outcome),
    }
}

/// Returns whether a request makes functions known, before all others.
fn is_preparation(record: &Record) -> bool {
    matches!(&record.action, Action::Command(words) if words[0] == "FUNCTION")
}

/// Returns a request as it counts if it was refused because the disk takes no writes: not at all, or as an EXEC that
/// does nothing but end what its client watches, or leaves out those scripts that wanted to write.
fn without_refusal(record: &Record) -> Option<Record> {
    if let (Action::Exec(commands), Some(Value::Array(replies))) = (&record.action, &record.reply) {
        let done = commands
            .iter()
            .zip(replies)
            .filter(|(_, it)| !is_refusal(it));
        let (commands, replies) = done.map(|(words, it)| (words.clone(), it.clone())).unzip();
        return Some(Record {
            action: Action::Exec(commands),
            reply: Some(Value::Array(replies)),
            ..record.clone()
        });
    }
    if !record.reply.as_ref().is_some_and(is_refusal) {
        return Some(record.clone());
    }
    match &record.action {
        Action::Exec(_) => Some(Record {
            action: Action::Exec(Vec::new()),
            reply: None::<Value>,
            answered_at: None,
            ..record.clone()
        }),
        Action::Command(_) | Action::Watch(_) => None,
    }
}

fn check_with(losses: &[Loss], records: &[Record], outcome: &Outcome) -> Verdict {
    let Some(first) = losses.first() else {
        return check_groups(records, outcome);
    };
    // Before the first crash nothing is lost.
    let before = records.iter().filter(|it| it.asked_at < first.to);
    let before: Vec<Record> = before.cloned().collect();
    match check_groups(&before, outcome) {
        Verdict::Explained { .. } => {}
        other => return other,
    }
    // Behind it a change that may be lost is one that nobody knows of.
    let is_lossy = |record: &Record| {
        let lost = |loss: &Loss| {
            let answered = record.answered_at.is_some_and(|at| at >= loss.from);
            answered && record.asked_at < loss.to
        };
        losses.iter().any(lost)
    };
    let mut known = Vec::new();
    for record in records {
        if !is_lossy(record) {
            known.push(record.clone());
        } else if !is_read(record) {
            known.push(Record {
                answered_at: None,
                reply: None,
                ..record.clone()
            });
        }
    }
    check_groups(&known, outcome)
}

/// Looks for an order of each group of requests.
fn check_groups(records: &[Record], outcome: &Outcome) -> Verdict {
    let mut states = 0;
    for group in groups(records) {
        match checker::check(&group, outcome.limits) {
            Verdict::Explained { states: more } => states += more,
            other => return other,
        }
    }
    Verdict::Explained { states }
}

/// Takes requests apart whose keys are never named by one request, or watched for one.
fn groups(records: &[Record]) -> Vec<Vec<Record>> {
    let keys: Vec<u32> = records
        .iter()
        .map(|it| keys_with_watched(it, records))
        .collect();
    let mut sets: Vec<u32> = Vec::new();
    for &bits in &keys {
        let mut joined = bits;
        sets.retain(|set| {
            let meets = set & joined != 0;
            if meets {
                joined |= set;
            }
            !meets
        });
        sets.push(joined);
    }
    let mut groups = vec![Vec::new(); sets.len()];
    for (record, bits) in records.iter().zip(&keys) {
        let at = sets.iter().position(|set| set & bits != 0);
        groups[at.unwrap_or(0)].push(record.clone());
    }
    groups
}

/// Returns the keys of a request, and of all that its session does with watched keys.
fn keys_with_watched(record: &Record, records: &[Record]) -> u32 {
    let is_plain = |it: &Record| matches!(it.action, Action::Command(_));
    if is_plain(record) {
        return keys_of(&record.action);
    }
    let same = records
        .iter()
        .filter(|it| it.session == record.session && !is_plain(it));
    same.fold(0, |bits, it| bits | keys_of(&it.action))
}
