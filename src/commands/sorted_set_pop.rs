//! Sorted sets: members taken from an end, drawn at random, or walked over.

use base::glob;
use protocol::args::{Args, equals_ignore_case};
use protocol::reply::Resp;
use shard::effects::{Change, EventClass};
use shard::entry::WrongType;
use types::Typed;
use types::listpack::Element;
use types::memory::allocated_bytes;
use types::sorted_set::{SortedSet, score};

use crate::cursor;
use crate::drawing::{Drawing, REPEATED_MAX};
use crate::long_pop::RankedPop;
use crate::long_reply::Course;
use crate::popping::Popping;
use crate::sorted_set_words::{write_member, write_pairs, write_pairs_line};
use crate::spec::{
    Argument, Arity, Category, CommandError, Context, Declaration, Docs, Flags, KeySpec, Plan,
    ShardCommand, Spread,
};
use crate::steps::is_long;
use crate::taken::Order;
use crate::words;

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[
    ShardCommand::new(ZPOPMIN, Spread::OneShard, zpopmin),
    ShardCommand::new(ZPOPMAX, Spread::OneShard, zpopmax),
    ShardCommand::new(ZMPOP, Spread::Plan(Plan::Lend), zmpop),
    ShardCommand::new(ZRANDMEMBER, Spread::OneShard, zrandmember).walking(),
    ShardCommand::new(ZSCAN, Spread::OneShard, zscan),
];

/// Members that one step of ZSCAN is about to look at if the client does not say.
const SCAN_COUNT_DEFAULT: i64 = 10;

/// An end of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Min,
    Max,
}

impl End {
    /// Returns the event of members that are taken from this end.
    pub(crate) fn event(self) -> &'static str {
        match self {
            Self::Min => "zpopmin",
            Self::Max => "zpopmax",
        }
    }
}

/// What became of members that are to be taken from one key.
enum Popped {
    /// They are taken.
    Now(Taken),
    /// The set has left as a whole.
    Whole(SortedSet),
    /// They are taken in steps.
    Later,
}

/// Members taken, with their scores.
pub(crate) type Taken = Vec<(Box<[u8]>, f64)>;

/// Takes up to `count` members from an end.
pub(crate) fn pop(set: &mut SortedSet, end: End, count: usize) -> (Taken, Change) {
    let count = count.min(set.len());
    let ranks = match end {
        End::Min => 0..count,
        End::Max => set.len() - count..set.len(),
    };
    let taken = set.pairs(ranks.clone(), end == End::Max);
    let taken = taken.map(|(member, score)| (member.to_vec().into(), score));
    let taken: Taken = taken.collect();
    set.remove_range(ranks);
    let change = Change::of(taken.len(), EventClass::SORTED_SET, end.event());
    (taken, change)
}

fn zpopmin(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    pop_one_key(context, args, End::Min)
}

fn zpopmax(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    pop_one_key(context, args, End::Max)
}

fn pop_one_key(context: &mut Context<'_>, args: Args<'_>, end: End) -> Result<(), CommandError> {
    if args.len() > 3 {
        return Err(CommandError::Syntax);
    }
    let count = match args.get(2) {
        Some(word) => words::integer(word)
            .and_then(|count| usize::try_from(count).ok())
            .ok_or(CommandError::Text(
                "ERR value is out of range, must be positive",
            ))?,
        None => 1,
    };
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let popped = db.edit(key, |set: &mut SortedSet| {
        let len = set.len();
        let bytes = set.allocated_bytes(allocated_bytes);
        match args.len() == 3 && is_long(count.min(len), len, bytes) {
            false => {
                let (taken, change) = pop(set, end, count);
                (Popped::Now(taken), change)
            }
            true if count < len => (Popped::Later, Change::NONE),
            true => {
                let change = Change::of(len, EventClass::SORTED_SET, end.event());
                (Popped::Whole(std::mem::take(set)), change)
            }
        }
    })?;
    let taken = match popped {
        None => Taken::new(),
        Some(Popped::Now(taken)) => taken,
        Some(Popped::Later) => {
            let from = (end == End::Max, end.event());
            context.change_later(vec![1], RankedPop::new(from, count));
            return Ok(());
        }
        Some(Popped::Whole(whole)) => {
            let order = Order::Ranked {
                shown: 0,
                is_reverse: end == End::Max,
                with_scores: true,
            };
            let len = whole.len();
            context.reply_taken(whole.into_value(), order, |reply| {
                write_pairs_line(reply, len, true);
            });
            return Ok(());
        }
    };
    let pairs = taken
        .iter()
        .map(|(member, score)| (Element::Bytes(member), *score));
    if args.len() == 2 && context.reply.resp == Resp::V3 {
        // Without a count there are no pairs in RESP3 either.
        context.reply.array(taken.len() * 2);
        for (member, score) in pairs {
            write_member(&mut context.reply, member);
            context.reply.double(score);
        }
    } else {
        write_pairs(&mut context.reply, pairs, true);
    }
    Ok(())
}

