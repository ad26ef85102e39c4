//! A large sorted set: entries with numbers, a table that finds them by member, a tree in their
//! order.
//!
//! Invariants
//! - Table and tree hold the numbers of all entries, once each.
//!
//! Not here: small sets (`packed`).

use std::ops::Range;

use base::cast;
use base::hash::KeyHasher;
use base::random::Random;

use super::entries::Entries;
use super::tree::{Item, Target, Tree};
use super::{LexRange, Pair, ScoreRange};
use crate::listpack::Element;
use crate::table::Table;

/// See the head of the file.
#[derive(Clone, Debug)]
pub(super) struct Indexed {
    ids: Table<u32, Entries>,
    tree: Tree,
}

impl Indexed {
    pub(super) fn new(hash_seed: (u64, u64)) -> Self {
        Self {
            ids: Table::with_keys(KeyHasher::new(hash_seed), Entries::default()),
            tree: Tree::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.tree.len()
    }

    /// Returns the bytes of all allocations, those of this value itself too, which is boxed.
    pub(super) fn bytes(&self) -> usize {
        crate::memory::allocated_bytes(size_of::<Self>())
            + self.ids.allocated_bytes()
            + self.ids.keys().bytes()
            + self.tree.bytes()
    }

    pub(super) fn score(&self, member: &[u8]) -> Option<f64> {
        let id = self.ids.get(member)?;
        Some(self.ids.keys().score(*id))
    }

    pub(super) fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        let score = self.score(member)?;
        Some((self.tree.rank(self.target(score, member)), score))
    }

    /// Inserts a member that is not there.
    pub(super) fn insert(&mut self, member: &[u8], score: f64) {
        let id = self.ids.keys_mut().push(member, score);
        self.ids.insert(id);
        self.tree.insert(target(self.ids.keys(), score, member), id);
    }

    /// Sets the score of a member; returns the one it had, or `None` if there is no such member.
    pub(super) fn update(&mut self, member: &[u8], score: f64) -> Option<f64> {
        let id = *self.ids.get(member)?;
        let before = self.ids.keys().score(id);
        if before != score {
            self.tree.remove(target(self.ids.keys(), before, member));
            self.ids.keys_mut().set_score(id, score);
            self.tree.insert(target(self.ids.keys(), score, member), id);
        }
        Some(before)
    }

