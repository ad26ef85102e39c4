//! What an allocation costs: the ledger counts bytes as the allocator hands them out.
//!
//! Not here: sums (`shard::memory`), measuring the process (`runtime::memory`).

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
