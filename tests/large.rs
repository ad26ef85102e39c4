//! Replies and arguments of many megabytes: what Redis answers, bounded, and at one point in time.
//!
//! Nothing here measures time: `benches/stall.py` does. What can be seen without a clock is that others
//! are answered while a client does not read, that the memory stays bounded, and that a reply made in
//! steps shows the value as it was.

use std::time::Duration;

use base::random::Random;
use protocol::value::Value;

use crate::support::client::{Client, encode, value_of};
use crate::support::seed;
use crate::support::server::Server;
use crate::support::wait::wait_until;

const LIMIT: Duration = Duration::from_secs(20);

const MEGABYTE: usize = 1 << 20;

/// Elements of values that are long by their number.
const MANY: usize = 20_000;

/// Elements of a kilobyte whose reply is more than the sockets of both sides hold.
const TOO_MANY: usize = 40_000;

/// Fills `key` with `count` elements of about `bytes` bytes by `command`; `words` gives those of one.
fn fill(client: &mut Client, head: [&str; 2], count: usize, words: impl Fn(usize) -> Vec<Vec<u8>>) {
    for start in (0..count).step_by(500) {
        let mut request: Vec<Vec<u8>> = head.map(|word| word.as_bytes().to_vec()).to_vec();
        for index in start..(start + 500).min(count) {
            request.extend(words(index));
        }
        let reply = client.request(&request);
        assert!(!matches!(reply, Value::Error(_)), "{head:?}: {reply:?}");
    }
}

fn element(index: usize, bytes: usize) -> Vec<u8> {
    let mut element = format!("element:{index:07}:").into_bytes();
    element.resize(bytes.max(element.len()), b'.');
    element
}

/// Makes a list, a set, a hash and a sorted set of `count` elements of `bytes` bytes each, and strings.
fn fill_all(client: &mut Client, count: usize, bytes: usize) {
    fill(client, ["RPUSH", "list"], count, |index| {
        vec![element(index, bytes)]
    });
    fill(client, ["SADD", "set"], count, |index| {
        vec![element(index, bytes)]
    });
    // Of a hash tag, as keys of several shards make no steps.
    fill(client, ["SADD", "{set}more"], count, |index| {
        vec![element(index + count / 5, bytes)]
    });
    fill(client, ["HSET", "hash"], count, |index| {
        vec![element(index, 8), element(index, bytes)]
    });
    fill(client, ["ZADD", "zset"], count, |index| {
        vec![(index / 3).to_string().into_bytes(), element(index, bytes)]
    });
    fill_stream(client, count / 8, 1, 32 * bytes);
    for (key, size) in [("string", 3 * MEGABYTE), ("other", 300_000), ("short", 100)] {
        client.request(&[&b"SET"[..], key.as_bytes(), &element(7, size)]);
    }
}

/// Makes a stream of `count` entries, each with so many fields of `bytes` bytes.
fn fill_stream(client: &mut Client, count: usize, fields: usize, bytes: usize) {
    for index in 0..count {
        let id = format!("{}-1", index + 1).into_bytes();
        let mut request = vec![b"XADD".to_vec(), b"stream".to_vec(), id];
        for field in 0..fields {
            request.extend([element(field, 8), element(index, bytes)]);
        }
        client.request(&request);
    }
}

/// Sorts the elements of a set or of the pairs of a map, which come in no order that means anything.
fn sorted(value: Value) -> Vec<Vec<Value>> {
    let mut parts: Vec<Vec<Value>> = match value {
        Value::Set(members) | Value::Array(members) => {
            members.into_iter().map(|member| vec![member]).collect()
        }
        Value::Map(pairs) => pairs
            .into_iter()
            .map(|(field, value)| vec![field, value])
            .collect(),
        other => vec![vec![other]],
    };
    parts.sort_by_cached_key(|part| format!("{part:?}"));
    parts
}

