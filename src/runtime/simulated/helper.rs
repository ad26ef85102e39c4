//! Helpers of a simulated world: their work runs on stacks of its own, a step at a time, on the one thread there is.
//!
//! A helper is put aside where a thread would wait: for a channel, for the disk, for a time. The world decides when it
//! goes on, and what cores do meanwhile. When the process ends, in the midst of anything, the stacks are unwound; the
//! disk takes nothing any more then ([`crate::disk`]).
//!
//! Who waits outside of a helper, as a start does before there are cores, lets the helpers run meanwhile.
//!
//! Not here: what a helper waits for ([`crate::channel`], [`crate::disk`]).

#![expect(
    unsafe_code,
    reason = "a helper is put aside from any depth of its calls, which know nothing of its stack"
)]

use std::cell::{Cell, RefCell};
use std::io;
use std::time::Duration;

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};

use crate::world;

/// Stack of one helper, in bytes.
const STACK_BYTES: usize = 1 << 20;

/// Stacks that are kept for the next helpers.
const STACKS_MAX: usize = 64;

/// A helper that was started.
#[derive(Debug)]
pub struct Helper(HelperId);

/// The number of a helper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HelperId(u64);

impl Drop for Helper {
    /// Lets go of a thread, in the real runtime.
    fn drop(&mut self) {}
}

impl Helper {
    /// Waits until the work is done.
    pub fn join(self) {
        while HELPERS.with_borrow(|all| all.tasks.iter().any(|it| it.id == self.0)) {
            wait(world::now() + 1_000_000);
        }
    }
}

/// Work that is under way.
struct Task {
    id: HelperId,
    /// When it goes on; the highest number if it waits to be woken.
    at: u64,
    fiber: Coroutine<(), (), (), DefaultStack>,
}

#[derive(Default)]
struct Helpers {
    tasks: Vec<Task>,
    started: u64,
    /// The one that runs.
    current: Option<HelperId>,
    /// When the one that runs goes on, if it is put aside now.
    until: u64,
    /// It was woken before it was put aside.
    is_woken: bool,
    stacks: Vec<DefaultStack>,
}

thread_local! {
    static HELPERS: RefCell<Helpers> = RefCell::default();
    static YIELDER: Cell<*const Yielder<(), ()>> = const { Cell::new(std::ptr::null()) };
    /// The process ends: nobody waits for anything.
    static IS_ENDING: Cell<bool> = const { Cell::new(false) };
}

/// Starts `work`, which begins soon.
///
/// # Errors
///
/// If there is no room for its stack.
pub fn start(_: &str, work: impl FnOnce() + Send + 'static) -> io::Result<Helper> {
    let kept = HELPERS.with_borrow_mut(|all| all.stacks.pop());
    let stack = match kept {
        Some(stack) => stack,
        None => DefaultStack::new(STACK_BYTES)?,
    };
    let fiber = Coroutine::with_stack(stack, move |yielder, ()| {
        YIELDER.set(yielder);
        work();
    });
    let at = world::now() + world::delay();
    Ok(HELPERS.with_borrow_mut(|all| {
        all.started += 1;
        let id = HelperId(all.started);
        all.tasks.push(Task { id, at, fiber });
        Helper(id)
    }))
}

/// Starts `work`, which runs again and again, with a pause of `period`, until it returns false.
///
/// # Errors
///
/// As [`start`].
pub fn start_every(
    name: &str,
    period: Duration,
    mut work: impl FnMut() -> bool + Send + 'static,
) -> io::Result<Helper> {
    start(name, move || {
        while work() {
            pause(period);
        }
    })
}

/// Waits, on a helper.
pub fn pause(period: Duration) {
    linger(u64::try_from(period.as_nanos()).unwrap_or(u64::MAX));
}

/// The helper that runs, if one does.
pub(crate) fn current() -> Option<HelperId> {
    HELPERS.with_borrow(|all| all.current)
}

