//! Commands over several lists: moving an element from one to another, taking from the first that is
//! there.
//!
//! The lists are borrowed ([`Context::borrow`]), so that it does not matter where they live.

use protocol::args::{Args, equals_ignore_case};
use shard::effects::{Change, EventClass};
use shard::entry::WrongType;
use types::list::{End, List, NodeRule};

use crate::list::{node_rule, pop_event, pop_many, push_event, reply_element};
use crate::loans::LoanId;
use crate::popping::Popping;
use crate::spec::{
    Argument, Arity, Category, CommandError, Context, Declaration, Docs, Flags, KeySpec, Plan,
    ShardCommand, Spread,
};

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[
    ShardCommand::new(LMOVE, Spread::Plan(Plan::Lend), lmove),
    ShardCommand::new(RPOPLPUSH, Spread::Plan(Plan::Lend), rpoplpush),
    ShardCommand::new(LMPOP, Spread::Plan(Plan::Lend), lmpop),
];

fn lmove(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let (from, to) = ends(args)?;
    move_or_null(context, args, from, to)
}

fn rpoplpush(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    move_or_null(context, args, End::Tail, End::Head)
}

/// Reads the ends of LMOVE and BLMOVE.
pub(crate) fn ends(args: Args<'_>) -> Result<(End, End), CommandError> {
    Ok((end_or_refuse(args.word(3))?, end_or_refuse(args.word(4))?))
}

fn move_or_null(
    context: &mut Context<'_>,
    args: Args<'_>,
    from: End,
    to: End,
) -> Result<(), CommandError> {
    if !move_element(context, args, from, to)? {
        context.reply.null();
    }
    Ok(())
}

/// Moves an element from the list of word 1 to that of word 2 and replies with it. Returns whether
/// there was one; if not, nothing is written.
pub(crate) fn move_element(
    context: &mut Context<'_>,
    args: Args<'_>,
    from: End,
    to: End,
) -> Result<bool, CommandError> {
    let source = context.borrow(args.word(1), false);
    if context.loans.get(source).typed::<List>()?.is_none() {
        // The other key is not looked at.
        return Ok(false);
    }
    let rule = node_rule(context);
    let target = context.borrow(args.word(2), false);
    context.loans.get(target).typed::<List>()?;
    let list = context.loans.get(source).typed::<List>()?;
    if let Some(element) = list.and_then(|list| list.peek(from)) {
        reply_element(&mut context.reply, element);
    }
    if source == target {
        rotate(context, source, from, to, &rule)?;
    } else {
        move_between(context, (source, from), (target, to), &rule)?;
    }
    Ok(true)
}

/// Moves an element within one list.
fn rotate(
    context: &mut Context<'_>,
    id: LoanId,
    from: End,
    to: End,
    rule: &NodeRule,
) -> Result<(), WrongType> {
    let loan = context.loans.get_mut(id);
    loan.edit(|list: &mut List| {
        if from != to
            && let Some(element) = list.peek(from).map(|element| element.to_vec())
        {
            list.pop(from, 1);
            list.push(to, &element, rule);
        }
        ((), Change::of(1, EventClass::LIST, push_event(to)))
    })?;
    loan.edit(|_: &mut List| ((), Change::of(1, EventClass::LIST, pop_event(from))))?;
    Ok(())
}

fn move_between(
    context: &mut Context<'_>,
    (source, from): (LoanId, End),
    (target, to): (LoanId, End),
    rule: &NodeRule,
) -> Result<(), WrongType> {
    let Some((target, source)) = context.loans.pair_mut(target, source) else {
        return Ok(());
    };
    let Some(element) = source.typed::<List>()?.and_then(|list| list.peek(from)) else {
        return Ok(());
    };
    target.edit_or_create(|list: &mut List| {
        list.push(to, element, rule);
        ((), Change::of(1, EventClass::LIST, push_event(to)))
    })?;
    source.edit(|list: &mut List| {
        list.pop(from, 1);
        ((), Change::of(1, EventClass::LIST, pop_event(from)))
    })?;
    Ok(())
}

fn lmpop(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    if !Popping::parse(args, 1, end_of)?.run(context, args)? {
        context.reply.null_array();
    }
    Ok(())
}

impl Popping<End> {
    /// Takes from the first list that is there and replies with its key and the elements. Returns
    /// whether there was one; if not, nothing is written.
    pub(crate) fn run(
        self,
        context: &mut Context<'_>,
        args: Args<'_>,
    ) -> Result<bool, CommandError> {
        for at in self.keys {
            let key = args.word(at);
            let id = context.borrow(key, false);
            if context.loans.get(id).typed::<List>()?.is_none() {
                continue;
            }
            let reply = &mut context.reply;
            reply.array(2);
            reply.bulk(key);
            let loan = context.loans.get_mut(id);
            loan.edit(|list: &mut List| ((), pop_many(list, self.end, self.count, reply)))?;
            return Ok(true);
        }
        Ok(false)
    }
}

fn end_or_refuse(word: &[u8]) -> Result<End, CommandError> {
    end_of(word).ok_or(CommandError::Syntax)
}

/// Reads `LEFT` or `RIGHT`.
pub(crate) fn end_of(word: &[u8]) -> Option<End> {
    if equals_ignore_case(word, "LEFT") {
        Some(End::Head)
    } else if equals_ignore_case(word, "RIGHT") {
        Some(End::Tail)
    } else {
        None
    }
}

const MOVE_FLAGS: Flags = Flags::WRITE.and(Flags::DENY_OOM);

pub(crate) const MOVE_KEYS: &[KeySpec] = &[
    KeySpec::at(1, &["RW", "access", "delete"]),
    KeySpec::at(2, &["RW", "insert"]),
];

pub(crate) const ENDS: &[Argument] = &[
    Argument::token("left", "LEFT"),
    Argument::token("right", "RIGHT"),
];

const LMOVE: Declaration = Declaration::new("lmove", Arity::Exactly(5), MOVE_FLAGS)
    .categories(&[Category::List])
    .keys(MOVE_KEYS)
    .docs(
        Docs::new(
            "list",
            "6.2.0",
            "Moves an element from one end of a list to one end of another or the same.",
            "O(1)",
        )
        .arguments(&[
            Argument::key("source", 0),
            Argument::key("destination", 1),
            Argument::one_of("wherefrom", ENDS),
            Argument::one_of("whereto", ENDS),
        ]),
    );

const RPOPLPUSH: Declaration = Declaration::new("rpoplpush", Arity::Exactly(3), MOVE_FLAGS)
    .categories(&[Category::List])
    .keys(MOVE_KEYS)
    .docs(
        Docs::new(
            "list",
            "1.2.0",
            "Moves the last element of a list to the head of another or the same.",
            "O(1)",
        )
        .deprecated("6.2.0", "`LMOVE` with the `RIGHT` and `LEFT` arguments")
        .arguments(&[Argument::key("source", 0), Argument::key("destination", 1)]),
    );

const LMPOP: Declaration = Declaration::new(
    "lmpop",
    Arity::AtLeast(4),
    Flags::WRITE.and(Flags::MOVABLE_KEYS),
)
.categories(&[Category::List])
.keys(&[KeySpec::counted(1, &["RW", "access", "delete"])])
.docs(
    Docs::new(
        "list",
        "7.0.0",
        "Takes elements from one end of the first of several lists that exists.",
        "O(K+N), K being the keys and N the elements taken.",
    )
    .arguments(&[
        Argument::integer("numkeys"),
        Argument::KEY.multiple(),
        Argument::one_of("where", ENDS),
        Argument::integer("count").with_token("COUNT").optional(),
    ]),
);
