//! When keys expire: setting, asking, taking it off.

use base::clock::UnixMillis;
use protocol::args::Args;
use shard::effects::EventClass;

use crate::expiry_condition::Condition;
use crate::spec::{
    Argument, Arity, Category, CommandError, Context, Declaration, Docs, Flags, KeySpec,
    ShardCommand, Spread,
};
use crate::words::{self, TimeForm};

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[
    ShardCommand::new(EXPIRE, Spread::OneShard, expire),
    ShardCommand::new(PEXPIRE, Spread::OneShard, pexpire),
    ShardCommand::new(EXPIREAT, Spread::OneShard, expireat),
    ShardCommand::new(PEXPIREAT, Spread::OneShard, pexpireat),
    ShardCommand::new(TTL, Spread::OneShard, ttl),
    ShardCommand::new(PTTL, Spread::OneShard, pttl),
    ShardCommand::new(EXPIRETIME, Spread::OneShard, expiretime),
    ShardCommand::new(PEXPIRETIME, Spread::OneShard, pexpiretime),
    ShardCommand::new(PERSIST, Spread::OneShard, persist),
];

fn expire(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    set_expiry(context, args, TimeForm::Seconds)
}

fn pexpire(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    set_expiry(context, args, TimeForm::Millis)
}

fn expireat(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    set_expiry(context, args, TimeForm::AtSeconds)
}

fn pexpireat(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    set_expiry(context, args, TimeForm::AtMillis)
}

fn set_expiry(
    context: &mut Context<'_>,
    args: Args<'_>,
    form: TimeForm,
) -> Result<(), CommandError> {
    let conditions = Conditions::parse(args)?;
    let amount = words::integer_or_refuse(args.word(2))?;
    let at = form
        .point(amount, context.now)
        .ok_or(CommandError::InvalidExpire)?;
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let done = match db.peek(key).map(|entry| entry.expire_at()) {
        None => false,
        Some(before) if !conditions.allow(before, at) => false,
        Some(_) if at <= context.now => {
            db.remove(key);
            db.event(EventClass::GENERIC, "del", key);
            true
        }
        Some(_) => {
            db.set_expiry(key, Some(at));
            db.event(EventClass::GENERIC, "expire", key);
            true
        }
    };
    context.reply.integer(i64::from(done));
    Ok(())
}

/// The options of EXPIRE; all conditions that are given must hold.
#[derive(Default)]
struct Conditions {
    /// In the order of [`Condition::ALL`].
    given: [bool; Condition::ALL.len()],
}

impl Conditions {
    fn parse(args: Args<'_>) -> Result<Self, CommandError> {
        let mut conditions = Self::default();
        for (index, word) in args.iter().enumerate().skip(3) {
            let condition = Condition::of(word).ok_or(CommandError::UnsupportedOption(index))?;
            for ((_, each), given) in Condition::ALL.iter().zip(&mut conditions.given) {
                *given |= *each == condition;
            }
        }
        let [if_none, if_any, if_later, if_earlier] = conditions.given;
        if if_none && (if_any || if_later || if_earlier) {
            return Err(CommandError::Text(
                "ERR NX and XX, GT or LT options at the same time are not compatible",
            ));
        }
        if if_later && if_earlier {
            return Err(CommandError::Text(
                "ERR GT and LT options at the same time are not compatible",
            ));
        }
        Ok(conditions)
    }

    /// Returns whether an expiry may move from `before` to `after`.
    fn allow(&self, before: Option<UnixMillis>, after: UnixMillis) -> bool {
        let mut all = Condition::ALL.iter().zip(self.given);
        all.all(|((_, condition), given)| !given || condition.allows(before, after))
    }
}

fn ttl(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    reply_with_time(context, args, |at, now| {
        rounded_seconds((at.0 - now.0).max(0))
    })
}

fn pttl(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    reply_with_time(context, args, |at, now| (at.0 - now.0).max(0))
}

fn expiretime(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    reply_with_time(context, args, |at, _| rounded_seconds(at.0))
}

fn pexpiretime(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    reply_with_time(context, args, |at, _| at.0)
}

/// Rounds milliseconds that are not negative to the nearest second.
fn rounded_seconds(millis: i64) -> i64 {
    millis / 1000 + i64::from(millis % 1000 >= 500)
}

