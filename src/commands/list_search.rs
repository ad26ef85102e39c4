//! Elements of lists by value: finding, removing, inserting beside.

use base::cast::{i64_from, usize_from};
use protocol::args::{Args, equals_ignore_case};
use shard::effects::{Change, EventClass};
use types::list::{End, List, Needle, Side};
use types::listpack::Element;

use crate::list::node_rule;
use crate::spec::{
    Argument, Arity, Category, CommandError, Context, Declaration, Docs, Flags, KeySpec,
    ShardCommand, Spread,
};
use crate::words;

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[
    ShardCommand::new(LINSERT, Spread::OneShard, linsert),
    ShardCommand::new(LREM, Spread::OneShard, lrem),
    ShardCommand::new(LPOS, Spread::OneShard, lpos),
];

fn linsert(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let side = if equals_ignore_case(args.word(2), "AFTER") {
        Side::After
    } else if equals_ignore_case(args.word(2), "BEFORE") {
        Side::Before
    } else {
        return Err(CommandError::Syntax);
    };
    let rule = node_rule(context);
    let key = context.first_key(args);
    let (pivot, element) = (args.word(3), args.word(4));
    let mut db = context.shard.db(context.db);
    let outcome = db.edit(key, |list: &mut List| {
        if list.insert(pivot, side, element, &rule) {
            let change = Change::of(1, EventClass::LIST, "linsert");
            (i64_from(list.len()), change)
        } else {
            (-1, Change::NONE)
        }
    })?;
    context.reply.integer(outcome.unwrap_or(0));
    Ok(())
}

fn lrem(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let signed = words::integer_or_refuse(args.word(2))?;
    let from = if signed < 0 { End::Tail } else { End::Head };
    let count = match signed.unsigned_abs() {
        0 => usize::MAX,
        count => usize_from(count),
    };
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let removed = db.edit(key, |list: &mut List| {
        let removed = list.remove_equal(args.word(3), count, from);
        (removed, Change::of(removed, EventClass::LIST, "lrem"))
    })?;
    context.reply.integer(i64_from(removed.unwrap_or(0)));
    Ok(())
}

/// What LPOS looks for.
#[derive(Clone, Copy, Debug)]
struct Search {
    /// From which end.
    from: End,
    /// Matches that are passed over.
    skipped: u64,
    /// Matches that are wanted, in an array; `None` for one, not in an array.
    wanted: Option<usize>,
    /// Elements that are looked at.
    looked_at_max: usize,
}

fn lpos(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let search = parse_search(args)?;
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let found = match db.read::<List>(key, context.touch)? {
        Some(list) => find(list, Needle::new(args.word(2)), search),
        None => Vec::new(),
    };
    let reply = &mut context.reply;
    if search.wanted.is_some() {
        reply.array(found.len());
        for index in found {
            reply.integer(i64_from(index));
        }
    } else {
        match found.first() {
            Some(&index) => reply.integer(i64_from(index)),
            None => reply.null(),
        }
    }
    Ok(())
}