/// Lets so many nanoseconds pass for the helper that runs. Others go on meanwhile.
pub(crate) fn linger(nanos: u64) {
    let until = world::now().saturating_add(nanos);
    while world::now() < until && !is_ending() {
        wait(until);
    }
}

/// Whether what runs does so only to be gone: nobody is put aside then.
fn is_ending() -> bool {
    IS_ENDING.get() || std::thread::panicking()
}

/// Puts the helper that runs aside until it is woken, or until `until`. Outside of a helper: lets others run for a
/// step. May end for nothing.
pub(crate) fn wait(until: u64) {
    if is_ending() {
        return;
    }
    let mine = HELPERS.with_borrow_mut(|all| {
        all.until = if std::mem::take(&mut all.is_woken) {
            world::now()
        } else {
            until
        };
        all.current
    });
    if mine.is_none() {
        return wait_outside(until);
    }
    let yielder = YIELDER.get();
    // SAFETY: a helper runs, so the pointer was set when it began or went on, to what lives on its stack
    // until it ends; only what runs inside of it comes here.
    unsafe { &*yielder }.suspend(());
    YIELDER.set(yielder);
}

fn wait_outside(until: u64) {
    match next_at() {
        Some(at) if at <= until => {
            world::jump_to(at);
            run_due();
        }
        _ => {
            assert!(until < u64::MAX, "all wait for each other");
            world::jump_to(until);
        }
    }
}

/// Lets a helper go on soon.
pub(crate) fn wake(id: HelperId) {
    let at = world::now() + world::delay();
    HELPERS.with_borrow_mut(|all| {
        if all.current == Some(id) {
            all.is_woken = true;
        }
        for task in all.tasks.iter_mut().filter(|it| it.id == id) {
            task.at = task.at.min(at);
        }
    });
}

/// When a helper goes on next.
pub(crate) fn next_at() -> Option<u64> {
    let first = HELPERS.with_borrow(|all| all.tasks.iter().map(|it| it.at).min());
    first.filter(|at| *at < u64::MAX)
}

/// Lets one of the helpers whose time has come go on.
pub(crate) fn run_due() {
    let now = world::now();
    let task = HELPERS.with_borrow_mut(|all| {
        let due = all.tasks.iter().enumerate().filter(|(_, it)| it.at <= now);
        let due: Vec<usize> = due.map(|(index, _)| index).collect();
        let count = base::cast::u64_from(due.len());
        let chosen = due.get(base::cast::usize_from(world::draw() % count.max(1)))?;
        let task = all.tasks.remove(*chosen);
        all.current = Some(task.id);
        all.is_woken = false;
        Some(task)
    });
    let Some(mut task) = task else { return };
    let running = Running;
    let outcome = task.fiber.resume(());
    drop(running);
    HELPERS.with_borrow_mut(|all| match outcome {
        CoroutineResult::Yield(()) => {
            task.at = all.until;
            all.tasks.push(task);
        }
        CoroutineResult::Return(()) if all.stacks.len() < STACKS_MAX => {
            all.stacks.push(task.fiber.into_stack());
        }
        CoroutineResult::Return(()) => {}
    });
}

/// A helper runs as long as this is there: the process may end in it, which unwinds.
struct Running;

impl Drop for Running {
    fn drop(&mut self) {
        HELPERS.with_borrow_mut(|all| all.current = None);
    }
}

/// Ends all helpers where they are: the process is gone.
pub fn end_all() {
    IS_ENDING.set(true);
    let tasks = HELPERS.with_borrow_mut(|all| {
        all.current = None;
        std::mem::take(&mut all.tasks)
    });
    for mut task in tasks {
        if task.fiber.started() {
            task.fiber.force_unwind();
        }
        if task.fiber.done() {
            let stack = task.fiber.into_stack();
            HELPERS.with_borrow_mut(|all| {
                if all.stacks.len() < STACKS_MAX {
                    all.stacks.push(stack);
                }
            });
        }
    }
    IS_ENDING.set(false);
}
