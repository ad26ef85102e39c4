//! Tables of one shard, without server or network: time of statements from words to encoded rows, and
//! bytes per row.
//!
//! `cargo bench -p tables --bench tables -- [rows]`; 100,000 rows by default. The table is
//! `id:integer:hash UNIQUE grp:string:hash v:integer name:string` with 1000 values of `grp`, that of
//! `docs/benchmarks.md`.
//!
//! `tables --once N NAME` makes a table and then N statements of a kind, to count instructions: the difference of two runs
//! by the difference of their N, with `valgrind --tool=callgrind`. Kinds: see [`once`].
//!
//! Figures are CPU time of the thread. Each line is the median of rounds, with the least and the most.
#![expect(unsafe_code, reason = "CPU time of a thread is a system call")]
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::hint::black_box;

use base::cast::{u64_from, usize_from};
use base::hash::KeyHasher;
use base::ids::{DbIndex, ShardId};
use base::random::Random;
use tables::Tables;
use tables::encode::Encode;
use tables::executor::{Budget, Progress, Stepped};
use tables::merge::{self, Answer};
use tables::parser::{self, Verb};
use tables::partial::Partial;
use tables::plan::{Limits, Plan};
use tables::schema::TableId;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const DB: DbIndex = DbIndex(0);
const GROUPS: u64 = 1000;
const ROUNDS: usize = 9;
const LIMITS: Limits = Limits {
    scan_rows_max: 10_000_000,
};

/// RESP2.
struct Resp;

impl Resp {
    /// As the server does it.
    fn head(out: &mut Vec<u8>, kind: u8, len: usize) {
        if let Ok(digit @ 0..=9) = u8::try_from(len) {
            out.extend_from_slice(&[kind, b'0' + digit, b'\r', b'\n']);
            return;
        }
        out.push(kind);
        base::number::write_u64(out, u64_from(len));
        out.extend_from_slice(b"\r\n");
    }
}

impl Encode for Resp {
    fn array(&self, out: &mut Vec<u8>, len: usize) {
        Self::head(out, b'*', len);
    }

    fn bulk(&self, out: &mut Vec<u8>, bytes: &[u8]) {
        Self::head(out, b'$', bytes.len());
        out.extend_from_slice(bytes);
        out.extend_from_slice(b"\r\n");
    }

    fn short(&self, out: &mut Vec<u8>, bytes: &[u8; 16], len: usize) {
        Self::head(out, b'$', len);
        let end = out.len() + len;
        out.extend_from_slice(bytes);
        out.truncate(end);
        out.extend_from_slice(b"\r\n");
    }

    fn integer(&self, out: &mut Vec<u8>, value: i64) {
        let begin = out.len();
        out.extend_from_slice(b"$0\r\n");
        let digits = out.len();
        base::number::write_i64(out, value);
        match u8::try_from(out.len() - digits) {
            Ok(len @ 0..=9) => out[begin + 1] += len,
            Ok(_) | Err(_) => {
                let text = out.split_off(digits);
                out.truncate(begin);
                return self.bulk(out, &text);
            }
        }
        out.extend_from_slice(b"\r\n");
    }

    fn null(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"$-1\r\n");
    }
}

/// Returns the CPU time of this thread in nanoseconds.
fn cpu_nanos() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a local that lives through the call.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(status, 0, "the clock of a thread is always there");
    let seconds = u64::try_from(time.tv_sec).expect("time is not negative");
    let nanos = u64::try_from(time.tv_nsec).expect("time is not negative");
    seconds * 1_000_000_000 + nanos
}

