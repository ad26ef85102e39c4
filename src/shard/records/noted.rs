//! Keys that have changed, each once.
//!
//! They are found by their hash first, so that a claim, which knows nothing but hashes, finds its keys too.
//! Their memory is kept for the next ones: noting a key allocates only while there are more than ever before.
//!
//! ```text
//!   slots: open addressing by hash, powers of two, at most half full -> index of a key + 1
//!   keys:  hash, database, where its bytes are; one that was taken out stays, marked, until all are cleared
//!   bytes: of all keys, one behind the other
//! ```
//!
//! Not here: what is told of them ([`crate::records`]).

use base::ids::DbIndex;

use crate::Key;

/// Slots that are kept however few keys there were.
const SLOTS_KEPT: usize = 1 << 13;
/// Bytes of keys that are kept however few there were.
const BYTES_KEPT: usize = 1 << 18;

/// See the head of this file.
#[derive(Debug, Default)]
pub(crate) struct Noted {
    slots: Vec<u32>,
    keys: Vec<Place>,
    bytes: Vec<u8>,
    /// Keys that were not taken out.
    len: usize,
}

/// Where a key is.
#[derive(Clone, Copy, Debug)]
struct Place {
    hash: u64,
    start: usize,
    len: usize,
    db: DbIndex,
    is_out: bool,
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
}

impl Noted {
    /// Notes a key.
    #[inline]
    pub(crate) fn insert(&mut self, db: DbIndex, key: Key<'_>) {
        if self.slots.len() < 2 * (self.keys.len() + 1) {
            self.grow();
        }
        match self.find(db, key) {
            Ok(index) => {
                let place = &mut self.keys[index];
                self.len += usize::from(place.is_out);
                place.is_out = false;
            }
            Err(slot) => {
                let start = self.bytes.len();
                self.bytes.extend_from_slice(key.bytes);
                self.keys.push(Place {
                    hash: key.hash,
                    start,
                    len: key.bytes.len(),
                    db,
                    is_out: false,
                });
                // More keys than fit here would have filled the memory before.
                self.slots[slot] = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
                self.len += 1;
            }
        }
    }

    pub(crate) fn contains(&self, db: DbIndex, key: Key<'_>) -> bool {
        let found = self.find(db, key);
        found.is_ok_and(|index| !self.keys[index].is_out)
    }

    /// Takes a key out. Returns whether it was noted.
    pub(crate) fn remove(&mut self, db: DbIndex, key: Key<'_>) -> bool {
        let Ok(index) = self.find(db, key) else {
            return false;
        };
        let was_in = !std::mem::replace(&mut self.keys[index].is_out, true);
        self.len -= usize::from(was_in);
        was_in
    }

    /// Takes all keys of a hash out, in whatever database.
    pub(crate) fn take_hash(&mut self, hash: u64) -> Vec<NotedKey> {
        let mut taken = Vec::new();
        if self.len == 0 {
            return taken;
        }
        let mut slot = self.slot_of(hash);
        while let Some(index) = self.index_at(slot) {
            let place = &mut self.keys[index];
            if place.hash == hash && !std::mem::replace(&mut place.is_out, true) {
                self.len -= 1;
                let bytes = &self.bytes[place.start..place.start + place.len];
                taken.push(NotedKey::new(place.db, Key { bytes, hash }));
            }
            slot = self.behind(slot);
        }
        taken
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the key, if there is just one.
    pub(crate) fn only(&self) -> Option<(DbIndex, Key<'_>)> {
        (self.len == 1).then(|| self.iter().next()).flatten()
    }

    /// Returns all keys, in the order in which they were noted first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (DbIndex, Key<'_>)> {
        let places = self.keys.iter().filter(|place| !place.is_out);
        places.map(|place| {
            let bytes = &self.bytes[place.start..place.start + place.len];
            let hash = place.hash;
            (place.db, Key { bytes, hash })
        })
    }

    /// Takes all keys out. Memory that many keys have needed is given back.
    pub(crate) fn clear(&mut self) {
        if self.slots.len() > SLOTS_KEPT.max(8 * self.keys.len()) {
            self.slots = Vec::new();
            self.keys = Vec::new();
        }
        if self.bytes.capacity() > BYTES_KEPT.max(8 * self.bytes.len()) {
            self.bytes = Vec::new();
        }
        self.slots.fill(0);
        self.keys.clear();
        self.bytes.clear();
        self.len = 0;
    }

    /// Returns the index of a key, also of one that was taken out, or the slot where it belongs.
    fn find(&self, db: DbIndex, key: Key<'_>) -> Result<usize, usize> {
        if self.slots.is_empty() {
            return Err(0);
        }
        let mut slot = self.slot_of(key.hash);
        while let Some(index) = self.index_at(slot) {
            let place = &self.keys[index];
            if place.hash == key.hash
                && place.db == db
                && self.bytes[place.start..place.start + place.len] == *key.bytes
            {
                return Ok(index);
            }
            slot = self.behind(slot);
        }
        Err(slot)
    }

