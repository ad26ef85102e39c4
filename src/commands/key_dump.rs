//! Values as bytes: DUMP, RESTORE, and RESTORE-ASKING, which servers of a cluster send to each other.
//!
//! Not here: the form of the bytes (`types::rdb`).

use base::clock::UnixMillis;
use protocol::args::{Args, equals_ignore_case};
use shard::Shard;
use shard::effects::EventClass;
use shard::entry::ValueRef;
use shard::values::Recency;
use types::rdb::{self, Object, Refused, Surroundings};

use crate::spec::{
    Argument, Arity, Category, CommandError, Context, Declaration, Docs, Flags, KeySpec,
    ShardCommand, Spread,
};
use crate::words;

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[
    ShardCommand::new(DUMP, Spread::OneShard, dump),
    ShardCommand::new(RESTORE, Spread::OneShard, restore),
    ShardCommand::new(RESTORE_ASKING, Spread::OneShard, restore),
];

const INVALID_IDLE: &str = "ERR Invalid IDLETIME value, must be >= 0";
const INVALID_FREQUENCY: &str = "ERR Invalid FREQ value, must be >= 0 and <= 255";
const INVALID_TTL: &str = "ERR Invalid TTL value, must be >= 0";
const BUSY_KEY: &str = "BUSYKEY Target key name already exists.";
const WRONG_FOOTER: &str = "ERR DUMP payload version or checksum are wrong";
const BAD_DATA: &str = "ERR Bad data format";

fn dump(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let now = context.now;
    let key = context.shard.key(args.word(1));
    match context.shard.db(context.db).lookup(key, context.touch) {
        Some(entry) => context
            .reply
            .bulk(&rdb::dump(object_of(&entry.value()), now)),
        None => context.reply.null(),
    }
    Ok(())
}

/// Returns the value of a key as it is written.
pub(crate) fn object_of<'a>(value: &'a ValueRef<'_>) -> Object<'a> {
    match value {
        ValueRef::String(bytes) => Object::String(bytes),
        ValueRef::Other(value) => Object::Value(value),
    }
}

/// The options of RESTORE.
#[derive(Clone, Copy, Debug)]
struct Options {
    replaces: bool,
    is_absolute: bool,
    recency: Recency,
}

