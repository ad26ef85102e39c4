//! What programs of table statements do on one shard, and how their answers are written.
//!
//! Not here: which shards do what, and when (`coordinator::tables`).

use std::sync::Arc;

use base::cast::u64_from;
use base::ids::DbIndex;
use protocol::args::{Args, PackedArgs};
use protocol::reply::{Reply, Resp};
use shard::Shard;
use tables::Building;
use tables::catalog::SchemaChange;
use tables::claim::{Claim, Value};
use tables::effects::RowImage;
use tables::error::TableError;
use tables::executor::{Budget, Progress, Stepped};
use tables::explain::{Explanation, TableInfo};
use tables::merge::Answer;
use tables::parser::{self, Verb};
use tables::partial::Partial;
use tables::plan::{ID_NAME, Limits, Plan};
use tables::schema::{IndexId, Layout, RowId, Schema, TableId};

use super::definitions;
use super::names::{drawn, key_of, table_word};
use super::rows::Wire;
use crate::scope::{RowStatement, Scope};
use crate::slots;

/// Rows that a step may look at: some tens of microseconds.
const LOOK_ROWS: usize = 4096;

/// Rows that a shard may look at for a reading plan before it is known whether all shards take part.
const ATTEMPT_LOOK_ROWS: usize = 2048;

/// A statement with its plan.
#[derive(Clone, Debug)]
pub struct Work {
    /// What it is.
    pub statement: RowStatement,
    /// The plan.
    pub plan: Arc<Plan>,
    /// The protocol of the reply.
    pub resp: Resp,
    /// The time of the statement.
    pub now_ms: u64,
    /// The id of the only row of an INSERT, if it is drawn already.
    pub row: Option<RowId>,
    /// Changes of rows that a shard makes in one step.
    pub step_rows: usize,
}

/// A statement about a spread table that was planned where its client is.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The statement.
    pub work: Work,
    /// How many rows it leads to on this shard, about.
    pub rows: u64,
    /// These are few.
    pub is_short: bool,
    /// It changes rows, and nothing that this shard knows can be wrong with that.
    pub is_sure: bool,
}

/// How much of a plan a shard does in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Some tens of microseconds.
    Step,
    /// Rather more, since a plan that does not end is begun anew.
    Attempt,
    /// All of it.
    Whole,
}

impl Pace {
    fn budget(self, shard: &Shard) -> Budget {
        let rows = shard.options().table_step_rows;
        match self {
            Self::Step => Budget {
                look: LOOK_ROWS,
                write: rows,
            },
            Self::Attempt => Budget {
                look: ATTEMPT_LOOK_ROWS,
                write: 2 * rows,
            },
            Self::Whole => Budget::UNBOUNDED,
        }
    }
}

/// Changes of rows that are to be told of.
#[derive(Clone, Copy, Debug)]
pub struct Telling {
    /// The event.
    pub event: &'static str,
    /// Rows that other shards have changed.
    pub elsewhere: u64,
}

