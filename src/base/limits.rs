//! Every hard bound, in one place, with the relations between them asserted.

/// Cluster hash slots. Source: the Redis Cluster specification.
pub const SLOT_COUNT: u16 = 16_384;

/// Shards one node may have; bounded by the bits a SCAN cursor gives to the shard.
pub const SHARDS_MAX: u16 = 1024;

/// Longest inline request, and longest count line of a multibulk request, in bytes.
pub const INLINE_BYTES_MAX: usize = 64 * 1024;

/// Most arguments of one request.
pub const MULTIBULK_COUNT_MAX: i64 = i32::MAX as i64;

/// Most arguments of one request before the client has logged in.
pub const MULTIBULK_COUNT_UNAUTHENTICATED_MAX: i64 = 10;

/// Longest argument before the client has logged in, in bytes.
pub const BULK_BYTES_UNAUTHENTICATED_MAX: u64 = 16_384;

/// Requests of one connection that are parsed and run before other connections get their turn.
pub const REQUESTS_PER_TURN_MAX: usize = 64;

const _: () = assert!(SHARDS_MAX < SLOT_COUNT, "every shard must own a slot");
