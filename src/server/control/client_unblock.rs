//! CLIENT UNBLOCK: ends the waiting of another client.
//!
//! A client that is answered at the same moment counts as one that waits, and gets that answer.

use base::ids::ClientId;
use base::number::parse_i64;
use commands::spec::CommandError;
use protocol::args::{Args, equals_ignore_case};

use super::Answer;
use crate::core_loop::Core;
use crate::gather::{Finished, Gather};

const UNBLOCKED: &[u8] = b"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n";

pub(super) fn unblock(args: Args<'_>) -> Result<Answer, CommandError> {
    if args.len() > 4 {
        return Err(CommandError::SubcommandSyntax);
    }
    let is_error = match args.get(3) {
        None => false,
        Some(word) if equals_ignore_case(word, "TIMEOUT") => false,
        Some(word) if equals_ignore_case(word, "ERROR") => true,
        Some(_) => {
            return Err(CommandError::Text(
                "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR",
            ));
        }
    };
    let id = parse_i64(args.word(2)).ok_or(CommandError::NotInteger)?;
    // No client has a number below 1.
    let client = ClientId(u64::try_from(id).unwrap_or(0));
    Ok(Answer::Gather(Gather::all(
        move |core| unblock_here(core, client, is_error),
        |_, parts: Vec<bool>| {
            let is_found = parts.contains(&true);
            Finished::Reply(format!(":{}\r\n", u8::from(is_found)).into_bytes())
        },
    )))
}

fn unblock_here(core: &mut Core, client: ClientId, is_error: bool) -> bool {
    let found = core
        .net
        .iter()
        .find(|(_, connection)| connection.session.client == client)
        .map(|(id, _)| id.to_bits());
    let error = is_error.then(|| UNBLOCKED.to_vec());
    found.is_some_and(|connection| core.stop_waiting(connection, error))
}
