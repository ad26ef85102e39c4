//! Values of all types beside their keys and apart from them, against values that nobody packs.

use std::collections::BTreeMap;

use base::ids::{DbIndex, ShardId};
use base::random::Random;
use types::hash::{FieldExpiry, Growth, Hash};
use types::list::{End, List, NodeRule};
use types::set::{self, Set};
use types::sorted_set::{self, SortedSet};
use types::{Limits, Typed};

use super::*;
use crate::{Options, Shard};

const DB: DbIndex = DbIndex(0);
const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
const LATER: UnixMillis = UnixMillis(1_800_000_000_000);
const SEED: (u64, u64) = (1, 2);

/// What a client would see.
type Model = BTreeMap<Vec<u8>, (Value, Option<UnixMillis>)>;

fn seed() -> u64 {
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1);
    println!("SEED={seed}");
    seed
}

fn shard() -> Shard {
    let mut shard = Shard::new(ShardId(0), Options::default());
    shard.set_now(NOW);
    shard
}

/// One change of a value, the same for the shard and the model.
#[derive(Clone, Debug)]
enum Step {
    Add(Vec<u8>),
    RemoveOne(Vec<u8>),
    /// Leaves only a few elements.
    Cut,
    Look,
}

fn step(random: &mut Random) -> Step {
    let range = [20, 60, 400][random.index(3)];
    let element = match random.below(3) {
        0 => random.below(range).to_string().into_bytes(),
        1 => format!("element:{:04}", random.below(range)).into_bytes(),
        _ => vec![b'x'; random.index(70)],
    };
    match random.below(40) {
        0..=24 => Step::Add(element),
        25..=36 => Step::RemoveOne(element),
        37 => Step::Cut,
        _ => Step::Look,
    }
}

/// A type of values that a [`Step`] can be done to.
trait Stepped: Typed + Default {
    fn take(&mut self, step: &Step) -> Change;
}

fn done(count: bool) -> Change {
    Change::of(usize::from(count), EventClass::GENERIC, "step")
}

impl Stepped for List {
    fn take(&mut self, step: &Step) -> Change {
        let before = self.len();
        match step {
            Step::Add(element) => {
                let rule = NodeRule::of(&Limits::default());
                self.push(End::Tail, element.as_slice(), &rule);
            }
            Step::RemoveOne(element) => {
                self.remove_equal(element, 1, End::Head);
            }
            Step::Cut => self.pop(End::Head, before.saturating_sub(2)),
            Step::Look => {}
        }
        done(self.len() != before)
    }
}

impl Stepped for Set {
    fn take(&mut self, step: &Step) -> Change {
        let rules = set::Rules::new(&Limits::default(), SEED);
        match step {
            Step::Add(member) => done(self.add(member.as_slice(), &rules)),
            Step::RemoveOne(member) => done(self.remove(member.as_slice())),
            Step::Cut => {
                let gone: Vec<Vec<u8>> = self.iter().skip(2).map(|it| it.to_vec()).collect();
                for member in &gone {
                    self.remove(member.as_slice());
                }
                done(!gone.is_empty())
            }
            Step::Look => Change::NONE,
        }
    }
}

impl Stepped for Hash {
    fn take(&mut self, step: &Step) -> Change {
        let growth = Growth::new(&Limits::default(), SEED);
        match step {
            Step::Add(field) => {
                self.set(field, field, FieldExpiry::Clear, &growth, NOW);
                if field.len() == 7 {
                    self.set_expiry(field, Some(LATER), &growth, NOW);
                }
                done(true)
            }
            Step::RemoveOne(field) => done(self.remove(field, NOW)),
            Step::Cut => {
                let mut gone: Vec<Vec<u8>> = Vec::new();
                self.for_each(NOW, &mut |field, _| gone.push(field.to_vec()));
                gone.sort();
                for field in gone.iter().skip(2) {
                    self.remove(field, NOW);
                }
                done(gone.len() > 2)
            }
            Step::Look => Change::NONE,
        }
    }
}

