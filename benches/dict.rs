//! The keyspace of one shard, without server or network: stalls of insertion, time of lookups,
//! bytes per key.
//!
//! `cargo bench -p shard --bench dict -- [insert|get|memory] [keys]`; without arguments all three,
//! with 2 million keys. Keys have 13 bytes and values 16. `benches/memory.sh` puts the third table
//! beside redis-server.
//!
//! Figures are CPU time of the thread, so other work on the machine changes them little; page faults
//! are counted apart, as their cost is the kernel's.
#![expect(
    unsafe_code,
    reason = "CPU time and faults of a thread are system calls"
)]
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::collections::BTreeMap;
use std::hint::black_box;

use base::cast::{self, usize_from};
use base::ids::{DbIndex, ShardId};
use base::random::Random;
use shard::keyspace::Expiry;
use shard::{Options, Shard};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const DB: DbIndex = DbIndex(0);
const KEY_BYTES: usize = 13;
const VALUE: &[u8; 16] = b"0123456789abcdef";
const KEYS_DEFAULT: u64 = 2_000_000;

/// Insertions above this are looked at one by one.
const LONG_NANOS: u64 = 50_000;

/// Counts at which the table of bytes per key is printed, as far as the number of keys reaches.
const COUNTS: [u64; 9] = [
    200_000, 500_000, 700_000, 1_000_000, 1_500_000, 2_000_000, 4_000_000, 10_000_000, 20_000_000,
];

fn main() {
    // Cargo adds `--bench`.
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"))
        .collect();
    let keys = words
        .iter()
        .find_map(|word| word.parse().ok())
        .unwrap_or(KEYS_DEFAULT);
    let wanted = |name: &str| {
        let names = ["insert", "get", "memory"];
        let named = words.iter().any(|word| names.contains(&word.as_str()));
        !named || words.iter().any(|word| word == name)
    };
    if wanted("insert") || wanted("memory") {
        let first = insert(keys, true);
        if wanted("insert") {
            println!("\nthe same again, to tell the table from the machine:");
            let second = insert(keys, false);
            print_repeated(&first, &second);
        }
    }
    if wanted("get") {
        for count in [100_000, 1_000_000, keys.max(1_000_000)] {
            get(count);
        }
    }
}

fn shard() -> Shard {
    Shard::new(
        ShardId(0),
        Options {
            hash_seed: (1, 2),
            databases: 1,
            ..Options::default()
        },
    )
}

/// Writes the 13-byte name of a key: a multiplier that is odd spreads them over all numbers.
fn write_name(number: u64, name: &mut [u8; KEY_BYTES]) {
    let mut rest = number;
    for byte in name[4..].iter_mut().rev() {
        *byte = b'0' + u8::try_from(rest % 10).expect("a digit");
        rest /= 10;
    }
    name[..4].copy_from_slice(b"key:");
}

fn put(shard: &mut Shard, number: u64) {
    let mut name = [0; KEY_BYTES];
    write_name(number, &mut name);
    let key = shard.key(&name);
    shard.db(DB).set_string(key, VALUE, Expiry::Clear);
}

/// Prints the longest of the insertions that were long in both runs, by the shorter of their times.
/// Both runs do the same at the same number, so what is long only once was the machine's doing.
fn print_repeated(first: &BTreeMap<u64, u64>, second: &BTreeMap<u64, u64>) {
    let both = first
        .iter()
        .filter_map(|(number, &nanos)| second.get(number).map(|&again| nanos.min(again)));
    let longest = both.max().unwrap_or(0);
    println!(
        "above {LONG_NANOS} ns without page fault: {} and {} insertions; longest in both: {longest} ns",
        first.len(),
        second.len(),
    );
}

/// Inserts `keys` keys, each timed, and prints bytes per key on the way, if `show_memory`, and the
/// stalls at the end.
/// Returns the times of those that were long without a page fault, by their numbers.
fn insert(keys: u64, show_memory: bool) -> BTreeMap<u64, u64> {
    let mut long = BTreeMap::new();
    let resident_before = resident_bytes();
    let mut shard = shard();
    let (mut clean, mut faulted) = (Histogram::default(), Histogram::default());
    if show_memory {
        println!("keys      entry  table  ledger  resident   bytes per key");
    }
    let (mut start, mut faults) = (thread_nanos(), minor_faults());
    for number in 0..keys {
        put(&mut shard, number);
        let end = thread_nanos();
        // Asking for faults costs more than most insertions: only long ones are worth it.
        let nanos = end - start;
        let with_fault = nanos > 2000 && {
            let now = minor_faults();
            std::mem::replace(&mut faults, now) != now
        };
        let histogram = if with_fault { &mut faulted } else { &mut clean };
        histogram.add(nanos);
        if !with_fault && nanos > LONG_NANOS {
            long.insert(number, nanos);
        }
        if show_memory && COUNTS.contains(&(number + 1)) {
            print_memory(&shard, number + 1, resident_before);
        }
        start = thread_nanos();
    }
    println!("\nCPU time of one insertion (one clock reading included), {keys} keys");
    clean.print("without page fault");
    faulted.print("with page fault");
    long
}

