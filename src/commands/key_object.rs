//! How keys are kept: OBJECT, MEMORY USAGE, and the parts of DEBUG that look at one key.
//!
//! None of them counts as a use of the key; only OBJECT counts as a hit or a miss.

use base::cast::i64_from;
use base::ids::DbIndex;
use protocol::args::{Args, equals_ignore_case};
use shard::Shard;
use shard::digest;
use shard::entry::EntryRef;
use types::list::{List, NodeContent};
use types::rdb;

use crate::key_dump;
use crate::spec::{
    Argument, Arity, Category, CommandError, Context, Declaration, Docs, Flags, KeySpec,
    ShardCommand, Spread,
};
use crate::words;

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[ShardCommand::new(OBJECT, Spread::OneShard, object)];

/// `MEMORY USAGE`, for the server's container `MEMORY`. Its handler gets all words, `MEMORY` first.
pub const USAGE: ShardCommand = ShardCommand::new(MEMORY_USAGE, Spread::OneShard, memory_usage);

/// The lines of OBJECT HELP.
const HELP_LINES: &[&str] = &[
    "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "ENCODING <key>",
    "    Names the form in which the value is kept.",
    "FREQ <key>",
    "    Returns the access counter of the key, which grows with the logarithm of its",
    "    use. Only under an LFU eviction policy.",
    "IDLETIME <key>",
    "    Returns the seconds since the key was last used. Not under an LFU eviction",
    "    policy.",
    "REFCOUNT <key>",
    "    Returns the number of references to the value.",
    "HELP",
    "    Shows these lines.",
];

fn object(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let subcommand = args.word(1);
    if equals_ignore_case(subcommand, "HELP") {
        context.reply.array(HELP_LINES.len());
        HELP_LINES
            .iter()
            .for_each(|line| context.reply.simple(line));
        return Ok(());
    }
    let options = *context.shard.options();
    let key = context.shard.key(args.word(2));
    let mut db = context.shard.db(context.db);
    let Some(entry) = db.inspect(key) else {
        context.reply.null();
        return Ok(());
    };
    if equals_ignore_case(subcommand, "ENCODING") {
        context.reply.bulk_text(entry.encoding_name());
    } else if equals_ignore_case(subcommand, "REFCOUNT") {
        // Every value belongs to its key alone; there are no shared small integers.
        context.reply.integer(1);
    } else if equals_ignore_case(subcommand, "IDLETIME") {
        if options.lfu {
            return Err(CommandError::Text(LFU_SELECTED));
        }
        let seconds = entry.idle_seconds(context.now);
        context
            .reply
            .integer(i64::try_from(seconds).unwrap_or(i64::MAX));
    } else if equals_ignore_case(subcommand, "FREQ") {
        if !options.lfu {
            return Err(CommandError::Text(LFU_NOT_SELECTED));
        }
        let frequency = entry.lfu_frequency(context.now, options.lfu_decay_minutes);
        context.reply.integer(i64::from(frequency));
    } else {
        // The declaration lists what is there; a word beyond it was refused before.
        return Err(CommandError::Syntax);
    }
    Ok(())
}

const LFU_SELECTED: &str = "ERR An LFU maxmemory policy is selected, idle time not tracked. Please \
                            note that when switching between policies at runtime LRU and LFU data \
                            will take some time to adjust.";

const LFU_NOT_SELECTED: &str = "ERR An LFU maxmemory policy is not selected, access frequency not \
                                tracked. Please note that when switching between policies at \
                                runtime LRU and LFU data will take some time to adjust.";

fn memory_usage(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let mut index = 3;
    while let Some(word) = args.get(index) {
        if !equals_ignore_case(word, "SAMPLES") {
            return Err(CommandError::Syntax);
        }
        let samples = words::integer_or_refuse(args.get(index + 1).ok_or(CommandError::Syntax)?)?;
        if samples < 0 {
            return Err(CommandError::Syntax);
        }
        index += 2;
    }
    let key = context.shard.key(args.word(2));
    match context.shard.db(context.db).peek(key) {
        Some(entry) => context.reply.integer(i64_from(entry.bytes())),
        None => context.reply.null(),
    }
    Ok(())
}

