//! Table statements that their connections do not wait for.
//!
//! A statement waits here if it may not go beside those of its client that are under way (`away`), or if a shard has
//! handed it back. They begin in the order in which they were sent, one after the other, each when all that were sent
//! before it are answered or here.
//!
//! What else may have to do with tables (EXEC, scripts, WATCH, FLUSHALL) is held back meanwhile: the request stays
//! in the input of its connection, which waits.
//!
//! Not here: what adds them (`statements`).

use std::collections::VecDeque;

use base::hash::Map;
use coordinator::message::{Origin, OwnedRequest};
use net::output::Place;
use runtime::socket_ring::SocketId;

/// Such statements, by the bits of their connection.
#[derive(Debug, Default)]
pub(crate) struct LateStatements {
    queues: Map<u64, Queue>,
    /// Connections whose first statement does not run yet.
    waiting: Vec<SocketId>,
    /// Connections whose next request is held back.
    held: Vec<SocketId>,
}

/// The statements of one connection, in the order in which they were sent.
#[derive(Debug, Default)]
struct Queue {
    statements: VecDeque<Late>,
    /// The first one runs.
    is_running: bool,
}

#[derive(Debug)]
struct Late {
    place: Place,
    origin: Origin,
    request: Box<OwnedRequest>,
}

impl LateStatements {
    /// Returns whether a connection has any.
    pub(crate) fn has_any(&self, id: SocketId) -> bool {
        self.queues.contains_key(&id.to_bits())
    }

    /// Adds a statement where it belongs: `origin` is that of connection `id` and place `place`.
    pub(crate) fn add(
        &mut self,
        (id, place): (SocketId, Place),
        origin: Origin,
        request: Box<OwnedRequest>,
    ) {
        let queue = self.queues.entry(id.to_bits()).or_default();
        let later = |it: &Late| it.place.0 > place.0;
        let running = usize::from(queue.is_running);
        let index = queue.statements.iter().skip(running).position(later);
        let index = index.map_or(queue.statements.len(), |index| index + running);
        let late = Late {
            place,
            origin,
            request,
        };
        queue.statements.insert(index, late);
        if !queue.is_running && !self.waiting.contains(&id) {
            self.waiting.push(id);
        }
    }

    /// Notes that the statement of a place is done.
    pub(crate) fn end(&mut self, id: SocketId, place: Place) {
        let Some(queue) = self.queues.get_mut(&id.to_bits()) else {
            return;
        };
        let first = queue.statements.front();
        if !queue.is_running || first.is_none_or(|first| first.place != place) {
            return;
        }
        queue.statements.pop_front();
        queue.is_running = false;
        if queue.statements.is_empty() {
            self.queues.remove(&id.to_bits());
        } else {
            self.waiting.push(id);
        }
    }

    /// Returns the place of the first statement of a connection.
    pub(crate) fn first_place(&self, id: SocketId) -> Option<Place> {
        let queue = self.queues.get(&id.to_bits())?;
        queue.statements.front().map(|first| first.place)
    }

    /// Returns whether a statement of this place has come back.
    pub(crate) fn has(&self, id: SocketId, place: Place) -> bool {
        let queue = self.queues.get(&id.to_bits());
        queue.is_some_and(|queue| queue.statements.iter().any(|it| it.place == place))
    }

    /// Returns the first statement of a connection, which runs from now on.
    pub(crate) fn begin(&mut self, id: SocketId) -> Option<(Origin, Box<OwnedRequest>)> {
        let queue = self.queues.get_mut(&id.to_bits())?;
        let first = queue.statements.front()?;
        queue.is_running = true;
        let request = OwnedRequest::new(first.request.as_request());
        Some((first.origin, Box::new(request)))
    }

    /// Returns the connections whose first statement does not run yet, and forgets them.
    pub(crate) fn take_waiting(&mut self) -> Vec<SocketId> {
        std::mem::take(&mut self.waiting)
    }

    /// Returns whether there are any at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// Notes that the next request of a connection is held back.
    pub(crate) fn hold(&mut self, id: SocketId) {
        self.held.push(id);
    }

    /// Returns whether the next request of a connection is held back.
    pub(crate) fn holds(&self, id: SocketId) -> bool {
        self.held.contains(&id)
    }

    /// Returns the connections whose next request is held back, and forgets them.
    pub(crate) fn take_held(&mut self) -> Vec<SocketId> {
        std::mem::take(&mut self.held)
    }

    /// Takes a connection back, whose first statement still has to wait.
    pub(crate) fn keep_waiting(&mut self, id: SocketId) {
        self.waiting.push(id);
    }
}
