//! Removal of fields of hashes whose time is over.
//!
//! A lookup that meets a hash with dead fields removes some of them. Between requests
//! [`Shard::sweep`] also calls [`Shard::sweep_fields`], which goes through the hashes with such fields
//! in the order in which they die; each dict keeps them in a schedule.
//!
//! Invariants
//! - A hash of which every field is dead does not exist for clients, removed already or not.
//! - A sweep removes no more fields than its budget, but frees a hash that is dead as a whole in steps
//!   as DEL does.
//!
//! Not here: hiding of dead fields in a hash that has others (`types::hash`).

use base::cast;
use base::ids::DbIndex;
use types::Typed;
use types::hash::Hash;

use crate::Shard;
use crate::dict::Place;
use crate::effects::{EventClass, KeyEvent};
use crate::entry::apart_bytes;
use crate::keyspace::Db;

/// Dead fields of one hash that the sweep removes at a time.
const FIELDS_PER_HASH: usize = 64;

/// What one sweep of fields did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweptFields {
    /// Dead fields, removed.
    pub removed: usize,
    /// There are dead fields left.
    pub more: bool,
    /// There are fields that will die.
    pub waiting: bool,
}

impl Db<'_> {
    /// Removes dead fields of the hash at `place`, at most `limit`, and the key if no field is left
    /// alive. Returns whether the key is still there.
    pub(crate) fn expire_fields(&mut self, place: Place, limit: usize) -> bool {
        self.remove_fields(place, limit).1
    }

    /// As [`Db::expire_fields`]; also returns the number of fields removed.
    fn remove_fields(&mut self, place: Place, limit: usize) -> (usize, bool) {
        let now = self.common.now;
        let before = self.dict.entry(place).next_expiry();
        let (removed, alive) = self.dict.with_entry(place, |entry, heap| {
            let Some(value) = entry.apart_mut() else {
                return (0, true);
            };
            let bytes = apart_bytes(value);
            let Some(hash) = Hash::of_mut(value) else {
                return (0, true);
            };
            if hash.all_dead(now) {
                return (hash.stored_len(), false);
            }
            let removed = hash.remove_expired(now, limit);
            heap.resized(bytes, apart_bytes(value));
            (removed, true)
        });
        if removed == 0 {
            return (0, alive);
        }
        self.common.stats.expired_subkeys += cast::u64_from(removed);
        let entry = self.dict.entry(place);
        let (key, after): (Box<[u8]>, _) = (entry.key().into(), entry.next_expiry());
        self.common.watches.touch(self.index, &key);
        self.push_event(EventClass::HASH, "hexpired", &key);
        if alive {
            self.dict.reschedule(&key, before, after);
        } else {
            self.remove_at(place);
            self.push_event(EventClass::GENERIC, "del", &key);
        }
        (removed, alive)
    }

    fn push_event(&mut self, class: EventClass, name: &'static str, key: &[u8]) {
        if self.common.wanted_events.meets(class) {
            self.common.events.push(KeyEvent {
                class,
                name,
                db: self.index,
                key: key.into(),
            });
        }
    }
}

impl Shard {
    /// Removes dead fields of hashes, about `fields` of them at most, the ones that died first before
    /// the others. O(`fields`) and O(databases).
    pub fn sweep_fields(&mut self, fields: usize) -> SweptFields {
        let mut swept = SweptFields::default();
        let now = self.common.now;
        for index in 0..self.options.databases {
            let mut db = self.db(DbIndex(index));
            while let Some((at, key)) = db.dict.first_field_expiry() {
                swept.waiting = true;
                if at >= now {
                    break;
                }
                if swept.removed >= fields {
                    swept.more = true;
                    return swept;
                }
                let key: Box<[u8]> = key.into();
                let hash = db.common.hasher.hash(&key);
                let place = db.dict.find(hash, &key);
                let place = place.expect("the schedule names keys that are there");
                let limit = FIELDS_PER_HASH.min(fields - swept.removed);
                let (removed, alive) = db.remove_fields(place, limit);
                // A hash that is dead as a whole is freed in steps, elsewhere.
                swept.removed += if alive { removed } else { removed.min(limit) };
            }
        }
        swept
    }
}
