//! Tests of sets against a model, in every form and across the changes of form.

use std::collections::{BTreeMap, BTreeSet};

use base::random::Random;

use super::*;
use crate::memory::allocated_bytes;

type Model = BTreeSet<Vec<u8>>;

fn seed() -> u64 {
    let seed = std::env::var("SEED").map_or(1, |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    seed
}

fn rules(intset: usize, listpack: usize) -> Rules {
    let limits = Limits {
        set_intset_entries: intset,
        set_listpack_entries: listpack,
        ..Limits::default()
    };
    Rules::new(&limits, (1, 2))
}

/// One for each form: what stays in it however many members there are.
fn rules_of_each_form() -> [Rules; 3] {
    let mut packed = rules(0, usize::MAX);
    packed.listpack_value = usize::MAX;
    [rules(usize::MAX, 0), packed, rules(0, 0)]
}

fn of<'m>(rules: &Rules, members: impl IntoIterator<Item = Element<'m>>) -> Set {
    let mut set = Set::default();
    for member in members {
        set.add(member, rules);
    }
    set
}

fn numbers(count: usize) -> impl Iterator<Item = Element<'static>> {
    (0..count).map(|number| Element::Integer(base::cast::i64_from(number)))
}

fn form_name(set: &Set) -> &'static str {
    match set.form {
        Form::Integers(_) => "integers",
        Form::Packed(_) => "packed",
        Form::Table(_) => "table",
    }
}

fn members(set: &Set) -> Model {
    let members: Vec<_> = set.iter().map(|member| member.to_vec()).collect();
    let count = members.len();
    let model: Model = members.into_iter().collect();
    assert_eq!(model.len(), count, "no member twice");
    model
}

/// Integers and words, of both short and long ones.
fn random_member(random: &mut Random, range: u64) -> Vec<u8> {
    let number = random.below(range);
    match random.below(20) {
        0 => format!("{number:0>80}").into_bytes(),
        1 => format!("{number:0>300}").into_bytes(),
        2 => Vec::new(),
        3 | 4 => format!("word:{number}").into_bytes(),
        5 => format!("{}", i64::MIN + number.cast_signed()).into_bytes(),
        _ => format!("{}", number.cast_signed() - 100).into_bytes(),
    }
}

#[test]
fn set_agrees_with_a_model_in_every_form_and_through_their_changes() {
    let seed = seed();
    let mut random = Random::new(seed);
    let mut forms = BTreeMap::new();
    for round in 0..60 {
        let rules = rules(
            [0, 1, 8, 512][random.index(4)],
            [0, 1, 8, 128][random.index(4)],
        );
        let (mut set, mut model) = (Set::default(), Model::new());
        let range = [3, 40, 2000][random.index(3)];
        // Half of the sets have nothing but integers.
        let only_integers = round % 2 == 0;
        for _ in 0..random.below(3000) {
            let member = match random_member(&mut random, range) {
                member if only_integers && base::number::parse_i64(&member).is_none() => {
                    b"17".to_vec()
                }
                member => member,
            };
            if random.below(5) > 1 {
                let is_new = model.insert(member.clone());
                assert_eq!(set.add(&member, &rules), is_new);
            } else {
                assert_eq!(set.remove(&member), model.remove(&member));
            }
            let member = random_member(&mut random, range);
            assert_eq!(set.contains(&member), model.contains(&member));
            assert_eq!((set.len(), set.is_empty()), (model.len(), model.is_empty()));
            if only_integers && model.len() <= rules.intset_entries {
                continue;
            }
            *forms.entry(form_name(&set)).or_insert(0) += 1;
        }
        assert_eq!(members(&set), model);
        assert_eq!(set.clone(), set);
        assert_eq!(
            of(&self::rules(0, 0), set.iter()),
            set,
            "the form does not matter"
        );
        if set.add(b"one more", &rules) {
            assert_ne!(set, of(&rules, model.iter().map(Element::from)));
        }
    }
    println!("{forms:?}");
    assert!(forms["packed"] > 1000 && forms["table"] > 1000, "{forms:?}");
}

