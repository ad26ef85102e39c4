//! Strings as a whole: GET, SET and the commands that combine them.
//!
//! GET and SET with three words are the hot path: no allocation, one lookup.
//!
//! Not here: parts of strings (`string_range`), numbers in strings (`string_number`), several keys
//! (`string_many`).

use std::borrow::Cow;

use base::clock::UnixMillis;
use protocol::args::{Args, equals_ignore_case};
use protocol::reply::Reply;
use shard::Key;
use shard::effects::EventClass;
use shard::entry::EntryRef;
use shard::keyspace::{Expiry, Plain};
use types::string::Origin;

use crate::spec::{
    Argument, Arity, Category, CommandError, Context, Declaration, Docs, Flags, KeySpec,
    ShardCommand, Spread,
};
use crate::steps::LONG_STRING_BYTES_MIN;
use crate::words::TimeForm;

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[
    ShardCommand::new(GET, Spread::OneShard, get),
    ShardCommand::new(SET, Spread::OneShard, set)
        .taking_large(2, set_large)
        .told_whole(),
    ShardCommand::new(SETEX, Spread::OneShard, setex)
        .taking_large(3, setex_large)
        .told_whole(),
    ShardCommand::new(PSETEX, Spread::OneShard, psetex)
        .taking_large(3, psetex_large)
        .told_whole(),
    ShardCommand::new(SETNX, Spread::OneShard, setnx)
        .taking_large(2, setnx_large)
        .told_whole(),
    ShardCommand::new(GETSET, Spread::OneShard, getset)
        .taking_large(2, getset_large)
        .told_whole(),
    ShardCommand::new(GETDEL, Spread::OneShard, getdel),
    ShardCommand::new(GETEX, Spread::OneShard, getex),
];

fn get(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = context.first_key(args);
    let reply = &mut context.reply;
    let mut db = context.shard.db(context.db);
    match db.read_plain(key, context.touch, |bytes| reply.bulk(bytes)) {
        Plain::Read(()) => {}
        Plain::Missing => reply.null(),
        Plain::Other => {
            reply_with_string(context, key)?;
        }
    }
    Ok(())
}

/// Replies with the string of `key` or null, and returns whether the key exists.
fn reply_with_string(context: &mut Context<'_>, key: Key<'_>) -> Result<bool, CommandError> {
    let mut db = context.shard.db(context.db);
    let Some(entry) = db.lookup(key, context.touch) else {
        context.reply.null();
        return Ok(false);
    };
    if let Some(bytes) = entry.beside_key() {
        context.reply.bulk(bytes);
        return Ok(true);
    }
    if let Some(len) = reply_unless_long(entry, &mut context.reply)? {
        context.reply_with_share(key, 0..len);
    }
    Ok(true)
}

/// Replies with a string, or returns its length if it is too long for that.
#[inline(never)]
fn reply_unless_long(
    entry: EntryRef<'_>,
    reply: &mut Reply<'_>,
) -> Result<Option<usize>, CommandError> {
    let bytes = entry.string()?;
    if bytes.len() >= LONG_STRING_BYTES_MIN {
        return Ok(Some(bytes.len()));
    }
    reply.bulk(bytes);
    Ok(None)
}

fn set(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    if args.len() > 3 {
        return set_with_options(context, args, Cow::Borrowed(args.word(2)));
    }
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    db.set_string(key, args.word(2), Expiry::Clear);
    db.event(EventClass::STRING, "set", key);
    context.reply.ok();
    Ok(())
}

fn set_large(
    context: &mut Context<'_>,
    args: Args<'_>,
    value: Vec<u8>,
) -> Result<(), CommandError> {
    set_with_options(context, args, Cow::Owned(value))
}

