//! Patterns for streams.
//!
//! Ids are given, as those of the clock would differ, and BLOCK is only for reads that never wait.

use super::Family;

pub(super) const FAMILY: Family = Family {
    templates: &[
        (60, "XADD <x-key> <new-id> (<value> <value>)+"),
        (
            30,
            "XADD <x-key> [NOMKSTREAM] (MAXLEN|MINID) [=|~] <x-count> [LIMIT <x-count>] <new-id> \
             <value> <value>",
        ),
        (4, "XADD <x-key> <x-option>* <value> <value> <value>"),
        (8, "XLEN <x-key>"),
        (20, "XRANGE <x-key> <x-bound> <x-bound> [COUNT <x-count>]"),
        (
            20,
            "XREVRANGE <x-key> <x-bound> <x-bound> [COUNT <x-count>]",
        ),
        (14, "XDEL <x-key> <x-id>+"),
        (
            14,
            "XTRIM <x-key> (MAXLEN|MINID) [=|~] <x-count> [LIMIT <x-count>]",
        ),
        (3, "XTRIM <x-key> <x-option>+"),
        (
            6,
            "XSETID <x-key> <x-id> [ENTRIESADDED <x-count>] [MAXDELETEDID <x-id>]",
        ),
        (
            10,
            "XREAD [COUNT <x-count>] [BLOCK 1] STREAMS <x-key> <read-id>",
        ),
        (
            10,
            "XREAD [COUNT <x-count>] STREAMS <x-key> <x-key> <read-id> <read-id>",
        ),
        (3, "XREAD STREAMS <x-key>+ <read-id>+"),
        (
            40,
            "XREADGROUP GROUP <group> <consumer> [COUNT <x-count>] [NOACK] STREAMS <x-key> \
             (>|<read-id>)",
        ),
        (
            10,
            "XREADGROUP GROUP <group> <consumer> [COUNT <x-count>] STREAMS <x-key> <x-key> \
             (>|<read-id>) (>|<read-id>)",
        ),
        (
            2,
            "XREADGROUP GROUP <group> <consumer> BLOCK 0 STREAMS <x-key> 0",
        ),
        (
            24,
            "XGROUP CREATE <x-key> <group> <group-id> [MKSTREAM] [ENTRIESREAD <x-count>]",
        ),
        (
            8,
            "XGROUP SETID <x-key> <group> <group-id> [ENTRIESREAD <x-count>]",
        ),
        // Words that make sense together, so that groups have entries pending.
        (60, "XGROUP CREATE stream:1 g (0|$) MKSTREAM"),
        (
            50,
            "XREADGROUP GROUP g <consumer> [COUNT 2] [NOACK] STREAMS stream:1 >",
        ),
        (
            10,
            "XREADGROUP GROUP g <consumer> [COUNT 2] [BLOCK 0] STREAMS stream:1 0",
        ),
        (16, "XGROUP SETID stream:1 g (0|$|5-1) [ENTRIESREAD 1]"),
        (
            16,
            "XPENDING stream:1 g [IDLE (0|100000)] - + 10 [<consumer>]",
        ),
        (
            16,
            "XCLAIM stream:1 g <consumer> 0 <x-id>+ [IDLE 200000|TIME 1] [RETRYCOUNT 3] [FORCE] [JUSTID] \
             [LASTID 5-2]",
        ),
        (
            16,
            "XAUTOCLAIM stream:1 g <consumer> 0 - [COUNT 2] [JUSTID]",
        ),
        (
            8,
            "XSETID stream:1 9-9 [ENTRIESADDED 20] [MAXDELETEDID 5-1]",
        ),
        (
            12,
            "XGROUP (CREATECONSUMER|DELCONSUMER) stream:1 g <consumer>",
        ),
        (3, "XGROUP DESTROY <x-key> <group>"),
        (
            6,
            "XGROUP (CREATECONSUMER|DELCONSUMER) <x-key> <group> <consumer>",
        ),
        (1, "XGROUP (HELP|<x-option>) <x-key>*"),
        (14, "XACK <x-key> <group> <x-id>+"),
        (12, "XPENDING <x-key> <group>"),
        (
            14,
            "XPENDING <x-key> <group> [IDLE (0|100000)] <x-bound> <x-bound> <x-count> [<consumer>]",
        ),
        (
            20,
            "XCLAIM <x-key> <group> <consumer> (0|-1|100000) <x-id>+ [IDLE (0|200000)|TIME (1|-1)] \
             [RETRYCOUNT <x-count>] [FORCE] [JUSTID] [LASTID <x-id>]",
        ),
        (3, "XCLAIM <x-key> <group> <consumer> 0 <x-id> <x-option>*"),
        (
            16,
            "XAUTOCLAIM <x-key> <group> <consumer> (0|100000) <x-bound> [COUNT <x-count>] [JUSTID]",
        ),
        (14, "XINFO STREAM <x-key> [FULL|FULL COUNT <x-count>]"),
        (16, "XINFO GROUPS <x-key>"),
        (8, "XINFO CONSUMERS <x-key> <group>"),
        (1, "XINFO (HELP|<x-option>) <x-key>*"),
    ],
    words,
};

