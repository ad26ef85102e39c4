//! Ranges of sorted sets, by rank, score or bytes: shown, stored and removed.

use std::ops::Range;

use protocol::args::{Args, equals_ignore_case};
use shard::effects::{Change, EventClass};
use types::memory::allocated_bytes;
use types::sorted_set::SortedSet;
use types::sorted_set::range::{LexRange, ScoreRange};

use crate::long_reply::Course;
use crate::sorted_set_algebra::store_result;
use crate::sorted_set_words::{lex_range, rules, score_range, write_pairs, write_pairs_line};
use crate::spec::{
    Argument, Arity, Category, CommandError, Context, Declaration, Docs, Flags, KeySpec, Plan,
    ShardCommand, Spread,
};
use crate::steps::is_long;
use crate::words;

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[
    ShardCommand::new(ZRANGE, Spread::OneShard, zrange).walking(),
    ShardCommand::new(ZREVRANGE, Spread::OneShard, zrevrange).walking(),
    ShardCommand::new(ZRANGEBYSCORE, Spread::OneShard, zrangebyscore).walking(),
    ShardCommand::new(ZREVRANGEBYSCORE, Spread::OneShard, zrevrangebyscore).walking(),
    ShardCommand::new(ZRANGEBYLEX, Spread::OneShard, zrangebylex).walking(),
    ShardCommand::new(ZREVRANGEBYLEX, Spread::OneShard, zrevrangebylex).walking(),
    ShardCommand::new(ZRANGESTORE, Spread::Plan(Plan::Lend), zrangestore),
    ShardCommand::new(ZREMRANGEBYRANK, Spread::OneShard, zremrangebyrank),
    ShardCommand::new(ZREMRANGEBYSCORE, Spread::OneShard, zremrangebyscore),
    ShardCommand::new(ZREMRANGEBYLEX, Spread::OneShard, zremrangebylex),
];

/// What a range is said in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Lex,
}

/// What is settled by the name of the command; `None` is up to its options.
#[derive(Clone, Copy, Debug)]
struct Fixed {
    by: Option<By>,
    is_reverse: Option<bool>,
    is_store: bool,
}

/// A range of ZRANGE and its kin.
#[derive(Clone, Copy, Debug)]
struct Query<'a> {
    span: Span<'a>,
    is_reverse: bool,
    with_scores: bool,
    /// Members to leave out; a negative number leaves out all.
    offset: i64,
    /// Members at most; negative for no limit.
    limit: i64,
}

/// From where to where.
#[derive(Clone, Copy, Debug)]
enum Span<'a> {
    Ranks(i64, i64),
    Scores(ScoreRange),
    Lex(LexRange<'a>),
}

impl<'a> Query<'a> {
    /// Reads the range from word `first` on and the options behind it.
    fn parse(args: Args<'a>, first: usize, fixed: Fixed) -> Result<Self, CommandError> {
        let (mut by, mut is_reverse) = (fixed.by, fixed.is_reverse);
        let mut with_scores = false;
        let (mut offset, mut limit) = (0, -1);
        let mut index = first + 2;
        while let Some(word) = args.get(index) {
            if !fixed.is_store && equals_ignore_case(word, "WITHSCORES") {
                with_scores = true;
            } else if equals_ignore_case(word, "LIMIT")
                && let (Some(skipped), Some(most)) = (args.get(index + 1), args.get(index + 2))
            {
                offset = words::integer_or_refuse(skipped)?;
                limit = words::integer_or_refuse(most)?;
                index += 2;
            } else if is_reverse.is_none() && equals_ignore_case(word, "REV") {
                is_reverse = Some(true);
            } else if by.is_none() && equals_ignore_case(word, "BYLEX") {
                by = Some(By::Lex);
            } else if by.is_none() && equals_ignore_case(word, "BYSCORE") {
                by = Some(By::Score);
            } else {
                return Err(CommandError::Syntax);
            }
            index += 1;
        }
        let (by, is_reverse) = (by.unwrap_or(By::Rank), is_reverse.unwrap_or(false));
        if limit != -1 && by == By::Rank {
            return Err(CommandError::Text(
                "ERR syntax error, LIMIT is only supported in combination with \
either BYSCORE or BYLEX",
            ));
        }
        if with_scores && by == By::Lex {
            return Err(CommandError::Text(
                "ERR syntax error, WITHSCORES not supported in combination with BYLEX",
            ));
        }
        let (mut min, mut max) = (args.word(first), args.word(first + 1));
        if is_reverse && by != By::Rank {
            (min, max) = (max, min);
        }
        Ok(Self {
            span: Span::parse(by, min, max)?,
            is_reverse,
            with_scores,
            offset,
            limit,
        })
    }

