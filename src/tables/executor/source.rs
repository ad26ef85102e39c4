//! Where candidates come from, a chunk's worth at a time, in order of ids; or one by one in the order of
//! an index.
//!
//! A source can stop anywhere and go on: it knows the next place, or the next key, and looks everything
//! else up again.

use std::collections::BTreeMap;

use base::cast::u64_from;

use super::Budget;
use crate::index::Body;
use crate::key::{self, Key};
use crate::plan::Plan;
use crate::plan::access::{self, Access, KeyRange};
use crate::schema::{IndexId, RowId};
use crate::store::Place;
use crate::store::bits::{self, Bits, ROWS};
use crate::table::Table;

/// Where candidates come from.
#[derive(Debug)]
pub(super) enum Source {
    /// All rows.
    Scan,
    /// The rows of one value.
    Value { index: IndexId, key: Key },
    /// Still collecting the rows of several values or ranges.
    Gather {
        pieces: Vec<Piece>,
        set: BTreeMap<u64, Bits>,
    },
    /// These.
    Set(BTreeMap<u64, Bits>),
    /// A range of an index, in its order.
    Ordered(Ordered),
}

/// A part of what is to be collected.
#[derive(Debug)]
pub(super) enum Piece {
    Row(u64),
    Value {
        index: IndexId,
        key: Box<[u8]>,
        next: u64,
    },
    Range {
        index: IndexId,
        range: KeyRange,
    },
}

/// A walk over an index.
#[derive(Debug)]
pub(super) struct Ordered {
    index: IndexId,
    low: Box<[u8]>,
    /// What is left ends here.
    high: Box<[u8]>,
    descending: bool,
    /// Descending: the values that are given now, and the next place of them.
    group: Option<(Box<[u8]>, u64)>,
}

/// Rows of one chunk.
pub(super) struct Batch {
    pub(super) number: u64,
    pub(super) mask: Bits,
}

impl Source {
    /// Begins at the way that was chosen. `ordered` is an index whose order is wanted.
    pub(super) fn new(access: &Access, ordered: Option<Ordered>) -> Self {
        if let Some(ordered) = ordered {
            return Self::Ordered(ordered);
        }
        match access {
            Access::All => Self::Scan,
            Access::Value { index, key } => Self::Value {
                index: *index,
                key: key.clone(),
            },
            Access::Ids(_) | Access::Keys { .. } | Access::Ranges { .. } | Access::Union(_) => {
                Self::Gather {
                    pieces: Vec::new(),
                    set: BTreeMap::new(),
                }
            }
        }
    }

    /// Adds what a way leads to, to what is to be collected.
    pub(super) fn gather(&mut self, table: &Table, access: &Access) {
        let Self::Gather { pieces, .. } = self else {
            return;
        };
        push_pieces(pieces, table, access);
    }

    /// Collects; returns whether there is more to collect.
    pub(super) fn collect(&mut self, table: &Table, budget: &mut Budget) -> bool {
        let Self::Gather { pieces, set } = self else {
            return false;
        };
        while budget.look > 0 {
            let Some(piece) = pieces.pop() else {
                *self = Self::Set(std::mem::take(set));
                return false;
            };
            if let Some(rest) = collect_piece(table, piece, set, budget) {
                pieces.push(rest);
            }
        }
        true
    }

    /// Returns the candidates of the next chunk that has any in `from..end`.
    pub(super) fn batch(&self, table: &Table, from: u64, end: u64) -> Option<Batch> {
        if from >= end {
            return None;
        }
        let first = Place(from).chunk();
        let (number, mut mask) = match self {
            Self::Scan => {
                let (number, chunk) = table.rows.chunks(first..).next()?;
                (number, *chunk.live())
            }
            Self::Set(set) => {
                let (&number, mask) = set.range(first..).next()?;
                (number, *mask)
            }
            Self::Value { index, key } => value_batch(table, *index, key.bytes(), from)?,
            Self::Gather { .. } | Self::Ordered(_) => return None,
        };
        let begin = Place::at(number, 0).0;
        if begin >= end {
            return None;
        }
        let low = from.saturating_sub(begin);
        let high = (end - begin).min(u64_from(ROWS));
        bits::keep(
            &mut mask,
            base::cast::usize_from(low)..base::cast::usize_from(high),
        );
        Some(Batch { number, mask })
    }
}

/// Collects the rows of a value that lie in the chunk of the next one.
fn value_batch(table: &Table, index: IndexId, key: &[u8], from: u64) -> Option<(u64, Bits)> {
    let index = table.index(index)?;
    let mut number = None;
    let mut mask = [0; bits::WORDS];
    index.walk(key, &table.rows, from, &mut |place| {
        let is_here = *number.get_or_insert(place.chunk()) == place.chunk();
        if is_here {
            bits::set(&mut mask, place.offset());
        }
        is_here
    });
    number.map(|number| (number, mask))
}

