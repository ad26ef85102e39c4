//! SUBSCRIBE, PUBLISH and their kin, and PUBSUB: what clients ask about channels.
//!
//! Not here: how it is done (`crate::pubsub`).

use std::collections::BTreeSet;

use base::cast::i64_from;
use commands::error::shown;
use commands::spec::{CommandError, Flags};
use protocol::args::{Args, equals_ignore_case};

use super::client::reply_with;
use super::declarations::pubsub as declared;
use super::{Answer, ControlCommand, ControlContext, command};
use crate::core_loop::Core;
use crate::gather::{Finished, Gather};
use crate::pubsub::message::Message;
use crate::pubsub::wishes::Act;
use crate::subscriptions::Kind;
use crate::table::Command;

pub(super) const COMMANDS: &[ControlCommand] = &[
    ControlCommand {
        declaration: &declared::SUBSCRIBE,
        run: |_, args| subscribe(Kind::Channel, args),
    },
    ControlCommand {
        declaration: &declared::UNSUBSCRIBE,
        run: |_, args| unsubscribe(Kind::Channel, args),
    },
    ControlCommand {
        declaration: &declared::PSUBSCRIBE,
        run: |_, args| subscribe(Kind::Pattern, args),
    },
    ControlCommand {
        declaration: &declared::PUNSUBSCRIBE,
        run: |_, args| unsubscribe(Kind::Pattern, args),
    },
    ControlCommand {
        declaration: &declared::SSUBSCRIBE,
        run: shard_subscribe,
    },
    ControlCommand {
        declaration: &declared::SUNSUBSCRIBE,
        run: |_, args| unsubscribe(Kind::Shard, args),
    },
    ControlCommand {
        declaration: &declared::PUBLISH,
        run: |_, args| publish(false, args),
    },
    ControlCommand {
        declaration: &declared::SPUBLISH,
        run: |_, args| publish(true, args),
    },
    ControlCommand {
        declaration: &declared::PUBSUB,
        run: pubsub,
    },
];

/// Returns whether a client that listens may send a command in RESP2, where a reply to another could
/// not be told from a message.
#[must_use]
pub(crate) fn is_for_subscribers(command: &Command) -> bool {
    const CHANGES: Flags = Flags::PUBSUB.and(Flags::NO_SCRIPT);
    command.declaration.flags.has(CHANGES) || ["ping", "quit", "reset"].contains(&command.full_name)
}

/// Returns what a client that listens is told of any other command.
#[must_use]
pub(crate) fn refusal(full_name: &str) -> String {
    format!(
        "ERR Can't execute '{full_name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET \
         are allowed in this context"
    )
}

fn names(args: Args<'_>) -> Vec<Box<[u8]>> {
    args.from(1).iter().map(Box::from).collect()
}

fn subscribe(kind: Kind, args: Args<'_>) -> Result<Answer, CommandError> {
    Ok(Answer::PubSub(Act::Subscribe(kind, names(args))))
}

fn unsubscribe(kind: Kind, args: Args<'_>) -> Result<Answer, CommandError> {
    Ok(Answer::PubSub(Act::Unsubscribe(kind, names(args))))
}

fn shard_subscribe(
    context: &mut ControlContext<'_>,
    args: Args<'_>,
) -> Result<Answer, CommandError> {
    // SUBSCRIBE and PSUBSCRIBE may stand in a MULTI, as they always could.
    if context.is_in_exec {
        return Err(CommandError::Text(
            "ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client",
        ));
    }
    subscribe(Kind::Shard, args)
}

fn publish(is_shard: bool, args: Args<'_>) -> Result<Answer, CommandError> {
    let message = Message::new(is_shard, args.word(1), args.word(2));
    Ok(Answer::PubSub(Act::Publish(message)))
}

fn pubsub(context: &mut ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    let word = args.word(1);
    let is = |name: &str| equals_ignore_case(word, name);
    if is("CHANNELS") || is("SHARDCHANNELS") {
        if args.len() > 3 {
            let word = shown(word).into_owned();
            let text = format!(
                "ERR unknown subcommand or wrong number of arguments for '{word}'. Try PUBSUB HELP."
            );
            context.reply().error(&text);
            return Ok(Answer::Now);
        }
        let kind = if is("CHANNELS") {
            Kind::Channel
        } else {
            Kind::Shard
        };
        return Ok(channels(context, kind, args.get(2)));
    }
    if is("NUMSUB") || is("SHARDNUMSUB") {
        let kind = if is("NUMSUB") {
            Kind::Channel
        } else {
            Kind::Shard
        };
        return Ok(counts(context, kind, args));
    }
    if is("NUMPAT") {
        let resp = context.session().resp;
        return Ok(Answer::Gather(Gather::all(
            |core| names_of(core, Kind::Pattern, None),
            move |_, parts| {
                let patterns: BTreeSet<_> = parts.into_iter().flatten().collect();
                let count = i64_from(patterns.len());
                Finished::Reply(reply_with(resp, |reply| reply.integer(count)))
            },
        )));
    }
    command::help(&declared::PUBSUB, &mut context.reply());
    Ok(Answer::Now)
}

fn names_of(core: &Core, kind: Kind, pattern: Option<&[u8]>) -> Vec<Box<[u8]>> {
    let names = core.engine.pubsub.listeners.names(kind);
    let wanted = names
        .filter(|name| pattern.is_none_or(|pattern| base::glob::matches(pattern, name, false)));
    wanted.map(Box::from).collect()
}

/// Replies with the channels that somebody on any core listens to, in order.
fn channels(context: &mut ControlContext<'_>, kind: Kind, pattern: Option<&[u8]>) -> Answer {
    let resp = context.session().resp;
    let pattern: Option<Box<[u8]>> = pattern.map(Box::from);
    Answer::Gather(Gather::all(
        move |core| names_of(core, kind, pattern.as_deref()),
        move |_, parts| {
            let names: BTreeSet<_> = parts.into_iter().flatten().collect();
            Finished::Reply(reply_with(resp, |reply| {
                reply.array(names.len());
                for name in &names {
                    reply.bulk(name);
                }
            }))
        },
    ))
}

/// Replies with how many clients of all cores listen to each channel.
fn counts(context: &mut ControlContext<'_>, kind: Kind, args: Args<'_>) -> Answer {
    let resp = context.session().resp;
    let asked: Vec<Box<[u8]>> = args.from(2).iter().map(Box::from).collect();
    let names = asked.clone();
    Answer::Gather(Gather::all(
        move |core| -> Vec<usize> {
            let listeners = &core.engine.pubsub.listeners;
            let counts = names.iter().map(|name| listeners.clients(kind, name).len());
            counts.collect()
        },
        move |_, parts| {
            Finished::Reply(reply_with(resp, |reply| {
                reply.array(2 * asked.len());
                for (index, name) in asked.iter().enumerate() {
                    let count: usize = parts.iter().map(|counts| counts[index]).sum();
                    reply.bulk(name);
                    reply.integer(i64_from(count));
                }
            }))
        },
    ))
}
