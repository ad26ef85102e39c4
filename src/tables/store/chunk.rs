//! Up to 1024 rows with neighbouring places.

use super::bits::{self, Bits};
use super::column::Column;
use super::orders::OrderCode;
use crate::datum::ColumnType;
use crate::scalar::Value;
use crate::schema::ColumnId;

/// Places of a chunk that has just begun.
const ROWS_MIN: usize = 8;

/// No row of the chunk ends.
const NEVER: u64 = u64::MAX;

/// The rows.
#[derive(Debug)]
pub(crate) struct Chunk {
    capacity: usize,
    live: Bits,
    count: usize,
    orders: Vec<OrderCode>,
    /// By number of the column; columns without any value are not there.
    columns: Vec<Option<Box<Column>>>,
    /// When rows end, in milliseconds; 0: never. Empty while none does.
    ends: Vec<u64>,
    ending: usize,
    /// No row of the chunk ends before this.
    first_end: u64,
    bytes: usize,
}

impl Chunk {
    pub(super) fn new() -> Self {
        let mut chunk = Self {
            capacity: 0,
            live: [0; bits::WORDS],
            count: 0,
            orders: Vec::new(),
            columns: Vec::new(),
            ends: Vec::new(),
            ending: 0,
            first_end: NEVER,
            bytes: 0,
        };
        chunk.bytes = chunk.recount();
        chunk
    }

    /// Returns which rows there are, dead ones included.
    pub(crate) fn live(&self) -> &Bits {
        &self.live
    }

    /// Returns how many rows there are, dead ones included.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Returns how many rows carry an end.
    pub(crate) fn ending(&self) -> usize {
        self.ending
    }

    /// Returns which rows are there at this time.
    pub(crate) fn visible(&self, now_ms: u64) -> Bits {
        let mut visible = self.live;
        if self.first_end <= now_ms {
            for offset in bits::offsets(&self.live) {
                if self.is_dead(offset, now_ms) {
                    bits::clear(&mut visible, offset);
                }
            }
        }
        visible
    }

    /// Returns the rows whose time is over, and remembers when the next one's is.
    pub(crate) fn dead(&mut self, now_ms: u64) -> Bits {
        let mut dead = [0; bits::WORDS];
        if self.first_end > now_ms {
            return dead;
        }
        self.first_end = NEVER;
        for offset in bits::offsets(&self.live) {
            match self.end(offset) {
                None => {}
                Some(end) => {
                    if end <= now_ms {
                        bits::set(&mut dead, offset);
                    }
                    // Those that are dead now stay in the figure until they are removed.
                    self.first_end = self.first_end.min(end);
                }
            }
        }
        dead
    }

    /// Returns whether the row's time is over.
    #[inline]
    pub(crate) fn is_dead(&self, offset: usize, now_ms: u64) -> bool {
        self.end(offset).is_some_and(|end| end <= now_ms)
    }

    /// Returns when the row ends.
    #[inline]
    pub(crate) fn end(&self, offset: usize) -> Option<u64> {
        self.ends.get(offset).copied().filter(|&end| end != 0)
    }

    /// Returns the column, if any row has a value of it.
    #[inline]
    pub(crate) fn column(&self, id: ColumnId) -> Option<&Column> {
        self.columns.get(usize::from(id.0))?.as_deref()
    }

    /// Returns the code of the order of a row's columns.
    #[inline]
    pub(crate) fn order(&self, offset: usize) -> OrderCode {
        self.orders[offset]
    }

    pub(super) fn set_order(&mut self, offset: usize, order: OrderCode) {
        self.orders[offset] = order;
    }

    /// Makes room for the offset and marks it as a row.
    pub(super) fn add(&mut self, offset: usize) {
        if offset >= self.capacity {
            self.grow((offset + 1).next_power_of_two().max(ROWS_MIN));
        }
        debug_assert!(!bits::has(&self.live, offset), "a row stands there");
        bits::set(&mut self.live, offset);
        self.count += 1;
    }

    fn grow(&mut self, capacity: usize) {
        self.orders.reserve_exact(capacity - self.orders.len());
        self.orders.resize(capacity, 0);
        if !self.ends.is_empty() {
            self.ends.reserve_exact(capacity - self.ends.len());
            self.ends.resize(capacity, 0);
        }
        for column in self.columns.iter_mut().flatten() {
            column.grow(capacity);
        }
        self.capacity = capacity;
        self.bytes = self.recount();
    }

    /// Gives a row a value.
    pub(super) fn set(
        &mut self,
        offset: usize,
        id: ColumnId,
        kind: ColumnType,
        value: Value<'_>,
        odd_text: Option<&[u8]>,
    ) {
        let at = usize::from(id.0);
        if at >= self.columns.len() {
            let before = self.columns.capacity();
            self.columns.resize_with(at + 1, || None);
            self.bytes += (self.columns.capacity() - before) * size_of::<Option<Box<Column>>>();
        }
        let capacity = self.capacity;
        let slot = &mut self.columns[at];
        if slot.is_none() {
            let column = Box::new(Column::new(kind, capacity));
            self.bytes += column.bytes();
            *slot = Some(column);
        }
        if let Some(column) = slot {
            if column.is_plain(odd_text) {
                column.set(offset, value, odd_text);
                return;
            }
            let before = column.bytes();
            column.set(offset, value, odd_text);
            self.bytes = self.bytes + column.bytes() - before;
        }
    }

    /// Takes a value from a row.
    pub(super) fn clear(&mut self, offset: usize, id: ColumnId) {
        if let Some(Some(column)) = self.columns.get_mut(usize::from(id.0)) {
            let before = column.bytes();
            column.clear(offset);
            self.bytes = self.bytes + column.bytes() - before;
        }
    }

    /// Sets when a row ends.
    pub(super) fn set_end(&mut self, offset: usize, end: Option<u64>) {
        if self.ends.is_empty() {
            if end.is_none() {
                return;
            }
            self.ends.reserve_exact(self.capacity);
            self.ends.resize(self.capacity, 0);
            self.bytes += self.ends.capacity() * size_of::<u64>();
        }
        let old = std::mem::replace(&mut self.ends[offset], end.unwrap_or(0));
        self.ending -= usize::from(old != 0);
        if let Some(end) = end {
            self.ending += 1;
            self.first_end = self.first_end.min(end);
        }
        if self.ending == 0 {
            self.bytes -= self.ends.capacity() * size_of::<u64>();
            self.ends = Vec::new();
            self.first_end = NEVER;
        }
    }

    /// Removes a row.
    pub(super) fn remove(&mut self, offset: usize) {
        for at in 0..self.columns.len() {
            self.clear(offset, ColumnId(u16::try_from(at).unwrap_or(u16::MAX)));
        }
        self.set_end(offset, None);
        bits::clear(&mut self.live, offset);
        self.count -= 1;
    }

    /// Takes a whole column out.
    pub(super) fn take_column(&mut self, id: ColumnId) -> Option<Box<Column>> {
        let column = self.columns.get_mut(usize::from(id.0))?.take()?;
        self.bytes -= column.bytes();
        Some(column)
    }

    /// Returns what it has allocated, itself included.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Counts that again from the parts.
    pub(super) fn recount(&self) -> usize {
        let columns: usize = self
            .columns
            .iter()
            .flatten()
            .map(|column| column.bytes())
            .sum();
        size_of::<Self>()
            + self.orders.capacity() * size_of::<OrderCode>()
            + self.ends.capacity() * size_of::<u64>()
            + self.columns.capacity() * size_of::<Option<Box<Column>>>()
            + columns
    }
}
