//! A shard against a naive model, and the rules of each part that need several parts to be seen.

use std::collections::BTreeMap;

use base::clock::UnixMillis;
use base::ids::{DbIndex, ShardId};
use base::random::Random;
use types::Value;
use types::string::Origin;

use crate::effects::{Change, EventClass};
use crate::entry::{ValueRef, WrongType};
use crate::keyspace::{Db, Detached, Expiry};
use crate::{Key, Options, Shard};

const DB: DbIndex = DbIndex(0);
const OTHER: DbIndex = DbIndex(1);
const NOON: UnixMillis = UnixMillis(1_700_000_000_000);

fn seed() -> u64 {
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1);
    println!("SEED={seed}");
    seed
}

fn shard() -> Shard {
    let options = Options {
        databases: 3,
        hash_seed: (7, seed()),
        ..Options::default()
    };
    let mut shard = Shard::new(ShardId(0), options);
    shard.set_now(NOON);
    shard
}

fn set(shard: &mut Shard, key: &[u8], value: &[u8]) {
    let key = shard.key(key);
    shard.db(DB).set_string(key, value, Expiry::Clear);
}

fn get(shard: &mut Shard, key: &[u8]) -> Option<Vec<u8>> {
    let key = shard.key(key);
    shard
        .db(DB)
        .lookup(key, true)
        .map(|entry| entry.string().unwrap().to_vec())
}

fn encoding(shard: &mut Shard, key: &[u8]) -> &'static str {
    let key = shard.key(key);
    shard.db(DB).peek(key).unwrap().encoding_name()
}

/// Keys and values as a client would see them.
type Model = BTreeMap<Vec<u8>, (Vec<u8>, Option<UnixMillis>)>;

fn random_bytes(random: &mut Random) -> Vec<u8> {
    let len = match random.below(20) {
        0 => random.index(20_000),
        1 => random.index(600),
        _ => random.index(40),
    };
    let byte = u8::try_from(random.below(256)).unwrap();
    vec![byte; len]
}

fn random_key(random: &mut Random, range: u64) -> Vec<u8> {
    let number = random.below(range);
    let mut key = format!("key:{number}").into_bytes();
    if number.is_multiple_of(50) {
        key.resize(300, b'k');
    }
    key
}

/// One random change of shard and model. Expiries lie up to a second before and after `now`.
fn step(shard: &mut Shard, model: &mut Model, random: &mut Random, range: u64) {
    let name = random_key(random, range);
    let key = shard.key(&name);
    let now = shard.now();
    let at = UnixMillis(now.0 - 1000 + i64::try_from(random.below(2000)).unwrap());
    model.retain(|_, (_, at)| at.is_none_or(|at| at >= now));
    let known = model.get(&name).cloned();
    let mut db = shard.db(DB);
    match random.below(11) {
        0 | 1 => {
            let value = random_bytes(random);
            db.set_string(key, &value, Expiry::Clear);
            model.insert(name, (value, None));
        }
        2 => {
            let value = random_bytes(random);
            db.set_string(key, &value, Expiry::Keep);
            model.insert(name, (value, known.and_then(|(_, at)| at)));
        }
        3 => {
            let value = random_bytes(random);
            db.set_string(key, &value, Expiry::At(at));
            model.insert(name, (value, Some(at)));
        }
        4 => {
            let tail = random_bytes(random);
            let (mut value, at) = known.unwrap_or_default();
            value.extend_from_slice(&tail);
            assert_eq!(db.append(key, &tail), Ok(value.len()));
            model.insert(name, (value, at));
        }
        5 => {
            let (bytes, offset) = (random_bytes(random), random.index(600));
            let (mut value, at) = known.unwrap_or_default();
            if !bytes.is_empty() {
                value.resize(value.len().max(offset + bytes.len()), 0);
                value[offset..offset + bytes.len()].copy_from_slice(&bytes);
                model.insert(name.clone(), (value.clone(), at));
            }
            assert_eq!(db.overwrite(key, offset, &bytes), Ok(value.len()));
        }
        6 => assert_eq!(db.remove(key), model.remove(&name).is_some()),
        7 => {
            assert_eq!(db.set_expiry(key, Some(at)), known.is_some());
            if let Some((_, expiry)) = model.get_mut(&name) {
                *expiry = Some(at);
            }
        }
        8 => {
            assert_eq!(
                db.set_expiry(key, None),
                known.is_some_and(|(_, at)| at.is_some())
            );
            if let Some((_, expiry)) = model.get_mut(&name) {
                *expiry = None;
            }
        }
        9 => {
            let target = random_key(random, range);
            let detached = db.detach(key);
            assert_eq!(detached.is_some(), model.remove(&name).is_some());
            if let (Some(detached), Some(known)) = (detached, known) {
                let target_key = shard.key(&target);
                shard.db(DB).attach(target_key, detached);
                model.insert(target, known);
            }
        }
        _ => shard.set_now(UnixMillis(now.0 + i64::try_from(random.below(20)).unwrap())),
    }
}

