//! Copies of all data for clients: `redis-cli --rdb`, the words in front of it, and clients that do not read.
//!
//! Not here: what is in the file ([`crate::persistence`]).

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base::random::Random;
use protocol::value::Value;

use crate::persistence::{
    Directory, TURNS, check_moment, fill, integer, redis_check, state, write_on,
};
use crate::support::client::Client;
use crate::support::seed;
use crate::support::server::Server;
use crate::support::wait::wait_until;

const LIMIT: Duration = Duration::from_secs(60);

/// Fetches a copy as an operator does.
fn redis_cli(port: u16, flag: &str, file: &Path) -> Output {
    let port = port.to_string();
    let mut command = Command::new("redis-cli");
    command.args(["-p", &port, flag]).arg(file);
    command.output().unwrap()
}

fn fetch(port: u16, flag: &str, file: &Path) {
    let output = redis_cli(port, flag, file);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    assert!(told.contains("Transfer finished with success"), "{told}");
}

#[test]
fn redis_loads_what_redis_cli_has_fetched() {
    let mut random = Random::new(seed("copies", 0xC0B1));
    for shards in [1, 2, 4] {
        let server = Server::trestle(shards, &[]);
        let mut client = server.client();
        let keys = fill(&mut client, &mut random);
        let expected = state(&mut client, &keys);
        let directory = Directory::new(&format!("copy-{shards}"));
        fetch(server.port, "--rdb", &directory.file());
        redis_check(&directory.file());
        {
            let redis = directory.redis(&[]);
            let mut loaded = redis.client();
            assert_eq!(state(&mut loaded, &keys), expected, "{shards} shards");
        }
        fetch(server.port, "--functions-rdb", &directory.file());
        let redis = directory.redis(&[]);
        let mut loaded = redis.client();
        assert_eq!(loaded.line("DBSIZE"), Value::Integer(0));
        let list = "FUNCTION LIST WITHCODE";
        assert_eq!(loaded.line(list), client.line(list), "{shards} shards");
    }
}

#[test]
fn a_copy_is_one_moment_of_all_shards_while_others_write() {
    let server = Server::trestle(3, &[]);
    let mut client = server.client();
    client.ok("DEBUG POPULATE 100000 filler 20");
    for number in 0..TURNS {
        client.ok(&format!("SET turn:{number} 0"));
    }
    let stop = Arc::new(AtomicBool::new(false));
    let (port, flag) = (server.port, Arc::clone(&stop));
    let writer = std::thread::spawn(move || write_on(port, &flag));
    for round in 1..4 {
        assert!(wait_until(LIMIT, || integer(&mut client, "LLEN list:1") > 5 * round));
        let directory = Directory::new(&format!("copy-moment-{round}"));
        fetch(server.port, "--rdb", &directory.file());
        let loaded = directory.trestle(2, &[]);
        check_moment(&mut loaded.client());
    }
    stop.store(true, Ordering::Relaxed);
    assert!(writer.join().unwrap() > 100);
}

