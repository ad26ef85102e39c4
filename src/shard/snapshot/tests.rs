//! A snapshot against a copy of the shard at its beginning, while the shard changes in every way.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use base::clock::UnixMillis;
use base::ids::{DbIndex, ShardId};
use base::random::Random;
use types::Value;
use types::hash::{FieldExpiry, Growth, Hash};
use types::rdb::{Object, dump};

use super::Step;
use crate::effects::Change;
use crate::entry::{EntryRef, ValueRef};
use crate::keyspace::{Detached, Expiry};
use crate::sink::{SharedSink, Sink};
use crate::{Options, Shard};

const NOON: UnixMillis = UnixMillis(1_700_000_000_000);

fn seed() -> u64 {
    let seed = std::env::var("SEED").map_or(1, |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    seed
}

/// Keys by database, with what DUMP would say of the value at the beginning, and when they die.
type Content = BTreeMap<(u16, Vec<u8>), (Vec<u8>, Option<UnixMillis>)>;

/// What of a value has come, how many parts of it, and how many more are wanted.
struct Parts {
    head: Vec<u8>,
    dump: Option<Vec<u8>>,
    left: u64,
}

/// Collects entries; has room every other time it is asked.
#[derive(Clone, Default)]
struct Collected {
    content: Rc<RefCell<Content>>,
    asked: usize,
    ended: Rc<RefCell<usize>>,
    begun: UnixMillis,
    takes_parts: bool,
    parts: Rc<RefCell<Option<Parts>>>,
    /// Shares, values whose last part has come, and those that were asked for the rest.
    counts: Rc<RefCell<[usize; 3]>>,
}

impl Collected {
    fn add(&self, (db, key): (u16, &[u8]), dump: Vec<u8>, expire_at: Option<UnixMillis>) {
        let mut content = self.content.borrow_mut();
        let before = content.insert((db, key.to_vec()), (dump, expire_at));
        assert!(before.is_none(), "an entry came twice");
    }

    fn add_behind(&self, head: &[u8], dump: Vec<u8>) {
        let (db, rest) = head.split_first_chunk().unwrap();
        let (at, key) = rest.split_first_chunk().unwrap();
        let at = i64::from_le_bytes(*at);
        let expire_at = (at != i64::MIN).then_some(UnixMillis(at));
        self.add((u16::from_le_bytes(*db), key), dump, expire_at);
    }
}

fn dump_of(entry: EntryRef<'_>, now: UnixMillis) -> Vec<u8> {
    match entry.value() {
        ValueRef::String(bytes) => dump(Object::String(bytes), now),
        ValueRef::Other(value) => dump(Object::Value(&value), now),
    }
}

impl Sink for Collected {
    fn entry(&mut self, db: DbIndex, entry: EntryRef<'_>) {
        let key = (db.0, entry.key());
        self.add(key, dump_of(entry, self.begun), entry.expire_at());
    }

    fn takes_parts(&self) -> bool {
        self.takes_parts
    }

    fn head(&mut self, db: DbIndex, entry: EntryRef<'_>) -> Vec<u8> {
        let at = entry.expire_at().map_or(i64::MIN, |at| at.0);
        [&db.0.to_le_bytes()[..], &at.to_le_bytes(), entry.key()].concat()
    }

    fn shared(&mut self, head: Vec<u8>, bytes: Arc<Vec<u8>>) {
        self.counts.borrow_mut()[0] += 1;
        self.add_behind(&head, dump(Object::String(&bytes), self.begun));
    }

    fn begin(&mut self, head: Vec<u8>) {
        let left = 1 + u64::try_from((head.len() + 2) % 5).unwrap();
        let parts = Parts {
            head,
            dump: None,
            left,
        };
        let before = self.parts.borrow_mut().replace(parts);
        assert!(before.is_none(), "one value at a time comes in parts");
    }

    fn part(&mut self, value: &Value, is_rest: bool) -> bool {
        let mut parts = self.parts.take().expect("a value has begun");
        let now = dump(Object::Value(value), self.begun);
        let first = parts.dump.get_or_insert_with(|| now.clone());
        assert!(*first == now, "a value stays as it is between its parts");
        parts.left -= 1;
        if is_rest || parts.left == 0 {
            self.counts.borrow_mut()[if is_rest { 2 } else { 1 }] += 1;
            self.add_behind(&parts.head, now);
            return false;
        }
        *self.parts.borrow_mut() = Some(parts);
        true
    }

    fn has_room(&mut self) -> bool {
        self.asked += 1;
        self.asked.is_multiple_of(2)
    }

    fn end(&mut self) -> bool {
        *self.ended.borrow_mut() += 1;
        *self.ended.borrow() > 1
    }
}

fn content(shard: &mut Shard) -> Content {
    let mut content = Content::new();
    let now = shard.now();
    for db in (0..2).map(DbIndex) {
        shard.db(db).for_each(&mut |entry| {
            let key = (db.0, entry.key().to_vec());
            content.insert(key, (dump_of(entry, now), entry.expire_at()));
        });
    }
    content
}

/// Changes something, in one of the ways there are.
fn change(shard: &mut Shard, random: &mut Random) {
    let db = DbIndex(u16::try_from(random.below(2)).unwrap());
    let name = format!("key:{}", random.below(3000)).into_bytes();
    let key = shard.key(&name);
    let limits = shard.options().limits;
    let now = shard.now();
    match random.below(14) {
        0..=3 => {
            let len_max = if random.below(20) == 0 { 2000 } else { 60 };
            let len = random.index(len_max);
            let expiry = match random.below(3) {
                0 => Expiry::At(UnixMillis(now.0 + 50)),
                1 => Expiry::Keep,
                _ => Expiry::Clear,
            };
            shard.db(db).set_string(key, &vec![b'v'; len], expiry);
        }
        4 => {
            shard.db(db).append(key, b"more").ok();
        }
        5 => {
            shard.db(db).overwrite(key, 3, b"xyz").ok();
        }
        6 => {
            shard.db(db).remove(key);
        }
        7 => {
            let at = (random.below(2) == 0).then_some(UnixMillis(now.0 + 80));
            shard.db(db).set_expiry(key, at);
        }
        8 => {
            let other = format!("key:{}", random.below(3000)).into_bytes();
            let other = shard.key(&other);
            if let Some(detached) = shard.db(db).detach(key) {
                shard.db(db).attach(other, detached);
            }
        }
        9..=10 => {
            let growth = Growth::new(&limits, (1, 2));
            let field = format!("field:{}", random.below(200)).into_bytes();
            let expires = random.below(4) == 0;
            let edited = shard.db(db).edit_or_create(key, |hash: &mut Hash| {
                hash.set(&field, b"value", FieldExpiry::Clear, &growth, now);
                if expires {
                    hash.set_expiry(&field, Some(UnixMillis(now.0 + 40)), &growth, now);
                }
                ((), Change::UNTOLD)
            });
            edited.ok();
        }
        11 => {
            let loan = shard.db(db).lend(key, true, true);
            shard.db(db).settle(key, loan);
        }
        12 => {
            shard.db(db).lookup(key, true);
        }
        _ => {
            shard.set_now(UnixMillis(now.0 + 1));
            shard.sweep(200, &mut |_, _| {});
        }
    }
    if random.below(4000) == 0 {
        shard.db(db).clear();
    }
    if random.below(2000) == 0 {
        shard.swap_dbs(DbIndex(0), DbIndex(1));
    }
}

#[test]
fn a_snapshot_is_the_shard_as_it_was_at_the_beginning() {
    let mut random = Random::new(seed());
    let options = Options {
        databases: 2,
        hash_seed: (3, 4),
        ..Options::default()
    };
    let mut shard = Shard::new(ShardId(0), options);
    shard.set_now(NOON);
    let mut counts = [0; 3];
    for round in 0..24 {
        // What lies beside its key never comes in parts; of all else, some, or all.
        let part_bytes = [usize::MAX, 1000, 0][random.index(3)];
        shard.set_options(Options {
            part_bytes,
            ..options
        });
        for _ in 0..[0, 40, 20_000][round % 3] {
            change(&mut shard, &mut random);
        }
        let expected = content(&mut shard);
        let collected = Collected {
            begun: shard.now(),
            takes_parts: random.below(4) > 0,
            ..Collected::default()
        };
        shard.begin_snapshot(SharedSink::new(collected.clone()));
        let pace = [0, 3, 200][random.index(3)];
        let mut steps = 0;
        loop {
            for _ in 0..random.index(pace + 1) {
                change(&mut shard, &mut random);
            }
            if random.below(5) == 0 {
                let name = format!("key:{}", random.below(3000)).into_bytes();
                let hash = shard.key(&name).hash;
                shard.hurry(hash);
            }
            let current = collected.parts.borrow().as_ref().map(|it| it.head.clone());
            if let Some(head) = current
                && random.below(4) == 0
            {
                set_field(&mut shard, &head);
            }
            steps += 1;
            match shard.snapshot_step(1 + random.index(30)) {
                Step::Done => break,
                Step::More | Step::Waiting => assert!(shard.has_snapshot()),
                Step::Idle => panic!("the snapshot is under way"),
            }
        }
        let found = collected.content.take();
        println!("round {round}: {} keys, {steps} steps", found.len());
        let missing: Vec<_> = expected
            .keys()
            .filter(|key| !found.contains_key(key))
            .collect();
        assert!(missing.is_empty(), "missing {missing:?}");
        assert_eq!(found.len(), expected.len());
        assert!(found == expected, "values are those of the beginning");
        assert!(collected.parts.borrow().is_none());
        for (sum, count) in counts.iter_mut().zip(collected.counts.take()) {
            *sum += count;
        }
        assert_eq!(shard.snapshot_step(10), Step::Idle);
    }
    println!("shares, values in parts, of which the rest at once: {counts:?}");
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
}

/// Changes the value of which a part has come, if its key is still there.
fn set_field(shard: &mut Shard, head: &[u8]) {
    let db = DbIndex(u16::from_le_bytes([head[0], head[1]]));
    let key = shard.key(&head[10..]);
    let growth = Growth::new(&shard.options().limits, (1, 2));
    let now = shard.now();
    let edited = shard.db(db).edit(key, |hash: &mut Hash| {
        hash.set(b"another", b"value", FieldExpiry::Clear, &growth, now);
        ((), Change::UNTOLD)
    });
    edited.ok();
}

/// Makes a shard with a hash of `large` and a string `other`, the first of which takes parts.
fn with_a_large_value() -> (Shard, Collected) {
    let options = Options {
        part_bytes: 1000,
        ..Options::default()
    };
    let mut shard = Shard::new(ShardId(0), options);
    shard.set_now(NOON);
    let growth = Growth::new(&options.limits, (1, 2));
    for field in 0..200 {
        let key = shard.key(b"large");
        let edited = shard.db(DbIndex(0)).edit_or_create(key, |hash: &mut Hash| {
            let field = format!("field:{field}");
            hash.set(
                field.as_bytes(),
                b"value",
                FieldExpiry::Clear,
                &growth,
                NOON,
            );
            let at = (field.len() == 8).then_some(UnixMillis(NOON.0 + 1));
            hash.set_expiry(field.as_bytes(), at, &growth, NOON);
            ((), Change::UNTOLD)
        });
        edited.unwrap();
    }
    let key = shard.key(b"other");
    shard
        .db(DbIndex(0))
        .set_string(key, b"value", Expiry::Clear);
    let collected = Collected {
        begun: NOON,
        takes_parts: true,
        ..Collected::default()
    };
    (shard, collected)
}

#[test]
fn a_large_value_is_owed_until_its_last_part() {
    let (mut shard, collected) = with_a_large_value();
    let (large, other) = (shard.key(b"large").hash, shard.key(b"other").hash);
    assert!(!shard.owes(large));
    shard.begin_snapshot(SharedSink::new(collected.clone()));
    assert!(shard.owes(large) && !shard.owes(other));
    shard.hurry(large);
    while collected.content.borrow().is_empty() {
        assert!(shard.owes(large), "it is not there yet");
        shard.snapshot_step(100);
    }
    assert!(
        collected
            .content
            .borrow()
            .contains_key(&(0, b"large".to_vec()))
    );
    assert!(!shard.owes(large));
    assert_eq!(*collected.counts.borrow(), [0, 1, 0]);
}

#[test]
fn a_large_value_that_leaves_its_key_is_handed_on_in_parts_all_the_same() {
    for steps in 0..8 {
        let (mut shard, collected) = with_a_large_value();
        let expected = content(&mut shard);
        shard.begin_snapshot(SharedSink::new(collected.clone()));
        let key = shard.key(b"large");
        shard.hurry(key.hash);
        for _ in 0..steps {
            shard.snapshot_step(1);
        }
        match steps {
            1 | 4 => {
                let new = Detached::new(Value::String(vec![b'n'; 90]), None);
                shard.db(DbIndex(0)).attach(key, new);
            }
            0 | 5 => assert!(shard.db(DbIndex(0)).remove(key)),
            _ => drop(shard.db(DbIndex(0)).clear()),
        }
        assert!(!shard.owes(key.hash), "it is nobody's any more");
        while shard.snapshot_step(1) != Step::Done {}
        assert!(collected.content.take() == expected, "after {steps} steps");
        assert_eq!(*collected.counts.borrow(), [0, 1, 0]);
        while shard.free_step(100) {}
    }
}

#[test]
fn fields_that_die_stay_until_their_hash_is_handed_on() {
    let (mut shard, collected) = with_a_large_value();
    let expected = content(&mut shard);
    shard.begin_snapshot(SharedSink::new(collected.clone()));
    shard.set_now(UnixMillis(NOON.0 + 2));
    let key = shard.key(b"large");
    assert_eq!(shard.sweep_fields(1000).removed, 0);
    assert!(shard.db(DbIndex(0)).lookup(key, true).is_some());
    assert!(shard.owes(key.hash), "nothing has changed it");
    while shard.snapshot_step(1) != Step::Done {}
    assert!(collected.content.take() == expected);
    assert_eq!(*collected.counts.borrow(), [0, 1, 0]);
    assert_eq!(shard.sweep_fields(1000).removed, 90);
}

#[test]
fn what_dies_and_is_removed_meanwhile_is_in_the_snapshot() {
    let mut shard = Shard::new(ShardId(0), Options::default());
    shard.set_now(NOON);
    for number in 0..100 {
        let name = format!("{number}");
        let key = shard.key(name.as_bytes());
        let at = Expiry::At(UnixMillis(NOON.0 + 1 + number % 2));
        shard.db(DbIndex(0)).set_string(key, b"value", at);
    }
    let collected = Collected::default();
    shard.set_now(UnixMillis(NOON.0 + 2));
    // What is dead at the beginning is not.
    shard.begin_snapshot(SharedSink::new(collected.clone()));
    shard.set_now(UnixMillis(NOON.0 + 3));
    while shard.sweep(100_000, &mut |_, _| {}).more {}
    while shard.snapshot_step(7) != Step::Done {}
    let alive = collected.content.take();
    assert_eq!(alive.len(), 50);
    assert!(
        alive
            .values()
            .all(|(_, at)| *at == Some(UnixMillis(NOON.0 + 2)))
    );
    assert!(shard.db(DbIndex(0)).is_empty());
}
