//! The commands that simulated clients send: how to draw one, and what it does to the model.
//!
//! This is the one place for a new one: a line in [`OPERATIONS`], or in that of [`super::waiting`],
//! [`super::streams`], [`super::scripts`], [`super::tables`] or [`super::saves`], with two functions. Values that are written differ from
//! each other, so that who reads one knows who wrote it. Commands that choose at random (`SPOP`) do not
//! fit: a model has one reply, but to those that wait.

use std::collections::BTreeSet;

use base::random::Random;
use protocol::value::Value;

use super::model::{Data, KINDS, Run, TABLE, first_of};
use super::{saves, scripts, streams, tables, waiting};

/// One command.
#[derive(Debug)]
pub(super) struct Operation {
    /// Its first word.
    pub(super) name: &'static str,
    /// How often it is drawn, compared with others.
    pub(super) weight: u64,
    /// It never changes anything.
    pub(super) is_read: bool,
    /// Its reply is an array in no certain order.
    pub(super) is_unordered: bool,
    /// How it may wait for its keys, if it may.
    pub(super) wait: Option<Wait>,
    /// Draws its words after the first.
    pub(super) draw: fn(&mut Draw<'_>) -> Vec<String>,
    /// Does to the model what the command does if it does not wait, and returns the reply; the words
    /// are those drawn.
    pub(super) run: fn(&mut Run<'_>, &[String]) -> Result<Value, Value>,
}

/// How a command waits. All functions take the words after the first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    /// How long it waits at most, in milliseconds; none if these words do not let it wait.
    pub(super) millis: fn(&[String]) -> Option<u64>,
    /// The commands that run when one of its keys is ready, one for each key.
    pub(super) narrow: fn(&[String]) -> Vec<Vec<String>>,
    /// An error ends the waiting.
    pub(super) ends_with_error: bool,
}

/// What the words of a command are drawn from.
pub(super) struct Draw<'a> {
    pub(super) random: &'a mut Random,
    /// The names of all keys, by their numbers.
    pub(super) keys: &'a [String],
    /// Keys of each kind in use: fewer are hotter.
    pub(super) spread: usize,
    /// Makes values differ.
    pub(super) serial: &'a mut u64,
    /// There are tables.
    pub(super) has_tables: bool,
}

impl Draw<'_> {
    pub(super) fn key(&mut self, kind: char) -> String {
        let digit = self.random.index(self.spread);
        self.keys[first_of(kind).unwrap_or(0) + digit].clone()
    }

    /// Mostly a key of this kind, at times of another.
    pub(super) fn mixed(&mut self, kind: char) -> String {
        if kind != TABLE && self.random.below(20) == 0 {
            let kind = KINDS[self.random.index(KINDS.len())];
            self.key(kind)
        } else {
            self.key(kind)
        }
    }

    pub(super) fn several(&mut self, kind: char) -> Vec<String> {
        let count = 2 + self.random.index(2);
        (0..count).map(|_| self.key(kind)).collect()
    }

    fn pairs(&mut self, kind: char) -> Vec<String> {
        let keys = self.several(kind);
        keys.into_iter()
            .flat_map(|key| [key, self.value()])
            .collect()
    }

    pub(super) fn value(&mut self) -> String {
        *self.serial += 1;
        format!("v{}", self.serial)
    }

    pub(super) fn member(&mut self) -> String {
        format!("m{}", self.random.below(3))
    }

    pub(super) fn end(&mut self) -> String {
        ["LEFT", "RIGHT"][self.random.index(2)].to_owned()
    }
}

/// Declares one command.
pub(super) const fn operation(
    name: &'static str,
    weight: u64,
    draw: fn(&mut Draw<'_>) -> Vec<String>,
    run: fn(&mut Run<'_>, &[String]) -> Result<Value, Value>,
) -> Operation {
    Operation {
        name,
        weight,
        is_read: false,
        is_unordered: false,
        wait: None,
        draw,
        run,
    }
}

pub(super) const fn read(operation: Operation) -> Operation {
    Operation {
        is_read: true,
        ..operation
    }
}

pub(super) const fn waits(operation: Operation, wait: Wait) -> Operation {
    Operation {
        wait: Some(wait),
        ..operation
    }
}

const fn unordered(operation: Operation) -> Operation {
    Operation {
        is_unordered: true,
        ..operation
    }
}

/// Returns all commands about keys.
pub(super) fn about_keys() -> impl Iterator<Item = &'static Operation> {
    let tables = [
        OPERATIONS,
        waiting::OPERATIONS,
        streams::OPERATIONS,
        scripts::OPERATIONS,
    ];
    tables.into_iter().flatten()
}

/// Returns all commands.
fn all() -> impl Iterator<Item = &'static Operation> {
    about_keys()
        .chain(tables::OPERATIONS)
        .chain(saves::OPERATIONS)
}

