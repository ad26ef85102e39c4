//! Worlds with a disk and a log of all changes: the process ends in the midst of everything, by itself or not, and
//! begins again on what the disk has kept.
//!
//! What clients see before and behind that has to be one history, as if only their connections had been cut: with
//! `appendfsync always`, and if only the process is killed, nothing that was acknowledged is gone. With `everysec` what
//! was acknowledged in the last second may be gone after a loss of power, with `no` all of it; but nobody sees what was
//! never there, nor half of a transaction. Without a log there is what the last save has, of one moment. While the disk
//! takes no writes, those are refused and reads go on; when it does again, so do they.
//!
//! Clients send everything there is where nothing may be lost, and save and rewrite the log meanwhile. Where something
//! may, they send what changes all keys that it looks at: what a transaction has only read on another core may be gone.
//!
//! Not here: what the disk does ([`runtime::disk`]), how all this is judged ([`super::losses`], [`super::saves`]).

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use base::random::Random;
use runtime::disk::{self, Failure, Weather};
use runtime::faults::Fault;
use runtime::world;

use super::client::{Client, Habits};
use super::history::Record;
use super::losses::Loss;
use super::model::first_of;
use super::node::{self, End, Kept, Node, Outcome};
use super::operations::{self, Operation, by_name};
use super::saves;
use crate::config::Config;
use crate::config::loader::Disk;
use crate::engine::Shared;
use crate::startup::start_simulated;
use crate::table::CommandTable;

/// Commands that change all keys that they look at, or none.
const CAREFUL: &[&str] = &[
    "GET", "SET", "PSETEX", "SETNX", "GETDEL", "APPEND", "INCR", "PEXPIRE", "PERSIST", "SADD",
    "SREM", "SMEMBERS", "RPUSH", "LPOP", "LRANGE", "ZADD", "ZPOPMIN", "ZRANGE", "MSET", "MGET",
    "DEL", "LMOVE",
];

/// How much longer than a second what was acknowledged may be without a sync, in nanoseconds.
const SYNC_SLACK: u64 = 400_000_000;

/// How often a client tries to write before the disk is taken for dead.
const PROBES: usize = 40;

/// Starts that may fail before the world is given up.
const STARTS_MAX: usize = 4;

/// Ends of the process before the world is given up.
const CRASHES_MAX: u64 = 12;

/// What happens in a world beside what its seed decides.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Plan {
    /// The operation of the disk that fails, and how; none if chance decides.
    failure: Option<(u64, Failure)>,
    /// The world of [`script`], in which every end of the process is one of these.
    scripted: Option<Crash>,
}

impl Plan {
    /// Leaves everything to chance.
    pub(super) fn drawn() -> Self {
        Self::default()
    }

    /// Has one operation of the disk fail, and nothing else.
    pub(super) fn failing(operation: u64, failure: Failure) -> Self {
        Self {
            failure: Some((operation, failure)),
            scripted: None,
        }
    }

    /// Has a written story with two cores and `appendfsync always`.
    pub(super) fn scripted(failure: Option<(u64, Failure)>, crash: Crash) -> Self {
        Self {
            failure,
            scripted: Some(crash),
        }
    }
}

/// One process of the world.
struct Process {
    node: Node,
    shared: Arc<Shared>,
}

/// What may be gone after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Promise {
    /// Nothing that was acknowledged.
    Strict,
    /// What was acknowledged shortly before.
    Lossy,
    /// What came behind the last save: there is no log.
    Saved,
}

/// How a process ends that does not end itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Crash {
    /// With the machine.
    Power,
    /// Alone: the machine goes on.
    Kill,
}

/// What the world of a seed is like.
struct Setting {
    shards: u16,
    policy: &'static str,
    promise: Promise,
    /// The machine never ends.
    only_kills: bool,
    /// The log is rewritten by itself.
    grows: bool,
    /// How every process ends, if that is not drawn.
    crash: Option<Crash>,
    /// Rows from which a table is spread.
    spread_rows: &'static str,
    table: &'static CommandTable,
}

