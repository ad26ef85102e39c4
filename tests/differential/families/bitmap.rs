//! Patterns for bitmaps.

use super::Family;

pub(super) const FAMILY: Family = Family {
    templates: &[
        (6, "SET <key> <bit-string>"),
        (20, "SETBIT <key> <bit-offset> <bit>"),
        (10, "GETBIT <key> <bit-offset>"),
        (16, "BITCOUNT <key> [<index> <index> [BYTE|BIT]]"),
        (
            16,
            "BITPOS <key> <bit> [<index>|<index> <index> [BYTE|BIT]]",
        ),
        (14, "BITOP (AND|OR|XOR) <key> <key>+"),
        (6, "BITOP NOT <key> <key>"),
        (
            20,
            "BITFIELD <key> (GET <bit-field> <field-offset>|SET <bit-field> <field-offset> <field-value>|\
             INCRBY <bit-field> <field-offset> <field-value>|OVERFLOW (WRAP|SAT|FAIL))*",
        ),
        (6, "BITFIELD_RO <key> (GET <bit-field> <field-offset>)*"),
        (8, "GET <key>"),
        (4, "OBJECT ENCODING <key>"),
        (2, "DEL <key>"),
    ],
    words,
};

fn words(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "bit" => &["0", "1", "0", "1", "2", "-1", "01", "abc"],
        "bit-string" => &[
            "foobar",
            "\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}",
            "\0\0\0\0\0\0\0\0\0\0\0\0",
            "\u{ff}\u{100}\u{7ff}",
            "",
            "12345",
        ],
        "bit-offset" => &[
            "0",
            "7",
            "8",
            "100",
            "1",
            "63",
            "64",
            "1000",
            "33000",
            "-1",
            "4294967296",
            "abc",
            "#1",
        ],
        "bit-field" => &[
            "u8", "i8", "u4", "i16", "u1", "i1", "u2", "i5", "u31", "i32", "u63", "i63", "i64",
            "u64", "i65", "u0", "I8", "u08", "8", "",
        ],
        "field-offset" => &[
            "0",
            "#0",
            "#1",
            "3",
            "#2",
            "7",
            "8",
            "100",
            "#7",
            "1000",
            "-1",
            "#-1",
            "#",
            "abc",
            "4294967296",
            "#9223372036854775807",
        ],
        "field-value" => &[
            "1",
            "-1",
            "100",
            "255",
            "0",
            "127",
            "128",
            "-128",
            "-129",
            "256",
            "70000",
            "9223372036854775807",
            "-9223372036854775808",
            "9223372036854775808",
            "abc",
        ],
        _ => return None,
    })
}
