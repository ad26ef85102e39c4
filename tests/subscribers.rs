//! Many who listen: each gets every message once and in order, and those who do not read hurt nobody.
//!
//! Not here: what each command answers, which `differential::clients` compares with Redis.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use base::random::Random;
use protocol::value::Value;

use crate::support::client::{Client, value_of};
use crate::support::server::Server;
use crate::support::wait::wait_until;
use crate::support::{one_in, seed};

/// How long something may take that other threads do.
const LIMIT: Duration = Duration::from_secs(20);

/// Messages of each publisher.
const MESSAGES: u64 = 2000;

const PUBLISHERS: u64 = 3;

/// Returns the number in a message `publisher:number`.
fn parts_of(message: &Value) -> (u64, u64) {
    let Value::Array(words) = message else {
        panic!("a message: {message:?}");
    };
    let Some(Value::Bulk(text)) = words.last() else {
        panic!("a message: {message:?}");
    };
    let text = String::from_utf8(text.clone()).unwrap();
    let (publisher, number) = text.split_once(':').unwrap();
    (publisher.parse().unwrap(), number.parse().unwrap())
}

/// Reads all messages of all publishers, and fails unless each comes once and those of one in order.
fn read_all(mut client: Client) {
    let mut next = [0; 3];
    for _ in 0..MESSAGES * PUBLISHERS {
        let (publisher, number) = parts_of(&value_of(&client.read_reply().unwrap()));
        let expected = &mut next[usize::try_from(publisher).unwrap()];
        assert_eq!(number, *expected, "message of publisher {publisher}");
        *expected += 1;
    }
    // What comes next is the answer to this, so there was nothing more.
    let reply = client.line("PING end");
    let end = Value::Array(vec![
        Value::Bulk(b"pong".to_vec()),
        Value::Bulk(b"end".to_vec()),
    ]);
    assert_eq!(reply, end);
}

/// Publishes in pipelines of varying length; returns how many were reached in all.
fn publish_all(mut client: Client, publisher: u64, seed: u64) -> i64 {
    let mut random = Random::new(seed);
    let mut reached = 0;
    let mut next = 0;
    while next < MESSAGES {
        let end = MESSAGES.min(next + 1 + random.below(20));
        for number in next..end {
            let text = format!("{publisher}:{number}");
            client.send(&["PUBLISH", "channel", &text]).unwrap();
        }
        for _ in next..end {
            match value_of(&client.read_reply().unwrap()) {
                Value::Integer(count) => reached += count,
                other => panic!("PUBLISH: {other:?}"),
            }
        }
        next = end;
    }
    reached
}

#[test]
fn each_message_reaches_each_listener_once_and_in_order() {
    let seed = seed("messages", 5);
    for shards in [1, 2, 4] {
        let server = Server::trestle(shards, &[]);
        let listeners: Vec<Client> = (0..12)
            .map(|index| {
                let mut client = server.client();
                let command = if index % 3 == 0 {
                    "PSUBSCRIBE chan*"
                } else {
                    "SUBSCRIBE channel"
                };
                client.line(command);
                client
            })
            .collect();
        let listener_count = i64::try_from(listeners.len()).unwrap();
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let readers: Vec<_> = listeners
                .into_iter()
                .map(|client| scope.spawn(|| read_all(client)))
                .collect();
            // Others come and go meanwhile, mostly without a word.
            let guests = scope.spawn(|| {
                let mut random = Random::new(seed);
                let mut count = 0;
                while !is_over.load(Ordering::Relaxed) {
                    let mut guest = server.client();
                    guest.line("SUBSCRIBE channel other");
                    if one_in(&mut random, 3) {
                        guest.send(&["UNSUBSCRIBE", "channel"]).unwrap();
                    }
                    count += 1;
                }
                count
            });
            let publishers: Vec<_> = (0..PUBLISHERS)
                .map(|publisher| {
                    let client = server.client();
                    scope.spawn(move || publish_all(client, publisher, seed + publisher))
                })
                .collect();
            for publisher in publishers {
                let reached = publisher.join().unwrap();
                let least = listener_count * i64::try_from(MESSAGES).unwrap();
                assert!(reached >= least, "{reached} of at least {least}");
            }
            is_over.store(true, Ordering::Relaxed);
            assert!(guests.join().unwrap() > 0);
            for reader in readers {
                reader.join().unwrap();
            }
        });
        let mut client = server.client();
        let nobody = Value::Array(vec![
            Value::Bulk(b"channel".to_vec()),
            Value::Integer(0),
            Value::Bulk(b"other".to_vec()),
            Value::Integer(0),
        ]);
        let is_empty = wait_until(LIMIT, || {
            client.line("PUBSUB NUMSUB channel other") == nobody
        });
        assert!(is_empty, "nobody listens any more");
    }
}

