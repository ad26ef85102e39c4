//! Table statements that a shard hands back, and what their clients have sent behind them.
//!
//! ```text
//! shard                                          core of the connection
//! S1 needs other shards   --- Long{Statement} -->  keeps S1
//! S2 of the same client   --- Long{Statement} -->  keeps S2 behind it
//! nothing goes back any more  <--- Noticed ------  has sent nothing since it got S1
//! ```
//! S2 may be one that this shard could run: it would overtake S1. So all statements of a client go back from the moment
//! that one does, those that wait here included, until its core says that it knows: what it sent before has come then,
//! as messages of a lane keep their order, and what it sends later comes when S1 is done.
//!
//! Not here: statements that go back with a claim on their table, which nothing overtakes (`walks`); what the core does
//! with them (`server::statements`).

use base::ids::ShardId;
use commands::spec::{Plan, Spread};
use runtime::clock::monotonic;
use runtime::faults::{self, Fault};

use super::{Host, Parked, Ran};
use crate::long_reply::Source;
use crate::message::{Origin, OwnedRequest, Request};

impl Host {
    /// Notes that a statement of `asker`, a connection and its core, goes back without a claim. O(what is parked).
    pub(crate) fn begin_return(&mut self, asker: (ShardId, u64)) {
        if self.has_returned(asker) || faults::is_on(Fault::ReturnOvertaken) {
            return;
        }
        self.returned.push(asker);
        for parked in self.parked.values_mut() {
            if let Parked::Single {
                from,
                origin,
                request,
                goes_back,
            } = parked
                && (*from, origin.connection) == asker
            {
                *goes_back = is_statement(&request.as_request());
            }
        }
    }

    /// Returns whether statements of a connection go back.
    #[must_use]
    pub fn has_returned(&self, asker: (ShardId, u64)) -> bool {
        self.returned.contains(&asker)
    }

    /// Returns whether a request that has come is to be handed back.
    pub(super) fn goes_back(&self, asker: (ShardId, u64), request: &Request<'_>) -> bool {
        is_statement(request) && self.has_returned(asker)
    }

    /// Takes the word of a core that it knows what has gone back.
    pub(super) fn end_return(&mut self, asker: (ShardId, u64)) {
        self.returned.retain(|it| *it != asker);
    }

    /// Hands a statement back that has not run.
    pub(super) fn hand_back(&mut self, to: ShardId, origin: Origin, request: OwnedRequest) {
        let started = monotonic();
        let ran = Ran {
            to,
            origin,
            request,
            started,
        };
        self.send_long(ran, Source::Statement(None));
    }
}

fn is_statement(request: &Request<'_>) -> bool {
    matches!(request.command.spread, Spread::Plan(Plan::Table(_)))
}
