//! Order of construction: checks, configuration, listeners, cores; and what ends them.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use base::ids::ShardId;
use commands::spec::{Plan, ShardCommand, Spread};
use coordinator::host::{Host, TxIds};
use coordinator::route::SlotMap;
use net::turn::Net;
use runtime::executor::{CoreContext, CoreSpec, start_cores};
use runtime::file::DirectoryLock;
use runtime::listener::{Listener, TcpOptions, bind_tcp, bind_unix};
use runtime::mesh::{MeshEnd, mesh};
use runtime::signals::{Signal, on_signals};
use runtime::socket_ring::{RingOptions, SocketRing};
use runtime::topology::{Cpu, default_shard_count, usable_cpus};
use runtime::waker::Waker;
use shard::Shard;

use crate::acl::Acl;
use crate::acl::catalog::Catalog;
use crate::acl::file;
use crate::balance::Balance;
use crate::config::Config;
use crate::config::loader::Disk;
use crate::core_loop::Core;
use crate::engine::{CoreMessage, Engine, Shared};
use crate::eviction::ShardMemory;
use crate::layer_options;
use crate::persistence::load::{Inbox, Source};
use crate::persistence::log::{self, FoundLog, Log};
use crate::persistence::{self, Persistence};
use crate::pubsub::wishes::Presence;
use crate::table::{CommandTable, Run};

/// Why the server does not start: one line with the cause and the remedy.
#[derive(Debug)]
pub struct StartError(pub String);

impl std::fmt::Display for StartError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for StartError {}

/// Messages that a lane between two cores holds before the sender has to wait.
const LANE_MESSAGES: usize = 1024;

/// What one core is started with.
struct CoreSeed {
    listeners: Vec<Listener>,
    mesh: MeshEnd<CoreMessage>,
    inbox: Option<Inbox>,
}

/// Runs the server until it is told to stop.
///
/// # Errors
///
/// If it cannot start; nothing was served then.
pub fn serve(config: Config) -> Result<(), StartError> {
    let report = runtime::preflight::check().map_err(|refusal| StartError(refusal.message))?;
    let settings = config.settings().clone();
    // Held until the end of the process.
    let _held = enter_data_dir(&settings.data_dir)?;
    persistence::upload::check(&settings).map_err(StartError)?;
    persistence::restore::begin(&settings).map_err(StartError)?;
    let shard_count = shard_count(&config)?;
    let data = Data::find(&config, shard_count)?;
    warn_of_descriptors(settings.clients_max, report.open_files_max);
    let listeners = listeners(&config, shard_count)?;
    let ends = mesh::<CoreMessage>(usize::from(shard_count), LANE_MESSAGES)
        .map_err(|error| StartError(format!("connect the cores: {error}")))?;
    let wakers: Vec<Waker> = ends.iter().map(MeshEnd::waker).collect();
    let mut shared = shared(&config, shard_count, command_table(&config));
    shared.tx_ids = data.tx_ids();
    make_users(&config, &shared)?;
    let shared = Arc::new(shared);
    let cpus = if settings.is_pinned {
        usable_cpus()
    } else {
        Vec::new()
    };
    shared.persistence.set_wakers(wakers.clone());
    let mut specs = core_specs(ends, listeners, &cpus);
    let config = Arc::new(config);
    data.begin_loading(&shared, &config, &mut specs)?;
    banner(&config, shard_count);
    let reload = Arc::new(AtomicBool::new(false));
    let guard = watch_signals(Arc::clone(&shared), wakers, Arc::clone(&reload))
        .map_err(|error| StartError(format!("watch signals: {error}")))?;
    write_pid_file(&config)?;
    let common = Common {
        shared: Arc::clone(&shared),
        config: Arc::clone(&config),
        reload,
        hash_seed: runtime::clock::random_seed(),
    };
    let cores = start_cores(specs, move |context, seed| {
        run_core(context, seed, common.clone())
    });
    let result = match cores {
        Ok(cores) => cores
            .join()
            .map_err(|error| StartError(format!("a core has failed: {error}"))),
        Err(error) => Err(StartError(format!("start the cores: {error}"))),
    };
    shared.persistence.join();
    drop(guard);
    remove_files(&config);
    result?;
    if let Some(text) = shared.persistence.failure() {
        return Err(StartError(text));
    }
    tracing::info!("bye");
    Ok(())
}

