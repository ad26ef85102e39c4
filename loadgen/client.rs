//! Client threads: connections and the loop that keeps them busy.
//!
//! Each connection is a closed loop: it writes a batch, waits for all replies, writes the next. A
//! round trip costs one write, one read and a share of one `epoll_wait`: sockets are registered
//! once, edge-triggered, writes go out directly, and a read that does not fill the buffer is known
//! to have emptied the socket. Nothing is allocated per request; the batch and the read buffer
//! belong to the thread, so many connections touch little memory.
//!
//! Invariants
//! - A connection has at most one batch under way.
//! - A request counts if its batch began in the measured window (with `-n`) or its reply came
//!   within it (with `--duration`).
//! - The clock of a batch starts right before its write; connecting is never part of it.
//!
//! Not here: when the phases change (`run`), what is sent (`workload`).

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use base::cast;
use hdrhistogram::Histogram;
use mio::event::Event;
use mio::net::{TcpStream, UnixStream};
use mio::{Events, Interest, Poll, Token, Waker};

use crate::clock::{micros, now};
use crate::cluster::Tags;
use crate::cpu::{self, CpuTime};
use crate::probe::Connected;
use crate::random::Random;
use crate::scanner::ReplyScanner;
use crate::workload::Batch;

/// Bytes read at once. Large enough for a batch of the longest replies of the named tests.
const READ_BYTES: usize = 128 << 10;
/// Events taken from the kernel at once.
const EVENTS_MAX: usize = 1024;
/// The token by which `run` wakes a thread.
pub(crate) const WAKE: Token = Token(usize::MAX);

/// What the threads do at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Load without measuring.
    Warmup,
    /// The measured window.
    Measure,
    /// Come to an end at once.
    Stop,
}

/// What all threads of a run share.
#[derive(Debug)]
pub(crate) struct Shared {
    phase: AtomicU8,
    /// Requests given out in the measured window.
    issued: AtomicU64,
    /// Requests to give out; `u64::MAX` if time decides.
    limit: u64,
    /// For each thread the requests completed and the sum of their latencies in microseconds.
    progress: Vec<(AtomicU64, AtomicU64)>,
}

impl Shared {
    /// Returns the state before a run of `threads` threads that ends after `limit` requests.
    pub(crate) fn new(phase: Phase, limit: Option<u64>, threads: usize) -> Self {
        Self {
            phase: AtomicU8::new(code_of(phase)),
            issued: AtomicU64::new(0),
            limit: limit.unwrap_or(u64::MAX),
            progress: (0..threads)
                .map(|_| (AtomicU64::new(0), AtomicU64::new(0)))
                .collect(),
        }
    }

    /// Changes the phase. The threads see it when they next look: wake those that may be waiting.
    pub(crate) fn set_phase(&self, phase: Phase) {
        self.phase.store(code_of(phase), Ordering::Release);
    }

    /// Returns the requests completed so far and the sum of their latencies in microseconds.
    pub(crate) fn progress(&self) -> (u64, u64) {
        self.progress
            .iter()
            .fold((0, 0), |sum, (requests, latency)| {
                (
                    sum.0 + requests.load(Ordering::Relaxed),
                    sum.1.saturating_add(latency.load(Ordering::Relaxed)),
                )
            })
    }

    fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Warmup,
            1 => Phase::Measure,
            _ => Phase::Stop,
        }
    }

    fn is_timed(&self) -> bool {
        self.limit == u64::MAX
    }

    /// Takes up to `wanted` of the requests still to be sent; 0 if there are none.
    fn issue(&self, wanted: u64, rounds_up: bool) -> u64 {
        if self.is_timed() {
            return wanted;
        }
        let before = self.issued.fetch_add(wanted, Ordering::Relaxed);
        let left = self.limit.saturating_sub(before);
        if rounds_up && left > 0 {
            wanted
        } else {
            left.min(wanted)
        }
    }

    fn is_used_up(&self) -> bool {
        !self.is_timed() && self.issued.load(Ordering::Relaxed) >= self.limit
    }
}

const fn code_of(phase: Phase) -> u8 {
    match phase {
        Phase::Warmup => 0,
        Phase::Measure => 1,
        Phase::Stop => 2,
    }
}

