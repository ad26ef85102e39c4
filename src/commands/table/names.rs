//! Names of tables as keys: what is claimed, watched and told.
//!
//! `default.t` and `t` are one table. Its key is the short form: the shard of that is its home, and events
//! and claims name it so. Other tables have their full name as key.

use protocol::args::{Args, equals_ignore_case};
use tables::schema::TableId;

use crate::scope::{RowStatement, Scope, TableChange};

/// What stands before the names of tables that are written without a namespace.
const DEFAULT: &[u8] = b"default.";

/// Returns the key of the table that `word` names. O(bytes).
#[must_use]
pub fn key_of(word: &[u8]) -> &[u8] {
    match word.strip_prefix(DEFAULT) {
        // With a further dot the short form would name another table.
        Some(short) if !short.is_empty() && !short.contains(&b'.') => short,
        _ => word,
    }
}

/// Returns the index of the word that names the table.
#[must_use]
pub fn table_word(scope: Scope) -> usize {
    match scope {
        Scope::Rows(RowStatement::Explain | RowStatement::Profile) => 2,
        Scope::Rows(_) | Scope::Catalog | Scope::Definition | Scope::Change(_) => 1,
    }
}

/// Returns a name for the namespace of the table that `word` names, which no table has.
fn namespace_of(word: &[u8]) -> &[u8] {
    match word.iter().position(|&byte| byte == b'.') {
        Some(dot) => &word[..=dot],
        None => DEFAULT,
    }
}

/// Calls `claimed` with all that a table command claims, on every shard that takes part; not at all if
/// that is everything.
pub fn claimed_names<'w>(scope: Scope, args: Args<'w>, claimed: &mut dyn FnMut(&'w [u8])) {
    let Some(word) = args.get(table_word(scope)) else {
        return;
    };
    match scope {
        Scope::Catalog
        | Scope::Change(TableChange::CreateNamespace | TableChange::DropNamespace) => {}
        Scope::Definition | Scope::Rows(_) | Scope::Change(TableChange::Truncate) => {
            claimed(key_of(word));
        }
        Scope::Change(TableChange::Create | TableChange::Alter | TableChange::Drop) => {
            claimed(key_of(word));
            claimed(namespace_of(word));
            let is_rename = |at: usize, text| {
                args.get(at)
                    .is_some_and(|word| equals_ignore_case(word, text))
            };
            if let Some(target) = args.get(4)
                && is_rename(2, "RENAME")
                && is_rename(3, "TO")
            {
                claimed(key_of(target));
                claimed(namespace_of(target));
            }
        }
    }
}

/// Returns the last word of a request that inserts row `row`, which was drawn for `table`: with another table of this
/// name it means nothing.
#[must_use]
pub fn word_of_drawn(row: u64, table: TableId) -> String {
    format!("{row} {}", table.0)
}

/// Reads such a word.
pub(super) fn drawn(word: &[u8]) -> Option<(u64, TableId)> {
    let space = word.iter().position(|byte| *byte == b' ')?;
    let number = |word| base::number::parse_u64(word);
    let (row, table) = (number(&word[..space])?, number(&word[space + 1..])?);
    Some((row, TableId(table)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawn_row_is_for_one_table() {
        let word = word_of_drawn(7, TableId(u64::MAX));
        assert_eq!(drawn(word.as_bytes()), Some((7, TableId(u64::MAX))));
        assert_eq!(drawn(b"7"), None);
        assert_eq!(drawn(b"7 x"), None);
    }

    #[test]
    fn a_table_has_one_key_however_it_is_written() {
        assert_eq!(key_of(b"t"), b"t");
        assert_eq!(key_of(b"default.t"), b"t");
        assert_eq!(key_of(b"n.t"), b"n.t");
        assert_eq!(key_of(b"default.a.b"), b"default.a.b");
        assert_eq!(key_of(b"default."), b"default.");
    }
}
