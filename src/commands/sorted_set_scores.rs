//! Members and scores of the sources of ZUNION, ZINTER, ZDIFF and their kin, and how scores become one.
//!
//! Sources are sorted sets, and plain sets whose members then have the score 1.
//!
//! Not here: which source comes when ([`crate::sorted_set_algebra`], [`crate::sorted_set_steps`]).

use shard::entry::WrongType;
use types::Value;
use types::listpack::Element;
use types::memory::allocated_bytes;
use types::set::Set;
use types::sorted_set::SortedSet;
use types::table::{self, Table};

use crate::set_steps::scan_part;
use crate::steps::WALK_STEP_BYTES;

/// The score of the members of plain sets.
const SCORE_OF_PLAIN: f64 = 1.0;

/// What is made of several sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Union,
    Intersection,
    Difference,
}

/// How two scores become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn of(self, score: f64, other: f64) -> f64 {
        match self {
            // Both infinities make 0.
            Self::Sum => number_or_zero(score + other),
            Self::Min if other < score => other,
            Self::Max if other > score => other,
            Self::Min | Self::Max => score,
        }
    }
}

fn number_or_zero(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// The members of a source.
#[derive(Clone, Copy)]
pub(crate) enum Members<'a> {
    None,
    Sorted(&'a SortedSet),
    Plain(&'a Set),
}

impl<'a> Members<'a> {
    /// Returns the members of a value, if it is of a type that has any.
    pub(crate) fn of_value(value: Option<&'a Value>) -> Result<Self, WrongType> {
        match value {
            None => Ok(Self::None),
            Some(Value::SortedSet(set)) => Ok(Self::Sorted(set)),
            Some(Value::Set(set)) => Ok(Self::Plain(set)),
            Some(_) => Err(WrongType),
        }
    }

    pub(crate) fn len(self) -> usize {
        match self {
            Self::None => 0,
            Self::Sorted(set) => set.len(),
            Self::Plain(set) => set.len(),
        }
    }

    /// Returns the bytes that the source has allocated.
    pub(crate) fn allocated_bytes(self) -> usize {
        match self {
            Self::None => 0,
            Self::Sorted(set) => set.allocated_bytes(allocated_bytes),
            Self::Plain(set) => set.allocated_bytes(allocated_bytes),
        }
    }

    /// Shows about `count` members from `cursor` on, fewer if they are long. Returns the cursor to go on from, 0 at
    /// the end.
    pub(crate) fn scan(
        self,
        cursor: u64,
        count: usize,
        each: &mut dyn FnMut(Element<'_>, f64),
    ) -> u64 {
        match self {
            Self::None => 0,
            Self::Sorted(set) => {
                let mean = self.allocated_bytes() / set.len().max(1);
                set.scan(
                    cursor,
                    count.min(WALK_STEP_BYTES / mean.max(1)).max(1),
                    each,
                )
            }
            Self::Plain(set) => scan_part(set, cursor, count, &mut |member| {
                each(member, SCORE_OF_PLAIN);
            }),
        }
    }

    pub(crate) fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            Self::None => None,
            Self::Sorted(set) => set.score(member),
            Self::Plain(set) => set.contains(member).then_some(SCORE_OF_PLAIN),
        }
    }

    /// Shows members with their scores until `each` returns false.
    pub(crate) fn while_each(self, each: &mut dyn FnMut(Element<'_>, f64) -> bool) {
        match self {
            Self::None => {}
            Self::Sorted(set) => {
                let mut pairs = set.iter();
                while let Some((member, score)) = pairs.next()
                    && each(member, score)
                {}
            }
            Self::Plain(set) => {
                let mut members = set.iter();
                while let Some(member) = members.next()
                    && each(member, SCORE_OF_PLAIN)
                {}
            }
        }
    }
}

/// A member of a union while scores are added to it.
#[derive(Clone, Debug)]
pub(crate) struct Sum {
    pub(crate) member: Box<[u8]>,
    pub(crate) score: f64,
}

impl Sum {
    /// Adds a score, its weight included, to that of a member.
    pub(crate) fn add(sums: &mut Table<Self>, member: &[u8], score: f64, aggregate: Aggregate) {
        let score = number_or_zero(score);
        let known = sums.update(member, |sum| sum.score = aggregate.of(sum.score, score));
        if known.is_none() {
            let member = member.into();
            sums.insert(Self { member, score });
        }
    }
}

impl table::Element for Sum {
    fn key(&self) -> &[u8] {
        &self.member
    }

    fn heap_bytes(&self) -> usize {
        allocated_bytes(self.member.len())
    }
}

/// Returns the score of a member in an intersection: `score`, its weight included, is that of the first source.
/// `None` if another source does not have it.
pub(crate) fn common_score(
    member: &[u8],
    score: f64,
    others: &[(Members<'_>, f64)],
    aggregate: Aggregate,
) -> Option<f64> {
    let mut result = number_or_zero(score);
    for (members, weight) in others {
        result = aggregate.of(result, members.score(member)? * weight);
    }
    Some(result)
}
