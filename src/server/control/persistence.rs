//! SAVE, BGSAVE, BGREWRITEAOF, LASTSAVE, BACKUP, and what SHUTDOWN and DEBUG RELOAD need of them.
//!
//! Saves are core 0's. A client that waits for the end of one asks again and again, with a question to that
//! core each turn; everybody else is served meanwhile.
//!
//! Not here: the save itself (`crate::persistence`).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use base::ids::{DbIndex, ShardId};
use commands::spec::CommandError;
use protocol::args::{Args, equals_ignore_case};
use protocol::reply::{Reply, Resp};
use runtime::facts::Facts;

use super::declarations::persistence as declared;
use super::{Answer, ControlCommand, ControlContext};
use crate::core_loop::Core;
use crate::gather::{Finished, Gather, Whom};
use crate::persistence::backup;
use crate::persistence::load::{self, Inbox, Source};
use crate::persistence::rewrite;
use crate::persistence::save::{self, UnderWay, Wanted};
use crate::persistence::switch;

pub(super) const COMMANDS: &[ControlCommand] = &[
    ControlCommand {
        declaration: &declared::SAVE,
        run: save_now,
    },
    ControlCommand {
        declaration: &declared::BGSAVE,
        run: save_in_background,
    },
    ControlCommand {
        declaration: &declared::BGREWRITEAOF,
        run: rewrite_log,
    },
    ControlCommand {
        declaration: &declared::LASTSAVE,
        run: last_save,
    },
    ControlCommand {
        declaration: &declared::BACKUP,
        run: back_up,
    },
];

const UNDER_WAY: &[u8] = b"-ERR Background save already in progress\r\n";

/// What comes of a save that somebody has waited for.
type Then = Box<dyn FnOnce(&mut Core, Result<(), String>) -> Finished>;

fn save_now(_context: &mut ControlContext<'_>, _args: Args<'_>) -> Result<Answer, CommandError> {
    Ok(Answer::Gather(save_and(|_, outcome| {
        Finished::Reply(match outcome {
            Ok(()) => b"+OK\r\n".to_vec(),
            Err(error) => error_reply(&error),
        })
    })))
}

fn error_reply(text: &str) -> Vec<u8> {
    let text = text.replace(['\r', '\n'], " ");
    format!("-ERR {text}\r\n").into_bytes()
}

fn save_in_background(
    context: &mut ControlContext<'_>,
    args: Args<'_>,
) -> Result<Answer, CommandError> {
    let may_wait = match args.len() {
        1 => false,
        2 if equals_ignore_case(args.word(1), "SCHEDULE") => true,
        _ => return Err(CommandError::Syntax),
    };
    if context.is_in_exec {
        // An EXEC holds claims that the save would wait for.
        let persistence = &context.engine.shared.persistence;
        persistence.saves(|saves| saves.is_scheduled = true);
        context.reply().simple("Background saving scheduled");
        return Ok(Answer::Now);
    }
    Ok(Answer::Gather(Gather::new(
        Whom::One(ShardId(0)),
        move |core| {
            let begun = save::begin(core, Wanted::InBackground);
            if may_wait && begun == Err(UnderWay::Rewrite) {
                let persistence = &core.engine.shared.persistence;
                persistence.saves(|saves| saves.is_scheduled = true);
            }
            begun
        },
        move |_, parts| {
            let reply = match parts.first() {
                Some(Ok(_)) => "+Background saving started\r\n",
                Some(Err(UnderWay::Rewrite)) if may_wait => "+Background saving scheduled\r\n",
                Some(Err(UnderWay::Rewrite)) => {
                    "-ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE \
                     in order to schedule a BGSAVE whenever possible.\r\n"
                }
                Some(Err(UnderWay::Save)) | None => return Finished::Reply(UNDER_WAY.to_vec()),
            };
            Finished::Reply(reply.as_bytes().to_vec())
        },
    )))
}

fn rewrite_log(context: &mut ControlContext<'_>, _args: Args<'_>) -> Result<Answer, CommandError> {
    if context.is_in_exec {
        // As with BGSAVE.
        let persistence = &context.engine.shared.persistence;
        persistence.rewrites(|rewrites| {
            rewrites.is_scheduled = true;
            rewrites.failures = 0;
        });
        context
            .reply()
            .simple("Background append only file rewriting scheduled");
        return Ok(Answer::Now);
    }
    Ok(Answer::Gather(Gather::new(
        Whom::One(ShardId(0)),
        |core| {
            let begun = switch::rewrite(core);
            begun.inspect_err(|error| tracing::error!("{error}")).ok()
        },
        |_, parts| {
            let reply = match parts.first().copied().flatten() {
                Some(rewrite::Wanted::Begun) => {
                    "+Background append only file rewriting started\r\n"
                }
                Some(rewrite::Wanted::Scheduled) => {
                    "+Background append only file rewriting scheduled\r\n"
                }
                Some(rewrite::Wanted::UnderWay) => {
                    "-ERR Background append only file rewriting already in progress\r\n"
                }
                None => {
                    "-ERR Can't execute an AOF background rewriting. Please check the server logs for more \
                     information.\r\n"
                }
            };
            Finished::Reply(reply.as_bytes().to_vec())
        },
    )))
}

