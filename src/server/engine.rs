//! What a core knows beside its sockets: its shard, the transactions it coordinates, the requests
//! on their way to other cores, its counters and its configuration.

use std::any::Any;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use base::clock::{Monotonic, UnixMillis};
use base::hash::Map;
use base::ids::{ClientId, ShardId};
use base::random::Random;
use bytes::Bytes;
use commands::table::parts::Planned;
use coordinator::host::{Host, TxIds};
use coordinator::message::queue::Queue;
use coordinator::message::{Envelope, Message, Origin, Request};
use coordinator::route::SlotMap;
use coordinator::step::Surroundings;
use coordinator::transaction::Transactions;
use net::connection::Moving;
use runtime::socket::Socket;
use runtime::socket_ring::SocketId;

use crate::acl::Acl;
use crate::acl::user::DEFAULT_USER;
use crate::balance::Balance;
use crate::command_index::CommandIndex;
use crate::config::Config;
use crate::control::monitor::ShownLater;
use crate::core_loop::Core;
use crate::eviction::ShardMemory;
use crate::gather::{Asker, Gather, Gathers};
use crate::invalidate::{CacheMessage, Caching};
use crate::late_statements::LateStatements;
use crate::long_replies::LongReplies;
use crate::moves::Moves;
use crate::observe::Observed;
use crate::pause::Pause;
use crate::persistence::Persistence;
use crate::persistence::delivery::Deliveries;
use crate::pubsub::wishes::{Forward, Presence, PubSub};
use crate::running::Running;
use crate::scripts::forward::{Guests, Sent};
use crate::scripts::local::LocalScripts;
use crate::scripts::registry::Registry;
use crate::session::{About, Session};
use crate::table::CommandTable;
use crate::timers::Timers;

/// What a core did for a gather; made on one core, taken apart on another.
pub type Part = Box<dyn Any + Send>;

/// Something for another core to do.
pub type Job = Box<dyn FnOnce(&mut Core) -> Part + Send>;

/// From core to core.
pub enum CoreMessage {
    /// For the shard, or for the coordinator of a transaction.
    Shard(Message),
    /// Something to do, and the number under which the sender waits for the outcome.
    Job(u64, Job),
    /// The outcome of a job.
    JobDone(u64, Part),
    /// A connection that moves here.
    Adopt(Box<Moving<Session>>),
    /// Bytes for every client here that listens to `MONITOR`.
    Monitor(Bytes),
    /// Messages for those who listen here.
    Publish(Vec<Forward>),
    /// About client-side caching.
    Caching(Box<CacheMessage>),
    /// How many clients messages have reached, by the number that the sender has given each.
    Published(Vec<(u64, usize)>),
    /// A script to run.
    Script(Box<Sent>),
    /// A script that has run, its reply, and how long it took in nanoseconds.
    ScriptDone(Box<Sent>, Vec<u8>, u64),
}

impl std::fmt::Debug for CoreMessage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Shard(_) => "Shard",
            Self::Job(..) => "Job",
            Self::JobDone(..) => "JobDone",
            Self::Adopt(_) => "Adopt",
            Self::Monitor(_) => "Monitor",
            Self::Publish(_) => "Publish",
            Self::Caching(_) => "Caching",
            Self::Published(_) => "Published",
            Self::Script(_) => "Script",
            Self::ScriptDone(..) => "ScriptDone",
        })
    }
}

/// What all cores of the process see. Counters and facts that never change; no data.
#[derive(Debug)]
pub struct Shared {
    /// Transaction ids.
    pub tx_ids: TxIds,
    /// Clients of all cores.
    pub client_count: AtomicUsize,
    /// Last client id given.
    pub client_ids: AtomicU64,
    /// Connections on their way between cores.
    pub moves: Moves,
    /// Busy clients of all cores.
    pub balance: Balance,
    /// Clients of all cores that listen to `MONITOR`.
    pub monitor_count: AtomicUsize,
    /// By core: how much its clients listen to.
    pub presence: Presence,
    /// Clients of all cores with `CLIENT TRACKING ON`.
    pub tracking_count: AtomicUsize,
    /// By core: how many of them are told of keys by prefixes.
    pub broadcasting: Presence,
    /// Entries of the slow logs of all cores so far; the next gets this number.
    pub slow_numbers: Arc<AtomicU64>,
    /// Bytes that were allocated when the last core was ready.
    pub startup_bytes: AtomicUsize,
    /// By shard: what the cores tell each other to keep within `maxmemory`.
    pub shard_memory: Box<[ShardMemory]>,
    /// When the process started.
    pub started_at: UnixMillis,
    /// The same on the clock that never goes back.
    pub started: Monotonic,
    /// 40 hexadecimal digits that name this run.
    pub run_id: String,
    /// What is saved and loaded.
    pub persistence: Persistence,
    /// Sources of scripts.
    pub scripts: Arc<Registry>,
    /// Users and their rules.
    pub(crate) acl: Arc<Acl>,
    /// All commands.
    pub table: &'static CommandTable,
    /// There are more cores than processors: one that polls may keep another from running.
    pub is_crowded: bool,
    /// Ports of the cores, if `shard-ports` is on.
    pub shard_ports: Vec<u16>,
    /// What the listeners hand on to connections; one that was set later is set per connection.
    pub keepalive_seconds: u32,
    /// Set once; cores end when they see it.
    pub stopping: std::sync::atomic::AtomicBool,
}

