//! How a core without work spends its time.
//!
//! Waking a sleeping thread costs tens of microseconds, polling costs a whole processor. So
//! [`SocketRing::wait`] goes through four stages, each cheaper for the machine and slower to leave:
//!
//! 1. *Gather*: after a burst of messages from many connections, sleep in the socket ring until half
//!    as many have come again or 60 us are over. Larger batches cost less per request.
//! 2. *Spin* on flags in shared memory, 60 us at most; where cores share processors with each other, by giving
//!    the processor to the next one between two looks. A spin that was for nothing halves the next
//!    one; a sleep that turned out shorter than the full budget restores it. A quiet core spends
//!    nothing here.
//! 3. *Ring*: sleep up to 5 ms in the socket ring. Skipped while the executor has work under way
//!    ([`Background`]), as it does not run meanwhile.
//! 4. *Park*: sleep in the executor until the socket ring, the waker or the executor has something.
//!
//! Invariants
//! - Before each sleep the place is published and everything is looked at once more ([`waker`]).
//! - Whoever waits never sleeps longer than the limit it has given.
//!
//! [`waker`]: crate::waker

#![expect(
    unsafe_code,
    reason = "the executor takes an eventfd only as a raw descriptor"
)]

use std::io;
use std::os::fd::{FromRawFd, IntoRawFd};
use std::time::Duration;

use base::clock::Monotonic;
use glommio::io::BufferedFile;
use io_uring::opcode;
use io_uring::types::Timespec;

use crate::clock::monotonic;
use crate::executor::{Background, park_until, yield_if_needed, yield_now};
use crate::socket_ring::SocketRing;
use crate::waker::Sleep;

/// Settings of [`Idle`].
#[derive(Clone, Copy, Debug)]
pub struct IdleOptions {
    /// Longest spin; 0 where processors are shared with other programs.
    pub spin: Duration,
    /// A spin offers the processor to others each time it has looked in vain: for processors with several
    /// cores, of which one may wait for another.
    pub spin_yields: bool,
    /// Longest sleep in the socket ring before the executor is parked.
    pub ring_wait: Duration,
    /// Received messages since the last sleep that make the next one gather; 0 for never. A gather
    /// delays messages of other cores by up to `gather`: leave it out where there are many.
    pub gather_burst_min: u32,
    /// Longest gather.
    pub gather: Duration,
}

impl Default for IdleOptions {
    fn default() -> Self {
        Self {
            spin: Duration::from_micros(60),
            spin_yields: false,
            ring_wait: Duration::from_millis(5),
            gather_burst_min: 24,
            gather: Duration::from_micros(60),
        }
    }
}

/// How often each stage ended a wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IdleCounts {
    /// Gathers.
    pub gathers: u64,
    /// Spins that met work.
    pub spins_won: u64,
    /// Spins for nothing.
    pub spins_lost: u64,
    /// Sleeps in the socket ring.
    pub ring_waits: u64,
    /// Sleeps in the executor.
    pub parks: u64,
}

/// What a core has learned about its idle times.
#[derive(Debug)]
pub struct Idle {
    options: IdleOptions,
    background: Background,
    /// How long the next spin lasts.
    spin_nanos: u64,
    counts: IdleCounts,
}

/// Spins shorter than this cannot meet anything.
const SPIN_NANOS_MIN: u64 = 2_000;

impl Idle {
    /// Starts with the full budget. `background` is that of the core's context.
    #[must_use]
    pub fn new(options: IdleOptions, background: Background) -> Self {
        let spin_nanos = nanos(options.spin);
        Self {
            options,
            background,
            spin_nanos,
            counts: IdleCounts::default(),
        }
    }

    /// Returns how often each stage ended a wait.
    #[must_use]
    pub fn counts(&self) -> IdleCounts {
        self.counts
    }

    /// Replaces the settings.
    pub fn set_options(&mut self, options: IdleOptions) {
        self.options = options;
        self.spin_nanos = nanos(options.spin);
    }

    fn note_lost_spin(&mut self) {
        self.counts.spins_lost += 1;
        self.spin_nanos /= 2;
        if self.spin_nanos < SPIN_NANOS_MIN {
            self.spin_nanos = 0;
        }
    }

    fn note_sleep(&mut self, slept_nanos: u64) {
        if slept_nanos < nanos(self.options.spin) {
            self.spin_nanos = nanos(self.options.spin);
        }
    }
}

impl SocketRing {
    /// Sleeps until there is an event, `inbound` holds, the waker is called, or `limit` is over,
    /// whichever is first; at once if one of them is so already. It may also end for
    /// nothing, as a wake-up can come late. Also does the work of [`SocketRing::turn`].
    ///
    /// `inbound` tells whether other cores have sent something; it is called often and must be
    /// cheap. Call this in an executor of [`crate::executor`], and only when the turn had nothing
    /// to do: look for events after it in any case.
    ///
    /// Yields: to other tasks of this core, at every stage. Cancel: not safe; a wait that is dropped
    /// leaves the core marked as asleep, which costs others system calls.
    ///
    /// # Errors
    ///
    /// If the ring is broken; the core cannot go on.
    pub async fn wait(
        &mut self,
        idle: &mut Idle,
        limit: Option<Duration>,
        inbound: impl Fn() -> bool,
    ) -> io::Result<()> {
        self.turn()?;
        yield_if_needed().await;
        let burst = std::mem::take(&mut self.burst);
        if self.is_busy(&inbound) {
            self.burst = burst;
            return self.end_wait();
        }
        let limit = [limit, self.sleep_max()].into_iter().flatten().min();
        if limit == Some(Duration::ZERO) {
            return self.end_wait();
        }
        let start = monotonic();
        if self.gather(idle, burst, limit, &inbound)? || self.spin(idle, start, &inbound).await {
            return self.end_wait();
        }
        // Other tasks that are ready to run must not wait for the end of the sleep.
        yield_now().await;
        if self.sleep_in_ring(idle, limit, &inbound)? || self.is_over(limit, start) {
            idle.note_sleep(monotonic().nanos_since(start));
            return self.end_wait();
        }
        // A sleep that a signal has cut short: the caller looks around and sleeps again. Parking is for
        // cores with other tasks, or that were told to sleep in the ring only briefly.
        if idle.background.is_quiet() && elapsed(start) < idle.options.ring_wait {
            idle.note_sleep(monotonic().nanos_since(start));
            return self.end_wait();
        }
        let rest = limit.map(|limit| limit.saturating_sub(elapsed(start)));
        self.park(idle, rest, &inbound).await?;
        idle.note_sleep(monotonic().nanos_since(start));
        self.end_wait()
    }

