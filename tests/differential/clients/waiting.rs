//! Scripts of clients that wait for keys: who is served, by what, and how waiting ends.

use super::assert_agree;

const LISTS: &[(&str, &str)] = &[
    (
        "who came first is served first",
        "A| BLPOP list 0
         B| BRPOP list 0
         C| BLMPOP 0 1 list RIGHT COUNT 5
         D: RPUSH list 1 2 3 4 5
         A<
         B<
         C<
         D: EXISTS list",
    ),
    (
        "a script is over before anybody is served",
        "A| BLPOP list 0
         B| BLPOP other 0
         C: EVAL \"redis.call('RPUSH', KEYS[1], 1) return redis.call('LLEN', KEYS[1])\" 1 list
         A<
         C: EVAL \"redis.call('RPUSH', ARGV[1], 2) return redis.call('LLEN', ARGV[1])\" 0 other
         B<
         A| BLPOP list 0
         C: EVAL \"redis.call('RPUSH', KEYS[1], 3, 4) return redis.call('LPOP', KEYS[1])\" 1 list
         A<
         A| BLPOP list 0
         C: EVAL \"redis.call('RPUSH', KEYS[1], 5) return redis.call('LPOP', KEYS[1])\" 1 list
         C: RPUSH list 6
         A<",
    ),
    (
        "keys of several cores are looked at in their order",
        "A| BLPOP one two three four five 0
         B: RPUSH four x
         A<
         B: EXISTS four
         B: RPUSH five y
         B: RPUSH two z
         A: BLPOP one two three four five 0
         A: BLPOP one two three four five 0",
    ),
    (
        "waiters on several keys are served in their order at each",
        "A| BLPOP one two three 0
         B| BLPOP three four 0
         C| BRPOP two three five 0
         D: RPUSH three 1
         A<
         D: RPUSH three 2
         B<
         D: RPUSH two 3 4
         C<
         D: LRANGE two 0 -1",
    ),
    (
        "many commands make a list",
        "B: RPUSH from a b
         A| BLPOP to 0
         B: RENAME from to
         A<
         B: LRANGE to 0 -1
         B: DEL to
         B: RPUSH from a b
         A| BLPOP to 0
         B: COPY from to
         A<
         B: DEL to
         A| BLPOP to 0
         B: LMOVE from to LEFT RIGHT
         A<
         A| BLPOP to 0
         B: RPOPLPUSH from to
         A<
         A| BLPOP to 0
         B: SADD set 3 1 2
         B: SORT set STORE to
         A<
         B: LRANGE to 0 -1
         B: DEL to
         B: RPUSH from x
         B: SELECT 1
         B: DEL to
         B: RPUSH to moved
         A| BLPOP to 0
         B: MOVE to 0
         A<
         B: RPUSH to swapped
         A| BLPOP to 0
         B: SWAPDB 0 1
         A<
         B: FLUSHALL",
    ),
    (
        "what is pushed is gone at once",
        "A| BLPOP one two 0
         B> RPUSH two 1
         B> LLEN two
         B< 2
         A<
         A| BLPOP one four five 0
         B> RPUSH five 1 2
         B> LLEN five
         B> LPOP five
         B< 3
         A<",
    ),
    (
        "a MULTI is over before anybody is served",
        "A| BLPOP list 0
         B: MULTI
         B: RPUSH list a
         B: LPUSH list b
         B: LLEN list
         B: EXEC
         A<
         B: LRANGE list 0 -1
         B: DEL list
         A| BLPOP list 0
         B: MULTI
         B: RPUSH list a
         B: DEL list
         B: EXEC
         B: RPUSH list c
         A<",
    ),
    (
        "inside MULTI nobody waits",
        "A: MULTI
         A: BLPOP a b c 0
         A: BRPOP a 1
         A: BLMOVE a b LEFT RIGHT 0
         A: BRPOPLPUSH a b 0
         A: BLMPOP 0 2 a b LEFT
         A: BZPOPMIN a b 0
         A: BZMPOP 0 2 a b MIN
         A: XREAD BLOCK 0 STREAMS a b $ $
         A: RPUSH b x
         A: BLPOP a b c 0
         A: EXEC",
    ),
    (
        "another type does not end the waiting",
        "A| BLPOP key 0
         B: SET key v
         B: DEL key
         B: ZADD key 1 m
         B: DEL key
         B: RPUSH key e
         A<
         B: SET key v
         A: BLPOP other key 0
         A: BLPOP other key 0.01
         A: BZPOPMIN key 0",
    ),
    (
        "elements move on from list to list",
        "A| BLMOVE a b LEFT RIGHT 0
         B| BLMOVE b c RIGHT LEFT 0
         C| BRPOPLPUSH c d 0
         D| BLPOP d 0
         E: RPUSH a x
         A<
         B<
         C<
         D<
         E: EXISTS a b c d",
    ),
    (
        "a move to a wrong type ends with an error and takes nothing",
        "A| BLMOVE a b LEFT RIGHT 0
         B: SET b v
         C| BLPOP a 0
         B: RPUSH a x
         A<
         C<
         B: EXISTS a
         A| BLMOVE l l LEFT RIGHT 0
         B: RPUSH l x y
         A<
         B: LRANGE l 0 -1",
    ),
];

