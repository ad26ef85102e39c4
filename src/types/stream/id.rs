//! Ids of entries: a time in milliseconds and a number within it.

/// The id of an entry, `time-sequence`. Ids of a stream rise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// Milliseconds since 1970, or whatever the client says.
    pub ms: u64,
    /// Counts entries of one millisecond.
    pub sequence: u64,
}

impl Id {
    /// The smallest id; no entry has it.
    pub const MIN: Self = Self::new(0, 0);
    /// The largest id.
    pub const MAX: Self = Self::new(u64::MAX, u64::MAX);

    /// Puts both parts together.
    #[must_use]
    pub const fn new(ms: u64, sequence: u64) -> Self {
        Self { ms, sequence }
    }

    /// Returns the id behind this one; nothing behind [`Id::MAX`].
    #[must_use]
    pub fn next(self) -> Option<Self> {
        match self.sequence.checked_add(1) {
            Some(sequence) => Some(Self::new(self.ms, sequence)),
            None => self.ms.checked_add(1).map(|ms| Self::new(ms, 0)),
        }
    }

    /// Returns the id before this one; nothing before [`Id::MIN`].
    #[must_use]
    pub fn previous(self) -> Option<Self> {
        match self.sequence.checked_sub(1) {
            Some(sequence) => Some(Self::new(self.ms, sequence)),
            None => self.ms.checked_sub(1).map(|ms| Self::new(ms, u64::MAX)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_carry_into_the_time() {
        assert_eq!(Id::new(1, u64::MAX).next(), Some(Id::new(2, 0)));
        assert_eq!(Id::new(2, 0).previous(), Some(Id::new(1, u64::MAX)));
        assert_eq!(Id::MAX.next(), None);
        assert_eq!(Id::MIN.previous(), None);
        assert!(Id::new(1, 9) < Id::new(2, 0));
    }
}
