//! Replies that are too long to be made in one go.
//!
//! A handler that finds its reply long writes nothing; it leaves what makes the reply, a step at a time,
//! while the core serves others in between (`Context::reply_later`). There are three kinds.
//!
//! - [`Pieces`] of bytes, among them shares of long strings: the bytes stay as they were when the command
//!   ran, whatever becomes of their keys. Nothing is copied until it is sent.
//! - A [`Walk`] over the value of one key, or of several. For its length the keys are claimed and the values
//!   taken out, so the reply shows them at one point in time: that of the command. A walk that has to know all
//!   before it can begin to answer ([`crate::set_join`]) ends as pieces, and the values go back then.
//! - What has left its key for good ([`Taken`]): nobody waits for that.
//!
//! Two further kinds are no replies yet: a change that takes long is made in steps before it is answered
//! ([`LongChange`]), and a table statement that takes more than one step leaves all to the coordinator, which runs it
//! as a program (`LongReply::Statement`).
//!
//! Where no steps are possible, inside MULTI and in commands over several shards, the reply is made at
//! once (`run::finish_now`).
//!
//! Invariant: a step adds a bounded number of bytes, unless a single element is longer.
//!
//! Not here: who takes the steps, and when (`coordinator::long_reply`, `server::long_replies`).

use std::ops::Range;

use base::clock::UnixMillis;
use protocol::reply::Reply;
use types::hash::Hash;
use types::list::List;
use types::set::Set;
use types::sorted_set::SortedSet;
use types::stream::Stream;
use types::stream::id::Id;
use types::{Typed, Value};

use crate::counted::{write_element, write_pair};
use crate::drawing::{Drawing, draw_fields, draw_members, draw_ranked};
use crate::long_change::LongChange;
use crate::pieces::Pieces;
use crate::scope::Scope;
use crate::set_join::SetJoin;
use crate::steps::{Shown, WALK_STEP_BYTES, WALK_STEP_ELEMENTS};
use crate::stream_reply::reply_entry;
use crate::taken::Taken;

/// Entries of a stream that a step of a walk shows; each has several elements.
const WALK_STEP_ENTRIES: usize = 128;

/// A reply that is made in steps.
#[derive(Debug)]
pub enum LongReply {
    /// Of bytes that are there.
    Pieces(Pieces),
    /// By walking over a value.
    Walk(Walk),
    /// Of what has left its key.
    Taken(Taken),
    /// When a change has been made in steps.
    Change(Box<LongChange>),
    /// By a table statement of this kind that is a program of the coordinator.
    Statement(Reach, Scope),
}

/// Why a table statement is not done in one go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It takes long; all rows that it needs are on the shard that it has come to.
    Here,
    /// It needs other shards.
    Everywhere,
}

/// Where a walk stands.
#[derive(Debug)]
pub(crate) enum Course {
    /// Elements of a list, by index.
    List(Range<usize>),
    /// All members of a set, from a cursor of its scan on.
    Set(u64),
    /// Members of a set by chance.
    SetDrawn(Drawing),
    /// All live fields of a hash.
    Hash {
        cursor: u64,
        now: UnixMillis,
        shown: Shown,
    },
    /// Live fields of a hash by chance; pairs are arrays of their own in RESP3.
    HashDrawn {
        drawing: Drawing,
        now: UnixMillis,
        shown: Shown,
    },
    /// Members of a sorted set, by rank.
    SortedSet {
        ranks: Range<usize>,
        is_reverse: bool,
        with_scores: bool,
    },
    /// Members of a sorted set by chance.
    SortedSetDrawn { drawing: Drawing, with_scores: bool },
    /// So many entries of a stream between two ids, which are in the range.
    Stream {
        start: Id,
        end: Id,
        left: usize,
        is_backward: bool,
    },
    /// What several sets have, in common or not.
    Join(SetJoin),
}

/// A reply that walks over values.
#[derive(Debug)]
pub struct Walk {
    /// What stands before the elements, until it is written.
    head: Vec<u8>,
    course: Course,
    /// The words that name the keys of its values, all different.
    keys: Vec<usize>,
}

impl Walk {
    /// Begins a walk over the values of these words; `head` is what stands before the elements.
    pub(crate) fn new(head: Vec<u8>, course: Course, keys: Vec<usize>) -> Self {
        Self { head, course, keys }
    }

    /// Returns the words that name the keys of its values, all different.
    #[must_use]
    pub fn keys(&self) -> &[usize] {
        &self.keys
    }

    /// Returns the rest of the reply, if it needs no values any more.
    pub fn take_rest(&mut self) -> Option<Pieces> {
        match &mut self.course {
            Course::Join(join) => join.take_rest(),
            _ => None,
        }
    }

