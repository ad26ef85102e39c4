//! A server with `maxmemory` stays within it, by its policy, whatever the number of shards.

use std::time::Duration;

use protocol::value::Value;

use crate::support::client::{Client, encode, value_of};
use crate::support::server::Server;
use crate::support::wait::wait_until;

/// What the limit leaves to the data.
const ROOM_BYTES: u64 = 6_000_000;

/// Keys of 500 bytes written, several times what there is room for.
const KEY_COUNT: u64 = 40_000;

/// What the writes of one turn may allocate, with the buffers they came in.
const TURN_BYTES: u64 = 300_000;

/// What was seen of a server that was filled.
struct Filled {
    client: Client,
    /// Writes refused with an OOM error.
    refused: u64,
    limit: u64,
}

/// Fills a server; every other key has an expiry.
fn fill(server: &Server, policy: &str) -> Filled {
    let mut client = server.client();
    let limit = figure(&mut client, "memory", "used_memory") + ROOM_BYTES;
    client.ok(&format!(
        "CONFIG SET maxmemory-policy {policy} maxmemory {limit}"
    ));
    let mut refused = 0;
    let value = [b'x'; 500];
    for first in (0..KEY_COUNT).step_by(500) {
        let mut bytes = Vec::new();
        for number in first..first + 500 {
            let key = format!("key:{number}").into_bytes();
            let mut words: Vec<&[u8]> = vec![b"SET", &key, &value];
            if number % 2 == 1 {
                words.extend([&b"EX"[..], b"1000"]);
            }
            encode(&words, &mut bytes);
        }
        client.send_bytes(&bytes).unwrap();
        for _ in 0..500 {
            let reply = client.read_reply().unwrap();
            match value_of(&reply) {
                Value::Simple(text) if text == b"OK" => {}
                Value::Error(text) => {
                    assert_eq!(text, OUT_OF_MEMORY.as_bytes());
                    refused += 1;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    Filled {
        client,
        refused,
        limit,
    }
}

const OUT_OF_MEMORY: &str = "OOM command not allowed when used memory > 'maxmemory'.";

/// Returns a figure of INFO.
fn figure(client: &mut Client, section: &str, name: &str) -> u64 {
    let Value::Bulk(text) = client.line(&format!("INFO {section}")) else {
        panic!("INFO gives a text");
    };
    let text = String::from_utf8(text).unwrap();
    let prefix = format!("{name}:");
    let line = text.lines().find_map(|line| line.strip_prefix(&prefix));
    line.unwrap().trim().parse().unwrap()
}

/// Counts how many of some keys exist.
fn count(client: &mut Client, keys: impl Iterator<Item = u64>) -> i64 {
    let mut words = vec!["EXISTS".to_owned()];
    words.extend(keys.map(|number| format!("key:{number}")));
    match client.request(&words) {
        Value::Integer(count) => count,
        other => panic!("{other:?}"),
    }
}

/// Waits until memory is within the limit: other cores may be on their way to evict.
#[track_caller]
fn assert_within(filled: &mut Filled) {
    let Filled { client, limit, .. } = filled;
    // The writes of one turn may exceed it, and stay if nothing more may be evicted.
    let mut used = 0;
    let is_within = wait_until(Duration::from_secs(10), || {
        used = figure(client, "memory", "used_memory");
        used <= *limit + TURN_BYTES
    });
    assert!(is_within, "{used} of {limit}");
}

#[test]
fn without_a_policy_writes_are_refused_and_reads_go_on() {
    for shards in [1, 4] {
        let server = Server::trestle(shards, &[]);
        let mut filled = fill(&server, "noeviction");
        assert!(filled.refused > KEY_COUNT / 2);
        assert_eq!(figure(&mut filled.client, "stats", "evicted_keys"), 0);
        let client = &mut filled.client;
        assert_eq!(client.line("SET new 1"), Value::Error(OUT_OF_MEMORY.into()));
        assert_eq!(count(client, 0..100), 100);
        assert_eq!(client.line("DEL key:0"), Value::Integer(1));
    }
}

#[test]
fn any_key_may_go_under_the_policies_of_all_keys() {
    for policy in ["allkeys-lru", "allkeys-lfu", "allkeys-random"] {
        for shards in [1, 4] {
            let server = Server::trestle(shards, &[]);
            let mut filled = fill(&server, policy);
            assert_eq!(filled.refused, 0, "{policy}, {shards} shards");
            assert_within(&mut filled);
            assert!(figure(&mut filled.client, "stats", "evicted_keys") > KEY_COUNT / 2);
            let recent = count(&mut filled.client, KEY_COUNT - 400..KEY_COUNT);
            assert!(recent > 300, "{policy}, {shards} shards: {recent} of 400");
        }
    }
}

#[test]
fn only_keys_with_an_expiry_go_under_the_policies_of_volatile_keys() {
    for policy in [
        "volatile-lru",
        "volatile-lfu",
        "volatile-random",
        "volatile-ttl",
    ] {
        for shards in [1, 4] {
            let server = Server::trestle(shards, &[]);
            let mut filled = fill(&server, policy);
            assert_within(&mut filled);
            // The persistent keys alone are more than there is room for.
            assert!(filled.refused > 0, "{policy}, {shards} shards");
            let even = (0..200).map(|number| number * 2);
            assert_eq!(count(&mut filled.client, even), 200);
            let client = &mut filled.client;
            assert!(figure(client, "stats", "evicted_keys") > 1000);
        }
    }
}

#[test]
fn keys_in_use_stay_under_lru() {
    let server = Server::trestle(2, &[]);
    let mut client = server.client();
    let limit = figure(&mut client, "memory", "used_memory") + ROOM_BYTES;
    client.ok(&format!(
        "CONFIG SET maxmemory-policy allkeys-lru maxmemory {limit} maxmemory-samples 10"
    ));
    let value = "x".repeat(500);
    for number in 0..5000 {
        client.ok(&format!("SET key:{number} {value}"));
    }
    // The clock of LRU counts seconds.
    let started = std::time::Instant::now();
    wait_until(Duration::from_secs(3), || {
        started.elapsed() > Duration::from_millis(2100)
    });
    for number in 0..1000 {
        let touched = client.line(&format!("TOUCH key:{number}"));
        assert_eq!(touched, Value::Integer(1), "all fit");
    }
    for number in 5000..9000 {
        client.ok(&format!("SET key:{number} {value}"));
    }
    let used = count(&mut client, 0..1000);
    let unused = count(&mut client, 1000..5000);
    let kept = format!("{used} of 1000 keys in use and {unused} of 4000 others are left");
    assert!(used > 950 && unused < 3500, "{kept}");
}
