//! When fields of hashes expire: setting, asking, taking it off.
//!
//! Redis has these commands since 7.4. Source: their documentation; the error texts are those of 7.4
//! and 8.0.

use base::clock::UnixMillis;
use protocol::args::{Args, equals_ignore_case};
use shard::effects::{Change, EventClass};
use types::hash::{Growth, Hash};

use crate::expiry_condition::Condition;
use crate::hash::growth;
use crate::spec::{
    Argument, Arity, Category, CommandError, Context, Declaration, Docs, Flags, KeySpec,
    ShardCommand, Spread,
};
use crate::words::{self, TimeForm};

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[
    ShardCommand::new(HEXPIRE, Spread::OneShard, hexpire),
    ShardCommand::new(HPEXPIRE, Spread::OneShard, hpexpire),
    ShardCommand::new(HEXPIREAT, Spread::OneShard, hexpireat),
    ShardCommand::new(HPEXPIREAT, Spread::OneShard, hpexpireat),
    ShardCommand::new(HTTL, Spread::OneShard, httl),
    ShardCommand::new(HPTTL, Spread::OneShard, hpttl),
    ShardCommand::new(HEXPIRETIME, Spread::OneShard, hexpiretime),
    ShardCommand::new(HPEXPIRETIME, Spread::OneShard, hpexpiretime),
    ShardCommand::new(HPERSIST, Spread::OneShard, hpersist),
];

/// Latest time of an expiry, as in Redis: 46 bits of milliseconds.
const EXPIRE_AT_MAX: i64 = (1 << 46) - 1;

/// The reply for a field that does not exist.
const NO_FIELD: i64 = -2;

/// Reads the time of an expiry, as HEXPIRE and its like want it.
///
/// # Errors
///
/// If it is no integer, negative, or beyond [`EXPIRE_AT_MAX`].
pub(crate) fn expiry_point(
    form: TimeForm,
    word: &[u8],
    now: UnixMillis,
) -> Result<UnixMillis, CommandError> {
    let amount = words::integer_or_refuse(word)?;
    if amount < 0 {
        return Err(CommandError::Text("ERR invalid expire time, must be >= 0"));
    }
    form.point(amount, now)
        .filter(|at| at.0 <= EXPIRE_AT_MAX)
        .ok_or(CommandError::InvalidExpire)
}

/// Reads `FIELDS count field...` from a word on, to the end; returns the fields.
///
/// # Errors
///
/// `no_number` if the count is not above zero; texts of Redis for the rest.
pub(crate) fn fields_from<'a>(
    args: Args<'a>,
    index: usize,
    no_number: &'static str,
) -> Result<Args<'a>, CommandError> {
    if !args
        .get(index)
        .is_some_and(|word| equals_ignore_case(word, "FIELDS"))
    {
        return Err(CommandError::Text(
            "ERR Mandatory argument FIELDS is missing or not at the right position",
        ));
    }
    let count = args.get(index + 1).and_then(words::integer);
    let count = count
        .filter(|count| *count > 0)
        .ok_or(CommandError::Text(no_number))?;
    let fields = args.from(index + 2);
    if base::cast::i64_from(fields.len()) != count {
        return Err(CommandError::Text(
            "ERR The `numfields` parameter must match the number of arguments",
        ));
    }
    Ok(fields)
}

