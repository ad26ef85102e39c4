//! Commands that save, and what a file of a save has to have.
//!
//! They change nothing that clients see, and what they are told depends on what else is under way; so they are no part
//! of the history that a model explains ([`is_one`]).
//!
//! A file has the data of one moment: all that was answered before it, nothing that was asked for behind it, and of the
//! rest what fits into one order. [`check`] looks for such a moment.

use protocol::value::Value;

use super::checker::{self, Verdict};
use super::history::{Action, Record};
use super::node::Outcome;
use super::operations::{Operation, ok, operation};

/// The commands.
pub(super) const OPERATIONS: &[Operation] = &[
    operation("SAVE", 3, |_| Vec::new(), |_, _| Ok(ok())),
    operation("BGSAVE", 4, |_| Vec::new(), |_, _| Ok(ok())),
    operation("BGREWRITEAOF", 6, |_| Vec::new(), |_, _| Ok(ok())),
];

/// Returns whether a command is one of these.
pub(super) fn is_one(name: &str) -> bool {
    OPERATIONS.iter().any(|it| it.name == name)
}

/// Returns whether a request is one of these.
pub(super) fn is_save(record: &Record) -> bool {
    matches!(&record.action, Action::Command(words) if is_one(&words[0]))
}

/// When the file that is there was made: between the two.
fn span_of_file(saves: &[&Record], crash_at: u64) -> (u64, u64) {
    let is_done = |it: &&&Record| it.reply == Some(ok()) && it.answered_at < Some(crash_at);
    let done = saves.iter().filter(is_done).max_by_key(|it| it.answered_at);
    let Some(done) = done else {
        return (0, crash_at);
    };
    // One that was asked for later may have taken its place, whatever its client was told.
    let is_later = |it: &&Record| {
        !std::ptr::eq(*it, *done) && it.answered_at.is_none_or(|at| at > done.asked_at)
    };
    let end = if saves.iter().any(is_later) {
        crash_at
    } else {
        done.answered_at.unwrap_or(crash_at)
    };
    (done.asked_at, end)
}

/// Looks for a moment before `crash_at` whose data explains what was read behind it.
pub(super) fn check(outcome: &Outcome, crash_at: u64) -> Verdict {
    let (saves, others): (Vec<&Record>, Vec<&Record>) =
        outcome.records.iter().partition(|it| is_save(it));
    let (before, after): (Vec<&Record>, Vec<&Record>) =
        others.into_iter().partition(|it| it.asked_at < crash_at);
    let before: Vec<Record> = before.into_iter().cloned().collect();
    match checker::check(&before, outcome.limits) {
        Verdict::Explained { .. } => {}
        other => return other,
    }
    let (from, to) = span_of_file(&saves, crash_at);
    let events = before
        .iter()
        .flat_map(|it| [Some(it.asked_at), it.answered_at]);
    let mut moments: Vec<u64> = events
        .flatten()
        .filter(|at| (from..=to).contains(at))
        .collect();
    moments.extend([from, to]);
    if !saves.iter().any(|it| it.reply == Some(ok())) {
        // There may be no file.
        moments.push(0);
    }
    moments.sort_unstable();
    moments.dedup();
    let mut last = Verdict::Unknown;
    for moment in moments {
        let mut known: Vec<Record> = before.iter().filter_map(|it| until(it, moment)).collect();
        known.extend(after.iter().map(|it| (*it).clone()));
        match checker::check(&known, outcome.limits) {
            found @ (Verdict::Explained { .. } | Verdict::Unknown) => return found,
            none @ Verdict::Impossible(_) => last = none,
        }
    }
    match last {
        Verdict::Impossible(why) => Verdict::Impossible(format!(
            "the file of a save between {from} and {to} ns has the data of no moment; of the last one:\n{why}"
        )),
        other => other,
    }
}

/// Returns what is known of a request at a moment: nothing if it was not there.
fn until(record: &Record, moment: u64) -> Option<Record> {
    if record.asked_at >= moment {
        return None;
    }
    if record.answered_at.is_some_and(|at| at <= moment) {
        return Some(record.clone());
    }
    Some(Record {
        answered_at: None,
        reply: None::<Value>,
        ..record.clone()
    })
}
