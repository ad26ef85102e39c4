//! Digests of values, equal for equal contents whatever the encoding or the place.
//!
//! A digest is 20 bytes and built from SHA-1 as Redis's `DEBUG DIGEST-VALUE` builds it, so that data
//! can be compared with a Redis server's. Digests of keys are joined by XOR, so that the order of
//! keys, and their spread over shards, do not matter.
//!
//! Source: FIPS 180-4 for SHA-1; the composition was checked against redis-server 7.0.15.
//!
//! SHA-1 serves as a checksum here, never for security.

use std::fmt::Write as _;

/// A digest under construction; starts as zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest(pub [u8; 20]);

impl Digest {
    /// Adds a part whose order does not matter.
    pub fn add_unordered(&mut self, part: &[u8]) {
        self.join(Self(sha1(part)));
    }

    /// Adds a part whose place in the order matters.
    pub fn add_ordered(&mut self, part: &[u8]) {
        self.add_unordered(part);
        self.0 = sha1(&self.0);
    }

    /// Joins a finished digest, in any order.
    pub fn join(&mut self, other: Self) {
        for (own, others) in self.0.iter_mut().zip(other.0) {
            *own ^= others;
        }
    }

    /// Returns the digest as 40 lower-case hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> String {
        self.0.iter().fold(String::with_capacity(40), |mut text, byte| {
            write!(text, "{byte:02x}").expect("writing to a string cannot fail");
            text
        })
    }
}

/// Returns the SHA-1 of `bytes`.
#[must_use]
pub fn sha1(bytes: &[u8]) -> [u8; 20] {
    let mut state = [0x6745_2301_u32, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0];
    let mut chunks = bytes.chunks_exact(64);
    for chunk in &mut chunks {
        absorb(&mut state, chunk);
    }
    // The tail: a one bit, zeros, and the length in bits, filling one or two blocks.
    let rest = chunks.remainder();
    let mut tail = [0_u8; 128];
    tail[..rest.len()].copy_from_slice(rest);
    tail[rest.len()] = 0x80;
    let end = if rest.len() < 56 { 64 } else { 128 };
    let bits = base::cast::u64_from(bytes.len()).wrapping_mul(8);
    tail[end - 8..end].copy_from_slice(&bits.to_be_bytes());
    for chunk in tail[..end].chunks_exact(64) {
        absorb(&mut state, chunk);
    }
    let mut digest = [0_u8; 20];
    for (out, word) in digest.chunks_exact_mut(4).zip(state) {
        out.copy_from_slice(&word.to_be_bytes());
    }
    digest
}

/// Takes in one block of 64 bytes.
fn absorb(state: &mut [u32; 5], block: &[u8]) {
    let mut words = [0_u32; 80];
    for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
        *word = bytes.iter().fold(0, |word, &byte| (word << 8) | u32::from(byte));
    }
    for index in 16..80 {
        let mixed = words[index - 3] ^ words[index - 8] ^ words[index - 14] ^ words[index - 16];
        words[index] = mixed.rotate_left(1);
    }
    let [mut a, mut b, mut c, mut d, mut e] = *state;
    for (index, word) in words.iter().enumerate() {
        let (choice, constant) = match index {
            0..20 => ((b & c) | (!b & d), 0x5A82_7999_u32),
            20..40 => (b ^ c ^ d, 0x6ED9_EBA1),
            40..60 => ((b & c) | (b & d) | (c & d), 0x8F1B_BCDC),
            _ => (b ^ c ^ d, 0xCA62_C1D6),
        };
        let next = a
            .rotate_left(5)
            .wrapping_add(choice)
            .wrapping_add(e)
            .wrapping_add(constant)
            .wrapping_add(*word);
        (a, b, c, d, e) = (next, a, b.rotate_left(30), c, d);
    }
    for (own, value) in state.iter_mut().zip([a, b, c, d, e]) {
        *own = own.wrapping_add(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha1_matches_published_examples() {
        let hex = |bytes: &[u8]| Digest(sha1(bytes)).hex();
        assert_eq!(hex(b""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
        assert_eq!(hex(b"abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(
            hex(b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "84983e441c3bd26ebaae4aa1f95129e5e54670f1"
        );
        assert_eq!(hex(&[b'a'; 1_000_000]), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
    }

    #[test]
    fn unordered_parts_commute_and_ordered_ones_do_not() {
        let digest = |parts: [&[u8]; 2], ordered: bool| {
            let mut digest = Digest::default();
            for part in parts {
                if ordered { digest.add_ordered(part) } else { digest.add_unordered(part) }
            }
            digest
        };
        assert_eq!(digest([b"a", b"b"], false), digest([b"b", b"a"], false));
        assert_ne!(digest([b"a", b"b"], true), digest([b"b", b"a"], true));
    }
}
