//! The library `cmsgpack`: values to `MessagePack` and back.
//!
//! Integers take the shortest form; other numbers four bytes if that loses nothing. A table is an array if its
//! keys are 1 to n, else a map. Tables below the sixteenth level, and what `MessagePack` has no word for,
//! become nil. Behaviour of lua-cmsgpack 0.4.0 as Redis 7.0.15 ships it, observed there.

use base::cast::{u64_from, usize_from};

use crate::answer::truncated;
use crate::engine::fiber::has_stack_left;
use crate::engine::lua::{Kind, Lua, Raise};
use crate::engine::native::{Results, native};

/// Levels of tables that are packed.
const DEPTH_MAX: u32 = 16;

/// Pushes the table of the library.
pub(crate) fn push_library(lua: &mut Lua<'_>) -> Result<(), Raise> {
    lua.push_table(0, 8)?;
    for (name, function) in [
        (&b"pack"[..], native(pack)),
        (b"unpack", native(unpack)),
        (b"unpack_one", native(unpack_one)),
        (b"unpack_limit", native(unpack_limit)),
    ] {
        lua.push_native(function)?;
        lua.raw_set_field(-2, name)?;
    }
    for (name, text) in [
        (&b"_NAME"[..], &b"cmsgpack"[..]),
        (b"_VERSION", b"lua-cmsgpack 0.4.0"),
        (b"_COPYRIGHT", b"Copyright (C) 2012, Salvatore Sanfilippo"),
        (b"_DESCRIPTION", b"MessagePack C implementation for Lua"),
    ] {
        lua.push_bytes(text)?;
        lua.raw_set_field(-2, name)?;
    }
    Ok(())
}

fn pack(lua: &mut Lua<'_>) -> Results {
    let count = lua.top();
    if count == 0 {
        return Err(lua.argument_error(0, "MessagePack pack needs input."));
    }
    let mut out = Vec::new();
    for index in 1..=count {
        lua.push_copy(index)?;
        write(lua, &mut out, 0)?;
    }
    lua.push_bytes(&out)?;
    Ok(1)
}

/// Takes the value on top.
fn write(lua: &mut Lua<'_>, out: &mut Vec<u8>, depth: u32) -> Result<(), Raise> {
    if out.len() > lua.context().ledger.max_bytes() {
        return Err(Raise::Plain(b"not enough memory".to_vec()));
    }
    match lua.kind(-1) {
        Kind::String => write_string(out, lua.bytes(-1).unwrap_or_default()),
        Kind::Boolean => out.push(if lua.is_true(-1) { 0xc3 } else { 0xc2 }),
        Kind::Number => write_number(out, lua.number(-1).unwrap_or_default()),
        Kind::Table if depth < DEPTH_MAX => return write_table(lua, out, depth),
        _ => out.push(0xc0),
    }
    lua.pop(1);
    Ok(())
}

/// A head of two, three or five bytes, by the length.
fn write_head(out: &mut Vec<u8>, marks: [u8; 3], len: usize) {
    if let (Ok(short), true) = (u8::try_from(len), marks[0] != 0) {
        out.extend_from_slice(&[marks[0], short]);
    } else if let Ok(short) = u16::try_from(len) {
        out.push(marks[1]);
        out.extend_from_slice(&short.to_be_bytes());
    } else {
        out.push(marks[2]);
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        out.extend_from_slice(&len.to_be_bytes());
    }
}

fn write_string(out: &mut Vec<u8>, bytes: &[u8]) {
    match u8::try_from(bytes.len()) {
        Ok(len @ 0..32) => out.push(0xa0 | len),
        _ => write_head(out, [0xd9, 0xda, 0xdb], bytes.len()),
    }
    out.extend_from_slice(bytes);
}

fn write_number(out: &mut Vec<u8>, value: f64) {
    let integer = truncated(value);
    #[expect(
        clippy::cast_precision_loss,
        reason = "whether it is lossless is the question"
    )]
    let is_integer = integer as f64 == value && integer != i64::MAX;
    // 2^63 reads as an integer of the other sign.
    if is_integer && (integer != i64::MIN || value < 0.0) {
        return write_integer(out, integer);
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "whether it is lossless is the question"
    )]
    let short = value as f32;
    #[expect(clippy::float_cmp, reason = "exact equality is meant")]
    if f64::from(short) == value {
        out.push(0xca);
        out.extend_from_slice(&short.to_be_bytes());
    } else {
        out.push(0xcb);
        out.extend_from_slice(&value.to_be_bytes());
    }
}

