//! Lists for which one waits: BLPOP, BRPOP, BLMOVE, BRPOPLPUSH, BLMPOP.
//!
//! Each takes what is there as its counterpart without the B does, and otherwise asks to wait
//! ([`crate::waiting`]).

use base::ids::DbIndex;
use protocol::args::{Args, PackedArgs};
use shard::Shard;
use shard::effects::{Change, EventClass};
use shard::waiters::Awaited;
use types::list::{End, List};

use crate::list::{pop_event, reply_element};
use crate::list_move;
use crate::popping::Popping;
use crate::spec::{
    Argument, Arity, Category, CommandError, Context, Declaration, Docs, Flags, KeySpec, Plan,
    ShardCommand, Spread,
};
use crate::wait_form::WaitForm;
use crate::waiting::{self, counted, keys_then_timeout};

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[
    ShardCommand::new(BLPOP, Spread::Plan(Plan::Lend), blpop).waiting(&POP),
    ShardCommand::new(BRPOP, Spread::Plan(Plan::Lend), brpop).waiting(&POP),
    ShardCommand::new(BLMOVE, Spread::Plan(Plan::Lend), blmove).waiting(&MOVE),
    ShardCommand::new(BRPOPLPUSH, Spread::Plan(Plan::Lend), brpoplpush).waiting(&MOVE),
    ShardCommand::new(BLMPOP, Spread::Plan(Plan::Lend), blmpop).waiting(&POP_COUNTED),
];

const POP: WaitForm = WaitForm {
    awaited: Awaited::List,
    timeout: keys_then_timeout::timeout,
    keys: keys_then_timeout::keys,
    narrow: keys_then_timeout::narrow,
    is_ready,
};

const POP_COUNTED: WaitForm = WaitForm {
    awaited: Awaited::List,
    timeout: counted::timeout,
    keys: counted::keys,
    narrow: counted::narrow,
    is_ready,
};

/// Only the source is waited for.
const MOVE: WaitForm = WaitForm {
    awaited: Awaited::List,
    timeout: keys_then_timeout::timeout,
    keys: |_| 1..2,
    narrow: |_, _, args, _| PackedArgs::from_args(args),
    is_ready,
};

fn is_ready(shard: &mut Shard, db: DbIndex, key: &[u8], _: Args<'_>) -> bool {
    waiting::holds::<List>(shard, db, key)
}

fn blpop(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    pop(context, args, End::Head)
}

fn brpop(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    pop(context, args, End::Tail)
}

fn pop(context: &mut Context<'_>, args: Args<'_>, end: End) -> Result<(), CommandError> {
    waiting::seconds(args.word(args.len() - 1))?;
    for at in keys_then_timeout::keys(args) {
        let key = args.word(at);
        let id = context.borrow(key, false);
        let loan = context.loans.get_mut(id);
        let reply = &mut context.reply;
        let popped = loan.edit(|list: &mut List| {
            if let Some(element) = list.peek(end) {
                reply.array(2);
                reply.bulk(key);
                reply_element(reply, element);
            }
            list.pop(end, 1);
            ((), Change::of(1, EventClass::LIST, pop_event(end)))
        })?;
        if popped.is_some() {
            return Ok(());
        }
    }
    context.wait_or(|reply| reply.null_array());
    Ok(())
}

fn blmove(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let (from, to) = list_move::ends(args)?;
    move_or_wait(context, args, from, to)
}

fn brpoplpush(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    move_or_wait(context, args, End::Tail, End::Head)
}

fn move_or_wait(
    context: &mut Context<'_>,
    args: Args<'_>,
    from: End,
    to: End,
) -> Result<(), CommandError> {
    waiting::seconds(args.word(args.len() - 1))?;
    if !list_move::move_element(context, args, from, to)? {
        context.wait_or(|reply| reply.null());
    }
    Ok(())
}

fn blmpop(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let popping = Popping::parse(args, 2, list_move::end_of)?;
    waiting::seconds(args.word(1))?;
    if !popping.run(context, args)? {
        context.wait_or(|reply| reply.null_array());
    }
    Ok(())
}

const FLAGS: Flags = Flags::WRITE.and(Flags::NO_SCRIPT).and(Flags::BLOCKING);

const BLPOP: Declaration = Declaration::new("blpop", Arity::AtLeast(3), FLAGS)
    .categories(&[Category::List])
    .keys(&[KeySpec::range(1, -2, 1, &["RW", "access", "delete"])])
    .docs(
        Docs::new(
            "list",
            "2.0.0",
            "Takes the first element of the first of several lists that has any, or waits for one.",
            "O(K), K being the keys.",
        )
        .history(&[("6.0.0", "The timeout may have a fraction.")])
        .arguments(&[Argument::KEY.multiple(), Argument::double("timeout")]),
    );

const BRPOP: Declaration = Declaration::new("brpop", Arity::AtLeast(3), FLAGS)
    .categories(&[Category::List])
    .keys(&[KeySpec::range(1, -2, 1, &["RW", "access", "delete"])])
    .docs(
        Docs::new(
            "list",
            "2.0.0",
            "Takes the last element of the first of several lists that has any, or waits for one.",
            "O(K), K being the keys.",
        )
        .history(&[("6.0.0", "The timeout may have a fraction.")])
        .arguments(&[Argument::KEY.multiple(), Argument::double("timeout")]),
    );

const BLMOVE: Declaration = Declaration::new(
    "blmove",
    Arity::Exactly(6),
    FLAGS.and(Flags::DENY_OOM),
)
.categories(&[Category::List])
.keys(list_move::MOVE_KEYS)
.docs(
    Docs::new(
        "list",
        "6.2.0",
        "Moves an element from one end of a list to one end of another or the same, or waits for \
             one.",
        "O(1)",
    )
    .arguments(&[
        Argument::key("source", 0),
        Argument::key("destination", 1),
        Argument::one_of("wherefrom", list_move::ENDS),
        Argument::one_of("whereto", list_move::ENDS),
        Argument::double("timeout"),
    ]),
);

const BRPOPLPUSH: Declaration =
    Declaration::new("brpoplpush", Arity::Exactly(4), FLAGS.and(Flags::DENY_OOM))
        .categories(&[Category::List])
        .keys(list_move::MOVE_KEYS)
        .docs(
            Docs::new(
                "list",
                "2.2.0",
                "Moves the last element of a list to the head of another or the same, or waits for \
                 one.",
                "O(1)",
            )
            .history(&[("6.0.0", "The timeout may have a fraction.")])
            .deprecated("6.2.0", "`BLMOVE` with the `RIGHT` and `LEFT` arguments")
            .arguments(&[
                Argument::key("source", 0),
                Argument::key("destination", 1),
                Argument::double("timeout"),
            ]),
        );

const BLMPOP: Declaration = Declaration::new(
    "blmpop",
    Arity::AtLeast(5),
    Flags::WRITE.and(Flags::BLOCKING).and(Flags::MOVABLE_KEYS),
)
.categories(&[Category::List])
.keys(&[KeySpec::counted(2, &["RW", "access", "delete"])])
.docs(
    Docs::new(
        "list",
        "7.0.0",
        "Takes elements from one end of the first of several lists that has any, or waits for one.",
        "O(K+N), K being the keys and N the elements taken.",
    )
    .arguments(&[
        Argument::double("timeout"),
        Argument::integer("numkeys"),
        Argument::KEY.multiple(),
        Argument::one_of("where", list_move::ENDS),
        Argument::integer("count").with_token("COUNT").optional(),
    ]),
);
