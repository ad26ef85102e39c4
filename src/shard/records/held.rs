//! Effects that are held back: those of transactions over several shards, up to their end.
//!
//! ```text
//!   a hop:      hold ---- changes are noted and told apart ---- end_hold
//!   the end:    write_part: all of it as one part    ... release: who comes next
//!               or release alone: if no other shard has anything of it
//! ```
//! Between its first change and its release nothing that a transaction has changed may be told by anybody
//! else: others could be on the disk then, and its part not. Whoever runs finds those keys claimed. What
//! removes keys without a claim, eviction, is noted with the transaction.
//!
//! Invariants
//! - A key belongs to one transaction at most: claims that write exclude each other.
//! - When a hop begins, what others have changed before of the keys that it may change is told.
//! - Behind the release of a transaction that was written in parts a mark stands before all effects that
//!   come later, so that who reads the log knows what may rest on it.
//!
//! Not here: what is told ([`super`]), who is told when a part may be written (`coordinator`).

use base::hash::Map;
use base::ids::TxId;
use types::effect;

use crate::Shard;
use crate::locks::Mode;

use super::Records;
use super::noted::Noted;

/// What runs in place and may become a transaction: see [`Shard::adopt_held`]. No transaction has this id.
pub const IN_PLACE: TxId = TxId(0);

/// All that is held back on a shard.
#[derive(Debug, Default)]
pub(crate) struct Held {
    parts: Map<TxId, Part>,
    /// The keys of all parts, by their hashes.
    owners: Map<u64, TxId>,
    /// What runs now, and what the others have told and noted so far.
    running: Option<(TxId, Vec<u8>, Noted)>,
    /// One that has changed whole databases: nothing else may be told.
    whole: Option<TxId>,
    /// Says who was released; to be told before the next effect.
    marks: Vec<u8>,
}

/// What one transaction has changed on this shard.
#[derive(Debug, Default)]
struct Part {
    told: Vec<u8>,
    noted: Noted,
    /// The hashes of its keys.
    keys: Vec<u64>,
    is_written: bool,
}

impl Held {
    /// Returns whether a change has to ask whose it is.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        self.running.is_none() && self.parts.is_empty()
    }

    /// Returns whether a transaction runs.
    pub(crate) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Returns where a change of a key is to be noted, if not with what runs now. The key of a transaction
    /// that runs becomes its own.
    pub(crate) fn place_of(&mut self, hash: u64) -> Option<&mut Noted> {
        if self.running.is_some() {
            self.own(hash);
            return None;
        }
        let owner = self.whole.or_else(|| self.owners.get(&hash).copied())?;
        self.parts.get_mut(&owner).map(|part| &mut part.noted)
    }

    /// Gives a key to the transaction that runs, if there is one.
    pub(crate) fn own(&mut self, hash: u64) {
        if let Some((tx, ..)) = self.running
            && self.owners.insert(hash, tx).is_none()
        {
            self.parts.entry(tx).or_default().keys.push(hash);
        }
    }

    /// Gives all that there is to the transaction that runs, if there is one.
    pub(crate) fn own_all(&mut self) {
        if let Some((tx, ..)) = self.running {
            self.whole = Some(tx);
            self.parts.entry(tx).or_default();
        }
    }

    /// Takes what was told before what runs now, behind the marks.
    pub(crate) fn take_told_by_others(&mut self) -> Vec<u8> {
        let told = self.running.as_mut().map(|(_, told, _)| told);
        let told = told.map(std::mem::take).unwrap_or_default();
        if told.is_empty() {
            return told;
        }
        let mut all = std::mem::take(&mut self.marks);
        all.extend(told);
        all
    }

    /// Returns where tables tell of rows that were swept while databases have changed places, or are empty, in a
    /// transaction that has not told of it yet.
    pub(super) fn whole_told(&mut self) -> Option<&mut Vec<u8>> {
        if self.running.is_some() {
            return None;
        }
        self.parts.get_mut(&self.whole?).map(|part| &mut part.told)
    }

    /// Moves the marks to `out`.
    pub(crate) fn take_marks(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.marks);
    }
}

impl Records {
    fn begin_hold(&mut self, tx: TxId) {
        let part = self.held.parts.get_mut(&tx);
        let (told, noted) = part.map_or_else(Default::default, |part| {
            (
                std::mem::take(&mut part.told),
                std::mem::take(&mut part.noted),
            )
        });
        let told = std::mem::replace(&mut self.told, told);
        let noted = std::mem::replace(&mut self.noted, noted);
        self.held.running = Some((tx, told, noted));
    }

