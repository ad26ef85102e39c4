//! Facts that all cores see: a value behind a lock.
//!
//! For what is no data of clients, changes rarely and must be the same everywhere at once, such as the
//! sources of scripts. Whoever uses it holds the lock for a look or a change, never over a request, and
//! keeps a copy with a number of its own for the way of every request.
//!
//! Not here: data. Cores share none.

#![expect(
    clippy::disallowed_types,
    reason = "this is the one place where cores share a value"
)]

use std::sync::{Mutex, PoisonError};

/// See the head of this file.
#[derive(Debug, Default)]
pub struct Facts<T>(Mutex<T>);

impl<T> Facts<T> {
    /// Creates facts.
    #[must_use]
    pub const fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// Looks at the facts, or changes them; nobody else does meanwhile.
    ///
    /// After a panic in here others see what it has left.
    pub fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_seen_by_other_threads() {
        let facts = Facts::new(1);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| facts.with(|value| *value += 1));
            }
        });
        assert_eq!(facts.with(|value| *value), 5);
    }
}
