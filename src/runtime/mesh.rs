//! Messages between the cores of this process.
//!
//! Every ordered pair of cores has two bounded rings: one for requests and one for replies. A core
//! whose requests are not taken stops sending requests, but the replies it owes still get through,
//! so two cores that wait for each other always go on.
//!
//! Invariants
//! - Messages of one lane from one core to another arrive in the order they were sent.
//! - [`MeshEnd::receive`] gives replies before requests, and within a lane one message of each
//!   sender in turn.
//! - A message is visible to its receiver at once, but a sleeping receiver is woken only by
//!   [`MeshEnd::flush_wakes`], which the sender calls once per turn.
//!
//! Not here: what a message is. The caller boxes what is large: a ring slot has the size of `M`.

use std::io;
use std::sync::atomic::{Ordering, fence};

use base::ids::ShardId;

use crate::spsc::{Receiver, Sender, ring};
use crate::waker::Waker;

/// Which of the two rings of a pair a message takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Asks the other core for something; may be refused when the lane is full.
    Request,
    /// Answers a request. A sender bounds its requests in flight to the capacity of the lane, so
    /// that a reply always finds room.
    Reply,
}

/// Connects `cores` cores by lanes of `capacity` messages each (rounded up to a power of two).
///
/// Returns one end per core, in order of [`ShardId`]; each goes to its own core.
/// Memory: `2 * cores * (cores - 1) * (capacity * size_of::<M>() + 384)` bytes.
///
/// # Errors
///
/// Those of `eventfd(2)`: no descriptors left.
///
/// # Panics
///
/// If `cores` exceeds [`base::limits::SHARDS_MAX`].
pub fn mesh<M: Send>(cores: usize, capacity: usize) -> io::Result<Vec<MeshEnd<M>>> {
    assert!(
        cores <= usize::from(base::limits::SHARDS_MAX),
        "the caller has bounded the cores"
    );
    let wakers = (0..cores)
        .map(|_| Waker::new())
        .collect::<io::Result<Vec<_>>>()?;
    let mut ends: Vec<MeshEnd<M>> = (0..cores)
        .map(|core| MeshEnd {
            core: shard_id(core),
            targets: Vec::with_capacity(cores),
            replies: Inbox::new(cores),
            requests: Inbox::new(cores),
            unwoken: Vec::with_capacity(cores),
        })
        .collect();
    for source in 0..cores {
        for target in 0..cores {
            let (request_sender, request_receiver) = lane(source != target, capacity);
            let (reply_sender, reply_receiver) = lane(source != target, capacity);
            ends[target].requests.lanes.push(request_receiver);
            ends[target].replies.lanes.push(reply_receiver);
            ends[source].targets.push(Target {
                request: request_sender,
                reply: reply_sender,
                waker: wakers[target].clone(),
                is_unwoken: false,
            });
        }
    }
    Ok(ends)
}

/// Returns a ring, or none for a core's lane to itself.
fn lane<M: Send>(exists: bool, capacity: usize) -> (Option<Sender<M>>, Option<Receiver<M>>) {
    if !exists {
        return (None, None);
    }
    let (sender, receiver) = ring(capacity);
    (Some(sender), Some(receiver))
}

/// What one core needs to exchange messages with all others.
#[derive(Debug)]
pub struct MeshEnd<M> {
    core: ShardId,
    /// By [`ShardId`]; the own core's has no rings.
    targets: Vec<Target<M>>,
    replies: Inbox<M>,
    requests: Inbox<M>,
    /// Cores that got messages since the last [`Self::flush_wakes`], each once.
    unwoken: Vec<usize>,
}

impl<M: Send> MeshEnd<M> {
    /// Puts `message` into a lane to another core.
    ///
    /// # Errors
    ///
    /// Gives the message back if the lane is full: the receiver has not kept up.
    ///
    /// # Panics
    ///
    /// If `to` is the own core or no core of this mesh.
    #[inline]
    pub fn send(&mut self, to: ShardId, lane: Lane, message: M) -> Result<(), M> {
        let target = &mut self.targets[to.index()];
        let sender = match lane {
            Lane::Request => &mut target.request,
            Lane::Reply => &mut target.reply,
        };
        let sender = sender
            .as_mut()
            .expect("a core runs its own commands without a message");
        let result = sender.send(message);
        // Also when the lane is full: a receiver that sleeps on a full lane has to wake up.
        if !target.is_unwoken {
            target.is_unwoken = true;
            self.unwoken.push(to.index());
        }
        result
    }