fn print_memory(shard: &Shard, keys: u64, resident_before: u64) {
    let ledger = shard.memory();
    let entry = tenths(cast::u64_from(ledger.entry_bytes), keys);
    let table = tenths(cast::u64_from(ledger.dict_bytes), keys);
    let total = tenths(cast::u64_from(ledger.total_bytes()), keys);
    let resident = tenths(resident_bytes() - resident_before, keys);
    println!("{keys:<9} {entry:>5}  {table:>5}  {total:>6}  {resident:>8}");
}

/// Returns `amount / count` with one decimal.
fn tenths(amount: u64, count: u64) -> String {
    let tenths = amount * 10 / count;
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// Returns the cost of reading the clock, which every measured batch contains once.
fn clock_nanos() -> u64 {
    let start = thread_nanos();
    for _ in 1..100_000 {
        black_box(thread_nanos());
    }
    (thread_nanos() - start) / 100_000
}

/// Times random lookups, alone and in batches whose loads are begun together; the hash of the key is
/// included, the clock is taken off.
fn get(keys: u64) {
    const LOOKUPS: u64 = 4_000_000;
    let mut shard = shard();
    (0..keys).for_each(|number| put(&mut shard, number));
    let clock = clock_nanos();
    for batch in [16, 64] {
        for prefetch in [false, true] {
            let mut best = u64::MAX;
            for round in 0..3 {
                let mut random = Random::new(round);
                let mut names = vec![[0; KEY_BYTES]; batch];
                let mut spent = 0;
                for _ in 0..LOOKUPS / cast::u64_from(batch) / 4 {
                    for name in &mut names {
                        write_name(random.below(keys), name);
                    }
                    spent += timed_batch(&mut shard, &names, prefetch).saturating_sub(clock);
                }
                best = best.min(spent);
            }
            let nanos = tenths(best, LOOKUPS / 4);
            let how = if prefetch { "prefetched" } else { "plain     " };
            println!("GET of {keys:>9} keys, batch {batch:>2}, {how}: {nanos:>6} ns");
        }
    }
}

fn timed_batch(shard: &mut Shard, names: &[[u8; KEY_BYTES]], prefetch: bool) -> u64 {
    let mut hashes = [0; 64];
    let start = thread_nanos();
    for (name, hash) in names.iter().zip(&mut hashes) {
        *hash = shard.key(name).hash;
        if prefetch {
            shard.prefetch_bucket(DB, *hash);
        }
    }
    if prefetch {
        hashes
            .iter()
            .take(names.len())
            .for_each(|&hash| shard.prefetch_entry(DB, hash));
    }
    for (name, &hash) in names.iter().zip(&hashes) {
        let key = shard::Key { bytes: name, hash };
        let mut db = shard.db(DB);
        let entry = db.lookup(key, true).expect("every key was put");
        black_box(entry.string().expect("a string"));
    }
    thread_nanos() - start
}

/// Times, in buckets of powers of two.
#[derive(Default)]
struct Histogram {
    counts: [u64; 32],
    longest: u64,
    sum: u64,
}

impl Histogram {
    fn add(&mut self, nanos: u64) {
        let bucket = cast::usize_from_u32(nanos.max(1).ilog2()).min(self.counts.len() - 1);
        self.counts[bucket] += 1;
        self.longest = self.longest.max(nanos);
        self.sum += nanos;
    }

    fn print(&self, title: &str) {
        let total: u64 = self.counts.iter().sum();
        println!(
            "  {title}: {total}, mean {} ns",
            self.sum.checked_div(total).unwrap_or(0)
        );
        for (bucket, &count) in self.counts.iter().enumerate() {
            if count > 0 {
                println!("    below {:>9} ns: {count}", 2_u64 << bucket);
            }
        }
        println!("    longest: {} ns", self.longest);
    }
}

/// Returns the CPU time of this thread.
fn thread_nanos() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the clock exists on every Linux, and `time` is ours to write.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(status, 0, "the clock of the thread can be read");
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

/// Returns the minor page faults of this thread.
fn minor_faults() -> u64 {
    // SAFETY: all fields are integers, for which zeros are a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is ours to write.
    let status = unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) };
    assert_eq!(status, 0, "the usage of the thread can be read");
    usage.ru_minflt.unsigned_abs()
}

/// Returns the resident bytes of the process.
fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux shows its statistics");
    let pages = text
        .split(' ')
        .nth(1)
        .and_then(|word| word.parse::<u64>().ok());
    pages.expect("the second word is the resident pages") * cast::u64_from(usize_from(4096))
}
