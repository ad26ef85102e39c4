//! Payloads of Redis, older forms written by hand, and bytes that are no value.

use base::random::Random;

use super::*;
use crate::hash::{FieldExpiry, Growth, Hash};
use crate::list::{End, List, NodeRule};
use crate::set::{self, Set};
use crate::sorted_set::{self, SortedSet};
use crate::{Kind, Typed};

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
const SEED: (u64, u64) = (1, 2);

fn seed() -> u64 {
    let seed = std::env::var("SEED").map_or(1, |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    seed
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn read(payload: &[u8], limits: &Limits) -> Result<Value, Refused> {
    let surroundings = Surroundings {
        limits,
        hash_seed: SEED,
        now: NOW,
    };
    restore(payload, &surroundings)
}

fn sealed(object: &[u8], version: u16) -> Vec<u8> {
    let mut payload = object.to_vec();
    payload::seal(&mut payload, version);
    payload
}

/// Reads an object of an older form.
fn old(object: &[u8]) -> Result<Value, Refused> {
    read(&sealed(object, 9), &Limits::default())
}

fn list_of(elements: &[&[u8]]) -> Value {
    let rule = NodeRule::of(&Limits::default());
    let mut list = List::new();
    for &element in elements {
        list.push(End::Tail, element, &rule);
    }
    list.into_value()
}

fn set_of(members: &[&[u8]]) -> Value {
    let rules = set::Rules::new(&Limits::default(), SEED);
    let mut set = Set::default();
    for &member in members {
        set.add(member, &rules);
    }
    set.into_value()
}

fn hash_of(pairs: &[(&[u8], &[u8])]) -> Value {
    let growth = Growth::new(&Limits::default(), SEED);
    let mut hash = Hash::default();
    for (field, value) in pairs {
        hash.set(field, value, FieldExpiry::Clear, &growth, NOW);
    }
    hash.into_value()
}

fn sorted_set_of(pairs: &[(&[u8], f64)]) -> Value {
    let rules = sorted_set::Rules::new(&Limits::default(), SEED);
    let mut set = SortedSet::new();
    for &(member, score) in pairs {
        set.set(member, score, &rules);
    }
    set.into_value()
}

/// Payloads of redis-server 7.0.15; the tables with their thresholds at 0.
fn payloads() -> Vec<(&'static str, Option<Value>)> {
    let string = |bytes: &[u8]| Some(Value::String(bytes.to_vec()));
    vec![
        ("000568656c6c6f0a006372df766534200a", string(b"hello")),
        ("00c1d4fe0a00c6c48623febede2e", string(b"-300")),
        (
            "000a333030303030303030300a00e7076b7954bb7947",
            string(b"3000000000"),
        ),
        (
            "00c3092c016161e01f000161610a009811f4b6aa5376ff",
            string(&[b'a'; 44]),
        ),
        (
            "120102101000000003008161020c0182272703ff0a0092a4be41b905b1db",
            Some(list_of(&[b"a", b"12", b"''"])),
        ),
        (
            "0b1404000000030000000100000002000000701101000a0085d5c1065b1dd055",
            Some(set_of(&[b"1", b"2", b"70000"])),
        ),
        ("020101780a00ffe880ba760c2f09", Some(set_of(&[b"x"]))),
        (
            "1012120000000400816602817602816e020101ff0a00fce408f17922e016",
            Some(hash_of(&[(b"f", b"v"), (b"n", b"1")])),
        ),
        (
            "0401016601760a00adf24356b1860efc",
            Some(hash_of(&[(b"f", b"v")])),
        ),
        (
            "1114140000000400816102010181620283322e3504ff0a00d44c6ea4f644d9d7",
            Some(sorted_set_of(&[(b"a", 1.0), (b"b", 2.5)])),
        ),
        (
            "0502016200000000000000400161000000000000f83f0a00e77c0b139f4e671e",
            Some(sorted_set_of(&[(b"a", 1.5), (b"b", 2.0)])),
        ),
        (
            "130110000000000000000100000000000000011d1d0000000a00010100010101816602000102010001000\
             18176020401ff0101010101000001010167000081ffffffffffffffff00000a00ff9ad34b48b268ce",
            None,
        ),
    ]
}

#[test]
fn payloads_of_redis_are_read_and_written_byte_for_byte() {
    for (hex, expected) in payloads() {
        let payload = bytes_of(hex);
        // Tables are what the thresholds make of values.
        let mut limits = Limits::default();
        if matches!(payload[0], kind::HASH | kind::SORTED_SET) {
            limits.hash_listpack_entries = 0;
            limits.zset_listpack_entries = 0;
        }
        let value = read(&payload, &limits).unwrap();
        if let Some(expected) = expected {
            assert_eq!(value, expected, "{hex}");
        }
        assert_eq!(dump(Object::Value(&value), NOW), payload, "{hex}");
        let length = object_bytes(Object::Value(&value), NOW);
        assert_eq!(length, payload.len() - 11, "{hex}");
    }
}

#[test]
fn forms_of_older_versions_are_read() {
    let expected = list_of(&[b"a", b"-3"]);
    assert_eq!(old(b"\x01\x02\x01a\xC0\xFD"), Ok(expected.clone()));
    // A ziplist of `a` and the 8-bit integer -3.
    let ziplist = b"\x11\0\0\0\x0D\0\0\0\x02\0\x00\x01a\x03\xFE\xFD\xFF";
    let as_string = [&[0x11][..], ziplist].concat();
    assert_eq!(old(&[b"\x0A", &as_string[..]].concat()), Ok(expected));
    assert_eq!(
        old(&[b"\x0E\x02", &as_string[..], &as_string[..]].concat()),
        Ok(list_of(&[b"a", b"-3", b"a", b"-3"]))
    );
    assert_eq!(
        old(&[b"\x0D", &as_string[..]].concat()),
        Ok(hash_of(&[(b"a", b"-3")]))
    );
    assert_eq!(
        old(&[b"\x0C", &as_string[..]].concat()),
        Ok(sorted_set_of(&[(b"a", -3.0)]))
    );
    assert_eq!(
        old(b"\x03\x03\x01a\x03-.5\x01b\xFE\x01c\xFF"),
        Ok(sorted_set_of(&[
            (b"a", -0.5),
            (b"b", f64::INFINITY),
            (b"c", f64::NEG_INFINITY)
        ]))
    );
    assert_eq!(
        old(b"\x09\x0F\x02\x01a\x01\0b\x02cd\x01\x02e!!\xFF"),
        Ok(hash_of(&[(b"a", b"b"), (b"cd", b"e")]))
    );
}

#[test]
fn integers_of_ziplists_have_their_widths() {
    let content: [(&[u8], i64); 7] = [
        (b"\xC0\x00\x80", -32768),
        (b"\xD0\x00\x00\x00\x80", -2_147_483_648),
        (b"\xE0\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F", i64::MAX),
        (b"\xF0\xFF\xFF\x7F", 8_388_607),
        (b"\xF0\x00\x00\x80", -8_388_608),
        (b"\xF1", 0),
        (b"\xFD", 12),
    ];
    for (content, expected) in content {
        let total = u8::try_from(12 + content.len()).unwrap();
        let ziplist = [&[total, 0, 0, 0, 10, 0, 0, 0, 1, 0, 0], content, b"\xFF"].concat();
        let object = [&[kind::LIST_ZIPLIST, total], &ziplist[..]].concat();
        let decimal = expected.to_string();
        assert_eq!(
            old(&object),
            Ok(list_of(&[decimal.as_bytes()])),
            "{expected}"
        );
    }
}

#[test]
fn fields_that_expire_survive_in_the_form_of_redis_7_4() {
    for entries in [0, 512] {
        let limits = Limits {
            hash_listpack_entries: entries,
            ..Limits::default()
        };
        let growth = Growth::new(&limits, SEED);
        let mut hash = Hash::default();
        for (field, expire_at) in [("a", 5), ("b", 0), ("c", 700), ("dead", 5)] {
            hash.set(field.as_bytes(), b"1", FieldExpiry::Clear, &growth, NOW);
            let at = (expire_at > 0).then_some(UnixMillis(NOW.0 + expire_at));
            hash.set_expiry(field.as_bytes(), at, &growth, NOW);
        }
        hash.set_expiry(b"dead", Some(UnixMillis(NOW.0 - 1)), &growth, NOW);
        let payload = dump(Object::Value(&hash.into_value()), NOW);
        let kind = if entries == 0 {
            kind::HASH_EXPIRING
        } else {
            kind::HASH_EXPIRING_LISTPACK
        };
        assert_eq!(payload[0], kind);
        assert_eq!(payload[payload.len() - 10], 12);
        let Ok(Value::Hash(copy)) = read(&payload, &limits) else {
            panic!("{payload:?}");
        };
        assert_eq!(copy.stored_len(), 3);
        assert_eq!(copy.expire_at(b"a", NOW), Some(Some(UnixMillis(NOW.0 + 5))));
        assert_eq!(copy.expire_at(b"b", NOW), Some(None));
        assert_eq!(
            copy.expire_at(b"c", NOW),
            Some(Some(UnixMillis(NOW.0 + 700)))
        );
        assert_eq!(dump(Object::Value(&copy.into_value()), NOW), payload);
        // A server of the version that other types are written in does not know this type.
        let end = payload.len() - 10;
        let older = sealed(&payload[..end], VERSION);
        assert_eq!(read(&older, &limits), Err(Refused::Object));
    }
}

#[test]
fn what_is_no_value_is_refused() {
    let damaged: [&[u8]; 24] = [
        b"",
        b"\xFF",
        b"\x06\x00",
        b"\x00",
        b"\x00\x05abc",
        b"\x00\x81\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
        b"\x00\xC4\x00",
        b"\x00\xC3\x02\x81\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFFab",
        // Without elements, or fewer than announced.
        b"\x01\x00",
        b"\x02\x00",
        b"\x04\x00",
        b"\x05\x00",
        b"\x12\x00",
        b"\x02\x03\x01a\x01b",
        b"\x12\x01\x02\x07\x07\0\0\0\0\0\xFF",
        // Twice.
        b"\x02\x02\x01a\x01a",
        b"\x02\x02\x011\xC0\x01",
        b"\x04\x02\x01a\x01x\x01a\x01y",
        b"\x10\x13\x13\0\0\0\x04\0\x81a\x02\x81x\x02\x81a\x02\x81y\x02\xFF",
        b"\x05\x02\x01a\0\0\0\0\0\0\0\0\x01a\0\0\0\0\0\0\xF0\x3F",
        // NaN, a node of no form, an intset out of order, a zipmap with a wrong count.
        b"\x05\x01\x01a\0\0\0\0\0\0\xF8\x7F",
        b"\x12\x01\x03\x07\x07\0\0\0\0\0\xFF",
        b"\x0B\x0C\x02\0\0\0\x02\0\0\0\x02\0\x01\0",
        b"\x09\x07\x02\x01a\x01\0b\xFF",
    ];
    for object in damaged {
        assert_eq!(
            old(object),
            Err(Refused::Object),
            "{}",
            object.escape_ascii()
        );
    }
    let payload = sealed(b"\x00\x01a", VERSION_MAX + 1);
    assert_eq!(read(&payload, &Limits::default()), Err(Refused::Footer));
}

/// What is read of damaged payloads keeps its invariants: it is written and read as an equal value.
#[test]
fn damaged_payloads_are_refused_or_are_values() {
    let mut random = Random::new(seed());
    let limits = Limits::default();
    let samples: Vec<Vec<u8>> = payloads().iter().map(|(hex, _)| bytes_of(hex)).collect();
    for _ in 0..40_000 {
        let sample = &samples[random.index(samples.len())];
        let mut object = sample[..sample.len() - 10].to_vec();
        for _ in 0..=random.index(3) {
            let at = random.index(object.len());
            match random.below(4) {
                0 => object[at] ^= 1 << random.below(8),
                1 => object[at] = u8::try_from(random.below(256)).unwrap(),
                2 => object.insert(at, u8::try_from(random.below(256)).unwrap()),
                _ => object.truncate(at.max(1)),
            }
        }
        if random.below(8) == 0 {
            object[0] = u8::try_from(random.below(26)).unwrap();
        }
        let Ok(value) = read(&sealed(&object, VERSION_MAX), &limits) else {
            continue;
        };
        let written = dump(Object::Value(&value), NOW);
        let text = object.escape_ascii();
        let again = read(&written, &limits).unwrap();
        if value.kind() == Kind::Stream {
            // Equal streams may have allocated unequal room.
            assert_eq!(dump(Object::Value(&again), NOW), written, "{text}");
        } else {
            assert_eq!(again, value, "{text}");
        }
    }
}

/// Values of all types with more than a few elements, large and small.
fn values_of_many(random: &mut Random) -> Vec<Value> {
    let mut limits = Limits::default();
    if random.below(2) == 0 {
        (limits.hash_listpack_entries, limits.zset_listpack_entries) = (0, 0);
    }
    let growth = Growth::new(&limits, SEED);
    let rules = (
        set::Rules::new(&limits, SEED),
        sorted_set::Rules::new(&limits, SEED),
    );
    let (mut list, mut members, mut hash, mut sorted) = (
        List::new(),
        Set::default(),
        Hash::default(),
        SortedSet::new(),
    );
    let rule = NodeRule::of(&limits);
    for number in 0..random.below(900) {
        let text = format!("{number}:{}", "element".repeat(random.index(9)));
        let text = text.as_bytes();
        list.push(End::Tail, text, &rule);
        members.add(text, &rules.0);
        hash.set(text, b"value", FieldExpiry::Clear, &growth, NOW);
        let at = UnixMillis(NOW.0 + 5 - i64::try_from(random.below(20)).unwrap());
        if random.below(3) == 0 {
            hash.set_expiry(text, Some(at), &growth, UnixMillis(0));
        }
        let score = i32::try_from(random.below(1000)).unwrap();
        sorted.set(text, f64::from(score) / 8.0, &rules.1);
    }
    vec![
        Value::String(vec![b'x'; random.index(3000)]),
        list.into_value(),
        members.into_value(),
        hash.into_value(),
        sorted.into_value(),
    ]
}

#[test]
fn a_value_in_steps_becomes_the_bytes_of_one_in_one_go() {
    let mut random = Random::new(seed());
    let stream = payloads().into_iter().map(|(hex, _)| bytes_of(hex));
    let samples = stream.filter_map(|payload| read(&payload, &Limits::default()).ok());
    let mut values: Vec<Value> = samples.collect();
    assert!(values.iter().any(|value| value.kind() == Kind::Stream));
    for _ in 0..20 {
        values.append(&mut values_of_many(&mut random));
    }
    let mut most_steps = 0;
    for value in values {
        let mut whole = Writer::new(true);
        whole.entry(b"key", Object::Value(&value), NOW);
        let (mut parts, mut joined) = (Writer::new(true), Vec::new());
        parts.begin(b"key", &value, NOW);
        let (mut steps, mut count) = (Steps::new(NOW), 1);
        let bytes = 1 + random.index(500);
        while parts.step(&mut steps, &value, bytes) {
            count += 1;
            assert!(parts.bytes().len() < bytes + 20_000, "a step is bounded");
            joined.append(&mut parts.take());
        }
        joined.append(&mut parts.take());
        most_steps = most_steps.max(count);
        assert!(
            joined == whole.bytes(),
            "{count} steps of {bytes} bytes: {value:?}"
        );
    }
    println!("up to {most_steps} steps");
    assert!(most_steps > 20);
}

#[test]
fn a_long_string_in_pieces_becomes_the_bytes_of_one_in_one_go() {
    let mut random = Random::new(seed());
    for compresses in [true, false] {
        let mut writer = Writer::new(compresses);
        for _ in 0..200 {
            let kinds = 1 + random.below(256);
            let len = 100 + random.index(5000);
            let bytes = (0..len).map(|_| u8::try_from(random.below(kinds)).unwrap());
            let bytes: Vec<u8> = bytes.collect();
            let mut joined = Vec::new();
            let piece = 1 + random.index(1000);
            writer.string_in_pieces(&bytes, piece, &mut |piece| joined.extend_from_slice(piece));
            writer.clear();
            writer.string(&bytes);
            assert_eq!(joined, writer.bytes());
        }
    }
}
