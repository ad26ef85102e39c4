//! From RESP to Lua: what `redis.call` returns.
//!
//! | RESP | Lua |
//! |---|---|
//! | integer | number |
//! | bulk string | string |
//! | status, error | table with `ok`, `err` |
//! | array | table |
//! | null of RESP2; of RESP3 | false; nil |
//! | map, set | table with `map`, `set`: a table in it |
//! | double, big number, verbatim string | table with `double`, `big_number`, `verbatim_string` |
//! | boolean | boolean |
//!
//! Attributes are left out. Source: observed on Redis 7.0.15.

use crate::engine::fiber::has_stack_left;
use crate::engine::lua::{Lua, Raise};

/// Pushes the value that `encoded` begins with; returns how many bytes it had.
///
/// # Errors
///
/// If the bytes are no whole value, or it nests deeper than the stack allows.
pub(crate) fn push_reply(lua: &mut Lua<'_>, encoded: &[u8]) -> Result<usize, Raise> {
    if !has_stack_left(lua.context()) {
        return Err(Raise::text("reply is nested too deep"));
    }
    lua.reserve(4)?;
    let (line, used) = split_line(encoded)?;
    let (&mark, text) = line.split_first().ok_or_else(broken)?;
    match mark {
        b':' => push_integer(lua, text)?,
        b'+' => push_field(lua, b"ok", text)?,
        b'-' => push_field(lua, b"err", text)?,
        b'$' | b'=' if text != b"-1" => return push_string(lua, mark, text, encoded, used),
        b'*' | b'~' | b'%' | b'|' if text != b"-1" => {
            return push_collection(lua, mark, count(text)?, encoded, used);
        }
        b'$' | b'=' | b'*' => lua.push_boolean(false)?,
        b'_' => lua.push_nil()?,
        b'#' => lua.push_boolean(text == b"t")?,
        b',' => {
            let value = parse_double(text).ok_or_else(broken)?;
            lua.push_table(0, 1)?;
            lua.push_number(value)?;
            lua.raw_set_field(-2, b"double")?;
        }
        b'(' => push_field(lua, b"big_number", text)?,
        _ => return Err(broken()),
    }
    Ok(used)
}

fn broken() -> Raise {
    Raise::text("the reply is no RESP")
}

/// The first line without its end, and how many bytes it has with it.
fn split_line(encoded: &[u8]) -> Result<(&[u8], usize), Raise> {
    let end = encoded
        .windows(2)
        .position(|pair| pair == b"\r\n")
        .ok_or_else(broken)?;
    Ok((&encoded[..end], end + 2))
}

fn count(text: &[u8]) -> Result<usize, Raise> {
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(broken)
}

/// A double as RESP3 writes it, infinities and NaN included.
fn parse_double(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn push_integer(lua: &mut Lua<'_>, text: &[u8]) -> Result<(), Raise> {
    let value = base::number::parse_i64(text).ok_or_else(broken)?;
    #[expect(
        clippy::cast_precision_loss,
        reason = "Lua has doubles only; integers above 2^53 are rounded, as in Redis"
    )]
    lua.push_number(value as f64)
}

/// A table with one field of text.
fn push_field(lua: &mut Lua<'_>, name: &[u8], text: &[u8]) -> Result<(), Raise> {
    lua.push_table(0, 1)?;
    lua.push_bytes(text)?;
    lua.raw_set_field(-2, name)
}

fn push_string(
    lua: &mut Lua<'_>,
    mark: u8,
    len: &[u8],
    encoded: &[u8],
    used: usize,
) -> Result<usize, Raise> {
    let end = used.checked_add(count(len)?).ok_or_else(broken)?;
    let bytes = encoded.get(used..end).ok_or_else(broken)?;
    if mark == b'$' {
        lua.push_bytes(bytes)?;
    } else {
        let (format, text) = bytes.split_at_checked(4).ok_or_else(broken)?;
        lua.push_table(0, 1)?;
        lua.push_table(0, 2)?;
        lua.push_bytes(text)?;
        lua.raw_set_field(-2, b"string")?;
        lua.push_bytes(&format[..3])?;
        lua.raw_set_field(-2, b"format")?;
        lua.raw_set_field(-2, b"verbatim_string")?;
    }
    Ok(end + 2)
}

fn push_collection(
    lua: &mut Lua<'_>,
    mark: u8,
    len: usize,
    encoded: &[u8],
    mut used: usize,
) -> Result<usize, Raise> {
    let rest = |used: usize| encoded.get(used..).ok_or_else(broken);
    if mark == b'|' {
        for _ in 0..2 * len {
            used += push_reply(lua, rest(used)?)?;
            lua.pop(1);
        }
        return Ok(used + push_reply(lua, rest(used)?)?);
    }
    if mark == b'*' {
        lua.push_table(len, 0)?;
        for position in 1..=len {
            used += push_reply(lua, rest(used)?)?;
            lua.raw_set_item(-2, position);
        }
        return Ok(used);
    }
    lua.push_table(0, 1)?;
    lua.push_table(0, len)?;
    for _ in 0..len {
        used += push_reply(lua, rest(used)?)?;
        if mark == b'%' {
            used += push_reply(lua, rest(used)?)?;
        } else {
            lua.push_boolean(true)?;
        }
        lua.raw_set(-3)?;
    }
    lua.raw_set_field(-2, if mark == b'%' { b"map" } else { b"set" })?;
    Ok(used)
}
