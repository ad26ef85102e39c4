//! What a core keeps from one sleep in its executor to the next.
//!
//! The socket ring owns both, as the kernel reports the end of a sleep through it; [`crate::idle`]
//! uses them.

use std::fmt;

use base::clock::Monotonic;
use glommio::io::BufferedFile;

/// The timer of the socket ring that ends a park.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    /// When the armed timer ends.
    pub(crate) armed: Option<Monotonic>,
}

impl Alarm {
    /// Notes that the timer has ended.
    pub(crate) fn ended(&mut self) {
        self.armed = None;
    }
}

/// The executor's handle of the eventfd that ends a park; made at the first one.
#[derive(Default)]
pub(crate) struct Park {
    pub(crate) file: Option<BufferedFile>,
}

impl fmt::Debug for Park {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Park")
            .field("file", &self.file.is_some())
            .finish()
    }
}