fn push_pieces(pieces: &mut Vec<Piece>, table: &Table, access: &Access) {
    match access {
        Access::All => {}
        Access::Ids(ids) => pieces.extend(ids.iter().map(|&id| Piece::Row(id))),
        Access::Value { index, key } => pieces.push(Piece::Value {
            index: *index,
            key: key.bytes().into(),
            next: 0,
        }),
        Access::Keys { index, keys } => pieces.extend(keys.iter().map(|key| Piece::Value {
            index: *index,
            key: key.clone(),
            next: 0,
        })),
        Access::Ranges { index, ranges } => {
            pieces.extend(ranges.iter().map(|range| Piece::Range {
                index: *index,
                range: range.clone(),
            }));
        }
        Access::Union(branches) => {
            for ways in branches {
                push_pieces(pieces, table, access::choose(table, ways).access);
            }
        }
    }
}

/// Collects a piece; returns what is left of it.
fn collect_piece(
    table: &Table,
    piece: Piece,
    set: &mut BTreeMap<u64, Bits>,
    budget: &mut Budget,
) -> Option<Piece> {
    let mut add = |place: Place| {
        let mask = set.entry(place.chunk()).or_insert([0; bits::WORDS]);
        bits::set(mask, place.offset());
    };
    // Each call takes one row at least, or finds that there is none.
    let mut left = budget.look.max(1);
    let rest = match piece {
        Piece::Row(id) => {
            if let Some(place) = table.place(RowId(id)) {
                add(place);
            }
            None
        }
        Piece::Value { index, key, next } => {
            let mut rest = None;
            table
                .index(index)?
                .walk(&key, &table.rows, next, &mut |place| {
                    if left == 0 {
                        rest = Some(place.0);
                        return false;
                    }
                    left -= 1;
                    add(place);
                    true
                });
            rest.map(|next| Piece::Value { index, key, next })
        }
        Piece::Range { index, range } => {
            let Body::Ordered(ordered) = &table.index(index)?.body else {
                return None;
            };
            let (low, high) = range;
            let mut rest = None;
            let mut cursor = ordered.seek(&low);
            while let Some(entry) = ordered.entries().at(cursor) {
                if entry.bytes() >= &*high {
                    break;
                }
                if left == 0 {
                    let low = entry.bytes().into();
                    rest = Some(low);
                    break;
                }
                left -= 1;
                add(Place(key::split_place(entry.bytes()).1));
                cursor = ordered.entries().next(cursor);
            }
            rest.map(|low| Piece::Range {
                index,
                range: (low, high),
            })
        }
    };
    budget.look = left.saturating_sub(usize::from(rest.is_none()));
    rest
}

impl Ordered {
    /// Begins a walk over a range.
    pub(super) fn new(index: IndexId, range: KeyRange, descending: bool) -> Self {
        Self {
            index,
            low: range.0,
            high: range.1,
            descending,
            group: None,
        }
    }

    /// Returns the index that is walked over.
    pub(super) fn index(&self) -> IndexId {
        self.index
    }

    /// Returns the next row: by value in the direction that is wanted, rows of one value by id.
    pub(super) fn next(&mut self, table: &Table) -> Option<Place> {
        let Body::Ordered(ordered) = &table.index(self.index)?.body else {
            return None;
        };
        let entries = ordered.entries();
        if !self.descending {
            let entry = entries.at(ordered.seek(&self.low))?;
            if entry.bytes() >= &*self.high {
                return None;
            }
            // The next entry is the first one above this.
            self.low = [entry.bytes(), &[0]].concat().into();
            return Some(Place(key::split_place(entry.bytes()).1));
        }
        loop {
            if let Some((values, next)) = &mut self.group {
                let mut low = values.to_vec();
                key::push_place(&mut low, *next);
                if let Some(entry) = entries.at(ordered.seek(&low)) {
                    let (found, place) = key::split_place(entry.bytes());
                    if *found == **values {
                        *next = place + 1;
                        return Some(Place(place));
                    }
                }
                self.high = std::mem::take(values);
                self.group = None;
            }
            let before = entries.previous(ordered.seek(&self.high))?;
            let entry = entries.at(before)?;
            if entry.bytes() < &*self.low {
                return None;
            }
            let (values, _) = key::split_place(entry.bytes());
            self.group = Some((values.into(), 0));
        }
    }
}

/// Returns the walk that gives a plan's rows in their order, if one of its indexes can.
pub(super) fn ordered_walk(table: &Table, plan: &Plan, access: &Access) -> Option<Ordered> {
    let crate::plan::Action::Read(reading) = &plan.action else {
        return None;
    };
    let &(_, descending) = reading.order.first()?;
    let mut indexes = reading.ordered_by.iter();
    indexes.find_map(|&(id, skip)| match access {
        _ if table.complete_index(id).is_none() => None,
        Access::Ranges { index, ranges } if *index == id && ranges.len() == 1 => {
            Some(Ordered::new(id, ranges[0].clone(), descending))
        }
        // All rows in the order of the index: worth it unless most of them are thrown away.
        Access::All if skip == 0 && is_order_cheap(plan, reading.limit) => {
            let everything = (Box::from([]), Box::from([key::BEYOND]));
            Some(Ordered::new(id, everything, descending))
        }
        Access::All
        | Access::Ids(_)
        | Access::Value { .. }
        | Access::Keys { .. }
        | Access::Ranges { .. }
        | Access::Union(_) => None,
    })
}

fn is_order_cheap(plan: &Plan, limit: Option<u64>) -> bool {
    matches!(plan.filter, crate::plan::filter::Filter::True)
        || limit.is_some_and(|limit| limit <= 1000)
}
