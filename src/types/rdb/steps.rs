//! Values to bytes, a part at a time.
//!
//! Counts stand before what they count, so they are those of the beginning: between two steps the value stays as it is.
//! What is one string in the file (a listpack, an intset, the bytes of a string) is written in one step.
//!
//! Not here: what stands where (`write.rs`, `streams.rs`).

use base::clock::UnixMillis;

use super::sink::{Sink, count, length, string};
use super::streams;
use super::write::{self, HashForm};
use crate::Value;
use crate::hash::Hash;
use crate::set::Set;
use crate::sorted_set::SortedSet;

/// Members of a sorted set between two looks at the bytes.
const PAIRS_AT_A_TIME: usize = 64;

/// How far a value has been written.
#[derive(Debug)]
pub struct Steps {
    /// Fields of hashes that are dead then are left out.
    now: UnixMillis,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Start,
    /// The number of the next node.
    List(usize),
    /// The cursor of the next members.
    Set(u64),
    /// The cursor of the next fields; when the first field dies if any does.
    Hash(u64, Option<UnixMillis>),
    /// Members that are written.
    SortedSet(usize),
    Stream(streams::Place),
    End,
}

impl Steps {
    /// Begins a value. Fields of hashes that are dead at `now` are left out.
    #[must_use]
    pub fn new(now: UnixMillis) -> Self {
        Self {
            now,
            place: Place::Start,
        }
    }

    /// Goes on with the value until the sink has `enough` bytes in all. Returns whether there is more. A step passes
    /// `enough` by one element, or some forty small ones.
    pub(super) fn step(&mut self, sink: &mut impl Sink, value: &Value, enough: usize) -> bool {
        loop {
            let place = std::mem::replace(&mut self.place, Place::End);
            self.place = self.advance(sink, value, place, enough);
            if matches!(self.place, Place::End) {
                return false;
            }
            if sink.len() >= enough {
                return true;
            }
        }
    }

    fn advance(&self, sink: &mut impl Sink, value: &Value, place: Place, enough: usize) -> Place {
        match (value, place) {
            (Value::String(bytes), Place::Start) => whole(sink, bytes),
            (Value::Shared(bytes), Place::Start) => whole(sink, bytes),
            // The key is claimed while its value is away: nobody asks.
            (Value::Lent(_), Place::Start) => whole(sink, b""),
            (Value::List(list), Place::Start) => {
                count(sink, list.node_count());
                Place::List(0)
            }
            (Value::List(list), Place::List(first)) => {
                for (number, node) in (first + 1..).zip(list.nodes_from(first)) {
                    write::node(sink, node);
                    if sink.len() >= enough {
                        return Place::List(number);
                    }
                }
                Place::End
            }
            (Value::Set(set), Place::Start) => begin_set(sink, set),
            (Value::Set(set), Place::Set(cursor)) => {
                let next = set.scan(cursor, 1, &mut |member| write::element(sink, member));
                if next == 0 {
                    Place::End
                } else {
                    Place::Set(next)
                }
            }
            (Value::Hash(hash), Place::Start) => self.begin_hash(sink, hash),
            (Value::Hash(hash), Place::Hash(cursor, first)) => {
                let next = self.fields(sink, hash, (cursor, first));
                if next == 0 {
                    Place::End
                } else {
                    Place::Hash(next, first)
                }
            }
            (Value::SortedSet(set), Place::Start) => begin_sorted_set(sink, set),
            (Value::SortedSet(set), Place::SortedSet(done)) => pairs(sink, set, done),
            (Value::Stream(stream), Place::Start) => Place::Stream(streams::begin(sink, stream)),
            (Value::Stream(stream), Place::Stream(place)) => {
                let next = streams::advance(sink, stream, place, enough);
                next.map_or(Place::End, Place::Stream)
            }
            (_, Place::End) => Place::End,
            (
                Value::String(_)
                | Value::Shared(_)
                | Value::Lent(_)
                | Value::List(_)
                | Value::Set(_)
                | Value::Hash(_)
                | Value::SortedSet(_)
                | Value::Stream(_),
                _,
            ) => unreachable!("a value stays as it is until it is written"),
        }
    }

    fn begin_hash(&self, sink: &mut impl Sink, hash: &Hash) -> Place {
        let first = match HashForm::of(hash, self.now) {
            HashForm::Packed(listpack) => return whole(sink, listpack.as_bytes()),
            HashForm::ExpiringPacked(first) => {
                write::triples(sink, hash, first, self.now);
                return Place::End;
            }
            HashForm::Table => None,
            HashForm::ExpiringTable(first) => {
                sink.put(&first.0.to_le_bytes());
                Some(first)
            }
        };
        count(sink, hash.len(self.now));
        Place::Hash(0, first)
    }

    /// Writes the fields of one segment of the table; returns the cursor of the next.
    fn fields(
        &self,
        sink: &mut impl Sink,
        hash: &Hash,
        (cursor, first): (u64, Option<UnixMillis>),
    ) -> u64 {
        hash.scan_with_expiry(cursor, 1, self.now, &mut |field, value, expire_at| {
            if let Some(first) = first {
                let after = |at: UnixMillis| at.0.saturating_sub(first.0).unsigned_abs() + 1;
                length(sink, expire_at.map_or(0, after));
            }
            write::element(sink, field);
            write::element(sink, value);
        })
    }
}

/// Writes a value that is one string.
fn whole(sink: &mut impl Sink, bytes: &[u8]) -> Place {
    string(sink, bytes);
    Place::End
}

fn begin_set(sink: &mut impl Sink, set: &Set) -> Place {
    if let Some(intset) = set.as_intset() {
        return whole(sink, intset.as_bytes());
    }
    count(sink, set.len());
    Place::Set(0)
}

fn begin_sorted_set(sink: &mut impl Sink, set: &SortedSet) -> Place {
    if let Some(listpack) = set.as_listpack() {
        return whole(sink, listpack.as_bytes());
    }
    count(sink, set.len());
    Place::SortedSet(0)
}

/// Writes the next members, from the highest on.
fn pairs(sink: &mut impl Sink, set: &SortedSet, done: usize) -> Place {
    let left = set.len() - done;
    for (member, score) in set.pairs(0..left, true).take(PAIRS_AT_A_TIME) {
        write::element(sink, member);
        sink.put(&score.to_le_bytes());
    }
    if left <= PAIRS_AT_A_TIME {
        Place::End
    } else {
        Place::SortedSet(done + PAIRS_AT_A_TIME)
    }
}
