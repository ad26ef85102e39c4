//! What a server with one thread would hold: a few keys, and who watches them.
//!
//! Keys are numbered by their names, `s0` to `x2` with anything behind: a letter for the kind of value
//! they begin with, and a digit. So a state is a small array that is quick to copy and to compare. Tables are
//! numbered behind the keys, by names that begin with `q`; no command about keys is sent with such a name.
//!
//! A key that expires does so at some moment that clients do not see, so its deadline is the span in
//! which it must lie; what is seen of the key narrows it.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use protocol::value::Value;

use super::tables::{Ids, Table};

/// Letters that keys begin with: strings, numbers, sets, lists, sorted sets, streams.
pub(super) const KINDS: [char; 6] = ['s', 'n', 't', 'l', 'z', 'x'];

/// Keys of each kind.
pub(super) const KEYS_PER_KIND: usize = 3;

/// The letter that names of tables begin with.
pub(super) const TABLE: char = 'q';

/// The number of the first table.
const FIRST_TABLE: usize = KINDS.len() * KEYS_PER_KIND;

const KEY_COUNT: usize = FIRST_TABLE + KEYS_PER_KIND;

/// How far the clock that a core goes by may be off, in nanoseconds: it is read once per turn, and in
/// whole milliseconds.
const CLOCK_SLACK: u64 = 3_000_000;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Data {
    /// A string.
    Text(Vec<u8>),
    /// A list.
    List(Vec<Vec<u8>>),
    /// A set.
    Set(BTreeSet<Vec<u8>>),
    /// A sorted set: scores by member.
    Scores(BTreeMap<Vec<u8>, i64>),
    /// A stream.
    Stream(Stream),
    /// A table.
    Table(Table),
}

/// A stream whose ids all have the same first half, so that they are told apart by the second.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Stream {
    /// Values, by id: the first has id 0, and none is ever removed.
    pub(super) entries: Vec<Vec<u8>>,
    /// Its only group, if that exists.
    pub(super) group: Option<Group>,
}

/// A consumer group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Group {
    /// How many entries of the stream have been delivered.
    pub(super) delivered: usize,
    /// Who has got what and not acknowledged it: consumers by id.
    pub(super) pending: BTreeMap<usize, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Entry {
    data: Data,
    /// The earliest and the latest moment at which it may expire, if it does.
    deadline: Option<(u64, u64)>,
}

/// Whether a watched key has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Dirt {
    /// It has not.
    Clean,
    /// It has expired, which a server may take either way.
    Unclear,
    /// It has.
    Dirty,
}

/// What one session watches.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Watch {
    session: usize,
    keys: u32,
    dirt: Dirt,
}

/// When a command may run: between the two moments.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) from: u64,
    pub(super) to: u64,
}

/// The state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Model {
    /// Shared by the states that have them in common.
    entries: [Option<Rc<Entry>>; KEY_COUNT],
    watches: Vec<Watch>,
}

/// Returns the number of a key.
pub(super) fn key_index(name: &str) -> Option<usize> {
    let mut letters = name.chars();
    let first = first_of(letters.next()?)?;
    let digit = usize::try_from(letters.next()?.to_digit(10)?).ok()?;
    (digit < KEYS_PER_KIND).then_some(first + digit)
}

/// Returns the number of the first key of a kind.
pub(super) fn first_of(kind: char) -> Option<usize> {
    if kind == TABLE {
        return Some(FIRST_TABLE);
    }
    let kind = KINDS.iter().position(|it| *it == kind)?;
    Some(kind * KEYS_PER_KIND)
}

