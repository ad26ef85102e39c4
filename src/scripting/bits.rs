//! The library `bit`: operations on 32 bits, with results from -2^31 to 2^31 - 1.
//!
//! Behaviour of `BitOp` as Redis 7.0.15 ships it, observed there.

use std::ffi::c_int;

use crate::engine::lua::{Lua, Raise};
use crate::engine::native::{Results, native};

/// Pushes the table of the library.
pub(crate) fn push_library(lua: &mut Lua<'_>) -> Result<(), Raise> {
    lua.push_table(0, 12)?;
    for (name, function) in [
        (&b"tobit"[..], native(to_bit)),
        (b"tohex", native(to_hex)),
        (b"bnot", native(not)),
        (b"band", native(and)),
        (b"bor", native(or)),
        (b"bxor", native(xor)),
        (b"lshift", native(shift_left)),
        (b"rshift", native(shift_right)),
        (b"arshift", native(shift_right_signed)),
        (b"rol", native(rotate_left)),
        (b"ror", native(rotate_right)),
        (b"bswap", native(swap)),
    ] {
        lua.push_native(function)?;
        lua.raw_set_field(-2, name)?;
    }
    Ok(())
}

/// The low 32 bits of argument `number`, rounded to an integer first.
fn argument(lua: &Lua<'_>, number: c_int) -> Result<u32, Raise> {
    // Adding 1.5 * 2^52 leaves the integer in the low bits of the double, whatever its sign.
    const SHIFT: f64 = 6_755_399_441_055_744.0;
    let bits = (lua.check_number(number)? + SHIFT).to_bits();
    Ok(u32::try_from(bits & 0xffff_ffff).unwrap_or(0))
}

fn give(lua: &mut Lua<'_>, bits: u32) -> Results {
    lua.push_number(f64::from(bits.cast_signed()))?;
    Ok(1)
}

fn to_bit(lua: &mut Lua<'_>) -> Results {
    let bits = argument(lua, 1)?;
    give(lua, bits)
}

fn not(lua: &mut Lua<'_>) -> Results {
    let bits = argument(lua, 1)?;
    give(lua, !bits)
}

fn swap(lua: &mut Lua<'_>) -> Results {
    let bits = argument(lua, 1)?;
    give(lua, bits.swap_bytes())
}

fn and(lua: &mut Lua<'_>) -> Results {
    fold(lua, |left, right| left & right)
}

fn or(lua: &mut Lua<'_>) -> Results {
    fold(lua, |left, right| left | right)
}

fn xor(lua: &mut Lua<'_>) -> Results {
    fold(lua, |left, right| left ^ right)
}

/// Joins all arguments, of which there is at least one.
fn fold(lua: &mut Lua<'_>, join: fn(u32, u32) -> u32) -> Results {
    let mut bits = argument(lua, 1)?;
    for number in 2..=lua.top() {
        bits = join(bits, argument(lua, number)?);
    }
    give(lua, bits)
}

fn shift_left(lua: &mut Lua<'_>) -> Results {
    shift(lua, |bits, count| bits << count)
}

fn shift_right(lua: &mut Lua<'_>) -> Results {
    shift(lua, |bits, count| bits >> count)
}

fn shift_right_signed(lua: &mut Lua<'_>) -> Results {
    shift(lua, |bits, count| {
        (bits.cast_signed() >> count).cast_unsigned()
    })
}

fn rotate_left(lua: &mut Lua<'_>) -> Results {
    shift(lua, u32::rotate_left)
}

fn rotate_right(lua: &mut Lua<'_>) -> Results {
    shift(lua, u32::rotate_right)
}

/// Moves the bits by the low five bits of the second argument.
fn shift(lua: &mut Lua<'_>, by: fn(u32, u32) -> u32) -> Results {
    let bits = argument(lua, 1)?;
    let count = argument(lua, 2)? & 31;
    give(lua, by(bits, count))
}

/// Hexadecimal digits, the low ones; as many as the second argument says, capitals if that is negative.
fn to_hex(lua: &mut Lua<'_>) -> Results {
    let bits = argument(lua, 1)?;
    let wanted = if lua.top() < 2 {
        8
    } else {
        argument(lua, 2)?.cast_signed()
    };
    let count = usize::try_from(wanted.unsigned_abs().min(8)).unwrap_or(8);
    let all = if wanted < 0 {
        format!("{bits:08X}")
    } else {
        format!("{bits:08x}")
    };
    lua.push_bytes(&all.as_bytes()[8 - count..])?;
    Ok(1)
}
