//! Namespaces and schemas: showing and changing them.

use base::ids::DbIndex;
use protocol::args::Args;
use shard::Shard;
use tables::catalog::SchemaChange;
use tables::error::TableError;
use tables::schema::TableId;

use super::{parts, refuse};
use crate::long_reply::{LongReply, Reach};
use crate::scope::{Scope, TableChange};
use crate::spec::{CommandError, Context};

pub(super) fn help(context: &mut Context<'_>, _args: Args<'_>) -> Result<(), CommandError> {
    let lines = tables::help::LINES;
    context.reply.array(lines.len());
    for line in lines {
        context.reply.simple(line);
    }
    Ok(())
}

pub(super) fn view_namespaces(
    context: &mut Context<'_>,
    args: Args<'_>,
) -> Result<(), CommandError> {
    if args.len() > 2 {
        return Err(CommandError::WordCount);
    }
    let tables = context.shard.tables().catalog(context.db).view(args.get(1));
    context.reply.array(tables.len());
    for name in tables {
        context
            .reply
            .bulk(&[name.namespace, b":", name.table].concat());
    }
    Ok(())
}

pub(super) fn view_schema(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let schema = match context
        .shard
        .tables()
        .catalog(context.db)
        .table(args.word(1))
    {
        Ok(schema) => schema,
        Err(error) => return refuse(context, &error),
    };
    context.reply.array(schema.columns.len());
    for column in &schema.columns {
        context.reply.array(3);
        context.reply.bulk(&column.name);
        context.reply.bulk(&column.kind_text);
        let is_indexed = schema.is_indexed(column.id);
        context
            .reply
            .simple(if is_indexed { "true" } else { "false" });
    }
    Ok(())
}

/// Plans what a command changes; nothing if all is as it is to be. `id` is the id of a new table.
///
/// # Errors
///
/// Why it is refused.
pub(super) fn plan(
    shard: &Shard,
    db: DbIndex,
    change: TableChange,
    args: Args<'_>,
    id: TableId,
) -> Result<Option<SchemaChange>, TableError> {
    let catalog = shard.tables().catalog(db);
    let name = args.word(1);
    let words: Vec<&[u8]> = args.from(2).iter().collect();
    match change {
        TableChange::CreateNamespace => catalog.plan_create_namespace(name).map(Some),
        TableChange::DropNamespace => catalog.plan_drop_namespace(name, &words).map(Some),
        TableChange::Create => catalog.plan_create(name, &words, id).map(Some),
        TableChange::Alter => catalog.plan_alter(name, &words),
        TableChange::Drop if words.len() > 1 => Err(TableError::WrongWords("TABLE.DROP")),
        TableChange::Drop => catalog.plan_drop(name, &words).map(Some),
        TableChange::Truncate => catalog.plan_truncate(name).map(Some),
    }
}

/// Changes namespaces or schemas: at once if this is the only shard.
pub(super) fn change(
    context: &mut Context<'_>,
    args: Args<'_>,
    change: TableChange,
) -> Result<(), CommandError> {
    if context.shard.options().shards > 1 {
        context.reply_later(LongReply::Statement(
            Reach::Everywhere,
            Scope::Change(change),
        ));
        return Ok(());
    }
    if change == TableChange::Alter {
        // It may build an index.
        context.reply_later(LongReply::Statement(Reach::Here, Scope::Change(change)));
        return Ok(());
    }
    change_whole(context, args, change)
}

/// The same on the only shard, in one go.
pub(super) fn change_whole(
    context: &mut Context<'_>,
    args: Args<'_>,
    change: TableChange,
) -> Result<(), CommandError> {
    let id = TableId(context.random.next_u64());
    let planned = plan(context.shard, context.db, change, args, id);
    let done = planned.and_then(|planned| match planned {
        Some(planned) => parts::apply_whole(context.shard, context.db, &planned),
        None => Ok(()),
    });
    match done {
        Ok(()) => context.reply.ok(),
        Err(error) => return refuse(context, &error),
    }
    Ok(())
}
