//! Worlds with a disk and a log of all changes: the process ends in the midst of everything, by itself or not, and
//! begins again on what the disk has kept.
//!
//! What clients see before and behind that has to be one history, as if only their connections had been cut: with
//! `appendfsync always` nothing that was acknowledged is gone. With `everysec` what was acknowledged in the last
//! second may be gone, with `no` all of it; but nobody sees what was never there. While the disk takes no writes,
//! those are refused and reads go on; when it does again, so do they.
//!
//! Clients send commands on one key each here: a transaction over cores is not whole after a crash yet.
//!
//! Not here: what the disk does ([`runtime::disk`]).

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use base::random::Random;
use protocol::value::Value;
use runtime::disk::{self, Failure, Weather};
use runtime::faults::Fault;
use runtime::world;

use super::checker::{self, Verdict};
use super::client::{Client, Habits};
use super::history::{Action, Record};
use super::model::key_index;
use super::node::{self, End, Loss, Node, Outcome};
use super::operations::{self, Operation, by_name};
use crate::config::Config;
use crate::config::loader::Disk;
use crate::engine::Shared;
use crate::startup::start_simulated;
use crate::table::CommandTable;

/// Commands on one key.
const ALONE: &[&str] = &[
    "GET", "SET", "PSETEX", "SETNX", "GETDEL", "APPEND", "INCR", "PEXPIRE", "PERSIST", "SADD",
    "SREM", "SMEMBERS", "RPUSH", "LPOP", "LRANGE", "ZADD", "ZPOPMIN", "ZRANGE",
];

/// How much longer than a second what was acknowledged may be without a sync, in nanoseconds.
const SYNC_SLACK: u64 = 400_000_000;

/// How often a client tries to write before the disk is taken for dead.
const PROBES: usize = 40;

/// Starts that may fail before the world is given up.
const STARTS_MAX: usize = 4;

/// What happens in a world beside what its seed decides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// The operation of the disk that fails, and how; none if chance decides.
    failure: Option<(u64, Failure)>,
}

impl Plan {
    /// Leaves everything to chance.
    pub(super) fn drawn() -> Self {
        Self { failure: None }
    }

    /// Has one operation of the disk fail, and nothing else.
    pub(super) fn failing(operation: u64, failure: Failure) -> Self {
        Self {
            failure: Some((operation, failure)),
        }
    }
}

/// One process of the world.
struct Process {
    node: Node,
    shared: Arc<Shared>,
}

/// What the world of a seed is like.
struct Setting {
    shards: u16,
    policy: &'static str,
    table: &'static CommandTable,
}

/// Runs the world of `seed` to its end.
pub(super) fn run(
    plan: &Plan,
    seed: u64,
    fault: Option<Fault>,
    table: &'static CommandTable,
) -> Outcome {
    world::begin(seed, fault);
    disk::begin(seed);
    let mut random = Random::new(seed ^ 0xD15C);
    let policy = match plan.failure {
        Some(_) => ["always", "everysec"][random.index(2)],
        None => ["always", "always", "everysec", "no"][random.index(4)],
    };
    let setting = Setting {
        shards: [2, 4][random.index(2)],
        policy,
        table,
    };
    let fails = plan.failure.is_none() && random.below(3) == 0;
    let weather = Weather {
        write_fails_one_in: if fails { [0, 20][random.index(2)] } else { 0 },
        sync_fails_one_in: if fails { [0, 12][random.index(2)] } else { 0 },
        sync_nanos: [1_000, 100_000, 5_000_000][random.index(3)],
    };
    let calm = Weather {
        sync_nanos: weather.sync_nanos,
        ..Weather::default()
    };
    disk::set_weather(calm);
    if let Some((operation, failure)) = plan.failure {
        disk::fail_at(operation, failure);
    }
    let mut story = Story {
        setting,
        habits: draw_habits(&mut random),
        random,
        records: Vec::new(),
        sessions: 0,
        losses: Vec::new(),
        calm,
    };
    let complaint = story.tell(weather, seed).err();
    Outcome {
        shards: story.setting.shards,
        records: story.records,
        losses: story.losses,
        moves: world::moves(),
        limits: node::limits(),
        complaint,
    }
}

