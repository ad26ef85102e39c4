//! HyperLogLogs: strings that count distinct elements.
//!
//! The bytes and what is done to them are in `types::hyperloglog`; here are keys, replies, and the
//! refusals of strings that are something else.

use protocol::args::{Args, equals_ignore_case};
use shard::effects::{Change, EventClass};
use shard::entry::EntryRef;
use types::hyperloglog::{self, Corrupted, Encoding, Registers};

use crate::spec::{
    Argument, Arity, Category, CommandError, Context, Declaration, Docs, Flags, KeySpec, Plan,
    ShardCommand, Spread,
};

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[
    ShardCommand::new(PFADD, Spread::OneShard, pfadd),
    ShardCommand::new(PFCOUNT, Spread::Plan(Plan::Lend), pfcount),
    ShardCommand::new(PFMERGE, Spread::Plan(Plan::Lend), pfmerge),
    ShardCommand::new(PFDEBUG, Spread::OneShard, pfdebug),
    ShardCommand::new(PFSELFTEST, Spread::OneShard, pfselftest),
];

const NOT_ONE: CommandError =
    CommandError::Text("WRONGTYPE Key is not a valid HyperLogLog string value.");

const CORRUPTED: &str = "INVALIDOBJ Corrupted HLL object detected";

const PFADD_EVENT: &str = "pfadd";

impl From<Corrupted> for CommandError {
    fn from(_: Corrupted) -> Self {
        Self::Text(CORRUPTED)
    }
}

/// Refuses a string that is no HyperLogLog.
fn checked(string: &[u8]) -> Result<Encoding, CommandError> {
    Encoding::of(string).ok_or(NOT_ONE)
}

fn pfadd(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let sparse_bytes_max = context.shard.options().limits.hll_sparse_bytes;
    let key = context.first_key(args);
    let elements = args.from(2);
    let mut db = context.shard.db(context.db);
    let existed = match db.peek(key) {
        Some(entry) => {
            checked(entry.string()?)?;
            true
        }
        None => false,
    };
    let (added, result) = db.edit_string(key, |bytes| {
        if !existed {
            *bytes = hyperloglog::empty();
        }
        let (added, result) = add_all(bytes, elements, sparse_bytes_max);
        // A new key is a change of its own.
        let count = added + usize::from(!existed);
        if count > 0 {
            hyperloglog::invalidate(bytes);
        }
        let change = Change::of(count, EventClass::STRING, PFADD_EVENT);
        ((count > 0, result), change)
    })?;
    match result {
        Ok(()) => context.reply.integer(i64::from(added)),
        // What was added before stays, as in Redis; so this is a reply, and no refusal.
        Err(Corrupted) => context.reply.error(CORRUPTED),
    }
    Ok(())
}

/// Adds elements up to the first that cannot be, and returns how many of them have raised a register.
fn add_all(
    bytes: &mut Vec<u8>,
    elements: Args<'_>,
    sparse_bytes_max: usize,
) -> (usize, Result<(), Corrupted>) {
    let mut added = 0;
    for element in elements.iter() {
        match hyperloglog::add(bytes, element, sparse_bytes_max) {
            Ok(raised) => added += usize::from(raised),
            Err(error) => return (added, Err(error)),
        }
    }
    (added, Ok(()))
}

fn pfcount(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    if args.len() > 2 {
        return pfcount_many(context, args);
    }
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let Some(entry) = db.lookup(key, context.touch) else {
        context.reply.integer(0);
        return Ok(());
    };
    let string = entry.string()?;
    checked(string)?;
    let cached = hyperloglog::cached_count(string);
    let count = cached.map_or_else(|| hyperloglog::count(string), Ok);
    let (news, change) = match count {
        Ok(count) if cached.is_none() => (Some(count), CHANGED),
        Ok(_) | Err(Corrupted) => (None, Change::NONE),
    };
    if news.is_some() || entry.encoding_name() != "raw" {
        // What is known now is kept in the string. Even without news it counts as edited.
        db.edit_bytes(key, 0, |bytes, _| {
            if let Some(count) = news {
                hyperloglog::set_cached_count(bytes, count);
            }
            ((), change)
        })?;
    }
    context.reply.integer(count?.cast_signed());
    Ok(())
}

/// A change that no event tells of.
const CHANGED: Change = Change {
    count: 1,
    event: None,
};

fn pfcount_many(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let mut registers = Registers::default();
    for word in args.from(1).iter() {
        let loan = context.borrow(word, true);
        if let Some(string) = context.loans.get(loan).string()? {
            checked(string)?;
            registers.merge(string)?;
        }
    }
    context.reply.integer(registers.count().cast_signed());
    Ok(())
}

fn pfmerge(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = context.first_key(args);
    let mut registers = Registers::default();
    let mut is_dense = false;
    let mut merge = |string: &[u8]| {
        is_dense |= checked(string)? == Encoding::Dense;
        registers.merge(string).map_err(CommandError::from)
    };
    // The target is edited in its place, so it is the one key that is not borrowed.
    let mut db = context.shard.db(context.db);
    let target = db.lookup(key, context.touch).map(EntryRef::string);
    let existed = target.is_some();
    target.transpose()?.map_or(Ok(()), &mut merge)?;
    for word in args.from(2).iter().filter(|word| *word != key.bytes) {
        let loan = context.borrow(word, true);
        let string = context.loans.get(loan).string()?;
        string.map_or(Ok(()), &mut merge)?;
    }
    let sparse_bytes_max = context.shard.options().limits.hll_sparse_bytes;
    let mut db = context.shard.db(context.db);
    db.edit_string(key, |bytes| {
        if !existed {
            *bytes = hyperloglog::empty();
        }
        let made = if is_dense {
            hyperloglog::make_dense(bytes).map(drop)
        } else {
            Ok(())
        };
        let written = made.and_then(|()| registers.write_to(bytes, sparse_bytes_max));
        hyperloglog::invalidate(bytes);
        (written, Change::of(1, EventClass::STRING, PFADD_EVENT))
    })??;
    context.reply.ok();
    Ok(())
}

