//! Bitmaps: strings seen as rows of bits.
//!
//! Bit 0 is the highest bit of byte 0, bit 7 its lowest, bit 8 the highest of byte 1. A string goes on
//! with zero bits behind its end. Long rows are worked on by words of 64 bits, or by loops the
//! compiler turns into vector instructions.
//!
//! Not here: fields of several bits (`bitfield`), growing and storing strings (`shard`), what clients
//! may ask for (`commands`).

use std::ops::RangeInclusive;

use base::cast::{u64_from, usize_from};

const BYTE_BITS: u64 = 8;
const WORD_BYTES: usize = 8;

/// How two rows of bits become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A bit is set if it is set in both.
    And,
    /// A bit is set if it is set in one or both.
    Or,
    /// A bit is set if it is set in exactly one.
    Xor,
}

/// Returns the bit at `offset`. O(1).
#[must_use]
pub fn bit(bytes: &[u8], offset: u64) -> bool {
    byte_at(bytes, offset).is_some_and(|byte| byte & mask(offset) != 0)
}

/// Sets the bit at `offset` and returns what it was. O(1).
///
/// # Panics
///
/// If the bit lies behind the end: the caller has made the string long enough.
pub fn set_bit(bytes: &mut [u8], offset: u64, on: bool) -> bool {
    let byte = &mut bytes[usize_from(offset / BYTE_BITS)];
    let was = *byte & mask(offset) != 0;
    if on {
        *byte |= mask(offset);
    } else {
        *byte &= !mask(offset);
    }
    was
}

/// Returns how many bits are set. O(bytes).
#[must_use]
pub fn count(bytes: &[u8]) -> u64 {
    let words = bytes.chunks_exact(WORD_BYTES);
    let tail: u64 = words
        .remainder()
        .iter()
        .map(|byte| u64::from(byte.count_ones()))
        .sum();
    let words: u64 = words
        .map(|word| u64::from(word_of(word).count_ones()))
        .sum();
    words + tail
}

/// Returns how many of the bits in `range` are set. Bits behind the end are not. O(bytes).
#[must_use]
pub fn count_in(bytes: &[u8], range: RangeInclusive<u64>) -> u64 {
    let Some((first, last)) = bounds(bytes, &range) else {
        return 0;
    };
    let (first_byte, last_byte) = (first / BYTE_BITS, last / BYTE_BITS);
    let whole = &bytes[usize_from(first_byte)..=usize_from(last_byte)];
    let before = byte_at(bytes, first).map_or(0, |byte| byte & !from(first));
    let behind = byte_at(bytes, last).map_or(0, |byte| byte & !up_to(last));
    count(whole) - u64::from(before.count_ones()) - u64::from(behind.count_ones())
}

/// Returns the first bit in `range` that is `wanted`; `None` if there is none before the end of the
/// string. O(bytes).
#[must_use]
pub fn find(bytes: &[u8], wanted: bool, range: RangeInclusive<u64>) -> Option<u64> {
    let (first, last) = bounds(bytes, &range)?;
    // Looking for a cleared bit is looking for a set one in the inverse.
    let flip = if wanted { 0 } else { 0xFF };
    let (first_byte, last_byte) = (first / BYTE_BITS, last / BYTE_BITS);
    let begin = (byte_at(bytes, first)? ^ flip) & from(first);
    if begin != 0 || first_byte == last_byte {
        let found = first_byte * BYTE_BITS + u64::from(begin.leading_zeros());
        return (begin != 0 && found <= last).then_some(found);
    }
    let middle = &bytes[usize_from(first_byte) + 1..=usize_from(last_byte)];
    let at = position_other_than(middle, flip)?;
    let found = (first_byte + 1 + u64_from(at)) * BYTE_BITS
        + u64::from((middle[at] ^ flip).leading_zeros());
    (found <= last).then_some(found)
}

/// Returns where the first byte is that differs from `byte`. O(bytes), by words.
fn position_other_than(bytes: &[u8], byte: u8) -> Option<usize> {
    let pattern = u64::from_le_bytes([byte; WORD_BYTES]);
    let skipped = bytes
        .chunks_exact(WORD_BYTES)
        .take_while(|word| word_of(word) == pattern)
        .count()
        * WORD_BYTES;
    let rest = &bytes[skipped..];
    Some(skipped + rest.iter().position(|&other| other != byte)?)
}

/// Combines `target` with `operand`, into `target`; the shorter one goes on with zeros, so that the
/// result is as long as the longer one. O(bytes of both).
pub fn combine(target: &mut Vec<u8>, operand: &[u8], operation: Operation) {
    if target.len() < operand.len() {
        target.resize(operand.len(), 0);
    }
    let (common, beyond) = target.split_at_mut(operand.len());
    let pairs = common.iter_mut().zip(operand);
    match operation {
        Operation::And => {
            pairs.for_each(|(byte, other)| *byte &= other);
            beyond.fill(0);
        }
        Operation::Or => pairs.for_each(|(byte, other)| *byte |= other),
        Operation::Xor => pairs.for_each(|(byte, other)| *byte ^= other),
    }
}

