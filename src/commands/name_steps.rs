//! KEYS of a large database, a step at a time.
//!
//! What is shown are the names of one moment, that of the command; nothing is claimed meanwhile (`shard::names`).
//!
//! Not here: small databases ([`crate::key_scan`]).

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use base::glob;
use base::ids::DbIndex;
use protocol::args::Args;
use protocol::reply::Resp;
use shard::Shard;
use shard::loan::Loan;
use shard::names::Names;

use crate::error::CommandError;
use crate::long_change::{LongEnd, Place, Work};
use crate::pieces::Gathering;
use crate::steps::WALK_STEP_ELEMENTS;

/// See the head of this file.
pub(crate) struct NameSteps {
    pattern: Box<[u8]>,
    names: Option<Names>,
    found: Rc<RefCell<Found>>,
}

#[derive(Default)]
struct Found {
    names: Gathering,
    count: usize,
}

impl fmt::Debug for NameSteps {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("NameSteps")
    }
}

impl NameSteps {
    /// Plans to show the names that match a pattern.
    pub(crate) fn new(pattern: &[u8]) -> Self {
        Self {
            pattern: pattern.into(),
            names: None,
            found: Rc::default(),
        }
    }
}

impl Work for NameSteps {
    fn needs_claim(&self) -> bool {
        false
    }

    fn begin(&mut self, shard: &mut Shard, db: DbIndex, resp: Resp) {
        let (pattern, found) = (self.pattern.clone(), Rc::clone(&self.found));
        let names = shard.begin_names(db, move |name| {
            if matches(&pattern, name) {
                let mut found = found.borrow_mut();
                found.names.reply(resp).bulk(name);
                found.count += 1;
            }
        });
        self.names = Some(names);
    }

    fn step(&mut self, shard: &mut Shard, _loans: &mut [Loan], _resp: Resp) -> bool {
        let names = self.names.as_ref();
        let has_more = names.is_some_and(|names| shard.names_step(names, WALK_STEP_ELEMENTS));
        self.found.borrow_mut().names.cut();
        has_more
    }

    fn finish(
        self: Box<Self>,
        place: &mut Place<'_, '_>,
        _args: Args<'_>,
    ) -> Result<Option<LongEnd>, CommandError> {
        let Found { names, count } = std::mem::take(&mut *self.found.borrow_mut());
        let pieces = names.end(place.reply.resp, |reply| reply.array(count));
        Ok(Some(LongEnd::Pieces(pieces)))
    }
}

/// Returns whether a key is one of those that a pattern of KEYS or SCAN wants.
pub(crate) fn matches(pattern: &[u8], key: &[u8]) -> bool {
    pattern == b"*" || glob::matches(pattern, key, false)
}
