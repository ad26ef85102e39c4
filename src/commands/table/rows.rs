//! Statements about rows, in one piece on the shard that has them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use base::cast::{i64_from, u64_from};
use protocol::args::{Args, equals_ignore_case};
use protocol::reply::{Reply, Resp};
use tables::decide::Decision;
use tables::encode::Encode;
use tables::error::TableError;
use tables::executor::short::Bounds;
use tables::executor::{Budget, Progress, Stepped};
use tables::merge::{self, Single};
use tables::parser::{self, Verb};
use tables::partial::Partial;
use tables::plan::{ID_NAME, Limits, Plan};
use tables::schema::{Layout, RowId, Schema};

use super::answers::{self, Cost};
use super::names::{drawn, key_of};
use super::{definitions, parts, refuse};
use crate::long_reply::{LongReply, Reach};
use crate::scope::{RowStatement, Scope};
use crate::spec::{CommandError, Context};

/// Writes parts of replies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wire(pub(super) Resp);

impl Encode for Wire {
    fn array(&self, out: &mut Vec<u8>, len: usize) {
        Reply::new(out, self.0).array(len);
    }

    fn bulk(&self, out: &mut Vec<u8>, bytes: &[u8]) {
        Reply::new(out, self.0).bulk(bytes);
    }

    #[inline]
    fn short(&self, out: &mut Vec<u8>, bytes: &[u8; 16], len: usize) {
        Reply::new(out, self.0).short_bulk(bytes, len);
    }

    fn integer(&self, out: &mut Vec<u8>, value: i64) {
        Reply::new(out, self.0).integer_bulk(value);
    }

    fn null(&self, out: &mut Vec<u8>) {
        Reply::new(out, self.0).null();
    }
}

/// How a statement runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Haste {
    /// In one piece if it is short.
    Short,
    /// In one piece, whatever it takes.
    Whole,
}

/// Runs a statement if this shard can do so in one piece and soon; otherwise hands it back.
pub(super) fn run(
    context: &mut Context<'_>,
    args: Args<'_>,
    statement: RowStatement,
) -> Result<(), CommandError> {
    let done = match statement {
        RowStatement::Select if args.len() == 4 => select_value(context, args),
        RowStatement::Update if args.len() > 5 => update_value(context, args),
        RowStatement::Insert => insert_row(context, args),
        RowStatement::InsertRow => insert_drawn(context, args),
        RowStatement::Select
        | RowStatement::Count
        | RowStatement::Get
        | RowStatement::Update
        | RowStatement::Delete
        | RowStatement::Info
        | RowStatement::Explain
        | RowStatement::Profile => None,
    };
    match done {
        Some(()) => Ok(()),
        None => run_in(context, args, statement, Haste::Short),
    }
}

/// Runs `SELECT table WHERE column=value` if that takes no plan ([`tables::Tables::select_value`]).
fn select_value(context: &mut Context<'_>, args: Args<'_>) -> Option<()> {
    let condition = args.word(3);
    // Conditions about ids are for the shard that has the table's name.
    if !equals_ignore_case(args.word(2), "WHERE") || condition.starts_with(ID_NAME) {
        return None;
    }
    let (db, tables) = (context.db, context.shard.tables());
    let schema = tables.catalog(db).lookup(args.word(1))?;
    let bounds = Bounds {
        now_ms: parts::now_ms(context.shard),
        rows_max: 2 * context.shard.options().table_step_rows,
    };
    let encode = Wire(context.reply.resp);
    let begun = context.reply.out.len();
    context.reply.array(1);
    let out = &mut *context.reply.out;
    let Some(count) = tables.select_value((db, schema.id), condition, bounds, &encode, out) else {
        out.truncate(begun);
        return None;
    };
    answers::correct_head(&mut context.reply, begun, count);
    Some(())
}

/// Runs `UPDATE table WHERE column=value SET column=value ...` if that takes no plan ([`tables::Tables::update_value`]).
fn update_value(context: &mut Context<'_>, args: Args<'_>) -> Option<()> {
    let condition = args.word(3);
    if !equals_ignore_case(args.word(2), "WHERE")
        || !equals_ignore_case(args.word(4), "SET")
        || condition.starts_with(ID_NAME)
    {
        return None;
    }
    let (db, now_ms) = (context.db, parts::now_ms(context.shard));
    let tables = context.shard.tables_mut();
    let table = tables.catalog(db).lookup(args.word(1))?.id;
    let count = tables.update_value((db, table), condition, args.from(5).iter(), now_ms)?;
    if count > 0 {
        let key = key_of(args.word(1));
        context
            .shard
            .note_table(db, key, parts::UPDATED, u64_from(count));
    }
    context.reply.integer(i64_from(count));
    Some(())
}