/// Returns what `DEBUG OBJECT` says of a key, in the order and spelling in which tools look for it.
///
/// `serializedlength` counts what the value takes in a payload of DUMP. O(n) in its bytes.
///
/// # Errors
///
/// [`CommandError::NoSuchKey`].
pub fn debug_object(shard: &mut Shard, db: DbIndex, key: &[u8]) -> Result<String, CommandError> {
    let now = shard.now();
    let list_listpack_size = shard.options().limits.list_listpack_size;
    let key = shard.key(key);
    let mut db = shard.db(db);
    let Some(entry) = db.peek(key) else {
        return Err(CommandError::NoSuchKey);
    };
    let idle = entry.idle_seconds(now);
    // The clock of which Redis shows 24 bits, at the time of the last use.
    let used_at = (now.seconds() - i64::try_from(idle).unwrap_or(i64::MAX)) & 0xFF_FFFF;
    Ok(format!(
        "Value at:{:p} refcount:1 encoding:{} serializedlength:{} lru:{used_at} \
         lru_seconds_idle:{idle}{}",
        entry.key().as_ptr(),
        entry.encoding_name(),
        rdb::object_bytes(key_dump::object_of(&entry.value()), now),
        nodes_of_list(entry, list_listpack_size),
    ))
}

/// Returns what `DEBUG OBJECT` says of the nodes of a list; nothing of other values. O(nodes).
fn nodes_of_list(entry: EntryRef<'_>, listpack_size: i32) -> String {
    let Ok(list) = entry.typed::<List>() else {
        return String::new();
    };
    let (mut count, mut bytes) = (0_u32, 0);
    for node in list.nodes() {
        count += 1;
        bytes += match node {
            NodeContent::Packed(listpack) => listpack.byte_len(),
            NodeContent::Plain(element) => element.len(),
        };
    }
    let per_node = list.len() as f64 / f64::from(count);
    format!(
        " ql_nodes:{count} ql_avg_node:{per_node:.2} ql_listpack_max:{listpack_size} \
         ql_compressed:0 ql_uncompressed_size:{bytes}"
    )
}

/// Returns what `DEBUG DIGEST-VALUE` says of a key: zeros if it does not exist.
#[must_use]
pub fn digest_of_value(shard: &mut Shard, db: DbIndex, key: &[u8]) -> digest::Digest {
    let key = shard.key(key);
    shard
        .db(db)
        .peek(key)
        .map(digest::value)
        .unwrap_or_default()
}

/// Returns this shard's share of `DEBUG DIGEST` for one database. Shares are joined by
/// [`digest::join`], and databases that have keys by [`digest::mix_database`] in rising order.
#[must_use]
pub fn digest_of_database(shard: &mut Shard, db: DbIndex) -> digest::Digest {
    shard.db(db).digest()
}

const OBJECT_HELP: Declaration =
    Declaration::new("help", Arity::Exactly(2), Flags::LOADING.and(Flags::STALE))
        .categories(&[Category::Keyspace])
        .docs(Docs::new(
            "generic",
            "6.2.0",
            "Lists the subcommands.",
            "O(1)",
        ));

const OBJECT_FREQ: Declaration = Declaration::new("freq", Arity::Exactly(3), Flags::READONLY)
    .categories(&[Category::Keyspace])
    .keys(&[KeySpec::at(2, &["RO"])])
    .tips(&["nondeterministic_output"])
    .docs(
        Docs::new(
            "generic",
            "4.0.0",
            "Returns the logarithmic counter of accesses to a key.",
            "O(1)",
        )
        .arguments(&[Argument::KEY]),
    );

