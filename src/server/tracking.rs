//! Client-side caching: what one client has asked for, and who has read which keys of one core.
//!
//! Invariants
//! - A key stands in [`Readers`] only with somebody to tell; it is forgotten when they are told.
//! - Clients that have left stay in the table until the key changes; nobody is told for them.
//!
//! Not here: how clients are told (`invalidate`).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use base::hash::Set;
use base::ids::{ClientId, ShardId};

/// Which reads are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// All.
    All,
    /// Those behind `CLIENT CACHING YES`.
    OptIn,
    /// All but those behind `CLIENT CACHING NO`.
    OptOut,
    /// None: the client is told of all keys with its prefixes.
    Broadcast,
}

/// A client that is told in place of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The client.
    pub client: ClientId,
    /// Where it lives; it stays there.
    pub core: ShardId,
    /// Its connection.
    pub connection: u64,
}

/// What a client has asked for with `CLIENT TRACKING ON`.
#[derive(Clone, Debug)]
pub struct Tracking {
    /// Which reads are remembered.
    pub mode: Mode,
    /// Of a broadcast, none of which is the beginning of another.
    pub prefixes: BTreeSet<Box<[u8]>>,
    /// Who is told.
    pub redirect: Option<Target>,
    /// It is not told of its own changes.
    pub is_silent: bool,
    /// Who was to be told has left.
    pub is_broken: bool,
    /// `CLIENT CACHING` was said of the next command.
    pub is_chosen: bool,
}

impl Tracking {
    /// Returns whether the reads of the next command are remembered.
    #[must_use]
    pub fn remembers(&self) -> bool {
        match self.mode {
            Mode::All => true,
            Mode::OptIn => self.is_chosen,
            Mode::OptOut => !self.is_chosen,
            Mode::Broadcast => false,
        }
    }
}

/// A client that has read a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reader {
    /// Where it lives, as long as it tracks.
    pub core: ShardId,
    /// Its connection.
    pub connection: u64,
    /// The client.
    pub client: ClientId,
}

/// Who has read which keys of one core.
#[derive(Debug, Default)]
pub struct Readers {
    keys: BTreeMap<Box<[u8]>, Set<Reader>>,
    items: usize,
    /// The key that was given up last.
    given_up: Box<[u8]>,
}

impl Readers {
    /// Remembers that a client has read a key.
    pub fn insert(&mut self, key: &[u8], reader: Reader) {
        let is_new = match self.keys.get_mut(key) {
            Some(readers) => readers.insert(reader),
            None => {
                self.keys.insert(key.into(), Set::from_iter([reader]));
                true
            }
        };
        self.items += usize::from(is_new);
    }

    /// Takes those who have read a key.
    pub fn take(&mut self, key: &[u8]) -> Set<Reader> {
        let readers = self.keys.remove(key).unwrap_or_default();
        self.items -= readers.len();
        readers
    }

    /// Takes a key, since there are too many: each in its turn.
    pub fn give_up(&mut self) -> Option<(Box<[u8]>, Set<Reader>)> {
        let behind = (Bound::Excluded(&*self.given_up), Bound::Unbounded);
        let next = self.keys.range::<[u8], _>(behind).next();
        let (key, _) = next.or_else(|| self.keys.first_key_value())?;
        let key = key.clone();
        let readers = self.take(&key);
        self.given_up.clone_from(&key);
        Some((key, readers))
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.keys.clear();
        self.items = 0;
    }

    /// Returns how many keys are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Returns whether no key is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Returns how many readers of keys are remembered.
    #[must_use]
    pub fn items(&self) -> usize {
        self.items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(client: u64) -> Reader {
        Reader {
            core: ShardId(0),
            connection: client,
            client: ClientId(client),
        }
    }

    #[test]
    fn keys_are_given_up_in_turn() {
        let mut readers = Readers::default();
        for key in ["b", "a", "c"] {
            readers.insert(key.as_bytes(), reader(1));
        }
        readers.insert(b"b", reader(2));
        readers.insert(b"b", reader(2));
        assert_eq!((readers.len(), readers.items()), (3, 4));
        let (first, _) = readers.give_up().unwrap();
        readers.insert(&first, reader(1));
        let (second, clients) = readers.give_up().unwrap();
        assert_eq!((&*first, &*second), (&b"a"[..], &b"b"[..]));
        assert_eq!(clients.len(), 2);
        assert_eq!(readers.items(), 2);
        assert!(readers.take(b"nosuch").is_empty());
    }
}
