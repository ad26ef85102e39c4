//! Names of tables: `namespace.table`.
//!
//! The first dot ends the namespace; what follows is the table, further dots included. A name without a
//! dot is a table of the namespace `default`, which always exists. Any bytes are allowed, none too.

use base::limits::TABLE_NAME_BYTES_MAX;

use crate::error::TableError;

/// The namespace of tables without one.
pub const DEFAULT_NAMESPACE: &[u8] = b"default";

/// Bytes of the longest full name.
const FULL_BYTES_MAX: usize = 2 * TABLE_NAME_BYTES_MAX + 1;

/// The name of a table, in its two parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableName<'a> {
    /// Before the first dot.
    pub namespace: &'a [u8],
    /// Behind it.
    pub table: &'a [u8],
}

impl<'a> TableName<'a> {
    /// Splits a name. Cost: its length.
    #[must_use]
    #[inline]
    pub fn split(name: &'a [u8]) -> Self {
        match name.iter().position(|&byte| byte == b'.') {
            Some(dot) => Self {
                namespace: &name[..dot],
                table: &name[dot + 1..],
            },
            None => Self {
                namespace: DEFAULT_NAMESPACE,
                table: name,
            },
        }
    }

    /// Returns both parts with a dot between them.
    #[must_use]
    pub fn full(&self) -> Box<[u8]> {
        [self.namespace, b".", self.table].concat().into()
    }

    /// Checks the lengths, the namespace first.
    ///
    /// # Errors
    /// [`TableError::NamespaceTooLong`] and [`TableError::TableTooLong`].
    pub fn check(&self) -> Result<(), TableError> {
        check_namespace(self.namespace)?;
        if self.table.len() > TABLE_NAME_BYTES_MAX {
            return Err(TableError::TableTooLong);
        }
        Ok(())
    }
}

/// Checks the length of the name of a namespace.
///
/// # Errors
/// [`TableError::NamespaceTooLong`].
pub fn check_namespace(name: &[u8]) -> Result<(), TableError> {
    if name.len() > TABLE_NAME_BYTES_MAX {
        return Err(TableError::NamespaceTooLong);
    }
    Ok(())
}

/// Calls `find` with the full name of `name`: with `name` itself if it has a dot, otherwise with one that is
/// put together without an allocation; not at all if no table can have the name.
#[inline]
pub fn with_full<T>(name: &[u8], find: impl FnOnce(&[u8]) -> Option<T>) -> Option<T> {
    if name.contains(&b'.') {
        return find(name);
    }
    let mut full = [0; FULL_BYTES_MAX];
    let length = DEFAULT_NAMESPACE.len() + 1 + name.len();
    let place = full.get_mut(..length)?;
    place[..DEFAULT_NAMESPACE.len()].copy_from_slice(DEFAULT_NAMESPACE);
    place[DEFAULT_NAMESPACE.len()] = b'.';
    place[DEFAULT_NAMESPACE.len() + 1..].copy_from_slice(name);
    find(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_split_at_the_first_dot() {
        let parts = |name: &'static str| {
            let found = TableName::split(name.as_bytes());
            (found.namespace, found.table)
        };
        assert_eq!(parts("n.t"), (&b"n"[..], &b"t"[..]));
        assert_eq!(parts("n.a.b"), (&b"n"[..], &b"a.b"[..]));
        assert_eq!(parts("n."), (&b"n"[..], &b""[..]));
        assert_eq!(parts(".t"), (&b""[..], &b"t"[..]));
        assert_eq!(parts("t"), (&b"default"[..], &b"t"[..]));
    }

    #[test]
    fn full_names_have_a_dot_in_any_case() {
        for (name, expected) in [("n.t", "n.t"), ("t", "default.t"), ("", "default.")] {
            assert_eq!(
                *TableName::split(name.as_bytes()).full(),
                *expected.as_bytes()
            );
            let found = with_full(name.as_bytes(), |full| Some(full.to_vec()));
            assert_eq!(found, Some(expected.as_bytes().to_vec()));
        }
        assert_eq!(with_full(&[b'x'; 1000], |_| Some(())), None);
    }

    #[test]
    fn b2_each_part_has_64_bytes_at_most() {
        let long = [b'x'; 65];
        let check = |namespace: &[u8], table: &[u8]| TableName { namespace, table }.check();
        assert_eq!(check(&long[..64], &long[..64]), Ok(()));
        assert_eq!(check(&long, &long), Err(TableError::NamespaceTooLong));
        assert_eq!(check(b"n", &long), Err(TableError::TableTooLong));
        assert_eq!(
            check_namespace("é".repeat(33).as_bytes()),
            Err(TableError::NamespaceTooLong)
        );
    }
}
