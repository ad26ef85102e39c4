//! What kind of command it is: flags, and the ACL categories that follow from them.

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

    /// Only for whom `enable-debug-command` allows it. Shown nowhere.
    pub const DEBUGGING: Self = Self(1 << 22);

    /// Changes data, or tells others of something, though it is no write: `CLIENT PAUSE WRITE` holds it
    /// up. Shown nowhere.
    pub const MAY_REPLICATE: Self = Self(1 << 21);

    /// Refused while the disk takes no writes, though it is no write itself: what watches over servers
    /// asks with it. Shown nowhere.
    pub const NEEDS_DISK: Self = Self(1 << 23);

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
