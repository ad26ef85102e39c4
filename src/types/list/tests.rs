//! Lists against a deque, and their nodes against those of Redis.

use std::collections::VecDeque;

use base::random::Random;

use super::*;
use crate::{Limits, Value, memory};

const PLAIN_BYTES_MIN: usize = 300;

fn rule(size: i32) -> NodeRule {
    let limits = Limits {
        list_listpack_size: size,
        ..Limits::default()
    };
    NodeRule::of(&limits).with_plain_bytes_min(PLAIN_BYTES_MIN)
}

fn seed() -> u64 {
    let seed = std::env::var("SEED").map_or(1, |text| text.parse().unwrap());
    println!("SEED={seed}");
    seed
}

fn bytes_of(list: &List) -> Vec<Vec<u8>> {
    list.iter().map(|element| element.to_vec()).collect()
}

/// Checks what must hold of any list, and that it has the elements of `model`.
fn check(list: &List, model: &VecDeque<Vec<u8>>) {
    assert_eq!(list.len(), model.len());
    assert_eq!(list.is_empty(), model.is_empty());
    assert!(list.iter().map(|it| it.to_vec()).eq(model.iter().cloned()));
    assert!(
        list.iter()
            .rev()
            .map(|it| it.to_vec())
            .eq(model.iter().rev().cloned())
    );
    let node_bytes: usize = list
        .nodes()
        .map(|node| match node {
            NodeContent::Packed(listpack) => {
                assert!(!listpack.is_empty());
                memory::allocated_bytes(listpack.capacity_bytes())
            }
            NodeContent::Plain(bytes) => {
                assert!(bytes.len() >= PLAIN_BYTES_MIN);
                memory::allocated_bytes(bytes.len())
            }
        })
        .sum();
    match &list.form {
        Form::Short(_) if list.is_empty() => {}
        Form::Short(_) => assert_eq!(
            list.allocated_bytes(memory::allocated_bytes),
            node_bytes,
            "a short list is one allocation"
        ),
        Form::Long(chain) => {
            let own = memory::allocated_bytes(size_of::<Chain>())
                + memory::allocated_bytes(chain.nodes().capacity() * size_of::<Node>());
            assert_eq!(
                list.allocated_bytes(memory::allocated_bytes),
                own + node_bytes
            );
            assert_eq!(
                chain.nodes().iter().map(Node::count).sum::<usize>(),
                chain.len()
            );
        }
    }
}

fn word(random: &mut Random) -> Vec<u8> {
    match random.below(20) {
        0..8 => random.below(12).to_string().into_bytes(),
        8..14 => vec![b'a' + u8::try_from(random.below(4)).unwrap(); random.index(30)],
        14..17 => (random.next_u64() >> random.below(64))
            .to_string()
            .into_bytes(),
        17 => vec![b'm'; 64 + random.index(200)],
        18 => vec![b'p'; PLAIN_BYTES_MIN + random.index(3)],
        _ => b"007".to_vec(),
    }
}

/// Removes from a model as LREM does.
fn model_remove(model: &mut VecDeque<Vec<u8>>, needle: &[u8], count: usize, from: End) -> usize {
    let mut indexes: Vec<usize> = (0..model.len()).filter(|&at| model[at] == needle).collect();
    if from == End::Tail {
        indexes.reverse();
    }
    indexes.truncate(count);
    indexes.sort_unstable();
    for &index in indexes.iter().rev() {
        model.remove(index);
    }
    indexes.len()
}

fn end(random: &mut Random) -> End {
    if random.below(2) == 0 {
        End::Head
    } else {
        End::Tail
    }
}

