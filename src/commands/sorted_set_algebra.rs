//! Unions, intersections and differences of sorted sets, and of plain sets whose members then have
//! the score 1.
//!
//! Scores are added in the order in which Redis 7.0.15 adds them, since the sum of doubles depends
//! on it: smaller sets come first.

use base::hash::KeyHasher;
use protocol::args::{Args, equals_ignore_case};
use shard::effects::{Change, EventClass};
use shard::entry::WrongType;
use types::Typed;
use types::sorted_set::{Rules, SortedSet};
use types::table::Table;

use crate::loans::LoanId;
use crate::long_change::put_result;
use crate::sorted_set_scores::{Aggregate, Members, Operation, Sum, common_score};
use crate::sorted_set_steps::{Ending, SortedSetSteps};
use crate::sorted_set_words::{rules, write_pairs};
use crate::spec::{
    Argument, Arity, Category, CommandError, Context, Declaration, Docs, Flags, KeySpec, Plan,
    ShardCommand, Spread,
};
use crate::steps::is_long;
use crate::words;

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[
    ShardCommand::new(ZUNION, Spread::Plan(Plan::Lend), zunion),
    ShardCommand::new(ZUNIONSTORE, Spread::Plan(Plan::Lend), zunionstore),
    ShardCommand::new(ZINTER, Spread::Plan(Plan::Lend), zinter),
    ShardCommand::new(ZINTERSTORE, Spread::Plan(Plan::Lend), zinterstore),
    ShardCommand::new(ZINTERCARD, Spread::Plan(Plan::Lend), zintercard),
    ShardCommand::new(ZDIFF, Spread::Plan(Plan::Lend), zdiff),
    ShardCommand::new(ZDIFFSTORE, Spread::Plan(Plan::Lend), zdiffstore),
];

/// A set that takes part.
#[derive(Clone, Copy)]
struct Source {
    loan: LoanId,
    weight: f64,
}

/// What a request asks for, and its sets in the order given.
struct Request {
    sources: Vec<Source>,
    aggregate: Aggregate,
    with_scores: bool,
}

impl Request {
    /// Reads the number of keys at word `at`, borrows the values of the keys behind it, and reads
    /// the options. `no_keys` is the error if there is none.
    fn parse(
        context: &mut Context<'_>,
        args: Args<'_>,
        at: usize,
        operation: Operation,
        no_keys: &'static str,
    ) -> Result<Self, CommandError> {
        let (sources, mut index) = borrow_sources(context, args, at, no_keys)?;
        let mut request = Self {
            sources,
            aggregate: Aggregate::Sum,
            with_scores: false,
        };
        let is_store = at > 1;
        while let Some(word) = args.get(index) {
            let left = args.len() - index;
            let count = request.sources.len();
            if operation != Operation::Difference
                && left > count
                && equals_ignore_case(word, "WEIGHTS")
            {
                for (source, word) in request.sources.iter_mut().zip(args.from(index + 1).iter()) {
                    source.weight = base::number::parse_f64(word)
                        .ok_or(CommandError::Text("ERR weight value is not a float"))?;
                }
                index += count;
            } else if operation != Operation::Difference
                && left >= 2
                && equals_ignore_case(word, "AGGREGATE")
            {
                request.aggregate = parse_aggregate(args.word(index + 1))?;
                index += 1;
            } else if !is_store && equals_ignore_case(word, "WITHSCORES") {
                request.with_scores = true;
            } else {
                return Err(CommandError::Syntax);
            }
            index += 1;
        }
        Ok(request)
    }
}

fn parse_aggregate(word: &[u8]) -> Result<Aggregate, CommandError> {
    if equals_ignore_case(word, "SUM") {
        Ok(Aggregate::Sum)
    } else if equals_ignore_case(word, "MIN") {
        Ok(Aggregate::Min)
    } else if equals_ignore_case(word, "MAX") {
        Ok(Aggregate::Max)
    } else {
        Err(CommandError::Syntax)
    }
}

