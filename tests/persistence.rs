//! Files of Redis: written by one server and loaded by the other, saved under load, damaged, and refused.
//!
//! Not here: the file without a server (`src/storage/rdb_file/tests.rs`), the walk over a shard that
//! changes (`src/shard/snapshot/tests.rs`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base::random::Random;
use protocol::value::Value;

use crate::dump::{RECIPES, Recipe};
use crate::support::client::Client;
use crate::support::server::{Server, refusal, scratch_directory};
use crate::support::wait::wait_until;
use crate::support::{number, one_in, seed};

const LIMIT: Duration = Duration::from_secs(60);

/// A directory of its own for a file that servers hand to each other.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new(name: &str) -> Self {
        let path = scratch_directory().join(format!("{name}-{}", std::process::id()));
        drop(fs::remove_dir_all(&path));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.0.join("dump.rdb")
    }

    fn flag(&self) -> [&str; 2] {
        ["--dir", self.0.to_str().unwrap()]
    }

    pub(crate) fn redis(&self, flags: &[&str]) -> Server {
        Server::redis(&[&self.flag()[..], flags].concat())
    }

    pub(crate) fn trestle(&self, shards: u32, flags: &[&str]) -> Server {
        Server::trestle(shards, &[&self.flag()[..], flags].concat())
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Flags that give most values an encoding other than usual.
const THRESHOLDS: [&[&str]; 3] = [
    &[],
    &[
        "--hash-max-listpack-entries",
        "0",
        "--zset-max-listpack-entries",
        "0",
        "--set-max-intset-entries",
        "0",
        "--list-max-listpack-size",
        "1",
        "--stream-node-max-entries",
        "3",
    ],
    &[
        "--hash-max-listpack-entries",
        "5000",
        "--zset-max-listpack-entries",
        "5000",
        "--set-max-intset-entries",
        "5000",
        "--list-max-listpack-size",
        "400",
        "--rdbcompression",
        "no",
        "--rdbchecksum",
        "no",
    ],
];

/// Fills a server with values of every type, in three databases, some with an expiry.
pub(crate) fn fill(client: &mut Client, random: &mut Random) -> Vec<(u64, String)> {
    let mut keys = Vec::new();
    for round in 0..number("VALUES", 6) {
        for recipe in RECIPES {
            let Recipe { name, requests, .. } = recipe(random);
            let db = random.below(3) * 7;
            client.ok(&format!("SELECT {db}"));
            for request in &requests {
                client.request(request);
            }
            if client.line("EXISTS k") == Value::Integer(0) {
                continue;
            }
            let key = format!("{name}:{round}");
            client.ok(&format!("RENAME k {key}"));
            if one_in(random, 3) {
                let ms = 10_000_000 + random.below(1 << 40);
                client.line(&format!("PEXPIRE {key} {ms}"));
            }
            keys.push((db, key));
        }
    }
    client.request(&[
        "FUNCTION",
        "LOAD",
        "#!lua name=lib\nredis.register_function('f', function() return 7 end)",
    ]);
    client.ok("SELECT 0");
    keys
}

/// Returns all that commands show of keys.
pub(crate) fn state(client: &mut Client, keys: &[(u64, String)]) -> Vec<String> {
    let mut all = vec![
        format!("{:?}", client.line("DEBUG DIGEST")),
        format!("{:?}", client.line("FUNCTION LIST WITHCODE")),
    ];
    for (db, key) in keys {
        client.ok(&format!("SELECT {db}"));
        for line in [
            format!("TYPE {key}"),
            format!("OBJECT ENCODING {key}"),
            format!("PEXPIRETIME {key}"),
            format!("DEBUG DIGEST-VALUE {key}"),
        ] {
            all.push(format!("{line}: {:?}", client.line(&line)));
        }
        let encoding = client.line(&format!("OBJECT ENCODING {key}"));
        if key.starts_with("stream") {
            // Consumers and what is pending for them are in no fingerprint.
            let groups = client.line(&format!("XINFO GROUPS {key}"));
            all.push(format!("{key}: {groups:?}"));
        } else if encoding == Value::Bulk(b"listpack".to_vec()) || key.starts_with("list") {
            // Where there is an order, the bytes are the same.
            all.push(format!("{key}: {:?}", client.line(&format!("DUMP {key}"))));
        }
    }
    client.ok("SELECT 0");
    all
}

pub(crate) fn redis_check(file: &Path) {
    let output = Command::new("redis-check-rdb").arg(file).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("RDB looks OK"), "{text}");
}

