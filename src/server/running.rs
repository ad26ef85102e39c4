//! Commands that take several steps: what is remembered of them until they are done, and how they
//! are counted then.
//!
//! A command over several shards, or one that asks other cores, ends long after its client's turn.
//! Its time is that of the cores at work for it, added up; waiting is not in it. The commands of a
//! MULTI are counted one by one, as Redis does, when EXEC is done.
//!
//! Invariant: a connection waits for one such command at most, so its id is the key.

use coordinator::message::Origin;
use coordinator::message::queue::Queue;
use protocol::args::{Args, PackedArgs};
use runtime::socket_ring::SocketId;

use crate::command_index::CommandIndex;
use crate::core_loop::Core;
use crate::engine::{Engine, read_origin};
use crate::observe::slow_log;
use crate::session::Session;
use crate::table::Command;

/// A command under way.
#[derive(Debug)]
pub struct Running {
    command: Command,
    /// Its words as the slow log would keep them; none if the log is off.
    words: Option<PackedArgs>,
    /// Time it has taken on its client's core so far.
    nanos: u64,
    /// Its call is counted already.
    is_counted: bool,
}

impl Engine {
    /// Remembers a command that connection `id` is going to wait for. `nanos` is what it has taken.
    pub fn note_running(&mut self, id: SocketId, command: &Command, args: Args<'_>, nanos: u64) {
        let running = Running {
            command: *command,
            words: self.words_for_slow_log(command, args),
            nanos,
            is_counted: false,
        };
        self.running.insert(id.to_bits(), running);
    }

    /// As [`Engine::note_running`], for a command that may wait for its keys: as in Redis its call
    /// counts from now on.
    pub fn note_waiting(&mut self, id: SocketId, command: &Command, args: Args<'_>) {
        self.note_running(id, command, args, 0);
        if let Some(running) = self.running.get_mut(&id.to_bits()) {
            running.is_counted = true;
            self.observed.note_call(command.index);
        }
    }

    /// Counts the commands on shards of a MULTI that has run, for the client with this session. Those of
    /// the control plane were counted when they were answered.
    pub(crate) fn account_queue(&mut self, queue: &Queue, session: Option<&Session>) {
        for index in 0..queue.len() {
            // Without replies the EXEC has run nothing: a watched key had changed.
            let Some((tag, nanos, reply)) = queue.outcome(index) else {
                continue;
            };
            let number = CommandIndex(tag);
            self.observed.count(number, nanos, reply);
            if self.observed.slow_log.is_slow(nanos) {
                let command = *self.shared.table.at(number);
                let words = slow_log::cut(command.full_name, queue.args(index));
                self.observed
                    .note_slow(self.now, nanos, command.declaration, words, session);
            }
        }
    }

    fn words_for_slow_log(&self, command: &Command, args: Args<'_>) -> Option<PackedArgs> {
        let is_on = self.observed.slow_log.is_on();
        is_on.then(|| slow_log::cut(command.full_name, args))
    }
}

impl Core {
    /// Counts the commands on shards of a MULTI that was not run in place.
    pub(crate) fn account_exec(&mut self, origin: Origin, queue: &Queue) {
        let (id, ..) = read_origin(origin);
        let connection = self.net.connection_mut(id);
        let session = connection.map(|connection| &connection.session);
        self.engine.account_queue(queue, session);
    }

    /// Counts a command that took several steps, now that it is done. `nanos` is what its last steps
    /// took.
    pub fn account_running(&mut self, origin: Origin, nanos: u64, reply: &[u8]) {
        let Some(running) = self.engine.running.remove(&origin.connection) else {
            return;
        };
        let nanos = running.nanos + nanos;
        if running.is_counted {
            self.engine.observed.take_call_back(running.command.index);
        }
        self.account_one(origin, &running.command, nanos, running.words, reply);
    }

    fn account_one(
        &mut self,
        origin: Origin,
        command: &Command,
        nanos: u64,
        words: Option<PackedArgs>,
        reply: &[u8],
    ) {
        let observed = &mut self.engine.observed;
        observed.count(command.index, nanos, reply);
        if !observed.slow_log.is_slow(nanos) {
            return;
        }
        let (id, ..) = read_origin(origin);
        let session = self
            .net
            .connection_mut(id)
            .map(|connection| &connection.session);
        let words = words.unwrap_or_default();
        observed.note_slow(self.engine.now, nanos, command.declaration, words, session);
    }
}
