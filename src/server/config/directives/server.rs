//! Directives of the process: network, cores, log, access, observation.

use super::{ACCESS as ACCESS_KIND, COUNT, PORT, SIZE, SIZE_BUFFER, SMALL};
use crate::config::directive::Directive as D;
use crate::config::directive::Status::{Dormant, Meaningless, NotYet, Works};
use crate::config::settings::{
    Access, LogFormat, LogLevel, Notify, addresses, output_limits, path,
};
use crate::config::value::{Kind, Value};

pub(super) static NETWORK: &[D] = &[
    D::start(
        "bind",
        Kind::Addresses,
        "127.0.0.1 -::1",
        Works(|s, v| s.bind = addresses(v)),
        "Addresses to listen on; `*` is every address, a leading `-` makes one optional.",
    )
    .toml(&["server.bind"]),
    D::start(
        "port",
        PORT,
        "6379",
        Works(|s, v| s.port = v.u16()),
        "TCP port to listen on; 0 means no TCP.",
    )
    .toml(&["server.port"]),
    D::start(
        "unixsocket",
        Kind::Text,
        "",
        Works(|s, v| s.unixsocket = path(v)),
        "Path of a Unix socket to listen on; empty means none.",
    )
    .toml(&["server.unixsocket"]),
    D::start(
        "unixsocketperm",
        Kind::Octal,
        "0",
        Works(|s, v| s.unixsocket_mode = v.u32()),
        "Permissions of the Unix socket, in octal; 0 leaves them to the umask.",
    )
    .toml(&["server.unixsocketperm"]),
    D::start(
        "tcp-backlog",
        SMALL,
        "511",
        Works(|s, v| s.tcp_backlog = v.u32()),
        "Connections that may wait to be accepted; the kernel's somaxconn bounds it.",
    )
    .toml(&["server.tcp_backlog"]),
    D::live(
        "tcp-keepalive",
        SMALL,
        "300",
        Works(|s, v| s.tcp_keepalive_seconds = v.u32()),
        "Seconds of silence after which a connection is probed; 0 switches probing off.",
    )
    .toml(&["server.tcp_keepalive"]),
    D::live(
        "timeout",
        SMALL,
        "0",
        Works(|s, v| s.timeout_seconds = v.u32()),
        "Seconds after which an idle client is closed; 0 means never.",
    )
    .toml(&["server.timeout"]),
    D::live(
        "maxclients",
        Kind::Integer {
            min: 1,
            max: 4_294_967_295,
        },
        "10000",
        Works(|s, v| s.clients_max = v.u32()),
        "Clients that may be connected at once, on all cores together.",
    )
    .toml(&["server.max_connections"]),
    D::live(
        "protected-mode",
        Kind::Bool,
        "yes",
        Works(|s, v| s.is_protected = v.is_yes()),
        "Refuses clients from other machines while there is no password.",
    )
    .toml(&["server.protected_mode"]),
    D::live(
        "proto-max-bulk-len",
        SIZE_BUFFER,
        "512mb",
        Works(|s, v| s.bulk_bytes_max = v.u64()),
        "Longest argument of a request.",
    )
    .toml(&["server.proto_max_bulk_len"]),
    D::live(
        "client-query-buffer-limit",
        SIZE_BUFFER,
        "1gb",
        Works(|s, v| s.query_bytes_max = v.u64()),
        "Longest unfinished request of a client; a longer one closes it.",
    )
    .toml(&["server.client_query_buffer_limit"]),
    D::live(
        "client-output-buffer-limit",
        Kind::BufferLimits,
        "normal 0 0 0 slave 256mb 64mb 60 pubsub 32mb 8mb 60",
        Works(|s, v| s.output_limits = output_limits(v)),
        "For a class of clients: bytes of unsent output that close one at once, bytes that close \
         it after some seconds, and these seconds.",
    )
    .toml(&["server.client_output_buffer_limit"]),
    D::live(
        "max-new-connections-per-cycle",
        Kind::Integer { min: 1, max: 1000 },
        "10",
        Meaningless("every core accepts on its own socket, and the kernel spreads new connections"),
        "Connections Redis accepts in one turn of its loop.",
    ),
    D::live(
        "max-new-tls-connections-per-cycle",
        Kind::Integer { min: 1, max: 1000 },
        "1",
        Meaningless("every core accepts on its own socket, and the kernel spreads new connections"),
        "TLS connections Redis accepts in one turn of its loop.",
    ),
    D::start(
        "socket-mark-id",
        Kind::Integer {
            min: 0,
            max: 4_294_967_295,
        },
        "0",
        NotYet("a mark on sockets"),
        "Mark the kernel's routing rules see on every socket of the server.",
    ),
];

