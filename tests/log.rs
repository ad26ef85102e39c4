//! The append-only log: killed servers, torn and damaged files, and everything that is read back.
//!
//! Not here: the files without a server (`src/storage/log`), effects that are applied to a shard
//! (`src/commands/replay.rs`).

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use base::random::Random;
use protocol::value::Value;
use runtime::log_file::LogFile;

use crate::dump::RECIPES;
use crate::support::client::Client;
use crate::support::seed;
use crate::support::server::{self, Server, scratch_directory};
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

/// Starts a server with a log that has to refuse what it finds; returns what it says.
pub(crate) fn refusal(directory: &Directory, flags: &[&str]) -> String {
    let log = [
        "--shards",
        "2",
        "--appendonly",
        "yes",
        "--appendfsync",
        "no",
    ];
    server::refusal(&directory.0, &[&log[..], flags].concat())
}

#[test]
fn a_log_without_its_manifest_keeps_the_server_from_starting() {
    let directory = Directory::new("lost");
    let logs = directory.0.join("appendonlydir");
    {
        let server = directory.start("always");
        server.client().ok("SET key value");
    }
    let manifest = fs::read(logs.join("manifest")).unwrap();
    fs::remove_file(logs.join("manifest")).unwrap();
    let before = logs.join("shard-0.1.log");
    let text = refusal(&directory, &[]);
    for part in [
        "appendonlydir",
        "no manifest",
        "put that file back",
        "shard-",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(before.exists(), "nothing is removed");
    // Without a log there is nothing to go wrong, until one is to be begun in that place.
    let off = Server::trestle(2, &["--dir", directory.0.to_str().unwrap()]);
    let Value::Error(text) = off.client().line("CONFIG SET appendonly yes") else {
        panic!("the log would begin over the old one");
    };
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("Unable to turn on AOF"), "{text}");
    assert!(off.log().contains("no manifest"), "{}", off.log());
    drop(off);
    fs::write(logs.join("manifest"), manifest).unwrap();
    let server = directory.start("no");
    let value = Value::Bulk(b"value".to_vec());
    assert_eq!(server.client().line("GET key"), value);
}