#[inline(never)]
fn set_with_options(
    context: &mut Context<'_>,
    args: Args<'_>,
    value: Cow<'_, [u8]>,
) -> Result<(), CommandError> {
    let options = Options::parse(args, 3, Command::Set)?;
    let expiry = match options.expiry {
        ExpiryOption::None | ExpiryOption::Persist => Expiry::Clear,
        ExpiryOption::Keep => Expiry::Keep,
        ExpiryOption::Time(form, word) => {
            Expiry::At(form.positive_point(args.word(word), context.now)?)
        }
    };
    let key = context.first_key(args);
    let exists = if options.get {
        reply_with_string(context, context.first_key(args))?
    } else {
        options.condition.is_some() && context.shard.db(context.db).contains(key)
    };
    let refused = match options.condition {
        None => false,
        Some(Condition::IfMissing) => exists,
        Some(Condition::IfExists) => !exists,
    };
    if !refused {
        store(context, key, value, expiry);
    }
    match (options.get, refused) {
        (true, _) => {}
        (false, true) => context.reply.null(),
        (false, false) => context.reply.ok(),
    }
    Ok(())
}

/// Stores a string and tells of it, and of its expiry if it has a new one.
fn store(context: &mut Context<'_>, key: Key<'_>, value: Cow<'_, [u8]>, expiry: Expiry) {
    let mut db = context.shard.db(context.db);
    match value {
        Cow::Borrowed(value) => db.set_string(key, value, expiry),
        Cow::Owned(value) => db.set_string_owned(key, value, expiry, Origin::Stored),
    }
    db.event(EventClass::STRING, "set", key);
    if matches!(expiry, Expiry::At(_)) {
        db.event(EventClass::GENERIC, "expire", key);
    }
}

fn setex(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let value = Cow::Borrowed(args.word(3));
    set_with_time(context, args, value, TimeForm::Seconds)
}

fn setex_large(
    context: &mut Context<'_>,
    args: Args<'_>,
    value: Vec<u8>,
) -> Result<(), CommandError> {
    set_with_time(context, args, Cow::Owned(value), TimeForm::Seconds)
}

fn psetex(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let value = Cow::Borrowed(args.word(3));
    set_with_time(context, args, value, TimeForm::Millis)
}

fn psetex_large(
    context: &mut Context<'_>,
    args: Args<'_>,
    value: Vec<u8>,
) -> Result<(), CommandError> {
    set_with_time(context, args, Cow::Owned(value), TimeForm::Millis)
}

fn set_with_time(
    context: &mut Context<'_>,
    args: Args<'_>,
    value: Cow<'_, [u8]>,
    form: TimeForm,
) -> Result<(), CommandError> {
    let at = form.positive_point(args.word(2), context.now)?;
    let key = context.first_key(args);
    store(context, key, value, Expiry::At(at));
    context.reply.ok();
    Ok(())
}

fn setnx(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    set_if_missing(context, args, Cow::Borrowed(args.word(2)));
    Ok(())
}

fn setnx_large(
    context: &mut Context<'_>,
    args: Args<'_>,
    value: Vec<u8>,
) -> Result<(), CommandError> {
    set_if_missing(context, args, Cow::Owned(value));
    Ok(())
}

fn set_if_missing(context: &mut Context<'_>, args: Args<'_>, value: Cow<'_, [u8]>) {
    let key = context.first_key(args);
    let exists = context.shard.db(context.db).contains(key);
    if !exists {
        store(context, key, value, Expiry::Clear);
    }
    context.reply.integer(i64::from(!exists));
}

fn getset(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    exchange(context, args, Cow::Borrowed(args.word(2)))
}

fn getset_large(
    context: &mut Context<'_>,
    args: Args<'_>,
    value: Vec<u8>,
) -> Result<(), CommandError> {
    exchange(context, args, Cow::Owned(value))
}

fn exchange(
    context: &mut Context<'_>,
    args: Args<'_>,
    value: Cow<'_, [u8]>,
) -> Result<(), CommandError> {
    reply_with_string(context, context.first_key(args))?;
    let key = context.first_key(args);
    store(context, key, value, Expiry::Clear);
    Ok(())
}

