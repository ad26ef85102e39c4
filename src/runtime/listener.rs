//! Listening sockets. Made with plain system calls, so that the caller can say which port is taken.

use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::socket::set_keepalive;

/// Options of a TCP listener; accepted sockets inherit the last two.
#[derive(Clone, Copy, Debug)]
pub struct TcpOptions {
    /// Connections the kernel keeps that nobody has accepted yet.
    pub backlog: u32,
    /// Several listeners, one per core, share the address; the kernel spreads connections.
    pub reuse_port: bool,
    /// Small replies leave at once.
    pub nodelay: bool,
    /// Silence after which the kernel probes the peer, 0 for never.
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

/// A socket that connections come from; closed when dropped.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
}

impl Listener {
    /// Returns the address of a TCP listener, with the port that the kernel has chosen for port 0;
    /// none for a unix listener.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.socket
            .local_addr()
            .ok()
            .and_then(|address| address.as_socket())
    }

    pub(crate) fn raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Makes a second handle of the same listener, for another core to accept from too.
    ///
    /// # Errors
    ///
    /// If no descriptors are left.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            socket: self.socket.try_clone()?,
        })
    }
}

/// Listens on `address`.
///
/// # Errors
///
/// Those of `bind(2)`, among them [`io::ErrorKind::AddrInUse`] and
/// [`io::ErrorKind::PermissionDenied`]. With `reuse_port` an address that another process of the
/// same user listens on with that option too is not an error: probe without it first.
pub fn bind_tcp(address: SocketAddr, options: TcpOptions) -> io::Result<Listener> {
    let domain = if address.is_ipv6() {
        Domain::IPV6
    } else {
        Domain::IPV4
    };
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // So that 0.0.0.0 and :: can be listened on side by side.
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(options.reuse_port)?;
    socket.set_tcp_nodelay(options.nodelay)?;
    set_keepalive(&socket, options.keepalive_seconds)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(i32::try_from(options.backlog).unwrap_or(i32::MAX))?;
    Ok(Listener { socket })
}

/// Listens on the unix socket `path`, with the given permission bits (as of `chmod`; none: those
/// that the umask leaves). A socket file that nobody listens on is replaced.
///
/// # Errors
///
/// [`io::ErrorKind::AddrInUse`] if another process listens there or the path is some other file;
/// those of `bind(2)` otherwise.
pub fn bind_unix(path: &Path, permissions: Option<u32>, backlog: u32) -> io::Result<Listener> {
    remove_stale(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    if let Some(permissions) = permissions {
        fs::set_permissions(path, Permissions::from_mode(permissions))?;
    }
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(Listener { socket })
}

/// Removes a socket file left behind by a process that did not end in order.
fn remove_stale(path: &Path) -> io::Result<()> {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    let is_refused =
        || UnixStream::connect(path).is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused);
    if metadata.file_type().is_socket() && is_refused() {
        return fs::remove_file(path);
    }
    Ok(())
}
