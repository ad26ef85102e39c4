//! Replies that are too long to be made in one go.
//!
//! A handler that finds its reply long writes nothing; it leaves what makes the reply, a step at a time,
//! while the core serves others in between (`Context::reply_later`). There are two kinds.
//!
//! - [`Pieces`] of bytes, among them shares of long strings: the bytes stay as they were when the command
//!   ran, whatever becomes of their keys. Nothing is copied until it is sent.
//! - A [`Walk`] over the value of word 1. For its length the key is claimed and the value taken out, so
//!   the reply shows it at one point in time: that of the command.
//!
//! A third kind is no reply yet: a table statement that takes more than one step leaves all to the coordinator,
//! which runs it as a program (`LongReply::Statement`).
//!
//! Where no steps are possible, inside MULTI and in commands over several shards, the reply is made at
//! once (`run::finish_now`).
//!
//! Invariant: a step adds a bounded number of bytes, unless a single element is longer.
//!
//! Not here: who takes the steps, and when (`coordinator::long_reply`, `server::long_replies`).

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use base::clock::UnixMillis;
use protocol::reply::{Reply, Resp};
use types::hash::Hash;
use types::list::List;
use types::set::Set;
use types::sorted_set::SortedSet;
use types::stream::Stream;
use types::stream::id::Id;
use types::{Typed, Value};

use crate::counted::write_element;
use crate::scope::Scope;
use crate::stream_reply::reply_entry;

/// A string from this length on is shared with its reply.
pub(crate) const LONG_STRING_BYTES_MIN: usize = 256 * 1024;

/// A walk shows at least this many elements, or about [`LONG_WALK_BYTES_MIN`].
const LONG_WALK_ELEMENTS_MIN: usize = 16 * 1024;

/// See [`LONG_WALK_ELEMENTS_MIN`].
const LONG_WALK_BYTES_MIN: usize = 1024 * 1024;

/// Bytes that a step adds of a share.
const PIECE_STEP_BYTES: usize = 128 * 1024;

/// Bytes after which a step of a walk ends.
const WALK_STEP_BYTES: usize = 64 * 1024;

/// Elements that a step of a walk shows: some tens of microseconds.
const WALK_STEP_ELEMENTS: usize = 512;

/// Entries of a stream that a step of a walk shows; each has several elements.
const WALK_STEP_ENTRIES: usize = 128;

/// A reply that is made in steps.
#[derive(Debug)]
pub enum LongReply {
    /// Of bytes that are there.
    Pieces(Pieces),
    /// By walking over a value.
    Walk(Walk),
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

/// Bytes and shares of strings, one after the other.
#[derive(Debug, Default)]
pub struct Pieces {
    queue: VecDeque<Piece>,
}

#[derive(Debug)]
enum Piece {
    Bytes(Vec<u8>),
    Share {
        bytes: Arc<Vec<u8>>,
        rest: Range<usize>,
    },
}

impl Pieces {
    /// Appends bytes.
    pub(crate) fn bytes(&mut self, bytes: Vec<u8>) {
        self.queue.push_back(Piece::Bytes(bytes));
    }

    /// Appends a part of a string, as a bulk string.
    pub(crate) fn bulk(&mut self, bytes: Arc<Vec<u8>>, part: Range<usize>) {
        self.bytes(format!("${}\r\n", part.len()).into_bytes());
        self.queue.push_back(Piece::Share { bytes, rest: part });
        self.bytes(b"\r\n".to_vec());
    }

    /// Returns whether nothing was appended.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Adds the next part of the reply, some 100 KB, to `out`. Returns whether there is more.
    pub fn step(&mut self, out: &mut Vec<u8>) -> bool {
        let end = out.len() + PIECE_STEP_BYTES;
        while let Some(piece) = self.queue.front_mut()
            && out.len() < end
        {
            match piece {
                Piece::Bytes(bytes) => {
                    out.extend_from_slice(bytes);
                    self.queue.pop_front();
                }
                Piece::Share { bytes, rest } => {
                    let count = rest.len().min(end - out.len());
                    out.extend_from_slice(&bytes[rest.start..rest.start + count]);
                    rest.start += count;
                    if Range::is_empty(rest) {
                        self.queue.pop_front();
                    }
                }
            }
        }
        !self.queue.is_empty()
    }
}

/// What is shown of each pair of a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    Pairs,
    Fields,
    Values,
}

/// Where a walk stands.
#[derive(Debug)]
pub(crate) enum Course {
    /// Elements of a list, by index.
    List(Range<usize>),
    /// All members of a set, from a cursor of its scan on.
    Set(u64),
    /// All live fields of a hash.
    Hash {
        cursor: u64,
        now: UnixMillis,
        shown: Shown,
    },
    /// Members of a sorted set, by rank.
    SortedSet {
        ranks: Range<usize>,
        is_reverse: bool,
        with_scores: bool,
    },
    /// So many entries of a stream between two ids, which are in the range.
    Stream {
        start: Id,
        end: Id,
        left: usize,
        is_backward: bool,
    },
}

/// A reply that walks over a value.
#[derive(Debug)]
pub struct Walk {
    /// What stands before the elements, until it is written.
    head: Vec<u8>,
    course: Course,
}

impl Walk {
    /// Begins a walk; `head` is what stands before the elements.
    pub(crate) fn new(head: Vec<u8>, course: Course) -> Self {
        Self { head, course }
    }

    /// Adds the next part of the reply; `value` is the one that the walk began with. Returns whether
    /// there is more. Cost: some 500 elements, or the first that passes 64 KB.
    pub fn step(&mut self, value: &Value, reply: &mut Reply<'_>) -> bool {
        reply.raw(&std::mem::take(&mut self.head));
        match &mut self.course {
            Course::List(range) => List::of(value).is_some_and(|it| walk_list(it, range, reply)),
            Course::Set(cursor) => Set::of(value).is_some_and(|set| {
                *cursor = set.scan(*cursor, WALK_STEP_ELEMENTS, &mut |member| {
                    write_element(reply, member);
                });
                *cursor != 0
            }),
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
        if with_scores && reply.resp == Resp::V3 {
            reply.array(2);
        }
        member.with_bytes(|bytes| reply.bulk(bytes));
        if with_scores {
            reply.double(score);
        }
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

/// Returns whether a reply of `count` of the `len` elements of a value is long. O(1).
#[inline]
pub(crate) fn is_long(count: usize, len: usize, value_bytes: usize) -> bool {
    count >= LONG_WALK_ELEMENTS_MIN
        || value_bytes >= LONG_WALK_BYTES_MIN
            && value_bytes / len.max(1) * count >= LONG_WALK_BYTES_MIN
}
