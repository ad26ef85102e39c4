//! Functions of Lua's libraries that see through read-only tables, or refuse to change them.
//!
//! A read-only table is an empty one in front of a hidden one (`Lua::make_read_only`). Reading it
//! works by itself; what looks into a table directly (`next`, `rawget`) is given the hidden one here,
//! and what writes directly (`rawset`, `table.insert`) an error. Patterns are bounded too, because
//! Lua's matcher recurses by their length without looking at the stack.
//!
//! Not here: functions that raise nothing of Lua's own; those are plain native functions.

#![expect(
    unsafe_code,
    reason = "these call functions of Lua that may raise: frames with nothing to drop"
)]

use std::ffi::c_int;

use mlua_sys as sys;

use super::lua::{Lua, Raise, mark};

/// First byte of compiled code, which Lua would trust.
const COMPILED_MARK: u8 = 0x1b;

/// Most letters of a pattern at which the matcher may recurse. Each costs it some hundred bytes.
const PATTERN_RECURSIONS_MAX: usize = 600;

/// What writing to a read-only table answers.
pub(crate) const READ_ONLY: &str = "Attempt to modify a readonly table";

/// How a function of Lua treats its first argument.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Guard {
    /// Reads the table.
    Reads,
    /// Writes to the table.
    Writes,
    /// Takes a pattern as its second argument.
    Matches,
    /// Takes a function that gives the pieces of a source.
    Loads,
}

/// Functions of the libraries with their guards.
const GUARDED: &[(&[u8], &[u8], Guard)] = &[
    (b"", b"next", Guard::Reads),
    (b"", b"rawget", Guard::Reads),
    (b"", b"rawset", Guard::Writes),
    (b"", b"setmetatable", Guard::Writes),
    (b"", b"load", Guard::Loads),
    (b"table", b"insert", Guard::Writes),
    (b"table", b"remove", Guard::Writes),
    (b"table", b"sort", Guard::Writes),
    (b"table", b"foreach", Guard::Reads),
    (b"table", b"foreachi", Guard::Reads),
    (b"table", b"getn", Guard::Reads),
    (b"table", b"maxn", Guard::Reads),
    (b"string", b"find", Guard::Matches),
    (b"string", b"match", Guard::Matches),
    (b"string", b"gmatch", Guard::Matches),
    (b"string", b"gfind", Guard::Matches),
    (b"string", b"gsub", Guard::Matches),
];

/// Puts guards around the functions of Lua's libraries, which lie in the globals of `lua`.
pub(crate) fn install(lua: &mut Lua<'_>) -> Result<(), Raise> {
    for &(library, name, guard) in GUARDED {
        lua.push_globals()?;
        if !library.is_empty() {
            lua.raw_field(-1, library)?;
        }
        lua.raw_field(-1, name)?;
        lua.wrap_native(match guard {
            Guard::Reads => reads,
            Guard::Writes => writes,
            Guard::Matches => matches,
            Guard::Loads => loads,
        });
        lua.raw_set_field(-2, name)?;
        lua.set_top(0);
    }
    // `pairs` hands out the guarded `next` and the read-only table, never the hidden one.
    lua.push_globals()?;
    lua.raw_field(-1, b"next")?;
    lua.wrap_native(pairs);
    lua.raw_set_field(-2, b"pairs")?;
    lua.push_native(pcall)?;
    lua.raw_set_field(-2, b"pcall")?;
    lua.push_native(xpcall)?;
    lua.raw_set_field(-2, b"xpcall")?;
    lua.set_top(0);
    Ok(())
}

/// Calls the function in the first upvalue as if it had been called itself.
///
/// # Safety
///
/// For native functions made by [`install`], with their state.
unsafe fn pass_on(raw: *mut sys::lua_State) -> c_int {
    // SAFETY: the upvalue is a function of Lua's libraries.
    let function = unsafe { sys::lua_tocfunction(raw, sys::lua_upvalueindex(1)) };
    match function {
        // SAFETY: it gets the state and arguments that it would have got.
        Some(function) => unsafe { function(raw) },
        None => 0,
    }
}

