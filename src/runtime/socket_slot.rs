//! What a socket ring remembers of one socket and of one listener.

use base::clock::Monotonic;

use crate::listener::Listener;
use crate::socket::Socket;

/// What the kernel does for the receiving side of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Receive {
    Idle,
    Armed,
    Cancelling,
    /// Not armed, as there was no buffer; waits in `SocketRing::starved`.
    Starved,
    /// The peer sends no more, or the socket is broken.
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Open,
    /// Goes to the user when nothing is in flight.
    Detaching,
    /// Is dropped when nothing is in flight.
    Closing,
}

#[derive(Debug)]
pub(crate) struct Sending {
    pub(crate) buffer: Vec<u8>,
    pub(crate) start: usize,
    pub(crate) position: usize,
}

#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) generation: u32,
    /// None if the slot is free.
    pub(crate) socket: Option<Socket>,
    pub(crate) phase: Phase,
    pub(crate) receive: Receive,
    pub(crate) is_receive_wanted: bool,
    pub(crate) sending: Option<Sending>,
}

#[derive(Debug)]
pub(crate) struct ListenerSlot {
    /// None after the listener was stopped and the kernel has let go of it.
    pub(crate) listener: Option<Listener>,
    pub(crate) is_armed: bool,
    pub(crate) is_stopped: bool,
    /// When to accept again after a failure.
    pub(crate) resting_until: Option<Monotonic>,
}
