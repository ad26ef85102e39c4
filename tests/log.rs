//! The append-only log: killed servers, torn and damaged files, and everything that is read back.
//!
//! Not here: the files without a server (`src/storage/log`), effects that are applied to a shard
//! (`src/commands/replay.rs`).

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use base::random::Random;
use protocol::value::Value;

use crate::dump::RECIPES;
use crate::support::client::Client;
use crate::support::seed;
use crate::support::server::{Server, forget_settings, scratch_directory, trestle_program};
use crate::support::wait::wait_until;

const LIMIT: Duration = Duration::from_secs(60);

/// Rounds of killing without `ROUNDS` in the environment.
const ROUNDS: u64 = 4;

pub(crate) const WRITERS: u64 = 4;

/// A data directory that servers use one after the other.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new(name: &str) -> Self {
        let path = scratch_directory().join(format!("log-{name}-{}", std::process::id()));
        drop(fs::remove_dir_all(&path));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn flags<'a>(&'a self, policy: &'a str) -> [&'a str; 6] {
        let path = self.0.to_str().unwrap();
        [
            "--dir",
            path,
            "--appendonly",
            "yes",
            "--appendfsync",
            policy,
        ]
    }

    pub(crate) fn start(&self, policy: &str) -> Server {
        Server::trestle(2, &self.flags(policy))
    }

    /// Returns the log of shard 0 that is read last of those that have records.
    fn log(&self) -> PathBuf {
        let names = fs::read_dir(self.0.join("appendonlydir")).unwrap();
        let paths = names.map(|name| name.unwrap().path());
        let mut logs: Vec<PathBuf> = paths
            .filter(|path| path.to_str().unwrap().contains("shard-0."))
            .filter(|path| fs::metadata(path).unwrap().len() > 100)
            .collect();
        logs.sort();
        logs.pop().unwrap()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn integer(client: &mut Client, line: &str) -> u64 {
    match client.line(line) {
        Value::Bulk(bytes) => String::from_utf8(bytes).unwrap().parse().unwrap(),
        Value::Integer(number) => u64::try_from(number).unwrap(),
        Value::Null => 0,
        other => panic!("{line}: {other:?}"),
    }
}

/// Writes numbers one above the other and notes which were acknowledged and which were begun, until the
/// server is gone.
pub(crate) fn write(port: u16, writer: u64, noted: &[AtomicU64; 2]) {
    let Ok(mut client) = Client::try_connect(port) else {
        return;
    };
    let [acknowledged, begun] = noted;
    loop {
        let number = begun.load(Ordering::SeqCst) + 1;
        begun.store(number, Ordering::SeqCst);
        let script = "redis.call('SET', KEYS[1], ARGV[1]) redis.call('SET', KEYS[2], ARGV[1])";
        let text = number.to_string();
        let key = |name: &str| format!("{name}:{writer}");
        let (one, other) = (format!("{{{writer}}}one"), format!("{{{writer}}}other"));
        let requests: [&[&str]; 5] = [
            &["SET", &key("plain"), &text],
            &["SET", &key("expiring"), &text, "EX", "10000"],
            &["HSET", &key("hash"), "field", &text],
            &["EVAL", script, "2", &one, &other, &text],
            // A large value, which is told by what changes it.
            &["RPUSH", &key("list"), &text],
        ];
        for request in requests {
            match client.try_request(request) {
                Ok(Value::Error(error)) => panic!("{}", error.escape_ascii()),
                Ok(_) => {}
                Err(_) => return,
            }
        }
        acknowledged.store(number, Ordering::SeqCst);
    }
}

pub(crate) fn check(client: &mut Client, writer: u64, noted: &[AtomicU64; 2]) {
    let [acknowledged, begun] = [0, 1].map(|at: usize| noted[at].load(Ordering::SeqCst));
    let lines = [
        format!("GET plain:{writer}"),
        format!("GET expiring:{writer}"),
        format!("HGET hash:{writer} field"),
        format!("GET {{{writer}}}one"),
        format!("LINDEX list:{writer} -1"),
    ];
    for line in lines {
        let number = integer(client, &line);
        assert!(
            (acknowledged..=begun).contains(&number),
            "{line}: {number}, acknowledged {acknowledged}, begun {begun}"
        );
    }
    let one = integer(client, &format!("GET {{{writer}}}one"));
    assert_eq!(one, integer(client, &format!("GET {{{writer}}}other")));
    // What was begun and not acknowledged may be missing from the middle of the list.
    let length = integer(client, &format!("LLEN list:{writer}"));
    assert!(length <= 2000 + begun && length + ROUNDS.max(rounds()) >= 2000 + acknowledged);
}

pub(crate) fn rounds() -> u64 {
    std::env::var("ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap())
}

#[test]
fn a_server_that_is_killed_has_lost_nothing_that_it_has_acknowledged() {
    let directory = Directory::new("kill");
    let mut random = Random::new(seed("kill", 3));
    let noted: Arc<Vec<[AtomicU64; 2]>> = Arc::new(
        (0..WRITERS)
            .map(|_| [AtomicU64::new(0), AtomicU64::new(0)])
            .collect(),
    );
    {
        let server = directory.start("always");
        let mut client = server.client();
        for writer in 0..WRITERS {
            let filler = "0 ".repeat(2000);
            client.line(&format!("RPUSH list:{writer} {filler}"));
        }
    }
    for _ in 0..rounds() {
        let server = directory.start("always");
        let mut client = server.client();
        for (writer, noted) in (0..).zip(noted.iter()) {
            if noted[1].load(Ordering::SeqCst) > 0 {
                check(&mut client, writer, noted);
            }
        }
        let before = noted[0][0].load(Ordering::SeqCst);
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (noted, port) = (Arc::clone(&noted), server.port);
                let at = usize::try_from(writer).unwrap();
                thread::spawn(move || write(port, writer, &noted[at]))
            })
            .collect();
        let count = 5 + random.below(60);
        assert!(wait_until(LIMIT, || noted[0][0].load(Ordering::SeqCst)
            > before + count));
        drop(server);
        writers
            .into_iter()
            .for_each(|writer| writer.join().unwrap());
    }
    let server = directory.start("no");
    for (writer, noted) in (0..).zip(noted.iter()) {
        check(&mut server.client(), writer, noted);
    }
}

