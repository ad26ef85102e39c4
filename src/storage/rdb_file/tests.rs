//! Files made by hand, files of our own, and files that were damaged.
//!
//! Old forms are put together from the public description of the format; what redis-server 7.0.15 writes
//! and reads is compared with a real one in the tests of the server.

use base::clock::UnixMillis;
use base::random::Random;
use types::hash::{FieldExpiry, Growth, Hash};
use types::list::{End, List, NodeRule};
use types::rdb::{Object, Surroundings, crc64};
use types::set::{self, Set};
use types::sorted_set::{self, SortedSet};
use types::{Limits, Typed as _, Value};

use super::*;

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
const SEED: (u64, u64) = (1, 2);

fn seed() -> u64 {
    let seed = std::env::var("SEED").map_or(1, |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    seed
}

/// A key as it was read.
#[derive(Clone, Debug, PartialEq)]
struct Read {
    database: u64,
    key: Vec<u8>,
    value: Value,
    expire_at: Option<UnixMillis>,
    last_use: Option<Use>,
}

/// All that a file has given.
#[derive(Debug, Default, PartialEq)]
struct Content {
    version: u16,
    about: Vec<(String, String)>,
    libraries: Vec<Vec<u8>>,
    sizes: Vec<(u64, u64)>,
    entries: Vec<Read>,
    tables: Vec<Vec<u8>>,
}

/// Reads a file that comes in pieces of these lengths, over and over.
fn read_in(bytes: &[u8], pieces: &[usize], is_checked: bool) -> Result<Content, RdbError> {
    let limits = Limits::default();
    let surroundings = Surroundings {
        limits: &limits,
        hash_seed: SEED,
        now: NOW,
    };
    let mut reader = Reader::new(is_checked);
    let mut content = Content::default();
    let mut left = bytes;
    let mut pieces = pieces.iter().cycle();
    loop {
        match reader.part()? {
            Some(Part::End) => return Ok(content),
            Some(Part::Version(version)) => content.version = version,
            Some(Part::About { name, value }) => content.about.push((
                String::from_utf8_lossy(&name).into_owned(),
                String::from_utf8_lossy(&value).into_owned(),
            )),
            Some(Part::Library(code)) => content.libraries.push(code.into_owned()),
            Some(Part::Sizes { keys, expires, .. }) => content.sizes.push((keys, expires)),
            Some(Part::Tables { piece, .. }) => content.tables.push(piece.into_owned()),
            Some(Part::Entry(entry)) => content.entries.push(Read {
                database: entry.database,
                value: entry.read(&surroundings)?,
                key: entry.key.to_vec(),
                expire_at: entry.expire_at,
                last_use: entry.last_use,
            }),
            None => {
                let len = (*pieces.next().unwrap()).min(left.len());
                let (piece, rest) = left.split_at(len);
                left = rest;
                reader.feed(piece);
                if left.is_empty() {
                    reader.end();
                }
            }
        }
    }
}

fn read(bytes: &[u8]) -> Result<Content, RdbError> {
    read_in(bytes, &[bytes.len().max(1)], true)
}

/// Puts header, end and checksum around parts.
fn file(version: u16, parts: &[u8]) -> Vec<u8> {
    let mut bytes = format!("REDIS{version:04}").into_bytes();
    bytes.extend_from_slice(parts);
    bytes.push(opcode::END);
    if version >= 5 {
        bytes.extend_from_slice(&crc64(&bytes).to_le_bytes());
    }
    bytes
}

fn string(bytes: &[u8]) -> Value {
    Value::String(bytes.to_vec())
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

fn fault_of(bytes: &[u8]) -> (u64, Fault) {
    let error = read(bytes).unwrap_err();
    (error.offset, error.fault)
}

/// Values of all types and forms that are written.
fn values() -> Vec<Value> {
    let growth = Growth::new(&Limits::default(), SEED);
    let mut expiring = Hash::default();
    for field in [&b"a"[..], b"b"] {
        expiring.set(field, b"1", FieldExpiry::Clear, &growth, NOW);
    }
    expiring.set_expiry(b"a", Some(UnixMillis(NOW.0 + 5)), &growth, NOW);
    let many: Vec<Vec<u8>> = (0..1000)
        .map(|number| format!("element-{number}").into_bytes())
        .collect();
    let elements: Vec<&[u8]> = many.iter().map(Vec::as_slice).collect();
    let pairs: Vec<(&[u8], &[u8])> = elements.iter().map(|&one| (one, one)).collect();
    let scored: Vec<(&[u8], f64)> = elements.iter().map(|&one| (one, 0.25)).collect();
    vec![
        string(b""),
        string(b"12"),
        string(b"text"),
        string(&[b'x'; 100_000]),
        list_of(&[b"a", b"-3"]),
        list_of(&elements),
        set_of(&[b"1", b"2"]),
        set_of(&[b"a", b"2"]),
        set_of(&elements),
        hash_of(&[(b"f", b"v")]),
        hash_of(&pairs),
        expiring.into_value(),
        sorted_set_of(&[(b"a", 1.5)]),
        sorted_set_of(&scored),
    ]
}

/// A file of our own with all of them, and what is expected of it.
fn own_file(compresses: bool) -> (Vec<u8>, Vec<Read>) {
    let mut writer = Writer::new(compresses);
    let about = About {
        server_version: "7.0.15",
        now: NOW,
        used_bytes: 12,
    };
    writer.begin(true, &about);
    writer.library(b"#!lua name=one\n");
    let mut expected = Vec::new();
    for (index, value) in values().into_iter().enumerate() {
        let database = u64::try_from(index / 5).unwrap();
        writer.database(database);
        writer.sizes(5, 2);
        let key = format!("key:{index}").into_bytes();
        let expire_at = (index % 2 == 0).then_some(UnixMillis(NOW.0 + 1));
        let last_use = match index % 3 {
            0 => None,
            1 => Some(Use::Idle(70_000)),
            _ => Some(Use::Frequency(200)),
        };
        let marks = (expire_at, last_use);
        writer.entry(&key, Object::Value(&value), marks, NOW);
        expected.push(Read {
            database,
            key,
            value,
            expire_at,
            last_use,
        });
    }
    writer.end();
    let mut bytes = writer.take();
    let checksum = crc64(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    (bytes, expected)
}

#[test]
fn what_is_written_is_read_however_the_bytes_are_cut() {
    for compresses in [false, true] {
        let (bytes, expected) = own_file(compresses);
        for pieces in [&[1_usize][..], &[7, 1, 300], &[4096], &[1 << 20]] {
            let content = read_in(&bytes, pieces, true).unwrap();
            assert_eq!(content.version, 12);
            assert_eq!(content.libraries, [b"#!lua name=one\n"]);
            assert_eq!(content.sizes.len(), expected.len());
            assert_eq!(content.about[0], ("redis-ver".into(), "7.0.15".into()));
            assert_eq!(content.about[2].1, "1700000000");
            assert!(content.entries == expected, "{pieces:?}");
        }
    }
    let (plain, packed) = (own_file(false).0, own_file(true).0);
    assert!(
        packed.len() + 90_000 < plain.len(),
        "strings are compressed"
    );
}

#[test]
fn a_file_without_fields_that_expire_is_of_the_version_of_redis_7_0() {
    let mut writer = Writer::new(true);
    let about = About {
        server_version: "7.0.15",
        now: NOW,
        used_bytes: 0,
    };
    writer.begin(false, &about);
    assert!(
        writer
            .take()
            .starts_with(b"REDIS0010\xFA\x09redis-ver\x067.0.15")
    );
}

#[test]
fn files_of_old_versions_are_read() {
    // Version 1: no checksum. Expiry in seconds, a list of strings, a zipmap, scores as text.
    let parts = [
        &b"\xFE\x00"[..],
        b"\xFD\x00\xF1\x53\x65\x00\x01a\x01b",
        b"\x01\x01l\x02\x01x\xC0\x05",
        b"\x09\x01h\x07\x01\x01f\x01\0v\xFF",
        b"\x03\x01z\x01\x01m\x031.5",
        b"\xFE\x03\x02\x01s\x01\x01q",
    ]
    .concat();
    let content = read(&file(1, &parts)).unwrap();
    let found: Vec<_> = content
        .entries
        .iter()
        .map(|entry| (entry.database, entry.key.as_slice(), entry.value.clone()))
        .collect();
    assert_eq!(
        found,
        [
            (0, &b"a"[..], string(b"b")),
            (0, b"l", list_of(&[b"x", b"5"])),
            (0, b"h", hash_of(&[(b"f", b"v")])),
            (0, b"z", sorted_set_of(&[(b"m", 1.5)])),
            (3, b"s", set_of(&[b"q"])),
        ]
    );
    assert_eq!(
        content.entries[0].expire_at,
        Some(UnixMillis(0x6553_F100 * 1000))
    );
    // Versions 3 to 8: the small forms of the time.
    let ziplist = b"\x11\x11\0\0\0\x0D\0\0\0\x02\0\x00\x01a\x03\xFE\xFD\xFF";
    for version in 3..=8 {
        let mut parts = b"\xFE\x00".to_vec();
        for (kind, key) in [(10, b'l'), (12, b'z'), (13, b'h')] {
            parts.extend([kind, 1, key]);
            parts.extend_from_slice(ziplist);
        }
        parts.extend_from_slice(b"\x0E\x01q\x01");
        parts.extend_from_slice(ziplist);
        parts.extend_from_slice(b"\x0B\x01i\x0A\x02\0\0\0\x01\0\0\0\x05\0");
        let content = read(&file(version, &parts)).unwrap();
        let values: Vec<Value> = content
            .entries
            .into_iter()
            .map(|entry| entry.value)
            .collect();
        assert_eq!(
            values,
            [
                list_of(&[b"a", b"-3"]),
                sorted_set_of(&[(b"a", -3.0)]),
                hash_of(&[(b"a", b"-3")]),
                list_of(&[b"a", b"-3"]),
                set_of(&[b"5"]),
            ],
            "version {version}"
        );
    }
}

#[test]
fn parts_that_are_of_no_use_here_are_passed_over() {
    let parts = [
        &b"\xFA\x03any\x02ok"[..],
        b"\xF4\x05\x01\x40\x00",
        // A module without data: its version and a zero, an empty string, zeros as numbers.
        b"\xF7\x81\x01\x02\x03\x04\x05\x06\x07\x08\x02\x01\x02\x00\x05\x00\x03\0\0\0\0\x04\0\0\0\0\0\0\0\0\x00",
        b"\xFE\x00\x00\x01a\x01b",
    ]
    .concat();
    let content = read_in(&file(12, &parts), &[1], true).unwrap();
    assert_eq!(content.entries.len(), 1);
    assert_eq!(content.about, [("any".to_owned(), "ok".to_owned())]);
}

#[test]
fn data_of_modules_are_refused_by_name() {
    // The nine letters `ReJSON-RL`, each six bits, and encoding version 3.
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let id = b"ReJSON-RL".iter().fold(0_u64, |id, letter| {
        let index = letters.iter().position(|it| it == letter).unwrap();
        id << 6 | u64::try_from(index).unwrap()
    });
    let id = id << 10 | 3;
    let length = [&[0x81][..], &id.to_be_bytes()].concat();
    let value = [b"\xFE\x00\x07\x03doc", &length[..], b"\x05\x01x\x00"].concat();
    assert_eq!(
        fault_of(&file(10, &value)),
        (
            11,
            Fault::ModuleValue {
                key: "doc".into(),
                module: "ReJSON-RL".into()
            }
        )
    );
    let beside = [b"\xF7", &length[..], b"\x02\x02\x02\x01\x00"].concat();
    let (offset, fault) = fault_of(&file(10, &beside));
    assert_eq!((offset, fault), (9, Fault::ModuleData("ReJSON-RL".into())));
}

#[test]
fn errors_say_what_is_wrong_and_where() {
    let whole = file(10, b"\xFE\x00\x00\x01a\x01b");
    let check = |bytes: &[u8], offset, fault| {
        assert_eq!(fault_of(bytes), (offset, fault), "{}", bytes.escape_ascii());
    };
    check(b"", 0, Fault::Short);
    check(b"REDIS00", 0, Fault::Short);
    check(b"RODIS0010", 0, Fault::NotRdb);
    check(b"REDIS0013\xFF", 0, Fault::Version("0013".into()));
    check(b"REDIS0000\xFF", 0, Fault::Version("0000".into()));
    check(b"REDIS00x9\xFF", 0, Fault::Version("00x9".into()));
    for len in HEADER_BYTES..whole.len() {
        assert_eq!(fault_of(&whole[..len]).1, Fault::Short, "{len}");
    }
    check(&[&whole[..], b"!"].concat(), 25, Fault::Trailing);
    check(&file(10, b"\xFE\x00\x64"), 11, Fault::Part(0x64));
    check(&file(10, b"\xFE\x00\xF6"), 11, Fault::Library);
    check(&file(10, b"\x00\x82"), 9, Fault::Encoding);
    let value = |key: &str, kind| Fault::Value {
        key: key.into(),
        kind,
    };
    check(&file(10, b"\x02\x01k\x02\x01a\x01a"), 9, value("k", 2));
    // A kind of Redis 7.2 in a file of 7.0, and an LZF string that does not unpack.
    check(
        &file(10, b"\x14\x01k\x07\x07\0\0\0\0\0\xFF"),
        9,
        value("k", 20),
    );
    check(&file(10, b"\x00\x01k\xC3\x02\x10ab"), 9, value("k", 0));
    let mut wrong = whole;
    let last = wrong.len() - 1;
    wrong[last] ^= 1;
    let (offset, Fault::Checksum { said, is }) = fault_of(&wrong) else {
        panic!("{wrong:?}");
    };
    assert_eq!((offset, said ^ is), (16, 1 << 56));
    // Zeros say that there is no checksum.
    wrong[last - 7..].fill(0);
    assert_eq!(read(&wrong).unwrap().entries.len(), 1);
}

#[test]
fn a_file_that_says_that_it_has_a_checksum_may_not_have_zeros_there() {
    let mut writer = Writer::new(true);
    writer.field(CHECKSUM_FIELD, b"crc64");
    writer.database(0);
    writer.entry(b"a", Object::String(b"b"), (None, None), NOW);
    let mut bytes = file(10, &writer.take());
    assert_eq!(read(&bytes).unwrap().entries.len(), 1);
    let last = bytes.len() - 8;
    bytes[last..].fill(0);
    let (_, fault) = fault_of(&bytes);
    assert!(matches!(fault, Fault::Checksum { said: 0, .. }), "{fault}");
    assert!(read_in(&bytes, &[1], false).is_ok(), "nobody wants to know");
}

#[test]
fn a_key_without_elements_is_read_as_one() {
    let content = read(&file(9, b"\xFE\x00\x02\x01s\x00\x00\x01a\x01b")).unwrap();
    assert!(content.entries[0].value.is_void());
    assert_eq!(content.entries[1].value, string(b"b"));
}

/// With the checksum any change of a byte is noticed, and without it none makes the reader panic.
#[test]
fn damaged_files_are_refused_or_read_without_a_panic() {
    let mut random = Random::new(seed());
    // Without the long values, so that more of the changes hit something.
    let whole = {
        let mut writer = Writer::new(true);
        let about = About {
            server_version: "7.0.15",
            now: NOW,
            used_bytes: 0,
        };
        writer.begin(true, &about);
        writer.library(b"code");
        writer.database(0);
        for (index, value) in values().into_iter().enumerate() {
            if value.allocated_bytes(|bytes| bytes) < 2000 {
                let key = format!("{index}");
                let marks = (Some(NOW), Some(Use::Idle(4)));
                writer.entry(key.as_bytes(), Object::Value(&value), marks, NOW);
            }
        }
        let parts = [&writer.take()[HEADER_BYTES..], &parts_of_streams()].concat();
        file(12, &parts)
    };
    read(&whole).unwrap();
    for round in 0..20_000 {
        let mut bytes = whole.clone();
        for _ in 0..=random.index(3) {
            let at = random.index(bytes.len());
            match random.below(4) {
                0 => bytes[at] ^= 1 << random.below(8),
                1 => bytes[at] = u8::try_from(random.below(256)).unwrap(),
                2 => bytes.insert(at, u8::try_from(random.below(256)).unwrap()),
                _ => bytes.truncate(at.max(1)),
            }
        }
        let pieces = [1 + random.index(400)];
        if bytes != whole {
            assert!(read_in(&bytes, &pieces, true).is_err(), "round {round}");
        }
        // An error or a content: both are fine, as long as it comes to an end.
        drop(read_in(&bytes, &pieces, false));
    }
}

/// A stream of redis-server 7.0.15 as a key, once with the additions of Redis 7.2.
fn parts_of_streams() -> Vec<u8> {
    let head: &[u8] = b"\x01\x10\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01\x1d\x1d\0\0\0\x0a\0\x01\x01\0\x01\
        \x01\x01\x81f\x02\0\x01\x02\x01\0\x01\0\x01\x81v\x02\x04\x01\xff\x01\x01\x01\x01\x01\0\0\x01";
    let group: &[u8] = b"\x01\x01g\x01\x01\x01\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01\
        \x05\0\0\0\0\0\0\0\x01\x01\x01c\x06\0\0\0\0\0\0\0";
    let pending: &[u8] = b"\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01";
    let active: &[u8] = b"\x07\0\0\0\0\0\0\0";
    [
        b"\x13\x02s1",
        head,
        group,
        pending,
        b"\x15\x02s2",
        head,
        group,
        active,
        pending,
    ]
    .concat()
}

#[test]
fn streams_with_groups_are_followed_to_their_end() {
    let content = read_in(&file(11, &parts_of_streams()), &[1], true).unwrap();
    assert_eq!(content.entries.len(), 2);
    for entry in content.entries {
        let Value::Stream(stream) = entry.value else {
            panic!("no stream");
        };
        assert_eq!((stream.log().len(), stream.groups().len()), (1, 1));
    }
}

#[test]
fn pieces_of_tables_come_back_and_are_checked_on_their_own() {
    let pieces = [b"rows and rows and rows and rows".to_vec(), vec![7; 3000]];
    for compresses in [true, false] {
        let mut writer = Writer::new(compresses);
        pieces.iter().for_each(|piece| writer.tables(piece));
        let parts = writer.take();
        let whole = file(10, &parts);
        assert_eq!(read_in(&whole, &[1], true).unwrap().tables, pieces);
        // The id is nine letters and the version.
        assert_eq!(parts[..2], [247, 0x81]);
        let mut later = whole.clone();
        later[HEADER_BYTES + 9] ^= 2;
        let RdbError { fault, .. } = read_in(&later, &[500], false).unwrap_err();
        assert_eq!(fault, Fault::TablesVersion(3));
        assert!(fault.to_string().contains("only version 1 is known"));
        // Without the checksum of the file, that of the piece is still there.
        let mut damaged = whole.clone();
        let in_text = HEADER_BYTES + 25;
        damaged[in_text] ^= 1;
        let RdbError { fault, .. } = read_in(&damaged, &[500], false).unwrap_err();
        assert!(
            matches!(fault, Fault::Tables(_) | Fault::Encoding),
            "{fault}"
        );
    }
}
