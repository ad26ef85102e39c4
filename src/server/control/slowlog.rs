//! SLOWLOG: the slow logs of all cores as one.
//!
//! Entries carry numbers from one counter of the process, so the newest of all cores are those with
//! the largest numbers. The merged log has at most `slowlog-max-len` entries.

use base::number::parse_i64;
use commands::spec::CommandError;
use protocol::args::{Args, equals_ignore_case};
use protocol::reply::{Reply, Resp};

use super::declarations::diagnostics as declared;
use super::{Answer, ControlCommand, ControlContext, command};
use crate::core_loop::Core;
use crate::gather::{Finished, Gather};
use crate::observe::slow_log::SlowEntry;

pub(super) const COMMANDS: &[ControlCommand] = &[ControlCommand {
    declaration: &declared::SLOWLOG,
    run: slowlog,
}];

/// Entries that `SLOWLOG GET` shows if it is not told how many.
const SHOWN: usize = 10;

fn slowlog(context: &mut ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    let word = args.word(1);
    let resp = context.session().resp;
    if equals_ignore_case(word, "GET") {
        let count = parse_count(args)?;
        Ok(Answer::Gather(get(count, resp)))
    } else if equals_ignore_case(word, "LEN") {
        Ok(Answer::Gather(len(resp)))
    } else if equals_ignore_case(word, "RESET") {
        Ok(Answer::Gather(Gather::all(
            |core| core.engine.observed.slow_log.clear(),
            |_, _| Finished::Reply(b"+OK\r\n".into()),
        )))
    } else {
        command::help(&declared::SLOWLOG, &mut context.reply());
        Ok(Answer::Now)
    }
}

/// Reads how many entries are wanted; none for all.
fn parse_count(args: Args<'_>) -> Result<Option<usize>, CommandError> {
    if args.len() > 3 {
        return Err(CommandError::SubcommandSyntax);
    }
    let Some(word) = args.get(2) else {
        return Ok(Some(SHOWN));
    };
    match parse_i64(word) {
        Some(-1) => Ok(None),
        Some(count) if count >= 0 => Ok(Some(usize::try_from(count).unwrap_or(usize::MAX))),
        Some(_) | None => Err(CommandError::Text(
            "ERR count should be greater than or equal to -1",
        )),
    }
}

fn get(count: Option<usize>, resp: Resp) -> Gather {
    Gather::all(
        move |core| newest(core, count),
        move |core, parts| {
            let mut entries: Vec<SlowEntry> = parts.into_iter().flatten().collect();
            entries.sort_by_key(|entry| std::cmp::Reverse(entry.number));
            let len_max = core.engine.observed.slow_log.len_max();
            entries.truncate(count.unwrap_or(len_max).min(len_max));
            Finished::Reply(encode(&entries, resp))
        },
    )
}

fn newest(core: &Core, count: Option<usize>) -> Vec<SlowEntry> {
    let log = &core.engine.observed.slow_log;
    log.iter()
        .take(count.unwrap_or(usize::MAX))
        .cloned()
        .collect()
}

fn encode(entries: &[SlowEntry], resp: Resp) -> Vec<u8> {
    let mut out = Vec::new();
    let mut reply = Reply::new(&mut out, resp);
    reply.array(entries.len());
    for entry in entries {
        reply.array(6);
        reply.integer(i64::try_from(entry.number).unwrap_or(i64::MAX));
        reply.integer(entry.at_seconds);
        reply.integer(i64::try_from(entry.micros).unwrap_or(i64::MAX));
        let words = entry.words.args();
        reply.array(words.len());
        for word in words.iter() {
            reply.bulk(word);
        }
        reply.bulk_text(&entry.address);
        reply.bulk_text(&entry.name);
    }
    out
}

fn len(resp: Resp) -> Gather {
    Gather::all(
        |core| core.engine.observed.slow_log.len(),
        move |core, parts| {
            let len: usize = parts.iter().sum();
            let len = len.min(core.engine.observed.slow_log.len_max());
            let mut out = Vec::new();
            Reply::new(&mut out, resp).integer(base::cast::i64_from(len));
            Finished::Reply(out)
        },
    )
}
