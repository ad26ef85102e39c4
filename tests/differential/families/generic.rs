//! Patterns for commands that work on keys of any type.
//!
//! SORT has keys of its own, a few for each type: members of sets come in an order that differs, and
//! Redis gives sorted sets another encoding when it sorts them. No element of theirs is a number out of
//! range: after one Redis may refuse other numbers too, until something clears `errno`.

use super::Family;

pub(super) const FAMILY: Family = Family {
    templates: &[
        // Values of every type under the common keys.
        (8, "RPUSH <key> <sort-element>+"),
        (8, "SADD <key> <sort-element>+"),
        (8, "HSET <key> (<sort-element> <sort-element>)+"),
        (8, "ZADD <key> (<sort-weight> <sort-element>)+"),
        (6, "SET <key> <sort-element>"),
        (6, "SETBIT <key> <count> 1"),
        (6, "PFADD <key> <sort-element>+"),
        (10, "COPY <key> <key> [DB <db>] [REPLACE]"),
        (10, "(RENAME|RENAMENX) <key> <key>"),
        (6, "MOVE <key> <db>"),
        (6, "OBJECT (ENCODING|REFCOUNT|IDLETIME) <key>"),
        (6, "(TYPE|PERSIST|TTL) <key>"),
        (6, "(DEL|UNLINK|EXISTS|TOUCH) <key>+"),
        (6, "EXPIRE <key> <seconds> [NX|XX|GT|LT]"),
        (6, "SCAN-ALL TYPE (string|list|set|hash|zset|zzz)"),
        (4, "DEBUG DIGEST-VALUE <key>"),
        (4, "MEMORY USAGE <key>"),
        // What is sorted, and by what.
        (16, "(RPUSH|LPUSH) <sort-list> <sort-element>+"),
        (12, "RPUSH <sort-list> <sort-number>+"),
        (12, "SADD <sort-set> <sort-element>+"),
        (8, "SADD <sort-set> <sort-number>+"),
        (16, "ZADD <sort-zset> (<sort-weight> <sort-element>)+"),
        (12, "MSET (<weight-key> <sort-weight>)+"),
        (12, "HSET <weight-hash> (<sort-field> <sort-weight>)+"),
        (
            6,
            "DEL (<weight-key>|<weight-hash>|<sort-list>|<sort-set>|<sort-zset>)",
        ),
        (
            40,
            "(SORT|SORT_RO) <sort-list> [BY <pattern-by>] [LIMIT <offset-in> <count-in>] [GET <pattern-get>] \
             [GET <pattern-get>] [ASC|DESC] [ALPHA]",
        ),
        (
            30,
            "SORT <sort-list> [BY <pattern-by>] [LIMIT <offset-in> <count-in>] [GET <pattern-get>] \
             [GET <pattern-get>] [ASC|DESC] [ALPHA] STORE (<sort-list>|<key>)",
        ),
        (
            20,
            "(SORT|SORT_RO) (<sort-set>|<sort-zset>) [BY <pattern-by-keys>] [LIMIT <offset-in> <count-in>] \
             [GET <pattern-get>] [ASC|DESC]",
        ),
        (
            20,
            "(SORT|SORT_RO) (<sort-set>|<sort-zset>) ALPHA [LIMIT <offset-in> <count-in>] [GET <pattern-get>] \
             [ASC|DESC]",
        ),
        (
            16,
            "(SORT|SORT_RO) <sort-zset> BY nosort [LIMIT <offset-in> <count-in>] [GET <pattern-get>] \
             [ASC|DESC] [ALPHA]",
        ),
        (8, "(SORT|SORT_RO) <sort-set> BY nosort [ASC|DESC]"),
        (
            12,
            "SORT (<sort-set>|<sort-zset>) BY nosort [LIMIT <offset-in> <count-in>] [GET <pattern-get>] \
             [ASC|DESC] STORE (<sort-list>|<key>)",
        ),
        (
            8,
            "SORT (<weight-key>|<weight-hash>) [BY <pattern-by>] [STORE <key>]",
        ),
        (
            8,
            "(SORT|SORT_RO) <sort-list> (LIMIT <offset-in>|LIMIT a 1|LIMIT 0 a|GET|BY|STORE|FOO|STORE <key> FOO)",
        ),
        (8, "LRANGE (<sort-list>|<key>) 0 -1"),
    ],
    words,
};

fn words(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "sort-list" => &["sort:list:1", "sort:list:2", "sort:list:3"],
        "sort-set" => &["sort:set:1", "sort:set:2"],
        "sort-zset" => &["sort:zset:1", "sort:zset:2"],
        "sort-number" => &[
            "3", "1", "2", "10", "-5", "1.5", "0x10", "inf", "-inf", "", "1e3", "007",
        ],
        "sort-element" => &["3", "1", "2", "10", "a", "b", "foo", "1.5", "", "B", "1 "],
        "sort-weight" => &["3", "1", "2", "10", "-5", "1.5", "1", "2"],
        "weight-key" => &["w:3", "w:1", "w:2", "w:10", "w:a", "w:foo", "w:1.5", "w:"],
        "weight-hash" => &["h:3", "h:1", "h:2", "h:10", "h:a", "h:b"],
        "sort-field" => &["f", "g"],
        "pattern-by" => &[
            "w:*", "h:*->f", "nosort", "w:*", "missing*", "#", "h:*", "w:*->f", "*",
        ],
        "pattern-by-keys" => &["w:*", "h:*->f", "h:*->g", "missing*"],
        "pattern-get" => &[
            "#",
            "w:*",
            "h:*->f",
            "h:*->g",
            "nothing",
            "h:*",
            "w:*->",
            "missing:*",
        ],
        "offset-in" => &["0", "1", "2", "5", "-1", "100"],
        "count-in" => &["2", "1", "-1", "10", "0", "-7"],
        _ => return None,
    })
}
