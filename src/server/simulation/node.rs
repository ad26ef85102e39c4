//! A whole node and its clients in one world, from one seed.

use std::net::{Ipv4Addr, SocketAddr};

use base::random::Random;
use coordinator::route::SlotMap;
use runtime::executor::Cores;
use runtime::faults::Fault;
use runtime::process::Ended;
use runtime::world;

use super::checker::Limits;
use super::client::{Client, Habits};
use super::history::Record;
use super::losses::Loss;
use super::model::{KEYS_PER_KIND, KINDS, TABLE, first_of};
use super::operations::{self, Draw, Operation, show};
use super::{disk, scripts, tables, waiting};
use crate::config::Config;
use crate::startup::start_simulated;
use crate::table::CommandTable;

/// How long a request may take before it is taken for lost, in nanoseconds of the world.
const PATIENCE_NANOS: u64 = 30_000_000_000;

/// The messages, one after the other, that the server may need at most for what
/// [`Limits::margin_nanos`] names: some for the request itself, and for each of five other clients those of
/// one transaction that is before it, with its hops.
pub(super) const MARGIN_MESSAGES: u64 = 100;

/// What the cores may do between two messages, in nanoseconds: each has a turn.
const TURNS_NANOS: u64 = 20_000;

/// More rows than any table of a world has.
const ROWS_MANY: u64 = 100_000;

/// What clients of a world are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Theme {
    /// Keys.
    Keys,
    /// Tables, and some keys.
    Tables,
    /// Keys, a log of all changes, and a disk that fails or a process that ends.
    Disk,
}

/// What happened in a world.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) shards: u16,
    pub(super) records: Vec<Record>,
    /// What of it has to be there in the end.
    pub(super) kept: Kept,
    /// How often a connection has moved from core to core.
    pub(super) moves: usize,
    pub(super) limits: Limits,
    /// Why the history need not be looked at: requests without end, or nonsense.
    pub(super) complaint: Option<String>,
}

/// What has to be there in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// All that was acknowledged.
    All,
    /// All, but for what was lost lawfully, in the order of time.
    AllBut(Vec<Loss>),
    /// What the last save before this moment has.
    Saved { crash_at: u64 },
}

/// Runs the world of `seed` to its end.
pub(super) fn run(
    (theme, seed): (Theme, u64),
    fault: Option<Fault>,
    table: &'static CommandTable,
) -> Outcome {
    if theme == Theme::Disk {
        return disk::run(&disk::Plan::drawn(), seed, fault, table);
    }
    world::begin(seed, fault);
    let mut random = Random::new(seed ^ 0x5EED);
    let shards = [2, 4, 8][random.index(3)];
    let config = configured(theme, &mut random);
    let port = config.settings().port;
    let are_rows_apart = config.settings().spread_rows < ROWS_MANY;
    let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
    let (cores, shared) = start_simulated(config, shards, table).expect("a simulated node starts");
    let mut habits = match theme {
        Theme::Keys | Theme::Disk => draw_habits(&mut random, shards),
        Theme::Tables => draw_table_habits(&mut random, shards),
    };
    if theme == Theme::Keys && fault.is_none() && seed % 4 == 0 {
        let unblock = operations::by_name(waiting::UNBLOCK);
        habits.operations.extend([unblock; 3]);
    }
    let client_count = 2 + random.index(5);
    let mut request_count = 8 + random.index(10);
    if theme == Theme::Tables {
        // There is more to look at in the end.
        request_count = request_count.min(13);
    }
    let clients: Vec<Client> = (0..client_count)
        .map(|number| {
            let seed = random.next_u64();
            Client::new(number, address, habits.clone(), seed, request_count)
        })
        .collect();
    let mut node = Node::new(cores);
    let alone = |number: usize, commands: Vec<Vec<String>>| {
        let steady = Habits {
            cut_one_in: 0,
            ..habits.clone()
        };
        let mut client = Client::new(number, address, steady, seed, 0);
        client.plan_commands(commands);
        vec![client]
    };
    let before = preparations(&mut random, &habits);
    let mut complaint = None;
    for clients in [
        alone(client_count + 1, before),
        clients,
        alone(client_count, final_reads(&habits)),
    ] {
        node.clients = clients;
        if let End::Stuck(why) = node.run(None) {
            complaint = Some(why);
            break;
        }
    }
    shared
        .stopping
        .store(true, std::sync::atomic::Ordering::Relaxed);
    Outcome {
        shards,
        records: node.records,
        kept: Kept::All,
        moves: world::moves(),
        limits: Limits {
            are_rows_apart,
            ..limits()
        },
        complaint,
    }
}

