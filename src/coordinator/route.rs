//! Keys to shards.

use base::ids::{ShardId, SlotId};
use base::limits::SLOT_COUNT;
use commands::keys;
use commands::scope::Scope;
use commands::slots;
use commands::sort;
use commands::spec::{Plan, ShardCommand, Spread};
use protocol::args::Args;

use crate::message::queue::Lies;

/// Which shard owns which slots: contiguous ranges of almost equal length, one per shard, the same on
/// all cores and for the life of the process.
#[derive(Clone, Copy, Debug)]
pub struct SlotMap {
    shard_count: u16,
}

impl SlotMap {
    /// Creates the map for `shard_count` shards, at least 1.
    ///
    /// # Panics
    ///
    /// If there is no shard, or more than slots.
    #[must_use]
    pub fn new(shard_count: u16) -> Self {
        assert!(
            (1..=SLOT_COUNT).contains(&shard_count),
            "every shard owns a slot"
        );
        Self { shard_count }
    }

    /// Returns the number of shards.
    #[must_use]
    pub fn shard_count(self) -> u16 {
        self.shard_count
    }

    /// Returns all shards.
    pub fn shards(self) -> impl ExactSizeIterator<Item = ShardId> {
        (0..self.shard_count).map(ShardId)
    }

    /// Returns the owner of `slot`.
    #[must_use]
    pub fn shard_of_slot(self, slot: SlotId) -> ShardId {
        slots::owner(slot, self.shard_count)
    }

    /// Returns the owner of `key`.
    #[inline]
    #[must_use]
    pub fn shard_of_key(self, key: &[u8]) -> ShardId {
        slots::owner_of_key(key, self.shard_count)
    }

    /// Returns the first and the last slot of `shard`.
    #[must_use]
    pub fn slots_of(self, shard: ShardId) -> (SlotId, SlotId) {
        let first = |shard: u16| {
            (u32::from(shard) * u32::from(SLOT_COUNT)).div_ceil(u32::from(self.shard_count))
        };
        let low = first(shard.0);
        let high = first(shard.0 + 1) - 1;
        let slot = |value: u32| SlotId(u16::try_from(value).unwrap_or(SLOT_COUNT - 1));
        (slot(low), slot(high))
    }
}

/// Which shards a request needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// One shard, in one piece.
    One(ShardId),
    /// No key: any shard will do, so the coordinator's own.
    Anywhere,
    /// The shard that a SCAN cursor names.
    Cursor,
    /// Several shards; every shard if the list is empty.
    Several(Vec<ShardId>),
}

impl From<Route> for Lies {
    fn from(route: Route) -> Self {
        match route {
            Route::One(shard) => Self::On(shard),
            Route::Anywhere => Self::Anywhere,
            Route::Cursor | Route::Several(_) => Self::Apart,
        }
    }
}

/// Returns the shards that a request for `command` needs. Cost: O(K), K the number of keys.
#[must_use]
pub fn route(map: SlotMap, command: &ShardCommand, args: Args<'_>) -> Route {
    match command.spread {
        Spread::OneShard => match keys::first_key(&command.declaration, args) {
            Some(index) => Route::One(map.shard_of_key(args.word(index))),
            None => Route::Anywhere,
        },
        Spread::Cursor => Route::Cursor,
        Spread::Everywhere(_) => everywhere(map),
        Spread::Plan(Plan::Table(Scope::Catalog | Scope::Definition)) => Route::Anywhere,
        Spread::Plan(Plan::RandomKey | Plan::Table(_)) => everywhere(map),
        Spread::Plan(Plan::Sort) if sort::names_others(command, args) => everywhere(map),
        Spread::ByKey { .. } | Spread::Plan(_) => by_keys(map, command, args),
    }
}

fn everywhere(map: SlotMap) -> Route {
    if map.shard_count == 1 {
        Route::One(ShardId(0))
    } else {
        Route::Several(Vec::new())
    }
}

fn by_keys(map: SlotMap, command: &ShardCommand, args: Args<'_>) -> Route {
    if map.shard_count == 1 {
        return Route::One(ShardId(0));
    }
    let mut shards = Vec::new();
    keys::positions(&command.declaration, args, |index, _| {
        let shard = map.shard_of_key(args.word(index));
        if !shards.contains(&shard) {
            shards.push(shard);
        }
    });
    match shards.as_slice() {
        [] => Route::Anywhere,
        [only] => Route::One(*only),
        [_, _, ..] => Route::Several(shards),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_has_the_owner_whose_range_it_lies_in() {
        for count in [1, 2, 3, 4, 5, 7, 8, 16, 63, 64, 1000] {
            let map = SlotMap::new(count);
            let mut next = 0;
            for shard in map.shards() {
                let (low, high) = map.slots_of(shard);
                assert_eq!(low.0, next, "ranges follow each other");
                for slot in low.0..=high.0 {
                    assert_eq!(map.shard_of_slot(SlotId(slot)), shard);
                }
                next = high.0 + 1;
            }
            assert_eq!(next, SLOT_COUNT);
        }
    }
}
