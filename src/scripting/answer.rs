//! From Lua to RESP: what a script returns to the client.
//!
//! Strings, numbers cut to integers, and booleans are what they look like; false is null in RESP2. A table is
//! what its first field of these names says: `err`, `ok`, `double`, `map`, `set`, `big_number`,
//! `verbatim_string`; else the array of its items up to the first nil. Everything else is null.
//!
//! Metatables play no part. Source: observed on Redis 7.0.15.

use protocol::reply::{Reply, Resp};

use crate::engine::fiber::has_stack_left;
use crate::engine::lua::{Kind, Lua, Raise};

/// What Redis says of a table that is nested too deep.
const TOO_DEEP: &str = "ERR reached lua stack limit";

/// Takes the value on top and appends it to `out` in version `client` of the protocol.
///
/// `script` is the version that the script chose; it decides about booleans.
///
/// # Errors
///
/// If the stack of the script has no room; `out` is cut back then.
pub(crate) fn write_answer(
    lua: &mut Lua<'_>,
    client: Resp,
    out: &mut Vec<u8>,
) -> Result<(), Raise> {
    let mut reply = Reply::new(out, client);
    if !has_stack_left(lua.context()) || lua.reserve(4).is_err() {
        reply.error(TOO_DEEP);
        lua.pop(1);
        return Ok(());
    }
    match lua.kind(-1) {
        Kind::String => reply.bulk(lua.bytes(-1).unwrap_or_default()),
        Kind::Number => reply.integer(truncated(lua.number(-1).unwrap_or_default())),
        Kind::Boolean => match (client, lua.context().resp.get(), lua.is_true(-1)) {
            (_, Resp::V3, value) => reply.boolean(value),
            (_, Resp::V2, true) => reply.integer(1),
            (_, Resp::V2, false) => reply.null(),
        },
        Kind::Table => return write_table(lua, client, out),
        Kind::Absent
        | Kind::Nil
        | Kind::LightUserdata
        | Kind::Function
        | Kind::Userdata
        | Kind::Thread => reply.null(),
    }
    lua.pop(1);
    Ok(())
}

/// A number as the integer below it in size; what no `i64` can be becomes the smallest, as on x86-64.
pub(crate) fn truncated(value: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&value) {
        #[expect(clippy::cast_possible_truncation, reason = "the fraction is cut off")]
        let integer = value as i64;
        integer
    } else {
        i64::MIN
    }
}

/// Takes the table on top.
fn write_table(lua: &mut Lua<'_>, client: Resp, out: &mut Vec<u8>) -> Result<(), Raise> {
    let table = lua.top();
    if write_special(lua, client, out)? {
        lua.set_top(table - 1);
        return Ok(());
    }
    lua.set_top(table);
    let mut len = 0;
    // The count stands before the items, and ends with the first nil.
    loop {
        lua.raw_item(table, len + 1)?;
        let is_end = lua.kind(-1) == Kind::Nil;
        lua.pop(1);
        if is_end {
            break;
        }
        len += 1;
    }
    Reply::new(out, client).array(len);
    for position in 1..=len {
        lua.raw_item(table, position)?;
        write_answer(lua, client, out)?;
    }
    lua.set_top(table - 1);
    Ok(())
}

/// Writes the table on top if one of its fields says what it is. Leaves values on the stack.
fn write_special(lua: &mut Lua<'_>, client: Resp, out: &mut Vec<u8>) -> Result<bool, Raise> {
    lua.raw_field(-1, b"err")?;
    if let Some(text) = lua.bytes(-1) {
        write_line(out, b'-', text);
        return Ok(true);
    }
    lua.pop(1);
    lua.raw_field(-1, b"ok")?;
    if let Some(text) = lua.bytes(-1) {
        write_line(out, b'+', text);
        return Ok(true);
    }
    lua.pop(1);
    lua.raw_field(-1, b"double")?;
    if lua.kind(-1) == Kind::Number {
        Reply::new(out, client).double(lua.number(-1).unwrap_or_default());
        return Ok(true);
    }
    lua.pop(1);
    lua.raw_field(-1, b"map")?;
    if lua.kind(-1) == Kind::Table {
        write_pairs(lua, client, out, true)?;
        return Ok(true);
    }
    lua.pop(1);
    lua.raw_field(-1, b"set")?;
    if lua.kind(-1) == Kind::Table {
        write_pairs(lua, client, out, false)?;
        return Ok(true);
    }
    lua.pop(1);
    lua.raw_field(-1, b"big_number")?;
    if let Some(digits) = lua.bytes(-1) {
        let digits = String::from_utf8_lossy(digits).replace(['\r', '\n'], " ");
        Reply::new(out, client).big_number(&digits);
        return Ok(true);
    }
    lua.pop(1);
    lua.raw_field(-1, b"verbatim_string")?;
    if lua.kind(-1) == Kind::Table {
        return write_verbatim(lua, client, out);
    }
    lua.pop(1);
    Ok(false)
}

/// Writes the table on top as a map, or its keys as a set.
fn write_pairs(
    lua: &mut Lua<'_>,
    client: Resp,
    out: &mut Vec<u8>,
    is_map: bool,
) -> Result<(), Raise> {
    let table = lua.top();
    let mut len = 0;
    lua.push_nil()?;
    while lua.next(table)? {
        len += 1;
        lua.pop(1);
    }
    if is_map {
        Reply::new(out, client).map(len);
    } else {
        Reply::new(out, client).set(len);
    }
    lua.push_nil()?;
    while lua.next(table)? {
        // The key stays for the next step.
        if !is_map {
            lua.pop(1);
            lua.push_copy(-1)?;
            write_answer(lua, client, out)?;
            continue;
        }
        lua.push_copy(-2)?;
        write_answer(lua, client, out)?;
        write_answer(lua, client, out)?;
    }
    Ok(())
}

/// Writes the table on top, if it has both fields of a verbatim string.
fn write_verbatim(lua: &mut Lua<'_>, client: Resp, out: &mut Vec<u8>) -> Result<bool, Raise> {
    let table = lua.top();
    lua.raw_field(table, b"format")?;
    lua.raw_field(table, b"string")?;
    let (Some(format), Some(text)) = (lua.bytes(-2), lua.bytes(-1)) else {
        return Ok(false);
    };
    let mut kind = [b' '; 3];
    for (letter, &given) in kind.iter_mut().zip(format) {
        *letter = if given.is_ascii_graphic() {
            given
        } else {
            b' '
        };
    }
    let kind = std::str::from_utf8(&kind).unwrap_or("txt");
    Reply::new(out, client).verbatim(kind, text);
    Ok(true)
}

/// A line of any bytes; CR and LF become spaces.
pub(crate) fn write_line(out: &mut Vec<u8>, mark: u8, text: &[u8]) {
    out.push(mark);
    out.extend(text.iter().map(|&byte| match byte {
        b'\r' | b'\n' => b' ',
        other => other,
    }));
    out.extend_from_slice(b"\r\n");
}
