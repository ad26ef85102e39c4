//! Intersection, union and difference of sets.
//!
//! Members go straight from the sets into the reply or the new set. Which set is walked and which are
//! probed follows from their sizes.

use std::cmp::Reverse;
use std::ptr;

use base::cast;
use protocol::args::{Args, equals_ignore_case};
use shard::effects::{Change, EventClass};
use types::Typed;
use types::listpack::Element;
use types::set::{Rules, Set};

use crate::counted::Counted;
use crate::loans::{LoanId, Loans};
use crate::long_change::put_result;
use crate::long_reply::Course;
use crate::set::rules;
use crate::set_join::{JOINED_SETS_MAX, Operation, SetJoin};
use crate::set_steps::SetSteps;
use crate::spec::{
    Argument, Arity, Category, CommandError, Context, Declaration, Docs, Flags, KeySpec, Plan,
    ShardCommand, Spread,
};
use crate::words;

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[
    ShardCommand::new(SINTER, Spread::Plan(Plan::Lend), sinter),
    ShardCommand::new(SINTERCARD, Spread::Plan(Plan::Lend), sintercard),
    ShardCommand::new(SINTERSTORE, Spread::Plan(Plan::Lend), sinterstore),
    ShardCommand::new(SUNION, Spread::Plan(Plan::Lend), sunion),
    ShardCommand::new(SUNIONSTORE, Spread::Plan(Plan::Lend), sunionstore),
    ShardCommand::new(SDIFF, Spread::Plan(Plan::Lend), sdiff),
    ShardCommand::new(SDIFFSTORE, Spread::Plan(Plan::Lend), sdiffstore),
];

/// Leaves a reply that takes long to steps, if the sets are all of this shard. Returns whether it did.
fn join_later(context: &mut Context<'_>, operation: Operation, ids: &[LoanId]) -> bool {
    let takes_itself = operation == Operation::Difference && ids[1..].contains(&ids[0]);
    if ids.len() > JOINED_SETS_MAX || takes_itself || context.loans.has_foreign() {
        return false;
    }
    let (different, words) = different_sets(ids, 1);
    let sets = sets_of(&context.loans, &different);
    let Some(join) = SetJoin::plan(operation, &sets) else {
        return false;
    };
    context.walk_over(words, Course::Join(join), |_| {});
    true
}

fn sinter(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let ids = borrow_sets(context, args.from(1).iter())?;
    if join_later(context, Operation::Intersection, &ids) {
        return Ok(());
    }
    let (reply, sets) = (&mut context.reply, sets_of(&context.loans, &ids));
    let mut found = Counted::begin(reply);
    intersect(&sets, u64::MAX, &mut |member| found.push(reply, member));
    found.end_set(reply);
    Ok(())
}

fn sintercard(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key_count = words::integer(args.word(1))
        .and_then(|count| usize::try_from(count).ok())
        .filter(|&count| count > 0)
        .ok_or(CommandError::Text("ERR numkeys should be greater than 0"))?;
    if key_count > args.len() - 2 {
        return Err(CommandError::Text(
            "ERR Number of keys can't be greater than number of args",
        ));
    }
    let limit = parse_limit(args, 2 + key_count)?;
    let ids = borrow_sets(context, args.from(2).iter().take(key_count))?;
    let sets = sets_of(&context.loans, &ids);
    let mut count = 0;
    intersect(&sets, limit, &mut |_| count += 1);
    context.reply.integer(count);
    Ok(())
}

/// Reads the option of SINTERCARD; the last one counts, and 0 is none.
fn parse_limit(args: Args<'_>, first: usize) -> Result<u64, CommandError> {
    let (mut limit, mut index) = (0, first);
    while let Some(word) = args.get(index) {
        let value = args.get(index + 1);
        let value = value.filter(|_| equals_ignore_case(word, "LIMIT"));
        let value = value.ok_or(CommandError::Syntax)?;
        limit = words::integer(value)
            .and_then(|limit| u64::try_from(limit).ok())
            .ok_or(CommandError::Text("ERR LIMIT can't be negative"))?;
        index += 2;
    }
    Ok(if limit == 0 { u64::MAX } else { limit })
}

