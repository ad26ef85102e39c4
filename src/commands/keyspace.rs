//! Whole databases: counting, emptying, exchanging them.

use base::cast::i64_from;
use base::ids::DbIndex;
use protocol::args::{Args, equals_ignore_case};

use crate::spec::{
    Argument, Arity, Category, CommandError, Context, Declaration, Docs, Flags, Join, ShardCommand,
    Spread,
};
use crate::words;

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[
    ShardCommand::new(DBSIZE, Spread::Everywhere(Join::Sum), dbsize),
    ShardCommand::new(FLUSHDB, Spread::Everywhere(Join::AllOk), flushdb),
    ShardCommand::new(FLUSHALL, Spread::Everywhere(Join::AllOk), flushall),
    ShardCommand::new(SWAPDB, Spread::Everywhere(Join::AllOk), swapdb),
];

fn dbsize(context: &mut Context<'_>, _: Args<'_>) -> Result<(), CommandError> {
    context
        .reply
        .integer(i64_from(context.shard.db(context.db).len()));
    Ok(())
}

fn flushdb(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    check_flush_mode(args)?;
    context.shard.clear_db(context.db);
    context.reply.ok();
    Ok(())
}

fn flushall(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    check_flush_mode(args)?;
    for index in 0..context.shard.options().databases {
        context.shard.clear_db(DbIndex(index));
    }
    context.reply.ok();
    Ok(())
}

/// Accepts `ASYNC` and `SYNC`, which make no difference: the keys are gone at once and their memory
/// is given back in small steps.
fn check_flush_mode(args: Args<'_>) -> Result<(), CommandError> {
    match (args.get(1), args.len()) {
        (None, _) => Ok(()),
        (Some(word), 2)
            if equals_ignore_case(word, "ASYNC") || equals_ignore_case(word, "SYNC") =>
        {
            Ok(())
        }
        (Some(_), _) => Err(CommandError::Syntax),
    }
}

fn swapdb(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let number = |index: usize, refusal: &'static str| {
        words::integer(args.word(index))
            .and_then(|number| i32::try_from(number).ok())
            .ok_or(CommandError::Text(refusal))
    };
    let one = number(1, "ERR invalid first DB index")?;
    let other = number(2, "ERR invalid second DB index")?;
    let databases = context.shard.options().databases;
    let one = words::database_in_range(one, databases)?;
    let other = words::database_in_range(other, databases)?;
    if one != other {
        context.shard.swap_dbs(one, other);
    }
    context.reply.ok();
    Ok(())
}

const DBSIZE: Declaration = Declaration::new(
    "dbsize",
    Arity::Exactly(1),
    Flags::READONLY.and(Flags::FAST),
)
.categories(&[Category::Keyspace])
.tips(&["request_policy:all_shards", "response_policy:agg_sum"])
.docs(Docs::new(
    "server",
    "1.0.0",
    "Counts the keys of the database.",
    "O(S), S being the number of shards.",
));

const FLUSHDB: Declaration = Declaration::new("flushdb", Arity::AtLeast(1), Flags::WRITE)
    .categories(&[Category::Keyspace, Category::Dangerous])
    .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
    .docs(
        Docs::new(
            "server",
            "1.0.0",
            "Removes every key of the database.",
            "O(N), N being the number of keys in the database.",
        )
        .history(&[("4.0.0", "`ASYNC` came."), ("6.2.0", "`SYNC` came.")])
        .arguments(&[Argument::one_of(
            "async",
            &[
                Argument::token("async", "ASYNC").since("4.0.0"),
                Argument::token("sync", "SYNC").since("6.2.0"),
            ],
        )
        .optional()]),
    );

const FLUSHALL: Declaration = Declaration::new("flushall", Arity::AtLeast(1), Flags::WRITE)
    .categories(&[Category::Keyspace, Category::Dangerous])
    .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
    .docs(
        Docs::new(
            "server",
            "1.0.0",
            "Removes every key of every database.",
            "O(N), N being the number of keys in all databases.",
        )
        .history(&[("4.0.0", "`ASYNC` came."), ("6.2.0", "`SYNC` came.")])
        .arguments(&[Argument::one_of(
            "async",
            &[
                Argument::token("async", "ASYNC").since("4.0.0"),
                Argument::token("sync", "SYNC").since("6.2.0"),
            ],
        )
        .optional()]),
    );

const SWAPDB: Declaration =
    Declaration::new("swapdb", Arity::Exactly(3), Flags::WRITE.and(Flags::FAST))
        .categories(&[Category::Keyspace, Category::Dangerous])
        .docs(
            Docs::new(
                "server",
                "4.0.0",
                "Exchanges the contents of two numbered databases.",
                "O(W), W being the number of watched keys in both databases.",
            )
            .arguments(&[Argument::integer("index1"), Argument::integer("index2")]),
        );
