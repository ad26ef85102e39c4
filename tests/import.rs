//! The append-only file of Redis, taken over: what redis-server has written is compared with what it reads itself.
//!
//! Not here: its form without a server (`src/storage/redis_log.rs`), RDB files (`persistence`).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use base::random::Random;
use protocol::value::Value;

use crate::log::{Directory, refusal};
use crate::persistence::{fill, state};
use crate::support::client::Client;
use crate::support::seed;
use crate::support::server::Server;
use crate::support::wait::wait_until;

const LIMIT: Duration = Duration::from_secs(60);

/// Ways of Redis to write its file.
const WAYS: [&[&str]; 3] = [
    &[],
    &["--aof-use-rdb-preamble", "no"],
    &["--aof-timestamp-enabled", "yes"],
];

pub(crate) fn redis(directory: &Directory, flags: &[&str]) -> Server {
    Server::redis(&[&directory.flags("everysec")[..], flags].concat())
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// Returns the files of Redis in a directory, with what is in them.
pub(crate) fn contents(directory: &Directory) -> BTreeMap<String, Vec<u8>> {
    let names = fs::read_dir(directory.0.join("appendonlydir")).unwrap();
    let paths = names.map(|name| name.unwrap().path());
    paths
        .filter(|path| path.to_str().unwrap().contains("appendonly.aof"))
        .map(|path| (path.display().to_string(), fs::read(&path).unwrap()))
        .collect()
}

/// Changes values in ways that Redis writes in other words than it was sent.
fn change(client: &mut Client, random: &mut Random) {
    for round in 0..20 {
        for line in [
            "SADD drawn a b c d e f g h",
            "SPOP drawn 2",
            "SET volatile x EX 100000",
            "GETEX volatile PX 900000000",
            "SET gone x PX 1",
            "INCRBYFLOAT float 1.1",
            "HINCRBYFLOAT hash field 1.7",
            "XADD log * a 1",
            "XGROUP CREATE log group 0",
            "XREADGROUP GROUP group me COUNT 1 STREAMS log >",
            "BLPOP queue 0.01",
            "RPUSH queue 1 2 3",
            "BLPOP queue 0",
            "LMPOP 1 queue LEFT COUNT 1",
            "ZADD ranks 1 a 2 b 3 c",
            "ZPOPMIN ranks",
            "COPY queue copied DB 2 REPLACE",
            "MOVE float 5",
            "GEOADD places 13 38 Palermo",
            "PFADD about a b c",
            "SETRANGE text 5 x",
            "EVAL return{redis.call('INCR','scripted'),redis.call('SPOP','drawn')} 0",
            "SWAPDB 1 2",
        ] {
            client.line(line);
        }
        for line in ["MULTI", "SET in multi", "INCR number", "EXEC"] {
            client.line(line);
        }
        client.line(&format!("RENAME copied copied:{}", random.below(10)));
        if round == 10 {
            client.ok("SELECT 9");
            client.ok("SET a 1");
            client.ok("FLUSHDB");
            client.ok("SELECT 0");
        }
    }
    let code = "#!lua name=other\nredis.register_function('g', function() return 8 end)";
    client.request(&["FUNCTION", "LOAD", code]);
    client.request(&["FUNCTION", "LOAD", "REPLACE", code]);
    // Redis lists two in any order.
    client.ok("FUNCTION DELETE other");
}

fn rewrite(client: &mut Client) {
    client.line("BGREWRITEAOF");
    let has_ended = wait_until(LIMIT, || {
        let Value::Bulk(text) = client.line("INFO persistence") else {
            panic!("INFO is a text");
        };
        let text = String::from_utf8(text).unwrap();
        text.contains("aof_rewrite_in_progress:0") && text.contains("aof_rewrite_scheduled:0")
    });
    assert!(has_ended);
}

#[test]
fn the_append_only_file_of_redis_is_taken_over_with_all_it_has() {
    let mut random = Random::new(seed("import", 9));
    for (number, way) in WAYS.into_iter().enumerate() {
        let directory = Directory::new(&format!("import-{number}"));
        let mut keys = {
            let server = redis(&directory, way);
            let mut client = server.client();
            let mut keys = fill(&mut client, &mut random);
            change(&mut client, &mut random);
            if number != 1 {
                // From here on with a base that is not empty.
                rewrite(&mut client);
            }
            client.ok("FUNCTION FLUSH");
            let more = fill(&mut client, &mut random);
            keys.extend(more);
            change(&mut client, &mut random);
            if number == 1 {
                rewrite(&mut client);
            }
            keys
        };
        for key in ["drawn", "volatile", "hash", "log", "queue", "ranks"] {
            keys.push((0, key.to_owned()));
        }
        // What Redis itself makes of the file.
        let other = Directory::new(&format!("import-redis-{number}"));
        copy(&directory.0, &other.0);
        let expected = state(&mut redis(&other, way).client(), &keys);
        let before = contents(&directory);
        for shards in [3, 2] {
            let server = Server::trestle(shards, &directory.flags("no"));
            let ours = state(&mut server.client(), &keys);
            let pairs = ours.iter().zip(&expected);
            let differing: Vec<_> = pairs.filter(|(one, other)| one != other).collect();
            assert!(differing.is_empty(), "{way:?}: {differing:?}");
            assert_eq!(ours.len(), expected.len());
        }
        assert_eq!(contents(&directory), before, "the files stay as they are");
        // Now the log is ours.
        {
            let server = directory.start("no");
            server.client().ok("SET ours 1");
        }
        let server = directory.start("no");
        assert_eq!(server.client().line("GET ours"), Value::Bulk(b"1".to_vec()));
    }
}

#[test]
fn the_single_file_of_older_versions_is_taken_over_too() {
    let directory = Directory::new("import-single");
    {
        let server = redis(&directory, &[]);
        let mut client = server.client();
        client.ok("SET base 1");
        rewrite(&mut client);
        client.ok("SET behind 1");
    }
    // As Redis 4 to 6 has written it: commands behind an RDB file.
    let files = contents(&directory);
    let of_kind = |kind: &str| {
        let found = files.iter().find(|(name, _)| name.contains(kind));
        found.unwrap().1.clone()
    };
    let whole = [of_kind(".base.rdb"), of_kind(".incr.aof")].concat();
    fs::remove_dir_all(directory.0.join("appendonlydir")).unwrap();
    fs::write(directory.0.join("appendonly.aof"), &whole).unwrap();
    {
        let server = directory.start("no");
        assert_eq!(server.client().line("DBSIZE"), Value::Integer(2));
    }
    let file = fs::read(directory.0.join("appendonly.aof")).unwrap();
    assert_eq!(file, whole);
    let commands = "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n";
    fs::remove_dir_all(directory.0.join("appendonlydir")).unwrap();
    fs::write(directory.0.join("appendonly.aof"), commands).unwrap();
    let server = directory.start("no");
    assert_eq!(server.client().line("GET a"), Value::Bulk(b"1".to_vec()));
    assert_eq!(server.client().line("DBSIZE"), Value::Integer(1));
}

#[test]
fn a_torn_end_is_left_out_and_anything_else_is_refused() {
    let directory = Directory::new("import-torn");
    let log = directory.0.join("appendonlydir");
    {
        let server = redis(&directory, &[]);
        let mut client = server.client();
        client.ok("SET a 1");
        for line in ["MULTI", "SET b 1", "SET c 1", "EXEC"] {
            client.line(line);
        }
    }
    let path = log.join("appendonly.aof.1.incr.aof");
    let whole = fs::read(&path).unwrap();
    // In the middle of EXEC, of a word, and right behind a command of the transaction.
    let exec = b"*1\r\n$4\r\nEXEC\r\n".len();
    for cut in [3, exec - 2, exec, exec + 5] {
        fs::write(&path, &whole[..whole.len() - cut]).unwrap();
        let text = refusal(&directory, &["--aof-load-truncated", "no"]);
        assert!(text.contains("in the middle"), "{text}");
        {
            let server = directory.start("no");
            let mut client = server.client();
            assert_eq!(client.line("GET a"), Value::Bulk(b"1".to_vec()));
            assert_eq!(client.line("DBSIZE"), Value::Integer(1), "{cut}");
        }
        for name in fs::read_dir(&log).unwrap() {
            let path = name.unwrap().path();
            if !path.to_str().unwrap().contains("appendonly.aof") {
                fs::remove_file(path).unwrap();
            }
        }
    }
    let wrong: [(&[u8], &str); 4] = [
        (b"SET d 1\r\n", "should stand there"),
        (b"*2\r\n$4\r\nEVAL\r\n$1\r\n0\r\n", "scripts"),
        (b"*1\r\n$6\r\nmodule\r\n", "no command"),
        (b"*2\r\n$4\r\nINCR\r\n$4\r\nlist\r\n", "WRONGTYPE"),
    ];
    for (bytes, said) in wrong {
        let list = b"*3\r\n$5\r\nRPUSH\r\n$4\r\nlist\r\n$1\r\n1\r\n";
        fs::write(&path, [&whole, &list[..], bytes].concat()).unwrap();
        let text = refusal(&directory, &[]);
        assert!(text.contains(said) && text.contains(" byte "), "{text}");
        assert!(!log.join("manifest").exists());
    }
    fs::write(log.join("appendonly.aof.manifest"), "file x\n").unwrap();
    let text = refusal(&directory, &[]);
    assert!(
        text.contains("file x") && text.contains("manifest"),
        "{text}"
    );
}
