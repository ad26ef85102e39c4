//! Tables over the wire.
//!
//! In reading order: [`conformance`] replays what the `RedisTABLE` module has said; [`guide`] replays the page
//! that teaches tables; [`whole`] uses tables beside everything else, [`stress`] has many clients at once, [`files`] saves and
//! loads, [`tools`] exports and imports, [`sqlite`] compares random statements with SQLite, [`bad_input`] sends what no client
//! should.

mod bad_input;
mod conformance;
mod files;
mod guide;
mod log;
mod sqlite;
mod stress;
mod tools;
mod whole;
