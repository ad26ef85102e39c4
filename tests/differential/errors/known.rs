//! What the probes leave out, and where errors differ on purpose, each with its reason.

/// Commands that are not probed.
pub(super) const LEFT_OUT: &[(&str, &str)] = &[
    ("bgsave", "the one before may not have ended on some server"),
    (
        "bgrewriteaof",
        "the one before may not have ended on some server",
    ),
    ("client|kill", "ends connections"),
    ("client|pause", "stops the connection that asks for it"),
    ("client|reply", "leaves requests without replies"),
    ("failover", "needs a replica"),
    ("monitor", "has many replies"),
    ("pfselftest", "keeps a server busy for half a second"),
    ("psubscribe", "has many replies"),
    ("psync", "makes a replica of the connection"),
    ("punsubscribe", "has many replies"),
    ("quit", "ends the connection"),
    ("replconf", "has no reply"),
    ("replicaof", "makes a replica of the server"),
    ("script|debug", "attaches a debugger, which only Redis has"),
    ("shutdown", "ends the server"),
    ("slaveof", "makes a replica of the server"),
    ("ssubscribe", "has many replies"),
    ("subscribe", "has many replies"),
    ("sunsubscribe", "has many replies"),
    ("sync", "makes a replica of the connection"),
    ("unsubscribe", "has many replies"),
];

/// Commands of which no probe succeeds.
pub(super) const NEVER_SUCCEEDS: &[(&str, &str)] = &[
    ("acl|dryrun", "no probe names a user and a request"),
    ("acl|load", "there is no file of users"),
    ("acl|save", "there is no file of users"),
    ("auth", "there is no password"),
    ("client|caching", "nothing is tracked"),
    ("cluster|countkeysinslot", NO_CLUSTER),
    ("cluster|getkeysinslot", NO_CLUSTER),
    ("cluster|help", NO_CLUSTER),
    ("cluster|info", NO_CLUSTER),
    ("cluster|keyslot", NO_CLUSTER),
    ("cluster|links", NO_CLUSTER),
    ("cluster|myid", NO_CLUSTER),
    ("cluster|nodes", NO_CLUSTER),
    ("cluster|shards", NO_CLUSTER),
    ("cluster|slots", NO_CLUSTER),
    ("config|rewrite", "there is no file"),
    ("debug", "its declaration tells no subcommands"),
    ("discard", "there is no MULTI"),
    ("evalsha", NO_PROGRAM),
    ("evalsha_ro", NO_PROGRAM),
    ("exec", "there is no MULTI"),
    ("fcall", NO_PROGRAM),
    ("fcall_ro", NO_PROGRAM),
    ("function|delete", NO_PROGRAM),
    ("function|kill", "nothing runs"),
    ("function|load", "no probe is a library"),
    ("function|restore", "no probe is a payload of libraries"),
    ("latency|graph", "nothing was slow"),
    ("module|load", "there is no module to load"),
    ("module|loadex", "there is no module to load"),
    ("module|unload", "there is no module to unload"),
    ("readonly", NO_CLUSTER),
    ("readwrite", NO_CLUSTER),
    ("script|kill", "nothing runs"),
];

const NO_PROGRAM: &str = "nothing was loaded that it could run";

const NO_CLUSTER: &str = "the servers are no nodes of a cluster";

/// One deliberate difference.
pub(super) struct Difference {
    /// The command, as in `xgroup|create`.
    pub(super) command: &'static str,
    /// How the reply of Redis begins.
    pub(super) theirs: &'static str,
    /// How ours begins.
    pub(super) ours: &'static str,
    /// Why.
    #[expect(
        dead_code,
        reason = "for the reader; a difference without reason is a mistake"
    )]
    pub(super) reason: &'static str,
}

/// Where replies to probes differ on purpose; docs/differences.md says the same for users.
pub(super) const DELIBERATE: &[Difference] = &[
    Difference {
        command: "config|set",
        theirs: "+OK",
        ours: "-ERR CONFIG SET failed (possibly related to argument 'maxmemory')",
        reason: "Redis takes no text at all for a size of 0, which is no limit",
    },
    Difference {
        command: "georadius",
        theirs: ":",
        ours: "-ERR syntax error",
        reason: STORE,
    },
    Difference {
        command: "georadiusbymember",
        theirs: ":",
        ours: "-ERR syntax error",
        reason: STORE,
    },
    Difference {
        command: "client|tracking",
        theirs: NO_TARGET,
        ours: "-ERR A client can only redirect",
        reason: WORDS_FIRST,
    },
    Difference {
        command: "client|tracking",
        theirs: NO_TARGET,
        ours: "-ERR PREFIX option requires",
        reason: WORDS_FIRST,
    },
    Difference {
        command: "client|tracking",
        theirs: NO_TARGET,
        ours: "-ERR syntax error",
        reason: WORDS_FIRST,
    },
    Difference {
        command: "lolwut",
        theirs: "",
        ours: "",
        reason: "it draws a picture of its own, with sizes of its own",
    },
];

const NO_TARGET: &str = "-ERR The client ID you want redirect to does not exist";

const WORDS_FIRST: &str = "all words are read before the cores are asked for the client";

const STORE: &str = "of several keys behind STORE the last counts; here different ones are refused, since the key decides where the command runs";