/// Requests whose replies are equal byte by byte.
const ORDERED: &[&str] = &[
    "LRANGE list 0 -1",
    "LRANGE list 100 -200",
    "LRANGE list -18000 -1",
    "ZRANGE zset 0 -1",
    "ZRANGE zset 0 -1 WITHSCORES",
    "ZRANGE zset 5 -5 REV WITHSCORES",
    "ZREVRANGE zset 0 -1",
    "ZRANGEBYSCORE zset -inf +inf WITHSCORES LIMIT 100 17000",
    "ZREVRANGEBYSCORE zset +inf (5",
    "ZRANGEBYLEX zset - +",
    "XRANGE stream - +",
    "XREVRANGE stream + -",
    "XRANGE stream 7-1 (2497-1",
    "XRANGE stream (7-1 + COUNT 2300",
    "XREVRANGE stream 2490-0 3-2 COUNT 2400",
    "XRANGE stream - + COUNT 3",
    "XREAD STREAMS stream 0",
    "XREAD STREAMS stream 3-1",
    "XREAD COUNT 2400 STREAMS stream 5",
    "XREAD BLOCK 10 STREAMS stream 7",
    "XREAD STREAMS stream nothing 2400 0",
    "XREAD STREAMS stream 2500-1",
    "GET string",
    "GETRANGE string 10 -10",
    "GETRANGE string 0 299999",
    "GETRANGE string 5 4",
    "MGET string short nothing other list short string",
    "GETEX string PERSIST",
    "GETEX other EX 1000",
    "SET other short GET",
    "SET other new XX GET",
    "GETDEL string",
    "GET string",
];

/// Requests whose replies have the same elements in any order.
const UNORDERED: &[&str] = &[
    "SMEMBERS set",
    "HGETALL hash",
    "HKEYS hash",
    "HVALS hash",
    "SUNION set nothing",
    "SUNION set {set}more set",
    "SINTER set {set}more set {set}more",
    "SINTER set nothing",
    "SDIFF set {set}more",
    "SDIFF {set}more set nothing",
    "SDIFF set set",
    "SRANDMEMBER set 30000",
    "HRANDFIELD hash 30000",
    "HRANDFIELD hash 20000 WITHVALUES",
    "ZRANDMEMBER zset 20000",
    "ZRANDMEMBER zset 30000 WITHSCORES",
];

#[test]
fn large_replies_are_those_of_redis() {
    let redis = Server::redis(&[]);
    for shards in [1, 3] {
        let ours = Server::trestle(shards, &[]);
        let (mut mine, mut theirs) = (ours.client(), redis.client());
        theirs.ok("FLUSHALL");
        fill_all(&mut mine, MANY, 20);
        fill_all(&mut theirs, MANY, 20);
        for hello in ["HELLO 2", "HELLO 3"] {
            mine.line(hello);
            theirs.line(hello);
            for line in ORDERED {
                let words: Vec<&str> = line.split_whitespace().collect();
                mine.send(&words).unwrap();
                theirs.send(&words).unwrap();
                let (reply, expected) = (mine.read_reply().unwrap(), theirs.read_reply().unwrap());
                assert!(reply == expected, "{}: {hello}: {line}", ours.name);
            }
            for line in UNORDERED {
                let (reply, expected) = (mine.line(line), theirs.line(line));
                let has_values = *line == "HGETALL hash" || line.contains(" WITH");
                if hello == "HELLO 2" && has_values {
                    let fields = |value| sorted(value).len();
                    assert_eq!(fields(reply), fields(expected), "{line}");
                } else {
                    assert!(sorted(reply) == sorted(expected), "{hello}: {line}");
                }
            }
            for client in [&mut mine, &mut theirs] {
                client.request(&[&b"SET"[..], b"string", &element(7, 3 * MEGABYTE)]);
                client.request(&[&b"SET"[..], b"other", &element(9, 300_000)]);
            }
        }
    }
}

