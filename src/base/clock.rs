//! Points in time, as plain values.
//!
//! Nothing here reads a clock: `runtime` does, and hands the value down, so that execution on a
//! shard is a function of its arguments and repeats exactly in a simulation.

/// Wall-clock time in milliseconds since 1970-01-01 UTC. Signed, as expiry times before 1970 are
/// accepted from clients and mean "already over".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    /// Returns whole seconds since 1970, rounded down.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }
}

/// Time that never goes back, in nanoseconds since an arbitrary start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Monotonic(pub u64);

impl Monotonic {
    /// Returns the nanoseconds from `earlier` to `self`, 0 if `earlier` is later.
    #[must_use]
    pub fn nanos_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}