#[test]
fn what_follows_on_a_reply_is_told_behind_it() {
    // The more, the likelier is what docs/progress.md says of cores that lose their processor.
    const COUNT: usize = 1000;
    let seed = seed("order of events", 11);
    let server = Server::trestle(4, &["--notify-keyspace-events", "E$"]);
    let mut listeners: Vec<Client> = (0..4).map(|_| server.client()).collect();
    for listener in &mut listeners {
        listener.line("PSUBSCRIBE *");
    }
    thread::scope(|scope| {
        let readers: Vec<_> = listeners
            .into_iter()
            .map(|mut listener| {
                scope.spawn(move || {
                    for number in 0..COUNT {
                        let message = value_of(&listener.read_reply().unwrap());
                        let Value::Array(words) = message else {
                            panic!("a message: {message:?}");
                        };
                        let payload = Value::Bulk(number.to_string().into_bytes());
                        assert_eq!(words[3], payload, "{words:?}");
                    }
                })
            })
            .collect();
        // Keys and clients are spread over all cores; each step waits for the reply to the one before.
        let mut random = Random::new(seed);
        let mut clients: Vec<Client> = (0..8).map(|_| server.client()).collect();
        for number in 0..COUNT {
            let client = &mut clients[random.index(8)];
            let name = number.to_string();
            if one_in(&mut random, 3) {
                client.request(&["PUBLISH", "channel", &name]);
            } else {
                client.request(&["SET", &name, "x"]);
            }
        }
        for reader in readers {
            reader.join().unwrap();
        }
    });
}

#[test]
fn a_listener_that_never_reads_is_closed_and_hurts_nobody() {
    let limit = "pubsub 2mb 1mb 60";
    let server = Server::trestle(2, &["--client-output-buffer-limit", limit]);
    let mut silent: Vec<Client> = (0..4)
        .map(|_| {
            let mut client = server.client();
            client.line("SUBSCRIBE flood");
            client
        })
        .collect();
    let mut publisher = server.client();
    let mut other = server.client();
    let payload = vec![b'x'; 100_000];
    let mut last = Value::Null;
    // The kernel takes some megabytes of each connection before anything waits here.
    let is_closed = wait_until(LIMIT, || {
        for _ in 0..20 {
            last = publisher.request(&[b"PUBLISH".as_slice(), b"flood", &payload]);
        }
        last == Value::Integer(0)
    });
    assert!(is_closed, "all are closed: {last:?}");
    assert_eq!(other.line("PING"), Value::Simple(b"PONG".to_vec()));
    let Value::Bulk(info) = other.line("INFO stats") else {
        panic!("INFO is a text");
    };
    let info = String::from_utf8(info).unwrap();
    assert!(
        info.contains("client_output_buffer_limit_disconnections:4\r\n"),
        "{info}"
    );
    for client in &mut silent {
        assert!(client.read_to_end(1 << 30).is_ok(), "the connection ends");
    }
}

#[test]
fn a_listener_above_the_soft_limit_is_closed_after_its_time() {
    let limit = "pubsub 0 100kb 1";
    let server = Server::trestle(2, &["--client-output-buffer-limit", limit]);
    let mut silent = server.client();
    silent.line("SUBSCRIBE flood");
    let mut publisher = server.client();
    let payload = vec![b'x'; 100_000];
    let mut sent = 0;
    let is_closed = wait_until(LIMIT, || {
        // More than the kernel takes, and far less than would fill memory while the time runs.
        if sent < 400 {
            for _ in 0..100 {
                publisher.request(&[b"PUBLISH".as_slice(), b"flood", &payload]);
                sent += 1;
            }
        }
        publisher.line("PUBSUB NUMSUB flood")
            == Value::Array(vec![Value::Bulk(b"flood".to_vec()), Value::Integer(0)])
    });
    assert!(is_closed, "a slow listener is closed");
}

