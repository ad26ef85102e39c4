//! Large values in files: saved in parts while clients read and change them.
//!
//! Not here: which part comes when (`src/shard/snapshot`), the bytes (`src/types/rdb`).

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use protocol::value::Value;

use crate::persistence::{Directory, redis_check};
use crate::support::client::Client;
use crate::support::number;
use crate::support::wait::wait_until;

const LIMIT: Duration = Duration::from_secs(60);

/// Elements of each value: each takes more than is written in one go, and more than one piece.
const ELEMENTS: usize = 40_000;
const PER_REQUEST: usize = 1000;

/// What makes each value, but for its elements, and what counts them.
const VALUES: [(&str, &str); 6] = [
    ("SADD one:{a}", "SCARD one:{a}"),
    ("SADD other:{b}", "SCARD other:{b}"),
    ("RPUSH list", "LLEN list"),
    ("HSET hash", "HLEN hash"),
    ("ZADD ranks", "ZCARD ranks"),
    ("XADD log", "XLEN log"),
];

fn elements(command: &str, number: usize) -> Vec<String> {
    let text = format!("element:{number:06}");
    match command.split(' ').next().unwrap() {
        "HSET" => vec![text, number.to_string()],
        "ZADD" => vec![(number * 7 % 1000).to_string(), text],
        _ => vec![text],
    }
}

fn fill(client: &mut Client) {
    for (command, count) in VALUES {
        for first in (0..ELEMENTS).step_by(PER_REQUEST) {
            if command.starts_with("XADD") {
                for number in first..first + PER_REQUEST {
                    client
                        .send(&["XADD", "log", "*", "number", &number.to_string()])
                        .unwrap();
                }
                for _ in 0..PER_REQUEST {
                    client.read_reply().unwrap();
                }
                continue;
            }
            let mut words: Vec<String> = command.split(' ').map(str::to_owned).collect();
            words.extend((first..first + PER_REQUEST).flat_map(|it| elements(command, it)));
            assert!(
                matches!(client.request(&words), Value::Integer(_)),
                "{command}"
            );
        }
        let expected = Value::Integer(i64::try_from(ELEMENTS).unwrap());
        assert_eq!(client.line(count), expected);
    }
    client.line("XGROUP CREATE log group 0");
    client.line("XREADGROUP GROUP group me COUNT 20000 STREAMS log >");
    let text: String = (0..400_000).map(|number| format!("{number} ")).collect();
    client.request(&["SET", "text", &text]);
}

fn integer(client: &mut Client, line: &str) -> i64 {
    match client.line(line) {
        Value::Integer(number) => number,
        Value::Bulk(digits) => String::from_utf8(digits).unwrap().parse().unwrap(),
        other => panic!("{line}: {other:?}"),
    }
}

/// Adds to both sets and to the list, and changes the string, all at once, until it is told to stop. Returns how often.
fn write_on(port: u16, stop: &AtomicBool) -> u64 {
    let mut client = Client::connect(port);
    let mut round = 0;
    while !stop.load(Ordering::Relaxed) {
        round += 1;
        client.ok("MULTI");
        for line in [
            format!("SADD one:{{a}} new:{round}"),
            format!("SADD other:{{b}} new:{round}"),
            format!("RPUSH list {round}"),
            format!("SET round {round}"),
            format!("SETRANGE text 0 {round:08}"),
            format!("ZADD ranks 5 new:{round}"),
        ] {
            assert_eq!(client.line(&line), Value::Simple(b"QUEUED".to_vec()));
        }
        assert!(matches!(client.line("EXEC"), Value::Array(_)));
        // Alone, on the shard of its key.
        client.line("HSET hash last x");
    }
    round
}

/// What was written is there up to some round, in all values.
fn check(client: &mut Client) -> i64 {
    let round = match client.line("EXISTS round") {
        Value::Integer(1) => integer(client, "GET round"),
        _ => 0,
    };
    let all = i64::try_from(ELEMENTS).unwrap();
    for count in [
        "SCARD one:{a}",
        "SCARD other:{b}",
        "LLEN list",
        "ZCARD ranks",
    ] {
        assert_eq!(
            integer(client, count),
            all + round,
            "{count} of round {round}"
        );
    }
    assert_eq!(integer(client, "XLEN log"), all);
    let fields = integer(client, "HLEN hash");
    assert!((all..=all + 1).contains(&fields), "{fields}");
    let Value::Bulk(text) = client.line("GETRANGE text 0 7") else {
        panic!("the text is there");
    };
    if round > 0 {
        assert_eq!(String::from_utf8(text).unwrap(), format!("{round:08}"));
    }
    let Value::Array(pending) = client.line("XPENDING log group") else {
        panic!("the group is there");
    };
    assert_eq!(pending[0], Value::Integer(20_000));
    assert_eq!(
        client.line("ZSCORE ranks element:000999"),
        Value::Bulk(b"993".to_vec())
    );
    assert_eq!(
        client.line("HGET hash element:000999"),
        Value::Bulk(b"999".to_vec())
    );
    assert_eq!(
        client.line("LINDEX list 999"),
        Value::Bulk(b"element:000999".to_vec())
    );
    round
}

