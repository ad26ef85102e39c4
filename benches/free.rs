//! Freeing what takes long to free, a step at a time: processor time of each step.
//!
//! `cargo bench -p shard --bench free -- [members]`; 10 million members unless said otherwise. A set, a
//! sorted set, a hash and a list of that many are removed; then the steps are taken that a core takes
//! one of per turn.
//!
//! Figures are CPU time of the thread. A step that takes long in both of two runs is slow because of what
//! it does; one that does so in one of them met the machine.
#![expect(unsafe_code, reason = "CPU time of a thread is a system call")]
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use base::clock::UnixMillis;
use base::ids::{DbIndex, ShardId};
use shard::effects::{Change, EventClass};
use shard::{Options, Shard};
use types::hash::{FieldExpiry, Growth, Hash};
use types::list::{End, List, NodeRule};
use types::set::{Rules as SetRules, Set};
use types::sorted_set::{Rules as SortedSetRules, SortedSet};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const DB: DbIndex = DbIndex(0);
const MEMBERS_DEFAULT: usize = 10_000_000;

/// Elements that a core frees per turn.
const STEP: usize = 512;
const SEED: (u64, u64) = (1, 2);

fn main() {
    let members = std::env::args()
        .skip(1)
        .find_map(|word| word.parse().ok())
        .unwrap_or(MEMBERS_DEFAULT);
    for (name, fill) in [
        ("set", fill_set as fn(&mut Shard, usize)),
        ("hash", fill_hash),
        ("sorted set", fill_sorted_set),
        ("list", fill_list),
    ] {
        let first = run(fill, members);
        let second = run(fill, members);
        let both = first
            .iter()
            .zip(&second)
            .map(|(one, other)| *one.min(other));
        let longest_in_both = both.max().unwrap_or(0);
        println!(
            "{name} of {members}: {} steps, {}; longest in both runs {longest_in_both} ns",
            first.len(),
            summary(first),
        );
    }
}

/// Fills a key, removes it, and returns the nanoseconds of each step of freeing it.
fn run(fill: fn(&mut Shard, usize), members: usize) -> Vec<u64> {
    let options = Options {
        hash_seed: SEED,
        databases: 1,
        ..Options::default()
    };
    let mut shard = Shard::new(ShardId(0), options);
    fill(&mut shard, members);
    let key = shard.key(b"key");
    let begun = cpu_nanos();
    assert!(shard.db(DB).remove(key), "the key was filled");
    let mut steps = vec![cpu_nanos() - begun];
    loop {
        let begun = cpu_nanos();
        let has_more = shard.free_step(STEP);
        steps.push(cpu_nanos() - begun);
        if !has_more {
            return steps;
        }
    }
}

fn summary(mut nanos: Vec<u64>) -> String {
    let sum: u64 = nanos.iter().sum();
    nanos.sort_unstable();
    let at = |part: usize| nanos[(nanos.len() * part / 1000).min(nanos.len() - 1)];
    format!(
        "median {} ns, 99.9 % within {} ns, longest {} ns, all {} ms",
        at(500),
        at(999),
        at(1000),
        sum / 1_000_000
    )
}

fn member(index: usize) -> Vec<u8> {
    format!("member:{index:010}").into_bytes()
}

fn changed() -> ((), Change) {
    ((), Change::of(1, EventClass::GENERIC, "filled"))
}

fn fill_set(shard: &mut Shard, members: usize) {
    let rules = SetRules::new(&shard.options().limits, SEED);
    let key = shard.key(b"key");
    let filled = shard.db(DB).edit_or_create(key, |set: &mut Set| {
        for index in 0..members {
            set.add(member(index).as_slice(), &rules);
        }
        changed()
    });
    assert!(filled.is_ok(), "the key is new");
}

fn fill_hash(shard: &mut Shard, members: usize) {
    let growth = Growth::new(&shard.options().limits, SEED);
    let key = shard.key(b"key");
    let filled = shard.db(DB).edit_or_create(key, |hash: &mut Hash| {
        for index in 0..members {
            let field = member(index);
            let now = UnixMillis::default();
            hash.set(&field, b"value", FieldExpiry::Clear, &growth, now);
        }
        changed()
    });
    assert!(filled.is_ok(), "the key is new");
}

fn fill_sorted_set(shard: &mut Shard, members: usize) {
    let rules = SortedSetRules::new(&shard.options().limits, SEED);
    let key = shard.key(b"key");
    let filled = shard.db(DB).edit_or_create(key, |set: &mut SortedSet| {
        let mut score = 0.0;
        for index in 0..members {
            set.set(&member(index), score, &rules);
            score += 1.0;
        }
        changed()
    });
    assert!(filled.is_ok(), "the key is new");
}

fn fill_list(shard: &mut Shard, members: usize) {
    let rule = NodeRule::of(&shard.options().limits);
    let key = shard.key(b"key");
    let filled = shard.db(DB).edit_or_create(key, |list: &mut List| {
        for index in 0..members {
            list.push(End::Tail, member(index).as_slice(), &rule);
        }
        changed()
    });
    assert!(filled.is_ok(), "the key is new");
}

/// Returns the CPU time of this thread in nanoseconds.
fn cpu_nanos() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the call writes to the given local only.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(status, 0, "the clock of a thread is always there");
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000
        + u64::try_from(time.tv_nsec).unwrap_or(0)
}
