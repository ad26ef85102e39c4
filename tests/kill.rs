//! Servers with a log that are killed again and again, with SIGKILL, while clients write: what was acknowledged is
//! there, and of what touches several shards all or nothing.
//!
//! ```text
//!   round: start, check ---- writers ---- kill          sometimes: start, kill while it loads
//! ```
//! Each writer counts its rounds of requests; all that one request writes gets the number of the round. So a
//! number says which requests were applied, and two numbers that differ within one request show a half. What a
//! killed process has given to the kernel is there whatever `appendfsync` says, so nothing is lost with any.
//!
//! Not here: kills amid a save, a rewriting, a backup or the start (`kill_amid`), torn and damaged files (`log`), which transactions count (`storage::log::parts`).

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use base::random::Random;
use protocol::value::Value;

use crate::support::client::Client;
use crate::support::seed;
use crate::support::server::{Server, scratch_directory, trestle_program};
use crate::support::wait::wait_until;

const LIMIT: Duration = Duration::from_secs(60);

/// Rounds for each number of shards, without `ROUNDS` in the environment.
const ROUNDS: u64 = 67;

const WRITERS: u64 = 3;

/// Accounts between which all writers move.
const ACCOUNTS: u64 = 8;

const ALL_SET: &str = "for i, key in ipairs(KEYS) do redis.call('SET', key, ARGV[1]) end";

/// Its keys are not declared, so it claims all shards.
const FREE_SET: &str = "for i = 0, 2 do redis.call('SET', ARGV[2] .. i, ARGV[1]) end";