pub(super) static CORES: &[D] = &[
    D::start(
        "shards",
        Kind::Shards,
        "auto",
        Works(|s, v| {
            s.shards = match v {
                Value::Integer(_) => Some(v.u16()),
                _ => None,
            }
        }),
        "Number of shards, one core each; `auto` takes every core the process may run on.",
    )
    .toml(&["server.shards"]),
    D::start(
        "shard-ports",
        PORT,
        "0",
        Works(|s, v| s.shard_ports = v.u16()),
        "Port of the first shard, the others follow it; 0 means shards have no ports of their own.",
    )
    .toml(&["server.shard_ports"]),
    D::live(
        "spin-us",
        Kind::Integer {
            min: 0,
            max: 1_000_000,
        },
        "60",
        Works(|s, v| s.spin_us = v.u32()),
        "Longest time in microseconds a core polls before it sleeps in the kernel; 0 means none. With more shards \
         than processors it lets others run meanwhile.",
    )
    .toml(&["server.spin_us"]),
    D::start(
        "pin-cores",
        Kind::Bool,
        "yes",
        Works(|s, v| s.is_pinned = v.is_yes()),
        "Binds every shard to one CPU.",
    )
    .toml(&["server.pin_cores"]),
    D::live(
        "hz",
        Kind::Rate,
        "10",
        Works(|s, v| s.hz = v.u16()),
        "Rounds of housekeeping per second on every core, 1 to 500.",
    )
    .toml(&["server.hz"]),
    D::live(
        "dynamic-hz",
        Kind::Bool,
        "yes",
        Meaningless("every core looks after its own clients only, so hz need not grow with them"),
        "Lets Redis raise hz with the number of clients.",
    ),
    D::start(
        "io-threads",
        Kind::Integer { min: 1, max: 128 },
        "1",
        Meaningless("every core does the I/O of its own clients; see shards"),
        "Threads Redis uses for sockets.",
    ),
    D::start(
        "io-threads-do-reads",
        Kind::Bool,
        "no",
        Meaningless("every core does the I/O of its own clients; see shards"),
        "Whether Redis's threads for sockets read as well.",
    ),
    D::start(
        "server-cpulist",
        Kind::Text,
        "",
        NotYet("a list of CPUs to run on"),
        "CPUs the server may use.",
    )
    .alias(&["server_cpulist"]),
    D::start(
        "bio-cpulist",
        Kind::Text,
        "",
        Meaningless("there are no background threads to place"),
        "CPUs of Redis's background threads.",
    )
    .alias(&["bio_cpulist"]),
    D::start(
        "aof-rewrite-cpulist",
        Kind::Text,
        "",
        Meaningless("there are no child processes to place"),
        "CPUs of the process in which Redis rewrites its log.",
    )
    .alias(&["aof_rewrite_cpulist"]),
    D::start(
        "bgsave-cpulist",
        Kind::Text,
        "",
        Meaningless("there are no child processes to place"),
        "CPUs of the process in which Redis saves.",
    )
    .alias(&["bgsave_cpulist"]),
];

