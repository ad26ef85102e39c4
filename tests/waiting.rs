//! Clients that wait for keys while others push, or for the end of a pause: nothing is lost or taken twice, nobody waits in vain,
//! and who leaves leaves nothing behind.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use base::random::Random;
use protocol::value::Value;

use crate::support::client::{Client, REPLY_LIMIT};
use crate::support::seed;
use crate::support::server::Server;
use crate::support::wait::wait_until;

/// Lists on all shards.
const KEYS: [&str; 8] = ["l:0", "l:1", "l:2", "l:3", "l:4", "l:5", "l:6", "l:7"];

/// Elements that producers push.
const ELEMENT_COUNT: u64 = 6_000;

const PRODUCERS: u64 = 3;
const CONSUMERS: u64 = 6;
const MOVERS: u64 = 2;

struct Race {
    pushed: AtomicU64,
    taken_count: AtomicU64,
}

impl Race {
    fn is_over(&self) -> bool {
        self.taken_count.load(Ordering::Relaxed) >= ELEMENT_COUNT
    }

    fn next_element(&self) -> Option<u64> {
        let number = self.pushed.fetch_add(1, Ordering::Relaxed);
        (number < ELEMENT_COUNT).then_some(number)
    }
}

fn key(random: &mut Random) -> &'static str {
    KEYS[random.index(KEYS.len())]
}

/// Pushes one by one, several in one MULTI, or under another name first.
fn produce(race: &Race, mut client: Client, mut random: Random) -> Vec<u64> {
    while let Some(number) = race.next_element() {
        let element = number.to_string();
        let to = key(&mut random);
        match random.below(4) {
            0 => {
                client.ok("MULTI");
                client.line(&format!("RPUSH {to} {element}"));
                let second = race.next_element();
                if let Some(number) = second {
                    client.line(&format!("LPUSH {} {number}", key(&mut random)));
                }
                client.line("EXEC");
            }
            1 => {
                let other = format!("from:{number}");
                client.line(&format!("RPUSH {other} {element}"));
                client.line(&format!("LMOVE {other} {to} LEFT RIGHT"));
            }
            _ => {
                client.line(&format!("RPUSH {to} {element}"));
            }
        }
    }
    Vec::new()
}

/// Takes elements from random keys, in every way that waits for a short time.
fn consume(race: &Race, mut client: Client, mut random: Random) -> Vec<u64> {
    let mut taken = Vec::new();
    while !race.is_over() {
        let (one, other, third) = (key(&mut random), key(&mut random), key(&mut random));
        let line = match random.below(4) {
            0 => format!("BLPOP {one} 0.02"),
            1 => format!("BRPOP {one} {other} {third} 0.02"),
            2 => format!("BLMPOP 0.02 3 {one} {other} {third} LEFT COUNT 2"),
            _ => format!("BLPOP {} 0.02", KEYS.join(" ")),
        };
        let mut found = Vec::new();
        if let Value::Array(words) = client.line(&line) {
            for word in words.iter().skip(1) {
                collect(word, &mut found);
            }
        }
        race.taken_count
            .fetch_add(u64::try_from(found.len()).unwrap(), Ordering::Relaxed);
        taken.extend(found);
    }
    taken
}

fn collect(value: &Value, found: &mut Vec<u64>) {
    match value {
        Value::Bulk(digits) => found.push(std::str::from_utf8(digits).unwrap().parse().unwrap()),
        Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
        other => panic!("no element: {other:?}"),
    }
}

fn move_on(race: &Race, mut client: Client, mut random: Random) -> Vec<u64> {
    while !race.is_over() {
        let (from, to) = (key(&mut random), key(&mut random));
        client.line(&format!("BLMOVE {from} {to} LEFT RIGHT 0.02"));
    }
    Vec::new()
}

#[test]
fn each_element_is_taken_once_however_many_wait_and_push() {
    let seed = seed("waiting", 1);
    for shards in [1, 2, 4] {
        let server = Server::trestle(shards, &[]);
        let race = Race {
            pushed: AtomicU64::new(0),
            taken_count: AtomicU64::new(0),
        };
        let mut taken: Vec<u64> = thread::scope(|scope| {
            let roles = [
                (PRODUCERS, produce as fn(&Race, Client, Random) -> Vec<u64>),
                (CONSUMERS, consume),
                (MOVERS, move_on),
            ];
            let mut number = 0;
            let mut threads = Vec::new();
            for (count, role) in roles {
                for _ in 0..count {
                    number += 1;
                    let (race, client) = (&race, server.client());
                    let random = Random::new(seed ^ (u64::from(shards) << 32) ^ number);
                    threads.push(scope.spawn(move || role(race, client, random)));
                }
            }
            let taken = threads.into_iter().map(|thread| thread.join().unwrap());
            taken.flatten().collect()
        });
        taken.sort_unstable();
        let expected: Vec<u64> = (0..ELEMENT_COUNT).collect();
        assert_eq!(taken, expected, "SEED={seed}, {}", server.name);
        assert_eq!(server.client().line("DBSIZE"), Value::Integer(0));
    }
}

