//! Hashes: fields with values.

use base::clock::UnixMillis;
use base::number::long_double::LongDouble;
use protocol::args::Args;
use protocol::reply::Reply;
use shard::effects::{Change, EventClass};
use types::hash::{FieldExpiry, Growth, Hash};
use types::listpack::Element;
use types::memory::allocated_bytes;

use crate::long_reply::Course;
use crate::spec::{
    Argument, Arity, Category, CommandError, Context, Declaration, Docs, Flags, KeySpec,
    ShardCommand, Spread,
};
use crate::steps::{Shown, is_long};
use crate::words;

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[
    ShardCommand::new(HSET, Spread::OneShard, hset),
    ShardCommand::new(HMSET, Spread::OneShard, hmset),
    ShardCommand::new(HSETNX, Spread::OneShard, hsetnx),
    ShardCommand::new(HGET, Spread::OneShard, hget),
    ShardCommand::new(HMGET, Spread::OneShard, hmget),
    ShardCommand::new(HGETALL, Spread::OneShard, hgetall).walking(),
    ShardCommand::new(HDEL, Spread::OneShard, hdel),
    ShardCommand::new(HLEN, Spread::OneShard, hlen),
    ShardCommand::new(HSTRLEN, Spread::OneShard, hstrlen),
    ShardCommand::new(HEXISTS, Spread::OneShard, hexists),
    ShardCommand::new(HKEYS, Spread::OneShard, hkeys).walking(),
    ShardCommand::new(HVALS, Spread::OneShard, hvals).walking(),
    ShardCommand::new(HINCRBY, Spread::OneShard, hincrby),
    ShardCommand::new(HINCRBYFLOAT, Spread::OneShard, hincrbyfloat),
];

/// Returns what hashes of the shard have to know to grow.
pub(crate) fn growth(context: &Context<'_>) -> Growth {
    let options = context.shard.options();
    Growth::new(&options.limits, options.hash_seed)
}

/// Writes a field or a value.
#[inline]
pub(crate) fn reply_element(reply: &mut Reply<'_>, element: Element<'_>) {
    match element {
        Element::Bytes(bytes) => reply.bulk(bytes),
        Element::Integer(value) => reply.integer_bulk(value),
    }
}

/// Writes a value, or null if there is none.
#[inline]
pub(crate) fn reply_value(reply: &mut Reply<'_>, value: Option<Element<'_>>) {
    match value {
        Some(value) => reply_element(reply, value),
        None => reply.null(),
    }
}

fn hset(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let created = set_all(context, args)?;
    context.reply.integer(base::cast::i64_from(created));
    Ok(())
}

fn hmset(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    set_all(context, args)?;
    context.reply.ok();
    Ok(())
}

/// Sets the fields from word 2 on and returns how many are new.
fn set_all(context: &mut Context<'_>, args: Args<'_>) -> Result<usize, CommandError> {
    if !args.len().is_multiple_of(2) {
        return Err(CommandError::WordCount);
    }
    let (growth, now) = (growth(context), context.now);
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let created = db.edit_or_create::<Hash, _>(key, |hash| {
        let mut created = 0;
        for index in (2..args.len()).step_by(2) {
            let (field, value) = (args.word(index), args.word(index + 1));
            let is_new = hash.set(field, value, FieldExpiry::Clear, &growth, now);
            created += usize::from(is_new);
        }
        let pairs = (args.len() - 2) / 2;
        (created, Change::of(pairs, EventClass::HASH, "hset"))
    })?;
    Ok(created)
}

fn hsetnx(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let (growth, now) = (growth(context), context.now);
    let key = context.first_key(args);
    let (field, value) = (args.word(2), args.word(3));
    let mut db = context.shard.db(context.db);
    let is_new = db.edit_or_create::<Hash, _>(key, |hash| {
        if hash.get(field, now).is_some() {
            return (false, Change::NONE);
        }
        hash.set(field, value, FieldExpiry::Clear, &growth, now);
        (true, Change::of(1, EventClass::HASH, "hset"))
    })?;
    context.reply.integer(i64::from(is_new));
    Ok(())
}

fn hget(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let hash = db.read::<Hash>(key, context.touch)?;
    let value = hash.and_then(|hash| hash.get(args.word(2), context.now));
    reply_value(&mut context.reply, value);
    Ok(())
}

fn hmget(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let hash = db.read::<Hash>(key, context.touch)?;
    context.reply.array(args.len() - 2);
    for field in args.from(2).iter() {
        let value = hash.and_then(|hash| hash.get(field, context.now));
        reply_value(&mut context.reply, value);
    }
    Ok(())
}

