//! What the random sequences do not reach, each with its reason.
//!
//! Both lists are exact: what is listed and is reached after all fails the test too.

/// Commands and options (`command OPTION`) that never succeed in random sequences.
pub(super) const UNREACHED: &[(&str, &str)] = &[
    (
        "dump",
        "large values are in each server's own order; tests/dump.rs compares",
    ),
    ("restore", "needs what DUMP returned; tests/dump.rs has it"),
    (
        "pfselftest",
        "keeps a server busy for half a second, and says nothing but OK",
    ),
    ("xadd *", "the clocks of two servers differ"),
    ("zrank WITHSCORE", "Redis 7.0 does not have it"),
    ("zrevrank WITHSCORE", "Redis 7.0 does not have it"),
];

/// Commands of the reference that are not here.
pub(super) const LACKING: &[(&str, &str)] = &[(
    "migrate",
    "talks to another server, which nothing here does yet",
)];