fn getdel(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    if reply_with_string(context, context.first_key(args))? {
        let key = context.first_key(args);
        let mut db = context.shard.db(context.db);
        db.remove(key);
        db.event(EventClass::GENERIC, "del", key);
    }
    Ok(())
}

fn getex(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let options = Options::parse(args, 2, Command::GetEx)?;
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let Some(entry) = db.lookup(key, context.touch) else {
        context.reply.null();
        return Ok(());
    };
    entry.string()?;
    // The time is looked at only now: a missing key and a wrong type come before a bad time.
    let change = ExpiryChange::of(options.expiry, args, context.now)?;
    let long = reply_unless_long(entry, &mut context.reply)?;
    if let Some(len) = long {
        context.reply_with_share(key, 0..len);
    }
    let mut db = context.shard.db(context.db);
    match change {
        ExpiryChange::None => {}
        ExpiryChange::Set(at) if at <= context.now => {
            db.remove(key);
            db.event(EventClass::GENERIC, "del", key);
        }
        ExpiryChange::Set(at) => {
            db.set_expiry(key, Some(at));
            db.event(EventClass::GENERIC, "expire", key);
        }
        ExpiryChange::Drop => {
            if db.set_expiry(key, None) {
                db.event(EventClass::GENERIC, "persist", key);
            }
        }
    }
    Ok(())
}

/// What GETEX does to the expiry of its key.
enum ExpiryChange {
    None,
    Set(UnixMillis),
    Drop,
}

impl ExpiryChange {
    fn of(option: ExpiryOption, args: Args<'_>, now: UnixMillis) -> Result<Self, CommandError> {
        Ok(match option {
            ExpiryOption::None | ExpiryOption::Keep => Self::None,
            ExpiryOption::Persist => Self::Drop,
            ExpiryOption::Time(form, word) => Self::Set(form.positive_point(args.word(word), now)?),
        })
    }
}

/// The commands that share one reader of options.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Command {
    Set,
    GetEx,
}

/// When SET is to go ahead.
#[derive(Clone, Copy)]
enum Condition {
    /// `NX`.
    IfMissing,
    /// `XX`.
    IfExists,
}

/// What is said of the expiry.
#[derive(Clone, Copy)]
enum ExpiryOption {
    None,
    /// `KEEPTTL`.
    Keep,
    /// `PERSIST`.
    Persist,
    /// `EX`, `PX`, `EXAT` or `PXAT`, and the index of the word with the time.
    Time(TimeForm, usize),
}

/// The options of SET and GETEX.
struct Options {
    condition: Option<Condition>,
    get: bool,
    expiry: ExpiryOption,
}

impl Options {
    /// Reads the words from `first` on. Options may repeat; those that contradict each other, belong
    /// to the other command or are unknown are a syntax error. Times are not looked at yet.
    fn parse(args: Args<'_>, first: usize, command: Command) -> Result<Self, CommandError> {
        let mut options = Self {
            condition: None,
            get: false,
            expiry: ExpiryOption::None,
        };
        let mut index = first;
        while let Some(word) = args.get(index) {
            index += 1;
            if let Some(form) = time_form(word) {
                options.set_time(form, index)?;
                // The time itself must be there.
                args.get(index).ok_or(CommandError::Syntax)?;
                index += 1;
            } else {
                options.set_word(word, command)?;
            }
        }
        Ok(options)
    }

    fn set_time(&mut self, form: TimeForm, word: usize) -> Result<(), CommandError> {
        match self.expiry {
            ExpiryOption::None => {}
            // The same option once more: the last one counts.
            ExpiryOption::Time(before, _) if before == form => {}
            ExpiryOption::Time(..) | ExpiryOption::Keep | ExpiryOption::Persist => {
                return Err(CommandError::Syntax);
            }
        }
        self.expiry = ExpiryOption::Time(form, word);
        Ok(())
    }

