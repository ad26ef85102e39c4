//! Every error text, for every command: what the declarations allow, with something wrong in it.
//!
//! In reading order: [`declared`] reads what the server declares, [`requests`] makes requests that
//! follow a declaration, [`probes`] puts something wrong into them, [`keyspace`] has the keys they
//! meet, [`known`] what is left out or differs on purpose. This file sends the probes to Redis and to servers
//! of 1 and 4 shards and compares replies byte for byte, and the data behind them.
//!
//! Invariants
//! - Each probe begins with the same keys.
//! - A request that fails has changed nothing: neither the digest of all data nor DUMP of a key.
//!
//! Not here: sequences of commands ([`super::run`]), protocol errors ([`super::raw`]).

mod declared;
mod keyspace;
mod known;
mod probes;
mod requests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::thread;

use self::declared::{Command, commands};
use self::known::{DELIBERATE, LEFT_OUT, NEVER_SUCCEEDS};
use self::probes::{Words, probes};
use super::FLAGS;
use super::rules::{Rule, agree, rule_for};
use super::sequence::Step;
use crate::support::client::{Client, encode};
use crate::support::server::Server;

/// Numbers of shards under test.
const SHARDS: [u32; 2] = [1, 4];

/// Of each command, how many probes are sent in both versions of the protocol.
const PROBES_OF_BOTH: usize = 100;

/// Groups of commands that may change the connection or the server when they succeed.
const STATEFUL_GROUPS: &[&str] = &[
    "connection",
    "transactions",
    "server",
    "cluster",
    "pubsub",
    "scripting",
];

/// What was seen of one command.
#[derive(Default)]
struct Seen {
    probe_count: u64,
    success_count: u64,
    is_container: bool,
    /// Each error, and how often it came.
    errors: BTreeMap<String, u64>,
}

impl Seen {
    fn add(&mut self, other: Self) {
        self.probe_count += other.probe_count;
        self.success_count += other.success_count;
        self.is_container = other.is_container;
        for (error, count) in other.errors {
            *self.errors.entry(error).or_default() += count;
        }
    }
}

/// Failures by command, reply of Redis and reply of ours: an example, and how many there are.
type Failures = BTreeMap<(String, String, String), (String, u64)>;

/// One version of the protocol on all servers; the reference is the first.
struct Lane {
    resp: u8,
    servers: Vec<Server>,
    clients: Vec<Client>,
    setup: Vec<u8>,
    setup_count: usize,
    /// The digest of the keys that [`keyspace`] makes.
    pristine: Vec<u8>,
    table: BTreeMap<String, Seen>,
    failures: Failures,
}

/// The replies of one server to a probe.
struct Outcome {
    /// DUMP of the keys, before and after.
    dumps: [Vec<Vec<u8>>; 2],
    reply: Vec<u8>,
    digest: Vec<u8>,
}

#[test]
fn every_command_fails_as_in_redis() {
    let lanes: Vec<Lane> = thread::scope(|scope| {
        let lanes = [2, 3].map(|resp| scope.spawn(move || Lane::new(resp).run()));
        lanes.map(|lane| lane.join().unwrap()).into()
    });
    let mut failures = Failures::new();
    let mut table = BTreeMap::new();
    for lane in lanes {
        failures.extend(lane.failures);
        for (name, seen) in lane.table {
            table.entry(name).or_insert_with(Seen::default).add(seen);
        }
    }
    let mut report = String::new();
    for ((command, theirs, ours), (example, count)) in &failures {
        writeln!(
            report,
            "{command}: {example}\n  Redis   {theirs}\n  Trestle {ours}\n  {count} times"
        )
        .unwrap();
    }
    eprint!("{report}");
    let never = write_table(&table);
    assert!(failures.is_empty(), "{} failures", failures.len());
    let listed: BTreeSet<_> = NEVER_SUCCEEDS.iter().map(|(name, _)| *name).collect();
    let never: BTreeSet<_> = never.iter().map(String::as_str).collect();
    assert_eq!(never, listed, "commands of which no probe succeeds");
}

