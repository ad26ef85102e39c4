//! Streams against a model, and their memory.

use std::collections::BTreeMap;

use base::random::Random;

use super::group::{Claim, Group, Reading};
use super::id::Id;
use super::log::{Figures, Keep, Log, NewId, Refused, Trim};
use super::node::Entry;
use super::*;
use crate::Limits;

/// Fields and values of an entry.
type ModelPairs = Vec<(Vec<u8>, Vec<u8>)>;

type Model = BTreeMap<Id, ModelPairs>;

fn seed() -> u64 {
    let seed = std::env::var("SEED").map_or(23, |text| text.parse().unwrap());
    println!("SEED={seed}");
    seed
}

fn limits(bytes: usize, entries: usize) -> Limits {
    Limits {
        stream_node_bytes: bytes,
        stream_node_entries: entries,
        ..Limits::default()
    }
}

fn append(log: &mut Log, wanted: NewId, pairs: &[(&[u8], &[u8])], limits: &Limits) -> Id {
    log.append(wanted, pairs.len(), &|index| pairs[index], limits)
        .unwrap()
}

fn pairs_of(entry: Entry<'_>) -> ModelPairs {
    assert_eq!(entry.pairs().count(), entry.pair_count());
    entry
        .pairs()
        .map(|(field, value)| (field.to_vec(), value.to_vec()))
        .collect()
}

fn model_range(model: &Model, start: Id, end: Id) -> Vec<(Id, ModelPairs)> {
    if start > end {
        return Vec::new();
    }
    let entries = model.range(start..=end);
    entries.map(|(id, pairs)| (*id, pairs.clone())).collect()
}

fn check(log: &Log, model: &Model, random: &mut Random) {
    assert_eq!(log.len(), model.len() as u64);
    let first = model.keys().next().copied().unwrap_or_default();
    assert_eq!(log.first_id(), first);
    let pick = |random: &mut Random| Id::new(random.below(60), random.below(4));
    for _ in 0..4 {
        let (start, end) = (pick(random), pick(random));
        let mut expected = model_range(model, start, end);
        let found: Vec<_> = log
            .range(start, end)
            .map(|entry| (entry.id, pairs_of(entry)))
            .collect();
        assert_eq!(found, expected, "{start:?} {end:?}");
        assert_eq!(
            log.count(start, end),
            expected.len() as u64,
            "{start:?} {end:?}"
        );
        expected.reverse();
        let found: Vec<_> = log
            .range_back(end, start)
            .map(|entry| (entry.id, pairs_of(entry)))
            .collect();
        assert_eq!(found, expected, "{start:?} {end:?}");
        let found = log.entry(start).map(pairs_of);
        assert_eq!(found.as_ref(), model.get(&start));
    }
    let last = log.last().map(|entry| entry.id);
    assert_eq!(last, model.keys().next_back().copied());
}

fn random_pairs(random: &mut Random) -> ModelPairs {
    let fields: &[&[u8]] = &[b"name", b"age", b"", b"17"];
    let count = 1 + random.index(3);
    let same = random.below(2) == 0;
    (0..count)
        .map(|index| {
            let field = fields[if same { index } else { random.index(4) }];
            let value = match random.below(4) {
                0 => random.next_u64().to_string().into_bytes(),
                1 => random.below(300).to_string().into_bytes(),
                2 => vec![b'x'; random.index(100)],
                _ => vec![0xFF; random.index(5)],
            };
            (field.to_vec(), value)
        })
        .collect()
}

fn random_append(log: &mut Log, model: &mut Model, random: &mut Random, limits: &Limits) {
    let pairs = random_pairs(random);
    let pair = |index: usize| (&*pairs[index].0, &*pairs[index].1);
    let wanted = match random.below(3) {
        0 => NewId::Next {
            now_ms: random.below(60),
        },
        1 => NewId::At {
            ms: random.below(60),
        },
        _ => NewId::Exactly(Id::new(random.below(60), random.below(4))),
    };
    let last = log.last_id();
    let added = log.append(wanted, pairs.len(), &pair, limits);
    match added {
        Ok(id) => {
            assert!(id > last);
            assert_eq!(log.last_id(), id);
            model.insert(id, pairs);
        }
        Err(refused) => {
            assert_eq!(refused, Refused::NotAbove);
            assert_eq!(log.last_id(), last);
        }
    }
}

