//! A plain blocking connection for the few questions asked besides the load.
//!
//! Invariants
//! - Replies are bounded in depth and size; a server that never answers runs into a time limit.
//!
//! Not here: the load itself (`client`).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Result, anyhow, bail, ensure};

use crate::options::{Options, Target};
use crate::workload::push_command;

/// Longest wait for a connection or an answer.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// Deepest nesting of an answer.
const DEPTH_MAX: usize = 16;
/// Longest answer, in bytes.
const REPLY_BYTES_MAX: usize = 64 << 20;

/// A connected socket.
pub(crate) enum Connected {
    /// Over TCP, and to which of the host's addresses.
    Tcp(TcpStream, SocketAddr),
    /// Over a local socket.
    Unix(UnixStream),
}

/// Connects to `target`, to the first of its addresses that answers.
///
/// # Errors
///
/// The sentence of redis-benchmark: `Could not connect to Redis at HOST:PORT: why`.
pub(crate) fn connect(target: &Target) -> Result<Connected> {
    match target {
        Target::Unix(path) => match UnixStream::connect(path) {
            Ok(stream) => Ok(Connected::Unix(stream)),
            Err(error) => Err(not_connected(target, &error)),
        },
        Target::Tcp(host, port) => {
            let addresses = (host.as_str(), *port)
                .to_socket_addrs()
                .map_err(|e| not_connected(target, &e))?;
            let mut failure = None;
            for address in addresses {
                match TcpStream::connect_timeout(&address, WAIT_MAX) {
                    Ok(stream) => {
                        // Without it the kernel may hold a batch back for 40 ms.
                        stream.set_nodelay(true)?;
                        return Ok(Connected::Tcp(stream, address));
                    }
                    Err(error) => failure = Some(error),
                }
            }
            Err(failure.map_or_else(
                || anyhow!("Could not connect to Redis at {host}:{port}: no address"),
                |error| not_connected(target, &error),
            ))
        }
    }
}

/// Returns the sentence for a connection that failed.
pub(crate) fn not_connected(target: &Target, error: &std::io::Error) -> anyhow::Error {
    let text = error.to_string();
    let why = text.split(" (os error").next().unwrap_or(&text).to_owned();
    anyhow!("Could not connect to Redis at {}: {why}", name_of(target))
}

/// Returns `host:port` or the path.
pub(crate) fn name_of(target: &Target) -> String {
    match target {
        Target::Tcp(host, port) => format!("{host}:{port}"),
        Target::Unix(path) => path.display().to_string(),
    }
}

/// An answer, as far as its content matters here. Maps and sets come as arrays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Simple or bulk string, or the text of a number.
    Text(Vec<u8>),
    /// Error, without the `-`.
    Error(String),
    /// Null of any form.
    Null,
    /// Elements of an aggregate.
    Array(Vec<Self>),
}

impl Answer {
    /// Returns the text, if it is one.
    pub(crate) fn text(&self) -> Option<String> {
        match self {
            Self::Text(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            Self::Error(_) | Self::Null | Self::Array(_) => None,
        }
    }

    /// Returns the elements; none if it is no aggregate.
    pub(crate) fn elements(&self) -> &[Self] {
        match self {
            Self::Array(elements) => elements,
            Self::Text(_) | Self::Error(_) | Self::Null => &[],
        }
    }
}

/// An open connection for questions.
pub(crate) struct Probe {
    stream: Connected,
    received: Vec<u8>,
}

impl Probe {
    /// Connects and logs in.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached or refuses the password.
    pub(crate) fn open(target: &Target, options: &Options) -> Result<Self> {
        let stream = connect(target)?;
        match &stream {
            Connected::Tcp(stream, _) => stream.set_read_timeout(Some(WAIT_MAX))?,
            Connected::Unix(stream) => stream.set_read_timeout(Some(WAIT_MAX))?,
        }
        let mut probe = Self {
            stream,
            received: Vec::new(),
        };
        let login: Vec<&[u8]> = match (&options.user, &options.password) {
            (Some(user), Some(password)) => vec![b"AUTH", user.as_bytes(), password.as_bytes()],
            (None, Some(password)) => vec![b"AUTH", password.as_bytes()],
            (_, None) => return Ok(probe),
        };
        if let Some(Answer::Error(text)) = probe.ask(&[&login])?.first() {
            bail!("Node {} replied with error:\n{text}", name_of(target));
        }
        Ok(probe)
    }

    /// Sends `commands` in one write and returns their answers in order.
    ///
    /// # Errors
    ///
    /// If the connection breaks or the server does not speak RESP. An error that the server
    /// answers is an [`Answer::Error`].
    pub(crate) fn ask(&mut self, commands: &[&[&[u8]]]) -> Result<Vec<Answer>> {
        let mut bytes = Vec::new();
        for words in commands {
            push_command(&mut bytes, words);
        }
        match &mut self.stream {
            Connected::Tcp(stream, _) => stream.write_all(&bytes)?,
            Connected::Unix(stream) => stream.write_all(&bytes)?,
        }
        commands.iter().map(|_| self.answer()).collect()
    }

