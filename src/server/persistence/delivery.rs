//! Copies of all data for clients that ask for one (`redis-cli --rdb`): from a file without a name to the socket.
//!
//! ```text
//!   core 0:           a save into a file without a name begins                          (`save`)
//!   thread of it:     file is whole -> its size -> its bytes, piece by piece -> end
//!   client's core:    takes a piece while little is unsent -> output of the connection
//! ```
//!
//! The form is that of a primary that gives its data to a replica: `$`, the bytes of the file in digits, CR, LF, the
//! file. An empty line stands before that now and then, to show that the server is alive.
//!
//! Invariants
//! - The file is whole before its first byte is sent: how fast the client reads holds up neither a snapshot nor the
//!   next save. Only its file waits, and at most [`PARCELS_MAX`] pieces of it in memory.
//! - A client that gets less than all sees it: the connection ends before the bytes that were announced.
//! - One that takes nothing for `repl-timeout` seconds is closed.
//!
//! Not here: what the client has to say before (`control::replication`), the file ([`super::save`]).

use std::io::Read as _;
use std::sync::Arc;
use std::sync::mpsc::TryRecvError;

use base::cast::u64_from;
use base::clock::Monotonic;
use base::ids::ShardId;
use coordinator::message::Origin;
use runtime::channel::{Receiver, Sender, bounded};
use runtime::file::ScratchFile;

use super::save::{self, UnderWay};
use crate::core_loop::Core;
use crate::engine::{Shared, read_origin};
use crate::session::Extent;

/// Bytes of a piece.
const PARCEL_BYTES: usize = 128 * 1024;
/// Pieces between the thread and the core. The three that a small file takes fit without anybody to take them.
const PARCELS_MAX: usize = 3;
/// Bytes that are ready to be sent above which no more are taken. As many may be in flight.
const READY_BYTES_MAX: usize = 256 * 1024;
/// Time between two signs of life while the file is made.
const SIGN_NANOS: u64 = 1_000_000_000;

/// A part of what a client gets.
pub enum Parcel {
    /// The file has so many bytes, which follow.
    Begin(u64),
    /// The next of them.
    Bytes(Vec<u8>),
    /// Those were all.
    End,
    /// There is no copy, or not all of it.
    Failed(String),
}

/// The thread's end of a copy on its way.
#[derive(Debug)]
pub(super) struct Delivery {
    sender: Sender<Parcel>,
    to: ShardId,
}

impl Delivery {
    /// Sends a whole file. Waits for the client; gives up when it is gone.
    pub(super) fn send_file(&self, shared: &Shared, bytes: u64, mut file: ScratchFile) {
        if !self.send(shared, Parcel::Begin(bytes)) {
            return;
        }
        let mut left = bytes;
        while left > 0 {
            let mut piece = Vec::with_capacity(PARCEL_BYTES);
            let limit = left.min(u64_from(PARCEL_BYTES));
            match file.by_ref().take(limit).read_to_end(&mut piece) {
                Ok(1..) => {}
                Ok(0) => return self.fail(shared, "the copy is cut short".to_owned()),
                Err(error) => return self.fail(shared, format!("read the copy: {error}")),
            }
            left -= u64_from(piece.len());
            if !self.send(shared, Parcel::Bytes(piece)) {
                return;
            }
        }
        self.send(shared, Parcel::End);
    }

    /// Says that there is no copy.
    pub(super) fn fail(&self, shared: &Shared, error: String) {
        tracing::error!(error, "a client could not get a copy of the data");
        self.send(shared, Parcel::Failed(error));
    }

    /// Returns whether the client is still there.
    fn send(&self, shared: &Shared, parcel: Parcel) -> bool {
        let sent = self.sender.send(parcel).is_ok();
        shared.persistence.wake(self.to);
        sent
    }
}

/// Begins a copy for a client of the core `to`; on core 0. Returns what comes of it.
///
/// # Errors
///
/// If a shard has a snapshot already: it has one at a time.
pub(crate) fn begin(
    core: &mut Core,
    to: ShardId,
    extent: Extent,
) -> Result<Receiver<Parcel>, UnderWay> {
    let (sender, parcels) = bounded(PARCELS_MAX);
    let libraries = match extent {
        Extent::All => return save::begin_copy(core, Delivery { sender, to }).map(|()| parcels),
        Extent::Functions => Arc::clone(&core.engine.shared).scripts.libraries().0,
        Extent::Nothing => Arc::default(),
    };
    let bytes = save::without_data(core, &libraries);
    for parcel in [
        Parcel::Begin(u64_from(bytes.len())),
        Parcel::Bytes(bytes),
        Parcel::End,
    ] {
        // There is room for three.
        sender.send(parcel).ok();
    }
    Ok(parcels)
}

