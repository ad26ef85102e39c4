//! The table of one database's keys: extendible hashing.
//!
//! ```text
//! directory, 2^depth words:   00.   01.   10.   11.        by the highest bits of the hash
//!                              |     |     \    /
//! segments, at most 4 KiB:    [ ]   [ ]     [ ]            see `segment`
//! ```
//!
//! A segment grows in steps of a fifth to a quarter and at its largest is split in two by the next
//! bit of the hash; after deletions it shrinks, and two small halves become one again. So no
//! operation moves more than one segment (some 450 words; a split also hashes their keys), but for
//! doubling or halving the directory, one word per 200 keys or so. Bytes per key hardly depend on how
//! many keys there are.
//!
//! # Cursors
//!
//! A cursor names a point in the order of (segment, tag): depth of the segment (5 bits), the highest
//! 32 bits of the hashes at its start (32 bits), a tag (16 bits). A scan shows entries bucket by
//! bucket in the order of their *home* buckets, and pauses only between two homes, at the lowest tag
//! of the next. Claim: every entry that is there from the first call to the last is shown.
//!
//! Proof. Say a scan pauses at (depth d, start p, tag t). It has shown (1) all entries whose hash is
//! below p, and (2) all in the segment of p and d whose tag is below t, as homes rise with tags; both
//! speak of hashes alone, not of places. An entry that stays keeps its hash and tag. Going on, the
//! segment that now covers p has depth e.
//! - e = d: the same range of hashes. Entries with a tag from t on are shown, those below were. The
//!   segment may have another size: a home bucket may then hold tags on both sides of t, which are
//!   told apart by the tag itself.
//! - e > d, it was split: the scan goes on in the first part at t, where (2) holds as it did for the
//!   whole, and shows the other parts from their beginnings.
//! - e < d, it was merged: (2) says nothing about the other half, so the scan starts this segment at
//!   tag 0. All entries with hashes below p were shown; all others are in this segment or later.
//!
//! Within one call nothing changes. So at the end of each call (1) and (2) hold for its result, and
//! at cursor 0 all hashes are covered. Entries may be shown twice after a split or a merge.
//!
//! Invariants
//! - A segment of depth d fills an aligned run of `2^(depth - d)` directory words.
//! - Each entry is in the segment its hash leads to, and no key is there twice.
//! - A key stands in `field_expiries` if and only if fields of its hash expire, and then once.
//!
//! Not here: what an entry is (`entry`), the table inside a segment (`segment`); `snapshot.rs` has how a
//! snapshot goes over a dict that changes meanwhile.
#![expect(
    unsafe_code,
    reason = "slots are words with an address and a tag: 8 bytes per key"
)]

mod snapshot;

use base::cast;
use base::clock::UnixMillis;
use base::hash::KeyHasher;
use base::random::Random;
use types::Value;
use types::memory::allocated_bytes;
use types::schedule::Schedule;

use self::snapshot::Kept;
use crate::entry::{Entry, EntryRef, Heap, NewEntry};
use crate::memory::Ledger;
use crate::segment::{
    self, BUCKETS_SPLIT, Pool, Range, Segment, VOLATILE, address_of, slot_of, tag_in, tag_of,
};

/// Deepest directory: cursors have room for 31, but no memory holds that many segments.
const DEPTH_MAX: u32 = 30;

/// The directory may have this many words per segment; beyond, splitting does not help, as the
/// hashes of a segment agree in too many bits.
const DIRECTORY_WORDS_PER_SEGMENT: usize = 64;

/// Entries that a segment gets of a dict whose size is known before: between this and half of it, as many as fill
/// segments that were split.
const EXPECTED_PER_SEGMENT: usize = 360;

/// Two halves become one when each has at most this many entries: less than half of what a split
/// leaves, so that a dict does not go back and forth.
const MERGE_ENTRIES_MAX: usize = 100;

const CURSOR_TAG_BITS: u32 = 16;
const CURSOR_START_BITS: u32 = 32;

/// Tries to hit a used slot by chance before a random pick falls back to walking.
const RANDOM_TRIES: usize = 100;

/// Entries to load ahead while a segment is split.
const SPLIT_PREFETCH: usize = 16;

