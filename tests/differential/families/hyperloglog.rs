//! Patterns for cardinality sketches.

use super::Family;

pub(super) const FAMILY: Family = Family {
    templates: &[
        (30, "PFADD <key> <sketch-element>*"),
        (
            10,
            "PFADD <key> <sketch-element>+ <sketch-element>+ <sketch-element>+ <sketch-element>+ <sketch-element>+",
        ),
        (20, "PFCOUNT <key>"),
        (12, "PFCOUNT <key>+"),
        (16, "PFMERGE <key> <key>*"),
        (6, "PFDEBUG (ENCODING|DECODE|TODENSE) <key>"),
        (1, "PFDEBUG (GETREG|<sketch-element>) <key>"),
        (10, "GET <key>"),
        (4, "OBJECT ENCODING <key>"),
        (4, "DEL <key>"),
        (2, "SET <key> <sketch>"),
    ],
    words,
};

fn words(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "sketch-element" => &[
            "a",
            "b",
            "c",
            "d",
            "e",
            "f",
            "g",
            "h",
            "i",
            "j",
            "k",
            "l",
            "m",
            "n",
            "",
            "\0",
            "12345678",
            "123456789",
            "a rather long element, longer than any word",
        ],
        // Two whose count is known and whose registers do not add up, and some that are none.
        "sketch" => &[
            "HYLL\u{1}\0\0\0\0\0\0\0\0\0\0\0",
            "HYLL\u{1}\0\0\0\u{5}\0\0\0\0\0\0\0\u{48}\0",
            "HYLL",
            "HYLL\u{2}\0\0\0\0\0\0\0\0\0\0\0",
            "HYLL\0\0\0\0\0\0\0\0\0\0\0\0",
        ],
        _ => return None,
    })
}
