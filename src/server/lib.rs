//! The server.

mod control;
