//! Commands that are done in steps: what Redis answers and keeps, with others served in between.
//!
//! Nothing here measures time: `benches/stall.py` does. What can be seen without a clock is how many requests of
//! others are answered while one is under way.
//!
//! Not here: long replies of values that stay as they are (`large.rs`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use base::random::Random;
use protocol::value::Value;

use crate::log::Directory;
use crate::support::client::{Client, encode, value_of};
use crate::support::seed;
use crate::support::server::Server;
use crate::support::wait::wait_until;

const LIMIT: Duration = Duration::from_secs(20);

/// Elements of a value that commands take steps for.
const MANY: usize = 20_000;

/// Fills `key` by `command` with what `words` gives for each number.
fn fill(
    client: &mut Client,
    command: &str,
    key: &str,
    words: impl Fn(usize) -> String,
    count: usize,
) {
    for start in (0..count).step_by(500) {
        let mut line = format!("{command} {key}");
        for index in start..(start + 500).min(count) {
            line.push(' ');
            line.push_str(&words(index));
        }
        let reply = client.line(&line);
        assert!(
            !matches!(reply, Value::Error(_)),
            "{command} {key}: {reply:?}"
        );
    }
}

/// Makes values of `count` elements, all of one hash tag, as keys of several shards make no steps.
fn fill_all(client: &mut Client, count: usize) {
    let mut random = Random::new(seed("steps", 7));
    let numbers: Vec<u64> = (0..count).map(|_| random.below(9000)).collect();
    fill(
        client,
        "RPUSH",
        "{t}list",
        |index| format!("{}.{}", numbers[index], index % 3),
        count,
    );
    fill(
        client,
        "RPUSH",
        "{t}words",
        |index| format!("word:{}", numbers[index]),
        count,
    );
    fill(
        client,
        "SADD",
        "{t}set",
        |index| format!("member:{index}"),
        count,
    );
    fill(
        client,
        "SADD",
        "{t}more",
        |index| format!("member:{}", index + count / 5),
        count,
    );
    fill(
        client,
        "SADD",
        "{t}numbers",
        |index| (index * 3).to_string(),
        count,
    );
    fill(
        client,
        "ZADD",
        "{t}zset",
        |index| format!("{} member:{index}", numbers[index]),
        count,
    );
    let weighed = |index: usize| format!("{} member:{}", index as f64 / 4.0, index + count / 4);
    fill(client, "ZADD", "{t}zmore", weighed, count);
    for small in 0..9 {
        client.line(&format!(
            "SADD {{t}}small{small} member:{small} other:{small} 7"
        ));
    }
}

