//! A selector: which commands, keys and channels its user may use together.
//!
//! Every user has a root selector; more of them are written in parentheses. A request is allowed if one selector
//! alone allows all of it.
//!
//! Invariants
//! - With `has_all_commands` every bit is set, and nothing stands in `first_words`.
//! - With `has_all_keys` there is no pattern of keys, with `has_all_channels` none of channels.

use std::collections::BTreeMap;

use commands::spec::{Category, Flags};
use protocol::args::Args;

use super::RuleError;
use super::access::{Access, Needs};
use super::catalog::{Catalog, Channels, Known, category};
use crate::command_index::CommandIndex;

/// See the head of this file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selector {
    /// All commands: no bit need be looked at.
    has_all_commands: bool,
    /// It began with all commands, also those that may come, and some may have been taken away since.
    allows_future: bool,
    /// A bit for each command, by its position.
    commands: Vec<u64>,
    /// By command that is not allowed as such: words that may follow its name.
    first_words: BTreeMap<u16, Vec<Box<[u8]>>>,
    has_all_keys: bool,
    keys: Vec<KeyPattern>,
    has_all_channels: bool,
    channels: Vec<Box<[u8]>>,
}

/// A pattern of keys, and what may be done with those that match it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct KeyPattern {
    text: Box<[u8]>,
    allows: Needs,
}

/// Why a selector does not allow a request; the later one says more about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// The command.
    Command,
    /// A key.
    Key,
    /// A login, which no selector decides about.
    Auth,
    /// A channel.
    Channel,
}

impl Selector {
    /// Creates a selector that allows nothing, but all channels if `has_all_channels`.
    pub(crate) fn new(has_all_channels: bool) -> Self {
        Self {
            has_all_channels,
            ..Self::default()
        }
    }

    /// Creates a selector that allows everything.
    pub(crate) fn of_everything() -> Self {
        Self {
            has_all_commands: true,
            allows_future: true,
            has_all_keys: true,
            has_all_channels: true,
            ..Self::default()
        }
    }

    /// Returns whether it allows everything.
    pub(crate) fn allows_everything(&self) -> bool {
        self.has_all_commands && self.has_all_keys && self.has_all_channels
    }

    /// Returns whether it allows every channel.
    pub(crate) fn allows_all_channels(&self) -> bool {
        self.has_all_channels
    }

    /// Applies one rule about commands, keys or channels.
    ///
    /// # Errors
    ///
    /// What is wrong with the rule; nothing has changed.
    pub(crate) fn apply(&mut self, rule: &[u8], catalog: &Catalog) -> Result<(), RuleError> {
        let is = |text: &str| rule.eq_ignore_ascii_case(text.as_bytes());
        if is("allkeys") || rule == b"~*" {
            self.has_all_keys = true;
            self.keys.clear();
        } else if is("resetkeys") {
            self.has_all_keys = false;
            self.keys.clear();
        } else if is("allchannels") || rule == b"&*" {
            self.has_all_channels = true;
            self.channels.clear();
        } else if is("resetchannels") {
            self.has_all_channels = false;
            self.channels.clear();
        } else if is("allcommands") || is("+@all") {
            self.allow_all();
        } else if is("nocommands") || is("-@all") {
            self.allow_none();
        } else {
            match rule {
                [b'~' | b'%', ..] => self.add_keys(rule)?,
                [b'&', channels @ ..] => self.add_channels(channels)?,
                [b'+', b'@', name @ ..] => self.set_category(name, true, catalog)?,
                [b'-', b'@', name @ ..] => self.set_category(name, false, catalog)?,
                [b'+', name @ ..] => self.allow(name, catalog)?,
                [b'-', name @ ..] => {
                    let known = catalog.find(name).ok_or(RuleError::Unknown)?;
                    self.set(known, false, catalog);
                }
                _ => return Err(RuleError::Syntax),
            }
        }
        Ok(())
    }

    pub(super) fn allow_all(&mut self) {
        self.has_all_commands = true;
        self.allows_future = true;
        self.commands.clear();
        self.first_words.clear();
    }

    fn allow_none(&mut self) {
        self.has_all_commands = false;
        self.allows_future = false;
        self.commands.clear();
        self.first_words.clear();
    }