    /// Removes a member; returns its score.
    pub(super) fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let id = self.ids.remove(member)?;
        let score = self.ids.keys().score(id);
        self.tree.remove(target(self.ids.keys(), score, member));
        self.drop_entry(id);
        Some(score)
    }

    /// Removes an entry that is in neither table nor tree any more: the last one takes its place.
    fn drop_entry(&mut self, id: u32) {
        let entries = self.ids.keys();
        let last = cast::u32_from(entries.len() - 1);
        if id != last {
            let (member, score) = (entries.member(last), entries.score(last));
            self.tree.renumber(target(entries, score, member), id);
            self.ids.rename(&last, id);
            self.ids.keys_mut().swap(id, last);
        }
        self.ids.keys_mut().pop();
    }

    pub(super) fn remove_range(&mut self, ranks: &Range<usize>) {
        for _ in 0..ranks.len() {
            let Some(item) = self.item_at(ranks.start) else {
                return;
            };
            let entries = self.ids.keys();
            let member = entries.member(item.id());
            self.tree.remove(target(entries, item.score(), member));
            self.ids.take(&item.id());
            self.drop_entry(item.id());
        }
    }

    fn item_at(&self, rank: usize) -> Option<Item> {
        let (leaf, at) = self.tree.leaf_at(rank)?;
        leaf.get(at).copied()
    }

    /// Returns the ranks of the members whose scores lie in a range.
    pub(super) fn score_ranks(&self, range: &ScoreRange) -> Range<usize> {
        let start = self.tree.count_before(|item| range.is_after(item.score()));
        let end = self.tree.count_before(|item| range.reaches(item.score()));
        start..end.max(start)
    }

    /// Returns the ranks of the members in a range, which means something only if all scores are
    /// equal.
    pub(super) fn lex_ranks(&self, range: &LexRange<'_>) -> Range<usize> {
        let entries = self.ids.keys();
        // As Redis looks before it searches: where scores differ, both ends may be outside.
        let member_at = |rank| self.item_at(rank).map(|item| entries.member(item.id()));
        let overlaps = member_at(0).is_some_and(|member| range.reaches(member))
            && member_at(self.len() - 1).is_some_and(|member| !range.is_after(member));
        if !overlaps {
            return 0..0;
        }
        let start = self
            .tree
            .count_before(|item| range.is_after(entries.member(item.id())));
        let end = self
            .tree
            .count_before(|item| range.reaches(entries.member(item.id())));
        start..end.max(start)
    }

    pub(super) fn pairs_from(&self, from: usize, is_reverse: bool) -> Walk<'_> {
        Walk {
            set: self,
            next: Some(from),
            leaf: &[],
            left: 0,
            is_reverse,
        }
    }

    pub(super) fn scan(
        &self,
        cursor: u64,
        count: usize,
        each: &mut dyn FnMut(Element<'_>, f64),
    ) -> u64 {
        let entries = self.ids.keys();
        self.ids.scan(cursor, count, &mut |&id| {
            each(Element::Bytes(entries.member(id)), entries.score(id));
        })
    }

    /// Returns a pair, each with the same chance.
    pub(super) fn random(&self, random: &mut Random) -> Option<Pair<'_>> {
        let entries = self.ids.keys();
        if entries.len() == 0 {
            return None;
        }
        let id = cast::u32_from(random.index(entries.len()));
        Some((Element::Bytes(entries.member(id)), entries.score(id)))
    }

    /// Frees about `elements` elements; returns whether there is more.
    pub(super) fn free_step(&mut self, elements: usize) -> bool {
        // The table asks nothing of the entries when it is freed.
        self.ids.keys_mut().free_step(elements)
            || self.ids.free_step(elements)
            || self.tree.free_step(elements)
    }

    fn target<'a>(&'a self, score: f64, member: &'a [u8]) -> Target<'a> {
        target(self.ids.keys(), score, member)
    }

    #[cfg(test)]
    pub(super) fn assert_sound(&self) {
        let entries = self.ids.keys();
        self.tree.assert_sound(entries);
        assert_eq!((self.ids.len(), entries.len()), (self.len(), self.len()));
        for &id in self.ids.iter() {
            assert_eq!(self.ids.get(entries.member(id)), Some(&id));
        }
    }
}

fn target<'a>(entries: &'a Entries, score: f64, member: &'a [u8]) -> Target<'a> {
    Target {
        entries,
        score,
        member,
    }
}

/// Pairs from a rank on, in order or backwards.
#[derive(Clone, Debug)]
pub(super) struct Walk<'a> {
    set: &'a Indexed,
    /// The rank to go on with when the leaf is used up.
    next: Option<usize>,
    leaf: &'a [Item],
    /// Items of the leaf that are still to come: the last so many, or the first when going
    /// backwards.
    left: usize,
    is_reverse: bool,
}

impl<'a> Walk<'a> {
    fn enter(&mut self) -> Option<()> {
        let rank = self.next?;
        let (leaf, at) = self.set.tree.leaf_at(rank)?;
        self.leaf = leaf;
        (self.left, self.next) = if self.is_reverse {
            (at + 1, rank.checked_sub(at + 1))
        } else {
            (leaf.len() - at, Some(rank + leaf.len() - at))
        };
        Some(())
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Pair<'a>;

    fn next(&mut self) -> Option<Pair<'a>> {
        if self.left == 0 {
            self.enter()?;
        }
        let at = if self.is_reverse {
            self.left - 1
        } else {
            self.leaf.len() - self.left
        };
        self.left -= 1;
        let item = self.leaf.get(at)?;
        let member = self.set.ids.keys().member(item.id());
        Some((Element::Bytes(member), item.score()))
    }
}