/// Returns the configuration of a node that has no files.
fn configured(theme: Theme, random: &mut Random) -> Config {
    let mut config = Config::defaults();
    config.set(&[("save", "")]).expect("no save points");
    if theme == Theme::Tables {
        let rows = ["1", "3", "8", "100000"][random.index(4)];
        let set = config.set(&[("table-spread-rows", rows)]);
        set.expect("a number that is allowed");
    }
    config
}

/// Returns what the checker has to know of the world.
pub(super) fn limits() -> Limits {
    Limits {
        margin_nanos: MARGIN_MESSAGES * (world::longest_delay() + TURNS_NANOS),
        are_rows_apart: false,
    }
}

/// Looks at all keys that were in use.
pub(super) fn final_reads(habits: &Habits) -> Vec<Vec<String>> {
    let mut reads = Vec::new();
    for (kind, letter) in KINDS.into_iter().enumerate() {
        for digit in 0..habits.spread {
            reads.push(show(letter, &habits.keys[kind * KEYS_PER_KIND + digit]));
        }
    }
    for name in tables_of(habits) {
        reads.push(show(TABLE, name));
        reads.extend(tables::show_by_index(name));
    }
    reads
}

/// Returns the names of the tables in use.
fn tables_of(habits: &Habits) -> &[String] {
    let first = first_of(TABLE).unwrap_or(0);
    let count = if habits.has_tables { habits.spread } else { 0 };
    &habits.keys[first..first + count]
}

/// Returns what is done before clients begin: functions and tables, if they are in use.
pub(super) fn preparations(random: &mut Random, habits: &Habits) -> Vec<Vec<String>> {
    let has_functions = habits.operations.iter().any(|it| it.name == "FCALL");
    let mut before: Vec<Vec<String>> = has_functions.then(scripts::load).into_iter().collect();
    if habits.has_tables {
        before.extend(prepare_tables(random, habits));
    }
    before
}

/// Makes the tables that are there from the beginning: all or all but one.
fn prepare_tables(random: &mut Random, habits: &Habits) -> Vec<Vec<String>> {
    // Beyond what clients write.
    let mut serial = 900_000;
    let mut draw = Draw {
        random,
        keys: &habits.keys,
        spread: habits.spread,
        serial: &mut serial,
        has_tables: true,
    };
    let names = tables_of(habits).iter();
    let made = names.flat_map(|name| tables::prepare(&mut draw, name));
    made.collect()
}

/// Draws what clients do in this world: some of the commands, on few keys, more or less in a hurry.
pub(super) fn draw_habits(random: &mut Random, shards: u16) -> Habits {
    let one_of = |random: &mut Random, choices: &[u64]| choices[random.index(choices.len())];
    let is_drawn = |it: &&Operation| it.weight > 0 && it.name != waiting::UNBLOCK;
    let drawn = operations::about_keys().filter(is_drawn);
    let mut operations: Vec<&Operation> = drawn.collect();
    random.shuffle(&mut operations);
    operations.truncate(4 + random.index(operations.len() - 4));
    Habits {
        operations,
        keys: key_names(shards),
        spread: 1 + random.index(KEYS_PER_KIND),
        has_tables: false,
        pause_nanos: one_of(random, &[1_000, 20_000, 200_000, 5_000_000]),
        multi_one_in: one_of(random, &[0, 3, 6]),
        pipeline_one_in: one_of(random, &[0, 2, 5]),
        cut_one_in: one_of(random, &[0, 0, 0, 15]),
    }
}

