//! Registers as runs of equal ones.
//!
//! ```text
//! 00llllll           1 to 64 registers of value 0        (zeros)
//! 01llllll llllllll  1 to 16384 registers of value 0     (many zeros)
//! 1vvvvvll           1 to 4 registers of value 1 to 32   (values)
//! ```
//!
//! Each number is stored less one, the length of many zeros high byte first. The runs cover all
//! registers in order. A run that ends with the string in the middle of its two bytes is read as if a
//! zero byte followed, as Redis does.

use std::fmt::Write as _;
use std::ops::Range;

use super::{Corrupted, REGISTERS};

const ZEROS_MAX: usize = 64;
const VALUES_MAX: usize = 4;
const VALUE_MAX: u8 = 32;

/// Opcodes that are looked at after a change, to join neighbours.
const JOINED_OPCODES: usize = 5;

/// One opcode, unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    value: u8,
    /// Registers, at least 1.
    len: usize,
    /// Length of the opcode.
    bytes: usize,
}

impl Run {
    fn read(bytes: &[u8], at: usize) -> Option<Self> {
        let first = *bytes.get(at)?;
        let low = usize::from(first & 0x3F);
        Some(match first >> 6 {
            0 => Self {
                value: 0,
                len: low + 1,
                bytes: 1,
            },
            1 => Self {
                value: 0,
                len: (low << 8 | usize::from(bytes.get(at + 1).copied().unwrap_or(0))) + 1,
                bytes: 2,
            },
            _ => Self {
                value: (first >> 2 & 0x1F) + 1,
                len: usize::from(first & 3) + 1,
                bytes: 1,
            },
        })
    }
}

/// The run that covers a register.
struct Place {
    run: Run,
    /// Where its opcode begins.
    at: usize,
    /// Where the opcode before it begins; its own begin if it is the first.
    before: usize,
    /// Its first register.
    first: usize,
}

/// Shows every run of registers above 0, and returns how many registers are 0. O(bytes).
///
/// # Errors
///
/// [`Corrupted`] if the runs do not cover all registers exactly. No run beyond them was shown.
pub(super) fn for_each_value(
    runs: &[u8],
    mut each: impl FnMut(Range<usize>, u8),
) -> Result<usize, Corrupted> {
    let (mut at, mut first, mut zeros) = (0, 0, 0);
    while let Some(run) = Run::read(runs, at) {
        at += run.bytes;
        let end = first + run.len;
        if end > REGISTERS {
            return Err(Corrupted);
        }
        if run.value == 0 {
            zeros += run.len;
        } else {
            each(first..end, run.value);
        }
        first = end;
    }
    if first == REGISTERS {
        Ok(zeros)
    } else {
        Err(Corrupted)
    }
}

/// Raises a register to `value`, if it is below. Returns whether it was; `None` if the string has to
/// become dense for it. `bytes` is the whole string, whose runs begin at `start`. O(bytes).
///
/// # Errors
///
/// [`Corrupted`] if no run covers the register. Nothing is changed then, nor with `None`.
pub(super) fn raise(
    bytes: &mut Vec<u8>,
    start: usize,
    index: usize,
    value: u8,
    bytes_max: usize,
) -> Result<Option<bool>, Corrupted> {
    if value > VALUE_MAX {
        return Ok(None);
    }
    let place = find(bytes, start, index)?;
    if place.run.value >= value {
        return Ok(Some(false));
    }
    let parts = split(&place, index, value);
    let end = place.at + place.run.bytes;
    if end > bytes.len() {
        return Err(Corrupted);
    }
    let len = bytes.len() - place.run.bytes + parts.len();
    if len > bytes.len() && len > bytes_max {
        return Ok(None);
    }
    bytes.splice(place.at..end, parts);
    join_neighbours(bytes, place.before);
    Ok(Some(true))
}

fn find(bytes: &[u8], start: usize, index: usize) -> Result<Place, Corrupted> {
    let (mut at, mut before, mut first) = (start, start, 0);
    while let Some(run) = Run::read(bytes, at) {
        if index < first + run.len {
            return Ok(Place {
                run,
                at,
                before,
                first,
            });
        }
        before = at;
        at += run.bytes;
        first += run.len;
    }
    Err(Corrupted)
}

/// Returns the opcodes of a run of which one register has become `value`: one to three runs.
fn split(place: &Place, index: usize, value: u8) -> Vec<u8> {
    let mut parts = Vec::with_capacity(5);
    let before = index - place.first;
    push(&mut parts, place.run.value, before);
    push(&mut parts, value, 1);
    push(&mut parts, place.run.value, place.run.len - before - 1);
    parts
}

/// Appends the opcode of a run; nothing if it is empty. A run of values is no longer than what one
/// opcode holds.
fn push(out: &mut Vec<u8>, value: u8, len: usize) {
    if len == 0 {
        return;
    }
    if value == 0 {
        push_zeros(out, len);
        return;
    }
    let len = u8::try_from(len - 1).expect("a run of values is a part of one opcode");
    out.push(0x80 | ((value - 1) << 2) | len);
}

/// Appends the opcode of 1 to 16384 registers of value 0.
pub(super) fn push_zeros(out: &mut Vec<u8>, len: usize) {
    let stored = u16::try_from(len - 1).expect("there are 16384 registers");
    let [high, low] = stored.to_be_bytes();
    if len > ZEROS_MAX {
        out.push(0x40 | high);
    }
    out.push(low);
}

/// Joins runs of one value where one opcode holds both, in a few opcodes from `at` on.
fn join_neighbours(bytes: &mut Vec<u8>, mut at: usize) {
    for _ in 0..JOINED_OPCODES {
        let Some(run) = Run::read(bytes, at) else {
            return;
        };
        if run.value > 0
            && let Some(next) = Run::read(bytes, at + 1)
            && next.value == run.value
            && run.len + next.len <= VALUES_MAX
        {
            bytes.remove(at);
            let len = u8::try_from(run.len + next.len - 1).expect("at most four registers");
            bytes[at] = 0x80 | ((run.value - 1) << 2) | len;
            // The joined run may fit to the one behind it as well.
            continue;
        }
        at += run.bytes;
    }
}

/// Returns all opcodes as words: `z:` for zeros, `Z:` for many zeros, `v:value,length`.
pub(super) fn describe(runs: &[u8]) -> String {
    let mut text = String::new();
    let mut at = 0;
    while let Some(run) = Run::read(runs, at) {
        at += run.bytes;
        let separator = if text.is_empty() { "" } else { " " };
        let written = match (run.value, run.bytes) {
            (0, 1) => write!(text, "{separator}z:{}", run.len),
            (0, _) => write!(text, "{separator}Z:{}", run.len),
            (value, _) => write!(text, "{separator}v:{value},{}", run.len),
        };
        written.expect("a String takes everything");
    }
    text
}