#[test]
fn forms_change_where_redis_changes_encodings() {
    let small = rules(4, 4);
    let mut set = of(&small, numbers(4));
    assert_eq!(
        (set.encoding_name(), form_name(&set)),
        ("intset", "integers")
    );
    assert!(!set.add(b"3", &small));
    assert_eq!(set.encoding_name(), "intset");
    set.add(b"4", &small);
    assert_eq!(
        (set.encoding_name(), form_name(&set)),
        ("hashtable", "table")
    );

    let mut set = of(&small, numbers(3));
    set.add(b"+1", &small);
    assert_eq!(
        (set.encoding_name(), form_name(&set)),
        ("hashtable", "packed")
    );
    assert!(!set.add(b"+1", &small) && !set.add(b"1", &small));
    set.add(b"x", &small);
    assert_eq!(form_name(&set), "table");

    let mut set = of(&small, [Element::Bytes(&[b'x'; 64])]);
    assert_eq!(form_name(&set), "packed");
    set.add(&[b'y'; 65], &small);
    assert_eq!(form_name(&set), "table");
    assert_eq!(set.len(), 2);

    // No threshold is too low for one member, and none comes too late.
    assert_eq!(of(&rules(0, 1), numbers(1)).encoding_name(), "hashtable");
    let mut set = of(&rules(512, 0), numbers(100));
    assert_eq!(set.encoding_name(), "intset");
    assert!(set.remove(b"1") && set.encoding_name() == "intset");
    set.add(b"1", &small);
    assert_eq!(set.encoding_name(), "hashtable");
}

/// Asserts that each of `counts` is about as often as any other.
fn is_uniform(counts: &BTreeMap<Vec<u8>, u32>, kinds: usize, what: &str) {
    assert_eq!(counts.len(), kinds, "{what}: every outcome comes");
    let total: u32 = counts.values().sum();
    let expected = f64::from(total) / f64::from(u32::try_from(kinds).unwrap());
    let squares = counts
        .values()
        .map(|&count| (f64::from(count) - expected).powi(2));
    let chi = squares.sum::<f64>() / expected;
    let freedom = f64::from(u32::try_from(kinds - 1).unwrap());
    let bound = freedom + 6.0 * (2.0 * freedom).sqrt() + 6.0;
    println!("{what}: chi square {chi:.1} of {freedom}, at most {bound:.1}");
    assert!(chi < bound, "{what}: {chi} > {bound}");
}

#[test]
fn every_choice_of_members_is_equally_likely() {
    let seed = seed();
    let mut random = Random::new(seed);
    for rules in rules_of_each_form() {
        let set = of(&rules, numbers(6));
        let name = form_name(&set);
        let (mut one, mut drawn, mut popped) =
            <(BTreeMap<_, _>, BTreeMap<_, _>, BTreeMap<_, _>)>::default();
        let mut samples = [const { BTreeMap::new() }; 7];
        let mut pops = [const { BTreeMap::new() }; 7];
        for _ in 0..6000 {
            let member = set.random(&mut random).unwrap().to_vec();
            *one.entry(member).or_insert(0) += 1;
            set.draw(2, &mut random, &mut |member| {
                *drawn.entry(member.to_vec()).or_insert(0) += 1;
            });
            let mut smaller = set.clone();
            smaller.pop(&mut random, &mut |member| {
                *popped.entry(member.to_vec()).or_insert(0) += 1;
            });
            assert_eq!(smaller.len(), 5);
            for count in 1..6 {
                let mut sample = Vec::new();
                set.sample(count, &mut random, &mut |member| {
                    sample.extend(member.to_vec());
                });
                assert_eq!(sample.len(), count);
                sample.sort_unstable();
                *samples[count].entry(sample).or_insert(0) += 1;
                let (mut smaller, mut gone) = (set.clone(), Vec::new());
                smaller.pop_many(count, &rules, &mut random, &mut |member| {
                    gone.extend(member.to_vec());
                });
                assert_eq!((gone.len(), smaller.len()), (count, 6 - count));
                assert!(gone.iter().all(|byte| !smaller.contains(&[*byte])));
                gone.sort_unstable();
                *pops[count].entry(gone).or_insert(0) += 1;
            }
        }
        is_uniform(&one, 6, &format!("{name}: random"));
        is_uniform(&drawn, 6, &format!("{name}: draw"));
        is_uniform(&popped, 6, &format!("{name}: pop"));
        for (count, choices) in [0, 6, 15, 20, 15, 6].into_iter().enumerate().skip(1) {
            is_uniform(
                &samples[count],
                choices,
                &format!("{name}: sample of {count}"),
            );
            is_uniform(&pops[count], choices, &format!("{name}: pop of {count}"));
        }
    }
}

