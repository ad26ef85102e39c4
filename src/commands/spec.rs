//! What the declaration of a command says, and what its handler is given.
//!
//! A command is declared once, as a `const`. From the declaration follow the checks before it runs
//! (arity, flags, ACL categories), its routing (`keys`, `spread`), and everything that `COMMAND`
//! tells clients. Nobody else decides by a command's name.

use base::clock::UnixMillis;
use base::ids::DbIndex;
use base::random::Random;
use protocol::args::Args;
use protocol::reply::Reply;
use shard::{Key, Shard};

pub use crate::error::CommandError;
pub use crate::loans::Loans;
use crate::scope::Scope;
use crate::wait_form::{WaitForm, Waiting};

/// A command that works on the data of shards. It sees a shard, its arguments and the reply, and
/// nothing else; it is synchronous and bounded.
pub struct ShardCommand {
    /// What clients are told.
    pub declaration: Declaration,
    /// How the command uses several shards.
    pub spread: Spread,
    /// The handler.
    pub run: Run,
    /// How it waits for its keys, if it does.
    pub wait: Option<&'static WaitForm>,
    /// The handler of requests of which a long word came by itself.
    pub large: Option<LargeRun>,
    /// Whether a long reply may walk over the value of word 1 in steps.
    pub walks: bool,
    /// Whether what it changes depends on chance, so that it cannot be run again.
    pub draws: bool,
}

/// How a command takes a long word that came by itself, to be moved to where it stays.
#[derive(Clone, Copy)]
pub struct LargeRun {
    /// Its index.
    pub word: usize,
    /// The handler; the word is empty among its arguments.
    pub run: fn(&mut Context<'_>, Args<'_>, Vec<u8>) -> Result<(), CommandError>,
}

impl ShardCommand {
    /// Puts the parts of a command together.
    #[must_use]
    pub const fn new(declaration: Declaration, spread: Spread, run: Run) -> Self {
        Self {
            declaration,
            spread,
            run,
            wait: None,
            large: None,
            walks: false,
            draws: false,
        }
    }

    /// Sets how the command waits for its keys.
    #[must_use]
    pub const fn waiting(mut self, form: &'static WaitForm) -> Self {
        self.wait = Some(form);
        self
    }

    /// Lets long replies walk over the value of word 1, the only key, in steps. See
    /// [`crate::long_reply`].
    #[must_use]
    pub const fn walking(mut self) -> Self {
        self.walks = true;
        self
    }

    /// Says that what the command changes depends on chance.
    #[must_use]
    pub const fn drawing(mut self) -> Self {
        self.draws = true;
        self
    }

    /// Lets word `word` come by itself when it is long. Only for commands on one shard.
    #[must_use]
    pub const fn taking_large(
        mut self,
        word: usize,
        run: fn(&mut Context<'_>, Args<'_>, Vec<u8>) -> Result<(), CommandError>,
    ) -> Self {
        self.large = Some(LargeRun { word, run });
        self
    }
}

/// The handler of a [`ShardCommand`]. It writes exactly one reply, or returns an error and has
/// then written nothing and changed nothing.
pub type Run = fn(&mut Context<'_>, Args<'_>) -> Result<(), CommandError>;

/// What a handler works on.
pub struct Context<'a> {
    /// The shard that owns every key of this request.
    pub shard: &'a mut Shard,
    /// The database that the client has selected.
    pub db: DbIndex,
    /// Where the reply goes, in the client's protocol version.
    pub reply: Reply<'a>,
    /// The time of this request; the same for all commands of one MULTI or script.
    pub now: UnixMillis,
    /// Whether reads count as accesses (`CLIENT NO-TOUCH`).
    pub touch: bool,
    /// The chance of this core, for commands whose answer is drawn.
    pub random: &'a mut Random,
    /// The hash of word 1, if it is known already; it is the key of most commands.
    pub first_hash: Option<u64>,
    /// Values taken out of their keys: [`Context::borrow`].
    pub loans: Loans,
    /// Whether the request may wait: [`Context::wait_or`].
    pub waiting: Waiting,
}

impl Context<'_> {
    /// Returns word 1 as a key of the shard.
    #[inline]
    #[must_use]
    pub fn first_key<'k>(&self, args: Args<'k>) -> Key<'k> {
        let bytes = args.word(1);
        let hash = self.first_hash.unwrap_or_else(|| self.hash_of(bytes));
        Key { bytes, hash }
    }

    #[inline(never)]
    fn hash_of(&self, key: &[u8]) -> u64 {
        self.shard.key(key).hash
    }
}

