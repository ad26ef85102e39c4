//! Long replies between the shard of their key and the core of their connection.
//!
//! A command whose reply is long ends with what makes the reply in steps (`commands::long_reply`). The
//! steps are taken on the core of the connection, which knows how fast the client reads; so what they
//! need goes there.
//!
//! ```text
//! shard                                     core of the connection
//! run, claim the key, take its value out
//!   Long{walk, value}            --------->  a step per turn, while the client reads
//! somebody waits for the key
//!   Wanted                       --------->  a step per turn, whether it reads or not
//! put the value back, release    <---------  Return{value}
//! ```
//!
//! Shares of strings, and what has left its key, need no claim and no way back. A walk that needs its values no more ends
//! there, and what is left of its reply are bytes.
//!
//! Invariants
//! - The claim is exclusive, and is taken in the same call in which the command has run: what comes later
//!   waits, so the reply shows the value as the command met it.
//! - The value comes back whether or not the client is there to the end.
//! - Nobody waits for a client: once somebody waits for the key the reply is made without its reading.
//!
//! Not here: how a reply begins and ends at its shard (`walks`), the steps themselves
//! (`server::long_replies`).

use base::ids::{DbIndex, ShardId, TxId};
use commands::long_reply::Walk;
use commands::pieces::Pieces;
use commands::taken::Taken;
use protocol::reply::{Reply, Resp};
use shard::loan::Loan;
use types::Value;

/// What makes a long reply.
#[derive(Debug)]
pub enum Source {
    /// Bytes and shares.
    Pieces(Pieces),
    /// A walk over values.
    Walk(Box<WalkSource>),
    /// What has left its key.
    Taken(Box<Taken>),
    /// A table statement, which is to run as a program. If all its rows are on one shard, that has claimed
    /// its table for this transaction.
    Statement(Option<(ShardId, TxId)>),
}

/// A walk with the values that were taken out for it.
#[derive(Debug)]
pub struct WalkSource {
    pub(crate) walk: Walk,
    pub(crate) tx: TxId,
    pub(crate) db: DbIndex,
    pub(crate) loans: Box<[Loan]>,
    pub(crate) home: ShardId,
}

/// What is left of a source when it is over.
#[derive(Debug)]
pub enum Left {
    /// Nothing.
    Nothing,
    /// The values of a walk, which go back.
    Back(Back),
    /// What nobody needs and may take long to free.
    Free(Value),
}

/// What goes back when a walk is over.
#[derive(Debug)]
pub struct Back {
    /// The shard.
    pub home: ShardId,
    /// The claim on the keys.
    pub tx: TxId,
    /// The database.
    pub db: DbIndex,
    /// The values.
    pub loans: Box<[Loan]>,
}

/// The values that are away for a long reply.
#[derive(Debug)]
pub(crate) struct GivenWalk {
    pub(crate) tx: TxId,
    pub(crate) to: ShardId,
    pub(crate) is_told: bool,
}

impl Source {
    /// Adds the next part of the reply to `out`. Returns whether there is more. Cost: tens of
    /// microseconds.
    pub fn step(&mut self, out: &mut Vec<u8>, resp: Resp) -> bool {
        match self {
            Self::Pieces(pieces) => pieces.step(out),
            Self::Walk(source) => {
                let values: Vec<_> = source.loans.iter().map(Loan::value).collect();
                source.walk.step(&values, &mut Reply::new(out, resp))
            }
            Self::Taken(taken) => taken.step(&mut Reply::new(out, resp)),
            Self::Statement(_) => false,
        }
    }

    /// Returns whether this is the walk that `tx` keeps a key for.
    #[must_use]
    pub fn is_walk_of(&self, tx: TxId) -> bool {
        matches!(self, Self::Walk(source) if source.tx == tx)
    }

    /// Returns what makes the rest of the reply, if it needs the values of a walk no more: this source can end.
    pub fn take_rest(&mut self) -> Option<Self> {
        match self {
            Self::Walk(source) => source.walk.take_rest().map(Self::Pieces),
            Self::Pieces(_) | Self::Taken(_) | Self::Statement(_) => None,
        }
    }

    /// Ends the reply, complete or not.
    #[must_use]
    pub fn end(self) -> Left {
        match self {
            Self::Pieces(_) | Self::Statement(_) => Left::Nothing,
            Self::Taken(taken) => Left::Free(taken.into_value()),
            Self::Walk(source) => Left::Back(Back {
                home: source.home,
                tx: source.tx,
                db: source.db,
                loans: source.loans,
            }),
        }
    }
}
