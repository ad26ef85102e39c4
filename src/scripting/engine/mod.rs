//! Lua itself, behind an interface that cannot be misused: everything `unsafe` of this crate.
//!
//! In reading order: [`memory`] gives Lua its bytes and bounds them, [`context`] is what all native
//! functions of an interpreter share, [`lua`] is the stack of values, [`native`] lets Lua call
//! functions of ours, [`guard`] corrects some of Lua's own, [`state`] is one Lua machine, [`fiber`] runs Lua on a stack of its own that can be put aside.
//!
//! Invariants
//! - An error of Lua is a jump over C frames. It never crosses a frame of ours that has something to
//!   drop: a native function returns its error, and only the empty frame below it raises it.
//! - While a native function runs, allocation does not fail (so Lua cannot raise); the bound is
//!   checked when it returns. While Lua runs, allocation fails at the bound, and Lua raises.
//! - The stack of a fiber is never unwound: a script that is not wanted any more is resumed with an
//!   error that it cannot catch, until it ends.
//!
//! Not here: what Redis's scripts see (the rest of the crate).

pub(crate) mod context;
pub(crate) mod fiber;
pub(crate) mod guard;
pub(crate) mod lua;
pub(crate) mod memory;
pub(crate) mod native;
pub(crate) mod state;