/// Where a connection leads, resolved.
#[derive(Clone, Debug)]
pub(crate) enum Address {
    /// Over TCP.
    Tcp(SocketAddr),
    /// Over a local socket.
    Unix(PathBuf),
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.nulls += other.nulls;
        self.redirects += other.redirects;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.polls += other.polls;
        self.reads += other.reads;
        self.writes += other.writes;
    }
}

/// What is the same for all connections of a thread.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The batch to send.
    pub(crate) batch: Batch,
    /// Requests in a whole batch.
    pub(crate) pipeline: u64,
    /// Sent before the first batch of a connection, and how many replies that brings.
    pub(crate) prefix: (Vec<u8>, u64),
    /// Keep a connection for all its batches.
    pub(crate) keep_alive: bool,
    /// Round up to whole batches, and take the first byte of a batch as the answer to all of it.
    pub(crate) compat: bool,
    /// Numbers of the slots that each node serves; empty outside a cluster.
    pub(crate) node_slots: Vec<Vec<u16>>,
    /// Tags of slots, if the batch has places for them.
    pub(crate) tags: Option<Tags>,
}

/// What a thread brings back.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Number of the thread.
    pub(crate) index: usize,
    /// Latencies in microseconds.
    pub(crate) latencies: Histogram<u64>,
    /// Sums over the measured window.
    pub(crate) counts: Counts,
    /// CPU time in the measured window.
    pub(crate) cpu: CpuTime,
    /// The generator, for the next run.
    pub(crate) random: Random,
    /// When the thread saw its last reply, or the end of the window.
    pub(crate) ended: Instant,
}

/// Sums over the measured window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Replies received.
    pub(crate) requests: u64,
    /// Of these, nulls.
    pub(crate) nulls: u64,
    /// Of these, redirections of a cluster.
    pub(crate) redirects: u64,
    /// Bytes read.
    pub(crate) bytes_in: u64,
    /// Bytes written.
    pub(crate) bytes_out: u64,
    /// System calls that wait for events.
    pub(crate) polls: u64,
    /// System calls that read.
    pub(crate) reads: u64,
    /// System calls that write.
    pub(crate) writes: u64,
}

/// A socket of either kind.
#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    /// Registers the socket, or changes for what it waits.
    fn register(
        &mut self,
        poll: &Poll,
        index: usize,
        interest: Interest,
        again: bool,
    ) -> Result<()> {
        let registry = poll.registry();
        match (self, again) {
            (Self::Tcp(stream), false) => registry.register(stream, Token(index), interest)?,
            (Self::Tcp(stream), true) => registry.reregister(stream, Token(index), interest)?,
            (Self::Unix(stream), false) => registry.register(stream, Token(index), interest)?,
            (Self::Unix(stream), true) => registry.reregister(stream, Token(index), interest)?,
        }
        Ok(())
    }
}

/// One connection and the batch it has under way.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Stream,
    address: Address,
    /// Index of its node in the cluster.
    node: usize,
    scanner: ReplyScanner,
    /// Whether the connection still has to be established.
    is_connecting: bool,
    /// Whether nothing was sent yet.
    is_fresh: bool,
    /// Replies to the prefix still to come.
    prefix_left: u64,
    /// Replies to the batch still to come; 0 if none is under way.
    replies_left: u64,
    /// Requests of the batch under way.
    batch_requests: u64,
    /// Whether the batch began in the measured window.
    is_measured: bool,
    sent_at: Instant,
    /// When the first byte of the answer came.
    answered_at: Option<Instant>,
    /// What the socket did not take yet.
    unsent: Vec<u8>,
}

impl Connection {
    /// Wraps an established connection to `node`.
    ///
    /// # Errors
    ///
    /// If the socket cannot be switched to non-blocking.
    pub(crate) fn new(connected: Connected, node: usize, path: Option<PathBuf>) -> Result<Self> {
        let (stream, address) = match connected {
            Connected::Tcp(stream, address) => {
                stream.set_nonblocking(true)?;
                (
                    Stream::Tcp(TcpStream::from_std(stream)),
                    Address::Tcp(address),
                )
            }
            Connected::Unix(stream) => {
                stream.set_nonblocking(true)?;
                let address = Address::Unix(path.unwrap_or_default());
                (Stream::Unix(UnixStream::from_std(stream)), address)
            }
        };
        Ok(Self {
            stream,
            address,
            node,
            scanner: ReplyScanner::new(),
            is_connecting: false,
            is_fresh: true,
            prefix_left: 0,
            replies_left: 0,
            batch_requests: 0,
            is_measured: false,
            sent_at: now(),
            answered_at: None,
            unsent: Vec::new(),
        })
    }
}

