//! Rewriting the log: what is left of it, killed and failing rewritings, what clients are told, and other numbers of
//! shards.
//!
//! Not here: the log itself (`log`), the snapshot under it (`src/shard/snapshot`).

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use base::random::Random;
use protocol::value::Value;

use crate::dump::RECIPES;
use crate::log::{Directory, WRITERS, check, rounds, write};
use crate::support::client::{Client, encode, value_of};
use crate::support::seed;
use crate::support::server::{Server, answers_ping, forget_settings, trestle_program};
use crate::support::wait::wait_until;

const LIMIT: Duration = Duration::from_secs(60);

/// Returns a field of INFO persistence.
fn field(client: &mut Client, name: &str) -> String {
    let Value::Bulk(text) = client.line("INFO persistence") else {
        panic!("INFO is a text");
    };
    let text = String::from_utf8(text).unwrap();
    let mut lines = text.lines();
    let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("{name} in {text}"))
        .to_owned()
}

fn number(client: &mut Client, name: &str) -> u64 {
    field(client, name).parse().unwrap()
}

/// Rewrites the log and waits for the end.
fn rewrite(client: &mut Client) {
    let started = b"Background append only file rewriting started".to_vec();
    assert_eq!(client.line("BGREWRITEAOF"), Value::Simple(started));
    wait_for_end(client);
}

fn wait_for_end(client: &mut Client) {
    let has_ended = wait_until(LIMIT, || {
        field(client, "aof_rewrite_in_progress") == "0"
            && field(client, "aof_rewrite_scheduled") == "0"
    });
    assert!(has_ended);
}

/// Returns the names of the files of a log, but for its lock, in order.
fn files(directory: &Directory) -> Vec<String> {
    let names = fs::read_dir(directory.0.join("appendonlydir")).unwrap();
    let names = names.map(|name| name.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name != "lock").collect();
    names.sort();
    names
}

#[test]
fn a_rewritten_log_is_shorter_and_has_all_the_data() {
    let directory = Directory::new("rewrite");
    let digest = {
        let server = directory.start("no");
        let mut client = server.client();
        let mut random = Random::new(seed("rewrite", 4));
        for round in 0..40 {
            let recipe = RECIPES[round % RECIPES.len()](&mut random);
            for request in &recipe.requests {
                client.request(request);
            }
            client.line(&format!("RENAME k key:{}", round % 20));
        }
        let code = "#!lua name=l\nredis.register_function('f', function() return 7 end)";
        client.request(&["FUNCTION", "LOAD", code]);
        for count in 0..2000 {
            client.ok(&format!("SET counter {count}"));
        }
        client.line("SELECT 3");
        client.ok("SET volatile here PX 100000000");
        let before = number(&mut client, "aof_current_size");
        rewrite(&mut client);
        let after = number(&mut client, "aof_current_size");
        assert!(after + 80_000 < before, "{before} bytes, then {after}");
        assert_eq!(number(&mut client, "aof_base_size"), after);
        assert_eq!(field(&mut client, "aof_last_bgrewrite_status"), "ok");
        assert_eq!(number(&mut client, "aof_rewrites"), 1);
        assert_eq!(number(&mut client, "aof_last_rewrite_time_sec"), 0);
        let names = ["base.2.rdb", "manifest", "shard-0.2.log", "shard-1.2.log"];
        assert_eq!(files(&directory), names);
        client.ok("SET behind it");
        client.line("DEBUG DIGEST")
    };
    for _ in 0..2 {
        let server = directory.start("no");
        let mut client = server.client();
        assert_eq!(client.line("DEBUG DIGEST"), digest);
        assert_eq!(client.line("FCALL f 0"), Value::Integer(7));
        client.line("SELECT 3");
        let Value::Integer(left) = client.line("PTTL volatile") else {
            panic!("a number");
        };
        assert!((90_000_000..=100_000_000).contains(&left));
    }
    let server = directory.start("no");
    let mut client = server.client();
    client.ok("FUNCTION FLUSH");
    client.ok("FLUSHALL");
    rewrite(&mut client);
    drop(server);
    let server = directory.start("no");
    assert_eq!(server.client().line("DBSIZE"), Value::Integer(0));
    let Value::Error(_) = server.client().line("FCALL f 0") else {
        panic!("the function is gone");
    };
}

