//! EXEC on the one shard that has all its keys: at once if nothing there has claimed them.
//!
//! It runs in one piece, like a request for one shard: watches first, then the commands; who waits for
//! keys is served behind the last. No message is needed on the core of its client, one there and one
//! back from another core.
//!
//! Not here: EXEC over several shards (`crate::exec`).

use base::ids::ShardId;
use runtime::clock::monotonic;
use runtime::faults::{self, Fault};
use shard::locks::{Claim, Mode};

use super::{BYPASS, Host, Parked, add_claim};
use crate::message::queue::{Queue, SentExec};
use crate::message::{Message, Watched};

impl Host {
    /// Returns whether these commands may run now, before all that waits here.
    #[must_use]
    pub fn may_exec(&self, queue: &Queue, watched: &[Watched]) -> bool {
        BYPASS
            || self.locks.is_empty()
            || faults::is_on(Fault::RunInside)
            || self.has_no_rival(&self.claim_of_exec(queue, watched))
    }

    fn claim_of_exec(&self, queue: &Queue, watched: &[Watched]) -> Claim {
        let mut claim = Claim::default();
        for watched in watched {
            let hash = self.shard.key(&watched.key).hash;
            claim.keys.push((hash, Mode::Shared));
        }
        for request in queue.requests() {
            let (shard, command) = (&self.shard, request.command);
            add_claim(shard, command, request.args, &mut claim);
        }
        claim
    }

    /// Runs commands that all belong here, unless a watched key has changed, whatever is claimed: the
    /// caller has looked at [`Self::may_exec`]. Ends the watches.
    pub fn exec(&mut self, queue: &mut Queue, watched: &[Watched]) {
        if self.check_watches(watched) {
            self.run_queue(queue);
        } else {
            queue.abort();
        }
    }

    /// Takes an EXEC of core `from`; it runs when it may.
    pub fn take_exec(&mut self, from: ShardId, sent: Box<SentExec>) {
        if from != self.me {
            self.counters.remote_requests += 1;
        }
        if self.may_exec(&sent.queue, &sent.watched) {
            self.run_exec(from, sent);
            self.serve_if_ready();
            return;
        }
        self.counters.parked += 1;
        let claim = self.claim_of_exec(&sent.queue, &sent.watched);
        let id = self.ids.next();
        self.last_parked = id;
        self.schedule_here(id, claim, Parked::Exec { from, sent });
    }

    pub(super) fn run_exec(&mut self, from: ShardId, mut sent: Box<SentExec>) {
        let started = monotonic();
        let watched = std::mem::take(&mut sent.watched);
        self.exec(&mut sent.queue, &watched);
        sent.nanos = monotonic().nanos_since(started);
        self.send(from, Message::Executed(sent));
    }

    /// Runs commands one after the other and keeps their replies and times. Those of one kind that follow
    /// each other and are brief share their time equally.
    pub(super) fn run_queue(&mut self, queue: &mut Queue) {
        self.prefetch_queue(queue);
        let mut replies = queue.take_replies();
        let mut started = monotonic();
        let mut first = 0;
        for index in 0..queue.len() {
            let begun = replies.len();
            let Some(request) = queue.request(index) else {
                continue;
            };
            self.run_inside(&request, &mut replies);
            let end = replies.len();
            queue.note_reply(index, begun..end);
            if queue.is_measured(index, end - begun) {
                let ended = monotonic();
                queue.note_nanos(first..=index, ended.nanos_since(started));
                started = ended;
                first = index + 1;
            }
        }
        queue.give_replies(replies);
    }

    /// Starts the memory accesses of all commands before the first of them runs.
    fn prefetch_queue(&self, queue: &mut Queue) {
        let gains = |queue: &Queue| {
            let first = queue.request(0);
            first.is_some_and(|request| self.shard.gains_by_prefetch(request.db))
        };
        if queue.len() < 2 || !gains(queue) {
            return;
        }
        for index in 0..queue.len() {
            if let Some(request) = queue.request(index)
                && commands::keys::first_key(&request.command.declaration, request.args) == Some(1)
            {
                let hash = self.shard.key(request.args.word(1)).hash;
                self.shard.prefetch_bucket(request.db, hash);
                queue.set_first_hash(index, hash);
            }
        }
        for request in queue.requests() {
            if let Some(hash) = request.first_hash {
                self.shard.prefetch_entry(request.db, hash);
            }
        }
    }
}
