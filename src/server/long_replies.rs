//! The steps of long replies: what a client gets that asks for a set of millions, without the others
//! waiting for it.
//!
//! Each turn some of the long replies of a core get a step, in turn. A step makes some tens of kilobytes,
//! if little of what was made before is still unsent: so a client that reads slowly has no more of its
//! reply in memory than one that reads fast. Only when somebody waits for the value ([`LongReplies::hasten`])
//! the rest is made whether the client reads or not, and waits in `made`.
//!
//! ```text
//! source --step--> output                   this reply is next, and little is unsent
//! source --step--> made --later--> output   otherwise, if the value is wanted
//! ```
//!
//! Not here: where the value comes from and goes to (`coordinator::long_reply`), what a step makes
//! (`commands::long_reply`).

use std::collections::VecDeque;

use base::ids::TxId;
use commands::long_reply::LongReply;
use coordinator::host::Ran;
use coordinator::long_reply::{Back, Left, Source};
use coordinator::message::{Message, Origin, OwnedRequest, Request};
use net::Then;
use net::connection::Connection;
use protocol::reply::Resp;
use runtime::socket_ring::SocketId;

use crate::core_loop::Core;
use crate::engine::{Engine, origin_of, read_origin};
use crate::session::Session;
use crate::table::Command;

/// Bytes that are ready to be sent above which a long reply rests. As many may be in flight.
const READY_BYTES_MAX: usize = 256 * 1024;

/// Steps of all long replies in one turn.
const STEPS_PER_TURN: usize = 2;

/// The long replies of the connections of a core.
#[derive(Debug, Default)]
pub(crate) struct LongReplies {
    queue: VecDeque<Underway>,
}

/// A long reply.
#[derive(Debug)]
struct Underway {
    origin: Origin,
    resp: Resp,
    /// What makes the rest of it.
    source: Option<Source>,
    /// What is made and not given to the connection.
    made: VecDeque<Vec<u8>>,
    made_bytes: usize,
    /// Somebody waits for the value.
    is_wanted: bool,
}

/// What became of a long reply in a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Nothing: the client has to read first.
    Resting,
    /// A step.
    Stepped,
    /// It is complete, or its client is gone.
    Done,
}

impl LongReplies {
    /// Adds a reply whose place is taken already.
    pub(crate) fn add(&mut self, origin: Origin, resp: Resp, source: Source) {
        self.queue.push_back(Underway {
            origin,
            resp,
            source: Some(source),
            made: VecDeque::new(),
            made_bytes: 0,
            is_wanted: false,
        });
    }

    /// Notes that somebody waits for the value that `tx` keeps.
    pub(crate) fn hasten(&mut self, tx: TxId) {
        for reply in &mut self.queue {
            let source = reply.source.as_ref();
            reply.is_wanted |= source.is_some_and(|source| source.is_walk_of(tx));
        }
    }
}

impl Engine {
    /// Begins the long reply of a request that has just run on this core, or the change that it has left to steps.
    #[cold]
    pub(crate) fn reply_later(
        &mut self,
        id: SocketId,
        connection: &mut Connection<Session>,
        command: &Command,
        request: &Request<'_>,
        reply: LongReply,
    ) -> Then {
        if let LongReply::Statement(..) = reply {
            return self.begin_statement(id, connection, command, *request);
        }
        if let LongReply::Change(change) = reply {
            let place = connection.output.defer();
            let ran = Ran {
                to: self.me,
                origin: origin_of(id, place, connection.session.drops_reply()),
                request: OwnedRequest::new(*request),
                started: self.clock,
            };
            // Its own time is counted when it has ended, with that of its steps.
            if self.unmeasured.count > 0 {
                self.measure();
            }
            self.host.begin_change(ran, change);
            return Then::GoOn;
        }
        self.unmeasured.command = command.index;
        self.unmeasured.count += 1;
        self.measure_last(connection, command, request);
        let place = connection.output.defer();
        let origin = origin_of(id, place, connection.session.drops_reply());
        let source = self.host.begin_long(self.me, request, reply);
        self.long_replies.add(origin, request.resp, source);
        Then::GoOn
    }
}

/// Takes the steps of a turn. Returns whether there was anything to do.
pub(crate) fn step(core: &mut Core) -> bool {
    let mut steps = 0;
    for _ in 0..core.engine.long_replies.queue.len() {
        let Some(mut reply) = core.engine.long_replies.queue.pop_front() else {
            break;
        };
        match reply.advance(core) {
            Progress::Done => steps += 1,
            Progress::Stepped => {
                steps += 1;
                core.engine.long_replies.queue.push_back(reply);
            }
            Progress::Resting => core.engine.long_replies.queue.push_back(reply),
        }
        if steps == STEPS_PER_TURN {
            break;
        }
    }
    steps > 0
}

impl Underway {
    fn advance(&mut self, core: &mut Core) -> Progress {
        let (id, place, is_dropped) = read_origin(self.origin);
        let limit = core.net.options.output_bytes_max;
        let Some(connection) = core.net.connection_mut(id) else {
            self.end_source(core);
            return Progress::Done;
        };
        if is_dropped {
            connection.output.fill(place, &[]);
            core.engine.wrote.push(id);
            self.end_source(core);
            return Progress::Done;
        }
        if limit > 0 && connection.unsent_bytes() + self.made_bytes > limit {
            core.net.close_for_output(id, &mut core.engine);
            self.end_source(core);
            return Progress::Done;
        }
        let has_room = connection.output.ready_bytes() < READY_BYTES_MAX;
        let mut next = connection.output.begin_part(place);
        let is_next = next.is_some();
        let mut progress = Progress::Resting;
        if let Some(source) = &mut self.source {
            let made_before = self.made_bytes;
            let mut has_more = true;
            if let Some(ready) = next.as_mut()
                && has_room
                && made_before == 0
            {
                has_more = source.step(ready, self.resp);
                progress = Progress::Stepped;
            } else if self.is_wanted {
                let mut bytes = Vec::new();
                has_more = source.step(&mut bytes, self.resp);
                self.made_bytes += bytes.len();
                self.made.push_back(bytes);
                progress = Progress::Stepped;
            }
            let rest = source.take_rest();
            if rest.is_some() || !has_more {
                self.end_source(core);
                self.source = rest;
            }
        }
        let Some(connection) = core.net.connection_mut(id) else {
            return progress;
        };
        if is_next
            && has_room
            && let Some(ready) = connection.output.begin_part(place)
            && let Some(bytes) = self.made.pop_front()
        {
            self.made_bytes -= bytes.len();
            ready.extend_from_slice(&bytes);
            progress = Progress::Stepped;
        }
        if is_next && self.source.is_none() && self.made.is_empty() {
            connection.output.fill(place, &[]);
            progress = Progress::Done;
        }
        if progress != Progress::Resting {
            core.engine.wrote.push(id);
        }
        progress
    }

    /// Lets go of what makes the reply; values go back to their keys.
    fn end_source(&mut self, core: &mut Core) {
        match self.source.take().map_or(Left::Nothing, Source::end) {
            Left::Nothing => {}
            Left::Back(Back {
                home,
                tx,
                db,
                loans,
            }) => {
                let message = Message::Return { tx, db, loans };
                core.engine.host.outbox.push((home, message));
            }
            Left::Free(value) => core.engine.host.shard.free_later(value),
        }
    }
}