/// As in Redis, a server that has never saved counts from its start.
fn last_save(context: &mut ControlContext<'_>, _args: Args<'_>) -> Result<Answer, CommandError> {
    let persistence = &context.engine.shared.persistence;
    let seconds = persistence.saves(|saves| saves.saved_at.seconds());
    context.reply().integer(seconds);
    Ok(Answer::Now)
}

/// Makes a backup, and answers with its path.
fn back_up(_context: &mut ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    if !equals_ignore_case(args.word(1), "NOW") {
        return Err(CommandError::Syntax);
    }
    Ok(Answer::Gather(Gather::new(
        Whom::One(ShardId(0)),
        backup::ask,
        |_, parts| Finished::More(wait_for_backup(parts.into_iter().next().unwrap_or(0))),
    )))
}

/// Asks until a backup has ended.
fn wait_for_backup(number: u64) -> Gather {
    Gather::new(
        Whom::One(ShardId(0)),
        move |core| backup::outcome(&core.engine.shared, number),
        move |_, parts| match parts.into_iter().next().flatten() {
            Some(Ok(path)) => {
                let mut reply = Vec::new();
                let path = path.to_string_lossy();
                Reply::new(&mut reply, Resp::V2).bulk(path.as_bytes());
                Finished::Reply(reply)
            }
            Some(Err(error)) => Finished::Reply(error_reply(&error)),
            None => Finished::More(wait_for_backup(number)),
        },
    )
}

/// Begins a save and waits for its end.
pub(super) fn save_and(
    then: impl FnOnce(&mut Core, Result<(), String>) -> Finished + 'static,
) -> Gather {
    Gather::new(
        Whom::One(ShardId(0)),
        |core| save::begin(core, Wanted::Waited),
        move |_, parts| match parts.into_iter().next() {
            Some(Ok(number)) => Finished::More(wait_for(number, Box::new(then))),
            // Redis would save beside it.
            Some(Err(UnderWay::Rewrite)) => Finished::More(save_and(then)),
            Some(Err(UnderWay::Save)) | None => Finished::Reply(UNDER_WAY.to_vec()),
        },
    )
}

/// Asks until a save has ended.
fn wait_for(number: u64, then: Then) -> Gather {
    Gather::new(
        Whom::One(ShardId(0)),
        move |core| core.engine.shared.persistence.outcome(number),
        move |core, parts| match parts.into_iter().next().flatten() {
            Some(outcome) => then(core, outcome),
            None => Finished::More(wait_for(number, then)),
        },
    )
}

/// Loads the file again, in the place of all data, saved before if `saves`. Nobody is served meanwhile. For
/// DEBUG RELOAD: what others write between the save and the loading is lost, as nothing else keeps it.
pub(super) fn reload(saves: bool) -> Gather {
    if saves {
        return save_and(|_, outcome| match outcome {
            Ok(()) => Finished::More(load_again()),
            Err(error) => Finished::Reply(error_reply(&error)),
        });
    }
    load_again()
}

fn load_again() -> Gather {
    Gather::new(
        Whom::One(ShardId(0)),
        |core| {
            let engine = &core.engine;
            let shared = &engine.shared;
            if shared.persistence.is_loading() {
                return Err("another client loads".to_owned());
            }
            if shared.persistence.log().is_some() {
                return Err(
                    "the RDB file cannot be loaded again while appendonly is yes".to_owned(),
                );
            }
            let file = load::open(engine.config.settings())?;
            let file = file.ok_or_else(|| "there is no RDB file".to_owned())?;
            load::begin(shared, &engine.config, Source::File(Some(file)))
                .map_err(|error| error.to_string())
        },
        |_, parts| match parts.into_iter().next() {
            Some(Ok(inboxes)) => Finished::More(empty_and_take(inboxes)),
            Some(Err(error)) => Finished::Reply(error_reply(&error)),
            None => Finished::Reply(error_reply("the core has not answered")),
        },
    )
}

/// Empties all shards and gives them what is to be loaded.
fn empty_and_take(inboxes: Vec<Inbox>) -> Gather {
    let inboxes: Vec<_> = inboxes.into_iter().map(Some).collect();
    let inboxes = Arc::new(Facts::new(inboxes));
    Gather::all(
        move |core| {
            let shard = &mut core.engine.host.shard;
            for db in (0..shard.options().databases).map(DbIndex) {
                shard.clear_db(db);
            }
            let me = core.engine.me.index();
            core.inbox = inboxes.with(|inboxes| inboxes.get_mut(me).and_then(Option::take));
        },
        |_, _| Finished::More(wait_for_load()),
    )
}

fn wait_for_load() -> Gather {
    Gather::new(
        Whom::One(ShardId(0)),
        |core| core.engine.shared.persistence.is_loading(),
        |_, parts| {
            if parts.contains(&true) {
                Finished::More(wait_for_load())
            } else {
                Finished::Reply(b"+OK\r\n".to_vec())
            }
        },
    )
}

/// Ends the process, saved before if `saves`.
pub(super) fn shut_down(saves: bool) -> Gather {
    let stop = || {
        Gather::all(
            |core| core.engine.shared.stopping.store(true, Ordering::Relaxed),
            |_, _| Finished::Reply(Vec::new()),
        )
    };
    if !saves {
        return stop();
    }
    save_and(move |_, outcome| match outcome {
        Ok(()) => Finished::More(stop()),
        Err(_logged) => {
            Finished::Reply(b"-ERR Errors trying to SHUTDOWN. Check logs.\r\n".to_vec())
        }
    })
}