fn run(tables: &mut Tables, verb: Verb, words: &[&[u8]], reply: &mut Vec<u8>) -> u64 {
    let schema = tables.catalog(DB).table(b"t").expect("the table is there");
    let statement = parser::statement(verb, words).expect("the words are good");
    let plan = Plan::new(schema, &statement, LIMITS).expect("the statement is good");
    let mut at = Progress::new(1);
    let mut out = Partial::writing_to(std::mem::take(reply));
    let stepped = tables.step(DB, &plan, &mut at, Budget::UNBOUNDED, &Resp, &mut out);
    assert_eq!(stepped, Ok(Stepped::End));
    match merge::merge(&plan, vec![out], &Resp).expect("the answer is good") {
        Answer::Rows { count, bytes } => {
            *reply = bytes;
            count
        }
        Answer::Count(count) => count,
        Answer::Ids(ids) => u64_from(ids.len()),
    }
}

/// Measures `times` calls, several rounds of them, and prints the time of one.
fn measure(name: &str, times: u64, mut call: impl FnMut(u64)) {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let begin = cpu_nanos();
            for number in 0..times {
                call(number);
            }
            let nanos = u32::try_from((cpu_nanos() - begin) / times.max(1)).unwrap_or(u32::MAX);
            f64::from(nanos) / 1000.0
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    println!(
        "| {name} | {:.2} ({:.2}..{:.2}) us |",
        rounds[ROUNDS / 2],
        rounds[0],
        rounds[ROUNDS - 1]
    );
}

/// Returns a table with so many rows, whose values of id are unique by its index or by chance.
fn filled(is_unique: bool, rows: u64) -> Tables {
    let mut tables = Tables::new(ShardId(0), KeyHasher::new((1, 2)));
    let mut words: Vec<&[u8]> = vec![b"id:integer:hash"];
    if is_unique {
        words.push(b"UNIQUE");
    }
    words.extend([&b"grp:string:hash"[..], b"v:integer", b"name:string"]);
    let change = tables
        .catalog(DB)
        .plan_create(b"t", &words, TableId(1))
        .expect("the table is good");
    tables.apply(DB, &change);
    let mut reply = Vec::new();
    for number in 0..rows {
        insert(&mut tables, number, &mut reply);
    }
    tables
}

fn insert(tables: &mut Tables, number: u64, reply: &mut Vec<u8>) {
    let id = format!("id={number}");
    let grp = format!("grp=g{}", number % GROUPS);
    let value = format!("v={}", number * 7 % 1_000_003);
    let name = format!("name=user{number}");
    let words = [
        id.as_bytes(),
        grp.as_bytes(),
        value.as_bytes(),
        name.as_bytes(),
    ];
    reply.clear();
    run(tables, Verb::Insert, &words, reply);
}

/// Runs `count` statements of a kind on a table of 100,000 rows without unique values.
fn once(count: u64, name: &str) {
    let id = |number: u64| format!("id={}", number * 7919 % ONCE_ROWS);
    let group = |number: u64| format!("grp=g{}", number % GROUPS);
    let mut tables = filled(false, ONCE_ROWS);
    let mut reply = Vec::new();
    let table = (DB, TableId(1));
    for number in 0..count {
        reply.clear();
        let (id, group) = (id(number), group(number));
        let (id, group) = (id.as_bytes(), group.as_bytes());
        match name {
            "nothing" => {}
            "select-100" => {
                let words = [&b"WHERE"[..], group];
                assert_eq!(run(&mut tables, Verb::Select, &words, &mut reply), 100);
            }
            "update" => {
                let words: [&[u8]; 4] = [b"WHERE", id, b"SET", b"v=555"];
                assert_eq!(run(&mut tables, Verb::Update, &words, &mut reply), 1);
            }
            "update-plain" => {
                let words = [&b"v=555"[..]].into_iter();
                assert_eq!(tables.update_value(table, id, words, 1), Some(1));
            }
            "update-indexed" => {
                let words: [&[u8]; 4] = [b"WHERE", id, b"SET", group];
                assert_eq!(run(&mut tables, Verb::Update, &words, &mut reply), 1);
            }
            "update-indexed-plain" => {
                let words = [group].into_iter();
                assert_eq!(tables.update_value(table, id, words, 1), Some(1));
            }
            "insert" => {
                run(
                    &mut tables,
                    Verb::Insert,
                    &[id, group, b"v=555", b"name=someone"],
                    &mut reply,
                );
            }
            "insert-plain" => {
                let words = [id, group, b"v=555", b"name=someone"].into_iter();
                assert!(tables.insert_row(table, None, words).is_some());
            }
            _ => return println!("unknown: {name}"),
        }
    }
}