#[test]
fn a_client_that_does_not_read_its_copy_holds_up_nobody_and_is_closed() {
    const BYTES: u64 = 192 << 20;
    let directory = Directory::new("copy-unread");
    let server = directory.trestle(2, &["--rdbcompression", "no"]);
    let mut client = server.client();
    for number in 0..BYTES >> 20 {
        let value = vec![b'x'; 1 << 20];
        let key = format!("key:{number}");
        client.request(&[b"SET", key.as_bytes(), &value]);
    }
    let before = server.resident_bytes();
    let mut idle: Vec<Client> = (0..3).map(|_| server.client()).collect();
    for client in &mut idle {
        client.ok("REPLCONF rdb-only 1");
        client.send(&["SYNC"]).unwrap();
    }
    // Saves wait for none of them.
    let saved = |client: &mut Client| client.line("SAVE") == Value::Simple(b"OK".to_vec());
    assert!(wait_until(LIMIT, || saved(&mut client)));
    let after = server.resident_bytes();
    assert!(
        after < before + (64 << 20),
        "{after} bytes in memory, {before} before three copies of {BYTES}"
    );
    assert_eq!(integer(&mut client, "DBSIZE"), BYTES >> 20);
    // Of the temporary files nothing is seen.
    let names: Vec<_> = std::fs::read_dir(directory.file().parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().contains("tmp"))
        .collect();
    assert!(names.is_empty(), "{names:?}");
    let closed = idle.pop();
    drop(closed);
    client.ok("CONFIG SET repl-timeout 1");
    let is_told = || server.log().matches("repl-timeout").count() == 2;
    assert!(wait_until(LIMIT, is_told), "{}", server.log());
    for client in &mut idle {
        let bytes = client.read_to_end(usize::MAX).unwrap();
        let text = bytes.trim_ascii_start();
        let line = text.split(|byte| *byte == b'\r').next().unwrap();
        let announced = String::from_utf8(line[1..].to_vec()).unwrap();
        let announced: usize = announced.parse().unwrap();
        assert!(announced > 192 << 20, "{announced}");
        assert!(bytes.len() < announced, "{} of {announced}", bytes.len());
    }
    // Who reads gets all of it, whatever became of others.
    fetch(server.port, "--rdb", &directory.0.join("copy.rdb"));
    redis_check(&directory.0.join("copy.rdb"));
}

#[test]
fn copies_wait_for_saves_and_for_each_other() {
    let server = Server::trestle(2, &[]);
    let mut client = server.client();
    client.ok("DEBUG POPULATE 200000 filler 100");
    client.line("BGSAVE");
    let mut others: Vec<Client> = (0..3).map(|_| server.client()).collect();
    for client in &mut others {
        client.ok("REPLCONF capa eof rdb-only 1");
        // What stands behind it is not served.
        client.send(&["SYNC"]).unwrap();
        client.send(&["PING"]).unwrap();
    }
    let copies: Vec<Vec<u8>> = others
        .iter_mut()
        .map(|client| client.read_to_end(usize::MAX).unwrap())
        .collect();
    for copy in copies {
        let text = copy.trim_ascii_start();
        let end = text.iter().position(|byte| *byte == b'\n').unwrap();
        let announced = String::from_utf8(text[1..end - 1].to_vec()).unwrap();
        let file = &text[end + 1..];
        assert_eq!(announced, file.len().to_string());
        assert!(file.starts_with(b"REDIS00"));
    }
}

#[test]
fn words_before_a_copy_are_answered_as_by_redis() {
    let (redis, ours) = (Server::redis(&[]), Server::trestle(1, &[]));
    let (mut redis, mut ours) = (redis.client(), ours.client());
    for line in [
        "REPLCONF",
        "REPLCONF a",
        "REPLCONF rdb-only",
        "REPLCONF rdb-only 1",
        "REPLCONF RDB-ONLY 0",
        "REPLCONF rdb-only x",
        "REPLCONF rdb-only 2",
        "REPLCONF rdb-only -1",
        "REPLCONF capa eof capa psync2 capa foo",
        "REPLCONF foo bar",
        "REPLCONF rdb-filter-only functions",
        "REPLCONF rdb-filter-only FUNCTIONS",
        "REPLCONF rdb-filter-only keys",
        "REPLCONF rdb-only 1 foo 2",
        "REPLCONF rdb-only 1 capa",
        "SYNC a",
        "PSYNC a",
        "MULTI",
        "REPLCONF capa eof",
        "SYNC",
        "DISCARD",
    ] {
        assert_eq!(ours.line(line), redis.line(line), "{line}");
    }
    ours.ok("REPLCONF rdb-only 0");
    for line in ["SYNC", "PSYNC ? -1", "REPLCONF listening-port 6380"] {
        let Value::Error(text) = ours.line(line) else {
            panic!("{line} is refused");
        };
        assert!(text.starts_with(b"ERR replication is not built yet"));
    }
}
