//! Makes an interpreter: a Lua state with everything that scripts see, and nothing else.
//!
//! All globals lie in a hidden table; what scripts have as their environment is an empty read-only table in
//! front of it. The tables of libraries are read-only in the same way, so nothing that a script does
//! stays for the next one.
//!
//! Names in the registry: `globals` is the hidden table of running scripts, `loading` that of libraries while
//! they are loaded, `environment` the table in front of the one or the other; `redis of scripts` and
//! `redis of functions` are what `redis` is in `globals`.

use std::ffi::CString;

use protocol::args::Args;

use crate::engine::context::Stage;
use crate::engine::guard::{self, READ_ONLY};
use crate::engine::lua::{Kind, Lua, Raise, Status};
use crate::engine::native::{Results, native};
use crate::engine::state::State;
use crate::{api, bits, json, math, pack, structs};

/// Functions of Lua that reach files or the machinery, or that Redis hides.
const HIDDEN: &[&[u8]] = &[
    b"dofile",
    b"loadfile",
    b"print",
    b"newproxy",
    b"getfenv",
    b"setfenv",
    b"require",
    b"module",
];

/// Tables of the globals that become read-only.
const LIBRARIES: &[&[u8]] = &[
    b"string",
    b"table",
    b"math",
    b"coroutine",
    b"bit",
    b"struct",
    b"cmsgpack",
    b"cjson",
];

/// Makes an interpreter whose Lua code may hold `memory_bytes_max`.
///
/// Nothing if the process has no memory left.
pub(crate) fn make(memory_bytes_max: usize) -> Option<State> {
    let mut state = State::new(memory_bytes_max)?;
    build(&mut state.lua()).ok()?;
    Some(state)
}

fn build(lua: &mut Lua<'_>) -> Result<(), Raise> {
    lua.set_top(0);
    guard::install(lua)?;
    lua.push_globals()?;
    for &name in HIDDEN {
        lua.push_nil()?;
        lua.raw_set_field(1, name)?;
    }
    lua.push_native(native(load_string))?;
    lua.raw_set_field(1, b"loadstring")?;
    lua.raw_field(1, b"getmetatable")?;
    lua.wrap_native(native(metatable));
    lua.raw_set_field(1, b"getmetatable")?;
    lua.raw_field(1, b"math")?;
    math::install(lua)?;
    lua.pop(1);
    api::push_script_table(lua)?;
    lua.make_read_only(None, native(refuse_write))?;
    lua.register(b"redis of scripts")?;
    api::push_function_table(lua)?;
    lua.make_read_only(None, native(refuse_write))?;
    lua.register(b"redis of functions")?;
    bits::push_library(lua)?;
    lua.raw_set_field(1, b"bit")?;
    structs::push_library(lua)?;
    lua.raw_set_field(1, b"struct")?;
    pack::push_library(lua)?;
    lua.raw_set_field(1, b"cmsgpack")?;
    json::push_library(lua)?;
    lua.raw_set_field(1, b"cjson")?;
    for &name in LIBRARIES {
        lua.raw_field(1, name)?;
        lua.make_read_only(None, native(refuse_write))?;
        lua.raw_set_field(1, name)?;
    }
    lua.push_copy(1)?;
    lua.register(b"globals")?;
    lua.push_table(0, 1)?;
    api::push_loading_table(lua)?;
    lua.make_read_only(Some(native(refuse_unknown)), native(refuse_write))?;
    lua.raw_set_field(-2, b"redis")?;
    lua.make_read_only(Some(native(refuse_unknown)), native(refuse_write))?;
    lua.push_hidden(-1)?;
    lua.register(b"loading")?;
    lua.pop(1);
    lua.make_read_only(Some(native(refuse_unknown)), native(refuse_write))?;
    lua.push_copy(1)?;
    lua.register(b"environment")?;
    lua.push_registered(b"globals")?;
    lua.push_copy(1)?;
    lua.raw_set_field(-2, b"_G")?;
    lua.pop(1);
    lua.replace_globals();
    lua.set_top(0);
    Ok(())
}

