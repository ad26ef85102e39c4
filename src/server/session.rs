//! What the server remembers of one client.

use std::sync::Arc;

use base::clock::Monotonic;
use base::ids::{ClientId, DbIndex, ShardId};
use coordinator::message::Watched;
use coordinator::message::queue::Queue;
use protocol::reply::Resp;

use crate::acl::user::User;
use crate::away::Away;
use crate::subscriptions::Subscriptions;
use crate::tracking::Tracking;

/// One client's state. It travels with the connection from core to core.
#[derive(Debug)]
pub struct Session {
    /// Names the client for its whole life.
    pub client: ClientId,
    /// Selected database.
    pub db: DbIndex,
    /// Protocol of its replies.
    pub resp: Resp,
    /// Something about this client is out of the ordinary; the fast path looks only at this.
    pub special: bool,
    /// Has logged in, or need not.
    pub authenticated: bool,
    /// Its user may not do everything.
    pub(crate) is_limited: bool,
    /// How often users had changed when it was last told of its own.
    pub(crate) users_number: u64,
    /// Commands between MULTI and EXEC.
    pub multi: Option<Box<Multi>>,
    /// Statements about tables under way to other cores.
    pub(crate) away: Away,
    /// The EXEC under way.
    pub executing: Option<Executing>,
    /// Keys under WATCH, and the versions they had.
    pub watched: Vec<Watched>,
    /// What becomes of replies.
    pub replies: Replies,
    /// What it listens to; none if that is nothing.
    pub subscriptions: Option<Box<Subscriptions>>,
    /// What it caches, and how it is told of changes.
    pub tracking: Option<Box<Tracking>>,
    /// It is told of changes in place of another client.
    pub is_target: bool,
    /// Its PUBLISH whose replies are awaited.
    pub publishing: usize,
    /// Receives every command (`MONITOR`).
    pub is_monitor: bool,
    /// A pause may hold its requests up (`CLIENT PAUSE`).
    pub is_gated: bool,
    /// Its buffers are not counted against `maxmemory-clients`.
    pub no_evict: bool,
    /// Its reads do not count as accesses.
    pub no_touch: bool,
    /// What it wants of SYNC (`REPLCONF`).
    pub(crate) wanted_copy: WantedCopy,
    /// Where its keys live.
    pub pin: Pin,
    /// What it said of itself and where it comes from.
    pub about: Box<About>,
    /// When it connected.
    pub connected_at: Monotonic,
    /// When its last request came.
    pub active_at: Monotonic,
    /// Since when its output exceeds the soft limit.
    pub over_soft_limit_since: Option<Monotonic>,
    /// Full name of its last command, empty before the first.
    pub last_command: &'static str,
    /// Requests so far.
    pub commands: u64,
    /// Those of them that were there when its core last looked for busy clients.
    pub commands_seen: u64,
}

/// What a client said of itself and where it comes from.
#[derive(Debug, Default)]
pub struct About {
    /// `ip:port` of the client, or the path of the Unix socket and `:0`.
    pub address: String,
    /// `ip:port` it has reached.
    pub local_address: String,
    /// Number of its file descriptor.
    pub fd: i32,
    /// `CLIENT SETNAME`.
    pub name: String,
    /// `CLIENT SETINFO LIB-NAME`.
    pub library_name: String,
    /// `CLIENT SETINFO LIB-VER`.
    pub library_version: String,
    /// Its user.
    pub(crate) user: Arc<User>,
    /// It has come in by a Unix socket.
    pub is_unix: bool,
}

/// Commands between MULTI and EXEC.
#[derive(Debug, Default)]
pub struct Multi {
    /// The commands, in order.
    pub queue: Queue,
    /// A command was refused, so EXEC will refuse all.
    pub is_spoiled: bool,
}

/// The size of an EXEC under way, for those who look at the client meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Executing {
    /// Its commands.
    pub commands: usize,
    /// Bytes of their words.
    pub bytes: usize,
}

/// What becomes of replies (`CLIENT REPLY`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replies {
    /// Sent.
    On,
    /// Dropped.
    Off,
    /// The reply to the command that said so is dropped, and the next one.
    SkipNext,
    /// This one is dropped.
    SkipThis,
}

/// What a client wants of SYNC.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WantedCopy {
    /// The file, and no changes behind it.
    pub(crate) is_rdb_only: bool,
    /// Of the file, this.
    pub(crate) extent: Extent,
}

/// How much of the data a copy has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All of it, libraries of functions included.
    #[default]
    All,
    /// The libraries.
    Functions,
    /// Nothing: a file without content.
    Nothing,
}

/// Where a client's keys live: a running vote between cores.
///
/// A command for the leading core adds a vote, a command for another takes one away; at 0 the lead
/// changes hands. Only a client whose commands go mostly to one other core ever collects
/// [`PIN_VOTES`], so a client that spreads its keys stays, but
/// for being sent elsewhere ([`crate::balance`]).
#[derive(Clone, Copy, Debug, Default)]
pub struct Pin {
    leader: ShardId,
    votes: u16,
}

