//! RDB files made of what killed servers have left, without a server: by `persistence::offline`, as `trestle-tools`
//! does.
//!
//! Not here: the command line of the tools (`tests/backups`), logs that servers read ([`crate::log`]).

use std::fs;
use std::path::Path;

use base::random::Random;
use protocol::value::Value;
use trestle::persistence::offline::{Wanted, make_rdb};

use crate::log::Directory as LogDirectory;
use crate::persistence::{Directory, fill, redis_check, state};
use crate::support::client::Client;
use crate::support::seed;
use crate::support::server::Server;

const ALL: Wanted = Wanted {
    databases: 16,
    has_tables: true,
};

/// Returns the names and bytes of all files of a directory.
fn content(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(directory).unwrap();
    let mut all: Vec<(String, Vec<u8>)> = entries
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect();
    all.sort();
    all
}

#[test]
fn a_log_becomes_one_file_and_stays_as_it_is() {
    let mut random = Random::new(seed("offline", 0x0FF1));
    for shards in [1, 3] {
        let data = LogDirectory::new(&format!("offline-{shards}"));
        let mut keys = Vec::new();
        let mut expected = Vec::new();
        // Two generations; the second one goes on from a base.
        for round in 0..2 {
            let server = Server::trestle(shards, &data.flags("always"));
            let mut client = server.client();
            keys.extend(fill(&mut client, &mut random));
            client.line("MSET a 1 b 2 c 3 d 4");
            client.line("TABLE.NAMESPACE.CREATE shop");
            client.line("TABLE.SCHEMA.CREATE shop.items name:string count:integer");
            client.line(&format!(
                "TABLE.INSERT shop.items name=n{round} count={round}"
            ));
            if round == 0 {
                client.line("BGREWRITEAOF");
            }
            keys.sort();
            keys.dedup();
            expected = state(&mut client, &keys);
        }
        let log = data.0.join("appendonlydir");
        // A record that a kill has torn.
        let mut logs: Vec<_> = content(&log)
            .into_iter()
            .filter(|(name, bytes)| name.starts_with("shard-0.") && bytes.len() > 100)
            .collect();
        let (name, mut bytes) = logs.pop().unwrap();
        bytes.extend_from_slice(&[0xA7, 0x52, 0x65]);
        fs::write(log.join(&name), &bytes).unwrap();
        let before = content(&log);
        let made = Directory::new(&format!("offline-made-{shards}"));
        let file = make_rdb(&log, ALL, &made.file()).unwrap();
        assert_eq!(content(&log), before);
        assert_eq!(file.bytes, fs::metadata(made.file()).unwrap().len());
        let server = made.trestle(2, &[]);
        let mut client = server.client();
        assert_eq!(state(&mut client, &keys), expected, "{shards} shards");
        let Value::Array(rows) = client.line("TABLE.SELECT shop.items") else {
            panic!("rows");
        };
        assert_eq!(rows.len(), 2, "{rows:?}");
        // Without tables Redis loads it, also from that file.
        let plain = Directory::new(&format!("offline-plain-{shards}"));
        let wanted = Wanted {
            has_tables: false,
            ..ALL
        };
        make_rdb(&made.file(), wanted, &plain.file()).unwrap();
        redis_check(&plain.file());
        let redis = plain.redis(&[]);
        assert_eq!(state(&mut redis.client(), &keys), expected);
    }
}

#[test]
fn the_append_only_file_of_redis_becomes_one_file() {
    let mut random = Random::new(seed("offline-redis", 0x0FF2));
    let data = Directory::new("offline-redis");
    // Encodings may be others: here commands have made the values.
    let digest = |client: &mut Client| {
        ["DBSIZE", "DEBUG DIGEST", "FUNCTION LIST WITHCODE"].map(|line| client.line(line))
    };
    let expected = {
        let flags = ["--appendonly", "yes", "--appendfsync", "always"];
        let redis = data.redis(&flags);
        let mut client = redis.client();
        fill(&mut client, &mut random);
        digest(&mut client)
    };
    let made = Directory::new("offline-redis-made");
    make_rdb(&data.0, ALL, &made.file()).unwrap();
    let server = made.trestle(2, &[]);
    assert_eq!(digest(&mut server.client()), expected);
}

#[test]
fn what_is_no_data_is_refused_and_leaves_no_file() {
    let data = Directory::new("offline-refused");
    let to = data.0.join("made.rdb");
    let error = make_rdb(&data.0, ALL, &to).unwrap_err();
    assert!(error.contains("there is neither a log"), "{error}");
    fs::write(data.file(), b"REDIS0010\xff12345678").unwrap();
    let error = make_rdb(&data.file(), ALL, &to).unwrap_err();
    assert!(error.contains("checksum"), "{error}");
    assert!(!to.exists());
}
