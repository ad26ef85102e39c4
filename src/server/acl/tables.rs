//! The names under which the access rules know tables.
//!
//! A table is known by its full name, `namespace.table`, one of the default namespace also by the short one; a
//! namespace by its name with the dot behind it. So `~app.*` is about a whole namespace.

use std::borrow::Cow;

use commands::scope::{Scope, TableChange};
use commands::table::key_of;

use super::catalog::Known;

/// The namespace of tables without one.
const DEFAULT: &[u8] = b"default.";

/// Returns the names of what a word of a request names as a key: a pattern that matches one of them is enough.
pub(super) fn names_of<'w>(
    known: &Known,
    word: &'w [u8],
) -> impl Iterator<Item = Cow<'w, [u8]>> + use<'w> {
    let (name, other) = match known.scope {
        None => (Cow::Borrowed(word), None),
        Some(Scope::Change(TableChange::CreateNamespace | TableChange::DropNamespace)) => {
            (Cow::Owned([word, b"."].concat()), None)
        }
        Some(_) => {
            let key = key_of(word);
            let full = (!key.contains(&b'.')).then(|| Cow::Owned([DEFAULT, key].concat()));
            (Cow::Borrowed(key), full)
        }
    };
    std::iter::once(name).chain(other)
}
