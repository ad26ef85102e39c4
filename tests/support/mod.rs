//! What the tests share.
//!
//! In reading order: [`server`] starts a server on a free port and stops it, [`client`] talks to
//! it and keeps the bytes of its replies, [`wait`] is the only way to wait.

pub(crate) mod client;
pub(crate) mod server;
pub(crate) mod source;
pub(crate) mod wait;

use std::process::Command;

use base::random::Random;

/// Returns the seed of this run, `SEED` of the environment or else `default`, and prints it.
///
/// # Panics
///
/// If `SEED` is not a number.
pub(crate) fn seed(name: &str, default: u64) -> u64 {
    let seed = std::env::var("SEED").map_or(default, |text| text.parse().expect("SEED: a number"));
    eprintln!("{name}: SEED={seed}");
    seed
}

/// Returns a number from the environment, or `default` if it is not set.
///
/// # Panics
///
/// If the variable is not a number.
pub(crate) fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}: not a number"))
    })
}

/// Returns one of `items`, each equally likely.
pub(crate) fn pick<'i, T>(random: &mut Random, items: &'i [T]) -> &'i T {
    &items[random.index(items.len())]
}

/// Returns true once in `odds` times.
pub(crate) fn one_in(random: &mut Random, odds: u64) -> bool {
    random.below(odds) == 0
}

/// Lets this process, and the servers it starts, open as many files as an administrator allows.
///
/// # Panics
///
/// If `prlimit` of util-linux is missing.
pub(crate) fn raise_file_limit() {
    let pid = std::process::id().to_string();
    let limits = Command::new("prlimit")
        .args([
            "--pid",
            &pid,
            "--nofile",
            "--output",
            "HARD",
            "--noheadings",
        ])
        .output()
        .expect("prlimit is installed");
    let hard = String::from_utf8(limits.stdout).expect("a number");
    let status = Command::new("prlimit")
        .args(["--pid", &pid, &format!("--nofile={}", hard.trim())])
        .status()
        .expect("prlimit is installed");
    assert!(status.success(), "raise the limit of open files");
}