/// Leaves what takes long to store to steps, if the sets are all of this shard. Returns whether it did.
fn store_later(
    context: &mut Context<'_>,
    how: (Operation, &'static str),
    ids: &[LoanId],
    rules: Rules,
) -> bool {
    let takes_itself = how.0 == Operation::Difference && ids[1..].contains(&ids[0]);
    if takes_itself || context.loans.has_foreign() {
        return false;
    }
    let (different, words) = different_sets(ids, 2);
    let sets = sets_of(&context.loans, &different);
    let probes = Difference::of(&sets).is_some_and(|it| probing_is_cheaper(it.first, &it.others));
    let Some(steps) = SetSteps::plan(how, &sets, probes, rules) else {
        return false;
    };
    context.change_later(words, steps);
    true
}

/// Returns the loans of different keys, and their words, of which the first is `first`.
fn different_sets(ids: &[LoanId], first: usize) -> (Vec<LoanId>, Vec<usize>) {
    let (mut different, mut words) = (Vec::new(), Vec::new());
    for (index, id) in ids.iter().enumerate() {
        if !different.contains(id) {
            different.push(*id);
            words.push(first + index);
        }
    }
    (different, words)
}

fn sinterstore(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let rules = rules(context);
    let ids = borrow_sets(context, args.from(2).iter())?;
    if store_later(
        context,
        (Operation::Intersection, "sinterstore"),
        &ids,
        rules,
    ) {
        return Ok(());
    }
    let sets = sets_of(&context.loans, &ids);
    let mut result = Set::default();
    intersect(&sets, u64::MAX, &mut |member| {
        result.add(member, &rules);
    });
    store(context, args, result, "sinterstore");
    Ok(())
}

fn sunion(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let rules = rules(context);
    let ids = borrow_sets(context, args.from(1).iter())?;
    if join_later(context, Operation::Union, &ids) {
        return Ok(());
    }
    let (reply, sets) = (&mut context.reply, sets_of(&context.loans, &ids));
    let mut sets: Vec<&Set> = sets.into_iter().flatten().collect();
    // The largest need not be looked for in any other.
    sets.sort_by_key(|set| Reverse(set.len()));
    let mut found = Counted::begin(reply);
    let mut shown = Set::default();
    for (index, set) in sets.iter().enumerate() {
        for member in *set {
            let is_new = if sets.len() <= JOINED_SETS_MAX {
                !sets[..index].iter().any(|before| before.contains(member))
            } else {
                shown.add(member, &rules)
            };
            if is_new {
                found.push(reply, member);
            }
        }
    }
    found.end_set(reply);
    Ok(())
}

fn sunionstore(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let rules = rules(context);
    let ids = borrow_sets(context, args.from(2).iter())?;
    if store_later(context, (Operation::Union, "sunionstore"), &ids, rules) {
        return Ok(());
    }
    let sets = sets_of(&context.loans, &ids);
    let mut result = Set::default();
    add_all(&mut result, sets.into_iter().flatten(), &rules);
    store(context, args, result, "sunionstore");
    Ok(())
}

fn sdiff(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let rules = rules(context);
    let ids = borrow_sets(context, args.from(1).iter())?;
    if join_later(context, Operation::Difference, &ids) {
        return Ok(());
    }
    let (reply, sets) = (&mut context.reply, sets_of(&context.loans, &ids));
    let mut found = Counted::begin(reply);
    if let Some(Difference { first, mut others }) = Difference::of(&sets) {
        let mut gone = Set::default();
        if !probing_is_cheaper(first, &others) {
            add_all(&mut gone, others.drain(..), &rules);
            others.push(&gone);
        }
        subtract(first, &others, &mut |member| found.push(reply, member));
    }
    found.end_set(reply);
    Ok(())
}

fn sdiffstore(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let rules = rules(context);
    let ids = borrow_sets(context, args.from(2).iter())?;
    if store_later(context, (Operation::Difference, "sdiffstore"), &ids, rules) {
        return Ok(());
    }
    let sets = sets_of(&context.loans, &ids);
    let mut result = Set::default();
    if let Some(Difference { first, others }) = Difference::of(&sets) {
        if probing_is_cheaper(first, &others) {
            subtract(first, &others, &mut |member| {
                result.add(member, &rules);
            });
        } else {
            // The whole set decides about the encoding of what is left, as in Redis.
            add_all(&mut result, [first].into_iter(), &rules);
            for member in others.into_iter().flatten() {
                result.remove(member);
            }
        }
    }
    store(context, args, result, "sdiffstore");
    Ok(())
}

/// Borrows the sets at `keys`; the first that holds something else is the last that is looked at.
fn borrow_sets<'k>(
    context: &mut Context<'_>,
    keys: impl Iterator<Item = &'k [u8]>,
) -> Result<Vec<LoanId>, CommandError> {
    keys.map(|key| {
        let id = context.borrow(key, true);
        context.loans.get(id).typed::<Set>()?;
        Ok(id)
    })
    .collect()
}