/// Borrows the values of as many keys as word `at` says; returns also the index behind them.
fn borrow_sources(
    context: &mut Context<'_>,
    args: Args<'_>,
    at: usize,
    no_keys: &'static str,
) -> Result<(Vec<Source>, usize), CommandError> {
    let count = words::integer_or_refuse(args.word(at))?;
    if count < 1 {
        return Err(CommandError::Text(no_keys));
    }
    let first = at + 1;
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if count > args.len() - first {
        return Err(CommandError::Syntax);
    }
    let mut sources = Vec::with_capacity(count);
    for key in args.iter().skip(first).take(count) {
        let loan = context.borrow(key, true);
        members_of(context, loan)?;
        sources.push(Source { loan, weight: 1.0 });
    }
    Ok((sources, first + count))
}

fn members_of<'a>(context: &'a Context<'_>, loan: LoanId) -> Result<Members<'a>, WrongType> {
    Members::of_value(context.loans.get(loan).value())
}

/// The sets of a request with their weights, the smallest first.
fn by_size<'a>(
    context: &'a Context<'_>,
    request: &Request,
) -> Result<Vec<(Members<'a>, f64)>, WrongType> {
    let sources = request.sources.iter();
    let sources = sources.map(|it| members_of(context, it.loan).map(|of| (of, it.weight)));
    let mut sources = sources.collect::<Result<Vec<_>, _>>()?;
    sources.sort_by_key(|(members, _)| members.len());
    Ok(sources)
}