/// As [`fields_from`], with the text of most commands.
pub(crate) fn fields_at(args: Args<'_>, index: usize) -> Result<Args<'_>, CommandError> {
    fields_from(
        args,
        index,
        "ERR Number of fields must be a positive integer",
    )
}

/// Refuses a key that holds something else than a hash.
pub(crate) fn check_type(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    if let Some(entry) = db.peek(key) {
        entry.check::<Hash>()?;
    }
    Ok(())
}

fn hexpire(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    set_expiries(context, args, TimeForm::Seconds)
}

fn hpexpire(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    set_expiries(context, args, TimeForm::Millis)
}

fn hexpireat(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    set_expiries(context, args, TimeForm::AtSeconds)
}

fn hpexpireat(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    set_expiries(context, args, TimeForm::AtMillis)
}

fn set_expiries(
    context: &mut Context<'_>,
    args: Args<'_>,
    form: TimeForm,
) -> Result<(), CommandError> {
    check_type(context, args)?;
    let now = context.now;
    let at = expiry_point(form, args.word(2), now)?;
    let condition = Condition::of(args.word(3));
    let fields = fields_from(
        args,
        3 + usize::from(condition.is_some()),
        "ERR Parameter `numFields` should be greater than 0",
    )?;
    let setting = Setting {
        at,
        condition,
        growth: growth(context),
        now,
    };
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let reply = &mut context.reply;
    reply.array(fields.len());
    let is_hash = db.edit::<Hash, _>(key, |hash| {
        let (mut changed, mut event) = (0, "hexpire");
        for field in fields.iter() {
            let outcome = setting.apply(hash, field);
            changed += usize::from(outcome.is_change());
            if outcome == Outcome::Removed {
                event = "hdel";
            }
            reply.integer(outcome.code());
        }
        ((), Change::of(changed, EventClass::HASH, event))
    })?;
    if is_hash.is_none() {
        fields.iter().for_each(|_| reply.integer(NO_FIELD));
    }
    Ok(())
}

/// What HEXPIRE does to one field.
struct Setting {
    at: UnixMillis,
    condition: Option<Condition>,
    growth: Growth,
    now: UnixMillis,
}

/// What became of a field.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    NoField,
    Refused,
    Set,
    /// The time is over already.
    Removed,
}

impl Outcome {
    fn code(self) -> i64 {
        match self {
            Self::NoField => NO_FIELD,
            Self::Refused => 0,
            Self::Set => 1,
            Self::Removed => 2,
        }
    }

    fn is_change(self) -> bool {
        match self {
            Self::NoField | Self::Refused => false,
            Self::Set | Self::Removed => true,
        }
    }
}

impl Setting {
    fn apply(&self, hash: &mut Hash, field: &[u8]) -> Outcome {
        let Some(before) = hash.expire_at(field, self.now) else {
            return Outcome::NoField;
        };
        if !self.condition.is_none_or(|it| it.allows(before, self.at)) {
            return Outcome::Refused;
        }
        if self.at <= self.now {
            hash.remove(field, self.now);
            return Outcome::Removed;
        }
        hash.set_expiry(field, Some(self.at), &self.growth, self.now);
        Outcome::Set
    }
}

fn httl(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    reply_with_times(context, args, |at, now| seconds_up(at.0 - now.0))
}

fn hpttl(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    reply_with_times(context, args, |at, now| at.0 - now.0)
}

fn hexpiretime(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    reply_with_times(context, args, |at, _| seconds_up(at.0))
}

fn hpexpiretime(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    reply_with_times(context, args, |at, _| at.0)
}

/// Rounds milliseconds that are not negative up to seconds, as Redis does for fields (not for keys).
fn seconds_up(millis: i64) -> i64 {
    millis / 1000 + i64::from(millis % 1000 > 0)
}

/// Replies for each field with what `shown` makes of its expiry and the present time, -1 if it has no
/// expiry, -2 if there is no field. A live field's expiry is never before the present time.
fn reply_with_times(
    context: &mut Context<'_>,
    args: Args<'_>,
    shown: fn(UnixMillis, UnixMillis) -> i64,
) -> Result<(), CommandError> {
    let (now, key) = (context.now, context.first_key(args));
    let mut db = context.shard.db(context.db);
    let hash = db.read::<Hash>(key, false)?;
    let fields = fields_at(args, 2)?;
    context.reply.array(fields.len());
    for field in fields.iter() {
        let time = match hash.and_then(|hash| hash.expire_at(field, now)) {
            None => NO_FIELD,
            Some(None) => -1,
            Some(Some(at)) => shown(at, now),
        };
        context.reply.integer(time);
    }
    Ok(())
}

fn hpersist(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    check_type(context, args)?;
    let fields = fields_at(args, 2)?;
    let (growth, now) = (growth(context), context.now);
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let reply = &mut context.reply;
    reply.array(fields.len());
    let is_hash = db.edit::<Hash, _>(key, |hash| {
        let mut changed = 0;
        for field in fields.iter() {
            let code = match hash.expire_at(field, now) {
                None => NO_FIELD,
                Some(None) => -1,
                Some(Some(_)) => {
                    hash.set_expiry(field, None, &growth, now);
                    changed += 1;
                    1
                }
            };
            reply.integer(code);
        }
        ((), Change::of(changed, EventClass::HASH, "hpersist"))
    })?;
    if is_hash.is_none() {
        fields.iter().for_each(|_| reply.integer(NO_FIELD));
    }
    Ok(())
}

