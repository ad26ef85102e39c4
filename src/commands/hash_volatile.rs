//! Reading or setting fields of hashes together with their expiry: HGETDEL, HGETEX, HSETEX.
//!
//! Redis has these commands since 8.0. Source: their documentation.

use base::clock::UnixMillis;
use protocol::args::{Args, equals_ignore_case};
use shard::effects::{Change, EventClass};
use types::hash::{FieldExpiry, Growth, Hash};

use crate::hash::{growth, reply_value};
use crate::hash_expire::{check_type, expiry_point, fields_at};
use crate::spec::{
    Argument, Arity, Category, CommandError, Context, Declaration, Docs, Flags, KeySpec,
    ShardCommand, Spread,
};
use crate::words::{self, TimeForm};

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[
    ShardCommand::new(HGETDEL, Spread::OneShard, hgetdel),
    ShardCommand::new(HGETEX, Spread::OneShard, hgetex),
    ShardCommand::new(HSETEX, Spread::OneShard, hsetex),
];

fn hgetdel(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    check_type(context, args)?;
    let fields = fields_at(args, 2)?;
    let (now, key) = (context.now, context.first_key(args));
    let mut db = context.shard.db(context.db);
    let reply = &mut context.reply;
    reply.array(fields.len());
    let is_hash = db.edit::<Hash, _>(key, |hash| {
        let mut removed = 0;
        for field in fields.iter() {
            reply_value(reply, hash.get(field, now));
            removed += usize::from(hash.remove(field, now));
        }
        ((), Change::of(removed, EventClass::HASH, "hdel"))
    })?;
    if is_hash.is_none() {
        fields.iter().for_each(|_| reply.null());
    }
    Ok(())
}

fn hgetex(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    check_type(context, args)?;
    let options = Options::parse(args, Command::GetEx, context.now)?;
    let (growth, now) = (growth(context), context.now);
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let reply = &mut context.reply;
    reply.array(options.fields.len());
    let is_hash = db.edit::<Hash, _>(key, |hash| {
        let mut changed = 0;
        for field in options.fields.iter() {
            reply_value(reply, hash.get(field, now));
            changed += usize::from(options.expiry.apply(hash, field, &growth, now));
        }
        let event = options.expiry.event(now);
        ((), Change::of(changed, EventClass::HASH, event))
    })?;
    if is_hash.is_none() {
        options.fields.iter().for_each(|_| reply.null());
    }
    Ok(())
}

fn hsetex(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    check_type(context, args)?;
    let options = Options::parse(args, Command::SetEx, context.now)?;
    let (growth, now) = (growth(context), context.now);
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let pairs = options.fields;
    let is_set = db.edit_or_create::<Hash, _>(key, |hash| {
        if !options.are_met(hash, now) {
            return (false, Change::NONE);
        }
        for index in (0..pairs.len()).step_by(2) {
            let (field, value) = (pairs.word(index), pairs.word(index + 1));
            hash.set(field, value, options.expiry.kept(), &growth, now);
            options.expiry.apply(hash, field, &growth, now);
        }
        let event = match options.expiry {
            FieldChange::At(at) if at <= now => "hdel",
            FieldChange::At(_) | FieldChange::None | FieldChange::Keep | FieldChange::Drop => {
                "hset"
            }
        };
        (true, Change::of(pairs.len() / 2, EventClass::HASH, event))
    })?;
    if is_set && matches!(options.expiry, FieldChange::At(at) if at > now) {
        db.event(EventClass::HASH, "hexpire", key);
    }
    context.reply.integer(i64::from(is_set));
    Ok(())
}

/// What becomes of the expiry of fields.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FieldChange {
    /// Nothing is said: HGETEX leaves it, HSETEX clears it.
    None,
    /// `KEEPTTL`.
    Keep,
    /// `PERSIST`.
    Drop,
    At(UnixMillis),
}

impl FieldChange {
    /// Changes the expiry of a field, or removes it if its time is over. Returns whether anything
    /// changed.
    fn apply(self, hash: &mut Hash, field: &[u8], growth: &Growth, now: UnixMillis) -> bool {
        let Some(before) = hash.expire_at(field, now) else {
            return false;
        };
        match self {
            Self::None | Self::Keep => false,
            Self::Drop => {
                hash.set_expiry(field, None, growth, now);
                before.is_some()
            }
            Self::At(at) if at <= now => hash.remove(field, now),
            Self::At(at) => {
                hash.set_expiry(field, Some(at), growth, now);
                true
            }
        }
    }

