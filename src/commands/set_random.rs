//! Some of the members of a set: by chance, or step by step.

use base::glob;
use protocol::args::{Args, equals_ignore_case};
use shard::effects::{Change, EventClass};
use types::Typed;
use types::listpack::Element;
use types::memory::allocated_bytes;
use types::set::Set;

use crate::counted::{Counted, write_element};
use crate::cursor;
use crate::drawing::{Drawing, REPEATED_MAX};
use crate::long_pop::DrawnPop;
use crate::long_reply::Course;
use crate::set::rules;
use crate::spec::{
    Argument, Arity, Category, CommandError, Context, Declaration, Docs, Flags, KeySpec,
    ShardCommand, Spread,
};
use crate::steps::is_long;
use crate::taken::Order;
use crate::words;

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[
    ShardCommand::new(SPOP, Spread::OneShard, spop).told_whole(),
    ShardCommand::new(SRANDMEMBER, Spread::OneShard, srandmember).walking(),
    ShardCommand::new(SSCAN, Spread::OneShard, sscan),
];

/// Members that one step of SSCAN is about to look at if the client does not say.
const SCAN_COUNT_DEFAULT: i64 = 10;

fn spop(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    if args.len() > 3 {
        return Err(CommandError::Syntax);
    }
    if let Some(word) = args.get(2) {
        return spop_count(context, args, word);
    }
    let key = context.first_key(args);
    let (reply, random) = (&mut context.reply, &mut *context.random);
    let mut db = context.shard.db(context.db);
    let popped = db.edit(key, |set: &mut Set| {
        set.pop(random, &mut |member| write_element(reply, member));
        ((), Change::of(1, EventClass::SET, "spop"))
    })?;
    if popped.is_none() {
        context.reply.null();
    }
    Ok(())
}

fn spop_count(context: &mut Context<'_>, args: Args<'_>, word: &[u8]) -> Result<(), CommandError> {
    let count = words::integer(word).and_then(|count| usize::try_from(count).ok());
    let count = count.ok_or(CommandError::Text(
        "ERR value is out of range, must be positive",
    ))?;
    let (rules, key) = (rules(context), context.first_key(args));
    let (reply, random) = (&mut context.reply, &mut *context.random);
    let mut db = context.shard.db(context.db);
    let popped = db.edit(key, |set: &mut Set| {
        let len = set.len();
        let count = count.min(len);
        let takes_long = is_long(count, len, set.allocated_bytes(allocated_bytes));
        if takes_long && count == len {
            let change = Change::of(count, EventClass::SET, "spop");
            return (Popped::Whole(std::mem::take(set)), change);
        }
        // What leaves an intset moves all that stays, once for all together.
        if takes_long && set.as_intset().is_none() {
            return (
                Popped::Later(DrawnPop::new(count, len, rules, random)),
                Change::NONE,
            );
        }
        reply.set(count);
        if count > 0 {
            set.pop_many(count, &rules, random, &mut |member| {
                write_element(reply, member);
            });
        }
        (Popped::Shown, Change::of(count, EventClass::SET, "spop"))
    })?;
    match popped {
        None => context.reply.set(0),
        Some(Popped::Shown) => {}
        Some(Popped::Whole(whole)) => {
            let len = whole.len();
            context.reply_taken(whole.into_value(), Order::Scan(0), |reply| reply.set(len));
        }
        Some(Popped::Later(pop)) => context.change_later(vec![1], pop),
    }
    Ok(())
}

/// What became of several members that are to leave a set.
enum Popped {
    /// They are in the reply.
    Shown,
    /// The set has left as a whole.
    Whole(Set),
    /// They leave in steps.
    Later(DrawnPop),
}

fn srandmember(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    if args.len() > 3 {
        return Err(CommandError::Syntax);
    }
    let count = args.get(2).map(words::integer_or_refuse).transpose()?;
    if count == Some(i64::MIN) {
        return Err(CommandError::Text(
            "ERR value is out of range, value must between \
             -9223372036854775807 and 9223372036854775807",
        ));
    }
    let key = context.first_key(args);
    let (reply, random) = (&mut context.reply, &mut *context.random);
    let mut db = context.shard.db(context.db);
    let set = db.read::<Set>(key, context.touch)?;
    match (set, count) {
        (None, None) => reply.null(),
        (None, Some(_)) => reply.array(0),
        (Some(set), None) => match set.random(random) {
            Some(member) => write_element(reply, member),
            None => reply.null(),
        },
        (Some(set), Some(count)) if count < 0 => {
            let count = count.unsigned_abs();
            if count > REPEATED_MAX {
                return Err(CommandError::Text("ERR value is out of range"));
            }
            let (len, bytes) = (set.len(), set.allocated_bytes(allocated_bytes));
            let wanted = base::cast::usize_from(count);
            if is_long(wanted, len, bytes) {
                let drawing = Drawing::new(wanted, len, true, random);
                context.walk(Course::SetDrawn(drawing), |reply| reply.array(wanted));
                return Ok(());
            }
            reply.array(wanted);
            set.draw(count, random, &mut |member| write_element(reply, member));
        }
        (Some(set), Some(count)) => {
            let (len, bytes) = (set.len(), set.allocated_bytes(allocated_bytes));
            let count = usize::try_from(count).unwrap_or(usize::MAX).min(len);
            if is_long(count, len, bytes) {
                let drawing = Drawing::new(count, len, false, random);
                context.walk(Course::SetDrawn(drawing), |reply| reply.array(count));
                return Ok(());
            }
            reply.array(count);
            set.sample(count, random, &mut |member| write_element(reply, member));
        }
    }
    Ok(())
}