#[test]
fn large_replies_keep_their_place_in_pipelines_and_in_multi() {
    let redis = Server::redis(&[]);
    let pipeline = [
        "GET string",
        "PING",
        "LRANGE list 0 -1",
        "RPUSH list more",
        "LRANGE list 0 -1",
        "COPY list {list}twin",
        "RPOP {list}twin 17000",
        "LLEN {list}twin",
        "LPOP list 17000",
        "RPUSH list last",
        "RPOP list 17000",
        "LPOP list 17000",
        "LPUSH list first",
        "XREAD STREAMS stream 0",
        "XADD stream 9000-1 field value",
        "XREAD STREAMS stream 9",
        "GET short",
        "APPEND string tail",
        "GET string",
        "DEL string list",
        "GET string",
        "ZRANGE zset 0 -1",
        "MULTI",
        "ZRANGE zset 0 -1 WITHSCORES",
        "GET other",
        "ZREM zset x",
        "MGET other short",
        "XREAD STREAMS stream 0",
        "EXEC",
        "SET other x",
        "LLEN list",
    ];
    let mut replies = Vec::new();
    let ours = [Server::trestle(1, &[]), Server::trestle(3, &[])];
    for server in ours.iter().chain([&redis]) {
        let mut client = server.client();
        fill_all(&mut client, MANY, 20);
        let mut bytes = Vec::new();
        for line in pipeline {
            encode(&line.split_whitespace().collect::<Vec<_>>(), &mut bytes);
        }
        client.send_bytes(&bytes).unwrap();
        let all: Vec<Vec<u8>> = pipeline
            .iter()
            .map(|_| client.read_reply().unwrap())
            .collect();
        client.ok("CLIENT REPLY ON");
        client
            .send_bytes(b"CLIENT REPLY SKIP\r\nZRANGE zset 0 -1\r\nPING\r\n")
            .unwrap();
        assert_eq!(client.read_reply().unwrap(), b"+PONG\r\n");
        // The value came back, though nobody saw the reply.
        assert_eq!(client.line("ZCARD zset"), Value::Integer(20_000));
        replies.push(all);
    }
    for (index, line) in pipeline.iter().enumerate() {
        assert!(replies[0][index] == replies[2][index], "one shard: {line}");
        assert!(replies[1][index] == replies[2][index], "3 shards: {line}");
    }
}

#[test]
fn what_is_taken_by_chance_is_what_was_there() {
    for shards in [1, 3] {
        let server = Server::trestle(shards, &[]);
        let mut client = server.client();
        fill_all(&mut client, MANY, 20);
        client.line("HELLO 2");
        let bulks = |client: &mut Client, line: &str| -> Vec<Vec<u8>> {
            let (Value::Array(all) | Value::Set(all)) = client.line(line) else {
                panic!("{line} gives several");
            };
            let bytes = all.into_iter().map(|value| match value {
                Value::Bulk(bytes) => bytes,
                other => panic!("{line} gives strings: {other:?}"),
            });
            bytes.collect()
        };
        let different = |mut found: Vec<Vec<u8>>| {
            found.sort_unstable();
            found.dedup();
            found
        };
        let all = different(bulks(&mut client, "SMEMBERS set"));
        assert_eq!(all.len(), MANY);
        for (line, expected) in [
            ("SRANDMEMBER set 17000", 17_000),
            ("HRANDFIELD hash 17000", 17_000),
            ("ZRANDMEMBER zset 17000", 17_000),
        ] {
            let (one, other) = (bulks(&mut client, line), bulks(&mut client, line));
            assert_ne!(one, other, "{line} is another choice each time");
            for found in [one, other] {
                assert_eq!(found.len(), expected, "{line}");
                let found = different(found);
                assert_eq!(found.len(), expected, "{line} gives different ones");
                assert!(!line.contains("set 1") || found.iter().all(|it| all.contains(it)));
            }
        }
        for line in [
            "SRANDMEMBER set -40000",
            "HRANDFIELD hash -40000",
            "ZRANDMEMBER zset -40000",
        ] {
            let found = bulks(&mut client, line);
            assert_eq!(found.len(), 40_000, "{line}");
            let count = different(found).len();
            // Of 20,000, (1 - 1/e²) are met by as many tries as two for each: 17,293.
            assert!((16_900..17_700).contains(&count), "{line}: {count}");
        }
        for line in [
            "SRANDMEMBER set -99999999999",
            "HRANDFIELD hash -99999999999",
            "ZRANDMEMBER zset -99999999999",
        ] {
            let refused = Value::Error(b"ERR value is out of range".to_vec());
            assert_eq!(client.line(line), refused, "{line}");
        }
        assert_eq!(different(bulks(&mut client, "SPOP set 30000")), all);
        assert_eq!(client.line("EXISTS set"), Value::Integer(0));
    }
}

