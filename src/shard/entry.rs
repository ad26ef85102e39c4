//! One key and its value in one allocation.
//!
//! ```text
//! 0         8            8 or 16      ..              ..            ..+k     ..+k+v
//! | header  | expire at  | value      | key length    | key         | value   | padding
//! | u64     | i64        | pointer    | u64           | k bytes     | v bytes |
//!           if EXPIRES   if APART     if LONG_KEY                   unless APART
//! ```
//!
//! The header, from its lowest bit: access (24 bits: seconds or a frequency, see `access`), flags
//! (5), shape (3, if not `APART`), key length (8, if not `LONG_KEY`), value length (24, if not
//! `APART`). The block is always as long as [`Heap`] would round its parts up to, so a value may change
//! its length in place as long as the rounded length stays the same.
//!
//! What lies beside the key is a string, shape 0, or the bytes of a small value of another type, whose
//! [`Shape`] has the number. To work on such a value it is unpacked (see `values`).
//!
//! Invariants
//! - An [`Entry`] is the only owner of its block, of the boxed value that hangs on it, and is given
//!   back to the [`Heap`] it came from. Losing one leaks; nothing else can go wrong.
//! - The lengths in the header never reach beyond the block; only this file writes them.
//! - Blocks are aligned to 8 bytes and lie below 2^48, so a dict may keep 19 bits of its own beside
//!   the address.
//!
//! Not here: where entries are kept (`dict`), when they are dead (`expiry`).
#![expect(
    unsafe_code,
    reason = "key, header and value share one allocation: 21 bytes less per key"
)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::borrow::Cow;
use std::marker::PhantomData;
use std::ptr::NonNull;

use base::cast;
use base::clock::UnixMillis;
use types::memory::allocated_bytes;
use types::packed::{Packed, Shape};
use types::string::{self, Origin};
use types::{Kind, Value};

use crate::access;
use crate::slab::{BLOCK_BYTES_MAX, Blocks, Slabs};

/// Longer strings are kept apart from their keys, in bytes.
pub(crate) const INLINE_VALUE_BYTES_MAX: usize = 4096;

/// Key and packed value share a block if it has at most this many bytes. Larger ones gain little, and
/// copying them for each change would begin to cost.
const PACKED_BLOCK_BYTES_MAX: usize = BLOCK_BYTES_MAX;

const HEADER_BYTES: usize = 8;
const WORD_BYTES: usize = 8;
const ALIGNMENT: usize = 8;
const SHORT_KEY_BYTES_MAX: usize = 255;

const EXPIRES: u8 = 1;
const APART: u8 = 1 << 1;
const LONG_KEY: u8 = 1 << 2;
const COMPUTED: u8 = 1 << 3;
const EDITED: u8 = 1 << 4;
const SHAPE_MASK: u8 = 0b111 << SHAPE_BIT;

const SHAPE_BIT: u32 = 5;

/// The flags that say nothing of what lies where.
const PLAIN_FLAGS: u8 = COMPUTED | EDITED;

const ACCESS_MASK: u64 = (1 << 24) - 1;
const FLAGS_SHIFT: u32 = 24;
const NOT_PLAIN_MASK: u64 = (!PLAIN_FLAGS as u64) << FLAGS_SHIFT;
const KEY_SHIFT: u32 = 32;
const VALUE_SHIFT: u32 = 40;

const _: () = assert!(
    INLINE_VALUE_BYTES_MAX < 1 << 24,
    "the header has 24 bits for this length"
);