/// Pushes the hidden table behind argument 1, if that is read-only.
///
/// # Safety
///
/// As [`pass_on`].
unsafe fn push_hidden(raw: *mut sys::lua_State) -> bool {
    // SAFETY: index 1 may be absent, which reads as such.
    if unsafe { sys::lua_type(raw, 1) } != sys::LUA_TTABLE {
        return false;
    }
    // SAFETY: the value exists; a C function always has room for a few values.
    if unsafe { sys::lua_getmetatable(raw, 1) } == 0 {
        return false;
    }
    // SAFETY: there is room.
    unsafe { sys::lua_pushlightuserdata(raw, mark()) };
    // SAFETY: the metatable is a table, the key is on top of it.
    unsafe { sys::lua_rawget_(raw, -2) };
    // SAFETY: the metatable lies below the top.
    unsafe { sys::lua_remove(raw, -2) };
    // SAFETY: there is a value on top.
    if unsafe { sys::lua_type(raw, -1) } == sys::LUA_TTABLE {
        return true;
    }
    // SAFETY: there is a value on top.
    unsafe { sys::lua_settop(raw, -2) };
    false
}

/// Looks into the hidden table where it is given a read-only one.
unsafe extern "C-unwind" fn reads(raw: *mut sys::lua_State) -> c_int {
    // SAFETY: called by Lua as it was installed.
    if unsafe { push_hidden(raw) } {
        // SAFETY: argument 1 exists, and a value is on top.
        unsafe { sys::lua_replace(raw, 1) };
    }
    // SAFETY: called by Lua as it was installed.
    unsafe { pass_on(raw) }
}

/// Refuses to write to a read-only table.
unsafe extern "C-unwind" fn writes(raw: *mut sys::lua_State) -> c_int {
    // SAFETY: called by Lua as it was installed.
    if unsafe { push_hidden(raw) } {
        // SAFETY: the bytes are those of a constant; this frame has nothing to drop.
        unsafe { sys::lua_pushlstring_(raw, READ_ONLY.as_ptr().cast(), READ_ONLY.len()) };
        // SAFETY: the text is on top, and this frame has nothing to drop.
        unsafe { sys::lua_error(raw) }
    }
    // SAFETY: called by Lua as it was installed.
    unsafe { pass_on(raw) }
}

/// Refuses patterns for which the matcher could run out of stack.
unsafe extern "C-unwind" fn matches(raw: *mut sys::lua_State) -> c_int {
    // SAFETY: index 2 may be absent, which reads as such.
    if unsafe { sys::lua_type(raw, 2) } == sys::LUA_TSTRING {
        let mut len = 0_usize;
        // SAFETY: the value is a string, so nothing is converted.
        let start = unsafe { sys::lua_tolstring(raw, 2, &raw mut len) };
        // SAFETY: the string stays in place while it is an argument.
        let pattern = unsafe { std::slice::from_raw_parts(start.cast::<u8>(), len) };
        if len > PATTERN_RECURSIONS_MAX && recursion_count(pattern) > PATTERN_RECURSIONS_MAX {
            const TEXT: &str = "pattern too complex";
            // SAFETY: level 1 may be absent, which gives an empty text.
            unsafe { sys::luaL_where(raw, 1) };
            // SAFETY: the bytes are those of a constant.
            unsafe { sys::lua_pushlstring_(raw, TEXT.as_ptr().cast(), TEXT.len()) };
            // SAFETY: two strings are on top.
            unsafe { sys::lua_concat(raw, 2) };
            // SAFETY: the text is on top, and this frame has nothing to drop.
            unsafe { sys::lua_error(raw) }
        }
    }
    // SAFETY: called by Lua as it was installed.
    unsafe { pass_on(raw) }
}