/// What the files have that the server goes on from.
struct Data {
    log: Option<Arc<Log>>,
    source: Source,
}

impl Data {
    /// Finds it, and makes the log ready that changes go to, if there is to be one.
    fn find(config: &Config, shard_count: u16) -> Result<Self, StartError> {
        let settings = config.settings();
        persistence::left_over::remove(settings);
        if !settings.is_logged {
            let file = persistence::load::open(settings).map_err(StartError)?;
            let source = Source::File(file);
            return Ok(Self { log: None, source });
        }
        let found = FoundLog::enter(settings, shard_count).map_err(StartError)?;
        if found.has_to_be_made() {
            // That takes long, and clients are told so meanwhile.
            let source = Source::ToBeMade(found);
            return Ok(Self { log: None, source });
        }
        let log = Log::open(config, found, &Arc::default()).map_err(StartError)?;
        let file = persistence::load::open_base(&log).map_err(StartError)?;
        let source = Source::File(file);
        Ok(Self {
            log: Some(log),
            source,
        })
    }

    /// Returns where the numbers of transactions begin.
    fn tx_ids(&self) -> TxIds {
        let log = self.log.as_ref();
        log.map_or_else(TxIds::default, |log| TxIds::behind(log.first_transaction()))
    }

    /// Has the cores load all of it before they serve.
    fn begin_loading(
        self,
        shared: &Arc<Shared>,
        config: &Arc<Config>,
        specs: &mut [CoreSpec<CoreSeed>],
    ) -> Result<(), StartError> {
        let failed = |error| StartError(format!("start a thread: {error}"));
        let is_logged = config.settings().is_logged;
        if let Some(log) = self.log {
            shared.persistence.keep_log(log);
            shared.persistence.set_logged(true);
        } else if matches!(self.source, Source::File(None)) {
            return Ok(());
        }
        let inboxes = persistence::load::begin(shared, config, self.source).map_err(failed)?;
        for (spec, inbox) in specs.iter_mut().zip(inboxes) {
            spec.seed.inbox = Some(inbox);
        }
        if is_logged {
            drop(log::start_syncing(shared).map_err(failed)?);
        }
        Ok(())
    }
}

/// Gives every core its end of the mesh and its listeners.
fn core_specs(
    ends: Vec<MeshEnd<CoreMessage>>,
    listeners: Vec<Vec<Listener>>,
    cpus: &[Cpu],
) -> Vec<CoreSpec<CoreSeed>> {
    let shard_count = u16::try_from(ends.len()).unwrap_or(u16::MAX);
    let seeds = ends.into_iter().zip(listeners).enumerate();
    seeds
        .map(|(index, (mesh, listeners))| CoreSpec {
            shard: ShardId(u16::try_from(index).unwrap_or(0)),
            cpu: pinned_cpu(cpus, index, shard_count),
            seed: CoreSeed {
                listeners,
                mesh,
                inbox: None,
            },
        })
        .collect()
}

/// Starts the cores of a node that is simulated: all that [`serve`] does and the process is not
/// needed for. Returns the cores and what they share.
///
/// # Errors
///
/// If the configuration asks for what a simulated machine does not have.
#[cfg(all(test, feature = "simulation"))]
pub(crate) fn start_simulated(
    config: Config,
    shard_count: u16,
    table: &'static CommandTable,
) -> Result<(runtime::executor::Cores, Arc<Shared>), StartError> {
    let listeners = listeners(&config, shard_count)?;
    let failed = |error| StartError(format!("start the cores: {error}"));
    let ends = mesh::<CoreMessage>(usize::from(shard_count), LANE_MESSAGES).map_err(failed)?;
    let wakers: Vec<Waker> = ends.iter().map(MeshEnd::waker).collect();
    let data = Data::find(&config, shard_count)?;
    let mut shared = shared(&config, shard_count, table);
    shared.tx_ids = data.tx_ids();
    make_users(&config, &shared)?;
    let shared = Arc::new(shared);
    shared.persistence.set_wakers(wakers);
    let mut specs = core_specs(ends, listeners, &[]);
    let config = Arc::new(config);
    data.begin_loading(&shared, &config, &mut specs)?;
    let common = Common {
        shared: Arc::clone(&shared),
        config,
        reload: Arc::default(),
        hash_seed: runtime::clock::random_seed(),
    };
    let body = move |context, seed| run_core(context, seed, common.clone());
    let cores = start_cores(specs, body).map_err(failed)?;
    Ok((cores, shared))
}