fn assert_equal(shard: &mut Shard, model: &Model) {
    let now = shard.now();
    let mut seen = Model::new();
    let mut db = shard.db(DB);
    db.for_each(&mut |entry| {
        let value = (entry.string().unwrap().to_vec(), entry.expire_at());
        assert!(
            seen.insert(entry.key().to_vec(), value).is_none(),
            "a key was shown twice"
        );
    });
    let live = model
        .iter()
        .filter(|(_, (_, at))| at.is_none_or(|at| at >= now));
    assert!(seen.iter().eq(live));
}

#[test]
fn shard_behaves_as_its_model() {
    let mut random = Random::new(seed());
    let mut shard = shard();
    let mut model = Model::new();
    for range in [4, 100, 3000, 30] {
        for round in 0..6000 {
            step(&mut shard, &mut model, &mut random, range);
            if round % 1000 == 0 {
                assert_equal(&mut shard, &model);
                assert_ledger(&mut shard);
            }
        }
        assert_equal(&mut shard, &model);
        assert_ledger(&mut shard);
    }
    let live = model
        .values()
        .filter(|(_, at)| at.is_none_or(|at| at >= shard.now()))
        .count();
    shard.sweep(usize::MAX, &mut |_, _| {});
    assert!(shard.db(DB).clear() >= live);
    assert_eq!(shard.memory().entry_bytes, 0);
}

/// Compares the ledger with a recount over all entries, dead ones included.
#[track_caller]
fn assert_ledger(shard: &mut Shard) {
    let now = shard.now();
    shard.set_now(UnixMillis(0));
    let (mut keys, mut expires, mut bytes) = (0, 0, 0);
    shard.db(DB).for_each(&mut |entry| {
        keys += 1;
        expires += usize::from(entry.expire_at().is_some());
        bytes += entry.bytes();
    });
    shard.set_now(now);
    let ledger = shard.memory();
    assert_eq!(
        (ledger.keys, ledger.expires, ledger.entry_bytes),
        (keys, expires, bytes)
    );
}

#[test]
fn dead_key_is_gone_for_every_reader_and_counts_once() {
    let mut shard = shard();
    let key = shard.key(b"key");
    shard
        .db(DB)
        .set_string(key, b"value", Expiry::At(UnixMillis(NOON.0 + 5)));
    shard.set_now(UnixMillis(NOON.0 + 5));
    assert!(
        shard.db(DB).contains(key),
        "a key lives through its last millisecond"
    );
    shard.set_now(UnixMillis(NOON.0 + 6));
    let mut shown = 0;
    shard.db(DB).for_each(&mut |_| shown += 1);
    assert_eq!((shown, shard.db(DB).len()), (0, 1));
    assert!(shard.db(DB).lookup(key, true).is_none());
    assert_eq!(shard.db(DB).len(), 0);
    let stats = shard.stats();
    assert_eq!((stats.expired_keys, stats.hits, stats.misses), (1, 0, 1));
}