    /// Returns whether there is anything of the transaction.
    fn end_hold(&mut self) -> bool {
        let Some((tx, told, noted)) = self.held.running.take() else {
            return false;
        };
        let told = std::mem::replace(&mut self.told, told);
        let noted = std::mem::replace(&mut self.noted, noted);
        if told.is_empty() && noted.is_empty() && !self.held.parts.contains_key(&tx) {
            return false;
        }
        let part = self.held.parts.entry(tx).or_default();
        (part.told, part.noted) = (told, noted);
        true
    }

    fn release(&mut self, tx: TxId) {
        let Some(part) = self.held.parts.remove(&tx) else {
            return;
        };
        for hash in part.keys {
            self.held.owners.remove(&hash);
        }
        if self.held.whole == Some(tx) {
            self.held.whole = None;
        }
        if part.is_written {
            effect::released(&mut self.held.marks, tx.0);
        }
        self.told.extend_from_slice(&part.told);
        if self.noted.is_empty() {
            self.noted = part.noted;
        } else {
            for (db, key) in part.noted.iter() {
                self.noted.insert(db, key);
            }
        }
    }
}

impl Shard {
    /// Begins a step of a transaction: effects are held back from now on, as its own. `claimed` are the
    /// hashes of the keys that it may change, or none for all.
    pub fn hold(&mut self, tx: TxId, claimed: Option<&[(u64, Mode)]>) {
        if self.common.records.is_none() {
            return;
        }
        self.tell_claimed(claimed);
        self.tell_tables();
        if let Some(records) = &mut self.common.records {
            records.begin_hold(tx);
        }
    }

    /// Ends the step. Returns whether anything of the transaction is held back.
    pub fn end_hold(&mut self) -> bool {
        self.tell_tables();
        let records = self.common.records.as_mut();
        records.is_some_and(|records| records.end_hold())
    }

    /// Tells all that the transaction has changed as one of `shards` parts; nothing follows but
    /// [`Shard::release_held`]. Also if it has changed nothing: others wait for this part.
    pub fn write_part(&mut self, tx: TxId, shards: u16) {
        let Some(records) = &mut self.common.records else {
            return;
        };
        records.held.parts.entry(tx).or_default().is_written = true;
        records.begin_hold(tx);
        self.tell_noted();
        let Some(records) = &mut self.common.records else {
            return;
        };
        let told = std::mem::take(&mut records.told);
        records.end_hold();
        effect::part(&mut records.told, tx.0, shards);
        records.told.extend_from_slice(&told);
        effect::part(&mut records.told, 0, 0);
    }

    /// Ends a transaction. What it has changed and was not written as a part counts as changed by a request of
    /// this shard alone.
    #[inline]
    pub fn release_held(&mut self, tx: TxId) {
        if let Some(records) = &mut self.common.records {
            records.release(tx);
        }
    }

    /// Gives what [`IN_PLACE`] holds back to a transaction. Returns whether there is anything.
    pub fn adopt_held(&mut self, tx: TxId) -> bool {
        let Some(records) = &mut self.common.records else {
            return false;
        };
        let Some(part) = records.held.parts.remove(&IN_PLACE) else {
            return false;
        };
        for hash in &part.keys {
            records.held.owners.insert(*hash, tx);
        }
        if records.held.whole == Some(IN_PLACE) {
            records.held.whole = Some(tx);
        }
        records.held.parts.insert(tx, part);
        true
    }
}

#[cfg(test)]
mod tests {
    use base::clock::UnixMillis;
    use base::ids::{DbIndex, ShardId};
    use types::effect::{Effect, Effects};

    use crate::Options;
    use crate::eviction::{EvictionOrder, EvictionPolicy};
    use crate::keyspace::Expiry;

    use super::*;

    const DB: DbIndex = DbIndex(0);
    const OTHER: DbIndex = DbIndex(1);

    fn shard() -> Shard {
        let mut shard = Shard::new(ShardId(0), Options::default());
        shard.set_now(UnixMillis(1_700_000_000_000));
        shard.record_changes(true, 4096);
        shard
    }

    fn set(shard: &mut Shard, db: DbIndex, key: &[u8]) {
        let key = shard.key(key);
        shard.db(db).set_string(key, b"value", Expiry::Clear);
    }

    fn hold(shard: &mut Shard, tx: u64, keys: &[&[u8]]) {
        let claimed = keys
            .iter()
            .map(|key| (shard.key(key).hash, Mode::Exclusive));
        let claimed: Vec<_> = claimed.collect();
        shard.hold(TxId(tx), Some(&claimed));
    }

