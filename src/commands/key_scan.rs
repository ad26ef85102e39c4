//! Walking over keys: KEYS, SCAN, RANDOMKEY.

use protocol::args::{Args, equals_ignore_case};
use protocol::reply::Reply;
use shard::entry::EntryRef;

use crate::cursor;
use crate::name_steps::{NameSteps, matches};
use crate::spec::{
    Argument, Arity, Category, CommandError, Context, Declaration, Docs, Flags, Join, Plan,
    ShardCommand, Spread,
};
use crate::steps::LONG_WALK_ELEMENTS_MIN;
use crate::words;

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[
    ShardCommand::new(KEYS, Spread::Everywhere(Join::Concatenate), keys),
    ShardCommand::new(SCAN, Spread::Cursor, scan),
    ShardCommand::new(RANDOMKEY, Spread::Plan(Plan::RandomKey), randomkey),
];

/// Keys that one step of SCAN is about to look at if the client does not say.
const SCAN_COUNT_DEFAULT: i64 = 10;

fn keys(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let pattern = args.word(1);
    let is_long = context.shard.db(context.db).len() >= LONG_WALK_ELEMENTS_MIN;
    if is_long && context.shard.may_begin_names(context.db) {
        let steps = NameSteps::new(pattern);
        context.change_later(Vec::new(), steps);
        return Ok(());
    }
    let mut found = Elements::new(&context.reply);
    context.shard.db(context.db).for_each(&mut |entry| {
        if matches(pattern, entry.key()) {
            found.push(entry.key());
        }
    });
    found.write(&mut context.reply);
    Ok(())
}

/// Elements of an array whose number is known only at the end.
struct Elements {
    bytes: Vec<u8>,
    count: usize,
    resp: protocol::reply::Resp,
}

impl Elements {
    fn new(reply: &Reply<'_>) -> Self {
        Self {
            bytes: Vec::new(),
            count: 0,
            resp: reply.resp,
        }
    }

    fn push(&mut self, element: &[u8]) {
        Reply::new(&mut self.bytes, self.resp).bulk(element);
        self.count += 1;
    }

    fn write(&self, reply: &mut Reply<'_>) {
        reply.array(self.count);
        reply.raw(&self.bytes);
    }
}

/// The cursor here is the shard's own. The coordinator translates between it and the client's.
fn scan(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let local = cursor::parse(args.word(1))? & cursor::LOCAL_MAX;
    let options = ScanOptions::parse(args)?;
    let mut found = Elements::new(&context.reply);
    let next = context.shard.db(context.db).scan_removing(
        local,
        options.count,
        &|key| options.accept_name(key),
        &mut |entry| {
            if options.accept(entry) {
                found.push(entry.key());
            }
        },
    );
    context.reply.array(2);
    context
        .reply
        .bulk(itoa::Buffer::new().format(next).as_bytes());
    found.write(&mut context.reply);
    Ok(())
}

/// The options of SCAN.
struct ScanOptions<'a> {
    count: usize,
    pattern: Option<&'a [u8]>,
    type_name: Option<&'a [u8]>,
}