/// One client thread.
pub(crate) struct Worker<'r> {
    shared: &'r Shared,
    plan: Plan,
    /// Asks for the slots of each node again, after a redirection.
    refetch: &'r (dyn Fn() -> Result<Vec<Vec<u16>>> + Sync),
    index: usize,
    poll: Poll,
    connections: Vec<Connection>,
    random: Random,
    buffer: Vec<u8>,
    phase: Phase,
    latencies: Histogram<u64>,
    latency_us_sum: u64,
    counts: Counts,
    cpu_before: CpuTime,
    /// Connections that may still send.
    live: usize,
    needs_slots: bool,
}

/// What a [`Worker`] is made from.
pub(crate) struct WorkerParts<'r> {
    /// State shared by all threads.
    pub(crate) shared: &'r Shared,
    /// What to send.
    pub(crate) plan: Plan,
    /// Asks for the slots of each node again.
    pub(crate) refetch: &'r (dyn Fn() -> Result<Vec<Vec<u16>>> + Sync),
    /// Number of the thread.
    pub(crate) index: usize,
    /// Its connections, established.
    pub(crate) connections: Vec<Connection>,
    /// Its random numbers.
    pub(crate) random: Random,
    /// An empty histogram.
    pub(crate) latencies: Histogram<u64>,
}

impl<'r> Worker<'r> {
    /// Registers the connections. Returns the thread's state and what wakes it.
    ///
    /// # Errors
    ///
    /// If the kernel refuses another epoll instance or event.
    pub(crate) fn new(parts: WorkerParts<'r>) -> Result<(Self, Waker)> {
        let poll = Poll::new().context("open an epoll instance")?;
        let waker = Waker::new(poll.registry(), WAKE).context("register a waker")?;
        let mut connections = parts.connections;
        for (index, connection) in connections.iter_mut().enumerate() {
            connection
                .stream
                .register(&poll, index, Interest::READABLE, false)?;
        }
        let worker = Self {
            shared: parts.shared,
            plan: parts.plan,
            refetch: parts.refetch,
            index: parts.index,
            poll,
            live: connections.len(),
            connections,
            random: parts.random,
            buffer: vec![0; READ_BYTES],
            phase: Phase::Warmup,
            latencies: parts.latencies,
            latency_us_sum: 0,
            counts: Counts::default(),
            cpu_before: CpuTime::default(),
            needs_slots: false,
        };
        Ok((worker, waker))
    }

