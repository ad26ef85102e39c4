//! Lists: sequences of byte strings that grow and shrink at both ends.
//!
//! ```text
//!   short    listpack                                  one allocation
//!   long     node, node, node, ...                     ring buffer of nodes
//!              |
//!              listpack of some KiB, or one huge element
//! ```
//!
//! A list begins short. When its listpack has no room for an element under `list-max-listpack-size`
//! ([`NodeRule`]) it becomes long, and it becomes short again when little is left. To clients both
//! are the encoding "quicklist", which Redis 7.0 has for every list. Where nodes are split and joined
//! is as in Redis, so that DUMP can copy them.
//!
//! Invariants
//! - A long list has two elements or more bytes than a short one keeps ([`SHORT_AGAIN_BYTES_MAX`]),
//!   or one element that fits into no listpack.
//! - [`List::allocated_bytes`] costs O(1).
//!
//! In reading order: `node.rs`, `chain.rs` (the long form), this file.
//!
//! Not here: compression of inner nodes, which is not done; blocking.

mod chain;
mod node;

use crate::listpack::{Element, Listpack};

use chain::Chain;
use node::{Node, NodeIter};

pub use chain::Iter;
pub use node::{Needle, NodeRule};

/// A long list with so many bytes or fewer, in one node, becomes short. Less than a node has, so
/// that a list around the size of a node does not change its form all the time.
const SHORT_AGAIN_BYTES_MAX: usize = 1024;

/// One end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The left one; index 0.
    Head,
    /// The right one; index -1.
    Tail,
}

/// Where something comes from the view of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the whole meaning")]
pub enum Side {
    Before,
    After,
}

/// A sequence of byte strings. See the module for its forms.
#[derive(Clone, Debug)]
pub struct List {
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    Short(Listpack),
    Long(Box<Chain>),
}

