//! Scripts that run on another core than that of their client: the one that has all their keys.
//!
//! One message there, one back. Meanwhile the client goes on with its next request; the core that runs the
//! script knows it by a number, which stands in the place of a connection.

use std::sync::Arc;

use base::hash::Map;
use base::ids::ShardId;
use commands::spec::CommandError;
use coordinator::message::Origin;
use coordinator::signed::Signed;
use coordinator::step::Step;
use protocol::args::PackedArgs;
use shard::locks::Claim;
use shard::watches::Author;

use super::program::{ScriptProgram, error_reply};
use super::start::{Caller, Known, Wanted, What};
use crate::command_index::CommandIndex;
use crate::core_loop::Core;
use crate::engine::CoreMessage;

/// A script on its way to another core.
#[derive(Debug)]
pub struct Sent {
    pub(crate) words: PackedArgs,
    /// What was found before, see [`Wanted::source`].
    source: Option<Arc<[u8]>>,
    /// What is known of it.
    known: Known,
    /// The command, for statistics.
    pub(crate) index: CommandIndex,
    caller: Caller,
    /// Who is not to be told of its changes.
    pub(crate) author: Option<Author>,
    /// Where the reply belongs, on the core that sends it.
    pub(crate) origin: Origin,
}

impl Sent {
    pub(crate) fn new(
        (wanted, known): (&Wanted<'_>, Known),
        index: CommandIndex,
        caller: Caller,
    ) -> Box<Self> {
        Box::new(Self {
            words: PackedArgs::from_args(wanted.words),
            source: wanted.source.clone(),
            known,
            index,
            caller,
            author: None,
            origin: Origin {
                connection: 0,
                place: 0,
            },
        })
    }
}

/// The scripts of other cores that run here.
#[derive(Debug, Default)]
pub(crate) struct Guests {
    last: u64,
    waiting: Map<u64, (ShardId, Box<Sent>)>,
}

/// Marks the origin of a guest: no connection has such a number.
const GUEST: u64 = 1 << 63;

impl Guests {
    fn welcome(&mut self, from: ShardId, sent: Box<Sent>) -> Origin {
        self.last += 1;
        self.waiting.insert(self.last, (from, sent));
        Origin {
            connection: GUEST | self.last,
            place: 0,
        }
    }

    /// Returns the core that a guest came from, and what it was; none for the client of a connection.
    fn leave(&mut self, origin: Origin) -> Option<(ShardId, Box<Sent>)> {
        if origin.connection & GUEST == 0 {
            return None;
        }
        self.waiting.remove(&(origin.connection & !GUEST))
    }
}

impl Core {
    /// Runs a script of core `from`.
    pub(crate) fn take_script(&mut self, from: ShardId, sent: Box<Sent>) {
        let engine = &mut self.engine;
        let caller = sent.caller.clone();
        // The sender has read it before, so it can be read.
        let looked_up = Wanted::read(sent.words.args()).ok().map(|mut wanted| {
            wanted.source.clone_from(&sent.source);
            wanted.is_kept = true;
            let known = match wanted.what {
                What::Source | What::Kept => engine.look_up(&wanted),
                What::Function => Ok(sent.known),
            };
            known.map(|known| {
                let claims = engine.claims_of(&wanted, Some(known));
                (
                    claims,
                    engine.program_of_script(&wanted, Some(known), &caller),
                )
            })
        });
        let asker = (from, sent.origin.connection);
        let author = sent.author;
        let origin = engine.guests.welcome(from, sent);
        match looked_up {
            Some(Ok((claims, program))) => self.run_guest((asker, author), origin, claims, program),
            Some(Err(error)) => {
                let text = String::from_utf8_lossy(&error.0);
                self.send_home(origin, error_reply(&text, caller.resp), 0);
            }
            None => {
                let text = CommandError::Syntax.text("eval", PackedArgs::new().args());
                self.send_home(origin, error_reply(&text, caller.resp), 0);
            }
        }
    }

    fn run_guest(
        &mut self,
        (asker, author): ((ShardId, u64), Option<Author>),
        origin: Origin,
        mut claims: Vec<(ShardId, Claim)>,
        mut program: Box<ScriptProgram>,
    ) {
        let engine = &mut self.engine;
        let Some(claim) = engine.claim_if_free(&claims) else {
            let (host, transactions) = (&mut engine.host, &mut engine.transactions);
            let program = Signed::if_any(author, program);
            return match claims.pop() {
                Some((shard, claim)) if claims.is_empty() && shard == host.me() => {
                    transactions.begin_guest(host, origin, asker, claim, program);
                }
                last => {
                    claims.extend(last);
                    transactions.begin(host, origin, claims, program);
                }
            };
        };
        let begun = runtime::clock::monotonic();
        engine.host.shard.sign_changes(author);
        let step = program.begin_here(&mut engine.host, claim.as_ref());
        engine.host.shard.sign_changes(None);
        engine.count_calls();
        if let Step::Done { reply } = step {
            engine.host.serve_if_ready();
            let nanos = runtime::clock::monotonic().nanos_since(begun);
            self.send_home(origin, reply, nanos);
        } else {
            let host = &mut engine.host;
            let (program, step) = Signed::from_step_if_any(author, program, step);
            engine
                .transactions
                .adopt(host, origin, claim, program, step);
        }
    }

    /// Sends the reply of a guest home. Returns it if `origin` is none.
    pub(crate) fn send_home(
        &mut self,
        origin: Origin,
        reply: Vec<u8>,
        nanos: u64,
    ) -> Option<Vec<u8>> {
        let Some((home, sent)) = self.engine.guests.leave(origin) else {
            return Some(reply);
        };
        self.engine
            .outbound
            .push_back((home, CoreMessage::ScriptDone(sent, reply, nanos)));
        None
    }
}
