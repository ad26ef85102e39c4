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
];

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