#[test]
fn small_samples_of_large_sets_are_different_members() {
    let mut random = Random::new(seed());
    for rules in rules_of_each_form() {
        let set = of(&rules, numbers(5000));
        for count in [0, 1, 100, 1600, 1700, 4999, 5000, 6000] {
            let mut sample = Model::new();
            set.sample(count, &mut random, &mut |member| {
                assert!(set.contains(member) && sample.insert(member.to_vec()));
            });
            assert_eq!(sample.len(), count.min(5000));
        }
        let mut drawn = 0;
        set.draw(10_000, &mut random, &mut |member| {
            assert!(set.contains(member));
            drawn += 1;
        });
        assert_eq!(drawn, 10_000);
    }
    Set::default().draw(5, &mut random, &mut |_| panic!("nobody is there"));
    assert_eq!(Set::default().random(&mut random), None);
}

#[test]
fn popping_most_members_takes_each_once_and_makes_the_set_anew() {
    let mut random = Random::new(seed());
    let usual = rules(512, 128);
    for rules in rules_of_each_form() {
        for count in [0, 1, 100, 4100, 4180, 4900, 4999, 5000, 9999] {
            let mut set = of(&rules, numbers(5000));
            let before = set.encoding_name();
            let mut gone = Model::new();
            set.pop_many(count, &usual, &mut random, &mut |member| {
                assert!(gone.insert(member.to_vec()));
            });
            let count = count.min(5000);
            let rest = members(&set);
            assert_eq!((gone.len(), rest.len()), (count, 5000 - count));
            assert!(gone.is_disjoint(&rest));
            let is_anew = rest.len() * 5 <= count;
            let expected = match rest.len() {
                ..=512 if is_anew => "intset",
                _ if is_anew => "hashtable",
                _ => before,
            };
            assert_eq!(set.encoding_name(), expected, "{count}");
        }
    }
}

#[test]
fn scans_show_what_stays_through_every_change_of_form() {
    let seed = seed();
    let mut random = Random::new(seed);
    for _ in 0..200 {
        let rules = rules(20, 40);
        let begun = random.index(200);
        let mut set = of(&rules, numbers(begun));
        let mut constant = members(&set);
        let mut shown = Model::new();
        let mut cursor = 0;
        for _ in 0..10_000 {
            let count = 1 + random.index(20);
            cursor = set.scan(cursor, count, &mut |member| {
                shown.insert(member.to_vec());
            });
            if cursor == 0 {
                break;
            }
            for _ in 0..random.below(50) {
                let member = random.below(3000).to_string().into_bytes();
                if random.below(3) == 0 {
                    set.add(&member, &rules);
                } else {
                    set.remove(&member);
                    constant.remove(&member);
                }
            }
            // Most of it goes, so that an intset or a listpack is left.
            if random.below(10) == 0 {
                let count = set.len() - set.len() / 10;
                set.pop_many(count, &rules, &mut random, &mut |member| {
                    constant.remove(&member.to_vec());
                });
            }
        }
        assert_eq!(cursor, 0);
        assert!(constant.is_subset(&shown));
    }
    let set = of(&rules(0, 10), numbers(5));
    let mut shown = 0;
    assert_eq!(set.scan(12_345, 1, &mut |_| shown += 1), 0);
    assert_eq!(shown, 5);
}

#[test]
fn a_set_is_small_in_the_value_and_a_million_members_are_small_in_memory() {
    assert!(size_of::<Set>() <= 24);
    // What redis-server 7.0.15 reports in used_memory for the same members.
    for (len, redis) in [
        (7_usize, 56.4),
        (10, 56.4),
        (13, 56.4),
        (20, 72.4),
        (36, 88.4),
    ] {
        let rules = rules(512, 128);
        let mut set = Set::default();
        for number in 0..1_000_000 {
            set.add(format!("{number:x>len$}").as_bytes(), &rules);
        }
        let bytes = set.allocated_bytes(allocated_bytes);
        let each = f64::from(u32::try_from(bytes).unwrap()) / 1e6;
        println!("{len:2} bytes: {each:.1} each; Redis {redis:.1}");
        assert!(each < 0.7 * redis, "{len} bytes: {each} of {redis}");
        let mut steps = 0;
        while set.free_step(1000) {
            steps += 1;
        }
        assert!((900..=1100).contains(&steps), "{steps}");
    }
}

#[test]
fn bytes_are_counted_as_the_set_changes() {
    assert_eq!(Set::default().allocated_bytes(allocated_bytes), 0);
    for rules in rules_of_each_form() {
        let mut set = of(&rules, numbers(200));
        let full = set.allocated_bytes(allocated_bytes);
        for number in 0..199 {
            assert!(set.remove(Element::Integer(number)));
        }
        let left = set.allocated_bytes(allocated_bytes);
        let is_less = left * 2 < full || left <= 1024;
        assert!(is_less, "{}: {left} of {full}", form_name(&set));
        assert_eq!(format!("{set:?}"), r#"{"199"}"#);
    }
}
