//! Table statements where there are several shards: which way each takes.
//!
//! ```text
//! catalog, HELP             here: every core knows all schemas
//! table at home             the shard of its name, in one piece, like GET
//! table spread, one row     the shard of the row
//! table spread              a program over all shards with a plan made here; the connection waits
//! anything else             a program over all shards; the connection waits
//! ```
//! What a core knows of tables may be old by the time that a request arrives elsewhere; and a statement may
//! turn out to be long. Then the shard hands it back ([`Source::Statement`]) and it runs as a program, under
//! the claim of that shard if it has all the rows. A connection does not wait for what it has sent to
//! a shard: what may go beside it is said in `away`. What may not, and statements that come back without a claim, go
//! one after the other (`late_statements`). Requests of another kind that may be about tables wait until none of
//! them is under way.
//!
//! Not here: what a program does (`coordinator::tables`), what a statement means (crate `tables`).

use base::ids::{ShardId, TxId};
use commands::scope::Scope;
use commands::spec::{Plan, Spread};
use commands::table::parts::{self, Planned};
use commands::table::{self, Way};
use coordinator::long_reply::Source;
use coordinator::message::{Handed, Message, Origin, OwnedRequest, Request};
use coordinator::program::program_of;
use coordinator::step::Program;
use coordinator::tables::growing::Growing;
use coordinator::tables::program_of_plan;
use net::Then;
use net::connection::Connection;
use protocol::args::PackedArgs;
use runtime::faults::{self, Fault};
use runtime::socket_ring::SocketId;
use shard::locks::{Claim, Mode};

use crate::away::Goes;
use crate::core_loop::Core;
use crate::engine::{Engine, origin_of, read_origin};
use crate::session::Session;
use crate::table::Command;

impl Engine {
    /// Runs a table command. There are several shards.
    pub(crate) fn run_statement(
        &mut self,
        id: SocketId,
        connection: &mut Connection<Session>,
        command: &Command,
        request: Request<'_>,
        scope: Scope,
    ) -> Then {
        if self.late_statements.has_any(id) && !faults::is_on(Fault::StatementOvertakes) {
            return self.add_late(id, connection, request);
        }
        let catalog = self.host.shard.tables().catalog(request.db);
        let name = request.args.get(table::table_word(scope));
        let name = table::key_of(name.unwrap_or_default());
        let way = table::way(catalog, scope, request.args);
        let (goes, shard) = match way {
            Way::Home(name) => (Some(Goes::Home), self.map.shard_of_key(name)),
            Way::OfRow(row) | Way::NewRow(row, _) => {
                (Some(Goes::ToRow), shard_of_row(row, self.map.shard_count()))
            }
            Way::Anywhere | Way::Everywhere => (None, self.me),
        };
        let course = goes.map(|goes| (self.host.shard.key(name).hash, goes));
        let is_allowed = connection.session.away.allows(&connection.output, course)
            && !self.host.has_returned((self.me, id.to_bits()));
        if !is_allowed && !faults::is_on(Fault::StatementOvertakes) {
            return self.add_late(id, connection, request);
        }
        let words;
        let request = match way {
            Way::Everywhere => {
                return self.begin_or_gather(id, connection, command, request, scope);
            }
            Way::NewRow(row, table) => {
                let mut extended = PackedArgs::from_args(request.args);
                extended.push_word(table::word_of_drawn(row, table).as_bytes());
                words = extended;
                Request {
                    command: &table::INSERT_ROW,
                    args: words.args(),
                    ..request
                }
            }
            Way::Anywhere | Way::Home(_) | Way::OfRow(_) => request,
        };
        let then = if shard == self.me {
            self.run_here(id, connection, command, &request)
        } else {
            self.send_there(id, connection, shard, request)
        };
        let (session, output) = (&mut connection.session, &connection.output);
        // On this core too it may have to wait, and then come back.
        if let Some(course) = course
            && (shard != self.me || !faults::is_on(Fault::OwnUnnoted))
            && let Some(place) = output.last_place()
            && output.is_awaited(place)
        {
            session.away.push(place, course);
        }
        then
    }

    /// Adds a statement to those that wait for others of their client.
    fn add_late(
        &mut self,
        id: SocketId,
        connection: &mut Connection<Session>,
        request: Request<'_>,
    ) -> Then {
        let place = connection.output.defer();
        let origin = origin_of(id, place, connection.session.drops_reply());
        let request = Box::new(OwnedRequest::new(request));
        self.late_statements.add((id, place), origin, request);
        Then::GoOn
    }

    /// Begins a statement as a program over all shards, which the connection waits for.
    pub(crate) fn begin_statement(
        &mut self,
        id: SocketId,
        connection: &mut Connection<Session>,
        command: &Command,
        request: Request<'_>,
    ) -> Then {
        let planned = self.plan_statement(request);
        self.begin_planned(id, connection, command, request, planned)
    }

    /// The same, with a plan if one could be made here.
    pub(crate) fn begin_planned(
        &mut self,
        id: SocketId,
        connection: &mut Connection<Session>,
        command: &Command,
        request: Request<'_>,
        planned: Option<Planned>,
    ) -> Then {
        let claims = self.claims(request, &[]);
        self.note_running(id, command, request.args, 0);
        let program = self.statement_program(request, planned);
        self.begin(id, connection, claims, program)
    }