/// Gives `load` a function that calls the given one and marks compiled code as text.
unsafe extern "C-unwind" fn loads(raw: *mut sys::lua_State) -> c_int {
    // SAFETY: index 1 may be absent, which reads as such.
    if unsafe { sys::lua_type(raw, 1) } == sys::LUA_TFUNCTION {
        // SAFETY: argument 1 exists; a C function always has room for a few values.
        unsafe { sys::lua_pushvalue(raw, 1) };
        // SAFETY: there is room.
        unsafe { sys::lua_pushboolean(raw, 0) };
        // SAFETY: two values are on top.
        unsafe { sys::lua_pushcclosure(raw, next_piece, 2) };
        // SAFETY: argument 1 exists, and a value is on top.
        unsafe { sys::lua_replace(raw, 1) };
    }
    // SAFETY: called by Lua as it was installed.
    unsafe { pass_on(raw) }
}

/// Calls the function in the first upvalue; puts a space before its first piece if that is no text. The
/// second upvalue says whether there was a piece.
unsafe extern "C-unwind" fn next_piece(raw: *mut sys::lua_State) -> c_int {
    // SAFETY: the upvalue exists; a C function always has room for a few values.
    unsafe { sys::lua_pushvalue(raw, sys::lua_upvalueindex(1)) };
    // SAFETY: the function is on top; this frame has nothing to drop.
    unsafe { sys::lua_call(raw, 0, 1) };
    // SAFETY: the upvalue exists.
    let is_later = unsafe { sys::lua_toboolean(raw, sys::lua_upvalueindex(2)) } != 0;
    // SAFETY: a value is on top.
    if is_later || unsafe { sys::lua_type(raw, -1) } != sys::LUA_TSTRING {
        return 1;
    }
    // SAFETY: there is room.
    unsafe { sys::lua_pushboolean(raw, 1) };
    // SAFETY: the upvalue exists, and a value is on top.
    unsafe { sys::lua_replace(raw, sys::lua_upvalueindex(2)) };
    let mut len = 0_usize;
    // SAFETY: a string is on top, so nothing is converted.
    let start = unsafe { sys::lua_tolstring(raw, -1, &raw mut len) };
    // SAFETY: the string has a first byte, or the zero that ends every string.
    if unsafe { start.cast::<u8>().read() } == COMPILED_MARK {
        // SAFETY: there is room.
        unsafe { sys::lua_pushlstring_(raw, c" ".as_ptr(), 1) };
        // SAFETY: two values are on top.
        unsafe { sys::lua_insert(raw, -2) };
        // SAFETY: two strings are on top.
        unsafe { sys::lua_concat(raw, 2) };
    }
    1
}

/// Counts the letters at which the matcher may go one level deeper.
fn recursion_count(pattern: &[u8]) -> usize {
    let deepens = |byte: &&u8| matches!(byte, b'*' | b'+' | b'-' | b'?' | b'(' | b')');
    pattern.iter().filter(deepens).count()
}

/// `pairs`, with the guarded `next` as its upvalue.
unsafe extern "C-unwind" fn pairs(raw: *mut sys::lua_State) -> c_int {
    // SAFETY: raises for what is no table; this frame has nothing to drop.
    unsafe { sys::luaL_checktype(raw, 1, sys::LUA_TTABLE) };
    // SAFETY: the upvalue exists; a C function always has room for a few values.
    unsafe { sys::lua_pushvalue(raw, sys::lua_upvalueindex(1)) };
    // SAFETY: argument 1 exists.
    unsafe { sys::lua_pushvalue(raw, 1) };
    // SAFETY: there is room.
    unsafe { sys::lua_pushnil(raw) };
    3
}