    fn set_word(&mut self, word: &[u8], command: Command) -> Result<(), CommandError> {
        match command {
            Command::Set if equals_ignore_case(word, "NX") => match self.condition {
                Some(Condition::IfExists) => return Err(CommandError::Syntax),
                Some(Condition::IfMissing) | None => self.condition = Some(Condition::IfMissing),
            },
            Command::Set if equals_ignore_case(word, "XX") => match self.condition {
                Some(Condition::IfMissing) => return Err(CommandError::Syntax),
                Some(Condition::IfExists) | None => self.condition = Some(Condition::IfExists),
            },
            Command::Set if equals_ignore_case(word, "GET") => self.get = true,
            Command::Set if equals_ignore_case(word, "KEEPTTL") => match self.expiry {
                ExpiryOption::None | ExpiryOption::Keep => self.expiry = ExpiryOption::Keep,
                ExpiryOption::Persist | ExpiryOption::Time(..) => return Err(CommandError::Syntax),
            },
            Command::GetEx if equals_ignore_case(word, "PERSIST") => match self.expiry {
                ExpiryOption::None | ExpiryOption::Persist => self.expiry = ExpiryOption::Persist,
                ExpiryOption::Keep | ExpiryOption::Time(..) => return Err(CommandError::Syntax),
            },
            Command::Set | Command::GetEx => return Err(CommandError::Syntax),
        }
        Ok(())
    }
}

fn time_form(word: &[u8]) -> Option<TimeForm> {
    if equals_ignore_case(word, "EX") {
        Some(TimeForm::Seconds)
    } else if equals_ignore_case(word, "PX") {
        Some(TimeForm::Millis)
    } else if equals_ignore_case(word, "EXAT") {
        Some(TimeForm::AtSeconds)
    } else if equals_ignore_case(word, "PXAT") {
        Some(TimeForm::AtMillis)
    } else {
        None
    }
}

const GET: Declaration =
    Declaration::new("get", Arity::Exactly(2), Flags::READONLY.and(Flags::FAST))
        .categories(&[Category::String])
        .keys(&[KeySpec::at(1, &["RO", "access"])])
        .docs(
            Docs::new(
                "string",
                "1.0.0",
                "Returns the string stored at a key.",
                "O(1)",
            )
            .arguments(&[Argument::KEY]),
        );

const SET: Declaration = Declaration::new(
    "set",
    Arity::AtLeast(3),
    Flags::WRITE.and(Flags::DENY_OOM),
)
.categories(&[Category::String])
.keys(&[
    KeySpec::at(1, &["RW", "access", "update", "variable_flags"])
        .with_notes("Reads the key only when `GET` is given."),
])
.docs(
    Docs::new(
        "string",
        "1.0.0",
        "Stores a string at a key, replacing any value; conditions and an expiry are optional.",
        "O(1)",
    )
    .history(&[
        ("2.6.12", "`EX`, `PX`, `NX` and `XX` came."),
        ("6.0.0", "`KEEPTTL` came."),
        ("6.2.0", "`GET`, `EXAT` and `PXAT` came."),
        ("7.0.0", "`NX` may stand together with `GET`."),
    ])
    .arguments(&[
        Argument::KEY,
        Argument::text("value"),
        Argument::one_of(
            "condition",
            &[Argument::token("nx", "NX"), Argument::token("xx", "XX")],
        )
        .since("2.6.12")
        .optional(),
        Argument::token("get", "GET").since("6.2.0").optional(),
        Argument::one_of(
            "expiration",
            &[
                Argument::integer("seconds")
                    .with_token("EX")
                    .since("2.6.12"),
                Argument::integer("milliseconds")
                    .with_token("PX")
                    .since("2.6.12"),
                Argument::unix_time("unix-time-seconds")
                    .with_token("EXAT")
                    .since("6.2.0"),
                Argument::unix_time("unix-time-milliseconds")
                    .with_token("PXAT")
                    .since("6.2.0"),
                Argument::token("keepttl", "KEEPTTL").since("6.0.0"),
            ],
        )
        .optional(),
    ]),
);

