//! Groups of rows and their aggregates: made of rows on each shard, joined, and turned into values.

use std::cmp::Ordering;

use base::hash::Map;

use crate::datum::{ColumnType, Datum};
use crate::error::TableError;
use crate::key;
use crate::scalar::{self, Value};
use crate::statement::Aggregate;

/// Most groups of one statement: each costs memory until the answer is written.
pub(crate) const GROUPS_MAX: usize = 1_000_000;

/// Groups, found by what their rows have in common.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    numbers: Map<Box<[u8]>, usize>,
    pub(crate) list: Vec<Group>,
}

/// Rows that have something in common.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// What they have in common, encoded.
    pub(crate) key: Box<[u8]>,
    /// The same, as values.
    pub(crate) by: Vec<Datum>,
    pub(crate) sums: Vec<Sum>,
}

/// What an aggregate knows so far.
#[derive(Clone, Debug)]
pub(crate) struct Sum {
    aggregate: Aggregate,
    kind: ColumnType,
    count: u64,
    integers: i128,
    floats: f64,
    extreme: Option<Datum>,
}

impl Groups {
    /// Returns the group of this key, a new one if need be.
    pub(crate) fn group(&mut self, key: &[u8], new: impl FnOnce() -> Group) -> &mut Group {
        let number = match self.numbers.get(key) {
            Some(&number) => number,
            None => {
                self.list.push(new());
                self.numbers.insert(key.into(), self.list.len() - 1);
                self.list.len() - 1
            }
        };
        &mut self.list[number]
    }

    /// Joins the groups of another shard.
    pub(crate) fn join(&mut self, others: Vec<Group>) {
        for other in others {
            match self.numbers.get(&other.key) {
                Some(&number) => {
                    for (sum, more) in self.list[number].sums.iter_mut().zip(&other.sums) {
                        sum.join(more);
                    }
                }
                None => {
                    self.numbers.insert(other.key.clone(), self.list.len());
                    self.list.push(other);
                }
            }
        }
    }
}

impl Sum {
    pub(crate) fn new(aggregate: Aggregate, kind: ColumnType) -> Self {
        Self {
            aggregate,
            kind,
            count: 0,
            integers: 0,
            floats: 0.0,
            extreme: None,
        }
    }

    /// Counts rows whatever they have.
    pub(crate) fn add_rows(&mut self, rows: u64) {
        self.count += rows;
    }

    /// Adds a value; missing ones count nowhere.
    #[inline]
    pub(crate) fn add(&mut self, value: Option<Value<'_>>) {
        let Some(value) = value else {
            return;
        };
        self.count += 1;
        match self.aggregate {
            Aggregate::Count => {}
            Aggregate::Sum | Aggregate::Average => match (value, self.kind) {
                (Value::Scalar(number), ColumnType::Float) => {
                    self.floats += scalar::to_float(number);
                }
                (Value::Scalar(number), _) => self.integers += i128::from(number),
                (Value::Text(_), _) => {}
            },
            Aggregate::Minimum => self.keep(value, Ordering::Less),
            Aggregate::Maximum => self.keep(value, Ordering::Greater),
        }
    }

    fn keep(&mut self, value: Value<'_>, wanted: Ordering) {
        let known = self.extreme.as_ref().and_then(scalar::value_of);
        let is_better = match (known, value) {
            (Some(Value::Scalar(old)), Value::Scalar(new)) => new.cmp(&old) == wanted,
            (Some(Value::Text(old)), Value::Text(new)) => new.cmp(old) == wanted,
            (None | Some(_), _) => true,
        };
        if is_better {
            self.extreme = Some(scalar::datum_of(self.kind, value));
        }
    }

    fn join(&mut self, other: &Self) {
        self.integers += other.integers;
        self.floats += other.floats;
        match (self.aggregate, &other.extreme) {
            (Aggregate::Minimum, Some(datum)) => {
                if let Some(value) = scalar::value_of(datum) {
                    self.keep(value, Ordering::Less);
                }
            }
            (Aggregate::Maximum, Some(datum)) => {
                if let Some(value) = scalar::value_of(datum) {
                    self.keep(value, Ordering::Greater);
                }
            }
            (_, None) | (Aggregate::Count | Aggregate::Sum | Aggregate::Average, _) => {}
        }
        self.count += other.count;
    }

    /// Returns the value: of no rows 0 for COUNT and nothing for the others.
    ///
    /// # Errors
    ///
    /// [`TableError::OutOfRange`] for a sum that leaves 64 bits, or that is infinite.
    pub(crate) fn value(&self) -> Result<Datum, TableError> {
        if self.aggregate == Aggregate::Count {
            let count = i64::try_from(self.count);
            return Ok(Datum::Integer(count.unwrap_or(i64::MAX)));
        }
        if self.count == 0 {
            return Ok(Datum::Null);
        }
        let is_float = self.kind == ColumnType::Float;
        let datum = match self.aggregate {
            Aggregate::Sum if is_float => float(self.floats)?,
            Aggregate::Sum => {
                let sum = i64::try_from(self.integers);
                Datum::Integer(sum.ok().ok_or(TableError::OutOfRange)?)
            }
            Aggregate::Average if is_float => float(self.floats / wide(i128::from(self.count)))?,
            Aggregate::Average => float(wide(self.integers) / wide(i128::from(self.count)))?,
            Aggregate::Minimum | Aggregate::Maximum => self.extreme.clone().unwrap_or(Datum::Null),
            Aggregate::Count => Datum::Null,
        };
        Ok(datum)
    }
}

fn float(value: f64) -> Result<Datum, TableError> {
    if value.is_finite() {
        Ok(Datum::float(value))
    } else {
        Err(TableError::OutOfRange)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a mean is a double, the nearest one is wanted"
)]
fn wide(integer: i128) -> f64 {
    integer as f64
}

/// Returns the key of values that rows have in common.
pub(crate) fn push_group_key<'a>(
    out: &mut Vec<u8>,
    values: impl Iterator<Item = Option<Value<'a>>>,
) {
    for value in values {
        key::push(out, value);
    }
}
