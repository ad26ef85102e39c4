//! The bytes against those of Redis, and registers against a plain array.

use std::path::Path;

use base::random::Random;

use super::*;

fn seed() -> u64 {
    let seed = std::env::var("SEED").map_or(1, |text| text.parse().unwrap());
    eprintln!("SEED={seed}");
    seed
}

fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |digest, byte| {
        (digest ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    })
}

/// Returns the string that has seen the elements of a range such as `3-9`, one PFADD for each.
fn range(name: &str, sparse_bytes_max: usize) -> Vec<u8> {
    let (first, last) = name.split_once('-').unwrap();
    let mut bytes = empty();
    // The key is made by a PFADD without elements.
    invalidate(&mut bytes);
    for element in first.parse::<u32>().unwrap()..last.parse().unwrap() {
        let element = format!("e{element}");
        if add(&mut bytes, element.as_bytes(), sparse_bytes_max).unwrap() {
            invalidate(&mut bytes);
        }
    }
    bytes
}

/// Returns what PFMERGE makes of some strings in a new key.
fn merged(sources: &[Vec<u8>], sparse_bytes_max: usize) -> Vec<u8> {
    let mut registers = Registers::default();
    let mut bytes = empty();
    for source in sources {
        registers.merge(source).unwrap();
    }
    if sources
        .iter()
        .any(|source| Encoding::of(source) == Some(Encoding::Dense))
    {
        make_dense(&mut bytes).unwrap();
    }
    registers.write_to(&mut bytes, sparse_bytes_max).unwrap();
    invalidate(&mut bytes);
    bytes
}

/// Replays what `tests/conformance/hyperloglog_bytes.py` has recorded.
#[test]
fn strings_are_those_that_redis_makes() {
    let file = "../../tests/conformance/hyperloglog_bytes.txt";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = std::fs::read_to_string(path).unwrap();
    // An `add` goes on where the one before has ended: it keeps the cardinality that was asked for.
    let mut added: (usize, u32, Vec<u8>) = (usize::MAX, 0, Vec::new());
    let mut ranges = base::hash::Map::default();
    let mut lines = 0;
    for line in text.lines() {
        let (done, outcome) = line.split_once(" = ").unwrap();
        let mut words = done.split(' ');
        let kind = words.next().unwrap();
        let limit: usize = words.next().unwrap().parse().unwrap();
        let names: Vec<&str> = words.collect();
        let mut bytes = if kind == "add" {
            if added.0 != limit {
                added = (limit, 0, range("0-0", limit));
            }
            let last: u32 = names[0].split_once('-').unwrap().1.parse().unwrap();
            for element in added.1..last {
                let element = format!("e{element}");
                if add(&mut added.2, element.as_bytes(), limit).unwrap() {
                    invalidate(&mut added.2);
                }
            }
            added.1 = last;
            added.2.clone()
        } else {
            let sources = names.iter().map(|name| {
                let key = (limit, (*name).to_owned());
                let made = ranges.entry(key).or_insert_with(|| range(name, limit));
                made.clone()
            });
            let sources: Vec<Vec<u8>> = sources.collect();
            merged(&sources, limit)
        };
        let given = (bytes.len(), digest(&bytes));
        let count = cached_count(&bytes).unwrap_or_else(|| count(&bytes).unwrap());
        set_cached_count(&mut bytes, count);
        if kind == "add" {
            added.2 = bytes;
        }
        assert_eq!(
            format!("{} {:016x} {count}", given.0, given.1),
            outcome,
            "{done}"
        );
        lines += 1;
    }
    assert!(lines > 400);
}

#[test]
fn both_encodings_and_a_plain_array_agree() {
    let mut random = Random::new(seed());
    for limit in [0, 100, 3_000, 40_000] {
        let mut model = vec![0; REGISTERS];
        let (mut sparse, mut dense) = (empty(), empty());
        make_dense(&mut dense).unwrap();
        for _ in 0..1_000 {
            // Few registers and high values, so that runs meet, split and join.
            let bound = [40, 300, REGISTERS][random.index(3)];
            let index = random.index(bound);
            let value = u8::try_from(1 + random.below(6)).unwrap();
            let rises = model[index] < value;
            model[index] = model[index].max(value);
            assert_eq!(raise(&mut sparse, index, value, limit), Ok(rises));
            assert_eq!(raise(&mut dense, index, value, limit), Ok(rises));
        }
        for bytes in [&sparse, &dense] {
            let mut registers = Registers::default();
            registers.merge(bytes).unwrap();
            assert!(registers.values() == model, "limit {limit}");
            assert_eq!(count(bytes), Ok(registers.count()));
        }
        assert!(Encoding::of(&sparse) == Some(Encoding::Dense) || sparse.len() <= limit.max(18));
        make_dense(&mut sparse).unwrap();
        assert!(sparse == dense, "limit {limit}");
    }
}

#[test]
fn values_beyond_32_need_the_dense_encoding() {
    let mut bytes = empty();
    assert_eq!(raise(&mut bytes, 5, 32, 3_000), Ok(true));
    assert_eq!(describe_sparse(&bytes), "z:5 v:32,1 Z:16378");
    assert_eq!(raise(&mut bytes, 5, 33, 3_000), Ok(true));
    assert_eq!(Encoding::of(&bytes), Some(Encoding::Dense));
    let mut registers = Registers::default();
    registers.merge(&bytes).unwrap();
    assert_eq!(registers.values()[5], 33);
}

#[test]
fn random_bytes_are_refused_or_read_but_never_break_anything() {
    let mut random = Random::new(seed());
    for _ in 0..20_000 {
        let mut bytes = empty();
        bytes.truncate(HEADER_BYTES);
        bytes.extend((0..random.index(30)).map(|_| random.next_u64().to_le_bytes()[0]));
        if random.below(4) == 0 {
            bytes.extend(&empty()[HEADER_BYTES..]);
        }
        let before = bytes.clone();
        let _shown = describe_sparse(&bytes);
        let counted = count(&bytes);
        assert_eq!(Registers::default().merge(&bytes).err(), counted.err());
        if make_dense(&mut bytes.clone()).is_err() {
            assert_eq!(counted, Err(Corrupted));
        }
        let element = random.next_u64().to_le_bytes();
        if add(&mut bytes, &element, 3_000).is_err() {
            assert_eq!(bytes, before);
        }
    }
}

#[test]
fn what_is_no_hyperloglog_is_told() {
    assert_eq!(Encoding::of(&empty()), Some(Encoding::Sparse));
    assert_eq!(Encoding::of(b""), None);
    assert_eq!(Encoding::of(b"HYLL"), None);
    let mut bytes = vec![0; DENSE_BYTES];
    bytes[..4].copy_from_slice(MAGIC);
    assert_eq!(Encoding::of(&bytes), Some(Encoding::Dense));
    bytes.push(0);
    assert_eq!(Encoding::of(&bytes), None);
}

#[test]
fn registers_that_are_all_full_count_as_too_many() {
    // redis-server 7.0.15 replies -9223372036854775808.
    let mut bytes = vec![0xFF; DENSE_BYTES];
    bytes[..HEADER_BYTES].copy_from_slice(&empty()[..HEADER_BYTES]);
    bytes[ENCODING_AT] = 0;
    assert_eq!(count(&bytes), Ok(1 << 63));
}

#[test]
fn self_test_passes() {
    assert_eq!(self_test(&mut Random::new(seed())), Ok(()));
}
