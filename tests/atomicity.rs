//! No client sees a command of another client half done, whatever shards its keys are on.
//!
//! Threads write, move and count keys on all shards while others look. What must hold:
//! - Keys that are always written together by MSET or MULTI always show the same value, and exist
//!   together or not at all.
//! - A token that RENAME, or COPY and DEL in MULTI, moves is in exactly one place.
//! - MSETNX sets all its keys or none.
//! - Counters that are only changed after WATCH lose no increment.
//! - DBSIZE and KEYS count all keys of an MSET or none.
//!
//! `OPERATIONS` sets the number of requests; a full run takes 1,000,000. A server built to leave
//! out its scheduler can be named in `TRESTLE_BYPASS_BIN`: there the same checker has to fail.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use base::random::Random;
use protocol::value::Value;

use crate::support::client::{Client, encode, value_of};
use crate::support::server::Server;
use crate::support::{number, one_in, seed};

/// Requests of a run, unless `OPERATIONS` says otherwise.
const OPERATION_COUNT: u64 = 100_000;

/// Keys that are written together, and places of the token. More than there are shards, so that
/// they lie on all of them.
const GROUP: usize = 10;

/// What a violation begins with if the server did not answer; the panic says what it was asked.
const MISSING: &str = "no reply";

/// What a thread does, once; an error is a violation.
type Role = fn(&mut Worker<'_>) -> Result<(), String>;

/// Each role, how many threads have it, and its database.
const ROLES: &[(Role, usize, &str)] = &[
    (write_group, 2, "0"),
    (read_group, 2, "0"),
    (move_token, 2, "0"),
    (find_token, 2, "0"),
    (set_if_none, 2, "0"),
    (read_if_none, 1, "0"),
    (count_up, 3, "0"),
    (add_keys, 2, "1"),
    (count_keys, 2, "1"),
];

/// What the threads of one run share.
struct Run {
    /// Requests left.
    left: AtomicU64,
    /// Somebody found a violation: stop.
    is_over: AtomicBool,
    /// Writers part what should be one: for the test of the checker.
    tears: bool,
}

/// One thread.
struct Worker<'r> {
    run: &'r Run,
    client: Client,
    random: Random,
    /// Differs between threads.
    name: usize,
    /// Counts the steps of this thread.
    step: u64,
    /// Increments that succeeded.
    increments: i64,
}

impl Worker<'_> {
    /// Sends one request of the words of `line`.
    fn line(&mut self, line: &str) -> Value {
        self.spend(1);
        self.client.line(line)
    }

    /// Sends `lines` in one write, inside MULTI and EXEC, and returns the reply to EXEC.
    fn transaction(&mut self, lines: &[String]) -> Value {
        self.pipeline(&[&["MULTI".to_owned()], lines, &["EXEC".to_owned()]].concat())
            .pop()
            .expect("EXEC has a reply")
    }

    /// Sends `lines` in one write and returns the replies.
    fn pipeline(&mut self, lines: &[String]) -> Vec<Value> {
        self.spend(u64::try_from(lines.len()).unwrap());
        let mut bytes = Vec::new();
        for line in lines {
            encode(&line.split(' ').collect::<Vec<_>>(), &mut bytes);
        }
        self.client.send_bytes(&bytes).unwrap();
        lines
            .iter()
            .map(|line| match self.client.read_reply() {
                Ok(reply) => value_of(&reply),
                Err(error) => panic!("{line}: {error}"),
            })
            .collect()
    }

    fn spend(&self, count: u64) {
        let take = |left: u64| Some(left.saturating_sub(count));
        let order = Ordering::Relaxed;
        self.run.left.fetch_update(order, order, take).unwrap();
    }

    /// Returns a text that no other step of any thread returns.
    fn unique(&self) -> String {
        format!("{}-{}", self.name, self.step)
    }
}

/// Returns `prefix:0 prefix:1 ...`.
fn group(prefix: &str) -> Vec<String> {
    (0..GROUP)
        .map(|index| format!("{prefix}:{index}"))
        .collect()
}

fn write_group(worker: &mut Worker<'_>) -> Result<(), String> {
    let value = worker.unique();
    let pairs: Vec<String> = group("together")
        .iter()
        .map(|key| format!("{key} {value}"))
        .collect();
    let sets: Vec<String> = pairs.iter().map(|pair| format!("SET {pair}")).collect();
    if worker.run.tears {
        for set in sets {
            worker.line(&set);
        }
        return Ok(());
    }
    let expected = match worker.random.below(8) {
        0 => {
            let reply = worker.line(&format!("DEL {}", group("together").join(" ")));
            let all = i64::try_from(GROUP).unwrap();
            return match reply {
                Value::Integer(0) => Ok(()),
                Value::Integer(count) if count == all => Ok(()),
                other => Err(format!("DEL of keys written together: {other:?}")),
            };
        }
        1..4 => {
            let reply = worker.transaction(&sets);
            let replies = vec![Value::Simple(b"OK".to_vec()); GROUP];
            (reply, Value::Array(replies))
        }
        _ => {
            let reply = worker.line(&format!("MSET {}", pairs.join(" ")));
            (reply, Value::Simple(b"OK".to_vec()))
        }
    };
    require(expected.0 == expected.1, || {
        format!("reply to a write: {:?}", expected.0)
    })
}

