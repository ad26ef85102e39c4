//! Conditions over the rows of a chunk, all at once: a column after the other, 64 rows at a time.

use std::ops::Bound;

use crate::datum::ColumnType;
use crate::plan::filter::{Filter, Operand, Test};
use crate::scalar::{self, Value};
use crate::store::Place;
use crate::store::bits::{self, Bits};
use crate::store::chunk::Chunk;
use crate::store::column::{Column, Vector};
use crate::table::Table;

/// Leaves those rows of `mask` in it for which the condition is true.
pub(super) fn narrow(table: &Table, number: u64, chunk: &Chunk, filter: &Filter, mask: &mut Bits) {
    match filter {
        Filter::True => {}
        Filter::False => *mask = [0; bits::WORDS],
        Filter::Test(Operand::Id, test) => {
            keep(mask, |offset| {
                let id = table.id(Place::at(number, offset)).0;
                is_scalar(test, i64::try_from(id).unwrap_or(i64::MAX))
            });
        }
        Filter::Test(Operand::Column(id, kind), test) => match chunk.column(*id) {
            Some(column) => narrow_column(column, *kind, test, mask),
            None if matches!(test, Test::Null { negated: false }) => {}
            None => *mask = [0; bits::WORDS],
        },
        Filter::And(parts) => {
            for part in parts {
                if bits::is_empty(mask) {
                    return;
                }
                narrow(table, number, chunk, part, mask);
            }
        }
        Filter::Or(parts) => {
            let mut taken = [0; bits::WORDS];
            for part in parts {
                let mut rest = *mask;
                for (word, done) in rest.iter_mut().zip(taken) {
                    *word &= !done;
                }
                narrow(table, number, chunk, part, &mut rest);
                for (word, more) in taken.iter_mut().zip(rest) {
                    *word |= more;
                }
            }
            *mask = taken;
        }
    }
}

fn narrow_column(column: &Column, kind: ColumnType, test: &Test, mask: &mut Bits) {
    let is_missing_wanted = matches!(test, Test::Null { negated: false });
    for (word, valid) in mask.iter_mut().zip(column.valid()) {
        *word &= if is_missing_wanted { !valid } else { *valid };
    }
    match (test, column.vector()) {
        (Test::Null { .. }, _) => {}
        (Test::Scalar { low, high, negated }, Vector::Wide(cells)) => {
            range(mask, cells, *low, *high, *negated);
        }
        (Test::Scalar { low, high, negated }, Vector::Days(cells)) => {
            range(mask, cells, *low, *high, *negated);
        }
        (_, Vector::Flags(flags)) if !matches!(test, Test::Like { .. }) => {
            let (on, off) = (is_scalar(test, 1), is_scalar(test, 0));
            for (word, flag) in mask.iter_mut().zip(flags) {
                *word &= (if on { *flag } else { 0 }) | (if off { !flag } else { 0 });
            }
        }
        (Test::Scalars { .. } | Test::Scalar { .. }, _) => {
            keep(mask, |offset| match column.value(offset) {
                Some(Value::Scalar(number)) => is_scalar(test, number),
                Some(Value::Text(_)) | None => false,
            });
        }
        (Test::Text { low, high, negated }, _) => keep(mask, |offset| {
            is_between(column.text(offset), low, high) != *negated
        }),
        (Test::Texts { values, negated }, _) => match &values[..] {
            [value] => keep(mask, |offset| (*column.text(offset) == **value) != *negated),
            _ => keep(mask, |offset| {
                let text = column.text(offset);
                let found = values.binary_search_by(|value| (**value).cmp(text));
                found.is_ok() != *negated
            }),
        },
        (Test::Like { pattern, negated }, _) => {
            let mut scratch = Vec::new();
            keep(mask, |offset| {
                let text = match (column.odd_text(offset), column.value(offset)) {
                    (Some(text), _) | (None, Some(Value::Text(text))) => text,
                    (None, None) => return false,
                    (None, Some(value)) => {
                        scratch.clear();
                        scalar::datum_of(kind, value).write_text(&mut scratch);
                        &scratch
                    }
                };
                pattern.matches(text) != *negated
            });
        }
    }
}

/// Leaves those rows in it for which `is_wanted`.
fn keep(mask: &mut Bits, mut is_wanted: impl FnMut(usize) -> bool) {
    let asked = *mask;
    for offset in bits::offsets(&asked) {
        if !is_wanted(offset) {
            bits::clear(mask, offset);
        }
    }
}

/// The same for a range over a vector, without branches.
fn range<T: Copy + Into<i64>>(mask: &mut Bits, cells: &[T], low: i64, high: i64, negated: bool) {
    for (word, cells) in mask.iter_mut().zip(cells.chunks(64)) {
        if *word == 0 {
            continue;
        }
        let mut inside = 0_u64;
        for (bit, &cell) in cells.iter().enumerate() {
            let cell: i64 = cell.into();
            inside |= u64::from((cell >= low) & (cell <= high)) << bit;
        }
        *word &= if negated { !inside } else { inside };
    }
}

fn is_scalar(test: &Test, number: i64) -> bool {
    match test {
        Test::Scalar { low, high, negated } => (*low <= number && number <= *high) != *negated,
        Test::Scalars { values, negated } => values.binary_search(&number).is_ok() != *negated,
        Test::Null { negated } => *negated,
        Test::Like { pattern, negated } => {
            let mut text = Vec::new();
            base::number::write_i64(&mut text, number);
            pattern.matches(&text) != *negated
        }
        Test::Text { .. } | Test::Texts { .. } => false,
    }
}

fn is_between(text: &[u8], low: &Bound<Box<[u8]>>, high: &Bound<Box<[u8]>>) -> bool {
    let is_after = match low {
        Bound::Unbounded => true,
        Bound::Included(low) => text >= &**low,
        Bound::Excluded(low) => text > &**low,
    };
    is_after
        && match high {
            Bound::Unbounded => true,
            Bound::Included(high) => text <= &**high,
            Bound::Excluded(high) => text < &**high,
        }
}