/// Replies with what `shown` makes of the expiry and the present time, with -1 for a key without an
/// expiry and -2 for no key. A live key's expiry is never before the present time.
fn reply_with_time(
    context: &mut Context<'_>,
    args: Args<'_>,
    shown: impl FnOnce(UnixMillis, UnixMillis) -> i64,
) -> Result<(), CommandError> {
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let time = match db.lookup(key, false).map(|entry| entry.expire_at()) {
        None => -2,
        Some(None) => -1,
        Some(Some(at)) => shown(at, context.now),
    };
    context.reply.integer(time);
    Ok(())
}

fn persist(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let done = db.set_expiry(key, None);
    if done {
        db.event(EventClass::GENERIC, "persist", key);
    }
    context.reply.integer(i64::from(done));
    Ok(())
}

const EXPIRE: Declaration =
    Declaration::new("expire", Arity::AtLeast(3), Flags::WRITE.and(Flags::FAST))
        .categories(&[Category::Keyspace])
        .keys(&[KeySpec::at(1, &["RW", "update"])])
        .docs(
            Docs::new(
                "generic",
                "1.0.0",
                "Lets a key expire after some seconds.",
                "O(1)",
            )
            .history(&[("7.0.0", "`NX`, `XX`, `GT` and `LT` make it conditional.")])
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
                .since("7.0.0")
                .optional(),
            ]),
        );

const PEXPIRE: Declaration =
    Declaration::new("pexpire", Arity::AtLeast(3), Flags::WRITE.and(Flags::FAST))
        .categories(&[Category::Keyspace])
        .keys(&[KeySpec::at(1, &["RW", "update"])])
        .docs(
            Docs::new(
                "generic",
                "2.6.0",
                "Lets a key expire after some milliseconds.",
                "O(1)",
            )
            .history(&[("7.0.0", "`NX`, `XX`, `GT` and `LT` make it conditional.")])
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
                .since("7.0.0")
                .optional(),
            ]),
        );

const EXPIREAT: Declaration =
    Declaration::new("expireat", Arity::AtLeast(3), Flags::WRITE.and(Flags::FAST))
        .categories(&[Category::Keyspace])
        .keys(&[KeySpec::at(1, &["RW", "update"])])
        .docs(
            Docs::new(
                "generic",
                "1.2.0",
                "Lets a key expire at a point in time given in Unix seconds.",
                "O(1)",
            )
            .history(&[("7.0.0", "`NX`, `XX`, `GT` and `LT` make it conditional.")])
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
                .since("7.0.0")
                .optional(),
            ]),
        );

const PEXPIREAT: Declaration = Declaration::new(
    "pexpireat",
    Arity::AtLeast(3),
    Flags::WRITE.and(Flags::FAST),
)
.categories(&[Category::Keyspace])
.keys(&[KeySpec::at(1, &["RW", "update"])])
.docs(
    Docs::new(
        "generic",
        "2.6.0",
        "Lets a key expire at a point in time given in Unix milliseconds.",
        "O(1)",
    )
    .history(&[("7.0.0", "`NX`, `XX`, `GT` and `LT` make it conditional.")])
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
        .since("7.0.0")
        .optional(),
    ]),
);

const TTL: Declaration =
    Declaration::new("ttl", Arity::Exactly(2), Flags::READONLY.and(Flags::FAST))
        .categories(&[Category::Keyspace])
        .keys(&[KeySpec::at(1, &["RO", "access"])])
        .tips(&["nondeterministic_output"])
        .docs(
            Docs::new(
                "generic",
                "1.0.0",
                "Returns the seconds until a key expires.",
                "O(1)",
            )
            .history(&[("2.8.0", "-2 tells a missing key from one without expiry.")])
            .arguments(&[Argument::KEY]),
        );

const PTTL: Declaration =
    Declaration::new("pttl", Arity::Exactly(2), Flags::READONLY.and(Flags::FAST))
        .categories(&[Category::Keyspace])
        .keys(&[KeySpec::at(1, &["RO", "access"])])
        .tips(&["nondeterministic_output"])
        .docs(
            Docs::new(
                "generic",
                "2.6.0",
                "Returns the milliseconds until a key expires.",
                "O(1)",
            )
            .history(&[("2.8.0", "-2 tells a missing key from one without expiry.")])
            .arguments(&[Argument::KEY]),
        );

