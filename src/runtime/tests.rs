//! Cores with real sockets on the loopback device.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use base::hash::Map;
use base::ids::ShardId;

use crate::clock::monotonic;
use crate::executor::{CoreContext, CoreSpec, Cores, start_cores};
use crate::idle::{Idle, IdleCounts, IdleOptions};
use crate::listener::{Listener, TcpOptions, bind_tcp, bind_unix};
use crate::log_file::LogFile;
use crate::memory::thread_cpu_nanos;
use crate::mesh::{Lane, MeshEnd, mesh};
use crate::socket::Socket;
use crate::socket_ring::{RingEvent, RingOptions, SocketId, SocketRing};
use crate::waker::Waker;

const LIMIT: Duration = Duration::from_secs(20);

/// Idles without spinning, as the tests share the machine with others.
fn calm() -> IdleOptions {
    IdleOptions {
        spin: Duration::ZERO,
        ..IdleOptions::default()
    }
}

fn listener() -> (Listener, SocketAddr) {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let listener = bind_tcp(any, TcpOptions::default()).unwrap();
    let address = listener.address().unwrap();
    (listener, address)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.set_write_timeout(Some(LIMIT)).unwrap();
    stream
}

fn spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    Builder::new().spawn(work).unwrap()
}

fn low_byte(number: usize) -> u8 {
    number.to_le_bytes()[0]
}

/// Bytes that show where they belong: a piece lost, doubled or moved is noticed.
fn pattern(len: usize) -> Vec<u8> {
    (0..len)
        .map(|position| low_byte(position % 251) ^ low_byte(position / 251))
        .collect()
}

#[track_caller]
fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let start = monotonic();
    while !condition() {
        assert!(elapsed(start) < LIMIT, "in time: {what}");
        std::thread::yield_now();
    }
}

fn elapsed(start: base::clock::Monotonic) -> Duration {
    Duration::from_nanos(monotonic().nanos_since(start))
}

/// Runs `body` on one core of its own.
fn on_core<S, R>(seed: S, body: fn(CoreContext, S) -> R) -> Cores
where
    S: Send + 'static,
    R: Future<Output = ()> + 'static,
{
    start_cores(
        vec![CoreSpec {
            shard: ShardId(0),
            cpu: None,
            seed,
        }],
        body,
    )
    .unwrap()
}

/// A core that sends everything back.
struct EchoSeed {
    listener: Listener,
    ring: RingOptions,
    idle: IdleOptions,
    waker: Waker,
    shared: Arc<EchoShared>,
}

#[derive(Default)]
struct EchoShared {
    stop: AtomicBool,
    sockets: AtomicUsize,
    gathers: AtomicU64,
}

struct EchoServer {
    address: SocketAddr,
    waker: Waker,
    shared: Arc<EchoShared>,
    cores: Cores,
}

impl EchoServer {
    fn start(ring: RingOptions, idle: IdleOptions) -> Self {
        let (listener, address) = listener();
        Self::start_on(listener, address, ring, idle)
    }

    fn start_on(
        listener: Listener,
        address: SocketAddr,
        ring: RingOptions,
        idle: IdleOptions,
    ) -> Self {
        let waker = Waker::new().unwrap();
        let shared = Arc::new(EchoShared::default());
        let seed = EchoSeed {
            listener,
            ring,
            idle,
            waker: waker.clone(),
            shared: Arc::clone(&shared),
        };
        let cores = on_core(seed, echo);
        Self {
            address,
            waker,
            shared,
            cores,
        }
    }

    fn stop(self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.waker.wake();
        self.cores.join().unwrap();
    }
}

#[derive(Default)]
struct EchoConnection {
    output: Vec<u8>,
    spare: Vec<u8>,
    is_sending: bool,
    is_closed: bool,
}