#[test]
fn what_has_left_its_key_holds_nobody_up_and_is_lost_with_its_reader() {
    for shards in [1, 3] {
        let server = Server::trestle(shards, &[]);
        let mut other = server.client();
        for (line, key, left) in [
            ("LPOP list 39999", "LLEN list", 1),
            ("RPOP list 50000", "LLEN list", 0),
            ("SPOP set 50000", "SCARD set", 0),
        ] {
            other.ok("FLUSHALL");
            fill_one(&mut other, key.split(' ').nth(1).unwrap());
            let (mut reader, _) = begin_unread(&server, line);
            assert_eq!(other.line(key), Value::Integer(left), "{line}");
            let reply = reader.read_reply().unwrap();
            assert!(reply.len() > 38 * MEGABYTE, "{line}: {}", reply.len());
            fill_one(&mut other, key.split(' ').nth(1).unwrap());
            drop(begin_unread(&server, line));
            assert_eq!(other.line(key), Value::Integer(2 * left), "{line}");
        }
    }
}

/// Sends `line` on a connection that does not read, and waits until the reply has begun: the command has run then,
/// on whatever core.
fn begin_unread(server: &Server, line: &str) -> (Client, i64) {
    let mut reader = server.client();
    let Value::Integer(id) = reader.line("CLIENT ID") else {
        panic!("an id is a number");
    };
    reader
        .send(&line.split_whitespace().collect::<Vec<_>>())
        .unwrap();
    reader.await_reply().unwrap();
    (reader, id)
}

#[test]
fn a_reply_nobody_reads_shows_the_value_as_it_was_and_holds_nobody_up() {
    for shards in [1, 3] {
        let server = Server::trestle(shards, &[]);
        let mut other = server.client();
        for (line, key) in [
            ("LRANGE list 0 -1", "list"),
            ("SMEMBERS set", "set"),
            ("HGETALL hash", "hash"),
            ("ZRANGE zset 0 -1 WITHSCORES", "zset"),
            ("XREVRANGE stream + -", "stream"),
            ("XREAD STREAMS stream 0", "stream"),
            ("SUNION set nothing", "set"),
            ("GET large", "large"),
        ] {
            for change in [
                "DEL KEY",
                "FLUSHALL",
                "RENAME KEY renamed",
                "SET KEY changed",
                "PEXPIRE KEY 1",
                "COPY KEY copied REPLACE",
            ] {
                other.ok("FLUSHALL");
                fill_one(&mut other, key);
                let words: Vec<&str> = line.split(' ').collect();
                other.send(&words).unwrap();
                let expected = other.read_reply().unwrap();
                let (mut reader, _) = begin_unread(&server, line);
                let reply = other.line(&change.replace("KEY", key));
                assert!(!matches!(reply, Value::Error(_)), "{change}: {reply:?}");
                if change.starts_with("PEXPIRE") {
                    let is_gone = wait_until(LIMIT, || {
                        other.line(&format!("EXISTS {key}")) == Value::Integer(0)
                    });
                    assert!(is_gone, "{key} expires");
                }
                other.ok("SET unrelated value");
                let reply = reader.read_reply().unwrap();
                let is_same = if UNORDERED.contains(&line) {
                    lines(&reply) == lines(&expected)
                } else {
                    reply == expected
                };
                assert!(
                    is_same,
                    "{}: {line}, {change}: {}",
                    server.name,
                    difference(&reply, &expected)
                );
            }
        }
    }
}

/// Returns the lines of a reply whose elements may come in any order.
fn lines(reply: &[u8]) -> Vec<&[u8]> {
    let mut lines: Vec<_> = reply.split(|byte| *byte == b'\n').collect();
    lines.sort_unstable();
    lines
}

