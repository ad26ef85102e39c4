//! Patterns for lists.

use super::Family;

pub(super) const FAMILY: Family = Family {
    templates: &[],
    words: |_| None,
};
