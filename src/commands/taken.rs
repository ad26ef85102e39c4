//! Replies that show what has left its key, or has never had one: what LPOP, RPOP, SPOP, ZPOPMIN and ZPOPMAX have
//! taken, and what ZUNION and its kin have made, when it is much.
//!
//! The key changes in the call of the command, by moving nodes or the whole value; the elements are shown a step
//! at a time afterwards. Nobody else can reach them, so nothing is claimed.
//!
//! Invariant: elements of a list that were shown are gone from it, so its memory is given back as the reply is made.
//!
//! Not here: who takes the steps ([`crate::long_reply`]).

use protocol::reply::Reply;
use types::list::{End, List};
use types::set::Set;
use types::sorted_set::SortedSet;
use types::{Typed, Value};

use crate::counted::{write_element, write_pair};
use crate::steps::{WALK_STEP_BYTES, WALK_STEP_ELEMENTS};

/// A value that has left its key, and how much of it was shown.
#[derive(Debug)]
pub struct Taken {
    /// What stands before the elements, until it is written.
    head: Vec<u8>,
    value: Value,
    order: Order,
}

/// In which order the elements are shown.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    /// Of a list, from this end on.
    From(End),
    /// Of a set, from a cursor of its scan on.
    Scan(u64),
    /// Of a sorted set; `shown` members were.
    Ranked {
        shown: usize,
        is_reverse: bool,
        with_scores: bool,
    },
}

impl Taken {
    /// Begins a reply of all elements; `head` is what stands before them.
    pub(crate) fn new(head: Vec<u8>, value: Value, order: Order) -> Self {
        Self { head, value, order }
    }

    /// Adds the next part of the reply. Returns whether there is more. Cost: some 2000 elements of a list, 500 of
    /// a set, or the first that passes 64 KB.
    pub fn step(&mut self, reply: &mut Reply<'_>) -> bool {
        reply.raw(&std::mem::take(&mut self.head));
        match &mut self.order {
            Order::From(end) => {
                List::of_mut(&mut self.value).is_some_and(|list| step_over_list(list, *end, reply))
            }
            Order::Scan(cursor) => Set::of(&self.value).is_some_and(|set| {
                *cursor = set.scan(*cursor, WALK_STEP_ELEMENTS, &mut |member| {
                    write_element(reply, member);
                });
                *cursor != 0
            }),
            Order::Ranked {
                shown,
                is_reverse,
                with_scores,
            } => SortedSet::of(&self.value).is_some_and(|set| {
                *shown += step_over_ranks(set, *shown, (*is_reverse, *with_scores), reply);
                *shown < set.len()
            }),
        }
    }

    /// Ends the reply, complete or not. What is left may take long to free.
    #[must_use]
    pub fn into_value(self) -> Value {
        self.value
    }
}

/// Shows some members behind the first `begin` ones. Returns how many.
fn step_over_ranks(
    set: &SortedSet,
    begin: usize,
    (is_reverse, with_scores): (bool, bool),
    reply: &mut Reply<'_>,
) -> usize {
    let bytes_end = reply.out.len() + WALK_STEP_BYTES;
    let len = set.len();
    let end = len.min(begin + WALK_STEP_ELEMENTS);
    let ranks = if is_reverse {
        len - end..len - begin
    } else {
        begin..end
    };
    let mut shown = 0;
    for (member, score) in set.pairs(ranks, is_reverse) {
        write_pair(reply, member, score, with_scores);
        shown += 1;
        if reply.out.len() >= bytes_end {
            break;
        }
    }
    shown
}

fn step_over_list(list: &mut List, end: End, reply: &mut Reply<'_>) -> bool {
    let bytes_end = reply.out.len() + WALK_STEP_BYTES;
    let mut shown = 0;
    let mut elements = list.iter();
    while shown < 4 * WALK_STEP_ELEMENTS && reply.out.len() < bytes_end {
        let next = match end {
            End::Head => elements.next(),
            End::Tail => elements.next_back(),
        };
        let Some(element) = next else {
            break;
        };
        write_element(reply, element);
        shown += 1;
    }
    list.pop(end, shown);
    !list.is_empty()
}
