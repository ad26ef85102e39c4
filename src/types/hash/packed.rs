//! The fields of a small hash in one listpack.
//!
//! ```text
//!   no field expires:   field value  field value  ...           in the order they came
//!   some fields do:     field value at  field value at  ...     by expiry; 0, for never, at the end
//! ```
//!
//! The first is the form of Redis's encoding "listpack", the second that of "listpackex" in Redis 7.4:
//! expiries are Unix milliseconds.
//!
//! Invariants
//! - No field is there twice.
//! - In the second form at least one field expires: who takes the last expiry away restores the first.
//!
//! Not here: when a hash is too large for this (`mod.rs`).

use base::clock::UnixMillis;
use base::random::Random;

use crate::listpack::{Element, Listpack, Position};

/// See the head of the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Packed {
    listpack: Listpack,
    expires: bool,
}

/// A field with its value and expiry, where it lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Triple<'a> {
    pub(super) field: Element<'a>,
    pub(super) value: Element<'a>,
    pub(super) expire_at: Option<UnixMillis>,
}

impl Triple<'_> {
    pub(super) fn is_live(&self, now: UnixMillis) -> bool {
        self.expire_at.is_none_or(|at| at >= now)
    }
}

impl Packed {
    /// Wraps pairs of fields and values in which no field is twice.
    pub(super) fn of_pairs(listpack: Listpack) -> Self {
        Self {
            listpack,
            expires: false,
        }
    }

    pub(super) fn listpack(&self) -> &Listpack {
        &self.listpack
    }

    pub(super) fn into_listpack(self) -> Listpack {
        self.listpack
    }

    /// Returns whether some field expires.
    pub(super) fn expires(&self) -> bool {
        self.expires
    }

    fn stride(&self) -> usize {
        if self.expires { 3 } else { 2 }
    }

    /// Returns the number of fields, dead ones included.
    pub(super) fn len(&self) -> usize {
        self.listpack.len() / self.stride()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.listpack.is_empty()
    }

    /// Returns how many fields are dead. O(those + 1).
    pub(super) fn dead_count(&self, now: UnixMillis) -> usize {
        if !self.expires {
            return 0;
        }
        self.iter()
            .take_while(|triple| !triple.is_live(now))
            .count()
    }

    /// Returns when the first field dies. O(1).
    pub(super) fn next_expiry(&self) -> Option<UnixMillis> {
        if self.expires {
            self.iter().next()?.expire_at
        } else {
            None
        }
    }

    /// Returns whether every field is dead. O(1).
    pub(super) fn all_dead(&self, now: UnixMillis) -> bool {
        self.expires
            && self
                .listpack
                .last()
                .and_then(|last| expiry_of(self.listpack.get(last)))
                .is_some_and(|at| at < now)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Triple<'_>> {
        let mut elements = self.listpack.iter();
        std::iter::from_fn(move || {
            Some(Triple {
                field: elements.next()?,
                value: elements.next()?,
                expire_at: if self.expires {
                    expiry_of(elements.next()?)
                } else {
                    None
                },
            })
        })
    }

    pub(super) fn find(&self, field: &[u8]) -> Option<Position> {
        let first = self.listpack.first()?;
        self.listpack.find(first, field, self.stride() - 1)
    }

    /// Returns the value and the expiry of the field at a position. O(1).
    pub(super) fn at(&self, field: Position) -> (Element<'_>, Option<UnixMillis>) {
        let mut elements = self.listpack.iter_from(field).skip(1);
        let value = elements.next().expect("each field has a value");
        let expire_at = if self.expires {
            elements.next().and_then(expiry_of)
        } else {
            None
        };
        (value, expire_at)
    }

    /// Puts another value in the place of the one of the field at a position.
    pub(super) fn replace(&mut self, field: Position, value: &[u8]) {
        let place = self.listpack.next(field).expect("each field has a value");
        self.listpack.replace(place, value);
    }

    /// Adds a field that is not there, without an expiry.
    pub(super) fn push(&mut self, field: &[u8], value: &[u8]) {
        // One step of growth instead of one for each element.
        let room = self.listpack.capacity_bytes() - self.listpack.byte_len();
        if room < field.len() + value.len() + 4 {
            let bytes = Listpack::encoded_bytes(field) + Listpack::encoded_bytes(value);
            self.listpack.reserve(bytes + 2 * usize::from(self.expires));
        }
        self.listpack.push_back(field);
        self.listpack.push_back(value);
        if self.expires {
            self.listpack.push_back(0);
        }
    }