    /// Runs until the requests are used up or the phase says so.
    ///
    /// # Errors
    ///
    /// A sentence for the user: an error of the server, a broken connection, a bad reply.
    pub(crate) fn run(mut self) -> Result<Outcome> {
        cpu::yield_on_wakeup();
        self.cpu_before = CpuTime::of_this_thread();
        self.enter_phase();
        for index in 0..self.connections.len() {
            self.start_batch(index)?;
        }
        let mut events = Events::with_capacity(EVENTS_MAX);
        while self.live > 0 && self.phase != Phase::Stop {
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                other => other.context("wait for replies")?,
            }
            self.counts.polls += 1;
            self.enter_phase();
            for event in &events {
                if event.token() != WAKE && self.phase != Phase::Stop {
                    self.handle(event)?;
                }
            }
            if self.needs_slots {
                self.plan.node_slots = (self.refetch)()?;
                self.needs_slots = false;
            }
            let (requests, latency) = &self.shared.progress[self.index];
            requests.store(self.counts.requests, Ordering::Relaxed);
            latency.store(self.latency_us_sum, Ordering::Relaxed);
        }
        Ok(Outcome {
            cpu: CpuTime::of_this_thread().since(self.cpu_before),
            ended: now(),
            latencies: self.latencies,
            counts: self.counts,
            random: self.random,
            index: self.index,
        })
    }

    /// Looks at the phase; when the window opens, everything counted before is forgotten.
    fn enter_phase(&mut self) {
        let phase = self.shared.phase();
        if phase == self.phase {
            return;
        }
        if phase == Phase::Measure {
            self.latencies.reset();
            self.latency_us_sum = 0;
            self.counts = Counts::default();
            self.cpu_before = CpuTime::of_this_thread();
        }
        self.phase = phase;
    }

    fn handle(&mut self, event: &Event) -> Result<()> {
        let index = event.token().0;
        if event.is_writable() {
            if self.connections[index].is_connecting {
                return self.connected(index);
            }
            self.send_rest(index)?;
        }
        if event.is_readable() || event.is_read_closed() {
            // After the peer's end there is no further event: read until the end shows.
            self.receive(index, event.is_read_closed())?;
        }
        Ok(())
    }

    /// Reads what is there and acts on it.
    #[inline]
    fn receive(&mut self, index: usize, until_the_end: bool) -> Result<()> {
        loop {
            let connection = &mut self.connections[index];
            if connection.is_connecting {
                return Ok(());
            }
            self.counts.reads += 1;
            let length = match connection.stream.read(&mut self.buffer) {
                Ok(0) if connection.replies_left == 0 => return Ok(()),
                Ok(0) => bail!("Error: Server closed the connection"),
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => bail!("Error: {error}"),
            };
            let is_drained = length < self.buffer.len() && !until_the_end;
            self.counts.bytes_in += cast::u64_from(length);
            if self.take(index, length)? {
                self.next(index)?;
            }
            if is_drained {
                return Ok(());
            }
        }
    }

    /// Counts the replies in the first `length` bytes of the buffer. Returns whether the batch is
    /// complete.
    #[inline]
    fn take(&mut self, index: usize, length: usize) -> Result<bool> {
        let connection = &mut self.connections[index];
        let received_at = now();
        let answered_at = *connection.answered_at.get_or_insert(received_at);
        let found = match connection.scanner.scan(&self.buffer[..length]) {
            Ok(found) => found,
            Err(bad) => bail!("Error: {bad}"),
        };
        if found.errors > 0 {
            let text = String::from_utf8_lossy(connection.scanner.error_text());
            if self.plan.node_slots.is_empty() || !is_redirection(&text) {
                bail!("Error from server: {text}");
            }
            self.needs_slots = true;
            self.counts.redirects += found.errors;
        }
        let of_prefix = connection.prefix_left.min(found.replies);
        connection.prefix_left -= of_prefix;
        let replies = found.replies - of_prefix;
        if replies > connection.replies_left {
            bail!("Error: the server sent more replies than requests");
        }
        connection.replies_left -= replies;
        let is_complete = connection.replies_left == 0 && replies > 0;
        let counts =
            self.phase == Phase::Measure && (connection.is_measured || self.shared.is_timed());
        if counts {
            self.counts.requests += replies;
            self.counts.nulls += found.nulls;
            let (answered, times) = match self.plan.compat {
                true if is_complete => (answered_at, connection.batch_requests),
                true => (answered_at, 0),
                false => (received_at, replies),
            };
            if times > 0 {
                let latency = micros(answered.duration_since(connection.sent_at));
                self.latencies.saturating_record_n(latency, times);
                self.latency_us_sum = self
                    .latency_us_sum
                    .saturating_add(latency.saturating_mul(times));
            }
        }
        Ok(is_complete)
    }

    /// Goes on after a complete batch.
    #[inline]
    fn next(&mut self, index: usize) -> Result<()> {
        if self.plan.keep_alive {
            return self.start_batch(index);
        }
        if self.phase == Phase::Measure && self.shared.is_used_up() {
            self.live -= 1;
            return Ok(());
        }
        self.reconnect(index)
    }

    /// Replaces the connection by a new one to the same address.
    fn reconnect(&mut self, index: usize) -> Result<()> {
        let connection = &mut self.connections[index];
        let describe = || "Could not connect to Redis again";
        connection.stream = match &connection.address {
            Address::Tcp(address) => {
                Stream::Tcp(TcpStream::connect(*address).with_context(describe)?)
            }
            Address::Unix(path) => Stream::Unix(UnixStream::connect(path).with_context(describe)?),
        };
        connection.scanner = ReplyScanner::new();
        connection.is_fresh = true;
        connection.is_connecting = true;
        connection.unsent.clear();
        let interest = Interest::READABLE | Interest::WRITABLE;
        connection
            .stream
            .register(&self.poll, index, interest, false)
    }

    /// Starts the first batch, if the connection is there.
    fn connected(&mut self, index: usize) -> Result<()> {
        let connection = &mut self.connections[index];
        if let Stream::Tcp(stream) = &connection.stream {
            if let Some(error) = stream.take_error()? {
                bail!("Could not connect to Redis again: {error}");
            }
            if stream.peer_addr().is_err() {
                return Ok(());
            }
            stream.set_nodelay(true)?;
        }
        connection.is_connecting = false;
        self.start_batch(index)
    }

    /// Sends the next batch, or retires the connection if there is nothing left to send.
    #[inline]
    fn start_batch(&mut self, index: usize) -> Result<()> {
        let is_measured = self.phase == Phase::Measure;
        let requests = if is_measured {
            self.shared.issue(self.plan.pipeline, self.plan.compat)
        } else {
            self.plan.pipeline
        };
        let connection = &mut self.connections[index];
        if requests == 0 {
            self.live -= 1;
            return Ok(());
        }
        let batch = &mut self.plan.batch;
        batch.patch(cast::usize_from(requests), &mut self.random);
        if let (Some(tags), Some(slots)) =
            (&self.plan.tags, self.plan.node_slots.get(connection.node))
        {
            let chosen = self.random.draw_below(cast::u64_from(slots.len()));
            let Some(&slot) = slots.get(cast::usize_from_u32(chosen)) else {
                bail!("Error: a node of the cluster serves no slots any more");
            };
            batch.set_tag(tags.tag(slot));
        }
        let bytes = batch.bytes(cast::usize_from(requests));
        connection.batch_requests = requests;
        connection.replies_left = requests;
        connection.is_measured = is_measured;
        connection.answered_at = None;
        if connection.is_fresh && self.plan.prefix.1 > 0 {
            let (prefix, replies) = &self.plan.prefix;
            connection.prefix_left = *replies;
            connection.unsent.extend_from_slice(prefix);
            connection.unsent.extend_from_slice(bytes);
        }
        connection.is_fresh = false;
        connection.sent_at = now();
        if !connection.unsent.is_empty() {
            return self.send_rest(index);
        }
        self.counts.writes += 1;
        let sent = sent_bytes(connection.stream.write(bytes))?;
        self.counts.bytes_out += cast::u64_from(sent);
        if sent < bytes.len() {
            connection.unsent.extend_from_slice(&bytes[sent..]);
            self.wait_for_room(index)?;
        }
        Ok(())
    }

    /// Writes what the socket did not take before.
    fn send_rest(&mut self, index: usize) -> Result<()> {
        let connection = &mut self.connections[index];
        if connection.unsent.is_empty() {
            return Ok(());
        }
        self.counts.writes += 1;
        let sent = sent_bytes(connection.stream.write(&connection.unsent))?;
        self.counts.bytes_out += cast::u64_from(sent);
        connection.unsent.drain(..sent);
        if connection.unsent.is_empty() {
            Ok(())
        } else {
            self.wait_for_room(index)
        }
    }

    /// Asks to be told when the socket takes more. Registering again also reports room that
    /// appeared since the write.
    fn wait_for_room(&mut self, index: usize) -> Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.connections[index]
            .stream
            .register(&self.poll, index, interest, true)
    }
}

/// Returns how many bytes a write took; none if the socket is full.
fn sent_bytes(written: std::io::Result<usize>) -> Result<usize> {
    match written {
        Ok(sent) => Ok(sent),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
            Ok(0)
        }
        Err(error) => bail!("Error writing to the server: {error}"),
    }
}

/// Returns whether an error reply says that the slots have moved.
fn is_redirection(text: &str) -> bool {
    ["MOVED ", "ASK ", "CLUSTERDOWN"]
        .iter()
        .any(|start| text.starts_with(start))
}
