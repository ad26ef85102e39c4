//! Patterns for sets.
//!
//! What SPOP takes by chance would differ from then on: it takes all or nothing here, and its words are
//! not damaged. Chance itself has tests of its own (`src/types/set/tests.rs`).

use super::Family;

pub(super) const FAMILY: Family = Family {
    templates: &[
        (50, "SADD <key> <member>+"),
        (20, "SADD <key> <number>+"),
        (20, "SREM <key> <member>+"),
        (6, "SREM <key> <number>+"),
        (10, "SCARD <key>"),
        (10, "SISMEMBER <key> <member>"),
        (10, "SMISMEMBER <key> <member>+"),
        (16, "SMEMBERS <key>"),
        (16, "SMOVE <key> <key> <member>"),
        (6, "SMOVE <key> <key> <number>"),
        (10, "(SINTER|SUNION|SDIFF) <key>+"),
        (20, "(SINTER|SUNION|SDIFF) <key> <key>"),
        (10, "(SINTERSTORE|SUNIONSTORE|SDIFFSTORE) <key> <key>+"),
        (20, "(SINTERSTORE|SUNIONSTORE|SDIFFSTORE) <key> <key> <key>"),
        (4, "SINTERCARD <key-count> <key>+ [LIMIT <int>]"),
        (10, "SINTERCARD 2 <key> <key> [LIMIT <limit>]"),
        (8, "SPOP <key> <all>"),
        (8, "SRANDMEMBER <key> [<draws>]"),
        (12, "SSCAN-ALL <key> [MATCH <pattern>] [COUNT <count>]"),
        (4, "SSCAN <key> <int> [MATCH <pattern>] [COUNT <int>]"),
        (14, "OBJECT ENCODING <key>"),
        (6, "DEBUG DIGEST-VALUE <key>"),
        (6, "COPY <key> <key> [REPLACE]"),
        (6, "EXPIRE <key> <seconds>"),
        (6, "(DEL|TYPE|EXISTS|TTL) <key>"),
    ],
    words: |kind| {
        Some(match kind {
            "member" => MEMBERS,
            "number" => NUMBERS,
            "key-count" => &[
                "1",
                "2",
                "3",
                "4",
                "0",
                "-1",
                "abc",
                "",
                "9223372036854775807",
            ],
            "limit" => &["0", "1", "2", "3", "100", "-1", "abc", ""],
            "all" => &["1000", "0", "9223372036854775807", "-1", "abc", "", "1.5"],
            "draws" => &["1", "3", "-3", "0", "100", "-100", "abc", "", "1.5"],
            _ => return None,
        })
    },
};

const MEMBERS: &[&str] = &[
    "a",
    "1",
    "b",
    "2",
    "c",
    "d",
    "e",
    "f",
    "3",
    "-1",
    "007",
    "+1",
    "-0",
    "",
    "32767",
    "32768",
    "-2147483649",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "\u{e9}\r\n\0",
    "0123456789012345678901234567890123456789012345678901234567890123",
    "01234567890123456789012345678901234567890123456789012345678901234",
];

const NUMBERS: &[&str] = &[
    "1",
    "2",
    "3",
    "4",
    "5",
    "6",
    "7",
    "8",
    "9",
    "10",
    "0",
    "-1",
    "32768",
    "-32769",
    "2147483648",
    "9223372036854775807",
    "-9223372036854775808",
];
