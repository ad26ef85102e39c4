//! Steps on one shard from which commands over two keys are built.
//!
//! The handlers of this crate use them with both keys on their one shard; the coordinator's plans use
//! them on two shards, one hop each, with a [`Detached`] value travelling between.
//!
//! Only [`fetch`] is a read that counts as a hit or a miss.

use base::ids::DbIndex;
use protocol::args::{Args, equals_ignore_case};
use shard::Shard;
use shard::effects::EventClass;
use shard::keyspace::Detached;

use crate::spec::CommandError;
use crate::words;

/// Copies the value of `key` with its expiry, and notes the access if `touch`. O(value).
#[must_use]
pub fn fetch(shard: &mut Shard, db: DbIndex, key: &[u8], touch: bool) -> Option<Detached> {
    let key = shard.key(key);
    let mut db = shard.db(db);
    db.lookup(key, touch)?;
    db.copy_of(key)
}

/// Removes `key` and returns its value with its expiry. The caller tells of it ([`tell`]).
#[must_use]
pub fn take(shard: &mut Shard, db: DbIndex, key: &[u8]) -> Option<Detached> {
    let key = shard.key(key);
    shard.db(db).detach(key)
}

/// Puts a value at `key`, replacing what is there. The caller tells of it ([`tell`]).
pub fn store(shard: &mut Shard, db: DbIndex, key: &[u8], detached: Detached) {
    let key = shard.key(key);
    shard.db(db).attach(key, detached);
}

/// Tells of what happened to `key`: an event of the class of commands for any type.
pub fn tell(shard: &mut Shard, db: DbIndex, event: &'static str, key: &[u8]) {
    let key = shard.key(key);
    shard.db(db).event(EventClass::GENERIC, event, key);
}

/// The event of a key that was copied to.
pub const COPIED_TO: &str = "copy_to";

/// The event of a key that was renamed to something else.
pub const RENAMED_FROM: &str = "rename_from";

/// The event of what a key was renamed to.
pub const RENAMED_TO: &str = "rename_to";

/// Returns whether `key` exists.
#[must_use]
pub fn exists(shard: &mut Shard, db: DbIndex, key: &[u8]) -> bool {
    let key = shard.key(key);
    shard.db(db).contains(key)
}

/// Refuses MSET and MSETNX whose last key has no value.
///
/// # Errors
///
/// [`CommandError::WordCount`].
pub fn check_pairs(args: Args<'_>) -> Result<(), CommandError> {
    if args.len().is_multiple_of(2) {
        Err(CommandError::WordCount)
    } else {
        Ok(())
    }
}

/// What a COPY request asks for besides its two keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyOptions {
    /// The database of the target.
    pub target_db: DbIndex,
    /// An existing target is replaced.
    pub replace: bool,
}

/// Reads the options of a COPY request that was sent in database `db`, of `databases`, and refuses to
/// copy a key to itself.
///
/// # Errors
///
/// [`CommandError::Syntax`], [`CommandError::NotInteger`], [`CommandError::NotInt32`],
/// [`CommandError::DbOutOfRange`] and, when all words are right, [`CommandError::SameObject`].
pub fn parse_copy_options(
    args: Args<'_>,
    db: DbIndex,
    databases: u16,
) -> Result<CopyOptions, CommandError> {
    let mut options = CopyOptions {
        target_db: db,
        replace: false,
    };
    let mut index = 3;
    while let Some(word) = args.get(index) {
        index += 1;
        if equals_ignore_case(word, "REPLACE") {
            options.replace = true;
        } else if equals_ignore_case(word, "DB") {
            let word = args.get(index).ok_or(CommandError::Syntax)?;
            options.target_db = words::database(word, databases)?;
            index += 1;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    if options.target_db == db && args.word(1) == args.word(2) {
        return Err(CommandError::SameObject);
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use base::clock::UnixMillis;
    use base::ids::ShardId;
    use shard::Options;
    use shard::keyspace::Expiry;

    use super::*;

    const DB: DbIndex = DbIndex(0);

    #[test]
    fn value_travels_between_shards_with_its_expiry() {
        let mut shards = [0, 1].map(|id| Shard::new(ShardId(id), Options::default()));
        let [source, target] = &mut shards;
        let key = source.key(b"a");
        source
            .db(DB)
            .set_string(key, b"value", Expiry::At(UnixMillis(9_000)));
        let copied = fetch(source, DB, b"a", true).unwrap();
        store(target, DB, b"copy", copied);
        let taken = take(source, DB, b"a").unwrap();
        store(target, DbIndex(3), b"b", taken);
        assert!(!exists(source, DB, b"a"));
        for (db, name) in [(DB, b"copy".as_slice()), (DbIndex(3), b"b")] {
            let key = target.key(name);
            let mut db = target.db(db);
            let entry = db.peek(key).unwrap();
            assert_eq!(entry.string(), Ok(b"value".as_slice()));
            assert_eq!(entry.expire_at(), Some(UnixMillis(9_000)));
        }
        assert_eq!(fetch(source, DB, b"a", true), None);
        assert_eq!(take(source, DB, b"a"), None);
    }
}