/// How a command uses several shards.
///
/// Every handler also works when all of its keys lie on the one shard that it is given; the
/// variants say what the coordinator does when they do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// All keys of the command always lie on one shard (or it has no key and may run anywhere).
    OneShard,
    /// The arguments after the name are groups of `step` words that each begin with a key. Each
    /// shard runs the command on its own groups; the replies are joined.
    ByKey {
        /// Words per group: 1 for `DEL`, 2 for `MSET`.
        step: usize,
        /// How the replies become one.
        join: Join,
    },
    /// Every shard runs the command with the same arguments; the replies are joined.
    Everywhere(Join),
    /// The cursor, first argument after the name, says which shard goes on.
    Cursor,
    /// The coordinator has a plan of its own, in several hops.
    Plan(Plan),
}

/// How the replies of several shards become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// All say `OK`.
    AllOk,
    /// Integers are added.
    Sum,
    /// One-to-one: arrays whose elements go back to the place of their key.
    Interleave,
    /// Arrays are appended to each other in any order.
    Concatenate,
    /// XOR of 20-byte digests.
    Digest,
}

/// Commands over shards that need several hops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// `MSETNX`: look at all keys, then set all or none.
    SetIfNone,
    /// `RENAME source target`.
    Rename,
    /// `RENAMENX source target`.
    RenameIfNone,
    /// `COPY source target [DB n] [REPLACE]`.
    Copy,
    /// `RANDOMKEY`: a shard drawn by its number of keys.
    RandomKey,
    /// `SORT key ...`: as [`Plan::Lend`], unless patterns name keys that follow from the elements. Then
    /// the coordinator asks all shards for their values.
    Sort,
    /// The command runs on the shard of the first key that it writes, or else of its first key; the
    /// values of keys elsewhere are lent to it. Its handler reaches values through
    /// [`Context::borrow`]; it may write with [`Shard::db`] only to the first key that it writes.
    Lend,
    /// A table command. It runs on one shard where that has all the rows it needs and it is short; the
    /// dispatcher finds out, and otherwise it is a program of many steps.
    Table(Scope),
}

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

/// What kind of command it is, as a set of bits. The names are those of `COMMAND INFO`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(pub u32);

impl Flags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// May change data.
    pub const WRITE: Self = Self(1);
    /// Never changes data.
    pub const READONLY: Self = Self(1 << 1);
    /// Refused when memory is short.
    pub const DENY_OOM: Self = Self(1 << 2);
    /// For operators.
    pub const ADMIN: Self = Self(1 << 3);
    /// About channels.
    pub const PUBSUB: Self = Self(1 << 4);
    /// Not for scripts.
    pub const NO_SCRIPT: Self = Self(1 << 5);
    /// May wait.
    pub const BLOCKING: Self = Self(1 << 6);
    /// Runs while data is loaded.
    pub const LOADING: Self = Self(1 << 7);
    /// Runs on a replica that lost its primary.
    pub const STALE: Self = Self(1 << 8);
    /// Not shown to MONITOR.
    pub const SKIP_MONITOR: Self = Self(1 << 9);
    /// Not put into the slow log.
    pub const SKIP_SLOWLOG: Self = Self(1 << 10);
    /// Takes constant or logarithmic time.
    pub const FAST: Self = Self(1 << 11);
    /// Allowed before login.
    pub const NO_AUTH: Self = Self(1 << 12);
    /// Its keys depend on more than positions.
    pub const MOVABLE_KEYS: Self = Self(1 << 13);
    /// Not allowed in MULTI.
    pub const NO_MULTI: Self = Self(1 << 14);
    /// Allowed while a script runs too long.
    pub const ALLOW_BUSY: Self = Self(1 << 15);
    /// Works on keys, and names none to the ACL (`KEYS`, `FLUSHALL`).
    pub const KEYSPACE: Self = Self(1 << 16);
    /// Not answered to a client's `COMMAND` as runnable over asynchronous loading.
    pub const NO_ASYNC_LOADING: Self = Self(1 << 17);
    /// Has mandatory keys though their positions vary.
    pub const NO_MANDATORY_KEYS: Self = Self(1 << 18);
    /// For servers and tests, not for programs; only `COMMAND DOCS` shows it, as `syscmd`.
    pub const SYSTEM: Self = Self(1 << 19);
    /// Served while the slot of its key is being imported into this node of a cluster.
    pub const ASKING: Self = Self(1 << 20);

    /// Changes data, or tells others of something, though it is no write: `CLIENT PAUSE WRITE` holds it
    /// up. Shown nowhere.
    pub const MAY_REPLICATE: Self = Self(1 << 21);

    /// Returns the union of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns whether every flag of `other` is set.
    #[inline]
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns whether a command with these flags belongs to `category` without saying so.
    #[must_use]
    pub const fn implies(self, category: Category) -> bool {
        match category {
            Category::Write => self.has(Self::WRITE),
            Category::Read => self.has(Self::READONLY),
            Category::Admin | Category::Dangerous => self.has(Self::ADMIN),
            Category::PubSub => self.has(Self::PUBSUB),
            Category::Blocking => self.has(Self::BLOCKING),
            Category::Fast => self.has(Self::FAST),
            Category::Slow => !self.has(Self::FAST),
            Category::Keyspace
            | Category::Set
            | Category::SortedSet
            | Category::List
            | Category::Hash
            | Category::String
            | Category::Bitmap
            | Category::HyperLogLog
            | Category::Geo
            | Category::Stream
            | Category::Connection
            | Category::Transaction
            | Category::Scripting
            | Category::Table => false,
        }
    }

    /// Lists the names of the set flags as `COMMAND INFO` shows them, in its order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        FLAG_NAMES
            .iter()
            .filter(move |(flag, _)| self.has(*flag))
            .map(|(_, name)| *name)
    }
}

