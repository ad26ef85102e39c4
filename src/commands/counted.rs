//! Replies of members whose number is known only at the end.
//!
//! The elements are written in place; the line before them comes last and takes its place by moving
//! them a few bytes.

use protocol::reply::{Reply, Resp};
use types::listpack::Element;

/// Elements that are being written.
pub(crate) struct Counted {
    begun: usize,
    count: usize,
}

impl Counted {
    /// Begins where the reply ends now.
    pub(crate) fn begin(reply: &Reply<'_>) -> Self {
        Self {
            begun: reply.out.len(),
            count: 0,
        }
    }

    /// Writes one element; nobody else writes meanwhile.
    #[inline]
    pub(crate) fn push(&mut self, reply: &mut Reply<'_>, element: Element<'_>) {
        write_element(reply, element);
        self.count += 1;
    }

    /// Makes a set of the elements. O(bytes).
    pub(crate) fn end_set(self, reply: &mut Reply<'_>) {
        self.end(reply, |reply, count| reply.set(count));
    }

    /// Makes an array of the elements. O(bytes).
    pub(crate) fn end_array(self, reply: &mut Reply<'_>) {
        self.end(reply, |reply, count| reply.array(count));
    }

    fn end(self, reply: &mut Reply<'_>, write_line: impl FnOnce(&mut Reply<'_>, usize)) {
        let before = reply.out.len();
        write_line(reply, self.count);
        let line_bytes = reply.out.len() - before;
        reply.out[self.begun..].rotate_right(line_bytes);
    }
}

/// Writes an element as a string.
#[inline]
pub(crate) fn write_element(reply: &mut Reply<'_>, element: Element<'_>) {
    match element {
        Element::Integer(value) => reply.integer_bulk(value),
        Element::Bytes(bytes) => reply.bulk(bytes),
    }
}

/// Writes a member, with its score if wanted.
#[inline]
pub(crate) fn write_pair(
    reply: &mut Reply<'_>,
    member: Element<'_>,
    score: f64,
    with_scores: bool,
) {
    if with_scores && reply.resp == Resp::V3 {
        reply.array(2);
    }
    write_element(reply, member);
    if with_scores {
        reply.double(score);
    }
}
