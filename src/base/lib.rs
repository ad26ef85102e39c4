//! What every other crate needs and what needs none of them.
//!
//! Admission rule: a thing lives here only if two or more layers need it and it has no I/O, no
//! clock of its own, no thread and no knowledge of Redis commands. There are no re-exports: each
//! name has one path.
//!
//! In reading order: [`ids`] names things, [`limits`] bounds them, [`cast`] converts integers
//! without loss, [`clock`] says what time is, [`hash`] places keys, [`random`] is the only source
//! of chance, [`number`] reads and writes numbers as Redis does, [`glob`] matches patterns.
//!
//! Not here: counters and histograms. A counter is a plain `u64` field of the core that counts.

pub mod cast;
pub mod clock;
pub mod glob;
pub mod hash;
pub mod ids;
pub mod limits;
pub mod number;
pub mod random;
