//! What one request costs in process, sockets left out: gates, route, execute, reply, statistics; and
//! apart from that what it costs to parse it.
//!
//! `cargo bench --bench request` prints nanoseconds per request, median of rounds;
//! `request --once N [TEST]` serves N parsed batches of GET, or of another test of redis-benchmark, or of a
//! statement about a table (`SELECT`, `SELECT100`, `INSERT` and so on, see [`STATEMENTS`]), for an
//! instruction counter. Of two runs with different N the difference is that of these requests alone:
//! `valgrind --tool=callgrind --toggle-collect='*Bench::serve*' .../request --once 2000`.
//!
//! `request --once-on-two N TEST` does so with a table that lies on two shards (`*Pair::serve*`), and
//! `--patient-on-two` for a client that sends each request when it has the reply to the one before.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

mod spread;

use std::hint::black_box;
use std::sync::Arc;

use base::ids::{ClientId, ShardId};
use base::random::Random;
use coordinator::host::Host;
use coordinator::route::SlotMap;
use net::Service;
use net::connection::Connection;
use net::requests::{Requests, Span};
use protocol::args::WordRange;
use protocol::request::{Progress, RequestLimits, RequestParser};
use runtime::clock::monotonic;
use runtime::socket_ring::SocketId;
use shard::Shard;
use trestle::config::Config;
use trestle::engine::{Engine, Shared};
use trestle::session::{About, Session};

use crate::spread::Pair;

#[global_allocator]
static ALLOCATOR: runtime::memory::CountingAllocator = runtime::memory::CountingAllocator;

const BATCH: usize = 16;
const ROUNDS: usize = 15;

struct Bench {
    engine: Engine,
    connection: Connection<Session>,
    spare: Vec<u8>,
}

/// A pipeline, taken apart.
struct Batch {
    input: Vec<u8>,
    words: Vec<WordRange>,
    spans: Vec<Span>,
}

impl Batch {
    #[inline(never)]
    fn parse(&mut self, request_words: &mut Vec<WordRange>) {
        self.words.clear();
        self.spans.clear();
        let mut parser = RequestParser::new();
        let limits = RequestLimits {
            bulk_bytes_max: 512 << 20,
            authenticated: true,
        };
        let mut start = 0;
        while start < self.input.len() {
            match parser.parse(&self.input[start..], &limits, request_words) {
                Ok(Progress::Complete { consumed }) => {
                    let first_word = self.words.len();
                    self.words.extend_from_slice(request_words);
                    let word_count = request_words.len();
                    let end = start + consumed;
                    self.spans.push(Span {
                        start,
                        first_word,
                        word_count,
                        end,
                    });
                    start = end;
                }
                other => unreachable!("a whole request, not {other:?}"),
            }
        }
    }

    fn of(input: Vec<u8>) -> Self {
        let mut batch = Self {
            input,
            words: Vec::new(),
            spans: Vec::new(),
        };
        batch.parse(&mut Vec::new());
        batch
    }
}

impl Bench {
    fn new() -> Self {
        let config = Arc::new(Config::defaults());
        let table = trestle::startup::command_table(&config);
        let shared = Arc::new(trestle::startup::shared(&config, 1, table));
        Self {
            engine: engine_of(ShardId(0), SlotMap::new(1), &shared, &config),
            connection: Connection::new(session(), true),
            spare: Vec::new(),
        }
    }

    /// Serves all requests of a batch and returns the number of reply bytes.
    #[inline(never)]
    fn serve(&mut self, batch: &Batch) -> usize {
        let id = SocketId::from_bits(0);
        let mut taken = 0;
        // Once, unless the machine has given the time to somebody else meanwhile.
        while taken < batch.spans.len() {
            self.engine.begin_turn();
            let requests = Requests {
                buffer: &batch.input,
                words: &batch.words,
                spans: &batch.spans[taken..],
            };
            taken += self.engine.serve(id, &mut self.connection, requests).taken;
        }
        self.spare.clear();
        let spare = std::mem::take(&mut self.spare);
        self.spare = self.connection.output.take_ready(spare);
        self.spare.len()
    }
}

fn engine_of(me: ShardId, map: SlotMap, shared: &Arc<Shared>, config: &Arc<Config>) -> Engine {
    let options = trestle::layer_options::shard(config, (1, 2), map.shard_count());
    let shard = Shard::new(me, options);
    let host = Host::new(me, shard, shared.tx_ids.clone());
    Engine::new(host, map, Arc::clone(shared), Arc::clone(config))
}

fn session() -> Session {
    Session::new(ClientId(1), About::default(), true, monotonic())
}