/// The value of an entry that is to be made.
#[derive(Debug)]
pub(crate) enum NewValue<'a> {
    /// A string of at most [`INLINE_VALUE_BYTES_MAX`] bytes.
    Inline(&'a [u8]),
    /// A small value of another type, of at most as many bytes.
    Packed(Packed<'a>),
    /// Anything else.
    Apart(Box<Value>),
}

impl<'a> NewValue<'a> {
    /// Returns the value as it lies beside a key, if it is small enough for that.
    pub(crate) fn beside(value: &'a Value, key_len: usize, expires: bool) -> Option<Self> {
        if let Value::String(bytes) = value {
            return (bytes.len() <= INLINE_VALUE_BYTES_MAX).then_some(Self::Inline(bytes));
        }
        let packed = value.packed()?;
        let size = packed_block_bytes(packed, key_len, expires);
        (size <= PACKED_BLOCK_BYTES_MAX).then_some(Self::Packed(packed))
    }

    /// Returns when the first field of a hash dies. O(1).
    pub(crate) fn next_expiry(&self) -> Option<UnixMillis> {
        match self {
            // Hashes with such fields are not packed.
            Self::Inline(_) | Self::Packed(_) => None,
            Self::Apart(value) => value.next_expiry(),
        }
    }
}

/// Everything an entry is made from.
#[derive(Debug)]
pub(crate) struct NewEntry<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) value: NewValue<'a>,
    pub(crate) expire_at: Option<UnixMillis>,
    /// 24 bits.
    pub(crate) access: u32,
    pub(crate) origin: Origin,
}

/// A block with a key and its value, owned. See the head of this file.
#[derive(Debug)]
pub(crate) struct Entry {
    block: NonNull<u8>,
}

/// The parts of a header, unpacked.
#[derive(Clone, Copy)]
struct Header(u64);

impl Header {
    fn access(self) -> u32 {
        cast::u32_from(cast::usize_from(self.0 & ACCESS_MASK))
    }

    /// Tells whether the block is the header, a short key and a string, and nothing else.
    fn is_plain(self) -> bool {
        self.0 & NOT_PLAIN_MASK == 0
    }

    fn has(self, flag: u8) -> bool {
        self.0 & (u64::from(flag) << FLAGS_SHIFT) != 0
    }

    fn with(self, flag: u8, on: bool) -> Self {
        let bit = u64::from(flag) << FLAGS_SHIFT;
        Self(if on { self.0 | bit } else { self.0 & !bit })
    }

    /// Tells whether the value is a string beside the key.
    fn is_string_beside(self) -> bool {
        self.0 & (u64::from(APART | SHAPE_MASK) << FLAGS_SHIFT) == 0
    }

    fn shape(self) -> Option<Shape> {
        let number = self.0 >> (FLAGS_SHIFT + SHAPE_BIT) & 0b111;
        Shape::from_number(u8::try_from(number).expect("3 bits"))
    }

    fn with_shape(self, shape: Option<Shape>) -> Self {
        let number = shape.map_or(0, Shape::number);
        let rest = self.0 & !(u64::from(SHAPE_MASK) << FLAGS_SHIFT);
        Self(rest | u64::from(number) << (FLAGS_SHIFT + SHAPE_BIT))
    }

    fn with_access(self, access: u32) -> Self {
        Self(self.0 & !ACCESS_MASK | u64::from(access) & ACCESS_MASK)
    }

    fn with_origin(self, origin: Origin) -> Self {
        self.with(COMPUTED, origin == Origin::Computed)
            .with(EDITED, origin == Origin::Edited)
    }

    fn with_value_len(self, len: usize) -> Self {
        let low = self.0 & ((1 << VALUE_SHIFT) - 1);
        Self(low | cast::u64_from(len) << VALUE_SHIFT)
    }

    fn origin(self) -> Origin {
        if self.has(EDITED) {
            Origin::Edited
        } else if self.has(COMPUTED) {
            Origin::Computed
        } else {
            Origin::Stored
        }
    }

    fn short_key_len(self) -> usize {
        cast::usize_from(self.0 >> KEY_SHIFT & 0xFF)
    }

    fn inline_value_len(self) -> usize {
        cast::usize_from(self.0 >> VALUE_SHIFT)
    }

    fn expiry_offset() -> usize {
        HEADER_BYTES
    }

    fn apart_offset(self) -> usize {
        HEADER_BYTES + if self.has(EXPIRES) { WORD_BYTES } else { 0 }
    }

