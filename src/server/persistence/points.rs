//! When data is saved without a command: at save points, when that was put off, and at the end.
//!
//! All of it is core 0's.

use std::sync::atomic::Ordering;

use crate::core_loop::Core;
use crate::persistence::save::{self, Wanted};

/// How long a save point waits after a save has failed, in nanoseconds.
const RETRY_NANOS: u64 = 5_000_000_000;

/// Begins a save if one is due.
pub(super) fn review(core: &mut Core) {
    let shared = &core.engine.shared;
    let persistence = &shared.persistence;
    let (now, clock) = (core.engine.now, core.engine.clock);
    if persistence.is_loading() {
        return;
    }
    let (may_begin, is_scheduled, saved_at) = persistence.saves(|saves| {
        let is_too_soon = saves
            .failed_at
            .is_some_and(|at| clock.nanos_since(at) < RETRY_NANOS);
        let may_begin = saves.under_way.is_none() && !is_too_soon;
        (may_begin, saves.is_scheduled, saves.saved_at)
    });
    if !may_begin {
        return;
    }
    let seconds = u64::try_from(now.seconds() - saved_at.seconds()).unwrap_or(0);
    let changes = persistence.unsaved_changes();
    let points = &core.engine.config.settings().save_points;
    let due = points
        .iter()
        .find(|(after, enough)| changes >= *enough && seconds > *after);
    if let Some((after, enough)) = due {
        tracing::info!("{enough} changes in {after} seconds: saving");
    } else if !is_scheduled {
        return;
    }
    // Refused only if one is under way.
    save::begin(core, Wanted::InBackground).ok();
}

/// Ends the process, as a signal has asked for, when data is saved as far as that is wanted. Returns whether
/// that is still to come.
pub(super) fn stop(core: &mut Core) -> bool {
    let shared = &core.engine.shared;
    let persistence = &shared.persistence;
    if core.engine.config.settings().save_points.is_empty() || persistence.is_loading() {
        shared.stopping.store(true, Ordering::Relaxed);
        persistence.wake_all();
        return false;
    }
    match core.stop_after {
        None => match save::begin(core, Wanted::Waited) {
            Ok(number) => core.stop_after = Some(number),
            // Another one is under way; its data may be older.
            Err(_under_way) => {}
        },
        Some(number) => match persistence.outcome(number) {
            None => {}
            Some(Ok(())) => {
                shared.stopping.store(true, Ordering::Relaxed);
                persistence.wake_all();
            }
            Some(Err(_logged)) => {
                tracing::error!("the data could not be saved, so the server goes on; see above");
                persistence.stop_wanted.store(false, Ordering::Relaxed);
                core.stop_after = None;
            }
        },
    }
    true
}
