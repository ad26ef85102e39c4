//! Connections over real sockets, served by a small echo.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use base::ids::ShardId;
use base::random::Random;
use protocol::args::{Args, LargeWord};
use runtime::executor::{CoreContext, CoreSpec, Cores, start_cores};
use runtime::idle::{Idle, IdleOptions};
use runtime::listener::{Listener, TcpOptions, bind_tcp};
use runtime::socket::Socket;
use runtime::socket_ring::{ListenerId, RingOptions, SocketId, SocketRing};
use runtime::waker::Waker;

use crate::connection::Connection;
use crate::options::Options;
use crate::output::Place;
use crate::requests::Requests;
use crate::turn::Net;
use crate::{Served, Service, Then};

const LIMIT: Duration = Duration::from_secs(20);

/// A reply that is to come.
struct Pending {
    id: SocketId,
    place: Place,
    reply: Vec<u8>,
    /// The connection waits for it.
    resumes: bool,
}

/// Answers the second word of a request as its first word says.
struct Echo {
    pending: Vec<Pending>,
    shared: Arc<Shared>,
    random: Random,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    /// Connections that are open.
    open: AtomicUsize,
    moves: AtomicUsize,
    /// Requests that took their turn.
    slow: AtomicUsize,
    /// Somebody was not read from.
    has_paused: AtomicBool,
    /// Most bytes that all buffers have ever taken.
    buffer_bytes_max: AtomicUsize,
}

impl Service for Echo {
    /// Whether a request is awaited behind which nothing may start.
    type Session = bool;

    fn open(&mut self, _: &Socket, _: ListenerId) -> Result<Connection<bool>, Vec<u8>> {
        self.shared.open.fetch_add(1, Ordering::SeqCst);
        Ok(Connection::new(false, true))
    }

    fn accept_failed(&mut self, error: &std::io::Error) {
        unreachable!("{error}");
    }

    fn serve(
        &mut self,
        id: SocketId,
        connection: &mut Connection<bool>,
        requests: Requests<'_>,
    ) -> Served {
        for index in 0..requests.len() {
            assert!(!connection.session, "nothing is served while one waits");
            let then = self.serve_one(id, connection, requests.args(index));
            if then != Then::GoOn || requests.args(index).word(0) == b"SLOW" {
                let taken = index + 1;
                return Served { taken, then };
            }
        }
        Served {
            taken: requests.len(),
            then: Then::GoOn,
        }
    }

    fn waits_for_others(&self, _: SocketId) -> bool {
        false
    }

    fn takes_large_word(&self, _: &Connection<bool>, args: Args<'_>) -> bool {
        args.len() == 1 && args.word(0) == b"LARGE"
    }

    fn serve_large(
        &mut self,
        _: SocketId,
        connection: &mut Connection<bool>,
        args: Args<'_>,
        large: LargeWord,
    ) -> Then {
        assert_eq!(large.index, 1, "the word that was asked for");
        assert!(args.word(1).is_empty(), "it came by itself");
        connection.output.push(&large.bytes);
        connection.output.push(args.get(2).unwrap_or_default());
        Then::GoOn
    }