fn write_integer(out: &mut Vec<u8>, value: i64) {
    if let Ok(value) = u64::try_from(value) {
        if let Ok(value) = u8::try_from(value) {
            if value > 0x7f {
                out.push(0xcc);
            }
            out.push(value);
        } else if let Ok(value) = u16::try_from(value) {
            out.push(0xcd);
            out.extend_from_slice(&value.to_be_bytes());
        } else if let Ok(value) = u32::try_from(value) {
            out.push(0xce);
            out.extend_from_slice(&value.to_be_bytes());
        } else {
            out.push(0xcf);
            out.extend_from_slice(&value.to_be_bytes());
        }
    } else if let Ok(value) = i8::try_from(value) {
        if value < -32 {
            out.push(0xd0);
        }
        out.extend_from_slice(&value.to_be_bytes());
    } else if let Ok(value) = i16::try_from(value) {
        out.push(0xd1);
        out.extend_from_slice(&value.to_be_bytes());
    } else if let Ok(value) = i32::try_from(value) {
        out.push(0xd2);
        out.extend_from_slice(&value.to_be_bytes());
    } else {
        out.push(0xd3);
        out.extend_from_slice(&value.to_be_bytes());
    }
}

/// Takes the table on top.
fn write_table(lua: &mut Lua<'_>, out: &mut Vec<u8>, depth: u32) -> Result<(), Raise> {
    lua.reveal()?;
    let table = lua.top();
    let (count, is_array) = shape(lua)?;
    if is_array {
        match u8::try_from(count) {
            Ok(len @ 0..16) => out.push(0x90 | len),
            _ => write_head(out, [0, 0xdc, 0xdd], count),
        }
        for position in 1..=count {
            lua.raw_item(table, position)?;
            write(lua, out, depth + 1)?;
        }
    } else {
        match u8::try_from(count) {
            Ok(len @ 0..16) => out.push(0x80 | len),
            _ => write_head(out, [0, 0xde, 0xdf], count),
        }
        lua.push_nil()?;
        while lua.next(table)? {
            lua.push_copy(-2)?;
            write(lua, out, depth + 1)?;
            write(lua, out, depth + 1)?;
        }
    }
    lua.set_top(table - 1);
    Ok(())
}

/// How many pairs the table on top has, and whether their keys are 1 to that number.
fn shape(lua: &mut Lua<'_>) -> Result<(usize, bool), Raise> {
    let table = lua.top();
    let mut count = 0_usize;
    let mut largest = 0.0_f64;
    let mut is_array = true;
    lua.push_nil()?;
    while lua.next(table)? {
        lua.pop(1);
        count += 1;
        match (lua.kind(-1), lua.number(-1)) {
            (Kind::Number, Some(key)) if key > 0.0 && key.trunc() == key => {
                largest = largest.max(key);
            }
            _ => is_array = false,
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "fewer entries than 2^53")]
    let is_dense = largest == u64_from(count) as f64;
    Ok((count, is_array && is_dense))
}

fn unpack(lua: &mut Lua<'_>) -> Results {
    let data = lua.check_text(1)?.to_vec();
    read_many(lua, &data, 0, 0)
}

fn unpack_one(lua: &mut Lua<'_>) -> Results {
    let offset = optional_integer(lua, 2)?;
    let data = lua.check_text(1)?.to_vec();
    read_many(lua, &data, 1, offset)
}

fn unpack_limit(lua: &mut Lua<'_>) -> Results {
    let limit = truncated(lua.check_number(2)?);
    let offset = optional_integer(lua, 3)?;
    let data = lua.check_text(1)?.to_vec();
    read_many(lua, &data, limit, offset)
}

fn optional_integer(lua: &Lua<'_>, number: i32) -> Result<i64, Raise> {
    match lua.kind(number) {
        Kind::Absent | Kind::Nil => Ok(0),
        _ => Ok(truncated(lua.check_number(number)?)),
    }
}

/// Pushes up to `limit` values from `offset`, all with a limit of 0. With a limit, the offset of what
/// follows goes before them, or -1 at the end.
fn read_many(lua: &mut Lua<'_>, data: &[u8], limit: i64, offset: i64) -> Results {
    let (Ok(start), Ok(most)) = (usize::try_from(offset), usize::try_from(limit)) else {
        return Err(Raise::text(format!(
            "Invalid request to unpack with offset of {offset} and limit of {}.",
            data.len()
        )));
    };
    if start > data.len() {
        return Err(Raise::text(format!(
            "Start offset {start} greater than input length {}.",
            data.len()
        )));
    }
    lua.set_top(0);
    let mut input = Input { data, at: start };
    let mut count = 0;
    while input.at < data.len() && (most == 0 || count < most) {
        lua.reserve(4)?;
        input.read(lua)?;
        count += 1;
    }
    if most > 0 {
        if input.at == data.len() {
            lua.push_number(-1.0)?;
        } else {
            #[expect(clippy::cast_precision_loss, reason = "a position in memory")]
            lua.push_number(u64_from(input.at) as f64)?;
        }
        lua.insert(1);
    }
    Ok(lua.top())
}