/// Requests with the same reply, byte by byte, and the same keys afterwards. `{t}c` is a copy of the key that the first
/// word names.
const LINES: &[&str] = &[
    "list SORT {t}c",
    "list SORT {t}c DESC",
    "list SORT {t}c LIMIT 100 17000",
    "list SORT {t}c DESC LIMIT 19990 100",
    "list SORT {t}c LIMIT 20000 1",
    "list SORT {t}c ALPHA",
    "list SORT {t}c ALPHA DESC LIMIT 5 10",
    "list SORT {t}c BY nosort",
    "list SORT {t}c BY nosort DESC LIMIT 3 17000",
    "list SORT {t}c BY nosort GET # GET nothing",
    "list SORT {t}c GET # GET nothing GET #",
    "list SORT_RO {t}c",
    "list SORT {t}c STORE {t}d",
    "list SORT {t}c ALPHA DESC STORE {t}c",
    "list SORT {t}c BY nosort STORE {t}d",
    "list SORT {t}c GET # GET nothing STORE {t}d",
    "words SORT {t}c",
    "words SORT {t}c STORE {t}d",
    "words SORT {t}c ALPHA",
    "words SORT {t}c ALPHA STORE {t}c",
    "set SORT {t}c ALPHA",
    "set SORT {t}c BY nosort STORE {t}d",
    "numbers SORT {t}c DESC",
    "zset SORT {t}c ALPHA LIMIT 7 18000",
    "zset SORT {t}c BY nosort DESC LIMIT 2 17000",
    "zset SORT {t}c BY nosort",
    "zset ZPOPMIN {t}c 17000",
    "zset ZPOPMAX {t}c 17000",
    "zset ZPOPMIN {t}c 20000",
    "zset ZPOPMAX {t}c 50000",
    "set SUNIONSTORE {t}d {t}c {t}more {t}numbers nothing{t} {t}c",
    "set SUNIONSTORE {t}c {t}c {t}more",
    "set SINTERSTORE {t}d {t}c {t}more {t}set",
    "set SINTERSTORE {t}c {t}more {t}c",
    "set SINTERSTORE {t}c {t}c {t}numbers",
    "set SINTERSTORE {t}c {t}c nothing{t}",
    "set SDIFFSTORE {t}d {t}c {t}more",
    "set SDIFFSTORE {t}c {t}c {t}more {t}numbers",
    "set SDIFFSTORE {t}c {t}c {t}set",
    "set SDIFFSTORE {t}c {t}c {t}c",
    "numbers SDIFFSTORE {t}d {t}c {t}more {t}small0 {t}small1 {t}small2 {t}small3 {t}small4 {t}small5 {t}small6",
    "set SDIFFSTORE {t}c {t}c {t}set {t}small0 {t}small1 {t}small2 {t}small3 {t}small4 {t}small5 {t}small6",
    "set SUNIONSTORE {t}d {t}c {t}list",
    "zset ZUNIONSTORE {t}d 2 {t}c {t}zmore",
    "zset ZUNIONSTORE {t}c 3 {t}c {t}zmore {t}set WEIGHTS 2 -3 0.1 AGGREGATE MAX",
    "zset ZUNIONSTORE {t}d 3 {t}c {t}set {t}c AGGREGATE MIN",
    "zset ZINTERSTORE {t}d 2 {t}c {t}zmore WEIGHTS 0.5 7",
    "zset ZINTERSTORE {t}c 3 {t}zmore {t}c {t}set",
    "zset ZINTERSTORE {t}c 2 {t}numbers {t}c",
    "zset ZDIFFSTORE {t}d 2 {t}c {t}zmore",
    "zset ZDIFFSTORE {t}c 2 {t}c {t}set",
    "zset ZUNION 2 {t}c {t}zmore",
    "zset ZUNION 3 {t}c {t}zmore {t}set WEIGHTS 1 2 inf WITHSCORES",
    "zset ZINTER 2 {t}c {t}zmore WITHSCORES",
    "zset ZINTER 2 {t}c {t}numbers WITHSCORES",
    "zset ZDIFF 2 {t}c {t}zmore WITHSCORES",
    "zset ZDIFF 1 {t}c",
];

/// What is looked at after each request.
const LOOKS: &[&str] = &[
    "DEBUG DIGEST-VALUE {t}c {t}d",
    "OBJECT ENCODING {t}c",
    "OBJECT ENCODING {t}d",
    "PTTL {t}c",
];

/// Runs a line of [`LINES`], and returns all replies.
fn run(client: &mut Client, line: &str, is_queued: bool) -> Vec<Vec<u8>> {
    let (source, request) = line.split_once(' ').unwrap();
    client.line("DEL {t}d");
    client.line(&format!("COPY {{t}}{source} {{t}}c REPLACE"));
    client.ok("MULTI");
    client.line("EXPIREAT {t}c 9999999999");
    client.line("RPUSH {t}d something");
    client.line("EXEC");
    let mut lines = vec![request];
    if is_queued {
        lines = vec!["MULTI", request, "LLEN {t}list", "EXEC"];
    }
    lines.extend(LOOKS);
    let mut replies = Vec::new();
    for line in lines {
        client.send(&line.split(' ').collect::<Vec<_>>()).unwrap();
        let mut reply = client.read_reply().unwrap();
        if line.starts_with("PTTL") {
            // Who still expires is what matters.
            reply.truncate(2);
        }
        replies.push(reply);
    }
    replies
}

#[test]
fn commands_in_steps_do_what_redis_does() {
    let redis = Server::redis(&[]);
    let mut theirs = redis.client();
    fill_all(&mut theirs, MANY);
    for shards in [1, 3] {
        let server = Server::trestle(shards, &[]);
        let mut mine = server.client();
        fill_all(&mut mine, MANY);
        for (hello, is_queued) in [("HELLO 2", false), ("HELLO 3", false), ("HELLO 3", true)] {
            mine.line(hello);
            theirs.line(hello);
            for line in LINES {
                let (replies, expected) = (
                    run(&mut mine, line, is_queued),
                    run(&mut theirs, line, is_queued),
                );
                for (index, (reply, expected)) in replies.iter().zip(&expected).enumerate() {
                    let shown =
                        |bytes: &[u8]| bytes[..bytes.len().min(80)].escape_ascii().to_string();
                    assert!(
                        reply == expected,
                        "{}: {hello}, queued {is_queued}: {line}, reply {index}: {} and {}",
                        server.name,
                        shown(reply),
                        shown(expected)
                    );
                }
            }
        }
    }
}

