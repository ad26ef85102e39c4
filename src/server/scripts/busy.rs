//! Scripts that run for longer than `busy-reply-threshold`: everybody else is told so.
//!
//! A script holds its claims while it runs, so what wants its keys would wait for as long as it takes. As
//! in Redis, all commands are refused then, but those that can end it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base::clock::Monotonic;

use super::local::LocalScripts;
use crate::core_loop::Core;

/// What runs on all cores for longer than it should.
#[derive(Debug, Default)]
pub(crate) struct Busy {
    scripts: AtomicUsize,
    functions: AtomicUsize,
}

/// What is said while a script takes long.
const BY_SCRIPT: &str =
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";

/// What is said while a function takes long.
const BY_FUNCTION: &str =
    "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.";

impl Busy {
    fn count(&self, is_function: bool) -> &AtomicUsize {
        if is_function {
            &self.functions
        } else {
            &self.scripts
        }
    }

    /// Notes that something takes long.
    fn begin(&self, is_function: bool) {
        self.count(is_function).fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that it is over.
    pub(super) fn end(&self, is_function: bool) {
        self.count(is_function).fetch_sub(1, Ordering::Relaxed);
    }

    /// Returns the error that everybody gets, if something takes long.
    pub(crate) fn refusal(&self) -> Option<&'static str> {
        if self.scripts.load(Ordering::Relaxed) > 0 {
            Some(BY_SCRIPT)
        } else if self.functions.load(Ordering::Relaxed) > 0 {
            Some(BY_FUNCTION)
        } else {
            None
        }
    }
}

/// Tells everybody about scripts of this core that have run for longer than `threshold` by now.
pub(crate) fn announce(local: &LocalScripts, now: Monotonic, threshold: Duration) {
    local.for_each_running(|script| {
        let Some(begun) = script.begun.get() else {
            return;
        };
        let ran = Duration::from_nanos(now.nanos_since(begun));
        if ran > threshold && !script.is_announced.replace(true) {
            local.registry().busy.begin(script.function.is_some());
            tracing::warn!(
                millis = ran.as_millis(),
                "a script runs for longer than busy-reply-threshold; SCRIPT KILL or FUNCTION KILL \
                 ends it if it has not written"
            );
        }
    });
}

impl Core {
    /// Goes on with scripts that have used their slice of an earlier turn. Returns whether there were.
    pub(crate) fn go_on_with_scripts(&mut self) -> bool {
        let engine = &mut self.engine;
        if !engine.transactions.has_paused() {
            return false;
        }
        let threshold = Duration::from_millis(engine.config.settings().busy_reply_ms);
        announce(&engine.scripts, engine.clock, threshold);
        engine.transactions.go_on(&mut engine.host);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_named_before_a_function() {
        let busy = Busy::default();
        assert_eq!(busy.refusal(), None);
        busy.begin(true);
        assert_eq!(busy.refusal(), Some(BY_FUNCTION));
        busy.begin(false);
        assert_eq!(busy.refusal(), Some(BY_SCRIPT));
        busy.end(false);
        busy.end(true);
        assert_eq!(busy.refusal(), None);
    }
}
