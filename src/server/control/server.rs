//! COMMAND, TIME, SHUTDOWN, ROLE, WAIT, WAITAOF.

use std::time::Duration;

use base::number::parse_i64;
use commands::spec::CommandError;
use protocol::args::{Args, equals_ignore_case};

use super::declarations::server as declared;
use super::{Answer, ControlCommand, ControlContext, command, persistence};
use crate::timers::LogWait;
use crate::waiting;

pub(super) const COMMANDS: &[ControlCommand] = &[
    ControlCommand {
        declaration: &declared::COMMAND,
        run: commands_known,
    },
    ControlCommand {
        declaration: &declared::TIME,
        run: time,
    },
    ControlCommand {
        declaration: &declared::SHUTDOWN,
        run: shutdown,
    },
    ControlCommand {
        declaration: &declared::ROLE,
        run: role,
    },
    ControlCommand {
        declaration: &declared::WAIT,
        run: wait,
    },
    ControlCommand {
        declaration: &declared::WAITAOF,
        run: wait_aof,
    },
];

fn commands_known(
    context: &mut ControlContext<'_>,
    args: Args<'_>,
) -> Result<Answer, CommandError> {
    let shared = std::sync::Arc::clone(&context.engine.shared);
    let table: Vec<_> = shared.table.declarations().collect();
    let mut reply = context.reply();
    let Some(word) = args.get(1) else {
        command::all(&table, &mut reply);
        return Ok(Answer::Now);
    };
    if equals_ignore_case(word, "COUNT") {
        command::count(&table, &mut reply);
    } else if equals_ignore_case(word, "INFO") {
        command::info(&table, args, &mut reply);
    } else if equals_ignore_case(word, "DOCS") {
        command::docs(&table, args, &mut reply);
    } else if equals_ignore_case(word, "LIST") {
        command::list(&table, args, &mut reply)?;
    } else if equals_ignore_case(word, "GETKEYS") {
        command::keys(&table, args, &mut reply)?;
    } else if equals_ignore_case(word, "GETKEYSANDFLAGS") {
        command::keys_and_flags(&table, args, &mut reply)?;
    } else {
        command::help(&declared::COMMAND, &mut reply);
    }
    Ok(Answer::Now)
}

fn time(context: &mut ControlContext<'_>, _args: Args<'_>) -> Result<Answer, CommandError> {
    let micros = runtime::clock::unix_micros();
    let mut reply = context.reply();
    reply.array(2);
    reply.integer_bulk(micros.div_euclid(1_000_000));
    reply.integer_bulk(micros.rem_euclid(1_000_000));
    Ok(Answer::Now)
}

fn role(context: &mut ControlContext<'_>, _args: Args<'_>) -> Result<Answer, CommandError> {
    let mut reply = context.reply();
    reply.array(3);
    reply.bulk_text("master");
    reply.integer(0);
    reply.array(0);
    Ok(Answer::Now)
}

/// There are no replicas, so none can acknowledge: the answer is 0, and for a wait of more than none
/// it comes when the time is over, which is never for a time of 0.
fn wait(context: &mut ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    let wanted = parse_i64(args.word(1)).ok_or(CommandError::NotInteger)?;
    let duration = duration_of(args.word(2))?;
    if wanted <= 0 || context.is_in_exec {
        context.reply().integer(0);
        return Ok(Answer::Now);
    }
    Ok(Answer::Later(duration, b":0\r\n"))
}

fn wait_aof(context: &mut ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    const NO_LOG: &str =
        "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.";
    let local = parse_i64(args.word(1)).ok_or(CommandError::NotInteger)?;
    if !(0..=1).contains(&local) {
        let text = "ERR value is out of range, value must between 0 and 1";
        return Err(CommandError::Text(text));
    }
    let replicas = parse_i64(args.word(2)).ok_or(CommandError::NotInteger)?;
    if replicas < 0 {
        let text = "ERR value is out of range, must be positive";
        return Err(CommandError::Text(text));
    }
    let duration = duration_of(args.word(3))?;
    if local > 0 && context.engine.shared.persistence.log().is_none() {
        return Err(CommandError::Text(NO_LOG));
    }
    if context.is_in_exec {
        return Ok(Answer::Gather(waiting::log::look()));
    }
    let wait = LogWait::new(local > 0, replicas);
    Ok(Answer::LogWait(duration, wait))
}

/// Reads a time in milliseconds; nothing if it is without end.
fn duration_of(word: &[u8]) -> Result<Option<Duration>, CommandError> {
    const NOT_A_TIME: &str = "ERR timeout is not an integer or out of range";
    let timeout = parse_i64(word).ok_or(CommandError::Text(NOT_A_TIME))?;
    let Ok(timeout) = u64::try_from(timeout) else {
        return Err(CommandError::Text("ERR timeout is negative"));
    };
    Ok((timeout > 0).then(|| Duration::from_millis(timeout)))
}

fn shutdown(context: &mut ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    let (mut saves, mut saves_not, mut aborts) = (false, false, false);
    for word in args.from(1).iter() {
        if equals_ignore_case(word, "SAVE") {
            saves = true;
        } else if equals_ignore_case(word, "NOSAVE") {
            saves_not = true;
        } else if equals_ignore_case(word, "ABORT") {
            aborts = true;
        } else if !["NOW", "FORCE"]
            .iter()
            .any(|it| equals_ignore_case(word, it))
        {
            return Err(CommandError::Syntax);
        }
    }
    if saves && saves_not || aborts && args.len() > 2 {
        return Err(CommandError::Syntax);
    }
    if aborts {
        return Err(CommandError::Text("ERR No shutdown in progress."));
    }
    let settings = context.engine.config.settings();
    let has_points = !settings.save_points.is_empty();
    let is_loading = context.engine.shared.persistence.is_loading();
    tracing::info!(client = %context.session().about.address, "asked to shut down");
    // What is loaded only in part must not take the place of the whole.
    let saves = (saves || has_points && !saves_not) && !is_loading;
    Ok(Answer::Gather(persistence::shut_down(saves)))
}
