//! All cores on one thread: each is a future that the world polls, one turn at a time.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

use base::ids::ShardId;

use crate::helper;
use crate::idle::give_way;
use crate::topology::Cpu;
use crate::world;

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// One core to start.
#[derive(Debug)]
pub struct CoreSpec<S> {
    /// The shard it owns.
    pub shard: ShardId,
    /// The processor it would stay on.
    pub cpu: Option<Cpu>,
    /// What its body needs that only one core may have.
    pub seed: S,
}

/// What a core's body learns about where it runs.
pub struct CoreContext {
    shard: ShardId,
    background: Background,
    tasks: Rc<RefCell<Vec<Task>>>,
}

impl fmt::Debug for CoreContext {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("CoreContext")
            .field("shard", &self.shard)
            .finish_non_exhaustive()
    }
}

impl CoreContext {
    /// Returns the shard this core owns.
    #[must_use]
    pub fn shard(&self) -> ShardId {
        self.shard
    }

    /// Returns the count of operations under way.
    #[must_use]
    pub fn background(&self) -> Background {
        self.background.clone()
    }

    /// Runs `task` beside the core's future.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.tasks.borrow_mut().push(Box::pin(task));
    }

    /// Sleeps in a background task; notices the time at the core's next turn.
    pub async fn sleep(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let until = world::now().saturating_add(nanos);
        world::wake_core(self.shard.index(), until);
        while world::now() < until {
            give_way().await;
        }
    }
}

/// Counts operations that are under way on a core.
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

/// Ends the turn of the core; its next one comes soon.
pub async fn yield_if_needed() {
    world::yield_core(world::current());
    give_way().await;
}

/// Stops the whole core for `duration`, and with it the world.
pub fn block_thread(duration: Duration) {
    world::hold_core(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
}

struct Core {
    body: Option<Task>,
    tasks: Rc<RefCell<Vec<Task>>>,
}

/// The cores of a simulated process.
pub struct Cores {
    cores: Vec<Core>,
}

impl fmt::Debug for Cores {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.cores.len();
        formatter
            .debug_struct("Cores")
            .field("count", &count)
            .finish()
    }
}

impl Cores {
    /// Runs turns until the bodies of all cores have ended.
    ///
    /// # Errors
    ///
    /// None here.
    pub fn join(mut self) -> io::Result<()> {
        while self.next_at().is_some() {
            self.step();
        }
        Ok(())
    }

    /// When a core has its next turn, or a helper something to do; none if all cores have ended.
    #[must_use]
    pub fn next_at(&self) -> Option<u64> {
        let turn = self.next_turn_at()?;
        Some(helper::next_at().map_or(turn, |at| at.min(turn)))
    }

    fn next_turn_at(&self) -> Option<u64> {
        let alive = (0..self.cores.len()).filter(|core| self.cores[*core].body.is_some());
        alive.map(world::turn_at).min()
    }

    /// Lets the core whose turn is first have it; of several with the same time, any.
    pub fn step(&mut self) {
        let Some(first) = self.next_turn_at() else {
            return;
        };
        if let Some(at) = helper::next_at()
            && at < first
        {
            world::jump_to(at);
            return helper::run_due();
        }
        let now = first.max(world::now());
        // Whose time is over may come in any order.
        let ready: Vec<usize> = (0..self.cores.len())
            .filter(|core| self.cores[*core].body.is_some() && world::turn_at(*core) <= now)
            .collect();
        let count = u64::try_from(ready.len()).unwrap_or(1).max(1);
        let chosen = ready[base::cast::usize_from(world::draw() % count)];
        world::begin_turn(chosen);
        let core = &mut self.cores[chosen];
        let mut context = Context::from_waker(Waker::noop());
        if let Some(body) = &mut core.body
            && body.as_mut().poll(&mut context).is_ready()
        {
            core.body = None;
        }
        let mut tasks = core.tasks.take();
        tasks.retain_mut(|task| task.as_mut().poll(&mut context).is_pending());
        core.tasks.borrow_mut().append(&mut tasks);
    }
}

/// Runs all cores until their bodies have ended.
///
/// # Errors
///
/// None here.
pub fn run_cores<S, F, R>(specs: Vec<CoreSpec<S>>, body: F) -> io::Result<()>
where
    S: 'static,
    F: Fn(CoreContext, S) -> R,
    R: Future<Output = ()> + 'static,
{
    start_cores(specs, body)?.join()
}

/// Makes the cores; they run by [`Cores::step`] or [`Cores::join`].
///
/// # Errors
///
/// None here.
pub fn start_cores<S, F, R>(specs: Vec<CoreSpec<S>>, body: F) -> io::Result<Cores>
where
    S: 'static,
    F: Fn(CoreContext, S) -> R,
    R: Future<Output = ()> + 'static,
{
    let start = |spec: CoreSpec<S>| {
        let tasks = Rc::new(RefCell::new(Vec::new()));
        let context = CoreContext {
            shard: spec.shard,
            background: Background::default(),
            tasks: Rc::clone(&tasks),
        };
        Core {
            body: Some(Box::pin(body(context, spec.seed))),
            tasks,
        }
    };
    Ok(Cores {
        cores: specs.into_iter().map(start).collect(),
    })
}