/// A node, as DUMP writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeContent<'a> {
    /// A listpack with one or more elements.
    Packed(&'a Listpack),
    /// One element.
    Plain(&'a [u8]),
}

impl Default for List {
    fn default() -> Self {
        Self {
            form: Form::Short(Listpack::new()),
        }
    }
}

impl PartialEq for List {
    /// Compares the elements, however they are spread over nodes. O(len).
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl List {
    /// Makes an empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a short list of a listpack.
    pub(crate) fn of_listpack(listpack: Listpack) -> Self {
        Self {
            form: Form::Short(listpack),
        }
    }

    /// Returns the listpack of a short list.
    #[inline]
    pub(crate) fn as_listpack(&self) -> Option<&Listpack> {
        match &self.form {
            Form::Short(listpack) => Some(listpack),
            Form::Long(_) => None,
        }
    }

    /// Returns the memory of a short list, with its contents.
    pub(crate) fn into_memory(self) -> Vec<u8> {
        match self.form {
            Form::Short(listpack) => listpack.into_memory(),
            Form::Long(_) => Vec::new(),
        }
    }

    /// Returns the number of elements. O(1) below 65535 elements in one node, otherwise O(nodes).
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.form {
            Form::Short(listpack) => listpack.len(),
            Form::Long(chain) => chain.len(),
        }
    }

    /// Returns whether there is no element.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match &self.form {
            Form::Short(listpack) => listpack.is_empty(),
            Form::Long(chain) => chain.len() == 0,
        }
    }

    /// Returns the name of the encoding.
    #[must_use]
    pub fn encoding_name(&self) -> &'static str {
        "quicklist"
    }

    /// Returns the element at an index below [`List::len`]. O(nodes) and O(n) in the bytes of a node.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Element<'_>> {
        self.iter_from(index).next()
    }

    /// Returns the element at one end. O(1).
    #[inline]
    #[must_use]
    pub fn peek(&self, end: End) -> Option<Element<'_>> {
        match end {
            End::Head => self.iter().next(),
            End::Tail => self.iter().next_back(),
        }
    }

    /// Iterates over all elements, from both ends.
    #[inline]
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        match &self.form {
            Form::Short(listpack) => Iter::of(NodeIter::Packed(listpack.iter())),
            Form::Long(chain) => chain.iter(),
        }
    }

    /// Iterates from the element at `index` to the last. O(nodes) and O(n) in the bytes of a node.
    #[must_use]
    pub fn iter_from(&self, index: usize) -> Iter<'_> {
        match &self.form {
            Form::Short(listpack) => Iter::of(node::iter_in(listpack, index)),
            Form::Long(chain) => chain.iter_from(index),
        }
    }

    /// Adds an element at one end. O(n) in the bytes of a node; allocates when the node grows.
    #[inline]
    pub fn push<'a>(&mut self, end: End, element: impl Into<Element<'a>>, rule: &NodeRule) {
        let element = element.into();
        if let Form::Short(listpack) = &mut self.form
            && has_room(listpack, element, rule)
        {
            return match end {
                End::Head => listpack.push_front(element),
                End::Tail => listpack.push_back(element),
            };
        }
        self.as_long().push(end, element, rule);
    }

    /// Removes `count` elements from `index` on, or as many as there are. O(nodes) and O(n) in the
    /// bytes of two nodes.
    pub fn remove(&mut self, index: usize, count: usize) {
        let len = self.len();
        if index >= len || count == 0 {
            return;
        }
        match &mut self.form {
            Form::Short(listpack) => {
                if let Some(position) = listpack.position(base::cast::i64_from(index)) {
                    listpack.remove_range(position, count);
                }
            }
            Form::Long(chain) => chain.remove(index, count.min(len - index)),
        }
        self.shorten();
    }

    /// Removes `count` elements at one end, or as many as there are. O(count / elements of a node).
    pub fn pop(&mut self, end: End, count: usize) {
        let first = match end {
            End::Head => 0,
            End::Tail => self.len().saturating_sub(count),
        };
        self.remove(first, count);
    }

    /// Moves `count` elements at one end, or as many as there are, to a list of their own, in the same order.
    /// O(nodes moved), and O(n) in the bytes of one node.
    #[must_use]
    pub fn take(&mut self, end: End, count: usize) -> Self {
        let len = self.len();
        if count >= len {
            return std::mem::take(self);
        }
        let form = match &mut self.form {
            Form::Short(listpack) => {
                let before = match end {
                    End::Head => count,
                    End::Tail => len - count,
                };
                Form::Short(node::cut(listpack, end, before))
            }
            Form::Long(chain) => Form::Long(Box::new(chain.take(end, count))),
        };
        self.shorten();
        Self { form }
    }

    /// Puts an element into the place of the one at `index`, and tells whether there is one. The
    /// others of its node stay there, whatever the size of the new one. O(nodes) and O(n) in the
    /// bytes of a node.
    pub fn replace<'a>(
        &mut self,
        index: usize,
        element: impl Into<Element<'a>>,
        rule: &NodeRule,
    ) -> bool {
        if index >= self.len() {
            return false;
        }
        let element = element.into();
        if let Form::Short(listpack) = &mut self.form
            && !rule.is_plain(element.len())
            && node::replace_in(listpack, index, element)
        {
            return true;
        }
        self.as_long().replace(index, element, rule);
        self.shorten();
        true
    }

    /// Inserts an element beside the first that is equal to `pivot`, and tells whether there is one.
    /// O(len).
    pub fn insert<'a>(
        &mut self,
        pivot: &[u8],
        side: Side,
        element: impl Into<Element<'a>>,
        rule: &NodeRule,
    ) -> bool {
        let pivot = Needle::new(pivot);
        let element = element.into();
        let Form::Short(listpack) = &mut self.form else {
            return self.as_long().insert_at_pivot(pivot, side, element, rule);
        };
        let Some(offset) = node::offset_in(listpack, pivot) else {
            return false;
        };
        if !has_room(listpack, element, rule) {
            self.as_long().insert(offset, side, element, rule);
            return true;
        }
        let before = match side {
            Side::Before => offset,
            Side::After => offset + 1,
        };
        match listpack.position(base::cast::i64_from(before)) {
            Some(position) => listpack.insert_before(position, element),
            None => listpack.push_back(element),
        }
        true
    }

    /// Removes up to `count` elements equal to `needle`, the first or the last ones. Returns how
    /// many. O(len).
    pub fn remove_equal(&mut self, needle: &[u8], count: usize, from: End) -> usize {
        let needle = Needle::new(needle);
        let removed = match &mut self.form {
            Form::Short(listpack) => {
                let found = node::count_in(listpack, needle);
                let taken = found.min(count);
                let skip = match from {
                    End::Head => 0,
                    End::Tail => found - taken,
                };
                if taken > 0 {
                    node::remove_equal_in(listpack, needle, skip, taken);
                }
                taken
            }
            Form::Long(chain) => chain.remove_equal(needle, count, from),
        };
        self.shorten();
        removed
    }

    /// Returns the number of nodes. O(1).
    #[must_use]
    pub fn node_count(&self) -> usize {
        match &self.form {
            Form::Short(listpack) => usize::from(!listpack.is_empty()),
            Form::Long(chain) => chain.nodes().len(),
        }
    }

    /// Iterates over the nodes from the one with this number on, none of them empty. O(1) to begin with.
    pub fn nodes_from(&self, first: usize) -> impl Iterator<Item = NodeContent<'_>> {
        let (listpack, chain) = match &self.form {
            Form::Short(listpack) => (
                Some(listpack).filter(|it| first == 0 && !it.is_empty()),
                None,
            ),
            Form::Long(chain) => (None, Some(chain)),
        };
        let nodes = chain.into_iter().flat_map(move |chain| {
            let nodes = chain.nodes();
            nodes.range(first.min(nodes.len())..)
        });
        listpack
            .into_iter()
            .map(NodeContent::Packed)
            .chain(nodes.map(Node::content))
    }

    /// Iterates over the nodes, none of them empty.
    pub fn nodes(&self) -> impl Iterator<Item = NodeContent<'_>> {
        self.nodes_from(0)
    }

    /// Adds a whole listpack behind the last element, as RESTORE reads it. An empty one is dropped.
    pub fn push_listpack(&mut self, listpack: Listpack) {
        if self.is_empty() {
            self.form = Form::Short(listpack);
        } else {
            self.as_long().push_node(Node::packed(listpack));
        }
    }

    /// Returns the bytes allocated; `round` turns a request into what the allocator takes. O(1).
    #[must_use]
    pub fn allocated_bytes(&self, round: fn(usize) -> usize) -> usize {
        match &self.form {
            Form::Short(listpack) => round(listpack.capacity_bytes()),
            Form::Long(chain) => chain.allocated_bytes(),
        }
    }

    /// Frees a part; returns whether there is more. O(`elements`).
    pub fn free_step(&mut self, elements: usize) -> bool {
        match &mut self.form {
            Form::Short(_) => false,
            Form::Long(chain) => chain.drop_nodes(elements),
        }
    }

    /// Returns how many allocations there are to free. O(1).
    #[must_use]
    pub fn free_effort(&self) -> usize {
        match &self.form {
            Form::Short(_) => 1,
            Form::Long(chain) => chain.nodes().len(),
        }
    }

    /// Makes the list long, if it is not.
    fn as_long(&mut self) -> &mut Chain {
        if let Form::Short(listpack) = &mut self.form {
            let listpack = std::mem::take(listpack);
            self.form = Form::Long(Box::new(Chain::of(listpack)));
        }
        match &mut self.form {
            Form::Long(chain) => chain,
            Form::Short(_) => unreachable!("it was made long above"),
        }
    }

    /// Makes the list short, if little is left.
    fn shorten(&mut self) {
        if let Form::Long(chain) = &mut self.form
            && let Some(listpack) = chain.take_small(SHORT_AGAIN_BYTES_MAX)
        {
            self.form = Form::Short(listpack);
        }
    }
}

/// Tells whether a short list takes one more element.
#[inline]
fn has_room(listpack: &Listpack, element: Element<'_>, rule: &NodeRule) -> bool {
    if listpack.is_empty() {
        return !rule.is_plain(element.len());
    }
    rule.has_room(listpack.byte_len(), listpack.len(), element)
}

#[cfg(test)]
mod tests;