/// Says where a reply differs from the one that was expected.
fn difference(reply: &[u8], expected: &[u8]) -> String {
    let equal = reply
        .iter()
        .zip(expected)
        .take_while(|(one, other)| one == other);
    let from = equal.count();
    let shown = |bytes: &[u8]| {
        let part = &bytes[from.saturating_sub(20)..bytes.len().min(from + 60)];
        String::from_utf8_lossy(part).escape_debug().to_string()
    };
    format!(
        "from byte {from} on, of {} and {}: {} and {}",
        reply.len(),
        expected.len(),
        shown(reply),
        shown(expected)
    )
}

/// Makes the value of `key` so large that its reply does not fit into the sockets.
fn fill_one(client: &mut Client, key: &str) {
    match key {
        "list" => fill(client, ["RPUSH", key], TOO_MANY, |index| {
            vec![element(index, 1000)]
        }),
        "set" => fill(client, ["SADD", key], TOO_MANY, |index| {
            vec![element(index, 1000)]
        }),
        "hash" => fill(client, ["HSET", key], TOO_MANY, |index| {
            vec![element(index, 8), element(index, 1000)]
        }),
        "zset" => fill(client, ["ZADD", key], TOO_MANY, |index| {
            vec![index.to_string().into_bytes(), element(index, 1000)]
        }),
        "stream" => fill_stream(client, TOO_MANY / 40, 40, 1000),
        _ => drop(client.request(&[&b"SET"[..], key.as_bytes(), &element(3, 40 * MEGABYTE)])),
    }
}

#[test]
fn a_client_that_leaves_or_is_killed_gives_the_value_back() {
    for shards in [1, 2] {
        let server = Server::trestle(shards, &[]);
        let mut other = server.client();
        fill_one(&mut other, "list");
        fill_one(&mut other, "large");
        for line in ["LRANGE list 0 -1", "GET large"] {
            for kills in [false, true] {
                let (reader, id) = begin_unread(&server, line);
                if kills {
                    let killed = other.line(&format!("CLIENT KILL ID {id}"));
                    assert_eq!(killed, Value::Integer(1));
                }
                drop(reader);
                let Value::Integer(length) = other.line("LLEN list") else {
                    panic!("a length is a number");
                };
                assert!(length >= 40_000, "the list is whole: {length}");
                assert_eq!(
                    other.line("RPUSH list more"),
                    Value::Integer(length + 1),
                    "writers go on"
                );
            }
        }
    }
}

#[test]
fn slow_readers_of_large_values_cost_little_memory() {
    let server = Server::trestle(1, &[]);
    let mut other = server.client();
    fill_one(&mut other, "large");
    for name in 0..8 {
        fill(
            &mut other,
            ["RPUSH", &format!("list:{name}")],
            TOO_MANY / 4,
            |index| vec![element(index, 4000)],
        );
    }
    let before = server.resident_bytes();
    let mut readers = Vec::new();
    for name in 0..8 {
        readers.push(begin_unread(&server, "GET large").0);
        readers.push(begin_unread(&server, &format!("LRANGE list:{name} 0 -1")).0);
    }
    other.ok("SET unrelated value");
    let grown = server.resident_bytes().saturating_sub(before);
    let replies = 16 * 40 * MEGABYTE;
    assert!(
        usize::try_from(grown).unwrap() < replies / 8,
        "grown by {} MB for {} MB of replies",
        grown >> 20,
        replies >> 20
    );
    for mut reader in readers {
        assert!(reader.read_reply().unwrap().len() > 38 * MEGABYTE);
    }
}

#[test]
fn an_unread_reply_that_is_wanted_obeys_the_limit_of_the_output() {
    let server = Server::trestle(1, &["--client-output-buffer-limit", "normal 4mb 0 0"]);
    let mut other = server.client();
    fill_one(&mut other, "list");
    let (mut reader, _) = begin_unread(&server, "LRANGE list 0 -1");
    assert_eq!(other.line("RPUSH list more"), Value::Integer(40_001));
    let rest = reader.read_to_end(100 * MEGABYTE).unwrap();
    assert!(rest.len() < 39 * MEGABYTE, "cut off: {} bytes", rest.len());
}

