//! LATENCY: the latency events of all cores, and the times of commands.
//!
//! Events of the same kind from different cores are joined second by second, the longest counts, as
//! within one core.
//!
//! In reading order: the commands; `report` writes the texts for people.

mod report;

use std::collections::BTreeMap;

use base::cast::i64_from;
use commands::error::shown;
use commands::spec::CommandError;
use hdrhistogram::Histogram;
use protocol::args::{Args, equals_ignore_case};
use protocol::reply::{Reply, Resp};

use super::declarations::diagnostics as declared;
use super::info::activity::times_of;
use super::info::facts::{CoreFacts, Facts, Times};
use super::info::verbatim;
use super::{Answer, ControlCommand, ControlContext, command};
use crate::command_index::CommandIndex;
use crate::core_loop::Core;
use crate::gather::{Finished, Gather};
use crate::observe::latency::Series;
use crate::table::Command;

pub(super) const COMMANDS: &[ControlCommand] = &[ControlCommand {
    declaration: &declared::LATENCY,
    run: latency,
}];

/// The series of all cores by kind.
type Joined = BTreeMap<&'static str, Series>;

fn latency(context: &mut ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    let word = args.word(1);
    let resp = context.session().resp;
    let gather = if equals_ignore_case(word, "LATEST") {
        events(move |_, joined| encode(resp, |reply| latest(&joined, reply)))
    } else if equals_ignore_case(word, "HISTORY") {
        let kind = args.word(2).to_vec();
        events(move |_, joined| encode(resp, |reply| history(&joined, &kind, reply)))
    } else if equals_ignore_case(word, "GRAPH") {
        let kind = args.word(2).to_vec();
        events(move |core, joined| graph(core, &joined, &kind, resp))
    } else if equals_ignore_case(word, "DOCTOR") {
        let is_on = context.engine.config.settings().latency_monitor_ms > 0;
        events(move |_, joined| verbatim(&report::doctor(&joined, is_on), resp))
    } else if equals_ignore_case(word, "RESET") {
        let kinds = args.from(2).iter().map(<[u8]>::to_vec).collect();
        reset(kinds, resp)
    } else if equals_ignore_case(word, "HISTOGRAM") {
        let wanted = histograms_wanted(context, args);
        histograms(wanted, resp)
    } else {
        command::help(&declared::LATENCY, &mut context.reply());
        return Ok(Answer::Now);
    };
    Ok(Answer::Gather(gather))
}

fn encode(resp: Resp, write: impl FnOnce(&mut Reply<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut Reply::new(&mut out, resp));
    out
}

/// Asks all cores for their events.
fn events(finish: impl FnOnce(&Core, Joined) -> Vec<u8> + 'static) -> Gather {
    Gather::all(
        |core| core.engine.observed.latency.series.clone(),
        move |core, parts: Vec<BTreeMap<&'static str, Series>>| {
            let mut joined = Joined::new();
            for (kind, series) in parts.into_iter().flatten() {
                joined.entry(kind).or_default().join(&series);
            }
            Finished::Reply(finish(core, joined))
        },
    )
}

fn find<'j>(joined: &'j Joined, kind: &[u8]) -> Option<(&'static str, &'j Series)> {
    let mut all = joined.iter().map(|(name, series)| (*name, series));
    all.find(|(name, _)| name.as_bytes() == kind)
}

fn integer(reply: &mut Reply<'_>, value: u64) {
    reply.integer(i64::try_from(value).unwrap_or(i64::MAX));
}

fn latest(joined: &Joined, reply: &mut Reply<'_>) {
    let last = |series: &Series| series.samples.back().copied();
    let shown: Vec<_> = joined
        .iter()
        .filter_map(|(kind, series)| Some((kind, series, last(series)?)))
        .collect();
    reply.array(shown.len());
    for (kind, series, last) in shown {
        reply.array(4);
        reply.bulk_text(kind);
        reply.integer(last.at_seconds);
        integer(reply, last.millis);
        integer(reply, series.longest_millis);
    }
}

fn history(joined: &Joined, kind: &[u8], reply: &mut Reply<'_>) {
    let Some((_, series)) = find(joined, kind) else {
        return reply.array(0);
    };
    reply.array(series.samples.len());
    for sample in &series.samples {
        reply.array(2);
        reply.integer(sample.at_seconds);
        integer(reply, sample.millis);
    }
}

fn graph(core: &Core, joined: &Joined, kind: &[u8], resp: Resp) -> Vec<u8> {
    match find(joined, kind) {
        Some((name, series)) => {
            let text = report::graph(name, series, core.engine.now.seconds());
            verbatim(&text, resp)
        }
        None => {
            let kind = shown(kind);
            let text = format!("ERR No samples available for event '{kind}'");
            encode(resp, |reply| reply.error(&text))
        }
    }
}

