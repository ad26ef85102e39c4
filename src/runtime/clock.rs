//! The clocks and the entropy of the machine.
//!
//! Invariants
//! - [`monotonic`] costs a few nanoseconds where the processor has a steady counter, so it may be
//!   read once per turn without thought; elsewhere it falls back to the clock of the system.
//! - Only this module reads a clock; everything above gets points in time as values.

#![expect(
    unsafe_code,
    reason = "the entropy of the system has no safe wrapper in std"
)]

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use base::clock::{Monotonic, UnixMillis};

/// The counter and its reading when this process first asked.
struct Origin {
    clock: quanta::Clock,
    raw: u64,
}

static ORIGIN: OnceLock<Origin> = OnceLock::new();

/// Returns the nanoseconds since the first call in this process.
///
/// Cost: about 7 ns. The first call calibrates the counter, which may take up to 200 ms: make it
/// while the process starts.
#[inline]
#[must_use]
pub fn monotonic() -> Monotonic {
    let origin = ORIGIN.get_or_init(|| {
        let clock = quanta::Clock::new();
        let raw = clock.raw();
        Origin { clock, raw }
    });
    Monotonic(origin.clock.delta_as_nanos(origin.raw, origin.clock.raw()))
}

/// Returns the wall-clock time; it may jump in both directions. Cost: about 20 ns.
#[must_use]
pub fn unix_millis() -> UnixMillis {
    UnixMillis(unix_micros().div_euclid(1000))
}

/// Returns the wall-clock time in microseconds since 1970-01-01 UTC.
#[must_use]
pub fn unix_micros() -> i64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that everyone else uses"
    )]
    let now = SystemTime::now();
    match now.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
        Err(before) => {
            i64::try_from(before.duration().as_micros()).map_or(i64::MIN, i64::wrapping_neg)
        }
    }
}

/// Returns 128 bits that nobody outside can guess.
///
/// # Panics
///
/// If the kernel has no `getrandom`, which every kernel that passes [`crate::preflight`] has.
#[must_use]
pub fn random_seed() -> (u64, u64) {
    let mut bytes = [0_u8; 16];
    loop {
        // SAFETY: the pointer and the length describe the whole local array, which the call only
        // writes to.
        let count = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
        if usize::try_from(count) == Ok(bytes.len()) {
            break;
        }
        // Up to 256 bytes are never cut short; only a signal before the pool is ready interrupts.
        assert!(
            std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted,
            "the kernel gives entropy"
        );
    }
    let [low, high] = [0, 8].map(|start| {
        let mut word = [0_u8; 8];
        word.copy_from_slice(&bytes[start..start + 8]);
        u64::from_le_bytes(word)
    });
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monotonic_never_goes_back() {
        let mut last = monotonic();
        for _ in 0..10_000 {
            let now = monotonic();
            assert!(now >= last);
            last = now;
        }
    }

    #[test]
    fn wall_clock_is_after_2020() {
        assert!(unix_millis().seconds() > 1_577_836_800);
    }

    #[test]
    fn seeds_differ() {
        assert_ne!(random_seed(), random_seed());
    }
}
