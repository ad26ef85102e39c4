//! What a ring tells of its sockets and its log, and the names of sockets.

use std::io;

use base::cast::usize_from_u32;

use crate::socket::Socket;

/// A socket in the ring it was added to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId {
    pub(super) index: u32,
    pub(super) generation: u32,
}

impl SocketId {
    /// Returns the place of the socket in an array: small, and used again after the socket is gone.
    #[must_use]
    pub fn index(self) -> usize {
        usize_from_u32(self.index)
    }

    /// Returns the name as one number, for messages that come back to this core.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        // Both casts widen.
        (self.index as u64) << 32 | self.generation as u64
    }

    /// Returns the name of [`Self::to_bits`].
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        let low = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(0);
        Self {
            index: low(bits >> 32),
            generation: low(bits),
        }
    }
}

/// A listener in the ring it was given to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerId(pub(super) u32);

/// Bytes that have come for a socket, in a buffer of the ring. Give it back with
/// [`super::SocketRing::recycle`]: while all buffers are out nothing is received.
#[derive(Debug)]
#[must_use = "a buffer that is not recycled is lost for receiving"]
pub struct Received {
    /// Whose bytes they are.
    pub id: SocketId,
    pub(super) buffer: u16,
    pub(super) len: u32,
    pub(super) ring: u32,
}

impl Received {
    /// Returns the number of bytes, never 0.
    #[must_use]
    #[expect(
        clippy::len_without_is_empty,
        reason = "there is always at least one byte"
    )]
    pub fn len(&self) -> usize {
        usize_from_u32(self.len)
    }
}

/// What has happened to a socket or a listener.
#[derive(Debug)]
pub enum RingEvent {
    /// A client has connected; [`super::SocketRing::add`] it here or on another core.
    Accepted {
        /// Where it has connected to.
        listener: ListenerId,
        /// The connection.
        socket: Socket,
    },
    /// No connection could be accepted. The listener goes on, after a pause if descriptors or
    /// memory were short.
    AcceptFailed {
        /// Which listener.
        listener: ListenerId,
        /// Why.
        error: io::Error,
    },
    /// Data has come.
    Received(Received),
    /// The peer sends no more. The socket stays here, and a send in flight goes on, until
    /// [`super::SocketRing::close`].
    Closed {
        /// Which socket.
        id: SocketId,
        /// None at an orderly end.
        error: Option<io::Error>,
    },
    /// All bytes of a send are in the kernel.
    Sent {
        /// Which socket.
        id: SocketId,
        /// The buffer of the send, empty, with its capacity.
        buffer: Vec<u8>,
        /// How many bytes were sent.
        bytes: usize,
    },
    /// The bytes of a send did not all get out, and later ones cannot.
    SendFailed {
        /// Which socket.
        id: SocketId,
        /// Why.
        error: io::Error,
        /// The buffer of the send, empty, with its capacity.
        buffer: Vec<u8>,
    },
    /// Nothing of a detached socket is in flight any more.
    Detached {
        /// Its name so far.
        id: SocketId,
        /// The connection, which may go to another core.
        socket: Socket,
    },
    /// A sync has ended. What was appended before it began is on the disk, or after an error perhaps lost.
    Synced(io::Result<()>),
}

impl RingEvent {
    /// The socket that it is about.
    pub(super) fn socket(&self) -> Option<SocketId> {
        match self {
            Self::Received(received) => Some(received.id),
            Self::Closed { id, .. }
            | Self::Sent { id, .. }
            | Self::SendFailed { id, .. }
            | Self::Detached { id, .. } => Some(*id),
            Self::Accepted { .. } | Self::AcceptFailed { .. } | Self::Synced(_) => None,
        }
    }
}
