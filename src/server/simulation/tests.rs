//! Worlds without faults are explained, worlds with a fault are found out.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use runtime::disk::{Failure, Operation};
use runtime::faults::{self, Fault};

use super::checker::{self, Verdict};
use super::node::{self, Outcome, Theme};
use super::{disk, history, losses};
use crate::config::Config;
use crate::startup::command_table;
use crate::table::CommandTable;

/// Worlds about keys that a run looks at unless the environment says otherwise.
const SEEDS: u64 = 4000;

/// Seeds whose worlds are looked at with each operation of the disk failing once.
const SWEPT_SEEDS: u64 = 3;

/// Worlds in which a fault has to show.
const SEEDS_PER_FAULT: u64 = 3000;

/// Which worlds to look at, by the environment: `SEED` for one, `SEEDS` for as many from `FIRST` or 1 on,
/// `SECONDS_TO_RUN` or `HOURS` for as many as there is time for, from `FIRST` or a new seed on.
struct Budget {
    next: AtomicU64,
    end: u64,
    until: Option<Instant>,
}

impl Budget {
    #[expect(
        clippy::disallowed_methods,
        reason = "how long tests run is measured by the clock of the machine"
    )]
    fn of_environment(theme: Theme) -> Self {
        let seconds = number("SECONDS_TO_RUN").or(number("HOURS").map(|hours| hours * 3600));
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        // Far enough apart for the seeds of a whole run.
        let new = now.map_or(1, |now| now.as_secs() << 20);
        let default = if seconds.is_some() { new } else { 1 };
        let first = number("SEED").or(number("FIRST")).unwrap_or(default);
        let count = match (number("SEED"), seconds) {
            (Some(_), _) => 1,
            (None, Some(_)) => u64::MAX - first,
            (None, None) => share_of(theme, number("SEEDS").unwrap_or(SEEDS)),
        };
        Self {
            next: AtomicU64::new(first),
            end: first + count,
            until: seconds.map(|it| Instant::now() + Duration::from_secs(it)),
        }
    }

    /// Returns a seed that nobody else has got.
    #[expect(
        clippy::disallowed_methods,
        reason = "how long tests run is measured by the clock of the machine"
    )]
    fn next(&self) -> Option<u64> {
        if self.until.is_some_and(|until| Instant::now() >= until) {
            return None;
        }
        let seed = self.next.fetch_add(1, Ordering::Relaxed);
        (seed < self.end).then_some(seed)
    }
}

