//! Elements of lists by index: one, a range, and what is outside of a range.

use std::ops::Range;

use base::cast::i64_from;
use protocol::args::Args;
use shard::effects::{Change, EventClass};
use types::list::{End, List};
use types::memory::allocated_bytes;

use crate::list::{node_rule, reply_element};
use crate::long_reply::Course;
use crate::spec::{
    Argument, Arity, Category, CommandError, Context, Declaration, Docs, Flags, KeySpec,
    ShardCommand, Spread,
};
use crate::steps::is_long;
use crate::words;

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[
    ShardCommand::new(LINDEX, Spread::OneShard, lindex),
    ShardCommand::new(LSET, Spread::OneShard, lset),
    ShardCommand::new(LRANGE, Spread::OneShard, lrange).walking(),
    ShardCommand::new(LTRIM, Spread::OneShard, ltrim),
];

/// Looks at the key before the index, as Redis does: without a list, any index will do.
fn lindex(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let element = match db.read::<List>(key, context.touch)? {
        Some(list) => {
            let index = words::integer_or_refuse(args.word(2))?;
            index_in(list, index).and_then(|index| list.get(index))
        }
        None => None,
    };
    match element {
        Some(element) => reply_element(&mut context.reply, element),
        None => context.reply.null(),
    }
    Ok(())
}

fn lset(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let rule = node_rule(context);
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let set = |list: &mut List| -> Result<(), CommandError> {
        let index = words::integer_or_refuse(args.word(2))?;
        match index_in(list, index) {
            Some(index) if list.replace(index, args.word(3), &rule) => Ok(()),
            Some(_) | None => Err(CommandError::OutOfRange),
        }
    };
    let outcome = db.edit(key, |list| {
        let outcome = set(list);
        let count = usize::from(outcome.is_ok());
        (outcome, Change::of(count, EventClass::LIST, "lset"))
    })?;
    outcome.ok_or(CommandError::NoSuchKey)??;
    context.reply.ok();
    Ok(())
}

fn lrange(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let bounds = bounds_or_refuse(args)?;
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let Some(list) = db.read::<List>(key, context.touch)? else {
        context.reply.array(0);
        return Ok(());
    };
    let range = range_in(list, bounds);
    if is_long(
        range.len(),
        list.len(),
        list.allocated_bytes(allocated_bytes),
    ) {
        let len = range.len();
        context.walk(Course::List(range), |reply| reply.array(len));
        return Ok(());
    }
    context.reply.array(range.len());
    for element in list.iter_from(range.start).take(range.len()) {
        reply_element(&mut context.reply, element);
    }
    Ok(())
}

/// Counts as a change even if nothing is outside, so that clients that watch the key see it as in
/// Redis.
fn ltrim(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let bounds = bounds_or_refuse(args)?;
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    db.edit(key, |list: &mut List| {
        let range = range_in(list, bounds);
        let removed = list.len() - range.len();
        list.pop(End::Tail, list.len() - range.end);
        list.pop(End::Head, range.start);
        ((), Change::of(removed.max(1), EventClass::LIST, "ltrim"))
    })?;
    context.reply.ok();
    Ok(())
}

/// First and last index as the client wrote them.
type Bounds = (i64, i64);

fn bounds_or_refuse(args: Args<'_>) -> Result<Bounds, CommandError> {
    let start = words::integer_or_refuse(args.word(2))?;
    Ok((start, words::integer_or_refuse(args.word(3))?))
}

/// Turns an index that may count from the end into one from the head; `None` outside of the list.
fn index_in(list: &List, index: i64) -> Option<usize> {
    let len = list.len();
    let index = if index < 0 {
        index.checked_add(i64_from(len))?
    } else {
        index
    };
    usize::try_from(index).ok().filter(|&index| index < len)
}

/// Turns bounds that may count from the end into a range inside of the list; 0 to 0 if it is empty.
fn range_in(list: &List, (start, last): Bounds) -> Range<usize> {
    let len = i64_from(list.len());
    let from_head = |index: i64| if index < 0 { index + len } else { index };
    let start = from_head(start).max(0);
    let end = from_head(last).min(len - 1) + 1;
    if start >= end {
        return 0..0;
    }
    let index = |index: i64| usize::try_from(index).unwrap_or(0);
    index(start)..index(end)
}

const LINDEX: Declaration = Declaration::new("lindex", Arity::Exactly(3), Flags::READONLY)
    .categories(&[Category::List])
    .keys(&[KeySpec::at(1, &["RO", "access"])])
    .docs(
        Docs::new(
            "list",
            "1.0.0",
            "Reads the element at an index; negative ones count from the tail.",
            "O(N) for N nodes between the index and the nearer end.",
        )
        .arguments(&[Argument::KEY, Argument::integer("index")]),
    );

const LSET: Declaration =
    Declaration::new("lset", Arity::Exactly(4), Flags::WRITE.and(Flags::DENY_OOM))
        .categories(&[Category::List])
        .keys(&[KeySpec::at(1, &["RW", "update"])])
        .docs(
            Docs::new(
                "list",
                "1.0.0",
                "Replaces the element at an index; negative ones count from the tail.",
                "O(N) for N nodes between the index and the nearer end.",
            )
            .arguments(&[
                Argument::KEY,
                Argument::integer("index"),
                Argument::text("element"),
            ]),
        );

const BOUNDS: &[Argument] = &[
    Argument::KEY,
    Argument::integer("start"),
    Argument::integer("stop"),
];

const LRANGE: Declaration = Declaration::new("lrange", Arity::Exactly(4), Flags::READONLY)
    .categories(&[Category::List])
    .keys(&[KeySpec::at(1, &["RO", "access"])])
    .docs(
        Docs::new(
            "list",
            "1.0.0",
            "Reads the elements from one index to another, both included.",
            "O(S+N), S being the nodes before the range and N its elements.",
        )
        .arguments(BOUNDS),
    );

const LTRIM: Declaration = Declaration::new("ltrim", Arity::Exactly(4), Flags::WRITE)
    .categories(&[Category::List])
    .keys(&[KeySpec::at(1, &["RW", "delete"])])
    .docs(
        Docs::new(
            "list",
            "1.0.0",
            "Removes all elements but those from one index to another.",
            "O(N) for N elements removed.",
        )
        .arguments(BOUNDS),
    );

#[cfg(test)]
mod tests {
    use types::Limits;
    use types::list::NodeRule;

    use super::*;

    #[test]
    fn bounds_of_any_size_give_ranges_inside() {
        let mut list = List::new();
        assert_eq!(range_in(&list, (0, -1)), 0..0);
        for number in 0..5_i64 {
            list.push(End::Tail, number, &NodeRule::of(&Limits::default()));
        }
        let cases = [
            ((0, -1), 0..5),
            ((1, 2), 1..3),
            ((-2, -1), 3..5),
            ((i64::MIN, i64::MAX), 0..5),
            ((5, 9), 0..0),
            ((3, 2), 0..0),
            ((0, i64::MIN), 0..0),
            ((i64::MAX, i64::MAX), 0..0),
        ];
        for (bounds, range) in cases {
            assert_eq!(range_in(&list, bounds), range, "{bounds:?}");
        }
        assert_eq!(index_in(&list, i64::MIN), None);
        assert_eq!(index_in(&list, -5), Some(0));
        assert_eq!(index_in(&list, 5), None);
    }
}
