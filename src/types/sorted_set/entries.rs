//! The members of a large sorted set with their scores, numbered from 0 without gaps.
//!
//! They lie in arrays of [`CHUNK_LEN`], so that growing moves none of them but while there is only
//! one array. When one is removed the last takes its number.
//!
//! Invariants
//! - All arrays but the last are full.
//! - `bytes` is the sum over all allocations, members included.

use base::cast;

use crate::memory::allocated_bytes;
use crate::table::Keys;

/// Entries of an array.
const CHUNK_LEN: usize = 1024;
/// Entries of the first array when it is made.
const FIRST_LEN: usize = 32;

#[derive(Clone, Debug)]
struct Entry {
    score: f64,
    member: Box<[u8]>,
}

/// See the head of the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Entries {
    chunks: Vec<Vec<Entry>>,
    bytes: usize,
}

impl Entries {
    pub(super) fn len(&self) -> usize {
        match self.chunks.split_last() {
            Some((last, full)) => full.len() * CHUNK_LEN + last.len(),
            None => 0,
        }
    }

    /// Returns the bytes of all allocations.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + allocated_bytes(self.chunks.capacity() * size_of::<Vec<Entry>>())
    }

    fn entry(&self, id: u32) -> &Entry {
        let index = cast::usize_from_u32(id);
        &self.chunks[index / CHUNK_LEN][index % CHUNK_LEN]
    }

    #[inline]
    pub(super) fn member(&self, id: u32) -> &[u8] {
        &self.entry(id).member
    }

    #[inline]
    pub(super) fn score(&self, id: u32) -> f64 {
        self.entry(id).score
    }

    pub(super) fn set_score(&mut self, id: u32, score: f64) {
        let index = cast::usize_from_u32(id);
        self.chunks[index / CHUNK_LEN][index % CHUNK_LEN].score = score;
    }

    /// Adds an entry and returns its number.
    ///
    /// # Panics
    ///
    /// Above 2^32 entries, some 200 GiB of them.
    pub(super) fn push(&mut self, member: &[u8], score: f64) -> u32 {
        let id = cast::u32_from(self.len());
        if self.chunks.last().is_none_or(|it| it.len() == CHUNK_LEN) {
            let capacity = if self.chunks.is_empty() {
                FIRST_LEN
            } else {
                CHUNK_LEN
            };
            let count = self.chunks.len();
            if count == self.chunks.capacity() {
                self.chunks.reserve_exact(1 + count / 8);
            }
            self.chunks.push(Vec::with_capacity(capacity));
            self.bytes += chunk_bytes(capacity);
        }
        let Some(chunk) = self.chunks.last_mut() else {
            return id;
        };
        if chunk.len() == chunk.capacity() {
            self.bytes -= chunk_bytes(chunk.capacity());
            let grown = (chunk.len() + chunk.len() / 4).min(CHUNK_LEN);
            chunk.reserve_exact(grown - chunk.len());
            self.bytes += chunk_bytes(chunk.capacity());
        }
        self.bytes += allocated_bytes(member.len());
        let member = member.into();
        chunk.push(Entry { score, member });
        id
    }

    /// Removes the last entry.
    pub(super) fn pop(&mut self) {
        let Some(chunk) = self.chunks.last_mut() else {
            return;
        };
        if let Some(entry) = chunk.pop() {
            self.bytes -= allocated_bytes(entry.member.len());
        }
        if chunk.is_empty() {
            self.bytes -= chunk_bytes(chunk.capacity());
            self.chunks.pop();
            if self.chunks.capacity() > 2 + self.chunks.len() + self.chunks.len() / 4 {
                self.chunks
                    .shrink_to(self.chunks.len() + self.chunks.len() / 8);
            }
        }
    }

    /// Exchanges the numbers of two entries.
    pub(super) fn swap(&mut self, one: u32, other: u32) {
        let (low, high) = (one.min(other), one.max(other));
        let (low, high) = (cast::usize_from_u32(low), cast::usize_from_u32(high));
        let (low_chunk, high_chunk) = (low / CHUNK_LEN, high / CHUNK_LEN);
        if low_chunk == high_chunk {
            self.chunks[low_chunk].swap(low % CHUNK_LEN, high % CHUNK_LEN);
        } else {
            let (left, right) = self.chunks.split_at_mut(high_chunk);
            let left = &mut left[low_chunk][low % CHUNK_LEN];
            std::mem::swap(left, &mut right[0][high % CHUNK_LEN]);
        }
    }

    /// Removes up to `count` entries from the end. Returns whether there are more.
    pub(super) fn free_step(&mut self, count: usize) -> bool {
        for _ in 0..count.min(self.len()) {
            self.pop();
        }
        !self.chunks.is_empty()
    }
}

fn chunk_bytes(capacity: usize) -> usize {
    allocated_bytes(capacity * size_of::<Entry>())
}

impl Keys<u32> for Entries {
    fn key<'a>(&'a self, element: &'a u32) -> &'a [u8] {
        self.member(*element)
    }

    fn heap_bytes(&self, _: &u32) -> usize {
        // Entries count their own.
        0
    }
}
