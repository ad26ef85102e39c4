//! HyperLogLog: how many distinct elements a string has seen, in 12 KiB or less.
//!
//! The hash of an element chooses one of 16384 registers and offers it a value: the place of the
//! lowest set bit among the rest of the hash, 1 to 51. A register keeps the highest value offered, and
//! from how often each value occurs follows the number of elements, with a standard error of 0.81 %.
//!
//! ```text
//! 0      4          5        8             16
//! | HYLL | encoding | unused | cardinality | registers
//!          0 dense    3 zeros  u64, little-endian; its highest bit says that it is out of date
//! ```
//!
//! The bytes are those of Redis 7.0, register by register and opcode by opcode, so that a value may
//! move to and from Redis. In reading order: `sparse` and `dense` are the two encodings of registers,
//! `estimate` counts.
//!
//! Invariants
//! - Any string may come in: [`Encoding::of`] says whether it is one of these at all, and everything
//!   else refuses what is [`Corrupted`] inside.
//! - What is refused is unchanged, but for [`add`], which says so.
//!
//! Sources: Flajolet et al., "HyperLogLog" (2007); Ertl, "New cardinality estimation algorithms for
//! HyperLogLog sketches" (2017); the format was checked byte by byte against redis-server 7.0.15.

mod dense;
mod estimate;
mod sparse;

use base::cast::usize_from;

/// Number of registers.
pub const REGISTERS: usize = 1 << INDEX_BITS;

/// Length of a dense string, in bytes.
pub const DENSE_BYTES: usize = HEADER_BYTES + dense::BYTES;

const INDEX_BITS: u32 = 14;
const MAGIC: &[u8] = b"HYLL";
const HEADER_BYTES: usize = 16;
const ENCODING_AT: usize = 4;
const CACHE_AT: usize = 8;
const STALE: u64 = 1 << 63;
const HASH_SEED: u64 = 0xadc8_3b19;

/// The registers of a string do not add up to 16384.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupted;

/// How the registers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Six bits for each.
    Dense,
    /// Runs of equal registers.
    Sparse,
}

impl Encoding {
    /// Returns the encoding of a string; `None` if it is no HyperLogLog. O(1).
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < HEADER_BYTES || !bytes.starts_with(MAGIC) {
            return None;
        }
        match bytes[ENCODING_AT] {
            0 if bytes.len() == DENSE_BYTES => Some(Self::Dense),
            1 => Some(Self::Sparse),
            _ => None,
        }
    }

    /// Returns the name as PFDEBUG ENCODING says it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Dense => "dense",
            Self::Sparse => "sparse",
        }
    }
}

/// Returns the string that has seen nothing: sparse, its cardinality known to be 0.
#[must_use]
pub fn empty() -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES];
    bytes[..MAGIC.len()].copy_from_slice(MAGIC);
    bytes[ENCODING_AT] = 1;
    sparse::push_zeros(&mut bytes, REGISTERS);
    bytes
}

/// Adds an element to a HyperLogLog. Returns whether a register has changed; then the caller calls
/// [`invalidate`] when it has added all its elements.
///
/// A sparse string that would pass `sparse_bytes_max` bytes, or need a value beyond 32, becomes dense.
/// Cost: O(1) if dense, O(bytes) if sparse.
///
/// # Errors
///
/// [`Corrupted`]; this element has changed nothing.
pub fn add(
    bytes: &mut Vec<u8>,
    element: &[u8],
    sparse_bytes_max: usize,
) -> Result<bool, Corrupted> {
    let (index, value) = offer(element);
    raise(bytes, index, value, sparse_bytes_max)
}

/// Raises a register to `value`, if it is below. Returns whether it was.
fn raise(
    bytes: &mut Vec<u8>,
    index: usize,
    value: u8,
    sparse_bytes_max: usize,
) -> Result<bool, Corrupted> {
    if Encoding::of(bytes) == Some(Encoding::Dense) {
        return Ok(dense::raise(&mut bytes[HEADER_BYTES..], index, value));
    }
    if let Some(changed) = sparse::raise(bytes, HEADER_BYTES, index, value, sparse_bytes_max)? {
        return Ok(changed);
    }
    make_dense(bytes)?;
    Ok(dense::raise(&mut bytes[HEADER_BYTES..], index, value))
}