impl Model {
    /// Returns the states in which this one may be when somebody looks at `keys` (bits) within
    /// `window`: with each of them that may have expired gone, or not yet.
    pub(super) fn at(&self, window: Window, keys: u32) -> Vec<Self> {
        let mut states = vec![self.clone()];
        for index in (0..KEY_COUNT).filter(|index| keys >> index & 1 == 1) {
            let Some((from, to)) = self.entries[index].as_ref().and_then(|it| it.deadline) else {
                continue;
            };
            if from > window.to {
                continue;
            }
            let mut gone = states.clone();
            for state in &mut gone {
                state.expire(index);
            }
            if to <= window.from {
                states = gone;
                continue;
            }
            for state in &mut states {
                if let Some(entry) = &mut state.entries[index] {
                    Rc::make_mut(entry).deadline = Some((from.max(window.from), to));
                }
            }
            states.append(&mut gone);
        }
        states
    }

    fn expire(&mut self, index: usize) {
        self.entries[index] = None;
        for watch in &mut self.watches {
            if watch.keys >> index & 1 == 1 && watch.dirt == Dirt::Clean {
                watch.dirt = Dirt::Unclear;
            }
        }
    }

    /// Has `session` watch `keys` (bits) too.
    pub(super) fn watch(&mut self, session: usize, keys: u32) {
        // A table that spreads, or gets an index, is not as it was, though no row tells of it.
        let begun = if keys >> FIRST_TABLE == 0 {
            Dirt::Clean
        } else {
            Dirt::Unclear
        };
        match self.watches.iter_mut().find(|it| it.session == session) {
            Some(watch) => {
                watch.keys |= keys;
                if watch.dirt == Dirt::Clean {
                    watch.dirt = begun;
                }
            }
            None => self.watches.push(Watch {
                session,
                keys,
                dirt: begun,
            }),
        }
        self.watches.sort_by_key(|it| it.session);
    }

    /// Returns what `session` watches, as bits.
    pub(super) fn watched(&self, session: usize) -> u32 {
        let watch = self.watches.iter().find(|it| it.session == session);
        watch.map_or(0, |it| it.keys)
    }

    /// Ends the watches of `session` and returns what became of their keys.
    pub(super) fn end_watch(&mut self, session: usize) -> Dirt {
        let Some(at) = self.watches.iter().position(|it| it.session == session) else {
            return Dirt::Clean;
        };
        self.watches.remove(at).dirt
    }

    fn changed(&mut self, index: usize) {
        for watch in &mut self.watches {
            if watch.keys >> index & 1 == 1 {
                watch.dirt = Dirt::Dirty;
            }
        }
    }
}

/// A command that runs on a model. Keys are given by name.
#[derive(Debug)]
pub(super) struct Run<'a> {
    pub(super) model: &'a mut Model,
    pub(super) window: Window,
    /// What is known of the ids of rows.
    pub(super) ids: &'a Ids,
}