impl<'a> ScanOptions<'a> {
    fn parse(args: Args<'a>) -> Result<Self, CommandError> {
        let mut count = SCAN_COUNT_DEFAULT;
        let (mut pattern, mut type_name) = (None, None);
        let mut index = 2;
        while let Some(word) = args.get(index) {
            let value = args.get(index + 1).ok_or(CommandError::Syntax)?;
            index += 2;
            if equals_ignore_case(word, "COUNT") {
                count = words::integer_or_refuse(value)?;
                if count < 1 {
                    return Err(CommandError::Syntax);
                }
            } else if equals_ignore_case(word, "MATCH") {
                pattern = Some(value);
            } else if equals_ignore_case(word, "TYPE") {
                type_name = Some(value);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        Ok(Self {
            count,
            pattern,
            type_name,
        })
    }

    fn accept(&self, entry: EntryRef<'_>) -> bool {
        self.type_name
            .is_none_or(|name| name.eq_ignore_ascii_case(entry.type_name().as_bytes()))
            && self.accept_name(entry.key())
    }

    fn accept_name(&self, key: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| matches(pattern, key))
    }
}

fn randomkey(context: &mut Context<'_>, _: Args<'_>) -> Result<(), CommandError> {
    match context.shard.db(context.db).random_key(context.random) {
        Some(key) => context.reply.bulk(key),
        None => context.reply.null(),
    }
    Ok(())
}

const KEYS: Declaration = Declaration::new("keys", Arity::Exactly(2), Flags::READONLY)
    .categories(&[Category::Keyspace, Category::Dangerous])
    .tips(&["request_policy:all_shards", "nondeterministic_output_order"])
    .docs(
        Docs::new(
            "generic",
            "1.0.0",
            "Lists all keys whose names match a pattern.",
            "O(N), N being the number of keys in the database.",
        )
        .arguments(&[Argument::pattern("pattern")]),
    );

const SCAN: Declaration = Declaration::new("scan", Arity::AtLeast(2), Flags::READONLY)
    .categories(&[Category::Keyspace])
    .tips(&["nondeterministic_output", "request_policy:special"])
    .docs(
        Docs::new(
            "generic",
            "2.8.0",
            "Walks over the keys of the database in small steps.",
            "O(C) for a step over about C keys; O(N) for a whole walk over N keys.",
        )
        .history(&[("6.0.0", "`TYPE` came.")])
        .arguments(&[
            Argument::integer("cursor"),
            Argument::pattern("pattern").with_token("MATCH").optional(),
            Argument::integer("count").with_token("COUNT").optional(),
            Argument::text("type")
                .with_token("TYPE")
                .since("6.0.0")
                .optional(),
        ]),
    );

const RANDOMKEY: Declaration = Declaration::new("randomkey", Arity::Exactly(1), Flags::READONLY)
    .categories(&[Category::Keyspace])
    .tips(&["request_policy:all_shards", "nondeterministic_output"])
    .docs(Docs::new(
        "generic",
        "1.0.0",
        "Names one key of the database, drawn at random.",
        "O(1)",
    ));

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use protocol::value::{Value, parse_value};

    use crate::transcripts::Player;

    /// Walks to the end, and returns the keys seen and the number of steps.
    fn walk(player: &mut Player, options: &str) -> (BTreeSet<Vec<u8>>, usize) {
        let (mut keys, mut steps) = (BTreeSet::new(), 0);
        let mut cursor = "0".to_owned();
        loop {
            let reply = player.run(&format!("SCAN {cursor} {options}"));
            let (value, _) = parse_value(&reply).unwrap().unwrap();
            let Value::Array(parts) = value else {
                panic!("{value:?}")
            };
            let [Value::Bulk(next), Value::Array(found)] = &parts[..] else {
                panic!("{parts:?}")
            };
            keys.extend(found.iter().map(|key| match key {
                Value::Bulk(bytes) => bytes.clone(),
                other => panic!("{other:?}"),
            }));
            steps += 1;
            cursor = String::from_utf8(next.clone()).unwrap();
            if cursor == "0" {
                return (keys, steps);
            }
        }
    }

    #[test]
    fn walk_meets_every_key_and_takes_several_steps() {
        let mut player = Player::new();
        let names: BTreeSet<Vec<u8>> = (0..500)
            .map(|number| format!("key:{number}").into_bytes())
            .collect();
        for number in 0..500 {
            player.run(&format!("SET key:{number} {number}"));
        }
        let (keys, steps) = walk(&mut player, "");
        assert_eq!(keys, names);
        assert!((5..=500).contains(&steps), "{steps} steps");
        assert_eq!(walk(&mut player, "COUNT 100000"), (names.clone(), 1));
        let sevens = names
            .iter()
            .filter(|name| name.ends_with(b"7"))
            .cloned()
            .collect();
        assert_eq!(walk(&mut player, "MATCH *7 COUNT 50").0, sevens);
        assert!(walk(&mut player, "TYPE list").0.is_empty());
    }

    #[test]
    fn any_cursor_a_client_sends_is_harmless() {
        let mut player = Player::new();
        for number in 0..100 {
            player.run(&format!("SET key:{number} {number}"));
        }
        for cursor in [
            "1",
            "-1",
            "9007199254740991",
            "18446744073709551615",
            "123456789012",
        ] {
            let reply = player.run(&format!("SCAN {cursor}"));
            assert!(reply.starts_with(b"*2\r\n"), "{cursor}");
        }
    }

    #[test]
    fn random_key_draws_every_key_in_time() {
        let mut player = Player::new();
        player.run("MSET a 1 b 2 c 3");
        let drawn: BTreeSet<Vec<u8>> = (0..200).map(|_| player.run("RANDOMKEY")).collect();
        assert_eq!(drawn.len(), 3);
    }
}
