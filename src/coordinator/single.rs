//! A request for one shard as a program of one hop.
//!
//! Not here: requests that go by envelope, which is nearly all of them. This is for those that bring
//! along what should not be copied.

use base::ids::ShardId;

use crate::message::{Operation, Outcome, OwnedRequest};
use crate::step::{HopOutcome, Program, Step};

/// See the head of this file.
#[derive(Debug)]
pub struct Single {
    shard: ShardId,
    request: Option<Box<OwnedRequest>>,
}

impl Single {
    /// Creates the program of a request that runs on `shard`.
    #[must_use]
    pub fn new(shard: ShardId, request: OwnedRequest) -> Self {
        Self {
            shard,
            request: Some(Box::new(request)),
        }
    }
}

impl Program for Single {
    fn step(&mut self, outcomes: Vec<HopOutcome>) -> Step {
        if let Some(request) = self.request.take() {
            return Step::Hop {
                operations: vec![(self.shard, vec![Operation::Run(request)])],
                last: true,
            };
        }
        let mut given = outcomes.into_iter().flat_map(|hop| hop.outcomes);
        match given.next() {
            Some(Outcome::Reply { bytes, .. }) => Step::Done { reply: bytes },
            _ => unreachable!("a run gives a reply"),
        }
    }
}