    fn key_len_offset(self) -> usize {
        self.apart_offset() + if self.has(APART) { WORD_BYTES } else { 0 }
    }

    fn key_offset(self) -> usize {
        self.key_len_offset() + if self.has(LONG_KEY) { WORD_BYTES } else { 0 }
    }
}

/// Borrows a key and its value.
#[derive(Clone, Copy, Debug)]
pub struct EntryRef<'a> {
    block: NonNull<u8>,
    owner: PhantomData<&'a [u8]>,
}

/// What an entry holds.
#[derive(Clone, Debug)]
pub enum ValueRef<'a> {
    /// The bytes of a string.
    String(&'a [u8]),
    /// A value of another type: itself, or what was made of one that lies packed beside its key.
    Other(Cow<'a, Value>),
}

impl ValueRef<'_> {
    /// Returns the value, a copy if it was not made for this.
    #[must_use]
    pub fn into_owned(self) -> Value {
        match self {
            Self::String(bytes) => Value::String(bytes.to_vec()),
            Self::Other(value) => value.into_owned(),
        }
    }
}

/// A command met a key of another type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongType;

impl<'a> EntryRef<'a> {
    /// Borrows the entry at an address that [`Entry::into_address`] returned.
    ///
    /// # Safety
    ///
    /// The entry lives, and is not changed, for as long as `'a`.
    #[inline]
    pub(crate) unsafe fn at(address: u64) -> Self {
        Self {
            block: pointer(address),
            owner: PhantomData,
        }
    }

    fn header(self) -> Header {
        // SAFETY: the block of a live entry begins with its header, aligned and initialised.
        Header(unsafe { self.block.cast::<u64>().read() })
    }

    /// Reads the word at `offset`, which must be one of the header's optional words that is present.
    fn word(self, offset: usize) -> u64 {
        // SAFETY: `create` made the block long enough for every word its header announces.
        let place = unsafe { self.block.add(offset) };
        // SAFETY: as above; words are at multiples of 8 in a block aligned to 8, and were written.
        unsafe { place.cast::<u64>().read() }
    }