#[test]
fn sweep_removes_all_dead_keys_within_its_budget() {
    let mut shard = shard();
    for number in 0..10_000_i64 {
        let name = format!("key:{number}");
        let key = shard.key(name.as_bytes());
        let at = UnixMillis(NOON.0 + number);
        let expiry = if number % 2 == 0 {
            Expiry::At(at)
        } else {
            Expiry::Clear
        };
        shard
            .db(if number % 3 == 0 { OTHER } else { DB })
            .set_string(key, b"v", expiry);
    }
    shard.set_now(UnixMillis(NOON.0 + 100_000));
    let (mut removed, mut sweeps) = (0, 0);
    while shard.memory().expires > 0 {
        let swept = shard.sweep(1000, &mut |_, key| assert!(key.starts_with(b"key:")));
        assert!(swept.slots <= 1000);
        removed += swept.removed;
        sweeps += 1;
        assert!(sweeps < 200, "the sweep comes round");
    }
    assert_eq!((removed, shard.stats().expired_keys), (5000, 5000));
    assert_eq!(shard.memory().keys, 5000);
    assert_eq!(shard.sweep(1000, &mut |_, _| {}).volatile, 0);
}

#[test]
fn encoding_follows_how_a_string_came_about() {
    let mut shard = shard();
    set(&mut shard, b"key", b"10");
    assert_eq!(encoding(&mut shard, b"key"), "int");
    let key = shard.key(b"key");
    assert_eq!(shard.db(DB).append(key, b""), Ok(2));
    assert_eq!(encoding(&mut shard, b"key"), "raw");
    let detached = shard.db(DB).copy_of(key).unwrap();
    let copy = shard.key(b"copy");
    shard.db(DB).attach(copy, detached);
    assert_eq!(encoding(&mut shard, b"copy"), "raw");
    shard
        .db(DB)
        .set_string_from(key, b"10", Expiry::Keep, Origin::Computed);
    assert_eq!(encoding(&mut shard, b"key"), "embstr");
    set(&mut shard, b"key", &[b'x'; 45]);
    assert_eq!(encoding(&mut shard, b"key"), "raw");
    set(&mut shard, b"key", b"10");
    assert_eq!(shard.db(DB).overwrite(key, 0, b""), Ok(2));
    assert_eq!(encoding(&mut shard, b"key"), "int");
    assert_eq!(shard.db(DB).overwrite(key, 1, b"1"), Ok(2));
    assert_eq!(encoding(&mut shard, b"key"), "raw");
    assert_eq!(get(&mut shard, b"key").unwrap(), b"11");
    let fresh = shard.key(b"fresh");
    assert_eq!(shard.db(DB).append(fresh, b"10"), Ok(2));
    assert_eq!(encoding(&mut shard, b"fresh"), "int");
    let gap = shard.key(b"gap");
    assert_eq!(shard.db(DB).overwrite(gap, 3, b"7"), Ok(4));
    assert_eq!(get(&mut shard, b"gap").unwrap(), b"\0\0\x007");
    assert_eq!(encoding(&mut shard, b"gap"), "raw");
}

#[test]
fn keys_and_values_may_be_long_or_empty() {
    let mut shard = shard();
    for len in [0, 1, 255, 256, 257, 5000, 100_000] {
        let key = vec![b'k'; len];
        for value_len in [0, 1, 4096, 4097, 1_000_000] {
            let value = vec![b'v'; value_len];
            set(&mut shard, &key, &value);
            assert_eq!(get(&mut shard, &key), Some(value));
        }
    }
    assert_eq!(shard.db(DB).len(), 7);
    assert_ledger(&mut shard);
}

#[test]
fn watched_key_changes_with_every_write_to_it() {
    let mut shard = shard();
    set(&mut shard, b"key", b"1");
    let mut version = shard.watch(DB, b"key");
    let other = shard.watch(OTHER, b"key");
    let name: &[u8] = b"key";
    let key = shard.key(name);
    let past = UnixMillis(NOON.0 + 10);
    let mut check = |shard: &mut Shard, what: &str, changed: bool| {
        let new = shard.watch_version(DB, name);
        assert_eq!(new != version, changed, "{what}");
        version = new;
    };
    check(&mut shard, "nothing", false);
    get(&mut shard, b"key");
    check(&mut shard, "a read", false);
    set(&mut shard, b"key", b"1");
    check(&mut shard, "SET of the same value", true);
    assert_eq!(shard.db(DB).append(key, b"2"), Ok(2));
    check(&mut shard, "APPEND", true);
    assert_eq!(shard.db(DB).overwrite(key, 0, b"3"), Ok(2));
    check(&mut shard, "SETRANGE", true);
    assert!(!shard.db(DB).set_expiry(key, None));
    check(&mut shard, "PERSIST without expiry", false);
    assert!(shard.db(DB).set_expiry(key, Some(past)));
    check(&mut shard, "EXPIRE", true);
    assert!(shard.db(DB).set_expiry(key, None));
    check(&mut shard, "PERSIST", true);
    let detached = shard.db(DB).detach(key).unwrap();
    check(&mut shard, "RENAME away", true);
    assert!(!shard.db(DB).remove(key));
    check(&mut shard, "DEL of nothing", false);
    assert_eq!(shard.db(DB).clear(), 0);
    check(&mut shard, "FLUSHDB without the key", false);
    shard.db(DB).attach(key, detached);
    check(&mut shard, "RENAME to", true);
    assert!(shard.db(DB).set_expiry(key, Some(past)));
    check(&mut shard, "EXPIRE again", true);
    shard.set_now(UnixMillis(past.0 + 1));
    check(&mut shard, "its death", true);
    set(&mut shard, b"key", b"1");
    check(&mut shard, "SET", true);
    assert_eq!(shard.db(DB).clear(), 1);
    check(&mut shard, "FLUSHDB", true);
    assert_eq!(shard.watch_version(OTHER, b"key"), other);
}

