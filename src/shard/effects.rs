//! What execution leaves behind for the outside.
//!
//! Counters, and the events of keys in a list that the core loop drains after each batch. Records for
//! the log and for replicas and wake-ups will be values in such a list too.
//!
//! Invariant: only this crate writes the counters, so a caller cannot forget one.

use base::ids::DbIndex;

/// Counters of one shard since it was made; INFO adds them up over shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Lookups that found their key.
    pub hits: u64,
    /// Lookups that did not.
    pub misses: u64,
    /// Keys removed because their time was over, in passing or by the sweep.
    pub expired_keys: u64,
    /// Fields of hashes removed because their time was over, in passing or by the sweep.
    pub expired_subkeys: u64,
    /// Dead keys among the volatile ones at the last sweeps, in parts per million, smoothed.
    pub expired_stale_ppm: u64,
    /// Sweeps that used up their budget while dead keys were still many.
    pub expired_time_cap_reached: u64,
    /// Keys removed because memory was short.
    pub evicted_keys: u64,
    /// Changes of keys.
    pub dirty: u64,
}

/// A class of keyspace events, one bit each, as in the directive `notify-keyspace-events`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventClass(pub u16);

impl EventClass {
    /// No event at all.
    pub const NONE: Self = Self(0);
    /// `g`: commands of any type, such as DEL.
    pub const GENERIC: Self = Self(1);
    /// `$`: strings.
    pub const STRING: Self = Self(1 << 1);
    /// `l`: lists.
    pub const LIST: Self = Self(1 << 2);
    /// `s`: sets.
    pub const SET: Self = Self(1 << 3);
    /// `h`: hashes.
    pub const HASH: Self = Self(1 << 4);
    /// `z`: sorted sets.
    pub const SORTED_SET: Self = Self(1 << 5);
    /// `x`: keys whose time was over.
    pub const EXPIRED: Self = Self(1 << 6);
    /// `e`: keys removed because memory was short.
    pub const EVICTED: Self = Self(1 << 7);
    /// `t`: streams.
    pub const STREAM: Self = Self(1 << 8);
    /// `m`: lookups that found nothing.
    pub const KEY_MISS: Self = Self(1 << 9);
    /// `n`: keys that were made.
    pub const NEW: Self = Self(1 << 10);

    /// `d`: tables, in Redis what modules bring.
    pub const TABLE: Self = Self(1 << 11);

    /// Every class.
    pub const ALL: Self = Self((1 << 12) - 1);

    /// No class, and no letter: marks a [`Change`] that clients who watch the key are not told of.
    const UNWATCHED: Self = Self(1 << 15);

    /// Returns the union of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns whether both have a class in common.
    #[inline]
    #[must_use]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// Something that happened to a key and that clients may have asked to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyEvent {
    /// Its class.
    pub class: EventClass,
    /// Its name, as Redis documents it: `set`, `lpush`, `expired`.
    pub name: &'static str,
    /// The database.
    pub db: DbIndex,
    /// The key.
    pub key: Box<[u8]>,
}

impl KeyEvent {
    /// Returns the event of a key whose time was over.
    #[cold]
    pub(crate) fn expired(db: DbIndex, key: &[u8]) -> Self {
        Self {
            class: EventClass::EXPIRED,
            name: "expired",
            db,
            key: key.into(),
        }
    }
}

/// What a change of a value amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// How many changes it counts as; 0 if all is as it was.
    pub count: u64,
    /// The event that tells of it.
    pub event: Option<(EventClass, &'static str)>,
}

impl Change {
    /// All is as it was.
    pub const NONE: Self = Self {
        count: 0,
        event: None,
    };

    /// One change that no event tells of, or one told otherwise.
    pub const UNTOLD: Self = Self {
        count: 1,
        event: None,
    };

    /// `count` changes, told by one event; [`Change::NONE`] for 0.
    #[must_use]
    pub fn of(count: usize, class: EventClass, name: &'static str) -> Self {
        if count == 0 {
            return Self::NONE;
        }
        Self {
            count: base::cast::u64_from(count),
            event: Some((class, name)),
        }
    }

    /// As [`Change::of`], for changes beside the contents, which leave WATCH alone: consumer groups
    /// of a stream. Without a name no event tells of them.
    #[must_use]
    pub fn unwatched(count: usize, event: Option<(EventClass, &'static str)>) -> Self {
        let (class, name) = event.unwrap_or_default();
        Self::of(count, class.and(EventClass::UNWATCHED), name)
    }

    /// Returns whether clients who watch the key have to know.
    pub(crate) fn is_watched(&self) -> bool {
        !self
            .event
            .is_some_and(|(class, _)| class.meets(EventClass::UNWATCHED))
    }
}

impl EventClass {
    /// Returns the class without marks that are none.
    pub(crate) fn without_marks(self) -> Self {
        Self(self.0 & !Self::UNWATCHED.0)
    }
}
