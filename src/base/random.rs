//! The only source of chance: a small seeded generator, so that a run repeats from its seed.
//!
//! xoshiro256** (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2018), its
//! state filled by `SplitMix64` as its authors advise. Good for sampling, eviction, random members and
//! tests.
//!
//! Not here: secrets (passwords, the seed of the key hash); those come from the kernel.

use crate::cast;

/// A generator of pseudorandom numbers; equal seeds give equal sequences on every platform.
///
/// One per core; no two cores share one.
#[derive(Clone, Debug)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// Creates a generator. Any seed is good, 0 too.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut mixer = seed;
        Self {
            state: std::array::from_fn(|_| split_mix(&mut mixer)),
        }
    }

    /// Returns 64 evenly distributed bits.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        let [first, second, third, fourth] = self.state;
        let result = second.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let third = third ^ first;
        let fourth = fourth ^ second;
        self.state = [
            first ^ fourth,
            second ^ third,
            third ^ (second << 17),
            fourth.rotate_left(45),
        ];
        result
    }

    /// Returns a number in `0..bound`, each equally likely.
    ///
    /// Cost: one multiplication almost always; a second try with probability below
    /// `bound / 2^64`.
    ///
    /// # Panics
    ///
    /// If `bound` is 0: there is nothing to choose from.
    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "a choice needs at least one possibility");
        // The high half of random * bound is the result. Low halves below 2^64 mod bound belong to
        // the few products that would make some results more likely; they are thrown again.
        let (mut low, mut high) = multiply(self.next_u64(), bound);
        if low < bound {
            let uneven = bound.wrapping_neg() % bound;
            while low < uneven {
                (low, high) = multiply(self.next_u64(), bound);
            }
        }
        high
    }

    /// Returns a position in something of `len` elements.
    ///
    /// # Panics
    ///
    /// If `len` is 0.
    #[inline]
    pub fn index(&mut self, len: usize) -> usize {
        cast::usize_from(self.below(cast::u64_from(len)))
    }

    /// Puts `items` into random order, each order equally likely as far as 256 bits of state can
    /// reach. O(len).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let chosen = self.index(last + 1);
            items.swap(last, chosen);
        }
    }
}

/// Chooses so many of a sequence as it comes by, each choice of that size equally likely.
#[derive(Clone, Debug)]
pub struct Selection {
    wanted: usize,
    to_come: usize,
}

impl Selection {
    /// Chooses `wanted` of `to_come`, or all if there are no more.
    #[must_use]
    pub fn new(wanted: usize, to_come: usize) -> Self {
        Self { wanted, to_come }
    }

    /// Tells whether the next of the sequence is chosen; nothing is behind the last.
    pub fn takes_next(&mut self, random: &mut Random) -> bool {
        if self.to_come == 0 {
            return false;
        }
        let takes = self.wanted > 0 && random.index(self.to_come) < self.wanted;
        self.to_come -= 1;
        self.wanted -= usize::from(takes);
        takes
    }
}

/// Returns the low and the high half of the product.
fn multiply(left: u64, right: u64) -> (u64, u64) {
    let product = u128::from(left) * u128::from(right);
    let low = product & u128::from(u64::MAX);
    let half = |value: u128| u64::try_from(value).expect("half of 128 bits is 64 bits");
    (half(low), half(product >> 64))
}

/// One step of `SplitMix64` (Steele, Lea and Flood, 2014).
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_follows_the_published_algorithm() {
        // The first output of SplitMix64 from seed 0, and the first ones of xoshiro256** from state
        // 1, 2, 3, 4, as published with the reference implementations.
        assert_eq!(split_mix(&mut 0), 0xE220_A839_7B1D_CDAF);
        let mut random = Random {
            state: [1, 2, 3, 4],
        };
        let outputs: Vec<u64> = (0..4).map(|_| random.next_u64()).collect();
        assert_eq!(
            outputs,
            [11_520, 0, 1_509_978_240, 1_215_971_899_390_074_240]
        );
    }

    #[test]
    fn equal_seeds_give_equal_sequences() {
        let (mut one, mut two, mut other) = (Random::new(7), Random::new(7), Random::new(8));
        let mut differs = false;
        for _ in 0..100 {
            let value = one.next_u64();
            assert_eq!(value, two.next_u64());
            differs |= value != other.next_u64();
        }
        assert!(differs);
    }

    #[test]
    fn below_stays_below_and_reaches_everything_evenly() {
        let mut random = Random::new(1);
        let mut counts = [0_u32; 10];
        for _ in 0..100_000 {
            counts[random.index(10)] += 1;
        }
        // Ten thousand each, give or take six standard deviations of 95.
        assert!(
            counts.iter().all(|&count| (9_430..10_570).contains(&count)),
            "{counts:?}"
        );
        assert_eq!(random.below(1), 0);
        for _ in 0..1000 {
            assert!(random.below(u64::MAX) < u64::MAX);
            assert!(random.below((1 << 63) + 1) <= 1 << 63);
        }
    }

    #[test]
    fn shuffle_keeps_the_items_and_reaches_every_order() {
        let mut random = Random::new(3);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..1000 {
            let mut items = [1, 2, 3, 4];
            random.shuffle(&mut items);
            seen.insert(items);
            items.sort_unstable();
            assert_eq!(items, [1, 2, 3, 4]);
        }
        assert_eq!(seen.len(), 24);
    }
}
