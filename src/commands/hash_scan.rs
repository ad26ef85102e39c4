//! Some of the fields of a hash: HRANDFIELD, HSCAN.

use base::clock::UnixMillis;
use base::glob;
use base::random::Random;
use protocol::args::{Args, equals_ignore_case};
use protocol::reply::{Reply, Resp};
use types::hash::Hash;
use types::listpack::Element;
use types::memory::allocated_bytes;

use crate::cursor;
use crate::drawing::{Drawing, REPEATED_MAX};
use crate::hash::{reply_element, reply_value};
use crate::long_reply::Course;
use crate::spec::{
    Argument, Arity, Category, CommandError, Context, Declaration, Docs, Flags, KeySpec,
    ShardCommand, Spread,
};
use crate::steps::{Shown, is_long};
use crate::words;

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[
    ShardCommand::new(HRANDFIELD, Spread::OneShard, hrandfield).walking(),
    ShardCommand::new(HSCAN, Spread::OneShard, hscan),
];

/// Fields that one step of HSCAN is about to look at if the client does not say.
const SCAN_COUNT_DEFAULT: i64 = 10;

fn hrandfield(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let draw = Draw::parse(args)?;
    let (now, key) = (context.now, context.first_key(args));
    let mut db = context.shard.db(context.db);
    let hash = db.read::<Hash>(key, context.touch)?;
    let (reply, random) = (&mut context.reply, &mut *context.random);
    let Some(Draw { count, with_values }) = draw else {
        let drawn = hash.and_then(|hash| hash.random(random, now));
        reply_value(reply, drawn.map(|(field, _)| field));
        return Ok(());
    };
    if let Some(hash) = hash
        && let Some((count, drawing)) = long_drawing(hash, count, random, now)
    {
        let shown = if with_values {
            Shown::Pairs
        } else {
            Shown::Fields
        };
        let course = Course::HashDrawn {
            drawing,
            now,
            shown,
        };
        context.walk(course, |reply| match (with_values, reply.resp) {
            (true, Resp::V2) => reply.array(count * 2),
            (true, Resp::V3) | (false, _) => reply.array(count),
        });
        return Ok(());
    }
    let drawn = match hash {
        Some(hash) if count >= 0 => {
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            hash.sample(count, random, now)
        }
        Some(hash) => repeated(hash, count.unsigned_abs(), random, now)?,
        None => Vec::new(),
    };
    match (with_values, reply.resp) {
        (true, Resp::V2) => reply.array(drawn.len() * 2),
        (true, Resp::V3) | (false, _) => reply.array(drawn.len()),
    }
    for (field, value) in drawn {
        if with_values && reply.resp == Resp::V3 {
            reply.array(2);
        }
        reply_element(reply, field);
        if with_values {
            reply_element(reply, value);
        }
    }
    Ok(())
}

/// Plans a long reply; returns also how many fields it shows. `None` if it is short, or refused.
fn long_drawing(
    hash: &Hash,
    count: i64,
    random: &mut Random,
    now: UnixMillis,
) -> Option<(usize, Drawing)> {
    let (repeats, wanted) = (count < 0, count.unsigned_abs());
    let len = hash.len(now);
    // To draw from a listpack takes a walk.
    if len == 0 || repeats && (wanted > REPEATED_MAX || hash.encoding_name() != "hashtable") {
        return None;
    }
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
    let shown = if repeats { wanted } else { wanted.min(len) };
    let is_long = is_long(shown, len, hash.allocated_bytes(allocated_bytes));
    is_long.then(|| (shown, Drawing::new(shown, len, repeats, random)))
}

/// Returns `count` live pairs, each drawn from all.
fn repeated<'h>(
    hash: &'h Hash,
    count: u64,
    random: &mut Random,
    now: UnixMillis,
) -> Result<Vec<(Element<'h>, Element<'h>)>, CommandError> {
    if count > REPEATED_MAX {
        return Err(OUT_OF_RANGE);
    }
    if hash.encoding_name() == "hashtable" {
        return Ok((0..count)
            .filter_map(|_| hash.random(random, now))
            .collect());
    }
    // To draw from a listpack takes a walk, so all are laid out once.
    let all = hash.sample(usize::MAX, random, now);
    if all.is_empty() {
        return Ok(all);
    }
    Ok((0..count).map(|_| all[random.index(all.len())]).collect())
}

const OUT_OF_RANGE: CommandError = CommandError::Text("ERR value is out of range");

/// What HRANDFIELD is asked for, beyond one field.
#[derive(Clone, Copy)]
struct Draw {
    count: i64,
    with_values: bool,
}

