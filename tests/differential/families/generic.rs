//! Patterns for commands that work on keys of any type.

use super::Family;

pub(super) const FAMILY: Family = Family {
    templates: &[],
    words: |_| None,
};
