//! Consumer groups: making, moving and removing them and their consumers, and acknowledging entries.

use protocol::args::{Args, equals_ignore_case};
use shard::effects::{Change, EventClass};
use types::stream::id::Id;
use types::stream::log::Log;
use types::stream::{Parts, Stream};

use crate::error::NoGroupForm;
use crate::spec::{
    Argument, Arity, Category, CommandError, Context, Declaration, Docs, Flags, KeySpec,
    ShardCommand, Spread,
};
use crate::stream_words;
use crate::words;

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[
    ShardCommand::new(XGROUP, Spread::OneShard, xgroup),
    ShardCommand::new(XACK, Spread::OneShard, xack),
];

/// The lines of XGROUP HELP.
const HELP_LINES: &[&str] = &[
    "XGROUP <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CREATE <key> <groupname> <id|$> [MKSTREAM] [ENTRIESREAD <n>]",
    "    Makes a group that will read the entries behind the id, $ being the last one.",
    "    MKSTREAM makes the stream too; ENTRIESREAD says how many entries lie behind the",
    "    group, for its lag.",
    "SETID <key> <groupname> <id|$> [ENTRIESREAD <n>]",
    "    Moves a group to another id.",
    "DESTROY <key> <groupname>",
    "    Removes a group.",
    "CREATECONSUMER <key> <groupname> <consumer>",
    "    Makes a consumer.",
    "DELCONSUMER <key> <groupname> <consumer>",
    "    Removes a consumer with all that is pending for it.",
    "HELP",
    "    Shows these lines.",
];

const KEY_MISSING: CommandError = CommandError::Text(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use \
     the MKSTREAM option to create an empty stream automatically.",
);

/// The subcommands with a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Create,
    SetId,
    Destroy,
    CreateConsumer,
    DeleteConsumer,
}

/// What CREATE and SETID may have behind the id.
#[derive(Clone, Copy, Debug, Default)]
struct Options {
    makes_stream: bool,
    entries_read: Option<i64>,
}

fn xgroup(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let word = args.word(1);
    let action = if equals_ignore_case(word, "CREATE") {
        Action::Create
    } else if equals_ignore_case(word, "SETID") {
        Action::SetId
    } else if equals_ignore_case(word, "DESTROY") {
        Action::Destroy
    } else if equals_ignore_case(word, "CREATECONSUMER") {
        Action::CreateConsumer
    } else if equals_ignore_case(word, "DELCONSUMER") {
        Action::DeleteConsumer
    } else {
        stream_words::reply_lines(&mut context.reply, HELP_LINES);
        return Ok(());
    };
    let options = options(args, action)?;
    let key = context.shard.key(args.word(2));
    let now_ms = context.now.0;
    let mut db = context.shard.db(context.db);
    let is_new = options.makes_stream && db.peek(key).is_none();
    let act = |stream: &mut Stream| match act(stream.parts_mut(), args, action, options, now_ms) {
        Ok((reply, change)) => {
            // A new key is a change of the key, whatever happens to groups.
            let change = match change.event {
                Some((_, name)) if is_new => Change::of(1, EventClass::STREAM, name),
                Some(_) | None => change,
            };
            (Ok(reply), change)
        }
        Err(error) => (Err(error), Change::NONE),
    };
    let reply = if options.makes_stream {
        db.edit_or_create(key, act)?
    } else {
        db.edit(key, act)?.ok_or(KEY_MISSING)?
    };
    match reply? {
        Some(number) => context.reply.integer(number),
        None => context.reply.ok(),
    }
    Ok(())
}

fn options(args: Args<'_>, action: Action) -> Result<Options, CommandError> {
    let mut options = Options::default();
    let mut index = 5;
    while let Some(word) = args.get(index) {
        let has_id = matches!(action, Action::Create | Action::SetId);
        if action == Action::Create && equals_ignore_case(word, "MKSTREAM") {
            options.makes_stream = true;
            index += 1;
        } else if has_id
            && equals_ignore_case(word, "ENTRIESREAD")
            && let Some(number) = args.get(index + 1)
        {
            options.entries_read = match words::integer_or_refuse(number)? {
                -1 => None,
                number @ 0.. => Some(number),
                _ => {
                    return Err(CommandError::Text(
                        "ERR value for ENTRIESREAD must be positive or -1",
                    ));
                }
            };
            index += 2;
        } else {
            return Err(CommandError::SubcommandSyntax);
        }
    }
    Ok(options)
}