const HEXPIRE: Declaration = Declaration::new(
    "hexpire",
    Arity::AtLeast(6),
    Flags::WRITE.and(Flags::DENY_OOM).and(Flags::FAST),
)
.categories(&[Category::Hash])
.keys(&[KeySpec::at(1, &["RW", "update"])])
.docs(
    Docs::new(
        "hash",
        "7.4.0",
        "Lets fields expire after some seconds.",
        "O(N), N being the number of fields given.",
    )
    .arguments(&[
        Argument::KEY,
        Argument::integer("seconds"),
        Argument::one_of(
            "condition",
            &[
                Argument::token("nx", "NX"),
                Argument::token("xx", "XX"),
                Argument::token("gt", "GT"),
                Argument::token("lt", "LT"),
            ],
        )
        .optional(),
        Argument::block(
            "fields",
            &[
                Argument::integer("numfields"),
                Argument::text("field").multiple(),
            ],
        )
        .with_token("FIELDS"),
    ]),
);

const HPEXPIRE: Declaration = Declaration::new(
    "hpexpire",
    Arity::AtLeast(6),
    Flags::WRITE.and(Flags::DENY_OOM).and(Flags::FAST),
)
.categories(&[Category::Hash])
.keys(&[KeySpec::at(1, &["RW", "update"])])
.docs(
    Docs::new(
        "hash",
        "7.4.0",
        "Lets fields expire after some milliseconds.",
        "O(N), N being the number of fields given.",
    )
    .arguments(&[
        Argument::KEY,
        Argument::integer("milliseconds"),
        Argument::one_of(
            "condition",
            &[
                Argument::token("nx", "NX"),
                Argument::token("xx", "XX"),
                Argument::token("gt", "GT"),
                Argument::token("lt", "LT"),
            ],
        )
        .optional(),
        Argument::block(
            "fields",
            &[
                Argument::integer("numfields"),
                Argument::text("field").multiple(),
            ],
        )
        .with_token("FIELDS"),
    ]),
);

const HEXPIREAT: Declaration = Declaration::new(
    "hexpireat",
    Arity::AtLeast(6),
    Flags::WRITE.and(Flags::DENY_OOM).and(Flags::FAST),
)
.categories(&[Category::Hash])
.keys(&[KeySpec::at(1, &["RW", "update"])])
.docs(
    Docs::new(
        "hash",
        "7.4.0",
        "Lets fields expire at a point in time given in Unix seconds.",
        "O(N), N being the number of fields given.",
    )
    .arguments(&[
        Argument::KEY,
        Argument::unix_time("unix-time-seconds"),
        Argument::one_of(
            "condition",
            &[
                Argument::token("nx", "NX"),
                Argument::token("xx", "XX"),
                Argument::token("gt", "GT"),
                Argument::token("lt", "LT"),
            ],
        )
        .optional(),
        Argument::block(
            "fields",
            &[
                Argument::integer("numfields"),
                Argument::text("field").multiple(),
            ],
        )
        .with_token("FIELDS"),
    ]),
);

const HPEXPIREAT: Declaration = Declaration::new(
    "hpexpireat",
    Arity::AtLeast(6),
    Flags::WRITE.and(Flags::DENY_OOM).and(Flags::FAST),
)
.categories(&[Category::Hash])
.keys(&[KeySpec::at(1, &["RW", "update"])])
.docs(
    Docs::new(
        "hash",
        "7.4.0",
        "Lets fields expire at a point in time given in Unix milliseconds.",
        "O(N), N being the number of fields given.",
    )
    .arguments(&[
        Argument::KEY,
        Argument::unix_time("unix-time-milliseconds"),
        Argument::one_of(
            "condition",
            &[
                Argument::token("nx", "NX"),
                Argument::token("xx", "XX"),
                Argument::token("gt", "GT"),
                Argument::token("lt", "LT"),
            ],
        )
        .optional(),
        Argument::block(
            "fields",
            &[
                Argument::integer("numfields"),
                Argument::text("field").multiple(),
            ],
        )
        .with_token("FIELDS"),
    ]),
);

