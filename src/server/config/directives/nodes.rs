//! Directives of several servers together: replication, cluster, TLS.

use super::{COUNT, PORT, POSITIVE, SIZE_ANY, SIZE_POSITIVE, SMALL};
use crate::config::directive::Directive as D;
use crate::config::directive::Status::{Dormant, NotYet, Works};
use crate::config::value::Kind;

pub(super) static REPLICATION: &[D] = &[
    D::start(
        "replicaof",
        Kind::Words,
        "",
        NotYet("replication"),
        "Host and port of the primary this server follows; empty means it is one itself.",
    )
    .toml(&["replication.replicaof"])
    .alias(&["slaveof"]),
    D::live(
        "masterauth",
        Kind::Password,
        "",
        Dormant {
            switch: "replicaof",
        },
        "Password for the primary.",
    ),
    D::live(
        "masteruser",
        Kind::Text,
        "",
        Dormant {
            switch: "replicaof",
        },
        "User for the primary.",
    ),
    D::live(
        "replica-read-only",
        Kind::Bool,
        "yes",
        Dormant {
            switch: "replicaof",
        },
        "Refuses writes of clients on a replica.",
    )
    .toml(&["replication.replica_read_only"])
    .alias(&["slave-read-only"]),
    D::live(
        "replica-serve-stale-data",
        Kind::Bool,
        "yes",
        Dormant {
            switch: "replicaof",
        },
        "Answers clients while the primary is out of reach.",
    )
    .alias(&["slave-serve-stale-data"]),
    D::live(
        "replica-priority",
        SMALL,
        "100",
        Dormant {
            switch: "replicaof",
        },
        "Order in which replicas are promoted; 0 means never.",
    )
    .alias(&["slave-priority"]),
    D::live(
        "replica-announced",
        Kind::Bool,
        "yes",
        Dormant {
            switch: "replicaof",
        },
        "Shows this replica to Sentinel.",
    ),
    D::live(
        "replica-announce-ip",
        Kind::Text,
        "",
        Dormant {
            switch: "replicaof",
        },
        "Address this replica tells the primary.",
    )
    .alias(&["slave-announce-ip"]),
    D::live(
        "replica-announce-port",
        PORT,
        "0",
        Dormant {
            switch: "replicaof",
        },
        "Port this replica tells the primary.",
    )
    .alias(&["slave-announce-port"]),
    D::live(
        "replica-ignore-maxmemory",
        Kind::Bool,
        "yes",
        Dormant {
            switch: "replicaof",
        },
        "Leaves eviction to the primary.",
    )
    .alias(&["slave-ignore-maxmemory"]),
    D::live(
        "replica-ignore-disk-write-errors",
        Kind::Bool,
        "no",
        Dormant {
            switch: "replicaof",
        },
        "Goes on as a replica when its disk fails.",
    ),
    D::live(
        "replica-lazy-flush",
        Kind::Bool,
        "no",
        Dormant {
            switch: "replicaof",
        },
        "Frees the old data in the background when a replica loads anew.",
    )
    .alias(&["slave-lazy-flush"]),
    D::live(
        "repl-timeout",
        POSITIVE,
        "60",
        Works(|s, v| s.replica_timeout_seconds = v.u32()),
        "Seconds after which a client that takes nothing of its copy of the data (SYNC) is closed.",
    )
    .toml(&["replication.repl_timeout"]),
    D::live(
        "repl-reconnect-delay",
        POSITIVE,
        "5",
        Dormant {
            switch: "replicaof",
        },
        "Seconds before a replica tries its primary again.",
    )
    .toml(&["replication.reconnect_delay"]),
    D::live(
        "repl-ping-replica-period",
        POSITIVE,
        "10",
        Dormant {
            switch: "replicaof",
        },
        "Seconds between two signs of life to a replica.",
    )
    .alias(&["repl-ping-slave-period"]),
    D::live(
        "repl-backlog-size",
        SIZE_POSITIVE,
        "1mb",
        Dormant {
            switch: "replicaof",
        },
        "Changes that are kept for replicas that come back.",
    )
    .toml(&["replication.backlog_size"]),
    D::live(
        "repl-backlog-ttl",
        COUNT,
        "3600",
        Dormant {
            switch: "replicaof",
        },
        "Seconds after the last replica left until the backlog is freed; 0 means never.",
    ),
    D::live(
        "repl-disable-tcp-nodelay",
        Kind::Bool,
        "no",
        Dormant {
            switch: "replicaof",
        },
        "Sends fewer and larger packets to replicas.",
    ),
    D::live(
        "repl-diskless-sync",
        Kind::Bool,
        "yes",
        Dormant {
            switch: "replicaof",
        },
        "Sends a snapshot to a replica without a file.",
    ),
    D::live(
        "repl-diskless-sync-delay",
        SMALL,
        "5",
        Dormant {
            switch: "replicaof",
        },
        "Seconds to wait for more replicas before a snapshot is sent.",
    ),
    D::live(
        "repl-diskless-sync-max-replicas",
        SMALL,
        "0",
        Dormant {
            switch: "replicaof",
        },
        "Replicas that end this wait; 0 means none.",
    ),
    D::live(
        "repl-diskless-load",
        Kind::Choice(&["disabled", "on-empty-db", "swapdb"]),
        "disabled",
        Dormant {
            switch: "replicaof",
        },
        "Whether a replica loads a snapshot without a file.",
    ),
    D::live(
        "min-replicas-to-write",
        SMALL,
        "0",
        NotYet("replication"),
        "Replicas without which writes are refused; 0 means none.",
    )
    .alias(&["min-slaves-to-write"]),
    D::live(
        "min-replicas-max-lag",
        SMALL,
        "10",
        Dormant {
            switch: "min-replicas-to-write",
        },
        "Seconds a replica may lag to count for min-replicas-to-write.",
    )
    .alias(&["min-slaves-max-lag"]),
    D::live(
        "bind-source-addr",
        Kind::Text,
        "",
        Dormant {
            switch: "replicaof",
        },
        "Address connections to a primary come from.",
    ),
    D::live(
        "propagation-error-behavior",
        Kind::Choice(&["ignore", "panic", "panic-on-replicas"]),
        "ignore",
        Dormant {
            switch: "replicaof",
        },
        "What a replica does when a change from the primary fails.",
    ),
];