#[test]
fn values_of_all_types_are_read_back_from_the_log() {
    let directory = Directory::new("types");
    let digest = {
        let server = directory.start("no");
        let mut client = server.client();
        let mut random = Random::new(seed("types", 8));
        for round in 0..30 {
            let recipe = RECIPES[round % RECIPES.len()](&mut random);
            for request in &recipe.requests {
                client.request(request);
            }
            client.line(&format!("RENAME k key:{round}"));
        }
        let members = (0..3000).map(|number| number.to_string());
        client.line(&format!(
            "SADD drawn {}",
            members.collect::<Vec<_>>().join(" ")
        ));
        for _ in 0..50 {
            client.line("SPOP drawn 3");
            client.line("SPOP drawn");
        }
        let code = "#!lua name=l\nredis.register_function('f', function() return 7 end)";
        let loaded = client.request(&["FUNCTION", "LOAD", code]);
        assert_eq!(loaded, Value::Bulk(b"l".to_vec()));
        client.line("SELECT 3");
        client.ok("MSET a 1 b 2 c 3");
        client.ok("SWAPDB 3 4");
        client.line("DEBUG DIGEST")
    };
    let server = directory.start("everysec");
    let mut client = server.client();
    assert_eq!(client.line("DEBUG DIGEST"), digest);
    assert_eq!(client.line("FCALL f 0"), Value::Integer(7));
    client.line("SELECT 4");
    assert_eq!(client.line("DBSIZE"), Value::Integer(3));
    client.ok("FLUSHALL");
    drop(server);
    let server = directory.start("everysec");
    assert_eq!(server.client().line("DBSIZE"), Value::Integer(0));
}

/// Starts a server that has to refuse; returns what it says.
pub(crate) fn refusal(directory: &Directory, flags: &[&str]) -> String {
    let mut command = Command::new(trestle_program());
    forget_settings(&mut command);
    let output = command
        .args(["--port", "0", "--shards", "2", "--unixsocket"])
        .arg(directory.0.join("socket"))
        .args(directory.flags("no"))
        .args(flags)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(78));
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn a_torn_end_is_cut_off_and_damage_before_it_keeps_the_server_from_starting() {
    let directory = Directory::new("torn");
    {
        let server = directory.start("no");
        let mut client = server.client();
        for number in 0..100 {
            client.ok(&format!("SET key:{number} {number}"));
        }
        let text = refusal(&directory, &[]);
        assert!(text.contains("in use") && text.contains("--dir"), "{text}");
    }
    let path = directory.log();
    let whole = fs::read(&path).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 4;
    fs::write(&path, &damaged).unwrap();
    let text = refusal(&directory, &[]);
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(text.contains(name) && text.contains("at byte "), "{text}");
    assert_eq!(fs::read(&path).unwrap(), damaged, "the file stays");
    fs::write(&path, &whole[..whole.len() - 3]).unwrap();
    let text = refusal(&directory, &["--aof-load-truncated", "no"]);
    assert!(text.contains("aof-load-truncated yes"), "{text}");
    for _ in 0..2 {
        let server = directory.start("no");
        assert_eq!(server.client().line("DBSIZE"), Value::Integer(99));
    }
}

#[test]
fn a_new_log_goes_on_from_the_rdb_file() {
    let directory = Directory::new("base");
    {
        let path = directory.0.to_str().unwrap();
        let server = Server::trestle(1, &["--dir", path]);
        let mut client = server.client();
        client.ok("SET from rdb");
        client.ok("SAVE");
    }
    for round in 0..3 {
        let server = directory.start("no");
        let mut client = server.client();
        assert_eq!(client.line("GET from"), Value::Bulk(b"rdb".to_vec()));
        assert_eq!(client.line("DBSIZE"), Value::Integer(1 + round));
        client.ok(&format!("SET new:{round} 1"));
        client.ok("SAVE");
    }
}

#[test]
fn tables_are_refused_as_long_as_the_log_has_no_place_for_them() {
    let directory = Directory::new("tables");
    let server = directory.start("no");
    let mut client = server.client();
    for line in ["TABLE.NAMESPACE.CREATE n", "TABLE.SCHEMA.CREATE t a:string"] {
        let Value::Error(text) = client.line(line) else {
            panic!("{line} is refused");
        };
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("appendonly no"), "{text}");
    }
}