/// What all cores are started with.
#[derive(Clone)]
struct Common {
    shared: Arc<Shared>,
    config: Arc<Config>,
    reload: Arc<AtomicBool>,
    /// The same on all cores, as claims name keys by their hashes.
    hash_seed: (u64, u64),
}

/// Runs one core until the server stops. Ends the process if the core cannot be built.
async fn run_core(context: CoreContext, seed: CoreSeed, common: Common) {
    let config = Arc::clone(&common.config);
    match build_core(&context, seed, common) {
        Ok(mut core) => {
            let shared = &core.engine.shared;
            let bytes = runtime::memory::allocated_bytes();
            shared.startup_bytes.fetch_max(bytes, Ordering::Relaxed);
            core.run().await;
        }
        Err(error) => {
            tracing::error!(core = context.shard().0, %error, "build the core");
            remove_files(&config);
            std::process::exit(i32::from(EXIT_REFUSED));
        }
    }
}

fn warn_of_descriptors(clients_max: u32, open_files_max: u64) {
    let clients_fit = open_files_max.saturating_sub(RESERVED_DESCRIPTORS);
    if u64::from(clients_max) > clients_fit {
        tracing::warn!(
            maxclients = clients_max,
            open_files = open_files_max,
            "fewer clients fit than maxclients says: raise the limit of open files (ulimit -n)"
        );
    }
}

/// Removes the files that tell others of a running server.
fn remove_files(config: &Config) {
    let settings = config.settings();
    for path in [&settings.pid_file, &settings.unixsocket]
        .into_iter()
        .flatten()
    {
        remove_quietly(path);
    }
}

/// Exit code of a start that was refused (`EX_CONFIG` of sysexits).
pub const EXIT_REFUSED: u8 = 78;

/// Descriptors that are not for clients: listeners, rings, wake-ups, files.
const RESERVED_DESCRIPTORS: u64 = 64;

fn remove_quietly(path: &Path) {
    if let Err(error) = runtime::file::remove(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "remove file");
    }
}

/// Creates the data directory if it is not there, and holds it against other servers.
fn enter_data_dir(path: &Path) -> Result<DirectoryLock, StartError> {
    let shown = path.display();
    runtime::file::create_dir(path).map_err(|error| {
        StartError(format!(
            "create data directory {shown}: {error}; choose another with --dir"
        ))
    })?;
    runtime::file::lock_directory(path).map_err(|error| {
        StartError(match error.kind() {
            io::ErrorKind::WouldBlock => {
                format!("{error}; stop it, or choose another directory with --dir")
            }
            _ => format!("lock {shown}: {error}; make it writable, or choose another with --dir"),
        })
    })
}

fn shard_count(config: &Config) -> Result<u16, StartError> {
    let count = config
        .settings()
        .shards
        .map_or_else(default_shard_count, usize::from);
    match u16::try_from(count) {
        Ok(count) if (1..=base::limits::SHARDS_MAX).contains(&count) => Ok(count),
        Ok(_) | Err(_) => Err(StartError(format!(
            "{count} shards are not possible; choose 1 to {} with --shards",
            base::limits::SHARDS_MAX
        ))),
    }
}

/// Cores are pinned only if each has a processor of its own.
fn pinned_cpu(cpus: &[Cpu], index: usize, shard_count: u16) -> Option<Cpu> {
    if cpus.len() < usize::from(shard_count) {
        None
    } else {
        cpus.get(index).copied()
    }
}

