//! Users and their rules: what clients are told is compared with Redis, byte for byte.
//!
//! In reading order: [`written`] are sequences of requests by several clients, [`random`] makes users of random rules
//! and asks what they may do, [`cores`] is about what Redis has not: many cores, tables.

mod cores;
mod random;
mod written;
