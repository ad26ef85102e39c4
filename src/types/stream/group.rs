//! Consumer groups: what of a stream was delivered to whom, and not acknowledged yet.
//!
//! Invariants
//! - A pending entry is in the group's map with its consumer, and in the set of exactly that consumer.
//! - `consumer_bytes` is what all consumers own on the heap; `Groups::bytes` what all groups own.
//!   Both change only here.
//!
//! Pending entries may name entries that were deleted from the stream since.
//!
//! Not here: the entries (`log.rs`), parsing and replies (`commands`).

use crate::block_map::BlockMap;
use crate::memory;
use crate::stream::id::Id;
use crate::stream::log::Log;
use crate::stream::node::Entry;

/// All groups of a stream by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Groups {
    map: BlockMap<Box<[u8]>, Group>,
    bytes: usize,
}

/// A consumer group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    last_id: Id,
    entries_read: Option<i64>,
    pending: BlockMap<Id, Pending>,
    names: BlockMap<Box<[u8]>, ConsumerId>,
    consumers: Vec<Option<Consumer>>,
    vacant: Vec<ConsumerId>,
    consumer_bytes: usize,
}

/// Names a consumer within its group; good until the consumer is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerId(u32);

/// An entry that was delivered and not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pending {
    /// Whom it belongs to.
    pub consumer: ConsumerId,
    /// When it was delivered last, in milliseconds since 1970.
    pub delivered_at_ms: i64,
    /// How often it was delivered.
    pub delivery_count: u64,
}

/// A consumer of a group.
#[derive(Clone, Debug, PartialEq)]
pub struct Consumer {
    /// Its name.
    pub name: Box<[u8]>,
    /// When it last asked for entries or claimed some, in milliseconds since 1970.
    pub seen_at_ms: i64,
    pending: BlockMap<Id, ()>,
}

/// What a consumer asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Who asks.
    pub consumer: ConsumerId,
    /// The most entries to deliver; 0 for no limit.
    pub count_max: u64,
    /// When, in milliseconds since 1970.
    pub now_ms: i64,
}

/// How a pending entry changes its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The new owner.
    pub consumer: ConsumerId,
    /// The time of delivery from now on.
    pub delivered_at_ms: i64,
    /// The count of deliveries from now on.
    pub delivery_count: u64,
}

impl Groups {
    /// Returns the number of groups.
    #[must_use]
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Returns whether there is no group.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// Returns the bytes taken from the allocator. O(1).
    #[must_use]
    pub fn allocated_bytes(&self) -> usize {
        self.bytes + self.map.allocated_bytes()
    }

    /// Returns a group.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<&Group> {
        self.map.get(name)
    }

    /// Iterates over names and groups in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Group)> {
        self.map.iter().map(|(name, group)| (&**name, group))
    }

    /// Iterates from the first group on whose name is not below `name`.
    pub fn iter_from(&self, name: &[u8]) -> impl Iterator<Item = (&[u8], &Group)> {
        let groups = self.map.iter_from(name);
        groups.map(|(name, group)| (&**name, group))
    }

    /// Changes a group, if it exists.
    pub fn edit<R>(&mut self, name: &[u8], change: impl FnOnce(&mut Group) -> R) -> Option<R> {
        let group = self.map.get_mut(name)?;
        let before = group.allocated_bytes();
        let result = change(group);
        self.bytes = self.bytes - before + group.allocated_bytes();
        Some(result)
    }

    /// Makes a group that has everything up to `last_id` behind it; returns whether it is new. An
    /// existing one stays as it is.
    pub fn create(&mut self, name: &[u8], last_id: Id, entries_read: Option<i64>) -> bool {
        if self.map.find(name).is_some() {
            return false;
        }
        let group = Group {
            last_id,
            entries_read,
            ..Group::default()
        };
        self.map.insert(name.into(), group);
        self.bytes += memory::allocated_bytes(name.len());
        true
    }

    /// Removes a group; returns whether there was one.
    pub fn remove(&mut self, name: &[u8]) -> bool {
        let Some(group) = self.map.remove(name) else {
            return false;
        };
        self.bytes -= group.allocated_bytes() + memory::allocated_bytes(name.len());
        true
    }

    /// Frees about `count` elements; returns whether there are more.
    pub(super) fn drop_parts(&mut self, count: usize) -> bool {
        self.bytes = 0;
        let mut left = count;
        while left > 0 {
            left -= 1;
            let Some(place) = self.map.last_place() else {
                return false;
            };
            if !self.map.at_mut(place).drop_parts(count) {
                self.map.drop_entries(1);
            } else {
                return true;
            }
        }
        !self.map.is_empty()
    }

    /// Returns about how many allocations there are. O(1).
    pub(super) fn free_effort(&self) -> usize {
        self.map.len() + self.bytes / 1024
    }
}

impl Group {
    /// Returns the id of the last entry that was delivered.
    #[must_use]
    pub fn last_id(&self) -> Id {
        self.last_id
    }

