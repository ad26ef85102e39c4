//! The stack of values through which one speaks to Lua, with every access checked.
//!
//! An index counts from 1 at the bottom of the current function's values, or from -1 at the top. What
//! lies outside reads as absent. Nothing here calls metamethods or can raise an error of Lua, except
//! [`Lua::call_protected`] and [`Lua::load`], which catch what is raised.
//!
//! Invariants
//! - Bytes borrowed from a string live no longer than the borrow of the stack: whoever changes the
//!   stack needs it exclusively.
//! - Every push makes room first.

#![expect(
    unsafe_code,
    reason = "the interface of Lua is C; the checks its functions need are made here"
)]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::slice;

use mlua_sys as sys;
use protocol::args::Args;

use super::context::Context;

/// Why a native function ends without its results.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Raise {
    /// With this text, after the place in the script where the function was called.
    Text(Vec<u8>),
    /// With this text alone.
    Plain(Vec<u8>),
    /// With the value on top of the stack.
    Top,
}

impl Raise {
    /// An error with the place of the call in front.
    pub(crate) fn text(text: impl Into<Vec<u8>>) -> Self {
        Self::Text(text.into())
    }
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No such index.
    Absent,
    /// nil.
    Nil,
    /// A boolean.
    Boolean,
    /// A bare pointer; `cjson.null` is the null one.
    LightUserdata,
    /// A number.
    Number,
    /// A string of any bytes.
    String,
    /// A table.
    Table,
    /// A function of either language.
    Function,
    /// An object of the host; scripts have none.
    Userdata,
    /// A coroutine.
    Thread,
}

impl Kind {
    /// The name that `type` returns.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Absent => "no value",
            Self::Nil => "nil",
            Self::Boolean => "boolean",
            Self::LightUserdata | Self::Userdata => "userdata",
            Self::Number => "number",
            Self::String => "string",
            Self::Table => "table",
            Self::Function => "function",
            Self::Thread => "thread",
        }
    }
}

/// How loading or calling ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// Well; the results are on the stack.
    Fine,
    /// With an error, whose value is on the stack.
    Failed,
    /// Memory ran out; the text is on the stack.
    OutOfMemory,
}

/// Where in a script something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Name of the chunk as it was given, such as `@user_script`.
    pub(crate) source: Vec<u8>,
    /// Line, from 1; -1 in native code.
    pub(crate) line: i32,
    /// Whether it is native code.
    pub(crate) is_native: bool,
}

/// Key under which a table that stands for a read-only one has the address of the mark.
static READ_ONLY_MARK: u8 = 0;

/// The values of the function that runs, of one interpreter.
pub(crate) struct Lua<'a> {
    raw: *mut sys::lua_State,
    lifetime: PhantomData<&'a mut Context>,
}

impl<'a> Lua<'a> {
    /// Looks at the stack of `raw`.
    ///
    /// # Safety
    ///
    /// `raw` is a state that was made with a [`Context`] for its allocator, both outlive `'a`, and
    /// nothing else uses its stack meanwhile, except through what this is passed to.
    pub(crate) const unsafe fn new(raw: *mut sys::lua_State) -> Self {
        Self {
            raw,
            lifetime: PhantomData,
        }
    }