    fn plan_statement(&self, request: Request<'_>) -> Option<Planned> {
        let Spread::Plan(Plan::Table(scope)) = request.command.spread else {
            return None;
        };
        let (db, resp) = (request.db, request.resp);
        parts::plan_here(&self.host.shard, db, scope, request.args, resp)
    }

    fn statement_program(
        &mut self,
        request: Request<'_>,
        planned: Option<Planned>,
    ) -> Box<dyn Program> {
        let surroundings = self.surroundings();
        match planned {
            Some(planned) => program_of_plan(surroundings, request, planned, self.me),
            None => program_of(surroundings, request),
        }
    }

    /// Holds a request back that may be about tables, behind statements of its client that are under way. Returns
    /// whether it is held: then the connection waits.
    pub(crate) fn is_held_back(
        &mut self,
        id: SocketId,
        connection: &mut Connection<Session>,
    ) -> bool {
        let is_held =
            self.has_statements_away(id, connection) && !faults::is_on(Fault::StatementOvertakes);
        if is_held {
            connection.session.take_back_request();
            self.late_statements.hold(id);
        }
        is_held
    }

    fn has_statements_away(&self, id: SocketId, connection: &mut Connection<Session>) -> bool {
        let late = &self.late_statements;
        let away = &mut connection.session.away;
        !late.is_empty() && late.has_any(id)
            || !away.is_empty()
                && away.has_any(&connection.output, None, |place| late.has(id, place))
    }

    /// Takes a statement that shard `from` has handed back.
    pub(crate) fn take_statement(&mut self, from: ShardId, handed: Handed) {
        let request = Box::new(handed.request);
        match handed.source {
            Source::Statement(Some(claimed)) => self.begin_claimed(handed.origin, request, claimed),
            Source::Statement(None) | Source::Pieces(_) | Source::Walk(_) | Source::Taken(_) => {
                let (id, place, _) = read_origin(handed.origin);
                self.late_statements
                    .add((id, place), handed.origin, request);
                // Behind all that the client has sent there.
                self.flush_envelopes();
                let connection = handed.origin.connection;
                self.host
                    .outbox
                    .push((from, Message::Noticed { connection }));
            }
        }
    }

    /// Begins to spread tables of this core that have grown.
    pub(crate) fn spread_tables(&mut self) {
        if !self.host.shard.has_growing() {
            return;
        }
        let mode = if faults::is_on(Fault::GrowthUnclaimed) {
            Mode::Shared
        } else {
            Mode::Exclusive
        };
        for (db, table, name) in self.host.shard.take_growing() {
            let key = self.host.shard.key(table::key_of(&name));
            let claim = Claim {
                keys: vec![(key.hash, mode)],
                whole: None,
            };
            let claims = self.map.shards().map(|shard| (shard, claim.clone()));
            let program = Box::new(Growing::new(self.map, db, self.me, table));
            self.transactions
                .begin(&mut self.host, NOBODY, claims.collect(), program);
        }
    }

    fn begin_claimed(
        &mut self,
        origin: Origin,
        request: Box<OwnedRequest>,
        claimed: (ShardId, TxId),
    ) {
        let program = program_of(self.surroundings(), request.as_request());
        self.transactions
            .begin_claimed(&mut self.host, (origin, request), claimed, program);
    }

    /// Begins a statement that its connection does not wait for.
    pub(crate) fn begin_late(&mut self, origin: Origin, request: Box<OwnedRequest>) {
        let claims = self.claims(request.as_request(), &[]);
        let planned = self.plan_statement(request.as_request());
        let program = self.statement_program(request.as_request(), planned);
        self.flush_envelopes();
        self.transactions
            .begin_late(&mut self.host, (origin, request), claims, program);
    }
}

impl Core {
    /// Begins statements before which nothing is under way any more, and lets connections go on whose requests
    /// were held back behind them. Returns whether there were any.
    pub(crate) fn begin_late_statements(&mut self) -> bool {
        let mut has_begun = false;
        for id in self.engine.late_statements.take_held() {
            let Some(connection) = self.net.connection_mut(id) else {
                continue;
            };
            if self.engine.has_statements_away(id, connection) {
                self.engine.late_statements.hold(id);
            } else {
                self.net.resume(id);
                self.engine.wrote.push(id);
                has_begun = true;
            }
        }
        for id in self.engine.late_statements.take_waiting() {
            let late = &self.engine.late_statements;
            let first = late.first_place(id);
            let is_away = self.net.connection_mut(id).is_some_and(|connection| {
                let away = &mut connection.session.away;
                away.has_any(&connection.output, first, |place| late.has(id, place))
            });
            if is_away {
                self.engine.late_statements.keep_waiting(id);
            } else if let Some((origin, request)) = self.engine.late_statements.begin(id) {
                self.engine.begin_late(origin, request);
                has_begun = true;
            }
        }
        has_begun
    }
}

/// Where a reply goes that nobody waits for.
const NOBODY: Origin = Origin {
    connection: u64::MAX,
    place: 0,
};

/// Returns the shard that row `row` of a spread table lies on.
fn shard_of_row(row: u64, shards: u16) -> ShardId {
    ShardId(u16::try_from(row % u64::from(shards)).unwrap_or(0))
}