fn change(random: &mut Random, list: &mut List, model: &mut VecDeque<Vec<u8>>, rule: &NodeRule) {
    let element = word(random);
    let index = random.index(model.len() + 1);
    match random.below(16) {
        0..6 => {
            let end = end(random);
            list.push(end, &element, rule);
            match end {
                End::Head => model.push_front(element),
                End::Tail => model.push_back(element),
            }
        }
        6 => {
            let (end, count) = (end(random), random.index(4));
            list.pop(end, count);
            let count = count.min(model.len());
            match end {
                End::Head => drop(model.drain(..count)),
                End::Tail => model.truncate(model.len() - count),
            }
        }
        7 if random.below(8) == 0 => {
            let count = random.index(model.len() + 3);
            list.remove(index, count);
            model.drain(index..model.len().min(index + count));
        }
        7 => {
            list.remove(index, 1);
            drop(model.remove(index));
        }
        8 | 9 => {
            let has = list.replace(index, &element, rule);
            assert_eq!(has, index < model.len());
            if has {
                model[index] = element;
            }
        }
        10 => {
            let (count, from) = (random.index(5), end(random));
            assert_eq!(
                list.remove_equal(&element, count, from),
                model_remove(model, &element, count, from)
            );
        }
        11 if random.below(8) == 0 => {
            list.remove_equal(&element, usize::MAX, End::Head);
            model_remove(model, &element, usize::MAX, End::Head);
        }
        _ => {
            let pivot = model.get(index).cloned().unwrap_or(b"none".to_vec());
            let at = model.iter().position(|each| *each == pivot);
            let side = if random.below(2) == 0 {
                Side::Before
            } else {
                Side::After
            };
            assert_eq!(list.insert(&pivot, side, &element, rule), at.is_some());
            if let Some(at) = at {
                model.insert(at + usize::from(side == Side::After), element);
            }
        }
    }
}

#[test]
fn random_changes_do_what_they_do_to_a_deque() {
    let mut random = Random::new(seed());
    for size in [-5, -2, -1, 0, 1, 2, 3, 8, 100] {
        for _ in 0..8 {
            let rule = rule(size);
            let (mut list, mut model) = (List::new(), VecDeque::new());
            for _ in 0..400 {
                change(&mut random, &mut list, &mut model, &rule);
                check(&list, &model);
                let index = random.index(model.len() + 1);
                let expected = model.get(index).cloned();
                assert_eq!(list.get(index).map(|it| it.to_vec()), expected);
                let rest: Vec<_> = list.iter_from(index).map(|it| it.to_vec()).collect();
                assert!(rest.iter().eq(model.iter().skip(index)));
                assert_eq!(
                    list.peek(End::Tail).map(|it| it.to_vec()),
                    model.back().cloned()
                );
            }
        }
    }
}

#[test]
fn lists_of_many_nodes_change_as_a_deque_does() {
    let mut random = Random::new(seed());
    let rule = rule(4);
    let (mut list, mut model) = (List::new(), VecDeque::new());
    for number in 0..3000_u32 {
        let text = (number % 700).to_string().into_bytes();
        list.push(End::Tail, &text, &rule);
        model.push_back(text);
    }
    for _ in 0..300 {
        change(&mut random, &mut list, &mut model, &rule);
    }
    check(&list, &model);
    list.remove(100, 2000);
    model.drain(100..2100.min(model.len()));
    check(&list, &model);
    let len = model.len();
    list.remove(1, len - 2);
    model.drain(1..len - 1);
    check(&list, &model);
    assert!(matches!(list.form, Form::Short(_)) || list.nodes().count() == 2);
}

#[test]
fn equal_elements_make_equal_lists_however_they_are_spread() {
    let (mut one, mut other) = (List::new(), List::new());
    for number in 0..50_i64 {
        one.push(End::Tail, number, &rule(-2));
        other.push(End::Tail, number, &rule(3));
    }
    assert!(matches!(one.form, Form::Short(_)));
    assert_eq!(other.nodes().count(), 17);
    assert_eq!(one, other);
    other.replace(7, b"x", &rule(3));
    assert_ne!(one, other);
}

