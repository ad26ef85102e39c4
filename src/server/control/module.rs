//! MODULE: which modules there are. `RedisTABLE` is one of them to clients, though it is a part of the server.

use commands::spec::CommandError;
use protocol::args::{Args, equals_ignore_case};

use super::declarations::server as declared;
use super::{Answer, ControlCommand, ControlContext, command};

pub(super) const COMMANDS: &[ControlCommand] = &[ControlCommand {
    declaration: &declared::MODULE,
    run: module,
}];

/// Its name.
pub(super) const NAME: &str = "table";

/// Its version, of which Redis shows the first number.
pub(super) const VERSION: i64 = 1;

/// What Redis says unless `enable-module-command` is on, which it cannot be here.
const REFUSED: CommandError = CommandError::Text(
    "ERR MODULE command not allowed. If the enable-module-command option is set to \"local\", you \
     can run it from a local connection, otherwise you need to set this option in the \
     configuration file, and then restart the server.",
);

fn module(context: &mut ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    if equals_ignore_case(args.word(1), "LIST") {
        list(context);
    } else if equals_ignore_case(args.word(1), "HELP") {
        command::help(&declared::MODULE, &mut context.reply());
    } else {
        return Err(REFUSED);
    }
    Ok(Answer::Now)
}

fn list(context: &mut ControlContext<'_>) {
    let words = context.engine.config.settings().module.clone();
    let (path, arguments) = match &words[..] {
        [] => ("", &[][..]),
        [path, arguments @ ..] => (path.as_str(), arguments),
    };
    let mut reply = context.reply();
    reply.array(1);
    reply.map(4);
    reply.bulk_text("name");
    reply.bulk_text(NAME);
    reply.bulk_text("ver");
    reply.integer(VERSION);
    reply.bulk_text("path");
    reply.bulk_text(path);
    reply.bulk_text("args");
    reply.array(arguments.len());
    for word in arguments {
        reply.bulk_text(word);
    }
}