    /// Takes one message: a reply if there is one, else a request. Cost: O(cores) loads when empty.
    #[inline]
    pub fn receive(&mut self) -> Option<(ShardId, M)> {
        self.receive_from(Lane::Reply)
            .or_else(|| self.receive_from(Lane::Request))
    }

    /// Takes one message of `lane`; lets a core that owes too many replies leave requests waiting.
    #[inline]
    pub fn receive_from(&mut self, lane: Lane) -> Option<(ShardId, M)> {
        let inbox = match lane {
            Lane::Request => &mut self.requests,
            Lane::Reply => &mut self.replies,
        };
        inbox.receive()
    }

    /// Whether [`Self::receive`] would give a message.
    #[inline]
    #[must_use]
    pub fn has_inbound(&self) -> bool {
        self.replies.has_message() || self.requests.has_message()
    }

    /// Wakes every core that sleeps and was sent to since the last call. Call it once per turn and
    /// before sleeping. Cost: a fence and one load per such core; a system call per sleeper.
    pub fn flush_wakes(&mut self) {
        if self.unwoken.is_empty() {
            return;
        }
        fence(Ordering::SeqCst);
        for index in self.unwoken.drain(..) {
            let target = &mut self.targets[index];
            target.is_unwoken = false;
            target.waker.wake_sleeper();
        }
    }

    /// Returns the waker of this core: for its own socket ring, and for threads that call it.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.targets[self.core.index()].waker.clone()
    }

    /// Returns the core this end belongs to.
    #[must_use]
    pub fn core(&self) -> ShardId {
        self.core
    }

    /// Returns the number of cores in the mesh, this one included.
    #[must_use]
    pub fn core_count(&self) -> usize {
        self.targets.len()
    }
}

#[derive(Debug)]
struct Target<M> {
    request: Option<Sender<M>>,
    reply: Option<Sender<M>>,
    waker: Waker,
    is_unwoken: bool,
}

/// One lane of every other core, read in turn.
#[derive(Debug)]
struct Inbox<M> {
    /// By [`ShardId`]; none for the own core.
    lanes: Vec<Option<Receiver<M>>>,
    /// The lane to look at first.
    next: usize,
}

impl<M: Send> Inbox<M> {
    fn new(cores: usize) -> Self {
        Self {
            lanes: Vec::with_capacity(cores),
            next: 0,
        }
    }

    fn receive(&mut self) -> Option<(ShardId, M)> {
        let count = self.lanes.len();
        for _ in 0..count {
            let index = self.next;
            self.next = if index + 1 == count { 0 } else { index + 1 };
            if let Some(message) = self.lanes[index].as_mut().and_then(Receiver::receive) {
                return Some((shard_id(index), message));
            }
        }
        None
    }

    fn has_message(&self) -> bool {
        self.lanes.iter().flatten().any(|lane| !lane.is_empty())
    }
}

fn shard_id(index: usize) -> ShardId {
    ShardId(u16::try_from(index).expect("mesh() has bounded the number of cores"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_come_before_requests_and_senders_take_turns() {
        let mut ends = mesh::<u32>(3, 4).unwrap();
        let mut third = ends.pop().unwrap();
        let mut second = ends.pop().unwrap();
        let mut first = ends.pop().unwrap();
        let target = ShardId(2);
        first.send(target, Lane::Request, 1).unwrap();
        first.send(target, Lane::Request, 2).unwrap();
        second.send(target, Lane::Request, 3).unwrap();
        first.send(target, Lane::Reply, 4).unwrap();
        first.flush_wakes();
        second.flush_wakes();
        assert!(third.has_inbound());
        let order: Vec<_> = std::iter::from_fn(|| third.receive()).collect();
        let from = |core, message| (ShardId(core), message);
        assert_eq!(order, [from(0, 4), from(0, 1), from(1, 3), from(0, 2)]);
        assert!(!third.has_inbound());
    }

    #[test]
    fn a_full_request_lane_lets_replies_through() {
        let mut ends = mesh::<u32>(2, 2).unwrap();
        let mut second = ends.pop().unwrap();
        let mut first = ends.pop().unwrap();
        let target = ShardId(1);
        first.send(target, Lane::Request, 1).unwrap();
        first.send(target, Lane::Request, 2).unwrap();
        assert_eq!(first.send(target, Lane::Request, 3), Err(3));
        first.send(target, Lane::Reply, 4).unwrap();
        assert_eq!(second.receive(), Some((ShardId(0), 4)));
        assert_eq!(second.receive(), Some((ShardId(0), 1)));
        assert_eq!(second.core(), ShardId(1));
        assert_eq!(second.core_count(), 2);
    }
}
