//! The same commands to Trestle and to Redis must get the same bytes back.
//!
//! In reading order: [`sequence`] is what is sent, [`template`], [`families`] and
//! [`generate`] make random ones,
//! [`written`] has those that chance would not find, [`run`] sends them to all servers and shrinks
//! what fails, [`rules`] says when two replies are equal, [`differences`] where they need not be,
//! [`coverage`] counts what random sequences reach, [`unreached`] says what they need not,
//! [`errors`] makes requests with something wrong in them of what the servers declare,
//! [`raw`] compares whole connections byte for byte: inline commands, protocol errors, closing;
//! [`clients`] plays scripts of several clients, and compares what each is told of the others.
//!
//! Each sequence runs against Redis and against servers of 1, 2 and 4 shards, in RESP2 and in
//! RESP3, once command by command and once pipelined.

mod clients;
mod coverage;
mod differences;
mod errors;
mod families;
mod generate;
mod raw;
mod rules;
mod run;
mod sequence;
mod template;
mod unreached;
mod written;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use self::coverage::Coverage;
use self::generate::Generator;
use self::run::{Mismatch, Sending, Target, run, shrink};
use self::sequence::{Sequence, Step};
use crate::support::server::Server;
use crate::support::{number, seed};

/// Numbers of shards under test.
const SHARDS: [u32; 3] = [1, 2, 4];

/// Random sequences of a run, unless `SEQUENCES` says otherwise.
const SEQUENCE_COUNT: u64 = 3000;

/// Threads, each with servers of its own.
const LANE_COUNT: u64 = 2;

/// Different failures after which a lane gives up; more would say little more.
const FAILURES_MAX: usize = 12;

/// On a busy machine any command may take 10 ms, and would stand in the slow log of one server only.
const FLAGS: &[&str] = &["--slowlog-log-slower-than", "5000000"];

/// Failures already reported, by command and both replies.
type Seen = BTreeSet<(String, String, String)>;

/// Starts Redis and the servers under test. Redis comes first.
fn targets() -> Vec<Target> {
    let mut targets = vec![Target::new(Server::redis(FLAGS))];
    targets.extend(SHARDS.map(|shards| Target::new(Server::trestle(shards, FLAGS))));
    targets
}

/// One failure, ready to print; and the command that failed, to count by.
struct Failure {
    command: String,
    report: String,
}

/// Runs a sequence in one way, and shrinks and describes what fails, unless it was `seen`.
fn check(
    targets: &mut [Target],
    sequence: &Sequence,
    way: (u8, Sending),
    origin: &str,
    seen: &mut Seen,
) -> Option<Failure> {
    let (resp, sending) = way;
    let mismatch = run(targets, sequence, resp, sending).err()?;
    for target in &mut *targets {
        target.server.assert_running();
    }
    let step = sequence.steps.get(mismatch.step)?;
    let start = |text: &str| text.chars().take(20).collect::<String>();
    let is_known = !mismatch.expected.starts_with("-ERR unknown command");
    let signature = (
        if is_known {
            command_of(step)
        } else {
            String::new()
        },
        start(&mismatch.expected),
        start(&mismatch.actual),
    );
    if !seen.insert(signature) {
        return None;
    }
    let (shrunk, mismatch) = shrink(targets, sequence, mismatch, resp, sending);
    let is_stable = run(targets, &shrunk, resp, sending).is_err();
    let origin = format!("{origin}{}", if is_stable { "" } else { ", not each time" });
    Some(describe(targets, &shrunk, &mismatch, way, &origin))
}

/// Returns the name of a command, in capitals.
fn command_of(step: &Step) -> String {
    String::from_utf8_lossy(&step.words[0]).to_ascii_uppercase()
}

/// Returns `sequence` without the commands named in `SKIP`, parted by commas: to look behind a
/// failure that is known.
fn without_skipped(mut sequence: Sequence) -> Sequence {
    let skipped = std::env::var("SKIP").unwrap_or_default();
    let is_skipped = |step: &Step| skipped.split(',').any(|name| name == command_of(step));
    sequence.steps.retain(|step| !is_skipped(step));
    sequence
}