    fn slice(self, offset: usize, len: usize) -> &'a [u8] {
        // SAFETY: callers pass a range that the header announces, so it is inside the block.
        let start = unsafe { self.block.add(offset) };
        // SAFETY: as above; the bytes were written when the entry was made, and nobody changes them
        // while the dict that owns the entry is borrowed for 'a.
        unsafe { std::slice::from_raw_parts(start.as_ptr(), len) }
    }

    fn key_len(self) -> usize {
        let header = self.header();
        if header.has(LONG_KEY) {
            cast::usize_from(self.word(header.key_len_offset()))
        } else {
            header.short_key_len()
        }
    }

    /// Returns the bytes that lie beside the key. Not for entries with a value apart.
    fn beside(self, header: Header) -> &'a [u8] {
        let start = header.key_offset() + self.key_len();
        self.slice(start, header.inline_value_len())
    }

    /// Returns the value, if it lies packed beside the key.
    #[inline]
    pub(crate) fn packed(self) -> Option<Packed<'a>> {
        let header = self.header();
        if header.is_string_beside() || header.has(APART) {
            return None;
        }
        let shape = header.shape()?;
        let bytes = self.beside(header);
        Some(Packed { shape, bytes })
    }

    /// Returns the value, if it lies apart.
    #[inline]
    pub(crate) fn apart(self) -> Option<&'a Value> {
        let header = self.header();
        if !header.has(APART) {
            return None;
        }
        // SAFETY: callers reach this word only with `APART` set, which says it is there.
        let place = unsafe { self.block.add(header.apart_offset()) };
        // SAFETY: the word holds the pointer that `create` took out of a box.
        let value = unsafe { place.cast::<NonNull<Value>>().read() };
        // SAFETY: the entry owns that box, so the value lives as long as the entry is borrowed.
        Some(unsafe { value.as_ref() })
    }

    /// Tells whether the value lies apart from the key.
    pub(crate) fn is_apart(self) -> bool {
        self.header().has(APART)
    }

    /// Returns the key.
    #[must_use]
    pub fn key(self) -> &'a [u8] {
        self.slice(self.header().key_offset(), self.key_len())
    }

    /// Tells whether this is the key of the entry.
    #[inline]
    pub(crate) fn has_key(self, key: &[u8]) -> bool {
        let header = self.header();
        if header.is_plain() {
            header.short_key_len() == key.len() && same(self.slice(HEADER_BYTES, key.len()), key)
        } else {
            self.key() == key
        }
    }

    /// Tells whether the entry is a string beside its key that does not expire: nothing can become of
    /// it by itself.
    #[inline]
    pub(crate) fn is_plain(self) -> bool {
        self.header().is_plain()
    }

    /// Returns the string of an entry that [is plain](EntryRef::is_plain).
    #[inline]
    pub(crate) fn plain_string(self) -> Option<&'a [u8]> {
        let header = self.header();
        let start = HEADER_BYTES + header.short_key_len();
        header
            .is_plain()
            .then(|| self.slice(start, header.inline_value_len()))
    }

    /// Returns the value. O(bytes), and an allocation, if it lies packed beside its key; where that
    /// matters, [`crate::keyspace::Db::read`] needs none.
    #[must_use]
    pub fn value(self) -> ValueRef<'a> {
        match (self.apart(), self.packed()) {
            (Some(Value::String(bytes)), _) => ValueRef::String(bytes),
            (Some(Value::Shared(bytes)), _) => ValueRef::String(bytes),
            (Some(value), _) => ValueRef::Other(Cow::Borrowed(value)),
            (None, Some(packed)) => ValueRef::Other(Cow::Owned(packed.unpack(Vec::new()))),
            (None, None) => ValueRef::String(self.beside(self.header())),
        }
    }

    /// Returns the bytes of a string that lies beside its key, as all short ones do.
    #[must_use]
    pub fn beside_key(self) -> Option<&'a [u8]> {
        let header = self.header();
        header.is_string_beside().then(|| self.beside(header))
    }

    /// Returns the bytes of a string.
    ///
    /// # Errors
    ///
    /// [`WrongType`] if the value is no string.
    pub fn string(self) -> Result<&'a [u8], WrongType> {
        let header = self.header();
        if header.is_string_beside() {
            return Ok(self.beside(header));
        }
        match self.apart() {
            Some(Value::String(bytes)) => Ok(bytes),
            Some(Value::Shared(bytes)) => Ok(bytes),
            Some(_) | None => Err(WrongType),
        }
    }

    /// Returns the type of the value.
    #[must_use]
    pub fn kind(self) -> Kind {
        match (self.header().shape(), self.apart()) {
            (_, Some(value)) => value.kind(),
            (Some(shape), None) => shape.kind(),
            (None, None) => Kind::String,
        }
    }

    /// Tells whether the value is on loan.
    pub(crate) fn is_lent(self) -> bool {
        matches!(self.apart(), Some(Value::Lent(_)))
    }

    /// Returns the moment from which the key is dead, if it has one.
    #[must_use]
    pub fn expire_at(self) -> Option<UnixMillis> {
        let header = self.header();
        header
            .has(EXPIRES)
            .then(|| UnixMillis(self.word(Header::expiry_offset()).cast_signed()))
    }

    /// Tells whether the key is dead at `now`: it lives through the millisecond it expires at, as in
    /// Redis.
    #[must_use]
    pub fn is_dead(self, now: UnixMillis) -> bool {
        self.expire_at().is_some_and(|at| at < now)
    }

    /// Tells whether the key or a field of its hash is dead at `now`, and was not removed yet. O(1).
    #[inline]
    pub(crate) fn is_due(self, now: UnixMillis) -> bool {
        self.is_dead(now) || self.next_expiry().is_some_and(|at| at < now)
    }

    /// Returns when the first field of a hash dies, or died. O(1).
    #[inline]
    pub(crate) fn next_expiry(self) -> Option<UnixMillis> {
        self.apart()?.next_expiry()
    }

    /// Tells whether all fields of a hash are dead at `now`, so that the key does not exist for
    /// clients though it was not removed yet. O(1).
    pub(crate) fn is_emptied(self, now: UnixMillis) -> bool {
        match self.apart() {
            Some(Value::Hash(hash)) => hash.all_dead(now),
            Some(_) | None => false,
        }
    }

    /// Returns how many fields there are of a hash all of which are dead at `now`. O(1).
    pub(crate) fn stored_fields_of_dead(self, now: UnixMillis) -> Option<usize> {
        match self.apart() {
            Some(Value::Hash(hash)) if hash.all_dead(now) => Some(hash.stored_len()),
            Some(_) | None => None,
        }
    }

    /// Returns the type as the command TYPE names it.
    #[must_use]
    pub fn type_name(self) -> &'static str {
        self.kind().name()
    }

    /// Returns the encoding as OBJECT ENCODING of Redis 7.0 names it.
    #[must_use]
    pub fn encoding_name(self) -> &'static str {
        match self.value() {
            ValueRef::String(bytes) => string::encoding_name(bytes, self.origin()),
            ValueRef::Other(value) => value.encoding_name(),
        }
    }

    /// Returns how the bytes of a string came about.
    pub(crate) fn origin(self) -> Origin {
        self.header().origin()
    }

    /// Returns the seconds since the last access, under any policy but the LFU ones.
    #[must_use]
    pub fn idle_seconds(self, now: UnixMillis) -> u64 {
        access::idle_seconds(self.access(), now)
    }

    /// Returns the frequency counter (0 to 255) under an LFU policy; `decay_minutes` is
    /// `lfu-decay-time`.
    #[must_use]
    pub fn lfu_frequency(self, now: UnixMillis, decay_minutes: u32) -> u32 {
        access::decayed(self.access(), now, decay_minutes)
    }

    /// Returns the 24 bits of access information; `access` gives them meaning.
    pub(crate) fn access(self) -> u32 {
        self.header().access()
    }

    /// Returns the bytes allocated for key and value, the value apart included.
    #[must_use]
    pub fn bytes(self) -> usize {
        self.block_bytes() + self.apart().map_or(0, apart_bytes)
    }

    fn block_bytes(self) -> usize {
        let header = self.header();
        let value = if header.has(APART) {
            0
        } else {
            header.inline_value_len()
        };
        Heap::rounded(header.key_offset() + self.key_len() + value)
    }
}

