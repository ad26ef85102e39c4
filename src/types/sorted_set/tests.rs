//! Tests of sorted sets against a model, in both encodings.

use std::collections::BTreeMap;

use super::range::Bound;
use super::*;

const SMALL: Rules = Rules {
    listpack_entries: 128,
    listpack_value: 64,
    hash_seed: (3, 5),
};

const LARGE: Rules = Rules {
    listpack_entries: 0,
    ..SMALL
};

fn seed() -> u64 {
    let seed = std::env::var("SEED").map_or(1, |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    seed
}

fn member(number: u64) -> Vec<u8> {
    match number % 3 {
        0 => number.to_string().into_bytes(),
        1 => format!("member:{number}").into_bytes(),
        _ => format!("{number}:m").into_bytes(),
    }
}

/// What a set should be: members and scores, in no order.
#[derive(Default)]
struct Model(BTreeMap<Vec<u8>, f64>);

impl Model {
    fn ordered(&self) -> Vec<(Vec<u8>, f64)> {
        let mut pairs: Vec<_> = self.0.clone().into_iter().collect();
        pairs.sort_by(|left, right| compare((left.1, &left.0), (right.1, &right.0)));
        pairs
    }
}

fn listed<'a>(pairs: impl Iterator<Item = Pair<'a>>) -> Vec<(Vec<u8>, f64)> {
    pairs
        .map(|(member, score)| (member.to_vec(), score))
        .collect()
}

fn round(bytes: usize) -> usize {
    crate::memory::allocated_bytes(bytes)
}

fn check(set: &SortedSet, model: &Model, random: &mut Random) {
    let ordered = model.ordered();
    assert_eq!(listed(set.iter()), ordered);
    if let Form::Indexed(indexed) = &set.form {
        indexed.assert_sound();
    }
    let len = ordered.len();
    let start = random.index(len + 1);
    let end = start + random.index(len - start + 1);
    assert_eq!(listed(set.pairs(start..end, false)), ordered[start..end]);
    let mut reversed = ordered[start..end].to_vec();
    reversed.reverse();
    assert_eq!(listed(set.pairs(start..end, true)), reversed);
    for _ in 0..10 {
        let name = member(random.below(2000));
        let rank = ordered.iter().position(|pair| pair.0 == name);
        assert_eq!(set.rank(&name), rank.map(|rank| (rank, ordered[rank].1)));
        assert_eq!(set.score(&name), model.0.get(&name).copied());
    }
    let mut bound = || match random.below(5) {
        0 => Bound::Lowest,
        1 => Bound::Highest,
        2 => Bound::Excluded(score(random)),
        _ => Bound::Included(score(random)),
    };
    let range = ScoreRange {
        min: bound(),
        max: bound(),
    };
    let is_in = |value: f64| !range.is_after(value) && range.reaches(value);
    let inside: Vec<_> = ordered
        .iter()
        .filter(|pair| is_in(pair.1))
        .cloned()
        .collect();
    assert_eq!(listed(set.pairs(set.score_ranks(&range), false)), inside);
}

fn score(random: &mut Random) -> f64 {
    const SCORES: [f64; 8] = [
        -1.5,
        0.0,
        1.0,
        2.0,
        3.1,
        1e20,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ];
    if random.below(2) == 0 {
        SCORES[random.index(SCORES.len())]
    } else {
        f64::from(u32::try_from(random.below(1000)).unwrap())
    }
}

#[test]
fn random_changes_agree_with_a_model_in_both_encodings() {
    let mut random = Random::new(seed());
    for (rules, members, steps) in [
        (SMALL, 100, 3000),
        (LARGE, 300, 3000),
        (SMALL, 2000, 12_000),
        (LARGE, 20_000, 30_000),
    ] {
        let (mut set, mut model) = (SortedSet::new(), Model::default());
        for step in 0..steps {
            let name = member(random.below(members));
            // Grows, then shrinks.
            let removes = if step < steps / 2 { 3 } else { 6 };
            if random.below(10) < removes {
                assert_eq!(set.remove(&name), model.0.remove(&name));
            } else {
                let score = score(&mut random);
                let before = set.set(&name, score, &rules);
                assert_eq!(before, model.0.insert(name, score));
            }
            if step % 500 == 0 {
                check(&set, &model, &mut random);
            }
        }
        check(&set, &model, &mut random);
        let mut copy = set.clone();
        assert_eq!(copy, set);
        copy.set(b"one more", 0.0, &rules);
        assert_ne!(copy, set);
        while !model.0.is_empty() {
            let ordered = model.ordered();
            let start = random.index(ordered.len());
            let end = start + 1 + random.index((ordered.len() - start).min(1000));
            set.remove_range(start..end);
            for (name, _) in &ordered[start..end] {
                model.0.remove(name);
            }
            check(&set, &model, &mut random);
        }
        assert!(set.is_empty());
    }
}

#[test]
fn set_becomes_large_beyond_the_limits_and_stays_so() {
    let mut set = SortedSet::new();
    for number in 0..128 {
        set.set(&member(number), 1.0, &SMALL);
    }
    assert_eq!(set.encoding_name(), "listpack");
    let mut long = set.clone();
    set.set(&member(128), 1.0, &SMALL);
    assert_eq!(set.encoding_name(), "skiplist");
    set.remove_range(0..128);
    assert_eq!((set.encoding_name(), set.len()), ("skiplist", 1));
    long.remove(&member(0));
    long.set(&[b'x'; 65], 1.0, &SMALL);
    assert_eq!(long.encoding_name(), "skiplist");
    let mut none = SortedSet::new();
    none.set(b"a", 1.0, &LARGE);
    assert_eq!(none.encoding_name(), "skiplist");
}

