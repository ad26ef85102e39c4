//! What a server declares of its commands: the replies of COMMAND DOCS and COMMAND INFO, read.
//!
//! Not here: what is made of it ([`super::requests`]).

use std::collections::BTreeMap;

use protocol::value::Value;

use super::super::coverage::{find, items, pairs, text};
use crate::support::client::Client;

/// One command or subcommand; a container such as OBJECT is one too, without arguments.
#[derive(Clone, Debug)]
pub(super) struct Command {
    /// As in `xgroup|create`.
    pub(super) name: String,
    /// As in `sorted-set`; of a subcommand the one of its own.
    pub(super) group: String,
    /// Whether its flags say that it changes keys.
    pub(super) is_write: bool,
    /// Whether it does nothing itself.
    pub(super) is_container: bool,
    pub(super) arguments: Vec<Argument>,
}

/// One argument of a declaration.
#[derive(Clone, Debug)]
pub(super) struct Argument {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// The word in front of it, or the whole of it.
    pub(super) token: Option<String>,
    pub(super) is_optional: bool,
    pub(super) is_multiple: bool,
    /// Whether the token comes again with each repetition.
    pub(super) repeats_token: bool,
    pub(super) parts: Vec<Self>,
}

/// The type of an argument, as COMMAND DOCS names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Key,
    Text,
    Integer,
    Double,
    Pattern,
    Time,
    Token,
    OneOf,
    Block,
}

/// Asks a server for all of its commands, by name. The connection speaks RESP2.
pub(super) fn commands(client: &mut Client) -> BTreeMap<String, Command> {
    let mut writing = BTreeMap::new();
    for info in items(&client.line("COMMAND")) {
        add_flags(info, &mut writing);
    }
    let mut commands = BTreeMap::new();
    add_commands(&client.line("COMMAND DOCS"), &writing, &mut commands);
    commands
}

/// Notes of a command and its subcommands whether they write.
fn add_flags(info: &Value, writing: &mut BTreeMap<String, bool>) {
    let info = items(info);
    let flags = items(&info[2]);
    let is_write = flags.iter().any(|flag| text(Some(flag)) == "write");
    writing.insert(text(info.first()), is_write);
    for inner in info.get(9).map_or(&[][..], items) {
        add_flags(inner, writing);
    }
}

fn add_commands(
    docs: &Value,
    writing: &BTreeMap<String, bool>,
    into: &mut BTreeMap<String, Command>,
) {
    for (name, facts) in pairs(docs) {
        let name = text(Some(name));
        let subcommands = find(facts, "subcommands");
        if let Some(subcommands) = subcommands {
            add_commands(subcommands, writing, into);
        }
        let arguments = find(facts, "arguments").map_or(&[][..], items);
        let command = Command {
            group: text(find(facts, "group")),
            is_write: writing.get(&name).copied().unwrap_or_default(),
            is_container: subcommands.is_some(),
            arguments: arguments.iter().map(argument).collect(),
            name: name.clone(),
        };
        into.insert(name, command);
    }
}

fn argument(facts: &Value) -> Argument {
    let flags = find(facts, "flags").map_or(&[][..], items);
    let has_flag = |name: &str| flags.iter().any(|flag| text(Some(flag)) == name);
    let parts = find(facts, "arguments").map_or(&[][..], items);
    let kind = text(find(facts, "type"));
    Argument {
        name: text(find(facts, "name")),
        kind: match kind.as_str() {
            "key" => Kind::Key,
            "string" => Kind::Text,
            "integer" => Kind::Integer,
            "double" => Kind::Double,
            "pattern" => Kind::Pattern,
            "unix-time" => Kind::Time,
            "pure-token" => Kind::Token,
            "oneof" => Kind::OneOf,
            "block" => Kind::Block,
            other => panic!("a type of arguments that nobody knows: {other}"),
        },
        token: find(facts, "token").map(|token| text(Some(token))),
        is_optional: has_flag("optional"),
        is_multiple: has_flag("multiple"),
        repeats_token: has_flag("multiple_token"),
        parts: parts.iter().map(argument).collect(),
    }
}
