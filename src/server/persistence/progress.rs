//! How far the reading of files is at the start, for INFO and the server's log.
//!
//! Not here: what is read ([`super::load`], [`super::remake`], [`super::import`]).

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base::cast::u64_from;

/// Time between two lines of the log.
const TOLD_NANOS: u64 = 2_000_000_000;

/// Bytes of all files that are to be read, as far as they are known, and those that were. Threads share it.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    bytes: AtomicU64,
    bytes_read: AtomicU64,
    /// When the log had a line, in nanoseconds of the monotonic clock; 0 before the first bytes.
    told: AtomicU64,
}

impl Progress {
    /// Begins anew.
    pub(super) fn begin(&self) {
        for number in [&self.bytes, &self.bytes_read, &self.told] {
            number.store(0, Ordering::Relaxed);
        }
    }

    /// Adds files that are to be read.
    pub(super) fn add_files(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Notes that so many bytes were read.
    pub(super) fn count(&self, bytes: u64) {
        self.bytes_read.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Does the same, and says how far it is every other second.
    pub(super) fn note(&self, bytes: u64) {
        self.count(bytes);
        let now = runtime::clock::monotonic().0.max(1);
        let told = self.told.load(Ordering::Relaxed);
        if told > 0 && now.saturating_sub(told) < TOLD_NANOS {
            return;
        }
        let orderings = (Ordering::Relaxed, Ordering::Relaxed);
        let exchanged = self
            .told
            .compare_exchange(told, now, orderings.0, orderings.1);
        // Another thread says it otherwise.
        if exchanged.is_ok() && told > 0 {
            let (bytes, bytes_read) = self.sizes();
            let percent = self.percent();
            tracing::info!(percent, bytes_read, bytes, "reading");
        }
    }

    /// Returns the bytes of all files, and those that were read.
    pub(crate) fn sizes(&self) -> (u64, u64) {
        let bytes = self.bytes.load(Ordering::Relaxed);
        (bytes, self.bytes_read.load(Ordering::Relaxed))
    }

    pub(super) fn percent(&self) -> u64 {
        let (bytes, bytes_read) = self.sizes();
        bytes_read.saturating_mul(100) / bytes.max(1)
    }
}

/// Something that is read, and notes how far that is.
#[derive(Debug)]
pub(super) struct Counted<R> {
    source: R,
    progress: Arc<Progress>,
}

impl<R> Counted<R> {
    pub(super) fn new(source: R, progress: Arc<Progress>) -> Self {
        Self { source, progress }
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.progress.note(u64_from(count));
        Ok(count)
    }
}