/// Something that a shard does for a statement.
#[derive(Debug)]
pub enum TableStep {
    /// Makes a plan: [`TableOutcome::Prepared`].
    Prepare {
        /// What the command is.
        scope: Scope,
        /// The protocol of the reply.
        resp: Resp,
        /// All words.
        args: PackedArgs,
    },
    /// Applies a change of schemas, and tells of it if so wanted: [`TableOutcome::Done`].
    Apply(SchemaChange, bool),
    /// Tells of changed rows: [`TableOutcome::Done`].
    Note {
        /// The table's key.
        key: Box<[u8]>,
        /// The event.
        event: &'static str,
        /// How many rows.
        count: u64,
    },
    /// Plans that a table lies on all shards, if it does not yet: [`TableOutcome::Planned`].
    PlanSpread(TableId, u16),
    /// Takes rows out of a table, for them to go to other shards: [`TableOutcome::Rows`].
    Take(TableId),
    /// Stores rows that come from another shard: [`TableOutcome::Done`].
    Store(TableId, Vec<RowImage>),
    /// Adds rows to an index: [`TableOutcome::Built`].
    Build(TableId, IndexId),
    /// Takes values of a unique index: [`TableOutcome::Values`].
    Values(TableId, IndexId, u64),
    /// Plans that an index is complete, or that it has failed and goes: [`TableOutcome::Planned`].
    PlanEnd {
        /// The table.
        table: TableId,
        /// The index.
        index: IndexId,
        /// It goes.
        has_failed: bool,
    },
    /// A step of a plan: [`TableOutcome::Ran`].
    Run {
        /// The plan.
        plan: Arc<Plan>,
        /// The protocol of the reply.
        resp: Resp,
        /// How far it is.
        progress: Box<Progress>,
        /// What it has found.
        partial: Box<Partial>,
        /// How much of it.
        pace: Pace,
        /// Tells of the changes when they are made.
        telling: Option<Telling>,
    },
    /// Plans of one client that follow each other, each in one step, up to the first that does not end with it:
    /// [`TableOutcome::RanMany`].
    RunMany(Many),
    /// Looks for rows that have values which others are to get: [`TableOutcome::Refused`].
    Refuse {
        /// The plan.
        plan: Arc<Plan>,
        /// The values that rows of all shards are to get.
        claims: Arc<Vec<Claim>>,
        /// What this shard has found.
        progress: Box<Progress>,
    },
    /// Looks for rows that have values which stored rows are to get: [`TableOutcome::Holders`].
    Holders {
        /// The table.
        table: TableId,
        /// The values.
        values: Arc<Vec<Value>>,
        /// The time of the statement.
        now_ms: u64,
    },
    /// Tells how a plan would run: [`TableOutcome::Explained`].
    Explain(Arc<Plan>),
    /// Tells what it has of a table: [`TableOutcome::Info`].
    Info(TableId),
}

/// See [`TableStep::RunMany`].
#[derive(Debug)]
pub struct Many {
    /// The plans.
    pub works: Arc<Vec<Work>>,
    /// So many of them.
    pub count: usize,
    /// How much of each.
    pub pace: Pace,
    /// Tells of the changes of each, which other shards have made so many of.
    pub elsewhere: Option<Vec<u64>>,
}

/// What came of a [`TableStep`].
#[derive(Debug)]
pub enum TableOutcome {
    /// What a statement is.
    Prepared(Box<Prepared>),
    /// Nothing to say.
    Done,
    /// How far an index is.
    Built(Building),
    /// Values of a unique index, and where to go on; behind the last row that is `u64::MAX`.
    Values(Vec<Claim>, u64),
    /// A change of schemas, if it is needed still.
    Planned(Option<SchemaChange>),
    /// Rows; none when all are taken.
    Rows(Vec<RowImage>),
    /// How a plan would run.
    Explained(Option<Box<Explanation>>),
    /// A plan has made a step.
    Ran {
        /// How far it is.
        progress: Box<Progress>,
        /// What it has found.
        partial: Box<Partial>,
        /// How the step ended.
        result: Result<Stepped, TableError>,
    },
    /// What each of the first plans has found, as far as they have ended.
    RanMany(Vec<Partial>),
    /// Whether a value is taken.
    Refused(Box<Progress>, Option<TableError>),
    /// The row that has each value, where there is one here.
    Holders(Vec<Option<RowId>>),
    /// What a shard has of a table.
    Info(Option<Box<TableInfo>>),
}

/// What a statement is to be.
#[derive(Debug)]
pub enum Prepared {
    /// Nothing more: this is the reply.
    Reply(Vec<u8>),
    /// An error.
    Refused(TableError),
    /// A change of schemas.
    Change(SchemaChange),
    /// A plan.
    Work(Box<Work>),
    /// A question about this table.
    Info(Arc<Schema>),
}

