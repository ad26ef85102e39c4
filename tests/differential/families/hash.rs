//! Patterns for hashes.

use super::Family;

pub(super) const FAMILY: Family = Family {
    templates: &[
        (40, "HSET <key> (<field> <hash-element>)+"),
        (8, "HSET <key> <field> [<hash-element>]"),
        (8, "HMSET <key> (<field> <hash-element>)+"),
        (10, "HSETNX <key> <field> <hash-element>"),
        (14, "HGET <key> <field>"),
        (10, "HMGET <key> <field>+"),
        (14, "(HGETALL|HKEYS|HVALS|HLEN) <key>"),
        (10, "(HSTRLEN|HEXISTS) <key> <field>"),
        (16, "HDEL <key> <field>+"),
        (14, "HINCRBY <key> <field> <int>"),
        (14, "HINCRBYFLOAT <key> <field> <float>"),
        (6, "HRANDFIELD <key> [<hash-draws> [WITHVALUES|<field>]]"),
        (8, "HSCAN-ALL <key> [MATCH <pattern>] [COUNT <count>]"),
        (4, "HSCAN <key> <int> [MATCH <pattern>] [COUNT <int>]"),
        (10, "OBJECT ENCODING <key>"),
        (4, "DEBUG DIGEST-VALUE <key>"),
        (4, "COPY <key> <key> [REPLACE]"),
        (4, "(DEL|TYPE|EXISTS) <key>"),
    ],
    words: |kind| {
        Some(match kind {
            "field" => FIELDS,
            "hash-element" => ELEMENTS,
            "hash-draws" => DRAWS,
            _ => return None,
        })
    },
};

const FIELDS: &[&str] = &[
    "a",
    "b",
    "7",
    "field",
    "c",
    "d",
    "e",
    "f",
    "g",
    "h",
    "-1",
    "007",
    "",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "\u{e9}\r\n\0",
    "0123456789012345678901234567890123456789012345678901234567890123",
    "01234567890123456789012345678901234567890123456789012345678901234",
];

const ELEMENTS: &[&str] = &[
    "1",
    "10",
    "value",
    "1.5",
    "0",
    "-1",
    "127",
    "128",
    "4095",
    "-4097",
    "32768",
    "8388608",
    "2147483648",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "007",
    " 1",
    "1 ",
    "3.0e2",
    "nan",
    "inf",
    "",
    "bin\0\r\n",
    "0123456789012345678901234567890123456789012345678901234567890123",
    "01234567890123456789012345678901234567890123456789012345678901234",
];

const DRAWS: &[&str] = &[
    "1",
    "-3",
    "100",
    "2",
    "0",
    "-0",
    "x",
    "9223372036854775807",
    "-9223372036854775808",
];
