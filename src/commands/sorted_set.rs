//! Sorted sets: single members, and counting.

use protocol::args::{Args, equals_ignore_case};
use shard::effects::{Change, EventClass};
use types::sorted_set::{Rules, SortedSet};

use crate::sorted_set_words::{lex_range, rules, score, score_range};
use crate::spec::{
    Argument, Arity, Category, CommandError, Context, Declaration, Docs, Flags, KeySpec,
    ShardCommand, Spread,
};

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[
    ShardCommand::new(ZADD, Spread::OneShard, zadd),
    ShardCommand::new(ZINCRBY, Spread::OneShard, zincrby),
    ShardCommand::new(ZREM, Spread::OneShard, zrem),
    ShardCommand::new(ZCARD, Spread::OneShard, zcard),
    ShardCommand::new(ZSCORE, Spread::OneShard, zscore),
    ShardCommand::new(ZMSCORE, Spread::OneShard, zmscore),
    ShardCommand::new(ZRANK, Spread::OneShard, zrank),
    ShardCommand::new(ZREVRANK, Spread::OneShard, zrevrank),
    ShardCommand::new(ZCOUNT, Spread::OneShard, zcount),
    ShardCommand::new(ZLEXCOUNT, Spread::OneShard, zlexcount),
];

const NOT_A_SUM: CommandError = CommandError::Text("ERR resulting score is not a number (NaN)");

/// The options of ZADD.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AddOptions {
    is_increment: bool,
    pub(crate) new_only: bool,
    pub(crate) existing_only: bool,
    greater_only: bool,
    less_only: bool,
    pub(crate) count_changed: bool,
}

impl AddOptions {
    /// Reads the options, and returns the index of the first word behind them too.
    fn parse(args: Args<'_>) -> Result<(Self, usize), CommandError> {
        let mut options = Self::default();
        let mut index = 2;
        while let Some(word) = args.get(index) {
            let option = if equals_ignore_case(word, "NX") {
                &mut options.new_only
            } else if equals_ignore_case(word, "XX") {
                &mut options.existing_only
            } else if equals_ignore_case(word, "CH") {
                &mut options.count_changed
            } else if equals_ignore_case(word, "INCR") {
                &mut options.is_increment
            } else if equals_ignore_case(word, "GT") {
                &mut options.greater_only
            } else if equals_ignore_case(word, "LT") {
                &mut options.less_only
            } else {
                break;
            };
            *option = true;
            index += 1;
        }
        let rest = args.len() - index;
        if rest == 0 || !rest.is_multiple_of(2) {
            return Err(CommandError::Syntax);
        }
        options.check(rest / 2)?;
        Ok((options, index))
    }

    fn check(self, pairs: usize) -> Result<(), CommandError> {
        Err(CommandError::Text(if self.new_only && self.existing_only {
            "ERR XX and NX options at the same time are not compatible"
        } else if (self.greater_only && (self.less_only || self.new_only))
            || (self.less_only && self.new_only)
        {
            "ERR GT, LT, and/or NX options at the same time are not compatible"
        } else if self.is_increment && pairs > 1 {
            "ERR INCR option supports a single increment-element pair"
        } else {
            return Ok(());
        }))
    }

    /// Decides what becomes of a member whose score is `before` now. `None` if nothing.
    fn outcome(self, before: Option<f64>, given: f64) -> Result<Option<f64>, CommandError> {
        let Some(before) = before else {
            return Ok((!self.existing_only).then_some(given));
        };
        if self.new_only {
            return Ok(None);
        }
        let score = if self.is_increment {
            before + given
        } else {
            given
        };
        if score.is_nan() {
            return Err(NOT_A_SUM);
        }
        let is_refused =
            (self.greater_only && score <= before) || (self.less_only && score >= before);
        Ok((!is_refused).then_some(score))
    }
}

/// What a ZADD did.
#[derive(Clone, Copy, Debug, Default)]
struct Added {
    new: usize,
    changed: usize,
    /// The score of the last member, if it was not left alone.
    last: Option<f64>,
}