#[test]
fn large_values_are_saved_as_they_were_at_one_moment_while_they_change() {
    let directory = Directory::new("parts");
    let server = directory.trestle(2, &[]);
    let mut client = server.client();
    fill(&mut client);
    let stop = Arc::new(AtomicBool::new(false));
    let (port, flag) = (server.port, Arc::clone(&stop));
    let writer = thread::spawn(move || write_on(port, &flag));
    let mut last = -1;
    for round in 0..number("ROUNDS", 3) {
        assert!(wait_until(LIMIT, || {
            client.line("EXISTS round") == Value::Integer(1)
                && integer(&mut client, "GET round") > last + 5
        }));
        client.ok("SAVE");
        let copy = Directory::new(&format!("parts-{round}"));
        fs::copy(directory.file(), copy.file()).unwrap();
        redis_check(&copy.file());
        let redis = copy.redis(&[]);
        let of_redis = check(&mut redis.client());
        let loaded = copy.trestle(3, &[]);
        assert_eq!(check(&mut loaded.client()), of_redis);
        assert!(of_redis > last, "{of_redis} follows {last}");
        last = of_redis;
    }
    stop.store(true, Ordering::Relaxed);
    let rounds = writer.join().unwrap();
    let rounds = i64::try_from(rounds).unwrap();
    assert!(rounds >= last);
    assert_eq!(check(&mut client), rounds);
}

#[test]
fn fields_that_expire_while_their_hash_is_saved_are_in_the_file() {
    let directory = Directory::new("parts-fields");
    let server = directory.trestle(1, &[]);
    let mut client = server.client();
    fill(&mut client);
    // All but a few die a moment later, in the midst of the save or behind it.
    for first in (0..ELEMENTS).step_by(PER_REQUEST) {
        let mut words: Vec<String> = ["HPEXPIRE", "hash", "400", "FIELDS"]
            .map(str::to_owned)
            .into();
        words.push((PER_REQUEST - 1).to_string());
        words.extend((first..first + PER_REQUEST - 1).map(|it| format!("element:{it:06}")));
        assert!(matches!(client.request(&words), Value::Array(_)));
    }
    let begun = Instant::now();
    client.ok("SAVE");
    let copy = Directory::new("parts-fields-copy");
    fs::copy(directory.file(), copy.file()).unwrap();
    assert!(wait_until(LIMIT, || integer(&mut client, "HLEN hash") == 40));
    eprintln!("they were dead {:?} after the save began", begun.elapsed());
    let loaded = copy.trestle(2, &[]);
    let mut client = loaded.client();
    assert!(wait_until(LIMIT, || integer(&mut client, "HLEN hash") == 40));
    assert_eq!(
        client.line("HGET hash element:000999"),
        Value::Bulk(b"999".to_vec())
    );
    assert_eq!(
        integer(&mut client, "SCARD one:{a}"),
        i64::try_from(ELEMENTS).unwrap()
    );
}

#[test]
fn a_value_that_leaves_its_key_while_it_is_saved_is_in_the_file() {
    for (request, is_there) in [
        ("DEL one:{a}", 0),
        ("FLUSHALL", 0),
        ("RENAME one:{a} two:{a}", 0),
    ] {
        let directory = Directory::new("parts-left");
        let server = directory.trestle(2, &[]);
        let mut client = server.client();
        fill(&mut client);
        let started = Value::Simple(b"Background saving started".to_vec());
        assert_eq!(client.line("BGSAVE"), started);
        client.line(request);
        assert_eq!(
            client.line("EXISTS one:{a}"),
            Value::Integer(is_there),
            "{request}"
        );
        assert!(wait_until(LIMIT, || directory.file().exists()));
        let copy = Directory::new("parts-left-copy");
        fs::copy(directory.file(), copy.file()).unwrap();
        redis_check(&copy.file());
        let redis = copy.redis(&[]);
        assert_eq!(check(&mut redis.client()), 0, "{request}");
    }
}
