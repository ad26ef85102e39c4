//! Integers of any width inside a string, at any bit.
//!
//! A field has 1 to 64 bits, the highest first, and begins at any bit of a bitmap (see `bitmap` for
//! their order). Signed fields are two's complement. Unsigned ones have at most 63 bits, so that every
//! value is an `i64`.
//!
//! Not here: growing and storing strings (`shard`), words and replies (`commands`).

use base::cast::usize_from;

/// Bytes that a field of 64 bits touches at most.
const WINDOW_BYTES: usize = 9;
const WINDOW_BITS: u32 = 72;

/// The type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    is_signed: bool,
    /// 1 to 64, or to 63 if unsigned.
    bits: u32,
}

/// What happens to a value that does not fit its field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// Its lowest bits are kept.
    #[default]
    Wrap,
    /// The nearest value that fits is taken.
    Saturate,
    /// The field stays as it is.
    Fail,
}

impl Kind {
    /// Creates the type of a field of `bits` bits; `None` if there is no such type.
    #[must_use]
    pub fn new(is_signed: bool, bits: i64) -> Option<Self> {
        let bits_max = if is_signed { 64 } else { 63 };
        let bits = u32::try_from(bits).ok()?;
        (1..=bits_max)
            .contains(&bits)
            .then_some(Self { is_signed, bits })
    }

