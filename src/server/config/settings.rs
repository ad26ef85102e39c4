//! What the server reads: one typed field for every directive that works.
//!
//! Filled by the setters of the directives only, from values that were checked before, so every
//! combination that exists is a valid one. A core gets a copy and never sees a half-applied change.

use std::path::PathBuf;

use shard::effects::EventClass;
use shard::eviction::EvictionPolicy;

use super::value::{BindAddress, BufferLimit, Value};

/// The working configuration of the server.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Addresses to listen on; empty means Unix socket only.
    pub bind: Vec<BindAddress>,
    /// TCP port; 0 means none.
    pub port: u16,
    /// Path of the Unix socket.
    pub unixsocket: Option<PathBuf>,
    /// Permissions of the Unix socket; 0 leaves them to the umask.
    pub unixsocket_mode: u32,
    /// Length of the queue of connections that wait to be accepted.
    pub tcp_backlog: u32,
    /// Seconds between keepalive probes; 0 means none.
    pub tcp_keepalive_seconds: u32,
    /// Seconds a client may be idle; 0 means for ever.
    pub timeout_seconds: u32,
    /// Clients that may be connected at once, on all cores together.
    pub clients_max: u32,
    /// Refuses clients from other machines while there is no password.
    pub is_protected: bool,
    /// Numbered databases.
    pub databases: u16,
    /// Password of the default user.
    pub password: Option<String>,
    /// Users that lines of the configuration describe: the words of each line.
    pub users: Vec<Vec<String>>,
    /// File of users, in the data directory unless the path is a whole one.
    pub acl_file: Option<PathBuf>,
    /// New users may use all channels.
    pub has_new_user_all_channels: bool,
    /// Entries that ACL LOG keeps.
    pub acl_log_entries_max: u64,
    /// Who may use DEBUG.
    pub debug_command: Access,
    /// Commands that got another name: old and new, which is empty if the command is disabled.
    pub renamed_commands: Vec<(String, String)>,
    /// Longest argument, in bytes.
    pub bulk_bytes_max: u64,
    /// Longest unfinished request of a client, in bytes.
    pub query_bytes_max: u64,
    /// Output limits of normal clients, replicas and subscribers.
    pub output_limits: OutputLimits,
    /// Seconds after which a client that takes nothing of its copy of the data is closed.
    pub replica_timeout_seconds: u32,
    /// Memory the data may take, in bytes; 0 means no limit.
    pub memory_bytes_max: u64,
    /// What is evicted at that limit; writes are refused if nothing is.
    pub memory_policy: Option<EvictionPolicy>,
    /// Keys that are compared to find one to evict.
    pub eviction_samples: usize,
    /// How long eviction may hold up other work, 0 to 100.
    pub eviction_tenacity: u32,
    /// How slowly the access counter of LFU grows.
    pub lfu_log_factor: u32,
    /// Minutes after which the access counter of LFU falls by one.
    pub lfu_decay_minutes: u32,
    /// Where values change their encoding.
    pub limits: types::Limits,
    /// How hard the sweep looks for dead keys, 1 to 10.
    pub expire_effort: u8,
    /// Rounds of housekeeping per second, 1 to 500.
    pub hz: u16,
    /// Microseconds from which a command is in the slow log; negative switches it off.
    pub slowlog_slower_than_us: i64,
    /// Entries the slow log keeps.
    pub slowlog_entries_max: u64,
    /// The words of `loadmodule`: path and arguments.
    pub module: Vec<String>,
    /// Rows of a table that a statement may look at where no index helps.
    pub scan_rows_max: u64,
    /// Rows of a table beyond which they lie on all shards.
    pub spread_rows: u64,
    /// Milliseconds that a script may run before everybody else is told that the server is busy.
    pub busy_reply_ms: u64,
    /// Milliseconds from which an event is in LATENCY; 0 switches it off.
    pub latency_monitor_ms: u64,
    /// Keeps a histogram of the time of every command.
    pub is_latency_tracked: bool,
    /// Percentiles that INFO latencystats shows.
    pub latency_percentiles: Vec<f64>,
    /// Keys that the table of client-side caching may hold, on all cores together; 0 for no limit.
    pub tracked_keys_max: u64,
    /// Events of keys that are published.
    pub notify: Notify,
    /// What is logged.
    pub log_level: LogLevel,
    /// How a line of the log looks.
    pub log_format: LogFormat,
    /// File of the log; none means standard output.
    pub log_file: Option<PathBuf>,
    /// Directory of all persistent files.
    pub data_dir: PathBuf,
    /// Name of the RDB file in that directory.
    pub rdb_file: String,
    /// Saves by itself after so many seconds if there were so many changes.
    pub save_points: Vec<(u64, u64)>,
    /// Compresses strings in the RDB file.
    pub is_rdb_compressed: bool,
    /// Ends the RDB file with a checksum.
    pub has_rdb_checksum: bool,
    /// Writes tables into the RDB file.
    pub has_rdb_tables: bool,
    /// Refuses writes after saving has failed.
    pub stops_writes_unsaved: bool,
    /// Writes every change to a log.
    pub is_logged: bool,
    /// When the log is on the disk.
    pub log_sync: SyncPolicy,
    /// Directory of the log in the data directory.
    pub log_dir: String,
    /// The append-only file of Redis, which a new log goes on from: the first part of the names of its files.
    pub redis_log_file: String,
    /// Starts with a log whose last record is torn.
    pub loads_torn: bool,
    /// The log is rewritten when it has grown by so much since the last time; 0 means never.
    pub log_growth_percent: u32,
    /// The log is not rewritten by itself up to so many bytes.
    pub log_bytes_min: u64,
    /// Leaves syncs of the log out while a save or a rewriting keeps the disk busy.
    pub puts_off_syncs: bool,
    /// Keeps the files of a log that was rewritten.
    pub keeps_old_logs: bool,
    /// Backup, a path or an address, that is put in the place of the data at the start.
    pub restore: Option<String>,
    /// Data that is there then moves aside.
    pub restores_by_force: bool,
    /// Makes backups by a schedule.
    pub has_backups: bool,
    /// When: five fields of cron, in UTC.
    pub backup_schedule: String,
    /// Days that a backup is kept; 0 for ever.
    pub backup_days: u32,
    /// Directory of the backups; one that is not absolute is in the data directory.
    pub backup_dir: PathBuf,
    /// Sends each backup to an object store.
    pub has_cloud_backups: bool,
    /// `s3`, `gcs` or `azure`.
    pub cloud_provider: String,
    /// The bucket there.
    pub cloud_bucket: String,
    /// First part of the names in it.
    pub cloud_prefix: String,
    /// Its region; empty for that of the environment.
    pub cloud_region: String,
    /// Address of the store; empty for that of the provider.
    pub cloud_endpoint: String,
    /// File that holds the process id while the server runs.
    pub pid_file: Option<PathBuf>,
    /// Shards, one per core; none means as many as there are cores.
    pub shards: Option<u16>,
    /// Port of shard 0; shard N listens on the port N above it. 0 means none.
    pub shard_ports: u16,
    /// Longest time a core polls before it sleeps in the kernel, in microseconds; 0 means none.
    pub spin_us: u32,
    /// Binds every shard to one CPU.
    pub is_pinned: bool,
}

