//! Statements about one spread table that stand one behind the other in a client's pipeline, and need all shards: they
//! go as one program, and so in one round instead of as many.
//!
//! Which ones: reading ones, or changes that are sure, each of few rows, all by the same command. The first one waits
//! in [`Engine::gathered`] until the requests behind it have been looked at, in the same turn.
//!
//! Not here: what the program does (`coordinator::tables::together`), other statements (`statements`).

use base::cast::u64_from;
use commands::scope::Scope;
use commands::spec::{Flags, Plan, Spread};
use commands::table::parts::{self, Planned};
use commands::table::{self, Way};
use coordinator::message::Request;
use coordinator::message::queue::Lies;
use coordinator::tables::together::{Together, may_go_together};
use net::Then;
use net::connection::Connection;
use net::requests::Requests;
use protocol::args::Args;
use runtime::socket_ring::SocketId;

use crate::command_index::CommandIndex;
use crate::engine::Engine;
use crate::session::Session;
use crate::table::{Command, Run};

/// Most statements of one program.
const STATEMENTS_MAX: usize = 64;

/// A program takes no further statements when their words have so many bytes.
const BYTES_MAX: usize = 16 * 1024;

impl Engine {
    /// Begins a statement that needs all shards, or leaves it to [`Engine::taken_by`] if others may go with it. The
    /// connection waits.
    pub(crate) fn begin_or_gather(
        &mut self,
        id: SocketId,
        connection: &mut Connection<Session>,
        command: &Command,
        request: Request<'_>,
        scope: Scope,
    ) -> Then {
        let shard = &self.host.shard;
        let planned = parts::plan_here(shard, request.db, scope, request.args, request.resp);
        let is_plain = !connection.session.special && !self.observed.is_attentive;
        match planned {
            Some(planned) if is_plain && may_go_together(&planned, self.map.shard_count()) => {
                self.gathered = Some((command.index, Box::new(planned)));
                Then::Wait
            }
            planned => self.begin_planned(id, connection, command, request, planned),
        }
    }

    /// Returns how many requests are taken when request `index` has the connection wait: with those before it, and
    /// those that go with it.
    #[inline(never)]
    pub(crate) fn taken_by(
        &mut self,
        id: SocketId,
        connection: &mut Connection<Session>,
        requests: &Requests<'_>,
        index: usize,
    ) -> usize {
        if let Some((command, first)) = self.gathered.take() {
            return index + self.begin_gathered(id, connection, (requests, index), command, *first);
        }
        let is_taken = !self.pause.holds(id) && !self.late_statements.holds(id);
        index + usize::from(is_taken)
    }

    /// Begins a statement with those behind it that may go with it. Returns how many go.
    fn begin_gathered(
        &mut self,
        id: SocketId,
        connection: &mut Connection<Session>,
        (requests, index): (&Requests<'_>, usize),
        command: CommandIndex,
        first: Planned,
    ) -> usize {
        let command = self.shared.table.at(command);
        let Run::Shard(shard_command) = command.run else {
            unreachable!("a statement runs on shards");
        };
        let request = |args| Request {
            command: shard_command,
            db: connection.session.db,
            resp: connection.session.resp,
            touch: !connection.session.no_touch,
            args,
            first_hash: None,
            tag: command.index.0,
        };
        let args = requests.args(index);
        let mut rows = first.rows;
        let mut bytes = args.span_bytes();
        let mut planned = vec![first];
        for at in index + 1..requests.len().min(index + STATEMENTS_MAX) {
            let next = requests.args(at);
            bytes += next.span_bytes();
            if bytes > BYTES_MAX {
                break;
            }
            let Some(more) = self.plan_with(command, (args, &planned[0]), request(next), rows)
            else {
                break;
            };
            rows += more.rows;
            planned.push(more);
        }
        let count = planned.len();
        if count == 1 {
            let planned = planned.pop();
            self.begin_planned(id, connection, command, request(args), planned);
            return 1;
        }
        let mut queue = self.spare_queue();
        for at in index..index + count {
            queue.push(request(requests.args(at)), Lies::Apart, true);
        }
        connection.session.commands += u64_from(count - 1);
        let claims = self.claims(request(args), &[]);
        let program = Together::new(self.surroundings(), self.me, queue, planned);
        self.begin(id, connection, claims, Box::new(program));
        count
    }

    /// Plans a request if it may go with another one, of which all have so many rows.
    fn plan_with(
        &mut self,
        command: &Command,
        (args, first): (Args<'_>, &Planned),
        request: Request<'_>,
        rows: u64,
    ) -> Option<Planned> {
        let next = request.args;
        let Spread::Plan(Plan::Table(scope)) = request.command.spread else {
            return None;
        };
        let is_alike = next.word(0) == args.word(0)
            && next.get(1) == args.get(1)
            && command.declaration.arity.accepts(next.len());
        if !is_alike || command.declaration.flags.has(Flags::DENY_OOM) && self.is_out_of_memory() {
            return None;
        }
        let shard = &self.host.shard;
        let catalog = shard.tables().catalog(request.db);
        if table::way(catalog, scope, next) != Way::Everywhere {
            return None;
        }
        let planned = parts::plan_here(shard, request.db, scope, next, request.resp)?;
        let most = 2 * u64_from(shard.options().table_step_rows);
        let is_same_kind = planned.work.plan.is_write() == first.work.plan.is_write();
        let may_go = is_same_kind && rows + planned.rows <= most;
        (may_go && may_go_together(&planned, self.map.shard_count())).then_some(planned)
    }
}