impl Shared {
    /// Returns the id of a new client.
    fn next_client(&self) -> ClientId {
        ClientId(self.client_ids.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// Runs of one command whose time has not been taken yet: see [`Engine::measure`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Unmeasured {
    /// The command.
    pub(crate) command: CommandIndex,
    /// How often it has run.
    pub(crate) count: u32,
}

/// One core's part of the server, without its sockets.
pub struct Engine {
    /// This core.
    pub me: ShardId,
    /// Keys to cores.
    pub map: SlotMap,
    /// The shard.
    pub host: Host,
    /// Requests over several shards that this core coordinates.
    pub transactions: Transactions,
    /// What all cores see.
    pub shared: Arc<Shared>,
    /// The effective configuration.
    pub config: Arc<Config>,
    /// Changes that the configuration has gone through.
    pub(crate) config_number: u64,
    /// What happened here.
    pub observed: Observed,
    /// Questions to all cores that this core waits for.
    pub gathers: Gathers,
    /// Clients that wait for others.
    pub timers: Timers,
    /// CLIENT PAUSE.
    pub(crate) pause: Pause,
    /// Transactions of clients whose commands `MONITOR` will show when they have run.
    pub shown_later: Vec<ShownLater>,
    /// Channels.
    pub pubsub: PubSub,
    /// Client-side caching.
    pub caching: Caching,
    /// Scripts on this core.
    pub(crate) scripts: Rc<LocalScripts>,
    /// Scripts of other cores that run here.
    pub(crate) guests: Guests,
    /// Chance.
    pub random: Random,
    /// Messages for other cores, in order per core.
    pub outbound: VecDeque<(ShardId, CoreMessage)>,
    /// Wall-clock time of this turn.
    pub now: UnixMillis,
    /// The last reading of the clock; the next command begins there.
    pub clock: Monotonic,
    /// The commands that have run since that reading.
    pub(crate) unmeasured: Unmeasured,
    /// The connection that is being served, and since when in this turn.
    pub(crate) serving: Option<(SocketId, Monotonic)>,
    /// Replies of connections of this core that are made in steps.
    pub(crate) long_replies: LongReplies,
    /// Copies of the data on their way to clients.
    pub(crate) deliveries: Deliveries,
    /// Table statements that connections do not wait for.
    pub(crate) late_statements: LateStatements,
    /// A statement about a spread table, with its command, that others behind it may go with.
    pub(crate) gathered: Option<(CommandIndex, Box<Planned>)>,
    /// Connections that a reply was written to outside of their turn.
    pub wrote: Vec<SocketId>,
    /// Commands that take several steps, by the bits of the connection that waits for them.
    pub running: Map<u64, Running>,
    /// What is known of the requests being served before they run.
    pub(crate) hints: Vec<Hint>,
    envelopes: Vec<Option<Box<Envelope>>>,
    #[expect(
        clippy::vec_box,
        reason = "envelopes travel in their boxes, and the boxes are kept with them"
    )]
    spare_envelopes: Vec<Box<Envelope>>,
    spare_queues: Vec<Queue>,
}

/// What is known of a request before it runs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hint {
    /// The owner of word 1.
    pub(crate) shard: Option<ShardId>,
    /// The hash of word 1, if it is owned here.
    pub(crate) hash: Option<u64>,
}

/// Envelopes kept for later use.
const SPARE_ENVELOPES_MAX: usize = 64;

/// Queues of MULTI kept for later use.
const SPARE_QUEUES_MAX: usize = 64;