impl Setting {
    fn draw(random: &mut Random, plan: &Plan, table: &'static CommandTable) -> Self {
        let (policy, promise, only_kills) = match random.index(8) {
            _ if plan.scripted.is_some() => ("always", Promise::Strict, false),
            0..=2 => ("always", Promise::Strict, false),
            3 => ("everysec", Promise::Strict, true),
            4 => ("everysec", Promise::Lossy, false),
            5 => ("no", Promise::Lossy, false),
            _ if plan.failure.is_some() => ("always", Promise::Strict, false),
            6 => ("no", Promise::Strict, true),
            _ => ("no", Promise::Saved, false),
        };
        let promise = match (plan.failure, only_kills) {
            // What the disk has not taken is lost with the process.
            (Some(_), true) => Promise::Lossy,
            _ => promise,
        };
        Self {
            shards: if plan.scripted.is_some() {
                2
            } else {
                [2, 4][random.index(2)]
            },
            crash: plan.scripted,
            policy,
            promise,
            only_kills,
            grows: plan.scripted.is_none() && random.below(3) == 0,
            spread_rows: ["1", "3", "8", "100000"][random.index(4)],
            table,
        }
    }

    /// Returns the flags of a start.
    fn words(&self) -> Vec<String> {
        let is_logged = if self.promise == Promise::Saved {
            "no"
        } else {
            "yes"
        };
        let growth = if self.grows { "40" } else { "0" };
        let words = [
            ["--save", ""],
            ["--appendonly", is_logged],
            ["--appendfsync", self.policy],
            ["--auto-aof-rewrite-percentage", growth],
            ["--auto-aof-rewrite-min-size", "300"],
            ["--table-spread-rows", self.spread_rows],
        ];
        words.into_iter().flatten().map(str::to_owned).collect()
    }
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
    let setting = Setting::draw(&mut random, plan, table);
    let may_fail = !(setting.only_kills || setting.promise == Promise::Saved);
    let is_planned = plan.failure.is_some() || plan.scripted.is_some();
    let fails = !is_planned && may_fail && random.below(3) == 0;
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
    let habits = draw_habits(&mut random, &setting);
    let mut story = Story {
        setting,
        habits,
        random,
        records: Vec::new(),
        sessions: 0,
        losses: Vec::new(),
        crashed_at: None,
        weather,
        calm,
    };
    let complaint = story.tell(seed).err();
    let mut limits = node::limits();
    // A turn of each core may wait for the disk.
    limits.margin_nanos += node::MARGIN_MESSAGES * weather.sync_nanos;
    Outcome {
        shards: story.setting.shards,
        records: story.records,
        kept: match story.setting.promise {
            Promise::Strict => Kept::All,
            Promise::Lossy => Kept::AllBut(story.losses),
            Promise::Saved => Kept::Saved {
                crash_at: story.crashed_at.unwrap_or(0),
            },
        },
        moves: world::moves(),
        limits,
        complaint,
    }
}

/// Draws what clients do, in a hurry or over some seconds.
fn draw_habits(random: &mut Random, setting: &Setting) -> Habits {
    // Keys lie on different shards for this number of them at least.
    let mut habits = match setting.promise {
        Promise::Strict if random.below(8) == 0 => node::draw_table_habits(random, 4),
        Promise::Strict | Promise::Lossy | Promise::Saved => node::draw_habits(random, 4),
    };
    if setting.promise == Promise::Lossy {
        let named = CAREFUL.iter().map(|name| by_name(name));
        let mut operations: Vec<&'static Operation> = named.collect();
        random.shuffle(&mut operations);
        operations.truncate(6 + random.index(operations.len() - 6));
        habits.operations = operations;
    }
    habits.operations.extend([by_name("SET"), by_name("GET")]);
    habits.operations.extend(saves::OPERATIONS);
    habits.pause_nanos = [200_000, 5_000_000, 600_000_000][random.index(3)];
    habits
}

/// A world while it goes on.
struct Story {
    setting: Setting,
    habits: Habits,
    random: Random,
    records: Vec<Record>,
    sessions: usize,
    losses: Vec<Loss>,
    /// When the last process of clients has ended.
    crashed_at: Option<u64>,
    weather: Weather,
    calm: Weather,
}

