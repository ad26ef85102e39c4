//! EXEC of commands whose keys all lie on one shard.
//!
//! | the shard | runs | the connection |
//! |---|---|---|
//! | of this core, and nothing there has claimed the keys | in place, like any command | goes on |
//! | of this core | when its claim is granted | goes on; the reply has its place |
//! | of another core | there: one message there, one back | the same |
//!
//! The connection goes on as it does behind a request for one key: what follows for the same shard stays
//! behind the EXEC, by the order of messages and claims.
//!
//! Not here: EXEC over several shards, with commands of the coordinator, or shown to `MONITOR`
//! ([`super::transaction`]).

use base::ids::ShardId;
use coordinator::message::queue::{Lies, Queue, SentExec};
use coordinator::message::{Message, Origin, Watched};
use net::Then;
use net::connection::Connection;
use protocol::args::{Args, PackedArgs};
use protocol::reply::Reply;
use runtime::socket_ring::SocketId;

use super::{Answer, ControlContext};
use crate::command_index::CommandIndex;
use crate::core_loop::Core;
use crate::engine::{CoreMessage, Engine, origin_of};
use crate::session::Session;

/// Returns the shard on which an EXEC runs as a whole, if there is one.
pub(super) fn shard_of(engine: &Engine, queue: &Queue, watched: &[Watched]) -> Option<ShardId> {
    if engine.observed.has_monitors {
        return None;
    }
    let all = watched.iter().fold(queue.lies(), |lies, watched| {
        lies.and(Lies::On(watched.shard))
    });
    match all {
        Lies::Anywhere => Some(engine.me),
        Lies::On(shard) => Some(shard),
        Lies::Apart => None,
    }
}

/// Runs an EXEC on `shard`, which is that of [`shard_of`].
pub(super) fn run(
    context: &mut ControlContext<'_>,
    args: Args<'_>,
    shard: ShardId,
    (mut queue, watched): (Queue, Vec<Watched>),
) -> Answer {
    let engine = &mut *context.engine;
    let session = &mut context.connection.session;
    session.pin.vote(shard);
    queue.measure_each(!engine.observed.may_measure_together());
    if shard == engine.me && engine.host.may_exec(&queue, &watched) {
        engine.host.exec(&mut queue, &watched);
        engine.host.serve_if_ready();
        engine.account_queue(&queue, Some(session));
        queue.write_reply(&mut Reply {
            out: context.out,
            resp: session.resp,
        });
        engine.keep_queue(queue);
        return Answer::Now;
    }
    let command = engine.shared.table.resolve(args);
    let sent = SentExec {
        // It gets its place when the answer is taken.
        origin: Origin {
            connection: 0,
            place: 0,
        },
        queue,
        watched,
        resp: session.resp,
        words: PackedArgs::from_args(args),
        tag: command.map(|command| command.index.0).unwrap_or_default(),
        nanos: 0,
    };
    Answer::ExecOn(shard, Box::new(sent))
}

impl Engine {
    /// Brings an EXEC on its way, behind what its client has sent before.
    pub(crate) fn send_exec(
        &mut self,
        id: SocketId,
        connection: &mut Connection<Session>,
        shard: ShardId,
        mut sent: Box<SentExec>,
    ) -> Then {
        let place = connection.output.defer();
        sent.origin = origin_of(id, place, connection.session.drops_reply());
        if shard == self.me {
            self.host.take_exec(shard, sent);
            return Then::GoOn;
        }
        self.flush_envelopes();
        self.observed.sent_requests += 1;
        let message = CoreMessage::Shard(Message::Exec(sent));
        self.outbound.push_back((shard, message));
        Then::GoOn
    }
}

/// Gives the reply of an EXEC to its client, and counts it.
pub(crate) fn end(core: &mut Core, sent: SentExec) {
    let SentExec {
        origin,
        queue,
        resp,
        words,
        tag,
        nanos,
        ..
    } = sent;
    core.account_exec(origin, &queue);
    let mut reply = std::mem::take(&mut core.engine.observed.scratch);
    reply.clear();
    queue.write_reply(&mut Reply {
        out: &mut reply,
        resp,
    });
    core.fill(origin, &reply);
    core.account(origin, CommandIndex(tag), || words.args(), nanos, &reply);
    core.engine.observed.scratch = reply;
    core.engine.keep_queue(queue);
}