#[test]
fn a_log_that_was_being_switched_on_is_not_taken_for_one_without_its_manifest() {
    let directory = Directory::new("switching");
    let logs = directory.0.join("appendonlydir");
    {
        let server = directory.start("no");
        server.client().ok("SET key value");
        server.client().ok("SAVE");
    }
    // What a kill leaves between the first record and the first base.
    fs::remove_file(logs.join("manifest")).unwrap();
    fs::write(logs.join("first-base-unfinished"), "").unwrap();
    let server = directory.start("no");
    let value = Value::Bulk(b"value".to_vec());
    assert_eq!(
        server.client().line("GET key"),
        value,
        "it is in the RDB file"
    );
    assert!(!logs.join("first-base-unfinished").exists());
    drop(server);
    // One that was switched on, and has its base, is a log as any other.
    fs::remove_dir_all(&logs).unwrap();
    {
        let server = Server::trestle(2, &["--dir", directory.0.to_str().unwrap()]);
        let mut client = server.client();
        client.ok("CONFIG SET appendonly yes");
        assert!(wait_until(LIMIT, || logs.join("manifest").exists()));
        assert!(wait_until(LIMIT, || !logs
            .join("first-base-unfinished")
            .exists()));
        client.ok("SET other value");
        assert_eq!(
            client.line("WAITAOF 1 0 5000"),
            Value::Array(vec![Value::Integer(1), Value::Integer(0)])
        );
    }
    fs::remove_file(logs.join("manifest")).unwrap();
    let text = refusal(&directory, &[]);
    assert!(text.contains("no manifest"), "{text}");
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
fn room_in_front_of_a_log_is_no_damage_and_goes_when_the_log_ends() {
    let directory = Directory::new("room");
    let probe = LogFile::create(&directory.0.join("probe")).unwrap();
    if let Err(error) = probe.make_room() {
        // A file system that is not written past the cache of the kernel.
        println!("there is no room to be tested here: {error}");
        return;
    }
    let ends_with_zeros = |directory: &Directory| {
        let log = fs::read(directory.log()).unwrap();
        log.len() > 8192 && log[log.len() - 4096..].iter().all(|byte| *byte == 0)
    };
    for round in 0..3 {
        let mut server = directory.start("always");
        let mut client = server.client();
        assert_eq!(client.line("DBSIZE"), Value::Integer(200 * round));
        for number in 0..200 {
            client.ok(&format!("SET key:{round}:{number} {number}"));
        }
        assert!(wait_until(LIMIT, || ends_with_zeros(&directory)), "{round}");
        // With other policies it is not wanted, as they write more than once between two syncs.
        if round == 1 {
            client.ok("CONFIG SET appendfsync no");
            client.ok("SET key:1:0 0");
            client.ok("SET {key:1:0}:2 0");
            client.line("DEL {key:1:0}:2");
            client.ok("CONFIG SET appendfsync always");
            for number in 0..200 {
                client.ok(&format!("SET key:{round}:{number} {number}"));
            }
            assert!(wait_until(LIMIT, || ends_with_zeros(&directory)), "{round}");
        }
        server.kill();
    }
    assert!(ends_with_zeros(&directory));
    // Nothing of it is taken for a torn record.
    let mut server = Server::trestle(
        2,
        &[
            &directory.flags("always")[..],
            &["--aof-load-truncated", "no"],
        ]
        .concat(),
    );
    let mut client = server.client();
    assert_eq!(client.line("DBSIZE"), Value::Integer(600));
    for number in 0..200 {
        client.ok(&format!("SET last:{number} {number}"));
    }
    assert!(wait_until(LIMIT, || ends_with_zeros(&directory)));
    client.send(&["SHUTDOWN", "NOSAVE"]).unwrap();
    assert!(server.wait_for_end().success());
    assert!(!ends_with_zeros(&directory));
    let server = directory.start("no");
    assert_eq!(server.client().line("DBSIZE"), Value::Integer(800));
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

/// Returns the bytes of the last record of a log, its length included.
fn last_record(log: &[u8]) -> usize {
    let mark = [0xA7, 0x52, 0x65, 0x63];
    let at = log.windows(4).rposition(|window| window == mark);
    log.len() - at.unwrap()
}

#[test]
fn what_a_log_has_lost_of_a_transaction_is_left_out_of_the_others() {
    let directory = Directory::new("parts");
    {
        let server = directory.start("no");
        let mut client = server.client();
        client.ok("MSET a 1 b 1 c 1 d 1");
        client.ok("SET other 1");
        client.ok("MSET a 2 b 2 c 2 d 2");
    }
    let path = directory.log();
    let whole = fs::read(&path).unwrap();
    let last = last_record(&whole);
    let numbers = |client: &mut Client| -> Vec<u64> {
        let keys = ["a", "b", "c", "d"].iter();
        keys.map(|key| integer(client, &format!("GET {key}")))
            .collect()
    };
    let logs = directory.0.join("appendonlydir");
    let names = fs::read_dir(&logs).unwrap();
    let files: Vec<(PathBuf, Vec<u8>)> = names
        .map(|name| name.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    // Torn within the part, without it, and whole.
    for (lost, expected) in [(1, 1), (last / 2, 1), (last, 1), (0, 2)] {
        fs::remove_dir_all(&logs).unwrap();
        fs::create_dir_all(&logs).unwrap();
        for (file, bytes) in &files {
            fs::write(file, bytes).unwrap();
        }
        fs::write(&path, &whole[..whole.len() - lost]).unwrap();
        for _ in 0..2 {
            let server = directory.start("no");
            let mut client = server.client();
            assert_eq!(numbers(&mut client), [expected; 4], "{lost} bytes are lost");
            assert_eq!(integer(&mut client, "GET other"), 1);
            client.ok(&format!("MSET e {lost} f {lost}"));
        }
    }
}

fn pair(value: &Value) -> [i64; 2] {
    match value {
        Value::Array(items) => match items[..] {
            [Value::Integer(local), Value::Integer(replicas)] => [local, replicas],
            _ => panic!("{value:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn waitaof_waits_until_all_that_was_written_is_on_the_disk() {
    let directory = Directory::new("waitaof");
    for policy in ["always", "everysec", "no"] {
        let server = directory.start(policy);
        let mut client = server.client();
        for round in 0..20 {
            client.ok(&format!("MSET a {round} b 2 c 3 d 4"));
            assert_eq!(pair(&client.line("WAITAOF 1 0 0")), [1, 0], "{policy}");
        }
        assert_eq!(pair(&client.line("WAITAOF 0 0 0")), [1, 0]);
        client.ok("SET a 1");
        assert_eq!(
            pair(&client.line("WAITAOF 1 1 50")),
            [1, 0],
            "nobody else has it"
        );
        // Behind what was sent before.
        client.send(&["INCR", "a"]).unwrap();
        client.send(&["WAITAOF", "1", "0", "0"]).unwrap();
        assert_eq!(client.read_reply().unwrap(), b":2\r\n");
        assert_eq!(client.read_reply().unwrap(), b"*2\r\n:1\r\n:0\r\n");
        // It does not wait where nothing may wait.
        client.ok("MULTI");
        client.line("SET b 1");
        client.line("WAITAOF 1 1 0");
        let Value::Array(replies) = client.line("EXEC") else {
            panic!("EXEC");
        };
        assert_eq!(pair(&replies[1])[1], 0);
        let script = ["EVAL", "return redis.call('WAITAOF', '1', '1', '0')", "0"];
        assert_eq!(pair(&client.request(&script))[1], 0);
        let id = integer(&mut client, "CLIENT ID");
        client.send(&["WAITAOF", "1", "5", "0"]).unwrap();
        let mut other = server.client();
        let unblocked = || integer(&mut other, &format!("CLIENT UNBLOCK {id}")) == 1;
        assert!(wait_until(LIMIT, unblocked));
        assert_eq!(client.read_reply().unwrap()[..4], *b"*2\r\n");
    }
}

#[test]
fn waitaof_refuses_what_it_cannot_do() {
    let directory = Directory::new("waitaof-refused");
    let logged = directory.start("no");
    let plain = Server::trestle(2, &[]);
    let check = |server: &Server, words: &str, expected: &str| {
        let reply = server.client().line(&format!("WAITAOF {words}"));
        assert_eq!(reply, Value::Error(expected.as_bytes().to_vec()), "{words}");
    };
    let not_one = "ERR value is out of range, value must between 0 and 1";
    for server in [&logged, &plain] {
        check(server, "2 0 0", not_one);
        check(server, "-1 0 0", not_one);
        check(
            server,
            "x 0 0",
            "ERR value is not an integer or out of range",
        );
        check(
            server,
            "1 -1 0",
            "ERR value is out of range, must be positive",
        );
        check(server, "0 0 -1", "ERR timeout is negative");
        check(
            server,
            "0 0 x",
            "ERR timeout is not an integer or out of range",
        );
    }
    let no_log = "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.";
    check(&plain, "1 0 0", no_log);
    assert_eq!(pair(&plain.client().line("WAITAOF 0 0 0"))[1], 0);
    assert_eq!(pair(&plain.client().line("WAITAOF 0 1 10"))[1], 0);
}
