//! Scripts about the events of keys.

use super::assert_agree;

const SCRIPTS: &[(&str, &str)] = &[
    (
        "events of commands reach all who listen, in order",
        "A: PSUBSCRIBE __key*__:*
         B: SUBSCRIBE __keyspace@0__:b __keyevent@0__:del
         P: SET a 1
         P: SET b 2 EX 100
         Q: APPEND a x
         P: LPUSH l 1 2
         Q: RPOP l
         P: LPOP l
         Q: DEL a
         Q: DEL b
         P: HSET h f 1
         P: SADD s 1
         P: ZADD z 1 m
         P: XADD x 1-1 f v
         Q: PERSIST h
         Q: EXPIRE h 100
         Q: PERSIST h
         A?
         B?",
    ),
    (
        "events of other databases",
        "A: PSUBSCRIBE __keyspace@3__:* __keyevent@5__:*
         P: SELECT 3
         P: SET a 1
         P: MOVE a 5
         P: SELECT 5
         P: RENAME a {a}b
         P: DEL {a}b
         A?",
    ),
    (
        "a transaction on one key",
        "A: PSUBSCRIBE __keyevent*
         B: SUBSCRIBE told
         P: MULTI
         P: SET a 1
         P: INCR a
         P: EXPIRE a 100
         P: DEL a
         P: PUBLISH told done
         P: EXEC
         A?
         B?",
    ),
    (
        "messages and events in one pipeline",
        "A: PSUBSCRIBE *
         P> SET a 1
         P> PUBLISH told 1
         P> SET a 2
         P> PUBLISH told 2
         P> DEL a
         P< 5
         A?",
    ),
    (
        "keys that expire",
        "A: PSUBSCRIBE __keyevent*
         P: SET a 1 PX 1
         A? 2
         A? 1
         P: EXISTS a",
    ),
    (
        "values that are lent and stored",
        "A: PSUBSCRIBE __keyevent*
         P: SADD {a}1 x y
         P: SADD {a}2 y z
         P: SINTERSTORE {a}3 {a}1 {a}2
         P: SMOVE {a}1 {a}2 x
         P: SDIFFSTORE {a}3 {a}1 {a}1
         A?",
    ),
    (
        "without changes there is no event",
        "A: PSUBSCRIBE __key*__:*
         P: DEL a
         P: SET a 1
         P: SETNX a 2
         P: SREM s x
         P: PERSIST a
         P: GET a
         P: LPUSH a x
         A?",
    ),
];

/// With the classes that `A` leaves out.
const ALL_CLASSES: &[(&str, &str)] = &[(
    "misses and new keys",
    "A: PSUBSCRIBE __keyevent*
     P: GET a
     P: SET a 1
     P: SET a 2
     P: EXISTS b
     P: HGET b f
     P: LPUSH b 1
     P: TTL nosuch
     A?",
)];

/// The directive is read again with each change.
const DIRECTIVE: &[(&str, &str)] = &[(
    "classes and channels are chosen",
    "A: PSUBSCRIBE __key*__:*
     P: SET a 1
     P: CONFIG SET notify-keyspace-events K$
     P: CONFIG GET notify-keyspace-events
     P: SET a 2
     P: DEL a
     A?
     P: CONFIG SET notify-keyspace-events Eg
     P: SET a 2
     P: DEL a
     A?
     P: CONFIG SET notify-keyspace-events g$
     P: SET a 2
     P: CONFIG SET notify-keyspace-events lKA
     P: CONFIG GET notify-keyspace-events
     P: CONFIG SET notify-keyspace-events mE$lKd
     P: CONFIG GET notify-keyspace-events
     P: CONFIG SET notify-keyspace-events q
     P: CONFIG SET notify-keyspace-events \"\"
     P: SET a 2
     P: CONFIG GET notify-keyspace-events",
)];

#[test]
fn events_of_keys_are_those_of_redis() {
    assert_agree(SCRIPTS, &[2, 3], &["--notify-keyspace-events", "KEA"]);
    let all = &["--notify-keyspace-events", "EAmn"];
    assert_agree(ALL_CLASSES, &[2, 3], all);
    assert_agree(DIRECTIVE, &[3], &[]);
}
