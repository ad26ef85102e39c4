//! EVAL and its like, FCALL, and SCRIPT.

use std::sync::Arc;

use commands::spec::CommandError;
use coordinator::step::Step;
use protocol::args::{Args, equals_ignore_case};
use scripting::scripts::{ScriptError, Sha};

use super::declarations::scripting as declared;
use super::{Answer, ControlCommand, ControlContext, client_list, command};
use crate::gather::{Finished, Gather};
use crate::scripts::forward::Sent;
use crate::scripts::kill::{self, Kind};
use crate::scripts::start::{Caller, Place, ScriptUser, Wanted};

pub(super) const COMMANDS: &[ControlCommand] = &[
    ControlCommand {
        declaration: &declared::EVAL,
        run: eval,
    },
    ControlCommand {
        declaration: &declared::EVALSHA,
        run: eval,
    },
    ControlCommand {
        declaration: &declared::EVAL_RO,
        run: eval,
    },
    ControlCommand {
        declaration: &declared::EVALSHA_RO,
        run: eval,
    },
    ControlCommand {
        declaration: &declared::FCALL,
        run: eval,
    },
    ControlCommand {
        declaration: &declared::FCALL_RO,
        run: eval,
    },
    ControlCommand {
        declaration: &declared::SCRIPT,
        run: script,
    },
];

/// Runs a script or a function. Inside MULTI it is a part of the EXEC, and does not come here.
fn eval(context: &mut ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    let session = &context.connection.session;
    let caller = Caller {
        db: session.db,
        resp: session.resp,
        touch: !session.no_touch,
        user: script_user(context),
    };
    if let Err(error) = find_first(context, args) {
        return Ok(refuse(context, &error));
    }
    let wanted = Wanted::read(args)?;
    let known = match context.engine.look_up(&wanted) {
        Ok(known) => known,
        Err(error) => return Ok(refuse(context, &error)),
    };
    match context.engine.place_of(&wanted, known) {
        Place::Here(claims) => {
            if let [(shard, _)] = claims[..] {
                context.connection.session.pin.vote(shard);
            }
            let engine = &mut *context.engine;
            let Some(claim) = engine.claim_if_free(&claims) else {
                let wanted = wanted.hold(&engine.scripts, Some(known));
                let program = engine.program_of_script(&wanted, Some(known), &caller);
                return Ok(Answer::Transaction(claims, program));
            };
            let mut program = engine.program_of_script(&wanted, Some(known), &caller);
            let step = program.begin_here(&mut context.engine.host, claim.as_ref());
            context.engine.count_calls();
            Ok(match step {
                Step::Done { reply } => {
                    context.engine.host.serve_if_ready();
                    context.out.extend_from_slice(&reply);
                    Answer::Now
                }
                step => Answer::Begun(claim, program, step),
            })
        }
        Place::There(shard) => {
            context.connection.session.pin.vote(shard);
            let index = context
                .engine
                .shared
                .table
                .resolve(args)
                .map(|command| command.index)
                .unwrap_or_default();
            let wanted = wanted.hold(&context.engine.scripts, Some(known));
            let sent = Sent::new((&wanted, known), index, caller);
            Ok(Answer::Elsewhere(shard, sent))
        }
    }
}

/// Returns whose rights a script has, if that is not everybody's.
fn script_user(context: &ControlContext<'_>) -> Option<Arc<ScriptUser>> {
    let connection = &*context.connection;
    if !connection.session.is_limited {
        return None;
    }
    let engine = &*context.engine;
    ScriptUser::if_limited(&connection.session.about.user, || {
        client_list::described(connection, engine.clock, engine.me)
    })
}

/// Finds out what is said before all else: that a word names no script, or no function.
fn find_first(context: &ControlContext<'_>, args: Args<'_>) -> Result<(), ScriptError> {
    let is_named = |names: [&str; 2]| names.iter().any(|it| equals_ignore_case(args.word(0), it));
    if is_named(["EVALSHA", "EVALSHA_RO"]) && args.word(1).len() != 40 {
        return Err(ScriptError::no_script());
    }
    if is_named(["FCALL", "FCALL_RO"]) {
        context.engine.scripts.find_function(args.word(1))?;
    }
    Ok(())
}

/// Answers with the error of a script.
pub(super) fn refuse(context: &mut ControlContext<'_>, error: &ScriptError) -> Answer {
    context.reply().error(&String::from_utf8_lossy(&error.0));
    Answer::Now
}

fn script(context: &mut ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    let word = args.word(1);
    if equals_ignore_case(word, "LOAD") {
        match context.engine.scripts.load(args.word(2)) {
            Ok((sha, _)) => context.reply().bulk(&sha.hex()),
            Err(error) => return Ok(refuse(context, &error)),
        }
        Ok(Answer::Now)
    } else if equals_ignore_case(word, "EXISTS") {
        let known: Vec<bool> = args
            .from(2)
            .iter()
            .map(|word| Sha::parse(word).is_some_and(|sha| is_kept(context, sha)))
            .collect();
        let mut reply = context.reply();
        reply.array(known.len());
        for is_known in known {
            reply.integer(i64::from(is_known));
        }
        Ok(Answer::Now)
    } else if equals_ignore_case(word, "FLUSH") {
        flush_mode(args, "ERR SCRIPT FLUSH only support SYNC|ASYNC option")?;
        context.engine.scripts.registry().flush();
        Ok(context.ok())
    } else if equals_ignore_case(word, "KILL") {
        Ok(Answer::Gather(kill(Kind::Script)))
    } else if equals_ignore_case(word, "DEBUG") {
        debug(context, args)
    } else {
        command::help(&declared::SCRIPT, &mut context.reply());
        Ok(Answer::Now)
    }
}

fn is_kept(context: &ControlContext<'_>, sha: Sha) -> bool {
    context.engine.scripts.registry().script(sha).is_some()
}

/// Reads `[ASYNC|SYNC]`. Both do the same: forgetting takes a moment.
pub(super) fn flush_mode(args: Args<'_>, refused: &'static str) -> Result<(), CommandError> {
    match args.get(2) {
        None => Ok(()),
        Some(_) if args.len() > 3 => Err(CommandError::Text(refused)),
        Some(word) if equals_ignore_case(word, "SYNC") || equals_ignore_case(word, "ASYNC") => {
            Ok(())
        }
        Some(_) => Err(CommandError::Text(refused)),
    }
}

/// Asks all cores to end what runs.
pub(super) fn kill(kind: Kind) -> Gather {
    Gather::all(
        move |core| kill::kill(core, kind),
        move |_, outcomes| Finished::Reply(kill::reply(kind, &outcomes)),
    )
}

/// There is no debugger; `NO` asks for none.
fn debug(context: &mut ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    if equals_ignore_case(args.word(2), "NO") {
        return Ok(context.ok());
    }
    let is_mode = ["YES", "SYNC"]
        .iter()
        .any(|mode| equals_ignore_case(args.word(2), mode));
    Err(CommandError::Text(if is_mode {
        "ERR the debugger of scripts is not available in this server"
    } else {
        "ERR Use SCRIPT DEBUG YES/SYNC/NO"
    }))
}