/// What a statement about rows is to be, on one shard.
pub(super) enum RowWork {
    /// This shard has not got all rows.
    Elsewhere,
    /// A question about this table.
    Info(Arc<Schema>),
    /// A plan.
    Plan(Work),
}

/// Does a step. `id` is the id of the table that it may make.
pub fn run(shard: &mut Shard, (db, id): (DbIndex, TableId), step: TableStep) -> TableOutcome {
    match step {
        TableStep::Prepare { scope, resp, args } => {
            let prepared = prepare(shard, (db, id), scope, resp, args.args());
            TableOutcome::Prepared(Box::new(prepared))
        }
        TableStep::Apply(change, is_told) => {
            apply(shard, db, &change, is_told);
            TableOutcome::Done
        }
        TableStep::Note { key, event, count } => {
            shard.note_table(db, &key, event, count);
            TableOutcome::Done
        }
        TableStep::Build(table, index) => {
            // Cheaper than to change a row.
            let part = (2 * shard.options().table_step_rows, now_ms(shard));
            let building = shard.tables_mut().build_step(db, table, index, part);
            TableOutcome::Built(building)
        }
        TableStep::Values(table, index, mut at) => {
            let tables = shard.tables();
            let part = (LOOK_ROWS, now_ms(shard));
            let values = tables.unique_values(db, table, index, &mut at, part);
            TableOutcome::Values(values, at)
        }
        TableStep::PlanEnd {
            table,
            index,
            has_failed,
        } => TableOutcome::Planned(plan_end(shard, db, (table, index), has_failed)),
        TableStep::PlanSpread(table, shards) => {
            TableOutcome::Planned(shard.tables().catalog(db).plan_spread(table, shards))
        }
        TableStep::Explain(plan) => {
            TableOutcome::Explained(shard.tables().explain(db, &plan).map(Box::new))
        }
        TableStep::Run {
            plan,
            resp,
            mut progress,
            mut partial,
            pace,
            telling,
        } => {
            let budget = pace.budget(shard);
            let asked = (db, &*plan, resp);
            let result = self::step(shard, asked, budget, &mut progress, &mut partial);
            if result == Ok(Stepped::End) {
                tell(shard, (db, &plan), telling, partial.count());
            }
            TableOutcome::Ran {
                progress,
                partial,
                result,
            }
        }
        TableStep::RunMany(many) => TableOutcome::RanMany(many.run(shard, db)),
        TableStep::Refuse {
            plan,
            claims,
            progress,
        } => {
            let refused = shard.tables().refuse_claims(db, &plan, &progress, &claims);
            TableOutcome::Refused(progress, refused.err())
        }
        TableStep::Holders {
            table,
            values,
            now_ms,
        } => TableOutcome::Holders(shard.tables().holders(db, table, &values, now_ms)),
        TableStep::Info(table) => TableOutcome::Info(shard.tables().info(db, table).map(Box::new)),
        TableStep::Take(table) => {
            let rows = shard.options().table_step_rows;
            TableOutcome::Rows(shard.tables_mut().take_rows(db, table, rows))
        }
        TableStep::Store(table, rows) => {
            shard.tables_mut().put_rows(db, table, &rows);
            TableOutcome::Done
        }
    }
}

fn plan_end(
    shard: &Shard,
    db: DbIndex,
    (table, index): (TableId, IndexId),
    has_failed: bool,
) -> Option<SchemaChange> {
    let catalog = shard.tables().catalog(db);
    if has_failed {
        catalog.plan_index_failed(table, index)
    } else {
        catalog.plan_index_ready(table, index)
    }
}