/// Prepares the globals for a script.
pub(crate) fn enter_script(lua: &mut Lua<'_>, keys: Args<'_>, args: Args<'_>) -> Result<(), Raise> {
    lua.set_top(0);
    lua.push_registered(b"globals")?;
    lua.push_registered(b"redis of scripts")?;
    lua.raw_set_field(1, b"redis")?;
    lua.push_words(keys)?;
    lua.raw_set_field(1, b"KEYS")?;
    lua.push_words(args)?;
    lua.raw_set_field(1, b"ARGV")?;
    lua.set_top(0);
    Ok(())
}

/// Prepares the globals for a function.
pub(crate) fn enter_function(lua: &mut Lua<'_>) -> Result<(), Raise> {
    lua.set_top(0);
    lua.push_registered(b"globals")?;
    lua.push_registered(b"redis of functions")?;
    lua.raw_set_field(1, b"redis")?;
    for name in [&b"KEYS"[..], b"ARGV"] {
        lua.push_nil()?;
        lua.raw_set_field(1, name)?;
    }
    lua.set_top(0);
    Ok(())
}

/// Shows the globals of `stage` behind the environment.
pub(crate) fn enter_stage(lua: &mut Lua<'_>, stage: Stage) -> Result<(), Raise> {
    lua.push_registered(b"environment")?;
    if lua.push_metatable(-1)? {
        lua.push_registered(match stage {
            Stage::Running => b"globals",
            Stage::Loading => b"loading",
        })?;
        lua.raw_set_field(-2, b"__index")?;
        lua.pop(1);
    }
    lua.pop(1);
    Ok(())
}

/// Reads of a global that does not exist.
fn refuse_unknown(lua: &mut Lua<'_>) -> Results {
    let name = lua.text(2).unwrap_or_default();
    let mut text = b"Script attempted to access nonexistent global variable '".to_vec();
    text.extend_from_slice(name);
    text.push(b'\'');
    Err(Raise::Text(text))
}

/// Writes to a read-only table.
fn refuse_write(_lua: &mut Lua<'_>) -> Results {
    Err(Raise::text(READ_ONLY))
}

/// `getmetatable`: for a read-only table and for strings a copy, which may be changed without effect.
fn metatable(lua: &mut Lua<'_>) -> Results {
    match lua.kind(1) {
        Kind::Absent => Err(lua.argument_error(1, "value expected")),
        Kind::String => {
            lua.push_table(0, 1)?;
            lua.push_globals()?;
            if lua.push_hidden(-1)? {
                lua.raw_field(-1, b"string")?;
                lua.insert(-3);
                lua.pop(2);
            }
            lua.raw_set_field(-2, b"__index")?;
            Ok(1)
        }
        Kind::Table if lua.push_hidden(1)? => {
            if !lua.push_metatable(-1)? {
                lua.push_nil()?;
                return Ok(1);
            }
            lua.push_table(0, 1)?;
            lua.raw_field(-2, b"__index")?;
            lua.raw_set_field(-2, b"__index")?;
            Ok(1)
        }
        _ => {
            if !lua.push_metatable(1)? {
                lua.push_nil()?;
                return Ok(1);
            }
            // What a table says of its own metatable goes before it.
            if lua.kind(-1) == Kind::Table {
                lua.raw_field(-1, b"__metatable")?;
                if lua.kind(-1) == Kind::Nil {
                    lua.pop(1);
                }
            }
            Ok(1)
        }
    }
}

/// `loadstring`: text only, compiled code would be trusted by Lua.
fn load_string(lua: &mut Lua<'_>) -> Results {
    let source = lua.check_text(1)?.to_vec();
    let name = match lua.kind(2) {
        Kind::Absent | Kind::Nil => source.clone(),
        _ => lua.check_text(2)?.to_vec(),
    };
    let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
    let name = CString::new(name).unwrap_or_default();
    match lua.load(&source, &name) {
        Status::Fine => Ok(1),
        Status::Failed | Status::OutOfMemory => {
            lua.push_nil()?;
            lua.insert(-2);
            Ok(2)
        }
    }
}
