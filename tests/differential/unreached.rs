//! What the random sequences do not reach, each with its reason.

/// Commands and options (`command OPTION`) that never succeed in random sequences.
pub(super) const UNREACHED: &[(&str, &str)] = &[];

/// Commands of the reference that are not here.
pub(super) const LACKING: &[(&str, &str)] = &[];
