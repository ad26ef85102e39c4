//! Where a key belongs: its cluster slot and its place in a dict; and maps with repeatable order.

use std::collections::{hash_map, hash_set};
use std::hash::{BuildHasher, Hasher};

use crate::ids::SlotId;
use crate::limits::SLOT_COUNT;

/// A hash map whose order repeats from run to run, for everything that is not the keyspace.
#[expect(
    clippy::disallowed_types,
    reason = "this is the replacement, with a fixed seed"
)]
pub type Map<K, V> = hash_map::HashMap<K, V, FixedState>;

/// A hash set whose order repeats from run to run.
#[expect(
    clippy::disallowed_types,
    reason = "this is the replacement, with a fixed seed"
)]
pub type Set<K> = hash_set::HashSet<K, FixedState>;

/// Builds hashers with one fixed seed. Not for keys that clients choose in bulk: use [`KeyHasher`].
#[derive(Clone, Copy, Debug, Default)]
pub struct FixedState;

impl BuildHasher for FixedState {
    type Hasher = ahash::AHasher;

    fn build_hasher(&self) -> Self::Hasher {
        ahash::RandomState::with_seeds(1, 2, 3, 4).build_hasher()
    }
}

/// Hashes keys for dicts and lock tables. All shards of a node share one seed, so that a hash may
/// travel with its key from core to core.
#[derive(Clone, Debug)]
pub struct KeyHasher {
    state: ahash::RandomState,
}

impl KeyHasher {
    /// Creates a hasher from 128 bits that clients cannot guess.
    #[must_use]
    pub fn new(seed: (u64, u64)) -> Self {
        Self {
            state: ahash::RandomState::with_seeds(seed.0, seed.1, !seed.0, !seed.1),
        }
    }

    /// Returns the hash of `key`; all 64 bits are usable.
    #[inline]
    #[must_use]
    pub fn hash(&self, key: &[u8]) -> u64 {
        let mut hasher = self.state.build_hasher();
        hasher.write(key);
        hasher.finish()
    }
}

/// Returns the cluster slot of `key`: CRC16 (XMODEM) modulo 16384 of its hash tag.
///
/// Source: the Redis Cluster specification, "Keys distribution model" and "Hash tags".
#[must_use]
pub fn key_slot(key: &[u8]) -> SlotId {
    SlotId(crc16(hash_tag(key)) % SLOT_COUNT)
}

/// Returns the part of `key` that decides its slot: what stands between the first `{` and the next
/// `}` if that is not empty, else all of it.
#[must_use]
pub fn hash_tag(key: &[u8]) -> &[u8] {
    let Some(open) = key.iter().position(|&byte| byte == b'{') else {
        return key;
    };
    let rest = &key[open + 1..];
    match rest.iter().position(|&byte| byte == b'}') {
        Some(close) if close > 0 => &rest[..close],
        Some(_) | None => key,
    }
}

const CRC16_POLYNOMIAL: u16 = 0x1021;

/// `CRC16_TABLES[k][b]` is the checksum of byte `b` followed by `k` zero bytes, so that eight bytes
/// are eight independent look-ups.
static CRC16_TABLES: [[u16; 256]; 8] = crc16_tables();

const fn crc16_tables() -> [[u16; 256]; 8] {
    let mut tables = [[0_u16; 256]; 8];
    let mut byte = 0_u16;
    while byte < 256 {
        let mut crc = byte << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 {
                crc << 1
            } else {
                (crc << 1) ^ CRC16_POLYNOMIAL
            };
            bit += 1;
        }
        tables[0][byte as usize] = crc;
        byte += 1;
    }
    let mut zeros = 1;
    while zeros < 8 {
        let mut byte = 0;
        while byte < 256 {
            let crc = tables[zeros - 1][byte];
            tables[zeros][byte] = (crc << 8) ^ tables[0][(crc >> 8) as usize];
            byte += 1;
        }
        zeros += 1;
    }
    tables
}

fn crc16(bytes: &[u8]) -> u16 {
    let tables = &CRC16_TABLES;
    let at = |table: usize, byte: u8| tables[table][usize::from(byte)];
    let (chunks, rest) = bytes.as_chunks::<8>();
    let mut crc = 0_u16;
    for &[a, b, c, d, e, f, g, h] in chunks {
        let [high, low] = crc.to_be_bytes();
        crc = at(7, a ^ high)
            ^ at(6, b ^ low)
            ^ at(5, c)
            ^ at(4, d)
            ^ at(3, e)
            ^ at(2, f)
            ^ at(1, g)
            ^ at(0, h);
    }
    rest.iter().fold(crc, |crc, &byte| {
        let [high, _] = crc.to_be_bytes();
        (crc << 8) ^ at(0, high ^ byte)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc16_matches_the_specification_check_value() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
        let bytes: Vec<u8> = (0..=255).collect();
        for len in 0..bytes.len() {
            let bitwise = bytes[..len].iter().fold(0_u16, |crc, &byte| {
                (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| {
                    if crc & 0x8000 == 0 {
                        crc << 1
                    } else {
                        (crc << 1) ^ CRC16_POLYNOMIAL
                    }
                })
            });
            assert_eq!(crc16(&bytes[..len]), bitwise, "{len} bytes");
        }
    }

    #[test]
    fn slot_follows_the_hash_tag_only_if_it_is_not_empty() {
        assert_eq!(
            key_slot(b"{user1000}.following"),
            key_slot(b"{user1000}.followers")
        );
        assert_eq!(hash_tag(b"foo{}{bar}"), b"foo{}{bar}");
        assert_eq!(hash_tag(b"foo{{bar}}zap"), b"{bar");
        assert_eq!(hash_tag(b"foo{bar}{zap}"), b"bar");
        assert_eq!(key_slot(b"foo"), SlotId(12182));
    }
}
