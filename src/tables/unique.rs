//! Whether values of unique indexes are so over all shards, for tables that come from a file.
//!
//! While a server runs, shards are asked before a value is stored. A file may say anything: rows of one shard are
//! compared as they are loaded, those of several when all of them are there. For that each shard tells digests of its
//! values, which take less than the values, and of which it does not matter what they are of.
//!
//! Invariant: two values that differ have the same digest by a chance of 2^-128. The seeds are those of the process,
//! so nobody can make a file of values that collide.

use std::cmp::Ordering;

use base::hash::KeyHasher;
use base::ids::DbIndex;

use crate::Tables;
use crate::index::push_row_key;
use crate::schema::{IndexId, Layout, TableId};
use crate::store::{Place, bits};
use crate::table::Table;

/// The values of a unique index that one shard has.
#[derive(Debug, PartialEq, Eq)]
pub struct Values {
    db: DbIndex,
    table: TableId,
    index: IndexId,
    /// Ascending.
    digests: Vec<u128>,
}

/// A unique index that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Double {
    /// The database.
    pub db: DbIndex,
    /// The table.
    pub table: TableId,
    /// The index.
    pub index: IndexId,
}

impl Tables {
    /// Returns the values of unique indexes of all tables that lie on several shards. Rows that end at some time are
    /// left out: they may have values of others.
    ///
    /// Cost: O(n log n), n being the rows, and 16 bytes for each.
    #[must_use]
    pub fn unique_values_of_all(&self) -> Vec<Values> {
        let mut all = Vec::new();
        for (db, database) in (0..).map(DbIndex).zip(&self.databases) {
            for schema in database.catalog.tables() {
                let table = database.tables.get(&schema.id);
                let Some(table) = table.filter(|_| schema.layout != Layout::Home) else {
                    continue;
                };
                for index in schema.indexes.iter().filter(|index| index.unique) {
                    all.push(Values {
                        db,
                        table: schema.id,
                        index: index.id,
                        digests: self.digests(table, index.id),
                    });
                }
            }
        }
        all
    }

    fn digests(&self, table: &Table, index: IndexId) -> Vec<u128> {
        let Some(index) = table.index(index) else {
            return Vec::new();
        };
        let seed = |word: &[u8]| self.hasher.hash(word);
        let other = KeyHasher::new((seed(b"unique values"), seed(b"of all shards")));
        let mut digests = Vec::new();
        let mut key = Vec::new();
        for (number, chunk) in table.rows.chunks(0..) {
            for offset in bits::offsets(chunk.live()) {
                key.clear();
                let place = Place::at(number, offset);
                if chunk.end(offset).is_none()
                    && push_row_key(&table.rows, place, &index.columns, &mut key)
                {
                    let (high, low) = (self.hasher.hash(&key), other.hash(&key));
                    digests.push((u128::from(high) << 64) | u128::from(low));
                }
            }
        }
        digests.sort_unstable();
        digests
    }
}

/// Returns an index of which two shards have the same value. O(values).
#[must_use]
pub fn double(some: &[Values], others: &[Values]) -> Option<Double> {
    some.iter().find_map(|values| {
        let (db, table, index) = (values.db, values.table, values.index);
        let same = |other: &&Values| (other.db, other.table, other.index) == (db, table, index);
        let other = others.iter().find(same)?;
        meet(&values.digests, &other.digests).then_some(Double { db, table, index })
    })
}

/// Returns whether ascending lists have anything in common.
fn meet(some: &[u128], others: &[u128]) -> bool {
    let (mut some, mut others) = (some.iter().peekable(), others.iter().peekable());
    while let (Some(one), Some(other)) = (some.peek(), others.peek()) {
        match one.cmp(other) {
            Ordering::Less => some.next(),
            Ordering::Greater => others.next(),
            Ordering::Equal => return true,
        };
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_meet_if_they_share_a_value() {
        assert!(!meet(&[], &[1]));
        assert!(!meet(&[1, 3, 5], &[0, 2, 4, 6]));
        assert!(meet(&[1, 3, 5], &[5]));
        assert!(meet(&[7, 8], &[1, 2, 7]));
    }
}
