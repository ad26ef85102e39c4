//! What tables should do, in the plainest way: a list of rows, looked at one by one. It shares no code with
//! the crate.

use std::cmp::Ordering;
use std::collections::BTreeMap;

/// A value, with the text that stands for it in replies.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Val {
    Int(i64),
    Float(f64),
    Text(String),
}

impl Val {
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(b).unwrap(),
            (Self::Text(a), Self::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
            _ => panic!("{self:?} beside {other:?}"),
        }
    }

    pub(super) fn text(&self) -> String {
        match self {
            Self::Int(value) => value.to_string(),
            Self::Float(value) => value.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

/// A condition.
#[derive(Clone, Debug)]
pub(super) enum Cond {
    Compare(usize, &'static str, Val),
    Between(usize, Val, Val, bool),
    In(usize, Vec<Val>, bool),
    /// `%` stands only at the ends of these.
    Like(usize, String, bool),
    Null(usize, bool),
    Id(&'static str, i64),
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
}

/// A row.
#[derive(Clone, Debug)]
pub(super) struct ModelRow {
    pub(super) id: u64,
    pub(super) cells: BTreeMap<usize, (Val, String)>,
    /// Columns in the order in which the row got them.
    pub(super) order: Vec<usize>,
}

impl ModelRow {
    pub(super) fn set(&mut self, column: usize, value: Option<(Val, String)>) {
        match value {
            None => {
                self.cells.remove(&column);
                self.order.retain(|other| *other != column);
            }
            Some(value) => {
                if self.cells.insert(column, value).is_none() {
                    self.order.push(column);
                }
            }
        }
    }

    pub(super) fn value(&self, column: usize) -> Option<&Val> {
        self.cells.get(&column).map(|(value, _)| value)
    }
}

fn holds(ordering: Ordering, operator: &str) -> bool {
    match operator {
        "=" => ordering == Ordering::Equal,
        "!=" => ordering != Ordering::Equal,
        "<" => ordering == Ordering::Less,
        "<=" => ordering != Ordering::Greater,
        ">" => ordering == Ordering::Greater,
        ">=" => ordering != Ordering::Less,
        _ => panic!("{operator}"),
    }
}

/// True, false or unknown.
pub(super) fn evaluate(cond: &Cond, row: &ModelRow) -> Option<bool> {
    match cond {
        Cond::Compare(column, operator, value) => {
            let ordering = row.value(*column)?.compare(value);
            Some(holds(ordering, operator))
        }
        Cond::Between(column, low, high, not) => {
            let value = row.value(*column)?;
            let inside =
                value.compare(low) != Ordering::Less && value.compare(high) != Ordering::Greater;
            Some(inside != *not)
        }
        Cond::In(column, values, not) => {
            let value = row.value(*column)?;
            let mut all = values.iter();
            Some(all.any(|other| value.compare(other) == Ordering::Equal) != *not)
        }
        Cond::Like(column, pattern, not) => {
            let (_, text) = row.cells.get(column)?;
            Some(like(pattern, text) != *not)
        }
        Cond::Null(column, not) => Some(row.value(*column).is_none() != *not),
        Cond::Id(operator, id) => {
            let own = i64::try_from(row.id).unwrap();
            Some(holds(own.cmp(id), operator))
        }
        Cond::And(parts) => {
            let results: Vec<_> = parts.iter().map(|part| evaluate(part, row)).collect();
            if results.contains(&Some(false)) {
                Some(false)
            } else if results.contains(&None) {
                None
            } else {
                Some(true)
            }
        }
        Cond::Or(parts) => {
            let results: Vec<_> = parts.iter().map(|part| evaluate(part, row)).collect();
            if results.contains(&Some(true)) {
                Some(true)
            } else if results.contains(&None) {
                None
            } else {
                Some(false)
            }
        }
        Cond::Not(inner) => evaluate(inner, row).map(|value| !value),
    }
}

fn like(pattern: &str, text: &str) -> bool {
    let begin = pattern.strip_prefix('%');
    let middle = begin.unwrap_or(pattern);
    let end = middle.strip_suffix('%');
    let middle = end.unwrap_or(middle);
    match (begin, end) {
        (None, None) => text == middle,
        (Some(_), None) => text.ends_with(middle),
        (None, Some(_)) => text.starts_with(middle),
        (Some(_), Some(_)) => text.contains(middle),
    }
}

/// Compares cells for ORDER BY: missing ones are the smallest.
pub(super) fn compare_cells(one: Option<&Val>, other: Option<&Val>) -> Ordering {
    match (one, other) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (Some(one), Some(other)) => one.compare(other),
    }
}