impl Many {
    fn run(&self, shard: &mut Shard, db: DbIndex) -> Vec<Partial> {
        let mut partials = Vec::with_capacity(self.count);
        for (at, work) in self.works.iter().take(self.count).enumerate() {
            let (mut progress, mut partial) = (Progress::new(work.now_ms), Partial::new());
            let (budget, asked) = (self.pace.budget(shard), (db, &*work.plan, work.resp));
            let result = step(shard, asked, budget, &mut progress, &mut partial);
            if result != Ok(Stepped::End) {
                debug_assert!(!progress.has_changed(), "others would see a half");
                break;
            }
            let elsewhere = self.elsewhere.as_ref().and_then(|counts| counts.get(at));
            let telling = event_of(work.statement).zip(elsewhere.copied());
            let telling = telling.map(|(event, elsewhere)| Telling { event, elsewhere });
            tell(shard, (db, &work.plan), telling, partial.count());
            partials.push(partial);
        }
        partials
    }
}

/// Tells of changed rows, `count` of them here.
fn tell(shard: &mut Shard, (db, plan): (DbIndex, &Plan), telling: Option<Telling>, count: u64) {
    if let Some(telling) = telling
        && telling.elsewhere + count > 0
    {
        let key = key_of_table(plan.schema());
        shard.note_table(db, key, telling.event, telling.elsewhere + count);
    }
}

fn prepare(
    shard: &Shard,
    (db, id): (DbIndex, TableId),
    scope: Scope,
    resp: Resp,
    args: Args<'_>,
) -> Prepared {
    match scope {
        Scope::Change(change) => match definitions::plan(shard, db, change, args, id) {
            Ok(Some(change)) => Prepared::Change(change),
            Ok(None) => reply_of(resp, |reply| reply.ok()),
            Err(error) => Prepared::Refused(error),
        },
        Scope::Rows(statement) => match find_work(shard, db, statement, args, resp) {
            Ok(RowWork::Plan(work)) => Prepared::Work(Box::new(work)),
            Ok(RowWork::Info(table)) => Prepared::Info(table),
            Ok(RowWork::Elsewhere) => unreachable!("it asks for all rows"),
            Err(error) => Prepared::Refused(error),
        },
        Scope::Catalog | Scope::Definition => unreachable!("every shard answers these at once"),
    }
}

