//! Patterns for sorted sets.

use super::Family;

pub(super) const FAMILY: Family = Family {
    templates: &[
        (60, "ZADD <key> (<score> <zmember>)+"),
        (30, "ZADD <key> [NX|XX] [GT|LT] [CH] (<score> <zmember>)+"),
        (10, "ZADD <key> [NX|XX] [GT|LT] [CH] INCR <score> <zmember>"),
        (10, "ZINCRBY <key> <score> <zmember>"),
        (8, "ZREM <key> <zmember>+"),
        (4, "ZCARD <key>"),
        (6, "ZSCORE <key> <zmember>"),
        (4, "ZMSCORE <key> <zmember>+"),
        (6, "(ZRANK|ZREVRANK) <key> <zmember>"),
        (6, "ZCOUNT <key> <bound> <bound>"),
        (10, "ZRANGE <key> <rank> <rank> [REV] [WITHSCORES]"),
        (
            10,
            "ZRANGE <key> <bound> <bound> BYSCORE [REV] [LIMIT <rank> <rank>] [WITHSCORES]",
        ),
        (5, "ZREVRANGE <key> <rank> <rank> [WITHSCORES]"),
        (
            8,
            "(ZRANGEBYSCORE|ZREVRANGEBYSCORE) <key> <bound> <bound> \
[WITHSCORES] [LIMIT <rank> <rank>]",
        ),
        (6, "ZRANGESTORE <key> <key> <rank> <rank> [REV]"),
        (
            4,
            "ZRANGESTORE <key> <key> <bound> <bound> BYSCORE [REV] [LIMIT <rank> <rank>]",
        ),
        (3, "ZREMRANGEBYRANK <key> <rank> <rank>"),
        (3, "ZREMRANGEBYSCORE <key> <bound> <bound>"),
        // Keys of their own, where all scores are equal: other ranges of bytes mean nothing.
        (12, "ZADD <lexkey> 0 <zmember>"),
        (12, "ZADD <lexkey> (0 <zmember>)+"),
        (3, "ZLEXCOUNT <lexkey> <lex> <lex>"),
        (
            6,
            "ZRANGE <lexkey> <lex> <lex> BYLEX [REV] [LIMIT <rank> <rank>]",
        ),
        (
            6,
            "(ZRANGEBYLEX|ZREVRANGEBYLEX) <lexkey> <lex> <lex> [LIMIT <rank> <rank>]",
        ),
        (2, "ZREMRANGEBYLEX <lexkey> <lex> <lex>"),
        (4, "ZRANGESTORE <key> <lexkey> <lex> <lex> BYLEX [REV]"),
        (6, "(ZPOPMIN|ZPOPMAX) <key> [<rank>]"),
        (5, "ZMPOP 1 <key> (MIN|MAX) [COUNT <rank>]"),
        (5, "ZMPOP 2 <key> <key> (MIN|MAX) [COUNT <rank>]"),
        (4, "ZRANDMEMBER <key> [<rank> [WITHSCORES]]"),
        (4, "ZSCAN <key> 0 [MATCH <pattern>] [COUNT <count>]"),
        (
            8,
            "(ZUNION|ZINTER) 2 <key> <key> [WEIGHTS <score> <score>] \
[AGGREGATE (SUM|MIN|MAX)] [WITHSCORES]",
        ),
        (
            8,
            "(ZUNION|ZINTER) 2 <key> <key> [WEIGHTS 2 -1] AGGREGATE (SUM|MIN|MAX) [WITHSCORES]",
        ),
        (
            8,
            "(ZUNIONSTORE|ZINTERSTORE) <key> 2 <key> <key> [WEIGHTS 1 3] AGGREGATE (SUM|MIN|MAX)",
        ),
        (4, "(ZUNION|ZINTER) 1 <key> [WEIGHTS <score>] [WITHSCORES]"),
        (4, "(ZUNION|ZINTER|ZDIFF) 3 <key> <key> <key> [WITHSCORES]"),
        (4, "ZDIFF 2 <key> <key> [WITHSCORES]"),
        (4, "ZINTERCARD 2 <key> <key> [LIMIT <rank>]"),
        (
            8,
            "(ZUNIONSTORE|ZINTERSTORE) <key> 2 <key> <key> [WEIGHTS <score> \
<score>] [AGGREGATE (SUM|MIN|MAX)]",
        ),
        (
            6,
            "(ZUNIONSTORE|ZINTERSTORE|ZDIFFSTORE) <key> 3 <key> <key> <key>",
        ),
        (4, "ZDIFFSTORE <key> 2 <key> <key>"),
        (4, "(BZPOPMIN|BZPOPMAX) <key> [<key>] <z-patience>"),
        (
            4,
            "BZMPOP <z-patience> 2 <key> <key> (MIN|MAX) [COUNT <rank>]",
        ),
        (4, "OBJECT ENCODING <key>"),
    ],
    words: |kind| {
        Some(match kind {
            "z-patience" => &["0.001", "0.002", "1e-3", "-1", "x", "inf"],
            "score" => &[
                "1",
                "2",
                "-1.5",
                "3",
                "0",
                "0.1",
                "1e17",
                "inf",
                "-inf",
                "+inf",
                "1e-7",
                "x",
                "nan",
                "4611686018427387904",
                "-3e18",
            ],
            "bound" => &[
                "1", "(1", "-inf", "+inf", "2", "(2", "0", "(-1.5", "1e17", "(inf", "x", "", " 1",
            ],
            "rank" => &[
                "0",
                "1",
                "-1",
                "2",
                "-2",
                "5",
                "100",
                "-100",
                "x",
                "9223372036854775807",
            ],
            "lex" => &["-", "+", "[b", "(b", "[", "(member", "[1", "(c", "x", "[z"],
            "zmember" => &[
                "a",
                "b",
                "1",
                "c",
                "d",
                "-5",
                "member",
                "",
                "10",
                "e",
                "f",
                "a-member-of-many-bytes",
                "a member that is longer than the sixty-four bytes which a \
listpack takes by default",
                "\u{1}",
                "9223372036854775808",
                "g",
                "h",
                "007",
            ],
            "lexkey" => &["{a}lex", "lexes"],
            _ => return None,
        })
    },
};