pub(super) static CLUSTER: &[D] = &[
    D::start(
        "cluster-enabled",
        Kind::Bool,
        "no",
        NotYet("cluster mode"),
        "Makes this server a node of a cluster.",
    )
    .toml(&["cluster.enabled"]),
    D::start(
        "cluster-config-file",
        Kind::Text,
        "nodes.conf",
        Dormant {
            switch: "cluster-enabled",
        },
        "File in which the node keeps what it knows of the cluster.",
    ),
    D::live(
        "cluster-node-timeout",
        COUNT,
        "15000",
        Dormant {
            switch: "cluster-enabled",
        },
        "Milliseconds of silence after which a node counts as failing.",
    )
    .toml(&["cluster.node_timeout"]),
    D::start(
        "cluster-port",
        PORT,
        "0",
        Dormant {
            switch: "cluster-enabled",
        },
        "Port of the cluster bus; 0 means the port of clients and cluster-bus-port-offset.",
    ),
    D::start(
        "cluster-bus-port-offset",
        PORT,
        "10000",
        Dormant {
            switch: "cluster-enabled",
        },
        "Distance of the port of the cluster bus from the port of clients.",
    )
    .toml(&["cluster.bus_port_offset"]),
    D::start(
        "cluster-replica-count",
        SMALL,
        "1",
        Dormant {
            switch: "cluster-enabled",
        },
        "Replicas each primary should have.",
    )
    .toml(&["cluster.replica_count"]),
    D::start(
        "cluster-min-primaries",
        SMALL,
        "1",
        Dormant {
            switch: "cluster-enabled",
        },
        "Primaries below which the cluster is down.",
    )
    .toml(&["cluster.min_primaries"]),
    D::live(
        "cluster-replica-validity-factor",
        SMALL,
        "10",
        Dormant {
            switch: "cluster-enabled",
        },
        "How old the data of a replica may be for it to be promoted; 0 means any age.",
    )
    .alias(&["cluster-slave-validity-factor"]),
    D::live(
        "cluster-migration-barrier",
        SMALL,
        "1",
        Dormant {
            switch: "cluster-enabled",
        },
        "Replicas a primary must keep when one moves to another primary.",
    ),
    D::live(
        "cluster-allow-replica-migration",
        Kind::Bool,
        "yes",
        Dormant {
            switch: "cluster-enabled",
        },
        "Lets replicas move to primaries without any.",
    ),
    D::live(
        "cluster-require-full-coverage",
        Kind::Bool,
        "yes",
        Dormant {
            switch: "cluster-enabled",
        },
        "Stops the whole cluster when a slot has no node.",
    )
    .toml(&["cluster.require_full_coverage"]),
    D::live(
        "cluster-replica-no-failover",
        Kind::Bool,
        "no",
        Dormant {
            switch: "cluster-enabled",
        },
        "Keeps this replica from promoting itself.",
    )
    .toml_inverted("cluster.failover_enabled")
    .alias(&["cluster-slave-no-failover"]),
    D::live(
        "cluster-allow-reads-when-down",
        Kind::Bool,
        "no",
        Dormant {
            switch: "cluster-enabled",
        },
        "Answers reads while the cluster is down.",
    ),
    D::live(
        "cluster-allow-pubsubshard-when-down",
        Kind::Bool,
        "yes",
        Dormant {
            switch: "cluster-enabled",
        },
        "Serves shard channels while the cluster is down.",
    ),
    D::live(
        "cluster-link-sendbuf-limit",
        SIZE_ANY,
        "0",
        Dormant {
            switch: "cluster-enabled",
        },
        "Unsent bytes at which a link of the cluster bus is closed; 0 means no limit.",
    ),
    D::live(
        "cluster-announce-ip",
        Kind::Text,
        "",
        Dormant {
            switch: "cluster-enabled",
        },
        "Address this node tells the others.",
    ),
    D::live(
        "cluster-announce-port",
        PORT,
        "0",
        Dormant {
            switch: "cluster-enabled",
        },
        "Port this node tells the others.",
    ),
    D::live(
        "cluster-announce-tls-port",
        PORT,
        "0",
        Dormant {
            switch: "cluster-enabled",
        },
        "TLS port this node tells the others.",
    ),
    D::live(
        "cluster-announce-bus-port",
        PORT,
        "0",
        Dormant {
            switch: "cluster-enabled",
        },
        "Port of the cluster bus this node tells the others.",
    ),
    D::live(
        "cluster-announce-hostname",
        Kind::Hostname,
        "",
        Dormant {
            switch: "cluster-enabled",
        },
        "Host name this node tells the others.",
    ),
    D::live(
        "cluster-announce-human-nodename",
        Kind::Hostname,
        "",
        Dormant {
            switch: "cluster-enabled",
        },
        "Name of this node in logs.",
    ),
    D::live(
        "cluster-preferred-endpoint-type",
        Kind::Choice(&["ip", "hostname", "unknown-endpoint"]),
        "ip",
        Dormant {
            switch: "cluster-enabled",
        },
        "How nodes are named to clients.",
    ),
];

