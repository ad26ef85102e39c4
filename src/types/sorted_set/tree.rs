//! The order of a large sorted set: a B+ tree that knows how many items lie under each branch.
//!
//! ```text
//! branch   [ low count | low count | ... ]      low: a copy of the lowest item below
//!             |            |
//! leaf     [ item item ][ item item ... ]       item: score and number of the entry, 12 bytes
//! ```
//!
//! Items are in the order of their scores, and of the bytes of members where scores are equal; the
//! members lie with the entries, and only equal scores look there.
//!
//! Invariants
//! - All leaves are at the same depth; a leaf has at most [`LEAF_MAX`] items, a branch at most
//!   [`BRANCH_MAX`] children; none but the root is empty.
//! - `low` and `count` of a child are right.
//! - `bytes` is the sum over all allocations.
//!
//! Every operation looks at O(log n) nodes, and moves at most one array in each.

use std::cmp::Ordering;

use super::compare;
use super::entries::Entries;
use crate::memory::allocated_bytes;

/// Most items of a leaf.
const LEAF_MAX: usize = 64;
/// Most children of a branch.
const BRANCH_MAX: usize = 32;
/// Items that a leaf grows by, children that a branch grows by.
const STEP: usize = 8;

/// A score and the number of its entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Item {
    // As bytes, so that an item takes 12 of them.
    score: [u8; 8],
    id: [u8; 4],
}

impl Item {
    pub(super) fn new(score: f64, id: u32) -> Self {
        Self {
            score: score.to_le_bytes(),
            id: id.to_le_bytes(),
        }
    }

    #[inline]
    pub(super) fn score(self) -> f64 {
        f64::from_le_bytes(self.score)
    }

    #[inline]
    pub(super) fn id(self) -> u32 {
        u32::from_le_bytes(self.id)
    }
}

#[derive(Clone, Debug)]
enum Node {
    Leaf(Vec<Item>),
    Branch(Vec<Child>),
}

#[derive(Clone, Debug)]
struct Child {
    node: Node,
    count: usize,
    low: Item,
}

/// See the head of the file.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    root: Node,
    len: usize,
    bytes: usize,
}

/// A member and its score, with the entries that other members are looked up in.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) entries: &'a Entries,
    pub(super) score: f64,
    pub(super) member: &'a [u8],
}

impl Target<'_> {
    /// Compares an item with the target.
    #[inline]
    fn order_of(&self, item: Item) -> Ordering {
        let score = item.score();
        if score == self.score {
            self.entries.member(item.id()).cmp(self.member)
        } else {
            compare((score, &[]), (self.score, &[]))
        }
    }
}

