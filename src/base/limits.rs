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

/// Longest name of a namespace, and of a table in it, in bytes.
pub const TABLE_NAME_BYTES_MAX: usize = 64;

/// Longest name of a column of a table, in bytes.
pub const COLUMN_NAME_BYTES_MAX: usize = 1024;

/// Most columns of a table.
pub const TABLE_COLUMNS_MAX: usize = 1024;

/// Most indexes of a table.
pub const TABLE_INDEXES_MAX: usize = 64;

/// Most columns of an index of a table.
pub const INDEX_COLUMNS_MAX: usize = 16;

/// Most comparisons in one statement about a table, each value of an IN list counted.
pub const CONDITIONS_MAX: usize = 10_000;

/// Deepest nesting of parentheses and NOT in the condition of a statement.
pub const CONDITION_DEPTH_MAX: usize = 64;

/// Most rows of one INSERT into a table.
pub const INSERT_ROWS_MAX: usize = 10_000;

const _: () = assert!(SHARDS_MAX < SLOT_COUNT, "every shard must own a slot");
