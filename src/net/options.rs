//! What bounds the connections of a core, and what is counted of them.

/// Bounds on what one connection may hold.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Longest argument of a request (`proto-max-bulk-len`).
    pub bulk_bytes_max: u64,
    /// Most bytes received and not served, above which the connection is closed
    /// (`client-query-buffer-limit`).
    pub input_bytes_max: usize,
    /// Unsent bytes above which a connection is closed at once; 0 for no limit
    /// (`client-output-buffer-limit`).
    pub output_bytes_max: usize,
    /// Unsent bytes above which a connection is not read from.
    pub output_pause_bytes: usize,
    /// Awaited replies at which a connection is not read from; fewer if they are large.
    pub pending_replies_max: usize,
}

/// Unsent bytes above which a connection is neither read from nor served any more, unless set
/// otherwise.
pub const OUTPUT_PAUSE_BYTES: usize = 1024 * 1024;

/// Awaited replies at which a connection is not served any more, unless set otherwise.
pub const PENDING_REPLIES_MAX: usize = 1024;

impl Default for Options {
    fn default() -> Self {
        Self {
            bulk_bytes_max: 512 * 1024 * 1024,
            input_bytes_max: 1024 * 1024 * 1024,
            output_bytes_max: 0,
            output_pause_bytes: OUTPUT_PAUSE_BYTES,
            pending_replies_max: PENDING_REPLIES_MAX,
        }
    }
}

/// Counts of what happened at the sockets of this core.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Bytes received.
    pub received_bytes: u64,
    /// Bytes given to sockets.
    pub sent_bytes: u64,
    /// Receive completions.
    pub reads: u64,
    /// Send submissions.
    pub writes: u64,
    /// Connections closed because of bad bytes.
    pub protocol_errors: u64,
    /// Connections closed because their input exceeded its limit.
    pub input_limit_closes: u64,
    /// Connections closed because their output exceeded its limit.
    pub output_limit_closes: u64,
}