/// Commands on strings, numbers, sets and lists.
const OPERATIONS: &[Operation] = &[
    read(operation("GET", 10, |it| vec![it.mixed('s')], get)),
    operation("SET", 10, |it| vec![it.key('s'), it.value()], set),
    operation("PSETEX", 3, draw_psetex, psetex),
    operation("SETNX", 3, |it| vec![it.key('s'), it.value()], setnx),
    operation("GETDEL", 2, |it| vec![it.key('s')], getdel),
    operation("APPEND", 6, |it| vec![it.key('s'), it.value()], append),
    operation("INCR", 10, |it| vec![it.key('n')], incr),
    operation("DEL", 4, draw_del, del),
    read(operation("EXISTS", 4, |it| it.several('s'), exists)),
    read(operation("MGET", 10, |it| it.several('s'), mget)),
    operation("MSET", 10, |it| it.pairs('s'), mset),
    operation("MSETNX", 3, |it| it.pairs('s'), msetnx),
    operation("RENAME", 6, draw_pair, rename),
    operation("RENAMENX", 3, draw_pair, renamenx),
    operation("COPY", 6, draw_copy, copy),
    operation("PEXPIRE", 3, draw_pexpire, pexpire),
    operation("PERSIST", 2, |it| vec![it.key('s')], persist),
    operation("FLUSHALL", 1, |_| Vec::new(), flushall),
    operation("SADD", 8, |it| vec![it.key('t'), it.member()], sadd),
    operation("SREM", 4, |it| vec![it.key('t'), it.member()], srem),
    read(unordered(operation(
        "SMEMBERS",
        6,
        |it| vec![it.key('t')],
        smembers,
    ))),
    operation("SMOVE", 8, draw_smove, smove),
    operation("SINTERSTORE", 6, |it| it.several('t'), sinterstore),
    operation("SUNIONSTORE", 4, |it| it.several('t'), sunionstore),
    read(unordered(operation(
        "SUNION",
        4,
        |it| it.several('t'),
        sunion,
    ))),
    operation("RPUSH", 8, |it| vec![it.key('l'), it.value()], rpush),
    operation("LPOP", 4, |it| vec![it.key('l')], lpop),
    operation("LMOVE", 10, draw_lmove, lmove),
    read(operation("LRANGE", 6, draw_lrange, lrange)),
];

/// Returns the command that begins with `name`.
pub(super) fn by_name(name: &str) -> &'static Operation {
    let operation = all().find(|it| it.name == name);
    operation.expect("clients send what is declared here")
}

/// Returns a command that shows all of a key of this kind.
pub(super) fn show(kind: char, key: &str) -> Vec<String> {
    let words: &[&str] = match kind {
        't' => &["SMEMBERS", key],
        'l' => &["LRANGE", key, "0", "-1"],
        'z' => &["ZRANGE", key, "0", "-1", "WITHSCORES"],
        'x' => &["XRANGE", key, "-", "+"],
        TABLE => return tables::show(key),
        _ => &["GET", key],
    };
    words.iter().copied().map(str::to_owned).collect()
}

// --- words ---

fn draw_psetex(it: &mut Draw<'_>) -> Vec<String> {
    vec![it.key('s'), draw_millis(it), it.value()]
}

fn draw_millis(it: &mut Draw<'_>) -> String {
    (1 + it.random.below(40)).to_string()
}

fn draw_pexpire(it: &mut Draw<'_>) -> Vec<String> {
    vec![it.mixed('s'), draw_millis(it)]
}

fn draw_del(it: &mut Draw<'_>) -> Vec<String> {
    let kind = KINDS[it.random.index(KINDS.len())];
    if it.random.below(2) == 0 {
        it.several(kind)
    } else {
        vec![it.key(kind)]
    }
}

