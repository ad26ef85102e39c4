//! Ways to the rows of a condition: which indexes can serve it, and with which keys.
//!
//! Which way is taken is decided where the rows are, by the numbers that are true there: see
//! [`choose`].

use std::ops::Bound;

use base::cast::u64_from;

use super::filter::{Filter, Operand, Test};
use crate::index::Body;
use crate::key::{self, Key};
use crate::scalar::Value;
use crate::schema::{ColumnId, Index, IndexId, IndexKind, IndexState, Schema};
use crate::table::Table;

/// Most keys or ranges that one way may have; beyond that, the column counts as not restricted.
const KEYS_MAX: usize = 10_000;

/// A range of bytes in an ordered index, the end not in it.
pub(crate) type KeyRange = (Box<[u8]>, Box<[u8]>);

/// A way to rows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Access {
    /// All of them.
    All,
    /// Those with these ids, ascending.
    Ids(Vec<u64>),
    /// Those with this value in a hash index.
    Value { index: IndexId, key: Key },
    /// Those with one of these values in a hash index, two or more.
    Keys {
        index: IndexId,
        keys: Vec<Box<[u8]>>,
    },
    /// Those in one of these ranges of an ordered index; ascending, without overlap.
    Ranges {
        index: IndexId,
        ranges: Vec<KeyRange>,
    },
    /// Those of one of several conditions, each with its ways.
    Union(Vec<Vec<Candidate>>),
}

/// A way that can be taken.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) access: Access,
    /// Whether all rows on the way meet the condition, so that it need not be looked at.
    pub(crate) is_exact: bool,
}

/// The way that was taken, with how many rows are on it.
pub(crate) struct Chosen<'p> {
    pub(crate) access: &'p Access,
    pub(crate) is_exact: bool,
    pub(crate) rows: u64,
}

/// Finds the ways for a condition.
pub(crate) fn candidates(schema: &Schema, filter: &Filter) -> Vec<Candidate> {
    let parts = filter.parts();
    let mut found: Vec<Candidate> = schema
        .indexes
        .iter()
        .filter(|index| index.state == IndexState::Ready)
        .filter_map(|index| by_index(index, parts))
        .collect();
    for part in parts {
        match part {
            Filter::Test(
                Operand::Id,
                Test::Scalars {
                    values,
                    negated: false,
                },
            ) => {
                let ids = values.iter().filter_map(|&id| u64::try_from(id).ok());
                found.push(Candidate {
                    access: Access::Ids(ids.filter(|&id| id > 0).collect()),
                    is_exact: parts.len() == 1,
                });
            }
            Filter::Test(
                Operand::Id,
                Test::Scalar {
                    low,
                    high,
                    negated: false,
                },
            ) if low == high => found.push(Candidate {
                access: Access::Ids(u64::try_from(*low).into_iter().collect()),
                is_exact: parts.len() == 1,
            }),
            Filter::Or(branches) => {
                let ways: Vec<_> = branches
                    .iter()
                    .map(|branch| candidates(schema, branch))
                    .collect();
                if ways.iter().all(|ways| !ways.is_empty()) {
                    found.push(Candidate {
                        access: Access::Union(ways),
                        is_exact: parts.len() == 1,
                    });
                }
            }
            Filter::True | Filter::False | Filter::Test(..) | Filter::And(_) => {}
        }
    }
    found
}

