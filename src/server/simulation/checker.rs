//! Looks for an order of all requests that explains their replies: strict serializability.
//!
//! The order has to keep what clients could tell: a request that was answered before another was asked
//! comes before it, and so do two requests of one connection that use the same key. In it, a server
//! that does one thing at a time has to give the replies that were given.
//! Requests whose reply was lost stand anywhere behind their beginning, or nowhere.
//!
//! Two more things are kept about requests that wait for keys, both with a margin for what a server may
//! lawfully need to notice something ([`Limits`]):
//! - One that found nothing found nothing at the end of its time, not at some point before; but for as many as
//!   CLIENT UNBLOCK has let go.
//! - One that waited at some keys comes before all that took something from one of these and were sent
//!   later: the queue at a key is in the order of arrival, and nobody overtakes it. What MULTI and scripts
//!   take is left out: they see the key before those who wait do.
//! - One that moves an element to another key may find that in use. Then what has come meanwhile may have the source
//!   before it, and before those who wait behind it; but nobody who waits behind it himself may.
//!
//! Not looked at: which of several keys a request is served from, and the order of arrival within the margin.
//!
//! The search is that of Wing and Gong ("Testing and Verifying Concurrent Objects", 1993) with the
//! memory of Lowe ("Testing for linearizability", 2017): pairs of done requests and state that led
//! nowhere are not tried again.

use base::hash::Set;
use protocol::value::Value;

use super::history::{Action, Record, line, show};
use super::model::{Dirt, Model, Run, Window, key_index};
use super::operations::{Operation, by_name};
use super::tables::Ids;
use super::waiting;

/// Requests that a history may have.
pub(super) const RECORDS_MAX: usize = 128;

/// States that are looked at before the search gives up.
const STATES_MAX: usize = 200_000;

/// What the checker knows of the world.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// How long the server may need at most, from when a client sends a request that waits until it
    /// stands in its queue, and from when a key is ready until who waits there is served: nanoseconds.
    pub(super) margin_nanos: u64,
    /// Rows of a table may lie on several shards. What one client sends about different rows by their ids keeps no
    /// order then, as with different keys.
    pub(super) are_rows_apart: bool,
}

/// What the search found.
#[derive(Debug)]
pub(super) enum Verdict {
    /// There is an order.
    Explained {
        /// Pairs of done requests and state that were looked at.
        states: usize,
    },
    /// There is none; the text says how far the longest one goes.
    Impossible(String),
    /// Too many orders to try.
    Unknown,
}

/// One request as the search needs it.
struct Item<'a> {
    record: &'a Record,
    window: Window,
    /// Bits of the keys it names.
    keys: u32,
    /// It never changes anything.
    is_read: bool,
    /// Bits of the requests that have to come before.
    before: u128,
}

struct Search<'a> {
    items: Vec<Item<'a>>,
    ids: Ids,
    /// Bits of the requests that were answered.
    answered: u128,
    seen: Set<(u128, Model)>,
    order: Vec<usize>,
    best: Vec<usize>,
    best_state: Model,
}

/// Looks for an order.
pub(super) fn check(records: &[Record], limits: Limits) -> Verdict {
    assert!(
        records.len() <= RECORDS_MAX,
        "a history fits the bits of the search"
    );
    if let Some(index) = first_hasty(records, limits) {
        let line = line(index, &records[index]);
        return Verdict::Impossible(format!("gave up too early:\n  {line}"));
    }
    let ids = match Ids::learn(records) {
        Ok(ids) => ids,
        Err(why) => return Verdict::Impossible(why),
    };
    let end = records
        .iter()
        .map(|it| it.answered_at.unwrap_or(it.asked_at))
        .max()
        .unwrap_or(0);
    let mut search = Search {
        items: records
            .iter()
            .map(|it| item(it, records, end, (limits, &ids)))
            .collect(),
        ids,
        answered: 0,
        seen: Set::default(),
        order: Vec::new(),
        best: Vec::new(),
        best_state: Model::default(),
    };
    for (index, record) in records.iter().enumerate() {
        if record.answered_at.is_some() {
            search.answered |= 1 << index;
        }
    }
    match search.go_on(0, &Model::default()) {
        Some(true) => Verdict::Explained {
            states: search.seen.len(),
        },
        Some(false) => Verdict::Impossible(search.explain()),
        None => Verdict::Unknown,
    }
}