/// Makes a HyperLogLog dense. Returns whether it was not.
///
/// # Errors
///
/// [`Corrupted`]; nothing is changed.
pub fn make_dense(bytes: &mut Vec<u8>) -> Result<bool, Corrupted> {
    if Encoding::of(bytes) == Some(Encoding::Dense) {
        return Ok(false);
    }
    let mut dense = vec![0; DENSE_BYTES];
    dense[..HEADER_BYTES].copy_from_slice(&bytes[..HEADER_BYTES]);
    dense[ENCODING_AT] = 0;
    let registers = &mut dense[HEADER_BYTES..];
    sparse::for_each_value(&bytes[HEADER_BYTES..], |run, value| {
        for index in run {
            dense::raise(registers, index, value);
        }
    })?;
    *bytes = dense;
    Ok(true)
}

/// Returns the cardinality that was computed before, if nothing has changed since.
#[must_use]
pub fn cached_count(bytes: &[u8]) -> Option<u64> {
    let cache = bytes[CACHE_AT..]
        .first_chunk()
        .map(|cache| u64::from_le_bytes(*cache))?;
    (cache & STALE == 0).then_some(cache)
}

/// Notes the cardinality for later calls of [`cached_count`].
pub fn set_cached_count(bytes: &mut [u8], count: u64) {
    bytes[CACHE_AT..HEADER_BYTES].copy_from_slice(&count.to_le_bytes());
}

/// Notes that the cardinality has to be computed anew. The other bits stay, as in Redis.
pub fn invalidate(bytes: &mut [u8]) {
    bytes[HEADER_BYTES - 1] |= 0x80;
}

/// Estimates how many distinct elements a HyperLogLog has seen. O(bytes).
///
/// # Errors
///
/// [`Corrupted`].
pub fn count(bytes: &[u8]) -> Result<u64, Corrupted> {
    let registers = &bytes[HEADER_BYTES..];
    let mut histogram = estimate::Histogram::default();
    if Encoding::of(bytes) == Some(Encoding::Dense) {
        dense::for_each(registers, |_, values| histogram.note(values));
    } else {
        let zeros = sparse::for_each_value(registers, |run, value| {
            histogram.note_many(value, run.len());
        })?;
        histogram.note_many(0, zeros);
    }
    Ok(histogram.estimate())
}

/// Returns the opcodes of a sparse HyperLogLog as PFDEBUG DECODE shows them. O(bytes).
#[must_use]
pub fn describe_sparse(bytes: &[u8]) -> String {
    sparse::describe(&bytes[HEADER_BYTES..])
}

/// The values of all registers, to merge several strings into. 16 KiB.
#[derive(Clone, Debug)]
pub struct Registers {
    values: Vec<u8>,
}

impl Default for Registers {
    fn default() -> Self {
        Self {
            values: vec![0; REGISTERS],
        }
    }
}

impl Registers {
    /// Raises every register to its value in a HyperLogLog. O(bytes + 16384).
    ///
    /// # Errors
    ///
    /// [`Corrupted`]; some registers may have been raised.
    pub fn merge(&mut self, bytes: &[u8]) -> Result<(), Corrupted> {
        let values = &mut self.values;
        let registers = &bytes[HEADER_BYTES..];
        if Encoding::of(bytes) == Some(Encoding::Dense) {
            dense::for_each(registers, |index, four| {
                for (value, other) in values[index..].iter_mut().zip(four) {
                    *value = (*value).max(other);
                }
            });
            return Ok(());
        }
        sparse::for_each_value(registers, |run, value| {
            for old in &mut values[run] {
                *old = (*old).max(value);
            }
        })?;
        Ok(())
    }