    fn event(self, now: UnixMillis) -> &'static str {
        match self {
            Self::At(at) if at <= now => "hdel",
            Self::At(_) => "hexpire",
            Self::None | Self::Keep | Self::Drop => "hpersist",
        }
    }

    fn kept(self) -> FieldExpiry {
        if self == Self::Keep {
            FieldExpiry::Keep
        } else {
            FieldExpiry::Clear
        }
    }
}

/// The commands that share one reader of options.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Command {
    GetEx,
    SetEx,
}

/// When HSETEX is to go ahead.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    /// `FNX`: no field exists.
    IfNone,
    /// `FXX`: all fields exist.
    IfAll,
}

/// The options of HGETEX and HSETEX, in any order.
struct Options<'a> {
    condition: Option<Condition>,
    expiry: FieldChange,
    /// The fields, each followed by its value for HSETEX.
    fields: Args<'a>,
}

impl<'a> Options<'a> {
    fn parse(args: Args<'a>, command: Command, now: UnixMillis) -> Result<Self, CommandError> {
        let mut condition = None;
        let mut expiry = FieldChange::None;
        let mut fields = None;
        let mut index = 2;
        while let Some(word) = args.get(index) {
            if equals_ignore_case(word, "FIELDS") {
                if fields.is_some() {
                    return Err(CommandError::Text(
                        "ERR FIELDS keyword specified multiple times",
                    ));
                }
                let count = counted(args, index, command)?;
                fields = Some((index + 2, count));
                index += 2 + count;
                continue;
            }
            index += 1;
            let change = match time_form(word) {
                Some(form) => {
                    let time = args
                        .get(index)
                        .ok_or(CommandError::Text("ERR missing expire time"))?;
                    index += 1;
                    Some((form, time))
                }
                None => None,
            };
            let change = match (change, command) {
                (Some((form, time)), _) => FieldChange::At(expiry_point(form, time, now)?),
                (None, Command::GetEx) if equals_ignore_case(word, "PERSIST") => FieldChange::Drop,
                (None, Command::SetEx) if equals_ignore_case(word, "KEEPTTL") => FieldChange::Keep,
                (None, Command::SetEx) => {
                    let new = condition_of(word).ok_or(CommandError::UnknownArgument(index - 1))?;
                    if condition.replace(new).is_some() {
                        return Err(CommandError::Text(
                            "ERR Only one of FXX or FNX arguments can be specified",
                        ));
                    }
                    continue;
                }
                (None, Command::GetEx) => return Err(CommandError::UnknownArgument(index - 1)),
            };
            if expiry != FieldChange::None {
                return Err(two_expiries(command));
            }
            expiry = change;
        }
        let (first, count) = fields.ok_or(CommandError::Text("ERR missing FIELDS argument"))?;
        Ok(Self {
            condition,
            expiry,
            fields: args.range(first, count),
        })
    }

    /// Returns whether HSETEX is to go ahead.
    fn are_met(&self, hash: &Hash, now: UnixMillis) -> bool {
        let mut exist = (0..self.fields.len())
            .step_by(2)
            .map(|index| hash.get(self.fields.word(index), now).is_some());
        match self.condition {
            None => true,
            Some(Condition::IfNone) => !exist.any(|exists| exists),
            Some(Condition::IfAll) => exist.all(|exists| exists),
        }
    }
}

/// Returns how many words follow `FIELDS count`, as the count says.
fn counted(args: Args<'_>, index: usize, command: Command) -> Result<usize, CommandError> {
    let count = args.get(index + 1).and_then(words::integer);
    let count = count
        .and_then(|count| usize::try_from(count).ok())
        .filter(|count| *count > 0)
        .ok_or(CommandError::Text("ERR invalid number of fields"))?;
    let width = match command {
        Command::GetEx => 1,
        Command::SetEx => 2,
    };
    let left = args.len() - (index + 2);
    count
        .checked_mul(width)
        .filter(|words| *words <= left)
        .ok_or(CommandError::Text("ERR wrong number of arguments"))
}

fn two_expiries(command: Command) -> CommandError {
    CommandError::Text(match command {
        Command::GetEx => {
            "ERR Only one of EX, PX, EXAT, PXAT or PERSIST arguments can be specified"
        }
        Command::SetEx => {
            "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified"
        }
    })
}

fn condition_of(word: &[u8]) -> Option<Condition> {
    if equals_ignore_case(word, "FNX") {
        Some(Condition::IfNone)
    } else if equals_ignore_case(word, "FXX") {
        Some(Condition::IfAll)
    } else {
        None
    }
}