#[test]
fn many_subscriptions_of_one_client_come_and_go() {
    const COUNT: usize = 10_000;
    let server = Server::trestle(2, &[]);
    let mut listener = server.client();
    let mut publisher = server.client();
    for kind in ["SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE"] {
        let mut words = vec![kind.to_owned()];
        words.extend((0..COUNT).map(|index| format!("name-{index}")));
        listener.send(&words).unwrap();
        for _ in 0..COUNT {
            listener.read_reply().unwrap();
        }
    }
    let reached = publisher.line("PUBLISH name-7 x");
    assert_eq!(reached, Value::Integer(2));
    listener.read_reply().unwrap();
    listener.read_reply().unwrap();
    let count = Value::Integer(i64::try_from(COUNT).unwrap());
    assert_eq!(publisher.line("PUBSUB NUMPAT"), count);
    listener.send(&["UNSUBSCRIBE"]).unwrap();
    for _ in 0..COUNT {
        listener.read_reply().unwrap();
    }
    drop(listener);
    let nothing = Value::Array(Vec::new());
    let is_empty = wait_until(LIMIT, || {
        publisher.line("PUBSUB NUMPAT") == Value::Integer(0)
            && publisher.line("PUBSUB SHARDCHANNELS") == nothing
    });
    assert!(is_empty, "a client that has left listens to nothing");
    assert_eq!(publisher.line("PUBSUB CHANNELS"), nothing);
}

#[test]
fn what_is_cached_is_never_stale_for_long() {
    let seed = seed("cached keys", 9);
    for shards in [1, 4] {
        let server = Server::trestle(shards, &["--tracking-table-max-keys", "20"]);
        let written = AtomicUsize::new(0);
        thread::scope(|scope| {
            let mut writer = server.client();
            let written = &written;
            scope.spawn(move || {
                let mut random = Random::new(seed);
                for _ in 0..3000 {
                    let key = format!("key-{}", random.below(40));
                    writer.request(&["INCR", &key]);
                    written.fetch_add(1, Ordering::Relaxed);
                }
            });
            let mut reader = server.client();
            reader.line("HELLO 3");
            reader.ok("CLIENT TRACKING ON");
            let mut cache = vec![None; 40];
            let mut random = Random::new(seed + 1);
            while written.load(Ordering::Relaxed) < 3000 {
                let index = random.index(40);
                if cache[index].is_none() {
                    let key = format!("key-{index}");
                    reader.send(&["GET", &key]).unwrap();
                    let value = read_reply(&mut reader, &mut cache);
                    cache[index] = Some(value);
                } else {
                    reader.send(&["PING"]).unwrap();
                    read_reply(&mut reader, &mut cache);
                }
            }
            // Once the writes are over, what is told of them is on its way.
            let is_fresh = wait_until(LIMIT, || {
                reader.send(&["PING"]).unwrap();
                read_reply(&mut reader, &mut cache);
                let mut other = server.client();
                cache.iter().enumerate().all(|(index, cached)| {
                    let key = format!("key-{index}");
                    let now = other.request(&["GET", &key]);
                    cached.as_ref().is_none_or(|value| same(value, &now))
                })
            });
            assert!(is_fresh, "with {shards} shards");
        });
    }
}

/// Null differs between the protocols.
fn same(one: &Value, other: &Value) -> bool {
    one == other || matches!((one, other), (Value::Null, Value::Null))
}

/// Reads a reply; what is told before it empties the cache.
fn read_reply(reader: &mut Client, cache: &mut [Option<Value>]) -> Value {
    loop {
        match value_of(&reader.read_reply().unwrap()) {
            Value::Push(words) => {
                let Some(Value::Array(keys)) = words.get(1) else {
                    panic!("keys: {words:?}");
                };
                for key in keys {
                    let Value::Bulk(key) = key else {
                        panic!("a key: {key:?}");
                    };
                    let key = String::from_utf8(key.clone()).unwrap();
                    let index: usize = key.strip_prefix("key-").unwrap().parse().unwrap();
                    cache[index] = None;
                }
            }
            reply => return reply,
        }
    }
}