async fn echo(core: CoreContext, seed: EchoSeed) {
    let EchoSeed {
        listener,
        ring,
        idle,
        waker,
        shared,
    } = seed;
    let mut ring = SocketRing::new(ring, waker).unwrap();
    let mut idle = Idle::new(idle, core.background());
    let mut connections: Map<SocketId, EchoConnection> = Map::default();
    ring.listen(listener);
    while !shared.stop.load(Ordering::SeqCst) {
        ring.turn().unwrap();
        let mut dirty = Vec::new();
        let mut is_busy = false;
        while let Some(event) = ring.next_event() {
            is_busy = true;
            match event {
                RingEvent::Accepted { socket, .. } => {
                    assert!(!socket.peer_address().is_empty());
                    let id = ring.add(socket);
                    connections.insert(id, EchoConnection::default());
                }
                RingEvent::Received(received) => {
                    let connection = connections.get_mut(&received.id).unwrap();
                    connection
                        .output
                        .extend_from_slice(ring.received(&received));
                    dirty.push(received.id);
                    ring.recycle(received);
                }
                RingEvent::Sent { id, buffer, .. } => {
                    let connection = connections.get_mut(&id).unwrap();
                    assert!(buffer.is_empty());
                    connection.spare = buffer;
                    connection.is_sending = false;
                    dirty.push(id);
                }
                RingEvent::Closed { id, .. } => {
                    connections.get_mut(&id).unwrap().is_closed = true;
                    dirty.push(id);
                }
                RingEvent::SendFailed { id, .. } => {
                    connections.remove(&id);
                    ring.close(id);
                }
                RingEvent::AcceptFailed { error, .. } => panic!("{error}"),
                RingEvent::Detached { .. } => panic!("nothing was detached"),
                RingEvent::Synced(_) => panic!("nothing is synced"),
            }
        }
        for id in dirty {
            let Some(connection) = connections.get_mut(&id) else {
                continue;
            };
            if !connection.is_sending && !connection.output.is_empty() {
                let spare = std::mem::take(&mut connection.spare);
                let output = std::mem::replace(&mut connection.output, spare);
                connection.is_sending = true;
                ring.send(id, output, 0);
            } else if !connection.is_sending && connection.is_closed {
                connections.remove(&id);
                ring.close(id);
            }
        }
        shared.sockets.store(ring.socket_count(), Ordering::SeqCst);
        shared
            .gathers
            .store(idle.counts().gathers, Ordering::SeqCst);
        if is_busy {
            crate::executor::yield_if_needed().await;
        } else {
            ring.wait(&mut idle, None, || false).await.unwrap();
        }
    }
}

/// Writes `bytes` on one thread and reads as many back on this one.
#[track_caller]
fn check_echo(stream: &TcpStream, bytes: Vec<u8>) {
    let mut writer = stream.try_clone().unwrap();
    let expected = bytes.clone();
    let writing = spawn(move || writer.write_all(&bytes).unwrap());
    let mut back = vec![0; expected.len()];
    let mut reader = stream;
    reader.read_exact(&mut back).unwrap();
    writing.join().unwrap();
    assert!(back == expected, "the same bytes in the same order");
}

#[test]
fn one_byte_and_a_megabyte_come_back() {
    let server = EchoServer::start(RingOptions::default(), calm());
    let stream = connect(server.address);
    check_echo(&stream, vec![7]);
    check_echo(&stream, pattern(1 << 20));
    check_echo(&stream, pattern(30 << 20));
    server.stop();
}

#[test]
fn a_unix_socket_is_served_like_any_other() {
    let path = std::env::temp_dir().join(format!("runtime-unix-{}.sock", std::process::id()));
    let unused = "127.0.0.1:0".parse().unwrap();
    let listener = bind_unix(&path, Some(0o600), 16).unwrap();
    assert_eq!(
        bind_unix(&path, None, 16).unwrap_err().kind(),
        io::ErrorKind::AddrInUse
    );
    let server = EchoServer::start_on(listener, unused, RingOptions::default(), calm());
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.write_all(b"hello").unwrap();
    let mut back = [0; 5];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"hello");
    server.stop();
    drop(bind_unix(&path, None, 16).unwrap());
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn pipelined_messages_come_back_in_order() {
    let server = EchoServer::start(RingOptions::default(), calm());
    let stream = connect(server.address);
    let mut writer = stream.try_clone().unwrap();
    let writing = spawn(move || {
        for number in 0..20_000_u32 {
            writer.write_all(&number.to_le_bytes()).unwrap();
        }
    });
    let mut reader = io::BufReader::new(&stream);
    for number in 0..20_000_u32 {
        let mut message = [0; 4];
        reader.read_exact(&mut message).unwrap();
        assert_eq!(u32::from_le_bytes(message), number);
    }
    writing.join().unwrap();
    server.stop();
}