#[test]
fn watch_of_a_dead_key_is_not_changed_by_its_removal() {
    let mut shard = shard();
    let key = shard.key(b"key");
    shard.db(DB).set_string(key, b"1", Expiry::At(NOON));
    shard.set_now(UnixMillis(NOON.0 + 1));
    let version = shard.watch(DB, b"key");
    assert!(shard.db(DB).lookup(key, true).is_none());
    assert_eq!(shard.watch_version(DB, b"key"), version);
}

#[test]
fn swap_changes_watched_keys_of_either_side_only() {
    let mut shard = shard();
    set(&mut shard, b"here", b"1");
    let versions = [
        shard.watch(DB, b"here"),
        shard.watch(OTHER, b"here"),
        shard.watch(DB, b"nowhere"),
        shard.watch(DbIndex(2), b"here"),
    ];
    shard.swap_dbs(DB, OTHER);
    assert_ne!(shard.watch_version(DB, b"here"), versions[0]);
    assert_ne!(shard.watch_version(OTHER, b"here"), versions[1]);
    assert_eq!(shard.watch_version(DB, b"nowhere"), versions[2]);
    assert_eq!(shard.watch_version(DbIndex(2), b"here"), versions[3]);
    assert_eq!((shard.db(DB).len(), shard.db(OTHER).len()), (0, 1));
}

#[test]
fn random_key_is_alive_and_each_is_found() {
    let mut shard = shard();
    let mut random = Random::new(seed());
    assert_eq!(shard.db(DB).random_key(&mut random), None);
    for number in 0..20 {
        let name = format!("key:{number}");
        let key = shard.key(name.as_bytes());
        let expiry = if number < 10 {
            Expiry::At(NOON)
        } else {
            Expiry::Clear
        };
        shard.db(DB).set_string(key, b"", expiry);
    }
    shard.set_now(UnixMillis(NOON.0 + 1));
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..1000 {
        seen.insert(shard.db(DB).random_key(&mut random).unwrap().to_vec());
    }
    assert_eq!(seen.len(), 10);
    shard.sweep(usize::MAX, &mut |_, _| {});
    assert_eq!(shard.db(DB).clear(), 10);
    assert_eq!(shard.db(DB).random_key(&mut random), None);
}

#[test]
fn keys_of_a_database_are_freed_in_steps_after_it_is_empty() {
    let mut shard = shard();
    let long = vec![b'x'; 10_000];
    for number in 0..20_000 {
        let name = format!("key:{number}");
        let key = shard.key(name.as_bytes());
        let value = if number % 100 == 0 {
            &long[..]
        } else {
            b"short"
        };
        shard.db(DB).set_string(key, value, Expiry::Clear);
    }
    assert_eq!(shard.db(DB).clear(), 20_000);
    assert_eq!(shard.memory().total_bytes(), 0, "the ledger has let go");
    assert_eq!(shard.lazy_free_counts().0, 20_000);
    // A database that goes on to be used has nothing to do with the one that is freed.
    set(&mut shard, b"key:5", b"new");
    let mut steps = 0;
    while shard.free_step(1000) {
        steps += 1;
    }
    // A step ends with the segment that it has begun: up to 504 keys more than it was asked for.
    assert!((13..100).contains(&steps), "{steps} steps");
    assert_eq!(shard.lazy_free_counts(), (0, 200));
    assert!(!shard.free_step(1000));
    let key = shard.key(b"key:5");
    assert_eq!(shard.db(DB).peek(key).unwrap().string(), Ok(&b"new"[..]));
}