/// Draws the same for a world about tables: most of the statements, a few commands about keys.
pub(super) fn draw_table_habits(random: &mut Random, shards: u16) -> Habits {
    let mut habits = draw_habits(random, shards);
    habits.operations.truncate(random.index(5));
    let mut statements: Vec<&Operation> = tables::OPERATIONS.iter().collect();
    random.shuffle(&mut statements);
    statements.truncate(5 + random.index(statements.len() - 4));
    habits.operations.extend(statements);
    if random.below(3) == 0 {
        habits.operations.push(operations::by_name("EVAL"));
    }
    habits.spread = 1 + random.index(2);
    habits.has_tables = true;
    habits
}

/// Names keys so that those of one kind lie on different shards.
fn key_names(shards: u16) -> Vec<String> {
    let map = SlotMap::new(shards);
    let mut names = Vec::new();
    for (kind, letter) in KINDS.into_iter().chain([TABLE]).enumerate() {
        for digit in 0..KEYS_PER_KIND {
            // A dot would end the namespace of a table.
            let mark = if letter == TABLE { '_' } else { '.' };
            let wanted = (kind + digit * 3) % usize::from(shards);
            let name = (0_u32..)
                .map(|tail| format!("{letter}{digit}{mark}{tail}"))
                .find(|name| map.shard_of_key(name.as_bytes()).index() == wanted);
            names.extend(name);
        }
    }
    names
}

/// A node and its clients.
pub(super) struct Node {
    pub(super) cores: Cores,
    pub(super) clients: Vec<Client>,
    pub(super) records: Vec<Record>,
    pub(super) sessions: usize,
    last_progress: u64,
}

/// Why a node does not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// All clients are done.
    Done,
    /// It has made so many steps.
    Stopped,
    /// The process has ended itself.
    Exited,
    /// It cannot go on, and why.
    Stuck(String),
}

/// Does some of the work of a process; nothing if that ends in it.
pub(super) fn unless_ended<T>(work: impl FnOnce() -> T) -> Option<T> {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)) {
        Ok(result) => Some(result),
        Err(payload) if payload.is::<Ended>() => None,
        Err(payload) => std::panic::resume_unwind(payload),
    }
}

impl Node {
    pub(super) fn new(cores: Cores) -> Self {
        Self {
            cores,
            clients: Vec::new(),
            records: Vec::new(),
            sessions: 0,
            last_progress: 0,
        }
    }

    /// Gives one core its turn; returns whether the process is still there.
    pub(super) fn step(&mut self) -> bool {
        unless_ended(|| self.cores.step()).is_some()
    }

    /// Runs until all clients are done, or for so many steps.
    pub(super) fn run(&mut self, steps: Option<u64>) -> End {
        self.last_progress = world::now();
        let mut left = steps;
        while !self.clients.iter().all(Client::is_done) {
            if let Some(left) = &mut left {
                if *left == 0 {
                    return End::Stopped;
                }
                *left -= 1;
            }
            let core_at = self.cores.next_at().unwrap_or(u64::MAX);
            let due = self.clients.iter().enumerate();
            let next = due
                .filter_map(|(index, it)| Some((it.next_at()?, index)))
                .min();
            match next {
                Some((at, index)) if at <= core_at => {
                    world::jump_to(at);
                    self.clients[index].act(&mut self.records, &mut self.sessions);
                    self.last_progress = world::now();
                    if let Some(complaint) = &self.clients[index].complaint {
                        return End::Stuck(complaint.clone());
                    }
                }
                _ => {
                    if !self.step() {
                        return End::Exited;
                    }
                }
            }
            if world::now() > self.last_progress + PATIENCE_NANOS {
                return End::Stuck("requests without end: the world has run dry".to_owned());
            }
        }
        End::Done
    }
}
