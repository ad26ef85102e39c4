//! The server's side of a simulated connection as a value that can travel between cores.

use std::io;

use crate::world::{self, LinkId};

/// A connected stream socket; closed when dropped.
#[derive(Debug)]
pub struct Socket {
    link: LinkId,
}

impl Socket {
    pub(crate) fn of_link(link: LinkId) -> Self {
        Self { link }
    }

    pub(crate) fn link(&self) -> LinkId {
        self.link
    }

    /// Returns a number that stands for the descriptor.
    #[must_use]
    pub fn raw_fd(&self) -> i32 {
        i32::try_from(self.link.0).unwrap_or(i32::MAX)
    }

    /// Returns the other side as `ip:port`.
    #[must_use]
    pub fn peer_address(&self) -> String {
        world::addresses(self.link).0
    }

    /// Returns this side in the same form.
    #[must_use]
    pub fn local_address(&self) -> String {
        world::addresses(self.link).1
    }

    /// Sends `bytes`, as far as there is room at once, and closes the connection.
    pub fn send_and_close(self, bytes: &[u8]) {
        // Whether the last word arrives is the client's concern.
        world::server_write(self.link, bytes).ok();
    }

    /// Whether the connection came over a unix socket: never here.
    #[must_use]
    pub fn is_unix(&self) -> bool {
        false
    }

    /// Has no effect on a simulated network, which collects nothing.
    ///
    /// # Errors
    ///
    /// None here.
    pub fn set_nodelay(&self, _: bool) -> io::Result<()> {
        Ok(())
    }

    /// Has no effect on a simulated network, in which a cut is noticed anyway.
    ///
    /// # Errors
    ///
    /// None here.
    pub fn set_keepalive(&self, _: u32) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        world::server_close(self.link);
    }
}
