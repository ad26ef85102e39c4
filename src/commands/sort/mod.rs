//! `SORT` and `SORT_RO`: the elements of a list, set or sorted set in another order, or what keys named
//! after them hold.
//!
//! A request is done in steps, which the handlers here take one after the other on one shard, and the
//! coordinator on several: [`take`] the elements, [`look_up`] their weights, [`arrange`] them, look
//! up what GET asks for, and reply or [`store`].
//!
//! A long request that reads no further keys is done a step at a time (`steps.rs`).
//!
//! Differences from Redis: a sorted set keeps its encoding. (Redis makes a skiplist of a listpack to
//! read it.)
//!
//! In reading order: `options.rs`, `arrange.rs`, `quicksort.rs`, this file, `steps.rs`.

mod arrange;
mod options;
mod quicksort;
pub(crate) mod steps;

use std::ops::Range;

use base::cast;
use base::ids::DbIndex;
use protocol::args::Args;
use protocol::reply::Reply;
use shard::Shard;
use shard::effects::{Change, EventClass};
use shard::entry::{EntryRef, ValueRef};
use types::list::{End, List, NodeRule};
use types::listpack::Element;
use types::{Typed, Value};

pub use arrange::{NOT_A_NUMBER, arrange};
pub use options::{KeyPattern, Options, Order, Pattern, Sorting};
use steps::SortSteps;

use crate::long_change::put_result;
use crate::run;
use crate::spec::{
    Argument, ArgumentKind, Arity, BeginSearch, Category, CommandError, Context, Declaration, Docs,
    FindKeys, Flags, KeySpec, Plan, ShardCommand, Spread,
};

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[
    ShardCommand::new(SORT, Spread::Plan(Plan::Sort), sort),
    ShardCommand::new(SORT_RO, Spread::Plan(Plan::Sort), sort_ro),
];

/// An element, a weight or a value on its way between the steps.
pub type Text = Box<[u8]>;

/// What [`take`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The elements; those of the window only if they keep their order.
    pub elements: Vec<Text>,
    /// How to put them into order; it differs from that of the request for sets.
    pub order: Order,
    /// Which of them are wanted once they are in order.
    pub window: Range<usize>,
}

/// Takes the elements of a value out as copies; none if there is no such key.
///
/// O(n); elements that keep their order take O(k) for a window of k, and what the way to it costs.
///
/// # Errors
///
/// [`CommandError::WrongType`] for what has no elements.
pub fn take(value: Option<&Value>, order: Order) -> Result<Taken, CommandError> {
    let (order, len) = order_of(value, order)?;
    let window = window(order, len);
    if order.sorting != Sorting::Kept {
        let elements = all_of(value, len);
        return Ok(Taken {
            elements,
            order,
            window,
        });
    }
    let elements = part_of(value, window, order.is_descending);
    Ok(Taken {
        window: 0..elements.len(),
        elements,
        order,
    })
}

/// Returns how the elements of a value are put into order, and how many there are.
fn order_of(value: Option<&Value>, mut order: Order) -> Result<(Order, usize), CommandError> {
    let len = match value {
        None => 0,
        Some(Value::List(list)) => list.len(),
        Some(Value::Set(set)) => set.len(),
        Some(Value::SortedSet(sorted_set)) => sorted_set.len(),
        Some(_) => return Err(CommandError::WrongType),
    };
    // What is stored must not depend on the order in which a set happens to have its members.
    if matches!(value, Some(Value::Set(_))) && order.is_stored && order.sorting == Sorting::Kept {
        order.sorting = Sorting::Texts;
    }
    Ok((order, len))
}

/// As [`take`] for the value of a key, which counts as a hit or a miss.
///
/// # Errors
///
/// As [`take`].
pub fn elements(
    shard: &mut Shard,
    db: DbIndex,
    key: &[u8],
    touch: bool,
    order: Order,
) -> Result<Taken, CommandError> {
    let key = shard.key(key);
    let mut db = shard.db(db);
    match db.lookup(key, touch).map(EntryRef::value) {
        None => take(None, order),
        Some(ValueRef::Other(value)) => take(Some(&value), order),
        Some(ValueRef::String(_)) => Err(CommandError::WrongType),
    }
}

/// Returns whether a request reads keys that follow from the elements, so that its words do not name
/// them. One that cannot be read does not.
#[must_use]
pub fn names_others(command: &ShardCommand, args: Args<'_>) -> bool {
    let may_store = command.declaration.flags.has(Flags::WRITE);
    Options::parse(args, may_store).is_ok_and(|options| options.reads_patterns(args))
}

/// Returns which of `len` elements are shown.
fn window(order: Order, len: usize) -> Range<usize> {
    let start = usize::try_from(order.offset.max(0)).unwrap_or(usize::MAX);
    if start >= len {
        return 0..0;
    }
    match usize::try_from(order.count) {
        Ok(count) => start..len.min(start.saturating_add(count)),
        Err(_) => start..len,
    }
}

