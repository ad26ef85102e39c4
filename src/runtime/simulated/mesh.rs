//! Messages between the cores of a simulated process.
//!
//! Invariants
//! - Messages of one lane from one core to another arrive in the order they were sent; those of
//!   different lanes or pairs in any order.
//! - A sleeping receiver is woken only for what was sent before a [`MeshEnd::flush_wakes`].

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

use base::ids::ShardId;

use crate::faults::{self, Fault};
use crate::waker::Waker;
use crate::world;

/// Which of the two queues of a pair a message takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Asks the other core for something; may be refused when the lane is full.
    Request,
    /// Answers a request.
    Reply,
}

/// Messages under way, and when each is there; the times do not decrease.
type Queue<M> = Rc<RefCell<VecDeque<(u64, M)>>>;

/// Connects `cores` cores by lanes of `capacity` messages each.
///
/// # Errors
///
/// None here.
///
/// # Panics
///
/// If there are more cores than numbers for them.
pub fn mesh<M: Send>(cores: usize, capacity: usize) -> io::Result<Vec<MeshEnd<M>>> {
    let wakers: Vec<Waker> = (0..cores).map(Waker::of_core).collect();
    let lanes: Vec<Vec<[Queue<M>; 2]>> = (0..cores)
        .map(|_| (0..cores).map(|_| Default::default()).collect())
        .collect();
    let ends = (0..cores).map(|core| MeshEnd {
        core: shard_id(core),
        outbound: lanes[core].clone(),
        inbound: lanes.iter().map(|from| from[core].clone()).collect(),
        waker: wakers[core].clone(),
        capacity,
        unwoken: Vec::new(),
    });
    Ok(ends.collect())
}

fn shard_id(index: usize) -> ShardId {
    ShardId(u16::try_from(index).expect("fewer cores than numbers for them"))
}

/// What one core needs to exchange messages with all others.
#[derive(Debug)]
pub struct MeshEnd<M> {
    core: ShardId,
    /// By receiver, then by lane.
    outbound: Vec<[Queue<M>; 2]>,
    /// By sender, then by lane.
    inbound: Vec<[Queue<M>; 2]>,
    waker: Waker,
    capacity: usize,
    /// Cores that got messages since the last [`Self::flush_wakes`], and when those are there.
    unwoken: Vec<(usize, u64)>,
}

impl<M: Send> MeshEnd<M> {
    /// Puts `message` into a lane to another core.
    ///
    /// # Errors
    ///
    /// Gives the message back if the lane is full.
    ///
    /// # Panics
    ///
    /// If `to` is the own core or no core of this mesh.
    pub fn send(&mut self, to: ShardId, lane: Lane, message: M) -> Result<(), M> {
        assert!(
            to != self.core,
            "a core runs its own commands without a message"
        );
        let mut queue = self.outbound[to.index()][place(lane)].borrow_mut();
        if queue.len() >= self.capacity {
            self.unwoken.push((to.index(), world::now()));
            return Err(message);
        }
        let last = queue.back().map_or(0, |(at, _)| *at);
        let at = last.max(world::now() + world::delay());
        queue.push_back((at, message));
        self.unwoken.push((to.index(), at));
        let len = queue.len();
        if len > 1 && faults::is_on(Fault::LaneReordered) {
            // The times stay in order, the messages change places.
            let (front, back) = queue.as_mut_slices();
            if let [.., one, other] = front {
                std::mem::swap(&mut one.1, &mut other.1);
            } else if let [.., one, other] = back {
                std::mem::swap(&mut one.1, &mut other.1);
            }
        }
        Ok(())
    }

    /// Takes one message: a reply if there is one, else a request.
    pub fn receive(&mut self) -> Option<(ShardId, M)> {
        self.receive_from(Lane::Reply)
            .or_else(|| self.receive_from(Lane::Request))
    }

    /// Takes one message of `lane`, of any sender.
    pub fn receive_from(&mut self, lane: Lane) -> Option<(ShardId, M)> {
        let now = world::now();
        let is_there = |from: &usize| {
            let queue = self.inbound[*from][place(lane)].borrow();
            queue.front().is_some_and(|(at, _)| *at <= now)
        };
        let ready: Vec<usize> = (0..self.inbound.len()).filter(is_there).collect();
        let count = u64::try_from(ready.len()).unwrap_or(0);
        let chosen = world::draw().checked_rem(count)?;
        let from = ready[base::cast::usize_from(chosen)];
        let (_, message) = self.inbound[from][place(lane)].borrow_mut().pop_front()?;
        Some((shard_id(from), message))
    }

    /// Whether [`Self::receive`] would give a message.
    #[must_use]
    pub fn has_inbound(&self) -> bool {
        let now = world::now();
        let mut lanes = self.inbound.iter().flatten();
        lanes.any(|lane| lane.borrow().front().is_some_and(|(at, _)| *at <= now))
    }

    /// Wakes every core that sleeps and was sent to since the last call.
    pub fn flush_wakes(&mut self) {
        for (core, at) in self.unwoken.drain(..) {
            if !faults::is_on(Fault::DoorbellLost) {
                world::wake_core(core, at);
            }
        }
    }

    /// Returns the waker of this core.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Returns the core this end belongs to.
    #[must_use]
    pub fn core(&self) -> ShardId {
        self.core
    }

    /// Returns the number of cores in the mesh, this one included.
    #[must_use]
    pub fn core_count(&self) -> usize {
        self.outbound.len()
    }
}

const fn place(lane: Lane) -> usize {
    match lane {
        Lane::Request => 0,
        Lane::Reply => 1,
    }
}