const HTTL: Declaration =
    Declaration::new("httl", Arity::AtLeast(5), Flags::READONLY.and(Flags::FAST))
        .categories(&[Category::Hash])
        .keys(&[KeySpec::at(1, &["RO", "access"])])
        .tips(&["nondeterministic_output"])
        .docs(
            Docs::new(
                "hash",
                "7.4.0",
                "Returns the seconds until fields expire.",
                "O(N), N being the number of fields given.",
            )
            .arguments(&[
                Argument::KEY,
                Argument::block(
                    "fields",
                    &[
                        Argument::integer("numfields"),
                        Argument::text("field").multiple(),
                    ],
                )
                .with_token("FIELDS"),
            ]),
        );

const HPTTL: Declaration =
    Declaration::new("hpttl", Arity::AtLeast(5), Flags::READONLY.and(Flags::FAST))
        .categories(&[Category::Hash])
        .keys(&[KeySpec::at(1, &["RO", "access"])])
        .tips(&["nondeterministic_output"])
        .docs(
            Docs::new(
                "hash",
                "7.4.0",
                "Returns the milliseconds until fields expire.",
                "O(N), N being the number of fields given.",
            )
            .arguments(&[
                Argument::KEY,
                Argument::block(
                    "fields",
                    &[
                        Argument::integer("numfields"),
                        Argument::text("field").multiple(),
                    ],
                )
                .with_token("FIELDS"),
            ]),
        );

const HEXPIRETIME: Declaration = Declaration::new(
    "hexpiretime",
    Arity::AtLeast(5),
    Flags::READONLY.and(Flags::FAST),
)
.categories(&[Category::Hash])
.keys(&[KeySpec::at(1, &["RO", "access"])])
.docs(
    Docs::new(
        "hash",
        "7.4.0",
        "Returns when fields expire, in Unix seconds.",
        "O(N), N being the number of fields given.",
    )
    .arguments(&[
        Argument::KEY,
        Argument::block(
            "fields",
            &[
                Argument::integer("numfields"),
                Argument::text("field").multiple(),
            ],
        )
        .with_token("FIELDS"),
    ]),
);

const HPEXPIRETIME: Declaration = Declaration::new(
    "hpexpiretime",
    Arity::AtLeast(5),
    Flags::READONLY.and(Flags::FAST),
)
.categories(&[Category::Hash])
.keys(&[KeySpec::at(1, &["RO", "access"])])
.docs(
    Docs::new(
        "hash",
        "7.4.0",
        "Returns when fields expire, in Unix milliseconds.",
        "O(N), N being the number of fields given.",
    )
    .arguments(&[
        Argument::KEY,
        Argument::block(
            "fields",
            &[
                Argument::integer("numfields"),
                Argument::text("field").multiple(),
            ],
        )
        .with_token("FIELDS"),
    ]),
);

const HPERSIST: Declaration =
    Declaration::new("hpersist", Arity::AtLeast(5), Flags::WRITE.and(Flags::FAST))
        .categories(&[Category::Hash])
        .keys(&[KeySpec::at(1, &["RW", "update"])])
        .docs(
            Docs::new(
                "hash",
                "7.4.0",
                "Takes the expiry off fields.",
                "O(N), N being the number of fields given.",
            )
            .arguments(&[
                Argument::KEY,
                Argument::block(
                    "fields",
                    &[
                        Argument::integer("numfields"),
                        Argument::text("field").multiple(),
                    ],
                )
                .with_token("FIELDS"),
            ]),
        );

#[cfg(test)]
mod tests {
    use crate::transcripts::Player;

    #[track_caller]
    fn check(player: &mut Player, request: &str, expected: &str) {
        let reply = player.run(request);
        assert_eq!(
            reply.escape_ascii().to_string(),
            expected.replace('|', "\r\n").escape_default().to_string(),
            "{request}"
        );
    }

    /// Makes the next hashes tables, or listpacks.
    fn players() -> [Player; 2] {
        let mut players = [Player::new(), Player::new()];
        let mut options = *players[1].shard.options();
        options.limits.hash_listpack_entries = 0;
        players[1].shard.set_options(options);
        players
    }

