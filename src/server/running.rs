//! Commands that take several steps: what is remembered of them until they are done, and how they
//! are counted then.
//!
//! A command over several shards, or one that asks other cores, ends long after its client's turn.
//! Its time is that of the cores at work for it, added up; waiting is not in it. The commands of a
//! MULTI are counted one by one, as Redis does, when EXEC is done.
//!
//! Invariant: a connection waits for one such command at most, so its id is the key.

use coordinator::exec::Queued;
use coordinator::message::Origin;
use protocol::args::{Args, PackedArgs};
use protocol::value::skip_value;
use runtime::socket_ring::SocketId;

use crate::core_loop::Core;
use crate::engine::{Engine, read_origin};
use crate::observe::slow_log;
use crate::table::Command;

/// A command under way.
#[derive(Debug)]
pub struct Running {
    command: Command,
    /// Its words as the slow log would keep them; none if the log is off.
    words: Option<PackedArgs>,
    /// Time it has taken on its client's core so far.
    nanos: u64,
    /// The commands on shards of a MULTI.
    inner: Vec<Inner>,
    /// Its call is counted already.
    is_counted: bool,
}

/// A command on shards between MULTI and EXEC.
#[derive(Debug)]
pub struct Inner {
    /// Its place among the queued commands.
    position: usize,
    command: Command,
    words: Option<PackedArgs>,
}

impl Engine {
    /// Remembers a command that connection `id` is going to wait for. `nanos` is what it has taken.
    pub fn note_running(&mut self, id: SocketId, command: &Command, args: Args<'_>, nanos: u64) {
        let running = Running {
            command: *command,
            words: self.words_for_slow_log(command, args),
            nanos,
            inner: Vec::new(),
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

    /// Remembers the commands that the EXEC which connection `id` waits for is going to run.
    pub fn note_inner(&mut self, id: SocketId, inner: Vec<Inner>) {
        if let Some(running) = self.running.get_mut(&id.to_bits()) {
            running.inner = inner;
        }
    }

    /// Returns what is to be remembered of the commands of a MULTI. Those of the control plane are
    /// left out: they are counted when they are answered.
    #[must_use]
    pub fn inner_of(&self, queued: &[Queued]) -> Vec<Inner> {
        let mut inner = Vec::with_capacity(queued.len());
        for (position, queued) in queued.iter().enumerate() {
            let Queued::Shard(request) = queued else {
                continue;
            };
            let args = request.args.args();
            if let Some(&command) = self.shared.table.resolve(args) {
                inner.push(Inner {
                    position,
                    command,
                    words: self.words_for_slow_log(&command, args),
                });
            }
        }
        inner
    }

    fn words_for_slow_log(&self, command: &Command, args: Args<'_>) -> Option<PackedArgs> {
        let is_on = self.observed.slow_log.is_on();
        is_on.then(|| slow_log::cut(command.full_name, args))
    }
}

impl Core {
    /// Counts a command that took several steps, now that it is done. `nanos` is what its last steps
    /// took, `spent` the same for each command of a MULTI.
    pub fn account_running(&mut self, origin: Origin, nanos: u64, spent: &[u64], reply: &[u8]) {
        let Some(running) = self.engine.running.remove(&origin.connection) else {
            return;
        };
        let replies = if running.inner.is_empty() {
            Vec::new()
        } else {
            replies_of(reply, spent.len())
        };
        for inner in running.inner {
            // Without replies the EXEC has run nothing: a watched key had changed.
            if let (Some(reply), Some(nanos)) =
                (replies.get(inner.position), spent.get(inner.position))
            {
                self.account_one(origin, &inner.command, *nanos, inner.words, reply);
            }
        }
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

/// Takes an array reply of `count` elements apart; empty if it is something else.
fn replies_of(reply: &[u8], count: usize) -> Vec<&[u8]> {
    let header = format!("*{count}\r\n");
    let Some(mut rest) = reply.strip_prefix(header.as_bytes()) else {
        return Vec::new();
    };
    let mut replies = Vec::with_capacity(count);
    while let Some(length) = skip_value(rest)
        && !rest.is_empty()
    {
        let (one, others) = rest.split_at(length);
        replies.push(one);
        rest = others;
    }
    replies
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_comes_apart_into_its_replies() {
        let reply = b"*3\r\n+OK\r\n-ERR no\r\n*1\r\n:1\r\n";
        let expected: [&[u8]; 3] = [b"+OK\r\n", b"-ERR no\r\n", b"*1\r\n:1\r\n"];
        assert_eq!(replies_of(reply, 3), expected);
    }

    #[test]
    fn an_exec_that_ran_nothing_has_no_replies() {
        assert!(replies_of(b"*-1\r\n", 2).is_empty());
        assert!(replies_of(b"_\r\n", 2).is_empty());
        assert!(replies_of(b"-EXECABORT no\r\n", 2).is_empty());
    }
}
