//! Threads beside the cores, for work that waits for the disk: reading and writing large files.
//!
//! A helper owns what it works on, and speaks with the cores by channels; a core never waits for one.
//!
//! Not here: what the helpers do.

use std::io;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// A thread that was started. It goes on if this is dropped.
#[derive(Debug)]
pub struct Helper(JoinHandle<()>);

impl Helper {
    /// Waits until the work is done. Not for cores.
    pub fn join(self) {
        // What it had to tell, it has told by its channels; a panic was told by the process.
        drop(self.0.join());
    }
}

/// Starts a thread that runs `work` and then ends. A core that waits for something of it is woken by the
/// work itself, with a [`crate::waker::Waker`].
///
/// # Errors
///
/// If no thread can be made; `work` was not run then.
pub fn start(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<Helper> {
    Builder::new().name(name.to_owned()).spawn(work).map(Helper)
}

/// Starts a thread that runs `work` again and again, with a pause of `period` between two runs, until it
/// returns false.
///
/// # Errors
///
/// If no thread can be made.
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

/// Waits, on a helper thread.
pub fn pause(period: Duration) {
    #[expect(
        clippy::disallowed_methods,
        reason = "a thread of its own, and no core"
    )]
    std::thread::sleep(period);
}
