//! Functions of ours that Lua can call.
//!
//! A native function takes its arguments from the stack, pushes its results and returns their number,
//! or an error. The frame below it, which has nothing to drop, raises that error when the function is
//! over.

#![expect(
    unsafe_code,
    reason = "Lua calls C functions, and learns of an error by a jump"
)]

use std::ffi::c_int;

use mlua_sys as sys;

use super::lua::{Lua, Raise};

/// What a native function returns: the number of results on top of the stack.
pub(crate) type Results = Result<c_int, Raise>;

/// The C function that runs `function`, which must have no captures: a plain function.
pub(crate) fn native<F: Fn(&mut Lua<'_>) -> Results + Copy + 'static>(
    _function: F,
) -> sys::lua_CFunction {
    const { assert!(size_of::<F>() == 0, "a plain function, without captures") };
    enter::<F>
}

/// Runs the function of type `F`, then raises what it returns.
unsafe extern "C-unwind" fn enter<F: Fn(&mut Lua<'_>) -> Results + Copy + 'static>(
    raw: *mut sys::lua_State,
) -> c_int {
    // SAFETY: Lua calls with its live state.
    let results = unsafe { run::<F>(raw) };
    if results < 0 {
        // SAFETY: the value of the error is on top, and this frame has nothing to drop.
        unsafe { sys::lua_error(raw) }
    }
    results
}

/// Runs the function; -1 if it failed, with the value of the error on top.
///
/// # Safety
///
/// `raw` is the state whose native function this is.
unsafe fn run<F: Fn(&mut Lua<'_>) -> Results + Copy + 'static>(raw: *mut sys::lua_State) -> c_int {
    // SAFETY: `F` has no bytes, and `native` was given one, so there is such a value.
    let function = unsafe { std::mem::zeroed::<F>() };
    // SAFETY: the caller's; every state of this crate has its context.
    let mut lua = unsafe { Lua::new(raw) };
    let ledger = &lua.context().ledger;
    let before = ledger.set_strict(false);
    let mut outcome = function(&mut lua);
    // The function was allowed to pass the bound. What it made is garbage first of all.
    if before && outcome.is_ok() {
        outcome = lua.check_memory().and(outcome);
    }
    let results = match outcome {
        Ok(results) => results,
        Err(raise) => {
            push_error(&mut lua, raise);
            -1
        }
    };
    ledger.set_strict(before);
    results
}

fn push_error(lua: &mut Lua<'_>, raise: Raise) {
    let text = match raise {
        Raise::Top if lua.top() > 0 => return,
        Raise::Top => Vec::new(),
        Raise::Plain(text) => text,
        Raise::Text(text) => {
            let mut whole = lua.position(1);
            whole.extend_from_slice(&text);
            whole
        }
    };
    if lua.push_short(&text).is_err() {
        // Without room for one more value, one of the function's own makes room.
        lua.pop(1);
        drop(lua.push_short(&text));
    }
}

impl Lua<'_> {
    /// The error for a wrong argument, numbered from 1: names the function as the script called it.
    pub(crate) fn argument_error(&self, number: c_int, text: &str) -> Raise {
        let mut number = number;
        let (name, is_method) = self.own_name().unwrap_or((b"?".to_vec(), false));
        let name = String::from_utf8_lossy(&name).into_owned();
        if is_method {
            number -= 1;
            if number == 0 {
                return Raise::text(format!("calling '{name}' on bad self ({text})"));
            }
        }
        Raise::text(format!("bad argument #{number} to '{name}' ({text})"))
    }

    /// The error for an argument of another kind than `expected`.
    pub(crate) fn kind_error(&self, number: c_int, expected: &str) -> Raise {
        let text = format!("{expected} expected, got {}", self.kind(number).name());
        self.argument_error(number, &text)
    }

    /// Argument `number` as a number.
    pub(crate) fn check_number(&self, number: c_int) -> Result<f64, Raise> {
        self.number(number)
            .ok_or_else(|| self.kind_error(number, "number"))
    }

    /// Argument `number` as text; numbers are written out.
    pub(crate) fn check_text(&mut self, number: c_int) -> Result<&[u8], Raise> {
        if self.text(number).is_none() {
            return Err(self.kind_error(number, "string"));
        }
        Ok(self.bytes(number).unwrap_or_default())
    }
}
