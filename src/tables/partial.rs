//! What one shard has found or done so far.

use crate::claim::Claim;
use crate::datum::Cell;
use crate::form::Form;
use crate::group::{Group, Groups};
use crate::key::Key;
use crate::plan::filter::Filter;
use crate::schema::{ColumnId, IndexId, RowId};

/// The part of one shard. It grows with each step and is joined with the others in the end.
#[derive(Debug, Default)]
pub struct Partial {
    /// Rows, encoded, one after the other.
    pub(crate) bytes: Vec<u8>,
    /// How many rows are in `bytes`.
    pub(crate) encoded: u64,
    /// Their keys, ids and ends in `bytes`, if several shards have rows.
    pub(crate) marks: Vec<Mark>,
    /// Rows counted, or changed.
    pub(crate) count: u64,
    /// Rows that a condition was asked about.
    pub(crate) looked: u64,
    pub(crate) groups: Groups,
    /// What became of each row of an INSERT that is this shard's, by position.
    pub(crate) inserted: Vec<(usize, Option<RowId>)>,
    /// Rows of an INSERT that meet a row of this shard in a unique index.
    pub(crate) met: Vec<Met>,
    /// Cells of such rows on which it depends what becomes of them.
    pub(crate) met_cells: Vec<(RowId, ColumnId, Cell)>,
    /// Values of unique indexes that rows are to get.
    pub(crate) claims: Vec<Claim>,
    pub(crate) scratch: Vec<u8>,
    pub(crate) form: Form,
}

/// A row among the encoded ones.
#[derive(Debug)]
pub(crate) struct Mark {
    pub(crate) key: Key,
    pub(crate) id: u64,
    /// Where it stands in `bytes`.
    pub(crate) begin: usize,
    pub(crate) end: usize,
}

/// A row of an INSERT and the row that has its value already.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Met {
    pub(crate) row: usize,
    pub(crate) index: IndexId,
    pub(crate) id: RowId,
}

impl Partial {
    /// Creates an empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates one that writes rows behind what `bytes` has; [`crate::merge::Answer::Rows`] of a table
    /// that lies on one shard gives the same memory back.
    #[must_use]
    pub fn writing_to(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            ..Self::default()
        }
    }

    /// Returns the bytes behind which it has written, with its rows, and how many rows these are. The rest
    /// is dropped.
    #[must_use]
    pub fn into_rows(self) -> (Vec<u8>, u64) {
        (self.bytes, self.encoded)
    }

    /// Returns how many rows a condition was asked about here.
    #[must_use]
    pub fn looked(&self) -> u64 {
        self.looked
    }

    /// Returns how many rows were counted or changed here.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns the bytes of encoded rows so far.
    #[must_use]
    pub fn encoded_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Takes the values of unique indexes that rows are to get, for [`crate::Tables::refuse_claims`].
    #[must_use]
    pub fn take_claims(&mut self) -> Vec<Claim> {
        std::mem::take(&mut self.claims)
    }

    pub(crate) fn take_groups(&mut self) -> Vec<Group> {
        std::mem::take(&mut self.groups.list)
    }
}

/// Returns whether a condition is one at all.
pub(crate) fn is_condition(filter: &Filter) -> bool {
    !matches!(filter, Filter::True)
}