/// Output limits by class of client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct OutputLimits {
    /// Clients that neither subscribe nor replicate.
    pub normal: BufferLimit,
    /// Replicas.
    pub replica: BufferLimit,
    /// Subscribers.
    pub pubsub: BufferLimit,
}

/// Which events of keys are published, and how (`notify-keyspace-events`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Notify {
    /// The classes.
    pub classes: EventClass,
    /// `K`: to the channel of the key.
    pub by_key: bool,
    /// `E`: to the channel of the event.
    pub by_event: bool,
}

impl Notify {
    /// Reads the letters of the directive; each is one of those it allows.
    pub(super) fn parse(letters: &str) -> Self {
        let has = |letter| letters.contains(letter);
        let mut classes = EventClass::NONE;
        for (letter, class) in CLASSES {
            if has(*letter)
                || has('A') && *class != EventClass::KEY_MISS && *class != EventClass::NEW
            {
                classes = classes.and(*class);
            }
        }
        Self {
            classes,
            by_key: has('K'),
            by_event: has('E'),
        }
    }

    /// Returns whether any event is told.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.by_key || self.by_event
    }
}

/// The letters of the classes.
const CLASSES: &[(char, EventClass)] = &[
    ('g', EventClass::GENERIC),
    ('$', EventClass::STRING),
    ('l', EventClass::LIST),
    ('s', EventClass::SET),
    ('h', EventClass::HASH),
    ('z', EventClass::SORTED_SET),
    ('x', EventClass::EXPIRED),
    ('e', EventClass::EVICTED),
    ('t', EventClass::STREAM),
    ('d', EventClass::TABLE),
    ('m', EventClass::KEY_MISS),
    ('n', EventClass::NEW),
];

/// Who may use a command that can harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nobody.
    Nobody,
    /// Everybody.
    Everybody,
    /// Clients of this machine.
    Local,
}

/// The least important message that is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// Much that is rarely useful.
    Verbose,
    /// Changes of state.
    Notice,
    /// What went on differently.
    Warning,
    /// What a human must look at.
    Error,
    /// Nothing is logged.
    Nothing,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