/// Draws what clients do: commands on one key, in a hurry or over some seconds.
fn draw_habits(random: &mut Random) -> Habits {
    let habits = node::draw_habits(random, 4);
    let mut operations: Vec<&'static Operation> = ALONE.iter().map(|name| by_name(name)).collect();
    random.shuffle(&mut operations);
    operations.truncate(6 + random.index(operations.len() - 6));
    operations.extend([by_name("SET"), by_name("GET")]);
    Habits {
        operations,
        pause_nanos: [200_000, 5_000_000, 600_000_000][random.index(3)],
        multi_one_in: 0,
        cut_one_in: 0,
        ..habits
    }
}

/// A world while it goes on.
struct Story {
    setting: Setting,
    habits: Habits,
    random: Random,
    records: Vec<Record>,
    sessions: usize,
    losses: Vec<Loss>,
    calm: Weather,
}

impl Story {
    /// Lets all happen. Returns why the world cannot go on, if so.
    fn tell(&mut self, weather: Weather, seed: u64) -> Result<(), String> {
        let mut process = self.start()?;
        disk::set_weather(weather);
        let clients = self.make_clients(seed);
        let crashes = self.random.below(3) > 0;
        let steps = crashes.then(|| 20 + self.random.below(1500));
        let (mut end, mut clients) = self.serve(&mut process, clients, steps)?;
        for _ in 0..STARTS_MAX {
            if end == End::Done {
                break;
            }
            process = self.crash(process, &mut clients)?;
            disk::set_weather(weather);
            (end, clients) = self.serve(&mut process, clients, None)?;
        }
        if end == End::Exited {
            process = self.crash(process, &mut clients)?;
        }
        disk::set_weather(self.calm);
        process = self.see_that_writes_go_on(process)?;
        // What the disk has, and not only what the process remembers.
        process = self.crash(process, &mut clients)?;
        let last = self.alone(node::final_reads(&self.habits));
        self.serve(&mut process, vec![last], None)?;
        self.end(process);
        Ok(())
    }

    fn address() -> SocketAddr {
        let port = Config::defaults().settings().port;
        SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)
    }

    fn make_clients(&mut self, seed: u64) -> Vec<Client> {
        let count = 2 + self.random.index(4);
        let requests = 8 + self.random.index(10);
        let make = |number| {
            let seed = seed ^ self.random.next_u64();
            Client::new(number, Self::address(), self.habits.clone(), seed, requests)
        };
        (0..count).map(make).collect()
    }

    /// Makes a client that sends these commands and no others.
    fn alone(&mut self, commands: Vec<Vec<String>>) -> Client {
        let seed = self.random.next_u64();
        let mut client = Client::new(9, Self::address(), self.habits.clone(), seed, 0);
        client.plan_commands(commands);
        client
    }

    /// Starts the process on what the disk has, and waits until it serves.
    fn start(&mut self) -> Result<Process, String> {
        let mut refused = String::new();
        for _ in 0..STARTS_MAX {
            match self.try_start() {
                Ok(process) => return Ok(process),
                Err(why) => refused = why,
            }
            world::end_process();
            disk::crash();
        }
        Err(format!("the server does not start: {refused}"))
    }

    fn try_start(&mut self) -> Result<Process, String> {
        let policy = self.setting.policy;
        let words = ["--save", "", "--appendonly", "yes", "--appendfsync", policy];
        let loaded = Config::load(&words.map(str::to_owned), &[], &Disk);
        let config = loaded.map_err(|error| error.to_string())?.config;
        let started = start_simulated(config, self.setting.shards, self.setting.table);
        let (cores, shared) = started.map_err(|error| error.0)?;
        let mut node = Node::new(cores);
        node.records = std::mem::take(&mut self.records);
        node.sessions = self.sessions;
        let mut process = Process { node, shared };
        loop {
            let persistence = &process.shared.persistence;
            let failure = persistence.failure();
            if failure.is_none() && !persistence.is_loading() {
                return Ok(process);
            }
            if failure.is_some() || !process.node.step() {
                self.end(process);
                return Err(failure.unwrap_or_else(|| "it ends while it loads".to_owned()));
            }
        }
    }

    /// Ends the process, in whatever it is doing.
    fn end(&mut self, process: Process) {
        let Process { node, shared } = process;
        self.records = node.records;
        self.sessions = node.sessions;
        drop(node.cores);
        drop(shared);
        world::end_process();
    }

    /// Lets clients do what they want to, or some of it.
    fn serve(
        &mut self,
        process: &mut Process,
        clients: Vec<Client>,
        steps: Option<u64>,
    ) -> Result<(End, Vec<Client>), String> {
        process.node.clients = clients;
        let end = process.node.run(steps);
        if let End::Stuck(why) = end {
            self.records = std::mem::take(&mut process.node.records);
            return Err(why);
        }
        Ok((end, std::mem::take(&mut process.node.clients)))
    }

    /// Ends the process and the machine, and starts both again. Clients come back later.
    fn crash(&mut self, process: Process, clients: &mut [Client]) -> Result<Process, String> {
        let now = world::now();
        let allowed = match self.setting.policy {
            "always" => None,
            // What was acknowledged and not written, as the disk took nothing, is lost with it.
            "everysec" if disk::failures() == 0 => Some(1_000_000_000 + SYNC_SLACK),
            _ => Some(now),
        };
        self.losses.extend(allowed.map(|allowed| Loss {
            from: now.saturating_sub(allowed),
            to: now,
        }));
        for client in clients {
            client.cut();
        }
        disk::set_weather(self.calm);
        self.end(process);
        disk::crash();
        self.start()
    }

    /// Waits until the server takes writes, now that the disk does.
    fn see_that_writes_go_on(&mut self, mut process: Process) -> Result<Process, String> {
        let key = self.habits.keys[0].clone();
        for number in 0..PROBES {
            let words = ["SET", &key, &format!("probe{number}")].map(str::to_owned);
            let client = self.alone(vec![words.to_vec()]);
            let (end, mut clients) = self.serve(&mut process, vec![client], None)?;
            let reply = process.node.records.last();
            if reply.is_some_and(|it| it.reply == Some(operations::ok())) {
                return Ok(process);
            }
            // Nobody knows what a failed sync has left; only a new start helps.
            if end == End::Exited || disk::sync_failures() > 0 {
                process = self.crash(process, &mut clients)?;
            }
            let until = world::now() + 250_000_000;
            while world::now() < until {
                if !process.node.step() {
                    process = self.crash(process, &mut clients)?;
                }
            }
        }
        self.records = process.node.records;
        Err("writes are refused though the disk takes them again".to_owned())
    }
}

