//! One Lua state with its context: made, limited by instructions, and closed.

#![expect(
    unsafe_code,
    reason = "states are made and closed by C functions, and hooks are C functions"
)]

use std::ffi::c_int;
use std::fmt;
use std::ptr::NonNull;

use mlua_sys as sys;

use super::context::Context;
use super::lua::Lua;
use super::memory::allocate;
use crate::running::Step;

/// A Lua state and what its native functions share.
pub(crate) struct State {
    raw: NonNull<sys::lua_State>,
    context: NonNull<Context>,
}

/// Pause and speed of Lua's collector, in percent: what it begins with.
const COLLECTOR: [(c_int, c_int); 3] = [
    (sys::LUA_GCRESTART, 0),
    (sys::LUA_GCSETPAUSE, 200),
    (sys::LUA_GCSETSTEPMUL, 200),
];

impl State {
    /// Makes a state whose Lua code may hold `memory_bytes_max`, with Lua's own libraries opened.
    ///
    /// Nothing if the process has no memory left.
    pub(crate) fn new(memory_bytes_max: usize) -> Option<Self> {
        let context = NonNull::from(Box::leak(Box::new(Context::new(memory_bytes_max))));
        // SAFETY: the context lives until this is dropped, after the state was closed.
        let raw = unsafe { sys::lua_newstate(allocate, context.as_ptr().cast()) };
        let Some(raw) = NonNull::new(raw) else {
            // SAFETY: it was leaked above, and nothing else knows it.
            drop(unsafe { Box::from_raw(context.as_ptr()) });
            return None;
        };
        let state = Self { raw, context };
        for open in [
            sys::luaopen_base,
            sys::luaopen_table,
            sys::luaopen_string,
            sys::luaopen_math,
        ] {
            // SAFETY: a fresh state has room.
            unsafe { sys::lua_pushcclosure(raw.as_ptr(), open, 0) };
            // SAFETY: the function is on top, and raises nothing, as memory is not bounded yet.
            unsafe { sys::lua_call(raw.as_ptr(), 0, 0) };
        }
        Some(state)
    }

    /// What its native functions share.
    pub(crate) const fn context(&self) -> &Context {
        // SAFETY: it lives as long as this.
        unsafe { self.context.as_ref() }
    }

    /// Its stack of values.
    pub(crate) fn lua(&mut self) -> Lua<'_> {
        // SAFETY: the state is live, has its context, and is borrowed exclusively.
        unsafe { Lua::new(self.raw.as_ptr()) }
    }

    /// The state for the fiber that owns this.
    pub(crate) const fn raw(&self) -> *mut sys::lua_State {
        self.raw.as_ptr()
    }

    /// Suspends what runs after every `instructions` of the virtual machine.
    pub(crate) fn limit_slice(&self, instructions: c_int) {
        let raw = self.raw.as_ptr();
        // SAFETY: the state is live.
        unsafe { sys::lua_sethook(raw, Some(hook), sys::LUA_MASKCOUNT, instructions.max(1)) };
        for (what, value) in COLLECTOR {
            // SAFETY: the state is live; these only set numbers.
            unsafe { sys::lua_gc(raw, what, value) };
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.context().ledger.set_strict(false);
        // SAFETY: the state is live and not running: a fiber that is suspended leaks its state.
        unsafe { sys::lua_close(self.raw.as_ptr()) };
        // SAFETY: it was leaked when the state was made, and the state is gone.
        drop(unsafe { Box::from_raw(self.context.as_ptr()) });
    }
}

impl fmt::Debug for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("State").finish_non_exhaustive()
    }
}

/// Called by Lua when a slice is over, and in a killed script before every instruction.
unsafe extern "C-unwind" fn hook(raw: *mut sys::lua_State, _record: *mut sys::lua_Debug) {
    // SAFETY: called by Lua with its live state.
    if unsafe { must_end(raw) } {
        // SAFETY: the error is on top, and this frame has nothing to drop.
        unsafe { sys::lua_error(raw) };
    }
}

/// Gives the owner of the script a say; true if the script must end, with the error on top.
///
/// # Safety
///
/// `raw` is a state that Lua is running.
unsafe fn must_end(raw: *mut sys::lua_State) -> bool {
    // SAFETY: the caller's; every state of this crate has its context.
    let mut lua = unsafe { Lua::new(raw) };
    let context = lua.context();
    let before = context.ledger.set_strict(false);
    if context.ledger.wants_collection() {
        lua.collect_garbage();
        context.ledger.note_collection();
    }
    let must_end = !context.suspend(Step::Tick);
    if must_end {
        // From here on every instruction fails, so that what catches errors does not go on.
        // SAFETY: the state is live.
        unsafe { sys::lua_sethook(raw, Some(hook), sys::LUA_MASKCOUNT, 1) };
        drop(crate::api::killed(&mut lua));
    }
    context.ledger.set_strict(before);
    must_end
}
