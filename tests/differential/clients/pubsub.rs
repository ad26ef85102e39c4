//! Scripts about channels: who gets what, and in which order.

use super::assert_agree;

/// In both protocols.
const SCRIPTS: &[(&str, &str)] = &[
    (
        "a channel has listeners on any core",
        "A: SUBSCRIBE news
         B: SUBSCRIBE news other
         C: SUBSCRIBE news
         D: SUBSCRIBE news
         P: PUBLISH news 1
         P: PUBLISH other 2
         P: PUBLISH nobody 3
         A?
         B? 2
         C?
         D?
         B: UNSUBSCRIBE news
         P: PUBLISH news 4
         A?
         C?
         D.
         P: PUBLISH news 5
         A?
         C?
         B: UNSUBSCRIBE other",
    ),
    (
        "messages keep the order of who sends them",
        "A: SUBSCRIBE a b
         B: PSUBSCRIBE *
         P: PUBLISH a 1
         P: PUBLISH b 2
         Q: PUBLISH a 3
         P: PUBLISH b 4
         Q: PUBLISH a 5
         R: PUBLISH b 6
         P: PUBLISH a 7
         A? 7
         B? 7",
    ),
    (
        "pipelined messages keep their order",
        "A: SUBSCRIBE a b
         P> PUBLISH a 1
         P> SET x 1
         P> PUBLISH b 2
         P> GET x
         P> PUBLISH a 3
         P< 5
         A? 3",
    ),
    (
        "patterns count beside channels",
        // Redis goes through its patterns in an order that changes from run to run.
        "A: PSUBSCRIBE n* x*
         B: PSUBSCRIBE ?ews
         A: SUBSCRIBE news
         P: PUBLISH news hey
         A? 2
         B? 1
         P: PUBLISH none hey
         A?
         A: PUNSUBSCRIBE n*
         P: PUBLISH none hey
         P: PUBLISH \"\" empty
         A: PSUBSCRIBE *
         P: PUBLISH \"\" empty
         A: SUBSCRIBE \"\"
         P: PUBLISH \"\" \"\"
         A?",
    ),
    (
        "names are bytes",
        "A: SUBSCRIBE \"a\\r\\nb\" \"\\x00\\xff\"
         P: PUBLISH \"a\\r\\nb\" \"\\x00\\r\\n\"
         P: PUBLISH \"\\x00\\xff\" x
         A? 2
         P: PUBSUB CHANNELS \"\\x00*\"",
    ),
    (
        "names come and go one by one",
        "A: SUBSCRIBE a b a
         A: PSUBSCRIBE a b a
         A: SSUBSCRIBE a b a
         A: UNSUBSCRIBE a c
         A: UNSUBSCRIBE
         A: UNSUBSCRIBE
         A:2 PUNSUBSCRIBE
         A: PUNSUBSCRIBE
         A: SUNSUBSCRIBE c
         A: SUNSUBSCRIBE a
         A: SUNSUBSCRIBE
         A: SUNSUBSCRIBE
         A: GET x",
    ),
    (
        "channels of slots are channels of their own",
        "A: SSUBSCRIBE s
         B: SUBSCRIBE s
         C: PSUBSCRIBE *
         P: SPUBLISH s 1
         P: PUBLISH s 2
         A?
         B?
         C?
         P: PUBSUB CHANNELS
         P: PUBSUB SHARDCHANNELS
         P: PUBSUB SHARDCHANNELS x*
         P: PUBSUB NUMSUB s
         P: PUBSUB SHARDNUMSUB s t
         A: SUNSUBSCRIBE s
         P: SPUBLISH s 3
         P: PUBSUB SHARDCHANNELS",
    ),
    (
        "who listens can be asked",
        "A: SUBSCRIBE one
         B: SUBSCRIBE one
         C: PSUBSCRIBE one* o*
         D: PSUBSCRIBE one*
         P: PUBSUB CHANNELS
         P: PUBSUB CHANNELS o*
         P: PUBSUB CHANNELS x*
         P: PUBSUB NUMSUB
         P: PUBSUB NUMSUB one two one
         P: PUBSUB NUMPAT
         P: PUBSUB CHANNELS a b
         P: PUBSUB SHARDCHANNELS a b
         P: PUBSUB NUMPAT a
         P: PUBSUB
         P: PUBSUB NOSUCH
         P: CLIENT LIST
         P: CLIENT LIST TYPE pubsub
         P: CLIENT LIST TYPE normal
         A.
         P: PUBSUB NUMSUB one
         B.
         P: PUBSUB CHANNELS
         C.
         P: PUBSUB NUMPAT",
    ),
    (
        "a transaction can listen and tell",
        "A: SUBSCRIBE news
         P: MULTI
         P: SET a 1
         P: PUBLISH news 1
         P: GET a
         P: SPUBLISH news 2
         P: PUBSUB NUMSUB news
         P: EXEC
         A?
         B: MULTI
         B: SUBSCRIBE x
         B: PSUBSCRIBE y*
         B: SSUBSCRIBE z
         B: GET a
         B: UNSUBSCRIBE nosuch
         B: EXEC
         P: PUBLISH x 1
         P: PUBLISH y 2
         B? 2",
    ),
    (
        "reset and quit end subscriptions",
        "A: SUBSCRIBE a
         A: PSUBSCRIBE b*
         A: SSUBSCRIBE c
         B: SUBSCRIBE a
         P: PUBLISH a 1
         A?
         A: RESET
         P: PUBLISH a 2
         P: PUBLISH b 2
         P: SPUBLISH c 2
         B: QUIT
         P: PUBLISH a 3
         P: PUBSUB CHANNELS
         P: PUBSUB NUMPAT
         A: GET x
         B? 2",
    ),
    (
        "messages come though replies are off",
        "A: SUBSCRIBE a
         A: UNSUBSCRIBE a
         A> CLIENT REPLY OFF
         A: SUBSCRIBE b
         P: PUBLISH b 1
         A? 1
         A:0 UNSUBSCRIBE b
         A< 1
         A: CLIENT REPLY ON",
    ),
    (
        "subscribers can be ended by their kind",
        "A: SUBSCRIBE a
         B: SET b 1
         P: CLIENT KILL TYPE pubsub
         P: PUBLISH a 1
         A: PING
         B: GET b
         P: CLIENT KILL TYPE pubsub",
    ),
    (
        "wrong numbers of words",
        "A: PUBLISH a
         A: SPUBLISH a
         A:1 SUBSCRIBE
         A:1 PSUBSCRIBE
         A:1 SSUBSCRIBE
         A: PUBLISH a b c
         A: PING",
    ),
];

