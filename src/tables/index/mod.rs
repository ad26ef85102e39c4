//! Indexes: which rows have which values.
//!
//! An index knows places, and reads values from the rows or keeps them as bytes ([`crate::key`]).
//!
//! Not here: which index a statement uses (`plan`), and keeping indexes up to date (`table`).

pub(crate) mod blocks;
pub(crate) mod hash;
pub(crate) mod ordered;
mod places;

use base::hash::KeyHasher;

use crate::key;
use crate::schema::{ColumnId, Index, IndexId, IndexKind};
use crate::store::{Place, Rows};

use hash::HashIndex;
use ordered::OrderedIndex;

/// The columns of an index.
pub(crate) type Columns = [ColumnId];

/// An index of one table on one shard.
#[derive(Debug)]
pub(crate) struct RowIndex {
    pub(crate) id: IndexId,
    pub(crate) columns: Box<Columns>,
    pub(crate) unique: bool,
    /// Rows before this place are in the index; the others are added by a build, or by a write.
    pub(crate) built_to: u64,
    pub(crate) body: Body,
}

/// What there is of it.
#[derive(Debug)]
pub(crate) enum Body {
    /// Equality.
    Hash(Box<HashIndex>),
    /// Order.
    Ordered(Box<OrderedIndex>),
}

impl RowIndex {
    /// Creates an index without rows.
    pub(crate) fn new(index: &Index, hasher: &KeyHasher) -> Self {
        Self {
            id: index.id,
            columns: index.columns.clone().into(),
            unique: index.unique,
            built_to: 0,
            body: match index.kind {
                IndexKind::Hash => Body::Hash(Box::new(HashIndex::new(hasher.clone()))),
                IndexKind::Btree => Body::Ordered(Box::default()),
            },
        }
    }

    /// Adds a row that is stored already.
    pub(crate) fn insert(&mut self, place: Place, rows: &Rows, scratch: &mut Vec<u8>) {
        scratch.clear();
        let is_whole = push_row_key(rows, place, &self.columns, scratch);
        match &mut self.body {
            Body::Hash(index) if is_whole => index.insert(scratch, place, &self.columns, rows),
            Body::Hash(_) => {}
            Body::Ordered(index) => index.insert(scratch, place),
        }
    }

    /// Takes a row out that is still stored as it was added.
    pub(crate) fn remove(&mut self, place: Place, rows: &Rows, scratch: &mut Vec<u8>) {
        scratch.clear();
        let is_whole = push_row_key(rows, place, &self.columns, scratch);
        match &mut self.body {
            Body::Hash(index) if is_whole => index.remove(scratch, place, &self.columns, rows),
            Body::Hash(_) => {}
            Body::Ordered(index) => index.remove(scratch, place),
        }
    }

    /// Calls `each` with the rows of exactly these values, ascending by place from `first` on, while it
    /// says so.
    pub(crate) fn walk(
        &self,
        key: &[u8],
        rows: &Rows,
        first: u64,
        each: &mut impl FnMut(Place) -> bool,
    ) {
        match &self.body {
            Body::Hash(index) => index.walk(key, &self.columns, rows, first, each),
            Body::Ordered(index) => {
                let mut low = key.to_vec();
                key::push_place(&mut low, first);
                let mut cursor = index.seek(&low);
                while let Some(entry) = index.entries().at(cursor) {
                    let (values, place) = key::split_place(entry.bytes());
                    if values != key || !each(Place(place)) {
                        return;
                    }
                    cursor = index.entries().next(cursor);
                }
            }
        }
    }

    /// Returns whether another row has all the values of this one, at a time that is over for neither.
    pub(crate) fn has_double(
        &self,
        place: Place,
        rows: &Rows,
        now_ms: u64,
        scratch: &mut Vec<u8>,
    ) -> bool {
        scratch.clear();
        let mut is_double = false;
        if !rows.is_dead(place, now_ms) && push_row_key(rows, place, &self.columns, scratch) {
            self.walk(scratch, rows, 0, &mut |other| {
                is_double |= other != place && !rows.is_dead(other, now_ms);
                !is_double
            });
        }
        is_double
    }

    /// Returns how many different values there are; of an ordered index, about.
    pub(crate) fn values(&self) -> u64 {
        match &self.body {
            Body::Hash(index) => index.values(),
            Body::Ordered(index) => index.values(),
        }
    }

    /// Returns how many rows are in the index.
    pub(crate) fn rows(&self) -> u64 {
        match &self.body {
            Body::Hash(index) => index.rows(),
            Body::Ordered(index) => index.rows(),
        }
    }

    /// Returns what it has allocated.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>()
            + match &self.body {
                Body::Hash(index) => size_of::<HashIndex>() + index.bytes(),
                Body::Ordered(index) => size_of::<OrderedIndex>() + index.bytes(),
            }
    }

    /// Frees a part; returns whether there is more. The index is of no other use then.
    pub(crate) fn free_step(&mut self) -> bool {
        match &mut self.body {
            Body::Hash(index) => index.free_step(),
            Body::Ordered(index) => index.free_step(),
        }
    }

    /// Counts the bytes again from the parts.
    #[cfg(test)]
    pub(crate) fn recounted(&self) -> usize {
        size_of::<Self>()
            + match &self.body {
                Body::Hash(index) => size_of::<HashIndex>() + index.recounted(),
                Body::Ordered(index) => size_of::<OrderedIndex>() + index.recounted(),
            }
    }

    /// Returns what is in it, to be compared with another one.
    #[cfg(test)]
    pub(crate) fn contents(&self) -> (Vec<Vec<u64>>, Vec<Vec<u8>>) {
        match &self.body {
            Body::Hash(index) => (index.contents(), Vec::new()),
            Body::Ordered(index) => {
                let entries = index.entries().iter().map(|entry| entry.bytes().to_vec());
                (Vec::new(), entries.collect())
            }
        }
    }
}

/// Appends a row's values of these columns; returns whether none is missing.
pub(crate) fn push_row_key(
    rows: &Rows,
    place: Place,
    columns: &Columns,
    out: &mut Vec<u8>,
) -> bool {
    let mut is_whole = true;
    let row = rows.row(place);
    for &column in columns {
        let value = row.and_then(|row| row.value(column));
        is_whole &= value.is_some();
        key::push(out, value);
    }
    is_whole
}

/// Returns whether a row has exactly the values that `key` was made of.
fn row_has_key(rows: &Rows, place: Place, columns: &Columns, key: &[u8]) -> bool {
    let Some(row) = rows.row(place) else {
        return false;
    };
    let mut rest = key;
    for &column in columns {
        match key::strip(rest, row.value(column)) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    rest.is_empty()
}
