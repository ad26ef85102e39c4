//! Control-plane commands: those that work on sessions and on the server, not on the data of shards.

#![cfg_attr(not(test), expect(dead_code, reason = "the dispatcher will call it"))]

pub(crate) mod command;
pub(crate) mod declarations;
