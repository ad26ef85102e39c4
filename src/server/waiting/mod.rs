//! Commands that wait for their keys, on the core of their client: who begins to wait, for how long,
//! and how that ends.
//!
//! Who waits, for keys or for replicas, stands in [`crate::timers`] as long as he does; that list is what
//! CLIENT LIST and INFO show, and what CLIENT UNBLOCK and a lost connection look at.
//!
//! Not here: keys and shards (`coordinator::transaction`, `coordinator::host`).

pub(crate) mod log;

use base::clock::Monotonic;
use base::ids::ShardId;
use commands::wait_form::{Timeout, WaitForm};
use coordinator::message::{Origin, OwnedRequest, Request};
use coordinator::route::{Route, route};
use coordinator::transaction::waits::Whose;
use net::Then;
use net::connection::Connection;
use protocol::reply::Reply;
use runtime::socket_ring::SocketId;

use crate::core_loop::Core;
use crate::engine::{Engine, origin_of};
use crate::session::Session;
use crate::table::Command;
use crate::timers::Due;

impl Engine {
    /// Runs a command that may wait for its keys. The client waits in any case, if only for a moment.
    pub(crate) fn run_or_wait(
        &mut self,
        id: SocketId,
        connection: &mut Connection<Session>,
        command: &Command,
        request: Request<'_>,
        form: &WaitForm,
    ) -> Then {
        let shards = match route(self.map, request.command, request.args) {
            Route::One(shard) => vec![shard],
            Route::Several(shards) => shards,
            Route::Anywhere | Route::Cursor => Vec::new(),
        };
        // Who sends no more is not there to wait.
        let timeout = (form.timeout)(request.args).filter(|_| !connection.is_closing());
        let (Some(Timeout(millis)), Some(&first)) = (timeout, shards.first()) else {
            return self.run_on_shards(id, connection, command, request, None);
        };
        self.note_waiting(id, command, request.args);
        let place = connection.output.defer();
        let origin = origin_of(id, place, connection.session.drops_reply());
        self.flush_envelopes();
        let owned = OwnedRequest::new(request);
        let whose = Whose {
            origin,
            author: self.author_of(id, &connection.session),
        };
        let waiter = if shards.len() == 1 {
            self.count_for_pin(connection, first);
            self.transactions
                .wait_on_one(&mut self.host, whose, first, owned)
        } else {
            let claims = self.claims(request, &shards);
            let around = self.surroundings();
            self.transactions
                .wait_on_several(&mut self.host, whose, claims, around, owned)
        };
        let deadline = millis.map(|millis| {
            let nanos = millis.saturating_mul(1_000_000);
            Monotonic(self.clock.0.saturating_add(nanos))
        });
        let mut nothing = Vec::new();
        Reply {
            out: &mut nothing,
            resp: request.resp,
        }
        .null_array();
        self.timers
            .add(deadline, origin, Due::Wait(waiter, nothing));
        Then::Wait
    }

    fn count_for_pin(&self, connection: &mut Connection<Session>, shard: ShardId) {
        let session = &mut connection.session;
        session.pin.vote(shard);
        if session.pin.leader().is_some_and(|leader| leader != self.me) && !session.special {
            connection.move_at_rest();
        }
    }

    /// Ends the waiting of a client that has left.
    pub(crate) fn abandon_wait(&mut self, id: SocketId) {
        if let Some((_, Due::Wait(waiter, _))) = self.timers.remove(id.to_bits()) {
            self.transactions.abandon_wait(&mut self.host, waiter);
        }
    }
}

impl Core {
    /// Lets a client that waits go on as if its time were over, or with `error`. Returns whether it
    /// has waited.
    pub(crate) fn stop_waiting(&mut self, connection: u64, error: Option<Vec<u8>>) -> bool {
        let Some((origin, due)) = self.engine.timers.remove(connection) else {
            return false;
        };
        match due {
            Due::Reply(reply) => self.fill_and_resume(origin, &error.unwrap_or(reply)),
            Due::Log(wait) => {
                let reply = error.unwrap_or_else(|| log::reply_now(self, &wait));
                self.fill_and_resume(origin, &reply);
            }
            Due::Wait(waiter, nothing) => {
                let reply = error.unwrap_or(nothing);
                let engine = &mut self.engine;
                engine
                    .transactions
                    .end_wait(&mut engine.host, waiter, reply);
            }
        }
        true
    }

    /// Gives a request that could wait for its keys its reply.
    pub(crate) fn end_wait(&mut self, origin: Origin, reply: &[u8], nanos: u64) {
        self.engine.timers.remove(origin.connection);
        self.account_running(origin, nanos, reply);
        self.fill_and_resume(origin, reply);
    }
}

/// Lets those go on whose time is over. Returns whether there was any.
pub(crate) fn end_overdue(core: &mut Core) -> bool {
    let due = core.engine.timers.due(core.engine.clock);
    let is_busy = !due.is_empty();
    for connection in due {
        core.stop_waiting(connection, None);
    }
    is_busy
}