fn draw_pair(it: &mut Draw<'_>) -> Vec<String> {
    let kind = KINDS[it.random.index(KINDS.len())];
    vec![it.mixed(kind), it.mixed(kind)]
}

fn draw_copy(it: &mut Draw<'_>) -> Vec<String> {
    let mut words = draw_pair(it);
    if it.random.below(2) == 0 {
        words.push("REPLACE".to_owned());
    }
    words
}

fn draw_smove(it: &mut Draw<'_>) -> Vec<String> {
    vec![it.key('t'), it.key('t'), it.member()]
}

fn draw_lmove(it: &mut Draw<'_>) -> Vec<String> {
    vec![it.key('l'), it.key('l'), it.end(), it.end()]
}

fn draw_lrange(it: &mut Draw<'_>) -> Vec<String> {
    vec![it.key('l'), "0".to_owned(), "-1".to_owned()]
}

// --- what they do ---

pub(super) fn ok() -> Value {
    Value::Simple(b"OK".to_vec())
}

pub(super) fn integer(number: usize) -> Value {
    Value::Integer(i64::try_from(number).expect("counts of a test are small"))
}

pub(super) fn bulk(text: Option<Vec<u8>>) -> Value {
    text.map_or(Value::Null, Value::Bulk)
}

fn text(word: &str) -> Data {
    Data::Text(word.as_bytes().to_vec())
}

pub(super) fn get(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    run.text(&words[0]).map(bulk)
}

pub(super) fn set(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    run.set(&words[0], text(&words[1]));
    Ok(ok())
}

fn psetex(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    run.set(&words[0], text(&words[2]));
    run.expire(&words[0], words[1].parse().expect("drawn as a number"));
    Ok(ok())
}

fn setnx(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    if run.value(&words[0]).is_some() {
        return Ok(integer(0));
    }
    run.set(&words[0], text(&words[1]));
    Ok(integer(1))
}

fn getdel(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    let old = run.text(&words[0])?;
    run.remove(&words[0]);
    Ok(bulk(old))
}

pub(super) fn append(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    let mut whole = run.text(&words[0])?.unwrap_or_default();
    whole.extend_from_slice(words[1].as_bytes());
    let len = whole.len();
    run.change(&words[0], Data::Text(whole));
    Ok(integer(len))
}

pub(super) fn incr(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    let old = run.text(&words[0])?.unwrap_or_else(|| b"0".to_vec());
    let old = String::from_utf8(old).ok().and_then(|it| it.parse().ok());
    let Some(old) = old else {
        return Err(Value::Error(b"ERR".to_vec()));
    };
    let new: i64 = old;
    let new = new + 1;
    run.change(&words[0], text(&new.to_string()));
    Ok(Value::Integer(new))
}

fn del(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    Ok(integer(words.iter().filter(|key| run.remove(key)).count()))
}

fn exists(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    let there = words.iter().filter(|key| run.value(key).is_some());
    Ok(integer(there.count()))
}

fn mget(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    let values = words
        .iter()
        .map(|key| run.text(key).map_or(Value::Null, bulk));
    Ok(Value::Array(values.collect()))
}

fn mset(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    for pair in words.chunks(2) {
        run.set(&pair[0], text(&pair[1]));
    }
    Ok(ok())
}

fn msetnx(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    if words.chunks(2).any(|pair| run.value(&pair[0]).is_some()) {
        return Ok(integer(0));
    }
    mset(run, words)?;
    Ok(integer(1))
}

fn no_such_key() -> Value {
    Value::Error(b"ERR".to_vec())
}

fn rename(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    if run.value(&words[0]).is_none() {
        return Err(no_such_key());
    }
    if words[0] != words[1] {
        run.copy(&words[0], &words[1]);
        run.remove(&words[0]);
    }
    Ok(ok())
}

fn renamenx(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    if run.value(&words[0]).is_none() {
        return Err(no_such_key());
    }
    if run.value(&words[1]).is_some() {
        return Ok(integer(0));
    }
    rename(run, words)?;
    Ok(integer(1))
}

fn copy(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    if words[0] == words[1] {
        return Err(Value::Error(b"ERR".to_vec()));
    }
    let is_free = words.len() > 2 || run.value(&words[1]).is_none();
    if run.value(&words[0]).is_none() || !is_free {
        return Ok(integer(0));
    }
    run.copy(&words[0], &words[1]);
    Ok(integer(1))
}

