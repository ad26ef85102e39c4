//! COMMAND, TIME, SHUTDOWN, ROLE, WAIT.

use std::time::Duration;

use base::number::parse_i64;
use commands::spec::CommandError;
use protocol::args::{Args, equals_ignore_case};

use super::declarations::server as declared;
use super::{Answer, ControlCommand, ControlContext, command, persistence};

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
    const NOT_A_TIME: &str = "ERR timeout is not an integer or out of range";
    let wanted = parse_i64(args.word(1)).ok_or(CommandError::NotInteger)?;
    let timeout = parse_i64(args.word(2)).ok_or(CommandError::Text(NOT_A_TIME))?;
    if timeout < 0 {
        return Err(CommandError::Text("ERR timeout is negative"));
    }
    if wanted <= 0 || context.is_in_exec {
        context.reply().integer(0);
        return Ok(Answer::Now);
    }
    let timeout = u64::try_from(timeout).unwrap_or(0);
    let duration = (timeout > 0).then(|| Duration::from_millis(timeout));
    Ok(Answer::Later(duration, b":0\r\n"))
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
