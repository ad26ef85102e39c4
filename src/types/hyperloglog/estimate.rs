//! From the values of registers to a number of elements.
//!
//! Only how often each value occurs matters. The estimator is that of Ertl (2017, algorithm 6), which
//! needs no tables and no correction for small or large numbers.

use base::cast::u32_from;

use super::{INDEX_BITS, REGISTERS};

/// Values a register may have in its six bits.
const VALUES: usize = 64;

/// The highest value an element can offer, less one: bits of a hash that choose no register.
const OFFERED_BITS: usize = 64 - (INDEX_BITS as usize);

/// 1 / (2 ln 2): the limit of the constant of bias for many registers.
const ALPHA: f64 = 0.721_347_520_444_481_7;

/// How many registers have each value.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    /// Four, so that equal values behind each other do not wait for each other.
    lanes: [[u32; VALUES]; 4],
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            lanes: [[0; VALUES]; 4],
        }
    }
}

impl Histogram {
    /// Notes four registers; their values are below 64.
    #[inline]
    pub(super) fn note(&mut self, values: [u8; 4]) {
        for (lane, value) in self.lanes.iter_mut().zip(values) {
            lane[usize::from(value) % VALUES] += 1;
        }
    }

    /// Notes `count` registers of one value, which is below 64.
    pub(super) fn note_many(&mut self, value: u8, count: usize) {
        self.lanes[0][usize::from(value) % VALUES] += u32_from(count);
    }

    fn of(&self, value: usize) -> f64 {
        let sum: u32 = self.lanes.iter().map(|lane| lane[value]).sum();
        f64::from(sum)
    }

    /// Returns the number of elements, rounded half up.
    pub(super) fn estimate(&self) -> u64 {
        let registers = f64::from(u32_from(REGISTERS));
        let full = self.of(OFFERED_BITS + 1);
        let mut sum = registers * tau((registers - full) / registers);
        for value in (1..=OFFERED_BITS).rev() {
            sum = (sum + self.of(value)) * 0.5;
        }
        sum += registers * sigma(self.of(0) / registers);
        rounded(ALPHA * registers * registers / sum)
    }
}

/// The part of registers without any element; infinite if that is all of them.
fn sigma(share: f64) -> f64 {
    if is_one(share) {
        return f64::INFINITY;
    }
    let (mut power, mut factor, mut sum) = (share, 1.0, share);
    loop {
        power *= power;
        let before = sum;
        sum += power * factor;
        factor += factor;
        if unchanged(before, sum) {
            return sum;
        }
    }
}

/// The part of registers that could not rise further.
fn tau(share: f64) -> f64 {
    if share <= 0.0 || is_one(share) {
        return 0.0;
    }
    let (mut root, mut factor, mut sum) = (share, 1.0, 1.0 - share);
    loop {
        root = root.sqrt();
        let before = sum;
        factor *= 0.5;
        sum -= (1.0 - root) * (1.0 - root) * factor;
        if unchanged(before, sum) {
            return sum / 3.0;
        }
    }
}

fn is_one(share: f64) -> bool {
    share >= 1.0
}

/// Tells whether a series has come to rest: its next term was too small to count.
fn unchanged(before: f64, after: f64) -> bool {
    before.to_bits() == after.to_bits()
}

/// Rounds half away from zero. What is beyond 63 bits is the highest of them, as in Redis.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the number is not negative and below 2^63"
)]
fn rounded(number: f64) -> u64 {
    let limit: u64 = 1 << 63;
    let rounded = number.round();
    if rounded < 9.2e18 {
        rounded as u64
    } else {
        limit
    }
}
