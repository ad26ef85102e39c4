//! Sorted sets: distinct members with scores, in the order of the scores, and of the bytes of
//! members where scores are equal.
//!
//! | Encoding | Form | for |
//! |---|---|---|
//! | `listpack` | members and scores in turn | few short members: [`Rules`] |
//! | `skiplist` | entries, a table of them by member, a tree of them in order | all others |
//!
//! The second is called as Redis calls its own. A set never goes back to the first.
//!
//! In reading order: `range` and `score` are words of the subject, `packed` is the small form; of
//! the large one `indexed` is the whole, made of `entries`, [`crate::table`] and `tree`.
//!
//! Invariants
//! - No score is NaN.
//! - No operation on one member costs more than O(log n), or O(n) within the limits of a listpack.
//!
//! Not here: what options of commands mean, and coordinates (`geo`).

mod entries;
mod indexed;
mod packed;
pub mod range;
pub mod score;
mod tree;

use std::cmp::Ordering;
use std::ops::Range;

use base::random::Random;

use crate::limits::Limits;
use crate::listpack::{Element, Listpack};
use crate::table::Table;
use indexed::Indexed;
use range::{LexRange, ScoreRange};

/// A member and its score.
pub type Pair<'a> = (Element<'a>, f64);

/// Bytes beyond its own that a member takes in a listpack at most, those of its score included.
const PAIR_BYTES_MAX: usize = 64;

/// What a set needs to know when it grows.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Most members of a listpack.
    pub listpack_entries: usize,
    /// Bytes of the longest member of a listpack.
    pub listpack_value: usize,
    /// 128 bits that clients cannot guess, for the table of a large set.
    pub hash_seed: (u64, u64),
}

impl Rules {
    /// Takes the rules from the configuration.
    #[must_use]
    pub fn new(limits: &Limits, hash_seed: (u64, u64)) -> Self {
        Self {
            listpack_entries: limits.zset_listpack_entries,
            listpack_value: limits.zset_listpack_value,
            hash_seed,
        }
    }
}

/// A sorted set. See the head of the module.
#[derive(Clone, Debug)]
pub struct SortedSet {
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    Packed(Listpack),
    Indexed(Box<Indexed>),
}

impl Default for SortedSet {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for SortedSet {
    /// Compares members and scores; encodings do not matter.
    fn eq(&self, other: &Self) -> bool {
        let same = |(left, right): (Pair<'_>, Pair<'_>)| {
            left.1 == right.1
                && left
                    .0
                    .with_bytes(|left| right.0.with_bytes(|right| left == right))
        };
        self.len() == other.len() && self.iter().zip(other.iter()).all(same)
    }
}

impl SortedSet {
    /// Creates an empty set.
    #[must_use]
    pub fn new() -> Self {
        Self {
            form: Form::Packed(Listpack::new()),
        }
    }

    /// Takes a listpack of members and scores, as RESTORE has it. `None` if its elements do not
    /// come in pairs of a member and a score, in the right order and without a member twice.
    ///
    /// O(n), and O(n log n) above the limits of `rules`.
    #[must_use]
    pub fn from_listpack(listpack: Listpack, rules: &Rules) -> Option<Self> {
        let count = listpack.len();
        let pairs = || packed::pairs(&listpack);
        let mut is_sound = count.is_multiple_of(2) && pairs().count() * 2 == count;
        let mut fits = packed::len(&listpack) <= rules.listpack_entries;
        let mut before: Option<Pair<'_>> = None;
        let mut names: Table<Box<[u8]>> = Table::new(base::hash::KeyHasher::new(rules.hash_seed));
        for (member, score) in pairs() {
            if let Some((other, other_score)) = before {
                is_sound &= other.with_bytes(|left| {
                    member.with_bytes(|right| compare((other_score, left), (score, right)).is_lt())
                });
            }
            fits &= member.len() <= rules.listpack_value;
            is_sound &= names.insert(member.to_vec().into()).is_none();
            before = Some((member, score));
        }
        if !is_sound {
            return None;
        }
        let mut set = Self {
            form: Form::Packed(listpack),
        };
        if !fits {
            set.convert(rules.hash_seed);
        }
        Some(set)
    }

    /// Wraps a listpack that [`SortedSet::as_listpack`] gave, or an empty one.
    pub(crate) fn of_listpack(pairs: Listpack) -> Self {
        Self {
            form: Form::Packed(pairs),
        }
    }