/// Runs an INSERT of one row if that takes no plan ([`tables::Tables::insert_row`]).
fn insert_row(context: &mut Context<'_>, args: Args<'_>) -> Option<()> {
    let db = context.db;
    let schema = Arc::clone(context.shard.tables().catalog(db).lookup(args.word(1))?);
    let words = args.from(2).iter();
    let tables = context.shard.tables_mut();
    let row = tables.insert_row((db, schema.id), None, words)?;
    inserted(context, &schema, row);
    Some(())
}

/// The same for a row of a spread table, whose id was drawn, if it belongs here.
fn insert_drawn(context: &mut Context<'_>, args: Args<'_>) -> Option<()> {
    let db = context.db;
    let schema = Arc::clone(context.shard.tables().catalog(db).lookup(args.word(1))?);
    let (row, table) = drawn(args.word(args.len() - 1))?;
    if table != schema.id || schema.layout == Layout::Home {
        return None;
    }
    let words = args.range(2, args.len() - 3).iter();
    let tables = context.shard.tables_mut();
    let row = tables.insert_row((db, schema.id), Some(RowId(row)), words)?;
    inserted(context, &schema, row);
    Some(())
}

/// Tells of a new row, and replies.
fn inserted(context: &mut Context<'_>, schema: &Schema, row: RowId) {
    let key = parts::key_of_table(schema);
    context
        .shard
        .note_table(context.db, key, parts::INSERTED, 1);
    context.shard.review_spread(context.db, schema);
    answers::write_single(&mut context.reply, Single::Id(Some(row)));
}

/// Runs a statement that this shard has handed back because it takes long, where there is no time to run it in
/// steps: inside MULTI and in scripts.
pub fn run_whole(context: &mut Context<'_>, scope: Scope, args: Args<'_>) {
    let done = match scope {
        Scope::Change(change) => definitions::change_whole(context, args, change),
        Scope::Rows(statement) => run_in(context, args, statement, Haste::Whole),
        Scope::Catalog | Scope::Definition => Ok(()),
    };
    debug_assert!(done.is_ok(), "what is wrong was written as a reply");
}

fn run_in(
    context: &mut Context<'_>,
    args: Args<'_>,
    statement: RowStatement,
    haste: Haste,
) -> Result<(), CommandError> {
    let reach = match try_run(context, args, statement, haste) {
        Ok(reach) => reach,
        Err(error) => return refuse(context, &error),
    };
    if let Some(reach) = reach {
        context.reply_later(LongReply::Statement(reach, Scope::Rows(statement)));
    }
    Ok(())
}

/// Returns where the statement has to go if it cannot run here now.
fn try_run(
    context: &mut Context<'_>,
    args: Args<'_>,
    statement: RowStatement,
    haste: Haste,
) -> Result<Option<Reach>, TableError> {
    let (db, resp) = (context.db, context.reply.resp);
    let work = match parts::prepare_rows(context.shard, db, statement, args, resp)? {
        parts::RowWork::Elsewhere => return Ok(Some(Reach::Everywhere)),
        parts::RowWork::Info(schema) => {
            let info = context.shard.tables().info(db, schema.id);
            let here = context.shard.id();
            let infos: Vec<_> = info.into_iter().map(|info| (here, info)).collect();
            answers::write_info(&mut context.reply, &schema, &infos);
            return Ok(None);
        }
        parts::RowWork::Plan(work) => work,
    };
    if statement == RowStatement::Explain {
        explain(context, &work, &[]);
        return Ok(None);
    }
    // Who wants to know how long a statement takes gets a program, which has a clock.
    let is_timed = statement == RowStatement::Profile && haste == Haste::Short;
    if is_timed || !run_plan(context, &work, haste)? {
        let is_home = work.plan.schema().layout == Layout::Home;
        return Ok(Some(if is_home {
            Reach::Here
        } else {
            Reach::Everywhere
        }));
    }
    Ok(None)
}