#[test]
fn nodes_hold_what_the_size_says() {
    // Asked of redis-server 7.0.15 with DEBUG OBJECT and MEMORY USAGE SAMPLES 0: nodes and bytes of
    // 100000 elements of ten bytes.
    let cases = [
        (-1, 295, 1_216_624),
        (-2, 147, 1_209_168),
        (-3, 74, 1_205_224),
        (-4, 37, 1_205_792),
        (-5, 19, 1_205_072),
        (128, 782, 1_431_368),
        (0, 100_000, 7_200_088),
    ];
    for (size, nodes, bytes_of_redis) in cases {
        let mut list = List::new();
        for number in 0..100_000 {
            let text = format!("e{number:09}");
            list.push(End::Tail, text.as_bytes(), &rule(size));
        }
        assert_eq!(list.nodes().count(), nodes, "size {size}");
        let bytes = list.allocated_bytes(memory::allocated_bytes);
        println!("size {size}: {bytes} bytes, Redis {bytes_of_redis}");
        // What the sizes of blocks differ by between two allocators.
        assert!(bytes <= bytes_of_redis + bytes_of_redis / 50, "size {size}");
    }
}

#[test]
fn a_middle_insertion_splits_and_joins_nodes() {
    let mut list = List::new();
    for number in 0..6_i64 {
        list.push(End::Tail, number, &rule(3));
    }
    list.insert(b"1", Side::After, b"new", &rule(3));
    let counts = |list: &List| -> Vec<usize> {
        list.nodes()
            .map(|node| match node {
                NodeContent::Packed(listpack) => listpack.len(),
                NodeContent::Plain(_) => 1,
            })
            .collect()
    };
    assert_eq!(counts(&list), [2, 2, 3]);
    list.insert(b"4", Side::Before, vec![b'x'; 400].as_slice(), &rule(3));
    assert_eq!(counts(&list), [2, 3, 1, 2]);
    assert_eq!(bytes_of(&list)[5].len(), 400);
}

#[test]
fn nodes_can_be_written_and_read_again() {
    let mut list = List::new();
    for number in 0..10_i64 {
        list.push(End::Tail, number, &rule(3));
    }
    list.push(End::Tail, vec![b'x'; 500].as_slice(), &rule(3));
    let mut copy = List::new();
    for node in list.nodes() {
        match node {
            NodeContent::Packed(listpack) => copy.push_listpack(listpack.clone()),
            NodeContent::Plain(bytes) => copy.push(End::Tail, bytes, &rule(3)),
        }
    }
    assert_eq!(copy, list);
    assert!(copy.nodes().eq(list.nodes()));
    copy.push_listpack(Listpack::new());
    assert_eq!(copy, list);
}

#[test]
fn a_long_list_is_freed_in_steps() {
    let mut list = List::new();
    for number in 0..100_i64 {
        list.push(End::Tail, number, &rule(1));
    }
    assert_eq!(list.free_effort(), 100);
    let mut steps = 1;
    while list.free_step(10) {
        steps += 1;
    }
    assert_eq!(steps, 10);
}

#[test]
fn what_is_taken_at_an_end_is_a_list_of_its_own() {
    let seed = seed();
    let mut random = Random::new(seed);
    for round in 0..300 {
        let rule = rule([-1, 3, 40][random.index(3)]);
        let (mut list, mut model) = (List::new(), VecDeque::new());
        for _ in 0..random.index(400) {
            let element = word(&mut random);
            list.push(End::Tail, &*element, &rule);
            model.push_back(element);
        }
        while !list.is_empty() {
            let count = random.index(list.len() + 2);
            let end = end(&mut random);
            let taken = list.take(end, count);
            let kept = match end {
                End::Head => model.split_off(count.min(model.len())),
                End::Tail => {
                    let tail = model.split_off(model.len().saturating_sub(count));
                    std::mem::replace(&mut model, tail)
                }
            };
            check(&taken, &model);
            check(&list, &kept);
            assert_eq!(taken.len(), count.min(taken.len()), "round {round}");
            model = kept;
        }
    }
}

#[test]
fn values_stay_as_small_as_they_were() {
    assert!(size_of::<List>() <= 24);
    assert!(size_of::<Value>() <= 32);
    assert!(size_of::<Node>() <= 32);
}

#[test]
fn a_queue_gives_memory_back() {
    let mut list = List::new();
    for _ in 0..20_000 {
        list.push(End::Tail, b"element", &rule(1));
    }
    list.pop(End::Head, 19_999);
    list.push(End::Tail, b"element", &rule(1));
    assert!(list.allocated_bytes(memory::allocated_bytes) < 4096);
}
