//! Running a plan on one shard, in bounded steps.
//!
//! ```text
//! candidates (source) -> condition (evaluate) -> rows | sorted rows | groups | a number   (read)
//!                                             -> places, checked, then changed            (write)
//! ```
//!
//! Invariants
//! - A step looks at about as many rows as its budget says and then returns; what it needs to go on is
//!   in [`Progress`], which holds no reference and may travel.
//! - A writing plan changes nothing before everything that can fail has been tried.
//! - Rows whose time is over are not there, at the time that the statement began.
//!
//! Not here: claims, other shards, the order of statements. Between two steps of a plan nobody may change
//! the table: the caller holds a claim.

mod evaluate;
mod output;
pub(crate) mod plain;
pub(crate) mod read;
pub mod short;
mod source;
pub(crate) mod write;

use base::ids::DbIndex;

use crate::changes::Changes;
use crate::decide::Decision;
use crate::encode::Encode;
use crate::error::TableError;
use crate::partial::Partial;
use crate::plan::Plan;
use crate::sorter::Sorter;
use crate::store::Place;
use crate::table::Table;

use source::Source;

/// How much a step may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Rows that may be looked at; the step ends with the chunk of 1024 in which they are used up.
    pub look: usize,
    /// Rows that may be written out or changed.
    pub write: usize,
}

impl Budget {
    /// For a statement that runs in one piece whatever it costs.
    pub const UNBOUNDED: Self = Self {
        look: usize::MAX,
        write: usize::MAX,
    };
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stepped {
    /// There is more to do.
    More,
    /// The plan, or its check, is done here.
    End,
    /// The table has another version than the plan, or is gone: plan again. Nothing has changed.
    Again,
}

/// Which part of a writing plan runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// All of it: the table lies on this shard alone, or nothing needs a check.
    Whole,
    /// Everything but the change.
    Check,
    /// The change.
    Apply,
}

/// How far a plan is on one shard.
#[derive(Debug)]
pub struct Progress {
    now_ms: u64,
    phase: Phase,
    stage: Stage,
    source: Option<Source>,
    is_exact: bool,
    /// Whether rows come in the order that is asked for.
    is_ordered: bool,
    /// The next place of the source.
    next: u64,
    sorter: Option<Sorter>,
    skipped: u64,
    /// Rows to be changed, ascending.
    places: Vec<Place>,
    decisions: Vec<Decision>,
    applied: usize,
    /// The caller was told that there is much to insert, before anything was.
    has_paused: bool,
    has_changed: bool,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Begin,
    Gather,
    Rows,
    Sorted,
    Apply,
    Done,
}

impl Progress {
    /// Begins a plan that runs in one go. `now_ms` is the time for all of it, on all shards.
    #[must_use]
    pub fn new(now_ms: u64) -> Self {
        Self {
            now_ms,
            phase: Phase::Whole,
            stage: Stage::Begin,
            source: None,
            is_exact: false,
            is_ordered: true,
            next: 0,
            sorter: None,
            skipped: 0,
            places: Vec::new(),
            decisions: Vec::new(),
            applied: 0,
            has_paused: false,
            has_changed: false,
        }
    }

    /// Begins the check of a plan that changes rows on several shards ([`Plan::needs_check`]).
    #[must_use]
    pub fn checking(now_ms: u64) -> Self {
        Self {
            phase: Phase::Check,
            ..Self::new(now_ms)
        }
    }

    /// Begins an INSERT whose rows have been decided about ([`crate::merge::Elsewhere::decide`]).
    #[must_use]
    pub fn deciding(now_ms: u64, decisions: Vec<Decision>) -> Self {
        Self {
            phase: Phase::Apply,
            stage: Stage::Apply,
            decisions,
            ..Self::new(now_ms)
        }
    }

    /// Lets an UPDATE or DELETE whose check has ended on all shards make its changes.
    pub fn allow(&mut self) {
        self.phase = Phase::Apply;
        self.stage = Stage::Apply;
    }

    /// Returns how many rows it is going to change here, when its check has ended, or decided about.
    #[must_use]
    pub fn changes(&self) -> usize {
        self.places.len() + self.decisions.len()
    }

    /// Returns whether anything has been changed. Until then the plan may be given up.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.has_changed
    }
}

/// One table whose rows are to change.
pub(crate) struct Run<'a> {
    pub(crate) table: &'a mut Table,
    pub(crate) db: DbIndex,
    pub(crate) changes: &'a mut Changes,
}

impl Run<'_> {
    /// Makes a step of a plan that changes rows.
    ///
    /// # Errors
    ///
    /// See [`crate::Tables::step`].
    pub(crate) fn write(
        &mut self,
        plan: &Plan,
        at: &mut Progress,
        budget: Budget,
        encode: &impl Encode,
        out: &mut Partial,
    ) -> Result<Stepped, TableError> {
        if self.table.schema.version != plan.schema.version {
            return Ok(Stepped::Again);
        }
        let mut writer = write::Writer {
            table: self.table,
            db: self.db,
            plan,
            changes: self.changes,
        };
        let is_done = writer.step(at, budget, encode, out)?;
        Ok(if is_done { Stepped::End } else { Stepped::More })
    }
}

/// Makes a step of a plan that reads rows.
///
/// # Errors
///
/// See [`crate::Tables::step`].
pub(crate) fn read(
    table: &Table,
    plan: &Plan,
    at: &mut Progress,
    budget: Budget,
    encode: &impl Encode,
    out: &mut Partial,
) -> Result<Stepped, TableError> {
    if table.schema.version != plan.schema.version {
        return Ok(Stepped::Again);
    }
    let is_done = read::step(table, plan, at, budget, encode, out)?;
    Ok(if is_done { Stepped::End } else { Stepped::More })
}
