//! Channels of a simulated world, under the names of the real ones: who waits is put aside, and goes on some time
//! after there is something to go on with.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError};
use std::time::Duration;

use crate::facts::Facts;
use crate::helper::{self, HelperId};
use crate::world;

/// Makes a channel that holds up to `len` messages, and no more.
#[must_use]
pub fn bounded<T>(len: usize) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Facts::new(State {
        messages: VecDeque::new(),
        room: len.max(1),
        senders: 1,
        has_receiver: true,
        waiting: Vec::new(),
    }));
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

struct State<T> {
    messages: VecDeque<T>,
    room: usize,
    senders: usize,
    has_receiver: bool,
    /// Helpers that look again when something changes.
    waiting: Vec<HelperId>,
}

/// Looks at a channel or changes it, and tells those who wait.
fn change<T, R>(shared: &Facts<State<T>>, work: impl FnOnce(&mut State<T>) -> R) -> R {
    let (result, waiting) = shared.with(|state| {
        let result = work(state);
        (result, std::mem::take(&mut state.waiting))
    });
    for helper in waiting {
        helper::wake(helper);
    }
    result
}

/// Puts the helper that runs aside until the channel changes, or until `until`.
fn wait<T>(shared: &Facts<State<T>>, until: u64) {
    if let Some(me) = helper::current() {
        shared.with(|state| state.waiting.push(me));
    }
    helper::wait(until);
}

/// The end that messages are given to.
pub struct Sender<T>(Arc<Facts<State<T>>>);

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.with(|state| state.senders += 1);
        Self(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        change(&self.0, |state| state.senders -= 1);
    }
}

impl<T> Sender<T> {
    /// Gives a message, as soon as there is room.
    ///
    /// # Errors
    ///
    /// If nobody will take it: gives it back.
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        let mut message = message;
        loop {
            match self.try_send(message) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Disconnected(back)) => return Err(SendError(back)),
                Err(TrySendError::Full(back)) => message = back,
            }
            wait(&self.0, u64::MAX);
        }
    }

    /// Gives a message if there is room.
    ///
    /// # Errors
    ///
    /// If there is none, or nobody will take it: gives it back.
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        change(&self.0, |state| {
            if !state.has_receiver {
                return Err(TrySendError::Disconnected(message));
            }
            if state.messages.len() >= state.room {
                return Err(TrySendError::Full(message));
            }
            state.messages.push_back(message);
            Ok(())
        })
    }
}

/// The end that messages are taken from, in the order in which they were given.
pub struct Receiver<T>(Arc<Facts<State<T>>>);

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Receiver").finish_non_exhaustive()
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let left = change(&self.0, |state| {
            state.has_receiver = false;
            std::mem::take(&mut state.messages)
        });
        drop(left);
    }
}

impl<T> Receiver<T> {
    /// Takes the next message, as soon as there is one.
    ///
    /// # Errors
    ///
    /// If there is none and nobody will give one.
    pub fn recv(&self) -> Result<T, RecvError> {
        loop {
            match self.try_recv() {
                Ok(message) => return Ok(message),
                Err(TryRecvError::Disconnected) => return Err(RecvError),
                Err(TryRecvError::Empty) => wait(&self.0, u64::MAX),
            }
        }
    }

    /// As [`Receiver::recv`], but gives up after `period`.
    ///
    /// # Errors
    ///
    /// If nobody gave one, or nobody will.
    pub fn recv_timeout(&self, period: Duration) -> Result<T, RecvTimeoutError> {
        let nanos = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX);
        let until = world::now().saturating_add(nanos);
        loop {
            match self.try_recv() {
                Ok(message) => return Ok(message),
                Err(TryRecvError::Disconnected) => return Err(RecvTimeoutError::Disconnected),
                Err(TryRecvError::Empty) if world::now() >= until => {
                    return Err(RecvTimeoutError::Timeout);
                }
                Err(TryRecvError::Empty) => wait(&self.0, until),
            }
        }
    }

    /// Takes the next message if there is one.
    ///
    /// # Errors
    ///
    /// If there is none; and whether there will be none.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        change(&self.0, |state| match state.messages.pop_front() {
            Some(message) => Ok(message),
            None if state.senders == 0 => Err(TryRecvError::Disconnected),
            None => Err(TryRecvError::Empty),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helpers_hand_on_more_than_a_channel_holds_in_order() {
        for seed in 1..50 {
            world::begin(seed, None);
            let (numbers, first) = bounded(2);
            let (doubled, second) = bounded(1);
            helper::start("double", move || {
                while let Ok(number) = first.recv() {
                    doubled.send(2 * number).unwrap();
                }
            })
            .unwrap();
            helper::start("count", move || {
                for number in 0..20 {
                    numbers.send(number).unwrap();
                }
            })
            .unwrap();
            let taken: Vec<i32> = std::iter::from_fn(|| second.recv().ok()).collect();
            let expected: Vec<i32> = (0..20).map(|number| 2 * number).collect();
            assert_eq!(taken, expected, "seed {seed}");
        }
    }

    #[test]
    fn who_waits_for_nobody_is_told_and_who_waits_too_long_gives_up() {
        world::begin(1, None);
        let (sender, receiver) = bounded::<u8>(1);
        let before = world::now();
        let outcome = receiver.recv_timeout(Duration::from_millis(5));
        assert_eq!(outcome, Err(RecvTimeoutError::Timeout));
        assert!(world::now() >= before + 5_000_000);
        drop(sender);
        assert_eq!(receiver.recv(), Err(RecvError));
        let (sender, receiver) = bounded(1);
        drop(receiver);
        assert_eq!(sender.send(1), Err(SendError(1)));
    }

    #[test]
    fn helpers_that_wait_are_gone_with_their_process() {
        world::begin(1, None);
        let (sender, receiver) = bounded::<u8>(1);
        let kept = Arc::new(());
        let held = Arc::clone(&kept);
        helper::start("wait", move || {
            let _held = held;
            // Nobody sends anything.
            receiver.recv().ok();
        })
        .unwrap();
        let late = world::now() + 1_000_000_000;
        while helper::next_at().is_some_and(|at| at <= late) {
            helper::run_due();
        }
        assert_eq!(Arc::strong_count(&kept), 2);
        helper::end_all();
        assert_eq!(Arc::strong_count(&kept), 1);
        assert_eq!(sender.send(1), Err(SendError(1)));
    }
}
