//! The library `struct`: values to bytes and back, as a format says.
//!
//! | Letter | Bytes |
//! |---|---|
//! | `b` `B`, `h` `H`, `l` `L`, `T` | integers of 1, 2, 8, 8 bytes; capitals and `T` without sign |
//! | `i` `I` with a number | integers of so many bytes, at most 32; 4 without |
//! | `f`, `d` | floats of 4, 8 bytes |
//! | `s` | a string up to its zero byte |
//! | `c` with a number | so many bytes; of `c0`, as many as the number before says; 1 without |
//! | `x` | one byte of padding |
//! | `>` `<`, `!` with a number | order of bytes from here on; alignment from here on, 8 without |
//!
//! Behaviour of `struct` 0.2 as Redis 7.0.15 ships it, observed there.

use std::ffi::c_int;

use base::cast::u64_from;

use crate::answer::truncated;
use crate::engine::lua::{Kind, Lua, Raise};
use crate::engine::native::{Results, native};

/// Bytes of the longest integer.
const INTEGER_BYTES_MAX: usize = 32;

/// Alignment that `!` alone asks for.
const ALIGNMENT: usize = 8;

/// Pushes the table of the library.
pub(crate) fn push_library(lua: &mut Lua<'_>) -> Result<(), Raise> {
    lua.push_table(0, 3)?;
    for (name, function) in [
        (&b"pack"[..], native(pack)),
        (b"unpack", native(unpack)),
        (b"size", native(size)),
    ] {
        lua.push_native(function)?;
        lua.raw_set_field(-2, name)?;
    }
    Ok(())
}

/// A format being read.
struct Format {
    letters: Vec<u8>,
    at: usize,
    is_big_endian: bool,
    alignment: usize,
}

/// One letter of a format, with the bytes it stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Item {
    letter: u8,
    size: usize,
}

impl Format {
    fn new(letters: &[u8]) -> Self {
        Self {
            letters: letters.to_vec(),
            at: 0,
            is_big_endian: false,
            alignment: 1,
        }
    }

    /// The next letter that stands for bytes; those between only change the state.
    ///
    /// # Errors
    ///
    /// For sizes that are too large. Letters that mean nothing are given out with no bytes.
    fn next(&mut self) -> Result<Option<Item>, Raise> {
        while let Some(&letter) = self.letters.get(self.at) {
            self.at += 1;
            let size = match letter {
                b'b' | b'B' | b'x' => 1,
                b'h' | b'H' => 2,
                b'l' | b'L' | b'T' | b'd' => 8,
                b'f' => 4,
                b'c' => self.number(1)?,
                b'i' | b'I' => {
                    let size = self.number(4)?;
                    if size > INTEGER_BYTES_MAX {
                        return Err(Raise::text(format!(
                            "integral size {size} is larger than limit of {INTEGER_BYTES_MAX}"
                        )));
                    }
                    size
                }
                b' ' => continue,
                b'>' | b'<' => {
                    self.is_big_endian = letter == b'>';
                    continue;
                }
                b'!' => {
                    let alignment = self.number(ALIGNMENT)?;
                    if !alignment.is_power_of_two() {
                        return Err(Raise::text(format!(
                            "alignment {alignment} is not a power of 2"
                        )));
                    }
                    self.alignment = alignment;
                    continue;
                }
                _ => 0,
            };
            return Ok(Some(Item { letter, size }));
        }
        Ok(None)
    }

    /// The number that stands next, or `default`.
    fn number(&mut self, default: usize) -> Result<usize, Raise> {
        let start = self.at;
        let mut value: i32 = 0;
        while let Some(digit) = self
            .letters
            .get(self.at)
            .filter(|byte| byte.is_ascii_digit())
        {
            value = value
                .checked_mul(10)
                .and_then(|value| value.checked_add(i32::from(digit - b'0')))
                .ok_or_else(|| Raise::text("integral size overflow"))?;
            self.at += 1;
        }
        if self.at == start {
            return Ok(default);
        }
        Ok(usize::try_from(value).unwrap_or(default))
    }

