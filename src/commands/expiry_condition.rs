//! When an expiry may be changed: the words NX, XX, GT and LT of the commands that set one, of a key or of
//! a field.

use base::clock::UnixMillis;
use protocol::args::equals_ignore_case;

/// One of these words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// `NX`: there is none.
    IsNone,
    /// `XX`: there is one.
    IsAny,
    /// `GT`: it becomes later.
    Later,
    /// `LT`: it becomes earlier.
    Earlier,
}

impl Condition {
    /// All, with their words.
    pub(crate) const ALL: [(&'static str, Self); 4] = [
        ("NX", Self::IsNone),
        ("XX", Self::IsAny),
        ("GT", Self::Later),
        ("LT", Self::Earlier),
    ];

    /// Returns the condition that a word is, in any case of letters.
    pub(crate) fn of(word: &[u8]) -> Option<Self> {
        let found = Self::ALL
            .into_iter()
            .find(|(name, _)| equals_ignore_case(word, name));
        found.map(|(_, condition)| condition)
    }

    /// Returns whether an expiry may move from `before` to `after`. What has none counts as living for
    /// ever.
    pub(crate) fn allows(self, before: Option<UnixMillis>, after: UnixMillis) -> bool {
        match (self, before) {
            (Self::IsNone, before) => before.is_none(),
            (Self::IsAny, before) => before.is_some(),
            (Self::Later, before) => before.is_some_and(|before| after > before),
            (Self::Earlier, before) => before.is_none_or(|before| after < before),
        }
    }
}
