//! Hashes against a map of fields.

use std::collections::BTreeMap;

use super::*;
use crate::memory::allocated_bytes;

/// Live and dead fields: value and expiry.
type Model = BTreeMap<Vec<u8>, (Vec<u8>, Option<UnixMillis>)>;

fn seed() -> u64 {
    let seed = std::env::var("SEED").map_or(1, |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    seed
}

fn growth(entries: usize, value: usize) -> Growth {
    let limits = Limits {
        hash_listpack_entries: entries,
        hash_listpack_value: value,
        ..Limits::default()
    };
    Growth::new(&limits, (3, 4))
}

fn lives(expire_at: Option<UnixMillis>, now: UnixMillis) -> bool {
    expire_at.is_none_or(|at| at >= now)
}

#[track_caller]
fn check(hash: &Hash, model: &Model, now: UnixMillis) {
    let live: Model = model
        .iter()
        .filter(|(_, (_, at))| lives(*at, now))
        .map(|(field, rest)| (field.clone(), rest.clone()))
        .collect();
    assert_eq!(hash.len(now), live.len());
    assert_eq!(hash.stored_len(), model.len());
    assert_eq!(hash.is_empty(), model.is_empty());
    let mut shown = Model::new();
    hash.for_each_with_expiry(now, &mut |field, value, at| {
        shown.insert(field.to_vec(), (value.to_vec(), at));
    });
    assert_eq!(shown, live);
    let (mut cursor, mut scanned) = (0, BTreeMap::new());
    loop {
        cursor = hash.scan(cursor, 10, now, &mut |field, value| {
            let twice = scanned.insert(field.to_vec(), value.to_vec());
            assert!(twice.is_none(), "a field is shown once");
        });
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(scanned.len(), live.len());
    let first = model.values().filter_map(|(_, at)| *at).min();
    assert_eq!(hash.next_expiry(), first);
    assert_eq!(hash.all_dead(now), live.is_empty() && !model.is_empty());
    let expires = first.is_some();
    let name = match &hash.form {
        Form::Packed(_) if expires => "listpackex",
        Form::Packed(_) => "listpack",
        Form::Table(_) => "hashtable",
    };
    assert_eq!(hash.encoding_name(), name);
    let copy = hash.clone();
    assert_eq!(copy, *hash);
}

/// One random change of both.
fn step(
    hash: &mut Hash,
    model: &mut Model,
    random: &mut Random,
    growth: &Growth,
    now: UnixMillis,
    fields: u64,
) {
    let field = format!("f{}", random.below(fields)).into_bytes();
    let before = model.get(&field).cloned();
    let alive = before.as_ref().filter(|(_, at)| lives(*at, now));
    match random.below(10) {
        0..=3 => {
            let value = match random.below(3) {
                0 => random.below(1000).to_string().into_bytes(),
                1 => vec![b'v'; random.index(70)],
                _ => vec![b'w'; random.index(8)],
            };
            let keep = random.below(2) == 0;
            let expiry = if keep {
                FieldExpiry::Keep
            } else {
                FieldExpiry::Clear
            };
            assert_eq!(
                hash.set(&field, &value, expiry, growth, now),
                alive.is_none()
            );
            let at = alive.and_then(|(_, at)| *at).filter(|_| keep);
            model.insert(field, (value, at));
        }
        4 => {
            assert_eq!(hash.remove(&field, now), alive.is_some());
            model.remove(&field);
        }
        5..=7 => {
            let shift = i64::try_from(random.below(40)).unwrap();
            let at = (random.below(5) > 0).then_some(UnixMillis(now.0 + shift));
            hash.set_expiry(&field, at, growth, now);
            if let Some((value, _)) = alive {
                model.insert(field, (value.clone(), at));
            }
        }
        8 => {
            let dead = model.values().filter(|(_, at)| !lives(*at, now)).count();
            let limit = random.index(20);
            assert_eq!(hash.remove_expired(now, limit), dead.min(limit));
            // Which of the dead went, if not all, is told by the hash: they are a prefix in time.
            if limit >= dead {
                model.retain(|_, (_, at)| lives(*at, now));
            } else {
                model.retain(|field, _| hash.find(field, UnixMillis(i64::MIN)).is_some());
            }
        }
        _ => {
            let value = hash.get(&field, now).map(|value| value.to_vec());
            assert_eq!(value, alive.map(|(value, _)| value.clone()));
            assert_eq!(hash.expire_at(&field, now), alive.map(|(_, at)| *at));
        }
    }
}

#[test]
fn hash_agrees_with_a_map_in_every_encoding() {
    let mut random = Random::new(seed());
    for (entries, value, fields) in [(512, 64, 30), (512, 64, 300), (20, 64, 40), (0, 0, 200)] {
        for _ in 0..5 {
            let growth = growth(entries, value);
            let (mut hash, mut model) = (Hash::default(), Model::new());
            let mut now = UnixMillis(1000);
            for round in 0..2000 {
                step(&mut hash, &mut model, &mut random, &growth, now, fields);
                now.0 += i64::from(random.below(8) == 0);
                if round % 50 == 0 {
                    check(&hash, &model, now);
                }
            }
            check(&hash, &model, now);
            for field in model.keys() {
                hash.remove(field, now);
            }
            assert!(hash.is_empty());
            assert_eq!(hash.next_expiry(), None);
        }
    }
}

#[test]
fn bytes_are_those_of_all_allocations() {
    let mut random = Random::new(seed());
    let growth = growth(0, 0);
    let (mut hash, mut model) = (Hash::default(), Model::new());
    for _ in 0..20_000 {
        let now = UnixMillis(1000);
        step(&mut hash, &mut model, &mut random, &growth, now, 5000);
    }
    // A table of the same pairs that was made in one go costs about as much.
    let mut copy = Hash::default();
    for (field, (value, at)) in &model {
        copy.set(field, value, FieldExpiry::Clear, &growth, UnixMillis(0));
        copy.set_expiry(field, *at, &growth, UnixMillis(0));
    }
    let (bytes, fresh) = (
        hash.allocated_bytes(allocated_bytes),
        copy.allocated_bytes(allocated_bytes),
    );
    assert!(
        bytes < fresh * 5 / 4 && fresh < bytes * 5 / 4,
        "{bytes} {fresh}"
    );
    let before = hash.allocated_bytes(allocated_bytes);
    assert!(hash.free_effort() > 1000);
    let mut steps = 0;
    while hash.free_step(100) {
        steps += 1;
    }
    assert!((10..1000).contains(&steps), "{steps}");
    assert!(hash.allocated_bytes(allocated_bytes) < before / 100);
}

#[test]
fn fields_cost_no_more_when_none_expires() {
    let (growth, now) = (growth(512, 64), UnixMillis(5));
    let mut hash = Hash::default();
    for number in 0..10 {
        let field = format!("field{number}");
        hash.set(field.as_bytes(), b"value", FieldExpiry::Clear, &growth, now);
    }
    let before = hash.as_listpack().unwrap().byte_len();
    hash.set_expiry(b"field3", Some(UnixMillis(9)), &growth, now);
    assert_eq!(hash.encoding_name(), "listpackex");
    hash.set_expiry(b"field3", None, &growth, now);
    assert_eq!(hash.as_listpack().unwrap().byte_len(), before);
    assert!(size_of::<crate::Value>() <= 32);
}

#[test]
fn encoding_changes_as_in_redis() {
    let (growth, now) = (growth(3, 5), UnixMillis(5));
    let set = |hash: &mut Hash, field: &[u8], value: &[u8]| {
        hash.set(field, value, FieldExpiry::Clear, &growth, now);
        hash.encoding_name()
    };
    let mut hash = Hash::default();
    assert_eq!(set(&mut hash, b"a", b"12345"), "listpack");
    assert_eq!(set(&mut hash, b"b", b""), "listpack");
    assert_eq!(set(&mut hash, b"c", b""), "listpack");
    assert_eq!(set(&mut hash, b"c", b"x"), "listpack");
    assert_eq!(set(&mut hash, b"d", b""), "hashtable");
    hash.remove(b"d", now);
    assert_eq!(hash.encoding_name(), "hashtable");
    for (field, value) in [(&b"123456"[..], &b""[..]), (b"", b"123456")] {
        let mut hash = Hash::default();
        assert_eq!(set(&mut hash, field, value), "hashtable");
    }
}

#[test]
fn listpack_from_outside_is_looked_at() {
    let pairs = |elements: &[&[u8]]| {
        let mut listpack = Listpack::new();
        listpack.extend(elements.iter().map(|it| Element::Bytes(it)));
        Hash::from_listpack(listpack, &growth(2, 5))
    };
    assert!(pairs(&[b"a"]).is_none());
    assert!(pairs(&[b"a", b"1", b"a", b"2"]).is_none());
    assert!(pairs(&[b"7", b"1", b"7", b"2"]).is_none());
    let good = pairs(&[b"a", b"1", b"b", b"2"]).unwrap();
    assert_eq!(
        (good.len(UnixMillis(0)), good.encoding_name()),
        (2, "listpack")
    );
    let many = pairs(&[b"a", b"1", b"b", b"2", b"c", b"3"]).unwrap();
    assert_eq!(
        (many.len(UnixMillis(0)), many.encoding_name()),
        (3, "hashtable")
    );
    let long = pairs(&[b"a", b"123456"]).unwrap();
    assert_eq!(long.encoding_name(), "hashtable");
}

#[test]
fn samples_are_different_live_fields_and_all_come_up() {
    let mut random = Random::new(seed());
    for growth in [growth(512, 64), growth(0, 0)] {
        let mut hash = Hash::default();
        for number in 0..100 {
            let field = format!("{number}");
            hash.set(
                field.as_bytes(),
                b"v",
                FieldExpiry::Clear,
                &growth,
                UnixMillis(0),
            );
            let at = (number % 2 == 1).then_some(UnixMillis(10));
            hash.set_expiry(field.as_bytes(), at, &growth, UnixMillis(0));
        }
        for (now, len) in [(UnixMillis(10), 100), (UnixMillis(11), 50)] {
            let mut seen = Set::default();
            for count in [0, 1, 3, 10, 30, 49, 50, 99, 100, 200] {
                for _ in 0..20 {
                    let drawn = hash.sample(count, &mut random, now);
                    assert_eq!(drawn.len(), count.min(len));
                    let fields: Set<_> = drawn.iter().map(|(field, _)| field.to_vec()).collect();
                    assert_eq!(fields.len(), drawn.len());
                    assert!(fields.iter().all(|field| hash.get(field, now).is_some()));
                    seen.extend(fields);
                }
            }
            assert_eq!(seen.len(), len);
            let mut counts = BTreeMap::new();
            for _ in 0..len * 100 {
                let (field, _) = hash.random(&mut random, now).unwrap();
                *counts.entry(field.to_vec()).or_insert(0) += 1;
            }
            assert_eq!(counts.len(), len);
            assert!(
                counts.values().all(|count| (40..200).contains(count)),
                "{counts:?}"
            );
        }
        assert_eq!(hash.remove_expired(UnixMillis(11), 1000), 50);
        assert!(Hash::default().random(&mut random, UnixMillis(0)).is_none());
    }
}

#[test]
fn bytes_of_a_field_stay_low_in_a_large_hash() {
    let (growth, now) = (growth(512, 64), UnixMillis(0));
    let mut hash = Hash::default();
    for number in 0..100_000 {
        let field = format!("field:{number:07}");
        let value = b"0123456789abcdef";
        hash.set(field.as_bytes(), value, FieldExpiry::Clear, &growth, now);
    }
    // 13 bytes of field and 16 of value.
    let per_field = hash.allocated_bytes(allocated_bytes) / 100_000;
    assert!(per_field <= 46, "{per_field}");
    for number in 0..100_000 {
        let field = format!("field:{number:07}");
        let at = UnixMillis(1 + number % 5000);
        hash.set_expiry(field.as_bytes(), Some(at), &growth, now);
    }
    let per_field = hash.allocated_bytes(allocated_bytes) / 100_000;
    assert!(per_field <= 84, "{per_field}");
}
