//! A dict against a naive model, and scans while it grows and shrinks.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::entry::NewValue;
use types::string::Origin;

fn seed() -> u64 {
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1);
    println!("SEED={seed}");
    seed
}

fn dict(seed: u64) -> (Dict, KeyHasher) {
    let hasher = KeyHasher::new((seed, 3));
    (Dict::new(hasher.clone()), hasher)
}

fn name(number: u64) -> Vec<u8> {
    format!("key:{number:09}").into_bytes()
}

fn insert(dict: &mut Dict, hasher: &KeyHasher, key: &[u8], expire_at: Option<UnixMillis>) {
    let value = NewValue::Inline(b"value");
    let new = NewEntry {
        key,
        value,
        expire_at,
        access: 0,
        origin: Origin::Stored,
    };
    dict.insert(hasher.hash(key), new);
}

fn remove(dict: &mut Dict, hasher: &KeyHasher, key: &[u8]) -> bool {
    let place = dict.find(hasher.hash(key), key);
    place.map(|place| drop(dict.remove(place))).is_some()
}

/// Checks every count and every link of a dict. O(entries + directory).
#[track_caller]
fn assert_sound(dict: &Dict, hasher: &KeyHasher) {
    let (mut word, mut segments, mut deepest, mut bytes) = (0, 0, 0, 0);
    let (mut len, mut expires) = (0, 0);
    assert_eq!(dict.directory.len(), 1 << dict.depth);
    while word < dict.directory.len() {
        let segment = &dict.directory[word];
        let run = dict.run_of(segment);
        assert_eq!(dict.first_word(word), word);
        assert!(
            dict.directory[word..word + run]
                .iter()
                .all(|alias| alias == segment)
        );
        let (mut used, mut volatile) = (0, 0);
        for (position, slot) in segment.used_slots(0) {
            let entry = dict.at(address_of(slot));
            let hash = hasher.hash(entry.key());
            assert_eq!(dict.first_word(dict.word_of(hash)), word);
            assert_eq!(tag_in(slot), tag_of(hash));
            assert_eq!(slot & VOLATILE != 0, entry.expire_at().is_some());
            let place = dict.find(hash, entry.key()).expect("every entry is found");
            assert_eq!(place.position, position);
            used += 1;
            volatile += usize::from(entry.expire_at().is_some());
        }
        assert_eq!((segment.used(), segment.volatile()), (used, volatile));
        let mut homes = 0;
        for bucket in 0..segment.buckets() {
            segment.with_home(bucket, &mut |_| homes += 1);
        }
        assert_eq!(homes, used);
        len += used;
        expires += volatile;
        segments += 1;
        deepest += usize::from(segment.depth() == dict.depth);
        bytes += segment.bytes();
        word += run;
    }
    assert_eq!((dict.len, dict.expires), (len, expires));
    assert_eq!(
        (dict.segments, dict.deepest, dict.segment_bytes),
        (segments, deepest, bytes)
    );
}

#[test]
fn dict_behaves_as_its_model_through_growth_and_shrinking() {
    let seed = seed();
    let mut random = Random::new(seed);
    let (mut dict, hasher) = dict(seed);
    let mut model = BTreeMap::new();
    // Shares of insertions in a hundred steps: up, level, down, up again, almost empty.
    for insertions in [80, 50, 15, 90, 5] {
        for _ in 0..20_000 {
            let key = name(random.below(30_000));
            let volatile = random.below(3) == 0;
            let expire_at = volatile.then(|| UnixMillis(1 << random.below(60)));
            let place = dict.find(hasher.hash(&key), &key);
            assert_eq!(
                place.map(|at| dict.entry(at).expire_at()),
                model.get(&key).copied()
            );
            match place {
                Some(place) if random.below(4) == 0 => {
                    dict.remake(place, expire_at);
                    model.insert(key, expire_at);
                }
                _ if random.below(100) >= insertions => {
                    assert_eq!(
                        remove(&mut dict, &hasher, &key),
                        model.remove(&key).is_some()
                    );
                }
                None => {
                    insert(&mut dict, &hasher, &key, expire_at);
                    model.insert(key, expire_at);
                }
                Some(_) => {}
            }
        }
        assert_sound(&dict, &hasher);
        assert_eq!(dict.len(), model.len());
        let sum: i128 = model.values().flatten().map(|at| i128::from(at.0)).sum();
        assert_eq!(dict.expire_sum, sum);
    }
    for key in model.keys() {
        assert!(remove(&mut dict, &hasher, key));
    }
    assert_sound(&dict, &hasher);
    assert_eq!(
        (dict.directory.len(), dict.heap.bytes(), dict.segment_bytes),
        (1, 0, 128)
    );
}

