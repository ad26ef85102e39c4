//! A change of schemas under way.
//!
//! ```text
//! a table that gets another home   take its rows -> apply on all -> store them
//! a new index                      apply on all -> build in steps -> look for doubles -> complete on all
//! anything else                    apply on all
//! ```
//!
//! Not here: what is changed (`tables::catalog`).

use base::ids::ShardId;
use commands::table::key_of;
use commands::table::parts::{TableOutcome, TableStep};
use runtime::faults::{self, Fault};
use tables::Building;
use tables::catalog::SchemaChange;
use tables::claim::Claim;
use tables::effects::RowImage;
use tables::error::TableError;
use tables::merge;
use tables::schema::{IndexId, Layout, Schema, TableId};

use super::table_outcomes;
use crate::route::SlotMap;
use crate::step::HopOutcome;

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Changing {
    map: SlotMap,
    lead: ShardId,
    change: SchemaChange,
    stage: Stage,
    /// Rows on their way to their table's new home.
    rows: Vec<RowImage>,
    /// Values of a unique index.
    values: Vec<Claim>,
    /// Where each shard goes on to tell of values.
    values_at: Vec<(ShardId, u64)>,
    failure: Option<TableError>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Begin,
    Taking,
    PausedTaking,
    Applying,
    Rested,
    Building,
    PausedReading,
    Reading,
    Planning,
    Ending,
}

/// What a change wants next.
pub(super) enum Next {
    Hop(Vec<(ShardId, TableStep)>),
    Pause,
    Yield,
    Done(Option<TableError>),
}

impl Changing {
    pub(super) fn new(map: SlotMap, lead: ShardId, change: SchemaChange) -> Self {
        Self {
            map,
            lead,
            change,
            stage: Stage::Begin,
            rows: Vec::new(),
            values: Vec::new(),
            values_at: Vec::new(),
            failure: None,
        }
    }

    pub(super) fn step(&mut self, outcomes: Vec<HopOutcome>) -> Next {
        match self.stage {
            Stage::Begin | Stage::PausedTaking => match self.moved() {
                Some((table, _)) => {
                    self.stage = Stage::Taking;
                    Next::Hop(vec![(self.lead, TableStep::Take(table))])
                }
                None => self.apply(),
            },
            Stage::Taking => self.taken(outcomes),
            Stage::Applying => self.applied(),
            Stage::Rested => self.build(),
            Stage::Building => self.built(outcomes),
            Stage::PausedReading => self.read(),
            Stage::Reading => self.has_read(outcomes),
            Stage::Planning => self.planned(outcomes),
            Stage::Ending => Next::Done(self.failure.take()),
        }
    }

    /// Returns the table whose rows get another home, and which.
    fn moved(&self) -> Option<(TableId, ShardId)> {
        let SchemaChange::RenameTable { schema, .. } = &self.change else {
            return None;
        };
        let home = self.map.shard_of_key(key_of(&schema.name));
        (schema.layout == Layout::Home && home != self.lead).then_some((schema.id, home))
    }

    /// Returns the index that is to be built.
    fn index(&self) -> Option<(&Schema, IndexId)> {
        match &self.change {
            SchemaChange::AddIndex { schema, index } => Some((schema, *index)),
            _ => None,
        }
    }

    fn taken(&mut self, outcomes: Vec<HopOutcome>) -> Next {
        let before = self.rows.len();
        for (_, outcome) in table_outcomes(outcomes) {
            if let TableOutcome::Rows(rows) = outcome {
                self.rows.extend(rows);
            }
        }
        if self.rows.len() == before {
            return self.apply();
        }
        self.stage = Stage::PausedTaking;
        Next::Pause
    }

