//! Keys as such: whether they exist, of what type they are, removing them.

use base::cast::i64_from;
use protocol::args::Args;
use shard::effects::EventClass;

use crate::spec::{
    Argument, Arity, Category, CommandError, Context, Declaration, Docs, Flags, Join, KeySpec,
    ShardCommand, Spread,
};

const SUM_BY_KEY: Spread = Spread::ByKey {
    step: 1,
    join: Join::Sum,
};

/// The commands of this family.
///
/// UNLINK is DEL: a value of one allocation is freed as fast at once as later.
pub const COMMANDS: &[ShardCommand] = &[
    ShardCommand::new(DEL, SUM_BY_KEY, del),
    ShardCommand::new(UNLINK, SUM_BY_KEY, del),
    ShardCommand::new(EXISTS, SUM_BY_KEY, exists),
    ShardCommand::new(TOUCH, SUM_BY_KEY, touch),
    ShardCommand::new(TYPE, Spread::OneShard, type_name),
];

fn del(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let (shard, db) = (&mut *context.shard, context.db);
    let count = args.iter().skip(1).filter(|word| {
        let key = shard.key(word);
        let mut db = shard.db(db);
        let existed = db.remove(key);
        if existed {
            db.event(EventClass::GENERIC, "del", key);
        }
        existed
    });
    context.reply.integer(i64_from(count.count()));
    Ok(())
}

fn exists(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    count_found(context, args, false)
}

fn touch(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    count_found(context, args, true)
}

/// Replies with the number of keys that exist, each as often as it is named.
fn count_found(
    context: &mut Context<'_>,
    args: Args<'_>,
    note_access: bool,
) -> Result<(), CommandError> {
    let (shard, db) = (&mut *context.shard, context.db);
    let count = args.iter().skip(1).filter(|word| {
        let key = shard.key(word);
        shard.db(db).lookup(key, note_access).is_some()
    });
    context.reply.integer(i64_from(count.count()));
    Ok(())
}

fn type_name(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    // Looking at the type is not using the value.
    let name = db
        .lookup(key, false)
        .map_or("none", |entry| entry.type_name());
    context.reply.simple(name);
    Ok(())
}

const DEL: Declaration = Declaration::new("del", Arity::AtLeast(2), Flags::WRITE)
    .categories(&[Category::Keyspace])
    .keys(&[KeySpec::range(1, -1, 1, &["RM", "delete"])])
    .tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
    .docs(
        Docs::new(
            "generic",
            "1.0.0",
            "Removes keys.",
            "O(K) for K keys, plus the elements of values that are no strings.",
        )
        .arguments(&[Argument::KEY.multiple()]),
    );

const UNLINK: Declaration =
    Declaration::new("unlink", Arity::AtLeast(2), Flags::WRITE.and(Flags::FAST))
        .categories(&[Category::Keyspace])
        .keys(&[KeySpec::range(1, -1, 1, &["RM", "delete"])])
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
        .docs(
            Docs::new(
                "generic",
                "4.0.0",
                "Removes keys and leaves the freeing of large values for later.",
                "O(K) for K keys; freeing afterwards is O(N) for N elements.",
            )
            .arguments(&[Argument::KEY.multiple()]),
        );

const EXISTS: Declaration = Declaration::new(
    "exists",
    Arity::AtLeast(2),
    Flags::READONLY.and(Flags::FAST),
)
.categories(&[Category::Keyspace])
.keys(&[KeySpec::range(1, -1, 1, &["RO"])])
.tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
.docs(
    Docs::new(
        "generic",
        "1.0.0",
        "Counts how many of the named keys there are.",
        "O(K), K being the number of keys.",
    )
    .history(&[("3.0.3", "More than one key may be named.")])
    .arguments(&[Argument::KEY.multiple()]),
);

const TOUCH: Declaration =
    Declaration::new("touch", Arity::AtLeast(2), Flags::READONLY.and(Flags::FAST))
        .categories(&[Category::Keyspace])
        .keys(&[KeySpec::range(1, -1, 1, &["RO"])])
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
        .docs(
            Docs::new(
                "generic",
                "3.2.1",
                "Marks keys as just used and counts those that exist.",
                "O(K), K being the number of keys.",
            )
            .arguments(&[Argument::KEY.multiple()]),
        );

const TYPE: Declaration =
    Declaration::new("type", Arity::Exactly(2), Flags::READONLY.and(Flags::FAST))
        .categories(&[Category::Keyspace])
        .keys(&[KeySpec::at(1, &["RO"])])
        .docs(
            Docs::new(
                "generic",
                "1.0.0",
                "Names the type of the value at a key.",
                "O(1)",
            )
            .arguments(&[Argument::KEY]),
        );