/// Returns the words of a request as the test of redis-benchmark with this name sends them, `keys` being
/// the number of random keys, members and fields.
fn words(name: &str, random: &mut Random, keys: u64) -> Vec<String> {
    const VALUE: &str = "abcdefghijklmnop";
    let number = random.below(keys);
    let (key, element) = (format!("key:{number:012}"), format!("element:{number:012}"));
    let rest: Vec<String> = match name {
        "GET" => vec![key],
        "MISS" => vec![format!("KEY:{number:012}")],
        "SET" => vec![key, VALUE.into()],
        "INCR" => vec![format!("counter:{number:012}")],
        "LPUSH" | "RPUSH" => vec!["mylist".into(), VALUE.into()],
        "LPOP" | "RPOP" => vec!["mylist".into()],
        "SADD" => vec!["myset".into(), element],
        "HSET" => vec!["myhash".into(), element, VALUE.into()],
        "SPOP" => vec!["myset".into()],
        "ZADD" => vec!["myzset".into(), number.to_string(), element],
        "ZPOPMIN" => vec!["myzset".into()],
        "LRANGE" => vec!["mylist".into(), "0".into(), "99".into()],
        "TGET" => vec![TABLE.into(), (number + 1).to_string()],
        "SELECT" | "DELETE" => vec![TABLE.into(), "WHERE".into(), format!("id={number}")],
        "SELECT100" => vec![
            TABLE.into(),
            "WHERE".into(),
            format!("grp=g{}", number % 1000),
        ],
        "INSERT" => row(number),
        "UPDATE" | "UPDATEX" => {
            let set = if name == "UPDATE" {
                format!("v={}", number % 997)
            } else {
                format!("grp=g{}", number / 7 % 1000)
            };
            let condition = format!("id={number}");
            vec![TABLE.into(), "WHERE".into(), condition, "SET".into(), set]
        }
        _ => Vec::new(),
    };
    let name = match name {
        "MISS" => "GET",
        "TGET" => "TABLE.GET",
        "SELECT" | "SELECT100" => "TABLE.SELECT",
        "INSERT" => "TABLE.INSERT",
        "UPDATE" | "UPDATEX" => "TABLE.UPDATE",
        "DELETE" => "TABLE.DELETE",
        name => name,
    };
    [vec![name.to_owned()], rest].concat()
}

/// Returns the words of an INSERT behind its name.
fn row(number: u64) -> Vec<String> {
    vec![
        TABLE.into(),
        format!("id={number}"),
        format!("grp=g{}", number % 1000),
        format!("v={}", number % 997),
        format!("name=name{number}"),
    ]
}

/// Makes the table of `benches/tables.py`, with a row for each number.
fn fill_table(rows: u64, mut serve: impl FnMut(&Batch)) {
    let mut input = Vec::new();
    for words in [
        &["TABLE.NAMESPACE.CREATE", "n"][..],
        &[
            "TABLE.SCHEMA.CREATE",
            TABLE,
            "id:integer:hash",
            "grp:string:hash",
            "v:integer",
            "name:string",
        ],
    ] {
        encode(
            &words.iter().map(|&word| word.into()).collect::<Vec<_>>(),
            &mut input,
        );
    }
    for number in 0..rows {
        encode(
            &[vec!["TABLE.INSERT".into()], row(number)].concat(),
            &mut input,
        );
        if input.len() > 3000 {
            serve(&Batch::of(std::mem::take(&mut input)));
        }
    }
    serve(&Batch::of(input));
}

fn encode(words: &[String], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        out.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
}

fn batches(count: usize, keys: u64, name: &str, seed: u64) -> Vec<Batch> {
    let mut random = Random::new(seed);
    let batch = |_| {
        let mut bytes = Vec::new();
        for _ in 0..BATCH {
            encode(&words(name, &mut random, keys), &mut bytes);
        }
        Batch::of(bytes)
    };
    (0..count).map(batch).collect()
}

fn fill(bench: &mut Bench, keys: u64) {
    let mut input = Vec::new();
    for key in 0..keys {
        let head =
            format!("*3\r\n$3\r\nSET\r\n$16\r\nkey:{key:012}\r\n$16\r\nabcdefghijklmnop\r\n");
        input.extend_from_slice(head.as_bytes());
        if input.len() > 3000 {
            bench.serve(&Batch::of(std::mem::take(&mut input)));
        }
    }
    bench.serve(&Batch::of(input));
}

fn measure(label: &str, requests: usize, mut round: impl FnMut()) {
    let mut nanos: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let begun = monotonic();
            round();
            let spent = u32::try_from(monotonic().nanos_since(begun)).unwrap_or(u32::MAX);
            f64::from(spent) / f64::from(u32::try_from(requests).unwrap_or(u32::MAX))
        })
        .collect();
    nanos.sort_by(f64::total_cmp);
    println!(
        "{label:<28} {:>7.1} ns per request (rounds {:.1} to {:.1})",
        nanos[ROUNDS / 2],
        nanos[0],
        nanos[ROUNDS - 1]
    );
}