#[test]
fn lex_ranges_of_equal_scores_agree_with_a_model() {
    let mut random = Random::new(seed());
    for rules in [SMALL, LARGE] {
        let (mut set, mut names) = (SortedSet::new(), std::collections::BTreeSet::new());
        for _ in 0..120 {
            let name = member(random.below(1000));
            set.set(&name, 2.0, &rules);
            names.insert(name);
        }
        for _ in 0..300 {
            let (low, high) = (member(random.below(1000)), member(random.below(1000)));
            let bound = |kind: u64, name: &'static [u8]| match kind {
                0 => Bound::Lowest,
                1 => Bound::Highest,
                2 | 3 => Bound::Excluded(name),
                _ => Bound::Included(name),
            };
            let (low, high): (&'static [u8], &'static [u8]) = (low.leak(), high.leak());
            let range = LexRange {
                min: bound(random.below(8), low),
                max: bound(random.below(8), high),
            };
            let inside: Vec<_> = names
                .iter()
                .filter(|name| !range.is_after(name) && range.reaches(name))
                .map(|name| (name.clone(), 2.0))
                .collect();
            for from_high in [false, true] {
                let ranks = set.lex_ranks(&range, from_high);
                assert_eq!(listed(set.pairs(ranks, false)), inside, "{range:?}");
            }
        }
    }
}

#[test]
fn listpacks_have_the_bytes_of_redis() {
    // Scores and what DUMP of Redis 7.0.15 has for them, behind the member "a".
    let cases: [(f64, &str); 10] = [
        (4e18, "f40000909dceda823709"),
        (4_611_686_018_427_387_904.0, "f4000000000000004009"),
        (-4_611_686_018_427_387_904.0, "f400000000000000c009"),
        (5e18, "8535652b313806"),
        (-5e18, "862d35652b313807"),
        (1e15, "f40080c6a47e8d030009"),
        (-0.0, "0001"),
        (0.5, "83302e3504"),
        (1e-300, "8631652d33303007"),
        (3.1, "92332e3130303030303030303030303030303113"),
    ];
    for (score, expected) in cases {
        let mut set = SortedSet::new();
        set.set(b"a", score, &SMALL);
        let bytes = set.as_listpack().unwrap().as_bytes();
        let shown: String = bytes[9..bytes.len() - 1]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(shown, expected, "{score}");
        assert_eq!(set.score(b"a"), Some(score));
    }
}

#[test]
fn listpacks_from_outside_are_checked() {
    let pack = |elements: &[&[u8]]| {
        let mut listpack = Listpack::new();
        elements.iter().for_each(|it| listpack.push_back(*it));
        listpack
    };
    let good = [&b"a"[..], b"1", b"b", b"1", b"c", b"2.5"];
    let set = SortedSet::from_listpack(pack(&good), &SMALL).unwrap();
    assert_eq!((set.len(), set.encoding_name()), (3, "listpack"));
    let large = SortedSet::from_listpack(pack(&good), &LARGE).unwrap();
    assert_eq!(large.encoding_name(), "skiplist");
    assert_eq!(set, large);
    for bad in [
        &[&b"a"[..], b"1", b"b"][..],
        &[b"a", b"x"],
        &[b"a", b"nan"],
        &[b"b", b"1", b"a", b"1"],
        &[b"a", b"2", b"b", b"1"],
        &[b"a", b"1", b"a", b"2"],
    ] {
        assert_eq!(SortedSet::from_listpack(pack(bad), &SMALL), None, "{bad:?}");
    }
}

#[test]
fn scan_shows_every_member_and_random_draws_each() {
    let mut random = Random::new(seed());
    for (rules, count) in [(SMALL, 50), (LARGE, 5000)] {
        let mut set = SortedSet::new();
        for number in 0..count {
            set.set(&member(number), 1.0, &rules);
        }
        let mut seen = BTreeMap::new();
        let mut cursor = 0;
        loop {
            cursor = set.scan(cursor, 10, &mut |member, score| {
                assert_eq!(seen.insert(member.to_vec(), score), None);
            });
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(seen.len(), set.len());
        let mut drawn = std::collections::BTreeSet::new();
        for _ in 0..20 * count {
            drawn.insert(set.random(&mut random).unwrap().0.to_vec());
        }
        assert_eq!(drawn.len(), set.len());
    }
    assert_eq!(SortedSet::new().random(&mut random), None);
}

#[test]
fn large_set_takes_little_memory_and_is_freed_in_steps() {
    let mut set = SortedSet::new();
    for number in 0..200_000_u64 {
        let name = format!("member:{:09}", number.wrapping_mul(7_919) % 200_000);
        let score = f64::from(u32::try_from(number.wrapping_mul(104_729) % 1_000_003).unwrap());
        set.set(name.as_bytes(), score, &SMALL);
    }
    let per_member = set.allocated_bytes(round) / set.len();
    assert!(per_member <= 72, "{per_member} bytes per member");
    assert_eq!(set.free_effort(), 200_000);
    let mut steps = 0;
    let mut before = set.allocated_bytes(round);
    while set.free_step(1000) {
        steps += 1;
        let after = set.allocated_bytes(round);
        assert!(
            after <= before && before - after < 200_000,
            "{before} to {after}"
        );
        before = after;
    }
    assert!((400..=700).contains(&steps), "{steps} steps");
    assert!(set.allocated_bytes(round) < 1000);
}