/// Does what the subcommand says; returns the number to answer with, nothing for OK.
fn act(
    parts: &mut Parts,
    args: Args<'_>,
    action: Action,
    options: Options,
    now_ms: i64,
) -> Result<(Option<i64>, Change), CommandError> {
    let Parts { log, groups } = parts;
    let name = args.word(3);
    let told = |count: i64, name| Change::unwatched(usize::from(count > 0), Some((EVENTS, name)));
    // Only CREATE and DESTROY do without the group.
    let no_group = CommandError::NoGroup(NoGroupForm::Group, 2, 3);
    match action {
        Action::Create => {
            check_words(args, 8)?;
            let id = id(args.word(4), log)?;
            if !groups.create(name, id, options.entries_read) {
                return Err(CommandError::Text(
                    "BUSYGROUP Consumer Group name already exists",
                ));
            }
            Ok((None, told(1, "xgroup-create")))
        }
        Action::SetId => {
            groups.get(name).ok_or(no_group)?;
            check_words(args, 7)?;
            let id = id_or_end(args.word(4), log)?;
            groups.edit(name, |group| group.set_last_id(id, options.entries_read));
            Ok((None, told(1, "xgroup-setid")))
        }
        Action::Destroy => {
            let removed = i64::from(groups.remove(name));
            Ok((Some(removed), told(removed, "xgroup-destroy")))
        }
        Action::CreateConsumer => {
            let consumer = args.word(4);
            let created = groups.edit(name, |group| group.create_consumer(consumer, now_ms));
            let created = i64::from(created.ok_or(no_group)?.is_some());
            Ok((Some(created), told(created, "xgroup-createconsumer")))
        }
        Action::DeleteConsumer => {
            let removed = groups.edit(name, |group| {
                let consumer = group.find_consumer(args.word(4))?;
                Some(group.remove_consumer(consumer))
            });
            let removed = removed.ok_or(no_group)?;
            let change = told(i64::from(removed.is_some()), "xgroup-delconsumer");
            let pending = removed.unwrap_or(0);
            Ok((Some(base::cast::i64_from(pending)), change))
        }
    }
}

const EVENTS: EventClass = EventClass::STREAM;

/// Refuses a request of more than `max` words; options may be repeated only so far.
fn check_words(args: Args<'_>, max: usize) -> Result<(), CommandError> {
    if args.len() > max {
        return Err(CommandError::SubcommandSyntax);
    }
    Ok(())
}

/// Reads the id of a group.
fn id(word: &[u8], log: &Log) -> Result<Id, CommandError> {
    match word {
        b"$" => Ok(log.last_id()),
        word => stream_words::id(word),
    }
}

/// Reads the id that SETID gives a group, which unlike that of CREATE may be `-` or `+`.
fn id_or_end(word: &[u8], log: &Log) -> Result<Id, CommandError> {
    match word {
        b"-" => Ok(Id::MIN),
        b"+" => Ok(Id::MAX),
        word => id(word, log),
    }
}

fn xack(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = context.first_key(args);
    let ids = args.from(3);
    let mut db = context.shard.db(context.db);
    let acknowledged = db.edit(key, |stream: &mut Stream| {
        let acknowledged = stream.parts_mut().groups.edit(args.word(2), |group| {
            // All ids are checked before the first entry goes.
            if let Some(error) = ids.iter().find_map(|word| stream_words::id(word).err()) {
                return Err(error);
            }
            let ids = ids.iter().filter_map(|word| stream_words::id(word).ok());
            Ok(ids.filter(|id| group.acknowledge(*id)).count())
        });
        let acknowledged = acknowledged.unwrap_or(Ok(0));
        let count = acknowledged.unwrap_or(0);
        (acknowledged, Change::unwatched(count, None))
    })?;
    let acknowledged = acknowledged.transpose()?.unwrap_or(0);
    context.reply.integer(base::cast::i64_from(acknowledged));
    Ok(())
}

const GROUP_NAME: Argument = Argument::text("groupname");

const CONSUMER_NAME: Argument = Argument::text("consumername");

const GROUP_ID: Argument = Argument::one_of(
    "id",
    &[Argument::text("id"), Argument::token("new_id", "$")],
);

const ENTRIES_READ: Argument = Argument::integer("entries_read")
    .with_token("ENTRIESREAD")
    .optional();

const XGROUP_CREATE: Declaration = Declaration::new(
    "create",
    Arity::AtLeast(5),
    Flags::WRITE.and(Flags::DENY_OOM),
)
.categories(&[Category::Stream])
.keys(&[KeySpec::at(2, &["RW", "insert"])])
.docs(
    Docs::new("stream", "5.0.0", "Makes a consumer group.", "O(1)")
        .history(&[("7.0.0", "ENTRIESREAD was added.")])
        .arguments(&[
            Argument::KEY,
            GROUP_NAME,
            GROUP_ID,
            Argument::token("mkstream", "MKSTREAM").optional(),
            ENTRIES_READ,
        ]),
);