fn pfdebug(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let word = args.word(1);
    let key = context.shard.key(args.word(2));
    let mut db = context.shard.db(context.db);
    let Some(entry) = db.peek(key) else {
        return Err(CommandError::Text("ERR The specified key does not exist"));
    };
    let encoding = checked(entry.string()?)?;
    // Whatever is asked, the string counts as edited from now on.
    db.edit_bytes(key, 0, |_, _| ((), Change::NONE))?;
    let string = db.peek(key).map_or(Ok(b"".as_slice()), EntryRef::string)?;
    if equals_ignore_case(word, "GETREG") {
        let mut registers = Registers::default();
        registers.merge(string)?;
        make_dense(context, args)?;
        context.reply.array(registers.values().len());
        for value in registers.values() {
            context.reply.integer(i64::from(*value));
        }
    } else if equals_ignore_case(word, "DECODE") {
        if encoding != Encoding::Sparse {
            return Err(CommandError::Text("ERR HLL encoding is not sparse"));
        }
        let text = hyperloglog::describe_sparse(string);
        context.reply.bulk_text(&text);
    } else if equals_ignore_case(word, "ENCODING") {
        context.reply.simple(encoding.name());
    } else if equals_ignore_case(word, "TODENSE") {
        let is_changed = make_dense(context, args)?;
        context.reply.integer(i64::from(is_changed));
    } else {
        return Err(CommandError::UnknownDebug(1));
    }
    Ok(())
}

/// Makes the HyperLogLog of a PFDEBUG request dense. Returns whether it was not.
fn make_dense(context: &mut Context<'_>, args: Args<'_>) -> Result<bool, CommandError> {
    let key = context.shard.key(args.word(2));
    let made = context.shard.db(context.db).edit_string(key, |bytes| {
        let made = hyperloglog::make_dense(bytes);
        let change = if made == Ok(true) {
            CHANGED
        } else {
            Change::NONE
        };
        (made, change)
    })?;
    Ok(made?)
}

fn pfselftest(context: &mut Context<'_>, _: Args<'_>) -> Result<(), CommandError> {
    if hyperloglog::self_test(context.random).is_err() {
        return Err(CommandError::Text(
            "TESTFAILED registers or estimates of HyperLogLogs are wrong",
        ));
    }
    context.reply.ok();
    Ok(())
}

const PFADD: Declaration = Declaration::new(
    "pfadd",
    Arity::AtLeast(2),
    Flags::WRITE.and(Flags::DENY_OOM).and(Flags::FAST),
)
.categories(&[Category::HyperLogLog])
.keys(&[KeySpec::at(1, &["RW", "insert"])])
.docs(
    Docs::new(
        "hyperloglog",
        "2.8.9",
        "Shows elements to a HyperLogLog, made if there is none; tells whether it has changed.",
        "O(1) for each element.",
    )
    .arguments(&[
        Argument::KEY,
        Argument::text("element").optional().multiple(),
    ]),
);

const PFCOUNT: Declaration = Declaration::new(
    "pfcount",
    Arity::AtLeast(2),
    Flags::READONLY.and(Flags::MAY_REPLICATE),
)
.categories(&[Category::HyperLogLog])
.keys(&[KeySpec::range(1, -1, 1, &["RW", "access"])
    .with_notes("Written to keep the number that was computed.")])
.docs(
    Docs::new(
        "hyperloglog",
        "2.8.9",
        "Estimates how many distinct elements some HyperLogLogs have seen together.",
        "O(1) for one key, O(N) for N keys, with a large constant.",
    )
    .arguments(&[Argument::KEY.multiple()]),
);

const PFMERGE: Declaration = Declaration::new(
    "pfmerge",
    Arity::AtLeast(2),
    Flags::WRITE.and(Flags::DENY_OOM),
)
.categories(&[Category::HyperLogLog])
.keys(&[
    KeySpec::at(1, &["RW", "access", "insert"]),
    KeySpec::range(2, -1, 1, &["RO", "access"]),
])
.docs(
    Docs::new(
        "hyperloglog",
        "2.8.9",
        "Merges HyperLogLogs into one, which has then seen what any of them has.",
        "O(N), N being the number of keys, with a large constant.",
    )
    .arguments(&[
        Argument::key("destkey", 0),
        Argument::key("sourcekey", 1).multiple(),
    ]),
);

const PFDEBUG: Declaration = Declaration::new(
    "pfdebug",
    Arity::Exactly(3),
    Flags::WRITE
        .and(Flags::DENY_OOM)
        .and(Flags::ADMIN)
        .and(Flags::SYSTEM),
)
.categories(&[Category::HyperLogLog])
.keys(&[KeySpec::at(2, &["RW", "access"])])
.docs(
    Docs::new(
        "hyperloglog",
        "2.8.9",
        "Shows the inside of a HyperLogLog.",
        "O(N), N being the number of registers.",
    )
    .arguments(&[Argument::text("subcommand"), Argument::KEY]),
);

const PFSELFTEST: Declaration = Declaration::new(
    "pfselftest",
    Arity::Exactly(1),
    Flags::ADMIN.and(Flags::SYSTEM),
)
.categories(&[Category::HyperLogLog])
.docs(Docs::new(
    "hyperloglog",
    "2.8.9",
    "Checks HyperLogLogs against each other and against a known number of elements.",
    "Some milliseconds.",
));
