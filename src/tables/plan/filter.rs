//! Conditions with their columns found and their values converted.
//!
//! NOT is carried down to the comparisons (De Morgan's laws hold for SQL's three values too), and a row
//! is taken only if the whole is true. What is left needs no third value: each comparison says whether it
//! is *true*, and AND and OR of that give whether the whole is.
//!
//! Invariant: no AND stands in an AND, no OR in an OR, none has fewer than two parts, constants stand only
//! at the top, and an AND has at most one range per column.

use std::ops::Bound;

use super::ID_NAME;
use super::like::{Meaning, Pattern};
use crate::datum::{ColumnType, Datum};
use crate::error::TableError;
use crate::key;
use crate::scalar::{self, Value};
use crate::schema::{ColumnId, Schema};
use crate::statement::{Comparison, Condition};

/// What a comparison looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operand {
    /// The row's id.
    Id,
    /// A column.
    Column(ColumnId, ColumnType),
}

/// A condition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Filter {
    /// All rows.
    True,
    /// No row.
    False,
    /// A comparison.
    Test(Operand, Test),
    /// All of them.
    And(Vec<Self>),
    /// One of them.
    Or(Vec<Self>),
}

/// What is asked of a value. Missing values pass `Null` only.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Test {
    /// Between both, which belong to it; or not.
    Scalar { low: i64, high: i64, negated: bool },
    /// One of these, which are sorted; or not.
    Scalars { values: Vec<i64>, negated: bool },
    /// Between both; or not.
    Text {
        low: Bound<Box<[u8]>>,
        high: Bound<Box<[u8]>>,
        negated: bool,
    },
    /// One of these, which are sorted; or not.
    Texts {
        values: Vec<Box<[u8]>>,
        negated: bool,
    },
    /// Like this; or not.
    Like { pattern: Pattern, negated: bool },
    /// Missing; or not.
    Null { negated: bool },
}

impl Operand {
    /// Finds a column by name.
    pub(crate) fn find(schema: &Schema, name: &[u8]) -> Result<Self, TableError> {
        match schema.column(name) {
            Some(column) => Ok(Self::Column(column.id, column.kind)),
            None if name == ID_NAME => Ok(Self::Id),
            None => Err(TableError::ColumnOrType),
        }
    }

    /// Returns the type of its values.
    pub(crate) fn kind(self) -> ColumnType {
        match self {
            Self::Id => ColumnType::Integer,
            Self::Column(_, kind) => kind,
        }
    }

    fn datum(self, text: &[u8]) -> Result<Datum, TableError> {
        Datum::operand(self.kind(), text).ok_or(TableError::ColumnOrType)
    }
}

impl Filter {
    /// Binds a condition.
    ///
    /// # Errors
    ///
    /// [`TableError::ColumnOrType`] for a column that is not there and a value that is none of its type.
    pub(crate) fn bind(schema: &Schema, condition: &Condition<'_>) -> Result<Self, TableError> {
        bind(schema, condition, false)
    }

    /// Returns the parts of which all must hold.
    pub(crate) fn parts(&self) -> &[Self] {
        match self {
            Self::True => &[],
            Self::And(parts) => parts,
            Self::False | Self::Test(..) | Self::Or(_) => std::slice::from_ref(self),
        }
    }

    /// Joins parts of which all must hold.
    pub(crate) fn and(parts: Vec<Self>) -> Self {
        let mut flat: Vec<Self> = Vec::with_capacity(parts.len());
        for part in parts {
            match part {
                Self::True => {}
                Self::False => return Self::False,
                Self::And(inner) => flat.extend(inner),
                Self::Test(..) | Self::Or(_) => flat.push(part),
            }
        }
        let mut joined: Vec<Self> = Vec::with_capacity(flat.len());
        for part in flat {
            if !join_range(&mut joined, &part) {
                joined.push(part);
            }
        }
        if joined.iter().any(is_empty_range) {
            return Self::False;
        }
        match joined.len() {
            0 => Self::True,
            1 => joined.swap_remove(0),
            _ => Self::And(joined),
        }
    }

