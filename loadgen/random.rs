//! The generator behind glibc's `random()`, so that a seed means the same keys as elsewhere.
//!
//! `srandom(seed)` fills 31 words with a multiplicative generator (16807 modulo 2^31 - 1, Park and
//! Miller), then runs an additive feedback generator over them: each new word is the sum of the
//! words 3 and 31 places before it, and the output is that sum without its lowest bit. The first
//! 310 outputs are thrown away.
//!
//! Invariants
//! - The sequence for a seed equals the one of glibc's default (`TYPE_3`) state.
//! - A draw costs a handful of instructions and takes no lock.
//!
//! Not here: who draws when (`workload`).

/// Words of state of the additive generator.
const WORDS: usize = 31;
/// Distance of the second summand.
const SEPARATION: usize = 3;
/// Outputs thrown away after seeding.
const DISCARDED: usize = 310;

/// One stream of `random()` numbers.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    state: [u32; WORDS],
    /// Index of the oldest word, which the next sum replaces.
    oldest: usize,
}

impl Random {
    /// Returns the stream that `srandom(seed)` starts. A seed of 0 counts as 1, as in glibc.
    pub(crate) fn new(seed: u32) -> Self {
        const MULTIPLIER: i64 = 16_807;
        const MODULUS: i64 = 2_147_483_647;
        let mut state = [0_u32; WORDS];
        // glibc keeps the word as a signed number, so a seed above 2^31 starts negative.
        let mut word = i64::from(if seed == 0 { 1 } else { seed }.cast_signed());
        for slot in &mut state {
            *slot = u32::try_from(word.rem_euclid(1 << 32)).unwrap_or(0);
            // The remainder takes the sign of `word`; only the first word can be negative.
            word = (word * MULTIPLIER) % MODULUS;
            if word < 0 {
                word += MODULUS;
            }
        }
        // The first three words serve once more before sums begin, so the fourth is the oldest.
        let mut random = Self {
            state,
            oldest: SEPARATION,
        };
        for _ in 0..DISCARDED {
            random.draw();
        }
        random
    }

    /// Returns the next number, 0 to 2^31 - 1.
    #[inline]
    pub(crate) fn draw(&mut self) -> u32 {
        // The word 31 places back is the oldest one, the word 3 places back lies 28 further on.
        let mut near = self.oldest + (WORDS - SEPARATION);
        if near >= WORDS {
            near -= WORDS;
        }
        let sum = self.state[self.oldest].wrapping_add(self.state[near]);
        self.state[self.oldest] = sum;
        self.oldest += 1;
        if self.oldest == WORDS {
            self.oldest = 0;
        }
        sum >> 1
    }

    /// Returns the next number modulo `bound`; 0 without a draw if `bound` is 0.
    #[inline]
    pub(crate) fn draw_below(&mut self, bound: u64) -> u32 {
        match u32::try_from(bound) {
            Ok(0) => 0,
            Ok(bound) => self.draw() % bound,
            // Every number drawn is below such a bound.
            Err(_) => self.draw(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_one_repeats_the_well_known_numbers() {
        let mut random = Random::new(1);
        let drawn: Vec<u32> = (0..6).map(|_| random.draw()).collect();
        assert_eq!(
            drawn,
            [
                1_804_289_383,
                846_930_886,
                1_681_692_777,
                1_714_636_915,
                1_957_747_793,
                424_238_335
            ]
        );
    }

    #[test]
    fn seed_zero_counts_as_one() {
        assert_eq!(Random::new(0).draw(), Random::new(1).draw());
    }

    #[test]
    fn seed_12345_below_100_gives_the_recorded_keys() {
        let mut random = Random::new(12_345);
        let drawn: Vec<u32> = (0..8).map(|_| random.draw_below(100)).collect();
        assert_eq!(drawn, [99, 21, 73, 51, 21, 4, 37, 2]);
    }

    #[test]
    fn many_draws_equal_the_c_library() {
        for seed in [
            1,
            2,
            12_345,
            2_147_483_647,
            2_147_483_648,
            4_000_000_000,
            u32::MAX,
        ] {
            let mut random = Random::new(seed);
            for (index, expected) in c_library(seed, 2_000).into_iter().enumerate() {
                assert_eq!(random.draw(), expected, "draw {index} of seed {seed}");
            }
        }
    }

    #[test]
    fn bound_zero_gives_zero_and_draws_nothing() {
        let mut random = Random::new(7);
        let untouched = random.clone().draw();
        assert_eq!(random.draw_below(0), 0);
        assert_eq!(random.draw(), untouched);
    }

    /// `count` numbers of the C library itself after `srandom(seed)`.
    #[expect(unsafe_code, reason = "the oracle is a C function")]
    fn c_library(seed: u32, count: usize) -> Vec<u32> {
        // `srandom` has one state per process: the numbers are drawn in one go by one test only.
        unsafe extern "C" {
            fn srandom(seed: u32);
            fn random() -> i64;
        }
        // SAFETY: both functions take no pointers and may be called at any time.
        unsafe { srandom(seed) };
        (0..count)
            .map(|_| {
                // SAFETY: as above.
                let drawn = unsafe { random() };
                u32::try_from(drawn).unwrap()
            })
            .collect()
    }
}
