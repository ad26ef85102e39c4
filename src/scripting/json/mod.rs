//! The library `cjson`: values to JSON and back.
//!
//! In reading order: [`options`] are its settings and the functions that change them, [`write`] encodes,
//! [`read`] decodes, [`number`] reads and writes numbers as C does.
//!
//! Each `cjson.new()` has settings of its own; the number of an instance is the upvalue of its
//! functions. Behaviour of lua-cjson 2.1.0 as Redis 7.0.15 ships it, observed there. Settings last as
//! long as the script.

pub(crate) mod number;
pub(crate) mod options;
mod read;
mod write;

use std::ptr::null_mut;

use crate::engine::lua::{Lua, Raise};
use crate::engine::native::{Results, native};
use options::JsonOptions;

/// Most instances one script may make.
const INSTANCES_MAX: usize = 1000;

/// Pushes the table of the library.
pub(crate) fn push_library(lua: &mut Lua<'_>) -> Result<(), Raise> {
    push_instance(lua, 0)
}

/// Pushes a table with the functions of instance `number`.
fn push_instance(lua: &mut Lua<'_>, number: u32) -> Result<(), Raise> {
    lua.push_table(0, 16)?;
    for (name, function) in [
        (&b"encode"[..], native(write::encode)),
        (b"decode", native(read::decode)),
        (b"encode_sparse_array", native(options::encode_sparse_array)),
        (b"encode_max_depth", native(options::encode_max_depth)),
        (b"decode_max_depth", native(options::decode_max_depth)),
        (
            b"encode_number_precision",
            native(options::encode_number_precision),
        ),
        (b"encode_keep_buffer", native(options::encode_keep_buffer)),
        (
            b"encode_invalid_numbers",
            native(options::encode_invalid_numbers),
        ),
        (
            b"decode_invalid_numbers",
            native(options::decode_invalid_numbers),
        ),
        (b"new", native(new)),
    ] {
        lua.push_number(f64::from(number))?;
        lua.wrap_native(function);
        lua.raw_set_field(-2, name)?;
    }
    lua.push_light(null_mut())?;
    lua.raw_set_field(-2, b"null")?;
    lua.push_bytes(b"cjson")?;
    lua.raw_set_field(-2, b"_NAME")?;
    lua.push_bytes(b"2.1.0")?;
    lua.raw_set_field(-2, b"_VERSION")
}

fn new(lua: &mut Lua<'_>) -> Results {
    let number = {
        let mut instances = lua.context().json.borrow_mut();
        if instances.len() == INSTANCES_MAX {
            return Err(Raise::text("too many instances of cjson"));
        }
        instances.push(JsonOptions::default());
        u32::try_from(instances.len() - 1).unwrap_or(0)
    };
    push_instance(lua, number)?;
    Ok(1)
}

/// The index of the instance whose function runs.
fn instance(lua: &mut Lua<'_>) -> Result<usize, Raise> {
    lua.push_upvalue()?;
    let number = lua.number(-1).unwrap_or_default();
    lua.pop(1);
    Ok(usize::try_from(crate::answer::truncated(number)).unwrap_or(0))
}

/// The settings of the instance whose function runs.
fn settings(lua: &mut Lua<'_>) -> Result<JsonOptions, Raise> {
    let index = instance(lua)?;
    let instances = lua.context().json.borrow();
    Ok(instances.get(index).cloned().unwrap_or_default())
}
