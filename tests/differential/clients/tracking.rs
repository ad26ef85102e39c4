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