    /// Adds the next part of the reply; `values` are those of [`Walk::keys`] that the walk began with. Returns
    /// whether there is more: of the walk, or else [`Walk::take_rest`]. Cost: some 500 elements, or the first
    /// that passes 64 KB.
    pub fn step(&mut self, values: &[Option<&Value>], reply: &mut Reply<'_>) -> bool {
        reply.raw(&std::mem::take(&mut self.head));
        if let Course::Join(join) = &mut self.course {
            return join.step(values, reply.resp);
        }
        let first = values.first().copied().flatten();
        first.is_some_and(|value| self.step_over(value, reply))
    }

    fn step_over(&mut self, value: &Value, reply: &mut Reply<'_>) -> bool {
        match &mut self.course {
            Course::List(range) => List::of(value).is_some_and(|it| walk_list(it, range, reply)),
            Course::Set(cursor) => Set::of(value).is_some_and(|set| {
                *cursor = set.scan(*cursor, WALK_STEP_ELEMENTS, &mut |member| {
                    write_element(reply, member);
                });
                *cursor != 0
            }),
            Course::SetDrawn(drawing) => {
                Set::of(value).is_some_and(|set| draw_members(set, drawing, reply))
            }
            Course::HashDrawn {
                drawing,
                now,
                shown,
            } => Hash::of(value)
                .is_some_and(|hash| draw_fields(hash, drawing, (*now, *shown), reply)),
            Course::Hash { cursor, now, shown } => Hash::of(value).is_some_and(|hash| {
                *cursor = walk_hash(hash, *cursor, *now, *shown, reply);
                *cursor != 0
            }),
            Course::SortedSet {
                ranks,
                is_reverse,
                with_scores,
            } => SortedSet::of(value)
                .is_some_and(|set| walk_sorted_set(set, ranks, (*is_reverse, *with_scores), reply)),
            Course::SortedSetDrawn {
                drawing,
                with_scores,
            } => SortedSet::of(value)
                .is_some_and(|set| draw_ranked(set, drawing, *with_scores, reply)),
            Course::Stream {
                start,
                end,
                left,
                is_backward,
            } => Stream::of(value).is_some_and(|stream| {
                let shown = walk_stream(stream, (start, end), *is_backward, *left, reply);
                *left -= shown;
                shown > 0 && *left > 0
            }),
            Course::Join(_) => false,
        }
    }
}

fn walk_list(list: &List, range: &mut Range<usize>, reply: &mut Reply<'_>) -> bool {
    let end = reply.out.len() + WALK_STEP_BYTES;
    let count = range.len().min(4 * WALK_STEP_ELEMENTS);
    for element in list.iter_from(range.start).take(count) {
        write_element(reply, element);
        range.start += 1;
        if reply.out.len() >= end {
            break;
        }
    }
    !Range::is_empty(range)
}

fn walk_hash(
    hash: &Hash,
    cursor: u64,
    now: UnixMillis,
    shown: Shown,
    reply: &mut Reply<'_>,
) -> u64 {
    hash.scan(cursor, WALK_STEP_ELEMENTS, now, &mut |field, value| {
        if shown != Shown::Values {
            write_element(reply, field);
        }
        if shown != Shown::Fields {
            write_element(reply, value);
        }
    })
}

fn walk_sorted_set(
    set: &SortedSet,
    ranks: &mut Range<usize>,
    (is_reverse, with_scores): (bool, bool),
    reply: &mut Reply<'_>,
) -> bool {
    let end = reply.out.len() + WALK_STEP_BYTES;
    let count = ranks.len().min(WALK_STEP_ELEMENTS);
    let step = if is_reverse {
        ranks.end - count..ranks.end
    } else {
        ranks.start..ranks.start + count
    };
    for (member, score) in set.pairs(step, is_reverse) {
        write_pair(reply, member, score, with_scores);
        if is_reverse {
            ranks.end -= 1;
        } else {
            ranks.start += 1;
        }
        if reply.out.len() >= end {
            break;
        }
    }
    !Range::is_empty(ranks)
}

/// Shows up to `left` entries, and moves the end of the range at which it began behind them. Returns how many.
fn walk_stream(
    stream: &Stream,
    (start, end): (&mut Id, &mut Id),
    is_backward: bool,
    left: usize,
    reply: &mut Reply<'_>,
) -> usize {
    let bytes_end = reply.out.len() + WALK_STEP_BYTES;
    let log = stream.log();
    let entries = if is_backward {
        log.range_back(*end, *start)
    } else {
        log.range(*start, *end)
    };
    let mut shown = 0;
    for entry in entries.take(left.min(WALK_STEP_ENTRIES)) {
        reply_entry(reply, entry);
        shown += 1;
        // No entry has the first or the last id of all behind it.
        if is_backward {
            *end = entry.id.previous().unwrap_or(Id::MIN);
        } else {
            *start = entry.id.next().unwrap_or(Id::MAX);
        }
        if reply.out.len() >= bytes_end {
            break;
        }
    }
    shown
}
