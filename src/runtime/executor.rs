//! One thread per core, each with an executor that runs the core's future.
//!
//! The executor is for what is not on the way of a request: files, timers, background tasks. Sockets
//! and messages go through the rings of this crate, which the core's own future drives.
//!
//! Invariants
//! - All cores start or none: no body runs before every executor is up.
//! - A core that panics takes the process with it: its data may be broken, and the others would wait
//!   for it for ever.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::{Arc, OnceLock, Weak, mpsc};
use std::task::{Context, Poll};
use std::time::Duration;

use base::ids::ShardId;
use glommio::timer::Timer;
use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, Placement};

use crate::facts::Facts;
use crate::topology::Cpu;

/// Memory each executor registers for file operations.
const IO_MEMORY_BYTES: usize = 1 << 20;

/// How long a core's future runs before timers and file completions are looked at.
const PREEMPT_TIMER: Duration = Duration::from_millis(1);

/// How long a ready core may be overlooked by its executor while it was parked; see [`Rescue`].
/// Ending a park for nothing costs about 50 us.
const RESCUE_PERIOD: Duration = Duration::from_millis(50);

/// How long an executor may take to begin before another one is started beside it, at first and at most.
const SILENCE_MIN: Duration = Duration::from_millis(200);
const SILENCE_MAX: Duration = Duration::from_secs(3);

/// One core to start.
#[derive(Debug)]
pub struct CoreSpec<S> {
    /// The shard it owns.
    pub shard: ShardId,
    /// The processor it stays on; none to let the kernel choose at any time.
    pub cpu: Option<Cpu>,
    /// What its body needs that only one core may have, such as its end of the mesh.
    pub seed: S,
}

/// What a core's body learns about where it runs. Lives on its core.
#[derive(Debug)]
pub struct CoreContext {
    shard: ShardId,
    background: Background,
}

impl CoreContext {
    /// Returns the shard this core owns.
    #[must_use]
    pub fn shard(&self) -> ShardId {
        self.shard
    }

    /// Returns the count of operations under way in the executor, for [`crate::idle::Idle`] and for
    /// tasks that wait for files.
    #[must_use]
    pub fn background(&self) -> Background {
        self.background.clone()
    }

    /// Runs `task` beside the core's future. It must not compute for long; what it waits for should
    /// be counted by [`Background::begin`], or it may be noticed up to 5 ms late.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        TASKS.set(TASKS.get() + 1);
        glommio::spawn_local(async move {
            task.await;
            TASKS.set(TASKS.get() - 1);
        })
        .detach();
    }

    /// Sleeps in a background task, about 1 ms exact. Not for the core's own future, which waits in
    /// its socket ring.
    pub async fn sleep(&self, duration: Duration) {
        let _guard = self.background.begin();
        glommio::timer::sleep(duration).await;
    }
}

/// Counts operations of the executor that are under way on a core, so that the core does not sleep
/// where their completions cannot reach it.
#[derive(Clone, Debug, Default)]
pub struct Background(Rc<Cell<u32>>);

impl Background {
    /// Counts one operation until the guard is dropped.
    #[must_use]
    pub fn begin(&self) -> BackgroundGuard {
        self.0.set(self.0.get() + 1);
        BackgroundGuard(Rc::clone(&self.0))
    }

    /// Whether no operation is under way.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.0.get() == 0
    }
}

/// One operation under way.
#[derive(Debug)]
pub struct BackgroundGuard(Rc<Cell<u32>>);