#[test]
fn files_go_from_server_to_server_and_back() {
    let mut random = Random::new(seed("rdb", 0x0DB));
    for (round, thresholds) in THRESHOLDS.into_iter().enumerate() {
        let directory = Directory::new(&format!("exchange-{round}"));
        // DUMP is compressed or not in Redis as files are.
        let plain = ["--rdbcompression", "yes"];
        let (keys, expected) = {
            let redis = directory.redis(thresholds);
            let mut client = redis.client();
            let keys = fill(&mut client, &mut random);
            client.ok("SAVE");
            client.ok("CONFIG SET rdbcompression yes");
            let expected = state(&mut client, &keys);
            (keys, expected)
        };
        let shards = [1, 2, 3][round];
        {
            let ours = directory.trestle(shards, thresholds);
            let mut client = ours.client();
            assert_eq!(
                state(&mut client, &keys),
                expected,
                "round {round}: loaded here"
            );
            client.ok("DEBUG RELOAD");
            assert_eq!(
                state(&mut client, &keys),
                expected,
                "round {round}: reloaded"
            );
            fs::remove_file(directory.file()).unwrap();
            client.ok("SAVE");
        }
        redis_check(&directory.file());
        let redis = directory.redis(&[thresholds, &plain].concat());
        let mut client = redis.client();
        assert_eq!(
            state(&mut client, &keys),
            expected,
            "round {round}: loaded there"
        );
    }
}

#[test]
fn fields_that_expire_survive_a_reload() {
    let directory = Directory::new("fields");
    let server = directory.trestle(2, &[]);
    let mut client = server.client();
    client.line("HSET h a 1 b 2 c 3");
    client.line("HPEXPIRE h 1000000 FIELDS 2 a b");
    let before = client.line("HPEXPIRETIME h FIELDS 3 a b c");
    client.ok("DEBUG RELOAD");
    assert_eq!(client.line("HPEXPIRETIME h FIELDS 3 a b c"), before);
    let bytes = fs::read(directory.file()).unwrap();
    assert!(bytes.starts_with(b"REDIS0012"));
    client.line("DEL h");
    client.ok("SAVE");
    assert!(
        fs::read(directory.file())
            .unwrap()
            .starts_with(b"REDIS0010")
    );
}

/// The number of keys that are written in turns.
pub(crate) const TURNS: u64 = 60;

/// Writes numbers in turns to keys on all shards, and pairs of equal values, until told to stop.
pub(crate) fn write_on(port: u16, stop: &AtomicBool) -> u64 {
    let mut client = Client::connect(port);
    let mut written = 0;
    while !stop.load(Ordering::Relaxed) {
        let number = written + 1;
        client.ok(&format!("SET turn:{} {number}", number % TURNS));
        let pair = number % 10;
        client.ok(&format!("MSET one:{pair} {number} other:{pair} {number}"));
        client.line(&format!("HSET hash:{pair} field {number}"));
        client.line(&format!("RPUSH list:{pair} {number}"));
        written = number;
    }
    written
}

