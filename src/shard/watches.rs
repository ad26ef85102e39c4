//! Versions of watched keys, for WATCH; and all changes, for clients that cache.
//!
//! A key that somebody watches has a version; every change of the key moves it on. EXEC compares
//! the version with the one it was given when the watch began. Keys nobody watches cost nothing but
//! one comparison per write.
//!
//! Invariants
//! - A key has a version exactly as long as its count of watchers is above zero.
//! - Versions come from one counter of the shard, so a key that is forgotten and watched again never
//!   shows an old version.
//!
//! Not here: which connection watches what (the coordinator keeps that with the session).

use base::hash::Map;
use base::ids::{DbIndex, ShardId};

/// One watched key.
#[derive(Clone, Copy, Debug)]
struct Watch {
    version: u64,
    watchers: usize,
}

/// Who makes changes and does not want to be told of them: a connection, and its core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Author {
    /// The core.
    pub core: ShardId,
    /// The connection.
    pub connection: u64,
}

/// A change that clients who cache may have to know of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// A key of any database has another value, or none; and who has made it so, if he said so
    /// ([`crate::Shard::sign_changes`]).
    Key(Box<[u8]>, Option<Author>),
    /// All keys of a database are gone.
    All,
}

/// All watched keys of a shard.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    keys: Map<DbIndex, Map<Box<[u8]>, Watch>>,
    watched: usize,
    counter: u64,
    /// All changes are noted.
    notes_changes: bool,
    /// Who makes the changes that are noted.
    author: Option<Author>,
    changes: Vec<Changed>,
}

impl Watches {
    /// Tells whether nobody has to know of changes: the fast way out of every write.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.watched == 0 && !self.notes_changes
    }

    /// Begins or ends to note all changes.
    pub(crate) fn note_changes(&mut self, is_on: bool) {
        self.notes_changes = is_on;
    }

    /// Says who makes the changes from now on; returns who did before.
    pub(crate) fn sign(&mut self, author: Option<Author>) -> Option<Author> {
        std::mem::replace(&mut self.author, author)
    }

    /// Returns the changes noted since the last call, in order.
    pub(crate) fn changes(&mut self) -> &mut Vec<Changed> {
        &mut self.changes
    }

    /// Returns whether changes were noted since they were last taken.
    #[inline]
    pub(crate) fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Notes that all keys of a database are gone.
    pub(crate) fn note_clear(&mut self) {
        if self.notes_changes && self.changes.last() != Some(&Changed::All) {
            self.changes.push(Changed::All);
        }
    }

    /// Counts one more watcher of `key` and returns the key's version.
    pub(crate) fn watch(&mut self, db: DbIndex, key: &[u8]) -> u64 {
        let keys = self.keys.entry(db).or_default();
        if let Some(watch) = keys.get_mut(key) {
            watch.watchers += 1;
            return watch.version;
        }
        self.counter += 1;
        self.watched += 1;
        keys.insert(
            key.into(),
            Watch {
                version: self.counter,
                watchers: 1,
            },
        );
        self.counter
    }

    /// Counts one watcher less; without watchers the key is forgotten.
    pub(crate) fn unwatch(&mut self, db: DbIndex, key: &[u8]) {
        let Some(keys) = self.keys.get_mut(&db) else {
            return;
        };
        let Some(watch) = keys.get_mut(key) else {
            return;
        };
        watch.watchers -= 1;
        if watch.watchers == 0 {
            keys.remove(key);
            self.watched -= 1;
        }
    }

    /// Returns the version of `key`, 0 if nobody watches it.
    pub(crate) fn version(&self, db: DbIndex, key: &[u8]) -> u64 {
        self.keys
            .get(&db)
            .and_then(|keys| keys.get(key))
            .map_or(0, |watch| watch.version)
    }

    /// Notes a change of `key`.
    #[inline]
    pub(crate) fn touch(&mut self, db: DbIndex, key: &[u8]) {
        if !self.is_empty() {
            self.touch_watched(db, key);
        }
    }

    fn touch_watched(&mut self, db: DbIndex, key: &[u8]) {
        if self.notes_changes {
            self.changes.push(Changed::Key(key.into(), self.author));
        }
        if let Some(watch) = self.keys.get_mut(&db).and_then(|keys| keys.get_mut(key)) {
            self.counter += 1;
            watch.version = self.counter;
        }
    }

    /// Notes a change of those watched keys of `db` that `changed` names.
    pub(crate) fn touch_where(&mut self, db: DbIndex, mut changed: impl FnMut(&[u8]) -> bool) {
        let Some(keys) = self.keys.get_mut(&db) else {
            return;
        };
        for (key, watch) in keys.iter_mut() {
            if changed(key) {
                self.counter += 1;
                watch.version = self.counter;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DB: DbIndex = DbIndex(0);

    #[test]
    fn version_moves_with_each_change_and_is_never_used_twice() {
        let mut watches = Watches::default();
        watches.touch(DB, b"key");
        let first = watches.watch(DB, b"key");
        assert_eq!(watches.watch(DB, b"key"), first);
        assert_eq!(
            watches.watch(DbIndex(1), b"key"),
            watches.version(DbIndex(1), b"key")
        );
        watches.touch(DB, b"key");
        let second = watches.version(DB, b"key");
        assert_ne!(second, first);
        watches.unwatch(DB, b"key");
        assert_eq!(watches.version(DB, b"key"), second);
        watches.unwatch(DB, b"key");
        assert_eq!(watches.version(DB, b"key"), 0);
        assert!(watches.watch(DB, b"key") > second);
    }

    #[test]
    fn shard_without_watchers_is_empty_again() {
        let mut watches = Watches::default();
        watches.watch(DB, b"key");
        assert!(!watches.is_empty());
        watches.unwatch(DB, b"other");
        watches.unwatch(DB, b"key");
        assert!(watches.is_empty());
    }
}
