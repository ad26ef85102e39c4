//! One run: connections, threads, phases, and the sums of what the threads bring back.
//!
//! The thread that calls [`run`] sends nothing itself. It opens the connections, starts the client
//! threads, changes the phases when their time is over, prints progress, and takes the CPU times of
//! the server at both ends of the measured window.
//!
//! Invariants
//! - All connections stand before the clock starts.
//! - The first error of a thread ends all of them.
//!
//! Not here: the loop of a client thread (`client`), how results are printed (`report`).

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use hdrhistogram::Histogram;
use mio::Waker;

use crate::client::{Connection, Counts, Outcome, Phase, Plan, Shared, Worker, WorkerParts};
use crate::clock::now;
use crate::cluster::{self, Node, Tags};
use crate::cpu::{CpuTime, ProcessTimes};
use crate::latency;
use crate::options::{Extent, Options, Target};
use crate::probe::{self, ServerConfig};
use crate::progress::Progress;
use crate::random::Random;
use crate::workload::{Batch, Numbers, Workload, prefix};

/// Time between two lines of progress.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);
/// Largest batch, in bytes.
const BATCH_BYTES_MAX: usize = 2 << 30;

/// What stays the same over all runs of a command line.
pub(crate) struct Setup {
    /// The command line.
    pub(crate) options: Options,
    /// Primaries of the cluster; empty outside one.
    pub(crate) nodes: Vec<Node>,
    /// Configuration of the server, or of each node.
    pub(crate) configs: Vec<Option<ServerConfig>>,
    /// Client threads.
    pub(crate) threads: usize,
    /// Whether threads were asked for, by option or by the cluster.
    pub(crate) is_multi_threaded: bool,
    tags: Option<Tags>,
    /// The generator of each thread; it goes on from run to run.
    randoms: Vec<Random>,
}

impl Setup {
    /// Finds the nodes of the cluster and asks for configurations.
    ///
    /// # Errors
    ///
    /// If a server cannot be reached or refuses the password.
    pub(crate) fn new(options: Options, seed: u32) -> Result<Self> {
        let nodes = match options.cluster {
            true => cluster::fetch(&options.target, &options)?,
            false => Vec::new(),
        };
        let mut configs = Vec::new();
        if !options.no_config_get {
            let targets: Vec<&Target> = if nodes.is_empty() {
                vec![&options.target]
            } else {
                nodes.iter().map(|node| &node.target).collect()
            };
            for target in targets {
                configs.push(probe::server_config(target, &options)?);
            }
        }
        // In a cluster one thread for each node, unless told otherwise.
        let asked = if options.threads > 0 {
            options.threads
        } else {
            nodes.len()
        };
        let threads = asked.clamp(1, options.clients);
        // The first thread draws what a single-threaded run would draw.
        let randoms = (0..threads)
            .map(|index| Random::new(seed.wrapping_add(base::cast::u32_from(index))))
            .collect();
        Ok(Self {
            tags: options.cluster.then(Tags::new),
            is_multi_threaded: asked > 0,
            options,
            nodes,
            configs,
            threads,
            randoms,
        })
    }

    /// Opens the connections and deals them out to the threads.
    fn connect(&self) -> Result<Vec<Vec<Connection>>> {
        let mut dealt: Vec<Vec<Connection>> = (0..self.threads).map(|_| Vec::new()).collect();
        for index in 0..self.options.clients {
            let node = index % self.nodes.len().max(1);
            let target = self
                .nodes
                .get(node)
                .map_or(&self.options.target, |node| &node.target);
            let path = match target {
                Target::Unix(path) => Some(path.clone()),
                Target::Tcp(..) => None,
            };
            let connection = Connection::new(probe::connect(target)?, node, path)?;
            dealt[index % self.threads].push(connection);
        }
        Ok(dealt)
    }

    fn plan(&self, workload: &Workload) -> Result<Plan> {
        let options = &self.options;
        let bytes = workload.request.len().checked_mul(options.pipeline);
        ensure!(
            bytes.is_some_and(|bytes| bytes <= BATCH_BYTES_MAX),
            "A batch of {} requests of {} bytes is beyond {BATCH_BYTES_MAX} bytes",
            options.pipeline,
            workload.request.len()
        );
        let is_cluster = !self.nodes.is_empty();
        let numbers = Numbers {
            keyspace: options.keyspace,
            count_by: options.count_by,
        };
        let batch = Batch::new(&workload.request, options.pipeline, numbers, is_cluster);
        Ok(Plan {
            tags: self.tags.clone().filter(|_| batch.has_tags()),
            batch,
            pipeline: base::cast::u64_from(options.pipeline),
            prefix: prefix(options),
            keep_alive: options.keep_alive,
            compat: options.compat,
            node_slots: self.nodes.iter().map(|node| node.slots.clone()).collect(),
        })
    }