#[test]
fn a_server_that_is_killed_while_it_rewrites_its_log_has_lost_nothing() {
    let directory = Directory::new("rewrite-kill");
    let mut random = Random::new(seed("rewrite-kill", 6));
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
        // Enough for a kill in the middle of the base.
        let value = "x".repeat(100_000);
        for count in 0..100 {
            client.ok(&format!("SET large:{count} {value}"));
        }
    }
    let rewritten = AtomicU64::new(0);
    for round in 0..rounds() {
        let server = directory.start("always");
        let mut client = server.client();
        for (writer, noted) in (0..).zip(noted.iter()) {
            if round > 0 {
                check(&mut client, writer, noted);
            }
        }
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (noted, port) = (Arc::clone(&noted), server.port);
                let at = usize::try_from(writer).unwrap();
                thread::spawn(move || write(port, writer, &noted[at]))
            })
            .collect();
        let wanted = 1 + random.below(3);
        for _ in 0..wanted {
            rewrite(&mut client);
            rewritten.fetch_add(1, Ordering::Relaxed);
        }
        // The last one is under way when the server is killed, some time after it has begun.
        client.line("BGREWRITEAOF");
        for _ in 0..random.below(30) {
            client.line("PING");
        }
        drop(server);
        writers
            .into_iter()
            .for_each(|writer| writer.join().unwrap());
    }
    let server = directory.start("no");
    let mut client = server.client();
    for (writer, noted) in (0..).zip(noted.iter()) {
        check(&mut client, writer, noted);
    }
    assert_eq!(client.line("STRLEN large:99"), Value::Integer(100_000));
    let known = files(&directory);
    let bases = known.iter().filter(|name| name.starts_with("base."));
    assert_eq!(bases.count(), 1, "{known:?}");
    assert!(!known.iter().any(|name| name.contains(".tmp")), "{known:?}");
    assert!(rewritten.load(Ordering::Relaxed) > 0);
}

#[test]
fn a_log_that_has_grown_is_rewritten_by_itself() {
    let directory = Directory::new("rewrite-auto");
    let flags = directory.flags("everysec");
    let flags = [&flags[..], &["--auto-aof-rewrite-min-size", "30kb"]].concat();
    let server = Server::trestle(2, &flags);
    let mut client = server.client();
    let value = "x".repeat(1000);
    let has_begun = wait_until(LIMIT, || {
        client.ok(&format!("SET key {value}"));
        number(&mut client, "aof_rewrites") > 0
    });
    assert!(has_begun);
    wait_for_end(&mut client);
    assert!(number(&mut client, "aof_current_size") < 30_000);
    client.ok("CONFIG SET auto-aof-rewrite-percentage 0");
    let before = number(&mut client, "aof_rewrites");
    for _ in 0..100 {
        client.ok(&format!("SET key {value}"));
    }
    client.ok("CONFIG SET auto-aof-rewrite-min-size 1gb auto-aof-rewrite-percentage 1");
    // Housekeeping has had a look when a save point has been seen to, and SAVE answers behind that.
    client.ok("SAVE");
    assert_eq!(number(&mut client, "aof_rewrites"), before);
    assert_eq!(client.line("STRLEN key"), Value::Integer(1000));
}