    #[test]
    fn dead_fields_are_invisible_to_every_command_at_once() {
        for mut player in players() {
            player.run("HSET h a 1 b 2 c 3");
            player.run("HPEXPIRE h 100 FIELDS 2 a b");
            player.now.0 += 100;
            check(&mut player, "HLEN h", ":3|");
            check(&mut player, "HPTTL h FIELDS 2 a c", "*2|:0|:-1|");
            player.now.0 += 1;
            let requests = [
                ("HLEN h", ":1|"),
                ("HGET h a", "$-1|"),
                ("HMGET h a c b", "*3|$-1|$1|3|$-1|"),
                ("HGETALL h", "*2|$1|c|$1|3|"),
                ("HKEYS h", "*1|$1|c|"),
                ("HVALS h", "*1|$1|3|"),
                ("HEXISTS h a", ":0|"),
                ("HSTRLEN h a", ":0|"),
                ("HRANDFIELD h", "$1|c|"),
                ("HRANDFIELD h 5", "*1|$1|c|"),
                ("HSCAN h 0", "*2|$1|0|*2|$1|c|$1|3|"),
                ("HTTL h FIELDS 1 a", "*1|:-2|"),
                ("HEXPIRE h 100 FIELDS 1 a", "*1|:-2|"),
                ("HPERSIST h FIELDS 1 a", "*1|:-2|"),
                ("HGETDEL h FIELDS 1 a", "*1|$-1|"),
                ("HGETEX h EX 5 FIELDS 1 a", "*1|$-1|"),
                ("HSETEX h FXX KEEPTTL FIELDS 1 a 1", ":0|"),
                ("HDEL h a b", ":0|"),
                ("HINCRBY h a 5", ":5|"),
                ("HSETNX h b 7", ":1|"),
                ("HTTL h FIELDS 2 a b", "*2|:-1|:-1|"),
                ("HSET h a 1 b 2 c 3", ":0|"),
            ];
            for (request, reply) in requests {
                check(&mut player, request, reply);
            }
        }
    }

    #[test]
    fn hash_of_which_all_fields_are_dead_does_not_exist() {
        for mut player in players() {
            let requests = [
                ("EXISTS h", ":0|"),
                ("TYPE h", "+none|"),
                ("HGETALL h", "*0|"),
                ("SET h v NX", "+OK|"),
                ("KEYS *", "*0|"),
                ("SCAN 0", "*2|$1|0|*0|"),
                ("RANDOMKEY", "$-1|"),
                ("RENAME h other", "-ERR no such key|"),
                ("COPY h other", ":0|"),
                ("DEL h", ":0|"),
                ("EXPIRE h 10", ":0|"),
                ("HSET h a 1", ":1|"),
            ];
            for (request, reply) in requests {
                player.run("DEL h");
                player.run("HSET h a 1 b 2");
                player.run("HPEXPIRE h 100 FIELDS 2 a b");
                player.now.0 += 101;
                check(&mut player, request, reply);
            }
            assert_eq!(player.shard.stats().expired_keys, 0);
        }
    }

    #[test]
    fn more_dead_fields_than_a_lookup_removes_stay_invisible() {
        for mut player in players() {
            for number in 0..1000 {
                player.run(&format!("HSETEX h PX 100 FIELDS 1 f{number} v"));
            }
            player.run("HSET h live v");
            player.now.0 += 101;
            check(&mut player, "HLEN h", ":1|");
            check(&mut player, "HKEYS h", "*1|$4|live|");
            check(&mut player, "HRANDFIELD h -2", "*2|$4|live|$4|live|");
            check(&mut player, "HSETNX h f999 v", ":1|");
            check(&mut player, "HLEN h", ":2|");
            check(&mut player, "HDEL h f500", ":0|");
            check(&mut player, "HDEL h live f999", ":2|");
            check(&mut player, "EXISTS h", ":0|");
        }
    }

    #[test]
    fn expiries_count_as_changes_and_removals_too() {
        let mut player = Player::new();
        player.run("HSET h a 1 b 2");
        let before = player.shard.stats().dirty;
        player.run("HEXPIRE h 10 FIELDS 3 a b c");
        assert_eq!(player.shard.stats().dirty, before + 2);
        player.run("HEXPIRE h 10 NX FIELDS 1 a");
        assert_eq!(player.shard.stats().dirty, before + 2);
        player.run("HEXPIRE h 0 FIELDS 1 a");
        assert_eq!(player.shard.stats().dirty, before + 3);
        player.run("HGETEX h FIELDS 1 b");
        assert_eq!(player.shard.stats().dirty, before + 3);
        player.run("HGETEX h PERSIST FIELDS 1 b");
        assert_eq!(player.shard.stats().dirty, before + 4);
    }
}
