//! Keys on their way to another name or database.
//!
//! The handlers here have both keys on one shard; over two shards the coordinator does the same with
//! the same steps ([`parts`]).

use protocol::args::Args;

use crate::parts;
use crate::spec::{
    Argument, Arity, Category, CommandError, Context, Declaration, Docs, Flags, KeySpec, Plan,
    ShardCommand, Spread,
};
use crate::words;

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[
    ShardCommand::new(RENAME, Spread::Plan(Plan::Rename), rename),
    ShardCommand::new(RENAMENX, Spread::Plan(Plan::RenameIfNone), renamenx),
    ShardCommand::new(COPY, Spread::Plan(Plan::Copy), copy),
    ShardCommand::new(MOVE, Spread::OneShard, move_key),
];

fn rename(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let (source, target) = (args.word(1), args.word(2));
    if !parts::exists(context.shard, context.db, source) {
        return Err(CommandError::NoSuchKey);
    }
    // A key renamed to itself stays as it is.
    if source != target {
        rename_existing(context, source, target);
    }
    context.reply.ok();
    Ok(())
}

fn rename_existing(context: &mut Context<'_>, source: &[u8], target: &[u8]) {
    let (shard, db) = (&mut *context.shard, context.db);
    if let Some(detached) = parts::take(shard, db, source) {
        parts::store(shard, db, target, detached);
        parts::tell(shard, db, parts::RENAMED_FROM, source);
        parts::tell(shard, db, parts::RENAMED_TO, target);
    }
}

fn renamenx(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let (source, target) = (args.word(1), args.word(2));
    if !parts::exists(context.shard, context.db, source) {
        return Err(CommandError::NoSuchKey);
    }
    let free = !parts::exists(context.shard, context.db, target);
    if free {
        rename_existing(context, source, target);
    }
    context.reply.integer(i64::from(free));
    Ok(())
}

fn copy(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let databases = context.shard.options().databases;
    let options = parts::parse_copy_options(args, context.db, databases)?;
    let (source, target) = (args.word(1), args.word(2));
    // Even where there is nothing to copy the source is read, and first.
    let key = context.shard.key(source);
    let mut db = context.shard.db(context.db);
    let exists = db.lookup(key, context.touch).is_some();
    let copies =
        exists && (!parts::exists(context.shard, options.target_db, target) || options.replace);
    context.reply.integer(i64::from(copies));
    if copies && let Some(detached) = context.shard.db(context.db).copy_of(key) {
        parts::store(context.shard, options.target_db, target, detached);
        parts::tell(context.shard, options.target_db, parts::COPIED_TO, target);
    }
    Ok(())
}

/// Both databases of a key are on the same shard, since only its name decides its place.
fn move_key(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = args.word(1);
    let target_db = words::database(args.word(2), context.shard.options().databases)?;
    if target_db == context.db {
        return Err(CommandError::SameObject);
    }
    let (shard, db) = (&mut *context.shard, context.db);
    let moves = parts::exists(shard, db, key) && !parts::exists(shard, target_db, key);
    context.reply.integer(i64::from(moves));
    if moves && let Some(detached) = parts::take(shard, db, key) {
        parts::store(shard, target_db, key, detached);
        parts::tell(shard, db, "move_from", key);
        parts::tell(shard, target_db, "move_to", key);
    }
    Ok(())
}

const RENAME: Declaration = Declaration::new("rename", Arity::Exactly(3), Flags::WRITE)
    .categories(&[Category::Keyspace])
    .keys(&[
        KeySpec::at(1, &["RW", "access", "delete"]),
        KeySpec::at(2, &["OW", "update"]),
    ])
    .docs(
        Docs::new(
            "generic",
            "1.0.0",
            "Gives a key another name, replacing what is there.",
            "O(1), plus removing the replaced value.",
        )
        .arguments(&[Argument::KEY, Argument::key("newkey", 1)]),
    );

const RENAMENX: Declaration =
    Declaration::new("renamenx", Arity::Exactly(3), Flags::WRITE.and(Flags::FAST))
        .categories(&[Category::Keyspace])
        .keys(&[
            KeySpec::at(1, &["RW", "access", "delete"]),
            KeySpec::at(2, &["OW", "insert"]),
        ])
        .docs(
            Docs::new(
                "generic",
                "1.0.0",
                "Gives a key another name unless that name is taken.",
                "O(1)",
            )
            .history(&[("3.2.0", "Equal names are no longer refused.")])
            .arguments(&[Argument::KEY, Argument::key("newkey", 1)]),
        );

const COPY: Declaration =
    Declaration::new("copy", Arity::AtLeast(3), Flags::WRITE.and(Flags::DENY_OOM))
        .categories(&[Category::Keyspace])
        .keys(&[
            KeySpec::at(1, &["RO", "access"]),
            KeySpec::at(2, &["OW", "update"]),
        ])
        .docs(
            Docs::new(
                "generic",
                "6.2.0",
                "Duplicates the value and expiry of a key under another name.",
                "O(1) for strings, O(N) for values of N elements.",
            )
            .arguments(&[
                Argument::key("source", 0),
                Argument::key("destination", 1),
                Argument::integer("destination-db")
                    .with_token("DB")
                    .optional(),
                Argument::token("replace", "REPLACE").optional(),
            ]),
        );

const MOVE: Declaration =
    Declaration::new("move", Arity::Exactly(3), Flags::WRITE.and(Flags::FAST))
        .categories(&[Category::Keyspace])
        .keys(&[KeySpec::at(1, &["RW", "access", "update"])])
        .docs(
            Docs::new(
                "generic",
                "1.0.0",
                "Takes a key to another numbered database.",
                "O(1)",
            )
            .arguments(&[Argument::KEY, Argument::integer("db")]),
        );
