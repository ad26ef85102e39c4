//! Putting elements into order.
//!
//! Where the order leaves elements equal that a client can tell apart, theirs is the one of Redis: a
//! stable sort, or a quicksort that is not stable if only a part of elements with weights is asked for.
//!
//! Invariant: the result depends on the arguments alone.

use std::cmp::Ordering;
use std::ops::Range;

use base::number::parse_f64;

use super::Text;
use super::options::{Order, Sorting, until_zero};
use super::quicksort::sort_part;
use crate::spec::CommandError;

/// An element with what it is sorted by.
struct Ranked<W> {
    element: Text,
    weight: W,
}

/// Returns the elements of `window` once all are sorted. `weights` are those that a pattern leads to,
/// one for each element, if `order` says so.
///
/// O(n log n); a window of k elements of numbers takes O(n + k log k).
///
/// # Errors
///
/// [`NOT_A_NUMBER`] if a weight has to be a number and is none, inside the window or not.
pub fn arrange(
    order: &Order,
    elements: Vec<Text>,
    weights: Option<Vec<Option<Text>>>,
    window: Range<usize>,
) -> Result<Vec<Text>, CommandError> {
    match (order.sorting, weights) {
        (Sorting::Kept, _) => Ok(part(elements, window)),
        (Sorting::Numbers, weights) => by_numbers(order, elements, weights, window),
        (Sorting::Texts, None) => Ok(by_elements(order, elements, window)),
        (Sorting::Texts, Some(weights)) => Ok(by_texts(order, elements, weights, window)),
    }
}

/// Some weight is no number.
pub const NOT_A_NUMBER: CommandError =
    CommandError::Text("ERR One or more scores can't be converted into double");

fn by_numbers(
    order: &Order,
    elements: Vec<Text>,
    weights: Option<Vec<Option<Text>>>,
    window: Range<usize>,
) -> Result<Vec<Text>, CommandError> {
    let mut ranked = Vec::with_capacity(elements.len());
    let mut weights = weights.map(Vec::into_iter);
    for element in elements {
        let weight = match weights.as_mut().map(|weights| weights.next().flatten()) {
            None => number(&element),
            Some(Some(weight)) => number(&weight),
            // What has no weight stands at zero.
            Some(None) => Some(0.0),
        };
        let weight = weight.ok_or(NOT_A_NUMBER)?;
        ranked.push(Ranked { element, weight });
    }
    let compare = |left: &Ranked<f64>, right: &Ranked<f64>| {
        let (left, right) = (
            (left.weight, &*left.element),
            (right.weight, &*right.element),
        );
        order.directed(compare_numbers(left, right))
    };
    // Elements that are equal in this order are the same, so any algorithm gives the same result.
    let first = keep_window(&mut ranked, &window, compare);
    ranked[first..].sort_unstable_by(compare);
    Ok(ranked.drain(first..).map(|it| it.element).collect())
}

/// Compares two elements by the numbers they have, and by their bytes where these are equal.
pub(super) fn compare_numbers(left: (f64, &[u8]), right: (f64, &[u8])) -> Ordering {
    let numbers = left.0.partial_cmp(&right.0).unwrap_or(Ordering::Equal);
    numbers.then_with(|| left.1.cmp(right.1))
}

/// Brings the elements of `window` to the end of `list`, where the result begins, in no order.
fn keep_window<T>(
    list: &mut Vec<T>,
    window: &Range<usize>,
    compare: impl Fn(&T, &T) -> Ordering,
) -> usize {
    if window.end < list.len() {
        if window.end > 0 {
            list.select_nth_unstable_by(window.end - 1, &compare);
        }
        list.truncate(window.end);
    }
    if window.start > 0 && window.start < list.len() {
        list.select_nth_unstable_by(window.start, &compare);
    }
    window.start.min(list.len())
}

fn by_elements(order: &Order, mut elements: Vec<Text>, window: Range<usize>) -> Vec<Text> {
    elements.sort_by(|left, right| order.directed(order.compare_texts(left, right)));
    part(elements, window)
}

fn by_texts(
    order: &Order,
    elements: Vec<Text>,
    weights: Vec<Option<Text>>,
    window: Range<usize>,
) -> Vec<Text> {
    let pairs = elements.into_iter().zip(weights);
    let ranked = pairs.map(|(element, weight)| Ranked { element, weight });
    let mut ranked: Vec<Ranked<Option<Text>>> = ranked.collect();
    let compare = |left: &Ranked<Option<Text>>, right: &Ranked<Option<Text>>| {
        order.directed(match (&left.weight, &right.weight) {
            (Some(left), Some(right)) => order.compare_texts(left, right),
            (left, right) => left.is_some().cmp(&right.is_some()),
        })
    };
    if window == (0..ranked.len()) {
        ranked.sort_by(compare);
    } else {
        sort_part(&mut ranked, window.clone(), &compare);
    }
    let texts = ranked.into_iter().map(|it| it.element);
    texts.skip(window.start).take(window.len()).collect()
}

impl Order {
    pub(super) fn directed(&self, ordering: Ordering) -> Ordering {
        if self.is_descending {
            ordering.reverse()
        } else {
            ordering
        }
    }

    /// Compares two texts: all their bytes if the result is stored, otherwise as C does it.
    pub(super) fn compare_texts(&self, left: &[u8], right: &[u8]) -> Ordering {
        if self.is_stored {
            left.cmp(right)
        } else {
            until_zero(left).cmp(until_zero(right))
        }
    }
}

fn part(mut elements: Vec<Text>, window: Range<usize>) -> Vec<Text> {
    elements.truncate(window.end);
    elements.drain(..window.start.min(elements.len()));
    elements
}

/// Reads a weight: a number as C reads it, with spaces before it, or nothing at all for zero.
pub(super) fn number(text: &[u8]) -> Option<f64> {
    let text = until_zero(text);
    if text.is_empty() {
        return Some(0.0);
    }
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let begin = text.iter().position(|byte| !is_space(byte))?;
    let value = parse_f64(&text[begin..])?;
    // Decimals so near to zero lose digits, which C reports as an error.
    let is_hexadecimal = text[begin..].iter().any(|byte| matches!(byte, b'x' | b'X'));
    (is_hexadecimal || !value.is_subnormal()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_read_as_c_reads_numbers() {
        for (text, expected) in [
            (b"".as_slice(), Some(0.0)),
            (b"1", Some(1.0)),
            (b" \t\n\x0b\x0c\r-1.5", Some(-1.5)),
            (b"+2", Some(2.0)),
            (b"0x10", Some(16.0)),
            (b"1e3", Some(1000.0)),
            (b"INF", Some(f64::INFINITY)),
            (b"-infinity", Some(f64::NEG_INFINITY)),
            (b"7\0x", Some(7.0)),
            (b"\0x", Some(0.0)),
            (b"0x1p-1074", Some(f64::from_bits(1))),
            (b" ", None),
            (b"1 ", None),
            (b"nan", None),
            (b"1e400", None),
            (b"1e-400", None),
            (b"5e-324", None),
            (b"x", None),
            (b"0x", None),
        ] {
            assert_eq!(number(text), expected, "{}", text.escape_ascii());
        }
    }
}
