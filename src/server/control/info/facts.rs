//! What one core knows of itself, as plain figures, and the sums over all cores.
//!
//! A gather collects one [`CoreFacts`] per core; INFO, MEMORY and LATENCY are made from them. The
//! cores are not stopped for it: each part is exact at the moment its core was asked.
//!
//! Not here: what a figure is called (`server`, `memory`, `activity`).

use std::collections::{BTreeMap, BTreeSet};

use base::cast::u64_from;
use base::hash::Set;
use base::ids::{DbIndex, ShardId};
use hdrhistogram::Histogram;
use net::connection::Connection;
use runtime::idle::IdleCounts;
use runtime::memory::CpuTime;
use shard::effects::Stats;
use shard::memory::Ledger;

use crate::core_loop::Core;
use crate::observe::PerSecond;
use crate::session::{About, Session};
use crate::subscriptions::Kind;

/// Whether times per command are collected: they are large, and few ask for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Times {
    /// Collected.
    With,
    /// Left out.
    Without,
}

/// What happened to one command.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallFacts {
    pub(crate) calls: u64,
    pub(crate) nanos: u64,
    pub(crate) rejected: u64,
    pub(crate) failed: u64,
    /// Times in nanoseconds, if they were asked for and are tracked.
    pub(crate) times: Option<Box<Histogram<u64>>>,
}

/// One numbered database.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DatabaseFacts {
    pub(crate) db: u16,
    pub(crate) keys: u64,
    pub(crate) expires: u64,
    /// Time that all volatile keys have left together.
    pub(crate) ttl_ms_sum: u128,
    /// Bytes of its hash table.
    pub(crate) dict_bytes: u64,
}

/// The clients of a core.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ClientFacts {
    pub(crate) count: u64,
    /// Bytes of connections, sessions and buffers.
    pub(crate) bytes: u64,
    /// Largest input buffer.
    pub(crate) input_bytes_max: u64,
    /// Largest amount of unsent output.
    pub(crate) output_bytes_max: u64,
    /// Clients with keys under WATCH.
    pub(crate) watching: u64,
    /// Clients that wait for others, and those of them that do not wait for ever.
    pub(crate) blocked: u64,
    pub(crate) timed: u64,
    /// Clients that track what they read.
    pub(crate) tracking: u64,
    /// Clients that listen to channels.
    pub(crate) listening: u64,
}

/// The scripts and functions of a core.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ScriptFacts {
    /// Bytes of its interpreters.
    pub(crate) interpreter_bytes: u64,
    /// Run with keys of the core only.
    pub(crate) here: u64,
    /// Sent to the one core that has their keys.
    pub(crate) there: u64,
    /// Run with declared keys on several cores.
    pub(crate) several: u64,
    /// Run under claims on all cores.
    pub(crate) everywhere: u64,
}

/// What one core knows of itself.
#[derive(Clone, Debug)]
pub(crate) struct CoreFacts {
    pub(crate) shard: ShardId,
    /// By the position of the command in the table.
    pub(crate) commands: Vec<CallFacts>,
    pub(crate) errors: BTreeMap<String, u64>,
    pub(crate) error_replies: u64,
    pub(crate) stats: Stats,
    /// Those that have keys.
    pub(crate) databases: Vec<DatabaseFacts>,
    pub(crate) ledger: Ledger,
    /// Keys that wait to be freed, and that were freed in steps.
    pub(crate) lazy_free: (u64, u64),
    pub(crate) clients: ClientFacts,
    /// Scripts and functions that ran for clients of the core.
    pub(crate) scripts: ScriptFacts,
    pub(crate) host: coordinator::host::Counters,
    pub(crate) transactions: coordinator::transaction::Counters,
    pub(crate) net: net::options::Counters,
    pub(crate) idle: IdleCounts,
    pub(crate) per_second: PerSecond,
    pub(crate) accepted: u64,
    pub(crate) turned_away: u64,
    pub(crate) moved_out: u64,
    pub(crate) sent_requests: u64,
    pub(crate) sweep_nanos: u64,
    pub(crate) peak_bytes: u64,
    /// Hashes of the names that clients here listen to, by kind.
    pub(crate) names: [Vec<u64>; 3],
    /// Keys that clients have read who cache, and readers of all of these.
    pub(crate) tracked: (usize, usize),
    /// Prefixes of which clients here are told.
    pub(crate) prefixes: Vec<Box<[u8]>>,
    /// Processor time of the core's thread.
    pub(crate) cpu: CpuTime,
}

