//! What outlives the process: files of data, read and written.
//!
//! [`log`] is the append-only log of all changes; [`rdb_file`] reads and writes the files of Redis, `dump.rdb`, [`redis_log`] reads
//! its append-only files; [`save`] puts one on the disk, so that
//! there is always a whole one.
//!
//! Invariants
//! - Nothing here knows shards or commands: files become entries, and entries become files.
//! - What a file says is checked before it is believed; no file makes this crate panic.
//!
//! Not here: what happens when keys change (crate `shard`), and who decides when to save (the server).

pub mod log;
pub mod rdb_file;
pub mod redis_log;
pub mod save;