    /// Moves the group; entries delivered before stay pending.
    pub fn set_last_id(&mut self, last_id: Id, entries_read: Option<i64>) {
        self.last_id = last_id;
        self.entries_read = entries_read;
    }

    /// Moves the group forward; it never moves back.
    pub fn raise_last_id(&mut self, last_id: Id) -> bool {
        let is_above = last_id > self.last_id;
        self.last_id = self.last_id.max(last_id);
        is_above
    }

    /// Returns how many entries of the stream the group has read, if that is known.
    #[must_use]
    pub fn entries_read(&self) -> Option<i64> {
        self.entries_read
    }

    /// Returns how many entries are still to be read, if that is known. The rules are those of Redis
    /// 7.0.15.
    #[must_use]
    pub fn lag(&self, log: &Log) -> Option<i64> {
        let added = log.entries_added();
        if added == 0 {
            return Some(0);
        }
        let read = match self.entries_read {
            Some(read) if !log.has_gap_from(self.last_id) => read,
            Some(_) | None => log.entries_up_to(self.last_id)?.cast_signed(),
        };
        Some(added.cast_signed().wrapping_sub(read))
    }

    /// Returns the pending entry with this id.
    #[must_use]
    pub fn pending(&self, id: Id) -> Option<&Pending> {
        self.pending.get(&id)
    }

    /// Returns the number of pending entries.
    #[must_use]
    pub fn pending_count(&self) -> usize {
        self.pending.len()
    }

    /// Returns the first and the last pending id.
    #[must_use]
    pub fn pending_bounds(&self) -> Option<(Id, Id)> {
        Some((*self.pending.first()?.0, *self.pending.last()?.0))
    }

    /// Iterates over pending entries of all consumers from an id on.
    pub fn pending_from(&self, start: Id) -> impl Iterator<Item = (Id, &Pending)> {
        let from = self.pending.iter_from(&start);
        from.map(|(id, pending)| (*id, pending))
    }

