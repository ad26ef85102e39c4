//! Channels between cores and helper threads, and between helper threads.
//!
//! A channel holds a bounded number of messages. Helpers may wait for room and for messages; cores only try.
//!
//! Not here: messages between cores ([`crate::mesh`]).

use std::fmt;
use std::sync::mpsc::{self, RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError};
use std::time::Duration;

/// Makes a channel that holds up to `len` messages, and no more.
#[must_use]
pub fn bounded<T>(len: usize) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = mpsc::sync_channel(len);
    (Sender(sender), Receiver(receiver))
}

/// The end that messages are given to.
pub struct Sender<T>(mpsc::SyncSender<T>);

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Sender<T> {
    /// Gives a message, as soon as there is room. Not for cores, unless there is always room.
    ///
    /// # Errors
    ///
    /// If nobody will take it: gives it back.
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        self.0.send(message)
    }

    /// Gives a message if there is room.
    ///
    /// # Errors
    ///
    /// If there is none, or nobody will take it: gives it back.
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        self.0.try_send(message)
    }
}

/// The end that messages are taken from, in the order in which they were given.
pub struct Receiver<T>(mpsc::Receiver<T>);

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Receiver").finish_non_exhaustive()
    }
}

impl<T> Receiver<T> {
    /// Takes the next message, as soon as there is one. Not for cores.
    ///
    /// # Errors
    ///
    /// If there is none and nobody will give one.
    pub fn recv(&self) -> Result<T, RecvError> {
        self.0.recv()
    }

    /// As [`Receiver::recv`], but gives up after `period`.
    ///
    /// # Errors
    ///
    /// If nobody gave one, or nobody will.
    pub fn recv_timeout(&self, period: Duration) -> Result<T, RecvTimeoutError> {
        self.0.recv_timeout(period)
    }

    /// Takes the next message if there is one.
    ///
    /// # Errors
    ///
    /// If there is none; and whether there will be none.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.0.try_recv()
    }
}