    /// Asks again which slots the known nodes serve.
    fn slots_again(&self) -> Result<Vec<Vec<u16>>> {
        let mut failure = anyhow!("Error: the cluster has no nodes");
        for node in &self.nodes {
            match cluster::fetch(&node.target, &self.options) {
                Ok(fetched) => {
                    let slots_of = |known: &Node| {
                        let same = fetched.iter().find(|node| node.target == known.target);
                        same.map(|node| node.slots.clone()).unwrap_or_default()
                    };
                    return Ok(self.nodes.iter().map(slots_of).collect());
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }
}

/// What one run measured.
pub(crate) struct RunResult {
    /// Name of the test or command.
    pub(crate) title: String,
    /// The "bytes payload" of the report.
    pub(crate) payload_bytes: usize,
    /// Length of the measured window.
    pub(crate) elapsed: Duration,
    /// Latencies in microseconds.
    pub(crate) latencies: Histogram<u64>,
    /// Sums over all threads.
    pub(crate) counts: Counts,
    /// CPU time of all client threads.
    pub(crate) cpu: CpuTime,
    /// Share of the window in which the busiest client thread was on a CPU, 0 to 1.
    pub(crate) busiest: f64,
    /// CPU time of the server's processes, if asked for.
    pub(crate) server_cpu: Option<Duration>,
}

/// Puts `workload` on the server and measures.
///
/// # Errors
///
/// A sentence for the user: no connection, an error of the server, a bad reply.
pub(crate) fn run(setup: &mut Setup, workload: &Workload) -> Result<RunResult> {
    let plan = setup.plan(workload)?;
    let connections = setup.connect()?;
    let randoms = setup.randoms.clone();
    let setup_again = &*setup;
    let refetch = || setup_again.slots_again();
    let options = &setup_again.options;
    let first = if options.warmup.is_zero() {
        Phase::Measure
    } else {
        Phase::Warmup
    };
    let limit = match options.extent {
        Extent::Requests(requests) => Some(requests),
        Extent::Time(_) => None,
    };
    let shared = Shared::new(first, limit, setup_again.threads);
    let mut workers = Vec::new();
    let mut wakers = Vec::new();
    for (index, (connections, random)) in connections.into_iter().zip(randoms).enumerate() {
        let mut plan = plan.clone();
        plan.batch.share_count(index, setup_again.threads);
        let (worker, waker) = Worker::new(WorkerParts {
            shared: &shared,
            plan,
            refetch: &refetch,
            index,
            connections,
            random,
            latencies: latency::histogram(options.compat, options.precision)?,
        })?;
        workers.push(worker);
        wakers.push(waker);
    }
    let mut conductor = Conductor {
        options,
        shared: &shared,
        wakers,
        progress: Progress::new(&workload.title, options),
        server_before: read_server(options)?,
        server_after: None,
        opened: now(),
    };
    let outcomes = std::thread::scope(|scope| {
        let (sender, receiver) = channel();
        for worker in workers {
            let sender = sender.clone();
            scope.spawn(move || {
                // Nobody listens any more after another thread's error.
                drop(sender.send(worker.run()));
            });
        }
        drop(sender);
        conductor.conduct(&receiver)
    })?;
    let (opened, server_before, server_after) = (
        conductor.opened,
        conductor.server_before,
        conductor.server_after,
    );
    let result = sum_up(workload, outcomes, opened, setup)?;
    let server_cpu = server_after
        .zip(server_before)
        .map(|(after, before)| after.since(&before));
    Ok(RunResult {
        server_cpu,
        ..result
    })
}

/// Adds up what the threads brought back and keeps their generators.
fn sum_up(
    workload: &Workload,
    outcomes: Vec<Outcome>,
    opened: Instant,
    setup: &mut Setup,
) -> Result<RunResult> {
    let mut latencies = latency::histogram(setup.options.compat, setup.options.precision)?;
    let mut counts = Counts::default();
    let mut cpu = CpuTime::default();
    let mut busiest_time = Duration::ZERO;
    let mut ended = opened;
    setup.randoms.clear();
    for outcome in outcomes {
        latencies
            .add(&outcome.latencies)
            .context("add histograms")?;
        counts += outcome.counts;
        cpu += outcome.cpu;
        busiest_time = busiest_time.max(outcome.cpu.total());
        ended = ended.max(outcome.ended);
        setup.randoms.push(outcome.random);
    }
    let elapsed = ended.duration_since(opened);
    Ok(RunResult {
        title: workload.title.clone(),
        payload_bytes: workload.payload_bytes,
        latencies,
        counts,
        cpu,
        busiest: busiest_time.as_secs_f64() / elapsed.as_secs_f64().max(1e-9),
        elapsed,
        server_cpu: None,
    })
}

/// Reads the CPU times of the server's processes, if there are any to read.
fn read_server(options: &Options) -> Result<Option<ProcessTimes>> {
    match options.server_pids.as_slice() {
        [] => Ok(None),
        pids => ProcessTimes::read(pids).map(Some),
    }
}

/// Returns the time until the first of `moments`; an hour if there is none.
fn time_until(moments: &[Option<Instant>]) -> Duration {
    let first = moments.iter().flatten().min();
    first.map_or(Duration::from_secs(3600), |at| {
        at.saturating_duration_since(now())
    })
}

/// The side of the calling thread while the client threads run.
struct Conductor<'r> {
    options: &'r Options,
    shared: &'r Shared,
    wakers: Vec<Waker>,
    progress: Progress,
    server_before: Option<ProcessTimes>,
    server_after: Option<ProcessTimes>,
    /// Start of the measured window.
    opened: Instant,
}

impl Conductor<'_> {
    /// Waits for all threads, changing the phases on the way. Returns their outcomes in the order
    /// of the threads.
    fn conduct(&mut self, receiver: &Receiver<Result<Outcome>>) -> Result<Vec<Outcome>> {
        let warmup = self.options.warmup;
        let mut warmup_ends = (!warmup.is_zero()).then(|| self.opened + warmup);
        let mut window_ends = if warmup.is_zero() {
            self.window_end()
        } else {
            None
        };
        let mut progress_at = self.opened + PROGRESS_EVERY;
        let mut outcomes = Vec::new();
        loop {
            let progress = self.progress.is_on().then_some(progress_at);
            let wait = time_until(&[warmup_ends, window_ends, progress]);
            match receiver.recv_timeout(wait) {
                Ok(Ok(outcome)) => outcomes.push(outcome),
                Ok(Err(error)) => {
                    self.enter(Phase::Stop);
                    self.progress.clear();
                    return Err(error);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if outcomes.len() == self.wakers.len() {
                break;
            }
            let present = now();
            if warmup_ends.is_some_and(|at| at <= present) {
                warmup_ends = None;
                self.server_before = read_server(self.options)?;
                self.opened = now();
                self.enter(Phase::Measure);
                window_ends = self.window_end();
            }
            if window_ends.is_some_and(|at| at <= present) {
                window_ends = None;
                self.enter(Phase::Stop);
            }
            if progress_at <= present {
                progress_at = present + PROGRESS_EVERY;
                let is_warmup = warmup_ends.is_some();
                self.progress
                    .show(self.shared.progress(), self.opened.elapsed(), is_warmup);
            }
        }
        // The last thread has just ended, so the server has nothing left to do for us.
        if !self.options.server_pids.is_empty() {
            self.server_after = read_server(self.options)?;
        }
        self.progress.clear();
        outcomes.sort_by_key(|outcome| outcome.index);
        ensure!(
            outcomes.len() == self.wakers.len(),
            "A client thread ended without a result"
        );
        Ok(outcomes)
    }

    /// Returns when the measured window ends, if time decides.
    fn window_end(&self) -> Option<Instant> {
        match self.options.extent {
            Extent::Time(time) => Some(self.opened + time),
            Extent::Requests(_) => None,
        }
    }

    fn enter(&self, phase: Phase) {
        self.shared.set_phase(phase);
        for waker in &self.wakers {
            // A thread that cannot be woken looks at the phase at its next reply.
            drop(waker.wake());
        }
    }
}
