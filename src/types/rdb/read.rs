//! Bytes to values, the forms that Redis 7.0 and later write.
//!
//! Elements are put into a value one by one where their order or form is free, so that the thresholds
//! of this server decide the encoding. Elements that are there twice are refused, as in Redis.
//!
//! Not here: streams (`streams.rs`), forms of older versions (`legacy.rs`).

use base::clock::UnixMillis;

use super::source::Source;
use super::{Surroundings, VERSION, kind, legacy, node_form, streams};
use crate::hash::{FieldExpiry, Growth, Hash};
use crate::intset::Intset;
use crate::list::{End, List, NodeRule};
use crate::listpack::{Element, Listpack};
use crate::set::Set;
use crate::sorted_set::SortedSet;
use crate::{Typed, Value, set, sorted_set};

/// Reads an object of a kind; nothing if it is none of this version. It may be without elements.
/// Bytes behind it stay in `source`.
pub(super) fn object(
    kind: u8,
    source: &mut Source<'_>,
    version: u16,
    around: &Surroundings<'_>,
) -> Option<Value> {
    if kind > kind::STREAM_WITH_FIGURES && version <= VERSION {
        return None;
    }
    match kind {
        kind::STRING => Some(Value::String(source.string()?.into_owned())),
        kind::LIST => typed(elements_of_list(source, around)),
        kind::LIST_NODES => typed(nodes_of_list(source, around)),
        kind::LIST_ZIPLIST => typed(legacy::list(source, 1)),
        kind::LIST_ZIPLISTS => {
            let count = source.count()?;
            typed(legacy::list(source, count))
        }
        kind::SET => typed(members(source, around)),
        kind::SET_INTSET => typed(intset(source, around)),
        kind::SET_LISTPACK => {
            let listpack = listpack(source)?;
            typed(set_of(listpack.iter(), around))
        }
        kind::HASH => typed(pairs(source, around)),
        kind::HASH_LISTPACK => typed(hash_of(listpack(source)?, around)),
        kind::HASH_ZIPLIST => typed(hash_of(legacy::ziplist(source)?, around)),
        kind::HASH_ZIPMAP => typed(hash_of(legacy::zipmap(source)?, around)),
        kind::HASH_EXPIRING => typed(expiring_pairs(source, around)),
        kind::HASH_EXPIRING_LISTPACK => typed(expiring_packed(source, around)),
        kind::SORTED_SET => typed(scored(source, Source::score, around)),
        kind::SORTED_SET_TEXT => typed(scored(source, Source::score_text, around)),
        kind::SORTED_SET_LISTPACK => {
            let rules = sorted_set::Rules::new(around.limits, around.hash_seed);
            typed(SortedSet::from_listpack(listpack(source)?, &rules))
        }
        kind::SORTED_SET_ZIPLIST => {
            let rules = sorted_set::Rules::new(around.limits, around.hash_seed);
            typed(SortedSet::from_listpack(legacy::ziplist(source)?, &rules))
        }
        kind::STREAM | kind::STREAM_WITH_FIGURES | kind::STREAM_WITH_ACTIVITY => {
            typed(streams::read(source, kind))
        }
        _ => None,
    }
}

fn typed<T: Typed>(value: Option<T>) -> Option<Value> {
    value.map(Typed::into_value)
}

/// Reads a string that is a listpack.
pub(super) fn listpack(source: &mut Source<'_>) -> Option<Listpack> {
    Listpack::from_bytes(source.string()?.into_owned()).ok()
}

fn elements_of_list(source: &mut Source<'_>, around: &Surroundings<'_>) -> Option<List> {
    let rule = NodeRule::of(around.limits);
    let mut list = List::new();
    for _ in 0..source.count()? {
        list.push(End::Tail, &*source.string()?, &rule);
    }
    Some(list)
}

fn nodes_of_list(source: &mut Source<'_>, around: &Surroundings<'_>) -> Option<List> {
    let rule = NodeRule::of(around.limits);
    let mut list = List::new();
    for _ in 0..source.count()? {
        match source.length()? {
            node_form::PLAIN => list.push(End::Tail, &*source.string()?, &rule),
            node_form::PACKED => list.push_listpack(listpack(source)?),
            _ => return None,
        }
    }
    Some(list)
}

