//! Long replies of elements by chance: SRANDMEMBER, HRANDFIELD and ZRANDMEMBER with a large count.
//!
//! Elements that may repeat are drawn one by one. Different ones are chosen while all come by, each with the chance
//! of those still wanted among those still to come: that needs no memory of what was shown, and can rest anywhere.
//!
//! Invariant: each choice is as likely as any other of its size. What is chosen follows from a seed that is drawn when
//! the command runs, so the chance of the core goes on as if nothing were left to do.
//!
//! Not here: few elements, which the commands show at once.

use base::cast::{u64_from, usize_from};
use base::clock::UnixMillis;
use base::random::{Random, Selection};
use protocol::reply::{Reply, Resp};
use types::hash::Hash;
use types::listpack::Element;
use types::set::Set;
use types::sorted_set::SortedSet;

use crate::counted::{write_element, write_pair};
use crate::steps::{Shown, WALK_STEP_ELEMENTS};

/// Most elements with repetitions that a command returns: nobody has so many, and a client could ask for any number.
pub(crate) const REPEATED_MAX: u64 = 1 << 24;

/// Elements by chance.
#[derive(Debug)]
pub(crate) enum Drawing {
    /// So many, each drawn from all.
    Repeated { left: usize, random: Random },
    /// Different ones, chosen while all come by, from a cursor or a rank on.
    Different {
        cursor: u64,
        selection: Selection,
        random: Random,
    },
}

impl Drawing {
    /// Draws `count` of `len` elements, by a chance that follows from `random`.
    pub(crate) fn new(count: usize, len: usize, repeats: bool, random: &mut Random) -> Self {
        let random = Random::new(random.next_u64());
        if repeats {
            return Self::Repeated {
                left: count,
                random,
            };
        }
        Self::Different {
            cursor: 0,
            selection: Selection::new(count, len),
            random,
        }
    }
}

/// Shows some members by chance. Returns whether there are more.
pub(crate) fn draw_members(set: &Set, drawing: &mut Drawing, reply: &mut Reply<'_>) -> bool {
    match drawing {
        Drawing::Repeated { left, random } => {
            let count = (*left).min(WALK_STEP_ELEMENTS);
            set.draw(u64_from(count), random, &mut |member| {
                write_element(reply, member);
            });
            *left -= count;
            *left > 0
        }
        Drawing::Different {
            cursor,
            selection,
            random,
        } => {
            *cursor = set.scan(*cursor, WALK_STEP_ELEMENTS, &mut |member| {
                if selection.takes_next(random) {
                    write_element(reply, member);
                }
            });
            *cursor != 0
        }
    }
}

/// Shows some fields by chance. Returns whether there are more.
pub(crate) fn draw_fields(
    hash: &Hash,
    drawing: &mut Drawing,
    (now, shown): (UnixMillis, Shown),
    reply: &mut Reply<'_>,
) -> bool {
    let mut show = |field: Element<'_>, value: Element<'_>| {
        if shown == Shown::Pairs && reply.resp == Resp::V3 {
            reply.array(2);
        }
        write_element(reply, field);
        if shown == Shown::Pairs {
            write_element(reply, value);
        }
    };
    match drawing {
        Drawing::Repeated { left, random } => {
            let count = (*left).min(WALK_STEP_ELEMENTS);
            for _ in 0..count {
                if let Some((field, value)) = hash.random(random, now) {
                    show(field, value);
                }
            }
            *left -= count;
            *left > 0
        }
        Drawing::Different {
            cursor,
            selection,
            random,
        } => {
            *cursor = hash.scan(*cursor, WALK_STEP_ELEMENTS, now, &mut |field, value| {
                if selection.takes_next(random) {
                    show(field, value);
                }
            });
            *cursor != 0
        }
    }
}

/// Shows some members of a sorted set by chance. Returns whether there are more.
pub(crate) fn draw_ranked(
    set: &SortedSet,
    drawing: &mut Drawing,
    with_scores: bool,
    reply: &mut Reply<'_>,
) -> bool {
    match drawing {
        Drawing::Repeated { left, random } => {
            let count = (*left).min(WALK_STEP_ELEMENTS);
            for _ in 0..count {
                if let Some((member, score)) = set.random(random) {
                    write_pair(reply, member, score, with_scores);
                }
            }
            *left -= count;
            *left > 0
        }
        Drawing::Different {
            cursor,
            selection,
            random,
        } => {
            let begin = usize_from(*cursor);
            let end = set.len().min(begin + WALK_STEP_ELEMENTS);
            for (member, score) in set.pairs(begin..end, false) {
                if selection.takes_next(random) {
                    write_pair(reply, member, score, with_scores);
                }
            }
            *cursor = u64_from(end);
            end < set.len()
        }
    }
}
