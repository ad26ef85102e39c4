//! From Lua to JSON.
//!
//! A table is an array if all its keys are positive integers, holes being null; the empty table is an
//! object. Metatables play no part.

use super::number::write_number;
use super::options::{InvalidNumbers, JsonOptions};
use super::settings;
use crate::answer::truncated;
use crate::engine::fiber::has_stack_left;
use crate::engine::lua::{Kind, Lua, Raise};
use crate::engine::native::Results;

/// `cjson.encode`.
pub(super) fn encode(lua: &mut Lua<'_>) -> Results {
    if lua.top() != 1 {
        return Err(lua.argument_error(1, "expected 1 argument"));
    }
    let mut writer = Writer {
        options: settings(lua)?,
        out: Vec::new(),
    };
    writer.value(lua, 0)?;
    lua.push_bytes(&writer.out)?;
    Ok(1)
}

struct Writer {
    options: JsonOptions,
    out: Vec<u8>,
}

fn refused(lua: &Lua<'_>, why: &str) -> Raise {
    Raise::text(format!("Cannot serialise {}: {why}", lua.kind(-1).name()))
}

impl Writer {
    /// Takes the value on top, which lies inside of `depth` tables.
    fn value(&mut self, lua: &mut Lua<'_>, depth: i32) -> Result<(), Raise> {
        if self.out.len() > lua.context().ledger.max_bytes() {
            return Err(Raise::Plain(b"not enough memory".to_vec()));
        }
        match lua.kind(-1) {
            Kind::String => self.string(lua.bytes(-1).unwrap_or_default()),
            Kind::Number => self.number(lua)?,
            Kind::Boolean => {
                let text: &[u8] = if lua.is_true(-1) { b"true" } else { b"false" };
                self.out.extend_from_slice(text);
            }
            Kind::Table => return self.table(lua, depth + 1),
            Kind::Nil => self.out.extend_from_slice(b"null"),
            Kind::LightUserdata if lua.light(-1).is_some_and(<*mut _>::is_null) => {
                self.out.extend_from_slice(b"null");
            }
            Kind::Absent | Kind::LightUserdata | Kind::Function | Kind::Userdata | Kind::Thread => {
                return Err(refused(lua, "type not supported"));
            }
        }
        lua.pop(1);
        Ok(())
    }

    /// Writes the number on top.
    fn number(&mut self, lua: &Lua<'_>) -> Result<(), Raise> {
        let value = lua.number(-1).unwrap_or_default();
        if value.is_finite() {
            let precision = usize::try_from(self.options.precision).unwrap_or(14);
            write_number(&mut self.out, value, precision);
            return Ok(());
        }
        let text: &[u8] = match self.options.encode_invalid {
            InvalidNumbers::Off => return Err(refused(lua, "must not be NaN or Inf")),
            InvalidNumbers::Null => b"null",
            InvalidNumbers::On if value.is_nan() => b"nan",
            InvalidNumbers::On if value > 0.0 => b"inf",
            InvalidNumbers::On => b"-inf",
        };
        self.out.extend_from_slice(text);
        Ok(())
    }

    fn string(&mut self, bytes: &[u8]) {
        self.out.push(b'"');
        for &byte in bytes {
            let escaped: &[u8] = match byte {
                b'"' => b"\\\"",
                b'\\' => b"\\\\",
                b'/' => b"\\/",
                0x08 => b"\\b",
                0x0c => b"\\f",
                b'\n' => b"\\n",
                b'\r' => b"\\r",
                b'\t' => b"\\t",
                0..0x20 | 0x7f => {
                    self.out
                        .extend_from_slice(format!("\\u{byte:04x}").as_bytes());
                    continue;
                }
                _ => {
                    self.out.push(byte);
                    continue;
                }
            };
            self.out.extend_from_slice(escaped);
        }
        self.out.push(b'"');
    }

    /// Takes the table on top, which is the `depth`th around what it has.
    fn table(&mut self, lua: &mut Lua<'_>, depth: i32) -> Result<(), Raise> {
        if depth > self.options.encode_depth_max
            || !has_stack_left(lua.context())
            || lua.reserve(4).is_err()
        {
            return Err(Raise::text(format!(
                "Cannot serialise, excessive nesting ({depth})"
            )));
        }
        lua.reveal()?;
        let table = lua.top();
        match self.array_len(lua)? {
            Some(len) if len > 0 => {
                self.out.push(b'[');
                for position in 1..=len {
                    if position > 1 {
                        self.out.push(b',');
                    }
                    lua.raw_item(table, position)?;
                    self.value(lua, depth)?;
                }
                self.out.push(b']');
            }
            Some(_) | None => self.object(lua, depth)?,
        }
        lua.set_top(table - 1);
        Ok(())
    }

    /// Length of the table on top if it is an array: 0 for an empty one.
    fn array_len(&self, lua: &mut Lua<'_>) -> Result<Option<usize>, Raise> {
        let table = lua.top();
        let mut count = 0.0;
        let mut largest = 0_i32;
        lua.push_nil()?;
        while lua.next(table)? {
            lua.pop(1);
            match (lua.kind(-1), lua.number(-1)) {
                (Kind::Number, Some(key)) if key > 0.0 && key.floor() == key => {
                    if key > f64::from(largest) {
                        largest = to_int(key);
                    }
                    count += 1.0;
                }
                _ => {
                    lua.set_top(table);
                    return Ok(None);
                }
            }
        }
        let options = &self.options;
        if options.sparse_ratio > 0
            && f64::from(largest) > count * f64::from(options.sparse_ratio)
            && largest > options.sparse_safe
        {
            if !options.sparse_as_object {
                return Err(refused(lua, "excessively sparse array"));
            }
            return Ok(None);
        }
        // A hole takes four letters, so an array that passes this bound is refused by memory anyway.
        let len = usize::try_from(largest).unwrap_or(0);
        if len > lua.context().ledger.max_bytes() {
            return Err(Raise::Plain(b"not enough memory".to_vec()));
        }
        Ok(Some(len))
    }

    /// Writes the table on top as an object.
    fn object(&mut self, lua: &mut Lua<'_>, depth: i32) -> Result<(), Raise> {
        let table = lua.top();
        let mut is_first = true;
        self.out.push(b'{');
        lua.push_nil()?;
        while lua.next(table)? {
            if !is_first {
                self.out.push(b',');
            }
            is_first = false;
            lua.push_copy(-2)?;
            match lua.kind(-1) {
                Kind::Number => {
                    self.out.push(b'"');
                    self.number(lua)?;
                    self.out.push(b'"');
                }
                Kind::String => self.string(lua.bytes(-1).unwrap_or_default()),
                _ => return Err(refused(lua, "table key must be a number or string")),
            }
            lua.pop(1);
            self.out.push(b':');
            self.value(lua, depth)?;
        }
        self.out.push(b'}');
        Ok(())
    }
}

/// A whole number as C's `int` on x86-64: the smallest one for all that do not fit, which makes their
/// table an object.
fn to_int(value: f64) -> i32 {
    i32::try_from(truncated(value)).unwrap_or(i32::MIN)
}