const EXPIRETIME: Declaration = Declaration::new(
    "expiretime",
    Arity::Exactly(2),
    Flags::READONLY.and(Flags::FAST),
)
.categories(&[Category::Keyspace])
.keys(&[KeySpec::at(1, &["RO", "access"])])
.docs(
    Docs::new(
        "generic",
        "7.0.0",
        "Returns when a key expires, in Unix seconds.",
        "O(1)",
    )
    .arguments(&[Argument::KEY]),
);

const PEXPIRETIME: Declaration = Declaration::new(
    "pexpiretime",
    Arity::Exactly(2),
    Flags::READONLY.and(Flags::FAST),
)
.categories(&[Category::Keyspace])
.keys(&[KeySpec::at(1, &["RO", "access"])])
.docs(
    Docs::new(
        "generic",
        "7.0.0",
        "Returns when a key expires, in Unix milliseconds.",
        "O(1)",
    )
    .arguments(&[Argument::KEY]),
);

const PERSIST: Declaration =
    Declaration::new("persist", Arity::Exactly(2), Flags::WRITE.and(Flags::FAST))
        .categories(&[Category::Keyspace])
        .keys(&[KeySpec::at(1, &["RW", "update"])])
        .docs(
            Docs::new("generic", "2.2.0", "Takes the expiry off a key.", "O(1)")
                .arguments(&[Argument::KEY]),
        );

#[cfg(test)]
mod tests {
    use crate::transcripts::Player;

    #[track_caller]
    fn check(player: &mut Player, request: &str, expected: &str) {
        let reply = player.run(request);
        assert_eq!(
            reply.escape_ascii().to_string(),
            expected.escape_default().to_string()
        );
    }

    #[test]
    fn time_left_is_rounded_to_the_nearest_second() {
        let mut player = Player::new();
        player.run("SET k v PX 10000");
        for (elapsed, millis, seconds) in [
            (0, 10_000, 10),
            (1, 9_999, 10),
            (500, 9_500, 10),
            (501, 9_499, 9),
            (9_501, 499, 0),
        ] {
            let start = player.now;
            player.now.0 += elapsed;
            check(&mut player, "PTTL k", &format!(":{millis}\r\n"));
            check(&mut player, "TTL k", &format!(":{seconds}\r\n"));
            player.now = start;
        }
    }

    #[test]
    fn key_is_gone_a_millisecond_after_it_expires() {
        let mut player = Player::new();
        player.run("SET k v PX 10000");
        player.now.0 += 10_000;
        check(&mut player, "PTTL k", ":0\r\n");
        player.now.0 += 1;
        check(&mut player, "PTTL k", ":-2\r\n");
        check(&mut player, "SET k w NX", "+OK\r\n");
        check(&mut player, "TTL k", ":-1\r\n");
    }

    #[test]
    fn relative_times_count_from_the_time_of_the_request() {
        let mut player = Player::new();
        let now = player.now.0;
        player.run("SET k v");
        for (request, at) in [
            ("EXPIRE k 10", now + 10_000),
            ("PEXPIRE k 10", now + 10),
            ("GETEX k EX 7", now + 7_000),
            ("GETEX k PX 7", now + 7),
            ("SET k v EX 5", now + 5_000),
            ("SET k v PX 5", now + 5),
            ("SETEX k 3 v", now + 3_000),
            ("PSETEX k 3 v", now + 3),
        ] {
            player.run(request);
            check(&mut player, "PEXPIRETIME k", &format!(":{at}\r\n"));
        }
    }

    #[test]
    fn removal_by_a_past_time_counts_as_one_change() {
        let mut player = Player::new();
        player.run("SET k v");
        let before = player.shard.stats().dirty;
        check(&mut player, "EXPIRE k -1", ":1\r\n");
        assert_eq!(player.shard.stats().dirty, before + 1);
        check(&mut player, "EXPIRE k 10", ":0\r\n");
        assert_eq!(player.shard.stats().dirty, before + 1);
    }
}