fn item<'a>(
    record: &'a Record,
    records: &[Record],
    end: u64,
    (limits, ids): (Limits, &Ids),
) -> Item<'a> {
    let keys = keys_of(&record.action);
    let from = runs_from(record, limits);
    let taken = match (&record.action, &record.reply) {
        (Action::Command(words), Some(reply)) => waiting::taken_from(words, reply),
        _ => Vec::new(),
    };
    let mut before = 0;
    for (index, other) in records.iter().enumerate() {
        let is_earlier = other.answered_at.is_some_and(|at| at < from);
        let is_ahead = other.session == record.session
            && (other.asked_at, index) < (record.asked_at, own_index(record, records))
            && (keys_of(&other.action) & keys != 0)
            && !(limits.are_rows_apart && are_apart(ids, &other.action, &record.action));
        let is_first = !taken.is_empty() && is_due_before(other, record, &taken, records, limits);
        if is_earlier || (is_ahead || is_first) && other.answered_at.is_some() {
            before |= 1 << index;
        }
    }
    Item {
        record,
        window: Window {
            from,
            to: record.answered_at.unwrap_or(end),
        },
        keys,
        is_read: is_read(record),
        before,
    }
}

/// Returns how long a request has waited for nothing, in nanoseconds, if that is what it got.
fn waited_nanos(record: &Record) -> Option<u64> {
    match (&record.action, &record.reply) {
        (Action::Command(words), Some(reply)) if waiting::is_nothing(reply) => {
            waiting::timeout_nanos(words)
        }
        _ => None,
    }
}

/// Returns whether a request was told that there is nothing before its time was over.
fn is_hasty(record: &Record, limits: Limits) -> bool {
    let earliest = waited_nanos(record).map(|nanos| record.asked_at + nanos);
    earliest.is_some_and(|at| {
        record
            .answered_at
            .is_some_and(|answered_at| answered_at + limits.margin_nanos / 100 < at)
    })
}

/// Returns a request that was told so and that nobody has let go: there are more than CLIENT UNBLOCK has counted.
fn first_hasty(records: &[Record], limits: Limits) -> Option<usize> {
    let is_unblock = |record: &&Record| {
        let is_it =
            matches!(&record.action, Action::Command(words) if words[0] == waiting::UNBLOCK);
        is_it
            && record
                .reply
                .as_ref()
                .is_none_or(|it| *it == Value::Integer(1))
    };
    let unblocked = records.iter().filter(is_unblock).count();
    let mut hasty = (0..records.len()).filter(|index| is_hasty(&records[*index], limits));
    hasty.nth(unblocked)
}

/// Returns the earliest moment at which a request may have taken effect. One that has waited for nothing
/// did so at the end of its time.
fn runs_from(record: &Record, limits: Limits) -> u64 {
    if is_hasty(record, limits) {
        return record.asked_at;
    }
    let waited = waited_nanos(record).unwrap_or(0);
    record.asked_at + waited.saturating_sub(limits.margin_nanos)
}

/// Returns whether a request stood in one of these queues, from which `taker` has got something, when that was sent,
/// and so is served before it.
fn is_due_before(
    waiter: &Record,
    taker: &Record,
    taken: &[waiting::Queue],
    records: &[Record],
    limits: Limits,
) -> bool {
    let Some((standing, at)) = arrival(waiter, records) else {
        return false;
    };
    let is_there = at + limits.margin_nanos <= taker.asked_at
        && standing.queues.iter().any(|queue| taken.contains(queue));
    if !is_there {
        return false;
    }
    let is_mover_before = |other: &Record| {
        let Action::Command(words) = &other.action else {
            return false;
        };
        let is_before = other.asked_at < waiter.asked_at + limits.margin_nanos
            && other.answered_at.is_none_or(|at| at >= waiter.asked_at);
        is_before
            && waiting::standing_of(words).is_some_and(|other| {
                let mut queues = other.queues.iter();
                other.moves && queues.any(|queue| standing.queues.contains(queue))
            })
    };
    if !standing.moves && !records.iter().any(is_mover_before) {
        return true;
    }
    // Who has waited for so long stood in the queue behind it.
    arrival(taker, records).is_some_and(|(_, at)| {
        let answered_at = taker.answered_at.unwrap_or(at);
        answered_at >= at + 2 * limits.margin_nanos
    })
}

