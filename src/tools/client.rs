//! A connection to a running server.
//!
//! Requests may be sent ahead of their replies. Replies come in the second version of the protocol.
//!
//! Not here: what replies mean ([`protocol::value`]).

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use protocol::value::{Value, ValueSkipper, parse_value};

/// Bytes that are read at a time.
const READ_BYTES: usize = 64 * 1024;

/// Which server, and how one gets in.
#[derive(Args, Clone, Debug)]
pub(crate) struct ServerOptions {
    /// The host of the server.
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// Its port.
    #[arg(long, default_value_t = 6379)]
    port: u16,
    /// The user; without one the default user.
    #[arg(long)]
    user: Option<String>,
    /// The password. `REDISCLI_AUTH` in the environment is not seen by others on the machine.
    #[arg(long)]
    password: Option<String>,
    /// The number of the database.
    #[arg(long, default_value_t = 0)]
    pub(crate) db: u16,
}

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    /// Bytes read; those before `start` were handed out.
    received: Vec<u8>,
    start: usize,
    skipper: ValueSkipper,
    request: Vec<u8>,
}

impl Client {
    /// Connects, says who it is and chooses the database.
    ///
    /// # Errors
    ///
    /// What the network or the server refuses.
    pub(crate) fn connect(options: &ServerOptions) -> Result<Self> {
        let (host, port) = (&options.host, options.port);
        let stream = TcpStream::connect((host.as_str(), port));
        let stream = stream.with_context(|| format!("connect to {host}:{port}"))?;
        stream.set_nodelay(true)?;
        let mut client = Self {
            stream,
            received: Vec::new(),
            start: 0,
            skipper: ValueSkipper::new(),
            request: Vec::new(),
        };
        let password = options.password.clone();
        let password = password.or_else(|| std::env::var("REDISCLI_AUTH").ok());
        match (&options.user, password) {
            (Some(user), password) => {
                client.call(&["AUTH", user, password.as_deref().unwrap_or_default()])?;
            }
            (None, Some(password)) => {
                client.call(&["AUTH", &password])?;
            }
            (None, None) => {}
        }
        if options.db != 0 {
            client.call(&["SELECT", &options.db.to_string()])?;
        }
        Ok(client)
    }

    /// Sends a request without waiting for its reply.
    ///
    /// # Errors
    ///
    /// Those of the network.
    pub(crate) fn send<W: AsRef<[u8]>>(&mut self, words: &[W]) -> Result<()> {
        let mut request = std::mem::take(&mut self.request);
        request.clear();
        request.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
        for word in words {
            let word = word.as_ref();
            request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            request.extend_from_slice(word);
            request.extend_from_slice(b"\r\n");
        }
        let sent = self.stream.write_all(&request);
        self.request = request;
        sent.context("send to the server")
    }

    /// Reads the next reply, which may be an error of the server.
    ///
    /// # Errors
    ///
    /// Those of the network.
    pub(crate) fn reply(&mut self) -> Result<Value> {
        loop {
            match self.skipper.skip(&self.received[self.start..]) {
                Ok(Some(length)) => {
                    let reply = &self.received[self.start..self.start + length];
                    let value = match parse_value(reply) {
                        Ok(Some((value, _))) => value,
                        other => bail!("the server sends what is no reply: {other:?}"),
                    };
                    self.start += length;
                    if self.start == self.received.len() {
                        self.received.clear();
                        self.start = 0;
                    }
                    return Ok(value);
                }
                Ok(None) => self.read_more()?,
                Err(error) => bail!("the server sends what is no reply: {error:?}"),
            }
        }
    }

    /// Sends a request and reads its reply.
    ///
    /// # Errors
    ///
    /// Those of the network, and what the server refuses.
    pub(crate) fn call<W: AsRef<[u8]>>(&mut self, words: &[W]) -> Result<Value> {
        self.send(words)?;
        match self.reply()? {
            Value::Error(text) => {
                let name = words.first().map(|word| word.as_ref().escape_ascii());
                let name = name.map(|name| name.to_string()).unwrap_or_default();
                bail!("{name}: {}", String::from_utf8_lossy(&text))
            }
            value => Ok(value),
        }
    }

    fn read_more(&mut self) -> Result<()> {
        if self.start > 0 {
            self.received.drain(..self.start);
            self.start = 0;
        }
        let len = self.received.len();
        self.received.resize(len + READ_BYTES, 0);
        let read = self.stream.read(&mut self.received[len..]);
        self.received
            .truncate(len + read.as_ref().copied().unwrap_or(0));
        if read.context("read from the server")? == 0 {
            bail!("the server has closed the connection");
        }
        Ok(())
    }
}

/// Returns the elements of an array; none of anything else.
pub(crate) fn elements(value: Value) -> Vec<Value> {
    match value {
        Value::Array(elements) => elements,
        _ => Vec::new(),
    }
}

/// Returns the bytes of a string, or the digits of a number; nothing for what is missing.
pub(crate) fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::Bulk(bytes) | Value::Simple(bytes) => Some(bytes),
        Value::Integer(number) => Some(number.to_string().into_bytes()),
        _ => None,
    }
}

/// Returns a field of what is an array of names and values.
pub(crate) fn field(value: &Value, name: &str) -> Option<Value> {
    let Value::Array(elements) = value else {
        return None;
    };
    let mut pairs = elements.chunks_exact(2);
    let pair = pairs.find(|pair| pair[0] == Value::Bulk(name.as_bytes().to_vec()))?;
    Some(pair[1].clone())
}