pub(super) static PROCESS: &[D] = &[
    D::start(
        "daemonize",
        Kind::Bool,
        "no",
        NotYet("running in the background"),
        "Detaches the server from its terminal; service managers do that better.",
    ),
    D::start(
        "supervised",
        Kind::Choice(&["upstart", "systemd", "auto", "no"]),
        "no",
        NotYet("telling a service manager about the state"),
        "Service manager that is told when the server is ready.",
    ),
    D::start(
        "pidfile",
        Kind::Text,
        "",
        Works(|s, v| s.pid_file = path(v)),
        "File that holds the process id while the server runs; empty means none.",
    )
    .toml(&["server.pidfile"]),
    D::live(
        "loglevel",
        Kind::ChoiceOrSynonym(
            &["debug", "verbose", "notice", "warning", "error", "nothing"],
            &[("trace", "debug"), ("info", "notice"), ("warn", "warning")],
        ),
        "notice",
        Works(|s, v| s.log_level = LogLevel::of(v)),
        "Least important message that is logged; trace, info and warn are understood as well.",
    )
    .toml(&["logging.level"])
    .alias(&["log-level"]),
    D::start(
        "log-format",
        Kind::ChoiceOrSynonym(&["text", "json"], &[("pretty", "text")]),
        "text",
        Works(|s, v| {
            s.log_format = match v.as_text() {
                "json" => LogFormat::Json,
                _ => LogFormat::Text,
            }
        }),
        "Lines of the log for people or, as JSON, for machines.",
    )
    .toml(&["logging.format"]),
    D::start(
        "logfile",
        Kind::Text,
        "",
        Works(|s, v| s.log_file = path(v)),
        "File of the log; empty means standard output.",
    )
    .toml(&["logging.file"]),
    D::start(
        "log-max-size",
        SIZE,
        "0",
        NotYet("rotation of the log file"),
        "Size at which the log file is set aside and a new one begun; 0 means never.",
    )
    .toml(&["logging.max_size"]),
    D::start(
        "log-max-backups",
        SMALL,
        "5",
        Dormant {
            switch: "log-max-size",
        },
        "Log files that are kept when they are rotated.",
    )
    .toml(&["logging.max_backups"]),
    D::live(
        "hide-user-data-from-log",
        Kind::Bool,
        "no",
        NotYet("hiding of user data in the log"),
        "Keeps keys and values of users out of the log.",
    ),
    D::start(
        "syslog-enabled",
        Kind::Bool,
        "no",
        NotYet("logging to syslog"),
        "Sends the log to syslog too.",
    ),
    D::start(
        "syslog-ident",
        Kind::Text,
        "redis",
        Dormant {
            switch: "syslog-enabled",
        },
        "Name of the server in syslog.",
    ),
    D::start(
        "syslog-facility",
        Kind::Choice(&[
            "user", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
        ]),
        "local0",
        Dormant {
            switch: "syslog-enabled",
        },
        "Facility of the log in syslog.",
    ),
    D::live(
        "shutdown-timeout",
        SMALL,
        "10",
        Dormant {
            switch: "replicaof",
        },
        "Seconds a shutdown waits for replicas that lag.",
    ),
    D::live(
        "shutdown-on-sigint",
        Kind::Text,
        "default",
        NotYet("a choice of what a signal saves"),
        "How the server stops on SIGINT.",
    ),
    D::live(
        "shutdown-on-sigterm",
        Kind::Text,
        "default",
        NotYet("a choice of what a signal saves"),
        "How the server stops on SIGTERM.",
    ),
    D::start(
        "always-show-logo",
        Kind::Bool,
        "no",
        Meaningless("the start message has no logo"),
        "Shows Redis's logo even if the log is not a terminal.",
    ),
    D::start(
        "set-proc-title",
        Kind::Bool,
        "yes",
        Meaningless("the title of the process stays the command line"),
        "Lets Redis change the title of its process.",
    ),
    D::live(
        "proc-title-template",
        Kind::Text,
        "{title} {listen-addr} {server-mode}",
        Meaningless("the title of the process stays the command line"),
        "Title of Redis's process.",
    ),
    D::live(
        "oom-score-adj",
        Kind::Choice(&["no", "yes", "relative", "absolute"]),
        "no",
        NotYet("adjusting the kernel's out-of-memory score"),
        "Tells the kernel which processes to kill first when memory is short.",
    ),
    D::live(
        "oom-score-adj-values",
        Kind::Scores,
        "0 200 800",
        Dormant {
            switch: "oom-score-adj",
        },
        "Out-of-memory scores of a primary, a replica and a child process.",
    ),
    D::start(
        "disable-thp",
        Kind::Bool,
        "yes",
        Meaningless("nothing forks, so huge pages are never copied for a child"),
        "Switches transparent huge pages off for Redis's process.",
    ),
    D::live(
        "crash-log-enabled",
        Kind::Bool,
        "yes",
        Meaningless("a crash prints its message and stops the process; there is no other report"),
        "Lets Redis print a report when it crashes.",
    ),
    D::live(
        "crash-memcheck-enabled",
        Kind::Bool,
        "yes",
        Meaningless("a crash prints its message and stops the process; memory is not checked"),
        "Lets Redis check memory when it crashes.",
    ),
    D::live(
        "ignore-warnings",
        Kind::Text,
        "",
        Meaningless("the one warning it can silence is about fork on ARM64"),
        "Warnings at start that Redis leaves out.",
    ),
];

