//! Requests with a long word that came by itself, to be moved to where it stays.
//!
//! They take the way of a transaction with one hop, wherever their key lives: so the word goes along in
//! a message of its own and is never copied.
//!
//! Not here: how such a word is received (`net::large_input`), which commands take one
//! (`ShardCommand::taking_large`).

use coordinator::message::{OwnedRequest, Request};
use coordinator::route::{Route, route};
use coordinator::single::Single;
use net::Then;
use net::connection::Connection;
use protocol::args::{Args, LargeWord, PackedArgs};
use runtime::socket_ring::SocketId;

use crate::dispatch::OUT_OF_MEMORY;
use crate::engine::{Engine, Hint};
use crate::session::Session;
use crate::table::Run;

impl Engine {
    /// Returns whether the next word of a request may come by itself. Not for clients out of the
    /// ordinary, whose requests may be queued or put off, nor while requests are shown or refused.
    #[must_use]
    pub(crate) fn takes_large(&self, session: &Session, args: Args<'_>) -> bool {
        let Some(command) = self.shared.table.resolve(args) else {
            return false;
        };
        let Run::Shard(command) = command.run else {
            return false;
        };
        let is_taken = command.large.is_some_and(|large| large.word == args.len());
        is_taken && !session.special && !self.observed.is_attentive
    }

    /// Serves a request with a long word.
    #[cold]
    pub(crate) fn run_large(
        &mut self,
        id: SocketId,
        connection: &mut Connection<Session>,
        args: Args<'_>,
        large: LargeWord,
    ) -> Then {
        connection.session.active_at = self.clock;
        connection.session.commands += 1;
        let command = match self.gates(id, connection, args, &Hint::default(), &mut None) {
            Ok(command) => command,
            Err(then) => return then,
        };
        let Run::Shard(shard_command) = command.run else {
            unreachable!("only commands on shards take long words");
        };
        if self.is_out_of_memory() {
            return self.reject(connection, command, OUT_OF_MEMORY);
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
        let Route::One(shard) = route(self.map, shard_command, args) else {
            unreachable!("commands that take long words have one key");
        };
        let claims = vec![(shard, self.host.claim_of(&request))];
        self.note_running(id, command, shown(args, &large).args(), 0);
        let request = OwnedRequest {
            large: Some(large),
            ..OwnedRequest::new(request)
        };
        let program = Single::new(shard, request);
        self.begin(id, connection, claims, Box::new(program))
    }
}

/// Returns the words with so much of the long one as the slow log keeps, and a bit.
fn shown(args: Args<'_>, large: &LargeWord) -> PackedArgs {
    let end = large.bytes.len().min(SHOWN_BYTES_MAX);
    let mut words = PackedArgs::new();
    for (index, word) in args.iter().enumerate() {
        let is_long = index == large.index;
        words.push_word(if is_long { &large.bytes[..end] } else { word });
    }
    words
}

/// More of a word than any log shows.
const SHOWN_BYTES_MAX: usize = 1024;
