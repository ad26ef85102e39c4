//! A table that goes from one shard to all, once in its life.
//!
//! Its claim is exclusive and kept from the first row taken to the last one stored.

use base::ids::{DbIndex, ShardId};
use commands::table::parts::{TableOutcome, TableStep};
use runtime::faults::{self, Fault};
use tables::catalog::SchemaChange;
use tables::effects::RowImage;
use tables::schema::TableId;

use super::{hop, shard_of_row, table_outcomes};
use crate::route::SlotMap;
use crate::step::{HopOutcome, Program, Step};

/// The program.
#[derive(Debug)]
pub struct Growing {
    map: SlotMap,
    db: DbIndex,
    home: ShardId,
    table: TableId,
    change: Option<SchemaChange>,
    rows: Vec<RowImage>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Begin,
    Planning,
    Taking,
    Paused,
    Storing,
}

impl Growing {
    /// Creates the program of a table whose rows are on shard `home`. All shards are claimed.
    #[must_use]
    pub fn new(map: SlotMap, db: DbIndex, home: ShardId, table: TableId) -> Self {
        Self {
            map,
            db,
            home,
            table,
            change: None,
            rows: Vec::new(),
            stage: Stage::Begin,
        }
    }

    fn take(&mut self) -> Step {
        self.stage = Stage::Taking;
        hop(
            self.db,
            vec![(self.home, TableStep::Take(self.table))],
            false,
        )
    }

    fn store(&mut self, change: &SchemaChange) -> Step {
        self.stage = Stage::Storing;
        if faults::is_on(Fault::RowForgotten) {
            self.rows.pop();
        }
        let mut parts: Vec<Vec<RowImage>> = self.map.shards().map(|_| Vec::new()).collect();
        for row in self.rows.drain(..) {
            let shard = shard_of_row(row.id, self.map.shard_count());
            parts[shard.index()].push(row);
        }
        let mut steps = Vec::new();
        for (shard, rows) in self.map.shards().zip(parts) {
            steps.push((shard, TableStep::Apply(change.clone(), shard == self.home)));
            steps.push((shard, TableStep::Store(self.table, rows)));
        }
        hop(self.db, steps, true)
    }
}

impl Program for Growing {
    fn step(&mut self, outcomes: Vec<HopOutcome>) -> Step {
        let done = || Step::Done { reply: Vec::new() };
        match self.stage {
            Stage::Begin => {
                self.stage = Stage::Planning;
                let step = TableStep::PlanSpread(self.table, self.map.shard_count());
                hop(self.db, vec![(self.home, step)], false)
            }
            Stage::Planning => {
                self.change = table_outcomes(outcomes).find_map(|(_, outcome)| match outcome {
                    TableOutcome::Planned(planned) => planned,
                    _ => None,
                });
                match self.change {
                    Some(_) => self.take(),
                    None => done(),
                }
            }
            Stage::Taking => {
                let before = self.rows.len();
                for (_, outcome) in table_outcomes(outcomes) {
                    if let TableOutcome::Rows(rows) = outcome {
                        self.rows.extend(rows);
                    }
                }
                match self.change.take() {
                    Some(change) if self.rows.len() == before => self.store(&change),
                    change => {
                        self.change = change;
                        self.stage = Stage::Paused;
                        Step::Pause
                    }
                }
            }
            Stage::Paused => self.take(),
            Stage::Storing => done(),
        }
    }
}
