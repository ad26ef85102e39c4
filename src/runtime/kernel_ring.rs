//! The queues shared with the kernel: entries in, completions out, and the three ways to enter.
//!
//! Invariants
//! - One thread creates, uses and drops a ring ([`KernelRing`] is not `Send`): the kernel runs the
//!   completions of a ring only when that thread enters it, which is what makes it cheap.
//! - Entries reach the kernel in the order of [`KernelRing::push`], however full the queue was.
//! - Without something to submit and without a flag from the kernel there is no system call.
//!
//! Not here: what the entries mean (`socket_ring`).

#![expect(
    unsafe_code,
    reason = "the kernel reads and writes memory named by the entries"
)]

use std::collections::VecDeque;
use std::io;
use std::marker::PhantomData;
use std::os::fd::RawFd;
use std::time::Duration;

use io_uring::types::{CancelBuilder, SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring, cqueue, squeue};

/// What the kernel says about one entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Completion {
    pub(crate) user_data: u64,
    /// A count or a descriptor; below 0 the negated error number.
    pub(crate) result: i32,
    /// The receive buffer that the kernel has chosen.
    pub(crate) buffer: Option<u16>,
    /// The entry stays armed and gives further completions.
    pub(crate) more: bool,
}

/// An io-uring of one thread.
pub(crate) struct KernelRing {
    ring: IoUring,
    /// Entries that found the queue full; they go before any later one.
    backlog: VecDeque<squeue::Entry>,
    has_min_wait: bool,
    not_send: PhantomData<*mut ()>,
}

impl KernelRing {
    /// Creates a ring for `entries` submissions between two enters and `completions` unread
    /// completions; both are clamped to what the kernel allows.
    pub(crate) fn new(entries: u32, completions: u32) -> io::Result<Self> {
        let mut builder = IoUring::builder();
        builder
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_coop_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_clamp()
            .setup_cqsize(completions)
            .dontfork();
        let plain = builder.clone();
        let ring = match builder.setup_no_sqarray().build(entries) {
            // Kernels before 6.6 do not know the flag.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => plain.build(entries)?,
            other => other?,
        };
        let has_min_wait = ring.params().is_feature_min_timeout();
        Ok(Self {
            ring,
            backlog: VecDeque::new(),
            has_min_wait,
            not_send: PhantomData,
        })
    }

    /// Whether [`Self::wait`] can gather several completions.
    pub(crate) fn has_min_wait(&self) -> bool {
        self.has_min_wait
    }

    /// Queues an entry for the next enter.
    ///
    /// # Safety
    ///
    /// Memory and descriptors named by `entry` stay valid until its last completion was popped, or
    /// until [`Self::cancel_all`] has returned `Ok`.
    pub(crate) unsafe fn push(&mut self, entry: squeue::Entry) {
        if self.backlog.is_empty() {
            // SAFETY: the caller keeps what the entry names alive.
            if unsafe { self.try_push(&entry) } {
                return;
            }
            // The queue is full: hand it over, and try once more. An error shows again in the next
            // enter, which reports it.
            drop(self.enter_with(EnterFlags::empty()));
            // SAFETY: as above.
            if unsafe { self.try_push(&entry) } {
                return;
            }
        }
        self.backlog.push_back(entry);
    }

    /// Returns false if the queue is full.
    ///
    /// # Safety
    ///
    /// As for [`Self::push`].
    unsafe fn try_push(&mut self, entry: &squeue::Entry) -> bool {
        let mut queue = self.ring.submission();
        // SAFETY: the caller keeps what the entry names alive.
        unsafe { queue.push(entry) }.is_ok()
    }