fn random_trim(log: &mut Log, model: &mut Model, random: &mut Random) {
    let trim = Trim {
        keep: match random.below(2) {
            0 => Keep::Last(random.below(20)),
            _ => Keep::From(Id::new(random.below(60), random.below(4))),
        },
        is_approximate: random.below(2) == 0,
        limit: random.below(2) * random.below(10),
    };
    let removed = log.trim(trim);
    for _ in 0..removed {
        let (id, _) = model.pop_first().unwrap();
        assert!(!matches!(trim.keep, Keep::From(from) if id >= from));
    }
    let is_exact = !trim.is_approximate && trim.limit == 0;
    match trim.keep {
        Keep::Last(len) if is_exact => assert!(log.len() <= len),
        Keep::From(from) if is_exact => assert!(model.keys().all(|id| *id >= from)),
        Keep::Last(len) if removed > 0 => assert!(log.len() >= len),
        Keep::Last(_) | Keep::From(_) => {}
    }
}

#[test]
fn entries_are_those_of_an_ordered_map() {
    let mut random = Random::new(seed());
    for round in 0..60 {
        let limits = [limits(4096, 100), limits(0, 0), limits(60, 0), limits(0, 3)][round % 4];
        let mut log = Log::default();
        let mut model = Model::new();
        let mut added = 0;
        for _ in 0..120 {
            let before = model.len();
            match random.below(10) {
                0..7 => {
                    random_append(&mut log, &mut model, &mut random, &limits);
                    added += model.len() - before;
                }
                7..9 => {
                    let ids = [0; 2].map(|_| Id::new(random.below(60), random.below(4)));
                    let gone = ids.iter().filter(|id| model.remove(id).is_some()).count();
                    assert_eq!(log.delete(ids.into_iter()), gone);
                }
                _ => random_trim(&mut log, &mut model, &mut random),
            }
            check(&log, &model, &mut random);
            assert_eq!(log.entries_added(), added as u64);
            let filed = log.allocated_bytes() - log.counted_node_bytes();
            assert!(filed < 8192, "{filed}");
        }
        assert_eq!(log, log.clone());
        let figures = Figures {
            len: log.len(),
            last_id: log.last_id(),
            max_deleted_id: log.max_deleted_id(),
            entries_added: log.entries_added(),
        };
        let nodes = log.nodes().map(|(id, node)| (id, node.into_owned()));
        assert_eq!(Log::from_nodes(nodes.collect(), &figures), Some(log));
    }
}

#[test]
fn nodes_end_at_the_limits() {
    let pairs: [(&[u8], &[u8]); 1] = [(b"field", b"value")];
    let next = NewId::Next { now_ms: 1 };
    let mut log = Log::default();
    for _ in 0..10 {
        append(&mut log, next, &pairs, &limits(0, 4));
    }
    assert_eq!(log.node_count(), 3);
    let mut log = Log::default();
    for _ in 0..100 {
        append(&mut log, next, &pairs, &limits(0, 0));
    }
    assert_eq!(log.node_count(), 1);
}

/// The payload that DUMP of redis-server 7.0.15 shows for the same entries.
#[test]
fn nodes_have_the_bytes_of_redis() {
    let mut log = Log::default();
    let limits = Limits::default();
    let same: [(&[u8], &[u8]); 2] = [(b"a", b"1"), (b"b", b"x")];
    let other: [(&[u8], &[u8]); 1] = [(b"c", b"-70000")];
    append(&mut log, NewId::Exactly(Id::new(5, 3)), &same, &limits);
    append(&mut log, NewId::Exactly(Id::new(5, 4)), &same, &limits);
    append(&mut log, NewId::Exactly(Id::new(1000, 0)), &other, &limits);
    log.delete(std::iter::once(Id::new(5, 4)));
    let (master, listpack) = log.nodes().next().unwrap();
    assert_eq!(master, Id::new(5, 3));
    let hex: String = listpack
        .as_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(hex, include_str!("node.hex").trim());
}

fn reading(group: &Group, name: &[u8], count_max: u64) -> Reading {
    Reading {
        consumer: group.find_consumer(name).unwrap(),
        count_max,
        now_ms: 100,
    }
}

