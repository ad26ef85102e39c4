//! One bit per row of a chunk.

use std::ops::Range;

/// Rows of a chunk.
pub(crate) const ROWS: usize = 1024;
/// Words of 64 bits for them.
pub(crate) const WORDS: usize = ROWS / 64;

/// A set of rows of a chunk, by offset.
pub(crate) type Bits = [u64; WORDS];

/// Returns whether the offset is in the set.
#[inline]
pub(crate) fn has(bits: &Bits, offset: usize) -> bool {
    bits[offset / 64] >> (offset % 64) & 1 == 1
}

/// Puts the offset in.
#[inline]
pub(crate) fn set(bits: &mut Bits, offset: usize) {
    bits[offset / 64] |= 1 << (offset % 64);
}

/// Takes the offset out.
#[inline]
pub(crate) fn clear(bits: &mut Bits, offset: usize) {
    bits[offset / 64] &= !(1 << (offset % 64));
}

/// Takes out all offsets below `first`.
pub(crate) fn keep_from(bits: &mut Bits, first: usize) {
    for (word, value) in bits.iter_mut().enumerate() {
        let begin = word * 64;
        if first >= begin + 64 {
            *value = 0;
        } else if first > begin {
            *value &= u64::MAX << (first - begin);
        }
    }
}

/// Takes out all offsets outside of `range`.
pub(crate) fn keep(bits: &mut Bits, range: Range<usize>) {
    keep_from(bits, range.start);
    let mut above = *bits;
    keep_from(&mut above, range.end);
    for (word, gone) in bits.iter_mut().zip(above) {
        *word &= !gone;
    }
}

/// Returns how many offsets are in the set.
pub(crate) fn count(bits: &Bits) -> usize {
    bits.iter()
        .map(|word| usize::try_from(word.count_ones()).unwrap_or(0))
        .sum()
}

/// Returns whether nothing is in the set.
pub(crate) fn is_empty(bits: &Bits) -> bool {
    bits.iter().all(|&word| word == 0)
}

/// Returns the offsets in the set, ascending.
pub(crate) fn offsets(bits: &Bits) -> impl Iterator<Item = usize> {
    bits.iter().enumerate().flat_map(|(index, &word)| {
        let mut rest = word;
        std::iter::from_fn(move || {
            (rest != 0).then(|| {
                let bit = rest.trailing_zeros();
                rest &= rest - 1;
                index * 64 + usize::try_from(bit).unwrap_or(0)
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_keep_what_is_asked_for() {
        let mut bits = [0; WORDS];
        for offset in [0, 5, 63, 64, 700, 1023] {
            set(&mut bits, offset);
        }
        assert_eq!(count(&bits), 6);
        assert!(has(&bits, 63) && !has(&bits, 62));
        let mut some = bits;
        keep(&mut some, 5..700);
        assert_eq!(offsets(&some).collect::<Vec<_>>(), [5, 63, 64]);
        keep_from(&mut bits, 65);
        clear(&mut bits, 700);
        assert_eq!(offsets(&bits).collect::<Vec<_>>(), [1023]);
        keep_from(&mut bits, ROWS);
        assert!(is_empty(&bits));
    }
}
