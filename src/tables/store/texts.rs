//! Strings of one column of a chunk: up to 15 bytes inside, longer ones in memory of their own.
//!
//! ```text
//! short   bytes, filled up with zeros   length
//! long    slot in `long` (4) zeros      FF
//! ```

use base::cast::{u32_from, usize_from_u32};

/// What a short string takes, its length included.
pub(super) const CELL_BYTES: usize = 16;
const SHORT_MAX: usize = CELL_BYTES - 1;
const LONG: u8 = 0xFF;
const EMPTY: [u8; CELL_BYTES] = [0; CELL_BYTES];

/// The strings, by offset in the chunk. A place without a value holds the empty string.
#[derive(Debug, Default)]
pub(super) struct Texts {
    cells: Vec<[u8; CELL_BYTES]>,
    long: Vec<Box<[u8]>>,
    free: Vec<u32>,
    long_bytes: usize,
}

impl Texts {
    /// Makes room for `rows` places.
    pub(super) fn grow(&mut self, rows: usize) {
        self.cells.reserve_exact(rows - self.cells.len());
        self.cells.resize(rows, EMPTY);
    }

    pub(super) fn at(&self, offset: usize) -> &[u8] {
        let cell = &self.cells[offset];
        match cell[SHORT_MAX] {
            LONG => &self.long[slot_of(cell)],
            len => &cell[..usize::from(len)],
        }
    }

    /// Returns the string if it stands inside: the first so many bytes, at most 15.
    #[inline]
    pub(super) fn short(&self, offset: usize) -> Option<(&[u8; CELL_BYTES], usize)> {
        let cell = &self.cells[offset];
        let len = cell[SHORT_MAX];
        (len != LONG).then(|| (cell, usize::from(len)))
    }

    pub(super) fn set(&mut self, offset: usize, text: &[u8]) {
        self.clear(offset);
        let cell = &mut self.cells[offset];
        if let Some(inside) = cell.get_mut(..text.len())
            && text.len() <= SHORT_MAX
        {
            inside.copy_from_slice(text);
            cell[SHORT_MAX] = u8::try_from(text.len()).unwrap_or(0);
            return;
        }
        self.long_bytes += text.len();
        let slot = if let Some(slot) = self.free.pop() {
            self.long[usize_from_u32(slot)] = text.into();
            slot
        } else {
            self.long.push(text.into());
            u32_from(self.long.len() - 1)
        };
        cell[..4].copy_from_slice(&slot.to_le_bytes());
        cell[SHORT_MAX] = LONG;
    }

    pub(super) fn clear(&mut self, offset: usize) {
        let cell = self.cells[offset];
        if cell[SHORT_MAX] == LONG {
            let slot = slot_of(&cell);
            let text = std::mem::take(&mut self.long[slot]);
            self.long_bytes -= text.len();
            self.free.push(u32_from(slot));
        }
        self.cells[offset] = EMPTY;
    }

    /// Returns what it has allocated.
    pub(super) fn heap_bytes(&self) -> usize {
        self.cells.capacity() * CELL_BYTES
            + self.long.capacity() * size_of::<Box<[u8]>>()
            + self.free.capacity() * size_of::<u32>()
            + self.long_bytes
    }
}

fn slot_of(cell: &[u8; CELL_BYTES]) -> usize {
    let [first, second, third, fourth, ..] = *cell;
    usize_from_u32(u32::from_le_bytes([first, second, third, fourth]))
}
