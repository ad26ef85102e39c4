//! A list of several nodes.
//!
//! The nodes stand in a ring buffer, 32 bytes each. Adding and removing at the ends is O(1), finding
//! an index reads the counts of at most half of the nodes. A node that is made or removed in the
//! middle moves the nodes on its shorter side: at 8 KiB per node, 2 MiB of moves for a list of 1 GiB,
//! about what walking to the place costs anyway.
//!
//! Invariants
//! - No node is empty.
//! - `len` is the number of elements, `heap_bytes` what the allocator takes for all nodes' contents.
//! - Neighbours are joined only around the place of an insertion that had to split a node. So runs of
//!   removals leave small nodes, as in Redis; each has at least one element.
//!
//! Not here: lists of one node (`mod.rs`).

use std::collections::{VecDeque, vec_deque};

use crate::listpack::{Element, Listpack};
use crate::memory;

use super::node::{Needle, Node, NodeIter, NodeRule};
use super::{End, Side};

/// A ring buffer is not shrunk below so many nodes.
const NODES_KEPT_MIN: usize = 16;

#[derive(Clone, Debug, Default)]
pub(super) struct Chain {
    nodes: VecDeque<Node>,
    len: usize,
    heap_bytes: usize,
}

/// Where an element is.
#[derive(Clone, Copy, Debug)]
struct Place {
    node: usize,
    /// Elements before it in its node.
    offset: usize,
}

impl Chain {
    /// Makes a chain of one node, or of none if there is no element.
    pub(super) fn of(listpack: Listpack) -> Self {
        let mut chain = Self::default();
        chain.push_node(Node::packed(listpack));
        chain
    }

    /// Adds a node with all its elements behind the last. An empty one is dropped.
    pub(super) fn push_node(&mut self, node: Node) {
        if node.count() > 0 {
            self.insert_node(self.nodes.len(), node);
        }
    }