fn hgetall(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let (now, key) = (context.now, context.first_key(args));
    let mut db = context.shard.db(context.db);
    let hash = db.read::<Hash>(key, context.touch)?;
    let len = hash.map_or(0, |hash| hash.len(now));
    if hash.is_some_and(|hash| is_long_hash(hash, len)) {
        walk(context, Shown::Pairs, |reply| reply.map(len));
        return Ok(());
    }
    let reply = &mut context.reply;
    reply.map(len);
    if let Some(hash) = hash {
        hash.for_each(now, &mut |field, value| {
            reply_element(reply, field);
            reply_element(reply, value);
        });
    }
    Ok(())
}

fn hkeys(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    list(context, args, Shown::Fields, |field, _| field)
}

fn hvals(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    list(context, args, Shown::Values, |_, value| value)
}

/// Replies with one element of each pair.
fn list(
    context: &mut Context<'_>,
    args: Args<'_>,
    shown: Shown,
    chosen: for<'e> fn(Element<'e>, Element<'e>) -> Element<'e>,
) -> Result<(), CommandError> {
    let (now, key) = (context.now, context.first_key(args));
    let mut db = context.shard.db(context.db);
    let hash = db.read::<Hash>(key, context.touch)?;
    let len = hash.map_or(0, |hash| hash.len(now));
    if hash.is_some_and(|hash| is_long_hash(hash, len)) {
        walk(context, shown, |reply| reply.array(len));
        return Ok(());
    }
    let reply = &mut context.reply;
    reply.array(len);
    if let Some(hash) = hash {
        hash.for_each(now, &mut |field, value| {
            reply_element(reply, chosen(field, value));
        });
    }
    Ok(())
}

fn is_long_hash(hash: &Hash, len: usize) -> bool {
    is_long(len, len, hash.allocated_bytes(allocated_bytes))
}

fn walk(context: &mut Context<'_>, shown: Shown, head: impl FnOnce(&mut Reply<'_>)) {
    let course = Course::Hash {
        cursor: 0,
        now: context.now,
        shown,
    };
    context.walk(course, head);
}

fn hlen(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    measure(context, args, |hash, (_, now)| hash.len(now))
}

fn hstrlen(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    measure(context, args, |hash, (args, now)| {
        hash.get(args.word(2), now).map_or(0, |value| value.len())
    })
}

fn hexists(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    measure(context, args, |hash, (args, now)| {
        usize::from(hash.get(args.word(2), now).is_some())
    })
}