fn all_of(value: Option<&Value>, len: usize) -> Vec<Text> {
    let mut elements = Vec::with_capacity(len);
    match value {
        Some(Value::List(list)) => elements.extend(list.iter().map(text_of)),
        Some(Value::Set(set)) => elements.extend(set.iter().map(text_of)),
        Some(Value::SortedSet(set)) => elements.extend(set.iter().map(|(it, _)| text_of(it))),
        Some(_) | None => {}
    }
    elements
}

/// Returns the elements of `window` in the order of the value, which has another direction only where
/// it means something.
fn part_of(value: Option<&Value>, window: Range<usize>, is_descending: bool) -> Vec<Text> {
    let count = window.len();
    let mut elements = Vec::with_capacity(count);
    match value {
        Some(Value::List(list)) if is_descending => {
            // From the end: a list is walked from both.
            let from = list.iter().rev().skip(window.start);
            elements.extend(from.take(count).map(text_of));
        }
        Some(Value::List(list)) => {
            elements.extend(list.iter_from(window.start).take(count).map(text_of));
        }
        Some(Value::Set(set)) => {
            elements.extend(set.iter().skip(window.start).take(count).map(text_of));
        }
        Some(Value::SortedSet(set)) => {
            let ranks = if is_descending {
                set.len() - window.end..set.len() - window.start
            } else {
                window
            };
            let members = set.pairs(ranks, is_descending);
            elements.extend(members.map(|(member, _)| text_of(member)));
        }
        Some(_) | None => {}
    }
    elements
}

fn text_of(element: Element<'_>) -> Text {
    element.to_vec().into()
}

/// Reads strings, or a field of hashes: `None` for each key that holds no such thing. Counts hits and
/// misses, and accesses if `touch`. O(keys) and O(bytes).
#[must_use]
pub fn look_up(
    shard: &mut Shard,
    db: DbIndex,
    keys: &[Text],
    field: Option<&[u8]>,
    touch: bool,
) -> Vec<Option<Text>> {
    let now = shard.now();
    let values = keys.iter().map(|key| {
        let key = shard.key(key);
        let mut db = shard.db(db);
        let value = db.lookup(key, touch)?.value();
        match (value, field) {
            (ValueRef::String(bytes), None) => Some(bytes.into()),
            (ValueRef::Other(value), Some(field)) => match &*value {
                Value::Hash(hash) => hash.get(field, now).map(text_of),
                _ => None,
            },
            (ValueRef::String(_) | ValueRef::Other(_), _) => None,
        }
    });
    values.collect()
}