    /// Returns the number of elements.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn nodes(&self) -> &VecDeque<Node> {
        &self.nodes
    }

    /// Returns the bytes that the allocator takes for nodes and their contents. O(1).
    pub(super) fn allocated_bytes(&self) -> usize {
        memory::allocated_bytes(size_of::<Self>())
            + memory::allocated_bytes(self.nodes.capacity() * size_of::<Node>())
            + self.heap_bytes
    }

    /// Returns the listpack if there is only one node, and that has at most so many bytes.
    pub(super) fn take_small(&mut self, bytes_max: usize) -> Option<Listpack> {
        match self.nodes.len() {
            0 => Some(Listpack::new()),
            1 if self.nodes[0].byte_len() <= bytes_max => {
                let node = self.take_node(0)?;
                match node.into_listpack() {
                    Ok(listpack) => Some(listpack),
                    Err(plain) => {
                        self.insert_node(0, plain);
                        None
                    }
                }
            }
            _ => None,
        }
    }

    /// Drops up to `count` nodes; returns whether there are more.
    pub(super) fn drop_nodes(&mut self, count: usize) -> bool {
        let rest = self.nodes.len().saturating_sub(count);
        self.nodes.truncate(rest);
        rest > 0
    }

    /// Adds an element at one end. O(n) in the bytes of a node. A node that is full gives back the room that it
    /// has for more.
    pub(super) fn push(&mut self, end: End, element: Element<'_>, rule: &NodeRule) {
        let (next_to, new) = match end {
            End::Head => (0, 0),
            End::Tail => (self.nodes.len().saturating_sub(1), self.nodes.len()),
        };
        if self.has_room(Some(next_to), element, rule) {
            self.change(next_to, |node| node.push_growing(end, element, rule));
            return;
        }
        if next_to < self.nodes.len() {
            self.change(next_to, Node::fit);
        }
        self.insert_node(new, Node::of(element, rule));
    }

    /// Inserts an element beside the one at `index`, which is inside. O(nodes) and O(n) in the bytes
    /// of a node.
    pub(super) fn insert(
        &mut self,
        index: usize,
        side: Side,
        element: Element<'_>,
        rule: &NodeRule,
    ) {
        if let Some(place) = self.place(index) {
            self.insert_beside(place, side, element, rule);
        }
    }

    /// Inserts an element beside the first that is equal to `pivot`, and tells whether there is one.
    /// O(len).
    pub(super) fn insert_at_pivot(
        &mut self,
        pivot: Needle<'_>,
        side: Side,
        element: Element<'_>,
        rule: &NodeRule,
    ) -> bool {
        let mut nodes = self.nodes.iter().enumerate();
        let place = nodes.find_map(|(node, each)| {
            let offset = each.offset_of(pivot)?;
            Some(Place { node, offset })
        });
        if let Some(place) = place {
            self.insert_beside(place, side, element, rule);
        }
        place.is_some()
    }

    fn insert_beside(
        &mut self,
        Place { node, offset }: Place,
        side: Side,
        element: Element<'_>,
        rule: &NodeRule,
    ) {
        // Before which element of the node, and in front of which node if it comes between two.
        let (offset, between, neighbour, near_end) = match side {
            Side::Before => (offset, node, node.checked_sub(1), End::Tail),
            Side::After => (offset + 1, node + 1, Some(node + 1), End::Head),
        };
        let is_at_border = offset == 0 || offset == self.nodes[node].count();
        if self.has_room(Some(node), element, rule) {
            self.change(node, |node| node.insert(offset, element));
        } else if !is_at_border {
            self.insert_by_splitting(Place { node, offset }, side, element, rule);
        } else if let Some(neighbour) = neighbour
            && self.has_room(Some(neighbour), element, rule)
        {
            self.change(neighbour, |node| node.push(near_end, element));
        } else {
            self.insert_node(between, Node::of(element, rule));
        }
    }

    /// Splits a node before `offset`, which is inside, and puts the element between both parts: into
    /// the part that is not on the side of the pivot, or between them if it is plain. Then joins
    /// what is small.
    fn insert_by_splitting(
        &mut self,
        Place { node, offset }: Place,
        side: Side,
        element: Element<'_>,
        rule: &NodeRule,
    ) {
        let Some(tail) = self.change(node, |node| node.split_off(offset)) else {
            return;
        };
        self.insert_node(node + 1, tail);
        if rule.is_plain(element.len()) {
            self.insert_node(node + 1, Node::of(element, rule));
            self.join_around(node + 1, rule);
            return;
        }
        match side {
            Side::Before => {
                self.change(node, |node| node.push(End::Tail, element));
                self.join_around(node + 1, rule);
            }
            Side::After => {
                self.change(node + 1, |node| node.push(End::Head, element));
                self.join_around(node, rule);
            }
        }
    }

    /// Joins neighbours around a node, in the order of Redis 7.0: the two before it, the two behind
    /// it, it with the one before, and the result with the one behind.
    fn join_around(&mut self, mut center: usize, rule: &NodeRule) {
        if center >= 2 && self.join(center - 2, rule) {
            center -= 1;
        }
        self.join(center + 1, rule);
        if center >= 1 && self.join(center - 1, rule) {
            center -= 1;
        }
        self.join(center, rule);
    }

    /// Joins a node with the one behind it, if there is one and the rule lets it.
    fn join(&mut self, at: usize, rule: &NodeRule) -> bool {
        let may_join = match (self.nodes.get(at), self.nodes.get(at + 1)) {
            (Some(node), Some(next)) => node.may_join(next, rule),
            _ => false,
        };
        if may_join && let Some(next) = self.take_node(at + 1) {
            self.change(at, |node| node.join(&next));
        }
        may_join
    }

    /// Puts an element into the place of the one at `index`, which is inside. O(nodes) and O(n) in
    /// the bytes of a node.
    pub(super) fn replace(&mut self, index: usize, element: Element<'_>, rule: &NodeRule) {
        let Some(Place { node, offset }) = self.place(index) else {
            return;
        };
        if !self.change(node, |node| node.replace(offset, element, rule)) {
            self.insert(index, Side::After, element, rule);
            self.remove(index, 1);
        }
    }

    /// Removes `count` elements from `index` on, all of which are there. O(nodes) and O(n) in the
    /// bytes of two nodes.
    pub(super) fn remove(&mut self, index: usize, count: usize) {
        let Some(Place { node, offset }) = self.place(index) else {
            return;
        };
        let mut left = count;
        let mut first_whole = node;
        if offset > 0 {
            let taken = left.min(self.nodes[node].count() - offset);
            self.change(node, |node| node.remove(offset, taken));
            left -= taken;
            first_whole += 1;
        }
        let mut end_whole = first_whole;
        while let Some(node) = self.nodes.get(end_whole)
            && node.count() <= left
        {
            left -= node.count();
            self.len -= node.count();
            self.heap_bytes -= node.heap_bytes();
            end_whole += 1;
        }
        self.nodes.drain(first_whole..end_whole);
        if left > 0 {
            self.change(first_whole, |node| node.remove(0, left));
        }
        self.shrink();
    }

    /// Moves `count` elements at one end, fewer than all, to a chain of their own. O(nodes moved) and O(n) in the
    /// bytes of a node.
    pub(super) fn take(&mut self, end: End, count: usize) -> Self {
        let mut taken = Self::default();
        let mut left = count;
        while left > 0 {
            let at = match end {
                End::Head => 0,
                End::Tail => self.nodes.len() - 1,
            };
            let nodes = self.nodes[at].count();
            let node = if nodes <= left {
                self.take_node(at)
            } else {
                let before = match end {
                    End::Head => left,
                    End::Tail => nodes - left,
                };
                self.change(at, |node| node.cut(end, before))
            };
            let Some(node) = node else {
                break;
            };
            left -= node.count();
            match end {
                End::Head => taken.insert_node(taken.nodes.len(), node),
                End::Tail => taken.insert_node(0, node),
            }
        }
        self.shrink();
        taken
    }

    /// Removes up to `count` elements equal to `needle`, the first or the last ones. Returns how
    /// many. O(len).
    pub(super) fn remove_equal(&mut self, needle: Needle<'_>, count: usize, from: End) -> usize {
        let node_count = self.nodes.len();
        let mut left = count;
        let mut has_empty = false;
        for step in 0..node_count {
            let (at, has_all_later) = match from {
                End::Head => (step, false),
                End::Tail => (node_count - 1 - step, true),
            };
            let found = self.nodes[at].count_of(needle);
            let taken = found.min(left);
            if taken == 0 {
                continue;
            }
            let skip = if has_all_later { found - taken } else { 0 };
            has_empty |= self.change(at, |node| node.remove_equal(needle, skip, taken));
            left -= taken;
            if left == 0 {
                break;
            }
        }
        if has_empty {
            let heap_bytes = &mut self.heap_bytes;
            self.nodes.retain(|node| {
                if node.count() == 0 {
                    *heap_bytes -= node.heap_bytes();
                }
                node.count() > 0
            });
            self.shrink();
        }
        count - left
    }

    /// Iterates over all elements.
    pub(super) fn iter(&self) -> Iter<'_> {
        Iter {
            nodes: self.nodes.iter(),
            ..Iter::default()
        }
    }

    /// Iterates from the element at `index` to the last. O(nodes).
    pub(super) fn iter_from(&self, index: usize) -> Iter<'_> {
        let Some(Place { node, offset }) = self.place(index) else {
            return Iter::default();
        };
        Iter {
            front: self.nodes[node].iter_from(offset),
            nodes: self.nodes.range(node + 1..),
            back: NodeIter::default(),
        }
    }

    fn has_room(&self, node: Option<usize>, element: Element<'_>, rule: &NodeRule) -> bool {
        node.and_then(|at| self.nodes.get(at))
            .is_some_and(|node| node.has_room(element, rule))
    }

    /// Changes a node, and with it what the chain knows of all nodes.
    fn change<R>(&mut self, at: usize, change: impl FnOnce(&mut Node) -> R) -> R {
        let node = &mut self.nodes[at];
        self.len -= node.count();
        self.heap_bytes -= node.heap_bytes();
        let result = change(node);
        self.len += node.count();
        self.heap_bytes += node.heap_bytes();
        result
    }

    fn insert_node(&mut self, at: usize, node: Node) {
        self.len += node.count();
        self.heap_bytes += node.heap_bytes();
        if self.nodes.len() == self.nodes.capacity() {
            // By a quarter instead of doubling: still amortised O(1), and less memory lies idle.
            self.nodes.reserve_exact((self.nodes.len() / 4).max(2));
        }
        self.nodes.insert(at, node);
    }

    fn take_node(&mut self, at: usize) -> Option<Node> {
        let node = self.nodes.remove(at)?;
        self.len -= node.count();
        self.heap_bytes -= node.heap_bytes();
        Some(node)
    }

    /// Gives room of nodes back when less than a quarter is used: amortised O(1) per removal.
    fn shrink(&mut self) {
        let needed = self.nodes.len().max(NODES_KEPT_MIN);
        if self.nodes.capacity() > 4 * needed {
            self.nodes.shrink_to(2 * needed);
        }
    }

    /// Finds an element, from the nearer end. O(nodes).
    fn place(&self, index: usize) -> Option<Place> {
        if index >= self.len {
            return None;
        }
        if index < self.len / 2 {
            let mut offset = index;
            for (node, each) in self.nodes.iter().enumerate() {
                if offset < each.count() {
                    return Some(Place { node, offset });
                }
                offset -= each.count();
            }
            return None;
        }
        let mut end = self.len;
        for (node, each) in self.nodes.iter().enumerate().rev() {
            end -= each.count();
            if index >= end {
                let offset = index - end;
                return Some(Place { node, offset });
            }
        }
        None
    }
}

/// The elements of a list in order, and backwards.
#[derive(Clone, Debug, Default)]
pub struct Iter<'a> {
    /// Comes before the nodes, and may have begun.
    front: NodeIter<'a>,
    nodes: vec_deque::Iter<'a, Node>,
    /// Comes behind the nodes.
    back: NodeIter<'a>,
}

impl<'a> Iter<'a> {
    /// Iterates over the elements of one node.
    #[inline]
    pub(super) fn of(front: NodeIter<'a>) -> Self {
        Self {
            front,
            ..Self::default()
        }
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        loop {
            if let Some(element) = self.front.next() {
                return Some(element);
            }
            match self.nodes.next() {
                Some(node) => self.front = node.iter(),
                None => return self.back.next(),
            }
        }
    }
}

impl DoubleEndedIterator for Iter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(element) = self.back.next_back() {
                return Some(element);
            }
            match self.nodes.next_back() {
                Some(node) => self.back = node.iter(),
                None => return self.front.next_back(),
            }
        }
    }
}