    /// Iterates over pending entries of one consumer from an id on.
    pub fn pending_of<'a>(
        &'a self,
        consumer: &'a Consumer,
        start: Id,
    ) -> impl Iterator<Item = (Id, &'a Pending)> {
        let ids = consumer.pending.iter_from(&start);
        ids.filter_map(|(id, ())| Some((*id, self.pending.get(id)?)))
    }

    /// Returns the number of consumers.
    #[must_use]
    pub fn consumer_count(&self) -> usize {
        self.names.len()
    }

    /// Iterates over consumers in the order of names.
    pub fn consumers(&self) -> impl Iterator<Item = &Consumer> {
        self.names.iter().map(|(_, id)| self.consumer(*id))
    }

    /// Iterates from the first consumer on whose name is not below `name`.
    pub fn consumers_from(&self, name: &[u8]) -> impl Iterator<Item = &Consumer> {
        let consumers = self.names.iter_from(name);
        consumers.map(|(_, id)| self.consumer(*id))
    }

    /// Returns the id of a consumer.
    #[must_use]
    pub fn find_consumer(&self, name: &[u8]) -> Option<ConsumerId> {
        self.names.get(name).copied()
    }

    /// Returns a consumer.
    ///
    /// # Panics
    ///
    /// If it has been removed.
    #[must_use]
    pub fn consumer(&self, id: ConsumerId) -> &Consumer {
        self.consumers[index(id)]
            .as_ref()
            .expect("an id is good until the consumer is removed")
    }

    fn consumer_mut(&mut self, id: ConsumerId) -> &mut Consumer {
        self.consumers[index(id)]
            .as_mut()
            .expect("an id is good until the consumer is removed")
    }

    /// Makes a consumer; nothing if there is one with this name.
    pub fn create_consumer(&mut self, name: &[u8], now_ms: i64) -> Option<ConsumerId> {
        if self.names.find(name).is_some() {
            return None;
        }
        let consumer = Consumer {
            name: name.into(),
            seen_at_ms: now_ms,
            pending: BlockMap::default(),
        };
        let id = match self.vacant.pop() {
            Some(id) => {
                self.consumers[index(id)] = Some(consumer);
                id
            }
            None => {
                self.consumers.push(Some(consumer));
                ConsumerId(base::cast::u32_from(self.consumers.len() - 1))
            }
        };
        // The name is kept by number and in the order of names.
        self.consumer_bytes += 2 * memory::allocated_bytes(name.len());
        self.names.insert(name.into(), id);
        Some(id)
    }

    /// Notes that a consumer is alive.
    pub fn note_seen(&mut self, id: ConsumerId, now_ms: i64) {
        self.consumer_mut(id).seen_at_ms = now_ms;
    }

    /// Removes a consumer with all that is pending for it; returns how many entries those were.
    pub fn remove_consumer(&mut self, id: ConsumerId) -> usize {
        let Some(consumer) = self.consumers[index(id)].take() else {
            return 0;
        };
        for (entry, ()) in consumer.pending.iter() {
            self.pending.remove(entry);
        }
        self.names.remove(&*consumer.name);
        self.vacant.push(id);
        let names = 2 * memory::allocated_bytes(consumer.name.len());
        self.consumer_bytes -= names + consumer.pending.allocated_bytes();
        consumer.pending.len()
    }

    /// Removes a pending entry; returns whether there was one.
    pub fn acknowledge(&mut self, id: Id) -> bool {
        let Some(pending) = self.pending.remove(&id) else {
            return false;
        };
        self.edit_pending_of(pending.consumer, |entries| {
            entries.remove(&id);
        });
        true
    }

    /// Gives an entry to a consumer, whether it was pending before or not.
    pub fn claim(&mut self, id: Id, claim: Claim) {
        let pending = Pending {
            consumer: claim.consumer,
            delivered_at_ms: claim.delivered_at_ms,
            delivery_count: claim.delivery_count,
        };
        let before = self.pending.insert(id, pending).map(|old| old.consumer);
        if before == Some(claim.consumer) {
            return;
        }
        if let Some(old) = before {
            self.edit_pending_of(old, |entries| {
                entries.remove(&id);
            });
        }
        self.edit_pending_of(claim.consumer, |entries| {
            entries.insert(id, ());
        });
    }

    fn edit_pending_of(&mut self, id: ConsumerId, edit: impl FnOnce(&mut BlockMap<Id, ()>)) {
        let entries = &mut self.consumer_mut(id).pending;
        let before = entries.allocated_bytes();
        edit(entries);
        let after = entries.allocated_bytes();
        self.consumer_bytes = self.consumer_bytes - before + after;
    }

    /// Delivers entries behind the last one that was delivered. With `keeps_pending` they wait for
    /// an acknowledgement. Returns how many they are.
    pub fn deliver(
        &mut self,
        log: &Log,
        reading: Reading,
        keeps_pending: bool,
        mut each: impl FnMut(Entry<'_>),
    ) -> usize {
        let Some(start) = self.last_id.next() else {
            return 0;
        };
        let mut delivered = 0;
        for entry in log.range(start, Id::MAX).take(bound(reading.count_max)) {
            self.note_read(log, entry.id);
            each(entry);
            delivered += 1;
            if keeps_pending {
                let claim = Claim {
                    consumer: reading.consumer,
                    delivered_at_ms: reading.now_ms,
                    delivery_count: 1,
                };
                self.claim(entry.id, claim);
            }
        }
        delivered
    }

    /// Moves the group to an entry that is delivered now, and counts it.
    fn note_read(&mut self, log: &Log, id: Id) {
        self.entries_read = match self.entries_read {
            Some(read) if !log.has_gap_from(id) => Some(read.wrapping_add(1)),
            read if log.entries_added() == 0 => read,
            Some(_) | None => log.entries_up_to(id).map(u64::cast_signed),
        };
        self.last_id = id;
    }

    /// Delivers again what is pending for a consumer from `start` on; of entries that were deleted
    /// from the stream only the id, and they do not count as delivered. Returns how many they are.
    pub fn redeliver(
        &mut self,
        log: &Log,
        reading: Reading,
        start: Id,
        mut each: impl FnMut(Id, Option<Entry<'_>>),
    ) -> usize {
        let mut delivered = 0;
        let consumer = self.consumers.get(index(reading.consumer));
        let Some(Some(consumer)) = consumer else {
            return 0;
        };
        let ids = consumer.pending.iter_from(&start);
        for (id, ()) in ids.take(bound(reading.count_max)) {
            let entry = log.entry(*id);
            each(*id, entry);
            delivered += 1;
            if entry.is_some()
                && let Some(pending) = self.pending.get_mut(id)
            {
                pending.delivered_at_ms = reading.now_ms;
                pending.delivery_count = pending.delivery_count.wrapping_add(1);
            }
        }
        delivered
    }

    /// Bytes taken from the allocator. O(1).
    fn allocated_bytes(&self) -> usize {
        self.pending.allocated_bytes()
            + self.names.allocated_bytes()
            + memory::allocated_bytes(self.consumers.capacity() * size_of::<Option<Consumer>>())
            + memory::allocated_bytes(self.vacant.capacity() * size_of::<ConsumerId>())
            + self.consumer_bytes
    }

    /// Frees about `count` elements of each kind; returns whether there are more.
    fn drop_parts(&mut self, count: usize) -> bool {
        let mut has_more = self.pending.drop_entries(count) | self.names.drop_entries(count);
        for _ in 0..count {
            let Some(last) = self.consumers.last_mut() else {
                break;
            };
            if let Some(consumer) = last
                && consumer.pending.drop_entries(count)
            {
                return true;
            }
            self.consumers.pop();
        }
        has_more |= !self.consumers.is_empty();
        has_more
    }
}

impl Consumer {
    /// Returns the number of entries that are pending for it.
    #[must_use]
    pub fn pending_count(&self) -> usize {
        self.pending.len()
    }
}

/// Turns a number of entries into one for iterators.
fn bound(count_max: u64) -> usize {
    match count_max {
        0 => usize::MAX,
        count => base::cast::usize_from(count),
    }
}

fn index(id: ConsumerId) -> usize {
    base::cast::usize_from_u32(id.0)
}
