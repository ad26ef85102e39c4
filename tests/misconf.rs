//! What clients are told while the disk takes nothing: the same as by Redis, byte for byte.
//!
//! Not here: disks that are full (`full_disk`), failing in every way (`src/server/simulation`).

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use protocol::value::Value;

use crate::support::client::Client;
use crate::support::server::{Server, scratch_directory};
use crate::support::wait::wait_until;

const LIMIT: Duration = Duration::from_secs(60);

/// Requests, one after the other.
const REQUESTS: &[&[&str]] = &[
    &["PING"],
    &["PING", "hello"],
    &["GET", "a"],
    &["SET", "a", "2"],
    &["DEL", "a", "b", "c"],
    &["PUBLISH", "channel", "message"],
    &["EVAL", "return redis.call('SET', 'a', '3')", "0"],
    &["EVAL", "return redis.call('SET', KEYS[1], '3')", "1", "a"],
    &[
        "EVAL",
        "local e = redis.pcall('SET', 'a', '3') return e.err",
        "0",
    ],
    &["EVAL", "return redis.pcall('DEL', 'a')", "0"],
    &["EVAL", "return redis.call('GET', 'a')", "0"],
    &["EVAL", "return redis.call('PING')", "0"],
    &["EVAL", "#!lua\nreturn 1", "0"],
    &["EVAL", "#!lua flags=no-writes\nreturn 1", "0"],
    &[
        "EVAL",
        "#!lua flags=allow-oom\nreturn redis.call('SET', 'a', 1)",
        "0",
    ],
    &["EVAL_RO", "return 1", "0"],
    &["EVAL_RO", "return redis.call('SET', 'a', 1)", "0"],
    &["FUNCTION", "FLUSH"],
    &["FCALL", "reads", "0"],
    &["FCALL_RO", "reads", "0"],
    &["FCALL", "writes", "0"],
    &["MULTI"],
    &["SET", "a", "4"],
    &["EXEC"],
    &["MULTI"],
    &["PING"],
    &["EXEC"],
    &["MULTI"],
    &["GET", "a"],
    &["EVAL", "return redis.call('SET', 'a', '5')", "0"],
    &["EXEC"],
    &["GET", "a"],
];

const LIBRARY: &str = "#!lua name=l
redis.register_function{function_name='reads', callback=function() return 7 end, flags={'no-writes'}}
redis.register_function('writes', function() return 7 end)";

/// A server whose last save has failed.
struct Failed {
    server: Server,
    directory: PathBuf,
}

impl Failed {
    fn new(name: &str, start: impl FnOnce(&[&str]) -> Server) -> Self {
        let directory = scratch_directory().join(format!("misconf-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let server = start(&["--dir", directory.to_str().unwrap(), "--save", "3600 1"]);
        Self { server, directory }
    }

    /// Has a client begin a MULTI, then the disk fail.
    fn client(&self, hello: &str) -> (Client, Client) {
        let mut client = self.server.client();
        client.request(&["FUNCTION", "LOAD", "REPLACE", LIBRARY]);
        client.ok("SET a 1");
        let mut queued = self.server.client();
        queued.ok("MULTI");
        queued.line("SET a 9");
        fs::remove_dir_all(&self.directory).unwrap();
        client.line("BGSAVE");
        let has_failed = || {
            let Value::Bulk(text) = client.line("INFO persistence") else {
                panic!("INFO is a text");
            };
            String::from_utf8_lossy(&text).contains("rdb_last_bgsave_status:err")
        };
        assert!(wait_until(LIMIT, has_failed));
        client.line(&format!("HELLO {hello}"));
        (client, queued)
    }
}

impl Drop for Failed {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.directory));
    }
}

#[test]
fn a_failed_save_refuses_what_redis_refuses() {
    for (shards, hello) in [(1, "2"), (4, "2"), (4, "3")] {
        let redis = Failed::new("redis", Server::redis);
        let ours = Failed::new("ours", |flags| Server::trestle(shards, flags));
        let (mut one, mut queued) = redis.client(hello);
        let (mut other, mut other_queued) = ours.client(hello);
        for words in REQUESTS {
            one.send(words).unwrap();
            other.send(words).unwrap();
            let expected = one.read_reply().unwrap().escape_ascii().to_string();
            let found = other.read_reply().unwrap().escape_ascii().to_string();
            assert_eq!(found, expected, "{words:?}, {shards} shards, RESP{hello}");
        }
        assert_eq!(other_queued.line("EXEC"), queued.line("EXEC"));
    }
}

#[test]
fn changes_of_libraries_count_for_save_points() {
    let servers = [Server::redis(&[]), Server::trestle(4, &[])];
    let mut clients = servers.each_ref().map(Server::client);
    let changes = |client: &mut Client| -> u64 {
        let Value::Bulk(text) = client.line("INFO persistence") else {
            panic!("INFO is a text");
        };
        let text = String::from_utf8(text).unwrap();
        let mut lines = text.lines();
        let number = lines.find_map(|line| line.strip_prefix("rdb_changes_since_last_save:"));
        number.unwrap().parse().unwrap()
    };
    let requests: [&[&str]; 5] = [
        &["FUNCTION", "LOAD", LIBRARY],
        &["FUNCTION", "LOAD", "REPLACE", LIBRARY],
        &["FUNCTION", "LOAD", LIBRARY],
        &["FUNCTION", "DELETE", "l"],
        &["FUNCTION", "FLUSH"],
    ];
    for request in requests {
        let expected = clients.each_mut().map(|client| {
            client.request(request);
            client
        });
        let [redis, ours] = expected;
        let expected = changes(redis);
        // Cores tell of their changes a few times in a second.
        let agrees = wait_until(LIMIT, || changes(ours) == expected);
        assert!(
            agrees,
            "{request:?}: {expected} changes, here {}",
            changes(ours)
        );
    }
}

#[test]
fn what_a_killed_save_has_left_is_removed_at_the_start() {
    let directory = scratch_directory().join(format!("left-over-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let names = [
        "dump.rdb.4711.tmp",
        "other.rdb.4711.tmp",
        "dump.rdb.old.tmp",
        "dump.rdb.tmp",
    ];
    for name in names {
        fs::write(directory.join(name), "half").unwrap();
    }
    let server = Server::trestle(1, &["--dir", directory.to_str().unwrap()]);
    let is_there = names.map(|name| directory.join(name).exists());
    assert_eq!(is_there, [false, true, true, true]);
    drop(server);
    fs::remove_dir_all(&directory).unwrap();
}