/// Reads the options behind the element of LPOS.
fn parse_search(args: Args<'_>) -> Result<Search, CommandError> {
    let mut search = Search {
        from: End::Head,
        skipped: 0,
        wanted: None,
        looked_at_max: usize::MAX,
    };
    for option in (3..args.len()).step_by(2) {
        let value = args.get(option + 1).ok_or(CommandError::Syntax)?;
        let option = args.word(option);
        if equals_ignore_case(option, "RANK") {
            let rank = words::integer_or_refuse(value)?;
            search.from = if rank < 0 { End::Tail } else { End::Head };
            search.skipped = skipped_by_rank(rank)?;
        } else if equals_ignore_case(option, "COUNT") {
            search.wanted = Some(limit_or_refuse(value, NEGATIVE_COUNT)?);
        } else if equals_ignore_case(option, "MAXLEN") {
            search.looked_at_max = limit_or_refuse(value, NEGATIVE_LENGTH)?;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    Ok(search)
}

const ZERO_RANK: CommandError = CommandError::Text(
    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use \
     negative to start from the end of the list",
);
const NEGATIVE_COUNT: CommandError = CommandError::Text("ERR COUNT can't be negative");
const NEGATIVE_LENGTH: CommandError = CommandError::Text("ERR MAXLEN can't be negative");

/// Returns how many matches come before the one of this rank. The smallest integer has no counterpart
/// above zero and means the first match, as in Redis 7.0.
fn skipped_by_rank(rank: i64) -> Result<u64, CommandError> {
    match rank {
        0 => Err(ZERO_RANK),
        i64::MIN => Ok(0),
        _ => Ok(rank.unsigned_abs() - 1),
    }
}

/// Reads a limit, of which 0 stands for none.
fn limit_or_refuse(word: &[u8], negative: CommandError) -> Result<usize, CommandError> {
    let limit = words::integer(word).and_then(|limit| u64::try_from(limit).ok());
    match limit.ok_or(negative)? {
        0 => Ok(usize::MAX),
        limit => Ok(usize_from(limit)),
    }
}

/// Returns the indexes of the elements found, in the order of the search. O(elements looked at).
fn find(list: &List, needle: Needle<'_>, search: Search) -> Vec<usize> {
    let is_match = |(_, element): &(usize, Element<'_>)| needle.is(*element);
    let skipped = usize_from(search.skipped);
    let wanted = search.wanted.unwrap_or(1);
    let steps = 0..search.looked_at_max;
    match search.from {
        End::Head => {
            let matches = steps.zip(list.iter()).filter(is_match);
            let indexes = matches.map(|(step, _)| step);
            indexes.skip(skipped).take(wanted).collect()
        }
        End::Tail => {
            let len = list.len();
            let matches = steps.zip(list.iter().rev()).filter(is_match);
            let indexes = matches.map(|(step, _)| len - 1 - step);
            indexes.skip(skipped).take(wanted).collect()
        }
    }
}

const LINSERT: Declaration = Declaration::new(
    "linsert",
    Arity::Exactly(5),
    Flags::WRITE.and(Flags::DENY_OOM),
)
.categories(&[Category::List])
.keys(&[KeySpec::at(1, &["RW", "insert"])])
.docs(
    Docs::new(
        "list",
        "2.2.0",
        "Inserts an element before or after the first one that equals a pivot.",
        "O(N) for N elements up to the pivot.",
    )
    .arguments(&[
        Argument::KEY,
        Argument::one_of(
            "where",
            &[
                Argument::token("before", "BEFORE"),
                Argument::token("after", "AFTER"),
            ],
        ),
        Argument::text("pivot"),
        Argument::text("element"),
    ]),
);

const LREM: Declaration = Declaration::new("lrem", Arity::Exactly(4), Flags::WRITE)
    .categories(&[Category::List])
    .keys(&[KeySpec::at(1, &["RW", "delete"])])
    .docs(
        Docs::new(
            "list",
            "1.0.0",
            "Removes elements of one value: the first ones, the last ones, or all.",
            "O(N) for N elements of the list.",
        )
        .arguments(&[
            Argument::KEY,
            Argument::integer("count"),
            Argument::text("element"),
        ]),
    );

const LPOS: Declaration = Declaration::new("lpos", Arity::AtLeast(3), Flags::READONLY)
    .categories(&[Category::List])
    .keys(&[KeySpec::at(1, &["RO", "access"])])
    .docs(
        Docs::new(
            "list",
            "6.0.6",
            "Finds the indexes of elements of one value.",
            "O(N) for N elements looked at.",
        )
        .arguments(&[
            Argument::KEY,
            Argument::text("element"),
            Argument::integer("rank").with_token("RANK").optional(),
            Argument::integer("num-matches")
                .with_token("COUNT")
                .optional(),
            Argument::integer("len").with_token("MAXLEN").optional(),
        ]),
    );
