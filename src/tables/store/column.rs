//! One column of a chunk: a typed vector, which of its places have a value, and the texts that differ
//! from the canonical ones.

use std::collections::BTreeMap;

use super::bits::{self, Bits};
use super::texts::{CELL_BYTES, Texts};
use crate::datum::ColumnType;
use crate::scalar::{self, Value};

/// What a text of its own costs beside its bytes: its node in the map, about.
const ODD_TEXT_BYTES: usize = 32;

/// The values.
#[derive(Debug)]
pub(crate) struct Column {
    valid: Bits,
    cells: Cells,
    odd_texts: BTreeMap<u16, Box<[u8]>>,
    odd_bytes: usize,
}

/// The vector. All of them are as long as the chunk has room for.
#[derive(Debug)]
enum Cells {
    Wide(Vec<i64>),
    Days(Vec<i32>),
    Flags(Bits),
    Texts(Texts),
}

/// The vector of a column, for scans.
pub(crate) enum Vector<'a> {
    /// Scalars.
    Wide(&'a [i64]),
    /// Days.
    Days(&'a [i32]),
    /// Bits.
    Flags(&'a Bits),
    /// Strings: ask for each.
    Texts,
}

impl Column {
    pub(super) fn new(kind: ColumnType, rows: usize) -> Self {
        let cells = match kind {
            ColumnType::Integer | ColumnType::Float | ColumnType::Timestamp => {
                Cells::Wide(Vec::new())
            }
            ColumnType::Date => Cells::Days(Vec::new()),
            ColumnType::Bool => Cells::Flags([0; bits::WORDS]),
            ColumnType::String => Cells::Texts(Texts::default()),
        };
        let mut column = Self {
            valid: [0; bits::WORDS],
            cells,
            odd_texts: BTreeMap::new(),
            odd_bytes: 0,
        };
        column.grow(rows);
        column
    }

    pub(super) fn grow(&mut self, rows: usize) {
        match &mut self.cells {
            Cells::Wide(cells) => {
                cells.reserve_exact(rows - cells.len());
                cells.resize(rows, 0);
            }
            Cells::Days(cells) => {
                cells.reserve_exact(rows - cells.len());
                cells.resize(rows, 0);
            }
            Cells::Flags(_) => {}
            Cells::Texts(texts) => texts.grow(rows),
        }
    }

    /// Returns which places have a value.
    pub(crate) fn valid(&self) -> &Bits {
        &self.valid
    }

    /// Returns the vector.
    pub(crate) fn vector(&self) -> Vector<'_> {
        match &self.cells {
            Cells::Wide(cells) => Vector::Wide(cells),
            Cells::Days(cells) => Vector::Days(cells),
            Cells::Flags(flags) => Vector::Flags(flags),
            Cells::Texts(_) => Vector::Texts,
        }
    }

    /// Returns the value at a place that has one.
    #[inline]
    pub(crate) fn value(&self, offset: usize) -> Option<Value<'_>> {
        if !bits::has(&self.valid, offset) {
            return None;
        }
        Some(match &self.cells {
            Cells::Wide(cells) => Value::Scalar(cells[offset]),
            Cells::Days(cells) => Value::Scalar(i64::from(cells[offset])),
            Cells::Flags(flags) => Value::Scalar(i64::from(bits::has(flags, offset))),
            Cells::Texts(texts) => Value::Text(texts.at(offset)),
        })
    }

    /// Returns the string at a place that has one, if it is short: the first so many bytes.
    #[inline]
    pub(crate) fn short_text(&self, offset: usize) -> Option<(&[u8; CELL_BYTES], usize)> {
        match &self.cells {
            Cells::Texts(texts) if bits::has(&self.valid, offset) => texts.short(offset),
            Cells::Texts(_) | Cells::Wide(_) | Cells::Days(_) | Cells::Flags(_) => None,
        }
    }

    /// Returns the string at a place of a column of strings; empty where there is none.
    #[inline]
    pub(crate) fn text(&self, offset: usize) -> &[u8] {
        match &self.cells {
            Cells::Texts(texts) => texts.at(offset),
            Cells::Wide(_) | Cells::Days(_) | Cells::Flags(_) => &[],
        }
    }

    /// Returns the text that a value came with, if it is not the canonical one.
    #[inline]
    pub(crate) fn odd_text(&self, offset: usize) -> Option<&[u8]> {
        if self.odd_texts.is_empty() {
            return None;
        }
        self.odd_texts.get(&narrow(offset)).map(AsRef::as_ref)
    }

    pub(super) fn set(&mut self, offset: usize, value: Value<'_>, odd_text: Option<&[u8]>) {
        self.clear_odd(offset);
        match (&mut self.cells, value) {
            (Cells::Wide(cells), Value::Scalar(number)) => cells[offset] = number,
            (Cells::Days(cells), Value::Scalar(number)) => {
                cells[offset] = scalar::clamp_days(number);
            }
            (Cells::Flags(flags), Value::Scalar(number)) => {
                if number == 0 {
                    bits::clear(flags, offset);
                } else {
                    bits::set(flags, offset);
                }
            }
            (Cells::Texts(texts), Value::Text(text)) => texts.set(offset, text),
            // A plan gives each column values of its type only.
            (Cells::Texts(_), Value::Scalar(_)) | (_, Value::Text(_)) => {
                debug_assert!(false, "a value of another type than its column");
                return;
            }
        }
        bits::set(&mut self.valid, offset);
        if let Some(text) = odd_text {
            self.odd_bytes += text.len() + ODD_TEXT_BYTES;
            self.odd_texts.insert(narrow(offset), text.into());
        }
    }

    /// Returns whether setting a value changes no memory: all values are of fixed size, with no texts of
    /// their own.
    pub(super) fn is_plain(&self, odd_text: Option<&[u8]>) -> bool {
        let is_text = matches!(self.cells, Cells::Texts(_));
        !is_text && odd_text.is_none() && self.odd_texts.is_empty()
    }

    pub(super) fn clear(&mut self, offset: usize) {
        self.clear_odd(offset);
        bits::clear(&mut self.valid, offset);
        if let Cells::Texts(texts) = &mut self.cells {
            texts.clear(offset);
        }
    }

    fn clear_odd(&mut self, offset: usize) {
        if !self.odd_texts.is_empty()
            && let Some(text) = self.odd_texts.remove(&narrow(offset))
        {
            self.odd_bytes -= text.len() + ODD_TEXT_BYTES;
        }
    }

    /// Returns what it has allocated, itself included.
    pub(super) fn bytes(&self) -> usize {
        let cells = match &self.cells {
            Cells::Wide(cells) => cells.capacity() * size_of::<i64>(),
            Cells::Days(cells) => cells.capacity() * size_of::<i32>(),
            Cells::Flags(_) => 0,
            Cells::Texts(texts) => texts.heap_bytes(),
        };
        size_of::<Self>() + cells + self.odd_bytes
    }
}

fn narrow(offset: usize) -> u16 {
    u16::try_from(offset).unwrap_or(u16::MAX)
}
