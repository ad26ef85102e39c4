//! A connected socket as a value that can travel between cores.

use std::io;
use std::net::TcpStream;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use socket2::{SockAddr, SockRef, TcpKeepalive};

/// A connected stream socket, TCP or unix; closed when dropped.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
}

impl Socket {
    /// Wraps a descriptor that the kernel has given out for a connection. It must be in blocking
    /// mode: the ring would otherwise answer "try again" where it should wait.
    pub(crate) fn from_blocking(fd: OwnedFd) -> Self {
        Self { fd }
    }

    /// Returns the number of the descriptor, as `CLIENT LIST` shows it.
    #[must_use]
    pub fn raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Returns the other side as `ip:port` (`[ip]:port` for IPv6), or the path of the unix socket.
    /// Empty if the connection is already gone.
    #[must_use]
    pub fn peer_address(&self) -> String {
        let socket = SockRef::from(&self.fd);
        match socket.peer_addr() {
            // A client has no path of its own: it is known by the path it has connected to.
            Ok(address) if address.is_unix() => self.local_address(),
            Ok(address) => text(&address),
            Err(_) => String::new(),
        }
    }

    /// Returns this side in the same form.
    #[must_use]
    pub fn local_address(&self) -> String {
        SockRef::from(&self.fd)
            .local_addr()
            .map_or_else(|_| String::new(), |own| text(&own))
    }

    /// Sends `bytes`, as far as they fit into the kernel at once, and closes the connection: a last
    /// word to a client that is turned away.
    pub fn send_and_close(self, bytes: &[u8]) {
        let socket = SockRef::from(&self.fd);
        // Whether the last word arrives is the client's concern; the connection ends in any case.
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        drop(socket.send_with_flags(bytes, flags));
    }

    /// Whether the connection came over a unix socket.
    #[must_use]
    pub fn is_unix(&self) -> bool {
        SockRef::from(&self.fd)
            .local_addr()
            .is_ok_and(|address| address.is_unix())
    }

    /// Sends small segments at once, or lets the kernel collect them. Sockets of our listeners
    /// already have this on.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`; a unix socket does not know the option.
    pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
        SockRef::from(&self.fd).set_tcp_nodelay(on)
    }

    /// Has the kernel probe a silent peer after `seconds`, 0 for never.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_keepalive(&self, seconds: u32) -> io::Result<()> {
        set_keepalive(&SockRef::from(&self.fd), seconds)
    }

    /// Ends both directions now; what the kernel has already taken is still sent.
    pub(crate) fn shut_down(&self) {
        // Fails only if the peer has already gone, which is what we want.
        drop(SockRef::from(&self.fd).shutdown(std::net::Shutdown::Both));
    }
}

impl TryFrom<TcpStream> for Socket {
    type Error = io::Error;

    fn try_from(stream: TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(false)?;
        Ok(Self { fd: stream.into() })
    }
}

impl TryFrom<UnixStream> for Socket {
    type Error = io::Error;

    fn try_from(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(false)?;
        Ok(Self { fd: stream.into() })
    }
}

/// Sets the three options of keep-alive from the one number users give: the first probe after
/// `seconds`, two more a third of that apart, as Redis does.
pub(crate) fn set_keepalive(socket: &socket2::Socket, seconds: u32) -> io::Result<()> {
    if seconds == 0 {
        return socket.set_keepalive(false);
    }
    let idle = Duration::from_secs(u64::from(seconds));
    let interval = Duration::from_secs(u64::from((seconds / 3).max(1)));
    let options = TcpKeepalive::new()
        .with_time(idle)
        .with_interval(interval)
        .with_retries(3);
    socket.set_tcp_keepalive(&options)
}

fn text(address: &SockAddr) -> String {
    if let Some(address) = address.as_socket() {
        return address.to_string();
    }
    address
        .as_pathname()
        .map_or_else(String::new, |path| path.to_string_lossy().into_owned())
}
