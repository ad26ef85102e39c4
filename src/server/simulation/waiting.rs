//! Commands that wait for lists and sorted sets, and those that work on sorted sets.
//!
//! To the model a command that waits is one that takes effect at one point between call and reply, when
//! one of its keys has something, or one that finds nothing at the end of its time ([`outcomes`]). With
//! several keys it may take from any that has something: which one became ready first is not in the
//! model.
//!
//! Not here: who is served first, which is a matter of order (`checker`).

use std::collections::BTreeMap;

use protocol::value::Value;

use super::model::{Data, Model, Run, Window, key_index};
use super::operations::{
    Draw, Operation, Wait, array, by_name, integer, lmove, operation, read, waits,
};
use super::tables::Ids;

/// The commands.
pub(super) const OPERATIONS: &[Operation] = &[
    waits(operation("BLPOP", 12, draw_pop, blpop), POP),
    waits(operation("BRPOP", 8, draw_pop, brpop), POP),
    waits(operation("BLMOVE", 8, draw_blmove, lmove), MOVE),
    operation("ZADD", 8, draw_zadd, zadd),
    operation("ZPOPMIN", 3, |it| vec![it.key('z')], zpopmin),
    read(operation("ZRANGE", 4, draw_zrange, zrange)),
    waits(operation("BZPOPMIN", 10, draw_bzpop, bzpopmin), POP),
    waits(operation("BZPOPMAX", 4, draw_bzpop, bzpopmax), POP),
    // Only in worlds that ask for it.
    read(operation(UNBLOCK, 4, draw_unblock, |_, _| Ok(integer(0)))),
];

/// The first word of `CLIENT UNBLOCK id`, which ends the waiting of a client.
pub(super) const UNBLOCK: &str = "CLIENT";

const POP: Wait = Wait {
    millis: last_seconds,
    narrow: |words| {
        let (seconds, keys) = words.split_last().expect("drawn with a timeout");
        let one = |key: &String| vec![key.clone(), seconds.clone()];
        keys.iter().map(one).collect()
    },
    ends_with_error: false,
};

/// Only the source is waited for.
const MOVE: Wait = Wait {
    millis: last_seconds,
    narrow: |words| vec![words.to_vec()],
    ends_with_error: true,
};

/// What one may be waited for: a kind of queue, and the number of the key.
pub(super) type Queue = (char, usize);

/// Where a request stands while it waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// It is served before all that come to one of these later.
    pub(super) queues: Vec<Queue>,
    /// It needs another key too, which may be in use when the first one is ready.
    pub(super) moves: bool,
}

/// Returns where a request stands, if it may wait.
pub(super) fn standing_of(words: &[String]) -> Option<Standing> {
    let wait = by_name(&words[0]).wait?;
    (wait.millis)(&words[1..])?;
    let kind = queue_kind(&words[0])?;
    let mut standing = Standing {
        queues: Vec::new(),
        moves: false,
    };
    for one in (wait.narrow)(&words[1..]) {
        let mut keys = one.iter().filter_map(|word| key_index(word));
        let key = keys.next()?;
        standing.moves |= keys.any(|other| other != key);
        standing.queues.push((kind, key));
    }
    Some(standing)
}

fn queue_kind(name: &str) -> Option<char> {
    match name {
        "BLPOP" | "BRPOP" | "BLMOVE" | "LPOP" | "LMOVE" => Some('l'),
        "BZPOPMIN" | "BZPOPMAX" | "ZPOPMIN" => Some('z'),
        "XREADGROUP" => Some('x'),
        _ => None,
    }
}

