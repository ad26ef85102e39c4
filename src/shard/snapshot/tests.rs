//! A snapshot against a copy of the shard at its beginning, while the shard changes in every way.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use base::clock::UnixMillis;
use base::ids::{DbIndex, ShardId};
use base::random::Random;
use types::hash::{FieldExpiry, Growth, Hash};

use super::Step;
use crate::digest::{Digest, value};
use crate::effects::Change;
use crate::entry::EntryRef;
use crate::keyspace::Expiry;
use crate::sink::{SharedSink, Sink};
use crate::{Options, Shard};

const NOON: UnixMillis = UnixMillis(1_700_000_000_000);

fn seed() -> u64 {
    let seed = std::env::var("SEED").map_or(1, |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    seed
}

type Content = BTreeMap<(u16, Vec<u8>), (Digest, Option<UnixMillis>)>;

/// Collects entries; has room every other time it is asked.
#[derive(Clone, Default)]
struct Collected {
    content: Rc<RefCell<Content>>,
    asked: usize,
    ended: Rc<RefCell<usize>>,
}

impl Sink for Collected {
    fn entry(&mut self, db: DbIndex, entry: EntryRef<'_>) {
        let key = (db.0, entry.key().to_vec());
        let what = (value(entry), entry.expire_at());
        let before = self.content.borrow_mut().insert(key, what);
        assert!(before.is_none(), "an entry came twice");
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
    for db in (0..2).map(DbIndex) {
        shard.db(db).for_each(&mut |entry| {
            let key = (db.0, entry.key().to_vec());
            content.insert(key, (value(entry), entry.expire_at()));
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
    for round in 0..12 {
        for _ in 0..[0, 40, 20_000][round % 3] {
            change(&mut shard, &mut random);
        }
        let expected = content(&mut shard);
        let collected = Collected::default();
        shard.begin_snapshot(SharedSink::new(collected.clone()));
        let pace = [0, 3, 200][random.index(3)];
        let mut steps = 0;
        loop {
            for _ in 0..random.index(pace + 1) {
                change(&mut shard, &mut random);
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
        assert_eq!(shard.snapshot_step(10), Step::Idle);
    }
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