impl Stepped for SortedSet {
    fn take(&mut self, step: &Step) -> Change {
        let rules = sorted_set::Rules::new(&Limits::default(), SEED);
        match step {
            Step::Add(member) => {
                let score = f64::from(u8::try_from(member.len()).unwrap());
                done(self.set(member, score, &rules) != Some(score))
            }
            Step::RemoveOne(member) => done(self.remove(member).is_some()),
            Step::Cut => {
                let len = self.len();
                self.remove_range(2.min(len)..len);
                done(len > 2)
            }
            Step::Look => Change::NONE,
        }
    }
}

/// Does a step to a key of this type, in one of the ways there are.
fn edit<T: Stepped>(shard: &mut Shard, model: &mut Model, name: &[u8], random: &mut Random) {
    let step = step(random);
    let key = shard.key(name);
    let modelled = model.get_mut(name).map(|(value, _)| value);
    if modelled.as_ref().is_some_and(|it| it.kind() != T::KIND) {
        let mut db = shard.db(DB);
        let refused = db.edit_or_create::<T, _>(key, |_| unreachable!("of another type"));
        assert_eq!(refused, Err::<(), _>(WrongType));
        assert_eq!(db.read::<T>(key, true).err(), Some(WrongType));
        return;
    }
    let is_new = modelled.is_none();
    match random.below(3) {
        0 if !is_new => {
            let mut loan = shard.db(DB).lend(key, true, true);
            let edited = loan.edit(|value: &mut T| ((), value.take(&step)));
            assert_eq!(edited, Ok(Some(())));
            shard.db(DB).settle(key, loan);
        }
        1 if !is_new => {
            let edited = shard
                .db(DB)
                .edit(key, |value: &mut T| ((), value.take(&step)));
            assert_eq!(edited, Ok(Some(())));
        }
        _ => {
            let mut db = shard.db(DB);
            let edited = db.edit_or_create(key, |value: &mut T| ((), value.take(&step)));
            assert_eq!(edited, Ok(()));
        }
    }
    let mut value = match modelled {
        Some(value) => T::from_value(value.clone()).unwrap(),
        None => T::default(),
    };
    value.take(&step);
    if value.is_void() {
        model.remove(name);
    } else if let Some((modelled, _)) = model.get_mut(name) {
        *modelled = value.into_value();
    } else {
        model.insert(name.to_vec(), (value.into_value(), None));
    }
}

/// Does something to a key as a whole.
fn handle(shard: &mut Shard, model: &mut Model, name: &[u8], other: &[u8], random: &mut Random) {
    let (key, target) = (shard.key(name), shard.key(other));
    let mut db = shard.db(DB);
    match random.below(8) {
        0 => {
            assert_eq!(db.remove(key), model.remove(name).is_some());
        }
        1 | 2 => {
            let at = (random.below(2) == 0).then_some(LATER);
            db.set_expiry(key, at);
            if let Some((_, expire_at)) = model.get_mut(name) {
                *expire_at = at;
            }
        }
        3 => {
            if let Some(detached) = db.detach(key) {
                db.attach(target, detached);
                let moved = model.remove(name).unwrap();
                model.insert(other.to_vec(), moved);
            }
        }
        4 => {
            if let Some(detached) = db.copy_of(key) {
                db.attach(target, detached);
                let copy = model[name].clone();
                model.insert(other.to_vec(), copy);
            }
        }
        5 => {
            let loan = db.lend(key, false, false);
            db.settle(key, loan);
        }
        6 => {
            db.set_string(key, b"text", Expiry::Clear);
            model.insert(name.to_vec(), (Value::String(b"text".to_vec()), None));
        }
        _ => {
            if let Some((value, expire_at)) = model.get(name) {
                db.store(
                    key,
                    value.clone(),
                    expire_at.map_or(Expiry::Clear, Expiry::At),
                );
            }
        }
    }
}