fn reply_of(resp: Resp, write: impl FnOnce(&mut Reply<'_>)) -> Prepared {
    let mut out = Vec::new();
    write(&mut Reply::new(&mut out, resp));
    Prepared::Reply(out)
}

/// Makes the plan of a statement whose rows are all here.
///
/// # Errors
///
/// What is wrong with the statement.
pub(super) fn prepare_rows(
    shard: &Shard,
    db: DbIndex,
    statement: RowStatement,
    args: Args<'_>,
    resp: Resp,
) -> Result<RowWork, TableError> {
    if statement == RowStatement::Update {
        let mut words = [&[][..]; 3];
        let mut len = 0;
        for (place, word) in words.iter_mut().zip(args.from(2).iter()) {
            *place = word;
            len += 1;
        }
        parser::check_update_words(&words[..len])?;
    }
    let name = args.word(table_word(Scope::Rows(statement)));
    let schema = shard.tables().catalog(db).table(name)?;
    let Layout::Spread { shards } = schema.layout else {
        let is_drawn = statement == RowStatement::InsertRow;
        return if is_drawn || is_for_row(statement, args) && !is_home(shard, schema) {
            Ok(RowWork::Elsewhere)
        } else {
            make_work(shard, schema, statement, args, resp)
        };
    };
    let is_here = |row: u64| row % u64::from(shards.max(1)) == u64::from(shard.id().0);
    match statement {
        RowStatement::Get | RowStatement::InsertRow => {
            let row = if statement == RowStatement::InsertRow {
                // The id may have been drawn for an older table of this name.
                let word = args.get(args.len() - 1).and_then(drawn);
                word.and_then(|(row, table)| (table == schema.id).then_some(row))
            } else {
                args.get(2).and_then(base::number::parse_u64)
            };
            let is_unique = schema.indexes.iter().any(|index| index.unique);
            let is_wanted = statement == RowStatement::Get || !is_unique;
            let Some(row) = row.filter(|row| is_wanted && is_here(*row)) else {
                return Ok(RowWork::Elsewhere);
            };
            let mut work = make_work(shard, schema, statement, args, resp)?;
            if let RowWork::Plan(work) = &mut work
                && statement == RowStatement::InsertRow
            {
                work.row = Some(RowId(row));
            }
            Ok(work)
        }
        RowStatement::Select
        | RowStatement::Count
        | RowStatement::Update
        | RowStatement::Delete => {
            if names_id(args)
                && let RowWork::Plan(work) = make_work(shard, schema, statement, args, resp)?
                && work.plan.concerned_row().is_some_and(|row| is_here(row.0))
            {
                return Ok(RowWork::Plan(work));
            }
            Ok(RowWork::Elsewhere)
        }
        RowStatement::Insert
        | RowStatement::Info
        | RowStatement::Explain
        | RowStatement::Profile => Ok(RowWork::Elsewhere),
    }
}

/// Returns whether a statement may have been sent to the shard of a row, as somebody knew a table of its name that was
/// spread.
fn is_for_row(statement: RowStatement, args: Args<'_>) -> bool {
    match statement {
        RowStatement::Get => true,
        RowStatement::Select
        | RowStatement::Count
        | RowStatement::Update
        | RowStatement::Delete => names_id(args),
        RowStatement::Insert
        | RowStatement::InsertRow
        | RowStatement::Info
        | RowStatement::Explain
        | RowStatement::Profile => false,
    }
}

/// Returns whether this is the shard of a table's name.
fn is_home(shard: &Shard, schema: &Schema) -> bool {
    slots::owner_of_key(key_of_table(schema), shard.options().shards) == shard.id()
}

/// Returns whether a word of a statement may be a condition about the ids of rows. Cheap: it is asked about all
/// statements on spread tables.
fn names_id(args: Args<'_>) -> bool {
    args.from(2).iter().any(|word| word.starts_with(ID_NAME))
}

/// Returns the row that a statement about a spread table concerns, if it can concern only one, and no other shard
/// has to be asked about it.
pub(super) fn concerned_row(
    schema: &Arc<Schema>,
    statement: RowStatement,
    args: Args<'_>,
) -> Option<u64> {
    if !names_id(args) {
        return None;
    }
    let verb = match statement {
        RowStatement::Select => Verb::Select,
        RowStatement::Count => Verb::Count,
        RowStatement::Update => Verb::Update,
        RowStatement::Delete => Verb::Delete,
        RowStatement::Get
        | RowStatement::Insert
        | RowStatement::InsertRow
        | RowStatement::Info
        | RowStatement::Explain
        | RowStatement::Profile => return None,
    };
    let words: Vec<&[u8]> = args.from(2).iter().collect();
    let parsed = parser::statement(verb, &words).ok()?;
    let limits = Limits { scan_rows_max: 0 };
    let plan = Plan::new(schema, &parsed, limits).ok()?;
    plan.concerned_row().map(|row| row.0)
}

/// Plans a statement about the rows of a spread table with what this shard knows of the table, which may be old.
/// Returns nothing for other statements, and if anything is wrong.
#[must_use]
pub fn plan_here(
    shard: &Shard,
    db: DbIndex,
    scope: Scope,
    args: Args<'_>,
    resp: Resp,
) -> Option<Planned> {
    let Scope::Rows(
        statement @ (RowStatement::Select
        | RowStatement::Count
        | RowStatement::Insert
        | RowStatement::Update
        | RowStatement::Delete),
    ) = scope
    else {
        return None;
    };
    let schema = shard.tables().catalog(db).lookup(args.get(1)?)?;
    if schema.layout == Layout::Home {
        return None;
    }
    let Ok(RowWork::Plan(work)) = make_work(shard, schema, statement, args, resp) else {
        return None;
    };
    let tables = shard.tables();
    // A plan that may lead to more is not tried in one round.
    let rows = 2 * u64_from(shard.options().table_step_rows);
    let estimate = tables.estimate(db, &work.plan);
    let is_short = estimate <= rows;
    let is_sure = is_short && tables.cannot_fail(db, &work.plan);
    Some(Planned {
        work,
        rows: estimate,
        is_short,
        is_sure,
    })
}

fn find_work(
    shard: &Shard,
    db: DbIndex,
    statement: RowStatement,
    args: Args<'_>,
    resp: Resp,
) -> Result<RowWork, TableError> {
    let name = args.word(table_word(Scope::Rows(statement)));
    let schema = shard.tables().catalog(db).table(name)?;
    make_work(shard, schema, statement, args, resp)
}

/// Statements of at most so many words need no allocation for them.
const FEW_WORDS: usize = 16;

fn make_work(
    shard: &Shard,
    schema: &Arc<Schema>,
    statement: RowStatement,
    args: Args<'_>,
    resp: Resp,
) -> Result<RowWork, TableError> {
    let behind_name = args.from(table_word(Scope::Rows(statement)) + 1);
    let mut few: [&[u8]; FEW_WORDS] = [&[]; FEW_WORDS];
    let many: Vec<&[u8]>;
    let words = match few.get_mut(..behind_name.len()) {
        Some(few) => {
            for (place, word) in few.iter_mut().zip(behind_name.iter()) {
                *place = word;
            }
            &*few
        }
        None => {
            many = behind_name.iter().collect();
            &many
        }
    };
    let (verb, words) = match statement {
        RowStatement::Insert => (Verb::Insert, words),
        RowStatement::InsertRow => (Verb::Insert, &words[..words.len() - 1]),
        RowStatement::Select => (Verb::Select, words),
        RowStatement::Count => (Verb::Count, words),
        RowStatement::Get => (Verb::Get, words),
        RowStatement::Update => (Verb::Update, words),
        RowStatement::Delete => (Verb::Delete, words),
        RowStatement::Info => return Ok(RowWork::Info(Arc::clone(schema))),
        RowStatement::Explain | RowStatement::Profile => {
            let verb = Verb::of_word(args.word(1)).ok_or(TableError::other(
                "EXPLAIN and PROFILE need SELECT, COUNT, GET, INSERT, UPDATE or DELETE",
            ))?;
            (verb, words)
        }
    };
    let parsed = parser::statement(verb, words)?;
    let limits = Limits {
        scan_rows_max: shard.options().scan_rows_max,
    };
    let plan = Plan::new(schema, &parsed, limits)?;
    if statement == RowStatement::Profile && plan.is_write() {
        return Err(TableError::other(
            "PROFILE is for SELECT, COUNT and GET only",
        ));
    }
    Ok(RowWork::Plan(Work {
        step_rows: shard.options().table_step_rows,
        statement,
        plan: Arc::new(plan),
        resp,
        now_ms: now_ms(shard),
        row: None,
    }))
}

/// Returns the time of a statement.
pub(super) fn now_ms(shard: &Shard) -> u64 {
    u64::try_from(shard.now().0).unwrap_or(0)
}

/// Applies a change; with `is_told` it tells of it by the name of the table.
fn apply(shard: &mut Shard, db: DbIndex, change: &SchemaChange, is_told: bool) {
    shard.tables_mut().apply(db, change);
    if !is_told {
        return;
    }
    let (name, event): (&[u8], _) = match change {
        SchemaChange::CreateNamespace { name } => (name, "table.namespace.create"),
        SchemaChange::DropNamespace { name } => (name, "table.namespace.drop"),
        SchemaChange::DropTable { name, .. } => (name, "table.drop"),
        SchemaChange::Truncate { name, .. } => (name, "table.truncate"),
        SchemaChange::CreateTable { schema } => (&schema.name, "table.create"),
        SchemaChange::RenameTable { schema, from } => {
            shard.note_table(db, key_of(from), "table.rename", 1);
            (&schema.name, "table.rename")
        }
        SchemaChange::AddColumn { schema, .. }
        | SchemaChange::DropColumn { schema, .. }
        | SchemaChange::RenameColumn { schema }
        | SchemaChange::AddIndex { schema, .. }
        | SchemaChange::DropIndex { schema, .. } => (&schema.name, "table.alter"),
        // Who watches the table has to do so on all shards from now on.
        SchemaChange::Spread { schema } => return shard.touch_table(db, key_of(&schema.name)),
        // Nobody can see this but by how long statements take.
        SchemaChange::IndexReady { .. } => return,
    };
    shard.note_table(db, key_of(name), event, 1);
}

/// Applies a change on the only shard, and completes an index at once.
///
/// # Errors
///
/// If rows have the same values in a unique index; it is not there then.
pub(super) fn apply_whole(
    shard: &mut Shard,
    db: DbIndex,
    change: &SchemaChange,
) -> Result<(), TableError> {
    apply(shard, db, change, true);
    let SchemaChange::AddIndex { schema, index } = change else {
        return Ok(());
    };
    let (table, index) = (schema.id, *index);
    let now_ms = now_ms(shard);
    let tables = shard.tables_mut();
    let failure = loop {
        match tables.build_step(db, table, index, (usize::MAX, now_ms)) {
            Building::More => {}
            Building::Done => break None,
            Building::Failed(error) => break Some(error),
        }
    };
    let catalog = shard.tables().catalog(db);
    let end = match failure {
        Some(_) => catalog.plan_index_failed(table, index),
        None => catalog.plan_index_ready(table, index),
    };
    if let Some(end) = end {
        shard.tables_mut().apply(db, &end);
    }
    failure.map_or(Ok(()), Err)
}

/// Makes a step of a plan.
///
/// # Errors
///
/// What the rows make of the statement; nothing has changed then.
pub(super) fn step(
    shard: &mut Shard,
    (db, plan, resp): (DbIndex, &Plan, Resp),
    budget: Budget,
    progress: &mut Progress,
    partial: &mut Partial,
) -> Result<Stepped, TableError> {
    let tables = shard.tables_mut();
    tables.step(db, plan, progress, budget, &Wire(resp), partial)
}

/// Joins what shards have found.
///
/// # Errors
///
/// What the rows of all together make of the statement.
pub fn merge(plan: &Plan, parts: Vec<Partial>, resp: Resp) -> Result<Answer, TableError> {
    tables::merge::merge(plan, parts, &Wire(resp))
}

/// The event of new rows.
pub(super) const INSERTED: &str = "table.insert";
/// The event of changed rows.
pub(super) const UPDATED: &str = "table.update";

/// Returns the event that tells of a statement's changes.
#[must_use]
pub fn event_of(statement: RowStatement) -> Option<&'static str> {
    match statement {
        RowStatement::Insert | RowStatement::InsertRow => Some(INSERTED),
        RowStatement::Update => Some(UPDATED),
        RowStatement::Delete => Some("table.delete"),
        RowStatement::Select
        | RowStatement::Count
        | RowStatement::Get
        | RowStatement::Info
        | RowStatement::Explain
        | RowStatement::Profile => None,
    }
}

/// Removes rows whose time is over at `now_ms`, looking at up to so many chunks of 1024, and tells of it. Returns how
/// many rows went.
pub fn sweep(shard: &mut Shard, now_ms: u64, chunks: usize) -> usize {
    let Some((db, table, rows)) = shard.tables_mut().sweep(now_ms, chunks) else {
        return 0;
    };
    if let Some(schema) = shard.tables().catalog(db).table_of(table).cloned() {
        // No command has changed anything.
        shard.note_table(db, key_of_table(&schema), "table.expired", 0);
    }
    rows
}

/// Returns the key of a table.
#[must_use]
pub fn key_of_table(schema: &Schema) -> &[u8] {
    key_of(&schema.name)
}
