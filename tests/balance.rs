//! Busy clients are spread over the cores, however the kernel has dealt them out, and nothing is lost on the way.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use base::random::Random;
use protocol::value::Value;

use crate::support::client::{Client, encode};
use crate::support::seed;
use crate::support::server::Server;
use crate::support::wait::wait_until;

const SHARDS: u32 = 3;
const CLIENTS: usize = 31;
/// Requests at a time; enough rounds of them make a client busy.
const PIPELINE: usize = 400;

/// Returns how many clients each core has.
fn clients_of_cores(client: &mut Client) -> Vec<usize> {
    let Value::Bulk(info) = client.line("INFO trestle") else {
        panic!("INFO has no text");
    };
    let info = String::from_utf8(info).unwrap();
    let lines = info.lines().filter(|line| {
        let rest = line.strip_prefix("shard").unwrap_or_default();
        rest.starts_with(|first: char| first.is_ascii_digit())
    });
    let count = |line: &str| {
        let figure = line
            .split([',', ':'])
            .find_map(|it| it.strip_prefix("clients="));
        figure.unwrap().parse().unwrap()
    };
    lines.map(count).collect()
}

fn difference(counts: &[usize]) -> usize {
    let (least, most) = (counts.iter().min(), counts.iter().max());
    most.unwrap() - least.unwrap()
}

/// Counts its own key up among reads of keys of all cores, until told to stop.
fn ask(mut client: Client, number: usize, is_over: &AtomicBool, mut random: Random) {
    let mut count = 0;
    while !is_over.load(Ordering::Relaxed) {
        let mut bytes = Vec::new();
        for index in 0..PIPELINE {
            if index == PIPELINE / 2 {
                encode(&["INCR", &format!("count:{number}")], &mut bytes);
            } else {
                encode(&["GET", &format!("key:{}", random.below(1000))], &mut bytes);
            }
        }
        client.send_bytes(&bytes).unwrap();
        count += 1;
        for index in 0..PIPELINE {
            let reply = client.read_reply().unwrap();
            if index == PIPELINE / 2 {
                assert_eq!(reply, format!(":{count}\r\n").into_bytes());
            } else {
                assert_eq!(reply, b"$-1\r\n");
            }
        }
    }
}

#[test]
fn busy_clients_are_spread_over_the_cores() {
    let seed = seed("balance", 1);
    let server = Server::trestle(SHARDS, &[]);
    let mut observer = server.client();
    // The kernel may deal well by chance.
    let (clients, dealt) = (0..1000)
        .find_map(|_| {
            let clients: Vec<_> = (0..CLIENTS).map(|_| server.client()).collect();
            let dealt = clients_of_cores(&mut observer);
            (difference(&dealt) >= 6).then_some((clients, dealt))
        })
        .expect("the kernel deals by chance");
    let is_over = AtomicBool::new(false);
    let mut spread = Vec::new();
    let is_spread = thread::scope(|scope| {
        for (number, client) in clients.into_iter().enumerate() {
            let random = Random::new(seed.wrapping_add(u64::try_from(number).unwrap()));
            let is_over = &is_over;
            scope.spawn(move || ask(client, number, is_over, random));
        }
        // The observer is not busy, and on any of them; one client may be more than others have.
        let is_spread = wait_until(Duration::from_secs(30), || {
            spread = clients_of_cores(&mut observer);
            difference(&spread) <= 2
        });
        is_over.store(true, Ordering::Relaxed);
        is_spread
    });
    assert!(is_spread, "dealt {dealt:?}, later {spread:?}");
}