/// Returns how many worlds of a theme there are beside so many about keys.
fn share_of(theme: Theme, seeds: u64) -> u64 {
    match theme {
        Theme::Keys => seeds,
        Theme::Disk => seeds.div_ceil(2),
        Theme::Tables => seeds.div_ceil(10),
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn table() -> &'static CommandTable {
    command_table(&Config::defaults())
}

/// What became of the world of one seed.
struct Judged {
    requests: usize,
    moves: usize,
    states: usize,
    verdict: Judgement,
}

enum Judgement {
    Explained,
    /// The search has given up.
    Undecided,
    /// Requests without an end, or bytes that are none.
    Broken(String),
    /// No order explains the replies.
    Impossible(String),
}

fn judge(
    (theme, seed): (Theme, u64),
    fault: Option<Fault>,
    table: &'static CommandTable,
) -> Judged {
    judge_outcome((theme, seed), &node::run((theme, seed), fault, table))
}

fn judge_outcome((theme, seed): (Theme, u64), outcome: &Outcome) -> Judged {
    let explain = |why: &str| {
        let mut text = format!("{theme:?}, seed {seed}, {} shards\n", outcome.shards);
        text.push_str(&history::print(&outcome.records));
        writeln!(
            text,
            "{why}\nagain: SEED={seed} cargo test -p trestle --features simulation --lib simulation"
        )
        .expect("a String takes everything");
        text
    };
    let (states, verdict) = match &outcome.complaint {
        Some(complaint) => (0, Judgement::Broken(explain(complaint))),
        None => match check(theme, outcome) {
            Verdict::Explained { states } => (states, Judgement::Explained),
            Verdict::Impossible(why) => (0, Judgement::Impossible(explain(&why))),
            Verdict::Unknown => (0, Judgement::Undecided),
        },
    };
    Judged {
        requests: outcome.records.len(),
        moves: outcome.moves,
        states,
        verdict,
    }
}

fn check(theme: Theme, outcome: &Outcome) -> Verdict {
    match theme {
        Theme::Keys | Theme::Tables => checker::check(&outcome.records, outcome.limits),
        Theme::Disk => losses::check(outcome),
    }
}

/// What one thread has seen.
#[derive(Default)]
struct Tally {
    worlds: u64,
    requests: usize,
    moves: usize,
    states: usize,
    undecided: u64,
    failures: Vec<(u64, String)>,
}

impl Tally {
    fn of(budget: &Budget, theme: Theme, table: &'static CommandTable) -> Self {
        let mut tally = Self::default();
        while let Some(seed) = budget.next() {
            let judged = judge((theme, seed), None, table);
            tally.worlds += 1;
            tally.requests += judged.requests;
            tally.moves += judged.moves;
            tally.states += judged.states;
            match judged.verdict {
                Judgement::Explained => {}
                Judgement::Undecided => tally.undecided += 1,
                Judgement::Broken(text) | Judgement::Impossible(text) => {
                    tally.failures.push((seed, text));
                }
            }
        }
        tally
    }

    fn add(&mut self, other: Self) {
        self.worlds += other.worlds;
        self.requests += other.requests;
        self.moves += other.moves;
        self.states += other.states;
        self.undecided += other.undecided;
        self.failures.extend(other.failures);
    }
}

/// Looks at worlds without faults.
#[expect(clippy::print_stderr, reason = "how many worlds there were")]
fn explain_worlds(theme: Theme) {
    let (budget, table) = (Budget::of_environment(theme), table());
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut total = Tally::default();
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| Tally::of(&budget, theme, table)))
            .collect();
        for run in runs {
            total.add(run.join().expect("a world does not panic"));
        }
    });
    let Tally {
        worlds,
        requests,
        moves,
        states,
        undecided,
        mut failures,
    } = total;
    eprintln!(
        "{worlds} worlds, {requests} requests, {moves} moves of connections, {states} states, \
         {undecided} undecided"
    );
    assert!(worlds < 100 || moves > 0, "connections move between cores");
    failures.sort();
    let seeds: Vec<u64> = failures.iter().map(|(seed, _)| *seed).collect();
    let shortest = failures.into_iter().min_by_key(|(_, text)| text.len());
    let (_, text) = shortest.unwrap_or_default();
    assert!(seeds.is_empty(), "{text}\nseeds that fail: {seeds:?}");
    // A search that gives up often proves little.
    assert!(
        undecided * 100 <= worlds,
        "{undecided} of {worlds} are undecided"
    );
}

#[test]
fn worlds_without_faults_are_explained() {
    explain_worlds(Theme::Keys);
}

#[test]
fn worlds_with_tables_are_explained() {
    explain_worlds(Theme::Tables);
}

#[test]
fn worlds_with_a_disk_are_explained() {
    explain_worlds(Theme::Disk);
}

#[test]
fn a_world_repeats_from_its_seed() {
    let table = table();
    for world in [Theme::Keys, Theme::Tables, Theme::Disk]
        .map(|theme| (1..=3).map(move |seed| (theme, seed)))
    {
        for world in world {
            let runs = [(); 2].map(|()| history::print(&node::run(world, None, table).records));
            assert_eq!(runs[0], runs[1]);
        }
    }
}

/// Returns the worlds in which a fault is looked for.
fn theme_of(fault: Fault) -> Theme {
    match fault {
        Fault::ChangeHalfDone
        | Fault::GrowthUnclaimed
        | Fault::RowForgotten
        | Fault::StatementOvertakes
        | Fault::OwnUnnoted
        | Fault::OldPlanKept
        | Fault::ReturnOvertaken
        | Fault::TableUnnoted
        | Fault::UniqueUnasked
        | Fault::UpdateInHalves => Theme::Tables,
        Fault::SyncSkipped
        | Fault::ReplyBeforeSync
        | Fault::SyncErrorIgnored
        | Fault::WriteErrorIgnored
        | Fault::TornTailAccepted
        | Fault::TailUnsynced
        | Fault::PartsUnchecked
        | Fault::CutUnclaimed
        | Fault::FileUnsynced
        | Fault::ManifestEarly
        | Fault::OldLogUnsynced
        | Fault::LeftOverKept => Theme::Disk,
        Fault::WakeLost
        | Fault::IntentMissing
        | Fault::LateAccepted
        | Fault::RunInside
        | Fault::HopEarly
        | Fault::OrderIgnored
        | Fault::ReleaseEarly
        | Fault::WatchUnchecked
        | Fault::WithdrawalLost
        | Fault::LaneReordered
        | Fault::DoorbellLost
        | Fault::OvertakesItself
        | Fault::PairUnclaimed
        | Fault::LastComeFirst
        | Fault::WaiterKept
        | Fault::SecondOfferTaken
        | Fault::OfferEndMissed
        | Fault::OfferBehind
        | Fault::ScriptShares => Theme::Keys,
    }
}