#[test]
fn a_rewriting_that_fails_leaves_the_log_as_it_was() {
    let directory = Directory::new("rewrite-full");
    let log = directory.0.join("appendonlydir");
    {
        let server = directory.start("always");
        let mut client = server.client();
        client.ok("SET before 1");
        // The disk that the base goes to is full.
        let temporary = format!("base.2.rdb.{}.tmp", server.pid());
        symlink("/dev/full", log.join(&temporary)).unwrap();
        rewrite(&mut client);
        assert_eq!(field(&mut client, "aof_last_bgrewrite_status"), "err");
        let failures = "aof_rewrites_consecutive_failures";
        assert_eq!(number(&mut client, failures), 1);
        assert!(server.log().contains("No space left"), "{}", server.log());
        assert_eq!(field(&mut client, "aof_last_write_status"), "ok");
        client.ok("SET after 1");
        let names = ["manifest", "shard-0.1.log", "shard-0.2.log"];
        assert_eq!(files(&directory)[..3], names);
    }
    {
        let server = directory.start("always");
        let mut client = server.client();
        assert_eq!(client.line("MGET before after"), values(["1", "1"]));
        // There can be no file of the next generation. This start has begun the third.
        fs::create_dir(log.join("shard-1.4.log")).unwrap();
        rewrite(&mut client);
        assert_eq!(field(&mut client, "aof_last_bgrewrite_status"), "err");
        client.ok("SET later 1");
        fs::remove_dir(log.join("shard-1.4.log")).unwrap();
        rewrite(&mut client);
        assert_eq!(field(&mut client, "aof_last_bgrewrite_status"), "ok");
        assert_eq!(number(&mut client, "aof_rewrites_consecutive_failures"), 0);
        let names = ["base.5.rdb", "manifest", "shard-0.5.log", "shard-1.5.log"];
        assert_eq!(files(&directory), names);
    }
    // What an end in the middle has left goes at the next start, and nothing else.
    for name in ["base.4.rdb", "base.6.rdb.1.tmp", "shard-0.4.log", "notes"] {
        fs::write(log.join(name), "left over").unwrap();
    }
    let server = directory.start("always");
    let mut client = server.client();
    assert_eq!(client.line("MGET before later"), values(["1", "1"]));
    let names = [
        "base.5.rdb",
        "manifest",
        "notes",
        "shard-0.5.log",
        "shard-0.6.log",
        "shard-1.5.log",
        "shard-1.6.log",
    ];
    assert_eq!(files(&directory), names);
}

fn values<const N: usize>(texts: [&str; N]) -> Value {
    let texts = texts.map(|text| Value::Bulk(text.as_bytes().to_vec()));
    Value::Array(texts.to_vec())
}

#[test]
fn saves_and_rewritings_follow_each_other() {
    let directory = Directory::new("rewrite-save");
    let server = directory.start("no");
    let mut client = server.client();
    // Both take long enough for the next request.
    let value = "x".repeat(1_000_000);
    for count in 0..60 {
        client.ok(&format!("SET large:{count} {value}"));
    }
    let requests = [
        "BGREWRITEAOF",
        "BGREWRITEAOF",
        "BGSAVE",
        "BGSAVE SCHEDULE",
        "SAVE",
    ];
    let bytes: String = requests.map(|line| format!("{line}\r\n")).concat();
    client.send_bytes(bytes.as_bytes()).unwrap();
    let replies = requests.map(|_| String::from_utf8(client.read_reply().unwrap()).unwrap());
    let expected = [
        "+Background append only file rewriting started\r\n",
        "-ERR Background append only file rewriting already in progress\r\n",
        "-ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to \
         schedule a BGSAVE whenever possible.\r\n",
        "+Background saving scheduled\r\n",
        "+OK\r\n",
    ];
    assert_eq!(replies, expected);
    let saved = wait_until(LIMIT, || {
        field(&mut client, "rdb_bgsave_in_progress") == "0"
    });
    assert!(saved);
    client
        .send_bytes(b"BGSAVE\r\nBGREWRITEAOF\r\nMULTI\r\nBGREWRITEAOF\r\nEXEC\r\n")
        .unwrap();
    let replies = [(); 5].map(|()| String::from_utf8(client.read_reply().unwrap()).unwrap());
    let scheduled = "+Background append only file rewriting scheduled\r\n";
    assert_eq!(replies[0], "+Background saving started\r\n");
    assert_eq!(replies[1], scheduled);
    assert_eq!(replies[4], format!("*1\r\n{scheduled}"));
    wait_for_end(&mut client);
    assert_eq!(number(&mut client, "aof_rewrites"), 2);
    assert_eq!(field(&mut client, "aof_last_bgrewrite_status"), "ok");
}

#[test]
fn writers_go_on_while_the_log_is_rewritten_and_all_of_it_is_there() {
    let directory = Directory::new("rewrite-load");
    let stop = Arc::new(AtomicBool::new(false));
    let server = directory.start("everysec");
    let writers: Vec<_> = (0..3)
        .map(|writer| {
            let (stop, port) = (Arc::clone(&stop), server.port);
            thread::spawn(move || {
                let mut client = Client::connect(port);
                let mut random = Random::new(writer);
                while !stop.load(Ordering::Relaxed) {
                    let key = random.below(500);
                    let line = match random.below(8) {
                        0 => format!("DEL key:{key}"),
                        1 => format!("APPEND key:{key} 0123456789"),
                        2 => format!("MSET key:{key} 1 key:{} 2", key + 1),
                        3 => format!("EVAL return(redis.call('INCR',KEYS[1])) 1 count:{writer}"),
                        4 => format!("RPUSH list:{writer} {key}"),
                        5 => format!("SET key:{key} 5 PX {}", 1 + random.below(30)),
                        _ => format!("SET key:{key} {key}"),
                    };
                    client.line(&line);
                }
            })
        })
        .collect();
    let mut client = server.client();
    for _ in 0..10 {
        rewrite(&mut client);
    }
    stop.store(true, Ordering::Relaxed);
    writers
        .into_iter()
        .for_each(|writer| writer.join().unwrap());
    // What dies between the two looks at the data is not compared.
    let has_died = wait_until(LIMIT, || volatile_keys(&mut client) == 0);
    assert!(has_died);
    let digest = client.line("DEBUG DIGEST");
    drop(server);
    let server = directory.start("no");
    assert_eq!(server.client().line("DEBUG DIGEST"), digest);
}