/// Returns what is shown: the elements, or for each the values that GET asks for. `values` has a list
/// for each pattern that names keys, in order, with a value for each element.
#[must_use]
pub fn shown(
    elements: Vec<Text>,
    patterns: &[Pattern<'_>],
    mut values: Vec<Vec<Option<Text>>>,
) -> Vec<Option<Text>> {
    if patterns.is_empty() {
        return elements.into_iter().map(Some).collect();
    }
    let mut shown = Vec::with_capacity(elements.len() * patterns.len());
    for (index, element) in elements.iter().enumerate() {
        let mut of_keys = values.iter_mut();
        for pattern in patterns {
            shown.push(match pattern {
                Pattern::Element => Some(element.clone()),
                Pattern::Nothing => None,
                Pattern::Key(_) => of_keys.next().and_then(|values| values[index].take()),
            });
        }
    }
    shown
}

/// Writes the result.
pub fn reply(reply: &mut Reply<'_>, shown: &[Option<Text>]) {
    reply.array(shown.len());
    for value in shown {
        match value {
            Some(value) => reply.bulk(value),
            None => reply.null(),
        }
    }
}

/// Makes a list of the result at `key`, whatever was there, or removes the key if the result is empty.
/// What is missing is stored as an empty string. O(bytes).
pub fn store(shard: &mut Shard, db: DbIndex, key: &[u8], shown: &[Option<Text>]) {
    let rule = NodeRule::of(&shard.options().limits);
    let key = shard.key(key);
    let mut loan = shard.db(db).lend(key, false, false);
    let value = (!shown.is_empty()).then(|| list_of(shown, &rule).into_value());
    let place = (&mut *shard, db);
    put_result(
        place,
        (key.bytes, Some(&mut loan)),
        value,
        stored(shown.len()),
    );
    run::settle(shard, db, loan);
}

fn list_of(shown: &[Option<Text>], rule: &NodeRule) -> List {
    let mut list = List::new();
    for value in shown {
        list.push(End::Tail, value.as_deref().unwrap_or_default(), rule);
    }
    list
}

/// Returns what a result that is stored counts as and tells.
fn stored(count: usize) -> (Change, (EventClass, &'static str)) {
    let event = (EventClass::LIST, "sortstore");
    (Change::of(count, event.0, event.1), event)
}

fn sort(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    run_here(context, args, true)
}

fn sort_ro(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    run_here(context, args, false)
}

/// Does all steps; keys that patterns name are on this shard too.
fn run_here(
    context: &mut Context<'_>,
    args: Args<'_>,
    may_store: bool,
) -> Result<(), CommandError> {
    let options = Options::parse(args, may_store)?;
    let source = context.borrow(args.word(1), true);
    if !options.reads_patterns(args) && !context.loans.has_foreign() {
        let rule = NodeRule::of(&context.shard.options().limits);
        let value = context.loans.get(source).value();
        if let Some(steps) = SortSteps::plan(value, &options, args, rule)? {
            context.change_later(vec![1], steps);
            return Ok(());
        }
    }
    let taken = take(context.loans.get(source).value(), options.order)?;
    let mut look_up_all = |pattern: KeyPattern<'_>, elements: &[Text]| {
        let keys: Vec<Text> = elements.iter().map(|it| pattern.key(it)).collect();
        let (shard, db) = (&mut *context.shard, context.db);
        look_up(shard, db, &keys, pattern.field, context.touch)
    };
    let weights = options
        .by
        .and_then(|word| match Pattern::of(args.word(word)) {
            Pattern::Key(pattern) => Some(look_up_all(pattern, &taken.elements)),
            Pattern::Element | Pattern::Nothing => None,
        });
    let elements = arrange(&taken.order, taken.elements, weights, taken.window)?;
    let patterns: Vec<Pattern<'_>> = options
        .get
        .iter()
        .map(|&word| Pattern::of(args.word(word)))
        .collect();
    let values = patterns
        .iter()
        .filter_map(|pattern| match pattern {
            Pattern::Key(pattern) => Some(look_up_all(*pattern, &elements)),
            Pattern::Element | Pattern::Nothing => None,
        })
        .collect();
    let shown = shown(elements, &patterns, values);
    match options.store {
        Some(word) => {
            let rule = NodeRule::of(&context.shard.options().limits);
            let target = context.borrow(args.word(word), false);
            let value = (!shown.is_empty()).then(|| list_of(&shown, &rule).into_value());
            let (place, loan) = (
                (&mut *context.shard, context.db),
                context.loans.get_mut(target),
            );
            put_result(
                place,
                (args.word(word), Some(loan)),
                value,
                stored(shown.len()),
            );
            context.reply.integer(cast::i64_from(shown.len()));
        }
        None => reply(&mut context.reply, &shown),
    }
    Ok(())
}

const SOURCE: KeySpec = KeySpec::at(1, &["RO", "access"]);

const BY_PATTERNS: KeySpec = KeySpec {
    notes: "Keys named by the patterns of BY and GET; they follow from the elements.",
    flags: &["RO", "access"],
    begin: BeginSearch::Unknown,
    find: FindKeys::Unknown,
};

const TARGET: KeySpec = KeySpec {
    notes: "The key behind STORE, which may stand anywhere among the options.",
    flags: &["OW", "update"],
    begin: BeginSearch::Unknown,
    find: FindKeys::Search(options::store_word),
};

const COST: &str =
    "O(N+M*log(M)) for N elements of which M are shown, O(N) if they keep their order.";

const BY: Argument = Argument::new("pattern", ArgumentKind::KeyPattern(1))
    .with_token("BY")
    .optional();

const LIMIT: Argument = Argument::block(
    "offset_count",
    &[Argument::integer("offset"), Argument::integer("count")],
)
.with_token("LIMIT")
.optional();

const GET: Argument = Argument {
    multiple_token: true,
    ..Argument::new("pattern", ArgumentKind::KeyPattern(1))
        .with_token("GET")
        .optional()
        .multiple()
};

const ORDER: Argument = Argument::one_of(
    "order",
    &[
        Argument::token("asc", "ASC"),
        Argument::token("desc", "DESC"),
    ],
)
.optional();

const ALPHA: Argument = Argument::token("sorting", "ALPHA").optional();

const CATEGORIES: &[Category] = &[
    Category::Set,
    Category::SortedSet,
    Category::List,
    Category::Dangerous,
];

const SORT: Declaration = Declaration::new(
    "sort",
    Arity::AtLeast(2),
    Flags::WRITE
        .and(Flags::DENY_OOM)
        .and(Flags::MOVABLE_KEYS),
)
.categories(CATEGORIES)
.keys(&[SOURCE, BY_PATTERNS, TARGET])
.docs(
    Docs::new(
        "generic",
        "1.0.0",
        "Puts the elements of a list, set or sorted set into another order, to show or to store them.",
        COST,
    )
    .arguments(&[
        Argument::KEY,
        BY,
        LIMIT,
        GET,
        ORDER,
        ALPHA,
        Argument::key("destination", 2)
            .with_token("STORE")
            .optional(),
    ]),
);

const SORT_RO: Declaration = Declaration::new(
    "sort_ro",
    Arity::AtLeast(2),
    Flags::READONLY.and(Flags::MOVABLE_KEYS),
)
.categories(CATEGORIES)
.keys(&[SOURCE, BY_PATTERNS])
.docs(
    Docs::new(
        "generic",
        "7.0.0",
        "Shows the elements of a list, set or sorted set in another order.",
        COST,
    )
    .arguments(&[Argument::KEY, BY, LIMIT, GET, ORDER, ALPHA]),
);