/// Finds what an index can do for parts of which all must hold.
fn by_index(index: &Index, parts: &[Filter]) -> Option<Candidate> {
    if let Some(key) = only_key(index, parts) {
        let index = index.id;
        return Some(Candidate {
            access: Access::Value { index, key },
            is_exact: parts.len() == 1,
        });
    }
    let mut prefixes: Vec<Vec<u8>> = vec![Vec::new()];
    let mut used = 0;
    let mut columns = index.columns.iter();
    let mut ranges: Option<Vec<KeyRange>> = None;
    let mut depth = 0;
    for &column in &mut columns {
        let tests = || tests_of(parts, column);
        if let Some(keys) = tests().find_map(equal_keys)
            && prefixes.len() * keys.len() <= KEYS_MAX
        {
            prefixes = if depth == 0 {
                keys
            } else {
                prefixes
                    .iter()
                    .flat_map(|prefix| keys.iter().map(move |key| [&prefix[..], key].concat()))
                    .collect()
            };
            used += 1;
            depth += 1;
            continue;
        }
        if index.kind == IndexKind::Btree
            && let Some((low, high)) = tests().find_map(range_keys)
        {
            used += 1;
            let join = |prefix: &Vec<u8>, end: &[u8]| [&prefix[..], end].concat().into();
            ranges = Some(
                prefixes
                    .iter()
                    .map(|prefix| (join(prefix, &low), join(prefix, &high)))
                    .collect(),
            );
        }
        break;
    }
    if used == 0 || (index.kind == IndexKind::Hash && depth < index.columns.len()) {
        return None;
    }
    let is_exact = used == parts.len();
    let access = match (index.kind, ranges) {
        (IndexKind::Hash, _) if prefixes.len() == 1 => Access::Value {
            index: index.id,
            key: Key::new(&prefixes[0]),
        },
        (IndexKind::Hash, _) => Access::Keys {
            index: index.id,
            keys: prefixes.into_iter().map(Into::into).collect(),
        },
        (IndexKind::Btree, Some(ranges)) => Access::Ranges {
            index: index.id,
            ranges,
        },
        (IndexKind::Btree, None) => Access::Ranges {
            index: index.id,
            ranges: prefixes.into_iter().map(with_end).collect(),
        },
    };
    Some(Candidate { access, is_exact })
}

/// Returns the value that parts ask for of a hash index over one column: the usual case, without an
/// allocation if the value is short.
fn only_key(index: &Index, parts: &[Filter]) -> Option<Key> {
    let ([column], IndexKind::Hash) = (&index.columns[..], index.kind) else {
        return None;
    };
    tests_of(parts, *column).find_map(|test| match test {
        Test::Scalar {
            low,
            high,
            negated: false,
        } if low == high => Some(Key::of(Value::Scalar(*low))),
        Test::Texts {
            values,
            negated: false,
        } => match &values[..] {
            [value] => Some(Key::of(Value::Text(value))),
            _ => None,
        },
        Test::Scalar { .. }
        | Test::Scalars { .. }
        | Test::Text { .. }
        | Test::Texts { .. }
        | Test::Like { .. }
        | Test::Null { .. } => None,
    })
}

fn with_end(prefix: Vec<u8>) -> KeyRange {
    let end = [&prefix[..], &[key::AFTER]].concat();
    (prefix.into(), end.into())
}

fn tests_of(parts: &[Filter], wanted: ColumnId) -> impl Iterator<Item = &Test> {
    parts.iter().filter_map(move |part| match part {
        Filter::Test(Operand::Column(column, _), test) if *column == wanted => Some(test),
        Filter::Test(..) | Filter::True | Filter::False | Filter::And(_) | Filter::Or(_) => None,
    })
}

/// Returns the values that a test allows, if they are few, in ascending order.
fn equal_keys(test: &Test) -> Option<Vec<Vec<u8>>> {
    let encoded = |value| {
        let mut key = Vec::new();
        key::push(&mut key, Some(value));
        key
    };
    match test {
        Test::Scalar {
            low,
            high,
            negated: false,
        } if low == high => Some(vec![encoded(Value::Scalar(*low))]),
        Test::Scalars {
            values,
            negated: false,
        } => Some(values.iter().map(|&v| encoded(Value::Scalar(v))).collect()),
        Test::Texts {
            values,
            negated: false,
        } => Some(values.iter().map(|v| encoded(Value::Text(v))).collect()),
        Test::Scalar { .. }
        | Test::Scalars { .. }
        | Test::Text { .. }
        | Test::Texts { .. }
        | Test::Like { .. }
        | Test::Null { .. } => None,
    }
}

