//! Strings of several keys at once.

use protocol::args::Args;
use shard::effects::EventClass;
use shard::keyspace::Expiry;

use crate::long_reply::LongReply;
use crate::parts;
use crate::pieces::Pieces;
use crate::spec::{
    Argument, Arity, Category, CommandError, Context, Declaration, Docs, Flags, Join, KeySpec,
    Plan, ShardCommand, Spread,
};
use crate::steps::LONG_STRING_BYTES_MIN;

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[
    ShardCommand::new(
        MGET,
        Spread::ByKey {
            step: 1,
            join: Join::Interleave,
        },
        mget,
    ),
    ShardCommand::new(
        MSET,
        Spread::ByKey {
            step: 2,
            join: Join::AllOk,
        },
        mset,
    ),
    ShardCommand::new(MSETNX, Spread::Plan(Plan::SetIfNone), msetnx),
];

fn mget(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let keys = args.from(1);
    let begun = context.reply.out.len();
    let mut pieces = Pieces::default();
    context.reply.array(keys.len());
    for word in keys.iter() {
        let key = context.shard.key(word);
        let mut db = context.shard.db(context.db);
        // A key of another type counts as missing.
        match db.lookup(key, context.touch).map(|entry| entry.string()) {
            Some(Ok(string)) if string.len() < LONG_STRING_BYTES_MIN => context.reply.bulk(string),
            Some(Ok(string)) => {
                let len = string.len();
                if let Some(share) = db.share_string(key) {
                    pieces.bytes(context.reply.out.split_off(begun));
                    pieces.bulk(share, 0..len);
                }
            }
            Some(Err(_)) | None => context.reply.null(),
        }
    }
    if !pieces.is_empty() {
        pieces.bytes(context.reply.out.split_off(begun));
        context.reply_later(LongReply::Pieces(pieces));
    }
    Ok(())
}

fn mset(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    parts::check_pairs(args)?;
    set_all(context, args);
    context.reply.ok();
    Ok(())
}

fn msetnx(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    parts::check_pairs(args)?;
    let taken = args
        .iter()
        .skip(1)
        .step_by(2)
        .any(|key| parts::exists(context.shard, context.db, key));
    if !taken {
        set_all(context, args);
    }
    context.reply.integer(i64::from(!taken));
    Ok(())
}

/// Sets every pair; of a key that is named twice, the last value stays.
fn set_all(context: &mut Context<'_>, args: Args<'_>) {
    let mut index = 1;
    while index + 1 < args.len() {
        let key = context.shard.key(args.word(index));
        let mut db = context.shard.db(context.db);
        db.set_string(key, args.word(index + 1), Expiry::Clear);
        db.event(EventClass::STRING, "set", key);
        index += 2;
    }
}

const MGET: Declaration =
    Declaration::new("mget", Arity::AtLeast(2), Flags::READONLY.and(Flags::FAST))
        .categories(&[Category::String])
        .keys(&[KeySpec::range(1, -1, 1, &["RO", "access"])])
        .tips(&["request_policy:multi_shard"])
        .docs(
            Docs::new(
                "string",
                "1.0.0",
                "Returns the strings of several keys at one instant.",
                "O(K), K being the number of keys.",
            )
            .arguments(&[Argument::KEY.multiple()]),
        );

const MSET: Declaration =
    Declaration::new("mset", Arity::AtLeast(3), Flags::WRITE.and(Flags::DENY_OOM))
        .categories(&[Category::String])
        .keys(&[KeySpec::range(1, -1, 2, &["OW", "update"])])
        .tips(&[
            "request_policy:multi_shard",
            "response_policy:all_succeeded",
        ])
        .docs(
            Docs::new(
                "string",
                "1.0.1",
                "Stores strings at several keys at one instant.",
                "O(K), K being the number of keys.",
            )
            .arguments(&[Argument::block(
                "key_value",
                &[Argument::KEY, Argument::text("value")],
            )
            .multiple()]),
        );

const MSETNX: Declaration = Declaration::new(
    "msetnx",
    Arity::AtLeast(3),
    Flags::WRITE.and(Flags::DENY_OOM),
)
.categories(&[Category::String])
.keys(&[KeySpec::range(1, -1, 2, &["OW", "insert"])])
.tips(&["request_policy:multi_shard", "response_policy:agg_min"])
.docs(
    Docs::new(
        "string",
        "1.0.1",
        "Stores strings at several keys, or none if one of the keys exists.",
        "O(K), K being the number of keys.",
    )
    .arguments(&[
        Argument::block("key_value", &[Argument::KEY, Argument::text("value")]).multiple(),
    ]),
);
