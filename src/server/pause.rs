//! CLIENT PAUSE on one core: requests that are put off until the pause is over.
//!
//! A pause is a gate of each session, so that a server without one pays nothing: all sessions of the
//! core become special, and those that come while it lasts. A request at the gate stays in its
//! connection's input, and the connection waits.
//!
//! When PAUSE has replied no core runs a write any more:
//! ```text
//! every core: close the gate, send a question to every core -> all answered: what was under way
//! between cores has arrived -> everything that waits for a claim since before has run -> OK
//! ```
//!
//! Lives on each core. Not here: the command ([`crate::control`]).

use base::clock::Monotonic;
use base::hash::Set;
use base::ids::TxId;
use commands::spec::Flags;
use runtime::socket_ring::SocketId;

use crate::core_loop::Core;
use crate::engine::Engine;
use crate::gather::{Asker, Finished, Gather};
use crate::session::{Multi, Session};
use crate::table::Command;

/// What a pause holds up; the later one holds up more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Held {
    /// Writes.
    Writes,
    /// Every request.
    All,
}

/// The pause of one core, if there is one.
#[derive(Debug, Default)]
pub(crate) struct Pause {
    active: Option<(Held, Monotonic)>,
    /// Connections with a request at the gate, in the order they came there.
    postponed: Vec<SocketId>,
    /// The same, by their bits, without those that have left.
    waiting: Set<u64>,
    /// Transactions begun here before all that was under way had arrived.
    begun_before: u64,
    /// Questions that are to overtake nothing, asked and answered.
    fences: (u64, u64),
}

impl Pause {
    /// Returns whether a pause lasts.
    pub(crate) fn is_active(&self) -> bool {
        self.active.is_some()
    }

    /// Returns when it is over.
    pub(crate) fn until(&self) -> Option<Monotonic> {
        self.active.map(|(_, until)| until)
    }

    /// Returns whether a connection has a request at the gate.
    pub(crate) fn holds(&self, id: SocketId) -> bool {
        self.waiting.contains(&id.to_bits())
    }

    /// Returns how many connections have a request at the gate.
    pub(crate) fn held_count(&self) -> usize {
        self.waiting.len()
    }

    /// Forgets a connection that has left.
    pub(crate) fn forget(&mut self, id: SocketId) {
        self.waiting.remove(&id.to_bits());
    }
}

impl Engine {
    /// Puts the request of a client off, if a pause holds it up. Returns whether it does.
    pub(crate) fn is_postponed(
        &mut self,
        id: SocketId,
        session: &mut Session,
        command: &Command,
    ) -> bool {
        let is_held = match self.pause.active {
            None => false,
            Some((Held::All, _)) => true,
            Some((Held::Writes, _)) => is_write(command, session.multi.as_deref()),
        };
        if is_held {
            self.pause.postponed.push(id);
            self.pause.waiting.insert(id.to_bits());
            session.take_back_request();
        }
        is_held
    }

    /// Closes the gate for a client that has come here.
    pub(crate) fn note_pause(&self, session: &mut Session) {
        session.is_gated = self.pause.is_active();
        session.review();
    }
}

fn is_write(command: &Command, multi: Option<&Multi>) -> bool {
    let is_write = |flags: Flags| flags.has(Flags::WRITE) || flags.has(Flags::MAY_REPLICATE);
    let executes_write = command.full_name == "exec"
        && multi.is_some_and(|multi| {
            multi.queue.has_flag(Flags::WRITE) || multi.queue.has_flag(Flags::MAY_REPLICATE)
        });
    is_write(command.declaration.flags) || executes_write
}

impl Core {
    /// Closes the gate of this core, or keeps it closed for longer or for more.
    fn begin_pause(&mut self, held: Held, until: Monotonic) {
        let (held, until) = match self.engine.pause.active {
            Some((before, end)) => (held.max(before), until.max(end)),
            None => (held, until),
        };
        let pause = &mut self.engine.pause;
        pause.active = Some((held, until));
        pause.fences.0 += 1;
        self.review_gates();
        let fence = Gather::all(
            |_| (),
            |core, _| {
                core.engine.pause.fences.1 += 1;
                Finished::Reply(Vec::new())
            },
        );
        self.ask(Asker::Nobody, fence);
    }

    /// Opens the gate of this core; who stands there goes on.
    fn end_pause(&mut self) {
        if self.engine.pause.active.take().is_none() {
            return;
        }
        self.review_gates();
        for id in std::mem::take(&mut self.engine.pause.postponed) {
            if self.engine.pause.waiting.remove(&id.to_bits()) {
                if let Some(connection) = self.net.connection_mut(id) {
                    connection.session.active_at = self.engine.clock;
                }
                self.net.resume(id);
                self.engine.wrote.push(id);
            }
        }
    }

    fn review_gates(&mut self) {
        let is_gated = self.engine.pause.is_active();
        for (_, connection) in self.net.iter_mut() {
            connection.session.is_gated = is_gated;
            connection.session.review();
        }
    }

    /// Opens the gate if the time is over. Returns whether it was.
    pub(crate) fn end_pause_in_time(&mut self) -> bool {
        let is_over = (self.engine.pause.until()).is_some_and(|until| until <= self.engine.clock);
        if is_over {
            self.end_pause();
        }
        is_over
    }
}

/// Closes the gates of all cores. With `waits` the reply comes when no write is under way any more.
pub(crate) fn pause(held: Held, until: Monotonic, waits: bool) -> Gather {
    Gather::all(
        move |core| core.begin_pause(held, until),
        move |_, _| {
            if waits {
                Finished::More(await_fences())
            } else {
                Finished::Reply(b"+OK\r\n".into())
            }
        },
    )
}

/// Asks until all that was under way between cores has arrived.
fn await_fences() -> Gather {
    Gather::all(
        |core| core.engine.pause.fences.0 == core.engine.pause.fences.1,
        |core, parts: Vec<bool>| {
            if parts.contains(&false) {
                return Finished::More(await_fences());
            }
            // What waits for a claim has a smaller id.
            let limit = core.engine.shared.tx_ids.next();
            Finished::More(await_claims(limit, true))
        },
    )
}

/// Asks until what was begun before, or waits for a claim since before `limit`, is over.
fn await_claims(limit: TxId, is_first: bool) -> Gather {
    Gather::all(
        move |core| {
            let engine = &mut core.engine;
            if is_first {
                // Now that what others had sent has arrived.
                engine.pause.begun_before = engine.transactions.counters.begun;
            }
            let begun = engine.pause.begun_before;
            !engine.transactions.has_begun_before(begun) && !engine.host.has_work_before(limit)
        },
        move |_, parts: Vec<bool>| {
            if parts.contains(&false) {
                Finished::More(await_claims(limit, false))
            } else {
                Finished::Reply(b"+OK\r\n".into())
            }
        },
    )
}

/// Opens the gates of all cores.
pub(crate) fn unpause() -> Gather {
    Gather::all(Core::end_pause, |_, _| Finished::Reply(b"+OK\r\n".into()))
}
