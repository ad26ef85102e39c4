//! What a command that waits for its keys says of itself.
//!
//! Not here: how a handler asks to wait, and timeouts ([`crate::waiting`]).

use std::ops::Range;

use base::ids::DbIndex;
use protocol::args::{Args, PackedArgs};
use shard::Shard;
use shard::waiters::Awaited;

/// Whether a request may wait for its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// It is answered at once, as if its time were over: inside MULTI, in a script.
    Never,
    /// It may ask to wait.
    Possible,
    /// A key that it has waited for has changed. Looking at it does not count as a hit or a miss.
    Again,
    /// Its handler asks to wait.
    Wanted,
}

/// What a command says of its waiting.
#[derive(Debug)]
pub struct WaitForm {
    /// What it waits for at its keys.
    pub awaited: Awaited,
    /// Reads how long a request may wait; nothing if it does not wait, or is malformed there.
    pub timeout: fn(Args<'_>) -> Option<Timeout>,
    /// Returns the words that are keys it waits at, of a request that has asked to wait.
    pub keys: fn(Args<'_>) -> Range<usize>,
    /// Returns the request for one of these keys, given by its word: what runs when it is ready.
    pub narrow: fn(&mut Shard, DbIndex, Args<'_>, usize) -> PackedArgs,
    /// Returns whether the narrowed request would be answered, be it by an error.
    pub is_ready: fn(&mut Shard, DbIndex, &[u8], Args<'_>) -> bool,
}

/// How long a request waits, in milliseconds; nothing for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout(pub Option<u64>);