/// `pcall`, which gives the text of an error in place of the table that carries it.
unsafe extern "C-unwind" fn pcall(raw: *mut sys::lua_State) -> c_int {
    // SAFETY: the state is live.
    if unsafe { sys::lua_gettop(raw) } == 0 {
        // What Redis tries to call then.
        // SAFETY: there is room.
        unsafe { sys::lua_pushboolean(raw, 1) };
    }
    // SAFETY: the state is live.
    let arguments = unsafe { sys::lua_gettop(raw) } - 1;
    // SAFETY: a function and its arguments are on the stack; catches what is raised.
    let status = unsafe { sys::lua_pcall(raw, arguments, sys::LUA_MULTRET, 0) };
    // SAFETY: makes room, or raises.
    unsafe { sys::luaL_checkstack(raw, 3, c"too many results".as_ptr()) };
    // SAFETY: a failed call leaves its error on top.
    if status != sys::LUA_OK && unsafe { sys::lua_type(raw, -1) } == sys::LUA_TTABLE {
        // SAFETY: there is room.
        unsafe { sys::lua_pushlstring_(raw, c"err".as_ptr(), 3) };
        // SAFETY: the table lies below the key.
        unsafe { sys::lua_rawget_(raw, -2) };
        // SAFETY: a value is on top.
        let is_text = unsafe { sys::lua_isstring(raw, -1) } != 0;
        // SAFETY: the value lies above the table; one of the two goes.
        unsafe { sys::lua_remove(raw, if is_text { -2 } else { -1 }) };
    }
    // SAFETY: there is room.
    unsafe { sys::lua_pushboolean(raw, c_int::from(status == sys::LUA_OK)) };
    // SAFETY: there is a value on top, so index 1 exists.
    unsafe { sys::lua_insert(raw, 1) };
    // SAFETY: the state is live.
    unsafe { sys::lua_gettop(raw) }
}

/// `xpcall`, whose handler is not called in a killed script: the error comes out of a hook then, and what
/// runs inside of a hook cannot be interrupted.
unsafe extern "C-unwind" fn xpcall(raw: *mut sys::lua_State) -> c_int {
    // SAFETY: raises if there is no argument; this frame has nothing to drop.
    unsafe { sys::luaL_checkany(raw, 2) };
    // SAFETY: there are two arguments.
    unsafe { sys::lua_settop(raw, 2) };
    // SAFETY: there are two arguments.
    if unsafe { sys::lua_type(raw, 2) } == sys::LUA_TFUNCTION {
        // SAFETY: the handler is on top.
        unsafe { sys::lua_pushcclosure(raw, handle_unless_killed, 1) };
    }
    // SAFETY: two values are on top.
    unsafe { sys::lua_insert(raw, 1) };
    // SAFETY: the function is on top, the handler below it; catches what is raised.
    let status = unsafe { sys::lua_pcall(raw, 0, sys::LUA_MULTRET, 1) };
    // SAFETY: makes room, or raises.
    unsafe { sys::luaL_checkstack(raw, 2, c"too many results".as_ptr()) };
    // SAFETY: there is room.
    unsafe { sys::lua_pushboolean(raw, c_int::from(status == sys::LUA_OK)) };
    // SAFETY: index 1 has the handler.
    unsafe { sys::lua_replace(raw, 1) };
    // SAFETY: the state is live.
    unsafe { sys::lua_gettop(raw) }
}

/// Calls the handler in the first upvalue with the error, or hands the error on.
unsafe extern "C-unwind" fn handle_unless_killed(raw: *mut sys::lua_State) -> c_int {
    // SAFETY: called by Lua with its live state; nothing of this value is left to drop.
    if unsafe { Lua::new(raw) }.context().is_killed() {
        return 1;
    }
    // SAFETY: the upvalue exists; a C function always has room for a few values.
    unsafe { sys::lua_pushvalue(raw, sys::lua_upvalueindex(1)) };
    // SAFETY: the error lies below the top.
    unsafe { sys::lua_insert(raw, 1) };
    // SAFETY: the handler lies below the error; this frame has nothing to drop.
    unsafe { sys::lua_call(raw, 1, 1) };
    1
}