/// Votes at which a connection moves to the core it works with. Few in simulated worlds, whose clients
/// live for a few requests.
pub const PIN_VOTES: u16 = if cfg!(feature = "simulation") { 6 } else { 512 };

/// Votes of a client that was sent to a core.
const VOTES_SENT: u16 = PIN_VOTES + 8192;

impl Pin {
    /// Counts commands for `shard`.
    #[inline]
    pub fn vote(&mut self, shard: ShardId) {
        if self.leader == shard {
            // Who was sent here has more than votes can give.
            self.votes += u16::from(self.votes < PIN_VOTES);
        } else if self.votes == 0 {
            self.leader = shard;
            self.votes = 1;
        } else {
            self.votes -= 1;
        }
    }

    /// Returns the core that the client works with, if it is clear, or that it was sent to.
    #[inline]
    #[must_use]
    pub fn leader(&self) -> Option<ShardId> {
        (self.votes >= PIN_VOTES).then_some(self.leader)
    }

    /// Sends the client to a core, whatever its keys; it has some thousand commands to get there.
    pub(crate) fn send_to(&mut self, shard: ShardId) {
        self.leader = shard;
        self.votes = VOTES_SENT;
    }
}

impl Session {
    /// Creates the session of a client that has just connected.
    #[must_use]
    pub fn new(client: ClientId, about: About, authenticated: bool, now: Monotonic) -> Self {
        Self {
            client,
            db: DbIndex(0),
            resp: Resp::V2,
            special: !authenticated,
            authenticated,
            is_limited: false,
            users_number: 0,
            multi: None,
            away: Away::default(),
            executing: None,
            watched: Vec::new(),
            replies: Replies::On,
            subscriptions: None,
            tracking: None,
            is_target: false,
            publishing: 0,
            is_monitor: false,
            is_gated: false,
            no_evict: false,
            no_touch: false,
            wanted_copy: WantedCopy::default(),
            pin: Pin::default(),
            about: Box::new(about),
            connected_at: now,
            active_at: now,
            over_soft_limit_since: None,
            last_command: "",
            commands: 0,
            commands_seen: 0,
        }
    }

    /// Begins the next request: what `CLIENT REPLY SKIP` has asked for moves on by one.
    pub fn begin_request(&mut self) {
        match self.replies {
            Replies::On | Replies::Off => {}
            Replies::SkipNext => self.replies = Replies::SkipThis,
            Replies::SkipThis => {
                self.replies = Replies::On;
                self.review();
            }
        }
    }

    /// Takes back that a request has begun, which is put off and begins anew.
    pub(crate) fn take_back_request(&mut self) {
        self.commands -= 1;
        if self.replies == Replies::SkipThis {
            self.replies = Replies::SkipNext;
        }
    }

    /// Returns whether the reply to the present request is dropped.
    #[inline]
    #[must_use]
    pub fn drops_reply(&self) -> bool {
        match self.replies {
            Replies::On | Replies::SkipNext => false,
            Replies::Off | Replies::SkipThis => true,
        }
    }

    /// Notes whether the fast path may serve this client; to be called after each change.
    pub fn review(&mut self) {
        self.special = self.is_limited || self.is_unusual();
    }

    /// Returns whether something else than the rights of its user is out of the ordinary.
    fn is_unusual(&self) -> bool {
        !self.authenticated
            || self.multi.is_some()
            || self.replies != Replies::On
            || self.is_monitor
            || self.is_gated
            || self.is_subscriber()
            || self.tracking.is_some()
            || self.is_target
    }

    /// Returns whether it may move to another core.
    pub(crate) fn may_move(&self) -> bool {
        !self.special || !self.is_unusual()
    }

    /// Gives it a user, as that is after users have changed so often.
    pub(crate) fn set_user(&mut self, user: Arc<User>, users_number: u64) {
        self.is_limited = !user.may_do_everything();
        self.about.user = user;
        self.users_number = users_number;
        self.review();
    }

    /// Returns whether it listens to a channel or a pattern.
    #[must_use]
    pub fn is_subscriber(&self) -> bool {
        self.subscriptions.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_spreads_its_keys_is_pinned_nowhere() {
        let mut pin = Pin::default();
        for index in 0..10_000_u16 {
            pin.vote(ShardId(index % 4));
            assert_eq!(pin.leader(), None);
        }
    }

    #[test]
    fn a_client_that_works_mostly_with_one_core_is_pinned_there() {
        let mut pin = Pin::default();
        for index in 0..10_000_u16 {
            pin.vote(ShardId(if index % 5 == 0 { 1 } else { 3 }));
        }
        assert_eq!(pin.leader(), Some(ShardId(3)));
    }
}