    /// What the native functions of this interpreter share.
    pub(crate) fn context(&self) -> &'a Context {
        let mut context: *mut c_void = null_mut();
        // SAFETY: the state is live; the second argument is a local.
        unsafe { sys::lua_getallocf(self.raw, &raw mut context) };
        // SAFETY: the state was made with its context there, which outlives `'a`.
        unsafe { &*context.cast::<Context>() }
    }

    /// Number of values.
    pub(crate) fn top(&self) -> c_int {
        // SAFETY: the state is live.
        unsafe { sys::lua_gettop(self.raw) }
    }

    /// Cuts the stack to `top` values, or fills it with nil up to there.
    pub(crate) fn set_top(&mut self, top: c_int) {
        let top = top.max(0);
        if top > self.top() && self.reserve(top - self.top()).is_err() {
            return;
        }
        // SAFETY: `top` is not negative and there is room for it.
        unsafe { sys::lua_settop(self.raw, top) }
    }

    /// Removes `count` values from the top, or all if there are fewer.
    pub(crate) fn pop(&mut self, count: c_int) {
        self.set_top(self.top() - count);
    }

    /// Makes room for `count` more values.
    ///
    /// # Errors
    ///
    /// If the function would have more than 8000 values.
    pub(crate) fn reserve(&mut self, count: c_int) -> Result<(), Raise> {
        // SAFETY: the state is live; allocation does not fail in native functions.
        let has_room = unsafe { sys::lua_checkstack(self.raw, count) } != 0;
        if has_room {
            Ok(())
        } else {
            Err(Raise::text("stack overflow"))
        }
    }

    /// The index as one that counts from the bottom, if there is such a value.
    fn absolute(&self, index: c_int) -> Option<c_int> {
        let top = self.top();
        let absolute = if index < 0 { top + 1 + index } else { index };
        (1..=top).contains(&absolute).then_some(absolute)
    }

    /// The index for a function that takes one; the caller knows that the value is there.
    #[track_caller]
    fn existing(&self, index: c_int) -> c_int {
        self.absolute(index)
            .expect("a native function uses values that it has pushed or checked")
    }

    /// What the value at `index` is.
    pub(crate) fn kind(&self, index: c_int) -> Kind {
        let Some(index) = self.absolute(index) else {
            return Kind::Absent;
        };
        // SAFETY: the index exists.
        match unsafe { sys::lua_type(self.raw, index) } {
            sys::LUA_TBOOLEAN => Kind::Boolean,
            sys::LUA_TLIGHTUSERDATA => Kind::LightUserdata,
            sys::LUA_TNUMBER => Kind::Number,
            sys::LUA_TSTRING => Kind::String,
            sys::LUA_TTABLE => Kind::Table,
            sys::LUA_TFUNCTION => Kind::Function,
            sys::LUA_TUSERDATA => Kind::Userdata,
            sys::LUA_TTHREAD => Kind::Thread,
            _ => Kind::Nil,
        }
    }

    /// Whether the value counts as true: all but nil, false and absent do.
    pub(crate) fn is_true(&self, index: c_int) -> bool {
        self.absolute(index)
            // SAFETY: the index exists.
            .is_some_and(|index| unsafe { sys::lua_toboolean(self.raw, index) } != 0)
    }

    /// The number at `index`; strings that read as one count.
    pub(crate) fn number(&self, index: c_int) -> Option<f64> {
        let index = self.absolute(index)?;
        // SAFETY: the index exists.
        let is_number = unsafe { sys::lua_isnumber(self.raw, index) } != 0;
        // SAFETY: the index exists; converts a copy, not the value.
        is_number.then(|| unsafe { sys::lua_tonumber(self.raw, index) })
    }

    /// The bytes of the string at `index`; nothing for other values, numbers included.
    pub(crate) fn bytes(&self, index: c_int) -> Option<&[u8]> {
        if self.kind(index) != Kind::String {
            return None;
        }
        let index = self.existing(index);
        let mut len = 0_usize;
        // SAFETY: the index exists and is a string, so nothing is converted.
        let start = unsafe { sys::lua_tolstring(self.raw, index, &raw mut len) };
        // SAFETY: the string stays on the stack, and so in place, while this is borrowed.
        Some(unsafe { slice::from_raw_parts(start.cast::<u8>(), len) })
    }

    /// The bytes of a string, or of a number written out (`%.14g`), which replaces it on the stack.
    pub(crate) fn text(&mut self, index: c_int) -> Option<&[u8]> {
        match self.kind(index) {
            Kind::Number => {
                let index = self.existing(index);
                // SAFETY: the index exists; allocation does not fail in native functions.
                unsafe { sys::lua_tolstring(self.raw, index, null_mut()) };
            }
            Kind::String => {}
            _ => return None,
        }
        self.bytes(index)
    }

    /// The address of a light userdata.
    pub(crate) fn light(&self, index: c_int) -> Option<*mut c_void> {
        let index = self.absolute(index)?;
        // SAFETY: the index exists.
        (self.kind(index) == Kind::LightUserdata)
            .then(|| unsafe { sys::lua_touserdata(self.raw, index) })
    }

    /// The address of a table, function or coroutine, which tells it from others.
    pub(crate) fn address(&self, index: c_int) -> Option<usize> {
        let index = self.absolute(index)?;
        // SAFETY: the index exists.
        Some(unsafe { sys::lua_topointer(self.raw, index) }.addr())
    }

    /// Pushes nil.
    pub(crate) fn push_nil(&mut self) -> Result<(), Raise> {
        self.reserve(1)?;
        // SAFETY: there is room.
        unsafe { sys::lua_pushnil(self.raw) };
        Ok(())
    }

    /// Pushes a boolean.
    pub(crate) fn push_boolean(&mut self, value: bool) -> Result<(), Raise> {
        self.reserve(1)?;
        // SAFETY: there is room.
        unsafe { sys::lua_pushboolean(self.raw, c_int::from(value)) };
        Ok(())
    }

    /// Pushes a number.
    pub(crate) fn push_number(&mut self, value: f64) -> Result<(), Raise> {
        self.reserve(1)?;
        // SAFETY: there is room.
        unsafe { sys::lua_pushnumber(self.raw, value) };
        Ok(())
    }

    /// Fails if the interpreter holds more than it may, garbage not counted.
    ///
    /// # Errors
    ///
    /// With the text that Lua has for it.
    pub(crate) fn check_memory(&mut self) -> Result<(), Raise> {
        let ledger = &self.context().ledger;
        if ledger.is_exceeded() && ledger.wants_collection() {
            self.collect_garbage();
            ledger.note_collection();
        }
        if ledger.is_exceeded() {
            return Err(Raise::Plain(b"not enough memory".to_vec()));
        }
        Ok(())
    }

    /// Pushes a copy of `bytes`.
    pub(crate) fn push_bytes(&mut self, bytes: &[u8]) -> Result<(), Raise> {
        self.check_memory()?;
        self.push_short(bytes)
    }

    /// Pushes a copy of `bytes`, which are few: also when memory is short.
    pub(crate) fn push_short(&mut self, bytes: &[u8]) -> Result<(), Raise> {
        self.reserve(1)?;
        let start = bytes.as_ptr().cast::<c_char>();
        // SAFETY: there is room, and `bytes` are that many; allocation does not fail here.
        unsafe { sys::lua_pushlstring_(self.raw, start, bytes.len()) };
        Ok(())
    }

    /// Pushes a bare pointer, which scripts can only compare.
    pub(crate) fn push_light(&mut self, address: *mut c_void) -> Result<(), Raise> {
        self.reserve(1)?;
        // SAFETY: there is room; Lua never follows the pointer.
        unsafe { sys::lua_pushlightuserdata(self.raw, address) };
        Ok(())
    }

    /// Pushes an empty table with room for `array` items and `fields` others, both hints.
    pub(crate) fn push_table(&mut self, array: usize, fields: usize) -> Result<(), Raise> {
        const HINT_MAX: usize = 1 << 16;
        self.check_memory()?;
        self.reserve(1)?;
        let array = c_int::try_from(array.min(HINT_MAX)).unwrap_or(0);
        let fields = c_int::try_from(fields.min(HINT_MAX)).unwrap_or(0);
        // SAFETY: there is room; allocation does not fail in native functions.
        unsafe { sys::lua_createtable(self.raw, array, fields) };
        Ok(())
    }

    /// Pushes the words as an array of strings.
    pub(crate) fn push_words(&mut self, words: Args<'_>) -> Result<(), Raise> {
        self.push_table(words.len(), 0)?;
        for (index, word) in words.iter().enumerate() {
            self.push_bytes(word)?;
            self.raw_set_item(-2, index + 1);
        }
        Ok(())
    }

    /// Pushes the value at `index` again.
    pub(crate) fn push_copy(&mut self, index: c_int) -> Result<(), Raise> {
        let Some(index) = self.absolute(index) else {
            return self.push_nil();
        };
        self.reserve(1)?;
        // SAFETY: there is room and the index exists.
        unsafe { sys::lua_pushvalue(self.raw, index) };
        Ok(())
    }

    /// Pushes the environment that new chunks get.
    pub(crate) fn push_globals(&mut self) -> Result<(), Raise> {
        self.reserve(1)?;
        // SAFETY: there is room; the pseudo-index always exists.
        unsafe { sys::lua_pushvalue(self.raw, sys::LUA_GLOBALSINDEX) };
        Ok(())
    }

    /// Takes the table on top as the environment that new chunks get.
    pub(crate) fn replace_globals(&mut self) {
        if self.kind(-1) == Kind::Table {
            // SAFETY: there is a table on top.
            unsafe { sys::lua_replace(self.raw, sys::LUA_GLOBALSINDEX) };
        }
    }

    /// Pushes a native function.
    pub(crate) fn push_native(&mut self, function: sys::lua_CFunction) -> Result<(), Raise> {
        self.reserve(1)?;
        // SAFETY: there is room; no upvalues.
        unsafe { sys::lua_pushcclosure(self.raw, function, 0) };
        Ok(())
    }

    /// Takes the value on top and pushes a native function that has it as its upvalue.
    pub(crate) fn wrap_native(&mut self, function: sys::lua_CFunction) {
        let _ = self.existing(-1);
        // SAFETY: there is a value on top.
        unsafe { sys::lua_pushcclosure(self.raw, function, 1) };
    }

    /// Pushes the first upvalue of the native function that runs.
    pub(crate) fn push_upvalue(&mut self) -> Result<(), Raise> {
        self.reserve(1)?;
        // SAFETY: there is room; an upvalue that does not exist reads as nil.
        unsafe { sys::lua_pushvalue(self.raw, sys::lua_upvalueindex(1)) };
        Ok(())
    }

    /// Moves the value on top to `index`, and those above up.
    pub(crate) fn insert(&mut self, index: c_int) {
        let index = self.existing(index);
        // SAFETY: the index exists.
        unsafe { sys::lua_insert(self.raw, index) };
    }

    /// Moves the value on top to `index`, in place of what is there.
    pub(crate) fn replace(&mut self, index: c_int) {
        let index = self.existing(index);
        // SAFETY: the index exists.
        unsafe { sys::lua_replace(self.raw, index) };
    }

    /// Removes the value at `index`; those above move down.
    pub(crate) fn remove(&mut self, index: c_int) {
        let index = self.existing(index);
        // SAFETY: the index exists.
        unsafe { sys::lua_remove(self.raw, index) };
    }

    /// Replaces the key on top by its value in the table at `table`, without metamethods.
    pub(crate) fn raw_get(&mut self, table: c_int) {
        let table = self.existing(table);
        assert_eq!(self.kind(table), Kind::Table, "the caller checked the kind");
        // SAFETY: the table exists, and a key on top of it or, at worst, the table itself.
        unsafe { sys::lua_rawget_(self.raw, table) };
    }

    /// Pushes the item at `position` of the table at `table`, without metamethods.
    pub(crate) fn raw_item(&mut self, table: c_int, position: usize) -> Result<(), Raise> {
        self.reserve(1)?;
        let table = self.existing(table);
        assert_eq!(self.kind(table), Kind::Table, "the caller checked the kind");
        let position = c_int::try_from(position).unwrap_or(c_int::MAX);
        // SAFETY: the table exists and there is room.
        unsafe { sys::lua_rawgeti_(self.raw, table, position) };
        Ok(())
    }

    /// Pushes the field `name` of the table at `table`, without metamethods.
    pub(crate) fn raw_field(&mut self, table: c_int, name: &[u8]) -> Result<(), Raise> {
        let table = self.existing(table);
        self.push_bytes(name)?;
        self.raw_get(table);
        Ok(())
    }

    /// Takes value and, below it, key from the top into the table at `table`.
    ///
    /// # Errors
    ///
    /// For a key that no table can have: nil or NaN.
    pub(crate) fn raw_set(&mut self, table: c_int) -> Result<(), Raise> {
        let table = self.existing(table);
        assert_eq!(self.kind(table), Kind::Table, "the caller checked the kind");
        match self.kind(-2) {
            Kind::Absent | Kind::Nil => {
                return Err(Raise::Plain(b"table index is nil".to_vec()));
            }
            Kind::Number if self.number(-2).is_some_and(f64::is_nan) => {
                return Err(Raise::Plain(b"table index is NaN".to_vec()));
            }
            _ => {}
        }
        // SAFETY: the table exists, and the key can be one.
        unsafe { sys::lua_rawset(self.raw, table) };
        Ok(())
    }

    /// Takes the value on top as the item at `position` of the table at `table`.
    pub(crate) fn raw_set_item(&mut self, table: c_int, position: usize) {
        let table = self.existing(table);
        assert_eq!(self.kind(table), Kind::Table, "the caller checked the kind");
        let position = c_int::try_from(position).unwrap_or(c_int::MAX);
        // SAFETY: the table exists, and a value is on top.
        unsafe { sys::lua_rawseti_(self.raw, table, position) };
    }

    /// Takes the value on top as the field `name` of the table at `table`.
    pub(crate) fn raw_set_field(&mut self, table: c_int, name: &[u8]) -> Result<(), Raise> {
        let table = self.existing(table);
        self.push_bytes(name)?;
        self.insert(-2);
        self.raw_set(table)
    }

    /// Replaces the key on top by the next key and its value, or removes it at the end.
    ///
    /// Keys must come from here, beginning with nil, and no key may be added meanwhile.
    pub(crate) fn next(&mut self, table: c_int) -> Result<bool, Raise> {
        self.reserve(1)?;
        let table = self.existing(table);
        assert_eq!(self.kind(table), Kind::Table, "the caller checked the kind");
        // SAFETY: the table exists, there is room, and the key is one of the table's own.
        Ok(unsafe { sys::lua_next(self.raw, table) } != 0)
    }

    /// Pushes the metatable of the value at `index`; pushes nothing if it has none.
    pub(crate) fn push_metatable(&mut self, index: c_int) -> Result<bool, Raise> {
        self.reserve(1)?;
        let index = self.existing(index);
        // SAFETY: the index exists and there is room.
        Ok(unsafe { sys::lua_getmetatable(self.raw, index) } != 0)
    }

    /// Takes the table or nil on top as the metatable of the value at `index`.
    pub(crate) fn set_metatable(&mut self, index: c_int) {
        let index = self.existing(index);
        assert!(
            matches!(self.kind(-1), Kind::Table | Kind::Nil),
            "a metatable is a table"
        );
        // SAFETY: the index exists, and the value on top can be a metatable.
        unsafe { sys::lua_setmetatable(self.raw, index) };
    }

    /// Pops the value on top and keeps it in the registry, under the number that is returned.
    pub(crate) fn keep(&mut self) -> c_int {
        let _ = self.existing(-1);
        // SAFETY: a value is on top; allocation does not fail in native functions.
        unsafe { sys::luaL_ref(self.raw, sys::LUA_REGISTRYINDEX) }
    }

    /// Pushes the value that was kept under `number`; nil if there is none.
    pub(crate) fn push_kept(&mut self, number: c_int) -> Result<(), Raise> {
        self.reserve(1)?;
        // SAFETY: there is room; the registry is a table.
        unsafe { sys::lua_rawgeti_(self.raw, sys::LUA_REGISTRYINDEX, number) };
        Ok(())
    }

    /// Pushes what the registry has under `name`.
    pub(crate) fn push_registered(&mut self, name: &[u8]) -> Result<(), Raise> {
        self.push_bytes(name)?;
        // SAFETY: a key is on top; the registry is a table.
        unsafe { sys::lua_rawget_(self.raw, sys::LUA_REGISTRYINDEX) };
        Ok(())
    }

    /// Pops the value on top and keeps it in the registry under `name`.
    pub(crate) fn register(&mut self, name: &[u8]) -> Result<(), Raise> {
        self.push_bytes(name)?;
        self.insert(-2);
        // SAFETY: a string and a value are on top; the registry is a table.
        unsafe { sys::lua_rawset(self.raw, sys::LUA_REGISTRYINDEX) };
        Ok(())
    }

    /// Compiles `source` and pushes the function, or the text of the error.
    ///
    /// `name` is the chunk's, such as `@user_script`. Compiled code is not accepted as source.
    pub(crate) fn load(&mut self, source: &[u8], name: &CStr) -> Status {
        if self.reserve(1).is_err() {
            return Status::Failed;
        }
        // Lua takes a chunk that begins with this byte for compiled code, which it would trust.
        let spaced;
        let source = if source.first() == Some(&b'\x1b') {
            spaced = [b" ", source].concat();
            &spaced
        } else {
            source
        };
        let start = source.as_ptr().cast::<c_char>();
        let before = self.context().ledger.set_strict(true);
        // SAFETY: there is room; `source` are that many bytes, `name` ends with a zero; catches
        // what it raises.
        let status = unsafe { sys::luaL_loadbuffer(self.raw, start, source.len(), name.as_ptr()) };
        self.context().ledger.set_strict(before);
        status_of(status)
    }

    /// Calls the function below its `arguments` on the stack, all of which it takes.
    ///
    /// Pushes `results` values, or the value of the error. `handler` is the index of a function that
    /// is called with the value of an error where it happens, or 0.
    pub(crate) fn call_protected(
        &mut self,
        arguments: c_int,
        results: c_int,
        handler: c_int,
    ) -> Status {
        let _ = self.existing(-1 - arguments);
        let handler = if handler == 0 {
            0
        } else {
            self.existing(handler)
        };
        let before = self.context().ledger.set_strict(true);
        // SAFETY: function and arguments are on the stack; catches what is raised.
        let status = unsafe { sys::lua_pcall(self.raw, arguments, results, handler) };
        self.context().ledger.set_strict(before);
        status_of(status)
    }

    /// Where the function `level` calls above this one stands; 0 is this one.
    pub(crate) fn place(&self, level: c_int) -> Option<Place> {
        let record = self.debug_record(level, c"Sl")?;
        // SAFETY: `S` has filled `source` with text that lives as long as the function.
        let source = unsafe { CStr::from_ptr(record.source) }.to_bytes().to_vec();
        // SAFETY: `S` has filled `what` with a constant of Lua.
        let what = unsafe { CStr::from_ptr(record.what) };
        Some(Place {
            source,
            line: record.currentline,
            is_native: what == c"C",
        })
    }

    /// The name under which the function that runs was called, and whether as a method.
    pub(crate) fn own_name(&self) -> Option<(Vec<u8>, bool)> {
        let record = self.debug_record(0, c"n")?;
        // SAFETY: `n` has filled `namewhat` with a constant of Lua.
        let is_method = unsafe { CStr::from_ptr(record.namewhat) } == c"method";
        if record.name.is_null() {
            return Some((b"?".to_vec(), is_method));
        }
        // SAFETY: `n` has filled `name` with text of the calling function.
        let name = unsafe { CStr::from_ptr(record.name) }.to_bytes().to_vec();
        Some((name, is_method))
    }

    /// The text `chunk:line: ` of the function `level` calls above, empty in native code.
    pub(crate) fn position(&self, level: c_int) -> Vec<u8> {
        let Some(record) = self.debug_record(level, c"Sl") else {
            return Vec::new();
        };
        if record.currentline <= 0 {
            return Vec::new();
        }
        // SAFETY: `S` has filled `short_src` with text that ends with a zero.
        let name = unsafe { CStr::from_ptr(record.short_src.as_ptr()) };
        let mut position = name.to_bytes().to_vec();
        position.extend_from_slice(format!(":{}: ", record.currentline).as_bytes());
        position
    }

    fn debug_record(&self, level: c_int, what: &CStr) -> Option<sys::lua_Debug> {
        let mut record = MaybeUninit::<sys::lua_Debug>::zeroed();
        // SAFETY: the record is a local; a level that does not exist is answered with 0.
        let found = unsafe { sys::lua_getstack(self.raw, level, record.as_mut_ptr()) };
        if found == 0 {
            return None;
        }
        // SAFETY: the record was filled for a level that exists; pushes nothing for these letters.
        unsafe { sys::lua_getinfo(self.raw, what.as_ptr(), record.as_mut_ptr()) };
        // SAFETY: all bytes were zeroed, and numbers and pointers may be zero.
        Some(unsafe { record.assume_init() })
    }

    /// Frees what nobody can reach any more.
    pub(crate) fn collect_garbage(&mut self) {
        // SAFETY: the state is live; scripts have no finalizers.
        unsafe { sys::lua_gc(self.raw, sys::LUA_GCCOLLECT, 0) };
    }

    /// Pushes a table that stands for the one on top, which it replaces: reads reach it, except for
    /// what `on_missing` refuses, and all writes fail.
    ///
    /// `on_missing` and `on_write` are native functions for the metatable's `__index` of the hidden
    /// table and the `__newindex` of the one that stands for it.
    pub(crate) fn make_read_only(
        &mut self,
        on_missing: Option<sys::lua_CFunction>,
        on_write: sys::lua_CFunction,
    ) -> Result<(), Raise> {
        if let Some(on_missing) = on_missing {
            self.push_table(0, 1)?;
            self.push_native(on_missing)?;
            self.raw_set_field(-2, b"__index")?;
            self.set_metatable(-2);
        }
        self.push_table(0, 0)?;
        self.push_table(0, 3)?;
        self.push_copy(-3)?;
        self.raw_set_field(-2, b"__index")?;
        self.push_native(on_write)?;
        self.raw_set_field(-2, b"__newindex")?;
        self.push_light(mark())?;
        self.push_copy(-4)?;
        self.raw_set(-3)?;
        self.set_metatable(-2);
        self.remove(-2);
        Ok(())
    }

    /// Puts the hidden table in place of a read-only one on top.
    pub(crate) fn reveal(&mut self) -> Result<(), Raise> {
        if self.push_hidden(-1)? {
            self.remove(-2);
        }
        Ok(())
    }

    /// Pushes the hidden table behind a read-only one; pushes nothing for other values.
    pub(crate) fn push_hidden(&mut self, index: c_int) -> Result<bool, Raise> {
        if self.kind(index) != Kind::Table || !self.push_metatable(index)? {
            return Ok(false);
        }
        self.push_light(mark())?;
        self.raw_get(-2);
        self.remove(-2);
        if self.kind(-1) == Kind::Table {
            return Ok(true);
        }
        self.pop(1);
        Ok(false)
    }
}

/// The address that marks read-only tables.
pub(crate) const fn mark() -> *mut c_void {
    (&raw const READ_ONLY_MARK).cast_mut().cast()
}

const fn status_of(status: c_int) -> Status {
    match status {
        sys::LUA_OK => Status::Fine,
        sys::LUA_ERRMEM => Status::OutOfMemory,
        _ => Status::Failed,
    }
}
