//! Scripts among several clients: what runs for long and how it is ended, what one client keeps and
//! another runs, scripts inside of MULTI.

use super::assert_agree;

const SCRIPTS: &[(&str, &str)] = &[
    (
        "a script that never ends makes the server busy, until it is ended",
        "A> EVAL \"redis.call('get',KEYS[1]) while true do end\" 1 a
         B~ PING
         B: GET a
         B: SET b 1
         C: PING
         C: MULTI
         C: SET c 1
         C: EXEC
         B: SCRIPT KILL
         A<
         B: SET b 2
         C: MGET a b c
         C: SCRIPT KILL",
    ),
    (
        "a script that has written is not ended",
        "A> EVAL \"redis.call('set',KEYS[1],1) for i = 1, 4e7 do end return redis.call('incr',KEYS[1])\" 1 a
         B~ PING
         B: GET a
         B: SCRIPT KILL
         A<
         B: GET a",
    ),
    (
        "a script with a key of its own making is ended as well",
        "A> EVAL \"redis.call('get',ARGV[1]..'x') while true do end\" 0 a
         B~ PING
         B: GET a
         B: SCRIPT KILL
         A<
         B: SET a 1",
    ),
    (
        "an endless script cannot save itself by pcall",
        "A> EVAL \"while true do pcall(function() redis.call('get',KEYS[1]) while true do end end) end\" 1 a
         B~ PING
         B: GET a
         B: SCRIPT KILL
         A<
         B: GET a",
    ),
    (
        "what one client keeps, another runs and a third forgets",
        "A: SCRIPT LOAD \"return redis.call('incr',KEYS[1])\"
         B: EVALSHA 6f5ade10a69975e903c6d07b10ea44c6382381a5 1 a
         C: EVALSHA 6f5ade10a69975e903c6d07b10ea44c6382381a5 1 b
         C: SCRIPT FLUSH
         A: EVALSHA 6f5ade10a69975e903c6d07b10ea44c6382381a5 1 a
         B: SCRIPT EXISTS 6f5ade10a69975e903c6d07b10ea44c6382381a5
         B: EVAL \"return redis.call('incr',KEYS[1])\" 1 a
         C: EVALSHA 6f5ade10a69975e903c6d07b10ea44c6382381a5 1 a",
    ),
    (
        "who waits for a key is served when the script is over",
        "A| BLPOP list 0
         B: EVAL \"redis.call('rpush',KEYS[1],'x') return redis.call('llen',KEYS[1])\" 1 list
         A<
         A| BLPOP list 0
         B: EVAL \"redis.call('rpush',ARGV[1],'x','y') redis.call('lpop',ARGV[1]) return redis.call('llen',ARGV[1])\" 0 list
         A<
         A| BLPOP list 0
         B: EVAL \"redis.call('rpush',KEYS[1],'x') return redis.call('del',KEYS[1])\" 1 list
         B: RPUSH list z
         A<",
    ),
    (
        "scripts inside of MULTI",
        "A: SET a 1
         A: MULTI
         A: INCR a
         A: EVAL \"redis.call('incr',KEYS[1]) return redis.call('get',KEYS[1])\" 1 a
         A: PING
         A: EVAL \"redis.call('mset',ARGV[1],1,ARGV[2],2) return redis.call('mget',ARGV[1],ARGV[2],'a')\" 0 x y
         A: EVAL \"return redis.call('nosuch')\" 0
         A: EVAL \"return 1\" nokeys
         A: EVAL \"return 1\" -1
         A: EVALSHA ffffffffffffffffffffffffffffffffffffffff 0
         A: ECHO x
         A: INCR a
         A: EXEC
         B: MGET a x y",
    ),
    (
        "a script that a MULTI keeps can be run by it",
        "A: SCRIPT FLUSH
         A: MULTI
         A: EVALSHA 6f5ade10a69975e903c6d07b10ea44c6382381a5 1 a
         A: SCRIPT LOAD \"return redis.call('incr',KEYS[1])\"
         A: EVALSHA 6f5ade10a69975e903c6d07b10ea44c6382381a5 1 a
         A: SCRIPT EXISTS 6f5ade10a69975e903c6d07b10ea44c6382381a5
         A: EXEC
         A: SCRIPT EXISTS 6f5ade10a69975e903c6d07b10ea44c6382381a5",
    ),
    (
        "a script of a MULTI sees the database and the watches of the MULTI",
        "A: WATCH a
         A: MULTI
         A: SELECT 2
         A: EVAL \"redis.call('set',KEYS[1],'two') return redis.call('dbsize')\" 1 a
         A: SELECT 0
         A: EVAL \"return redis.call('exists',KEYS[1])\" 1 a
         A: EXEC
         A: WATCH a
         B: EVAL \"return redis.call('set',KEYS[1],'new')\" 1 a
         A: MULTI
         A: EVAL \"return redis.call('set',KEYS[1],'mine')\" 1 a
         A: EXEC
         A: GET a
         A: WATCH a
         B: EVAL \"return redis.call('get',KEYS[1])\" 1 a
         A: MULTI
         A: GET a
         A: EXEC",
    ),
    (
        "a function that never ends makes the server busy, until it is ended",
        "A: FUNCTION LOAD \"#!lua name=lib\\nredis.register_function('f', function(k) redis.call('get',k[1]) while true do end end)\"
         A> FCALL f 1 a
         B~ PING
         B: GET a
         B: SCRIPT KILL
         B: FUNCTION KILL
         A<
         B: GET a
         B: FUNCTION KILL",
    ),
    (
        "a library that one client loads, another calls",
        "A: FUNCTION LOAD \"#!lua name=lib\\nredis.register_function('f', function(k) return redis.call('incr',k[1]) end)\"
         B: FCALL f 1 a
         C: FCALL f 1 b
         B: MULTI
         B: FCALL f 1 a
         B: FCALL f 1 b
         B: EXEC
         B: FUNCTION LOAD REPLACE \"#!lua name=lib\\nredis.register_function('f', function(k) return redis.call('decr',k[1]) end)\"
         A: FCALL f 1 a
         C: FCALL f 1 b
         C: FUNCTION DELETE lib
         A: FCALL f 1 a
         B: FUNCTION STATS",
    ),
    (
        "replies of pipelined scripts come in order",
        "A> SET a 1
         A> EVAL \"return redis.call('incr',KEYS[1])\" 1 a
         A> EVAL \"return redis.call('incr',KEYS[1])\" 1 b
         A> EVAL \"return redis.call('mget','a','b')\" 0
         A> GET b
         A> EVAL \"return redis.call('del',KEYS[1],KEYS[2])\" 2 a b
         A> GET a
         A> EVALSHA x 0
         A> PING
         A< 9",
    ),
    (
        "CLIENT REPLY and scripts",
        "A> CLIENT REPLY SKIP
         A> EVAL \"return redis.call('incr',KEYS[1])\" 1 a
         A: EVAL \"return redis.call('incr',KEYS[1])\" 1 a
         A> CLIENT REPLY OFF
         A> EVAL \"return redis.call('incr',ARGV[1])\" 0 a
         A: CLIENT REPLY ON
         A: GET a",
    ),
];

#[test]
fn scripts_among_clients_are_as_in_redis() {
    assert_agree(SCRIPTS, &[2, 3], &["--busy-reply-threshold", "50"]);
}
