//! SINTERSTORE, SUNIONSTORE and SDIFFSTORE of large sets, a step at a time.
//!
//! The result is made beside the sets and put in place when it is whole.
//!
//! Invariant: the result has the encoding that it would have if it were made in one go.
//!
//! Not here: small sets ([`crate::set_algebra`]), and the commands that show what they find ([`crate::set_join`]).

use protocol::args::Args;
use protocol::reply::Resp;
use shard::Shard;
use shard::effects::{Change, EventClass};
use shard::loan::Loan;
use types::Typed;
use types::listpack::Element;
use types::memory::allocated_bytes;
use types::set::{Rules, Set};

use crate::error::CommandError;
use crate::long_change::{LongEnd, Place, Work};
use crate::set_join::Operation;
use crate::steps::{WALK_STEP_BYTES, WALK_STEP_ELEMENTS, is_long};

/// See the head of this file. Sets are named by the numbers of their values.
#[derive(Debug)]
pub(crate) struct SetSteps {
    operation: Operation,
    /// Those that are walked over, one after the other; then those whose members leave the result again.
    walked: Vec<usize>,
    /// How many of `walked` add members.
    adding_count: usize,
    /// Those that decide whether a member is added.
    others: Vec<usize>,
    /// Place in `walked` of the one that is walked over, and where in it.
    at: usize,
    cursor: u64,
    result: Set,
    rules: Rules,
    event: &'static str,
}

impl SetSteps {
    /// Plans what takes long; `None` if it is short. `sets` are the values of different keys in the order of the
    /// command, `None` for one that does not exist. For a difference `probes` says whether each member of the first
    /// set is looked for in all others.
    pub(crate) fn plan(
        (operation, event): (Operation, &'static str),
        sets: &[Option<&Set>],
        probes: bool,
        rules: Rules,
    ) -> Option<Self> {
        let len = |number: &usize| sets[*number].map_or(0, Set::len);
        let mut walked: Vec<usize> = (0..sets.len()).collect();
        let mut others = Vec::new();
        let mut adding_count = walked.len();
        match operation {
            Operation::Intersection => {
                walked.sort_by_key(len);
                others = walked.split_off(1.min(walked.len()));
                adding_count = 1;
            }
            Operation::Union => {}
            Operation::Difference => {
                sets.first().copied().flatten()?;
                let mut rest = walked.split_off(1);
                // The largest is the likeliest to have a member.
                rest.sort_by_key(|number| usize::MAX - len(number));
                adding_count = 1;
                if probes {
                    others = rest;
                } else {
                    walked.append(&mut rest);
                }
            }
        }
        let sum = |of: &dyn Fn(&Set) -> usize| -> usize {
            let sets = walked.iter().filter_map(|number| sets[*number]);
            sets.map(of).sum()
        };
        let members = sum(&Set::len);
        is_long(
            members,
            members,
            sum(&|set| set.allocated_bytes(allocated_bytes)),
        )
        .then(|| Self {
            operation,
            walked,
            adding_count,
            others,
            at: 0,
            cursor: 0,
            result: Set::default(),
            rules,
            event,
        })
    }
}

impl Work for SetSteps {
    fn step(&mut self, _shard: &mut Shard, loans: &mut [Loan], _resp: Resp) -> bool {
        let set_of = |number: &usize| loans.get(*number).and_then(Loan::value).and_then(Set::of);
        let others: Vec<Option<&Set>> = self.others.iter().map(set_of).collect();
        let Some(number) = self.walked.get(self.at) else {
            return false;
        };
        let (operation, result, rules) = (self.operation, &mut self.result, &self.rules);
        let adds = self.at < self.adding_count;
        let has = |other: &Option<&Set>, member: Element<'_>| {
            other.is_some_and(|other| other.contains(member))
        };
        let mut take = |member: Element<'_>| {
            if !adds {
                result.remove(member);
                return;
            }
            let is_in = match operation {
                Operation::Intersection => others.iter().all(|other| has(other, member)),
                Operation::Union => true,
                Operation::Difference => !others.iter().any(|other| has(other, member)),
            };
            if is_in {
                result.add(member, rules);
            }
        };
        let limit = WALK_STEP_ELEMENTS / (1 + others.len());
        self.cursor = match set_of(number) {
            Some(set) => scan_part(set, self.cursor, limit, &mut take),
            None => 0,
        };
        self.at += usize::from(self.cursor == 0);
        self.at < self.walked.len()
    }

    fn finish(
        self: Box<Self>,
        place: &mut Place<'_, '_>,
        args: Args<'_>,
    ) -> Result<Option<LongEnd>, CommandError> {
        let (count, event) = (self.result.len(), (EventClass::SET, self.event));
        let value = (count > 0).then(|| self.result.into_value());
        let change = Change::of(1, event.0, event.1);
        place.put(args.word(1), value, (change, event));
        place.reply.integer(base::cast::i64_from(count));
        Ok(None)
    }
}

/// As [`Set::scan`], of sets that nobody changes between two calls: an intset is shown in parts too, and fewer
/// members if they are long.
pub(crate) fn scan_part(
    set: &Set,
    cursor: u64,
    count: usize,
    each: &mut dyn FnMut(Element<'_>),
) -> u64 {
    if let Some(intset) = set.as_intset() {
        let begin = base::cast::usize_from(cursor);
        let end = intset.len().min(begin + count.max(1));
        let values = (begin..end).filter_map(|index| intset.get(index));
        values.for_each(|value| each(Element::Integer(value)));
        return if end < intset.len() {
            base::cast::u64_from(end)
        } else {
            0
        };
    }
    let mean = set.allocated_bytes(allocated_bytes) / set.len().max(1);
    set.scan(
        cursor,
        count.min(WALK_STEP_BYTES / mean.max(1)).max(1),
        each,
    )
}
