//! CLIENT.

use commands::spec::CommandError;
use protocol::args::{Args, equals_ignore_case};

use super::declarations::connection as declared;
use super::{Answer, ControlCommand, ControlContext};

pub(super) const COMMANDS: &[ControlCommand] = &[ControlCommand {
    declaration: &declared::CLIENT,
    run: client,
}];

fn client(context: &mut ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    let word = args.word(1);
    if equals_ignore_case(word, "ID") {
        let id = i64::try_from(context.session().client.0).unwrap_or(i64::MAX);
        context.reply().integer(id);
        Ok(Answer::Now)
    } else if equals_ignore_case(word, "GETNAME") {
        let name = context.session().about.name.clone();
        if name.is_empty() {
            context.reply().null();
        } else {
            context.reply().bulk_text(&name);
        }
        Ok(Answer::Now)
    } else if equals_ignore_case(word, "SETNAME") {
        context.session().about.name = parse_name(args.word(2))?;
        Ok(context.ok())
    } else {
        Err(CommandError::Syntax)
    }
}

/// Reads a name that a client gives itself: printable and without spaces, as it stands in lists that
/// are separated by spaces.
pub(super) fn parse_name(word: &[u8]) -> Result<String, CommandError> {
    if word.iter().all(|byte| (b'!'..=b'~').contains(byte)) {
        Ok(String::from_utf8_lossy(word).into_owned())
    } else {
        Err(CommandError::Text(
            "ERR Client names cannot contain spaces, newlines or special characters.",
        ))
    }
}
