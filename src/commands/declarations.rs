//! Compares the declarations with what redis-server 7.0.15 says of the same commands.
//!
//! The facts are in `tests/conformance/declarations.txt`, written by `declare.py` beside it; those of
//! commands that came later in `declarations_newer.txt`, written by hand from their documentation.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use crate::key_object;
use crate::spec::{Argument, ArgumentKind, BeginSearch, Category, Declaration, FindKeys, KeySpec};
use crate::table::declarations::GROUP;

/// A part of a declaration that follows a later version of Redis.
struct Newer {
    command: &'static str,
    in_redis: &'static str,
    here: &'static str,
}

/// Redis 7.2 has WITHSCORE.
const NEWER: &[Newer] = &[
    Newer {
        command: "zrank",
        in_redis: "arity 3",
        here: "arity -3",
    },
    Newer {
        command: "zrank",
        in_redis: "group sorted-set",
        here: "group sorted-set\nhistory 7.2.0",
    },
    Newer {
        command: "zrank",
        in_redis: "argument member string",
        here: "argument member string\nargument withscore pure-token token=WITHSCORE optional",
    },
    Newer {
        command: "zrevrank",
        in_redis: "arity 3",
        here: "arity -3",
    },
    Newer {
        command: "zrevrank",
        in_redis: "group sorted-set",
        here: "group sorted-set\nhistory 7.2.0",
    },
    Newer {
        command: "zrevrank",
        in_redis: "argument member string",
        here: "argument member string\nargument withscore pure-token token=WITHSCORE optional",
    },
];

/// Lists every declaration of a command that Redis has, with its full name, subcommands included.
fn declarations() -> Vec<(String, Declaration)> {
    let mut found = vec![("memory|usage".to_owned(), key_object::USAGE.declaration)];
    for command in crate::all() {
        let declaration = command.declaration;
        if declaration.docs.group == GROUP {
            continue;
        }
        found.push((declaration.name.to_owned(), declaration));
        for subcommand in declaration.subcommands {
            found.push((
                format!("{}|{}", declaration.name, subcommand.name),
                *subcommand,
            ));
        }
    }
    found
}

/// Writes the facts of a declaration as `declare.py` does.
fn facts(name: &str, declaration: &Declaration) -> String {
    let mut lines = vec![
        format!("command {name}"),
        format!("arity {}", declaration.arity.wire()),
    ];
    let words = |head: &str, rest: Vec<String>| {
        std::iter::once(head.to_owned())
            .chain(rest)
            .collect::<Vec<_>>()
            .join(" ")
    };
    lines.push(words(
        "flags",
        declaration.flags.names().map(str::to_owned).collect(),
    ));
    lines.push(positions(declaration));
    let categories = Category::ALL
        .iter()
        .filter(|category| declaration.is_in(**category));
    lines.push(words(
        "categories",
        categories.map(|each| format!("@{}", each.name())).collect(),
    ));
    lines.extend(declaration.tips.iter().map(|tip| format!("tip {tip}")));
    lines.extend(declaration.keys.iter().map(key));
    let docs = declaration.docs;
    lines.push(format!("since {}", docs.since));
    lines.push(format!("group {}", docs.group));
    lines.extend(
        docs.history
            .iter()
            .map(|(version, _)| format!("history {version}")),
    );
    lines.extend(
        docs.deprecated
            .map(|(since, by)| format!("deprecated {since} {by}")),
    );
    arguments(&mut lines, docs.arguments, 0);
    lines.join("\n")
}

/// First key, last key and step as old clients know them: from the first specification with a fixed
/// begin, reaching over those behind it.
fn positions(declaration: &Declaration) -> String {
    let mut first_last_step = (0_i64, 0_i64, 0_i64);
    for spec in declaration.keys {
        let BeginSearch::Index(index) = spec.begin else {
            // Nor are they told of keys behind a word.
            continue;
        };
        // Keys that a number counts have no place that old clients could know.
        let FindKeys::Range { last, step, .. } = spec.find else {
            continue;
        };
        let (index, last) = (i64::from(index), i64::from(last));
        let last = if last < 0 { last } else { index + last };
        first_last_step = match first_last_step {
            (0, ..) => (index, last, i64::from(step)),
            // A negative one counts from the end of the request.
            (first, before, step) if before < 0 || last < 0 => (first, before.min(last), step),
            (first, before, step) => (first, before.max(last), step),
        };
    }
    let (first, last, step) = first_last_step;
    format!("positions {first} {last} {step}")
}

