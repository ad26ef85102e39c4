//! Who waits at which key, and which of these keys have changed.
//!
//! A waiter is known here by a [`Ticket`] alone. The tickets of a shard count up, so the queue at a key
//! is the order of arrival, whatever cores the clients live on. Every change of a key that somebody
//! waits at marks the key as ready; what that is worth to whom is for the caller to find out, when the
//! command, or the whole transaction, is over ([`Waiters::take_ready`]).
//!
//! Invariants
//! - A key has a queue exactly as long as somebody waits at it.
//! - A key stands in the list of ready ones once at most, in the order of its first change.
//! - Keys nobody waits at cost one comparison per write.
//!
//! Not here: requests, replies and what makes a key worth a try (`commands`, `coordinator`).

use std::collections::BTreeSet;

use base::hash::Map;
use base::ids::DbIndex;

/// Names a waiter of one shard; smaller ones came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// What a waiter waits for at a key. Each kind has a queue of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// A list, to take elements from.
    List,
    /// A sorted set, to take members from.
    SortedSet,
    /// Entries of a stream, which stay there.
    Entries,
    /// Entries of a stream for a consumer group.
    Group,
}

impl Awaited {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::List, Self::SortedSet, Self::Entries, Self::Group];

    fn index(self) -> usize {
        match self {
            Self::List => 0,
            Self::SortedSet => 1,
            Self::Entries => 2,
            Self::Group => 3,
        }
    }
}

/// A key of a numbered database.
pub type Place = (DbIndex, Box<[u8]>);

/// A key that is to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// Which it is.
    pub place: Place,
    /// It has changed since it was looked at last; otherwise somebody wants it to be looked at again.
    pub is_changed: bool,
}

/// The queues at one key.
#[derive(Debug, Default)]
struct Queues {
    tickets: [BTreeSet<Ticket>; 4],
    /// The key stands in the list of ready ones.
    is_ready: bool,
    /// And it has changed.
    is_changed: bool,
}

/// All queues of a shard.
#[derive(Debug, Default)]
pub struct Waiters {
    keys: Map<DbIndex, Map<Box<[u8]>, Queues>>,
    /// Places in queues.
    count: usize,
    last: u64,
    ready: Vec<Place>,
}

impl Waiters {
    /// Returns whether nobody waits.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns whether a key that somebody waits at has changed.
    #[inline]
    #[must_use]
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Draws the ticket of a new waiter, who stands behind all others.
    pub fn draw(&mut self) -> Ticket {
        self.last += 1;
        Ticket(self.last)
    }

    /// Puts a waiter into the queue at a key. Returns whether it was not there yet. O(log of the queue).
    pub fn join(&mut self, db: DbIndex, key: &[u8], awaited: Awaited, ticket: Ticket) -> bool {
        let keys = self.keys.entry(db).or_default();
        let queues = match keys.get_mut(key) {
            Some(queues) => queues,
            None => keys.entry(key.into()).or_default(),
        };
        let is_new = queues.tickets[awaited.index()].insert(ticket);
        self.count += usize::from(is_new);
        is_new
    }

    /// Takes a waiter out of the queue at a key, if it stands there. O(log of the queue).
    pub fn leave(&mut self, db: DbIndex, key: &[u8], awaited: Awaited, ticket: Ticket) {
        let Some(keys) = self.keys.get_mut(&db) else {
            return;
        };
        let Some(queues) = keys.get_mut(key) else {
            return;
        };
        self.count -= usize::from(queues.tickets[awaited.index()].remove(&ticket));
        if queues.tickets.iter().all(BTreeSet::is_empty) {
            keys.remove(key);
        }
    }

    /// Returns the first waiter at a key that came after `after`, if there is one. O(log of the queue).
    #[must_use]
    pub fn next(
        &self,
        db: DbIndex,
        key: &[u8],
        awaited: Awaited,
        after: Option<Ticket>,
    ) -> Option<Ticket> {
        let queues = self.keys.get(&db)?.get(key)?;
        let first = Ticket(after.map_or(0, |ticket| ticket.0 + 1));
        let mut behind = queues.tickets[awaited.index()].range(first..);
        behind.next().copied()
    }

    /// Notes that a key has changed.
    #[inline]
    pub fn note(&mut self, db: DbIndex, key: &[u8]) {
        if !self.is_empty() {
            self.note_awaited(db, key);
        }
    }

    fn note_awaited(&mut self, db: DbIndex, key: &[u8]) {
        if let Some(queues) = self.queues_of(db, key) {
            queues.is_changed = true;
            self.look_at(db, key);
        }
    }

    /// Has a key looked at again that has not changed.
    pub fn look_at(&mut self, db: DbIndex, key: &[u8]) {
        if let Some(queues) = self.queues_of(db, key)
            && !queues.is_ready
        {
            queues.is_ready = true;
            self.ready.push((db, key.into()));
        }
    }