/// Looks for an order that explains what was seen, key by key, as all commands are about one.
pub(super) fn check(outcome: &Outcome) -> Verdict {
    let all = outcome.records.iter().filter(|it| !is_refused(it));
    let mut by_key: Vec<(usize, Vec<Record>)> = Vec::new();
    for record in all {
        let Action::Command(words) = &record.action else {
            continue;
        };
        let Some(key) = key_index(&words[1]) else {
            continue;
        };
        match by_key.iter_mut().find(|(it, _)| *it == key) {
            Some((_, records)) => records.push(record.clone()),
            None => by_key.push((key, vec![record.clone()])),
        }
    }
    let mut total = 0;
    for (_, records) in &by_key {
        match check_key(records, outcome) {
            Verdict::Explained { states } => total += states,
            other => return other,
        }
    }
    Verdict::Explained { states: total }
}

fn check_key(records: &[Record], outcome: &Outcome) -> Verdict {
    let losses = &outcome.losses;
    let Some(first) = losses.first() else {
        return checker::check(records, outcome.limits);
    };
    // Before the first crash nothing is lost.
    let before = records.iter().filter(|it| it.asked_at < first.to);
    let before: Vec<Record> = before.cloned().collect();
    match checker::check(&before, outcome.limits) {
        Verdict::Explained { .. } => {}
        other => return other,
    }
    // Behind it a change that may be lost is one that nobody knows of.
    let is_lossy = |record: &Record| {
        let lost = |loss: &Loss| {
            let answered = record.answered_at.is_some_and(|at| at >= loss.from);
            answered && record.asked_at < loss.to
        };
        losses.iter().any(lost)
    };
    let mut known = Vec::new();
    for record in records {
        if !is_lossy(record) {
            known.push(record.clone());
        } else if !is_read(record) {
            known.push(Record {
                answered_at: None,
                reply: None,
                ..record.clone()
            });
        }
    }
    checker::check(&known, outcome.limits)
}

fn is_read(record: &Record) -> bool {
    match &record.action {
        Action::Command(words) => by_name(&words[0]).is_read,
        Action::Watch(_) | Action::Exec(_) => false,
    }
}

/// Returns whether a request was refused because the disk takes no writes: then it has changed nothing.
fn is_refused(record: &Record) -> bool {
    matches!(&record.reply, Some(Value::Error(text)) if text.starts_with(b"MISCONF"))
}
