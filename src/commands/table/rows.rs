//! Statements about rows, in one piece on the shard that has them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use base::cast::u64_from;
use protocol::args::Args;
use protocol::reply::{Reply, Resp};
use tables::decide::Decision;
use tables::encode::Encode;
use tables::error::TableError;
use tables::executor::{Budget, Progress, Stepped};
use tables::parser::{self, Verb};
use tables::partial::Partial;
use tables::plan::{Limits, Plan};
use tables::schema::Schema;

use super::answers::{self, Cost};
use super::{definitions, parts, refuse};
use crate::long_reply::{LongReply, Reach};
use crate::scope::{RowStatement, Scope};
use crate::spec::{CommandError, Context};

/// Rows that a statement may look at in one piece, about: some tens of microseconds.
const SHORT_ROWS: u64 = 512;

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
    run_in(context, args, statement, Haste::Short)
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
    let rows = match work.plan.insert_count() {
        0 => context.shard.tables().estimate(db, &work.plan),
        rows => u64_from(rows),
    };
    let is_long = statement == RowStatement::Profile || rows > SHORT_ROWS;
    if is_long && haste == Haste::Short {
        return Ok(Some(Reach::Here));
    }
    run_plan(context, &work)?;
    Ok(None)
}

fn explain(context: &mut Context<'_>, work: &parts::Work, costs: &[Cost]) {
    let explained = context.shard.tables().explain(context.db, &work.plan);
    let explained: Vec<_> = explained.into_iter().collect();
    answers::write_explanation(&mut context.reply, work.plan.schema(), &explained, costs);
}

fn run_plan(context: &mut Context<'_>, work: &parts::Work) -> Result<(), TableError> {
    let mut progress = match work.row {
        Some(row) => Progress::deciding(work.now_ms, vec![Decision::Insert(row)]),
        None => Progress::new(work.now_ms),
    };
    let mut partial = Partial::new();
    loop {
        let asked = (context.db, &*work.plan, context.reply.resp);
        let budget = Budget::UNBOUNDED;
        let stepped = parts::step(context.shard, asked, budget, &mut progress, &mut partial)?;
        match stepped {
            Stepped::More => {}
            Stepped::End => break,
            Stepped::Again => unreachable!("the plan was made from this very schema"),
        }
    }
    if work.statement == RowStatement::Profile {
        let cost = Cost {
            shard: context.shard.id(),
            nanos: None,
            looked: partial.looked(),
        };
        explain(context, work, &[cost]);
        return Ok(());
    }
    let count = partial.count();
    let answer = parts::merge(&work.plan, vec![partial], context.reply.resp)?;
    answers::write_answer(&mut context.reply, work, answer);
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
    Ok(())
}

/// Draws the id of the row that a request inserts into a spread table, if one shard can do all of it: there is one
/// row, nothing can be there already, and nothing is wrong.
pub(super) fn draw_row(schema: &Arc<Schema>, args: Args<'_>) -> Option<u64> {
    if schema.indexes.iter().any(|index| index.unique) {
        return None;
    }
    let words: Vec<&[u8]> = args.from(2).iter().collect();
    let statement = parser::statement(Verb::Insert, &words).ok()?;
    let limits = Limits { scan_rows_max: 0 };
    let plan = Plan::new(schema, &statement, limits).ok()?;
    (plan.insert_count() == 1).then(|| schema.last_row.fetch_add(1, Ordering::Relaxed) + 1)
}