impl Added {
    fn one(
        &mut self,
        set: &mut SortedSet,
        member: &[u8],
        given: f64,
        options: AddOptions,
        rules: &Rules,
    ) -> Result<(), CommandError> {
        let looks = options.is_increment
            || options.new_only
            || options.existing_only
            || options.greater_only
            || options.less_only;
        self.last = Some(given);
        if looks {
            self.last = options.outcome(set.score(member), given)?;
        }
        if let Some(score) = self.last {
            match set.set(member, score, rules) {
                None => self.new += 1,
                Some(before) if before != score => self.changed += 1,
                Some(_) => {}
            }
        }
        Ok(())
    }
}

fn zadd(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let (options, first) = AddOptions::parse(args)?;
    add(context, args, options, first)
}

fn zincrby(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    // An option in the place of the increment is read as one, and then a pair is not whole.
    let (options, first) = AddOptions::parse(args)?;
    let options = AddOptions {
        is_increment: true,
        ..options
    };
    add(context, args, options, first)
}

/// Adds the pairs from word `first` on.
fn add(
    context: &mut Context<'_>,
    args: Args<'_>,
    options: AddOptions,
    first: usize,
) -> Result<(), CommandError> {
    let indexes = (first..args.len()).step_by(2);
    if indexes.len() == 1 {
        let pair = (args.word(first + 1), score(args.word(first))?);
        return add_scores(context, args, options, std::iter::once(pair));
    }
    // All scores are checked before any member is added.
    let mut pairs = Vec::with_capacity(indexes.len());
    for index in indexes {
        pairs.push((args.word(index + 1), score(args.word(index))?));
    }
    add_scores(context, args, options, pairs.into_iter())
}

/// Adds members with their scores to the set of the first key, and replies as ZADD does.
pub(crate) fn add_scores<'a>(
    context: &mut Context<'_>,
    args: Args<'_>,
    options: AddOptions,
    pairs: impl Iterator<Item = (&'a [u8], f64)>,
) -> Result<(), CommandError> {
    let key = context.first_key(args);
    let rules = rules(context);
    let name = if options.is_increment {
        "zincr"
    } else {
        "zadd"
    };
    let added = context
        .shard
        .db(context.db)
        .edit_or_create::<SortedSet, _>(key, |set| {
            let mut added = Added::default();
            for (member, given) in pairs {
                // Only INCR can fail, and that has one pair.
                if let Err(error) = added.one(set, member, given, options, &rules) {
                    return (Err(error), Change::NONE);
                }
            }
            let change = Change::of(added.new + added.changed, EventClass::SORTED_SET, name);
            (Ok(added), change)
        })??;
    if options.is_increment {
        match added.last {
            Some(score) => context.reply.double(score),
            None => context.reply.null(),
        }
    } else {
        let changed = if options.count_changed {
            added.changed
        } else {
            0
        };
        context
            .reply
            .integer(base::cast::i64_from(added.new + changed));
    }
    Ok(())
}

fn zrem(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = context.first_key(args);
    let removed = context
        .shard
        .db(context.db)
        .edit::<SortedSet, _>(key, |set| {
            let members = args.from(2);
            let removed = members.iter().filter(|it| set.remove(it).is_some()).count();
            let change = Change::of(removed, EventClass::SORTED_SET, "zrem");
            (removed, change)
        })?;
    let removed = removed.unwrap_or(0);
    context.reply.integer(base::cast::i64_from(removed));
    Ok(())
}

/// Replies with what `look` finds in the set, or 0 without one.
fn count(
    context: &mut Context<'_>,
    args: Args<'_>,
    look: impl FnOnce(&SortedSet) -> usize,
) -> Result<(), CommandError> {
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let count = db.read::<SortedSet>(key, context.touch)?.map_or(0, look);
    context.reply.integer(base::cast::i64_from(count));
    Ok(())
}

fn zcard(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    count(context, args, SortedSet::len)
}

fn zcount(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let range = score_range(args.word(2), args.word(3))?;
    count(context, args, |set| set.score_ranks(&range).len())
}

fn zlexcount(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let range = lex_range(args.word(2), args.word(3))?;
    count(context, args, |set| set.lex_ranks(&range, false).len())
}

