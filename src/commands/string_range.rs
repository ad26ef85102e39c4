//! Parts of strings: appending, overwriting, reading a range, measuring.

use std::ops::Range;

use base::cast::{i64_from, u64_from};
use protocol::args::Args;
use shard::effects::EventClass;
use shard::keyspace::Expiry;

use crate::spec::{
    Argument, Arity, Category, CommandError, Context, Declaration, Docs, Flags, KeySpec,
    ShardCommand, Spread,
};
use crate::steps::LONG_STRING_BYTES_MIN;
use crate::words;

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[
    ShardCommand::new(APPEND, Spread::OneShard, append),
    ShardCommand::new(STRLEN, Spread::OneShard, strlen),
    ShardCommand::new(SETRANGE, Spread::OneShard, setrange),
    ShardCommand::new(GETRANGE, Spread::OneShard, getrange),
    ShardCommand::new(SUBSTR, Spread::OneShard, getrange),
];

fn append(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let tail = args.word(2);
    let bytes_max = context.shard.options().bulk_bytes_max;
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let before = match db.peek(key) {
        Some(entry) => Some(entry.string()?.len()),
        None => None,
    };
    let len = if let Some(before) = before {
        check_length(before, tail.len(), bytes_max)?;
        db.append(key, tail)?
    } else {
        // A new string keeps its bytes as SET does, so that digits are an integer.
        db.set_string(key, tail, Expiry::Clear);
        tail.len()
    };
    db.event(EventClass::STRING, "append", key);
    context.reply.integer(i64_from(len));
    Ok(())
}

fn strlen(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = context.first_key(args);
    let len = match context.shard.db(context.db).lookup(key, context.touch) {
        Some(entry) => entry.string()?.len(),
        None => 0,
    };
    context.reply.integer(i64_from(len));
    Ok(())
}

fn setrange(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let offset = words::integer_or_refuse(args.word(2))?;
    let Ok(offset) = usize::try_from(offset) else {
        return Err(CommandError::Text("ERR offset is out of range"));
    };
    let bytes = args.word(3);
    let bytes_max = context.shard.options().bulk_bytes_max;
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let before = match db.peek(key) {
        Some(entry) => entry.string()?.len(),
        None => 0,
    };
    let len = if bytes.is_empty() {
        // Nothing to write: neither is a key made nor a string filled up.
        before
    } else {
        check_length(offset, bytes.len(), bytes_max)?;
        let len = db.overwrite(key, offset, bytes)?;
        db.event(EventClass::STRING, "setrange", key);
        len
    };
    context.reply.integer(i64_from(len));
    Ok(())
}

/// Refuses a string of `first + second` bytes if that is above `bytes_max`.
fn check_length(first: usize, second: usize, bytes_max: u64) -> Result<(), CommandError> {
    match first.checked_add(second) {
        Some(len) if u64_from(len) <= bytes_max => Ok(()),
        Some(_) | None => Err(CommandError::StringTooLong),
    }
}

fn getrange(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let start = words::integer_or_refuse(args.word(2))?;
    let end = words::integer_or_refuse(args.word(3))?;
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let Some(entry) = db.lookup(key, context.touch) else {
        context.reply.bulk(b"");
        return Ok(());
    };
    let string = entry.string()?;
    let part = range(string.len(), start, end);
    if part.len() < LONG_STRING_BYTES_MIN {
        context.reply.bulk(&string[part]);
    } else {
        context.reply_with_share(key, part);
    }
    Ok(())
}

/// Returns where the bytes lie from index `start` to index `end` inclusive. Negative indexes count from the
/// end, and what lies outside is cut off.
fn range(len: usize, start: i64, end: i64) -> Range<usize> {
    // Both before the start and in the wrong order stay empty, even where cutting off would make
    // them meet.
    if start < 0 && end < 0 && start > end {
        return 0..0;
    }
    let len = i64_from(len);
    let place = |index: i64| {
        if index < 0 {
            index.saturating_add(len).max(0)
        } else {
            index
        }
    };
    let (start, end) = (place(start), place(end).min(len - 1));
    match (usize::try_from(start), usize::try_from(end)) {
        (Ok(start), Ok(end)) if start <= end => start..end + 1,
        (Ok(_) | Err(_), _) => 0..0,
    }
}

const APPEND: Declaration = Declaration::new(
    "append",
    Arity::Exactly(3),
    Flags::WRITE.and(Flags::DENY_OOM).and(Flags::FAST),
)
.categories(&[Category::String])
.keys(&[KeySpec::at(1, &["RW", "insert"])])
.docs(
    Docs::new(
        "string",
        "2.0.0",
        "Adds bytes to the end of a string, starting one if there is none.",
        "O(M) for M new bytes, at times O(N) when a string of N bytes has to move.",
    )
    .arguments(&[Argument::KEY, Argument::text("value")]),
);

const STRLEN: Declaration = Declaration::new(
    "strlen",
    Arity::Exactly(2),
    Flags::READONLY.and(Flags::FAST),
)
.categories(&[Category::String])
.keys(&[KeySpec::at(1, &["RO"])])
.docs(
    Docs::new(
        "string",
        "2.2.0",
        "Returns how many bytes a string has.",
        "O(1)",
    )
    .arguments(&[Argument::KEY]),
);

const SETRANGE: Declaration = Declaration::new(
    "setrange",
    Arity::Exactly(4),
    Flags::WRITE.and(Flags::DENY_OOM),
)
.categories(&[Category::String])
.keys(&[KeySpec::at(1, &["RW", "update"])])
.docs(
    Docs::new(
        "string",
        "2.2.0",
        "Writes bytes over a part of a string, filling a gap before it with zero bytes.",
        "O(M) for M bytes, O(N) when the string has to grow to N bytes.",
    )
    .arguments(&[
        Argument::KEY,
        Argument::integer("offset"),
        Argument::text("value"),
    ]),
);

const GETRANGE: Declaration = Declaration::new("getrange", Arity::Exactly(4), Flags::READONLY)
    .categories(&[Category::String])
    .keys(&[KeySpec::at(1, &["RO", "access"])])
    .docs(
        Docs::new(
            "string",
            "2.4.0",
            "Returns the bytes of a string between two positions.",
            "O(M), M being the number of bytes returned.",
        )
        .arguments(&[
            Argument::KEY,
            Argument::integer("start"),
            Argument::integer("end"),
        ]),
    );

const SUBSTR: Declaration = Declaration::new("substr", Arity::Exactly(4), Flags::READONLY)
    .categories(&[Category::String])
    .keys(&[KeySpec::at(1, &["RO", "access"])])
    .docs(
        Docs::new(
            "string",
            "1.0.0",
            "Returns the bytes of a string between two positions.",
            "O(M), M being the number of bytes returned.",
        )
        .deprecated("2.0.0", "`GETRANGE`")
        .arguments(&[
            Argument::KEY,
            Argument::integer("start"),
            Argument::integer("end"),
        ]),
    );