const SORTED_SETS: &[(&str, &str)] = &[
    (
        "members of sorted sets are waited for",
        "A| BZPOPMIN one two 0
         B| BZPOPMAX two three 0
         C| BZMPOP 0 3 one two three MAX COUNT 2
         D: ZADD two 1 a 2 b 3.5 c 4 d
         A<
         B<
         C<
         D: ZRANGE two 0 -1",
    ),
    (
        "several commands make a sorted set",
        "A| BZPOPMIN to 0
         B: ZADD from 1 a
         B: ZUNIONSTORE to 1 from
         A<
         A| BZPOPMIN to 0
         B: ZINCRBY to 3 b
         A<
         A| BZPOPMIN to 0
         B: GEOADD to 13.4 52.5 berlin
         A<
         A| BZPOPMIN to 0
         B: ZRANGESTORE to from 0 -1
         A<",
    ),
];

const STREAMS: &[(&str, &str)] = &[
    (
        "entries of streams are waited for",
        "A| XREAD BLOCK 0 STREAMS one two $ $
         B| XREAD COUNT 1 BLOCK 0 STREAMS two 1-0
         D: XADD two 1-1 f v
         A<
         B<
         A| XREAD BLOCK 0 STREAMS one two $ $
         D: XADD two 1-2 f v
         A<
         A: XREAD BLOCK 10 STREAMS two 1-1
         A: XREAD BLOCK 10 STREAMS two $",
    ),
    (
        "of a group one gets an entry",
        "D: XGROUP CREATE one g $ MKSTREAM
         D: XGROUP CREATE two g $ MKSTREAM
         A| XREADGROUP GROUP g a BLOCK 0 STREAMS one two > >
         B| XREADGROUP GROUP g b BLOCK 0 NOACK STREAMS two >
         D: XADD two 1-1 f v
         A<
         D: XADD two 1-2 f v
         B<
         D: XPENDING two g
         D: XADD one 1-1 f v
         A: XREADGROUP GROUP g a BLOCK 0 STREAMS one two > >",
    ),
    (
        "waiting ends with its stream or group",
        "D: XGROUP CREATE s g $ MKSTREAM
         A| XREADGROUP GROUP g a BLOCK 0 STREAMS s >
         D: XGROUP DESTROY s g
         A<
         D: XGROUP CREATE s g $
         A| XREADGROUP GROUP g a BLOCK 0 STREAMS s >
         B| XREAD BLOCK 0 STREAMS s $
         D: DEL s
         A<
         D: XGROUP CREATE s g $ MKSTREAM
         A| XREADGROUP GROUP g a BLOCK 0 STREAMS s >
         D: SET s v
         A<
         D: DEL s
         D: XGROUP CREATE s g $ MKSTREAM
         A| XREADGROUP GROUP g a BLOCK 0 STREAMS s >
         D: RENAME s t
         A<
         D: XGROUP CREATE s g $ MKSTREAM
         D: XGROUP CREATE other g $ MKSTREAM
         A| XREADGROUP GROUP g a BLOCK 0 STREAMS s other > >
         D: FLUSHALL
         A<
         D: XADD s 1-1 f v
         B<",
    ),
];

const ENDS: &[(&str, &str)] = &[
    (
        "times that are over and wrong ones",
        "A: BLPOP a b 0.01
         A: BRPOP a 0.01
         A: BLMOVE a b LEFT RIGHT 0.01
         A: BRPOPLPUSH a b 0.01
         A: BLMPOP 0.01 2 a b LEFT
         A: BZPOPMIN a b 0.01
         A: BZMPOP 0.01 1 a MIN
         A: XREAD BLOCK 10 STREAMS a b $ $
         A: BLPOP a b -1
         A: BLPOP a b x
         A: BLPOP a inf
         A: BLMOVE a b UP RIGHT x
         A: BLMPOP x 0 a LEFT
         A: BLMPOP x 1 a LEFT
         A: BZMPOP 0.01 1 a MAX COUNT 0
         A: XREAD BLOCK x STREAMS a $
         A: XREAD BLOCK -1 STREAMS a $
         A: RPUSH a 1
         A: BLPOP b a 0",
    ),
    (
        "a client is let go by another",
        "A| BLPOP a b c 0
         B: CLIENT UNBLOCK {id:A}
         A<
         A| BLPOP a 0
         B: CLIENT UNBLOCK {id:A} TIMEOUT
         A<
         A| BLMOVE a b LEFT LEFT 0
         B: CLIENT UNBLOCK {id:A} ERROR
         A<
         A| WAIT 1 0
         B: CLIENT UNBLOCK {id:A}
         A<
         B: CLIENT UNBLOCK {id:A}
         B: CLIENT UNBLOCK x
         B: CLIENT UNBLOCK {id:A} x
         B: RPUSH a 1
         B: LLEN a",
    ),
    (
        "who leaves takes nothing",
        "A| BLPOP a b c 0
         B| BLPOP b 0
         A.
         C: RPUSH b 1
         B<
         D| BLPOP b 0
         D.
         C: RPUSH b 2
         C: LLEN b",
    ),
    (
        "a pipeline goes on behind the command that waits",
        "A> SET x 1
         A> GET x
         A| BLPOP list 0
         A> INCR x
         A< 2
         B: GET x
         B: RPUSH list e
         A< 2
         A: GET x",
    ),
    (
        "who does not want replies waits without one",
        "A> CLIENT REPLY SKIP
         A| BLPOP list 0
         B: RPUSH list e
         A: PING
         B: EXISTS list",
    ),
];

#[test]
fn clients_wait_for_lists_as_in_redis() {
    assert_agree(LISTS, &[2, 3], &[]);
}

#[test]
fn clients_wait_for_sorted_sets_as_in_redis() {
    assert_agree(SORTED_SETS, &[2, 3], &[]);
}

#[test]
fn clients_wait_for_streams_as_in_redis() {
    assert_agree(STREAMS, &[2, 3], &[]);
}

#[test]
fn waiting_ends_as_in_redis() {
    assert_agree(ENDS, &[2, 3], &[]);
}
