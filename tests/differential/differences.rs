//! Where replies differ from those of Redis on purpose, each with its reason.
//!
//! docs/differences.md says the same for users. What is not listed here has to agree.

use super::rules::Rule;

/// One deliberate difference.
struct Difference {
    /// The first words of the command, in capitals; `*` is any word.
    command: &'static [&'static str],
    /// What still has to hold.
    rule: Rule,
    /// Why it differs.
    #[expect(
        dead_code,
        reason = "for the reader; a difference without reason is a mistake"
    )]
    reason: &'static str,
}

const DELIBERATE: &[Difference] = &[
    Difference {
        command: &["*", "HELP"],
        rule: Rule::Any,
        reason: "help is in our own words and lists the subcommands that there are",
    },
    Difference {
        command: &["LOLWUT"],
        rule: Rule::Any,
        reason: "it draws the server's own picture and version",
    },
    Difference {
        command: &["COMMAND", "COUNT"],
        rule: Rule::Shape,
        reason: "the servers have different commands; tests/commands_agree.py compares those of both",
    },
    Difference {
        command: &["OBJECT", "REFCOUNT"],
        rule: Rule::Shape,
        reason: "Redis shares small integers between keys; cores that share nothing cannot",
    },
    Difference {
        command: &["OBJECT", "IDLETIME"],
        rule: Rule::Shape,
        reason: "a small integer that Redis shares between keys is as idle as the last key used",
    },
    Difference {
        command: &["MEMORY", "USAGE"],
        rule: Rule::Size,
        reason: "sizes are our own; Redis shows a dead key until it is removed, here it is gone",
    },
    Difference {
        command: &["DEBUG", "STRINGMATCH-LEN"],
        rule: Rule::Newer,
        reason: "7.0.15 does not know it; later versions do, and their test suite uses it",
    },
];

/// One deliberate difference of a whole connection.
struct RawDifference {
    /// Name of the script.
    script: &'static str,
    /// What we say.
    ours: &'static str,
    /// Why it differs.
    #[expect(
        dead_code,
        reason = "for the reader; a difference without reason is a mistake"
    )]
    reason: &'static str,
}

const DELIBERATE_RAW: &[RawDifference] = &[
    RawDifference {
        script: "replies off in a transaction",
        ours: "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n-ERR CLIENT REPLY OFF and SKIP are not possible \
               inside a transaction\r\n+PONG\r\n+PONG\r\n+OK\r\n",
        reason: "in Redis the reply of EXEC has fewer elements than it says",
    },
    RawDifference {
        script: "replies off and a protocol error",
        ours: "-ERR Protocol error: invalid multibulk length\r\n",
        reason: "it is the last thing that the client is told, and says why the connection ends",
    },
    RawDifference {
        script: "too long inline",
        ours: "-ERR Protocol error: too big inline request\r\n",
        reason: "Redis lets a line of any length pass if its end is among the bytes it reads at once",
    },
    RawDifference {
        script: "too long count",
        ours: "-ERR Protocol error: too big mbulk count string\r\n",
        reason: "Redis lets a line of any length pass if its end is among the bytes it reads at once",
    },
    RawDifference {
        script: "too long length",
        ours: "-ERR Protocol error: too big bulk count string\r\n",
        reason: "Redis lets a line of any length pass if its end is among the bytes it reads at once",
    },
];

/// Returns what we say in a connection of [`super::raw`], if that differs on purpose.
pub(super) fn raw_reply_for(script: &str) -> Option<&'static str> {
    DELIBERATE_RAW
        .iter()
        .find(|difference| difference.script == script)
        .map(|difference| difference.ours)
}

/// Returns the rule of the deliberate difference that covers a command, if there is one.
pub(super) fn rule_for(words: &[Vec<u8>]) -> Option<Rule> {
    DELIBERATE
        .iter()
        .find(|difference| {
            difference.command.len() <= words.len()
                && difference
                    .command
                    .iter()
                    .zip(words)
                    .all(|(name, word)| *name == "*" || word.eq_ignore_ascii_case(name.as_bytes()))
        })
        .map(|difference| difference.rule)
}