#[test]
fn five_hundred_connections_are_served_and_forgotten() {
    let server = EchoServer::start(RingOptions::default(), calm());
    let mut streams: Vec<_> = (0..500).map(|_| connect(server.address)).collect();
    for round in 0..3 {
        for (number, stream) in streams.iter_mut().enumerate() {
            stream.write_all(&[low_byte(number), round]).unwrap();
        }
        for (number, stream) in streams.iter_mut().enumerate() {
            let mut back = [0; 2];
            stream.read_exact(&mut back).unwrap();
            assert_eq!(back, [low_byte(number), round]);
        }
    }
    drop(streams);
    wait_until("all sockets closed", || {
        server.shared.sockets.load(Ordering::SeqCst) == 0
    });
    check_echo(&connect(server.address), pattern(100));
    server.stop();
}

#[test]
fn a_burst_of_many_connections_is_gathered() {
    let server = EchoServer::start(RingOptions::default(), calm());
    let mut streams: Vec<_> = (0..64).map(|_| connect(server.address)).collect();
    for _ in 0..200 {
        for stream in &mut streams {
            stream.write_all(b"message").unwrap();
        }
        for stream in &mut streams {
            let mut back = [0; 7];
            stream.read_exact(&mut back).unwrap();
        }
    }
    // Kernels before 6.12 cannot, and the core then sleeps as if there had been no burst.
    println!("{} gathers", server.shared.gathers.load(Ordering::SeqCst));
    server.stop();
}

#[test]
fn tiny_rings_and_few_buffers_lose_nothing() {
    let tiny = RingOptions {
        entries: 2,
        completions: 4,
        buffers: 2,
        buffer_bytes: 64,
    };
    let server = EchoServer::start(tiny, calm());
    let clients: Vec<_> = (0..40)
        .map(|_| connect(server.address))
        .map(|stream| spawn(move || check_echo(&stream, pattern(20_000))))
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    server.stop();
}

fn time_round_trips(stream: &mut TcpStream) -> Duration {
    let start = monotonic();
    let mut message = [0_u8; 16];
    for number in 0..20_000_u32 {
        message[..4].copy_from_slice(&number.to_le_bytes());
        stream.write_all(&message).unwrap();
        stream.read_exact(&mut message).unwrap();
        assert_eq!(message[..4], number.to_le_bytes());
    }
    elapsed(start)
}

#[test]
fn twenty_thousand_round_trips_take_less_than_two_seconds() {
    let server = EchoServer::start(RingOptions::default(), IdleOptions::default());
    let mut stream = connect(server.address);
    // The best of three: other programs may have the processors during one.
    let time = (0..3).map(|_| time_round_trips(&mut stream)).min().unwrap();
    println!("20,000 round trips: {time:?}");
    server.stop();
    assert!(time < Duration::from_secs(2), "{time:?}");
}

