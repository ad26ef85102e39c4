//! DUMP of one server is RESTORE of the other, for every type and encoding.
//!
//! Values are made on the reference by random requests; each payload goes to the server under test and
//! back. Where the order of elements is defined, the bytes have to be the same; everywhere the
//! fingerprints of DEBUG DIGEST-VALUE and the encodings.
//!
//! Not here: damaged bytes without a server (`src/types/rdb/tests.rs`, `tests/fuzz`).

use base::random::Random;
use protocol::value::Value;
use types::rdb;

use crate::support::client::Client;
use crate::support::server::Server;
use crate::support::{number, one_in, pick, seed};

/// The flags that make the reference check payloads as thoroughly as the server under test.
const REFERENCE_FLAGS: &[&str] = &["--sanitize-dump-payload", "yes"];

/// One request.
pub(crate) type Request = Vec<Vec<u8>>;

/// A value of a random type, as the requests that make it.
pub(crate) struct Recipe {
    pub(crate) name: &'static str,
    pub(crate) requests: Vec<Request>,
    /// Whether the value has an order, so that there is one payload for it.
    has_order: bool,
    /// Whether the same requests make the same bytes: not if the time of day gets into them, nor if a
    /// long list was cut in its middle, where nodes need not be those of Redis.
    is_repeatable: bool,
}

impl Recipe {
    fn new(name: &'static str, requests: Vec<Request>) -> Self {
        Self {
            name,
            requests,
            has_order: true,
            is_repeatable: true,
        }
    }
}