/// Returns where a request has waited, or would have, and when the server could take it up.
fn arrival(record: &Record, records: &[Record]) -> Option<(waiting::Standing, u64)> {
    let Action::Command(words) = &record.action else {
        return None;
    };
    let standing = waiting::standing_of(words)?;
    // What its client has sent before it comes first.
    let mut at = record.asked_at;
    for other in records {
        if std::ptr::eq(other, record) {
            break;
        }
        if other.session == record.session {
            at = at.max(other.answered_at?);
        }
    }
    Some((standing, at))
}

/// Returns whether a request has changed nothing, whatever the state was.
pub(super) fn is_read(record: &Record) -> bool {
    match &record.action {
        Action::Command(words) => by_name(&words[0]).is_read || waited_nanos(record).is_some(),
        // They begin and end watches.
        Action::Watch(_) | Action::Exec(_) => false,
    }
}

fn own_index(record: &Record, records: &[Record]) -> usize {
    let is_it = |other: &Record| std::ptr::eq(other, record);
    records.iter().position(is_it).unwrap_or(usize::MAX)
}

/// Returns whether two requests are about one row each, by its id, and these are not known to be the same.
fn are_apart(ids: &Ids, one: &Action, other: &Action) -> bool {
    let row = |action: &Action| match action {
        Action::Command(words) => ids.row_of(words),
        Action::Watch(_) | Action::Exec(_) => None,
    };
    match (row(one), row(other)) {
        (Some(one), Some(other)) => one.is_none() || one != other,
        _ => false,
    }
}

/// Returns the keys that a request names, as bits.
pub(super) fn keys_of(action: &Action) -> u32 {
    let of_words = |words: &[String]| {
        // What names no key works on all of them.
        let keys = words.iter().skip(1).filter_map(|word| key_index(word));
        let keys = keys.fold(0, |bits, index| bits | 1_u32 << index);
        if keys == 0 { u32::MAX } else { keys }
    };
    match action {
        Action::Command(words) => of_words(words),
        Action::Watch(keys) => {
            let keys = keys.iter().filter_map(|key| key_index(key));
            keys.fold(0, |bits, index| bits | 1 << index)
        }
        Action::Exec(commands) => commands
            .iter()
            .fold(0, |bits, words| bits | of_words(words)),
    }
}

