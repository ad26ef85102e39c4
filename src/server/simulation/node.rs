//! A whole node and its clients in one world, from one seed.

use std::net::{Ipv4Addr, SocketAddr};

use base::random::Random;
use coordinator::route::SlotMap;
use runtime::executor::Cores;
use runtime::faults::Fault;
use runtime::world;

use super::checker::Limits;
use super::client::{Client, Habits};
use super::history::Record;
use super::model::{KEYS_PER_KIND, KINDS};
use super::operations::{self, Operation, show};
use super::scripts;
use crate::config::Config;
use crate::startup::start_simulated;
use crate::table::CommandTable;

/// How long a request may take before it is taken for lost, in nanoseconds of the world.
const PATIENCE_NANOS: u64 = 30_000_000_000;

/// The messages, one after the other, that the server may need at most for what
/// [`Limits::margin_nanos`] names: some for the request itself, and for each of five other clients those of
/// one transaction that is before it, with its hops.
const MARGIN_MESSAGES: u64 = 100;

/// What the cores may do between two messages, in nanoseconds: each has a turn.
const TURNS_NANOS: u64 = 20_000;

/// What happened in a world.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) shards: u16,
    pub(super) records: Vec<Record>,
    /// How often a connection has moved from core to core.
    pub(super) moves: usize,
    pub(super) limits: Limits,
    /// Why the history need not be looked at: requests without end, or nonsense.
    pub(super) complaint: Option<String>,
}

/// Runs the world of `seed` to its end.
pub(super) fn run(seed: u64, fault: Option<Fault>, table: &'static CommandTable) -> Outcome {
    world::begin(seed, fault);
    let mut random = Random::new(seed ^ 0x5EED);
    let shards = [2, 4, 8][random.index(3)];
    let mut config = Config::defaults();
    // The world has no disk.
    config.set(&[("save", "")]).expect("no save points");
    let port = config.settings().port;
    let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
    let (cores, shared) = start_simulated(config, shards, table).expect("a simulated node starts");
    let habits = draw_habits(&mut random, shards);
    let client_count = 2 + random.index(5);
    let request_count = 8 + random.index(10);
    let clients: Vec<Client> = (0..client_count)
        .map(|number| {
            let seed = random.next_u64();
            Client::new(number, address, habits.clone(), seed, request_count)
        })
        .collect();
    let mut node = Node {
        cores,
        clients: Vec::new(),
        records: Vec::new(),
        sessions: 0,
        last_progress: 0,
    };
    let alone = |number: usize, commands: Vec<Vec<String>>| {
        let steady = Habits {
            cut_one_in: 0,
            ..habits.clone()
        };
        let mut client = Client::new(number, address, steady, seed, 0);
        client.plan_commands(commands);
        vec![client]
    };
    let has_functions = habits.operations.iter().any(|it| it.name == "FCALL");
    let before = has_functions.then(scripts::load).into_iter().collect();
    let mut complaint = None;
    for clients in [
        alone(client_count + 1, before),
        clients,
        alone(client_count, final_reads(&habits)),
    ] {
        node.clients = clients;
        complaint = node.run();
        if complaint.is_some() {
            break;
        }
    }
    shared
        .stopping
        .store(true, std::sync::atomic::Ordering::Relaxed);
    Outcome {
        shards,
        records: node.records,
        moves: world::moves(),
        limits: Limits {
            margin_nanos: MARGIN_MESSAGES * (world::longest_delay() + TURNS_NANOS),
        },
        complaint,
    }
}

/// Looks at all keys that were in use.
fn final_reads(habits: &Habits) -> Vec<Vec<String>> {
    let mut reads = Vec::new();
    for (kind, letter) in KINDS.into_iter().enumerate() {
        for digit in 0..habits.spread {
            reads.push(show(letter, &habits.keys[kind * KEYS_PER_KIND + digit]));
        }
    }
    reads
}

/// Draws what clients do in this world: some of the commands, on few keys, more or less in a hurry.
fn draw_habits(random: &mut Random, shards: u16) -> Habits {
    let one_of = |random: &mut Random, choices: &[u64]| choices[random.index(choices.len())];
    let drawn = operations::all().filter(|it| it.weight > 0);
    let mut operations: Vec<&Operation> = drawn.collect();
    random.shuffle(&mut operations);
    operations.truncate(4 + random.index(operations.len() - 4));
    Habits {
        operations,
        keys: key_names(shards),
        spread: 1 + random.index(KEYS_PER_KIND),
        pause_nanos: one_of(random, &[1_000, 20_000, 200_000, 5_000_000]),
        multi_one_in: one_of(random, &[0, 3, 6]),
        pipeline_one_in: one_of(random, &[0, 2, 5]),
        cut_one_in: one_of(random, &[0, 0, 0, 15]),
    }
}

/// Names keys so that those of one kind lie on different shards.
fn key_names(shards: u16) -> Vec<String> {
    let map = SlotMap::new(shards);
    let mut names = Vec::new();
    for (kind, letter) in KINDS.into_iter().enumerate() {
        for digit in 0..KEYS_PER_KIND {
            let wanted = (kind + digit * 3) % usize::from(shards);
            let name = (0_u32..)
                .map(|tail| format!("{letter}{digit}.{tail}"))
                .find(|name| map.shard_of_key(name.as_bytes()).index() == wanted);
            names.extend(name);
        }
    }
    names
}

struct Node {
    cores: Cores,
    clients: Vec<Client>,
    records: Vec<Record>,
    sessions: usize,
    last_progress: u64,
}

impl Node {
    /// Runs until all clients are done. Returns why it cannot go on, if so.
    fn run(&mut self) -> Option<String> {
        self.last_progress = world::now();
        while !self.clients.iter().all(Client::is_done) {
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
                        return Some(complaint.clone());
                    }
                }
                _ => self.cores.step(),
            }
            if world::now() > self.last_progress + PATIENCE_NANOS {
                return Some("requests without end: the world has run dry".to_owned());
            }
        }
        None
    }
}