impl std::fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Engine")
            .field("me", &self.me)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Creates the engine of the core that `host` belongs to.
    #[must_use]
    pub fn new(host: Host, map: SlotMap, shared: Arc<Shared>, config: Arc<Config>) -> Self {
        let me = host.me();
        let seed = runtime::clock::random_seed();
        Self {
            me,
            map,
            transactions: Transactions::new(shared.tx_ids.clone()),
            observed: Observed::new(
                &config,
                shared.table.iter().map(|command| command.declaration),
                Arc::clone(&shared.slow_numbers),
            ),
            host,
            config,
            config_number: 0,
            gathers: Gathers::default(),
            timers: Timers::default(),
            pause: Pause::default(),
            shown_later: Vec::new(),
            pubsub: PubSub::default(),
            caching: Caching::default(),
            scripts: Rc::new(LocalScripts::new(
                shared.table,
                Arc::clone(&shared.scripts),
                Arc::clone(&shared.acl),
            )),
            guests: Guests::default(),
            shared,
            random: Random::new(seed.0 ^ seed.1),
            outbound: VecDeque::new(),
            now: UnixMillis::default(),
            clock: Monotonic::default(),
            unmeasured: Unmeasured::default(),
            serving: None,
            long_replies: LongReplies::default(),
            deliveries: Deliveries::default(),
            late_statements: LateStatements::default(),
            gathered: None,
            wrote: Vec::new(),
            running: Map::default(),
            hints: Vec::new(),
            envelopes: map.shards().map(|_| None).collect(),
            spare_envelopes: Vec::new(),
            spare_queues: Vec::new(),
        }
    }

    /// Begins a turn: reads the clocks.
    pub fn begin_turn(&mut self) {
        self.clock = runtime::clock::monotonic();
        self.serving = None;
        self.now = runtime::clock::unix_millis();
        self.host.set_now(self.now);
        self.observed.latency.set_now(self.now);
        let refusal = self.shared.scripts.busy.refusal();
        self.observed.is_attentive = self.observed.has_monitors
            || refusal.is_some()
            || self.shared.persistence.is_attentive();
        if let Some(text) = refusal {
            // What waits for the script would wait for as long as it takes.
            self.host.refuse_waiting(text);
        }
    }

    /// Returns what programs have to know.
    pub fn surroundings(&mut self) -> Surroundings {
        let options = self.host.shard.options();
        Surroundings {
            map: self.map,
            databases: options.databases,
            draw: self.random.next_u64(),
        }
    }

    /// Puts a request into the envelope for another core.
    pub fn send_request(&mut self, to: ShardId, origin: Origin, request: Request<'_>) {
        let bytes: usize = request.args.iter().map(<[u8]>::len).sum();
        let slot = &mut self.envelopes[to.index()];
        if slot
            .as_ref()
            .is_some_and(|envelope| !envelope.has_room(bytes))
        {
            self.flush_envelope(to);
        }
        let slot = &mut self.envelopes[to.index()];
        let envelope = slot.get_or_insert_with(|| self.spare_envelopes.pop().unwrap_or_default());
        envelope.push(origin, request);
    }

    fn flush_envelope(&mut self, to: ShardId) {
        if let Some(envelope) = self.envelopes[to.index()].take() {
            let message = CoreMessage::Shard(Message::Requests(envelope));
            self.outbound.push_back((to, message));
        }
    }

    /// Sends the envelopes of this turn.
    pub fn flush_envelopes(&mut self) {
        for index in 0..self.envelopes.len() {
            if self.envelopes[index].is_some() {
                self.flush_envelope(ShardId(u16::try_from(index).unwrap_or(0)));
            }
        }
    }

    /// Takes back an envelope that has come home.
    pub fn keep_envelope(&mut self, mut envelope: Box<Envelope>) {
        if self.spare_envelopes.len() < SPARE_ENVELOPES_MAX {
            envelope.clear();
            self.spare_envelopes.push(envelope);
        }
    }

    /// Returns an empty queue for a MULTI.
    pub(crate) fn spare_queue(&mut self) -> Queue {
        self.spare_queues.pop().unwrap_or_default()
    }

    /// Takes back the queue of a MULTI that is over.
    pub(crate) fn keep_queue(&mut self, mut queue: Queue) {
        if self.spare_queues.len() < SPARE_QUEUES_MAX {
            queue.clear();
            self.spare_queues.push(queue);
        }
    }

    /// Asks other cores, and this one. The reply goes to `asker`.
    pub fn ask(&mut self, asker: Asker, gather: Gather) {
        let cores = usize::from(self.map.shard_count());
        let (number, jobs) = self.gathers.begin(asker, gather, cores);
        for (core, job) in jobs {
            self.outbound
                .push_back((core, CoreMessage::Job(number, job)));
        }
    }

    /// Decides about a new client.
    ///
    /// # Errors
    ///
    /// What it is told before it is turned away.
    pub fn admit(&mut self, socket: &Socket) -> Result<Session, Vec<u8>> {
        let settings = self.config.settings();
        let limit = base::cast::usize_from_u32(settings.clients_max);
        if self.shared.client_count.fetch_add(1, Ordering::Relaxed) >= limit {
            self.shared.client_count.fetch_sub(1, Ordering::Relaxed);
            self.observed.turned_away += 1;
            return Err(b"-ERR max number of clients reached\r\n".to_vec());
        }
        self.observed.accepted += 1;
        let (users, users_number) = self.shared.acl.users();
        let user = users.get(DEFAULT_USER).cloned().unwrap_or_default();
        if settings.is_protected && user.takes_any_password() && !is_local(socket) {
            self.shared.client_count.fetch_sub(1, Ordering::Relaxed);
            self.observed.turned_away += 1;
            return Err(PROTECTED.into());
        }
        let is_unix = socket.is_unix();
        let mut address = socket.peer_address();
        let mut local_address = socket.local_address();
        if is_unix {
            address.push_str(":0");
            local_address.push_str(":0");
        }
        let about = About {
            address,
            local_address,
            fd: socket.raw_fd(),
            is_unix,
            ..About::default()
        };
        let client = self.shared.next_client();
        let mut session = Session::new(client, about, user.is_open(), self.clock);
        session.set_user(user, users_number);
        self.note_pause(&mut session);
        Ok(session)
    }

    /// Takes leave of a client.
    pub fn dismiss(&mut self, mut session: Session) {
        self.shared.client_count.fetch_sub(1, Ordering::Relaxed);
        if session.is_monitor {
            self.end_monitor(&mut session);
        }
        self.unwatch(std::mem::take(&mut session.watched));
    }

    /// Ends `MONITOR` for a client.
    pub fn end_monitor(&mut self, session: &mut Session) {
        session.is_monitor = false;
        self.shared.monitor_count.fetch_sub(1, Ordering::Relaxed);
    }

    /// Takes the time of the commands that have run since the last reading of the clock, all the same
    /// command, and shares it out among them equally. Returns the time of all together.
    ///
    /// A reading costs about as much as a third of a GET, so equal commands that are quick, with
    /// few words and short replies, are measured together when they follow each other in a pipeline.
    #[inline]
    pub(crate) fn measure(&mut self) -> u64 {
        let ended = runtime::clock::monotonic();
        let nanos = ended.nanos_since(self.clock);
        self.clock = ended;
        let Unmeasured { command, count } = std::mem::take(&mut self.unmeasured);
        self.observed.note_time(command, count, nanos);
        nanos
    }

    /// Returns whether a turn has left something that this core itself has to do.
    #[must_use]
    pub fn has_local_work(&self) -> bool {
        !self.host.outbox.is_empty()
            || !self.transactions.events.is_empty()
            || self.pubsub.has_work()
            || self.host.shard.has_events()
            || self.host.shard.has_changes()
            || self.host.shard.has_growing()
    }
}

