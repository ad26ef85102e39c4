//! What the shard's data costs in memory, counted and not estimated.
//!
//! Every allocation of a dict is added when made and taken off when released, at the size the
//! allocator really hands out, so the sum can be compared with the resident size of the process.
//!
//! Not here: memory of connections and of the runtime; budgets, which the node sets over all shards.

/// Bytes that the data of a shard, or of one database, holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Keys, dead ones that were not met yet included.
    pub keys: usize,
    /// Keys that carry an expiry.
    pub expires: usize,
    /// Bytes of entries: header, key and value, whether the value is inside or apart.
    pub entry_bytes: usize,
    /// Bytes of the hash tables.
    pub dict_bytes: usize,
    /// Bytes taken for entries and tables, but holding none at the moment.
    pub unused_bytes: usize,
}

impl Ledger {
    /// Returns all bytes together.
    #[must_use]
    pub fn total_bytes(&self) -> usize {
        self.entry_bytes + self.dict_bytes + self.unused_bytes
    }

    /// Adds the figures of `other`.
    pub fn add(&mut self, other: &Self) {
        self.keys += other.keys;
        self.expires += other.expires;
        self.entry_bytes += other.entry_bytes;
        self.dict_bytes += other.dict_bytes;
        self.unused_bytes += other.unused_bytes;
    }
}

/// Sizes up to this are multiples of 16; above there are four sizes per doubling.
const FINE_BYTES_MAX: usize = 64;

/// Largest block that mimalloc serves from shared pages.
const SHARED_BYTES_MAX: usize = 512 * 1024;

/// Larger blocks are rounded to pages of the operating system.
const PAGE_BYTES: usize = 4096;

/// Returns the bytes mimalloc takes for a request of `size` bytes.
///
/// Source: the size classes of mimalloc 2 and 3 on 64-bit machines: multiples of 16 bytes up to 64,
/// then 80, 96, 112, 128, 160 and so on, four per doubling, then whole pages.
#[must_use]
pub fn allocated_bytes(size: usize) -> usize {
    match size {
        0 => 0,
        1..=8 => 8,
        9..=FINE_BYTES_MAX => size.next_multiple_of(16),
        _ if size <= SHARED_BYTES_MAX => {
            let step = (size - 1).ilog2() - 2;
            size.next_multiple_of(1 << step)
        }
        _ => size.next_multiple_of(PAGE_BYTES),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_the_classes_of_mimalloc() {
        let cases = [
            (0, 0),
            (1, 8),
            (9, 16),
            (17, 32),
            (37, 48),
            (64, 64),
            (65, 80),
            (81, 96),
            (128, 128),
            (129, 160),
            (1024, 1024),
            (1025, 1280),
            (4096, 4096),
            (4097, 5120),
            (600_000, 602_112),
        ];
        for (size, class) in cases {
            assert_eq!(allocated_bytes(size), class, "request of {size} bytes");
        }
    }
}
