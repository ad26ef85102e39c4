//! MEMORY, but for MEMORY USAGE, which looks at a key and is a command of the data plane.

use commands::spec::CommandError;
use protocol::args::{Args, equals_ignore_case};
use protocol::reply::{Reply, Resp};

use super::declarations::diagnostics as declared;
use super::info::facts::{CoreFacts, Facts, Times};
use super::info::lines::{human, quotient};
use super::info::memory::{MemoryFigures, difference};
use super::info::verbatim;
use super::{Answer, ControlCommand, ControlContext, command};
use crate::core_loop::Core;
use crate::gather::{Finished, Gather};

pub(super) const COMMANDS: &[ControlCommand] = &[ControlCommand {
    declaration: &declared::MEMORY,
    run: memory,
}];

fn memory(context: &mut ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    let word = args.word(1);
    let resp = context.session().resp;
    let gather = if equals_ignore_case(word, "STATS") {
        facts(move |core, facts| stats(core, facts, resp))
    } else if equals_ignore_case(word, "DOCTOR") {
        facts(move |core, facts| {
            verbatim(&diagnosis(&MemoryFigures::take(core, facts), facts), resp)
        })
    } else if equals_ignore_case(word, "PURGE") {
        // Every thread has a heap of its own, which it alone may clean up.
        Gather::all(
            |_| runtime::memory::purge(),
            |_, _| Finished::Reply(b"+OK\r\n".into()),
        )
    } else if equals_ignore_case(word, "MALLOC-STATS") {
        let text = runtime::memory::allocator_statistics();
        context.reply().verbatim("txt", text.as_bytes());
        return Ok(Answer::Now);
    } else {
        command::help(&declared::MEMORY, &mut context.reply());
        return Ok(Answer::Now);
    };
    Ok(Answer::Gather(gather))
}

fn facts(finish: impl FnOnce(&Core, &Facts) -> Vec<u8> + 'static) -> Gather {
    Gather::all(
        |core| CoreFacts::collect(core, Times::Without),
        move |core, cores| Finished::Reply(finish(core, &Facts { cores })),
    )
}

/// A value of MEMORY STATS.
#[derive(Clone, Copy)]
enum Figure {
    Whole(i64),
    Ratio(f64),
}

impl Figure {
    fn bytes(bytes: u64) -> Self {
        Self::Whole(i64::try_from(bytes).unwrap_or(i64::MAX))
    }
}

/// Writes the reply of MEMORY STATS: names as in Redis 7.0.15. There is one hash table per database,
/// which holds expiry times and slots too, so the tables that Redis has for them are 0.
fn stats(core: &Core, facts: &Facts, resp: Resp) -> Vec<u8> {
    let figures = MemoryFigures::take(core, facts);
    let databases = facts.databases();
    let before = before_databases(&figures);
    let behind = behind_databases(&figures);
    let mut out = Vec::new();
    let mut reply = Reply::new(&mut out, resp);
    reply.map(before.len() + databases.len() + behind.len());
    write_figures(&before, &mut reply);
    for database in databases {
        reply.bulk_text(&format!("db.{}", database.db));
        reply.map(3);
        let tables = [
            (
                "overhead.hashtable.main",
                Figure::bytes(database.dict_bytes),
            ),
            ("overhead.hashtable.expires", Figure::Whole(0)),
            ("overhead.hashtable.slot-to-keys", Figure::Whole(0)),
        ];
        write_figures(&tables, &mut reply);
    }
    write_figures(&behind, &mut reply);
    out
}

fn write_figures(figures: &[(&str, Figure)], reply: &mut Reply<'_>) {
    for (name, figure) in figures {
        reply.bulk_text(name);
        match figure {
            Figure::Whole(value) => reply.integer(*value),
            Figure::Ratio(value) => reply.double(*value),
        }
    }
}

fn before_databases(figures: &MemoryFigures) -> Vec<(&'static str, Figure)> {
    vec![
        ("peak.allocated", Figure::bytes(figures.peak)),
        ("total.allocated", Figure::bytes(figures.used)),
        ("startup.allocated", Figure::bytes(figures.startup)),
        ("replication.backlog", Figure::Whole(0)),
        ("clients.slaves", Figure::Whole(0)),
        ("clients.normal", Figure::bytes(figures.clients)),
        ("cluster.links", Figure::Whole(0)),
        ("aof.buffer", Figure::Whole(0)),
        ("lua.caches", Figure::Whole(0)),
        ("functions.caches", Figure::Whole(0)),
    ]
}