    /// Joins parts of which one must hold.
    fn or(parts: Vec<Self>) -> Self {
        let mut flat: Vec<Self> = Vec::with_capacity(parts.len());
        for part in parts {
            match part {
                Self::True => return Self::True,
                Self::False => {}
                Self::Or(inner) => flat.extend(inner),
                Self::Test(..) | Self::And(_) => flat.push(part),
            }
        }
        match flat.len() {
            0 => Self::False,
            1 => flat.swap_remove(0),
            _ => Self::Or(flat),
        }
    }
}

fn bind(schema: &Schema, condition: &Condition<'_>, not: bool) -> Result<Filter, TableError> {
    Ok(match condition {
        Condition::Compare {
            column,
            comparison,
            value,
        } => {
            let operand = Operand::find(schema, column)?;
            compare(operand, *comparison, operand.datum(value)?, not)
        }
        Condition::Between {
            column,
            low,
            high,
            negated,
        } => {
            let operand = Operand::find(schema, column)?;
            let (low, high) = (operand.datum(low)?, operand.datum(high)?);
            between(operand, &low, &high, *negated != not)
        }
        Condition::In {
            column,
            values,
            negated,
        } => {
            let operand = Operand::find(schema, column)?;
            let data: Result<Vec<_>, _> = values.iter().map(|value| operand.datum(value)).collect();
            one_of(operand, &data?, *negated != not)
        }
        Condition::Like {
            column,
            pattern,
            negated,
        } => like(Operand::find(schema, column)?, pattern, *negated != not),
        Condition::IsNull { column, negated } => {
            let negated = *negated != not;
            match Operand::find(schema, column)? {
                Operand::Id if negated => Filter::True,
                Operand::Id => Filter::False,
                operand @ Operand::Column(..) => Filter::Test(operand, Test::Null { negated }),
            }
        }
        Condition::And(parts) | Condition::Or(parts) => {
            let bound: Result<Vec<_>, _> =
                parts.iter().map(|part| bind(schema, part, not)).collect();
            let is_and = matches!(condition, Condition::And(_));
            if is_and == not {
                Filter::or(bound?)
            } else {
                Filter::and(bound?)
            }
        }
        Condition::Not(inner) => bind(schema, inner, !not)?,
    })
}

fn compare(operand: Operand, comparison: Comparison, datum: Datum, not: bool) -> Filter {
    let comparison = if not {
        opposite(comparison)
    } else {
        comparison
    };
    match datum {
        Datum::String(text) => {
            let range = |low, high| Test::Text {
                low,
                high,
                negated: false,
            };
            let test = match comparison {
                Comparison::Equal | Comparison::NotEqual => Test::Texts {
                    values: vec![text],
                    negated: comparison == Comparison::NotEqual,
                },
                Comparison::Less => range(Bound::Unbounded, Bound::Excluded(text)),
                Comparison::LessOrEqual => range(Bound::Unbounded, Bound::Included(text)),
                Comparison::Greater => range(Bound::Excluded(text), Bound::Unbounded),
                Comparison::GreaterOrEqual => range(Bound::Included(text), Bound::Unbounded),
            };
            Filter::Test(operand, test)
        }
        Datum::Null
        | Datum::Bool(_)
        | Datum::Integer(_)
        | Datum::Float(_)
        | Datum::Date(_)
        | Datum::Timestamp(_) => match scalar::value_of(&datum) {
            Some(Value::Scalar(value)) => compare_scalar(operand, comparison, value),
            Some(Value::Text(_)) | None => Filter::False,
        },
    }
}