/// Returns the borrowed sets in order, `None` for keys that do not exist.
fn sets_of<'l>(loans: &'l Loans, ids: &[LoanId]) -> Vec<Option<&'l Set>> {
    ids.iter()
        .map(|&id| loans.get(id).typed::<Set>().unwrap_or_default())
        .collect()
}

/// Shows the members that all sets have, up to `limit` of them; none if a set is missing. O(n) probes
/// of every set but the smallest, which has n members.
fn intersect(sets: &[Option<&Set>], limit: u64, each: &mut dyn FnMut(Element<'_>)) {
    let Some(mut sets) = sets.iter().copied().collect::<Option<Vec<&Set>>>() else {
        return;
    };
    sets.sort_by_key(|set| set.len());
    let Some((smallest, others)) = sets.split_first() else {
        return;
    };
    let mut left = limit;
    for member in *smallest {
        if others.iter().all(|set| set.contains(member)) {
            each(member);
            left -= 1;
            if left == 0 {
                return;
            }
        }
    }
}

fn add_all<'s>(target: &mut Set, sets: impl Iterator<Item = &'s Set>, rules: &Rules) {
    for member in sets.flatten() {
        target.add(member, rules);
    }
}

/// A set, and those whose members it shall not have.
struct Difference<'s> {
    first: &'s Set,
    /// The largest come first, as they are the likeliest to have a member.
    others: Vec<&'s Set>,
}