fn words(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        // Of their own: groups are rare enough on them.
        "x-key" => &[
            "stream:1", "stream:1", "stream:1", "stream:2", "a", "{tag}1",
        ],
        "new-id" => NEW_IDS,
        "x-id" => IDS,
        "x-bound" => BOUNDS,
        "read-id" => READ_IDS,
        "group-id" => GROUP_IDS,
        "group" => &["g", "h", "g", "g", "", "none"],
        "consumer" => &["alice", "bob", "alice", "bob", "", "c\r\n\u{0}x"],
        "x-count" => COUNTS,
        "x-option" => OPTIONS,
        _ => return None,
    })
}

/// Mostly those that are always above the last.
const NEW_IDS: &[&str] = &[
    "5-*", "6-*", "7-*", "5-*", "5-1", "5-2", "6-1", "6-3", "7-5", "8", "9-*", "0-*", "0-0", "0-1",
    "1", "1-1", "007", " 8", "+9", "x", "5-x", "-", "+", "", "5-",
];

const IDS: &[&str] = &[
    "5-1", "5-2", "5-0", "5-3", "6-0", "6-1", "7-0", "0-1", "0-0", "1", "8", "9-9", "5", "x", "-",
    "5-*", "5-", "007-1",
];

const BOUNDS: &[&str] = &[
    "-",
    "+",
    "5",
    "6",
    "-",
    "0",
    "(5-1",
    "(6",
    "5-2",
    "(0-0",
    "7-1",
    "(18446744073709551615-18446744073709551615",
    "(",
    "(-",
    "x",
    "18446744073709551615",
    "5-*",
];

const READ_IDS: &[&str] = &[
    "0",
    "0",
    "5-1",
    "6",
    "$",
    "5-0",
    "7-2",
    ">",
    "x",
    "-",
    "+",
    "18446744073709551615-18446744073709551614",
    "18446744073709551615-18446744073709551615",
];

const GROUP_IDS: &[&str] = &["0", "$", "5-1", "6", "0-1", "5-2", "7-0", "9-9", "x", "-"];

/// Ids and numbers alike.
const COUNTS: &[&str] = &["1", "2", "3", "5", "0", "10", "-1", "6-0", "x", "100"];

const OPTIONS: &[&str] = &[
    "MAXLEN",
    "MINID",
    "~",
    "=",
    "LIMIT",
    "5",
    "0",
    "NOMKSTREAM",
    "5-1",
    "6-*",
    "IDLE",
    "FORCE",
    "JUSTID",
    "LASTID",
    "RETRYCOUNT",
    "COUNT",
];