#[test]
fn members_that_leave_by_chance_are_those_that_are_missing() {
    for shards in [1, 3] {
        let server = Server::trestle(shards, &[]);
        let mut client = server.client();
        fill(
            &mut client,
            "SADD",
            "set",
            |index| format!("member:{index}"),
            MANY,
        );
        fill(
            &mut client,
            "SADD",
            "numbers",
            |index| (2 * index).to_string(),
            MANY,
        );
        for (key, count, encoding) in [
            ("set", 16_500, "hashtable"),
            ("set", 19_990, "hashtable"),
            ("numbers", 16_500, "hashtable"),
            ("numbers", 19_600, "intset"),
        ] {
            client.line(&format!("COPY {key} copy REPLACE"));
            let taken = members(client.line(&format!("SPOP copy {count}")));
            assert_eq!(taken.len(), count);
            let shown = client.line("OBJECT ENCODING copy");
            assert_eq!(shown, Value::Bulk(encoding.into()), "{key} {count}");
            let mut all = members(client.line("SMEMBERS copy"));
            assert_eq!(all.len(), MANY - count);
            all.extend(taken);
            all.sort_unstable();
            let mut whole = members(client.line(&format!("SMEMBERS {key}")));
            whole.sort_unstable();
            assert!(all == whole, "{key} {count}: each member is taken or stays");
        }
    }
}

fn members(reply: Value) -> Vec<Vec<u8>> {
    let (Value::Array(members) | Value::Set(members)) = reply else {
        panic!("several members: {reply:?}");
    };
    let bytes = members.into_iter().map(|member| match member {
        Value::Bulk(bytes) => bytes,
        other => panic!("a member is a string: {other:?}"),
    });
    bytes.collect()
}

#[test]
fn others_are_served_while_commands_take_their_steps() {
    for shards in [1, 2] {
        let server = Server::trestle(shards, &[]);
        let mut other = server.client();
        fill_all(&mut other, 10 * MANY);
        fill_keys(&mut other, 10 * MANY);
        for line in [
            "KEYS key:*",
            "SORT {t}list",
            "SORT {t}words ALPHA STORE {t}d",
            "SUNIONSTORE {t}d {t}set {t}more",
            "SINTERSTORE {t}d {t}set {t}more",
            "SDIFFSTORE {t}d {t}set {t}more",
            "ZUNIONSTORE {t}d 2 {t}zset {t}zmore",
            "ZINTERSTORE {t}d 2 {t}zset {t}zmore",
            "ZDIFF 2 {t}zset {t}zmore",
            "ZPOPMIN {t}zset 150000",
            "SPOP {t}set 100000",
        ] {
            let mut worker = server.client();
            worker.send(&line.split(' ').collect::<Vec<_>>()).unwrap();
            let is_answered = Arc::new(AtomicBool::new(false));
            let notes = Arc::clone(&is_answered);
            let waiting = thread::spawn(move || {
                worker.await_reply().unwrap();
                notes.store(true, Ordering::SeqCst);
                worker.read_reply().unwrap()
            });
            let mut served = 0;
            while !is_answered.load(Ordering::SeqCst) {
                other.ok("SET {t}unrelated value");
                served += 1;
            }
            let reply = waiting.join().unwrap();
            assert_ne!(reply[0], b'-', "{line}: {}", reply.escape_ascii());
            assert!(
                served > 10,
                "{}: {line}: {served} served meanwhile",
                server.name
            );
        }
    }
}

/// Sets `count` keys.
fn fill_keys(client: &mut Client, count: usize) {
    for start in (0..count).step_by(500) {
        let pairs = (start..(start + 500).min(count)).map(|index| format!(" key:{index} value"));
        client.ok(&format!("MSET{}", pairs.collect::<String>()));
    }
}

#[test]
fn names_of_keys_are_those_of_one_moment() {
    for shards in [1, 2, 3] {
        let server = Server::trestle(shards, &[]);
        let (mut other, mut asking) = (server.client(), server.client());
        let count = 5 * MANY;
        fill_keys(&mut other, count);
        asking.send(&["KEYS", "*"]).unwrap();
        for index in 0..300 {
            other.line(&format!("DEL key:{}", 7 * index));
            other.ok(&format!("SET new:{index} value"));
        }
        let mut names = members(value_of(&asking.read_reply().unwrap()));
        names.sort_unstable();
        let has = |name: String| names.binary_search(&name.into_bytes()).is_ok();
        let removed = (0..300)
            .filter(|index| !has(format!("key:{}", 7 * index)))
            .count();
        let added = (0..300).filter(|index| has(format!("new:{index}"))).count();
        assert!(
            removed == added || removed == added + 1,
            "{removed} gone, {added} new"
        );
        assert!((0..removed).all(|index| !has(format!("key:{}", 7 * index))));
        assert!((0..added).all(|index| has(format!("new:{index}"))));
        names.dedup();
        assert_eq!(
            names.len(),
            count - removed + added,
            "{}: each once",
            server.name
        );
    }
}

