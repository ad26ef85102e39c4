//! A server process of its own for a test: started on a free port, stopped when dropped.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use protocol::value::Value;

use super::client::Client;
use super::wait::wait_until;

/// How long a server may take until it answers.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A running server. Dropping it kills the process and removes its directory.
#[derive(Debug)]
pub(crate) struct Server {
    /// The TCP port it listens on.
    pub(crate) port: u16,
    /// For messages: the program and, for ours, the number of shards.
    pub(crate) name: String,
    child: Child,
    directory: PathBuf,
}

impl Server {
    /// Starts the server under test with `shards` shards and more `flags`.
    ///
    /// # Panics
    ///
    /// If it does not answer PING in time; the message has its log.
    pub(crate) fn trestle(shards: u32, flags: &[&str]) -> Self {
        Self::start(&trestle_program(), shards, flags)
    }

    /// Starts the reference, `redis-server`.
    ///
    /// # Panics
    ///
    /// If it does not answer PING in time, or is not installed.
    pub(crate) fn redis(flags: &[&str]) -> Self {
        let program = std::env::var_os("REDIS_BIN").unwrap_or_else(|| "redis-server".into());
        Self::start(Path::new(&program), 1, flags)
    }

    /// Starts `program`, which takes the flags of Trestle; one called `redis-server` those of Redis.
    ///
    /// # Panics
    ///
    /// If it does not answer PING in time; the message has its log.
    pub(crate) fn start(program: &Path, shards: u32, flags: &[&str]) -> Self {
        // Between finding a free port and the server listening on it, another test may take it.
        for _ in 0..3 {
            let mut server = Self::spawn(program, shards, flags);
            if server.is_answering() {
                return server;
            }
            let log = server.log();
            let status = server.child.try_wait().unwrap();
            eprintln!("{} did not start ({status:?}): {log}", server.name);
        }
        panic!("{} does not start", program.display());
    }

    /// As [`Server::start`], without waiting for an answer.
    pub(crate) fn spawn(program: &Path, shards: u32, flags: &[&str]) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let unique = STARTED.fetch_add(1, Ordering::Relaxed);
        let directory = scratch_directory().join(format!("server-{}-{unique}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let log = File::create(directory.join("log")).unwrap();
        let port = free_port();
        let mut command = Command::new(program);
        command
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--enable-debug-command", "yes"])
            .arg("--dir")
            .arg(&directory);
        let file_name = program.file_name().unwrap().to_string_lossy();
        let mut name = file_name.to_string();
        if file_name != "redis-server" {
            command.args(["--shards", &shards.to_string()]);
            name = format!("{file_name} with {shards} shards");
        }
        forget_settings(&mut command);
        let child = command
            .args(flags)
            .current_dir(&directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("start {}: {error}", program.display()));
        Self {
            port,
            name,
            child,
            directory,
        }
    }

    fn is_answering(&mut self) -> bool {
        let mut has_exited = false;
        let is_answering = wait_until(START_LIMIT, || {
            has_exited = !matches!(self.child.try_wait(), Ok(None));
            has_exited || answers_ping(self.port)
        });
        is_answering && !has_exited
    }

    /// Opens a connection.
    ///
    /// # Panics
    ///
    /// If the server does not accept it.
    pub(crate) fn client(&self) -> Client {
        Client::connect(self.port)
    }

    /// Asks the process to end.
    pub(crate) fn terminate(&self) {
        let pid = self.pid().to_string();
        let status = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(status.unwrap().success());
    }

    /// Kills the process, and returns the end of what it printed.
    pub(crate) fn kill(&mut self) -> String {
        // Both can only fail if the process is gone already.
        drop(self.child.kill());
        drop(self.child.wait());
        self.log()
    }

    /// Waits until the process has ended.
    ///
    /// # Panics
    ///
    /// If it does not in time.
    pub(crate) fn wait_for_end(&mut self) -> ExitStatus {
        let mut status = None;
        let has_ended = wait_until(START_LIMIT, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        assert!(has_ended, "{} does not end: {}", self.name, self.log());
        status.unwrap()
    }

    /// Returns the process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns the memory that the process has resident, in bytes.
    ///
    /// # Panics
    ///
    /// If the process is gone.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .expect("a living process has VmRSS");
        let kilobytes = line.split_whitespace().nth(1).unwrap();
        kilobytes.parse::<u64>().unwrap() * 1024
    }

    /// Fails unless the process still runs.
    ///
    /// # Panics
    ///
    /// If it ended; the message has its log.
    pub(crate) fn assert_running(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("{} ended with {status}: {}", self.name, self.log());
        }
    }

    /// Returns the end of what the server printed.
    pub(crate) fn log(&self) -> String {
        let text = fs::read(self.directory.join("log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(Some(status)) = self.child.try_wait() {
            eprintln!("{} had ended with {status}: {}", self.name, self.log());
        }
        // Both can only fail if the process is gone already, which is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
        drop(fs::remove_dir_all(&self.directory));
    }
}

/// Returns whether a server on `port` answers PING.
pub(crate) fn answers_ping(port: u16) -> bool {
    Client::try_connect(port)
        .and_then(|mut client| client.try_request(&["PING"]))
        .is_ok_and(|reply| reply == Value::Simple(b"PONG".to_vec()))
}

/// Starts a server that has to refuse what it finds in a directory, and ends with it; returns what it says.
pub(crate) fn refusal(directory: &Path, flags: &[&str]) -> String {
    let mut command = Command::new(trestle_program());
    forget_settings(&mut command);
    let output = command
        .args(["--port", "0", "--unixsocket"])
        .arg(directory.join("socket"))
        .arg("--dir")
        .arg(directory)
        .args(flags)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert_eq!(output.status.code(), Some(78), "{text}");
    text
}

/// Takes the variables away that are for the tests: the server reads settings from those of its name.
pub(crate) fn forget_settings(command: &mut Command) {
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("TRESTLE_") {
            command.env_remove(variable);
        }
    }
}

/// Returns the program under test: `TRESTLE_BIN`, or the binary of this package.
pub(crate) fn trestle_program() -> PathBuf {
    if let Some(program) = std::env::var_os("TRESTLE_BIN") {
        return program.into();
    }
    env!("CARGO_BIN_EXE_trestle").into()
}

/// Returns a directory for files of this run.
pub(crate) fn scratch_directory() -> PathBuf {
    env!("CARGO_TARGET_TMPDIR").into()
}

/// Finds a TCP port of the loopback interface that nobody uses now.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}