    fn closed(&mut self, _: SocketId, _: bool) {
        self.shared.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Echo {
    fn serve_one(
        &mut self,
        id: SocketId,
        connection: &mut Connection<bool>,
        args: Args<'_>,
    ) -> Then {
        let reply = args.word(1).to_vec();
        let resumes = match args.word(0) {
            b"NOW" => {
                connection.output.push(&reply);
                return Then::GoOn;
            }
            // All of it had come before it was its turn.
            b"LARGE" => {
                connection.output.push(&reply);
                connection.output.push(args.get(2).unwrap_or_default());
                return Then::GoOn;
            }
            b"SLOW" => {
                self.shared.slow.fetch_add(1, Ordering::SeqCst);
                connection.output.push(&reply);
                return Then::GoOn;
            }
            b"MANY" => {
                let count: usize = std::str::from_utf8(&reply).unwrap().parse().unwrap();
                connection.output.push(&vec![b'x'; count]);
                return Then::GoOn;
            }
            b"MOVE" => {
                connection.output.push(&reply);
                connection.move_at_rest();
                return Then::GoOn;
            }
            b"END" => {
                connection.output.push(&reply);
                return Then::Close;
            }
            b"LATER" => false,
            b"WAIT" => true,
            other => unreachable!("{other:?}"),
        };
        connection.session = resumes;
        let place = connection.output.defer();
        self.pending.push(Pending {
            id,
            place,
            reply,
            resumes,
        });
        if resumes { Then::Wait } else { Then::GoOn }
    }

    /// Gives some of the replies that are to come, in any order.
    fn fill(&mut self, net: &mut Net<bool>) {
        self.random.shuffle(&mut self.pending);
        let kept = self.random.index(self.pending.len() + 1);
        for pending in self.pending.split_off(kept) {
            let Some(connection) = net.connection_mut(pending.id) else {
                continue;
            };
            connection.output.fill(pending.place, &pending.reply);
            if pending.resumes {
                connection.session = false;
                net.resume(pending.id);
            }
            net.wrote(pending.id);
            net.reconsider(pending.id);
        }
    }
}

struct Seed {
    listener: Listener,
    waker: Waker,
    shared: Arc<Shared>,
    options: Options,
    seed: u64,
}

async fn run(core: CoreContext, seed: Seed) {
    let ring = SocketRing::new(RingOptions::default(), seed.waker).unwrap();
    let mut net = Net::new(ring, seed.options);
    let idle = IdleOptions {
        spin: Duration::ZERO,
        ..IdleOptions::default()
    };
    let mut idle = Idle::new(idle, core.background());
    let mut echo = Echo {
        pending: Vec::new(),
        shared: seed.shared,
        random: Random::new(seed.seed),
    };
    net.listen(seed.listener);
    while !echo.shared.stop.load(Ordering::SeqCst) {
        let mut is_busy = net.receive(&mut echo) || !echo.pending.is_empty();
        let buffers: usize = net
            .iter()
            .map(|(_, connection)| connection.buffer_bytes())
            .sum();
        if net.iter().any(|(_, connection)| !connection.is_read_from()) {
            echo.shared.has_paused.store(true, Ordering::SeqCst);
        }
        let bytes_max = &echo.shared.buffer_bytes_max;
        bytes_max.fetch_max(buffers, Ordering::SeqCst);
        echo.fill(&mut net);
        while let Some(id) = net.take_rested() {
            net.detach(id);
        }
        while let Some(moving) = net.take_detached() {
            echo.shared.moves.fetch_add(1, Ordering::SeqCst);
            net.adopt(moving);
            is_busy = true;
        }
        is_busy |= net.send(&mut echo);
        net.exchange().unwrap();
        if !is_busy {
            net.wait(&mut idle, Some(LIMIT), || false).await.unwrap();
        }
    }
}

struct Server {
    address: SocketAddr,
    waker: Waker,
    shared: Arc<Shared>,
    cores: Cores,
}

impl Server {
    fn start(options: Options) -> Self {
        let seed = match std::env::var("SEED") {
            Ok(text) => text.parse().unwrap(),
            Err(_) => 0x0DD5_EED5,
        };
        println!("SEED={seed}");
        let listener = bind_tcp("127.0.0.1:0".parse().unwrap(), TcpOptions::default()).unwrap();
        let address = listener.address().unwrap();
        let waker = Waker::new().unwrap();
        let shared = Arc::new(Shared::default());
        let seed = Seed {
            listener,
            waker: waker.clone(),
            shared: Arc::clone(&shared),
            options,
            seed,
        };
        let spec = CoreSpec {
            shard: ShardId(0),
            cpu: None,
            seed,
        };
        let cores = start_cores(vec![spec], run).unwrap();
        Self {
            address,
            waker,
            shared,
            cores,
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        stream
    }

    /// Ends the server, when all connections have ended by themselves.
    fn stop(self) {
        wait_until("connections end", || {
            self.shared.open.load(Ordering::SeqCst) == 0
        });
        self.shared.stop.store(true, Ordering::SeqCst);
        self.waker.wake();
        self.cores.join().unwrap();
    }
}

#[track_caller]
fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let start = runtime::clock::monotonic();
    while !condition() {
        let nanos = runtime::clock::monotonic().nanos_since(start);
        assert!(Duration::from_nanos(nanos) < LIMIT, "in time: {what}");
        std::thread::yield_now();
    }
}

fn request(kind: &str, text: &str) -> Vec<u8> {
    let mut out = format!("*2\r\n${}\r\n{kind}\r\n", kind.len()).into_bytes();
    out.extend_from_slice(format!("${}\r\n{text}\r\n", text.len()).as_bytes());
    out
}

/// Requests of the given kinds in turn, and what is answered.
fn conversation(kinds: &[&str], count: usize) -> (Vec<u8>, String) {
    let mut sent = Vec::new();
    let mut expected = String::new();
    for number in 0..count {
        let text = format!("<{number}>");
        sent.extend(request(kinds[number % kinds.len()], &text));
        expected.push_str(&text);
    }
    (sent, expected)
}

/// Writes on a thread of its own, so that neither side waits for the other.
fn write_all(stream: &TcpStream, bytes: Vec<u8>, end: bool) -> JoinHandle<()> {
    let mut stream = stream.try_clone().unwrap();
    let work = move || {
        stream.write_all(&bytes).unwrap();
        if end {
            stream.shutdown(Shutdown::Write).unwrap();
        }
    };
    Builder::new().spawn(work).unwrap()
}

fn read_exactly(stream: &mut TcpStream, count: usize) -> String {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn read_to_end(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

const MIXED: [&str; 9] = [
    "NOW", "LATER", "NOW", "SLOW", "LATER", "LATER", "WAIT", "SLOW", "NOW",
];

#[test]
fn ten_thousand_requests_in_one_write_are_answered_in_order() {
    let server = Server::start(Options::default());
    for kinds in [&["NOW"][..], &["LATER"], &["SLOW"], &MIXED] {
        let (sent, expected) = conversation(kinds, 10_000);
        let mut stream = server.connect();
        let writer = write_all(&stream, sent, false);
        let answered = read_exactly(&mut stream, expected.len());
        assert!(answered == expected, "{kinds:?}");
        writer.join().unwrap();
    }
    server.stop();
}

#[test]
fn requests_may_be_split_at_every_byte() {
    let server = Server::start(Options::default());
    let mut stream = server.connect();
    let (sent, expected) = conversation(&["NOW", "LATER", "WAIT"], 3);
    for at in 1..sent.len() {
        stream.write_all(&sent[..at]).unwrap();
        // A reply shows that the first part has arrived on its own.
        let whole =
            (1..=3).filter(|&count| conversation(&["NOW", "LATER", "WAIT"], count).0.len() <= at);
        let first = 3 * whole.count();
        assert_eq!(read_exactly(&mut stream, first), expected[..first]);
        stream.write_all(&sent[at..]).unwrap();
        let rest = read_exactly(&mut stream, expected.len() - first);
        assert_eq!(rest, expected[first..], "split at {at}");
    }
    for byte in &sent {
        stream.write_all(&[*byte]).unwrap();
    }
    assert_eq!(read_exactly(&mut stream, expected.len()), expected);
    drop(stream);
    server.stop();
}

#[test]
fn a_peer_that_sends_no_more_is_answered_all_it_has_asked_for() {
    // Small bounds, so that every reason to stop reading comes up.
    let small = Options {
        output_pause_bytes: 200,
        pending_replies_max: 5,
        ..Options::default()
    };
    for options in [Options::default(), small] {
        let server = Server::start(options);
        for kinds in [&["NOW"][..], &["LATER"], &["WAIT"], &["SLOW"], &MIXED] {
            for count in [0, 1, 2, 63, 64, 65, 3000] {
                let (mut sent, expected) = conversation(kinds, count);
                // A request that never becomes whole keeps nothing open.
                sent.extend_from_slice(b"*2\r\n$3\r\nNOW\r\n$5\r\nab");
                let mut stream = server.connect();
                let writer = write_all(&stream, sent, true);
                let answered = read_to_end(&mut stream);
                assert!(answered == expected, "{kinds:?} {count}");
                writer.join().unwrap();
            }
        }
        server.stop();
    }
}

#[test]
fn replies_come_before_the_end_that_was_asked_for() {
    let server = Server::start(Options::default());
    for kinds in [&["NOW"][..], &["LATER"], &["SLOW"], &MIXED] {
        let (mut sent, mut expected) = conversation(kinds, 100);
        sent.extend(request("END", "bye"));
        sent.extend(request("NOW", "this is not served"));
        expected.push_str("bye");
        let mut stream = server.connect();
        stream.write_all(&sent).unwrap();
        assert_eq!(read_to_end(&mut stream), expected);
    }
    server.stop();
}

#[test]
fn replies_come_before_a_protocol_error_and_others_are_not_disturbed() {
    let server = Server::start(Options::default());
    let mut other = server.connect();
    for kinds in [&["NOW"][..], &["LATER"], &["WAIT"], &["SLOW"], &MIXED] {
        let (mut sent, mut expected) = conversation(kinds, 100);
        sent.extend_from_slice(b"*1\r\n!oops\r\n");
        expected.push_str("-ERR Protocol error: expected '$', got '!'\r\n");
        let mut stream = server.connect();
        stream.write_all(&sent).unwrap();
        assert_eq!(read_to_end(&mut stream), expected);
        other.write_all(&request("LATER", "fine")).unwrap();
        assert_eq!(read_exactly(&mut other, 4), "fine");
    }
    drop(other);
    server.stop();
}

#[test]
fn a_reader_that_is_slow_is_not_read_from_and_costs_bounded_memory() {
    const REPLY: usize = 1000;
    const COUNT: usize = 40_000;
    let server = Server::start(Options {
        output_pause_bytes: 64 * 1024,
        ..Options::default()
    });
    let mut stream = server.connect();
    let sent = request("MANY", "1000").repeat(COUNT);
    let writer = write_all(&stream, sent, true);
    wait_until("reading stops", || {
        server.shared.has_paused.load(Ordering::SeqCst)
    });
    let mut received = 0;
    let mut buffer = vec![0; 1024];
    loop {
        let count = stream.read(&mut buffer).unwrap();
        if count == 0 {
            break;
        }
        received += count;
    }
    writer.join().unwrap();
    assert_eq!(received, REPLY * COUNT);
    // What the receive buffers hold when reading stops still comes, here at most 1 MiB.
    let bytes_max = server.shared.buffer_bytes_max.load(Ordering::SeqCst);
    assert!(bytes_max < 3 * 1024 * 1024, "{bytes_max} bytes of buffers");
    server.stop();
}

#[test]
fn requests_left_for_the_next_turn_let_others_pass_and_cost_bounded_memory() {
    const COUNT: usize = 100_000;
    let server = Server::start(Options::default());
    let mut busy = server.connect();
    let writer = write_all(&busy, request("SLOW", "x").repeat(COUNT), true);
    let first = read_exactly(&mut busy, 1);
    let read = move || read_to_end(&mut busy).len();
    let rest = Builder::new().spawn(read).unwrap();
    let mut other = server.connect();
    for _ in 0..3 {
        other.write_all(&request("NOW", "fine")).unwrap();
        assert_eq!(read_exactly(&mut other, 4), "fine");
    }
    let served = server.shared.slow.load(Ordering::SeqCst);
    assert!(served < COUNT, "the others had to wait for all of them");
    writer.join().unwrap();
    assert_eq!(first.len() + rest.join().unwrap(), COUNT);
    let bytes_max = server.shared.buffer_bytes_max.load(Ordering::SeqCst);
    assert!(bytes_max < 3 * 1024 * 1024, "{bytes_max} bytes of buffers");
    drop(other);
    server.stop();
}

#[test]
fn a_connection_that_moves_loses_and_reorders_nothing() {
    let server = Server::start(Options::default());
    for kinds in [&["MOVE"][..], &["MOVE", "LATER", "SLOW", "NOW", "WAIT"]] {
        let (sent, expected) = conversation(kinds, 5000);
        let mut stream = server.connect();
        // Pieces of odd sizes, so that it moves with requests half way.
        let mut rest = &sent[..];
        let mut size = 1;
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(size.min(rest.len()));
            stream.write_all(piece).unwrap();
            rest = behind;
            size = size * 5 % 1999 + 1;
        }
        stream.shutdown(Shutdown::Write).unwrap();
        assert!(read_to_end(&mut stream) == expected, "{kinds:?}");
    }
    // One request at a time, so that each reply is followed by a move.
    let before = server.shared.moves.load(Ordering::SeqCst);
    let mut stream = server.connect();
    for number in 0..200 {
        let text = format!("<{number}>");
        stream.write_all(&request("MOVE", &text)).unwrap();
        assert_eq!(read_exactly(&mut stream, text.len()), text);
    }
    drop(stream);
    let moves = server.shared.moves.load(Ordering::SeqCst) - before;
    assert!(moves > 10, "only {moves} moves");
    server.stop();
}

#[test]
fn long_words_come_by_themselves_however_they_are_split() {
    let seed = std::env::var("SEED").map_or(4, |text| text.parse().unwrap());
    println!("SEED={seed}");
    let mut random = Random::new(seed);
    let server = Server::start(Options::default());
    let mut stream = server.connect();
    let (mut sent, mut expected) = (Vec::new(), String::new());
    for round in 0..6_usize {
        let text = "0123456789".repeat(30_000 + round * 10_000 + random.index(100));
        sent.extend(format!("*3\r\n$5\r\nLARGE\r\n${}\r\n{text}\r\n", text.len()).bytes());
        sent.extend(format!("$3\r\n<{round}>\r\n").bytes());
        expected.push_str(&format!("{text}<{round}>"));
        if round % 2 == 0 {
            // A last word, and one of a request that does not take it by itself.
            sent.extend(format!("*2\r\n$5\r\nLARGE\r\n${}\r\n{text}\r\n", text.len()).bytes());
            sent.extend(request("NOW", &text));
            expected.push_str(&text);
            expected.push_str(&text);
        }
        let (more, replies) = conversation(&MIXED, 20);
        sent.extend(more);
        expected.push_str(&replies);
    }
    for most in [sent.len(), 300_000, 5_000] {
        let mut writer = stream.try_clone().unwrap();
        let mut rest = sent.clone();
        let mut pieces = Vec::new();
        while !rest.is_empty() {
            let count = (1 + random.index(most)).min(rest.len());
            pieces.push(rest.drain(..count).collect::<Vec<u8>>());
        }
        let work = move || pieces.iter().for_each(|it| writer.write_all(it).unwrap());
        let writing = Builder::new().spawn(work).unwrap();
        assert!(
            read_exactly(&mut stream, expected.len()) == expected,
            "pieces of up to {most} bytes"
        );
        writing.join().unwrap();
    }
    drop(stream);
    server.stop();
}
