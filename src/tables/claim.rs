//! Values of unique indexes on their way between shards.

use crate::schema::{IndexId, RowId};

/// A value of a unique index that a row has, or is to get.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    pub(crate) index: IndexId,
    pub(crate) key: Box<[u8]>,
    pub(crate) row: RowId,
}

/// A value of a unique index that a stored row is to get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    pub(crate) index: IndexId,
    pub(crate) key: Vec<u8>,
}