/// A subscriber who speaks RESP2 may send little.
const RESP2: &[(&str, &str)] = &[(
    "a subscriber is in a state of its own",
    "A: SUBSCRIBE a
     A: GET x
     A: PING
     A: PING hey
     A: PING a b
     A: CLIENT LIST
     A: NOSUCH
     A: GET
     A: MULTI
     A: EXEC
     A: DISCARD
     A: PUBLISH a 1
     A: PUBSUB CHANNELS
     A: HELLO 3
     A: UNSUBSCRIBE b
     A: GET x
     A: UNSUBSCRIBE
     A: GET x
     A: PING
     A: SSUBSCRIBE s
     A: GET x
     A: SUNSUBSCRIBE
     A: GET x",
)];

/// One who speaks RESP3 may send all.
const RESP3: &[(&str, &str)] = &[(
    "a subscriber goes on",
    "A: SUBSCRIBE a b
     A: GET x
     A: PING
     A: PING hey
     A: PUBLISH a self
     A?
     A: MULTI
     A: SET x 1
     A: EXEC
     A: CLIENT INFO
     A: HELLO 2
     A: GET x
     P: PUBLISH a 1
     A?",
)];

#[test]
fn channels_are_those_of_redis() {
    assert_agree(SCRIPTS, &[2, 3], &[]);
    assert_agree(RESP2, &[2], &[]);
    assert_agree(RESP3, &[3], &[]);
}