#[test]
fn a_shard_may_go_while_it_frees() {
    let mut shard = shard();
    for number in 0..5000 {
        set(
            &mut shard,
            format!("key:{number}").as_bytes(),
            &[b'x'; 5000],
        );
    }
    shard.db(DB).clear();
    shard.free_step(1000);
    assert!(shard.lazy_free_counts().0 > 0);
}

#[test]
fn events_of_the_wanted_classes_are_kept_in_order() {
    let mut shard = shard();
    let options = Options {
        events: EventClass::EXPIRED,
        ..*shard.options()
    };
    shard.set_options(options);
    let key = shard.key(b"key");
    shard.db(DB).set_string(key, b"1", Expiry::At(NOON));
    shard.db(DB).event(EventClass::GENERIC, "del", key);
    shard.set_now(UnixMillis(NOON.0 + 1));
    assert!(!shard.db(DB).contains(key));
    let events = shard.take_events();
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].name, &*events[0].key), ("expired", &b"key"[..]));
    assert!(shard.take_events().is_empty());
}

#[test]
fn keys_that_are_made_or_missed_are_told() {
    let mut shard = shard();
    let options = Options {
        events: EventClass::ALL,
        ..*shard.options()
    };
    shard.set_options(options);
    let mut names = |act: &mut dyn FnMut(&mut Db<'_>, Key<'_>)| {
        let key = shard.key(b"key");
        act(&mut shard.db(DB), key);
        let events = shard.take_events();
        events.iter().map(|event| event.name).collect::<Vec<_>>()
    };
    let value = || Detached::new(Value::String(b"1".to_vec()), None);
    assert_eq!(
        names(&mut |db, key| assert!(db.lookup(key, true).is_none())),
        ["keymiss"]
    );
    assert!(names(&mut |db, key| assert!(db.inspect(key).is_none())).is_empty());
    assert!(names(&mut |db, key| assert!(db.peek(key).is_none())).is_empty());
    assert_eq!(
        names(&mut |db, key| db.set_string(key, b"1", Expiry::Clear)),
        ["new"]
    );
    assert!(names(&mut |db, key| db.set_string(key, b"2", Expiry::Clear)).is_empty());
    // What comes with all that belongs to it takes the place of a key that is removed for it.
    assert_eq!(names(&mut |db, key| db.attach(key, value())), ["new"]);
    assert!(names(&mut |db, key| db.store(key, value().value, Expiry::Clear)).is_empty());
    let lend = |db: &mut Db<'_>, key: Key<'_>, value: Option<Value>| {
        let mut loan = db.lend(key, true, false);
        loan.replace(value, Change::of(1, EventClass::GENERIC, "changed"));
        db.settle(key, loan);
    };
    assert_eq!(
        names(&mut |db, key| lend(db, key, None)),
        ["changed", "del"]
    );
    let made = names(&mut |db, key| lend(db, key, Some(value().value)));
    assert_eq!(made, ["keymiss", "new", "changed"]);
    let changed = names(&mut |db, key| lend(db, key, Some(value().value)));
    assert_eq!(changed, ["changed"]);
}

#[test]
fn a_loan_that_was_not_changed_leaves_no_trace() {
    let mut shard = shard();
    let long = vec![b'x'; 10_000];
    for value in [&b"short"[..], &long] {
        set(&mut shard, b"key", value);
        let key = shard.key(b"key");
        let version = shard.watch(DB, b"key");
        let (dirty, memory) = (shard.stats().dirty, shard.memory());
        let loan = shard.db(DB).lend(key, true, true);
        assert_eq!(loan.string(), Ok(Some(value)));
        assert_eq!(shard.db(DB).peek(key).unwrap().type_name(), "string");
        shard.db(DB).settle(key, loan);
        assert_eq!(shard.db(DB).peek(key).unwrap().string(), Ok(value));
        assert_eq!(shard.watch_version(DB, b"key"), version);
        assert_eq!(shard.stats().dirty, dirty);
        assert_eq!(shard.memory(), memory);
        shard.unwatch(DB, b"key");
    }
}