/// Up to so many bytes of segments and small entries are taken to lie in the cache of second level, of
/// which the cores of servers have one or two MiB.
const CACHED_BYTES_MAX: usize = 1 << 20;

/// Where an entry is, until the dict changes. A stale one leads to another entry or to a panic,
/// never outside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    word: usize,
    position: usize,
}

/// Entries by the hash of their keys.
#[derive(Debug)]
pub(crate) struct Dict {
    directory: Vec<Segment>,
    depth: u32,
    /// `63 - depth`: see [`Dict::word_of`].
    shift: u32,
    segments: usize,
    /// Segments whose depth is that of the directory; without any the directory can be halved.
    deepest: usize,
    segment_bytes: usize,
    len: usize,
    expires: usize,
    /// Sum of all expiries, for their mean.
    expire_sum: i128,
    heap: Heap,
    pool: Pool,
    hasher: KeyHasher,
    /// The keys of hashes with fields that expire, by the first time one does.
    field_expiries: Schedule<Box<[u8]>>,
    /// Bytes of the keys in `field_expiries`.
    field_expiry_key_bytes: usize,
    /// Words of the directory whose segments [`Dict::free_step`] has freed already.
    freed_words: usize,
    /// The snapshot that does not have all entries yet.
    snapshot: Option<Box<snapshot::Walk>>,
    /// The mark of slots that no snapshot waits for.
    mark: u64,
}

/// A point of a scan, unpacked.
#[derive(Clone, Copy, Debug)]
struct Cursor {
    depth: u32,
    start: u64,
    tag: u16,
}

impl Cursor {
    fn unpack(cursor: u64) -> Self {
        let start_bits = cursor >> CURSOR_TAG_BITS & ((1 << CURSOR_START_BITS) - 1);
        let depth = cursor >> (CURSOR_TAG_BITS + CURSOR_START_BITS) & 31;
        Self {
            depth: cast::u32_from(cast::usize_from(depth)),
            start: start_bits << (64 - CURSOR_START_BITS),
            tag: u16::try_from(cursor & 0xFFFF).expect("16 bits"),
        }
    }

    fn pack(depth: u32, start: u64, tag: usize) -> u64 {
        u64::from(depth) << (CURSOR_TAG_BITS + CURSOR_START_BITS)
            | start >> (64 - CURSOR_START_BITS) << CURSOR_TAG_BITS
            | cast::u64_from(tag)
    }
}

impl Dict {
    /// Creates a dict without entries. The hasher is the one whose hashes the callers pass.
    pub(crate) fn new(hasher: KeyHasher) -> Self {
        Self {
            directory: Vec::new(),
            depth: 0,
            shift: 63,
            segments: 0,
            deepest: 0,
            segment_bytes: 0,
            len: 0,
            expires: 0,
            expire_sum: 0,
            heap: Heap::default(),
            pool: Pool::default(),
            hasher,
            field_expiries: Schedule::default(),
            field_expiry_key_bytes: 0,
            freed_words: 0,
            snapshot: None,
            mark: 0,
        }
    }

    /// Makes the first segment; an empty dict has none and costs next to nothing.
    fn begin(&mut self) {
        let segment = self.new_segment(1, Range { start: 0, depth: 0 });
        self.segment_bytes = segment.bytes();
        self.directory = vec![segment];
        (self.segments, self.deepest) = (1, 1);
    }

    /// Makes segments for so many entries, if there are none yet, so that none has to be split on the way there.
    /// O(entries / [`EXPECTED_PER_SEGMENT`]).
    pub(crate) fn expect(&mut self, entries: usize) {
        let wanted = entries / EXPECTED_PER_SEGMENT;
        let depth = usize::BITS - wanted.leading_zeros();
        if !self.directory.is_empty() || depth == 0 || depth > DEPTH_MAX {
            return;
        }
        (self.depth, self.shift) = (depth, 63 - depth);
        (self.segments, self.deepest) = (1 << depth, 1 << depth);
        let buckets = segment::buckets_for(entries >> depth);
        for word in 0..1 << depth {
            let start = self.start_of(word);
            let segment = self.new_segment(buckets, Range { start, depth });
            self.segment_bytes += segment.bytes();
            self.directory.push(segment);
        }
    }

