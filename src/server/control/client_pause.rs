//! CLIENT PAUSE and UNPAUSE: what they are asked for.
//!
//! Not here: what a pause does ([`crate::pause`]).

use base::clock::Monotonic;
use commands::spec::CommandError;
use commands::wait_form::Timeout;
use commands::waiting::milliseconds;
use protocol::args::{Args, equals_ignore_case};

use super::{Answer, ControlContext};
use crate::pause::{self, Held};

pub(super) fn pause(context: &ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    let held = match (args.get(3), args.len()) {
        (None, _) => Held::All,
        (Some(word), 4) if equals_ignore_case(word, "ALL") => Held::All,
        (Some(word), 4) if equals_ignore_case(word, "WRITE") => Held::Writes,
        (Some(_), 4) => {
            return Err(CommandError::Text(
                "ERR CLIENT PAUSE mode must be WRITE or ALL",
            ));
        }
        (Some(_), _) => return Err(CommandError::SubcommandSyntax),
    };
    let Timeout(millis) = milliseconds(args.word(2))?;
    let nanos = millis.unwrap_or(0).saturating_mul(1_000_000);
    let until = Monotonic(context.engine.clock.0.saturating_add(nanos));
    // An EXEC cannot wait for itself.
    let waits = !context.is_in_exec;
    Ok(Answer::Gather(pause::pause(held, until, waits)))
}

pub(super) fn unpause() -> Answer {
    Answer::Gather(pause::unpause())
}
