//! A small sorted set: a listpack of members and scores in turn, in the order of the set.
//!
//! Not here: when a set becomes too large for it (`super`).

use std::ops::Range;

use base::cast;

use super::score::{self, Stored};
use super::{LexRange, Pair, compare};
use crate::listpack::{Element, Listpack, Position};

/// What a listpack of a sorted set has to be; said once.
const PAIRED: &str = "members and scores come in turn";

/// Returns the number of members.
pub(super) fn len(listpack: &Listpack) -> usize {
    listpack.len() / 2
}

/// Iterates over the pairs in order.
pub(super) fn pairs(listpack: &Listpack) -> impl Iterator<Item = Pair<'_>> {
    let mut elements = listpack.iter();
    std::iter::from_fn(move || {
        let member = elements.next()?;
        let score = score::read(elements.next()?)?;
        Some((member, score))
    })
}

/// Iterates over the pairs from the one at `from` on, in order or backwards.
pub(super) fn pairs_from(listpack: &Listpack, from: usize, is_reverse: bool) -> Walk<'_> {
    let index = cast::i64_from(from).checked_mul(2);
    Walk {
        listpack,
        position: index.and_then(|index| listpack.position(index)),
        is_reverse,
    }
}

/// See [`pairs_from`].
#[derive(Clone, Debug)]
pub(super) struct Walk<'a> {
    listpack: &'a Listpack,
    position: Option<Position>,
    is_reverse: bool,
}

impl<'a> Iterator for Walk<'a> {
    type Item = Pair<'a>;

    fn next(&mut self) -> Option<Pair<'a>> {
        let member = self.position?;
        let score = self.listpack.next(member)?;
        self.position = if self.is_reverse {
            let score_before = self.listpack.previous(member);
            score_before.and_then(|position| self.listpack.previous(position))
        } else {
            self.listpack.next(score)
        };
        let value = score::read(self.listpack.get(score))?;
        Some((self.listpack.get(member), value))
    }
}

/// Returns where the member lies and its score. O(n).
pub(super) fn find(listpack: &Listpack, member: &[u8]) -> Option<(Position, f64)> {
    let position = listpack.find(listpack.first()?, member, 1)?;
    let score = listpack.next(position).expect(PAIRED);
    Some((position, score::read(listpack.get(score)).expect(PAIRED)))
}

/// Returns the rank and score of a member. O(n).
pub(super) fn rank(listpack: &Listpack, member: &[u8]) -> Option<(usize, f64)> {
    let position = listpack.find(listpack.first()?, member, 1)?;
    let score = listpack.next(position).expect(PAIRED);
    let score = score::read(listpack.get(score)).expect(PAIRED);
    let rank = pairs(listpack)
        .take_while(|&(other, other_score)| other_score != score || !other.eq_bytes(member))
        .count();
    Some((rank, score))
}

/// Inserts a member that is not there. O(n).
pub(super) fn insert(listpack: &mut Listpack, member: &[u8], score: f64) {
    let stored = Stored::new(score);
    let mut at = listpack.first();
    while let Some(position) = at {
        let score_at = listpack.next(position).expect(PAIRED);
        let other = score::read(listpack.get(score_at)).expect(PAIRED);
        let is_behind = other > score
            || (other == score
                && listpack
                    .get(position)
                    .with_bytes(|bytes| compare((other, bytes), (score, member)).is_gt()));
        if is_behind {
            listpack.insert_before(position, member);
            listpack.insert_after(position, stored.element());
            return;
        }
        at = listpack.next(score_at);
    }
    listpack.push_back(member);
    listpack.push_back(stored.element());
}

/// Removes a member. Returns its score. O(n).
pub(super) fn remove(listpack: &mut Listpack, member: &[u8]) -> Option<f64> {
    let (position, score) = find(listpack, member)?;
    listpack.remove_range(position, 2);
    Some(score)
}

/// Removes pairs by rank. O(n).
pub(super) fn remove_range(listpack: &mut Listpack, ranks: &Range<usize>) {
    let index = cast::i64_from(ranks.start).saturating_mul(2);
    if let Some(position) = listpack.position(index) {
        listpack.remove_range(position, ranks.len().saturating_mul(2));
    }
}

/// Returns the ranks of the members in a range, looking from the low end, or else from the high
/// one. The answers differ only where scores do, and there they are those of Redis 7.0.15.
pub(super) fn lex_ranks(
    listpack: &Listpack,
    range: &LexRange<'_>,
    from_high: bool,
) -> Range<usize> {
    let is_after = |member: Element<'_>| member.with_bytes(|bytes| range.is_after(bytes));
    let reaches = |member: Element<'_>| member.with_bytes(|bytes| range.reaches(bytes));
    let first = pairs_from(listpack, 0, false).next();
    let count = len(listpack);
    let last = pairs_from(listpack, count.saturating_sub(1), false).next();
    let overlaps = first.is_some_and(|(member, _)| reaches(member))
        && last.is_some_and(|(member, _)| !is_after(member));
    if !overlaps {
        return 0..0;
    }
    if from_high {
        let mut behind = pairs_from(listpack, count - 1, true);
        let skipped = behind.by_ref().take_while(|&(member, _)| !reaches(member));
        let end = count - skipped.count();
        let inside = pairs_from(listpack, end.saturating_sub(1), true)
            .take(end)
            .take_while(|&(member, _)| !is_after(member));
        let inside = inside.count();
        return end - inside..end;
    }
    let start = pairs(listpack)
        .take_while(|&(member, _)| is_after(member))
        .count();
    let inside = pairs_from(listpack, start, false)
        .take_while(|&(member, _)| reaches(member))
        .count();
    start..start + inside
}
