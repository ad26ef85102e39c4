//! Sets, one at a time.

use base::cast;
use protocol::args::Args;
use shard::effects::{Change, EventClass};
use types::memory::allocated_bytes;
use types::set::{Rules, Set};

use crate::counted::write_element;
use crate::long_reply::Course;
use crate::spec::{
    Argument, Arity, Category, CommandError, Context, Declaration, Docs, Flags, KeySpec, Plan,
    ShardCommand, Spread,
};
use crate::steps::is_long;

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[
    ShardCommand::new(SADD, Spread::OneShard, sadd),
    ShardCommand::new(SREM, Spread::OneShard, srem),
    ShardCommand::new(SCARD, Spread::OneShard, scard),
    ShardCommand::new(SISMEMBER, Spread::OneShard, sismember),
    ShardCommand::new(SMISMEMBER, Spread::OneShard, smismember),
    ShardCommand::new(SMEMBERS, Spread::OneShard, smembers).walking(),
    ShardCommand::new(SMOVE, Spread::Plan(Plan::Lend), smove),
];

/// Returns how sets grow on this shard.
pub(crate) fn rules(context: &Context<'_>) -> Rules {
    let options = context.shard.options();
    Rules::new(&options.limits, options.hash_seed)
}

fn sadd(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let (rules, key, members) = (rules(context), context.first_key(args), args.from(2));
    let mut db = context.shard.db(context.db);
    let added = db.edit_or_create(key, |set: &mut Set| {
        let is_new = |member: &&[u8]| set.add(*member, &rules);
        let added = members.iter().filter(is_new).count();
        (added, Change::of(added, EventClass::SET, "sadd"))
    })?;
    context.reply.integer(cast::i64_from(added));
    Ok(())
}

fn srem(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let (key, members) = (context.first_key(args), args.from(2));
    let mut db = context.shard.db(context.db);
    let removed = db.edit(key, |set: &mut Set| {
        let was_there = |member: &&[u8]| set.remove(*member);
        let removed = members.iter().filter(was_there).count();
        (removed, Change::of(removed, EventClass::SET, "srem"))
    })?;
    context
        .reply
        .integer(cast::i64_from(removed.unwrap_or_default()));
    Ok(())
}

fn scard(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let set = db.read::<Set>(key, context.touch)?;
    context
        .reply
        .integer(cast::i64_from(set.map_or(0, Set::len)));
    Ok(())
}

fn sismember(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let set = db.read::<Set>(key, context.touch)?;
    let is_member = set.is_some_and(|set| set.contains(args.word(2)));
    context.reply.integer(i64::from(is_member));
    Ok(())
}

fn smismember(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let (key, members) = (context.first_key(args), args.from(2));
    let mut db = context.shard.db(context.db);
    let set = db.read::<Set>(key, context.touch)?;
    context.reply.array(members.len());
    for member in members.iter() {
        let is_member = set.is_some_and(|set| set.contains(member));
        context.reply.integer(i64::from(is_member));
    }
    Ok(())
}

fn smembers(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let set = db.read::<Set>(key, context.touch)?;
    let len = set.map_or(0, Set::len);
    if let Some(set) = set
        && is_long(len, len, set.allocated_bytes(allocated_bytes))
    {
        context.walk(Course::Set(0), |reply| reply.set(len));
        return Ok(());
    }
    context.reply.set(len);
    for member in set.into_iter().flatten() {
        write_element(&mut context.reply, member);
    }
    Ok(())
}

fn smove(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let (source, target, member) = (args.word(1), args.word(2), args.word(3));
    let rules = rules(context);
    let key = context.shard.key(source);
    let is_member = match context.shard.db(context.db).peek(key) {
        Some(entry) => Some(entry.typed::<Set>()?.contains(member)),
        None => None,
    };
    // The target's type counts only if there is a source.
    let Some(is_member) = is_member else {
        context.reply.integer(0);
        return Ok(());
    };
    if source != target {
        let target = context.borrow(target, false);
        context.loans.get(target).typed::<Set>()?;
        if is_member {
            context.shard.db(context.db).edit(key, |set: &mut Set| {
                set.remove(member);
                ((), Change::of(1, EventClass::SET, "srem"))
            })?;
            context
                .loans
                .get_mut(target)
                .edit_or_create(|set: &mut Set| {
                    let count = usize::from(set.add(member, &rules));
                    ((), Change::of(count, EventClass::SET, "sadd"))
                })?;
        }
    }
    context.reply.integer(i64::from(is_member));
    Ok(())
}

