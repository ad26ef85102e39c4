//! What the access rules know of each command: its name, its categories, its keys and its channels.
//!
//! Made once at start from the table of commands. Commands are known by the names they were declared with,
//! also those that `rename-command` has renamed or taken away, as in Redis.

use std::collections::BTreeMap;

use commands::scope::Scope;
use commands::spec::{Category, Declaration};
use protocol::args::Args;

use super::access::{self, Access};
use crate::command_index::CommandIndex;

/// All commands and subcommands, by their positions.
#[derive(Debug)]
pub(crate) struct Catalog {
    commands: Vec<Known>,
    /// By full name in lower case.
    names: BTreeMap<String, CommandIndex>,
}

/// What is known of one command or subcommand.
#[derive(Debug)]
pub(crate) struct Known {
    /// Its position.
    pub(crate) index: CommandIndex,
    /// `get`, or `config|get`.
    pub(crate) full_name: &'static str,
    /// What it declares.
    pub(crate) declaration: &'static Declaration,
    /// What it works on, if that is tables.
    pub(crate) scope: Option<Scope>,
    /// Its subcommands.
    pub(crate) children: Vec<CommandIndex>,
    /// It is a subcommand.
    pub(crate) is_child: bool,
    /// The channels it names.
    pub(crate) channels: Channels,
    /// Finds its keys where the specifications alone do not say how they are used.
    pub(crate) own_access: Option<fn(Args<'_>) -> Vec<Access>>,
    /// Words of it may name keys that follow from data (`SORT BY`, `SORT GET`).
    pub(crate) reads_by_pattern: bool,
}

/// Which words of a command name channels that a user must be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channels {
    /// None.
    None,
    /// Word 1.
    First,
    /// All words behind the name.
    All,
    /// All words behind the name, which are patterns.
    Patterns,
}

/// What the catalog is made from: position, full name, declaration, and what a table command works on.
pub(crate) type Source = (
    CommandIndex,
    &'static str,
    &'static Declaration,
    Option<Scope>,
);

impl Catalog {
    /// Creates the catalog. The commands come in the order of their positions, subcommands behind their
    /// containers.
    pub(crate) fn new(sources: impl Iterator<Item = Source>) -> Self {
        let mut commands: Vec<Known> = Vec::new();
        let mut names = BTreeMap::new();
        for (index, full_name, declaration, scope) in sources {
            let container = full_name.split_once('|').map(|(container, _)| container);
            let parent = container.and_then(|name| names.get(name).copied());
            if let Some(parent) = parent.and_then(|at: CommandIndex| commands.get_mut(at.index())) {
                parent.children.push(index);
            }
            names.insert(full_name.to_ascii_lowercase(), index);
            commands.push(Known {
                index,
                full_name,
                declaration,
                scope,
                children: Vec::new(),
                is_child: container.is_some(),
                channels: channels_of(full_name),
                own_access: access::own_access(full_name),
                reads_by_pattern: ["sort", "sort_ro"].contains(&full_name),
            });
        }
        Self { commands, names }
    }

    /// Finds a command or a subcommand by its full name in any case.
    pub(crate) fn find(&self, name: &[u8]) -> Option<&Known> {
        let name = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
        self.names.get(&name).map(|index| self.at(*index))
    }

    /// Returns the command or subcommand at a position.
    pub(crate) fn at(&self, index: CommandIndex) -> &Known {
        &self.commands[index.index()]
    }

    /// Returns how many there are.
    pub(crate) fn len(&self) -> usize {
        self.commands.len()
    }

    /// Returns all of them in the order of their positions.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Known> {
        self.commands.iter()
    }

    /// Finds the command that a request names, its subcommand if it names one.
    pub(crate) fn resolve(&self, args: Args<'_>) -> Option<&Known> {
        let command = self.find(args.get(0)?).filter(|it| !it.is_child)?;
        if command.children.is_empty() {
            return Some(command);
        }
        let Some(word) = args.get(1) else {
            return Some(command);
        };
        let children = command.children.iter().map(|index| self.at(*index));
        let named = |it: &&Known| word.eq_ignore_ascii_case(it.declaration.name.as_bytes());
        children.into_iter().find(named)
    }
}

/// Finds a category by its name without the `@`, in any case.
pub(crate) fn category(name: &[u8]) -> Option<Category> {
    Category::ALL
        .into_iter()
        .find(|category| name.eq_ignore_ascii_case(category.name().as_bytes()))
}

fn channels_of(full_name: &str) -> Channels {
    match full_name {
        "publish" | "spublish" => Channels::First,
        "subscribe" | "ssubscribe" => Channels::All,
        "psubscribe" => Channels::Patterns,
        _ => Channels::None,
    }
}
