//! Patterns for bitmaps.

use super::Family;

pub(super) const FAMILY: Family = Family {
    templates: &[],
    words: |_| None,
};