    fn answer(&mut self) -> Result<Answer> {
        loop {
            if let Some((answer, length)) = parse(&self.received, 0)? {
                self.received.drain(..length);
                return Ok(answer);
            }
            ensure!(
                self.received.len() < REPLY_BYTES_MAX,
                "Answer beyond all limits"
            );
            let mut piece = [0; 16 << 10];
            let length = match &mut self.stream {
                Connected::Tcp(stream, _) => stream.read(&mut piece)?,
                Connected::Unix(stream) => stream.read(&mut piece)?,
            };
            ensure!(length > 0, "Server closed the connection");
            self.received.extend_from_slice(&piece[..length]);
        }
    }
}

/// Reads one answer from the front of `input`; nothing if it is not whole yet.
fn parse(input: &[u8], depth: usize) -> Result<Option<(Answer, usize)>> {
    ensure!(depth < DEPTH_MAX, "Answer nested too deeply");
    let Some(end) = memchr::memchr(b'\n', input) else {
        return Ok(None);
    };
    let line = input[..end].trim_ascii_end();
    let Some((&kind, content)) = line.split_first() else {
        bail!("Protocol error, empty line")
    };
    let mut used = end + 1;
    let text = || String::from_utf8_lossy(content).into_owned();
    let answer = match kind {
        b'+' | b':' | b',' | b'#' | b'(' => Answer::Text(content.to_vec()),
        b'-' => Answer::Error(text()),
        b'_' => Answer::Null,
        b'$' | b'=' | b'*' | b'%' | b'~' | b'>' => {
            let Ok(count) = text().parse::<i64>() else {
                bail!("Protocol error, bad length")
            };
            let Ok(count) = usize::try_from(count) else {
                return Ok(Some((Answer::Null, used)));
            };
            ensure!(count < REPLY_BYTES_MAX, "Answer beyond all limits");
            if matches!(kind, b'$' | b'=') {
                let Some(bulk) = input.get(used..used + count + 2) else {
                    return Ok(None);
                };
                used += count + 2;
                Answer::Text(bulk[..count].to_vec())
            } else {
                let mut elements = Vec::new();
                for _ in 0..if kind == b'%' { count * 2 } else { count } {
                    let Some((element, length)) = parse(&input[used..], depth + 1)? else {
                        return Ok(None);
                    };
                    used += length;
                    elements.push(element);
                }
                Answer::Array(elements)
            }
        }
        other => bail!(
            "Protocol error, got \"{}\" as reply type byte",
            other.escape_ascii()
        ),
    };
    Ok(Some((answer, used)))
}

/// What a report says about the configuration of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ServerConfig {
    /// Directive `save`.
    pub(crate) save: String,
    /// Directive `appendonly`.
    pub(crate) appendonly: String,
}

/// Asks for the configuration; absent if the server does not tell.
///
/// # Errors
///
/// If the server cannot be reached, or lets nobody in without a password.
pub(crate) fn server_config(target: &Target, options: &Options) -> Result<Option<ServerConfig>> {
    let mut probe = Probe::open(target, options)?;
    let answers = probe.ask(&[
        &[b"CONFIG", b"GET", b"save"],
        &[b"CONFIG", b"GET", b"appendonly"],
    ])?;
    let mut values = Vec::new();
    for answer in answers {
        match answer {
            Answer::Error(text) if text.starts_with("NOAUTH") => {
                bail!("Node {} replied with error:\n{text}", name_of(target));
            }
            Answer::Array(pair) if pair.len() == 2 => values.extend(pair[1].text()),
            Answer::Array(_) | Answer::Error(_) | Answer::Null | Answer::Text(_) => {}
        }
    }
    match <[String; 2]>::try_from(values) {
        Ok([save, appendonly]) => Ok(Some(ServerConfig { save, appendonly })),
        Err(_incomplete) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_answer_is_read_whole_or_not_at_all() {
        let input = b"*3\r\n$3\r\nabc\r\n%1\r\n+k\r\n:1\r\n$-1\r\n";
        for cut in 0..input.len() {
            assert_eq!(parse(&input[..cut], 0).unwrap(), None, "cut at {cut}");
        }
        let text = |text: &str| Answer::Text(text.as_bytes().to_vec());
        let expected = Answer::Array(vec![
            text("abc"),
            Answer::Array(vec![text("k"), text("1")]),
            Answer::Null,
        ]);
        assert_eq!(parse(input, 0).unwrap(), Some((expected, input.len())));
    }

    #[test]
    fn bad_answers_are_errors() {
        for input in [&b"hello\r\n"[..], b"$x\r\n", b"\r\n", b"*99999999999\r\n"] {
            assert!(parse(input, 0).is_err());
        }
        assert!(parse("*1\r\n".repeat(40).as_bytes(), 0).is_err());
    }

    #[test]
    fn failed_connection_is_told_as_redis_benchmark_does() {
        let target = Target::Tcp("127.0.0.1".to_owned(), 1);
        let error = connect(&target).err().unwrap();
        assert_eq!(
            error.to_string(),
            "Could not connect to Redis at 127.0.0.1:1: Connection refused"
        );
    }
}