const OBJECT_IDLETIME: Declaration =
    Declaration::new("idletime", Arity::Exactly(3), Flags::READONLY)
        .categories(&[Category::Keyspace])
        .keys(&[KeySpec::at(2, &["RO"])])
        .tips(&["nondeterministic_output"])
        .docs(
            Docs::new(
                "generic",
                "2.2.3",
                "Returns how many seconds ago a key was last used.",
                "O(1)",
            )
            .arguments(&[Argument::KEY]),
        );

const OBJECT_ENCODING: Declaration =
    Declaration::new("encoding", Arity::Exactly(3), Flags::READONLY)
        .categories(&[Category::Keyspace])
        .keys(&[KeySpec::at(2, &["RO"])])
        .tips(&["nondeterministic_output"])
        .docs(
            Docs::new(
                "generic",
                "2.2.3",
                "Names the representation in which a value is kept.",
                "O(1)",
            )
            .arguments(&[Argument::KEY]),
        );

const OBJECT_REFCOUNT: Declaration =
    Declaration::new("refcount", Arity::Exactly(3), Flags::READONLY)
        .categories(&[Category::Keyspace])
        .keys(&[KeySpec::at(2, &["RO"])])
        .tips(&["nondeterministic_output"])
        .docs(
            Docs::new(
                "generic",
                "2.2.3",
                "Returns how many references to a value there are.",
                "O(1)",
            )
            .arguments(&[Argument::KEY]),
        );

const OBJECT: Declaration = Declaration::new("object", Arity::AtLeast(2), Flags::NONE)
    .docs(Docs::new(
        "generic",
        "2.2.3",
        "Groups the commands that look at how a value is kept.",
        "See its subcommands.",
    ))
    .subcommands(&[
        OBJECT_HELP,
        OBJECT_FREQ,
        OBJECT_IDLETIME,
        OBJECT_ENCODING,
        OBJECT_REFCOUNT,
    ]);

const MEMORY_USAGE: Declaration = Declaration::new("usage", Arity::AtLeast(3), Flags::READONLY)
    .keys(&[KeySpec::at(2, &["RO"])])
    .docs(
        Docs::new(
            "server",
            "4.0.0",
            "Returns how many bytes of memory a key and its value take.",
            "O(S), S being the number of sampled elements.",
        )
        .arguments(&[
            Argument::KEY,
            Argument::integer("count").with_token("SAMPLES").optional(),
        ]),
    );

#[cfg(test)]
mod tests {
    use shard::digest::Digest;

    use super::*;
    use crate::transcripts::Player;

    const DB: DbIndex = DbIndex(0);

