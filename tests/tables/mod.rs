//! Tables over the wire.
//!
//! In reading order: [`conformance`] replays what the `RedisTABLE` module has said; [`whole`] uses tables beside
//! everything else, [`stress`] has many clients at once, [`sqlite`] compares random statements with SQLite.

mod conformance;
mod sqlite;
mod stress;
mod whole;