/// Reads a field of INFO.
fn info(client: &mut Client, section: &str, field: &str) -> u64 {
    let Value::Bulk(text) = client.request(&["INFO", section]) else {
        panic!("INFO is a text");
    };
    let text = String::from_utf8_lossy(&text).into_owned();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.and_then(|value| value.parse().ok())
        .unwrap_or_else(|| panic!("INFO has {field}"))
}

/// Connections that this process may open, some kept for other tests.
fn connections_max() -> u64 {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok());
    soft.unwrap_or(1024).saturating_sub(500)
}

#[test]
fn ten_thousand_waiting_clients_leave_nothing_behind() {
    let count = connections_max().min(10_000);
    let server = Server::trestle(4, &["--maxclients", "12000"]);
    let mut control = server.client();
    // The second round finds the memory of the first in the allocator.
    let mut used = Vec::new();
    for round in 0..3 {
        let clients: Vec<Client> = (0..count)
            .map(|number| {
                let mut client = server.client();
                let keys = KEYS[usize::try_from(number % 8).unwrap()];
                let line = match number % 3 {
                    0 => format!("BLPOP {keys} 0"),
                    1 => format!("BLPOP {keys} x y z 100"),
                    _ => format!("BZPOPMIN {keys} 0"),
                };
                client.send(&line.split(' ').collect::<Vec<_>>()).unwrap();
                client
            })
            .collect();
        let all_wait = wait_until(REPLY_LIMIT, || {
            info(&mut control, "clients", "blocked_clients") == count
        });
        assert!(all_wait, "{count} clients wait in round {round}");
        drop(clients);
        let nobody_waits = wait_until(REPLY_LIMIT, || {
            info(&mut control, "clients", "blocked_clients") == 0
                && info(&mut control, "clients", "connected_clients") == 1
        });
        assert!(nobody_waits, "nobody waits after round {round}");
        // Nobody is left who could take it.
        for key in KEYS {
            assert_eq!(control.line(&format!("RPUSH {key} 1")), Value::Integer(1));
            assert_eq!(control.line(&format!("LLEN {key}")), Value::Integer(1));
        }
        control.ok("FLUSHALL");
        used.push(info(&mut control, "memory", "used_memory"));
    }
    let (second, third) = (used[1], used[2]);
    assert!(
        third < second + second / 10,
        "memory grows from round to round: {used:?}"
    );
}

/// Adds to counters of all shards in every way that writes.
fn count_up(client: &mut Client, random: &mut Random) {
    let (one, other) = (random.below(16), random.below(16));
    match random.below(4) {
        0 => {
            client.line(&format!("INCR c:{one}"));
        }
        1 => {
            client.ok("MULTI");
            client.line(&format!("INCR c:{one}"));
            client.line(&format!("INCR c:{other}"));
            client.line("EXEC");
        }
        2 => {
            client.line(&format!("MSET s:{one} {other} s:{other} {one}"));
        }
        _ => {
            client.line(&format!("LMOVE q:{one} q:{other} LEFT RIGHT"));
        }
    }
}

#[test]
fn nothing_is_written_once_a_pause_has_begun() {
    let seed = seed("pause", 1);
    for shards in [1, 4] {
        let server = Server::trestle(shards, &[]);
        let mut control = server.client();
        for number in 0..16 {
            control.line(&format!("RPUSH q:{number} a b c"));
        }
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            for number in 0..6 {
                let mut client = server.client();
                let mut random = Random::new(seed ^ number);
                let is_over = &is_over;
                scope.spawn(move || {
                    while !is_over.load(Ordering::Relaxed) {
                        count_up(&mut client, &mut random);
                    }
                });
            }
            let mut before = Value::Null;
            for _ in 0..20 {
                control.ok("CLIENT PAUSE 60000 WRITE");
                let first = control.line("DEBUG DIGEST");
                for _ in 0..10 {
                    let now = control.line("DEBUG DIGEST");
                    assert_eq!(now, first, "SEED={seed}, {}", server.name);
                }
                assert_ne!(first, before, "there were writes before the pause");
                before = first;
                control.ok("CLIENT UNPAUSE");
                // Somebody writes before the next pause.
                let moved = wait_until(REPLY_LIMIT, || control.line("DEBUG DIGEST") != before);
                assert!(moved, "writes go on behind the pause");
            }
            is_over.store(true, Ordering::Relaxed);
        });
    }
}