fn rounds() -> u64 {
    std::env::var("ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap())
}

/// What is known of one writer: the last round of requests that was acknowledged as a whole, and the one that was
/// begun.
#[derive(Default)]
struct Noted {
    acknowledged: AtomicU64,
    begun: AtomicU64,
}

/// One writer and its connection.
struct Writer {
    name: u64,
    client: Client,
}

/// The server is gone.
struct Gone;

impl Writer {
    fn keys(&self, kind: &str) -> Vec<String> {
        (0..3)
            .map(|at| format!("{kind}:{}:{at}", self.name))
            .collect()
    }

    /// Sends a request and takes its reply, which is no error.
    fn ask(&mut self, words: &[&str]) -> Result<Value, Gone> {
        match self.client.try_request(words) {
            Ok(Value::Error(error)) => panic!("{words:?}: {}", error.escape_ascii()),
            Ok(value) => Ok(value),
            Err(_) => Err(Gone),
        }
    }

    /// Sends MULTI, the requests, and EXEC at once.
    fn exec(&mut self, requests: &[&[&str]]) -> Result<(), Gone> {
        self.client.send(&["MULTI"]).map_err(|_gone| Gone)?;
        for request in requests {
            self.client.send(request).map_err(|_gone| Gone)?;
        }
        self.client.send(&["EXEC"]).map_err(|_gone| Gone)?;
        for _ in 0..requests.len() + 2 {
            self.client.read_reply().map_err(|_gone| Gone)?;
        }
        Ok(())
    }

    /// Makes one round of requests.
    fn round(&mut self, number: u64, random: &mut Random) -> Result<(), Gone> {
        let (name, before, now) = (self.name, (number - 1).to_string(), number.to_string());
        self.ask(&["SET", &format!("set:{name}"), &now])?;
        let keys = self.keys("mset");
        self.ask(&["MSET", &keys[0], &now, &keys[1], &now, &keys[2], &now])?;
        // Single keys on top of what was written over shards.
        self.ask(&["INCRBY", &keys[random.index(3)], "0"])?;
        let keys = self.keys("exec");
        self.exec(&[
            &["SET", &keys[0], &now],
            &["HSET", &keys[1], "field", &now],
            // A large value, which is told by what changes it.
            &["RPUSH", &keys[2], &now],
        ])?;
        let keys = self.keys("eval");
        self.ask(&["EVAL", ALL_SET, "3", &keys[0], &keys[1], &keys[2], &now])?;
        if number.is_multiple_of(4) {
            self.ask(&["EVAL", FREE_SET, "0", &now, &format!("free:{name}:")])?;
        }
        let key = |text: &str| format!("name:{name}:{text}");
        self.ask(&["RENAME", &key(&before), &key(&now)])?;
        let (one, other) = (format!("moved:{name}"), format!("to:{name}"));
        self.ask(&["RPUSH", &one, &now])?;
        self.ask(&["LMOVE", &one, &other, "LEFT", "RIGHT"])?;
        self.ask(&["SADD", &format!("from:{name}"), &now])?;
        let union = format!("union:{name}");
        self.ask(&[
            "SUNIONSTORE",
            &union,
            &format!("from:{name}"),
            &format!("other:{name}"),
        ])?;
        self.ask(&["SET", &format!("expiring:{name}"), &now, "EX", "10000"])?;
        self.ask(&["SET", &format!("short:{name}"), &now, "PX", "1"])?;
        self.transfer(random)?;
        self.ask(&["RPUSH", &format!("queue:{name}"), &now])?;
        Ok(())
    }

    /// Moves one between two accounts that others use too.
    fn transfer(&mut self, random: &mut Random) -> Result<(), Gone> {
        let one = format!("account:{}", random.below(ACCOUNTS));
        let other = format!("account:{}", random.below(ACCOUNTS));
        if random.index(2) == 0 {
            return self.exec(&[&["INCR", &one], &["DECR", &other]]);
        }
        let script = "redis.call('INCR', KEYS[1]) redis.call('DECR', KEYS[2])";
        self.ask(&["EVAL", script, "2", &one, &other]).map(drop)
    }
}

fn write(port: u16, name: u64, noted: &Noted, seed: u64) {
    let Ok(client) = Client::try_connect(port) else {
        return;
    };
    let mut writer = Writer { name, client };
    let mut random = Random::new(seed);
    loop {
        let number = noted.begun.load(Ordering::SeqCst) + 1;
        noted.begun.store(number, Ordering::SeqCst);
        if writer.round(number, &mut random).is_err() {
            return;
        }
        noted.acknowledged.store(number, Ordering::SeqCst);
    }
}

/// Waits for what writer `name` puts into its queue, and has it moved to another list.
fn hand_over(port: u16, name: u64) {
    let Ok(mut client) = Client::try_connect(port) else {
        return;
    };
    let (queue, taken) = (format!("queue:{name}"), format!("taken:{name}"));
    loop {
        let moved = client.try_request(&["BLMOVE", &queue, &taken, "LEFT", "RIGHT", "5"]);
        match moved {
            Ok(Value::Error(error)) => panic!("{}", error.escape_ascii()),
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

/// Looks at what a server has, as one writer left it.
struct Check<'a> {
    client: &'a mut Client,
    name: u64,
    acknowledged: u64,
    begun: u64,
}

impl Check<'_> {
    fn number(&mut self, line: &str) -> u64 {
        match self.client.line(line) {
            Value::Bulk(bytes) => String::from_utf8(bytes).unwrap().parse().unwrap(),
            Value::Integer(number) => u64::try_from(number).unwrap(),
            Value::Null => 0,
            other => panic!("{line}: {other:?}"),
        }
    }

    /// Reads a number that has to be of a round which was acknowledged or begun.
    fn recent(&mut self, line: &str) -> u64 {
        let number = self.number(line);
        let (acknowledged, begun) = (self.acknowledged, self.begun);
        assert!(
            (acknowledged..=begun).contains(&number),
            "{line}: {number}, acknowledged {acknowledged}, begun {begun}"
        );
        number
    }

    fn numbers(&mut self, key: &str) -> Vec<u64> {
        match self.client.line(&format!("LRANGE {key} 0 -1")) {
            Value::Array(items) => items.iter().map(number_of).collect(),
            other => panic!("{key}: {other:?}"),
        }
    }

    fn all(&mut self) {
        let name = self.name;
        self.recent(&format!("GET set:{name}"));
        self.recent(&format!("GET expiring:{name}"));
        for kind in ["mset", "eval"] {
            let numbers: Vec<u64> = (0..3)
                .map(|at| self.recent(&format!("GET {kind}:{name}:{at}")))
                .collect();
            assert_eq!(numbers, [numbers[0]; 3], "{kind}:{name} is there in part");
        }
        let free: Vec<u64> = (0..3)
            .map(|at| self.number(&format!("GET free:{name}:{at}")))
            .collect();
        assert_eq!(free, [free[0]; 3], "free:{name} is there in part");
        assert!(free[0] + 4 > self.acknowledged && free[0] <= self.begun);
        let exec = [
            self.recent(&format!("GET exec:{name}:0")),
            self.recent(&format!("HGET exec:{name}:1 field")),
            self.recent(&format!("LINDEX exec:{name}:2 -1")),
        ];
        assert_eq!(exec, [exec[0]; 3], "exec:{name} is there in part");
        self.names();
        self.lists("moved", "to");
        self.lists("queue", "taken");
        let (one, other) = (
            self.recent(&format!("SCARD from:{name}")),
            self.recent(&format!("SCARD union:{name}")),
        );
        assert!(one >= other, "from:{name} {one}, union:{name} {other}");
    }

    /// One name has the key, and all that belongs to it.
    fn names(&mut self) {
        let name = self.name;
        let numbers = self.acknowledged.saturating_sub(1)..=self.begun + 1;
        let found: Vec<u64> = numbers
            .filter(|number| self.number(&format!("EXISTS name:{name}:{number}")) == 1)
            .collect();
        assert_eq!(found.len(), 1, "name:{name}: {found:?}");
        assert!((self.acknowledged..=self.begun).contains(&found[0]));
    }

    /// Each number that was put into one list is in one of the two, once.
    fn lists(&mut self, one: &str, other: &str) {
        let name = self.name;
        let mut numbers = self.numbers(&format!("{other}:{name}"));
        numbers.extend(self.numbers(&format!("{one}:{name}")));
        let count = u64::try_from(numbers.len()).unwrap();
        let expected: Vec<u64> = (1..=count).collect();
        assert_eq!(numbers, expected, "{one}:{name} and {other}:{name}");
        assert!((self.acknowledged..=self.begun).contains(&count));
    }
}

fn number_of(value: &Value) -> u64 {
    match value {
        Value::Bulk(bytes) => String::from_utf8_lossy(bytes).parse().unwrap(),
        other => panic!("{other:?}"),
    }
}

/// Brings what a writer had begun to its end, so that the next round begins with all requests applied.
fn complete(client: &mut Client, name: u64, noted: &Noted) {
    let (acknowledged, begun) = (
        noted.acknowledged.load(Ordering::SeqCst),
        noted.begun.load(Ordering::SeqCst),
    );
    if acknowledged == begun {
        return;
    }
    let mut check = Check {
        client,
        name,
        acknowledged,
        begun,
    };
    for (one, other) in [("moved", "to"), ("queue", "taken")] {
        let lists = [format!("{one}:{name}"), format!("{other}:{name}")];
        let count: usize = lists.iter().map(|list| check.numbers(list).len()).sum();
        if u64::try_from(count).unwrap() < begun {
            check.client.line(&format!("RPUSH {one}:{name} {begun}"));
        }
    }
    check
        .client
        .line(&format!("LMOVE moved:{name} to:{name} LEFT RIGHT"));
    check.client.line(&format!(
        "RENAME name:{name}:{acknowledged} name:{name}:{begun}"
    ));
    if check.number(&format!("GET exec:{name}:0")) < begun {
        check.client.ok("MULTI");
        check.client.line(&format!("SET exec:{name}:0 {begun}"));
        check
            .client
            .line(&format!("HSET exec:{name}:1 field {begun}"));
        check.client.line(&format!("RPUSH exec:{name}:2 {begun}"));
        check.client.line("EXEC");
    }
    check.client.line(&format!("SADD from:{name} {begun}"));
    check.client.line(&format!(
        "SUNIONSTORE union:{name} from:{name} other:{name}"
    ));
    for kind in ["mset", "eval"] {
        check.client.ok(&format!(
            "MSET {kind}:{name}:0 {begun} {kind}:{name}:1 {begun} {kind}:{name}:2 {begun}"
        ));
    }
    if begun % 4 == 0 {
        check.client.ok(&format!(
            "MSET free:{name}:0 {begun} free:{name}:1 {begun} free:{name}:2 {begun}"
        ));
    }
    check.client.ok(&format!("SET set:{name} {begun}"));
    check
        .client
        .ok(&format!("SET expiring:{name} {begun} EX 10000"));
    noted.acknowledged.store(begun, Ordering::SeqCst);
}

fn check(server: &Server, noted: &[Noted]) {
    let mut client = server.client();
    for (name, noted) in (0..).zip(noted) {
        let [acknowledged, begun] =
            [&noted.acknowledged, &noted.begun].map(|it| it.load(Ordering::SeqCst));
        Check {
            client: &mut client,
            name,
            acknowledged,
            begun,
        }
        .all();
    }
    let sum: i64 = (0..ACCOUNTS)
        .map(
            |account| match client.line(&format!("GET account:{account}")) {
                Value::Bulk(bytes) => String::from_utf8(bytes).unwrap().parse().unwrap(),
                Value::Null => 0,
                other => panic!("{other:?}"),
            },
        )
        .sum();
    assert_eq!(sum, 0, "a transfer is there in part");
}

/// A data directory, and what its servers have acknowledged.
pub(crate) struct Kills {
    pub(crate) directory: PathBuf,
    shards: u32,
    noted: Arc<Vec<Noted>>,
    pub(crate) random: Random,
}

impl Kills {
    /// `name` is one that no other test has.
    pub(crate) fn new(name: &str, shards: u32) -> Self {
        let name = format!("{name}-{shards}-{}", std::process::id());
        let directory = scratch_directory().join(name);
        drop(fs::remove_dir_all(&directory));
        fs::create_dir_all(&directory).unwrap();
        let noted = (0..WRITERS).map(|_| Noted::default()).collect();
        Self {
            directory,
            shards,
            noted: Arc::new(noted),
            random: Random::new(seed("kill over shards", 21)),
        }
    }

    fn flags(&self, policy: &'static str) -> [String; 6] {
        let path = self.directory.to_str().unwrap();
        [
            "--dir",
            path,
            "--appendonly",
            "yes",
            "--appendfsync",
            policy,
        ]
        .map(str::to_owned)
    }

    /// Starts a server, waits for it if `is_awaited`.
    pub(crate) fn start(&self, policy: &'static str, is_awaited: bool) -> Server {
        let flags = self.flags(policy);
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        if is_awaited {
            return Server::trestle(self.shards, &flags);
        }
        Server::spawn(&trestle_program(), self.shards, &flags)
    }

    /// Makes what the writers go on from.
    pub(crate) fn prepare(&self) {
        let server = self.start("everysec", true);
        let mut client = server.client();
        for name in 0..WRITERS {
            let filler = "0 ".repeat(2000);
            client.line(&format!("RPUSH exec:{name}:2 {filler}"));
            client.ok(&format!("SET name:{name}:0 x"));
        }
    }

    /// Kills a server while it loads.
    fn kill_loading(&mut self, policy: &'static str) {
        let server = self.start(policy, false);
        let millis = self.random.below(150);
        // The moment is to be any; nothing is waited for.
        wait_until(Duration::from_millis(millis), || false);
        drop(server);
    }

    fn round(&mut self) {
        let policy = ["always", "everysec", "no"][self.random.index(3)];
        if self.random.index(4) == 0 {
            self.kill_loading(policy);
        }
        let server = self.start(policy, true);
        let threads = self.begin_to_write(&server);
        let mut client = server.client();
        if self.random.index(3) == 0 {
            // Killed in its midst, or behind it.
            client.line("BGREWRITEAOF");
        }
        wait_until(Duration::from_micros(self.random.below(20_000)), || false);
        drop(server);
        for thread in threads {
            thread.join().unwrap();
        }
    }

    /// Looks at what a server has.
    pub(crate) fn check(&self, server: &Server) {
        check(server, &self.noted);
    }

    /// Looks at what a server has, and has clients write until it is gone. Some have, when this returns.
    pub(crate) fn begin_to_write(&mut self, server: &Server) -> Vec<JoinHandle<()>> {
        self.check(server);
        let mut client = server.client();
        for (name, noted) in (0..).zip(self.noted.iter()) {
            complete(&mut client, name, noted);
        }
        let mut threads = Vec::new();
        for name in 0..WRITERS {
            let (noted, port) = (Arc::clone(&self.noted), server.port);
            let seed = self.random.next_u64();
            let at = usize::try_from(name).unwrap();
            threads.push(thread::spawn(move || write(port, name, &noted[at], seed)));
            threads.push(thread::spawn(move || hand_over(port, name)));
        }
        let first = &self.noted[0].acknowledged;
        let until = first.load(Ordering::SeqCst) + 1 + self.random.below(8);
        assert!(wait_until(LIMIT, || first.load(Ordering::SeqCst) >= until));
        threads
    }
}

impl Drop for Kills {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the files are in {}", self.directory.display());
        } else {
            drop(fs::remove_dir_all(&self.directory));
        }
    }
}

fn kill_again_and_again(shards: u32) {
    let mut kills = Kills::new("kill", shards);
    kills.prepare();
    for _ in 0..rounds() {
        kills.round();
    }
    let server = kills.start("no", true);
    kills.check(&server);
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_halved_on_one_shard() {
    kill_again_and_again(1);
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_halved_over_two_shards() {
    kill_again_and_again(2);
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_halved_over_four_shards() {
    kill_again_and_again(4);
}