    fn new_segment(&mut self, buckets: usize, range: Range) -> Segment {
        Segment::new(&mut self.pool, &mut self.heap.slabs, buckets, range)
    }

    /// Frees a segment that the directory does not name any more.
    fn free_segment(&mut self, segment: Segment) {
        if let Some((start, block)) = segment.free(&mut self.pool, &mut self.heap.slabs) {
            let first = self.word_of(start);
            let moved = self.directory[first].moved_to(block);
            let run = self.run_of(&moved);
            for word in &mut self.directory[first..first + run] {
                *word = moved.alias();
            }
        }
    }

    /// Returns the number of entries.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Returns how many entries carry an expiry.
    pub(crate) fn expires_len(&self) -> usize {
        self.expires
    }

    /// Returns the mean of the expiries, if there are any.
    pub(crate) fn mean_expire_at(&self) -> Option<i64> {
        let count = i128::from(cast::u64_from(self.expires));
        i64::try_from(self.expire_sum.checked_div(count)?).ok()
    }

    /// Returns what the dict holds.
    pub(crate) fn ledger(&self) -> Ledger {
        let directory = allocated_bytes(self.directory.capacity() * size_of::<Segment>());
        Ledger {
            keys: self.len,
            expires: self.expires,
            entry_bytes: self.heap.bytes(),
            dict_bytes: self.segment_bytes
                + directory
                + self.field_expiries.allocated_bytes()
                + self.field_expiry_key_bytes,
            // Segments too large for slabs are too rare to be told apart here.
            unused_bytes: self
                .heap
                .slabs
                .bytes()
                .saturating_sub(self.heap.small_bytes() + self.segment_bytes),
        }
    }

    #[inline]
    fn word_of(&self, hash: u64) -> usize {
        // Two shifts, as a directory of one word would need a shift by 64.
        cast::usize_from(hash >> 1 >> (self.shift & 63))
    }

    /// Tells whether the dict is so small that it lies in the cache of its core, so that loading ahead
    /// costs more than it saves.
    #[inline]
    pub(crate) fn is_small(&self) -> bool {
        self.heap.small_bytes() + self.segment_bytes <= CACHED_BYTES_MAX
    }

    /// Begins to load the bucket of a hash.
    #[inline]
    pub(crate) fn prefetch_bucket(&self, hash: u64) {
        if let Some(segment) = self.directory.get(self.word_of(hash)) {
            segment.prefetch(tag_of(hash));
        }
    }

    /// Begins to load what an insertion of a key with this hash needs.
    #[inline]
    pub(crate) fn prefetch_insertion(&self, hash: u64) {
        if let Some(segment) = self.directory.get(self.word_of(hash)) {
            segment.prefetch_counters();
            segment.prefetch(tag_of(hash));
        }
    }

    /// Begins to load the entry that the bucket of a hash names.
    #[inline]
    pub(crate) fn prefetch_entry(&self, hash: u64) {
        if let Some(segment) = self.directory.get(self.word_of(hash)) {
            segment.prefetch_entry(tag_of(hash));
        }
    }

    /// Finds the entry of a key.
    #[inline]
    pub(crate) fn find(&self, hash: u64, key: &[u8]) -> Option<Place> {
        let word = self.word_of(hash);
        let segment = self.directory.get(word)?;
        let position = segment.find(tag_of(hash), |address| self.at(address).has_key(key))?;
        Some(Place { word, position })
    }

    /// Finds the entry of a key and changes it in place; whether and when it expires stays as it is.
    /// `None` if there is no such key. If more than its use may change, the caller has called
    /// [`Dict::before_change`].
    #[inline]
    pub(crate) fn with_found<R>(
        &mut self,
        hash: u64,
        key: &[u8],
        change: impl FnOnce(&mut Entry, &mut Heap) -> R,
    ) -> Option<R> {
        let segment = self.directory.get(self.word_of(hash))?;
        let matches = |address| self.at(address).has_key(key);
        let address = segment.find_address(tag_of(hash), matches)?;
        // SAFETY: a used slot holds the address of a live entry, and this dict, its owner, is
        // borrowed exclusively until the closure is over.
        let mut entry = unsafe { Entry::at(address) };
        Some(change(&mut entry, &mut self.heap))
    }

