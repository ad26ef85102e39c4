//! Lists at their ends: adding, taking, counting.
//!
//! Not here: elements by index (`list_index.rs`) or by value (`list_search.rs`), and commands over
//! several lists (`list_move.rs`).

use base::cast::{i64_from, usize_from};
use protocol::args::Args;
use protocol::reply::Reply;
use shard::effects::{Change, EventClass};
use types::Typed;
use types::list::{End, List, NodeRule};
use types::listpack::Element;
use types::memory::allocated_bytes;

use crate::spec::{
    Argument, Arity, Category, CommandError, Context, Declaration, Docs, Flags, KeySpec,
    ShardCommand, Spread,
};
use crate::steps::is_long;
use crate::taken::Order;
use crate::words;

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[
    ShardCommand::new(LPUSH, Spread::OneShard, lpush),
    ShardCommand::new(RPUSH, Spread::OneShard, rpush),
    ShardCommand::new(LPUSHX, Spread::OneShard, lpushx),
    ShardCommand::new(RPUSHX, Spread::OneShard, rpushx),
    ShardCommand::new(LPOP, Spread::OneShard, lpop),
    ShardCommand::new(RPOP, Spread::OneShard, rpop),
    ShardCommand::new(LLEN, Spread::OneShard, llen),
];

const NOT_POSITIVE: CommandError =
    CommandError::Text("ERR value is out of range, must be positive");

fn lpush(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    push(context, args, End::Head)
}

fn rpush(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    push(context, args, End::Tail)
}

fn lpushx(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    push_if_exists(context, args, End::Head)
}

fn rpushx(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    push_if_exists(context, args, End::Tail)
}

fn push(context: &mut Context<'_>, args: Args<'_>, end: End) -> Result<(), CommandError> {
    let rule = node_rule(context);
    let key = context.first_key(args);
    let elements = args.from(2);
    let mut db = context.shard.db(context.db);
    let len = db.edit_or_create(key, |list| push_all(list, elements, end, &rule))?;
    context.reply.integer(i64_from(len));
    Ok(())
}

fn push_if_exists(context: &mut Context<'_>, args: Args<'_>, end: End) -> Result<(), CommandError> {
    let rule = node_rule(context);
    let key = context.first_key(args);
    let elements = args.from(2);
    let mut db = context.shard.db(context.db);
    let len = db.edit(key, |list| push_all(list, elements, end, &rule))?;
    context.reply.integer(i64_from(len.unwrap_or(0)));
    Ok(())
}

/// Adds one word after the other at the end. Returns the new length.
fn push_all(list: &mut List, elements: Args<'_>, end: End, rule: &NodeRule) -> (usize, Change) {
    for element in elements.iter() {
        list.push(end, element, rule);
    }
    let change = Change::of(elements.len(), EventClass::LIST, push_event(end));
    (list.len(), change)
}

fn lpop(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    pop(context, args, End::Head)
}

fn rpop(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    pop(context, args, End::Tail)
}

fn pop(context: &mut Context<'_>, args: Args<'_>, end: End) -> Result<(), CommandError> {
    if args.len() > 3 {
        return Err(CommandError::WordCount);
    }
    let count = args.get(2).map(count_or_refuse).transpose()?;
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let reply = &mut context.reply;
    let popped = db.edit(key, |list: &mut List| match count {
        Some(count) if takes_long(list, count) => {
            let taken = list.take(end, count);
            let change = Change::of(taken.len(), EventClass::LIST, pop_event(end));
            (Some(taken), change)
        }
        Some(count) => (None, pop_many(list, end, count, reply)),
        None => {
            if let Some(element) = list.peek(end) {
                reply_element(reply, element);
            }
            list.pop(end, 1);
            (None, Change::of(1, EventClass::LIST, pop_event(end)))
        }
    })?;
    match popped {
        Some(None) => {}
        Some(Some(taken)) => {
            let len = taken.len();
            context.reply_taken(taken.into_value(), Order::From(end), |reply| {
                reply.array(len);
            });
        }
        None if count.is_some() => context.reply.null_array(),
        None => context.reply.null(),
    }
    Ok(())
}

/// Returns whether so many elements are better shown in steps.
fn takes_long(list: &List, count: usize) -> bool {
    let len = list.len();
    is_long(count.min(len), len, list.allocated_bytes(allocated_bytes))
}

/// Removes up to `count` elements at the end and replies with an array of them, the outermost first.
pub(crate) fn pop_many(list: &mut List, end: End, count: usize, reply: &mut Reply<'_>) -> Change {
    let count = count.min(list.len());
    reply.array(count);
    let each = |element| reply_element(reply, element);
    match end {
        End::Head => list.iter().take(count).for_each(each),
        End::Tail => list.iter().rev().take(count).for_each(each),
    }
    list.pop(end, count);
    Change::of(count, EventClass::LIST, pop_event(end))
}

/// Reads a count of elements, 0 or more.
fn count_or_refuse(word: &[u8]) -> Result<usize, CommandError> {
    words::integer(word)
        .and_then(|count| u64::try_from(count).ok())
        .map(usize_from)
        .ok_or(NOT_POSITIVE)
}