fn sscan(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let cursor = cursor::parse(args.word(2))?;
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let set = db.read::<Set>(key, context.touch)?;
    let reply = &mut context.reply;
    // Options are looked at only if there is something to scan.
    let Some(set) = set else {
        reply.array(2);
        reply.bulk(b"0");
        reply.array(0);
        return Ok(());
    };
    let options = ScanOptions::parse(args)?;
    reply.array(2);
    let begun = reply.out.len();
    let mut members = Counted::begin(reply);
    let next = set.scan(cursor, options.count, &mut |member| {
        if options.accept(member) {
            members.push(reply, member);
        }
    });
    members.end_array(reply);
    // The cursor stands before the members, and is known after them.
    let before = reply.out.len();
    reply.bulk(itoa::Buffer::new().format(next).as_bytes());
    let cursor_bytes = reply.out.len() - before;
    reply.out[begun..].rotate_right(cursor_bytes);
    Ok(())
}

/// The options of SSCAN.
struct ScanOptions<'a> {
    count: usize,
    pattern: Option<&'a [u8]>,
}

impl<'a> ScanOptions<'a> {
    fn parse(args: Args<'a>) -> Result<Self, CommandError> {
        let (mut count, mut pattern) = (SCAN_COUNT_DEFAULT, None);
        let mut index = 3;
        while let Some(word) = args.get(index) {
            let value = args.get(index + 1).ok_or(CommandError::Syntax)?;
            index += 2;
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
        Ok(Self { count, pattern })
    }

    fn accept(&self, member: Element<'_>) -> bool {
        self.pattern
            .is_none_or(|pattern| member.with_bytes(|bytes| glob::matches(pattern, bytes, false)))
    }
}

const SPOP: Declaration =
    Declaration::new("spop", Arity::AtLeast(2), Flags::WRITE.and(Flags::FAST))
        .categories(&[Category::Set])
        .keys(&[KeySpec::at(1, &["RW", "access", "delete"])])
        .tips(&["nondeterministic_output"])
        .docs(
            Docs::new(
                "set",
                "1.0.0",
                "Takes members out of a set by chance and returns them.",
                "O(1) for one member, O(N) for N of them.",
            )
            .history(&[("3.2.0", "`count` came.")])
            .arguments(&[
                Argument::KEY,
                Argument::integer("count").since("3.2.0").optional(),
            ]),
        );

const SRANDMEMBER: Declaration =
    Declaration::new("srandmember", Arity::AtLeast(2), Flags::READONLY)
        .categories(&[Category::Set])
        .keys(&[KeySpec::at(1, &["RO", "access"])])
        .tips(&["nondeterministic_output"])
        .docs(
            Docs::new(
                "set",
                "1.0.0",
                "Returns members of a set by chance, with repetitions if the count is negative.",
                "O(1) for one member, O(N) for N of them.",
            )
            .history(&[("2.6.0", "`count` came.")])
            .arguments(&[
                Argument::KEY,
                Argument::integer("count").since("2.6.0").optional(),
            ]),
        );

const SSCAN: Declaration = Declaration::new("sscan", Arity::AtLeast(3), Flags::READONLY)
    .categories(&[Category::Set])
    .keys(&[KeySpec::at(1, &["RO", "access"])])
    .tips(&["nondeterministic_output"])
    .docs(
        Docs::new(
            "set",
            "2.8.0",
            "Walks over the members of a set in small steps.",
            "O(C) for a step over about C members; O(N) for a whole walk over N members.",
        )
        .arguments(&[
            Argument::KEY,
            Argument::integer("cursor"),
            Argument::pattern("pattern").with_token("MATCH").optional(),
            Argument::integer("count").with_token("COUNT").optional(),
        ]),
    );
