//! Lua as Redis 7.0 offers it, without the keys: scripts, libraries of functions, their interpreters.
//!
//! A running script is a [`running::Running`]: resume it, and it says what it wants next
//! ([`running::Step`]): the reply to a command, some more time, a line in the log, or it is done. It can
//! wait at any depth of Lua calls, so a command may go to another core while the script is put aside.
//!
//! In reading order: [`scripts`] keeps sources and starts scripts, [`running`] is one that runs,
//! [`functions`] are the libraries of FUNCTION. Below them:
//! `interpreter` is one Lua state with all that scripts see, `api` the table `redis`, `reply` and
//! `answer` convert between RESP and Lua, `json`, `pack`, `structs`, `bits` and `math` are the libraries,
//! and `engine` is Lua itself.
//!
//! Invariants
//! - Pure: no clock, no thread, no file. Scripts get time and data from commands only.
//! - No script ends the process: memory, stack, nesting and time are bounded.
//! - An interpreter runs one script at a time, and after it is as it was before.
//!
//! Not here: keys and commands (whoever resumes a script runs them), who may run what (`server`).

mod answer;
mod api;
mod bits;
mod engine;
pub mod functions;
mod interpreter;
mod json;
mod math;
mod pack;
mod reply;
pub mod running;
pub mod scripts;
mod shebang;
mod structs;

#[cfg(test)]
mod bounds_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod transcripts;