fn volatile_keys(client: &mut Client) -> u64 {
    let Value::Bulk(text) = client.line("INFO keyspace") else {
        panic!("INFO is a text");
    };
    let text = String::from_utf8(text).unwrap();
    let count = text.split("expires=").nth(1).unwrap_or("0");
    let count: String = count.chars().take_while(char::is_ascii_digit).collect();
    count.parse().unwrap()
}

/// Writes values of all types, large ones too, whose keys lie on one shard and on several.
fn fill(client: &mut Client, random: &mut Random, round: usize) {
    for (number, recipe) in RECIPES.iter().enumerate() {
        let recipe = recipe(random);
        for request in &recipe.requests {
            client.request(request);
        }
        client.line(&format!("RENAME k key:{number}:{round}"));
    }
    // Told by words of several keys, which lie together only as long as the log's own shards do.
    for count in 0..30 {
        let members = (0..100).map(|_| random.below(1_000_000).to_string());
        let members = members.collect::<Vec<_>>().join(" ");
        client.line(&format!("SADD {{t}}one {members}"));
        client.line("SUNIONSTORE {t}all {t}one {t}all");
        client.line(&format!("RPUSH {{t}}list {members}"));
        client.line("LMOVE {t}list {t}moved LEFT RIGHT");
        client.line(&format!("INCR count:{count}"));
    }
    client.ok("SELECT 3");
    client.ok("MSET a 1 b 2 c 3");
    client.ok("SET volatile here PX 100000000");
    client.ok("SELECT 0");
    let code = format!("#!lua name=l\nredis.register_function('f', function() return {round} end)");
    client.request(&["FUNCTION", "LOAD", "REPLACE", &code]);
}

#[test]
fn a_log_is_read_by_more_and_by_fewer_shards_than_have_written_it() {
    let directory = Directory::new("reshard");
    let mut random = Random::new(seed("reshard", 2));
    let mut digest = None;
    for (round, shards) in [2, 5, 1, 3, 3, 2].into_iter().enumerate() {
        let server = Server::trestle(shards, &directory.flags("no"));
        let mut client = server.client();
        if let Some(digest) = digest {
            assert_eq!(client.line("DEBUG DIGEST"), digest, "{shards} shards");
            let last = i64::try_from(round - 1).unwrap();
            assert_eq!(client.line("FCALL f 0"), Value::Integer(last));
        }
        fill(&mut client, &mut random, round);
        if round == 2 {
            rewrite(&mut client);
        }
        fill(&mut client, &mut random, round);
        digest = Some(client.line("DEBUG DIGEST"));
    }
    let names = files(&directory);
    let bases = names.iter().filter(|name| name.starts_with("base."));
    assert_eq!(bases.count(), 1, "{names:?}");
}