/// Inverts every bit. O(bytes).
pub fn invert(bytes: &mut [u8]) {
    bytes.iter_mut().for_each(|byte| *byte = !*byte);
}

/// Returns the part of a range of bits that lies before the end of the string.
fn bounds(bytes: &[u8], range: &RangeInclusive<u64>) -> Option<(u64, u64)> {
    let last_bit = (u64_from(bytes.len()) * BYTE_BITS).checked_sub(1)?;
    let (first, last) = (*range.start(), (*range.end()).min(last_bit));
    (first <= last).then_some((first, last))
}

fn byte_at(bytes: &[u8], offset: u64) -> Option<u8> {
    bytes.get(usize_from(offset / BYTE_BITS)).copied()
}

/// The bit at `offset` in its byte.
fn mask(offset: u64) -> u8 {
    0x80 >> (offset % BYTE_BITS)
}

/// The bits of a byte from that at `offset` on.
fn from(offset: u64) -> u8 {
    0xFF >> (offset % BYTE_BITS)
}

/// The bits of a byte up to that at `offset`, inclusive.
fn up_to(offset: u64) -> u8 {
    0xFF << (BYTE_BITS - 1 - offset % BYTE_BITS)
}

fn word_of(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().expect("a chunk has the length of a word"))
}

#[cfg(test)]
mod tests {
    use base::random::Random;

    use super::*;

    fn seed() -> u64 {
        let seed = std::env::var("SEED").map_or(1, |text| text.parse().unwrap());
        eprintln!("SEED={seed}");
        seed
    }

    /// Returns up to `len_max` bytes, often with long runs of equal ones.
    fn row(random: &mut Random, len_max: usize) -> Vec<u8> {
        let len = random.index(len_max + 1);
        let mut bytes = vec![[0, 0xFF][random.index(2)]; len];
        if len > 0 {
            for _ in 0..random.index(4) {
                bytes[random.index(len)] = random.next_u64().to_le_bytes()[0];
            }
        }
        bytes
    }

    /// The naive model: one `bool` for each bit.
    fn bits(bytes: &[u8]) -> Vec<bool> {
        bytes
            .iter()
            .flat_map(|byte| (0..8).map(move |at| byte >> (7 - at) & 1 == 1))
            .collect()
    }

    #[test]
    fn counting_and_finding_agree_with_a_list_of_bits() {
        let mut random = Random::new(seed());
        for _ in 0..5_000 {
            let bytes = row(&mut random, 60);
            let model = bits(&bytes);
            let (first, last) = (random.below(500), random.below(500));
            let inside = |at: &usize| (first..=last).contains(&u64_from(*at));
            let ones = (0..model.len()).filter(|at| inside(at) && model[*at]);
            let range = first..=last;
            assert_eq!(count_in(&bytes, range.clone()), u64_from(ones.count()));
            for wanted in [false, true] {
                let found = (0..model.len()).find(|at| inside(at) && model[*at] == wanted);
                assert_eq!(
                    find(&bytes, wanted, range.clone()),
                    found.map(u64_from),
                    "{wanted} {range:?} in {bytes:?}"
                );
            }
            let ones = model.iter().filter(|bit| **bit).count();
            assert_eq!(count(&bytes), u64_from(ones));
            assert_eq!(
                bit(&bytes, first),
                model.get(usize_from(first)).is_some_and(|bit| *bit)
            );
        }
    }

    #[test]
    fn one_bit_changes_alone() {
        let mut random = Random::new(seed());
        let mut bytes = vec![0; 40];
        let mut model = bits(&bytes);
        for _ in 0..2_000 {
            let at = random.index(320);
            let on = random.below(2) == 1;
            let was = set_bit(&mut bytes, u64_from(at), on);
            assert_eq!(was, std::mem::replace(&mut model[at], on));
            assert_eq!(bits(&bytes), model);
        }
    }

    #[test]
    fn combining_agrees_with_a_list_of_bits() {
        let mut random = Random::new(seed());
        for _ in 0..2_000 {
            let (one, other) = (row(&mut random, 40), row(&mut random, 40));
            let at = |bytes: &[u8], index: usize| bit(bytes, u64_from(index));
            let len = one.len().max(other.len());
            for operation in [Operation::And, Operation::Or, Operation::Xor] {
                let mut result = one.clone();
                combine(&mut result, &other, operation);
                let expected: Vec<bool> = (0..len * 8)
                    .map(|index| match operation {
                        Operation::And => at(&one, index) && at(&other, index),
                        Operation::Or => at(&one, index) || at(&other, index),
                        Operation::Xor => at(&one, index) != at(&other, index),
                    })
                    .collect();
                assert_eq!(bits(&result), expected, "{operation:?}");
            }
            let mut result = one.clone();
            invert(&mut result);
            let expected: Vec<bool> = bits(&one).iter().map(|bit| !bit).collect();
            assert_eq!(bits(&result), expected);
        }
    }
}
