//! Integer conversions that lose nothing, or say that they would.

/// Converts a length to `u64`. Lossless on every platform we build for.
#[must_use]
pub const fn u64_from(len: usize) -> u64 {
    // usize is at most 64 bits wide.
    len as u64
}

/// Converts a length to `i64`.
///
/// # Panics
///
/// If `len` exceeds `i64::MAX`, which no length in memory can.
#[must_use]
pub fn i64_from(len: usize) -> i64 {
    i64::try_from(len).expect("a length in memory is below 2^63")
}

/// Converts a length to `u32`.
///
/// # Panics
///
/// If `len` is above `u32::MAX`; callers have bounded it before.
#[must_use]
pub fn u32_from(len: usize) -> u32 {
    u32::try_from(len).expect("the caller has bounded this length to 32 bits")
}

/// Converts a `u64` that is known to be a length in memory.
///
/// # Panics
///
/// If the value does not fit, on platforms narrower than 64 bits.
#[must_use]
pub fn usize_from(value: u64) -> usize {
    usize::try_from(value).expect("this program runs on 64-bit platforms")
}

/// Converts a `u32` to a length. Lossless on every platform we build for.
#[must_use]
pub const fn usize_from_u32(value: u32) -> usize {
    // usize is at least 32 bits wide.
    value as usize
}
