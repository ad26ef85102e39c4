//! A quicksort of which only a part of the result is wanted.
//!
//! It is not stable, and its steps can be seen in the order of equal elements; so they are those of the
//! paper: the median of three, or of three medians of three, as the pivot; equal elements gathered at
//! both ends, then swapped into the middle; insertion below seven elements. Source: Bentley and
//! `McIlroy`, "Engineering a Sort Function", 1993.
//!
//! Invariant: input that is made to be bad costs no more than O(n log n) comparisons: beyond a depth
//! that others do not reach, a stable sort takes over.

use std::cmp::Ordering;
use std::ops::Range;

/// Fewer elements are sorted by insertion.
const INSERTION_LEN: usize = 7;
/// More elements have their pivot chosen among nine.
const NINTHER_LEN: usize = 40;

/// Sorts so much of `list` that the elements at `window` stand where they belong.
pub(super) fn sort_part<T>(
    list: &mut [T],
    window: Range<usize>,
    compare: &impl Fn(&T, &T) -> Ordering,
) {
    let depth = 4 * list.len().checked_ilog2().unwrap_or(0) + 4;
    sort_range(list, 0..list.len(), &window, compare, depth);
}

fn sort_range<T>(
    list: &mut [T],
    mut range: Range<usize>,
    window: &Range<usize>,
    compare: &impl Fn(&T, &T) -> Ordering,
    mut depth: u32,
) {
    let is_wanted = |range: &Range<usize>| {
        range.len() > 1 && range.start < window.end && window.start < range.end
    };
    while is_wanted(&range) {
        let part = &mut list[range.clone()];
        if part.len() < INSERTION_LEN {
            insert_all(part, compare);
            return;
        }
        let Some(left) = depth.checked_sub(1) else {
            part.sort_by(compare);
            return;
        };
        depth = left;
        let (below, above) = partition(part, compare);
        let low = range.start..range.start + below;
        sort_range(list, low, window, compare, depth);
        range.start = range.end - above;
    }
}

fn insert_all<T>(list: &mut [T], compare: &impl Fn(&T, &T) -> Ordering) {
    for end in 1..list.len() {
        let mut at = end;
        while at > 0 && compare(&list[at - 1], &list[at]) == Ordering::Greater {
            list.swap(at - 1, at);
            at -= 1;
        }
    }
}

/// Parts `list` by a pivot; returns how many elements are below it, at the begin, and above it, at
/// the end.
fn partition<T>(list: &mut [T], compare: &impl Fn(&T, &T) -> Ordering) -> (usize, usize) {
    let len = list.len();
    list.swap(0, pivot(list, compare));
    // list[..equal_low] and list[equal_high..] are equal to the pivot, list[equal_low..low] is below
    // it, list[high..equal_high] above it, and what lies between is not looked at yet.
    let (mut equal_low, mut low) = (1, 1);
    let (mut high, mut equal_high) = (len, len);
    loop {
        while low < high {
            match compare(&list[low], &list[0]) {
                Ordering::Greater => break,
                Ordering::Equal => {
                    list.swap(equal_low, low);
                    equal_low += 1;
                }
                Ordering::Less => {}
            }
            low += 1;
        }
        while low < high {
            match compare(&list[high - 1], &list[0]) {
                Ordering::Less => break,
                Ordering::Equal => {
                    list.swap(high - 1, equal_high - 1);
                    equal_high -= 1;
                }
                Ordering::Greater => {}
            }
            high -= 1;
        }
        if low >= high {
            break;
        }
        list.swap(low, high - 1);
        low += 1;
        high -= 1;
    }
    let (below, above) = (low - equal_low, equal_high - high);
    swap_ranges(list, 0, low, equal_low.min(below));
    swap_ranges(list, low, len, above.min(len - equal_high));
    (below, above)
}

/// Swaps the `count` elements from `first` on with those before `end`.
fn swap_ranges<T>(list: &mut [T], first: usize, end: usize, count: usize) {
    for index in 0..count {
        list.swap(first + index, end - count + index);
    }
}

fn pivot<T>(list: &[T], compare: &impl Fn(&T, &T) -> Ordering) -> usize {
    let (len, middle) = (list.len(), list.len() / 2);
    if len <= INSERTION_LEN {
        return middle;
    }
    let (mut low, mut middle, mut high) = (0, middle, len - 1);
    if len > NINTHER_LEN {
        let step = len / 8;
        low = median(list, [low, low + step, low + 2 * step], compare);
        middle = median(list, [middle - step, middle, middle + step], compare);
        high = median(list, [high - 2 * step, high - step, high], compare);
    }
    median(list, [low, middle, high], compare)
}

fn median<T>(
    list: &[T],
    [one, two, three]: [usize; 3],
    compare: &impl Fn(&T, &T) -> Ordering,
) -> usize {
    let is_less = |left: usize, right: usize| compare(&list[left], &list[right]) == Ordering::Less;
    if is_less(one, two) {
        if is_less(two, three) {
            two
        } else if is_less(one, three) {
            three
        } else {
            one
        }
    } else if is_less(three, two) {
        two
    } else if is_less(one, three) {
        one
    } else {
        three
    }
}

#[cfg(test)]
mod tests {
    use base::random::Random;

    use super::*;

    #[test]
    fn window_of_random_lists_is_that_of_the_sorted_list() {
        let seed = std::env::var("SEED")
            .ok()
            .and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or(1);
        println!("SEED={seed}");
        let mut random = Random::new(seed);
        let mut below =
            |end: usize| base::cast::usize_from(random.below(base::cast::u64_from(end)));
        for round in 0..2000 {
            let len = below(if round % 10 == 0 { 1000 } else { 60 });
            let values = 1 + below(len + 1);
            let mut list: Vec<usize> = (0..len).map(|_| below(values)).collect();
            let mut sorted = list.clone();
            sorted.sort_unstable();
            let start = below(len + 1);
            let window = start..start + below(len + 1 - start);
            sort_part(&mut list, window.clone(), &usize::cmp);
            assert_eq!(list[window.clone()], sorted[window]);
            list.sort_unstable();
            assert_eq!(list, sorted, "nothing is lost");
        }
    }

    #[test]
    fn bad_input_costs_no_more_than_n_log_n() {
        // McIlroy's adversary: decides what is larger only when asked, so that pivots are bad.
        let len = 10_000;
        let (values, solid) = (
            std::cell::RefCell::new(vec![len; len]),
            std::cell::Cell::new(0),
        );
        let (candidate, asked) = (std::cell::Cell::new(0), std::cell::Cell::new(0_usize));
        let compare = |&left: &usize, &right: &usize| {
            asked.set(asked.get() + 1);
            let mut values = values.borrow_mut();
            if values[left] == len && values[right] == len {
                let fixed = if left == candidate.get() { left } else { right };
                values[fixed] = solid.get();
                solid.set(solid.get() + 1);
            }
            if values[left] == len {
                candidate.set(left);
            } else if values[right] == len {
                candidate.set(right);
            }
            values[left].cmp(&values[right])
        };
        let mut list: Vec<usize> = (0..len).collect();
        sort_part(&mut list, 0..len, &compare);
        assert!(asked.get() < 200 * len, "{} comparisons", asked.get());
    }
}
