//! Clients that wait for others, with or without a limit: for keys, for replicas that could
//! acknowledge (`WAIT`), or for the disk (`WAITAOF`).
//!
//! The core loop looks at the first deadline once per turn, and never sleeps beyond it.
//!
//! Invariants
//! - A client stands here at most once, since its connection waits meanwhile, and no longer than that.
//!
//! Lives on each core, for the clients of that core. A client cannot move while it waits. What happens
//! when its time is over: [`crate::waiting`].

use std::collections::BTreeSet;

use base::clock::Monotonic;
use base::hash::Map;
use coordinator::message::{Origin, WaiterNumber};

/// What is to happen when a time is over.
#[derive(Debug, PartialEq, Eq)]
pub enum Due {
    /// This is the reply.
    Reply(Vec<u8>),
    /// A request waits no longer for its keys; this is its reply then.
    Wait(WaiterNumber, Vec<u8>),
    /// The reply says whether the log is on the disk.
    Log(LogWait),
}

/// What a client of `WAITAOF` waits for.
#[derive(Debug, PartialEq, Eq)]
pub struct LogWait {
    /// It wants the log on the disk; otherwise it wants what nobody can give, and only its time ends that.
    pub(crate) wants_log: bool,
    /// It wants no more replicas than there are: none.
    pub(crate) has_enough_replicas: bool,
    pub(crate) stage: LogStage,
}

/// How far such a wait is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LogStage {
    /// Replies to what the client has sent before are awaited.
    Behind,
    /// All cores were asked.
    Asked,
    /// These are the records, by shard.
    Known(Vec<u64>),
}

impl LogWait {
    /// Creates the wait of a client that wants the log on the disk, or not, and so many replicas.
    pub(crate) fn new(wants_log: bool, replicas: i64) -> Self {
        Self {
            wants_log,
            has_enough_replicas: replicas <= 0,
            stage: LogStage::Behind,
        }
    }
}

#[derive(Debug)]
struct Timer {
    /// When; none for never.
    deadline: Option<Monotonic>,
    origin: Origin,
    due: Due,
}

/// The clients of one core that wait for others.
#[derive(Debug, Default)]
pub struct Timers {
    timers: Map<u64, Timer>,
    /// Deadlines and connections.
    deadlines: BTreeSet<(Monotonic, u64)>,
    /// Those who wait for the log.
    log_waits: usize,
}

impl Timers {
    /// Notes that the client of `origin` waits until `deadline`, or for ever. O(log clients).
    pub fn add(&mut self, deadline: Option<Monotonic>, origin: Origin, due: Due) {
        if let Some(deadline) = deadline {
            self.deadlines.insert((deadline, origin.connection));
        }
        self.log_waits += usize::from(matches!(due, Due::Log(_)));
        let timer = Timer {
            deadline,
            origin,
            due,
        };
        self.timers.insert(origin.connection, timer);
    }

    /// Takes a client out; nothing if it does not wait. O(log clients).
    pub fn remove(&mut self, connection: u64) -> Option<(Origin, Due)> {
        if self.timers.is_empty() {
            return None;
        }
        let timer = self.timers.remove(&connection)?;
        if let Some(deadline) = timer.deadline {
            self.deadlines.remove(&(deadline, connection));
        }
        self.log_waits -= usize::from(matches!(timer.due, Due::Log(_)));
        Some((timer.origin, timer.due))
    }

    /// Returns whether somebody waits for the log.
    #[inline]
    #[must_use]
    pub(crate) fn has_log_waits(&self) -> bool {
        self.log_waits > 0
    }

    /// Returns those who wait for the log, and their connections. O(all who wait).
    pub(crate) fn log_waits(&mut self) -> impl Iterator<Item = (u64, &mut LogWait)> {
        let timers = self.timers.iter_mut();
        timers.filter_map(|(connection, timer)| match &mut timer.due {
            Due::Log(wait) => Some((*connection, wait)),
            Due::Reply(_) | Due::Wait(..) => None,
        })
    }

    /// Returns the first deadline.
    #[inline]
    #[must_use]
    pub fn first(&self) -> Option<Monotonic> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Returns how many clients wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.timers.len()
    }

    /// Returns whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.timers.is_empty()
    }

    /// Returns how many clients do not wait for ever.
    #[must_use]
    pub fn timed_len(&self) -> usize {
        self.deadlines.len()
    }

    /// Returns whether a connection waits here.
    #[must_use]
    pub fn waits(&self, connection: u64) -> bool {
        self.timers.contains_key(&connection)
    }

    /// Returns the connections whose time is over, in the order of their deadlines.
    #[must_use]
    pub fn due(&self, now: Monotonic) -> Vec<u64> {
        let due = self.deadlines.iter().take_while(|(at, _)| *at <= now);
        due.map(|(_, connection)| *connection).collect()
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
    fn clients_are_due_in_the_order_of_their_deadlines() {
        let mut timers = Timers::default();
        let due = |name: &[u8]| Due::Reply(name.into());
        timers.add(Some(Monotonic(30)), origin(3), due(b"3"));
        timers.add(Some(Monotonic(10)), origin(1), due(b"1"));
        timers.add(None, origin(9), due(b"9"));
        timers.add(Some(Monotonic(20)), origin(2), due(b"2"));
        assert_eq!(timers.first(), Some(Monotonic(10)));
        assert!(timers.due(Monotonic(9)).is_empty());
        assert_eq!(timers.due(Monotonic(20)), [1, 2]);
        assert_eq!((timers.len(), timers.timed_len()), (4, 3));
        assert_eq!(timers.remove(1), Some((origin(1), due(b"1"))));
        assert_eq!(timers.remove(1), None);
        assert!(timers.waits(9) && !timers.waits(1));
        timers.remove(2);
        timers.remove(3);
        assert_eq!((timers.first(), timers.len()), (None, 1));
    }
}
