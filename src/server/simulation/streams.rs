//! Commands on streams with one consumer group, and reads that wait for entries.
//!
//! All ids begin with `1-`, so that the second half follows from the stream alone. As in Redis, who watches
//! a stream is told of its entries, not of what its group does.
//!
//! Not here: how waiting fits into the model ([`super::waiting`]).

use std::collections::BTreeMap;

use protocol::value::Value;

use super::model::{Data, Group, Run, Stream};
use super::operations::{Draw, Operation, Wait, integer, ok, operation, read, waits};
use super::waiting::{draw_keys, draw_millis};

/// The commands.
pub(super) const OPERATIONS: &[Operation] = &[
    operation("XADD", 12, draw_xadd, xadd),
    operation("XGROUP", 6, draw_xgroup, xgroup),
    waits(
        operation("XREADGROUP", 16, draw_xreadgroup, xreadgroup),
        READ_GROUP,
    ),
    waits(read(operation("XREAD", 5, draw_xread, xread)), READ),
    operation("XACK", 5, draw_xack, xack),
    read(operation("XRANGE", 2, draw_xrange, xrange)),
    read(operation(
        "XPENDING",
        3,
        |it| vec![it.key('x'), GROUP.to_owned()],
        xpending,
    )),
];

const GROUP: &str = "g";

const READ: Wait = Wait {
    millis: block_millis,
    narrow,
    ends_with_error: false,
};

const READ_GROUP: Wait = Wait {
    ends_with_error: true,
    ..READ
};

/// Returns where the keys are, which are half of the words behind STREAMS.
fn keys_at(words: &[String]) -> std::ops::Range<usize> {
    let streams = words.iter().position(|word| word == "STREAMS");
    let first = streams.map_or(words.len(), |at| at + 1);
    first..first + (words.len() - first) / 2
}

fn block_millis(words: &[String]) -> Option<u64> {
    let block = words.iter().position(|word| word == "BLOCK")?;
    words.get(block + 1)?.parse().ok()
}

fn narrow(words: &[String]) -> Vec<Vec<String>> {
    let keys = keys_at(words);
    let one = |at: usize| {
        let mut narrowed = words[..keys.start].to_vec();
        narrowed.extend([words[at].clone(), words[at + keys.len()].clone()]);
        narrowed
    };
    keys.clone().map(one).collect()
}

// --- words ---

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

fn draw_xadd(it: &mut Draw<'_>) -> Vec<String> {
    vec![
        it.key('x'),
        "1-*".to_owned(),
        "field".to_owned(),
        it.value(),
    ]
}

fn draw_xgroup(it: &mut Draw<'_>) -> Vec<String> {
    let key = it.key('x');
    if it.random.below(4) == 0 {
        return words(["DESTROY", &key, GROUP]);
    }
    let from = ["0", "$"][it.random.index(2)];
    words(["CREATE", &key, GROUP, from, "MKSTREAM"])
}

/// Appends BLOCK at times, streams, and for each what `id` gives.
fn push_streams(it: &mut Draw<'_>, to: &mut Vec<String>, id: fn(&mut Draw<'_>) -> String) {
    if it.random.below(3) > 0 {
        to.extend(["BLOCK".to_owned(), draw_millis(it).to_string()]);
    }
    to.push("STREAMS".to_owned());
    let mut keys = draw_keys(it, 'x');
    // A stream that is named twice is read twice at once, but waited for only once.
    keys.sort();
    keys.dedup();
    let ids: Vec<String> = keys.iter().map(|_| id(it)).collect();
    to.extend(keys);
    to.extend(ids);
}

fn draw_xreadgroup(it: &mut Draw<'_>) -> Vec<String> {
    let consumer = format!("c{}", it.random.below(2));
    let mut drawn = words(["GROUP", GROUP, &consumer]);
    push_streams(it, &mut drawn, |_| ">".to_owned());
    drawn
}

fn draw_id(it: &mut Draw<'_>) -> String {
    format!("1-{}", it.random.below(4))
}

fn draw_xread(it: &mut Draw<'_>) -> Vec<String> {
    let mut drawn = Vec::new();
    push_streams(it, &mut drawn, draw_id);
    drawn
}

fn draw_xack(it: &mut Draw<'_>) -> Vec<String> {
    vec![it.key('x'), GROUP.to_owned(), draw_id(it)]
}

fn draw_xrange(it: &mut Draw<'_>) -> Vec<String> {
    words([&it.key('x'), "-", "+"])
}

// --- what they do ---

fn bulk_of(text: impl Into<Vec<u8>>) -> Value {
    Value::Bulk(text.into())
}

fn id_text(id: usize) -> Value {
    bulk_of(format!("1-{id}"))
}

/// Returns the number of an id, as drawn.
fn id_of(word: &str) -> usize {
    let number = word.strip_prefix("1-").and_then(|word| word.parse().ok());
    number.expect("drawn with a number")
}