#[test]
fn large_arguments_are_taken_as_redis_takes_them() {
    let seed = seed("large arguments", 5);
    let mut random = Random::new(seed);
    let redis = Server::redis(&[]);
    let ours = [Server::trestle(1, &[]), Server::trestle(3, &[])];
    let value = element(1, 700_000);
    let other = element(2, 300_000);
    let requests: Vec<Vec<&[u8]>> = vec![
        vec![b"SET", b"a", &value],
        vec![b"STRLEN", b"a"],
        vec![b"SET", b"a", &other, b"GET"],
        vec![b"SET", b"a", &value, b"NX"],
        vec![b"SET", b"b", &value, b"XX"],
        vec![b"SET", b"b", &value, b"EX", b"1000", b"NX"],
        vec![b"PEXPIRE", b"b", b"100000"],
        vec![b"SET", b"b", &other, b"KEEPTTL"],
        vec![b"PERSIST", b"b"],
        vec![b"SET", b"b", &value, b"EX", b"0"],
        vec![b"SET", b"b", &value, b"BAD"],
        vec![b"SET", b"b", &value, b"EX", &other],
        vec![b"SETNX", b"c", &value],
        vec![b"SETNX", b"c", &value],
        vec![b"GETSET", b"c", &other],
        vec![b"SETEX", b"d", b"100", &value],
        vec![b"SETEX", b"d", b"0", &value],
        vec![b"PSETEX", b"e", b"100000", &value],
        vec![b"RPUSH", b"l", &value],
        vec![b"GETSET", b"l", &value],
        vec![b"APPEND", b"a", &value],
        vec![b"SETRANGE", b"a", b"5", &value],
        vec![b"MSET", b"f", &value, b"g", &other],
        vec![b"MGET", b"f", b"g", b"a"],
        vec![b"MULTI"],
        vec![b"SET", b"a", &value],
        vec![b"GET", b"a"],
        vec![b"EXEC"],
        vec![&value, b"x"],
        vec![b"GET", &value],
        vec![b"SET", b"a", &value, &value, &value],
        vec![b"GET", b"a"],
        vec![b"GET", b"b"],
        vec![b"LRANGE", b"l", b"0", b"-1"],
    ];
    let mut bytes = Vec::new();
    for request in &requests {
        encode(request, &mut bytes);
    }
    let mut expected = redis.client();
    expected.send_bytes(&bytes).unwrap();
    let expected: Vec<Vec<u8>> = requests
        .iter()
        .map(|_| expected.read_reply().unwrap())
        .collect();
    for server in &ours {
        for round in 0..4 {
            let mut client = server.client();
            client.ok("FLUSHALL");
            let mut sender = server.client();
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let most = [bytes.len(), 100_000, 9_000, 262_144][round];
                let count = (1 + random.index(most)).min(rest.len());
                sender.send_bytes(&rest[..count]).unwrap();
                rest = &rest[count..];
            }
            for (request, expected) in requests.iter().zip(&expected) {
                let reply = sender.read_reply().unwrap();
                let name = request[0][..request[0].len().min(10)].escape_ascii();
                assert!(reply == *expected, "SEED={seed} {}: {name}", server.name);
            }
        }
    }
}

