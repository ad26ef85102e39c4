//! From sockets to requests, and from replies to sockets.
//!
//! One [`turn::Net`] per core owns the core's socket ring and the connections that live there. It
//! reads, parses up to [`base::limits::REQUESTS_PER_TURN_MAX`] requests of a connection in place,
//! and hands them to the [`Service`], the only door upward. The service writes replies into the
//! connection's [`output::Output`], at once or later; `Net` sends what is ready, in request order.
//!
//! Invariants
//! - All reads of a turn are served before the first reply of the turn is sent.
//! - A connection has at most one send in flight, so bytes leave in order.
//! - A connection whose output exceeds `output_pause_bytes`, or which waits for more than
//!   `pending_replies_max` replies, is not read from until it has drained.
//! - Bad bytes close their own connection and no other.
//! - Who sends no more is still answered all that it has asked for.
//!
//! Not here: what a request means (`server`), and how bytes move (`runtime::socket`).
//!
//! In reading order: [`output`], [`connection`], [`requests`], [`options`], [`turn`], `put_off`, `pass`, `large_input`,
//! `large_pass`.

pub mod connection;
mod large_input;
mod large_pass;
pub mod options;
pub mod output;
mod pass;
mod put_off;
pub mod requests;
#[cfg(test)]
mod tests;
pub mod turn;

use std::io;

use protocol::args::{Args, LargeWord};
use runtime::socket::Socket;
use runtime::socket_ring::{ListenerId, SocketId};

use crate::connection::Connection;
use crate::requests::Requests;

/// What stands above the connections.
pub trait Service {
    /// What the service remembers of a client.
    type Session;

    /// Decides about a socket that was accepted.
    ///
    /// # Errors
    ///
    /// The bytes to send before the socket is closed, if the client is turned away.
    fn open(
        &mut self,
        socket: &Socket,
        listener: ListenerId,
    ) -> Result<Connection<Self::Session>, Vec<u8>>;

    /// Takes notice that nobody could be accepted. The listener tries again by itself.
    fn accept_failed(&mut self, error: &io::Error);

    /// Serves requests of one connection, in order: all of them, or up to one that ends in
    /// [`Then::Wait`] or [`Then::Close`].
    fn serve(
        &mut self,
        id: SocketId,
        connection: &mut Connection<Self::Session>,
        requests: Requests<'_>,
    ) -> Served;

    /// Returns whether a connection in [`Then::Wait`] waits for what other clients do: then it is closed
    /// as soon as its peer sends no more.
    fn waits_for_others(&self, id: SocketId) -> bool;

    /// Returns whether the next word of a request may come by itself, to [`Service::serve_large`]: it is
    /// long, and `args` are the words before it.
    fn takes_large_word(&self, connection: &Connection<Self::Session>, args: Args<'_>) -> bool;

    /// Serves a request of which a long word came by itself.
    fn serve_large(
        &mut self,
        id: SocketId,
        connection: &mut Connection<Self::Session>,
        args: Args<'_>,
        large: LargeWord,
    ) -> Then;

    /// Takes notice that a connection is gone. Replies to it that are still to come are dropped.
    fn closed(&mut self, id: SocketId, session: Self::Session);
}

/// How far a service came with the requests it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// Requests that are done or under way. After [`Then::Wait`] the rest is offered again; after
    /// [`Then::GoOn`] in the next turn, when all other connections have been served.
    pub taken: usize,
    /// What to do with the connection.
    pub then: Then,
}

/// What to do with a connection after a call of [`Service::serve`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Offer more requests.
    GoOn,
    /// Offer nothing until `Net::resume`.
    Wait,
    /// Send what is written and close.
    Close,
}