#[test]
fn closing_during_a_send_ends_the_socket_and_nothing_else() {
    async fn body(core: CoreContext, (listener, report): (Listener, mpsc::Sender<usize>)) {
        let mut ring = SocketRing::new(RingOptions::default(), Waker::new().unwrap()).unwrap();
        let mut idle = Idle::new(calm(), core.background());
        ring.listen(listener);
        let mut closed = Vec::new();
        while closed.len() < 3 || ring.socket_count() > 0 {
            ring.wait(&mut idle, None, || false).await.unwrap();
            while let Some(event) = ring.next_event() {
                match event {
                    RingEvent::Accepted { socket, .. } => drop(ring.add(socket)),
                    RingEvent::Received(received) => {
                        let id = received.id;
                        assert!(!closed.contains(&id), "no event after the close");
                        ring.recycle(received);
                        ring.send(id, vec![1; 64 << 20], 0);
                        // The kernel is in the middle of it, or has not even seen it.
                        if closed.len() != 1 {
                            ring.turn().unwrap();
                        }
                        ring.close(id);
                        ring.close(id);
                        closed.push(id);
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        report.send(closed.len()).unwrap();
    }
    let (listener, address) = listener();
    let (sender, receiver) = mpsc::channel();
    let cores = on_core((listener, sender), body);
    for _ in 0..3 {
        let mut stream = connect(address);
        stream.write_all(b"x").unwrap();
        let mut rest = Vec::new();
        // An orderly end or a reset, but never all of it.
        stream.read_to_end(&mut rest).ok();
        assert!(rest.len() < 64 << 20);
    }
    assert_eq!(receiver.recv_timeout(LIMIT), Ok(3));
    cores.join().unwrap();
}

/// Moves its connection to the other core after each message of the mesh or each few receives.
struct MoverSeed {
    listener: Option<Listener>,
    mesh: MeshEnd<Moved>,
    total: usize,
    report: mpsc::Sender<(Vec<u8>, usize)>,
}

struct Moved {
    socket: Option<Socket>,
    bytes: Vec<u8>,
    moves: usize,
}

async fn mover(core: CoreContext, seed: MoverSeed) {
    let MoverSeed {
        listener,
        mut mesh,
        total,
        report,
    } = seed;
    let other = ShardId(1 - mesh.core().0);
    let mut ring = SocketRing::new(RingOptions::default(), mesh.waker()).unwrap();
    let mut idle = Idle::new(calm(), core.background());
    if let Some(listener) = listener {
        ring.listen(listener);
    }
    let (mut bytes, mut moves) = (Vec::new(), 0);
    let mut is_over = false;
    while !is_over {
        ring.wait(&mut idle, None, || mesh.has_inbound())
            .await
            .unwrap();
        while let Some((_, moved)) = mesh.receive() {
            (bytes, moves) = (moved.bytes, moved.moves);
            match moved.socket {
                Some(socket) => drop(ring.add(socket)),
                None => is_over = true,
            }
        }
        while let Some(event) = ring.next_event() {
            match event {
                RingEvent::Accepted { socket, .. } => drop(ring.add(socket)),
                RingEvent::Received(received) => {
                    bytes.extend_from_slice(ring.received(&received));
                    let id = received.id;
                    ring.recycle(received);
                    ring.detach(id);
                }
                RingEvent::Detached { socket, .. } => {
                    moves += 1;
                    let is_last = bytes.len() == total;
                    is_over |= is_last;
                    let socket = (!is_last).then_some(socket);
                    let bytes = std::mem::take(&mut bytes);
                    if is_last {
                        report.send((bytes, moves)).unwrap();
                        let end = Moved {
                            socket: None,
                            bytes: Vec::new(),
                            moves,
                        };
                        assert!(mesh.send(other, Lane::Request, end).is_ok());
                    } else {
                        let moved = Moved {
                            socket,
                            bytes,
                            moves,
                        };
                        assert!(mesh.send(other, Lane::Request, moved).is_ok());
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        mesh.flush_wakes();
    }
}

#[test]
fn a_connection_that_moves_between_cores_keeps_every_byte_in_order() {
    let total = 8 << 20;
    let (listener, address) = listener();
    let (report, receiver) = mpsc::channel();
    let mut listener = Some(listener);
    let specs = mesh(2, 16)
        .unwrap()
        .into_iter()
        .map(|mesh| {
            let shard = mesh.core();
            let seed = MoverSeed {
                listener: listener.take(),
                mesh,
                total,
                report: report.clone(),
            };
            CoreSpec {
                shard,
                cpu: None,
                seed,
            }
        })
        .collect();
    let cores = start_cores(specs, mover).unwrap();
    let mut stream = connect(address);
    stream.write_all(&pattern(total)).unwrap();
    let (bytes, moves) = receiver.recv_timeout(LIMIT).unwrap();
    cores.join().unwrap();
    assert!(bytes == pattern(total), "the same bytes in the same order");
    assert!(moves > 2, "{moves}");
}

#[test]
fn a_paused_socket_receives_nothing_until_it_is_resumed() {
    async fn body(core: CoreContext, (listener, report): (Listener, mpsc::Sender<Vec<u8>>)) {
        let mut ring = SocketRing::new(RingOptions::default(), Waker::new().unwrap()).unwrap();
        let mut idle = Idle::new(calm(), core.background());
        ring.listen(listener);
        let mut bytes = Vec::new();
        let mut paused = None;
        let mut rounds = 0;
        let mut is_open = true;
        while is_open {
            let before = bytes.len();
            let limit = Some(Duration::from_millis(30));
            ring.wait(&mut idle, limit, || false).await.unwrap();
            while let Some(event) = ring.next_event() {
                match event {
                    RingEvent::Accepted { socket, .. } => drop(ring.add(socket)),
                    RingEvent::Received(received) => {
                        bytes.extend_from_slice(ring.received(&received));
                        if rounds < 5 {
                            paused = Some(received.id);
                            ring.pause_receive(received.id);
                        }
                        ring.recycle(received);
                    }
                    RingEvent::Closed { id, error } => {
                        assert!(error.is_none());
                        ring.close(id);
                        is_open = false;
                    }
                    other => panic!("{other:?}"),
                }
            }
            if let Some(id) = paused
                && bytes.len() == before
            {
                // A whole wait without data, although the client still writes.
                rounds += 1;
                paused = None;
                ring.resume_receive(id);
            }
        }
        assert_eq!(rounds, 5);
        report.send(bytes).unwrap();
    }
    let (listener, address) = listener();
    let (sender, receiver) = mpsc::channel();
    let cores = on_core((listener, sender), body);
    let mut stream = connect(address);
    stream.write_all(&pattern(16 << 20)).unwrap();
    drop(stream);
    let bytes = receiver.recv_timeout(LIMIT).unwrap();
    cores.join().unwrap();
    assert!(
        bytes == pattern(16 << 20),
        "the same bytes in the same order"
    );
}

/// A file, and one that cannot be synced, as it is none: the end of a sync comes as an event, also to a core
/// that sleeps.
#[test]
fn a_core_goes_on_while_its_log_is_synced() {
    let directory = std::env::temp_dir().join(format!("runtime-sync-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let body = |core: CoreContext, path: std::path::PathBuf| async move {
        let mut ring = SocketRing::new(RingOptions::default(), Waker::new().unwrap()).unwrap();
        let mut idle = Idle::new(calm(), core.background());
        let file = LogFile::create(&path).unwrap();
        let null = LogFile::create("/dev/null".as_ref()).unwrap();
        for round in 0..50 {
            file.append(&mut pattern(100)).unwrap();
            let is_real = round % 5 != 0;
            ring.sync(if is_real { &file } else { &null });
            let result = loop {
                match ring.next_event() {
                    Some(RingEvent::Synced(result)) => break result,
                    Some(event) => panic!("{event:?}"),
                    None => ring.wait(&mut idle, Some(LIMIT), || false).await.unwrap(),
                }
            };
            assert_eq!(result.is_ok(), is_real, "{result:?}");
        }
    };
    let cores = on_core(directory.join("log"), body);
    cores.join().unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn a_listener_that_was_stopped_refuses_connections() {
    async fn body(core: CoreContext, (listener, report): (Listener, mpsc::Sender<()>)) {
        let mut ring = SocketRing::new(RingOptions::default(), Waker::new().unwrap()).unwrap();
        let mut idle = Idle::new(calm(), core.background());
        let id = ring.listen(listener);
        let mut is_stopped = false;
        while !is_stopped {
            ring.wait(&mut idle, None, || false).await.unwrap();
            is_stopped = matches!(ring.next_event(), Some(RingEvent::Accepted { .. }));
        }
        ring.stop_listening(id);
        for _ in 0..3 {
            let limit = Some(Duration::from_millis(5));
            ring.wait(&mut idle, limit, || false).await.unwrap();
            assert!(ring.next_event().is_none());
        }
        report.send(()).unwrap();
    }
    let (listener, address) = listener();
    let (sender, receiver) = mpsc::channel();
    let cores = on_core((listener, sender), body);
    drop(connect(address));
    receiver.recv_timeout(LIMIT).unwrap();
    let refused = TcpStream::connect(address).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    cores.join().unwrap();
}

/// Tells when each number of the mesh has come, until 0 comes.
async fn listen_to_mesh(
    core: CoreContext,
    (mut mesh, idle, report): (MeshEnd<u32>, IdleOptions, mpsc::Sender<u32>),
) {
    let mut ring = SocketRing::new(RingOptions::default(), mesh.waker()).unwrap();
    let mut idle = Idle::new(idle, core.background());
    let mut is_over = false;
    while !is_over {
        ring.wait(&mut idle, None, || mesh.has_inbound())
            .await
            .unwrap();
        assert!(ring.next_event().is_none());
        while let Some((_, number)) = mesh.receive() {
            is_over |= number == 0;
            report.send(number).unwrap();
        }
    }
}

#[track_caller]
fn check_wakes(idle: IdleOptions, is_asleep: fn(&Waker) -> bool) {
    let mut ends = mesh::<u32>(2, 16).unwrap();
    let end = ends.pop().unwrap();
    let mut sender = ends.pop().unwrap();
    let waker = end.waker();
    let (report, receiver) = mpsc::channel();
    let cores = on_core((end, idle, report), listen_to_mesh);
    let mut slowest = Duration::ZERO;
    for number in (0..20).rev() {
        wait_until("the core sleeps", || is_asleep(&waker));
        let start = monotonic();
        sender.send(ShardId(1), Lane::Request, number).unwrap();
        sender.flush_wakes();
        assert_eq!(receiver.recv_timeout(LIMIT), Ok(number));
        slowest = slowest.max(elapsed(start));
    }
    cores.join().unwrap();
    println!("slowest of 20 wake-ups: {slowest:?}");
    assert!(slowest < Duration::from_millis(100), "{slowest:?}");
}

#[test]
fn a_message_wakes_a_parked_core() {
    check_wakes(
        IdleOptions {
            ring_wait: Duration::ZERO,
            ..calm()
        },
        Waker::is_parked,
    );
}

#[test]
fn a_message_wakes_a_core_that_sleeps_in_its_ring() {
    check_wakes(
        IdleOptions {
            ring_wait: LIMIT,
            ..calm()
        },
        Waker::is_in_ring,
    );
}

#[test]
fn an_idle_core_uses_less_than_a_hundredth_of_a_processor() {
    async fn body(core: CoreContext, report: mpsc::Sender<(u64, Duration, IdleCounts)>) {
        let mut ring = SocketRing::new(RingOptions::default(), Waker::new().unwrap()).unwrap();
        let mut idle = Idle::new(IdleOptions::default(), core.background());
        let limit = Some(Duration::from_millis(100));
        ring.wait(&mut idle, limit, || false).await.unwrap();
        let (start, cpu) = (monotonic(), thread_cpu_nanos());
        for _ in 0..10 {
            ring.wait(&mut idle, limit, || false).await.unwrap();
        }
        report
            .send((thread_cpu_nanos() - cpu, elapsed(start), idle.counts()))
            .unwrap();
    }
    let (report, receiver) = mpsc::channel();
    let cores = on_core(report, body);
    let (cpu_nanos, time, counts) = receiver.recv_timeout(LIMIT).unwrap();
    cores.join().unwrap();
    println!("{cpu_nanos} ns of {time:?}, {counts:?}");
    assert!(
        (Duration::from_millis(990)..LIMIT).contains(&time),
        "{time:?}"
    );
    assert!(
        Duration::from_nanos(cpu_nanos) * 100 < time,
        "{cpu_nanos} ns of {time:?}"
    );
    assert!(counts.parks >= 10, "{counts:?}");
}

#[test]
fn a_shorter_limit_moves_the_alarm_forward() {
    async fn body(core: CoreContext, (waker, report): (Waker, mpsc::Sender<Duration>)) {
        let mut ring = SocketRing::new(RingOptions::default(), waker).unwrap();
        let options = IdleOptions {
            ring_wait: Duration::ZERO,
            ..calm()
        };
        let mut idle = Idle::new(options, core.background());
        // Ends by the call of the test and leaves its alarm armed.
        ring.wait(&mut idle, Some(LIMIT), || false).await.unwrap();
        // A wait may end early, as the test's write may come after the core has noticed the call.
        let start = monotonic();
        let limit = Duration::from_millis(20);
        while elapsed(start) < limit {
            ring.wait(&mut idle, Some(limit), || false).await.unwrap();
        }
        report.send(elapsed(start)).unwrap();
    }
    let waker = Waker::new().unwrap();
    let (report, receiver) = mpsc::channel();
    let cores = on_core((waker.clone(), report), body);
    wait_until("the core sleeps", || waker.is_parked());
    waker.wake();
    let time = receiver.recv_timeout(LIMIT).unwrap();
    cores.join().unwrap();
    assert!(
        (Duration::from_millis(19)..Duration::from_secs(2)).contains(&time),
        "{time:?}"
    );
}

#[test]
fn background_tasks_go_on_while_the_core_waits() {
    async fn body(core: CoreContext, report: mpsc::Sender<u32>) {
        let waker = Waker::new().unwrap();
        let mut ring = SocketRing::new(RingOptions::default(), waker.clone()).unwrap();
        let mut idle = Idle::new(calm(), core.background());
        let ticks = std::rc::Rc::new(std::cell::Cell::new(0));
        let core = std::rc::Rc::new(core);
        let (task_ticks, task_core) = (std::rc::Rc::clone(&ticks), std::rc::Rc::clone(&core));
        core.spawn(async move {
            for _ in 0..10 {
                task_core.sleep(Duration::from_millis(3)).await;
                task_ticks.set(task_ticks.get() + 1);
            }
            waker.wake();
        });
        while ticks.get() < 10 {
            ring.wait(&mut idle, Some(LIMIT), || false).await.unwrap();
        }
        report.send(ticks.get()).unwrap();
    }
    let (report, receiver) = mpsc::channel();
    let start = monotonic();
    let cores = on_core(report, body);
    assert_eq!(receiver.recv_timeout(LIMIT), Ok(10));
    cores.join().unwrap();
    assert!(elapsed(start) < Duration::from_secs(5));
}

#[test]
fn no_core_runs_if_one_cannot_start() {
    let ran = Arc::new(AtomicBool::new(false));
    let cpus = [None, Some(crate::topology::Cpu::new(100_000))];
    let specs = cpus.into_iter().zip(0..).map(|(cpu, number)| CoreSpec {
        shard: ShardId(number),
        cpu,
        seed: Arc::clone(&ran),
    });
    let result = start_cores(specs.collect(), |_, ran: Arc<AtomicBool>| async move {
        ran.store(true, Ordering::SeqCst);
    });
    assert!(result.is_err());
    assert!(!ran.load(Ordering::SeqCst));
}

/// An executor that loses its processor before it runs its first task sleeps beside it; see `start_core`.
#[test]
#[expect(clippy::disallowed_methods, reason = "many start at the same time")]
fn cores_start_while_others_want_the_processors() {
    const STARTS: usize = 300;
    let starters = std::thread::available_parallelism().unwrap().get() * 8;
    let (report, started) = mpsc::channel();
    for _ in 0..starters {
        let report = report.clone();
        std::thread::spawn(move || {
            for _ in 0..STARTS {
                let cores = on_core((), |_, ()| async {});
                cores.join().unwrap();
                report.send(()).unwrap();
            }
        });
    }
    for count in 0..starters * STARTS {
        let has_started = started.recv_timeout(LIMIT).is_ok();
        assert!(has_started, "start {count} of a core");
    }
}
