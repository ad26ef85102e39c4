//! Who listens to what: the channels of one client, and the clients of one core by channel.
//!
//! Invariants
//! - Both sides say the same: a client stands under a name exactly if the name stands in its
//!   [`Subscriptions`]. `pubsub` alone changes them, always together.
//! - No name stands in [`Listeners`] without a client.
//!
//! Names are kept in order: clients choose them, so a hash that they can guess will not do.
//!
//! Not here: how a message reaches those who listen (`pubsub`).

use std::collections::{BTreeMap, BTreeSet};

use base::hash::Set;

/// What is subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A channel.
    Channel,
    /// All channels that a pattern matches.
    Pattern,
    /// A channel of a slot (`SSUBSCRIBE`).
    Shard,
}

/// What one client listens to.
#[derive(Debug, Default)]
pub struct Subscriptions {
    channels: BTreeSet<Box<[u8]>>,
    /// With the order in which they came.
    patterns: BTreeMap<Box<[u8]>, u64>,
    shard_channels: BTreeSet<Box<[u8]>>,
    patterns_so_far: u64,
}

impl Subscriptions {
    /// Adds a name. Returns whether it is new.
    pub fn insert(&mut self, kind: Kind, name: &[u8]) -> bool {
        match kind {
            Kind::Channel => self.channels.insert(name.into()),
            Kind::Shard => self.shard_channels.insert(name.into()),
            Kind::Pattern if self.patterns.contains_key(name) => false,
            Kind::Pattern => {
                self.patterns_so_far += 1;
                self.patterns.insert(name.into(), self.patterns_so_far);
                true
            }
        }
    }

    /// Removes a name. Returns whether it was there.
    pub fn remove(&mut self, kind: Kind, name: &[u8]) -> bool {
        match kind {
            Kind::Channel => self.channels.remove(name),
            Kind::Shard => self.shard_channels.remove(name),
            Kind::Pattern => self.patterns.remove(name).is_some(),
        }
    }

    /// Returns all names of a kind; patterns as they came.
    #[must_use]
    pub fn names(&self, kind: Kind) -> Vec<Box<[u8]>> {
        match kind {
            Kind::Channel => self.channels.iter().cloned().collect(),
            Kind::Shard => self.shard_channels.iter().cloned().collect(),
            Kind::Pattern => {
                let mut patterns: Vec<_> = self.patterns.iter().collect();
                patterns.sort_unstable_by_key(|(_, number)| **number);
                patterns.into_iter().map(|(name, _)| name.clone()).collect()
            }
        }
    }

    /// Returns how many names of a kind there are.
    #[must_use]
    pub fn count(&self, kind: Kind) -> usize {
        match kind {
            Kind::Channel => self.channels.len(),
            Kind::Pattern => self.patterns.len(),
            Kind::Shard => self.shard_channels.len(),
        }
    }

    /// Returns the number that a client is told when a name of this kind comes or goes: channels and
    /// patterns are counted together.
    #[must_use]
    pub fn told_count(&self, kind: Kind) -> usize {
        match kind {
            Kind::Channel | Kind::Pattern => self.channels.len() + self.patterns.len(),
            Kind::Shard => self.shard_channels.len(),
        }
    }

    /// Returns whether the client listens to nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty() && self.patterns.is_empty() && self.shard_channels.is_empty()
    }
}

/// The clients of one name, by the bits of their connections.
type Clients = Set<u64>;

/// The clients of one core that listen, by what they listen to.
#[derive(Debug, Default)]
pub struct Listeners {
    channels: BTreeMap<Box<[u8]>, Clients>,
    patterns: BTreeMap<Box<[u8]>, Clients>,
    shard_channels: BTreeMap<Box<[u8]>, Clients>,
}

impl Listeners {
    fn of(&self, kind: Kind) -> &BTreeMap<Box<[u8]>, Clients> {
        match kind {
            Kind::Channel => &self.channels,
            Kind::Pattern => &self.patterns,
            Kind::Shard => &self.shard_channels,
        }
    }

    fn of_mut(&mut self, kind: Kind) -> &mut BTreeMap<Box<[u8]>, Clients> {
        match kind {
            Kind::Channel => &mut self.channels,
            Kind::Pattern => &mut self.patterns,
            Kind::Shard => &mut self.shard_channels,
        }
    }

    /// Adds a client under a name.
    pub fn insert(&mut self, kind: Kind, name: &[u8], client: u64) {
        let names = self.of_mut(kind);
        match names.get_mut(name) {
            Some(clients) => {
                clients.insert(client);
            }
            None => {
                names.insert(name.into(), Clients::from_iter([client]));
            }
        }
    }

    /// Removes a client from a name.
    pub fn remove(&mut self, kind: Kind, name: &[u8], client: u64) {
        let names = self.of_mut(kind);
        if let Some(clients) = names.get_mut(name) {
            clients.remove(&client);
            if clients.is_empty() {
                names.remove(name);
            }
        }
    }

    /// Returns who listens to a name of a kind; in no order that means anything.
    pub fn clients(&self, kind: Kind, name: &[u8]) -> impl ExactSizeIterator<Item = u64> {
        let clients = self.of(kind).get(name);
        clients.map(Set::iter).unwrap_or_default().copied()
    }

    /// Returns the patterns, in order, and who listens to each.
    pub fn patterns(&self) -> impl Iterator<Item = (&[u8], &Set<u64>)> {
        let patterns = self.patterns.iter();
        patterns.map(|(pattern, clients)| (&**pattern, clients))
    }

    /// Returns the names of a kind that somebody listens to, in order.
    pub fn names(&self, kind: Kind) -> impl Iterator<Item = &[u8]> {
        self.of(kind).keys().map(|name| &**name)
    }

    /// Returns whether nobody listens to anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty() && self.patterns.is_empty() && self.shard_channels.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_keep_the_order_in_which_they_came() {
        let mut subscriptions = Subscriptions::default();
        for name in ["z*", "a*", "m*", "a*"] {
            subscriptions.insert(Kind::Pattern, name.as_bytes());
        }
        subscriptions.remove(Kind::Pattern, b"a*");
        subscriptions.insert(Kind::Pattern, b"a*");
        let names = subscriptions.names(Kind::Pattern);
        let names: Vec<&[u8]> = names.iter().map(|name| &**name).collect();
        assert_eq!(names, [b"z*", b"m*", b"a*"]);
        assert_eq!(subscriptions.told_count(Kind::Channel), 3);
    }

    #[test]
    fn a_name_without_clients_is_forgotten() {
        let mut listeners = Listeners::default();
        listeners.insert(Kind::Channel, b"a", 1);
        listeners.insert(Kind::Channel, b"a", 2);
        listeners.remove(Kind::Channel, b"a", 1);
        assert_eq!(listeners.clients(Kind::Channel, b"a").len(), 1);
        assert_eq!(listeners.clients(Kind::Shard, b"a").len(), 0);
        listeners.remove(Kind::Channel, b"a", 2);
        assert!(listeners.is_empty());
    }
}
