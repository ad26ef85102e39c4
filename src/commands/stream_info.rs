//! What is known of a stream, its groups and consumers: XINFO.

use protocol::args::{Args, equals_ignore_case};
use protocol::reply::Reply;
use types::stream::Stream;
use types::stream::group::{Consumer, Group};
use types::stream::id::Id;
use types::stream::log::Log;
use types::stream::node::Entry;

use crate::error::NoGroupForm;
use crate::spec::{
    Argument, Arity, Category, CommandError, Context, Declaration, Docs, Flags, KeySpec,
    ShardCommand, Spread,
};
use crate::stream_reply::{reply_entry, reply_id};
use crate::stream_words::{self, reply_counted};
use crate::words;

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[ShardCommand::new(XINFO, Spread::OneShard, xinfo)];

/// Entries and pending entries shown by `FULL` without COUNT.
const FULL_COUNT: usize = 10;

/// The lines of XINFO HELP.
const HELP_LINES: &[&str] = &[
    "XINFO <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CONSUMERS <key> <groupname>",
    "    Shows the consumers of a group.",
    "GROUPS <key>",
    "    Shows the groups of a stream.",
    "STREAM <key> [FULL [COUNT <count>]]",
    "    Shows a stream; with FULL also entries, and groups with what is pending. COUNT",
    "    bounds those lists, 0 lifts the bound.",
    "HELP",
    "    Shows these lines.",
];

fn xinfo(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let subcommand = args.word(1);
    if equals_ignore_case(subcommand, "HELP") {
        stream_words::reply_lines(&mut context.reply, HELP_LINES);
        return Ok(());
    }
    let key = context.shard.key(args.word(2));
    let mut db = context.shard.db(context.db);
    let stream = db.read::<Stream>(key, context.touch)?;
    let stream = stream.ok_or(CommandError::NoSuchKey)?;
    let reply = &mut context.reply;
    if equals_ignore_case(subcommand, "STREAM") {
        return match full(args)? {
            Some(count) => {
                show_in_full(reply, stream, count);
                Ok(())
            }
            None => {
                show(reply, stream);
                Ok(())
            }
        };
    }
    if equals_ignore_case(subcommand, "GROUPS") {
        reply.array(stream.groups().len());
        for (name, group) in stream.groups().iter() {
            show_group(reply, stream.log(), name, group);
        }
        return Ok(());
    }
    let group = stream.groups().get(args.word(3));
    let group = group.ok_or(CommandError::NoGroup(NoGroupForm::Group, 2, 3))?;
    reply.array(group.consumer_count());
    for consumer in group.consumers() {
        reply.map(3);
        reply.bulk_text("name");
        reply.bulk(&consumer.name);
        field(reply, "pending", consumer.pending_count());
        reply.bulk_text("idle");
        let idle = context.now.0.saturating_sub(consumer.seen_at_ms);
        reply.integer(idle.max(0));
    }
    Ok(())
}

/// Reads `FULL [COUNT n]`; returns the bound of lists, nothing without FULL.
fn full(args: Args<'_>) -> Result<Option<usize>, CommandError> {
    if args.len() == 3 {
        return Ok(None);
    }
    let is_full = equals_ignore_case(args.word(3), "FULL");
    let has_count = args.len() == 6 && equals_ignore_case(args.word(4), "COUNT");
    if !is_full || !(args.len() == 4 || has_count) {
        return Err(CommandError::SubcommandSyntax);
    }
    let Some(word) = args.get(5) else {
        return Ok(Some(FULL_COUNT));
    };
    Ok(Some(match words::integer_or_refuse(word)? {
        0 => usize::MAX,
        count => usize::try_from(count).unwrap_or(FULL_COUNT),
    }))
}

