//! What a command tells clients, and what is checked before it runs.

use protocol::args::Args;

use super::docs::Docs;
use super::flags::{Category, Flags};
use super::key_spec::KeySpec;

/// What a command tells clients, and what is checked before it runs.
#[derive(Clone, Copy, Debug)]
pub struct Declaration {
    /// Lower-case name, but for commands that a module of Redis brings. For a subcommand the second word
    /// only.
    pub name: &'static str,
    /// How many words a request has, the name included.
    pub arity: Arity,
    /// What kind of command it is.
    pub flags: Flags,
    /// ACL categories beyond those that follow from the flags (`Flags::implied_categories`).
    pub categories: &'static [Category],
    /// Where its keys are.
    pub keys: &'static [KeySpec],
    /// Hints for clients of a cluster (`request_policy:...`), in Redis's spelling.
    pub tips: &'static [&'static str],
    /// What `COMMAND DOCS` says.
    pub docs: Docs,
    /// Subcommands, if the second word names one.
    pub subcommands: &'static [Self],
}

impl Declaration {
    /// Creates a declaration without keys, categories, hints, documentation and subcommands.
    #[must_use]
    pub const fn new(name: &'static str, arity: Arity, flags: Flags) -> Self {
        Self {
            name,
            arity,
            flags,
            categories: &[],
            keys: &[],
            tips: &[],
            docs: Docs::new("", "", "", ""),
            subcommands: &[],
        }
    }

    /// Sets the ACL categories that do not follow from the flags.
    #[must_use]
    pub const fn categories(mut self, categories: &'static [Category]) -> Self {
        self.categories = categories;
        self
    }

    /// Sets where the keys are.
    #[must_use]
    pub const fn keys(mut self, keys: &'static [KeySpec]) -> Self {
        self.keys = keys;
        self
    }

    /// Sets the hints for clients of a cluster.
    #[must_use]
    pub const fn tips(mut self, tips: &'static [&'static str]) -> Self {
        self.tips = tips;
        self
    }

    /// Sets the documentation.
    #[must_use]
    pub const fn docs(mut self, docs: Docs) -> Self {
        self.docs = docs;
        self
    }

    /// Makes the command a container of subcommands.
    #[must_use]
    pub const fn subcommands(mut self, subcommands: &'static [Self]) -> Self {
        self.subcommands = subcommands;
        self
    }

    /// Returns whether the command belongs to `category`, by its own word or by its flags.
    #[must_use]
    pub fn is_in(&self, category: Category) -> bool {
        // What a script reads, its commands say.
        let is_own = category == Category::Read && self.categories.contains(&Category::Scripting);
        self.categories.contains(&category) || self.flags.implies(category) && !is_own
    }

    /// Finds the subcommand that the second word names, in any case of letters. O(subcommands).
    #[must_use]
    pub fn subcommand(&self, word: &[u8]) -> Option<&'static Self> {
        self.subcommands
            .iter()
            .find(|sub| word.eq_ignore_ascii_case(sub.name.as_bytes()))
    }

    /// Returns the flags of a request of these words: those of the subcommand that word 1 names, if there is
    /// one. A container has none that would count for its subcommands.
    #[must_use]
    pub fn flags_of(&self, args: Args<'_>) -> Flags {
        let subcommand = match args.get(1) {
            Some(word) if !self.subcommands.is_empty() => self.subcommand(word),
            Some(_) | None => None,
        };
        subcommand.map_or(self.flags, |subcommand| subcommand.flags)
    }

    /// Finds the declaration that a request of these words is checked by: this one, or the
    /// subcommand that word 1 names. Words are checked against it completely.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if the subcommand is unknown or the number of words does not fit.
    pub fn resolve<'d>(&'d self, args: Args<'_>) -> Result<&'d Self, ShapeError> {
        if self.subcommands.is_empty() {
            return if self.arity.accepts(args.len()) {
                Ok(self)
            } else {
                Err(ShapeError::WordCount {
                    container: None,
                    name: self.name,
                })
            };
        }
        // A container without a second word is judged by its own arity, which lets a plain `COMMAND`
        // pass; with one, only the subcommand counts.
        let Some(word) = args.get(1) else {
            if self.arity.accepts(args.len()) {
                return Ok(self);
            }
            return Err(ShapeError::WordCount {
                container: None,
                name: self.name,
            });
        };
        let Some(sub) = self.subcommand(word) else {
            return Err(ShapeError::UnknownSubcommand {
                container: self.name,
            });
        };
        if sub.arity.accepts(args.len()) {
            Ok(sub)
        } else {
            Err(ShapeError::WordCount {
                container: Some(self.name),
                name: sub.name,
            })
        }
    }
}

/// Why the words of a request do not fit its declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShapeError {
    /// Too few or too many words.
    WordCount {
        /// The container, for a subcommand.
        container: Option<&'static str>,
        /// The command or subcommand.
        name: &'static str,
    },
    /// Word 1 names no subcommand.
    UnknownSubcommand {
        /// The container.
        container: &'static str,
    },
}

impl ShapeError {
    /// Returns the error line without the leading `-`, for a request of these words.
    #[must_use]
    pub fn text(self, args: Args<'_>) -> String {
        match self {
            Self::WordCount {
                container: None,
                name,
            } => {
                format!("ERR wrong number of arguments for '{name}' command")
            }
            Self::WordCount {
                container: Some(container),
                name,
            } => {
                format!("ERR wrong number of arguments for '{container}|{name}' command")
            }
            Self::UnknownSubcommand { container } => {
                let word = args.get(1).unwrap_or_default();
                // Redis cuts the echoed word at 128 bytes.
                let shown = crate::error::shown(&word[..word.len().min(128)]);
                let container = container.to_ascii_uppercase();
                format!("ERR unknown subcommand '{shown}'. Try {container} HELP.")
            }
        }
    }
}

/// How many words a request has, the command's name included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// As many.
    Exactly(u8),
    /// As many or more.
    AtLeast(u8),
}

impl Arity {
    /// Returns the number as `COMMAND INFO` shows it: negative for "at least".
    #[must_use]
    pub fn wire(self) -> i64 {
        match self {
            Self::Exactly(count) => i64::from(count),
            Self::AtLeast(count) => -i64::from(count),
        }
    }

    /// Returns whether a request of `words` words is acceptable.
    #[must_use]
    pub fn accepts(self, words: usize) -> bool {
        match self {
            Self::Exactly(count) => words == usize::from(count),
            Self::AtLeast(count) => words >= usize::from(count),
        }
    }
}