pub(super) static ACCESS: &[D] = &[
    D::live(
        "requirepass",
        Kind::Password,
        "",
        Works(|s, v| {
            let text = v.as_text();
            s.password = (!text.is_empty()).then(|| text.to_owned());
        }),
        "Password of the default user; empty means none is asked for.",
    )
    .toml(&["server.requirepass", "acl.default_user_password"]),
    D::start(
        "rename-command",
        Kind::Renames,
        "",
        Works(|s, v| {
            if let Value::Renames(pairs) = v {
                s.renamed_commands.clone_from(pairs);
            }
        }),
        "Gives a command another name; an empty name disables it.",
    )
    .toml(&["server.rename_commands"])
    .file_only(),
    D::start(
        "enable-debug-command",
        ACCESS_KIND,
        "no",
        Works(|s, v| s.debug_command = Access::of(v)),
        "Who may use DEBUG.",
    )
    .toml(&["server.enable_debug_command"]),
    D::start(
        "enable-module-command",
        ACCESS_KIND,
        "no",
        NotYet("loading of modules"),
        "Who may use MODULE.",
    ),
    D::start(
        "enable-protected-configs",
        ACCESS_KIND,
        "no",
        NotYet("changing dir and dbfilename while the server runs"),
        "Who may change protected directives.",
    ),
    D::start(
        "acl-enabled",
        Kind::Bool,
        "no",
        Meaningless("users and their rules are always there"),
        "Switches users and their rules on.",
    )
    .toml(&["acl.enabled"]),
    D::start(
        "aclfile",
        Kind::Text,
        "",
        Works(|s, v| {
            let text = v.as_text();
            s.acl_file = (!text.is_empty()).then(|| text.into());
        }),
        "File with the users and their rules; not together with lines of `user`.",
    )
    .toml(&["acl.acl_file", "server.acl_file"]),
    D::start(
        "user",
        Kind::Users,
        "",
        Works(|s, v| {
            if let Value::Users(users) = v {
                s.users.clone_from(users);
            }
        }),
        "A user and its rules.",
    )
    .file_only(),
    D::live(
        "acl-pubsub-default",
        Kind::Choice(&["allchannels", "resetchannels"]),
        "resetchannels",
        Works(|s, v| s.has_new_user_all_channels = v.as_text() == "allchannels"),
        "Channels a new user may use.",
    ),
    D::live(
        "acllog-max-len",
        COUNT,
        "128",
        Works(|s, v| s.acl_log_entries_max = v.u64()),
        "Entries ACL LOG keeps.",
    ),
];

pub(super) static OBSERVATION: &[D] = &[
    D::live(
        "slowlog-log-slower-than",
        Kind::Integer {
            min: -1,
            max: i64::MAX,
        },
        "10000",
        Works(|s, v| s.slowlog_slower_than_us = v.i64()),
        "Microseconds from which a command is kept in the slow log; -1 switches it off.",
    )
    .toml(&["server.slowlog_log_slower_than"]),
    D::live(
        "slowlog-max-len",
        COUNT,
        "128",
        Works(|s, v| s.slowlog_entries_max = v.u64()),
        "Entries the slow log keeps.",
    )
    .toml(&["server.slowlog_max_len"]),
    D::live(
        "latency-monitor-threshold",
        COUNT,
        "0",
        Works(|s, v| s.latency_monitor_ms = v.u64()),
        "Milliseconds from which LATENCY keeps an event; 0 switches it off.",
    )
    .toml(&["server.latency_monitor_threshold"]),
    D::live(
        "latency-tracking",
        Kind::Bool,
        "yes",
        Works(|s, v| s.is_latency_tracked = v.is_yes()),
        "Keeps a histogram of the time each command takes.",
    )
    .toml(&["server.latency_tracking"]),
    D::live(
        "latency-tracking-info-percentiles",
        Kind::Percentiles,
        "50 99 99.9",
        Works(|s, v| {
            if let Value::Percentiles(percentiles) = v {
                s.latency_percentiles.clone_from(percentiles);
            }
        }),
        "Percentiles that INFO latencystats shows.",
    )
    .toml(&["server.latency_tracking_info_percentiles"]),
    D::live(
        "notify-keyspace-events",
        Kind::Events,
        "",
        Works(|s, v| s.notify = Notify::parse(v.as_text())),
        "Classes of events that are published.",
    ),
    D::live(
        "tracking-table-max-keys",
        COUNT,
        "1000000",
        Works(|s, v| s.tracked_keys_max = v.u64()),
        "Keys the table of client-side caching may hold.",
    ),
    D::start(
        "metrics-enabled",
        Kind::Bool,
        "no",
        NotYet("the HTTP page of metrics"),
        "Serves metrics for Prometheus over HTTP.",
    )
    .toml(&["metrics.enabled"]),
    D::start(
        "metrics-bind",
        Kind::Addresses,
        "127.0.0.1",
        Dormant {
            switch: "metrics-enabled",
        },
        "Addresses of the HTTP page of metrics.",
    )
    .toml(&["metrics.bind"]),
    D::start(
        "metrics-port",
        PORT,
        "9090",
        Dormant {
            switch: "metrics-enabled",
        },
        "Port of the HTTP page of metrics.",
    )
    .toml(&["metrics.port"]),
    D::start(
        "metrics-path",
        Kind::Text,
        "/metrics",
        Dormant {
            switch: "metrics-enabled",
        },
        "Path of the HTTP page of metrics.",
    )
    .toml(&["metrics.path"]),
];