#[test]
fn scan_shows_every_key_that_stays_while_the_dict_grows_and_shrinks() {
    let seed = seed();
    let mut random = Random::new(seed);
    for round in 0..60 {
        let (mut dict, hasher) = dict(seed + round);
        let (first, others) = (random.below(8000), random.below(20_000));
        // Stable keys have even numbers, all others come and go.
        for number in 0..first {
            insert(&mut dict, &hasher, &name(number * 2), None);
        }
        let grows = round % 3 != 1;
        if !grows {
            for number in 0..others {
                insert(&mut dict, &hasher, &name(number * 2 + 1), None);
            }
        }
        let count = 1 + random.index(200);
        let (mut seen, mut cursor, mut next) = (BTreeSet::new(), 0, 0);
        loop {
            let mut shown = 0;
            cursor = dict.scan(cursor, count, &mut |entry| {
                shown += 1;
                seen.insert(entry.key().to_vec());
            });
            assert!(cursor < 1 << 53);
            assert!(shown < count + 300, "a call is bounded by its count");
            // In every third round the dict grows and then shrinks back.
            let end = (next + random.below(600)).min(others);
            for number in next..end {
                let key = name(number * 2 + 1);
                if grows {
                    insert(&mut dict, &hasher, &key, None);
                } else {
                    remove(&mut dict, &hasher, &key);
                }
            }
            if round % 3 == 2 && random.below(10) == 0 {
                for number in 0..end {
                    remove(&mut dict, &hasher, &name(number * 2 + 1));
                }
                next = end;
            } else {
                next = end;
            }
            if cursor == 0 {
                break;
            }
        }
        for number in 0..first {
            assert!(
                seen.contains(&name(number * 2)),
                "round {round}: key {number} was missed"
            );
        }
        assert_sound(&dict, &hasher);
    }
}

#[test]
fn a_dict_whose_size_was_expected_is_sound_whatever_comes() {
    for (expected, count) in [
        (0, 10),
        (100, 2000),
        (5000, 5000),
        (5000, 10),
        (3000, 30_000),
        (50_000, 50_000),
    ] {
        let (mut dict, hasher) = dict(seed());
        dict.expect(expected);
        for number in 0..count {
            insert(&mut dict, &hasher, &name(number), None);
        }
        assert_sound(&dict, &hasher);
        if expected > 1000 && cast::usize_from(count) == expected {
            let each = dict.segment_bytes / expected;
            assert!(each <= 20, "{each} bytes of table for each of {expected}");
        }
        // What it has, it does not make room for again.
        dict.expect(10 * expected);
        for number in 0..count / 10 * 9 {
            assert!(remove(&mut dict, &hasher, &name(number)));
        }
        assert_sound(&dict, &hasher);
        assert_eq!(dict.len(), cast::usize_from(count - count / 10 * 9));
    }
}

