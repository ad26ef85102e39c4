//! SORT of many elements, a step at a time: runs that are sorted one by one, and merged.
//!
//! ```text
//! gather   some elements a step, each time sorted as a run of their own
//! merge    the first of each run in a heap: the least of these is the next of the result, if the window has it
//! free     what lies behind the window
//! ```
//! Elements that keep their order are shown as they are gathered.
//!
//! Invariant: the result is that of [`super::arrange()`]: where two elements are equal the one that was gathered
//! first comes first, and runs are numbered in the order in which they were gathered.
//!
//! Not here: requests whose patterns name further keys.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::ops::Range;
use std::vec;

use protocol::args::Args;
use protocol::reply::Resp;
use shard::Shard;
use shard::loan::Loan;
use types::list::{End, List, NodeRule};
use types::listpack::Element;
use types::memory::allocated_bytes;
use types::set::Set;
use types::{Typed, Value};

use super::arrange::{NOT_A_NUMBER, compare_numbers, number};
use super::{Options, Order, Pattern, Sorting, Text, order_of, stored, text_of, window};
use crate::counted::write_element;
use crate::error::CommandError;
use crate::long_change::{LongEnd, Place, Work};
use crate::pieces::Gathering;
use crate::set_steps::scan_part;
use crate::steps::{WALK_STEP_BYTES, WALK_STEP_ELEMENTS, is_long};

/// Elements of a run. Few runs are good for merging, small ones for the length of a step.
const RUN_LEN: usize = 2 * WALK_STEP_ELEMENTS;

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct SortSteps {
    order: Order,
    /// Which elements of the result are wanted.
    window: Range<usize>,
    stage: Stage,
    runs: Vec<vec::IntoIter<Ranked>>,
    heap: BinaryHeap<Reverse<Head>>,
    /// What is shown of each element, if patterns say so: itself, or nothing.
    patterns: Vec<bool>,
    /// The key of the result.
    target: Option<usize>,
    stored: List,
    rule: NodeRule,
    found: Gathering,
    found_count: usize,
    /// Some element is no number.
    has_failed: bool,
}

#[derive(Debug)]
enum Stage {
    Gathering(Rest),
    /// So many elements of the result have passed by.
    Merging(usize),
    Freeing,
}

/// Which elements of a value are still to come, in its order.
#[derive(Debug)]
struct Rest {
    next: usize,
    end: usize,
    /// In a set, and the members before it.
    cursor: u64,
    seen: usize,
    is_reverse: bool,
}

/// An element and the number it is sorted by; 0 if it is sorted by its bytes.
#[derive(Debug)]
struct Ranked {
    weight: f64,
    element: Text,
}

/// The first element of a run.
#[derive(Debug)]
struct Head {
    order: Order,
    ranked: Ranked,
    run: usize,
}

impl SortSteps {
    /// Plans what takes long; `None` if it is short. The request reads no keys that follow from elements.
    ///
    /// # Errors
    ///
    /// [`CommandError::WrongType`] for what has no elements.
    pub(crate) fn plan(
        value: Option<&Value>,
        options: &Options,
        args: Args<'_>,
        rule: NodeRule,
    ) -> Result<Option<Self>, CommandError> {
        let (order, len) = order_of(value, options.order)?;
        let window = window(order, len);
        let bytes = match value {
            Some(value) => value.allocated_bytes(allocated_bytes),
            None => 0,
        };
        let place = match order.sorting {
            Sorting::Kept => Rest {
                next: window.start,
                end: window.end,
                cursor: 0,
                seen: 0,
                is_reverse: order.is_descending,
            },
            Sorting::Numbers | Sorting::Texts => Rest {
                next: 0,
                end: len,
                cursor: 0,
                seen: 0,
                is_reverse: false,
            },
        };
        if !is_long(place.end - place.next, len, bytes) {
            return Ok(None);
        }
        let words = options.get.iter();
        let patterns = words.map(|&word| Pattern::of(args.word(word)) == Pattern::Element);
        Ok(Some(Self {
            order,
            window,
            stage: Stage::Gathering(place),
            runs: Vec::new(),
            heap: BinaryHeap::new(),
            patterns: patterns.collect(),
            target: options.store,
            stored: List::new(),
            rule,
            found: Gathering::default(),
            found_count: 0,
            has_failed: false,
        }))
    }

    /// Takes some elements, and shows or sorts them.
    fn gather(&mut self, value: Option<&Value>, resp: Resp) {
        let Stage::Gathering(mut place) = std::mem::replace(&mut self.stage, Stage::Freeing) else {
            return;
        };
        if self.order.sorting == Sorting::Kept {
            place.take(value, &mut |element| self.show(element, resp));
        } else {
            let is_number = self.order.sorting == Sorting::Numbers;
            let mut run = Vec::with_capacity(RUN_LEN);
            let mut has_failed = false;
            place.take(value, &mut |element| {
                let element = text_of(element);
                let weight = if is_number {
                    number(&element)
                } else {
                    Some(0.0)
                };
                has_failed |= weight.is_none();
                let weight = weight.unwrap_or_default();
                run.push(Ranked { weight, element });
            });
            let order = self.order;
            run.sort_by(|left, right| order.compare(left, right));
            self.runs.push(run.into_iter());
            self.has_failed = has_failed;
        }
        let is_over = place.next >= place.end;
        self.stage = if self.has_failed || is_over && self.order.sorting == Sorting::Kept {
            Stage::Freeing
        } else if is_over {
            self.fill_heap();
            Stage::Merging(0)
        } else {
            Stage::Gathering(place)
        };
    }

