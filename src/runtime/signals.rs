//! Signals as calls of a function.

use std::io;
use std::thread::{Builder, JoinHandle};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

/// What the process was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: end in order.
    Terminate,
    /// SIGINT: end in order; somebody at the terminal waits for it.
    Interrupt,
    /// SIGHUP: the terminal is gone, or settings are to be read again.
    HangUp,
}

/// Keeps the signals handled; when dropped they are no longer passed on, but still caught.
#[derive(Debug)]
pub struct SignalGuard {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Drop for SignalGuard {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            // The thread only fails if the caller's function has panicked, which was reported.
            drop(thread.join());
        }
    }
}

/// Calls `on_signal` for each signal, in order, on a small thread of its own.
///
/// There it may allocate and take its time, but it is not on a core. It typically stores a flag and calls a
/// [`crate::waker::Waker`] per core. SIGPIPE is ignored by every Rust program already.
///
/// # Errors
///
/// If the handlers or the thread cannot be set up.
pub fn on_signals(mut on_signal: impl FnMut(Signal) + Send + 'static) -> io::Result<SignalGuard> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let handle = signals.handle();
    let thread = Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            on_signal(match signal {
                SIGTERM => Signal::Terminate,
                SIGINT => Signal::Interrupt,
                _ => Signal::HangUp,
            });
        }
    })?;
    Ok(SignalGuard {
        handle,
        thread: Some(thread),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_signal_reaches_the_function() {
        let (sender, receiver) = mpsc::channel();
        let guard = on_signals(move |signal| sender.send(signal).unwrap()).unwrap();
        signal_hook::low_level::raise(SIGHUP).unwrap();
        assert_eq!(
            receiver.recv_timeout(Duration::from_secs(5)),
            Ok(Signal::HangUp)
        );
        drop(guard);
        assert!(receiver.recv().is_err());
    }
}