/// Writes what was seen; returns the commands of which no probe succeeded.
fn write_table(table: &BTreeMap<String, Seen>) -> Vec<String> {
    let mut text = String::new();
    for (name, seen) in table {
        let counts = (seen.probe_count, seen.success_count, seen.errors.len());
        let (probes, successes, errors) = counts;
        writeln!(
            text,
            "{name:<24} {probes:>6} probes {successes:>6} succeed {errors:>4} errors"
        )
        .unwrap();
        for (error, count) in &seen.errors {
            writeln!(text, "    {count:>6}  {error}").unwrap();
        }
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("differential-errors.txt");
    std::fs::write(&path, text).unwrap();
    let probe_count: u64 = table.values().map(|seen| seen.probe_count).sum();
    let texts: BTreeSet<_> = table.values().flat_map(|seen| seen.errors.keys()).collect();
    eprintln!(
        "{}: {} commands, {probe_count} probes, {} different errors",
        path.display(),
        table.len(),
        texts.len()
    );
    let failing = table
        .iter()
        .filter(|(_, seen)| seen.success_count == 0 && !seen.is_container);
    failing.map(|(name, _)| name.clone()).collect()
}

impl Lane {
    fn new(resp: u8) -> Self {
        let mut servers = vec![Server::redis(FLAGS)];
        servers.extend(SHARDS.map(|shards| Server::trestle(shards, FLAGS)));
        let mut setup = Vec::new();
        let mut requests = vec![vec![b"RESET".to_vec()]];
        if resp == 3 {
            requests.push(vec![b"HELLO".to_vec(), b"3".to_vec()]);
        }
        requests.push(vec![b"FLUSHALL".to_vec()]);
        requests.extend(keyspace::setup());
        requests.push(vec![b"DEBUG".to_vec(), b"DIGEST".to_vec()]);
        for request in &requests {
            encode(request, &mut setup);
        }
        Self {
            resp,
            servers,
            clients: Vec::new(),
            setup,
            setup_count: requests.len(),
            pristine: Vec::new(),
            table: BTreeMap::new(),
            failures: Failures::new(),
        }
    }

    /// Probes every command that both servers have, unless `ONLY` names one.
    fn run(mut self) -> Self {
        let theirs = commands(&mut self.servers[0].client());
        let ours = commands(&mut self.servers[1].client());
        let only = std::env::var("ONLY").ok();
        self.reset().expect("the servers take the keys");
        for (name, command) in &ours {
            let is_left_out = LEFT_OUT.iter().any(|(other, _)| other == name)
                || only.as_ref().is_some_and(|only| only != name);
            if theirs.contains_key(name) && !is_left_out {
                self.probe_command(command);
            }
        }
        for server in &mut self.servers {
            server.assert_running();
        }
        self
    }

    /// Makes all servers and connections as they are before a probe.
    fn reset(&mut self) -> io::Result<()> {
        if self.clients.is_empty() {
            self.clients = self.servers.iter().map(Server::client).collect();
        }
        for client in &mut self.clients {
            client.send_bytes(&self.setup)?;
        }
        let mut digests = Vec::new();
        for client in &mut self.clients {
            for _ in 1..self.setup_count {
                client.read_reply()?;
            }
            digests.push(client.read_reply()?);
        }
        self.pristine.clone_from(&digests[0]);
        assert!(
            digests.iter().all(|digest| *digest == self.pristine),
            "the keys are the same everywhere: {digests:?}"
        );
        Ok(())
    }

    /// Makes the keys that a request names as they were; returns whether that was all that changed.
    fn restore(&mut self, words: &Words) -> io::Result<bool> {
        let mut bytes = Vec::new();
        let mut count = 0;
        for request in keyspace::restore(words) {
            encode(&request, &mut bytes);
            count += 1;
        }
        encode(&["DEBUG", "DIGEST"], &mut bytes);
        for client in &mut self.clients {
            client.send_bytes(&bytes)?;
        }
        let mut is_pristine = true;
        for client in &mut self.clients {
            for _ in 0..count {
                client.read_reply()?;
            }
            is_pristine &= client.read_reply()? == self.pristine;
        }
        Ok(is_pristine)
    }

    fn probe_command(&mut self, command: &Command) {
        // Errors are the same lines in both versions of the protocol: long lists are shared.
        let is_mine = |(number, _): &(usize, Words)| {
            *number < PROBES_OF_BOTH || number.is_multiple_of(2) == (self.resp == 2)
        };
        let mine: Vec<_> = probes(command)
            .into_iter()
            .enumerate()
            .filter(is_mine)
            .collect();
        for (_, words) in mine {
            let must_reset = match self.probe(command, &words) {
                Ok(must_reset) => must_reset,
                Err(error) => {
                    self.fail(command, &words, "a reply", &error.to_string());
                    self.clients.clear();
                    true
                }
            };
            let is_restored = !must_reset || self.restore(&words).unwrap_or_default();
            if !is_restored && let Err(error) = self.reset() {
                self.fail(command, &words, "the same keys again", &error.to_string());
                self.clients.clear();
                self.reset().expect("the servers take the keys");
            }
        }
    }

    /// Sends one probe and compares; returns whether something may have changed.
    fn probe(&mut self, command: &Command, words: &Words) -> io::Result<bool> {
        let outcomes = self.outcomes(command, words)?;
        let reference = &outcomes[0];
        self.count(command, &reference.reply);
        // What commands about the server say when they succeed is compared elsewhere.
        let is_stateful = STATEFUL_GROUPS.contains(&command.group.as_str());
        let has_clock = has_clock(words);
        let rule = if is_stateful {
            Rule::Any
        } else if has_clock {
            Rule::Shape
        } else {
            rule_for(words)
        };
        let mut is_changed = reference.digest != self.pristine;
        let show = |reply: &[u8]| reply.escape_ascii().to_string();
        let mut failed = Vec::new();
        for (server, outcome) in self.servers.iter().zip(&outcomes).skip(1) {
            is_changed |= outcome.digest != self.pristine;
            if is_deliberate(command, &reference.reply, &outcome.reply) {
                continue;
            }
            if !agree(rule, &reference.reply, &outcome.reply) {
                failed.push((
                    show(&reference.reply),
                    show(&outcome.reply),
                    server.name.clone(),
                ));
            } else if is_error(&outcome.reply)
                && (outcome.digest != self.pristine || outcome.dumps[0] != outcome.dumps[1])
            {
                let reply = show(&outcome.reply);
                failed.push((reply.clone(), reply + " but changed", server.name.clone()));
            } else if outcome.digest != reference.digest && !has_clock && !may_end(words) {
                let reply = show(&reference.reply);
                let changed = reply.clone() + " but other data";
                failed.push((reply, changed, server.name.clone()));
            }
        }
        let is_success = outcomes.iter().any(|outcome| !is_error(&outcome.reply));
        for (theirs, ours, server) in &failed {
            let shown = format!("{} ({server})", shown(words));
            self.note(command, theirs, ours, shown);
        }
        if !failed.is_empty() || (is_success && is_stateful) {
            self.reset()?;
            return Ok(false);
        }
        Ok(is_changed || (is_success && command.is_write))
    }

    fn outcomes(&mut self, command: &Command, words: &Words) -> io::Result<Vec<Outcome>> {
        // Only for commands that write: digests do not see groups of streams. The last DUMP also makes
        // Redis remove a key that the request left dead.
        let keys: Vec<&Vec<u8>> = words
            .iter()
            .skip(1)
            .filter(|word| command.is_write && word.contains(&b':') && word.len() < 16)
            .collect();
        let mut bytes = Vec::new();
        for key in &keys {
            encode(&[b"DUMP", key.as_slice()], &mut bytes);
        }
        encode(words, &mut bytes);
        for key in &keys {
            encode(&[b"DUMP", key.as_slice()], &mut bytes);
        }
        encode(&["DEBUG", "DIGEST"], &mut bytes);
        for client in &mut self.clients {
            client.send_bytes(&bytes)?;
        }
        let mut outcomes = Vec::new();
        for client in &mut self.clients {
            let dumps = |client: &mut Client| keys.iter().map(|_| client.read_reply()).collect();
            let before: io::Result<_> = dumps(client);
            let (before, reply) = (before?, client.read_reply()?);
            let after: io::Result<_> = dumps(client);
            outcomes.push(Outcome {
                dumps: [before, after?],
                reply,
                digest: client.read_reply()?,
            });
        }
        Ok(outcomes)
    }

    fn count(&mut self, command: &Command, reply: &[u8]) {
        let seen = self.table.entry(command.name.clone()).or_default();
        seen.is_container = command.is_container;
        seen.probe_count += 1;
        if is_error(reply) {
            let text = reply.escape_ascii().to_string();
            *seen.errors.entry(text).or_default() += 1;
        } else {
            seen.success_count += 1;
        }
    }

    fn fail(&mut self, command: &Command, words: &Words, theirs: &str, ours: &str) {
        self.note(command, theirs, ours, shown(words));
    }

    fn note(&mut self, command: &Command, theirs: &str, ours: &str, shown: String) {
        let cut = |text: &str| text.chars().take(120).collect::<String>();
        let key = (command.name.clone(), cut(theirs), cut(ours));
        let example = format!("RESP{} {shown}", self.resp);
        let (_, count) = self.failures.entry(key).or_insert((example, 0));
        *count += 1;
    }
}

/// Returns whether a request that succeeds has to do with the time of the server: ids that the server
/// chooses, and groups of streams that remember when.
fn has_clock(words: &Words) -> bool {
    let is = |name: &str| words[0].eq_ignore_ascii_case(name.as_bytes());
    is("DUMP") || (is("XADD") && words.iter().any(|word| word == b"*"))
}

/// Returns whether a request may give a key so few milliseconds to live that only one server still has
/// it when both are looked at.
fn may_end(words: &Words) -> bool {
    const NAMES: [&str; 4] = ["PX", "PEXPIRE", "PSETEX", "RESTORE"];
    words.iter().any(|word| {
        NAMES
            .iter()
            .any(|name| word.eq_ignore_ascii_case(name.as_bytes()))
    })
}

fn is_error(reply: &[u8]) -> bool {
    matches!(reply.first(), Some(b'-' | b'!'))
}

fn is_deliberate(command: &Command, theirs: &[u8], ours: &[u8]) -> bool {
    DELIBERATE.iter().any(|difference| {
        difference.command == command.name
            && theirs.starts_with(difference.theirs.as_bytes())
            && ours.starts_with(difference.ours.as_bytes())
    })
}

/// Returns the request as a line.
fn shown(words: &Words) -> String {
    let step = Step {
        client: 0,
        words: words.clone(),
    };
    step.to_string()
}