    fn fill_heap(&mut self) {
        for run in 0..self.runs.len() {
            self.push_head(run);
        }
    }

    fn push_head(&mut self, run: usize) {
        let order = self.order;
        if let Some(ranked) = self.runs[run].next() {
            self.heap.push(Reverse(Head { order, ranked, run }));
        }
    }

    /// Shows the next elements of the result.
    fn merge(&mut self, resp: Resp) {
        let Stage::Merging(mut passed) = self.stage else {
            return;
        };
        let end = self.window.end.min(passed + WALK_STEP_ELEMENTS / 2);
        let mut bytes = 0;
        while passed < end
            && bytes < WALK_STEP_BYTES
            && let Some(Reverse(head)) = self.heap.pop()
        {
            self.push_head(head.run);
            if passed >= self.window.start {
                self.show(Element::Bytes(&head.ranked.element), resp);
            }
            bytes += head.ranked.element.len();
            passed += 1;
        }
        self.stage = if passed >= self.window.end || self.heap.is_empty() {
            Stage::Freeing
        } else {
            Stage::Merging(passed)
        };
    }

    /// Adds an element to the result.
    fn show(&mut self, element: Element<'_>, resp: Resp) {
        let whole = [true];
        let patterns = if self.patterns.is_empty() {
            &whole[..]
        } else {
            &self.patterns[..]
        };
        for is_shown in patterns {
            self.found_count += 1;
            let shown = is_shown.then_some(element);
            if self.target.is_some() {
                let stored = shown.unwrap_or(Element::Bytes(b""));
                self.stored.push(End::Tail, stored, &self.rule);
            } else if let Some(element) = shown {
                write_element(&mut self.found.reply(resp), element);
            } else {
                self.found.reply(resp).null();
            }
        }
    }
}

impl Work for SortSteps {
    fn step(&mut self, _shard: &mut Shard, loans: &mut [Loan], resp: Resp) -> bool {
        match &mut self.stage {
            Stage::Gathering(_) => self.gather(loans.first().and_then(Loan::value), resp),
            Stage::Merging(_) => self.merge(resp),
            Stage::Freeing => {
                self.heap.clear();
                self.runs.pop();
            }
        }
        self.found.cut();
        !matches!(self.stage, Stage::Freeing) || !self.heap.is_empty() || !self.runs.is_empty()
    }

    fn finish(
        self: Box<Self>,
        place: &mut Place<'_, '_>,
        args: Args<'_>,
    ) -> Result<Option<LongEnd>, CommandError> {
        if self.has_failed {
            return Err(NOT_A_NUMBER);
        }
        let (count, resp) = (self.found_count, place.reply.resp);
        let Some(target) = self.target else {
            let pieces = self.found.end(resp, |reply| reply.array(count));
            return Ok(Some(LongEnd::Pieces(pieces)));
        };
        place.borrow(args.word(target));
        let value = (count > 0).then(|| self.stored.into_value());
        place.put(args.word(target), value, stored(count));
        place.reply.integer(base::cast::i64_from(count));
        Ok(None)
    }
}

impl Rest {
    /// Shows the elements of a step.
    fn take(&mut self, value: Option<&Value>, each: &mut dyn FnMut(Element<'_>)) {
        let (next, left) = (self.next, self.end.saturating_sub(self.next));
        let count = left.min(RUN_LEN);
        let backwards = |len: usize| len - next - count..len - next;
        match value {
            Some(Value::List(list)) if self.is_reverse => {
                let from = list.iter_from(backwards(list.len()).start).take(count);
                let elements: Vec<Element<'_>> = from.collect();
                elements.into_iter().rev().for_each(each);
                self.next += count;
            }
            Some(Value::List(list)) => {
                list.iter_from(next).take(count).for_each(each);
                self.next += count;
            }
            Some(Value::SortedSet(set)) => {
                let ranks = if self.is_reverse {
                    backwards(set.len())
                } else {
                    next..next + count
                };
                let pairs = set.pairs(ranks, self.is_reverse);
                pairs.for_each(|(member, _)| each(member));
                self.next += count;
            }
            Some(Value::Set(set)) => self.take_of_set(set, count, each),
            Some(_) | None => self.next = self.end,
        }
    }

    fn take_of_set(&mut self, set: &Set, count: usize, each: &mut dyn FnMut(Element<'_>)) {
        let (wanted, mut seen) = (self.next..self.end, self.seen);
        self.cursor = scan_part(set, self.cursor, count, &mut |member| {
            if wanted.contains(&seen) {
                each(member);
            }
            seen += 1;
        });
        self.seen = seen;
        if self.cursor == 0 || seen >= self.end {
            self.next = self.end;
        }
    }
}

impl Order {
    /// Compares two elements; those that are equal stay in the order in which they were gathered.
    fn compare(&self, left: &Ranked, right: &Ranked) -> Ordering {
        self.directed(match self.sorting {
            Sorting::Numbers => {
                compare_numbers((left.weight, &left.element), (right.weight, &right.element))
            }
            Sorting::Texts | Sorting::Kept => self.compare_texts(&left.element, &right.element),
        })
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        let elements = self.order.compare(&self.ranked, &other.ranked);
        elements.then_with(|| self.run.cmp(&other.run))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Head {}