fn llen(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let len = db
        .read::<List>(key, context.touch)?
        .map_or(0, |list| list.len());
    context.reply.integer(i64_from(len));
    Ok(())
}

/// Returns how large the nodes of lists are at this time.
#[inline]
pub(crate) fn node_rule(context: &Context<'_>) -> NodeRule {
    NodeRule::of(&context.shard.options().limits)
}

/// Replies with an element as a string.
#[inline]
pub(crate) fn reply_element(reply: &mut Reply<'_>, element: Element<'_>) {
    match element {
        Element::Integer(value) => reply.integer_bulk(value),
        Element::Bytes(bytes) => reply.bulk(bytes),
    }
}

/// Returns the name of the event of an element that was added at the end.
pub(crate) fn push_event(end: End) -> &'static str {
    match end {
        End::Head => "lpush",
        End::Tail => "rpush",
    }
}

/// Returns the name of the event of an element that was taken from the end.
pub(crate) fn pop_event(end: End) -> &'static str {
    match end {
        End::Head => "lpop",
        End::Tail => "rpop",
    }
}

const FAST_WRITE: Flags = Flags::WRITE.and(Flags::FAST);

const PUSH_FLAGS: Flags = FAST_WRITE.and(Flags::DENY_OOM);

const PUSH_KEYS: &[KeySpec] = &[KeySpec::at(1, &["RW", "insert"])];

const PUSH_ARGUMENTS: &[Argument] = &[Argument::KEY, Argument::text("element").multiple()];

const PUSH_COMPLEXITY: &str = "O(N) for N elements, each O(1).";

const LPUSH: Declaration = Declaration::new("lpush", Arity::AtLeast(3), PUSH_FLAGS)
    .categories(&[Category::List])
    .keys(PUSH_KEYS)
    .docs(
        Docs::new(
            "list",
            "1.0.0",
            "Adds elements at the head of a list, which is made if there is none.",
            PUSH_COMPLEXITY,
        )
        .history(&[("2.4.0", "Takes several elements.")])
        .arguments(PUSH_ARGUMENTS),
    );

const RPUSH: Declaration = Declaration::new("rpush", Arity::AtLeast(3), PUSH_FLAGS)
    .categories(&[Category::List])
    .keys(PUSH_KEYS)
    .docs(
        Docs::new(
            "list",
            "1.0.0",
            "Adds elements at the tail of a list, which is made if there is none.",
            PUSH_COMPLEXITY,
        )
        .history(&[("2.4.0", "Takes several elements.")])
        .arguments(PUSH_ARGUMENTS),
    );

const LPUSHX: Declaration = Declaration::new("lpushx", Arity::AtLeast(3), PUSH_FLAGS)
    .categories(&[Category::List])
    .keys(PUSH_KEYS)
    .docs(
        Docs::new(
            "list",
            "2.2.0",
            "Adds elements at the head of a list, if the list exists.",
            PUSH_COMPLEXITY,
        )
        .history(&[("4.0.0", "Takes several elements.")])
        .arguments(PUSH_ARGUMENTS),
    );

const RPUSHX: Declaration = Declaration::new("rpushx", Arity::AtLeast(3), PUSH_FLAGS)
    .categories(&[Category::List])
    .keys(PUSH_KEYS)
    .docs(
        Docs::new(
            "list",
            "2.2.0",
            "Adds elements at the tail of a list, if the list exists.",
            PUSH_COMPLEXITY,
        )
        .history(&[("4.0.0", "Takes several elements.")])
        .arguments(PUSH_ARGUMENTS),
    );

const POP_KEYS: &[KeySpec] = &[KeySpec::at(1, &["RW", "access", "delete"])];

const POP_ARGUMENTS: &[Argument] = &[
    Argument::KEY,
    Argument::integer("count").since("6.2.0").optional(),
];

const POP_COMPLEXITY: &str = "O(N) for N elements taken.";

const LPOP: Declaration = Declaration::new("lpop", Arity::AtLeast(2), FAST_WRITE)
    .categories(&[Category::List])
    .keys(POP_KEYS)
    .docs(
        Docs::new(
            "list",
            "1.0.0",
            "Takes the first element of a list, or several; an empty list is removed.",
            POP_COMPLEXITY,
        )
        .history(&[("6.2.0", "`count` came.")])
        .arguments(POP_ARGUMENTS),
    );

const RPOP: Declaration = Declaration::new("rpop", Arity::AtLeast(2), FAST_WRITE)
    .categories(&[Category::List])
    .keys(POP_KEYS)
    .docs(
        Docs::new(
            "list",
            "1.0.0",
            "Takes the last element of a list, or several; an empty list is removed.",
            POP_COMPLEXITY,
        )
        .history(&[("6.2.0", "`count` came.")])
        .arguments(POP_ARGUMENTS),
    );

const LLEN: Declaration =
    Declaration::new("llen", Arity::Exactly(2), Flags::READONLY.and(Flags::FAST))
        .categories(&[Category::List])
        .keys(&[KeySpec::at(1, &["RO"])])
        .docs(
            Docs::new(
                "list",
                "1.0.0",
                "Tells the number of elements of a list.",
                "O(1)",
            )
            .arguments(&[Argument::KEY]),
        );