impl Entry {
    /// Turns the entry into its address, below 2^48 and a multiple of 8, never 0. The address owns
    /// the entry from now on.
    pub(crate) fn into_address(self) -> u64 {
        let address = cast::u64_from(self.block.as_ptr().expose_provenance());
        assert!(address >> 48 == 0, "user space addresses have 47 bits");
        address
    }

    /// Turns an address back into the entry. Only for [`Heap::destroy`], or for as long as the owner
    /// of the address is borrowed exclusively: an entry is not freed by being dropped.
    ///
    /// # Safety
    ///
    /// The address came from [`Entry::into_address`], the entry was not destroyed since, and nothing
    /// else borrows it.
    #[inline]
    pub(crate) unsafe fn at(address: u64) -> Self {
        Self {
            block: pointer(address),
        }
    }

    pub(crate) fn as_ref(&self) -> EntryRef<'_> {
        EntryRef {
            block: self.block,
            owner: PhantomData,
        }
    }

    fn set_header(&mut self, header: Header) {
        // SAFETY: the block begins with its header and belongs to this entry alone.
        unsafe { self.block.cast::<u64>().write(header.0) };
    }

    /// Notes an access: 24 bits.
    pub(crate) fn set_access(&mut self, access: u32) {
        let header = self.as_ref().header();
        self.set_header(header.with_access(access));
    }

    /// Moves the expiry; false if the entry has no room for one and must be made anew.
    pub(crate) fn set_expire_at(&mut self, at: UnixMillis) -> bool {
        if !self.as_ref().header().has(EXPIRES) {
            return false;
        }
        // SAFETY: `EXPIRES` says that this word is there.
        let place = unsafe { self.block.add(Header::expiry_offset()) };
        // SAFETY: aligned, inside the block, and the entry is borrowed exclusively.
        unsafe { place.cast::<i64>().write(at.0) };
        true
    }

    /// Returns the bytes of a string that lies beside its key, to be changed without changing their
    /// number; and notes how they came about.
    pub(crate) fn inline_bytes_mut(&mut self, origin: Origin) -> Option<&mut [u8]> {
        let header = self.as_ref().header();
        if !header.is_string_beside() {
            return None;
        }
        self.set_header(header.with_origin(origin));
        Some(self.beside_mut(header))
    }

    /// Returns the bytes beside the key. Not for entries with a value apart.
    #[inline]
    fn beside_mut(&mut self, header: Header) -> &mut [u8] {
        let start = header.key_offset() + self.as_ref().key_len();
        // SAFETY: the header announces the value at this place.
        let start = unsafe { self.block.add(start) };
        // SAFETY: as above; `self` is borrowed exclusively for as long as the slice lives.
        unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), header.inline_value_len()) }
    }

    /// Tells whether the block has room for `len` bytes beside the key, and would not be made smaller
    /// by its allocator. Not for entries with a value apart.
    #[inline]
    fn fits_beside(&self, header: Header, len: usize) -> bool {
        let entry = self.as_ref();
        let start = header.key_offset() + entry.key_len();
        len == header.inline_value_len()
            || len <= INLINE_VALUE_BYTES_MAX && Heap::rounded(start + len) == entry.block_bytes()
    }

    /// Replaces a string that lies beside its key by `bytes`, if the block has the right size.
    /// Returns whether it did.
    pub(crate) fn replace_inline(&mut self, bytes: &[u8], origin: Origin) -> bool {
        let header = self.as_ref().header();
        if !header.is_string_beside() || !self.fits_beside(header, bytes.len()) {
            return false;
        }
        self.set_header(header.with_value_len(bytes.len()));
        let place = self
            .inline_bytes_mut(origin)
            .expect("the value lies beside its key");
        place.copy_from_slice(bytes);
        true
    }

    /// Replaces what lies beside the key by a packed value, if the block has the right size. Returns
    /// whether it did.
    pub(crate) fn replace_packed(&mut self, packed: Packed<'_>) -> bool {
        let header = self.as_ref().header();
        if header.has(APART) || !self.fits_beside(header, packed.bytes.len()) {
            return false;
        }
        let header = header
            .with_value_len(packed.bytes.len())
            .with_shape(Some(packed.shape));
        self.set_header(header);
        self.beside_mut(header).copy_from_slice(packed.bytes);
        true
    }

    /// Returns the value that lies apart, to be changed. The caller tells [`Heap::resized`].
    pub(crate) fn apart_mut(&mut self) -> Option<&mut Value> {
        let header = self.as_ref().header();
        if !header.has(APART) {
            return None;
        }
        // SAFETY: `APART` says that this word is there.
        let place = unsafe { self.block.add(header.apart_offset()) };
        // SAFETY: the word holds the pointer that `create` took out of a box.
        let mut value = unsafe { place.cast::<NonNull<Value>>().read() };
        // SAFETY: the entry owns that box and is borrowed exclusively.
        Some(unsafe { value.as_mut() })
    }

    /// Notes how the bytes of a string came about.
    pub(crate) fn set_origin(&mut self, origin: Origin) {
        let header = self.as_ref().header();
        self.set_header(header.with_origin(origin));
    }
}