fn describe(
    targets: &[Target],
    sequence: &Sequence,
    mismatch: &Mismatch,
    (resp, sending): (u8, Sending),
    origin: &str,
) -> Failure {
    let step = &sequence.steps[mismatch.step.min(sequence.steps.len() - 1)];
    let name = &targets[mismatch.target].server.name;
    Failure {
        command: command_of(step),
        report: format!(
            "{name}, RESP{resp}, {sending:?}, {origin}:\n{sequence}  at      {step}\n  Redis   \
             {}\n  Trestle {}\n",
            mismatch.expected, mismatch.actual
        ),
    }
}

/// Fails with all reports and a count by command, if there are any.
#[track_caller]
fn assert_none(failures: &[Failure], of: &str) {
    let mut counts = BTreeMap::<&str, u32>::new();
    for failure in failures {
        *counts.entry(&failure.command).or_default() += 1;
    }
    for failure in failures {
        eprintln!("{}", failure.report);
    }
    assert!(
        failures.is_empty(),
        "{of} differ; failures by command: {counts:?}"
    );
}

#[test]
fn random_sequences_get_the_replies_of_redis() {
    let seed = seed("random sequences", 7);
    let count = number("SEQUENCES", SEQUENCE_COUNT);
    let next = AtomicU64::new(0);
    let compared = AtomicU64::new(0);
    let mut coverage = Coverage::default();
    let failures: Vec<Failure> = thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANE_COUNT)
            .map(|_| scope.spawn(|| run_lane(seed, count, &next, &compared)))
            .collect();
        let mut failures = Vec::new();
        for lane in lanes {
            let (failed, counted) = lane.join().unwrap();
            failures.extend(failed);
            coverage.merge(counted);
        }
        failures
    });
    eprintln!("{} commands compared", compared.load(Ordering::Relaxed));
    assert_none(&failures, "random sequences");
    assert!(next.load(Ordering::Relaxed) >= count, "all sequences ran");
    report(&coverage, count);
}

/// Writes the table of what was reached; with the usual number of sequences nothing may be missing.
fn report(coverage: &Coverage, sequence_count: u64) {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = scratch.with_file_name("differential-coverage.txt");
    std::fs::write(&path, coverage.to_string()).unwrap();
    eprintln!("{}: {}", path.display(), coverage.summary());
    let mut gaps = coverage.lacking_without_reason();
    if sequence_count >= SEQUENCE_COUNT && std::env::var("SKIP").is_err() {
        gaps.extend(coverage.gaps());
    }
    assert!(
        gaps.is_empty(),
        "the table and tests/differential/unreached.rs differ:\n{}",
        gaps.join("\n")
    );
}

/// Takes sequences until there are no more; returns what failed and what was reached.
fn run_lane(
    seed: u64,
    count: u64,
    next: &AtomicU64,
    compared: &AtomicU64,
) -> (Vec<Failure>, Coverage) {
    let generator = Generator::new();
    let mut targets = targets();
    let coverage = Coverage::new(
        &mut targets[0].server.client(),
        &mut targets[1].server.client(),
    );
    targets[0].coverage = Some(coverage);
    let mut failures = Vec::new();
    let mut seen = Seen::new();
    while failures.len() < FAILURES_MAX {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= count {
            break;
        }
        let sequence = generator.sequence(seed.wrapping_mul(1_000_003).wrapping_add(number));
        let sequence = without_skipped(sequence);
        // Over two sequences each version of the protocol meets each way of sending.
        let ways = if number.is_multiple_of(2) {
            [(2, Sending::OneByOne), (3, Sending::Pipelined)]
        } else {
            [(3, Sending::OneByOne), (2, Sending::Pipelined)]
        };
        for way in ways {
            let origin = format!("SEED={seed}, sequence {number}");
            failures.extend(check(&mut targets, &sequence, way, &origin, &mut seen));
            let length = u64::try_from(sequence.steps.len()).unwrap();
            compared.fetch_add(length, Ordering::Relaxed);
        }
    }
    (failures, targets[0].coverage.take().unwrap_or_default())
}

#[test]
fn written_sequences_get_the_replies_of_redis() {
    let mut targets = targets();
    let mut failures = Vec::new();
    let mut seen = Seen::new();
    for (name, text) in written::SEQUENCES {
        let sequence = without_skipped(Sequence::parse(text));
        for resp in [2, 3] {
            for sending in [Sending::OneByOne, Sending::Pipelined] {
                let way = (resp, sending);
                failures.extend(check(&mut targets, &sequence, way, name, &mut seen));
            }
        }
    }
    assert_none(&failures, "written sequences");
}
