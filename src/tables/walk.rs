//! A snapshot of the rows of one table as they were at one moment, as bytes, while the table changes.
//!
//! ```text
//!   begin: the table gets a walk from its first place to its last
//!   step:  rows of the next chunk, in order of places -> bytes
//!   change of a row that is still to come: first its bytes, then a mark at its place, then the change
//!   a row that comes behind the walk's next place: a mark only, as it was not there
//!   rows that go all at once, and columns that are dropped: kept by the walk until it has passed them
//! ```
//!
//! Invariants
//! - Each row that was there at the beginning comes once, with the values it had, in the columns there were.
//! - Marks stand only at places that the walk is still to come to.
//! - A step is bounded by its rows; dropping a column or a table costs a snapshot nothing per row.
//!
//! Not here: the walks of all tables together ([`crate::snapshot`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use base::cast::u64_from;
use base::ids::DbIndex;

use crate::bytes::{put_string, row, section};
use crate::datum::ColumnType;
use crate::schema::{ColumnId, Schema};
use crate::store::bits::{self, Bits, ROWS};
use crate::store::column::Column;
use crate::store::{Place, Rows};

/// A piece is handed on when it has so many bytes.
const PIECE_BYTES: usize = 64 * 1024;

/// Rows of one table on their way to a file.
#[derive(Debug)]
pub struct Piece {
    /// How many.
    pub rows: u64,
    /// A section of rows, see [`crate::bytes::section`].
    pub bytes: Vec<u8>,
}

/// A snapshot on its way over one table.
#[derive(Debug)]
pub(crate) struct RowWalk {
    db: DbIndex,
    shard: u16,
    /// As it was at the beginning.
    schema: Arc<Schema>,
    /// Types of its columns by number; those that came later have none.
    kinds: Vec<Option<ColumnType>>,
    /// Places below have been passed.
    next: u64,
    /// Rows from here on were not there.
    end: u64,
    /// Places that need not be looked at any more, by chunk.
    marks: BTreeMap<u64, Bits>,
    /// Columns that were dropped meanwhile, by chunk.
    dropped: BTreeMap<(u64, ColumnId), Box<Column>>,
    /// Rows that wait to be handed on, and how many they are.
    out: Vec<u8>,
    rows: u64,
    scratch: Vec<u8>,
}

/// The rows of a table that were taken from it at once, and the walk over them.
#[derive(Debug)]
pub(crate) struct Detached {
    pub(crate) walk: Box<RowWalk>,
    pub(crate) rows: Box<Rows>,
}

impl RowWalk {
    /// Begins with the rows that a shard has; nothing if there are none.
    pub(crate) fn new(db: DbIndex, shard: u16, schema: &Arc<Schema>, rows: &Rows) -> Option<Self> {
        let (last, _) = rows.chunks(0..).next_back()?;
        let schema = Arc::clone(schema);
        let mut kinds = vec![None; usize::from(schema.next_column)];
        for column in &schema.columns {
            if let Some(kind) = kinds.get_mut(usize::from(column.id.0)) {
                *kind = Some(column.kind);
            }
        }
        Some(Self {
            db,
            shard,
            schema,
            kinds,
            next: 0,
            end: (last + 1) * u64_from(ROWS),
            marks: BTreeMap::new(),
            dropped: BTreeMap::new(),
            out: Vec::new(),
            rows: 0,
            scratch: Vec::new(),
        })
    }

    /// Hands on the row at a place, if there is one that is still to come. To be called before it changes, goes
    /// or comes.
    #[cold]
    pub(crate) fn before_change(&mut self, rows: &Rows, place: Place) {
        if place.0 < self.next || place.0 >= self.end {
            return;
        }
        let marks = self.marks.entry(place.chunk()).or_insert([0; bits::WORDS]);
        if !bits::has(marks, place.offset()) {
            bits::set(marks, place.offset());
            self.hand_on(rows, place);
        }
    }

    /// Keeps a column of a chunk that was dropped; gives it back if it is not needed.
    pub(crate) fn keep(
        &mut self,
        chunk: u64,
        id: ColumnId,
        column: Box<Column>,
    ) -> Option<Box<Column>> {
        let is_passed = (chunk + 1) * u64_from(ROWS) <= self.next;
        if is_passed || self.kind(id).is_none() {
            return Some(column);
        }
        self.dropped.insert((chunk, id), column);
        None
    }

    fn kind(&self, column: ColumnId) -> Option<ColumnType> {
        self.kinds.get(usize::from(column.0)).copied().flatten()
    }

    fn hand_on(&mut self, rows: &Rows, place: Place) {
        let Some(stored) = rows.row(place) else {
            return;
        };
        let declared: Vec<ColumnId>;
        let order = match rows.orders().at(stored.chunk.order(stored.offset)) {
            Some(order) => order,
            None => {
                declared = self.schema.columns.iter().map(|column| column.id).collect();
                &declared
            }
        };
        let (chunk, offset) = (place.chunk(), place.offset());
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        let cells = order.iter().filter_map(|&id| {
            let kind = self.kind(id)?;
            let kept = || self.dropped.get(&(chunk, id)).map(AsRef::as_ref);
            let column = stored.chunk.column(id).or_else(kept)?;
            Some((id, kind, column.value(offset)?, column.odd_text(offset)))
        });
        let id = self.schema.layout.row_at(self.shard, place.0);
        let end = stored.chunk.end(stored.offset);
        let bytes = &mut scratch;
        row::begin(bytes, id, end, cells.clone().count());
        for (id, kind, value, text) in cells {
            row::put_stored(bytes, id, (kind, value), text);
        }
        put_string(&mut self.out, &scratch);
        self.scratch = scratch;
        self.rows += 1;
    }

    /// Goes on by about so many rows; returns whether there are more.
    pub(crate) fn step(&mut self, rows: &Rows, count: usize) -> bool {
        let mut left = count;
        while left > 0 {
            let from = Place(self.next);
            let Some((number, chunk)) = rows.chunks(from.chunk()..).next() else {
                return false;
            };
            let first = Place::at(number, 0);
            if first.0 >= self.end {
                return false;
            }
            let mut wanted = *chunk.live();
            if first.0 < self.next {
                bits::keep_from(&mut wanted, from.offset());
            }
            if let Some(marks) = self.marks.get(&number) {
                for (word, mark) in wanted.iter_mut().zip(marks) {
                    *word &= !mark;
                }
            }
            let offsets: Vec<usize> = bits::offsets(&wanted).take(left + 1).collect();
            for &offset in offsets.iter().take(left) {
                self.hand_on(rows, Place::at(number, offset));
            }
            if let Some(&offset) = offsets.get(left) {
                self.next = Place::at(number, offset).0;
                return true;
            }
            // An empty rest of a chunk is work too.
            left -= offsets.len().clamp(1, left);
            self.next = Place::at(number + 1, 0).0;
            self.marks = self.marks.split_off(&(number + 1));
            self.dropped = self.dropped.split_off(&(number + 1, ColumnId(0)));
        }
        true
    }

    /// Takes the rows that wait, if they are enough for a piece or `is_last`.
    pub(crate) fn take(&mut self, is_last: bool) -> Option<Piece> {
        if self.rows == 0 || (!is_last && self.out.len() < PIECE_BYTES) {
            return None;
        }
        let rows = std::mem::take(&mut self.rows);
        let mut bytes = section::begin_rows(self.db, self.schema.id, rows);
        bytes.append(&mut self.out);
        Some(Piece { rows, bytes })
    }
}