impl Run<'_> {
    fn index(key: &str) -> usize {
        key_index(key).expect("operations use keys of the model")
    }

    /// Returns the value of a key.
    pub(super) fn value(&self, key: &str) -> Option<&Data> {
        let entry = self.model.entries[Self::index(key)].as_ref();
        entry.map(|it| &it.data)
    }

    /// Sets a key to a value that does not expire.
    pub(super) fn set(&mut self, key: &str, data: Data) {
        let index = Self::index(key);
        self.model.entries[index] = Some(Rc::new(Entry {
            data,
            deadline: None,
        }));
        self.model.changed(index);
    }

    /// Changes the value of a key that keeps its deadline; a list or set that becomes empty is removed.
    pub(super) fn change(&mut self, key: &str, data: Data) {
        let index = Self::index(key);
        let is_empty = match &data {
            Data::Text(_) => false,
            Data::List(items) => items.is_empty(),
            Data::Set(members) => members.is_empty(),
            Data::Scores(scores) => scores.is_empty(),
            // One without entries or rows stays.
            Data::Stream(_) | Data::Table(_) => false,
        };
        let deadline = self.model.entries[index]
            .as_ref()
            .and_then(|it| it.deadline);
        self.model.entries[index] = (!is_empty).then(|| Rc::new(Entry { data, deadline }));
        self.model.changed(index);
    }

    /// Changes the value of a key in a way that those who watch it are not told of.
    pub(super) fn change_unseen(&mut self, key: &str, data: Data) {
        if let Some(entry) = &mut self.model.entries[Self::index(key)] {
            Rc::make_mut(entry).data = data;
        }
    }

    /// Removes a key; returns whether it was there.
    pub(super) fn remove(&mut self, key: &str) -> bool {
        let index = Self::index(key);
        let existed = self.model.entries[index].take().is_some();
        if existed {
            self.model.changed(index);
        }
        existed
    }

    /// Removes all keys.
    pub(super) fn clear(&mut self) {
        for index in 0..KEY_COUNT {
            if self.model.entries[index].take().is_some() {
                self.model.changed(index);
            }
        }
    }

    /// Copies a key with its deadline onto another one.
    pub(super) fn copy(&mut self, source: &str, target: &str) {
        let entry = self.model.entries[Self::index(source)].clone();
        let index = Self::index(target);
        self.model.entries[index] = entry;
        self.model.changed(index);
    }

    /// Has a key expire after `millis`; returns whether it is there.
    pub(super) fn expire(&mut self, key: &str, millis: u64) -> bool {
        let index = Self::index(key);
        let nanos = millis * 1_000_000;
        let from = (self.window.from + nanos).saturating_sub(CLOCK_SLACK);
        let to = (self.window.to.saturating_add(nanos)).saturating_add(CLOCK_SLACK);
        let Some(entry) = &mut self.model.entries[index] else {
            return false;
        };
        Rc::make_mut(entry).deadline = Some((from, to));
        self.model.changed(index);
        true
    }

    /// Has a key not expire; returns whether it would have.
    pub(super) fn persist(&mut self, key: &str) -> bool {
        let index = Self::index(key);
        let entry = self.model.entries[index].as_mut();
        let is_volatile = entry
            .and_then(|it| Rc::make_mut(it).deadline.take())
            .is_some();
        if is_volatile {
            self.model.changed(index);
        }
        is_volatile
    }

    /// Returns a string, empty if the key is missing.
    ///
    /// # Errors
    ///
    /// What the client is told if it is something else; so for the others.
    pub(super) fn text(&self, key: &str) -> Result<Option<Vec<u8>>, Value> {
        match self.value(key) {
            None => Ok(None),
            Some(Data::Text(text)) => Ok(Some(text.clone())),
            Some(_) => Err(wrong_type()),
        }
    }

    /// Returns a list, empty if the key is missing.
    pub(super) fn list(&self, key: &str) -> Result<Vec<Vec<u8>>, Value> {
        match self.value(key) {
            None => Ok(Vec::new()),
            Some(Data::List(items)) => Ok(items.clone()),
            Some(_) => Err(wrong_type()),
        }
    }

    /// Returns a set, empty if the key is missing.
    pub(super) fn members(&self, key: &str) -> Result<BTreeSet<Vec<u8>>, Value> {
        match self.value(key) {
            None => Ok(BTreeSet::new()),
            Some(Data::Set(members)) => Ok(members.clone()),
            Some(_) => Err(wrong_type()),
        }
    }

    /// Returns a sorted set, empty if the key is missing.
    pub(super) fn scores(&self, key: &str) -> Result<BTreeMap<Vec<u8>, i64>, Value> {
        match self.value(key) {
            None => Ok(BTreeMap::new()),
            Some(Data::Scores(scores)) => Ok(scores.clone()),
            Some(_) => Err(wrong_type()),
        }
    }

    /// Returns a stream, none if the key is missing.
    pub(super) fn stream(&self, key: &str) -> Result<Option<Stream>, Value> {
        match self.value(key) {
            None => Ok(None),
            Some(Data::Stream(stream)) => Ok(Some(stream.clone())),
            Some(_) => Err(wrong_type()),
        }
    }

    /// Returns a table, none if it is missing.
    pub(super) fn table(&self, name: &str) -> Option<&Table> {
        match self.value(name) {
            Some(Data::Table(table)) => Some(table),
            _ => None,
        }
    }
}

fn wrong_type() -> Value {
    Value::Error(b"WRONGTYPE".to_vec())
}
