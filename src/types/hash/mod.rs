//! Hashes: fields with values; each field may expire by itself.
//!
//! | Encoding | When | What |
//! |---|---|---|
//! | `listpack` | few short fields | one listpack (`packed`) |
//! | `listpackex` | the same, some fields expire | one listpack, in the order of expiry (`packed`) |
//! | `hashtable` | all others | a table of pairs, one allocation each (`fields`, `pair`) |
//!
//! A hash that has become a table stays one, as in Redis. When it becomes one follows Redis 7.0.15:
//! more fields than `hash-max-listpack-entries` after a field was set, or a field or value longer than
//! `hash-max-listpack-value`.
//!
//! # Time
//!
//! A field lives through the millisecond it expires at. Whatever a method is asked, a field that is
//! dead at the `now` it is given does not exist; its memory comes back with [`Hash::remove_expired`].
//!
//! Not here: keys, and which hashes have fields that expire (`shard`).

mod fields;
mod packed;
mod pair;

use base::clock::UnixMillis;
use base::hash::Set;
use base::random::Random;

use crate::limits::Limits;
use crate::listpack::{Element, Listpack};
use fields::Fields;
use packed::Packed;
use pair::Pair;

/// Beyond one in so many of all fields, a sample is what is left after others were taken away.
const SAMPLE_SHARE: usize = 3;

/// Fields with values. See the head of the module.
#[derive(Clone, Debug)]
pub struct Hash {
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    Packed(Packed),
    Table(Box<Fields>),
}

/// What a hash has to know to grow.
#[derive(Clone, Copy, Debug)]
pub struct Growth {
    listpack_entries: usize,
    listpack_value: usize,
    hash_seed: (u64, u64),
}

impl Growth {
    /// Takes the thresholds at which a hash becomes a table, and the seed of the table's hash
    /// function, which clients cannot guess.
    #[must_use]
    pub fn new(limits: &Limits, hash_seed: (u64, u64)) -> Self {
        Self {
            listpack_entries: limits.hash_listpack_entries,
            listpack_value: limits.hash_listpack_value,
            hash_seed,
        }
    }
}

/// What becomes of the expiry of a field that is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldExpiry {
    /// The field lives until it is removed.
    Clear,
    /// It stays as it is; a new field has none.
    Keep,
}

/// Calls for a field and its value.
pub type Each<'e> = &'e mut dyn FnMut(Element<'_>, Element<'_>);

/// Calls for a field, its value and when it expires.
pub type EachWithExpiry<'e> = &'e mut dyn FnMut(Element<'_>, Element<'_>, Option<UnixMillis>);

impl Default for Hash {
    fn default() -> Self {
        Self {
            form: Form::Packed(Packed::default()),
        }
    }
}

impl Hash {
    /// Wraps a listpack of fields and values in turns, as DUMP has it; `None` if a value is missing or
    /// a field is there twice. O(n).
    #[must_use]
    pub fn from_listpack(pairs: Listpack, growth: &Growth) -> Option<Self> {
        if !pairs.len().is_multiple_of(2) {
            return None;
        }
        let packed = Packed::of_pairs(pairs);
        let mut seen = Set::default();
        if !packed.iter().all(|it| seen.insert(it.field.to_vec())) {
            return None;
        }
        let is_long = |element: Element<'_>| element.len() > growth.listpack_value;
        let too_large = packed.len() > growth.listpack_entries
            || packed
                .iter()
                .any(|it| is_long(it.field) || is_long(it.value));
        let mut hash = Self {
            form: Form::Packed(packed),
        };
        if too_large {
            hash.become_table(growth);
        }
        Some(hash)
    }

    /// Returns the listpack of fields and values in turns, if the encoding is `listpack`.
    #[inline]
    #[must_use]
    pub fn as_listpack(&self) -> Option<&Listpack> {
        match &self.form {
            Form::Packed(packed) if !packed.expires() => Some(packed.listpack()),
            Form::Packed(_) | Form::Table(_) => None,
        }
    }

    /// Wraps a listpack that [`Hash::as_listpack`] gave, or an empty one.
    pub(crate) fn of_listpack(pairs: Listpack) -> Self {
        Self {
            form: Form::Packed(Packed::of_pairs(pairs)),
        }
    }

    /// Returns the memory of a listpack, with its contents.
    pub(crate) fn into_memory(self) -> Vec<u8> {
        match self.form {
            Form::Packed(packed) => packed.into_listpack().into_memory(),
            Form::Table(_) => Vec::new(),
        }
    }