fn pexpire(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    let millis = words[1].parse().expect("drawn as a number");
    Ok(integer(usize::from(run.expire(&words[0], millis))))
}

fn persist(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    Ok(integer(usize::from(run.persist(&words[0]))))
}

fn flushall(run: &mut Run<'_>, _: &[String]) -> Result<Value, Value> {
    run.clear();
    Ok(ok())
}

fn sadd(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    let mut members = run.members(&words[0])?;
    let is_new = members.insert(words[1].as_bytes().to_vec());
    if is_new {
        run.change(&words[0], Data::Set(members));
    }
    Ok(integer(usize::from(is_new)))
}

fn srem(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    let mut members = run.members(&words[0])?;
    let existed = members.remove(words[1].as_bytes());
    if existed {
        run.change(&words[0], Data::Set(members));
    }
    Ok(integer(usize::from(existed)))
}

pub(super) fn array(members: impl IntoIterator<Item = Vec<u8>>) -> Value {
    Value::Array(members.into_iter().map(Value::Bulk).collect())
}

fn smembers(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    run.members(&words[0]).map(array)
}

fn smove(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    if run.value(&words[0]).is_none() {
        return Ok(integer(0));
    }
    let mut source = run.members(&words[0])?;
    let mut target = run.members(&words[1])?;
    let member = words[2].as_bytes().to_vec();
    if words[0] == words[1] {
        return Ok(integer(usize::from(source.contains(&member))));
    }
    if !source.remove(&member) {
        return Ok(integer(0));
    }
    run.change(&words[0], Data::Set(source));
    if target.insert(member) {
        run.change(&words[1], Data::Set(target));
    }
    Ok(integer(1))
}

fn store(run: &mut Run<'_>, key: &str, members: BTreeSet<Vec<u8>>) -> Value {
    let count = members.len();
    if members.is_empty() {
        run.remove(key);
    } else {
        run.set(key, Data::Set(members));
    }
    integer(count)
}

fn sinterstore(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    let mut sets = Vec::new();
    for key in &words[1..] {
        sets.push(run.members(key)?);
    }
    let joined = sets.into_iter().reduce(|one, other| &one & &other);
    Ok(store(run, &words[0], joined.unwrap_or_default()))
}

fn union(run: &Run<'_>, keys: &[String]) -> Result<BTreeSet<Vec<u8>>, Value> {
    let mut joined = BTreeSet::new();
    for key in keys {
        joined.append(&mut run.members(key)?);
    }
    Ok(joined)
}

fn sunionstore(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    let joined = union(run, &words[1..])?;
    Ok(store(run, &words[0], joined))
}

fn sunion(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    union(run, words).map(array)
}

pub(super) fn rpush(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    let mut items = run.list(&words[0])?;
    items.push(words[1].as_bytes().to_vec());
    let count = items.len();
    run.change(&words[0], Data::List(items));
    Ok(integer(count))
}

pub(super) fn lpop(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    let mut items = run.list(&words[0])?;
    if items.is_empty() {
        return Ok(Value::Null);
    }
    let item = items.remove(0);
    run.change(&words[0], Data::List(items));
    Ok(Value::Bulk(item))
}

pub(super) fn lmove(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    let mut source = run.list(&words[0])?;
    if source.is_empty() {
        return Ok(Value::Null);
    }
    run.list(&words[1])?;
    let item = if words[2] == "LEFT" {
        source.remove(0)
    } else {
        source.pop().expect("not empty")
    };
    // One key in both places is rotated: it is never empty, and keeps its deadline.
    let is_rotated = words[0] == words[1];
    let mut target = if is_rotated {
        source.clone()
    } else {
        run.list(&words[1])?
    };
    if words[3] == "LEFT" {
        target.insert(0, item.clone());
    } else {
        target.push(item.clone());
    }
    if !is_rotated {
        run.change(&words[0], Data::List(source));
    }
    run.change(&words[1], Data::List(target));
    Ok(Value::Bulk(item))
}

fn lrange(run: &mut Run<'_>, words: &[String]) -> Result<Value, Value> {
    run.list(&words[0]).map(array)
}
