//! The turn of a core: collect what the sockets brought, serve it, send the replies.

use std::collections::VecDeque;
use std::mem;
use std::time::Duration;

use base::cast::u64_from;
use protocol::args::WordRange;
use runtime::idle::Idle;
use runtime::listener::Listener;
use runtime::log_file::LogFile;
use runtime::socket::Socket;
use runtime::socket_ring::{ListenerId, Received, RingEvent, SocketId, SocketRing};

use crate::Service;
use crate::connection::{Connection, Moving, State};
use crate::options::{Counters, Options};
use crate::output::Output;
use crate::pass::Pass;
use crate::put_off::PutOff;
use crate::requests::Span;

/// The sockets and connections of one core.
#[derive(Debug)]
pub struct Net<S> {
    /// Bounds; may be changed at any time.
    pub options: Options,
    /// Counts so far.
    pub counters: Counters,
    ring: SocketRing,
    connections: Vec<Option<(SocketId, Box<Connection<S>>)>>,
    open_count: usize,
    dirty: Vec<SocketId>,
    /// Connections of which something is held back.
    held: Vec<SocketId>,
    /// How a sync has ended that nobody has asked about.
    synced: Option<std::io::Result<()>>,
    rested: Vec<SocketId>,
    queued: VecDeque<SocketId>,
    put_off: PutOff,
    detached: Vec<Moving<S>>,
    spare: Vec<Vec<u8>>,
    words: Vec<WordRange>,
    request_words: Vec<WordRange>,
    spans: Vec<Span>,
}

/// Buffers kept for connections that have something to send.
const SPARE_BUFFERS_MAX: usize = 256;

/// A buffer larger than this is freed when it has been sent.
const BUFFER_KEPT_BYTES: usize = 64 * 1024;

impl<S> Net<S> {
    /// Creates the network part of a core over its ring.
    #[must_use]
    pub fn new(ring: SocketRing, options: Options) -> Self {
        Self {
            options,
            counters: Counters::default(),
            ring,
            connections: Vec::new(),
            open_count: 0,
            dirty: Vec::new(),
            held: Vec::new(),
            synced: None,
            rested: Vec::new(),
            queued: VecDeque::new(),
            put_off: PutOff::default(),
            detached: Vec::new(),
            spare: Vec::new(),
            words: Vec::new(),
            request_words: Vec::new(),
            spans: Vec::new(),
        }
    }

    /// Starts to accept connections.
    pub fn listen(&mut self, listener: Listener) -> ListenerId {
        self.ring.listen(listener)
    }

    /// Stops to accept connections.
    pub fn stop_listening(&mut self, listener: ListenerId) {
        self.ring.stop_listening(listener);
    }

