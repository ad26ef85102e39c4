//! Numbers kept in strings: INCR and its like.

use base::number::long_double::LongDouble;
use protocol::args::Args;
use shard::effects::EventClass;
use shard::keyspace::Expiry;
use types::string::Origin;

use crate::spec::{
    Argument, Arity, Category, CommandError, Context, Declaration, Docs, Flags, KeySpec,
    ShardCommand, Spread,
};
use crate::words;

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[
    ShardCommand::new(INCR, Spread::OneShard, incr).told_whole(),
    ShardCommand::new(DECR, Spread::OneShard, decr).told_whole(),
    ShardCommand::new(INCRBY, Spread::OneShard, incrby).told_whole(),
    ShardCommand::new(DECRBY, Spread::OneShard, decrby).told_whole(),
    ShardCommand::new(INCRBYFLOAT, Spread::OneShard, incrbyfloat).told_whole(),
];

fn incr(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    add(context, args.word(1), 1)
}

fn decr(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    add(context, args.word(1), -1)
}

fn incrby(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let increment = words::integer_or_refuse(args.word(2))?;
    add(context, args.word(1), increment)
}

fn decrby(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let decrement = words::integer_or_refuse(args.word(2))?;
    let increment = decrement
        .checked_neg()
        .ok_or(CommandError::Text("ERR decrement would overflow"))?;
    add(context, args.word(1), increment)
}

/// Adds `increment` to the integer at `key` and replies with the sum.
fn add(context: &mut Context<'_>, key: &[u8], increment: i64) -> Result<(), CommandError> {
    let key = context.shard.key(key);
    let mut db = context.shard.db(context.db);
    let value = match db.peek(key) {
        Some(entry) => words::integer_or_refuse(entry.string()?)?,
        None => 0,
    };
    let sum = value.checked_add(increment).ok_or(CommandError::Overflow)?;
    let mut digits = itoa::Buffer::new();
    db.set_string(key, digits.format(sum).as_bytes(), Expiry::Keep);
    db.event(EventClass::STRING, "incrby", key);
    context.reply.integer(sum);
    Ok(())
}

fn incrbyfloat(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let value = match db.peek(key) {
        Some(entry) => LongDouble::parse(entry.string()?).ok_or(CommandError::NotFloat)?,
        None => LongDouble::from_i64(0),
    };
    let increment = LongDouble::parse(args.word(2)).ok_or(CommandError::NotFloat)?;
    let sum = value + increment;
    if !sum.is_finite() {
        return Err(CommandError::NanOrInfinity);
    }
    let mut text = Vec::new();
    sum.write(&mut text);
    db.set_string_from(key, &text, Expiry::Keep, Origin::Computed);
    db.event(EventClass::STRING, "incrbyfloat", key);
    context.reply.bulk(&text);
    Ok(())
}

const INCR: Declaration = Declaration::new(
    "incr",
    Arity::Exactly(2),
    Flags::WRITE.and(Flags::DENY_OOM).and(Flags::FAST),
)
.categories(&[Category::String])
.keys(&[KeySpec::at(1, &["RW", "access", "update"])])
.docs(
    Docs::new(
        "string",
        "1.0.0",
        "Adds one to the integer in a string; a missing key counts as 0.",
        "O(1)",
    )
    .arguments(&[Argument::KEY]),
);

const DECR: Declaration = Declaration::new(
    "decr",
    Arity::Exactly(2),
    Flags::WRITE.and(Flags::DENY_OOM).and(Flags::FAST),
)
.categories(&[Category::String])
.keys(&[KeySpec::at(1, &["RW", "access", "update"])])
.docs(
    Docs::new(
        "string",
        "1.0.0",
        "Takes one from the integer in a string; a missing key counts as 0.",
        "O(1)",
    )
    .arguments(&[Argument::KEY]),
);

const INCRBY: Declaration = Declaration::new(
    "incrby",
    Arity::Exactly(3),
    Flags::WRITE.and(Flags::DENY_OOM).and(Flags::FAST),
)
.categories(&[Category::String])
.keys(&[KeySpec::at(1, &["RW", "access", "update"])])
.docs(
    Docs::new(
        "string",
        "1.0.0",
        "Adds an integer to the one in a string; a missing key counts as 0.",
        "O(1)",
    )
    .arguments(&[Argument::KEY, Argument::integer("increment")]),
);

const DECRBY: Declaration = Declaration::new(
    "decrby",
    Arity::Exactly(3),
    Flags::WRITE.and(Flags::DENY_OOM).and(Flags::FAST),
)
.categories(&[Category::String])
.keys(&[KeySpec::at(1, &["RW", "access", "update"])])
.docs(
    Docs::new(
        "string",
        "1.0.0",
        "Takes an integer from the one in a string; a missing key counts as 0.",
        "O(1)",
    )
    .arguments(&[Argument::KEY, Argument::integer("decrement")]),
);

const INCRBYFLOAT: Declaration = Declaration::new(
    "incrbyfloat",
    Arity::Exactly(3),
    Flags::WRITE.and(Flags::DENY_OOM).and(Flags::FAST),
)
.categories(&[Category::String])
.keys(&[KeySpec::at(1, &["RW", "access", "update"])])
.docs(
    Docs::new(
        "string",
        "2.6.0",
        "Adds a decimal fraction to the number in a string; a missing key counts as 0.",
        "O(1)",
    )
    .arguments(&[Argument::KEY, Argument::double("increment")]),
);