fn serve(bench: &mut Bench, label: &str, batches: &[Batch]) {
    measure(label, batches.len() * BATCH, || {
        for batch in batches {
            black_box(bench.serve(black_box(batch)));
        }
    });
}

/// Tests of redis-benchmark that are timed beside GET, SET and PING, in an order in which those that take
/// away find something: every round adds 320,000 elements or takes as many.
const TYPES: [&str; 12] = [
    "MISS", "INCR", "LPUSH", "LRANGE", "LPOP", "RPUSH", "RPOP", "SADD", "SPOP", "HSET", "ZADD",
    "ZPOPMIN",
];

/// Tests of statements about a table of 100,000 rows, each of which one finds by its `id`, and 100 by their `grp`.
const STATEMENTS: [&str; 7] = [
    "TGET",
    "SELECT",
    "SELECT100",
    "UPDATE",
    "UPDATEX",
    "INSERT",
    "DELETE",
];

const TABLE: &str = "n.t";
const TABLE_ROWS: u64 = 100_000;

/// Serves `count` batches of a test of [`STATEMENTS`] with two shards, as a pipeline or one by one.
fn once_on_two(count: usize, name: &str, is_patient: bool) {
    let mut pair = Pair::new();
    fill_table(TABLE_ROWS, |batch| {
        pair.serve(batch);
    });
    let (messages, hops) = (pair.messages, pair.hops());
    pair.is_patient = is_patient;
    for batch in &batches(count, TABLE_ROWS, name, 1) {
        black_box(pair.serve(batch));
    }
    let (messages, hops) = (pair.messages - messages, pair.hops() - hops);
    let requests = count * BATCH;
    println!("{requests} requests, {messages} messages between cores, {hops} hops");
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let number = |name| -> Option<usize> {
        let at = args.iter().position(|arg| arg == name)?;
        args.get(at + 1)?.parse().ok()
    };
    let name = args.last().map_or("SELECT", String::as_str);
    for (option, is_patient) in [("--once-on-two", false), ("--patient-on-two", true)] {
        if let Some(count) = number(option) {
            return once_on_two(count, name, is_patient);
        }
    }
    let mut bench = Bench::new();
    if let Some(at) = args.iter().position(|arg| arg == "--once") {
        let count = args
            .get(at + 1)
            .and_then(|text| text.parse().ok())
            .unwrap_or(1000);
        let name = args.get(at + 2).map_or("GET", String::as_str);
        let is_statement = STATEMENTS.contains(&name);
        if is_statement {
            fill_table(TABLE_ROWS, |batch| {
                bench.serve(batch);
            });
        } else {
            fill(&mut bench, 10_000);
        }
        // What is taken away was there.
        let adds = match name {
            "LRANGE" | "LPOP" => "LPUSH",
            "RPOP" => "RPUSH",
            "SPOP" => "SADD",
            "ZPOPMIN" => "ZADD",
            _ => name,
        };
        if adds != name {
            for batch in &batches(10_000, 100_000, adds, 2) {
                black_box(bench.serve(batch));
            }
        }
        let keys = if is_statement { TABLE_ROWS } else { 10_000 };
        for batch in &batches(count, keys, name, 1) {
            black_box(bench.serve(batch));
        }
        println!("{} requests", count * BATCH);
        return;
    }
    for keys in [10_000_u64, 100_000, 1_000_000] {
        fill(&mut bench, keys);
        let gets = batches(20_000, keys, "GET", 1);
        serve(&mut bench, &format!("GET, {keys} keys"), &gets);
        let sets = batches(20_000, keys, "SET", 2);
        serve(&mut bench, &format!("SET, {keys} keys"), &sets);
    }
    let pings = batches(20_000, 1, "PING", 3);
    serve(&mut bench, "PING", &pings);
    for name in TYPES {
        let count = if name == "LRANGE" { 500 } else { 20_000 };
        let requests = batches(count, 100_000, name, 4);
        serve(&mut bench, name, &requests);
    }
    fill_table(TABLE_ROWS, |batch| {
        bench.serve(batch);
    });
    for name in STATEMENTS {
        let count = if name == "SELECT100" { 500 } else { 20_000 };
        let requests = batches(count, TABLE_ROWS, name, 5);
        serve(&mut bench, &format!("TABLE, {name}"), &requests);
    }
    let mut gets = batches(20_000, 10_000, "GET", 3);
    let mut words = Vec::new();
    measure("parsing a GET", gets.len() * BATCH, || {
        for batch in &mut gets {
            batch.parse(&mut words);
        }
    });
}