pub(crate) fn integer(client: &mut Client, line: &str) -> u64 {
    match client.line(line) {
        Value::Bulk(digits) => String::from_utf8(digits).unwrap().parse().unwrap(),
        Value::Integer(value) => u64::try_from(value).unwrap(),
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn a_save_under_load_is_one_moment_of_all_shards() {
    let directory = Directory::new("moment");
    let server = directory.trestle(3, &[]);
    let mut client = server.client();
    // Enough that the walk is under way for many writes.
    client.ok("DEBUG POPULATE 100000 filler 20");
    for number in 0..TURNS {
        client.ok(&format!("SET turn:{number} 0"));
    }
    let stop = Arc::new(AtomicBool::new(false));
    let (port, flag) = (server.port, Arc::clone(&stop));
    let writer = std::thread::spawn(move || write_on(port, &flag));
    for round in 0..number("ROUNDS", 4) {
        assert!(wait_until(LIMIT, || integer(&mut client, "LLEN list:1")
            > 5 * (round + 1)));
        if round % 2 == 0 {
            client.ok("SAVE");
        } else {
            let saves = info(&mut client);
            let started = Value::Simple(b"Background saving started".to_vec());
            assert_eq!(client.line("BGSAVE"), started);
            assert!(wait_until(LIMIT, || {
                let now = info(&mut client);
                line_of(&now, "rdb_saves") != line_of(&saves, "rdb_saves")
            }));
        }
        let copy = Directory::new(&format!("moment-{round}"));
        fs::copy(directory.file(), copy.file()).unwrap();
        redis_check(&copy.file());
        let loaded = copy.trestle(2, &[]);
        check_moment(&mut loaded.client());
    }
    stop.store(true, Ordering::Relaxed);
    let written = writer.join().unwrap();
    assert!(written > 100, "{written} writes went on beside the saves");
}

/// What one client has written in turns is there up to some number and not beyond.
pub(crate) fn check_moment(client: &mut Client) {
    let numbers: Vec<u64> = (0..TURNS)
        .map(|turn| integer(client, &format!("GET turn:{turn}")))
        .collect();
    let last = *numbers.iter().max().unwrap();
    for (turn, number) in (0..TURNS).zip(numbers) {
        let behind = (last + TURNS - turn) % TURNS;
        assert_eq!(number, last.saturating_sub(behind), "turn {turn} of {last}");
    }
    for pair in 0..10 {
        let one = integer(client, &format!("GET one:{pair}"));
        assert_eq!(
            one,
            integer(client, &format!("GET other:{pair}")),
            "pair {pair}"
        );
        let behind = (last + 10 - pair) % 10;
        // The pair of the last number may be still to come.
        let expected = last.saturating_sub(behind);
        assert!(
            one == expected || behind == 0 && one + 10 == expected,
            "{one} of {expected}"
        );
        let in_hash = integer(client, &format!("HGET hash:{pair} field"));
        assert!(in_hash == one || in_hash + 10 == one, "{in_hash} of {one}");
        let in_list = integer(client, &format!("LINDEX list:{pair} -1"));
        assert!(
            in_list == in_hash || in_list + 10 == in_hash,
            "{in_list} of {in_hash}"
        );
    }
}

fn info(client: &mut Client) -> String {
    match client.line("INFO persistence") {
        Value::Bulk(text) => String::from_utf8(text).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn line_of<'a>(info: &'a str, name: &str) -> &'a str {
    let start = info.find(name).unwrap();
    info[start..].lines().next().unwrap()
}

#[test]
fn a_file_that_is_not_whole_keeps_the_server_from_starting() {
    let directory = Directory::new("damaged");
    {
        let server = directory.trestle(2, &[]);
        let mut client = server.client();
        client.ok("DEBUG POPULATE 2000 key 50");
        client.ok("SAVE");
    }
    let whole = fs::read(directory.file()).unwrap();
    let mut random = Random::new(seed("damage", 5));
    for round in 0..6 {
        let mut bytes = whole.clone();
        let at = random.index(bytes.len());
        if round % 2 == 0 {
            bytes[at] ^= 1 << random.below(8);
        } else {
            bytes.truncate(at);
        }
        fs::write(directory.file(), &bytes).unwrap();
        let text = refusal(&directory.0, &[]);
        for part in ["dump.rdb", "at byte ", "rdb-check"] {
            assert!(text.contains(part), "{part}, byte {at}: {text}");
        }
        assert_eq!(fs::read(directory.file()).unwrap(), bytes, "the file stays");
    }
    fs::write(directory.file(), &whole).unwrap();
    let server = directory.trestle(3, &[]);
    assert_eq!(server.client().line("DBSIZE"), Value::Integer(2000));
}

#[test]
fn a_kill_during_a_save_leaves_a_whole_file() {
    let directory = Directory::new("killed");
    {
        let server = directory.trestle(2, &[]);
        let mut client = server.client();
        client.ok("DEBUG POPULATE 60000 key 40");
        client.ok("MSET one 0 other 0");
        client.ok("SAVE");
    }
    let mut last = 0;
    for round in 1..=number("ROUNDS", 5) {
        let server = directory.trestle(2, &[]);
        let mut client = server.client();
        assert_eq!(client.line("DBSIZE"), Value::Integer(60_002));
        let one = integer(&mut client, "GET one");
        assert_eq!(one, integer(&mut client, "GET other"));
        assert!(one == last || one + 1 == round, "{one} in round {round}");
        last = one;
        client.ok(&format!("MSET one {round} other {round}"));
        client.line("BGSAVE");
        // Some way into it; the server is killed when it is dropped.
        let wanted = round * 10_000;
        assert!(wait_until(LIMIT, || {
            let info = info(&mut client);
            let written = line_of(&info, "current_save_keys_processed").to_owned();
            let (_, written) = written.split_once(':').unwrap();
            written.parse::<u64>().unwrap() >= wanted || info.contains("rdb_saves:1")
        }));
    }
}

#[test]
fn clients_are_told_while_data_is_loaded() {
    let directory = Directory::new("loading");
    {
        let server = directory.trestle(2, &[]);
        let mut client = server.client();
        client.ok("DEBUG POPULATE 400000");
        client.ok("SAVE");
        client.ok("DEBUG RELOAD NOSAVE");
        let info = info(&mut client);
        let loaded = line_of(&info, "rdb_last_load_keys_loaded");
        assert_eq!(loaded, "rdb_last_load_keys_loaded:400000");
    }
    let server = directory.trestle(2, &[]);
    let mut client = server.client();
    assert_eq!(client.line("DBSIZE"), Value::Integer(400_000));
    let mut other = server.client();
    other.send(&["DEBUG", "RELOAD", "NOSAVE"]).unwrap();
    let loading = Value::Error(b"LOADING Redis is loading the dataset in memory".to_vec());
    assert!(wait_until(LIMIT, || client.line("GET key:1") == loading));
    let info = info(&mut client);
    assert!(info.contains("loading:"), "{info}");
    assert_eq!(other.read_reply().unwrap(), b"+OK\r\n");
    assert_eq!(client.line("DBSIZE"), Value::Integer(400_000));
}

#[test]
fn writes_are_refused_after_a_save_has_failed_and_taken_after_the_next() {
    let directory = Directory::new("failed");
    let server = directory.trestle(2, &["--save", "3600 1000"]);
    let mut client = server.client();
    client.ok("SET a 1");
    fs::remove_dir_all(&directory.0).unwrap();
    assert!(matches!(client.line("SAVE"), Value::Error(_)));
    let Value::Error(text) = client.line("SET a 2") else {
        panic!("a write went through");
    };
    assert!(text.starts_with(b"MISCONF Redis is configured to save RDB snapshots"));
    assert_eq!(client.line("GET a"), Value::Bulk(b"1".to_vec()));
    let info = info(&mut client);
    assert!(info.contains("rdb_last_bgsave_status:err"), "{info}");
    client.ok("CONFIG SET stop-writes-on-bgsave-error no");
    client.ok("SET a 3");
    client.ok("CONFIG SET stop-writes-on-bgsave-error yes");
    fs::create_dir_all(&directory.0).unwrap();
    client.ok("SAVE");
    client.ok("SET a 4");
}

#[test]
fn save_points_and_the_end_of_the_process_save() {
    let directory = Directory::new("points");
    {
        let server = directory.trestle(2, &["--save", "1 3"]);
        let mut client = server.client();
        client.ok("MSET a 1 b 2");
        client.ok("SET c 3");
        assert!(wait_until(LIMIT, || directory.file().exists()));
        let copy = Directory::new("points-copy");
        fs::copy(directory.file(), copy.file()).unwrap();
        let other = copy.trestle(1, &[]);
        assert_eq!(other.client().line("DBSIZE"), Value::Integer(3));
    }
    {
        let mut server = directory.trestle(3, &["--save", "3600 1"]);
        server.client().ok("SET d 4");
        server.terminate();
        assert!(server.wait_for_end().success());
    }
    let mut server = directory.trestle(1, &["--save", "3600 1"]);
    let mut client = server.client();
    assert_eq!(client.line("DBSIZE"), Value::Integer(4));
    client.ok("SET e 5");
    client.send(&["SHUTDOWN", "NOSAVE"]).unwrap();
    assert!(server.wait_for_end().success());
    let mut server = directory.trestle(1, &[]);
    let mut client = server.client();
    assert_eq!(client.line("DBSIZE"), Value::Integer(4));
    client.ok("SET e 5");
    client.send(&["SHUTDOWN", "SAVE"]).unwrap();
    assert!(server.wait_for_end().success());
    let server = directory.trestle(2, &[]);
    assert_eq!(server.client().line("DBSIZE"), Value::Integer(5));
}

#[test]
fn commands_that_save_answer_as_redis_does() {
    let pair = [Server::redis(&[]), Server::trestle(2, &[])];
    let [expected, ours] = pair.each_ref().map(|server| {
        let mut client = server.client();
        let lines = [
            "SAVE",
            "SAVE now",
            "BGSAVE now",
            "BGSAVE SCHEDULE now",
            "MULTI",
            "SAVE",
            "DISCARD",
            "MULTI",
            "BGSAVE",
            "EXEC",
            "DEBUG RELOAD",
            "SHUTDOWN SAVE NOSAVE",
            "SHUTDOWN ABORT",
            "CONFIG GET save",
            "CONFIG SET dbfilename other",
        ];
        lines.map(|line| format!("{line}: {:?}", client.line(line)))
    });
    assert_eq!(ours, expected);
}