fn union(sources: &[(Members<'_>, f64)], aggregate: Aggregate, rules: &Rules) -> SortedSet {
    let mut sums: Table<Sum> = Table::new(KeyHasher::new(rules.hash_seed));
    for &(members, weight) in sources {
        members.while_each(&mut |member, score| {
            member.with_bytes(|bytes| Sum::add(&mut sums, bytes, score * weight, aggregate));
            true
        });
    }
    let mut result = SortedSet::new();
    for sum in sums.into_elements() {
        result.set(&sum.member, sum.score, rules);
    }
    result
}

/// Shows the members that all sources have until `each` returns false.
fn intersect(
    sources: &[(Members<'_>, f64)],
    aggregate: Aggregate,
    each: &mut dyn FnMut(&[u8], f64) -> bool,
) {
    let Some((&(smallest, weight), others)) = sources.split_first() else {
        return;
    };
    smallest.while_each(&mut |member, score| {
        member.with_bytes(
            |bytes| match common_score(bytes, score * weight, others, aggregate) {
                Some(result) => each(bytes, result),
                None => true,
            },
        )
    });
}

fn difference(sources: &[(Members<'_>, f64)], rules: &Rules) -> SortedSet {
    let mut result = SortedSet::new();
    if let Some(((first, _), others)) = sources.split_first() {
        first.while_each(&mut |member, score| {
            member.with_bytes(|bytes| {
                if others.iter().all(|(other, _)| other.score(bytes).is_none()) {
                    result.set(bytes, score, rules);
                }
            });
            true
        });
    }
    result
}

fn compute(
    context: &Context<'_>,
    request: &Request,
    operation: Operation,
    rules: &Rules,
) -> Result<SortedSet, CommandError> {
    let sources = by_size(context, request)?;
    Ok(match operation {
        Operation::Union => union(&sources, request.aggregate, rules),
        Operation::Intersection => {
            let mut result = SortedSet::new();
            intersect(&sources, request.aggregate, &mut |member, score| {
                result.set(member, score, rules);
                true
            });
            result
        }
        Operation::Difference => {
            let sources = request.sources.iter();
            let sources = sources.map(|it| members_of(context, it.loan).map(|of| (of, 1.0)));
            difference(&sources.collect::<Result<Vec<_>, _>>()?, rules)
        }
    })
}

/// Leaves what takes long to steps, if the sources are all of this shard. The words of the sources begin at `first`.
/// Returns whether it did.
fn compute_later(
    context: &mut Context<'_>,
    request: &Request,
    (operation, rules): (Operation, Rules),
    (first, ending): (usize, Ending),
) -> Result<bool, CommandError> {
    let (mut different, mut words, mut sources) = (Vec::new(), Vec::new(), Vec::new());
    for (index, source) in request.sources.iter().enumerate() {
        let number = different.iter().position(|loan| *loan == source.loan);
        let number = number.unwrap_or_else(|| {
            different.push(source.loan);
            words.push(first + index);
            different.len() - 1
        });
        sources.push((number, source.weight, members_of(context, source.loan)?));
    }
    if operation != Operation::Difference {
        sources.sort_by_key(|(_, _, members)| members.len());
    }
    let walked = match operation {
        Operation::Union => &sources[..],
        Operation::Intersection | Operation::Difference => &sources[..1],
    };
    let members = walked.iter().map(|(_, _, of)| of.len()).sum();
    let bytes = walked.iter().map(|(_, _, of)| of.allocated_bytes()).sum();
    if context.loans.has_foreign() || !is_long(members, members, bytes) {
        return Ok(false);
    }
    let sources = sources.iter().map(|(number, weight, _)| (*number, *weight));
    let how = (operation, request.aggregate);
    let steps = SortedSetSteps::new(how, sources.collect(), rules, ending);
    context.change_later(words, steps);
    Ok(true)
}

fn show(
    context: &mut Context<'_>,
    args: Args<'_>,
    operation: Operation,
    no_keys: &'static str,
) -> Result<(), CommandError> {
    let request = Request::parse(context, args, 1, operation, no_keys)?;
    // A listpack would lose the sign of zeros.
    let rules = Rules {
        listpack_entries: 0,
        ..rules(context)
    };
    let with_scores = request.with_scores;
    let ending = Ending::Show { with_scores };
    if compute_later(context, &request, (operation, rules), (2, ending))? {
        return Ok(());
    }
    let result = compute(context, &request, operation, &rules)?;
    write_pairs(&mut context.reply, result.iter(), request.with_scores);
    Ok(())
}

fn store(
    context: &mut Context<'_>,
    args: Args<'_>,
    operation: Operation,
    no_keys: &'static str,
    event: &'static str,
) -> Result<(), CommandError> {
    let request = Request::parse(context, args, 2, operation, no_keys)?;
    let rules = rules(context);
    if compute_later(
        context,
        &request,
        (operation, rules),
        (3, Ending::Store(event)),
    )? {
        return Ok(());
    }
    let result = compute(context, &request, operation, &rules)?;
    let len = result.len();
    store_result(context, args.word(1), result, event);
    context.reply.integer(base::cast::i64_from(len));
    Ok(())
}

/// Puts a result in the place of whatever `key` holds; an empty one removes the key. The key may
/// have been borrowed as a source.
pub(crate) fn store_result(
    context: &mut Context<'_>,
    key: &[u8],
    result: SortedSet,
    event: &'static str,
) {
    let value = (!result.is_empty()).then(|| result.into_value());
    let change = Change::of(1, EventClass::SORTED_SET, event);
    let loan = context.loans.find(key).map(|(_, loan)| loan);
    let (place, event) = (
        (&mut *context.shard, context.db),
        (EventClass::SORTED_SET, event),
    );
    put_result(place, (key, loan), value, (change, event));
}

fn zunion(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let no_keys = "ERR at least 1 input key is needed for 'zunion' command";
    show(context, args, Operation::Union, no_keys)
}

fn zunionstore(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let no_keys = "ERR at least 1 input key is needed for 'zunionstore' command";
    store(context, args, Operation::Union, no_keys, "zunionstore")
}

fn zinter(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let no_keys = "ERR at least 1 input key is needed for 'zinter' command";
    show(context, args, Operation::Intersection, no_keys)
}

fn zinterstore(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let no_keys = "ERR at least 1 input key is needed for 'zinterstore' command";
    store(
        context,
        args,
        Operation::Intersection,
        no_keys,
        "zinterstore",
    )
}

fn zdiff(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let no_keys = "ERR at least 1 input key is needed for 'zdiff' command";
    show(context, args, Operation::Difference, no_keys)
}

fn zdiffstore(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let no_keys = "ERR at least 1 input key is needed for 'zdiffstore' command";
    store(context, args, Operation::Difference, no_keys, "zdiffstore")
}

fn zintercard(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let no_keys = "ERR at least 1 input key is needed for 'zintercard' command";
    let (sources, mut index) = borrow_sources(context, args, 1, no_keys)?;
    let mut limit = 0;
    while let Some(word) = args.get(index) {
        let value = args.get(index + 1);
        let (true, Some(value)) = (equals_ignore_case(word, "LIMIT"), value) else {
            return Err(CommandError::Syntax);
        };
        limit = words::integer(value)
            .and_then(|limit| usize::try_from(limit).ok())
            .ok_or(CommandError::Text("ERR LIMIT can't be negative"))?;
        index += 2;
    }
    let request = Request {
        sources,
        aggregate: Aggregate::Sum,
        with_scores: false,
    };
    let sources = by_size(context, &request)?;
    let mut count = 0;
    intersect(&sources, Aggregate::Sum, &mut |_, _| {
        count += 1;
        count != limit
    });
    context.reply.integer(base::cast::i64_from(count));
    Ok(())
}

/// How scores may be put together.
const AGGREGATES: &[Argument] = &[
    Argument::token("sum", "SUM"),
    Argument::token("min", "MIN"),
    Argument::token("max", "MAX"),
];

const ZUNION: Declaration = Declaration::new(
    "zunion",
    Arity::AtLeast(3),
    Flags::READONLY.and(Flags::MOVABLE_KEYS),
)
.categories(&[Category::SortedSet])
.keys(&[KeySpec::counted(1, &["RO", "access"])])
.docs(
    Docs::new(
        "sorted-set",
        "6.2.0",
        "Shows the members of all sorted sets, with their scores put together.",
        "O(N + D log D), N being the members of all sets, D those of the result.",
    )
    .arguments(&[
        Argument::integer("numkeys"),
        Argument::KEY.multiple(),
        Argument::integer("weight")
            .with_token("WEIGHTS")
            .optional()
            .multiple(),
        Argument::one_of("aggregate", AGGREGATES)
            .with_token("AGGREGATE")
            .optional(),
        Argument::token("withscores", "WITHSCORES").optional(),
    ]),
);

const ZUNIONSTORE: Declaration = Declaration::new(
    "zunionstore",
    Arity::AtLeast(4),
    Flags::WRITE.and(Flags::DENY_OOM).and(Flags::MOVABLE_KEYS),
)
.categories(&[Category::SortedSet])
.keys(&[
    KeySpec::at(1, &["OW", "update"]),
    KeySpec::counted(2, &["RO", "access"]),
])
.docs(
    Docs::new(
        "sorted-set",
        "2.0.0",
        "Stores the members of all sorted sets, with their scores put together.",
        "O(N + D log D), N being the members of all sets, D those of the result.",
    )
    .arguments(&[
        Argument::key("destination", 0),
        Argument::integer("numkeys"),
        Argument::key("key", 1).multiple(),
        Argument::integer("weight")
            .with_token("WEIGHTS")
            .optional()
            .multiple(),
        Argument::one_of("aggregate", AGGREGATES)
            .with_token("AGGREGATE")
            .optional(),
    ]),
);

const ZINTER: Declaration = Declaration::new(
    "zinter",
    Arity::AtLeast(3),
    Flags::READONLY.and(Flags::MOVABLE_KEYS),
)
.categories(&[Category::SortedSet])
.keys(&[KeySpec::counted(1, &["RO", "access"])])
.docs(
    Docs::new(
        "sorted-set",
        "6.2.0",
        "Shows the members that all sorted sets have, with their scores \
put together.",
        "O(N * K + D log D), N being the members of the smallest set, K \
the sets, D the members of the result.",
    )
    .arguments(&[
        Argument::integer("numkeys"),
        Argument::KEY.multiple(),
        Argument::integer("weight")
            .with_token("WEIGHTS")
            .optional()
            .multiple(),
        Argument::one_of("aggregate", AGGREGATES)
            .with_token("AGGREGATE")
            .optional(),
        Argument::token("withscores", "WITHSCORES").optional(),
    ]),
);

const ZINTERSTORE: Declaration = Declaration::new(
    "zinterstore",
    Arity::AtLeast(4),
    Flags::WRITE.and(Flags::DENY_OOM).and(Flags::MOVABLE_KEYS),
)
.categories(&[Category::SortedSet])
.keys(&[
    KeySpec::at(1, &["OW", "update"]),
    KeySpec::counted(2, &["RO", "access"]),
])
.docs(
    Docs::new(
        "sorted-set",
        "2.0.0",
        "Stores the members that all sorted sets have, with their scores \
put together.",
        "O(N * K + D log D), N being the members of the smallest set, K \
the sets, D the members of the result.",
    )
    .arguments(&[
        Argument::key("destination", 0),
        Argument::integer("numkeys"),
        Argument::key("key", 1).multiple(),
        Argument::integer("weight")
            .with_token("WEIGHTS")
            .optional()
            .multiple(),
        Argument::one_of("aggregate", AGGREGATES)
            .with_token("AGGREGATE")
            .optional(),
    ]),
);

const ZINTERCARD: Declaration = Declaration::new(
    "zintercard",
    Arity::AtLeast(3),
    Flags::READONLY.and(Flags::MOVABLE_KEYS),
)
.categories(&[Category::SortedSet])
.keys(&[KeySpec::counted(1, &["RO", "access"])])
.docs(
    Docs::new(
        "sorted-set",
        "7.0.0",
        "Counts the members that all sorted sets have.",
        "O(N * K), N being the members of the smallest set, K the sets.",
    )
    .arguments(&[
        Argument::integer("numkeys"),
        Argument::KEY.multiple(),
        Argument::integer("limit").with_token("LIMIT").optional(),
    ]),
);

const ZDIFF: Declaration = Declaration::new(
    "zdiff",
    Arity::AtLeast(3),
    Flags::READONLY.and(Flags::MOVABLE_KEYS),
)
.categories(&[Category::SortedSet])
.keys(&[KeySpec::counted(1, &["RO", "access"])])
.docs(
    Docs::new(
        "sorted-set",
        "6.2.0",
        "Shows the members of the first sorted set that no other has.",
        "O(N * K + D log D), N being the members of the first set, K the \
sets, D the members of the result.",
    )
    .arguments(&[
        Argument::integer("numkeys"),
        Argument::KEY.multiple(),
        Argument::token("withscores", "WITHSCORES").optional(),
    ]),
);

const ZDIFFSTORE: Declaration = Declaration::new(
    "zdiffstore",
    Arity::AtLeast(4),
    Flags::WRITE.and(Flags::DENY_OOM).and(Flags::MOVABLE_KEYS),
)
.categories(&[Category::SortedSet])
.keys(&[
    KeySpec::at(1, &["OW", "update"]),
    KeySpec::counted(2, &["RO", "access"]),
])
.docs(
    Docs::new(
        "sorted-set",
        "6.2.0",
        "Stores the members of the first sorted set that no other has.",
        "O(N * K + D log D), N being the members of the first set, K the \
sets, D the members of the result.",
    )
    .arguments(&[
        Argument::key("destination", 0),
        Argument::integer("numkeys"),
        Argument::key("key", 1).multiple(),
    ]),
);