    /// Returns whether there is no field at all, not even a dead one. O(1).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match &self.form {
            Form::Packed(packed) => packed.is_empty(),
            Form::Table(fields) => fields.len() == 0,
        }
    }

    /// Returns the number of live fields. O(1 + dead fields that were not removed yet).
    #[must_use]
    pub fn len(&self, now: UnixMillis) -> usize {
        match &self.form {
            Form::Packed(packed) => packed.len() - packed.dead_count(now),
            Form::Table(fields) => fields.len() - fields.dead_count(now),
        }
    }

    /// Returns the number of fields, dead ones that were not removed yet included. O(1).
    #[must_use]
    pub fn stored_len(&self) -> usize {
        match &self.form {
            Form::Packed(packed) => packed.len(),
            Form::Table(fields) => fields.len(),
        }
    }

    /// Returns the value of a field. O(1); O(n) in a listpack.
    #[must_use]
    pub fn get(&self, field: &[u8], now: UnixMillis) -> Option<Element<'_>> {
        self.find(field, now).map(|(value, _)| value)
    }

    /// Returns when a field expires: `None` if there is no such field, `Some(None)` if it lives until
    /// it is removed. Cost as [`Hash::get`].
    #[must_use]
    pub fn expire_at(&self, field: &[u8], now: UnixMillis) -> Option<Option<UnixMillis>> {
        self.find(field, now).map(|(_, expire_at)| expire_at)
    }

    #[inline]
    fn find(&self, field: &[u8], now: UnixMillis) -> Option<(Element<'_>, Option<UnixMillis>)> {
        let (value, expire_at) = match &self.form {
            Form::Packed(packed) => packed.at(packed.find(field)?),
            Form::Table(fields) => {
                let pair = fields.get(field)?;
                (Element::Bytes(pair.value()), pair.expire_at())
            }
        };
        expire_at
            .is_none_or(|at| at >= now)
            .then_some((value, expire_at))
    }

    /// Sets the value of a field. Returns whether the field is new.
    ///
    /// Cost: O(1), amortised; O(n) in a listpack and when it becomes a table.
    pub fn set(
        &mut self,
        field: &[u8],
        value: &[u8],
        expiry: FieldExpiry,
        growth: &Growth,
        now: UnixMillis,
    ) -> bool {
        let longest = field.len().max(value.len());
        if let Form::Packed(packed) = &self.form
            && (longest > growth.listpack_value || !packed.would_fit(field.len() + value.len()))
        {
            self.become_table(growth);
        }
        match &mut self.form {
            Form::Packed(packed) => {
                let is_new = Self::set_packed(packed, field, value, expiry, now);
                if packed.len() > growth.listpack_entries {
                    self.become_table(growth);
                }
                is_new
            }
            Form::Table(fields) => {
                let was_dead = fields
                    .next_expiry()
                    .is_some_and(|first| first < now && Self::is_dead(fields.get(field), now));
                let expiry = match expiry {
                    FieldExpiry::Keep if !was_dead => None,
                    FieldExpiry::Keep | FieldExpiry::Clear => Some(None),
                };
                fields.set(field, value, expiry) || was_dead
            }
        }
    }

    fn is_dead(pair: Option<&Pair>, now: UnixMillis) -> bool {
        pair.and_then(Pair::expire_at).is_some_and(|at| at < now)
    }

    fn set_packed(
        packed: &mut Packed,
        field: &[u8],
        value: &[u8],
        expiry: FieldExpiry,
        now: UnixMillis,
    ) -> bool {
        let Some(position) = packed.find(field) else {
            packed.push(field, value);
            return true;
        };
        let (_, expire_at) = packed.at(position);
        let was_dead = expire_at.is_some_and(|at| at < now);
        if expire_at.is_none() || expiry == FieldExpiry::Keep && !was_dead {
            packed.replace(position, value);
        } else {
            packed.remove(position);
            packed.push(field, value);
        }
        was_dead
    }

    /// Removes a field. Returns whether it was there. Cost as [`Hash::set`].
    pub fn remove(&mut self, field: &[u8], now: UnixMillis) -> bool {
        let expire_at = match &mut self.form {
            Form::Packed(packed) => {
                let Some(position) = packed.find(field) else {
                    return false;
                };
                let (_, expire_at) = packed.at(position);
                packed.remove(position);
                expire_at
            }
            Form::Table(fields) => match fields.remove(field) {
                Some(pair) => pair.expire_at(),
                None => return false,
            },
        };
        expire_at.is_none_or(|at| at >= now)
    }

    /// Sets or clears the expiry of a live field; does nothing if there is no such field. Cost as
    /// [`Hash::set`].
    pub fn set_expiry(
        &mut self,
        field: &[u8],
        expire_at: Option<UnixMillis>,
        growth: &Growth,
        now: UnixMillis,
    ) {
        if self
            .expire_at(field, now)
            .is_none_or(|before| before == expire_at)
        {
            return;
        }
        if let Form::Packed(packed) = &self.form
            && !packed.would_fit_expiries()
        {
            self.become_table(growth);
        }
        match &mut self.form {
            Form::Packed(packed) => {
                if let Some(position) = packed.find(field) {
                    packed.set_expiry(position, expire_at);
                }
            }
            Form::Table(fields) => fields.set_expiry(field, expire_at),
        }
    }

    /// Returns when the first field dies, or died, if it was not removed yet. O(1).
    #[must_use]
    pub fn next_expiry(&self) -> Option<UnixMillis> {
        match &self.form {
            Form::Packed(packed) => packed.next_expiry(),
            Form::Table(fields) => fields.next_expiry(),
        }
    }

    /// Returns when the first field that is alive dies. O(log n); O(n) in a listpack.
    #[must_use]
    pub fn next_live_expiry(&self, now: UnixMillis) -> Option<UnixMillis> {
        match &self.form {
            Form::Packed(packed) => {
                let live = packed.iter().filter(|triple| triple.is_live(now));
                live.filter_map(|triple| triple.expire_at).min()
            }
            Form::Table(fields) => fields.next_live_expiry(now),
        }
    }

    /// Returns whether there are fields and all are dead. O(1).
    #[must_use]
    pub fn all_dead(&self, now: UnixMillis) -> bool {
        match &self.form {
            Form::Packed(packed) => packed.all_dead(now),
            Form::Table(fields) => fields.all_dead(now),
        }
    }

    /// Removes dead fields, at most `limit` of them. Returns how many it removed. O(`limit`); O(n) in
    /// a listpack.
    pub fn remove_expired(&mut self, now: UnixMillis, limit: usize) -> usize {
        match &mut self.form {
            Form::Packed(packed) => packed.remove_expired(now, limit),
            Form::Table(fields) => fields.remove_expired(now, limit),
        }
    }

    /// Shows all live fields with their values. O(n).
    pub fn for_each(&self, now: UnixMillis, each: Each<'_>) {
        self.for_each_with_expiry(now, &mut |field, value, _| each(field, value));
    }

    /// Shows all live fields with their values and expiries. O(n).
    pub fn for_each_with_expiry(&self, now: UnixMillis, each: EachWithExpiry<'_>) {
        match &self.form {
            Form::Packed(packed) => {
                for triple in packed.iter().filter(|triple| triple.is_live(now)) {
                    each(triple.field, triple.value, triple.expire_at);
                }
            }
            Form::Table(fields) => {
                for pair in fields.live(now) {
                    let (field, value) = elements_of(pair);
                    each(field, value, pair.expire_at());
                }
            }
        }
    }

    /// Shows about `count` live fields from `cursor` on and returns the cursor to go on with, 0 at the
    /// end; a listpack is shown whole, as in Redis. A field that is there from the first call to the
    /// last is shown; once, unless the hash becomes a table meanwhile. Cursors have 48 bits.
    ///
    /// Cost: O(`count`), or one listpack.
    pub fn scan(&self, cursor: u64, count: usize, now: UnixMillis, each: Each<'_>) -> u64 {
        self.scan_with_expiry(cursor, count, now, &mut |field, value, _| {
            each(field, value);
        })
    }

    /// As [`Hash::scan`], with the expiries.
    pub fn scan_with_expiry(
        &self,
        cursor: u64,
        count: usize,
        now: UnixMillis,
        each: EachWithExpiry<'_>,
    ) -> u64 {
        match &self.form {
            Form::Packed(_) => {
                self.for_each_with_expiry(now, each);
                0
            }
            Form::Table(fields) => fields.scan(cursor, count, now, &mut |pair| {
                let (field, value) = elements_of(pair);
                each(field, value, pair.expire_at());
            }),
        }
    }

    /// Returns a live field with its value, each with the same chance; `None` if there is none. O(1)
    /// expected; O(n) in a listpack.
    #[must_use]
    pub fn random(
        &self,
        random: &mut Random,
        now: UnixMillis,
    ) -> Option<(Element<'_>, Element<'_>)> {
        match &self.form {
            Form::Packed(packed) => {
                let drawn = packed.sample(1, random, now);
                drawn.first().map(|triple| (triple.field, triple.value))
            }
            Form::Table(fields) => fields.random(random, now).map(elements_of),
        }
    }

    /// Returns `count` different live fields with their values, or all if there are fewer; each set of
    /// so many with the same chance. O(`count`) expected; O(n) in a listpack and for a large share.
    #[must_use]
    pub fn sample(
        &self,
        count: usize,
        random: &mut Random,
        now: UnixMillis,
    ) -> Vec<(Element<'_>, Element<'_>)> {
        let fields = match &self.form {
            Form::Packed(packed) => {
                let drawn = packed.sample(count, random, now);
                return drawn.iter().map(|it| (it.field, it.value)).collect();
            }
            Form::Table(fields) => fields,
        };
        let len = self.len(now);
        if count.saturating_mul(SAMPLE_SHARE) >= len {
            let mut all: Vec<_> = fields.live(now).map(elements_of).collect();
            let wanted = count.min(all.len());
            for place in 0..wanted {
                let drawn = place + random.index(all.len() - place);
                all.swap(place, drawn);
            }
            all.truncate(wanted);
            return all;
        }
        let mut seen: Set<&[u8]> = Set::default();
        let mut drawn = Vec::with_capacity(count);
        while drawn.len() < count {
            let Some(pair) = fields.random(random, now) else {
                break;
            };
            if seen.insert(pair.field()) {
                drawn.push(elements_of(pair));
            }
        }
        drawn
    }

    /// Returns the name of the encoding. That of a table with expiries is that of one without.
    #[must_use]
    pub fn encoding_name(&self) -> &'static str {
        match &self.form {
            Form::Packed(packed) if packed.expires() => "listpackex",
            Form::Packed(_) => "listpack",
            Form::Table(_) => "hashtable",
        }
    }

    /// Returns the bytes allocated; `round` turns a request into what the allocator takes. O(1).
    #[must_use]
    pub fn allocated_bytes(&self, round: fn(usize) -> usize) -> usize {
        match &self.form {
            Form::Packed(packed) => round(packed.listpack().capacity_bytes()),
            Form::Table(fields) => fields.allocated_bytes(),
        }
    }

    /// Frees about `elements` fields; returns whether there is more. See [`crate::Value::free_step`].
    pub fn free_step(&mut self, elements: usize) -> bool {
        match &mut self.form {
            Form::Packed(_) => false,
            Form::Table(fields) => fields.free_step(elements),
        }
    }

    /// Returns about how many allocations there are to free. O(1).
    #[must_use]
    pub fn free_effort(&self) -> usize {
        match &self.form {
            Form::Packed(_) => 1,
            Form::Table(fields) => fields.len(),
        }
    }

    fn become_table(&mut self, growth: &Growth) {
        let Form::Packed(packed) = &self.form else {
            return;
        };
        let mut fields = Box::new(Fields::new(growth.hash_seed));
        for triple in packed.iter() {
            triple.field.with_bytes(|field| {
                triple
                    .value
                    .with_bytes(|value| fields.set(field, value, Some(triple.expire_at)))
            });
        }
        self.form = Form::Table(fields);
    }
}

impl PartialEq for Hash {
    /// Compares fields, values and expiries; neither order nor encoding matter, but dead fields do.
    fn eq(&self, other: &Self) -> bool {
        let eternity = UnixMillis(i64::MIN);
        let mut is_equal = self.stored_len() == other.stored_len();
        self.for_each_with_expiry(eternity, &mut |field, value, expire_at| {
            is_equal = is_equal
                && field.with_bytes(|field| {
                    other.find(field, eternity).is_some_and(|(found, at)| {
                        at == expire_at && value.with_bytes(|value| found.eq_bytes(value))
                    })
                });
        });
        is_equal
    }
}

fn elements_of(pair: &Pair) -> (Element<'_>, Element<'_>) {
    (Element::Bytes(pair.field()), Element::Bytes(pair.value()))
}

#[cfg(test)]
mod tests;
