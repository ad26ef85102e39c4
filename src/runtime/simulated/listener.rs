//! Simulated listeners: an address that clients of the same world connect to.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

/// Options of a TCP listener, as the caller knows them from the real one.
#[derive(Clone, Copy, Debug)]
pub struct TcpOptions {
    /// Connections kept that nobody has accepted yet: no bound here.
    pub backlog: u32,
    /// Several listeners, one per core, share the address.
    pub reuse_port: bool,
    /// Small replies leave at once: always here.
    pub nodelay: bool,
    /// Silence after which the peer is probed: never here.
    pub keepalive_seconds: u32,
}

impl Default for TcpOptions {
    fn default() -> Self {
        Self {
            backlog: 511,
            reuse_port: true,
            nodelay: true,
            keepalive_seconds: 300,
        }
    }
}

/// An address that connections come to.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
}

impl Listener {
    /// Returns the address.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        Some(self.address)
    }

    pub(crate) fn door(&self) -> SocketAddr {
        self.address
    }

    /// Makes a second handle, for another core to accept from too.
    ///
    /// # Errors
    ///
    /// None here.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            address: self.address,
        })
    }
}

/// Listens on `address`.
///
/// # Errors
///
/// None here: every address is free.
pub fn bind_tcp(address: SocketAddr, _: TcpOptions) -> io::Result<Listener> {
    Ok(Listener { address })
}

/// Refuses: a simulated network has no files.
///
/// # Errors
///
/// Always [`io::ErrorKind::Unsupported`].
pub fn bind_unix(_: &Path, _: Option<u32>, _: u32) -> io::Result<Listener> {
    Err(io::ErrorKind::Unsupported.into())
}