#[test]
fn pending_entries_belong_to_one_consumer() {
    let mut random = Random::new(seed());
    let mut stream = Stream::default();
    let parts = stream.parts_mut();
    let pairs: [(&[u8], &[u8]); 1] = [(b"f", b"v")];
    for _ in 0..300 {
        append(
            &mut parts.log,
            NewId::At { ms: 7 },
            &pairs,
            &Limits::default(),
        );
    }
    assert!(parts.groups.create(b"g", Id::MIN, None));
    assert!(!parts.groups.create(b"g", Id::MAX, None));
    let names: [&[u8]; 3] = [b"alice", b"bob", b"carol"];
    let mut owners: BTreeMap<Id, usize> = BTreeMap::new();
    for _ in 0..2000 {
        let who = random.index(3);
        let id = Id::new(7, random.below(300));
        let log = &parts.log;
        parts.groups.edit(b"g", |group| {
            group.create_consumer(names[who], 1);
            match random.below(10) {
                0 => {
                    let reading = reading(group, names[who], 1 + random.below(5));
                    group.deliver(log, reading, true, |entry| {
                        owners.insert(entry.id, who);
                    });
                }
                1..5 => {
                    let claim = Claim {
                        consumer: group.find_consumer(names[who]).unwrap(),
                        delivered_at_ms: 5,
                        delivery_count: 2,
                    };
                    group.claim(id, claim);
                    owners.insert(id, who);
                }
                5..9 => assert_eq!(group.acknowledge(id), owners.remove(&id).is_some()),
                _ if random.below(20) == 0 => {
                    let consumer = group.find_consumer(names[who]).unwrap();
                    let before = owners.len();
                    owners.retain(|_, owner| *owner != who);
                    assert_eq!(group.remove_consumer(consumer), before - owners.len());
                }
                _ => {
                    let reading = reading(group, names[who], 0);
                    let mut seen = Vec::new();
                    group.redeliver(log, reading, Id::MIN, |id, _| seen.push(id));
                    let own = owners.iter().filter(|(_, owner)| **owner == who);
                    assert_eq!(seen, own.map(|(id, _)| *id).collect::<Vec<_>>());
                }
            }
        });
        let group = parts.groups.get(b"g").unwrap();
        assert_eq!(group.pending_count(), owners.len());
        let each = group.consumers().map(group::Consumer::pending_count);
        assert_eq!(each.sum::<usize>(), owners.len());
    }
    let before = stream.allocated_bytes(|size| size);
    assert!(stream.parts_mut().groups.remove(b"g"));
    assert!(stream.allocated_bytes(|size| size) < before);
    let empty = stream.groups().allocated_bytes();
    assert!(empty < 200, "nothing is counted twice: {empty}");
}

#[test]
fn a_stream_is_freed_in_steps() {
    let mut stream = Stream::default();
    let parts = stream.parts_mut();
    let pairs: [(&[u8], &[u8]); 1] = [(b"f", b"v")];
    for _ in 0..5000 {
        append(
            &mut parts.log,
            NewId::At { ms: 7 },
            &pairs,
            &Limits::default(),
        );
    }
    for name in [b"one", b"two"] {
        parts.groups.create(name, Id::MIN, None);
        let log = &parts.log;
        parts.groups.edit(name, |group| {
            group.create_consumer(b"c", 1);
            let reading = reading(group, b"c", 0);
            group.deliver(log, reading, true, |_| ());
        });
    }
    assert!(stream.free_effort() > 50);
    let mut steps = 0;
    while stream.free_step(100) {
        steps += 1;
    }
    assert!((50..400).contains(&steps), "{steps}");
    assert!(stream.groups().is_empty());
    assert_eq!(stream.log().node_count(), 0);
}

/// redis-server 7.0.15 needs 16.1 bytes for each of a million such entries, by MEMORY USAGE with
/// SAMPLES 0.
#[test]
fn entries_take_half_of_the_memory_that_they_take_in_redis() {
    let mut log = Log::default();
    for number in 0..100_000_u64 {
        let value = (number % 1000).to_string();
        let pairs: [(&[u8], &[u8]); 1] = [(b"field", value.as_bytes())];
        append(&mut log, NewId::At { ms: 7 }, &pairs, &Limits::default());
    }
    let per_entry = log.allocated_bytes() as f64 / 100_000.0;
    println!("{per_entry:.2} bytes per entry");
    assert!(per_entry < REDIS_BYTES_PER_ENTRY / 2.0, "{per_entry}");
}

const REDIS_BYTES_PER_ENTRY: f64 = 16.1;