/// Returns whether a client comes from this machine by its loopback or by a Unix socket.
fn is_local(socket: &Socket) -> bool {
    socket.is_unix() || is_loopback(&socket.peer_address())
}

/// Returns whether `ip:port` is an address of the loopback.
#[must_use]
pub fn is_loopback(address: &str) -> bool {
    address
        .parse::<std::net::SocketAddr>()
        .is_ok_and(|address| address.ip().to_canonical().is_loopback())
}

/// What a client from elsewhere is told in protected mode: word by word what Redis says, as tools
/// look for it.
const PROTECTED: &[u8] = b"-DENIED Redis is running in protected mode because protected mode is enabled and no password \
    is set for the default user. In this mode connections are only accepted from the loopback \
    interface. If you want to connect from external computers to Redis you may adopt one of the \
    following solutions: 1) Just disable protected mode sending the command 'CONFIG SET \
    protected-mode no' from the loopback interface by connecting to Redis from the same host the \
    server is running, however MAKE SURE Redis is not publicly accessible from internet if you \
    do so. Use CONFIG REWRITE to make this change permanent. 2) Alternatively you can just \
    disable the protected mode by editing the Redis configuration file, and setting the \
    protected mode option to 'no', and then restarting the server. 3) If you started the server \
    manually just for testing, restart it with the '--protected-mode no' option. 4) Setup a an \
    authentication password for the default user. NOTE: You only need to do one of the above \
    things in order for the server to start accepting connections from the outside.\r\n";

/// Where a connection's replies go once they come: for replies that are to be dropped the place is
/// marked in its top bit.
#[must_use]
pub fn origin_of(id: SocketId, place: net::output::Place, is_dropped: bool) -> Origin {
    Origin {
        connection: id.to_bits(),
        place: place.0 | if is_dropped { DROPPED } else { 0 },
    }
}

/// Reads an origin: the connection, its place, and whether the reply is dropped.
#[must_use]
pub fn read_origin(origin: Origin) -> (SocketId, net::output::Place, bool) {
    let id = SocketId::from_bits(origin.connection);
    (
        id,
        net::output::Place(origin.place & !DROPPED),
        origin.place & DROPPED != 0,
    )
}

const DROPPED: u64 = 1 << 63;
