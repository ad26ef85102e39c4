//! Tests of tables: against a model, and that no single operation grows with the table.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// An element with a value that has memory of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Field {
    name: Box<[u8]>,
    value: Box<[u8]>,
}

impl Field {
    fn new(number: u64, value_len: usize) -> Self {
        Self {
            name: name(number),
            value: vec![0; value_len].into(),
        }
    }
}

impl Element for Field {
    fn key(&self) -> &[u8] {
        &self.name
    }

    fn heap_bytes(&self) -> usize {
        allocated_bytes(self.name.len()) + allocated_bytes(self.value.len())
    }
}

/// An element without memory elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Word([u8; 8]);

impl Word {
    fn new(number: u64) -> Self {
        Self(number.to_be_bytes())
    }
}

impl Element for Word {
    fn key(&self) -> &[u8] {
        &self.0
    }

    fn heap_bytes(&self) -> usize {
        0
    }
}

fn name(number: u64) -> Box<[u8]> {
    format!("name:{number}").into_bytes().into()
}

fn seed() -> u64 {
    let seed = std::env::var("SEED").map_or(1, |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    seed
}

fn empty<T: Element>(seed: u64) -> Table<T> {
    Table::new(KeyHasher::new((seed, 2)))
}

/// Checks every invariant of the parts, in full.
fn check<T: Element>(table: &Table<T>) {
    let mut region_bytes = 0;
    let mut elements = 0;
    let mut owned = 0;
    for (index, region) in table.regions.iter().enumerate() {
        let run = 1 << (table.root_depth() - region.depth());
        let words = table.root.iter().filter(|&&word| word as usize == index);
        assert_eq!(words.count(), run, "words of region {index}");
        let before = region.bytes();
        let recounted = {
            let frame = region.frame_bytes();
            frame + region.segments().iter().map(Segment::bytes).sum::<usize>()
        };
        assert_eq!(before, recounted, "bytes of region {index}");
        region_bytes += before;
        assert!(region.segments().len() <= region::SEGMENTS_MAX);
        for (number, segment) in region.segments().iter().enumerate() {
            for (position, element) in segment.elements().iter().enumerate() {
                let hash = table.hasher.hash(element.key());
                assert_eq!(table.region_index(hash), index);
                assert_eq!(region.segment_of(hash), number);
                let found = segment.position(tag_of(hash), |it| it.key() == element.key());
                assert_eq!(found, Some(position));
                owned += element.heap_bytes();
            }
            elements += segment.elements().len();
        }
    }
    assert_eq!(table.len(), elements);
    assert_eq!(table.element_bytes, owned);
    assert_eq!(table.region_bytes, region_bytes);
}

/// A scan under way: the names that have been there since it began, and what it has shown.
struct Scan {
    cursor: u64,
    constant: BTreeSet<Box<[u8]>>,
    shown: BTreeSet<Box<[u8]>>,
    /// Came or went meanwhile, so that it may be shown more than once.
    changed: BTreeSet<Box<[u8]>>,
}

impl Scan {
    fn new(model: &BTreeMap<Box<[u8]>, usize>) -> Self {
        Self {
            cursor: 0,
            constant: model.keys().cloned().collect(),
            shown: BTreeSet::new(),
            changed: BTreeSet::new(),
        }
    }

    /// Goes on by one call and returns whether it is at its end.
    fn step(&mut self, table: &Table<Field>, count: usize) -> bool {
        self.cursor = table.scan(self.cursor, count, &mut |element| {
            let is_new = self.shown.insert(element.name.clone());
            assert!(
                is_new || self.changed.contains(&element.name),
                "shown twice"
            );
        });
        assert!(self.cursor < 1 << 48);
        if self.cursor == 0 {
            let missed: Vec<_> = self.constant.difference(&self.shown).collect();
            assert!(missed.is_empty(), "missed: {missed:?}");
        }
        self.cursor == 0
    }

    fn note_change(&mut self, name: &[u8]) {
        self.constant.remove(name);
        self.changed.insert(name.into());
    }
}

#[test]
fn table_is_a_map_and_scans_show_all_that_stays_exactly_once() {
    let seed = seed();
    let mut random = Random::new(seed);
    let mut table = empty::<Field>(seed);
    let mut model = BTreeMap::new();
    let mut scan = Scan::new(&model);
    let mut scans = 0;
    // Phases that grow far, shrink to nothing, and keep the size.
    for (inserts_in_8, operations, names) in [
        (7, 60_000, 80_000),
        (4, 10_000, 80_000),
        (1, 80_000, 80_000),
        (0, 40_000, 80_000),
        (5, 5_000, 200),
        (6, 50_000, 1_000_000),
        (0, 2_000, 1_000_000),
    ] {
        for step in 0..operations {
            let number = random.below(names);
            // Among many names a random one is hardly ever there: most removals take one that is.
            let stored = table.random(&mut random).map(|it| it.name.clone());
            if random.below(8) < inserts_in_8 {
                let field = Field::new(number, random.index(40));
                let old = model.insert(field.name.clone(), field.value.len());
                scan.note_change(&field.name);
                let replaced = table.insert(field);
                assert_eq!(replaced.map(|it| it.value.len()), old);
            } else {
                let name = stored.filter(|_| step % 4 != 0).unwrap_or(name(number));
                scan.note_change(&name);
                let removed = table.remove(&name);
                assert_eq!(removed.map(|it| it.value.len()), model.remove(&name));
            }
            let number = random.below(names);
            let known = table.get(&name(number)).map(|it| it.value.len());
            assert_eq!(known.as_ref(), model.get(&name(number)));
            if random.below(16) == 0 && scan.step(&table, 1 + random.index(300)) {
                scan = Scan::new(&model);
                scans += 1;
            }
        }
        check(&table);
        let names: BTreeSet<_> = table.iter().map(|it| it.name.clone()).collect();
        assert!(names.iter().eq(model.keys()));
        assert_eq!(table.len(), model.len());
    }
    println!("{scans} scans");
    assert!(scans > 20);
}

#[test]
fn update_counts_the_bytes_of_a_changed_value() {
    let mut table = empty(1);
    for number in 0..100 {
        table.insert(Field::new(number, 10));
    }
    let before = table.allocated_bytes();
    let old = table.update(&name(7), |field| {
        mem::replace(&mut field.value, vec![1; 1000].into())
    });
    assert_eq!(old.map(|it| it.len()), Some(10));
    assert_eq!(table.allocated_bytes(), before + 1024 - 16);
    assert_eq!(table.update(&name(100), |_| ()), None);
    check(&table);
}

#[test]
fn tables_with_the_same_elements_are_equal_whatever_their_history() {
    let (mut one, mut other) = (empty(1), empty(2));
    for number in 0..5000 {
        one.insert(Field::new(number, 3));
        other.insert(Field::new(4999 - number, 3));
    }
    other.insert(Field::new(5000, 3));
    assert_ne!(one, other);
    other.remove(&name(5000));
    assert_eq!(one, other);
    other.update(&name(4), |field| field.value = Box::default());
    assert_ne!(one, other);

    let copy = one.clone();
    check(&copy);
    assert_eq!(copy, one);
    assert!(copy.allocated_bytes() <= one.allocated_bytes());
    assert_eq!(one.into_elements().count(), 5000);
    let mut small = empty::<Word>(1);
    small.insert(Word(*b"abcdefgh"));
    assert_eq!(format!("{small:?}").matches("Word").count(), 1);
}

/// Asserts that every element of `table` is drawn as often as any other.
fn draws_are_uniform(table: &Table<Word>, seed: u64) {
    let draws = 200 * table.len();
    let mut random = Random::new(seed);
    let mut counts = BTreeMap::new();
    for _ in 0..draws {
        *counts
            .entry(table.random(&mut random).unwrap().0)
            .or_insert(0_u32) += 1;
    }
    assert_eq!(counts.len(), table.len());
    let squares = counts
        .values()
        .map(|&count| (f64::from(count) - 200.0).powi(2));
    let chi = squares.sum::<f64>() / 200.0;
    // Its mean is the degrees of freedom n, its variance 2 n: six deviations.
    let freedom = f64::from(u32::try_from(table.len() - 1).unwrap());
    let bound = 6.0 * (2.0 * freedom).sqrt() + 6.0;
    println!(
        "{} elements: chi square {chi:.0}, {freedom:.0} expected, give or take {bound:.0}",
        table.len()
    );
    assert!((chi - freedom).abs() < bound);
}

#[test]
fn random_elements_are_uniform_in_tables_of_every_shape() {
    let seed = seed();
    let mut table = empty(seed);
    assert!(table.random(&mut Random::new(seed)).is_none());
    for number in 0..60_000 {
        table.insert(Word::new(number));
        if [1, 2, 30, 50, 1000].contains(&table.len()) {
            draws_are_uniform(&table, seed);
        }
    }
    assert!(table.regions.len() > 1, "several regions");
    for number in 3000..60_000_u64 {
        table.remove(&number.to_be_bytes());
        if table.len() == 20_000 {
            assert!(table.regions.len() > 1, "several regions");
            draws_are_uniform(&table, seed);
        }
    }
    draws_are_uniform(&table, seed);
}

#[test]
fn a_million_elements_need_little_more_than_their_own_size() {
    let (mut words, mut names) = (empty(1), empty(1));
    let (mut words_most, mut names_most) = (0, 0);
    for number in 0..1_000_000_u64 {
        words.insert(Word::new(number));
        names.insert(number.to_be_bytes().to_vec().into_boxed_slice());
        let len = words.len();
        if len > 1000 && len.is_multiple_of(997) {
            words_most = words_most.max(words.allocated_bytes() * 100 / len);
            names_most =
                names_most.max((names.allocated_bytes() - names.element_bytes) * 100 / len);
        }
    }
    let words_bytes = words.allocated_bytes() * 100 / words.len();
    let names_bytes = (names.allocated_bytes() - names.element_bytes) * 100 / names.len();
    println!("hundredths of bytes per element at 1000000, and at worst between 1000 and that:");
    println!(" 8-byte elements: {words_bytes}, {words_most}");
    println!("16-byte elements: {names_bytes}, {names_most}, without their contents");
    assert!(words_most < 1400);
    assert!(names_most < 2400);
}

/// What the work of operations is bounded by: segments (39 elements each), regions (1024 segments at
/// most) and words of the root.
fn shape(table: &Table<Word>) -> (usize, usize, usize) {
    let segments = table.regions.iter().map(|region| region.segments().len());
    (segments.sum(), table.regions.len(), table.root.len())
}

#[test]
fn one_operation_moves_few_elements_however_large_the_table_is() {
    let mut table = empty(1);
    let mut most = (0, 0, 0);
    let mut before = shape(&table);
    let mut observe = |table: &Table<Word>| {
        let after = shape(table);
        most.0 = most.0.max(before.0.abs_diff(after.0));
        most.1 = most.1.max(before.1.abs_diff(after.1));
        most.2 = most.2.max(after.2);
        before = after;
    };
    for number in 0..500_000_u64 {
        table.insert(Word::new(number));
        observe(&table);
    }
    for number in 0..500_000_u64 {
        assert!(table.remove(&number.to_be_bytes()).is_some());
        observe(&table);
    }
    let (segments, regions, words) = most;
    println!(
        "one operation: {segments} splits or merges of segments, {regions} of regions; {words} words of the root"
    );
    assert!(segments * TAGS <= 4 * TAGS);
    assert!(regions <= 2);
    assert!(words <= 500_000 / 4000);
    check(&table);
    assert_eq!(shape(&table), (1, 1, 1), "all has merged");
    assert!(table.allocated_bytes() < 400);
}

#[test]
fn free_step_frees_a_bounded_number_and_leaves_an_empty_table() {
    let mut table = empty(1);
    for number in 0..50_000 {
        table.insert(Field::new(number, 20));
    }
    let mut before = table.allocated_bytes();
    let most = 100 * (2 * 32 + 40) + 2 * 100_000;
    let mut steps = 0;
    while table.free_step(100) {
        let after = table.allocated_bytes();
        assert!(after < before && before - after < most);
        assert!(table.is_empty() && table.get(&name(1)).is_none());
        before = after;
        steps += 1;
    }
    assert!((350..=500).contains(&steps), "{steps} steps");
    assert_eq!(table.allocated_bytes(), 0);

    for number in 0..100 {
        table.insert(Field::new(number, 20));
    }
    assert!(table.free_step(50));
    table.insert(Field::new(1, 1));
    assert_eq!((table.len(), table.iter().count()), (1, 1));
    assert_eq!(table.scan(0, 10, &mut |_| ()), 0);
}

#[test]
fn keys_whose_hashes_begin_alike_make_a_long_segment_and_not_a_long_root() {
    let seed = seed();
    let hasher = KeyHasher::new((seed, 2));
    let mut table = empty(seed);
    let alike = |number: &u64| hasher.hash(&number.to_be_bytes()) >> 46 == 5;
    let numbers: Vec<u64> = (0..).filter(alike).take(60).collect();
    for &number in &numbers {
        table.insert(Word::new(number));
    }
    check(&table);
    println!(
        "{} words in the root, {} regions, longest segment {}",
        table.root.len(),
        table.regions.len(),
        table.segment_len_max
    );
    assert!(table.root.len() <= 64);
    assert!(table.segment_len_max > TAGS);
    draws_are_uniform(&table, seed);
    let mut shown = 0;
    assert_eq!(table.scan(0, 10_000, &mut |_| shown += 1), 0);
    assert_eq!(shown, 60);
    for (count, number) in numbers.iter().enumerate() {
        assert!(table.remove(&number.to_be_bytes()).is_some());
        assert_eq!(table.len(), 59 - count);
        check(&table);
    }
}

#[test]
fn scan_takes_any_cursor() {
    let mut table = empty(1);
    assert_eq!(table.scan(0, 10, &mut |_: &Word| ()), 0);
    for number in 0..1000 {
        table.insert(Word::new(number));
    }
    let mut random = Random::new(1);
    for _ in 0..1000 {
        let cursor = random.next_u64() >> random.below(64);
        let next = table.scan(cursor, 1, &mut |_| ());
        assert!(next == 0 || next > cursor);
    }
    assert_eq!(table.scan(u64::MAX, 1, &mut |_| ()), 0);
    assert_eq!(table.scan((1 << 48) - 1, 1, &mut |_| ()), 0);
    let mut shown = 0;
    assert_eq!(table.scan(0, usize::MAX, &mut |_| shown += 1), 0);
    assert_eq!(shown, 1000);
}