impl Settings {
    /// Returns the path of the file of users, if there is to be one.
    #[must_use]
    pub fn acl_path(&self) -> Option<PathBuf> {
        self.acl_file.as_ref().map(|path| self.data_dir.join(path))
    }

    /// Returns settings with nothing in them, for the setters to fill.
    pub(super) fn empty() -> Self {
        Self {
            bind: Vec::new(),
            port: 0,
            unixsocket: None,
            unixsocket_mode: 0,
            tcp_backlog: 0,
            tcp_keepalive_seconds: 0,
            timeout_seconds: 0,
            clients_max: 0,
            is_protected: true,
            databases: 1,
            password: None,
            users: Vec::new(),
            acl_file: None,
            has_new_user_all_channels: false,
            acl_log_entries_max: 0,
            debug_command: Access::Nobody,
            renamed_commands: Vec::new(),
            bulk_bytes_max: 0,
            query_bytes_max: 0,
            output_limits: OutputLimits::default(),
            replica_timeout_seconds: 0,
            memory_bytes_max: 0,
            memory_policy: None,
            eviction_samples: 1,
            eviction_tenacity: 0,
            lfu_log_factor: 0,
            lfu_decay_minutes: 0,
            limits: types::Limits::default(),
            module: Vec::new(),
            scan_rows_max: 0,
            spread_rows: 0,
            expire_effort: 1,
            hz: 1,
            slowlog_slower_than_us: -1,
            slowlog_entries_max: 0,
            busy_reply_ms: 5000,
            latency_monitor_ms: 0,
            is_latency_tracked: false,
            latency_percentiles: Vec::new(),
            tracked_keys_max: 1_000_000,
            notify: Notify::default(),
            log_level: LogLevel::Notice,
            log_format: LogFormat::Text,
            log_file: None,
            data_dir: PathBuf::new(),
            rdb_file: String::new(),
            save_points: Vec::new(),
            is_rdb_compressed: false,
            has_rdb_checksum: false,
            has_rdb_tables: false,
            stops_writes_unsaved: false,
            is_logged: false,
            log_sync: SyncPolicy::EverySecond,
            log_dir: String::new(),
            redis_log_file: String::new(),
            loads_torn: false,
            log_growth_percent: 0,
            log_bytes_min: 0,
            puts_off_syncs: false,
            keeps_old_logs: false,
            restore: None,
            restores_by_force: false,
            has_backups: false,
            backup_schedule: String::new(),
            backup_days: 0,
            backup_dir: PathBuf::new(),
            has_cloud_backups: false,
            cloud_provider: String::new(),
            cloud_bucket: String::new(),
            cloud_prefix: String::new(),
            cloud_region: String::new(),
            cloud_endpoint: String::new(),
            pid_file: None,
            shards: None,
            shard_ports: 0,
            spin_us: 0,
            is_pinned: false,
        }
    }
}

impl Access {
    /// Reads the word of a directive that was checked before.
    pub(super) fn of(value: &Value) -> Self {
        match value.as_text() {
            "yes" => Self::Everybody,
            "local" => Self::Local,
            _ => Self::Nobody,
        }
    }
}

impl LogLevel {
    /// Reads the word of a directive that was checked before.
    pub(super) fn of(value: &Value) -> Self {
        match value.as_text() {
            "debug" => Self::Debug,
            "verbose" => Self::Verbose,
            "warning" => Self::Warning,
            "error" => Self::Error,
            "nothing" => Self::Nothing,
            _ => Self::Notice,
        }
    }
}

/// Returns the path a directive holds; an empty text is none.
pub(super) fn path(value: &Value) -> Option<PathBuf> {
    let text = value.as_text();
    (!text.is_empty()).then(|| PathBuf::from(text))
}

/// Returns the addresses of a `bind` that was checked before.
pub(super) fn addresses(value: &Value) -> Vec<BindAddress> {
    match value {
        Value::Words(words) => words
            .iter()
            .filter_map(|word| BindAddress::parse(word).ok())
            .collect(),
        _ => Vec::new(),
    }
}

/// Returns the three limits by name.
pub(super) fn output_limits(value: &Value) -> OutputLimits {
    match value {
        Value::BufferLimits([normal, replica, pubsub]) => OutputLimits {
            normal: *normal,
            replica: *replica,
            pubsub: *pubsub,
        },
        _ => OutputLimits::default(),
    }
}

/// When the log is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Before a reply leaves.
    Always,
    /// A second later.
    EverySecond,
    /// When the kernel likes.
    Never,
}

impl SyncPolicy {
    /// Reads the value of the directive.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text {
            "always" => Self::Always,
            "no" => Self::Never,
            _ => Self::EverySecond,
        }
    }
}
