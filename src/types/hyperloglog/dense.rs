//! Registers of six bits each, one after the other: register i begins at bit 6i, bit 0 being the lowest
//! of byte 0. Four registers fill three bytes.

use super::REGISTERS;

const REGISTER_BITS: usize = 6;
const VALUE_MASK: u16 = (1 << REGISTER_BITS) - 1;

/// Length of all registers, in bytes.
pub(super) const BYTES: usize = REGISTERS * REGISTER_BITS / 8;

/// Raises a register to `value`, if it is below. Returns whether it was. O(1).
pub(super) fn raise(registers: &mut [u8], index: usize, value: u8) -> bool {
    let (byte, shift) = (index * REGISTER_BITS / 8, index * REGISTER_BITS % 8);
    let next = registers.get(byte + 1).copied().unwrap_or(0);
    let window = u16::from_le_bytes([registers[byte], next]);
    if window >> shift & VALUE_MASK >= u16::from(value) {
        return false;
    }
    let window = window & !(VALUE_MASK << shift) | u16::from(value) << shift;
    let [low, high] = window.to_le_bytes();
    registers[byte] = low;
    // The last register ends with its byte, like every fourth one.
    if let Some(next) = registers.get_mut(byte + 1) {
        *next = high;
    }
    true
}

/// Shows all values in order, four at a time, with the index of the first.
#[inline]
pub(super) fn for_each(registers: &[u8], mut each: impl FnMut(usize, [u8; 4])) {
    for (group, bytes) in registers.as_chunks::<3>().0.iter().enumerate() {
        let [low, middle, high] = *bytes;
        let values = [
            low & 63,
            low >> 6 | middle << 2 & 63,
            middle >> 4 | high << 4 & 63,
            high >> 2,
        ];
        each(group * 4, values);
    }
}