/// Replies with a number that the hash has, 0 if there is no hash.
fn measure(
    context: &mut Context<'_>,
    args: Args<'_>,
    number: fn(&Hash, (Args<'_>, UnixMillis)) -> usize,
) -> Result<(), CommandError> {
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let hash = db.read::<Hash>(key, context.touch)?;
    let number = hash.map_or(0, |hash| number(hash, (args, context.now)));
    context.reply.integer(base::cast::i64_from(number));
    Ok(())
}

fn hdel(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let (now, key) = (context.now, context.first_key(args));
    let mut db = context.shard.db(context.db);
    let removed = db.edit::<Hash, _>(key, |hash| {
        let fields = args.from(2);
        let removed = fields
            .iter()
            .filter(|field| hash.remove(field, now))
            .count();
        (removed, Change::of(removed, EventClass::HASH, "hdel"))
    })?;
    let removed = base::cast::i64_from(removed.unwrap_or(0));
    context.reply.integer(removed);
    Ok(())
}

fn hincrby(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let increment = words::integer_or_refuse(args.word(3))?;
    let (growth, now) = (growth(context), context.now);
    let key = context.first_key(args);
    let field = args.word(2);
    let mut db = context.shard.db(context.db);
    let sum = db.edit_or_create::<Hash, _>(key, |hash| {
        match increased(hash.get(field, now), increment) {
            Ok(sum) => {
                let mut digits = itoa::Buffer::new();
                let value = digits.format(sum).as_bytes();
                hash.set(field, value, FieldExpiry::Keep, &growth, now);
                (Ok(sum), Change::of(1, EventClass::HASH, "hincrby"))
            }
            Err(error) => (Err(error), Change::NONE),
        }
    })?;
    context.reply.integer(sum?);
    Ok(())
}

fn increased(value: Option<Element<'_>>, increment: i64) -> Result<i64, CommandError> {
    const NOT_INTEGER: CommandError = CommandError::Text("ERR hash value is not an integer");
    let value = value.map_or(Ok(0), |value| value.integer().ok_or(NOT_INTEGER))?;
    value.checked_add(increment).ok_or(CommandError::Overflow)
}

fn hincrbyfloat(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let increment = LongDouble::parse(args.word(3)).ok_or(CommandError::NotFloat)?;
    if !increment.is_finite() {
        return Err(CommandError::Text("ERR value is NaN or Infinity"));
    }
    let (growth, now) = (growth(context), context.now);
    let key = context.first_key(args);
    let field = args.word(2);
    let mut db = context.shard.db(context.db);
    let text = db.edit_or_create::<Hash, _>(key, |hash| {
        match increased_float(hash.get(field, now), increment) {
            Ok(text) => {
                hash.set(field, &text, FieldExpiry::Keep, &growth, now);
                (Ok(text), Change::of(1, EventClass::HASH, "hincrbyfloat"))
            }
            Err(error) => (Err(error), Change::NONE),
        }
    })?;
    context.reply.bulk(&text?);
    Ok(())
}

fn increased_float(
    value: Option<Element<'_>>,
    increment: LongDouble,
) -> Result<Vec<u8>, CommandError> {
    const NOT_FLOAT: CommandError = CommandError::Text("ERR hash value is not a float");
    let value = match value {
        None => LongDouble::from_i64(0),
        Some(Element::Integer(value)) => LongDouble::from_i64(value),
        Some(Element::Bytes(bytes)) => LongDouble::parse(bytes).ok_or(NOT_FLOAT)?,
    };
    let sum = value + increment;
    if !sum.is_finite() {
        return Err(CommandError::NanOrInfinity);
    }
    let mut text = Vec::new();
    sum.write(&mut text);
    Ok(text)
}

const HSET: Declaration = Declaration::new(
    "hset",
    Arity::AtLeast(4),
    Flags::WRITE.and(Flags::DENY_OOM).and(Flags::FAST),
)
.categories(&[Category::Hash])
.keys(&[KeySpec::at(1, &["RW", "update"])])
.docs(
    Docs::new(
        "hash",
        "2.0.0",
        "Sets fields of a hash; a missing key is made.",
        "O(N), N being the number of fields given.",
    )
    .history(&[("4.0.0", "Several fields at once.")])
    .arguments(&[
        Argument::KEY,
        Argument::block(
            "field_value",
            &[Argument::text("field"), Argument::text("value")],
        )
        .multiple(),
    ]),
);

const HMSET: Declaration = Declaration::new(
    "hmset",
    Arity::AtLeast(4),
    Flags::WRITE.and(Flags::DENY_OOM).and(Flags::FAST),
)
.categories(&[Category::Hash])
.keys(&[KeySpec::at(1, &["RW", "update"])])
.docs(
    Docs::new(
        "hash",
        "2.0.0",
        "Sets fields of a hash and says OK.",
        "O(N), N being the number of fields given.",
    )
    .deprecated("4.0.0", "`HSET` with multiple field-value pairs")
    .arguments(&[
        Argument::KEY,
        Argument::block(
            "field_value",
            &[Argument::text("field"), Argument::text("value")],
        )
        .multiple(),
    ]),
);

const HSETNX: Declaration = Declaration::new(
    "hsetnx",
    Arity::Exactly(4),
    Flags::WRITE.and(Flags::DENY_OOM).and(Flags::FAST),
)
.categories(&[Category::Hash])
.keys(&[KeySpec::at(1, &["RW", "insert"])])
.docs(
    Docs::new(
        "hash",
        "2.0.0",
        "Sets a field of a hash only where it does not exist yet.",
        "O(1)",
    )
    .arguments(&[
        Argument::KEY,
        Argument::text("field"),
        Argument::text("value"),
    ]),
);

const HGET: Declaration =
    Declaration::new("hget", Arity::Exactly(3), Flags::READONLY.and(Flags::FAST))
        .categories(&[Category::Hash])
        .keys(&[KeySpec::at(1, &["RO", "access"])])
        .docs(
            Docs::new("hash", "2.0.0", "Returns the value of a field.", "O(1)")
                .arguments(&[Argument::KEY, Argument::text("field")]),
        );

const HMGET: Declaration =
    Declaration::new("hmget", Arity::AtLeast(3), Flags::READONLY.and(Flags::FAST))
        .categories(&[Category::Hash])
        .keys(&[KeySpec::at(1, &["RO", "access"])])
        .docs(
            Docs::new(
                "hash",
                "2.0.0",
                "Returns the values of several fields.",
                "O(N), N being the number of fields given.",
            )
            .arguments(&[Argument::KEY, Argument::text("field").multiple()]),
        );

const HGETALL: Declaration = Declaration::new("hgetall", Arity::Exactly(2), Flags::READONLY)
    .categories(&[Category::Hash])
    .keys(&[KeySpec::at(1, &["RO", "access"])])
    .tips(&["nondeterministic_output_order"])
    .docs(
        Docs::new(
            "hash",
            "2.0.0",
            "Returns all fields with their values.",
            "O(N), N being the size of the hash.",
        )
        .arguments(&[Argument::KEY]),
    );

const HDEL: Declaration =
    Declaration::new("hdel", Arity::AtLeast(3), Flags::WRITE.and(Flags::FAST))
        .categories(&[Category::Hash])
        .keys(&[KeySpec::at(1, &["RW", "delete"])])
        .docs(
            Docs::new(
                "hash",
                "2.0.0",
                "Removes fields; a hash without fields goes with its key.",
                "O(N), N being the number of fields given.",
            )
            .history(&[("2.4.0", "Several fields at once.")])
            .arguments(&[Argument::KEY, Argument::text("field").multiple()]),
        );

const HLEN: Declaration =
    Declaration::new("hlen", Arity::Exactly(2), Flags::READONLY.and(Flags::FAST))
        .categories(&[Category::Hash])
        .keys(&[KeySpec::at(1, &["RO"])])
        .docs(
            Docs::new("hash", "2.0.0", "Counts the fields of a hash.", "O(1)")
                .arguments(&[Argument::KEY]),
        );

const HSTRLEN: Declaration = Declaration::new(
    "hstrlen",
    Arity::Exactly(3),
    Flags::READONLY.and(Flags::FAST),
)
.categories(&[Category::Hash])
.keys(&[KeySpec::at(1, &["RO"])])
.docs(
    Docs::new(
        "hash",
        "3.2.0",
        "Returns the length of the value of a field.",
        "O(1)",
    )
    .arguments(&[Argument::KEY, Argument::text("field")]),
);

const HEXISTS: Declaration = Declaration::new(
    "hexists",
    Arity::Exactly(3),
    Flags::READONLY.and(Flags::FAST),
)
.categories(&[Category::Hash])
.keys(&[KeySpec::at(1, &["RO"])])
.docs(
    Docs::new("hash", "2.0.0", "Tells whether a field exists.", "O(1)")
        .arguments(&[Argument::KEY, Argument::text("field")]),
);

const HKEYS: Declaration = Declaration::new("hkeys", Arity::Exactly(2), Flags::READONLY)
    .categories(&[Category::Hash])
    .keys(&[KeySpec::at(1, &["RO", "access"])])
    .tips(&["nondeterministic_output_order"])
    .docs(
        Docs::new(
            "hash",
            "2.0.0",
            "Lists the fields of a hash.",
            "O(N), N being the size of the hash.",
        )
        .arguments(&[Argument::KEY]),
    );

const HVALS: Declaration = Declaration::new("hvals", Arity::Exactly(2), Flags::READONLY)
    .categories(&[Category::Hash])
    .keys(&[KeySpec::at(1, &["RO", "access"])])
    .tips(&["nondeterministic_output_order"])
    .docs(
        Docs::new(
            "hash",
            "2.0.0",
            "Lists the values of a hash.",
            "O(N), N being the size of the hash.",
        )
        .arguments(&[Argument::KEY]),
    );

const HINCRBY: Declaration = Declaration::new(
    "hincrby",
    Arity::Exactly(4),
    Flags::WRITE.and(Flags::DENY_OOM).and(Flags::FAST),
)
.categories(&[Category::Hash])
.keys(&[KeySpec::at(1, &["RW", "access", "update"])])
.docs(
    Docs::new(
        "hash",
        "2.0.0",
        "Adds an integer to the one in a field; a missing field counts as 0.",
        "O(1)",
    )
    .arguments(&[
        Argument::KEY,
        Argument::text("field"),
        Argument::integer("increment"),
    ]),
);

const HINCRBYFLOAT: Declaration = Declaration::new(
    "hincrbyfloat",
    Arity::Exactly(4),
    Flags::WRITE.and(Flags::DENY_OOM).and(Flags::FAST),
)
.categories(&[Category::Hash])
.keys(&[KeySpec::at(1, &["RW", "access", "update"])])
.docs(
    Docs::new(
        "hash",
        "2.6.0",
        "Adds a decimal fraction to the number in a field; a missing field counts as 0.",
        "O(1)",
    )
    .arguments(&[
        Argument::KEY,
        Argument::text("field"),
        Argument::double("increment"),
    ]),
);