    /// Estimates how many distinct elements the merged strings have seen together.
    #[must_use]
    pub fn count(&self) -> u64 {
        let mut histogram = estimate::Histogram::default();
        for four in self.values.as_chunks().0 {
            histogram.note(*four);
        }
        histogram.estimate()
    }

    /// Raises the registers of a HyperLogLog to these, in their order, as PFMERGE does.
    ///
    /// # Errors
    ///
    /// [`Corrupted`]; some registers may have been raised.
    pub fn write_to(&self, bytes: &mut Vec<u8>, sparse_bytes_max: usize) -> Result<(), Corrupted> {
        for (index, value) in self.values.iter().enumerate() {
            if *value > 0 {
                raise(bytes, index, *value, sparse_bytes_max)?;
            }
        }
        Ok(())
    }

    /// Returns the values, 16384 of them.
    #[must_use]
    pub fn values(&self) -> &[u8] {
        &self.values
    }
}

/// Returns the register an element chooses, and the value it offers.
fn offer(element: &[u8]) -> (usize, u8) {
    let hash = hash(element);
    let index = usize_from(hash & ((1 << INDEX_BITS) - 1));
    // A sentinel above the highest bit that is left ends the run of zeros.
    let rest = hash >> INDEX_BITS | 1 << (64 - INDEX_BITS);
    let value = 1 + rest.trailing_zeros();
    (
        index,
        u8::try_from(value).expect("there are at most 64 zeros"),
    )
}

/// Returns the 64-bit hash of an element: `MurmurHash64A` by Austin Appleby, words little-endian, with
/// the seed of Redis.
fn hash(bytes: &[u8]) -> u64 {
    const FACTOR: u64 = 0xc6a4_a793_5bd1_e995;
    const SHIFT: u32 = 47;
    let (words, tail) = bytes.as_chunks::<8>();
    let mut hash = HASH_SEED ^ base::cast::u64_from(bytes.len()).wrapping_mul(FACTOR);
    for word in words {
        let word = u64::from_le_bytes(*word).wrapping_mul(FACTOR);
        hash ^= (word ^ word >> SHIFT).wrapping_mul(FACTOR);
        hash = hash.wrapping_mul(FACTOR);
    }
    if !tail.is_empty() {
        let mut word = [0; 8];
        word[..tail.len()].copy_from_slice(tail);
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(FACTOR);
    }
    hash = (hash ^ hash >> SHIFT).wrapping_mul(FACTOR);
    hash ^ hash >> SHIFT
}

/// Checks that both encodings keep the same registers and that estimates are as good as they should
/// be, with elements drawn from `random`. Takes some milliseconds.
///
/// # Errors
///
/// What does not hold.
pub fn self_test(random: &mut base::random::Random) -> Result<(), &'static str> {
    const ELEMENTS: u32 = 4_000;
    let (mut dense, mut sparse) = (empty(), empty());
    let refused = |_| "a HyperLogLog is corrupted";
    make_dense(&mut dense).map_err(refused)?;
    let mut checkpoint = 1;
    for count in 1..=ELEMENTS {
        let element = random.next_u64().to_le_bytes();
        let changed = add(&mut dense, &element, 0).map_err(refused)?;
        // The limit lies far away: the sparse string turns dense only for its values.
        if add(&mut sparse, &element, usize::MAX).map_err(refused)? != changed {
            return Err("dense and sparse registers change differently");
        }
        if count < checkpoint && count < ELEMENTS {
            continue;
        }
        checkpoint = count * 2;
        let mut registers = [Registers::default(), Registers::default()];
        registers[0].merge(&dense).map_err(refused)?;
        registers[1].merge(&sparse).map_err(refused)?;
        if registers[0].values != registers[1].values {
            return Err("dense and sparse registers differ");
        }
        let estimate = crate::hyperloglog::count(&dense).map_err(refused)?;
        // Six standard errors, and one for rounding.
        let allowed = u64::from(count) * 6 * 81 / 10_000 + 1;
        if estimate.abs_diff(u64::from(count)) > allowed {
            return Err("an estimate is too far off");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