fn behind_databases(figures: &MemoryFigures) -> Vec<(&'static str, Figure)> {
    let MemoryFigures {
        used,
        resident,
        committed,
        keys,
        ..
    } = *figures;
    let since_start = used.saturating_sub(figures.startup);
    let per_key = since_start.checked_div(keys).unwrap_or(0);
    let ratio = |one, other| Figure::Ratio(quotient(one, other));
    let extra = |one, other| Figure::Whole(difference(one, other));
    vec![
        ("overhead.total", Figure::bytes(figures.overhead())),
        ("keys.count", Figure::bytes(keys)),
        ("keys.bytes-per-key", Figure::bytes(per_key)),
        ("dataset.bytes", Figure::bytes(figures.dataset())),
        (
            "dataset.percentage",
            Figure::Ratio(figures.dataset_percent()),
        ),
        ("peak.percentage", Figure::Ratio(figures.peak_percent())),
        ("allocator.allocated", Figure::bytes(used)),
        ("allocator.active", Figure::bytes(committed)),
        ("allocator.resident", Figure::bytes(resident)),
        ("allocator-fragmentation.ratio", ratio(committed, used)),
        ("allocator-fragmentation.bytes", extra(committed, used)),
        ("allocator-rss.ratio", ratio(resident, committed)),
        ("allocator-rss.bytes", extra(resident, committed)),
        ("rss-overhead.ratio", ratio(resident, resident)),
        ("rss-overhead.bytes", extra(resident, resident)),
        ("fragmentation", ratio(resident, used)),
        ("fragmentation.bytes", extra(resident, used)),
    ]
}

/// Below this the shares mean nothing.
const BYTES_MIN: u64 = 5 << 20;

/// Mean memory of a client above which it is worth a word.
const CLIENT_BYTES_MANY: u64 = 200 * 1024;

/// Says what is unusual about the memory, and what may help.
fn diagnosis(figures: &MemoryFigures, facts: &Facts) -> String {
    if figures.used < BYTES_MIN {
        return format!(
            "Only {} are in use: too little to tell anything from.\n",
            human(figures.used)
        );
    }
    let mut findings = Vec::new();
    if quotient(figures.peak, figures.used) > 1.5 {
        findings.push(format!(
            "Peak: {} were in use once, {} are now. What was freed may still be held by the \
             allocator: MEMORY PURGE gives it back.",
            human(figures.peak),
            human(figures.used)
        ));
    }
    if quotient(figures.resident, figures.used) > 1.4
        && difference(figures.resident, figures.used) > 10 << 20
    {
        findings.push(format!(
            "Fragmentation: {} are resident for {} in use. Try MEMORY PURGE; if that does not \
             help, the holes lie between live values and go with a restart.",
            human(figures.resident),
            human(figures.used)
        ));
    }
    let clients = facts.sum(|core| core.clients.count);
    if figures.clients.checked_div(clients).unwrap_or(0) > CLIENT_BYTES_MANY {
        findings.push(format!(
            "Clients: their buffers take {}. Some read their replies too slowly or send very large \
             requests: see CLIENT LIST.",
            human(figures.clients)
        ));
    }
    if findings.is_empty() {
        return "Nothing unusual about the memory.\n".to_owned();
    }
    let mut text = String::from("Findings:\n\n");
    for finding in findings {
        text.push_str(&format!("- {finding}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(used: u64, peak: u64, resident: u64) -> MemoryFigures {
        MemoryFigures {
            used: used << 20,
            peak: peak << 20,
            resident: resident << 20,
            ..MemoryFigures::default()
        }
    }

    #[test]
    fn findings_are_told_apart() {
        let none = Facts { cores: Vec::new() };
        let cases = [
            (figures(1, 1, 50), "too little"),
            (figures(100, 110, 120), "Nothing unusual"),
            (figures(100, 200, 120), "Peak:"),
            (figures(100, 110, 200), "Fragmentation:"),
        ];
        for (figures, expected) in cases {
            let text = diagnosis(&figures, &none);
            assert!(text.contains(expected), "{text}");
        }
    }
}