#[test]
fn a_server_that_is_killed_while_it_takes_over_for_other_shards_has_lost_nothing() {
    let directory = Directory::new("reshard-kill");
    let digest = {
        let server = directory.start("always");
        let mut client = server.client();
        fill(&mut client, &mut Random::new(seed("reshard-kill", 5)), 0);
        let value = "x".repeat(1_000_000);
        for count in 0..40 {
            client.ok(&format!("SET large:{count} {value}"));
        }
        client.line("DEBUG DIGEST")
    };
    for shards in ["1", "3", "4", "1", "3"] {
        let mut command = Command::new(trestle_program());
        forget_settings(&mut command);
        let mut child = command
            .args(["--port", "0", "--shards", shards, "--unixsocket"])
            .arg(directory.0.join("socket"))
            .args(directory.flags("no"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let has_begun = wait_until(LIMIT, || {
            files(&directory).iter().any(|name| name.contains(".tmp"))
                || child.try_wait().unwrap().is_some()
        });
        assert!(has_begun);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let server = directory.start("no");
    assert_eq!(server.client().line("DEBUG DIGEST"), digest);
}

/// Starts a server that has to make its log first, and looks at what it says meanwhile.
fn start_while_it_makes_its_log(directory: &Directory, keys: i64) {
    let manifest = || fs::read(directory.0.join("appendonlydir/manifest")).ok();
    let before = manifest();
    let server = Server::spawn(&trestle_program(), 3, &directory.flags("no"));
    let loading = Value::Error(b"LOADING Redis is loading the dataset in memory".to_vec());
    // All at once: the machine may be slow, and the log is made meanwhile.
    let requests = [
        "PING",
        "INFO persistence",
        "CONFIG SET appendonly no",
        "PING",
    ];
    let bytes: String = requests.map(|line| format!("{line}\r\n")).concat();
    let is_told = wait_until(LIMIT, || {
        let Ok(mut client) = Client::try_connect(server.port) else {
            return false;
        };
        client.send_bytes(bytes.as_bytes()).unwrap();
        let replies = requests.map(|_| value_of(&client.read_reply().unwrap()));
        let [first, info, refused, last] = replies;
        if first != loading || last != loading {
            return false;
        }
        let Value::Bulk(info) = info else {
            panic!("INFO has no text");
        };
        let info = String::from_utf8(info).unwrap();
        assert!(info.contains("loading:1\r\n") && info.contains("aof_enabled:1\r\n"));
        let Value::Error(refused) = refused else {
            panic!("a log that is not there yet is switched off");
        };
        assert!(refused.starts_with(b"ERR CONFIG SET failed"));
        true
    });
    assert!(is_told, "{}", server.log());
    let mut client = server.client();
    client.ok("CONFIG SET maxmemory-samples 4");
    let seen = manifest();
    if client.line("PING") == loading {
        assert_eq!(seen, before, "the log was there too early");
    }
    assert!(wait_until(LIMIT, || answers_ping(server.port)));
    assert_eq!(client.line("DBSIZE"), Value::Integer(keys));
    assert_eq!(field(&mut client, "aof_enabled"), "1");
    client.ok("SET behind it");
    drop(server);
    let server = directory.start("no");
    assert_eq!(server.client().line("DBSIZE"), Value::Integer(keys + 1));
}

#[test]
fn while_a_log_is_made_for_other_shards_clients_are_told_that_data_is_loaded() {
    let directory = Directory::new("made-shards");
    directory.start("no").client().ok("DEBUG POPULATE 300000");
    start_while_it_makes_its_log(&directory, 300_000);
}

#[test]
fn while_a_log_is_made_of_that_of_redis_clients_are_told_that_data_is_loaded() {
    let directory = Directory::new("made-redis");
    let mut commands = Vec::new();
    for key in 0..300_000 {
        encode(&["SET", &format!("key:{key}"), "value"], &mut commands);
    }
    fs::write(directory.0.join("appendonly.aof"), commands).unwrap();
    start_while_it_makes_its_log(&directory, 300_000);
}

/// Returns the flags of a server whose log is off.
fn off(directory: &Directory) -> [String; 4] {
    let path = directory.0.to_str().unwrap();
    ["--dir", path, "--appendfsync", "always"].map(str::to_owned)
}

fn start_off(directory: &Directory) -> Server {
    let flags = off(directory);
    Server::trestle(2, &flags.each_ref().map(String::as_str))
}

#[test]
fn the_log_is_switched_on_and_off_while_the_server_runs() {
    let directory = Directory::new("switch");
    {
        let server = start_off(&directory);
        let mut client = server.client();
        client.ok("SET before 1");
        let code = "#!lua name=l\nredis.register_function('f', function() return 7 end)";
        client.request(&["FUNCTION", "LOAD", code]);
        assert_eq!(field(&mut client, "aof_enabled"), "0");
        client.ok("CONFIG SET appendonly yes");
        assert_eq!(field(&mut client, "aof_enabled"), "1");
        client.ok("SET meanwhile 1");
        wait_for_end(&mut client);
        assert_eq!(field(&mut client, "aof_last_bgrewrite_status"), "ok");
        client.ok("SET behind 1");
        let names = ["base.1.rdb", "manifest", "shard-0.1.log", "shard-1.1.log"];
        assert_eq!(files(&directory), names);
    }
    let all = "MGET before meanwhile behind off again";
    {
        let server = directory.start("always");
        let mut client = server.client();
        assert_eq!(client.line("DBSIZE"), Value::Integer(3));
        assert_eq!(client.line("FCALL f 0"), Value::Integer(7));
        client.ok("CONFIG SET appendonly no");
        assert_eq!(field(&mut client, "aof_enabled"), "0");
        client.ok("SET off 1");
        client.ok("CONFIG SET appendonly yes");
        wait_for_end(&mut client);
        client.ok("SET again 1");
    }
    {
        let server = directory.start("always");
        let mut client = server.client();
        assert_eq!(client.line(all), values(["1"; 5]));
        client.ok("CONFIG SET appendonly no");
        client.ok("SET nowhere 1");
    }
    let server = directory.start("always");
    assert_eq!(server.client().line("DBSIZE"), Value::Integer(5));
    assert_eq!(server.client().line(all), values(["1"; 5]));
}

#[test]
fn a_log_that_is_off_is_rewritten_to_a_base() {
    let directory = Directory::new("switch-base");
    {
        let server = start_off(&directory);
        let mut client = server.client();
        client.ok("SET a 1");
        rewrite(&mut client);
        assert_eq!(field(&mut client, "aof_enabled"), "0");
        client.ok("SET b 1");
        assert_eq!(files(&directory), ["base.1.rdb", "manifest"]);
    }
    let server = directory.start("always");
    assert_eq!(server.client().line("DBSIZE"), Value::Integer(1));
}

#[test]
fn a_first_base_that_fails_is_tried_again() {
    let directory = Directory::new("switch-full");
    {
        let server = start_off(&directory);
        let mut client = server.client();
        client.ok("SET a 1");
        rewrite(&mut client);
        let temporary = format!("appendonlydir/base.2.rdb.{}.tmp", server.pid());
        symlink("/dev/full", directory.0.join(temporary)).unwrap();
        client.ok("CONFIG SET appendonly yes");
        let is_there = wait_until(LIMIT, || number(&mut client, "aof_rewrites") == 3);
        assert!(is_there);
        assert!(server.log().contains("No space left"), "{}", server.log());
        wait_for_end(&mut client);
        assert_eq!(field(&mut client, "aof_last_bgrewrite_status"), "ok");
        client.ok("SET b 1");
    }
    let server = directory.start("always");
    assert_eq!(server.client().line("DBSIZE"), Value::Integer(2));
}

#[test]
fn switching_under_load_ends_with_a_log_that_has_all() {
    let directory = Directory::new("switch-load");
    let mut random = Random::new(seed("switch-load", 12));
    let stop = Arc::new(AtomicBool::new(false));
    let server = start_off(&directory);
    let writers: Vec<_> = (0..2)
        .map(|writer| {
            let (stop, port) = (Arc::clone(&stop), server.port);
            thread::spawn(move || {
                let mut client = Client::connect(port);
                let mut count = 0;
                while !stop.load(Ordering::Relaxed) {
                    count += 1;
                    client.ok(&format!(
                        "MSET one:{writer} {count} two:{writer} {count} k{count} v"
                    ));
                    client.line(&format!("RPUSH list:{writer} {count}"));
                }
            })
        })
        .collect();
    let mut client = server.client();
    client.ok("CONFIG SET appendfsync no");
    for _ in 0..20 {
        client.ok("CONFIG SET appendonly yes");
        if random.below(2) == 0 {
            wait_for_end(&mut client);
        }
        for _ in 0..random.below(20) {
            client.line("PING");
        }
        client.ok("CONFIG SET appendonly no");
    }
    client.ok("CONFIG SET appendonly yes");
    wait_for_end(&mut client);
    assert_eq!(field(&mut client, "aof_last_bgrewrite_status"), "ok");
    for _ in 0..200 {
        client.line("INCR behind");
    }
    stop.store(true, Ordering::Relaxed);
    writers
        .into_iter()
        .for_each(|writer| writer.join().unwrap());
    let digest = client.line("DEBUG DIGEST");
    drop(server);
    let server = directory.start("no");
    assert_eq!(server.client().line("DEBUG DIGEST"), digest);
}