fn zscore(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let set = db.read::<SortedSet>(key, context.touch)?;
    match set.and_then(|set| set.score(args.word(2))) {
        Some(score) => context.reply.double(score),
        None => context.reply.null(),
    }
    Ok(())
}

fn zmscore(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let set = db.read::<SortedSet>(key, context.touch)?;
    let members = args.from(2);
    context.reply.array(members.len());
    for member in members.iter() {
        match set.and_then(|set| set.score(member)) {
            Some(score) => context.reply.double(score),
            None => context.reply.null(),
        }
    }
    Ok(())
}

fn zrank(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    rank(context, args, false)
}

fn zrevrank(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    rank(context, args, true)
}

fn rank(context: &mut Context<'_>, args: Args<'_>, is_reverse: bool) -> Result<(), CommandError> {
    let with_score = match (args.get(3), args.get(4)) {
        (None, _) => false,
        (Some(word), None) if equals_ignore_case(word, "WITHSCORE") => true,
        (Some(_), None) => return Err(CommandError::Syntax),
        (Some(_), Some(_)) => return Err(CommandError::WordCount),
    };
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let set = db.read::<SortedSet>(key, context.touch)?;
    let found = set.and_then(|set| {
        let (rank, score) = set.rank(args.word(2))?;
        let rank = if is_reverse {
            set.len() - 1 - rank
        } else {
            rank
        };
        Some((rank, score))
    });
    match (found, with_score) {
        (Some((rank, score)), true) => {
            context.reply.array(2);
            context.reply.integer(base::cast::i64_from(rank));
            context.reply.double(score);
        }
        (Some((rank, _)), false) => context.reply.integer(base::cast::i64_from(rank)),
        (None, true) => context.reply.null_array(),
        (None, false) => context.reply.null(),
    }
    Ok(())
}

const ZADD: Declaration = Declaration::new(
    "zadd",
    Arity::AtLeast(4),
    Flags::WRITE.and(Flags::DENY_OOM).and(Flags::FAST),
)
.categories(&[Category::SortedSet])
.keys(&[KeySpec::at(1, &["RW", "update"])])
.docs(
    Docs::new(
        "sorted-set",
        "1.2.0",
        "Gives members scores, adding those that are not there.",
        "O(log N) for each member, N being the members of the set.",
    )
    .history(&[
        ("2.4.0", "Several members at once."),
        ("3.0.2", "`XX`, `NX`, `CH` and `INCR` came."),
        ("6.2.0", "`GT` and `LT` came."),
    ])
    .arguments(&[
        Argument::KEY,
        Argument::one_of(
            "condition",
            &[Argument::token("nx", "NX"), Argument::token("xx", "XX")],
        )
        .since("3.0.2")
        .optional(),
        Argument::one_of(
            "comparison",
            &[Argument::token("gt", "GT"), Argument::token("lt", "LT")],
        )
        .since("6.2.0")
        .optional(),
        Argument::token("change", "CH").since("3.0.2").optional(),
        Argument::token("increment", "INCR")
            .since("3.0.2")
            .optional(),
        Argument::block(
            "score_member",
            &[Argument::double("score"), Argument::text("member")],
        )
        .multiple(),
    ]),
);

const ZINCRBY: Declaration = Declaration::new(
    "zincrby",
    Arity::Exactly(4),
    Flags::WRITE.and(Flags::DENY_OOM).and(Flags::FAST),
)
.categories(&[Category::SortedSet])
.keys(&[KeySpec::at(1, &["RW", "access", "update"])])
.docs(
    Docs::new(
        "sorted-set",
        "1.2.0",
        "Adds to the score of a member; a missing one counts as 0.",
        "O(log N), N being the members of the set.",
    )
    .arguments(&[
        Argument::KEY,
        Argument::integer("increment"),
        Argument::text("member"),
    ]),
);

const ZREM: Declaration =
    Declaration::new("zrem", Arity::AtLeast(3), Flags::WRITE.and(Flags::FAST))
        .categories(&[Category::SortedSet])
        .keys(&[KeySpec::at(1, &["RW", "delete"])])
        .docs(
            Docs::new(
                "sorted-set",
                "1.2.0",
                "Removes members.",
                "O(M log N), M being the members named, N those of the set.",
            )
            .history(&[("2.4.0", "Several members at once.")])
            .arguments(&[Argument::KEY, Argument::text("member").multiple()]),
        );