fn compare_scalar(operand: Operand, comparison: Comparison, value: i64) -> Filter {
    let (low, high) = match comparison {
        Comparison::Equal | Comparison::NotEqual => (Some(value), Some(value)),
        Comparison::Less => (Some(i64::MIN), value.checked_sub(1)),
        Comparison::LessOrEqual => (Some(i64::MIN), Some(value)),
        Comparison::Greater => (value.checked_add(1), Some(i64::MAX)),
        Comparison::GreaterOrEqual => (Some(value), Some(i64::MAX)),
    };
    match (low, high) {
        (Some(low), Some(high)) => Filter::Test(
            operand,
            Test::Scalar {
                low,
                high,
                negated: comparison == Comparison::NotEqual,
            },
        ),
        (None, _) | (_, None) => Filter::False,
    }
}

fn opposite(comparison: Comparison) -> Comparison {
    match comparison {
        Comparison::Equal => Comparison::NotEqual,
        Comparison::NotEqual => Comparison::Equal,
        Comparison::Less => Comparison::GreaterOrEqual,
        Comparison::LessOrEqual => Comparison::Greater,
        Comparison::Greater => Comparison::LessOrEqual,
        Comparison::GreaterOrEqual => Comparison::Less,
    }
}

fn between(operand: Operand, low: &Datum, high: &Datum, negated: bool) -> Filter {
    let test = match (scalar::value_of(low), scalar::value_of(high)) {
        (Some(Value::Scalar(low)), Some(Value::Scalar(high))) => {
            Test::Scalar { low, high, negated }
        }
        (Some(Value::Text(low)), Some(Value::Text(high))) => Test::Text {
            low: Bound::Included(low.into()),
            high: Bound::Included(high.into()),
            negated,
        },
        _ => return Filter::False,
    };
    let filter = Filter::Test(operand, test);
    if is_empty_range(&filter) {
        Filter::False
    } else {
        filter
    }
}

fn one_of(operand: Operand, data: &[Datum], negated: bool) -> Filter {
    let mut scalars = Vec::new();
    let mut texts: Vec<Box<[u8]>> = Vec::new();
    for datum in data {
        match scalar::value_of(datum) {
            None => {}
            Some(Value::Scalar(value)) => scalars.push(value),
            Some(Value::Text(text)) => texts.push(text.into()),
        }
    }
    scalars.sort_unstable();
    scalars.dedup();
    texts.sort_unstable();
    texts.dedup();
    let test = match (&scalars[..], texts.is_empty()) {
        ([], true) => return if negated { Filter::True } else { Filter::False },
        (&[value], _) => Test::Scalar {
            low: value,
            high: value,
            negated,
        },
        ([], false) => Test::Texts {
            values: texts,
            negated,
        },
        (_, _) => Test::Scalars {
            values: scalars,
            negated,
        },
    };
    Filter::Test(operand, test)
}

fn like(operand: Operand, pattern: &[u8], negated: bool) -> Filter {
    let is_text = operand.kind() == ColumnType::String;
    match Pattern::read(pattern) {
        Meaning::Exactly(text) if is_text => Filter::Test(
            operand,
            Test::Texts {
                values: vec![text.into()],
                negated,
            },
        ),
        Meaning::Prefix(prefix) if is_text => Filter::Test(operand, prefix_range(prefix, negated)),
        Meaning::Pattern(prefix, pattern) if is_text && !negated && !prefix.is_empty() => {
            Filter::and(vec![
                Filter::Test(operand, prefix_range(prefix, false)),
                Filter::Test(operand, Test::Like { pattern, negated }),
            ])
        }
        Meaning::Pattern(_, pattern) => Filter::Test(operand, Test::Like { pattern, negated }),
        Meaning::Exactly(_) | Meaning::Prefix(_) => Filter::Test(
            operand,
            Test::Like {
                pattern: Pattern::of(pattern),
                negated,
            },
        ),
    }
}

fn prefix_range(prefix: Vec<u8>, negated: bool) -> Test {
    let end = key::after_prefix(&prefix);
    Test::Text {
        high: if end.is_empty() {
            Bound::Unbounded
        } else {
            Bound::Excluded(end)
        },
        low: Bound::Included(prefix.into()),
        negated,
    }
}

