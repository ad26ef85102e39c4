//! Which members of a sorted set are meant: by score, or by the bytes of members.
//!
//! Not here: how clients spell bounds (`commands`).

/// An end of a range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound<T> {
    /// That value and what lies inside of it.
    Included(T),
    /// Only what lies inside of it.
    Excluded(T),
    /// Less than everything.
    Lowest,
    /// More than everything.
    Highest,
}

/// Scores from `min` to `max`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreRange {
    /// The low end.
    pub min: Bound<f64>,
    /// The high end.
    pub max: Bound<f64>,
}

impl ScoreRange {
    /// Returns whether `score` lies before the range.
    #[must_use]
    pub fn is_after(&self, score: f64) -> bool {
        match self.min {
            Bound::Included(min) => score < min,
            Bound::Excluded(min) => score <= min,
            Bound::Lowest => false,
            Bound::Highest => true,
        }
    }

    /// Returns whether `score` does not lie behind the range.
    #[must_use]
    pub fn reaches(&self, score: f64) -> bool {
        match self.max {
            Bound::Included(max) => score <= max,
            Bound::Excluded(max) => score < max,
            Bound::Lowest => false,
            Bound::Highest => true,
        }
    }
}

/// Members from `min` to `max` in the order of their bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LexRange<'a> {
    /// The low end.
    pub min: Bound<&'a [u8]>,
    /// The high end.
    pub max: Bound<&'a [u8]>,
}

impl LexRange<'_> {
    /// Returns whether `member` lies before the range.
    #[must_use]
    pub fn is_after(&self, member: &[u8]) -> bool {
        match self.min {
            Bound::Included(min) => member < min,
            Bound::Excluded(min) => member <= min,
            Bound::Lowest => false,
            Bound::Highest => true,
        }
    }

    /// Returns whether `member` does not lie behind the range.
    #[must_use]
    pub fn reaches(&self, member: &[u8]) -> bool {
        match self.max {
            Bound::Included(max) => member <= max,
            Bound::Excluded(max) => member < max,
            Bound::Lowest => false,
            Bound::Highest => true,
        }
    }
}