#[test]
fn a_large_argument_that_ends_badly_ends_its_connection_alone() {
    let server = Server::trestle(1, &[]);
    let mut request = b"*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$700000\r\n".to_vec();
    request.extend(element(1, 700_000));
    request.extend(b"\r\n$2\r\nEX\r\n!1\r\n");
    let mut client = server.client();
    client.send_bytes(&request).unwrap();
    let end = client.read_to_end(1000).unwrap();
    assert_eq!(
        String::from_utf8_lossy(&end),
        "-ERR Protocol error: expected '$', got '!'\r\n"
    );
    let mut half = server.client();
    half.send_bytes(&request[..400_000]).unwrap();
    drop(half);
    let mut announced = server.client();
    announced
        .send_bytes(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$500000000\r\nonly this")
        .unwrap();
    let mut other = server.client();
    assert_eq!(other.line("EXISTS k"), Value::Integer(0));
    assert_eq!(value_of(b"$-1\r\n"), other.line("GET k"));
}

#[test]
fn a_large_argument_that_ends_within_a_pause_is_put_off() {
    for shards in [1, 3] {
        let server = Server::trestle(shards, &[]);
        let mut other = server.client();
        let mut request = b"*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$700000\r\n".to_vec();
        request.extend(element(1, 700_000));
        request.extend(b"\r\n$2\r\nEX\r\n$3\r\n100\r\n*1\r\n$4\r\nPING\r\n");
        let mut sender = server.client();
        let Value::Integer(id) = sender.line("CLIENT ID") else {
            panic!("an id is a number");
        };
        sender.send_bytes(&request[..400_000]).unwrap();
        await_input(&mut other, id, 390_000);
        other.ok("CLIENT PAUSE 100000 WRITE");
        sender.send_bytes(&request[400_000..]).unwrap();
        await_input(&mut other, id, 700_000);
        assert_eq!(other.line("EXISTS k"), Value::Integer(0), "{}", server.name);
        other.ok("CLIENT UNPAUSE");
        assert_eq!(sender.read_reply().unwrap(), b"+OK\r\n", "{}", server.name);
        assert_eq!(sender.read_reply().unwrap(), b"+PONG\r\n");
        assert_eq!(other.line("STRLEN k"), Value::Integer(700_000));
        assert_eq!(other.line("GET k"), Value::Bulk(element(1, 700_000)));
    }
}

/// Waits until so many bytes of a client are there and not served.
fn await_input(other: &mut Client, id: i64, bytes_min: usize) {
    let is_there = wait_until(LIMIT, || {
        let Value::Bulk(shown) = other.line(&format!("CLIENT LIST ID {id}")) else {
            return false;
        };
        let shown = String::from_utf8_lossy(&shown).into_owned();
        let bytes = shown.split(' ').find_map(|part| part.strip_prefix("qbuf="));
        bytes.is_some_and(|bytes| bytes.parse::<usize>().unwrap() >= bytes_min)
    });
    assert!(is_there, "{bytes_min} bytes have come");
}

#[test]
fn scripts_and_waiters_meet_large_values_whole() {
    for shards in [1, 3] {
        let server = Server::trestle(shards, &[]);
        let (mut other, mut scripted) = (server.client(), server.client());
        fill_all(&mut other, MANY, 20);
        for (line, call) in [
            ("LRANGE list 0 -1", "'LRANGE',KEYS[1],0,-1"),
            ("SMEMBERS set", "'SMEMBERS',KEYS[1]"),
            ("HGETALL hash", "'HGETALL',KEYS[1]"),
            ("ZRANGE zset 0 -1", "'ZRANGE',KEYS[1],0,-1"),
            ("GET string", "'GET',KEYS[1]"),
        ] {
            let script = format!("return redis.call({call})");
            let key = line.split(' ').nth(1).unwrap();
            scripted.send(&["EVAL", &script, "1", key]).unwrap();
            let reply = scripted.read_reply().unwrap();
            other.send(&line.split(' ').collect::<Vec<_>>()).unwrap();
            assert!(reply == other.read_reply().unwrap(), "{line}");
        }
        other.ok("FLUSHALL");
        fill_one(&mut other, "list");
        let mut waiter = server.client();
        waiter
            .send_bytes(b"BLMOVE first list LEFT RIGHT 0\r\nBLPOP list 0\r\n")
            .unwrap();
        let (mut reader, _) = begin_unread(&server, "LRANGE list 0 -1");
        assert_eq!(other.line("RPUSH first moved"), Value::Integer(1));
        assert_eq!(waiter.read_reply().unwrap(), b"$5\r\nmoved\r\n");
        let reply = waiter.read_reply().unwrap();
        assert!(
            reply.starts_with(b"*2\r\n$4\r\nlist\r\n"),
            "{}",
            server.name
        );
        assert_eq!(other.line("LLEN list"), Value::Integer(40_000));
        let reply = reader.read_reply().unwrap();
        assert!(reply.starts_with(b"*40000\r\n"), "as it was before");
    }
}