/// Returns the keys from which a request has taken something that others may wait for.
pub(super) fn taken_from(words: &[String], reply: &Value) -> Vec<Queue> {
    let Some(kind) = queue_kind(&words[0]) else {
        return Vec::new();
    };
    let named = |value: &Value| match value {
        Value::Bulk(name) => key_index(&String::from_utf8_lossy(name)),
        _ => None,
    };
    let keys: Vec<usize> = match (&*words[0], reply) {
        ("LPOP" | "LMOVE" | "BLMOVE", Value::Bulk(_)) => key_index(&words[1]).into_iter().collect(),
        ("ZPOPMIN", Value::Array(items)) if !items.is_empty() => {
            key_index(&words[1]).into_iter().collect()
        }
        ("XREADGROUP", Value::Array(streams)) => streams
            .iter()
            .filter_map(|stream| match stream {
                Value::Array(parts) => parts.first().and_then(named),
                _ => None,
            })
            .collect(),
        (_, Value::Array(items)) => items.first().and_then(named).into_iter().collect(),
        _ => Vec::new(),
    };
    keys.into_iter().map(|key| (kind, key)).collect()
}

/// Returns how long a request may wait, in nanoseconds; none if it does not wait.
pub(super) fn timeout_nanos(words: &[String]) -> Option<u64> {
    let millis = (by_name(&words[0]).wait?.millis)(&words[1..])?;
    Some(millis * 1_000_000)
}

/// Returns whether a reply says that the time of a request that waits is over.
pub(super) fn is_nothing(reply: &Value) -> bool {
    matches!(reply, Value::Null | Value::NullArray)
}

/// Returns the replies that CLIENT UNBLOCK can get: who waits is not in the model. How many were let go is looked at
/// apart.
pub(super) fn unblock_outcomes(model: &Model) -> Vec<(Value, Model)> {
    [0, 1].map(|count| (integer(count), model.clone())).to_vec()
}

/// Returns the replies that a request that may wait can get at one point, and the states after it.
pub(super) fn outcomes(
    model: &Model,
    (window, ids): (Window, &Ids),
    words: &[String],
) -> Vec<(Value, Model)> {
    let operation = by_name(&words[0]);
    let wait = operation.wait.expect("asked of those that wait");
    let run = |words: &[String]| {
        let mut model = model.clone();
        let mut run_on = Run {
            model: &mut model,
            window,
            ids,
        };
        let reply = (operation.run)(&mut run_on, words).unwrap_or_else(|error| error);
        (reply, model)
    };
    // It is answered at once, or for one key that has become ready.
    let mut outcomes = vec![run(&words[1..])];
    let narrowed = (wait.narrow)(&words[1..]);
    let woken = narrowed.iter().map(|words| run(words));
    let woken: Vec<(Value, Model)> = woken
        .filter(|(reply, _)| wait.ends_with_error || !matches!(reply, Value::Error(_)))
        .collect();
    if wait.ends_with_error
        && woken
            .iter()
            .any(|(reply, _)| matches!(reply, Value::Error(_)))
    {
        // What a reader of a group is told whose stream has gone meanwhile.
        outcomes.push((Value::Error(b"UNBLOCKED".to_vec()), model.clone()));
    }
    let has_something = woken
        .iter()
        .any(|(reply, _)| !is_nothing(reply) && !matches!(reply, Value::Error(_)));
    outcomes.extend(woken);
    outcomes.retain(|(reply, _)| !is_nothing(reply));
    outcomes.dedup();
    if !has_something {
        outcomes.push((Value::NullArray, model.clone()));
    }
    outcomes
}

// --- words ---

/// How long clients wait, in milliseconds. Not for ever: at the end everybody has an answer.
const MILLIS: [u64; 4] = [2, 20, 200, 1000];

pub(super) fn draw_millis(it: &mut Draw<'_>) -> u64 {
    MILLIS[it.random.index(MILLIS.len())]
}

fn draw_seconds(it: &mut Draw<'_>) -> String {
    let millis = draw_millis(it);
    format!("{}.{:03}", millis / 1000, millis % 1000)
}

fn last_seconds(words: &[String]) -> Option<u64> {
    let (seconds, thousandths) = words.last()?.split_once('.')?;
    let (seconds, thousandths): (u64, u64) = (seconds.parse().ok()?, thousandths.parse().ok()?);
    Some(seconds * 1000 + thousandths)
}

/// Mostly one key.
pub(super) fn draw_keys(it: &mut Draw<'_>, kind: char) -> Vec<String> {
    if it.random.below(3) == 0 {
        it.several(kind)
    } else {
        vec![it.mixed(kind)]
    }
}