impl Story {
    /// Lets all happen. Returns why the world cannot go on, if so.
    fn tell(&mut self, seed: u64) -> Result<(), String> {
        let mut process = self.start()?;
        let before = node::preparations(&mut self.random, &self.habits);
        let first = self.alone(before.clone());
        let (mut end, mut clients) = self.serve(&mut process, vec![first], None)?;
        if end == End::Exited {
            // Clients rely on that.
            process = self.crash(process, &mut clients)?;
            let again = self.alone(before);
            self.serve(&mut process, vec![again], None)?;
        }
        disk::set_weather(self.weather);
        clients = if self.setting.crash.is_some() {
            self.scripted_clients(seed)
        } else {
            self.make_clients(seed)
        };
        let crashes = match self.setting.promise {
            // What is read later is of one file.
            Promise::Saved => 0,
            Promise::Strict | Promise::Lossy if self.setting.crash.is_some() => 0,
            Promise::Strict | Promise::Lossy => self.random.below(4),
        };
        for number in 0.. {
            let steps = (number < crashes).then(|| 20 + self.random.below(2500));
            (end, clients) = self.serve(&mut process, clients, steps)?;
            match end {
                End::Done => break,
                End::Exited if number > CRASHES_MAX => return Err("it ends too often".to_owned()),
                End::Exited | End::Stopped | End::Stuck(_) => {}
            }
            process = self.crash(process, &mut clients)?;
            disk::set_weather(self.weather);
        }
        disk::set_weather(self.calm);
        if self.setting.promise != Promise::Saved {
            process = self.see_that_writes_go_on(process)?;
        }
        // What the disk has, and not only what the process remembers.
        process = self.crash(process, &mut clients)?;
        let last = self.alone(node::final_reads(&self.habits));
        self.serve(&mut process, vec![last], None)?;
        let left = self.left_over();
        self.end(process);
        left.map_or(Ok(()), |path| {
            Err(format!("{} is left over", path.display()))
        })
    }

    /// Returns a file that a process before this one has left half done.
    fn left_over(&self) -> Option<PathBuf> {
        let own = format!(".{}.tmp", world::process_id());
        let is_left = |path: &PathBuf| {
            let name = path.to_string_lossy();
            name.ends_with(".tmp") && !name.ends_with(&own)
        };
        disk::names().into_iter().find(is_left)
    }

