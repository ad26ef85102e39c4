//! Spreading busy clients over the cores.
//!
//! The kernel gives new connections to cores by chance, so that one core may have twice the clients of another. A
//! client that works with the keys of one core goes there by its votes; the others may be anywhere, so a core that has
//! more busy clients than its share sends some of those to cores that have fewer.
//!
//! ```text
//!   each core, now and then: counts its busy clients -> tells the others -> has more than ceil(all / cores)?
//!                            -> as many of those without a core of their own are sent to cores that have fewer
//! ```
//! The counts are of different moments, so two cores may send clients to the same third; what is too many there is sent
//! on at the next look. Clients that ask for little stay where they are: they are no load, and moving costs some 50 us.
//!
//! Not here: how a connection moves (`core_loop`), its votes (`session`).

use std::sync::atomic::{AtomicUsize, Ordering};

use base::ids::ShardId;

use crate::session::PIN_VOTES;

/// A client is busy if it has sent so many commands in a second.
pub(crate) const BUSY_PER_SECOND: u64 = 1000;

/// After so many commands it is clear whether a client works with the keys of one core.
pub(crate) const COMMANDS_TO_TELL: u64 = 2 * PIN_VOTES as u64;

/// A core with more clients looks at them once a second, not in every round of housekeeping.
pub(crate) const CLIENTS_OF_ROUND: usize = 1000;

/// Busy clients of all cores.
#[derive(Debug)]
pub struct Balance(Box<[AtomicUsize]>);

impl Balance {
    /// Nobody is busy.
    #[must_use]
    pub fn new(shard_count: u16) -> Self {
        Self((0..shard_count).map(|_| AtomicUsize::new(0)).collect())
    }

    /// Takes the count of a core; returns where it should send clients, one entry for each.
    pub(crate) fn tell(&self, me: ShardId, busy: usize) -> Vec<ShardId> {
        self.0[me.index()].store(busy, Ordering::Relaxed);
        let counts: Vec<_> = self.0.iter().map(|it| it.load(Ordering::Relaxed)).collect();
        destinations(&counts, me)
    }
}

/// See [`Balance::tell`].
fn destinations(counts: &[usize], me: ShardId) -> Vec<ShardId> {
    let share = counts.iter().sum::<usize>().div_ceil(counts.len().max(1));
    let least = counts.iter().min().copied().unwrap_or(0);
    // Others may have as many, and one of them too few: then one goes there.
    let is_uneven = counts[me.index()] == share && least + 2 <= share;
    let surplus = counts[me.index()].saturating_sub(share) + usize::from(is_uneven);
    // Begins with the next core, so that two that send begin with different ones.
    let others = (1..counts.len()).map(|step| (me.index() + step) % counts.len());
    let free = others.flat_map(|core| {
        let core_id = ShardId(u16::try_from(core).unwrap_or(0));
        std::iter::repeat_n(core_id, share.saturating_sub(counts[core]))
    });
    free.take(surplus).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(counts: &[usize], me: u16) -> Vec<u16> {
        let to = destinations(counts, ShardId(me));
        to.iter().map(|core| core.0).collect()
    }

    #[test]
    fn what_a_core_has_above_its_share_goes_to_those_that_have_less() {
        assert_eq!(sent(&[28, 22], 0), [1, 1, 1]);
        assert!(sent(&[28, 22], 1).is_empty());
        assert_eq!(sent(&[2, 0], 0), [1]);
        assert_eq!(sent(&[5, 0, 0, 1], 0), [1, 1, 2]);
        assert_eq!(sent(&[0, 0, 3, 3], 2), [0]);
        assert_eq!(sent(&[0, 0, 3, 3], 3), [0]);
        assert_eq!(sent(&[9, 11, 11], 2), [0]);
    }

    #[test]
    fn who_has_one_more_than_others_keeps_it() {
        for counts in [&[1, 0][..], &[11, 10, 10], &[3, 3, 3], &[7], &[0, 0]] {
            for me in 0..u16::try_from(counts.len()).unwrap() {
                assert!(sent(counts, me).is_empty(), "{counts:?}");
            }
        }
    }
}