    fn index_at(&self, slot: usize) -> Option<usize> {
        let number = usize::try_from(*self.slots.get(slot)?).unwrap_or(0);
        number.checked_sub(1)
    }

    /// The slot that a hash asks for first: by its middle bits, as the dict takes both ends.
    fn slot_of(&self, hash: u64) -> usize {
        base::cast::usize_from(hash >> 20) & (self.slots.len() - 1)
    }

    fn behind(&self, slot: usize) -> usize {
        (slot + 1) & (self.slots.len() - 1)
    }

    #[cold]
    fn grow(&mut self) {
        let len = (2 * self.slots.len()).max(64);
        self.slots.clear();
        self.slots.resize(len, 0);
        for (place, number) in self.keys.iter().zip(1..) {
            let mut slot = self.slot_of(place.hash);
            while self.slots[slot] != 0 {
                slot = self.behind(slot);
            }
            self.slots[slot] = number;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use base::random::Random;

    use super::*;

    fn shown(noted: &Noted) -> BTreeSet<(u16, u64, Vec<u8>)> {
        let keys = noted.iter();
        keys.map(|(db, key)| (db.0, key.hash, key.bytes.to_vec()))
            .collect()
    }

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
        let left: Vec<_> = noted.iter().map(|(_, key)| key.bytes).collect();
        assert_eq!(left, [b"d"]);
    }

    /// Few hashes, so that keys meet, and rounds of very different sizes.
    #[test]
    fn noted_keys_are_those_of_a_set() {
        let seed = std::env::var("SEED").map_or(1, |seed| seed.parse().unwrap());
        println!("SEED={seed}");
        let mut random = Random::new(seed);
        let mut noted = Noted::default();
        for round in 0..60 {
            let mut expected: BTreeSet<(u16, u64, Vec<u8>)> = BTreeSet::new();
            let names = if round % 7 == 0 { 40_000 } else { 30 };
            for _ in 0..2 * names {
                let name = random.below(names);
                let group = if names < 100 { name % 7 } else { name / 3 };
                let hash = group.wrapping_mul(0x9E37_79B9_7F4A_7C15);
                let bytes = name.to_string().into_bytes();
                let db = u16::try_from(random.below(3)).unwrap();
                let key = Key {
                    bytes: &bytes,
                    hash,
                };
                let whole = (db, hash, bytes.clone());
                match random.below(16) {
                    0 => assert_eq!(noted.remove(DbIndex(db), key), expected.remove(&whole)),
                    1 if names < 100 => {
                        let taken = noted.take_hash(hash).into_iter();
                        let taken = taken.map(|it| (it.db.0, it.hash, it.bytes.to_vec()));
                        let with_hash = expected.extract_if(.., |it| it.1 == hash);
                        assert_eq!(taken.collect::<BTreeSet<_>>(), with_hash.collect());
                    }
                    2 => assert_eq!(noted.contains(DbIndex(db), key), expected.contains(&whole)),
                    _ => {
                        noted.insert(DbIndex(db), key);
                        expected.insert(whole);
                    }
                }
                assert_eq!(noted.is_empty(), expected.is_empty());
            }
            assert_eq!(shown(&noted), expected, "round {round}");
            noted.clear();
            assert!(noted.is_empty() && shown(&noted).is_empty());
        }
    }

    #[test]
    fn memory_of_many_keys_is_given_back_and_that_of_few_is_kept() {
        let mut noted = Noted::default();
        let bytes = [b'x'; 64];
        let fill = |noted: &mut Noted, count: u64| {
            for hash in 0..count {
                let bytes = &bytes;
                noted.insert(
                    DbIndex(0),
                    Key {
                        bytes,
                        hash: hash << 20,
                    },
                );
            }
        };
        fill(&mut noted, 100_000);
        noted.clear();
        assert!(noted.slots.len() > SLOTS_KEPT, "the next may be as many");
        fill(&mut noted, 10);
        noted.clear();
        assert_eq!((noted.slots.len(), noted.bytes.capacity()), (0, 0));
        fill(&mut noted, 1000);
        noted.clear();
        let kept = (
            noted.slots.len(),
            noted.keys.capacity(),
            noted.bytes.capacity(),
        );
        fill(&mut noted, 1000);
        noted.clear();
        let again = (
            noted.slots.len(),
            noted.keys.capacity(),
            noted.bytes.capacity(),
        );
        assert_eq!(kept, again);
        assert!(kept.0 >= 2000);
    }
}
