//! Scripts about client-side caching: who is told of which changes.

use super::assert_agree;

/// A client that speaks RESP3 is told itself.
const RESP3: &[(&str, &str)] = &[
    (
        "who has read a key is told once that it changes",
        "A: CLIENT TRACKING ON
         B: CLIENT TRACKING ON
         A: GET a
         B: MGET a b
         P: SET a 1
         A? 1
         B? 1
         P: SET a 2
         A: GET a
         P: SET b 1
         B? 1
         P: DEL a
         A? 1
         P: SET c 1
         A: HGETALL h
         A: LRANGE l 0 -1
         A: EXISTS e
         A: TTL e
         A: TYPE t
         P: HSET h f 1
         A? 1
         P: RPUSH l 1
         A? 1
         P: SET e 1
         A? 1
         P: SET t 1
         A? 1",
    ),
    (
        "one's own changes are told behind the reply",
        "A: CLIENT TRACKING ON
         A: GET a
         A: SET a 1
         A? 1
         A: INCR a
         A: GET a
         A: EXPIRE a 100
         A? 1",
    ),
    (
        "one's own changes are not told with NOLOOP, others' are",
        "A: CLIENT TRACKING ON NOLOOP
         A: CLIENT TRACKINGINFO
         A: MGET a b c d e f g h
         A: SET a 1
         P: SET a 2
         A: GET a
         A: SET a 3
         A: APPEND b 1
         A: MSET c 1 d 1 e 1
         A: MULTI
         A: SET f 1
         A: RPUSH {f}l 1
         A: EXEC
         A: EVAL \"return redis.call('SET', KEYS[1], 1)\" 1 g
         A: EVAL \"return redis.call('INCR', ARGV[1])\" 0 h
         A: MGET a b c d e f g h
         P: SET a 1
         A? 1
         P: SET b 1
         A? 1
         P: SET c 1
         A? 1
         P: SET d 1
         A? 1
         P: SET e 1
         A? 1
         P: SET f 1
         A? 1
         P: SET g 1
         A? 1
         P: SET h 1
         A? 1
         A: GET a
         P: FLUSHALL
         A? 1
         A: FLUSHALL
         A? 1",
    ),
    (
        "with NOLOOP, commands over several keys and those that wait",
        "A: CLIENT TRACKING ON NOLOOP
         P: SADD {s}1 a b
         P: SADD s2 b
         A: SMEMBERS {s}1
         A: SMEMBERS s2
         A: SMEMBERS {s}3
         A: SMOVE {s}1 s2 a
         A: SUNIONSTORE {s}3 {s}1 s2
         A: RENAME s2 {s}4
         P: SADD {s}1 c
         A: SMEMBERS {s}1
         A: SMEMBERS {s}3
         P: DEL {s}1
         A? 1
         P: DEL {s}3
         A? 1
         P: RPUSH l 1 2 3
         A: LRANGE l 0 -1
         A: BLPOP l 0
         A: LRANGE to 0 -1
         A: LMOVE l to LEFT LEFT
         A: LRANGE to 0 -1
         A| BLMOVE empty to LEFT LEFT 0
         P: RPUSH empty 1
         A<
         A: LRANGE to 0 -1
         P: RPUSH to 1
         A? 1",
    ),
    (
        "what one's change lets others do is told with NOLOOP",
        "A: CLIENT TRACKING ON NOLOOP
         A: LRANGE to 0 -1
         A: LRANGE {x}to 0 -1
         B| BLMOVE from to LEFT LEFT 0
         C| BLMOVE {x}from {x}to LEFT LEFT 0
         A: RPUSH from 1
         A? 1
         A: RPUSH {x}from 1
         A? 1
         B<
         C<",
    ),
    (
        "all keys with prefixes but for one's own changes",
        "A: CLIENT TRACKING ON BCAST NOLOOP
         A: CLIENT TRACKINGINFO
         B: CLIENT TRACKING ON BCAST
         A: SET {k}a 1
         B? 1
         P: SET {k}a 1
         A? 1
         B? 1
         A: MULTI
         A: SET {k}a 1
         A: SET {k}b 1
         A: EXEC
         B? 1
         A: DEL {k}a
         B? 1",
    ),
    (
        "NOLOOP ends with the next CLIENT TRACKING ON",
        "A: CLIENT TRACKING ON NOLOOP OPTOUT
         A: CLIENT TRACKINGINFO
         A: GET a
         A: SET a 1
         A: CLIENT TRACKING ON OPTOUT
         A: CLIENT TRACKINGINFO
         A: GET a
         A: SET a 1
         A? 1",
    ),
    (
        "reads by subcommands are remembered",
        "A: CLIENT TRACKING ON
         P: XADD x 1-1 f v
         A: XINFO GROUPS x
         P: XADD x 1-2 f v
         A? 1
         A: OBJECT ENCODING x
         P: XADD x 1-3 f v
         A? 1",
    ),
    (
        "a transaction's reads are remembered",
        "A: CLIENT TRACKING ON
         A: MULTI
         A: GET a
         A: GET b
         A: SET c 1
         A: EXEC
         P: SET c 2
         P: SET a 1
         A? 1
         P: SET b 1
         A? 1",
    ),
    (
        "commands over several keys",
        "A: CLIENT TRACKING ON
         A: SUNION s1 s2
         P: SADD s2 x
         A? 1
         P: SADD s1 x
         A? 1
         P: RENAME s1 {s1}b
         A: SMEMBERS s2
         P: SUNIONSTORE s2 {s1}b
         A? 1
         A: GET {k}a
         A: GET {k}b
         P: SET {k}a 1
         A? 1
         P: RENAME {k}a {k}b
         A? 1
         A: MGET {k}a {k}b
         P: MSET {k}a 1 {k}b 2
         A? 2",
    ),
    (
        "all databases are one",
        "A: CLIENT TRACKING ON
         A: SELECT 3
         A: GET a
         P: SET a 1
         A? 1
         A: GET a
         P: SELECT 3
         P: SET a 1
         A? 1",
    ),
    (
        "all keys are gone",
        "A: CLIENT TRACKING ON
         B: CLIENT TRACKING ON BCAST PREFIX x
         C: CLIENT TRACKING ON
         A: GET a
         P: FLUSHALL
         A? 1
         B? 1
         C? 1
         P: SET a 1
         A: GET a
         P: FLUSHDB
         A? 1
         B? 1
         C? 1
         P: SET a 2",
    ),
    (
        "keys that expire",
        "A: CLIENT TRACKING ON
         P: SET a 1 PX 60
         A: GET a
         A? 1
         P: SET a 1
         A: GET a
         P: PEXPIRE a 1
         A? 1",
    ),
    (
        "only what is opted in",
        "A: CLIENT TRACKING ON OPTIN
         A: CLIENT TRACKINGINFO
         A: GET a
         P: SET a 1
         A: CLIENT CACHING YES
         A: CLIENT TRACKINGINFO
         A: CLIENT ID x
         A: GET a
         A: GET b
         P: SET b 1
         P: SET a 2
         A? 1
         A: CLIENT CACHING YES
         A: MULTI
         A: GET a
         A: GET b
         A: EXEC
         A: GET c
         P: SET a 3
         A? 1
         P: SET b 3
         A? 1
         P: SET c 3
         A: CLIENT CACHING NO
         A: CLIENT CACHING MAYBE",
    ),
    (
        "all but what is opted out",
        "A: CLIENT TRACKING ON OPTOUT
         A: CLIENT CACHING NO
         A: CLIENT TRACKINGINFO
         A: GET a
         A: GET b
         P: SET a 1
         P: SET b 1
         A? 1
         A: CLIENT CACHING YES",
    ),
    (
        "all keys with prefixes",
        "A: CLIENT TRACKING ON BCAST PREFIX {k}a PREFIX {k}b
         B: CLIENT TRACKING ON BCAST
         A: CLIENT TRACKINGINFO
         B: CLIENT TRACKINGINFO
         P: SET {k}a1 1
         A? 1
         B? 1
         P: SET {k}c 1
         B? 1
         P: MSET {k}b2 1 {k}a2 1 {k}b1 1
         A? 2
         B? 1
         A: CLIENT TRACKING ON BCAST PREFIX {k}c
         A: CLIENT TRACKINGINFO
         P: DEL {k}c
         A? 1
         B? 1
         A: CLIENT TRACKING OFF
         P: SET {k}a 1
         B? 1",
    ),
    (
        "tracking ends",
        "A: CLIENT TRACKING ON
         A: GET a
         A: CLIENT TRACKING OFF
         P: SET a 1
         A: CLIENT TRACKING ON
         A: GET a
         B: CLIENT TRACKING ON
         B: GET a
         A: RESET
         P: SET a 2
         B? 1
         A: CLIENT TRACKINGINFO
         B: GET a
         B.
         P: SET a 3
         P: PING",
    ),
    (
        "what is refused",
        "A: CLIENT TRACKING ON PREFIX a
         A: CLIENT TRACKING ON BCAST OPTIN
         A: CLIENT TRACKING ON OPTIN OPTOUT
         A: CLIENT TRACKING ON REDIRECT 99999
         A: CLIENT TRACKING ON REDIRECT
         A: CLIENT TRACKING ON REDIRECT abc
         A: CLIENT TRACKING MAYBE
         A: CLIENT TRACKING ON NOSUCH
         A: CLIENT TRACKING ON BCAST PREFIX a PREFIX ab
         A: CLIENT TRACKING ON BCAST PREFIX a PREFIX a
         A: CLIENT TRACKINGINFO
         A: CLIENT GETREDIR
         A: CLIENT CACHING YES
         A: CLIENT TRACKING ON
         A: CLIENT GETREDIR
         A: CLIENT CACHING YES
         A: CLIENT CACHING NO
         A: CLIENT CACHING MAYBE
         A: CLIENT TRACKING ON BCAST
         A: CLIENT TRACKING OFF NOSUCH
         A: CLIENT TRACKING OFF BCAST
         A: CLIENT TRACKING ON BCAST PREFIX foo
         A: CLIENT TRACKING ON BCAST PREFIX f
         A: CLIENT TRACKING ON
         A: CLIENT INFO",
    ),
    (
        "who is told in one's place leaves",
        "T: SUBSCRIBE __redis__:invalidate
         A: CLIENT TRACKING ON REDIRECT {id:T}
         A: GET a
         P: SET a 1
         T? 1
         A: GET a
         T.
         P: SET a 2
         A? 1
         A: CLIENT TRACKING OFF",
    ),
];