    /// Returns the ranks that are meant.
    fn ranks(&self, set: &SortedSet) -> Range<usize> {
        let len = set.len();
        let ranks = match self.span {
            Span::Ranks(start, stop) => {
                let ranks = ranks_between(start, stop, len);
                return if self.is_reverse {
                    len - ranks.end..len - ranks.start
                } else {
                    ranks
                };
            }
            Span::Scores(range) => set.score_ranks(&range),
            Span::Lex(range) => set.lex_ranks(&range, self.is_reverse),
        };
        let skipped = usize::try_from(self.offset).unwrap_or(usize::MAX);
        let count = ranks.len().saturating_sub(skipped);
        let count = usize::try_from(self.limit).map_or(count, |limit| count.min(limit));
        if count == 0 {
            0..0
        } else if self.is_reverse {
            let end = ranks.end - skipped;
            end - count..end
        } else {
            let start = ranks.start + skipped;
            start..start + count
        }
    }
}

impl<'a> Span<'a> {
    fn parse(by: By, min: &'a [u8], max: &'a [u8]) -> Result<Self, CommandError> {
        Ok(match by {
            By::Rank => {
                let start = words::integer_or_refuse(min)?;
                Self::Ranks(start, words::integer_or_refuse(max)?)
            }
            By::Score => Self::Scores(score_range(min, max)?),
            By::Lex => Self::Lex(lex_range(min, max)?),
        })
    }
}

/// Returns the ranks from `start` to `stop` inclusive, where negative ones count from the end.
fn ranks_between(start: i64, stop: i64, len: usize) -> Range<usize> {
    let from_end = |index: i64| {
        if index < 0 {
            index.saturating_add(base::cast::i64_from(len))
        } else {
            index
        }
    };
    let start = usize::try_from(from_end(start)).unwrap_or(0);
    let end = usize::try_from(from_end(stop)).map_or(0, |stop| stop.saturating_add(1).min(len));
    if start < end { start..end } else { 0..0 }
}

fn show(context: &mut Context<'_>, args: Args<'_>, fixed: Fixed) -> Result<(), CommandError> {
    let query = Query::parse(args, 2, fixed)?;
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    match db.read::<SortedSet>(key, context.touch)? {
        Some(set) => {
            let ranks = query.ranks(set);
            if is_long(ranks.len(), set.len(), set.allocated_bytes(allocated_bytes)) {
                walk(context, ranks, (query.is_reverse, query.with_scores));
                return Ok(());
            }
            let pairs = set.pairs(ranks, query.is_reverse);
            write_pairs(&mut context.reply, pairs, query.with_scores);
        }
        None => context.reply.array(0),
    }
    Ok(())
}

/// Leaves the reply to a walk, with the line that [`write_pairs`] begins with.
fn walk(context: &mut Context<'_>, ranks: Range<usize>, (is_reverse, with_scores): (bool, bool)) {
    let count = ranks.len();
    let course = Course::SortedSet {
        ranks,
        is_reverse,
        with_scores,
    };
    context.walk(course, |reply| write_pairs_line(reply, count, with_scores));
}

fn zrange(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let fixed = Fixed {
        by: None,
        is_reverse: None,
        is_store: false,
    };
    show(context, args, fixed)
}

fn zrevrange(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    show_fixed(context, args, By::Rank, true)
}

fn zrangebyscore(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    show_fixed(context, args, By::Score, false)
}

fn zrevrangebyscore(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    show_fixed(context, args, By::Score, true)
}

fn zrangebylex(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    show_fixed(context, args, By::Lex, false)
}

fn zrevrangebylex(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    show_fixed(context, args, By::Lex, true)
}

fn show_fixed(
    context: &mut Context<'_>,
    args: Args<'_>,
    by: By,
    is_reverse: bool,
) -> Result<(), CommandError> {
    let fixed = Fixed {
        by: Some(by),
        is_reverse: Some(is_reverse),
        is_store: false,
    };
    show(context, args, fixed)
}

fn zrangestore(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let fixed = Fixed {
        by: None,
        is_reverse: None,
        is_store: true,
    };
    let query = Query::parse(args, 3, fixed)?;
    let rules = rules(context);
    let source = context.borrow(args.word(2), true);
    let mut result = SortedSet::new();
    if let Some(set) = context.loans.get(source).typed::<SortedSet>()? {
        for (member, score) in set.pairs(query.ranks(set), false) {
            member.with_bytes(|bytes| result.set(bytes, score, &rules));
        }
    }
    let len = result.len();
    store_result(context, args.word(1), result, "zrangestore");
    context.reply.integer(base::cast::i64_from(len));
    Ok(())
}