    fn apply(&mut self) -> Next {
        self.stage = Stage::Applying;
        let lead = self.lead;
        let step = |shard| (shard, TableStep::Apply(self.change.clone(), shard == lead));
        let mut steps: Vec<_> = self.map.shards().map(step).collect();
        if faults::is_on(Fault::ChangeHalfDone) {
            steps.pop();
        }
        if let Some((table, home)) = self.moved() {
            let rows = std::mem::take(&mut self.rows);
            steps.push((home, TableStep::Store(table, rows)));
        }
        Next::Hop(steps)
    }

    fn applied(&mut self) -> Next {
        if self.index().is_none() {
            return Next::Done(None);
        }
        self.stage = Stage::Rested;
        Next::Yield
    }

    fn on_all(&self, step: impl Fn() -> TableStep) -> Next {
        Next::Hop(self.map.shards().map(|shard| (shard, step())).collect())
    }

    fn build(&mut self) -> Next {
        self.stage = Stage::Building;
        match self.index() {
            Some((schema, index)) => {
                let table = schema.id;
                self.on_all(|| TableStep::Build(table, index))
            }
            None => Next::Done(None),
        }
    }

    fn built(&mut self, outcomes: Vec<HopOutcome>) -> Next {
        let mut has_more = false;
        for (_, outcome) in table_outcomes(outcomes) {
            match outcome {
                TableOutcome::Built(Building::More) => has_more = true,
                TableOutcome::Built(Building::Failed(error)) => self.failure = Some(error),
                _ => {}
            }
        }
        if has_more && self.failure.is_none() {
            self.stage = Stage::Rested;
            return Next::Yield;
        }
        let is_unique = self.index().is_some_and(|(schema, index)| {
            let found = schema.index_of(index);
            found.is_some_and(|index| index.unique) && schema.layout != Layout::Home
        });
        if self.failure.is_some() || !is_unique {
            return self.plan_end();
        }
        // Each shard is sure of its own rows only. From here on the claims are kept.
        self.values_at = self.map.shards().map(|shard| (shard, 0)).collect();
        self.read()
    }

    fn read(&mut self) -> Next {
        self.stage = Stage::Reading;
        let Some((schema, index)) = self.index() else {
            return Next::Done(None);
        };
        let left = self.values_at.iter().filter(|(_, at)| *at != u64::MAX);
        let step = |&(shard, at): &(ShardId, u64)| (shard, TableStep::Values(schema.id, index, at));
        Next::Hop(left.map(step).collect())
    }

    fn has_read(&mut self, outcomes: Vec<HopOutcome>) -> Next {
        for (shard, outcome) in table_outcomes(outcomes) {
            if let TableOutcome::Values(values, next) = outcome {
                self.values.extend(values);
                let place = self.values_at.iter_mut().find(|(at, _)| *at == shard);
                if let Some((_, at)) = place {
                    *at = next;
                }
            }
        }
        if self.values_at.iter().any(|(_, at)| *at != u64::MAX) {
            self.stage = Stage::PausedReading;
            return Next::Pause;
        }
        let values = std::mem::take(&mut self.values);
        if let Some((schema, _)) = self.index() {
            self.failure = merge::refuse_doubles(schema, values).err();
        }
        self.plan_end()
    }

    fn plan_end(&mut self) -> Next {
        self.stage = Stage::Planning;
        let Some((schema, index)) = self.index() else {
            return Next::Done(None);
        };
        let step = TableStep::PlanEnd {
            table: schema.id,
            index,
            has_failed: self.failure.is_some(),
        };
        Next::Hop(vec![(self.lead, step)])
    }

    fn planned(&mut self, outcomes: Vec<HopOutcome>) -> Next {
        let planned = table_outcomes(outcomes).find_map(|(_, outcome)| match outcome {
            TableOutcome::Planned(planned) => planned,
            _ => None,
        });
        self.stage = Stage::Ending;
        match planned {
            Some(change) => self.on_all(|| TableStep::Apply(change.clone(), false)),
            // Somebody has dropped the index, or its table.
            None => Next::Done(self.failure.take()),
        }
    }
}
