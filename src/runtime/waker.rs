//! Ends the sleep of a core from any thread.
//!
//! A core says how it sleeps before it does, looks at its inboxes once more, and only then sleeps.
//! Whoever has put something into an inbox looks at that state afterwards. Between the two stores
//! and the two loads stands a full fence on both sides, so at least one of them sees the other: no
//! wake-up is lost, and no system call is spent on a core that is awake.
//!
//! A core sleeps in one of two places with one eventfd each: in its own socket ring, which polls
//! the first, or in the executor, which reads the second. Writing the second one for both would be
//! slower: the kernel passes a signal from eventfd to ring to eventfd on only after a grace period.

#![expect(
    unsafe_code,
    reason = "eventfd and its write have no safe wrapper in std"
)]

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};

use crate::spsc::Padded;

const AWAKE: u32 = 0;
const IN_RING: u32 = 1;
const PARKED: u32 = 2;

/// Wakes one core; cheap to clone, usable from every thread.
#[derive(Clone, Debug)]
pub struct Waker(Arc<Bell>);

#[derive(Debug)]
struct Bell {
    state: Padded<AtomicU32>,
    /// Somebody called [`Waker::wake`] and the core has not noticed yet.
    called: AtomicBool,
    ring: File,
    park: File,
}

/// Where a core is about to sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sleep {
    Ring,
    Park,
}

impl Waker {
    /// Creates the waker of one core.
    ///
    /// # Errors
    ///
    /// Those of `eventfd(2)`: no descriptors left.
    pub fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(Bell {
            state: Padded::default(),
            called: AtomicBool::new(false),
            ring: eventfd()?,
            park: eventfd()?,
        })))
    }

    /// Makes the core return from its present or next sleep, whether it has messages or not.
    pub fn wake(&self) {
        self.0.called.store(true, Ordering::Release);
        fence(Ordering::SeqCst);
        self.wake_sleeper();
    }

    /// Wakes the core if it sleeps. The caller has put something into an inbox of it and has then
    /// executed a sequentially consistent fence. Cost: a load if the core is awake.
    pub(crate) fn wake_sleeper(&self) {
        if self.0.state.0.load(Ordering::Relaxed) == AWAKE {
            return;
        }
        // Of several threads that see the core asleep only one pays for the system call.
        let eventfd = match self.0.state.0.swap(AWAKE, Ordering::AcqRel) {
            IN_RING => &self.0.ring,
            PARKED => &self.0.park,
            _ => return,
        };
        // A write of 8 bytes to an eventfd fails only if the counter would overflow, which 2^64
        // wake-ups would take, so there is nothing to handle.
        let mut eventfd: &File = eventfd;
        drop(eventfd.write(&1_u64.to_le_bytes()));
    }

    /// Publishes that the core is about to sleep. The core must look at its inboxes after this
    /// call and before it sleeps.
    pub(crate) fn publish(&self, sleep: Sleep) {
        let state = match sleep {
            Sleep::Ring => IN_RING,
            Sleep::Park => PARKED,
        };
        self.0.state.0.store(state, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    pub(crate) fn publish_awake(&self) {
        self.0.state.0.store(AWAKE, Ordering::Release);
    }

    /// Whether somebody called [`Self::wake`] since the last [`Self::take_call`].
    pub(crate) fn is_called(&self) -> bool {
        self.0.called.load(Ordering::Acquire)
    }

    /// Forgets the calls so far; what the callers did before is visible afterwards.
    pub(crate) fn take_call(&self) {
        if self.is_called() {
            self.0.called.swap(false, Ordering::AcqRel);
        }
    }

    #[cfg(test)]
    pub(crate) fn is_parked(&self) -> bool {
        self.0.state.0.load(Ordering::SeqCst) == PARKED
    }

    #[cfg(test)]
    pub(crate) fn is_in_ring(&self) -> bool {
        self.0.state.0.load(Ordering::SeqCst) == IN_RING
    }

    /// The descriptor that the socket ring polls.
    pub(crate) fn ring_fd(&self) -> RawFd {
        self.0.ring.as_raw_fd()
    }

    /// The descriptor that the executor reads and the socket ring signals.
    pub(crate) fn park_fd(&self) -> RawFd {
        self.0.park.as_raw_fd()
    }

    /// A second descriptor of the same eventfd, for the executor to own.
    pub(crate) fn park_duplicate(&self) -> io::Result<OwnedFd> {
        Ok(OwnedFd::from(self.0.park.try_clone()?))
    }
}

fn eventfd() -> io::Result<File> {
    // Not O_NONBLOCK: a ring would answer a read of an empty counter with EAGAIN and not wait.
    // SAFETY: the call takes no pointers.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor and nobody else knows it.
    Ok(unsafe { File::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn only_the_place_the_core_sleeps_in_is_signalled() {
        let waker = Waker::new().unwrap();
        waker.publish(Sleep::Park);
        waker.wake();
        waker.wake();
        let mut counter = [0_u8; 8];
        let mut park = waker.0.park.try_clone().unwrap();
        park.read_exact(&mut counter).unwrap();
        assert_eq!(u64::from_le_bytes(counter), 1);
        assert!(waker.is_called());
        waker.take_call();
        assert!(!waker.is_called());
    }
}