    fn address() -> SocketAddr {
        let port = Config::defaults().settings().port;
        SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)
    }

    fn make_clients(&mut self, seed: u64) -> Vec<Client> {
        let count = 2 + self.random.index(4);
        let requests = 6 + self.random.index(8);
        let make = |number| {
            let seed = seed ^ self.random.next_u64();
            Client::new(number, Self::address(), self.habits.clone(), seed, requests)
        };
        (0..count).map(make).collect()
    }

    /// Makes the clients of a written story: one that goes through [`script`], and one that counts meanwhile.
    fn scripted_clients(&mut self, seed: u64) -> Vec<Client> {
        self.habits.pause_nanos = 20_000;
        let mut first = self.alone(Vec::new());
        let keys: Vec<&str> = self.habits.keys.iter().map(String::as_str).collect();
        script(&mut first, &keys);
        let habits = Habits {
            operations: vec![by_name("INCR"), by_name("LMOVE"), by_name("GET")],
            multi_one_in: 3,
            pipeline_one_in: 0,
            cut_one_in: 0,
            ..self.habits.clone()
        };
        let second = Client::new(1, Self::address(), habits, seed, 12);
        vec![first, second]
    }

    /// Makes a client that sends these commands and no others.
    fn alone(&mut self, commands: Vec<Vec<String>>) -> Client {
        let seed = self.random.next_u64();
        let mut client = Client::new(9, Self::address(), self.habits.clone(), seed, 0);
        client.plan_commands(commands);
        client
    }

    /// Starts the process on what the disk has, and waits until it serves. It may end meanwhile, and fail if the disk
    /// does.
    fn start(&mut self) -> Result<Process, String> {
        for _ in 0..STARTS_MAX {
            let failures = disk::failures();
            let interrupted = (self.setting.crash.is_none() && self.random.below(4) == 0)
                .then(|| self.random.below(300));
            match self.try_start(interrupted) {
                Ok(Some(process)) => return Ok(process),
                Ok(None) => {}
                Err(why) if disk::failures() == failures => {
                    return Err(format!("the server does not start: {why}"));
                }
                Err(_) => disk::set_weather(self.calm),
            }
            self.lose();
        }
        disk::set_weather(self.calm);
        let failures = disk::failures();
        match self.try_start(None) {
            Ok(Some(process)) => Ok(process),
            // The planned failure has come to pass.
            Err(_) if disk::failures() > failures => {
                self.lose();
                let process = self.try_start(None)?;
                process.ok_or_else(|| "it ends while it loads".to_owned())
            }
            Ok(None) => Err("it ends while it loads".to_owned()),
            Err(why) => Err(format!("the server does not start: {why}")),
        }
    }

    /// Starts the process, or ends it after so many steps.
    fn try_start(&mut self, interrupted: Option<u64>) -> Result<Option<Process>, String> {
        let loaded = Config::load(&self.setting.words(), &[], &Disk);
        let config = loaded.map_err(|error| error.to_string())?.config;
        let start = || start_simulated(config, self.setting.shards, self.setting.table);
        let started = node::unless_ended(start);
        let Some((cores, shared)) = started.transpose().map_err(|error| {
            disk::freeze();
            world::end_process();
            error.0
        })?
        else {
            disk::freeze();
            world::end_process();
            return Ok(None);
        };
        let mut node = Node::new(cores);
        node.records = std::mem::take(&mut self.records);
        node.sessions = self.sessions;
        let mut process = Process { node, shared };
        for step in 0.. {
            let persistence = &process.shared.persistence;
            let failure = persistence.failure();
            if failure.is_none() && !persistence.is_loading() {
                return Ok(Some(process));
            }
            if let Some(failure) = failure {
                self.end(process);
                return Err(failure);
            }
            if !process.node.step() || interrupted == Some(step) {
                break;
            }
        }
        self.end(process);
        Ok(None)
    }

    /// Ends the process, in whatever it is doing.
    fn end(&mut self, process: Process) {
        let Process { node, shared } = process;
        disk::freeze();
        self.records = node.records;
        self.sessions = node.sessions;
        drop(node.cores);
        drop(shared);
        world::end_process();
    }

    /// Decides what the end of the process takes with it.
    fn lose(&mut self) {
        let now = world::now();
        // Nobody knows what a failed sync has left; a machine that goes on would hide it.
        let is_sound = disk::sync_failures() == 0;
        let drawn = if self.setting.only_kills || is_sound && self.random.below(3) == 0 {
            Crash::Kill
        } else {
            Crash::Power
        };
        let crash = self.setting.crash.filter(|_| is_sound).unwrap_or(drawn);
        match crash {
            Crash::Kill => disk::kill(),
            Crash::Power => disk::crash(),
        }
        let allowed = match (self.setting.policy, crash) {
            ("always", _) => None,
            (_, Crash::Kill) if disk::failures() == 0 => None,
            // What was acknowledged and not written, as the disk took nothing, is lost with it.
            ("everysec", _) if disk::failures() == 0 => Some(1_000_000_000 + SYNC_SLACK),
            _ => Some(now),
        };
        self.losses.extend(allowed.map(|allowed| Loss {
            from: now.saturating_sub(allowed),
            to: now,
        }));
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

    /// Ends the process, at times with the machine, and starts again. Clients come back later.
    fn crash(&mut self, process: Process, clients: &mut [Client]) -> Result<Process, String> {
        for client in clients {
            client.cut();
        }
        if self.random.below(2) == 0 {
            disk::set_weather(self.calm);
        }
        self.end(process);
        self.crashed_at = Some(world::now());
        self.lose();
        let may_differ = self.setting.promise != Promise::Saved && self.setting.crash.is_none();
        if may_differ && self.random.below(5) == 0 {
            // The log is made anew for another number of them.
            self.setting.shards = 6 - self.setting.shards;
        }
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

/// Has a client do one thing after the other with keys of both cores: changes of one, transactions over both, saves and
/// rewritings in between.
fn script(client: &mut Client, keys: &[&str]) {
    let first = |kind| first_of(kind).expect("a kind of keys");
    let (s, l) = (&keys[first('s')..], &keys[first('l')..]);
    let line =
        |words: &[&str]| -> Vec<String> { words.iter().map(|it| (*it).to_owned()).collect() };
    client.plan_commands([
        line(&["SET", s[0], "a1"]),
        line(&["RPUSH", l[0], "e1"]),
        // Over several borders of the disk.
        line(&["MSET", s[0], &"a2".repeat(700), s[1], "b2"]),
    ]);
    client.plan_multi(vec![
        line(&["SET", s[0], "a3"]),
        line(&["RPUSH", l[1], "e2"]),
        line(&["SET", s[1], "b3"]),
    ]);
    client.plan_commands([
        line(&["BGREWRITEAOF"]),
        line(&["RENAME", s[0], s[2]]),
        line(&["LMOVE", l[0], l[1], "LEFT", "RIGHT"]),
    ]);
    client.plan_multi(vec![
        line(&["APPEND", s[2], "c4"]),
        line(&["APPEND", s[1], "c4"]),
    ]);
    client.plan_commands([
        line(&["SAVE"]),
        line(&["MSET", s[0], "a5", s[1], "b5"]),
        line(&["BGREWRITEAOF"]),
        line(&["APPEND", s[0], "d6"]),
        line(&["COPY", s[0], s[2], "REPLACE"]),
        line(&["SAVE"]),
        line(&["DEL", s[1], l[0], l[1]]),
        line(&["SET", s[1], "b7"]),
    ]);
}
