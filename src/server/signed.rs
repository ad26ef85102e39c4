//! Changes of clients that do not want to be told of them (`CLIENT TRACKING` with NOLOOP): they are signed.
//!
//! A write of such a client takes a way of its own. On the shard of this core it runs in place between
//! two notes of who makes the changes; to other cores it goes as a transaction, whose hops say it.
//!
//! Not here: who is told of changes (`invalidate`), signed transactions ([`coordinator::signed`]).

use commands::spec::Flags;
use coordinator::message::{OwnedRequest, Request};
use coordinator::route::{Route, route};
use coordinator::single::Single;
use net::Then;
use net::connection::Connection;
use protocol::args::Args;
use runtime::socket_ring::SocketId;
use shard::watches::Author;

use crate::dispatch::OUT_OF_MEMORY;
use crate::engine::Engine;
use crate::session::Session;
use crate::table::{Command, Run};

impl Engine {
    /// Returns who signs the changes of a client, if anybody does.
    pub(crate) fn author_of(&self, id: SocketId, session: &Session) -> Option<Author> {
        let is_silent = session.tracking.as_ref().is_some_and(|it| it.is_silent);
        is_silent.then(|| Author {
            core: self.me,
            connection: id.to_bits(),
        })
    }

    /// Runs a write that is to be signed; nothing if the request is none. It has passed the gates before
    /// those of data.
    pub(crate) fn run_signed(
        &mut self,
        id: SocketId,
        connection: &mut Connection<Session>,
        command: &Command,
        args: Args<'_>,
    ) -> Option<Then> {
        let author = self.author_of(id, &connection.session)?;
        let flags = command.declaration.flags;
        let Run::Shard(shard_command) = command.run else {
            return None;
        };
        if !flags.has(Flags::WRITE) {
            return None;
        }
        self.track_reads(id, connection, command, args);
        if flags.has(Flags::DENY_OOM) && self.is_out_of_memory() {
            return Some(self.reject(connection, command, OUT_OF_MEMORY));
        }
        if self.observed.is_attentive
            && let Some(then) = self.attend(connection, command, args)
        {
            return Some(then);
        }
        let session = &connection.session;
        let request = Request {
            command: shard_command,
            db: session.db,
            resp: session.resp,
            touch: !session.no_touch,
            args,
            first_hash: None,
            tag: command.index.0,
        };
        Some(match route(self.map, shard_command, args) {
            Route::One(shard) if shard == self.me && self.host.may_run(&request) => {
                self.host.shard.sign_changes(Some(author));
                let then = self.run_on_shards(id, connection, command, request, None);
                self.host.shard.sign_changes(None);
                then
            }
            Route::One(shard) => {
                let claims = self.claims(request, &[shard]);
                self.note_running(id, command, args, 0);
                let program = Single::new(shard, OwnedRequest::new(request));
                self.begin(id, connection, claims, Box::new(program))
            }
            Route::Several(shards) => {
                self.begin_transaction(id, connection, command, request, &shards)
            }
            // They name no key that they could change.
            Route::Anywhere | Route::Cursor => {
                self.run_on_shards(id, connection, command, request, None)
            }
        })
    }
}