    /// Bytes of padding before an item that would begin at `at`.
    fn padding(&self, item: Item, at: usize) -> usize {
        let size = item.size.min(self.alignment);
        if item.letter == b'c' || size < 2 {
            return 0;
        }
        size.wrapping_sub(at & (size - 1)) & (size - 1)
    }
}

fn pack(lua: &mut Lua<'_>) -> Results {
    let mut format = Format::new(lua.check_text(1)?);
    // A missing argument reads as nil.
    let given = lua.top();
    lua.push_nil()?;
    let mut out = Vec::new();
    let mut number = 1;
    while let Some(item) = format.next()? {
        let padding = format.padding(item, out.len());
        out.resize(out.len() + padding, 0);
        match item.letter {
            b'x' => out.push(0),
            b's' => {
                number += 1;
                out.extend_from_slice(text_argument(lua, number, given)?);
                out.push(0);
            }
            b'c' => {
                number += 1;
                let text = text_argument(lua, number, given)?;
                let size = if item.size == 0 {
                    text.len()
                } else {
                    item.size
                };
                let Some(text) = text.get(..size) else {
                    return Err(lua.argument_error(number + 1, "string too short"));
                };
                out.extend_from_slice(text);
            }
            b'f' => {
                number += 1;
                #[expect(clippy::cast_possible_truncation, reason = "4 bytes are asked for")]
                let value = number_argument(lua, number, given)? as f32;
                write_ordered(&mut out, value.to_le_bytes(), format.is_big_endian);
            }
            b'd' => {
                number += 1;
                let value = number_argument(lua, number, given)?;
                write_ordered(&mut out, value.to_le_bytes(), format.is_big_endian);
            }
            b'b' | b'B' | b'h' | b'H' | b'i' | b'I' | b'l' | b'L' | b'T' => {
                number += 1;
                let value = integer_bits(number_argument(lua, number, given)?);
                let mut bytes = [0; INTEGER_BYTES_MAX];
                bytes[..8].copy_from_slice(&value.to_le_bytes());
                let bytes = &mut bytes[..item.size];
                if format.is_big_endian {
                    bytes.reverse();
                }
                out.extend_from_slice(bytes);
            }
            letter => return Err(bad_letter(lua, letter)),
        }
        let memory = lua.context().ledger.max_bytes();
        if out.len() > memory {
            return Err(Raise::Plain(b"not enough memory".to_vec()));
        }
    }
    lua.push_bytes(&out)?;
    Ok(1)
}

fn bad_letter(lua: &Lua<'_>, letter: u8) -> Raise {
    let letter = char::from(letter);
    lua.argument_error(1, &format!("invalid format option '{letter}'"))
}

/// Argument `number` of `given` ones, as text.
fn text_argument<'a>(lua: &'a mut Lua<'_>, number: c_int, given: c_int) -> Result<&'a [u8], Raise> {
    if number > given {
        return Err(lua.argument_error(number, "string expected, got nil"));
    }
    lua.check_text(number)
}

/// Argument `number` of `given` ones, as a number.
fn number_argument(lua: &Lua<'_>, number: c_int, given: c_int) -> Result<f64, Raise> {
    if number > given {
        return Err(lua.argument_error(number, "number expected, got nil"));
    }
    lua.check_number(number)
}

fn write_ordered<const N: usize>(out: &mut Vec<u8>, mut bytes: [u8; N], is_big_endian: bool) {
    if is_big_endian {
        bytes.reverse();
    }
    out.extend_from_slice(&bytes);
}

/// The 64 bits of a number as x86-64 converts it: negative ones with sign, others without.
fn integer_bits(value: f64) -> u64 {
    const HALF: f64 = 9_223_372_036_854_775_808.0;
    if value < HALF || value.is_nan() {
        truncated(value).cast_unsigned()
    } else {
        truncated(value - HALF).cast_unsigned() ^ (1 << 63)
    }
}

