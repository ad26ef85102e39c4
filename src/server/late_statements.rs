//! Table statements that their connections do not wait for.
//!
//! Not here: who adds and runs them (`statements`).

use std::collections::VecDeque;

use base::hash::Map;
use coordinator::message::{Origin, OwnedRequest};

/// Such statements by the bits of their connection, in the order in which they came back: the first of each runs.
#[derive(Debug, Default)]
pub(crate) struct LateStatements {
    pub(crate) queues: Map<u64, VecDeque<(Origin, Box<OwnedRequest>)>>,
}
