//! The clocks and the chance of a simulated world.

use base::clock::{Monotonic, UnixMillis};

use crate::world;

/// The wall-clock time at which every world begins.
const BEGIN_MICROS: i64 = 1_700_000_000_000_000;

/// Returns the nanoseconds since the world began; each reading takes a moment.
#[must_use]
pub fn monotonic() -> Monotonic {
    Monotonic(world::tick())
}

/// Returns the wall-clock time.
#[must_use]
pub fn unix_millis() -> UnixMillis {
    UnixMillis(unix_micros().div_euclid(1000))
}

/// Returns the wall-clock time in microseconds since 1970-01-01 UTC.
#[must_use]
pub fn unix_micros() -> i64 {
    let passed = world::tick() / 1000;
    BEGIN_MICROS + i64::try_from(passed).unwrap_or(0)
}

/// Returns 128 bits of the world's chance.
#[must_use]
pub fn random_seed() -> (u64, u64) {
    (world::draw(), world::draw())
}