fn time_form(word: &[u8]) -> Option<TimeForm> {
    let forms = [
        ("EX", TimeForm::Seconds),
        ("PX", TimeForm::Millis),
        ("EXAT", TimeForm::AtSeconds),
        ("PXAT", TimeForm::AtMillis),
    ];
    let found = forms
        .into_iter()
        .find(|(name, _)| equals_ignore_case(word, name));
    found.map(|(_, form)| form)
}

const HGETDEL: Declaration =
    Declaration::new("hgetdel", Arity::AtLeast(5), Flags::WRITE.and(Flags::FAST))
        .categories(&[Category::Hash])
        .keys(&[KeySpec::at(1, &["RW", "access", "delete"])])
        .docs(
            Docs::new(
                "hash",
                "8.0.0",
                "Returns the values of fields and removes them.",
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

const HGETEX: Declaration =
    Declaration::new("hgetex", Arity::AtLeast(5), Flags::WRITE.and(Flags::FAST))
        .categories(&[Category::Hash])
        .keys(&[KeySpec::at(1, &["RW", "access", "update"])])
        .docs(
            Docs::new(
                "hash",
                "8.0.0",
                "Returns the values of fields and changes or drops their expiry.",
                "O(N), N being the number of fields given.",
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

const HSETEX: Declaration = Declaration::new(
    "hsetex",
    Arity::AtLeast(6),
    Flags::WRITE.and(Flags::DENY_OOM).and(Flags::FAST),
)
.categories(&[Category::Hash])
.keys(&[KeySpec::at(1, &["RW", "update"])])
.docs(
    Docs::new(
        "hash",
        "8.0.0",
        "Sets fields that may expire, if none or all of them exist already.",
        "O(N), N being the number of fields given.",
    )
    .arguments(&[
        Argument::KEY,
        Argument::one_of(
            "condition",
            &[Argument::token("fnx", "FNX"), Argument::token("fxx", "FXX")],
        )
        .optional(),
        Argument::one_of(
            "expiration",
            &[
                Argument::integer("seconds").with_token("EX"),
                Argument::integer("milliseconds").with_token("PX"),
                Argument::unix_time("unix-time-seconds").with_token("EXAT"),
                Argument::unix_time("unix-time-milliseconds").with_token("PXAT"),
                Argument::token("keepttl", "KEEPTTL"),
            ],
        )
        .optional(),
        Argument::block(
            "fields",
            &[
                Argument::integer("numfields"),
                Argument::block("data", &[Argument::text("field"), Argument::text("value")])
                    .multiple(),
            ],
        )
        .with_token("FIELDS"),
    ]),
);

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use base::random::Random;

    use crate::transcripts::Player;

    /// Value and expiry of each field, dead ones left out.
    type Model = BTreeMap<String, (String, Option<i64>)>;

    fn array(parts: impl Iterator<Item = String>) -> String {
        let parts: Vec<_> = parts.collect();
        format!("*{}\r\n{}", parts.len(), parts.concat())
    }

    fn bulk(value: Option<&String>) -> String {
        value.map_or("$-1\r\n".to_owned(), |value| {
            format!("${}\r\n{value}\r\n", value.len())
        })
    }

    fn integer(value: i64) -> String {
        format!(":{value}\r\n")
    }

    /// Sets the expiry in the model; says what became of the field, as HEXPIRE does.
    fn expire(model: &mut Model, field: &str, condition: &str, at: i64, now: i64) -> i64 {
        let Some((_, before)) = model.get_mut(field) else {
            return -2;
        };
        let allowed = match condition {
            "NX" => before.is_none(),
            "XX" => before.is_some(),
            "GT" => before.is_some_and(|before| at > before),
            "LT" => before.is_none_or(|before| at < before),
            _ => true,
        };
        if !allowed {
            return 0;
        }
        if at <= now {
            model.remove(field);
            return 2;
        }
        *before = Some(at);
        1
    }

    /// HSETEX of some fields.
    fn set_step(
        model: &mut Model,
        random: &mut Random,
        fields: &[String],
        shift: i64,
        now: i64,
    ) -> (String, String) {
        let condition = ["", "FNX", "FXX"][random.index(3)];
        let expiry = ["".to_owned(), "KEEPTTL".to_owned(), format!("PX {shift}")];
        let kind = random.index(3);
        let value = random.below(1000).to_string();
        let pairs: Vec<_> = fields.iter().map(|it| format!("{it} {value}")).collect();
        let request = format!(
            "HSETEX h {condition} {} FIELDS {} {}",
            expiry[kind],
            pairs.len(),
            pairs.join(" ")
        );
        let mut exist = fields.iter().map(|field| model.contains_key(field));
        let refused = match condition {
            "FNX" => exist.any(|exists| exists),
            "FXX" => !exist.all(|exists| exists),
            _ => false,
        };
        if refused {
            return (request, integer(0));
        }
        for field in fields {
            let before = model.get(field).and_then(|(_, at)| *at);
            let kept = before.filter(|_| kind == 1);
            model.insert(field.clone(), (value.clone(), kept));
            if kind == 2 {
                expire(model, field, "", now + shift, now);
            }
        }
        (request, integer(1))
    }

    /// Returns a request and the reply that the model gives.
    fn step(model: &mut Model, random: &mut Random, now: i64) -> (String, String) {
        let fields: Vec<String> = (0..=random.below(3))
            .map(|_| format!("f{}", random.below(12)))
            .collect();
        let names = format!("FIELDS {} {}", fields.len(), fields.join(" "));
        let shift = i64::try_from(random.below(30)).unwrap();
        let at = now + shift;
        match random.below(8) {
            0 | 1 => set_step(model, random, &fields, shift, now),
            2 | 3 => {
                let condition = ["", "NX", "XX", "GT", "LT"][random.index(5)];
                let form = ["HPEXPIRE", "HPEXPIREAT"][random.index(2)];
                let time = if form == "HPEXPIRE" { shift } else { at };
                let codes = fields
                    .iter()
                    .map(|field| integer(expire(model, field, condition, at, now)));
                let reply = array(codes);
                (format!("{form} h {time} {condition} {names}"), reply)
            }
            4 => {
                let codes = fields.iter().map(|field| match model.get_mut(field) {
                    None => integer(-2),
                    Some((_, expiry)) => integer(if expiry.take().is_some() { 1 } else { -1 }),
                });
                let reply = array(codes);
                (format!("HPERSIST h {names}"), reply)
            }
            5 => {
                let values = fields.iter().map(|field| {
                    let removed = model.remove(field);
                    bulk(removed.map(|(value, _)| value).as_ref())
                });
                let reply = array(values);
                (format!("HGETDEL h {names}"), reply)
            }
            6 => {
                let kind = random.index(3);
                let option = ["".to_owned(), "PERSIST".to_owned(), format!("PXAT {at}")];
                let values = fields.iter().map(|field| {
                    let value = model.get(field).map(|(value, _)| value.clone());
                    match kind {
                        0 => {}
                        1 => {
                            if let Some((_, expiry)) = model.get_mut(field) {
                                *expiry = None;
                            }
                        }
                        _ => {
                            expire(model, field, "", at, now);
                        }
                    }
                    bulk(value.as_ref())
                });
                let reply = array(values);
                (format!("HGETEX h {} {names}", option[kind]), reply)
            }
            _ => {
                let times = fields.iter().map(|field| match model.get(field) {
                    None => integer(-2),
                    Some((_, at)) => integer(at.map_or(-1, |at| at - now)),
                });
                let reply = array(times);
                (format!("HPTTL h {names}"), reply)
            }
        }
    }

    #[test]
    fn fields_that_expire_agree_with_a_map() {
        let seed = std::env::var("SEED").map_or(1, |seed| seed.parse().unwrap());
        println!("SEED={seed}");
        let mut random = Random::new(seed);
        for entries in [512, 5, 0] {
            let (mut player, mut model) = (Player::new(), Model::new());
            let mut options = *player.shard.options();
            options.limits.hash_listpack_entries = entries;
            player.shard.set_options(options);
            for _ in 0..20_000 {
                player.now.0 += i64::try_from(random.below(3)).unwrap();
                let now = player.now.0;
                model.retain(|_, (_, at)| at.is_none_or(|at| at >= now));
                if random.below(4) == 0 {
                    player.shard.set_now(player.now);
                    player.shard.sweep_fields(1);
                }
                let (request, reply) = step(&mut model, &mut random, now);
                let given = player.run(&request);
                assert_eq!(String::from_utf8(given).unwrap(), reply, "{request}");
                let len = i64::try_from(model.len()).unwrap();
                assert_eq!(player.run("HLEN h"), integer(len).into_bytes());
                let exists = integer(i64::from(len > 0));
                assert_eq!(player.run("EXISTS h"), exists.into_bytes());
            }
        }
    }
}