#[test]
fn a_changed_loan_is_stored_removed_or_new() {
    let mut shard = shard();
    set(&mut shard, b"gone", &[b'x'; 10_000]);
    set(&mut shard, b"changed", b"old");
    let change = Change::of(1, EventClass::STRING, "set");
    let cases: [(&[u8], Option<&[u8]>); 3] = [
        (b"gone", None),
        (b"changed", Some(b"new")),
        (b"made", Some(b"1")),
    ];
    for (name, after) in cases {
        let key = shard.key(name);
        let dirty = shard.stats().dirty;
        let mut loan = shard.db(DB).lend(key, false, false);
        loan.replace(after.map(|bytes| Value::String(bytes.to_vec())), change);
        shard.db(DB).settle(key, loan);
        let now = shard
            .db(DB)
            .peek(key)
            .map(|entry| entry.string().unwrap().to_vec());
        assert_eq!(now.as_deref(), after);
        assert_eq!(shard.stats().dirty, dirty + 1);
    }
}

#[test]
fn a_key_removed_during_its_loan_stays_removed() {
    let mut shard = shard();
    set(&mut shard, b"key", &[b'x'; 10_000]);
    let key = shard.key(b"key");
    let loan = shard.db(DB).lend(key, false, false);
    assert!(shard.db(DB).remove(key));
    shard.db(DB).settle(key, loan);
    assert!(!shard.db(DB).contains(key));
}

#[test]
fn idle_time_and_frequency_are_noted_by_lookups_that_touch() {
    let mut shard = shard();
    set(&mut shard, b"key", b"1");
    let key = shard.key(b"key");
    shard.set_now(UnixMillis(NOON.0 + 7000));
    let now = shard.now();
    assert_eq!(
        shard.db(DB).lookup(key, false).unwrap().idle_seconds(now),
        7
    );
    assert_eq!(shard.db(DB).peek(key).unwrap().idle_seconds(now), 7);
    assert_eq!(shard.db(DB).lookup(key, true).unwrap().idle_seconds(now), 0);
    shard.set_options(Options {
        lfu: true,
        ..*shard.options()
    });
    set(&mut shard, b"new", b"1");
    let key = shard.key(b"new");
    assert_eq!(shard.db(DB).peek(key).unwrap().lfu_frequency(now, 1), 5);
    assert_eq!(
        shard
            .db(DB)
            .lookup(key, true)
            .unwrap()
            .lfu_frequency(now, 1),
        6
    );
}

#[test]
fn mean_time_to_live_is_that_of_the_volatile_keys() {
    let mut shard = shard();
    assert_eq!(shard.db(DB).average_ttl_ms(), 0);
    for number in 1..=4 {
        let name = [number];
        let key = shard.key(&name);
        let at = UnixMillis(NOON.0 + i64::from(number) * 1000);
        shard.db(DB).set_string(key, b"", Expiry::At(at));
    }
    set(&mut shard, b"stays", b"");
    assert_eq!(shard.db(DB).average_ttl_ms(), 2500);
    let key = shard.key(&[4]);
    assert!(shard.db(DB).remove(key));
    assert_eq!(shard.db(DB).average_ttl_ms(), 2000);
}

#[test]
fn values_from_outside_are_attached_whatever_their_length() {
    let mut shard = shard();
    let key = shard.key(b"key");
    for len in [0, 10, 10_000] {
        let value = vec![b'x'; len];
        shard
            .db(DB)
            .attach(key, Detached::new(Value::String(value.clone()), Some(NOON)));
        let entry = shard.db(DB).copy_of(key).unwrap();
        assert_eq!(
            (entry.value, entry.expire_at),
            (Value::String(value), Some(NOON))
        );
    }
    let wrong: Result<(), WrongType> = Err(WrongType);
    assert!(wrong.is_err());
    let entry = shard.db(DB);
    assert_eq!(entry.expires_len(), 1);
    let mut strings = 0;
    shard.db(DB).for_each(&mut |entry| {
        strings += usize::from(matches!(entry.value(), ValueRef::String(_)));
    });
    assert_eq!(strings, 1);
}
