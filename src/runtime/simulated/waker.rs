//! Ends the sleep of a simulated core.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::world;

/// Wakes one core; cheap to clone.
#[derive(Clone, Debug)]
pub struct Waker {
    core: usize,
    called: Arc<AtomicBool>,
}

impl Waker {
    /// Creates the waker of one core.
    pub(crate) fn of_core(core: usize) -> Self {
        Self {
            core,
            called: Arc::default(),
        }
    }

    /// Makes the core return from its present or next sleep, whether it has messages or not.
    pub fn wake(&self) {
        self.called.store(true, Ordering::Relaxed);
        world::wake_core(self.core, world::now());
    }

    pub(crate) fn core(&self) -> usize {
        self.core
    }

    pub(crate) fn is_called(&self) -> bool {
        self.called.load(Ordering::Relaxed)
    }

    pub(crate) fn take_call(&self) {
        self.called.store(false, Ordering::Relaxed);
    }
}