impl Options {
    fn parse(args: Args<'_>) -> Result<Self, CommandError> {
        let mut options = Self {
            replaces: false,
            is_absolute: false,
            recency: Recency::Now,
        };
        let mut index = 4;
        while let Some(word) = args.get(index) {
            let value = args.get(index + 1);
            index += 1;
            if equals_ignore_case(word, "REPLACE") {
                options.replaces = true;
            } else if equals_ignore_case(word, "ABSTTL") {
                options.is_absolute = true;
            } else if let Some(value) = value
                && equals_ignore_case(word, "IDLETIME")
                && !matches!(options.recency, Recency::Frequency(_))
            {
                let seconds = words::integer_or_refuse(value)?;
                let seconds = u64::try_from(seconds).ok();
                options.recency = Recency::Idle(seconds.ok_or(CommandError::Text(INVALID_IDLE))?);
                index += 1;
            } else if let Some(value) = value
                && equals_ignore_case(word, "FREQ")
                && !matches!(options.recency, Recency::Idle(_))
            {
                let frequency = words::integer_or_refuse(value)?;
                let frequency = u8::try_from(frequency).ok();
                options.recency =
                    Recency::Frequency(frequency.ok_or(CommandError::Text(INVALID_FREQUENCY))?);
                index += 1;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }
}

fn restore(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let options = Options::parse(args)?;
    let key = context.shard.key(args.word(1));
    if !options.replaces && context.shard.db(context.db).contains(key) {
        return Err(CommandError::Text(BUSY_KEY));
    }
    let ttl = words::integer_or_refuse(args.word(2))?;
    if ttl < 0 {
        return Err(CommandError::Text(INVALID_TTL));
    }
    let value = read(context.shard, context.now, args.word(3))?;
    let expire_at = (ttl > 0).then(|| {
        // Too late a time wraps in Redis and is then long ago.
        UnixMillis(if options.is_absolute {
            ttl
        } else {
            ttl.wrapping_add(context.now.0)
        })
    });
    let mut db = context.shard.db(context.db);
    if value.is_void() || expire_at.is_some_and(|at| at <= context.now) {
        if db.remove(key) {
            db.event(EventClass::GENERIC, "del", key);
        }
    } else {
        db.restore(key, value, expire_at, options.recency);
        db.event(EventClass::GENERIC, "restore", key);
    }
    context.reply.ok();
    Ok(())
}

fn read(shard: &Shard, now: UnixMillis, payload: &[u8]) -> Result<types::Value, CommandError> {
    let options = shard.options();
    let surroundings = Surroundings {
        limits: &options.limits,
        hash_seed: options.hash_seed,
        now,
    };
    rdb::restore(payload, &surroundings).map_err(|refused| {
        CommandError::Text(match refused {
            Refused::Footer => WRONG_FOOTER,
            Refused::Object => BAD_DATA,
        })
    })
}

const DUMP: Declaration = Declaration::new("dump", Arity::Exactly(2), Flags::READONLY)
    .categories(&[Category::Keyspace])
    .keys(&[KeySpec::at(1, &["RO", "access"])])
    .tips(&["nondeterministic_output"])
    .docs(
        Docs::new(
            "generic",
            "2.6.0",
            "Returns the value of a key as bytes that RESTORE takes.",
            "O(N) in the bytes of the value.",
        )
        .arguments(&[Argument::KEY]),
    );

const RESTORE_ARGUMENTS: &[Argument] = &[
    Argument::KEY,
    Argument::integer("ttl"),
    Argument::text("serialized-value"),
    Argument::token("replace", "REPLACE")
        .since("3.0.0")
        .optional(),
    Argument::token("absttl", "ABSTTL")
        .since("5.0.0")
        .optional(),
    Argument::integer("seconds")
        .with_token("IDLETIME")
        .since("5.0.0")
        .optional(),
    Argument::integer("frequency")
        .with_token("FREQ")
        .since("5.0.0")
        .optional(),
];

const RESTORE_HISTORY: &[(&str, &str)] = &[
    ("3.0.0", "`REPLACE` is new."),
    ("5.0.0", "`ABSTTL` is new."),
    ("5.0.0", "`IDLETIME` and `FREQ` are new."),
];

const RESTORE: Declaration = Declaration::new(
    "restore",
    Arity::AtLeast(4),
    Flags::WRITE.and(Flags::DENY_OOM),
)
.categories(&[Category::Keyspace, Category::Dangerous])
.keys(&[KeySpec::at(1, &["OW", "update"])])
.docs(
    Docs::new(
        "generic",
        "2.6.0",
        "Makes a key of the bytes that DUMP returned.",
        "O(N) in the bytes of the value, O(N*log(N)) for sorted sets.",
    )
    .history(RESTORE_HISTORY)
    .arguments(RESTORE_ARGUMENTS),
);

const RESTORE_ASKING: Declaration = Declaration::new(
    "restore-asking",
    Arity::AtLeast(4),
    Flags::WRITE
        .and(Flags::DENY_OOM)
        .and(Flags::ASKING)
        .and(Flags::SYSTEM),
)
.categories(&[Category::Keyspace, Category::Dangerous])
.keys(&[KeySpec::at(1, &["OW", "update"])])
.docs(
    Docs::new(
        "server",
        "3.0.0",
        "Makes a key that is moved from one server of a cluster to another.",
        "O(N) in the bytes of the value, O(N*log(N)) for sorted sets.",
    )
    .history(RESTORE_HISTORY)
    .arguments(RESTORE_ARGUMENTS),
);
