//! Scripts in Lua on many cores.
//!
//! The crate `scripting` is Lua; here is what makes a script a command of this server: what it has to
//! claim, how its commands reach the shards, who can see and end it.
//!
//! In reading order: [`start`] from a request to a program, [`program`] its steps, [`forward`] to the core
//! that has the keys, [`registry`] and [`local`] what is kept, [`declared_keys`] whether a script can touch
//! other keys than it declares, [`declared_functions`] the same for functions, [`kill`] and [`busy`] what
//! takes too long.

pub(crate) mod busy;
pub(crate) mod declared_functions;
pub(crate) mod declared_keys;
pub(crate) mod forward;
pub(crate) mod kill;
pub(crate) mod local;
pub(crate) mod program;
pub mod registry;
pub(crate) mod start;
mod tokens;