/// Makes and destroys entries, and counts their bytes.
///
/// Dropping a heap frees the slabs with all small entries in them; the owner destroys its entries
/// before, as some have more.
#[derive(Debug, Default)]
pub(crate) struct Heap {
    bytes: usize,
    /// The part of `bytes` that lies in slabs.
    small_bytes: usize,
    blocks: Blocks,
    /// Also for what else the owner of the heap keeps in slabs.
    pub(crate) slabs: Slabs,
}

impl Heap {
    /// Returns the bytes of all entries that were made and not yet destroyed.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the bytes of the entries that lie in slabs.
    pub(crate) fn small_bytes(&self) -> usize {
        self.small_bytes
    }

    /// Notes that a value that lies apart took `before` bytes (see [`apart_bytes`]), now `after`.
    pub(crate) fn resized(&mut self, before: usize, after: usize) {
        self.bytes = self.bytes - before + after;
    }

    /// Returns the length of the block for `size` bytes of contents.
    fn rounded(size: usize) -> usize {
        if size <= BLOCK_BYTES_MAX {
            size.next_multiple_of(ALIGNMENT)
        } else {
            allocated_bytes(size)
        }
    }

    fn take_block(&mut self, size: usize) -> NonNull<u8> {
        if size <= BLOCK_BYTES_MAX {
            self.small_bytes += size;
            return self.blocks.take(&mut self.slabs, size);
        }
        let layout = Self::layout(size);
        // SAFETY: the layout is not empty.
        let block = unsafe { alloc(layout) };
        let Some(block) = NonNull::new(block) else {
            handle_alloc_error(layout)
        };
        block
    }

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, ALIGNMENT)
            .expect("keys and values are bounded far below 2^63")
    }

    /// Makes an entry.
    pub(crate) fn create(&mut self, new: NewEntry<'_>) -> Entry {
        let key_len = new.key.len();
        let (inline, shape, apart): (&[u8], _, _) = match new.value {
            NewValue::Inline(bytes) => (bytes, None, None),
            NewValue::Packed(packed) => (packed.bytes, Some(packed.shape), None),
            NewValue::Apart(value) => (&[], None, Some(value)),
        };
        assert!(
            inline.len() <= INLINE_VALUE_BYTES_MAX,
            "long values are kept apart"
        );
        let long_key = key_len > SHORT_KEY_BYTES_MAX;
        let header = Header(if long_key {
            0
        } else {
            cast::u64_from(key_len) << KEY_SHIFT
        })
        .with(EXPIRES, new.expire_at.is_some())
        .with(APART, apart.is_some())
        .with(LONG_KEY, long_key)
        .with_access(new.access)
        .with_origin(new.origin)
        .with_shape(shape)
        .with_value_len(inline.len());
        let start = header.key_offset();
        let size = Self::rounded(start + key_len + inline.len());
        self.bytes += size + apart.as_deref().map_or(0, apart_bytes);

        let block = self.take_block(size);
        write_word(block, 0, header.0);
        if let Some(at) = new.expire_at {
            write_word(block, Header::expiry_offset(), at.0.cast_unsigned());
        }
        if long_key {
            write_word(block, header.key_len_offset(), cast::u64_from(key_len));
        }
        write(block, start, new.key);
        write(block, start + key_len, inline);
        if let Some(value) = apart {
            // SAFETY: the header announces this word, so the block has room for it.
            let place = unsafe { block.add(header.apart_offset()) };
            // SAFETY: aligned to 8 and inside the block that nobody else knows yet.
            unsafe { place.cast::<*mut Value>().write(Box::into_raw(value)) };
        }
        Entry { block }
    }

    /// Makes an entry like `old` with another expiry. A value that lies apart moves to the new entry;
    /// `old` keeps an empty string and is still to be destroyed.
    pub(crate) fn recreate(&mut self, old: &mut Entry, expire_at: Option<UnixMillis>) -> Entry {
        let apart = old
            .apart_mut()
            .map(|value| Box::new(std::mem::replace(value, Value::String(Vec::new()))));
        if let Some(value) = &apart {
            self.resized(apart_bytes(value), apart_bytes(&Value::String(Vec::new())));
        }
        let entry = old.as_ref();
        let value = match (apart, entry.packed()) {
            (Some(value), _) => NewValue::Apart(value),
            (None, Some(packed)) => NewValue::Packed(packed),
            (None, None) => NewValue::Inline(entry.beside(entry.header())),
        };
        let (key, access, origin) = (entry.key(), entry.access(), entry.origin());
        self.create(NewEntry {
            key,
            value,
            expire_at,
            access,
            origin,
        })
    }

    /// Destroys an entry of this heap and returns the value that lay apart.
    pub(crate) fn destroy(&mut self, entry: Entry) -> Option<Box<Value>> {
        let (header, size) = (entry.as_ref().header(), entry.as_ref().block_bytes());
        self.bytes -= entry.as_ref().bytes();
        let apart = header.has(APART).then(|| {
            // SAFETY: `APART` says that this word is there.
            let place = unsafe { entry.block.add(header.apart_offset()) };
            // SAFETY: the word holds the pointer that `create` took out of a box.
            let value = unsafe { place.cast::<*mut Value>().read() };
            // SAFETY: the entry owned it, and is gone after this function.
            unsafe { Box::from_raw(value) }
        });
        if size <= BLOCK_BYTES_MAX {
            self.small_bytes -= size;
            self.blocks.give(&mut self.slabs, entry.block);
        } else {
            // SAFETY: `create` allocated the block with this layout: the size follows from the
            // header, and changes in place keep it.
            unsafe { dealloc(entry.block.as_ptr(), Self::layout(size)) };
        }
        apart
    }
}