fn xadd(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    let mut stream = run.stream(&words[0])?.unwrap_or_default();
    stream.entries.push(words[3].as_bytes().to_vec());
    let id = stream.entries.len() - 1;
    run.change(&words[0], Data::Stream(stream));
    Ok(id_text(id))
}

fn xgroup(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    let existing = run.stream(&words[1])?;
    if words[0] == "DESTROY" {
        let mut stream = existing.ok_or_else(|| Value::Error(b"ERR".to_vec()))?;
        let existed = stream.group.take().is_some();
        if existed {
            run.change_unseen(&words[1], Data::Stream(stream));
        }
        return Ok(integer(usize::from(existed)));
    }
    let is_missing = existing.is_none();
    let mut stream = existing.unwrap_or_default();
    if stream.group.is_some() {
        return Err(Value::Error(b"BUSYGROUP".to_vec()));
    }
    let delivered = if words[3] == "0" && !is_missing {
        0
    } else {
        stream.entries.len()
    };
    stream.group = Some(Group {
        delivered,
        pending: BTreeMap::new(),
    });
    if is_missing {
        run.change(&words[1], Data::Stream(stream));
    } else {
        run.change_unseen(&words[1], Data::Stream(stream));
    }
    Ok(ok())
}

fn entries(stream: &Stream, from: usize) -> Value {
    let entry = |(id, value): (usize, &Vec<u8>)| {
        let fields = Value::Array(vec![bulk_of("field"), bulk_of(value.clone())]);
        Value::Array(vec![id_text(id), fields])
    };
    let entries = stream.entries.iter().enumerate().skip(from);
    Value::Array(entries.map(entry).collect())
}

fn found(replies: Vec<Value>) -> Value {
    if replies.is_empty() {
        Value::NullArray
    } else {
        Value::Array(replies)
    }
}

fn no_group() -> Value {
    Value::Error(b"NOGROUP".to_vec())
}

fn xreadgroup(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    let keys = &words[keys_at(words)];
    for key in keys {
        let stream = run.stream(key)?.ok_or_else(no_group)?;
        stream.group.ok_or_else(no_group)?;
    }
    let mut replies = Vec::new();
    for key in keys {
        let mut stream = run.stream(key)?.ok_or_else(no_group)?;
        let end = stream.entries.len();
        let group = stream.group.as_mut().ok_or_else(no_group)?;
        let from = group.delivered;
        if from == end {
            continue;
        }
        group.delivered = end;
        for id in from..end {
            group.pending.insert(id, words[2].clone());
        }
        replies.push(Value::Array(vec![
            bulk_of(key.as_str()),
            entries(&stream, from),
        ]));
        run.change_unseen(key, Data::Stream(stream));
    }
    Ok(found(replies))
}

fn xread(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    let at = keys_at(words);
    let mut replies = Vec::new();
    for (key, id) in words[at.clone()].iter().zip(&words[at.end..]) {
        let Some(stream) = run.stream(key)? else {
            continue;
        };
        let from = id_of(id) + 1;
        if from < stream.entries.len() {
            replies.push(Value::Array(vec![
                bulk_of(key.as_str()),
                entries(&stream, from),
            ]));
        }
    }
    Ok(found(replies))
}

fn xack(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    let Some(mut stream) = run.stream(&words[0])? else {
        return Ok(integer(0));
    };
    let Some(group) = &mut stream.group else {
        return Ok(integer(0));
    };
    let existed = group.pending.remove(&id_of(&words[2])).is_some();
    if existed {
        run.change_unseen(&words[0], Data::Stream(stream));
    }
    Ok(integer(usize::from(existed)))
}

fn xrange(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    let stream = run.stream(&words[0])?;
    Ok(stream.map_or(Value::Array(Vec::new()), |stream| entries(&stream, 0)))
}

/// The form that shows no times.
fn xpending(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    let stream = run.stream(&words[0])?.ok_or_else(no_group)?;
    let pending = stream.group.ok_or_else(no_group)?.pending;
    let (Some((first, _)), Some((last, _))) = (pending.first_key_value(), pending.last_key_value())
    else {
        return Ok(Value::Array(vec![
            integer(0),
            Value::Null,
            Value::Null,
            Value::NullArray,
        ]));
    };
    let mut consumers: BTreeMap<&str, usize> = BTreeMap::new();
    for consumer in pending.values() {
        *consumers.entry(consumer).or_default() += 1;
    }
    let consumer = |(name, count): (&str, usize)| {
        Value::Array(vec![bulk_of(name), bulk_of(count.to_string())])
    };
    Ok(Value::Array(vec![
        integer(pending.len()),
        id_text(*first),
        id_text(*last),
        Value::Array(consumers.into_iter().map(consumer).collect()),
    ]))
}