fn read_group(worker: &mut Worker<'_>) -> Result<(), String> {
    let keys = group("together");
    let reply = match worker.random.below(5) {
        0 => {
            let reply = worker.line(&format!("EXISTS {}", keys.join(" ")));
            let all = i64::try_from(GROUP).unwrap();
            return require(
                reply == Value::Integer(0) || reply == Value::Integer(all),
                || format!("EXISTS of keys written together: {reply:?}"),
            );
        }
        1 | 2 => {
            let gets: Vec<String> = keys.iter().map(|key| format!("GET {key}")).collect();
            worker.transaction(&gets)
        }
        _ => worker.line(&format!("MGET {}", keys.join(" "))),
    };
    let values = array(reply)?;
    require(values.windows(2).all(|pair| pair[0] == pair[1]), || {
        format!("keys written together differ: {values:?}")
    })
}

fn move_token(worker: &mut Worker<'_>) -> Result<(), String> {
    let from = worker.random.index(GROUP);
    let to = (from + 1 + worker.random.index(GROUP - 1)) % GROUP;
    match worker.random.below(3) {
        0 => {
            let copy = format!("COPY token:{from} token:{to}");
            let moved = array(worker.transaction(&[copy, format!("DEL token:{from}")]))?;
            require(moved[0] == moved[1], || {
                format!("COPY and DEL in one transaction: {moved:?}")
            })
        }
        1 => {
            // Places are empty but for one, so this moves whenever RENAME would.
            let reply = worker.line(&format!("RENAMENX token:{from} token:{to}"));
            require(
                matches!(reply, Value::Integer(1)) || is_error(&reply, "ERR no such key"),
                || format!("RENAMENX of the token: {reply:?}"),
            )
        }
        _ => {
            let reply = worker.line(&format!("RENAME token:{from} token:{to}"));
            let is_moved = reply == Value::Simple(b"OK".to_vec());
            require(is_moved || is_error(&reply, "ERR no such key"), || {
                format!("RENAME of the token: {reply:?}")
            })
        }
    }
}

fn find_token(worker: &mut Worker<'_>) -> Result<(), String> {
    let places = group("token").join(" ");
    if one_in(&mut worker.random, 4) {
        let reply = worker.line(&format!("EXISTS {places}"));
        return require(reply == Value::Integer(1), || {
            format!("places with the token: {reply:?}")
        });
    }
    let values = array(worker.line(&format!("MGET {places}")))?;
    let found = values.iter().filter(|value| **value != Value::Null).count();
    require(found == 1, || format!("{found} tokens: {values:?}"))
}

fn set_if_none(worker: &mut Worker<'_>) -> Result<(), String> {
    let line = match worker.random.below(3) {
        0 => "DEL n:0 n:1 n:2 n:3 n:4",
        1 => "MSETNX n:0 A n:1 A n:2 A",
        _ => "MSETNX n:2 B n:3 B n:4 B",
    };
    let reply = worker.line(line);
    require(matches!(reply, Value::Integer(0 | 1 | 3)), || {
        format!("{line}: {reply:?}")
    })
}

fn read_if_none(worker: &mut Worker<'_>) -> Result<(), String> {
    let values = array(worker.line("MGET n:0 n:1 n:2 n:3 n:4"))?;
    let letters: String = values
        .iter()
        .map(|value| match value {
            Value::Bulk(text) => char::from(text[0]),
            _ => '-',
        })
        .collect();
    require(
        ["-----", "AAA--", "--BBB"].contains(&letters.as_str()),
        || format!("keys set by MSETNX: {letters}"),
    )
}

fn count_up(worker: &mut Worker<'_>) -> Result<(), String> {
    worker.line("WATCH count:left count:right");
    let values = array(worker.line("MGET count:left count:right"))?;
    require(values[0] == values[1], || format!("counters: {values:?}"))?;
    let count: i64 = match &values[0] {
        Value::Bulk(text) => String::from_utf8_lossy(text).parse().unwrap(),
        _ => 0,
    };
    let next = count + 1;
    let reply = worker.transaction(&[
        format!("SET count:left {next}"),
        format!("SET count:right {next}"),
    ]);
    match reply {
        Value::Array(_) => worker.increments += 1,
        Value::Null | Value::NullArray => {}
        other => return Err(format!("EXEC after WATCH: {other:?}")),
    }
    Ok(())
}

fn add_keys(worker: &mut Worker<'_>) -> Result<(), String> {
    let keys = group(&format!("many:{}:{}", worker.name, worker.step % 4));
    if one_in(&mut worker.random, 2) {
        let pairs: Vec<String> = keys.iter().map(|key| format!("{key} x")).collect();
        worker.line(&format!("MSET {}", pairs.join(" ")));
    } else {
        worker.line(&format!("UNLINK {}", keys.join(" ")));
    }
    Ok(())
}