/// Binds the listeners of every core.
fn listeners(config: &Config, shard_count: u16) -> Result<Vec<Vec<Listener>>, StartError> {
    let settings = config.settings();
    let mut all: Vec<Vec<Listener>> = (0..shard_count).map(|_| Vec::new()).collect();
    let mut bound = 0;
    for bind in &settings.bind {
        if settings.port != 0 {
            let address = SocketAddr::new(bind.address, settings.port);
            match bind_everywhere(address, config, &mut all) {
                Ok(()) => bound += 1,
                Err(error) if bind.is_optional => {
                    tracing::warn!(%address, %error, "not listening there");
                }
                Err(error) => return Err(cannot_listen(&address.to_string(), &error)),
            }
        }
        for (index, own) in all.iter_mut().enumerate() {
            if settings.shard_ports != 0 {
                let offset = u16::try_from(index).unwrap_or(0);
                let address = SocketAddr::new(bind.address, settings.shard_ports + offset);
                let options = tcp_options(config, false);
                let listener = bind_tcp(address, options);
                let listener =
                    listener.map_err(|error| cannot_listen(&address.to_string(), &error))?;
                own.push(listener);
                bound += 1;
            }
        }
    }
    if let Some(path) = &settings.unixsocket {
        let mode = (settings.unixsocket_mode != 0).then_some(settings.unixsocket_mode);
        let listener = bind_unix(path, mode, settings.tcp_backlog)
            .map_err(|error| cannot_listen(&path.display().to_string(), &error))?;
        all[0].push(listener);
        bound += 1;
    }
    if bound == 0 {
        return Err(StartError(
            "nothing to listen on: set port, unixsocket or shard-ports".to_owned(),
        ));
    }
    Ok(all)
}

fn tcp_options(config: &Config, reuse_port: bool) -> TcpOptions {
    TcpOptions {
        backlog: config.settings().tcp_backlog,
        reuse_port,
        nodelay: true,
        keepalive_seconds: config.settings().tcp_keepalive_seconds,
    }
}

/// Every core listens on `address`. The first bind goes without sharing, so that an address that
/// another server listens on is noticed.
fn bind_everywhere(
    address: SocketAddr,
    config: &Config,
    all: &mut [Vec<Listener>],
) -> io::Result<()> {
    bind_tcp(address, tcp_options(config, false))?;
    for own in all {
        own.push(bind_tcp(address, tcp_options(config, true))?);
    }
    Ok(())
}

fn cannot_listen(address: &str, error: &io::Error) -> StartError {
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse => "another server is there: stop it or choose another port",
        io::ErrorKind::PermissionDenied => "choose a port above 1023 or run with more rights",
        io::ErrorKind::AddrNotAvailable => "this machine has no such address: change bind",
        _ => "change bind, port or unixsocket",
    };
    StartError(format!("listen on {address}: {error}; {remedy}"))
}

/// Creates the table of all commands. It lives as long as the process: commands are passed on by
/// reference.
#[must_use]
pub fn command_table(config: &Config) -> &'static CommandTable {
    let renamed = &config.settings().renamed_commands;
    Box::leak(Box::new(CommandTable::new(renamed)))
}

/// Creates what all cores see.
#[must_use]
pub fn shared(config: &Config, shard_count: u16, table: &'static CommandTable) -> Shared {
    let (one, two) = runtime::clock::random_seed();
    let (three, _) = runtime::clock::random_seed();
    let first = config.settings().shard_ports;
    Shared {
        scripts: Arc::default(),
        acl: Arc::new(Acl::new(
            catalog(table),
            config.settings().password.as_deref(),
        )),
        shard_memory: (0..shard_count).map(|_| ShardMemory::new()).collect(),
        tx_ids: TxIds::default(),
        client_count: AtomicUsize::new(0),
        client_ids: AtomicU64::new(0),
        moves: crate::moves::Moves::default(),
        balance: Balance::new(shard_count),
        monitor_count: AtomicUsize::new(0),
        presence: Presence::new(shard_count),
        tracking_count: AtomicUsize::new(0),
        persistence: Persistence::new(shard_count, runtime::clock::unix_millis()),
        broadcasting: Presence::new(shard_count),
        slow_numbers: Arc::default(),
        startup_bytes: AtomicUsize::new(0),
        started_at: runtime::clock::unix_millis(),
        started: runtime::clock::monotonic(),
        run_id: format!("{one:016x}{two:016x}{:08x}", three >> 32),
        table,
        is_crowded: usize::from(shard_count) > default_shard_count(),
        shard_ports: if first == 0 {
            Vec::new()
        } else {
            (0..shard_count).map(|index| first + index).collect()
        },
        keepalive_seconds: config.settings().tcp_keepalive_seconds,
        stopping: AtomicBool::new(false),
    }
}