/// What is still to be read.
struct Input<'a> {
    data: &'a [u8],
    at: usize,
}

impl Input<'_> {
    fn take(&mut self, len: usize) -> Result<&[u8], Raise> {
        let missing = || Raise::text("Missing bytes in input.");
        let end = self.at.checked_add(len).ok_or_else(missing)?;
        let bytes = self.data.get(self.at..end).ok_or_else(missing)?;
        self.at = end;
        Ok(bytes)
    }

    /// An unsigned integer of `len` bytes, at most 8.
    fn unsigned(&mut self, len: usize) -> Result<u64, Raise> {
        let bytes = self.take(len)?;
        Ok(bytes
            .iter()
            .fold(0, |value, &byte| (value << 8) | u64::from(byte)))
    }

    fn len(&mut self, bytes: usize) -> Result<usize, Raise> {
        self.unsigned(bytes).map(usize_from)
    }

    /// Pushes the next value.
    fn read(&mut self, lua: &mut Lua<'_>) -> Result<(), Raise> {
        let mark = self.take(1)?[0];
        match mark {
            0x00..=0x7f => lua.push_number(f64::from(mark)),
            0xe0..=0xff => lua.push_number(f64::from(mark.cast_signed())),
            0x80..=0x8f => self.map(lua, usize::from(mark & 15)),
            0x90..=0x9f => self.array(lua, usize::from(mark & 15)),
            0xa0..=0xbf => self.string(lua, usize::from(mark & 31)),
            0xc0 => lua.push_nil(),
            0xc2 => lua.push_boolean(false),
            0xc3 => lua.push_boolean(true),
            0xca => {
                let bits = u32::try_from(self.unsigned(4)?).unwrap_or(0);
                lua.push_number(f64::from(f32::from_bits(bits)))
            }
            0xcb => {
                let bits = self.unsigned(8)?;
                lua.push_number(f64::from_bits(bits))
            }
            0xcc..=0xcf => {
                let value = self.unsigned(1 << (mark - 0xcc))?;
                push_integer(lua, value.cast_signed())
            }
            0xd0..=0xd3 => {
                let len = 1 << (mark - 0xd0);
                let spare = 64 - 8 * len;
                let value = self.unsigned(len)?;
                push_integer(lua, (value << spare).cast_signed() >> spare)
            }
            0xd9..=0xdb => {
                let len = self.len(1 << (mark - 0xd9))?;
                self.string(lua, len)
            }
            0xdc | 0xdd => {
                let len = self.len(if mark == 0xdc { 2 } else { 4 })?;
                self.array(lua, len)
            }
            0xde | 0xdf => {
                let len = self.len(if mark == 0xde { 2 } else { 4 })?;
                self.map(lua, len)
            }
            0xc1 | 0xc4..=0xc9 | 0xd4..=0xd8 => Err(Raise::text("Bad data format in input.")),
        }
    }

    fn string(&mut self, lua: &mut Lua<'_>, len: usize) -> Result<(), Raise> {
        let bytes = self.take(len)?;
        lua.push_bytes(bytes)
    }

    /// Checks that a collection of `len` items may begin, and says how much room it may be given.
    fn enter(&self, lua: &mut Lua<'_>, len: usize) -> Result<usize, Raise> {
        if !has_stack_left(lua.context()) {
            return Err(Raise::text("data is nested too deep"));
        }
        lua.reserve(4)?;
        // Each item has at least a byte: a length that was made up reserves nothing.
        Ok(len.min(self.data.len() - self.at))
    }

    fn array(&mut self, lua: &mut Lua<'_>, len: usize) -> Result<(), Raise> {
        let room = self.enter(lua, len)?;
        lua.push_table(room, 0)?;
        for position in 1..=len {
            self.read(lua)?;
            lua.raw_set_item(-2, position);
        }
        Ok(())
    }

    fn map(&mut self, lua: &mut Lua<'_>, len: usize) -> Result<(), Raise> {
        let room = self.enter(lua, len)?;
        lua.push_table(0, room)?;
        for _ in 0..len {
            self.read(lua)?;
            self.read(lua)?;
            lua.raw_set(-3)?;
        }
        Ok(())
    }
}

fn push_integer(lua: &mut Lua<'_>, value: i64) -> Result<(), Raise> {
    #[expect(clippy::cast_precision_loss, reason = "Lua has doubles only")]
    lua.push_number(value as f64)
}