const SADD: Declaration = Declaration::new(
    "sadd",
    Arity::AtLeast(3),
    Flags::WRITE.and(Flags::DENY_OOM).and(Flags::FAST),
)
.categories(&[Category::Set])
.keys(&[KeySpec::at(1, &["RW", "insert"])])
.docs(
    Docs::new(
        "set",
        "1.0.0",
        "Puts members into a set, which is made if it is missing.",
        "O(N) for N members.",
    )
    .history(&[("2.4.0", "Takes several members.")])
    .arguments(&[Argument::KEY, Argument::text("member").multiple()]),
);

const SREM: Declaration =
    Declaration::new("srem", Arity::AtLeast(3), Flags::WRITE.and(Flags::FAST))
        .categories(&[Category::Set])
        .keys(&[KeySpec::at(1, &["RW", "delete"])])
        .docs(
            Docs::new(
                "set",
                "1.0.0",
                "Takes members out of a set, and removes its key with the last one.",
                "O(N) for N members.",
            )
            .history(&[("2.4.0", "Takes several members.")])
            .arguments(&[Argument::KEY, Argument::text("member").multiple()]),
        );

const SCARD: Declaration =
    Declaration::new("scard", Arity::Exactly(2), Flags::READONLY.and(Flags::FAST))
        .categories(&[Category::Set])
        .keys(&[KeySpec::at(1, &["RO"])])
        .docs(
            Docs::new("set", "1.0.0", "Counts the members of a set.", "O(1)")
                .arguments(&[Argument::KEY]),
        );

const SISMEMBER: Declaration = Declaration::new(
    "sismember",
    Arity::Exactly(3),
    Flags::READONLY.and(Flags::FAST),
)
.categories(&[Category::Set])
.keys(&[KeySpec::at(1, &["RO"])])
.docs(
    Docs::new(
        "set",
        "1.0.0",
        "Tells whether something is a member of a set.",
        "O(1)",
    )
    .arguments(&[Argument::KEY, Argument::text("member")]),
);

const SMISMEMBER: Declaration = Declaration::new(
    "smismember",
    Arity::AtLeast(3),
    Flags::READONLY.and(Flags::FAST),
)
.categories(&[Category::Set])
.keys(&[KeySpec::at(1, &["RO", "access"])])
.docs(
    Docs::new(
        "set",
        "6.2.0",
        "Tells of several things whether they are members of a set.",
        "O(N) for N things.",
    )
    .arguments(&[Argument::KEY, Argument::text("member").multiple()]),
);

const SMEMBERS: Declaration = Declaration::new("smembers", Arity::Exactly(2), Flags::READONLY)
    .categories(&[Category::Set])
    .keys(&[KeySpec::at(1, &["RO", "access"])])
    .tips(&["nondeterministic_output_order"])
    .docs(
        Docs::new(
            "set",
            "1.0.0",
            "Lists the members of a set.",
            "O(N) for N members.",
        )
        .arguments(&[Argument::KEY]),
    );

const SMOVE: Declaration =
    Declaration::new("smove", Arity::Exactly(4), Flags::WRITE.and(Flags::FAST))
        .categories(&[Category::Set])
        .keys(&[
            KeySpec::at(1, &["RW", "access", "delete"]),
            KeySpec::at(2, &["RW", "insert"]),
        ])
        .docs(
            Docs::new(
                "set",
                "1.0.0",
                "Takes a member from one set to another.",
                "O(1)",
            )
            .arguments(&[
                Argument::key("source", 0),
                Argument::key("destination", 1),
                Argument::text("member"),
            ]),
        );
