//! What waits for the disk with `appendfsync always`.
//!
//! ```text
//!   turn 1: requests run -> record 1 written -> sync of it begins; replies and messages of turn 1 are held back
//!   turn 2, 3: requests run                                        those of turn 2 and 3 wait behind them
//!   the sync has ended   -> what turn 1 has held back leaves    -> record 2 written -> sync of it begins
//! ```
//! The core serves on while the device works, and the requests of all turns since the last sync began share the
//! next one. A device that is quick is waited for instead; before, the core gathers the requests of as many clients as
//! shared the last syncs, as long as they keep coming.
//!
//! Invariants
//! - Nothing leaves the core before the records are on the disk that were written before it was made: no reply and no
//!   message, also of requests that have only read.
//! - One record is written for each sync, so that of all that may be lost with the power nothing stands behind another.
//! - What leaves, leaves in the order in which it was made, for each connection and each core.
//!
//! Not here: records and files (`log`), how a connection holds back (`net::turn`).

use base::clock::Monotonic;
use runtime::faults::{self, Fault};

use crate::core_loop::Core;

use super::log::{give_up, write_for_sync};

/// What of a core waits for the disk.
#[derive(Debug, Default)]
pub(crate) struct Commit {
    /// The last record that the sync under way covers.
    syncing: Option<u64>,
    /// So many messages for other cores were made before it began.
    sealed_messages: usize,
    begun: Monotonic,
    /// How long syncs take of late, in nanoseconds.
    usual_nanos: u64,
    gathering: Gathering,
}

/// Waiting for more clients before a sync.
#[derive(Debug, Default)]
struct Gathering {
    /// So many share a sync of late.
    expected: usize,
    /// So many have come for the next one; the first and the last of them then.
    came: usize,
    first: Monotonic,
    last: Monotonic,
}

impl Gathering {
    /// Returns whether to wait for more than those `waiting`, in view of what a sync takes.
    fn goes_on(&mut self, waiting: usize, usual_nanos: u64) -> bool {
        if waiting >= self.expected {
            return false;
        }
        let now = runtime::clock::monotonic();
        if self.came == 0 {
            self.first = now;
        }
        if waiting > self.came {
            self.came = waiting;
            self.last = now;
        }
        now.nanos_since(self.last) < usual_nanos / PAUSE_OF_SYNC
            && now.nanos_since(self.first) < usual_nanos * SYNCS_OF_GATHERING
    }

    /// Begins anew behind a sync that `waiting` share.
    fn end(&mut self, waiting: usize) {
        self.came = 0;
        let fewer = self.expected.saturating_sub(1 + self.expected / 16);
        self.expected = waiting.max(fewer);
    }
}

/// Gathering ends when nobody has come for this part of a sync, or when it takes so many times a sync.
const PAUSE_OF_SYNC: u64 = 4;
const SYNCS_OF_GATHERING: u64 = 4;

/// A device that syncs in less is waited for: to hand the sync to a thread of the kernel, and to serve requests one by
/// one meanwhile, costs more than that. Measured at 160 us per sync and one request per client: 13 to 17 us of CPU per
/// request against 8; at 4 to 10 ms per sync twice as many requests per second as by waiting. A sync beside which the core
/// serves on seems to take longer than it does, so the limit is far above 160 us.
const QUICK_NANOS: u64 = 1_000_000;

impl Commit {
    fn note_time(&mut self) {
        let nanos = runtime::clock::monotonic().nanos_since(self.begun);
        self.usual_nanos = self.usual_nanos - self.usual_nanos / 8 + nanos / 8;
    }
}

/// Returns whether messages that are made now may leave.
pub(crate) fn is_open(core: &Core) -> bool {
    core.commit.syncing.is_none() && core.log.as_ref().is_none_or(|log| !log.needs_sync)
}

/// Gives the sockets what the turn has made, or begins the sync that it has to wait for. Returns whether there was
/// anything to do.
pub(crate) fn end_turn(core: &mut Core) -> bool {
    if core.commit.syncing.is_some() {
        return false;
    }
    if core.log.as_ref().is_none_or(|log| !log.needs_sync) {
        return core.net.send(&mut core.engine);
    }
    let commit = &mut core.commit;
    if commit.usual_nanos < QUICK_NANOS {
        let waiting = core.net.connections_to_send();
        if !commit.gathering.goes_on(waiting, commit.usual_nanos) {
            commit.gathering.end(waiting);
            commit.begun = runtime::clock::monotonic();
            sync_now(core);
        }
        return true;
    }
    write_for_sync(core);
    let Some(log) = &mut core.log else {
        return false;
    };
    core.commit.begun = runtime::clock::monotonic();
    log.needs_sync = false;
    core.engine.flush_envelopes();
    core.net.sync(&log.file);
    core.commit.syncing = Some(log.next - 1);
    core.commit.sealed_messages = core.engine.outbound.len();
    if faults::is_on(Fault::ReplyBeforeSync) {
        release(core);
    }
    true
}

/// Waits for the device, and lets leave what the turn has made.
fn sync_now(core: &mut Core) {
    write_for_sync(core);
    let Core { engine, log, .. } = core;
    let Some(log) = log else { return };
    if let Err(error) = log.sync_now(&engine.shared, engine.me.index()) {
        tracing::error!(%error, "sync the log");
        give_up("the log cannot be synced, and appendfsync is always");
    }
    if log.log.has_sync_failed() {
        give_up("the log could not be synced, and appendfsync is always");
    }
    core.commit.note_time();
    core.net.send(&mut core.engine);
    core.engine.flush_envelopes();
    // Last, as what this core tells itself runs with it, and its replies are for the next turn.
    core.send_first(core.engine.outbound.len());
}

/// Lets leave what has waited for a sync that has ended. Returns whether there was one.
pub(crate) fn review(core: &mut Core) -> bool {
    let Some(result) = core.net.take_synced() else {
        return false;
    };
    if let Err(error) = result {
        tracing::error!(%error, "sync the log");
        give_up("the log cannot be synced, and appendfsync is always");
    }
    if core
        .log
        .as_ref()
        .is_some_and(|log| log.log.has_sync_failed())
    {
        // This one says nothing of what another one has given up.
        give_up("the log could not be synced, and appendfsync is always");
    }
    if let (Some(record), Some(log)) = (core.commit.syncing.take(), &mut core.log) {
        log.note_synced(&core.engine.shared, core.engine.me.index(), record);
    }
    core.commit.note_time();
    release(core);
    true
}

/// Gives sockets and other cores what was held back.
fn release(core: &mut Core) {
    core.net.send_held(&mut core.engine);
    let count = std::mem::take(&mut core.commit.sealed_messages);
    core.send_first(count);
}
