//! Where the keys of a request stand, and how they are used.

use protocol::args::Args;

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
