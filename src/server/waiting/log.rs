//! Clients that wait until the logs are on the disk (`WAITAOF`).
//!
//! ```text
//!   behind its own replies -> all cores: write, the number of your last record -> all of these synced: the reply
//! ```
//! A client waits for all that was written before it has asked, by whomever: which records are its own is not
//! kept. With `appendfsync always` the cores sync by themselves; otherwise a helper thread does for those who wait.
//!
//! Invariant: what the client has sent before is done when the question goes out, as its replies are there; so its
//! records are among those that are asked for.
//!
//! Not here: the command (`control::server`), who waits until when ([`crate::timers`]).

use runtime::socket_ring::SocketId;

use crate::core_loop::Core;
use crate::gather::{Asker, Finished, Gather};
use crate::persistence::log;
use crate::timers::{LogStage, LogWait};

/// Returns the reply of a client as things are now.
pub(super) fn reply_now(core: &Core, wait: &LogWait) -> Vec<u8> {
    reply(match &wait.stage {
        LogStage::Behind | LogStage::Asked => false,
        LogStage::Known(records) => is_synced(core, records),
    })
}

fn is_synced(core: &Core, records: &[u64]) -> bool {
    let log = core.engine.shared.persistence.log();
    log.is_some_and(|log| log.is_synced(records))
}

fn reply(is_synced: bool) -> Vec<u8> {
    format!("*2\r\n:{}\r\n:0\r\n", u8::from(is_synced)).into_bytes()
}

/// Asks all cores whether what was written before is on the disk, for a reply without waiting.
pub(crate) fn look() -> Gather {
    Gather::all(log::last_record, |core, records| {
        Finished::Reply(reply(is_synced(core, &records)))
    })
}

/// Lets those go on for whom the log is on the disk. Returns whether there was anything to do.
pub(crate) fn step(core: &mut Core) -> bool {
    core.engine.timers.has_log_waits() && look_at_all(core)
}

fn look_at_all(core: &mut Core) -> bool {
    let (mut ready, mut done, mut lacks) = (Vec::new(), Vec::new(), false);
    let log = core.engine.shared.persistence.log().cloned();
    for (connection, wait) in core.engine.timers.log_waits() {
        match &wait.stage {
            LogStage::Behind => ready.push(connection),
            LogStage::Asked => {}
            LogStage::Known(records) => {
                let is_synced = log.as_ref().is_some_and(|log| log.is_synced(records));
                if wait.has_enough_replicas && (is_synced || !wait.wants_log) {
                    done.push(connection);
                }
                lacks |= !is_synced;
            }
        }
    }
    let mut is_busy = !done.is_empty();
    for connection in ready {
        is_busy |= ask(core, connection);
    }
    for connection in done {
        core.stop_waiting(connection, None);
    }
    // After a sync that has failed nothing more gets to the disk.
    if lacks
        && let Some(log) = log
        && log.refusal().is_none()
    {
        log.want_sync(&core.engine.shared);
        // It may have been synced between the look and the wish, and nobody wakes this core then.
        let known = |wait: &LogWait| match &wait.stage {
            LogStage::Known(records) => !log.is_synced(records),
            LogStage::Behind | LogStage::Asked => false,
        };
        is_busy |= !core.engine.timers.log_waits().any(|(_, wait)| known(wait));
    }
    is_busy
}

/// Asks all cores for a client, if nothing that it has sent before is under way.
fn ask(core: &mut Core, connection: u64) -> bool {
    let place = core.net.connection_mut(SocketId::from_bits(connection));
    if place.is_some_and(|connection| connection.output.awaited() > 1) {
        return false;
    }
    set_stage(core, connection, LogStage::Asked);
    let gather = Gather::all(log::last_record, move |core, records| {
        set_stage(core, connection, LogStage::Known(records));
        Finished::Reply(Vec::new())
    });
    core.ask(Asker::Nobody, gather);
    true
}

fn set_stage(core: &mut Core, connection: u64, stage: LogStage) {
    let mut waits = core.engine.timers.log_waits();
    if let Some((_, wait)) = waits.find(|(at, _)| *at == connection) {
        wait.stage = stage;
    }
}
