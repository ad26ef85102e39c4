//! Sequences that chance would hardly find. Each has a name that says what it is about.

/// Name and lines; for the form see [`super::sequence::Sequence::parse`].
pub(super) const SEQUENCES: &[(&str, &str)] = &[
    (
        "a transaction is refused after a bad command",
        "MULTI
         SET a 1
         NOSUCH
         GET
         EXEC
         GET a",
    ),
    (
        "errors inside EXEC do not stop it",
        "SET a x
         MULTI
         INCR a
         SET b 2
         INCRBYFLOAT a 1
         EXEC
         MGET a b",
    ),
    (
        "WATCH sees what other clients do, and only that",
        "SET a 1
         WATCH a b
         1> SET c 1
         MULTI
         GET a
         EXEC
         WATCH a b
         1> DEL b
         MULTI
         GET a
         EXEC
         WATCH a b
         1> SET b new
         MULTI
         GET a
         EXEC
         WATCH a
         1> SET a 1
         UNWATCH
         MULTI
         GET a
         EXEC
         WATCH a
         1> FLUSHALL
         MULTI
         PING
         EXEC",
    ),
    (
        "WATCH of a missing key is not disturbed by flushing, of a swapped one it is",
        "WATCH a
         1> FLUSHALL
         MULTI
         PING
         EXEC
         SET a 1
         WATCH a
         1> SWAPDB 0 1
         MULTI
         GET a
         EXEC
         WATCH a
         1> SELECT 1
         1> SET a other
         MULTI
         GET a
         EXEC",
    ),
    (
        "WATCH inside MULTI, nested MULTI, EXEC and DISCARD without MULTI",
        "EXEC
         DISCARD
         MULTI
         WATCH a
         MULTI
         EXEC
         MULTI
         WATCH a
         DISCARD
         UNWATCH
         EXEC extra
         MULTI extra",
    ),
    (
        "SELECT and SWAPDB inside a transaction",
        "SET a zero
         SELECT 1
         SET a one
         MULTI
         GET a
         SELECT 0
         GET a
         SWAPDB 0 1
         GET a
         MOVE a 2
         EXEC
         GET a
         SELECT 2
         GET a
         DBSIZE",
    ),
    (
        "COPY and RENAME keep expiries and replace",
        "SET a 1 EXAT 4102444800
         COPY a b
         EXPIRETIME b
         SET c 2
         RENAME c b
         EXPIRETIME b
         GET b
         COPY a a
         COPY a b
         COPY a b REPLACE
         COPY a b DB 1
         COPY a a DB 1
         RENAME a a
         RENAME nosuch nosuch
         RENAMENX a a
         SELECT 1
         EXPIRETIME b
         MGET a b",
    ),
    (
        "encodings of strings",
        "SET a 1
         OBJECT ENCODING a
         APPEND a 2
         OBJECT ENCODING a
         GET a
         INCR a
         OBJECT ENCODING a
         SET a 12345678901234567890123456789012345678901234
         OBJECT ENCODING a
         SET a 123456789012345678901234567890123456789012345
         OBJECT ENCODING a
         SET a 1.5
         INCRBYFLOAT a 1.5
         OBJECT ENCODING a
         SETRANGE a 0 7
         OBJECT ENCODING a
         SET a 9223372036854775807
         OBJECT ENCODING a
         INCR a
         SET a -9223372036854775808
         DECR a
         DECRBY a -9223372036854775808
         OBJECT ENCODING nosuch
         OBJECT FREQ a
         OBJECT NOSUCH a
         OBJECT
         COPY a b
         OBJECT ENCODING b",
    ),
    (
        "expiry options against present expiries",
        "SET a 1
         EXPIREAT a 4102444800 GT
         EXPIREAT a 4102444800 LT
         EXPIREAT a 4102444800 GT
         EXPIREAT a 4102444801 GT
         EXPIREAT a 4102444800 NX
         EXPIREAT a 4102444800 XX
         EXPIRETIME a
         PEXPIREAT a 4102444800001 GT LT
         EXPIREAT a 4102444800 NX GT
         EXPIREAT a 4102444800 WHAT
         SET a 2 KEEPTTL
         EXPIRETIME a
         SET a 3
         EXPIRETIME a
         GETEX a EXAT 4102444800
         PEXPIRETIME a
         GETEX a PERSIST
         PEXPIRETIME a
         EXPIRE a -1
         GET a
         SET a 1 EXAT 1
         EXISTS a
         GET a
         KEYS *",
    ),
    (
        "the longest common subsequence",
        "MSET a ohmytext b mynewtext
         LCS a b
         LCS a b LEN
         LCS a b IDX
         LCS a b IDX MINMATCHLEN 4
         LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN
         LCS a b IDX LEN
         LCS a nosuch
         LCS nosuch1 nosuch2 IDX
         LCS a b MINMATCHLEN -1
         LCS a b MINMATCHLEN x",
    ),
    (
        "names of clients",
        "CLIENT GETNAME
         CLIENT SETNAME me
         CLIENT GETNAME
         CLIENT INFO
         CLIENT SETNAME \"a b\"
         CLIENT SETNAME \"\"
         CLIENT GETNAME
         HELLO 3 SETNAME you
         CLIENT GETNAME
         HELLO 2
         HELLO 3 AUTH default wrong
         HELLO 3 AUTH nobody x
         HELLO 1
         HELLO x
         AUTH x
         AUTH default x
         AUTH a b c
         CLIENT NO-EVICT on
         CLIENT INFO
         CLIENT NO-EVICT off
         CLIENT NO-EVICT maybe
         CLIENT NOSUCH
         CLIENT
         CLIENT REPLY MAYBE
         CLIENT KILL ID x
         CLIENT KILL 127.0.0.1:1
         CLIENT KILL ID 999999999
         CLIENT KILL TYPE nosuch
         CLIENT KILL a b c",
    ),
    (
        "the slow log",
        "SLOWLOG RESET
         CONFIG SET slowlog-log-slower-than -1
         SLOWLOG LEN
         SLOWLOG GET
         SLOWLOG GET -1
         SLOWLOG GET -2
         SLOWLOG GET x
         SLOWLOG NOSUCH
         CONFIG SET slowlog-log-slower-than 10000",
    ),
    (
        "latency, memory, role and waiting",
        "LATENCY LATEST
         LATENCY HISTORY nosuch
         LATENCY RESET
         LATENCY RESET nosuch
         LATENCY GRAPH nosuch
         LATENCY NOSUCH
         MEMORY USAGE nosuch
         SET a 1
         MEMORY USAGE a
         MEMORY USAGE a SAMPLES 0
         MEMORY USAGE a SAMPLES -1
         MEMORY USAGE a SAMPLES
         MEMORY USAGE a WHAT 1
         MEMORY NOSUCH
         ROLE
         ROLE x
         WAIT 0 0
         WAIT -1 0
         WAIT 0 -1
         WAIT x 0
         WAIT 0 x",
    ),
    (
        "databases by number",
        "SELECT 15
         SET a 15
         SELECT 16
         SELECT -1
         SELECT x
         SELECT 99999999999999999999
         GET a
         SWAPDB 0 15
         GET a
         SELECT 0
         GET a
         SWAPDB 0 0
         SWAPDB 0 16
         SWAPDB x 0
         SWAPDB 0 x
         MOVE a 0
         MOVE a 16
         MOVE a x
         MOVE nosuch 1
         MOVE a 3
         COPY a b DB 16
         COPY a b DB x",
    ),
    (
        "settings",
        "CONFIG GET maxmemory
         CONFIG SET maxmemory 100mb
         CONFIG GET maxmemory
         CONFIG SET maxmemory 0
         CONFIG SET maxmemory x
         CONFIG SET nosuch 1
         CONFIG SET maxmemory
         CONFIG SET maxmemory 0 maxmemory 0
         CONFIG GET
         CONFIG NOSUCH
         CONFIG RESETSTAT
         CONFIG",
    ),
    (
        "debugging",
        "SET a 1
         SET b \"\"
         DEBUG DIGEST-VALUE a b nosuch
         DEBUG OBJECT nosuch
         DEBUG SLEEP 0
         DEBUG STRINGMATCH-LEN 10 *
         DEBUG NOSUCH
         DEBUG
         DEBUG DIGEST",
    ),
    (
        "keys of any bytes and of any length",
        "SET \"\" empty
         GET \"\"
         SET \"\\x00\" zero
         KEYS *
         RENAME \"\" \"\\x00\"
         GET \"\\x00\"
         RANDOMKEY
         SCAN-ALL COUNT 1
         SCAN 0 COUNT 0
         SCAN 0 COUNT -1
         SCAN 0 COUNT x
         SCAN x
         SCAN -1
         SCAN 0 MATCH
         SCAN 0 NOSUCH x
         SCAN 99999999999999999999999",
    ),
    (
        "RANDOMKEY finds the one key that lives among dead ones",
        "SET a 1
         SET b 1 PXAT 1
         RANDOMKEY
         SET c 1 PXAT 1
         SET d 1 PXAT 1
         RANDOMKEY
         SET e 1 PXAT 1
         SET f 1 PXAT 1
         SET g 1 PXAT 1
         MULTI
         RANDOMKEY
         EXEC
         DEL a
         RANDOMKEY",
    ),
    (
        "the protocol changes in the middle of EXEC",
        "MULTI
         GET x
         HELLO 3
         GET x
         MGET x y
         HELLO 4
         HELLO 2 NOSUCH
         HELLO 2 AUTH nobody x
         GET x
         HELLO 2
         GET x
         PING
         HELLO 3
         EXEC
         GET x
         MULTI
         GET x
         HELLO 2
         EXEC
         GET x",
    ),
    (
        "commands inside EXEC see what was done before them, and no more",
        "MULTI
         DEBUG OBJECT a
         SET a 1
         DEBUG OBJECT a
         DEBUG DIGEST-VALUE a b
         SELECT 1
         SET a 12
         DEBUG DIGEST-VALUE a
         DEBUG DIGEST
         SELECT 0
         MSET a 3 b 4
         PING
         DEBUG DIGEST
         DEL a b
         DEBUG DIGEST-VALUE a b
         EXEC
         DEBUG DIGEST",
    ),
    (
        "a client's line shows its transaction",
        "WATCH a b c
         CLIENT INFO
         MULTI
         GET a
         1> CLIENT LIST
         SET b 2
         CLIENT INFO
         CLIENT LIST
         1> CLIENT LIST
         EXEC
         CLIENT INFO
         WATCH a b c
         1> SET c 3
         CLIENT INFO
         1> CLIENT LIST
         MULTI
         1> CLIENT LIST
         EXEC
         CLIENT INFO
         MULTI
         GET a
         NOSUCH
         GET a
         1> CLIENT LIST
         EXEC
         CLIENT INFO
         1> OBJECT
         CLIENT LIST",
    ),
    (
        "words are repeated up to their first zero byte",
        "EXPIRE a 1 \"x\\x00y\"
         EXPIRE a 1 \"x\\r\\ny\"
         NOSUCH \"a\\x00b\" \"\\x00\"
         CLIENT \"x\\x00y\"
         CLIENT LIST TYPE \"x\\x00y\"
         HELLO 3 \"x\\x00y\"
         DEBUG \"x\\x00y\"
         LATENCY GRAPH \"x\\x00y\"",
    ),
    (
        "the ends as ids of groups",
        r#"
        XADD s 5-1 a b
        XGROUP CREATE s g -
        XGROUP CREATE s g +
        XGROUP CREATE s g 0
        XGROUP SETID s g +
        XINFO GROUPS s
        XGROUP SETID s g -
        XINFO GROUPS s
        XGROUP SETID s g (5
        XGROUP SETID s none -
        "#,
    ),
    (
        "a script that was asked for runs although the next request forgets it",
        "SCRIPT LOAD \"return redis.call('get',KEYS[1])\"
         MSET a 1 b 2 c 3 d 4 key:1 5
         EVALSHA fd758d1589d044dd850a6f05d52f2eefd27f033f 1 a
         EVALSHA fd758d1589d044dd850a6f05d52f2eefd27f033f 1 b
         EVALSHA fd758d1589d044dd850a6f05d52f2eefd27f033f 1 c
         EVALSHA fd758d1589d044dd850a6f05d52f2eefd27f033f 1 d
         EVALSHA fd758d1589d044dd850a6f05d52f2eefd27f033f 1 key:1
         SCRIPT FLUSH
         SCRIPT EXISTS fd758d1589d044dd850a6f05d52f2eefd27f033f
         EVALSHA fd758d1589d044dd850a6f05d52f2eefd27f033f 1 a
         EVALSHA fd758d1589d044dd850a6f05d52f2eefd27f033f 1 b",
    ),
    (
        "a script that has just been asked for is none that takes long",
        "EVAL \"return redis.call('get',KEYS[1])\" 1 a
         EVAL \"return redis.call('get',KEYS[1])\" 1 b
         EVAL \"return redis.call('get',KEYS[1])\" 1 c
         FUNCTION KILL
         SCRIPT KILL",
    ),
];
