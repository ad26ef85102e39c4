//! One connection: its input, its output, and the session that the service keeps for it.

use protocol::args::WordRange;
use protocol::request::RequestParser;
use runtime::socket::Socket;

use crate::large_input::LargeInput;
use crate::output::Output;

/// A connection on the core where it lives.
#[derive(Debug)]
pub struct Connection<S> {
    /// What the service remembers of the client.
    pub session: S,
    /// Replies.
    pub output: Output,
    /// Whether the client has logged in; before that requests are small.
    pub authenticated: bool,
    /// Unsent bytes above which it is closed at once, if another limit holds for it than for all; 0 for
    /// no limit.
    pub output_bytes_max: Option<usize>,
    /// Bytes received and sent so far.
    pub traffic: Traffic,
    pub(crate) parser: RequestParser,
    /// Words of a request that is not complete yet.
    pub(crate) partial_words: Vec<WordRange>,
    pub(crate) input: Vec<u8>,
    /// A long word that is being received by itself; `input` has the request up to it.
    pub(crate) large: Option<Box<LargeInput>>,
    pub(crate) state: State,
    /// The peer sends no more; what has come is still served.
    pub(crate) peer_closed: bool,
    /// Stands in the list of connections that came to rest, once it has.
    pub(crate) moves_at_rest: bool,
    /// A send is in flight.
    pub(crate) sending: bool,
    /// Bytes of the send in flight.
    pub(crate) sending_bytes: usize,
    /// The socket is not read from, because of its output or its input; and nothing is served.
    pub(crate) paused: bool,
    /// The service has left requests for the next turn, which stand in `input`.
    pub(crate) left_over: bool,
    /// The socket is not read from, because much is left over. It is served.
    pub(crate) throttled: bool,
    /// Stands in the list of connections with output.
    pub(crate) dirty: bool,
    /// Stands in the list of connections to serve.
    pub(crate) queued: bool,
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Requests are served as they come.
    Open,
    /// A request is under way behind which nothing may start.
    Waiting,
    /// Sends what it has, then closes.
    Closing,
    /// Handing its socket over to another core.
    Moving,
}

/// Bytes received and sent, and reads that brought them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traffic {
    /// Bytes received.
    pub received_bytes: u64,
    /// Bytes given to the socket.
    pub sent_bytes: u64,
}

/// A connection between two cores: everything but its place in a ring.
#[derive(Debug)]
pub struct Moving<S> {
    /// The socket; the peer notices nothing.
    pub socket: Socket,
    /// The session.
    pub session: S,
    /// Whether the client has logged in.
    pub authenticated: bool,
    /// Bytes so far.
    pub traffic: Traffic,
    /// What was received and not served.
    pub(crate) input: Vec<u8>,
}

impl<S> Connection<S> {
    /// Creates a connection that has received and sent nothing.
    #[must_use]
    pub fn new(session: S, authenticated: bool) -> Self {
        Self {
            session,
            output: Output::default(),
            authenticated,
            output_bytes_max: None,
            traffic: Traffic::default(),
            parser: RequestParser::new(),
            partial_words: Vec::new(),
            input: Vec::new(),
            large: None,
            state: State::Open,
            peer_closed: false,
            moves_at_rest: false,
            sending: false,
            sending_bytes: 0,
            paused: false,
            left_over: false,
            throttled: false,
            dirty: false,
            queued: false,
        }
    }

    /// Takes received bytes that cannot be served in place. Returns whether there may be something to
    /// serve now: not if they were a part of a long word.
    pub(crate) fn take_bytes(&mut self, bytes: &[u8]) -> bool {
        let Some(large) = &mut self.large else {
            self.input.extend_from_slice(bytes);
            return true;
        };
        let was_whole = large.is_whole();
        let rest = large.take(bytes);
        if !large.is_whole() {
            return false;
        }
        if !was_whole {
            large.request_bytes = self.parser.skip_open_word(&mut self.partial_words);
        }
        self.input.extend_from_slice(rest);
        true
    }

    /// Returns whether a long word is on its way that is received by itself.
    #[inline]
    pub(crate) fn awaits_large(&self) -> bool {
        self.large.as_ref().is_some_and(|large| !large.is_whole())
    }

    /// Returns the bytes received and not served yet.
    #[must_use]
    pub fn unserved_bytes(&self) -> usize {
        self.input.len() + self.large.as_ref().map_or(0, |large| large.bytes.len())
    }

    /// Returns the memory that the input and output buffers take.
    #[must_use]
    pub fn buffer_bytes(&self) -> usize {
        let large = self.large.as_ref();
        self.input.capacity()
            + self.output.capacity_bytes()
            + large.map_or(0, |large| large.bytes.capacity())
    }

    /// Returns the bytes that wait to be sent, those in flight included.
    #[must_use]
    pub fn unsent_bytes(&self) -> usize {
        self.output.unsent_bytes() + self.sending_bytes
    }

    /// Returns the room that the input buffer has left.
    #[must_use]
    pub fn input_room_bytes(&self) -> usize {
        self.input.capacity() - self.input.len()
    }

    /// Returns the memory that the words of a request take that has come in part.
    #[must_use]
    pub fn partial_word_bytes(&self) -> usize {
        self.partial_words.capacity() * size_of::<WordRange>()
    }

    /// Returns whether a request is under way behind which nothing may start.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.state == State::Waiting
    }

    /// Returns whether the connection ends by itself: once its output is sent, or, if the peer sends no
    /// more, once all is served that has come.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.state == State::Closing || self.peer_closed
    }

    /// Asks for a word in [`crate::turn::Net::take_rested`] the next time that all replies are sent: the
    /// service wants the connection on another core.
    pub fn move_at_rest(&mut self) {
        self.moves_at_rest = true;
    }

    /// Returns whether nothing is left to do: the connection may be closed.
    pub(crate) fn is_finished(&self) -> bool {
        let is_ending = match self.state {
            State::Closing => true,
            // Input that is neither queued nor kept back is a request that will never be whole.
            State::Open => self.peer_closed && !self.paused && !self.queued,
            State::Waiting | State::Moving => false,
        };
        is_ending && !self.sending && self.output.awaited() == 0 && !self.output.has_ready()
    }

    /// Returns whether the socket is read from.
    #[must_use]
    pub fn is_read_from(&self) -> bool {
        !self.paused && !self.throttled && matches!(self.state, State::Open | State::Waiting)
    }

    /// Returns whether a send is under way.
    #[must_use]
    pub fn is_sending(&self) -> bool {
        self.sending
    }

    /// Returns whether so many replies are awaited that nothing more should be asked for: together
    /// they are expected to take `bytes`, or there are `count_max`.
    #[inline]
    #[must_use]
    pub fn awaits_enough(&self, bytes: usize, count_max: usize) -> bool {
        let awaited = self.output.awaited();
        awaited > 0 && awaited >= self.output.awaited_max(bytes, count_max)
    }

    /// Returns whether the connection could move to another core now: nothing awaited and nothing
    /// unsent. What was received and not served goes with it.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.state == State::Open
            && self.large.is_none()
            && !self.sending
            && self.output.awaited() == 0
            && self.output.unsent_bytes() == 0
    }
}
