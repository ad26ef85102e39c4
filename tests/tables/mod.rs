//! Tables over the wire.
//!
//! In reading order: [`conformance`] replays what the `RedisTABLE` module has said; [`whole`] uses tables beside
//! everything else, [`stress`] has many clients at once.

mod conformance;
mod stress;
mod whole;