/// Compares two slices of equal length. Keys are short: up to 32 bytes cost two comparisons and no call.
#[inline]
fn same(one: &[u8], other: &[u8]) -> bool {
    fn ends<const N: usize>(bytes: &[u8]) -> Option<(&[u8; N], &[u8; N])> {
        Some((bytes.first_chunk()?, bytes.last_chunk()?))
    }
    match one.len() {
        8..=16 => ends::<8>(one) == ends::<8>(other),
        17..=32 => ends::<16>(one) == ends::<16>(other),
        _ => one == other,
    }
}

#[inline]
fn pointer(address: u64) -> NonNull<u8> {
    let pointer = std::ptr::with_exposed_provenance_mut(cast::usize_from(address));
    NonNull::new(pointer).expect("no entry lies at address 0")
}

/// Returns the bytes allocated for a value that lies apart.
pub(crate) fn apart_bytes(value: &Value) -> usize {
    allocated_bytes(size_of::<Value>()) + value.allocated_bytes(allocated_bytes)
}

/// Returns the bytes that a packed value needs in one block with its key.
pub(crate) fn packed_block_bytes(packed: Packed<'_>, key_len: usize, expires: bool) -> usize {
    let words = 1 + usize::from(expires) + usize::from(key_len > SHORT_KEY_BYTES_MAX);
    words * WORD_BYTES + key_len + packed.bytes.len()
}

/// Copies `bytes` into a block that is being made; the caller has computed its length from the same
/// parts.
fn write(block: NonNull<u8>, offset: usize, bytes: &[u8]) {
    // SAFETY: `create` sums up the lengths of all parts before it allocates.
    let place = unsafe { block.add(offset) };
    // SAFETY: as above; the block is new, so it cannot overlap with `bytes`.
    unsafe {
        place
            .as_ptr()
            .copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
    }
}

/// As [`write`], for one of the words before the key.
fn write_word(block: NonNull<u8>, offset: usize, word: u64) {
    // SAFETY: `create` sums up the lengths of all parts before it allocates.
    let place = unsafe { block.add(offset) };
    // SAFETY: words are at multiples of 8 in a block aligned to 8.
    unsafe { place.cast::<u64>().write(word) };
}
