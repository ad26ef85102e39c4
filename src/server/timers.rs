//! Replies that come when a time is over: what `WAIT` waits for while nobody can acknowledge.
//!
//! The core loop looks at the list once per turn, and never sleeps beyond the first deadline.
//!
//! Invariants
//! - A reply is given once; an entry whose client has left is dropped by the next housekeeping.
//! - A client stands here at most once, since its connection waits meanwhile.
//!
//! Lives on each core, for the clients of that core. A client cannot move while it waits.

use base::clock::Monotonic;
use coordinator::message::Origin;

use crate::core_loop::Core;
use crate::engine::read_origin;

/// A reply that is to come.
#[derive(Debug)]
struct Timer {
    /// When; none for never.
    deadline: Option<Monotonic>,
    origin: Origin,
    reply: Vec<u8>,
}

/// The replies of one core that are to come.
///
/// A plain list: as long as the clients that wait, and looked at as a whole only when the first
/// deadline is over or a client comes or leaves.
#[derive(Debug, Default)]
pub struct Timers {
    timers: Vec<Timer>,
    first: Option<Monotonic>,
}

impl Timers {
    /// Gives `reply` to `origin` at `deadline`, or never.
    pub fn add(&mut self, deadline: Option<Monotonic>, origin: Origin, reply: Vec<u8>) {
        self.timers.push(Timer {
            deadline,
            origin,
            reply,
        });
        self.review();
    }

    /// Returns the first deadline.
    #[inline]
    #[must_use]
    pub fn first(&self) -> Option<Monotonic> {
        self.first
    }

    /// Returns how many replies are to come.
    #[must_use]
    pub fn len(&self) -> usize {
        self.timers.len()
    }

    /// Returns whether none is to come.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.timers.is_empty()
    }

    /// Returns whether a connection waits here. O(clients that wait).
    #[must_use]
    pub fn waits(&self, connection: u64) -> bool {
        self.timers
            .iter()
            .any(|timer| timer.origin.connection == connection)
    }

    /// Takes the replies whose time is over, in the order of their deadlines.
    pub fn take_due(&mut self, now: Monotonic) -> Vec<(Origin, Vec<u8>)> {
        if self.first.is_none_or(|first| first > now) {
            return Vec::new();
        }
        let is_due = |timer: &mut Timer| timer.deadline.is_some_and(|deadline| deadline <= now);
        let mut due: Vec<Timer> = self.timers.extract_if(.., is_due).collect();
        due.sort_by_key(|timer| timer.deadline);
        self.review();
        due.into_iter()
            .map(|timer| (timer.origin, timer.reply))
            .collect()
    }

    /// Drops the entries of connections that `is_here` denies.
    fn keep(&mut self, mut is_here: impl FnMut(Origin) -> bool) {
        self.timers.retain(|timer| is_here(timer.origin));
        self.review();
    }

    fn review(&mut self) {
        self.first = self.timers.iter().filter_map(|timer| timer.deadline).min();
    }
}

/// Gives the replies whose time is over. Returns whether there was any.
pub(crate) fn fire(core: &mut Core) -> bool {
    let due = core.engine.timers.take_due(core.engine.clock);
    let is_busy = !due.is_empty();
    for (origin, reply) in due {
        core.fill_and_resume(origin, &reply);
    }
    is_busy
}

/// Closes the connections of clients that have left while they waited, and forgets their replies.
pub(crate) fn drop_left(core: &mut Core) {
    if core.engine.timers.is_empty() {
        return;
    }
    let mut left = Vec::new();
    let Core { engine, net, .. } = core;
    engine.timers.keep(|origin| {
        let (id, ..) = read_origin(origin);
        match net.connection_mut(id) {
            Some(connection) if connection.is_closing() => {
                left.push(id);
                false
            }
            Some(_) => true,
            None => false,
        }
    });
    for id in left {
        net.close(id, engine);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(connection: u64) -> Origin {
        Origin {
            connection,
            place: 0,
        }
    }

    #[test]
    fn replies_come_in_the_order_of_their_deadlines() {
        let mut timers = Timers::default();
        timers.add(Some(Monotonic(30)), origin(3), b"3".into());
        timers.add(Some(Monotonic(10)), origin(1), b"1".into());
        timers.add(None, origin(9), b"9".into());
        timers.add(Some(Monotonic(20)), origin(2), b"2".into());
        assert_eq!(timers.first(), Some(Monotonic(10)));
        assert!(timers.take_due(Monotonic(9)).is_empty());
        let due: Vec<_> = timers.take_due(Monotonic(20));
        assert_eq!(due, [(origin(1), b"1".into()), (origin(2), b"2".into())]);
        assert_eq!(timers.first(), Some(Monotonic(30)));
        assert!(timers.waits(9) && !timers.waits(1));
        timers.keep(|origin| origin.connection != 3);
        assert_eq!((timers.first(), timers.len()), (None, 1));
    }
}
