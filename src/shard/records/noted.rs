//! Keys that have changed, each once.
//!
//! They are found by database and hash, so that a claim, which knows nothing but hashes, finds its keys too.
//!
//! Not here: what is told of them ([`crate::records`]).

use base::hash::Map;
use base::ids::DbIndex;

use crate::Key;

/// See the head of this file.
#[derive(Debug, Default)]
pub(crate) struct Noted {
    keys: Map<DbIndex, Map<u64, Box<[u8]>>>,
    /// Keys with the hash of another one of their database: mostly none.
    others: Vec<NotedKey>,
}

/// A key, and where it is.
#[derive(Debug)]
pub(crate) struct NotedKey {
    pub(crate) db: DbIndex,
    pub(crate) hash: u64,
    pub(crate) bytes: Box<[u8]>,
}

impl NotedKey {
    pub(crate) fn new(db: DbIndex, key: Key<'_>) -> Self {
        Self {
            db,
            hash: key.hash,
            bytes: key.bytes.into(),
        }
    }

    pub(crate) fn key(&self) -> Key<'_> {
        Key {
            bytes: &self.bytes,
            hash: self.hash,
        }
    }

    fn is(&self, db: DbIndex, key: Key<'_>) -> bool {
        self.db == db && *self.bytes == *key.bytes
    }
}

impl Noted {
    /// Notes a key.
    pub(crate) fn insert(&mut self, db: DbIndex, key: Key<'_>) {
        let keys = self.keys.entry(db).or_default();
        match keys.get(&key.hash) {
            None => {
                keys.insert(key.hash, key.bytes.into());
            }
            Some(bytes) if **bytes == *key.bytes => {}
            Some(_) => {
                if !self.others.iter().any(|other| other.is(db, key)) {
                    self.others.push(NotedKey::new(db, key));
                }
            }
        }
    }

    pub(crate) fn contains(&self, db: DbIndex, key: Key<'_>) -> bool {
        let found = self.keys.get(&db).and_then(|keys| keys.get(&key.hash));
        found.is_some_and(|bytes| **bytes == *key.bytes)
            || self.others.iter().any(|other| other.is(db, key))
    }

    /// Takes a key out. Returns whether it was noted.
    pub(crate) fn remove(&mut self, db: DbIndex, key: Key<'_>) -> bool {
        if let Some(keys) = self.keys.get_mut(&db)
            && keys
                .get(&key.hash)
                .is_some_and(|bytes| **bytes == *key.bytes)
        {
            keys.remove(&key.hash);
            return true;
        }
        let before = self.others.len();
        self.others.retain(|other| !other.is(db, key));
        self.others.len() < before
    }

    /// Takes all keys of a hash out, in whatever database.
    pub(crate) fn take_hash(&mut self, hash: u64) -> Vec<NotedKey> {
        let mut taken = Vec::new();
        for (db, keys) in &mut self.keys {
            if let Some(bytes) = keys.remove(&hash) {
                let db = *db;
                taken.push(NotedKey { db, hash, bytes });
            }
        }
        taken.extend(self.others.extract_if(.., |other| other.hash == hash));
        taken
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.others.is_empty() && self.keys.values().all(Map::is_empty)
    }

    /// Takes all keys out.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = NotedKey> + use<> {
        let others = std::mem::take(&mut self.others);
        let keys = std::mem::take(&mut self.keys);
        let keys = keys.into_iter().flat_map(|(db, keys)| {
            let noted = move |(hash, bytes)| NotedKey { db, hash, bytes };
            keys.into_iter().map(noted)
        });
        keys.chain(others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_one_hash_are_told_apart() {
        let mut noted = Noted::default();
        let key = |bytes: &'static [u8], hash| Key { bytes, hash };
        let (one, other) = (DbIndex(0), DbIndex(1));
        for _ in 0..2 {
            noted.insert(one, key(b"a", 7));
            noted.insert(one, key(b"b", 7));
            noted.insert(one, key(b"c", 7));
            noted.insert(other, key(b"a", 7));
            noted.insert(one, key(b"d", 8));
        }
        assert!(noted.contains(one, key(b"b", 7)) && !noted.contains(other, key(b"b", 7)));
        assert!(noted.remove(one, key(b"b", 7)) && !noted.remove(one, key(b"b", 7)));
        assert_eq!(noted.take_hash(7).len(), 3);
        assert!(!noted.contains(one, key(b"a", 7)) && !noted.is_empty());
        let left: Vec<_> = noted.take().collect();
        assert_eq!((left.len(), &*left[0].bytes), (1, &b"d"[..]));
        assert!(noted.is_empty());
    }
}
