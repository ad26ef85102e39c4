//! Patterns of commands by type of value, a file for each.
//!
//! A random sequence mostly stays within one family, so that its few keys mostly hold values of one
//! type; the other commands, and sometimes those of another family, come in between.

mod bitmap;
mod generic;
mod geo;
mod hash;
mod hyperloglog;
mod list;
mod script;
mod set;
mod sorted_set;
mod stream;

/// The commands of one type.
pub(super) struct Family {
    /// Patterns and how often each comes up among those of the family.
    pub(super) templates: &'static [(u64, &'static str)],
    /// The words of a kind that only this family's patterns name; the first four are common.
    pub(super) words: fn(&str) -> Option<&'static [&'static str]>,
}

/// All families.
pub(super) const FAMILIES: &[Family] = &[
    list::FAMILY,
    set::FAMILY,
    hash::FAMILY,
    sorted_set::FAMILY,
    stream::FAMILY,
    bitmap::FAMILY,
    hyperloglog::FAMILY,
    geo::FAMILY,
    script::FAMILY,
    generic::FAMILY,
];

#[test]
fn every_kind_of_word_belongs_to_one_family() {
    for family in FAMILIES {
        for (_, pattern) in family.templates {
            for part in pattern.split('<').skip(1) {
                let kind = part.split('>').next().unwrap_or_default();
                let owners = FAMILIES
                    .iter()
                    .filter(|other| (other.words)(kind).is_some())
                    .count();
                let is_own = (family.words)(kind).is_some();
                // The kinds of no family are those of all.
                assert!(
                    owners == usize::from(is_own),
                    "<{kind}> of {pattern}: {owners} families"
                );
            }
        }
    }
}