    /// Returns the number of bits.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.bits
    }

    /// Returns the field that begins at bit `offset`; bits behind the end of the string are 0. O(1).
    #[must_use]
    pub fn load(self, bytes: &[u8], offset: u64) -> i64 {
        let first = usize_from(offset / 8);
        let rest = bytes.get(first..).unwrap_or_default();
        let window = rest
            .iter()
            .chain(std::iter::repeat(&0))
            .take(WINDOW_BYTES)
            .fold(0, |window, byte| window << 8 | u128::from(*byte));
        self.value_of(window >> self.shift(offset))
    }

    /// Writes the lowest bits of `value` to the field that begins at bit `offset`. O(1).
    ///
    /// # Panics
    ///
    /// If the field reaches behind the end: the caller has made the string long enough.
    pub fn store(self, bytes: &mut [u8], offset: u64, value: i64) {
        let first = usize_from(offset / 8);
        let end = usize_from((offset + u64::from(self.bits) - 1) / 8);
        let shift = self.shift(offset);
        let mask = self.mask() << shift;
        let bits = u128::from(value.cast_unsigned()) << shift & mask;
        let (mask, bits) = (mask.to_be_bytes(), bits.to_be_bytes());
        let unused = mask.len() - WINDOW_BYTES;
        for (at, byte) in bytes[first..=end].iter_mut().enumerate() {
            *byte = *byte & !mask[unused + at] | bits[unused + at];
        }
    }

    /// Returns `old + increment` as it fits the field; `None` if it is to stay as it is.
    ///
    /// `old` is a value of this type.
    #[must_use]
    pub fn sum(self, old: i64, increment: i64, overflow: Overflow) -> Option<i64> {
        let exact = i128::from(old) + i128::from(increment);
        let is_above = exact > self.max();
        self.fitted(exact, is_above, overflow)
    }

    /// Returns `value` as it fits the field; `None` if the field is to stay as it is.
    ///
    /// As in Redis 7.0, a negative value for an unsigned field is taken for its unsigned 64 bits, and
    /// one so low that its distance to the highest value leaves 63 bits counts as too high.
    #[must_use]
    pub fn fit(self, value: i64, overflow: Overflow) -> Option<i64> {
        let exact = if self.is_signed {
            i128::from(value)
        } else {
            i128::from(value.cast_unsigned())
        };
        let distance = self.max() - exact;
        let is_above = distance < 0 || (self.bits < 64 && distance > i128::from(i64::MAX));
        self.fitted(exact, is_above, overflow)
    }

    fn fitted(self, exact: i128, is_above: bool, overflow: Overflow) -> Option<i64> {
        let is_below = exact < self.min();
        let nearest = match (is_above, is_below, overflow) {
            (false, false, _) => exact,
            (_, _, Overflow::Wrap) => return Some(self.value_of(exact.cast_unsigned())),
            (_, _, Overflow::Fail) => return None,
            (true, _, Overflow::Saturate) => self.max(),
            (false, true, Overflow::Saturate) => self.min(),
        };
        Some(i64::try_from(nearest).expect("every value of a field is an i64"))
    }

    /// Returns the value whose bits are the lowest of `window`.
    fn value_of(self, window: u128) -> i64 {
        let bits = u64::try_from(window & self.mask()).expect("a field has at most 64 bits");
        let unused = 64 - self.bits;
        if self.is_signed {
            (bits << unused).cast_signed() >> unused
        } else {
            bits.cast_signed()
        }
    }

    /// How far the field is from the end of the nine bytes it begins in.
    fn shift(self, offset: u64) -> u32 {
        let skipped = u32::try_from(offset % 8).expect("a byte has 8 bits");
        WINDOW_BITS - skipped - self.bits
    }

    fn mask(self) -> u128 {
        (1 << self.bits) - 1
    }

    fn max(self) -> i128 {
        let value_bits = self.bits - u32::from(self.is_signed);
        (1 << value_bits) - 1
    }

    fn min(self) -> i128 {
        if self.is_signed { -1 - self.max() } else { 0 }
    }
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

    fn any_kind(random: &mut Random) -> Kind {
        let is_signed = random.below(2) == 1;
        let bits_max = if is_signed { 64 } else { 63 };
        Kind::new(
            is_signed,
            1 + i64::try_from(random.below(bits_max)).unwrap(),
        )
        .unwrap()
    }

    /// The naive model: one bit after the other, the sign bit counting negative.
    fn load_by_bits(bits: &[bool], kind: Kind, offset: usize) -> i128 {
        (0..kind.bits).fold(0, |value, at| {
            let index = offset + usize::try_from(at).unwrap();
            let bit = i128::from(bits.get(index).is_some_and(|bit| *bit));
            let sign = if kind.is_signed && at == 0 { -1 } else { 1 };
            value * 2 + sign * bit
        })
    }

    fn store_by_bits(bits: &mut [bool], kind: Kind, offset: usize, value: i64) {
        for at in 0..usize::try_from(kind.bits).unwrap() {
            let place = usize::try_from(kind.bits).unwrap() - 1 - at;
            bits[offset + at] = value >> place & 1 == 1;
        }
    }

    fn bits_of(bytes: &[u8]) -> Vec<bool> {
        bytes
            .iter()
            .flat_map(|byte| (0..8).map(move |at| byte >> (7 - at) & 1 == 1))
            .collect()
    }

    #[test]
    fn fields_agree_with_a_list_of_bits() {
        let mut random = Random::new(seed());
        let mut bytes: Vec<u8> = vec![0; 40];
        let mut model = bits_of(&bytes);
        for _ in 0..20_000 {
            let kind = any_kind(&mut random);
            let offset = random.index(320);
            let at = base::cast::u64_from(offset);
            let loaded = i128::from(kind.load(&bytes, at));
            assert_eq!(loaded, load_by_bits(&model, kind, offset), "{kind:?}");
            if offset + usize::try_from(kind.bits).unwrap() <= 320 {
                let value = random.next_u64().cast_signed();
                kind.store(&mut bytes, at, value);
                store_by_bits(&mut model, kind, offset, value);
                assert_eq!(bits_of(&bytes), model, "{kind:?}");
            }
        }
    }

    #[test]
    fn values_that_do_not_fit_wrap_stop_or_fail() {
        let mut random = Random::new(seed());
        for _ in 0..20_000 {
            let kind = any_kind(&mut random);
            let modulus = 1_i128 << kind.bits;
            let low = if kind.is_signed { -modulus / 2 } else { 0 };
            let old = kind.load(&random.next_u64().to_le_bytes(), 0);
            let shift = random.below(64);
            let increment = random.next_u64().cast_signed() >> shift;
            let exact = i128::from(old) + i128::from(increment);
            let fits = (low..low + modulus).contains(&exact);
            let given = |overflow| kind.sum(old, increment, overflow).map(i128::from);
            let wrapped = (exact - low).rem_euclid(modulus) + low;
            let nearest = exact.clamp(low, low + modulus - 1);
            assert_eq!(given(Overflow::Wrap), Some(wrapped));
            assert_eq!(given(Overflow::Saturate), Some(nearest));
            assert_eq!(given(Overflow::Fail), fits.then_some(exact));
        }
    }

    #[test]
    fn far_too_low_values_stop_at_the_top_as_in_redis() {
        // Each of these was asked of redis-server 7.0.15.
        let kind = |is_signed, bits| Kind::new(is_signed, bits).unwrap();
        assert_eq!(kind(true, 8).fit(i64::MIN, Overflow::Saturate), Some(127));
        assert_eq!(kind(true, 8).fit(-129, Overflow::Saturate), Some(-128));
        assert_eq!(kind(false, 8).fit(-1, Overflow::Saturate), Some(255));
        assert_eq!(kind(false, 8).fit(-1, Overflow::Wrap), Some(255));
        assert_eq!(kind(true, 64).fit(i64::MIN, Overflow::Fail), Some(i64::MIN));
    }

    #[test]
    fn there_is_no_u64() {
        assert_eq!(Kind::new(false, 64), None);
        assert_eq!(Kind::new(true, 65), None);
        assert_eq!(Kind::new(true, 0), None);
        assert_eq!(Kind::new(true, -1), None);
        assert_eq!(Kind::new(true, 1 << 40), None);
    }
}