fn reset(kinds: Vec<Vec<u8>>, resp: Resp) -> Gather {
    Gather::all(
        move |core| core.engine.observed.latency.reset(&kinds),
        move |_, parts| {
            let mut gone: Vec<&'static str> = parts.into_iter().flatten().collect();
            gone.sort_unstable();
            gone.dedup();
            Finished::Reply(encode(resp, |reply| reply.integer(i64_from(gone.len()))))
        },
    )
}

/// Returns the commands that the words name, in their order; none for all. A container stands for its
/// subcommands.
fn histograms_wanted(context: &ControlContext<'_>, args: Args<'_>) -> Option<Vec<CommandIndex>> {
    if args.len() == 2 {
        return None;
    }
    let table = &context.engine.shared.table;
    let mut wanted = Vec::new();
    for word in args.from(2).iter() {
        let mut parts = word.splitn(2, |&byte| byte == b'|');
        let Some(command) = parts.next().and_then(|name| table.find(name)) else {
            continue;
        };
        match parts.next() {
            Some(child) => wanted.extend(table.find_child(command.index, child).map(|it| it.index)),
            None => {
                wanted.push(command.index);
                let children = command.declaration.subcommands.iter();
                wanted.extend(children.filter_map(|child| {
                    let child = table.find_child(command.index, child.name.as_bytes());
                    child.map(|child| child.index)
                }));
            }
        }
    }
    Some(wanted)
}

fn histograms(wanted: Option<Vec<CommandIndex>>, resp: Resp) -> Gather {
    Gather::all(
        |core| CoreFacts::collect(core, Times::With),
        move |core, cores| {
            let all = times_of(core, &Facts { cores });
            let shown: Vec<&(Command, Histogram<u64>)> = match &wanted {
                None => all.iter().collect(),
                Some(wanted) => wanted
                    .iter()
                    .filter_map(|index| all.iter().find(|(command, _)| command.index == *index))
                    .collect(),
            };
            Finished::Reply(encode(resp, |reply| {
                reply.map(shown.len());
                for (command, times) in shown {
                    reply.bulk_text(command.full_name);
                    histogram(times, reply);
                }
            }))
        },
    )
}

fn histogram(times: &Histogram<u64>, reply: &mut Reply<'_>) {
    reply.map(2);
    reply.bulk_text("calls");
    integer(reply, times.len());
    reply.bulk_text("histogram_usec");
    let buckets = buckets(times);
    reply.map(buckets.len());
    for (bound_us, count) in buckets {
        integer(reply, bound_us);
        integer(reply, count);
    }
}

/// Returns the buckets that are not empty: the bound in microseconds, and how many runs took at most
/// that long.
///
/// Bounds double from 1024 ns on, and each takes in the times that the histogram cannot tell from
/// it: a hundred-and-twenty-eighth more.
fn buckets(times: &Histogram<u64>) -> Vec<(u64, u64)> {
    let mut buckets: Vec<(u64, u64)> = Vec::new();
    let mut bound = 1024_u64;
    let mut count = 0;
    for step in times.iter_recorded() {
        count += step.count_since_last_iteration();
        while last_of(bound) < step.value_iterated_to() {
            bound = bound.saturating_mul(2);
        }
        let bound_us = last_of(bound) / 1000;
        match buckets.last_mut() {
            Some(last) if last.0 == bound_us => last.1 = count,
            Some(_) | None => buckets.push((bound_us, count)),
        }
    }
    buckets
}

/// Returns the longest time that counts as `bound`, both in nanoseconds.
fn last_of(bound: u64) -> u64 {
    bound.saturating_add(bound / 128 - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(nanos: &[u64]) -> Histogram<u64> {
        let mut times = Histogram::new_with_bounds(1, 60_000_000_000, 2).unwrap();
        for nanos in nanos {
            times.record(*nanos).unwrap();
        }
        times
    }

    #[test]
    fn buckets_double_and_count_up() {
        let times = recorded(&[3_000, 3_500, 10_000, 13_000, 500, 900_000]);
        assert_eq!(buckets(&times), [(1, 1), (4, 3), (16, 5), (1056, 6)]);
    }

    #[test]
    fn bounds_are_those_redis_shows() {
        // One run in every power of two from half a millisecond to half a second.
        let nanos: Vec<u64> = (19..30).map(|power| 1_u64 << power).collect();
        let bounds: Vec<u64> = buckets(&recorded(&nanos)).iter().map(|it| it.0).collect();
        assert_eq!(
            bounds,
            [
                528, 1056, 2113, 4227, 8454, 16_908, 33_816, 67_633, 135_266, 270_532, 541_065
            ]
        );
    }

    #[test]
    fn a_histogram_without_runs_has_no_buckets() {
        assert!(buckets(&recorded(&[])).is_empty());
    }
}