impl Draw {
    fn parse(args: Args<'_>) -> Result<Option<Self>, CommandError> {
        let Some(word) = args.get(2) else {
            return Ok(None);
        };
        let count = words::integer_or_refuse(word)?;
        if count == i64::MIN {
            return Err(CommandError::Text(
                "ERR value is out of range, value must between -9223372036854775807 and \
                 9223372036854775807",
            ));
        }
        let with_values = match args.get(3) {
            None => false,
            Some(word) if args.len() == 4 && equals_ignore_case(word, "WITHVALUES") => true,
            Some(_) => return Err(CommandError::Syntax),
        };
        if with_values && count.unsigned_abs() > i64::MAX.unsigned_abs() / 2 {
            return Err(OUT_OF_RANGE);
        }
        Ok(Some(Self { count, with_values }))
    }
}

fn hscan(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let cursor = cursor::parse(args.word(2))?;
    let (now, key) = (context.now, context.first_key(args));
    let mut db = context.shard.db(context.db);
    let hash = db.read::<Hash>(key, context.touch)?;
    let Some(hash) = hash else {
        // As in Redis, nobody looks at the options then.
        context.reply.array(2);
        context.reply.bulk(b"0");
        context.reply.array(0);
        return Ok(());
    };
    let options = ScanOptions::parse(args)?;
    let mut found = Vec::new();
    let mut elements = 0;
    let resp = context.reply.resp;
    let next = hash.scan(cursor, options.count, now, &mut |field, value| {
        if !options.accept(field) {
            return;
        }
        let mut reply = Reply::new(&mut found, resp);
        reply_element(&mut reply, field);
        elements += 1;
        if options.with_values {
            reply_element(&mut reply, value);
            elements += 1;
        }
    });
    context.reply.array(2);
    let next = itoa::Buffer::new().format(next).to_owned();
    context.reply.bulk(next.as_bytes());
    context.reply.array(elements);
    context.reply.raw(&found);
    Ok(())
}

/// The options of HSCAN.
struct ScanOptions<'a> {
    count: usize,
    pattern: Option<&'a [u8]>,
    with_values: bool,
}

impl<'a> ScanOptions<'a> {
    fn parse(args: Args<'a>) -> Result<Self, CommandError> {
        let mut count = SCAN_COUNT_DEFAULT;
        let mut pattern = None;
        let mut with_values = true;
        let mut index = 3;
        while let Some(word) = args.get(index) {
            index += 1;
            // From Redis 7.4 on.
            if equals_ignore_case(word, "NOVALUES") {
                with_values = false;
                continue;
            }
            let value = args.get(index).ok_or(CommandError::Syntax)?;
            index += 1;
            if equals_ignore_case(word, "COUNT") {
                count = words::integer_or_refuse(value)?;
                if count < 1 {
                    return Err(CommandError::Syntax);
                }
            } else if equals_ignore_case(word, "MATCH") {
                pattern = Some(value).filter(|pattern| *pattern != b"*");
            } else {
                return Err(CommandError::Syntax);
            }
        }
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        Ok(Self {
            count,
            pattern,
            with_values,
        })
    }

    fn accept(&self, field: Element<'_>) -> bool {
        self.pattern
            .is_none_or(|pattern| field.with_bytes(|bytes| glob::matches(pattern, bytes, false)))
    }
}

const HRANDFIELD: Declaration = Declaration::new("hrandfield", Arity::AtLeast(2), Flags::READONLY)
    .categories(&[Category::Hash])
    .keys(&[KeySpec::at(1, &["RO", "access"])])
    .tips(&["nondeterministic_output"])
    .docs(
        Docs::new(
            "hash",
            "6.2.0",
            "Returns fields drawn at random, with their values if asked.",
            "O(N), N being the number of fields returned.",
        )
        .arguments(&[
            Argument::KEY,
            Argument::block(
                "options",
                &[
                    Argument::integer("count"),
                    Argument::token("withvalues", "WITHVALUES").optional(),
                ],
            )
            .optional(),
        ]),
    );

const HSCAN: Declaration = Declaration::new("hscan", Arity::AtLeast(3), Flags::READONLY)
    .categories(&[Category::Hash])
    .keys(&[KeySpec::at(1, &["RO", "access"])])
    .tips(&["nondeterministic_output"])
    .docs(
        Docs::new(
            "hash",
            "2.8.0",
            "Walks over the fields of a hash in small steps.",
            "O(C) for a step over about C fields; O(N) for a whole walk over N fields.",
        )
        .arguments(&[
            Argument::KEY,
            Argument::integer("cursor"),
            Argument::pattern("pattern").with_token("MATCH").optional(),
            Argument::integer("count").with_token("COUNT").optional(),
        ]),
    );
