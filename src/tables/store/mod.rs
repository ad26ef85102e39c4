//! Rows of one table on one shard, column by column in chunks of 1024 places.
//!
//! A row's *place* grows with its id, so that rows in order of places are in order of ids. Chunks are
//! found by number (`directory`): a chunk without rows is freed, and ids that are gone cost nothing.
//!
//! Invariants: `count`, `ending` and `bytes` are those of all chunks; a place outside of `live` has no
//! value in any column.

pub(crate) mod bits;
pub(crate) mod chunk;
pub(crate) mod column;
mod directory;
pub(crate) mod orders;
mod texts;

use std::ops::RangeFrom;

use base::cast::{u64_from, usize_from};

use crate::datum::ColumnType;
use crate::scalar::Value;
use crate::schema::ColumnId;

use bits::ROWS;
use chunk::Chunk;
use directory::Directory;
use orders::{AS_DECLARED, Orders};

/// Where a row lies: its number among all rows that this shard can ever have of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place(pub(crate) u64);

impl Place {
    /// Returns the place of an offset in a chunk.
    pub(crate) fn at(chunk: u64, offset: usize) -> Self {
        Self(chunk * u64_from(ROWS) + u64_from(offset))
    }

    /// Returns the number of its chunk.
    #[inline]
    pub(crate) fn chunk(self) -> u64 {
        self.0 / u64_from(ROWS)
    }

    /// Returns its offset in the chunk.
    #[inline]
    pub(crate) fn offset(self) -> usize {
        usize_from(self.0 % u64_from(ROWS))
    }
}

/// A value to be stored.
pub(crate) struct NewCell<'a> {
    /// Of which column.
    pub(crate) column: ColumnId,
    /// Its type.
    pub(crate) kind: ColumnType,
    /// What.
    pub(crate) value: Value<'a>,
    /// The text it came with, if it is not the canonical one.
    pub(crate) odd_text: Option<&'a [u8]>,
}

/// The rows.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    chunks: Directory,
    orders: Orders,
    count: u64,
    ending: u64,
    chunk_bytes: usize,
    /// Kept between insertions, for the order of a row's columns.
    scratch: Vec<ColumnId>,
}

/// A row that is there.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) chunk: &'a Chunk,
    pub(crate) offset: usize,
}

impl<'a> Row<'a> {
    /// Returns the value of a column.
    #[inline]
    pub(crate) fn value(self, column: ColumnId) -> Option<Value<'a>> {
        self.chunk.column(column)?.value(self.offset)
    }

    /// Returns the text that a value came with, if it is not the canonical one.
    #[inline]
    pub(crate) fn odd_text(self, column: ColumnId) -> Option<&'a [u8]> {
        self.chunk.column(column)?.odd_text(self.offset)
    }
}

impl Rows {
    /// Returns how many rows there are, dead ones included.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Returns how many rows carry an end.
    pub(crate) fn ending(&self) -> u64 {
        self.ending
    }

    /// Returns the orders of columns.
    pub(crate) fn orders(&self) -> &Orders {
        &self.orders
    }