/// The copies that clients of a core are getting.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    under_way: Vec<UnderWayHere>,
}

/// The core's end of a copy on its way.
struct UnderWayHere {
    origin: Origin,
    parcels: Receiver<Parcel>,
    /// The client was told how many bytes there are.
    has_begun: bool,
    /// When it was told anything, and when it last took some of it.
    signed_at: Monotonic,
    taken_at: Monotonic,
    /// What was unsent then.
    unsent_bytes: usize,
}

impl std::fmt::Debug for UnderWayHere {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("UnderWayHere")
            .field("origin", &self.origin)
            .field("has_begun", &self.has_begun)
            .finish_non_exhaustive()
    }
}

/// What became of a copy in a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Nothing: the client has to read, or the thread to write.
    Resting,
    /// The client gets more.
    Moved,
    /// The client is to be closed when it has got what is ready.
    Done,
    /// It is to be closed at once.
    Broken,
}

impl Deliveries {
    /// Adds a copy for a client that waits for its reply.
    pub(crate) fn add(&mut self, origin: Origin, parcels: Receiver<Parcel>, now: Monotonic) {
        self.under_way.push(UnderWayHere {
            origin,
            parcels,
            has_begun: false,
            signed_at: now,
            taken_at: now,
            unsent_bytes: 0,
        });
    }
}

/// Gives clients more of their copies. Returns whether there was anything to do.
pub(crate) fn step(core: &mut Core) -> bool {
    if core.engine.deliveries.under_way.is_empty() {
        return false;
    }
    let mut is_busy = false;
    let mut under_way = std::mem::take(&mut core.engine.deliveries.under_way);
    under_way.retain_mut(|copy| {
        let (id, place, _) = read_origin(copy.origin);
        let progress = copy.advance(core);
        match progress {
            Progress::Resting => return true,
            Progress::Moved => {}
            Progress::Done => {
                if let Some(connection) = core.net.connection_mut(id) {
                    connection.output.fill(place, &[]);
                }
                core.net.close_after_output(id);
            }
            Progress::Broken => core.net.close(id, &mut core.engine),
        }
        is_busy = true;
        core.engine.wrote.push(id);
        progress == Progress::Moved
    });
    core.engine.deliveries.under_way = under_way;
    is_busy
}

impl UnderWayHere {
    fn advance(&mut self, core: &mut Core) -> Progress {
        let (id, place, _) = read_origin(self.origin);
        let now = core.engine.clock;
        let seconds_max = u64::from(core.engine.config.settings().replica_timeout_seconds);
        let Some(connection) = core.net.connection_mut(id) else {
            return Progress::Broken;
        };
        let unsent_bytes = connection.unsent_bytes();
        if unsent_bytes < self.unsent_bytes || unsent_bytes == 0 {
            self.taken_at = now;
        }
        self.unsent_bytes = unsent_bytes;
        if now.nanos_since(self.taken_at) > seconds_max.saturating_mul(1_000_000_000) {
            tracing::warn!(
                client = %connection.session.about.address,
                seconds_max,
                "a client has taken nothing of its copy of the data for repl-timeout: it is closed"
            );
            return Progress::Broken;
        }
        let Some(ready) = connection.output.begin_part(place) else {
            return Progress::Resting;
        };
        let mut progress = Progress::Resting;
        while ready.len() < READY_BYTES_MAX {
            match self.parcels.try_recv() {
                Ok(Parcel::Begin(bytes)) => {
                    self.has_begun = true;
                    ready.extend_from_slice(format!("${bytes}\r\n").as_bytes());
                }
                Ok(Parcel::Bytes(bytes)) => ready.extend_from_slice(&bytes),
                Ok(Parcel::End) => return Progress::Done,
                Ok(Parcel::Failed(error)) if !self.has_begun => {
                    let error = error.replace(['\r', '\n'], " ");
                    ready.extend_from_slice(format!("-ERR {error}\r\n").as_bytes());
                    return Progress::Done;
                }
                // The thread ends before its time only with the process.
                Ok(Parcel::Failed(_)) | Err(TryRecvError::Disconnected) => {
                    return Progress::Broken;
                }
                Err(TryRecvError::Empty) => {
                    if !self.has_begun && now.nanos_since(self.signed_at) > SIGN_NANOS {
                        self.signed_at = now;
                        ready.push(b'\n');
                        progress = Progress::Moved;
                    }
                    break;
                }
            }
            progress = Progress::Moved;
        }
        self.unsent_bytes = connection.unsent_bytes();
        progress
    }
}
