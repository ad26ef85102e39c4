//! How a simulated core without work spends its time: it sleeps until the world gives it a turn.

use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::Duration;

use crate::executor::Background;
use crate::socket_ring::SocketRing;
use crate::world;

/// Settings of [`Idle`], which have no meaning here.
#[derive(Clone, Copy, Debug)]
pub struct IdleOptions {
    /// Longest spin.
    pub spin: Duration,
    /// A spin offers the processor to others.
    pub spin_yields: bool,
    /// Longest sleep in the socket ring.
    pub ring_wait: Duration,
    /// Received messages since the last sleep that make the next one gather.
    pub gather_burst_min: u32,
    /// Longest gather.
    pub gather: Duration,
}

impl Default for IdleOptions {
    fn default() -> Self {
        Self {
            spin: Duration::ZERO,
            spin_yields: false,
            ring_wait: Duration::ZERO,
            gather_burst_min: 0,
            gather: Duration::ZERO,
        }
    }
}

/// How often each stage ended a wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IdleCounts {
    /// Gathers: none here.
    pub gathers: u64,
    /// Spins that met work: none here.
    pub spins_won: u64,
    /// Spins for nothing: none here.
    pub spins_lost: u64,
    /// Sleeps.
    pub ring_waits: u64,
    /// Sleeps in the executor: none here.
    pub parks: u64,
}

/// What a core remembers of its idle times.
#[derive(Debug, Default)]
pub struct Idle {
    counts: IdleCounts,
}

impl Idle {
    /// Starts to count.
    #[must_use]
    pub fn new(_: IdleOptions, _: Background) -> Self {
        Self::default()
    }

    /// Returns how often each stage ended a wait.
    #[must_use]
    pub fn counts(&self) -> IdleCounts {
        self.counts
    }

    /// Has no effect: the world decides how long a core sleeps.
    pub fn set_options(&mut self, _: IdleOptions) {}
}

impl SocketRing {
    /// Sleeps until there is an event, `inbound` holds, the waker is called, or `limit` is over. It
    /// may also end for nothing.
    ///
    /// # Errors
    ///
    /// None here.
    pub async fn wait(
        &mut self,
        idle: &mut Idle,
        limit: Option<Duration>,
        inbound: impl Fn() -> bool,
    ) -> io::Result<()> {
        let core = self.core();
        if self.has_work() || inbound() || self.is_called() {
            world::yield_core(core);
        } else {
            idle.counts.ring_waits += 1;
            let limit = limit.map_or(LONGEST_NANOS, |limit| {
                u64::try_from(limit.as_nanos()).unwrap_or(LONGEST_NANOS)
            });
            let limit = world::now() + limit.min(LONGEST_NANOS);
            let until = self.next_at().map_or(limit, |at| at.min(limit));
            world::sleep_core(core, until);
        }
        give_way().await;
        self.take_call();
        Ok(())
    }
}

/// No core sleeps for longer than an hour.
const LONGEST_NANOS: u64 = 3_600_000_000_000;

/// Ends the turn; the world has been told when the next one is.
pub(crate) async fn give_way() {
    let mut is_first = true;
    poll_fn(|_| {
        if std::mem::take(&mut is_first) {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
}
