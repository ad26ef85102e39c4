//! What outlives the process: files of data, read and written.
//!
//! [`log`] is the append-only log of all changes; [`rdb_file`] reads and writes the files of Redis, `dump.rdb`, and
//! [`redis_log`] reads its append-only files; [`save`] puts a file on the disk, so that there is always a whole one;
//! [`backup`] is about copies that are kept, and [`times`] about their names.
//!
//! Invariants
//! - Nothing here knows shards or commands: files become entries, and entries become files.
//! - What a file says is checked before it is believed; no file makes this crate panic.
//!
//! Not here: what happens when keys change (crate `shard`), and who decides when to save (the server).

pub mod backup;
pub mod log;
pub mod rdb_file;
pub mod redis_log;
pub mod save;
pub mod times;