fn zmpop(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    if !Popping::parse(args, 1, end_of)?.run(context, args)? {
        context.reply.null_array();
    }
    Ok(())
}

/// Reads `MIN` or `MAX`.
pub(crate) fn end_of(word: &[u8]) -> Option<End> {
    if equals_ignore_case(word, "MIN") {
        Some(End::Min)
    } else if equals_ignore_case(word, "MAX") {
        Some(End::Max)
    } else {
        None
    }
}

impl Popping<End> {
    /// Takes from the first set that is there and replies with its key and the members. Returns
    /// whether there was one; if not, nothing is written.
    pub(crate) fn run(
        self,
        context: &mut Context<'_>,
        args: Args<'_>,
    ) -> Result<bool, CommandError> {
        for at in self.keys {
            let key = args.word(at);
            let id = context.borrow(key, false);
            let taken: Result<_, WrongType> = context
                .loans
                .get_mut(id)
                .edit::<SortedSet, _>(|set| pop(set, self.end, self.count));
            if let Some(taken) = taken? {
                context.reply.array(2);
                context.reply.bulk(key);
                context.reply.array(taken.len());
                for (member, score) in &taken {
                    context.reply.array(2);
                    write_member(&mut context.reply, Element::Bytes(member));
                    context.reply.double(*score);
                }
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn zrandmember(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let Some(word) = args.get(2) else {
        let key = context.first_key(args);
        let mut db = context.shard.db(context.db);
        let set = db.read::<SortedSet>(key, context.touch)?;
        match set.and_then(|set| set.random(context.random)) {
            Some((member, _)) => write_member(&mut context.reply, member),
            None => context.reply.null(),
        }
        return Ok(());
    };
    let count = words::integer_or_refuse(word)?;
    if count == i64::MIN {
        return Err(CommandError::Text(
            "ERR value is out of range, value must between \
-9223372036854775807 and 9223372036854775807",
        ));
    }
    let with_scores = match (args.get(3), args.get(4)) {
        (None, _) => false,
        (Some(word), None) if equals_ignore_case(word, "WITHSCORES") => {
            if count.unsigned_abs() > i64::MAX.unsigned_abs() / 2 {
                return Err(CommandError::Text("ERR value is out of range"));
            }
            true
        }
        _ => return Err(CommandError::Syntax),
    };
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let Some(set) = db.read::<SortedSet>(key, context.touch)? else {
        context.reply.array(0);
        return Ok(());
    };
    if count < 0 && count.unsigned_abs() > REPEATED_MAX {
        return Err(CommandError::Text("ERR value is out of range"));
    }
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    let len = set.len();
    let shown = if count < 0 { wanted } else { wanted.min(len) };
    if is_long(shown, len, set.allocated_bytes(allocated_bytes)) {
        let drawing = Drawing::new(shown, len, count < 0, context.random);
        let course = Course::SortedSetDrawn {
            drawing,
            with_scores,
        };
        context.walk(course, |reply| write_pairs_line(reply, shown, with_scores));
        return Ok(());
    }
    if count < 0 {
        let drawn = (0..wanted).map(|_| {
            let drawn = set.random(context.random);
            drawn.expect("a set in the keyspace is not empty")
        });
        write_pairs(&mut context.reply, drawn, with_scores);
    } else if wanted >= set.len() {
        let all = set.pairs(0..set.len(), true);
        write_pairs(&mut context.reply, all, with_scores);
    } else {
        let ranks = distinct(wanted, set.len(), context.random);
        let drawn = ranks.iter().map(|&rank| {
            let pair = set.pairs(rank..rank + 1, false).next();
            pair.expect("ranks are below the length")
        });
        write_pairs(&mut context.reply, drawn, with_scores);
    }
    Ok(())
}

/// Draws `count` different numbers below `len`, each choice equally likely, in random order.
/// O(count): Floyd's sampling.
fn distinct(count: usize, len: usize, random: &mut base::random::Random) -> Vec<usize> {
    let mut seen = base::hash::Set::default();
    let mut drawn = Vec::with_capacity(count);
    for bound in len - count..len {
        let number = random.index(bound + 1);
        let chosen = if seen.insert(number) { number } else { bound };
        seen.insert(chosen);
        drawn.push(chosen);
    }
    random.shuffle(&mut drawn);
    drawn
}

fn zscan(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let cursor = cursor::parse(args.word(2))?;
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let Some(set) = db.read::<SortedSet>(key, context.touch)? else {
        context.reply.array(2);
        context.reply.bulk(b"0");
        context.reply.array(0);
        return Ok(());
    };
    let mut count = SCAN_COUNT_DEFAULT;
    let mut pattern: Option<&[u8]> = None;
    let mut index = 3;
    while let Some(word) = args.get(index) {
        let value = args.get(index + 1).ok_or(CommandError::Syntax)?;
        if equals_ignore_case(word, "COUNT") {
            count = words::integer_or_refuse(value)?;
            if count < 1 {
                return Err(CommandError::Syntax);
            }
        } else if equals_ignore_case(word, "MATCH") {
            pattern = Some(value);
        } else {
            return Err(CommandError::Syntax);
        }
        index += 2;
    }
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    // A listpack shows scores as they lie there, a large set with 17 digits.
    let is_packed = set.as_listpack().is_some();
    let mut found = Vec::new();
    let mut words = 0;
    let mut text = Vec::new();
    let resp = context.reply.resp;
    let next = set.scan(cursor, count, &mut |member, score| {
        let is_wanted = pattern
            .is_none_or(|pattern| member.with_bytes(|bytes| glob::matches(pattern, bytes, false)));
        if is_wanted {
            let mut reply = protocol::reply::Reply::new(&mut found, resp);
            write_member(&mut reply, member);
            text.clear();
            if is_packed {
                score::write_stored(&mut text, score);
            } else {
                base::number::write_f64(&mut text, score);
            }
            reply.bulk(&text);
            words += 2;
        }
    });
    context.reply.array(2);
    context
        .reply
        .bulk(itoa::Buffer::new().format(next).as_bytes());
    context.reply.array(words);
    context.reply.raw(&found);
    Ok(())
}

const ZPOPMIN: Declaration =
    Declaration::new("zpopmin", Arity::AtLeast(2), Flags::WRITE.and(Flags::FAST))
        .categories(&[Category::SortedSet])
        .keys(&[KeySpec::at(1, &["RW", "access", "delete"])])
        .docs(
            Docs::new(
                "sorted-set",
                "5.0.0",
                "Takes members with the lowest scores.",
                "O(M log N), M being the members taken, N those of the set.",
            )
            .arguments(&[Argument::KEY, Argument::integer("count").optional()]),
        );

const ZPOPMAX: Declaration =
    Declaration::new("zpopmax", Arity::AtLeast(2), Flags::WRITE.and(Flags::FAST))
        .categories(&[Category::SortedSet])
        .keys(&[KeySpec::at(1, &["RW", "access", "delete"])])
        .docs(
            Docs::new(
                "sorted-set",
                "5.0.0",
                "Takes members with the highest scores.",
                "O(M log N), M being the members taken, N those of the set.",
            )
            .arguments(&[Argument::KEY, Argument::integer("count").optional()]),
        );

const ZMPOP: Declaration = Declaration::new(
    "zmpop",
    Arity::AtLeast(4),
    Flags::WRITE.and(Flags::MOVABLE_KEYS),
)
.categories(&[Category::SortedSet])
.keys(&[KeySpec::counted(1, &["RW", "access", "delete"])])
.docs(
    Docs::new(
        "sorted-set",
        "7.0.0",
        "Takes members with the lowest or highest scores from the first sorted set that has any.",
        "O(K + M log N), K being the keys, M the members taken, N those of the set.",
    )
    .arguments(&[
        Argument::integer("numkeys"),
        Argument::KEY.multiple(),
        Argument::one_of(
            "where",
            &[Argument::token("min", "MIN"), Argument::token("max", "MAX")],
        ),
        Argument::integer("count").with_token("COUNT").optional(),
    ]),
);

const ZRANDMEMBER: Declaration =
    Declaration::new("zrandmember", Arity::AtLeast(2), Flags::READONLY)
        .categories(&[Category::SortedSet])
        .tips(&["nondeterministic_output"])
        .keys(&[KeySpec::at(1, &["RO", "access"])])
        .docs(
            Docs::new(
                "sorted-set",
                "6.2.0",
                "Draws members at random.",
                "O(M log N), M being the members drawn, N those of the set.",
            )
            .arguments(&[
                Argument::KEY,
                Argument::block(
                    "options",
                    &[
                        Argument::integer("count"),
                        Argument::token("withscores", "WITHSCORES").optional(),
                    ],
                )
                .optional(),
            ]),
        );

const ZSCAN: Declaration = Declaration::new("zscan", Arity::AtLeast(3), Flags::READONLY)
    .categories(&[Category::SortedSet])
    .tips(&["nondeterministic_output"])
    .keys(&[KeySpec::at(1, &["RO", "access"])])
    .docs(
        Docs::new(
            "sorted-set",
            "2.8.0",
            "Walks over the members of a sorted set in small steps.",
            "O(C) for a step over about C members; O(N) for a whole walk over N members.",
        )
        .arguments(&[
            Argument::KEY,
            Argument::integer("cursor"),
            Argument::pattern("pattern").with_token("MATCH").optional(),
            Argument::integer("count").with_token("COUNT").optional(),
        ]),
    );