impl<'s> Difference<'s> {
    /// Returns `None` if nothing can be left: there is no first set, or it is taken from itself.
    fn of(sets: &[Option<&'s Set>]) -> Option<Self> {
        let (&first, others) = sets.split_first()?;
        let first = first?;
        let mut others: Vec<&Set> = others.iter().copied().flatten().collect();
        if others.iter().any(|&other| ptr::eq(other, first)) {
            return None;
        }
        others.sort_by_key(|set| Reverse(set.len()));
        Some(Self { first, others })
    }
}

/// Returns whether it costs less to look for each member of `first` in all others than to go through
/// the members of all. A probe counts half, as the first hit ends the search. Redis 7.0 decides alike.
fn probing_is_cheaper(first: &Set, others: &[&Set]) -> bool {
    let all = first.len() + others.iter().map(|set| set.len()).sum::<usize>();
    first.len().saturating_mul(others.len() + 1) / 2 <= all
}

/// Shows the members of `first` that none of `others` has.
fn subtract(first: &Set, others: &[&Set], each: &mut dyn FnMut(Element<'_>)) {
    first
        .iter()
        .filter(|&member| !others.iter().any(|set| set.contains(member)))
        .for_each(each);
}

/// Puts `result` at the key that word 1 names, or removes the key if the result is empty, and replies
/// with the number of members. The key may have been borrowed as a source.
fn store(context: &mut Context<'_>, args: Args<'_>, result: Set, event: &'static str) {
    let (target, count) = (args.word(1), result.len());
    let value = (count > 0).then(|| result.into_value());
    let change = Change::of(1, EventClass::SET, event);
    let loan = context.loans.find(target).map(|(_, loan)| loan);
    let (place, event) = ((&mut *context.shard, context.db), (EventClass::SET, event));
    put_result(place, (target, loan), value, (change, event));
    context.reply.integer(cast::i64_from(count));
}

const SOURCES: &[Argument] = &[Argument::KEY.multiple()];

const TARGET_AND_SOURCES: &[Argument] = &[
    Argument::key("destination", 0),
    Argument::key("key", 1).multiple(),
];

const fn reading(name: &'static str, docs: Docs) -> Declaration {
    Declaration::new(name, Arity::AtLeast(2), Flags::READONLY)
        .categories(&[Category::Set])
        .keys(SOURCE_KEYS)
        .tips(&["nondeterministic_output_order"])
        .docs(docs.arguments(SOURCES))
}

const fn storing(name: &'static str, keys: &'static [KeySpec], docs: Docs) -> Declaration {
    Declaration::new(name, Arity::AtLeast(3), Flags::WRITE.and(Flags::DENY_OOM))
        .categories(&[Category::Set])
        .keys(keys)
        .docs(docs.arguments(TARGET_AND_SOURCES))
}

const SOURCE_KEYS: &[KeySpec] = &[KeySpec::range(1, -1, 1, &["RO", "access"])];

const TARGET_KEYS: &[KeySpec] = &[
    KeySpec::at(1, &["OW", "update"]),
    KeySpec::range(2, -1, 1, &["RO", "access"]),
];

/// Redis says of the target of SINTERSTORE alone that it is read.
const READ_TARGET_KEYS: &[KeySpec] = &[
    KeySpec::at(1, &["RW", "update"]),
    KeySpec::range(2, -1, 1, &["RO", "access"]),
];

const SINTER: Declaration = reading(
    "sinter",
    Docs::new(
        "set",
        "1.0.0",
        "Lists what several sets have in common.",
        "O(N*M) at worst, N members in the smallest of M sets.",
    ),
);

const SINTERCARD: Declaration = Declaration::new(
    "sintercard",
    Arity::AtLeast(3),
    Flags::READONLY.and(Flags::MOVABLE_KEYS),
)
.categories(&[Category::Set])
.keys(&[KeySpec::counted(1, &["RO", "access"])])
.docs(
    Docs::new(
        "set",
        "7.0.0",
        "Counts what several sets have in common, up to a limit.",
        "O(N*M) at worst, N members in the smallest of M sets.",
    )
    .arguments(&[
        Argument::integer("numkeys"),
        Argument::KEY.multiple(),
        Argument::integer("limit").with_token("LIMIT").optional(),
    ]),
);

const SINTERSTORE: Declaration = storing(
    "sinterstore",
    READ_TARGET_KEYS,
    Docs::new(
        "set",
        "1.0.0",
        "Stores what several sets have in common.",
        "O(N*M) at worst, N members in the smallest of M sets.",
    ),
);

const SUNION: Declaration = reading(
    "sunion",
    Docs::new(
        "set",
        "1.0.0",
        "Lists what is in any of several sets.",
        "O(N) for N members of all sets together.",
    ),
);

const SUNIONSTORE: Declaration = storing(
    "sunionstore",
    TARGET_KEYS,
    Docs::new(
        "set",
        "1.0.0",
        "Stores what is in any of several sets.",
        "O(N) for N members of all sets together.",
    ),
);

const SDIFF: Declaration = reading(
    "sdiff",
    Docs::new(
        "set",
        "1.0.0",
        "Lists what is in the first of several sets and in no other.",
        "O(N) for N members of all sets together.",
    ),
);

const SDIFFSTORE: Declaration = storing(
    "sdiffstore",
    TARGET_KEYS,
    Docs::new(
        "set",
        "1.0.0",
        "Stores what is in the first of several sets and in no other.",
        "O(N) for N members of all sets together.",
    ),
);

#[cfg(test)]
mod tests {
    use shard::Options;
    use shard::effects::EventClass;

    use crate::transcripts::Player;

    /// Requests in order, and the events of sets and removals that redis-server 7.0.15 tells of each.
    const EVENTS: &[(&str, &[&str])] = &[
        ("SADD a 1 2 3", &["sadd a"]),
        ("SADD a 1", &[]),
        ("SREM a 9", &[]),
        ("SREM a 1 9", &["srem a"]),
        ("SREM a 2 3", &["srem a", "del a"]),
        ("SADD a 1 2", &["sadd a"]),
        ("SADD b 2 3", &["sadd b"]),
        ("SMOVE a b 1", &["srem a", "sadd b"]),
        ("SMOVE a b 2", &["srem a", "del a"]),
        ("SADD a 1 2", &["sadd a"]),
        ("SMOVE a new 1", &["srem a", "sadd new"]),
        ("SPOP new", &["spop new", "del new"]),
        ("SPOP a 0", &[]),
        ("SADD a 1 2 3", &["sadd a"]),
        ("SPOP a 2", &["spop a"]),
        ("SPOP a 5", &["spop a", "del a"]),
        ("SADD a 1 2", &["sadd a"]),
        ("SINTERSTORE d a b", &["sinterstore d"]),
        ("SINTERSTORE d a missing", &["del d"]),
        ("SINTERSTORE d a missing", &[]),
        ("SUNIONSTORE d a b", &["sunionstore d"]),
        ("SDIFFSTORE d a b", &["del d"]),
        ("SDIFFSTORE d a a", &[]),
        ("SUNIONSTORE a a b", &["sunionstore a"]),
        ("SINTERSTORE a a missing", &["del a"]),
        ("SDIFFSTORE a a b", &[]),
        ("SET s x", &[]),
        ("SUNIONSTORE s missing", &["del s"]),
    ];

    #[test]
    fn changes_are_told_as_redis_tells_them() {
        let mut player = Player::new();
        let options = Options {
            events: EventClass::SET.and(EventClass::GENERIC),
            ..*player.shard.options()
        };
        player.shard.set_options(options);
        for (request, expected) in EVENTS {
            player.run(request);
            let mut told = Vec::new();
            for event in player.shard.take_events() {
                told.push(format!("{} {}", event.name, event.key.escape_ascii()));
            }
            assert_eq!(told, *expected, "{request}");
        }
    }
}