const SETEX: Declaration = Declaration::new(
    "setex",
    Arity::Exactly(4),
    Flags::WRITE.and(Flags::DENY_OOM),
)
.categories(&[Category::String])
.keys(&[KeySpec::at(1, &["OW", "update"])])
.docs(
    Docs::new(
        "string",
        "2.0.0",
        "Stores a string that expires after some seconds.",
        "O(1)",
    )
    .arguments(&[
        Argument::KEY,
        Argument::integer("seconds"),
        Argument::text("value"),
    ]),
);

const PSETEX: Declaration = Declaration::new(
    "psetex",
    Arity::Exactly(4),
    Flags::WRITE.and(Flags::DENY_OOM),
)
.categories(&[Category::String])
.keys(&[KeySpec::at(1, &["OW", "update"])])
.docs(
    Docs::new(
        "string",
        "2.6.0",
        "Stores a string that expires after some milliseconds.",
        "O(1)",
    )
    .arguments(&[
        Argument::KEY,
        Argument::integer("milliseconds"),
        Argument::text("value"),
    ]),
);

const SETNX: Declaration = Declaration::new(
    "setnx",
    Arity::Exactly(3),
    Flags::WRITE.and(Flags::DENY_OOM).and(Flags::FAST),
)
.categories(&[Category::String])
.keys(&[KeySpec::at(1, &["OW", "insert"])])
.docs(
    Docs::new(
        "string",
        "1.0.0",
        "Stores a string only where there is no key yet.",
        "O(1)",
    )
    .arguments(&[Argument::KEY, Argument::text("value")]),
);

const GETSET: Declaration = Declaration::new(
    "getset",
    Arity::Exactly(3),
    Flags::WRITE.and(Flags::DENY_OOM).and(Flags::FAST),
)
.categories(&[Category::String])
.keys(&[KeySpec::at(1, &["RW", "access", "update"])])
.docs(
    Docs::new(
        "string",
        "1.0.0",
        "Stores a string and returns the one before it.",
        "O(1)",
    )
    .deprecated("6.2.0", "`SET` with the `!GET` argument")
    .arguments(&[Argument::KEY, Argument::text("value")]),
);

const GETDEL: Declaration =
    Declaration::new("getdel", Arity::Exactly(2), Flags::WRITE.and(Flags::FAST))
        .categories(&[Category::String])
        .keys(&[KeySpec::at(1, &["RW", "access", "delete"])])
        .docs(
            Docs::new(
                "string",
                "6.2.0",
                "Returns a string and removes its key.",
                "O(1)",
            )
            .arguments(&[Argument::KEY]),
        );

const GETEX: Declaration =
    Declaration::new("getex", Arity::AtLeast(2), Flags::WRITE.and(Flags::FAST))
        .categories(&[Category::String])
        .keys(&[KeySpec::at(1, &["RW", "access", "update"])
            .with_notes("Writes the key only to change its expiry.")])
        .docs(
            Docs::new(
                "string",
                "6.2.0",
                "Returns a string and changes or drops the expiry of its key.",
                "O(1)",
            )
            .arguments(&[
                Argument::KEY,
                Argument::one_of(
                    "expiration",
                    &[
                        Argument::integer("seconds").with_token("EX"),
                        Argument::integer("milliseconds").with_token("PX"),
                        Argument::unix_time("unix-time-seconds").with_token("EXAT"),
                        Argument::unix_time("unix-time-milliseconds").with_token("PXAT"),
                        Argument::token("persist", "PERSIST"),
                    ],
                )
                .optional(),
            ]),
        );