    /// Returns whether a field and a value of so many bytes together would keep the listpack within its bound.
    pub(super) fn would_fit(&self, bytes: usize) -> bool {
        // Each of the three elements takes up to 10 bytes more than its contents.
        self.listpack.would_fit(bytes.saturating_add(40))
    }

    /// Returns whether every field could have an expiry and the listpack stay within its bound.
    pub(super) fn would_fit_expiries(&self) -> bool {
        self.listpack.would_fit(self.len() * 10 + 40)
    }

    /// Removes the field at a position.
    pub(super) fn remove(&mut self, field: Position) {
        self.listpack.remove_range(field, self.stride());
        self.settle();
    }

    /// Sets or clears the expiry of the field at a position. Positions are stale afterwards.
    pub(super) fn set_expiry(&mut self, field: Position, expire_at: Option<UnixMillis>) {
        let name = self.listpack.get(field).to_vec();
        let (value, before) = self.at(field);
        if before == expire_at {
            return;
        }
        let value = value.to_vec();
        if !self.expires {
            self.widen();
        }
        if let Some(position) = self.find(&name) {
            self.listpack.remove_range(position, 3);
        }
        let parts = [
            Element::from(&name),
            Element::from(&value),
            expiry_element(expire_at),
        ];
        match self.place_for(expire_at) {
            Some(place) => {
                // Each is put before the ones that follow it.
                for part in parts.into_iter().rev() {
                    self.listpack.insert_before(place, part);
                }
            }
            None => self.listpack.extend(parts),
        }
        self.settle();
    }

    /// Returns the first field that is to stand after one with this expiry.
    fn place_for(&self, expire_at: Option<UnixMillis>) -> Option<Position> {
        let at = expire_at?;
        let mut field = self.listpack.first();
        while let Some(position) = field {
            let (_, other) = self.at(position);
            if other.is_none_or(|other| other > at) {
                break;
            }
            field = (0..3).try_fold(position, |position, _| self.listpack.next(position));
        }
        field
    }

    /// Removes dead fields, at most `limit`. Returns how many it removed.
    pub(super) fn remove_expired(&mut self, now: UnixMillis, limit: usize) -> usize {
        let dead = self.dead_count(now).min(limit);
        if dead > 0
            && let Some(first) = self.listpack.first()
        {
            self.listpack.remove_range(first, dead * 3);
            self.settle();
        }
        dead
    }

    /// Changes from the first form to the second.
    fn widen(&mut self) {
        let len = self.len();
        let mut wide = Listpack::with_capacity(self.listpack.byte_len() + 2 * len + 16);
        for triple in self.iter() {
            wide.extend([triple.field, triple.value, Element::Integer(0)]);
        }
        self.listpack = wide;
        self.expires = true;
    }

    /// Changes back to the first form if no field expires any more.
    fn settle(&mut self) {
        if !self.expires || self.next_expiry().is_some() {
            return;
        }
        let mut narrow = Listpack::with_capacity(self.listpack.byte_len());
        for triple in self.iter() {
            narrow.extend([triple.field, triple.value]);
        }
        narrow.shrink();
        self.listpack = narrow;
        self.expires = false;
    }

    /// Returns the number of live fields drawn from `count` of them, in the order they stand. O(n).
    pub(super) fn sample(
        &self,
        count: usize,
        random: &mut Random,
        now: UnixMillis,
    ) -> Vec<Triple<'_>> {
        let live = self.iter().filter(|triple| triple.is_live(now));
        let mut left = self.len() - self.dead_count(now);
        let mut wanted = count.min(left);
        let mut chosen = Vec::with_capacity(wanted);
        // Each field is taken with the chance that the rest needs it.
        for triple in live {
            if wanted > 0 && random.index(left) < wanted {
                chosen.push(triple);
                wanted -= 1;
            }
            left -= 1;
        }
        chosen
    }
}

fn expiry_of(element: Element<'_>) -> Option<UnixMillis> {
    element.integer().filter(|&at| at != 0).map(UnixMillis)
}

fn expiry_element(expire_at: Option<UnixMillis>) -> Element<'static> {
    Element::Integer(expire_at.map_or(0, |at| at.0))
}
