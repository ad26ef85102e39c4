//! A real server, a recording proxy and small questions, all on the loopback.
#![expect(
    clippy::disallowed_methods,
    reason = "tests start threads and read the clock"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A redis-server of this test alone; ends with it.
pub(crate) struct Server {
    child: Child,
    _log: BufReader<ChildStdout>,
    pub(crate) port: u16,
    pub(crate) folder: PathBuf,
}

impl Server {
    /// Starts redis-server with `more` directives and waits until it accepts connections.
    pub(crate) fn start(more: &[&str]) -> Self {
        let port = free_port();
        let folder = std::env::temp_dir().join(format!("loadgen-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut child = Command::new("redis-server")
            .args([
                "--port",
                &port.to_string(),
                "--save",
                "",
                "--bind",
                "127.0.0.1",
            ])
            .args(["--unixsocket", folder.join("socket").to_str().unwrap()])
            .args(["--dir", folder.to_str().unwrap()])
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .expect("redis-server is installed where tests run");
        let mut log = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("Ready to accept connections") {
            line.clear();
            assert!(
                log.read_line(&mut line).unwrap() > 0,
                "redis-server ended early"
            );
        }
        Self {
            child,
            _log: log,
            port,
            folder,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks one inline question and returns all that comes back.
    pub(crate) fn ask(&self, question: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream
            .write_all(format!("{question}\r\nQUIT\r\n").as_bytes())
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Returns how often `command` was called since the last CONFIG RESETSTAT.
    pub(crate) fn calls(&self, command: &str) -> u64 {
        let answer = self.ask("INFO commandstats");
        let line = answer
            .lines()
            .find(|line| line.starts_with(&format!("cmdstat_{command}:")));
        let calls = line.and_then(|line| line.split("calls=").nth(1)?.split(',').next());
        calls.map_or(0, |calls| calls.parse().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// Returns a port that nobody listened on a moment ago, low enough for a cluster bus above it.
pub(crate) fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        if port < 55_000 {
            return port;
        }
    }
}

/// Waits until `condition` holds.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < limit, "waited too long: {what}");
        std::thread::yield_now();
    }
}

/// Runs our load generator.
pub(crate) fn loadgen(line: &str) -> Output {
    run(env!("CARGO_BIN_EXE_loadgen"), line)
}

/// Runs the one that we are compared with.
pub(crate) fn redis_benchmark(line: &str) -> Output {
    run("redis-benchmark", line)
}

fn run(program: &str, line: &str) -> Output {
    Command::new(program)
        .args(line.split_whitespace())
        .output()
        .unwrap()
}

/// Runs our load generator, which must succeed, and returns its standard output.
#[track_caller]
pub(crate) fn loadgen_text(line: &str) -> String {
    let output = loadgen(line);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Hands bytes through to a server and keeps what clients sent, one record for each connection.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    is_over: Arc<AtomicBool>,
    acceptor: JoinHandle<Vec<Vec<u8>>>,
}

impl Proxy {
    pub(crate) fn start(server_port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let acceptor = std::thread::spawn(move || {
            let mut records = Vec::new();
            for client in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                let client = client.unwrap();
                let server = TcpStream::connect(("127.0.0.1", server_port)).unwrap();
                let (up, down) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || pass(down, client));
                records.push(std::thread::spawn(move || pass(up, server)));
            }
            records
                .into_iter()
                .map(|record| record.join().unwrap())
                .collect()
        });
        Self {
            port,
            is_over,
            acceptor,
        }
    }

    /// Ends the proxy and returns the records in the order of connections, without empty ones.
    pub(crate) fn records(self) -> Vec<Vec<u8>> {
        self.is_over.store(true, Ordering::SeqCst);
        // The last connection only wakes the acceptor; earlier ones come before it.
        drop(TcpStream::connect(("127.0.0.1", self.port)).unwrap());
        let mut records = self.acceptor.join().unwrap();
        records.retain(|record| !record.is_empty());
        records
    }
}

/// Copies until the end of `source` and returns what was copied.
fn pass(mut source: TcpStream, mut target: TcpStream) -> Vec<u8> {
    let mut record = Vec::new();
    let mut piece = vec![0; 64 << 10];
    while let Ok(length) = source.read(&mut piece) {
        if length == 0 {
            break;
        }
        record.extend_from_slice(&piece[..length]);
        if target.write_all(&piece[..length]).is_err() {
            break;
        }
    }
    drop(target.shutdown(Shutdown::Write));
    record
}

/// Replaces runs of twelve digits.
pub(crate) fn masked(record: &[u8]) -> String {
    let text = String::from_utf8_lossy(record);
    let mut masked = String::new();
    let mut digits = String::new();
    for character in text.chars().chain(['\0']) {
        if character.is_ascii_digit() {
            digits.push(character);
            continue;
        }
        masked.push_str(if digits.len() == 12 {
            "<random>"
        } else {
            &digits
        });
        digits.clear();
        masked.push(character);
    }
    masked
}