#[track_caller]
fn check(shard: &mut Shard, model: &Model) -> usize {
    let (mut bytes, mut packed, mut shown) = (0, 0, Model::new());
    shard.db(DB).for_each(&mut |entry| {
        bytes += entry.bytes();
        packed += usize::from(entry.packed().is_some());
        let value = entry.value().into_owned();
        let name = String::from_utf8_lossy(entry.key()).into_owned();
        assert_eq!(entry.kind(), value.kind(), "{name}");
        if value.kind() != types::Kind::String {
            assert_eq!(entry.encoding_name(), value.encoding_name(), "{name}");
        }
        assert!(!value.is_void(), "{name}");
        let fits = NewValue::beside(&value, entry.key().len(), false).is_some();
        assert!(fits || entry.packed().is_none(), "{name} is too large");
        shown.insert(entry.key().to_vec(), (value, entry.expire_at()));
    });
    assert_eq!(&shown, model);
    assert_eq!(shard.memory().entry_bytes, bytes);
    packed
}

#[test]
fn values_beside_and_apart_are_what_they_would_be_unpacked() {
    let mut random = Random::new(seed());
    for _ in 0..10 {
        let (mut shard, mut model) = (shard(), Model::new());
        let (mut packed, mut apart) = (0, 0);
        for round in 0..4000 {
            let mut name = || match random.below(24) {
                0 => vec![b'k'; 300],
                number => format!("k{number}").into_bytes(),
            };
            let (name, other) = (name(), name());
            match random.below(10) {
                0 | 1 => edit::<List>(&mut shard, &mut model, &name, &mut random),
                2 | 3 => edit::<Set>(&mut shard, &mut model, &name, &mut random),
                4 | 5 => edit::<Hash>(&mut shard, &mut model, &name, &mut random),
                6 | 7 => edit::<SortedSet>(&mut shard, &mut model, &name, &mut random),
                _ if random.below(4) == 0 => {
                    handle(&mut shard, &mut model, &name, &other, &mut random);
                }
                _ => {}
            }
            if round % 10 == 0 {
                let beside = check(&mut shard, &model);
                packed += beside;
                apart += model.len() - beside;
            }
        }
        assert!(packed > 1000 && apart > 500, "{packed} beside, {apart} not");
        shard.db(DB).clear();
        assert_eq!(shard.memory().total_bytes(), 0);
    }
}

#[test]
fn a_small_hash_is_one_block() {
    let mut shard = shard();
    let growth = Growth::new(&Limits::default(), SEED);
    let key = shard.key(b"hash:000000001");
    for field in 0..5 {
        let (field, value) = (format!("field:{field}"), format!("value:{field:06}"));
        let edited = shard.db(DB).edit_or_create(key, |hash: &mut Hash| {
            let (field, value) = (field.as_bytes(), value.as_bytes());
            hash.set(field, value, FieldExpiry::Clear, &growth, NOW);
            ((), Change::UNTOLD)
        });
        assert_eq!(edited, Ok(()));
    }
    // Header, key, and a listpack with 7 bytes beside its entries.
    assert_eq!(shard.memory().entry_bytes, 8 + 14 + 7 + 5 * (9 + 14));
}

#[test]
fn a_value_goes_apart_when_it_has_grown_and_comes_back_when_it_is_small() {
    let mut shard = shard();
    let key = shard.key(b"list");
    let rule = NodeRule::of(&Limits::default());
    let push = |shard: &mut Shard| {
        let edited = shard.db(DB).edit_or_create(key, |list: &mut List| {
            list.push(End::Tail, b"element".as_slice(), &rule);
            ((), Change::UNTOLD)
        });
        assert_eq!(edited, Ok(()));
        shard.db(DB).peek(key).unwrap().is_apart()
    };
    let pop = |shard: &mut Shard| {
        let edited = shard.db(DB).edit(key, |list: &mut List| {
            list.pop(End::Tail, 1);
            ((), Change::UNTOLD)
        });
        assert_eq!(edited, Ok(Some(())));
        shard.db(DB).peek(key).unwrap().is_apart()
    };
    assert!(!push(&mut shard));
    let mut len = 1;
    while !push(&mut shard) {
        len += 1;
    }
    // 12 bytes before the first element and one behind the last, in 512.
    assert_eq!(len, (512 - 8 - 4 - 7) / 9);
    while pop(&mut shard) {
        len -= 1;
    }
    assert_eq!(len, (256 - 8 - 4 - 7) / 9);
    assert!(!push(&mut shard));
}