fn remove(
    context: &mut Context<'_>,
    args: Args<'_>,
    by: By,
    name: &'static str,
) -> Result<(), CommandError> {
    let query = Query {
        span: Span::parse(by, args.word(2), args.word(3))?,
        is_reverse: false,
        with_scores: false,
        offset: 0,
        limit: -1,
    };
    let key = context.first_key(args);
    let removed = context
        .shard
        .db(context.db)
        .edit::<SortedSet, _>(key, |set| {
            let ranks = query.ranks(set);
            let removed = ranks.len();
            set.remove_range(ranks);
            (removed, Change::of(removed, EventClass::SORTED_SET, name))
        })?;
    let removed = removed.unwrap_or(0);
    context.reply.integer(base::cast::i64_from(removed));
    Ok(())
}

fn zremrangebyrank(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    remove(context, args, By::Rank, "zremrangebyrank")
}

fn zremrangebyscore(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    remove(context, args, By::Score, "zremrangebyscore")
}

fn zremrangebylex(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    remove(context, args, By::Lex, "zremrangebylex")
}

/// What ranges other than of ranks are said in.
const SORTS: &[Argument] = &[
    Argument::token("byscore", "BYSCORE"),
    Argument::token("bylex", "BYLEX"),
];

/// The numbers behind LIMIT.
const LIMITS: &[Argument] = &[Argument::integer("offset"), Argument::integer("count")];

const ZRANGE: Declaration = Declaration::new("zrange", Arity::AtLeast(4), Flags::READONLY)
    .categories(&[Category::SortedSet])
    .keys(&[KeySpec::at(1, &["RO", "access"])])
    .docs(
        Docs::new(
            "sorted-set",
            "1.2.0",
            "Shows the members in a range of ranks, scores or bytes.",
            "O(log N + M), N being the members of the set, M those shown.",
        )
        .history(&[("6.2.0", "`REV`, `BYSCORE`, `BYLEX` and `LIMIT` came.")])
        .arguments(&[
            Argument::KEY,
            Argument::text("start"),
            Argument::text("stop"),
            Argument::one_of("sortby", SORTS).since("6.2.0").optional(),
            Argument::token("rev", "REV").since("6.2.0").optional(),
            Argument::block("offset_count", LIMITS)
                .with_token("LIMIT")
                .since("6.2.0")
                .optional(),
            Argument::token("withscores", "WITHSCORES").optional(),
        ]),
    );

const ZREVRANGE: Declaration = Declaration::new("zrevrange", Arity::AtLeast(4), Flags::READONLY)
    .categories(&[Category::SortedSet])
    .keys(&[KeySpec::at(1, &["RO", "access"])])
    .docs(
        Docs::new(
            "sorted-set",
            "1.2.0",
            "Shows the members in a range of ranks, from the highest score down.",
            "O(log N + M), N being the members of the set, M those shown.",
        )
        .deprecated("6.2.0", "`ZRANGE` with the `REV` argument")
        .arguments(&[
            Argument::KEY,
            Argument::integer("start"),
            Argument::integer("stop"),
            Argument::token("withscores", "WITHSCORES").optional(),
        ]),
    );

const ZRANGEBYSCORE: Declaration =
    Declaration::new("zrangebyscore", Arity::AtLeast(4), Flags::READONLY)
        .categories(&[Category::SortedSet])
        .keys(&[KeySpec::at(1, &["RO", "access"])])
        .docs(
            Docs::new(
                "sorted-set",
                "1.0.5",
                "Shows the members whose scores lie in a range.",
                "O(log N + M), N being the members of the set, M those shown.",
            )
            .history(&[("2.0.0", "`WITHSCORES` came.")])
            .deprecated("6.2.0", "`ZRANGE` with the `BYSCORE` argument")
            .arguments(&[
                Argument::KEY,
                Argument::double("min"),
                Argument::double("max"),
                Argument::token("withscores", "WITHSCORES")
                    .since("2.0.0")
                    .optional(),
                Argument::block("offset_count", LIMITS)
                    .with_token("LIMIT")
                    .optional(),
            ]),
        );

const ZREVRANGEBYSCORE: Declaration =
    Declaration::new("zrevrangebyscore", Arity::AtLeast(4), Flags::READONLY)
        .categories(&[Category::SortedSet])
        .keys(&[KeySpec::at(1, &["RO", "access"])])
        .docs(
            Docs::new(
                "sorted-set",
                "2.2.0",
                "Shows the members whose scores lie in a range, from the highest score down.",
                "O(log N + M), N being the members of the set, M those shown.",
            )
            .history(&[("2.1.6", "Bounds of their own may be left out.")])
            .deprecated("6.2.0", "`ZRANGE` with the `REV` and `BYSCORE` arguments")
            .arguments(&[
                Argument::KEY,
                Argument::double("max"),
                Argument::double("min"),
                Argument::token("withscores", "WITHSCORES").optional(),
                Argument::block("offset_count", LIMITS)
                    .with_token("LIMIT")
                    .optional(),
            ]),
        );

