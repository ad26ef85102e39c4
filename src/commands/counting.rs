//! Which commands count in `keyspace_hits` and `keyspace_misses`.
//!
//! The numbers were taken from redis-server 7.0.15: for each request the hits when the key K holds
//! `5`, and the misses when it does not exist. The others are zero in both cases.

use crate::transcripts::Player;

const READS: &[(&str, u64)] = &[
    ("get K", 1),
    ("set K v", 0),
    ("set K v get", 1),
    ("set K v nx", 0),
    ("set K v xx", 0),
    ("set K v nx get", 1),
    ("setex K 10 v", 0),
    ("setnx K v", 0),
    ("getset K v", 1),
    ("getdel K", 1),
    ("getex K", 1),
    ("getex K ex 10", 1),
    ("append K v", 0),
    ("strlen K", 1),
    ("incr K", 0),
    ("incrbyfloat K 1", 0),
    ("setrange K 0 v", 0),
    ("getrange K 0 1", 1),
    ("mget K K", 2),
    ("mset K v", 0),
    ("msetnx K v", 0),
    ("lcs K K", 2),
    ("del K", 0),
    ("exists K", 1),
    ("touch K", 1),
    ("type K", 1),
    ("rename K other", 0),
    ("renamenx K other", 0),
    ("copy K other", 1),
    ("move K 1", 0),
    ("randomkey", 0),
    ("keys *", 0),
    ("scan 0", 0),
    ("expire K 10", 0),
    ("ttl K", 1),
    ("expiretime K", 1),
    ("persist K", 0),
    ("object encoding K", 1),
    ("object refcount K", 1),
    ("object idletime K", 1),
    ("memory usage K", 0),
];

#[test]
fn reads_count_as_they_do_in_redis() {
    for &(request, count) in READS {
        for exists in [true, false] {
            let mut player = Player::new();
            if exists {
                player.run("SET K 5");
            }
            player.run(request);
            let stats = player.shard.stats();
            let expected = if exists { (count, 0) } else { (0, count) };
            assert_eq!(
                (stats.hits, stats.misses),
                expected,
                "{request}, key exists: {exists}"
            );
        }
    }
}

/// Requests that change nothing, with the keys of the test below.
const IDLE: &[&str] = &[
    "GET a",
    "SET a 1 NX",
    "SET missing 1 XX",
    "SET a 1 EX 0",
    "SETNX a 2",
    "GETDEL missing",
    "GETEX a",
    "GETEX a PERSIST",
    "GETEX missing EX 10",
    "INCR text",
    "INCRBYFLOAT text 1",
    "SETRANGE a 5 \"\"",
    "SETRANGE missing 5 \"\"",
    "MSETNX missing 1 a 2",
    "MSET a",
    "DEL missing",
    "UNLINK missing",
    "RENAME a a",
    "RENAME missing a",
    "RENAMENX a text",
    "COPY a text",
    "COPY missing text REPLACE",
    "MOVE missing 1",
    "EXPIRE a 10 XX",
    "EXPIRE missing 10",
    "PERSIST a",
    "PERSIST missing",
    "TTL a",
    "SCAN 0",
    "KEYS *",
    "FLUSHDB FOO",
    "SWAPDB 0 0",
    "LCS a text",
];

#[test]
fn requests_without_effect_count_as_no_change() {
    let mut player = Player::new();
    player.run("MSET a 1 text abc");
    let before = player.shard.stats().dirty;
    for request in IDLE {
        player.run(request);
        assert_eq!(player.shard.stats().dirty, before, "{request}");
    }
}