fn request(words: &[&str]) -> Request {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

/// Bytes as they are stored: integers of every width, words, repetitive and random bytes.
fn element(random: &mut Random) -> Vec<u8> {
    match random.below(12) {
        0..4 => {
            let width = random.below(64);
            let value = random.below(u64::MAX) >> width;
            value.cast_signed().to_string().into_bytes()
        }
        4..8 => format!("member:{}", random.below(1 << 40)).into_bytes(),
        8 => b"ab ".repeat(1 + random.index(60)),
        9 => vec![b'x'; random.index(70)],
        10 => (0..random.index(100))
            .map(|_| u8::try_from(random.below(256)).unwrap())
            .collect(),
        _ => format!("0{}", random.below(100)).into_bytes(),
    }
}

/// Few elements mostly, and sometimes more than any compact encoding holds.
fn count(random: &mut Random) -> usize {
    match random.below(6) {
        0..3 => 1 + random.index(8),
        3 | 4 => 1 + random.index(150),
        _ => 500 + random.index(900),
    }
}

fn score(random: &mut Random) -> String {
    match random.below(6) {
        0 => format!("{}", random.below(10)),
        1 => format!("-{}.{}", random.below(1000), random.below(1000)),
        2 => format!("{}e{}", 1 + random.below(9), random.below(300)),
        3 => (*pick(random, &["inf", "-inf", "0", "-0", "1e-300"])).to_owned(),
        _ => format!("0.{}", random.below(1 << 50)),
    }
}

/// Puts one request for each chunk of words behind `head`.
fn in_chunks(head: &[&str], words: &[Vec<u8>], chunk: usize) -> Vec<Request> {
    words
        .chunks(chunk)
        .map(|words| [request(head), words.to_vec()].concat())
        .collect()
}

fn string(random: &mut Random) -> Recipe {
    let mut bytes = element(random);
    if one_in(random, 4) {
        for _ in 0..random.index(400) {
            bytes.extend(element(random));
        }
    }
    Recipe::new("string", vec![vec![b"SET".to_vec(), b"k".to_vec(), bytes]])
}

fn list(random: &mut Random) -> Recipe {
    let mut words: Vec<_> = (0..count(random)).map(|_| element(random)).collect();
    if one_in(random, 5) {
        words.push(vec![b'z'; 9000]);
    }
    let mut requests = in_chunks(&["RPUSH", "k"], &words, 97);
    let edits = random.index(6);
    for _ in 0..edits {
        let index = random.index(words.len()).to_string();
        let pivot = pick(random, &words).clone();
        let other = element(random);
        requests.push(match random.below(4) {
            0 => [request(&["LSET", "k", &index]), vec![other]].concat(),
            1 => [request(&["LINSERT", "k", "BEFORE"]), vec![pivot, other]].concat(),
            2 => [request(&["LREM", "k", "1"]), vec![pivot]].concat(),
            _ => [request(&["LPUSH", "k"]), vec![other]].concat(),
        });
    }
    Recipe {
        is_repeatable: edits == 0,
        ..Recipe::new("list", requests)
    }
}

fn set(random: &mut Random) -> Recipe {
    let only_integers = one_in(random, 2);
    let words: Vec<_> = (0..count(random))
        .map(|_| match only_integers {
            true => {
                let value = random.below(u64::MAX) >> (random.below(4) * 16);
                value.cast_signed().to_string().into_bytes()
            }
            false => element(random),
        })
        .collect();
    Recipe {
        has_order: only_integers && words.len() <= 512,
        ..Recipe::new("set", in_chunks(&["SADD", "k"], &words, 90))
    }
}

fn hash(random: &mut Random) -> Recipe {
    let count = count(random);
    let words: Vec<_> = (0..2 * count).map(|_| element(random)).collect();
    let mut requests = in_chunks(&["HSET", "k"], &words, 90);
    if one_in(random, 3) && count > 1 {
        requests.push([request(&["HDEL", "k"]), vec![words[0].clone()]].concat());
        requests.push(request(&["HSET", "k", "last", "1"]));
    }
    Recipe {
        has_order: count <= 500 && words.iter().all(|word| word.len() <= 64),
        ..Recipe::new("hash", requests)
    }
}

fn sorted_set(random: &mut Random) -> Recipe {
    let mut words = Vec::new();
    for _ in 0..count(random) {
        words.push(score(random).into_bytes());
        words.push(element(random));
    }
    Recipe::new("zset", in_chunks(&["ZADD", "k"], &words, 90))
}

fn stream(random: &mut Random) -> Recipe {
    let mut requests = Vec::new();
    let mut ids = Vec::new();
    let mut ms = random.below(1 << 40);
    for sequence in 0..count(random).min(400) {
        ms += random.below(3);
        let id = format!("{ms}-{sequence}");
        let mut words = request(&["XADD", "k", &id]);
        for field in 0..=random.below(3) {
            words.push(match one_in(random, 4) {
                true => element(random),
                false => format!("field{field}").into_bytes(),
            });
            words.push(element(random));
        }
        requests.push(words);
        ids.push(id);
    }
    for _ in 0..random.index(8) {
        let id = pick(random, &ids).clone();
        requests.push(request(&["XDEL", "k", &id]));
    }
    if one_in(random, 3) {
        let kept = random.index(ids.len()).to_string();
        requests.push(request(&["XTRIM", "k", "MAXLEN", &kept]));
    }
    let groups = random.index(3);
    for group in 0..groups {
        let group = format!("group{group}");
        let from = pick(random, &["0", "$", &ids[0]]).to_owned();
        requests.push(request(&["XGROUP", "CREATE", "k", &group, from]));
        for _ in 0..random.index(4) {
            let consumer = *pick(random, &["alice", "bob", ""]);
            let wanted = (1 + random.index(50)).to_string();
            let read = ["XREADGROUP", "GROUP", &group, consumer, "COUNT", &wanted];
            requests.push(request(&[&read[..], &["STREAMS", "k", ">"]].concat()));
            let id = pick(random, &ids).clone();
            requests.push(request(&["XACK", "k", &group, &id]));
        }
    }
    Recipe {
        is_repeatable: groups == 0,
        ..Recipe::new("stream", requests)
    }
}

/// Both servers, with a connection to each.
struct Pair {
    _servers: [Server; 2],
    reference: Client,
    ours: Client,
}

impl Pair {
    fn start() -> Self {
        let servers = [Server::redis(REFERENCE_FLAGS), Server::trestle(1, &[])];
        Self {
            reference: servers[0].client(),
            ours: servers[1].client(),
            _servers: servers,
        }
    }
}

fn ok() -> Value {
    Value::Simple(b"OK".to_vec())
}

fn dump(client: &mut Client, key: &str) -> Vec<u8> {
    match client.request(&["DUMP", key]) {
        Value::Bulk(bytes) => bytes,
        other => panic!("DUMP {key}: {other:?}"),
    }
}

fn restore(client: &mut Client, key: &str, payload: &[u8]) -> Value {
    client.request(&[b"RESTORE", key.as_bytes(), b"0", payload, b"REPLACE"])
}

/// Returns the fingerprint and the encoding of a key.
fn state(client: &mut Client, key: &str) -> (Value, Value) {
    (
        client.request(&["DEBUG", "DIGEST-VALUE", key]),
        client.request(&["OBJECT", "ENCODING", key]),
    )
}

fn serialized_length(client: &mut Client, key: &str) -> String {
    let Value::Simple(line) = client.request(&["DEBUG", "OBJECT", key]) else {
        panic!("DEBUG OBJECT {key}");
    };
    let line = String::from_utf8(line).unwrap();
    let field = line
        .split(' ')
        .find(|word| word.starts_with("serializedlength:"));
    field.unwrap().to_owned()
}

fn check(pair: &mut Pair, recipe: &Recipe) {
    let name = recipe.name;
    pair.reference.ok("FLUSHALL");
    pair.ours.ok("FLUSHALL");
    for request in &recipe.requests {
        let expected = pair.reference.request(request);
        let reply = pair.ours.request(request);
        if let Value::Error(_) = expected {
            assert_eq!(reply, expected, "{name}");
        }
    }
    if pair.reference.line("EXISTS k") == Value::Integer(0) {
        return;
    }
    let theirs = dump(&mut pair.reference, "k");
    let expected = state(&mut pair.reference, "k");
    assert_eq!(state(&mut pair.ours, "k"), expected, "{name}");
    // A value that was larger once may get a smaller encoding when it is read.
    for client in [&mut pair.reference, &mut pair.ours] {
        assert_eq!(restore(client, "copy", &theirs), ok(), "{name}");
    }
    let expected = state(&mut pair.reference, "copy");
    assert_eq!(state(&mut pair.ours, "copy"), expected, "{name}, read");
    let own = dump(&mut pair.ours, "k");
    if recipe.has_order {
        let copied = dump(&mut pair.ours, "copy");
        assert_eq!(hex(&copied), hex(&theirs), "{name}: read and written");
        if recipe.is_repeatable {
            assert_eq!(hex(&own), hex(&theirs), "{name}: of the same requests");
        }
        assert_eq!(
            serialized_length(&mut pair.ours, "copy"),
            serialized_length(&mut pair.reference, "k"),
            "{name}"
        );
    }
    assert_eq!(restore(&mut pair.reference, "back", &own), ok(), "{name}");
    assert_eq!(state(&mut pair.reference, "back"), expected, "{name}, back");
    if name == "stream" {
        let copied = dump(&mut pair.ours, "copy");
        assert_eq!(restore(&mut pair.reference, "back", &copied), ok());
        let full = |client: &mut Client, key| client.request(&["XINFO", "STREAM", key, "FULL"]);
        let before = full(&mut pair.reference, "k");
        assert_eq!(full(&mut pair.reference, "back"), before);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// Makers of values of the key `k`, one for each type.
pub(crate) const RECIPES: &[fn(&mut Random) -> Recipe] =
    &[string, list, set, hash, sorted_set, stream];

#[test]
fn payloads_go_from_server_to_server_and_back() {
    let mut random = Random::new(seed("dump", 0xD0_4D));
    let mut pair = Pair::start();
    for _ in 0..number("VALUES", 60) {
        for recipe in RECIPES {
            check(&mut pair, &recipe(&mut random));
        }
    }
}

/// Compact encodings with other thresholds on one side than on the other.
#[test]
fn a_payload_gets_the_encoding_of_the_server_that_reads_it() {
    let mut pair = Pair::start();
    for client in [&mut pair.reference, &mut pair.ours] {
        client.line("RPUSH l a b c d");
        client.line("SADD i 1 2 3 4");
        client.line("HSET h a 1 b 2 c 3 d 4");
        client.line("ZADD z 1 a 2 b 3 c 4 d");
        for limit in [
            "set-max-intset-entries 3",
            "hash-max-listpack-entries 3",
            "zset-max-listpack-entries 3",
            "list-max-listpack-size 3",
        ] {
            client.ok(&format!("CONFIG SET {limit}"));
        }
        for key in ["l", "i", "h", "z"] {
            let payload = dump(client, key);
            assert_eq!(restore(client, key, &payload), ok());
        }
    }
    for key in ["l", "i", "h", "z"] {
        let expected = state(&mut pair.reference, key);
        assert_eq!(state(&mut pair.ours, key), expected, "{key}");
    }
}

/// Flips every byte, with the checksum as it was and with that of the damaged bytes.
#[test]
fn damaged_payloads_are_refused_as_redis_does() {
    let mut random = Random::new(seed("damage", 0xDA_3A6E));
    let mut pair = Pair::start();
    let (mut stricter, mut checked) = (0, 0);
    for recipe in RECIPES {
        for _ in 0..number("VALUES", 8) {
            let recipe = recipe(&mut random);
            pair.reference.ok("FLUSHALL");
            for request in &recipe.requests {
                pair.reference.request(request);
            }
            if pair.reference.line("EXISTS k") == Value::Integer(0) {
                continue;
            }
            let payload = dump(&mut pair.reference, "k");
            let step = 1 + payload.len() / 300;
            for at in (0..payload.len()).step_by(step) {
                let mut damaged = payload.clone();
                damaged[at] ^= 1 << random.below(8);
                let expected = restore(&mut pair.reference, "d", &damaged);
                assert!(matches!(expected, Value::Error(_)));
                assert_eq!(restore(&mut pair.ours, "d", &damaged), expected);
                let end = damaged.len() - 8;
                if at + 2 >= end {
                    // Later versions are known here.
                    continue;
                }
                let crc = rdb::crc64(&damaged[..end]);
                damaged[end..].copy_from_slice(&crc.to_le_bytes());
                stricter += u64::from(agree(&mut pair, &recipe, &damaged));
                checked += 1;
            }
        }
    }
    eprintln!("{checked} damaged payloads, {stricter} of them refused that Redis takes");
}

/// Compares what both make of a payload with a right checksum; returns whether only Redis takes it.
fn agree(pair: &mut Pair, recipe: &Recipe, payload: &[u8]) -> bool {
    let theirs = restore(&mut pair.reference, "d", payload);
    let own = restore(&mut pair.ours, "d", payload);
    if own != ok() {
        if theirs != ok() {
            assert_eq!(own, theirs, "{}: {}", recipe.name, hex(payload));
        }
        return theirs == ok();
    }
    assert_eq!(theirs, ok(), "{}: {}", recipe.name, hex(payload));
    let expected = pair.reference.request(&["DEBUG", "DIGEST-VALUE", "d"]);
    let digest = pair.ours.request(&["DEBUG", "DIGEST-VALUE", "d"]);
    assert_eq!(digest, expected, "{}: {}", recipe.name, hex(payload));
    false
}