fn draw_pop(it: &mut Draw<'_>) -> Vec<String> {
    let mut words = draw_keys(it, 'l');
    words.push(draw_seconds(it));
    words
}

fn draw_bzpop(it: &mut Draw<'_>) -> Vec<String> {
    let mut words = draw_keys(it, 'z');
    words.push(draw_seconds(it));
    words
}

/// Clients are numbered by the server in the order in which they have come.
fn draw_unblock(it: &mut Draw<'_>) -> Vec<String> {
    let id = 1 + it.random.below(8);
    vec!["UNBLOCK".to_owned(), id.to_string()]
}

fn draw_blmove(it: &mut Draw<'_>) -> Vec<String> {
    let ends = [it.end(), it.end()];
    let [from, to] = ends;
    vec![it.key('l'), it.mixed('l'), from, to, draw_seconds(it)]
}

fn draw_zadd(it: &mut Draw<'_>) -> Vec<String> {
    let score = it.random.below(3).to_string();
    vec![it.key('z'), score, it.member()]
}

fn draw_zrange(it: &mut Draw<'_>) -> Vec<String> {
    let words = ["0", "-1", "WITHSCORES"].map(str::to_owned);
    std::iter::once(it.key('z')).chain(words).collect()
}

// --- what they do ---

/// Takes from the first list that has something.
fn pop(run: &mut Run<'_>, words: &[String], is_head: bool) -> Result<Value, Value> {
    for key in &words[..words.len() - 1] {
        let mut items = run.list(key)?;
        if items.is_empty() {
            continue;
        }
        let index = if is_head { 0 } else { items.len() - 1 };
        let item = items.remove(index);
        run.change(key, Data::List(items));
        return Ok(array([key.as_bytes().to_vec(), item]));
    }
    Ok(Value::NullArray)
}

fn blpop(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    pop(run, words, true)
}

fn brpop(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    pop(run, words, false)
}

fn zadd(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    let mut scores = run.scores(&words[0])?;
    let score = words[1].parse().expect("drawn as a number");
    let old = scores.insert(words[2].as_bytes().to_vec(), score);
    if old != Some(score) {
        run.change(&words[0], Data::Scores(scores));
    }
    Ok(integer(usize::from(old.is_none())))
}

/// Returns the members in the order of their scores.
fn ranked(scores: &BTreeMap<Vec<u8>, i64>) -> Vec<(i64, Vec<u8>)> {
    let mut ranked: Vec<(i64, Vec<u8>)> = scores
        .iter()
        .map(|(member, score)| (*score, member.clone()))
        .collect();
    ranked.sort();
    ranked
}

/// Takes the first or last member.
fn take_ranked(
    run: &mut Run<'_>,
    key: &str,
    is_lowest: bool,
) -> Result<Option<[Vec<u8>; 2]>, Value> {
    let mut scores = run.scores(key)?;
    let ranked = ranked(&scores);
    let chosen = if is_lowest {
        ranked.first()
    } else {
        ranked.last()
    };
    let Some((score, member)) = chosen else {
        return Ok(None);
    };
    scores.remove(member);
    run.change(key, Data::Scores(scores));
    Ok(Some([member.clone(), score.to_string().into_bytes()]))
}

fn zpopmin(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    let taken = take_ranked(run, &words[0], true)?;
    Ok(array(taken.into_iter().flatten()))
}

fn bzpop(run: &mut Run<'_>, words: &[String], is_lowest: bool) -> Result<Value, Value> {
    for key in &words[..words.len() - 1] {
        if let Some(taken) = take_ranked(run, key, is_lowest)? {
            let key = key.as_bytes().to_vec();
            return Ok(array(std::iter::once(key).chain(taken)));
        }
    }
    Ok(Value::NullArray)
}

fn bzpopmin(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    bzpop(run, words, true)
}

fn bzpopmax(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    bzpop(run, words, false)
}

fn zrange(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    let scores = run.scores(&words[0])?;
    let pairs = ranked(&scores).into_iter();
    let parts = pairs.flat_map(|(score, member)| [member, score.to_string().into_bytes()]);
    Ok(array(parts))
}