fn count_keys(worker: &mut Worker<'_>) -> Result<(), String> {
    let count = match worker.random.below(3) {
        0 => array(worker.line("KEYS many:*"))?.len(),
        1 => match worker.line("DBSIZE") {
            Value::Integer(count) => usize::try_from(count).unwrap(),
            other => return Err(format!("DBSIZE: {other:?}")),
        },
        _ => {
            let replies = array(worker.transaction(&["DBSIZE".into(), "KEYS *".into()]))?;
            let keys = array(replies[1].clone())?.len();
            let size = Value::Integer(i64::try_from(keys).unwrap());
            require(replies[0] == size, || {
                format!("DBSIZE {:?} and {keys} KEYS in one transaction", replies[0])
            })?;
            keys
        }
    };
    require(count.is_multiple_of(GROUP), || {
        format!("{count} keys, though {GROUP} come and go together")
    })
}

fn require(holds: bool, message: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(message()) }
}

fn array(value: Value) -> Result<Vec<Value>, String> {
    match value {
        Value::Array(values) => Ok(values),
        other => Err(format!("an array is wanted: {other:?}")),
    }
}

fn is_error(value: &Value, text: &str) -> bool {
    *value == Value::Error(text.into())
}

/// Runs all roles on the server, a fresh one, until `operations` requests are sent or something is wrong.
///
/// Returns what is wrong.
fn violations(server: &Server, operations: u64, seed: u64, tears: bool) -> Vec<String> {
    let mut setup = server.client();
    setup.ok("SET token:0 token");
    let run = Run {
        left: AtomicU64::new(operations),
        is_over: AtomicBool::new(false),
        tears,
    };
    let roles = ROLES
        .iter()
        .flat_map(|(role, count, db)| std::iter::repeat_n((*role, *db), *count));
    let mut found = Vec::new();
    let mut increments = 0;
    thread::scope(|scope| {
        let threads: Vec<_> = roles
            .enumerate()
            .map(|(name, (role, db))| {
                let mut worker = Worker {
                    run: &run,
                    client: server.client(),
                    random: Random::new(seed.wrapping_add(u64::try_from(name).unwrap())),
                    name,
                    step: 0,
                    increments: 0,
                };
                worker.client.ok(&format!("SELECT {db}"));
                scope.spawn(move || work(worker, role))
            })
            .collect();
        for thread in threads {
            let (violation, count) = thread.join().unwrap_or_else(|panic| {
                let text = panic.downcast_ref::<String>().cloned();
                (Some(format!("{MISSING}: {}", text.unwrap_or_default())), 0)
            });
            found.extend(violation);
            increments += count;
        }
    });
    if !found.is_empty() {
        return found;
    }
    for counter in ["count:left", "count:right"] {
        let reply = setup.line(&format!("GET {counter}"));
        if increments > 0 && reply != Value::Bulk(increments.to_string().into()) {
            found.push(format!(
                "{increments} increments, but {counter} is {reply:?}"
            ));
        }
    }
    // If nothing was ever counted up, the check above did not check.
    if found.is_empty() && increments == 0 {
        found.push("no increment succeeded".to_owned());
    }
    found
}

/// Repeats `role`; returns the first violation and the increments that succeeded.
fn work(mut worker: Worker<'_>, role: Role) -> (Option<String>, i64) {
    let order = Ordering::Relaxed;
    while worker.run.left.load(order) > 0 && !worker.run.is_over.load(order) {
        worker.step += 1;
        if let Err(violation) = role(&mut worker) {
            worker.run.is_over.store(true, order);
            return (Some(violation), worker.increments);
        }
    }
    (None, worker.increments)
}

#[test]
fn nobody_sees_a_command_half_done() {
    let seed = seed("atomicity", 1);
    let operations = number("OPERATIONS", OPERATION_COUNT);
    let mut server = Server::trestle(4, &[]);
    let found = violations(&server, operations, seed, false);
    server.assert_running();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn checker_finds_writes_in_pieces() {
    let server = Server::redis(&[]);
    let found = violations(&server, OPERATION_COUNT, 1, true);
    assert!(
        found.iter().any(|text| text.contains("written together")),
        "keys were written one by one, which must show: {found:?}"
    );
}

#[test]
fn checker_finds_a_server_without_scheduler() {
    let Some(program) = std::env::var_os("TRESTLE_BYPASS_BIN") else {
        eprintln!("TRESTLE_BYPASS_BIN is not set: nothing to check");
        return;
    };
    let server = Server::start(Path::new(&program), 4, &[]);
    let found = violations(&server, 10 * OPERATION_COUNT, 1, false);
    eprintln!("{found:#?}");
    assert!(
        found
            .iter()
            .any(|violation| !violation.starts_with(MISSING)),
        "a server without scheduler must tear commands"
    );
}