/// Flags with a name of their own, in the order of `COMMAND INFO`.
const FLAG_NAMES: &[(Flags, &str)] = &[
    (Flags::WRITE, "write"),
    (Flags::READONLY, "readonly"),
    (Flags::DENY_OOM, "denyoom"),
    (Flags::ADMIN, "admin"),
    (Flags::PUBSUB, "pubsub"),
    (Flags::NO_SCRIPT, "noscript"),
    (Flags::BLOCKING, "blocking"),
    (Flags::LOADING, "loading"),
    (Flags::STALE, "stale"),
    (Flags::SKIP_MONITOR, "skip_monitor"),
    (Flags::SKIP_SLOWLOG, "skip_slowlog"),
    (Flags::ASKING, "asking"),
    (Flags::FAST, "fast"),
    (Flags::NO_AUTH, "no_auth"),
    (Flags::NO_ASYNC_LOADING, "no_async_loading"),
    (Flags::NO_MANDATORY_KEYS, "no_mandatory_keys"),
    (Flags::NO_MULTI, "no_multi"),
    (Flags::MOVABLE_KEYS, "movablekeys"),
    (Flags::ALLOW_BUSY, "allow_busy"),
];

/// An ACL category, as in `ACL CAT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the whole meaning")]
pub enum Category {
    Keyspace,
    Read,
    Write,
    Set,
    SortedSet,
    List,
    Hash,
    String,
    Bitmap,
    HyperLogLog,
    Geo,
    Stream,
    PubSub,
    Admin,
    Fast,
    Slow,
    Blocking,
    Dangerous,
    Connection,
    Transaction,
    Scripting,
    Table,
}

impl Category {
    /// Every category, in the order of `COMMAND INFO`.
    pub const ALL: [Self; 22] = [
        Self::Keyspace,
        Self::Read,
        Self::Write,
        Self::Set,
        Self::SortedSet,
        Self::List,
        Self::Hash,
        Self::String,
        Self::Bitmap,
        Self::HyperLogLog,
        Self::Geo,
        Self::Stream,
        Self::PubSub,
        Self::Admin,
        Self::Fast,
        Self::Slow,
        Self::Blocking,
        Self::Dangerous,
        Self::Connection,
        Self::Transaction,
        Self::Scripting,
        Self::Table,
    ];

    /// Returns the name without the `@`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Keyspace => "keyspace",
            Self::Read => "read",
            Self::Write => "write",
            Self::Set => "set",
            Self::SortedSet => "sortedset",
            Self::List => "list",
            Self::Hash => "hash",
            Self::String => "string",
            Self::Bitmap => "bitmap",
            Self::HyperLogLog => "hyperloglog",
            Self::Geo => "geo",
            Self::Stream => "stream",
            Self::PubSub => "pubsub",
            Self::Admin => "admin",
            Self::Fast => "fast",
            Self::Slow => "slow",
            Self::Blocking => "blocking",
            Self::Dangerous => "dangerous",
            Self::Connection => "connection",
            Self::Transaction => "transaction",
            Self::Scripting => "scripting",
            Self::Table => "table",
        }
    }
}

