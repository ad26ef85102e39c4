//! What execution leaves behind for the outside.
//!
//! Today these are counters. Records for the log and for replicas, events and wake-ups will be
//! values in a list that the core loop drains after each batch.
//!
//! Invariant: only this crate writes the counters, so a caller cannot forget one.

/// Counters of one shard since it was made; INFO adds them up over shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Lookups that found their key.
    pub hits: u64,
    /// Lookups that did not.
    pub misses: u64,
    /// Keys removed because their time was over, in passing or by the sweep.
    pub expired_keys: u64,
    /// Dead keys among the volatile ones at the last sweeps, in parts per million, smoothed.
    pub expired_stale_ppm: u64,
    /// Sweeps that used up their budget while dead keys were still many.
    pub expired_time_cap_reached: u64,
    /// Keys removed because memory was short.
    pub evicted_keys: u64,
    /// Changes of keys.
    pub dirty: u64,
}
