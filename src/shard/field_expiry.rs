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
        let (removed, alive) = match self.dict.entry(place).stored_fields_of_dead(now) {
            Some(fields) => (fields, false),
            None => (self.remove_some_fields(place, limit), true),
        };
        if removed == 0 {
            return (0, alive);
        }
        self.common.stats.expired_subkeys += cast::u64_from(removed);
        let entry = self.dict.entry(place);
        let (key, after): (Box<[u8]>, _) = (entry.key().into(), entry.next_expiry());
        self.common.touch(self.index, &key);
        self.push_event(EventClass::HASH, "hexpired", &key);
        if alive {
            self.dict.reschedule(&key, before, after);
        } else {
            self.remove_at(place);
            self.push_event(EventClass::GENERIC, "del", &key);
        }
        (removed, alive)
    }

    /// Removes dead fields of a hash in which others live.
    fn remove_some_fields(&mut self, place: Place, limit: usize) -> usize {
        let now = self.common.now;
        self.dict.with_entry(place, |entry, heap| {
            let Some(value) = entry.apart_mut() else {
                return 0;
            };
            let bytes = apart_bytes(value);
            let Some(hash) = Hash::of_mut(value) else {
                return 0;
            };
            let removed = hash.remove_expired(now, limit);
            heap.resized(bytes, apart_bytes(value));
            removed
        })
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
    ///
    /// # Panics
    ///
    /// If the schedule names a key that is not there, which no change of keys leaves behind.
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
                if db.dict.is_owed_at(place) && !db.dict.entry(place).is_emptied(now) {
                    // A save has yet to write it.
                    db.dict.hurry(hash);
                    break;
                }
                let limit = FIELDS_PER_HASH.min(fields - swept.removed);
                let (removed, alive) = db.remove_fields(place, limit);
                // A hash that is dead as a whole is freed in steps, elsewhere.
                swept.removed += if alive { removed } else { removed.min(limit) };
            }
        }
        swept
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use base::clock::UnixMillis;
    use base::ids::ShardId;
    use base::random::Random;
    use types::hash::{FieldExpiry, Growth};

    use super::*;
    use crate::Options;
    use crate::effects::Change;
    use crate::keyspace::Expiry;

    const DB: DbIndex = DbIndex(0);

    /// When fields of keys die.
    type Model = BTreeMap<String, BTreeMap<String, Option<UnixMillis>>>;

    fn new_shard() -> Shard {
        let options = Options {
            events: EventClass(u16::MAX),
            ..Options::default()
        };
        Shard::new(ShardId(0), options)
    }

    fn set(shard: &mut Shard, key: &str, field: &str, expire_at: Option<UnixMillis>) {
        let now = shard.now();
        let growth = Growth::new(&shard.options().limits, (1, 2));
        let key = shard.key(key.as_bytes());
        let changed = shard.db(DB).edit_or_create::<Hash, _>(key, |hash| {
            hash.set(field.as_bytes(), b"v", FieldExpiry::Clear, &growth, now);
            hash.set_expiry(field.as_bytes(), expire_at, &growth, now);
            ((), Change::of(1, EventClass::HASH, "hset"))
        });
        changed.unwrap();
    }

    fn lives(at: Option<UnixMillis>, now: UnixMillis) -> bool {
        at.is_none_or(|at| at >= now)
    }

    #[track_caller]
    fn check(shard: &mut Shard, model: &Model) {
        let now = shard.now();
        let mut shown = Model::new();
        shard.db(DB).for_each(&mut |entry| {
            let Ok(hash) = entry.typed::<Hash>() else {
                return;
            };
            let fields = shown
                .entry(String::from_utf8_lossy(entry.key()).into_owned())
                .or_default();
            hash.for_each_with_expiry(now, &mut |field, _, at| {
                fields.insert(String::from_utf8(field.to_vec()).unwrap(), at);
            });
        });
        let mut live = model.clone();
        for fields in live.values_mut() {
            fields.retain(|_, at| lives(*at, now));
        }
        live.retain(|_, fields| !fields.is_empty());
        assert_eq!(shown, live);
        // The schedule has each key with such fields once, with the time of the first.
        let dict = &shard.databases[0];
        let due: usize = dict.field_expiry_count();
        let mut expected = 0;
        let mut cursor = 0;
        loop {
            cursor = dict.scan(cursor, 100, &mut |entry| {
                expected += usize::from(entry.next_expiry().is_some());
            });
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(due, expected);
    }

    fn step(shard: &mut Shard, model: &mut Model, random: &mut Random) {
        let now = shard.now();
        let (name, other) = (
            format!("k{}", random.below(12)),
            format!("k{}", random.below(12)),
        );
        let (key, target) = (shard.key(name.as_bytes()), shard.key(other.as_bytes()));
        let alive = model
            .get(&name)
            .is_some_and(|fields| fields.values().any(|at| lives(*at, now)));
        match random.below(16) {
            0..=6 => {
                let field = format!("f{}", random.below(200));
                let shift = i64::try_from(random.below(60)).unwrap();
                let at = (random.below(3) > 0).then_some(UnixMillis(now.0 + shift));
                if !alive {
                    // Perhaps a string.
                    shard.db(DB).remove(key);
                    model.remove(&name);
                }
                set(shard, &name, &field, at);
                model.entry(name).or_default().insert(field, at);
            }
            7 => {
                shard.db(DB).remove(key);
                model.remove(&name);
            }
            8 => {
                shard.db(DB).set_string(key, b"text", Expiry::Clear);
                model.remove(&name);
            }
            9 => {
                if let Some(detached) = shard.db(DB).detach(key) {
                    shard.db(DB).attach(target, detached);
                    let fields = model.remove(&name).unwrap_or_default();
                    model.insert(other, fields);
                }
            }
            10 => {
                if let Some(detached) = shard.db(DB).copy_of(key) {
                    shard.db(DB).attach(target, detached);
                    let fields = model.get(&name).cloned().unwrap_or_default();
                    model.insert(other, fields);
                }
            }
            11 => {
                let loan = shard.db(DB).lend(key, true, true);
                shard.db(DB).settle(key, loan);
            }
            12 => {
                shard.db(DB).set_expiry(key, Some(UnixMillis(i64::MAX)));
            }
            13 => {
                let swept = shard.sweep_fields(random.index(10));
                assert!(swept.removed <= 10);
            }
            14 => {
                let now = UnixMillis(now.0 + i64::try_from(random.below(10)).unwrap());
                shard.set_now(now);
            }
            _ => {
                assert_eq!(
                    shard.db(DB).contains(key),
                    alive || {
                        let mut db = shard.db(DB);
                        db.peek(key).is_some_and(|entry| entry.string().is_ok())
                    }
                );
            }
        }
    }

    #[test]
    fn keys_and_schedule_agree_with_a_model() {
        let seed = std::env::var("SEED").map_or(1, |seed| seed.parse().unwrap());
        println!("SEED={seed}");
        let mut random = Random::new(seed);
        for entries in [0, 512] {
            let mut shard = new_shard();
            let mut options = *shard.options();
            options.limits.hash_listpack_entries = entries;
            shard.set_options(options);
            let mut model = Model::new();
            for round in 0..20_000 {
                step(&mut shard, &mut model, &mut random);
                if round % 20 == 0 {
                    check(&mut shard, &model);
                }
            }
            shard.set_now(UnixMillis(shard.now().0 + 1000));
            while shard.sweep_fields(100).more {}
            check(&mut shard, &model);
            assert!(shard.databases[0].first_field_expiry().is_none());
            shard.db(DB).clear();
            assert_eq!(shard.memory().total_bytes(), 0);
        }
    }

    #[test]
    fn sweep_is_bounded_and_tells_what_happened() {
        let mut shard = new_shard();
        for field in 0..300 {
            set(&mut shard, "big", &format!("f{field}"), Some(UnixMillis(5)));
        }
        set(&mut shard, "big", "stays", None);
        set(&mut shard, "small", "f", Some(UnixMillis(4)));
        set(&mut shard, "later", "f", Some(UnixMillis(100)));
        assert_eq!(shard.sweep_fields(100).removed, 0);
        shard.set_now(UnixMillis(6));
        shard.take_events();
        let swept = shard.sweep_fields(100);
        assert_eq!(
            (swept.removed, swept.more, swept.waiting),
            (100, true, true)
        );
        let names: Vec<_> = shard.take_events().iter().map(|it| it.name).collect();
        assert_eq!(names, ["hexpired", "del", "hexpired", "hexpired"]);
        assert_eq!(shard.sweep_fields(1000).removed, 201);
        assert_eq!(shard.stats().expired_subkeys, 301);
        assert_eq!(shard.sweep(1000, &mut |_, _| {}).fields.removed, 0);
        assert_eq!(shard.db(DB).len(), 2);
    }

    #[test]
    fn watched_hash_changes_when_a_field_dies() {
        let mut shard = new_shard();
        set(&mut shard, "h", "a", Some(UnixMillis(5)));
        set(&mut shard, "h", "b", None);
        let version = shard.watch(DB, b"h");
        assert_eq!(shard.watch_version(DB, b"h"), version);
        shard.set_now(UnixMillis(6));
        assert_ne!(shard.watch_version(DB, b"h"), version);
    }
}
