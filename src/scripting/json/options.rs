//! The settings of an instance of `cjson`, and the functions that show and change them.
//!
//! Each function takes new values, or nil to keep the old one, and returns the values that hold then.

use std::ffi::c_int;

use super::instance;
use crate::answer::truncated;
use crate::engine::lua::{Kind, Lua, Raise};
use crate::engine::native::Results;

/// What becomes of numbers that JSON has no word for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InvalidNumbers {
    /// They are refused.
    Off,
    /// They are written `inf`, `-inf`, `nan`, and read with all that C's `strtod` takes.
    On,
    /// They are written as null.
    Null,
}

/// The settings of one instance.
#[derive(Clone, Debug)]
pub(crate) struct JsonOptions {
    pub(crate) sparse_as_object: bool,
    pub(crate) sparse_ratio: i32,
    pub(crate) sparse_safe: i32,
    pub(crate) encode_depth_max: i32,
    pub(crate) decode_depth_max: i32,
    pub(crate) precision: i32,
    pub(crate) keep_buffer: bool,
    pub(crate) encode_invalid: InvalidNumbers,
    pub(crate) decode_invalid: bool,
}

impl Default for JsonOptions {
    fn default() -> Self {
        Self {
            sparse_as_object: false,
            sparse_ratio: 2,
            sparse_safe: 10,
            encode_depth_max: 1000,
            decode_depth_max: 1000,
            precision: 14,
            keep_buffer: true,
            encode_invalid: InvalidNumbers::Off,
            decode_invalid: true,
        }
    }
}

/// Changes the settings of the instance whose function runs.
fn change(lua: &mut Lua<'_>, change: impl FnOnce(&mut JsonOptions)) -> Result<(), Raise> {
    let index = instance(lua)?;
    if let Some(options) = lua.context().json.borrow_mut().get_mut(index) {
        change(options);
    }
    Ok(())
}

fn refuse_more_than(lua: &Lua<'_>, count: c_int) -> Result<(), Raise> {
    if lua.top() > count {
        return Err(lua.argument_error(count + 1, "found too many arguments"));
    }
    Ok(())
}

/// A new integer from argument `number`, if it is given.
fn integer(lua: &Lua<'_>, number: c_int, min: i32, max: i32) -> Result<Option<i32>, Raise> {
    if matches!(lua.kind(number), Kind::Absent | Kind::Nil) {
        return Ok(None);
    }
    let value = i32::try_from(truncated(lua.check_number(number)?)).ok();
    match value.filter(|value| (min..=max).contains(value)) {
        Some(value) => Ok(Some(value)),
        None => {
            // The first argument is named whichever it is, as by lua-cjson.
            let text = format!("expected integer between {min} and {max}");
            Err(lua.argument_error(1, &text))
        }
    }
}

/// The index of a new choice from argument `number`, if it is given; false and true are the first two.
fn choice(lua: &mut Lua<'_>, number: c_int, names: &[&[u8]]) -> Result<Option<usize>, Raise> {
    match lua.kind(number) {
        Kind::Absent | Kind::Nil => return Ok(None),
        Kind::Boolean => return Ok(Some(usize::from(lua.is_true(number)))),
        _ => {}
    }
    let given = lua.check_text(number)?.to_vec();
    match names.iter().position(|name| **name == *given) {
        Some(index) => Ok(Some(index)),
        None => {
            let text = format!("invalid option '{}'", String::from_utf8_lossy(&given));
            Err(lua.argument_error(number, &text))
        }
    }
}

fn give_integer(lua: &mut Lua<'_>, value: i32) -> Results {
    lua.push_number(f64::from(value))?;
    Ok(1)
}

/// Which arrays with holes are written as objects, and which are refused.
pub(super) fn encode_sparse_array(lua: &mut Lua<'_>) -> Results {
    refuse_more_than(lua, 3)?;
    let as_object = choice(lua, 1, &[b"off", b"on"])?;
    let ratio = integer(lua, 2, 0, i32::MAX)?;
    let safe = integer(lua, 3, 0, i32::MAX)?;
    let mut now = JsonOptions::default();
    change(lua, |options| {
        options.sparse_as_object = as_object.map_or(options.sparse_as_object, |index| index == 1);
        options.sparse_ratio = ratio.unwrap_or(options.sparse_ratio);
        options.sparse_safe = safe.unwrap_or(options.sparse_safe);
        now = options.clone();
    })?;
    lua.push_boolean(now.sparse_as_object)?;
    lua.push_number(f64::from(now.sparse_ratio))?;
    lua.push_number(f64::from(now.sparse_safe))?;
    Ok(3)
}

/// How deep tables may be nested that are written.
pub(super) fn encode_max_depth(lua: &mut Lua<'_>) -> Results {
    integer_setting(lua, i32::MAX, |options| &mut options.encode_depth_max)
}

/// How deep JSON may be nested that is read.
pub(super) fn decode_max_depth(lua: &mut Lua<'_>) -> Results {
    integer_setting(lua, i32::MAX, |options| &mut options.decode_depth_max)
}

/// Significant digits of numbers that are written.
pub(super) fn encode_number_precision(lua: &mut Lua<'_>) -> Results {
    integer_setting(lua, 14, |options| &mut options.precision)
}

fn integer_setting(
    lua: &mut Lua<'_>,
    max: i32,
    field: impl Fn(&mut JsonOptions) -> &mut i32,
) -> Results {
    refuse_more_than(lua, 1)?;
    let given = integer(lua, 1, 1, max)?;
    let mut now = 0;
    change(lua, |options| {
        let setting = field(options);
        *setting = given.unwrap_or(*setting);
        now = *setting;
    })?;
    give_integer(lua, now)
}

/// Whether memory is kept between two encodings. It never is; the setting is only remembered.
pub(super) fn encode_keep_buffer(lua: &mut Lua<'_>) -> Results {
    boolean_setting(lua, |options| &mut options.keep_buffer)
}

/// Whether all numbers that C reads are read.
pub(super) fn decode_invalid_numbers(lua: &mut Lua<'_>) -> Results {
    boolean_setting(lua, |options| &mut options.decode_invalid)
}

fn boolean_setting(lua: &mut Lua<'_>, field: impl Fn(&mut JsonOptions) -> &mut bool) -> Results {
    refuse_more_than(lua, 1)?;
    let given = choice(lua, 1, &[b"off", b"on"])?;
    let mut now = false;
    change(lua, |options| {
        let setting = field(options);
        *setting = given.map_or(*setting, |index| index == 1);
        now = *setting;
    })?;
    lua.push_boolean(now)?;
    Ok(1)
}

/// What becomes of NaN and infinities that are written.
pub(super) fn encode_invalid_numbers(lua: &mut Lua<'_>) -> Results {
    refuse_more_than(lua, 1)?;
    let given = choice(lua, 1, &[b"off", b"on", b"null"])?.map(|index| match index {
        0 => InvalidNumbers::Off,
        1 => InvalidNumbers::On,
        _ => InvalidNumbers::Null,
    });
    let mut now = InvalidNumbers::Off;
    change(lua, |options| {
        options.encode_invalid = given.unwrap_or(options.encode_invalid);
        now = options.encode_invalid;
    })?;
    match now {
        InvalidNumbers::Off => lua.push_boolean(false)?,
        InvalidNumbers::On => lua.push_boolean(true)?,
        InvalidNumbers::Null => lua.push_bytes(b"null")?,
    }
    Ok(1)
}
