//! A blocking client that keeps the bytes of what it reads.
//!
//! Not here: what replies mean; [`protocol::value`] reads them.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use protocol::value::{Value, ValueSkipper, parse_value};

/// How long a reply may take before the test gives up.
pub(crate) const REPLY_LIMIT: Duration = Duration::from_secs(20);

/// One connection to a server on this machine.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    /// Bytes read; those before `start` were handed out.
    received: Vec<u8>,
    start: usize,
    skip: ValueSkipper,
}

impl Client {
    /// Connects to `port` of the loopback interface.
    ///
    /// # Panics
    ///
    /// If nobody listens there.
    pub(crate) fn connect(port: u16) -> Self {
        Self::try_connect(port).unwrap_or_else(|error| panic!("connect to port {port}: {error}"))
    }

    /// As [`Client::connect`], for those who expect that it may fail.
    pub(crate) fn try_connect(port: u16) -> io::Result<Self> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let stream = TcpStream::connect_timeout(&address, REPLY_LIMIT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(REPLY_LIMIT))?;
        stream.set_write_timeout(Some(REPLY_LIMIT))?;
        Ok(Self {
            stream,
            received: Vec::new(),
            start: 0,
            skip: ValueSkipper::new(),
        })
    }

    /// Sends bytes as they are.
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends one request.
    pub(crate) fn send<W: AsRef<[u8]>>(&mut self, words: &[W]) -> io::Result<()> {
        let mut bytes = Vec::new();
        encode(words, &mut bytes);
        self.send_bytes(&bytes)
    }

    /// Reads one reply and returns its bytes.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` if the server closed the connection, `WouldBlock` or `TimedOut` after
    /// [`REPLY_LIMIT`], `InvalidData` if the bytes are no reply.
    pub(crate) fn read_reply(&mut self) -> io::Result<Vec<u8>> {
        loop {
            match self.skip.skip(&self.received[self.start..]) {
                Ok(Some(length)) => {
                    let reply = self.received[self.start..self.start + length].to_vec();
                    self.start += length;
                    if self.start == self.received.len() {
                        self.received.clear();
                        self.start = 0;
                    }
                    return Ok(reply);
                }
                Ok(None) => self.read_more()?,
                Err(error) => {
                    let text = self.received[self.start..].escape_ascii().to_string();
                    let text = format!("{error:?} in \"{text}\"");
                    return Err(io::Error::new(io::ErrorKind::InvalidData, text));
                }
            }
        }
    }

    /// Waits until something has come that was not read, and leaves it there.
    ///
    /// # Errors
    ///
    /// `WouldBlock` or `TimedOut` after [`REPLY_LIMIT`].
    pub(crate) fn await_reply(&self) -> io::Result<()> {
        self.stream.peek(&mut [0]).map(drop)
    }

    /// Reads everything until the server closes the connection, or until `limit_bytes` are there.
    pub(crate) fn read_to_end(&mut self, limit_bytes: usize) -> io::Result<Vec<u8>> {
        while self.received.len() - self.start < limit_bytes {
            match self.read_more() {
                Ok(()) => {}
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset
                    ) =>
                {
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(self.received.split_off(self.start))
    }

    /// Sends one request and returns the reply.
    ///
    /// # Panics
    ///
    /// If no reply comes.
    pub(crate) fn request<W: AsRef<[u8]>>(&mut self, words: &[W]) -> Value {
        self.try_request(words).unwrap_or_else(|error| {
            let text: Vec<String> = words
                .iter()
                .map(|word| word.as_ref().escape_ascii().to_string())
                .collect();
            panic!("{}: {error}", text.join(" "))
        })
    }

    /// As [`Client::request`], for those who expect that it may fail.
    pub(crate) fn try_request<W: AsRef<[u8]>>(&mut self, words: &[W]) -> io::Result<Value> {
        self.send(words)?;
        Ok(value_of(&self.read_reply()?))
    }

    /// Sends the words of `line`, parted by spaces, and returns the reply.
    ///
    /// # Panics
    ///
    /// If no reply comes.
    pub(crate) fn line(&mut self, line: &str) -> Value {
        self.request(&line.split_whitespace().collect::<Vec<_>>())
    }

    /// As [`Client::line`], where the reply must be `+OK`.
    ///
    /// # Panics
    ///
    /// If it is something else.
    pub(crate) fn ok(&mut self, line: &str) {
        let reply = self.line(line);
        assert_eq!(reply, Value::Simple(b"OK".to_vec()), "{line}");
    }

    /// Says that nothing more will be sent; replies can still be read.
    pub(crate) fn close_sending(&self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// Changes how long a read or a write may take; `None` is for ever.
    pub(crate) fn set_limit(&self, limit: Option<Duration>) -> io::Result<()> {
        self.stream.set_read_timeout(limit)?;
        self.stream.set_write_timeout(limit)
    }

    fn read_more(&mut self) -> io::Result<()> {
        let mut chunk = [0; 32 * 1024];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    self.received.extend_from_slice(&chunk[..count]);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Appends the request of `words` to `bytes`.
pub(crate) fn encode<W: AsRef<[u8]>>(words: &[W], bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        let word = word.as_ref();
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
}

/// Reads the value of one whole reply.
///
/// # Panics
///
/// If it is not one.
pub(crate) fn value_of(reply: &[u8]) -> Value {
    match parse_value(reply) {
        Ok(Some((value, length))) if length == reply.len() => value,
        other => panic!("{}: {other:?}", reply.escape_ascii()),
    }
}
