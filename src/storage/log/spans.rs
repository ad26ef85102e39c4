//! Checksums (CRC-32C) of many spans of the same bytes, which may overlap: all bytes are looked at once.
//!
//! Behind a torn record anything may stand, also what somebody has written there to look like thousands of long
//! records. To compare the checksum of each would take as long as all of them together.
//!
//! ```text
//!   register after a..b, begun with 0  =  register after 0..b  xor  register after 0..a, moved on by b - a zeros
//! ```
//! Moving on by zeros is a multiplication of polynomials modulo that of the checksum.
//!
//! Not here: which spans are of interest ([`super::record`]).

use base::cast::{u32_from, usize_from};
use crc_fast::CrcAlgorithm::Crc32Iscsi;
use crc_fast::Digest;

/// The polynomial, its bits from the lowest power on the left to the highest.
const POLYNOMIAL: u32 = 0x82F6_3B78;

/// The polynomial 1.
const ONE: u32 = 1 << 31;

/// Powers of x by which 1, 2, 4, 8 ... bytes of zeros move a register on.
fn powers() -> [u32; usize::BITS as usize] {
    let mut power = ONE;
    for _ in 0..8 {
        power = times_x(power);
    }
    let mut powers = [ONE; usize::BITS as usize];
    for entry in &mut powers {
        *entry = power;
        power = times(power, power);
    }
    powers
}

fn times_x(polynomial: u32) -> u32 {
    let carry = if polynomial & 1 == 1 { POLYNOMIAL } else { 0 };
    polynomial >> 1 ^ carry
}

/// Multiplies two polynomials. 32 steps.
fn times(one: u32, other: u32) -> u32 {
    let (mut product, mut shifted) = (0, other);
    for bit in (0..32).rev() {
        if one >> bit & 1 == 1 {
            product ^= shifted;
        }
        shifted = times_x(shifted);
    }
    product
}

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Spans {
    powers: [u32; usize::BITS as usize],
    /// Borders of spans, in order, and the register there, begun with 0.
    registers: Vec<(usize, u32)>,
}

impl Spans {
    /// Looks at all bytes once. `borders` are those of all spans; memory: 16 bytes for each.
    pub(super) fn new(bytes: &[u8], mut borders: Vec<usize>) -> Self {
        borders.sort_unstable();
        borders.dedup();
        let mut digest = Digest::new_with_init_state(Crc32Iscsi, 0);
        let mut done = 0;
        let mut registers = Vec::with_capacity(borders.len());
        for border in borders {
            let Some(piece) = bytes.get(done..border) else {
                break;
            };
            digest.update(piece);
            done = border;
            registers.push((border, u32_from(usize_from(digest.get_state()))));
        }
        Self {
            powers: powers(),
            registers,
        }
    }

    /// Returns the checksum of a span; nothing if one of its ends was not among the borders, or not among the bytes.
    pub(super) fn checksum(&self, from: usize, to: usize) -> Option<u32> {
        let register = |border: usize| {
            let found = self.registers.binary_search_by_key(&border, |(at, _)| *at);
            found.ok().map(|at| self.registers[at].1)
        };
        let length = to.checked_sub(from)?;
        let moved = self.moved(register(from)? ^ u32::MAX, length);
        Some(!(register(to)? ^ moved))
    }

    /// Moves a register on by so many zeros.
    fn moved(&self, register: u32, zeros: usize) -> u32 {
        let bits = self.powers.iter().enumerate();
        let used = bits.filter(|(bit, _)| zeros >> bit & 1 == 1);
        used.fold(register, |register, (_, power)| times(register, *power))
    }
}

#[cfg(test)]
mod tests {
    use base::random::Random;

    use super::*;

    #[test]
    fn a_checksum_of_a_span_is_that_of_its_bytes() {
        let seed = std::env::var("SEED").map_or(5, |seed| seed.parse().unwrap());
        eprintln!("SEED={seed}");
        let mut random = Random::new(seed);
        let bytes: Vec<u8> = (0..5000)
            .map(|_| random.next_u64().to_le_bytes()[0])
            .collect();
        let mut some = || {
            let (one, other) = (random.index(5001), random.index(5001));
            (one.min(other), one.max(other))
        };
        let spans: Vec<(usize, usize)> = (0..500).map(|_| some()).collect();
        let borders = spans.iter().flat_map(|(from, to)| [*from, *to]);
        let known = Spans::new(&bytes, borders.collect());
        for (from, to) in spans {
            let expected = crc_fast::crc32_iscsi(&bytes[from..to]);
            assert_eq!(known.checksum(from, to), Some(expected), "{from}..{to}");
        }
        assert_eq!(Spans::new(&bytes, vec![0, 9000]).checksum(0, 9000), None);
    }
}
