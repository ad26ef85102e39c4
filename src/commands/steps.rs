//! How long a reply is when it is made in steps, and how much a step makes.
//!
//! Not here: what is made ([`crate::long_reply`]).

/// A string from this length on is shared with its reply.
pub(crate) const LONG_STRING_BYTES_MIN: usize = 256 * 1024;

/// A walk shows at least this many elements, or about [`LONG_WALK_BYTES_MIN`].
pub(crate) const LONG_WALK_ELEMENTS_MIN: usize = 16 * 1024;

/// See [`LONG_WALK_ELEMENTS_MIN`].
const LONG_WALK_BYTES_MIN: usize = 1024 * 1024;

/// Bytes after which a step of a walk ends.
pub(crate) const WALK_STEP_BYTES: usize = 64 * 1024;

/// Elements that a step of a walk shows: some tens of microseconds.
pub(crate) const WALK_STEP_ELEMENTS: usize = 512;

/// What is shown of each pair of a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    Pairs,
    Fields,
    Values,
}

/// Returns whether a reply of `count` of the `len` elements of a value is long. O(1).
#[inline]
pub(crate) fn is_long(count: usize, len: usize, value_bytes: usize) -> bool {
    count >= LONG_WALK_ELEMENTS_MIN
        || value_bytes >= LONG_WALK_BYTES_MIN
            && value_bytes / len.max(1) * count >= LONG_WALK_BYTES_MIN
}
