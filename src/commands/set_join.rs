//! SINTER, SUNION and SDIFF of large sets, a step at a time.
//!
//! How many members there are is known only when all were looked at, and stands before them. So they gather as
//! encoded bytes while sets are walked over; then the number is written in front, the sets go back to their keys,
//! and the rest is a matter of bytes.
//!
//! Invariant: a step looks at a bounded number of members, fewer the more sets each has to be looked for in.
//!
//! Not here: small sets, and the commands that store what they find, which are done in one go
//! ([`crate::set_algebra`]).

use protocol::reply::{Reply, Resp};
use types::listpack::Element;
use types::set::Set;
use types::{Typed, Value};

use crate::counted::write_element;
use crate::pieces::Pieces;
use crate::steps::{LONG_WALK_ELEMENTS_MIN, WALK_STEP_BYTES, WALK_STEP_ELEMENTS};

/// With more sets than this all is done in one go: members are then not looked for in each.
pub(crate) const JOINED_SETS_MAX: usize = 8;

/// What is sought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Intersection,
    Union,
    Difference,
}

/// A walk over sets.
#[derive(Debug)]
pub(crate) struct SetJoin {
    operation: Operation,
    /// Numbers of the values that take part: those that are walked over come first, in order.
    sets: Vec<usize>,
    /// Place in `sets` of the one that is walked over, and where in it.
    at: usize,
    cursor: u64,
    found: Pieces,
    /// Encoded members that are not in `found` yet.
    bytes: Vec<u8>,
    count: usize,
    is_whole: bool,
}

impl SetJoin {
    /// Plans what takes long: `None` if it is short, or has many sets. `sets` are the values of different keys in
    /// the order of the command, `None` for one that does not exist.
    pub(crate) fn plan(operation: Operation, sets: &[Option<&Set>]) -> Option<Self> {
        if sets.len() > JOINED_SETS_MAX {
            return None;
        }
        let len = |number: &usize| sets[*number].map_or(0, Set::len);
        let mut order: Vec<usize> = (0..sets.len()).collect();
        let walked: usize = match operation {
            Operation::Intersection => {
                order.sort_by_key(len);
                order.first().map_or(0, len)
            }
            Operation::Union => {
                order.retain(|number| sets[*number].is_some());
                // The largest need not be looked for in any other.
                order.sort_by_key(|number| usize::MAX - len(number));
                order.iter().map(len).sum()
            }
            Operation::Difference => {
                let others = order.get_mut(1..)?;
                // The largest is the likeliest to have a member.
                others.sort_by_key(|number| usize::MAX - len(number));
                order.first().map_or(0, len)
            }
        };
        (walked >= LONG_WALK_ELEMENTS_MIN).then(|| Self {
            operation,
            sets: order,
            at: 0,
            cursor: 0,
            found: Pieces::default(),
            bytes: Vec::new(),
            count: 0,
            is_whole: false,
        })
    }

    /// Looks at some members. Returns whether there is more to come, from here or from [`SetJoin::take_rest`].
    pub(crate) fn step(&mut self, values: &[Option<&Value>], resp: Resp) -> bool {
        let set_of = |number: &usize| values.get(*number).copied().flatten().and_then(Set::of);
        let sets: Vec<Option<&Set>> = self.sets.iter().map(set_of).collect();
        let walked_count = match self.operation {
            Operation::Union => sets.len(),
            Operation::Intersection | Operation::Difference => 1,
        };
        if let Some(&set) = sets.get(self.at)
            && self.at < walked_count
        {
            self.cursor = set.map_or(0, |set| self.walk(set, &sets, resp));
            self.at += usize::from(self.cursor == 0);
        }
        if self.bytes.len() >= WALK_STEP_BYTES {
            let next = Vec::with_capacity(WALK_STEP_BYTES + WALK_STEP_BYTES / 4);
            self.found.bytes(std::mem::replace(&mut self.bytes, next));
        }
        if self.at >= walked_count {
            self.end(resp);
        }
        true
    }

    /// Looks at some members of the set that is walked over. Returns the cursor to go on from.
    fn walk(&mut self, set: &Set, sets: &[Option<&Set>], resp: Resp) -> u64 {
        let (operation, at) = (self.operation, self.at);
        let is_found = |member: Element<'_>| match operation {
            Operation::Intersection => {
                let mut others = sets.iter().skip(1);
                others.all(|other| other.is_some_and(|other| other.contains(member)))
            }
            Operation::Union => {
                let mut before = sets.iter().take(at).flatten();
                !before.any(|other| other.contains(member))
            }
            Operation::Difference => {
                let mut others = sets.iter().skip(1).flatten();
                !others.any(|other| other.contains(member))
            }
        };
        let (bytes, count) = (&mut self.bytes, &mut self.count);
        let mut reply = Reply::new(bytes, resp);
        let limit = (WALK_STEP_ELEMENTS / sets.len().max(1)).max(1);
        set.scan(self.cursor, limit, &mut |member| {
            if is_found(member) {
                write_element(&mut reply, member);
                *count += 1;
            }
        })
    }

    fn end(&mut self, resp: Resp) {
        self.found.bytes(std::mem::take(&mut self.bytes));
        let mut head = Vec::new();
        Reply::new(&mut head, resp).set(self.count);
        self.found.bytes_first(head);
        self.is_whole = true;
    }

    /// Returns the reply, if all members were looked at.
    pub(crate) fn take_rest(&mut self) -> Option<Pieces> {
        self.is_whole.then(|| std::mem::take(&mut self.found))
    }
}
