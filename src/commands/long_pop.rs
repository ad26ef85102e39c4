//! ZPOPMIN, ZPOPMAX and SPOP of many members that are not all, a step at a time.
//!
//! Not here: few members, which are taken at once; all members, which are taken with their value ([`crate::taken`]).

use base::random::Random;
use protocol::args::Args;
use protocol::reply::{Reply, Resp};
use shard::Shard;
use shard::effects::{Change, EventClass};
use shard::loan::Loan;
use types::Typed;
use types::set::{Rules, Set};
use types::sorted_set::SortedSet;

use crate::counted::{write_element, write_pair};
use crate::error::CommandError;
use crate::long_change::{LongEnd, Place, Work};
use crate::pieces::Gathering;
use crate::sorted_set_words::write_pairs_line;
use crate::steps::{WALK_STEP_BYTES, WALK_STEP_ELEMENTS};
use crate::taken::{Order, Taken};

/// A set that keeps less than this part of what leaves it is made anew of what it keeps.
const KEPT_PART: usize = 5;

/// Members of a set that a step removes, which costs more than showing them; half as many of a sorted set.
const STEP_MEMBERS: usize = WALK_STEP_ELEMENTS / 2;

/// Members of a sorted set from one end.
#[derive(Debug)]
pub(crate) struct RankedPop {
    is_from_high: bool,
    event: &'static str,
    count: usize,
    left: usize,
    found: Gathering,
}

impl RankedPop {
    /// Plans to take `count` members, fewer than there are, from the low or the high end.
    pub(crate) fn new((is_from_high, event): (bool, &'static str), count: usize) -> Self {
        Self {
            is_from_high,
            event,
            count,
            left: count,
            found: Gathering::default(),
        }
    }
}

impl Work for RankedPop {
    fn step(&mut self, _shard: &mut Shard, loans: &mut [Loan], resp: Resp) -> bool {
        let (is_from_high, found) = (self.is_from_high, &mut self.found);
        let wanted = self.left.min(STEP_MEMBERS / 2);
        let take = |set: &mut SortedSet| {
            let (len, mut taken) = (set.len(), 0);
            let ranks = if is_from_high {
                len.saturating_sub(wanted)..len
            } else {
                0..wanted.min(len)
            };
            let mut reply = found.reply(resp);
            let bytes_end = reply.out.len() + WALK_STEP_BYTES;
            for (member, score) in set.pairs(ranks, is_from_high) {
                write_pair(&mut reply, member, score, true);
                taken += 1;
                if reply.out.len() >= bytes_end {
                    break;
                }
            }
            set.remove_range(if is_from_high {
                len - taken..len
            } else {
                0..taken
            });
            (taken, Change::NONE)
        };
        let loan = loans.first_mut();
        let taken = loan.and_then(|loan| loan.edit(take).ok().flatten());
        let taken = taken.unwrap_or(0);
        self.found.cut();
        self.left -= taken;
        self.left > 0 && taken > 0
    }

    fn finish(
        self: Box<Self>,
        place: &mut Place<'_, '_>,
        args: Args<'_>,
    ) -> Result<Option<LongEnd>, CommandError> {
        let (count, resp) = (self.count, place.reply.resp);
        if let Some(loan) = place.loan(args.word(1)) {
            loan.note(Change::of(count, EventClass::SORTED_SET, self.event));
        }
        let head = |reply: &mut Reply<'_>| write_pairs_line(reply, count, true);
        Ok(Some(LongEnd::Pieces(self.found.end(resp, head))))
    }
}

/// Members of a set by chance.
///
/// If few stay, those are drawn instead and make a new set, which may be an intset again; the old one is the reply.
#[derive(Debug)]
pub(crate) struct DrawnPop {
    count: usize,
    /// Members still to be drawn.
    left: usize,
    kept: Option<Set>,
    rules: Rules,
    random: Random,
    found: Gathering,
}

impl DrawnPop {
    /// Plans to take `count` of `len` members, fewer than there are, by a chance that follows from `random`.
    pub(crate) fn new(count: usize, len: usize, rules: Rules, random: &mut Random) -> Self {
        let stay = len - count;
        let keeps_few = stay.saturating_mul(KEPT_PART) <= count;
        Self {
            count,
            left: if keeps_few { stay } else { count },
            kept: keeps_few.then(Set::default),
            rules,
            random: Random::new(random.next_u64()),
            found: Gathering::default(),
        }
    }
}

impl Work for DrawnPop {
    fn step(&mut self, _shard: &mut Shard, loans: &mut [Loan], resp: Resp) -> bool {
        let Self {
            left,
            kept,
            rules,
            random,
            found,
            ..
        } = self;
        let draw = |set: &mut Set| {
            let mut reply = found.reply(resp);
            let bytes_end = reply.out.len() + WALK_STEP_BYTES;
            let least = left.saturating_sub(STEP_MEMBERS);
            while *left > least && reply.out.len() < bytes_end && !set.is_empty() {
                set.pop(random, &mut |member| match kept {
                    Some(kept) => {
                        kept.add(member, rules);
                    }
                    None => write_element(&mut reply, member),
                });
                *left -= 1;
            }
            (!set.is_empty(), Change::NONE)
        };
        let loan = loans.first_mut();
        let has_more = loan.and_then(|loan| loan.edit(draw).ok().flatten());
        self.found.cut();
        self.left > 0 && has_more == Some(true)
    }

    fn finish(
        self: Box<Self>,
        place: &mut Place<'_, '_>,
        args: Args<'_>,
    ) -> Result<Option<LongEnd>, CommandError> {
        let (count, resp) = (self.count, place.reply.resp);
        let change = Change::of(count, EventClass::SET, "spop");
        let loan = place.loan(args.word(1));
        let Some(kept) = self.kept else {
            if let Some(loan) = loan {
                loan.note(change);
            }
            let pieces = self.found.end(resp, |reply| reply.set(count));
            return Ok(Some(LongEnd::Pieces(pieces)));
        };
        let swap = |set: &mut Set| (std::mem::replace(set, kept), change);
        let whole = loan.and_then(|loan| loan.edit(swap).ok().flatten());
        let mut head = Vec::new();
        Reply::new(&mut head, resp).set(count);
        let whole = whole.unwrap_or_default().into_value();
        Ok(Some(LongEnd::Taken(Taken::new(
            head,
            whole,
            Order::Scan(0),
        ))))
    }
}