    fn end_wait(&mut self) -> io::Result<()> {
        self.waker.take_call();
        self.turn()?;
        self.skip_to_event();
        Ok(())
    }

    #[inline]
    fn is_busy(&mut self, inbound: &impl Fn() -> bool) -> bool {
        self.has_work() || inbound() || self.waker.is_called()
    }

    fn is_over(&self, limit: Option<Duration>, start: Monotonic) -> bool {
        limit.is_some_and(|limit| elapsed(start) >= limit)
    }

    /// Returns whether the wait is over.
    fn gather(
        &mut self,
        idle: &mut Idle,
        burst: u32,
        limit: Option<Duration>,
        inbound: &impl Fn() -> bool,
    ) -> io::Result<bool> {
        let options = idle.options;
        let is_worth_it = options.gather_burst_min > 0
            && burst >= options.gather_burst_min
            && self.kernel.has_min_wait()
            && idle.background.is_quiet();
        if !is_worth_it {
            return Ok(false);
        }
        idle.counts.gathers += 1;
        let longest = limit.map_or(options.ring_wait, |limit| limit.min(options.ring_wait));
        let want = base::cast::usize_from_u32(burst / 2);
        self.waker.publish(Sleep::Ring);
        let result = if self.is_busy(inbound) {
            Ok(())
        } else {
            self.kernel.wait(want, longest, Some(options.gather))
        };
        self.waker.publish_awake();
        result?;
        Ok(self.is_busy(inbound))
    }

    /// Returns whether the wait is over.
    async fn spin(
        &mut self,
        idle: &mut Idle,
        start: Monotonic,
        inbound: &impl Fn() -> bool,
    ) -> bool {
        if idle.spin_nanos == 0 {
            return false;
        }
        while monotonic().nanos_since(start) < idle.spin_nanos {
            if self.is_busy(inbound) {
                idle.counts.spins_won += 1;
                return true;
            }
            if idle.options.spin_yields {
                std::thread::yield_now();
            } else {
                std::hint::spin_loop();
            }
            yield_if_needed().await;
        }
        idle.note_lost_spin();
        false
    }

    /// Returns whether the wait is over.
    fn sleep_in_ring(
        &mut self,
        idle: &mut Idle,
        limit: Option<Duration>,
        inbound: &impl Fn() -> bool,
    ) -> io::Result<bool> {
        let longest = idle.options.ring_wait;
        if longest.is_zero() || !idle.background.is_quiet() {
            return Ok(self.is_busy(inbound));
        }
        let longest = limit.map_or(longest, |limit| limit.min(longest));
        self.waker.publish(Sleep::Ring);
        let result = if self.is_busy(inbound) {
            Ok(())
        } else {
            idle.counts.ring_waits += 1;
            self.kernel.wait(1, longest, None)
        };
        self.waker.publish_awake();
        result?;
        Ok(self.is_busy(inbound))
    }

    async fn park(
        &mut self,
        idle: &mut Idle,
        limit: Option<Duration>,
        inbound: &impl Fn() -> bool,
    ) -> io::Result<()> {
        if let Some(limit) = limit {
            self.arm_alarm(limit)?;
        }
        if self.park.file.is_none() {
            let fd = self.waker.park_duplicate()?.into_raw_fd();
            // SAFETY: the descriptor is ours alone, and the file becomes its owner.
            self.park.file = Some(unsafe { BufferedFile::from_raw_fd(fd) });
        }
        self.waker.publish(Sleep::Park);
        self.kernel.signal_completions(true);
        std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
        let result = if self.is_busy(inbound) {
            Ok(())
        } else if let Some(park) = &self.park.file {
            idle.counts.parks += 1;
            park_until(park.read_at(0, size_of::<u64>()))
                .await
                .map(drop)
        } else {
            Ok(())
        };
        self.waker.publish_awake();
        self.kernel.signal_completions(false);
        result.map_err(io::Error::from)
    }

    /// Makes sure that the ring has a completion `limit` from now, or before.
    fn arm_alarm(&mut self, limit: Duration) -> io::Result<()> {
        let end = Monotonic(monotonic().0.saturating_add(nanos(limit)));
        let time = Timespec::from(limit);
        match self.alarm.armed {
            // Too early only costs one round.
            Some(armed) if armed <= end => return Ok(()),
            Some(_) => {
                let change = opcode::TimeoutUpdate::new(Self::alarm_user_data(), &raw const time);
                self.push_alarm_change(change.build());
            }
            None => self.push_alarm(opcode::Timeout::new(&raw const time).build()),
        }
        self.alarm.armed = Some(end);
        // The kernel copies the time here, so it need not live longer.
        self.kernel.enter()
    }
}

fn elapsed(start: Monotonic) -> Duration {
    Duration::from_nanos(monotonic().nanos_since(start))
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