/// Where keys stand in a request and how they are used. Source: Redis documentation, "Command key
/// specifications".
#[derive(Clone, Copy, Debug)]
pub struct KeySpec {
    /// A remark, empty if none.
    pub notes: &'static str,
    /// How the keys are used, in the order and spelling of `COMMAND INFO`: one of `RO RW OW RM`,
    /// then `access update insert delete not_key incomplete variable_flags`.
    pub flags: &'static [&'static str],
    /// Where the search begins.
    pub begin: BeginSearch,
    /// How the keys are found from there.
    pub find: FindKeys,
}

impl KeySpec {
    /// Creates a specification of one key at a fixed position.
    #[must_use]
    pub const fn at(index: u8, flags: &'static [&'static str]) -> Self {
        Self::range(index, 0, 1, flags)
    }

    /// Creates a specification of every `step`-th word from a fixed position to `last`, which is
    /// relative to the begin, or counts from the end of the request if negative.
    #[must_use]
    pub const fn range(index: u8, last: i8, step: u8, flags: &'static [&'static str]) -> Self {
        Self {
            notes: "",
            flags,
            begin: BeginSearch::Index(index),
            find: FindKeys::Range {
                last,
                step,
                limit: 0,
            },
        }
    }

    /// Creates a specification of as many keys as the word at a fixed position says, from the word
    /// after it.
    #[must_use]
    pub const fn counted(index: u8, flags: &'static [&'static str]) -> Self {
        Self {
            notes: "",
            flags,
            begin: BeginSearch::Index(index),
            find: FindKeys::KeyNum {
                at: 0,
                first: 1,
                step: 1,
            },
        }
    }

    /// Adds a remark.
    #[must_use]
    pub const fn with_notes(mut self, notes: &'static str) -> Self {
        self.notes = notes;
        self
    }
}