    /// Adds a pattern of keys, given as `~pattern` or `%RW~pattern`.
    fn add_keys(&mut self, rule: &[u8]) -> Result<(), RuleError> {
        if self.has_all_keys {
            return Err(RuleError::AllKeys);
        }
        let (allows, text) = match rule {
            [b'%', rest @ ..] => parse_allowed(rest)?,
            [_, text @ ..] => (
                Needs {
                    reads: true,
                    writes: true,
                },
                text,
            ),
            [] => return Err(RuleError::Syntax),
        };
        if has_space(text) {
            return Err(RuleError::Syntax);
        }
        match self.keys.iter_mut().find(|it| *it.text == *text) {
            Some(known) => {
                known.allows.reads |= allows.reads;
                known.allows.writes |= allows.writes;
            }
            None => self.keys.push(KeyPattern {
                text: text.into(),
                allows,
            }),
        }
        Ok(())
    }

    fn add_channels(&mut self, pattern: &[u8]) -> Result<(), RuleError> {
        if self.has_all_channels {
            return Err(RuleError::AllChannels);
        }
        if has_space(pattern) {
            return Err(RuleError::Syntax);
        }
        if !self.channels.iter().any(|it| **it == *pattern) {
            self.channels.push(pattern.into());
        }
        Ok(())
    }

    fn set_category(
        &mut self,
        name: &[u8],
        is_allowed: bool,
        catalog: &Catalog,
    ) -> Result<(), RuleError> {
        let category = category(name).ok_or(RuleError::Unknown)?;
        self.set_all_of(category, is_allowed, catalog);
        Ok(())
    }

    /// Allows or forbids all commands of a category.
    pub(super) fn set_all_of(&mut self, category: Category, is_allowed: bool, catalog: &Catalog) {
        for known in catalog.iter() {
            if known.declaration.is_in(category) {
                self.set(known, is_allowed, catalog);
            }
        }
    }

    /// Allows a command, a subcommand, or a command with one word behind its name.
    fn allow(&mut self, name: &[u8], catalog: &Catalog) -> Result<(), RuleError> {
        let Some(bar) = name.iter().rposition(|&byte| byte == b'|') else {
            let known = catalog.find(name).ok_or(RuleError::Unknown)?;
            self.set(known, true, catalog);
            return Ok(());
        };
        let known = catalog.find(&name[..bar]).ok_or(RuleError::Unknown)?;
        if known.is_child {
            return Err(RuleError::WordOfSubcommand);
        }
        if !known.children.is_empty() {
            let child = catalog.find(name).ok_or(RuleError::Unknown)?;
            self.set(child, true, catalog);
            return Ok(());
        }
        let word = &name[bar + 1..];
        if word.is_empty() {
            return Err(RuleError::Syntax);
        }
        let words = self.first_words.entry(known.index.0).or_default();
        if !words.iter().any(|it| it.eq_ignore_ascii_case(word)) {
            words.push(word.into());
        }
        Ok(())
    }

    /// Allows or forbids a command with all its subcommands.
    pub(super) fn set(&mut self, known: &Known, is_allowed: bool, catalog: &Catalog) {
        if self.has_all_commands && !is_allowed {
            self.has_all_commands = false;
            self.commands = vec![u64::MAX; catalog.len().div_ceil(64)];
        } else if !self.has_all_commands {
            self.commands.resize(catalog.len().div_ceil(64), 0);
        }
        self.set_bit(known.index.index(), is_allowed);
        self.first_words.remove(&known.index.0);
        for child in &known.children {
            self.set_bit(child.index(), is_allowed);
        }
    }

    fn set_bit(&mut self, index: usize, is_set: bool) {
        if let Some(word) = self.commands.get_mut(index / 64) {
            let bit = 1 << (index % 64);
            *word = if is_set { *word | bit } else { *word & !bit };
        }
    }

    /// Returns whether it allows a command, whatever follows its name.
    pub(crate) fn allows(&self, index: usize) -> bool {
        self.has_all_commands
            || self
                .commands
                .get(index / 64)
                .is_some_and(|word| word & 1 << (index % 64) != 0)
    }

    /// Returns whether it began with all commands.
    pub(super) fn allows_future(&self) -> bool {
        self.allows_future
    }

    /// Returns the words that may follow the name of a command.
    pub(super) fn words_of(&self, command: CommandIndex) -> impl Iterator<Item = &[u8]> {
        let words = self.first_words.get(&command.0);
        words.into_iter().flatten().map(|word| &**word)
    }