    /// Returns the memory of a listpack, with its contents.
    pub(crate) fn into_memory(self) -> Vec<u8> {
        match self.form {
            Form::Packed(listpack) => listpack.into_memory(),
            Form::Indexed(_) => Vec::new(),
        }
    }

    /// Returns the listpack of a small set, as DUMP has it.
    #[inline]
    #[must_use]
    pub fn as_listpack(&self) -> Option<&Listpack> {
        match &self.form {
            Form::Packed(listpack) => Some(listpack),
            Form::Indexed(_) => None,
        }
    }

    /// Returns the number of members. O(1).
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.form {
            Form::Packed(listpack) => packed::len(listpack),
            Form::Indexed(indexed) => indexed.len(),
        }
    }

    /// Returns whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the name of the encoding.
    #[must_use]
    pub fn encoding_name(&self) -> &'static str {
        match &self.form {
            Form::Packed(_) => "listpack",
            Form::Indexed(_) => "skiplist",
        }
    }

    /// Returns the score of a member. O(1); O(n) in a listpack.
    #[must_use]
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        match &self.form {
            Form::Packed(listpack) => packed::find(listpack, member).map(|(_, score)| score),
            Form::Indexed(indexed) => indexed.score(member),
        }
    }

    /// Returns how many members come before this one, and its score. O(log n).
    #[must_use]
    pub fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        match &self.form {
            Form::Packed(listpack) => packed::rank(listpack, member),
            Form::Indexed(indexed) => indexed.rank(member),
        }
    }

    /// Gives a member this score, and adds it if it is not there. Returns the score it had. O(log
    /// n).
    ///
    /// `score` must not be NaN.
    pub fn set(&mut self, member: &[u8], score: f64, rules: &Rules) -> Option<f64> {
        debug_assert!(!score.is_nan(), "the caller refuses NaN");
        match &mut self.form {
            Form::Packed(listpack) => {
                if let Some((position, before)) = packed::find(listpack, member) {
                    if before != score {
                        listpack.remove_range(position, 2);
                        packed::insert(listpack, member, score);
                    }
                    return Some(before);
                }
                if packed::len(listpack) < rules.listpack_entries
                    && member.len() <= rules.listpack_value
                    && listpack.would_fit(member.len() + PAIR_BYTES_MAX)
                {
                    packed::insert(listpack, member, score);
                } else {
                    self.convert(rules.hash_seed);
                    self.set(member, score, rules);
                }
                None
            }
            Form::Indexed(indexed) => {
                let before = indexed.update(member, score);
                if before.is_none() {
                    indexed.insert(member, score);
                }
                before
            }
        }
    }

    /// Removes a member. Returns its score. O(log n).
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        match &mut self.form {
            Form::Packed(listpack) => packed::remove(listpack, member),
            Form::Indexed(indexed) => indexed.remove(member),
        }
    }

    /// Removes the members of these ranks, which must be within the set. O(m log n), m being their
    /// number.
    pub fn remove_range(&mut self, ranks: Range<usize>) {
        match &mut self.form {
            Form::Packed(listpack) => packed::remove_range(listpack, &ranks),
            Form::Indexed(indexed) => indexed.remove_range(&ranks),
        }
    }

    /// Returns the ranks of the members whose scores lie in a range. O(log n).
    #[must_use]
    pub fn score_ranks(&self, range: &ScoreRange) -> Range<usize> {
        match &self.form {
            Form::Packed(listpack) => {
                let count = |is_in: &dyn Fn(f64) -> bool| {
                    packed::pairs(listpack)
                        .take_while(|&(_, score)| is_in(score))
                        .count()
                };
                let start = count(&|score| range.is_after(score));
                start..count(&|score| range.reaches(score)).max(start)
            }
            Form::Indexed(indexed) => indexed.score_ranks(range),
        }
    }

    /// Returns the ranks of the members in a range of bytes, which is for sets of equal scores.
    /// O(log n).
    ///
    /// Where scores differ the answer means little; for a listpack it is then the one of Redis
    /// 7.0.15, which depends on the end that the search begins at.
    #[must_use]
    pub fn lex_ranks(&self, range: &LexRange<'_>, from_high: bool) -> Range<usize> {
        match &self.form {
            Form::Packed(listpack) => packed::lex_ranks(listpack, range, from_high),
            Form::Indexed(indexed) => indexed.lex_ranks(range),
        }
    }

    /// Iterates over all members in order.
    #[must_use]
    pub fn iter(&self) -> Pairs<'_> {
        self.pairs(0..self.len(), false)
    }

    /// Iterates over the members of these ranks, from the low end, or else from the high one. O(log
    /// n) to begin with and for some forty members each.
    #[must_use]
    pub fn pairs(&self, ranks: Range<usize>, is_reverse: bool) -> Pairs<'_> {
        let from = if is_reverse {
            ranks.end.saturating_sub(1)
        } else {
            ranks.start
        };
        let walk = match &self.form {
            Form::Packed(listpack) => Walk::Packed(packed::pairs_from(listpack, from, is_reverse)),
            Form::Indexed(indexed) => Walk::Indexed(indexed.pairs_from(from, is_reverse)),
        };
        Pairs {
            left: ranks.len(),
            walk,
        }
    }

    /// Shows members from `cursor` on until there were about `count`; see [`Table::scan`]. A small
    /// set is shown whole.
    pub fn scan(&self, cursor: u64, count: usize, each: &mut dyn FnMut(Element<'_>, f64)) -> u64 {
        match &self.form {
            Form::Packed(listpack) => {
                packed::pairs(listpack).for_each(|(member, score)| each(member, score));
                0
            }
            Form::Indexed(indexed) => indexed.scan(cursor, count, each),
        }
    }

    /// Returns a member, each with the same chance; `None` if there is none. O(1); O(n) in a
    /// listpack.
    #[must_use]
    pub fn random(&self, random: &mut Random) -> Option<Pair<'_>> {
        match &self.form {
            Form::Packed(listpack) => {
                let count = packed::len(listpack);
                if count == 0 {
                    return None;
                }
                packed::pairs_from(listpack, random.index(count), false).next()
            }
            Form::Indexed(indexed) => indexed.random(random),
        }
    }

    /// Returns the bytes allocated; `round` turns a request into what the allocator takes for it.
    /// O(1).
    #[must_use]
    pub fn allocated_bytes(&self, round: fn(usize) -> usize) -> usize {
        match &self.form {
            Form::Packed(listpack) => round(listpack.capacity_bytes()),
            Form::Indexed(indexed) => indexed.bytes(),
        }
    }

    /// Frees about `elements` elements; returns whether there is more. The set is good for nothing
    /// else afterwards.
    pub fn free_step(&mut self, elements: usize) -> bool {
        match &mut self.form {
            Form::Packed(_) => false,
            Form::Indexed(indexed) => indexed.free_step(elements),
        }
    }

    /// Returns about how many elements [`SortedSet::free_step`] has to free. O(1).
    #[must_use]
    pub fn free_effort(&self) -> usize {
        match &self.form {
            Form::Packed(_) => 1,
            Form::Indexed(indexed) => indexed.len().max(1),
        }
    }

    /// Changes to the large form. O(n log n) in the elements of the listpack.
    fn convert(&mut self, hash_seed: (u64, u64)) {
        let mut indexed = Box::new(Indexed::new(hash_seed));
        for (member, score) in self.iter() {
            member.with_bytes(|bytes| indexed.insert(bytes, score));
        }
        self.form = Form::Indexed(indexed);
    }
}

/// Members with their scores; see [`SortedSet::pairs`].
#[derive(Clone, Debug)]
pub struct Pairs<'a> {
    left: usize,
    walk: Walk<'a>,
}

#[derive(Clone, Debug)]
enum Walk<'a> {
    Packed(packed::Walk<'a>),
    Indexed(indexed::Walk<'a>),
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Pair<'a>;

    fn next(&mut self) -> Option<Pair<'a>> {
        self.left = self.left.checked_sub(1)?;
        match &mut self.walk {
            Walk::Packed(walk) => walk.next(),
            Walk::Indexed(walk) => walk.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Pairs<'_> {}

/// The order of a set. Scores are not NaN.
fn compare(left: (f64, &[u8]), right: (f64, &[u8])) -> Ordering {
    let scores = left.0.partial_cmp(&right.0).unwrap_or(Ordering::Equal);
    scores.then_with(|| left.1.cmp(right.1))
}

#[cfg(test)]
mod tests;
