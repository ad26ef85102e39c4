//! Waiting for a condition, with a limit.

use std::thread;
use std::time::{Duration, Instant};

/// Asks `condition` every few milliseconds until it holds, or until `limit` is over.
///
/// Returns whether it held; the last question is asked after the limit, so a slow machine gets at
/// least two.
pub(crate) fn wait_until(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        let is_late = start.elapsed() >= limit;
        if condition() {
            return true;
        }
        if is_late {
            return false;
        }
        thread::sleep(Duration::from_millis(5));
    }
}