    fn hex(digest: Digest) -> String {
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Digests and lengths as `DEBUG` of redis-server 7.0.15 shows them.
    #[test]
    fn debug_object_tells_the_nodes_of_a_list() {
        let mut player = Player::new();
        player.run("RPUSH k 1 2 3");
        let line = debug_object(&mut player.shard, DbIndex(0), b"k").unwrap();
        // As in redis-server 7.0.15.
        let end = "ql_nodes:1 ql_avg_node:3.00 ql_listpack_max:-2 ql_compressed:0 ql_uncompressed_size:13";
        assert!(line.ends_with(end), "{line}");
    }

    #[test]
    fn digest_and_serialized_length_are_those_of_redis() {
        let cases = [
            ("1", 2, "b4fc66738120fba0b5aa500ab5c2bf89cea1c5da"),
            ("100", 2, "3d41d4c94e50ef4c4d595fea543c6a374ebed1e9"),
            ("-129", 3, "0fec561e0f15c71cc5547f7996d13b7d6cc8a9ca"),
            ("40000", 5, "7ac91e5fdbd2914f657c4fde3e82936fdca92e0b"),
            ("3000000000", 11, "f370e2fe7aaffa10d13e64e7b9d2cb74febcb168"),
            (
                "12345678901",
                12,
                "01da988100ae51f642f9236f868f2091d2c38123",
            ),
            (
                "123456789012",
                13,
                "116773326adc5913f9494119af445137dfd552e7",
            ),
            ("abc", 4, "21ffcd2d36aebffca02995acb412bcb827d4c1db"),
            ("\"\"", 1, "8b3447c33a834b810e3e181b6fd6a2ee1020921c"),
        ];
        let mut player = Player::new();
        for (value, length, digest) in cases {
            player.run(&format!("SET k {value}"));
            assert_eq!(
                hex(digest_of_value(&mut player.shard, DB, b"k")),
                digest,
                "{value}"
            );
            let line = debug_object(&mut player.shard, DB, b"k").unwrap();
            assert!(
                line.contains(&format!(" serializedlength:{length} ")),
                "{value}: {line}"
            );
        }
        player.run("SET k abc EX 100");
        let digest = hex(digest_of_value(&mut player.shard, DB, b"k"));
        assert_eq!(digest, "c77a33d2ea9755a8613f7e54f17873233d7a8058");
        let missing = digest_of_value(&mut player.shard, DB, b"missing");
        assert_eq!(missing, Digest::default());
    }

    #[test]
    fn debug_object_says_where_and_how_a_value_is_kept() {
        let mut player = Player::new();
        assert_eq!(
            debug_object(&mut player.shard, DB, b"k"),
            Err(CommandError::NoSuchKey)
        );
        player.run("SET k abc");
        player.now.0 += 5_000;
        player.run("DBSIZE");
        let line = debug_object(&mut player.shard, DB, b"k").unwrap();
        assert!(line.starts_with("Value at:0x"), "{line}");
        assert!(line.contains(" refcount:1 encoding:embstr "), "{line}");
        assert!(line.ends_with(" lru_seconds_idle:5"), "{line}");
    }

    #[test]
    fn digest_of_a_database_does_not_depend_on_the_order_of_writes() {
        let digest = |requests: &[&str]| {
            let mut player = Player::new();
            for request in requests {
                player.run(request);
            }
            digest_of_database(&mut player.shard, DB)
        };
        let one = digest(&["SET a 1", "SET b 2", "SET c 3", "DEL c"]);
        assert_eq!(one, digest(&["SET b 2", "SET a 1"]));
        assert_ne!(one, digest(&["SET b 1", "SET a 2"]));
        assert_eq!(digest(&[]), Digest::default());
    }

    #[test]
    fn memory_usage_is_what_the_entry_takes() {
        let mut player = Player::new();
        player.run("SET small 1");
        player.run("SETRANGE large 99999 x");
        let bytes = |reply: Vec<u8>| -> usize {
            let text = String::from_utf8(reply).unwrap();
            text.trim_start_matches(':').trim_end().parse().unwrap()
        };
        let small = bytes(player.run("MEMORY USAGE small"));
        let large = bytes(player.run("MEMORY USAGE large SAMPLES 5"));
        assert!((8..100).contains(&small), "{small}");
        assert!((100_000..220_000).contains(&large), "{large}");
    }

    #[test]
    fn idle_time_grows_and_a_read_ends_it() {
        let mut player = Player::new();
        player.run("SET k v");
        player.now.0 += 7_000;
        assert_eq!(player.run("OBJECT IDLETIME k"), b":7\r\n");
        assert_eq!(player.run("OBJECT IDLETIME k"), b":7\r\n");
        assert_eq!(player.run("TYPE k"), b"+string\r\n");
        assert_eq!(player.run("OBJECT IDLETIME k"), b":7\r\n");
        player.run("GET k");
        assert_eq!(player.run("OBJECT IDLETIME k"), b":0\r\n");
        player.now.0 += 3_000;
        player.run("TOUCH k");
        assert_eq!(player.run("OBJECT IDLETIME k"), b":0\r\n");
    }

    #[test]
    fn help_names_every_subcommand() {
        let reply = String::from_utf8(Player::new().run("OBJECT HELP")).unwrap();
        for subcommand in OBJECT.subcommands {
            let line = format!("\r\n+{}", subcommand.name.to_ascii_uppercase());
            assert!(reply.contains(&line), "{line:?}");
        }
        assert!(reply.starts_with(&format!("*{}\r\n+OBJECT <subcommand> ", HELP_LINES.len())));
    }
}