    /// Returns the row at a place.
    #[inline]
    pub(crate) fn row(&self, place: Place) -> Option<Row<'_>> {
        let chunk = self.chunks.get(place.chunk())?;
        let offset = place.offset();
        bits::has(chunk.live(), offset).then_some(Row { chunk, offset })
    }

    /// Returns whether there is a row at a place whose time is over.
    pub(crate) fn is_dead(&self, place: Place, now_ms: u64) -> bool {
        let row = self.row(place);
        row.is_some_and(|row| row.chunk.is_dead(row.offset, now_ms))
    }

    /// Returns the chunk of this number.
    pub(crate) fn chunk(&self, number: u64) -> Option<&Chunk> {
        self.chunks.get(number)
    }

    /// Returns the same, to be changed by what changes no row.
    pub(crate) fn chunk_mut(&mut self, number: u64) -> Option<&mut Chunk> {
        self.chunks.get_mut(number)
    }

    /// Returns the chunks from this number on.
    pub(crate) fn chunks(
        &self,
        numbers: RangeFrom<u64>,
    ) -> impl DoubleEndedIterator<Item = (u64, &Chunk)> {
        self.chunks.range(numbers)
    }

    /// Stores a row at a place where none is; its columns have the order of `cells`. A column that
    /// stands twice has its last value.
    pub(crate) fn insert<'a>(
        &mut self,
        place: Place,
        cells: impl Iterator<Item = NewCell<'a>>,
        end: Option<u64>,
    ) {
        let (chunk_bytes, offset) = (&mut self.chunk_bytes, place.offset());
        let chunk = self.chunks.get_or_insert(place.chunk(), || {
            let chunk = Chunk::new();
            *chunk_bytes += chunk.bytes();
            chunk
        });
        let before = chunk.bytes();
        chunk.add(offset);
        self.scratch.clear();
        for cell in cells {
            chunk.set(offset, cell.column, cell.kind, cell.value, cell.odd_text);
            if !self.scratch.contains(&cell.column) {
                self.scratch.push(cell.column);
            }
        }
        chunk.set_order(offset, self.orders.code(&self.scratch));
        if end.is_some() {
            chunk.set_end(offset, end);
            self.ending += 1;
        }
        self.chunk_bytes = self.chunk_bytes + chunk.bytes() - before;
        self.count += 1;
    }

    /// Gives a row another value of a column; one that it did not have stands last from now on.
    pub(crate) fn set(&mut self, place: Place, cell: &NewCell<'_>) {
        let Some(chunk) = self.chunks.get_mut(place.chunk()) else {
            return;
        };
        let (offset, before) = (place.offset(), chunk.bytes());
        let was_there = chunk
            .column(cell.column)
            .is_some_and(|column| bits::has(column.valid(), offset));
        chunk.set(offset, cell.column, cell.kind, cell.value, cell.odd_text);
        if !was_there && chunk.order(offset) != AS_DECLARED {
            self.scratch.clear();
            if let Some(order) = self.orders.at(chunk.order(offset)) {
                let others = order.iter().filter(|&&column| column != cell.column);
                self.scratch.extend(others);
            }
            self.scratch.push(cell.column);
            chunk.set_order(offset, self.orders.code(&self.scratch));
        }
        self.chunk_bytes = self.chunk_bytes + chunk.bytes() - before;
    }

    /// Takes the value of a column from a row.
    pub(crate) fn unset(&mut self, place: Place, column: ColumnId) {
        if let Some(chunk) = self.chunks.get_mut(place.chunk()) {
            let before = chunk.bytes();
            chunk.clear(place.offset(), column);
            self.chunk_bytes = self.chunk_bytes + chunk.bytes() - before;
        }
    }

    /// Sets when a row ends.
    pub(crate) fn set_end(&mut self, place: Place, end: Option<u64>) {
        if let Some(chunk) = self.chunks.get_mut(place.chunk()) {
            let (bytes, ending) = (chunk.bytes(), chunk.ending());
            chunk.set_end(place.offset(), end);
            self.chunk_bytes = self.chunk_bytes + chunk.bytes() - bytes;
            self.ending = self.ending + u64_from(chunk.ending()) - u64_from(ending);
        }
    }

    /// Removes the row at a place; the chunk too if it was the last one.
    pub(crate) fn remove(&mut self, place: Place) {
        let number = place.chunk();
        let Some(chunk) = self.chunks.get_mut(number) else {
            return;
        };
        let (bytes, ending) = (chunk.bytes(), chunk.ending());
        chunk.remove(place.offset());
        self.count -= 1;
        self.ending -= u64_from(ending - chunk.ending());
        self.chunk_bytes = self.chunk_bytes + chunk.bytes() - bytes;
        if chunk.count() == 0 {
            self.chunk_bytes -= chunk.bytes();
            self.chunks.remove(number);
        }
    }

    /// Removes a chunk with all its rows; returns whether there was one.
    pub(crate) fn free_chunk(&mut self) -> bool {
        let Some(chunk) = self.chunks.pop() else {
            return false;
        };
        self.count -= u64_from(chunk.count());
        self.ending -= u64_from(chunk.ending());
        self.chunk_bytes -= chunk.bytes();
        true
    }

    /// Takes a column out of a chunk, to be freed; its rows do not have it any more.
    pub(crate) fn take_column(&mut self, number: u64, id: ColumnId) -> Option<Box<column::Column>> {
        let chunk = self.chunks.get_mut(number)?;
        let before = chunk.bytes();
        let column = chunk.take_column(id);
        self.chunk_bytes = self.chunk_bytes + chunk.bytes() - before;
        column
    }

    /// Returns what the rows have allocated.
    pub(crate) fn bytes(&self) -> usize {
        self.chunk_bytes + self.chunks.bytes() + self.orders.bytes()
    }

    /// Counts that again from the parts.
    #[cfg(test)]
    pub(crate) fn recount(&self) -> usize {
        let chunks: usize = self
            .chunks
            .range(0..)
            .map(|(_, chunk)| chunk.recount())
            .sum();
        chunks + self.chunks.bytes() + self.orders.bytes()
    }
}
