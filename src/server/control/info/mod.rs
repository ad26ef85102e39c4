//! INFO.
//!
//! One question to all cores brings their figures ([`facts`]); the core that was asked writes the
//! sections from them. Names and formats of fields are those of Redis 7.0.15. What this server does
//! not have (replicas, scripts, files) is shown as Redis shows it when it is not used: 0.
//!
//! In reading order: [`facts`], then the sections: `server`, [`memory`], `activity`.
//!
//! Invariant: sections come in one fixed order, whatever order they are asked for in, each once.

pub(crate) mod activity;
pub(crate) mod facts;
pub(crate) mod lines;
pub(crate) mod memory;
mod server;

use commands::spec::CommandError;
use protocol::args::Args;
use protocol::reply::{Reply, Resp};

use self::facts::{CoreFacts, Facts, Times};
use self::lines::Lines;
use super::declarations::server as declared;
use super::{Answer, ControlCommand, ControlContext};
use crate::core_loop::Core;
use crate::gather::{Finished, Gather};

pub(super) const COMMANDS: &[ControlCommand] = &[ControlCommand {
    declaration: &declared::INFO,
    run: info,
}];

/// A section of INFO.
struct Section {
    /// What it is asked for by.
    name: &'static str,
    /// Its heading.
    title: &'static str,
    /// Shown by a plain `INFO`.
    is_default: bool,
    write: fn(&Core, &Facts, &mut Lines),
}

const fn section(
    name: &'static str,
    title: &'static str,
    write: fn(&Core, &Facts, &mut Lines),
) -> Section {
    Section {
        name,
        title,
        is_default: true,
        write,
    }
}

/// Shown on demand and by `INFO all`.
const fn detail(
    name: &'static str,
    title: &'static str,
    write: fn(&Core, &Facts, &mut Lines),
) -> Section {
    Section {
        is_default: false,
        ..section(name, title, write)
    }
}

/// All sections, in the order in which they are shown.
const SECTIONS: &[Section] = &[
    section("server", "Server", server::server),
    section("clients", "Clients", server::clients),
    section("memory", "Memory", memory::section),
    section("persistence", "Persistence", server::persistence),
    section("stats", "Stats", activity::stats),
    section("replication", "Replication", server::replication),
    section("cpu", "CPU", server::cpu),
    section("modules", "Modules", server::modules),
    detail("commandstats", "Commandstats", activity::command_stats),
    section("errorstats", "Errorstats", activity::error_stats),
    detail("latencystats", "Latencystats", activity::latency_stats),
    section("cluster", "Cluster", server::cluster),
    section("keyspace", "Keyspace", activity::keyspace),
    detail("trestle", "Trestle", activity::trestle),
];

/// Name of the section that needs the times of commands.
const TIMES_SECTION: &str = "latencystats";

fn info(context: &mut ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    let wanted = wanted(args.from(1));
    let has_times = wanted.iter().any(|section| section.name == TIMES_SECTION);
    let times = if has_times {
        Times::With
    } else {
        Times::Without
    };
    let resp = context.session().resp;
    Ok(Answer::Gather(Gather::all(
        move |core| CoreFacts::collect(core, times),
        move |core, cores| {
            let text = write(core, &Facts { cores }, &wanted);
            Finished::Reply(verbatim(&text, resp))
        },
    )))
}

/// Returns the sections that the words name.
fn wanted(words: Args<'_>) -> Vec<&'static Section> {
    let names = |name: &str| {
        words
            .iter()
            .any(|it| it.eq_ignore_ascii_case(name.as_bytes()))
    };
    let is_default = words.is_empty() || names("default");
    let is_all = names("all") || names("everything");
    SECTIONS
        .iter()
        .filter(|section| is_all || (is_default && section.is_default) || names(section.name))
        .collect()
}

fn write(core: &Core, facts: &Facts, sections: &[&Section]) -> String {
    let mut lines = Lines::default();
    for section in sections {
        lines.heading(section.title);
        (section.write)(core, facts, &mut lines);
    }
    lines.text
}

/// Encodes a text for people: a verbatim string where the protocol has it.
pub(super) fn verbatim(text: &str, resp: Resp) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 32);
    Reply::new(&mut out, resp).verbatim("txt", text.as_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::args::PackedArgs;

    fn names(words: &[&str]) -> Vec<&'static str> {
        let mut packed = PackedArgs::default();
        for word in words {
            packed.push_word(word.as_bytes());
        }
        wanted(packed.args())
            .iter()
            .map(|section| section.name)
            .collect()
    }

    #[test]
    fn sections_come_in_their_order_and_once() {
        assert_eq!(
            names(&["CPU", "server", "Cpu", "nothing"]),
            ["server", "cpu"]
        );
        assert!(names(&["nothing"]).is_empty());
    }

    #[test]
    fn details_are_shown_on_demand_alone() {
        let plain = names(&[]);
        assert!(plain.contains(&"errorstats"));
        assert!(!plain.contains(&"commandstats"));
        assert_eq!(plain, names(&["DEFAULT"]));
        assert_eq!(names(&["default", "commandstats"]).len(), plain.len() + 1);
        assert_eq!(names(&["all"]).len(), SECTIONS.len());
        assert_eq!(names(&["everything"]).len(), SECTIONS.len());
    }
}