/// Returns what the rules of users know of commands.
fn catalog(table: &CommandTable) -> Catalog {
    Catalog::new(table.iter().map(|command| {
        let scope = match command.run {
            Run::Shard(ShardCommand {
                spread: Spread::Plan(Plan::Table(scope)),
                ..
            }) => Some(*scope),
            Run::Shard(_) | Run::Waiting(..) | Run::Control(_) => None,
        };
        (command.index, command.full_name, command.declaration, scope)
    }))
}

/// Makes the users that the configuration describes.
fn make_users(config: &Config, shared: &Shared) -> Result<(), StartError> {
    let acl = &shared.acl;
    let settings = config.settings();
    let defaults = layer_options::acl(config);
    acl.keep_entries(settings.acl_log_entries_max);
    if let Some(path) = settings.acl_path() {
        if !settings.users.is_empty() {
            return Err(StartError(
                "users stand in the configuration and in a file too; choose one: lines of user, or \
                 aclfile"
                    .to_owned(),
            ));
        }
        let shown = path.display().to_string();
        return file::load(acl, (&path, &shown), defaults, &Disk).map_err(StartError);
    }
    file::add_configured(acl, &settings.users, defaults)
        .map_err(|error| StartError(format!("user: {error}")))
}

fn banner(config: &Config, shard_count: u16) {
    let settings = config.settings();
    tracing::info!(
        version = crate::version::TRESTLE,
        redis_version = crate::version::REDIS,
        shards = shard_count,
        port = settings.port,
        shard_ports = settings.shard_ports,
        memory_limit = settings.memory_bytes_max,
        persistence = if settings.save_points.is_empty() {
            "on demand"
        } else {
            "rdb"
        },
        pid = std::process::id(),
        "trestle starts"
    );
}

fn watch_signals(
    shared: Arc<Shared>,
    wakers: Vec<Waker>,
    reload: Arc<AtomicBool>,
) -> io::Result<runtime::signals::SignalGuard> {
    on_signals(move |signal| {
        match signal {
            Signal::Terminate | Signal::Interrupt => {
                tracing::info!(?signal, "stopping");
                // A second signal does not wait for what the first has asked for.
                if shared.persistence.want_stop() {
                    shared.stopping.store(true, Ordering::Relaxed);
                }
            }
            Signal::HangUp => reload.store(true, Ordering::Relaxed),
        }
        for waker in &wakers {
            waker.wake();
        }
    })
}

fn write_pid_file(config: &Config) -> Result<(), StartError> {
    let Some(path) = &config.settings().pid_file else {
        return Ok(());
    };
    let text = format!("{}\n", std::process::id());
    runtime::file::write_atomically(path, text.as_bytes())
        .map_err(|error| StartError(format!("write pid file {}: {error}", path.display())))
}

fn build_core(context: &CoreContext, seed: CoreSeed, common: Common) -> io::Result<Core> {
    let Common {
        shared,
        config,
        reload,
        hash_seed,
    } = common;
    let me = context.shard();
    let count = u16::try_from(seed.mesh.core_count()).unwrap_or(1);
    let ring = SocketRing::new(RingOptions::default(), seed.mesh.waker())?;
    let net = Net::new(ring, layer_options::net(&config));
    let shard = Shard::new(me, layer_options::shard(&config, hash_seed, count));
    let host = Host::new(me, shard, shared.tx_ids.clone());
    let engine = Engine::new(host, SlotMap::new(count), shared, config);
    let mut core = Core::new(engine, net, seed.mesh, context);
    core.reload = reload;
    core.inbox = seed.inbox;
    for listener in seed.listeners {
        let id = core.net.listen(listener);
        core.listeners.push(id);
    }
    Ok(core)
}