pub(super) static TLS: &[D] = &[
    D::start(
        "tls-enabled",
        Kind::Bool,
        "no",
        NotYet("TLS"),
        "Switches TLS on, on the port tls.port of a TOML file.",
    )
    .toml(&["tls.enabled"]),
    D::live(
        "tls-port",
        PORT,
        "0",
        NotYet("TLS"),
        "Port for TLS; 0 means none.",
    ),
    D::start(
        "tls-enabled-port",
        PORT,
        "6380",
        Dormant {
            switch: "tls-enabled",
        },
        "Port for TLS when it is switched on by tls-enabled.",
    )
    .toml(&["tls.port"]),
    D::live(
        "tls-cert-file",
        Kind::Text,
        "",
        Dormant { switch: "tls-port" },
        "Certificate of the server.",
    )
    .toml(&["tls.cert_file"]),
    D::live(
        "tls-key-file",
        Kind::Text,
        "",
        Dormant { switch: "tls-port" },
        "Private key of the server.",
    )
    .toml(&["tls.key_file"]),
    D::live(
        "tls-key-file-pass",
        Kind::Password,
        "",
        Dormant { switch: "tls-port" },
        "Password of the private key of the server.",
    ),
    D::live(
        "tls-client-cert-file",
        Kind::Text,
        "",
        Dormant { switch: "tls-port" },
        "Certificate for connections to other servers.",
    ),
    D::live(
        "tls-client-key-file",
        Kind::Text,
        "",
        Dormant { switch: "tls-port" },
        "Private key for connections to other servers.",
    ),
    D::live(
        "tls-client-key-file-pass",
        Kind::Password,
        "",
        Dormant { switch: "tls-port" },
        "Password of the private key for connections to other servers.",
    ),
    D::live(
        "tls-dh-params-file",
        Kind::Text,
        "",
        Dormant { switch: "tls-port" },
        "Parameters for key exchange with old clients.",
    ),
    D::live(
        "tls-ca-cert-file",
        Kind::Text,
        "",
        Dormant { switch: "tls-port" },
        "Certificates of the authorities that are trusted.",
    )
    .toml(&["tls.ca_file"]),
    D::live(
        "tls-ca-cert-dir",
        Kind::Text,
        "",
        Dormant { switch: "tls-port" },
        "Directory with such certificates.",
    ),
    D::live(
        "tls-auth-clients",
        Kind::Choice(&["no", "yes", "optional"]),
        "yes",
        Dormant { switch: "tls-port" },
        "Whether clients must have a certificate.",
    )
    .toml(&["tls.require_client_cert"]),
    D::live(
        "tls-replication",
        Kind::Bool,
        "no",
        NotYet("TLS"),
        "Uses TLS to the primary.",
    ),
    D::live(
        "tls-cluster",
        Kind::Bool,
        "no",
        NotYet("TLS"),
        "Uses TLS on the cluster bus.",
    ),
    D::live(
        "tls-protocols",
        Kind::Text,
        "",
        Dormant { switch: "tls-port" },
        "Versions of TLS that are accepted; empty means 1.2 and 1.3.",
    ),
    D::live(
        "tls-min-version",
        Kind::Choice(&["1.2", "1.3"]),
        "1.2",
        Dormant { switch: "tls-port" },
        "Oldest version of TLS that is accepted.",
    )
    .toml(&["tls.min_version", "tls.min_protocol_version"]),
    D::live(
        "tls-ciphers",
        Kind::Text,
        "",
        Dormant { switch: "tls-port" },
        "Ciphers of TLS 1.2.",
    ),
    D::live(
        "tls-ciphersuites",
        Kind::Text,
        "",
        Dormant { switch: "tls-port" },
        "Ciphers of TLS 1.3.",
    ),
    D::live(
        "tls-prefer-server-ciphers",
        Kind::Bool,
        "no",
        Dormant { switch: "tls-port" },
        "Lets the server choose the cipher.",
    ),
    D::live(
        "tls-session-caching",
        Kind::Bool,
        "yes",
        Dormant { switch: "tls-port" },
        "Keeps sessions so that clients come back faster.",
    ),
    D::live(
        "tls-session-cache-size",
        SMALL,
        "20480",
        Dormant { switch: "tls-port" },
        "Sessions that are kept.",
    ),
    D::live(
        "tls-session-cache-timeout",
        SMALL,
        "300",
        Dormant { switch: "tls-port" },
        "Seconds a session is kept.",
    ),
];