fn unpack(lua: &mut Lua<'_>) -> Results {
    let mut format = Format::new(lua.check_text(1)?);
    let data = lua.check_text(2)?.to_vec();
    let start = match lua.kind(3) {
        Kind::Absent | Kind::Nil => 1,
        _ => truncated(lua.check_number(3)?),
    };
    if start == 0 {
        return Err(lua.argument_error(3, "offset must be 1 or greater"));
    }
    let mut at = usize::try_from(start - 1).unwrap_or(usize::MAX / 2);
    let mut count = 0;
    while let Some(item) = format.next()? {
        at = at.saturating_add(format.padding(item, at));
        let bytes = slice(lua, &data, at, item.size)?;
        at += item.size;
        match item.letter {
            b'x' => continue,
            b's' => {
                let end = data[at..].iter().position(|&byte| byte == 0);
                let end = at + end.ok_or_else(|| Raise::text("unfinished string in data"))?;
                lua.push_bytes(&data[at..end])?;
                at = end + 1;
            }
            b'c' if item.size == 0 => {
                let size = if count > 0 { lua.number(-1) } else { None };
                let size = size.ok_or_else(|| Raise::text("format 'c0' needs a previous size"))?;
                let size = usize::try_from(truncated(size)).unwrap_or(usize::MAX);
                let bytes = slice(lua, &data, at, size)?;
                lua.pop(1);
                count -= 1;
                lua.push_bytes(bytes)?;
                at += size;
            }
            b'c' => lua.push_bytes(bytes)?,
            b'f' => {
                let bytes = ordered(bytes, format.is_big_endian);
                lua.push_number(f64::from(f32::from_le_bytes(bytes)))?;
            }
            b'd' => {
                let bytes = ordered(bytes, format.is_big_endian);
                lua.push_number(f64::from_le_bytes(bytes))?;
            }
            b'b' | b'h' | b'i' | b'l' => {
                lua.push_number(signed(fold(bytes, format.is_big_endian), item.size))?;
            }
            b'B' | b'H' | b'I' | b'L' | b'T' => {
                #[expect(clippy::cast_precision_loss, reason = "Lua has doubles only")]
                lua.push_number(fold(bytes, format.is_big_endian) as f64)?;
            }
            letter => return Err(bad_letter(lua, letter)),
        }
        count += 1;
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "a position in a string that is in memory"
    )]
    lua.push_number(u64_from(at + 1) as f64)?;
    Ok(count + 1)
}

/// `size` bytes from `at`.
fn slice<'a>(lua: &Lua<'_>, data: &'a [u8], at: usize, size: usize) -> Result<&'a [u8], Raise> {
    at.checked_add(size)
        .and_then(|end| data.get(at..end))
        .ok_or_else(|| lua.argument_error(2, "data string too short"))
}

/// `N` bytes, the least first.
fn ordered<const N: usize>(bytes: &[u8], is_big_endian: bool) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(bytes);
    if is_big_endian {
        out.reverse();
    }
    out
}

/// The integer in `bytes`; of more than 8, the low 64 bits.
fn fold(bytes: &[u8], is_big_endian: bool) -> u64 {
    let join = |value: u64, byte: &u8| (value << 8) | u64::from(*byte);
    if is_big_endian {
        bytes.iter().fold(0, join)
    } else {
        bytes.iter().rev().fold(0, join)
    }
}

/// An integer of `size` bytes with sign.
fn signed(value: u64, size: usize) -> f64 {
    let value = if (1..8).contains(&size) {
        let spare = 64 - 8 * size;
        (value << spare).cast_signed() >> spare
    } else {
        value.cast_signed()
    };
    #[expect(clippy::cast_precision_loss, reason = "Lua has doubles only")]
    let number = value as f64;
    number
}

fn size(lua: &mut Lua<'_>) -> Results {
    let mut format = Format::new(lua.check_text(1)?);
    let mut total = 0_usize;
    while let Some(item) = format.next()? {
        total = total.saturating_add(format.padding(item, total));
        if item.letter == b's' {
            return Err(lua.argument_error(1, "option 's' has no fixed size"));
        }
        if item.letter == b'c' && item.size == 0 {
            return Err(lua.argument_error(1, "option 'c0' has no fixed size"));
        }
        total = total.saturating_add(item.size);
    }
    #[expect(clippy::cast_precision_loss, reason = "Lua has doubles only")]
    lua.push_number(u64_from(total) as f64)?;
    Ok(1)
}