fn members(source: &mut Source<'_>, around: &Surroundings<'_>) -> Option<Set> {
    let rules = set::Rules::new(around.limits, around.hash_seed);
    let mut set = Set::default();
    for _ in 0..source.count()? {
        if !set.add(&*source.string()?, &rules) {
            return None;
        }
    }
    Some(set)
}

fn intset(source: &mut Source<'_>, around: &Surroundings<'_>) -> Option<Set> {
    let intset = Intset::from_bytes(source.string()?.into_owned()).ok()?;
    if intset.len() <= around.limits.set_intset_entries {
        return Some(Set::from_intset(intset));
    }
    set_of(intset.iter().map(Element::Integer), around)
}

fn set_of<'a>(
    elements: impl Iterator<Item = Element<'a>>,
    around: &Surroundings<'_>,
) -> Option<Set> {
    let rules = set::Rules::new(around.limits, around.hash_seed);
    let mut set = Set::default();
    for member in elements {
        if !set.add(member, &rules) {
            return None;
        }
    }
    Some(set)
}

fn scored<'a>(
    source: &mut Source<'a>,
    score: fn(&mut Source<'a>) -> Option<f64>,
    around: &Surroundings<'_>,
) -> Option<SortedSet> {
    let rules = sorted_set::Rules::new(around.limits, around.hash_seed);
    let mut set = SortedSet::new();
    for _ in 0..source.count()? {
        let member = source.string()?;
        if set.set(&member, score(source)?, &rules).is_some() {
            return None;
        }
    }
    Some(set)
}

fn hash_of(listpack: Listpack, around: &Surroundings<'_>) -> Option<Hash> {
    Hash::from_listpack(listpack, &Growth::new(around.limits, around.hash_seed))
}

fn pairs(source: &mut Source<'_>, around: &Surroundings<'_>) -> Option<Hash> {
    let mut builder = Builder::new(around);
    for _ in 0..source.count()? {
        let field = source.string()?;
        builder.set(&field, &source.string()?, None)?;
    }
    Some(builder.hash)
}

fn expiring_pairs(source: &mut Source<'_>, around: &Surroundings<'_>) -> Option<Hash> {
    let first = source.millis().filter(|&first| first >= 0)?;
    let count = source.count().filter(|&count| count > 0)?;
    let mut builder = Builder::new(around);
    for _ in 0..count {
        let after = i64::try_from(source.length()?).ok()?;
        let expire_at = match after {
            0 => None,
            _ => Some(first.checked_add(after - 1)?),
        };
        let field = source.string()?;
        builder.set(&field, &source.string()?, expire_at)?;
    }
    Some(builder.hash)
}

fn expiring_packed(source: &mut Source<'_>, around: &Surroundings<'_>) -> Option<Hash> {
    source.millis()?;
    let triples = listpack(source)?;
    let mut elements = triples.iter();
    if triples.is_empty() {
        return None;
    }
    let mut builder = Builder::new(around);
    while let Some(field) = elements.next() {
        let (value, at) = (elements.next()?, elements.next()?.integer()?);
        let expire_at = (at != 0).then_some(at);
        field.with_bytes(|field| value.with_bytes(|value| builder.set(field, value, expire_at)))?;
    }
    Some(builder.hash)
}

/// Puts a hash together.
struct Builder<'a, 'l> {
    around: &'a Surroundings<'l>,
    growth: Growth,
    hash: Hash,
}

impl<'a, 'l> Builder<'a, 'l> {
    fn new(around: &'a Surroundings<'l>) -> Self {
        Self {
            around,
            growth: Growth::new(around.limits, around.hash_seed),
            hash: Hash::default(),
        }
    }

    /// Sets a field, unless it is dead; nothing if it is there already or dies before 1970.
    fn set(&mut self, field: &[u8], value: &[u8], expire_at: Option<i64>) -> Option<()> {
        let now = self.around.now;
        let expire_at = expire_at.map(UnixMillis);
        if let Some(at) = expire_at {
            if at.0 < 0 {
                return None;
            }
            if at < now {
                return Some(());
            }
        }
        let clear = FieldExpiry::Clear;
        if !self.hash.set(field, value, clear, &self.growth, now) {
            return None;
        }
        if expire_at.is_some() {
            self.hash.set_expiry(field, expire_at, &self.growth, now);
        }
        Some(())
    }
}
