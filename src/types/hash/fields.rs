//! The fields of a large hash: a table of pairs, and a schedule of those that expire.
//!
//! The schedule names a field by the cursor at which a scan of the table finds it: 16 bytes for each
//! field that expires, whatever its length.
//!
//! Invariants
//! - For each pair with an expiry there is one item (expiry, cursor) in the schedule, and no other.
//! - A hash in which no field expires has no schedule.
//!
//! Not here: what is dead is decided by the caller's `now`; small hashes (`packed`).

use base::clock::UnixMillis;
use base::hash::KeyHasher;
use base::random::Random;

use super::pair::Pair;
use crate::memory::allocated_bytes;
use crate::schedule::Schedule;
use crate::table::Table;

/// Tries to draw a live field before all are looked at.
const RANDOM_TRIES: usize = 100;

/// See the head of the file.
#[derive(Clone, Debug)]
pub(super) struct Fields {
    table: Table<Pair>,
    schedule: Option<Box<Schedule<u64>>>,
}

impl Fields {
    pub(super) fn new(hash_seed: (u64, u64)) -> Self {
        Self {
            table: Table::new(KeyHasher::new(hash_seed)),
            schedule: None,
        }
    }

    /// Returns the number of fields, dead ones included.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// Returns how many fields are dead. O(those / 60), at least O(log n) if any expires.
    pub(super) fn dead_count(&self, now: UnixMillis) -> usize {
        self.schedule.as_ref().map_or(0, |it| it.count_before(now))
    }

    pub(super) fn next_expiry(&self) -> Option<UnixMillis> {
        Some(self.schedule.as_ref()?.first()?.0)
    }

    /// Returns when the first live field dies. O(log n).
    pub(super) fn next_live_expiry(&self, now: UnixMillis) -> Option<UnixMillis> {
        self.schedule.as_ref()?.first_from(now)
    }

    /// Returns whether every field is dead. O(1).
    pub(super) fn all_dead(&self, now: UnixMillis) -> bool {
        self.schedule.as_ref().is_some_and(|schedule| {
            schedule.len() == self.table.len() && schedule.last_at().is_some_and(|at| at < now)
        })
    }

    pub(super) fn get(&self, field: &[u8]) -> Option<&Pair> {
        self.table.get(field)
    }

    /// Sets a value. `expire_at` of `None` leaves the expiry of a field that exists as it is.
    /// Returns whether the field is new.
    pub(super) fn set(
        &mut self,
        field: &[u8],
        value: &[u8],
        expiry: Option<Option<UnixMillis>>,
    ) -> bool {
        let changed = self.table.update(field, |pair| {
            let before = pair.expire_at();
            let after = expiry.unwrap_or(before);
            if before == after {
                pair.set_value(value);
            } else {
                *pair = Pair::new(field, value, after);
            }
            (before, after)
        });
        let is_new = changed.is_none();
        let (before, after) = changed.unwrap_or_else(|| {
            let expire_at = expiry.flatten();
            self.table.insert(Pair::new(field, value, expire_at));
            (None, expire_at)
        });
        self.reschedule(field, before, after);
        is_new
    }

    /// Sets or clears the expiry of a field, if it exists.
    pub(super) fn set_expiry(&mut self, field: &[u8], expire_at: Option<UnixMillis>) {
        let before = self.table.update(field, |pair| {
            let before = pair.expire_at();
            pair.set_expire_at(expire_at);
            before
        });
        if let Some(before) = before {
            self.reschedule(field, before, expire_at);
        }
    }

    pub(super) fn remove(&mut self, field: &[u8]) -> Option<Pair> {
        let pair = self.table.remove(field)?;
        self.reschedule(field, pair.expire_at(), None);
        Some(pair)
    }

    fn reschedule(&mut self, field: &[u8], before: Option<UnixMillis>, after: Option<UnixMillis>) {
        if before == after {
            return;
        }
        let cursor = self.table.cursor_of(field);
        let schedule = self.schedule.get_or_insert_default();
        if let Some(at) = before {
            let removed = schedule.remove(at, cursor);
            debug_assert!(removed, "a field that expires is in the schedule");
        }
        match after {
            Some(at) => schedule.insert(at, cursor),
            None if schedule.is_empty() => self.schedule = None,
            None => {}
        }
    }

    /// Removes dead fields, at most `limit`. Returns how many it removed.
    ///
    /// Cost: for each a segment of the table, some forty pairs.
    pub(super) fn remove_expired(&mut self, now: UnixMillis, limit: usize) -> usize {
        let mut removed = 0;
        while removed < limit
            && let Some(schedule) = &mut self.schedule
            && let Some((at, cursor)) = schedule.pop_before(now)
        {
            let mut field = None;
            self.table.scan(cursor, 1, &mut |pair| {
                if pair.expire_at() == Some(at) && self.table.cursor_of(pair.field()) == cursor {
                    field = Some(pair.field().to_vec());
                }
            });
            let field = field.expect("what the schedule names is in the table");
            self.table.remove(&field);
            removed += 1;
            if schedule.is_empty() {
                self.schedule = None;
            }
        }
        removed
    }

    /// Returns the live pairs.
    pub(super) fn live(&self, now: UnixMillis) -> impl Iterator<Item = &Pair> {
        self.table.iter().filter(move |pair| is_live(pair, now))
    }

    /// See [`Table::scan`]; dead fields are left out.
    pub(super) fn scan(
        &self,
        cursor: u64,
        count: usize,
        now: UnixMillis,
        each: &mut dyn FnMut(&Pair),
    ) -> u64 {
        self.table.scan(cursor, count, &mut |pair| {
            if is_live(pair, now) {
                each(pair);
            }
        })
    }

    /// Returns a live pair, each with the same chance.
    ///
    /// Cost: O(1) unless almost all fields are dead, then O(n).
    pub(super) fn random(&self, random: &mut Random, now: UnixMillis) -> Option<&Pair> {
        for _ in 0..RANDOM_TRIES {
            let pair = self.table.random(random)?;
            if is_live(pair, now) {
                return Some(pair);
            }
        }
        let count = self.live(now).count();
        if count == 0 {
            return None;
        }
        self.live(now).nth(random.index(count))
    }

    pub(super) fn allocated_bytes(&self) -> usize {
        let schedule = self.schedule.as_ref().map_or(0, |schedule| {
            allocated_bytes(size_of::<Schedule<u64>>()) + schedule.allocated_bytes()
        });
        allocated_bytes(size_of::<Self>()) + self.table.allocated_bytes() + schedule
    }

    pub(super) fn free_step(&mut self, elements: usize) -> bool {
        if let Some(schedule) = &mut self.schedule {
            if schedule.free_step(elements) {
                return true;
            }
            self.schedule = None;
        }
        self.table.free_step(elements)
    }
}

/// Returns whether a field lives: through the millisecond it expires at, as keys do.
fn is_live(pair: &Pair, now: UnixMillis) -> bool {
    pair.expire_at().is_none_or(|at| at >= now)
}