impl Search<'_> {
    /// Tries all requests that may come next. Returns whether an order was found, none if it takes too
    /// long.
    fn go_on(&mut self, done: u128, state: &Model) -> Option<bool> {
        if self.order.len() > self.best.len() || self.best.is_empty() {
            self.best.clone_from(&self.order);
            self.best_state = state.clone();
        }
        if done & self.answered == self.answered {
            return Some(true);
        }
        if self.seen.len() >= STATES_MAX {
            return None;
        }
        if !self.seen.insert((done, state.clone())) {
            return Some(false);
        }
        // Those that were answered first are tried first: mostly that is the order.
        let mut changing = Vec::new();
        for index in self.candidates(done) {
            let outcomes = self.run(index, state);
            // One that fits and changes nothing, wherever it stands, may come now whatever follows.
            let is_free = self.items[index].is_read && self.answered >> index & 1 == 1;
            if is_free && outcomes.contains(state) {
                self.order.push(index);
                let is_found = self.go_on(done | 1 << index, state)?;
                if !is_found {
                    self.order.pop();
                }
                return Some(is_found);
            }
            changing.push((index, outcomes));
        }
        for (index, outcomes) in changing {
            for next in outcomes {
                self.order.push(index);
                if self.go_on(done | 1 << index, &next)? {
                    return Some(true);
                }
                self.order.pop();
            }
        }
        Some(false)
    }

    fn candidates(&self, done: u128) -> Vec<usize> {
        let is_next = |index: &usize| {
            done >> index & 1 == 0 && self.items[*index].before & !done & self.answered == 0
        };
        let mut candidates: Vec<usize> = (0..self.items.len()).filter(is_next).collect();
        candidates.sort_by_key(|index| {
            let record = self.items[*index].record;
            record.answered_at.unwrap_or(u64::MAX)
        });
        candidates
    }

    /// Returns the states after request `index` in which its reply is as it was.
    fn run(&self, index: usize, state: &Model) -> Vec<Model> {
        let outcomes = self.outcomes(index, state);
        let actual = self.items[index].record.reply.as_ref();
        let fits = |(expected, after): (Value, Model)| {
            let is_same = actual.is_none_or(|actual| is_reply(&expected, actual));
            is_same.then_some(after)
        };
        outcomes.into_iter().filter_map(fits).collect()
    }

    /// Returns the replies that request `index` may get in `state`, and the states after it.
    fn outcomes(&self, index: usize, state: &Model) -> Vec<(Value, Model)> {
        let Item {
            record,
            window,
            keys,
            ..
        } = &self.items[index];
        let session = record.session;
        let mut outcomes = Vec::new();
        for mut model in state.at(*window, keys | state.watched(session)) {
            match &record.action {
                Action::Command(words) if waiting::timeout_nanos(words).is_some() => {
                    let mut more = waiting::outcomes(&model, (*window, &self.ids), words);
                    outcomes.append(&mut more);
                }
                Action::Command(words) if words[0] == waiting::UNBLOCK => {
                    outcomes.append(&mut waiting::unblock_outcomes(&model));
                }
                Action::Command(words) => {
                    let reply = run_one(&mut model, (*window, &self.ids), words);
                    outcomes.push((reply, model));
                }
                Action::Watch(_) => {
                    model.watch(session, *keys);
                    outcomes.push((Value::Simple(b"OK".to_vec()), model));
                }
                Action::Exec(commands) => {
                    let dirt = model.end_watch(session);
                    if dirt != Dirt::Clean {
                        outcomes.push((Value::NullArray, model.clone()));
                    }
                    if dirt != Dirt::Dirty {
                        let replies = commands
                            .iter()
                            .map(|words| run_one(&mut model, (*window, &self.ids), words));
                        let reply = Value::Array(replies.collect());
                        outcomes.push((reply, model));
                    }
                }
            }
        }
        for (reply, _) in &mut outcomes {
            mark_unordered(&record.action, reply);
        }
        outcomes
    }

    /// Says how far the longest order goes, and what each request that could come next would get.
    fn explain(&self) -> String {
        use std::fmt::Write;
        let mut text = String::from("the longest order that explains the replies:\n");
        let mut done = 0;
        for &index in &self.best {
            done |= 1 << index;
            writeln!(text, "  {}", line(index, self.items[index].record)).expect("grows");
        }
        text.push_str("behind it none of these fits:\n");
        for index in self.candidates(done) {
            writeln!(text, "  {}", line(index, self.items[index].record)).expect("grows");
            for (expected, _) in self.outcomes(index, &self.best_state) {
                writeln!(text, "      would get {}", show(&expected)).expect("grows");
            }
        }
        text
    }
}

fn run_one(model: &mut Model, (window, ids): (Window, &Ids), words: &[String]) -> Value {
    let Operation { run, .. } = by_name(&words[0]);
    let mut run_on = Run { model, window, ids };
    run(&mut run_on, &words[1..]).unwrap_or_else(|error| error)
}

/// Turns the arrays of commands whose replies have no order into sets.
fn mark_unordered(action: &Action, reply: &mut Value) {
    match (action, reply) {
        (Action::Command(words), reply) if by_name(&words[0]).is_unordered => {
            if let Value::Array(items) = reply {
                *reply = Value::Set(std::mem::take(items));
            }
        }
        (Action::Exec(commands), Value::Array(replies)) => {
            for (words, reply) in commands.iter().zip(replies) {
                mark_unordered(&Action::Command(words.clone()), reply);
            }
        }
        _ => {}
    }
}

/// Returns whether a reply is what the model gives. Of errors only the first word counts.
fn is_reply(expected: &Value, actual: &Value) -> bool {
    match (expected, actual) {
        (Value::Error(expected), Value::Error(actual)) => actual.starts_with(expected),
        (Value::Array(expected), Value::Array(actual)) => {
            expected.len() == actual.len()
                && expected
                    .iter()
                    .zip(actual)
                    .all(|(expected, actual)| is_reply(expected, actual))
        }
        (Value::Set(expected), Value::Array(actual)) => {
            expected.len() == actual.len() && expected.iter().all(|item| actual.contains(item))
        }
        _ => expected == actual,
    }
}