/// The fields that both forms begin with.
fn show_log(reply: &mut Reply<'_>, log: &Log) {
    reply.bulk_text("length");
    reply.integer(log.len().cast_signed());
    field(reply, "radix-tree-keys", log.node_count());
    // There is no radix tree, but a root, and blocks that the nodes are filed in.
    field(reply, "radix-tree-nodes", 1 + log.block_count());
    id_field(reply, "last-generated-id", log.last_id());
    id_field(reply, "max-deleted-entry-id", log.max_deleted_id());
    reply.bulk_text("entries-added");
    reply.integer(log.entries_added().cast_signed());
    id_field(reply, "recorded-first-entry-id", log.first_id());
}

fn show(reply: &mut Reply<'_>, stream: &Stream) {
    let log = stream.log();
    reply.map(10);
    show_log(reply, log);
    field(reply, "groups", stream.groups().len());
    reply.bulk_text("first-entry");
    entry_or_null(reply, log.first());
    reply.bulk_text("last-entry");
    entry_or_null(reply, log.last());
}

fn show_in_full(reply: &mut Reply<'_>, stream: &Stream, count: usize) {
    let log = stream.log();
    reply.map(9);
    show_log(reply, log);
    reply.bulk_text("entries");
    reply_counted(reply, stream_words::array, |reply| {
        let entries = log.range(Id::MIN, Id::MAX).take(count);
        entries.map(|entry| reply_entry(reply, entry)).count()
    });
    reply.bulk_text("groups");
    reply.array(stream.groups().len());
    for (name, group) in stream.groups().iter() {
        reply.map(7);
        reply.bulk_text("name");
        reply.bulk(name);
        show_progress(reply, log, group);
        field(reply, "pel-count", group.pending_count());
        reply.bulk_text("pending");
        reply.array(group.pending_count().min(count));
        for (id, pending) in group.pending_from(Id::MIN).take(count) {
            reply.array(4);
            reply_id(reply, id);
            reply.bulk(&group.consumer(pending.consumer).name);
            reply.integer(pending.delivered_at_ms);
            reply.integer(pending.delivery_count.cast_signed());
        }
        reply.bulk_text("consumers");
        reply.array(group.consumer_count());
        for consumer in group.consumers() {
            show_consumer(reply, group, consumer, count);
        }
    }
}

fn show_consumer(reply: &mut Reply<'_>, group: &Group, consumer: &Consumer, count: usize) {
    reply.map(4);
    reply.bulk_text("name");
    reply.bulk(&consumer.name);
    reply.bulk_text("seen-time");
    reply.integer(consumer.seen_at_ms);
    field(reply, "pel-count", consumer.pending_count());
    reply.bulk_text("pending");
    reply.array(consumer.pending_count().min(count));
    for (id, pending) in group.pending_of(consumer, Id::MIN).take(count) {
        reply.array(3);
        reply_id(reply, id);
        reply.integer(pending.delivered_at_ms);
        reply.integer(pending.delivery_count.cast_signed());
    }
}

fn show_group(reply: &mut Reply<'_>, log: &Log, name: &[u8], group: &Group) {
    reply.map(6);
    reply.bulk_text("name");
    reply.bulk(name);
    field(reply, "consumers", group.consumer_count());
    field(reply, "pending", group.pending_count());
    show_progress(reply, log, group);
}

fn show_progress(reply: &mut Reply<'_>, log: &Log, group: &Group) {
    id_field(reply, "last-delivered-id", group.last_id());
    reply.bulk_text("entries-read");
    integer_or_null(reply, group.entries_read());
    reply.bulk_text("lag");
    integer_or_null(reply, group.lag(log));
}

fn integer_or_null(reply: &mut Reply<'_>, value: Option<i64>) {
    match value {
        Some(value) => reply.integer(value),
        None => reply.null(),
    }
}

fn field(reply: &mut Reply<'_>, name: &str, value: usize) {
    reply.bulk_text(name);
    reply.integer(base::cast::i64_from(value));
}