    fn queues_of(&mut self, db: DbIndex, key: &[u8]) -> Option<&mut Queues> {
        self.keys.get_mut(&db)?.get_mut(key)
    }

    /// Notes that all keys of a database may have changed. O(keys that somebody waits at).
    pub(crate) fn note_all(&mut self, db: DbIndex) {
        let Some(keys) = self.keys.get_mut(&db) else {
            return;
        };
        for (key, queues) in keys.iter_mut() {
            queues.is_changed = true;
            if !queues.is_ready {
                queues.is_ready = true;
                self.ready.push((db, key.clone()));
            }
        }
    }

    /// Takes the keys that are to be looked at, in the order in which they were noted since the last call. A key
    /// may stand among them that nobody waits at any more.
    pub fn take_ready(&mut self) -> Vec<Ready> {
        let ready = std::mem::take(&mut self.ready).into_iter();
        let take = |place: Place| {
            let queues = self.keys.get_mut(&place.0);
            let queues = queues.and_then(|keys| keys.get_mut(&place.1));
            let is_changed = queues.is_some_and(|queues| {
                queues.is_ready = false;
                std::mem::take(&mut queues.is_changed)
            });
            Ready { place, is_changed }
        };
        ready.map(take).collect()
    }
}

#[cfg(test)]
mod tests {
    use base::random::Random;

    use super::*;

    const DB: DbIndex = DbIndex(0);

    #[test]
    fn nobody_is_ready_where_nobody_waits() {
        let mut waiters = Waiters::default();
        waiters.note(DB, b"key");
        let ticket = waiters.draw();
        waiters.join(DB, b"key", Awaited::List, ticket);
        waiters.note(DB, b"other");
        waiters.note(DbIndex(1), b"key");
        assert!(!waiters.has_ready());
        waiters.note(DB, b"key");
        waiters.note(DB, b"key");
        waiters.look_at(DB, b"key");
        let ready = |is_changed| Ready {
            place: (DB, b"key".as_slice().into()),
            is_changed,
        };
        assert_eq!(waiters.take_ready(), [ready(true)]);
        waiters.look_at(DB, b"key");
        assert_eq!(waiters.take_ready(), [ready(false)]);
        assert!(!waiters.has_ready());
        waiters.leave(DB, b"key", Awaited::List, ticket);
        assert!(waiters.is_empty());
    }

    /// Compares the queues with plain lists over random sequences.
    #[test]
    fn queues_keep_the_order_of_arrival() {
        let seed = std::env::var("SEED")
            .ok()
            .and_then(|seed| seed.parse().ok())
            .unwrap_or(7);
        println!("SEED={seed}");
        let mut random = Random::new(seed);
        let keys: [&[u8]; 3] = [b"a", b"b", b"c"];
        let mut waiters = Waiters::default();
        let mut model: Vec<(usize, usize, Awaited, Ticket)> = Vec::new();
        let mut ready: Vec<Place> = Vec::new();
        for _ in 0..20_000 {
            let (db, key) = (random.index(2), random.index(keys.len()));
            let place = (DbIndex(u16::try_from(db).unwrap()), keys[key]);
            match random.index(5) {
                0 | 1 => {
                    let awaited = Awaited::ALL[random.index(4)];
                    let ticket = waiters.draw();
                    waiters.join(place.0, place.1, awaited, ticket);
                    model.push((db, key, awaited, ticket));
                }
                2 if !model.is_empty() => {
                    let (db, key, awaited, ticket) = model.remove(random.index(model.len()));
                    let db = DbIndex(u16::try_from(db).unwrap());
                    waiters.leave(db, keys[key], awaited, ticket);
                }
                3 => {
                    waiters.note(place.0, place.1);
                    let is_awaited = model.iter().any(|it| (it.0, it.1) == (db, key));
                    let entry = (place.0, place.1.into());
                    if is_awaited && !ready.contains(&entry) {
                        ready.push(entry);
                    }
                }
                _ => {
                    let taken = waiters.take_ready().into_iter();
                    let mut taken: Vec<Place> = taken.map(|ready| ready.place).collect();
                    // What lost its last waiter in between may be left out, or named again.
                    taken.dedup();
                    for entry in std::mem::take(&mut ready) {
                        assert!(taken.contains(&entry), "{entry:?} was changed");
                    }
                }
            }
            assert_eq!(waiters.is_empty(), model.is_empty());
            let awaited = Awaited::ALL[random.index(4)];
            let expected: Vec<Ticket> = model
                .iter()
                .filter(|it| (it.0, it.1, it.2) == (db, key, awaited))
                .map(|it| it.3)
                .collect();
            let mut found = Vec::new();
            while let Some(ticket) = waiters.next(place.0, place.1, awaited, found.last().copied())
            {
                found.push(ticket);
            }
            assert_eq!(found, expected);
        }
    }
}