/// Where the search for keys begins.
#[derive(Clone, Copy, Debug)]
pub enum BeginSearch {
    /// At a fixed position.
    Index(u8),
    /// After a word, looked for from a position (negative: backwards from the end).
    Keyword(&'static str, i8),
    /// Not expressible.
    Unknown,
}

/// How keys are found from where the search begins.
#[derive(Clone, Copy, Debug)]
pub enum FindKeys {
    /// From there to `last` (relative; negative counts from the end), every `step`-th word.
    Range {
        /// Relative position of the last key; negative counts from the end of the request.
        last: i8,
        /// Distance between keys.
        step: u8,
        /// If `last` is -1: 0 or 1 for no limit, 2 for half of the words, and so on.
        limit: u8,
    },
    /// A number stands there, and as many keys follow.
    KeyNum {
        /// Position of the number, relative to the begin.
        at: u8,
        /// Position of the first key, relative to the begin.
        first: u8,
        /// Distance between keys.
        step: u8,
    },
    /// Not expressible.
    Unknown,
    /// Not expressible to clients, who see it as unknown: the word that this finds, wherever the search
    /// begins.
    Search(fn(Args<'_>) -> Option<usize>),
}

/// What `COMMAND DOCS` says of a command.
#[derive(Clone, Copy, Debug)]
pub struct Docs {
    /// One sentence.
    pub summary: &'static str,
    /// The Redis version that brought the command.
    pub since: &'static str,
    /// The group of commands it belongs to, in Redis's spelling (`string`, `generic`, `server`...).
    pub group: &'static str,
    /// Cost, every letter named.
    pub complexity: &'static str,
    /// Version and what changed in it.
    pub history: &'static [(&'static str, &'static str)],
    /// Since when one should use something else, and what; empty if not deprecated.
    pub deprecated: Option<(&'static str, &'static str)>,
    /// The arguments after the name.
    pub arguments: &'static [Argument],
}

impl Docs {
    /// Creates documentation without history and arguments.
    #[must_use]
    pub const fn new(
        group: &'static str,
        since: &'static str,
        summary: &'static str,
        complexity: &'static str,
    ) -> Self {
        Self {
            summary,
            since,
            group,
            complexity,
            history: &[],
            deprecated: None,
            arguments: &[],
        }
    }

    /// Sets the history: version and what changed in it.
    #[must_use]
    pub const fn history(mut self, history: &'static [(&'static str, &'static str)]) -> Self {
        self.history = history;
        self
    }

    /// Marks the command as deprecated since a version, and says what replaces it.
    #[must_use]
    pub const fn deprecated(mut self, since: &'static str, replaced_by: &'static str) -> Self {
        self.deprecated = Some((since, replaced_by));
        self
    }

    /// Sets the arguments after the name.
    #[must_use]
    pub const fn arguments(mut self, arguments: &'static [Argument]) -> Self {
        self.arguments = arguments;
        self
    }
}

/// One argument of a command.
#[derive(Clone, Copy, Debug)]
pub struct Argument {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: ArgumentKind,
    /// The word that introduces it, if any.
    pub token: Option<&'static str>,
    /// Since when it is there, if later than the command.
    pub since: Option<&'static str>,
    /// Since when it is deprecated.
    pub deprecated_since: Option<&'static str>,
    /// May be left out.
    pub optional: bool,
    /// May be repeated.
    pub multiple: bool,
    /// Its token is repeated with it.
    pub multiple_token: bool,
}

/// What an argument is.
#[derive(Clone, Copy, Debug)]
pub enum ArgumentKind {
    /// Any bytes.
    Text,
    /// A whole number.
    Integer,
    /// A floating point number.
    Double,
    /// A key, by the index of its key specification.
    Key(u8),
    /// A glob pattern.
    Pattern,
    /// A pattern of keys, by the index of the key specification that speaks of them.
    KeyPattern(u8),
    /// Seconds or milliseconds since 1970.
    UnixTime,
    /// Only its token.
    PureToken,
    /// One of several.
    OneOf(&'static [Argument]),
    /// Several that belong together.
    Block(&'static [Argument]),
}

impl Argument {
    /// The first key of a command, named `key`.
    pub const KEY: Self = Self::key("key", 0);

    /// Creates a mandatory argument without a token.
    #[must_use]
    pub const fn new(name: &'static str, kind: ArgumentKind) -> Self {
        Self {
            name,
            kind,
            token: None,
            since: None,
            deprecated_since: None,
            optional: false,
            multiple: false,
            multiple_token: false,
        }
    }

    /// Creates a mandatory key, which the key specification of that index finds.
    #[must_use]
    pub const fn key(name: &'static str, spec: u8) -> Self {
        Self::new(name, ArgumentKind::Key(spec))
    }

    /// Creates a mandatory argument of any bytes.
    #[must_use]
    pub const fn text(name: &'static str) -> Self {
        Self::new(name, ArgumentKind::Text)
    }

    /// Creates a mandatory whole number.
    #[must_use]
    pub const fn integer(name: &'static str) -> Self {
        Self::new(name, ArgumentKind::Integer)
    }

    /// Creates a mandatory floating point number.
    #[must_use]
    pub const fn double(name: &'static str) -> Self {
        Self::new(name, ArgumentKind::Double)
    }

    /// Creates a mandatory glob pattern.
    #[must_use]
    pub const fn pattern(name: &'static str) -> Self {
        Self::new(name, ArgumentKind::Pattern)
    }

    /// Creates a mandatory point in Unix time.
    #[must_use]
    pub const fn unix_time(name: &'static str) -> Self {
        Self::new(name, ArgumentKind::UnixTime)
    }

    /// Creates a choice of exactly one of `choices`.
    #[must_use]
    pub const fn one_of(name: &'static str, choices: &'static [Self]) -> Self {
        Self::new(name, ArgumentKind::OneOf(choices))
    }

    /// Creates a group of arguments that belong together.
    #[must_use]
    pub const fn block(name: &'static str, parts: &'static [Self]) -> Self {
        Self::new(name, ArgumentKind::Block(parts))
    }

    /// Creates an argument that consists of its token only.
    #[must_use]
    pub const fn token(name: &'static str, token: &'static str) -> Self {
        Self::new(name, ArgumentKind::PureToken).with_token(token)
    }

    /// Adds the word that introduces the argument.
    #[must_use]
    pub const fn with_token(mut self, token: &'static str) -> Self {
        self.token = Some(token);
        self
    }

    /// Makes the argument optional.
    #[must_use]
    pub const fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// Makes the argument repeatable.
    #[must_use]
    pub const fn multiple(mut self) -> Self {
        self.multiple = true;
        self
    }

    /// Says since which version the argument is there.
    #[must_use]
    pub const fn since(mut self, version: &'static str) -> Self {
        self.since = Some(version);
        self
    }

    /// Says since which version the argument should no longer be used.
    #[must_use]
    pub const fn deprecated_since(mut self, version: &'static str) -> Self {
        self.deprecated_since = Some(version);
        self
    }
}