impl CoreFacts {
    /// Collects the figures of this core. Cost: O(databases + commands + clients here).
    pub(crate) fn collect(core: &mut Core, times: Times) -> Self {
        let databases = databases(core);
        let clients = clients(core);
        let observed = &core.engine.observed;
        let commands = observed.commands.iter().map(|counts| CallFacts {
            calls: counts.calls,
            nanos: counts.nanos,
            rejected: counts.rejected,
            failed: counts.failed,
            times: match times {
                Times::With => counts
                    .times
                    .as_ref()
                    .map(|times| Box::new(times.histogram())),
                Times::Without => None,
            },
        });
        let commands = commands.collect();
        let mut errors = observed.errors.clone();
        // Bad bytes are answered by the connection itself, with the code of most errors.
        if core.net.counters.protocol_errors > 0 {
            *errors.entry("ERR".to_owned()).or_default() += core.net.counters.protocol_errors;
        }
        Self {
            shard: core.engine.me,
            commands,
            errors,
            error_replies: observed.error_replies + core.net.counters.protocol_errors,
            stats: *core.engine.host.shard.stats(),
            databases,
            ledger: core.engine.host.shard.memory(),
            lazy_free: core.engine.host.shard.lazy_free_counts(),
            clients,
            scripts: scripts(core),
            host: core.engine.host.counters,
            transactions: core.engine.transactions.counters,
            net: core.net.counters,
            idle: core.idle_counts(),
            per_second: observed.per_second(runtime::clock::monotonic()),
            accepted: observed.accepted,
            turned_away: observed.turned_away,
            moved_out: observed.moved_out,
            sent_requests: observed.sent_requests,
            sweep_nanos: observed.sweep_nanos,
            peak_bytes: observed.peak_bytes,
            tracked: (
                core.engine.caching.readers.len(),
                core.engine.caching.readers.items(),
            ),
            prefixes: prefixes(core),
            names: KINDS.map(|kind| name_hashes(core, kind)),
            cpu: runtime::memory::thread_cpu(),
        }
    }

    /// Returns the runs of all commands.
    pub(crate) fn calls(&self) -> u64 {
        self.commands.iter().map(|command| command.calls).sum()
    }
}

fn scripts(core: &Core) -> ScriptFacts {
    let scripts = &core.engine.scripts;
    let counts = scripts.counts();
    ScriptFacts {
        interpreter_bytes: u64_from(scripts.interpreter_bytes()),
        here: counts.here.get(),
        there: counts.there.get(),
        several: counts.several.get(),
        everywhere: counts.everywhere.get(),
    }
}

fn databases(core: &mut Core) -> Vec<DatabaseFacts> {
    let shard = &mut core.engine.host.shard;
    let mut databases = Vec::new();
    for db in 0..shard.options().databases {
        let keyspace = shard.db(DbIndex(db));
        let ledger = keyspace.memory();
        if ledger.keys > 0 {
            let left = u128::try_from(keyspace.average_ttl_ms()).unwrap_or(0);
            let expires = u64_from(ledger.expires);
            databases.push(DatabaseFacts {
                db,
                keys: u64_from(ledger.keys),
                expires,
                ttl_ms_sum: left * u128::from(expires),
                dict_bytes: u64_from(ledger.dict_bytes),
            });
        }
    }
    databases
}

/// What can be listened to.
const KINDS: [Kind; 3] = [Kind::Channel, Kind::Pattern, Kind::Shard];

fn prefixes(core: &Core) -> Vec<Box<[u8]>> {
    let sessions = core.net.iter().map(|(_, connection)| &connection.session);
    let tracking = sessions.filter_map(|session| session.tracking.as_ref());
    tracking
        .flat_map(|it| it.prefixes.iter().cloned())
        .collect()
}

fn name_hashes(core: &Core, kind: Kind) -> Vec<u64> {
    let shard = &core.engine.host.shard;
    let names = core.engine.pubsub.listeners.names(kind);
    names.map(|name| shard.key(name).hash).collect()
}

/// What a connection and its session take beside the buffers.
const CONNECTION_BYTES: usize = size_of::<Connection<Session>>() + size_of::<About>();