const XGROUP_SETID: Declaration = Declaration::new("setid", Arity::AtLeast(5), Flags::WRITE)
    .categories(&[Category::Stream])
    .keys(&[KeySpec::at(2, &["RW", "update"])])
    .docs(
        Docs::new(
            "stream",
            "5.0.0",
            "Moves a consumer group to another id.",
            "O(1)",
        )
        .history(&[("7.0.0", "ENTRIESREAD was added.")])
        .arguments(&[Argument::KEY, GROUP_NAME, GROUP_ID, ENTRIES_READ]),
    );

const XGROUP_DESTROY: Declaration = Declaration::new("destroy", Arity::Exactly(4), Flags::WRITE)
    .categories(&[Category::Stream])
    .keys(&[KeySpec::at(2, &["RW", "delete"])])
    .docs(
        Docs::new(
            "stream",
            "5.0.0",
            "Removes a consumer group.",
            "O(N), N being the number of pending entries of the group.",
        )
        .arguments(&[Argument::KEY, GROUP_NAME]),
    );

const XGROUP_CREATECONSUMER: Declaration = Declaration::new(
    "createconsumer",
    Arity::Exactly(5),
    Flags::WRITE.and(Flags::DENY_OOM),
)
.categories(&[Category::Stream])
.keys(&[KeySpec::at(2, &["RW", "insert"])])
.docs(
    Docs::new("stream", "6.2.0", "Makes a consumer in a group.", "O(1)").arguments(&[
        Argument::KEY,
        GROUP_NAME,
        CONSUMER_NAME,
    ]),
);

const XGROUP_DELCONSUMER: Declaration =
    Declaration::new("delconsumer", Arity::Exactly(5), Flags::WRITE)
        .categories(&[Category::Stream])
        .keys(&[KeySpec::at(2, &["RW", "delete"])])
        .docs(
            Docs::new(
                "stream",
                "5.0.0",
                "Removes a consumer from a group.",
                "O(N*log(P)), N being the number of its pending entries, P those of the group.",
            )
            .arguments(&[Argument::KEY, GROUP_NAME, CONSUMER_NAME]),
        );

const XGROUP_HELP: Declaration =
    Declaration::new("help", Arity::Exactly(2), Flags::LOADING.and(Flags::STALE))
        .categories(&[Category::Stream])
        .docs(Docs::new(
            "stream",
            "5.0.0",
            "Lists the subcommands.",
            "O(1)",
        ));

const XGROUP: Declaration = Declaration::new("xgroup", Arity::AtLeast(2), Flags::NONE)
    .docs(Docs::new(
        "stream",
        "5.0.0",
        "Groups the commands that manage consumer groups.",
        "See its subcommands.",
    ))
    .subcommands(&[
        XGROUP_CREATE,
        XGROUP_SETID,
        XGROUP_DESTROY,
        XGROUP_CREATECONSUMER,
        XGROUP_DELCONSUMER,
        XGROUP_HELP,
    ]);

const XACK: Declaration =
    Declaration::new("xack", Arity::AtLeast(4), Flags::WRITE.and(Flags::FAST))
        .categories(&[Category::Stream])
        .keys(&[KeySpec::at(1, &["RW", "update"])])
        .docs(
            Docs::new(
                "stream",
                "5.0.0",
                "Acknowledges entries, which are no longer pending then.",
                "O(N), N being the number of ids.",
            )
            .arguments(&[
                Argument::KEY,
                Argument::text("group"),
                Argument::text("id").multiple(),
            ]),
        );

#[cfg(test)]
mod tests {
    use base::ids::DbIndex;

    use super::*;
    use crate::transcripts::Player;

    #[test]
    fn help_names_every_subcommand() {
        let reply = String::from_utf8(Player::new().run("XGROUP HELP")).unwrap();
        for subcommand in XGROUP.subcommands {
            let line = format!("\r\n+{}", subcommand.name.to_ascii_uppercase());
            assert!(reply.contains(&line), "{line:?}");
        }
    }

    /// As in redis-server 7.0.15: what a group does is nothing to those who watch the stream.
    #[test]
    fn watch_sees_entries_and_no_groups() {
        let mut player = Player::new();
        let cases = [
            ("XGROUP CREATE k g 0 MKSTREAM", true),
            ("XADD k 1-1 a 1", true),
            ("XREADGROUP GROUP g c STREAMS k >", false),
            ("XCLAIM k g d 0 1-1", false),
            ("XAUTOCLAIM k g c 0 0", false),
            ("XACK k g 1-1", false),
            ("XGROUP SETID k g 0", false),
            ("XGROUP CREATE k h 0 MKSTREAM", false),
            ("XGROUP DELCONSUMER k g c", false),
            ("XGROUP DESTROY k h", false),
            ("XSETID k 9-9", false),
            ("XDEL k 1-1", true),
        ];
        for (request, is_seen) in cases {
            let before = player.shard.watch(DbIndex(0), b"k");
            player.run(request);
            let after = player.shard.watch_version(DbIndex(0), b"k");
            assert_eq!(before != after, is_seen, "{request}");
        }
    }
}