    /// Returns how many connections live here.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open_count
    }

    /// Returns whether no connection lives here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open_count == 0
    }

    /// Returns a connection, unless it is gone.
    pub fn connection_mut(&mut self, id: SocketId) -> Option<&mut Connection<S>> {
        match self.connections.get_mut(id.index()) {
            Some(Some((at, connection))) if *at == id => Some(connection),
            Some(_) | None => None,
        }
    }

    /// Returns all connections, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = (SocketId, &Connection<S>)> {
        self.connections
            .iter()
            .flatten()
            .map(|(id, connection)| (*id, &**connection))
    }

    /// Returns all connections for change.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (SocketId, &mut Connection<S>)> {
        self.connections
            .iter_mut()
            .flatten()
            .map(|(id, connection)| (*id, &mut **connection))
    }

    /// Takes notice that output was written to a connection outside of [`Service::serve`].
    pub fn wrote(&mut self, id: SocketId) {
        if let Some(connection) = self.connection_mut(id)
            && !connection.dirty
        {
            connection.dirty = true;
            self.dirty.push(id);
        }
    }

    /// Lets a connection go on after [`crate::Then::Wait`].
    pub fn resume(&mut self, id: SocketId) {
        if let Some(connection) = self.connection_mut(id)
            && connection.state == State::Waiting
        {
            connection.state = State::Open;
        }
        self.queue(id);
        self.wrote(id);
    }

    fn queue(&mut self, id: SocketId) {
        if let Some(connection) = self.connection_mut(id)
            && !connection.queued
            && !connection.input.is_empty()
        {
            connection.queued = true;
            self.queued.push_back(id);
        }
    }

    /// Closes a connection once its output is sent; requests behind are not served.
    pub fn close_after_output(&mut self, id: SocketId) {
        if let Some(connection) = self.connection_mut(id) {
            connection.state = State::Closing;
        }
        self.wrote(id);
    }

    /// Closes a connection at once, as more is unsent to it than its limit allows.
    pub fn close_for_output(&mut self, id: SocketId, service: &mut impl Service<Session = S>) {
        self.counters.output_limit_closes += 1;
        self.close(id, service);
    }

    /// Closes a connection at once.
    pub fn close(&mut self, id: SocketId, service: &mut impl Service<Session = S>) {
        if self.connection_mut(id).is_none() {
            return;
        }
        self.ring.close(id);
        self.forget(id, service);
    }

    fn forget(&mut self, id: SocketId, service: &mut impl Service<Session = S>) {
        if self.connection_mut(id).is_none() {
            return;
        }
        if let Some((_, connection)) = self.connections[id.index()].take() {
            self.open_count -= 1;
            service.closed(id, connection.session);
        }
    }

    /// Starts to hand a connection over to another core; it comes out of [`Self::take_detached`]
    /// when the ring has let go of it. Only for a connection at rest.
    pub fn detach(&mut self, id: SocketId) {
        let Some(connection) = self.connection_mut(id) else {
            return;
        };
        if !connection.is_at_rest() {
            return;
        }
        connection.state = State::Moving;
        self.ring.detach(id);
    }

    /// Returns a connection that has asked for [`Connection::move_at_rest`] and had nothing left to send
    /// a moment ago. It may be gone or busy again.
    pub fn take_rested(&mut self) -> Option<SocketId> {
        self.rested.pop()
    }

    /// Returns a connection that is ready to move, if there is one.
    pub fn take_detached(&mut self) -> Option<Moving<S>> {
        self.detached.pop()
    }

    /// Takes over a connection that comes from another core.
    pub fn adopt(&mut self, moving: Moving<S>) -> SocketId {
        let id = self.ring.add(moving.socket);
        let mut connection = Box::new(Connection::new(moving.session, moving.authenticated));
        connection.traffic = moving.traffic;
        connection.input = moving.input;
        self.insert(id, connection);
        self.queue(id);
        id
    }

    fn insert(&mut self, id: SocketId, connection: Box<Connection<S>>) {
        if self.connections.len() <= id.index() {
            self.connections.resize_with(id.index() + 1, || None);
        }
        self.connections[id.index()] = Some((id, connection));
        self.open_count += 1;
    }

    /// Serves what the sockets brought since the last turn, and connections that may go on.
    /// Returns whether there was anything.
    pub fn receive(&mut self, service: &mut impl Service<Session = S>) -> bool {
        let mut busy = self.take_put_off(service);
        while let Some(event) = self.ring.next_event() {
            busy = true;
            self.handle(event, service);
        }
        for _ in 0..self.queued.len() {
            busy = true;
            let Some(id) = self.queued.pop_front() else {
                break;
            };
            if let Some(connection) = self.connection_mut(id) {
                connection.queued = false;
                let input = mem::take(&mut connection.input);
                self.serve(id, input, service);
            }
        }
        busy
    }

    fn handle(&mut self, event: RingEvent, service: &mut impl Service<Session = S>) {
        match event {
            RingEvent::Accepted { listener, socket } => self.accept(listener, socket, service),
            RingEvent::AcceptFailed { error, .. } => service.accept_failed(&error),
            RingEvent::Received(received) => {
                self.counters.reads += 1;
                self.counters.received_bytes += u64_from(self.ring.received(&received).len());
                self.take_input(received, service);
            }
            RingEvent::Sent { id, buffer, bytes } => self.sent(id, buffer, bytes, service),
            RingEvent::SendFailed { id, .. } => self.close(id, service),
            RingEvent::Closed { id, error: None } => {
                if self.awaits_large(id) && self.put_off.is_over() {
                    self.put_off.push(id, event);
                } else {
                    self.peer_closed(id, service);
                }
            }
            RingEvent::Closed { id, error: Some(_) } => self.close(id, service),
            RingEvent::Detached { id, socket } => self.detached(id, socket),
            RingEvent::Synced(result) => self.synced = Some(result),
        }
    }

    fn accept(
        &mut self,
        listener: ListenerId,
        socket: Socket,
        service: &mut impl Service<Session = S>,
    ) {
        match service.open(&socket, listener) {
            Ok(connection) => {
                let id = self.ring.add(socket);
                self.insert(id, Box::new(connection));
            }
            Err(refusal) => socket.send_and_close(&refusal),
        }
    }

    /// Takes what was put off in earlier turns, as far as this one goes. Returns whether there was anything.
    fn take_put_off(&mut self, service: &mut impl Service<Session = S>) -> bool {
        self.put_off.begin_turn();
        let count = self.put_off.len();
        for _ in 0..count {
            match self.put_off.pop() {
                Some(RingEvent::Received(received)) => self.take_input(received, service),
                Some(event) => self.handle(event, service),
                None => break,
            }
        }
        if count > 0 {
            self.free_held();
        }
        count > 0
    }

    /// Receives again from connections of which nothing is put off any more.
    fn free_held(&mut self) {
        while let Some(id) = self.put_off.take_free() {
            let is_wanted = |it: &mut Connection<S>| !it.paused && !it.throttled;
            if self.connection_mut(id).is_some_and(is_wanted) {
                self.ring.resume_receive(id);
            }
        }
    }

    /// Returns whether a long word of a connection is on its way.
    fn awaits_large(&mut self, id: SocketId) -> bool {
        self.connection_mut(id).is_some_and(|it| it.awaits_large())
    }

    /// Serves received bytes in place if nothing is left from before, else behind what is left.
    fn take_input(&mut self, received: Received, service: &mut impl Service<Session = S>) {
        if let Some(received) = self.take_or_put_off(received, service) {
            self.ring.recycle(received);
        }
    }

    /// Takes received bytes; returns them to be recycled, if they were not put off.
    #[inline]
    fn take_or_put_off(
        &mut self,
        received: Received,
        service: &mut impl Service<Session = S>,
    ) -> Option<Received> {
        let id = received.id;
        let bytes = self.ring.received(&received);
        let Some(Some((at, connection))) = self.connections.get_mut(id.index()) else {
            return Some(received);
        };
        if *at != id {
            return Some(received);
        }
        let is_served_in_place =
            connection.state == State::Open && !connection.paused && connection.input.is_empty();
        // The head of a request whose long word is on its way is in the input.
        if !is_served_in_place && connection.awaits_large() {
            if self.put_off.is_over() {
                if self.put_off.push(id, RingEvent::Received(received)) {
                    self.ring.pause_receive(id);
                }
                return None;
            }
            self.put_off.count(bytes.len());
        }
        connection.traffic.received_bytes += u64_from(bytes.len());
        if is_served_in_place {
            let mut pass = Pass {
                id,
                connection,
                words: &mut self.words,
                request_words: &mut self.request_words,
                spans: &mut self.spans,
                options: &self.options,
                counters: &mut self.counters,
            };
            let served = pass.run(bytes, service);
            // If a long word follows, the head of its request is there already, and nothing is left.
            connection.input.extend_from_slice(&bytes[served..]);
            self.after_serving(id);
        } else if connection.state != State::Closing {
            let is_servable = connection.take_bytes(bytes);
            self.limit_input(id, service);
            if is_servable {
                self.queue_if_open(id);
            }
        }
        Some(received)
    }

    fn queue_if_open(&mut self, id: SocketId) {
        if self
            .connection_mut(id)
            .is_some_and(|it| it.state == State::Open && !it.paused)
        {
            self.queue(id);
        }
    }

    fn serve(&mut self, id: SocketId, mut input: Vec<u8>, service: &mut impl Service<Session = S>) {
        let Some(Some((_, connection))) = self.connections.get_mut(id.index()) else {
            return;
        };
        if connection.state != State::Open || connection.paused {
            connection.input = input;
            return;
        }
        let mut pass = Pass {
            id,
            connection,
            words: &mut self.words,
            request_words: &mut self.request_words,
            spans: &mut self.spans,
            options: &self.options,
            counters: &mut self.counters,
        };
        pass.connection.left_over = false;
        pass.review_large(&mut input, service);
        let served = if pass.connection.large.is_some() {
            pass.run_large(&input, service)
        } else {
            pass.run(&input, service)
        };
        if !pass.connection.input.is_empty() {
            // A long word has begun: the head of its request is all that stays.
            self.after_serving(id);
            return;
        }
        if served == input.len() && input.capacity() > BUFFER_KEPT_BYTES {
            input = Vec::new();
        } else {
            input.drain(..served);
        }
        connection.input = input;
        self.after_serving(id);
    }

    /// Notes output, and stops reading from a connection that has too much of it.
    fn after_serving(&mut self, id: SocketId) {
        let options = self.options;
        let Some(connection) = self.connection_mut(id) else {
            return;
        };
        let has_output = connection.output.has_ready() || connection.is_closing();
        let is_left_over = connection.left_over;
        let is_full = connection.unsent_bytes() > options.output_pause_bytes
            || connection.awaits_enough(options.output_pause_bytes, options.pending_replies_max);
        let is_backlogged =
            connection.state == State::Waiting && connection.unserved_bytes() > BACKLOG_PAUSE_BYTES;
        if (is_full || is_backlogged) && !connection.paused && connection.state != State::Closing {
            connection.paused = true;
            self.ring.pause_receive(id);
        }
        if has_output {
            self.wrote(id);
        }
        if is_left_over {
            self.queue(id);
        }
        self.throttle(id);
    }

    /// Stops reading from a connection of which much is left over, and reads on when it is served.
    fn throttle(&mut self, id: SocketId) {
        let Some(connection) = self.connection_mut(id) else {
            return;
        };
        let is_much = connection.left_over && connection.input.len() > BACKLOG_PAUSE_BYTES;
        if is_much == connection.throttled {
            return;
        }
        connection.throttled = is_much;
        if is_much {
            self.ring.pause_receive(id);
        } else if !connection.paused {
            self.ring.resume_receive(id);
        }
    }

    fn limit_input(&mut self, id: SocketId, service: &mut impl Service<Session = S>) {
        let limit = self.options.input_bytes_max;
        let Some(connection) = self.connection_mut(id) else {
            return;
        };
        if connection.unserved_bytes() > limit {
            self.counters.input_limit_closes += 1;
            self.close(id, service);
            return;
        }
        let is_waiting = connection.state == State::Waiting || connection.paused;
        if is_waiting && connection.unserved_bytes() > BACKLOG_PAUSE_BYTES && !connection.paused {
            connection.paused = true;
            self.ring.pause_receive(id);
        }
        self.throttle(id);
    }

    /// Reads on from a connection whose output has drained.
    pub fn reconsider(&mut self, id: SocketId) {
        let options = self.options;
        let Some(connection) = self.connection_mut(id) else {
            return;
        };
        let awaited_max = connection
            .output
            .awaited_max(options.output_pause_bytes, options.pending_replies_max);
        let has_drained = connection.unsent_bytes() <= options.output_pause_bytes / 2
            && connection.output.awaited() <= awaited_max / 2
            && connection.state != State::Waiting;
        if connection.paused && has_drained {
            connection.paused = false;
            if !connection.throttled {
                self.ring.resume_receive(id);
            }
            self.queue(id);
        }
    }

    fn sent(
        &mut self,
        id: SocketId,
        mut buffer: Vec<u8>,
        bytes: usize,
        service: &mut impl Service<Session = S>,
    ) {
        self.counters.sent_bytes += u64_from(bytes);
        buffer.clear();
        if buffer.capacity() <= BUFFER_KEPT_BYTES && self.spare.len() < SPARE_BUFFERS_MAX {
            self.spare.push(buffer);
        }
        let Some(connection) = self.connection_mut(id) else {
            return;
        };
        connection.traffic.sent_bytes += u64_from(bytes);
        connection.sending = false;
        connection.sending_bytes = 0;
        if connection.output.has_ready() {
            self.wrote(id);
        } else if connection.moves_at_rest {
            connection.moves_at_rest = false;
            if connection.is_at_rest() {
                self.rested.push(id);
            }
        }
        self.reconsider(id);
        self.close_if_finished(id, service);
    }

    /// The peer sends no more. What it has asked for is still served and answered.
    fn peer_closed(&mut self, id: SocketId, service: &mut impl Service<Session = S>) {
        if let Some(connection) = self.connection_mut(id) {
            connection.peer_closed = true;
            if connection.state == State::Waiting && service.waits_for_others(id) {
                self.close(id, service);
            } else {
                self.close_if_finished(id, service);
            }
        }
    }

    fn close_if_finished(&mut self, id: SocketId, service: &mut impl Service<Session = S>) {
        if self.connection_mut(id).is_some_and(|it| it.is_finished()) {
            self.close(id, service);
        }
    }

    fn detached(&mut self, id: SocketId, socket: Socket) {
        let Some(Some((at, _))) = self.connections.get(id.index()) else {
            return;
        };
        if *at != id {
            return;
        }
        if let Some((_, connection)) = self.connections[id.index()].take() {
            self.open_count -= 1;
            self.detached.push(Moving {
                socket,
                session: connection.session,
                authenticated: connection.authenticated,
                traffic: connection.traffic,
                input: connection.input,
            });
        }
    }

    /// Gives what is ready to the sockets. Returns whether there was anything.
    pub fn send(&mut self, service: &mut impl Service<Session = S>) -> bool {
        let busy = !self.dirty.is_empty();
        for index in 0..self.dirty.len() {
            let id = self.dirty[index];
            self.send_one(id, service, Output::take_ready);
        }
        self.dirty.clear();
        busy
    }

    /// Returns how many connections have something for [`Self::send`].
    #[must_use]
    pub fn connections_to_send(&self) -> usize {
        self.dirty.len()
    }

    /// Begins to bring what was appended to a file to the disk; [`Self::take_synced`] tells when it is there. Holds
    /// back what is ready for the sockets now, until [`Self::send_held`]; what comes later has to wait too, so call
    /// [`Self::send`] only when nothing is held back any more.
    ///
    /// # Panics
    ///
    /// If another sync is under way.
    pub fn sync(&mut self, file: &LogFile) {
        self.ring.sync(file);
        for index in 0..self.dirty.len() {
            let id = self.dirty[index];
            if let Some(connection) = self.connection_mut(id) {
                connection.dirty = false;
                connection.output.seal();
                self.held.push(id);
            }
        }
        self.dirty.clear();
    }

    /// Returns how the sync has ended, once.
    pub fn take_synced(&mut self) -> Option<std::io::Result<()>> {
        self.synced.take()
    }

    /// Gives the sockets what was held back.
    pub fn send_held(&mut self, service: &mut impl Service<Session = S>) {
        let mut held = mem::take(&mut self.held);
        for id in held.drain(..) {
            let Some(connection) = self.connection_mut(id) else {
                continue;
            };
            let was_dirty = connection.dirty;
            // One that only ends has nothing of either kind.
            if connection.output.has_sealed() || !connection.output.has_ready() {
                self.send_one(id, service, Output::take_sealed);
            }
            if was_dirty && let Some(connection) = self.connection_mut(id) {
                connection.dirty = true;
            }
        }
        self.held = held;
    }

    /// Sends of a connection what `take` takes of its output.
    fn send_one(
        &mut self,
        id: SocketId,
        service: &mut impl Service<Session = S>,
        take: impl FnOnce(&mut Output, Vec<u8>) -> Vec<u8>,
    ) {
        let limit = self.options.output_bytes_max;
        let Some(connection) = self.connection_mut(id) else {
            return;
        };
        connection.dirty = false;
        let limit = connection.output_bytes_max.unwrap_or(limit);
        if limit > 0 && connection.unsent_bytes() > limit {
            self.counters.output_limit_closes += 1;
            self.close(id, service);
            return;
        }
        if connection.sending {
            return;
        }
        if !connection.output.has_ready() {
            self.close_if_finished(id, service);
            return;
        }
        let spare = self.spare.pop().unwrap_or_default();
        let Some(connection) = self.connection_mut(id) else {
            return;
        };
        let buffer = take(&mut connection.output, spare);
        connection.sending = true;
        connection.sending_bytes = buffer.len();
        self.counters.writes += 1;
        self.ring.send(id, buffer, 0);
    }

    /// Submits what was sent and collects what came in, in at most one system call.
    ///
    /// # Errors
    ///
    /// If the ring itself fails, which no client can cause.
    pub fn exchange(&mut self) -> std::io::Result<()> {
        self.ring.turn()
    }

    /// Waits until a socket, another core or the time calls. See `SocketRing::wait`.
    ///
    /// # Errors
    ///
    /// If the ring itself fails.
    pub async fn wait(
        &mut self,
        idle: &mut Idle,
        until: Option<Duration>,
        inbound: impl Fn() -> bool,
    ) -> std::io::Result<()> {
        self.ring.wait(idle, until, inbound).await
    }
}

/// Input that may pile up behind a request that waits, before reading stops.
const BACKLOG_PAUSE_BYTES: usize = 256 * 1024;

impl<S> Net<S> {
    /// Takes what the sockets brought and serves none of it: the server is stopping. Returns whether
    /// there was anything.
    pub fn discard_input(&mut self, service: &mut impl Service<Session = S>) -> bool {
        let mut busy = false;
        while let Some(event) = self.ring.next_event() {
            busy = true;
            match event {
                RingEvent::Received(received) => self.ring.recycle(received),
                RingEvent::Sent { id, buffer, bytes } => self.sent(id, buffer, bytes, service),
                RingEvent::Accepted { socket, .. } => drop(socket),
                RingEvent::SendFailed { .. }
                | RingEvent::AcceptFailed { .. }
                | RingEvent::Closed { .. }
                | RingEvent::Detached { .. }
                | RingEvent::Synced(_) => {}
            }
        }
        busy
    }
}