const ZCARD: Declaration =
    Declaration::new("zcard", Arity::Exactly(2), Flags::READONLY.and(Flags::FAST))
        .categories(&[Category::SortedSet])
        .keys(&[KeySpec::at(1, &["RO"])])
        .docs(
            Docs::new(
                "sorted-set",
                "1.2.0",
                "Counts the members of a sorted set.",
                "O(1)",
            )
            .arguments(&[Argument::KEY]),
        );

const ZSCORE: Declaration = Declaration::new(
    "zscore",
    Arity::Exactly(3),
    Flags::READONLY.and(Flags::FAST),
)
.categories(&[Category::SortedSet])
.keys(&[KeySpec::at(1, &["RO", "access"])])
.docs(
    Docs::new(
        "sorted-set",
        "1.2.0",
        "Tells the score of a member.",
        "O(1)",
    )
    .arguments(&[Argument::KEY, Argument::text("member")]),
);

const ZMSCORE: Declaration = Declaration::new(
    "zmscore",
    Arity::AtLeast(3),
    Flags::READONLY.and(Flags::FAST),
)
.categories(&[Category::SortedSet])
.keys(&[KeySpec::at(1, &["RO", "access"])])
.docs(
    Docs::new(
        "sorted-set",
        "6.2.0",
        "Tells the scores of several members.",
        "O(N), N being the members asked for.",
    )
    .arguments(&[Argument::KEY, Argument::text("member").multiple()]),
);

const ZRANK: Declaration =
    Declaration::new("zrank", Arity::AtLeast(3), Flags::READONLY.and(Flags::FAST))
        .categories(&[Category::SortedSet])
        .keys(&[KeySpec::at(1, &["RO", "access"])])
        .docs(
            Docs::new(
                "sorted-set",
                "2.0.0",
                "Tells how many members come before one.",
                "O(log N), N being the members of the set.",
            )
            .history(&[("7.2.0", "`WITHSCORE` came.")])
            .arguments(&[
                Argument::KEY,
                Argument::text("member"),
                Argument::token("withscore", "WITHSCORE").optional(),
            ]),
        );

const ZREVRANK: Declaration = Declaration::new(
    "zrevrank",
    Arity::AtLeast(3),
    Flags::READONLY.and(Flags::FAST),
)
.categories(&[Category::SortedSet])
.keys(&[KeySpec::at(1, &["RO", "access"])])
.docs(
    Docs::new(
        "sorted-set",
        "2.0.0",
        "Tells how many members come behind one.",
        "O(log N), N being the members of the set.",
    )
    .history(&[("7.2.0", "`WITHSCORE` came.")])
    .arguments(&[
        Argument::KEY,
        Argument::text("member"),
        Argument::token("withscore", "WITHSCORE").optional(),
    ]),
);

const ZCOUNT: Declaration = Declaration::new(
    "zcount",
    Arity::Exactly(4),
    Flags::READONLY.and(Flags::FAST),
)
.categories(&[Category::SortedSet])
.keys(&[KeySpec::at(1, &["RO", "access"])])
.docs(
    Docs::new(
        "sorted-set",
        "2.0.0",
        "Counts the members whose scores lie in a range.",
        "O(log N), N being the members of the set.",
    )
    .arguments(&[
        Argument::KEY,
        Argument::double("min"),
        Argument::double("max"),
    ]),
);

const ZLEXCOUNT: Declaration = Declaration::new(
    "zlexcount",
    Arity::Exactly(4),
    Flags::READONLY.and(Flags::FAST),
)
.categories(&[Category::SortedSet])
.keys(&[KeySpec::at(1, &["RO", "access"])])
.docs(
    Docs::new(
        "sorted-set",
        "2.8.9",
        "Counts the members in a range of bytes, where all scores are equal.",
        "O(log N), N being the members of the set.",
    )
    .arguments(&[Argument::KEY, Argument::text("min"), Argument::text("max")]),
);
