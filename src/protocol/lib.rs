//! The Redis wire protocol, both directions, as pure functions over bytes.
//!
//! In reading order: [`request`] finds the words of a request inside the bytes a client sent,
//! [`args`] is how everybody else looks at those words, [`reply`] writes answers in RESP2 or
//! RESP3, and [`value`] reads answers back for those who talk to a server.
//!
//! Invariants
//! - No input panics, and no count or length that a peer declares reserves memory.
//! - Bytes that were looked at once are not looked at again when more arrive.
//!
//! Not here: sockets and buffers (`net`), the meaning of words (`commands`).

pub mod args;
pub mod reply;
pub mod request;
pub mod value;