    fn evict(shard: &mut Shard) {
        let policy = EvictionPolicy {
            order: EvictionOrder::Random,
            volatile_only: false,
        };
        assert!(shard.evict(policy, 5).is_some());
    }

    fn told(shard: &mut Shard) -> Vec<String> {
        let mut effects = Vec::new();
        shard.take_effects(&mut effects);
        let text = |key: &[u8]| String::from_utf8_lossy(key).into_owned();
        let shown = Effects::new(&effects).map(|effect| match effect.unwrap() {
            Effect::Put { key, .. } => format!("put {}", text(key)),
            Effect::Delete { key, .. } => format!("delete {}", text(key)),
            Effect::Clear { .. } => "clear".to_owned(),
            Effect::Part {
                transaction,
                shards,
            } => format!("part {transaction} of {shards}"),
            Effect::Released { transaction } => format!("released {transaction}"),
            other => unreachable!("{other:?}"),
        });
        shown.collect()
    }

    #[test]
    fn what_a_transaction_changes_is_one_part_and_then_it_is_said_to_be_released() {
        let mut shard = shard();
        set(&mut shard, DB, b"a");
        hold(&mut shard, 7, &[b"a", b"b"]);
        set(&mut shard, DB, b"a");
        assert!(shard.end_hold());
        // As it was before the transaction.
        assert_eq!(told(&mut shard), ["put a"]);
        hold(&mut shard, 7, &[b"a", b"b"]);
        set(&mut shard, DB, b"b");
        assert!(shard.end_hold());
        assert!(!shard.has_effects());
        set(&mut shard, DB, b"c");
        assert_eq!(told(&mut shard), ["put c"]);
        shard.write_part(TxId(7), 2);
        let part = told(&mut shard);
        assert_eq!(
            (part.len(), &*part[0], &*part[3]),
            (4, "part 7 of 2", "part 0 of 0")
        );
        shard.release_held(TxId(7));
        assert!(!shard.has_effects(), "a mark alone is worth no record");
        set(&mut shard, DB, b"a");
        assert_eq!(told(&mut shard), ["released 7", "put a"]);
    }

    #[test]
    fn what_is_alone_is_told_as_anything_else() {
        let mut shard = shard();
        hold(&mut shard, 7, &[b"a"]);
        assert!(!shard.end_hold(), "it has only read");
        hold(&mut shard, 8, &[b"a"]);
        set(&mut shard, DB, b"a");
        assert!(shard.end_hold());
        shard.release_held(TxId(8));
        assert_eq!(told(&mut shard), ["put a"]);
        // In place, and then as a transaction.
        shard.hold(IN_PLACE, None);
        set(&mut shard, DB, b"b");
        shard.end_hold();
        assert!(shard.adopt_held(TxId(9)) && !shard.has_effects());
        shard.release_held(IN_PLACE);
        shard.release_held(TxId(9));
        assert_eq!(told(&mut shard), ["put b"]);
    }

    #[test]
    fn what_is_evicted_meanwhile_is_told_with_the_transaction() {
        let mut shard = shard();
        hold(&mut shard, 7, &[b"a"]);
        set(&mut shard, DB, b"a");
        assert!(shard.end_hold());
        evict(&mut shard);
        assert!(!shard.has_effects());
        shard.write_part(TxId(7), 2);
        assert_eq!(told(&mut shard), ["part 7 of 2", "delete a", "part 0 of 0"]);
        // Behind its part it waits for the release.
        hold(&mut shard, 8, &[b"b"]);
        set(&mut shard, DB, b"b");
        assert!(shard.end_hold());
        shard.write_part(TxId(8), 2);
        evict(&mut shard);
        assert_eq!(told(&mut shard)[1..], ["put b", "part 0 of 0"]);
        shard.release_held(TxId(8));
        assert_eq!(told(&mut shard), ["released 8", "delete b"]);
    }

    #[test]
    fn who_empties_a_database_owns_all_that_follows() {
        let mut shard = shard();
        set(&mut shard, DB, b"a");
        set(&mut shard, OTHER, b"b");
        shard.hold(TxId(7), None);
        shard.db(DB).clear();
        assert!(shard.end_hold());
        assert_eq!(told(&mut shard).len(), 2);
        evict(&mut shard);
        assert!(!shard.has_effects());
        shard.release_held(TxId(7));
        assert_eq!(told(&mut shard), ["clear", "delete b"]);
    }
}