/// Narrows a range of the same column that is there already; returns whether there is one.
fn join_range(parts: &mut [Filter], part: &Filter) -> bool {
    let Filter::Test(operand, test) = part else {
        return false;
    };
    for other in parts {
        let Filter::Test(other_operand, other) = other else {
            continue;
        };
        if other_operand != operand {
            continue;
        }
        match (other, test) {
            (
                Test::Scalar {
                    low,
                    high,
                    negated: false,
                },
                Test::Scalar {
                    low: from,
                    high: to,
                    negated: false,
                },
            ) => {
                *low = (*low).max(*from);
                *high = (*high).min(*to);
                return true;
            }
            (
                Test::Text {
                    low,
                    high,
                    negated: false,
                },
                Test::Text {
                    low: from,
                    high: to,
                    negated: false,
                },
            ) => {
                if begins_later(from, low) {
                    low.clone_from(from);
                }
                if ends_earlier(to, high) {
                    high.clone_from(to);
                }
                return true;
            }
            _ => {}
        }
    }
    false
}

fn begins_later(one: &Bound<Box<[u8]>>, other: &Bound<Box<[u8]>>) -> bool {
    match (one, other) {
        (Bound::Unbounded, _) => false,
        (_, Bound::Unbounded) => true,
        (Bound::Included(one), Bound::Included(other) | Bound::Excluded(other))
        | (Bound::Excluded(one), Bound::Excluded(other)) => one > other,
        (Bound::Excluded(one), Bound::Included(other)) => one >= other,
    }
}

fn ends_earlier(one: &Bound<Box<[u8]>>, other: &Bound<Box<[u8]>>) -> bool {
    match (one, other) {
        (Bound::Unbounded, _) => false,
        (_, Bound::Unbounded) => true,
        (Bound::Included(one), Bound::Included(other) | Bound::Excluded(other))
        | (Bound::Excluded(one), Bound::Excluded(other)) => one < other,
        (Bound::Excluded(one), Bound::Included(other)) => one <= other,
    }
}

fn is_empty_range(filter: &Filter) -> bool {
    match filter {
        Filter::Test(
            _,
            Test::Scalar {
                low,
                high,
                negated: false,
            },
        ) => low > high,
        Filter::Test(
            _,
            Test::Text {
                low,
                high,
                negated: false,
            },
        ) => match (low, high) {
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
            (Bound::Included(low), Bound::Included(high)) => low > high,
            (Bound::Included(low) | Bound::Excluded(low), Bound::Excluded(high))
            | (Bound::Excluded(low), Bound::Included(high)) => low >= high,
        },
        Filter::True | Filter::False | Filter::Test(..) | Filter::And(_) | Filter::Or(_) => false,
    }
}

/// The ids that a condition leaves, as a range, and the rest of the condition.
pub(crate) fn split_ids(filter: Filter) -> (u64, u64, Filter) {
    let is_about_ids = |part: &Filter| matches!(part, Filter::Test(Operand::Id, _));
    if !filter.parts().iter().any(is_about_ids) {
        return (1, u64::MAX, filter);
    }
    let parts = match filter {
        Filter::And(parts) => parts,
        other => vec![other],
    };
    let (mut first, mut last) = (1, u64::MAX);
    let mut rest = Vec::with_capacity(parts.len());
    for part in parts {
        match part {
            Filter::Test(
                Operand::Id,
                Test::Scalar {
                    low,
                    high,
                    negated: false,
                },
            ) => {
                first = u64::try_from(low).unwrap_or(0).max(first);
                // Every id is below 2^63.
                last = u64::try_from(high).unwrap_or(0).min(last);
            }
            other => rest.push(other),
        }
    }
    if first > last {
        return (1, 0, Filter::False);
    }
    (first, last, Filter::and(rest))
}

/// Returns the number of ids in a range, at most `most`.
pub(crate) fn ids_in(first: u64, last: u64, most: u64) -> u64 {
    last.saturating_sub(first).saturating_add(1).min(most)
}
