//! Switching the log on and off while the server runs, and rewriting one that is off.
//!
//! On: a rewriting makes a base, and at its cut every shard begins to tell what it changes. When the base is on
//! the disk the manifest names it and the files that go on from it, and from then on a start finds all of it; until
//! then the old files count, if there are any. Off: every core writes and syncs the rest, and the files stay.
//!
//! All of it begins on core 0. Not here: the rewriting itself ([`super::rewrite`]).

use std::sync::Arc;

use super::log::{self, Log};
use super::rewrite::{self, Wanted};
use crate::config::Config;
use crate::core_loop::Core;
use crate::engine::Shared;
use crate::gather::{Asker, Finished, Gather};

/// What a client is told whose wish failed for a reason that the log of the server has.
const REFUSAL: &str = "ERR CONFIG SET failed (possibly related to argument 'appendonly') - Unable to turn on \
    AOF. Check server logs.";

/// What a client is told who wants no log while one is made of what another writer has left.
const UNMADE: &str = "ERR CONFIG SET failed (possibly related to argument 'appendonly') - The log is being made of \
    that of another number of shards, or of Redis's. Wait until the data is loaded.";

/// Switches the log on or off, as a configuration that is about to be taken over says.
///
/// # Errors
///
/// What the client is told; the log is as it was.
pub(crate) fn follow(core: &mut Core, config: &Config) -> Result<(), &'static str> {
    let persistence = &core.engine.shared.persistence;
    if persistence.is_loading()
        && core.engine.config.settings().is_logged
        && persistence.opened_log().is_none()
    {
        // It is being made, and the loading goes on with it.
        return if config.settings().is_logged {
            Ok(())
        } else {
            Err(UNMADE)
        };
    }
    match (config.settings().is_logged, persistence.log().is_some()) {
        (true, false) => begin(core, config).map_err(|error| {
            tracing::error!("{error}");
            REFUSAL
        }),
        (false, true) => {
            end(core);
            Ok(())
        }
        (true, true) | (false, false) => Ok(()),
    }
}

/// Returns the log of the data directory, which may be off.
fn opened(shared: &Arc<Shared>, config: &Config, shards: u16) -> Result<Arc<Log>, String> {
    let persistence = &shared.persistence;
    if let Some(log) = persistence.opened_log() {
        return Ok(Arc::clone(log));
    }
    let log = Log::open_unused(config, shards)?;
    let syncing = log::start_syncing(shared);
    drop(syncing.map_err(|error| format!("start a thread: {error}"))?);
    persistence.keep_log(Arc::clone(&log));
    Ok(log)
}

fn begin(core: &mut Core, config: &Config) -> Result<(), String> {
    let shared = Arc::clone(&core.engine.shared);
    let log = opened(&shared, config, core.engine.map.shard_count())?;
    log.switch(true);
    shared.persistence.set_logged(true);
    tracing::info!("appendonly yes: the log begins with the next base");
    if shared.persistence.is_loading() {
        schedule(&shared);
        return Ok(());
    }
    match rewrite::begin(core, &log) {
        Wanted::Begun | Wanted::Scheduled => {}
        // One of a log that was off, or is off again.
        Wanted::UnderWay => schedule(&shared),
    }
    Ok(())
}

/// Lets housekeeping begin the next rewriting.
fn schedule(shared: &Shared) {
    let persistence = &shared.persistence;
    persistence.rewrites(|rewrites| rewrites.is_scheduled = true);
}

fn end(core: &mut Core) {
    let shared = Arc::clone(&core.engine.shared);
    let persistence = &shared.persistence;
    persistence.set_logged(false);
    persistence.rewrites(|rewrites| rewrites.is_scheduled = false);
    if let Some(log) = persistence.opened_log() {
        log.switch(false);
        log.forget_failures(&shared);
    }
    tracing::info!("appendonly no: the log stays as it is");
    let all = Gather::all(log::leave, |_, _| Finished::Reply(Vec::new()));
    core.ask(Asker::Nobody, all);
}

/// Begins to rewrite the log, which may be off: then there is a base and nothing else.
///
/// # Errors
///
/// One line with what is wrong.
pub(crate) fn rewrite(core: &mut Core) -> Result<Wanted, String> {
    let shared = Arc::clone(&core.engine.shared);
    let config = Arc::clone(&core.engine.config);
    let log = opened(&shared, &config, core.engine.map.shard_count())?;
    Ok(rewrite::begin(core, &log))
}