const ONCE_ROWS: u64 = 100_000;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let Some(at) = args.iter().position(|word| word == "--once") {
        let count = args.get(at + 1).and_then(|word| word.parse().ok());
        return once(
            count.unwrap_or(0),
            args.get(at + 2).map_or("", String::as_str),
        );
    }
    // Cargo adds `--bench`.
    let rows = args.iter().skip(1).find_map(|word| word.parse().ok());
    measure_all(rows.unwrap_or(100_000));
}

fn measure_all(rows: u64) {
    println!("{rows} rows\n\n| statement | CPU, median of {ROUNDS} (least..most) |\n|---|---|");
    let words_only = |number: u64| {
        black_box((
            format!("id={number}"),
            format!("grp=g{}", number % GROUPS),
            format!("v={}", number * 7),
            format!("name=user{number}"),
        ));
    };
    measure("the words of an INSERT alone", rows, words_only);
    let begin = cpu_nanos();
    let mut tables = filled(true, rows);
    let nanos = u32::try_from((cpu_nanos() - begin) / rows).unwrap_or(u32::MAX);
    println!(
        "| INSERT, 2 indexes, words included | {:.2} us |",
        f64::from(nanos) / 1000.0
    );
    println!("| bytes per row | {} |", tables.memory() / usize_from(rows));
    let mut reply = Vec::new();
    let mut random = Random::new(1);
    let ids: Vec<String> = (0..1024)
        .map(|_| format!("id={}", random.below(rows)))
        .collect();
    let id = |number: u64| ids[usize_from(number % 1024)].as_bytes();
    measure("SELECT 1 row by index", 100_000, |number| {
        reply.clear();
        run(
            &mut tables,
            Verb::Select,
            &[b"WHERE", id(number)],
            &mut reply,
        );
    });
    measure("SELECT 100 rows by index", 2000, |number| {
        reply.clear();
        let group = format!("grp=g{}", number % GROUPS);
        let words = [&b"WHERE"[..], group.as_bytes()];
        let count = run(&mut tables, Verb::Select, &words, &mut reply);
        assert_eq!(count, rows / GROUPS);
    });
    measure("scan with 10 matches", 20, |_| {
        reply.clear();
        let words: [&[u8]; 2] = [b"WHERE", b"v<70"];
        run(&mut tables, Verb::Select, &words, &mut reply);
    });
    measure("SELECT all rows", 3, |_| {
        reply.clear();
        assert_eq!(run(&mut tables, Verb::Select, &[], &mut reply), rows);
    });
    measure("COUNT by index", 10_000, |number| {
        let group = format!("grp=g{}", number % GROUPS);
        let words = [&b"WHERE"[..], group.as_bytes()];
        run(&mut tables, Verb::Count, &words, &mut reply);
    });
    measure("SELECT ORDER BY v LIMIT 10, sorted", 10, |_| {
        reply.clear();
        let words: [&[u8]; 5] = [b"ORDER", b"BY", b"v", b"LIMIT", b"10"];
        run(&mut tables, Verb::Select, &words, &mut reply);
    });
    measure("UPDATE by index, plain column", 50_000, |number| {
        let words: [&[u8]; 4] = [b"WHERE", id(number), b"SET", b"v=v+1"];
        run(&mut tables, Verb::Update, &words, &mut reply);
    });
    measure("UPDATE by index, indexed column", 50_000, |number| {
        let group = format!("grp=g{}", number * 31 % GROUPS);
        let words: [&[u8]; 4] = [b"WHERE", id(number), b"SET", group.as_bytes()];
        run(&mut tables, Verb::Update, &words, &mut reply);
    });
    println!(
        "| bytes per row, after that | {} |",
        tables.memory() / usize_from(rows)
    );
}