const ZRANGEBYLEX: Declaration =
    Declaration::new("zrangebylex", Arity::AtLeast(4), Flags::READONLY)
        .categories(&[Category::SortedSet])
        .keys(&[KeySpec::at(1, &["RO", "access"])])
        .docs(
            Docs::new(
                "sorted-set",
                "2.8.9",
                "Shows the members in a range of bytes, where all scores are equal.",
                "O(log N + M), N being the members of the set, M those shown.",
            )
            .deprecated("6.2.0", "`ZRANGE` with the `BYLEX` argument")
            .arguments(&[
                Argument::KEY,
                Argument::text("min"),
                Argument::text("max"),
                Argument::block("offset_count", LIMITS)
                    .with_token("LIMIT")
                    .optional(),
            ]),
        );

const ZREVRANGEBYLEX: Declaration =
    Declaration::new("zrevrangebylex", Arity::AtLeast(4), Flags::READONLY)
        .categories(&[Category::SortedSet])
        .keys(&[KeySpec::at(1, &["RO", "access"])])
        .docs(
            Docs::new(
                "sorted-set",
                "2.8.9",
                "Shows the members in a range of bytes backwards, where all scores are equal.",
                "O(log N + M), N being the members of the set, M those shown.",
            )
            .deprecated("6.2.0", "`ZRANGE` with the `REV` and `BYLEX` arguments")
            .arguments(&[
                Argument::KEY,
                Argument::text("max"),
                Argument::text("min"),
                Argument::block("offset_count", LIMITS)
                    .with_token("LIMIT")
                    .optional(),
            ]),
        );

const ZRANGESTORE: Declaration = Declaration::new(
    "zrangestore",
    Arity::AtLeast(5),
    Flags::WRITE.and(Flags::DENY_OOM),
)
.categories(&[Category::SortedSet])
.keys(&[
    KeySpec::at(1, &["OW", "update"]),
    KeySpec::at(2, &["RO", "access"]),
])
.docs(
    Docs::new(
        "sorted-set",
        "6.2.0",
        "Stores the members in a range of ranks, scores or bytes under another key.",
        "O(log N + M log M), N being the members of the set, M those stored.",
    )
    .arguments(&[
        Argument::key("dst", 0),
        Argument::key("src", 1),
        Argument::text("min"),
        Argument::text("max"),
        Argument::one_of("sortby", SORTS).optional(),
        Argument::token("rev", "REV").optional(),
        Argument::block("offset_count", LIMITS)
            .with_token("LIMIT")
            .optional(),
    ]),
);

const ZREMRANGEBYRANK: Declaration =
    Declaration::new("zremrangebyrank", Arity::Exactly(4), Flags::WRITE)
        .categories(&[Category::SortedSet])
        .keys(&[KeySpec::at(1, &["RW", "delete"])])
        .docs(
            Docs::new(
                "sorted-set",
                "2.0.0",
                "Removes the members in a range of ranks.",
                "O(M log N), M being the members removed, N those of the set.",
            )
            .arguments(&[
                Argument::KEY,
                Argument::integer("start"),
                Argument::integer("stop"),
            ]),
        );

const ZREMRANGEBYSCORE: Declaration =
    Declaration::new("zremrangebyscore", Arity::Exactly(4), Flags::WRITE)
        .categories(&[Category::SortedSet])
        .keys(&[KeySpec::at(1, &["RW", "delete"])])
        .docs(
            Docs::new(
                "sorted-set",
                "1.2.0",
                "Removes the members whose scores lie in a range.",
                "O(M log N), M being the members removed, N those of the set.",
            )
            .arguments(&[
                Argument::KEY,
                Argument::double("min"),
                Argument::double("max"),
            ]),
        );

const ZREMRANGEBYLEX: Declaration =
    Declaration::new("zremrangebylex", Arity::Exactly(4), Flags::WRITE)
        .categories(&[Category::SortedSet])
        .keys(&[KeySpec::at(1, &["RW", "delete"])])
        .docs(
            Docs::new(
                "sorted-set",
                "2.8.9",
                "Removes the members in a range of bytes, where all scores are equal.",
                "O(M log N), M being the members removed, N those of the set.",
            )
            .arguments(&[Argument::KEY, Argument::text("min"), Argument::text("max")]),
        );
