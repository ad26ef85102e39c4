//! What one request costs in process, sockets left out: gates, route, execute, reply, statistics; and
//! apart from that what it costs to parse it.
//!
//! `cargo bench --bench request` prints nanoseconds per request, median of rounds;
//! `request --once N [SET]` serves N parsed batches of GET, or SET, for an instruction counter. Of two runs with
//! different N the difference is that of the GETs alone:
//! `valgrind --tool=callgrind --toggle-collect='*Bench::serve*' .../request --once 2000`.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

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
use trestle::engine::Engine;
use trestle::session::{About, Session};

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
        let shared = Arc::new(trestle::startup::shared(&config, 1));
        let options = trestle::layer_options::shard(&config, (1, 2));
        let shard = Shard::new(ShardId(0), options);
        let host = Host::new(ShardId(0), shard, shared.tx_ids.clone());
        let engine = Engine::new(host, SlotMap::new(1), shared, config);
        let session = Session::new(ClientId(1), About::default(), true, monotonic());
        Self {
            engine,
            connection: Connection::new(session, true),
            spare: Vec::new(),
        }
    }

    /// Serves all requests of a batch and returns the number of reply bytes.
    #[inline(never)]
    fn serve(&mut self, batch: &Batch) -> usize {
        self.engine.begin_turn();
        let requests = Requests {
            buffer: &batch.input,
            words: &batch.words,
            spans: &batch.spans,
        };
        let id = SocketId::from_bits(0);
        let served = self.engine.serve(id, &mut self.connection, requests);
        assert_eq!(served.taken, batch.spans.len());
        self.spare.clear();
        let spare = std::mem::take(&mut self.spare);
        self.spare = self.connection.output.take_ready(spare);
        self.spare.len()
    }
}

fn batches(count: usize, keys: u64, name: &str, value: Option<&str>, seed: u64) -> Vec<Batch> {
    let mut random = Random::new(seed);
    let batch = |_| {
        let mut bytes = Vec::new();
        for _ in 0..BATCH {
            let key = format!("key:{:012}", random.below(keys));
            let words = if value.is_some() { 3 } else { 2 };
            let head = format!("*{words}\r\n${}\r\n{name}\r\n$16\r\n{key}\r\n", name.len());
            bytes.extend_from_slice(head.as_bytes());
            if let Some(value) = value {
                bytes.extend_from_slice(format!("${}\r\n{value}\r\n", value.len()).as_bytes());
            }
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

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let mut bench = Bench::new();
    if let Some(at) = args.iter().position(|arg| arg == "--once") {
        let count = args
            .get(at + 1)
            .and_then(|text| text.parse().ok())
            .unwrap_or(1000);
        fill(&mut bench, 10_000);
        let sets = args.get(at + 2).is_some_and(|word| word == "SET");
        let (command, value) = if sets {
            ("SET", Some("abcdefghijklmnop"))
        } else {
            ("GET", None)
        };
        for batch in &batches(count, 10_000, command, value, 1) {
            black_box(bench.serve(batch));
        }
        println!("{} requests", count * BATCH);
        return;
    }
    for keys in [10_000_u64, 100_000, 1_000_000] {
        fill(&mut bench, keys);
        let gets = batches(20_000, keys, "GET", None, 1);
        serve(&mut bench, &format!("GET, {keys} keys"), &gets);
        let sets = batches(20_000, keys, "SET", Some("abcdefghijklmnop"), 2);
        serve(&mut bench, &format!("SET, {keys} keys"), &sets);
    }
    let ping = || Batch::of(b"*1\r\n$4\r\nPING\r\n".repeat(BATCH));
    let pings: Vec<Batch> = (0..20_000).map(|_| ping()).collect();
    serve(&mut bench, "PING", &pings);
    let mut gets = batches(20_000, 10_000, "GET", None, 3);
    let mut words = Vec::new();
    measure("parsing a GET", gets.len() * BATCH, || {
        for batch in &mut gets {
            batch.parse(&mut words);
        }
    });
}
