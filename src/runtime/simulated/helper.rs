//! Helpers of a simulated world.
//!
//! There are no threads: the work of a helper is done when it is started, as if its
//! thread were much quicker than all cores; work that is done again and again is done when its time comes.
//!
//! So no helper may wait for a core. Saving to an RDB file does, and is not for simulated worlds yet.

use std::cell::RefCell;
use std::io;
use std::time::Duration;

use crate::world;

/// A helper that was started.
#[derive(Debug)]
pub struct Helper(());

impl Drop for Helper {
    /// Lets go of a thread, in the real runtime.
    fn drop(&mut self) {}
}

impl Helper {
    /// Does nothing: the work is done.
    pub fn join(self) {}
}

/// Work that is done again and again.
struct Repeated {
    next_at: u64,
    period: u64,
    work: Box<dyn FnMut() -> bool>,
}

thread_local! {
    static REPEATED: RefCell<Vec<Repeated>> = const { RefCell::new(Vec::new()) };
}

/// Runs `work`.
///
/// # Errors
///
/// None here.
pub fn start(_: &str, work: impl FnOnce() + Send + 'static) -> io::Result<Helper> {
    work();
    Ok(Helper(()))
}

/// Runs `work` now and again and again, with a pause of `period`, until it returns false.
///
/// # Errors
///
/// None here.
pub fn start_every(
    _: &str,
    period: Duration,
    work: impl FnMut() -> bool + Send + 'static,
) -> io::Result<Helper> {
    let period = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX);
    let repeated = Repeated {
        next_at: world::now(),
        period,
        work: Box::new(work),
    };
    REPEATED.with_borrow_mut(|all| all.push(repeated));
    Ok(Helper(()))
}

/// Waits, on a helper thread; here not at all, as helpers do their work in one go.
pub fn pause(_: Duration) {}

/// When there is work next.
pub(crate) fn next_at() -> Option<u64> {
    REPEATED.with_borrow(|all| all.iter().map(|it| it.next_at).min())
}

/// Does the work whose time has come.
pub(crate) fn run_due() {
    let now = world::now();
    let mut all = REPEATED.take();
    all.retain_mut(|it| {
        let goes_on = it.next_at > now || (it.work)();
        if it.next_at <= now {
            it.next_at = now.saturating_add(it.period);
        }
        goes_on
    });
    REPEATED.with_borrow_mut(|later| later.append(&mut all));
}

/// Forgets all work: the process is gone.
pub fn end_all() {
    drop(REPEATED.take());
}