    /// Returns why it does not allow a request, and the word that it is about. `keys` finds the keys.
    ///
    /// # Errors
    ///
    /// It does not allow the request.
    pub(crate) fn check(
        &self,
        known: &Known,
        args: Args<'_>,
        keys: &[Access],
    ) -> Result<(), (Reason, usize)> {
        let flags = known.declaration.flags;
        if !flags.has(Flags::NO_AUTH)
            && !self.allows(known.index.index())
            && !self.allows_word(known, args)
        {
            return Err((Reason::Command, 0));
        }
        if !self.has_all_keys {
            for access in keys {
                let is_allowed = super::tables::names_of(known, args.word(access.word))
                    .any(|name| self.allows_key(&name, access.needs));
                if !is_allowed {
                    return Err((Reason::Key, access.word));
                }
            }
        }
        if !self.has_all_channels {
            let (words, is_pattern) = match known.channels {
                Channels::None => (0, false),
                Channels::First => (2, false),
                Channels::All => (args.len(), false),
                Channels::Patterns => (args.len(), true),
            };
            for word in 1..words {
                if !self.allows_channel(args.word(word), is_pattern) {
                    return Err((Reason::Channel, word));
                }
            }
        }
        Ok(())
    }

    fn allows_word(&self, known: &Known, args: Args<'_>) -> bool {
        let word = args.get(1 + usize::from(known.is_child));
        let words = self.first_words.get(&known.index.0);
        let (Some(word), Some(words)) = (word, words) else {
            return false;
        };
        words.iter().any(|it| it.eq_ignore_ascii_case(word))
    }

    /// Returns whether it allows a key to be used so.
    pub(crate) fn allows_key(&self, key: &[u8], needs: Needs) -> bool {
        self.has_all_keys
            || self.keys.iter().any(|pattern| {
                let allows = pattern.allows;
                (allows.reads || !needs.reads)
                    && (allows.writes || !needs.writes)
                    && base::glob::matches(&pattern.text, key, false)
            })
    }

    /// Returns whether it allows every key to be read.
    pub(crate) fn allows_reading_all(&self) -> bool {
        self.has_all_keys
            || self
                .keys
                .iter()
                .any(|pattern| pattern.allows.reads && *pattern.text == *b"*")
    }

    /// Returns whether it allows a channel, or a pattern of channels that is written the same.
    pub(crate) fn allows_channel(&self, channel: &[u8], is_pattern: bool) -> bool {
        self.has_all_channels
            || self.channels.iter().any(|allowed| {
                if is_pattern {
                    **allowed == *channel
                } else {
                    base::glob::matches(allowed, channel, false)
                }
            })
    }

    /// Appends the patterns of keys, each as a rule.
    pub(crate) fn write_keys(&self, out: &mut Vec<u8>) {
        if self.has_all_keys {
            out.extend_from_slice(b"~*");
            return;
        }
        for (index, pattern) in self.keys.iter().enumerate() {
            if index > 0 {
                out.push(b' ');
            }
            let prefix: &[u8] = match (pattern.allows.reads, pattern.allows.writes) {
                (true, false) => b"%R~",
                (false, true) => b"%W~",
                _ => b"~",
            };
            out.extend_from_slice(prefix);
            out.extend_from_slice(&pattern.text);
        }
    }

    /// Appends the patterns of channels, each as a rule.
    pub(crate) fn write_channels(&self, out: &mut Vec<u8>) {
        if self.has_all_channels {
            out.extend_from_slice(b"&*");
            return;
        }
        for (index, pattern) in self.channels.iter().enumerate() {
            if index > 0 {
                out.push(b' ');
            }
            out.push(b'&');
            out.extend_from_slice(pattern);
        }
    }

    /// Appends the rules that make this selector out of a new one.
    pub(crate) fn write(&self, catalog: &Catalog, out: &mut Vec<u8>) {
        let begun = out.len();
        self.write_keys(out);
        if out.len() > begun {
            out.push(b' ');
        }
        if !self.has_all_channels {
            out.extend_from_slice(b"resetchannels ");
        }
        let begun = out.len();
        self.write_channels(out);
        if out.len() > begun {
            out.push(b' ');
        }
        self.write_commands(catalog, out);
    }
}

/// Reads `RW~pattern`.
fn parse_allowed(rule: &[u8]) -> Result<(Needs, &[u8]), RuleError> {
    let mut allows = Needs::default();
    for (index, byte) in rule.iter().enumerate() {
        match byte.to_ascii_uppercase() {
            b'R' if !allows.reads => allows.reads = true,
            b'W' if !allows.writes => allows.writes = true,
            b'~' if allows != Needs::default() => return Ok((allows, &rule[index + 1..])),
            _ => return Err(RuleError::Syntax),
        }
    }
    // Without a pattern, as Redis takes it: only the empty key matches.
    if allows == Needs::default() {
        return Err(RuleError::Syntax);
    }
    Ok((allows, &[]))
}

fn has_space(text: &[u8]) -> bool {
    text.iter()
        .any(|byte| *byte == 0 || byte.is_ascii_whitespace() || *byte == 0x0b)
}
