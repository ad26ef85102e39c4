//! A snapshot of the rows of all tables of a shard: a walk over each table after the other.
//!
//! Not here: the walks (`walk`), where the bytes go (`shard::snapshot`), and the schemas, which never change and
//! are taken at the beginning by whoever needs them.

use base::ids::DbIndex;

use crate::Tables;
use crate::table::Garbage;
use crate::walk::Piece;

/// What a step of a snapshot has done.
#[derive(Debug)]
pub enum Walked {
    /// There are no more rows, or there is no snapshot.
    Done,
    /// There are more. Perhaps some are ready.
    More(Option<Piece>),
}

impl Tables {
    /// Begins a snapshot of all rows. O(tables).
    ///
    /// # Panics
    ///
    /// If one is under way.
    pub fn begin_snapshot(&mut self) {
        assert!(!self.has_snapshot(), "a snapshot follows the one before");
        for (db, database) in (0..).zip(&mut self.databases) {
            for (&id, table) in &mut database.tables {
                table.walk = table.new_walk(DbIndex(db));
                if table.walk.is_some() {
                    self.walking.push(id);
                }
            }
        }
    }

    /// Returns whether a snapshot waits for rows.
    #[must_use]
    pub fn has_snapshot(&self) -> bool {
        !self.walking.is_empty() || !self.changes.detached.is_empty()
    }

    /// Goes on with the snapshot by about so many rows. O(`rows` and their bytes, databases).
    pub fn snapshot_step(&mut self, rows: usize) -> Walked {
        if let Some(detached) = self.changes.detached.last_mut() {
            let has_more = detached.walk.step(&detached.rows, rows);
            let piece = detached.walk.take(!has_more);
            if !has_more && let Some(detached) = self.changes.detached.pop() {
                self.changes.free(vec![Garbage::Rows(detached.rows)]);
            }
            return Walked::More(piece);
        }
        let Some(&id) = self.walking.last() else {
            return Walked::Done;
        };
        let mut tables = self
            .databases
            .iter_mut()
            .filter_map(|db| db.tables.get_mut(&id));
        // Those that are not there any more, or have lost their walk, have left it among the detached.
        if let Some(table) = tables.next()
            && let Some(walk) = &mut table.walk
        {
            let has_more = walk.step(&table.rows, rows);
            let piece = walk.take(!has_more);
            if !has_more {
                table.walk = None;
                self.walking.pop();
            }
            return Walked::More(piece);
        }
        self.walking.pop();
        Walked::More(None)
    }
}
