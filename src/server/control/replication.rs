//! REPLCONF, SYNC and PSYNC, as far as a client uses them that wants a copy of the data: `redis-cli --rdb`.
//!
//! ```text
//!   REPLCONF capa eof                      +OK     what it understands
//!   REPLCONF rdb-only 1                    +OK     it wants the file and no changes behind it
//!   REPLCONF rdb-filter-only functions     +OK     perhaps: of that, the libraries of functions
//!   SYNC                                   $BYTES, the file, and the connection ends
//! ```
//!
//! A server that would be a replica is told that there is no replication, and never gets a file that nothing
//! follows. The file always has its length in front, as Redis does with `repl-diskless-sync no`, also for clients that
//! understand the form with a mark at the end.
//!
//! Not here: making the copy and sending it (`crate::persistence::delivery`).

use base::ids::ShardId;
use commands::spec::CommandError;
use protocol::args::{Args, equals_ignore_case};

use super::declarations::replication as declared;
use super::{Answer, ControlCommand, ControlContext};
use crate::gather::{Finished, Gather, Whom};
use crate::persistence::delivery;
use crate::session::{Extent, WantedCopy};

pub(super) const COMMANDS: &[ControlCommand] = &[
    ControlCommand {
        declaration: &declared::REPLCONF,
        run: configure,
    },
    ControlCommand {
        declaration: &declared::SYNC,
        run: sync,
    },
    ControlCommand {
        declaration: &declared::PSYNC,
        run: sync_partly,
    },
];

const NO_REPLICATION: CommandError = CommandError::Text(
    "ERR replication is not built yet: there are no changes to follow. A copy of the data is given to who says \
     REPLCONF rdb-only 1 and then SYNC, as redis-cli --rdb does",
);

fn configure(context: &mut ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    if args.len().is_multiple_of(2) {
        return Err(CommandError::Syntax);
    }
    let mut wanted = context.session().wanted_copy;
    for index in (1..args.len()).step_by(2) {
        let (option, value) = (args.word(index), args.word(index + 1));
        let is = |name: &str| equals_ignore_case(option, name);
        if is("rdb-only") {
            wanted.is_rdb_only = switch(value)?;
        } else if is("rdb-filter-only") {
            wanted.filter(value, index + 1)?;
        } else if is("ack") || is("getack") {
            // Said by replicas and by primaries; who is neither gets no answer.
            return Ok(Answer::Silence);
        } else if is("listening-port") || is("ip-address") {
            return Err(NO_REPLICATION);
        } else if !is("capa") {
            let text = "ERR Unrecognized REPLCONF option: ";
            return Err(CommandError::Naming(text, index));
        }
    }
    context.session().wanted_copy = wanted;
    Ok(context.ok())
}

fn switch(word: &[u8]) -> Result<bool, CommandError> {
    match base::number::parse_i64(word) {
        Some(0) => Ok(false),
        Some(1) => Ok(true),
        Some(_) => Err(CommandError::Text(
            "ERR value is out of range, value must between 0 and 1",
        )),
        None => Err(CommandError::NotInteger),
    }
}

impl WantedCopy {
    /// Takes the words of a filter, which stands at `index` of the request.
    fn filter(&mut self, words: &[u8], index: usize) -> Result<(), CommandError> {
        let words = words.split(u8::is_ascii_whitespace);
        let mut words = words.filter(|word| !word.is_empty()).peekable();
        let has_functions = words.peek().is_some();
        if !words.all(|word| equals_ignore_case(word, "functions")) {
            let text = "ERR Unsupported rdb-filter-only option: ";
            return Err(CommandError::Naming(text, index));
        }
        self.extent = match has_functions {
            true => Extent::Functions,
            false => Extent::Nothing,
        };
        Ok(())
    }
}

fn sync(context: &mut ControlContext<'_>, _args: Args<'_>) -> Result<Answer, CommandError> {
    let wanted = context.session().wanted_copy;
    if !wanted.is_rdb_only {
        return Err(NO_REPLICATION);
    }
    Ok(Answer::Gather(copy(context.engine.me, wanted.extent)))
}

fn sync_partly(_: &mut ControlContext<'_>, _args: Args<'_>) -> Result<Answer, CommandError> {
    Err(NO_REPLICATION)
}

/// Begins a copy for a client of the core `to`, when no save is under way any more.
fn copy(to: ShardId, extent: Extent) -> Gather {
    Gather::new(
        Whom::One(ShardId(0)),
        move |core| delivery::begin(core, to, extent),
        move |_, parts| match parts.into_iter().next() {
            Some(Ok(parcels)) => Finished::Copy(parcels),
            Some(Err(_under_way)) => Finished::More(copy(to, extent)),
            None => Finished::Reply(b"-ERR the core has not answered\r\n".to_vec()),
        },
    )
}
