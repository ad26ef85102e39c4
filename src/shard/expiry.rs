//! Removal of keys whose time is over.
//!
//! Two ways lead here. A lookup that meets a dead key removes it at once (`Db::live`). Between
//! requests the core loop also calls [`Shard::sweep`], which walks the slots of the dicts in turn,
//! looks only at entries that carry an expiry, and removes the dead ones, so that memory comes back
//! for keys nobody reads again.
//!
//! Invariants
//! - A client never sees a dead key, removed already or not.
//! - A sweep looks at no more slots than its budget, up to one bucket group, whatever it finds.
//!
//! Not here: which key to drop when memory is short.

use base::ids::DbIndex;

use crate::effects::{EventClass, KeyEvent};
use crate::entry::EntryRef;
use crate::field_expiry::SweptFields;
use crate::{Common, Shard};

/// Slots looked at before the sweep decides whether to go on.
const SLOTS_PER_STEP: usize = 512;

/// Removing a field of a hash counts as looking at so many slots.
const SLOTS_PER_FIELD: usize = 16;

/// The sweep goes on while more than one in this many volatile keys was dead.
const DEAD_SHARE: usize = 10;

/// What one sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Slots looked at, those of keys without expiry included.
    pub slots: usize,
    /// Entries with an expiry among them.
    pub volatile: usize,
    /// Dead ones, removed.
    pub removed: usize,
    /// Dead keys were still many when the budget was used up: call again soon.
    pub more: bool,
    /// What was done about fields of hashes.
    pub fields: SweptFields,
}

/// Where the sweep is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SweepPosition {
    db: u16,
    cursor: u64,
}

impl Shard {
    /// Removes dead keys, looking at about `slots` slots at most, and calls `removed` for each key
    /// before it goes.
    ///
    /// Removes dead fields of hashes as well, a sixteenth as many at most; `removed` is not called for
    /// keys that go because no field is left.
    ///
    /// Goes round over all databases that have volatile keys and stops early after a step in which
    /// at most a tenth of the volatile keys was dead.
    pub fn sweep(&mut self, slots: usize, removed: &mut dyn FnMut(DbIndex, &[u8])) -> Swept {
        let fields = self.sweep_fields(slots.div_ceil(SLOTS_PER_FIELD));
        let mut swept = Swept {
            fields,
            ..Swept::default()
        };
        let mut databases_left = self.databases.len();
        while swept.slots < slots && databases_left > 0 {
            let position = self.sweep_position;
            let db = DbIndex(position.db);
            let dict = &mut self.databases[db.index()];
            if dict.expires_len() == 0 {
                databases_left -= 1;
                self.sweep_position = self.next_database(position);
                continue;
            }
            let step = SLOTS_PER_STEP.min(slots - swept.slots);
            let (mut volatile, mut dead) = (0, 0);
            let Common {
                now,
                watches,
                waiters,
                lazy_free,
                wanted_events,
                events,
                ..
            } = &mut self.common;
            let mut keep = |entry: EntryRef<'_>| {
                volatile += 1;
                if !entry.is_dead(*now) {
                    return true;
                }
                dead += 1;
                watches.touch(db, entry.key());
                waiters.note(db, entry.key());
                if wanted_events.meets(EventClass::EXPIRED) {
                    events.push(KeyEvent::expired(db, entry.key()));
                }
                removed(db, entry.key());
                false
            };
            let mut apart = |value| lazy_free.value(value);
            let (cursor, looked_at) = dict.sweep(position.cursor, step, &mut keep, &mut apart);
            self.sweep_position = if cursor == 0 {
                databases_left -= 1;
                self.next_database(position)
            } else {
                SweepPosition { cursor, ..position }
            };
            swept.slots += looked_at;
            swept.volatile += volatile;
            swept.removed += dead;
            swept.more = dead * DEAD_SHARE > volatile;
            if volatile > 0 && !swept.more {
                break;
            }
        }
        self.note_swept(&swept);
        swept
    }

    fn next_database(&self, position: SweepPosition) -> SweepPosition {
        SweepPosition {
            db: (position.db + 1) % self.options.databases,
            cursor: 0,
        }
    }

    fn note_swept(&mut self, swept: &Swept) {
        let stats = &mut self.common.stats;
        stats.expired_keys += base::cast::u64_from(swept.removed);
        stats.expired_time_cap_reached += u64::from(swept.more);
        let share = (swept.removed * 1_000_000).checked_div(swept.volatile);
        if let Some(share) = share.map(base::cast::u64_from) {
            // A running mean in which the newest sweep weighs one twentieth, as in Redis.
            stats.expired_stale_ppm = (stats.expired_stale_ppm * 19 + share) / 20;
        }
    }
}