/// In RESP2 another connection listens.
const RESP2: &[(&str, &str)] = &[
    (
        "a subscriber is told",
        "T: SUBSCRIBE __redis__:invalidate
         A: CLIENT TRACKING ON REDIRECT {id:T}
         B: CLIENT TRACKING ON REDIRECT {id:T}
         A: GET a
         B: GET b
         P: SET a 1
         T? 1
         P: SET b 1
         T? 1
         P: FLUSHALL
         T? 2
         A: GET a
         T: UNSUBSCRIBE __redis__:invalidate
         P: SET a 1
         T: PING
         A: CLIENT TRACKING OFF
         A: CLIENT GETREDIR",
    ),
    (
        "another connection is not told of one's own changes with NOLOOP",
        "T: SUBSCRIBE __redis__:invalidate
         A: CLIENT TRACKING ON NOLOOP REDIRECT {id:T}
         A: GET a
         A: SET a 1
         P: SET a 1
         A: GET a
         P: SET a 1
         T? 1",
    ),
    (
        "nobody can be told without another connection",
        "A: CLIENT TRACKING ON
         A: GET a
         P: SET a 1
         A: PING
         A: CLIENT TRACKINGINFO",
    ),
    (
        "prefixes for another connection",
        "T: SUBSCRIBE __redis__:invalidate
         A: CLIENT TRACKING ON BCAST REDIRECT {id:T} PREFIX {k}
         P: MSET {k}2 1 {k}1 2
         T? 1",
    ),
];

#[test]
fn clients_that_cache_are_told_what_redis_tells() {
    assert_agree(RESP3, &[3], &[]);
    assert_agree(RESP2, &[2], &[]);
}
