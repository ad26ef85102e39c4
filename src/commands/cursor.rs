//! The cursor of SCAN over several shards.
//!
//! On the wire it is one number: the shard-local cursor above ten bits that name the shard, and 0 is
//! both the start and the end. A walk goes over the shards in order: when one is done, the next
//! begins at its local cursor 0. Shard-local cursors have at most 53 bits, so that the whole fits
//! 63 bits and survives clients that keep it in a signed integer.
//!
//! Handlers see local cursors only; the coordinator packs and unpacks.

use base::ids::ShardId;
use base::limits::SHARDS_MAX;

use crate::spec::CommandError;

/// Bits that name the shard.
const SHARD_BITS: u32 = 10;

/// Bits of a shard-local cursor.
const LOCAL_BITS: u32 = 53;

/// Largest shard-local cursor.
pub const LOCAL_MAX: u64 = (1 << LOCAL_BITS) - 1;

const _: () = assert!(
    1 << SHARD_BITS >= SHARDS_MAX,
    "every shard must fit its bits"
);
const _: () = assert!(
    SHARD_BITS + LOCAL_BITS < 64,
    "a cursor must fit a signed integer"
);

/// Packs a place in a walk for the wire. `local` has at most 53 bits.
#[must_use]
pub fn pack(shard: ShardId, local: u64) -> u64 {
    debug_assert!(local <= LOCAL_MAX, "shard-local cursors are bounded");
    (local << SHARD_BITS) | u64::from(shard.0)
}

/// Takes a wire cursor apart into the shard and its local cursor.
///
/// Clients may send any number: a shard that is none of `shard_count` starts over at shard 0, as
/// Redis accepts every cursor and then walks on from somewhere.
#[must_use]
pub fn unpack(cursor: u64, shard_count: u16) -> (ShardId, u64) {
    let index = u16::try_from(cursor & ((1 << SHARD_BITS) - 1)).unwrap_or_default();
    let local = (cursor >> SHARD_BITS) & LOCAL_MAX;
    if index < shard_count {
        (ShardId(index), local)
    } else {
        (ShardId(0), 0)
    }
}

/// Returns the wire cursor of the step after one that ran on `shard` and ended with the local cursor
/// `local`: the same shard while it is not done, then the start of the next, and 0 after the last.
#[must_use]
pub fn next_shard(shard: ShardId, local: u64, shard_count: u16) -> u64 {
    if local != 0 {
        return pack(shard, local);
    }
    let next = shard.0.saturating_add(1);
    if next < shard_count {
        pack(ShardId(next), 0)
    } else {
        0
    }
}

/// Reads a cursor word, accepting what Redis accepts: an optional sign and decimal digits, or nothing
/// at all for 0. A negative number counts down from 2^64.
///
/// # Errors
///
/// A text if the word is something else or has more than 64 bits.
pub fn parse(word: &[u8]) -> Result<u64, CommandError> {
    const INVALID: CommandError = CommandError::Text("ERR invalid cursor");
    let (negative, digits) = match word {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, word),
    };
    // A sign alone is not a number, while the empty word reads as 0.
    if digits.is_empty() && !word.is_empty() {
        return Err(INVALID);
    }
    let mut value = 0_u64;
    for &byte in digits {
        if !byte.is_ascii_digit() {
            return Err(INVALID);
        }
        value = value
            .checked_mul(10)
            .and_then(|value| value.checked_add(u64::from(byte - b'0')))
            .ok_or(INVALID)?;
    }
    Ok(if negative {
        value.wrapping_neg()
    } else {
        value
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursor_survives_packing() {
        for shard in [0, 1, 7, 1023] {
            for local in [0, 1, 12_345, LOCAL_MAX] {
                assert_eq!(
                    unpack(pack(ShardId(shard), local), 1024),
                    (ShardId(shard), local)
                );
            }
        }
    }

    #[test]
    fn walk_goes_over_all_shards_and_ends_with_zero() {
        assert_eq!(next_shard(ShardId(0), 5, 2), pack(ShardId(0), 5));
        assert_eq!(next_shard(ShardId(0), 0, 2), pack(ShardId(1), 0));
        assert_eq!(next_shard(ShardId(1), 0, 2), 0);
        assert_eq!(next_shard(ShardId(0), 0, 1), 0);
    }

    #[test]
    fn cursor_of_an_unknown_shard_starts_over() {
        assert_eq!(unpack(pack(ShardId(5), 77), 4), (ShardId(0), 0));
        assert_eq!(unpack(u64::MAX, 4), (ShardId(0), 0));
    }

    #[test]
    fn cursor_word_is_read_as_redis_reads_it() {
        assert_eq!(parse(b""), Ok(0));
        assert_eq!(parse(b"+12"), Ok(12));
        assert_eq!(parse(b"-1"), Ok(u64::MAX));
        assert_eq!(parse(b"18446744073709551615"), Ok(u64::MAX));
        for word in [&b"x"[..], b" 0", b"0 ", b"18446744073709551616", b"0x0"] {
            assert!(parse(word).is_err(), "{word:?}");
        }
    }
}
