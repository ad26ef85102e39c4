//! Versions that clients and operators are told.

/// The version of this server.
pub const TRESTLE: &str = env!("CARGO_PKG_VERSION");

/// The Redis version whose behaviour clients may expect.
pub const REDIS: &str = "7.4.0";
