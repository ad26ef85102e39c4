//! Which commands, options and errors the random sequences reach.
//!
//! Replies are counted where they are compared, so what is counted was the same on all servers. Groups are
//! those that the reference tells, options those that our declarations tell, both by COMMAND DOCS.
//!
//! An option counts where its word stands behind the arguments that precede all options; a value that
//! looks like an option can still be taken for one. Help and what lies outside [`GROUPS`] is not counted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use protocol::value::Value;

use super::unreached::{LACKING, UNREACHED};
use crate::support::client::Client;

/// Groups of commands that work on keys.
const GROUPS: &[&str] = &[
    "string",
    "list",
    "hash",
    "set",
    "sorted-set",
    "stream",
    "bitmap",
    "hyperloglog",
    "geo",
    "generic",
];

/// Most characters of an error that tell it from others.
const ERROR_LENGTH: usize = 60;

/// What was seen of one command.
#[derive(Debug, Default)]
struct Seen {
    /// Words before the first option, the name included.
    words_before: usize,
    successes: u64,
    /// Each option of the declaration, and in how many successful runs it appeared.
    options: BTreeMap<String, u64>,
    /// The start of each error reply, and how often it came.
    errors: BTreeMap<String, u64>,
}

/// Counts by command; subcommands are named as in `xgroup|create`.
#[derive(Debug, Default)]
pub(super) struct Coverage {
    commands: BTreeMap<String, Seen>,
    /// Commands that only the reference has.
    lacking: BTreeSet<String>,
}

impl Coverage {
    /// Asks both servers for their commands; nothing is counted yet.
    pub(super) fn new(reference: &mut Client, ours: &mut Client) -> Self {
        let mut grouped = BTreeMap::new();
        documented(&reference.line("COMMAND DOCS"), &mut grouped);
        let mut declared = BTreeMap::new();
        documented(&ours.line("COMMAND DOCS"), &mut declared);
        let mut coverage = Self::default();
        for (name, facts) in grouped {
            let group = text(find(&facts, "group"));
            if !GROUPS.contains(&group.as_str()) {
                continue;
            }
            let Some(facts) = declared.get(&name) else {
                coverage.lacking.insert(name);
                continue;
            };
            // A container does nothing itself, and help is in our own words.
            if find(facts, "subcommands").is_none() && !name.ends_with("|help") {
                coverage.commands.insert(name.clone(), seen(&name, facts));
            }
        }
        coverage
    }

    /// Counts one command and the reply that all servers gave.
    pub(super) fn count(&mut self, words: &[Vec<u8>], reply: &[u8]) {
        let lower = |word: &[u8]| String::from_utf8_lossy(word).to_ascii_lowercase();
        let name = lower(&words[0]);
        let seen = match self.commands.get_mut(&name) {
            Some(seen) => seen,
            None => {
                let Some(word) = words.get(1) else { return };
                let name = format!("{name}|{}", lower(word));
                let Some(seen) = self.commands.get_mut(&name) else {
                    return;
                };
                seen
            }
        };
        if matches!(reply.first(), Some(b'-' | b'!')) {
            let line = reply.split(|byte| *byte == b'\r').next().unwrap_or(reply);
            let start = &line[1..line.len().min(1 + ERROR_LENGTH)];
            *seen
                .errors
                .entry(start.escape_ascii().to_string())
                .or_default() += 1;
            return;
        }
        seen.successes += 1;
        for (option, count) in &mut seen.options {
            let is_option = |word: &Vec<u8>| word.eq_ignore_ascii_case(option.as_bytes());
            if words.iter().skip(seen.words_before).any(is_option) {
                *count += 1;
            }
        }
    }

    /// Adds the counts of another lane.
    pub(super) fn merge(&mut self, other: Self) {
        self.lacking.extend(other.lacking);
        for (name, seen) in other.commands {
            let sum = self.commands.entry(name).or_default();
            sum.successes += seen.successes;
            for (option, count) in seen.options {
                *sum.options.entry(option).or_default() += count;
            }
            for (error, count) in seen.errors {
                *sum.errors.entry(error).or_default() += count;
            }
        }
    }