fn explain(context: &mut Context<'_>, work: &parts::Work, costs: &[Cost]) {
    let explained = context.shard.tables().explain(context.db, &work.plan);
    let explained: Vec<_> = explained.into_iter().collect();
    answers::write_explanation(&mut context.reply, work.plan.schema(), &explained, costs);
}

/// Runs a plan; returns whether it has ended. If not, it has not done anything.
fn run_plan(
    context: &mut Context<'_>,
    work: &parts::Work,
    haste: Haste,
) -> Result<bool, TableError> {
    let mut progress = match work.row {
        Some(row) => Progress::deciding(work.now_ms, vec![Decision::Insert(row)]),
        None => Progress::new(work.now_ms),
    };
    if work.plan.answers_in_order() && work.statement != RowStatement::Profile {
        return write_rows(context, work, haste, &mut progress);
    }
    let mut partial = Partial::new();
    if !run_steps(context, work, haste, &mut progress, &mut partial)? {
        return Ok(false);
    }
    if work.statement == RowStatement::Profile {
        let cost = Cost {
            shard: context.shard.id(),
            nanos: None,
            looked: partial.looked(),
        };
        explain(context, work, &[cost]);
        return Ok(true);
    }
    let count = partial.count();
    if let Some(single) = merge::single(&work.plan, &partial) {
        answers::write_single(&mut context.reply, single);
    } else {
        let answer = parts::merge(&work.plan, vec![partial], context.reply.resp)?;
        answers::write_answer(&mut context.reply, work, answer);
    }
    if count > 0
        && let Some(event) = parts::event_of(work.statement)
    {
        let schema = work.plan.schema();
        let key = parts::key_of_table(schema);
        context.shard.note_table(context.db, key, event, count);
        if event == parts::INSERTED {
            context.shard.review_spread(context.db, schema);
        }
    }
    Ok(true)
}

/// What a statement may do in one piece, where a step changes so many rows: some tens of microseconds.
fn short(step_rows: usize) -> Budget {
    Budget {
        look: 1024,
        write: 2 * step_rows,
    }
}

/// Makes the steps of a plan: all of them, or only the first one. Returns whether it has ended.
fn run_steps(
    context: &mut Context<'_>,
    work: &parts::Work,
    haste: Haste,
    progress: &mut Progress,
    partial: &mut Partial,
) -> Result<bool, TableError> {
    let budget = match haste {
        Haste::Short => short(context.shard.options().table_step_rows),
        Haste::Whole => Budget::UNBOUNDED,
    };
    loop {
        let asked = (context.db, &*work.plan, context.reply.resp);
        match parts::step(context.shard, asked, budget, progress, partial)? {
            Stepped::More if haste == Haste::Short => {
                debug_assert!(!progress.has_changed(), "others would see a half");
                return Ok(false);
            }
            Stepped::More => {}
            Stepped::End => return Ok(true),
            Stepped::Again => unreachable!("the plan was made from this very schema"),
        }
    }
}

/// The same for rows that are the answer as they stand: they are written where the reply goes.
fn write_rows(
    context: &mut Context<'_>,
    work: &parts::Work,
    haste: Haste,
    progress: &mut Progress,
) -> Result<bool, TableError> {
    let begun = context.reply.out.len();
    let mut partial = Partial::writing_to(std::mem::take(context.reply.out));
    let ended = run_steps(context, work, haste, progress, &mut partial);
    let (out, count) = partial.into_rows();
    *context.reply.out = out;
    match ended {
        Ok(true) => answers::head_rows(&mut context.reply, work.statement, begun, count),
        Ok(false) | Err(_) => context.reply.out.truncate(begun),
    }
    ended
}

/// Draws the id of the row that a request inserts into a spread table, if one shard can do all of it: there is one
/// row, nothing can be there already, and nothing is wrong.
pub(super) fn draw_row(schema: &Arc<Schema>, args: Args<'_>) -> Option<u64> {
    if schema.indexes.iter().any(|index| index.unique) {
        return None;
    }
    if let Some(row) = tables::draw_row(schema, args.from(2).iter()) {
        return Some(row.0);
    }
    let words: Vec<&[u8]> = args.from(2).iter().collect();
    let statement = parser::statement(Verb::Insert, &words).ok()?;
    let limits = Limits { scan_rows_max: 0 };
    let plan = Plan::new(schema, &statement, limits).ok()?;
    (plan.insert_count() == 1).then(|| schema.last_row.fetch_add(1, Ordering::Relaxed) + 1)
}