fn clients(core: &Core) -> ClientFacts {
    let mut facts = ClientFacts {
        blocked: u64_from(core.engine.timers.len() + core.engine.pause.held_count()),
        timed: u64_from(core.engine.timers.timed_len()),
        ..ClientFacts::default()
    };
    for (_, connection) in core.net.iter() {
        let bytes = CONNECTION_BYTES + connection.buffer_bytes();
        let input = u64_from(connection.unserved_bytes());
        let output = u64_from(connection.unsent_bytes());
        facts.count += 1;
        facts.bytes += u64_from(bytes);
        facts.input_bytes_max = facts.input_bytes_max.max(input);
        facts.output_bytes_max = facts.output_bytes_max.max(output);
        facts.watching += u64::from(!connection.session.watched.is_empty());
        facts.tracking += u64::from(connection.session.tracking.is_some());
        facts.listening += u64::from(connection.session.is_subscriber());
    }
    facts
}

/// The figures of all cores, in the order of the cores.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) cores: Vec<CoreFacts>,
}

impl Facts {
    /// Adds up a figure over the cores.
    pub(crate) fn sum(&self, figure: impl Fn(&CoreFacts) -> u64) -> u64 {
        self.cores.iter().map(figure).sum()
    }

    /// Returns the largest of a figure over the cores.
    pub(crate) fn max(&self, figure: impl Fn(&CoreFacts) -> u64) -> u64 {
        self.cores.iter().map(figure).max().unwrap_or(0)
    }

    /// Returns how many names of a kind are listened to on all cores. A name on several cores counts
    /// once; cost: O(names).
    pub(crate) fn listened_names(&self, kind: Kind) -> usize {
        let index = KINDS.iter().position(|it| *it == kind).unwrap_or(0);
        let names = self.cores.iter().flat_map(|core| &core.names[index]);
        names.collect::<Set<_>>().len()
    }

    /// Returns how many prefixes clients of all cores are told of.
    pub(crate) fn prefix_count(&self) -> usize {
        let prefixes = self.cores.iter().flat_map(|core| &core.prefixes);
        prefixes.collect::<BTreeSet<_>>().len()
    }

    /// Returns the runs of all commands on all cores.
    pub(crate) fn calls(&self) -> u64 {
        self.sum(CoreFacts::calls)
    }

    /// Returns what happened to each command on all cores, by position in the table.
    pub(crate) fn commands(&self) -> Vec<CallFacts> {
        let mut all: Vec<CallFacts> = Vec::new();
        for core in &self.cores {
            all.resize_with(core.commands.len().max(all.len()), CallFacts::default);
            for (sum, part) in all.iter_mut().zip(&core.commands) {
                sum.calls += part.calls;
                sum.nanos += part.nanos;
                sum.rejected += part.rejected;
                sum.failed += part.failed;
                join_times(&mut sum.times, part.times.as_deref());
            }
        }
        all
    }

    /// Returns the error replies of all cores by their first word.
    pub(crate) fn errors(&self) -> BTreeMap<&str, u64> {
        let mut all = BTreeMap::new();
        for (code, count) in self.cores.iter().flat_map(|core| &core.errors) {
            *all.entry(code.as_str()).or_default() += count;
        }
        all
    }

    /// Returns the databases that have keys, by number.
    pub(crate) fn databases(&self) -> Vec<DatabaseFacts> {
        let mut all: BTreeMap<u16, DatabaseFacts> = BTreeMap::new();
        for part in self.cores.iter().flat_map(|core| &core.databases) {
            let sum = all.entry(part.db).or_default();
            sum.db = part.db;
            sum.keys += part.keys;
            sum.expires += part.expires;
            sum.ttl_ms_sum += part.ttl_ms_sum;
            sum.dict_bytes += part.dict_bytes;
        }
        all.into_values().collect()
    }
}

fn join_times(sum: &mut Option<Box<Histogram<u64>>>, part: Option<&Histogram<u64>>) {
    match (sum, part) {
        (_, None) => {}
        (Some(sum), Some(part)) => {
            // All are made with the same bounds, so they always fit each other.
            sum.add(part).ok();
        }
        (sum @ None, Some(part)) => *sum = Some(Box::new(part.clone())),
    }
}

impl DatabaseFacts {
    /// Returns the mean time that volatile keys have left, in milliseconds.
    pub(crate) fn average_ttl_ms(&self) -> u64 {
        let mean = self.ttl_ms_sum.checked_div(u128::from(self.expires));
        mean.and_then(|mean| u64::try_from(mean).ok()).unwrap_or(0)
    }
}