impl Tree {
    pub(super) const fn new() -> Self {
        Self {
            root: Node::Leaf(Vec::new()),
            len: 0,
            bytes: 0,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Returns the bytes of all allocations.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Inserts the item of the target, which is not there.
    pub(super) fn insert(&mut self, target: Target<'_>, id: u32) {
        let item = Item::new(target.score, id);
        self.len += 1;
        let Some(high) = self.root.insert(target, item, &mut self.bytes) else {
            return;
        };
        let low_node = std::mem::replace(&mut self.root, Node::Leaf(Vec::new()));
        let low = low_node.low().expect("a node that was split has items");
        let count = self.len - high.count;
        let mut children = Vec::with_capacity(STEP);
        children.push(Child {
            node: low_node,
            count,
            low,
        });
        children.push(high);
        self.root = Node::Branch(children);
        self.bytes += self.root.bytes();
    }

    /// Removes the item of the target. Returns whether it was there.
    pub(super) fn remove(&mut self, target: Target<'_>) -> bool {
        if !self.root.remove(target, &mut self.bytes) {
            return false;
        }
        self.len -= 1;
        while let Node::Branch(children) = &mut self.root
            && children.len() <= 1
        {
            let only = children.pop().map(|child| child.node);
            self.bytes -= self.root.bytes();
            self.root = only.unwrap_or(Node::Leaf(Vec::new()));
        }
        true
    }

    /// Gives the entry of the target another number.
    pub(super) fn renumber(&mut self, target: Target<'_>, id: u32) {
        self.root.renumber(target, id);
    }

    /// Returns how many items come before the first of which `is_before` is false; it must not be
    /// true again after it.
    pub(super) fn count_before(&self, is_before: impl Fn(Item) -> bool) -> usize {
        let mut node = &self.root;
        let mut count = 0;
        loop {
            match node {
                Node::Leaf(items) => {
                    return count + items.partition_point(|item| is_before(*item));
                }
                Node::Branch(children) => {
                    let reached = children.partition_point(|child| is_before(child.low));
                    let Some(last) = reached.checked_sub(1) else {
                        return count;
                    };
                    count += children[..last].iter().map(|it| it.count).sum::<usize>();
                    node = &children[last].node;
                }
            }
        }
    }

    /// Returns the rank of the target.
    pub(super) fn rank(&self, target: Target<'_>) -> usize {
        self.count_before(|item| target.order_of(item).is_lt())
    }

    /// Returns the leaf of the item with this rank, and its place there.
    pub(super) fn leaf_at(&self, rank: usize) -> Option<(&[Item], usize)> {
        let mut node = &self.root;
        let mut rest = rank;
        loop {
            match node {
                Node::Leaf(items) => return (rest < items.len()).then_some((items, rest)),
                Node::Branch(children) => {
                    node = children.iter().find_map(|child| {
                        if rest < child.count {
                            return Some(&child.node);
                        }
                        rest -= child.count;
                        None
                    })?;
                }
            }
        }
    }

    /// Frees about `items` items from the high end. Returns whether there are more. The tree is
    /// good for nothing else afterwards.
    pub(super) fn free_step(&mut self, items: usize) -> bool {
        let mut freed = 0;
        while freed < items {
            match self.root.free_last(&mut self.bytes) {
                0 => {
                    *self = Self::new();
                    return false;
                }
                count => freed += count,
            }
        }
        true
    }
}

impl Node {
    /// Returns the bytes of the node's own array.
    fn bytes(&self) -> usize {
        match self {
            Self::Leaf(items) => allocated_bytes(items.capacity() * size_of::<Item>()),
            Self::Branch(children) => allocated_bytes(children.capacity() * size_of::<Child>()),
        }
    }

    /// Returns the lowest item.
    fn low(&self) -> Option<Item> {
        match self {
            Self::Leaf(items) => items.first().copied(),
            Self::Branch(children) => children.first().map(|child| child.low),
        }
    }

    /// Inserts an item; returns the upper half if the node had to be split.
    fn insert(&mut self, target: Target<'_>, item: Item, bytes: &mut usize) -> Option<Child> {
        match self {
            Self::Leaf(items) => {
                let at = items.partition_point(|it| target.order_of(*it).is_lt());
                insert_into(items, at, item, bytes);
                if items.len() <= LEAF_MAX {
                    return None;
                }
                let high = split(items, at, bytes);
                let count = high.len();
                let low = *high.first()?;
                let node = Self::Leaf(high);
                Some(Child { node, count, low })
            }
            Self::Branch(children) => {
                let at = child_of(children, target);
                let child = &mut children[at];
                child.count += 1;
                let split_off = child.node.insert(target, item, bytes);
                child.low = child.node.low().unwrap_or(child.low);
                let high = split_off?;
                child.count -= high.count;
                insert_into(children, at + 1, high, bytes);
                if children.len() <= BRANCH_MAX {
                    return None;
                }
                let high = split(children, at + 1, bytes);
                let count = high.iter().map(|child| child.count).sum();
                let low = high.first()?.low;
                let node = Self::Branch(high);
                Some(Child { node, count, low })
            }
        }
    }

    fn remove(&mut self, target: Target<'_>, bytes: &mut usize) -> bool {
        match self {
            Self::Leaf(items) => {
                let at = items.partition_point(|it| target.order_of(*it).is_lt());
                let is_there = items.get(at).is_some_and(|it| target.order_of(*it).is_eq());
                if is_there {
                    items.remove(at);
                    trim(items, bytes);
                }
                is_there
            }
            Self::Branch(children) => {
                let at = child_of(children, target);
                let child = &mut children[at];
                if !child.node.remove(target, bytes) {
                    return false;
                }
                child.count -= 1;
                child.low = child.node.low().unwrap_or(child.low);
                merge_around(children, at, bytes);
                true
            }
        }
    }

    fn renumber(&mut self, target: Target<'_>, id: u32) {
        match self {
            Self::Leaf(items) => {
                let at = items.partition_point(|it| target.order_of(*it).is_lt());
                if let Some(item) = items.get_mut(at) {
                    debug_assert!(target.order_of(*item).is_eq(), "the entry is in the tree");
                    *item = Item::new(item.score(), id);
                }
            }
            Self::Branch(children) => {
                let at = child_of(children, target);
                let child = &mut children[at];
                child.node.renumber(target, id);
                child.low = child.node.low().unwrap_or(child.low);
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Leaf(items) => items.len(),
            Self::Branch(children) => children.len(),
        }
    }

    /// Returns whether the two are small enough to be one, with room for more.
    fn fits_with(&self, other: &Self) -> bool {
        let most = match self {
            Self::Leaf(_) => LEAF_MAX,
            Self::Branch(_) => BRANCH_MAX,
        };
        self.len() + other.len() <= most * 3 / 4
    }

    /// Frees the last leaf. Returns its length, 0 if there was none.
    fn free_last(&mut self, bytes: &mut usize) -> usize {
        match self {
            Self::Leaf(items) => {
                *bytes -= allocated_bytes(items.capacity() * size_of::<Item>());
                std::mem::take(items).len()
            }
            Self::Branch(children) => {
                while let Some(child) = children.last_mut() {
                    let freed = child.node.free_last(bytes);
                    if freed > 0 {
                        return freed;
                    }
                    children.pop();
                }
                *bytes -= allocated_bytes(children.capacity() * size_of::<Child>());
                *children = Vec::new();
                0
            }
        }
    }
}

/// Returns the place of the child that the target belongs to.
fn child_of(children: &[Child], target: Target<'_>) -> usize {
    let reached = children.partition_point(|child| target.order_of(child.low).is_le());
    reached.saturating_sub(1)
}

/// Merges the child at `at` with a neighbour if both are small, or removes it if it is empty.
fn merge_around(children: &mut Vec<Child>, at: usize, bytes: &mut usize) {
    if children[at].count == 0 {
        let empty = children.remove(at);
        *bytes -= empty.node.bytes();
        trim(children, bytes);
        return;
    }
    let fits = |left: usize| {
        let pair = children.get(left..left + 2);
        pair.is_some_and(|pair| pair[0].node.fits_with(&pair[1].node))
    };
    let left = if fits(at) {
        at
    } else if at > 0 && fits(at - 1) {
        at - 1
    } else {
        return;
    };
    let mut high = children.remove(left + 1);
    trim(children, bytes);
    let low = &mut children[left];
    *bytes -= low.node.bytes() + high.node.bytes();
    low.count += high.count;
    match (&mut low.node, &mut high.node) {
        (Node::Leaf(items), Node::Leaf(others)) => {
            reserve(items, others.len());
            items.append(others);
        }
        (Node::Branch(inner), Node::Branch(others)) => {
            reserve(inner, others.len());
            inner.append(others);
        }
        (Node::Leaf(_), Node::Branch(_)) | (Node::Branch(_), Node::Leaf(_)) => {
            debug_assert!(false, "all leaves are at the same depth");
        }
    }
    low.low = low.node.low().unwrap_or(low.low);
    *bytes += low.node.bytes();
}

fn array_bytes<T>(array: &[T], capacity: usize) -> usize {
    allocated_bytes(
        capacity
            * size_of_val(array)
                .checked_div(array.len())
                .unwrap_or(size_of::<T>()),
    )
}

fn reserve<T>(array: &mut Vec<T>, added: usize) {
    let len = array.len();
    if array.capacity() < len + added {
        array.reserve_exact((len + added).next_multiple_of(STEP) - len);
    }
}

fn insert_into<T>(array: &mut Vec<T>, at: usize, item: T, bytes: &mut usize) {
    *bytes -= array_bytes(array, array.capacity());
    reserve(array, 1);
    array.insert(at, item);
    *bytes += array_bytes(array, array.capacity());
}

/// Gives memory back after removals.
fn trim<T>(array: &mut Vec<T>, bytes: &mut usize) {
    if array.capacity() >= array.len() + 2 * STEP {
        *bytes -= array_bytes(array, array.capacity());
        array.shrink_to(array.len().next_multiple_of(STEP));
        *bytes += array_bytes(array, array.capacity());
    }
}

/// Takes the upper part of an array that is too long: half of it, or only the last element if what
/// was inserted came last, as members often come in the order of the set.
fn split<T>(array: &mut Vec<T>, inserted: usize, bytes: &mut usize) -> Vec<T> {
    let middle = if inserted + 1 == array.len() {
        array.len() - 1
    } else {
        array.len() / 2
    };
    *bytes -= array_bytes(array, array.capacity());
    let mut high = Vec::new();
    reserve(&mut high, array.len() - middle);
    high.extend(array.drain(middle..));
    array.shrink_to(array.len().next_multiple_of(STEP));
    *bytes += array_bytes(array, array.capacity()) + array_bytes(&high, high.capacity());
    high
}

#[cfg(test)]
impl Tree {
    /// Checks the invariants.
    pub(super) fn assert_sound(&self, entries: &Entries) {
        let mut items = Vec::new();
        let (count, bytes, _) = self.root.assert_sound(true, &mut items);
        assert_eq!((count, bytes), (self.len, self.bytes), "length and bytes");
        for pair in items.windows(2) {
            let key = |item: Item| (item.score(), entries.member(item.id()));
            assert_eq!(compare(key(pair[0]), key(pair[1])), Ordering::Less, "order");
        }
        let mut ids: Vec<u32> = items.iter().map(|item| item.id()).collect();
        ids.sort_unstable();
        assert!(
            ids.iter().copied().eq(0..base::cast::u32_from(self.len)),
            "ids"
        );
    }
}

#[cfg(test)]
impl Node {
    fn assert_sound(&self, is_root: bool, all: &mut Vec<Item>) -> (usize, usize, usize) {
        assert!(is_root || self.len() > 0, "only the root may be empty");
        match self {
            Self::Leaf(items) => {
                assert!(items.len() <= LEAF_MAX, "leaf");
                all.extend(items);
                (items.len(), self.bytes(), 0)
            }
            Self::Branch(children) => {
                assert!((1..=BRANCH_MAX).contains(&children.len()), "branch");
                let mut sum = (0, self.bytes(), 0);
                for (index, child) in children.iter().enumerate() {
                    let (count, bytes, depth) = child.node.assert_sound(false, all);
                    assert_eq!(Some(child.low), child.node.low(), "low");
                    assert_eq!(child.count, count, "count");
                    assert!(index == 0 || sum.2 == depth + 1, "depth");
                    sum = (sum.0 + count, sum.1 + bytes, depth + 1);
                }
                sum
            }
        }
    }
}