/// Each write, sync and change of names fails once, in each way.
#[test]
fn whatever_the_disk_refuses_once_is_survived() {
    let table = table();
    let mut failures = Vec::new();
    let mut worlds = 0;
    for seed in 1..=SWEPT_SEEDS {
        let run = |plan: &disk::Plan| disk::run(plan, seed, None, table);
        run(&disk::Plan::failing(u64::MAX, Failure::Refused));
        for operation in 0..runtime::disk::operations() {
            for failure in [Failure::Refused, Failure::Torn, Failure::Full] {
                worlds += 1;
                let outcome = run(&disk::Plan::failing(operation, failure));
                match judge_outcome((Theme::Disk, seed), &outcome).verdict {
                    Judgement::Explained | Judgement::Undecided => {}
                    Judgement::Broken(text) | Judgement::Impossible(text) => {
                        failures.push((operation, failure, text));
                    }
                }
            }
        }
    }
    eprintln!("{worlds} worlds, each with a failure of its own");
    let shortest = failures.iter().min_by_key(|(.., text)| text.len());
    if let Some((operation, failure, text)) = shortest {
        let count = failures.len();
        panic!(
            "{text}
operation {operation} fails: {failure:?}; {count} such worlds"
        );
    }
}

/// Returns the ways in which an operation of the disk can fail, in the world of [`disk::Plan::scripted`].
fn ways(operation: Operation) -> Vec<Failure> {
    let mut ways = vec![Failure::Refused, Failure::Full, Failure::Ends];
    if let Operation::Write(borders) = operation {
        ways.extend((1..=borders).map(Failure::TornAt));
    }
    ways
}

/// A story with transactions, rewritings and saves: each write, sync and change of names fails once, is torn at each
/// border of 512 bytes, finds the disk full, or has the process end in it; then the machine ends too, or goes on.
#[test]
fn no_operation_of_the_disk_can_fail_so_that_something_is_lost_or_half_done() {
    let table = table();
    let run = |plan: &disk::Plan| disk::run(plan, 1, None, table);
    let fails = |plan: &disk::Plan| match judge_outcome((Theme::Disk, 1), &run(plan)).verdict {
        Judgement::Explained | Judgement::Undecided => None,
        Judgement::Broken(text) | Judgement::Impossible(text) => Some(text),
    };
    let mut plans = Vec::new();
    for crash in [disk::Crash::Power, disk::Crash::Kill] {
        let whole = disk::Plan::scripted(None, crash);
        assert_eq!(fails(&whole), None);
        for (number, operation) in (0..).zip(runtime::disk::journal()) {
            let ways = ways(operation).into_iter();
            plans.extend(ways.map(|way| disk::Plan::scripted(Some((number, way)), crash)));
        }
    }
    let next = AtomicU64::new(0);
    let look = || {
        let take = || usize::try_from(next.fetch_add(1, Ordering::Relaxed)).ok();
        let mut failures = Vec::new();
        while let Some(plan) = take().and_then(|index| plans.get(index)) {
            failures.extend(fails(plan).map(|text| (text, *plan)));
        }
        failures
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let failures = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..threads).map(|_| scope.spawn(look)).collect();
        let runs = runs
            .into_iter()
            .map(|run| run.join().expect("a world does not panic"));
        runs.flatten().collect::<Vec<_>>()
    });
    eprintln!("{} worlds, each with a failure of its own", plans.len());
    if let Some((text, plan)) = failures.iter().min_by_key(|(text, _)| text.len()) {
        panic!("{text}\n{plan:?}; {} such worlds", failures.len());
    }
}

/// Returns how a world that does not come to its end shows that.
fn symptom(text: &str) -> &'static str {
    if text.contains("the server does not start") {
        "a start that refuses"
    } else if text.contains("is left over") {
        "a file that is left over"
    } else {
        "requests without end"
    }
}

#[test]
fn every_fault_is_found() {
    let table = table();
    let mut missed = Vec::new();
    for fault in faults::ALL {
        let found = (1..=SEEDS_PER_FAULT).find_map(|seed| {
            let judge = || judge((theme_of(fault), seed), Some(fault), table).verdict;
            match std::panic::catch_unwind(std::panic::AssertUnwindSafe(judge)) {
                Ok(Judgement::Explained | Judgement::Undecided) => None,
                Ok(Judgement::Broken(text)) => Some((seed, symptom(&text))),
                Ok(Judgement::Impossible(_)) => Some((seed, "no order")),
                Err(_) => Some((seed, "an assertion")),
            }
        });
        match found {
            Some((seed, how)) => eprintln!("{fault:?}: by seed {seed}, {how}"),
            None => missed.push(fault),
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}
