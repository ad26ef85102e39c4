//! What rows with the same columns in the same order have in common, as it is written: made once, copied for each.
//!
//! Not here: when it is made, and writing rows (`executor::output`).

use crate::datum::ColumnType;
use crate::schema::ColumnId;
use crate::store::orders::OrderCode;

/// What rows that have their columns in one order have in common, as it is written. Made when a second row has the
/// order of the one before: for one row it would take longer than it saves.
#[derive(Debug, Default)]
pub(crate) struct Form {
    /// The order of the last row.
    pub(crate) last: Option<OrderCode>,
    /// The order that the rest is for.
    pub(crate) made: Option<OrderCode>,
    /// The head of the row.
    pub(crate) head: Box<[u8]>,
    pub(crate) cells: Vec<FormCell>,
}

/// What cells of a column have in common.
#[derive(Debug)]
pub(crate) struct FormCell {
    pub(crate) column: ColumnId,
    pub(crate) kind: ColumnType,
    pub(crate) name: Name,
}

/// The name of a column as it is written.
#[derive(Debug)]
pub(crate) enum Name {
    /// So many of the first bytes; all are copied, which takes less than to copy just those.
    Short([u8; SHORT_NAME], usize),
    Long(Box<[u8]>),
}

/// Names of up to some 24 bytes.
const SHORT_NAME: usize = 32;

impl Name {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let mut short = [0; SHORT_NAME];
        match short.get_mut(..bytes.len()) {
            Some(begin) => {
                begin.copy_from_slice(bytes);
                Self::Short(short, bytes.len())
            }
            None => Self::Long(bytes.into()),
        }
    }

    #[inline]
    pub(crate) fn push_to(&self, out: &mut Vec<u8>) {
        match self {
            Self::Short(bytes, len) => {
                let end = out.len() + len;
                out.extend_from_slice(bytes);
                out.truncate(end);
            }
            Self::Long(bytes) => out.extend_from_slice(bytes),
        }
    }
}
