//! Sorted sets for which one waits: BZPOPMIN, BZPOPMAX, BZMPOP.
//!
//! Each takes what is there as its counterpart without the B does, and otherwise asks to wait
//! ([`crate::waiting`]).

use base::ids::DbIndex;
use protocol::args::Args;
use shard::Shard;
use shard::waiters::Awaited;
use types::listpack::Element;
use types::sorted_set::SortedSet;

use crate::popping::Popping;
use crate::sorted_set_pop::{End, end_of, pop};
use crate::sorted_set_words::write_member;
use crate::spec::{
    Argument, Arity, Category, CommandError, Context, Declaration, Docs, Flags, KeySpec, Plan,
    ShardCommand, Spread,
};
use crate::wait_form::WaitForm;
use crate::waiting::{self, counted, keys_then_timeout};

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[
    ShardCommand::new(BZPOPMIN, Spread::Plan(Plan::Lend), bzpopmin).waiting(&POP),
    ShardCommand::new(BZPOPMAX, Spread::Plan(Plan::Lend), bzpopmax).waiting(&POP),
    ShardCommand::new(BZMPOP, Spread::Plan(Plan::Lend), bzmpop).waiting(&POP_COUNTED),
];

const POP: WaitForm = WaitForm {
    awaited: Awaited::SortedSet,
    timeout: keys_then_timeout::timeout,
    keys: keys_then_timeout::keys,
    narrow: keys_then_timeout::narrow,
    is_ready,
};

const POP_COUNTED: WaitForm = WaitForm {
    awaited: Awaited::SortedSet,
    timeout: counted::timeout,
    keys: counted::keys,
    narrow: counted::narrow,
    is_ready,
};

fn is_ready(shard: &mut Shard, db: DbIndex, key: &[u8], _: Args<'_>) -> bool {
    waiting::holds::<SortedSet>(shard, db, key)
}

fn bzpopmin(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    pop_first(context, args, End::Min)
}

fn bzpopmax(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    pop_first(context, args, End::Max)
}

fn pop_first(context: &mut Context<'_>, args: Args<'_>, end: End) -> Result<(), CommandError> {
    waiting::seconds(args.word(args.len() - 1))?;
    for at in keys_then_timeout::keys(args) {
        let key = args.word(at);
        let id = context.borrow(key, false);
        let loan = context.loans.get_mut(id);
        let taken = loan.edit::<SortedSet, _>(|set| pop(set, end, 1))?;
        if let Some((member, score)) = taken.iter().flatten().next() {
            context.reply.array(3);
            context.reply.bulk(key);
            write_member(&mut context.reply, Element::Bytes(member));
            context.reply.double(*score);
            return Ok(());
        }
    }
    context.wait_or(|reply| reply.null_array());
    Ok(())
}

fn bzmpop(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let popping = Popping::parse(args, 2, end_of)?;
    waiting::seconds(args.word(1))?;
    if !popping.run(context, args)? {
        context.wait_or(|reply| reply.null_array());
    }
    Ok(())
}

const FLAGS: Flags = Flags::WRITE
    .and(Flags::NO_SCRIPT)
    .and(Flags::BLOCKING)
    .and(Flags::FAST);

const BZPOPMIN: Declaration = Declaration::new("bzpopmin", Arity::AtLeast(3), FLAGS)
    .categories(&[Category::SortedSet])
    .keys(&[KeySpec::range(1, -2, 1, &["RW", "access", "delete"])])
    .docs(
        Docs::new(
            "sorted-set",
            "5.0.0",
            "Takes the member with the lowest score of the first of several sorted sets that has any, \
             or waits for one.",
            "O(K + log N), K being the keys, N the members of the set.",
        )
        .history(&[("6.0.0", "The timeout may have a fraction.")])
        .arguments(&[Argument::KEY.multiple(), Argument::double("timeout")]),
    );

const BZPOPMAX: Declaration = Declaration::new("bzpopmax", Arity::AtLeast(3), FLAGS)
    .categories(&[Category::SortedSet])
    .keys(&[KeySpec::range(1, -2, 1, &["RW", "access", "delete"])])
    .docs(
        Docs::new(
            "sorted-set",
            "5.0.0",
            "Takes the member with the highest score of the first of several sorted sets that has \
             any, or waits for one.",
            "O(K + log N), K being the keys, N the members of the set.",
        )
        .history(&[("6.0.0", "The timeout may have a fraction.")])
        .arguments(&[Argument::KEY.multiple(), Argument::double("timeout")]),
    );

const BZMPOP: Declaration = Declaration::new(
    "bzmpop",
    Arity::AtLeast(5),
    Flags::WRITE.and(Flags::BLOCKING).and(Flags::MOVABLE_KEYS),
)
.categories(&[Category::SortedSet])
.keys(&[KeySpec::counted(2, &["RW", "access", "delete"])])
.docs(
    Docs::new(
        "sorted-set",
        "7.0.0",
        "Takes members with the lowest or highest scores from the first sorted set that has any, or \
         waits for one.",
        "O(K + M log N), K being the keys, M the members taken, N those of the set.",
    )
    .arguments(&[
        Argument::double("timeout"),
        Argument::integer("numkeys"),
        Argument::KEY.multiple(),
        Argument::one_of(
            "where",
            &[Argument::token("min", "MIN"), Argument::token("max", "MAX")],
        ),
        Argument::integer("count").with_token("COUNT").optional(),
    ]),
);