    /// Returns the entry at an address out of a slot.
    #[inline]
    fn at(&self, address: u64) -> EntryRef<'_> {
        // SAFETY: used slots hold addresses of live entries, which change only while the dict is
        // borrowed exclusively.
        unsafe { EntryRef::at(address) }
    }

    /// Returns the entry at a place.
    #[inline]
    pub(crate) fn entry(&self, place: Place) -> EntryRef<'_> {
        let address = address_of(self.directory[place.word].slot(place.position));
        assert!(address != 0, "the place is not stale");
        self.at(address)
    }

    /// Notes the use of an entry. For a snapshot that is no change.
    #[inline]
    pub(crate) fn set_access(&mut self, place: Place, access: u32) {
        self.with_entry_noted(place, |entry, _| entry.set_access(access));
    }

    /// Changes an entry in place; whether and when it expires stays as it is.
    #[inline]
    pub(crate) fn with_entry<R>(
        &mut self,
        place: Place,
        change: impl FnOnce(&mut Entry, &mut Heap) -> R,
    ) -> R {
        self.before_change_at(place);
        self.with_entry_noted(place, change)
    }

    #[inline]
    fn with_entry_noted<R>(
        &mut self,
        place: Place,
        change: impl FnOnce(&mut Entry, &mut Heap) -> R,
    ) -> R {
        let address = address_of(self.directory[place.word].slot(place.position));
        assert!(address != 0, "the place is not stale");
        // SAFETY: a used slot holds the address of a live entry, and this dict, its owner, is
        // borrowed exclusively until the closure is over.
        let mut entry = unsafe { Entry::at(address) };
        change(&mut entry, &mut self.heap)
    }

    /// Moves the expiry of an entry that has one.
    pub(crate) fn set_expire_at(&mut self, place: Place, at: UnixMillis) {
        let old = self.entry(place).expire_at();
        self.count_expiry(old, Some(at));
        let moved = self.with_entry(place, |entry, _| entry.set_expire_at(at));
        assert!(moved, "the entry has room for an expiry");
    }

    fn count_expiry(&mut self, old: Option<UnixMillis>, new: Option<UnixMillis>) {
        self.expires += usize::from(new.is_some());
        self.expires -= usize::from(old.is_some());
        self.expire_sum += new.map_or(0, |at| i128::from(at.0));
        self.expire_sum -= old.map_or(0, |at| i128::from(at.0));
    }

    /// Notes that the first field of a key's hash to die does so at another time.
    pub(crate) fn reschedule(
        &mut self,
        key: &[u8],
        before: Option<UnixMillis>,
        after: Option<UnixMillis>,
    ) {
        if before == after {
            return;
        }
        if let Some(at) = before
            && self.field_expiries.remove(at, key.into())
        {
            self.field_expiry_key_bytes -= allocated_bytes(key.len());
        }
        if let Some(at) = after {
            self.field_expiries.insert(at, key.into());
            self.field_expiry_key_bytes += allocated_bytes(key.len());
        }
    }

    /// Returns the key whose hash has the first field to die, and when; see [`Dict::reschedule`].
    pub(crate) fn first_field_expiry(&self) -> Option<(UnixMillis, &[u8])> {
        let (at, key) = self.field_expiries.first()?;
        Some((*at, key))
    }

    /// Returns how many hashes have fields that expire.
    #[cfg(test)]
    pub(crate) fn field_expiry_count(&self) -> usize {
        self.field_expiries.len()
    }

    /// Adds an entry whose key is not there yet.
    pub(crate) fn insert(&mut self, hash: u64, new: NewEntry<'_>) {
        self.reschedule(new.key, None, new.value.next_expiry());
        self.count_expiry(None, new.expire_at);
        self.len += 1;
        let volatile = new.expire_at.is_some();
        let entry = self.heap.create(new);
        if self.directory.is_empty() {
            self.begin();
        }
        while !self.directory[self.word_of(hash)].has_room() {
            self.make_room(self.word_of(hash));
        }
        let word = self.word_of(hash);
        let slot = slot_of(tag_of(hash), entry.into_address(), volatile) | self.mark;
        self.directory[word].put(slot);
    }

    /// Puts another entry with the same key in the place of one; returns a value that lay apart, to be freed. A snapshot
    /// may keep it.
    pub(crate) fn replace(&mut self, place: Place, new: NewEntry<'_>) -> Option<Box<Value>> {
        self.count_expiry(self.entry(place).expire_at(), new.expire_at);
        let kept = self.before_end_at(place);
        let before = self.entry(place).next_expiry();
        self.reschedule(new.key, before, new.value.next_expiry());
        let entry = self.heap.create(new);
        let value = self.exchange(place, entry);
        self.freed(kept, value)
    }

    /// Makes an entry anew with or without an expiry; all else stays.
    pub(crate) fn remake(&mut self, place: Place, expire_at: Option<UnixMillis>) {
        self.count_expiry(self.entry(place).expire_at(), expire_at);
        let entry = self.with_entry(place, |entry, heap| heap.recreate(entry, expire_at));
        drop(self.exchange(place, entry));
    }

    fn exchange(&mut self, place: Place, entry: Entry) -> Option<Box<Value>> {
        let volatile = entry.as_ref().expire_at().is_some();
        let segment = &mut self.directory[place.word];
        let tag = tag_in(segment.slot(place.position));
        let slot = slot_of(tag, entry.into_address(), volatile) | self.mark;
        let old = segment.replace(place.position, slot);
        // SAFETY: the slot owned this entry and now owns another.
        let old = unsafe { Entry::at(address_of(old)) };
        self.heap.destroy(old)
    }

    /// Removes an entry; returns a value that lay apart.
    pub(crate) fn remove(&mut self, place: Place) -> Option<Box<Value>> {
        self.before_change_at(place);
        let value = self.take(place);
        self.settle(place.word);
        value
    }

    /// Removes an entry; returns a value that lay apart, to be freed. A snapshot may keep it.
    pub(crate) fn discard(&mut self, place: Place) -> Option<Box<Value>> {
        let value = self.take_to_free(place);
        self.settle(place.word);
        value
    }

    /// Does the same and leaves its segment as large as it is.
    fn take_to_free(&mut self, place: Place) -> Option<Box<Value>> {
        let kept = self.before_end_at(place);
        let value = self.take(place);
        self.freed(kept, value)
    }

    #[inline]
    fn freed(&mut self, kept: Kept, value: Option<Box<Value>>) -> Option<Box<Value>> {
        if self.snapshot.is_none() {
            return value;
        }
        self.keep(kept, value)
    }

    /// Removes an entry, of which the snapshot has what it needs, and leaves its segment as large as it is.
    fn take(&mut self, place: Place) -> Option<Box<Value>> {
        self.count_expiry(self.entry(place).expire_at(), None);
        self.len -= 1;
        if let Some(at) = self.entry(place).next_expiry() {
            let key: Box<[u8]> = self.entry(place).key().into();
            self.reschedule(&key, Some(at), None);
        }
        let slot = self.directory[place.word].take(place.position);
        // SAFETY: the slot owned this entry and is free now.
        let entry = unsafe { Entry::at(address_of(slot)) };
        self.heap.destroy(entry)
    }

    /// Leaves an empty dict behind and returns the old one, with the snapshot that goes over it.
    pub(crate) fn take_all(&mut self) -> Self {
        let empty = Self::new(self.hasher.clone());
        std::mem::replace(self, empty)
    }

    /// Frees about `entries` entries of a dict that nobody will look at again, and hands the values
    /// that lay apart to `apart`. Returns whether there is more to free. O(`entries`) but for the
    /// memory of one region of slabs, at most 4 MiB.
    pub(crate) fn free_step(&mut self, entries: usize, apart: &mut dyn FnMut(Box<Value>)) -> bool {
        if self.field_expiries.free_step(entries) {
            return true;
        }
        let mut freed = 0;
        while freed < entries && self.freed_words < self.directory.len() {
            freed += 1 + self.free_segment_at(self.freed_words, apart);
        }
        self.freed_words < self.directory.len() || self.heap.slabs.abandon_region()
    }

    /// Frees the segment whose first word this is, with its entries; returns how many there were.
    fn free_segment_at(&mut self, word: usize, apart: &mut dyn FnMut(Box<Value>)) -> usize {
        let segment = self.directory[word].alias();
        self.freed_words = word + self.run_of(&segment);
        let mut freed = 0;
        for (_, slot) in segment.used_slots(0) {
            // SAFETY: the slot owns this entry, and nobody looks at it again: no segment before
            // `freed_words` is visited a second time.
            let entry = unsafe { Entry::at(address_of(slot)) };
            if let Some(value) = self.heap.destroy(entry) {
                apart(value);
            }
            freed += 1;
        }
        if segment.buckets() > BUCKETS_SPLIT {
            segment.free(&mut self.pool, &mut self.heap.slabs);
        }
        freed
    }

    /// Shows about `count` entries from `cursor` on; returns where to go on, 0 at the end. See the
    /// head of this file.
    pub(crate) fn scan(
        &self,
        cursor: u64,
        count: usize,
        each: &mut dyn FnMut(EntryRef<'_>),
    ) -> u64 {
        if self.directory.is_empty() {
            return 0;
        }
        let cursor = Cursor::unpack(cursor);
        let mut word = self.word_of(cursor.start);
        let mut first_tag = cursor.tag;
        if self.directory[word].depth() < cursor.depth {
            first_tag = 0;
        }
        let mut seen = 0;
        // Empty buckets count a little, so that a call in a sparse table ends as well.
        let mut looked_at = 0;
        loop {
            let segment = &self.directory[word];
            word = self.first_word(word);
            for bucket in segment.home(first_tag)..segment.buckets() {
                if seen >= count.max(1) || looked_at >= count.saturating_mul(10).max(64) {
                    return Cursor::pack(
                        segment.depth(),
                        self.start_of(word),
                        segment.first_tag(bucket),
                    );
                }
                segment.with_home(bucket, &mut |slot| {
                    if tag_in(slot) >= first_tag {
                        seen += 1;
                        each(self.at(address_of(slot)));
                    }
                });
                looked_at += 1;
            }
            first_tag = 0;
            word += self.run_of(segment);
            if word == self.directory.len() {
                return 0;
            }
        }
    }

    /// Looks at about `slots` slots from `cursor` on, shows the entries that carry an expiry, and
    /// removes those for which `keep` returns false; their values that lay apart go to `apart`. Returns
    /// where to go on, 0 at the end, and how many slots it looked at.
    ///
    /// The cursor has the form of [`Dict::scan`]'s; entries that move meanwhile may be missed.
    pub(crate) fn sweep(
        &mut self,
        cursor: u64,
        slots: usize,
        keep: &mut dyn FnMut(EntryRef<'_>) -> bool,
        apart: &mut dyn FnMut(Option<Box<Value>>),
    ) -> (u64, usize) {
        if self.directory.is_empty() {
            return (0, 0);
        }
        let cursor = Cursor::unpack(cursor);
        let mut word = self.first_word(self.word_of(cursor.start));
        let mut bucket = self.directory[word].home(cursor.tag);
        let mut looked_at = 0;
        loop {
            let segment = &self.directory[word];
            let (depth, start) = (segment.depth(), self.start_of(word));
            let run = self.run_of(segment);
            let wanted = slots.saturating_sub(looked_at).max(1).div_ceil(8);
            let end = segment.buckets().min(bucket.saturating_add(wanted));
            let next_tag = segment.first_tag(end);
            let whole = end == segment.buckets();
            looked_at += (end - bucket) * 8;
            if segment.volatile() > 0 {
                self.sweep_buckets(word, bucket * 8..end * 8, keep, apart);
            }
            if !whole {
                return (Cursor::pack(depth, start, next_tag), looked_at);
            }
            if word + run == self.directory.len() {
                self.settle(word);
                return (0, looked_at);
            }
            let next = self.start_of(word + run);
            self.settle(word);
            // The directory may have changed: find the next segment by its hashes.
            word = self.word_of(next);
            let first = self.first_word(word);
            if first != word || looked_at >= slots {
                return (
                    Cursor::pack(self.directory[word].depth(), next, 0),
                    looked_at,
                );
            }
            bucket = 0;
        }
    }

    fn sweep_buckets(
        &mut self,
        word: usize,
        positions: std::ops::Range<usize>,
        keep: &mut dyn FnMut(EntryRef<'_>) -> bool,
        apart: &mut dyn FnMut(Option<Box<Value>>),
    ) {
        for position in positions {
            let slot = self.directory[word].slot(position);
            if slot & VOLATILE != 0 && !keep(self.at(address_of(slot))) {
                apart(self.take_to_free(Place { word, position }));
            }
        }
    }

    /// Returns the place of an entry, of one with an expiry if `volatile`, each about equally likely;
    /// `None` if there is none.
    pub(crate) fn random(&self, random: &mut Random, volatile: bool) -> Option<Place> {
        if self.len == 0 || (volatile && self.expires == 0) {
            return None;
        }
        let fits = |slot: u64| address_of(slot) != 0 && (!volatile || slot & VOLATILE != 0);
        for _ in 0..RANDOM_TRIES {
            let word = random.index(self.directory.len());
            let position = random.index(self.directory[word].slots());
            if fits(self.directory[word].slot(position)) {
                return Some(Place { word, position });
            }
        }
        let start = random.index(self.directory.len());
        (start..self.directory.len())
            .chain(0..start)
            .find_map(|word| {
                let segment = &self.directory[word];
                if volatile && segment.volatile() == 0 {
                    return None;
                }
                let mut slots = segment.used_slots(0);
                let (position, _) = slots.find(|(_, slot)| fits(*slot))?;
                Some(Place { word, position })
            })
    }

    /// Returns how many directory words a segment fills.
    fn run_of(&self, segment: &Segment) -> usize {
        1 << (self.depth - segment.depth())
    }

    /// Returns the first of the directory words that are for the same segment.
    fn first_word(&self, word: usize) -> usize {
        word & !(self.run_of(&self.directory[word]) - 1)
    }

    /// Returns the lowest hash that leads to a directory word.
    fn start_of(&self, word: usize) -> u64 {
        cast::u64_from(word) << 1 << (63 - self.depth)
    }

    /// Lays the segment at `word` out anew with another number of buckets.
    fn resize(&mut self, word: usize, buckets: usize) {
        let old = self.directory[word].alias();
        let (first, run) = (self.first_word(word), self.run_of(&old));
        let range = Range {
            start: self.start_of(first),
            depth: old.depth(),
        };
        let mut new = self.new_segment(buckets, range);
        for (_, slot) in old.used_slots(0) {
            new.put(slot);
        }
        self.segment_bytes = self.segment_bytes + new.bytes() - old.bytes();
        self.name(&new, first, run);
        self.free_segment(old);
    }

    /// Lets `run` words from `first` on stand for a segment.
    fn name(&mut self, segment: &Segment, first: usize, run: usize) {
        for word in &mut self.directory[first..first + run] {
            *word = segment.alias();
        }
    }

    /// Makes room for one more entry in the segment at `word`, or at least comes closer to it.
    fn make_room(&mut self, word: usize) {
        let segment = &self.directory[word];
        let (buckets, wanted) = (segment.buckets(), segment::buckets_for(segment.used() + 1));
        if wanted <= buckets {
            // Deleted slots took the room.
            self.resize(word, wanted);
        } else if buckets >= BUCKETS_SPLIT && self.may_split(word) {
            self.split(word);
        } else {
            self.resize(word, segment::buckets_after(buckets));
        }
    }

    fn may_split(&self, word: usize) -> bool {
        let depth = self.directory[word].depth();
        depth < self.depth
            || depth < DEPTH_MAX
                && self.directory.len() < self.segments * DIRECTORY_WORDS_PER_SEGMENT
    }

    /// Splits the segment at `word` in two by the next bit of the hashes.
    fn split(&mut self, mut word: usize) {
        if self.directory[word].depth() == self.depth {
            self.double_directory();
            word *= 2;
        }
        let old = &self.directory[word];
        let depth = old.depth() + 1;
        let slots: Vec<u64> = old.used_slots(0).map(|(_, slot)| slot).collect();
        let mut halves = [
            Vec::with_capacity(slots.len()),
            Vec::with_capacity(slots.len()),
        ];
        for (index, &slot) in slots.iter().enumerate() {
            if let Some(&ahead) = slots.get(index + SPLIT_PREFETCH) {
                segment::prefetch_address(address_of(ahead));
            }
            let hash = self.hasher.hash(self.at(address_of(slot)).key());
            halves[cast::usize_from(hash >> (64 - depth) & 1)].push(slot);
        }
        let first = self.first_word(word);
        let half_run = self.run_of(old) / 2;
        self.segment_bytes -= old.bytes();
        let old = old.alias();
        for (index, half) in halves.iter().enumerate() {
            let first = first + index * half_run;
            let range = Range {
                start: self.start_of(first),
                depth,
            };
            let mut new = self.new_segment(segment::buckets_for(half.len()), range);
            self.segment_bytes += new.bytes();
            half.iter().for_each(|&slot| new.put(slot));
            self.name(&new, first, half_run);
        }
        self.free_segment(old);
        self.segments += 1;
        if depth == self.depth {
            self.deepest += 2;
        }
    }

    fn double_directory(&mut self) {
        let mut directory = Vec::with_capacity(self.directory.len() * 2);
        for segment in &self.directory {
            directory.push(segment.alias());
            directory.push(segment.alias());
        }
        self.directory = directory;
        self.depth += 1;
        self.shift -= 1;
        self.deepest = 0;
    }

    fn halve_directory(&mut self) {
        self.directory = self
            .directory
            .iter()
            .step_by(2)
            .map(Segment::alias)
            .collect();
        self.depth -= 1;
        self.shift += 1;
        let deepest = self
            .directory
            .iter()
            .filter(|segment| segment.depth() == self.depth);
        self.deepest = deepest.count();
    }

    /// Gives back what the segment at `word` no longer needs: shrinks it, or joins it with its other
    /// half.
    fn settle(&mut self, word: usize) {
        let used = self.directory[word].used();
        if used <= MERGE_ENTRIES_MAX && self.merge(word) {
            return;
        }
        let segment = &self.directory[word];
        // Well below what growing or splitting leaves, so that sizes do not go back and forth.
        if used * 5 < segment.slots() * 2 {
            let buckets = segment::buckets_for(used);
            if buckets < segment.buckets() {
                self.resize(word, buckets);
            }
        }
    }

    /// Joins the segment at `word` with its other half if both are small. Returns whether it did.
    fn merge(&mut self, word: usize) -> bool {
        let segment = &self.directory[word];
        let depth = segment.depth();
        if depth == 0 {
            return false;
        }
        let first = self.first_word(word);
        let run = self.run_of(segment);
        let other = &self.directory[first ^ run];
        if other.depth() != depth || other.used() > MERGE_ENTRIES_MAX {
            return false;
        }
        let buckets = segment::buckets_for(segment.used() + other.used());
        let mut halves = [segment.alias(), other.alias()];
        let start = first & !run;
        let range = Range {
            start: self.start_of(start),
            depth: depth - 1,
        };
        let mut new = self.new_segment(buckets, range);
        self.segment_bytes += new.bytes();
        for half in &halves {
            half.used_slots(0).for_each(|(_, slot)| new.put(slot));
            self.segment_bytes -= half.bytes();
        }
        self.name(&new, start, 2 * run);
        // What moves when one is freed is a segment with a higher number: never the other half, if
        // that has the lower one.
        halves.sort_by_key(|half| std::cmp::Reverse(half.number()));
        for half in halves {
            self.free_segment(half);
        }
        self.segments -= 1;
        if depth == self.depth {
            self.deepest -= 2;
            if self.deepest == 0 {
                self.halve_directory();
            }
        }
        true
    }
}

impl Drop for Dict {
    fn drop(&mut self) {
        while self.freed_words < self.directory.len() {
            self.free_segment_at(self.freed_words, &mut |value| drop(value));
        }
        // All other segments go with their slabs.
    }
}

#[cfg(test)]
mod tests;
