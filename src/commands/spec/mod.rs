//! What the declaration of a command says, and what its handler is given.
//!
//! A command is declared once, as a `const`. From the declaration follow the checks before it runs
//! (arity, flags, ACL categories), its routing (`keys`, `spread`), and everything that `COMMAND`
//! tells clients. Nobody else decides by a command's name.

mod declaration;
mod docs;
mod flags;
mod key_spec;

use base::clock::UnixMillis;
use base::ids::DbIndex;
use base::random::Random;
use protocol::args::Args;
use protocol::reply::Reply;
use shard::{Key, Shard};

pub use self::declaration::{Arity, Declaration, ShapeError};
pub use self::docs::{Argument, ArgumentKind, Docs};
pub use self::flags::{Category, Flags};
pub use self::key_spec::{BeginSearch, FindKeys, KeySpec};
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
    /// Whether the log is always told the value that it leaves, never its words.
    pub told_whole: bool,
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
            told_whole: false,
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

    /// Has the log told the value that the command leaves, never its words: they depend on chance, or are as
    /// long as the value.
    #[must_use]
    pub const fn told_whole(mut self) -> Self {
        self.told_whole = true;
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
