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
    ("sadd K a", 0),
    ("srem K a", 0),
    ("scard K", 1),
    ("sismember K a", 1),
    ("smismember K a b", 1),
    ("smembers K", 1),
    ("smove K other a", 0),
    ("smove other K a", 0),
    ("smove K K a", 0),
    ("spop K", 0),
    ("spop K 1", 0),
    ("srandmember K", 1),
    ("srandmember K 2", 1),
    ("sscan K 0", 1),
    ("sinter K", 1),
    ("sunion K", 1),
    ("sdiff K", 1),
    ("sinterstore other K", 1),
    ("sunionstore other K", 1),
    ("sdiffstore other K", 1),
    ("sintercard 1 K", 1),
    ("lpush K v", 0),
    ("lpushx K v", 0),
    ("lpop K", 0),
    ("rpop K 2", 0),
    ("llen K", 1),
    ("lindex K 0", 1),
    ("lset K 0 v", 0),
    ("lrange K 0 1", 1),
    ("ltrim K 0 1", 0),
    ("linsert K before a b", 0),
    ("lrem K 0 v", 0),
    ("lpos K v", 1),
    ("lmove K other left left", 0),
    ("rpoplpush K other", 0),
    ("lmpop 1 K left", 0),
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
    "SADD set 1 2",
    "SADD a 1",
    "SREM set 3",
    "SREM missing 1",
    "SMEMBERS set",
    "SMOVE set set 1",
    "SMOVE set missing 3",
    "SMOVE missing set 1",
    "SMOVE set a 1",
    "SPOP set 0",
    "SPOP missing 5",
    "SPOP missing",
    "SRANDMEMBER set 5",
    "SSCAN set 0",
    "SINTER set set missing",
    "SINTERSTORE missing set missing",
    "SUNIONSTORE missing missing",
    "SDIFFSTORE missing set set",
    "SDIFFSTORE set set a",
    "LPUSHX missing x",
    "LPOP missing",
    "LPOP list 0",
    "LSET list 9 x",
    "LSET list x x",
    "LINSERT list BEFORE missing x",
    "LREM list 0 missing",
    "LTRIM missing 0 1",
    "LPUSH a x",
    "LMOVE missing list LEFT LEFT",
    "LMOVE list a LEFT LEFT",
    "LMPOP 2 missing missing2 LEFT",
    "LMPOP 2 missing a LEFT",
];

#[test]
fn requests_without_effect_count_as_no_change() {
    let mut player = Player::new();
    player.run("MSET a 1 text abc");
    player.run("SADD set 1 2");
    player.run("RPUSH list 1 2 3");
    let before = player.shard.stats().dirty;
    for request in IDLE {
        player.run(request);
        assert_eq!(player.shard.stats().dirty, before, "{request}");
    }
}