impl Drop for BackgroundGuard {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Lets background tasks run if the core's future has had its time. Cost: about 1 ns if not.
#[inline]
pub async fn yield_if_needed() {
    if TASKS.get() > 0 && glommio::executor().need_preempt() {
        yield_now().await;
    }
}

/// Lets background tasks run, if there are any.
pub(crate) async fn yield_now() {
    if TASKS.get() == 0 {
        return;
    }
    let mut rescue = Rescue::new(PREEMPT_TIMER);
    let mut is_first = true;
    poll_fn(|context| {
        if !is_first {
            return Poll::Ready(());
        }
        is_first = false;
        rescue.arm(context);
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Awaits `future` in the executor, for as long as it takes.
pub(crate) async fn park_until<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut rescue = Rescue::new(RESCUE_PERIOD);
    poll_fn(|context| {
        if let Poll::Ready(value) = future.as_mut().poll(context) {
            return Poll::Ready(value);
        }
        rescue.arm(context);
        Poll::Pending
    })
    .await
}

thread_local! {
    /// Background tasks of this core that have not ended.
    static TASKS: Cell<u32> = const { Cell::new(0) };
}

/// Timers that get a task back which the executor has overlooked.
///
/// If the executor's thread loses the processor for longer than [`PREEMPT_TIMER`] between setting
/// that timer and running tasks, it takes "preempted" for "nothing to run" and sleeps although a
/// task is ready. It looks again when a timer of a task ends. As the same can happen to it then,
/// there is a second timer and a third.
struct Rescue {
    period: Duration,
    timers: [Timer; 3],
}

impl Rescue {
    fn new(period: Duration) -> Self {
        Self {
            period,
            timers: [1, 2, 4].map(|factor| Timer::new(period * factor)),
        }
    }

    /// Makes sure that all timers are pending.
    fn arm(&mut self, context: &mut Context<'_>) {
        let period = self.period;
        let mut factor = 1;
        for timer in &mut self.timers {
            while Pin::new(&mut *timer).poll(context).is_ready() {
                *timer = Timer::new(period * factor);
            }
            factor *= 2;
        }
    }
}

/// Stops the whole core for `duration`: nobody on it is served meanwhile. For `DEBUG SLEEP`, which
/// shows what a server that hangs does to its clients.
#[expect(
    clippy::disallowed_methods,
    reason = "to block the thread of the core is what is asked for"
)]
pub fn block_thread(duration: Duration) {
    std::thread::sleep(duration);
}

/// The running cores.
#[derive(Debug)]
pub struct Cores {
    handles: Vec<ExecutorJoinHandle<()>>,
}

impl Cores {
    /// Waits until the bodies of all cores have ended.
    ///
    /// # Errors
    ///
    /// If an executor has failed.
    pub fn join(self) -> io::Result<()> {
        for handle in self.handles {
            handle.join().map_err(io::Error::from)?;
        }
        Ok(())
    }
}

/// Starts all cores and waits until their bodies have ended.
///
/// # Errors
///
/// As for [`start_cores`] and [`Cores::join`].
pub fn run_cores<S, F, R>(specs: Vec<CoreSpec<S>>, body: F) -> io::Result<()>
where
    S: Send + 'static,
    F: Fn(CoreContext, S) -> R + Clone + Send + 'static,
    R: Future<Output = ()> + 'static,
{
    start_cores(specs, body)?.join()
}

/// Starts one thread with an executor per core; each runs the future that `body` makes on it.
///
/// # Errors
///
/// If a thread or its rings cannot be created, or a processor does not exist; no body has run then.
pub fn start_cores<S, F, R>(specs: Vec<CoreSpec<S>>, body: F) -> io::Result<Cores>
where
    S: Send + 'static,
    F: Fn(CoreContext, S) -> R + Clone + Send + 'static,
    R: Future<Output = ()> + 'static,
{
    let gate = Arc::new(OnceLock::new());
    let mut handles = Vec::with_capacity(specs.len());
    let mut failure = None;
    for spec in specs {
        match start_core(spec, body.clone(), Arc::clone(&gate)) {
            Ok(handle) => handles.push(handle),
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    let is_go = failure.is_none();
    gate.get_or_init(|| is_go);
    let cores = Cores { handles };
    match failure {
        None => Ok(cores),
        Some(error) => {
            cores.join()?;
            Err(error)
        }
    }
}

/// What a core runs, for the executor that takes it first.
type Work<S, F> = Facts<Option<(F, S, Arc<OnceLock<bool>>)>>;

/// Starts one core and waits until its executor runs; its body waits for `gate`.
///
/// An executor may overlook its first task as it may any other (see [`Rescue`]), and nothing outside can wake it. So
/// another one is started beside an executor that is silent, and the body belongs to the one that takes it first. One
/// that has overlooked its task sleeps until the process ends.
fn start_core<S, F, R>(
    spec: CoreSpec<S>,
    body: F,
    gate: Arc<OnceLock<bool>>,
) -> io::Result<ExecutorJoinHandle<()>>
where
    S: Send + 'static,
    F: Fn(CoreContext, S) -> R + Send + 'static,
    R: Future<Output = ()> + 'static,
{
    let CoreSpec { shard, cpu, seed } = spec;
    let work = Arc::new(Facts::new(Some((body, seed, gate))));
    let (events, received) = mpsc::channel();
    let mut handles = Vec::new();
    let mut patience = SILENCE_MIN;
    loop {
        let attempt = Attempt {
            number: handles.len(),
            has_begun: false,
            events: events.clone(),
        };
        handles.push(Some(start_executor(
            shard,
            cpu,
            Arc::downgrade(&work),
            attempt,
        )?));
        // Nobody sends in vain: this thread keeps a sender.
        while let Ok((number, has_begun)) = received.recv_timeout(patience) {
            let handle = handles[number].take();
            match handle {
                Some(handle) if has_begun => return Ok(handle),
                // It had no rings, or another one was quicker.
                Some(handle) => handle.join()?,
                None => {}
            }
        }
        patience = SILENCE_MAX.min(patience * 2);
    }
}

/// One executor that was started for a core. Tells its number and whether the core has begun in it.
#[derive(Debug)]
struct Attempt {
    number: usize,
    has_begun: bool,
    events: mpsc::Sender<(usize, bool)>,
}

impl Drop for Attempt {
    fn drop(&mut self) {
        // Fails only if the starting thread has what it waited for.
        self.events.send((self.number, self.has_begun)).ok();
    }
}

/// Starts one executor for the work of a core, which it does if nobody else has taken it.
fn start_executor<S, F, R>(
    shard: ShardId,
    cpu: Option<Cpu>,
    work: Weak<Work<S, F>>,
    mut attempt: Attempt,
) -> io::Result<ExecutorJoinHandle<()>>
where
    S: Send + 'static,
    F: Fn(CoreContext, S) -> R + Send + 'static,
    R: Future<Output = ()> + 'static,
{
    let placement = cpu.map_or(Placement::Unbound, |cpu| Placement::Fixed(cpu.number()));
    LocalExecutorBuilder::new(placement)
        .name(&format!("core-{shard}"))
        .io_memory(IO_MEMORY_BYTES)
        .preempt_timer(PREEMPT_TIMER)
        .spawn(move || async move {
            let _guard = AbortOnPanic;
            let work = work.upgrade().and_then(|work| work.with(Option::take));
            attempt.has_begun = work.is_some();
            drop(attempt);
            let Some((body, seed, gate)) = work else {
                return;
            };
            if *gate.wait() {
                let background = Background::default();
                body(CoreContext { shard, background }, seed).await;
            }
        })
        .map_err(io::Error::from)
}

/// Ends the process when a core unwinds. With `panic = "abort"` the process is gone before.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}