fn id_field(reply: &mut Reply<'_>, name: &str, id: Id) {
    reply.bulk_text(name);
    reply_id(reply, id);
}

fn entry_or_null(reply: &mut Reply<'_>, entry: Option<Entry<'_>>) {
    match entry {
        Some(entry) => reply_entry(reply, entry),
        None => reply.null(),
    }
}

const XINFO_STREAM: Declaration = Declaration::new("stream", Arity::AtLeast(3), Flags::READONLY)
    .categories(&[Category::Stream])
    .keys(&[KeySpec::at(2, &["RO", "access"])])
    .docs(
        Docs::new(
            "stream",
            "5.0.0",
            "Shows what is known of a stream.",
            "O(1); with FULL O(N), N being the number of entries and pending entries shown.",
        )
        .history(&[
            ("6.0.0", "FULL was added."),
            (
                "7.0.0",
                "Shows what entries there have been, and the progress and lag of groups.",
            ),
        ])
        .arguments(&[
            Argument::KEY,
            Argument::block(
                "full",
                &[Argument::integer("count").with_token("COUNT").optional()],
            )
            .with_token("FULL")
            .optional(),
        ]),
    );

const XINFO_GROUPS: Declaration = Declaration::new("groups", Arity::Exactly(3), Flags::READONLY)
    .categories(&[Category::Stream])
    .keys(&[KeySpec::at(2, &["RO", "access"])])
    .docs(
        Docs::new(
            "stream",
            "5.0.0",
            "Shows the consumer groups of a stream.",
            "O(G), G being the number of groups.",
        )
        .history(&[("7.0.0", "Shows the progress and lag of groups.")])
        .arguments(&[Argument::KEY]),
    );

const XINFO_CONSUMERS: Declaration =
    Declaration::new("consumers", Arity::Exactly(4), Flags::READONLY)
        .categories(&[Category::Stream])
        .keys(&[KeySpec::at(2, &["RO", "access"])])
        .tips(&["nondeterministic_output"])
        .docs(
            Docs::new(
                "stream",
                "5.0.0",
                "Shows the consumers of a group.",
                "O(C), C being the number of consumers.",
            )
            .arguments(&[Argument::KEY, Argument::text("groupname")]),
        );

const XINFO_HELP: Declaration =
    Declaration::new("help", Arity::Exactly(2), Flags::LOADING.and(Flags::STALE))
        .categories(&[Category::Stream])
        .docs(Docs::new(
            "stream",
            "5.0.0",
            "Lists the subcommands.",
            "O(1)",
        ));

const XINFO: Declaration = Declaration::new("xinfo", Arity::AtLeast(2), Flags::NONE)
    .docs(Docs::new(
        "stream",
        "5.0.0",
        "Groups the commands that show what is known of a stream.",
        "See its subcommands.",
    ))
    .subcommands(&[XINFO_STREAM, XINFO_GROUPS, XINFO_CONSUMERS, XINFO_HELP]);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcripts::Player;

    #[test]
    fn help_names_every_subcommand() {
        let reply = String::from_utf8(Player::new().run("XINFO HELP")).unwrap();
        for subcommand in XINFO.subcommands {
            let line = format!("\r\n+{}", subcommand.name.to_ascii_uppercase());
            assert!(reply.contains(&line), "{line:?}");
        }
    }

    #[test]
    fn the_tree_is_told_as_it_is() {
        let mut player = Player::new();
        let mut options = *player.shard.options();
        options.limits.stream_node_entries = 1;
        player.shard.set_options(options);
        for number in 1..=200 {
            player.run(&format!("XADD k {number} a 1"));
        }
        let reply = String::from_utf8(player.run("XINFO STREAM k")).unwrap();
        // 200 nodes lie in four blocks of up to 64, and those in a ring.
        assert!(reply.contains("radix-tree-keys\r\n:200\r\n$16\r\nradix-tree-nodes\r\n:5\r\n"));
    }
}