/// Returns the range of encoded values that a test allows.
fn range_keys(test: &Test) -> Option<(Vec<u8>, Vec<u8>)> {
    let encoded = |value, is_after| {
        let mut key = Vec::new();
        key::push(&mut key, Some(value));
        if is_after {
            key.push(key::AFTER);
        }
        key
    };
    match test {
        Test::Scalar {
            low,
            high,
            negated: false,
        } => Some((
            encoded(Value::Scalar(*low), false),
            encoded(Value::Scalar(*high), true),
        )),
        Test::Text {
            low,
            high,
            negated: false,
        } => {
            let low = match low {
                Bound::Unbounded => vec![key::PRESENT],
                Bound::Included(text) => encoded(Value::Text(text), false),
                Bound::Excluded(text) => encoded(Value::Text(text), true),
            };
            let high = match high {
                Bound::Unbounded => vec![key::BEYOND],
                Bound::Included(text) => encoded(Value::Text(text), true),
                Bound::Excluded(text) => encoded(Value::Text(text), false),
            };
            Some((low, high))
        }
        Test::Null { negated: false } => Some((vec![key::MISSING], vec![key::PRESENT])),
        Test::Null { negated: true } => Some((vec![key::PRESENT], vec![key::BEYOND])),
        Test::Scalar { .. }
        | Test::Scalars { .. }
        | Test::Text { .. }
        | Test::Texts { .. }
        | Test::Like { .. } => None,
    }
}

/// Returns the only way if it is one value of a hash index and the whole condition: nothing is left to
/// choose, so its rows, of which there may be any number, are not counted.
pub(crate) fn only_value<'p>(table: &Table, ways: &'p [Candidate]) -> Option<Chosen<'p>> {
    let [way] = ways else {
        return None;
    };
    let Access::Value { index, .. } = &way.access else {
        return None;
    };
    (way.is_exact && table.complete_index(*index).is_some()).then_some(Chosen {
        access: &way.access,
        is_exact: true,
        rows: 0,
    })
}

/// Takes the way with the fewest rows here. O(keys) for hash indexes, O(blocks) for ordered ones.
pub(crate) fn choose<'p>(table: &Table, ways: &'p [Candidate]) -> Chosen<'p> {
    let all = Chosen {
        access: &Access::All,
        is_exact: false,
        rows: table.rows.count(),
    };
    let counted = ways.iter().filter_map(|way| {
        let (rows, is_exact) = count(table, &way.access)?;
        Some(Chosen {
            access: &way.access,
            is_exact: is_exact && way.is_exact,
            rows,
        })
    });
    // The more exact one of equals. An index is taken even if it leads to all rows: they were asked for
    // by their values, and the limit of scans is for those that were not.
    counted
        .min_by_key(|way| (way.rows, !way.is_exact))
        .unwrap_or(all)
}

/// Counts the rows on a way, and whether parts of it are exact; `None` if an index of it is not complete
/// on this shard yet.
fn count(table: &Table, access: &Access) -> Option<(u64, bool)> {
    match access {
        Access::All => Some((table.rows.count(), true)),
        Access::Ids(ids) => Some((u64_from(ids.len()), true)),
        Access::Value { index, key } => {
            let index = table.complete_index(*index)?;
            let Body::Hash(hash) = &index.body else {
                return None;
            };
            Some((hash.count(key.bytes(), &index.columns, &table.rows), true))
        }
        Access::Keys { index, keys } => {
            let index = table.complete_index(*index)?;
            let Body::Hash(hash) = &index.body else {
                return None;
            };
            let counts = keys
                .iter()
                .map(|key| hash.count(key, &index.columns, &table.rows));
            Some((counts.sum(), true))
        }
        Access::Ranges { index, ranges } => {
            let Body::Ordered(ordered) = &table.complete_index(*index)?.body else {
                return None;
            };
            let counts = ranges.iter().map(|(low, high)| ordered.count(low, high));
            Some((counts.sum(), true))
        }
        Access::Union(branches) => {
            let mut sum = 0_u64;
            let mut is_exact = true;
            for ways in branches {
                let chosen = choose(table, ways);
                if *chosen.access == Access::All {
                    return None;
                }
                sum = sum.saturating_add(chosen.rows);
                is_exact &= chosen.is_exact;
            }
            Some((sum, is_exact))
        }
    }
}