    /// Takes the oldest unread completion.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Completion> {
        let entry = self.ring.completion().next()?;
        let flags = entry.flags();
        Some(Completion {
            user_data: entry.user_data(),
            result: entry.result(),
            buffer: cqueue::buffer_select(flags),
            more: cqueue::more(flags),
        })
    }

    /// Whether there is a completion to pop.
    #[inline]
    pub(crate) fn has_completion(&mut self) -> bool {
        !self.ring.completion().is_empty()
    }

    /// Whether an enter would do something: submit entries or run what the kernel has put off.
    #[inline]
    pub(crate) fn needs_enter(&mut self) -> bool {
        let queue = self.ring.submission();
        !queue.is_empty() || queue.taskrun() || queue.cq_overflow() || !self.backlog.is_empty()
    }

    /// Submits all queued entries and lets the kernel post completions. Does not wait.
    ///
    /// # Errors
    ///
    /// Those of `io_uring_enter(2)` that mean the ring is unusable. Interruption and lack of room
    /// are not errors: what was not submitted stays queued.
    pub(crate) fn enter(&mut self) -> io::Result<()> {
        self.enter_with(EnterFlags::GETEVENTS)?;
        while let Some(entry) = self.backlog.pop_front() {
            // SAFETY: who pushed the entry keeps what it names alive.
            if !unsafe { self.try_push(&entry) } {
                self.backlog.push_front(entry);
                break;
            }
        }
        Ok(())
    }

    fn enter_with(&mut self, flags: EnterFlags) -> io::Result<()> {
        let count = base::cast::u32_from(self.ring.submission().len());
        let submitter = self.ring.submitter();
        // SAFETY: no argument block is passed, and entries were checked when they were pushed.
        let result = unsafe { submitter.enter::<libc::sigset_t>(count, 0, flags.bits(), None) };
        ignore_transient(result)
    }

    /// Submits all queued entries and sleeps until `want` completions are there or `limit` is over.
    /// With `gather`, one completion is enough once that time is over.
    ///
    /// # Errors
    ///
    /// As for [`Self::enter`]; that the time is over is not an error.
    pub(crate) fn wait(
        &self,
        want: usize,
        limit: Duration,
        gather: Option<Duration>,
    ) -> io::Result<()> {
        let limit = Timespec::from(limit);
        let mut args = SubmitArgs::new().timespec(&limit);
        if let Some(gather) = gather {
            args = args.min_wait_usec(u32::try_from(gather.as_micros()).unwrap_or(u32::MAX));
        }
        ignore_transient(self.ring.submitter().submit_with_args(want, &args))
    }

    /// Has the kernel write `eventfd` for each completion while [`Self::signal_completions`] is on.
    pub(crate) fn register_eventfd(&mut self, eventfd: RawFd) -> io::Result<()> {
        self.ring.completion().disable_eventfd();
        self.ring.submitter().register_eventfd(eventfd)
    }

    /// Switches the signals of the registered eventfd on or off, by a flag in shared memory.
    pub(crate) fn signal_completions(&mut self, on: bool) {
        let queue = self.ring.completion();
        if on {
            queue.enable_eventfd();
        } else {
            queue.disable_eventfd();
        }
    }

    /// Lets the kernel take receive buffers from the ring at `address` as group `group`.
    ///
    /// # Safety
    ///
    /// `address` is that of `entries` page-aligned buffer descriptors which, like the buffers they
    /// name, stay valid until this ring is dropped after [`Self::cancel_all`] has returned `Ok`.
    pub(crate) unsafe fn register_buffers(
        &mut self,
        address: u64,
        entries: u16,
        group: u16,
    ) -> io::Result<()> {
        let submitter = self.ring.submitter();
        // SAFETY: the caller guarantees address and length.
        unsafe { submitter.register_buf_ring_with_flags(address, entries, group, 0) }
    }

    /// Ends everything the kernel was asked for and waits until it has let go of all memory.
    ///
    /// # Errors
    ///
    /// If that is not so after a second: the memory must not be freed.
    pub(crate) fn cancel_all(&mut self) -> io::Result<()> {
        self.enter()?;
        let limit = Timespec::from(Duration::from_secs(1));
        match self
            .ring
            .submitter()
            .register_sync_cancel(Some(limit), CancelBuilder::any().all())
        {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Err(_) | Ok(()) => self.enter(),
        }
    }
}

impl std::fmt::Debug for KernelRing {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("KernelRing")
            .field("backlog", &self.backlog.len())
            .finish()
    }
}

/// Keeps only errors that another try would meet again.
fn ignore_transient(result: io::Result<usize>) -> io::Result<()> {
    match result {
        Ok(_) => Ok(()),
        Err(error) => match error.raw_os_error() {
            // A signal; the time is over; completions must be popped first; no memory right now.
            Some(libc::EINTR | libc::ETIME | libc::EBUSY | libc::EAGAIN) => Ok(()),
            _ => Err(error),
        },
    }
}
