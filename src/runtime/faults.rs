//! Faults that a simulation may switch on, to prove that its checkers find them.
//!
//! Each names what some part does wrong on purpose, and where. Outside of simulations none can be
//! on: the question is a constant, and the wrong branch is not compiled.
//!
//! Not here: the wrong behaviour itself, which stands where the right one is.

/// What a part does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A shard does not run what became free when a transaction left.
    WakeLost,
    /// A shard claims all keys of a transaction but one.
    IntentMissing,
    /// A shard accepts a claim although a larger id has come and gone.
    LateAccepted,
    /// A core runs its own clients' requests although a transaction has claimed their keys.
    RunInside,
    /// A coordinator sends the first hop when one shard has accepted, not when all have.
    HopEarly,
    /// A shard runs a hop although smaller ids that conflict are before it.
    OrderIgnored,
    /// A shard releases a claim with the first hop instead of the last.
    ReleaseEarly,
    /// EXEC runs although a watched key has changed.
    WatchUnchecked,
    /// A coordinator comes back with a new id and leaves the refused claims where they are.
    WithdrawalLost,
    /// A lane between two cores gives messages in another order than they were sent.
    LaneReordered,
    /// A core that was sent to is not woken.
    DoorbellLost,
    /// A transaction gets in front of a request that the same client has sent before it.
    OvertakesItself,
    /// A coordinator does not claim on its own shard what it sends another one with its claim.
    PairUnclaimed,
    /// Those who wait for a key are served from the end of the queue.
    LastComeFirst,
    /// Who has been served stays in the queues.
    WaiterKept,
    /// A request that looks at an offer takes another one too.
    SecondOfferTaken,
    /// A shard does not look at a key again when an offer of it has come to nothing, or was too little.
    OfferEndMissed,
    /// A key that is offered to who waits for it is claimed behind all who came later.
    OfferBehind,
    /// Scripts that write claim their keys as if they only read.
    ScriptShares,
    /// A change of a table's schema is not applied on the last shard.
    ChangeHalfDone,
    /// A table that spreads claims its name as if it were only read.
    GrowthUnclaimed,
    /// A table that spreads loses a row on the way.
    RowForgotten,
    /// A statement does not wait for those of its client that are on their way to a table that has spread.
    StatementOvertakes,
    /// A statement that waits on the core of its client is not noted as under way.
    OwnUnnoted,
    /// A plan that has turned out to be too old is made anew without claiming again.
    OldPlanKept,
    /// A shard runs statements of a client behind one that it has handed back.
    ReturnOvertaken,
    /// The shard of a table's name is not told that rows have changed.
    TableUnnoted,
    /// Shards are not asked whether they have a unique value that another shard's row gets.
    UniqueUnasked,
    /// A statement changes its rows shard by shard, and gives its claims back in between.
    UpdateInHalves,
    /// A sync brings nothing to the disk and says that it did.
    SyncSkipped,
    /// Replies and messages leave before the records are on the disk.
    ReplyBeforeSync,
    /// A sync that failed is taken for one that did not.
    SyncErrorIgnored,
    /// A write that failed is taken for one that did not.
    WriteErrorIgnored,
    /// A record of the log is taken for whole although its checksum is another one.
    TornTailAccepted,
    /// A start goes on from what a killed process has written, and does not bring it to the disk.
    TailUnsynced,
    /// A start takes parts of transactions over several shards that are not whole.
    PartsUnchecked,
    /// The snapshots of a save begin without a claim on the shards.
    CutUnclaimed,
    /// A file takes the place of another before it is on the disk.
    FileUnsynced,
    /// The manifest names a new base before that is written.
    ManifestEarly,
    /// A core goes over to the next generation before its old file is on the disk.
    OldLogUnsynced,
    /// A start leaves what a killed save has left.
    LeftOverKept,
}

/// All faults.
pub const ALL: [Fault; 41] = [
    Fault::WakeLost,
    Fault::IntentMissing,
    Fault::LateAccepted,
    Fault::RunInside,
    Fault::HopEarly,
    Fault::OrderIgnored,
    Fault::ReleaseEarly,
    Fault::WatchUnchecked,
    Fault::WithdrawalLost,
    Fault::LaneReordered,
    Fault::DoorbellLost,
    Fault::OvertakesItself,
    Fault::PairUnclaimed,
    Fault::LastComeFirst,
    Fault::WaiterKept,
    Fault::SecondOfferTaken,
    Fault::OfferEndMissed,
    Fault::OfferBehind,
    Fault::ScriptShares,
    Fault::ChangeHalfDone,
    Fault::GrowthUnclaimed,
    Fault::RowForgotten,
    Fault::StatementOvertakes,
    Fault::OwnUnnoted,
    Fault::OldPlanKept,
    Fault::ReturnOvertaken,
    Fault::TableUnnoted,
    Fault::UniqueUnasked,
    Fault::UpdateInHalves,
    Fault::SyncSkipped,
    Fault::ReplyBeforeSync,
    Fault::SyncErrorIgnored,
    Fault::WriteErrorIgnored,
    Fault::TornTailAccepted,
    Fault::TailUnsynced,
    Fault::PartsUnchecked,
    Fault::CutUnclaimed,
    Fault::FileUnsynced,
    Fault::ManifestEarly,
    Fault::OldLogUnsynced,
    Fault::LeftOverKept,
];

/// Returns whether `fault` is switched on in this world.
#[cfg(feature = "simulation")]
#[must_use]
pub fn is_on(fault: Fault) -> bool {
    crate::world::fault() == Some(fault)
}

/// Returns whether `fault` is switched on: never here.
#[cfg(not(feature = "simulation"))]
#[inline]
#[must_use]
pub const fn is_on(_: Fault) -> bool {
    false
}
