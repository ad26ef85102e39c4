//! ZINTERSTORE, ZINTER and their kin of large sets, a step at a time.
//!
//! ```text
//! union         walk over all sources, add up scores in a table -> make the result of that -> free the table
//! intersection  walk over the smallest, look for each member in the others -> the result
//! difference    walk over the first, look for each member in the others -> the result
//! ```
//!
//! The result is made beside the sources, and put in place, or shown, when it is whole.
//!
//! Invariant: scores are added in the order in which it is done in one go; see [`crate::sorted_set_algebra`].
//!
//! Not here: small sets, words ([`crate::sorted_set_algebra`]).

use base::hash::KeyHasher;
use protocol::args::Args;
use protocol::reply::{Reply, Resp};
use shard::Shard;
use shard::effects::{Change, EventClass};
use shard::loan::Loan;
use types::Typed;
use types::sorted_set::{Rules, SortedSet};
use types::table::Table;

use crate::error::CommandError;
use crate::long_change::{LongEnd, Place, Work};
use crate::sorted_set_scores::{Aggregate, Members, Operation, Sum, common_score};
use crate::sorted_set_words::write_pairs_line;
use crate::steps::WALK_STEP_ELEMENTS;
use crate::taken::{Order, Taken};

/// What becomes of the result.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ending {
    /// It goes to the key of word 1, which this event tells of.
    Store(&'static str),
    /// It is the reply.
    Show { with_scores: bool },
}

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct SortedSetSteps {
    operation: Operation,
    aggregate: Aggregate,
    /// Numbers of the values and their weights, in the order in which scores are added; those that are walked over
    /// come first.
    sources: Vec<(usize, f64)>,
    stage: Stage,
    sums: Table<Sum>,
    result: SortedSet,
    rules: Rules,
    ending: Ending,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Over the source of this place in `sources`, from a cursor on.
    Walking {
        at: usize,
        cursor: u64,
    },
    /// Over the sums, from a cursor on.
    Adding(u64),
    Freeing,
}

impl SortedSetSteps {
    /// Plans an operation on the values of these numbers, in the order in which scores are added.
    pub(crate) fn new(
        (operation, aggregate): (Operation, Aggregate),
        sources: Vec<(usize, f64)>,
        rules: Rules,
        ending: Ending,
    ) -> Self {
        Self {
            operation,
            aggregate,
            sources,
            stage: Stage::Walking { at: 0, cursor: 0 },
            sums: Table::new(KeyHasher::new(rules.hash_seed)),
            result: SortedSet::new(),
            rules,
            ending,
        }
    }

    fn step_on(&mut self, loans: &[Loan]) -> bool {
        match self.stage {
            Stage::Walking { at, cursor } => {
                let cursor = self.walk(loans, at, cursor);
                let at = at + usize::from(cursor == 0);
                let is_union = self.operation == Operation::Union;
                let walked_count = if is_union { self.sources.len() } else { 1 };
                if at < walked_count {
                    self.stage = Stage::Walking { at, cursor };
                } else if is_union {
                    self.stage = Stage::Adding(0);
                } else {
                    return false;
                }
                true
            }
            Stage::Adding(cursor) => {
                let (result, rules) = (&mut self.result, &self.rules);
                let limit = WALK_STEP_ELEMENTS / 2;
                let cursor = self.sums.scan(cursor, limit, &mut |sum| {
                    result.set(&sum.member, sum.score, rules);
                });
                self.stage = if cursor == 0 {
                    Stage::Freeing
                } else {
                    Stage::Adding(cursor)
                };
                true
            }
            Stage::Freeing => self.sums.free_step(WALK_STEP_ELEMENTS),
        }
    }

    /// Takes some members of a source. Returns the cursor to go on from.
    fn walk(&mut self, loans: &[Loan], at: usize, cursor: u64) -> u64 {
        let members_of = |number: usize| Members::of_value(loans.get(number).and_then(Loan::value));
        let Some(&(number, weight)) = self.sources.get(at) else {
            return 0;
        };
        let (aggregate, sums) = (self.aggregate, &mut self.sums);
        let (result, rules) = (&mut self.result, &self.rules);
        let others = self.sources.iter().skip(1);
        let others: Vec<(Members<'_>, f64)> = others
            .map(|&(number, weight)| (members_of(number).unwrap_or(Members::None), weight))
            .collect();
        let source = members_of(number).unwrap_or(Members::None);
        let probed_limit = WALK_STEP_ELEMENTS / 2 / (1 + others.len());
        match self.operation {
            Operation::Union => {
                source.scan(cursor, WALK_STEP_ELEMENTS / 2, &mut |member, score| {
                    member.with_bytes(|bytes| Sum::add(sums, bytes, score * weight, aggregate));
                })
            }
            Operation::Intersection => source.scan(cursor, probed_limit, &mut |member, score| {
                member.with_bytes(|bytes| {
                    if let Some(score) = common_score(bytes, score * weight, &others, aggregate) {
                        result.set(bytes, score, rules);
                    }
                });
            }),
            Operation::Difference => source.scan(cursor, probed_limit, &mut |member, score| {
                member.with_bytes(|bytes| {
                    if others.iter().all(|(other, _)| other.score(bytes).is_none()) {
                        result.set(bytes, score, rules);
                    }
                });
            }),
        }
    }
}

impl Work for SortedSetSteps {
    fn step(&mut self, _shard: &mut Shard, loans: &mut [Loan], _resp: Resp) -> bool {
        self.step_on(loans)
    }

    fn finish(
        self: Box<Self>,
        place: &mut Place<'_, '_>,
        args: Args<'_>,
    ) -> Result<Option<LongEnd>, CommandError> {
        let len = self.result.len();
        match self.ending {
            Ending::Store(name) => {
                let event = (EventClass::SORTED_SET, name);
                let value = (len > 0).then(|| self.result.into_value());
                let change = Change::of(1, event.0, event.1);
                place.put(args.word(1), value, (change, event));
                place.reply.integer(base::cast::i64_from(len));
                Ok(None)
            }
            Ending::Show { with_scores } => {
                let mut head = Vec::new();
                let mut reply = Reply::new(&mut head, place.reply.resp);
                write_pairs_line(&mut reply, len, with_scores);
                let order = Order::Ranked {
                    shown: 0,
                    is_reverse: false,
                    with_scores,
                };
                let taken = Taken::new(head, self.result.into_value(), order);
                Ok(Some(LongEnd::Taken(taken)))
            }
        }
    }
}
