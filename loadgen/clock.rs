//! The one place that reads the clock.

use std::time::{Duration, Instant};

/// Returns the present moment of the clock that never goes back.
#[expect(
    clippy::disallowed_methods,
    reason = "a load generator measures real time"
)]
#[inline]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Returns the present moment in milliseconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "results carry the time they were taken at"
)]
pub(crate) fn unix_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

/// Returns whole microseconds.
#[inline]
pub(crate) fn micros(time: Duration) -> u64 {
    // The product of 2^64 seconds is out of reach of a run.
    time.as_secs()
        .saturating_mul(1_000_000)
        .saturating_add(u64::from(time.subsec_micros()))
}