#[test]
fn scan_of_a_still_dict_shows_each_key_once() {
    let (mut dict, hasher) = dict(seed());
    for number in 0..5000 {
        insert(&mut dict, &hasher, &name(number), None);
    }
    for count in [1, 10, 10_000] {
        let (mut cursor, mut seen) = (0, Vec::new());
        loop {
            cursor = dict.scan(cursor, count, &mut |entry| seen.push(entry.key().to_vec()));
            if cursor == 0 {
                break;
            }
        }
        seen.sort();
        assert!(
            seen.iter()
                .map(Vec::as_slice)
                .eq((0..5000).map(name).collect::<Vec<_>>())
        );
    }
}

#[test]
fn any_cursor_is_harmless() {
    let (mut dict, hasher) = dict(seed());
    let mut random = Random::new(seed());
    for number in 0..3000 {
        insert(&mut dict, &hasher, &name(number), Some(UnixMillis(5)));
    }
    for _ in 0..3000 {
        let cursor = random.next_u64() >> random.below(64);
        let mut shown = 0;
        dict.scan(cursor, 10, &mut |_| shown += 1);
        assert!(shown < 40);
        dict.sweep(cursor, 10, &mut |_| true, &mut drop);
    }
}

#[test]
fn sweep_comes_round_and_removes_what_it_may() {
    let (mut dict, hasher) = dict(seed());
    for number in 0..20_000 {
        let expire_at = (number % 2 == 0).then_some(UnixMillis(i64::try_from(number).unwrap()));
        insert(&mut dict, &hasher, &name(number), expire_at);
    }
    let (mut cursor, mut calls, mut shown) = (0, 0, 0);
    loop {
        let mut keep = |entry: EntryRef<'_>| {
            shown += 1;
            entry.expire_at().unwrap().0 % 4 == 0
        };
        let (next, slots) = dict.sweep(cursor, 100, &mut keep, &mut drop);
        assert!(slots <= 104, "{slots}");
        calls += 1;
        assert!(calls < 2000);
        cursor = next;
        if cursor == 0 {
            break;
        }
    }
    assert_sound(&dict, &hasher);
    assert!(
        dict.expires_len() <= 5010 && shown >= 9990,
        "{} {shown}",
        dict.expires_len()
    );
}

#[test]
fn hashes_that_agree_in_many_bits_do_not_blow_up_the_directory() {
    let (mut dict, hasher) = dict(seed());
    let alike = |key: &Vec<u8>| hasher.hash(key) >> 54 == 0;
    let keys: Vec<Vec<u8>> = (0..2_000_000).map(name).filter(alike).collect();
    assert!(keys.len() > 1500);
    for key in &keys {
        insert(&mut dict, &hasher, key, None);
    }
    assert_sound(&dict, &hasher);
    assert!(
        dict.directory.len() <= 512,
        "{} words",
        dict.directory.len()
    );
    for key in &keys {
        assert!(remove(&mut dict, &hasher, key));
    }
    assert_sound(&dict, &hasher);
    assert_eq!(dict.directory.len(), 1);
}

#[test]
fn random_picks_reach_every_entry_about_equally() {
    let (mut dict, hasher) = dict(seed());
    let mut random = Random::new(seed());
    for number in 0..2000 {
        insert(&mut dict, &hasher, &name(number), None);
    }
    let mut picks = BTreeMap::new();
    for _ in 0..200_000 {
        let place = dict.random(&mut random, false).unwrap();
        *picks.entry(dict.entry(place).key().to_vec()).or_insert(0) += 1;
    }
    assert_eq!(picks.len(), 2000);
    assert!(picks.values().all(|&count| (30..300).contains(&count)));
}

#[test]
fn table_costs_little_at_any_number_of_keys() {
    let (mut dict, hasher) = dict(seed());
    for number in 0..60_000_u64 {
        insert(&mut dict, &hasher, &name(number), None);
        if number > 100 && number % 100 == 0 {
            let bytes = dict.ledger().dict_bytes;
            let per_key = bytes / usize::try_from(number).unwrap();
            assert!(per_key <= 14, "{per_key} bytes per key at {number} keys");
        }
    }
}