#[test]
fn names_of_keys_are_shown_whatever_comes_behind() {
    for shards in [1, 2] {
        let server = Server::trestle(shards, &["--databases", "2"]);
        let mut client = server.client();
        let count = 2 * MANY;
        for (change, left) in [
            ("FLUSHALL", 0),
            ("FLUSHDB ASYNC", 0),
            ("SWAPDB 0 1", 0),
            ("BGSAVE", count),
            ("KEYS key:*", count),
            ("RENAME key:7 renamed", count - 1),
        ] {
            client.ok("FLUSHALL");
            fill_keys(&mut client, count);
            let lines = [
                "KEYS key:*",
                change,
                "KEYS key:*",
                "MULTI",
                "KEYS key:1*",
                "EXEC",
            ];
            let mut bytes = Vec::new();
            for line in lines {
                encode(&line.split(' ').collect::<Vec<_>>(), &mut bytes);
            }
            client.send_bytes(&bytes).unwrap();
            let mut replies = lines
                .map(|_| value_of(&client.read_reply().unwrap()))
                .into_iter();
            let mut names = members(replies.next().unwrap());
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count, "{}: {change}", server.name);
            let changed = replies.next().unwrap();
            assert!(!matches!(changed, Value::Error(_)), "{change}: {changed:?}");
            assert_eq!(
                members(replies.next().unwrap()).len(),
                left,
                "{}: {change}",
                server.name
            );
            let last = replies.nth(2).unwrap();
            assert!(matches!(last, Value::Array(_)), "{change}: {last:?}");
        }
    }
}

#[test]
fn what_has_begun_is_done_before_what_its_client_has_sent_later() {
    for shards in [1, 3] {
        let server = Server::trestle(shards, &[]);
        let mut other = server.client();
        fill_all(&mut other, 5 * MANY);
        let mut leaving = server.client();
        leaving
            .send_bytes(b"SUNIONSTORE {t}d {t}set {t}more\r\nSCARD {t}d\r\nSET {t}after 1\r\n")
            .unwrap();
        drop(leaving);
        let is_there = wait_until(LIMIT, || other.line("EXISTS {t}after") == Value::Integer(1));
        assert!(is_there, "what came later is done");
        assert_eq!(
            other.line("SCARD {t}d"),
            Value::Integer(120_000),
            "{}",
            server.name
        );
        // Half of it is never seen.
        let mut worker = server.client();
        worker
            .send(&["ZUNIONSTORE", "{t}z", "2", "{t}zset", "{t}zmore"])
            .unwrap();
        worker.send(&["ZPOPMIN", "{t}zset", "50000"]).unwrap();
        let mut seen = Vec::new();
        while seen.last() != Some(&Value::Integer(50_000)) {
            let next = other.line("ZCARD {t}zset");
            if seen.last() != Some(&next) {
                seen.push(next);
            }
        }
        assert!(seen.len() <= 2, "all or nothing: {seen:?}");
        assert_eq!(other.line("ZCARD {t}z"), Value::Integer(125_000));
    }
}

#[test]
fn what_is_done_in_steps_is_in_the_log() {
    let directory = Directory::new("steps");
    let mut digests = Vec::new();
    for round in 0..2 {
        let server = directory.start("always");
        let mut client = server.client();
        if round == 0 {
            fill_all(&mut client, MANY);
            for line in [
                "COPY {t}zset {t}z",
                "ZPOPMIN {t}zset 17000",
                "ZPOPMAX {t}z 16500",
                "SPOP {t}set 17500",
                "SPOP {t}numbers 19995",
                "SUNIONSTORE {t}union {t}set {t}more {t}small1",
                "SDIFFSTORE {t}more {t}more {t}numbers",
                "ZUNIONSTORE {t}zunion 2 {t}zset {t}zmore",
                "SORT {t}list STORE {t}list",
                "SORT {t}words ALPHA STORE {t}sorted",
            ] {
                let reply = client.line(line);
                assert!(!matches!(reply, Value::Error(_)), "{line}: {reply:?}");
            }
        }
        digests.push(client.line("DEBUG DIGEST"));
    }
    assert_eq!(digests[0], digests[1]);
}