fn key(spec: &KeySpec) -> String {
    let begin = match spec.begin {
        BeginSearch::Index(index) => format!("index {index}"),
        BeginSearch::Keyword(word, from) => format!("keyword {word} {from}"),
        BeginSearch::Unknown => "unknown".to_owned(),
    };
    let find = match spec.find {
        FindKeys::Range { last, step, limit } => format!("range {last} {step} {limit}"),
        FindKeys::KeyNum { at, first, step } => format!("keynum {at} {first} {step}"),
        FindKeys::Unknown | FindKeys::Search(_) => "unknown".to_owned(),
    };
    format!("key {begin} {find} {}", spec.flags.join(" "))
}

fn arguments(lines: &mut Vec<String>, all: &[Argument], depth: usize) {
    for argument in all {
        let (kind, inner): (_, &[Argument]) = match argument.kind {
            ArgumentKind::Text => ("string", &[]),
            ArgumentKind::Integer => ("integer", &[]),
            ArgumentKind::Double => ("double", &[]),
            ArgumentKind::Key(_) => ("key", &[]),
            ArgumentKind::Pattern | ArgumentKind::KeyPattern(_) => ("pattern", &[]),
            ArgumentKind::UnixTime => ("unix-time", &[]),
            ArgumentKind::PureToken => ("pure-token", &[]),
            ArgumentKind::OneOf(choices) => ("oneof", choices),
            ArgumentKind::Block(parts) => ("block", parts),
        };
        let mut line = format!("{}argument {} {kind}", "  ".repeat(depth), argument.name);
        if let ArgumentKind::Key(spec) | ArgumentKind::KeyPattern(spec) = argument.kind {
            write!(line, " key_spec_index={spec}").unwrap();
        }
        let fields = [
            ("token", argument.token),
            ("since", argument.since),
            ("deprecated_since", argument.deprecated_since),
        ];
        for (name, value) in fields {
            if let Some(value) = value {
                write!(line, " {name}={value}").unwrap();
            }
        }
        let flags = [
            (argument.optional, " optional"),
            (argument.multiple, " multiple"),
            (argument.multiple_token, " multiple_token"),
        ];
        flags
            .iter()
            .filter(|(is_set, _)| *is_set)
            .for_each(|(_, name)| line.push_str(name));
        lines.push(line);
        arguments(lines, inner, depth + 1);
    }
}

#[test]
fn declarations_state_the_facts_that_redis_states() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let (text, newer) = (read("declarations.txt"), read("declarations_newer.txt"));
    let mut expected: BTreeMap<&str, &str> = BTreeMap::new();
    let blocks = [&text, &newer].map(|text| text.trim_end().split("\n\n"));
    for block in blocks.into_iter().flatten() {
        let name = block
            .lines()
            .next()
            .unwrap()
            .strip_prefix("command ")
            .unwrap();
        expected.insert(name, block);
    }
    for (name, declaration) in declarations() {
        let block = expected.remove(name.as_str()).unwrap_or_default();
        let newer = NEWER.iter().filter(|change| change.command == name);
        let block = newer.fold(block.to_owned(), |block, change| {
            assert!(block.contains(change.in_redis), "{name}");
            block.replace(change.in_redis, change.here)
        });
        assert_eq!(facts(&name, &declaration), block, "{name}");
    }
    assert!(expected.is_empty(), "not declared: {:?}", expected.keys());
}

#[test]
fn every_declaration_has_its_sentences_and_a_lower_case_name_of_its_own() {
    let mut names = BTreeMap::new();
    for (name, declaration) in declarations() {
        assert_eq!(name, name.to_ascii_lowercase());
        assert!(declaration.docs.summary.ends_with('.'), "{name}");
        assert!(!declaration.docs.complexity.is_empty(), "{name}");
        assert!(
            declaration
                .docs
                .history
                .iter()
                .all(|(_, what)| !what.is_empty()),
            "{name}"
        );
        assert_eq!(
            names.insert(name.clone(), ()),
            None,
            "{name} is declared twice"
        );
    }
}

#[test]
fn table_commands_have_their_sentences_and_upper_case_names_of_their_own() {
    let all: Vec<&Declaration> = crate::table::COMMANDS
        .iter()
        .map(|command| &command.declaration)
        .collect();
    for (index, declaration) in all.iter().enumerate() {
        let name = declaration.name;
        assert_eq!(name, name.to_ascii_uppercase());
        assert!(name.starts_with("TABLE."), "{name}");
        assert!(declaration.docs.summary.ends_with('.'), "{name}");
        assert!(declaration.docs.complexity.ends_with('.'), "{name}");
        assert!(declaration.is_in(Category::Table), "{name}");
        assert!(
            all[..index].iter().all(|other| other.name != name),
            "{name}"
        );
    }
}