    /// Returns what never succeeded and has no reason in [`UNREACHED`], as `command` or
    /// `command OPTION`; and reasons for what does succeed.
    pub(super) fn gaps(&self) -> Vec<String> {
        let mut missed = BTreeSet::new();
        for (name, seen) in &self.commands {
            if seen.successes == 0 {
                missed.insert(name.clone());
                continue;
            }
            let never = seen.options.iter().filter(|(_, count)| **count == 0);
            missed.extend(never.map(|(option, _)| format!("{name} {option}")));
        }
        differing(&missed, UNREACHED, "never succeeded")
    }

    /// Returns commands that only the reference has and [`LACKING`] has not, and the reverse.
    pub(super) fn lacking_without_reason(&self) -> Vec<String> {
        differing(&self.lacking, LACKING, "is missing here")
    }

    /// Returns the counts in one line.
    pub(super) fn summary(&self) -> String {
        let commands = self.commands.values();
        let ran = commands.clone().filter(|seen| seen.successes > 0).count();
        let options = || commands.clone().flat_map(|seen| seen.options.values());
        let used = options().filter(|count| **count > 0).count();
        let errors: usize = commands.clone().map(|seen| seen.errors.len()).sum();
        format!(
            "{ran} of {} commands and {used} of {} options succeeded, {errors} different errors",
            self.commands.len(),
            options().count()
        )
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, seen) in &self.commands {
            let mut line = format!("{name:<24} {:>8}", seen.successes);
            for (option, count) in &seen.options {
                write!(line, "  {option} {count}")?;
            }
            writeln!(formatter, "{line}")?;
            for (error, count) in &seen.errors {
                writeln!(formatter, "    {count:>8}  {error}")?;
            }
        }
        for name in &self.lacking {
            writeln!(formatter, "{name:<24} not here")?;
        }
        Ok(())
    }
}

/// Compares what was found with the list of what may be found.
fn differing(found: &BTreeSet<String>, listed: &[(&str, &str)], what: &str) -> Vec<String> {
    let is_listed = |name: &String| listed.iter().any(|(other, _)| name == other);
    let unlisted = found.iter().filter(|name| !is_listed(name));
    let mut lines: Vec<_> = unlisted.map(|name| format!("{name} {what}")).collect();
    let stale = listed.iter().filter(|(name, _)| !found.contains(*name));
    lines.extend(stale.map(|(name, _)| format!("{name} is listed, but not so: \"{what}\"")));
    lines
}

/// Collects the facts of each command and subcommand of a reply of COMMAND DOCS.
fn documented(docs: &Value, into: &mut BTreeMap<String, Value>) {
    for (name, facts) in pairs(docs) {
        if let Some(subcommands) = find(facts, "subcommands") {
            documented(subcommands, into);
        }
        into.insert(text(Some(name)), facts.clone());
    }
}

/// Reads the options of a command from its facts.
fn seen(name: &str, facts: &Value) -> Seen {
    let arguments = find(facts, "arguments").map_or(&[][..], items);
    let has_option = |argument: &&Value| {
        let mut options = BTreeMap::new();
        add_options(argument, &mut options);
        !options.is_empty()
    };
    let before = arguments
        .iter()
        .take_while(|argument| !has_option(argument))
        .take_while(|argument| find(argument, "flags").is_none())
        .count();
    let mut options = BTreeMap::new();
    for argument in arguments {
        add_options(argument, &mut options);
    }
    Seen {
        words_before: before + 1 + usize::from(name.contains('|')),
        options,
        ..Seen::default()
    }
}

fn add_options(argument: &Value, options: &mut BTreeMap<String, u64>) {
    // An empty word is one that may be left out, and no option.
    let option = text(find(argument, "token"));
    if !option.trim_matches('"').is_empty() {
        options.insert(option, 0);
    }
    for inner in find(argument, "arguments").map_or(&[][..], items) {
        add_options(inner, options);
    }
}

pub(super) fn items(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) | Value::Set(items) => items,
        _ => &[],
    }
}

/// Reads a map, which RESP2 sends as a flat array.
pub(super) fn pairs(value: &Value) -> impl Iterator<Item = (&Value, &Value)> {
    items(value)
        .chunks_exact(2)
        .map(|pair| (&pair[0], &pair[1]))
}

pub(super) fn find<'v>(map: &'v Value, name: &str) -> Option<&'v Value> {
    pairs(map)
        .find(|(key, _)| text(Some(key)) == name)
        .map(|(_, value)| value)
}

pub(super) fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::Bulk(bytes) | Value::Simple(bytes)) => {
            String::from_utf8_lossy(bytes).into_owned()
        }
        _ => String::new(),
    }
}
